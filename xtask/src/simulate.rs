//! `cargo xtask simulate`: the stories under faults. The player is the program of the crate `simulation`, built as for
//! tests, with every assertion; with `--bugs` it is built with wrong turns too.

use anyhow::Result;

use crate::run;

/// Where the ranges of seeds that were played are noted.
const LEDGER: &str = "crates/simulation/ledger.txt";

/// Starts the player with these arguments, the commit and the ledger added.
pub(crate) fn command(arguments: &[String]) -> Result<()> {
    let is_with_bugs = arguments.iter().any(|argument| argument.starts_with("--bug"));
    let mut command = run::cargo(&["run", "--quiet", "--locked", "--package", "simulation"]);
    if is_with_bugs {
        command.args(["--features", "bugs"]);
    }
    command.args(["--bin", "simulate", "--"]).args(arguments);
    let is_of_seeds = arguments.iter().any(|argument| argument == "--seeds");
    let is_other =
        ["--model", "--crashes", "--ledger", "--twice"].iter().any(|other| arguments.iter().any(|one| one == other));
    if is_of_seeds && !is_with_bugs && !is_other {
        command.args(["--ledger", LEDGER, "--commit", &commit()]);
    }
    run::run(&mut command)
}

/// The commit that is checked out, as far as Git tells it.
fn commit() -> String {
    let output =
        std::process::Command::new("git").args(["rev-parse", "--short", "HEAD"]).current_dir(run::root()).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default();
    if text.is_empty() { "-".to_owned() } else { text }
}
