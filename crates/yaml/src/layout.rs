//! Where the values of a document stand in its text.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

/// A place in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// Line, counted from 1.
    pub line: u32,
    /// Column in characters, counted from 1.
    pub column: u32,
}

/// `line:column`.
impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// One step of the way from the root of a document to a value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// The value under a key of a mapping.
    Key(String),
    /// The value at an index of a list, counted from 0.
    Index(usize),
    /// The first entry of a list that is a mapping whose `key` holds the string `value`.
    Entry {
        /// Key looked at, for example `name`.
        key: String,
        /// String it must hold.
        value: String,
    },
}

impl Step {
    /// Returns the step to the first list entry whose `key` is `value`.
    pub fn entry(key: impl Into<String>, value: impl Into<String>) -> Self {
        Self::Entry { key: key.into(), value: value.into() }
    }
}

impl From<&str> for Step {
    fn from(key: &str) -> Self {
        Self::Key(key.to_owned())
    }
}

impl From<String> for Step {
    fn from(key: String) -> Self {
        Self::Key(key)
    }
}

impl From<usize> for Step {
    fn from(index: usize) -> Self {
        Self::Index(index)
    }
}

/// `.key`, `[2]` or `[name=web]`.
impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(key) => write!(f, ".{key}"),
            Self::Index(index) => write!(f, "[{index}]"),
            Self::Entry { key, value } => write!(f, "[{key}={value}]"),
        }
    }
}

/// One document of a text: its value and where each part of it stands.
#[derive(Debug, Clone)]
pub struct Document {
    /// The value, as `sigs.k8s.io/yaml` would hand it to a JSON decoder. An empty document is null.
    pub value: Value,
    /// Place of the document among those of its text, counted from 0.
    pub index: usize,
    pub(crate) root: Node,
}

impl Document {
    /// Where the document's content begins.
    pub fn start(&self) -> Position {
        self.root.position()
    }

    /// Where the value at `path` stands; `None` when there is no such value.
    ///
    /// A value that came through an alias or a merge key is where the alias stands.
    pub fn position(&self, path: &[Step]) -> Option<Position> {
        Some(self.walk(path)?.0.position())
    }

    /// The value at `path`.
    pub fn get(&self, path: &[Step]) -> Option<&Value> {
        self.walk(path)?.1
    }

    /// The nearest place for a message about `path`: its own, or that of the closest parent that exists.
    ///
    /// Keys and indices are found even after the value was taken out of the document.
    pub fn nearest_position(&self, path: &[Step]) -> Position {
        let mut here = (&self.root, Some(&self.value));
        for step in path {
            match child(here, step) {
                Some(next) => here = next,
                None => break,
            }
        }
        here.0.position()
    }

    pub(crate) fn walk(&self, path: &[Step]) -> Option<(&Node, Option<&Value>)> {
        path.iter().try_fold((&self.root, Some(&self.value)), child)
    }
}

/// Follows one step from a node and its value; only entries need the value.
pub(crate) fn child<'a>(
    (node, value): (&'a Node, Option<&'a Value>),
    step: &Step,
) -> Option<(&'a Node, Option<&'a Value>)> {
    match (step, &node.children) {
        (Step::Key(key), Children::Entries(entries)) => {
            Some((entries.get(key.as_str())?, value.and_then(|value| value.get(key))))
        }
        (Step::Index(index), Children::Items(items)) => {
            Some((items.get(*index)?, value.and_then(|value| value.get(*index))))
        }
        (Step::Entry { key, value: wanted }, Children::Items(items)) => {
            let list = value?.as_array()?;
            let is_wanted = |item: &Value| item.get(key).and_then(Value::as_str) == Some(wanted.as_str());
            let index = list.iter().position(is_wanted)?;
            Some((items.get(index)?, list.get(index)))
        }
        _ => None,
    }
}

/// How a value is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Notation {
    Collection,
    Plain,
    SingleQuoted,
    DoubleQuoted,
    Block,
    /// Stands elsewhere: reached through an alias or a merge key.
    Alias,
}

/// The place of one value; the tree has the shape of the value.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) line: u32,
    pub(crate) column: u32,
    /// Characters before the value in the text.
    pub(crate) start: u32,
    /// Characters before the end; exact for plain scalars only.
    pub(crate) end: u32,
    pub(crate) notation: Notation,
    pub(crate) is_anchored: bool,
    pub(crate) children: Children,
}

impl Node {
    pub(crate) fn position(&self) -> Position {
        Position { line: self.line, column: self.column }
    }

    /// The same subtree as it appears where an alias or merge key of `place` brings it in.
    pub(crate) fn aliased_at(&self, place: &Self) -> Self {
        Self {
            line: place.line,
            column: place.column,
            start: place.start,
            end: place.end,
            notation: Notation::Alias,
            is_anchored: false,
            children: self.children.clone(),
        }
    }
}

/// The nodes below one node.
#[derive(Debug, Clone)]
pub(crate) enum Children {
    None,
    Items(Vec<Node>),
    Entries(BTreeMap<Box<str>, Node>),
}
