//! Values as text: what `toString`, `quote`, `join` and `cat` write.

use crate::format::sprint;
use crate::function::{Call, CallError};
use crate::quote::{Keep, quote};
use crate::value::Value;

/// sprig's `strval`: text as it is, errors and whatever has a `String` method by it, the rest by `%v`.
pub(super) fn text_of(call: &mut Call<'_>, value: &Value) -> Result<Vec<u8>, CallError> {
    match value {
        Value::Str(text) | Value::Bytes(text) => {
            call.produce(text.len())?;
            Ok(text.as_bytes().to_vec())
        }
        Value::Object(object) => match object.text() {
            Some(text) => {
                call.produce(text.len())?;
                Ok(text.as_bytes().to_vec())
            }
            None => printed(call, value),
        },
        other => printed(call, other),
    }
}

/// `%v` of a value.
pub(super) fn printed(call: &mut Call<'_>, value: &Value) -> Result<Vec<u8>, CallError> {
    Ok(sprint(std::slice::from_ref(value), call.budget())?.as_bytes().to_vec())
}

/// Go's `strconv.Quote`.
pub(super) fn quoted(text: &[u8]) -> Vec<u8> {
    quote(text, Keep::Printable).into_bytes()
}
