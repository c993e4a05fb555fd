//! The experiment step of a canary: what it makes, what its end means, and its share of the traffic.

use std::time::Duration;

use object_model::Object;
use reconcile_core::rollout::RolloutDomain;
use reconcile_core::{View, kinds};
use serde_json::{Value, json};

use crate::play::Play;
use crate::rollout::{phase, routed_with, set_image};

fn step(change: Value) -> Play<RolloutDomain> {
    let mut experiment = json!({"templates": [
        {"name": "baseline", "specRef": "stable", "metadata": {"labels": {"role": "baseline"}}},
        {"name": "canary", "specRef": "canary", "replicas": 2, "weight": 30},
    ]});
    for (key, value) in change.as_object().unwrap() {
        experiment[key] = value.clone();
    }
    let mut play = routed_with(json!({"steps": [{"setWeight": 10}, {"experiment": experiment}, {"pause": {}}]}));
    set_image(&mut play, "web:v2");
    play.settle();
    play
}

fn experiments(play: &Play<RolloutDomain>) -> Vec<std::sync::Arc<Object>> {
    play.view.list(&kinds::experiment(), "qa")
}

/// The experiment's own controller, in as many words as a Rollout listens to.
fn say(play: &mut Play<RolloutDomain>, name: &str, phase: &str) {
    play.change(&kinds::experiment(), name, |experiment| {
        experiment.set_at(&["status"], json!({"phase": phase, "message": "as measured", "templateStatuses": [
            {"name": "baseline", "availableReplicas": 1, "status": "Running"},
            {"name": "canary", "availableReplicas": 2, "status": "Running", "serviceName": "e-canary", "podTemplateHash": "e1"},
        ]}));
    });
    play.settle();
}

fn weights(play: &Play<RolloutDomain>) -> Vec<(String, i64)> {
    let route = play.get(&kinds::virtual_service(), "web");
    let route = route.list_at("/spec/http/0/route").to_vec();
    route
        .iter()
        .map(|item| (item["destination"]["host"].as_str().unwrap().to_owned(), item["weight"].as_i64().unwrap_or(0)))
        .collect()
}

fn status(play: &Play<RolloutDomain>, pointer: &str) -> Value {
    play.get(&kinds::rollout(), "web").pointer(&format!("/status/canary/{pointer}")).cloned().unwrap_or_default()
}

#[test]
fn it_runs_the_pods_of_both_versions_under_argos_name() {
    let mut play = step(json!({
        "duration": "5m", "scaleDownDelaySeconds": 7,
        "analyses": [{"name": "x", "templateName": "rate", "requiredForCompletion": true, "args": [
            {"name": "new", "valueFrom": {"podTemplateHashValue": "Latest"}},
            {"name": "old", "valueFrom": {"podTemplateHashValue": "Stable"}},
            {"name": "own", "value": "{{templates.canary.podTemplateHash}}"}]}],
    }));
    play.settle();
    assert_eq!(phase(&play), "Progressing more replicas need to be updated step 1");
    let all = experiments(&play);
    let rollout = play.get(&kinds::rollout(), "web");
    let (new, old) = (rollout.str_at("/status/currentPodHash").unwrap(), rollout.str_at("/status/stableRS").unwrap());
    let experiment = &all[0];
    assert_eq!((all.len(), experiment.name()), (1, format!("web-{new}-2-1").as_str()));
    assert_eq!(status(&play, "currentExperiment"), experiment.name());
    assert_eq!(experiment.label("rollouts-pod-template-hash"), Some(new));
    assert_eq!(experiment.annotation("rollout.argoproj.io/revision"), Some("2"));
    assert_eq!(experiment.controller().unwrap().kind, "Rollout");
    let templates = experiment.list_at("/spec/templates");
    assert_eq!(templates[0]["template"]["spec"]["containers"][0]["image"], "web:v1");
    assert_eq!(templates[0]["template"]["metadata"]["labels"]["role"], "baseline");
    assert_eq!(templates[0]["selector"]["matchLabels"]["role"], "baseline");
    assert_eq!(templates[0].get("service"), None);
    assert_eq!(templates[1]["template"]["spec"]["containers"][0]["image"], "web:v2");
    assert_eq!((&templates[1]["replicas"], &templates[1]["service"]), (&json!(2), &json!({})));
    let values: Vec<_> = experiment.list_at("/spec/analyses/0/args").iter().map(|arg| arg["value"].clone()).collect();
    assert_eq!(values, [json!(new), json!(old), json!("{{templates.canary.podTemplateHash}}")]);
    assert_eq!(experiment.int_at("/spec/scaleDownDelaySeconds"), Some(7));
    assert_eq!(experiment.str_at("/spec/duration"), Some("5m"));
}

#[test]
fn its_share_comes_with_its_pods_and_goes_before_them() {
    let mut play = step(json!({}));
    let name = experiments(&play)[0].name().to_owned();
    say(&mut play, &name, "Pending");
    assert_eq!(weights(&play), [("web-stable".to_owned(), 90), ("web-canary".to_owned(), 10)]);
    say(&mut play, &name, "Running");
    let with_experiment = [("web-stable".to_owned(), 60), ("web-canary".to_owned(), 10), ("e-canary".to_owned(), 30)];
    assert_eq!(weights(&play), with_experiment);
    assert_eq!(
        status(&play, "weights/additional"),
        json!([{"weight": 30, "serviceName": "e-canary", "podTemplateHash": "e1"}])
    );
    assert_eq!(status(&play, "weights/stable/weight"), 60);
    say(&mut play, &name, "Successful");
    assert_eq!(weights(&play), [("web-stable".to_owned(), 90), ("web-canary".to_owned(), 10)]);
    assert_eq!(status(&play, "weights/additional"), Value::Null);
    assert_eq!(status(&play, "currentExperiment"), Value::Null);
    assert_eq!(phase(&play), "Paused CanaryPauseStep step 2");
}

