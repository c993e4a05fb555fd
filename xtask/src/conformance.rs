//! `cargo xtask conformance record|verify|check [NAME]`: request transcripts.
//!
//! `record` plays the scripts of fixtures/conformance on the real API server and keeps its answers; `verify` plays them
//! there again and compares; `check` plays them on the embedded cluster and compares. The player is a program of the crate `script`.

use anyhow::{Result, bail};

use crate::{control_plane, run};

/// Records or checks all scripts, or those whose names contain the given words.
pub(crate) fn command(arguments: &[String]) -> Result<()> {
    const USAGE: &str = "usage: cargo xtask conformance record|verify|check [NAME...]";
    let Some((verb, names)) = arguments.split_first() else { bail!(USAGE) };
    match verb.as_str() {
        "record" | "verify" => on_real_cluster(verb, names),
        "check" => play(&["check"], names),
        other => bail!("unknown sub-command `{other}`; {USAGE}"),
    }
}

/// Plays on a real control plane, which is started for it and ended after it.
pub(crate) fn on_real_cluster(verb: &str, names: &[String]) -> Result<()> {
    let folders = control_plane::Folders::default();
    let tools = control_plane::build(&folders.tools, control_plane::Purpose::ClusterAndClients)?;
    let _leash = control_plane::Leash::tie(&folders)?;
    let kubeconfig = control_plane::up(&folders, &tools, control_plane::Foreground::No)?;
    let played = play(&[verb, "--kubeconfig", &kubeconfig.to_string_lossy()], names);
    let ended = control_plane::down(&folders);
    played.and(ended)
}

/// Runs the player; it prints its own counts.
pub(crate) fn play(arguments: &[&str], names: &[String]) -> Result<()> {
    let mut command = run::command_of("conformance")?;
    command.args(arguments).args(names);
    let kubectl = control_plane::Folders::default().tools.join("kubectl");
    if kubectl.is_file() && std::env::var_os("KUBECTL").is_none() {
        command.env("KUBECTL", kubectl);
    }
    run::run(&mut command)
}
