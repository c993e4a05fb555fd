//! Plays the request scripts: `record` keeps what the real API server answers, `verify` compares it with what was
//! recorded before, `check` compares the embedded cluster with the recording, `run` only plays.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command-line tool talks to its user")]

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use script::embedded::{self, EmbeddedError};
use script::{Deviations, Difference, PlayError, Scene, Script, Stage, Transcript, Verbs};

const USAGE: &str = "usage: conformance record|verify --kubeconfig FILE [NAME...] | check [NAME...] | run --kubeconfig FILE SCRIPT | verbs";

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
        ["verify", "--kubeconfig", kubeconfig, names @ ..] => verify(Path::new(kubeconfig), names),
        ["check", names @ ..] => check(names),
        ["run", "--kubeconfig", kubeconfig, script] => run(Path::new(kubeconfig), Path::new(script)),
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

/// The real cluster, and what plays on it.
struct Real {
    scene: Scene,
    runtime: tokio::runtime::Runtime,
}

impl Real {
    fn new(kubeconfig: &Path) -> Result<Self, String> {
        let text = std::fs::read_to_string(kubeconfig).map_err(|error| format!("{}: {error}", kubeconfig.display()))?;
        let connection = script::connection(&text).map_err(|error| error.to_string())?;
        let scene = Scene {
            cluster: Arc::new(connection),
            kubeconfig: Some(kubeconfig.to_string_lossy().into_owned()),
            verbs: Verbs::of_requests(),
            has_controllers: true,
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        Ok(Self { scene, runtime: runtime.map_err(|error| error.to_string())? })
    }

    fn play(&self, script: &Script) -> Result<Transcript, PlayError> {
        self.runtime.block_on(script::play(&self.scene, script))
    }
}

fn record(kubeconfig: &Path, names: &[&str]) -> Result<bool, String> {
    let real = Real::new(kubeconfig)?;
    let scripts = scripts(names)?;
    let mut failed = 0;
    for script in &scripts {
        match real.play(script) {
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

/// Plays one script file as it stands: nothing is prepared, cleared or compared.
fn run(kubeconfig: &Path, path: &Path) -> Result<bool, String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let name = path.file_stem().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let script = Script::parse(&name, &text).map_err(|error| error.to_string())?;
    let real = Real::new(kubeconfig)?;
    let mut stage = Stage::new(Arc::clone(&real.scene.cluster), "default");
    match real.runtime.block_on(stage.play(&script, &real.scene.verbs)) {
        Ok(()) => Ok(true),
        Err(error) => {
            println!("{error}");
            Ok(false)
        }
    }
}

/// Plays on the real cluster and accepts no difference to the recording.
fn verify(kubeconfig: &Path, names: &[&str]) -> Result<bool, String> {
    let real = Real::new(kubeconfig)?;
    compare_all(names, &mut Deviations::default(), |script| real.play(script).map_err(Stop::from))
}

/// Plays on the embedded cluster; differences on the list of deviations are accepted.
fn check(names: &[&str]) -> Result<bool, String> {
    let path = folder().join("DEVIATIONS");
    let text = std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let mut deviations = Deviations::parse(&text).map_err(|error| format!("{}: {error}", path.display()))?;
    let agrees = compare_all(names, &mut deviations, |script| {
        embedded::play(script).map_err(|error| match error {
            EmbeddedError::NoKubectl => Stop::Skipped,
            EmbeddedError::Play { source } => Stop::from(source),
            other @ EmbeddedError::Setup { .. } => Stop::Broken(chain(&other)),
        })
    })?;
    let mut stale = 0;
    if names.is_empty() {
        for deviation in deviations.unused() {
            stale += 1;
            println!("no difference needs the deviation `{} {}`", deviation.script, deviation.path);
        }
    }
    println!("{} deviations, {stale} of them not needed", deviations.len());
    Ok(agrees)
}

/// Why a script has no complete transcript.
enum Stop {
    /// What it needs is not installed.
    Skipped,
    /// A line failed; what was seen until then is compared.
    Early(String, Transcript),
    /// There is nothing to compare.
    Broken(String),
}

impl From<PlayError> for Stop {
    fn from(error: PlayError) -> Self {
        match error {
            PlayError::Script { source, seen } => Self::Early(source.to_string(), *seen),
            other => Self::Broken(chain(&other)),
        }
    }
}

fn compare_all(
    names: &[&str],
    deviations: &mut Deviations,
    play: impl Fn(&Script) -> Result<Transcript, Stop>,
) -> Result<bool, String> {
    let (mut equal, mut skipped, mut different, mut accepted, mut unexplained) = (0, 0, 0, 0, 0);
    for script in scripts(names)? {
        let path = folder().join(format!("{}.out", script.name));
        let Ok(recorded) = std::fs::read_to_string(&path) else {
            return Err(format!("{} was never recorded", script.name));
        };
        let recorded = Transcript::parse(&recorded).map_err(|error| format!("{}: {error}", path.display()))?;
        let answered = match play(&script) {
            Ok(answered) => answered,
            Err(Stop::Skipped) => {
                skipped += 1;
                continue;
            }
            Err(Stop::Early(message, seen)) => {
                println!("{message}");
                seen
            }
            Err(Stop::Broken(message)) => {
                println!("{}: {message}", script.name);
                Transcript::default()
            }
        };
        let all = script::compare(&script.name, &recorded, &answered);
        let total = all.len();
        let remaining: Vec<Difference> = all.into_iter().filter(|one| !deviations.accept(one)).collect();
        accepted += total - remaining.len();
        unexplained += remaining.len();
        remaining.iter().for_each(|difference| println!("{difference}"));
        if remaining.is_empty() { equal += 1 } else { different += 1 }
    }
    println!(
        "{equal} scripts agree, {different} do not ({unexplained} differences), {skipped} skipped for want of kubectl, {accepted} differences accepted"
    );
    Ok(different == 0)
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
