//! Which AnalysisRun belongs to which try of an update, whatever became of the status that should have named it.

use std::time::Duration;

use reconcile_core::rollout::RolloutDomain;
use reconcile_core::{View, kinds};
use serde_json::{Value, json};

use crate::play::Play;
use crate::rollout::{phase, routed_with, set_image, weight};

/// A canary that is judged at 20, and a second version that has come there.
fn judged() -> Play<RolloutDomain> {
    let analysis = json!({"analysis": {"templates": [{"templateName": "rate"}]}});
    let mut play = routed_with(json!({"steps": [{"setWeight": 20}, analysis, {"setWeight": 60}, {"pause": {}}]}));
    let metric = json!({"name": "rate", "provider": {"prometheus": {"address": "http://p", "query": "up"}}});
    play.put(
        &kinds::analysis_template(),
        json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "AnalysisTemplate",
            "metadata": {"name": "rate", "namespace": "qa"}, "spec": {"metrics": [metric]},
        }),
    );
    // The first version comes without being judged.
    play.settle();
    set_image(&mut play, "web:v2");
    play.settle();
    assert_eq!(runs(&play).len(), 1, "{}", phase(&play));
    play
}

fn runs(play: &Play<RolloutDomain>) -> Vec<String> {
    play.view.list(&kinds::analysis_run(), "qa").iter().map(|run| run.name().to_owned()).collect()
}

fn end(play: &mut Play<RolloutDomain>, name: &str, phase: &str) {
    play.change(&kinds::analysis_run(), name, |run| run.set_at(&["status", "phase"], phase.into()));
}

fn abort(play: &mut Play<RolloutDomain>, is_aborted: bool) {
    play.pass(Duration::from_secs(5));
    play.change(&kinds::rollout(), "web", |rollout| rollout.set_at(&["status", "abort"], is_aborted.into()));
    play.settle();
}

#[test]
fn a_run_that_ended_before_the_status_named_it_counts() {
    let mut play = judged();
    let first = runs(&play).remove(0);
    // The status that names it was never written, and meanwhile it has ended.
    play.change(&kinds::rollout(), "web", |rollout| {
        rollout.set_at(&["status", "canary", "currentStepAnalysisRunStatus"], Value::Null);
    });
    end(&mut play, &first, "Successful");
    play.settle();
    assert_eq!((runs(&play), weight(&play)), (vec![first], 60));
}

#[test]
fn a_failure_that_the_status_never_named_aborts() {
    let mut play = judged();
    let first = runs(&play).remove(0);
    play.change(&kinds::rollout(), "web", |rollout| {
        rollout.set_at(&["status", "canary", "currentStepAnalysisRunStatus"], Value::Null);
    });
    end(&mut play, &first, "Failed");
    play.settle();
    assert!(phase(&play).starts_with("Degraded RolloutAborted"), "{}", phase(&play));
    assert_eq!((runs(&play), weight(&play)), (vec![first], 0));
}

#[test]
fn what_failed_can_be_tried_again_and_is_judged_anew() {
    let mut play = judged();
    let first = runs(&play).remove(0);
    end(&mut play, &first, "Failed");
    play.settle();
    assert!(phase(&play).starts_with("Degraded RolloutAborted"), "{}", phase(&play));
    abort(&mut play, false);
    assert_eq!(runs(&play), [first.clone(), format!("{first}.1")], "{}", phase(&play));
    end(&mut play, &format!("{first}.1"), "Successful");
    play.settle();
    assert_eq!((runs(&play).len(), weight(&play)), (2, 60));
}

#[test]
fn a_run_of_an_earlier_try_that_has_not_ended_yet_says_nothing_about_the_next_one() {
    let mut play = judged();
    let first = runs(&play).remove(0);
    abort(&mut play, true);
    abort(&mut play, false);
    assert_eq!(runs(&play), [first.clone(), format!("{first}.1")], "{}", phase(&play));
    end(&mut play, &first, "Failed");
    end(&mut play, &format!("{first}.1"), "Successful");
    play.settle();
    assert_eq!(weight(&play), 60, "{}", phase(&play));
}

#[test]
fn a_second_version_that_comes_before_the_first_was_stable_serves_once_it_has_pods() {
    let mut play = Play::new(RolloutDomain::default(), "qa", "web");
    for (kind, object) in routed_with(json!({})).view.objects.values().filter_map(|object| {
        let kind = [kinds::service(), kinds::virtual_service(), kinds::rollout()];
        let kind = kind.into_iter().find(|kind| kind.kind == object.kind())?;
        let mut json = object.to_json();
        json.as_object_mut()?.remove("status");
        Some((kind, json))
    }) {
        play.put(&kind, object);
    }
    play.scarce_images.insert("web:v1".to_owned(), 2);
    play.settle();
    let selected = |play: &Play<RolloutDomain>| {
        let service = play.get(&kinds::service(), "web-stable");
        service.str_at("/spec/selector/rollouts-pod-template-hash").unwrap_or_default().to_owned()
    };
    let first = selected(&play);
    assert!(!first.is_empty());
    play.scarce_images.insert("web:v2".to_owned(), 0);
    set_image(&mut play, "web:v2");
    play.settle();
    assert_eq!(selected(&play), first, "the pods of the first version serve until others can");
    play.scarce_images.clear();
    play.controllers();
    play.settle();
    play.pass(Duration::from_secs(31));
    play.settle();
    assert_ne!(selected(&play), first);
    assert!(phase(&play).starts_with("Healthy"), "{}", phase(&play));
}
