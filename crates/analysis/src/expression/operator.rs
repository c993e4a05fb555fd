//! Operators on two values, and access to members.

use object_model::Timestamp;

use super::ExpressionError;
use super::evaluate::{Evaluated, Evaluation, fail};
use super::node::Binary;
use super::value::{Value, float};

/// The error for two values that an operator does not take.
pub(super) fn mismatch(binary: Binary, left: &Value, right: &Value) -> ExpressionError {
    fail(format!("invalid operation: {} {} {}", left.type_name(), binary.symbol(), right.type_name()))
}

/// Applies an operator whose both sides are evaluated.
pub(super) fn apply(evaluation: &mut Evaluation<'_>, binary: Binary, left: &Value, right: &Value) -> Evaluated {
    match binary {
        Binary::Equal => evaluation.equal(left, right).map(Value::Bool),
        Binary::NotEqual => evaluation.equal(left, right).map(|equal| Value::Bool(!equal)),
        Binary::Less | Binary::Greater | Binary::LessOrEqual | Binary::GreaterOrEqual => order(binary, left, right),
        Binary::In => contains(evaluation, left, right).map(Value::Bool),
        Binary::Matches => match (left, right) {
            (Value::Nil, _) | (_, Value::Nil) => Ok(Value::Bool(false)),
            (Value::Text(text), Value::Text(pattern)) => {
                let regex = regex_lite::Regex::new(pattern).map_err(|error| fail(error.to_string()))?;
                Ok(Value::Bool(regex.is_match(text)))
            }
            _ => Err(mismatch(binary, left, right)),
        },
        Binary::Contains | Binary::StartsWith | Binary::EndsWith => match (left, right) {
            (Value::Nil, _) | (_, Value::Nil) => Ok(Value::Bool(false)),
            (Value::Text(text), Value::Text(part)) => Ok(Value::Bool(match binary {
                Binary::Contains => text.contains(part.as_ref()),
                Binary::StartsWith => text.starts_with(part.as_ref()),
                _ => text.ends_with(part.as_ref()),
            })),
            _ => Err(mismatch(binary, left, right)),
        },
        _ => arithmetic(binary, left, right),
    }
}

fn order(binary: Binary, left: &Value, right: &Value) -> Evaluated {
    let ordering = match (left, right) {
        (Value::Integer(a), Value::Integer(b)) => Some(a.cmp(b)),
        (Value::Text(a), Value::Text(b)) => Some(a.cmp(b)),
        (Value::Time(a), Value::Time(b)) => Some(a.cmp(b)),
        (Value::Span(a), Value::Span(b)) => Some(a.cmp(b)),
        _ => match (left.as_float(), right.as_float()) {
            // A comparison with NaN does not hold, whichever it is.
            (Some(a), Some(b)) => a.partial_cmp(&b),
            _ => return Err(mismatch(binary, left, right)),
        },
    };
    Ok(Value::Bool(ordering.is_some_and(|ordering| match binary {
        Binary::Less => ordering.is_lt(),
        Binary::Greater => ordering.is_gt(),
        Binary::LessOrEqual => ordering.is_le(),
        _ => ordering.is_ge(),
    })))
}

