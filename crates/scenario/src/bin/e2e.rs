//! Plays every scenario on the embedded cluster in virtual time, and on a real one when its kubeconfig is given.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command-line tool talks to its user")]

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use scenario::demo::{Check, Progress};
use scenario::end_to_end::{Outcome, Place, Scenario, on_embedded, on_real};

const USAGE: &str = "usage: e2e [--kubeconfig FILE] [--only-real] [--seed N] [--verbose] [SCENARIO...]";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match Wish::parse(&arguments).and_then(|wish| run(&wish)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(message) => {
            eprintln!("e2e: {message}");
            ExitCode::FAILURE
        }
    }
}

/// What was asked for.
struct Wish {
    scenarios: Vec<Scenario>,
    kubeconfig: Option<PathBuf>,
    only_real: bool,
    seed: u64,
    verbose: bool,
}

impl Wish {
    fn parse(arguments: &[String]) -> Result<Self, String> {
        let mut wish = Self { scenarios: Vec::new(), kubeconfig: None, only_real: false, seed: 7, verbose: false };
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            match argument.as_str() {
                "--kubeconfig" => {
                    wish.kubeconfig = Some(rest.next().ok_or("--kubeconfig needs a file")?.into());
                }
                "--only-real" => wish.only_real = true,
                "--seed" => {
                    let number = rest.next().and_then(|text| text.parse().ok());
                    wish.seed = number.ok_or("--seed needs a number")?;
                }
                "--verbose" => wish.verbose = true,
                name => {
                    let found = Scenario::ALL.into_iter().find(|scenario| scenario.name() == name);
                    wish.scenarios.push(found.ok_or_else(|| format!("`{name}` is no scenario; {USAGE}"))?);
                }
            }
        }
        if wish.only_real && wish.kubeconfig.is_none() {
            return Err("--only-real needs --kubeconfig".to_owned());
        }
        if wish.scenarios.is_empty() {
            wish.scenarios.extend(Scenario::ALL);
        }
        Ok(wish)
    }
}

/// Plays all that was asked for, also after a failed one; `false` when one failed.
fn run(wish: &Wish) -> Result<bool, String> {
    let mut all_passed = true;
    if !wish.only_real {
        println!("{}", Place::Embedded);
        for scenario in &wish.scenarios {
            let begun = Instant::now();
            let mut tell = teller(wish.verbose);
            let outcome = on_embedded(*scenario, wish.seed, &mut tell).map_err(|error| error.to_string())?;
            all_passed &= show(&outcome, begun.elapsed());
        }
    }
    if let Some(kubeconfig) = &wish.kubeconfig {
        println!("{} of {}", Place::Real, kubeconfig.display());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| error.to_string())?;
        for scenario in &wish.scenarios {
            all_passed &= runtime.block_on(play_for_real(wish, *scenario, kubeconfig))?;
        }
    }
    Ok(all_passed)
}

async fn play_for_real(wish: &Wish, scenario: Scenario, kubeconfig: &Path) -> Result<bool, String> {
    let begun = Instant::now();
    let folder = std::env::temp_dir().join(format!("sluice-e2e-{}", std::process::id()));
    std::fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut tell = teller(wish.verbose);
    let played = on_real(scenario, kubeconfig, &folder, wish.seed, &mut tell).await;
    let removed = std::fs::remove_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()));
    let outcome = played.map_err(|error| format!("{}: {error}", scenario.name()))?;
    let has_passed = show(&outcome, begun.elapsed());
    removed.map(|()| has_passed)
}

fn teller(verbose: bool) -> impl FnMut(Progress) {
    let begun = Instant::now();
    move |progress| {
        if !verbose {
            return;
        }
        let took = begun.elapsed().as_secs_f64();
        match progress {
            Progress::Act { number, title } => eprintln!("{took:7.1} s  act {number}: {title}"),
            Progress::Told(text) => eprintln!("{took:7.1} s    {text}"),
            Progress::Checked(Check { what, holds, found }) => {
                eprintln!("{took:7.1} s    {} {what} ({found})", if holds { "holds:" } else { "DOES NOT HOLD:" });
            }
        }
    }
}

/// Prints how it went and says whether it passed.
fn show(outcome: &Outcome, took: Duration) -> bool {
    let has_passed = outcome.has_passed();
    let held = outcome.checks.iter().filter(|check| check.holds).count();
    println!(
        "  {} {:<16} {held} of {} checks hold; {:.1} s of the cluster's time in {:.1} s",
        if has_passed { "ok    " } else { "FAILED" },
        outcome.scenario.name(),
        outcome.checks.len(),
        outcome.lasted.as_secs_f64(),
        took.as_secs_f64(),
    );
    for problem in outcome.problems() {
        println!("         {problem}");
    }
    if !has_passed {
        eprintln!("{}", outcome.diagnosis);
    }
    has_passed
}
