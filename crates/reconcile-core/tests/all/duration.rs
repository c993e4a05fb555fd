//! How long an update takes, as Argo Rollouts' own tests of `status.duration` want it.

use std::time::Duration;

use reconcile_core::kinds;
use reconcile_core::rollout::RolloutDomain;
use serde_json::{Value, json};

use crate::play::Play;
use crate::rollout::{rollout, service};

const WAITING: [&str; 2] = [r#"{"setWeight": 50}"#, r#"{"pause": {}}"#];

fn canary(steps: &[&str]) -> Play<RolloutDomain> {
    let steps: Vec<Value> = steps.iter().map(|step| serde_json::from_str(step).unwrap()).collect();
    begin(json!({"canary": {"steps": steps}}))
}

fn blue_green(change: &Value) -> Play<RolloutDomain> {
    let mut strategy = json!({"activeService": "web-active", "previewService": "web-preview"});
    for (key, value) in change.as_object().unwrap() {
        strategy[key] = value.clone();
    }
    begin(json!({"blueGreen": strategy}))
}

fn begin(strategy: Value) -> Play<RolloutDomain> {
    let mut play = Play::new(RolloutDomain::default(), "qa", "web");
    for name in ["web-active", "web-preview"] {
        play.put(&kinds::service(), service(name));
    }
    let mut object = rollout(json!({}));
    object["spec"]["replicas"] = json!(1);
    object["spec"]["revisionHistoryLimit"] = json!(5);
    object["spec"]["strategy"] = strategy;
    play.put(&kinds::rollout(), object);
    settle(&mut play);
    play
}

/// Lets things happen, a second at least.
fn settle(play: &mut Play<RolloutDomain>) {
    play.settle();
    play.pass(Duration::from_secs(1));
    play.settle();
}

fn set(play: &mut Play<RolloutDomain>, path: &[&str], value: Value) {
    play.change(&kinds::rollout(), "web", |rollout| rollout.set_at(path, value.clone()));
    settle(play);
}

fn version(play: &mut Play<RolloutDomain>, version: u32) {
    let containers = json!([{"name": "web", "image": format!("web:v{version}")}]);
    set(play, &["spec", "template", "spec", "containers"], containers);
}

fn promote(play: &mut Play<RolloutDomain>) {
    set(play, &["status", "pauseConditions"], Value::Null);
}

/// Phase, completion status, seconds of manual pauses; `+` while one goes on, `...` while the update does.
fn told(play: &Play<RolloutDomain>) -> String {
    let rollout = play.get(&kinds::rollout(), "web");
    let duration = rollout.pointer("/status/duration").cloned().unwrap_or_default();
    let text = |key: &str| duration[key].as_str().unwrap_or("").to_owned();
    let pause = duration["totalManualPauseDurationSeconds"].as_i64().map_or("-".to_owned(), |s| format!("{s}s"));
    let plus = if text("manualPauseStartedAt").is_empty() { "" } else { "+" };
    let end = if text("finishedAt").is_empty() { "..." } else { "" };
    assert!(!text("rolloutStartedAt").is_empty());
    format!("{} {}{end} {pause}{plus}", rollout.str_at("/status/phase").unwrap(), text("completionStatus"))
}

fn started(play: &Play<RolloutDomain>) -> String {
    play.get(&kinds::rollout(), "web").str_at("/status/duration/rolloutStartedAt").unwrap().to_owned()
}

#[test]
fn a_first_version_is_promoted_and_scaling_begins_nothing() {
    for mut play in
        [canary(&[WAITING[0], r#"{"pause": {"duration": "1s"}}"#]), blue_green(&json!({"autoPromotionSeconds": 2}))]
    {
        assert_eq!(told(&play), "Healthy Promoted -");
        let begun = started(&play);
        set(&mut play, &["spec", "replicas"], json!(2));
        assert_eq!((told(&play).as_str(), started(&play)), ("Healthy Promoted -", begun));
    }
}

#[test]
fn a_pause_of_the_spec_counts_as_waiting_for_a_person() {
    for mut play in
        [canary(&[WAITING[0], r#"{"pause": {"duration": "1s"}}"#]), blue_green(&json!({"autoPromotionSeconds": 1}))]
    {
        set(&mut play, &["spec", "paused"], json!(true));
        version(&mut play, 2);
        assert_eq!(told(&play), "Paused ... -+");
        play.pass(Duration::from_secs(2));
        set(&mut play, &["spec", "paused"], json!(false));
        settle(&mut play);
        settle(&mut play);
        assert_eq!(told(&play), "Healthy Promoted 3s");
    }
}

#[test]
fn a_pause_that_ends_by_itself_does_not_count_and_one_for_a_person_does() {
    let mut play = canary(&[WAITING[0], r#"{"pause": {"duration": "1s"}}"#]);
    version(&mut play, 2);
    settle(&mut play);
    assert_eq!(told(&play), "Healthy Promoted -");
    let mut play = canary(&WAITING);
    version(&mut play, 2);
    assert_eq!(told(&play), "Paused ... -+");
    play.pass(Duration::from_secs(2));
    promote(&mut play);
    assert_eq!(told(&play), "Healthy Promoted 3s");
    let mut play = blue_green(&json!({"autoPromotionSeconds": 2}));
    version(&mut play, 2);
    play.pass(Duration::from_secs(2));
    settle(&mut play);
    assert_eq!(told(&play), "Healthy Promoted -");
    let mut play = blue_green(&json!({"autoPromotionEnabled": false}));
    version(&mut play, 2);
    assert_eq!(told(&play), "Paused ... -+");
    promote(&mut play);
    assert_eq!(told(&play), "Healthy Promoted 1s");
}

fn waiting() -> [Play<RolloutDomain>; 2] {
    [canary(&WAITING), blue_green(&json!({"autoPromotionEnabled": false}))]
}

#[test]
fn what_became_of_an_update_is_told() {
    for mut play in waiting() {
        version(&mut play, 2);
        set(&mut play, &["status", "promoteFull"], json!(true));
        assert_eq!(told(&play), "Healthy FastPromoted 1s");
    }
    for mut play in waiting() {
        version(&mut play, 2);
        let begun = started(&play);
        set(&mut play, &["status", "abort"], json!(true));
        assert_eq!(told(&play), "Degraded Aborted 1s");
        set(&mut play, &["status", "abort"], json!(false));
        assert_eq!(told(&play), "Paused ... -+", "a retry begins anew");
        assert_ne!(started(&play), begun);
    }
}

#[test]
fn another_version_in_the_middle_begins_anew_and_the_way_back_goes_on() {
    for mut play in waiting() {
        version(&mut play, 2);
        let begun = started(&play);
        version(&mut play, 3);
        assert_eq!(told(&play), "Paused ... -+");
        assert_ne!(started(&play), begun);
        promote(&mut play);
        assert_eq!(told(&play), "Healthy Promoted 1s");
    }
    for mut play in waiting() {
        version(&mut play, 2);
        let begun = started(&play);
        version(&mut play, 1);
        assert_eq!((told(&play).as_str(), started(&play)), ("Healthy FastRolledBack 1s", begun));
    }
}

#[test]
fn a_rollback_is_fast_within_its_window_and_plain_outside() {
    let strategies = [
        json!({"canary": {"steps": [{"setWeight": 50}, {"pause": {}}]}}),
        json!({"blueGreen": {
            "activeService": "web-active", "previewService": "web-preview", "autoPromotionEnabled": false, "scaleDownDelaySeconds": 0,
        }}),
    ];
    for strategy in strategies {
        let mut play = begin(strategy.clone());
        set(&mut play, &["spec", "rollbackWindow"], json!({"revisions": 1}));
        for next in [2, 3] {
            version(&mut play, next);
            promote(&mut play);
        }
        version(&mut play, 4);
        version(&mut play, 1);
        assert!(told(&play).starts_with("Paused RolledBack..."), "{}", told(&play));
        promote(&mut play);
        assert!(told(&play).starts_with("Healthy RolledBack "), "{}", told(&play));
        let mut play = begin(strategy);
        set(&mut play, &["spec", "rollbackWindow"], json!({"revisions": 1}));
        version(&mut play, 2);
        promote(&mut play);
        version(&mut play, 3);
        version(&mut play, 1);
        assert!(told(&play).starts_with("Healthy FastRolledBack "), "{}", told(&play));
    }
}

#[test]
fn a_version_that_still_has_its_pods_is_rolled_back_to_fast() {
    let mut play = blue_green(&json!({"autoPromotionEnabled": false, "scaleDownDelaySeconds": 30}));
    version(&mut play, 2);
    promote(&mut play);
    version(&mut play, 3);
    version(&mut play, 1);
    assert!(told(&play).starts_with("Healthy FastRolledBack "), "{}", told(&play));
}

#[test]
fn a_cluster_whose_definition_drops_the_field_gets_no_writes_for_it() {
    let mut play = canary(&WAITING);
    version(&mut play, 2);
    play.change(&kinds::rollout(), "web", |rollout| rollout.set_at(&["status", "duration"], Value::Null));
    play.settle();
    let rollout = play.get(&kinds::rollout(), "web");
    assert_eq!(rollout.pointer("/status/duration").filter(|value| !value.is_null()), None);
}
