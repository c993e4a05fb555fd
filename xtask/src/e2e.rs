//! `cargo xtask e2e [--real] [--dir D] [--tools D] [SCENARIO...]`: whole scenarios on the embedded cluster, and on the
//! real one.
//!
//! The embedded cluster always plays. The real one does when it is up already, and then it stays up; with `--real` it
//! is built, started and ended for the play. The player is a program of the crate `scenario`.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use crate::{control_plane, run};

const USAGE: &str = "usage: cargo xtask e2e [--real] [--dir D] [--tools D] [--verbose] [SCENARIO...]";

/// Which cluster is played on besides the embedded one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Real {
    WhenUp,
    Always,
}

/// Plays the named scenarios, or all.
pub(crate) fn command(arguments: &[String]) -> Result<()> {
    let mut folders = control_plane::Folders::default();
    let mut real = Real::WhenUp;
    let mut passed_on = Vec::new();
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        match argument.as_str() {
            "--real" => real = Real::Always,
            "--dir" => folders.state = folder(rest.next(), argument)?,
            "--tools" => folders.tools = folder(rest.next(), argument)?,
            "--verbose" => passed_on.push(argument.clone()),
            flag if flag.starts_with('-') => bail!("unknown argument `{flag}`; {USAGE}"),
            _ => passed_on.push(argument.clone()),
        }
    }
    play(&folders, real, &passed_on)
}

/// Plays everything on both clusters, as a step of `ci`.
pub(crate) fn on_both() -> Result<()> {
    play(&control_plane::Folders::default(), Real::Always, &[])
}

fn play(folders: &control_plane::Folders, real: Real, arguments: &[String]) -> Result<()> {
    if control_plane::is_up(folders) {
        return player(Some(&folders.state.join("kubeconfig")), arguments);
    }
    if real == Real::WhenUp {
        return player(None, arguments);
    }
    let tools = control_plane::build(&folders.tools)?;
    let kubeconfig = control_plane::up(folders, &tools, control_plane::Foreground::No)?;
    let played = player(Some(&kubeconfig), arguments);
    let ended = control_plane::down(folders);
    played.and(ended)
}

/// Runs the player; it prints what it played.
fn player(kubeconfig: Option<&Path>, arguments: &[String]) -> Result<()> {
    let mut command = run::cargo(&["run", "--quiet", "--locked", "-p", "scenario", "--bin", "e2e", "--"]);
    if let Some(kubeconfig) = kubeconfig {
        command.arg("--kubeconfig").arg(kubeconfig);
    }
    run::run(command.args(arguments))
}

fn folder(argument: Option<&String>, flag: &str) -> Result<PathBuf> {
    let Some(argument) = argument else { bail!("{flag} needs a folder") };
    Ok(std::path::absolute(argument)?)
}
