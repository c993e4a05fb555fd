//! A Kubernetes object as raw JSON with accessors for the metadata that decisions read.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{Gvk, ObjectId, OwnerReference, Timestamp, Uid, parse_time};

/// Why a JSON value is not a Kubernetes object.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ObjectError {
    /// The value is a list, a string or another scalar.
    #[error("a Kubernetes object must be a mapping, this is {found}")]
    NotAMapping {
        /// What it is instead, in words.
        found: &'static str,
    },
    /// `apiVersion`, `kind` or `metadata.name` is absent or not a string.
    #[error("`{field}` is missing or not a string")]
    MissingField {
        /// The path of the field.
        field: &'static str,
    },
}

/// A Kubernetes object: any JSON mapping with `apiVersion`, `kind` and a name.
///
/// The JSON is kept whole; accessors never fail, they answer `None` or empty for what is absent or of a wrong type.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Object {
    json: Map<String, Value>,
}

impl Object {
    /// Takes a JSON value that names its `apiVersion`, `kind` and `metadata.name` (or `metadata.generateName`).
    ///
    /// # Errors
    /// When the value is not a mapping or one of the three is missing.
    pub fn parse(value: Value) -> Result<Self, ObjectError> {
        let object = Self::from_json(value)?;
        if object.api_version().is_empty() {
            return Err(ObjectError::MissingField { field: "apiVersion" });
        }
        if object.kind().is_empty() {
            return Err(ObjectError::MissingField { field: "kind" });
        }
        if object.name().is_empty() && object.meta_str("generateName").is_none() {
            return Err(ObjectError::MissingField { field: "metadata.name" });
        }
        Ok(object)
    }

    /// Takes any JSON mapping, for example a partial object or a patch.
    ///
    /// # Errors
    /// When the value is not a mapping.
    pub fn from_json(value: Value) -> Result<Self, ObjectError> {
        match value {
            Value::Object(json) => Ok(Self { json }),
            Value::Null => Err(ObjectError::NotAMapping { found: "null" }),
            Value::Bool(_) => Err(ObjectError::NotAMapping { found: "a boolean" }),
            Value::Number(_) => Err(ObjectError::NotAMapping { found: "a number" }),
            Value::String(_) => Err(ObjectError::NotAMapping { found: "a string" }),
            Value::Array(_) => Err(ObjectError::NotAMapping { found: "a list" }),
        }
    }

    /// Returns an object with only its identity.
    pub fn new(api_version: &str, kind: &str, namespace: Option<&str>, name: &str) -> Self {
        let mut metadata = Map::new();
        metadata.insert("name".to_owned(), name.into());
        if let Some(namespace) = namespace {
            metadata.insert("namespace".to_owned(), namespace.into());
        }
        let mut json = Map::new();
        json.insert("apiVersion".to_owned(), api_version.into());
        json.insert("kind".to_owned(), kind.into());
        json.insert("metadata".to_owned(), Value::Object(metadata));
        Self { json }
    }

    /// The whole object as JSON.
    pub fn json(&self) -> &Map<String, Value> {
        &self.json
    }

    /// The whole object as JSON, to change it.
    pub fn json_mut(&mut self) -> &mut Map<String, Value> {
        &mut self.json
    }

    /// Gives up the wrapper.
    pub fn into_json(self) -> Value {
        Value::Object(self.json)
    }

    /// A copy of the JSON as a value.
    pub fn to_json(&self) -> Value {
        Value::Object(self.json.clone())
    }

    /// `apiVersion`, or empty.
    pub fn api_version(&self) -> &str {
        self.json.get("apiVersion").and_then(Value::as_str).unwrap_or_default()
    }

    /// `kind`, or empty.
    pub fn kind(&self) -> &str {
        self.json.get("kind").and_then(Value::as_str).unwrap_or_default()
    }

    /// The API group: the part of `apiVersion` before the slash, empty for the core group.
    pub fn group(&self) -> &str {
        self.api_version().split_once('/').map_or("", |(group, _)| group)
    }

    /// Group, version and kind.
    pub fn gvk(&self) -> Gvk {
        Gvk::from_api_version(self.api_version(), self.kind())
    }

