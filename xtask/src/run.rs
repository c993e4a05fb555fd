//! Starts other programs and finds the workspace they run in.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// Returns the folder of the workspace's own Cargo.toml.
pub(crate) fn root() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().unwrap_or(own).to_path_buf()
}

/// Returns the folder into which cargo builds.
pub(crate) fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// Returns a `cargo` command in the workspace root, the same cargo that started this program.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command.args(arguments).current_dir(root());
    command
}

/// Where the programs of this workspace lie once everything has been built.
static BUILT: OnceLock<PathBuf> = OnceLock::new();

/// Builds everything at once. A program that is built by itself has other features in what it is made from, and all of
/// that would be compiled again.
pub(crate) fn build_everything() -> Result<()> {
    run(&mut cargo(&["build", "--quiet", "--locked", "--workspace", "--all-targets"]))?;
    // A second build put them in the same place.
    let _ = BUILT.set(target().join("debug"));
    Ok(())
}

/// Returns where a program of this workspace lies, and builds it before unless all are built.
pub(crate) fn program(name: &str) -> Result<PathBuf> {
    if let Some(path) = BUILT.get().map(|folder| folder.join(name)) {
        return Ok(path);
    }
    // With a package chosen, or without anything that has what tests need, its dependencies would have other features than
    // after `cargo test`, and all of them would be compiled again.
    run(cargo(&["build", "--quiet", "--locked", "--workspace"]).args(["--bin", name, "--example", "object-model"]))?;
    Ok(target().join("debug").join(name))
}

/// Returns a command, in the workspace root, that runs a program of this workspace.
pub(crate) fn command_of(name: &str) -> Result<Command> {
    let mut command = Command::new(program(name)?);
    command.current_dir(root());
    Ok(command)
}

/// Runs `command` to its end with this program's own output, and fails when it does.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let shown = shown(command);
    let status = command.stdin(Stdio::null()).status().with_context(|| format!("failed to start `{shown}`"))?;
    if !status.success() {
        bail!("`{shown}` ended with {status}");
    }
    Ok(())
}

/// Whether a command came to its end in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// It did, and well.
    InTime,
    /// It did not and was ended.
    Late,
}

/// Runs `command` like [`run`], but not beyond a moment.
pub(crate) fn run_until(command: &mut Command, limit: Option<Instant>) -> Result<Ended> {
    let Some(limit) = limit else { return run(command).map(|()| Ended::InTime) };
    let shown = shown(command);
    let mut child = command.stdin(Stdio::null()).spawn().with_context(|| format!("failed to start `{shown}`"))?;
    loop {
        if let Some(status) = child.try_wait()? {
            if !status.success() {
                bail!("`{shown}` ended with {status}");
            }
            return Ok(Ended::InTime);
        }
        if Instant::now() >= limit {
            child.kill()?;
            child.wait()?;
            return Ok(Ended::Late);
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Runs `command` to its end and returns what it wrote to its standard output.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let shown = shown(command);
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("failed to start `{shown}`"))?;
    if !output.status.success() {
        bail!("`{shown}` ended with {}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim());
    }
    String::from_utf8(output.stdout).with_context(|| format!("`{shown}` wrote something that is not UTF-8"))
}

/// Says whether `program` is found in one of the folders of PATH.
pub(crate) fn is_installed(program: &str) -> bool {
    let Some(path) = std::env::var_os("PATH") else { return false };
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

fn shown(command: &Command) -> String {
    let mut words = vec![command.get_program().to_string_lossy().into_owned()];
    words.extend(command.get_args().map(|argument| argument.to_string_lossy().into_owned()));
    let mut line = words.join(" ");
    const SHOWN_MAX: usize = 160;
    if let Some((end, _)) = line.char_indices().nth(SHOWN_MAX) {
        line.truncate(end);
        line.push_str("...");
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_that_is_late_is_ended() {
        let begun = Instant::now();
        let limit = Some(begun + Duration::from_millis(300));
        assert_eq!(run_until(Command::new("sleep").arg("60"), limit).unwrap(), Ended::Late);
        assert!(begun.elapsed() < Duration::from_secs(30));
        let limit = Some(Instant::now() + Duration::from_secs(60));
        assert_eq!(run_until(&mut Command::new("true"), limit).unwrap(), Ended::InTime);
        assert!(run_until(&mut Command::new("false"), limit).is_err());
    }
}
