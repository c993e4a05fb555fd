//! `cargo xtask e2e [--only embedded|real] [--dir D] [--tools D] [--short] [SCENARIO...]`: the request scripts and whole scenarios
//! on both clusters, one list each.
//!
//! A real control plane that is up already is played on and stays up; otherwise one is built, started and ended for the
//! play. The players are programs of the crates `script` and `scenario`.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::control_plane::{self, Folders, Foreground, Leash, Purpose};
use crate::{conformance, run};

/// Less than a cold build of the control plane takes on an idle machine with two cores.
const BUILD_MIN: Duration = Duration::from_secs(6 * 60);

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

/// A failed script does not keep the scenarios from being played. Who names scenarios gets only those.
fn embedded(arguments: &[String]) -> Result<()> {
    let scripts = if arguments.is_empty() { conformance::play(&["check"], &[]) } else { Ok(()) };
    scripts.and(player(None, arguments))
}

fn on_real_cluster(folders: &Folders, arguments: &[String]) -> Result<()> {
    if control_plane::is_up(folders) {
        return play_on(&folders.state.join("kubeconfig"), arguments);
    }
    let tools = control_plane::build(&folders.tools, Purpose::ClusterAndClients)?;
    let _leash = Leash::tie(folders)?;
    let kubeconfig = control_plane::up(folders, &tools, Foreground::No)?;
    let played = play_on(&kubeconfig, arguments);
    let ended = control_plane::down(folders);
    played.and(ended)
}

fn play_on(kubeconfig: &Path, arguments: &[String]) -> Result<()> {
    let verify = || conformance::play(&["verify", "--kubeconfig", &kubeconfig.to_string_lossy()], &[]);
    let scripts = if arguments.is_empty() { verify() } else { Ok(()) };
    scripts.and(player(Some(kubeconfig), arguments))
}

/// How the short list went.
pub(crate) enum ShortList {
    /// Everything in it passed.
    Passed,
    /// It was not played, for this reason.
    NotRun(String),
}

/// Plays the scenarios of the short list on a control plane of their own, which is ended after it. Without a Go toolchain
/// there is none, and a build that would not be ready at `limit` is not begun or not finished.
pub(crate) fn short_list(now: Instant, limit: Instant) -> Result<ShortList> {
    let mut folders = Folders::default();
    folders.state = folders.state.with_file_name("run-ci");
    if !control_plane::is_built(&folders.tools, Purpose::Cluster)? {
        if !run::is_installed("go") {
            let why = "there is no Go toolchain (`go` in PATH) to build the control plane";
            return Ok(ShortList::NotRun(why.to_owned()));
        }
        let left = limit.saturating_duration_since(now);
        if left < BUILD_MIN {
            return Ok(ShortList::NotRun(format!(
                "the control plane has to be built, which takes at least {} minutes, and {} are left",
                BUILD_MIN.as_secs() / 60,
                left.as_secs() / 60
            )));
        }
    }
    let Some(tools) = control_plane::build_until(&folders.tools, Purpose::Cluster, Some(limit))? else {
        return Ok(ShortList::NotRun("the build of the control plane was not ready in time".to_owned()));
    };
    let _leash = Leash::tie(&folders)?;
    let kubeconfig = control_plane::up(&folders, &tools, Foreground::No)?;
    let played = player(Some(&kubeconfig), &["--short".to_owned()]);
    let ended = control_plane::down(&folders);
    played.and(ended).map(|()| ShortList::Passed)
}

/// Runs the player of scenarios; it prints what it played.
fn player(kubeconfig: Option<&Path>, arguments: &[String]) -> Result<()> {
    let mut command = run::command_of("e2e")?;
    if let Some(kubeconfig) = kubeconfig {
        command.arg("--only-real").arg("--kubeconfig").arg(kubeconfig);
    }
    run::run(command.args(arguments))
}

fn folder(argument: Option<&String>, flag: &str) -> Result<PathBuf> {
    let Some(argument) = argument else { bail!("{flag} needs a folder") };
    Ok(std::path::absolute(argument)?)
}
