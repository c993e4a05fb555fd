//! `cargo xtask control-plane`: a real Kubernetes control plane on loopback, from published Go modules.
//!
//! `build` makes the programs once and keeps them; `up` starts etcd, kube-apiserver, kube-controller-manager,
//! kube-scheduler and kwok (which plays node and pods) and prints the path of a kubeconfig; `down` ends them.

mod build;
mod leash;
mod processes;
mod up;

use std::path::PathBuf;

use anyhow::{Result, bail};

use crate::run;

pub(crate) use build::{Purpose, Tools, build, build_until, is_built};
pub(crate) use leash::Leash;
pub(crate) use up::{Foreground, audit_log, down, is_up, up};

/// The folders that one control plane uses.
pub(crate) struct Folders {
    /// Programs that were built; shared by any number of control planes.
    pub tools: PathBuf,
    /// Data, logs, certificates and kubeconfig of this one.
    pub state: PathBuf,
}

impl Default for Folders {
    fn default() -> Self {
        let base = run::target().join("control-plane");
        let tools = std::env::var_os("SLUICE_CONTROL_PLANE_TOOLS").map_or_else(|| base.join("bin"), PathBuf::from);
        Self { tools, state: base.join("run") }
    }
}

/// Carries out one of the four sub-commands.
pub(crate) fn command(arguments: &[String]) -> Result<()> {
    const USAGE: &str = "usage: cargo xtask control-plane build|up|down|status [--dir D] [--tools D] [--foreground]";
    let Some((verb, rest)) = arguments.split_first() else { bail!(USAGE) };
    let mut folders = Folders::default();
    let mut foreground = Foreground::No;
    let mut rest = rest.iter();
    while let Some(argument) = rest.next() {
        match (argument.as_str(), verb.as_str()) {
            ("--foreground", "up") => foreground = Foreground::Yes,
            ("--dir", _) => folders.state = value(rest.next(), argument)?,
            ("--tools", _) => folders.tools = value(rest.next(), argument)?,
            _ => bail!("unknown argument `{argument}`; {USAGE}"),
        }
    }
    match verb.as_str() {
        "build" => {
            let tools = build(&folders.tools, Purpose::ClusterAndClients)?;
            println!("{}", tools.folder.display());
            Ok(())
        }
        "up" => {
            let tools = build(&folders.tools, Purpose::ClusterAndClients)?;
            let kubeconfig = up(&folders, &tools, foreground)?;
            println!("kubeconfig: {}", kubeconfig.display());
            if foreground == Foreground::Yes {
                return up::watch_until_one_ends(&folders);
            }
            Ok(())
        }
        "down" => down(&folders),
        "status" => up::status(&folders),
        other => bail!("unknown sub-command `{other}`; {USAGE}"),
    }
}

fn value(argument: Option<&String>, flag: &str) -> Result<PathBuf> {
    let Some(argument) = argument else { bail!("{flag} needs a folder") };
    // The programs run in folders of their own, so a relative path would not hold.
    Ok(std::path::absolute(argument)?)
}
