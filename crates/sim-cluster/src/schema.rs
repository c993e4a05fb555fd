//! Structural schemas of custom resources: prune, default and validate.

use serde_json::{Map, Value, json};

use crate::error::Cause;
use crate::types;

const CAUSES_MAX: usize = 100;

fn flag(schema: &Value, key: &str) -> bool {
    schema.get(key).and_then(Value::as_bool).unwrap_or(false)
}

pub(crate) fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

/// Drops what the schema does not name, and says what it was.
pub(crate) fn prune(value: &mut Value, schema: &Value, path: &str, dropped: &mut Vec<String>) {
    match value {
        Value::Object(fields) => prune_fields(fields, schema, path, dropped),
        Value::Array(list) => {
            let Some(items) = schema.get("items") else { return };
            for (index, item) in list.iter_mut().enumerate() {
                prune(item, items, &format!("{path}[{index}]"), dropped);
            }
        }
        _ => {}
    }
}

fn prune_fields(fields: &mut Map<String, Value>, schema: &Value, path: &str, dropped: &mut Vec<String>) {
    let keeps_unknown = flag(schema, "x-kubernetes-preserve-unknown-fields");
    let is_object = path.is_empty() || flag(schema, "x-kubernetes-embedded-resource");
    let properties = schema.get("properties").and_then(Value::as_object);
    let more = schema.get("additionalProperties").filter(|more| more.as_bool() != Some(false));
    let mut gone = Vec::new();
    for (name, value) in fields.iter_mut() {
        if is_object && matches!(name.as_str(), "apiVersion" | "kind" | "metadata") {
            if !path.is_empty() && name == "metadata" {
                prune_metadata(value, path, dropped);
            }
            continue;
        }
        match properties.and_then(|properties| properties.get(name)) {
            Some(property) => prune(value, property, &join(path, name), dropped),
            None => match more {
                Some(more) => prune(value, more, &join(path, name), dropped),
                None if keeps_unknown => {}
                None => gone.push(name.clone()),
            },
        }
    }
    for name in gone {
        fields.remove(&name);
        dropped.push(join(path, &name));
    }
}

/// The metadata of an embedded object is that of every object.
fn prune_metadata(metadata: &mut Value, path: &str, dropped: &mut Vec<String>) {
    let Some(id) = types::of_kind("v1", "ConfigMap") else { return };
    let Ok(mut decoded) = types::decode(id, json!({"metadata": metadata.clone()})) else { return };
    if let Some(known) = decoded.value.get_mut("metadata") {
        *metadata = known.take();
    }
    dropped.extend(decoded.unknown.into_iter().map(|unknown| join(path, &unknown)));
}

/// Whether a schema sets any default.
pub(crate) fn has_defaults(schema: &Value) -> bool {
    match schema {
        Value::Object(fields) => fields.contains_key("default") || fields.values().any(has_defaults),
        Value::Array(list) => list.iter().any(has_defaults),
        _ => false,
    }
}

/// Sets defaults; a null for what can't be null and has a default counts as absent.
pub(crate) fn default(value: &mut Value, schema: &Value) {
    match value {
        Value::Object(fields) => {
            for (name, property) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
                let default_value = property.get("default");
                let is_absent = match fields.get(name) {
                    None => true,
                    Some(Value::Null) => default_value.is_some() && !flag(property, "nullable"),
                    Some(_) => false,
                };
                if let (true, Some(default_value)) = (is_absent, default_value) {
                    fields.insert(name.clone(), default_value.clone());
                }
                if let Some(value) = fields.get_mut(name) {
                    default(value, property);
                }
            }
            if let Some(more) = schema.get("additionalProperties").filter(|more| more.is_object()) {
                let properties = schema.get("properties").and_then(Value::as_object);
                for (name, value) in fields.iter_mut() {
                    if properties.is_none_or(|properties| !properties.contains_key(name)) {
                        default(value, more);
                    }
                }
            }
        }
        Value::Array(list) => {
            if let Some(items) = schema.get("items") {
                list.iter_mut().for_each(|item| default(item, items));
            }
        }
        _ => {}
    }
}

/// The item of an older list that an item goes on from: only lists that merge by keys know it.
pub(crate) fn item_before<'o>(item: &Value, old: Option<&'o Value>, schema: &Value) -> Option<&'o Value> {
    let keys = schema.get("x-kubernetes-list-map-keys").and_then(Value::as_array)?;
    let same = |before: &&Value| keys.iter().filter_map(Value::as_str).all(|key| before.get(key) == item.get(key));
    old?.as_array()?.iter().find(same)
}

