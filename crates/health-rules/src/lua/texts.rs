//! The functions of `string` that take patterns.

use mlua::{Error, Function, Lua, LuaString, MultiValue, Table, Value};

use super::budget::Budget;
use super::machine::out_of_steps;
use super::patterns::{self, Capture, Match, PatternError};

/// The longest text that a substitution makes, in bytes.
const RESULT_MAX: usize = 1 << 20;

/// Puts `find`, `match`, `gmatch` and `gsub` into the functions of the host.
pub(super) fn install(lua: &Lua, host: &Table, budget: &Budget) -> mlua::Result<()> {
    let steps = budget.clone();
    host.set(
        "find",
        lua.create_function(move |lua, (text, pattern, init, plain): Arguments| {
            find(lua, &steps, &text, &pattern, init, plain)
        })?,
    )?;
    let steps = budget.clone();
    host.set(
        "match",
        lua.create_function(move |lua, (text, pattern, init): (LuaString, LuaString, Option<f64>)| {
            let (text, pattern) = (text.as_bytes(), pattern.as_bytes());
            let Some(from) = start(init, text.len()) else { return nothing() };
            match search(&text, &pattern, from, &steps)? {
                None => nothing(),
                Some(found) => captures(lua, &text, &found, true),
            }
        })?,
    )?;
    let steps = budget.clone();
    host.set(
        "gmatch",
        lua.create_function(move |lua, (text, pattern): (LuaString, LuaString)| gmatch(lua, &steps, text, pattern))?,
    )?;
    let steps = budget.clone();
    host.set(
        "gsub",
        lua.create_function(move |lua, (text, pattern, with, most): (LuaString, LuaString, Value, Option<f64>)| {
            gsub(lua, &steps, &text, &pattern, &with, most)
        })?,
    )?;
    Ok(())
}

type Arguments = (LuaString, LuaString, Option<f64>, Option<bool>);

fn nothing() -> mlua::Result<MultiValue> {
    Ok(MultiValue::from_iter([Value::Nil]))
}

fn search(text: &[u8], pattern: &[u8], from: usize, budget: &Budget) -> mlua::Result<Option<Match>> {
    patterns::find(text, pattern, from, &|steps| budget.spend(steps)).map_err(|error| match error {
        PatternError::Malformed(why) => Error::runtime(why),
        PatternError::Spent => out_of_steps(),
    })
}

/// Where a search begins, counted from 0; `None` beyond the end.
fn start(init: Option<f64>, length: usize) -> Option<usize> {
    let init = init.unwrap_or(1.0);
    let length_number = length as f64;
    let place = if init < 0.0 { (length_number + init).max(0.0) } else { (init - 1.0).max(0.0) };
    (place <= length_number).then_some(place as usize)
}

fn find(
    lua: &Lua,
    budget: &Budget,
    text: &LuaString,
    pattern: &LuaString,
    init: Option<f64>,
    plain: Option<bool>,
) -> mlua::Result<MultiValue> {
    let (text, pattern) = (text.as_bytes(), pattern.as_bytes());
    let Some(from) = start(init, text.len()) else { return nothing() };
    if plain == Some(true) {
        let rest = text.get(from..).unwrap_or_default();
        let cost = rest.len().saturating_mul(pattern.len().div_ceil(16).max(1));
        if !budget.spend(cost as u64) {
            return Err(out_of_steps());
        }
        let at =
            if pattern.is_empty() { Some(0) } else { rest.windows(pattern.len()).position(|part| *part == *pattern) };
        return match at {
            None => nothing(),
            Some(at) => Ok(place(from + at, from + at + pattern.len()).into_iter().collect()),
        };
    }
    match search(&text, &pattern, from, budget)? {
        None => nothing(),
        Some(found) => {
            let mut values = place(found.start, found.end).to_vec();
            values.extend(captures(lua, &text, &found, false)?);
            Ok(values.into_iter().collect())
        }
    }
}

/// The first and last place, counted from 1.
fn place(start: usize, end: usize) -> [Value; 2] {
    [Value::Number((start + 1) as f64), Value::Number(end as f64)]
}

/// What a match captured; the whole of it when it has no captures and that is wanted.
fn captures(lua: &Lua, text: &[u8], found: &Match, or_whole: bool) -> mlua::Result<MultiValue> {
    let mut values = Vec::new();
    for capture in &found.captures {
        values.push(captured(lua, text, *capture)?);
    }
    if values.is_empty() && or_whole {
        values.push(whole(lua, text, found)?);
    }
    Ok(values.into_iter().collect())
}

fn whole(lua: &Lua, text: &[u8], found: &Match) -> mlua::Result<Value> {
    captured(lua, text, Capture::Text(found.start, found.end))
}

