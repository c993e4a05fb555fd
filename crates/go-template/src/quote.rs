//! Go's `strconv.Quote` and `strconv.Unquote`.

use std::borrow::Cow;
use std::fmt::Write as _;

use crate::unicode;

/// Which characters a quotation leaves as they are.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keep {
    /// All that can be printed.
    Printable,
    /// Only ASCII.
    Ascii,
}

/// `strconv.Quote` and `strconv.QuoteToASCII`
pub(crate) fn quote(bytes: &[u8], keep: Keep) -> String {
    let mut text = String::with_capacity(bytes.len() + 2);
    text.push('"');
    for (position, character, width) in unicode::chars(bytes) {
        if character == unicode::REPLACEMENT && width == 1 {
            let byte = bytes.get(position).copied().unwrap_or_default();
            write_hex(&mut text, 'x', 2, u32::from(byte));
        } else {
            escape(&mut text, character, '"', keep);
        }
    }
    text.push('"');
    text
}

/// `strconv.QuoteRune` and `strconv.QuoteRuneToASCII`
pub(crate) fn quote_char(character: char, keep: Keep) -> String {
    let mut text = String::from("'");
    escape(&mut text, character, '\'', keep);
    text.push('\'');
    text
}

fn escape(text: &mut String, character: char, delimiter: char, keep: Keep) {
    match character {
        '\\' => text.push_str("\\\\"),
        _ if character == delimiter => {
            text.push('\\');
            text.push(character);
        }
        _ if character.is_ascii() && unicode::is_printable(character) => text.push(character),
        _ if keep == Keep::Printable && unicode::is_printable(character) => text.push(character),
        '\u{7}' => text.push_str("\\a"),
        '\u{8}' => text.push_str("\\b"),
        '\u{c}' => text.push_str("\\f"),
        '\n' => text.push_str("\\n"),
        '\r' => text.push_str("\\r"),
        '\t' => text.push_str("\\t"),
        '\u{b}' => text.push_str("\\v"),
        _ if u32::from(character) < 0x20 || character == '\u{7f}' => write_hex(text, 'x', 2, u32::from(character)),
        _ if u32::from(character) < 0x1_0000 => write_hex(text, 'u', 4, u32::from(character)),
        _ => write_hex(text, 'U', 8, u32::from(character)),
    }
}

fn write_hex(text: &mut String, letter: char, digits: usize, code: u32) {
    // Writing to a string can't fail.
    let _ = write!(text, "\\{letter}{code:0digits$x}");
}

/// `strconv.CanBackquote`
pub(crate) fn can_backquote(bytes: &[u8]) -> bool {
    unicode::chars(bytes).all(|(_, character, width)| match character {
        '\u{feff}' | '`' | '\u{7f}' => false,
        unicode::REPLACEMENT => width > 1,
        '\t' => true,
        other => other >= ' ',
    })
}

/// Text in quotes that doesn't follow Go's syntax.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("invalid syntax")]
pub(crate) struct BadQuotes;

/// `strconv.Unquote` of a double-quoted or back-quoted text.
pub(crate) fn unquote(quoted: &[u8]) -> Result<Cow<'_, [u8]>, BadQuotes> {
    let (first, last) = (quoted.first(), quoted.last());
    let inner = quoted.get(1..quoted.len().saturating_sub(1)).ok_or(BadQuotes)?;
    if quoted.len() < 2 || first != last {
        return Err(BadQuotes);
    }
    match first {
        Some(b'`') if inner.contains(&b'`') => Err(BadQuotes),
        // Carriage returns are no part of a raw string, as in Go's source.
        Some(b'`') if memchr::memchr(b'\r', inner).is_none() => Ok(Cow::Borrowed(inner)),
        Some(b'`') => Ok(inner.iter().copied().filter(|byte| *byte != b'\r').collect::<Vec<u8>>().into()),
        Some(b'"') if inner.contains(&b'\n') => Err(BadQuotes),
        Some(b'"') if memchr::memchr2(b'"', b'\\', inner).is_none() => Ok(Cow::Borrowed(inner)),
        Some(b'"') => {
            let mut bytes = Vec::with_capacity(inner.len());
            let mut rest = inner;
            while !rest.is_empty() {
                let (piece, after) = unquote_one(rest, b'"')?;
                match piece {
                    Piece::Byte(byte) => bytes.push(byte),
                    Piece::Char(character) => bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
                }
                rest = after;
            }
            Ok(Cow::Owned(bytes))
        }
        _ => Err(BadQuotes),
    }
}

