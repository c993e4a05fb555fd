//! YAML as Helm writes and reads it: over JSON, with every number a float64.

use super::data::{as_list, as_map};
use super::on_enough_stack;
use crate::budget::Budget;
use crate::function::CallError;
use crate::value::{JsonError, List, Map, Value, from_json, to_json};

/// Runs an emitter, which knows no bound of its own, with the stack that the deepest value takes.
fn emitted(json: serde_json::Value, emit: fn(&serde_json::Value) -> String) -> String {
    const NEEDED_BYTES: usize = 6 << 20;
    stacker::maybe_grow(NEEDED_BYTES, NEEDED_BYTES * 2, || {
        let text = emit(&json);
        // The value is let go where there is room for it.
        drop(json);
        text
    })
}

/// Writes a value as `sigs.k8s.io/yaml` does, without the last newline.
pub(super) fn write(value: &Value, budget: &mut Budget) -> Result<String, CallError> {
    let json = to_json(value, budget).map_err(|error| match error {
        JsonError::Exhausted(exhausted) => CallError::Exhausted(exhausted),
        other => CallError::new(format!("error marshaling into JSON: {other}")),
    })?;
    let mut text = emitted(json, yaml::to_yaml);
    budget.produce(text.len())?;
    if text.ends_with('\n') {
        text.pop();
    }
    Ok(text)
}

/// Writes a value with lists indented under their keys, as go-yaml 3 does with an indentation of 2.
pub(super) fn write_pretty(value: &Value, budget: &mut Budget) -> Result<String, CallError> {
    let mut text = emitted(with_floats(value, budget, DEPTH_MAX)?, yaml::to_yaml_indented);
    budget.produce(text.len())?;
    if text.ends_with('\n') {
        text.pop();
    }
    Ok(text)
}

/// How deep values may nest.
const DEPTH_MAX: usize = 1_000;

/// As JSON, but a float stays a float when it is whole.
fn with_floats(value: &Value, budget: &mut Budget, depth: usize) -> Result<serde_json::Value, CallError> {
    budget.step(1)?;
    if depth == 0 {
        return Err(CallError::new(format!("values nest deeper than {DEPTH_MAX} levels")));
    }
    Ok(match value {
        Value::Float(number) => match serde_json::Number::from_f64(*number) {
            Some(number) => serde_json::Value::Number(number),
            None => return Err(CallError::new("a float that is no number")),
        },
        Value::List(list) if !list.is_nil() => {
            let items = list.items().iter().map(|item| on_enough_stack(|| with_floats(item, budget, depth - 1)));
            serde_json::Value::Array(items.collect::<Result<_, _>>()?)
        }
        Value::Map(map) if !map.is_nil() => {
            let mut entries = serde_json::Map::new();
            for (key, item) in map.entries() {
                budget.produce(key.len() + size_of::<Value>())?;
                entries.insert(
                    key.to_str_lossy().into_owned(),
                    on_enough_stack(|| with_floats(&item, budget, depth - 1))?,
                );
            }
            serde_json::Value::Object(entries)
        }
        Value::List(_) => serde_json::Value::Array(Vec::new()),
        Value::Map(_) => serde_json::Value::Object(serde_json::Map::new()),
        Value::Object(object) => on_enough_stack(|| with_floats(&object.json_value(), budget, depth - 1))?,
        other => to_json(other, budget)?,
    })
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
    let json = yaml::parse_first_as_go(text, &LIMITS)
        .map_err(|fault| CallError::new(format!("error converting YAML to JSON: yaml: {}", told(&fault))))?;
    Ok(from_json(&json))
}

/// The fault as go-yaml tells it.
fn told(fault: &yaml::Diagnostic) -> String {
    match fault.line {
        0 => fault.message.clone(),
        line => format!("line {line}: {}", fault.message),
    }
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
