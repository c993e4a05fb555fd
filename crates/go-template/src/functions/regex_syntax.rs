//! Translates Go's regular expressions (RE2) to those of the `regex` crate, and refuses what Go refuses in its words.
//!
//! Flags are written at every place where they matter rather than as groups, since the two languages scope them
//! differently; names of groups are kept aside, since Go allows one name twice.

use std::fmt::Write as _;

use regex::Regex;

/// How many nested repetitions may multiply to.
const REPEAT_MAX: u32 = 1_000;

/// How many groups may be open.
const DEPTH_MAX: usize = 250;

/// Why an expression is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("error parsing regexp: {what}: `{part}`")]
pub(super) struct SyntaxError {
    what: &'static str,
    part: String,
}

const INVALID_CLASS_RANGE: &str = "invalid character class range";
const INVALID_ESCAPE: &str = "invalid escape sequence";
const INVALID_NAME: &str = "invalid named capture";
const INVALID_PERL: &str = "invalid or unsupported Perl syntax";
const INVALID_REPEAT: &str = "invalid nested repetition operator";
const INVALID_REPEAT_COUNT: &str = "invalid repeat count";
const MISSING_ARGUMENT: &str = "missing argument to repetition operator";
const MISSING_BRACKET: &str = "missing closing ]";
const MISSING_PAREN: &str = "missing closing )";
const TRAILING_BACKSLASH: &str = "trailing backslash at end of expression";
const UNEXPECTED_PAREN: &str = "unexpected )";
const TOO_DEEP: &str = "expression nests too deeply";
pub(super) const TOO_LARGE: &str = "expression too large";

fn error<T>(what: &'static str, part: &str) -> Result<T, SyntaxError> {
    Err(refusal(what, part))
}

pub(super) fn refusal(what: &'static str, part: &str) -> SyntaxError {
    SyntaxError { what, part: part.to_owned() }
}

/// A translated expression with the names of its groups; the whole match is group 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Translated {
    pub(super) pattern: String,
    pub(super) names: Vec<String>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Flags {
    folds_case: bool,
    is_multi_line: bool,
    dot_takes_newline: bool,
    is_ungreedy: bool,
}

/// One atom with its repetitions.
struct Item {
    pattern: String,
    /// The product of the nested repetition counts.
    repeats: u32,
}

/// A group that is open.
struct Group {
    opening: &'static str,
    /// What was in force before the group.
    flags: Flags,
    /// Branches before the current one.
    branches: String,
    repeats: u32,
    items: Vec<Item>,
}

impl Group {
    fn new(opening: &'static str, flags: Flags) -> Self {
        Self { opening, flags, branches: String::new(), repeats: 1, items: Vec::new() }
    }

    fn end_branch(&mut self) {
        for item in self.items.drain(..) {
            self.branches.push_str(&item.pattern);
            self.repeats = self.repeats.max(item.repeats);
        }
    }
}

struct Parser<'a> {
    whole: &'a str,
    rest: &'a str,
    flags: Flags,
    open: Vec<Group>,
    names: Vec<String>,
}

/// Translates an expression.
pub(super) fn translate(expression: &str) -> Result<Translated, SyntaxError> {
    let flags = Flags::default();
    let mut parser = Parser {
        whole: expression,
        rest: expression,
        flags,
        open: vec![Group::new("", flags)],
        names: vec![String::new()],
    };
    parser.parse()?;
    let Some(mut whole) = parser.open.pop().filter(|_| parser.open.is_empty()) else {
        return error(MISSING_PAREN, expression);
    };
    whole.end_branch();
    Ok(Translated { pattern: whole.branches, names: parser.names })
}

/// What stands between two places of one text.
fn between<'a>(start: &'a str, end: &str) -> &'a str {
    start.get(..start.len() - end.len()).unwrap_or(start)
}

fn first(text: &str) -> Option<(char, &str)> {
    let mut chars = text.chars();
    chars.next().map(|c| (c, chars.as_str()))
}

