//! Cuts a source into tokens, as Go's lexer does: trim markers and comments never reach the parser.

use memchr::memmem;

use crate::quote::{Keep, quote};
use crate::unicode;

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Error,
    Bool,
    Char,
    CharConstant,
    Complex,
    Assign,
    Declare,
    Eof,
    Field,
    Identifier,
    LeftDelimiter,
    LeftParen,
    Number,
    Pipe,
    RawString,
    RightDelimiter,
    RightParen,
    Space,
    String,
    Text,
    Variable,
    Block,
    Break,
    Continue,
    Dot,
    Define,
    Else,
    End,
    If,
    Nil,
    Range,
    Template,
    With,
}

impl Kind {
    /// Returns whether it is a word of the language; a message prints those in angle brackets.
    pub(super) fn is_keyword(self) -> bool {
        matches!(
            self,
            Self::Block
                | Self::Break
                | Self::Continue
                | Self::Dot
                | Self::Define
                | Self::Else
                | Self::End
                | Self::If
                | Self::Nil
                | Self::Range
                | Self::Template
                | Self::With
        )
    }
}

/// A token: what it is and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) start: usize,
    pub(super) end: usize,
}

/// Where the lexer stands.
#[derive(Debug)]
pub(super) struct Lexer<'a> {
    input: &'a [u8],
    left: &'a [u8],
    right: &'a [u8],
    left_finder: memmem::Finder<'a>,
    position: usize,
    start: usize,
    paren_depth: u32,
    is_in_action: bool,
    /// What is wrong, once an error token has been returned; nothing follows it.
    error: Option<String>,
    pub(super) is_break_keyword: bool,
    pub(super) is_continue_keyword: bool,
}

const LEFT_COMMENT: &[u8] = b"/*";
const RIGHT_COMMENT: &[u8] = b"*/";
/// A marker and the space beside it.
const TRIM_MARKER_LENGTH: usize = 2;

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

fn has_left_trim_marker(bytes: &[u8]) -> bool {
    matches!(bytes, [b'-', space, ..] if is_space(*space))
}

fn has_right_trim_marker(bytes: &[u8]) -> bool {
    matches!(bytes, [space, b'-', ..] if is_space(*space))
}

impl<'a> Lexer<'a> {
    pub(super) fn new(input: &'a [u8], left: &'a [u8], right: &'a [u8]) -> Self {
        Self {
            input,
            left,
            right,
            left_finder: memmem::Finder::new(left),
            position: 0,
            start: 0,
            paren_depth: 0,
            is_in_action: false,
            error: None,
            is_break_keyword: true,
            is_continue_keyword: true,
        }
    }

    /// Returns the message of the error token.
    pub(super) fn error(&self) -> &str {
        self.error.as_deref().unwrap_or("")
    }

