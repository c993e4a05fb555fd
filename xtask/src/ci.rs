//! `cargo xtask ci`: everything that has to hold before a change lands. `.ci/run` is this and nothing else.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::{codegen, e2e, licences, run, tests_command, tidy};

/// One thing that has to hold.
struct Step {
    name: &'static str,
    check: fn() -> Result<()>,
}

const STEPS: &[Step] = &[
    Step { name: "format", check: format },
    Step { name: "tidy", check: tidy::command },
    Step { name: "licences", check: licences::command },
    Step { name: "clippy", check: clippy },
    Step { name: "test", check: test },
    Step { name: "docs", check: docs },
    Step { name: "codegen", check: generated },
    Step { name: "e2e on the embedded cluster", check: embedded },
];

/// Runs all steps, also after a failed one, and ends with the counts.
pub(crate) fn command() -> Result<()> {
    let mut results: Vec<(&str, Duration, Result<()>)> = Vec::new();
    for step in STEPS {
        println!("== {}", step.name);
        let since = Instant::now();
        let result = (step.check)();
        if let Err(error) = &result {
            println!("{} failed: {error:#}", step.name);
        }
        results.push((step.name, since.elapsed(), result));
    }
    println!("== result");
    for (name, took, result) in &results {
        println!("{} {name} ({} s)", if result.is_ok() { "ok    " } else { "FAILED" }, took.as_secs());
    }
    let failed = results.iter().filter(|(_, _, result)| result.is_err()).count();
    println!("{} passed, {failed} failed", results.len() - failed);
    if failed > 0 {
        bail!("{failed} steps failed");
    }
    Ok(())
}

fn format() -> Result<()> {
    run::run(&mut run::cargo(&["fmt", "--all", "--check"]))
}

fn clippy() -> Result<()> {
    run::run(&mut run::cargo(&["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"]))
}

fn test() -> Result<()> {
    tests_command::command(&[])
}

fn docs() -> Result<()> {
    run::run(run::cargo(&["doc", "--workspace", "--no-deps", "--locked"]).env("RUSTDOCFLAGS", "-D warnings"))
}

/// The real cluster is a command of its own, `cargo xtask e2e --only real`: its build alone takes as long as the rest.
fn embedded() -> Result<()> {
    e2e::command(&["--only".to_owned(), "embedded".to_owned()])
}

fn generated() -> Result<()> {
    codegen::command(&["--check".to_owned()])
}
