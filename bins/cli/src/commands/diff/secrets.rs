//! Takes secrets out of a comparison, so that one sees that they differ and never what they are.
//!
//! Values of Secrets are known by their place. What a file was decrypted to, or what a chart got from a Secret, may stand
//! in any object: those texts are known by the render, but what they were before only by the place where they stand. So
//! where one side has such a text, both sides are masked.

use std::collections::BTreeSet;

use diff_engine::Redactor;
use object_model::{Masks, Object};
use serde_json::Value;

use crate::output::Failure;

/// What must not be shown.
pub(super) struct Secrets {
    redactor: Redactor,
    masks: Masks,
}

/// Keys down to a place; every item of a list is one place, as items move.
type Place = Vec<Option<String>>;

impl Secrets {
    /// Masks that are another one each time: equal values have equal masks within one comparison.
    pub(super) fn new(masks: Masks) -> Result<Self, Failure> {
        let mut key = [0_u8; 32];
        let filled = getrandom::fill(&mut key);
        filled.map_err(|error| Failure::new(format!("the machine gives no random bytes: {error}")))?;
        Ok(Self { redactor: Redactor::new(&key), masks })
    }

    /// Both sides as they may be shown.
    pub(super) fn hide(&self, before: Option<&Object>, after: Option<&Object>) -> (Option<Object>, Option<Object>) {
        let mut sides = [before, after].map(|side| side.map(|object| self.redactor.redact(object)));
        if !self.masks.is_empty() {
            let mut places = BTreeSet::new();
            for (key, value) in sides.iter().flatten().flat_map(|object| object.json()) {
                self.find(value, &mut vec![Some(key.clone())], &mut places);
            }
            for (key, value) in sides.iter_mut().flatten().flat_map(|object| object.json_mut()) {
                self.mask(value, &mut vec![Some(key.clone())], &places);
            }
        }
        let [before, after] = sides;
        (before, after)
    }

    fn find(&self, value: &Value, place: &mut Place, places: &mut BTreeSet<Place>) {
        if is_leaf(value) {
            if self.masks.touches(&text_of(value)) {
                places.insert(place.clone());
            }
            return;
        }
        for (key, value) in children(value) {
            place.push(key);
            self.find(value, place, places);
            place.pop();
        }
    }

    fn mask(&self, value: &mut Value, place: &mut Place, places: &BTreeSet<Place>) {
        match value {
            Value::Array(items) => {
                place.push(None);
                items.iter_mut().for_each(|item| self.mask(item, place, places));
                place.pop();
            }
            Value::Object(entries) => {
                for (key, value) in entries {
                    place.push(Some(key.clone()));
                    self.mask(value, place, places);
                    place.pop();
                }
            }
            leaf if places.contains(place) => *leaf = self.redactor.mask(text_of(leaf).as_bytes()).into(),
            _ => {}
        }
    }
}

fn is_leaf(value: &Value) -> bool {
    !matches!(value, Value::Array(_) | Value::Object(_))
}

fn children(value: &Value) -> Vec<(Option<String>, &Value)> {
    match value {
        Value::Array(items) => items.iter().map(|item| (None, item)).collect(),
        Value::Object(entries) => entries.iter().map(|(key, value)| (Some(key.clone()), value)).collect(),
        _ => Vec::new(),
    }
}

/// A number may be the secret as well.
fn text_of(leaf: &Value) -> String {
    leaf.as_str().map_or_else(|| leaf.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn object(json: Value) -> Object {
        Object::from_json(json).expect("an object")
    }

    #[test]
    fn what_was_decrypted_is_masked_with_what_stood_in_its_place_before() {
        let secrets = Secrets::new(Masks::new(["hunter2", "4711"])).expect("random bytes");
        let live = object(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"},
            "data": {"password": "old-one", "color": "red"}, "env": [{"name": "PIN", "value": 815}, {"name": "X", "value": "x"}]}));
        let wish = object(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"},
            "data": {"password": "is hunter2", "color": "blue"}, "env": [{"name": "X", "value": "x"}, {"name": "PIN", "value": 4711}]}));
        let (before, after) = secrets.hide(Some(&live), Some(&wish));
        let (before, after) = (before.expect("before"), after.expect("after"));
        let shown = format!("{:?} {:?}", before.json(), after.json());
        // What stands in their place is random, and may hold any few digits.
        let parts = shown.split("[redacted ").map(|part| part.split_once(']').map_or(part, |(_, rest)| rest));
        let shown: String = parts.collect();
        assert!(shown.contains("red") && shown.contains("PIN"), "{shown}");
        for secret in ["hunter2", "old-one", "4711", "815"] {
            assert!(!shown.contains(secret), "{secret} in {shown}");
        }
        assert_ne!(before.pointer("/data/password"), after.pointer("/data/password"));
        assert_eq!(before.pointer("/data/color"), Some(&json!("red")));
        assert_eq!(before.pointer("/env/1/value"), after.pointer("/env/0/value"), "equal values have equal masks");
    }
}