    fn rest(&self) -> &'a [u8] {
        self.input.get(self.position..).unwrap_or(&[])
    }

    fn peek(&self) -> Option<(char, usize)> {
        match self.input.get(self.position) {
            Some(byte) if byte.is_ascii() => Some((char::from(*byte), 1)),
            _ => unicode::first_char(self.rest()),
        }
    }

    fn next(&mut self) -> Option<char> {
        let (character, width) = self.peek()?;
        self.position += width;
        Some(character)
    }

    fn token(&mut self, kind: Kind) -> Token {
        let token = Token { kind, start: self.start, end: self.position };
        self.start = self.position;
        token
    }

    fn fail(&mut self, message: impl Into<String>) -> Token {
        self.error = Some(message.into());
        Token { kind: Kind::Error, start: self.start, end: self.start }
    }

    /// Returns the next token. After an error there is only the end.
    pub(super) fn next_token(&mut self) -> Token {
        if self.error.is_some() {
            return Token { kind: Kind::Eof, start: self.start, end: self.start };
        }
        if self.is_in_action { self.inside_action() } else { self.text() }
    }

    /// Reads up to the next action; comments are skipped on the way.
    fn text(&mut self) -> Token {
        loop {
            let Some(found) = self.left_finder.find(self.rest()) else {
                self.position = self.input.len();
                let kind = if self.position > self.start { Kind::Text } else { Kind::Eof };
                return self.token(kind);
            };
            self.position += found;
            if found > 0 {
                let after = self.input.get(self.position + self.left.len()..).unwrap_or(&[]);
                let text = self.input.get(self.start..self.position).unwrap_or(&[]);
                let kept = if has_left_trim_marker(after) {
                    text.iter().rposition(|byte| !is_space(*byte)).map_or(0, |index| index + 1)
                } else {
                    text.len()
                };
                let token = Token { kind: Kind::Text, start: self.start, end: self.start + kept };
                self.start = self.position;
                if kept > 0 {
                    return token;
                }
            }
            if let Some(token) = self.left_delimiter() {
                return token;
            }
        }
    }

    /// Reads a left delimiter that is known to be there; nothing comes of a comment.
    fn left_delimiter(&mut self) -> Option<Token> {
        self.position += self.left.len();
        let marker = if has_left_trim_marker(self.rest()) { TRIM_MARKER_LENGTH } else { 0 };
        if self.input.get(self.position + marker..).unwrap_or(&[]).starts_with(LEFT_COMMENT) {
            self.position += marker;
            self.start = self.position;
            return self.comment();
        }
        let token = self.token(Kind::LeftDelimiter);
        self.is_in_action = true;
        self.position += marker;
        self.start = self.position;
        self.paren_depth = 0;
        Some(token)
    }

    /// Skips a comment; returns a token only when something is wrong with it.
    fn comment(&mut self) -> Option<Token> {
        self.position += LEFT_COMMENT.len();
        let Some(found) = memmem::find(self.rest(), RIGHT_COMMENT) else {
            return Some(self.fail("unclosed comment"));
        };
        self.position += found + RIGHT_COMMENT.len();
        let Some(trims) = self.at_right_delimiter() else {
            return Some(self.fail("comment ends before closing delimiter"));
        };
        self.skip_right_delimiter(trims);
        self.start = self.position;
        None
    }

    /// Returns whether a right delimiter follows, and if so whether it trims.
    fn at_right_delimiter(&self) -> Option<bool> {
        let rest = self.rest();
        if has_right_trim_marker(rest)
            && rest.get(TRIM_MARKER_LENGTH..).is_some_and(|rest| rest.starts_with(self.right))
        {
            return Some(true);
        }
        rest.starts_with(self.right).then_some(false)
    }

    fn skip_right_delimiter(&mut self, trims: bool) {
        self.position += self.right.len();
        if trims {
            self.position += TRIM_MARKER_LENGTH;
            self.position += self.rest().iter().take_while(|byte| is_space(**byte)).count();
        }
    }

    fn right_delimiter(&mut self, trims: bool) -> Token {
        let start = if trims { self.position + TRIM_MARKER_LENGTH } else { self.position };
        let token = Token { kind: Kind::RightDelimiter, start, end: start + self.right.len() };
        self.skip_right_delimiter(trims);
        self.start = self.position;
        self.is_in_action = false;
        token
    }

    fn inside_action(&mut self) -> Token {
        if let Some(trims) = self.at_right_delimiter() {
            if self.paren_depth == 0 {
                return self.right_delimiter(trims);
            }
            return self.fail("unclosed left paren");
        }
        let Some((character, width)) = self.peek() else {
            return self.fail("unclosed action");
        };
        if matches!(character, ' ' | '\t' | '\r' | '\n') {
            return self.space();
        }
        self.position += width;
        match character {
            '=' => self.token(Kind::Assign),
            ':' => {
                if self.next() == Some('=') {
                    self.token(Kind::Declare)
                } else {
                    self.fail("expected :=")
                }
            }
            '|' => self.token(Kind::Pipe),
            '"' => self.quoted(b'"', Kind::String, "unterminated quoted string"),
            '\'' => self.quoted(b'\'', Kind::CharConstant, "unterminated character constant"),
            '`' => self.raw_string(),
            '$' => self.field_or_variable(Kind::Variable),
            '.' if !self.rest().first().is_some_and(u8::is_ascii_digit) && !self.rest().is_empty() => {
                self.field_or_variable(Kind::Field)
            }
            '.' | '+' | '-' | '0'..='9' => {
                self.position -= width;
                self.number()
            }
            _ if unicode::is_name_part(character) => self.identifier(),
            '(' => {
                self.paren_depth += 1;
                self.token(Kind::LeftParen)
            }
            ')' if self.paren_depth == 0 => self.fail("unexpected right paren"),
            ')' => {
                self.paren_depth -= 1;
                self.token(Kind::RightParen)
            }
            '!'..='~' => self.token(Kind::Char),
            other => self.fail(format!("unrecognized character in action: {}", code_point(other))),
        }
    }

    fn space(&mut self) -> Token {
        let count = self.rest().iter().take_while(|byte| is_space(**byte)).count();
        self.position += count;
        // The last space may belong to a delimiter that trims.
        let last = self.input.get(self.position - 1..).unwrap_or(&[]);
        if has_right_trim_marker(last)
            && last.get(TRIM_MARKER_LENGTH..).is_some_and(|rest| rest.starts_with(self.right))
        {
            self.position -= 1;
            if count == 1 {
                return self.right_delimiter(true);
            }
        }
        self.token(Kind::Space)
    }

    fn skip_name(&mut self) {
        let ascii = self.rest().iter().take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_').count();
        self.position += ascii;
        if self.rest().first().is_none_or(u8::is_ascii) {
            return;
        }
        while let Some((character, width)) = self.peek() {
            if !unicode::is_name_part(character) {
                break;
            }
            self.position += width;
        }
    }

    fn identifier(&mut self) -> Token {
        self.skip_name();
        if !self.is_at_terminator() {
            return self.bad_character();
        }
        let kind = match self.input.get(self.start..self.position).unwrap_or(&[]) {
            b"block" => Kind::Block,
            b"break" if self.is_break_keyword => Kind::Break,
            b"continue" if self.is_continue_keyword => Kind::Continue,
            b"define" => Kind::Define,
            b"else" => Kind::Else,
            b"end" => Kind::End,
            b"if" => Kind::If,
            b"range" => Kind::Range,
            b"nil" => Kind::Nil,
            b"template" => Kind::Template,
            b"with" => Kind::With,
            b"true" | b"false" => Kind::Bool,
            _ => Kind::Identifier,
        };
        self.token(kind)
    }

    fn field_or_variable(&mut self, kind: Kind) -> Token {
        if self.is_at_terminator() {
            return self.token(if kind == Kind::Variable { Kind::Variable } else { Kind::Dot });
        }
        self.skip_name();
        if self.is_at_terminator() { self.token(kind) } else { self.bad_character() }
    }

    fn bad_character(&mut self) -> Token {
        let character = self.peek().map_or('\u{0}', |(character, _)| character);
        self.fail(format!("bad character {}", code_point(character)))
    }

    /// Returns whether what follows may stand after a name.
    fn is_at_terminator(&self) -> bool {
        match self.rest().first() {
            None | Some(b' ' | b'\t' | b'\r' | b'\n' | b'.' | b',' | b'|' | b':' | b')' | b'(') => true,
            Some(_) => self.rest().starts_with(self.right),
        }
    }

    fn quoted(&mut self, quote: u8, kind: Kind, unterminated: &str) -> Token {
        // What is looked for is ASCII, so bytes of other characters are passed over one by one.
        loop {
            let Some(found) = memchr::memchr3(quote, b'\\', b'\n', self.rest()) else {
                self.position = self.input.len();
                return self.fail(unterminated);
            };
            self.position += found + 1;
            match self.input.get(self.position - 1) {
                Some(byte) if *byte == quote => return self.token(kind),
                Some(b'\\') if !matches!(self.rest().first(), None | Some(b'\n')) => self.position += 1,
                _ => return self.fail(unterminated),
            }
        }
    }

    fn raw_string(&mut self) -> Token {
        match memchr::memchr(b'`', self.rest()) {
            Some(found) => {
                self.position += found + 1;
                self.token(Kind::RawString)
            }
            None => self.fail("unterminated raw quoted string"),
        }
    }

    fn number(&mut self) -> Token {
        if !self.scan_number() {
            return self.bad_number();
        }
        if !matches!(self.rest().first(), Some(b'+' | b'-')) {
            return self.token(Kind::Number);
        }
        if !self.scan_number() || self.input.get(self.position - 1) != Some(&b'i') {
            return self.bad_number();
        }
        self.token(Kind::Complex)
    }

    fn bad_number(&mut self) -> Token {
        let text = self.input.get(self.start..self.position).unwrap_or(&[]);
        let message = format!("bad number syntax: {}", quote(text, Keep::Printable));
        self.fail(message)
    }

    fn accept(&mut self, valid: &[u8]) -> bool {
        let accepted = self.rest().first().is_some_and(|byte| valid.contains(byte));
        self.position += usize::from(accepted);
        accepted
    }

    fn accept_run(&mut self, valid: &[u8]) {
        while self.accept(valid) {}
    }

    fn scan_number(&mut self) -> bool {
        const DECIMAL: &[u8] = b"0123456789_";
        const HEXADECIMAL: &[u8] = b"0123456789abcdefABCDEF_";
        self.accept(b"+-");
        let mut digits = DECIMAL;
        if self.accept(b"0") {
            if self.accept(b"xX") {
                digits = HEXADECIMAL;
            } else if self.accept(b"oO") {
                digits = b"01234567_";
            } else if self.accept(b"bB") {
                digits = b"01_";
            }
        }
        self.accept_run(digits);
        if self.accept(b".") {
            self.accept_run(digits);
        }
        if digits == DECIMAL && self.accept(b"eE") {
            self.accept(b"+-");
            self.accept_run(DECIMAL);
        }
        if digits == HEXADECIMAL && self.accept(b"pP") {
            self.accept(b"+-");
            self.accept_run(DECIMAL);
        }
        self.accept(b"i");
        match self.peek() {
            Some((character, width)) if unicode::is_name_part(character) => {
                self.position += width;
                false
            }
            _ => true,
        }
    }
}

/// Prints a character as Go's `%#U` does.
fn code_point(character: char) -> String {
    let code = u32::from(character);
    if unicode::is_printable(character) { format!("U+{code:04X} '{character}'") } else { format!("U+{code:04X}") }
}
