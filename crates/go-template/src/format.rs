//! Go's `fmt.Sprint`, `fmt.Sprintln` and `fmt.Sprintf` over template values.

mod field;
mod float;
mod verbs;

use field::{Case, Flags};
pub(crate) use float::format_float;

use crate::Str;
use crate::budget::{Budget, Exhausted};
use crate::value::{IntKind, Kind, List, Map, Object, Type, UintKind, Value};

/// How deep values are printed; what lies deeper is `...`.
const DEPTH_MAX: usize = 1_000;
const STACK_RED_ZONE: usize = 128 << 10;
const STACK_STEP: usize = 1 << 20;

/// `fmt.Sprint`: spaces only between operands that are both no strings.
///
/// # Errors
/// The budget ran out.
pub fn sprint(values: &[Value], budget: &mut Budget) -> Result<Str, Exhausted> {
    if let [Value::Str(text)] = values {
        return Ok(text.clone());
    }
    let mut out = Vec::new();
    Printer::new(&mut out, budget).sprint(values)?;
    Ok(out.into())
}

/// `fmt.Sprintln`: spaces between all operands and a newline.
///
/// # Errors
/// The budget ran out.
pub fn sprintln(values: &[Value], budget: &mut Budget) -> Result<Str, Exhausted> {
    let mut out = Vec::new();
    let mut printer = Printer::new(&mut out, budget);
    for (index, value) in values.iter().enumerate() {
        if index > 0 {
            printer.text(" ")?;
        }
        printer.argument(value, 'v')?;
    }
    printer.text("\n")?;
    Ok(out.into())
}

/// `fmt.Sprintf`
///
/// # Errors
/// The budget ran out.
pub fn sprintf(format: &[u8], values: &[Value], budget: &mut Budget) -> Result<Str, Exhausted> {
    let mut out = Vec::new();
    Printer::new(&mut out, budget).sprintf(format, values)?;
    Ok(out.into())
}

/// Returns the text of a float as `%v` prints it.
#[must_use]
pub fn float_text(value: f64) -> String {
    format_float(value, b'g', None)
}

/// Returns text in double quotes with escapes, as Go's `strconv.Quote` and `%q` write it.
#[must_use]
pub fn quoted(text: &[u8]) -> String {
    crate::quote::quote(text, crate::quote::Keep::Printable)
}

/// Returns a character in single quotes, as Go's `strconv.QuoteRune` writes it.
#[must_use]
pub fn quoted_char(character: char) -> String {
    crate::quote::quote_char(character, crate::quote::Keep::Printable)
}

/// Whether a character prints by Go's `unicode.IsPrint`.
#[must_use]
pub fn is_printable(character: char) -> bool {
    crate::unicode::is_printable(character)
}

/// Prints values into a buffer.
pub(crate) struct Printer<'a> {
    out: &'a mut Vec<u8>,
    budget: &'a mut Budget,
    flags: Flags,
    /// Whether a bad verb is being told of: methods are not asked then.
    is_erroring: bool,
}

impl<'a> Printer<'a> {
    pub(crate) fn new(out: &'a mut Vec<u8>, budget: &'a mut Budget) -> Self {
        Self { out, budget, flags: Flags::default(), is_erroring: false }
    }

    fn text(&mut self, text: &str) -> Result<(), Exhausted> {
        self.budget.produce(text.len())?;
        self.out.extend_from_slice(text.as_bytes());
        Ok(())
    }

    /// Writes what `print` lays out, after paying for `bytes` and the padding.
    fn laid_out(&mut self, bytes: usize, print: impl FnOnce(&Flags, &mut Vec<u8>)) -> Result<(), Exhausted> {
        let fill = self.flags.width.unwrap_or(0).saturating_add(self.flags.precision.unwrap_or(0));
        self.budget.produce(bytes.saturating_add(fill))?;
        print(&self.flags, self.out);
        Ok(())
    }

    pub(crate) fn sprint(&mut self, values: &[Value]) -> Result<(), Exhausted> {
        let mut was_string = false;
        for (index, value) in values.iter().enumerate() {
            let is_string = value.kind() == Kind::String;
            if index > 0 && !is_string && !was_string {
                self.text(" ")?;
            }
            self.argument(value, 'v')?;
            was_string = is_string;
        }
        Ok(())
    }

    /// Prints an operand.
    pub(crate) fn argument(&mut self, value: &Value, verb: char) -> Result<(), Exhausted> {
        match (verb, value) {
            ('T' | 'v', Value::Nil) => self.laid_out(5, |flags, out| flags.pad(out, b"<nil>")),
            (_, Value::Nil) => self.bad_verb(value, verb),
            ('T', _) => {
                let name = type_name(value);
                self.laid_out(name.len(), |flags, out| flags.string(out, name.as_bytes()))
            }
            ('p', _) => self.pointer(value),
            ('w', _) => self.bad_verb(value, verb),
            (_, Value::Bytes(bytes)) => self.bytes(value, bytes, verb, "[]byte"),
            _ => self.value(value, verb, 0),
        }
    }

