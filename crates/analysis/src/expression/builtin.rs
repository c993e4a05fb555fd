//! Functions on values.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use object_model::parse_go_duration;
use serde_json::Value as Json;

use super::evaluate::{Evaluated, Evaluation, fail};
use super::node::{Binary, Function};
use super::value::{Value, float, integer};
use super::{ExpressionError, operator, text};

/// Calls a function.
pub(super) fn call(evaluation: &mut Evaluation<'_>, function: Function, arguments: &[Value]) -> Evaluated {
    let nil = Value::Nil;
    let first = arguments.first().unwrap_or(&nil);
    let second = arguments.get(1);
    match function {
        Function::AsInt => whole_number(first),
        Function::AsFloat => real_number(first),
        Function::IsNan => float_argument(function, first).map(|value| Value::Bool(value.is_nan())),
        Function::IsInf => float_argument(function, first).map(|value| Value::Bool(value.is_infinite())),
        // These two look at the measured result whatever they are given.
        Function::IsNil => Ok(Value::Bool(matches!(evaluation.environment.result, Value::Nil))),
        Function::Default => Ok(match &evaluation.environment.result {
            Value::Nil => second.cloned().unwrap_or(Value::Nil),
            value => value.clone(),
        }),
        Function::Len => length(first),
        Function::Type => Ok(Value::text(kind(first))),
        Function::Abs | Function::Ceil | Function::Floor | Function::Round | Function::Int | Function::Float => {
            number(function, first)
        }
        Function::Now => Ok(Value::Time(evaluation.environment.now)),
        Function::Span => span(first),
        Function::Date => date(first),
        Function::BitAnd
        | Function::BitOr
        | Function::BitXor
        | Function::BitNand
        | Function::BitNot
        | Function::BitShl
        | Function::BitShr
        | Function::BitUshr => bits(function, first, second.unwrap_or(&nil)),
        Function::Max | Function::Min | Function::Mean | Function::Median => statistic(evaluation, function, arguments),
        Function::First
        | Function::Last
        | Function::Get
        | Function::Take
        | Function::Keys
        | Function::Values
        | Function::ToPairs
        | Function::FromPairs
        | Function::Reverse
        | Function::Unique
        | Function::Concat
        | Function::Flatten
        | Function::Sort => collection(evaluation, function, arguments),
        Function::ToJson => {
            let json = to_json(evaluation, first)?;
            let text = serde_json::to_string_pretty(&json).map_err(|error| fail(error.to_string()))?;
            evaluation.spend(text.len())?;
            Ok(Value::text(text))
        }
        Function::FromJson => {
            let text = text_argument(function, first)?;
            let json: Json = serde_json::from_str(text).map_err(|error| fail(error.to_string()))?;
            evaluation.spend(text.len())?;
            Ok(Value::from_json(&json))
        }
        _ => text::call(evaluation, function, arguments),
    }
}

pub(super) fn wrong(function: Function, value: &Value) -> ExpressionError {
    fail(format!("invalid argument for {} (type {})", function.name(), value.type_name()))
}

fn float_argument(function: Function, value: &Value) -> Result<f64, ExpressionError> {
    match value {
        Value::Float(value) => Ok(*value),
        Value::Integer(value) => Ok(float(*value)),
        other => Err(fail(format!(
            "cannot use {} as argument (type float64) to call {}",
            other.type_name(),
            function.name()
        ))),
    }
}

pub(super) fn text_argument(function: Function, value: &Value) -> Result<&str, ExpressionError> {
    match value {
        Value::Text(text) => Ok(text),
        other => Err(wrong(function, other)),
    }
}

pub(super) fn list_argument(function: Function, value: &Value) -> Result<&[Value], ExpressionError> {
    match value {
        Value::List(items) => Ok(items),
        other => Err(wrong(function, other)),
    }
}

fn whole_number(value: &Value) -> Evaluated {
    match value {
        Value::Integer(_) => Ok(value.clone()),
        Value::Float(value) => Ok(Value::Integer(integer(*value))),
        Value::Text(text) => text
            .parse()
            .map(Value::Integer)
            .map_err(|_| fail(format!("strconv.ParseInt: parsing {text:?}: invalid syntax"))),
        other => Err(fail(format!("asInt() not supported on {} {}", other.type_name(), other.to_text()))),
    }
}

