//! Functions of lists. None changes its argument; each returns a list of anything.

use std::borrow::Cow;

use super::numbers::to_int;
use super::strings::texts_of;
use super::{ANY, Answer, INT, add_all, charge_items, list, nil_dereference};
use crate::budget::Budget;
use crate::function::{Args, Call, CallError, Function, Functions, Signature};
use crate::value::{List, Type, UintKind, Value, deep_equal};

const ONE: Signature = Signature::fixed(&[ANY]);
const TWO: Signature = Signature::fixed(&[ANY, ANY]);
const MANY: Signature = Signature::variadic(&[], ANY);
const ONE_AND_MORE: Signature = Signature::variadic(&[ANY], ANY);

/// Returns the items when the value is a slice of any type.
pub(super) fn items_of(value: &Value) -> Option<Cow<'_, [Value]>> {
    match value {
        Value::List(list) => Some(Cow::Borrowed(list.items())),
        Value::Bytes(bytes) => {
            let byte = |byte: &u8| Value::Uint(u64::from(*byte), UintKind::Uint8);
            Some(Cow::Owned(bytes.as_bytes().iter().map(byte).collect()))
        }
        Value::Object(object) => match object.underlying()? {
            Value::List(list) => Some(Cow::Owned(list.into_items())),
            bytes @ Value::Bytes(_) => Some(Cow::Owned(items_of(&bytes)?.into_owned())),
            _ => None,
        },
        _ => None,
    }
}

/// Returns the items, or the message of a function that was given something else.
fn slice<'a>(value: &'a Value, complaint: &str) -> Result<Cow<'a, [Value]>, CallError> {
    if value.is_nil() {
        return Err(nil_dereference());
    }
    items_of(value).ok_or_else(|| CallError::new(format!("{complaint} {}", value.kind().name())))
}

pub(super) fn add(functions: &mut Functions) {
    add_ends(functions);
    add_makers(functions);
    add_filters(functions);
    add_parts(functions);
}

