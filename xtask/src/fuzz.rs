//! `cargo xtask fuzz list|build|TARGET [--seconds N] [--toolchain NAME]`: the targets of fuzz/, one at a time.
//!
//! It does what cargo-fuzz would do: coverage counters by the compiler's own pass, libFuzzer for the rest. No target has
//! unsafe code of ours below it, so there is no address sanitizer, and runs are several times as fast.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::run;

const USAGE: &str = "usage: cargo xtask fuzz list|build|TARGET [--seconds N] [--toolchain NAME]";
const TARGETS: [&str; 5] = ["chart-archive", "template-execute", "template-parse", "values", "yaml-round"];
/// Counters for each edge, and comparisons that libFuzzer learns from.
const FLAGS: &str = "--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
                     -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
                     -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1";

/// Builds the targets and runs one.
pub(crate) fn command(arguments: &[String]) -> Result<()> {
    let Some((what, rest)) = arguments.split_first() else { bail!(USAGE) };
    let (mut seconds, mut toolchain) = ("60".to_owned(), "nightly".to_owned());
    let mut rest = rest.iter();
    while let Some(flag) = rest.next() {
        let value = rest.next().with_context(|| format!("{flag} needs a value; {USAGE}"))?;
        match flag.as_str() {
            "--seconds" => seconds = value.parse::<u32>().context("--seconds needs a number")?.to_string(),
            "--toolchain" => toolchain.clone_from(value),
            other => bail!("unknown flag `{other}`; {USAGE}"),
        }
    }
    match what.as_str() {
        "list" => {
            TARGETS.iter().for_each(|target| println!("{target}"));
            Ok(())
        }
        "build" => build(&toolchain).map(|_| ()),
        target if TARGETS.contains(&target) => fuzz(&build(&toolchain)?.join(target), target, &seconds),
        other => bail!("unknown target `{other}`, known are {}", TARGETS.join(", ")),
    }
}

/// Returns the folder with the programs.
fn build(toolchain: &str) -> Result<PathBuf> {
    let target = run::target().join("fuzz");
    let mut command = Command::new("rustup");
    command
        .args(["run", toolchain, "cargo", "build", "--release", "--bins"])
        // Naming the platform keeps the flags from build scripts and macros.
        .args(["--target", PLATFORM])
        .current_dir(run::root().join("fuzz"))
        .env("CARGO_TARGET_DIR", &target)
        .env("RUSTFLAGS", FLAGS)
        .env_remove("CARGO")
        .env_remove("RUSTUP_TOOLCHAIN");
    run::run(&mut command)?;
    Ok(target.join(PLATFORM).join("release"))
}

#[cfg(target_arch = "aarch64")]
const PLATFORM: &str = "aarch64-unknown-linux-gnu";
#[cfg(not(target_arch = "aarch64"))]
const PLATFORM: &str = "x86_64-unknown-linux-gnu";

fn fuzz(program: &std::path::Path, target: &str, seconds: &str) -> Result<()> {
    let folder = run::root().join("fuzz");
    let (corpus, crashes) = (folder.join("corpus").join(target), folder.join("crashes").join(target));
    std::fs::create_dir_all(&corpus)?;
    std::fs::create_dir_all(&crashes)?;
    let mut command = Command::new(program);
    command.arg(&corpus);
    let seeds = folder.join("seeds").join(target);
    if seeds.is_dir() {
        command.arg(seeds);
    }
    command.arg(format!("-max_total_time={seconds}")).arg(format!("-artifact_prefix={}/", crashes.display())).args([
        "-timeout=20",
        "-rss_limit_mb=2048",
        "-max_len=8192",
        "-print_final_stats=1",
        "-verbosity=0",
    ]);
    run::run(&mut command)
}
