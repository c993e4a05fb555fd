//! From documents to checked objects, with all faults kept.

use std::collections::BTreeMap;

use object_model::{Object, ObjectId};
use serde_json::Value;
use yaml::{Document, Position, Step};

use crate::budget::Budget;
use crate::diagnostic::Diagnostic;
use crate::render::{RenderError, RenderedObject};
use crate::tree::spent;

/// Lists inside lists.
const LIST_DEPTH_MAX: usize = 8;

/// Faults kept before the rest is only counted.
const FAULTS_MAX: usize = 100;

/// Gathers the objects and faults of one render.
pub(crate) struct Collector<'a> {
    budget: &'a Budget,
    objects: Vec<RenderedObject>,
    first_places: BTreeMap<ObjectId, String>,
    faults: Vec<Diagnostic>,
    faults_dropped: usize,
    notes: Vec<Diagnostic>,
}

/// Where a value came from.
struct Origin<'o> {
    file: &'o str,
    document: usize,
    /// The document of a text and the path in it; none for the result of a program.
    text: Option<(&'o Document, Vec<Step>)>,
}

impl Origin<'_> {
    /// The place of a field, or the nearest that exists.
    fn position(&self, field: &[Step]) -> Option<Position> {
        let (document, path) = self.text.as_ref()?;
        let path: Vec<Step> = path.iter().chain(field).cloned().collect();
        Some(document.nearest_position(&path))
    }

    fn fault(&self, field: &[Step], message: impl Into<String>) -> Diagnostic {
        let (line, column) = self.position(field).map_or((0, 0), |position| (position.line, position.column));
        Diagnostic::of_file(self.file, message).at(line, column)
    }

    /// The place of an item of a list, relative to this one.
    fn item(&self, index: usize) -> Self {
        let text = self.text.as_ref().map(|(document, path)| {
            let steps = path.iter().cloned().chain(["items".into(), Step::Index(index)]);
            (*document, steps.collect())
        });
        Origin { file: self.file, document: self.document, text }
    }
}

impl<'a> Collector<'a> {
    pub(crate) fn new(budget: &'a Budget) -> Self {
        Self {
            budget,
            objects: Vec::new(),
            first_places: BTreeMap::new(),
            faults: Vec::new(),
            faults_dropped: 0,
            notes: Vec::new(),
        }
    }

    /// Adds a fault.
    pub(crate) fn fault(&mut self, fault: Diagnostic) {
        if self.faults.len() < FAULTS_MAX {
            self.faults.push(fault);
        } else {
            self.faults_dropped += 1;
        }
    }

    /// Adds what is worth attention but no fault.
    pub(crate) fn note(&mut self, note: Diagnostic) {
        if self.notes.len() < FAULTS_MAX {
            self.notes.push(note);
        }
    }

    /// Adds the documents of a text.
    pub(crate) fn text(&mut self, file: &str, text: &[u8]) -> Result<(), RenderError> {
        let limits = yaml::Limits {
            bytes_max: usize::try_from(self.budget.limits().file_bytes_max).unwrap_or(usize::MAX),
            ..yaml::Limits::default()
        };
        let documents = match yaml::parse_with(text, &limits) {
            Ok(documents) => documents,
            Err(faults) => {
                faults.into_iter().for_each(|fault| self.fault(Diagnostic::of_text(file, fault)));
                return Ok(());
            }
        };
        self.budget.documents(documents.len()).map_err(|what| spent(file, what))?;
        for mut document in documents {
            let value = std::mem::take(&mut document.value);
            let origin = Origin { file, document: document.index, text: Some((&document, Vec::new())) };
            self.value(value, &origin, 0);
        }
        Ok(())
    }

    /// Adds the documents that a template wrote. Lines are those of the written text, so faults show the line itself.
    pub(crate) fn rendered_text(&mut self, file: &str, text: &[u8]) -> Result<(), RenderError> {
        let faults_before = self.faults.len();
        self.text(file, text)?;
        for fault in self.faults.iter_mut().skip(faults_before).filter(|fault| fault.line > 0) {
            let index = usize::try_from(fault.line).unwrap_or(usize::MAX) - 1;
            let line = text.split(|byte| *byte == b'\n').nth(index).unwrap_or_default();
            let shown: String = String::from_utf8_lossy(line).trim_end().chars().take(80).collect();
            fault.message = format!("{} at line {} of the rendered text, `{shown}`", fault.message, fault.line);
            (fault.line, fault.column) = (0, 0);
        }
        Ok(())
    }