/// A function under its plain and its `must` name: both fail alike.
fn add_both(
    functions: &mut Functions,
    names: &[&'static str],
    signature: Signature,
    body: fn(&mut Call<'_>, Args<'_>) -> Answer,
) {
    add_all(functions, names, signature, body);
}

fn nil_list() -> Value {
    Value::List(List::nil(Type::ANY_LIST))
}

fn add_ends(functions: &mut Functions) {
    add_both(functions, &["first", "mustFirst"], ONE, |_, args| {
        Ok(slice(args.value(0), "Cannot find first on type")?.first().cloned().unwrap_or_default())
    });
    add_both(functions, &["last", "mustLast"], ONE, |_, args| {
        Ok(slice(args.value(0), "Cannot find last on type")?.last().cloned().unwrap_or_default())
    });
    add_both(functions, &["rest", "mustRest"], ONE, |call, args| {
        match slice(args.value(0), "Cannot find rest on type")?.split_first() {
            Some((_, rest)) => list(call, rest.to_vec()),
            None => Ok(nil_list()),
        }
    });
    add_both(functions, &["initial", "mustInitial"], ONE, |call, args| {
        match slice(args.value(0), "Cannot find initial on type")?.split_last() {
            Some((_, initial)) => list(call, initial.to_vec()),
            None => Ok(nil_list()),
        }
    });
}

fn add_makers(functions: &mut Functions) {
    add_all(functions, &["list", "tuple"], MANY, |call, args| {
        if args.is_empty() {
            return Ok(Value::List(List::new(Vec::new())));
        }
        list(call, args.all().to_vec())
    });
    add_both(functions, &["append", "push", "mustAppend", "mustPush"], TWO, |call, args| {
        let items = slice(args.value(0), "Cannot push on type")?;
        charge_items(call, items.len() + 1)?;
        let mut longer = Vec::with_capacity(items.len() + 1);
        longer.extend_from_slice(&items);
        longer.push(args.value(1).clone());
        Ok(Value::List(List::new(longer)))
    });
    add_both(functions, &["prepend", "mustPrepend"], TWO, |call, args| {
        let items = slice(args.value(0), "Cannot prepend on type")?;
        charge_items(call, items.len() + 1)?;
        let mut longer = Vec::with_capacity(items.len() + 1);
        longer.push(args.value(1).clone());
        longer.extend_from_slice(&items);
        Ok(Value::List(List::new(longer)))
    });
    functions.add(Function::new("concat", MANY, |call, args| {
        let mut joined = Vec::new();
        for value in args.all() {
            if value.is_nil() {
                return Err(nil_dereference());
            }
            let items = items_of(value)
                .ok_or_else(|| CallError::new(format!("Cannot concat type {} as list", value.kind().name())))?;
            charge_items(call, items.len())?;
            joined.extend_from_slice(&items);
        }
        Ok(if joined.is_empty() { nil_list() } else { Value::List(List::new(joined)) })
    }));
    add_both(functions, &["reverse", "mustReverse"], ONE, |call, args| {
        let items = slice(args.value(0), "Cannot find reverse on type")?;
        list(call, items.iter().rev().cloned().collect())
    });
    functions.add(Function::new("sortAlpha", ONE, |call, args| {
        let mut items = texts_of(call, args.value(0))?;
        // Go shows a nil that is no list.
        if args.value(0).is_nil() {
            items.push(b"<nil>".to_vec());
        }
        call.step(items.len().saturating_mul(4))?;
        items.sort_unstable();
        charge_items(call, items.len())?;
        Ok(Value::List(List::of_strings(items)))
    }));
}

fn contains(items: &[Value], needle: &Value, budget: &mut Budget) -> Result<bool, CallError> {
    for item in items {
        if deep_equal(needle, item, budget)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn add_filters(functions: &mut Functions) {
    add_both(functions, &["compact", "mustCompact"], ONE, |call, args| {
        let items = slice(args.value(0), "Cannot compact on type")?;
        list(call, items.iter().filter(|item| item.truth()).cloned().collect())
    });
    add_both(functions, &["uniq", "mustUniq"], ONE, |call, args| {
        let items = slice(args.value(0), "Cannot find uniq on type")?;
        let mut kept: Vec<Value> = Vec::new();
        for item in items.iter() {
            if !contains(&kept, item, call.budget())? {
                kept.push(item.clone());
            }
        }
        list(call, kept)
    });
    add_both(functions, &["without", "mustWithout"], ONE_AND_MORE, |call, args| {
        let items = slice(args.value(0), "Cannot find without on type")?;
        let mut kept = Vec::new();
        for item in items.iter() {
            if !contains(args.rest(1), item, call.budget())? {
                kept.push(item.clone());
            }
        }
        list(call, kept)
    });
    add_both(functions, &["has", "mustHas"], TWO, |call, args| {
        if args.value(1).is_nil() {
            return Ok(Value::Bool(false));
        }
        let items = slice(args.value(1), "Cannot find has on type")?;
        Ok(Value::Bool(contains(&items, args.value(0), call.budget())?))
    });
}

fn add_parts(functions: &mut Functions) {
    add_both(functions, &["slice", "mustSlice"], ONE_AND_MORE, |call, args| {
        let items = slice(args.value(0), "list should be type of slice or array but")?;
        if items.is_empty() {
            return Ok(Value::Nil);
        }
        let start = if args.len() > 1 { to_int(args.value(1)) } else { 0 };
        let end = if args.len() > 2 { to_int(args.value(2)) } else { i64::try_from(items.len()).unwrap_or(i64::MAX) };
        let range = usize::try_from(start).ok().zip(usize::try_from(end).ok());
        let part = range.and_then(|(start, end)| items.get(start..end));
        let part = part.ok_or_else(|| CallError::new("reflect.Value.Slice: slice index out of bounds"))?;
        charge_items(call, part.len())?;
        Ok(match args.value(0) {
            Value::Bytes(bytes) => {
                let range = range.and_then(|(start, end)| bytes.as_bytes().get(start..end));
                Value::Bytes(range.unwrap_or_default().into())
            }
            Value::List(list) => Value::List(List::of(list.list_type(), part.to_vec())),
            _ => Value::List(List::new(part.to_vec())),
        })
    });
    add_both(functions, &["chunk", "mustChunk"], Signature::fixed(&[INT, ANY]), |call, args| {
        const LISTS: &Type = &Type::List(Type::ANY_LIST);
        let items = slice(args.value(1), "Cannot chunk type")?;
        charge_items(call, items.len())?;
        let parts = chunks(&items, args.int(0)?)?;
        Ok(Value::List(List::of(LISTS, parts.into_iter().map(|part| Value::List(List::new(part))).collect())))
    });
}

/// Cuts into parts of a size. What Go makes of sizes below one is kept: a panic, or nothing for the empty list.
fn chunks(items: &[Value], size: i64) -> Result<Vec<Vec<Value>>, CallError> {
    match usize::try_from(size) {
        Ok(0) if items.len() == 1 => Err(CallError::new("runtime error: makeslice: len out of range")),
        Ok(0) => Err(CallError::new("runtime error: makeslice: len out of range")),
        Ok(size) => Ok(items.chunks(size).map(<[Value]>::to_vec).collect()),
        Err(_) if items.is_empty() => Err(CallError::new("runtime error: makeslice: len out of range")),
        Err(_) => {
            #[expect(clippy::cast_precision_loss, reason = "Go computes in floats")]
            let count = ((items.len() as f64 - 1.0) / size as f64).floor() + 1.0;
            if count < 1.0 {
                return if count < 0.0 {
                    Err(CallError::new("runtime error: makeslice: len out of range"))
                } else {
                    Ok(Vec::new())
                };
            }
            Err(CallError::new("runtime error: makeslice: len out of range"))
        }
    }
}
