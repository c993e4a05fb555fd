//! What an apply would leave on the server, as far as it can be told without asking.

use object_model::Object;
use serde_json::{Map, Value};

use crate::compare::{Change, Comparison};
use crate::list_shape::{ListShape, known_shape};

/// Returns the live object with the changes of a comparison in it, with the keys of new list entries as the server completes
/// them. Other defaults and admission webhooks are not played.
///
/// Comparing the same desired object with the prediction finds nothing more.
pub fn predict(live: &Object, comparison: &Comparison) -> Object {
    let mut after = live.to_json();
    // First what changes where it stands, then what goes, the last entry of a list first, then what comes: so every
    // index still names the entry that it was made for.
    let (comes, stays): (Vec<&Change>, Vec<&Change>) =
        comparison.changes.iter().partition(|change| change.live.is_none());
    let (changed, gone): (Vec<&Change>, Vec<&Change>) = stays.into_iter().partition(|change| change.desired.is_some());
    // What comes below an entry is addressed by the entry's index too, so it is put in before any entry goes.
    let (into_entries, new_entries): (Vec<&Change>, Vec<&Change>) =
        comes.into_iter().partition(|change| !ends_with_index(change));
    let mut gone = gone;
    gone.sort_by_key(|change| std::cmp::Reverse(index_key(change)));
    for change in changed.into_iter().chain(into_entries).chain(new_entries).chain(gone) {
        apply(&mut after, live.kind(), change);
    }
    Object::from_json(after).unwrap_or_else(|_| live.clone())
}

fn ends_with_index(change: &Change) -> bool {
    change.pointer.rsplit('/').next().is_some_and(|step| step.parse::<usize>().is_ok())
}

/// Orders pointers with their indexes as numbers.
fn index_key(change: &Change) -> Vec<(Option<usize>, String)> {
    change.pointer.split('/').map(|step| (step.parse().ok(), step.to_owned())).collect()
}

/// Puts one change into a live object, as an apply would.
fn apply(live: &mut Value, kind: &str, change: &Change) {
    let Some((parent, last)) = change.pointer.rsplit_once('/') else { return };
    let Some(parent) = reach(live, parent) else { return };
    let key = last.replace("~1", "/").replace("~0", "~");
    match (parent, &change.desired, &change.live) {
        (Value::Object(map), Some(desired), _) => {
            map.insert(key, desired.clone());
        }
        (Value::Object(map), None, _) => {
            map.remove(&key);
        }
        (Value::Array(list), Some(desired), None) => list.push(completed(desired.clone(), kind, &change.pointer)),
        (Value::Array(list), Some(desired), Some(_)) => {
            if let Some(slot) = key.parse::<usize>().ok().and_then(|index| list.get_mut(index)) {
                *slot = desired.clone();
            }
        }
        (Value::Array(list), None, _) => {
            if let Some(index) = key.parse::<usize>().ok().filter(|index| *index < list.len()) {
                list.remove(index);
            }
        }
        _ => {}
    }
}

/// A new entry with the key field that has a default. Only one has: the protocol of a port.
fn completed(mut entry: Value, kind: &str, pointer: &str) -> Value {
    let mut names: Vec<&str> =
        pointer.split('/').filter(|step| !step.is_empty() && step.parse::<usize>().is_err()).collect();
    let Some(field) = names.pop() else { return entry };
    if let (ListShape::Keyed(keys), Value::Object(fields)) = (known_shape(kind, &names, field), &mut entry)
        && keys.iter().any(|key| key == "protocol")
    {
        fields.entry("protocol").or_insert_with(|| "TCP".into());
    }
    entry
}

/// The value at a pointer; empty mappings on the way are those that normalising left out.
fn reach<'a>(value: &'a mut Value, pointer: &str) -> Option<&'a mut Value> {
    let mut at = value;
    for step in pointer.split('/').skip(1) {
        let key = step.replace("~1", "/").replace("~0", "~");
        at = match at {
            Value::Object(map) => map.entry(key).or_insert_with(|| Value::Object(Map::new())),
            Value::Array(list) => list.get_mut(key.parse::<usize>().ok()?)?,
            _ => return None,
        };
    }
    Some(at)
}
