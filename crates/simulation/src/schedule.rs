//! One play of one story under one schedule of faults, and the verdict about it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use reconcile_core::bugs::Bug;
use reconcile_runtime::MemoryRecord;
use scenario::comparison::{differences, is_effect, told};
use scenario::setting::{Fleet, Moment, OperatorOptions, Setting};
use sim_cluster::{Cluster, Effect, Settings, run_controllers};
use sim_traffic::Traffic;

use crate::choice::{Choices, Log};
use crate::directed::Schedule;
use crate::invariant;
use crate::operator::{self, Staff};
use crate::play::{Broken, Counts, Play};
use crate::pods;
use crate::story::{NAMESPACE, Story};
use crate::swarm::Swarm;
use crate::trace::Trace;

/// When the virtual clock begins.
const START: &str = "2030-01-01T00:00:00Z";
/// The seed of uids and traffic: the world is the same in all schedules.
const WORLD_SEED: u64 = 7;
/// How long a thread's stack is: decisions recurse over documents.
const STACK_BYTES: usize = 16 << 20;
/// After the faults, the end must be there within this time: longer than any back-off, refusal, watch or deadline.
const REST_SECONDS: u64 = 1_000;
/// A fault that has begun may go on for so long: a cut network, a request on its way.
const LINGER_SECONDS: u64 = 60;
/// For so long nothing may be written once the end is there: several polls of the repository.
const STAY_SECONDS: u64 = 40;
/// Nothing is written for so long where it is not known which end has to come: longer than the longest back-off.
const QUIET_SECONDS: u64 = 80;

/// A world at the beginning of a story, and how the story ends when nothing goes wrong.
#[derive(Clone)]
pub struct Ready {
    /// The story.
    pub story: &'static Story,
    beginning: Moment,
    wanted: Arc<BTreeMap<String, String>>,
    /// The requests of the operator in a play without faults: where a fault can hit.
    places: Arc<Vec<String>>,
    bug: Option<Bug>,
}

/// What became of one schedule.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The rule that was broken, if one was.
    pub broken: Option<Broken>,
    /// The choices that were not "nothing".
    pub log: Log,
    /// What happened.
    pub trace: Trace,
    /// What was counted.
    pub counts: Counts,
    /// The faults that were on.
    pub swarm: Vec<&'static str>,
    /// How long it lasted by the clock of its world.
    pub seconds: u64,
}

/// Why a story could not be made ready.
#[derive(Debug, thiserror::Error)]
#[error("story {story}: {what}")]
pub struct ReadyError {
    story: &'static str,
    what: String,
}

impl Ready {
    /// Plays the beginning of a story and the story without faults.
    ///
    /// # Errors
    /// When it does not come to its beginning or its end.
    pub fn new(story: &'static Story) -> Result<Self, ReadyError> {
        let fail = |what: String| ReadyError { story: story.name, what };
        let beginning = on_own_thread(None, move || begin(story)).map_err(fail)?.map_err(fail)?;
        Self { story, beginning, wanted: Arc::default(), places: Arc::default(), bug: None }.with_bug(None)
    }

    /// The same beginning with a wrong turn switched on from there; it has one only in a build with the feature `bugs`.
    ///
    /// # Errors
    /// When the story without faults does not come to its end: the wrong turn was noticed.
    pub fn with_bug(&self, bug: Option<Bug>) -> Result<Self, ReadyError> {
        let fail = |what: String| ReadyError { story: self.story.name, what };
        let mut ready = Self { bug, ..self.clone() };
        // A wrong turn has to come to the end of the right way, also where nothing else goes wrong.
        let aim = if bug.is_some() { Aim::SameEnd } else { Aim::Fastest };
        let (outcome, end) = ready.play(Choices::of_log(Log::new()), Swarm::none(), aim);
        if let Some(broken) = outcome.broken {
            return Err(fail(format!("without faults {}: {}", broken.rule, broken.what)));
        }
        if bug.is_none() {
            let lines = outcome.trace.lines().iter().filter(|line| line.actor == "a" && line.what.contains(" /"));
            ready.places = Arc::new(lines.map(|line| line.what.clone()).collect());
            ready.wanted = Arc::new(end.ok_or_else(|| fail("there is no end".to_owned()))?);
        }
        Ok(ready)
    }

    /// Plays the schedule of a seed.
    pub fn seed(&self, seed: u64) -> Outcome {
        let seed = crate::choice::draw(seed, self.story.name, 0);
        self.play(Choices::of_seed(seed), Swarm::of_seed(seed), Aim::SameEnd).0
    }

