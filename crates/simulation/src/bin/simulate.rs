//! Plays schedules, crashes, wrong turns and the pure model, and shows what was found; `cargo xtask simulate` starts it.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command-line tool talks to its user")]

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use reconcile_core::bugs::Bug;
use simulation::ledger::{Entry, HEAD};
use simulation::record::Kept;
use simulation::search::{self, Bounds, Tally};
use simulation::{Outcome, Ready, Story, model, shrink, stories, story};

const USAGE: &str = "usage: simulate [--seeds A..B] [--story NAME]... [--budget SECONDS] [--threads N] [--ledger FILE]
                [--commit ID] [--keep FOLDER] [--crashes | --twice]
       simulate --replay FILE
       simulate --model SECONDS [--seeds A..B]
       simulate --bugs [--bug NAME]... [--schedules N] [--budget SECONDS]   (a build with the feature `bugs`)
       simulate --stories";

/// Schedules that break a rule after which a story is left: they are shrunk, which takes time.
const BROKEN_MAX: usize = 3;

#[derive(Default)]
struct Wish {
    seeds: Option<(u64, u64)>,
    stories: Vec<&'static Story>,
    budget: Option<Duration>,
    threads: usize,
    ledger: Option<PathBuf>,
    commit: String,
    keep: Option<PathBuf>,
    replay: Option<PathBuf>,
    model: Option<Duration>,
    bugs: Vec<Bug>,
    schedules: u64,
    is_crashes: bool,
    is_twice: bool,
    is_list: bool,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match Wish::parse(&arguments).and_then(|wish| run(&wish)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(message) => {
            eprintln!("simulate: {message}\n{USAGE}");
            ExitCode::from(2)
        }
    }
}

impl Wish {
    fn parse(arguments: &[String]) -> Result<Self, String> {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let mut wish = Self { threads, schedules: 10_000, commit: "-".to_owned(), ..Self::default() };
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            let mut value = || rest.next().ok_or_else(|| format!("{argument} needs a value"));
            match argument.as_str() {
                "--seeds" => wish.seeds = Some(range(value()?)?),
                "--story" => {
                    let name = value()?;
                    wish.stories.push(story(name).ok_or_else(|| format!("`{name}` is no story"))?);
                }
                "--budget" => wish.budget = Some(seconds(value()?)?),
                "--threads" => wish.threads = value()?.parse().map_err(|_| "--threads needs a number".to_owned())?,
                "--ledger" => wish.ledger = Some(value()?.into()),
                "--commit" => wish.commit = value()?.clone(),
                "--keep" => wish.keep = Some(value()?.into()),
                "--replay" => wish.replay = Some(value()?.into()),
                "--model" => wish.model = Some(seconds(value()?)?),
                "--schedules" => {
                    wish.schedules = value()?.parse().map_err(|_| "--schedules needs a number".to_owned())?
                }
                "--bugs" => wish.bugs = Bug::ALL.to_vec(),
                "--bug" => {
                    let name = value()?;
                    let bug = Bug::ALL.iter().find(|bug| bug.name() == name);
                    let bug = *bug.ok_or_else(|| format!("`{name}` is no wrong turn"))?;
                    if wish.bugs.len() == Bug::ALL.len() {
                        wish.bugs.clear();
                    }
                    wish.bugs.push(bug);
                }
                "--crashes" => wish.is_crashes = true,
                "--twice" => wish.is_twice = true,
                "--stories" => wish.is_list = true,
                other => return Err(format!("unknown argument `{other}`")),
            }
        }
        if wish.stories.is_empty() {
            wish.stories = stories();
        }
        Ok(wish)
    }

    fn bounds(&self) -> Bounds {
        Bounds { threads: self.threads, broken_max: BROKEN_MAX }
    }
}

fn range(text: &str) -> Result<(u64, u64), String> {
    let parts = text.split_once("..").and_then(|(from, to)| Some((from.parse().ok()?, to.parse().ok()?)));
    parts.filter(|(from, to)| from < to).ok_or_else(|| format!("`{text}` is no range A..B"))
}

fn seconds(text: &str) -> Result<Duration, String> {
    text.parse().map(Duration::from_secs).map_err(|_| format!("`{text}` is no number of seconds"))
}

fn run(wish: &Wish) -> Result<bool, String> {
    if wish.is_list {
        for story in &wish.stories {
            println!("{:<18} {}", story.name, story.about);
        }
        return Ok(true);
    }
    if let Some(file) = &wish.replay {
        return replay(file);
    }
    if let Some(time) = wish.model {
        return Ok(play_model(wish, time));
    }
    if !wish.bugs.is_empty() {
        return teeth(wish);
    }
    if wish.is_twice {
        return twice(wish);
    }
    schedules(wish)
}

