//! Hooks and waves.

use object_model::Duration;
use serde_json::{Value, json};

use super::world::{World, annotated, config_map, job};
use reconcile_core::kinds;

pub(super) fn hook(name: &str, phase: &str, more: Value) -> Value {
    let object = json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": {}});
    annotated(annotated(object, json!({"argocd.argoproj.io/hook": phase})), more)
}

/// Jobs end at the next look: as failed when their name says so.
pub(super) fn jobs_end(world: &mut World) {
    for name in ["before", "between", "after", "rescue", "failing", "early"] {
        let is_open = world.get(&job(), name).is_some_and(|live| live.pointer("/status").is_none());
        if is_open {
            let kind = if name == "failing" { "Failed" } else { "Complete" };
            let status = json!({"conditions": [{"type": kind, "status": "True", "message": "by its exit code"}]});
            world.change(&job(), name, json!({"status": status}));
            world.log.push(format!("-- {name} ends"));
        }
    }
}

fn world(objects: &[Value]) -> World {
    let mut world = World::new(json!({}));
    world.controllers = jobs_end;
    world.commit(objects);
    world
}

fn all() -> Vec<Value> {
    vec![
        hook("after", "PostSync", json!({"argocd.argoproj.io/hook-delete-policy": "HookSucceeded"})),
        config_map("first", "blue"),
        hook("between", "Sync", json!({})),
        annotated(config_map("second", "blue"), json!({"argocd.argoproj.io/sync-wave": "2"})),
        hook("rescue", "SyncFail", json!({})),
        hook("before", "PreSync", json!({})),
        hook("early", "PreSync", json!({"argocd.argoproj.io/sync-wave": "-1"})),
        hook("never", "Skip", json!({})),
    ]
}

#[test]
fn hooks_run_before_between_and_after_and_an_unchanged_commit_runs_none() {
    let mut world = world(&all());
    insta::assert_snapshot!(world.settle(), @r"
    create Job early
    -- early ends
    create Job before
    -- before ends
    apply ConfigMap first
    create Job between
    -- between ends
    apply ConfigMap second
    create Job after
    -- after ends
    delete Job after
    ");
    assert!(world.says("Ready").starts_with("True Healthy"), "{}", world.says("Ready"));
    assert_eq!(world.config().str_at("/status/sync/phase"), Some("Succeeded"));
    world.commit(&all());
    assert_eq!(world.settle(), "", "another commit with the same content");
    world.change(&kinds::config_map(), "first", json!({"data": {"color": "red"}}));
    assert_eq!(world.settle(), "apply ConfigMap first by force", "drift is repaired without hooks");
}

#[test]
fn the_next_operation_replaces_the_hooks_of_the_one_before() {
    let mut world = world(&[hook("before", "PreSync", json!({})), config_map("first", "blue")]);
    world.settle();
    world.commit(&[hook("before", "PreSync", json!({})), config_map("first", "red")]);
    insta::assert_snapshot!(world.settle(), @r"
    delete Job before
    create Job before
    -- before ends
    apply ConfigMap first by force
    ");
    assert_eq!(world.config().int_at("/status/sync/operation"), Some(2));
}

#[test]
fn a_failed_hook_keeps_everything_as_it_is_and_is_tried_again_with_growing_delays() {
    let mut world = World::new(json!({"sync": {"retry": {"limit": 2, "backoff": {"duration": "5s"}}}}));
    world.controllers = jobs_end;
    world.commit(&[
        hook("failing", "PreSync", json!({})),
        hook("rescue", "SyncFail", json!({})),
        config_map("first", "blue"),
    ]);
    insta::assert_snapshot!(world.settle(), @r"
    create Job failing
    -- failing ends
    event SyncFailed PreSync hook Job.batch qa/failing failed: by its exit code
    create Job rescue
    -- rescue ends
    ");
    assert!(world.says("Ready").ends_with("by its exit code (attempt 1, the next at 2026-01-01T00:00:05Z)"));
    assert!(world.get(&kinds::config_map(), "first").is_none());
    assert!(world.says("Applied").starts_with("False SyncFailed PreSync hook Job.batch qa/failing failed"));
    world.pass(Duration::from_secs(4));
    assert_eq!(world.settle(), "");
    let log = world.settle_for(40);
    assert_eq!(log.matches("create Job failing").count(), 2, "{log}");
    assert!(world.says("Ready").ends_with("(attempt 3, the last)"), "{}", world.says("Ready"));
    world.commit(&[config_map("first", "blue")]);
    assert!(world.settle().contains("apply ConfigMap first"), "another commit mends it");
    assert!(world.says("Ready").starts_with("True"), "{}", world.says("Ready"));
}

#[test]
fn a_running_program_is_not_pulled_away_by_the_next_commit() {
    let mut world = World::new(json!({}));
    world.commit(&[hook("before", "PreSync", json!({})), config_map("first", "blue")]);
    world.settle();
    world.change(&job(), "before", json!({"status": {"active": 1, "ready": 1}}));
    world.commit(&[hook("before", "PreSync", json!({})), config_map("first", "red")]);
    assert_eq!(world.settle(), "");
    assert!(world.says("Ready").ends_with("hook Job.batch qa/before of the operation before is still running"));
    world.controllers = jobs_end;
    world.change(&job(), "before", json!({"status": null}));
    assert!(world.settle().contains("apply ConfigMap first"));
    assert_eq!(world.get(&kinds::config_map(), "first").unwrap().str_at("/data/color"), Some("red"));
}

#[test]
fn a_program_that_was_given_up_is_ended_before_the_next_commit_goes_on() {
    let mut world = World::new(json!({"sync": {"timeout": "60s", "retry": {"limit": 0}}}));
    world.commit(&[hook("before", "PreSync", json!({})), config_map("first", "blue")]);
    world.settle();
    world.change(&job(), "before", json!({"status": {"active": 1, "ready": 1}}));
    world.pass(Duration::from_secs(60));
    world.settle();
    assert!(world.says("Ready").starts_with("False SyncFailed it took more than 60 s"), "{}", world.says("Ready"));
    assert!(world.get(&job(), "before").is_some(), "nothing asks for its end yet");
    world.commit(&[config_map("first", "red")]);
    let log = world.settle();
    assert!(log.starts_with("delete Job before"), "{log}");
    assert!(log.contains("apply ConfigMap first"), "{log}");
}

#[test]
fn an_attempt_that_takes_too_long_fails() {
    let mut world = World::new(json!({"sync": {"timeout": "60s", "retry": {"limit": 0}}}));
    world.commit(&[hook("before", "PreSync", json!({})), config_map("first", "blue")]);
    world.settle();
    assert!(world.says("Ready").ends_with("PreSync hook Job.batch qa/before is running"), "{}", world.says("Ready"));
    world.pass(Duration::from_secs(60));
    world.settle();
    assert!(world.says("Ready").starts_with("False SyncFailed it took more than 60 s in phase PreSync"));
}

#[test]
fn a_hook_that_vanished_has_failed_and_a_strangers_object_is_not_touched() {
    let mut world = World::new(json!({"sync": {"retry": {"limit": 0}}}));
    world.commit(&[hook("before", "PreSync", json!({})), config_map("first", "blue")]);
    world.settle();
    world.remove(&job(), "before");
    world.settle();
    assert!(world.says("Ready").contains("it was deleted before its result was seen"), "{}", world.says("Ready"));

    let mut world = World::new(json!({"sync": {"retry": {"limit": 0}}}));
    world.put(
        &job(),
        json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "before", "namespace": "qa"}}),
    );
    world.commit(&[hook("before", "PreSync", json!({}))]);
    assert!(!world.settle().contains("delete Job"));
    assert!(world.says("Ready").contains("that this config did not create; delete or rename it"));
}

