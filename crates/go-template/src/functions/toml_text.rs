//! TOML as BurntSushi's encoder writes it, and read into values.

use super::data::as_map;
use super::{floats, on_enough_stack};
use crate::Str;
use crate::budget::Budget;
use crate::function::CallError;
use crate::value::{List, Map, Type, Value};

/// How deep tables may nest.
const DEPTH_MAX: usize = 1_000;

struct Writer<'a> {
    text: Vec<u8>,
    budget: &'a mut Budget,
}

/// Writes a value; a table's plain entries come before its tables.
pub(super) fn write(value: &Value, budget: &mut Budget) -> Result<Vec<u8>, CallError> {
    let mut writer = Writer { text: Vec::new(), budget };
    match value.underlying() {
        Value::Nil => return Err(CallError::new("reflect: call of reflect.Value.Type on zero Value")),
        Value::Map(map) => writer.table(&mut Vec::new(), &map)?,
        Value::List(list) if is_table_list(&list)? => {
            return Err(CallError::new("toml: top-level values must be Go maps or structs"));
        }
        other => writer.element(&other, 0)?,
    }
    Ok(writer.text)
}

fn is_table(value: &Value) -> bool {
    matches!(value, Value::Map(map) if !map.is_nil())
}

fn is_table_list(list: &List) -> Result<bool, CallError> {
    if list.items().iter().any(Value::is_nil) {
        return Err(CallError::new("toml: cannot encode array with nil element"));
    }
    Ok(!list.is_empty() && list.items().iter().all(is_table))
}

impl Writer<'_> {
    fn put(&mut self, text: &str) -> Result<(), CallError> {
        self.budget.produce(text.len())?;
        self.text.extend_from_slice(text.as_bytes());
        Ok(())
    }

    /// A new line, but never as the first thing.
    fn new_line(&mut self) -> Result<(), CallError> {
        if self.text.is_empty() { Ok(()) } else { self.put("\n") }
    }

    fn table(&mut self, path: &mut Vec<Str>, table: &Map) -> Result<(), CallError> {
        if path.len() > DEPTH_MAX {
            return Err(CallError::new(format!("tables nest deeper than {DEPTH_MAX} levels")));
        }
        let mut tables = Vec::new();
        for (key, value) in table.entries() {
            self.budget.step(1)?;
            let value = value.underlying();
            let is_sub = match &value {
                Value::Nil => continue,
                Value::Map(map) if map.is_nil() => continue,
                Value::List(list) if list.is_nil() => continue,
                Value::List(list) => is_table_list(list)?,
                other => is_table(other),
            };
            if is_sub {
                tables.push((key, value));
            } else {
                let indent = "  ".repeat(path.len());
                self.put(&format!("{indent}{} = ", key_text(&key)))?;
                self.element(&value, 0)?;
                self.put("\n")?;
            }
        }
        for (key, value) in tables {
            path.push(key);
            match &value {
                Value::Map(map) => {
                    if path.len() == 1 {
                        self.new_line()?;
                    }
                    self.header(path, "[", "]")?;
                    on_enough_stack(|| self.table(path, map))?;
                }
                Value::List(list) => {
                    for item in list.items() {
                        let Value::Map(map) = item else { continue };
                        self.new_line()?;
                        self.header(path, "[[", "]]")?;
                        on_enough_stack(|| self.table(path, map))?;
                    }
                }
                _ => {}
            }
            path.pop();
        }
        Ok(())
    }

    fn header(&mut self, path: &[Str], open: &str, close: &str) -> Result<(), CallError> {
        let indent = "  ".repeat(path.len().saturating_sub(1));
        let keys: Vec<String> = path.iter().map(key_text).collect();
        self.put(&format!("{indent}{open}{}{close}\n", keys.join(".")))
    }

    fn element(&mut self, value: &Value, depth: usize) -> Result<(), CallError> {
        self.budget.step(1)?;
        if depth > DEPTH_MAX {
            return Err(CallError::new(format!("values nest deeper than {DEPTH_MAX} levels")));
        }
        match value {
            Value::Nil => Ok(()),
            Value::Bool(value) => self.put(if *value { "true" } else { "false" }),
            Value::Int(number, _) => self.put(&number.to_string()),
            Value::Uint(number, _) => self.put(&number.to_string()),
            Value::Float(number) => self.put(&float_text(*number)),
            Value::Str(text) => self.put(&quoted(text)),
            Value::Bytes(bytes) => {
                let numbers: Vec<String> = bytes.as_bytes().iter().map(ToString::to_string).collect();
                self.put(&format!("[{}]", numbers.join(", ")))
            }
            Value::List(list) => {
                self.put("[")?;
                for (place, item) in list.items().iter().enumerate() {
                    if place > 0 {
                        self.put(", ")?;
                    }
                    if item.is_nil() {
                        return Err(CallError::new("toml: cannot encode array with nil element"));
                    }
                    on_enough_stack(|| self.element(item, depth + 1))?;
                }
                self.put("]")
            }
            Value::Map(map) => self.inline_table(map, depth),
            Value::Object(object) => match object.text() {
                Some(text) => self.put(&quoted(&text)),
                None => on_enough_stack(|| self.element(&object.json_value(), depth + 1)),
            },
        }
    }

    fn inline_table(&mut self, map: &Map, depth: usize) -> Result<(), CallError> {
        self.put("{")?;
        let (subs, direct): (Vec<_>, Vec<_>) = map.entries().into_iter().partition(|(_, value)| is_sub(value));
        let count = direct.len() + subs.len();
        for (place, (key, value)) in direct.into_iter().chain(subs).enumerate() {
            if value.is_nil() {
                continue;
            }
            self.put(&format!("{} = ", key_text(&key)))?;
            on_enough_stack(|| self.element(&value, depth + 1))?;
            if place + 1 < count {
                self.put(", ")?;
            }
        }
        self.put("}")
    }
}

