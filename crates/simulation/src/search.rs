//! Many schedules on all processors, and what came of them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use reconcile_core::bugs::Bug;

use crate::choice::{Log, Place};
use crate::fault::Fault;
use crate::model;
use crate::play::lock;
use crate::schedule::{Outcome, Ready, on_own_thread};
use crate::trace::Trace;

/// What a range of seeds of one story came to.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// Schedules played.
    pub schedules: u64,
    /// Hashes of their traces.
    pub traces: BTreeSet<u64>,
    /// Hashes of those with a fault that hit a write.
    pub hit: BTreeSet<u64>,
    /// Faults in all of them.
    pub faults: u64,
    /// Virtual seconds of all of them.
    pub seconds: u64,
    /// Requests of operators in all of them.
    pub requests: u64,
    /// Seeds that broke a rule, with the rule.
    pub broken: Vec<(u64, Outcome)>,
}

impl Tally {
    fn add(&mut self, seed: u64, outcome: Outcome) {
        self.schedules += 1;
        self.traces.insert(outcome.trace.hash());
        if outcome.counts.on_writes > 0 {
            self.hit.insert(outcome.trace.hash());
        }
        self.faults += outcome.counts.faults;
        self.seconds += outcome.seconds;
        self.requests += outcome.counts.requests;
        if outcome.broken.is_some() {
            self.broken.push((seed, outcome));
        }
    }
}

/// Until when a search goes on.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Threads that play.
    pub threads: usize,
    /// Schedules that break a rule after which it is enough.
    pub broken_max: usize,
}

/// Plays the seeds of one story until they are through, `is_over` says so, or enough is broken.
pub fn seeds(ready: &Ready, seeds: Range<u64>, bounds: Bounds, is_over: &(dyn Fn() -> bool + Sync)) -> Tally {
    each(seeds.end.saturating_sub(seeds.start), bounds, is_over, |index| {
        let seed = seeds.start + index;
        (seed, ready.seed(seed))
    })
}

/// Dies once at each write of the story, in three positions: before it, after it, and with its answer.
pub fn crashes(ready: &Ready, bounds: Bounds, is_over: &(dyn Fn() -> bool + Sync)) -> Tally {
    const POSITIONS: [Fault; 3] = [Fault::CrashBefore, Fault::CrashAfterCommit, Fault::CrashAfterResponse];
    let logs: Vec<Log> = ready
        .writes()
        .into_iter()
        .flat_map(|place: Place| POSITIONS.map(|fault| Log::from([(place.clone(), fault.number(0))])))
        .collect();
    each(u64::try_from(logs.len()).unwrap_or(0), bounds, is_over, |index| {
        let log = usize::try_from(index).ok().and_then(|index| logs.get(index)).cloned().unwrap_or_default();
        (index, ready.replay(log))
    })
}

/// Plays each seed twice; returns those of them that have two traces, with the first line in which they differ.
pub fn twice(ready: &Ready, seeds: Range<u64>, threads: usize) -> BTreeMap<u64, String> {
    let next = AtomicU64::new(seeds.start);
    let differing = Mutex::new(BTreeMap::new());
    std::thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        return;
                    }
                    let (first, second) = (ready.seed(seed).trace, ready.seed(seed).trace);
                    if first.hash() != second.hash() {
                        lock(&differing).insert(seed, first_difference(&first, &second));
                    }
                }
            });
        }
    });
    differing.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// The first line in which two traces differ, with what both had before it.
fn first_difference(first: &Trace, second: &Trace) -> String {
    const BEFORE: usize = 6;
    let (one, other) = (first.lines(), second.lines());
    let same = one.iter().zip(other).take_while(|(one, other)| one == other).count();
    let mut text = String::new();
    for line in one.iter().take(same).skip(same.saturating_sub(BEFORE)) {
        let _ = writeln!(text, "  {line}");
    }
    for (sign, lines) in [('-', one), ('+', other)] {
        for line in lines.iter().skip(same).take(2) {
            let _ = writeln!(text, "{sign} {line}");
        }
    }
    text
}

