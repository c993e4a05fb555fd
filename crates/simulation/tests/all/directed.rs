//! Every story of Argo's features under a stale cache, two leaders and wrong clocks: the same end as without.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use simulation::{Outcome, Ready, Schedule, Story, tales};

/// What a schedule must have done to prove something.
fn happened(schedule: Schedule, outcome: &Outcome) -> bool {
    match schedule {
        Schedule::StaleCache => outcome.counts.faults >= 3,
        Schedule::TwoLeaders => outcome.counts.on_writes == 1 && outcome.log.len() == 2,
        Schedule::FastClock | Schedule::SlowClock => outcome.log.len() == 1,
    }
}

fn play(story: &'static Story) -> Vec<String> {
    let ready = match Ready::new(story) {
        Ok(ready) => ready,
        Err(error) => return vec![error.to_string()],
    };
    let mut problems = Vec::new();
    for schedule in Schedule::ALL {
        let outcome = ready.directed(schedule);
        if let Some(broken) = &outcome.broken {
            problems.push(format!("{} under {schedule:?}: {}: {}", story.name, broken.rule, broken.what));
        } else if !happened(schedule, &outcome) {
            problems.push(format!("{} under {schedule:?} met nothing of it: {:?}", story.name, outcome.log));
        }
    }
    problems
}

#[test]
fn every_tale_comes_to_its_end_with_a_stale_cache_two_leaders_and_wrong_clocks() {
    let all = tales();
    let next = AtomicUsize::new(0);
    let problems = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, usize::from).min(8) {
            scope.spawn(|| {
                while let Some(story) = all.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let found = play(story);
                    problems.lock().unwrap().extend(found);
                }
            });
        }
    });
    let problems = problems.into_inner().unwrap();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    assert!(all.len() >= 20, "only {} tales", all.len());
}