/// What one unit of a quoted text stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Piece {
    /// A byte, by `\x` or an octal escape, or one that is no UTF-8.
    Byte(u8),
    /// A character.
    Char(char),
}

impl Piece {
    /// Returns the code of the character or byte.
    pub(crate) fn code(self) -> u32 {
        match self {
            Self::Byte(byte) => u32::from(byte),
            Self::Char(character) => u32::from(character),
        }
    }
}

/// `strconv.UnquoteChar`: the first unit and what follows it.
pub(crate) fn unquote_one(bytes: &[u8], quote: u8) -> Result<(Piece, &[u8]), BadQuotes> {
    let (character, width) = unicode::first_char(bytes).ok_or(BadQuotes)?;
    let after = bytes.get(width..).unwrap_or(&[]);
    if character == char::from(quote) {
        return Err(BadQuotes);
    }
    if character != '\\' {
        let invalid = character == unicode::REPLACEMENT && width == 1;
        let piece = match bytes.first() {
            Some(byte) if invalid => Piece::Byte(*byte),
            _ => Piece::Char(character),
        };
        return Ok((piece, after));
    }
    let (letter, after) = after.split_first().ok_or(BadQuotes)?;
    let character = match letter {
        b'a' => '\u{7}',
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'v' => '\u{b}',
        b'\\' => '\\',
        b'\'' | b'"' if *letter == quote => char::from(quote),
        b'x' => return byte_escape(after, 2, 16, 0),
        b'0'..=b'7' => return byte_escape(after, 2, 8, u32::from(*letter - b'0')),
        b'u' => return char_escape(after, 4),
        b'U' => return char_escape(after, 8),
        _ => return Err(BadQuotes),
    };
    Ok((Piece::Char(character), after))
}

fn digits(bytes: &[u8], count: usize, radix: u32, start: u32) -> Result<(u32, &[u8]), BadQuotes> {
    let (head, after) = bytes.split_at_checked(count).ok_or(BadQuotes)?;
    let code = head.iter().try_fold(start, |code, byte| {
        let digit = char::from(*byte).to_digit(radix)?;
        code.checked_mul(radix)?.checked_add(digit)
    });
    Ok((code.ok_or(BadQuotes)?, after))
}

fn byte_escape(bytes: &[u8], count: usize, radix: u32, start: u32) -> Result<(Piece, &[u8]), BadQuotes> {
    let (code, after) = digits(bytes, count, radix, start)?;
    Ok((Piece::Byte(u8::try_from(code).map_err(|_| BadQuotes)?), after))
}

fn char_escape(bytes: &[u8], count: usize) -> Result<(Piece, &[u8]), BadQuotes> {
    let (code, after) = digits(bytes, count, 16, 0)?;
    Ok((Piece::Char(char::from_u32(code).ok_or(BadQuotes)?), after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_are_those_of_go() {
        for (bytes, printable, ascii) in [
            (b"a\"b".as_slice(), r#""a\"b""#, r#""a\"b""#),
            (b"\xff\x07\n", r#""\xff\a\n""#, r#""\xff\a\n""#),
            ("é\u{a0}\u{10ffff}".as_bytes(), "\"é\\u00a0\\U0010ffff\"", r#""\u00e9\u00a0\U0010ffff""#),
            ("\u{fffd}\u{7f}".as_bytes(), "\"\u{fffd}\\x7f\"", r#""\ufffd\x7f""#),
        ] {
            assert_eq!(quote(bytes, Keep::Printable), printable);
            assert_eq!(quote(bytes, Keep::Ascii), ascii);
        }
    }

    #[test]
    fn what_is_quoted_is_unquoted() {
        for text in ["", "a b", "\"\\\n\u{e9}", "\u{10ffff}"] {
            assert_eq!(unquote(quote(text.as_bytes(), Keep::Ascii).as_bytes()), Ok(text.as_bytes().into()));
        }
        assert_eq!(unquote(br#""\xff\101\u00e9""#), Ok(b"\xffA\xc3\xa9".into()));
        for bad in [r#""\'""#, r#""\8""#, r#""\ud800""#, "\"a", "a", "\"", r#""\400""#, "\"\\u12\""] {
            assert_eq!(unquote(bad.as_bytes()), Err(BadQuotes), "{bad}");
        }
    }
}
