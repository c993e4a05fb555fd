//! Reads `metadata.managedFields`: which field manager owns which field.

use std::collections::BTreeMap;

use object_model::Object;
use serde_json::{Map, Value};

/// A set of fields as `FieldsV1` writes it.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct FieldSet {
    /// The field itself is in the set: it is a leaf, or it carries the `.` mark.
    pub(crate) member: bool,
    /// Fields below, by name.
    pub(crate) fields: BTreeMap<String, FieldSet>,
    /// Entries of a keyed list below, by their key.
    pub(crate) entries: Vec<(Map<String, Value>, FieldSet)>,
    /// Entries of a set below.
    pub(crate) values: Vec<Value>,
}

/// Deeper than any API type nests.
const DEPTH_MAX: usize = 128;

impl FieldSet {
    /// The union of what `matches` managers own, without entries for subresources.
    pub(crate) fn of(live: &Object, matches: impl Fn(&Value) -> bool) -> Option<Self> {
        let list = live.list_at("/metadata/managedFields");
        let mut found = None;
        for entry in list.iter().filter(|entry| matches(entry)) {
            if let Some(fields) = entry.get("fieldsV1") {
                found.get_or_insert_with(Self::default).add(fields, 0);
            }
        }
        found
    }

    /// What `manager` owns by server-side apply.
    pub(crate) fn applied_by(live: &Object, manager: &str) -> Option<Self> {
        Self::of(live, |entry| {
            let text = |field: &str| entry.get(field).and_then(Value::as_str).unwrap_or_default();
            text("manager") == manager && text("operation") == "Apply" && text("subresource").is_empty()
        })
    }

    fn add(&mut self, fields: &Value, depth: usize) {
        let Value::Object(map) = fields else { return };
        if map.is_empty() {
            self.member = true;
        }
        if depth > DEPTH_MAX {
            return;
        }
        for (key, below) in map {
            match key.split_once(':') {
                Some(("f", name)) => self.fields.entry(name.to_owned()).or_default().add(below, depth + 1),
                Some(("k", text)) => self.add_entry(text, below, depth),
                Some(("v", text)) => self.values.extend(serde_json::from_str::<Value>(text)),
                _ if key == "." => self.member = true,
                _ => {}
            }
        }
    }

    fn add_entry(&mut self, text: &str, below: &Value, depth: usize) {
        let Ok(key) = serde_json::from_str::<Map<String, Value>>(text) else { return };
        if let Some((_, set)) = self.entries.iter_mut().find(|(have, _)| *have == key) {
            set.add(below, depth + 1);
            return;
        }
        let mut set = Self::default();
        set.add(below, depth + 1);
        self.entries.push((key, set));
    }

    /// The set below the entry with this key.
    pub(crate) fn entry(&self, key: &Map<String, Value>) -> Option<&Self> {
        self.entries.iter().find(|(have, _)| have == key).map(|(_, set)| set)
    }

    /// The names of the key fields, when this is a keyed list.
    pub(crate) fn key_names(&self) -> Option<Vec<String>> {
        self.entries.first().map(|(key, _)| key.keys().cloned().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn fields_of_one_manager_are_told_from_those_of_others() {
        let live = Object::parse(json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": "a", "managedFields": [
                {"manager": "sluice", "operation": "Apply", "fieldsV1": {"f:spec": {"f:ports": {
                    "k:{\"port\":80,\"protocol\":\"TCP\"}": {".": {}, "f:port": {}}}}}},
                {"manager": "other", "operation": "Update", "fieldsV1": {"f:spec": {"f:type": {}}}},
                {"manager": "sluice", "operation": "Apply", "subresource": "status", "fieldsV1": {"f:status": {}}},
            ]},
        }))
        .unwrap();
        let ours = FieldSet::applied_by(&live, "sluice").unwrap();
        let spec = &ours.fields["spec"];
        assert!(!spec.fields.contains_key("type"));
        assert!(!ours.fields.contains_key("status"));
        let ports = &spec.fields["ports"];
        assert_eq!(ports.key_names(), Some(vec!["port".to_owned(), "protocol".to_owned()]));
        let key = json!({"port": 80, "protocol": "TCP"});
        assert!(ports.entry(key.as_object().unwrap()).unwrap().member);
        assert!(FieldSet::applied_by(&live, "nobody").is_none());
    }
}