fn real_number(value: &Value) -> Evaluated {
    match value {
        Value::Float(_) => Ok(value.clone()),
        Value::Integer(value) => Ok(Value::Float(float(*value))),
        Value::Text(text) => text
            .parse()
            .map(Value::Float)
            .map_err(|_| fail(format!("strconv.ParseFloat: parsing {text:?}: invalid syntax"))),
        other => Err(fail(format!("asFloat() not supported on {} {}", other.type_name(), other.to_text()))),
    }
}

pub(super) fn size(length: usize) -> Value {
    Value::Integer(i64::try_from(length).unwrap_or(i64::MAX))
}

fn length(value: &Value) -> Evaluated {
    match value {
        Value::List(items) => Ok(size(items.len())),
        Value::Map(map) => Ok(size(map.len())),
        Value::Text(text) => Ok(size(text.chars().count())),
        other => Err(wrong(Function::Len, other)),
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Nil => "nil",
        Value::Bool(_) => "bool",
        Value::Integer(_) => "int",
        Value::Float(_) => "float",
        Value::Text(_) => "string",
        Value::List(_) => "array",
        Value::Map(_) => "map",
        Value::Time(_) => "time.Time",
        Value::Span(_) => "time.Duration",
    }
}

fn number(function: Function, value: &Value) -> Evaluated {
    match (function, value) {
        (Function::Int, Value::Text(text)) => {
            text.parse().map(Value::Integer).map_err(|_| fail(format!("invalid operation: int({text})")))
        }
        (Function::Float, Value::Text(text)) => {
            text.parse().map(Value::Float).map_err(|_| fail(format!("invalid operation: float({text})")))
        }
        (Function::Int, Value::Float(value)) => Ok(Value::Integer(integer(*value))),
        (Function::Int, Value::Integer(_)) => Ok(value.clone()),
        (Function::Abs, Value::Integer(value)) => Ok(Value::Integer(value.wrapping_abs())),
        (_, Value::Integer(whole)) => Ok(Value::Float(float(*whole))),
        (Function::Abs, Value::Float(value)) => Ok(Value::Float(value.abs())),
        (Function::Ceil, Value::Float(value)) => Ok(Value::Float(value.ceil())),
        (Function::Floor, Value::Float(value)) => Ok(Value::Float(value.floor())),
        (Function::Round, Value::Float(value)) => Ok(Value::Float(value.round())),
        (Function::Float, Value::Float(_)) => Ok(value.clone()),
        (_, other) => Err(wrong(function, other)),
    }
}

fn span(value: &Value) -> Evaluated {
    let text = text_argument(Function::Span, value)?;
    let (negative, magnitude) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let duration = parse_go_duration(magnitude).map_err(|_| fail(format!("time: invalid duration {text:?}")))?;
    let nanos = i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX);
    Ok(Value::Span(if negative { -nanos } else { nanos }))
}

fn date(value: &Value) -> Evaluated {
    let text = text_argument(Function::Date, value)?;
    let whole = if text.len() == "2006-01-02".len() { format!("{text}T00:00:00Z") } else { text.to_owned() };
    whole.parse().map(Value::Time).map_err(|_| fail(format!("invalid date {text}")))
}

fn bits(function: Function, left: &Value, right: &Value) -> Evaluated {
    let whole = |value: &Value| match value {
        Value::Integer(value) => Ok(*value),
        other => Err(wrong(function, other)),
    };
    let a = whole(left)?;
    if function == Function::BitNot {
        return Ok(Value::Integer(!a));
    }
    let b = whole(right)?;
    let shift = || u32::try_from(b).map_err(|_| fail("invalid operation: negative shift count"));
    Ok(Value::Integer(match function {
        Function::BitAnd => a & b,
        Function::BitOr => a | b,
        Function::BitXor => a ^ b,
        Function::BitNand => a & !b,
        Function::BitShl => a.checked_shl(shift()?).unwrap_or(0),
        Function::BitShr => a.checked_shr(shift()?).unwrap_or(if a < 0 { -1 } else { 0 }),
        _ => i64::from_ne_bytes(u64::from_ne_bytes(a.to_ne_bytes()).checked_shr(shift()?).unwrap_or(0).to_ne_bytes()),
    }))
}