impl<'a> Parser<'a> {
    fn parse(&mut self) -> Result<(), SyntaxError> {
        // The text from the last repetition on, when it stands right before.
        let mut last_repeat: Option<&'a str> = None;
        while let Some((c, after)) = first(self.rest) {
            let before = self.rest;
            let mut repeat = None;
            match c {
                '(' if after.starts_with('?') => self.perl_group()?,
                '(' => {
                    self.names.push(String::new());
                    self.rest = after;
                    self.open_group("(")?;
                }
                '|' => {
                    self.rest = after;
                    self.with_group(|group| {
                        group.end_branch();
                        group.branches.push('|');
                    });
                }
                ')' => self.close_group(after)?,
                '^' => self.push(after, if self.flags.is_multi_line { "(?m:^)" } else { r"\A" }),
                '$' => self.push(after, if self.flags.is_multi_line { "(?m:$)" } else { r"\z" }),
                '.' => self.push(after, if self.flags.dot_takes_newline { "(?s:.)" } else { r"[^\n]" }),
                '[' => self.class()?,
                '*' | '+' | '?' => {
                    self.repeat(&c.to_string(), 1, before, after, last_repeat)?;
                    repeat = Some(before);
                }
                '{' => match counts(before) {
                    None => self.literal('{', after),
                    Some((least, most, after)) => {
                        let too_many = |count: u32| count > REPEAT_MAX;
                        if too_many(least) || most.is_some_and(|most| too_many(most) || least > most) {
                            return error(INVALID_REPEAT_COUNT, between(before, after));
                        }
                        let operator = match most {
                            Some(most) => format!("{{{least},{most}}}"),
                            None => format!("{{{least},}}"),
                        };
                        self.repeat(&operator, most.unwrap_or(least).max(1), before, after, last_repeat)?;
                        repeat = Some(before);
                    }
                },
                '\\' => self.backslash()?,
                _ => self.literal(c, after),
            }
            last_repeat = repeat;
        }
        Ok(())
    }

    fn with_group(&mut self, change: impl FnOnce(&mut Group)) {
        if let Some(group) = self.open.last_mut() {
            change(group);
        }
    }

    fn push(&mut self, after: &'a str, pattern: impl Into<String>) {
        self.rest = after;
        let item = Item { pattern: pattern.into(), repeats: 1 };
        self.with_group(|group| group.items.push(item));
    }

    fn literal(&mut self, c: char, after: &'a str) {
        let pattern = self.folded(escaped(c));
        self.push(after, pattern);
    }

    fn folded(&self, pattern: String) -> String {
        if self.flags.folds_case { format!("(?i:{pattern})") } else { pattern }
    }

    fn open_group(&mut self, opening: &'static str) -> Result<(), SyntaxError> {
        if self.open.len() > DEPTH_MAX {
            return error(TOO_DEEP, self.whole);
        }
        self.open.push(Group::new(opening, self.flags));
        Ok(())
    }

    fn close_group(&mut self, after: &'a str) -> Result<(), SyntaxError> {
        if self.open.len() < 2 {
            return error(UNEXPECTED_PAREN, self.whole);
        }
        let Some(mut group) = self.open.pop() else { return error(UNEXPECTED_PAREN, self.whole) };
        group.end_branch();
        self.flags = group.flags;
        self.rest = after;
        let item = Item { pattern: format!("{}{})", group.opening, group.branches), repeats: group.repeats };
        self.with_group(|outer| outer.items.push(item));
        Ok(())
    }

