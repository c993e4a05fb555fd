//! Values as Go's formatting verbs print them inside messages, and as Go's encoder writes them.

use serde_json::{Map, Value};

/// As `%v` prints it: `map[a:1 b:[x y]]`.
pub(crate) fn plain(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".to_owned(),
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::Array(items) => format!("[{}]", items.iter().map(plain).collect::<Vec<_>>().join(" ")),
        Value::Object(fields) => {
            let parts: Vec<String> =
                in_order(fields).into_iter().map(|(key, value)| format!("{key}:{}", plain(value))).collect();
            format!("map[{}]", parts.join(" "))
        }
    }
}

/// As `%#v` prints it: `map[string]interface {}{"a":1}`.
pub(crate) fn debug(value: &Value) -> String {
    match value {
        Value::Null => "interface {}(nil)".to_owned(),
        Value::String(_) | Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::Array(items) => {
            format!("[]interface {{}}{{{}}}", items.iter().map(debug).collect::<Vec<_>>().join(", "))
        }
        Value::Object(fields) => {
            let parts: Vec<String> =
                in_order(fields).into_iter().map(|(key, value)| format!("{key:?}:{}", debug(value))).collect();
            format!("map[string]interface {{}}{{{}}}", parts.join(", "))
        }
    }
}

/// As `%T` prints it.
pub(crate) fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "<nil>",
        Value::String(_) => "string",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float64",
        Value::Number(_) => "int64",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
    }
}

/// What Go's JSON decoder calls a value.
pub(crate) fn json_word(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn in_order(fields: &Map<String, Value>) -> Vec<(&String, &Value)> {
    let mut pairs: Vec<_> = fields.iter().collect();
    pairs.sort_by_key(|(key, _)| *key);
    pairs
}

const METADATA: &[&str] = &[
    "name",
    "generateName",
    "namespace",
    "selfLink",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "labels",
    "annotations",
    "ownerReferences",
    "finalizers",
    "managedFields",
];

const MANAGED_FIELDS: &[&str] =
    &["manager", "operation", "apiVersion", "time", "fieldsType", "fieldsV1", "subresource"];

/// The JSON of an object whose metadata comes from Go's type and whose other fields come from a map.
pub(crate) fn object_json(object: &Value) -> String {
    let Some(fields) = object.as_object() else { return object.to_string() };
    let parts = in_order(fields).into_iter().map(|(key, value)| {
        let text = if key == "metadata" { metadata_json(value) } else { value.to_string() };
        format!("{}:{text}", Value::from(key.as_str()))
    });
    format!("{{{}}}", parts.collect::<Vec<_>>().join(","))
}

/// JSON with all keys in order.
pub(crate) fn sorted_json(value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            let parts = in_order(fields)
                .into_iter()
                .map(|(key, value)| format!("{}:{}", Value::from(key.as_str()), sorted_json(value)));
            format!("{{{}}}", parts.collect::<Vec<_>>().join(","))
        }
        Value::Array(items) => format!("[{}]", items.iter().map(sorted_json).collect::<Vec<_>>().join(",")),
        other => other.to_string(),
    }
}

fn metadata_json(metadata: &Value) -> String {
    ordered_json(metadata, METADATA, |key, value| match value {
        Value::Array(entries) if key == "managedFields" => {
            let entries: Vec<String> =
                entries.iter().map(|entry| ordered_json(entry, MANAGED_FIELDS, |_, value| value.to_string())).collect();
            format!("[{}]", entries.join(","))
        }
        _ => value.to_string(),
    })
}

fn ordered_json(value: &Value, order: &[&str], write: impl Fn(&str, &Value) -> String) -> String {
    let Some(fields) = value.as_object() else { return value.to_string() };
    let known = order.iter().filter_map(|key| Some((*key, fields.get(*key)?)));
    let others = in_order(fields).into_iter().filter(|(key, _)| !order.contains(&key.as_str()));
    let parts = known
        .chain(others.map(|(key, value)| (key.as_str(), value)))
        .map(|(key, value)| format!("{}:{}", Value::from(key), write(key, value)));
    format!("{{{}}}", parts.collect::<Vec<_>>().join(","))
}

const OWNER: &[&str] = &["apiVersion", "kind", "name", "uid", "controller", "blockOwnerDeletion"];

/// The JSON of an owner reference as Go's type writes it.
pub(crate) fn owner_json(owner: &Value) -> String {
    ordered_json(owner, OWNER, |_, value| value.to_string())
}

/// The JSON of a list of owner references.
pub(crate) fn owners_json(owners: &[Value]) -> String {
    format!("[{}]", owners.iter().map(owner_json).collect::<Vec<_>>().join(","))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_are_shown_as_go_shows_them() {
        let value = json!({"b": [1, "x"], "a": {"c": null, "d": true}});
        assert_eq!(plain(&value), "map[a:map[c:<nil> d:true] b:[1 x]]");
        assert_eq!(debug(&json!({"a": [1, "x"]})), r#"map[string]interface {}{"a":[]interface {}{1, "x"}}"#);
        assert_eq!(
            object_json(&json!({"metadata": {"uid": "u", "name": "n", "labels": {}}, "apiVersion": "v1"})),
            r#"{"apiVersion":"v1","metadata":{"name":"n","uid":"u","labels":{}}}"#
        );
    }
}
