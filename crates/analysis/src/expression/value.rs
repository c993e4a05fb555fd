//! The values that expressions work on, named as the condition language's own messages name them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::ops::Deref;
use std::sync::Arc;

use object_model::{Duration, Timestamp, format_go_duration};
use serde_json::Value as Json;

/// A value inside an expression.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    Nil,
    Bool(bool),
    Integer(i64),
    Float(f64),
    Text(Arc<str>),
    List(Arc<List>),
    Map(Arc<Map>),
    Time(Timestamp),
    /// A span of time in nanoseconds; it may be negative.
    Span(i64),
}

/// Items, and how deep lists and maps are nested in them.
#[derive(Debug)]
pub(crate) struct List {
    items: Vec<Value>,
    depth: usize,
    /// Whether the host knows that it holds floats and nothing else.
    is_vector: bool,
}

impl List {
    pub(crate) fn is_vector(&self) -> bool {
        self.is_vector
    }
}

impl Deref for List {
    type Target = [Value];
    fn deref(&self) -> &[Value] {
        &self.items
    }
}

/// Entries, and how deep lists and maps are nested in them.
#[derive(Debug)]
pub(crate) struct Map {
    entries: BTreeMap<String, Value>,
    depth: usize,
}

impl Deref for Map {
    type Target = BTreeMap<String, Value>;
    fn deref(&self) -> &BTreeMap<String, Value> {
        &self.entries
    }
}

impl Value {
    pub(crate) fn text(text: impl AsRef<str>) -> Self {
        Self::Text(Arc::from(text.as_ref()))
    }

    pub(crate) fn list(items: Vec<Self>) -> Self {
        let depth = 1 + items.iter().map(Self::depth).max().unwrap_or(0);
        Self::List(Arc::new(List { items, depth, is_vector: false }))
    }

    /// A list that is known to hold floats and nothing else, as Prometheus gives it.
    pub(crate) fn vector(numbers: Vec<f64>) -> Self {
        let items = numbers.into_iter().map(Self::Float).collect();
        Self::List(Arc::new(List { items, depth: 1, is_vector: true }))
    }

    pub(crate) fn map(entries: BTreeMap<String, Self>) -> Self {
        let depth = 1 + entries.values().map(Self::depth).max().unwrap_or(0);
        Self::Map(Arc::new(Map { entries, depth }))
    }

    /// How many levels of lists and maps there are.
    pub(crate) fn depth(&self) -> usize {
        match self {
            Self::List(list) => list.depth,
            Self::Map(map) => map.depth,
            _ => 0,
        }
    }

    /// How many items a walk over the outermost level meets.
    pub(crate) fn breadth(&self) -> usize {
        match self {
            Self::List(list) => list.len(),
            Self::Map(map) => map.len(),
            Self::Text(text) => text.len() / 64,
            _ => 0,
        }
    }

    /// Reads JSON as the condition language's host does: every number is a float.
    pub(crate) fn from_json(json: &Json) -> Self {
        match json {
            Json::Null => Self::Nil,
            Json::Bool(value) => Self::Bool(*value),
            Json::Number(number) => Self::Float(number.as_f64().unwrap_or(f64::NAN)),
            Json::String(text) => Self::text(text),
            Json::Array(items) => Self::list(items.iter().map(Self::from_json).collect()),
            Json::Object(map) => {
                Self::map(map.iter().map(|(key, value)| (key.clone(), Self::from_json(value))).collect())
            }
        }
    }