    /// Plays a log.
    pub fn replay(&self, log: Log) -> Outcome {
        self.play(Choices::of_log(log), Swarm::none(), Aim::SameEnd).0
    }

    /// Plays a schedule that is made of chosen places.
    pub fn directed(&self, schedule: Schedule) -> Outcome {
        self.replay(schedule.log(&self.writes()))
    }

    /// The writes of the operator in a play without faults, with how often each was met.
    pub fn writes(&self) -> Vec<crate::choice::Place> {
        let mut met: BTreeMap<&str, u32> = BTreeMap::new();
        let mut places = Vec::new();
        for what in self.places.iter() {
            let nth = met.entry(what).or_default();
            *nth += 1;
            let is_write = !what.starts_with("GET ") && !what.contains("/events") && !what.contains("/leases");
            if is_write {
                places.push(crate::choice::Place { label: format!("a {what}"), nth: *nth });
            }
        }
        places
    }

    fn play(&self, choices: Choices, swarm: Swarm, aim: Aim) -> (Outcome, Option<BTreeMap<String, String>>) {
        let ready = self.clone();
        let names = swarm.names().to_vec();
        let kept = (choices.taken().clone(), names.clone());
        match on_own_thread(self.bug, move || play(&ready, choices, swarm, aim)) {
            Ok(done) => done,
            Err(what) => {
                let broken = Some(Broken { rule: "panic", what });
                let (trace, counts) = (Trace::default(), Counts::default());
                (Outcome { broken, log: kept.0, trace, counts, swarm: names, seconds: 0 }, None)
            }
        }
    }
}

/// What a play has to reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Aim {
    /// Rest, wherever that is.
    Fastest,
    /// The end of the play without faults, unless a fault may have changed it.
    SameEnd,
}

/// Runs something on a thread of its own: what counts up inside a thread begins anew with each schedule.
pub(crate) fn on_own_thread<T: Send + 'static>(
    bug: Option<Bug>,
    run: impl FnOnce() -> T + Send + 'static,
) -> Result<T, String> {
    let thread = std::thread::Builder::new().stack_size(STACK_BYTES).spawn(move || {
        go_wrong(bug);
        run()
    });
    let thread = thread.map_err(|error| format!("no thread: {error}"))?;
    thread.join().map_err(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a thread panicked").to_owned()
    })
}

#[cfg(feature = "bugs")]
fn go_wrong(bug: Option<Bug>) {
    reconcile_core::bugs::take(bug);
}

/// There are no wrong turns in this build.
#[cfg(not(feature = "bugs"))]
fn go_wrong(_: Option<Bug>) {}

fn in_virtual_time<T>(run: impl AsyncFnOnce() -> T) -> Result<T, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    Ok(runtime.map_err(|error| error.to_string())?.block_on(run()))
}

/// Brings a fresh world to the beginning of a story.
fn begin(story: &'static Story) -> Result<Moment, String> {
    in_virtual_time(async || {
        let start = START.parse().unwrap_or_default();
        let mut cluster = Cluster::new(Settings { seed: WORLD_SEED, start, ..Settings::default() });
        cluster.set_now(start);
        run_controllers(&mut cluster);
        let traffic = Traffic::new(WORLD_SEED);
        let setting = Setting::in_memory(cluster, Fleet::in_memory(), traffic, MemoryRecord::default());
        let operator = setting.operator_runtime(&OperatorOptions::default());
        tokio::select! {
            biased;
            begun = (story.begin)(story, &setting) => begun?,
            () = setting.turn() => return Err("the world stopped turning".to_owned()),
            () = operator.run(std::future::pending()) => return Err("the operator ended".to_owned()),
        }
        if let Some(handle) = setting.handle() {
            handle.with(Cluster::clear_requests);
        }
        Moment::of(&setting).ok_or_else(|| "this world has no copies".to_owned())
    })?
}

fn play(ready: &Ready, choices: Choices, swarm: Swarm, aim: Aim) -> (Outcome, Option<BTreeMap<String, String>>) {
    let names = swarm.names().to_vec();
    let failed = |what: String| {
        let broken = Some(Broken { rule: "world", what });
        let (trace, counts) = (Trace::default(), Counts::default());
        (Outcome { broken, log: Log::new(), trace, counts, swarm: Vec::new(), seconds: 0 }, None)
    };
    let done = in_virtual_time(async || {
        let setting = ready.beginning.begin()?;
        let play = Play::new(setting.handle()?.clone(), swarm, choices);
        invariant::watch(&play, ready.story);
        let staff = Staff::draw(&play, !ready.story.is_judged_by_visitors);
        let end = tokio::select! {
            biased;
            () = play.failed() => None,
            end = lead(ready, &play, &setting, aim) => end,
            () = setting.turn() => None,
            () = operator::work(&play, &setting, staff) => None,
            () = pods::suffer(&play, NAMESPACE) => None,
        };
        play.handle.with(|cluster| cluster.on_commit(None));
        let outcome = Outcome {
            broken: play.broken(),
            log: play.choices().taken().clone(),
            trace: play.trace(),
            counts: play.counts(),
            swarm: names,
            seconds: play.ms() / 1_000,
        };
        Some((outcome, end))
    });
    match done {
        Ok(Some(done)) => done,
        Ok(None) => failed("this world has no copies".to_owned()),
        Err(what) => failed(what),
    }
}

