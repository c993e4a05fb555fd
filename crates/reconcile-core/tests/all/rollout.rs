//! Rollouts from the first pod to the last.

use std::time::Duration;

use insta::assert_snapshot;
use reconcile_core::kinds;
use reconcile_core::rollout::RolloutDomain;
use serde_json::{Value, json};

use crate::play::Play;

pub(crate) fn rollout(canary: Value) -> Value {
    json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout",
        "metadata": {"name": "web", "namespace": "qa"},
        "spec": {
            "replicas": 5,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "web", "image": "web:v1"}]}},
            "strategy": {"canary": canary},
        },
    })
}

pub(crate) fn service(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": "qa"}, "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]}})
}

/// A Rollout behind an Istio VirtualService, at rest with v1.
fn routed() -> Play<RolloutDomain> {
    routed_with(json!({
        "steps": [{"setWeight": 20}, {"pause": {"duration": "10s"}}, {"setWeight": 60}, {"pause": {}}],
    }))
}

/// The same with other settings of the canary.
pub(crate) fn routed_with(settings: Value) -> Play<RolloutDomain> {
    let mut play = Play::new(RolloutDomain::default(), "qa", "web");
    play.put(&kinds::service(), service("web-canary"));
    play.put(&kinds::service(), service("web-stable"));
    play.put(
        &kinds::virtual_service(),
        json!({
            "apiVersion": "networking.istio.io/v1alpha3", "kind": "VirtualService", "metadata": {"name": "web", "namespace": "qa"},
            "spec": {"hosts": ["web"], "http": [{"name": "primary", "route": [
                {"destination": {"host": "web-stable"}, "weight": 100}, {"destination": {"host": "web-canary"}, "weight": 0}]}]},
        }),
    );
    let mut canary = json!({
        "canaryService": "web-canary", "stableService": "web-stable",
        "trafficRouting": {"istio": {"virtualService": {"name": "web", "routes": ["primary"]}}},
    });
    for (key, value) in settings.as_object().unwrap() {
        canary[key] = value.clone();
    }
    play.put(&kinds::rollout(), rollout(canary));
    play.settle();
    play.take_log();
    play
}

pub(crate) fn set_image(play: &mut Play<RolloutDomain>, image: &str) {
    play.change(&kinds::rollout(), "web", |rollout| {
        rollout.set_at(&["spec", "template", "spec", "containers"], json!([{"name": "web", "image": image}]));
    });
}

pub(crate) fn phase(play: &Play<RolloutDomain>) -> String {
    let rollout = play.get(&kinds::rollout(), "web");
    let text = |pointer| rollout.str_at(pointer).unwrap_or_default().to_owned();
    format!(
        "{} {} step {}",
        text("/status/phase"),
        text("/status/message"),
        rollout.int_at("/status/currentStepIndex").unwrap_or(-1)
    )
}

pub(crate) fn weight(play: &Play<RolloutDomain>) -> i64 {
    play.get(&kinds::virtual_service(), "web").int_at("/spec/http/0/route/1/weight").unwrap()
}

#[test]
fn the_first_version_takes_no_steps() {
    let play = routed();
    assert_eq!(phase(&play), "Healthy  step 4");
    assert_eq!(weight(&play), 0);
}

#[test]
fn a_canary_gets_pods_before_traffic_and_stable_keeps_its_own() {
    let mut play = routed();
    set_image(&mut play, "web:v2");
    play.settle();
    assert_snapshot!(play.take_log());
    assert_eq!(phase(&play), "Paused CanaryPauseStep step 1");
    play.pass(Duration::from_secs(10));
    play.settle();
    assert_eq!((weight(&play), phase(&play).as_str()), (60, "Paused CanaryPauseStep step 3"));
}

