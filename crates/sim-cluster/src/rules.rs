//! The rules in CEL that a schema holds (`x-kubernetes-validations`): which are looked at, and how a broken one is told.

use kube_cel::{CompiledSchema, ErrorKind, Validator, compile_schema};
use serde_json::{Map, Value, json};

use crate::error::Cause;
use crate::schema::{item_before, join};

const RULES: &str = "x-kubernetes-validations";
/// Most broken rules that are listed.
const CAUSES_MAX: usize = 100;

/// Whether a schema holds any rule.
pub(crate) fn has_any(schema: &Value) -> bool {
    match schema {
        Value::Object(fields) => fields.contains_key(RULES) || fields.values().any(has_any),
        Value::Array(list) => list.iter().any(has_any),
        _ => false,
    }
}

/// What stands for the rules that were not looked at, because the object is wrong in a way that would confuse them.
pub(crate) fn unchecked(causes: &[Cause]) -> Option<Cause> {
    const BLOCKING: [&str; 5] = [
        "FieldValueNotSupported",
        "FieldValueRequired",
        "FieldValueTooLong",
        "FieldValueTooMany",
        "FieldValueTypeInvalid",
    ];
    let message = "Invalid value: null: some validation rules were not checked because the object was invalid; \
                   correct the existing errors to complete validation";
    causes.iter().any(|cause| BLOCKING.contains(&cause.reason)).then(|| Cause {
        reason: "FieldValueInvalid",
        message: message.to_owned(),
        field: "<nil>".to_owned(),
    })
}

/// What the rules say of an object, and of the change from an earlier one. A part that did not change may stay as it is.
pub(crate) fn broken(object: &Value, old: Option<&Value>, schema: &Value) -> Vec<Cause> {
    let mut walk = Walk { validator: Validator::new(), causes: Vec::new() };
    walk.node(object, old, schema, "");
    walk.causes.truncate(CAUSES_MAX);
    walk.causes
}

struct Walk {
    validator: Validator,
    causes: Vec<Cause>,
}

impl Walk {
    fn node(&mut self, value: &Value, old: Option<&Value>, schema: &Value, path: &str) {
        if self.causes.len() >= CAUSES_MAX || value.is_null() {
            return;
        }
        for rule in schema.get(RULES).and_then(Value::as_array).into_iter().flatten() {
            self.rule(rule, value, old, schema, path);
        }
        match value {
            Value::Object(fields) => self.fields(fields, old, schema, path),
            Value::Array(items) => {
                let Some(of_items) = schema.get("items") else { return };
                for (index, item) in items.iter().enumerate() {
                    let before = item_before(item, old, schema);
                    self.node(item, before, of_items, &format!("{path}[{index}]"));
                }
            }
            _ => {}
        }
        for part in schema.get("allOf").and_then(Value::as_array).into_iter().flatten() {
            self.node(value, old, part, path);
        }
    }

    fn fields(&mut self, fields: &Map<String, Value>, old: Option<&Value>, schema: &Value, path: &str) {
        let properties = schema.get("properties").and_then(Value::as_object);
        let more = schema.get("additionalProperties").filter(|more| more.is_object());
        for (name, value) in fields {
            let before = old.and_then(|old| old.get(name));
            match properties.and_then(|properties| properties.get(name)) {
                Some(property) => self.node(value, before, property, &join(path, name)),
                None => {
                    if let Some(more) = more {
                        self.node(value, before, more, &format!("{path}[{name}]"));
                    }
                }
            }
        }
    }

    fn rule(&mut self, rule: &Value, value: &Value, old: Option<&Value>, schema: &Value, path: &str) {
        let text = |key: &str| rule.get(key).and_then(Value::as_str).unwrap_or_default();
        let is_about_change = names(text("rule"), "oldSelf");
        if !is_about_change && old == Some(value) {
            return;
        }
        let compiled = compiled(rule, old, schema);
        let Err(problems) = self.validator.validate_compiled(&compiled, value, old) else { return };
        let Some(problem) = problems.as_slice().first() else { return };
        let detail = match problem.kind {
            ErrorKind::ValidationFailure => match (text("messageExpression"), text("message")) {
                ("", "") => format!("failed rule: {}", text("rule").trim()),
                ("", message) => message.to_owned(),
                _ => problem.message.clone(),
            },
            _ => format!("rule evaluation error: {}", problem.message),
        };
        let field = match text("fieldPath") {
            "" => path.to_owned(),
            below => format!("{path}{below}"),
        };
        self.causes.push(cause(text("reason"), field, value, &detail));
    }
}

