//! `cargo xtask argo-suite [--parallel N] [--reruns N] [--operator PATH] [--tools D] [SUITE[/TEST]...]`: the end-to-end tests
//! of Argo Rollouts, as their authors published them, judge our operator on the real control plane.
//!
//! Nothing of theirs is part of this project: the tests come from the Go module and are built in the target folder. Each
//! suite plays in a namespace of its own, so that some can play at once; what failed is played again by itself.

use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::control_plane::{self, Folders, Foreground, Leash, Purpose};
use crate::run;

const MODULE: &str = "github.com/argoproj/argo-rollouts@v1.9.1";
const INSTANCE: &str = "argo-rollouts-e2e";
const NAMESPACE: &str = "argo-rollouts";
/// Folders of the module that no test is built from.
const NOT_NEEDED: [&str; 3] = ["docs", "examples", "hack"];
const FOLDER_DEPTH_MAX: usize = 24;

const USAGE: &str = "usage: cargo xtask argo-suite [--parallel N] [--reruns N] [--operator PATH] [--tools D] \
                     [SUITE[/TEST]...]";

struct Options {
    parallel: usize,
    reruns: usize,
    operator: Option<PathBuf>,
    chosen: Vec<String>,
}

/// How one test ended, by its suite and name.
type Results = BTreeMap<String, Outcome>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Passed,
    Failed,
    Skipped,
}

/// Builds the tests, plays them, and fails when one of them failed each time.
pub(crate) fn command(arguments: &[String]) -> Result<()> {
    let folder = run::target().join("argo-suite");
    let mut folders = Folders { state: folder.join("control-plane"), ..Folders::default() };
    let options = parse(arguments, &mut folders)?;
    let tests = build_tests(&folder)?;
    let operator = match &options.operator {
        Some(path) => std::path::absolute(path)?,
        None => run::program("sluice-operator")?,
    };
    let tools = control_plane::build(&folders.tools, Purpose::ClusterAndClients)?;
    control_plane::down(&folders)?;
    let _leash = Leash::tie(&folders)?;
    let kubeconfig = control_plane::up(&folders, &tools, Foreground::Yes)?;
    let stage =
        Stage { folder: &folder, kubectl: tools.folder.join("kubectl"), tools: &tools.folder, kubeconfig, tests };
    let played = stage.furnish().and_then(|()| {
        let mut operator = stage.start(&operator)?;
        let played = stage.play(&options);
        operator.kill()?;
        operator.wait()?;
        played
    });
    let ended = control_plane::down(&folders);
    let results = played?;
    ended?;
    report(&results)
}

fn parse(arguments: &[String], folders: &mut Folders) -> Result<Options> {
    let mut options = Options { parallel: 4, reruns: 2, operator: None, chosen: Vec::new() };
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        let mut value = || rest.next().with_context(|| format!("{argument} needs a value; {USAGE}"));
        match argument.as_str() {
            "--parallel" => options.parallel = value()?.parse().context(USAGE)?,
            "--reruns" => options.reruns = value()?.parse().context(USAGE)?,
            "--operator" => options.operator = Some(value()?.into()),
            "--tools" => folders.tools = std::path::absolute(value()?)?,
            flag if flag.starts_with('-') => bail!("unknown argument `{flag}`; {USAGE}"),
            name => options.chosen.push(name.to_owned()),
        }
    }
    Ok(options)
}

/// The program of the tests and the folder whose files they read.
struct Tests {
    program: PathBuf,
    source: PathBuf,
}

fn build_tests(folder: &Path) -> Result<Tests> {
    let source = folder.join("source");
    let program = folder.join("e2e.test");
    let stamp = folder.join("e2e.stamp");
    let tests = Tests { program, source };
    if tests.program.is_file() && fs::read_to_string(&stamp).ok().as_deref() == Some(MODULE) {
        return Ok(tests);
    }
    if !run::is_installed("go") {
        bail!("the tests are a Go program: a Go toolchain is needed to build them");
    }
    eprintln!("building the tests of {MODULE}");
    let known = run::output(Command::new("go").args(["mod", "download", "-json", MODULE]))?;
    let known: serde_json::Value = serde_json::from_str(&known).context("`go mod download` told something else")?;
    let module = known.get("Dir").and_then(serde_json::Value::as_str).context("`go mod download` named no folder")?;
    copy(Path::new(module), &tests.source, 0)?;
    let mut go = Command::new("go");
    go.args(["test", "-c", "-mod=mod", "-tags", "e2e", "-o"]).arg(&tests.program).arg("./test/e2e");
    run::run(go.env("CGO_ENABLED", "0").current_dir(&tests.source))?;
    fs::write(&stamp, MODULE)?;
    Ok(tests)
}