    fn value(&mut self, value: &Value, verb: char, depth: usize) -> Result<(), Exhausted> {
        self.budget.step(1)?;
        match value {
            // An interface that holds nothing.
            Value::Nil if self.flags.sharp_v => self.text("interface {}(nil)"),
            Value::Nil => self.text("<nil>"),
            Value::Bool(truth) => match verb {
                't' | 'v' => {
                    let text: &[u8] = if *truth { b"true" } else { b"false" };
                    self.laid_out(5, |flags, out| flags.pad(out, text))
                }
                _ => self.bad_verb(value, verb),
            },
            Value::Int(number, _) => {
                let code = number.cast_unsigned();
                self.integer(value, (*number < 0, number.unsigned_abs()), code, verb)
            }
            Value::Uint(number, _) => self.integer(value, (false, *number), *number, verb),
            Value::Float(number) => self.float(value, *number, verb),
            Value::Str(text) => self.string(value, text, verb),
            Value::Bytes(bytes) => self.bytes(value, bytes, verb, "[]uint8"),
            Value::List(_) | Value::Map(_) | Value::Object(_) if depth >= DEPTH_MAX => self.text("..."),
            Value::List(list) => stacker::maybe_grow(STACK_RED_ZONE, STACK_STEP, || self.list(list, verb, depth)),
            Value::Map(map) => stacker::maybe_grow(STACK_RED_ZONE, STACK_STEP, || self.map(map, verb, depth)),
            Value::Object(object) => {
                stacker::maybe_grow(STACK_RED_ZONE, STACK_STEP, || self.object(value, object.as_ref(), verb, depth))
            }
        }
    }

    fn bad_verb(&mut self, value: &Value, verb: char) -> Result<(), Exhausted> {
        self.is_erroring = true;
        self.text("%!")?;
        self.text(verb.encode_utf8(&mut [0; 4]))?;
        self.text("(")?;
        if value.is_nil() {
            self.text("<nil>")?;
        } else {
            self.text(&type_name(value))?;
            self.text("=")?;
            self.argument(value, 'v')?;
        }
        self.is_erroring = false;
        self.text(")")
    }

    fn integer(&mut self, value: &Value, number: (bool, u64), code: u64, verb: char) -> Result<(), Exhausted> {
        let (radix, case) = match verb {
            'v' if self.flags.sharp_v && matches!(value, Value::Uint(..)) => return self.hexadecimal(code),
            'v' | 'd' => (10, Case::Lower),
            'b' => (2, Case::Lower),
            'o' | 'O' => (8, Case::Lower),
            'x' => (16, Case::Lower),
            'X' => (16, Case::Upper),
            'c' => return self.laid_out(4, |flags, out| flags.character(out, code)),
            'q' => return self.laid_out(12, |flags, out| flags.quoted_character(out, code)),
            'U' => return self.laid_out(24, |flags, out| flags.unicode(out, code)),
            _ => return self.bad_verb(value, verb),
        };
        self.laid_out(68, |flags, out| flags.integer(out, number, radix, verb, case))
    }

    /// Writes `0x...`, as addresses and unsigned numbers are printed by `%#v`.
    fn hexadecimal(&mut self, code: u64) -> Result<(), Exhausted> {
        self.laid_out(18, |flags, out| {
            Flags { sharp: true, ..*flags }.integer(out, (false, code), 16, 'v', Case::Lower);
        })
    }

    fn float(&mut self, value: &Value, number: f64, verb: char) -> Result<(), Exhausted> {
        let (verb, precision) = match verb {
            'v' => (b'g', None),
            'b' => (b'b', None),
            'g' => (b'g', None),
            'G' => (b'G', None),
            'x' => (b'x', None),
            'X' => (b'X', None),
            'f' | 'F' => (b'f', Some(6)),
            'e' => (b'e', Some(6)),
            'E' => (b'E', Some(6)),
            _ => return self.bad_verb(value, verb),
        };
        self.laid_out(330, |flags, out| flags.float(out, number, verb, precision))
    }

    fn string(&mut self, value: &Value, text: &Str, verb: char) -> Result<(), Exhausted> {
        let bytes = text.as_bytes();
        match verb {
            'v' if self.flags.sharp_v => self.laid_out(bytes.len() * 4 + 2, |flags, out| flags.quoted(out, bytes)),
            'v' | 's' => self.laid_out(bytes.len(), |flags, out| flags.string(out, bytes)),
            'q' => self.laid_out(bytes.len() * 4 + 2, |flags, out| flags.quoted(out, bytes)),
            'x' => self.laid_out(bytes.len() * 5, |flags, out| flags.hexadecimal_bytes(out, bytes, Case::Lower)),
            'X' => self.laid_out(bytes.len() * 5, |flags, out| flags.hexadecimal_bytes(out, bytes, Case::Upper)),
            _ => self.bad_verb(value, verb),
        }
    }

