//! JSON as Go's `encoding/json` writes and reads it.

use crate::budget::Budget;
use crate::function::CallError;
use crate::value::{List, Map, Type, Value};

use super::encoding::BASE64;
use super::runes::{REPLACEMENT, runes};
use super::{floats, on_enough_stack};

/// How deep values may nest on their way to JSON.
const DEPTH_MAX: usize = 1_000;

/// How deep JSON may nest: Go's own limit is 10,000, but each level of ours is a frame of the stack.
const READ_DEPTH_MAX: usize = 1_000;

/// Whether `<`, `>` and `&` are escaped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Markup {
    Escaped,
    Raw,
}

/// Whether every entry has a line of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lines {
    One,
    Many,
}

struct Writer<'a> {
    text: Vec<u8>,
    budget: &'a mut Budget,
    markup: Markup,
    lines: Lines,
}

/// Writes a value as JSON.
pub(super) fn write(value: &Value, markup: Markup, lines: Lines, budget: &mut Budget) -> Result<Vec<u8>, CallError> {
    let mut writer = Writer { text: Vec::new(), budget, markup, lines };
    writer.value(value, 0)?;
    Ok(writer.text)
}

impl Writer<'_> {
    fn value(&mut self, value: &Value, depth: usize) -> Result<(), CallError> {
        self.budget.step(1)?;
        if depth > DEPTH_MAX {
            return Err(CallError::new(format!(
                "json: unsupported value: encountered a cycle or more than {DEPTH_MAX} levels"
            )));
        }
        match value {
            Value::Nil => self.put("null"),
            Value::Bool(value) => self.put(if *value { "true" } else { "false" }),
            Value::Int(number, _) => self.put(&number.to_string()),
            Value::Uint(number, _) => self.put(&number.to_string()),
            Value::Float(number) => {
                let shown = float_text(*number)?;
                self.put(&shown)
            }
            Value::Str(text) => self.string(text.as_bytes()),
            Value::Bytes(bytes) => self.string(&BASE64.encode(bytes.as_bytes())),
            Value::List(list) if list.is_nil() => self.put("null"),
            Value::Map(map) if map.is_nil() => self.put("null"),
            Value::List(list) => on_enough_stack(|| self.list(list, depth)),
            Value::Map(map) => on_enough_stack(|| self.map(map, depth)),
            Value::Object(object) => on_enough_stack(|| self.value(&object.json_value(), depth + 1)),
        }
    }

    fn put(&mut self, text: &str) -> Result<(), CallError> {
        self.budget.produce(text.len())?;
        self.text.extend_from_slice(text.as_bytes());
        Ok(())
    }

    fn new_line(&mut self, depth: usize) -> Result<(), CallError> {
        if self.lines == Lines::Many {
            self.put("\n")?;
            for _ in 0..depth {
                self.put("  ")?;
            }
        }
        Ok(())
    }

    fn list(&mut self, list: &List, depth: usize) -> Result<(), CallError> {
        if list.is_empty() {
            return self.put("[]");
        }
        self.put("[")?;
        for (place, item) in list.items().iter().enumerate() {
            if place > 0 {
                self.put(",")?;
            }
            self.new_line(depth + 1)?;
            self.value(item, depth + 1)?;
        }
        self.new_line(depth)?;
        self.put("]")
    }

    fn map(&mut self, map: &Map, depth: usize) -> Result<(), CallError> {
        let Some(entries) = map.borrow().filter(|entries| !entries.is_empty()) else { return self.put("{}") };
        self.put("{")?;
        for (place, (key, value)) in entries.iter().enumerate() {
            if place > 0 {
                self.put(",")?;
            }
            self.new_line(depth + 1)?;
            self.string(key.as_bytes())?;
            self.put(if self.lines == Lines::Many { ": " } else { ":" })?;
            self.value(value, depth + 1)?;
        }
        self.new_line(depth)?;
        self.put("}")
    }

    fn string(&mut self, text: &[u8]) -> Result<(), CallError> {
        self.budget.produce(text.len() + 2)?;
        self.text.push(b'"');
        let mut buffer = [0; 4];
        for (rune, bytes) in runes(text) {
            let escaped = match rune {
                '"' => "\\\"",
                '\\' => "\\\\",
                '\n' => "\\n",
                '\r' => "\\r",
                '\t' => "\\t",
                '\u{8}' => "\\b",
                '\u{c}' => "\\f",
                '<' | '>' | '&' if self.markup == Markup::Escaped => &format!("\\u{:04x}", rune as u32),
                '\0'..='\u{1F}' | '\u{2028}' | '\u{2029}' => &format!("\\u{:04x}", rune as u32),
                REPLACEMENT if bytes == 1 => "\\ufffd",
                _ => rune.encode_utf8(&mut buffer),
            };
            self.text.extend_from_slice(escaped.as_bytes());
        }
        self.text.push(b'"');
        Ok(())
    }
}

