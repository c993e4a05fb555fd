//! `cargo xtask oracle helm [--flips [NAME...]] [--helm PATH]`: our output held against real tools'.
//!
//! The comparing program is an example of the crate `manifest-render`.

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
    let places = ["../shared/data/charts", "../../shared/data/charts"].map(|place| run::root().join(place));
    let charts = places.iter().find(|place| place.is_dir()).unwrap_or(&places[0]);
    if !charts.is_dir() {
        bail!("{} is not there: the charts are not part of the project", charts.display());
    }
    let mut command =
        run::cargo(&["run", "--quiet", "--locked", "-p", "manifest-render", "--example", "helm-oracle", "--"]);
    if !with_flips {
        return run::run(command.arg("charts").arg(charts));
    }
    let helm = match helm {
        Some(path) => path,
        None if run::is_installed("helm") => "helm".to_owned(),
        None => bail!("helm is neither on the path nor named by --helm"),
    };
    run::run(command.arg("flips").arg(charts).arg(helm).arg(run::target().join("helm-oracle")).args(names))
}