/// Copies a folder; the files of a module can't be written, the copies can.
fn copy(from: &Path, to: &Path, depth: usize) -> Result<()> {
    if depth > FOLDER_DEPTH_MAX {
        bail!("{} is too deep", from.display());
    }
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from).with_context(|| format!("failed to read {}", from.display()))? {
        let entry = entry?;
        let (name, kind) = (entry.file_name(), entry.file_type()?);
        if kind.is_dir() && !(depth == 0 && NOT_NEEDED.iter().any(|folder| name == *folder)) {
            copy(&entry.path(), &to.join(&name), depth + 1)?;
        } else if kind.is_file() {
            fs::write(to.join(&name), fs::read(entry.path())?)?;
        }
    }
    Ok(())
}

/// A control plane with everything that the tests expect to find.
struct Stage<'a> {
    folder: &'a Path,
    kubectl: PathBuf,
    tools: &'a Path,
    kubeconfig: PathBuf,
    tests: Tests,
}

impl Stage<'_> {
    fn kubectl(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.kubectl);
        command.arg("--kubeconfig").arg(&self.kubeconfig).args(arguments).stdout(Stdio::null());
        command
    }

    /// Definitions as the tests' own set-up applies them.
    fn furnish(&self) -> Result<()> {
        let definitions = self.tests.source.join("manifests/crds");
        run::run(&mut self.kubectl(&["apply", "--server-side", "-k", &definitions.to_string_lossy()]))?;
        let others = self.tests.source.join("test/e2e/crds");
        run::run(&mut self.kubectl(&["apply", "-f", &others.to_string_lossy()]))?;
        run::run(&mut self.kubectl(&["create", "namespace", NAMESPACE]))?;
        let wait = ["wait", "--for", "condition=Established", "crd", "--all", "--timeout", "60s"];
        run::run(&mut self.kubectl(&wait))
    }

    fn start(&self, operator: &Path) -> Result<Child> {
        let log = fs::File::create(self.folder.join("operator.log"))?;
        let mut command = Command::new(operator);
        command.arg("--kubeconfig").arg(&self.kubeconfig).args(["--namespace", NAMESPACE, "--instance-id", INSTANCE]);
        // The tests read the controller's metrics at Argo's own port, which is the default.
        command.args(["--domains", "rollout,analysis,experiment", "--listen", "none", "--allow-loopback"]);
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        command.spawn().with_context(|| format!("failed to start {}", operator.display()))
    }

    /// Plays all suites, some at once, then what failed, one at a time.
    fn play(&self, options: &Options) -> Result<Results> {
        let queue = Mutex::new(self.suites(options)?);
        let results = Mutex::new(Results::new());
        let errors = Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            for _ in 0..options.parallel.max(1) {
                scope.spawn(|| {
                    while let Some(suite) = take(&queue) {
                        match self.play_one(&suite, 0) {
                            Ok(more) => lock(&results).extend(more),
                            Err(error) => lock(&errors).push(error),
                        }
                    }
                });
            }
        });
        if let Some(error) = errors.into_inner().unwrap_or_default().pop() {
            return Err(error);
        }
        let mut results = results.into_inner().unwrap_or_default();
        for rerun in 1..=options.reruns {
            let failed: Vec<String> = failed(&results).cloned().collect();
            for test in failed {
                results.extend(self.play_one(&test, rerun)?);
            }
        }
        Ok(results)
    }

    fn suites(&self, options: &Options) -> Result<VecDeque<String>> {
        if !options.chosen.is_empty() {
            return Ok(options.chosen.iter().cloned().collect());
        }
        let mut list = Command::new(&self.tests.program);
        list.args(["-test.list", "."]).env("KUBECONFIG", &self.kubeconfig);
        Ok(run::output(&mut list)?.lines().filter(|line| line.starts_with("Test")).map(str::to_owned).collect())
    }

    /// Plays a suite, or one test of it, in a namespace of its own.
    fn play_one(&self, test: &str, rerun: usize) -> Result<Results> {
        let begun = Instant::now();
        let name = test.replace('/', "-").to_lowercase();
        let namespace = format!("{}-{rerun}", name.chars().take(50).collect::<String>().trim_end_matches('-'));
        run::run(&mut self.kubectl(&["create", "namespace", &namespace]))?;
        let kubeconfig = self.folder.join(format!("{namespace}.kubeconfig"));
        fs::copy(&self.kubeconfig, &kubeconfig)?;
        let mut choose = Command::new(&self.kubectl);
        choose.arg("--kubeconfig").arg(&kubeconfig).args([
            "config",
            "set-context",
            "--current",
            "--namespace",
            &namespace,
        ]);
        run::run(choose.stdout(Stdio::null()))?;
        let log = self.folder.join(format!("{namespace}.log"));
        let file = fs::File::create(&log)?;
        let path = std::env::join_paths(
            std::iter::once(self.tools.to_path_buf())
                .chain(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())),
        )?;
        let pattern: Vec<String> = test.split('/').map(|part| format!("^{part}$")).collect();
        let mut command = Command::new(&self.tests.program);
        command.args(["-test.v", "-test.timeout", "90m", "-test.short", "-test.run", &pattern.join("/")]);
        command.env("KUBECONFIG", &kubeconfig).env("PATH", path).env("E2E_INSTANCE_ID", INSTANCE);
        command.current_dir(self.tests.source.join("test/e2e")).stdin(Stdio::null());
        // Failed tests are found in what they say; the exit status tells no more.
        command.stdout(file.try_clone()?).stderr(file).status()?;
        let said = String::from_utf8_lossy(&fs::read(&log)?).into_owned();
        let results = outcomes(&said);
        let count = |outcome| results.values().filter(|result| **result == outcome).count();
        println!(
            "{test}: {} passed, {} failed, {} skipped, {} s; {}",
            count(Outcome::Passed),
            count(Outcome::Failed),
            count(Outcome::Skipped),
            begun.elapsed().as_secs(),
            log.display()
        );
        if results.is_empty() {
            bail!("{test} said nothing about a test: see {}", log.display());
        }
        // Its pods would go on to cost time.
        run::run(&mut self.kubectl(&["delete", "namespace", &namespace, "--wait=false"]))?;
        std::thread::sleep(Duration::from_millis(200));
        Ok(results)
    }
}

