//! Rendering of charts beside Helm, in one run: program against program, and engine against engine in a loop.
//!
//! `cargo xtask bench render` builds what is measured and starts this program. Both sides get the same chart, name and
//! namespace, in turn; the quickest of the rounds counts for each, as the slower ones measure the machine.
#![expect(clippy::print_stdout, reason = "a command-line tool talks to its user")]
#![expect(clippy::disallowed_methods, reason = "it measures on the wall clock")]

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Parser;
use go_template::CountingEntropy;
use manifest_render::helm::{Chart, Release, Surroundings, Timestamp, render_chart};
use manifest_render::{Budget, MemoryFiles};
use wait4::Wait4;

/// Aims (issue of the Helm engine): in the median, and on every chart.
const PROCESS_MEDIAN_AIM: f64 = 15.0;
const PROCESS_LEAST_AIM: f64 = 1.0;
const LOOP_MEDIAN_AIM: f64 = 5.0;

/// Measures `sluice render` beside `helm template`.
#[derive(Debug, Clone, Parser)]
#[command(name = "sluice-bench-render")]
struct Flags {
    /// Our program.
    #[arg(long, value_name = "FILE")]
    sluice: PathBuf,
    /// Helm's program.
    #[arg(long, value_name = "FILE")]
    helm: PathBuf,
    /// Helm's engine as a library in a loop (benches/peers/helm-loop); without it only programs are compared.
    #[arg(long, value_name = "FILE")]
    helm_loop: Option<PathBuf>,
    /// Folder of folders that have a `chart` each.
    #[arg(long, value_name = "FOLDER")]
    charts: PathBuf,
    /// How often each program renders each chart.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// How long each engine renders each chart.
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..=60_000))]
    loop_milliseconds: u64,
    /// Only these charts.
    names: Vec<String>,
}

/// What one run of a program took.
#[derive(Debug, Clone, Copy)]
struct Run {
    seconds: f64,
    peak_kib: u64,
}

/// How the programs did on one chart.
struct Programs {
    helm: Run,
    sluice: Run,
    /// What Helm says when it refuses the chart; what we say, when we do too.
    refusals: (Option<String>, Option<String>),
}

/// The figures of one chart.
struct Row {
    name: String,
    programs: Programs,
    /// Seconds of one render in a loop: Helm's engine, ours.
    engines: Option<(f64, f64)>,
}

