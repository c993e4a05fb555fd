//! One scalar of the text to one value.

use saphyr_parser::{ScalarStyle, Tag};
use serde_json::{Number, Value};

use crate::layout::Notation;
use crate::number::{format_go_single, format_json};
use crate::resolve::{Resolved, resolve};

/// A scalar as the parser found it.
pub(super) struct Scalar<'a> {
    pub(super) text: &'a str,
    pub(super) style: ScalarStyle,
    pub(super) tag: Option<&'a Tag>,
}

const CORE: &str = "tag:yaml.org,2002:";

/// The short name of a tag: `!!int`, `!local`, or the bare `!`.
pub(super) fn short_tag(tag: &Tag) -> String {
    if tag.handle == CORE {
        return format!("!!{}", tag.suffix);
    }
    let whole = format!("{}{}", tag.handle, tag.suffix);
    match whole.strip_prefix(CORE) {
        Some(suffix) => format!("!!{suffix}"),
        None => whole,
    }
}

impl Scalar<'_> {
    /// Whether this scalar, as a key, asks for a merge.
    pub(super) fn is_merge(&self) -> bool {
        let is_plain = self.style == ScalarStyle::Plain;
        self.text == "<<" && self.tag.map_or(is_plain, |tag| short_tag(tag) == "!!merge")
    }

    pub(super) fn notation(&self) -> Notation {
        match self.style {
            ScalarStyle::Plain => Notation::Plain,
            ScalarStyle::SingleQuoted => Notation::SingleQuoted,
            ScalarStyle::DoubleQuoted => Notation::DoubleQuoted,
            ScalarStyle::Literal | ScalarStyle::Folded => Notation::Block,
        }
    }

    /// The meaning with tag and quotes considered; the error is a message.
    fn meaning(&self) -> Result<Resolved, String> {
        let Some(tag) = self.tag else {
            return Ok(if self.style == ScalarStyle::Plain { resolve(self.text) } else { Resolved::String });
        };
        let tag = short_tag(tag);
        let resolved = resolve(self.text);
        match (tag.as_str(), resolved) {
            ("!!str" | "!", _) => Ok(Resolved::String),
            ("!!float", Resolved::Int(int)) =>
            {
                #[expect(clippy::cast_precision_loss, reason = "the tag asks for a float")]
                Ok(Resolved::Float(int as f64))
            }
            ("!!null" | "!!bool" | "!!int" | "!!float" | "!!timestamp", resolved) if resolved.tag() == tag => {
                Ok(resolved)
            }
            ("!!null" | "!!bool" | "!!int" | "!!float" | "!!timestamp", resolved) => {
                Err(format!("`{}` is {}, not {tag}", shortened(self.text), resolved.tag()))
            }
            ("!!binary", _) => Err("binary values (`!!binary`) are not supported".to_owned()),
            _ => Err(format!("unknown tag `{tag}`")),
        }
    }

    /// The value of the scalar; the error is a message.
    pub(super) fn value(&self) -> Result<Value, String> {
        Ok(match self.meaning()? {
            Resolved::Null => Value::Null,
            Resolved::Bool(bool) => Value::Bool(bool),
            Resolved::Int(int) => Value::Number(int.into()),
            Resolved::Uint(uint) => Value::Number(uint.into()),
            Resolved::Float(float) => {
                let number = json_number(float);
                Value::Number(number.ok_or_else(|| format!("`{}` has no form in JSON", shortened(self.text)))?)
            }
            Resolved::Timestamp | Resolved::String => Value::String(self.text.to_owned()),
        })
    }

    /// As [`value`](Self::value), but a float stays one where it could be written as an integer.
    pub(super) fn value_with_floats(&self) -> Result<Value, String> {
        let Resolved::Float(float) = self.meaning()? else { return self.value() };
        let shown = match float {
            float if float.is_nan() => "NaN",
            float if float.is_sign_positive() => "+Inf",
            _ => "-Inf",
        };
        Number::from_f64(float).map(Value::Number).ok_or_else(|| format!("json: unsupported value: {shown}"))
    }

    /// The string that the scalar is as a key; the error is a message.
    pub(super) fn key(&self) -> Result<String, String> {
        match self.meaning()? {
            Resolved::Null => Err("a key is null".to_owned()),
            Resolved::Bool(bool) => Ok(bool.to_string()),
            Resolved::Int(int) => Ok(int.to_string()),
            Resolved::Uint(_) => Err(format!("the key `{}` is too large a number", shortened(self.text))),
            Resolved::Float(float) => Ok(format_go_single(float)),
            Resolved::Timestamp | Resolved::String => Ok(self.text.to_owned()),
        }
    }
}

/// The string that an aliased value is as a key; the error is a message.
pub(super) fn key_of(value: &Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Bool(bool) => Ok(bool.to_string()),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(int), _) => Ok(int.to_string()),
            (None, Some(float)) if number.is_f64() => Ok(format_go_single(float)),
            _ => Err(format!("the key `{number}` is too large a number")),
        },
        Value::Null => Err("a key is null".to_owned()),
        Value::Array(_) => Err("a key is a list".to_owned()),
        Value::Object(_) => Err("a key is a mapping".to_owned()),
    }
}

/// The number that a JSON decoder sees after Go wrote it: `1.0` is written `1` and arrives as an integer.
///
/// None for infinities and what is not a number, which JSON can't hold.
pub fn json_number(float: f64) -> Option<Number> {
    if !float.is_finite() {
        return None;
    }
    let text = format_json(float);
    match text.parse::<i64>() {
        Ok(int) => return Some(int.into()),
        Err(_) => {
            if let Ok(uint) = text.parse::<u64>() {
                return Some(uint.into());
            }
        }
    }
    Number::from_f64(float)
}

/// The beginning of a text, for messages.
pub(super) fn shortened(text: &str) -> String {
    let mut characters = text.chars();
    let head: String = characters.by_ref().take(40).collect();
    if characters.next().is_some() { format!("{head}...") } else { head }
}
