//! Replaces scalars in a text and keeps every other byte: comments, blanks, line ends, quotes.
//!
//! The place of the scalar comes from the parser, but safety does not: the new text is parsed again, and unless exactly
//! the asked values changed, the edit is refused.

use serde_json::Value;

use crate::diagnostic::Diagnostic;
use crate::emit::{Style, style_of};
use crate::layout::{Document, Node, Notation, Step};
use crate::load::parse;
use crate::to_yaml;

/// One scalar to replace.
#[derive(Debug, Clone, PartialEq)]
pub struct Edit {
    /// Which document of the text, counted from 0.
    pub document: usize,
    /// The way to the scalar.
    pub path: Vec<Step>,
    /// The new value: a string, number, boolean or null.
    pub value: Value,
}

/// Why a text was not edited.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// The text is not readable as it is.
    #[error("the text is invalid: {}", first(faults))]
    Unreadable {
        /// What is wrong with it.
        faults: Vec<Diagnostic>,
    },
    /// The text has fewer documents.
    #[error("there is no document {document}, the text has {count}")]
    DocumentMissing {
        /// The document asked for, counted from 0.
        document: usize,
        /// How many there are.
        count: usize,
    },
    /// Nothing stands at the path.
    #[error("there is no value at `{path}`, the nearest is at line {line}")]
    PathMissing {
        /// The path asked for.
        path: String,
        /// Line of the closest parent that exists.
        line: u32,
    },
    /// The old or the new value is a list or a mapping.
    #[error("`{path}` at line {line}: {what}")]
    NotAScalar {
        /// The path asked for.
        path: String,
        /// Line of the value.
        line: u32,
        /// Which of the two is not.
        what: &'static str,
    },
    /// The scalar is written in a way that can't be replaced safely.
    #[error("`{path}` at line {line} can't be edited in place: {what}")]
    Unsafe {
        /// The path asked for.
        path: String,
        /// Line of the value.
        line: u32,
        /// What stands against it.
        what: &'static str,
    },
    /// The edited text would not read as asked, for example because an alias shares the value.
    #[error("editing `{path}` would change more than this value")]
    SideEffect {
        /// The paths asked for.
        path: String,
    },
}

fn first(faults: &[Diagnostic]) -> String {
    faults.first().map(ToString::to_string).unwrap_or_default()
}

/// Replaces one scalar of a text.
///
/// The quotes of the old scalar are kept where the new value allows. Nothing else changes, not even a byte.
///
/// ```
/// let text = "image: 'web:1.0'   # current\r\nreplicas: 2\r\n";
/// let edited = yaml::set_scalar(text, 0, &["image".into()], &"web:1.1".into()).unwrap();
/// assert_eq!(edited, "image: 'web:1.1'   # current\r\nreplicas: 2\r\n");
/// ```
///
/// # Errors
/// When there is no scalar at the path, when it is a block scalar, spans lines, carries an anchor or comes from an
/// alias, or when the edited text would not mean what was asked.
pub fn set_scalar(text: &str, document: usize, path: &[Step], value: &Value) -> Result<String, EditError> {
    set_scalars(text, &[Edit { document, path: path.to_vec(), value: value.clone() }])
}

/// Replaces several scalars of a text: all of them, or none when one is refused.
///
/// # Errors
/// As [`set_scalar`].
pub fn set_scalars(text: &str, edits: &[Edit]) -> Result<String, EditError> {
    let documents = parse(text).map_err(|faults| EditError::Unreadable { faults })?;
    let mut wanted: Vec<Value> = documents.iter().map(|document| document.value.clone()).collect();
    let mut splices = Vec::new();
    for edit in edits {
        let target = Target::find(&documents, edit)?;
        let range = target.range(text)?;
        let old = text.get(range.clone()).unwrap_or_default();
        splices.push((range, notation_of(&edit.value, target.node.notation, old)));
        if let Some(slot) = wanted.get_mut(edit.document).and_then(|value| value_at(value, &edit.path)) {
            slot.clone_from(&edit.value);
        }
    }
    splices.sort_by_key(|(range, _)| range.start);
    let mut edited = String::with_capacity(text.len() + 64);
    let mut done = 0;
    for (range, new) in splices {
        // Two edits of one place overlap: the second finds nothing left to keep and the check below refuses.
        edited.push_str(text.get(done..range.start).unwrap_or_default());
        edited.push_str(&new);
        done = range.end;
    }
    edited.push_str(text.get(done..).unwrap_or_default());
    if means(&edited, &wanted) && line_count(&edited) == line_count(text) {
        return Ok(edited);
    }
    let paths: Vec<String> = edits.iter().map(|edit| path_text(&edit.path)).collect();
    Err(EditError::SideEffect { path: paths.join(", ") })
}

/// Whether a text holds exactly these documents.
fn means(text: &str, wanted: &[Value]) -> bool {
    let found = parse(text).unwrap_or_default();
    found.len() == wanted.len() && found.iter().zip(wanted).all(|(document, wanted)| document.value == *wanted)
}

fn line_count(text: &str) -> usize {
    text.bytes().filter(|byte| matches!(byte, b'\n' | b'\r')).count()
}

/// `.spec.containers[name=web].image`
fn path_text(path: &[Step]) -> String {
    path.iter().map(ToString::to_string).collect::<String>().trim_start_matches('.').to_owned()
}

/// A scalar that was found.
struct Target<'d> {
    node: &'d Node,
    path: String,
}