/// The people's part, the end of the faults, and the wait for the end.
async fn lead(ready: &Ready, play: &Arc<Play>, setting: &Setting, aim: Aim) -> Option<BTreeMap<String, String>> {
    if let Err(what) = (ready.story.people)(ready.story, setting).await {
        play.broke("L1", format!("people waited in vain: {what}"));
        return None;
    }
    tokio::time::sleep(Duration::from_secs(ready.story.seconds)).await;
    play.calm_down();
    let counts = play.counts();
    // A verdict that a fault may have changed may lead to another end.
    let other_visitors = counts.hit_pods || counts.hit_runs;
    let is_free = counts.changed_verdicts || (other_visitors && ready.story.is_judged_by_visitors);
    tokio::time::sleep(Duration::from_secs(LINGER_SECONDS)).await;
    let end = match aim {
        Aim::SameEnd if !is_free => same_end(ready, play, setting).await?,
        _ => rest(ready, play, setting).await?,
    };
    if !is_free && let Err(what) = play.handle.with(|cluster| (ready.story.goal)(cluster)) {
        play.broke("goal", what);
    }
    let before = effects(play);
    tokio::time::sleep(Duration::from_secs(STAY_SECONDS)).await;
    let after = effects(play);
    if after != before {
        play.broke("L1", format!("{} writes came after the end", after - before));
    }
    Some(end)
}

/// Waits until the end is that of the play without faults.
async fn same_end(ready: &Ready, play: &Play, setting: &Setting) -> Option<BTreeMap<String, String>> {
    let mut last = (effects(play), 0_u64);
    let mut differing = Vec::new();
    for _ in 0..REST_SECONDS {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let now = effects(play);
        last = if now == last.0 { (now, last.1 + 1) } else { (now, 0) };
        // A look costs as much as many seconds, so it is taken when nothing moves: soon, and then ever more rarely.
        if ![3, 10, 40, 100, 310, 620].contains(&last.1) {
            continue;
        }
        let found = end_of(ready, setting)?;
        differing = differences(&ready.wanted, &found);
        if differing.is_empty() {
            return Some(found);
        }
    }
    let rule = if differing.iter().all(|line| line.starts_with("Created ") || line.starts_with("Deleted ")) {
        "D2"
    } else {
        "D1"
    };
    let shown: Vec<String> = differing.iter().take(4).map(|line| line.chars().take(900).collect()).collect();
    let what = match shown.is_empty() {
        true => format!("nothing came to rest within {REST_SECONDS} s"),
        false => format!("another end than without faults:\n{}", shown.join("\n")),
    };
    play.broke(if shown.is_empty() { "L1" } else { rule }, what);
    None
}

/// Waits until the operator writes nothing any more.
async fn rest(ready: &Ready, play: &Play, setting: &Setting) -> Option<BTreeMap<String, String>> {
    let mut last = (effects(play), 0_u64);
    for _ in 0..REST_SECONDS {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let now = effects(play);
        last = if now == last.0 { (now, last.1 + 1) } else { (now, 0) };
        if last.1 >= QUIET_SECONDS {
            return end_of(ready, setting);
        }
    }
    play.broke("L1", format!("the operator still writes {REST_SECONDS} s after the faults"));
    None
}

fn end_of(ready: &Ready, setting: &Setting) -> Option<BTreeMap<String, String>> {
    let mut end = told(&Moment::of(setting)?, None)?;
    if ready.story.counts_vary {
        end.retain(|key, _| !key.starts_with("Created ") && !key.starts_with("Deleted "));
        // Which versions came in between depends on who was quick.
        end.retain(|key, _| !key.starts_with("replicasets") && !key.starts_with("analysisruns"));
    }
    Some(end)
}

/// How many writes of operators changed something so far.
fn effects(play: &Play) -> usize {
    play.handle.with(|cluster| {
        let effects =
            cluster.requests().filter(|entry| entry.effect != Effect::None && is_effect(&entry.actor, &entry.resource));
        effects.count()
    })
}
