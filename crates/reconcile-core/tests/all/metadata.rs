//! Labels and annotations that tell which part a pod plays.

use reconcile_core::rollout::RolloutDomain;
use reconcile_core::{View, kinds};
use serde_json::{Value, json};

use crate::play::Play;
use crate::rollout::{phase, rollout, service, set_image};

fn canary(change: Value) -> Play<RolloutDomain> {
    let mut strategy = json!({
        "canaryMetadata": {"labels": {"role": "canary"}, "annotations": {"note": "tried"}},
        "stableMetadata": {"labels": {"role": "stable"}},
        "steps": [{"setWeight": 50}, {"pause": {}}],
    });
    for (key, value) in change.as_object().unwrap() {
        strategy[key] = value.clone();
    }
    let mut play = Play::new(RolloutDomain::default(), "qa", "web");
    play.has_pods = true;
    let mut object = rollout(strategy);
    object["spec"]["replicas"] = json!(2);
    play.put(&kinds::rollout(), object);
    play.settle();
    play
}

/// What each pod carries, by its image's version: labels besides those of the template, and annotations.
fn carried(play: &Play<RolloutDomain>) -> Vec<String> {
    let mut lines: Vec<String> = play
        .pods()
        .iter()
        .map(|pod| {
            let set = play.get(&kinds::replica_set(), &pod.controller().unwrap().name);
            let image = set.list_at("/spec/template/spec/containers")[0]["image"].as_str().unwrap().to_owned();
            let labels =
                pod.labels().into_iter().filter(|(key, _)| !matches!(*key, "app" | "rollouts-pod-template-hash"));
            let all: Vec<String> =
                labels.chain(pod.annotations()).map(|(key, value)| format!("{key}={value}")).collect();
            format!("{image} {}", all.join(","))
        })
        .collect();
    lines.sort();
    lines.dedup();
    lines
}

fn births(play: &Play<RolloutDomain>) -> Vec<String> {
    play.pods().iter().map(|pod| pod.uid().unwrap().to_string()).collect()
}

fn set_status(play: &mut Play<RolloutDomain>, field: &str, value: Value) {
    play.change(&kinds::rollout(), "web", |rollout| rollout.set_at(&["status", field], value.clone()));
    play.settle();
}

