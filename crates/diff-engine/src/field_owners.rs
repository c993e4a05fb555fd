//! Who wrote a field: the field managers that the server names, for "not from Git: who".

use object_model::Object;
use serde_json::{Map, Value};

use crate::list_shape;

/// One field manager that owns a field.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct FieldOwner {
    /// Its name, such as `kubectl-edit`.
    pub manager: String,
    /// `Apply` or `Update`.
    pub operation: String,
    /// The subresource that was written; empty for the object itself.
    pub subresource: String,
    /// When it wrote last, as `metav1.Time`.
    pub time: String,
}

/// Returns the field managers that own the field at a JSON pointer of a live object, or anything below it, the latest
/// first. The pointer of a [`crate::Change`] fits.
pub fn field_owners(live: &Object, pointer: &str) -> Vec<FieldOwner> {
    let steps: Vec<String> =
        pointer.split('/').skip(1).map(|step| step.replace("~1", "/").replace("~0", "~")).collect();
    let whole = live.to_json();
    let owns = |entry: &&Value| entry.get("fieldsV1").is_some_and(|fields| reaches(fields, &whole, &steps));
    let mut owners: Vec<FieldOwner> = live.list_at("/metadata/managedFields").iter().filter(owns).map(owner).collect();
    owners.sort_by(|left, right| right.time.cmp(&left.time).then_with(|| left.cmp(right)));
    owners
}

fn owner(entry: &Value) -> FieldOwner {
    let text = |field: &str| entry.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
    FieldOwner {
        manager: text("manager"),
        operation: text("operation"),
        subresource: text("subresource"),
        time: text("time"),
    }
}

/// Whether a set of fields holds the field that the steps lead to. A set that ends above it holds it whole: that is an
/// atomic value.
fn reaches(fields: &Value, value: &Value, steps: &[String]) -> bool {
    let Some((step, rest)) = steps.split_first() else { return true };
    let Value::Object(set) = fields else { return false };
    if set.is_empty() {
        return true;
    }
    let (key, below) = match value {
        Value::Object(map) => (format!("f:{step}"), map.get(step)),
        Value::Array(list) => {
            let entry = step.parse::<usize>().ok().and_then(|index| list.get(index));
            let Some(key) = entry.and_then(|entry| entry_key(set, entry)) else { return false };
            (key, entry)
        }
        _ => return false,
    };
    set.get(&key).is_some_and(|fields| reaches(fields, below.unwrap_or(&Value::Null), rest))
}

/// The key under which a set has a list entry.
fn entry_key(set: &Map<String, Value>, entry: &Value) -> Option<String> {
    set.keys().find(|key| is_key_of(key, entry)).cloned()
}

fn is_key_of(key: &str, entry: &Value) -> bool {
    match key.split_once(':') {
        Some(("k", text)) => {
            serde_json::from_str::<Map<String, Value>>(text).is_ok_and(|keys| list_shape::has_keys(entry, &keys))
        }
        Some(("v", text)) => serde_json::from_str::<Value>(text).is_ok_and(|value| value == *entry),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_writer_of_a_field_is_named_the_latest_first() {
        let live = Object::parse(json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "web", "managedFields": [
                {"manager": "sluice", "operation": "Apply", "time": "2026-01-01T00:00:00Z", "fieldsV1": {"f:spec": {
                    "f:replicas": {}, "f:selector": {},
                    "f:template": {"f:spec": {"f:containers": {"k:{\"name\":\"web\"}": {".": {}, "f:image": {}}}}},
                }}},
                {"manager": "kubectl-edit", "operation": "Update", "time": "2026-01-02T00:00:00Z", "fieldsV1": {"f:spec": {
                    "f:template": {"f:spec": {"f:containers": {"k:{\"name\":\"web\"}": {"f:image": {}}}}}}}},
                {"manager": "kube-controller-manager", "operation": "Update", "subresource": "scale", "time": "2026-01-03T00:00:00Z",
                    "fieldsV1": {"f:spec": {"f:replicas": {}}}},
            ]},
            "spec": {
                "replicas": 2, "selector": {"matchLabels": {"app": "web"}},
                "template": {"spec": {"containers": [{"name": "side"}, {"name": "web", "image": "x"}]}},
            },
        }))
        .unwrap();
        let names = |pointer: &str| {
            let owners = field_owners(&live, pointer);
            owners.iter().map(|owner| format!("{} {}", owner.manager, owner.operation)).collect::<Vec<_>>().join(", ")
        };
        assert_eq!(names("/spec/template/spec/containers/1/image"), "kubectl-edit Update, sluice Apply");
        assert_eq!(names("/spec/template/spec/containers/0/image"), "");
        assert_eq!(names("/spec/replicas"), "kube-controller-manager Update, sluice Apply");
        assert_eq!(names("/spec/selector/matchLabels/app"), "sluice Apply", "an atomic value is owned whole");
        assert_eq!(names("/spec/nothing"), "");
    }
}
