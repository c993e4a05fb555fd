//! Builds values and their places from events, with an explicit stack so that depth costs no native stack.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use saphyr_parser::Tag;
use serde_json::{Map, Value};

use crate::diagnostic::Diagnostic;
use crate::layout::{Children, Document, Node, Notation};
use crate::limits::Limits;

use super::scalar::{Scalar, key_of, short_tag, shortened};

/// Where an event stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mark {
    pub(super) line: u32,
    pub(super) column: u32,
    pub(super) start: u32,
    pub(super) end: u32,
}

impl Mark {
    fn fault(self, message: impl Into<String>) -> Diagnostic {
        Diagnostic::new(self.line, self.column, message)
    }

    fn node(self, notation: Notation, is_anchored: bool, children: Children) -> Node {
        let Self { line, column, start, end } = self;
        Node { line, column, start, end, notation, is_anchored, children }
    }
}

/// A value that an anchor names, with what it costs to repeat it.
struct Anchored {
    value: Value,
    node: Node,
    values: usize,
    bytes: usize,
}

/// A collection that is not yet closed.
struct Frame {
    place: Mark,
    anchor: usize,
    values_before: usize,
    bytes_before: usize,
    content: Content,
}

enum Content {
    List {
        values: Vec<Value>,
        nodes: Vec<Node>,
    },
    Mapping {
        values: Map<String, Value>,
        nodes: BTreeMap<Box<str>, Node>,
        explicit: BTreeMap<Box<str>, u32>,
        slot: Slot,
    },
}

/// What the next value of a mapping is.
enum Slot {
    Key,
    Value(String),
    Merge(Mark),
}

/// Collects the documents of a text.
pub(super) struct Builder<'l> {
    limits: &'l Limits,
    documents: Vec<Document>,
    root: Option<(Value, Node)>,
    stack: Vec<Frame>,
    anchors: BTreeMap<usize, Anchored>,
    open_anchors: BTreeSet<usize>,
    start: Mark,
    values: usize,
    bytes: usize,
    alias_values: usize,
    alias_bytes: usize,
    is_exhausted: bool,
}

impl<'l> Builder<'l> {
    pub(super) fn new(limits: &'l Limits) -> Self {
        Self {
            limits,
            documents: Vec::new(),
            root: None,
            stack: Vec::new(),
            anchors: BTreeMap::new(),
            open_anchors: BTreeSet::new(),
            start: Mark { line: 1, column: 1, start: 0, end: 0 },
            values: 0,
            bytes: 0,
            alias_values: 0,
            alias_bytes: 0,
            is_exhausted: false,
        }
    }

    /// Whether a limit of the whole text was reached, so that reading on is pointless.
    pub(super) fn is_exhausted(&self) -> bool {
        self.is_exhausted
    }

    pub(super) fn finish(self) -> Vec<Document> {
        self.documents
    }

    /// Forgets the document in which a fault was found.
    pub(super) fn abandon_document(&mut self) {
        self.stack.clear();
        self.root = None;
        self.anchors.clear();
        self.open_anchors.clear();
    }

    pub(super) fn start_document(&mut self, place: Mark) -> Result<(), Diagnostic> {
        self.abandon_document();
        self.start = place;
        if self.documents.len() >= self.limits.documents_max {
            self.is_exhausted = true;
            return Err(place
                .fault(format!("more than {} documents in one file", self.limits.documents_max))
                .with_hint("split the file"));
        }
        Ok(())
    }

    pub(super) fn end_document(&mut self) {
        let empty = || (Value::Null, self.start.node(Notation::Plain, false, Children::None));
        let (value, root) = self.root.take().unwrap_or_else(empty);
        self.documents.push(Document { value, index: self.documents.len(), root });
    }

    pub(super) fn scalar(&mut self, scalar: &Scalar<'_>, anchor: usize, place: Mark) -> Result<(), Diagnostic> {
        self.charge(scalar.text.len(), place)?;
        if self.expects_key() {
            if scalar.is_merge() {
                self.set_slot(Slot::Merge(place));
                return Ok(());
            }
            let key = scalar.key().map_err(|message| with_scalar_hint(place.fault(message)))?;
            if anchor != 0 {
                let value = Value::String(key.clone());
                self.remember(anchor, value, place.node(scalar.notation(), true, Children::None), 1, scalar.text.len());
            }
            return self.open_key(key, place);
        }
        let value = scalar.value().map_err(|message| with_scalar_hint(place.fault(message)))?;
        let node = place.node(scalar.notation(), anchor != 0, Children::None);
        if anchor != 0 {
            self.remember(anchor, value.clone(), node.clone(), 1, scalar.text.len());
        }
        self.place_value(value, node, place)
    }