#[test]
fn pods_tell_the_part_of_their_version_and_no_pod_is_restarted_when_it_changes() {
    let mut play = canary(json!({}));
    assert_eq!(carried(&play), ["web:v1 role=stable"]);
    set_image(&mut play, "web:v2");
    play.settle();
    assert_eq!(carried(&play), ["web:v1 role=stable", "web:v2 role=canary,note=tried"]);
    let before = births(&play);
    set_status(&mut play, "pauseConditions", Value::Null);
    assert_eq!((phase(&play).as_str(), carried(&play)), ("Healthy  step 2", vec!["web:v2 role=stable".to_owned()]));
    assert!(births(&play).iter().any(|uid| before.contains(uid)), "the canary's pod serves on");
    let sets = play.view.list(&kinds::replica_set(), "qa");
    let memory: Vec<_> =
        sets.iter().filter_map(|set| set.annotation("rollout.argoproj.io/ephemeral-metadata")).collect();
    assert_eq!(memory, [r#"{"labels":{"role":"stable"}}"#]);
    assert!(sets.iter().all(|set| set.annotation("sluice.dev/retired-metadata").is_none()));
}

#[test]
fn other_metadata_in_the_middle_takes_the_place_of_what_was_there() {
    let mut play = canary(json!({}));
    set_image(&mut play, "web:v2");
    play.settle();
    let before = births(&play);
    play.change(&kinds::rollout(), "web", |rollout| {
        rollout.set_at(&["spec", "strategy", "canary", "canaryMetadata"], json!({"labels": {"role2": "canary2"}}));
        rollout.set_at(&["spec", "strategy", "canary", "stableMetadata"], json!({"labels": {"role2": "stable2"}}));
    });
    play.settle();
    assert_eq!(carried(&play), ["web:v1 role2=stable2", "web:v2 role2=canary2"]);
    assert_eq!(births(&play), before);
    play.change(&kinds::rollout(), "web", |rollout| {
        rollout.set_at(&["spec", "strategy", "canary", "canaryMetadata"], Value::Null);
        rollout.set_at(&["spec", "strategy", "canary", "stableMetadata"], Value::Null);
    });
    play.settle();
    assert_eq!(carried(&play), ["web:v1 ", "web:v2 "]);
    let sets = play.view.list(&kinds::replica_set(), "qa");
    assert!(sets.iter().all(|set| !set.annotations().keys().any(|key| key.ends_with("-metadata"))), "{sets:?}");
}

#[test]
fn a_crash_between_template_and_pods_leaves_nothing_behind() {
    let mut play = canary(json!({}));
    set_image(&mut play, "web:v2");
    play.settle();
    play.change(&kinds::rollout(), "web", |rollout| {
        rollout.set_at(&["spec", "strategy", "canary", "canaryMetadata"], json!({"labels": {"role2": "canary2"}}));
    });
    // Only what comes before the pods is carried out.
    let mut plan = play.plan();
    plan.stages.truncate(1);
    plan.status = None;
    play.act(&plan);
    play.settle();
    assert_eq!(carried(&play), ["web:v1 role=stable", "web:v2 role2=canary2"]);
}

#[test]
fn an_abort_leaves_each_version_its_part() {
    let mut play = canary(json!({}));
    set_image(&mut play, "web:v2");
    play.settle();
    set_status(&mut play, "abort", json!(true));
    assert_eq!(carried(&play), ["web:v1 role=stable"]);
    set_image(&mut play, "web:v1");
    play.settle();
    assert_eq!((phase(&play).as_str(), carried(&play)), ("Healthy  step 2", vec!["web:v1 role=stable".to_owned()]));
}

#[test]
fn a_label_that_the_template_has_by_itself_stays_another_version_and_one_by_which_pods_are_known_is_left_alone() {
    let mut play = canary(json!({"stableMetadata": {"labels": {"app": "other", "role": "stable"}}}));
    play.settle();
    assert_eq!(carried(&play), ["web:v1 role=stable"]);
    assert!(play.pods().iter().all(|pod| pod.label("app") == Some("web")));
    assert!(play.plan().report.problems.iter().any(|problem| problem.contains("app")));
    play.change(&kinds::rollout(), "web", |rollout| {
        rollout.set_at(&["spec", "template", "metadata", "labels"], json!({"app": "web", "role": "own"}));
    });
    play.settle();
    assert_eq!(play.view.list(&kinds::replica_set(), "qa").len(), 2);
    set_status(&mut play, "promoteFull", json!(true));
    let sets = play.view.list(&kinds::replica_set(), "qa").len();
    play.settle();
    assert_eq!((phase(&play).as_str(), sets), ("Healthy  step 2", 2));
}

#[test]
fn a_preview_becomes_active_with_its_pods() {
    let mut play = Play::new(RolloutDomain::default(), "qa", "web");
    play.has_pods = true;
    for name in ["web-active", "web-preview"] {
        play.put(&kinds::service(), service(name));
    }
    let mut object = rollout(json!({}));
    object["spec"]["strategy"] = json!({"blueGreen": {
        "activeService": "web-active", "previewService": "web-preview", "autoPromotionEnabled": false,
        "previewMetadata": {"labels": {"role": "preview"}}, "activeMetadata": {"labels": {"role": "active"}},
    }});
    play.put(&kinds::rollout(), object);
    play.settle();
    set_image(&mut play, "web:v2");
    play.settle();
    assert_eq!(carried(&play), ["web:v1 role=active", "web:v2 role=preview"]);
    let before = births(&play);
    set_status(&mut play, "pauseConditions", Value::Null);
    assert_eq!(carried(&play), ["web:v1 ", "web:v2 role=active"]);
    assert_eq!(births(&play), before);
}
