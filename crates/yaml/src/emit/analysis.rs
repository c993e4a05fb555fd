//! Which style a string is written in.

use crate::resolve::{Resolved, resolve};

/// The four ways to write a string.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    Plain,
    SingleQuoted,
    DoubleQuoted,
    Literal,
}

/// Returns the style that Go's YAML chooses for a string in a block collection.
pub(crate) fn style_of(string: &str, is_simple_key: bool) -> Style {
    let analysis = Analysis::of(string);
    if string.contains('\n') {
        let is_literal = analysis.literal_allowed && !is_simple_key;
        return if is_literal { Style::Literal } else { Style::DoubleQuoted };
    }
    if resolve(string) != Resolved::String || is_base_60(string) || (is_simple_key && analysis.has_breaks) {
        return Style::DoubleQuoted;
    }
    if analysis.plain_allowed {
        return Style::Plain;
    }
    if analysis.single_quotes_allowed { Style::SingleQuoted } else { Style::DoubleQuoted }
}

/// What the characters of a string allow.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Analysis {
    pub(crate) has_breaks: bool,
    pub(crate) plain_allowed: bool,
    single_quotes_allowed: bool,
    literal_allowed: bool,
}

/// What stood before the current character.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Before {
    Space,
    Break,
    Other,
}

impl Analysis {
    pub(crate) fn of(string: &str) -> Self {
        if is_word(string) {
            return Self { has_breaks: false, plain_allowed: true, single_quotes_allowed: true, literal_allowed: true };
        }
        let mut has_indicators = string.starts_with("---") || string.starts_with("...");
        let (mut has_breaks, mut has_special) = (false, false);
        let (mut break_space, mut space_break) = (false, false);
        let mut before = Before::Other;
        let mut follows_blank = true;
        let mut characters = string.chars().peekable();
        let mut is_first = true;
        while let Some(c) = characters.next() {
            let precedes_blank = characters.peek().is_none_or(|next| matches!(next, ' ' | '\t'));
            has_indicators |= match c {
                '#' if !is_first => follows_blank,
                '#' | ',' | '[' | ']' | '{' | '}' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%' | '@' | '`' => {
                    is_first
                }
                '?' | '-' => is_first && precedes_blank,
                ':' => precedes_blank,
                _ => false,
            };
            has_special |= !is_printable(c);
            before = match c {
                ' ' => {
                    break_space |= before == Before::Break;
                    Before::Space
                }
                c if is_break(c) => {
                    has_breaks = true;
                    space_break |= before == Before::Space;
                    Before::Break
                }
                _ => Before::Other,
            };
            follows_blank = matches!(c, ' ' | '\t' | '\0') || is_break(c);
            is_first = false;
        }
        let at_edge = |c: Option<char>| c.is_some_and(|c| c == ' ' || is_break(c));
        let has_blank_edge = at_edge(string.chars().next()) || at_edge(string.chars().next_back());
        Self {
            has_breaks,
            plain_allowed: !(has_blank_edge
                || has_breaks
                || has_indicators
                || has_special
                || break_space
                || space_break
                || string.is_empty()),
            single_quotes_allowed: !(break_space || space_break || has_special),
            literal_allowed: !(string.is_empty() || string.ends_with(' ') || space_break || has_special),
        }
    }
}

/// Whether a string has only characters that mean nothing to YAML, as nearly all keys and names have.
fn is_word(string: &str) -> bool {
    string.as_bytes().first().is_some_and(u8::is_ascii_alphanumeric)
        && string.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'/' | b'-'))
}

/// Whether a character may stand unescaped.
pub(crate) fn is_printable(c: char) -> bool {
    matches!(c, '\n' | ' '..='~' | '\u{A0}'..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}') && c != '\u{FEFF}'
}

/// Whether YAML 1.1 takes a character for a line break.
pub(crate) fn is_break(c: char) -> bool {
    matches!(c, '\r' | '\n' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// `[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?`: `12:30` is a number in base 60 for some readers.
fn is_base_60(string: &str) -> bool {
    let unsigned = string.strip_prefix(['+', '-']).unwrap_or(string);
    let Some((head, tail)) = unsigned.split_once(':') else { return false };
    let is_head =
        head.starts_with(|c: char| c.is_ascii_digit()) && head.chars().all(|c| c.is_ascii_digit() || c == '_');
    let (groups, fraction) = match tail.split_once('.') {
        Some((groups, fraction)) => (groups, fraction),
        None => (tail, ""),
    };
    let is_group = |group: &str| match group.as_bytes() {
        [digit] => digit.is_ascii_digit(),
        [tens, digit] => (b'0'..=b'5').contains(tens) && digit.is_ascii_digit(),
        _ => false,
    };
    is_head && groups.split(':').all(is_group) && fraction.chars().all(|c| c.is_ascii_digit() || c == '_')
}
