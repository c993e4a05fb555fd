//! Functions of dicts, which all their holders share: `set`, `unset` and the merges write into their first argument.

use std::collections::BTreeMap;

use super::merge::{Overwrite, deep_copy, merge_all};
use super::show::text_of;
use super::{ANY, Answer, MAP, STRING, add_all, charge_items, failed_assertion, list, nil_dereference};
use crate::Str;
use crate::function::{Args, Call, CallError, Function, Functions, Signature};
use crate::value::{List, Map, Type, Value};

pub(super) fn add(functions: &mut Functions) {
    add_entries(functions);
    add_selections(functions);
    add_merges(functions);
    functions.add(Function::new("dig", Signature::variadic(&[], ANY), |_, args| dig(args)));
}

fn add_entries(functions: &mut Functions) {
    functions.add(Function::new("dict", Signature::variadic(&[], ANY), |call, args| {
        charge_items(call, args.len())?;
        let mut entries: BTreeMap<Str, Value> = BTreeMap::new();
        for pair in args.all().chunks(2) {
            let key = match pair.first() {
                Some(Value::Str(key)) => key.clone(),
                Some(other) => text_of(call, other)?.into(),
                None => continue,
            };
            entries.insert(key, pair.get(1).cloned().unwrap_or_else(|| Value::text("")));
        }
        Ok(Value::Map(Map::of(Type::ANY_MAP, entries)))
    }));
    functions.add(Function::new("get", Signature::fixed(&[MAP, STRING]), |_, args| {
        Ok(args.map(0)?.get(args.string(1)?).unwrap_or_else(|| Value::text("")))
    }));
    functions.add(Function::new("set", Signature::fixed(&[MAP, STRING, ANY]), |call, args| {
        let (map, key) = (args.map(0)?, args.string(1)?);
        call.produce(key.len() + size_of::<Value>())?;
        map.insert(key.clone(), args.value(2).clone())?;
        Ok(args.value(0).clone())
    }));
    functions.add(Function::new("unset", Signature::fixed(&[MAP, STRING]), |_, args| {
        args.map(0)?.remove(args.string(1)?);
        Ok(args.value(0).clone())
    }));
    functions.add(Function::new("hasKey", Signature::fixed(&[MAP, STRING]), |_, args| {
        Ok(Value::Bool(args.map(0)?.contains_key(args.string(1)?)))
    }));
}

fn add_selections(functions: &mut Functions) {
    functions.add(Function::new("pluck", Signature::variadic(&[STRING], MAP), |call, args| {
        let key = args.string(0)?;
        let mut found = Vec::new();
        for place in 1..args.len() {
            found.extend(args.map(place)?.get(key));
        }
        list(call, found)
    }));
    functions.add(Function::new("keys", Signature::variadic(&[], MAP), |call, args| {
        let mut keys: Vec<Str> = Vec::new();
        for place in 0..args.len() {
            charge_items(call, args.map(place)?.len())?;
            keys.extend(args.map(place)?.keys());
        }
        Ok(Value::List(List::of_strings(keys)))
    }));
    functions.add(Function::new("values", Signature::fixed(&[MAP]), |call, args| {
        let values = args.map(0)?.entries().into_iter().map(|(_, value)| value).collect();
        list(call, values)
    }));
    functions.add(Function::new("pick", Signature::variadic(&[MAP], STRING), |call, args| {
        selected(call, args, |keys, key| keys.contains(&key))
    }));
    functions.add(Function::new("omit", Signature::variadic(&[MAP], STRING), |call, args| {
        selected(call, args, |keys, key| !keys.contains(&key))
    }));
}

/// The entries that the keys select, in a new map.
fn selected(call: &mut Call<'_>, args: Args<'_>, is_kept: fn(&[&[u8]], &[u8]) -> bool) -> Answer {
    let map = args.map(0)?;
    charge_items(call, map.len())?;
    let mut keys: Vec<&[u8]> = Vec::with_capacity(args.len());
    for place in 1..args.len() {
        keys.push(args.string(place)?.as_bytes());
    }
    call.step(map.len().saturating_mul(keys.len()))?;
    let kept = map.entries().into_iter().filter(|(key, _)| is_kept(&keys, key.as_bytes())).collect();
    Ok(Value::Map(Map::of(Type::ANY_MAP, kept)))
}

fn add_merges(functions: &mut Functions) {
    const MAPS: Signature = Signature::variadic(&[MAP], MAP);
    add_all(functions, &["merge", "mustMerge"], MAPS, |call, args| merge_all(call, args, Overwrite::Empty));
    add_all(functions, &["mergeOverwrite", "mustMergeOverwrite"], MAPS, |call, args| {
        merge_all(call, args, Overwrite::Always)
    });
    add_all(functions, &["deepCopy", "mustDeepCopy"], Signature::fixed(&[ANY]), |call, args| {
        deep_copy(call, args.value(0))
    });
}

/// Follows keys through nested maps; the last but one argument is what a missing key gives.
fn dig(args: Args<'_>) -> Answer {
    let [keys @ .., default, map] = args.all() else {
        return Err(CallError::new("dig needs at least three arguments"));
    };
    if keys.is_empty() {
        return Err(CallError::new("dig needs at least three arguments"));
    }
    let mut step = plain_map(map)?.clone();
    for key in keys {
        if !matches!(key, Value::Str(_)) {
            return Err(failed_assertion(key, "string"));
        }
    }
    let mut remaining = keys.iter().peekable();
    while let Some(Value::Str(key)) = remaining.next() {
        let Some(value) = step.get(key) else { return Ok(default.clone()) };
        if remaining.peek().is_none() {
            return Ok(value);
        }
        step = plain_map(&value)?.clone();
    }
    Err(nil_dereference())
}

/// A type assertion to `map[string]interface {}`: a map under another name is none.
fn plain_map(value: &Value) -> Result<&Map, CallError> {
    match value {
        Value::Map(map) if map.map_type() == Type::ANY_MAP => Ok(map),
        other => Err(failed_assertion(other, "map[string]interface {}")),
    }
}
