//! Plays the request scripts: `record` on the real API server, `check` on the embedded cluster.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command-line tool talks to its user")]

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use script::{Deviations, Difference, PlayError, Scene, Script, Transcript, Verbs, embedded};

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
        ["check", names @ ..] => check(names),
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
    let connection = script::connection(&text).map_err(|error| error.to_string())?;
    let scene = Scene {
        cluster: Arc::new(connection),
        kubeconfig: Some(kubeconfig.to_string_lossy().into_owned()),
        verbs: Verbs::of_requests(),
        has_controllers: true,
    };
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string())?;
    let scripts = scripts(names)?;
    let mut failed = 0;
    for script in &scripts {
        match runtime.block_on(script::play(&scene, script)) {
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

fn check(names: &[&str]) -> Result<bool, String> {
    let path = folder().join("DEVIATIONS");
    let text = std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let mut deviations = Deviations::parse(&text).map_err(|error| format!("{}: {error}", path.display()))?;
    let (mut equal, mut accepted, mut skipped) = (0, 0, 0);
    let mut different: Vec<(String, Vec<Difference>)> = Vec::new();
    for script in scripts(names)? {
        let path = folder().join(format!("{}.out", script.name));
        let Ok(recorded) = std::fs::read_to_string(&path) else {
            return Err(format!("{} was never recorded", script.name));
        };
        let recorded = Transcript::parse(&recorded).map_err(|error| format!("{}: {error}", path.display()))?;
        let answered = match embedded::play(&script) {
            Ok(answered) => answered,
            Err(embedded::EmbeddedError::NoKubectl) => {
                skipped += 1;
                continue;
            }
            Err(embedded::EmbeddedError::Play { source: PlayError::Script { source, seen } }) => {
                println!("{source}");
                *seen
            }
            Err(error) => return Err(format!("{}: {}", script.name, chain(&error))),
        };
        let all = script::compare(&script.name, &recorded, &answered);
        let total = all.len();
        let unexplained: Vec<Difference> = all.into_iter().filter(|one| !deviations.accept(one)).collect();
        accepted += total - unexplained.len();
        if unexplained.is_empty() {
            equal += 1;
        } else {
            different.push((script.name.clone(), unexplained));
        }
    }
    let count: usize = different.iter().map(|(_, differences)| differences.len()).sum();
    for difference in different.iter().flat_map(|(_, differences)| differences) {
        println!("{difference}");
    }
    if names.is_empty() {
        for deviation in deviations.unused() {
            println!("note: no difference needs the deviation `{} {}`", deviation.script, deviation.path);
        }
    }
    println!(
        "{equal} scripts agree, {} do not ({count} differences), {skipped} skipped; {} deviations accept {accepted} differences",
        different.len(),
        deviations.len(),
    );
    Ok(different.is_empty())
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

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    text
}

fn explain(error: &PlayError) -> String {
    let mut text = chain(error);
    if let PlayError::Script { seen, .. } = error
        && let Some(last) = seen.entries.last()
    {
        text.push_str(&format!("\n  last answer: {:?} {}", last.status, last.body));
    }
    text
}
