//! One formatted item: flags, width and precision, and how Go's fmt lays numbers and strings out in them.

use super::float::format_float;
use crate::quote::{Keep, can_backquote, quote, quote_char};
use crate::unicode;

/// The flags of one verb.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Flags {
    pub(super) width: Option<usize>,
    pub(super) precision: Option<usize>,
    pub(super) minus: bool,
    pub(super) plus: bool,
    pub(super) sharp: bool,
    pub(super) space: bool,
    pub(super) zero: bool,
    /// `%+v`
    pub(super) plus_v: bool,
    /// `%#v`
    pub(super) sharp_v: bool,
}

/// The letters of hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Case {
    Lower,
    Upper,
}

impl Case {
    fn digit(self, digit: u8) -> u8 {
        let digits: &[u8; 16] = if self == Self::Lower { b"0123456789abcdef" } else { b"0123456789ABCDEF" };
        digits.get(usize::from(digit & 15)).copied().unwrap_or(b'0')
    }

    fn x(self) -> u8 {
        if self == Self::Lower { b'x' } else { b'X' }
    }
}

impl Flags {
    fn write_padding(&self, out: &mut Vec<u8>, count: usize) {
        let byte = if self.zero && !self.minus { b'0' } else { b' ' };
        out.extend(std::iter::repeat_n(byte, count));
    }

    /// Writes text, filled up to the width.
    pub(super) fn pad(&self, out: &mut Vec<u8>, text: &[u8]) {
        let missing = match self.width {
            Some(width) if width > 0 => width.saturating_sub(unicode::char_count(text)),
            _ => 0,
        };
        if !self.minus {
            self.write_padding(out, missing);
        }
        out.extend_from_slice(text);
        if self.minus {
            self.write_padding(out, missing);
        }
    }

    /// Numbers bring their own zeros: their padding is always space.
    fn pad_with_space(&self, out: &mut Vec<u8>, text: &[u8]) {
        Self { zero: false, ..*self }.pad(out, text);
    }

