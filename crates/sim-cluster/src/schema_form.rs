//! What a schema of a definition must look like: structural, with defaults that fit and rules that can be read.

use serde_json::{Value, json};

use crate::error::Cause;
use crate::schema;

/// The deepest schema that is looked at.
const DEPTH_MAX: usize = 64;

/// What is wrong with the schema at a path.
pub(crate) fn check(schema: &Value, path: &str, causes: &mut Vec<Cause>) {
    match schema.get("type").and_then(Value::as_str) {
        Some("object") => {}
        None => causes.push(Cause::required(format!("{path}.type"), "must not be empty at the root")),
        Some(other) => {
            causes.push(Cause::invalid(format!("{path}.type"), &json!(other), "must be object at the root"));
        }
    }
    node(schema, path, 0, causes);
}

fn node(schema: &Value, path: &str, depth: usize, causes: &mut Vec<Cause>) {
    if depth > DEPTH_MAX {
        causes.push(Cause::forbidden(path, "the schema is nested too deeply"));
        return;
    }
    let flag = |key: &str| schema.get(key).and_then(Value::as_bool) == Some(true);
    let kind = schema.get("type").and_then(Value::as_str);
    let is_free = flag("x-kubernetes-int-or-string") || flag("x-kubernetes-preserve-unknown-fields");
    if depth > 0 && kind.is_none() && !is_free {
        causes.push(Cause::required(format!("{path}.type"), "must not be empty for specified object fields"));
    }
    if kind == Some("array") && schema.get("items").is_none() {
        causes.push(Cause::required(format!("{path}.items"), "must be specified"));
    }
    if let Some(default) = schema.get("default").filter(|default| !default.is_null()) {
        let wrong = schema::validate(default, None, schema);
        causes.extend(wrong.into_iter().map(|cause| default_cause(path, cause)));
    }
    rules(schema, path, causes);
    for (name, property) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        node(property, &format!("{path}.properties[{name}]"), depth + 1, causes);
    }
    if let Some(items) = schema.get("items").filter(|items| items.is_object()) {
        node(items, &format!("{path}.items"), depth + 1, causes);
    }
    if let Some(more) = schema.get("additionalProperties").filter(|more| more.is_object()) {
        node(more, &format!("{path}.additionalProperties"), depth + 1, causes);
    }
}

fn default_cause(path: &str, cause: Cause) -> Cause {
    let below =
        if cause.field.is_empty() || cause.field == "<nil>" { String::new() } else { format!(".{}", cause.field) };
    Cause {
        field: format!("{path}.default{below}"),
        message: cause.message.replace(": <nil> in body", ":  in body"),
        ..cause
    }
}

/// A rule must be one that can be read.
fn rules(schema: &Value, path: &str, causes: &mut Vec<Cause>) {
    let rules = schema.get("x-kubernetes-validations").and_then(Value::as_array).into_iter().flatten();
    for (index, rule) in rules.enumerate() {
        let at = format!("{path}.x-kubernetes-validations[{index}].rule");
        let text = rule.get("rule").and_then(Value::as_str).unwrap_or_default().trim();
        if text.is_empty() {
            causes.push(Cause::required(at, "rule is not specified"));
        } else if let Err(problem) = kube_cel::cel::Program::compile(text) {
            causes.push(Cause::invalid(at, rule, &format!("compilation failed: {problem}")));
        }
    }
}
