//! What the evaluator asks of its surroundings: imports, traces and the meter.

use std::collections::BTreeMap;

use bytes::Bytes;
use rsjsonnet_lang::interner::InternedStr;
use rsjsonnet_lang::program::{
    Callbacks, EvalError, EvalStackTraceItem, ImportError, NativeError, Program, Thunk, Value,
};
use rsjsonnet_lang::span::{SpanContextId, SpanId};

use crate::diagnostic::Diagnostic;
use crate::path::{join, split};
use crate::render::RenderError;
use crate::tree::{Tree, spent};

use super::fault;
use super::meter::{self, Metered};

/// Traces kept of one program.
const TRACES_MAX: usize = 20;

/// The surroundings of one program.
pub(super) struct Host<'t, 'p> {
    tree: &'t Tree<'t>,
    libraries: &'t [String],
    sources: BTreeMap<SpanContextId, Loaded>,
    thunks: BTreeMap<String, Thunk<'p>>,
    /// The file at work, for the place of a spent budget.
    current: String,
    /// Why the whole render must stop.
    pub(super) stopped: Option<RenderError>,
    /// Faults found while importing, more precise than what the evaluator says about them.
    pub(super) faults: Vec<Diagnostic>,
    /// Why the meter refused, when it was not the budget.
    refusal: Option<String>,
    /// What `std.trace` said.
    pub(super) traces: Vec<Diagnostic>,
}

/// A source that was loaded.
struct Loaded {
    path: String,
    text: Bytes,
    metered: Metered,
}

impl<'t, 'p> Host<'t, 'p> {
    pub(super) fn new(tree: &'t Tree<'t>, libraries: &'t [String]) -> Self {
        Self {
            tree,
            libraries,
            sources: BTreeMap::new(),
            thunks: BTreeMap::new(),
            current: String::new(),
            stopped: None,
            faults: Vec::new(),
            refusal: None,
            traces: Vec::new(),
        }
    }

    /// Adds the meter to a program.
    pub(super) fn register(&self, program: &mut Program<'p>) {
        let name = program.intern_str(meter::NATIVE);
        let parameter = program.intern_str("amount");
        program.register_native_func(name, &[parameter]);
    }

    /// Counts a part of the result; the message is only for the case that it is not the budget that stops.
    pub(super) fn output(&mut self, bytes: usize) -> Result<(), String> {
        let budget = self.tree.budget();
        budget.step(1).and_then(|()| budget.output(bytes.saturating_add(8))).map_err(|what| {
            self.stopped.get_or_insert_with(|| spent(&self.current, what));
            what.to_string()
        })
    }

    /// Loads a source text under a path.
    pub(super) fn load(
        &mut self,
        program: &mut Program<'p>,
        path: &str,
        text: &[u8],
    ) -> Result<Thunk<'p>, Box<Diagnostic>> {
        path.clone_into(&mut self.current);
        let metered = meter::instrument(text).map_err(|(offset, message)| {
            let (line, column) = line_and_column(text, offset);
            Box::new(Diagnostic::of_file(path, message).at(line, column).hinted("move parts into locals or libraries"))
        })?;
        let (context, _) = program.span_manager_mut().insert_source_context(metered.text.len());
        let text = Bytes::copy_from_slice(text);
        self.sources.insert(context, Loaded { path: path.to_owned(), text, metered: metered.clone() });
        program.load_source(context, &metered.text, true, path).map_err(|error| {
            let (span, message) = fault::load_message(&error);
            Box::new(self.fault_at(program, span, path, message))
        })
    }

    /// Loads a text of this crate, which has no place in the tree.
    pub(super) fn load_internal(&self, program: &mut Program<'p>, text: &str) -> Option<Thunk<'p>> {
        let (context, _) = program.span_manager_mut().insert_source_context(text.len());
        program.load_source(context, text.as_bytes(), true, "").ok()
    }

    /// The fault for an error of the evaluator.
    pub(super) fn fault(&self, program: &Program<'p>, path: &str, error: &EvalError) -> Diagnostic {
        let (span, message) = fault::eval_message(&error.kind);
        let message = self.refusal.clone().unwrap_or(message);
        let from_trace = error.stack_trace.iter().rev().filter_map(fault::span_of);
        // The innermost place in a source of the tree; the standard library has none.
        let spans: Vec<SpanId> = span.into_iter().chain(from_trace).collect();
        let exact = spans.iter().find(|span| self.place(program, **span, Metered::original_offset).is_some());
        match exact {
            Some(span) => self.fault_at(program, Some(*span), path, message),
            None => {
                let wrapped = spans.iter().find_map(|span| self.place(program, *span, Metered::wrapped_offset));
                placed(wrapped, path, message)
            }
        }
    }

    fn fault_at(&self, program: &Program<'p>, span: Option<SpanId>, path: &str, message: String) -> Diagnostic {
        placed(span.and_then(|span| self.place(program, span, Metered::original_offset)), path, message)
    }

    /// File, line and column of a span.
    fn place(&self, program: &Program<'p>, span: SpanId, offset_of: OffsetOf) -> Option<(&str, u32, u32)> {
        let (context, start, _) = program.span_manager().get_span(span);
        let loaded = self.sources.get(&context)?;
        let offset = offset_of(&loaded.metered, start)?;
        let (line, column) = line_and_column(&loaded.text, offset);
        Some((&loaded.path, line, column))
    }

    /// Finds what an import names and reads it.
    fn find(&mut self, program: &Program<'p>, from: SpanId, path: &str) -> Result<(String, Bytes), ImportError> {
        match self.search(program, from, path) {
            Ok(found) => Ok(found),
            Err(Refusal::Stop(error)) => {
                self.stopped.get_or_insert(*error);
                Err(ImportError)
            }
            Err(Refusal::Fault(message, hint)) => {
                let fault = self.fault_at(program, Some(from), &self.current, message);
                self.faults.push(fault.hinted(hint));
                Err(ImportError)
            }
        }
    }

    fn search(&self, program: &Program<'p>, from: SpanId, path: &str) -> Result<(String, Bytes), Refusal> {
        let importer = self.place(program, from, Metered::original_offset).map_or("", |(file, _, _)| file);
        let directories = std::iter::once(split(importer).0).chain(self.libraries.iter().map(String::as_str));
        let mut tried = Vec::new();
        for directory in directories {
            let candidate = match join(directory, path) {
                Ok(candidate) => candidate,
                Err(error) => {
                    return Err(Refusal::Fault(format!("failed to import: {error}"), "imports stay inside the tree"));
                }
            };
            match self.tree.read_if_present(&candidate) {
                Ok(Some(content)) => return Ok((candidate, content)),
                Ok(None) => tried.push(candidate),
                Err(error @ RenderError::Budget(_)) => return Err(Refusal::Stop(Box::new(error))),
                Err(RenderError::Read { source, .. }) => {
                    return Err(Refusal::Fault(format!("failed to import `{path}`: {source}"), "import a file"));
                }
                Err(error) => return Err(Refusal::Fault(error.to_string(), "import a file of the tree")),
            }
        }
        let message = format!("`{path}` was not found, neither as {}", tried.join(" nor as "));
        Err(Refusal::Fault(message, "libraries are found in `vendor` or in the library paths of the source"))
    }
}

