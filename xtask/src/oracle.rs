//! `cargo xtask oracle helm [--flips [NAME...]] [--helm PATH]`: our output held against real tools'.
//!
//! The comparing program is an example of the crate `manifest-render`.

use std::path::PathBuf;

use anyhow::{Result, bail};

use crate::run;

const USAGE: &str = "usage: cargo xtask oracle helm [--flips] [--helm PATH] [NAME...]";

/// Compares with recorded output, or with a real tool.
pub(crate) fn command(arguments: &[String]) -> Result<()> {
    let Some((tool, rest)) = arguments.split_first() else { bail!(USAGE) };
    if tool != "helm" {
        bail!("unknown tool `{tool}`; {USAGE}");
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
