//! The project's own commands. `cargo xtask help` lists them.
//!
//! This binary stays small so that it builds in seconds: what needs the project's crates (conformance, end-to-end
//! scenarios, generated files) lives in those crates and is started from here with cargo.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command-line tool talks to its user")]

mod argo_suite;
mod argo_takeover;
mod bench;
mod bench_gitops;
mod bench_rollouts;
mod cases;
mod ci;
mod codegen;
mod conformance;
mod control_plane;
mod controllers;
mod e2e;
mod fuzz;
mod layers;
mod licences;
mod named_stories;
mod oracle;
mod run;
mod simulate;
mod sources;
mod tests_command;
mod tidy;
mod workspace;

use std::process::ExitCode;

const HELP: &str = "\
cargo xtask COMMAND

  tidy                              layers, lints, examples, folder names, forbidden words
  licences                          every dependency is permissively licensed and comes from the registry
  cases                             the cases of the security table and their tests
  test [ARGS]                       all tests that need nothing but Rust and a C compiler
  e2e [--only embedded|real] [--short] [SCENARIO...]
                                    request scripts and whole scenarios on the embedded and on the real cluster
  conformance record|verify|check [NAME]
                                    request transcripts: recorded from the real API server, compared there or on the
                                    embedded one
  control-plane build|up|down|status [--dir D] [--tools D] [--foreground]
                                    the real kube-apiserver, controller-manager, scheduler and etcd, with kwok's pods
  bench [main] [--cluster embedded|real] [--configs N] [--rollouts N] [--commits N] [--idle-seconds N]
                                    figures of the operator on both clusters, or on one, with the aims beside them
  bench gitops [--configs N,N] [--commits N] [--idle-seconds N] [--no-monorepo] [--flux] [--tools D]
                                    many configs of ConfigMaps beside a bare client, and a commit in a large repository
  bench rollouts [--rollouts N] [--idle-seconds N] [--checkout D]
                                    many Rollouts by Argo's own controller and by the operator, on the real cluster
  simulate [--seeds A..B] [--story NAME] [--budget SECONDS] [--crashes] [--twice] [--bugs] [--model SECONDS] [--replay FILE]
                                    schedules of faults from seeds, each checked after every write; a kept one again
  oracle helm [--all] [--flips] [--written] [--generated COUNT] [--seed N] [--helm PATH] [NAME...]
                                    charts held against Helm's recorded output, or varied, small and generated ones held
                                    against a real Helm
  oracle health --scripts FOLDER    Argo CD's health scripts against its own cases
  oracle argo                       the recorded answers of Argo Rollouts' packages made again
  argo-takeover [--checkout D] [--operator PATH]
                                    Rollouts change hands from Argo's own controller to ours and back, on the real cluster
  argo-suite [--parallel N] [--reruns N] [--operator PATH] [--checkout D] [--peer PATH] [SUITE[/TEST]...]
                                    Argo Rollouts' own end-to-end tests, played against our operator on the real cluster
  fuzz list|build|TARGET [--seconds N] [--toolchain NAME]
                                    the fuzz targets, by the nightly toolchain
  codegen [--check]                 generated files: CRDs and reference pages
  ci [WORD...]                      everything that has to hold before a change lands
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (command, rest) = match arguments.split_first() {
        Some((command, rest)) => (command.as_str(), rest),
        None => ("help", &[][..]),
    };
    let result = match command {
        "tidy" => tidy::command(),
        "licences" => licences::command(),
        "cases" => cases::command(),
        "test" => tests_command::command(rest),
        "control-plane" => control_plane::command(rest),
        "conformance" => conformance::command(rest),
        "simulate" => simulate::command(rest),
        "oracle" => oracle::command(rest),
        "e2e" => e2e::command(rest),
        "fuzz" => fuzz::command(rest),
        "bench" => bench::command(rest),
        "argo-suite" => argo_suite::command(rest),
        "argo-takeover" => argo_takeover::command(rest),
        "codegen" => codegen::command(rest),
        "ci" => ci::command(rest),
        "help" | "--help" | "-h" => {
            print!("{HELP}");
            Ok(())
        }
        other => {
            eprintln!("unknown command `{other}`\n\n{HELP}");
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask {command}: {error:#}");
            ExitCode::FAILURE
        }
    }
}
