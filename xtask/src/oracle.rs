//! `cargo xtask oracle helm [--all] [--flips] [--written] [--generated COUNT] [--seed N] [--helm PATH] [NAME...]`: our output
//! held against real tools'. `cargo xtask oracle health --scripts FOLDER`: Argo CD's health scripts against its own cases.
//! `cargo xtask oracle argo`: the recorded answers of Argo Rollouts' packages made again, which tests compare with. `sops`: files
//! that the real SOPS encrypts, which tests read.
//!
//! Without a flag the recorded output of public charts is compared. `--flips` renders each of them with every file of its
//! `ci/` folder and with every boolean turned round, `--written` renders the small charts of
//! crates/manifest-render/fixtures/charts.txt, `--generated` charts of random expressions, all against the real Helm;
//! `--all` does all of it. The comparing programs are examples of the crates `manifest-render` and `health-rules`;
//! differences that are known stand in fixtures, with their reasons.

mod sops;

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::run;

const USAGE: &str = "usage: cargo xtask oracle helm [--all] [--flips] [--written] [--generated COUNT] [--seed N] [--helm PATH] \
                     [NAME...] | health --scripts FOLDER | argo | sops";
/// Expressions of `--all`.
const GENERATED: u32 = 4_000;

#[derive(Default)]
struct Wanted {
    flips: bool,
    written: bool,
    generated: u32,
    seed: u32,
    helm: Option<String>,
    names: Vec<String>,
}

/// Compares with recorded output, or with a real tool.
pub(crate) fn command(arguments: &[String]) -> Result<()> {
    let Some((tool, rest)) = arguments.split_first() else { bail!(USAGE) };
    match (tool.as_str(), rest) {
        ("helm", _) => {}
        ("argo", []) => return argo(),
        ("sops", []) => return sops::record(),
        ("health", _) => return health(rest),
        _ => bail!("unknown tool `{tool}` or too many arguments; {USAGE}"),
    }
    let wanted = read(rest)?;
    let is_recorded_only = !wanted.flips && !wanted.written && wanted.generated == 0;
    // One comparison that differs is no reason not to make the others.
    let mut results = Vec::new();
    if is_recorded_only || (wanted.flips && wanted.names.is_empty()) {
        results.push(run::run(oracle().arg("charts").arg(charts()?)));
    }
    if is_recorded_only {
        return results.into_iter().collect();
    }
    let helm = helm(wanted.helm.clone())?;
    let cache = run::target().join("helm-oracle");
    let known = |file: &str| run::root().join("crates/manifest-render/fixtures").join(file);
    if wanted.flips {
        let mut command = oracle();
        if wanted.names.is_empty() {
            command.arg("--known").arg(known("known-flips.txt"));
        }
        results.push(run::run(command.arg("flips").arg(charts()?).arg(&helm).arg(&cache).args(&wanted.names)));
    }
    if wanted.written {
        let mut command = oracle();
        if wanted.names.is_empty() {
            command.arg("--known").arg(known("known-charts.txt"));
        }
        let file = known("charts.txt");
        results.push(run::run(command.arg("written").arg(file).arg(&helm).arg(&cache).args(&wanted.names)));
    }
    if wanted.generated > 0 {
        let (count, seed) = (wanted.generated.to_string(), wanted.seed.to_string());
        results.push(run::run(oracle().arg("generated").arg(&helm).arg(&cache).args([count, seed])));
    }
    results.into_iter().collect()
}

fn oracle() -> Command {
    run::cargo(&["run", "--quiet", "--locked", "-p", "manifest-render", "--example", "helm-oracle", "--"])
}

fn read(arguments: &[String]) -> Result<Wanted> {
    let mut wanted = Wanted { seed: 1, ..Wanted::default() };
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        match argument.as_str() {
            "--all" => (wanted.flips, wanted.written, wanted.generated) = (true, true, GENERATED),
            "--flips" => wanted.flips = true,
            "--written" => wanted.written = true,
            "--generated" => wanted.generated = number(argument, rest.next())?,
            "--seed" => wanted.seed = number(argument, rest.next())?,
            "--helm" => wanted.helm = rest.next().cloned(),
            name if !name.starts_with('-') => wanted.names.push(name.to_owned()),
            other => bail!("unknown flag `{other}`; {USAGE}"),
        }
    }
    Ok(wanted)
}

fn number(flag: &str, text: Option<&String>) -> Result<u32> {
    match text.and_then(|text| text.parse().ok()) {
        Some(number) => Ok(number),
        None => bail!("{flag} needs a number; {USAGE}"),
    }
}

/// Builds and runs the recorder, and keeps what it says once it has said everything.
fn argo() -> Result<()> {
    let folder = run::root().join("fixtures/argo");
    let mut go = Command::new("go");
    go.args(["run", "."]).current_dir(folder.join("recorder")).env("GOFLAGS", "-mod=mod").stderr(Stdio::inherit());
    let output = go.output().context("the Go toolchain could not be started")?;
    if !output.status.success() {
        bail!("the recorder ended with {}", output.status);
    }
    let answers = folder.join("answers.txt.gz");
    std::fs::write(&answers, &output.stdout).with_context(|| format!("failed to write {}", answers.display()))?;
    println!("{}: {} bytes", answers.display(), output.stdout.len());
    Ok(())
}

/// Argo CD's health scripts, unchanged, against its own cases. The scripts are `resource_customizations` of a copy of it.
fn health(rest: &[String]) -> Result<()> {
    let [flag, scripts] = rest else { bail!(USAGE) };
    if flag != "--scripts" {
        bail!("unknown flag `{flag}`; {USAGE}");
    }
    let cases = data("argo-health")?;
    let mut command =
        run::cargo(&["run", "--quiet", "--locked", "-p", "health-rules", "--example", "argo-health", "--"]);
    run::run(command.arg(cases).arg(scripts))
}

/// Where the charts are that are not part of the project.
pub(crate) fn charts() -> Result<PathBuf> {
    data("charts")
}

/// Where a folder of data is that is not part of the project.
fn data(folder: &str) -> Result<PathBuf> {
    let places = ["../shared/data", "../../shared/data"].map(|place| run::root().join(place).join(folder));
    match places.iter().find(|place| place.is_dir()) {
        Some(place) => Ok(place.clone()),
        None => bail!("{} is not there: it is not part of the project", places[0].display()),
    }
}

/// The real Helm: the one that is named, else the one on the path.
pub(crate) fn helm(named: Option<String>) -> Result<String> {
    match named {
        Some(path) => Ok(path),
        None if run::is_installed("helm") => Ok("helm".to_owned()),
        None => bail!("helm is neither on the path nor named by --helm"),
    }
}