#[test]
fn helm_tells_an_install_from_an_upgrade() {
    let helm = |name: &str, events: &str| {
        let object = json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": {}});
        annotated(object, json!({"helm.sh/hook": events, "helm.sh/hook-weight": "1"}))
    };
    let chart = |color: &str| {
        vec![
            helm("before", "pre-install"),
            helm("early", "pre-upgrade"),
            helm("after", "test"),
            helm("between", "pre-delete"),
            config_map("first", color),
        ]
    };
    let mut world = world(&chart("blue"));
    insta::assert_snapshot!(world.settle(), @r"
    create Job before
    -- before ends
    apply ConfigMap first
    ");
    world.commit(&chart("red"));
    insta::assert_snapshot!(world.settle(), @r"
    create Job early
    -- early ends
    apply ConfigMap first by force
    delete Job before
    ");
}

#[test]
fn a_hook_without_a_whole_name_gets_one_for_each_run() {
    let mut generated = hook("x", "PreSync", json!({}));
    generated["metadata"].as_object_mut().unwrap().remove("name");
    generated["metadata"]["generateName"] = json!("migrate-");
    let mut world = World::new(json!({}));
    world.commit(&[generated, config_map("first", "blue")]);
    assert_eq!(world.settle(), "create Job migrate-0000000-presync-1-1-0");
}

#[test]
fn a_wave_waits_until_the_one_before_is_healthy_and_a_degraded_one_ends_the_attempt() {
    let deployment = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
        "spec": {"replicas": 1, "template": {}},
    });
    let mut world = world(&[deployment, annotated(config_map("second", "blue"), json!({"sluice.dev/wave": "1"}))]);
    assert_eq!(world.settle(), "apply Deployment web");
    assert!(
        world.says("Ready").contains("wave 0: Deployment.apps qa/web is not healthy yet"),
        "{}",
        world.says("Ready")
    );
    let failed = json!({"status": {
        "observedGeneration": 1,
        "conditions": [{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": "m"}],
    }});
    world.change(&kinds::deployment(), "web", failed);
    world.settle();
    assert!(world.says("Ready").contains("Deployment.apps qa/web of wave 0 is degraded"), "{}", world.says("Ready"));
    let healthy = json!({"status": {
        "conditions": null, "replicas": 1, "updatedReplicas": 1, "availableReplicas": 1, "readyReplicas": 1,
    }});
    world.change(&kinds::deployment(), "web", healthy);
    assert!(world.settle_for(8).contains("apply ConfigMap second"), "the next attempt goes on");
}

#[test]
fn a_crash_between_any_two_writes_of_an_operation_ends_the_same() {
    let mut world = world(&all());
    assert!(world.crash_everywhere(3) >= 15);
    world.settle();
    let mut next = all();
    next[1] = config_map("first", "red");
    world.commit(&next);
    assert!(world.crash_everywhere(3) >= 15);
}

#[test]
fn a_crash_in_a_failing_operation_ends_the_same() {
    let mut world = World::new(json!({"sync": {"retry": {"limit": 1, "backoff": {"duration": "2s"}}}}));
    world.controllers = jobs_end;
    world.commit(&[
        hook("failing", "PreSync", json!({})),
        hook("rescue", "SyncFail", json!({})),
        config_map("first", "blue"),
    ]);
    assert!(world.crash_everywhere(8) >= 10);
}

#[test]
fn a_word_that_nobody_knows_stops_the_sync_with_its_place() {
    let mut world = world(&[hook("before", "Before", json!({})), config_map("first", "blue")]);
    assert!(!world.settle().contains("apply"));
    assert!(world.says("Stalled").contains("qa/all.yaml:1: annotation `argocd.argoproj.io/hook` of Job.batch"));
}