    /// Adds what a program returned: one object, or a list or mapping of objects.
    pub(crate) fn result(&mut self, file: &str, result: Value) -> Result<(), RenderError> {
        let mut open = vec![(String::from("$"), result)];
        let mut document = 0;
        while let Some((place, value)) = open.pop() {
            self.budget.documents(1).map_err(|what| spent(file, what))?;
            match value {
                Value::Null => {}
                Value::Object(fields) if !fields.contains_key("kind") && !fields.contains_key("apiVersion") => {
                    open.extend(fields.into_iter().rev().map(|(key, value)| (format!("{place}.{key}"), value)));
                }
                Value::Array(items) => {
                    let place = |index: usize| format!("{place}[{index}]");
                    open.extend(items.into_iter().enumerate().rev().map(|(index, item)| (place(index), item)));
                }
                Value::Object(fields) => {
                    let origin = Origin { file, document, text: None };
                    document += 1;
                    let faults_before = self.faults.len();
                    self.value(Value::Object(fields), &origin, 0);
                    for fault in self.faults.iter_mut().skip(faults_before) {
                        fault.message = format!("{} at `{place}` of the result", fault.message);
                    }
                }
                other => self.fault(
                    Diagnostic::of_file(file, format!("`{place}` of the result is {}, not an object", kind_of(&other)))
                        .hinted("a program returns an object, or a list or mapping of objects"),
                ),
            }
        }
        Ok(())
    }

    /// Adds one value that may be an object, a list of objects or nothing.
    fn value(&mut self, value: Value, origin: &Origin<'_>, depth: usize) {
        if value.is_null() {
            return;
        }
        match list_items(value) {
            Listed::Object(value) => self.object(value, origin),
            Listed::Items(_) if depth >= LIST_DEPTH_MAX => {
                self.fault(origin.fault(&[], format!("lists are nested more than {LIST_DEPTH_MAX} deep")));
            }
            Listed::Items(items) => {
                for (index, item) in items.into_iter().enumerate() {
                    self.value(item, &origin.item(index), depth + 1);
                }
            }
        }
    }

    fn object(&mut self, value: Value, origin: &Origin<'_>) {
        let faults_before = self.faults.len() + self.faults_dropped;
        self.check_identity(&value, origin);
        if self.faults.len() + self.faults_dropped > faults_before {
            return;
        }
        let object = match Object::parse(value) {
            Ok(object) => object,
            Err(error) => return self.fault(origin.fault(&[], error.to_string())),
        };
        self.check_string_maps(&object, origin);
        let line = origin.position(&[]).map_or(0, |position| position.line);
        let place = if line == 0 { origin.file.to_owned() } else { format!("{}:{line}", origin.file) };
        let mut id = object.id();
        if id.name.is_empty() {
            // Two hooks may have the same beginning of a name: each gets one of its own when it runs.
            id.name = format!("{}#{}", object.str_at("/metadata/generateName").unwrap_or_default(), self.objects.len());
        }
        if let Some(first) = self.first_places.get(&id) {
            let mut fault = origin
                .fault(&[], format!("defined twice, first in {first}"))
                .hinted("remove one of the two, or give it another name");
            fault.object = Some(id.to_string());
            return self.fault(fault);
        }
        self.first_places.insert(id, place);
        self.objects.push(RenderedObject { object, file: origin.file.to_owned(), line, document: origin.document });
    }

    /// Checks what makes a value an object, field by field, so that all that is missing is said at once.
    fn check_identity(&mut self, value: &Value, origin: &Origin<'_>) {
        let Value::Object(fields) = value else {
            let message = format!("a manifest must be a mapping, this is {}", kind_of(value));
            let fault = origin.fault(&[], message).hinted("exclude the file when it is not a manifest");
            return self.fault(fault);
        };
        let object = describe(value);
        for field in ["apiVersion", "kind"] {
            if let Some(message) = missing(fields.get(field), field) {
                let mut fault = origin.fault(&[field.into()], message).hinted(
                    "every manifest needs apiVersion, kind and metadata.name; exclude the file when it is none",
                );
                fault.object.clone_from(&object);
                self.fault(fault);
            }
        }
        let metadata = fields.get("metadata");
        let name = metadata.and_then(|metadata| metadata.get("name"));
        if name.is_none() && is_generated_hook(metadata) {
            return;
        }
        if let Some(message) = missing(name, "metadata.name") {
            let has_generate_name = metadata.is_some_and(|metadata| metadata.get("generateName").is_some());
            let hint = if has_generate_name {
                "`generateName` gives a new object at each sync; write `name`"
            } else if name.is_some_and(|name| !name.is_null()) {
                "quote it"
            } else {
                "name the object"
            };
            let mut fault = origin.fault(&["metadata".into(), "name".into()], message).hinted(hint);
            fault.object = object;
            self.fault(fault);
        }
    }

