//! Brings two spellings of one object to one form, so that only real differences are left.
//!
//! What the server sets, what it drops when it stores an object and what means the same in two spellings is taken out
//! before a comparison; nothing here is sent to a server.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use object_model::Object;
use serde_json::{Map, Value};

/// Metadata that only the server writes.
const SERVER_METADATA: [&str; 9] = [
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "generation",
    "generateName",
    "managedFields",
    "resourceVersion",
    "selfLink",
    "uid",
];

/// The annotation in which client-side `kubectl apply` keeps a copy of the object.
pub const LAST_APPLIED_ANNOTATION: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Returns the object without status, server-set metadata and nulls, with a Secret's `stringData` merged into `data`
/// and the rules of an aggregated ClusterRole left to its controller.
pub fn normalise(object: &Object) -> Object {
    let mut normal = object.clone();
    normal.json_mut().remove("status");
    strip_metadata(&mut normal);
    fold_string_data(&mut normal);
    if normal.kind() == "ClusterRole" && normal.pointer("/aggregationRule").is_some_and(|rule| !rule.is_null()) {
        normal.json_mut().remove("rules");
    }
    for value in normal.json_mut().values_mut() {
        drop_nulls(value, 0);
    }
    normal.json_mut().retain(|_, value| !value.is_null());
    normal
}

fn strip_metadata(object: &mut Object) {
    // A name is always there once an object is stored; `generateName` alone is all the identity that a new one has.
    let has_name = !object.name().is_empty();
    let Some(Value::Object(metadata)) = object.json_mut().get_mut("metadata") else { return };
    metadata.retain(|field, _| !SERVER_METADATA.contains(&field.as_str()) || (field == "generateName" && !has_name));
    if let Some(Value::Object(annotations)) = metadata.get_mut("annotations") {
        annotations.remove(LAST_APPLIED_ANNOTATION);
        if annotations.is_empty() {
            metadata.remove("annotations");
        }
    }
}

/// Moves the `stringData` of a Secret into its `data`, as the server does, which keeps nothing of the former: what is applied
/// so is owned field by field, and goes when Git no longer has it.
pub fn fold_string_data(object: &mut Object) {
    if object.kind() != "Secret" || !object.group().is_empty() {
        return;
    }
    let Some(Value::Object(plain)) = object.json_mut().remove("stringData") else { return };
    let (plain, wrong): (Map<String, Value>, Map<String, Value>) =
        plain.into_iter().partition(|(_, value)| value.is_string());
    // What is no text is left for the server to refuse.
    if !wrong.is_empty() {
        object.json_mut().insert("stringData".to_owned(), Value::Object(wrong));
    }
    let data = object.json_mut().entry("data").or_insert_with(|| Value::Object(Map::new()));
    if !data.is_object() {
        *data = Value::Object(Map::new());
    }
    let Value::Object(data) = data else { return };
    for (key, value) in plain {
        if let Value::String(text) = value {
            data.insert(key, STANDARD.encode(text).into());
        }
    }
}

/// Deeper than any API type nests; what lies below is left as it is.
const DEPTH_MAX: usize = 128;

fn drop_nulls(value: &mut Value, depth: usize) {
    if depth > DEPTH_MAX {
        return;
    }
    match value {
        Value::Object(map) => {
            map.retain(|_, value| !value.is_null());
            map.values_mut().for_each(|value| drop_nulls(value, depth + 1));
        }
        Value::Array(list) => list.iter_mut().for_each(|value| drop_nulls(value, depth + 1)),
        _ => {}
    }
}

/// Whether a value says nothing: null, an empty text, list or mapping, zero or false.
pub(crate) fn is_zero(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(yes) => !yes,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
    }
}

/// Whether a mapping or list has nothing in it.
pub(crate) fn is_empty_container(value: &Value) -> bool {
    match value {
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        _ => false,
    }
}

/// Whether a kind is compiled into the API server: such objects pass through Go structs, which drop zero values.
pub(crate) fn is_built_in(group: &str) -> bool {
    !group.contains('.') || (group.ends_with(".k8s.io") && BUILT_IN_GROUPS.contains(&group))
}

const BUILT_IN_GROUPS: [&str; 17] = [
    "admissionregistration.k8s.io",
    "apiextensions.k8s.io",
    "apiregistration.k8s.io",
    "authentication.k8s.io",
    "authorization.k8s.io",
    "certificates.k8s.io",
    "coordination.k8s.io",
    "discovery.k8s.io",
    "events.k8s.io",
    "flowcontrol.apiserver.k8s.io",
    "internal.apiserver.k8s.io",
    "networking.k8s.io",
    "node.k8s.io",
    "rbac.authorization.k8s.io",
    "resource.k8s.io",
    "scheduling.k8s.io",
    "storage.k8s.io",
];

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn object(value: Value) -> Object {
        Object::parse(value).unwrap()
    }

    #[test]
    fn what_only_the_server_writes_is_dropped() {
        let live = object(json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {
                "name": "a", "uid": "1", "resourceVersion": "7", "generation": 2, "managedFields": [{}],
                "creationTimestamp": "2026-01-01T00:00:00Z",
                "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}"},
            },
            "data": {"k": "v", "gone": null}, "status": {"x": 1},
        }));
        assert_eq!(
            normalise(&live).into_json(),
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"k": "v"}})
        );
    }

    #[test]
    fn string_data_wins_over_data_as_it_does_in_the_server() {
        let secret = object(json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"},
            "data": {"p": "b2xk", "q": "eA=="}, "stringData": {"p": "new"},
        }));
        assert_eq!(normalise(&secret).pointer("/data"), Some(&json!({"p": "bmV3", "q": "eA=="})));
        assert_eq!(normalise(&secret).pointer("/stringData"), None);
    }

    #[test]
    fn rules_of_an_aggregated_role_belong_to_its_controller() {
        let role = object(json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "a"},
            "aggregationRule": {"clusterRoleSelectors": []}, "rules": [{"verbs": ["get"]}],
        }));
        assert_eq!(normalise(&role).pointer("/rules"), None);
    }

    #[test]
    fn groups_of_the_api_server_are_told_from_custom_ones() {
        for (group, built_in) in [
            ("", true),
            ("apps", true),
            ("networking.k8s.io", true),
            ("networking.istio.io", false),
            ("gateway.networking.k8s.io", false),
        ] {
            assert_eq!(is_built_in(group), built_in, "{group}");
        }
    }
}