impl<'d> Target<'d> {
    fn find(documents: &'d [Document], edit: &Edit) -> Result<Self, EditError> {
        let path = path_text(&edit.path);
        let Some(document) = documents.get(edit.document) else {
            return Err(EditError::DocumentMissing { document: edit.document, count: documents.len() });
        };
        if edit.value.is_array() || edit.value.is_object() {
            let line = document.nearest_position(&edit.path).line;
            return Err(EditError::NotAScalar { path, line, what: "the new value is a list or a mapping" });
        }
        // A parent that comes from an alias stands elsewhere, and so does all below it.
        for length in 1..=edit.path.len() {
            let way = edit.path.get(..length).unwrap_or_default();
            let Some((node, _)) = document.walk(way) else {
                return Err(EditError::PathMissing { path, line: document.nearest_position(&edit.path).line });
            };
            if node.notation == Notation::Alias {
                let what = "it comes from an alias or a merge key; edit the anchor";
                return Err(EditError::Unsafe { path, line: node.line, what });
            }
        }
        let Some((node, _)) = document.walk(&edit.path) else {
            return Err(EditError::PathMissing { path, line: document.start().line });
        };
        if node.notation == Notation::Collection {
            return Err(EditError::NotAScalar { path, line: node.line, what: "the value is a list or a mapping" });
        }
        Ok(Self { node, path })
    }

    fn refuse(&self, what: &'static str) -> EditError {
        EditError::Unsafe { path: self.path.clone(), line: self.node.line, what }
    }

    /// The bytes of the scalar, quotes included.
    fn range(&self, text: &str) -> Result<std::ops::Range<usize>, EditError> {
        if self.node.is_anchored {
            return Err(self.refuse("it carries an anchor"));
        }
        // A byte order mark is not counted among the characters that the parser sees.
        let skipped = text.strip_prefix('\u{FEFF}').map_or(0, |rest| text.len() - rest.len());
        let body = text.get(skipped..).unwrap_or_default();
        let start = byte_offset(body, self.node.start);
        let rest = body.get(start..).unwrap_or_default();
        let length = match self.node.notation {
            Notation::Plain => {
                let end = byte_offset(body, self.node.end);
                body.get(start..end).unwrap_or_default().trim_end().len()
            }
            Notation::SingleQuoted => {
                single_quoted_length(rest).ok_or_else(|| self.refuse("its quotes are not closed"))?
            }
            Notation::DoubleQuoted => {
                double_quoted_length(rest).ok_or_else(|| self.refuse("its quotes are not closed"))?
            }
            Notation::Block => return Err(self.refuse("it is a block scalar (`|` or `>`)")),
            Notation::Alias | Notation::Collection => return Err(self.refuse("it is no scalar of its own")),
        };
        let old = rest.get(..length).unwrap_or_default();
        if old.is_empty() {
            return Err(self.refuse("it has no value yet"));
        }
        if old.contains(['\n', '\r']) {
            return Err(self.refuse("it spans several lines"));
        }
        Ok(skipped + start..skipped + start + length)
    }
}

fn byte_offset(text: &str, characters: u32) -> usize {
    let characters = usize::try_from(characters).unwrap_or(usize::MAX);
    text.char_indices().nth(characters).map_or(text.len(), |(offset, _)| offset)
}

/// Bytes of a single-quoted scalar at the start of a text.
fn single_quoted_length(text: &str) -> Option<usize> {
    let mut bytes = text.bytes().enumerate().skip(1).peekable();
    while let Some((at, byte)) = bytes.next() {
        if byte == b'\'' && bytes.next_if(|(_, next)| *next == b'\'').is_none() {
            return Some(at + 1);
        }
    }
    None
}

/// Bytes of a double-quoted scalar at the start of a text.
fn double_quoted_length(text: &str) -> Option<usize> {
    let mut is_escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => return Some(at + 1),
            _ => {}
        }
    }
    None
}

/// Writes a new scalar, in the notation of the old one where that is possible.
fn notation_of(value: &Value, notation: Notation, old: &str) -> String {
    let Value::String(string) = value else {
        return to_yaml(value).trim_end().to_owned();
    };
    let double_quoted = || Value::String(string.clone()).to_string();
    let is_simple = !string.chars().any(|c| c.is_control() || c == '\u{FEFF}');
    match notation {
        Notation::SingleQuoted if is_simple => format!("'{}'", string.replace('\'', "''")),
        Notation::Plain if style_of(string, false) == Style::Plain && is_plain_in_brackets(string) => string.clone(),
        Notation::Plain if old == string => old.to_owned(),
        _ => double_quoted(),
    }
}

/// Whether a plain scalar may also stand inside `[]` and `{}`.
fn is_plain_in_brackets(string: &str) -> bool {
    !string.contains([',', '[', ']', '{', '}']) && !string.starts_with('?') && !string.ends_with(':')
}

/// The slot of a value at a path.
fn value_at<'v>(value: &'v mut Value, path: &[Step]) -> Option<&'v mut Value> {
    path.iter().try_fold(value, |value, step| match step {
        Step::Key(key) => value.get_mut(key),
        Step::Index(index) => value.get_mut(index),
        Step::Entry { key, value: wanted } => {
            value.as_array_mut()?.iter_mut().find(|item| item.get(key).and_then(Value::as_str) == Some(wanted.as_str()))
        }
    })
}