    /// Puts an operator behind the last atom.
    fn repeat(
        &mut self,
        operator: &str,
        count: u32,
        before: &'a str,
        after: &'a str,
        last_repeat: Option<&'a str>,
    ) -> Result<(), SyntaxError> {
        let (is_ungreedy, after) = match after.strip_prefix('?') {
            Some(after) => (!self.flags.is_ungreedy, after),
            None => (self.flags.is_ungreedy, after),
        };
        if let Some(last) = last_repeat {
            return error(INVALID_REPEAT, between(last, after));
        }
        let Some(item) = self.open.last_mut().and_then(|group| group.items.last_mut()) else {
            return error(MISSING_ARGUMENT, between(before, after));
        };
        item.repeats = item.repeats.saturating_mul(count);
        if item.repeats > REPEAT_MAX && count >= 2 {
            return error(INVALID_REPEAT_COUNT, between(before, after));
        }
        item.pattern = format!("(?:{}){operator}{}", item.pattern, if is_ungreedy { "?" } else { "" });
        self.rest = after;
        Ok(())
    }

    /// `(?P<name>`, `(?<name>`, `(?flags)` and `(?flags:`.
    fn perl_group(&mut self) -> Result<(), SyntaxError> {
        let start = self.rest;
        let named = start.strip_prefix("(?P<").filter(|name| !name.is_empty());
        if let Some(name) = named.or_else(|| start.strip_prefix("(?<").filter(|name| !name.is_empty())) {
            let Some((name, after)) = name.split_once('>') else { return error(INVALID_NAME, start) };
            if name.is_empty() || !name.chars().all(|c| c == '_' || c.is_ascii_alphanumeric()) {
                return error(INVALID_NAME, between(start, after));
            }
            self.names.push(name.to_owned());
            self.rest = after;
            return self.open_group("(");
        }
        let mut rest = start.get(2..).unwrap_or_default();
        let mut flags = self.flags;
        let (mut is_negative, mut saw_flag) = (false, false);
        while let Some((c, after)) = first(rest) {
            rest = after;
            match c {
                'i' => flags.folds_case = !is_negative,
                'm' => flags.is_multi_line = !is_negative,
                's' => flags.dot_takes_newline = !is_negative,
                'U' => flags.is_ungreedy = !is_negative,
                '-' if !is_negative => {
                    is_negative = true;
                    saw_flag = false;
                    continue;
                }
                ':' | ')' if !is_negative || saw_flag => {
                    self.rest = after;
                    if c == ':' {
                        self.open_group("(?:")?;
                    }
                    self.flags = flags;
                    return Ok(());
                }
                _ => break,
            }
            saw_flag = true;
        }
        error(INVALID_PERL, between(start, rest))
    }

    fn backslash(&mut self) -> Result<(), SyntaxError> {
        let start = self.rest;
        let mut chars = start.chars();
        chars.next();
        let Some(c) = chars.next() else { return error(TRAILING_BACKSLASH, "") };
        let after = chars.as_str();
        match c {
            'A' => self.push(after, r"\A"),
            'z' => self.push(after, r"\z"),
            'b' => self.push(after, r"(?-u:\b)"),
            'B' => self.push(after, r"(?-u:\B)"),
            'C' => return error(INVALID_ESCAPE, between(start, after)),
            'Q' => {
                let (quoted, after) = after.split_once("\\E").unwrap_or((after, ""));
                for c in quoted.chars() {
                    self.literal(c, after);
                }
                self.rest = after;
            }
            'p' | 'P' => {
                let (class, after) = self.unicode_class(start)?;
                self.push(after, self.folded(class));
            }
            _ => match perl_class(c) {
                Some(class) => self.push(after, self.folded(class.to_owned())),
                None => {
                    let (c, after) = escape(start)?;
                    let pattern = c.map_or_else(|| NOTHING.to_owned(), escaped);
                    self.push(after, self.folded(pattern));
                }
            },
        }
        Ok(())
    }

