//! The settings of a canary beside its steps.

use std::time::Duration;

use reconcile_core::rollout::{RolloutDomain, pod_hash};
use reconcile_core::{View, kinds};
use serde_json::{Value, json};

use crate::play::Play;
use crate::rollout::{phase, routed_with, set_image, weight};

const STEPS: [(&str, u64); 2] = [("setWeight", 40), ("setWeight", 80)];

/// A canary behind a provider that stops at 40 and at 80.
fn resting(change: Value) -> Play<RolloutDomain> {
    let steps: Vec<Value> =
        STEPS.iter().flat_map(|(kind, weight)| [json!({*kind: weight}), json!({"pause": {}})]).collect();
    let mut canary = json!({"steps": steps});
    for (key, value) in change.as_object().unwrap() {
        canary[key] = value.clone();
    }
    routed_with(canary)
}

fn set_spec(play: &mut Play<RolloutDomain>, path: &[&str], value: Value) {
    let mut at = vec!["spec"];
    at.extend(path);
    play.change(&kinds::rollout(), "web", |rollout| rollout.set_at(&at, value.clone()));
}

fn update(play: &mut Play<RolloutDomain>, image: &str) {
    set_image(play, image);
    play.settle();
}

fn go_on(play: &mut Play<RolloutDomain>) {
    play.change(&kinds::rollout(), "web", |rollout| rollout.set_at(&["status", "pauseConditions"], Value::Null));
    play.settle();
}

fn finish(play: &mut Play<RolloutDomain>) {
    go_on(play);
    go_on(play);
    play.pass(Duration::from_secs(31));
    play.settle();
    assert_eq!(phase(play), "Healthy  step 4");
}

fn pods(play: &Play<RolloutDomain>) -> String {
    let image = |set: &object_model::Object| {
        set.list_at("/spec/template/spec/containers")[0]["image"].as_str().unwrap().to_owned()
    };
    let sets = play.view.list(&kinds::replica_set(), "qa");
    let mut sizes: Vec<_> =
        sets.iter().map(|set| format!("{} {}", image(set), set.int_at("/spec/replicas").unwrap())).collect();
    sizes.sort();
    sizes.join(", ")
}

#[test]
fn a_dynamic_stable_gives_up_what_its_traffic_does_not_need_and_takes_it_back_before_the_traffic() {
    let mut play = resting(json!({"dynamicStableScale": true}));
    update(&mut play, "web:v2");
    assert_eq!((weight(&play), pods(&play).as_str()), (40, "web:v1 3, web:v2 2"));
    go_on(&mut play);
    assert_eq!((weight(&play), pods(&play).as_str()), (80, "web:v1 1, web:v2 4"));
    play.take_log();
    play.change(&kinds::rollout(), "web", |rollout| rollout.set_at(&["status", "abort"], true.into()));
    play.settle();
    assert_eq!((weight(&play), pods(&play).as_str()), (0, "web:v1 5, web:v2 0"));
    let log = play.take_log();
    let place = |text: &str| log.find(text).unwrap_or_else(|| panic!("{text} in\n{log}"));
    // Back by the weights of the steps in reverse: pods of stable, then the traffic, then the canary's pods go.
    let way = ["from 1 to 3", "weights 60/40", "from 4 to 2", "from 3 to 5", "weights 100/0", "from 2 to 0"];
    for pair in way.windows(2) {
        assert!(place(pair[0]) < place(pair[1]), "{pair:?} in\n{log}");
    }
}

#[test]
fn a_dynamic_canary_ends_with_one_version() {
    let mut play = resting(json!({"dynamicStableScale": true}));
    update(&mut play, "web:v2");
    finish(&mut play);
    assert_eq!((weight(&play), pods(&play).as_str()), (0, "web:v1 0, web:v2 5"));
}

#[test]
fn going_back_to_a_dynamic_stable_waits_for_its_pods() {
    let mut play = resting(json!({"dynamicStableScale": true}));
    update(&mut play, "web:v2");
    go_on(&mut play);
    play.take_log();
    update(&mut play, "web:v1");
    let log = play.take_log();
    assert!(log.find("from 1 to 5").unwrap() < log.find("weights 100/0").unwrap(), "{log}");
    assert_eq!((weight(&play), phase(&play).as_str()), (0, "Healthy  step 4"));
}

#[test]
fn a_version_that_has_pods_has_at_least_the_minimum() {
    let mut play = resting(json!({"minPodsPerReplicaSet": 3}));
    update(&mut play, "web:v2");
    assert_eq!(pods(&play), "web:v1 5, web:v2 3");
}

#[test]
fn a_threshold_lets_a_step_go_on_with_some_of_its_pods() {
    let mut play = resting(json!({"replicaProgressThreshold": {"type": "Percent", "value": 50}}));
    play.scarce_images.insert("web:v2".to_owned(), 1);
    update(&mut play, "web:v2");
    assert_eq!((weight(&play), phase(&play).as_str()), (40, "Paused CanaryPauseStep step 1"));
    go_on(&mut play);
    assert_eq!(weight(&play), 40, "one of four pods is less than half");
}

#[test]
fn a_version_that_became_stable_with_some_of_its_pods_gets_the_stable_service_too() {
    let mut play = resting(json!({"replicaProgressThreshold": {"type": "Percent", "value": 80}}));
    play.scarce_images.insert("web:v2".to_owned(), 4);
    update(&mut play, "web:v2");
    go_on(&mut play);
    go_on(&mut play);
    let rollout = play.get(&kinds::rollout(), "web");
    let service = play.get(&kinds::service(), "web-stable");
    let selected = service.str_at("/spec/selector/rollouts-pod-template-hash").unwrap();
    assert_eq!((rollout.str_at("/status/stableRS"), weight(&play)), (Some(selected), 0));
    assert_eq!(rollout.str_at("/status/currentPodHash"), Some(selected));
}

