//! Checks that an applied configuration fits its type, in the words of structured-merge-diff.

use serde_json::Value;

use super::shape::{Atom, MergeType};
use crate::go_text::{debug, plain, type_name};
use crate::types::{self, Shape};

/// Most problems that are listed of one configuration.
const PROBLEMS_MAX: usize = 100;

/// What does not fit, each with the path in front; empty when all fits.
pub(crate) fn problems(applied: &Value, at: MergeType<'_>) -> Vec<String> {
    let mut found = Vec::new();
    check(applied, at, "", &mut found);
    found.truncate(PROBLEMS_MAX);
    found
}

/// What the type wants a value to be.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Text,
    Number,
    Flag,
    List,
    Map,
    Anything,
}

fn wanted(at: MergeType<'_>) -> Wanted {
    match at {
        MergeType::Root(_) => Wanted::Map,
        MergeType::BuiltIn(shape, _) => match shape {
            Shape::Text | Shape::Bytes => Wanted::Text,
            Shape::Int | Shape::Float => Wanted::Number,
            Shape::Bool => Wanted::Flag,
            Shape::List(_) => Wanted::List,
            Shape::Map(_) | Shape::Struct(_) => Wanted::Map,
            Shape::Quantity | Shape::Time | Shape::MicroTime | Shape::IntOrString | Shape::Any => Wanted::Anything,
        },
        MergeType::Schema(schema) => match schema.get("type").and_then(Value::as_str) {
            Some("string") => Wanted::Text,
            Some("integer" | "number") => Wanted::Number,
            Some("boolean") => Wanted::Flag,
            Some("array") => Wanted::List,
            Some("object") => Wanted::Map,
            _ => Wanted::Anything,
        },
        MergeType::Deduced | MergeType::Whole => Wanted::Anything,
    }
}

fn check(value: &Value, at: MergeType<'_>, path: &str, found: &mut Vec<String>) {
    if found.len() >= PROBLEMS_MAX || value.is_null() {
        return;
    }
    let problem = match (wanted(at), value) {
        (Wanted::Text, Value::String(_)) | (Wanted::Number, Value::Number(_)) | (Wanted::Flag, Value::Bool(_)) => None,
        (Wanted::Text, other) => {
            Some(format!("expected string, got &value.valueUnstructured{{Value:{}}}", debug(other)))
        }
        (Wanted::Number, other) => Some(format!("expected numeric (int or float), got {}", type_name(other))),
        (Wanted::Flag, other) => Some(format!("expected boolean, got &{{{}}}", plain(other))),
        (Wanted::List, Value::Array(items)) => return check_items(items, at, path, found),
        (Wanted::List, other) => Some(format!("expected list, got &{{{}}}", plain(other))),
        (Wanted::Map, Value::Object(_)) | (Wanted::Anything, _) => None,
        (Wanted::Map, other) => Some(format!("expected map, got &{{{}}}", plain(other))),
    };
    if let Some(problem) = problem {
        found.push(format!("{path}: {problem}"));
        return;
    }
    for (name, value) in value.as_object().into_iter().flatten() {
        let below = format!("{path}.{name}");
        if is_declared(at, name) {
            check(value, at.field(name), &below, found);
        } else {
            found.push(format!("{below}: field not declared in schema"));
        }
    }
}

fn check_items(items: &[Value], at: MergeType<'_>, path: &str, found: &mut Vec<String>) {
    let atom = at.list_atom();
    let mut seen = std::collections::BTreeSet::new();
    for (index, item) in items.iter().enumerate() {
        let below = match &atom {
            Atom::Keyed(_) | Atom::Set => match at.element(&atom, item) {
                Ok(element) => {
                    let shown = element.to_string();
                    if !seen.insert(element) {
                        found.push(format!("{path}: duplicate entries for key {shown}"));
                    }
                    format!("{path}{shown}")
                }
                Err(problem) => {
                    found.push(format!("{path}: element {index}: {problem}"));
                    continue;
                }
            },
            Atom::Leaf | Atom::Map => format!("{path}[{index}]"),
        };
        check(item, at.item(), &below, found);
    }
}

fn is_declared(at: MergeType<'_>, name: &str) -> bool {
    match at {
        MergeType::BuiltIn(Shape::Struct(id), _) => {
            types::table().get(*id).is_none_or(|def| def.fields.contains_key(name))
        }
        MergeType::Root(_) if matches!(name, "metadata" | "apiVersion" | "kind") => true,
        MergeType::Root(schema) | MergeType::Schema(schema) => {
            let flag = |key: &str| schema.get(key).and_then(Value::as_bool) == Some(true);
            let is_known = schema.get("properties").is_some_and(|properties| properties.get(name).is_some());
            let takes_more = schema.get("additionalProperties").is_some_and(|more| more.as_bool() != Some(false));
            is_known
                || takes_more
                || flag("x-kubernetes-preserve-unknown-fields")
                || flag("x-kubernetes-embedded-resource") && matches!(name, "metadata" | "apiVersion" | "kind")
        }
        _ => true,
    }
}
