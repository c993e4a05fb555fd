//! Plays the request scripts: `record` on the real API server, `check` on the embedded cluster.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command-line tool talks to its user")]

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use scenario::{PlayError, Scene, Script, Transcript, Verbs};

const USAGE: &str = "usage: conformance record --kubeconfig FILE [NAME...] | check [NAME...] | verbs";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match command(&arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(message) => {
            eprintln!("conformance: {message}");
            ExitCode::FAILURE
        }
    }
}

fn command(arguments: &[String]) -> Result<bool, String> {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["record", "--kubeconfig", kubeconfig, names @ ..] => record(Path::new(kubeconfig), names),
        ["verbs"] => {
            println!("{}", Verbs::of_requests().usage());
            Ok(true)
        }
        _ => Err(USAGE.to_owned()),
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/conformance")
}

/// Returns the scripts whose names contain one of the words, or all, in order.
fn scripts(names: &[&str]) -> Result<Vec<Script>, String> {
    let folder = folder();
    let fail = |error: std::io::Error| format!("{}: {error}", folder.display());
    let mut paths: Vec<PathBuf> = Vec::new();
    for entry in std::fs::read_dir(&folder).map_err(fail)? {
        let path = entry.map_err(fail)?.path();
        if path.extension().is_some_and(|ending| ending == "txt") {
            paths.push(path);
        }
    }
    paths.sort();
    let mut scripts = Vec::new();
    for path in paths {
        let name = path.file_stem().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if !names.is_empty() && !names.iter().any(|word| name.contains(word)) {
            continue;
        }
        let text = std::fs::read_to_string(&path).map_err(fail)?;
        scripts.push(Script::parse(&name, &text).map_err(|error| error.to_string())?);
    }
    Ok(scripts)
}

fn record(kubeconfig: &Path, names: &[&str]) -> Result<bool, String> {
    let text = std::fs::read_to_string(kubeconfig).map_err(|error| format!("{}: {error}", kubeconfig.display()))?;
    let connection = scenario::connection(&text).map_err(|error| error.to_string())?;
    let scene = Scene {
        cluster: Arc::new(connection),
        kubeconfig: Some(kubeconfig.to_string_lossy().into_owned()),
        verbs: Verbs::of_requests(),
    };
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string())?;
    let scripts = scripts(names)?;
    let mut failed = 0;
    for script in &scripts {
        match runtime.block_on(scenario::play(&scene, script)) {
            Ok(transcript) => write(script, &transcript)?,
            Err(error) => {
                failed += 1;
                println!("{}: {}", script.name, explain(&error));
            }
        }
    }
    println!("{} recorded, {failed} failed", scripts.len() - failed);
    Ok(failed == 0)
}

fn write(script: &Script, transcript: &Transcript) -> Result<(), String> {
    let path = folder().join(format!("{}.out", script.name));
    let text = transcript.to_text();
    let before = std::fs::read_to_string(&path).unwrap_or_default();
    if before != text {
        println!("{} {}", if before.is_empty() { "new    " } else { "changed" }, script.name);
        std::fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(())
}

fn explain(error: &PlayError) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    if let PlayError::Script { seen, .. } = error
        && let Some(last) = seen.entries.last()
    {
        text.push_str(&format!("\n  last answer: {:?} {}", last.status, last.body));
    }
    text
}
