//! Reads scripts: one call a line, its body indented below it.
//!
//! ```text
//! # what the script shows; the first comment lines are its description
//! create configmaps/a
//!   data: {color: blue}
//! merge configmaps/a
//!   @Accept: application/json        (a header of the request)
//!   data: {color: red}
//! ```

use std::fmt;

/// Most lines of one script; longer ones are refused rather than played for ever.
const LINES_MAX: usize = 5_000;

/// A script that has been read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script {
    /// The script's name: its file's name without the ending. It is also the name of its namespace.
    pub name: String,
    /// The comment at its beginning.
    pub about: String,
    /// The calls, in order.
    pub calls: Vec<Call>,
    /// The parts that have a name of their own: what a line `## NAME` begins.
    pub cases: Vec<Case>,
}

/// A part of a script with a name of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// Where it begins, from 1.
    pub line: usize,
    /// What it is called.
    pub name: String,
}

/// One line of a script with what is indented below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// Where it stands in its file, from 1.
    pub line: usize,
    /// The first word.
    pub verb: String,
    /// The other words. A word in double quotes may hold spaces.
    pub words: Vec<String>,
    /// The line as it was written.
    pub text: String,
    /// Lines `@Name: value` at the start of the body.
    pub headers: Vec<(String, String)>,
    /// The body without its indentation; empty where there is none.
    pub body: String,
}

/// What is wrong with a script, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{script}:{line}: {message}")]
pub struct ScriptError {
    /// The script's name.
    pub script: String,
    /// The line, from 1.
    pub line: usize,
    /// What is wrong.
    pub message: String,
}

impl Script {
    /// Reads a script from its text.
    ///
    /// # Errors
    ///
    /// Names the line that cannot be read.
    pub fn parse(name: &str, text: &str) -> Result<Self, ScriptError> {
        let fail = |line: usize, message: String| ScriptError { script: name.to_owned(), line, message };
        let mut about = Vec::new();
        let mut calls: Vec<Call> = Vec::new();
        let mut cases: Vec<Case> = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let number = index + 1;
            if number > LINES_MAX {
                return Err(fail(number, format!("a script has at most {LINES_MAX} lines")));
            }
            if let Some(rest) = line.strip_prefix("  ") {
                let Some(call) = calls.last_mut() else {
                    return Err(fail(number, "an indented line belongs to a call, and there is none above".to_owned()));
                };
                call.add_body_line(rest);
                continue;
            }
            let trimmed = line.trim();
            if let Some(name) = trimmed.strip_prefix("## ") {
                cases.push(Case { line: number, name: name.trim().to_owned() });
                continue;
            }
            if let Some(comment) = trimmed.strip_prefix('#') {
                if calls.is_empty() {
                    about.push(comment.trim().to_owned());
                }
                continue;
            }
            if trimmed.is_empty() {
                if let Some(call) = calls.last_mut() {
                    call.add_empty_line();
                }
                continue;
            }
            if line.starts_with(char::is_whitespace) {
                return Err(fail(number, "a body is indented by two spaces".to_owned()));
            }
            calls.push(Call::parse(number, trimmed).map_err(|message| fail(number, message))?);
        }
        for call in &mut calls {
            call.body.truncate(call.body.trim_end().len());
        }
        Ok(Self { name: name.to_owned(), about: about.join("\n"), calls, cases })
    }

    /// The case to which a line belongs.
    pub fn case_at(&self, line: usize) -> Option<&Case> {
        self.cases.iter().rev().find(|case| case.line <= line)
    }
}

impl Call {
    fn parse(line: usize, text: &str) -> Result<Self, String> {
        let mut words = split_words(text)?.into_iter();
        let verb = words.next().unwrap_or_default();
        Ok(Self { line, verb, words: words.collect(), text: text.to_owned(), headers: Vec::new(), body: String::new() })
    }

    fn add_body_line(&mut self, line: &str) {
        let header = line.strip_prefix('@').and_then(|header| header.split_once(": "));
        match header {
            Some((name, value)) if self.body.is_empty() => {
                self.headers.push((name.to_owned(), value.trim().to_owned()));
            }
            _ => {
                self.body.push_str(line);
                self.body.push('\n');
            }
        }
    }

    fn add_empty_line(&mut self) {
        if !self.body.is_empty() {
            self.body.push('\n');
        }
    }

    /// Returns the value of an option written `NAME=VALUE` among the words.
    pub fn option(&self, name: &str) -> Option<&str> {
        self.words.iter().find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
    }

    /// Says whether a word stands alone among the words.
    pub fn has(&self, flag: &str) -> bool {
        self.words.iter().any(|word| word == flag)
    }
}

impl fmt::Display for Call {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

fn split_words(text: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quoted = false;
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '"' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            '\\' if quoted => {
                let Some(escaped) = characters.next() else { return Err("a line ends in a backslash".to_owned()) };
                word.get_or_insert_default().push(escaped);
            }
            _ if character.is_whitespace() && !quoted => words.extend(word.take()),
            _ => word.get_or_insert_default().push(character),
        }
    }
    if quoted {
        return Err("a quote is not closed".to_owned());
    }
    words.extend(word);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_takes_the_indented_lines_below_it() {
        let text = "# shows\n# something\n\ncreate configmaps/a x=1 flag\n  @Accept: text/plain\n  data:\n    a: b\n\n  # not a comment\n\nget x \"a b\"\n";
        let script = Script::parse("s", text).unwrap();
        assert_eq!(script.about, "shows\nsomething");
        assert_eq!(script.calls.len(), 2);
        let create = &script.calls[0];
        assert_eq!((create.line, create.verb.as_str()), (4, "create"));
        assert_eq!(create.headers, [("Accept".to_owned(), "text/plain".to_owned())]);
        assert_eq!(create.body, "data:\n  a: b\n\n# not a comment");
        assert_eq!(create.option("x"), Some("1"));
        assert!(create.has("flag") && !create.has("x"));
        assert_eq!(script.calls[1].words, ["x", "a b"]);
    }

    #[test]
    fn parts_with_names_are_known_by_their_lines() {
        let script =
            Script::parse("s", "# shows\nget a\n\n## the first\nget b\n  ## a body\n## the second\nget c\n").unwrap();
        let names: Vec<(usize, &str)> = script.cases.iter().map(|case| (case.line, case.name.as_str())).collect();
        assert_eq!(names, [(4, "the first"), (7, "the second")]);
        assert_eq!(script.case_at(5).map(|case| case.line), Some(4));
        assert_eq!(script.case_at(2), None);
        assert_eq!(script.calls.len(), 3);
    }

    #[test]
    fn what_cannot_be_read_is_named_by_its_line() {
        for (text, expected) in [
            ("  data: {}", "s:1: an indented line belongs to a call, and there is none above"),
            ("get a\n b: c", "s:2: a body is indented by two spaces"),
            ("get \"a", "s:1: a quote is not closed"),
            ("get \"a\\", "s:1: a line ends in a backslash"),
        ] {
            assert_eq!(Script::parse("s", text).unwrap_err().to_string(), expected);
        }
    }
}
