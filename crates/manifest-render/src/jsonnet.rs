//! Jsonnet programs to manifests: imports stay inside the tree, and evaluation ends.
//!
//! The evaluator keeps its own stack and has no limits but its depth, so what it runs is metered first ([`meter`]).

mod fault;
mod host;
mod meter;

use std::collections::BTreeMap;

use rsjsonnet_lang::arena::Arena;
use rsjsonnet_lang::program::{Program, Thunk, Value as Evaluated, ValueKind};
use serde_json::Value;

use crate::budget::BudgetError;
use crate::collect::Collector;
use crate::diagnostic::Diagnostic;
use crate::path::{join, split};
use crate::render::RenderError;
use crate::source::{Argument, Source};
use crate::tree::{Tree, Walk};

use host::Host;

/// Levels of a result; what `serde_json` can read back.
const RESULT_DEPTH_MAX: usize = 127;

/// Native stack for the deepest program that [`meter`] lets through. The system gives memory only to what is used.
const STACK_BYTES: usize = 64 << 20;

/// Depth that the evaluator is allowed for each level a user is: the meter adds calls of its own.
const STACK_PER_LEVEL: usize = 4;

/// Whether a file is a program by its name and place; libraries are there to be imported.
pub(crate) fn is_program(relative: &str) -> bool {
    relative.ends_with(".jsonnet") && !relative.split('/').any(|part| part == "vendor")
}

/// Whether a file belongs to Jsonnet's own tools: the lists of libraries, and the libraries.
pub(crate) fn is_tooling(relative: &str) -> bool {
    let (directory, name) = split(relative);
    matches!(name, "jsonnetfile.json" | "jsonnetfile.lock.json") || directory.split('/').any(|part| part == "vendor")
}

/// Evaluates the programs of a source into the collector.
pub(crate) fn load(
    programs: &[&str],
    source: &Source,
    walk: &Walk,
    tree: &Tree<'_>,
    collector: &mut Collector<'_>,
) -> Result<(), RenderError> {
    let libraries = library_paths(source, &walk.root)?;
    for path in programs {
        let content = tree.read(path)?;
        match evaluate(path, &content, source, &libraries, tree, collector)? {
            Ok(result) => collector.result(path, result)?,
            Err(faults) => faults.into_iter().for_each(|fault| collector.fault(fault)),
        }
    }
    Ok(())
}

/// The directories that imports are searched in, after the importing file's own.
fn library_paths(source: &Source, root: &str) -> Result<Vec<String>, RenderError> {
    let mut paths = Vec::new();
    for path in &source.jsonnet.library_paths {
        paths.push(join("", path).map_err(RenderError::Path)?);
    }
    for directory in [root, ""] {
        let vendor = join(directory, "vendor").map_err(RenderError::Path)?;
        if !paths.contains(&vendor) {
            paths.push(vendor);
        }
    }
    Ok(paths)
}

/// Evaluates one program. The outer error stops the render, the inner ones are faults of the program.
fn evaluate(
    path: &str,
    content: &[u8],
    source: &Source,
    libraries: &[String],
    tree: &Tree<'_>,
    collector: &mut Collector<'_>,
) -> Result<Result<Value, Vec<Diagnostic>>, RenderError> {
    let arena = Arena::new();
    let mut program = Program::new(&arena);
    let depth_max = usize::try_from(tree.budget().limits().depth_max).unwrap_or(usize::MAX);
    program.set_max_stack(depth_max.saturating_mul(STACK_PER_LEVEL));
    let mut host = Host::new(tree, libraries);
    let outcome = stacker::grow(STACK_BYTES, || run(&mut program, &mut host, path, content, source));
    host.traces.drain(..).for_each(|trace| collector.note(trace));
    match outcome {
        Ok(value) => Ok(Ok(value)),
        Err(fault) => match host.stopped.take() {
            Some(RenderError::Budget(error)) if fault.line > 0 => {
                let place = format!("{}:{}", fault.file, fault.line);
                Err(RenderError::Budget(BudgetError { place, ..error }))
            }
            Some(stopped) => Err(stopped),
            None => Ok(Err(vec![host.faults.pop().unwrap_or(*fault)])),
        },
    }
}

/// Evaluates a program to its result.
fn run<'p>(
    program: &mut Program<'p>,
    host: &mut Host<'_, 'p>,
    path: &str,
    content: &[u8],
    source: &Source,
) -> Result<Value, Box<Diagnostic>> {
    host.register(program);
    for (name, argument) in &source.jsonnet.external_variables {
        let value = argument_value(program, host, "external variable", name, argument)?;
        let name = program.intern_str(name);
        program.add_ext_var(name, &value);
    }
    let thunk = host.load(program, path, content)?;
    let value = call(program, host, path, &thunk, &source.jsonnet.arguments)?;
    manifest(&value, 0, host).map_err(|message| Box::new(Diagnostic::of_file(path, message)))
}

/// Turns a result into JSON. Parts that are shared are counted each time, for each becomes a value of its own.
fn manifest(value: &Evaluated<'_>, depth: usize, host: &mut Host<'_, '_>) -> Result<Value, String> {
    if depth > RESULT_DEPTH_MAX {
        return Err(format!("the result is nested more than {RESULT_DEPTH_MAX} levels deep"));
    }
    Ok(match value.kind() {
        ValueKind::Null => Value::Null,
        ValueKind::Bool(bool) => Value::Bool(bool),
        ValueKind::Number(number) => yaml::json_number(number).map_or(Value::Null, Value::Number),
        ValueKind::String(text) => {
            host.output(text.len())?;
            Value::String(text)
        }
        ValueKind::Array(items) => {
            host.output(items.len())?;
            Value::Array(items.iter().map(|item| manifest(item, depth + 1, host)).collect::<Result<_, _>>()?)
        }
        ValueKind::Object(fields) => {
            let mut map = serde_json::Map::new();
            for (name, field) in &fields {
                host.output(name.value().len())?;
                map.insert(name.value().to_owned(), manifest(field, depth + 1, host)?);
            }
            Value::Object(map)
        }
        ValueKind::Function => return Err("the result holds a function".to_owned()),
    })
}

/// Evaluates a program, calls it when it is a function, and copies the result under the meter.
fn call<'p>(
    program: &mut Program<'p>,
    host: &mut Host<'_, 'p>,
    path: &str,
    thunk: &Thunk<'p>,
    arguments: &BTreeMap<String, Argument>,
) -> Result<Evaluated<'p>, Box<Diagnostic>> {
    let mut given = vec![thunk.clone()];
    for (name, argument) in arguments {
        if !meter::is_name(name) {
            return Err(Box::new(Diagnostic::of_file(path, format!("`{name}` can't be the name of an argument"))));
        }
        given.push(argument_value(program, host, "argument", name, argument)?);
    }
    let names: Vec<&str> = arguments.keys().map(String::as_str).collect();
    let copier = host
        .load_internal(program, &meter::copier(&names))
        .ok_or_else(|| Box::new(Diagnostic::of_file(path, "the arguments can't be given to a program")))?;
    program.eval_call(&copier, &given, &[], host).map_err(|error| Box::new(host.fault(program, path, &error)))
}

fn argument_value<'p>(
    program: &mut Program<'p>,
    host: &mut Host<'_, 'p>,
    what: &str,
    name: &str,
    argument: &Argument,
) -> Result<Thunk<'p>, Box<Diagnostic>> {
    match argument {
        Argument::Text(text) => Ok(program.value_to_thunk(&Evaluated::string(text))),
        Argument::Code(code) => host.load(program, &format!("<{what} {name}>"), code.as_bytes()),
    }
}
