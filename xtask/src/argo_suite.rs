//! `cargo xtask argo-suite [--parallel N] [--reruns N] [--operator PATH] [--checkout D] [--peer PATH] [--tools D]
//! [SUITE[/TEST]...]`: the end-to-end tests of Argo Rollouts, as their authors published them, judge our operator on the real control plane.
//!
//! Nothing of theirs is part of this project: the tests come from the Go module, or from a checkout of its repository for
//! what no module has yet (the tests of `status.duration`), and are built in the target folder. Each
//! suite plays in a namespace of its own, so that some can play at once; what failed is played again by itself.

use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::control_plane::{self, Folders, Leash, Purpose};
use crate::controllers::{self, Place};
use crate::run;

const MODULE: &str = "github.com/argoproj/argo-rollouts@v1.9.1";
const INSTANCE: &str = "argo-rollouts-e2e";
const NAMESPACE: &str = "argo-rollouts";
/// Folders of the module that no test is built from.
const NOT_NEEDED: [&str; 3] = ["docs", "examples", "hack"];
/// This suite has an object with a namespace of its own, so the rest of it has to be there too.
const IN_DEFAULT: &str = "TestAPISIXSuite";
const FOLDER_DEPTH_MAX: usize = 24;

const USAGE: &str = "usage: cargo xtask argo-suite [--parallel N] [--reruns N] [--operator PATH] [--tools D] \
                     [--checkout D] [--peer PATH] [SUITE[/TEST]...]";

struct Options {
    parallel: usize,
    reruns: usize,
    operator: Option<PathBuf>,
    checkout: Option<PathBuf>,
    /// Argo's own controller in the place of our operator, to see what its tests say of it here.
    peer: Option<PathBuf>,
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
    let tests = match &options.checkout {
        Some(checkout) => build_checkout(&folder, checkout)?,
        None => build_tests(&folder)?,
    };
    let operator = match options.peer.as_ref().or(options.operator.as_ref()) {
        Some(path) => std::path::absolute(path)?,
        None => run::program("sluice-operator")?,
    };
    let tools = control_plane::build(&folders.tools, Purpose::ClusterAndClients)?;
    let _leash = Leash::tie(&folders)?;
    let place = Place { folder: folder.clone(), ..Place::fresh(&folders, &tools)? };
    let stage = Stage { place, tools: &tools.folder, tests, default_turn: Mutex::default() };
    let played = stage.furnish().and_then(|()| {
        let mut operator = stage.start(&operator, options.peer.is_some())?;
        let played = stage.play(&options);
        controllers::end(&mut operator)?;
        played
    });
    let ended = control_plane::down(&folders);
    let results = played?;
    ended?;
    report(&results)
}

