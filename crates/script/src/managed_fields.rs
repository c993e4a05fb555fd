//! Shows `metadata.managedFields` as people read it: one line for each manager, its fields as paths.

use serde_json::{Map, Value, json};

/// Returns the entries with their fields written as sorted paths; anything else stays as it is.
pub(crate) fn shown(value: &Value) -> Value {
    let Value::Array(entries) = value else { return value.clone() };
    let mut shown: Vec<Value> = entries.iter().map(entry).collect();
    // The server orders entries by time, which is the same second or the next by chance.
    shown.sort_by_cached_key(|entry| {
        let text = |key: &str| entry.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        (text("operation"), text("manager"), text("subresource"), text("apiVersion"))
    });
    Value::Array(shown)
}

fn entry(entry: &Value) -> Value {
    let Value::Object(fields) = entry else { return entry.clone() };
    let mut shown: Map<String, Value> = fields.clone();
    shown.remove("time");
    if let Some(owned) = shown.remove("fieldsV1") {
        let mut paths = Vec::new();
        collect(&owned, "", &mut paths);
        paths.sort();
        shown.insert("fields".to_owned(), json!(paths));
    }
    Value::Object(shown)
}

fn collect(owned: &Value, path: &str, paths: &mut Vec<String>) {
    let Value::Object(children) = owned else { return };
    if children.is_empty() && !path.is_empty() {
        paths.push(path.to_owned());
        return;
    }
    for (key, child) in children {
        match key.split_once(':') {
            None if key == "." => paths.push(format!("{path} (itself)")),
            Some(("f", name)) => collect(child, &format!("{path}.{name}"), paths),
            Some((_, selector)) => collect(child, &format!("{path}[{selector}]"), paths),
            None => collect(child, &format!("{path}/{key}"), paths),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_shown_as_paths() {
        let entries = json!([{
            "manager": "m", "operation": "Apply", "time": "T", "fieldsType": "FieldsV1",
            "fieldsV1": {"f:spec": {"f:replicas": {}, "f:containers": {"k:{\"name\":\"a\"}": {".": {}, "f:image": {}}}}},
        }]);
        assert_eq!(
            shown(&entries),
            json!([{
                "manager": "m", "operation": "Apply", "fieldsType": "FieldsV1",
                "fields": [
                    ".spec.containers[{\"name\":\"a\"}] (itself)", ".spec.containers[{\"name\":\"a\"}].image", ".spec.replicas",
                ],
            }])
        );
    }
}
