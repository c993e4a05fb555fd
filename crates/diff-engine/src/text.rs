//! Prints a comparison for people: field by field, or as a unified diff.

use std::fmt::Write as _;

use object_model::Object;
use serde_json::Value;

use crate::compare::Comparison;
use crate::normalise::normalise;
use crate::predict::predict;

mod unified;

/// Prints one line per change: `~` changed, `+` comes, `-` goes, `=` differs and is left alone. The object's name comes
/// first; nothing is printed when nothing differs.
///
/// Redact both objects before comparing them ([`crate::Redactor`]) so that the values of a Secret can be told apart; values
/// that are not redacted are hidden.
pub fn print_fields(object: &Object, comparison: &Comparison) -> String {
    if comparison.changes.is_empty() && comparison.hidden.is_empty() {
        return String::new();
    }
    let mut text = format!("{}\n", object.id());
    for change in &comparison.changes {
        let is_veiled =
            is_secret(object) && (change.pointer.starts_with("/data") || change.pointer.starts_with("/stringData"));
        let show = |value: &Value| if is_veiled { short(&veiled(value)) } else { short(value) };
        let line = match (&change.live, &change.desired) {
            (Some(live), Some(desired)) => format!("  ~ {}: {} -> {}", change.path, show(live), show(desired)),
            (None, Some(desired)) => format!("  + {}: {}", change.path, show(desired)),
            (Some(live), None) => format!("  - {}: {}", change.path, show(live)),
            (None, None) => continue,
        };
        let _ = writeln!(text, "{line}");
    }
    for path in &comparison.hidden {
        let _ = writeln!(text, "  = {path}: left to its owner");
    }
    text
}

fn is_secret(object: &Object) -> bool {
    object.kind() == "Secret" && object.group().is_empty()
}

/// An object as it may be printed: normalised, and a Secret's values hidden when the caller forgot to redact them.
fn shown(object: &Object) -> Value {
    let mut normal = normalise(object);
    if let (true, Some(data)) = (is_secret(object), normal.json_mut().get_mut("data")) {
        *data = veiled(data);
    }
    normal.into_json()
}

/// Hides every text that is not a mask already.
fn veiled(value: &Value) -> Value {
    match value {
        Value::Object(map) => Value::Object(map.iter().map(|(key, value)| (key.clone(), veiled(value))).collect()),
        Value::String(text) if text.starts_with("[redacted ") && text.ends_with(']') => value.clone(),
        _ => "[redacted]".into(),
    }
}

/// A value on one line, cut when it is long.
fn short(value: &Value) -> String {
    const LENGTH_MAX: usize = 200;
    let text = value.to_string();
    match text.char_indices().nth(LENGTH_MAX) {
        Some((end, _)) => format!("{}... ({} bytes)", text.get(..end).unwrap_or_default(), text.len()),
        None => text,
    }
}

/// Prints a unified diff from live to what an apply would leave, as YAML with `context` lines around each change. Empty
/// when nothing differs; `None` as live prints a creation.
pub fn print_unified(desired: &Object, live: Option<&Object>, comparison: &Comparison, context: usize) -> String {
    let (before, after) = match live {
        None => (String::new(), yaml(&shown(desired))),
        Some(live) => {
            let after = predict(live, comparison);
            (yaml(&shown(live)), yaml(&shown(&after)))
        }
    };
    if before == after {
        return String::new();
    }
    let name = desired.id();
    format!("--- live {name}\n+++ desired {name}\n{}", unified::diff(&before, &after, context))
}

/// Prints a unified diff between two states of an object, as YAML with `context` lines around each change; `None` stands
/// for no object. Empty when nothing differs. `names` are what the two sides are called.
pub fn print_between(before: Option<&Object>, after: Option<&Object>, names: [&str; 2], context: usize) -> String {
    let text = |object: Option<&Object>| object.map(|object| yaml(&shown(object))).unwrap_or_default();
    let (old, new) = (text(before), text(after));
    let Some(object) = after.or(before).filter(|_| old != new) else { return String::new() };
    let [left, right] = names;
    let name = object.id();
    format!("--- {left} {name}\n+++ {right} {name}\n{}", unified::diff(&old, &new, context))
}

/// Prints a value as YAML for reading: block style, sorted keys, texts quoted when they could be read as something else.
fn yaml(value: &Value) -> String {
    let mut text = String::new();
    write_block(value, 0, &mut text);
    text
}

const DEPTH_MAX: usize = 128;

fn write_block(value: &Value, depth: usize, text: &mut String) {
    match value {
        Value::Object(map) if !map.is_empty() && depth < DEPTH_MAX => {
            let mut entries: Vec<(&String, &Value)> = map.iter().collect();
            entries.sort_unstable_by_key(|(key, _)| *key);
            for (key, value) in entries {
                let _ = write!(text, "{:width$}{}:", "", scalar_text(key), width = depth * 2);
                write_after_key(value, depth, text);
            }
        }
        Value::Array(list) if !list.is_empty() && depth < DEPTH_MAX => {
            for item in list {
                let mut inner = String::new();
                write_block(item, depth + 1, &mut inner);
                let _ = write!(text, "{:width$}- {}", "", inner.trim_start_matches(' '), width = depth * 2);
            }
        }
        other => {
            let _ = writeln!(text, "{:width$}{}", "", inline(other), width = depth * 2);
        }
    }
}

fn write_after_key(value: &Value, depth: usize, text: &mut String) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            text.push('\n');
            write_block(value, depth + 1, text);
        }
        Value::Array(list) if !list.is_empty() => {
            text.push('\n');
            write_block(value, depth, text);
        }
        Value::String(lines) if lines.trim_end_matches('\n').contains('\n') => {
            text.push_str(" |\n");
            for line in lines.lines() {
                let _ = writeln!(text, "{:width$}{line}", "", width = (depth + 1) * 2);
            }
        }
        other => {
            let _ = writeln!(text, " {}", inline(other));
        }
    }
}

fn inline(value: &Value) -> String {
    match value {
        Value::String(text) => scalar_text(text),
        other => other.to_string(),
    }
}

/// A text as it is when nobody could take it for a number, a boolean or a piece of YAML, else quoted.
fn scalar_text(text: &str) -> String {
    let is_plain = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_./:@+=,".contains(c))
        && !text.ends_with(':')
        && !matches!(
            text.to_ascii_lowercase().as_str(),
            "true" | "false" | "null" | "yes" | "no" | "on" | "off" | "y" | "n"
        );
    if is_plain { text.to_owned() } else { Value::from(text).to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_print_as_yaml_that_people_read() {
        let value = json!({
            "a": {"b": [1, {"c": "x", "d": [true]}], "empty": {}, "none": []},
            "text": "one\ntwo\n", "quoted": "yes", "number": "1", "image": "reg.io/web:1.0@sha256:ab",
        });
        insta::assert_snapshot!(yaml(&value), @r#"
        a:
          b:
          - 1
          - c: x
            d:
            - true
          empty: {}
          none: []
        image: reg.io/web:1.0@sha256:ab
        number: "1"
        quoted: "yes"
        text: |
          one
          two
        "#);
    }
}
