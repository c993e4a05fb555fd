//! Reads the sections of a Rollout's traffic routing; mistakes are told with their path.

use object_model::{Object, OwnerReference};
use serde_json::{Value, json};

use crate::SplitError;

pub(crate) fn field(path: &str, problem: &str) -> SplitError {
    SplitError::Field { field: path.to_owned(), problem: problem.to_owned() }
}

/// A text that must be there.
pub(crate) fn text(json: &Value, path: &str, key: &str) -> Result<String, SplitError> {
    optional_text(json, key).ok_or_else(|| field(&format!("{path}.{key}"), "is missing"))
}

/// A text that may be absent; an empty one counts as absent.
pub(crate) fn optional_text(json: &Value, key: &str) -> Option<String> {
    json.get(key).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned)
}

pub(crate) fn list<'a>(json: &'a Value, path: &str, key: &str) -> Result<&'a [Value], SplitError> {
    match json.get(key) {
        None | Some(Value::Null) => Ok(&[]),
        Some(Value::Array(items)) => Ok(items),
        Some(_) => Err(field(&format!("{path}.{key}"), "must be a list")),
    }
}

pub(crate) fn texts(json: &Value, path: &str, key: &str) -> Result<Vec<String>, SplitError> {
    let items = list(json, path, key)?.iter().map(|item| item.as_str().map(str::to_owned));
    items.collect::<Option<_>>().ok_or_else(|| field(&format!("{path}.{key}"), "must be a list of strings"))
}

/// The names under `one` or `many`, of which exactly one must be there.
pub(crate) fn one_or_many(json: &Value, path: &str, one: &str, many: &str) -> Result<Vec<String>, SplitError> {
    let single = optional_text(json, one);
    let several = texts(json, path, many)?;
    match (single, several.is_empty()) {
        (Some(single), true) => Ok(vec![single]),
        (None, false) => Ok(several),
        (Some(_), false) => Err(field(path, &format!("must have one of {one} and {many}"))),
        (None, true) => Err(field(path, &format!("must have a {one}"))),
    }
}

/// The owner references of an object that is made for a Rollout.
pub(crate) fn owner_references(owner: &OwnerReference) -> Value {
    json!([{
        "apiVersion": owner.api_version, "kind": owner.kind, "name": owner.name,
        "uid": owner.uid, "controller": true, "blockOwnerDeletion": true,
    }])
}

/// Whether an object's controller is this owner.
pub(crate) fn is_owned(object: &Object, owner: &OwnerReference) -> bool {
    object.controller().is_some_and(|controller| controller.uid == owner.uid)
}
