//! One value against one schema, keyword by keyword.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use regex::{Regex, RegexBuilder};
use serde_json::{Map, Value};

use super::fault::{Fault, counted, grouped, quote, show};
use super::format::format_fault;
use super::reference::{Places, is_metaschema};
use crate::budget::{Budget, Exhausted};

/// Schemas applied inside each other.
const DEPTH_MAX: usize = 200;
/// Largest compiled pattern.
const PATTERN_BYTES_MAX: usize = 1 << 20;

/// A schema, ready to be held against values.
pub(super) struct Checker<'s> {
    root: &'s Value,
    pub(super) draft: u16,
    places: Places<'s>,
    pub(super) budget: &'s Budget,
    depth: Cell<usize>,
    patterns: RefCell<BTreeMap<String, Option<Rc<Regex>>>>,
}

/// Which parts of a value some keyword has looked at.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    pub(super) names: BTreeSet<String>,
    pub(super) items: BTreeSet<usize>,
    pub(super) all_names: bool,
    pub(super) all_items: bool,
}

impl Seen {
    fn add(&mut self, other: Self) {
        self.names.extend(other.names);
        self.items.extend(other.items);
        self.all_names |= other.all_names;
        self.all_items |= other.all_items;
    }
}

/// A value with its place.
#[derive(Clone, Copy)]
pub(super) struct At<'v> {
    pub(super) value: &'v Value,
    pub(super) location: &'v str,
    /// The schemas that are being applied to this very value, by address.
    pub(super) applied: &'v [usize],
}

/// What came of applying a schema: what it looked at, or what is wrong.
pub(super) type Outcome = Result<Result<Seen, Fault>, Exhausted>;

impl<'s> Checker<'s> {
    pub(super) fn new(root: &'s Value, budget: &'s Budget) -> Self {
        let draft = match root.get("$schema").and_then(Value::as_str).unwrap_or_default() {
            url if url.contains("draft-04") => 4,
            url if url.contains("draft-06") => 6,
            url if url.contains("draft-07") => 7,
            url if url.contains("2019-09") => 2019,
            _ => 2020,
        };
        let places = Places::of(root);
        Self { root, draft, places, budget, depth: Cell::new(0), patterns: RefCell::default() }
    }

    /// What is said of a reference that leads to another place.
    pub(super) fn refused_reference(&self) -> Option<String> {
        let url = self.places.foreign.as_ref()?;
        let document = url.split('#').next().unwrap_or(url);
        let document = crate::helm::go_text::quote(document);
        Some(format!("failing loading {document}: references to other places are not followed"))
    }

    pub(super) fn check(&self, instance: &Value) -> Result<Option<Fault>, Exhausted> {
        let outcome = self.apply(self.root, At { value: instance, location: "", applied: &[] })?;
        Ok(outcome.err())
    }

    /// Applies a subschema to the same value.
    fn apply_here(&self, schema: &'s Value, at: At<'_>, own: &'s Value) -> Outcome {
        let mut applied = at.applied.to_vec();
        applied.push(address(own));
        self.apply(schema, At { applied: &applied, ..at })
    }

    /// Applies a subschema to a part of the value.
    pub(super) fn apply_below(&self, schema: &'s Value, at: At<'_>, token: &str, value: &Value) -> Outcome {
        let token = token.replace('~', "~0").replace('/', "~1");
        let location = format!("{}/{token}", at.location);
        self.apply(schema, At { value, location: &location, applied: &[] })
    }

    pub(super) fn apply(&self, schema: &'s Value, at: At<'_>) -> Outcome {
        self.budget.step(1)?;
        if self.depth.get() >= DEPTH_MAX {
            return Err(Exhausted::Depth(u32::try_from(DEPTH_MAX).unwrap_or(u32::MAX)));
        }
        self.depth.set(self.depth.get() + 1);
        let outcome = self.apply_keywords(schema, at);
        self.depth.set(self.depth.get() - 1);
        outcome
    }

