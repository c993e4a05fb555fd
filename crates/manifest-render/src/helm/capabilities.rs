//! What charts are told about the cluster and about Helm.

use super::go_text::quote;

/// The version of Kubernetes that a chart is told when nobody names another.
const KUBE_VERSION: &str = "v1.35.0";

/// What `.Capabilities.HelmVersion` says: the release whose behaviour this is.
pub(crate) const HELM_VERSION: [(&str, &str, &str); 5] = [
    ("Version", "version", "v4.1.4"),
    ("GitCommit", "git_commit", "05fa37973dc9e42b76e1d2883494c87174b6074f"),
    ("GitTreeState", "git_tree_state", "clean"),
    ("GoVersion", "go_version", "go1.25.9"),
    ("KubeClientVersion", "kube_client_version", "v1.35"),
];

/// API versions that every chart is told, in Helm's order.
const API_VERSIONS: [&str; 57] = [
    "v1",
    "admissionregistration.k8s.io/v1",
    "admissionregistration.k8s.io/v1alpha1",
    "admissionregistration.k8s.io/v1beta1",
    "internal.apiserver.k8s.io/v1alpha1",
    "apps/v1",
    "apps/v1beta1",
    "apps/v1beta2",
    "authentication.k8s.io/v1",
    "authentication.k8s.io/v1alpha1",
    "authentication.k8s.io/v1beta1",
    "authorization.k8s.io/v1",
    "authorization.k8s.io/v1beta1",
    "autoscaling/v1",
    "autoscaling/v2",
    "autoscaling/v2beta1",
    "autoscaling/v2beta2",
    "batch/v1",
    "batch/v1beta1",
    "certificates.k8s.io/v1",
    "certificates.k8s.io/v1beta1",
    "certificates.k8s.io/v1alpha1",
    "coordination.k8s.io/v1alpha2",
    "coordination.k8s.io/v1beta1",
    "coordination.k8s.io/v1",
    "discovery.k8s.io/v1",
    "discovery.k8s.io/v1beta1",
    "events.k8s.io/v1",
    "events.k8s.io/v1beta1",
    "extensions/v1beta1",
    "flowcontrol.apiserver.k8s.io/v1",
    "flowcontrol.apiserver.k8s.io/v1beta1",
    "flowcontrol.apiserver.k8s.io/v1beta2",
    "flowcontrol.apiserver.k8s.io/v1beta3",
    "networking.k8s.io/v1",
    "networking.k8s.io/v1beta1",
    "node.k8s.io/v1",
    "node.k8s.io/v1alpha1",
    "node.k8s.io/v1beta1",
    "policy/v1",
    "policy/v1beta1",
    "rbac.authorization.k8s.io/v1",
    "rbac.authorization.k8s.io/v1beta1",
    "rbac.authorization.k8s.io/v1alpha1",
    "resource.k8s.io/v1",
    "resource.k8s.io/v1beta2",
    "resource.k8s.io/v1beta1",
    "resource.k8s.io/v1alpha3",
    "scheduling.k8s.io/v1alpha1",
    "scheduling.k8s.io/v1beta1",
    "scheduling.k8s.io/v1",
    "storage.k8s.io/v1beta1",
    "storage.k8s.io/v1",
    "storage.k8s.io/v1alpha1",
    "storagemigration.k8s.io/v1beta1",
    "apiextensions.k8s.io/v1beta1",
    "apiextensions.k8s.io/v1",
];

/// A version of Kubernetes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KubeVersion {
    /// As it was given, with a leading `v`.
    pub version: String,
    /// Without what follows the numbers: what constraints are held against.
    pub normalized: String,
    /// First number.
    pub major: String,
    /// Second number.
    pub minor: String,
}

impl Default for KubeVersion {
    fn default() -> Self {
        Self {
            version: KUBE_VERSION.to_owned(),
            normalized: KUBE_VERSION.to_owned(),
            major: "1".to_owned(),
            minor: "35".to_owned(),
        }
    }
}

impl KubeVersion {
    /// Reads a version such as `1.33`, `v1.33.4` or `v1.33.4-gke.1245000`.
    ///
    /// # Errors
    /// With Helm's message.
    pub fn parse(text: &str) -> Result<Self, String> {
        let fault = |message: String| Err(format!("invalid kube version '{text}': {message}"));
        let trimmed = text.trim_start_matches([' ', '\t', '\n', '\r', '\u{c}']);
        let numbers = trimmed.strip_prefix('v').unwrap_or(trimmed);
        let mut components: Vec<&str> = Vec::new();
        let mut rest = numbers;
        loop {
            let end = rest.find(|character: char| !character.is_ascii_digit()).unwrap_or(rest.len());
            let (digits, after) = rest.split_at_checked(end).unwrap_or((rest, ""));
            if digits.is_empty() {
                break;
            }
            components.push(digits);
            match after.strip_prefix('.') {
                Some(more) => rest = more,
                None => break,
            }
        }
        let (Some(major), minor) = (components.first(), components.get(1)) else {
            return fault(format!("could not parse {} as version", quote(text)));
        };
        let Some(minor) = minor else { return fault(format!("illegal version string {}", quote(text))) };
        if major.starts_with('0') && *major != "0" {
            return fault(format!("illegal zero-prefixed version component {} in {}", quote(major), quote(text)));
        }
        let mut normalized = Vec::with_capacity(components.len());
        for component in &components {
            match component.parse::<u64>() {
                Ok(number) => normalized.push(number.to_string()),
                Err(_) => {
                    return fault(format!(
                        "illegal non-numeric version component {} in {}: strconv.ParseUint: parsing {}: value out of range",
                        quote(component),
                        quote(text),
                        quote(component)
                    ));
                }
            }
        }
        let plain = |text: &str| text.parse::<u64>().map_or_else(|_| text.to_owned(), |number| number.to_string());
        Ok(Self {
            version: if text.starts_with('v') { text.to_owned() } else { format!("v{text}") },
            normalized: format!("v{}", normalized.join(".")),
            major: plain(major),
            minor: plain(minor),
        })
    }
}

/// What a chart is told about the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capabilities {
    /// Version of Kubernetes.
    pub kube_version: KubeVersion,
    /// API versions that are served.
    pub api_versions: Vec<String>,
}

impl Default for Capabilities {
    fn default() -> Self {
        Self {
            kube_version: KubeVersion::default(),
            api_versions: API_VERSIONS.iter().map(ToString::to_string).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_kubernetes_are_read_as_helm_reads_them() {
        let shown = |text: &str| match KubeVersion::parse(text) {
            Ok(it) => format!("{} {} {} {}", it.version, it.normalized, it.major, it.minor),
            Err(message) => message,
        };
        assert_eq!(shown("1.33"), "v1.33 v1.33 1 33");
        assert_eq!(shown("v1.33.4-gke.12"), "v1.33.4-gke.12 v1.33.4 1 33");
        assert_eq!(shown("1.20+"), "v1.20+ v1.20 1 20");
        assert_eq!(shown("x"), "invalid kube version 'x': could not parse \"x\" as version");
        assert_eq!(shown("1"), "invalid kube version '1': illegal version string \"1\"");
    }
}