#[test]
fn a_rollback_in_the_window_takes_no_steps_and_one_beyond_it_does() {
    for (revisions, expected) in [(1, "Paused CanaryPauseStep step 1"), (2, "Healthy  step 4")] {
        let mut play = resting(json!({}));
        set_spec(&mut play, &["rollbackWindow"], json!({"revisions": revisions}));
        for image in ["web:v2", "web:v3"] {
            update(&mut play, image);
            finish(&mut play);
        }
        update(&mut play, "web:v1");
        assert_eq!(phase(&play), expected, "a window of {revisions}");
    }
}

#[test]
fn history_beyond_its_limit_goes_oldest_first() {
    let mut play = resting(json!({}));
    set_spec(&mut play, &["revisionHistoryLimit"], json!(1));
    for image in ["web:v2", "web:v3", "web:v4"] {
        update(&mut play, image);
        finish(&mut play);
    }
    assert_eq!(pods(&play), "web:v3 0, web:v4 5");
}

#[test]
fn pods_of_a_new_version_keep_away_from_the_stable_ones_and_the_hash_does_not_know() {
    let mut play = resting(json!({"antiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": {"weight": 7}}}));
    update(&mut play, "web:v2");
    let rollout = play.get(&kinds::rollout(), "web");
    let hash = pod_hash(rollout.pointer("/spec/template").unwrap(), None);
    let set = play.get(&kinds::replica_set(), &format!("web-{hash}"));
    let at = "/spec/template/spec/affinity/podAntiAffinity/preferredDuringSchedulingIgnoredDuringExecution/0";
    let values = format!("{at}/podAffinityTerm/labelSelector/matchExpressions/0/values/0");
    assert_eq!(set.str_at(&values), rollout.str_at("/status/stableRS"));
    assert_eq!(set.int_at(&format!("{at}/weight")), Some(7));
}

#[test]
fn a_takeover_keeps_what_others_named() {
    // Another controller made the ReplicaSet under a hash of another time, and the server added its defaults.
    let mut play = resting(json!({}));
    let sets = play.view.list(&kinds::replica_set(), "qa");
    let mut foreign = sets[0].to_json();
    play.view.objects.retain(|(kind, _, _), _| *kind != kinds::replica_set());
    foreign["metadata"]["name"] = json!("web-6bb9b4b4d");
    foreign["metadata"]["uid"] = json!("foreign");
    foreign["metadata"]["labels"]["rollouts-pod-template-hash"] = json!("6bb9b4b4d");
    foreign["spec"]["template"]["metadata"]["labels"]["rollouts-pod-template-hash"] = json!("6bb9b4b4d");
    foreign["spec"]["template"]["spec"]["restartPolicy"] = json!("Always");
    play.put(&kinds::replica_set(), foreign);
    play.change(&kinds::rollout(), "web", |rollout| {
        rollout.set_at(&["status", "stableRS"], json!("6bb9b4b4d"));
        rollout.set_at(&["status", "currentPodHash"], json!("6bb9b4b4d"));
    });
    for service in ["web-canary", "web-stable"] {
        let selector = json!({"app": "web", "rollouts-pod-template-hash": "6bb9b4b4d"});
        play.change(&kinds::service(), service, |object| object.set_at(&["spec", "selector"], selector.clone()));
    }
    play.take_log();
    play.settle();
    assert_eq!(play.take_log(), "", "nothing is made, scaled or switched");
    assert_eq!(phase(&play), "Healthy  step 4");
}

#[test]
fn an_aborted_canary_is_told_by_argos_annotation_how_long_it_stays() {
    let mut play = resting(json!({"abortScaleDownDelaySeconds": 7}));
    update(&mut play, "web:v2");
    play.change(&kinds::rollout(), "web", |rollout| rollout.set_at(&["status", "abort"], true.into()));
    play.settle();
    let hash = play.get(&kinds::rollout(), "web").str_at("/status/currentPodHash").unwrap().to_owned();
    let set = play.get(&kinds::replica_set(), &format!("web-{hash}"));
    assert_eq!(set.annotation("scale-down-deadline"), Some("2026-01-01T00:00:07Z"));
    play.pass(Duration::from_secs(7));
    play.settle();
    assert_eq!(pods(&play), "web:v1 5, web:v2 0");
}

#[test]
fn a_header_route_is_there_from_its_step_to_the_end_of_the_update() {
    let route = json!({"name": "testers", "match": [{"headerName": "tester", "headerValue": {"exact": "yes"}}]});
    let mut play = routed_with(json!({
        "trafficRouting": {
            "managedRoutes": [{"name": "testers"}],
            "istio": {"virtualService": {"name": "web", "routes": ["primary"]}},
        },
        "steps": [{"setCanaryScale": {"replicas": 1}}, {"setHeaderRoute": route}, {"pause": {}}, {"setWeight": 50}, {"pause": {}}],
    }));
    let names = |play: &Play<RolloutDomain>| {
        let service = play.get(&kinds::virtual_service(), "web");
        let routes = service.list_at("/spec/http");
        routes.iter().map(|route| route["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(&play), ["primary"]);
    update(&mut play, "web:v2");
    assert_eq!(
        (names(&play), phase(&play).as_str()),
        (vec!["testers".to_owned(), "primary".to_owned()], "Paused CanaryPauseStep step 2")
    );
    play.change(&kinds::rollout(), "web", |rollout| rollout.set_at(&["status", "abort"], true.into()));
    play.settle();
    assert_eq!(names(&play), ["primary"]);
}
