//! The hash that names a pod template, and what makes two templates the same.

use api::names;
use object_model::{Object, PodHash};
use serde_json::{Value, json};

use super::go_json::{Style, go_json};
use crate::patch::{fnv32, safe_encode};

/// Returns the hash of a pod template for a new ReplicaSet, as Argo computes it: Kubernetes' encoding of FNV-1a 32 over the
/// template's JSON in the order of Go's types, with the collision count behind it.
pub fn pod_hash(template: &Value, collision_count: Option<u32>) -> PodHash {
    hash_of(&go_json("PodTemplateSpec", template, Style::Plain), collision_count)
}

/// The hash that controllers before Kubernetes' libraries 0.34 gave the same template.
pub(super) fn older_pod_hash(template: &Value, collision_count: Option<u32>) -> PodHash {
    hash_of(&go_json("PodTemplateSpec", template, Style::WithTimestamps), collision_count)
}

fn hash_of(text: &str, collision_count: Option<u32>) -> PodHash {
    let mut bytes = text.as_bytes().to_vec();
    if let Some(count) = collision_count {
        bytes.extend_from_slice(&count.to_le_bytes());
        bytes.extend_from_slice(&[0; 4]);
    }
    PodHash::new(&safe_encode(&fnv32(&bytes).to_string()))
}

/// The hash of canary steps as Argo computes it.
pub(super) fn step_hash(steps: &Value) -> String {
    let text = match steps {
        Value::Null => "null".to_owned(),
        steps => go_json("[]CanaryStep", steps, Style::Plain),
    };
    safe_encode(&fnv32(text.as_bytes()).to_string())
}

/// A template in the form in which equal ones have equal texts.
pub(super) fn comparable(template: &Value) -> String {
    go_json("PodTemplateSpec", template, Style::WithoutDefaults)
}

/// The template of a ReplicaSet without what a rollout controller put into it: hash label, metadata for a while, the
/// affinity away from the stable version.
pub(super) fn bare_template(set: &Object) -> Value {
    let mut template = set.pointer("/spec/template").cloned().unwrap_or(Value::Null);
    remove(&mut template, "/metadata/labels", names::POD_TEMPLATE_HASH);
    let injected = set.annotation(names::EPHEMERAL_METADATA).unwrap_or_default();
    let injected: Value = serde_json::from_str(injected).unwrap_or(Value::Null);
    for part in ["labels", "annotations"] {
        for key in injected.get(part).and_then(Value::as_object).into_iter().flatten().map(|(key, _)| key) {
            remove(&mut template, &format!("/metadata/{part}"), key);
        }
    }
    for way in ["requiredDuringSchedulingIgnoredDuringExecution", "preferredDuringSchedulingIgnoredDuringExecution"] {
        let pointer = format!("/spec/affinity/podAntiAffinity/{way}");
        if let Some(terms) = template.pointer_mut(&pointer).and_then(Value::as_array_mut) {
            terms.retain(|term| !is_injected(term));
            if terms.is_empty() {
                remove(&mut template, "/spec/affinity/podAntiAffinity", way);
            }
        }
    }
    for (parent, key) in [("/spec/affinity", "podAntiAffinity"), ("/spec", "affinity")] {
        let is_empty = template.pointer(&format!("{parent}/{key}")).is_some_and(|value| value == &json!({}));
        if is_empty {
            remove(&mut template, parent, key);
        }
    }
    template
}

fn is_injected(term: &Value) -> bool {
    let term = term.get("podAffinityTerm").unwrap_or(term);
    let expressions = term.pointer("/labelSelector/matchExpressions").and_then(Value::as_array);
    let keys: Vec<_> = expressions.into_iter().flatten().filter_map(|item| item.get("key")?.as_str()).collect();
    keys == [names::POD_TEMPLATE_HASH]
}

fn remove(value: &mut Value, parent: &str, key: &str) {
    if let Some(map) = value.pointer_mut(parent).and_then(Value::as_object_mut) {
        map.remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Value {
        json!({
            "metadata": {"labels": {"app": "abort-retry-promote"}},
            "spec": {"containers": [{
                "name": "abort-retry-promote", "image": "nginx:1.19-alpine",
                "resources": {"requests": {"cpu": "1m", "memory": "16Mi"}},
            }]},
        })
    }

    #[test]
    fn hashes_are_those_of_argos_own_tests() {
        let empty = json!({"metadata": {}, "spec": {"containers": null}});
        assert_eq!(pod_hash(&empty, None).as_str(), "658c46c486");
        assert_eq!(older_pod_hash(&empty, None).as_str(), "76bbb58f74");
        assert_eq!(older_pod_hash(&example(), None).as_str(), "7fd9b5545c");
        assert_eq!(pod_hash(&example(), None).as_str(), "67589bccf7");
        assert_ne!(pod_hash(&example(), Some(1)), pod_hash(&example(), None));
    }

    #[test]
    fn step_hashes_are_argos() {
        for (steps, hash) in [
            (Value::Null, "5ffbfbbd64"),
            (json!([{"pause": {}}]), "6b9b86fbd5"),
            (json!([{"pause": {}}, {"pause": {}}]), "79c9b9f6bf"),
        ] {
            assert_eq!(step_hash(&steps), hash, "{steps}");
        }
    }

    #[test]
    fn what_the_server_adds_makes_no_other_template_and_what_people_change_does() {
        let wanted = comparable(&example());
        let live = Object::parse(json!({
            "apiVersion": "apps/v1", "kind": "ReplicaSet",
            "metadata": {"name": "x", "annotations": {names::EPHEMERAL_METADATA: r#"{"labels":{"role":"canary"}}"#}},
            "spec": {"template": {
                "metadata": {"creationTimestamp": null, "labels": {"app": "abort-retry-promote", "role": "canary", names::POD_TEMPLATE_HASH: "abc"}},
                "spec": {
                    "restartPolicy": "Always", "dnsPolicy": "ClusterFirst", "schedulerName": "default-scheduler",
                    "terminationGracePeriodSeconds": 30, "securityContext": {},
                    "affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [
                        {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchExpressions": [
                            {"key": names::POD_TEMPLATE_HASH, "operator": "In", "values": ["def"]}]}}]}},
                    "containers": [{
                        "name": "abort-retry-promote", "image": "nginx:1.19-alpine", "imagePullPolicy": "IfNotPresent",
                        "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File",
                        "resources": {"requests": {"cpu": "0.001", "memory": "16384Ki"}},
                    }],
                },
            }},
        }));
        let live = bare_template(&live.unwrap());
        assert_eq!(comparable(&live), wanted);
        for (pointer, value) in [
            ("/metadata/labels/app", json!("other")),
            ("/spec/restartPolicy", json!("Never")),
            ("/spec/containers/0/image", json!("nginx:1.20")),
            ("/spec/containers/0/imagePullPolicy", json!("Always")),
            ("/spec/containers/0/resources/requests/cpu", json!("2m")),
        ] {
            let mut other = live.clone();
            *other.pointer_mut(pointer).unwrap() = value;
            assert_ne!(comparable(&other), wanted, "{pointer}");
        }
    }

    #[test]
    fn a_field_that_no_table_knows_makes_another_version() {
        let mut newer = example();
        newer["spec"]["inventedTomorrow"] = json!(true);
        assert_ne!(pod_hash(&newer, None), pod_hash(&example(), None));
        assert_ne!(comparable(&newer), comparable(&example()));
    }
}
