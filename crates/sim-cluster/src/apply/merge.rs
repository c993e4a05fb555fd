//! Merges an applied configuration into the live state, and takes fields out of a state.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::field_set::{FieldSet, PathElement};
use super::shape::{Atom, MergeType};

/// Merges the applied state into the live one.
pub(super) fn merge(live: &Value, applied: &Value, at: MergeType<'_>) -> Result<Value, String> {
    if std::mem::discriminant(live) != std::mem::discriminant(applied) && !live.is_null() && !applied.is_null() {
        return Ok(applied.clone());
    }
    let atom = if applied.is_null() { at.atom(live) } else { at.atom(applied) };
    match (&atom, live, applied) {
        (Atom::Map, Value::Object(live), Value::Object(applied)) if !(live.is_empty() && applied.is_empty()) => {
            merge_fields(live, applied, at)
        }
        (Atom::Keyed(_) | Atom::Set, Value::Array(live), Value::Array(applied))
            if !(live.is_empty() && applied.is_empty()) =>
        {
            merge_items(live, applied, at, &atom)
        }
        // An explicit null next to something granular takes nothing away: only ownership does that.
        (Atom::Map | Atom::Keyed(_) | Atom::Set, live, Value::Null) if !live.is_null() => Ok(live.clone()),
        _ => {
            check_unique(applied, at, &atom)?;
            Ok(applied.clone())
        }
    }
}

fn check_unique(applied: &Value, at: MergeType<'_>, atom: &Atom) -> Result<(), String> {
    match (atom, applied) {
        (Atom::Keyed(_) | Atom::Set, Value::Array(items)) => index(items, at, atom).map(|_| ()),
        _ => Ok(()),
    }
}

fn merge_fields(live: &Map<String, Value>, applied: &Map<String, Value>, at: MergeType<'_>) -> Result<Value, String> {
    let mut out = live.clone();
    for (name, value) in applied {
        let merged = match live.get(name) {
            Some(live) => merge(live, value, at.field(name)).map_err(|problem| format!(".{name}{problem}"))?,
            None => value.clone(),
        };
        out.insert(name.clone(), merged);
    }
    Ok(Value::Object(out))
}

type Indexed<'v> = (Vec<PathElement>, BTreeMap<PathElement, &'v Value>);

/// The elements of an applied list, which may not repeat a key.
fn index<'v>(items: &'v [Value], at: MergeType<'_>, atom: &Atom) -> Result<Indexed<'v>, String> {
    let mut order = Vec::with_capacity(items.len());
    let mut by_element = BTreeMap::new();
    for (position, item) in items.iter().enumerate() {
        let element = at.element(atom, item).map_err(|problem| format!(": element {position}: {problem}"))?;
        if by_element.insert(element.clone(), item).is_some() {
            return Err(format!(": duplicate entries for key {element}"));
        }
        order.push(element);
    }
    Ok((order, by_element))
}

fn merge_items(live: &[Value], applied: &[Value], at: MergeType<'_>, atom: &Atom) -> Result<Value, String> {
    let (right, right_items) = index(applied, at, atom)?;
    // Live lists may hold duplicates from before their type was known; an item that can't be named stays as it is.
    let left: Vec<(Option<PathElement>, &Value)> =
        live.iter().map(|item| (at.element(atom, item).ok(), item)).collect();
    let mut left_items: BTreeMap<&PathElement, &Value> = BTreeMap::new();
    for (element, item) in left.iter().filter_map(|(element, item)| Some((element.as_ref()?, *item))) {
        left_items.entry(element).or_insert(item);
    }
    let mut shared = right.iter().filter(|element| left_items.contains_key(element)).peekable();
    let merged = |element: &PathElement| -> Result<Value, String> {
        match (left_items.get(element), right_items.get(element)) {
            (Some(live), Some(applied)) => {
                merge(live, applied, at.item()).map_err(|problem| format!("{element}{problem}"))
            }
            (_, Some(applied)) => Ok((*applied).clone()),
            _ => Ok(Value::Null),
        }
    };
    let mut out = Vec::with_capacity(live.len().max(applied.len()));
    let mut done: BTreeSet<&PathElement> = BTreeSet::new();
    let (mut l, mut r) = (0, 0);
    while l < left.len() || r < right.len() {
        if let (Some((Some(element), _)), Some(wanted)) = (left.get(l), right.get(r)) {
            if element == wanted {
                out.push(merged(wanted)?);
                done.insert(wanted);
                l += 1;
                r += 1;
                shared.next();
                continue;
            }
            let is_next = shared.peek().is_some_and(|next| *next == element);
            if right_items.contains_key(element) && shared.peek().is_some() && !is_next {
                l += 1;
                continue;
            }
        }
        if let Some((element, item)) = left.get(l) {
            match element {
                Some(element) if right_items.contains_key(element) => {
                    if done.contains(element) {
                        l += 1;
                    }
                }
                _ => {
                    out.push((*item).clone());
                    l += 1;
                    continue;
                }
            }
        }
        if let Some(element) = right.get(r) {
            out.push(merged(element)?);
            done.insert(element);
            r += 1;
            if shared.peek().is_some_and(|next| *next == element) {
                shared.next();
            }
        }
    }
    Ok(Value::Array(out))
}

/// Takes the fields of a set out of a state; none when nothing granular is left.
pub(super) fn remove(value: &Value, gone: &FieldSet, at: MergeType<'_>) -> Value {
    let atom = at.atom(value);
    match (&atom, value) {
        (Atom::Map, Value::Object(fields)) if !fields.is_empty() => {
            let mut out = Map::new();
            for (name, value) in fields {
                let element = PathElement::Field(name.clone());
                if gone.has(&element) {
                    continue;
                }
                let value = match gone.child(&element) {
                    Some(below) => remove(value, below, at.field(name)),
                    None => value.clone(),
                };
                out.insert(name.clone(), value);
            }
            if out.is_empty() { Value::Null } else { Value::Object(out) }
        }
        (Atom::Keyed(_) | Atom::Set, Value::Array(items)) if !items.is_empty() => {
            let mut out = Vec::with_capacity(items.len());
            for item in items {
                let Ok(element) = at.element(&atom, item) else {
                    out.push(item.clone());
                    continue;
                };
                if gone.has(&element) {
                    continue;
                }
                out.push(match gone.child(&element) {
                    Some(below) => remove(item, below, at.item()),
                    None => item.clone(),
                });
            }
            if out.is_empty() { Value::Null } else { Value::Array(out) }
        }
        // Whole lists and maps below a removed path have nothing left; so does what is empty already.
        (Atom::Leaf, Value::Array(_) | Value::Object(_)) => Value::Null,
        (_, Value::Array(_) | Value::Object(_)) => Value::Null,
        _ => value.clone(),
    }
}
