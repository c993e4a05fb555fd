//! `cargo xtask test`: all tests that need nothing but Rust and a C compiler.

use anyhow::Result;

use crate::run;

/// Runs the tests of the whole workspace, documentation examples included.
pub(crate) fn command(arguments: &[String]) -> Result<()> {
    let mut command = run::cargo(&["test", "--workspace", "--locked"]);
    command.args(arguments);
    run::run(&mut command)
}