fn captured(lua: &Lua, text: &[u8], capture: Capture) -> mlua::Result<Value> {
    match capture {
        Capture::Text(start, end) => Ok(Value::String(lua.create_string(text.get(start..end).unwrap_or_default())?)),
        Capture::Position(place) => Ok(Value::Number((place + 1) as f64)),
        Capture::Open(_) => Err(Error::runtime("unfinished capture")),
    }
}

fn gmatch(lua: &Lua, budget: &Budget, text: LuaString, pattern: LuaString) -> mlua::Result<Function> {
    let budget = budget.clone();
    let from = std::cell::Cell::new(0_usize);
    lua.create_function(move |lua, _: MultiValue| {
        let (text, pattern) = (text.as_bytes(), pattern.as_bytes());
        if from.get() > text.len() {
            return nothing();
        }
        // Here `^` is no anchor, which would make a loop of one round.
        let found = match pattern.first() {
            Some(b'^') => search(&text, &[b"%", &*pattern].concat(), from.get(), &budget)?,
            _ => search(&text, &pattern, from.get(), &budget)?,
        };
        match found {
            None => {
                from.set(text.len() + 1);
                nothing()
            }
            Some(found) => {
                from.set(if found.end > found.start { found.end } else { found.end + 1 });
                captures(lua, &text, &found, true)
            }
        }
    })
}

fn gsub(
    lua: &Lua,
    budget: &Budget,
    text: &LuaString,
    pattern: &LuaString,
    with: &Value,
    most: Option<f64>,
) -> mlua::Result<MultiValue> {
    let (text, pattern) = (text.as_bytes(), pattern.as_bytes());
    let is_anchored = pattern.first() == Some(&b'^');
    let most = most.unwrap_or(f64::INFINITY);
    let mut result: Vec<u8> = Vec::new();
    let (mut from, mut count) = (0_usize, 0_u32);
    while f64::from(count) < most && from <= text.len() {
        let Some(found) = search(&text, &pattern, from, budget)? else { break };
        count += 1;
        result.extend_from_slice(text.get(from..found.start).unwrap_or_default());
        result.extend_from_slice(&replacement(lua, &text, &found, with)?);
        if found.end > found.start {
            from = found.end;
        } else {
            result.extend(text.get(found.end));
            from = found.end + 1;
        }
        if result.len() > RESULT_MAX || !budget.spend(found.start.saturating_sub(from) as u64 + 1) {
            return Err(out_of_steps());
        }
        if is_anchored {
            break;
        }
    }
    result.extend_from_slice(text.get(from..).unwrap_or_default());
    Ok(MultiValue::from_iter([Value::String(lua.create_string(result)?), Value::Number(f64::from(count))]))
}

fn replacement(lua: &Lua, text: &[u8], found: &Match, with: &Value) -> mlua::Result<Vec<u8>> {
    let original = || text.get(found.start..found.end).unwrap_or_default().to_vec();
    let first = || match found.captures.first() {
        Some(capture) => captured(lua, text, *capture),
        None => whole(lua, text, found),
    };
    let value = match with {
        Value::String(template) => return expand(lua, text, found, &template.as_bytes()),
        Value::Number(_) | Value::Integer(_) => with.clone(),
        Value::Table(table) => table.get(first()?)?,
        Value::Function(function) => function.call(captures(lua, text, found, true)?)?,
        other => {
            let name = other.type_name();
            return Err(Error::runtime(format!(
                "bad argument #3 to 'gsub' (string/function/table expected, got {name})"
            )));
        }
    };
    match &value {
        Value::Nil | Value::Boolean(false) => Ok(original()),
        value => bytes(lua, value),
    }
}

fn bytes(lua: &Lua, value: &Value) -> mlua::Result<Vec<u8>> {
    match lua.coerce_string(value.clone())? {
        Some(text) => Ok(text.as_bytes().to_vec()),
        None => Err(Error::runtime(format!("invalid replacement value (a {})", value.type_name()))),
    }
}

/// Fills in `%0` to `%9`.
fn expand(lua: &Lua, text: &[u8], found: &Match, template: &[u8]) -> mlua::Result<Vec<u8>> {
    let mut result = Vec::new();
    let mut rest = template.iter().copied();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            result.push(byte);
            continue;
        }
        match rest.next() {
            Some(b'0') => result.extend_from_slice(text.get(found.start..found.end).unwrap_or_default()),
            Some(digit @ b'1'..=b'9') => {
                let index = usize::from(digit - b'1');
                let value = match found.captures.get(index) {
                    Some(capture) => captured(lua, text, *capture)?,
                    None if index == 0 => whole(lua, text, found)?,
                    None => return Err(Error::runtime("invalid capture index")),
                };
                result.extend(bytes(lua, &value)?);
            }
            Some(other) => result.push(other),
            None => return Err(Error::runtime("invalid use of '%' in replacement string")),
        }
    }
    Ok(result)
}
