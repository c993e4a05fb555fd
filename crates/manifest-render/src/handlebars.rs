//! Handlebars templates to manifests: no code, no reads and no clock in templates, and an end to each render.
//!
//! The engine has no limits of its own, so templates are checked before they run ([`vet`]): nesting is bounded,
//! partials can't include each other in circles, and each body counts a step when it runs. What would escape that
//! (partial blocks, inline partials, computed partial names) is refused.

mod functions;
mod vet;

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, OnceLock};

use handlebars::{
    Context, Handlebars, RenderError as EngineError, RenderErrorReason, Template, TemplateErrorReason, no_escape,
};
use serde_json::Value;

use crate::budget::{Budget, Exhausted};
use crate::collect::Collector;
use crate::diagnostic::Diagnostic;
use crate::path::split;
use crate::render::RenderError;
use crate::source::Source;
use crate::tree::{Tree, Walk, spent};
use crate::values;

/// Whether a file is a template by its name.
pub(crate) fn is_template(path: &str) -> bool {
    stem(path).is_some()
}

/// Whether a template is only there to be included: `_name.hbs`, or anything in a folder `partials`.
fn is_partial(path: &str) -> bool {
    let (directory, name) = split(path);
    name.starts_with('_') || directory.split('/').any(|part| part == "partials")
}

/// The path without the extension.
fn stem(path: &str) -> Option<&str> {
    path.strip_suffix(".hbs").or_else(|| path.strip_suffix(".handlebars"))
}

/// The name under which a template includes another: `_labels.hbs` is `labels`, `partials/web/labels.hbs` is
/// `web/labels`.
fn partial_name(relative: &str) -> String {
    let stem = stem(relative).unwrap_or(relative);
    let stem =
        stem.strip_prefix("partials/").or_else(|| stem.split_once("/partials/").map(|(_, rest)| rest)).unwrap_or(stem);
    let (directory, name) = split(stem);
    let name = name.trim_start_matches('_');
    if directory.is_empty() { name.to_owned() } else { format!("{directory}/{name}") }
}

/// Renders all templates of a source into the collector.
pub(crate) fn load(
    templates: &[&str],
    source: &Source,
    walk: &Walk,
    tree: &Tree<'_>,
    collector: &mut Collector<'_>,
) -> Result<(), RenderError> {
    let values = values::load(source, &walk.root, tree, collector)?;
    let spent_flag = Arc::new(OnceLock::new());
    let mut engine = Handlebars::new();
    engine.set_strict_mode(true);
    engine.register_escape_fn(no_escape);
    engine.unregister_helper("log");
    functions::register(&mut engine, tree.budget(), &spent_flag);
    let mut sources = BTreeMap::new();
    for path in templates {
        let content = tree.read(path)?;
        match compile(path, &content) {
            Ok(template) => {
                let name = if is_partial(path) { partial_name(walk.relative(path)) } else { (*path).to_owned() };
                sources.insert(name, ((*path).to_owned(), template));
            }
            Err(fault) => collector.fault(*fault),
        }
    }
    if let Err(faults) = vet::check(&sources) {
        faults.into_iter().for_each(|fault| collector.fault(fault));
        return Ok(());
    }
    let files: BTreeMap<String, String> =
        sources.iter().map(|(name, (path, _))| (name.clone(), path.clone())).collect();
    for (name, (_, mut template)) in sources {
        vet::count_steps(&mut template);
        engine.register_template(&name, template);
    }
    let context = Context::wraps(Value::Object(values)).map_err(|error| {
        let diagnostics = vec![Diagnostic::of_file(&walk.root, format!("the values can't be used: {error}"))];
        RenderError::Invalid { diagnostics }
    })?;
    for path in templates.iter().filter(|path| !is_partial(path) && engine.has_template(path)) {
        let mut output = Counted { text: Vec::new(), budget: tree.budget(), spent: &spent_flag };
        match engine.render_with_context_to_write(path, &context, &mut output) {
            Ok(()) => collector.rendered_text(path, &output.text)?,
            Err(error) => match spent_flag.get() {
                Some(what) => return Err(spent(&place_of(&error, path, &files), *what)),
                None => collector.fault(fault_of(&error, path, &files)),
            },
        }
    }
    Ok(())
}

fn compile(path: &str, content: &[u8]) -> Result<Template, Box<Diagnostic>> {
    let text = std::str::from_utf8(content).map_err(|error| {
        let message = format!("the template is not UTF-8 at offset {}", error.valid_up_to());
        Box::new(Diagnostic::of_file(path, message).hinted("save the file as UTF-8"))
    })?;
    vet::nesting(path, text)?;
    Template::compile_with_name(text, path.to_owned()).map_err(|error| {
        let (line, column) = error.pos().unwrap_or((0, 0));
        // The engine lists every rule of its grammar here, which helps nobody.
        let message = match error.reason() {
            TemplateErrorReason::InvalidSyntax(_) => "a tag is malformed, or a block is not closed".to_owned(),
            reason => one_line(&reason.to_string()),
        };
        Box::new(
            Diagnostic::of_file(path, message)
                .at(number(line), number(column))
                .hinted("check that each block is closed and each tag ends with `}}`"),
        )
    })
}

/// Counts what a template writes.
struct Counted<'b> {
    text: Vec<u8>,
    budget: &'b Budget,
    spent: &'b OnceLock<Exhausted>,
}

impl io::Write for Counted<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Err(what) = self.budget.output(bytes.len()) {
            let what = *self.spent.get_or_init(|| what);
            return Err(io::Error::other(what.to_string()));
        }
        self.text.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The file and line at which the engine stopped.
fn place_of(error: &EngineError, path: &str, files: &BTreeMap<String, String>) -> String {
    let fault = position_of(error, path, files, String::new());
    if fault.line == 0 { fault.file } else { format!("{}:{}", fault.file, fault.line) }
}

fn position_of(error: &EngineError, path: &str, files: &BTreeMap<String, String>, message: String) -> Diagnostic {
    let name = error.template_name.as_deref().unwrap_or(path);
    let file = files.get(name).map_or(name, String::as_str);
    let (line, column) = (error.line_no.map_or(0, number), error.column_no.map_or(0, number));
    Diagnostic::of_file(file, message).at(line, column)
}

fn fault_of(error: &EngineError, path: &str, files: &BTreeMap<String, String>) -> Diagnostic {
    let (message, hint) = match error.reason() {
        RenderErrorReason::MissingVariable(Some(name)) => (
            format!("`{name}` has no value"),
            Some(format!("set it in {}, or write `{{{{default {name} \"...\"}}}}`", values::DEFAULT_FILE)),
        ),
        RenderErrorReason::MissingVariable(None) => ("a value is missing".to_owned(), None),
        RenderErrorReason::HelperNotFound(name) => (
            format!("there is no helper `{name}`"),
            Some("a path with arguments is a helper call; check its name".to_owned()),
        ),
        RenderErrorReason::PartialNotFound(name) => (
            format!("there is no partial `{name}`"),
            Some(format!("write it as `_{name}.hbs` or `partials/{name}.hbs`")),
        ),
        RenderErrorReason::ParamNotFoundForIndex(name, index) => {
            (format!("`{name}` needs an argument {}, or the one given has no value", index + 1), None)
        }
        reason => (one_line(&reason.to_string()), None),
    };
    let fault = position_of(error, path, files, message);
    match hint {
        Some(hint) => fault.hinted(hint),
        None => fault,
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn number(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
