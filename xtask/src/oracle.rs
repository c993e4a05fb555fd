//! `cargo xtask oracle helm [--flips [NAME...]] [--helm PATH]` and `cargo xtask oracle health --scripts FOLDER`: our output
//! held against real tools'.
//!
//! The comparing programs are examples of the crates `manifest-render` and `health-rules`.

use std::path::PathBuf;

use anyhow::{Result, bail};

use crate::run;

const USAGE: &str =
    "usage: cargo xtask oracle helm [--flips] [--helm PATH] [NAME...] | cargo xtask oracle health --scripts FOLDER";

/// Compares with recorded output, or with a real tool.
pub(crate) fn command(arguments: &[String]) -> Result<()> {
    let Some((tool, rest)) = arguments.split_first() else { bail!(USAGE) };
    match tool.as_str() {
        "helm" => helm_charts(rest),
        "health" => health(rest),
        _ => bail!("unknown tool `{tool}`; {USAGE}"),
    }
}

fn helm_charts(rest: &[String]) -> Result<()> {
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