    fn apply_keywords(&self, schema: &'s Value, at: At<'_>) -> Outcome {
        let fields = match schema {
            Value::Bool(false) => return Ok(Err(Fault::new(at.location, "false schema"))),
            Value::Object(fields) if !fields.is_empty() => fields,
            _ => return Ok(Ok(Seen::default())),
        };
        if at.applied.contains(&address(schema)) {
            return Ok(Err(Fault::new(at.location, "schemas that refer to each other: causing reference cycle")));
        }
        let is_alone = self.draft < 2019 && fields.get("$ref").is_some_and(Value::is_string);
        if !is_alone && let Some(fault) = self.first_fault(fields, at) {
            return Ok(Err(fault));
        }
        let mut seen = Seen::default();
        let mut faults = Vec::new();
        if let Some(reference) = fields.get("$ref").and_then(Value::as_str) {
            self.refer(reference, schema, at, &mut seen, &mut faults)?;
        }
        if is_alone {
            return Ok(match Fault::group(at.location, faults) {
                Some(fault) => Err(fault),
                None => Ok(seen),
            });
        }
        match at.value {
            Value::Object(entries) => self.object(fields, schema, entries, at, &mut seen, &mut faults)?,
            Value::Array(items) => self.list(fields, items, at, &mut seen, &mut faults)?,
            Value::String(text) => self.text(fields, text, at, &mut faults),
            Value::Number(number) => numbers(fields, number.as_f64().unwrap_or_default(), at, &mut faults),
            Value::Null | Value::Bool(_) => {}
        }
        for keyword in ["$recursiveRef", "$dynamicRef"] {
            if let Some(reference) = fields.get(keyword).and_then(Value::as_str) {
                self.refer(reference, schema, at, &mut seen, &mut faults)?;
            }
        }
        self.conditions(fields, schema, at, &mut seen, &mut faults)?;
        if self.draft >= 2019 {
            self.unevaluated(fields, at, &mut seen, &mut faults)?;
        }
        Ok(match Fault::group(at.location, faults) {
            Some(fault) => Err(fault),
            None => Ok(seen),
        })
    }

