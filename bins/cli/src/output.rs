//! How data and talk are printed.

use std::io::Write as _;
use std::process::ExitCode;

use object_model::Object;
use serde_json::Value;

use crate::args::Form;

/// Why a command did not do what was asked.
#[derive(Debug)]
pub(crate) struct Failure {
    code: u8,
    message: String,
    hint: Option<String>,
}

impl Failure {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { code: 1, message: message.into(), hint: None }
    }

    /// Wrong use: exit code 2.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self { code: 2, ..Self::new(message) }
    }

    /// A comparison that found something: exit code 1, and nothing to be said of it.
    pub(crate) fn differs() -> Self {
        Self::new("")
    }

    /// Exit code 2 instead, where 1 has a meaning of its own.
    #[must_use]
    pub(crate) fn untold(mut self) -> Self {
        self.code = 2;
        self
    }

    /// Waiting ended without the state: exit code 3.
    pub(crate) fn waited(message: impl Into<String>) -> Self {
        Self { code: 3, ..Self::new(message) }
    }

    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::new(format!("{error:#}"))
    }
}

impl From<scenario::setting::PeopleError> for Failure {
    fn from(error: scenario::setting::PeopleError) -> Self {
        Self::new(error.to_string())
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::new(error.to_string())
    }
}

/// Tells why and returns the exit code.
pub(crate) fn fail(failure: &Failure) -> ExitCode {
    if !failure.message.is_empty() {
        talk(&format!("error: {}", failure.message));
    }
    if let Some(hint) = &failure.hint {
        talk(&format!("\nhint: {hint}"));
    }
    ExitCode::from(failure.code)
}

/// Prints data. A reader that went away is no failure.
pub(crate) fn print(text: &str) {
    print_bytes(text.as_bytes());
}

/// Prints data that need not be text.
pub(crate) fn print_bytes(bytes: &[u8]) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(bytes);
    let _ = out.flush();
}

/// Prints a line of data.
pub(crate) fn line(text: &str) {
    print(&format!("{text}\n"));
}

/// Says something to a person.
pub(crate) fn talk(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// A table with columns as wide as their widest cell.
pub(crate) fn table(header: &[&str], rows: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> = header.iter().map(|cell| cell.chars().count()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let render = |cells: Vec<&str>| {
        let padded: Vec<String> = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        format!("{}\n", padded.join("   ").trim_end())
    };
    let mut text = render(header.to_vec());
    for row in rows {
        text.push_str(&render(row.iter().map(String::as_str).collect()));
    }
    text
}

/// Objects as kubectl prints them with -o json or yaml.
pub(crate) fn objects(objects: &[Object], form: Form, is_one: bool) -> String {
    let value = match (is_one, objects) {
        (true, [one]) => one.to_json(),
        _ => serde_json::json!({
            "apiVersion": "v1", "kind": "List", "items": objects.iter().map(Object::to_json).collect::<Vec<_>>(),
        }),
    };
    value_text(&value, form)
}

/// A value as JSON or YAML.
pub(crate) fn value_text(value: &Value, form: Form) -> String {
    match form {
        Form::Json => format!("{value:#}\n"),
        _ => yaml::to_yaml(value),
    }
}
