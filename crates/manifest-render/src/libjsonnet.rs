//! The C++ Jsonnet library, for comparison only: it can't be interrupted and has no limits but its depth.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::files::Files;
use crate::path::{join, normalize, split};
use crate::source::{Argument, JsonnetInput};

/// Why the C++ library gave no result: what it said.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("libjsonnet: {message}")]
pub struct LibjsonnetError {
    /// The message, with the library's own trace.
    pub message: String,
}

fn refuse(message: impl ToString) -> LibjsonnetError {
    LibjsonnetError { message: message.to_string() }
}

/// Evaluates one program with the C++ library instead of the default evaluator.
///
/// # Errors
/// When the program is missing or refused.
pub fn evaluate_with_libjsonnet(path: &str, files: &dyn Files, input: &JsonnetInput) -> Result<Value, LibjsonnetError> {
    let path = normalize(path).map_err(refuse)?;
    let text = read_text(files, &path).map_err(refuse)?;
    if names_with_nul(input) {
        return Err(refuse("a variable or argument holds a NUL character"));
    }
    let mut vm = jsonnet::JsonnetVm::new();
    let libraries = input.library_paths.clone();
    vm.import_callback(|_, base, relative| import(files, &libraries, base, relative));
    for (name, argument) in &input.external_variables {
        match argument {
            Argument::Text(text) => vm.ext_var(name, text),
            Argument::Code(code) => vm.ext_code(name, code),
        }
    }
    for (name, argument) in &input.arguments {
        match argument {
            Argument::Text(text) => vm.tla_var(name, text),
            Argument::Code(code) => vm.tla_code(name, code),
        }
    }
    // Messages may quote half a character, so they are not taken for UTF-8.
    let answer = vm.evaluate_snippet(&path, &text).map_err(|error| refuse(error.as_cstr().to_string_lossy()))?;
    let documents = yaml::parse(answer.as_cstr().to_bytes())
        .map_err(|faults| refuse(faults.first().map(ToString::to_string).unwrap_or_default()))?;
    Ok(documents.into_iter().next().map(|document| document.value).unwrap_or_default())
}

fn names_with_nul(input: &JsonnetInput) -> bool {
    input.external_variables.iter().chain(&input.arguments).any(|(name, argument)| {
        let (Argument::Text(text) | Argument::Code(text)) = argument;
        name.contains('\0') || text.contains('\0')
    })
}

/// The library takes NUL for the end of a text and stops the process on one, so such a text is refused.
fn read_text(files: &dyn Files, path: &str) -> Result<String, String> {
    let content = files.read(path).map_err(|error| error.to_string())?;
    let text = String::from_utf8(content.to_vec()).map_err(|_| format!("`{path}` is not UTF-8"))?;
    if text.contains('\0') { Err(format!("`{path}` holds a NUL character")) } else { Ok(text) }
}

fn import(files: &dyn Files, libraries: &[String], base: &Path, relative: &Path) -> Result<(PathBuf, String), String> {
    let (Some(base), Some(relative)) = (base.to_str(), relative.to_str()) else {
        return Err("the path is not UTF-8".to_owned());
    };
    let base = base.trim_end_matches('/');
    let directories =
        std::iter::once(base).chain(libraries.iter().map(String::as_str)).chain([split(base).0, "vendor"]);
    let mut last = format!("`{relative}` was not found");
    for directory in directories {
        let path = join(directory, relative).map_err(|error| error.to_string())?;
        match read_text(files, &path) {
            Ok(text) => return Ok((PathBuf::from(path), text)),
            Err(message) => last = message,
        }
    }
    Err(last)
}
