//! Merge patches (RFC 7386) from two values, and canonical text for digests.

use std::fmt::Write as _;

use serde_json::{Map, Value};

/// Returns the merge patch that turns `from` into `to`, or nothing when they are equal.
pub(crate) fn merge_patch(from: &Value, to: &Value) -> Option<Value> {
    if from == to {
        return None;
    }
    let (Value::Object(old), Value::Object(new)) = (from, to) else { return Some(to.clone()) };
    let mut patch = Map::new();
    for key in old.keys().filter(|key| !new.contains_key(*key)) {
        patch.insert(key.clone(), Value::Null);
    }
    for (key, value) in new {
        match old.get(key) {
            Some(before) => {
                if let Some(change) = merge_patch(before, value) {
                    patch.insert(key.clone(), change);
                }
            }
            None => {
                patch.insert(key.clone(), value.clone());
            }
        }
    }
    (!patch.is_empty()).then_some(Value::Object(patch))
}

/// Applies a merge patch.
pub(crate) fn apply_merge(value: &mut Value, patch: &Value) {
    let Value::Object(fields) = patch else {
        value.clone_from(patch);
        return;
    };
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    let Value::Object(map) = value else { return };
    for (key, change) in fields {
        match change {
            Value::Null => {
                map.remove(key);
            }
            change => apply_merge(map.entry(key.clone()).or_insert(Value::Null), change),
        }
    }
}

/// Returns compact JSON with sorted keys: equal values have equal texts whatever order their maps were built in.
pub(crate) fn canonical(value: &Value) -> String {
    let mut text = String::new();
    write_canonical(value, &mut text);
    text
}

fn write_canonical(value: &Value, text: &mut String) {
    match value {
        Value::Object(map) => {
            let mut keys: Vec<&String> = map.keys().collect();
            keys.sort();
            text.push('{');
            for (index, key) in keys.into_iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                let _ = write!(text, "{}:", Value::String(key.clone()));
                if let Some(item) = map.get(key) {
                    write_canonical(item, text);
                }
            }
            text.push('}');
        }
        Value::Array(items) => {
            text.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                write_canonical(item, text);
            }
            text.push(']');
        }
        scalar => {
            let _ = write!(text, "{scalar}");
        }
    }
}

/// FNV-1a, 32 bits: the hash of Kubernetes' pod templates.
pub(crate) fn fnv32(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

/// FNV-1a, 64 bits, in hexadecimal: for digests that only tell equal from unequal.
pub(crate) fn digest(text: &str) -> String {
    let hash = text
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    format!("{hash:016x}")
}

/// Kubernetes' `rand.SafeEncodeString`: digits to letters that spell no words.
pub(crate) fn safe_encode(text: &str) -> String {
    const ALPHABET: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";
    text.bytes().map(|byte| ALPHABET.get(usize::from(byte) % 27).copied().unwrap_or(b'b') as char).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_patch_holds_only_what_changed() {
        let patch = merge_patch(
            &json!({"a": 1, "b": {"c": 1, "d": 2}, "e": 1}),
            &json!({"a": 1, "b": {"c": 1, "d": 3}, "f": [1]}),
        );
        assert_eq!(patch, Some(json!({"b": {"d": 3}, "e": null, "f": [1]})));
        let mut value = json!({"a": 1, "b": {"c": 1, "d": 2}, "e": 1});
        apply_merge(&mut value, &patch.unwrap());
        assert_eq!(value, json!({"a": 1, "b": {"c": 1, "d": 3}, "f": [1]}));
        assert_eq!(merge_patch(&json!({"a": 1}), &json!({"a": 1})), None);
    }

    #[test]
    fn canonical_text_sorts_keys_at_every_level() {
        let value: Value = serde_json::from_str(r#"{"b":[{"z":1,"a":"x"}],"a":null}"#).unwrap();
        assert_eq!(canonical(&value), r#"{"a":null,"b":[{"a":"x","z":1}]}"#);
    }
}