    /// The keywords after whose fault nothing else is looked at.
    fn first_fault(&self, fields: &Map<String, Value>, at: At<'_>) -> Option<Fault> {
        let types = match fields.get("type") {
            Some(Value::String(one)) => vec![one.as_str()],
            Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        if !types.is_empty() && !types.iter().any(|wanted| is_type(at.value, wanted)) {
            const ORDER: [&str; 7] = ["null", "boolean", "number", "integer", "string", "array", "object"];
            let wanted: Vec<&str> = ORDER.into_iter().filter(|name| types.contains(name)).collect();
            return Some(Fault::new(at.location, format!("got {}, want {}", type_of(at.value), wanted.join(" or "))));
        }
        if let Some(wanted) = fields.get("const").filter(|_| self.draft >= 6)
            && !is_equal(at.value, wanted)
        {
            let said = if wanted.is_array() || wanted.is_object() {
                "'const' failed".to_owned()
            } else {
                format!("value must be {}", show(wanted))
            };
            return Some(Fault::new(at.location, said));
        }
        if let Some(Value::Array(options)) = fields.get("enum")
            && !options.iter().any(|option| is_equal(at.value, option))
        {
            let said = match options.as_slice() {
                options if options.iter().any(|it| it.is_array() || it.is_object()) => "'enum' failed".to_owned(),
                [only] => format!("value must be {}", show(only)),
                options => {
                    format!("value must be one of {}", options.iter().map(show).collect::<Vec<_>>().join(", "))
                }
            };
            return Some(Fault::new(at.location, said));
        }
        let format = fields.get("format").and_then(Value::as_str).filter(|_| self.draft < 2019);
        if let (Some(format), Value::String(text)) = (format, at.value)
            && let Err(why) = format_fault(format, text)
        {
            return Some(Fault::new(at.location, format!("{} is not valid {format}: {why}", quote(text))));
        }
        None
    }

    fn refer(
        &self,
        reference: &str,
        own: &'s Value,
        at: At<'_>,
        seen: &mut Seen,
        faults: &mut Vec<Fault>,
    ) -> Result<(), Exhausted> {
        let Some(target) = self.places.resolve(self.places.base(own), reference) else {
            if !is_metaschema(reference) {
                let reference = crate::helm::go_text::quote(reference);
                faults.push(Fault::new(at.location, format!("json-pointer in {reference} not found")));
            }
            return Ok(());
        };
        match self.apply_here(target, at, own)? {
            Ok(more) => seen.add(more),
            Err(fault) => faults.push(Fault::referred(at.location, fault)),
        }
        Ok(())
    }

    /// Applies a subschema that must hold for the value.
    pub(super) fn take(
        &self,
        schema: &'s Value,
        own: &'s Value,
        at: At<'_>,
        seen: &mut Seen,
        faults: &mut Vec<Fault>,
    ) -> Result<(), Exhausted> {
        match self.apply_here(schema, at, own)? {
            Ok(more) => seen.add(more),
            Err(fault) => faults.push(fault),
        }
        Ok(())
    }

    fn text(&self, fields: &Map<String, Value>, text: &str, at: At<'_>, faults: &mut Vec<Fault>) {
        let mut say = |text: String| faults.push(Fault::new(at.location, text));
        let length = text.chars().count();
        if let Some(min) = whole(fields, "minLength").filter(|min| length < *min) {
            say(format!("minLength: got {}, want {}", counted(length), counted(min)));
        }
        if let Some(max) = whole(fields, "maxLength").filter(|max| length > *max) {
            say(format!("maxLength: got {}, want {}", counted(length), counted(max)));
        }
        if let Some(pattern) = fields.get("pattern").and_then(Value::as_str) {
            match self.pattern(pattern) {
                Some(compiled) if compiled.is_match(text) => {}
                Some(_) => say(format!("{} does not match pattern {}", quote(text), quote(pattern))),
                None => say(format!("invalid regex {}", crate::helm::go_text::quote(pattern))),
            }
        }
    }

    pub(super) fn pattern(&self, pattern: &str) -> Option<Rc<Regex>> {
        if let Some(known) = self.patterns.borrow().get(pattern) {
            return known.clone();
        }
        let compiled = RegexBuilder::new(pattern).size_limit(PATTERN_BYTES_MAX).build().ok().map(Rc::new);
        self.patterns.borrow_mut().insert(pattern.to_owned(), compiled.clone());
        compiled
    }

    /// `not`, `allOf`, `anyOf`, `oneOf`, `if`.
    fn conditions(
        &self,
        fields: &'s Map<String, Value>,
        own: &'s Value,
        at: At<'_>,
        seen: &mut Seen,
        faults: &mut Vec<Fault>,
    ) -> Result<(), Exhausted> {
        let several = |keyword: &str| fields.get(keyword).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        if let Some(schema) = fields.get("not")
            && let Ok(more) = self.apply_here(schema, at, own)?
        {
            seen.add(more);
            faults.push(Fault::new(at.location, "'not' failed"));
        }
        let mut failed = Vec::new();
        for schema in several("allOf") {
            self.take(schema, own, at, seen, &mut failed)?;
        }
        if !failed.is_empty() {
            faults.push(Fault::new(at.location, "'allOf' failed").with(failed));
        }
        let (mut is_matched, mut failed) = (several("anyOf").is_empty(), Vec::new());
        for schema in several("anyOf") {
            match self.apply_here(schema, at, own)? {
                Ok(more) => {
                    seen.add(more);
                    is_matched = true;
                }
                Err(fault) => failed.push(fault),
            }
        }
        if !is_matched {
            faults.push(Fault::new(at.location, "'anyOf' failed").with(failed));
        }
        self.one_of(several("oneOf"), own, at, seen, faults)?;
        if let Some(schema) = fields.get("if").filter(|_| self.draft >= 7) {
            let branch = match self.apply_here(schema, at, own)? {
                Ok(more) => {
                    seen.add(more);
                    "then"
                }
                Err(_) => "else",
            };
            if let Some(schema) = fields.get(branch) {
                self.take(schema, own, at, seen, faults)?;
            }
        }
        Ok(())
    }

    fn one_of(
        &self,
        schemas: &'s [Value],
        own: &'s Value,
        at: At<'_>,
        seen: &mut Seen,
        faults: &mut Vec<Fault>,
    ) -> Result<(), Exhausted> {
        let (mut matched, mut failed) = (None, Vec::new());
        for (index, schema) in schemas.iter().enumerate() {
            match (self.apply_here(schema, at, own)?, matched) {
                (Ok(more), None) => {
                    seen.add(more);
                    matched = Some(index);
                }
                (Ok(_), Some(first)) => {
                    let said = format!("'oneOf' failed, subschemas {}, {} matched", counted(first), counted(index));
                    faults.push(Fault::new(at.location, said));
                    return Ok(());
                }
                (Err(fault), None) => failed.push(fault),
                (Err(_), Some(_)) => {}
            }
        }
        if matched.is_none() && !schemas.is_empty() {
            faults.push(Fault::new(at.location, "'oneOf' failed, none matched").with(failed));
        }
        Ok(())
    }

    /// `unevaluatedProperties` and `unevaluatedItems`.
    fn unevaluated(
        &self,
        fields: &'s Map<String, Value>,
        at: At<'_>,
        seen: &mut Seen,
        faults: &mut Vec<Fault>,
    ) -> Result<(), Exhausted> {
        if let (Some(schema), Value::Object(entries)) = (fields.get("unevaluatedProperties"), at.value) {
            for (name, value) in entries.iter().filter(|(name, _)| !seen.all_names && !seen.names.contains(*name)) {
                faults.extend(self.apply_below(schema, at, name, value)?.err());
            }
            seen.all_names = true;
        }
        if let (Some(schema), Value::Array(items)) = (fields.get("unevaluatedItems"), at.value) {
            for (index, item) in items.iter().enumerate() {
                if !seen.all_items && !seen.items.contains(&index) {
                    faults.extend(self.apply_below(schema, at, &index.to_string(), item)?.err());
                }
            }
            seen.all_items = true;
        }
        Ok(())
    }
}

fn numbers(fields: &Map<String, Value>, number: f64, at: At<'_>, faults: &mut Vec<Fault>) {
    let bound = |keyword: &str| fields.get(keyword).and_then(Value::as_f64);
    let is_exclusive = |keyword: &str| fields.get(keyword) == Some(&Value::Bool(true));
    let mut say = |keyword: &str, wanted: f64| {
        let said = format!("{keyword}: got {}, want {}", grouped(number), grouped(wanted));
        faults.push(Fault::new(at.location, said));
    };
    let (mut min, mut max) = (bound("minimum"), bound("maximum"));
    let (mut above, mut below) = (bound("exclusiveMinimum"), bound("exclusiveMaximum"));
    // The fourth draft makes the bounds exclusive by a flag.
    if is_exclusive("exclusiveMinimum") {
        above = min.take();
    }
    if is_exclusive("exclusiveMaximum") {
        below = max.take();
    }
    if let Some(min) = min.filter(|min| number < *min) {
        say("minimum", min);
    }
    if let Some(max) = max.filter(|max| number > *max) {
        say("maximum", max);
    }
    if let Some(above) = above.filter(|above| number <= *above) {
        say("exclusiveMinimum", above);
    }
    if let Some(below) = below.filter(|below| number >= *below) {
        say("exclusiveMaximum", below);
    }
    if let Some(unit) = bound("multipleOf").filter(|unit| *unit > 0.0) {
        let quotient = number / unit;
        if (quotient - quotient.round()).abs() > 1e-9 * quotient.abs().max(1.0) {
            say("multipleOf", unit);
        }
    }
}

/// The names of a list that a mapping lacks.
pub(super) fn missing(names: Option<&Value>, entries: &Map<String, Value>) -> Vec<String> {
    let names = names.and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    names.iter().filter_map(Value::as_str).filter(|name| !entries.contains_key(*name)).map(str::to_owned).collect()
}

/// A bound that is a whole number.
pub(super) fn whole(fields: &Map<String, Value>, keyword: &str) -> Option<usize> {
    let number = fields.get(keyword)?.as_f64().filter(|number| number.fract() == 0.0 && *number >= 0.0)?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole and not negative")]
    Some(number as usize)
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn is_type(value: &Value, wanted: &str) -> bool {
    let is_whole = |value: &Value| value.as_f64().is_some_and(|number| number.fract() == 0.0);
    type_of(value) == wanted || (wanted == "integer" && is_whole(value))
}

/// Whether two values are equal; numbers are by what they amount to.
pub(super) fn is_equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| is_equal(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(name, a)| b.get(name).is_some_and(|b| is_equal(a, b)))
        }
        (a, b) => a == b,
    }
}

fn address(value: &Value) -> usize {
    std::ptr::from_ref(value) as usize
}