fn parse(arguments: &[String], folders: &mut Folders) -> Result<Options> {
    let mut options =
        Options { parallel: 4, reruns: 2, operator: None, checkout: None, peer: None, chosen: Vec::new() };
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        let mut value = || rest.next().with_context(|| format!("{argument} needs a value; {USAGE}"));
        match argument.as_str() {
            "--parallel" => options.parallel = value()?.parse().context(USAGE)?,
            "--reruns" => options.reruns = value()?.parse().context(USAGE)?,
            "--operator" => options.operator = Some(value()?.into()),
            "--peer" => options.peer = Some(value()?.into()),
            "--checkout" => options.checkout = Some(std::path::absolute(value()?)?),
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
    let stamp = folder.join("e2e.stamp");
    let tests = Tests { program: folder.join("e2e.test"), source: folder.join("source") };
    if tests.program.is_file() && fs::read_to_string(&stamp).ok().as_deref() == Some(MODULE) {
        return Ok(tests);
    }
    if !run::is_installed("go") {
        bail!("the tests are a Go program: a Go toolchain is needed to build them");
    }
    eprintln!("building the tests of {MODULE}");
    source(folder, None)?;
    build_go(&tests)?;
    fs::write(&stamp, MODULE)?;
    Ok(tests)
}

/// The source of Argo Rollouts: a checkout, or a copy of the Go module.
pub(crate) fn source(folder: &Path, checkout: Option<PathBuf>) -> Result<PathBuf> {
    let source = match checkout {
        Some(checkout) => return Ok(checkout),
        None => folder.join("source"),
    };
    if !source.is_dir() {
        let known = run::output(Command::new("go").args(["mod", "download", "-json", MODULE]))?;
        let known: serde_json::Value = serde_json::from_str(&known).context("`go mod download` told something else")?;
        let module = known.get("Dir").and_then(serde_json::Value::as_str);
        copy(Path::new(module.context("`go mod download` named no folder")?), &source, 0)?;
    }
    Ok(source)
}

/// Builds Argo's own controller, unless it is there already.
pub(crate) fn build_controller(folder: &Path, source: &Path) -> Result<PathBuf> {
    let program = folder.join("rollouts-controller");
    if !program.is_file() {
        eprintln!("building Argo's controller");
        let mut go = Command::new("go");
        go.args(["build", "-mod=mod", "-o"]).arg(&program).arg("./cmd/rollouts-controller");
        run::run(go.env("CGO_ENABLED", "0").current_dir(source))?;
    }
    Ok(program)
}

/// Builds the tests of a checkout, unless its tests are built already.
fn build_checkout(folder: &Path, checkout: &Path) -> Result<Tests> {
    let tests = Tests { program: folder.join("checkout.test"), source: checkout.to_owned() };
    let stamp = folder.join("checkout.stamp");
    let known = fs::read_to_string(&stamp).is_ok_and(|built| Path::new(&built) == checkout);
    if tests.program.is_file() && known {
        return Ok(tests);
    }
    fs::create_dir_all(folder)?;
    build_go(&tests)?;
    fs::write(&stamp, checkout.display().to_string())?;
    Ok(tests)
}

fn build_go(tests: &Tests) -> Result<()> {
    let mut go = Command::new("go");
    go.args(["test", "-c", "-mod=mod", "-tags", "e2e", "-o"]).arg(&tests.program).arg("./test/e2e");
    run::run(go.env("CGO_ENABLED", "0").current_dir(&tests.source))
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
    place: Place,
    tools: &'a Path,
    tests: Tests,
    /// Whose turn it is in the namespace `default`.
    default_turn: Mutex<()>,
}

impl Stage<'_> {
    /// Definitions as the tests' own set-up applies them.
    fn furnish(&self) -> Result<()> {
        let place = &self.place;
        place.define(&self.tests.source)?;
        place.define_others(&self.tests.source)?;
        let mesh = place.folder.join("app-mesh.yaml");
        fs::write(&mesh, app_mesh_definitions())?;
        place.quiet(&["apply", "-f", &mesh.to_string_lossy()])?;
        place.make_namespaces(&[NAMESPACE])?;
        place.wait_for_definitions()
    }

    fn start(&self, operator: &Path, is_peer: bool) -> Result<Child> {
        let mut arguments = vec!["--instance-id", INSTANCE];
        if !is_peer {
            // The tests read the controller's metrics at Argo's own port, which is the default.
            arguments.extend(["--namespace", NAMESPACE, "--domains", "rollout,analysis,experiment"]);
            arguments.extend(["--listen", "none", "--allow-loopback"]);
        }
        self.place.start(operator, &self.place.kubeconfig, &arguments, "operator")
    }

    /// Plays all suites, some at once, then what failed, one at a time.
    fn play(&self, options: &Options) -> Result<Results> {
        let queue = Mutex::new(self.tests(options)?);
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

    /// The tests to play, each by itself: one that leaves something behind must not spoil the next.
    fn tests(&self, options: &Options) -> Result<VecDeque<String>> {
        let all = self.all_tests()?;
        if options.chosen.is_empty() {
            return Ok(all.into());
        }
        let mut chosen = VecDeque::new();
        for name in &options.chosen {
            let of_it =
                |test: &&String| *test == name || test.strip_prefix(name.as_str()).is_some_and(|r| r.starts_with('/'));
            let before = chosen.len();
            chosen.extend(all.iter().filter(of_it).cloned());
            if chosen.len() == before {
                bail!("there is no test `{name}`; the suites are {}", suites(&all).join(", "));
            }
        }
        Ok(chosen)
    }

    /// All tests as SUITE/TEST, read from the source: a compiled suite does not tell its tests.
    fn all_tests(&self) -> Result<Vec<String>> {
        let mut tests = Vec::new();
        for entry in fs::read_dir(self.tests.source.join("test/e2e"))? {
            let path = entry?.path();
            if !path.to_string_lossy().ends_with("_test.go") {
                continue;
            }
            for line in fs::read_to_string(&path)?.lines() {
                let Some(rest) = line.strip_prefix("func (s *") else { continue };
                let Some((suite, rest)) = rest.split_once(") ") else { continue };
                let name = rest.split('(').next().unwrap_or_default();
                if name.starts_with("Test") {
                    // One suite's function has another name than its type.
                    let suite = if suite == "HeaderRouteSuite" { "HeaderRoutingSuite" } else { suite };
                    tests.push(format!("Test{suite}/{name}"));
                }
            }
        }
        tests.sort();
        Ok(tests)
    }

    /// Plays a suite, or one test of it, in a namespace of its own.
    fn play_one(&self, test: &str, rerun: usize) -> Result<Results> {
        let begun = Instant::now();
        let name = test.replace(['/', '_'], "-").to_lowercase();
        // Short enough for a namespace, and different for names that begin alike.
        let mark = name.bytes().fold(0_u32, |mark, byte| mark.wrapping_mul(31).wrapping_add(u32::from(byte)));
        let begin: String = name.chars().take(44).collect();
        let namespace = format!("{}-{mark:08x}-{rerun}", begin.trim_end_matches('-'));
        // Two of them at once would meet there.
        let _turn = test.starts_with(IN_DEFAULT).then(|| lock(&self.default_turn));
        let lives_in = if test.starts_with(IN_DEFAULT) { "default" } else { namespace.as_str() };
        if lives_in == namespace {
            self.place.make_namespaces(&[&namespace])?;
        }
        let kubeconfig = self.place.kubeconfig_in(lives_in, &format!("{namespace}.kubeconfig"))?;
        let log = self.place.folder.join(format!("{namespace}.log"));
        let file = fs::File::create(&log)?;
        let path = std::env::join_paths(
            std::iter::once(self.tools.to_path_buf())
                .chain(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())),
        )?;
        let pattern: Vec<String> = test.split('/').map(|part| format!("^{part}$")).collect();
        let mut command = Command::new(&self.tests.program);
        command.args(["-test.v", "-test.timeout", "90m", "-test.short", "-test.run", &pattern.join("/")]);
        command.env("KUBECONFIG", &kubeconfig).env("PATH", path).env("E2E_INSTANCE_ID", INSTANCE);
        // With it, empty or not, the tests of the AWS load balancer are played; nobody asks AWS for weights.
        command.env("E2E_ALB_INGESS_ANNOTATIONS", "{}");
        command.current_dir(self.tests.source.join("test/e2e")).stdin(Stdio::null());
        // Failed tests are found in what they say; the exit status tells no more.
        command.stdout(file.try_clone()?).stderr(file).status()?;
        let said = String::from_utf8_lossy(&fs::read(&log)?).into_owned();
        let results = outcomes(&said);
        let count = |outcome| results.values().filter(|result| **result == outcome).count();
        let word = match (count(Outcome::Passed), count(Outcome::Skipped)) {
            (1.., _) => "passed",
            (_, 1..) => "skipped",
            _ => "FAILED",
        };
        println!("{word:<8} {test} {} s", begun.elapsed().as_secs());
        let results = match results.is_empty() {
            // It broke off; that is no reason to forget the others.
            true if said.contains("--- SKIP: ") => Results::from([(test.to_owned(), Outcome::Skipped)]),
            true => Results::from([(test.to_owned(), Outcome::Failed)]),
            false => results,
        };
        // Its pods would go on to cost time.
        if lives_in == namespace {
            self.place.quiet(&["delete", "namespace", &namespace, "--wait=false"])?;
        }
        std::thread::sleep(Duration::from_millis(200));
        Ok(results)
    }
}