#[test]
fn promotion_moves_all_traffic_before_the_selector_and_the_selector_before_the_old_pods() {
    let mut play = routed();
    set_image(&mut play, "web:v2");
    play.settle();
    play.pass(Duration::from_secs(10));
    play.settle();
    play.take_log();
    // A person goes on, as `kubectl argo rollouts promote` does.
    play.change(&kinds::rollout(), "web", |rollout| rollout.set_at(&["status", "pauseConditions"], Value::Null));
    play.settle();
    play.pass(Duration::from_secs(31));
    play.settle();
    assert_snapshot!(play.take_log());
    assert_eq!(phase(&play), "Healthy  step 4");
}

#[test]
fn an_abort_sheds_traffic_first_and_keeps_the_canary_for_the_delay() {
    let mut play = routed();
    set_image(&mut play, "web:v2");
    play.settle();
    play.take_log();
    play.change(&kinds::rollout(), "web", |rollout| rollout.set_at(&["status", "abort"], true.into()));
    play.settle();
    assert_eq!(weight(&play), 0);
    play.pass(Duration::from_secs(31));
    play.settle();
    assert_snapshot!(play.take_log());
    assert!(
        phase(&play).starts_with("Degraded RolloutAborted"),
        "{} after {}",
        phase(&play),
        play.get(&kinds::rollout(), "web").to_json()["status"]
    );
}

#[test]
fn going_back_to_the_stable_template_takes_no_steps() {
    let mut play = routed();
    set_image(&mut play, "web:v2");
    play.settle();
    set_image(&mut play, "web:v1");
    play.settle();
    assert_eq!((weight(&play), phase(&play).as_str()), (0, "Healthy  step 4"));
}

#[test]
fn an_abort_of_nothing_in_progress_changes_nothing() {
    let mut play = routed();
    play.change(&kinds::rollout(), "web", |rollout| rollout.set_at(&["status", "abort"], true.into()));
    play.settle();
    assert_eq!(phase(&play), "Healthy  step 4");
    assert!(!play.take_log().contains("replicas"), "no ReplicaSet is scaled");
}

#[test]
fn a_canary_without_available_pods_never_gets_traffic() {
    let mut play = routed();
    play.broken_images.insert("web:v2".to_owned());
    set_image(&mut play, "web:v2");
    play.settle();
    assert_eq!(weight(&play), 0);
    play.pass(Duration::from_secs(601));
    play.settle();
    assert!(
        phase(&play).starts_with("Degraded ProgressDeadlineExceeded"),
        "{} after {}",
        phase(&play),
        play.get(&kinds::rollout(), "web").to_json()["status"]
    );
}

#[test]
fn a_third_version_in_the_middle_takes_the_traffic_off_the_second_first() {
    let mut play = routed();
    set_image(&mut play, "web:v2");
    play.settle();
    play.pass(Duration::from_secs(10));
    play.settle();
    play.take_log();
    set_image(&mut play, "web:v3");
    play.settle();
    assert_snapshot!(play.take_log());
}

#[test]
fn without_a_provider_the_ratio_of_pods_is_the_split() {
    let mut play = Play::new(RolloutDomain::default(), "qa", "web");
    play.put(
        &kinds::rollout(),
        rollout(json!({"steps": [{"setWeight": 40}, {"pause": {}}], "maxSurge": 1, "maxUnavailable": 0})),
    );
    play.settle();
    play.take_log();
    set_image(&mut play, "web:v2");
    play.settle();
    assert_snapshot!(play.take_log());
    assert_eq!(phase(&play), "Paused CanaryPauseStep step 1");
}

#[test]
fn case_31_an_invalid_spec_is_told_and_touches_nothing() {
    let mut play = routed();
    play.change(&kinds::rollout(), "web", |rollout| {
        rollout.set_at(&["spec", "strategy", "canary", "steps"], json!([{"setWeight": 101}]))
    });
    play.settle();
    assert_eq!(
        phase(&play),
        "Degraded InvalidSpec: The Rollout \"web\" is invalid: spec.strategy.steps[0].setWeight: Invalid value: 101: SetWeight needs to be between 0 and 100 step 4"
    );
}
