//! Changes to objects, and the fields that are claimed through them.

use object_model::{Object, ObjectId};
use serde_json::{Value, json};

/// What is to be done with an object.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Create it.
    Create(Object),
    /// Write it; it carries the uid and resourceVersion that the decision was made on.
    Update(Object),
    /// Delete it, in the life that was looked at; only objects that were made for the owner of the split.
    Delete(Object),
}

/// One object that is to be written.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// Which object.
    pub id: ObjectId,
    /// What to do.
    pub action: Action,
    /// The same as a JSON patch (RFC 6902) that fails when the object is no longer the one that was looked at; empty for
    /// a creation.
    pub patch: Vec<Value>,
    /// What changes, for people.
    pub summary: String,
}

impl Change {
    /// The object as it is to be; one that is to be deleted as it is.
    pub fn object(&self) -> &Object {
        match &self.action {
            Action::Create(object) | Action::Update(object) | Action::Delete(object) => object,
        }
    }

    /// The same, taken out.
    pub fn into_object(self) -> Object {
        match self.action {
            Action::Create(object) | Action::Update(object) | Action::Delete(object) => object,
        }
    }

    pub(crate) fn create(object: Object, summary: String) -> Self {
        Self { id: object.id(), action: Action::Create(object), patch: Vec::new(), summary }
    }

    pub(crate) fn delete(object: &Object, summary: String) -> Self {
        Self { id: object.id(), action: Action::Delete(object.clone()), patch: Vec::new(), summary }
    }

    /// Whether it changes which pods a destination means, not where traffic goes.
    pub fn selects_pods(&self) -> bool {
        matches!(self.id.kind.as_str(), "DestinationRule" | "VirtualNode")
    }

    /// The change from `live` to `wanted`; nothing when they are equal.
    pub(crate) fn update(live: &Object, wanted: Object, summary: String) -> Option<Self> {
        if *live == wanted {
            return None;
        }
        let mut patch = Vec::new();
        for field in ["uid", "resourceVersion"] {
            let pointer = format!("/metadata/{field}");
            if let Some(value) = live.pointer(&pointer) {
                patch.push(json!({"op": "test", "path": pointer, "value": value}));
            }
        }
        difference(&live.to_json(), &wanted.to_json(), "", &mut patch);
        Some(Self { id: live.id(), action: Action::Update(wanted), patch, summary })
    }
}

/// A field of an object that the split owns: sync takes it from the live object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Claim {
    /// The object.
    pub object: ObjectId,
    /// The field, as a JSON pointer (RFC 6901).
    pub pointer: String,
}

/// Writes the operations that turn `old` into `new`; a list whose length changes is replaced whole.
fn difference(old: &Value, new: &Value, pointer: &str, patch: &mut Vec<Value>) {
    match (old, new) {
        (old, new) if old == new => {}
        (Value::Object(old), Value::Object(new)) => {
            for key in old.keys().filter(|key| !new.contains_key(*key)) {
                patch.push(json!({"op": "remove", "path": format!("{pointer}/{}", escaped(key))}));
            }
            for (key, value) in new {
                let path = format!("{pointer}/{}", escaped(key));
                match old.get(key) {
                    Some(before) => difference(before, value, &path, patch),
                    None => patch.push(json!({"op": "add", "path": path, "value": value})),
                }
            }
        }
        (Value::Array(old), Value::Array(new)) if old.len() == new.len() => {
            for (index, (before, after)) in old.iter().zip(new).enumerate() {
                difference(before, after, &format!("{pointer}/{index}"), patch);
            }
        }
        (_, new) => patch.push(json!({"op": "replace", "path": pointer, "value": new})),
    }
}

/// A key as a pointer writes it.
pub(crate) fn escaped(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patch_names_only_what_changes_and_guards_the_object() {
        let live = Object::parse(json!({
            "apiVersion": "v1", "kind": "X", "metadata": {"name": "a", "uid": "u", "resourceVersion": "7"},
            "spec": {"list": [{"weight": 1}, {"weight": 2}], "gone": 1, "grows": [1]},
        }))
        .unwrap();
        let mut wanted = live.clone();
        wanted.set_at(&["spec"], json!({"list": [{"weight": 1}, {"weight": 5}], "new/key": true, "grows": [1, 2]}));
        let change = Change::update(&live, wanted, String::new()).unwrap();
        assert_eq!(
            Value::Array(change.patch),
            json!([
                {"op": "test", "path": "/metadata/uid", "value": "u"},
                {"op": "test", "path": "/metadata/resourceVersion", "value": "7"},
                {"op": "remove", "path": "/spec/gone"},
                {"op": "replace", "path": "/spec/grows", "value": [1, 2]},
                {"op": "replace", "path": "/spec/list/1/weight", "value": 5},
                {"op": "add", "path": "/spec/new~1key", "value": true},
            ])
        );
        assert_eq!(Change::update(&live, live.clone(), String::new()), None);
    }
}