    /// The identity that survives a change of API version.
    pub fn id(&self) -> ObjectId {
        ObjectId::new(self.group(), self.kind(), self.namespace(), self.name())
    }

    /// `metadata.name`, or empty.
    pub fn name(&self) -> &str {
        self.meta_str("name").unwrap_or_default()
    }

    /// `metadata.namespace` when it is set and not empty.
    pub fn namespace(&self) -> Option<&str> {
        self.meta_str("namespace").filter(|namespace| !namespace.is_empty())
    }

    /// Sets `metadata.namespace`.
    pub fn set_namespace(&mut self, namespace: &str) {
        self.metadata_mut().insert("namespace".to_owned(), namespace.into());
    }

    /// `metadata.uid` when the object came from a cluster.
    pub fn uid(&self) -> Option<Uid> {
        self.meta_str("uid").map(Uid::new)
    }

    /// `metadata.resourceVersion` when the object came from a cluster.
    pub fn resource_version(&self) -> Option<&str> {
        self.meta_str("resourceVersion")
    }

    /// `metadata.generation`, 0 when absent.
    pub fn generation(&self) -> i64 {
        self.metadata().and_then(|metadata| metadata.get("generation")).and_then(Value::as_i64).unwrap_or(0)
    }

    /// `metadata.creationTimestamp`.
    pub fn creation_time(&self) -> Option<Timestamp> {
        self.meta_str("creationTimestamp").and_then(parse_time)
    }

    /// When anything but its subresources (its status) was last written, to the second, by `metadata.managedFields`; its
    /// creation where they say nothing.
    pub fn changed_at(&self) -> Option<Timestamp> {
        let is_of_object = |entry: &&Value| entry.get("subresource").is_none();
        let time_of = |entry: &Value| entry.get("time").and_then(Value::as_str).and_then(parse_time);
        let writes = self.list_at("/metadata/managedFields").iter().filter(is_of_object).filter_map(time_of);
        writes.chain(self.creation_time()).max()
    }

    /// `metadata.deletionTimestamp`: the object is being deleted.
    pub fn deletion_time(&self) -> Option<Timestamp> {
        self.meta_str("deletionTimestamp").and_then(parse_time)
    }

    /// Whether a deletion has begun.
    pub fn is_deleting(&self) -> bool {
        self.meta_str("deletionTimestamp").is_some()
    }

    /// One label.
    pub fn label(&self, key: &str) -> Option<&str> {
        self.metadata()?.get("labels")?.get(key)?.as_str()
    }

    /// One annotation.
    pub fn annotation(&self, key: &str) -> Option<&str> {
        self.metadata()?.get("annotations")?.get(key)?.as_str()
    }

    /// All labels that are strings.
    pub fn labels(&self) -> BTreeMap<&str, &str> {
        self.string_map("labels")
    }

    /// All annotations that are strings.
    pub fn annotations(&self) -> BTreeMap<&str, &str> {
        self.string_map("annotations")
    }

    /// Sets one label.
    pub fn set_label(&mut self, key: &str, value: &str) {
        self.set_in_metadata("labels", key, value);
    }

    /// Sets one annotation.
    pub fn set_annotation(&mut self, key: &str, value: &str) {
        self.set_in_metadata("annotations", key, value);
    }

    /// All owner references that have a uid, a kind and a name.
    pub fn owner_references(&self) -> Vec<OwnerReference> {
        let Some(Value::Array(list)) = self.metadata().and_then(|metadata| metadata.get("ownerReferences")) else {
            return Vec::new();
        };
        list.iter().filter_map(|item| serde_json::from_value(item.clone()).ok()).collect()
    }

    /// The owner reference with `controller: true`.
    pub fn controller(&self) -> Option<OwnerReference> {
        self.owner_references().into_iter().find(|owner| owner.controller)
    }

    /// The value at a JSON pointer (RFC 6901).
    pub fn pointer(&self, pointer: &str) -> Option<&Value> {
        let (first, rest) = split_pointer(pointer)?;
        let value = self.json.get(&first)?;
        if rest.is_empty() { Some(value) } else { value.pointer(rest) }
    }

    /// The string at a JSON pointer.
    pub fn str_at(&self, pointer: &str) -> Option<&str> {
        self.pointer(pointer).and_then(Value::as_str)
    }

