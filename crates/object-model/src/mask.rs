//! Takes secret texts out of words and documents that people are shown.

use std::collections::BTreeSet;
use std::fmt;

use serde_json::Value;

/// What stands where a secret was.
const MASK: &str = "[redacted]";
/// A shorter text is masked only where it stands as a word of its own: as a part of words it says nothing.
const PART_BYTES_MIN: usize = 5;
/// Most texts that are looked for.
const TEXTS_MAX: usize = 10_000;

/// Texts that must not be shown. It prints as their number.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Masks {
    /// Longest first, so that a text that has another in it goes as a whole.
    texts: Vec<String>,
}

impl fmt::Debug for Masks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} secret texts", self.texts.len())
    }
}

impl Masks {
    /// Masks these texts, each line of them, and how Go and JSON quote them.
    pub fn new<'t>(texts: impl IntoIterator<Item = &'t str>) -> Self {
        let mut all = BTreeSet::new();
        for text in texts {
            let lines = text.lines().filter(|line| line.trim().len() >= PART_BYTES_MIN).map(str::trim);
            for text in std::iter::once(text.trim()).chain(lines).filter(|text| !text.is_empty()) {
                let quoted = Value::from(text).to_string();
                let inner = quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
                all.insert(inner.unwrap_or(&quoted).to_owned());
                all.insert(text.to_owned());
            }
            if all.len() >= TEXTS_MAX {
                break;
            }
        }
        let mut texts: Vec<String> = all.into_iter().filter(|text| !text.is_empty()).collect();
        texts.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        Self { texts }
    }

    /// Masks every text of a document: its strings and numbers, not its keys, nor words that say nothing (`true`).
    pub fn of_values<'v>(documents: impl IntoIterator<Item = &'v Value>) -> Self {
        let mut texts = Vec::new();
        documents.into_iter().for_each(|document| collect(document, &mut texts));
        Self::new(texts.iter().map(String::as_str))
    }

    /// The texts of both.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.texts.extend(other.texts);
        self.texts.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        self.texts.dedup();
        self
    }

    /// Whether nothing is masked.
    pub fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }

    /// Whether a text holds something that is masked.
    pub fn touches(&self, text: &str) -> bool {
        self.texts.iter().any(|secret| find(text, secret, 0).is_some())
    }

    /// The text without secrets.
    pub fn mask(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for secret in &self.texts {
            let mut from = 0;
            while let Some(at) = find(&text, secret, from) {
                text.replace_range(at..at + secret.len(), MASK);
                from = at + MASK.len();
            }
        }
        text
    }

    /// Masks the strings of a document.
    pub fn mask_value(&self, value: &mut Value) {
        if self.is_empty() {
            return;
        }
        match value {
            Value::String(text) if self.touches(text) => *text = self.mask(text),
            Value::Array(items) => items.iter_mut().for_each(|item| self.mask_value(item)),
            Value::Object(entries) => entries.values_mut().for_each(|value| self.mask_value(value)),
            _ => {}
        }
    }
}

fn collect(value: &Value, texts: &mut Vec<String>) {
    match value {
        Value::String(text) if !matches!(text.as_str(), "true" | "false" | "null") => texts.push(text.clone()),
        Value::Number(number) => texts.push(number.to_string()),
        Value::Array(items) => items.iter().for_each(|item| collect(item, texts)),
        Value::Object(entries) => entries.values().for_each(|value| collect(value, texts)),
        _ => {}
    }
}

/// The next place of a secret in a text, from a place on; a short one counts only as a word.
fn find(text: &str, secret: &str, from: usize) -> Option<usize> {
    let mut from = from;
    loop {
        let at = from + text.get(from..)?.find(secret)?;
        let end = at + secret.len();
        let is_part = |character: Option<char>| character.is_some_and(char::is_alphanumeric);
        let before = text.get(..at).and_then(|before| before.chars().next_back());
        let after = text.get(end..).and_then(|after| after.chars().next());
        if secret.len() >= PART_BYTES_MIN || !(is_part(before) || is_part(after)) {
            return Some(at);
        }
        from = at + secret.chars().next().map_or(1, char::len_utf8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn case_27_secrets_are_masked_whole_quoted_and_line_by_line() {
        let masks = Masks::of_values([&json!({"db": {"password": "hunter2!", "key": "first line\nsecond \"line\""}})]);
        for (text, masked) in [
            ("password hunter2! is wrong", "password [redacted] is wrong"),
            ("xhunter2!x", "x[redacted]x"),
            ("bad key \"first line\\nsecond \\\"line\\\"\"", "bad key \"[redacted]\""),
            ("only second \"line\"", "only [redacted]"),
            ("nothing", "nothing"),
        ] {
            assert_eq!(masks.mask(text), masked);
        }
    }

    #[test]
    fn a_short_secret_is_masked_as_a_word_only_and_keys_and_booleans_never() {
        let masks = Masks::of_values([&json!({"enabled": true, "pin": 42, "flag": "true"})]);
        assert_eq!(
            masks.mask("enabled: true, pin 42, port 4242, 42x"),
            "enabled: true, pin [redacted], port 4242, 42x"
        );
        assert_eq!(format!("{masks:?}"), "1 secret texts");
    }

    #[test]
    fn documents_keep_their_shape() {
        let masks = Masks::new(["hunter2"]);
        let mut value = json!({"env": [{"name": "P", "value": "hunter2"}], "hunter2": 1});
        masks.mask_value(&mut value);
        assert_eq!(value, json!({"env": [{"name": "P", "value": "[redacted]"}], "hunter2": 1}));
    }
}
