//! What is wrong with a value, as a tree, and its text.

use serde_json::Value;

use crate::helm::go_text::quote as go_quote;

/// One fault of a value.
#[derive(Debug, Clone)]
pub(super) struct Fault {
    /// JSON pointer of the value.
    pub(super) location: String,
    pub(super) kind: FaultKind,
    pub(super) causes: Vec<Fault>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum FaultKind {
    /// Several faults of one schema.
    Group,
    /// Faults behind a reference.
    Reference,
    /// Anything else, in words.
    Said(String),
}

impl Fault {
    pub(super) fn new(location: &str, text: impl Into<String>) -> Self {
        Self { location: location.to_owned(), kind: FaultKind::Said(text.into()), causes: Vec::new() }
    }

    pub(super) fn with(mut self, causes: Vec<Self>) -> Self {
        self.causes = causes;
        self
    }

    /// One fault of several.
    pub(super) fn group(location: &str, mut faults: Vec<Self>) -> Option<Self> {
        if faults.len() > 1 {
            return Some(Self { location: location.to_owned(), kind: FaultKind::Group, causes: faults });
        }
        faults.pop()
    }

    /// A fault behind a reference.
    pub(super) fn referred(location: &str, fault: Self) -> Self {
        let causes = if fault.kind == FaultKind::Group { fault.causes } else { vec![fault] };
        Self { location: location.to_owned(), kind: FaultKind::Reference, causes }
    }

    /// The text of the whole tree, one fault a line.
    pub(super) fn display(&self) -> String {
        let mut text = String::new();
        let tops = if self.kind == FaultKind::Group { self.causes.as_slice() } else { std::slice::from_ref(self) };
        tops.iter().for_each(|fault| fault.line(1, &mut text));
        text.trim_start_matches('\n').to_owned()
    }

    /// The depth is that of the check that found it.
    fn line(&self, indent: usize, text: &mut String) {
        let is_skipped = self.kind == FaultKind::Reference && self.causes.len() == 1;
        let below = if is_skipped { indent } else { indent + 1 };
        if !is_skipped {
            let said = match &self.kind {
                FaultKind::Group | FaultKind::Reference => "validation failed",
                FaultKind::Said(said) => said,
            };
            text.push('\n');
            text.push_str(&"  ".repeat(indent - 1));
            text.push_str(&format!("- at {}: {said}", quote(&self.location)));
        }
        self.causes.iter().for_each(|cause| cause.line(below, text));
    }
}

/// A text in single quotes.
pub(super) fn quote(text: &str) -> String {
    let quoted = go_quote(text);
    let inner = quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default();
    format!("'{}'", inner.replace("\\\"", "\"").replace('\'', "\\'"))
}

/// Several texts in single quotes.
pub(super) fn quote_all(texts: &[String]) -> String {
    texts.iter().map(|text| quote(text)).collect::<Vec<_>>().join(", ")
}

/// A value that is neither a list nor a mapping.
pub(super) fn show(value: &Value) -> String {
    match value {
        Value::String(text) => quote(text),
        Value::Null => "<nil>".to_owned(),
        Value::Array(_) | Value::Object(_) => "value".to_owned(),
        other => other.to_string(),
    }
}

/// A number with its thousands set apart.
pub(super) fn grouped(number: f64) -> String {
    let plain = format!("{number}");
    let (sign, digits) = plain.strip_prefix('-').map_or(("", plain.as_str()), |digits| ("-", digits));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let mut shown = String::new();
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index) % 3 == 0 {
            shown.push(',');
        }
        shown.push(digit);
    }
    let fraction = if fraction.is_empty() { String::new() } else { format!(".{fraction}") };
    format!("{sign}{shown}{fraction}")
}

/// A count with its thousands set apart.
pub(super) fn counted(count: usize) -> String {
    #[expect(clippy::cast_precision_loss, reason = "counts are small and only shown")]
    grouped(count as f64)
}