    /// Labels and annotations that are no strings are refused by every API server, with an error that names no line.
    fn check_string_maps(&mut self, object: &Object, origin: &Origin<'_>) {
        for field in ["labels", "annotations"] {
            let Some(Value::Object(map)) = object.pointer(&format!("/metadata/{field}")) else { continue };
            for (key, value) in map.iter().filter(|(_, value)| !value.is_string()) {
                let path = ["metadata".into(), field.into(), key.as_str().into()];
                let message = format!("`metadata.{field}.{key}` is {}, not a string", kind_of(value));
                let mut fault = origin.fault(&path, message).hinted("quote it");
                fault.object = Some(object.id().to_string());
                self.fault(fault);
            }
        }
    }

    /// The objects, or all faults.
    pub(crate) fn finish(mut self) -> Result<(Vec<RenderedObject>, Vec<Diagnostic>), RenderError> {
        if self.faults.is_empty() {
            // Programs and templates run before plain files are read; the order of the result does not show it.
            self.objects.sort_by(|a, b| a.file.cmp(&b.file));
            return Ok((self.objects, self.notes));
        }
        self.faults.sort();
        if let Some(last) = self.faults.last().filter(|_| self.faults_dropped > 0) {
            let more = Diagnostic::of_file(&last.file, format!("{} more faults are not shown", self.faults_dropped));
            self.faults.push(more);
        }
        Err(RenderError::Invalid { diagnostics: self.faults })
    }
}

/// A hook may leave the end of its name to who runs it.
fn is_generated_hook(metadata: Option<&Value>) -> bool {
    let text = |pointer: &str| metadata.and_then(|metadata| metadata.pointer(pointer)).and_then(Value::as_str);
    let is_hook = ["/annotations/argocd.argoproj.io~1hook", "/annotations/sluice.dev~1hook"]
        .iter()
        .any(|pointer| text(pointer).is_some());
    is_hook && text("/generateName").is_some_and(|stem| !stem.is_empty())
}

enum Listed {
    Object(Value),
    Items(Vec<Value>),
}

/// Takes a List kind apart: `List` of anything, or `ConfigMapList` whose items may leave out what the list says.
fn list_items(mut value: Value) -> Listed {
    let kind = value.get("kind").and_then(Value::as_str).unwrap_or_default().to_owned();
    let is_list = kind.ends_with("List") && value.pointer("/metadata/name").is_none();
    let Some(Value::Array(items)) = value.get_mut("items").filter(|_| is_list).map(Value::take) else {
        return Listed::Object(value);
    };
    let item_kind = kind.trim_end_matches("List");
    let api_version = value.get("apiVersion").cloned();
    let complete = |mut item: Value| {
        if let Value::Object(fields) = &mut item
            && !item_kind.is_empty()
            && !fields.contains_key("kind")
        {
            fields.insert("kind".to_owned(), item_kind.into());
            if let (false, Some(api_version)) = (fields.contains_key("apiVersion"), &api_version) {
                fields.insert("apiVersion".to_owned(), api_version.clone());
            }
        }
        item
    };
    Listed::Items(items.into_iter().map(complete).collect())
}

/// What is wrong with a field that must be a non-empty string.
fn missing(value: Option<&Value>, field: &str) -> Option<String> {
    match value {
        None | Some(Value::Null) => Some(format!("`{field}` is missing")),
        Some(Value::String(text)) if text.is_empty() => Some(format!("`{field}` is empty")),
        Some(Value::String(_)) => None,
        Some(other) => Some(format!("`{field}` is {}, not a string", kind_of(other))),
    }
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "a mapping",
    }
}

/// Names an incomplete object by what it has.
fn describe(value: &Value) -> Option<String> {
    let text = |pointer: &str| value.pointer(pointer).and_then(Value::as_str).filter(|text| !text.is_empty());
    match (text("/kind"), text("/metadata/name")) {
        (Some(kind), Some(name)) => Some(format!("{kind} {name}")),
        (Some(kind), None) => Some(kind.to_owned()),
        (None, Some(name)) => Some(name.to_owned()),
        (None, None) => None,
    }
}