/// Plays each seed twice and shows where two traces part.
fn twice(wish: &Wish) -> Result<bool, String> {
    let (from, to) = wish.seeds.unwrap_or((0, 40));
    let mut count = 0;
    for told in &wish.stories {
        let ready = Ready::new(told).map_err(|error| error.to_string())?;
        let differing = search::twice(&ready, from..to, wish.threads);
        println!("{:<18} {} of {} seeds have two traces", told.name, differing.len(), to - from);
        for (seed, difference) in differing.iter().take(BROKEN_MAX) {
            println!("seed {seed}:\n{difference}");
        }
        count += differing.len();
    }
    Ok(count == 0)
}

/// Shows the timeline of a kept schedule.
fn replay(file: &Path) -> Result<bool, String> {
    let text = fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    let kept = Kept::parse(&text).map_err(|error| format!("{}: {error}", file.display()))?;
    let told = story(&kept.story).ok_or_else(|| format!("`{}` is no story", kept.story))?;
    println!("{}\n{}", told.about, kept.about.trim_end());
    let ready = Ready::new(told).map_err(|error| error.to_string())?;
    let outcome = ready.replay(kept.log);
    for line in outcome.trace.lines().iter().filter(|line| is_worth_a_look(line)) {
        println!("{line}");
    }
    match &outcome.broken {
        None => println!("no rule is broken"),
        Some(broken) => println!("{}: {}", broken.rule, broken.what),
    }
    Ok(outcome.broken.is_none())
}

/// Reads that went well only fill the page.
fn is_worth_a_look(line: &simulation::Line) -> bool {
    let is_plain_read = line.what.starts_with("GET ") && line.effect == "200";
    let is_of_pods = line.what.contains(" pods ") || line.what.contains("/events");
    !is_plain_read && !is_of_pods
}

fn play_model(wish: &Wish, time: Duration) -> bool {
    let (from, to) = wish.seeds.unwrap_or((0, u64::MAX));
    let begun = Instant::now();
    let before = search::processor_time();
    let share = (to - from) / u64::try_from(wish.threads.max(1)).unwrap_or(1);
    let tallies: Vec<model::ModelTally> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..u64::try_from(wish.threads.max(1)).unwrap_or(1))
            .map(|index| {
                let range = from + index * share..from + (index + 1) * share;
                scope.spawn(move || model::seeds(range, &|| begun.elapsed() >= time))
            })
            .collect();
        threads.into_iter().filter_map(|thread| thread.join().ok()).collect()
    });
    let sum = |count: fn(&model::ModelTally) -> u64| tallies.iter().map(count).sum::<u64>();
    let (count, decisions) = (sum(|tally| tally.schedules), sum(|tally| tally.decisions));
    let broken: Vec<&(u64, String)> = tallies.iter().flat_map(|tally| &tally.broken).collect();
    println!("model: {count} schedules, {decisions} decisions, {} broken{}", broken.len(), rate(count, before));
    for (seed, what) in broken.iter().take(3) {
        println!("seed {seed}: {what}");
    }
    broken.is_empty()
}

fn rate(count: u64, before: Option<Duration>) -> String {
    let used = search::processor_time().zip(before).map(|(now, before)| now.saturating_sub(before));
    match used.filter(|used| !used.is_zero()) {
        Some(used) => format!(
            ", {:.1} CPU-seconds, {:.1} schedules a CPU-second",
            used.as_secs_f64(),
            Duration::from_secs(count).as_secs_f64() / used.as_secs_f64()
        ),
        None => String::new(),
    }
}