/// What is wrong with a value. What is the same as before may stay as it is.
pub(crate) fn validate(value: &Value, old: Option<&Value>, schema: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    check(value, old, schema, "", &mut causes);
    causes.truncate(CAUSES_MAX);
    causes
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn check(value: &Value, old: Option<&Value>, schema: &Value, path: &str, causes: &mut Vec<Cause>) {
    if causes.len() >= CAUSES_MAX || old == Some(value) {
        return;
    }
    if value.is_null() {
        // Nulls of fields that may not be null are dropped by the parent or refused here.
        if schema.get("type").is_some() && !flag(schema, "nullable") {
            let wanted = schema.get("type").and_then(Value::as_str).unwrap_or_default();
            causes.push(wrong_type(path, value, wanted));
        }
        return;
    }
    if !check_type(value, schema, path, causes) {
        return;
    }
    check_enum(value, schema, path, causes);
    match value {
        Value::String(text) => check_text(text, schema, path, causes),
        Value::Number(_) => check_number(value, schema, path, causes),
        Value::Array(list) => check_list(list, old, schema, path, causes),
        Value::Object(fields) => check_fields(fields, old, value, schema, path, causes),
        _ => {}
    }
    check_combinations(value, old, schema, path, causes);
}

fn wrong_type(path: &str, value: &Value, wanted: &str) -> Cause {
    let have = type_name(value);
    let place = if path.is_empty() { "<nil>".to_owned() } else { path.to_owned() };
    Cause {
        reason: "FieldValueTypeInvalid",
        message: format!(
            "Invalid value: {}: {place} in body must be of type {wanted}: {}",
            shown(value),
            serde_json::to_string(have).unwrap_or_default()
        ),
        field: place,
    }
}

/// How a value is named inside a message about its type: composites by their type.
fn shown(value: &Value) -> String {
    match value {
        Value::Object(_) => "\"object\"".to_owned(),
        Value::Array(_) => "\"array\"".to_owned(),
        Value::Null => "\"null\"".to_owned(),
        Value::String(_) => "\"string\"".to_owned(),
        Value::Bool(_) => "\"boolean\"".to_owned(),
        Value::Number(number) => if number.is_f64() { "\"number\"" } else { "\"integer\"" }.to_owned(),
    }
}

fn check_type(value: &Value, schema: &Value, path: &str, causes: &mut Vec<Cause>) -> bool {
    if flag(schema, "x-kubernetes-int-or-string") {
        if matches!(value, Value::String(_)) || type_name(value) == "integer" {
            return true;
        }
        causes.push(wrong_type(path, value, "integer,string"));
        return false;
    }
    let Some(wanted) = schema.get("type").and_then(Value::as_str) else { return true };
    let have = type_name(value);
    let is_whole = value.as_f64().is_some_and(|number| number.fract() == 0.0);
    let fits = have == wanted
        || wanted == "number" && have == "integer"
        || wanted == "integer" && have == "number" && is_whole;
    if !fits {
        causes.push(wrong_type(path, value, wanted));
    }
    fits
}

fn check_enum(value: &Value, schema: &Value, path: &str, causes: &mut Vec<Cause>) {
    if let Some(allowed) = schema.get("enum").and_then(Value::as_array)
        && !allowed.contains(value)
    {
        let names: Vec<String> =
            allowed.iter().map(|allowed| allowed.as_str().map_or_else(|| allowed.to_string(), str::to_owned)).collect();
        let quoted: Vec<String> = names.iter().map(|name| format!("{name:?}")).collect();
        causes.push(Cause {
            reason: "FieldValueNotSupported",
            message: format!("Unsupported value: {value}: supported values: {}", quoted.join(", ")),
            field: path.to_owned(),
        });
    }
}

fn invalid(path: &str, value: &Value, why: &str) -> Cause {
    Cause {
        reason: "FieldValueInvalid",
        message: format!("Invalid value: {value}: {path} in body {why}"),
        field: path.to_owned(),
    }
}

fn check_text(text: &str, schema: &Value, path: &str, causes: &mut Vec<Cause>) {
    let bound = |key: &str| schema.get(key).and_then(Value::as_u64);
    let length = text.chars().count() as u64;
    let value = Value::from(text);
    if bound("maxLength").is_some_and(|max| length > max) {
        let max = bound("maxLength").unwrap_or_default();
        causes.push(Cause {
            reason: "FieldValueTooLong",
            message: format!("Too long: may not be more than {max} bytes"),
            field: path.to_owned(),
        });
    }
    if let Some(min) = bound("minLength").filter(|min| length < *min) {
        // A text that is too short is not looked at further.
        causes.push(invalid(path, &value, &format!("should be at least {min} chars long")));
        return;
    }
    if let Some(pattern) = schema.get("pattern").and_then(Value::as_str)
        && let Ok(matcher) = regex_lite::Regex::new(pattern)
        && !matcher.is_match(text)
    {
        causes.push(invalid(path, &value, &format!("should match '{pattern}'")));
    }
    if let Some(format) = schema.get("format").and_then(Value::as_str)
        && !fits_format(text, format)
    {
        let why = format!("must be of type {format}: {value}");
        causes.push(Cause {
            reason: "FieldValueTypeInvalid",
            message: format!("Invalid value: {value}: {path} in body {why}"),
            field: path.to_owned(),
        });
    }
}

fn fits_format(text: &str, format: &str) -> bool {
    match format {
        "date-time" => object_model::parse_time(text).is_some(),
        "duration" => object_model::parse_go_duration(text).is_ok(),
        "ipv4" => text.parse::<std::net::Ipv4Addr>().is_ok(),
        "ipv6" => text.parse::<std::net::Ipv6Addr>().is_ok(),
        "uri" => {
            text.split_once(':').is_some_and(|(scheme, rest)| !scheme.is_empty() && !rest.is_empty())
                || text.starts_with('/')
        }
        _ => true,
    }
}

fn check_number(value: &Value, schema: &Value, path: &str, causes: &mut Vec<Cause>) {
    let Some(number) = value.as_f64() else { return };
    let bound = |key: &str| schema.get(key).and_then(Value::as_f64);
    if let Some(min) = bound("minimum") {
        let is_open = flag(schema, "exclusiveMinimum");
        if number < min || is_open && number == min {
            let words = if is_open { "should be greater than" } else { "should be greater than or equal to" };
            causes.push(invalid(path, value, &format!("{words} {min}")));
        }
    }
    if let Some(max) = bound("maximum") {
        let is_open = flag(schema, "exclusiveMaximum");
        if number > max || is_open && number == max {
            let words = if is_open { "should be less than" } else { "should be less than or equal to" };
            causes.push(invalid(path, value, &format!("{words} {max}")));
        }
    }
    if let Some(of) = bound("multipleOf").filter(|of| *of != 0.0 && number % of != 0.0) {
        causes.push(invalid(path, value, &format!("should be a multiple of {of}")));
    }
}

fn check_list(list: &[Value], old: Option<&Value>, schema: &Value, path: &str, causes: &mut Vec<Cause>) {
    let bound = |key: &str| schema.get(key).and_then(Value::as_u64);
    let length = list.len() as u64;
    if let Some(max) = bound("maxItems").filter(|max| length > *max) {
        causes.push(Cause {
            reason: "FieldValueTooMany",
            message: format!("Too many: {length}: must have at most {max} {}", if max == 1 { "item" } else { "items" }),
            field: path.to_owned(),
        });
    }
    if let Some(min) = bound("minItems").filter(|min| length < *min) {
        // The message shows how many there are where others show the value.
        causes.push(invalid(path, &Value::from(length), &format!("should have at least {min} items")));
    }
    check_unique(list, schema, path, causes);
    if let Some(items) = schema.get("items") {
        for (index, item) in list.iter().enumerate() {
            check(item, item_before(item, old, schema), items, &format!("{path}[{index}]"), causes);
        }
    }
}

fn check_unique(list: &[Value], schema: &Value, path: &str, causes: &mut Vec<Cause>) {
    let keys = schema.get("x-kubernetes-list-map-keys").and_then(Value::as_array);
    let identity = |item: &Value| -> Value {
        match keys {
            Some(keys) => {
                let pairs = keys.iter().filter_map(Value::as_str);
                Value::Object(pairs.filter_map(|key| Some((key.to_owned(), item.get(key)?.clone()))).collect())
            }
            None => item.clone(),
        }
    };
    if !matches!(schema.get("x-kubernetes-list-type").and_then(Value::as_str), Some("map" | "set")) {
        return;
    }
    let mut seen = std::collections::BTreeSet::new();
    for (index, item) in list.iter().enumerate() {
        let identity = identity(item);
        if !seen.insert(identity.to_string()) {
            causes.push(Cause {
                reason: "FieldValueDuplicate",
                message: format!("Duplicate value: {identity}"),
                field: format!("{path}[{index}]"),
            });
        }
    }
}

fn check_fields(
    fields: &Map<String, Value>,
    old: Option<&Value>,
    value: &Value,
    schema: &Value,
    path: &str,
    causes: &mut Vec<Cause>,
) {
    for name in schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
        // A null for what may not be null counts as absent where it is required.
        let is_nullable = schema.pointer(&format!("/properties/{name}")).is_some_and(|schema| flag(schema, "nullable"));
        if fields.get(name).is_none_or(|value| value.is_null() && !is_nullable) {
            causes.push(Cause {
                reason: "FieldValueRequired",
                message: "Required value".to_owned(),
                field: join(path, name),
            });
        }
    }
    let bound = |key: &str| schema.get(key).and_then(Value::as_u64);
    let length = fields.len() as u64;
    if let Some(max) = bound("maxProperties").filter(|max| length > *max) {
        causes.push(Cause {
            reason: "FieldValueTooMany",
            message: format!("Too many: {length}: must have at most {max} {}", if max == 1 { "item" } else { "items" }),
            field: path.to_owned(),
        });
    }
    if let Some(min) = bound("minProperties").filter(|min| length < *min) {
        causes.push(invalid(path, value, &format!("should have at least {min} properties")));
    }
    let properties = schema.get("properties").and_then(Value::as_object);
    let more = schema.get("additionalProperties").filter(|more| more.is_object());
    for (name, value) in fields {
        if path.is_empty() && matches!(name.as_str(), "metadata" | "apiVersion" | "kind") {
            continue;
        }
        // What is required and null has been reported as missing.
        let is_missed = value.is_null() && is_required(schema, name);
        if let Some(property) = properties.and_then(|properties| properties.get(name)).or(more).filter(|_| !is_missed) {
            check(value, old.and_then(|old| old.get(name)), property, &join(path, name), causes);
        }
    }
}

