//! Reads what nearly every manifest and values file consists of: blocks of mappings and lists with scalars that end on
//! their line, and literal texts. It takes a fifth of the time of the whole parser, and it never guesses: where a text
//! has anything else in it, or anything wrong, it says nothing, and the whole parser reads it again.

use std::borrow::Cow;

use saphyr_parser::ScalarStyle;
use serde_json::{Map, Value};

use crate::limits::Limits;

use super::scalar::Scalar;

/// How deep blocks may nest here; deeper ones are left to the whole parser.
const DEPTH_MAX: usize = 48;
/// Longest key: the whole parser refuses keys from about a thousand characters on.
const KEY_BYTES_MAX: usize = 512;

/// Returns the first document of a text, or nothing when the whole parser has to read it.
pub(super) fn read(text: &str, limits: &Limits) -> Option<Value> {
    // A text has fewer values than bytes, and blocks of this depth are allowed by any sensible limit.
    let is_within = text.len() <= limits.values_max && DEPTH_MAX < limits.depth_max;
    if !is_within || text.bytes().any(|byte| matches!(byte, b'\t' | b'\r')) {
        return None;
    }
    let text = text.strip_prefix("---\n").unwrap_or(text);
    let mut reader = Reader { text, next: 0, line: None };
    reader.advance()?;
    let indent = reader.line?.indent;
    let value = reader.block(indent, DEPTH_MAX)?;
    reader.line.is_none().then_some(value)
}

/// A line with something on it, or the rest of one.
#[derive(Clone, Copy)]
struct Line<'a> {
    indent: usize,
    /// Without the spaces around it.
    content: &'a str,
}

struct Reader<'a> {
    text: &'a str,
    /// Where the line after the current one begins.
    next: usize,
    line: Option<Line<'a>>,
}

/// What a value belongs to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Parent {
    Mapping,
    List,
}

impl<'a> Reader<'a> {
    /// Takes the next line as it stands, and whether it ends with a break.
    fn take_line(&mut self) -> Option<(&'a str, bool)> {
        let rest = self.text.get(self.next..).filter(|rest| !rest.is_empty())?;
        let (line, has_break) = rest.split_once('\n').map_or((rest, false), |(line, _)| (line, true));
        self.next += line.len() + usize::from(has_break);
        Some((line, has_break))
    }

    /// Goes to the next line that has more than a comment on it.
    fn advance(&mut self) -> Option<()> {
        while let Some((line, _)) = self.take_line() {
            let content = line.trim_start_matches(' ');
            if content.is_empty() || content.starts_with('#') {
                continue;
            }
            let indent = line.len() - content.len();
            if indent == 0 && (content.starts_with("---") || content.starts_with("...")) {
                return None;
            }
            self.line = Some(Line { indent, content: content.trim_end_matches(' ') });
            return Some(());
        }
        self.line = None;
        Some(())
    }

    /// Reads a mapping or list whose lines begin at a column.
    fn block(&mut self, indent: usize, depth: usize) -> Option<Value> {
        if depth == 0 {
            return None;
        }
        if is_item(self.line?.content) { self.list(indent, depth) } else { self.mapping(indent, depth) }
    }

    fn mapping(&mut self, indent: usize, depth: usize) -> Option<Value> {
        let mut entries = Map::new();
        while let Some(line) = self.line.filter(|line| line.indent >= indent) {
            if line.indent > indent || is_item(line.content) {
                return None;
            }
            let (text, style, rest) = key_of(line.content)?;
            let key = Scalar { text: &text, style, tag: None }.key().ok()?;
            let value = self.value(rest, indent, depth, Parent::Mapping)?;
            entries.insert(key, value);
        }
        Some(Value::Object(entries))
    }

