//! Paths into answers: `metadata.name`, `items.0.status`, `items.length`, or a JSON pointer where a key has a dot.

use serde_json::{Map, Value, json};

/// Returns the value at `path`. `length` of a list or text is its length.
pub(crate) fn find(value: &Value, path: &str) -> Option<Value> {
    if path.starts_with('/') {
        return value.pointer(path).cloned();
    }
    let mut here = value.clone();
    for step in path.trim_start_matches('.').split('.').filter(|step| !step.is_empty()) {
        here = match (&here, step) {
            (Value::Array(values), "length") => json!(values.len()),
            (Value::String(text), "length") => json!(text.chars().count()),
            (Value::Array(values), index) => values.get(index.parse::<usize>().ok()?)?.clone(),
            (Value::Object(fields), key) => fields.get(key)?.clone(),
            _ => return None,
        };
    }
    Some(here)
}

/// Returns the value reduced to some paths; a path goes through every element of a list on its way.
pub(crate) fn keep(value: &Value, paths: &[String]) -> Value {
    if paths.is_empty() {
        return Value::Null;
    }
    let steps: Vec<Vec<&str>> = paths.iter().map(|path| path.trim_start_matches('.').split('.').collect()).collect();
    keep_steps(value, &steps.iter().map(Vec::as_slice).collect::<Vec<_>>())
}

fn keep_steps(value: &Value, paths: &[&[&str]]) -> Value {
    if paths.iter().any(|path| path.is_empty()) {
        return value.clone();
    }
    match value {
        Value::Array(values) => Value::Array(values.iter().map(|value| keep_steps(value, paths)).collect()),
        Value::Object(fields) => {
            let mut kept = Map::new();
            for (key, value) in fields {
                let deeper: Vec<&[&str]> = paths
                    .iter()
                    .filter_map(|path| path.split_first().filter(|(first, _)| *first == key).map(|(_, rest)| rest))
                    .collect();
                if !deeper.is_empty() {
                    kept.insert(key.clone(), keep_steps(value, &deeper));
                }
            }
            Value::Object(kept)
        }
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lead_to_values() {
        let value = json!({"items": [{"a": 1, "b": 2}, {"a": 3}], "x.y": 4});
        for (path, expected) in [
            ("items.1.a", Some(json!(3))),
            ("items.length", Some(json!(2))),
            ("/x.y", Some(json!(4))),
            ("items.2", None),
            ("items.0.a.b", None),
        ] {
            assert_eq!(find(&value, path), expected, "{path}");
        }
        assert_eq!(keep(&value, &["items.a".to_owned()]), json!({"items": [{"a": 1}, {"a": 3}]}));
        assert_eq!(keep(&value, &[]), Value::Null);
    }
}
