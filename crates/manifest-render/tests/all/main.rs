//! The promises of the crate, seen from outside.

mod archives;
mod bombs;
mod cases;
mod charts;
mod example;
mod handlebars;
mod helm;
mod hostile;
mod jsonnet;
mod plain;
mod recorded;

use manifest_render::{Budget, MemoryFiles, RenderError, Rendered, Source, render};

/// Renders a path with the default budget.
fn rendered(files: &MemoryFiles, path: &str) -> Result<Rendered, RenderError> {
    render(&Source::at(path), files, &Budget::default())
}

/// The objects of a path, one a line, or its faults.
fn outcome(files: &MemoryFiles, path: &str) -> String {
    match rendered(files, path) {
        Ok(rendered) => {
            let lines = rendered.objects.iter().map(|it| format!("{}:{} {}", it.file, it.line, it.object.id()));
            lines.chain(rendered.diagnostics.iter().map(ToString::to_string)).collect::<Vec<_>>().join("\n")
        }
        Err(error) if error.diagnostics().is_empty() => error.to_string(),
        Err(error) => error.diagnostics().iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"),
    }
}