/// A way from an offset of a metered text to one of the original.
type OffsetOf = fn(&Metered, usize) -> Option<usize>;

fn line_and_column(text: &[u8], offset: usize) -> (u32, u32) {
    let before = text.get(..offset.min(text.len())).unwrap_or_default();
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    let line_start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let column = String::from_utf8_lossy(before.get(line_start..).unwrap_or_default()).chars().count() + 1;
    (u32::try_from(line).unwrap_or(u32::MAX), u32::try_from(column).unwrap_or(u32::MAX))
}

fn placed(place: Option<(&str, u32, u32)>, path: &str, message: String) -> Diagnostic {
    match place {
        Some((file, line, column)) => Diagnostic::of_file(file, message).at(line, column),
        None => Diagnostic::of_file(path, message),
    }
}

/// Why an import failed.
enum Refusal {
    Stop(Box<RenderError>),
    Fault(String, &'static str),
}

impl<'p> Callbacks<'p> for Host<'_, 'p> {
    fn import(&mut self, program: &mut Program<'p>, from: SpanId, path: &str) -> Result<Thunk<'p>, ImportError> {
        let (found, content) = self.find(program, from, path)?;
        if let Some(thunk) = self.thunks.get(&found) {
            return Ok(thunk.clone());
        }
        match self.load(program, &found, &content) {
            Ok(thunk) => {
                self.thunks.insert(found, thunk.clone());
                Ok(thunk)
            }
            Err(fault) => {
                self.faults.push(*fault);
                Err(ImportError)
            }
        }
    }

    fn import_str(&mut self, program: &mut Program<'p>, from: SpanId, path: &str) -> Result<String, ImportError> {
        let (found, content) = self.find(program, from, path)?;
        String::from_utf8(content.to_vec()).map_err(|error| {
            let message = format!("`{found}` is not UTF-8 at offset {}", error.utf8_error().valid_up_to());
            let fault = self.fault_at(program, Some(from), &found, message);
            self.faults.push(fault.hinted("read it with `importbin`"));
            ImportError
        })
    }

    fn import_bin(&mut self, program: &mut Program<'p>, from: SpanId, path: &str) -> Result<Vec<u8>, ImportError> {
        self.find(program, from, path).map(|(_, content)| content.to_vec())
    }

    fn trace(&mut self, program: &mut Program<'p>, message: &str, stack: &[EvalStackTraceItem]) {
        if self.traces.len() < TRACES_MAX {
            let span = stack
                .iter()
                .rev()
                .filter_map(fault::span_of)
                .find(|span| self.place(program, *span, Metered::original_offset).is_some());
            let shown: String = message.chars().take(500).collect();
            self.traces.push(self.fault_at(program, span, &self.current, format!("trace: {shown}")));
        }
    }

    fn native_call(
        &mut self,
        _: &mut Program<'p>,
        _: InternedStr<'p>,
        arguments: &[Value<'p>],
    ) -> Result<Value<'p>, NativeError> {
        if let Some(format) = arguments.first().and_then(Value::to_string) {
            return match meter::check_format(&format) {
                Ok(()) => Ok(Value::bool(true)),
                Err(message) => {
                    self.refusal.get_or_insert(message);
                    Err(NativeError)
                }
            };
        }
        let amount = arguments.first().and_then(Value::as_number).unwrap_or(1.0);
        match meter::charge(self.tree.budget(), amount) {
            Ok(()) => Ok(Value::bool(true)),
            Err(what) => {
                self.stopped.get_or_insert_with(|| spent(&self.current, what));
                Err(NativeError)
            }
        }
    }
}
