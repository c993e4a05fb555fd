//! `cargo xtask e2e [--only embedded|real] [--dir D] [--tools D] [--short] [SCENARIO...]`: the request scripts and whole scenarios
//! on both clusters, one list each.
//!
//! A real control plane that is up already is played on and stays up; otherwise one is built, started and ended for the
//! play. The players are programs of the crates `script` and `scenario`.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use crate::control_plane::{self, Folders, Foreground};
use crate::{conformance, run};

const USAGE: &str = "usage: cargo xtask e2e [--only embedded|real] [--dir D] [--tools D] [--short] [SCENARIO...]";

/// Plays on the embedded cluster, then on the real one where it is up or the Go toolchain can build it.
pub(crate) fn command(arguments: &[String]) -> Result<()> {
    let mut folders = Folders::default();
    let mut only = None;
    let mut passed_on = Vec::new();
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        match argument.as_str() {
            "--only" => only = rest.next().map(String::as_str).or(Some("")),
            "--dir" => folders.state = folder(rest.next(), argument)?,
            "--tools" => folders.tools = folder(rest.next(), argument)?,
            "--short" => passed_on.push(argument.clone()),
            flag if flag.starts_with('-') => bail!("unknown argument `{flag}`; {USAGE}"),
            _ => passed_on.push(argument.clone()),
        }
    }
    match only {
        Some("embedded") => embedded(&passed_on),
        Some("real") => on_real_cluster(&folders, &passed_on),
        Some(other) => bail!("unknown cluster `{other}`: embedded or real"),
        None => {
            embedded(&passed_on)?;
            if control_plane::is_up(&folders) || run::is_installed("go") {
                return on_real_cluster(&folders, &passed_on);
            }
            println!("real cluster: skipped, none is up and there is no Go toolchain to build it");
            Ok(())
        }
    }
}

/// A failed script does not keep the scenarios from being played.
fn embedded(arguments: &[String]) -> Result<()> {
    let scripts = conformance::play(&["check"], &[]);
    scripts.and(player(None, arguments))
}

fn on_real_cluster(folders: &Folders, arguments: &[String]) -> Result<()> {
    if control_plane::is_up(folders) {
        return play_on(&folders.state.join("kubeconfig"), arguments);
    }
    let tools = control_plane::build(&folders.tools)?;
    let kubeconfig = control_plane::up(folders, &tools, Foreground::No)?;
    let played = play_on(&kubeconfig, arguments);
    let ended = control_plane::down(folders);
    played.and(ended)
}

fn play_on(kubeconfig: &Path, arguments: &[String]) -> Result<()> {
    let scripts = conformance::play(&["verify", "--kubeconfig", &kubeconfig.to_string_lossy()], &[]);
    scripts.and(player(Some(kubeconfig), arguments))
}

/// Runs the player of scenarios; it prints what it played.
fn player(kubeconfig: Option<&Path>, arguments: &[String]) -> Result<()> {
    let mut command = run::cargo(&["run", "--quiet", "--locked", "-p", "scenario", "--bin", "e2e", "--"]);
    if let Some(kubeconfig) = kubeconfig {
        command.arg("--only-real").arg("--kubeconfig").arg(kubeconfig);
    }
    run::run(command.args(arguments))
}

fn folder(argument: Option<&String>, flag: &str) -> Result<PathBuf> {
    let Some(argument) = argument else { bail!("{flag} needs a folder") };
    Ok(std::path::absolute(argument)?)
}