    /// `\pL`, `\p{Greek}`, `\P{^Greek}`.
    fn unicode_class(&self, start: &'a str) -> Result<(String, &'a str), SyntaxError> {
        let is_negative = start.starts_with("\\P");
        let tail = start.get(2..).unwrap_or_default();
        let (name, after) = match first(tail) {
            Some(('{', inner)) => inner.split_once('}').ok_or_else(|| refusal(INVALID_CLASS_RANGE, start))?,
            Some((_, after)) => (between(tail, after), after),
            None => return error(INVALID_CLASS_RANGE, start),
        };
        let (name, is_negative) = match name.strip_prefix('^') {
            Some(name) => (name, !is_negative),
            None => (name, is_negative),
        };
        let is_plain =
            !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | ' '));
        let class = format!("\\{}{{{name}}}", if is_negative { 'P' } else { 'p' });
        if !is_plain || Regex::new(&class).is_err() {
            return error(INVALID_CLASS_RANGE, between(start, after));
        }
        Ok((class, after))
    }

    /// `[...]`
    fn class(&mut self) -> Result<(), SyntaxError> {
        let start = self.rest;
        let mut rest = start.get(1..).unwrap_or_default();
        let mut class = String::from("[");
        if let Some(after) = rest.strip_prefix('^') {
            class.push('^');
            rest = after;
        }
        let mut is_first = true;
        let mut is_empty = true;
        while is_first || !rest.starts_with(']') {
            is_first = false;
            if let Some((posix, after)) = posix_class(rest)? {
                class.push_str(posix);
                (rest, is_empty) = (after, false);
                continue;
            }
            if rest.starts_with("\\p") || rest.starts_with("\\P") {
                let (unicode, after) = self.unicode_class(rest)?;
                class.push_str(&unicode);
                (rest, is_empty) = (after, false);
                continue;
            }
            if let Some(perl) = rest.strip_prefix('\\').and_then(|tail| perl_class(tail.chars().next()?)) {
                class.push_str(perl);
                (rest, is_empty) = (rest.get(2..).unwrap_or_default(), false);
                continue;
            }
            let range = rest;
            let (low, after) = class_char(rest, start)?;
            rest = after;
            let mut high = low;
            if rest.starts_with('-') && !rest.starts_with("-]") && rest.len() >= 2 {
                let (end, after) = class_char(rest.get(1..).unwrap_or_default(), start)?;
                rest = after;
                if end.code() < low.code() {
                    return error(INVALID_CLASS_RANGE, between(range, rest));
                }
                high = end;
            }
            is_empty &= !push_range(&mut class, low.code(), high.code());
        }
        class.push(']');
        if is_empty {
            class = if class.starts_with("[^") { r"(?s:.)".to_owned() } else { NOTHING.to_owned() };
        }
        let class = self.folded(class);
        self.push(rest.get(1..).unwrap_or_default(), class);
        Ok(())
    }
}

/// A class that takes nothing.
const NOTHING: &str = r"[^\s\S]";

/// A character of a class; a surrogate is one by number only.
#[derive(Debug, Clone, Copy)]
struct ClassChar(u32);

impl ClassChar {
    fn code(self) -> u32 {
        self.0
    }
}

/// Writes a range without the surrogates, which no text holds; says whether anything is left.
fn push_range(class: &mut String, low: u32, high: u32) -> bool {
    let mut is_written = false;
    for (low, high) in [(low, high.min(0xD7FF)), (low.max(0xE000), high)] {
        if low <= high {
            // Writing to a string can't fail.
            let _ = write!(class, r"\x{{{low:X}}}-\x{{{high:X}}}");
            is_written = true;
        }
    }
    is_written
}

fn class_char<'a>(text: &'a str, class: &str) -> Result<(ClassChar, &'a str), SyntaxError> {
    match first(text) {
        None => error(MISSING_BRACKET, class),
        Some(('\\', _)) => {
            let (code, after) = escape_code(text)?;
            Ok((ClassChar(code), after))
        }
        Some((c, after)) => Ok((ClassChar(c as u32), after)),
    }
}

fn escaped(c: char) -> String {
    if c.is_ascii_alphanumeric() { c.to_string() } else { format!(r"\x{{{:X}}}", c as u32) }
}