    fn list(&mut self, indent: usize, depth: usize) -> Option<Value> {
        let mut items = Vec::new();
        while let Some(line) = self.line.filter(|line| line.indent >= indent) {
            if line.indent > indent {
                return None;
            }
            // A list at the column of its key ends with the next key.
            let Some(after) = line.content.strip_prefix('-').filter(|_| is_item(line.content)) else { break };
            let rest = after.trim_start_matches(' ');
            items.push(if is_item(rest) || key_of(rest).is_some() {
                let inner = indent + 1 + (after.len() - rest.len());
                self.line = Some(Line { indent: inner, content: rest });
                self.block(inner, depth - 1)?
            } else {
                self.value(rest, indent, depth, Parent::List)?
            });
        }
        Some(Value::Array(items))
    }

    /// Reads what stands behind a key or dash, here or on the lines below.
    fn value(&mut self, rest: &'a str, indent: usize, depth: usize, parent: Parent) -> Option<Value> {
        if rest.is_empty() || rest.starts_with('#') {
            self.advance()?;
            return match self.line {
                Some(line) if line.indent > indent => self.block(line.indent, depth - 1),
                Some(line) if parent == Parent::Mapping && line.indent == indent && is_item(line.content) => {
                    (depth > 1).then(|| self.list(indent, depth - 1))?
                }
                _ => Some(Value::Null),
            };
        }
        let value = match rest.strip_prefix('|') {
            Some(header) => self.literal(header, indent)?,
            None => scalar(rest)?,
        };
        self.advance()?;
        Some(value)
    }

    /// Reads a literal text whose lines are behind a column.
    fn literal(&mut self, header: &str, outer: usize) -> Option<Value> {
        let keeps_last_break = match header {
            "" => true,
            "-" => false,
            _ => return None,
        };
        let mut text = String::new();
        let (mut inner, mut blank_lines) = (None, 0);
        loop {
            let before = self.next;
            let Some((line, has_break)) = self.take_line() else { break };
            let indent = line.len() - line.trim_start_matches(' ').len();
            if indent == line.len() {
                if indent > inner.unwrap_or(0) {
                    return None;
                }
                blank_lines += 1;
                continue;
            }
            match inner {
                None if indent > outer => inner = Some(indent),
                Some(inner) if indent >= inner => {}
                // Something between both columns is wrong; what is not behind the outer one belongs to others.
                _ if indent > outer => return None,
                _ => {
                    self.next = before;
                    break;
                }
            }
            // Readers differ about a last line without a break.
            if !has_break {
                return None;
            }
            text.extend(std::iter::repeat_n('\n', blank_lines));
            text.push_str(line.get(inner?..)?);
            text.push('\n');
            blank_lines = 0;
        }
        inner?;
        if !keeps_last_break {
            text.pop();
        }
        Some(Value::String(text))
    }
}

/// Whether a line begins with the dash of a list.
fn is_item(content: &str) -> bool {
    content == "-" || content.starts_with("- ")
}

/// Whether nothing but a comment follows a value.
fn is_end(rest: &str) -> bool {
    rest.is_empty() || (rest.starts_with(' ') && matches!(rest.trim_start_matches(' ').as_bytes(), [] | [b'#', ..]))
}

/// Whether a plain text may begin like this here; much more may, in truth.
fn begins_plain(text: &str) -> bool {
    match text.as_bytes() {
        [b'-', next, ..] => *next != b' ',
        [first, ..] => {
            first.is_ascii_alphanumeric() || matches!(first, b'_' | b'.' | b'/' | b'$' | b'(' | b'+' | b'=' | b'~')
        }
        [] => false,
    }
}

fn is_printable_ascii(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b' '..=b'~'))
}

