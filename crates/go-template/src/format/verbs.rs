//! The language of format strings: `%[1]*.2f` and its mistakes.

use super::field::Flags;
use super::{Printer, as_int, type_name};
use crate::budget::Exhausted;
use crate::unicode;
use crate::value::Value;

/// Widths, precisions and argument numbers beyond this are refused, as Go does.
const NUMBER_MAX: i64 = 1_000_000;

/// Where the reading of a format stands.
struct Reader<'f> {
    format: &'f [u8],
    position: usize,
    values: &'f [Value],
    next_value: usize,
    /// Whether the item just read was an index like `[3]`.
    is_after_index: bool,
    /// Whether any index occurred.
    is_reordered: bool,
    /// Whether the indexes of the current verb are right.
    has_good_index: bool,
}

impl Reader<'_> {
    fn byte(&self) -> Option<u8> {
        self.format.get(self.position).copied()
    }

    /// Reads a decimal number.
    fn number(&mut self) -> Option<i64> {
        let digits = self.format.get(self.position..).unwrap_or(&[]);
        match parse_number(digits) {
            Number::None => None,
            Number::TooLarge => {
                self.position = self.format.len();
                None
            }
            Number::Some(number, length) => {
                self.position += length;
                Some(number)
            }
        }
    }

    /// Reads `[3]`.
    fn index(&mut self) {
        if self.byte() != Some(b'[') {
            self.is_after_index = false;
            return;
        }
        self.is_reordered = true;
        let rest = self.format.get(self.position..).unwrap_or(&[]);
        let close = rest.iter().position(|byte| *byte == b']').filter(|_| rest.len() >= 3);
        let Some(close) = close else {
            self.has_good_index = false;
            self.position += 1;
            self.is_after_index = false;
            return;
        };
        self.position += close + 1;
        let inner = rest.get(1..close).unwrap_or(&[]);
        let number = match parse_number(inner) {
            Number::Some(number, length) if length == inner.len() => Some(number - 1),
            _ => None,
        };
        let index = number.and_then(|number| usize::try_from(number).ok()).filter(|index| *index < self.values.len());
        self.is_after_index = number.is_some();
        match index {
            Some(index) => self.next_value = index,
            None => self.has_good_index = false,
        }
    }

    /// Takes an argument for `*`.
    fn star(&mut self) -> Option<i64> {
        let value = self.values.get(self.next_value)?;
        self.next_value += 1;
        as_int(value).filter(|number| number.abs() <= NUMBER_MAX)
    }
}

enum Number {
    None,
    TooLarge,
    Some(i64, usize),
}

fn parse_number(bytes: &[u8]) -> Number {
    let mut number: i64 = 0;
    let mut length = 0;
    for byte in bytes.iter().take_while(|byte| byte.is_ascii_digit()) {
        if number > NUMBER_MAX {
            return Number::TooLarge;
        }
        number = number * 10 + i64::from(byte - b'0');
        length += 1;
    }
    if length == 0 { Number::None } else { Number::Some(number, length) }
}

