//! The end of a config.

use serde_json::json;

use super::hooks::{hook, jobs_end};
use super::world::{World, annotated, config_kind, config_map, job};
use reconcile_core::kinds;

fn world(spec: serde_json::Value) -> World {
    let mut world = World::new(spec);
    world.commit(&[
        config_map("first", "blue"),
        annotated(config_map("second", "blue"), json!({"sluice.dev/wave": "1"})),
        annotated(config_map("kept", "blue"), json!({"sluice.dev/prune": "disabled"})),
    ]);
    world
}

#[test]
fn the_finalizer_is_there_before_the_first_object_and_goes_after_the_last() {
    let mut world = world(json!({"deletionPolicy": "Delete"}));
    insta::assert_snapshot!(world.settle(), @r#"
    finalizers ["sluice.dev/inventory"]
    apply ConfigMap first
    apply ConfigMap kept
    apply ConfigMap second
    "#);
    world.delete_config();
    insta::assert_snapshot!(world.settle(), @r"
    delete ConfigMap second
    delete ConfigMap first
    finalizers []
    ");
    assert!(world.get(&kinds::config_map(), "kept").is_some(), "what an annotation keeps stays");
    assert!(world.get(&config_kind(), "shop").is_none());
}

#[test]
fn hooks_of_the_end_run_before_and_after_the_objects_go() {
    let mut world = World::new(json!({"deletionPolicy": "Delete"}));
    world.controllers = jobs_end;
    world.commit(&[
        config_map("first", "blue"),
        hook("before", "PreDelete", json!({})),
        hook("after", "PostDelete", json!({})),
    ]);
    assert!(!world.settle().contains("Job"), "no sync runs them");
    world.delete_config();
    let log = world.settle();
    let at = |line: &str| log.lines().position(|have| have == line).unwrap_or_else(|| panic!("no `{line}` in\n{log}"));
    assert!(at("-- before ends") < at("delete ConfigMap first"), "{log}");
    assert!(at("delete ConfigMap first") < at("create Job after"), "{log}");
    assert!(at("-- after ends") < at("delete Job after"), "{log}");
    assert!(at("delete Job after") < at("finalizers []"), "{log}");
    assert!(world.get(&job(), "before").is_none());
    assert!(world.get(&config_kind(), "shop").is_none());
}

#[test]
fn a_hook_of_the_end_that_fails_keeps_everything_until_the_policy_is_given_up() {
    let mut world = World::new(json!({"deletionPolicy": "Delete", "sync": {"retry": {"limit": 1}}}));
    world.controllers = jobs_end;
    world.commit(&[config_map("first", "blue"), hook("failing", "PreDelete", json!({}))]);
    world.settle();
    world.delete_config();
    let log = world.settle_for(20);
    assert_eq!(log.matches("create Job failing").count(), 2, "{log}");
    assert!(!log.contains("delete ConfigMap"), "{log}");
    assert!(
        world.says("Ready").contains("(attempt 2, the last; spec.deletionPolicy Orphan"),
        "{}",
        world.says("Ready")
    );
    world.change(&config_kind(), "shop", json!({"spec": {"deletionPolicy": "Orphan"}}));
    world.settle();
    assert!(world.get(&config_kind(), "shop").is_none());
    assert!(world.get(&kinds::config_map(), "first").is_some());
}

#[test]
fn a_config_without_a_policy_leaves_everything() {
    let mut world = world(json!({}));
    world.settle();
    world.delete_config();
    assert!(world.get(&config_kind(), "shop").is_none(), "nothing holds it");
    assert!(world.get(&kinds::config_map(), "first").is_some());
}

#[test]
fn the_policy_can_be_given_up_and_a_suspended_config_touches_nothing() {
    for change in [json!({"spec": {"deletionPolicy": "Orphan"}}), json!({"spec": {"suspend": true}})] {
        let mut world = world(json!({"deletionPolicy": "Delete"}));
        world.settle();
        world.delete_config();
        world.change(&config_kind(), "shop", change);
        assert_eq!(world.settle(), "finalizers []");
        assert!(world.get(&kinds::config_map(), "first").is_some());
    }
}

#[test]
fn an_object_that_hangs_holds_the_config_only_where_it_is_waited_for() {
    for (policy, is_gone) in [("Delete", true), ("WaitForTermination", false)] {
        let mut world = world(json!({"deletionPolicy": policy}));
        world.settle();
        world.change(&kinds::config_map(), "second", json!({"metadata": {"finalizers": ["example.com/hold"]}}));
        world.delete_config();
        world.settle();
        assert_eq!(world.get(&config_kind(), "shop").is_none(), is_gone, "{policy}");
        if !is_gone {
            assert_eq!(world.says("Ready"), "False Deleting ConfigMap qa/second, ConfigMap qa/first must go first");
            assert!(world.get(&kinds::config_map(), "first").is_some(), "an earlier wave goes later");
            world.change(&kinds::config_map(), "second", json!({"metadata": {"finalizers": null}}));
            world.finalize(&kinds::config_map(), "second");
            insta::assert_snapshot!(world.settle(), @r"
            delete ConfigMap first in the foreground
            finalizers []
            ");
        }
    }
}

#[test]
fn what_another_config_or_a_stranger_took_over_is_not_deleted() {
    let mut world = world(json!({"deletionPolicy": "Delete"}));
    world.settle();
    let owner = r#"{"config":"qa/other","uid":"config-2","operation":"x","object":"ConfigMap qa/first"}"#;
    world.change(&kinds::config_map(), "first", json!({"metadata": {"annotations": {"sluice.dev/owner": owner}}}));
    world.remove(&kinds::config_map(), "second");
    world.put(&kinds::config_map(), json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "second", "namespace": "qa"}, "data": {"by": "hand"},
    }));
    world.delete_config();
    assert_eq!(world.settle(), "finalizers []");
}

#[test]
fn a_crash_between_any_two_writes_of_a_deletion_ends_the_same() {
    for policy in ["Delete", "WaitForTermination"] {
        let mut world = world(json!({"deletionPolicy": policy}));
        world.settle();
        world.delete_config();
        assert!(world.crash_everywhere(3) >= 5);
    }
}

#[test]
fn a_policy_that_cannot_be_read_deletes_nothing() {
    let mut world = world(json!({"deletionPolicy": "Delete"}));
    world.settle();
    world.delete_config();
    world.change(&config_kind(), "shop", json!({"spec": {"deletionPolicy": "Burn"}}));
    assert!(!world.settle().contains("delete"));
    assert!(world.says("Stalled").contains("`Burn` is not one of Orphan, Delete, WaitForTermination"));
}

#[test]
fn objects_of_a_config_that_is_gone_are_taken_over_by_its_successor() {
    let mut world = world(json!({}));
    let owner = r#"{"config":"qa/shop","uid":"config-0","operation":"x","object":"ConfigMap qa/first"}"#;
    world.put(
        &kinds::config_map(),
        json!({
            "apiVersion": "v1", "kind": "ConfigMap", "data": {"color": "old"},
            "metadata": {"name": "first", "namespace": "qa", "annotations": {"sluice.dev/owner": owner}},
        }),
    );
    world.settle();
    assert!(world.says("Ready").starts_with("True"), "{}", world.says("Ready"));
    assert_eq!(world.get(&kinds::config_map(), "first").unwrap().str_at("/data/color"), Some("blue"));
    // The same content, applied by a predecessor.
    let owner = owner.replace("first", "second");
    world.change(&kinds::config_map(), "second", json!({"metadata": {"annotations": {"sluice.dev/owner": owner}}}));
    assert_eq!(world.settle(), "apply ConfigMap second");
}
