//! YAML as Helm writes and reads it: over JSON, with every number a float64.

use super::data::{as_list, as_map};
use crate::budget::Budget;
use crate::function::CallError;
use crate::value::{JsonError, List, Map, Value, from_json, to_json};

/// Writes a value as `sigs.k8s.io/yaml` does, without the last newline.
pub(super) fn write(value: &Value, budget: &mut Budget) -> Result<String, CallError> {
    let json = to_json(value, budget).map_err(|error| match error {
        JsonError::Exhausted(exhausted) => CallError::Exhausted(exhausted),
        other => CallError::new(format!("error marshaling into JSON: {other}")),
    })?;
    let mut text = yaml::to_yaml(&json);
    budget.produce(text.len())?;
    if text.ends_with('\n') {
        text.pop();
    }
    Ok(text)
}

/// Writes a value with lists indented under their keys, as go-yaml 3 does with an indentation of 2.
pub(super) fn write_pretty(value: &Value, budget: &mut Budget) -> Result<String, CallError> {
    let json = to_json(value, budget)?;
    let mut text = yaml::to_yaml(&json);
    budget.produce(text.len())?;
    if text.ends_with('\n') {
        text.pop();
    }
    Ok(text)
}

/// Bounds of a text that a template reads.
const LIMITS: yaml::Limits = yaml::Limits {
    bytes_max: 32 << 20,
    depth_max: 127,
    documents_max: 10_000,
    values_max: 2_000_000,
    alias_bytes_max: 8 << 20,
    alias_values_max: 100_000,
    diagnostics_max: 1,
};

fn read(text: &[u8], budget: &mut Budget) -> Result<Value, CallError> {
    budget.step((text.len() / 2) as u64)?;
    budget.produce(text.len().saturating_mul(4))?;
    let json = yaml::parse_first_as_go(text, &LIMITS).map_err(|diagnostic| {
        CallError::new(format!("error converting YAML to JSON: yaml: line {}: {}", diagnostic.line, diagnostic.message))
    })?;
    Ok(from_json(&json))
}

const CANNOT: &str = "error unmarshaling JSON: while decoding JSON: json: cannot unmarshal";

/// Reads the first document as a map.
pub(super) fn read_map(text: &[u8], budget: &mut Budget) -> Result<Map, CallError> {
    match read(text, budget)? {
        Value::Nil => Ok(Map::nil(super::MAP)),
        other => as_map(other, CANNOT, "map[string]interface {}"),
    }
}

/// Reads the first document as a list.
pub(super) fn read_list(text: &[u8], budget: &mut Budget) -> Result<List, CallError> {
    as_list(read(text, budget)?, CANNOT, "[]interface {}")
}