impl Printer<'_> {
    pub(crate) fn sprintf(&mut self, format: &[u8], values: &[Value]) -> Result<(), Exhausted> {
        let mut reader = Reader {
            format,
            position: 0,
            values,
            next_value: 0,
            is_after_index: false,
            is_reordered: false,
            has_good_index: true,
        };
        while reader.position < format.len() {
            let rest = format.get(reader.position..).unwrap_or(&[]);
            let plain = rest.iter().position(|byte| *byte == b'%').unwrap_or(rest.len());
            self.budget.step(1)?;
            self.budget.produce(plain)?;
            self.out.extend_from_slice(rest.get(..plain).unwrap_or(rest));
            reader.position += plain;
            if reader.position >= format.len() {
                break;
            }
            reader.position += 1;
            self.flags = Flags::default();
            reader.has_good_index = true;
            if !self.verb(&mut reader)? {
                break;
            }
        }
        if !reader.is_reordered {
            self.extra(values.get(reader.next_value..).unwrap_or(&[]))?;
        }
        self.flags = Flags::default();
        Ok(())
    }

    /// Prints one verb. Returns whether there is one.
    fn verb(&mut self, reader: &mut Reader<'_>) -> Result<bool, Exhausted> {
        if self.simple_flags(reader)? {
            return Ok(true);
        }
        reader.index();
        self.width(reader)?;
        self.precision(reader)?;
        if !reader.is_after_index {
            reader.index();
        }
        let Some((verb, length)) = unicode::first_char(reader.format.get(reader.position..).unwrap_or(&[])) else {
            self.text("%!(NOVERB)")?;
            return Ok(false);
        };
        reader.position += length;
        if verb == '%' {
            self.text("%")?;
        } else if !reader.has_good_index {
            self.text(&format!("%!{verb}(BADINDEX)"))?;
        } else if let Some(value) = reader.values.get(reader.next_value) {
            self.shift_flags(verb);
            self.argument(value, verb)?;
            reader.next_value += 1;
        } else {
            self.text(&format!("%!{verb}(MISSING)"))?;
        }
        Ok(true)
    }

    /// Reads flags. When a plain verb follows at once it is printed.
    fn simple_flags(&mut self, reader: &mut Reader<'_>) -> Result<bool, Exhausted> {
        while let Some(byte) = reader.byte() {
            match byte {
                b'#' => self.flags.sharp = true,
                b'0' => self.flags.zero = true,
                b'+' => self.flags.plus = true,
                b'-' => self.flags.minus = true,
                b' ' => self.flags.space = true,
                b'a'..=b'z' => {
                    let Some(value) = reader.values.get(reader.next_value) else { return Ok(false) };
                    let verb = char::from(byte);
                    self.shift_flags(verb);
                    self.argument(value, verb)?;
                    reader.next_value += 1;
                    reader.position += 1;
                    return Ok(true);
                }
                _ => return Ok(false),
            }
            reader.position += 1;
        }
        Ok(false)
    }

    /// For `%v` the flags `#` and `+` mean another notation, not another layout.
    fn shift_flags(&mut self, verb: char) {
        if matches!(verb, 'v' | 'w') {
            self.flags.sharp_v = std::mem::take(&mut self.flags.sharp);
            self.flags.plus_v = std::mem::take(&mut self.flags.plus);
        }
    }

    fn width(&mut self, reader: &mut Reader<'_>) -> Result<(), Exhausted> {
        if reader.byte() == Some(b'*') {
            reader.position += 1;
            let width = reader.star();
            if width.is_none() {
                self.text("%!(BADWIDTH)")?;
            }
            if width.is_some_and(|width| width < 0) {
                self.flags.minus = true;
                self.flags.zero = false;
            }
            self.flags.width = width.and_then(|width| usize::try_from(width.unsigned_abs()).ok());
            reader.is_after_index = false;
        } else {
            self.flags.width = reader.number().and_then(|width| usize::try_from(width).ok());
            if reader.is_after_index && self.flags.width.is_some() {
                reader.has_good_index = false;
            }
        }
        Ok(())
    }

    fn precision(&mut self, reader: &mut Reader<'_>) -> Result<(), Exhausted> {
        if reader.byte() != Some(b'.') || reader.position + 1 >= reader.format.len() {
            return Ok(());
        }
        reader.position += 1;
        if reader.is_after_index {
            reader.has_good_index = false;
        }
        reader.index();
        if reader.byte() == Some(b'*') {
            reader.position += 1;
            self.flags.precision = reader.star().and_then(|precision| usize::try_from(precision).ok());
            if self.flags.precision.is_none() {
                self.text("%!(BADPREC)")?;
            }
            reader.is_after_index = false;
        } else {
            self.flags.precision =
                Some(reader.number().and_then(|precision| usize::try_from(precision).ok()).unwrap_or(0));
        }
        Ok(())
    }

    /// Tells of operands that no verb has used.
    fn extra(&mut self, values: &[Value]) -> Result<(), Exhausted> {
        if values.is_empty() {
            return Ok(());
        }
        self.flags = Flags::default();
        self.text("%!(EXTRA ")?;
        for (index, value) in values.iter().enumerate() {
            if index > 0 {
                self.text(", ")?;
            }
            if value.is_nil() {
                self.text("<nil>")?;
            } else {
                self.text(&type_name(value))?;
                self.text("=")?;
                self.argument(value, 'v')?;
            }
        }
        self.text(")")
    }
}
