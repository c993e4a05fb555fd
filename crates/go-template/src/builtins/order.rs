//! Equality and order of basic values: `eq`, `lt` and their kin.

use crate::budget::Budget;
use crate::format;
use crate::function::CallError;
use crate::value::{Kind, Type, Value, deep_equal};

/// What a basic value is compared as.
enum Basic {
    Bool(bool),
    Int(i64),
    Uint(u64),
    Float(f64),
    Str(crate::Str),
}

fn basic(value: &Value) -> Option<Basic> {
    match value.underlying() {
        Value::Bool(value) => Some(Basic::Bool(value)),
        Value::Int(value, _) => Some(Basic::Int(value)),
        Value::Uint(value, _) => Some(Basic::Uint(value)),
        Value::Float(value) => Some(Basic::Float(value)),
        Value::Str(value) => Some(Basic::Str(value)),
        _ => None,
    }
}

fn type_name(value: &Value) -> String {
    value.go_type().map_or_else(String::new, Type::to_string)
}

fn incompatible(left: &Value, right: &Value) -> CallError {
    let (left, right) = (type_name(left), type_name(right));
    CallError::new(format!("incompatible types for comparison: {left} and {right}"))
}

/// Returns whether a value equals one of others.
pub(super) fn is_equal_to_any(left: &Value, others: &[Value], budget: &mut Budget) -> Result<bool, CallError> {
    if others.is_empty() {
        return Err(CallError::new("missing argument for comparison"));
    }
    for right in others {
        if is_equal(left, right, budget)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn is_equal(left: &Value, right: &Value, budget: &mut Budget) -> Result<bool, CallError> {
    Ok(match (basic(left), basic(right)) {
        (Some(Basic::Bool(left)), Some(Basic::Bool(right))) => left == right,
        (Some(Basic::Int(left)), Some(Basic::Int(right))) => left == right,
        (Some(Basic::Uint(left)), Some(Basic::Uint(right))) => left == right,
        #[expect(clippy::float_cmp, reason = "it is Go's ==")]
        (Some(Basic::Float(left)), Some(Basic::Float(right))) => left == right,
        (Some(Basic::Str(left)), Some(Basic::Str(right))) => left == right,
        (Some(Basic::Int(int)), Some(Basic::Uint(uint))) | (Some(Basic::Uint(uint)), Some(Basic::Int(int))) => {
            u64::try_from(int) == Ok(uint)
        }
        (None, None) => return is_equal_object(left, right, budget),
        _ if left.is_nil() || right.is_nil() => false,
        _ => return Err(incompatible(left, right)),
    })
}

/// Returns whether a value is nil or the nil of its type.
fn is_nil(value: &Value) -> bool {
    match value {
        Value::Nil => true,
        Value::List(list) => list.is_nil(),
        Value::Map(map) => map.is_nil(),
        _ => false,
    }
}

/// Compares values that are no basic ones: by identity as far as Go allows it at all.
fn is_equal_object(left: &Value, right: &Value, budget: &mut Budget) -> Result<bool, CallError> {
    let is_same_kind = left.kind() == right.kind() || left.is_nil() || right.is_nil();
    if !is_same_kind {
        let shown = format::sprintf(b"%s", std::slice::from_ref(left), budget)?;
        let other = format::sprint(std::slice::from_ref(right), budget)?;
        return Err(CallError::new(format!(
            "non-comparable types {shown}: {}, {}: {other}",
            type_name(left),
            type_name(right)
        )));
    }
    if is_nil(left) || is_nil(right) {
        return Ok(is_nil(left) == is_nil(right));
    }
    if matches!(right.kind(), Kind::Slice | Kind::Map) {
        let shown = format::sprintf(b"%s", std::slice::from_ref(right), budget)?;
        return Err(CallError::new(format!("non-comparable type {shown}: {}", type_name(right))));
    }
    Ok(deep_equal(left, right, budget)?)
}

/// Returns whether a value is less than another one.
pub(super) fn is_less(left: &Value, right: &Value) -> Result<bool, CallError> {
    const NOT_BASIC: &str = "invalid type for comparison";
    let (Some(left_basic), Some(right_basic)) = (basic(left), basic(right)) else {
        return Err(CallError::new(NOT_BASIC));
    };
    Ok(match (left_basic, right_basic) {
        (Basic::Bool(_), Basic::Bool(_)) => return Err(CallError::new(NOT_BASIC)),
        (Basic::Int(left), Basic::Int(right)) => left < right,
        (Basic::Uint(left), Basic::Uint(right)) => left < right,
        (Basic::Float(left), Basic::Float(right)) => left < right,
        (Basic::Str(left), Basic::Str(right)) => left < right,
        (Basic::Int(left), Basic::Uint(right)) => u64::try_from(left).map_or(true, |left| left < right),
        (Basic::Uint(left), Basic::Int(right)) => u64::try_from(right).is_ok_and(|right| left < right),
        _ => return Err(incompatible(left, right)),
    })
}
