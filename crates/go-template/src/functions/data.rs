//! Functions between values and text formats: sprig's JSON, and Helm's YAML, TOML and JSON.

use super::json::{self, Lines, Markup};
use super::{ANY, Answer, STRING, toml_text, yaml_text};
use crate::function::{Args, Call, CallError, Function, Functions, Signature};
use crate::value::{List, Map, Value};

const ONE: Signature = Signature::fixed(&[ANY]);
const TEXT: Signature = Signature::fixed(&[STRING]);

/// What becomes of a value that the format can't hold.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Failure {
    /// An empty text.
    Swallowed,
    /// The error of the call.
    Told,
}

/// Swallows the errors of a function, but never that the budget ran out.
fn swallow<T>(result: Result<T, CallError>, failure: Failure, instead: T) -> Result<T, CallError> {
    match result {
        Err(CallError::Message(_)) if failure == Failure::Swallowed => Ok(instead),
        other => other,
    }
}

fn to_json(call: &mut Call<'_>, args: Args<'_>, markup: Markup, lines: Lines, failure: Failure) -> Answer {
    let written = json::write(args.value(0), markup, lines, call.budget());
    Ok(Value::Str(swallow(written, failure, Vec::new())?.into()))
}

/// Adds sprig's functions of JSON.
pub(super) fn add_json(functions: &mut Functions) {
    use Failure::{Swallowed, Told};
    for (name, markup, lines, failure) in [
        ("toJson", Markup::Escaped, Lines::One, Swallowed),
        ("mustToJson", Markup::Escaped, Lines::One, Told),
        ("toPrettyJson", Markup::Escaped, Lines::Many, Swallowed),
        ("mustToPrettyJson", Markup::Escaped, Lines::Many, Told),
        ("toRawJson", Markup::Raw, Lines::One, Told),
        ("mustToRawJson", Markup::Raw, Lines::One, Told),
    ] {
        functions.add(Function::new(name, ONE, move |call, args| to_json(call, args, markup, lines, failure)));
    }
    for (name, failure) in [("fromJson", Swallowed), ("mustFromJson", Told)] {
        functions.add(Function::new(name, TEXT, move |call, args| {
            swallow(json::read(args.string(0)?.as_bytes(), call.budget()), failure, Value::Nil)
        }));
    }
}

/// Adds Helm's functions of YAML, TOML and JSON; those of JSON replace sprig's.
pub(super) fn add_helm(functions: &mut Functions) {
    for (name, failure) in [("toYaml", Failure::Swallowed), ("mustToYaml", Failure::Told)] {
        functions.add(Function::new(name, ONE, move |call, args| {
            let written = yaml_text::write(args.value(0), call.budget());
            Ok(swallow(written, failure, String::new())?.into())
        }));
    }
    functions.add(Function::new("toYamlPretty", ONE, |call, args| {
        let written = yaml_text::write_pretty(args.value(0), call.budget());
        Ok(swallow(written, Failure::Swallowed, String::new())?.into())
    }));
    functions.add(Function::new("toToml", ONE, |call, args| {
        match toml_text::write(args.value(0), call.budget()) {
            // Helm returns the error as the text.
            Err(CallError::Message(message)) if !message.starts_with("reflect: ") => Ok(message.into()),
            other => Ok(Value::Str(other?.into())),
        }
    }));
    functions
        .add(Function::new("fromToml", TEXT, |call, args| decoded(toml_text::read(&args.text(0)?, call.budget()))));
    functions.add(Function::new("fromYaml", TEXT, |call, args| {
        decoded(yaml_text::read_map(args.string(0)?.as_bytes(), call.budget()))
    }));
    functions.add(Function::new("fromYamlArray", TEXT, |call, args| {
        decoded_list(yaml_text::read_list(args.string(0)?.as_bytes(), call.budget()))
    }));
    functions.add(Function::new("fromJson", TEXT, |call, args| {
        let read = json::read(args.string(0)?.as_bytes(), call.budget());
        decoded(read.and_then(|value| as_map(value, "json: cannot unmarshal", "map[string]interface {}")))
    }));
    functions.add(Function::new("fromJsonArray", TEXT, |call, args| {
        let read = json::read(args.string(0)?.as_bytes(), call.budget());
        decoded_list(read.and_then(|value| as_list(value, "json: cannot unmarshal", "[]interface {}")))
    }));
}

/// What Go's decoder calls a value of JSON.
fn json_kind(value: &Value) -> &'static str {
    match value {
        Value::Bool(_) => "bool",
        Value::Str(_) => "string",
        Value::List(_) => "array",
        Value::Map(_) => "object",
        _ => "number",
    }
}

/// Takes a map for one; nothing at all is a nil map in Go, which reads like an empty one.
pub(super) fn as_map(value: Value, prefix: &str, expected: &str) -> Result<Map, CallError> {
    match value {
        Value::Map(map) => Ok(map),
        Value::Nil => Ok(Map::nil(super::MAP)),
        other => Err(CallError::new(format!("{prefix} {} into Go value of type {expected}", json_kind(&other)))),
    }
}

/// Takes a list for one.
pub(super) fn as_list(value: Value, prefix: &str, expected: &str) -> Result<List, CallError> {
    match value {
        Value::List(list) => Ok(list),
        Value::Nil => Ok(List::nil(super::LIST)),
        other => Err(CallError::new(format!("{prefix} {} into Go value of type {expected}", json_kind(&other)))),
    }
}

/// Helm puts the error under the key `Error`.
fn decoded(read: Result<Map, CallError>) -> Answer {
    match read {
        Ok(map) => Ok(Value::Map(map)),
        Err(CallError::Message(message)) => Ok(Value::Map(Map::from_iter([("Error", message)]))),
        Err(other) => Err(other),
    }
}

/// Helm makes the error the only item.
fn decoded_list(read: Result<List, CallError>) -> Answer {
    match read {
        Ok(list) => Ok(Value::List(list)),
        Err(CallError::Message(message)) => Ok(Value::List(List::new(vec![message.into()]))),
        Err(other) => Err(other),
    }
}