    /// The name of the type in messages.
    pub(crate) fn type_name(&self) -> &'static str {
        match self {
            Self::Nil => "<nil>",
            Self::Bool(_) => "bool",
            Self::Integer(_) => "int",
            Self::Float(_) => "float64",
            Self::Text(_) => "string",
            Self::List(items) if items.is_vector => "[]float64",
            Self::List(_) => "[]interface {}",
            Self::Map(_) => "map[string]interface {}",
            Self::Time(_) => "time.Time",
            Self::Span(_) => "time.Duration",
        }
    }

    /// The number as a float, if it is one.
    pub(crate) fn as_float(&self) -> Option<f64> {
        match self {
            Self::Integer(value) => Some(float(*value)),
            Self::Float(value) => Some(*value),
            _ => None,
        }
    }

    /// The number cut to a whole one, as an index or a range bound.
    pub(crate) fn as_integer(&self) -> Option<i64> {
        match self {
            Self::Integer(value) => Some(*value),
            Self::Float(value) => Some(integer(*value)),
            _ => None,
        }
    }

    /// Equality across kinds of numbers; otherwise only values of one type are equal. `None` when more than `steps`
    /// values would have to be looked at.
    pub(crate) fn equals(&self, other: &Self, steps: &mut u32) -> Option<bool> {
        *steps = steps.checked_sub(1)?;
        Some(match (self, other) {
            (Self::Nil, Self::Nil) => true,
            (Self::Bool(a), Self::Bool(b)) => a == b,
            (Self::Integer(a), Self::Integer(b)) => a == b,
            (Self::Integer(_) | Self::Float(_), Self::Integer(_) | Self::Float(_)) => {
                self.as_float() == other.as_float()
            }
            (Self::Text(a), Self::Text(b)) => a == b,
            (Self::List(a), Self::List(b)) => {
                if a.len() != b.len() {
                    return Some(false);
                }
                for (a, b) in a.iter().zip(b.iter()) {
                    if !a.equals(b, steps)? {
                        return Some(false);
                    }
                }
                true
            }
            (Self::Map(a), Self::Map(b)) => {
                if a.len() != b.len() {
                    return Some(false);
                }
                for ((key, a), (other, b)) in a.iter().zip(b.iter()) {
                    if key != other || !a.equals(b, steps)? {
                        return Some(false);
                    }
                }
                true
            }
            (Self::Time(a), Self::Time(b)) => a == b,
            (Self::Span(a), Self::Span(b)) => a == b,
            _ => false,
        })
    }

    /// The text that messages show of a value: cut when it is long.
    pub(crate) fn to_text(&self) -> String {
        self.to_text_within(TEXT_SHOWN_MAX).unwrap_or_else(|cut| cut + "...")
    }

    /// The text that the language's `string` makes of a value; what was written so far when it is longer than `most`.
    pub(crate) fn to_text_within(&self, most: usize) -> Result<String, String> {
        let mut text = String::new();
        if self.write(&mut text, most) && text.len() <= most { Ok(text) } else { Err(text) }
    }

    /// Writes the value until `most` bytes are there; answers whether it is all written.
    fn write(&self, text: &mut String, most: usize) -> bool {
        if text.len() > most {
            return false;
        }
        match self {
            Self::Nil => text.push_str("<nil>"),
            Self::Bool(value) => text.push_str(if *value { "true" } else { "false" }),
            Self::Integer(value) => drop(write!(text, "{value}")),
            Self::Float(value) => text.push_str(&format_general(*value)),
            Self::Text(value) => text.push_str(value),
            Self::List(items) => {
                text.push('[');
                for (index, item) in items.iter().enumerate() {
                    text.push_str(if index > 0 { " " } else { "" });
                    if !item.write(text, most) {
                        return false;
                    }
                }
                text.push(']');
            }
            Self::Map(map) => {
                text.push_str("map[");
                for (index, (key, value)) in map.iter().enumerate() {
                    text.push_str(if index > 0 { " " } else { "" });
                    text.push_str(key);
                    text.push(':');
                    if !value.write(text, most) {
                        return false;
                    }
                }
                text.push(']');
            }
            Self::Time(moment) => drop(write!(text, "{moment}")),
            Self::Span(nanos) => {
                text.push_str(if *nanos < 0 { "-" } else { "" });
                text.push_str(&format_go_duration(Duration::from_nanos(nanos.unsigned_abs())));
            }
        }
        true
    }
}

/// The longest text of a value in a message.
const TEXT_SHOWN_MAX: usize = 256;

/// A whole number as a float; beyond 2^53 the nearest one.
#[expect(clippy::cast_precision_loss, reason = "the language rounds in the same way")]
pub(crate) fn float(value: i64) -> f64 {
    value as f64
}

/// A float cut towards zero; what does not fit is the nearest whole number that does.
#[expect(clippy::cast_possible_truncation, reason = "cutting is what is wanted; `as` saturates")]
pub(crate) fn integer(value: f64) -> i64 {
    value as i64
}

/// Formats a float in the shortest form, with an exponent from 1e21 upwards and below 1e-4.
pub(crate) fn format_general(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    let magnitude = value.abs();
    if magnitude != 0.0 && !(1e-4..1e21).contains(&magnitude) {
        let text = format!("{value:e}");
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let (sign, exponent) = exponent.strip_prefix('-').map_or(("+", exponent), |rest| ("-", rest));
        return format!("{digits}e{sign}{exponent:0>2}");
    }
    value.to_string()
}

/// Formats a float without an exponent, the way measurements record it.
pub(crate) fn format_plain(value: f64) -> String {
    if value.is_nan() {
        "NaN".to_owned()
    } else if value.is_infinite() {
        if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned()
    } else {
        value.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_print_in_their_shortest_form() {
        for (value, general, plain) in [
            (0.95, "0.95", "0.95"),
            (1e21, "1e+21", "1000000000000000000000"),
            (1e-7, "1e-07", "0.0000001"),
            (100.0, "100", "100"),
            (f64::INFINITY, "+Inf", "+Inf"),
            (f64::NAN, "NaN", "NaN"),
        ] {
            assert_eq!((format_general(value).as_str(), format_plain(value).as_str()), (general, plain));
        }
    }
}
