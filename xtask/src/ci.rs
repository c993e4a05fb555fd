//! `cargo xtask ci [WORD...]`: everything that has to hold before a change lands. `.ci/run` is this and nothing else.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::e2e::ShortList;
use crate::{codegen, e2e, licences, run, tests_command, tidy};

/// One thing that has to hold.
struct Step {
    name: &'static str,
    check: Check,
}

enum Check {
    /// Holds or fails.
    Always(fn() -> Result<()>),
    /// Is left out when it can't be played before this moment.
    InTime(fn(Instant) -> Result<ShortList>),
}

/// How long the run may take before the real control plane answers; its list takes five minutes at most after that.
const PLANE_LIMIT: Duration = Duration::from_secs(36 * 60);

/// What became of a step.
enum Verdict {
    Holds,
    NotRun(String),
    Failed,
}

const STEPS: &[Step] = &[
    Step { name: "format", check: Check::Always(format) },
    Step { name: "tidy", check: Check::Always(tidy::command) },
    Step { name: "licences", check: Check::Always(licences::command) },
    Step { name: "clippy", check: Check::Always(clippy) },
    Step { name: "test", check: Check::Always(test) },
    Step { name: "docs", check: Check::Always(docs) },
    Step { name: "programs", check: Check::Always(run::build_everything) },
    Step { name: "codegen", check: Check::Always(generated) },
    Step { name: "e2e on the embedded cluster", check: Check::Always(embedded) },
    Step { name: "short list on the real control plane", check: Check::InTime(short_list) },
];

/// Runs all steps, or those whose names contain one of the words, also after a failed one, and ends with the counts.
pub(crate) fn command(words: &[String]) -> Result<()> {
    let is_asked = |step: &&Step| words.is_empty() || words.iter().any(|word| step.name.contains(word.as_str()));
    let limit = Instant::now() + PLANE_LIMIT;
    let mut results: Vec<(&str, Duration, Verdict)> = Vec::new();
    for step in STEPS.iter().filter(is_asked) {
        println!("== {}", step.name);
        let since = Instant::now();
        let verdict = carry_out(step, limit);
        if let Verdict::NotRun(why) = &verdict {
            println!("NOT RUN: {why}");
        }
        results.push((step.name, since.elapsed(), verdict));
    }
    println!("== result");
    for (name, took, verdict) in &results {
        match verdict {
            Verdict::Holds => println!("ok      {name} ({} s)", took.as_secs()),
            Verdict::NotRun(why) => println!("NOT RUN {name}: {why}"),
            Verdict::Failed => println!("FAILED  {name} ({} s)", took.as_secs()),
        }
    }
    let count = |wanted: fn(&Verdict) -> bool| results.iter().filter(|(_, _, verdict)| wanted(verdict)).count();
    if results.is_empty() {
        bail!("no step has one of these words in its name");
    }
    let failed = count(|verdict| matches!(verdict, Verdict::Failed));
    let not_run = count(|verdict| matches!(verdict, Verdict::NotRun(_)));
    println!("{} passed, {not_run} not run, {failed} failed", results.len() - failed - not_run);
    if failed > 0 {
        bail!("{failed} steps failed");
    }
    Ok(())
}

fn carry_out(step: &Step, limit: Instant) -> Verdict {
    let checked = match step.check {
        Check::Always(check) => check().map(|()| Verdict::Holds),
        Check::InTime(check) => check(limit).map(|list| match list {
            ShortList::Passed => Verdict::Holds,
            ShortList::NotRun(why) => Verdict::NotRun(why),
        }),
    };
    checked.unwrap_or_else(|error| {
        println!("{} failed: {error:#}", step.name);
        Verdict::Failed
    })
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

fn embedded() -> Result<()> {
    e2e::command(&["--only".to_owned(), "embedded".to_owned()])
}

/// The whole list on the real cluster is a command of its own: `cargo xtask e2e --only real`.
fn short_list(limit: Instant) -> Result<ShortList> {
    e2e::short_list(Instant::now(), limit)
}

fn generated() -> Result<()> {
    codegen::command(&["--check".to_owned()])
}
