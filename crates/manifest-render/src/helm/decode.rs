//! YAML into typed fields as Go's decoder does it: names in any case, scalars made strings where strings are wanted,
//! and the first mismatch as Go words it.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use yaml::{Limits, format_go_single};

/// Reads the first document of a YAML text; the error is Helm's message.
pub(crate) fn parse_yaml(text: &[u8]) -> Result<Value, String> {
    yaml::parse_first_as_go(text, &limits()).map_err(|fault| {
        if fault.message.starts_with("json: ") {
            return format!("error converting YAML to JSON: {}", fault.message);
        }
        let line = if fault.line > 0 { format!("line {}: ", fault.line) } else { String::new() };
        format!("error converting YAML to JSON: yaml: {line}{}", fault.message)
    })
}

/// Charts nest and repeat more than manifests do.
fn limits() -> Limits {
    Limits { alias_values_max: 1_000_000, ..Limits::default() }
}

/// The words in which Go names a JSON value.
pub(crate) fn json_kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// Reads the fields of one mapping and keeps the first mismatch.
pub(crate) struct Decoder {
    fault: Option<String>,
}

/// The mapping at hand: the Go names of its type and of the way to it.
#[derive(Clone, Copy)]
pub(crate) struct Place<'p> {
    pub(crate) type_name: &'p str,
    pub(crate) path: &'p str,
}

impl Place<'_> {
    fn field(self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }
}

impl Decoder {
    pub(crate) fn new() -> Self {
        Self { fault: None }
    }

    /// The first mismatch, as Helm shows it.
    pub(crate) fn finish(self) -> Result<(), String> {
        match self.fault {
            Some(fault) => Err(format!("error unmarshaling JSON: while decoding JSON: {fault}")),
            None => Ok(()),
        }
    }

    /// The mapping that a document must be; null is an empty one.
    pub(crate) fn mapping<'v>(&mut self, value: &'v Value, go_type: &str) -> Option<&'v Map<String, Value>> {
        match value {
            Value::Object(fields) => Some(fields),
            Value::Null => None,
            other => {
                self.refuse(format!("json: cannot unmarshal {} into Go value of type {go_type}", json_kind(other)));
                None
            }
        }
    }

    fn refuse(&mut self, fault: String) {
        self.fault.get_or_insert(fault);
    }

    pub(crate) fn mismatch(&mut self, value: &Value, place: Place<'_>, name: &str, go_type: &str) {
        let field = place.field(name);
        self.refuse(format!(
            "json: cannot unmarshal {} into Go struct field {}.{field} of type {go_type}",
            json_kind(value),
            place.type_name
        ));
    }

    /// A field of type string.
    pub(crate) fn text(&mut self, fields: &Map<String, Value>, place: Place<'_>, name: &str) -> String {
        match find(fields, name) {
            None | Some(Value::Null) => String::new(),
            Some(value) => as_text(value).unwrap_or_else(|| {
                self.mismatch(value, place, name, "string");
                String::new()
            }),
        }
    }

    /// A field of type bool.
    pub(crate) fn flag(&mut self, fields: &Map<String, Value>, place: Place<'_>, name: &str) -> bool {
        match find(fields, name) {
            None | Some(Value::Null) => false,
            Some(Value::Bool(flag)) => *flag,
            Some(value) => {
                self.mismatch(value, place, name, "bool");
                false
            }
        }
    }

    /// A field of type list.
    pub(crate) fn list<'v>(
        &mut self,
        fields: &'v Map<String, Value>,
        place: Place<'_>,
        name: &str,
        go_type: &str,
    ) -> &'v [Value] {
        match find(fields, name) {
            None | Some(Value::Null) => &[],
            Some(Value::Array(items)) => items,
            Some(value) => {
                self.mismatch(value, place, name, go_type);
                &[]
            }
        }
    }

    /// A field of type list of strings.
    pub(crate) fn texts(&mut self, fields: &Map<String, Value>, place: Place<'_>, name: &str) -> Vec<String> {
        let items = self.list(fields, place, name, "[]string");
        let mut texts = Vec::with_capacity(items.len());
        for item in items {
            texts.push(as_text(item).unwrap_or_else(|| {
                if !item.is_null() {
                    self.mismatch(item, place, name, "string");
                }
                String::new()
            }));
        }
        texts
    }

    /// A field of type mapping from string to string; None when it is not there.
    pub(crate) fn text_map(
        &mut self,
        fields: &Map<String, Value>,
        place: Place<'_>,
        name: &str,
    ) -> Option<BTreeMap<String, String>> {
        let entries = match find(fields, name)? {
            Value::Null => return None,
            Value::Object(entries) => entries,
            value => {
                self.mismatch(value, place, name, "map[string]string");
                return None;
            }
        };
        let mut texts = BTreeMap::new();
        for (key, value) in entries {
            let text = as_text(value).unwrap_or_else(|| {
                if !value.is_null() {
                    self.mismatch(value, place, name, "string");
                }
                String::new()
            });
            texts.insert(key.clone(), text);
        }
        Some(texts)
    }
}

/// The value of a field whose name may be written in any case; of several the one that sorts last counts.
pub(crate) fn find<'v>(fields: &'v Map<String, Value>, name: &str) -> Option<&'v Value> {
    fields.iter().rev().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

/// A scalar as the string that it becomes where a string is wanted.
pub(crate) fn as_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Number(number) => match number.as_f64() {
            Some(float) if number.is_f64() => Some(format_go_single(float)),
            _ => Some(number.to_string()),
        },
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}
