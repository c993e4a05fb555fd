//! Reads a GitOpsConfig with two mistakes and prints both with their fields.

use api::GitOpsConfig;
use object_model::{Object, ObjectError};
use serde_json::json;

/// Returns what the example prints.
///
/// # Errors
/// When its object is not one.
pub fn run() -> Result<String, ObjectError> {
    let object = Object::parse(json!({
        "apiVersion": "sluice.dev/v1", "kind": "GitOpsConfig", "metadata": {"name": "shop", "namespace": "qa"},
        "spec": {"url": "https://git.example.com/fleet.git", "branch": 7, "path": "../other", "interval": "30s"},
    }))?;
    let (config, problems) = GitOpsConfig::parse(&object);
    let lines: Vec<String> = problems.iter().map(|problem| format!("{problem}\n")).collect();
    Ok(format!("{}polled every {:?}\n", lines.concat(), config.interval))
}

#[expect(clippy::print_stdout, clippy::print_stderr, reason = "an example prints")]
fn main() {
    match run() {
        Ok(text) => print!("{text}"),
        Err(error) => eprintln!("{error}"),
    }
}
