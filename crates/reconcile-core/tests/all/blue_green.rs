//! Blue-green Rollouts from the preview to the end of the old version.

use std::time::Duration;

use insta::assert_snapshot;
use reconcile_core::kinds;
use reconcile_core::rollout::RolloutDomain;
use serde_json::{Value, json};

use crate::play::Play;

fn service(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": "qa"}, "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]}})
}

/// A blue-green Rollout of three pods, at rest with v1.
fn resting(change: Value) -> Play<RolloutDomain> {
    let mut play = Play::new(RolloutDomain::default(), "qa", "web");
    play.put(&kinds::service(), service("web-active"));
    play.put(&kinds::service(), service("web-preview"));
    let mut strategy = json!({"activeService": "web-active", "previewService": "web-preview"});
    for (key, value) in change.as_object().unwrap() {
        strategy[key] = value.clone();
    }
    play.put(
        &kinds::rollout(),
        json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "metadata": {"name": "web", "namespace": "qa"},
            "spec": {
                "replicas": 3, "selector": {"matchLabels": {"app": "web"}}, "strategy": {"blueGreen": strategy},
                "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "web", "image": "web:v1"}]}},
            },
        }),
    );
    play.put(
        &kinds::analysis_template(),
        json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "AnalysisTemplate", "metadata": {"name": "ask", "namespace": "qa"},
            "spec": {"metrics": [{"name": "m", "provider": {"web": {"url": "http://ask.example.com"}}, "successCondition": "true"}]},
        }),
    );
    play.settle();
    play
}

fn set_image(play: &mut Play<RolloutDomain>, image: &str) {
    play.change(&kinds::rollout(), "web", |rollout| {
        rollout.set_at(&["spec", "template", "spec", "containers"], json!([{"name": "web", "image": image}]));
    });
}

fn status(play: &Play<RolloutDomain>, pointer: &str) -> String {
    let rollout = play.get(&kinds::rollout(), "web");
    match rollout.pointer(&format!("/status{pointer}")) {
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => String::new(),
    }
}

fn phase(play: &Play<RolloutDomain>) -> String {
    format!("{} {}", status(play, "/phase"), status(play, "/message")).trim().to_owned()
}

/// The images that the active and the preview Service select.
fn served(play: &Play<RolloutDomain>) -> [String; 2] {
    ["web-active", "web-preview"].map(|name| {
        let service = play.get(&kinds::service(), name);
        let hash = service.str_at("/spec/selector/rollouts-pod-template-hash").unwrap_or_default().to_owned();
        let set = play.get(&kinds::replica_set(), &format!("web-{hash}"));
        set.list_at("/spec/template/spec/containers")[0]["image"].as_str().unwrap().to_owned()
    })
}

/// The pods that each image asks for.
fn pods(play: &Play<RolloutDomain>) -> String {
    use reconcile_core::View;
    let mut sizes: Vec<String> = play
        .view
        .list(&kinds::replica_set(), "qa")
        .iter()
        .map(|set| {
            let image = set.list_at("/spec/template/spec/containers")[0]["image"].as_str().unwrap().to_owned();
            format!("{image} {}", set.int_at("/spec/replicas").unwrap())
        })
        .collect();
    sizes.sort();
    sizes.join(", ")
}

fn promote(play: &mut Play<RolloutDomain>) {
    play.change(&kinds::rollout(), "web", |rollout| rollout.set_at(&["status", "pauseConditions"], Value::Null));
    play.settle();
}

fn set_status(play: &mut Play<RolloutDomain>, field: &str, value: Value) {
    play.change(&kinds::rollout(), "web", |rollout| rollout.set_at(&["status", field], value.clone()));
    play.settle();
}

/// The run of this name ends.
fn end_run(play: &mut Play<RolloutDomain>, suffix: &str, phase: &str) {
    use reconcile_core::View;
    let runs = play.view.list(&kinds::analysis_run(), "qa");
    let names: Vec<&str> = runs.iter().map(|run| run.name()).collect();
    let name = names.iter().find(|name| name.ends_with(suffix)).unwrap_or_else(|| panic!("{suffix} in {names:?}"));
    play.change(&kinds::analysis_run(), name, |run| run.set_at(&["status"], json!({"phase": phase})));
    play.settle();
}

#[test]
fn the_first_version_is_stable_before_it_is_active() {
    let mut play = resting(json!({}));
    assert_snapshot!(play.take_log());
    assert_eq!(phase(&play), "Healthy");
    assert_eq!(served(&play), ["web:v1", "web:v1"]);
}

