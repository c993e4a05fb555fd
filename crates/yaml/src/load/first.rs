//! The first document of a text as Go's decoder reads it: quickly, without places, and without refusing what Go takes.

use std::collections::BTreeMap;

use saphyr_parser::{Event, Parser};
use serde_json::{Map, Value};

use crate::diagnostic::Diagnostic;
use crate::limits::Limits;

use super::scalar::{Scalar, key_of};
use super::{quoted, source, to_u32};

/// Parses the first document of a text as Go's `yaml.Unmarshal` does: the last of two equal keys wins, nothing after
/// the first document is looked at, an empty text is null, and floats stay floats (`1.0` is not the integer 1).
///
/// [`parse`](crate::parse) is the right function for files that a person can still correct.
///
/// ```
/// let value = yaml::parse_first_as_go("a: 1\na: yes\n---\n{{\n", &yaml::Limits::default()).unwrap();
/// assert_eq!(value, serde_json::json!({"a": true}));
/// ```
///
/// # Errors
/// When the first document is malformed or asks for more than `limits` allow. The message is that of Go's decoder
/// where the parser knows it.
pub fn parse_first_as_go(text: impl AsRef<[u8]>, limits: &Limits) -> Result<Value, Diagnostic> {
    let text = source::decode_leniently(text.as_ref(), limits)?;
    match read(text, limits) {
        // Go lets the lines of a quoted text begin anywhere; the parser wants them behind the key.
        Err(fault) if fault.message == quoted::FAULT => read(&quoted::Moved::of(text).text, limits),
        outcome => outcome,
    }
}

fn read(text: &str, limits: &Limits) -> Result<Value, Diagnostic> {
    let mut parser = Parser::new_from_str(text);
    let mut reader = Reader { limits, stack: Vec::new(), anchors: BTreeMap::new(), values: 0, shared: 0, root: None };
    while let Some(next) = parser.next_event() {
        let (event, span) = next.map_err(|error| {
            let marker = error.marker();
            Diagnostic::new(to_u32(marker.line()), to_u32(marker.col() + 1), go_problem(error.info()))
        })?;
        let at = |message: String| Diagnostic::new(to_u32(span.start.line()), to_u32(span.start.col() + 1), message);
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                reader.scalar(&Scalar { text: &text, style, tag: tag.as_deref() }, anchor).map_err(at)?;
            }
            Event::Alias(anchor) => reader.alias(anchor).map_err(at)?,
            Event::SequenceStart(anchor, _) => reader.open(anchor, Content::List(Vec::new())).map_err(at)?,
            Event::MappingStart(anchor, _) => {
                reader.open(anchor, Content::Mapping(Map::new(), Slot::Key)).map_err(at)?
            }
            Event::SequenceEnd | Event::MappingEnd => reader.close().map_err(at)?,
            Event::DocumentEnd | Event::StreamEnd => break,
            Event::StreamStart | Event::DocumentStart(_) | Event::Nothing => {}
        }
    }
    Ok(reader.root.unwrap_or_default())
}

/// The part of a parser's message that Go's decoder shows.
fn go_problem(info: &str) -> String {
    let problem = match info {
        "recursion limit exceeded" => "exceeded max depth of 10000",
        "simple key expected" | "simple key expect ':'" => "could not find expected ':'",
        "tabs disallowed within this context (block indentation)" | "tabs disallowed in this context" => {
            "found character that cannot start any token"
        }
        "wrongly indented line in block scalar" => "did not find expected key",
        "while parsing node, found unknown anchor" => "unknown anchor",
        info => info,
    };
    match problem.split_once(", ") {
        Some((context, problem)) if context.starts_with("while ") => problem.to_owned(),
        _ => problem.to_owned(),
    }
}

/// A collection that is not yet closed.
struct Frame {
    anchor: usize,
    content: Content,
}

enum Content {
    List(Vec<Value>),
    Mapping(Map<String, Value>, Slot),
}

/// What the next value of a mapping is.
enum Slot {
    Key,
    Value(String),
    Merge,
}

struct Reader<'l> {
    limits: &'l Limits,
    stack: Vec<Frame>,
    anchors: BTreeMap<usize, Value>,
    values: usize,
    shared: usize,
    root: Option<Value>,
}