#[test]
fn an_abort_takes_the_share_and_the_experiment_away() {
    let mut play = step(json!({}));
    let name = experiments(&play)[0].name().to_owned();
    say(&mut play, &name, "Running");
    play.change(&kinds::rollout(), "web", |rollout| rollout.set_at(&["status", "abort"], true.into()));
    play.settle();
    assert_eq!(weights(&play), [("web-stable".to_owned(), 100), ("web-canary".to_owned(), 0)]);
    assert_eq!(play.get(&kinds::experiment(), &name).bool_at("/spec/terminate"), Some(true));
    // The next try has an experiment of its own.
    play.change(&kinds::rollout(), "web", |rollout| rollout.set_at(&["status", "abort"], false.into()));
    play.settle();
    assert_eq!(status(&play, "currentExperiment"), format!("{name}-1"));
}

#[test]
fn its_end_aborts_or_pauses_and_a_person_may_overrule_a_pause() {
    for bad in ["Failed", "Error"] {
        let mut play = step(json!({}));
        let name = experiments(&play)[0].name().to_owned();
        say(&mut play, &name, bad);
        assert!(
            phase(&play).starts_with("Degraded RolloutAborted: Rollout aborted update to revision 2: Experiment analysis phase is error/failed: as measured"),
            "{}", phase(&play)
        );
        assert_eq!(weights(&play)[1].1, 0);
    }
    let mut play = step(json!({}));
    let name = experiments(&play)[0].name().to_owned();
    say(&mut play, &name, "Inconclusive");
    assert_eq!(phase(&play), "Paused InconclusiveExperiment step 1");
    play.change(&kinds::rollout(), "web", |rollout| rollout.set_at(&["status", "pauseConditions"], Value::Null));
    play.settle();
    assert_eq!(phase(&play), "Paused CanaryPauseStep step 2");
}

#[test]
fn a_new_version_in_mid_experiment_ends_it_and_begins_another() {
    let mut play = step(json!({}));
    let first = experiments(&play)[0].name().to_owned();
    say(&mut play, &first, "Running");
    set_image(&mut play, "web:v3");
    play.settle();
    assert_eq!(play.get(&kinds::experiment(), &first).bool_at("/spec/terminate"), Some(true));
    assert_eq!(weights(&play), [("web-stable".to_owned(), 90), ("web-canary".to_owned(), 10)]);
    assert_eq!(experiments(&play).len(), 2);
}

#[test]
fn a_crash_after_its_creation_makes_no_second_one() {
    let mut play = step(json!({}));
    play.change(&kinds::rollout(), "web", |rollout| {
        let canary = rollout.json_mut()["status"]["canary"].as_object_mut().unwrap();
        canary.remove("currentExperiment");
    });
    play.settle();
    assert_eq!(experiments(&play).len(), 1);
    assert_eq!(status(&play, "currentExperiment"), experiments(&play)[0].name());
}

#[test]
fn ended_experiments_and_runs_beyond_the_history_go_the_oldest_first() {
    let mut play = step(json!({}));
    let name = experiments(&play)[0].name().to_owned();
    let hash = play.get(&kinds::rollout(), "web").str_at("/status/currentPodHash").unwrap().to_owned();
    let owner = json!([{"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "name": "web", "uid": "uid-Rollout-web", "controller": true}]);
    for (kind, word) in [(kinds::experiment(), "Experiment"), (kinds::analysis_run(), "AnalysisRun")] {
        for (number, phase) in [(1, "Successful"), (2, "Successful"), (3, "Successful"), (4, "Failed"), (5, "Error")] {
            play.put(&kind, json!({
                "apiVersion": "argoproj.io/v1alpha1", "kind": word,
                "metadata": {"name": format!("old-{number}"), "namespace": "qa", "ownerReferences": owner,
                    "labels": {"rollouts-pod-template-hash": hash}, "creationTimestamp": format!("2026-01-01T00:00:0{number}Z")},
                "spec": {}, "status": {"phase": phase},
            }));
        }
    }
    play.change(&kinds::rollout(), "web", |rollout| {
        rollout
            .set_at(&["spec", "analysis"], json!({"successfulRunHistoryLimit": 2, "unsuccessfulRunHistoryLimit": 1}));
    });
    play.settle();
    let left = |kind: &reconcile_core::Kind| -> Vec<String> {
        let all = play.view.list(kind, "qa");
        all.iter().map(|object| object.name().to_owned()).filter(|name| name.starts_with("old-")).collect()
    };
    assert_eq!(left(&kinds::experiment()), ["old-2", "old-3", "old-5"]);
    assert_eq!(left(&kinds::analysis_run()), ["old-2", "old-3", "old-5"]);
    assert!(play.view.get(&kinds::experiment(), "qa", &name).is_some(), "the one that runs stays");
    play.pass(Duration::from_secs(60));
    assert!(play.plan().is_empty());
}