/// `\d` and its like, which are ASCII in Go, as parts of a class or alone.
fn perl_class(c: char) -> Option<&'static str> {
    Some(match c {
        'd' => "[0-9]",
        'D' => "[^0-9]",
        's' => r"[\t\n\x0C\r\x20]",
        'S' => r"[^\t\n\x0C\r\x20]",
        'w' => "[0-9A-Za-z_]",
        'W' => "[^0-9A-Za-z_]",
        _ => return None,
    })
}

/// `[:alpha:]` and its like.
fn posix_class(text: &str) -> Result<Option<(&'static str, &str)>, SyntaxError> {
    let Some(tail) = text.strip_prefix("[:") else { return Ok(None) };
    let Some((name, after)) = tail.split_once(":]") else { return Ok(None) };
    let class = match name {
        "alnum" => "[[:alnum:]]",
        "^alnum" => "[[:^alnum:]]",
        "alpha" => "[[:alpha:]]",
        "^alpha" => "[[:^alpha:]]",
        "ascii" => "[[:ascii:]]",
        "^ascii" => "[[:^ascii:]]",
        "blank" => "[[:blank:]]",
        "^blank" => "[[:^blank:]]",
        "cntrl" => "[[:cntrl:]]",
        "^cntrl" => "[[:^cntrl:]]",
        "digit" => "[[:digit:]]",
        "^digit" => "[[:^digit:]]",
        "graph" => "[[:graph:]]",
        "^graph" => "[[:^graph:]]",
        "lower" => "[[:lower:]]",
        "^lower" => "[[:^lower:]]",
        "print" => "[[:print:]]",
        "^print" => "[[:^print:]]",
        "punct" => "[[:punct:]]",
        "^punct" => "[[:^punct:]]",
        "space" => "[[:space:]]",
        "^space" => "[[:^space:]]",
        "upper" => "[[:upper:]]",
        "^upper" => "[[:^upper:]]",
        "word" => "[[:word:]]",
        "^word" => "[[:^word:]]",
        "xdigit" => "[[:xdigit:]]",
        "^xdigit" => "[[:^xdigit:]]",
        _ => return error(INVALID_CLASS_RANGE, between(text, after)),
    };
    Ok(Some((class, after)))
}

/// An escaped character; none for a surrogate.
fn escape(text: &str) -> Result<(Option<char>, &str), SyntaxError> {
    escape_code(text).map(|(code, after)| (char::from_u32(code), after))
}

fn escape_code(start: &str) -> Result<(u32, &str), SyntaxError> {
    let tail = start.get(1..).unwrap_or_default();
    let Some((c, mut rest)) = first(tail) else { return error(TRAILING_BACKSLASH, "") };
    let octal = |text: &str| text.chars().next().and_then(|c| c.to_digit(8));
    match c {
        '0'..='7' if c == '0' || octal(rest).is_some() => {
            let mut code = c as u32 - '0' as u32;
            for _ in 0..2 {
                let Some(digit) = octal(rest) else { break };
                code = code * 8 + digit;
                rest = rest.get(1..).unwrap_or_default();
            }
            Ok((code, rest))
        }
        'x' => hexadecimal(start, rest),
        'a' => Ok((7, rest)),
        'f' => Ok((12, rest)),
        'n' => Ok((10, rest)),
        'r' => Ok((13, rest)),
        't' => Ok((9, rest)),
        'v' => Ok((11, rest)),
        _ if c.is_ascii() && !c.is_ascii_alphanumeric() => Ok((c as u32, rest)),
        _ => error(INVALID_ESCAPE, between(start, rest)),
    }
}

