//! Figures of the whole operator, each with its aim beside it.
//!
//! `cargo xtask bench main` builds what is measured and starts this program. It keeps the Git server, and the embedded
//! cluster where no other is given; the operator is always a process of its own, so what `/proc` says of it is its own.
#![expect(clippy::print_stdout, reason = "a command-line tool talks to its user")]

mod bare;
mod figures;
mod fleet;
mod gitops;
mod ground;
mod main_path;
mod operator;
mod requests;
mod rollouts;
mod visible;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Subject {
    /// The main path, with Rollouts.
    Main,
    /// Many configs of ConfigMaps only, beside a bare client.
    Gitops,
    /// Many Rollouts that people made themselves.
    Rollouts,
}

/// Measures the operator: from a signed webhook to the applied object, with many configs.
#[derive(Debug, Clone, Parser)]
#[command(name = "sluice-bench")]
struct Flags {
    /// What is measured.
    #[arg(value_enum, default_value_t = Subject::Main)]
    subject: Subject,
    /// The operator's program.
    #[arg(long, value_name = "FILE")]
    operator: PathBuf,
    /// Folder for results, logs and the operator's record; it is made when it is missing.
    #[arg(long, value_name = "FOLDER")]
    out: PathBuf,
    /// Kubeconfig of a real cluster with nothing else on it; without it an embedded one is served.
    #[arg(long, value_name = "FILE", requires = "audit_log")]
    kubeconfig: Option<PathBuf>,
    /// Audit log of that cluster's API server, where the operator's requests are counted.
    #[arg(long, value_name = "FILE")]
    audit_log: Option<PathBuf>,
    /// How many GitOpsConfigs; each applies four objects.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=5_000))]
    configs: u32,
    /// How many Rollouts: one is among the objects of each of the first configs, where not only they are measured.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(0..=20_000))]
    rollouts: u32,
    /// How many files beside the manifests each path of the repository has, where only configs are measured.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=1_000))]
    other_files: u32,
    /// How many commits are timed, or changes of single Rollouts.
    #[arg(long, default_value_t = 40, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    commits: u32,
    /// How long the settled operator is watched.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    idle_seconds: u64,
}

fn main() -> ExitCode {
    let flags = Flags::parse();
    if flags.subject == Subject::Main && flags.rollouts > flags.configs {
        println!("error: there is at most one Rollout for each config");
        return ExitCode::from(2);
    }
    // The first one wins; there is only one in this build.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            println!("error: the async runtime could not start: {error}");
            return ExitCode::FAILURE;
        }
    };
    let measured = runtime.block_on(async {
        match flags.subject {
            Subject::Main => main_path::measure(&flags).await,
            Subject::Gitops => gitops::measure(&flags).await,
            Subject::Rollouts => rollouts::measure(&flags).await,
        }
    });
    match measured {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