    /// Returns text cut at the precision.
    fn truncated<'t>(&self, text: &'t [u8]) -> &'t [u8] {
        let end =
            self.precision.and_then(|precision| unicode::chars(text).nth(precision)).map(|(position, _, _)| position);
        end.and_then(|end| text.get(..end)).unwrap_or(text)
    }

    pub(super) fn string(&self, out: &mut Vec<u8>, text: &[u8]) {
        self.pad(out, self.truncated(text));
    }

    pub(super) fn quoted(&self, out: &mut Vec<u8>, text: &[u8]) {
        let text = self.truncated(text);
        if self.sharp && can_backquote(text) {
            let mut raw = Vec::with_capacity(text.len() + 2);
            raw.push(b'`');
            raw.extend_from_slice(text);
            raw.push(b'`');
            return self.pad(out, &raw);
        }
        self.pad(out, quote(text, self.keep()).as_bytes());
    }

    fn keep(&self) -> Keep {
        if self.plus { Keep::Ascii } else { Keep::Printable }
    }

    /// Writes bytes as hexadecimal digits.
    pub(super) fn hexadecimal_bytes(&self, out: &mut Vec<u8>, bytes: &[u8], case: Case) {
        let shown = self.precision.map_or(bytes, |precision| bytes.get(..precision).unwrap_or(bytes));
        if shown.is_empty() {
            return self.write_padding(out, self.width.unwrap_or(0));
        }
        let mut width = 2 * shown.len();
        if self.space {
            width = width * if self.sharp { 2 } else { 1 } + shown.len() - 1;
        } else if self.sharp {
            width += 2;
        }
        let missing = self.width.unwrap_or(0).saturating_sub(width);
        if !self.minus {
            self.write_padding(out, missing);
        }
        for (index, byte) in shown.iter().enumerate() {
            if self.space && index > 0 {
                out.push(b' ');
            }
            if self.sharp && (self.space || index == 0) {
                out.extend_from_slice(&[b'0', case.x()]);
            }
            out.extend_from_slice(&[case.digit(byte >> 4), case.digit(*byte)]);
        }
        if self.minus {
            self.write_padding(out, missing);
        }
    }

    /// Writes an integer; `negative` tells that the magnitude is below zero, `verb` only matters for `O`.
    pub(super) fn integer(
        &self,
        out: &mut Vec<u8>,
        (negative, magnitude): (bool, u64),
        radix: u8,
        verb: char,
        case: Case,
    ) {
        let mut least = 0;
        if let Some(precision) = self.precision {
            if precision == 0 && magnitude == 0 {
                let blank = Self { zero: false, ..*self };
                return blank.write_padding(out, self.width.unwrap_or(0));
            }
            least = precision;
        } else if let Some(width) = self.width.filter(|_| self.zero && !self.minus) {
            least = width - usize::from(width > 0 && (negative || self.plus || self.space));
        }
        // The digits are collected from the last to the first.
        let mut reversed = Vec::with_capacity(least.max(20) + 4);
        let (mut rest, radix_wide) = (magnitude, u64::from(radix));
        loop {
            reversed.push(case.digit(u8::try_from(rest % radix_wide).unwrap_or(0)));
            rest /= radix_wide;
            if rest == 0 {
                break;
            }
        }
        while reversed.len() < least {
            reversed.push(b'0');
        }
        if self.sharp {
            match radix {
                2 => reversed.extend_from_slice(b"b0"),
                8 if reversed.last() != Some(&b'0') => reversed.push(b'0'),
                16 => reversed.extend_from_slice(&[case.x(), b'0']),
                _ => {}
            }
        }
        if verb == 'O' {
            reversed.extend_from_slice(b"o0");
        }
        if negative {
            reversed.push(b'-');
        } else if self.plus {
            reversed.push(b'+');
        } else if self.space {
            reversed.push(b' ');
        }
        reversed.reverse();
        self.pad_with_space(out, &reversed);
    }

    /// `%U`
    pub(super) fn unicode(&self, out: &mut Vec<u8>, code: u64) {
        let digits = self.precision.unwrap_or(4).max(4);
        let mut text = format!("U+{code:0digits$X}");
        let character = u32::try_from(code).ok().and_then(char::from_u32);
        if let Some(character) = character.filter(|character| self.sharp && unicode::is_printable(*character)) {
            text.push_str(&format!(" '{character}'"));
        }
        self.pad_with_space(out, text.as_bytes());
    }

    /// `%c`
    pub(super) fn character(&self, out: &mut Vec<u8>, code: u64) {
        self.pad(out, character_of(code).encode_utf8(&mut [0; 4]).as_bytes());
    }

    /// `%q` of an integer
    pub(super) fn quoted_character(&self, out: &mut Vec<u8>, code: u64) {
        self.pad(out, quote_char(character_of(code), self.keep()).as_bytes());
    }

    pub(super) fn float(&self, out: &mut Vec<u8>, value: f64, verb: u8, precision: Option<usize>) {
        let precision = self.precision.or(precision);
        let mut number = format_float(value, verb, precision).into_bytes();
        if !matches!(number.first(), Some(b'+' | b'-')) {
            number.insert(0, b'+');
        }
        if self.space && number.first() == Some(&b'+') && !self.plus {
            number.splice(0..1, *b" ");
        }
        if matches!(number.get(1), Some(b'I' | b'N')) {
            if number.get(1) == Some(&b'N') && !self.space && !self.plus {
                number.remove(0);
            }
            return self.pad_with_space(out, &number);
        }
        if self.sharp && verb != b'b' {
            number = with_decimal_point(number, verb, precision);
        }
        if self.plus || number.first() != Some(&b'+') {
            let wide = self.width.filter(|width| self.zero && !self.minus && *width > number.len());
            if let (Some(width), Some((sign, digits))) = (wide, number.split_first()) {
                out.push(*sign);
                self.write_padding(out, width - number.len());
                out.extend_from_slice(digits);
                return;
            }
            return self.pad(out, &number);
        }
        self.pad(out, number.get(1..).unwrap_or(&[]));
    }
}

fn character_of(code: u64) -> char {
    u32::try_from(code).ok().and_then(char::from_u32).unwrap_or(unicode::REPLACEMENT)
}

/// Gives a number its decimal point and the zeros that `#` asks for.
fn with_decimal_point(number: Vec<u8>, verb: u8, precision: Option<usize>) -> Vec<u8> {
    let mut wanted = match verb {
        b'v' | b'g' | b'G' | b'x' => precision.map_or(6, |precision| i64::try_from(precision).unwrap_or(i64::MAX)),
        _ => 0,
    };
    let is_hexadecimal = matches!(verb, b'x' | b'X');
    let tail_start = number.iter().skip(1).position(|byte| match byte {
        b'p' | b'P' => true,
        b'e' | b'E' => !is_hexadecimal,
        _ => false,
    });
    let (head, tail) = number.split_at(tail_start.map_or(number.len(), |index| index + 1));
    let mut head = head.to_vec();
    let mut has_seen_digit = false;
    for byte in head.iter().skip(1).filter(|byte| **byte != b'.') {
        has_seen_digit |= *byte != b'0';
        wanted -= i64::from(has_seen_digit);
    }
    if !head.contains(&b'.') {
        // A lone zero counts as a digit.
        if head.len() == 2 && head.get(1) == Some(&b'0') {
            wanted -= 1;
        }
        head.push(b'.');
    }
    head.extend(std::iter::repeat_n(b'0', usize::try_from(wanted).unwrap_or(0)));
    head.extend_from_slice(tail);
    head
}