    pub(super) fn alias(&mut self, anchor: usize, place: Mark) -> Result<(), Diagnostic> {
        if self.open_anchors.contains(&anchor) {
            return Err(place.fault("an anchor contains an alias to itself"));
        }
        let Some(anchored) = self.anchors.get(&anchor) else {
            return Err(place
                .fault("the alias names an anchor of another document")
                .with_hint("define the anchor with `&` earlier in the same document"));
        };
        self.alias_values += anchored.values;
        self.alias_bytes += anchored.bytes;
        self.values += anchored.values;
        self.bytes += anchored.bytes;
        if self.alias_values > self.limits.alias_values_max || self.alias_bytes > self.limits.alias_bytes_max {
            self.is_exhausted = true;
            return Err(place
                .fault("aliases expand to too many values")
                .with_hint("write the values out, or share fewer of them"));
        }
        let depth = self.stack.len() + depth_of(&anchored.node);
        if depth > self.limits.depth_max {
            return Err(too_deep(place, self.limits.depth_max));
        }
        let (value, node) = (anchored.value.clone(), anchored.node.aliased_at(&alias_node(place)));
        self.check_values(place)?;
        if self.expects_key() {
            let key = key_of(&value).map_err(|message| place.fault(message))?;
            return self.open_key(key, place);
        }
        self.place_value(value, node, place)
    }

    pub(super) fn start_list(&mut self, anchor: usize, tag: Option<&Tag>, place: Mark) -> Result<(), Diagnostic> {
        check_collection_tag(tag, "!!seq", place)?;
        self.open(anchor, Content::List { values: Vec::new(), nodes: Vec::new() }, place)
    }

    pub(super) fn start_mapping(&mut self, anchor: usize, tag: Option<&Tag>, place: Mark) -> Result<(), Diagnostic> {
        check_collection_tag(tag, "!!map", place)?;
        let content =
            Content::Mapping { values: Map::new(), nodes: BTreeMap::new(), explicit: BTreeMap::new(), slot: Slot::Key };
        self.open(anchor, content, place)
    }

    pub(super) fn end_collection(&mut self) -> Result<(), Diagnostic> {
        let Some(frame) = self.stack.pop() else { return Ok(()) };
        let (value, children) = match frame.content {
            Content::List { values, nodes } => (Value::Array(values), Children::Items(nodes)),
            Content::Mapping { values, nodes, .. } => (Value::Object(values), Children::Entries(nodes)),
        };
        let node = frame.place.node(Notation::Collection, frame.anchor != 0, children);
        if frame.anchor != 0 {
            self.open_anchors.remove(&frame.anchor);
            let (values, bytes) = (self.values - frame.values_before, self.bytes - frame.bytes_before);
            self.remember(frame.anchor, value.clone(), node.clone(), values, bytes);
        }
        self.place_value(value, node, frame.place)
    }

    fn open(&mut self, anchor: usize, content: Content, place: Mark) -> Result<(), Diagnostic> {
        if self.expects_key() {
            let kind = if matches!(content, Content::List { .. }) { "list" } else { "mapping" };
            return Err(place.fault(format!("a key is a {kind}")).with_hint(
                "keys are strings; quote a key that begins with `{`, `[` or `?` (a template such as `{{ x }}` is one)",
            ));
        }
        let (values_before, bytes_before) = (self.values, self.bytes);
        self.charge(0, place)?;
        if self.stack.len() >= self.limits.depth_max {
            self.is_exhausted = true;
            return Err(too_deep(place, self.limits.depth_max));
        }
        if anchor != 0 {
            self.open_anchors.insert(anchor);
        }
        self.stack.push(Frame { place, anchor, values_before, bytes_before, content });
        Ok(())
    }

    fn remember(&mut self, anchor: usize, value: Value, node: Node, values: usize, bytes: usize) {
        self.anchors.insert(anchor, Anchored { value, node, values, bytes });
    }

    fn expects_key(&self) -> bool {
        matches!(self.stack.last(), Some(Frame { content: Content::Mapping { slot: Slot::Key, .. }, .. }))
    }

    fn set_slot(&mut self, next: Slot) {
        if let Some(Frame { content: Content::Mapping { slot, .. }, .. }) = self.stack.last_mut() {
            *slot = next;
        }
    }

