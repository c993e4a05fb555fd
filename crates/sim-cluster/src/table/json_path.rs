//! The part of JSONPath that printer columns use: fields, indexes, `[*]` and filters on one field.

use serde_json::Value;

const STEPS_MAX: usize = 64;

/// All values at a path such as `.status.conditions[?(@.type=="Ready")].status`.
pub(super) fn find<'v>(object: &'v Value, path: &str) -> Vec<&'v Value> {
    let mut found = vec![object];
    let mut rest = path.trim().trim_start_matches('$');
    for _ in 0..STEPS_MAX {
        if rest.is_empty() {
            return found;
        }
        if let Some(inner) = rest.strip_prefix('[') {
            let Some((step, tail)) = inner.split_once(']') else { return Vec::new() };
            found = found.into_iter().flat_map(|value| bracket(value, step)).collect();
            rest = tail;
        } else {
            let inner = rest.trim_start_matches('.');
            let (step, tail) = field_step(inner);
            let name = step.replace("\\.", ".");
            found = found.into_iter().filter_map(|value| value.get(&name)).collect();
            rest = tail;
        }
    }
    Vec::new()
}

/// The first field name of a path; a dot after a backslash belongs to it.
fn field_step(path: &str) -> (&str, &str) {
    let mut is_escaped = false;
    for (index, letter) in path.char_indices() {
        if !is_escaped && matches!(letter, '.' | '[') {
            return path.split_at(index);
        }
        is_escaped = letter == '\\';
    }
    (path, "")
}

fn bracket<'v>(value: &'v Value, step: &str) -> Vec<&'v Value> {
    let list = value.as_array().map(Vec::as_slice).unwrap_or_default();
    if step == "*" {
        return list.iter().collect();
    }
    if let Ok(index) = step.parse::<usize>() {
        return list.get(index).into_iter().collect();
    }
    if let Some(name) = step.strip_prefix(['\'', '"']).and_then(|name| name.strip_suffix(['\'', '"'])) {
        return value.get(name).into_iter().collect();
    }
    let filter = step.strip_prefix("?(@.").and_then(|filter| filter.strip_suffix(')'));
    let Some((field, wanted)) = filter.and_then(|filter| filter.split_once("==")) else { return Vec::new() };
    let wanted = wanted.trim().trim_matches(['\'', '"']);
    list.iter()
        .filter(|item| match item.get(field.trim()) {
            Some(Value::String(text)) => text == wanted,
            Some(other) => serde_json::from_str::<Value>(wanted).is_ok_and(|wanted| wanted == *other),
            None => false,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn paths_of_printer_columns_are_followed() {
        let object = json!({
            "metadata": {"labels": {"a.b/c": "x"}},
            "status": {"conditions": [{"type": "Ready", "status": "True"}, {"type": "Old", "status": "False"}], "n": [1, 2]},
        });
        assert_eq!(find(&object, r#".status.conditions[?(@.type=="Ready")].status"#), [&json!("True")]);
        assert_eq!(find(&object, ".status.n[*]"), [&json!(1), &json!(2)]);
        assert_eq!(find(&object, ".status.n[1]"), [&json!(2)]);
        assert_eq!(find(&object, r".metadata.labels.a\.b/c"), [&json!("x")]);
        assert!(find(&object, ".spec.none").is_empty());
    }
}
