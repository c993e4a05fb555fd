//! JSON merge patch (RFC 7386) and JSON patch (RFC 6902).

use serde_json::{Map, Value, json};

use crate::error::ApiError;

/// How many operations a JSON patch may have.
const OPERATIONS_MAX: usize = 10_000;

/// Merges a patch into a value: null removes, objects merge, everything else replaces.
pub(crate) fn merge(target: &mut Value, patch: &Value) {
    let Some(fields) = patch.as_object() else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Some(into) = target.as_object_mut() else { return };
    for (key, value) in fields {
        if value.is_null() {
            into.remove(key);
        } else {
            merge(into.entry(key.clone()).or_insert(Value::Null), value);
        }
    }
}

/// Applies a JSON patch; nothing is changed when an operation fails.
pub(crate) fn json_patch(target: &mut Value, patch: &Value) -> Result<(), ApiError> {
    let Some(operations) = patch.as_array() else {
        let kind = match patch {
            Value::Object(_) => "object",
            Value::String(_) => "string",
            Value::Bool(_) => "bool",
            _ => "number",
        };
        return Err(ApiError::bad_request(format!(
            "error decoding patch: json: cannot unmarshal {kind} into Go value of type []handlers.jsonPatchOp"
        )));
    };
    if operations.len() > OPERATIONS_MAX {
        let message =
            format!("The allowed maximum operations in a JSON patch is {OPERATIONS_MAX}, got {}", operations.len());
        return Err(ApiError::new(413, "RequestEntityTooLarge", message));
    }
    let mut patched = target.clone();
    for operation in operations {
        // The API server keeps what is wrong to itself.
        apply(&mut patched, operation).map_err(|_| {
            ApiError::new(422, "Invalid", "the server rejected our request due to an error in our request")
                .with_details(json!({}))
        })?;
    }
    *target = patched;
    Ok(())
}

fn apply(target: &mut Value, operation: &Value) -> Result<(), String> {
    let text = |key: &str| operation.get(key).and_then(Value::as_str);
    let name = text("op").ok_or("an operation has no op")?;
    let path = text("path").ok_or("an operation has no path")?;
    let value = || operation.get("value").cloned().ok_or_else(|| format!("operation {name} on {path} has no value"));
    let from = || text("from").ok_or_else(|| format!("operation {name} on {path} has no from"));
    match name {
        "add" => add(target, path, value()?),
        "remove" => remove(target, path).map(|_| ()),
        "replace" => {
            let new = value()?;
            if let Some(slot) = find_mut(target, path) {
                *slot = new;
                return Ok(());
            }
            // The library of the API server takes the replacement of a missing key as an addition.
            let (parent, key) = split(path)?;
            match find_mut(target, parent) {
                Some(Value::Object(fields)) => {
                    fields.insert(key, new);
                    Ok(())
                }
                _ => Err(missing("replace", path)),
            }
        }
        "move" => {
            let taken = remove(target, from()?)?;
            add(target, path, taken)
        }
        "copy" => {
            let from = from()?;
            let copied = target.pointer(from).cloned().ok_or_else(|| missing("copy", from))?;
            add(target, path, copied)
        }
        "test" => {
            let want = operation.get("value").unwrap_or(&Value::Null);
            let have = target.pointer(path).unwrap_or(&Value::Null);
            if have == want { Ok(()) } else { Err(format!("testing value {path} failed: test failed")) }
        }
        other => Err(format!("unexpected kind: {other}")),
    }
}

fn missing(operation: &str, path: &str) -> String {
    format!("{operation} operation does not apply: doc is missing key: {path}: missing value")
}

fn find_mut<'a>(target: &'a mut Value, path: &str) -> Option<&'a mut Value> {
    target.pointer_mut(path)
}

fn split(path: &str) -> Result<(&str, String), String> {
    let (parent, last) = path.rsplit_once('/').ok_or_else(|| format!("the path {path} does not begin with /"))?;
    Ok((parent, last.replace("~1", "/").replace("~0", "~")))
}

fn add(target: &mut Value, path: &str, value: Value) -> Result<(), String> {
    if path.is_empty() {
        *target = value;
        return Ok(());
    }
    let (parent, key) = split(path)?;
    match find_mut(target, parent) {
        Some(Value::Object(fields)) => {
            fields.insert(key, value);
            Ok(())
        }
        Some(Value::Array(list)) => {
            let index = if key == "-" { list.len() } else { key.parse().map_err(|_| missing("add", path))? };
            if index > list.len() {
                return Err(format!("add operation does not apply: doc is missing path: {path}: index out of bounds"));
            }
            list.insert(index, value);
            Ok(())
        }
        _ => Err(format!("add operation does not apply: doc is missing path: \"{path}\": missing value")),
    }
}

fn remove(target: &mut Value, path: &str) -> Result<Value, String> {
    let (parent, key) = split(path)?;
    let removed = match find_mut(target, parent) {
        Some(Value::Object(fields)) => fields.remove(&key),
        Some(Value::Array(list)) => {
            key.parse::<usize>().ok().filter(|index| *index < list.len()).map(|index| list.remove(index))
        }
        _ => None,
    };
    removed.ok_or_else(|| format!("remove operation does not apply: doc is missing path: \"{path}\": missing value"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_merge_patch_removes_with_null_and_replaces_lists() {
        let mut target = json!({"a": {"b": 1, "c": 2}, "list": [1, 2]});
        merge(&mut target, &json!({"a": {"b": null, "d": {"e": null, "f": 1}}, "list": [3]}));
        assert_eq!(target, json!({"a": {"c": 2, "d": {"f": 1}}, "list": [3]}));
    }

    #[test]
    fn a_json_patch_applies_in_order_or_not_at_all() {
        let mut target = json!({"a": [1, 2], "b": {"x/y": 1}});
        let patch = json!([
            {"op": "test", "path": "/a/0", "value": 1},
            {"op": "add", "path": "/a/-", "value": 3},
            {"op": "remove", "path": "/a/0"},
            {"op": "replace", "path": "/b/x~1y", "value": 2},
            {"op": "move", "from": "/b/x~1y", "path": "/c"},
            {"op": "copy", "from": "/c", "path": "/a/0"},
        ]);
        json_patch(&mut target, &patch).unwrap();
        assert_eq!(target, json!({"a": [2, 2, 3], "b": {}, "c": 2}));
        let before = target.clone();
        let error =
            json_patch(&mut target, &json!([{"op": "remove", "path": "/c"}, {"op": "test", "path": "/a", "value": 1}]))
                .unwrap_err();
        assert_eq!((error.code, target), (422, before));
    }
}
