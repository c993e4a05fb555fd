//! Takes out of what is to be applied the fields that field managers own whom the user named, so that an apply does not
//! take back what a comparison leaves to them.

use object_model::Object;
use serde_json::{Map, Value};

use crate::field_set::FieldSet;
use crate::ignore::IgnoreRule;
use crate::list_shape;

/// Deeper than any API type nests.
const DEPTH_MAX: usize = 128;

/// Returns `desired` without the fields that the managers of `rules` own on `live` and `field_manager` (ours) does not.
pub(crate) fn leave_to_others(desired: Object, live: &Object, rules: &[IgnoreRule], field_manager: &str) -> Object {
    let named = |manager: &str| {
        let covering = rules.iter().filter(|rule| !rule.managers.is_empty() && rule.covers(live));
        covering.flat_map(|rule| &rule.managers).any(|name| name == manager)
    };
    if rules.iter().all(|rule| rule.managers.is_empty()) {
        return desired;
    }
    let theirs = FieldSet::of(live, |entry| {
        let manager = entry.get("manager").and_then(Value::as_str).unwrap_or_default();
        manager != field_manager && named(manager)
    });
    let Some(theirs) = theirs else { return desired };
    let ours = FieldSet::applied_by(live, field_manager);
    let mut left = desired.to_json();
    leave(&mut left, &theirs, ours.as_ref(), 0);
    Object::from_json(left).unwrap_or(desired)
}

fn leave(desired: &mut Value, theirs: &FieldSet, ours: Option<&FieldSet>, depth: usize) {
    if depth > DEPTH_MAX {
        return;
    }
    match desired {
        Value::Object(fields) => {
            fields.retain(|name, want| {
                let Some(theirs) = theirs.fields.get(name) else { return true };
                let ours = ours.and_then(|set| set.fields.get(name));
                if is_leaf(theirs) {
                    return ours.is_some_and(|set| set.member);
                }
                leave(want, theirs, ours, depth + 1);
                true
            });
        }
        Value::Array(entries) => {
            for entry in entries {
                let of_entry = |set: &FieldSet| {
                    let found = set.entries.iter().find(|(key, _)| list_shape::has_keys(entry, key));
                    found.map(|(key, set)| without_keys(set, key))
                };
                if let Some(theirs) = of_entry(theirs) {
                    leave(entry, &theirs, ours.and_then(of_entry).as_ref(), depth + 1);
                }
            }
        }
        _ => {}
    }
}

/// Nothing is told apart below it: a scalar, or a value that is owned whole.
fn is_leaf(set: &FieldSet) -> bool {
    set.member && set.fields.is_empty() && set.entries.is_empty()
}

/// Whoever adds to an entry of a list owns its key fields too; they must stay, or the entry could not be named.
fn without_keys(set: &FieldSet, key: &Map<String, Value>) -> FieldSet {
    let mut set = set.clone();
    set.fields.retain(|name, _| !key.contains_key(name));
    set
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn live() -> Object {
        Object::parse(json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "qa", "managedFields": [
                {"manager": "sluice", "operation": "Apply", "fieldsV1": {"f:spec": {"f:paused": {}, "f:template": {"f:spec":
                    {"f:containers": {"k:{\"name\":\"web\"}": {".": {}, "f:name": {}}}}}}}},
                {"manager": "scaler", "operation": "Update", "fieldsV1": {"f:spec": {"f:replicas": {}, "f:paused": {},
                    "f:template": {"f:spec": {"f:containers": {"k:{\"name\":\"web\"}": {"f:name": {}, "f:image": {}}}}}}}},
            ]},
            "spec": {"replicas": 5, "paused": false,
                     "template": {"spec": {"containers": [{"name": "web", "image": "theirs"}]}}},
        }))
        .unwrap()
    }

    fn desired() -> Object {
        Object::parse(json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "qa"},
            "spec": {"replicas": 1, "paused": false,
                     "template": {"spec": {"containers": [{"name": "web", "image": "ours"}]}}},
        }))
        .unwrap()
    }

    #[test]
    fn what_a_named_manager_owns_alone_is_left_to_it() {
        let rules = [IgnoreRule { managers: vec!["scaler".to_owned()], ..IgnoreRule::default() }];
        let left = leave_to_others(desired(), &live(), &rules, "sluice");
        assert_eq!(
            left.pointer("/spec"),
            Some(&json!({"paused": false, "template": {"spec": {"containers": [{"name": "web"}]}}}))
        );
    }

    #[test]
    fn managers_that_nobody_named_and_objects_that_no_rule_covers_change_nothing() {
        let other = IgnoreRule { managers: vec!["kubectl".to_owned()], ..IgnoreRule::default() };
        let elsewhere =
            IgnoreRule { managers: vec!["scaler".to_owned()], name: Some("api".to_owned()), ..IgnoreRule::default() };
        for rules in [vec![other], vec![elsewhere], Vec::new()] {
            assert_eq!(leave_to_others(desired(), &live(), &rules, "sluice"), desired());
        }
    }
}