fn each(
    count: u64,
    bounds: Bounds,
    is_over: &(dyn Fn() -> bool + Sync),
    play: impl Fn(u64) -> (u64, Outcome) + Sync,
) -> Tally {
    let next = AtomicU64::new(0);
    let is_enough = AtomicBool::new(false);
    let tally = Mutex::new(Tally::default());
    std::thread::scope(|scope| {
        for _ in 0..bounds.threads.max(1) {
            scope.spawn(|| {
                while !is_enough.load(Ordering::Relaxed) && !is_over() {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    if index >= count {
                        return;
                    }
                    let (seed, outcome) = play(index);
                    let mut tally = lock(&tally);
                    tally.add(seed, outcome);
                    if tally.broken.len() >= bounds.broken_max {
                        is_enough.store(true, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    tally.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// How a wrong turn was noticed.
#[derive(Debug, Clone)]
pub struct Found {
    /// The story.
    pub story: &'static str,
    /// The seed; none when it was noticed without faults.
    pub seed: Option<u64>,
    /// The rule, and what broke it.
    pub what: String,
    /// How many schedules it took.
    pub schedules: u64,
}

/// Looks for a wrong turn in all stories, seed by seed, `schedules_max` of them at most.
pub fn bug(
    bug: Bug,
    all: &[Ready],
    schedules_max: u64,
    bounds: Bounds,
    is_over: &(dyn Fn() -> bool + Sync),
) -> Result<Found, u64> {
    if let Some(found) = in_the_model(bug, is_over) {
        return Ok(found);
    }
    let mut schedules = MODEL_MAX;
    let mut wrong = Vec::new();
    for ready in all {
        schedules += 1;
        match ready.with_bug(Some(bug)) {
            Ok(ready) => wrong.push(ready),
            Err(error) => {
                let what = error.to_string();
                return Ok(Found { story: ready.story.name, seed: None, what, schedules });
            }
        }
    }
    let bounds = Bounds { broken_max: 1, ..bounds };
    const AT_ONCE: u64 = 8;
    let mut from = 0;
    while schedules < schedules_max && !is_over() {
        for ready in &wrong {
            let mut tally = seeds(ready, from..from + AT_ONCE, bounds, is_over);
            schedules += tally.schedules;
            if let Some((seed, outcome)) = tally.broken.pop() {
                let broken = outcome.broken.map(|broken| format!("{}: {}", broken.rule, broken.what));
                let what = broken.unwrap_or_default();
                return Ok(Found { story: ready.story.name, seed: Some(seed), what, schedules });
            }
        }
        from += AT_ONCE;
    }
    Err(schedules)
}

/// Schedules of the pure model in which a wrong turn is looked for first: they cost next to nothing.
const MODEL_MAX: u64 = 600;

/// Looks for a wrong turn of the rollout engine in the pure model.
fn in_the_model(bug: Bug, is_over: &(dyn Fn() -> bool + Sync)) -> Option<Found> {
    let found =
        |seed: u64, what: String| Found { story: "the pure model", seed: Some(seed), what, schedules: seed + 1 };
    for seed in (0..MODEL_MAX).take_while(|_| !is_over()) {
        match on_own_thread(Some(bug), move || model::play(seed)) {
            Ok(Ok(_)) => {}
            Ok(Err(what)) | Err(what) => return Some(found(seed, what)),
        }
    }
    None
}

/// The processor time of this process so far, where the system tells it.
pub fn processor_time() -> Option<Duration> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let fields: Vec<&str> = stat.rsplit(')').next()?.split_whitespace().collect();
    let ticks: u64 = fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
    // The kernel counts in hundredths of a second for everybody who asks here.
    Some(Duration::from_millis(ticks * 10))
}
