//! How values of users, charts and subcharts become one tree.
//!
//! The trees are the templates' own values, shared by reference: which tables two charts share after this is visible
//! to templates that write into them, so it is kept as Helm leaves it.

use go_template::{IntKind, List, Map, Value};
use serde_json::Value as Json;

use super::error::HelmError;
use super::node::Node;

/// The table that all charts see.
const GLOBAL: &str = "global";

/// What becomes of nulls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Nulls {
    /// A null takes a default away.
    Delete,
    /// Nulls stay, for a later merge that deletes.
    Keep,
}

/// What Helm would warn of.
pub(crate) type Warnings = Vec<String>;

/// Returns the value of a template for one of a values file: integers, which only `--set` makes, stay integers.
pub(crate) fn value_of(json: &Json) -> Value {
    match json {
        Json::Null => Value::Nil,
        Json::Bool(flag) => Value::Bool(*flag),
        Json::Number(number) => match number.as_i64() {
            Some(int) => Value::Int(int, IntKind::Int64),
            None => Value::Float(number.as_f64().unwrap_or_default()),
        },
        Json::String(text) => Value::Str(text.into()),
        Json::Array(items) => Value::List(items.iter().map(value_of).collect()),
        Json::Object(entries) => Value::Map(map_of(entries)),
    }
}

/// Returns the table of a template for a mapping of a values file.
pub(crate) fn map_of(entries: &serde_json::Map<String, Json>) -> Map {
    entries.iter().map(|(key, value)| (key, value_of(value))).collect()
}

/// Copies tables and lists all the way down.
pub(crate) fn deep_copy(value: &Value) -> Value {
    match value {
        Value::Map(map) if map.is_nil() => value.clone(),
        Value::Map(map) => Value::Map(copy_map(map)),
        Value::List(list) if !list.is_nil() => {
            Value::List(List::of(list.list_type(), list.items().iter().map(deep_copy).collect()))
        }
        other => other.clone(),
    }
}

/// Copies a table all the way down.
pub(crate) fn copy_map(map: &Map) -> Map {
    let entries = map.borrow().map(|entries| entries.iter().map(|(key, it)| (key.clone(), deep_copy(it))).collect());
    Map::of(map.map_type(), entries.unwrap_or_default())
}

/// A copy of the table itself; what is in it is shared.
fn shallow_copy(map: &Map) -> Map {
    Map::of(map.map_type(), map.entries().into_iter().collect())
}

/// Writes an entry; tables made here are never the nil map.
fn put(map: &Map, key: impl Into<go_template::Str>, value: impl Into<Value>) {
    let written = map.insert(key, value);
    debug_assert!(written.is_ok(), "a table of values is never nil");
}

/// Puts the defaults of a chart and its subcharts under a copy of `values`.
pub(crate) fn coalesce_values(
    node: &Node<'_>,
    values: &Map,
    nulls: Nulls,
    warnings: &mut Warnings,
) -> Result<Map, HelmError> {
    let copy = copy_map(values);
    coalesce(node, &copy, "", nulls, warnings)?;
    Ok(copy)
}

fn prefixed(prefix: &str, name: &str) -> String {
    if prefix.is_empty() { name.to_owned() } else { format!("{prefix}.{name}") }
}

fn coalesce(
    node: &Node<'_>,
    values: &Map,
    prefix: &str,
    nulls: Nulls,
    warnings: &mut Warnings,
) -> Result<(), HelmError> {
    coalesce_defaults(node, values, prefix, nulls, warnings);
    for child in &node.children {
        let name = child.name();
        let below = match values.get(&name) {
            None => {
                let fresh = Map::new();
                put(values, name.as_str(), fresh.clone());
                fresh
            }
            Some(Value::Map(map)) => map,
            Some(other) => {
                let shown = as_flag(&other);
                return Err(HelmError::Values(format!("type mismatch on {name}: {shown}")));
            }
        };
        let prefix = prefixed(prefix, &node.name());
        coalesce_globals(&below, values, &prefix, warnings);
        coalesce(child, &below, &prefix, nulls, warnings)?;
    }
    Ok(())
}

