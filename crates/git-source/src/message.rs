//! Commit messages: a subject, a body and trailers, built so that no value can pose as another.

use serde::{Deserialize, Serialize};

/// Why a person or a message is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{part} `{text}` is refused: {why}")]
pub struct MessageError {
    /// What the text was meant for.
    pub part: &'static str,
    /// The text, made printable and cut to 120 characters.
    pub text: String,
    /// What is wrong with it.
    pub why: &'static str,
}

fn refuse(part: &'static str, text: &str, why: &'static str) -> MessageError {
    MessageError { part, text: text.escape_debug().take(120).collect(), why }
}

/// A name and a mail address, as commits carry them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Person {
    /// The name.
    pub name: String,
    /// The mail address, without angle brackets.
    pub email: String,
}

impl Person {
    /// Takes a name and an address.
    ///
    /// # Errors
    /// When one is empty or has a control character or an angle bracket, which would end it early.
    pub fn new(name: &str, email: &str) -> Result<Self, MessageError> {
        let person = Self { name: name.trim().to_owned(), email: email.trim().to_owned() };
        person.check()?;
        Ok(person)
    }

    pub(crate) fn check(&self) -> Result<(), MessageError> {
        for (part, text) in [("name", &self.name), ("mail address", &self.email)] {
            if text.is_empty() {
                return Err(refuse(part, text, "it is empty"));
            }
            if text.chars().any(|c| c.is_control() || c == '<' || c == '>') {
                return Err(refuse(part, text, "it has a control character or an angle bracket"));
            }
            if text.len() > 500 {
                return Err(refuse(part, text, "it is longer than 500 bytes"));
            }
        }
        Ok(())
    }
}

impl std::fmt::Display for Person {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} <{}>", self.name, self.email)
    }
}

/// The `Key: value` lines at the end of a message, in their order; a key may repeat.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Trailers(Vec<(String, String)>);

impl Trailers {
    /// No trailers.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a line.
    ///
    /// # Errors
    /// When the key is not made of letters, digits and dashes, or the value is empty or more than one line.
    pub fn add(&mut self, key: &str, value: &str) -> Result<(), MessageError> {
        let value = value.trim();
        check_trailer(key, value)?;
        self.0.push((key.to_owned(), value.to_owned()));
        Ok(())
    }
    /// Adds a line and returns the whole, for building in one expression.
    ///
    /// # Errors
    /// As [`Trailers::add`].
    pub fn with(mut self, key: &str, value: &str) -> Result<Self, MessageError> {
        self.add(key, value)?;
        Ok(self)
    }

    /// Reads the trailers of a message: its last paragraph, when every line of it is one.
    pub fn parse(message: &str) -> Self {
        let text = message.replace("\r\n", "\n");
        let text = text.trim_end();
        let Some((_, block)) = last_paragraph(text) else { return Self::default() };
        let mut trailers: Vec<(String, String)> = Vec::new();
        for line in block.lines() {
            if line.starts_with([' ', '\t']) {
                let Some((_, value)) = trailers.last_mut() else { return Self::default() };
                value.push(' ');
                value.push_str(line.trim());
            } else if let Some((key, value)) = line.split_once(':').filter(|(key, _)| is_key(key.trim_end())) {
                trailers.push((key.trim_end().to_owned(), value.trim().to_owned()));
            } else if !line.starts_with("(cherry picked from commit ") {
                return Self::default();
            }
        }
        Self(trailers)
    }

    /// The first value of a key, written in any case.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.iter().find(|(name, _)| name.eq_ignore_ascii_case(key)).map(|(_, value)| value)
    }

    /// All values of a key, written in any case.
    pub fn all<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(name, _)| name.eq_ignore_ascii_case(key)).map(|(_, value)| value.as_str())
    }

    /// All keys and values in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn check_trailer(key: &str, value: &str) -> Result<(), MessageError> {
    if !is_key(key) {
        return Err(refuse("trailer key", key, "it is not made of letters, digits and dashes"));
    }
    if value.is_empty() {
        return Err(refuse("trailer value", value, "it is empty"));
    }
    if value.chars().any(|c| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')) {
        return Err(refuse("trailer value", value, "it has a line break or control character"));
    }
    if value.len() > 4000 {
        return Err(refuse("trailer value", value, "it is longer than 4000 bytes"));
    }
    Ok(())
}

fn is_key(key: &str) -> bool {
    !key.is_empty() && key.len() <= 100 && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

/// Splits off the last paragraph; `None` when there is only one.
fn last_paragraph(text: &str) -> Option<(&str, &str)> {
    let mut end_of_blank = None;
    let mut offset = 0;
    for line in text.split_inclusive('\n') {
        if line.trim().is_empty() && offset > 0 {
            end_of_blank = Some((offset, offset + line.len()));
        }
        offset += line.len();
    }
    let (before, after) = end_of_blank?;
    Some((text.get(..before)?, text.get(after..)?))
}

/// A commit message before it is text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    subject: String,
    body: String,
    trailers: Trailers,
}

impl Message {
    /// Takes the first line.
    ///
    /// # Errors
    /// When it is empty, longer than 500 bytes or more than one line.
    pub fn new(subject: &str) -> Result<Self, MessageError> {
        let subject = subject.trim();
        check_subject(subject)?;
        Ok(Self { subject: subject.to_owned(), body: String::new(), trailers: Trailers::default() })
    }