fn schedules(wish: &Wish) -> Result<bool, String> {
    let begun = Instant::now();
    let (from, to) = wish.seeds.unwrap_or((0, 100));
    let mut all = Tally::default();
    let mut is_clean = true;
    let before = search::processor_time();
    let count = u32::try_from(wish.stories.len()).unwrap_or(1);
    for (index, told) in (1..).zip(&wish.stories) {
        let ready = Ready::new(told).map_err(|error| error.to_string())?;
        let limit = wish.budget.map(|budget| budget * index / count);
        let is_over = || limit.is_some_and(|limit| begun.elapsed() >= limit);
        let since = search::processor_time();
        let mut tally = match wish.is_crashes {
            true => search::crashes(&ready, wish.bounds(), &is_over),
            false => search::seeds(&ready, from..to, wish.bounds(), &is_over),
        };
        tally.broken.sort_by_key(|(seed, _)| *seed);
        println!(
            "{:<18} {:>6} schedules, {:>6} distinct, {:>6} with a write hit, {:>7} faults, {:>8} virtual s, {} broken{}",
            told.name,
            tally.schedules,
            tally.traces.len(),
            tally.hit.len(),
            tally.faults,
            tally.seconds,
            tally.broken.len(),
            rate(tally.schedules, since)
        );
        is_clean &= tally.broken.is_empty();
        for (seed, outcome) in tally.broken.iter().take(BROKEN_MAX) {
            tell(wish, &ready, *seed, outcome.clone())?;
        }
        if let (Some(ledger), false) = (&wish.ledger, wish.is_crashes) {
            let played = from + tally.schedules;
            note(ledger, &entry(told, (from, played), &wish.commit, &tally))?;
        }
        all.schedules += tally.schedules;
        all.traces.extend(tally.traces.iter().map(|hash| hash ^ u64::from(index)));
        all.hit.extend(tally.hit.iter().map(|hash| hash ^ u64::from(index)));
        all.faults += tally.faults;
    }
    println!(
        "{} schedules, {} distinct, {} with a write hit, {} faults, {}{}",
        all.schedules,
        all.traces.len(),
        all.hit.len(),
        all.faults,
        if is_clean { "clean" } else { "NOT CLEAN" },
        rate(all.schedules, before)
    );
    Ok(is_clean)
}

fn entry(told: &Story, seeds: (u64, u64), commit: &str, tally: &Tally) -> Entry {
    let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
    Entry {
        story: told.name.to_owned(),
        from: seeds.0,
        to: seeds.1,
        commit: commit.to_owned(),
        schedules: tally.schedules,
        distinct: count(tally.traces.len()),
        hit: count(tally.hit.len()),
        broken: count(tally.broken.len()),
    }
}

fn note(ledger: &Path, entry: &Entry) -> Result<(), String> {
    let fail = |error: std::io::Error| format!("{}: {error}", ledger.display());
    let is_new = !ledger.exists();
    let mut file = fs::OpenOptions::new().create(true).append(true).open(ledger).map_err(fail)?;
    if is_new {
        writeln!(file, "{HEAD}").map_err(fail)?;
    }
    writeln!(file, "{}", entry.to_line()).map_err(fail)
}

/// Shrinks a schedule that broke a rule, shows it, and keeps it where that was asked for.
fn tell(wish: &Wish, ready: &Ready, seed: u64, outcome: Outcome) -> Result<(), String> {
    let shrunk = shrink(ready, outcome);
    let outcome = shrunk.outcome;
    let Some(broken) = &outcome.broken else { return Ok(()) };
    let about = format!("seed {seed}, {} plays of shrinking; {}: {}", shrunk.plays, broken.rule, broken.what);
    let kept = Kept { about, story: ready.story.name.to_owned(), log: outcome.log.clone() };
    println!("{}", kept.to_text());
    if let Some(folder) = &wish.keep {
        fs::create_dir_all(folder).map_err(|error| error.to_string())?;
        let file = folder.join(format!("{}-{seed}-{}.choices", ready.story.name, broken.rule));
        fs::write(&file, kept.to_text()).map_err(|error| format!("{}: {error}", file.display()))?;
        println!("kept in {}", file.display());
    }
    Ok(())
}

/// Looks for each wrong turn and tells which seed found it.
fn teeth(wish: &Wish) -> Result<bool, String> {
    if !cfg!(feature = "bugs") {
        return Err("this build has no wrong turns: cargo run -p simulation --features bugs".to_owned());
    }
    let begun = Instant::now();
    let mut ready = Vec::new();
    for told in &wish.stories {
        ready.push(Ready::new(told).map_err(|error| error.to_string())?);
    }
    let mut found = 0;
    let count = u32::try_from(wish.bugs.len()).unwrap_or(1);
    for (index, bug) in (1..).zip(&wish.bugs) {
        let limit = wish.budget.map(|budget| budget * index / count);
        let is_over = || limit.is_some_and(|limit| begun.elapsed() >= limit);
        match search::bug(*bug, &ready, wish.schedules, wish.bounds(), &is_over) {
            Ok(by) => {
                found += 1;
                let seed = by.seed.map_or("without faults".to_owned(), |seed| format!("seed {seed}"));
                let what: String = by.what.lines().next().unwrap_or_default().chars().take(110).collect();
                println!("found    {:<26} {:<18} {seed}, {} schedules: {what}", bug.name(), by.story, by.schedules);
            }
            Err(count) => println!("NOT FOUND {:<25} {count} schedules ({})", bug.name(), bug.source()),
        }
    }
    println!("{found} of {} wrong turns were found", wish.bugs.len());
    Ok(found == wish.bugs.len())
}
