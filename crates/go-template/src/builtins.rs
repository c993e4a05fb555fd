//! The functions that every Go template has, and `include` and `tpl`, which Helm adds.

mod escape;
mod order;

use crate::Str;
use crate::format;
use crate::function::{Args, Call, CallError, Function, Functions, Signature, Special};
use crate::value::{Type, Value};

const ANYTHING: Signature = Signature::variadic(&[], &Type::Any);
const REFLECT: &Type = &Type::Reflect;
const ONE: Signature = Signature::fixed(&[REFLECT]);
const TWO: Signature = Signature::fixed(&[REFLECT, REFLECT]);
const ONE_OR_MORE: Signature = Signature::variadic(&[REFLECT], REFLECT);

impl Functions {
    /// Returns a registry with Go's builtins: `and`, `call`, `eq`, `ge`, `gt`, `html`, `index`, `js`, `le`, `len`,
    /// `lt`, `ne`, `not`, `or`, `print`, `printf`, `println`, `slice` and `urlquery`.
    #[must_use]
    pub fn builtins() -> Self {
        let mut functions = Self::default();
        functions.add(Function::special("and", ONE_OR_MORE, Special::And));
        functions.add(Function::special("or", ONE_OR_MORE, Special::Or));
        functions.add(Function::special("call", ONE_OR_MORE, Special::Call));
        functions.add(Function::special("len", ONE, Special::Len));
        functions.add(Function::new("not", ONE, |_, args| Ok(Value::Bool(!args.value(0).truth()))));
        functions.add(Function::new("index", ONE_OR_MORE, |_, args| index(args)));
        functions.add(Function::new("slice", ONE_OR_MORE, slice).with_kind(Special::Slice));
        functions
            .add(Function::new("print", ANYTHING, |call, args| Ok(format::sprint(args.all(), call.budget())?.into())));
        functions.add(Function::new("println", ANYTHING, |call, args| {
            Ok(format::sprintln(args.all(), call.budget())?.into())
        }));
        functions.add(Function::new("printf", Signature::variadic(&[&Type::String], &Type::Any), |call, args| {
            Ok(format::sprintf(args.string(0)?.as_bytes(), args.rest(1), call.budget())?.into())
        }));
        functions.add(Function::new("html", ANYTHING, |call, args| escaped(call, args, escape::html)));
        functions.add(Function::new("js", ANYTHING, |call, args| escaped(call, args, escape::js)));
        functions.add(Function::new("urlquery", ANYTHING, |call, args| escaped(call, args, escape::url_query)));
        functions.add(Function::new("eq", ONE_OR_MORE, |call, args| {
            order::is_equal_to_any(args.value(0), args.rest(1), call.budget()).map(Value::Bool)
        }));
        functions.add(Function::new("ne", TWO, |call, args| {
            order::is_equal_to_any(args.value(0), args.rest(1), call.budget()).map(|equal| Value::Bool(!equal))
        }));
        functions
            .add(Function::new("lt", TWO, |_, args| order::is_less(args.value(0), args.value(1)).map(Value::Bool)));
        functions.add(Function::new("le", TWO, |call, args| is_less_or_equal(call, args).map(Value::Bool)));
        functions.add(Function::new("gt", TWO, |call, args| {
            is_less_or_equal(call, args).map(|less_or_equal| Value::Bool(!less_or_equal))
        }));
        functions.add(Function::new("ge", TWO, |_, args| {
            order::is_less(args.value(0), args.value(1)).map(|less| Value::Bool(!less))
        }));
        functions
    }

    /// Adds `include NAME DATA` and `tpl TEXT DATA`, as Helm has them.
    pub fn add_template_calls(&mut self) {
        const NAMED: Signature = Signature::fixed(&[&Type::String, &Type::Any]);
        self.add(Function::new("include", NAMED, |call, args| {
            Ok(call.include(args.string(0)?, args.value(1).clone())?.into())
        }));
        self.add(Function::new("tpl", NAMED, |call, args| {
            Ok(call.tpl(args.string(0)?, args.value(1).clone())?.into())
        }));
    }
}

fn is_less_or_equal(call: &mut Call<'_>, args: Args<'_>) -> Result<bool, CallError> {
    Ok(order::is_less(args.value(0), args.value(1))?
        || order::is_equal_to_any(args.value(0), args.rest(1), call.budget())?)
}