#[test]
fn a_new_version_is_previewed_then_active_then_stable_and_the_old_one_stays_for_the_delay() {
    let mut play = resting(json!({}));
    play.take_log();
    set_image(&mut play, "web:v2");
    play.settle();
    assert_eq!((served(&play), phase(&play).as_str()), (["web:v2".to_owned(), "web:v2".to_owned()], "Healthy"));
    assert_eq!(pods(&play), "web:v1 3, web:v2 3");
    play.pass(Duration::from_secs(31));
    play.settle();
    assert_eq!(pods(&play), "web:v1 0, web:v2 3");
    assert_snapshot!(play.take_log());
}

#[test]
fn without_automatic_promotion_a_person_says_yes() {
    let mut play = resting(json!({"autoPromotionEnabled": false}));
    set_image(&mut play, "web:v2");
    play.settle();
    assert_eq!(
        (served(&play), phase(&play).as_str()),
        (["web:v1".to_owned(), "web:v2".to_owned()], "Paused BlueGreenPause")
    );
    play.pass(Duration::from_secs(3_600));
    play.settle();
    assert_eq!(served(&play)[0], "web:v1");
    promote(&mut play);
    assert_eq!((served(&play)[0].as_str(), phase(&play).as_str()), ("web:v2", "Healthy"));
}

#[test]
fn automatic_promotion_may_wait_some_seconds() {
    let mut play = resting(json!({"autoPromotionSeconds": 20}));
    set_image(&mut play, "web:v2");
    play.settle();
    play.pass(Duration::from_secs(19));
    play.settle();
    assert_eq!(served(&play)[0], "web:v1");
    play.pass(Duration::from_secs(1));
    play.settle();
    assert_eq!(served(&play)[0], "web:v2");
}

#[test]
fn a_small_preview_grows_to_the_full_size_before_it_is_active() {
    let mut play = resting(json!({"autoPromotionEnabled": false, "previewReplicaCount": 1}));
    set_image(&mut play, "web:v2");
    play.settle();
    assert_eq!((pods(&play).as_str(), phase(&play).as_str()), ("web:v1 3, web:v2 1", "Paused BlueGreenPause"));
    play.take_log();
    promote(&mut play);
    assert_snapshot!(play.take_log());
    assert_eq!(served(&play)[0], "web:v2");
}

#[test]
fn a_full_promotion_skips_pause_and_analysis() {
    let mut play = resting(json!({
        "autoPromotionEnabled": false, "previewReplicaCount": 1,
        "prePromotionAnalysis": {"templates": [{"templateName": "ask"}]},
    }));
    set_image(&mut play, "web:v2");
    play.settle();
    assert_eq!(served(&play)[0], "web:v1");
    set_status(&mut play, "promoteFull", true.into());
    assert_eq!((served(&play)[0].as_str(), phase(&play).as_str()), ("web:v2", "Healthy"));
    assert_eq!(status(&play, "/promoteFull"), "");
}

#[test]
fn the_analysis_before_the_promotion_comes_before_the_pause() {
    let mut play = resting(json!({
        "autoPromotionEnabled": false, "prePromotionAnalysis": {"templates": [{"templateName": "ask"}]},
    }));
    set_image(&mut play, "web:v2");
    play.settle();
    assert_eq!(phase(&play), "Progressing active service cutover pending");
    end_run(&mut play, "-2-pre", "Successful");
    assert_eq!(phase(&play), "Paused BlueGreenPause");
    promote(&mut play);
    assert_eq!(served(&play)[0], "web:v2");
}

#[test]
fn a_failed_analysis_before_the_promotion_aborts_and_the_new_pods_go_after_a_delay() {
    let mut play = resting(json!({"prePromotionAnalysis": {"templates": [{"templateName": "ask"}]}}));
    set_image(&mut play, "web:v2");
    play.settle();
    end_run(&mut play, "-2-pre", "Failed");
    assert!(
        phase(&play).starts_with("Degraded RolloutAborted: Rollout aborted update to revision 2: "),
        "{}",
        phase(&play)
    );
    assert_eq!((served(&play)[0].as_str(), pods(&play).as_str()), ("web:v1", "web:v1 3, web:v2 3"));
    play.pass(Duration::from_secs(31));
    play.settle();
    assert_eq!(pods(&play), "web:v1 3, web:v2 0");
}

#[test]
fn a_failed_analysis_after_the_promotion_gives_the_active_service_back() {
    let mut play = resting(json!({"postPromotionAnalysis": {"templates": [{"templateName": "ask"}]}}));
    set_image(&mut play, "web:v2");
    play.settle();
    assert_eq!(
        (served(&play)[0].as_str(), phase(&play).as_str()),
        ("web:v2", "Progressing waiting for analysis to complete")
    );
    play.pass(Duration::from_secs(600));
    play.settle();
    assert_eq!(pods(&play), "web:v1 3, web:v2 3", "the old pods stay while the verdict is out");
    end_run(&mut play, "-2-post", "Failed");
    assert_eq!(served(&play)[0], "web:v1");
    play.pass(Duration::from_secs(31));
    play.settle();
    assert_eq!(pods(&play), "web:v1 3, web:v2 0");
}

