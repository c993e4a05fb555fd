//! The text before the parser sees it: encoding, size, and the parts that are read on after a fault.

use crate::diagnostic::Diagnostic;
use crate::limits::Limits;

use super::quoted::Moved;
use super::to_u32;

/// Checks size, encoding and characters and drops a byte order mark.
pub(super) fn decode<'a>(bytes: &'a [u8], limits: &Limits) -> Result<&'a str, Diagnostic> {
    let text = decode_text(bytes, limits)?;
    match forbidden_character(text, true) {
        Some(diagnostic) => Err(diagnostic),
        None => Ok(text),
    }
}

/// As [`decode`], but takes the line breaks that only some readers know.
pub(super) fn decode_leniently<'a>(bytes: &'a [u8], limits: &Limits) -> Result<&'a str, Diagnostic> {
    let text = decode_text(bytes, limits)?;
    match forbidden_character(text, false) {
        Some(_) => Err(Diagnostic::new(0, 0, "control characters are not allowed")),
        None => Ok(text),
    }
}

fn decode_text<'a>(bytes: &'a [u8], limits: &Limits) -> Result<&'a str, Diagnostic> {
    if bytes.len() > limits.bytes_max {
        let message = format!("the text has {} bytes, at most {} are read", bytes.len(), limits.bytes_max);
        return Err(Diagnostic::new(1, 1, message).with_hint("split the file"));
    }
    if matches!(bytes, [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..]) {
        return Err(Diagnostic::new(1, 1, "the text is UTF-16, not UTF-8").with_hint("save the file as UTF-8"));
    }
    let text = std::str::from_utf8(bytes).map_err(|error| not_utf8(bytes, error.valid_up_to()))?;
    Ok(text.strip_prefix('\u{FEFF}').unwrap_or(text))
}

fn not_utf8(bytes: &[u8], offset: usize) -> Diagnostic {
    let before = bytes.get(..offset).unwrap_or_default();
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    let line_start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let column = String::from_utf8_lossy(before.get(line_start..).unwrap_or_default()).chars().count() + 1;
    let byte = bytes.get(offset).copied().unwrap_or_default();
    let message = format!("the text is not UTF-8: byte 0x{byte:02x} at offset {offset}");
    Diagnostic::new(to_u32(line), to_u32(column), message).with_hint("save the file as UTF-8")
}

/// Finds the first character that YAML forbids, or that is a line break for YAML 1.1 readers only.
fn forbidden_character(text: &str, with_breaks: bool) -> Option<Diagnostic> {
    let is_control = |c: char| {
        matches!(c, '\0'..='\u{8}' | '\u{B}' | '\u{C}' | '\u{E}'..='\u{1F}' | '\u{7F}'..='\u{84}' | '\u{86}'..='\u{9F}')
            || matches!(c, '\u{FFFE}' | '\u{FFFF}')
    };
    let is_break = |c: char| with_breaks && matches!(c, '\u{85}' | '\u{2028}' | '\u{2029}');
    // One pass over the bytes is enough for nearly every text: only these lead bytes can begin such a character.
    let is_suspect =
        |byte: u8| (byte < 0x20 && !matches!(byte, b'\t' | b'\n' | b'\r')) || matches!(byte, 0x7F | 0xC2 | 0xE2 | 0xEF);
    if !text.bytes().any(is_suspect) {
        return None;
    }
    let (offset, found) = text.char_indices().find(|(_, c)| is_control(*c) || is_break(*c))?;
    let before = text.get(..offset).unwrap_or_default();
    let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    let code = u32::from(found);
    let message = if is_break(found) {
        format!("U+{code:04X} breaks the line for some readers and not for others")
    } else {
        format!("control character U+{code:04X} is not allowed")
    };
    Some(
        Diagnostic::new(to_u32(line), to_u32(column), message)
            .with_hint("write it as an escape in a double-quoted string"),
    )
}

/// A rest of the text that is parsed on its own; places are still those of the whole text.
pub(super) struct Part<'a> {
    text: &'a str,
    lines_before: u32,
    characters_before: u32,
    /// What was moved in the whole text, when something was.
    moved: Option<&'a Moved>,
}

impl<'a> Part<'a> {
    pub(super) fn whole(text: &'a str) -> Self {
        Self { text, lines_before: 0, characters_before: 0, moved: None }
    }

    /// The whole of a text in which lines were moved; places are those of the text as it was.
    pub(super) fn moved(moved: &'a Moved) -> Self {
        Self { moved: Some(moved), ..Self::whole(&moved.text) }
    }

    pub(super) fn text(&self) -> &'a str {
        self.text
    }

    pub(super) fn line(&self, line: usize) -> u32 {
        self.lines_before.saturating_add(to_u32(line))
    }

    pub(super) fn index(&self, index: usize) -> u32 {
        let index = self.characters_before.saturating_add(to_u32(index));
        match self.moved {
            Some(moved) => to_u32(moved.index(usize::try_from(index).unwrap_or(usize::MAX))),
            None => index,
        }
    }

    /// The column from 1, for a line of this part from 1 and a column from 0.
    pub(super) fn column(&self, line: usize, column: usize) -> u32 {
        let whole = usize::try_from(self.line(line)).unwrap_or(usize::MAX).saturating_sub(1);
        to_u32(self.moved.map_or(column, |moved| moved.column(whole, column)) + 1)
    }

    /// The part that begins at the first `---` line at or below `line` of the whole text, but not where this part began.
    ///
    /// The parser finds an unclosed list only at the `---` of the next document, so that line counts.
    pub(super) fn next_document_from(&self, line: u32) -> Option<Self> {
        let skip = usize::try_from(line.checked_sub(self.lines_before)?).ok()?.saturating_sub(1).max(1);
        let mut offset = 0;
        for (at, text) in self.text.split_inclusive('\n').enumerate() {
            if at >= skip && is_document_start(text) {
                let (before, rest) = self.text.split_at(offset);
                return Some(Self {
                    text: rest,
                    lines_before: self.lines_before.saturating_add(to_u32(at)),
                    characters_before: self.characters_before.saturating_add(to_u32(before.chars().count())),
                    moved: self.moved,
                });
            }
            offset += text.len();
        }
        None
    }

    /// What usually causes a fault of the parser at this line of the part.
    pub(super) fn hint_for(&self, line: usize, info: &str) -> Option<&'static str> {
        let text = self.text.lines().nth(line.saturating_sub(1)).unwrap_or_default();
        let before = self.text.lines().nth(line.saturating_sub(2)).unwrap_or_default();
        let begins_with_tab = |text: &str| text.trim_start_matches(' ').starts_with('\t');
        if begins_with_tab(text) || begins_with_tab(before) {
            return Some("indent with spaces, not tabs");
        }
        if text.contains("{{") || before.contains("{{") {
            return Some("this looks like a template; quote the value or render the template first");
        }
        if info.contains("valid YAML whitespace") {
            return Some("put a space after the colon, not a tab");
        }
        if info.contains("invalid indentation") {
            return Some("indent the lines in brackets more than the key they belong to");
        }
        if info.contains("mapping values are not allowed") {
            return Some("quote a value that contains `: `, or check the indentation");
        }
        if info.contains("unknown anchor") {
            return Some("define the anchor with `&` earlier in the same document");
        }
        if info.contains("simple key") || info.contains("expected ':'") {
            return Some("a key needs `:` and a space after it, and the indentation of its neighbours");
        }
        None
    }
}

/// Whether a line begins a document.
fn is_document_start(line: &str) -> bool {
    line.strip_prefix("---").is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\r', '\n']))
}
