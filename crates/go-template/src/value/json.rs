//! Values from JSON and back, as Go's `encoding/json` sees them.

use super::{List, Map, Value};
use crate::Str;
use crate::budget::{Budget, Exhausted};

/// How deep values may nest on their way to JSON.
const DEPTH_MAX: usize = 1_000;

/// A value that JSON can't hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// A float that is no number.
    #[error("json: unsupported value: {0}")]
    Unsupported(String),
    /// Nesting without an end, or too deep.
    #[error("json: unsupported value: encountered a cycle or more than {DEPTH_MAX} levels")]
    TooDeep,
    /// The budget ran out on the way.
    #[error(transparent)]
    Exhausted(#[from] Exhausted),
}

/// Returns the value that Go decodes JSON to when it is told no type: every number is a float64.
#[must_use]
pub fn from_json(json: &serde_json::Value) -> Value {
    match json {
        serde_json::Value::Null => Value::Nil,
        serde_json::Value::Bool(value) => Value::Bool(*value),
        serde_json::Value::Number(number) => Value::Float(number.as_f64().unwrap_or(0.0)),
        serde_json::Value::String(text) => Value::Str(text.into()),
        serde_json::Value::Array(items) => deeper(|| Value::List(items.iter().map(from_json).collect())),
        serde_json::Value::Object(entries) => {
            deeper(|| Value::Map(entries.iter().map(|(key, value)| (key, from_json(value))).collect()))
        }
    }
}

/// Goes a level deeper, on a stack that grows when it must.
fn deeper<T>(convert: impl FnOnce() -> T) -> T {
    stacker::maybe_grow(64 << 10, 1 << 20, convert)
}

/// Returns the JSON of a value: bytes as base64, nil lists and maps as null, invalid UTF-8 replaced.
///
/// # Errors
/// A float is infinite or no number, values nest without end, or the budget runs out.
pub fn to_json(value: &Value, budget: &mut Budget) -> Result<serde_json::Value, JsonError> {
    let room = budget.limits().value_bytes;
    encode(value, DEPTH_MAX, &mut Tree { budget, room })
}

/// What a map takes besides its entries: it has room for several, also when there is one.
const MAP_BYTES: usize = 512;

/// A tree that is being made. What a template shares many times over is there as often in the tree.
struct Tree<'b> {
    budget: &'b mut Budget,
    /// Bytes that it may still take.
    room: u64,
}

impl Tree<'_> {
    fn take(&mut self, bytes: usize) -> Result<(), Exhausted> {
        self.budget.produce(bytes)?;
        let exhausted = Exhausted::Value(self.budget.limits().value_bytes);
        self.room = self.room.checked_sub(bytes as u64).ok_or(exhausted)?;
        Ok(())
    }
}

fn encode(value: &Value, depth: usize, tree: &mut Tree<'_>) -> Result<serde_json::Value, JsonError> {
    tree.budget.step(1)?;
    Ok(match value {
        Value::Nil => serde_json::Value::Null,
        Value::Bool(value) => (*value).into(),
        Value::Int(value, _) => (*value).into(),
        Value::Uint(value, _) => (*value).into(),
        Value::Float(value) => float(*value)?,
        Value::Str(text) => {
            tree.take(text.len())?;
            text.to_str_lossy().into_owned().into()
        }
        Value::Bytes(bytes) => {
            tree.take(bytes.len())?;
            base64(bytes.as_bytes()).into()
        }
        Value::List(list) if list.is_nil() => serde_json::Value::Null,
        Value::Map(map) if map.is_nil() => serde_json::Value::Null,
        Value::List(_) | Value::Map(_) | Value::Object(_) if depth == 0 => return Err(JsonError::TooDeep),
        Value::List(list) => {
            tree.take(list.len() * size_of::<serde_json::Value>())?;
            let items = list.items().iter().map(|item| deeper(|| encode(item, depth - 1, tree)));
            serde_json::Value::Array(items.collect::<Result<_, _>>()?)
        }
        Value::Map(map) => {
            let mut entries = serde_json::Map::new();
            tree.take(MAP_BYTES)?;
            for (key, item) in map.borrow().iter().flat_map(|entries| entries.iter()) {
                tree.take(key.len() + size_of::<serde_json::Value>())?;
                let json = deeper(|| encode(item, depth - 1, tree))?;
                entries.insert(key.to_str_lossy().into_owned(), json);
            }
            serde_json::Value::Object(entries)
        }
        Value::Object(object) => encode(&object.json_value(), depth - 1, tree)?,
    })
}

fn float(value: f64) -> Result<serde_json::Value, JsonError> {
    // Go writes whole floats without a fraction.
    const WHOLE_MAX: f64 = 9_007_199_254_740_992.0;
    if value.fract() == 0.0 && value.abs() <= WHOLE_MAX && !(value == 0.0 && value.is_sign_negative()) {
        #[expect(clippy::cast_possible_truncation, reason = "whole and within 2^53")]
        return Ok((value as i64).into());
    }
    match serde_json::Number::from_f64(value) {
        Some(number) => Ok(serde_json::Value::Number(number)),
        None if value.is_nan() => Err(JsonError::Unsupported("NaN".to_owned())),
        None if value > 0.0 => Err(JsonError::Unsupported("+Inf".to_owned())),
        None => Err(JsonError::Unsupported("-Inf".to_owned())),
    }
}

fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let bits =
            chunk.iter().enumerate().fold(0_u32, |bits, (index, byte)| bits | u32::from(*byte) << (16 - 8 * index));
        for place in 0..4 {
            let index = (bits >> (18 - 6 * place)) as usize & 63;
            let digit = ALPHABET.get(index).copied().filter(|_| place <= chunk.len()).unwrap_or(b'=');
            text.push(char::from(digit));
        }
    }
    text
}

impl From<&serde_json::Value> for Value {
    fn from(json: &serde_json::Value) -> Self {
        from_json(json)
    }
}

impl From<Vec<Value>> for Value {
    fn from(items: Vec<Value>) -> Self {
        Self::List(List::new(items))
    }
}

impl From<Vec<(Str, Value)>> for Value {
    fn from(entries: Vec<(Str, Value)>) -> Self {
        Self::Map(entries.into_iter().collect::<Map>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_comes_back_as_it_went() {
        let json = serde_json::json!({"a": [1, 2.5, null, true, "x\u{e9}"], "b": {"c": -3}, "d": 1e300});
        assert_eq!(to_json(&from_json(&json), &mut Budget::default()), Ok(json));
    }

    #[test]
    fn bytes_are_base64_and_nil_containers_are_null() {
        let json = |value| to_json(&value, &mut Budget::default()).unwrap().to_string();
        for (bytes, text) in [("", "\"\""), ("f", "\"Zg==\""), ("fo", "\"Zm8=\""), ("foo", "\"Zm9v\"")] {
            assert_eq!(json(Value::Bytes(bytes.into())), text);
        }
        assert_eq!(json(Value::Map(Map::nil(crate::Type::ANY_MAP))), "null");
        assert_eq!(json(Value::List(List::nil(crate::Type::ANY_LIST))), "null");
        assert_eq!(json(Value::Float(1e6)), "1000000");
    }

    #[test]
    fn a_cycle_is_an_error() {
        let map = Map::new();
        map.insert("self", map.clone()).unwrap();
        assert_eq!(to_json(&Value::Map(map.clone()), &mut Budget::default()), Err(JsonError::TooDeep));
        map.remove("self");
    }
}
