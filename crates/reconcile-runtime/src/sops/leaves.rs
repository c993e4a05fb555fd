//! The values of a file in the order in which they stand: the authentication code is of them in this order.

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
        self.keys.iter().map(|key| format!("{key}:")).collect()
    }
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

/// All values but those of the part `sops`.
pub(super) fn in_order(documents: &[Document]) -> Vec<Leaf<'_>> {
    let mut leaves = Vec::new();
    for (document, content) in documents.iter().enumerate() {
        let mut way = Way { document, content, path: Vec::new(), keys: Vec::new(), leaves: Vec::new() };
        way.walk(&content.value);
        leaves.extend(way.leaves);
    }
    leaves.sort_by_key(|leaf| leaf.position);
    leaves
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
