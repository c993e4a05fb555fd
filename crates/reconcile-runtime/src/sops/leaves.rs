//! The values and comments of a file in the order in which they stand: the authentication code is of them in this order.

use serde_json::Value;
use yaml::{Document, Position, Step};

/// A value that holds no other.
#[derive(Debug, Clone)]
pub(super) struct Leaf<'d> {
    pub(super) document: usize,
    pub(super) path: Vec<Step>,
    /// The keys on the way; places in lists do not count.
    pub(super) keys: Vec<String>,
    pub(super) value: &'d Value,
    position: Position,
}

impl Leaf<'_> {
    /// What ties an encrypted value to its place.
    pub(super) fn place(&self) -> String {
        place_of(&self.keys)
    }
}

/// What ties an encrypted value to a place.
pub(super) fn place_of(keys: &[String]) -> String {
    keys.iter().map(|key| format!("{key}:")).collect()
}

/// What the authentication code is of.
#[derive(Debug, Clone)]
pub(super) enum Item<'d> {
    Leaf(Leaf<'d>),
    /// The text behind the sign of a comment, and the value that comes after it.
    Comment {
        text: String,
        next: Option<Leaf<'d>>,
    },
}

/// What a value that is not encrypted adds to the code; null adds nothing.
pub(super) fn hashed(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(flag) => Some(if *flag { "True" } else { "False" }.to_owned()),
        Value::Number(number) => match (number.as_i64(), number.as_u64(), number.as_f64()) {
            (Some(number), _, _) => Some(number.to_string()),
            (_, Some(number), _) => Some(number.to_string()),
            (_, _, float) => Some(float?.to_string()),
        },
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// All values and comments but those of the part `sops`.
pub(super) fn in_order<'d>(text: &str, documents: &'d [Document], is_json: bool) -> Vec<Item<'d>> {
    let mut leaves = Vec::new();
    for (document, content) in documents.iter().enumerate() {
        let mut way = Way { document, content, path: Vec::new(), keys: Vec::new(), leaves: Vec::new() };
        way.walk(&content.value);
        leaves.extend(way.leaves);
    }
    leaves.sort_by_key(|leaf| leaf.position);
    if is_json {
        return leaves.into_iter().map(Item::Leaf).collect();
    }
    let hidden = hidden_lines(text);
    let mut comments = text.lines().enumerate().filter_map(|(index, line)| {
        let line_number = u32::try_from(index + 1).ok()?;
        let is_hidden = hidden.iter().any(|(from, to)| (*from..*to).contains(&line_number));
        let comment = line.trim_start().strip_prefix('#').filter(|_| !is_hidden)?;
        Some((line_number, comment.to_owned()))
    });
    let mut items = Vec::new();
    let mut comment = comments.next();
    for leaf in leaves {
        while let Some((_, text)) = comment.take_if(|(line, _)| *line < leaf.position.line) {
            items.push(Item::Comment { text, next: Some(leaf.clone()) });
            comment = comments.next();
        }
        items.push(Item::Leaf(leaf));
    }
    let last = items.iter().rev().find_map(|item| match item {
        Item::Leaf(leaf) => Some(leaf.clone()),
        Item::Comment { .. } => None,
    });
    let rest = comment.into_iter().chain(comments);
    items.extend(rest.map(|(_, text)| Item::Comment { text, next: last.clone() }));
    items
}

/// The lines of the parts `sops`: from their key to the next line that is not within.
fn hidden_lines(text: &str) -> Vec<(u32, u32)> {
    let mut hidden = Vec::new();
    let mut from = None;
    let mut number = 0;
    for line in text.lines() {
        number += 1;
        let is_within = line.is_empty() || line.starts_with([' ', '\t', '-']) && line != "---";
        if let Some(begin) = from.filter(|_| !is_within) {
            hidden.push((begin, number));
            from = None;
        }
        if line.starts_with("sops:") {
            from = Some(number);
        }
    }
    hidden.extend(from.map(|begin| (begin, number + 1)));
    hidden
}

/// A walk through one document.
struct Way<'d> {
    document: usize,
    content: &'d Document,
    path: Vec<Step>,
    keys: Vec<String>,
    leaves: Vec<Leaf<'d>>,
}

impl<'d> Way<'d> {
    fn walk(&mut self, value: &'d Value) {
        match value {
            Value::Object(map) => {
                for (key, value) in map {
                    if self.path.is_empty() && key == "sops" {
                        continue;
                    }
                    self.path.push(Step::Key(key.clone()));
                    self.keys.push(key.clone());
                    self.walk(value);
                    self.keys.pop();
                    self.path.pop();
                }
            }
            Value::Array(items) => {
                for (index, value) in items.iter().enumerate() {
                    self.path.push(Step::Index(index));
                    self.walk(value);
                    self.path.pop();
                }
            }
            value => {
                let Some(position) = self.content.position(&self.path) else { return };
                let (path, keys) = (self.path.clone(), self.keys.clone());
                self.leaves.push(Leaf { document: self.document, path, keys, value, position });
            }
        }
    }
}