/// Reads what `go test -v` says of the tests within suites.
fn outcomes(said: &str) -> Results {
    let mut results = Results::new();
    for line in said.lines() {
        let Some(rest) = line.trim_start().strip_prefix("--- ") else { continue };
        let Some((word, rest)) = rest.split_once(": ") else { continue };
        let outcome = match word {
            "PASS" => Outcome::Passed,
            "FAIL" => Outcome::Failed,
            "SKIP" => Outcome::Skipped,
            _ => continue,
        };
        let name = rest.split(' ').next().unwrap_or_default();
        if name.matches('/').count() == 1 {
            results.insert(name.to_owned(), outcome);
        }
    }
    results
}

fn failed(results: &Results) -> impl Iterator<Item = &String> {
    results.iter().filter(|(_, outcome)| **outcome == Outcome::Failed).map(|(name, _)| name)
}

fn report(results: &Results) -> Result<()> {
    let count = |outcome| results.values().filter(|result| **result == outcome).count();
    let (passed, skipped) = (count(Outcome::Passed), count(Outcome::Skipped));
    for test in failed(results) {
        println!("failed: {test}");
    }
    let failures = failed(results).count();
    println!("Argo's own tests: {passed} passed, {failures} failed, {skipped} skipped");
    if failures > 0 {
        bail!("{failures} of Argo's own tests failed");
    }
    Ok(())
}

fn take(queue: &Mutex<VecDeque<String>>) -> Option<String> {
    lock(queue).pop_front()
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_tests_within_a_suite_are_counted() {
        let said = "=== RUN   TestSuite\n    --- PASS: TestSuite/TestOne (1.00s)\n    --- FAIL: TestSuite/TestTwo (2.00s)\n\
                    --- FAIL: TestSuite (3.00s)\n        --- PASS: TestSuite/TestOne/part (0.00s)\n\
                    \x20   --- SKIP: TestSuite/TestThree (0.00s)\n";
        let results = outcomes(said);
        let told: Vec<_> = results.iter().map(|(name, outcome)| (name.as_str(), *outcome)).collect();
        assert_eq!(
            told,
            [
                ("TestSuite/TestOne", Outcome::Passed),
                ("TestSuite/TestThree", Outcome::Skipped),
                ("TestSuite/TestTwo", Outcome::Failed)
            ]
        );
    }
}