fn is_sub(value: &Value) -> bool {
    match value {
        Value::List(list) => !list.is_empty() && list.items().iter().all(is_table),
        other => is_table(other),
    }
}

fn key_text(key: &Str) -> String {
    let is_bare = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    if !key.is_empty() && key.as_bytes().iter().all(is_bare) { key.to_str_lossy().into_owned() } else { quoted(key) }
}

fn quoted(text: &Str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.to_str_lossy().chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\u{8}' => quoted.push_str("\\b"),
            '\t' => quoted.push_str("\\t"),
            '\n' => quoted.push_str("\\n"),
            '\u{c}' => quoted.push_str("\\f"),
            '\r' => quoted.push_str("\\r"),
            '\0'..='\u{1F}' | '\u{7F}' => quoted.push_str(&format!("\\u{:04x}", c as u32)),
            _ => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// The shortest digits, with an exponent from a million on, and always a sign of being a float.
fn float_text(number: f64) -> String {
    if number.is_nan() {
        return "nan".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
    let text = floats::plain_or_exponent(number, -4..6, 2);
    if text.contains(['.', 'e']) { text } else { format!("{text}.0") }
}

/// Reads a document; integers are int64, dates are texts.
pub(super) fn read(text: &str, budget: &mut Budget) -> Result<Map, CallError> {
    budget.step(text.len() as u64)?;
    budget.produce(text.len().saturating_mul(4))?;
    let table: ::toml::Table = ::toml::from_str(text).map_err(|error| {
        let line = error.span().map_or(1, |span| 1 + text.get(..span.start).unwrap_or(text).matches('\n').count());
        CallError::new(format!("toml: line {line}: {}", error.message()))
    })?;
    as_map(table_value(table), "toml: cannot unmarshal", "map[string]interface {}")
}

fn table_value(table: ::toml::Table) -> Value {
    Value::Map(table.into_iter().map(|(key, value)| (key, value_of(value))).collect())
}

fn value_of(value: ::toml::Value) -> Value {
    match value {
        ::toml::Value::String(text) => text.into(),
        ::toml::Value::Integer(number) => Value::int64(number),
        ::toml::Value::Float(number) => Value::Float(number),
        ::toml::Value::Boolean(value) => Value::Bool(value),
        ::toml::Value::Datetime(date) => date.to_string().into(),
        ::toml::Value::Array(items) => {
            const TABLES: &Type = &Type::List(Type::ANY_MAP);
            let is_tables = !items.is_empty() && items.iter().all(::toml::Value::is_table);
            let items = items.into_iter().map(value_of).collect();
            Value::List(if is_tables { List::of(TABLES, items) } else { List::new(items) })
        }
        ::toml::Value::Table(table) => table_value(table),
    }
}
