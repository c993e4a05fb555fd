//! The first document of a text as Go's decoder reads it: quickly, without places, and without refusing what Go takes.

use std::collections::BTreeMap;

use saphyr_parser::{Event, Marker, Parser, ScanError};
use serde_json::{Map, Value};

use crate::diagnostic::Diagnostic;
use crate::limits::Limits;

use super::scalar::{Scalar, key_of};
use super::{quoted, simple, source, to_u32};

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
/// where the parser knows it, and the line is the one that Go names, 0 when it names none.
pub fn parse_first_as_go(text: impl AsRef<[u8]>, limits: &Limits) -> Result<Value, Diagnostic> {
    let text = source::decode_leniently(text.as_ref(), limits)?;
    match simple::read(text, limits) {
        Some(value) => Ok(value),
        None => read_whole(text, limits),
    }
}

/// Reads with the whole parser.
pub(super) fn read_whole(text: &str, limits: &Limits) -> Result<Value, Diagnostic> {
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
        let (event, span) = next.map_err(|error| reader.refusal(text, &error))?;
        let at = |message: String| Diagnostic::new(0, to_u32(span.start.col() + 1), message);
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                reader.scalar(&Scalar { text: &text, style, tag: tag.as_deref() }, anchor).map_err(at)?;
            }
            Event::Alias(anchor) => reader.alias(anchor).map_err(at)?,
            Event::SequenceStart(anchor, _) => {
                reader.open(anchor, span.start, Content::List(Vec::new())).map_err(at)?
            }
            Event::MappingStart(anchor, _) => {
                reader.open(anchor, span.start, Content::Mapping(Map::new(), Slot::Key)).map_err(at)?
            }
            Event::SequenceEnd | Event::MappingEnd => reader.close().map_err(at)?,
            Event::DocumentEnd | Event::StreamEnd => break,
            Event::StreamStart | Event::DocumentStart(_) | Event::Nothing => {}
        }
    }
    Ok(reader.root.unwrap_or_default())
}

/// The part of a parser's message that Go's decoder shows.
fn go_problem(info: &str) -> &str {
    let problem = match info {
        "recursion limit exceeded" => "exceeded max depth of 10000",
        "while parsing a flow sequence, expected ',' or ']'" => "did not find expected ',' or ']'",
        info if info.starts_with("unexpected character: ") => "found character that cannot start any token",
        "simple key expected" | "simple key expect ':'" => "could not find expected ':'",
        "tabs disallowed within this context (block indentation)" | "tabs disallowed in this context" => {
            "found character that cannot start any token"
        }
        "wrongly indented line in block scalar" => "did not find expected key",
        info => info,
    };
    match problem.split_once(", ") {
        Some((context, problem)) if context.starts_with("while ") => problem,
        _ => problem,
    }
}

/// What follows a place on its line.
fn from<'a>(text: &'a str, place: &Marker) -> &'a str {
    let line = text.lines().nth(place.line().saturating_sub(1)).unwrap_or_default();
    let start = line.char_indices().nth(place.col()).map_or(line.len(), |(start, _)| start);
    line.get(start..).unwrap_or_default()
}

/// The name of the alias at a place.
fn alias_at(text: &str, place: &Marker) -> String {
    let name = from(text, place).trim_start_matches('*').chars();
    name.take_while(|it| it.is_ascii_alphanumeric() || matches!(it, '_' | '-')).collect()
}

/// A collection that is not yet closed.
struct Frame {
    anchor: usize,
    /// Where its first token is.
    start: Marker,
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
    /// The fault of a text as Go tells it.
    fn refusal(&self, text: &str, error: &ScanError) -> Diagnostic {
        const AFTER_QUOTES: &str = "invalid trailing content after double-quoted scalar";
        let (line, column) = (error.marker().line(), error.marker().col());
        let inner = self.stack.last().map(|frame| (&frame.content, from(text, &frame.start).starts_with(['[', '{'])));
        let problem = match (error.info(), inner) {
            // The scanner of Go takes the quoted text, and its parser misses what should come after it.
            (AFTER_QUOTES, Some((Content::Mapping(..), true))) => "did not find expected ',' or '}'",
            (AFTER_QUOTES, Some((Content::List(_), true))) => "did not find expected ',' or ']'",
            (AFTER_QUOTES, Some((Content::List(_), false))) => "did not find expected '-' indicator",
            (AFTER_QUOTES, Some((Content::Mapping(..), false))) => "did not find expected key",
            ("while parsing node, found unknown anchor", _) => {
                // This is found when the document is built, where lines are forgotten.
                let message = format!("unknown anchor '{}' referenced", alias_at(text, error.marker()));
                return Diagnostic::new(0, to_u32(column + 1), message);
            }
            (info, _) => go_problem(info),
        };
        Diagnostic::new(self.line_of(problem, to_u32(line)), to_u32(column + 1), problem)
    }

    /// The line that Go names: its scanner counts from one and its parser, which prefers the line where the collection
    /// begins, from zero. Neither names the first line.
    fn line_of(&self, problem: &str, line: u32) -> u32 {
        let is_of_parser = problem.starts_with("did not find expected");
        if !is_of_parser {
            return if line > 1 { line } else { 0 };
        }
        let is_of_node = problem.ends_with("node content");
        let start =
            self.stack.last().filter(|_| !is_of_node).map_or(0, |frame| to_u32(frame.start.line()).saturating_sub(1));
        if start > 0 { start } else { line.saturating_sub(1) }
    }

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

    fn open(&mut self, anchor: usize, start: Marker, content: Content) -> Result<(), String> {
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
        self.stack.push(Frame { anchor, start, content });
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
    fn a_quoted_text_in_brackets_goes_on_at_the_column_of_its_key() {
        let text = "a: [\"x\ny\", 'it''s\nz']\nb: {c: 'd\n  e', f: \"g\nh\"}\nk: [x'y, # it's\n  1]\n";
        let value = parse_first_as_go(text, &Limits::default()).unwrap();
        assert_eq!(value, json!({"a": ["x y", "it's z"], "b": {"c": "d e", "f": "g h"}, "k": ["x'y", 1]}));
    }

    #[test]
    fn faults_have_the_words_and_the_line_that_go_gives_them() {
        let rows = [
            ("a: 1\nb: \"x\" y\n", 1, "did not find expected key"),
            ("a: 1\nb:\n  c: \"x\" y\n", 2, "did not find expected key"),
            ("- \"x\" y\n", 0, "did not find expected '-' indicator"),
            ("a: 1\nb: [1 {}]\n", 1, "did not find expected ',' or ']'"),
            ("a: *b\n", 0, "unknown anchor 'b' referenced"),
            ("a: 1\nb: c: d\n", 2, "mapping values are not allowed in this context"),
        ];
        for (text, line, message) in rows {
            let fault = parse_first_as_go(text, &Limits::default()).unwrap_err();
            assert_eq!((fault.line, fault.message.as_str()), (line, message), "{text}");
        }
    }

    #[test]
    fn the_last_of_equal_keys_wins_and_merges_apply_where_they_stand() {
        let text = "x: &x {a: 1, b: 1}\nw: {b: 2, <<: *x, a: 3}\nz: 1\nz: 1.0\n";
        let value = parse_first_as_go(text, &Limits::default()).unwrap();
        assert_eq!(value["w"], json!({"a": 3, "b": 1}));
        assert!(value["z"].is_f64());
    }
}
