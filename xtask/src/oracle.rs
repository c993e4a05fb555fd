//! `cargo xtask oracle helm [--flips [NAME...]] [--helm PATH]`: our output held against real tools'.
//! `cargo xtask oracle argo`: the recorded answers of Argo Rollouts' packages made again, which tests compare with.
//!
//! The comparing program for Helm is an example of the crate `manifest-render`.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::run;

const USAGE: &str = "usage: cargo xtask oracle helm [--flips] [--helm PATH] [NAME...] | argo";

/// Compares with recorded output, or with a real tool.
pub(crate) fn command(arguments: &[String]) -> Result<()> {
    let Some((tool, rest)) = arguments.split_first() else { bail!(USAGE) };
    match (tool.as_str(), rest) {
        ("helm", _) => {}
        ("argo", []) => return argo(),
        _ => bail!("unknown tool `{tool}` or too many arguments; {USAGE}"),
    }
    let mut with_flips = false;
    let mut helm = None;
    let mut names = Vec::new();
    let mut rest = rest.iter();
    while let Some(argument) = rest.next() {
        match argument.as_str() {
            "--flips" => with_flips = true,
            "--helm" => helm = rest.next().cloned(),
            name if !name.starts_with('-') => names.push(name.to_owned()),
            other => bail!("unknown flag `{other}`; {USAGE}"),
        }
    }
    let charts = charts()?;
    let mut command =
        run::cargo(&["run", "--quiet", "--locked", "-p", "manifest-render", "--example", "helm-oracle", "--"]);
    if !with_flips {
        return run::run(command.arg("charts").arg(charts));
    }
    let helm = self::helm(helm)?;
    run::run(command.arg("flips").arg(charts).arg(helm).arg(run::target().join("helm-oracle")).args(names))
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

/// Where the charts are that are not part of the project.
pub(crate) fn charts() -> Result<PathBuf> {
    let places = ["../shared/data/charts", "../../shared/data/charts"].map(|place| run::root().join(place));
    match places.iter().find(|place| place.is_dir()) {
        Some(place) => Ok(place.clone()),
        None => bail!("{} is not there: the charts are not part of the project", places[0].display()),
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
