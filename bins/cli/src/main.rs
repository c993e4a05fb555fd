//! The sluice command; as `kubectl-sluice` on the path it is `kubectl sluice` too.
//!
//! Data goes to stdout, talk to stderr. Exit codes: 0 done, 1 failed, 2 wrong use, 3 waiting ended without the state.

mod args;
mod cluster;
mod commands;
mod disk_files;
mod output;

use std::process::ExitCode;

use clap::Parser;

use crate::args::{Args, Command, Dependencies, Reach};
use crate::output::Failure;

fn main() -> ExitCode {
    let args = Args::parse();
    if let Some(outcome) = run_at_once(&args.reach, &args.command) {
        return ended(outcome);
    }
    // The first one wins; there is only one in this build.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return output::fail(&Failure::from(anyhow::Error::from(error))),
    };
    let outcome = runtime.block_on(run(args));
    runtime.shutdown_timeout(std::time::Duration::from_secs(2));
    ended(outcome)
}

fn ended(outcome: Result<(), Failure>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => output::fail(&failure),
    }
}

/// Runs what only reads files and prints: a runtime with its threads takes longer to start than most charts to render.
fn run_at_once(reach: &Reach, command: &Command) -> Option<Result<(), Failure>> {
    match command {
        Command::Render(render) if render.chart.dependencies == Dependencies::Vendored => {
            Some(commands::render::run(reach, render))
        }
        Command::Lint(lint) => Some(commands::chart::lint(reach, lint)),
        _ => None,
    }
}

async fn run(args: Args) -> Result<(), Failure> {
    let reach = &args.reach;
    match args.command {
        Command::Demo(demo) => commands::demo::run(&demo).await,
        Command::Sim(sim) => commands::sim::run(&sim).await,
        Command::Render(render) => commands::render::run(reach, &render),
        Command::Lint(lint) => commands::chart::lint(reach, &lint),
        Command::Diff(diff) => commands::diff::run(reach, &diff).await,
        Command::Install(install) => commands::install::run(&install),
        Command::Crds(crds) => commands::install::definitions(&crds),
        Command::Get(get) => commands::get::run(reach, &get).await,
        Command::Tree(target) => commands::tree::run(reach, &target).await,
        Command::Why(why) => commands::record::why(reach, &why).await,
        Command::Log(log) => commands::record::log(reach, &log).await,
        Command::At(at) => commands::record::at(reach, &at).await,
        Command::Refresh(target) | Command::Sync(target) => commands::deliver::refresh(reach, &target).await,
        Command::Suspend(target) => commands::deliver::suspend(reach, &target, true).await,
        Command::Resume(target) => commands::deliver::suspend(reach, &target, false).await,
        Command::Wait(wait) => commands::deliver::wait(reach, &wait).await,
        Command::Promote(promote) => commands::rollout::promote(reach, &promote).await,
        Command::Abort(target) => commands::rollout::abort(reach, &target).await,
        Command::Retry(target) => commands::rollout::retry(reach, &target).await,
        Command::Terminate(target) => commands::rollout::terminate(reach, &target).await,
        Command::Pause(target) => commands::rollout::pause(reach, &target, true).await,
        Command::Unpause(target) => commands::rollout::pause(reach, &target, false).await,
        Command::Restart(restart) => commands::rollout::restart(reach, &restart).await,
        Command::Undo(undo) => commands::revision::undo(reach, &undo).await,
        Command::Set(set) => match set.what {
            args::SetWhat::Image(image) => commands::revision::set_image(reach, &image).await,
        },
        Command::Adopt(adopt) => match adopt.from {
            args::AdoptFrom::Helm(helm) => commands::adopt::helm(reach, &helm).await,
        },
        Command::Completion { shell } => commands::completion(shell),
        Command::Reference => {
            commands::reference::run();
            Ok(())
        }
    }
}