/// Prints the arguments as an action would and escapes the result.
fn escaped(call: &mut Call<'_>, args: Args<'_>, escape: fn(&[u8]) -> Vec<u8>) -> Result<Value, CallError> {
    const NO_VALUE: Value = Value::text("<no value>");
    let text = match args.all() {
        [Value::Str(text)] => text.clone(),
        values => {
            let shown = values.iter().map(|value| if value.is_nil() { NO_VALUE } else { value.clone() });
            format::sprint(&shown.collect::<Vec<_>>(), call.budget())?
        }
    };
    // No escape is longer than six bytes for one.
    call.produce(text.len() * 2)?;
    let escaped = escape(text.as_bytes());
    call.produce(escaped.len())?;
    Ok(Value::Str(escaped.into()))
}

/// Returns an index into a list of a length; `end` tells whether the length itself is one.
fn position(index: &Value, length: usize) -> Result<usize, CallError> {
    let position = match index.underlying() {
        Value::Int(position, _) => position,
        Value::Uint(position, _) => position.cast_signed(),
        Value::Nil => return Err(CallError::new("cannot index slice/array with nil")),
        other => {
            let of = other.go_type().map_or_else(String::new, Type::to_string);
            return Err(CallError::new(format!("cannot index slice/array with type {of}")));
        }
    };
    usize::try_from(position)
        .ok()
        .filter(|position| *position <= length)
        .ok_or_else(|| CallError::new(format!("index out of range: {position}")))
}

fn index(args: Args<'_>) -> Result<Value, CallError> {
    let mut item = args.value(0).clone();
    if item.is_nil() {
        return Err(CallError::new("index of untyped nil"));
    }
    for index in args.rest(1) {
        item = match item.underlying() {
            // An earlier index led to an empty interface.
            Value::Nil => return Err(CallError::new("index of nil pointer")),
            Value::List(list) => {
                let position = position(index, list.len())?;
                list.items().get(position).cloned().ok_or_else(|| out_of_range("slice", position))?
            }
            Value::Str(text) | Value::Bytes(text) => {
                let position = position(index, text.len())?;
                let kind = if matches!(item, Value::Str(_)) { "string" } else { "slice" };
                let byte = text.as_bytes().get(position).ok_or_else(|| out_of_range(kind, position))?;
                Value::Uint(u64::from(*byte), crate::value::UintKind::Uint8)
            }
            Value::Map(map) => match index.underlying() {
                Value::Str(key) => {
                    map.get(&key).unwrap_or_else(|| map.map_type().element().map_or(Value::Nil, Value::zero))
                }
                Value::Nil => return Err(CallError::new("value is nil; should be of type string")),
                other => {
                    let of = other.go_type().map_or_else(String::new, Type::to_string);
                    return Err(CallError::new(format!("value has type {of}; should be string")));
                }
            },
            other => {
                let of = other.go_type().map_or_else(String::new, Type::to_string);
                return Err(CallError::new(format!("can't index item of type {of}")));
            }
        };
    }
    Ok(item)
}

/// What reflection says where the length itself is asked for.
fn out_of_range(kind: &str, _position: usize) -> CallError {
    CallError::new(format!("reflect: {kind} index out of range"))
}

fn slice(call: &mut Call<'_>, args: Args<'_>) -> Result<Value, CallError> {
    let (item, indexes) = (args.value(0).underlying(), args.rest(1));
    let length = match &item {
        Value::Nil => return Err(CallError::new("slice of untyped nil")),
        _ if indexes.len() > 3 => return Err(CallError::new(format!("too many slice indexes: {}", indexes.len()))),
        Value::Str(_) if indexes.len() == 3 => return Err(CallError::new("cannot 3-index slice a string")),
        Value::Str(text) | Value::Bytes(text) => text.len(),
        Value::List(list) => list.len(),
        other => {
            let of = other.go_type().map_or_else(String::new, Type::to_string);
            return Err(CallError::new(format!("can't slice item of type {of}")));
        }
    };
    let mut bounds = [0, length, length];
    for (bound, index) in bounds.iter_mut().zip(indexes) {
        *bound = position(index, length)?;
    }
    let [start, end, capacity] = bounds;
    if start > end {
        return Err(CallError::new(format!("invalid slice index: {start} > {end}")));
    }
    if indexes.len() == 3 && end > capacity {
        return Err(CallError::new(format!("invalid slice index: {end} > {capacity}")));
    }
    call.produce((end - start).saturating_mul(if matches!(item, Value::List(_)) { size_of::<Value>() } else { 1 }))?;
    Ok(match item {
        Value::List(list) => {
            let items = list.items().get(start..end).unwrap_or(&[]).to_vec();
            Value::List(crate::value::List::of(list.list_type(), items))
        }
        Value::Bytes(bytes) => Value::Bytes(part(&bytes, start, end)),
        Value::Str(text) => Value::Str(part(&text, start, end)),
        other => other,
    })
}

fn part(text: &Str, start: usize, end: usize) -> Str {
    text.as_bytes().get(start..end).unwrap_or(&[]).into()
}