/// Two digits, or any number in braces.
fn hexadecimal<'a>(start: &'a str, digits: &'a str) -> Result<(u32, &'a str), SyntaxError> {
    const CODE_MAX: u32 = 0x0010_FFFF;
    let Some((c, mut rest)) = first(digits) else { return error(INVALID_ESCAPE, between(start, digits)) };
    let mut code: u32 = 0;
    if c == '{' {
        let mut is_empty = true;
        while let Some((c, after)) = first(rest) {
            rest = after;
            match c.to_digit(16) {
                None if c == '}' && !is_empty => return Ok((code, rest)),
                None => break,
                Some(digit) => code = code.saturating_mul(16).saturating_add(digit),
            }
            if code > CODE_MAX {
                break;
            }
            is_empty = false;
        }
        return error(INVALID_ESCAPE, between(start, rest));
    }
    let Some((d, after)) = first(rest) else { return error(INVALID_ESCAPE, between(start, rest)) };
    match (c.to_digit(16), d.to_digit(16)) {
        (Some(high), Some(low)) => Ok((high * 16 + low, after)),
        _ => error(INVALID_ESCAPE, between(start, after)),
    }
}

/// `{2}`, `{2,}` or `{2,3}`; anything else in braces is text.
fn counts(text: &str) -> Option<(u32, Option<u32>, &str)> {
    let tail = text.strip_prefix('{')?;
    let (least, rest) = count(tail)?;
    if let Some(rest) = rest.strip_prefix('}') {
        return Some((least, Some(least), rest));
    }
    let rest = rest.strip_prefix(',')?;
    if let Some(rest) = rest.strip_prefix('}') {
        return Some((least, None, rest));
    }
    let (most, rest) = count(rest)?;
    Some((least, Some(most), rest.strip_prefix('}')?))
}

/// Digits without a leading zero; a number that is too large stays too large.
fn count(text: &str) -> Option<(u32, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at_checked(end)?;
    if digits.is_empty() || digits.len() > 1 && digits.starts_with('0') {
        return None;
    }
    Some((digits.parse().unwrap_or(u32::MAX), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_match_what_they_match_in_go() {
        let rows = [
            (r"^a+$", "aa", true),
            (r"^a+$", "aa\n", false),
            (r"(?i)straSSe", "STRASSE", true),
            (r"a.c", "a\nc", false),
            (r"(?s)a.c", "a\nc", true),
            (r"\Qa.c\E+", "a.cc", true),
            (r"[[:alpha:]-]+\d", "a-1", true),
            (r"[^\d]", "٣", true),
            (r"\pL{2,3}", "éà", true),
            (r"a{,2}", "a{,2}", true),
            (r"[\x{41}-\x{5A}]", "Q", true),
            (r"(|a)*b", "b", true),
            (r"\bfoo\b", "a foo b", true),
            (r"[]a]", "]", true),
            (r"\101\.\_", "A._", true),
        ];
        for (expression, text, expected) in rows {
            let translated = translate(expression).unwrap();
            let regex = Regex::new(&translated.pattern).unwrap();
            assert_eq!(regex.is_match(text), expected, "{expression} as {}", translated.pattern);
        }
    }

    #[test]
    fn refusals_are_those_of_go() {
        let rows = [
            ("(", "missing closing ): `(`"),
            (")", "unexpected ): `)`"),
            ("a**", "invalid nested repetition operator: `**`"),
            ("*", "missing argument to repetition operator: `*`"),
            ("[a", "missing closing ]: `[a`"),
            ("[z-a]", "invalid character class range: `z-a`"),
            (r"\1", r"invalid escape sequence: `\1`"),
            (r"a\", "trailing backslash at end of expression: ``"),
            ("(?=a)", "invalid or unsupported Perl syntax: `(?=`"),
            ("(?P<n", "invalid named capture: `(?P<n`"),
            ("a{1001}", "invalid repeat count: `{1001}`"),
            ("[[:foo:]]", "invalid character class range: `[:foo:]`"),
            (r"\p{Nope}", r"invalid character class range: `\p{Nope}`"),
            (r"\C", r"invalid escape sequence: `\C`"),
        ];
        for (expression, expected) in rows {
            assert_eq!(translate(expression).unwrap_err().to_string(), format!("error parsing regexp: {expected}"));
        }
    }
}
