//! One file a group of commands.

pub(crate) mod adopt;
pub(crate) mod chart;
pub(crate) mod deliver;
pub(crate) mod demo;
pub(crate) mod diff;
pub(crate) mod family;
pub(crate) mod get;
pub(crate) mod install;
pub(crate) mod record;
pub(crate) mod reference;
pub(crate) mod render;
pub(crate) mod revision;
pub(crate) mod rollout;
pub(crate) mod sim;
pub(crate) mod tree;

use clap::CommandFactory;

use crate::args::{Args, Shell};
use crate::output::{Failure, print};

/// Prints a completion script.
pub(crate) fn completion(shell: Shell) -> Result<(), Failure> {
    let shell = match shell {
        Shell::Bash => clap_complete::Shell::Bash,
        Shell::Zsh => clap_complete::Shell::Zsh,
        Shell::Fish => clap_complete::Shell::Fish,
    };
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Args::command(), "sluice", &mut script);
    print(&String::from_utf8_lossy(&script));
    Ok(())
}
