//! JSON read by its own grammar: tabs as blanks and escaped surrogate pairs are JSON but not YAML.

use saphyr_parser::ScalarStyle;
use serde::de::IgnoredAny;

use crate::diagnostic::Diagnostic;

use super::build::{Builder, Mark};
use super::scalar::Scalar;
use super::to_u32;

/// Whether a text is one JSON mapping or list.
pub(super) fn is_json(text: &str) -> bool {
    text.trim_start_matches([' ', '\t', '\r', '\n']).starts_with(['{', '['])
        && serde_json::from_str::<IgnoredAny>(text).is_ok()
}

/// Feeds a text for which [`is_json`] holds to the builder.
pub(super) fn load(text: &str, builder: &mut Builder<'_>) -> Result<(), Diagnostic> {
    let mut cursor = Cursor { rest: text, line: 1, column: 1, index: 0 };
    cursor.skip_while(is_separator);
    builder.start_document(cursor.mark(0))?;
    // The text is valid, so separators carry no meaning and brackets are balanced.
    while let Some(c) = cursor.rest.chars().next() {
        let place = cursor.mark(1);
        match c {
            '{' => builder.start_mapping(0, None, place)?,
            '[' => builder.start_list(0, None, place)?,
            '}' | ']' => builder.end_collection()?,
            '"' => {
                let (token, place) = cursor.take(string_length(cursor.rest));
                let string: String = serde_json::from_str(token)
                    .map_err(|_| Diagnostic::new(place.line, place.column, "the string is not valid"))?;
                builder.scalar(&Scalar { text: &string, style: ScalarStyle::DoubleQuoted, tag: None }, 0, place)?;
                cursor.skip_while(is_separator);
                continue;
            }
            _ => {
                let end = cursor.rest.find(|c| is_separator(c) || matches!(c, ']' | '}')).unwrap_or(cursor.rest.len());
                let (token, place) = cursor.take(end);
                let scalar = Scalar { text: token, style: ScalarStyle::Plain, tag: None };
                if matches!(scalar.value(), Ok(serde_json::Value::String(_))) {
                    return Err(Diagnostic::new(
                        place.line,
                        place.column,
                        format!("the number `{token}` is too large"),
                    ));
                }
                builder.scalar(&scalar, 0, place)?;
                cursor.skip_while(is_separator);
                continue;
            }
        }
        cursor.take(1);
        cursor.skip_while(is_separator);
    }
    builder.end_document();
    Ok(())
}

fn is_separator(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n' | ',' | ':')
}

/// Bytes of the string that a text begins with, quotes included.
fn string_length(text: &str) -> usize {
    let mut is_escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

struct Cursor<'a> {
    rest: &'a str,
    line: u32,
    column: u32,
    index: u32,
}

impl<'a> Cursor<'a> {
    fn mark(&self, length: u32) -> Mark {
        Mark { line: self.line, column: self.column, start: self.index, end: self.index.saturating_add(length) }
    }

    /// Takes a token of so many bytes, which lies on one line.
    fn take(&mut self, bytes: usize) -> (&'a str, Mark) {
        let (token, rest) = self.rest.split_at_checked(bytes).unwrap_or((self.rest, ""));
        let length = to_u32(token.chars().count());
        let place = self.mark(length);
        self.rest = rest;
        self.column = self.column.saturating_add(length);
        self.index = self.index.saturating_add(length);
        (token, place)
    }

    fn skip_while(&mut self, is_skipped: fn(char) -> bool) {
        while let Some(c) = self.rest.chars().next().filter(|c| is_skipped(*c)) {
            self.rest = self.rest.get(c.len_utf8()..).unwrap_or_default();
            self.index = self.index.saturating_add(1);
            if c == '\n' {
                (self.line, self.column) = (self.line.saturating_add(1), 1);
            } else {
                self.column = self.column.saturating_add(1);
            }
        }
    }
}