/// A value under Go's `%t`.
fn as_flag(value: &Value) -> String {
    match value {
        Value::Nil => "%!t(<nil>)".to_owned(),
        Value::Bool(flag) => flag.to_string(),
        Value::Str(text) => format!("%!t(string={})", text.to_str_lossy()),
        Value::Int(int, _) => format!("%!t(int64={int})"),
        Value::Float(float) => format!("%!t(float64={float})"),
        Value::List(list) => {
            let items: Vec<String> = list.items().iter().map(as_flag).collect();
            format!("[{}]", items.join(" "))
        }
        other => format!("%!t({})", other.kind().name()),
    }
}

/// Copies the global table of a chart into that of its subchart.
fn coalesce_globals(below: &Map, above: &Map, prefix: &str, warnings: &mut Warnings) {
    let mut table = |map: &Map, which: &str| match map.get(GLOBAL) {
        None => Some(Map::new()),
        Some(Value::Map(globals)) => Some(globals),
        Some(_) => {
            warnings.push(format!("skipping globals because {which} {GLOBAL} is not a table"));
            None
        }
    };
    let Some(own) = table(below, "destination") else { return };
    let Some(given) = table(above, "source") else { return };
    for (key, value) in given.entries() {
        match (value, own.get(key.as_bytes())) {
            (Value::Map(value), None) => put(&own, key, shallow_copy(&value)),
            (Value::Map(value), Some(Value::Map(present))) => {
                let copy = shallow_copy(&value);
                let prefix = prefixed(prefix, &key.to_str_lossy());
                merge_tables(&copy, &present, &prefix, Nulls::Keep, warnings);
                put(&own, key, copy);
            }
            (Value::Map(_), Some(_)) => {
                warnings.push(format!("conflict: cannot merge map onto non-map for `{}`", key.to_str_lossy()));
            }
            (_, Some(Value::Map(_))) => warnings.push(format!("key {} is a table", key.to_str_lossy())),
            (value, _) => put(&own, key, value),
        }
    }
    put(below, GLOBAL, own);
}

/// Puts the defaults of one chart under `values`.
fn coalesce_defaults(node: &Node<'_>, values: &Map, prefix: &str, nulls: Nulls, warnings: &mut Warnings) {
    let prefix = prefixed(prefix, &node.name());
    for (key, default) in node.default_entries() {
        match values.get(key.as_bytes()) {
            None => put(values, key, default),
            Some(Value::Nil) if nulls == Nulls::Delete => {
                values.remove(key.as_bytes());
            }
            Some(Value::Map(present)) => match default {
                Value::Map(default) => {
                    let name = key.to_str_lossy();
                    let is_child = node.children.iter().any(|child| child.name() == name);
                    let nulls = if is_child { Nulls::Keep } else { nulls };
                    merge_tables(&present, &default, &prefixed(&prefix, &name), nulls, warnings);
                }
                Value::Nil => {}
                _ => warnings.push(format!("skipped value for {prefix}.{}: Not a table.", key.to_str_lossy())),
            },
            Some(_) => {}
        }
    }
}

/// Merges a table into another one, which wins.
pub(crate) fn merge_tables(winner: &Map, source: &Map, prefix: &str, nulls: Nulls, warnings: &mut Warnings) {
    let sources = source.entries();
    // Entries that are null in the winner count as null in the source too.
    for (key, value) in winner.entries() {
        if value.is_nil() && !source.contains_key(key.as_bytes()) {
            put(source, key, Value::Nil);
        }
    }
    for (key, value) in sources {
        let Some(present) = winner.get(key.as_bytes()) else {
            put(winner, key, value);
            continue;
        };
        // A null of the winner has replaced the source's value by now, unless it takes it away.
        match (present, value) {
            (Value::Nil, value) => {
                if nulls == Nulls::Delete && !value.is_nil() {
                    winner.remove(key.as_bytes());
                }
                put(source, key, Value::Nil);
            }
            (Value::Map(present), Value::Map(value)) => {
                merge_tables(&present, &value, &prefixed(prefix, &key.to_str_lossy()), nulls, warnings);
            }
            (_, Value::Map(_)) => {
                let name = prefixed(prefix, &key.to_str_lossy());
                warnings.push(format!("cannot overwrite table with non table for {name}"));
            }
            (Value::Map(_), value) if !value.is_nil() => {
                let name = prefixed(prefix, &key.to_str_lossy());
                warnings.push(format!("destination for {name} is a table. Ignoring non-table value"));
            }
            _ => {}
        }
    }
}
