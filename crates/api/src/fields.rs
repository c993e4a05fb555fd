//! Tolerant reading: one field at a time, each problem by its path.

use std::fmt;

use object_model::{Duration, Object, parse_go_duration};
use serde_json::Value;

/// A field that can't be used as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Path of the field, such as `spec.interval`; empty when the message names the thing itself.
    pub field: String,
    /// What is wrong and what would be right.
    pub message: String,
}

impl Problem {
    /// Returns a problem of a field.
    pub fn new(field: &str, message: impl Into<String>) -> Self {
        Self { field: field.to_owned(), message: message.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.field.as_str() {
            "" => f.write_str(&self.message),
            field => write!(f, "{field}: {}", self.message),
        }
    }
}

/// Reads fields of one object and collects what is wrong with them.
#[derive(Debug)]
pub struct Fields<'a> {
    object: &'a Object,
    problems: Vec<Problem>,
}

impl<'a> Fields<'a> {
    /// Begins to read an object.
    pub fn of(object: &'a Object) -> Self {
        Self { object, problems: Vec::new() }
    }

    /// The namespace of the object; empty where it has none.
    pub fn namespace(&self) -> String {
        self.object.namespace().unwrap_or_default().to_owned()
    }

    /// Ends reading.
    pub fn into_problems(self) -> Vec<Problem> {
        self.problems
    }

    /// Adds a problem.
    pub fn problem(&mut self, field: &str, message: impl Into<String>) {
        self.problems.push(Problem::new(field, message));
    }

    /// The value at a dotted path (`spec.destination.namespace`); null counts as absent.
    pub fn value(&self, path: &str) -> Option<&'a Value> {
        let pointer = format!("/{}", path.replace('.', "/"));
        self.object.pointer(&pointer).filter(|value| !value.is_null())
    }

    /// A string.
    pub fn text(&mut self, path: &str) -> Option<String> {
        match self.value(path)? {
            Value::String(text) => Some(text.clone()),
            other => {
                self.problem(path, format!("must be a string, not {}", kind_of(other)));
                None
            }
        }
    }

    /// A string that must be there and not be empty.
    pub fn required_text(&mut self, path: &str) -> String {
        let text = self.text(path);
        let complained = self.problems.iter().any(|problem| problem.field == path);
        match text.filter(|text| !text.is_empty()) {
            Some(text) => text,
            None => {
                if !complained {
                    self.problem(path, "is required");
                }
                String::new()
            }
        }
    }

    /// A boolean.
    pub fn boolean(&mut self, path: &str) -> Option<bool> {
        match self.value(path)? {
            Value::Bool(flag) => Some(*flag),
            other => {
                self.problem(path, format!("must be true or false, not {}", kind_of(other)));
                None
            }
        }
    }

    /// An integer that is not negative.
    pub fn count(&mut self, path: &str) -> Option<u32> {
        let value = self.value(path)?;
        match value.as_i64().and_then(|number| u32::try_from(number).ok()) {
            Some(number) => Some(number),
            None => {
                self.problem(path, format!("must be a whole number from 0, not {value}"));
                None
            }
        }
    }

    /// A duration: `90s` or whole seconds.
    pub fn duration(&mut self, path: &str) -> Option<Duration> {
        let value = self.value(path)?;
        match read_duration(value) {
            Ok(duration) => Some(duration),
            Err(message) => {
                self.problem(path, message);
                None
            }
        }
    }

    /// A list of strings; other items are named by index.
    pub fn texts(&mut self, path: &str) -> Vec<String> {
        let items = match self.value(path) {
            None => return Vec::new(),
            Some(Value::Array(items)) => items,
            Some(other) => {
                self.problem(path, format!("must be a list, not {}", kind_of(other)));
                return Vec::new();
            }
        };
        let mut texts = Vec::new();
        for (index, item) in items.iter().enumerate() {
            match item.as_str() {
                Some(text) => texts.push(text.to_owned()),
                None => self.problem(&format!("{path}[{index}]"), format!("must be a string, not {}", kind_of(item))),
            }
        }
        texts
    }
}

/// Reads `90s`, `"90"` or `90` (Argo's and Kubernetes' spellings of a span of time).
///
/// # Errors
/// A sentence for people when the value is none of these.
pub(crate) fn read_duration(value: &Value) -> Result<Duration, String> {
    match value {
        Value::Number(number) => {
            number.as_u64().map(Duration::from_secs).ok_or_else(|| format!("{number} is not a whole number of seconds"))
        }
        Value::String(text) => match text.parse::<u64>() {
            Ok(seconds) => Ok(Duration::from_secs(seconds)),
            Err(_) => parse_go_duration(text).map_err(|error| error.to_string()),
        },
        other => Err(format!("must be a duration such as 90s, not {}", kind_of(other))),
    }
}

/// Names the JSON type of a value.
pub(crate) fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "a mapping",
    }
}
