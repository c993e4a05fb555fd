//! One seed is one trace, in any thread and at any time, and a few schedules of each story are clean.

use simulation::fault::Fault;
use simulation::search::{Bounds, crashes, seeds, twice};
use simulation::{Ready, stories, story};

fn ready(name: &str) -> Ready {
    Ready::new(story(name).unwrap()).unwrap()
}

fn threads() -> usize {
    std::thread::available_parallelism().map_or(2, usize::from).min(8)
}

/// The seeds of a range that have two traces, with where they part.
fn two_traces(name: &str, seeds: std::ops::Range<u64>) -> Vec<String> {
    let differing = twice(&ready(name), seeds, threads());
    differing.into_iter().map(|(seed, difference)| format!("{name}, seed {seed}:\n{difference}")).collect()
}

#[test]
fn twenty_seeds_played_twice_give_the_same_traces() {
    let differing = two_traces("canary-of-pods", 0..20);
    assert!(differing.is_empty(), "{}", differing.join("\n"));
}

#[test]
fn a_seed_of_every_story_played_twice_gives_the_same_trace() {
    let differing: Vec<String> = stories().iter().flat_map(|story| two_traces(story.name, 200..201)).collect();
    assert!(differing.is_empty(), "{}", differing.join("\n"));
}

#[test]
#[ignore = "slow: two minutes of a processor; `cargo xtask simulate --twice --seeds 0..200` does the same for every story"]
fn two_hundred_seeds_played_twice_give_the_same_traces() {
    let differing = two_traces("canary-of-pods", 0..200);
    assert!(differing.is_empty(), "{}", differing.join("\n"));
}

#[test]
fn seeds_differ_in_their_traces() {
    let tally =
        seeds(&ready("canary-of-pods"), 0..12, Bounds { threads: threads(), broken_max: usize::MAX }, &|| false);
    assert!(tally.traces.len() > 8, "only {} different traces of {}", tally.traces.len(), tally.schedules);
}

#[test]
fn a_log_is_the_whole_schedule() {
    let ready = ready("canary-of-pods");
    for seed in 0..5 {
        let drawn = ready.seed(seed);
        let again = ready.replay(drawn.log.clone());
        assert_eq!(again.trace.hash(), drawn.trace.hash(), "seed {seed}");
        assert_eq!(again.log, drawn.log);
    }
}

#[test]
fn some_seeds_of_every_story_are_clean() {
    let bounds = Bounds { threads: threads(), broken_max: 1 };
    let mut broken = Vec::new();
    // What is known to break a rule stands in open/; these seeds are clean.
    for story in stories() {
        let ready = Ready::new(story).unwrap();
        for (seed, outcome) in seeds(&ready, 0..2, bounds, &|| false).broken {
            let rule = outcome.broken.unwrap();
            broken.push(format!("{} seed {seed}: {}: {}", story.name, rule.rule, rule.what));
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn a_crash_at_any_write_of_a_canary_of_pods_reaches_the_same_end() {
    let ready = ready("canary-of-pods");
    let tally = crashes(&ready, Bounds { threads: threads(), broken_max: 3 }, &|| false);
    let told: Vec<String> = tally
        .broken
        .iter()
        .map(|(_, outcome)| format!("{:?}\n{:?}", outcome.log, outcome.broken.as_ref().unwrap()))
        .collect();
    assert!(told.is_empty(), "{}", told.join("\n"));
    assert!(tally.schedules >= 60, "only {} places", tally.schedules);
    assert!(ready.writes().len() * 3 == usize::try_from(tally.schedules).unwrap());
    assert_ne!(Fault::CrashBefore.number(0), 0);
}
