//! Reads bodies: JSON that remembers which fields it names twice, and YAML.

use std::cell::RefCell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::error::ApiError;

/// Most fields named twice that are remembered of a body.
const DOUBLED_MAX: usize = 100;

/// A body that has been read.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Body {
    pub(crate) value: Value,
    /// Paths of fields that were named more than once; the last one counts.
    pub(crate) doubled: Vec<String>,
}

/// Reads JSON.
pub(crate) fn json(bytes: &[u8]) -> Result<Body, ApiError> {
    let doubled = RefCell::new(Vec::new());
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let seed = Place { path: Path { parent: None, step: Step::Root }, doubled: &doubled };
    let read = seed.deserialize(&mut deserializer).and_then(|value| deserializer.end().map(|()| value));
    let value =
        read.map_err(|error| ApiError::bad_request(format!("couldn't get version/kind; json parse error: {error}")))?;
    Ok(Body { value, doubled: doubled.into_inner() })
}

/// Reads a patch.
pub(crate) fn patch(bytes: &[u8]) -> Result<Body, ApiError> {
    let is_cut_off = serde_json::from_slice::<serde::de::IgnoredAny>(bytes).is_err_and(|error| error.is_eof());
    if is_cut_off {
        return Err(ApiError::bad_request("error decoding patch: unexpected end of JSON input"));
    }
    json(bytes)
}

/// Reads an applied configuration: an object in YAML.
pub(crate) fn applied(bytes: &[u8]) -> Result<Body, ApiError> {
    let fail = |what: &str| ApiError::bad_request(format!("error decoding YAML: {what}"));
    let body = yaml(bytes).map_err(|error| fail(&error.message))?;
    if body.value.is_object() || body.value.is_null() {
        return Ok(body);
    }
    let word = crate::go_text::json_word(&body.value);
    Err(fail(&format!(
        "error unmarshaling JSON: while decoding JSON: json: cannot unmarshal {word} into Go value of type \
         map[string]interface {{}}"
    )))
}

/// Reads the first document of YAML.
pub(crate) fn yaml(bytes: &[u8]) -> Result<Body, ApiError> {
    let text = std::str::from_utf8(bytes).map_err(|_| ApiError::bad_request("yaml: invalid UTF-8"))?;
    let documents = yaml::parse(text).map_err(|problems| {
        let first = problems.first().map(ToString::to_string).unwrap_or_default();
        ApiError::bad_request(format!("error converting YAML to JSON: yaml: {first}"))
    })?;
    let value = documents.into_iter().next().map(|document| document.value).unwrap_or_default();
    Ok(Body { value, doubled: Vec::new() })
}

#[derive(Clone, Copy)]
enum Step<'a> {
    Root,
    Field(&'a str),
    Item(usize),
}

/// A path that is only written out when somebody asks.
#[derive(Clone, Copy)]
struct Path<'a> {
    parent: Option<&'a Path<'a>>,
    step: Step<'a>,
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(parent) = self.parent {
            parent.fmt(formatter)?;
        }
        match self.step {
            Step::Root => Ok(()),
            Step::Item(index) => write!(formatter, "[{index}]"),
            Step::Field(name) if self.parent.is_none_or(|parent| matches!(parent.step, Step::Root)) => {
                formatter.write_str(name)
            }
            Step::Field(name) => write!(formatter, ".{name}"),
        }
    }
}

struct Place<'a> {
    path: Path<'a>,
    doubled: &'a RefCell<Vec<String>>,
}

impl Place<'_> {
    fn inner<'b>(&'b self, step: Step<'b>) -> Place<'b> {
        Place { path: Path { parent: Some(&self.path), step }, doubled: self.doubled }
    }
}

impl<'de> DeserializeSeed<'de> for Place<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Place<'_> {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(self.inner(Step::Item(list.len())))? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut fields = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            let inner = self.inner(Step::Field(&key));
            if fields.contains_key(&key) {
                let mut doubled = self.doubled.borrow_mut();
                let path = inner.path.to_string();
                if doubled.len() < DOUBLED_MAX && !doubled.contains(&path) {
                    doubled.push(path);
                }
            }
            let value = entries.next_value_seed(inner)?;
            fields.insert(key, value);
        }
        Ok(Value::Object(fields))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn fields_named_twice_are_remembered_by_their_paths() {
        let body = json(br#"{"a": 1, "b": [{"c": 1, "c": 2}], "a": 2, "a": 3, "n": -1, "f": 1.5, "z": null}"#).unwrap();
        assert_eq!(body.value, json!({"a": 3, "b": [{"c": 2}], "n": -1, "f": 1.5, "z": null}));
        assert_eq!(body.doubled, ["b[0].c", "a"]);
    }

    #[test]
    fn yaml_is_read_like_json() {
        let body = yaml(b"a: 1\nb: [x]\n").unwrap();
        assert_eq!(body.value, json!({"a": 1, "b": ["x"]}));
        assert_eq!(yaml(b"a: [b").unwrap_err().code, 400);
    }
}