fn main() -> ExitCode {
    match measure(&Flags::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            println!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn measure(flags: &Flags) -> Result<bool> {
    let charts = charts(flags)?;
    // Programs first: what this one has grown to in its own loop would count as what they start with.
    let mut programs = Vec::new();
    for (_, chart) in &charts {
        programs.push(run_programs(flags, chart)?);
    }
    let mut rows = Vec::new();
    println!(
        "{:<58} {:>9} {:>9} {:>7}  {:>7} {:>7}  {:>9} {:>9} {:>7}",
        "CHART", "HELM", "SLUICE", "RATIO", "HELM", "SLUICE", "ITS LOOP", "OUR LOOP", "RATIO"
    );
    for ((name, chart), programs) in charts.into_iter().zip(programs) {
        let engines = match (&flags.helm_loop, &programs.refusals) {
            (Some(program), (None, None)) => Some((their_loop(program, &chart, flags)?, our_loop(&chart, flags)?)),
            _ => None,
        };
        let row = Row { name, programs, engines };
        let engines = row.engines.map_or_else(String::new, |(helm, ours)| {
            format!("{:>7.2}ms {:>7.2}ms {:>6.1}x", helm * 1e3, ours * 1e3, helm / ours)
        });
        println!(
            "{:<58} {:>7.1}ms {:>7.1}ms {:>6.1}x  {:>5}MB {:>5}MB  {engines}",
            row.name,
            row.programs.helm.seconds * 1e3,
            row.programs.sluice.seconds * 1e3,
            row.ratio(),
            row.programs.helm.peak_kib / 1024,
            row.programs.sluice.peak_kib / 1024,
        );
        rows.push(row);
    }
    let all_agree = rows.iter().filter(|row| !row.agrees()).count() == 0;
    Ok(summary(&rows) && all_agree)
}

impl Row {
    fn ratio(&self) -> f64 {
        self.programs.helm.seconds / self.programs.sluice.seconds
    }

    /// Tells of a chart that Helm refuses. Whoever refuses it here too has to say the same; a chart that lacks what is
    /// switched off renders here and not there.
    fn agrees(&self) -> bool {
        match &self.programs.refusals {
            (None, None) => true,
            (Some(theirs), Some(ours)) if theirs == ours => {
                println!("{}: both refuse it: {ours}", self.name);
                true
            }
            (Some(theirs), None) if theirs.contains("missing in charts/ directory") => {
                println!("{}: only Helm refuses it: {theirs}", self.name);
                true
            }
            (theirs, ours) => {
                println!("MISSED {}: Helm says {theirs:?}, we say {ours:?}", self.name);
                false
            }
        }
    }
}

/// Prints the ratios beside their aims, and tells whether all are met.
fn summary(rows: &[Row]) -> bool {
    let mut process: Vec<f64> = rows.iter().map(Row::ratio).collect();
    let mut engines: Vec<f64> = rows.iter().filter_map(|row| row.engines).map(|(helm, ours)| helm / ours).collect();
    process.sort_by(f64::total_cmp);
    engines.sort_by(f64::total_cmp);
    let memory = rows.iter().filter(|row| row.programs.sluice.peak_kib < row.programs.helm.peak_kib).count();
    let mut met = true;
    let mut line = |what: &str, found: Option<f64>, aim: f64| {
        let Some(found) = found else { return };
        met &= found >= aim;
        println!("{} {what}: {found:.1} times as fast, aim {aim:.0}", if found >= aim { "met   " } else { "MISSED" });
    };
    println!("{} charts", rows.len());
    line("program against program, median", process.get(process.len() / 2).copied(), PROCESS_MEDIAN_AIM);
    line("program against program, least", process.first().copied(), PROCESS_LEAST_AIM);
    line("engine against engine in a loop, median", engines.get(engines.len() / 2).copied(), LOOP_MEDIAN_AIM);
    let of_all = memory == rows.len();
    println!(
        "{} peak memory below Helm's: {memory} of {} charts",
        if of_all { "met   " } else { "MISSED" },
        rows.len()
    );
    met && of_all
}

fn charts(flags: &Flags) -> Result<Vec<(String, PathBuf)>> {
    let mut charts = Vec::new();
    let folder = &flags.charts;
    for entry in std::fs::read_dir(folder).with_context(|| format!("failed to list {}", folder.display()))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let chart = entry.path().join("chart");
        if chart.is_dir() && (flags.names.is_empty() || flags.names.contains(&name)) {
            charts.push((name, chart));
        }
    }
    charts.sort();
    if charts.is_empty() {
        bail!("{} has no charts", folder.display());
    }
    Ok(charts)
}

fn run_programs(flags: &Flags, chart: &Path) -> Result<Programs> {
    let mut theirs = Command::new(&flags.helm);
    theirs.args(["template", "rel"]).arg(chart).args(["--namespace", "ns1"]);
    let mut ours = Command::new(&flags.sluice);
    ours.arg("render").arg(chart).args(["rel", "--namespace", "ns1"]);
    // The first runs find out what is said and leave the files in memory; they are not timed.
    let refusals = (refusal(&mut theirs)?, refusal(&mut ours)?);
    let (mut helm, mut sluice) = (None, None);
    for _ in 0..flags.rounds {
        helm = Some(quicker(helm, run(&mut theirs)?));
        sluice = Some(quicker(sluice, run(&mut ours)?));
    }
    let (Some(helm), Some(sluice)) = (helm, sluice) else { bail!("no round was run") };
    Ok(Programs { helm, sluice, refusals })
}

/// What a program says when it fails, without its way of beginning an error.
fn refusal(command: &mut Command) -> Result<Option<String>> {
    let output = command.output().with_context(|| format!("failed to start {command:?}"))?;
    if output.status.success() {
        return Ok(None);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said.split_once("rror: ").map_or(&*said, |(_, said)| said).trim();
    Ok(Some(said.trim_end_matches("Use --debug flag to render out invalid YAML").trim().to_owned()))
}

fn quicker(before: Option<Run>, now: Run) -> Run {
    before.map_or(now, |before| Run {
        seconds: before.seconds.min(now.seconds),
        peak_kib: before.peak_kib.max(now.peak_kib),
    })
}

fn run(command: &mut Command) -> Result<Run> {
    let start = Instant::now();
    let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    let used = child.wait4()?;
    let seconds = start.elapsed().as_secs_f64();
    Ok(Run { seconds, peak_kib: used.rusage.maxrss / 1024 })
}

fn their_loop(program: &Path, chart: &Path, flags: &Flags) -> Result<f64> {
    let output = Command::new(program).arg(chart).arg(flags.loop_milliseconds.to_string()).output()?;
    if !output.status.success() {
        bail!("Helm's engine: {}", String::from_utf8_lossy(&output.stderr));
    }
    let nanoseconds: f64 = String::from_utf8_lossy(&output.stdout).trim().parse()?;
    Ok(nanoseconds / 1e9)
}

/// One render of a chart that is loaded once, as the other loop does it: values, templates, manifests.
fn our_loop(chart: &Path, flags: &Flags) -> Result<f64> {
    let budget = Budget::default();
    let chart = Chart::load("chart", &read_folder(chart)?, &budget)?;
    let release = Release::new("rel", "ns1");
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    let now = Timestamp { seconds: i64::try_from(since.as_secs())?, nanoseconds: 0 };
    let render = || {
        let mut entropy = CountingEntropy::default();
        render_chart(&chart, &release, Surroundings::new(&mut entropy, now), &budget).map(|_| ())
    };
    render()?;
    let limit = Duration::from_millis(flags.loop_milliseconds);
    let (start, mut rounds) = (Instant::now(), 0_u32);
    while rounds < 3 || start.elapsed() < limit {
        render()?;
        rounds += 1;
    }
    Ok(start.elapsed().as_secs_f64() / f64::from(rounds))
}

fn read_folder(folder: &Path) -> Result<MemoryFiles> {
    let mut files = MemoryFiles::new();
    let mut open = vec![folder.to_path_buf()];
    while let Some(path) = open.pop() {
        if path.is_dir() {
            for entry in std::fs::read_dir(&path)? {
                open.push(entry?.path());
            }
        } else {
            let name = path.strip_prefix(folder)?.to_string_lossy().into_owned();
            files.insert(&format!("chart/{name}"), std::fs::read(&path)?.into());
        }
    }
    Ok(files)
}