fn suites(tests: &[String]) -> Vec<&str> {
    let mut suites: Vec<&str> = tests.iter().filter_map(|test| Some(test.split_once('/')?.0)).collect();
    suites.dedup();
    suites
}

/// Small definitions of App Mesh's kinds, which its test looks for; every field is kept.
fn app_mesh_definitions() -> String {
    let of = |kind: &str, plural: &str, scope: &str| {
        format!(
            "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\n\
             metadata: {{name: {plural}.appmesh.k8s.aws}}\nspec:\n  group: appmesh.k8s.aws\n  scope: {scope}\n  \
             names: {{kind: {kind}, listKind: {kind}List, plural: {plural}, singular: {}}}\n  versions:\n  - \
             {{name: v1beta2, served: true, storage: true, schema: {{openAPIV3Schema: \
             {{type: object, x-kubernetes-preserve-unknown-fields: true}}}}}}\n",
            kind.to_lowercase()
        )
    };
    let kinds = [
        ("Mesh", "meshes", "Cluster"),
        ("VirtualService", "virtualservices", "Namespaced"),
        ("VirtualRouter", "virtualrouters", "Namespaced"),
        ("VirtualNode", "virtualnodes", "Namespaced"),
    ];
    kinds.map(|(kind, plural, scope)| of(kind, plural, scope)).join("---\n")
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
