//! Rollouts that take their template from another workload, and its pods with it.

use reconcile_core::rollout::{RolloutDomain, pod_hash};
use reconcile_core::{View, kinds};
use serde_json::{Value, json};

use crate::play::Play;
use crate::rollout::{phase, rollout};

fn template(image: &str) -> Value {
    json!({"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "web", "image": image}]}})
}

fn deployment(replicas: u32, image: &str) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web-app", "namespace": "qa"},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": "web"}}, "template": template(image)},
    })
}

fn referring(reference: &Value) -> Value {
    let mut object = rollout(json!({"steps": [{"setWeight": 50}, {"pause": {}}]}));
    object["spec"].as_object_mut().unwrap().remove("template");
    object["spec"].as_object_mut().unwrap().remove("selector");
    object["spec"]["replicas"] = json!(4);
    object["spec"]["workloadRef"] = reference.clone();
    object
}

fn reference(scale_down: Option<&str>) -> Value {
    let mut reference = json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": "web-app"});
    if let Some(mode) = scale_down {
        reference["scaleDown"] = json!(mode);
    }
    reference
}

fn play(reference: &Value) -> Play<RolloutDomain> {
    let mut play = Play::new(RolloutDomain::default(), "qa", "web");
    play.put(&kinds::rollout(), referring(reference));
    play
}

fn status(play: &Play<RolloutDomain>, pointer: &str) -> String {
    let rollout = play.get(&kinds::rollout(), "web");
    rollout.str_at(&format!("/status{pointer}")).unwrap_or_default().to_owned()
}

fn replicas(play: &Play<RolloutDomain>) -> i64 {
    play.get(&kinds::deployment(), "web-app").int_at("/spec/replicas").unwrap()
}

#[test]
fn the_template_of_a_deployment_is_rolled_out_and_its_generation_observed() {
    let mut play = play(&reference(None));
    play.put(&kinds::deployment(), deployment(0, "web:v1"));
    play.settle();
    assert_eq!(phase(&play), "Healthy  step 2");
    assert_eq!(status(&play, "/workloadObservedGeneration"), "1");
    let rollout = play.get(&kinds::rollout(), "web");
    assert_eq!(rollout.annotation("rollout.argoproj.io/workload-generation"), Some("1"));
    let set = play.get(&kinds::replica_set(), &format!("web-{}", pod_hash(&template("web:v1"), None)));
    assert_eq!(set.str_at("/spec/selector/matchLabels/app"), Some("web"));
    play.change(&kinds::deployment(), "web-app", |object| object.set_at(&["spec", "template"], template("web:v2")));
    play.settle();
    assert_eq!(
        (phase(&play).as_str(), status(&play, "/workloadObservedGeneration").as_str()),
        ("Paused CanaryPauseStep step 1", "2")
    );
}

#[test]
fn a_template_of_its_own_in_place_of_the_same_one_by_reference_changes_no_pod() {
    let mut play = play(&reference(None));
    play.put(&kinds::deployment(), deployment(0, "web:v1"));
    play.settle();
    play.take_log();
    play.change(&kinds::rollout(), "web", |rollout| {
        rollout.set_at(&["spec", "workloadRef"], Value::Null);
        rollout.set_at(&["spec", "template"], template("web:v1"));
        rollout.set_at(&["spec", "selector"], json!({"matchLabels": {"app": "web"}}));
    });
    play.settle();
    let rollout = play.get(&kinds::rollout(), "web");
    assert_eq!(rollout.annotation("rollout.argoproj.io/workload-generation"), None);
    assert_eq!(rollout.pointer("/status/workloadObservedGeneration"), None);
    play.change(&kinds::rollout(), "web", |rollout| {
        rollout.set_at(&["spec", "workloadRef"], reference(None));
        rollout.set_at(&["spec", "template"], Value::Null);
    });
    play.settle();
    assert_eq!((play.take_log().as_str(), status(&play, "/workloadObservedGeneration").as_str()), ("", "1"));
}