    /// Sets the text below the subject.
    ///
    /// # Errors
    /// When it has control characters other than line breaks and tabs, or is longer than 64 KiB.
    pub fn with_body(mut self, body: &str) -> Result<Self, MessageError> {
        let body = body.replace("\r\n", "\n");
        check_body(&body)?;
        self.body = body.trim_matches('\n').trim_end().to_owned();
        Ok(self)
    }

    /// Sets the trailers.
    #[must_use]
    pub fn with_trailers(mut self, trailers: Trailers) -> Self {
        self.trailers = trailers;
        self
    }

    /// The first line.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// The text below the subject.
    pub fn body(&self) -> &str {
        &self.body
    }

    /// The trailers.
    pub fn trailers(&self) -> &Trailers {
        &self.trailers
    }

    /// A message may have been read from where anyone can write; what is refused when it is built is refused then, too.
    pub(crate) fn check(&self) -> Result<(), MessageError> {
        check_subject(&self.subject)?;
        check_body(&self.body)?;
        self.trailers.iter().try_for_each(|(key, value)| check_trailer(key, value))
    }

    /// The message as a commit carries it, with a final line break.
    pub fn to_text(&self) -> String {
        let mut text = self.subject.clone();
        if !self.body.is_empty() {
            text.push_str("\n\n");
            text.push_str(&self.body);
        }
        if self.trailers.is_empty() {
            // Without trailers of our own, a body that ends like them would be read as them.
            if !Trailers::parse(&text).is_empty() {
                text = indent_last_paragraph(&text);
            }
        } else {
            text.push('\n');
            for (key, value) in self.trailers.iter() {
                text.push_str(&format!("\n{key}: {value}"));
            }
        }
        text.push('\n');
        text
    }
}

fn check_subject(subject: &str) -> Result<(), MessageError> {
    if subject.is_empty() {
        return Err(refuse("subject", subject, "it is empty"));
    }
    if subject.chars().any(char::is_control) {
        return Err(refuse("subject", subject, "it has a line break or control character"));
    }
    if subject.len() > 500 {
        return Err(refuse("subject", subject, "it is longer than 500 bytes"));
    }
    Ok(())
}

fn check_body(body: &str) -> Result<(), MessageError> {
    if body.chars().any(|c| c.is_control() && c != '\n' && c != '\t') {
        return Err(refuse("body", body, "it has a control character"));
    }
    if body.len() > 64 << 10 {
        return Err(refuse("body", body, "it is longer than 64 KiB"));
    }
    Ok(())
}

fn indent_last_paragraph(text: &str) -> String {
    let Some((before, block)) = last_paragraph(text) else { return text.to_owned() };
    let lines: Vec<_> = block.lines().map(|line| format!("    {line}")).collect();
    format!("{before}\n{}", lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_reads_back_with_its_trailers() {
        let trailers = Trailers::new().with("Sluice-Operation", "01J").unwrap().with("Sluice-Env", "prod").unwrap();
        let message = Message::new("Promote web").unwrap().with_body("Why: because\n").unwrap().with_trailers(trailers);
        insta::assert_snapshot!(message.to_text(), @r"
        Promote web

        Why: because

        Sluice-Operation: 01J
        Sluice-Env: prod
        ");
        let read = Trailers::parse(&message.to_text());
        assert_eq!(read.iter().collect::<Vec<_>>(), [("Sluice-Operation", "01J"), ("Sluice-Env", "prod")]);
        assert_eq!(read.get("sluice-env"), Some("prod"));
    }

    #[test]
    fn case_36_a_body_can_not_pose_as_trailers() {
        let message = Message::new("x").unwrap().with_body("text\n\nSluice-Operation: forged").unwrap();
        assert_eq!(message.to_text(), "x\n\ntext\n\n    Sluice-Operation: forged\n");
        assert!(Trailers::parse(&message.to_text()).is_empty());
    }

    #[test]
    fn case_36_line_breaks_and_brackets_are_refused_where_they_would_add_a_field() {
        assert_eq!(
            Message::new("a\nb").unwrap_err().to_string(),
            "subject `a\\nb` is refused: it has a line break or control character"
        );
        assert!(Message::new("  ").is_err());
        assert!(Message::new("a").unwrap().with_body("\u{1b}[31m").is_err());
        for (key, value) in [("a b", "x"), ("", "x"), ("Key", ""), ("Key", "a\nOther: b"), ("Key", "a\u{2028}b")] {
            assert!(Trailers::new().add(key, value).is_err(), "{key}: {value}");
        }
        assert!(Person::new("A <evil@x>", "a@x").is_err());
        assert!(Person::new("A", "a@x>\ncommitter B <b@x").is_err());
        assert!(Person::new("", "a@x").is_err());
    }

    #[test]
    fn only_a_last_paragraph_made_of_trailers_counts() {
        for (message, expected) in [
            ("Key: value", vec![]),
            ("subject\n\nKey: value", vec![("Key", "value")]),
            ("subject\r\n\r\nKey: value\r\n", vec![("Key", "value")]),
            ("subject\n\nKey: value\n\nprose", vec![]),
            ("subject\n\nprose\nKey: value", vec![]),
            ("subject\n\nA: 1\n  more\nB: 2\n", vec![("A", "1 more"), ("B", "2")]),
            ("subject\n\nA: 1\n(cherry picked from commit abc)\n", vec![("A", "1")]),
            ("subject\n\n  indented: 1\n", vec![]),
        ] {
            assert_eq!(Trailers::parse(message).iter().collect::<Vec<_>>(), expected, "{message:?}");
        }
    }
}