    fn open_key(&mut self, key: String, place: Mark) -> Result<(), Diagnostic> {
        if let Some(Frame { content: Content::Mapping { explicit, .. }, .. }) = self.stack.last_mut() {
            match explicit.entry(key.as_str().into()) {
                Entry::Occupied(first) => {
                    let message = format!("duplicate key `{}`", shortened(&key));
                    return Err(place.fault(message).with_hint(format!("it is first set at line {}", first.get())));
                }
                Entry::Vacant(slot) => {
                    slot.insert(place.line);
                }
            }
        }
        self.set_slot(Slot::Value(key));
        Ok(())
    }

    fn place_value(&mut self, value: Value, node: Node, place: Mark) -> Result<(), Diagnostic> {
        let Some(frame) = self.stack.last_mut() else {
            self.root = Some((value, node));
            return Ok(());
        };
        match &mut frame.content {
            Content::List { values, nodes } => {
                values.push(value);
                nodes.push(node);
            }
            Content::Mapping { values, nodes, slot, .. } => match std::mem::replace(slot, Slot::Key) {
                Slot::Value(key) => {
                    nodes.insert(key.as_str().into(), node);
                    values.insert(key, value);
                }
                Slot::Merge(merge) => merge_into(values, nodes, value, &node, merge)?,
                Slot::Key => return Err(place.fault("a value stands where a key is expected")),
            },
        }
        Ok(())
    }

    fn charge(&mut self, bytes: usize, place: Mark) -> Result<(), Diagnostic> {
        self.values += 1;
        self.bytes += bytes;
        self.check_values(place)
    }

    fn check_values(&mut self, place: Mark) -> Result<(), Diagnostic> {
        if self.values > self.limits.values_max {
            self.is_exhausted = true;
            return Err(place
                .fault(format!("more than {} values in one file", self.limits.values_max))
                .with_hint("split the file"));
        }
        Ok(())
    }
}

/// Applies a merge key where it stands: it overrides keys above it and is overridden by keys below it, as in Go.
fn merge_into(
    values: &mut Map<String, Value>,
    nodes: &mut BTreeMap<Box<str>, Node>,
    value: Value,
    node: &Node,
    place: Mark,
) -> Result<(), Diagnostic> {
    let sources: Vec<(Value, &Node)> = match (value, &node.children) {
        (Value::Array(items), Children::Items(item_nodes)) if node.notation == Notation::Collection => {
            items.into_iter().zip(item_nodes).collect()
        }
        (value, _) => vec![(value, node)],
    };
    // Earlier sources take precedence, so they are applied last.
    for (source, source_node) in sources.into_iter().rev() {
        let (Value::Object(entries), Children::Entries(entry_nodes)) = (source, &source_node.children) else {
            return Err(place
                .fault("a merge key needs a mapping or a list of mappings")
                .with_hint("quote the key (`\"<<\"`) when it is meant as a plain string"));
        };
        let here = alias_node(place);
        for (key, value) in entries {
            if let Some(entry) = entry_nodes.get(key.as_str()) {
                nodes.insert(key.as_str().into(), entry.aliased_at(&here));
            }
            values.insert(key, value);
        }
    }
    Ok(())
}

fn alias_node(place: Mark) -> Node {
    place.node(Notation::Alias, false, Children::None)
}

/// How many levels of collections a node holds.
fn depth_of(node: &Node) -> usize {
    match &node.children {
        Children::None => 0,
        Children::Items(items) => 1 + items.iter().map(depth_of).max().unwrap_or(0),
        Children::Entries(entries) => 1 + entries.values().map(depth_of).max().unwrap_or(0),
    }
}

fn too_deep(place: Mark, depth_max: usize) -> Diagnostic {
    place.fault(format!("lists and mappings are nested more than {depth_max} levels deep"))
}

fn check_collection_tag(tag: Option<&Tag>, wanted: &str, place: Mark) -> Result<(), Diagnostic> {
    match tag.map(short_tag) {
        Some(tag) if tag != wanted && tag != "!" => Err(with_scalar_hint(place.fault(format!("unknown tag `{tag}`")))),
        _ => Ok(()),
    }
}

/// Adds what helps against a scalar that is refused.
fn with_scalar_hint(fault: Diagnostic) -> Diagnostic {
    if fault.message.starts_with("unknown tag") {
        return fault.with_hint("remove the tag, or quote the value when it is meant as a string");
    }
    if fault.message.contains("no form in JSON")
        || fault.message.starts_with("the key")
        || fault.message.starts_with("a key is null")
    {
        return fault.with_hint("quote it when it is meant as a string");
    }
    if fault.message.starts_with("binary values") {
        return fault.with_hint("write the base64 text as a plain string");
    }
    fault
}
