//! `cargo xtask e2e [--only embedded|real]`: the scripts on both clusters, one list each.

use anyhow::{Result, bail};

use crate::{conformance, run};

/// Plays the scripts on the embedded cluster, then on the real one where the Go toolchain can build it.
pub(crate) fn command(arguments: &[String]) -> Result<()> {
    let only = match arguments {
        [] => None,
        [flag, cluster] if flag == "--only" => Some(cluster.as_str()),
        _ => bail!("usage: cargo xtask e2e [--only embedded|real]"),
    };
    match only {
        Some("embedded") => embedded(),
        Some("real") => real(),
        Some(other) => bail!("unknown cluster `{other}`: embedded or real"),
        None => {
            embedded()?;
            if run::is_installed("go") {
                return real();
            }
            println!("real cluster: skipped, there is no Go toolchain to build it");
            Ok(())
        }
    }
}

/// Plays everything on the embedded cluster.
pub(crate) fn embedded() -> Result<()> {
    println!("embedded cluster");
    conformance::play(&["check"], &[])
}

/// Plays everything on a real control plane, built and started for it.
pub(crate) fn real() -> Result<()> {
    println!("real cluster");
    conformance::on_real_cluster("verify", &[])
}
