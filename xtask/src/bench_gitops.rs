//! `cargo xtask bench gitops [--configs N,N] [--commits N] [--idle-seconds N] [--no-monorepo] [--flux] [--tools D]`: many
//! configs of four ConfigMaps each, installed beside a bare client that sends the same writes, left alone, and changed by
//! commit after commit, on a real control plane of their own for each number. Then a repository of 500 paths and 20,000
//! files.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::control_plane::{self, Folders, Foreground, Leash, Purpose, Tools};
use crate::run;

const USAGE: &str = "usage: cargo xtask bench gitops [--configs N,N] [--commits N] [--idle-seconds N] [--no-monorepo] \
                     [--flux] [--tools D]";
const CONFIGS: [u32; 3] = [1, 100, 1_000];
/// Configs of the large repository, and the files beside the four manifests of each.
const MONOREPO: (u32, u32) = (500, 36);

struct Options {
    configs: Vec<u32>,
    passed_on: Vec<String>,
    with_monorepo: bool,
    with_flux: bool,
}

/// Measures each number of configs and the large repository, and fails when an aim is missed anywhere.
pub(crate) fn command(folder: &Path, arguments: &[String]) -> Result<()> {
    let mut folders = Folders { state: folder.join("gitops-control-plane"), ..Folders::default() };
    let options = parse(arguments, &mut folders)?;
    for package in ["operator", "benches"] {
        run::run(&mut run::cargo(&["build", "--quiet", "--locked", "--release", "-p", package]))?;
    }
    let tools = control_plane::build(&folders.tools, Purpose::Cluster)?;
    let mut results: Vec<Result<()>> = Vec::new();
    for configs in &options.configs {
        results.push(measure(folder, &folders, &tools, &options, (*configs, 0)));
    }
    if options.with_monorepo {
        results.push(measure(folder, &folders, &tools, &options, MONOREPO));
    }
    if options.with_flux {
        print!("{}", recorded_figures_of_flux());
    }
    results.into_iter().collect()
}

fn parse(arguments: &[String], folders: &mut Folders) -> Result<Options> {
    let mut options =
        Options { configs: CONFIGS.to_vec(), passed_on: Vec::new(), with_monorepo: true, with_flux: false };
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        match argument.as_str() {
            "--no-monorepo" => options.with_monorepo = false,
            "--flux" => options.with_flux = true,
            "--configs" | "--commits" | "--idle-seconds" | "--tools" => {
                let value = rest.next().with_context(|| format!("{argument} needs a value; {USAGE}"))?;
                match argument.as_str() {
                    "--configs" => {
                        let numbers = value.split(',').map(str::parse);
                        options.configs = numbers.collect::<Result<_, _>>().context(USAGE)?;
                    }
                    "--tools" => folders.tools = std::path::absolute(value)?,
                    _ => options.passed_on.extend([argument.clone(), value.clone()]),
                }
            }
            other => bail!("unknown argument `{other}`; {USAGE}"),
        }
    }
    Ok(options)
}

/// One run on a fresh control plane: what an earlier one left behind would be measured too.
fn measure(
    folder: &Path,
    folders: &Folders,
    tools: &Tools,
    options: &Options,
    (configs, other_files): (u32, u32),
) -> Result<()> {
    control_plane::down(folders)?;
    let _leash = Leash::tie(folders)?;
    let kubeconfig = control_plane::up(folders, tools, Foreground::Yes)?;
    let programs = run::target().join("release");
    let mut command = std::process::Command::new(programs.join("sluice-bench"));
    command.arg("gitops").arg("--operator").arg(programs.join("sluice-operator")).arg("--out").arg(folder);
    command.arg("--kubeconfig").arg(kubeconfig).arg("--audit-log").arg(control_plane::audit_log(&folders.state));
    command.args(["--configs", &configs.to_string(), "--other-files", &other_files.to_string()]);
    let measured = run::run(command.args(&options.passed_on));
    let ended = control_plane::down(folders);
    measured.with_context(|| format!("{configs} configs"))?;
    ended
}

/// What Flux's controllers took for the same work when they were measured, on two cores of another day.
fn recorded_figures_of_flux() -> String {
    let rows = [
        ("1 config: a commit is visible, p50", "0.68 s"),
        ("100 configs: all ready", "20 s (36 s with waits)"),
        ("100 configs: a commit is visible, p50 and p95", "7.4 s, 14.6 s"),
        ("100 configs: a commit costs", "13 CPU-s, 400 GETs, 1,250 PATCHes"),
        ("100 configs: idle costs a minute", "16 CPU-s, 1,700 requests"),
        ("100 configs: resident memory of its two controllers", "92 + 142 MB"),
        ("500 configs: all ready", "220 s"),
    ];
    let mut text =
        "Flux, recorded figures (source-controller and kustomize-controller, interval 1 m), not measured now:\n"
            .to_owned();
    for (what, value) in rows {
        let _ = writeln!(text, "  {what:<52}  {value}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_configs_stand_in_one_argument_and_limits_are_passed_on() {
        let words = ["--configs", "1,20", "--commits", "5", "--no-monorepo"].map(str::to_owned);
        let options = parse(&words, &mut Folders::default()).expect("these are arguments");
        assert_eq!(options.configs, [1, 20]);
        assert_eq!(options.passed_on, ["--commits", "5"]);
        assert!(!options.with_monorepo && !options.with_flux);
        assert!(parse(&["--configs".to_owned()], &mut Folders::default()).is_err());
        assert!(parse(&["--config".to_owned(), "1".to_owned()], &mut Folders::default()).is_err());
    }
}