fn is_required(schema: &Value, name: &str) -> bool {
    schema.get("required").and_then(Value::as_array).is_some_and(|list| list.iter().any(|required| required == name))
}

fn check_combinations(value: &Value, old: Option<&Value>, schema: &Value, path: &str, causes: &mut Vec<Cause>) {
    // With int-or-string the alternatives only repeat the two types.
    if flag(schema, "x-kubernetes-int-or-string") {
        return;
    }
    let list = |key: &str| schema.get(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let fits = |alternative: &Value| {
        let mut found = Vec::new();
        check(value, None, alternative, path, &mut found);
        found.is_empty()
    };
    for part in list("allOf") {
        check(value, old, part, path, causes);
    }
    let any = list("anyOf");
    if !any.is_empty() && !any.iter().any(fits) {
        causes.push(invalid(path, value, "must validate at least one schema (anyOf)"));
    }
    let one = list("oneOf");
    if !one.is_empty() && one.iter().filter(|alternative| fits(alternative)).count() != 1 {
        causes.push(invalid(path, value, "must validate one and only one schema (oneOf)"));
    }
    if schema.get("not").is_some_and(fits) {
        causes.push(invalid(path, value, "must not validate the schema (not)"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema() -> Value {
        json!({"type": "object", "properties": {"spec": {"type": "object", "required": ["size"], "properties": {
            "size": {"type": "integer", "minimum": 1, "maximum": 5},
            "color": {"type": "string", "enum": ["blue", "green"], "default": "blue"},
            "name": {"type": "string", "pattern": "^[a-z]+$"},
            "port": {"x-kubernetes-int-or-string": true, "anyOf": [{"type": "integer"}, {"type": "string"}]},
            "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
            "labels": {"type": "object", "additionalProperties": {"type": "string"}},
        }}}})
    }

    #[test]
    fn unknown_fields_are_dropped_and_defaults_are_set() {
        let mut value =
            json!({"kind": "A", "spec": {"size": 1, "typo": 1, "free": {"any": 1}, "labels": {"a": "b"}}, "more": 1});
        let mut dropped = Vec::new();
        prune(&mut value, &schema(), "", &mut dropped);
        default(&mut value, &schema());
        assert_eq!(dropped, ["spec.typo", "more"]);
        assert_eq!(
            value,
            json!({"kind": "A", "spec": {"size": 1, "color": "blue", "free": {"any": 1}, "labels": {"a": "b"}}})
        );
    }

    #[test]
    fn each_broken_rule_is_a_cause() {
        let value = json!({"spec": {"size": 9, "color": "red", "name": "A", "port": true, "labels": {"a": 1}}});
        let causes: Vec<String> = validate(&value, None, &schema())
            .into_iter()
            .map(|cause| format!("{}: {}", cause.field, cause.message))
            .collect();
        insta::assert_snapshot!(causes.join("\n"), @r#"
        spec.color: Unsupported value: "red": supported values: "blue", "green"
        spec.labels.a: Invalid value: "integer": spec.labels.a in body must be of type string: "integer"
        spec.name: Invalid value: "A": spec.name in body should match '^[a-z]+$'
        spec.port: Invalid value: "boolean": spec.port in body must be of type integer,string: "boolean"
        spec.size: Invalid value: 9: spec.size in body should be less than or equal to 5
        "#);
        assert_eq!(validate(&json!({"spec": {}}), None, &schema())[0].reason, "FieldValueRequired");
    }
}