/// Collects numbers from the arguments and from the lists among them.
fn numbers(
    evaluation: &mut Evaluation<'_>,
    function: Function,
    arguments: &[Value],
    found: &mut Vec<Value>,
) -> Result<(), ExpressionError> {
    for argument in arguments {
        evaluation.spend(1)?;
        match argument {
            Value::Integer(_) | Value::Float(_) => found.push(argument.clone()),
            Value::List(items) => numbers(evaluation, function, items, found)?,
            other => return Err(wrong(function, other)),
        }
    }
    Ok(())
}

fn statistic(evaluation: &mut Evaluation<'_>, function: Function, arguments: &[Value]) -> Evaluated {
    let mut found = Vec::new();
    numbers(evaluation, function, arguments, &mut found)?;
    let numbers = found;
    match function {
        Function::Max | Function::Min => {
            let wanted = if function == Function::Max { Ordering::Greater } else { Ordering::Less };
            let mut best: Option<&Value> = None;
            for number in &numbers {
                if best.is_none_or(|best| compare(number, best).is_ok_and(|ordering| ordering == wanted)) {
                    best = Some(number);
                }
            }
            Ok(best.cloned().unwrap_or(Value::Nil))
        }
        Function::Mean => {
            let total: f64 = numbers.iter().filter_map(Value::as_float).sum();
            let count = float(i64::try_from(numbers.len()).unwrap_or(i64::MAX));
            Ok(Value::Float(if numbers.is_empty() { 0.0 } else { total / count }))
        }
        _ => {
            let mut sorted: Vec<f64> = numbers.iter().filter_map(Value::as_float).collect();
            sorted.sort_by(f64::total_cmp);
            let middle = sorted.len() / 2;
            let at = |index: usize| sorted.get(index).copied().unwrap_or(0.0);
            Ok(Value::Float(match sorted.len() {
                0 => 0.0,
                odd if odd % 2 == 1 => at(middle),
                _ => f64::midpoint(at(middle - 1), at(middle)),
            }))
        }
    }
}

/// Orders two numbers, texts or moments.
pub(super) fn compare(left: &Value, right: &Value) -> Result<Ordering, ExpressionError> {
    match (left, right) {
        (Value::Integer(a), Value::Integer(b)) => Ok(a.cmp(b)),
        (Value::Text(a), Value::Text(b)) => Ok(a.cmp(b)),
        (Value::Time(a), Value::Time(b)) => Ok(a.cmp(b)),
        (Value::Span(a), Value::Span(b)) => Ok(a.cmp(b)),
        _ => match (left.as_float(), right.as_float()) {
            (Some(a), Some(b)) => Ok(a.partial_cmp(&b).unwrap_or(Ordering::Equal)),
            _ => Err(operator::mismatch(Binary::Less, left, right)),
        },
    }
}

/// Reads the order argument of `sort` and `sortBy`.
pub(super) fn is_descending(order: Option<&Value>) -> Result<bool, ExpressionError> {
    match order {
        None => Ok(false),
        Some(Value::Text(text)) if text.as_ref() == "asc" => Ok(false),
        Some(Value::Text(text)) if text.as_ref() == "desc" => Ok(true),
        Some(other) => Err(fail(format!("invalid order {}, expected asc or desc", other.to_text()))),
    }
}

