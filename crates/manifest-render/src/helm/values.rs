//! Values before they meet a chart: files, merged in order, and what is set one by one.

use serde_json::{Map, Number, Value};

use super::decode::{json_kind, parse_yaml};
use super::error::HelmError;
use super::set::{Reading, SetError, set_values};

/// One source of values. [`merge_values`] takes the kinds in the order of this list, as Helm does.
#[derive(Debug, Clone, Default)]
pub struct GivenValues {
    /// Files of `-f`: what messages call each, and its content. Later ones win.
    pub files: Vec<(String, Vec<u8>)>,
    /// Texts of `--set-json`.
    pub json: Vec<String>,
    /// Texts of `--set`.
    pub set: Vec<String>,
    /// Texts of `--set-string`.
    pub strings: Vec<String>,
    /// Texts of `--set-file`.
    pub file_contents: Vec<String>,
    /// Texts of `--set-literal`.
    pub literals: Vec<String>,
}

/// Merges all values that were given into one mapping; `read_file` reads what `--set-file` names.
///
/// # Errors
/// When a file or a text is not understood, with Helm's message.
pub fn merge_values(
    given: &GivenValues,
    read_file: &dyn Fn(&str) -> Result<String, String>,
) -> Result<Map<String, Value>, HelmError> {
    let mut values = Map::new();
    for (name, content) in &given.files {
        let more = read_values(content).map_err(|message| fault(format!("failed to parse {name}: {message}")))?;
        merge_maps(&mut values, more);
    }
    for text in &given.json {
        let trimmed = text.trim();
        if trimmed.starts_with('{') {
            let Ok(Value::Object(more)) = serde_json::from_str(trimmed).map(floats) else {
                return Err(fault(format!("failed parsing --set-json data JSON: {text}")));
            };
            merge_maps(&mut values, more);
        } else {
            set_values(text, Reading::Json, &mut values)
                .map_err(|_| fault(format!("failed parsing --set-json data {text}")))?;
        }
    }
    let readings = [
        (&given.set, Reading::Typed, "--set"),
        (&given.strings, Reading::Text, "--set-string"),
        (&given.file_contents, Reading::File(read_file), "--set-file"),
        (&given.literals, Reading::Literal, "--set-literal"),
    ];
    for (texts, reading, flag) in readings {
        for text in texts {
            set_values(text, reading, &mut values)
                .map_err(|SetError { message }| fault(format!("failed parsing {flag} data: {message}")))?;
        }
    }
    Ok(values)
}

fn fault(message: String) -> HelmError {
    HelmError::Values(message)
}

/// Reads a file of values: its documents are merged, numbers are floats. The error is Helm's message.
pub(crate) fn read_values(text: &[u8]) -> Result<Map<String, Value>, String> {
    let mut values = Map::new();
    for document in documents(text) {
        let document = parse_yaml(document).map_err(|message| format!("cannot unmarshal yaml document: {message}"))?;
        match floats(document) {
            Value::Object(more) => merge_maps(&mut values, more),
            Value::Null => {}
            other => {
                return Err(format!(
                    "cannot unmarshal yaml document: error unmarshaling JSON: while decoding JSON: json: cannot \
                     unmarshal {} into Go value of type map[string]interface {{}}",
                    json_kind(&other)
                ));
            }
        }
    }
    Ok(values)
}

/// The parts of a text between lines that hold nothing but `---`.
fn documents(text: &[u8]) -> Vec<&[u8]> {
    let mut parts = Vec::new();
    let (mut start, mut at) = (0, 0);
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        let is_separator = line.strip_prefix(b"---").is_some_and(|rest| rest.trim_ascii().is_empty());
        if is_separator && at > start {
            parts.push(text.get(start..at).unwrap_or_default());
            start = at + line.len();
        }
        at += line.len();
    }
    parts.push(text.get(start..).unwrap_or_default());
    parts
}

/// Merges mappings into each other; everything else, null included, replaces what was there.
pub(crate) fn merge_maps(values: &mut Map<String, Value>, over: Map<String, Value>) {
    for (key, value) in over {
        match (values.get_mut(&key), value) {
            (Some(Value::Object(below)), Value::Object(over)) => merge_maps(below, over),
            (_, value) => {
                values.insert(key, value);
            }
        }
    }
}

/// Puts values over others; what is a mapping on one side only stays as the winner has it.
pub(crate) fn merge_under(values: &mut Map<String, Value>, over: &Map<String, Value>) {
    merge_maps(values, over.clone());
}

pub(crate) fn floats(mut value: Value) -> Value {
    to_floats(&mut value);
    value
}

/// Makes every number a float, which is what Go's JSON decoder does.
pub(crate) fn to_floats(value: &mut Value) {
    match value {
        Value::Number(number) if !number.is_f64() => {
            if let Some(float) = number.as_f64().and_then(Number::from_f64) {
                *number = float;
            }
        }
        Value::Array(items) => items.iter_mut().for_each(to_floats),
        Value::Object(entries) => entries.values_mut().for_each(to_floats),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn documents_of_a_values_file_are_merged_and_numbers_are_floats() {
        let text = b"---\na: 1\nb: {c: 1, d: 2}\n---\nb: {c: null}\n--- # more\ne: 1\n";
        // The last separator has a comment behind it, so it belongs to the second part, of which one document is read.
        assert_eq!(Value::Object(read_values(text).unwrap()), json!({"a": 1.0, "b": {"c": null, "d": 2.0}}));
        assert_eq!(
            read_values(b"- a").unwrap_err(),
            "cannot unmarshal yaml document: error unmarshaling JSON: while decoding JSON: json: cannot unmarshal \
             array into Go value of type map[string]interface {}"
        );
    }
}
