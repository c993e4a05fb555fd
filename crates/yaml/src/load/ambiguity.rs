//! Scalars inside `[]` and `{}` that YAML 1.1 readers take for something else than YAML 1.2 readers do.

use saphyr_parser::ScalarStyle;

use crate::diagnostic::Diagnostic;

use super::build::Mark;

/// Watches the collections that are open and the scalars in brackets.
pub(super) struct Watch {
    /// The characters of the text; empty when the text holds nothing of the kind.
    characters: Vec<char>,
    /// For each open collection whether it is in brackets.
    open: Vec<bool>,
}

impl Watch {
    pub(super) fn over(text: &str) -> Self {
        let mut previous = ' ';
        let is_suspect = text.chars().any(|c| {
            let pair = (std::mem::replace(&mut previous, c), c);
            matches!(pair, (':', ',' | ']' | '}') | (' ' | ',' | '[' | '{' | '\n', '?'))
        });
        let characters = if is_suspect { text.chars().collect() } else { Vec::new() };
        Self { characters, open: Vec::new() }
    }

    /// Notes that a collection begins with what stands between two characters of the text.
    pub(super) fn open(&mut self, start: usize, end: usize) {
        let is_in_brackets = self.open.last().copied().unwrap_or(false);
        // The parser lets a mapping behind `- []` begin at that bracket, but not end there.
        let is_bracket = end == start + 1 && matches!(self.characters.get(start), Some('[' | '{'));
        self.open.push(is_in_brackets || is_bracket);
    }

    pub(super) fn close(&mut self) {
        self.open.pop();
    }

    /// Refuses `[a:]`, a string for one reader and a key for the other, and `[?x]`, the other way round.
    pub(super) fn check(&self, text: &str, style: ScalarStyle, end: usize, place: Mark) -> Result<(), Diagnostic> {
        if style != ScalarStyle::Plain || !self.open.last().copied().unwrap_or(false) {
            return Ok(());
        }
        let is_bare_key =
            self.characters.get(end) == Some(&':') && matches!(self.characters.get(end + 1), Some(',' | ']' | '}'));
        let is_bare_mark = text.starts_with('?') && text.len() > 1;
        if !is_bare_key && !is_bare_mark {
            return Ok(());
        }
        let written = if is_bare_key { format!("{text}:") } else { text.to_owned() };
        let message = format!("`{written}` in brackets is a key for some readers and a string for others");
        Err(Diagnostic::new(place.line, place.column, message).with_hint("quote it, or put a space after the sign"))
    }
}