impl Reader<'_> {
    fn expects_key(&self) -> bool {
        matches!(self.stack.last(), Some(Frame { content: Content::Mapping(_, Slot::Key), .. }))
    }

    fn set_slot(&mut self, next: Slot) {
        if let Some(Frame { content: Content::Mapping(_, slot), .. }) = self.stack.last_mut() {
            *slot = next;
        }
    }

    fn count(&mut self, values: usize) -> Result<(), String> {
        self.values = self.values.saturating_add(values);
        if self.values > self.limits.values_max {
            return Err(format!("more than {} values in one file", self.limits.values_max));
        }
        Ok(())
    }

    fn scalar(&mut self, scalar: &Scalar<'_>, anchor: usize) -> Result<(), String> {
        self.count(1)?;
        if self.expects_key() {
            if scalar.is_merge() {
                self.set_slot(Slot::Merge);
                return Ok(());
            }
            let key = scalar.key()?;
            if anchor != 0 {
                self.anchors.insert(anchor, Value::String(key.clone()));
            }
            self.set_slot(Slot::Value(key));
            return Ok(());
        }
        let value = scalar.value_with_floats()?;
        if anchor != 0 {
            self.anchors.insert(anchor, value.clone());
        }
        self.place(value)
    }

    fn alias(&mut self, anchor: usize) -> Result<(), String> {
        let Some(value) = self.anchors.get(&anchor) else {
            return Err("anchor value contains itself".to_owned());
        };
        let (values, depth) = extent(value);
        self.shared = self.shared.saturating_add(values);
        if self.shared > self.limits.alias_values_max {
            return Err("document contains excessive aliasing".to_owned());
        }
        if self.stack.len() + depth > self.limits.depth_max {
            return Err(format!("exceeded max depth of {}", self.limits.depth_max));
        }
        let value = value.clone();
        self.count(values)?;
        if self.expects_key() {
            let key = key_of(&value)?;
            self.set_slot(Slot::Value(key));
            return Ok(());
        }
        self.place(value)
    }

    fn open(&mut self, anchor: usize, content: Content) -> Result<(), String> {
        self.count(1)?;
        if self.expects_key() {
            let shown = if matches!(content, Content::List(_)) {
                "[]interface {}{}"
            } else {
                "map[interface {}]interface {}{}"
            };
            return Err(format!("invalid map key: {shown}"));
        }
        if self.stack.len() >= self.limits.depth_max {
            return Err(format!("exceeded max depth of {}", self.limits.depth_max));
        }
        self.stack.push(Frame { anchor, content });
        Ok(())
    }

    fn close(&mut self) -> Result<(), String> {
        let Some(frame) = self.stack.pop() else { return Ok(()) };
        let value = match frame.content {
            Content::List(values) => Value::Array(values),
            Content::Mapping(values, _) => Value::Object(values),
        };
        if frame.anchor != 0 {
            self.anchors.insert(frame.anchor, value.clone());
        }
        self.place(value)
    }

    fn place(&mut self, value: Value) -> Result<(), String> {
        match self.stack.last_mut().map(|frame| &mut frame.content) {
            None => self.root = Some(value),
            Some(Content::List(values)) => values.push(value),
            Some(Content::Mapping(values, slot)) => match std::mem::replace(slot, Slot::Key) {
                Slot::Value(key) => {
                    values.insert(key, value);
                }
                Slot::Merge => merge(values, value)?,
                Slot::Key => return Err("a value stands where a key is expected".to_owned()),
            },
        }
        Ok(())
    }
}

/// Applies a merge where it stands; earlier sources of a list win, so they are applied last.
fn merge(values: &mut Map<String, Value>, source: Value) -> Result<(), String> {
    let sources = match source {
        Value::Array(items) => items,
        single => vec![single],
    };
    for source in sources.into_iter().rev() {
        let Value::Object(entries) = source else {
            return Err("map merge requires map or sequence of maps as the value".to_owned());
        };
        values.extend(entries);
    }
    Ok(())
}

/// How many values and how many levels a value holds. The depth is that of a parsed text.
fn extent(value: &Value) -> (usize, usize) {
    let inner = |values: &mut dyn Iterator<Item = &Value>| {
        let (count, depth) = values.map(extent).fold((0_usize, 0), |all, one| (all.0 + one.0, all.1.max(one.1)));
        (count + 1, depth + 1)
    };
    match value {
        Value::Array(items) => inner(&mut items.iter()),
        Value::Object(entries) => inner(&mut entries.values()),
        _ => (1, 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn lines_of_a_quoted_text_may_begin_anywhere() {
        let text = "a:\n  b: 'one\n  two''s\n  three'\n  c: \"x\n y\\\"z\"\n  d: |\n    it's: 'this\n    e\n  e: 1\n";
        let value = parse_first_as_go(text, &Limits::default()).unwrap();
        assert_eq!(value, json!({"a": {"b": "one two's three", "c": "x y\"z", "d": "it's: 'this\ne\n", "e": 1}}));
    }

    #[test]
    fn the_last_of_equal_keys_wins_and_merges_apply_where_they_stand() {
        let text = "x: &x {a: 1, b: 1}\nw: {b: 2, <<: *x, a: 3}\nz: 1\nz: 1.0\n";
        let value = parse_first_as_go(text, &Limits::default()).unwrap();
        assert_eq!(value["w"], json!({"a": 3, "b": 1}));
        assert!(value["z"].is_f64());
    }
}
