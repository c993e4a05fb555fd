//! The patterns of `.Files.Glob`: `*` within a part of a path, `**` across parts, `?`, `[a-z]`, `{a,b}`.

use regex::{Regex, RegexBuilder};

/// Largest compiled pattern.
const COMPILED_BYTES_MAX: usize = 1 << 20;
/// Braces inside braces.
const BRACES_MAX: usize = 32;

/// A pattern, compiled.
pub(crate) struct FileGlob(Regex);

impl FileGlob {
    /// Returns None for a malformed pattern; Helm takes every file then.
    pub(crate) fn parse(pattern: &str) -> Option<Self> {
        let mut expression = String::from("(?s)^");
        let mut reader = Reader { characters: pattern.chars().collect(), at: 0 };
        reader.sequence(&mut expression, 0)?;
        expression.push('$');
        RegexBuilder::new(&expression).size_limit(COMPILED_BYTES_MAX).build().ok().map(Self)
    }

    pub(crate) fn is_match(&self, name: &str) -> bool {
        self.0.is_match(name)
    }
}

struct Reader {
    characters: Vec<char>,
    at: usize,
}

impl Reader {
    fn next(&mut self) -> Option<char> {
        let next = self.characters.get(self.at).copied();
        self.at += usize::from(next.is_some());
        next
    }

    fn peek(&self) -> Option<char> {
        self.characters.get(self.at).copied()
    }

    /// Reads up to the end, or inside braces up to the brace that closes them.
    fn sequence(&mut self, expression: &mut String, braces: usize) -> Option<()> {
        while let Some(character) = self.next() {
            match character {
                '\\' => literal(self.next()?, expression),
                '*' if self.peek() == Some('*') => {
                    self.at += 1;
                    expression.push_str(".*");
                }
                '*' => expression.push_str("[^/]*"),
                '?' => expression.push_str("[^/]"),
                '[' => self.range(expression)?,
                '{' => {
                    if braces >= BRACES_MAX {
                        return None;
                    }
                    expression.push_str("(?:");
                    self.sequence(expression, braces + 1)?;
                    expression.push(')');
                }
                '}' if braces > 0 => return Some(()),
                ',' if braces > 0 => expression.push('|'),
                other => literal(other, expression),
            }
        }
        (braces == 0).then_some(())
    }

    /// One range `a-z`, or the characters of a list.
    fn range(&mut self, expression: &mut String) -> Option<()> {
        expression.push('[');
        if self.peek() == Some('!') {
            self.at += 1;
            expression.push('^');
        }
        let first = self.next()?;
        if self.peek() == Some('-') {
            self.at += 1;
            let last = self.next()?;
            if self.next()? != ']' || first > last {
                return None;
            }
            in_class(first, expression);
            expression.push('-');
            in_class(last, expression);
        } else {
            self.at -= 1;
            let mut count = 0;
            loop {
                match self.next()? {
                    ']' => break,
                    '\\' => in_class(self.next()?, expression),
                    other => in_class(other, expression),
                }
                count += 1;
            }
            if count == 0 {
                return None;
            }
        }
        expression.push(']');
        Some(())
    }
}

fn literal(character: char, expression: &mut String) {
    expression.push_str(&regex::escape(character.encode_utf8(&mut [0; 4])));
}

fn in_class(character: char, expression: &mut String) {
    if !character.is_alphanumeric() && character.is_ascii() {
        expression.push('\\');
    }
    expression.push(character);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_in_helm() {
        let rows = [
            ("**", "a/b/c", true),
            ("*", "a/b", false),
            ("config/*", "config/a.yaml", true),
            ("config/*", "config/a/b.yaml", false),
            ("config/**", "config/a/b.yaml", true),
            ("**.yaml", "config/a/b.yaml", true),
            ("{a,b}/*.{x,y}", "b/c.y", true),
            ("{a,b}/*.{x,y}", "c/c.y", false),
            ("[a-c]?", "bx", true),
            ("[!a-c]?", "bx", false),
            ("[xyz]", "y", true),
            ("a\\*", "a*", true),
            ("a,b", "a,b", true),
            ("a.b", "aXb", false),
        ];
        for (pattern, name, expected) in rows {
            assert_eq!(FileGlob::parse(pattern).unwrap().is_match(name), expected, "{pattern} {name}");
        }
        assert!(FileGlob::parse("{a").is_none());
        assert!(FileGlob::parse("[a").is_none());
    }
}
