//! The output with its column, and the four ways to write a scalar into it.

use super::analysis::{is_break, is_printable};
use super::{Folding, Spacing};

/// Column after which text folds at the next single space.
const WIDTH: usize = 80;

/// Text under construction.
#[derive(Debug)]
pub(super) struct Text {
    out: String,
    column: usize,
    /// The last character was a blank, or nothing was written on the line.
    ends_with_blank: bool,
    /// The line holds only indentation and indicators that count as such.
    is_indented: bool,
}

impl Default for Text {
    fn default() -> Self {
        Self { out: String::new(), column: 0, ends_with_blank: true, is_indented: true }
    }
}

impl Text {
    pub(super) fn finish(self) -> String {
        self.out
    }

    pub(super) fn is_indented(&self) -> bool {
        self.is_indented
    }

    /// Goes to `indent` on this line when nothing but indentation stands on it, else on a new one.
    pub(super) fn start_line(&mut self, indent: usize) {
        if !self.is_indented || self.column > indent || (self.column == indent && !self.ends_with_blank) {
            self.line_break('\n');
        }
        while self.column < indent {
            self.put(' ');
        }
        self.ends_with_blank = true;
        self.is_indented = true;
    }

    pub(super) fn indicator(&mut self, indicator: &str, spacing: Spacing) {
        if spacing.before && !self.ends_with_blank {
            self.put(' ');
        }
        self.put_ascii(indicator);
        self.ends_with_blank = false;
        self.is_indented &= spacing.keeps_indent;
    }

    pub(super) fn plain(&mut self, string: &str, indent: usize, folding: Folding) {
        if !self.ends_with_blank {
            self.put(' ');
        }
        // What ends before the margin is never folded.
        if string.is_ascii() && (folding == Folding::Off || self.column + string.len() <= WIDTH) {
            self.put_ascii(string);
            return self.end_scalar();
        }
        let mut after_space = false;
        let mut characters = string.chars().peekable();
        while let Some(c) = characters.next() {
            if c != ' ' {
                self.put(c);
                self.is_indented = false;
            } else if folding == Folding::On && !after_space && self.column > WIDTH && characters.peek() != Some(&' ') {
                self.start_line(indent);
            } else {
                self.put(c);
            }
            after_space = c == ' ';
        }
        self.end_scalar();
    }

    pub(super) fn single_quoted(&mut self, string: &str, indent: usize, folding: Folding) {
        self.indicator("'", Spacing::BEFORE);
        let (mut after_space, mut after_break) = (false, false);
        let mut is_first = true;
        let mut characters = string.chars().peekable();
        while let Some(c) = characters.next() {
            if c == ' ' {
                let next = characters.peek();
                let may_fold = folding == Folding::On && !after_space && !is_first;
                if may_fold && self.column > WIDTH && next.is_some_and(|next| *next != ' ') {
                    self.start_line(indent);
                } else {
                    self.put(c);
                }
                after_space = true;
            } else if is_break(c) {
                if !after_break && c == '\n' {
                    self.line_break('\n');
                }
                self.line_break(c);
                self.is_indented = true;
                after_break = true;
            } else {
                if after_break {
                    self.start_line(indent);
                }
                if c == '\'' {
                    self.put(c);
                }
                self.put(c);
                self.is_indented = false;
                (after_space, after_break) = (false, false);
            }
            is_first = false;
        }
        self.indicator("'", Spacing::NONE);
        self.end_scalar();
    }

    pub(super) fn double_quoted(&mut self, string: &str, indent: usize, folding: Folding) {
        self.indicator("\"", Spacing::BEFORE);
        // Go's YAML looks for a byte order mark at the start of the string at each character, and so escapes all.
        let escapes_all = string.starts_with('\u{FEFF}');
        let mut after_space = false;
        let mut is_first = true;
        let mut characters = string.chars().peekable();
        while let Some(c) = characters.next() {
            if escapes_all || !is_printable(c) || is_break(c) || matches!(c, '"' | '\\') {
                self.escape(c);
                after_space = false;
            } else if c == ' ' {
                let next = characters.peek().copied();
                let may_fold = folding == Folding::On && !after_space && !is_first && next.is_some();
                if may_fold && self.column > WIDTH {
                    self.start_line(indent);
                    if next == Some(' ') {
                        self.put('\\');
                    }
                } else {
                    self.put(c);
                }
                after_space = true;
            } else {
                self.put(c);
                after_space = false;
            }
            is_first = false;
        }
        self.indicator("\"", Spacing::NONE);
        self.end_scalar();
    }

    pub(super) fn literal(&mut self, string: &str, indent: usize) {
        self.indicator("|", Spacing::BEFORE);
        if string.starts_with(|c: char| c == ' ' || is_break(c)) {
            self.indicator("2", Spacing::NONE);
        }
        let mut backwards = string.chars().rev();
        match (backwards.next().is_some_and(is_break), backwards.next()) {
            (false, _) => self.indicator("-", Spacing::NONE),
            (true, Some(c)) if !is_break(c) => {}
            (true, _) => self.indicator("+", Spacing::NONE),
        }
        self.line_break('\n');
        self.is_indented = true;
        self.ends_with_blank = true;
        if string.bytes().all(|byte| matches!(byte, b'\n' | b' '..=b'~')) {
            return self.literal_lines(string, indent);
        }
        let mut after_break = true;
        for c in string.chars() {
            if is_break(c) {
                self.line_break(c);
                self.is_indented = true;
                after_break = true;
            } else {
                if after_break {
                    self.start_line(indent);
                }
                self.put(c);
                self.is_indented = false;
                after_break = false;
            }
        }
    }

    /// Writes the lines of a literal text that has nothing but printable ASCII in them.
    fn literal_lines(&mut self, string: &str, indent: usize) {
        for line in string.split_inclusive('\n') {
            let content = line.strip_suffix('\n').unwrap_or(line);
            if !content.is_empty() {
                self.start_line(indent);
                self.put_ascii(content);
                self.is_indented = false;
            }
            if content.len() < line.len() {
                self.line_break('\n');
                self.is_indented = true;
            }
        }
    }

    fn end_scalar(&mut self) {
        self.ends_with_blank = false;
        self.is_indented = false;
    }

    fn put(&mut self, c: char) {
        self.out.push(c);
        self.column += 1;
    }

    /// Writes text that is known to be ASCII.
    fn put_ascii(&mut self, text: &str) {
        self.out.push_str(text);
        self.column += text.len();
    }

    fn line_break(&mut self, c: char) {
        self.out.push(c);
        self.column = 0;
    }

    fn escape(&mut self, c: char) {
        let code = u32::from(c);
        let short = match c {
            '\0' => '0',
            '\u{7}' => 'a',
            '\u{8}' => 'b',
            '\t' => 't',
            '\n' => 'n',
            '\u{B}' => 'v',
            '\u{C}' => 'f',
            '\r' => 'r',
            '\u{1B}' => 'e',
            '"' => '"',
            '\\' => '\\',
            '\u{85}' => 'N',
            '\u{A0}' => '_',
            '\u{2028}' => 'L',
            '\u{2029}' => 'P',
            _ => {
                let escape = match code {
                    0..=0xFF => format!("\\x{code:02X}"),
                    0x100..=0xFFFF => format!("\\u{code:04X}"),
                    _ => format!("\\U{code:08X}"),
                };
                escape.chars().for_each(|c| self.put(c));
                return;
            }
        };
        self.put('\\');
        self.put(short);
    }
}
