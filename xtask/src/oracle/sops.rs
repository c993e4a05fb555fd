//! Files that the real SOPS encrypts, for the tests that read them.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::run;

/// What is installed where no SOPS is in PATH.
const MODULE: &str = "github.com/getsops/sops/v3/cmd/sops@v3.11.0";

/// Encrypts every file of `plain/` anew.
pub(super) fn record() -> Result<()> {
    let folder = run::root().join("crates/reconcile-runtime/fixtures/sops");
    let sops = program()?;
    let keys = folder.join("main.agekey");
    let text = std::fs::read_to_string(&keys).with_context(|| format!("failed to read {}", keys.display()))?;
    let Some(recipient) = text.lines().find_map(|line| line.strip_prefix("# public key: ")) else {
        bail!("{} names no public key", keys.display());
    };
    std::fs::create_dir_all(folder.join("encrypted"))?;
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder.join("plain"))? {
        names.push(entry?.file_name());
    }
    names.sort();
    for name in names {
        let plain = folder.join("plain").join(&name);
        let text = std::fs::read_to_string(&plain)?;
        let told =
            |mark: &str| text.lines().find_map(|line| line.strip_prefix(mark)).unwrap_or_default().split_whitespace();
        let mut command = Command::new(&sops);
        command.current_dir(&folder);
        match told("# config: ").next() {
            Some(config) => command.args(["--config", config, "encrypt"]),
            None => command.args(["encrypt", "--age", recipient]),
        };
        command.args(told("# sops: ")).arg(&plain);
        let encrypted = run::output(&mut command)?;
        std::fs::write(folder.join("encrypted").join(&name), encrypted)?;
        println!("{}", Path::new(&name).display());
    }
    Ok(())
}

fn program() -> Result<PathBuf> {
    if run::is_installed("sops") {
        return Ok(PathBuf::from("sops"));
    }
    let folder = run::target().join("sops");
    let program = folder.join("sops");
    if !program.exists() {
        std::fs::create_dir_all(&folder)?;
        run::run(Command::new("go").args(["install", MODULE]).env("GOBIN", &folder))?;
    }
    Ok(program)
}