    fn bytes(&mut self, value: &Value, bytes: &Str, verb: char, type_name: &str) -> Result<(), Exhausted> {
        let is_sharp = self.flags.sharp_v;
        match verb {
            's' | 'x' | 'X' | 'q' => return self.string(value, bytes, verb),
            'v' | 'd' if is_sharp => self.text(&format!("{type_name}{{"))?,
            _ => self.text("[")?,
        }
        for (index, byte) in bytes.as_bytes().iter().enumerate() {
            if index > 0 {
                self.text(if is_sharp { ", " } else { " " })?;
            }
            match verb {
                'v' | 'd' if is_sharp => self.hexadecimal(u64::from(*byte))?,
                _ => self.value(&Value::Uint(u64::from(*byte), UintKind::Uint8), verb, 1)?,
            }
        }
        self.text(if is_sharp { "}" } else { "]" })
    }

    fn list(&mut self, list: &List, verb: char, depth: usize) -> Result<(), Exhausted> {
        let is_sharp = self.flags.sharp_v;
        if is_sharp {
            self.text(&list.list_type().to_string())?;
            if list.is_nil() {
                return self.text("(nil)");
            }
        }
        self.text(if is_sharp { "{" } else { "[" })?;
        for (index, item) in list.items().iter().enumerate() {
            if index > 0 {
                self.text(if is_sharp { ", " } else { " " })?;
            }
            self.value(item, verb, depth + 1)?;
        }
        self.text(if is_sharp { "}" } else { "]" })
    }

    fn map(&mut self, map: &Map, verb: char, depth: usize) -> Result<(), Exhausted> {
        let is_sharp = self.flags.sharp_v;
        if is_sharp {
            self.text(&map.map_type().to_string())?;
            if map.is_nil() {
                return self.text("(nil)");
            }
        }
        self.text(if is_sharp { "{" } else { "map[" })?;
        for (index, (key, item)) in map.borrow().iter().flat_map(|entries| entries.iter()).enumerate() {
            if index > 0 {
                self.text(if is_sharp { ", " } else { " " })?;
            }
            self.string(&Value::Str(key.clone()), key, verb)?;
            self.text(":")?;
            self.value(item, verb, depth + 1)?;
        }
        self.text(if is_sharp { "}" } else { "]" })
    }

    fn object(&mut self, value: &Value, object: &dyn Object, verb: char, depth: usize) -> Result<(), Exhausted> {
        let asks_text = matches!(verb, 'v' | 's' | 'x' | 'X' | 'q') && !self.flags.sharp_v && !self.is_erroring;
        if let Some(text) = object.text().filter(|_| asks_text) {
            return self.string(value, &text, verb);
        }
        if let Some(underlying) = object.underlying() {
            return self.value(&underlying, verb, depth + 1);
        }
        if object.kind() == Kind::Pointer && depth == 0 {
            self.text("&")?;
        }
        let is_sharp = self.flags.sharp_v;
        if is_sharp {
            self.text(object.object_type().to_string().trim_start_matches('*'))?;
        }
        self.text("{")?;
        for (index, (name, item)) in object.fields().into_iter().enumerate() {
            if index > 0 {
                self.text(if is_sharp { ", " } else { " " })?;
            }
            if is_sharp || self.flags.plus_v {
                self.text(name)?;
                self.text(":")?;
            }
            self.value(&item, verb, depth + 1)?;
        }
        self.text("}")
    }

    fn pointer(&mut self, value: &Value) -> Result<(), Exhausted> {
        let address = match value {
            Value::List(list) => list.address(),
            Value::Map(map) => map.address(),
            Value::Bytes(bytes) => bytes.as_bytes().as_ptr().addr(),
            Value::Object(object) if object.kind() == Kind::Pointer => {
                std::ptr::from_ref::<dyn Object>(object.as_ref()).addr()
            }
            _ => return self.bad_verb(value, 'p'),
        };
        let is_sharp = self.flags.sharp;
        self.laid_out(18, |flags, out| {
            Flags { sharp: !is_sharp, ..*flags }.integer(out, (false, address as u64), 16, 'v', Case::Lower);
        })
    }
}

/// Returns what `%T` prints.
fn type_name(value: &Value) -> String {
    value.go_type().map_or_else(|| "<nil>".to_owned(), Type::to_string)
}

/// Returns an `int` as far as a value of an integer type is one (`*` widths and precisions).
fn as_int(value: &Value) -> Option<i64> {
    match value {
        Value::Int(number, _) => Some(*number),
        Value::Uint(number, _) => i64::try_from(*number).ok(),
        Value::Object(object) => match (object.kind(), object.underlying()) {
            (Kind::Int(IntKind::Int | IntKind::Int64), Some(Value::Int(number, _))) => Some(number),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests;
