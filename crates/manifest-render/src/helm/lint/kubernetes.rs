//! What Kubernetes asks of names and says of old API versions.

use crate::helm::capabilities::KubeVersion;
use crate::helm::go_text::quote;

const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or \
     '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is \
     '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must \
     start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is \
     '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const OLD_LABEL: &str = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an \
     alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for \
     validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";

/// What is wrong with the name of an object of a kind.
pub(super) fn name_fault(kind: &str, name: &str) -> Option<String> {
    let kind = kind.to_lowercase();
    let said: Vec<String> = match kind.as_str() {
        "certificatesigningrequest" => Vec::new(),
        "service" => label(name, OLD_LABEL, true),
        "namespace" => label(name, LABEL, false),
        "role" | "clusterrole" | "rolebinding" | "clusterrolebinding" => path_segment(name),
        _ => subdomain(name),
    };
    let name = quote(name);
    let said: Vec<String> = said.iter().map(|it| format!("metadata.name: Invalid value: {name}: {it}")).collect();
    match said.as_slice() {
        [] => None,
        [only] => Some(format!("object name does not conform to Kubernetes naming requirements: {name}: {only}")),
        several => Some(format!(
            "object name does not conform to Kubernetes naming requirements: {name}: [{}]",
            several.join(", ")
        )),
    }
}

fn is_label(text: &str) -> bool {
    let is_inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !text.is_empty() && text.bytes().all(is_inner) && !text.starts_with('-') && !text.ends_with('-')
}

fn subdomain(name: &str) -> Vec<String> {
    let mut said = Vec::new();
    if name.len() > 253 {
        said.push("must be no more than 253 characters".to_owned());
    }
    if !name.split('.').all(is_label) {
        said.push(SUBDOMAIN.to_owned());
    }
    said
}

fn label(name: &str, words: &str, begins_with_letter: bool) -> Vec<String> {
    let mut said = Vec::new();
    if name.len() > 63 {
        said.push("must be no more than 63 characters".to_owned());
    }
    if !is_label(name) || (begins_with_letter && !name.starts_with(|it: char| it.is_ascii_lowercase())) {
        said.push(words.to_owned());
    }
    said
}

fn path_segment(name: &str) -> Vec<String> {
    if matches!(name, "." | "..") {
        return vec![format!("may not be '{name}'")];
    }
    ["/", "%"].iter().filter(|it| name.contains(**it)).map(|it| format!("may not contain '{it}'")).collect()
}

/// Old API versions: kinds, deprecated since and gone since these minor versions, and what replaces them.
const OLD: &[(&str, &[&str], u32, u32, &str)] = &[
    ("extensions/v1beta1", &["DaemonSet", "Deployment", "ReplicaSet"], 8, 16, "apps/v1"),
    ("extensions/v1beta1", &["Ingress"], 14, 22, "networking.k8s.io/v1"),
    ("extensions/v1beta1", &["NetworkPolicy"], 9, 16, "networking.k8s.io/v1"),
    ("apps/v1beta1", &["ControllerRevision", "Deployment", "StatefulSet"], 8, 16, "apps/v1"),
    ("apps/v1beta2", &["ControllerRevision", "DaemonSet", "Deployment", "ReplicaSet", "StatefulSet"], 9, 16, "apps/v1"),
    ("batch/v1beta1", &["CronJob"], 21, 25, "batch/v1"),
    ("policy/v1beta1", &["PodDisruptionBudget"], 21, 25, "policy/v1"),
    ("networking.k8s.io/v1beta1", &["Ingress", "IngressClass"], 19, 22, "networking.k8s.io/v1"),
    ("autoscaling/v2beta1", &["HorizontalPodAutoscaler"], 22, 25, "autoscaling/v2"),
    ("autoscaling/v2beta2", &["HorizontalPodAutoscaler"], 23, 26, "autoscaling/v2"),
    (
        "rbac.authorization.k8s.io/v1beta1",
        &["ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"],
        17,
        22,
        "rbac.authorization.k8s.io/v1",
    ),
    (
        "rbac.authorization.k8s.io/v1alpha1",
        &["ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"],
        17,
        22,
        "rbac.authorization.k8s.io/v1",
    ),
    (
        "storage.k8s.io/v1beta1",
        &["CSIDriver", "CSINode", "StorageClass", "VolumeAttachment"],
        19,
        22,
        "storage.k8s.io/v1",
    ),
    ("storage.k8s.io/v1beta1", &["CSIStorageCapacity"], 24, 27, "storage.k8s.io/v1"),
    (
        "admissionregistration.k8s.io/v1beta1",
        &["MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"],
        16,
        22,
        "admissionregistration.k8s.io/v1",
    ),
    ("discovery.k8s.io/v1beta1", &["EndpointSlice"], 21, 25, "discovery.k8s.io/v1"),
    ("events.k8s.io/v1beta1", &["Event"], 22, 25, "events.k8s.io/v1"),
    ("certificates.k8s.io/v1beta1", &["CertificateSigningRequest"], 19, 22, "certificates.k8s.io/v1"),
    ("coordination.k8s.io/v1beta1", &["Lease"], 19, 22, "coordination.k8s.io/v1"),
    ("scheduling.k8s.io/v1beta1", &["PriorityClass"], 14, 22, "scheduling.k8s.io/v1"),
    ("node.k8s.io/v1beta1", &["RuntimeClass"], 22, 25, "node.k8s.io/v1"),
];

/// What is said of an object of an old API version.
pub(super) fn deprecation(api_version: &str, kind: &str, kube_version: &KubeVersion) -> Option<String> {
    let minor: u32 = kube_version.minor.parse().ok()?;
    let major: u32 = kube_version.major.parse().ok()?;
    let (_, _, since, gone, instead) = OLD.iter().find(|(version, kinds, since, ..)| {
        *version == api_version && kinds.contains(&kind) && (major, minor) >= (1, *since)
    })?;
    Some(format!("{api_version} {kind} is deprecated in v1.{since}+, unavailable in v1.{gone}+; use {instead} {kind}"))
}