    /// The integer at a JSON pointer.
    pub fn int_at(&self, pointer: &str) -> Option<i64> {
        self.pointer(pointer).and_then(Value::as_i64)
    }

    /// The boolean at a JSON pointer.
    pub fn bool_at(&self, pointer: &str) -> Option<bool> {
        self.pointer(pointer).and_then(Value::as_bool)
    }

    /// The list at a JSON pointer, empty when absent.
    pub fn list_at(&self, pointer: &str) -> &[Value] {
        match self.pointer(pointer) {
            Some(Value::Array(list)) => list,
            _ => &[],
        }
    }

    /// Sets the value at a path of mapping keys, making mappings on the way where there are none.
    pub fn set_at(&mut self, path: &[&str], value: Value) {
        let Some((last, parents)) = path.split_last() else { return };
        let mut map = &mut self.json;
        for key in parents {
            let slot = map.entry((*key).to_owned()).or_insert_with(|| Value::Object(Map::new()));
            if !slot.is_object() {
                *slot = Value::Object(Map::new());
            }
            let Value::Object(next) = slot else { return };
            map = next;
        }
        map.insert((*last).to_owned(), value);
    }

    fn metadata(&self) -> Option<&Map<String, Value>> {
        self.json.get("metadata")?.as_object()
    }

    fn metadata_mut(&mut self) -> &mut Map<String, Value> {
        let slot = self.json.entry("metadata").or_insert_with(|| Value::Object(Map::new()));
        if !slot.is_object() {
            *slot = Value::Object(Map::new());
        }
        match slot {
            Value::Object(map) => map,
            _ => unreachable!("the slot was made a mapping just above"),
        }
    }

    fn meta_str(&self, field: &str) -> Option<&str> {
        self.metadata()?.get(field)?.as_str()
    }

    fn string_map(&self, field: &str) -> BTreeMap<&str, &str> {
        let Some(Value::Object(map)) = self.metadata().and_then(|metadata| metadata.get(field)) else {
            return BTreeMap::new();
        };
        map.iter().filter_map(|(key, value)| Some((key.as_str(), value.as_str()?))).collect()
    }

    fn set_in_metadata(&mut self, field: &str, key: &str, value: &str) {
        let slot = self.metadata_mut().entry(field).or_insert_with(|| Value::Object(Map::new()));
        if !slot.is_object() {
            *slot = Value::Object(Map::new());
        }
        if let Value::Object(map) = slot {
            map.insert(key.to_owned(), value.into());
        }
    }
}

/// Splits a pointer into its first token, unescaped, and the rest as a pointer again.
fn split_pointer(pointer: &str) -> Option<(String, &str)> {
    let tail = pointer.strip_prefix('/')?;
    let (first, rest) = match tail.find('/') {
        Some(at) => tail.split_at(at),
        None => (tail, ""),
    };
    Some((first.replace("~1", "/").replace("~0", "~"), rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_scalar_is_refused_with_what_it_is() {
        assert_eq!(
            Object::parse(json!([1])).unwrap_err().to_string(),
            "a Kubernetes object must be a mapping, this is a list"
        );
    }

    #[test]
    fn a_missing_kind_is_named() {
        let error = Object::parse(json!({"apiVersion": "v1", "metadata": {"name": "a"}})).unwrap_err();
        assert_eq!(error.to_string(), "`kind` is missing or not a string");
    }

    #[test]
    fn a_wrongly_typed_field_reads_as_absent() {
        let object = Object::parse(
            json!({"apiVersion": "v1", "kind": "X", "metadata": {"name": "a", "labels": 3, "generation": "x"}}),
        )
        .unwrap();
        assert_eq!(object.label("a"), None);
        assert_eq!(object.generation(), 0);
    }

    #[test]
    fn set_at_makes_the_mappings_on_the_way() {
        let mut object = Object::new("v1", "ConfigMap", None, "a");
        object.set_at(&["data", "key"], json!("value"));
        assert_eq!(object.str_at("/data/key"), Some("value"));
        object.set_at(&["metadata", "annotations", "a/b"], json!("c"));
        assert_eq!(object.str_at("/metadata/annotations/a~1b"), Some("c"));
    }
}