/// Splits a line behind its key: the key, how it is written, and the rest without spaces before it.
fn key_of(content: &str) -> Option<(Cow<'_, str>, ScalarStyle, &str)> {
    if content.starts_with(['"', '\'']) {
        let (text, style, rest) = quoted(content)?;
        let rest = rest.strip_prefix(':').filter(|rest| rest.is_empty() || rest.starts_with(' '))?;
        let is_short = content.len() - rest.len() <= KEY_BYTES_MAX;
        return is_short.then(|| (text, style, rest.trim_start_matches(' ')));
    }
    let mut colons = content.match_indices(':').map(|(at, _)| at);
    let end = colons.find(|at| matches!(content.as_bytes().get(at + 1), None | Some(b' ')))?;
    let (key, rest) = (content.get(..end)?, content.get(end + 1..)?);
    let is_simple = begins_plain(key) && is_printable_ascii(key) && !key.ends_with(' ') && !key.contains(" #");
    let is_known = is_simple && key.len() <= KEY_BYTES_MAX;
    is_known.then(|| (Cow::Borrowed(key), ScalarStyle::Plain, rest.trim_start_matches(' ')))
}

/// Reads a value that ends on its line.
fn scalar(rest: &str) -> Option<Value> {
    if rest.starts_with('[') {
        return flow_list(rest);
    }
    if let Some(after) = rest.strip_prefix("{}") {
        return is_end(after).then(|| Value::Object(Map::new()));
    }
    if rest.starts_with(['"', '\'']) {
        let (text, _, after) = quoted(rest)?;
        return is_end(after).then(|| Value::String(text.into_owned()));
    }
    let text = rest.split_once(" #").map_or(rest, |(text, _)| text).trim_end_matches(' ');
    let is_simple = begins_plain(text) && is_printable_ascii(text) && !text.ends_with(':') && !text.contains(": ");
    if is_simple { plain(text) } else { None }
}

fn plain(text: &str) -> Option<Value> {
    Scalar { text, style: ScalarStyle::Plain, tag: None }.value_with_floats().ok()
}

/// Reads a text in quotes; returns what follows it.
fn quoted(content: &str) -> Option<(Cow<'_, str>, ScalarStyle, &str)> {
    if let Some(inner) = content.strip_prefix('\'') {
        let end = inner.find('\'')?;
        let (text, rest) = (inner.get(..end)?, inner.get(end + 1..)?);
        // A quote within is written twice.
        return (!rest.starts_with('\'')).then_some((Cow::Borrowed(text), ScalarStyle::SingleQuoted, rest));
    }
    let inner = content.strip_prefix('"')?;
    let mut text = Cow::Borrowed("");
    let mut rest = inner;
    loop {
        let at = rest.find(['"', '\\'])?;
        let (piece, after) = (rest.get(..at)?, rest.get(at + 1..)?);
        if matches!(&text, Cow::Borrowed("")) {
            text = Cow::Borrowed(piece);
        } else {
            text.to_mut().push_str(piece);
        }
        if rest.as_bytes().get(at) == Some(&b'"') {
            return Some((text, ScalarStyle::DoubleQuoted, after));
        }
        let escaped = match after.as_bytes().first()? {
            b'"' => '"',
            b'\\' => '\\',
            b'n' => '\n',
            b't' => '\t',
            _ => return None,
        };
        text.to_mut().push(escaped);
        rest = after.get(1..)?;
    }
}

/// Reads a list in brackets on one line, of quoted texts and words.
fn flow_list(rest: &str) -> Option<Value> {
    let mut items = Vec::new();
    let mut rest = rest.strip_prefix('[')?.trim_start_matches(' ');
    if let Some(after) = rest.strip_prefix(']') {
        return is_end(after).then_some(Value::Array(items));
    }
    loop {
        if rest.starts_with(['"', '\'']) {
            let (text, _, after) = quoted(rest)?;
            items.push(Value::String(text.into_owned()));
            rest = after;
        } else {
            let is_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '/' | '-');
            let end = rest.find(|c| !is_word(c))?;
            let (word, after) = rest.split_at_checked(end)?;
            if !word.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '/') {
                return None;
            }
            items.push(plain(word)?);
            rest = after;
        }
        rest = rest.trim_start_matches(' ');
        if let Some(after) = rest.strip_prefix(']') {
            return is_end(after).then_some(Value::Array(items));
        }
        rest = rest.strip_prefix(',')?.trim_start_matches(' ');
    }
}

#[cfg(test)]
mod tests;