#[test]
fn an_inconclusive_analysis_asks_a_person_and_is_run_again() {
    let mut play = resting(json!({"prePromotionAnalysis": {"templates": [{"templateName": "ask"}]}}));
    set_image(&mut play, "web:v2");
    play.settle();
    end_run(&mut play, "-2-pre", "Inconclusive");
    assert_eq!(phase(&play), "Paused InconclusiveAnalysisRun");
    play.change(&kinds::rollout(), "web", |rollout| {
        rollout.set_at(&["status", "pauseConditions"], Value::Null);
        rollout.set_at(&["status", "controllerPause"], false.into());
    });
    play.settle();
    end_run(&mut play, "-2-pre.1", "Successful");
    assert_eq!(served(&play)[0], "web:v2");
}

#[test]
fn a_rollback_within_the_delay_skips_pause_and_analysis() {
    let mut play = resting(json!({
        "autoPromotionEnabled": false, "prePromotionAnalysis": {"templates": [{"templateName": "ask"}]},
        "postPromotionAnalysis": {"templates": [{"templateName": "ask"}]},
    }));
    set_image(&mut play, "web:v2");
    play.settle();
    end_run(&mut play, "-2-pre", "Successful");
    promote(&mut play);
    end_run(&mut play, "-2-post", "Successful");
    play.pass(Duration::from_secs(20));
    play.settle();
    play.take_log();
    set_image(&mut play, "web:v1");
    play.settle();
    assert_snapshot!(play.take_log());
    assert_eq!((served(&play)[0].as_str(), phase(&play).as_str()), ("web:v1", "Healthy"));
}

#[test]
fn a_rollback_after_the_delay_is_an_update_like_any_other() {
    let mut play = resting(json!({"autoPromotionEnabled": false}));
    set_image(&mut play, "web:v2");
    play.settle();
    promote(&mut play);
    play.pass(Duration::from_secs(40));
    play.settle();
    set_image(&mut play, "web:v1");
    play.settle();
    assert_eq!((served(&play)[0].as_str(), phase(&play).as_str()), ("web:v2", "Paused BlueGreenPause"));
}

#[test]
fn an_active_service_that_lost_its_selector_never_gets_an_unapproved_version() {
    let mut play = resting(json!({"autoPromotionEnabled": false}));
    set_image(&mut play, "web:v2");
    play.settle();
    play.change(&kinds::service(), "web-active", |service| {
        service.set_at(&["spec", "selector"], json!({"app": "web"}))
    });
    play.settle();
    assert_eq!((served(&play)[0].as_str(), phase(&play).as_str()), ("web:v1", "Paused BlueGreenPause"));
}

#[test]
fn the_limit_on_waiting_revisions_takes_the_oldest_first() {
    let mut play = resting(json!({"scaleDownDelaySeconds": 600, "scaleDownDelayRevisionLimit": 1}));
    for image in ["web:v2", "web:v3"] {
        set_image(&mut play, image);
        play.settle();
    }
    assert_eq!(pods(&play), "web:v1 0, web:v2 3, web:v3 3");
}

#[test]
fn an_abort_by_hand_keeps_the_new_pods_when_the_delay_is_nothing() {
    let mut play = resting(json!({"autoPromotionEnabled": false, "abortScaleDownDelaySeconds": 0}));
    set_image(&mut play, "web:v2");
    play.settle();
    set_status(&mut play, "abort", true.into());
    play.pass(Duration::from_secs(3_600));
    play.settle();
    assert_eq!(phase(&play), "Degraded RolloutAborted: Rollout aborted update to revision 2");
    assert_eq!(pods(&play), "web:v1 3, web:v2 3");
    set_status(&mut play, "abort", false.into());
    assert_eq!(phase(&play), "Paused BlueGreenPause");
}

#[test]
fn two_services_are_needed_and_must_exist() {
    let mut play = resting(json!({}));
    for (change, told) in [
        (
            json!({"activeService": "web-active", "previewService": "web-active"}),
            "spec.strategy.activeService: Invalid value: \"web-active\": This rollout uses the same service for the active and preview services, but two different services are required.",
        ),
        (
            json!({"activeService": "nowhere"}),
            "spec.strategy.blueGreen.activeService: Invalid value: \"nowhere\": service \"nowhere\" not found",
        ),
    ] {
        play.change(&kinds::rollout(), "web", |rollout| {
            rollout.set_at(&["spec", "strategy", "blueGreen"], change.clone())
        });
        play.settle();
        assert_eq!(phase(&play), format!("Degraded InvalidSpec: The Rollout \"web\" is invalid: {told}"));
    }
}