fn contains(evaluation: &mut Evaluation<'_>, needle: &Value, hay: &Value) -> Result<bool, ExpressionError> {
    match (needle, hay) {
        (_, Value::Nil) => Ok(false),
        (needle, Value::List(items)) => {
            for item in items.iter() {
                if evaluation.equal(item, needle)? {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        (Value::Text(key), Value::Map(map)) => Ok(map.contains_key(key.as_ref())),
        (Value::Nil, Value::Map(map)) => Ok(map.contains_key("")),
        (other, Value::Map(_)) => Err(fail(format!("cannot use {} as type string in map key", other.type_name()))),
        (_, other) => Err(fail(format!("operator \"in\" not defined on {}", other.type_name()))),
    }
}

fn arithmetic(binary: Binary, left: &Value, right: &Value) -> Evaluated {
    match (left, right) {
        (Value::Integer(a), Value::Integer(b)) => whole(binary, *a, *b),
        (Value::Text(a), Value::Text(b)) if binary == Binary::Add => Ok(Value::text(format!("{a}{b}"))),
        (Value::Time(moment), Value::Span(span)) if binary == Binary::Add => shift(*moment, i128::from(*span)),
        (Value::Span(span), Value::Time(moment)) if binary == Binary::Add => shift(*moment, i128::from(*span)),
        (Value::Time(moment), Value::Span(span)) if binary == Binary::Subtract => shift(*moment, -i128::from(*span)),
        (Value::Time(a), Value::Time(b)) if binary == Binary::Subtract => {
            let nanos = a.as_nanosecond() - b.as_nanosecond();
            Ok(Value::Span(i64::try_from(nanos).map_err(|_| fail("duration is too long"))?))
        }
        (Value::Span(a), Value::Span(b)) => match binary {
            Binary::Add => Ok(Value::Span(a.saturating_add(*b))),
            Binary::Subtract => Ok(Value::Span(a.saturating_sub(*b))),
            Binary::Multiply => Ok(Value::Span(a.saturating_mul(*b))),
            _ => Err(mismatch(binary, left, right)),
        },
        (Value::Span(span), number) | (number, Value::Span(span)) if binary == Binary::Multiply => {
            let factor = number.as_float().ok_or_else(|| mismatch(binary, left, right))?;
            Ok(Value::Span(super::value::integer(float(*span) * factor)))
        }
        _ => match (left.as_float(), right.as_float()) {
            (Some(a), Some(b)) => real(binary, a, b).ok_or_else(|| mismatch(binary, left, right)),
            _ => Err(mismatch(binary, left, right)),
        },
    }
}

fn whole(binary: Binary, a: i64, b: i64) -> Evaluated {
    Ok(match binary {
        Binary::Add => Value::Integer(a.wrapping_add(b)),
        Binary::Subtract => Value::Integer(a.wrapping_sub(b)),
        Binary::Multiply => Value::Integer(a.wrapping_mul(b)),
        Binary::Divide => Value::Float(float(a) / float(b)),
        Binary::Power => Value::Float(float(a).powf(float(b))),
        Binary::Remainder if b == 0 => return Err(fail("integer divide by zero")),
        Binary::Remainder => Value::Integer(a.wrapping_rem(b)),
        _ => return Err(mismatch(binary, &Value::Integer(a), &Value::Integer(b))),
    })
}

fn real(binary: Binary, a: f64, b: f64) -> Option<Value> {
    Some(Value::Float(match binary {
        Binary::Add => a + b,
        Binary::Subtract => a - b,
        Binary::Multiply => a * b,
        Binary::Divide => a / b,
        Binary::Power => a.powf(b),
        _ => return None,
    }))
}

fn shift(moment: Timestamp, nanos: i128) -> Evaluated {
    let shifted = Timestamp::from_nanosecond(moment.as_nanosecond() + nanos);
    shifted.map(Value::Time).map_err(|_| fail("time is out of range"))
}

/// The item of a list or text at an index, or the value of a map under a key.
pub(super) fn fetch(target: &Value, key: &Value) -> Evaluated {
    match target {
        Value::List(items) => {
            let index = position(key, items.len())?;
            Ok(items.get(index).cloned().unwrap_or(Value::Nil))
        }
        Value::Text(text) => {
            let index = position(key, text.len())?;
            Ok(text.as_bytes().get(index).map_or(Value::Nil, |byte| Value::Integer(i64::from(*byte))))
        }
        Value::Map(map) => match key {
            Value::Text(key) => Ok(map.get(key.as_ref()).cloned().unwrap_or(Value::Nil)),
            Value::Nil => Ok(map.get("").cloned().unwrap_or(Value::Nil)),
            other => Err(fail(format!("cannot fetch {} from {}", other.to_text(), target.type_name()))),
        },
        other => Err(fail(format!("cannot fetch {} from {}", key.to_text(), other.type_name()))),
    }
}

fn position(key: &Value, length: usize) -> Result<usize, ExpressionError> {
    let index = key.as_integer().ok_or_else(|| fail(format!("invalid operation: int({})", key.type_name())))?;
    let size = i64::try_from(length).unwrap_or(i64::MAX);
    let from_start = if index < 0 { size.saturating_add(index) } else { index };
    match usize::try_from(from_start) {
        Ok(found) if found < length => Ok(found),
        _ => Err(fail(format!("index out of range: {from_start} (array length is {length})"))),
    }
}
