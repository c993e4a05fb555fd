//! Merging of maps with the rules of `mergo`, and copies of whole values.

use super::{Answer, charge_items, on_enough_stack};
use crate::function::{Args, Call, CallError};
use crate::value::{List, Map, Value};

/// How deep maps are merged and values are copied.
const DEPTH_MAX: usize = 1_000;

/// Which entries of the destination a source's entry replaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Overwrite {
    /// Only empty ones.
    Empty,
    /// All.
    Always,
}

/// Merges the further maps into the first and returns it.
pub(super) fn merge_all(call: &mut Call<'_>, args: Args<'_>, overwrite: Overwrite) -> Answer {
    let destination = args.map(0)?;
    for place in 1..args.len() {
        merge(call, destination, args.map(place)?, overwrite, DEPTH_MAX)?;
    }
    Ok(args.value(0).clone())
}

fn merge(
    call: &mut Call<'_>,
    destination: &Map,
    source: &Map,
    overwrite: Overwrite,
    depth: usize,
) -> Result<(), CallError> {
    if depth == 0 {
        return Err(CallError::new(format!("maps nest deeper than {DEPTH_MAX} levels")));
    }
    if destination.is_same(source) {
        return Ok(());
    }
    charge_items(call, source.len())?;
    for (key, value) in source.entries() {
        if value.is_nil() {
            if overwrite == Overwrite::Always {
                destination.insert(key, Value::Nil)?;
            }
            continue;
        }
        let present = destination.get(&key);
        if let (Some(Value::Map(inner)), Value::Map(from)) = (&present, &value) {
            // A nil map has no place for entries: it is replaced below.
            if !inner.is_nil() {
                on_enough_stack(|| merge(call, inner, from, overwrite, depth - 1))?;
            }
        }
        let is_kept = match (&present, &value) {
            (Some(kept), Value::Map(_)) if is_filled(kept) && is_map(kept) => true,
            (Some(kept), Value::List(_) | Value::Bytes(_)) if is_filled(kept) => overwrite == Overwrite::Empty,
            (Some(kept), _) => overwrite == Overwrite::Empty && is_filled(kept),
            (None, _) => false,
        };
        if !is_kept {
            destination.insert(key, value)?;
        }
    }
    Ok(())
}

fn is_map(value: &Value) -> bool {
    matches!(value.underlying(), Value::Map(_))
}

/// Empty is what has length or value zero; an object is never empty.
fn is_filled(value: &Value) -> bool {
    match value {
        Value::Object(object) => object.underlying().is_none_or(|value| value.truth()),
        other => other.truth(),
    }
}

/// Copies maps and lists all the way down.
pub(super) fn deep_copy(call: &mut Call<'_>, value: &Value) -> Answer {
    if value.is_nil() {
        return Err(CallError::new("reflect: call of reflect.Value.Type on zero Value"));
    }
    copied(call, value, DEPTH_MAX)
}

fn copied(call: &mut Call<'_>, value: &Value, depth: usize) -> Answer {
    if depth == 0 {
        return Err(CallError::new(format!("values nest deeper than {DEPTH_MAX} levels")));
    }
    match value {
        Value::List(list) if !list.is_nil() => {
            charge_items(call, list.len())?;
            let items = list.items().iter().map(|item| on_enough_stack(|| copied(call, item, depth - 1)));
            let items = items.collect::<Result<_, _>>()?;
            Ok(Value::List(List::of(list.list_type(), items)))
        }
        Value::Map(map) if !map.is_nil() => {
            charge_items(call, map.len())?;
            let copy = Map::of(map.map_type(), std::collections::BTreeMap::new());
            for (key, item) in map.entries() {
                copy.insert(key, on_enough_stack(|| copied(call, &item, depth - 1))?)?;
            }
            Ok(Value::Map(copy))
        }
        other => Ok(other.clone()),
    }
}
