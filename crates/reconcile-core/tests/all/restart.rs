//! New pods of the same version.

use std::time::Duration;

use reconcile_core::kinds;
use reconcile_core::rollout::RolloutDomain;
use serde_json::{Value, json};

use crate::play::Play;
use crate::rollout::{phase, rollout, set_image};

/// A Rollout of four pods, at rest with v1 for ten seconds.
fn resting(canary: Value) -> Play<RolloutDomain> {
    let mut play = Play::new(RolloutDomain::default(), "qa", "web");
    play.has_pods = true;
    let mut object = rollout(canary);
    object["spec"]["replicas"] = json!(4);
    play.put(&kinds::rollout(), object);
    play.settle();
    play.pass(Duration::from_secs(10));
    play.take_log();
    play
}

fn restart_at(play: &mut Play<RolloutDomain>, seconds: i64) {
    let at = play.view.now.checked_add(jiff::SignedDuration::from_secs(seconds)).unwrap();
    let at = object_model::format_time(at);
    play.change(&kinds::rollout(), "web", |rollout| rollout.set_at(&["spec", "restartAt"], json!(at)));
}

fn restarted_at(play: &Play<RolloutDomain>) -> Option<String> {
    play.get(&kinds::rollout(), "web").str_at("/status/restartedAt").map(str::to_owned)
}

fn evictions(log: &str) -> usize {
    log.lines().filter(|line| line.starts_with("evict ")).count()
}

#[test]
fn as_many_pods_at_once_go_as_may_be_unavailable_and_at_least_one() {
    for (unavailable, at_once) in
        [(json!(0), 1), (json!(1), 1), (json!("50%"), 2), (json!("75%"), 3), (json!("100%"), 4)]
    {
        let mut play = resting(json!({"maxUnavailable": unavailable, "maxSurge": 1}));
        restart_at(&mut play, 0);
        let plan = play.step();
        let evicted = plan.acts().filter(|act| act.destructive).count();
        assert_eq!(evicted, at_once, "maxUnavailable {unavailable}");
        assert_eq!(restarted_at(&play), None);
        play.controllers();
        play.settle();
        assert_eq!(evictions(&play.take_log()), 4, "maxUnavailable {unavailable}");
        assert_eq!(restarted_at(&play).as_deref(), Some("2026-01-01T00:00:10Z"));
        assert_eq!(phase(&play), "Healthy  step -1");
    }
}

#[test]
fn a_restart_in_the_future_waits_for_its_time() {
    let mut play = resting(json!({}));
    restart_at(&mut play, 60);
    let plan = play.settle();
    assert_eq!((phase(&play).as_str(), evictions(&play.take_log())), ("Progressing rollout is restarting step -1", 0));
    assert_eq!(plan.wake, reconcile_core::Wake::At("2026-01-01T00:01:10Z".parse().unwrap()));
    play.pass(Duration::from_secs(60));
    play.settle();
    assert_eq!(evictions(&play.take_log()), 4);
}

#[test]
fn pods_that_came_after_the_moment_stay_and_stable_goes_first() {
    let mut play = resting(json!({"steps": [{"setWeight": 50}, {"pause": {}}], "maxUnavailable": 1}));
    set_image(&mut play, "web:v2");
    play.settle();
    play.pass(Duration::from_secs(10));
    play.take_log();
    restart_at(&mut play, 0);
    play.settle();
    let log = play.take_log();
    let stable = play.get(&kinds::rollout(), "web").str_at("/status/stableRS").unwrap().to_owned();
    let order: Vec<bool> =
        log.lines().filter(|line| line.starts_with("evict ")).map(|line| line.contains(&stable)).collect();
    assert_eq!(order, [true, true, false, false], "{log}");
    assert_eq!(phase(&play), "Paused CanaryPauseStep step 1");
    play.take_log();
    play.settle();
    assert_eq!(play.take_log(), "");
}

#[test]
fn a_budget_that_keeps_a_pod_is_asked_again_later() {
    let mut play = resting(json!({"maxUnavailable": "100%"}));
    play.is_protected = true;
    restart_at(&mut play, 0);
    let plan = play.settle();
    assert_eq!(play.take_log().lines().filter(|line| line.starts_with("refused")).count(), 4);
    assert_eq!(
        (plan.wake, restarted_at(&play)),
        (reconcile_core::Wake::At("2026-01-01T00:00:40Z".parse().unwrap()), None)
    );
    play.is_protected = false;
    play.pass(Duration::from_secs(30));
    play.settle();
    assert_eq!(evictions(&play.take_log()), 4);
    assert!(restarted_at(&play).is_some());
}

#[test]
fn no_pod_goes_while_too_few_are_available() {
    let mut play = resting(json!({"maxUnavailable": 1}));
    for pod in play.pods().into_iter().take(1) {
        play.change(&kinds::pod(), pod.name(), |pod| {
            pod.set_at(&["status", "conditions"], json!([{"type": "Ready", "status": "False"}]));
        });
    }
    restart_at(&mut play, 0);
    play.settle();
    assert_eq!((evictions(&play.take_log()), restarted_at(&play)), (0, None));
}
