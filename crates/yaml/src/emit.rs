//! From values to text, byte-equal to Go's `sigs.k8s.io/yaml`.

mod analysis;
mod text;

use serde_json::{Map, Number, Value};

use crate::key_order;
use crate::number::{format_go, format_json};
use crate::resolve::{Resolved, resolve};

use analysis::Analysis;
use text::Text;

pub(crate) use analysis::{Style, style_of};

/// Longest key in bytes that is written without `?`.
const SIMPLE_KEY_BYTES_MAX: usize = 128;

/// Spaces of one level.
const INDENT: usize = 2;

/// Writes a value as `sigs.k8s.io/yaml` does: sorted keys, lists not indented under their key, a final newline.
///
/// Characters that Go's YAML refuses to write (control characters above U+007E, U+FFFE, U+FFFF) or spoils (U+0085)
/// are written as escapes, so that the text always reads back as the value.
pub fn to_yaml(value: &Value) -> String {
    write(value, Form::Compact)
}

/// Writes a value as `go.yaml.in/yaml/v3` does with an indentation of 2: lists are indented under their key, long text
/// is not folded, and floats keep an exponent from a million on (`1e+06`).
pub fn to_yaml_indented(value: &Value) -> String {
    write(value, Form::Indented)
}

fn write(value: &Value, form: Form) -> String {
    let mut writer = Writer { text: Text::default(), indent: None, form };
    writer.node(value, Context::Root);
    writer.text.start_line(0);
    writer.text.finish()
}

/// Where a node stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Context {
    Root,
    Item,
    SimpleKey,
    /// A key after `?`, or a value.
    Mapping,
}

/// Which of Go's two emitters is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Compact,
    Indented,
}

struct Writer {
    text: Text,
    form: Form,
    /// Indentation of the open collection; none outside of all.
    indent: Option<usize>,
}

impl Writer {
    fn node(&mut self, value: &Value, context: Context) {
        match value {
            Value::Null => self.plain_word("null"),
            Value::Bool(true) => self.plain_word("true"),
            Value::Bool(false) => self.plain_word("false"),
            Value::Number(number) => self.plain_word(&number_text(number, self.form)),
            Value::String(string) => self.string(string, context),
            Value::Array(items) if items.is_empty() => self.text.indicator("[]", Spacing::BEFORE),
            Value::Object(entries) if entries.is_empty() => self.text.indicator("{}", Spacing::BEFORE),
            Value::Array(items) => self.list(items, context),
            Value::Object(entries) => self.mapping(entries),
        }
    }

    fn list(&mut self, items: &[Value], context: Context) {
        let outer = self.indent;
        let is_indentless = self.form == Form::Compact && context == Context::Mapping && !self.text.is_indented();
        let inner = match outer {
            None => 0,
            Some(indent) if is_indentless => indent,
            Some(indent) => indent + INDENT,
        };
        self.indent = Some(inner);
        for item in items {
            self.text.start_line(inner);
            self.text.indicator("-", Spacing::BEFORE_KEEPING_INDENT);
            self.node(item, Context::Item);
        }
        self.indent = outer;
    }

    fn mapping(&mut self, entries: &Map<String, Value>) {
        let outer = self.indent;
        let inner = outer.map_or(0, |indent| indent + INDENT);
        self.indent = Some(inner);
        let mut sorted: Vec<(&String, &Value)> = entries.iter().collect();
        sorted.sort_by(|(a, _), (b, _)| key_order::compare(a, b));
        for (key, value) in sorted {
            self.text.start_line(inner);
            if key.len() <= SIMPLE_KEY_BYTES_MAX && !Analysis::of(key).has_breaks {
                self.string(key, Context::SimpleKey);
                self.text.indicator(":", Spacing::NONE);
            } else {
                self.text.indicator("?", Spacing::BEFORE_KEEPING_INDENT);
                self.string(key, Context::Mapping);
                self.text.start_line(inner);
                self.text.indicator(":", Spacing::BEFORE_KEEPING_INDENT);
            }
            self.node(value, Context::Mapping);
        }
        self.indent = outer;
    }

    fn plain_word(&mut self, word: &str) {
        self.text.plain(word, self.scalar_indent(), Folding::Off);
    }

    fn string(&mut self, string: &str, context: Context) {
        let may_fold = context != Context::SimpleKey && self.form == Form::Compact;
        let folding = if may_fold { Folding::On } else { Folding::Off };
        let indent = self.scalar_indent();
        match style_of(string, context == Context::SimpleKey) {
            Style::Plain => self.text.plain(string, indent, folding),
            Style::SingleQuoted => self.text.single_quoted(string, indent, folding),
            Style::DoubleQuoted => self.text.double_quoted(string, indent, folding),
            Style::Literal => self.text.literal(string, indent),
        }
    }

    fn scalar_indent(&self) -> usize {
        self.indent.map_or(INDENT, |indent| indent + INDENT)
    }
}

/// Whether long text may be folded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Folding {
    On,
    Off,
}

/// What surrounds an indicator.
#[derive(Debug, Clone, Copy)]
struct Spacing {
    /// A blank must stand before it.
    before: bool,
    /// A line that held only indicators so far still counts as indentation.
    keeps_indent: bool,
}

impl Spacing {
    const NONE: Self = Self { before: false, keeps_indent: false };
    const BEFORE: Self = Self { before: true, keeps_indent: false };
    const BEFORE_KEEPING_INDENT: Self = Self { before: true, keeps_indent: true };
}

/// A number takes the way over JSON text, as in Go: `1.0` becomes `1`, `1e20` stays a float.
fn number_text(number: &Number, form: Form) -> String {
    let Some(float) = number.as_f64().filter(|_| number.is_f64()) else { return number.to_string() };
    if form == Form::Indented {
        return format_go(float);
    }
    match resolve(&format_json(float)) {
        Resolved::Int(int) => int.to_string(),
        Resolved::Uint(uint) => uint.to_string(),
        _ => format_go(float),
    }
}