/// A float as Go's JSON has it: the shortest digits, an exponent only for very small and large ones.
fn float_text(number: f64) -> Result<String, CallError> {
    if !number.is_finite() {
        let name = if number.is_nan() {
            "NaN"
        } else if number > 0.0 {
            "+Inf"
        } else {
            "-Inf"
        };
        return Err(CallError::new(format!("json: unsupported value: {name}")));
    }
    Ok(floats::plain_or_exponent(number, -6..21, 1))
}

/// Reads JSON of any kind; every number is a float64.
pub(super) fn read(text: &[u8], budget: &mut Budget) -> Result<Value, CallError> {
    check(text, budget)?;
    let mut reader = Reader { text, place: 0, budget };
    reader.value()
}

fn wrong(message: impl Into<String>) -> CallError {
    CallError::new(message)
}

/// Finds the first byte that is no JSON, with what Go's scanner says of it.
fn check(text: &[u8], budget: &mut Budget) -> Result<(), CallError> {
    budget.step((text.len() / 8) as u64)?;
    let mut scanner = Scanner { stack: Vec::new(), state: State::BeginValue };
    for &byte in text {
        scanner.step(byte).map_err(wrong)?;
    }
    if scanner.is_complete() {
        return Ok(());
    }
    // Go looks whether a blank could follow, and complains of that first.
    scanner.step(b' ').map_err(wrong)?;
    Err(wrong("unexpected end of JSON input"))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Open {
    List,
    Key,
    Value,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    BeginValue,
    BeginValueOrEnd,
    BeginKeyOrEnd,
    BeginKey,
    End,
    InString,
    Escape,
    Unicode(u8),
    Negative,
    Zero,
    Digits,
    Point,
    Fraction,
    Exponent,
    ExponentSign,
    ExponentDigits,
    Word { word: &'static str, place: usize },
}

/// Go's JSON scanner: a state for each byte.
struct Scanner {
    stack: Vec<Open>,
    state: State,
}

impl Scanner {
    fn is_complete(&self) -> bool {
        // A number at the top ends with the text.
        self.stack.is_empty()
            && matches!(self.state, State::End | State::Zero | State::Digits | State::Fraction | State::ExponentDigits)
    }

    fn step(&mut self, byte: u8) -> Result<(), String> {
        let is_blank = matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
        let refuse = |context: &str| Err(format!("invalid character {} {context}", quote_byte(byte)));
        match self.state {
            State::BeginValue | State::BeginValueOrEnd | State::BeginKey | State::BeginKeyOrEnd | State::End
                if is_blank => {}
            State::BeginValueOrEnd if byte == b']' => return self.end(byte),
            State::BeginKeyOrEnd if byte == b'}' => {
                self.stack.pop();
                self.state = State::End;
            }
            State::BeginKeyOrEnd | State::BeginKey => {
                if byte != b'"' {
                    return refuse("looking for beginning of object key string");
                }
                self.state = State::InString;
            }
            State::BeginValue | State::BeginValueOrEnd => return self.begin(byte),
            State::End => return self.end(byte),
            State::InString => match byte {
                b'"' => self.state = State::End,
                b'\\' => self.state = State::Escape,
                0..=0x1F => return refuse("in string literal"),
                _ => {}
            },
            State::Escape => match byte {
                b'b' | b'f' | b'n' | b'r' | b't' | b'\\' | b'/' | b'"' => self.state = State::InString,
                b'u' => self.state = State::Unicode(0),
                _ => return refuse("in string escape code"),
            },
            State::Unicode(count) => {
                if !byte.is_ascii_hexdigit() {
                    return refuse("in \\u hexadecimal character escape");
                }
                self.state = if count == 3 { State::InString } else { State::Unicode(count + 1) };
            }
            State::Word { word, place } => {
                let Some(&expected) = word.as_bytes().get(place) else { return self.end(byte) };
                if byte != expected {
                    return refuse(&format!("in literal {word} (expecting {})", quote_byte(expected)));
                }
                self.state = if place + 1 == word.len() { State::End } else { State::Word { word, place: place + 1 } };
            }
            _ => return self.number(byte),
        }
        Ok(())
    }

    fn begin(&mut self, byte: u8) -> Result<(), String> {
        self.state = match byte {
            b'{' => {
                self.open(Open::Key)?;
                State::BeginKeyOrEnd
            }
            b'[' => {
                self.open(Open::List)?;
                State::BeginValueOrEnd
            }
            b'"' => State::InString,
            b'-' => State::Negative,
            b'0' => State::Zero,
            b'1'..=b'9' => State::Digits,
            b't' => State::Word { word: "true", place: 1 },
            b'f' => State::Word { word: "false", place: 1 },
            b'n' => State::Word { word: "null", place: 1 },
            _ => return Err(format!("invalid character {} looking for beginning of value", quote_byte(byte))),
        };
        Ok(())
    }

    fn open(&mut self, open: Open) -> Result<(), String> {
        if self.stack.len() >= READ_DEPTH_MAX {
            return Err("exceeded max depth".to_owned());
        }
        self.stack.push(open);
        Ok(())
    }

    /// What follows a whole value.
    fn end(&mut self, byte: u8) -> Result<(), String> {
        let refuse = |context: &str| Err(format!("invalid character {} {context}", quote_byte(byte)));
        if matches!(byte, b' ' | b'\t' | b'\r' | b'\n') {
            self.state = State::End;
            return Ok(());
        }
        let Some(open) = self.stack.last_mut() else { return refuse("after top-level value") };
        self.state = match (*open, byte) {
            (Open::Key, b':') => {
                *open = Open::Value;
                State::BeginValue
            }
            (Open::Value, b',') => {
                *open = Open::Key;
                State::BeginKey
            }
            (Open::List, b',') => State::BeginValue,
            (Open::Value, b'}') | (Open::List, b']') => {
                self.stack.pop();
                State::End
            }
            (Open::Key, _) => return refuse("after object key"),
            (Open::Value, _) => return refuse("after object key:value pair"),
            (Open::List, _) => return refuse("after array element"),
        };
        Ok(())
    }

    fn number(&mut self, byte: u8) -> Result<(), String> {
        let refuse = |context: &str| Err(format!("invalid character {} {context}", quote_byte(byte)));
        self.state = match (self.state, byte) {
            (State::Negative, b'0') => State::Zero,
            (State::Negative, b'1'..=b'9') => State::Digits,
            (State::Negative, _) => return refuse("in numeric literal"),
            (State::Digits, b'0'..=b'9') => State::Digits,
            (State::Zero | State::Digits, b'.') => State::Point,
            (State::Zero | State::Digits | State::Fraction, b'e' | b'E') => State::Exponent,
            (State::Point | State::Fraction, b'0'..=b'9') => State::Fraction,
            (State::Point, _) => return refuse("after decimal point in numeric literal"),
            (State::Exponent, b'+' | b'-') => State::ExponentSign,
            (State::Exponent | State::ExponentSign | State::ExponentDigits, b'0'..=b'9') => State::ExponentDigits,
            (State::Exponent | State::ExponentSign, _) => return refuse("in exponent of numeric literal"),
            _ => return self.end(byte),
        };
        Ok(())
    }
}

/// A byte in quotes, as a Go rune literal.
fn quote_byte(byte: u8) -> String {
    match byte {
        b'\'' => r"'\''".to_owned(),
        b'"' => "'\"'".to_owned(),
        _ => {
            let quoted = super::show::quoted(char::from(byte).encode_utf8(&mut [0; 4]).as_bytes());
            let quoted = String::from_utf8_lossy(&quoted).into_owned();
            format!("'{}'", quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default())
        }
    }
}

/// Reads text that is known to be JSON.
struct Reader<'a> {
    text: &'a [u8],
    place: usize,
    budget: &'a mut Budget,
}

impl Reader<'_> {
    fn peek(&mut self) -> u8 {
        while matches!(self.text.get(self.place), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.place += 1;
        }
        self.text.get(self.place).copied().unwrap_or(0)
    }

    fn take(&mut self) -> u8 {
        let byte = self.peek();
        self.place += 1;
        byte
    }

    fn value(&mut self) -> Result<Value, CallError> {
        self.budget.step(1)?;
        self.budget.produce(size_of::<Value>())?;
        Ok(match self.peek() {
            b'{' => {
                self.place += 1;
                let mut entries = std::collections::BTreeMap::new();
                while self.peek() != b'}' {
                    if self.peek() == b',' {
                        self.place += 1;
                    }
                    self.peek();
                    let key = self.string()?;
                    // The colon.
                    self.take();
                    let value = on_enough_stack(|| self.value())?;
                    entries.insert(key.into(), value);
                }
                self.place += 1;
                Value::Map(Map::of(Type::ANY_MAP, entries))
            }
            b'[' => {
                self.place += 1;
                let mut items = Vec::new();
                while self.peek() != b']' {
                    if self.peek() == b',' {
                        self.place += 1;
                    }
                    items.push(on_enough_stack(|| self.value())?);
                }
                self.place += 1;
                Value::List(List::new(items))
            }
            b'"' => Value::Str(self.string()?.into()),
            b't' => self.word(4, Value::Bool(true)),
            b'f' => self.word(5, Value::Bool(false)),
            b'n' => self.word(4, Value::Nil),
            _ => self.number()?,
        })
    }

    fn word(&mut self, bytes: usize, value: Value) -> Value {
        self.place += bytes;
        value
    }

    fn number(&mut self) -> Result<Value, CallError> {
        let rest = self.text.get(self.place..).unwrap_or_default();
        let end = rest.iter().position(|byte| !b"+-.eE0123456789".contains(byte)).unwrap_or(rest.len()).max(1);
        let shown = String::from_utf8_lossy(rest.get(..end).unwrap_or_default()).into_owned();
        self.place += end;
        match shown.parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(Value::Float(number)),
            _ => Err(wrong(format!("json: cannot unmarshal number {shown} into Go value of type float64"))),
        }
    }

    fn string(&mut self) -> Result<Vec<u8>, CallError> {
        self.place += 1;
        let mut read = Vec::new();
        while let Some(&byte) = self.text.get(self.place) {
            self.place += 1;
            match byte {
                b'"' => break,
                b'\\' => {
                    let escape = self.text.get(self.place).copied().unwrap_or(b'"');
                    self.place += 1;
                    match escape {
                        b'b' => read.push(8),
                        b'f' => read.push(12),
                        b'n' => read.push(b'\n'),
                        b'r' => read.push(b'\r'),
                        b't' => read.push(b'\t'),
                        b'u' => {
                            let rune = self.unicode();
                            read.extend_from_slice(rune.encode_utf8(&mut [0; 4]).as_bytes());
                        }
                        other => read.push(other),
                    }
                }
                other => read.push(other),
            }
        }
        self.budget.produce(read.len())?;
        // Wrong bytes are replaced, one for one.
        if std::str::from_utf8(&read).is_err() {
            read = super::runes::map(&read, |rune| rune);
        }
        Ok(read)
    }

    /// Four digits, and four more for the second half of a pair; a half alone is replaced.
    fn unicode(&mut self) -> char {
        let first = self.code_at(self.place);
        self.place += 4;
        if (0xD800..0xDC00).contains(&first) && self.text.get(self.place..self.place + 2) == Some(b"\\u") {
            let second = self.code_at(self.place + 2);
            if (0xDC00..0xE000).contains(&second) {
                self.place += 6;
                let code = 0x1_0000 + ((first - 0xD800) << 10) + (second - 0xDC00);
                return char::from_u32(code).unwrap_or(REPLACEMENT);
            }
        }
        char::from_u32(first).unwrap_or(REPLACEMENT)
    }

    fn code_at(&self, place: usize) -> u32 {
        let digits = self.text.get(place..place + 4).unwrap_or_default();
        digits.iter().fold(0, |code, &digit| code * 16 + char::from(digit).to_digit(16).unwrap_or(0))
    }
}
