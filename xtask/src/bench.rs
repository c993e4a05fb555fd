//! `cargo xtask bench [main] [--cluster embedded|real] [--configs N] [--rollouts N] [--commits N] [--idle-seconds N]
//! [--tools D]`: figures of the operator, each with its aim beside it. `cargo xtask bench render [--helm PATH]
//! [--rounds N] [CHART...]`: rendering of charts beside Helm, program against program and engine against engine.
//! `cargo xtask bench rollouts --cluster embedded [--rollouts N] [--commits N] [--idle-seconds N]`: many Rollouts of ours
//! alone; without `--cluster embedded` beside Argo's controller on a real control plane.
//!
//! The operator is built as it is released and runs as a process of its own. The real cluster is one that is started for
//! the measurement in a folder of its own and ended after it, so nothing else asks it for anything.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use crate::control_plane::{self, Folders, Foreground, Leash, Purpose};
use crate::run;

const USAGE: &str = "usage: cargo xtask bench [main] [--cluster embedded|real] [--configs N] [--rollouts N] \
                     [--commits N] [--idle-seconds N] [--tools D]";

/// Measures on both clusters, or on the one that is named; on the real one where there is a Go toolchain to build it.
pub(crate) fn command(arguments: &[String]) -> Result<()> {
    let folder = run::target().join("bench");
    if let Some((_, rest)) = arguments.split_first().filter(|(first, _)| *first == "render") {
        return render(&folder, rest);
    }
    if let Some((_, rest)) = arguments.split_first().filter(|(first, _)| *first == "gitops") {
        return crate::bench_gitops::command(&folder, rest);
    }
    if let Some((_, rest)) = arguments.split_first().filter(|(first, _)| *first == "rollouts") {
        return match rest.iter().position(|word| word == "--cluster") {
            Some(at) if rest.get(at + 1).is_some_and(|value| value == "embedded") => {
                let passed_on = rest.iter().take(at).chain(rest.iter().skip(at + 2));
                on_embedded_cluster(&folder, "rollouts", passed_on)
            }
            _ => crate::bench_rollouts::command(rest),
        };
    }
    let mut folders = Folders { state: folder.join("control-plane"), ..Folders::default() };
    let mut cluster = None;
    let mut passed_on = Vec::new();
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        match (argument.as_str(), rest.as_slice().first()) {
            ("main", _) => {}
            ("--cluster", Some(value)) => cluster = Some(value.as_str()),
            ("--tools", Some(value)) => folders.tools = std::path::absolute(value)?,
            ("--configs" | "--rollouts" | "--commits" | "--idle-seconds", Some(value)) => {
                passed_on.extend([argument.clone(), (*value).clone()]);
            }
            _ => bail!("unknown argument `{argument}`, or one without its value; {USAGE}"),
        }
        if argument.starts_with('-') {
            rest.next();
        }
    }
    let (embedded, real) = match cluster {
        Some("embedded") => (true, false),
        Some("real") => (false, true),
        Some(other) => bail!("unknown cluster `{other}`: embedded or real"),
        None => (true, true),
    };
    // One after the other: built together, the operator would have the features that the bench wants of its crates.
    for package in ["operator", "benches"] {
        run::run(&mut run::cargo(&["build", "--quiet", "--locked", "--release", "-p", package]))?;
    }
    // A missed aim on one cluster is no reason not to measure on the other.
    let first = if embedded { measure(&folder, &passed_on, &[]) } else { Ok(()) };
    let second = if real { on_real_cluster(&folder, &folders, &passed_on, cluster.is_some()) } else { Ok(()) };
    first.and(second)
}

/// Measures rendering beside Helm: the program, and its engine as a library when there is Go to build it.
fn render(folder: &Path, arguments: &[String]) -> Result<()> {
    let mut helm = None;
    let mut passed_on = Vec::new();
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        match argument.as_str() {
            "--helm" => helm = rest.next().cloned(),
            "--rounds" => passed_on.extend([argument.clone(), rest.next().cloned().unwrap_or_default()]),
            name if !name.starts_with('-') => passed_on.push(name.to_owned()),
            other => {
                bail!("unknown flag `{other}`; usage: cargo xtask bench render [--helm PATH] [--rounds N] [CHART...]")
            }
        }
    }
    let helm = crate::oracle::helm(helm)?;
    run::run(&mut run::cargo(&["build", "--quiet", "--locked", "--release", "-p", "cli"]))?;
    run::run(&mut run::cargo(&["build", "--quiet", "--locked", "--release", "-p", "benches"]))?;
    let programs = run::target().join("release");
    let mut command = std::process::Command::new(programs.join("sluice-bench-render"));
    command.arg("--sluice").arg(programs.join("sluice")).arg("--helm").arg(helm);
    command.arg("--charts").arg(crate::oracle::charts()?);
    if run::is_installed("go") {
        std::fs::create_dir_all(folder)?;
        let program = folder.join("helm-loop");
        let mut go = std::process::Command::new("go");
        go.args(["build", "-mod=readonly", "-trimpath", "-o"]).arg(&program).arg(".");
        run::run(go.env("CGO_ENABLED", "0").current_dir(run::root().join("benches/peers/helm-loop")))?;
        command.arg("--helm-loop").arg(program);
    } else {
        println!("Helm's engine as a library: skipped, there is no Go toolchain to build it");
    }
    run::run(command.args(passed_on))
}

/// Measures one subject beside an embedded cluster.
fn on_embedded_cluster<'a>(folder: &Path, subject: &str, arguments: impl Iterator<Item = &'a String>) -> Result<()> {
    for package in ["operator", "benches"] {
        run::run(&mut run::cargo(&["build", "--quiet", "--locked", "--release", "-p", package]))?;
    }
    let arguments: Vec<String> = std::iter::once(subject.to_owned()).chain(arguments.cloned()).collect();
    measure(folder, &arguments, &[])
}

fn on_real_cluster(folder: &Path, folders: &Folders, arguments: &[String], is_asked_for: bool) -> Result<()> {
    if !is_asked_for && !folders.tools.join("kubernetes").is_file() && !run::is_installed("go") {
        println!("real cluster: skipped, there is no Go toolchain to build it");
        return Ok(());
    }
    let tools = control_plane::build(&folders.tools, Purpose::Cluster)?;
    // Always a fresh one: what an earlier run left behind would be measured too.
    control_plane::down(folders)?;
    let _leash = Leash::tie(folders)?;
    let kubeconfig = control_plane::up(folders, &tools, Foreground::Yes)?;
    let audit_log = control_plane::audit_log(&folders.state);
    let more = ["--kubeconfig".into(), kubeconfig, "--audit-log".into(), audit_log];
    let measured = measure(folder, arguments, &more);
    let ended = control_plane::down(folders);
    measured.and(ended)
}

fn measure(folder: &Path, arguments: &[String], more: &[PathBuf]) -> Result<()> {
    let programs = run::target().join("release");
    let mut command = std::process::Command::new(programs.join("sluice-bench"));
    command.arg("--operator").arg(programs.join("sluice-operator")).arg("--out").arg(folder);
    run::run(command.args(arguments).args(more))
}
