//! Which lists are merged by key, which are sets and which are replaced whole.
//!
//! The server knows this from its schema. Here it comes from `managedFields` where they show it, else from a table of
//! the well-known lists; every other list is atomic, which is also what a CRD means when it says nothing.

use serde_json::{Map, Value};

/// How server-side apply merges a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ListShape {
    /// Entries are matched by these fields.
    Keyed(Vec<String>),
    /// Entries are texts; order and others' entries do not matter.
    Set,
    /// The list is one value.
    Atomic,
}

/// Returns the shape that the well-known list `field` of `parent` has. `in_pod_spec` says that the list lies in a pod
/// spec, where names such as `ports` mean a container's.
pub(crate) fn known_shape(kind: &str, parents: &[&str], field: &str) -> ListShape {
    let keys: &[&str] = match field {
        "containers" | "initContainers" | "ephemeralContainers" | "env" | "imagePullSecrets" | "schedulingGates" => {
            &["name"]
        }
        "volumes" | "resourceClaims" | "webhooks" => &["name"],
        "volumeMounts" => &["mountPath"],
        "volumeDevices" => &["devicePath"],
        "hostAliases" => &["ip"],
        "topologySpreadConstraints" => &["topologyKey", "whenUnsatisfiable"],
        "ports" if parents.iter().any(|parent| parent.ends_with("ontainers")) => &["containerPort", "protocol"],
        "ports" if kind == "Service" => &["port", "protocol"],
        "conditions" if parents.first() == Some(&"status") => &["type"],
        "ownerReferences" => &["uid"],
        "secrets" if kind == "ServiceAccount" => &["name"],
        "finalizers" if parents == ["metadata"] => return ListShape::Set,
        _ => return ListShape::Atomic,
    };
    ListShape::Keyed(keys.iter().map(|key| (*key).to_owned()).collect())
}

/// Whether the mapping `field` is replaced whole by the server.
pub(crate) fn is_atomic_map(kind: &str, parents: &[&str], field: &str) -> bool {
    match field {
        "selector" => parents == ["spec"] && (kind == "Service" || kind == "ReplicationController"),
        "nodeSelector" => true,
        _ => false,
    }
}

/// The value of one key field, with the default that the server fills in.
fn key_value<'a>(entry: &'a Map<String, Value>, key: &str) -> Option<std::borrow::Cow<'a, Value>> {
    match entry.get(key) {
        Some(Value::Null) | None if key == "protocol" => Some(std::borrow::Cow::Owned(Value::from("TCP"))),
        Some(Value::Null) | None => None,
        Some(value) => Some(std::borrow::Cow::Borrowed(value)),
    }
}

/// Whether an entry has exactly these key values.
pub(crate) fn has_keys(entry: &Value, keys: &Map<String, Value>) -> bool {
    let Value::Object(entry) = entry else { return false };
    keys.iter().all(|(key, want)| key_value(entry, key).is_some_and(|have| have.as_ref() == want))
}

/// The key of an entry, or `None` when a key field is missing.
pub(crate) fn key_of(entry: &Value, keys: &[String]) -> Option<Map<String, Value>> {
    let entry = entry.as_object()?;
    keys.iter().map(|key| Some((key.clone(), key_value(entry, key)?.into_owned()))).collect()
}

/// The keys of all entries when each has one and no two are equal.
pub(crate) fn unique_keys(list: &[Value], keys: &[String]) -> Option<Vec<Map<String, Value>>> {
    let found: Vec<_> = list.iter().map(|entry| key_of(entry, keys)).collect::<Option<_>>()?;
    let mut texts: Vec<String> = found.iter().map(|key| Value::Object(key.clone()).to_string()).collect();
    texts.sort_unstable();
    let distinct = texts.windows(2).all(|pair| pair.first() != pair.get(1));
    distinct.then_some(found)
}

/// Whether a key field of a list entry has the value that the server fills in; an apply that leaves it out owns it.
pub(crate) fn is_key_default(field: &str, value: &Value) -> bool {
    field == "protocol" && value == "TCP"
}

/// Extra fields that the server fills into entries of atomic lists; they say nothing that Git left out on purpose.
pub(crate) fn is_known_default(field: &str, value: &Value) -> bool {
    match field {
        "protocol" => is_key_default(field, value),
        "volumeMode" => value == "Filesystem",
        "apiGroup" => value == "rbac.authorization.k8s.io" || value == "",
        "pathType" => value == "ImplementationSpecific",
        "defaultMode" => value == 420,
        "operator" => value == "Equal",
        // A volume claim template is stored as a whole object, a field reference with the version it means.
        "apiVersion" => value == "v1",
        "kind" => value == "PersistentVolumeClaim",
        "status" => value.get("phase").is_some_and(|phase| phase == "Pending"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_port_without_protocol_is_a_tcp_port() {
        let keys = ["port".to_owned(), "protocol".to_owned()];
        assert_eq!(key_of(&json!({"port": 80}), &keys), key_of(&json!({"port": 80, "protocol": "TCP"}), &keys));
        assert!(unique_keys(&[json!({"port": 80}), json!({"port": 80, "protocol": "UDP"})], &keys).is_some());
        assert!(unique_keys(&[json!({"port": 80}), json!({"port": 80, "protocol": "TCP"})], &keys).is_none());
    }

    #[test]
    fn ports_mean_different_lists_in_a_container_and_in_a_service() {
        let container = known_shape("Deployment", &["spec", "template", "spec", "containers"], "ports");
        assert_eq!(container, ListShape::Keyed(vec!["containerPort".to_owned(), "protocol".to_owned()]));
        let service = known_shape("Service", &["spec"], "ports");
        assert_eq!(service, ListShape::Keyed(vec!["port".to_owned(), "protocol".to_owned()]));
        assert_eq!(known_shape("NetworkPolicy", &["spec", "ingress"], "ports"), ListShape::Atomic);
    }
}
