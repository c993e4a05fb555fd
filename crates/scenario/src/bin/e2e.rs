//! Plays the scenario files on the embedded cluster in virtual time, and on a real one when its kubeconfig is given.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command-line tool talks to its user")]

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use scenario::end_to_end::{Outcome, Place, RealCluster, Scenario, on_embedded, scenarios};

const USAGE: &str = "usage: e2e [--kubeconfig FILE] [--only-real] [--short] [--seed N] [SCENARIO or FOLDER...]";

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
}

impl Wish {
    fn parse(arguments: &[String]) -> Result<Self, String> {
        let mut wish = Self { scenarios: scenarios()?, kubeconfig: None, only_real: false, seed: 7 };
        let mut is_short = false;
        let mut names: Vec<&str> = Vec::new();
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            match argument.as_str() {
                "--kubeconfig" => {
                    wish.kubeconfig = Some(rest.next().ok_or("--kubeconfig needs a file")?.into());
                }
                "--only-real" => wish.only_real = true,
                "--short" => is_short = true,
                "--seed" => {
                    let number = rest.next().and_then(|text| text.parse().ok());
                    wish.seed = number.ok_or("--seed needs a number")?;
                }
                flag if flag.starts_with('-') => return Err(format!("unknown argument `{flag}`; {USAGE}")),
                name => names.push(name),
            }
        }
        if wish.only_real && wish.kubeconfig.is_none() {
            return Err("--only-real needs --kubeconfig".to_owned());
        }
        if let Some(unknown) = names.iter().find(|name| !wish.scenarios.iter().any(|one| one.is_called(name))) {
            let known: Vec<&str> = wish.scenarios.iter().map(Scenario::name).collect();
            return Err(format!("`{unknown}` is no scenario; there are {}", known.join(", ")));
        }
        let is_asked = |one: &Scenario| names.is_empty() || names.iter().any(|name| one.is_called(name));
        wish.scenarios.retain(|one| is_asked(one) && (one.is_short || !is_short));
        Ok(wish)
    }
}

/// Plays all that was asked for, also after a failed one; `false` when one failed.
fn run(wish: &Wish) -> Result<bool, String> {
    let mut all_passed = true;
    if !wish.only_real {
        println!("{}", Place::Embedded);
        let mut list = List::begin();
        for scenario in &wish.scenarios {
            let begun = Instant::now();
            let outcome = on_embedded(scenario, wish.seed).map_err(|error| error.to_string())?;
            list.show(&outcome, begun.elapsed());
        }
        all_passed &= list.end();
    }
    if let Some(kubeconfig) = &wish.kubeconfig {
        println!("{} of {}", Place::Real, kubeconfig.display());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| error.to_string())?;
        all_passed &= runtime.block_on(on_real(wish, kubeconfig)).map_err(|error| explain(&error))?;
    }
    Ok(all_passed)
}

async fn on_real(wish: &Wish, kubeconfig: &Path) -> Result<bool, scenario::end_to_end::RealError> {
    let cluster = RealCluster::prepare(kubeconfig).await?;
    let mut list = List::begin();
    for scenario in &wish.scenarios {
        let begun = Instant::now();
        let outcome = cluster.play(scenario, wish.seed).await?;
        list.show(&outcome, begun.elapsed());
    }
    cluster.end().await?;
    Ok(list.end())
}

fn explain(error: &dyn std::error::Error) -> String {
    let mut message = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        message.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    message
}

/// The printed list of one cluster.
struct List {
    begun: Instant,
    played: usize,
    failed: usize,
    cases: usize,
    cases_all: usize,
}

impl List {
    fn begin() -> Self {
        Self { begun: Instant::now(), played: 0, failed: 0, cases: 0, cases_all: 0 }
    }

    /// Prints how a scenario went; a failed one with what the cluster looked like.
    fn show(&mut self, outcome: &Outcome, took: Duration) {
        let has_passed = outcome.has_passed();
        let mark = if has_passed { "ok    " } else { "FAILED" };
        let (took, lasted) = (took.as_secs_f64(), outcome.lasted.as_secs_f64());
        let cases = match outcome.cases_all {
            1 => String::new(),
            all => format!(", {} of {all} cases", outcome.cases),
        };
        println!("  {mark} {:<34} {took:>6.1} s  ({lasted:.0} s of its world{cases})", outcome.name);
        for problem in outcome.problems() {
            println!("         {problem}");
        }
        if !has_passed {
            eprintln!("{}", outcome.diagnosis);
        }
        self.played += 1;
        self.failed += usize::from(!has_passed);
        self.cases += outcome.cases;
        self.cases_all += outcome.cases_all;
    }

    /// Prints the counts; says whether all passed.
    fn end(&self) -> bool {
        let passed = self.played - self.failed;
        let took = self.begun.elapsed().as_secs_f64();
        println!(
            "  {passed} passed, {} failed in {took:.0} s; {} of {} cases passed",
            self.failed, self.cases, self.cases_all
        );
        self.failed == 0
    }
}