#[test]
fn other_kinds_have_templates_too() {
    for (kind, object) in [
        (
            kinds::pod_template(),
            json!({"apiVersion": "v1", "kind": "PodTemplate", "metadata": {"name": "web-app", "namespace": "qa"}, "template": template("web:v1")}),
        ),
        (
            kinds::replica_set(),
            json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": "web-app", "namespace": "qa"}, "spec": {"replicas": 0, "selector": {"matchLabels": {"app": "web"}}, "template": template("web:v1")}}),
        ),
    ] {
        let mut reference = reference(None);
        reference["kind"] = json!(kind.kind);
        reference["apiVersion"] = json!(kind.api_version());
        let mut play = play(&reference);
        play.change(&kinds::rollout(), "web", |rollout| {
            rollout.set_at(&["spec", "selector"], json!({"matchLabels": {"app": "web"}}));
        });
        play.put(&kind, object);
        play.settle();
        assert_eq!(phase(&play), "Healthy  step 2", "{}", kind.kind);
    }
}

#[test]
fn a_reference_that_can_not_be_followed_is_told_in_argos_words() {
    let messages = [
        (reference(None), Value::Null, "deployments.apps \"qa/web-app\" not found"),
        (
            json!({"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "x"}),
            Value::Null,
            "workload of type apps/DaemonSet is not supported",
        ),
        (
            reference(None),
            json!({"metadata": {"labels": {"app": "web"}}}),
            "spec.template: Internal error: template must be empty for workload reference rollout",
        ),
    ];
    for (reference, template, wanted) in messages {
        let mut play = play(&reference);
        play.change(&kinds::rollout(), "web", |rollout| rollout.set_at(&["spec", "template"], template.clone()));
        play.settle();
        assert_eq!(status(&play, "/message"), format!("InvalidSpec: The Rollout \"web\" is invalid: {wanted}"));
        let rollout = play.get(&kinds::rollout(), "web");
        assert_eq!(rollout.list_at("/status/conditions").len(), 1);
    }
}

#[test]
fn a_workload_that_comes_later_mends_the_spec() {
    let mut play = play(&reference(None));
    play.settle();
    play.put(&kinds::deployment(), deployment(0, "web:v1"));
    play.settle();
    assert_eq!(phase(&play), "Healthy  step 2");
}

#[test]
fn the_deployment_gives_up_its_pods_as_it_was_asked_to() {
    for (mode, wanted) in [(None, 4), (Some("never"), 4), (Some("onsuccess"), 0), (Some("progressively"), 0)] {
        let mut play = play(&reference(mode));
        play.put(&kinds::deployment(), deployment(4, "web:v1"));
        play.settle();
        assert_eq!((phase(&play).as_str(), replicas(&play)), ("Healthy  step 2", wanted), "{mode:?}");
        let deployment = play.get(&kinds::deployment(), "web-app");
        let claims = deployment.annotation("sluice.dev/claims").unwrap_or_default();
        assert_eq!(claims.contains("/spec/replicas"), wanted == 0, "what is driven is claimed: {claims}");
    }
}

#[test]
fn progressively_means_no_more_than_the_rollout_has_ready_and_back_when_they_fail() {
    let mut play = play(&reference(Some("progressively")));
    play.put(&kinds::deployment(), deployment(4, "web:v1"));
    play.scarce_images.insert("web:v1".to_owned(), 3);
    play.settle();
    assert_eq!(replicas(&play), 1, "three of four are ready");
    play.scarce_images.insert("web:v1".to_owned(), 1);
    play.controllers();
    play.settle();
    assert_eq!(replicas(&play), 3);
    play.scarce_images.clear();
    play.controllers();
    play.settle();
    assert_eq!((replicas(&play), phase(&play).as_str()), (0, "Healthy  step 2"));
    play.change(&kinds::rollout(), "web", |rollout| rollout.set_at(&["spec", "replicas"], json!(6)));
    play.settle();
    assert_eq!(replicas(&play), 0, "a Rollout that grows by itself takes nothing back");
}

#[test]
fn a_later_revision_leaves_the_deployment_alone() {
    let mut play = play(&reference(Some("onsuccess")));
    play.put(&kinds::deployment(), deployment(4, "web:v1"));
    play.settle();
    play.change(&kinds::deployment(), "web-app", |object| {
        object.set_at(&["spec", "template"], template("web:v2"));
        object.set_at(&["spec", "replicas"], json!(2));
    });
    play.settle();
    play.change(&kinds::rollout(), "web", |rollout| rollout.set_at(&["status", "promoteFull"], json!(true)));
    play.settle();
    assert_eq!((phase(&play).as_str(), replicas(&play)), ("Healthy  step 2", 2));
    assert_eq!(play.view.list(&kinds::replica_set(), "qa").len(), 2);
}