/// One rule on its own: the parts below have theirs looked at in their own turn.
fn compiled(rule: &Value, old: Option<&Value>, schema: &Value) -> CompiledSchema {
    let mut rule = rule.clone();
    let is_optional = rule.get("optionalOldSelf").and_then(Value::as_bool) == Some(true);
    if let (true, Some(fields)) = (is_optional, rule.as_object_mut()) {
        // The evaluator has no optional variable, but it has optional values.
        let stand_in = if old.is_some() { "optional.of(oldSelf)" } else { "optional.none()" };
        let text = fields.get("rule").and_then(Value::as_str).unwrap_or_default();
        let text = replace_name(text, "oldSelf", stand_in);
        fields.insert("rule".to_owned(), text.into());
        fields.remove("optionalOldSelf");
    }
    let mut alone = without_rules(schema);
    if let Some(fields) = alone.as_object_mut() {
        // The object has its defaults already.
        fields.remove("default");
        fields.insert(RULES.to_owned(), json!([rule]));
    }
    compile_schema(&alone)
}

fn without_rules(schema: &Value) -> Value {
    match schema {
        Value::Object(fields) => {
            let kept = fields
                .iter()
                .filter(|(key, _)| !matches!(key.as_str(), RULES | "default" | "allOf" | "anyOf" | "oneOf"));
            Value::Object(kept.map(|(key, value)| (key.clone(), without_rules(value))).collect())
        }
        Value::Array(list) => Value::Array(list.iter().map(without_rules).collect()),
        other => other.clone(),
    }
}

/// Where a name stands as a word of its own.
fn places(text: &str, name: &str) -> Vec<usize> {
    let is_part = |character: char| character.is_alphanumeric() || character == '_';
    let alone = |at: &usize| {
        let before = text.get(..*at).and_then(|before| before.chars().next_back());
        let after = text.get(at + name.len()..).and_then(|after| after.chars().next());
        !before.is_some_and(is_part) && !after.is_some_and(is_part)
    };
    text.match_indices(name).map(|(at, _)| at).filter(alone).collect()
}

fn names(text: &str, name: &str) -> bool {
    !places(text, name).is_empty()
}

fn replace_name(text: &str, name: &str, by: &str) -> String {
    let mut out = text.to_owned();
    for at in places(text, name).into_iter().rev() {
        out.replace_range(at..at + name.len(), by);
    }
    out
}

fn cause(reason: &str, field: String, value: &Value, detail: &str) -> Cause {
    match reason {
        "FieldValueForbidden" => Cause::forbidden(field, detail),
        "FieldValueRequired" => Cause::required(field, detail),
        "FieldValueDuplicate" => {
            Cause { reason: "FieldValueDuplicate", message: format!("Duplicate value: {value}"), field }
        }
        _ if value.is_object() || value.is_array() => {
            Cause { reason: "FieldValueInvalid", message: format!("Invalid value: {detail}"), field }
        }
        _ => Cause::invalid(field, value, detail),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema() -> Value {
        json!({"type": "object", "properties": {"spec": {
            "type": "object",
            RULES: [{"rule": "self.min <= self.max", "message": "min is more than max"}],
            "properties": {
                "min": {"type": "integer"}, "max": {"type": "integer"},
                "fixed": {"type": "string", RULES: [{"rule": "self == oldSelf"}]},
                "once": {"type": "string", RULES: [{"rule": "!oldSelf.hasValue() || oldSelf.value() == self", "optionalOldSelf": true}]},
            },
        }}})
    }

    fn told(object: &Value, old: Option<&Value>) -> Vec<String> {
        broken(object, old, &schema()).into_iter().map(|cause| format!("{}: {}", cause.field, cause.message)).collect()
    }

    #[test]
    fn a_broken_rule_is_told_where_it_stands() {
        let wrong = json!({"spec": {"min": 3, "max": 2}});
        assert_eq!(told(&wrong, None), ["spec: Invalid value: min is more than max"]);
        assert!(told(&json!({"spec": {"min": 1, "max": 2}}), None).is_empty());
    }

    #[test]
    fn what_was_broken_before_may_stay_as_it_is() {
        let wrong = json!({"spec": {"min": 3, "max": 2}});
        assert!(told(&wrong, Some(&wrong)).is_empty());
        let worse = json!({"spec": {"min": 4, "max": 2}});
        assert_eq!(told(&worse, Some(&wrong)), ["spec: Invalid value: min is more than max"]);
    }

    #[test]
    fn a_rule_about_a_change_needs_something_before() {
        let old = json!({"spec": {"min": 1, "max": 2, "fixed": "a", "once": "b"}});
        let new = json!({"spec": {"min": 1, "max": 2, "fixed": "b", "once": "c"}});
        assert!(told(&new, None).is_empty());
        assert_eq!(
            told(&new, Some(&old)),
            [
                r#"spec.fixed: Invalid value: "b": failed rule: self == oldSelf"#,
                r#"spec.once: Invalid value: "c": failed rule: !oldSelf.hasValue() || oldSelf.value() == self"#,
            ]
        );
    }
}