fn collection(evaluation: &mut Evaluation<'_>, function: Function, arguments: &[Value]) -> Evaluated {
    let nil = Value::Nil;
    let first = arguments.first().unwrap_or(&nil);
    let second = arguments.get(1).unwrap_or(&nil);
    match (function, first) {
        (Function::First, Value::Nil) | (Function::Last, Value::Nil) => return Ok(Value::Nil),
        (Function::First, _) => return Ok(list_argument(function, first)?.first().cloned().unwrap_or(Value::Nil)),
        (Function::Last, _) => return Ok(list_argument(function, first)?.last().cloned().unwrap_or(Value::Nil)),
        // A member that is not there is nil here, where an index would be an error.
        (Function::Get, Value::Nil) => return Ok(Value::Nil),
        (Function::Get, _) => return Ok(operator::fetch(first, second).unwrap_or(Value::Nil)),
        (Function::Keys | Function::Values | Function::ToPairs, Value::Map(map)) => {
            evaluation.spend(map.len())?;
            let pairs = map.iter().map(|(key, value)| match function {
                Function::Keys => Value::text(key),
                Function::Values => value.clone(),
                _ => Value::list(vec![Value::text(key), value.clone()]),
            });
            return Ok(Value::list(pairs.collect()));
        }
        (Function::Keys | Function::Values | Function::ToPairs, other) => return Err(wrong(function, other)),
        _ => {}
    }
    let items = list_argument(function, first)?;
    evaluation.spend(items.len())?;
    match function {
        Function::Take => {
            let count = second.as_integer().ok_or_else(|| wrong(function, second))?;
            let count = usize::try_from(count).map_err(|_| fail("cannot take a negative number of elements"))?;
            Ok(Value::list(items.iter().take(count).cloned().collect()))
        }
        Function::FromPairs => from_pairs(evaluation, items),
        Function::Reverse => Ok(Value::list(items.iter().rev().cloned().collect())),
        Function::Unique => {
            let mut kept: Vec<Value> = Vec::new();
            for item in items {
                let mut known = false;
                for other in &kept {
                    known = known || evaluation.equal(other, item)?;
                }
                if !known {
                    kept.push(item.clone());
                }
            }
            Ok(Value::list(kept))
        }
        Function::Concat => {
            let mut all = Vec::new();
            for argument in arguments {
                let items = list_argument(function, argument)?;
                evaluation.spend(items.len())?;
                all.extend_from_slice(items);
            }
            Ok(Value::list(all))
        }
        Function::Flatten => {
            let mut flat = Vec::new();
            flatten(evaluation, items, &mut flat)?;
            Ok(Value::list(flat))
        }
        _ => sort(items, arguments.get(1)),
    }
}

fn sort(items: &[Value], order: Option<&Value>) -> Evaluated {
    let descending = is_descending(order)?;
    let mut sorted = items.to_vec();
    let mut trouble = None;
    sorted.sort_by(|a, b| match compare(a, b) {
        Ok(ordering) if descending => ordering.reverse(),
        Ok(ordering) => ordering,
        Err(error) => {
            trouble = Some(error);
            Ordering::Equal
        }
    });
    trouble.map_or(Ok(Value::list(sorted)), Err)
}

fn from_pairs(evaluation: &mut Evaluation<'_>, items: &[Value]) -> Evaluated {
    let mut map = BTreeMap::new();
    for item in items {
        match item {
            Value::List(pair) if pair.len() == 2 => {
                let key = evaluation.text(pair.first().unwrap_or(&Value::Nil))?;
                map.insert(key, pair.get(1).cloned().unwrap_or(Value::Nil));
            }
            other => return Err(fail(format!("invalid pair {}", other.to_text()))),
        }
    }
    Ok(Value::map(map))
}

fn flatten(evaluation: &mut Evaluation<'_>, items: &[Value], flat: &mut Vec<Value>) -> Result<(), ExpressionError> {
    for item in items {
        evaluation.spend(1)?;
        match item {
            Value::List(inner) => flatten(evaluation, inner, flat)?,
            other => flat.push(other.clone()),
        }
    }
    Ok(())
}

fn to_json(evaluation: &mut Evaluation<'_>, value: &Value) -> Result<Json, ExpressionError> {
    evaluation.spend(1)?;
    Ok(match value {
        Value::Nil => Json::Null,
        Value::Bool(value) => Json::Bool(*value),
        Value::Integer(value) => Json::from(*value),
        Value::Float(value) => serde_json::Number::from_f64(*value)
            .map(Json::Number)
            .ok_or_else(|| fail(format!("json: unsupported value: {}", super::value::format_general(*value))))?,
        Value::List(items) => {
            Json::Array(items.iter().map(|item| to_json(evaluation, item)).collect::<Result<_, _>>()?)
        }
        Value::Map(map) => Json::Object(
            map.iter()
                .map(|(key, value)| Ok((key.clone(), to_json(evaluation, value)?)))
                .collect::<Result<_, ExpressionError>>()?,
        ),
        other => Json::String(other.to_text()),
    })
}
