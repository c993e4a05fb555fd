//! How and when objects are applied, as the user chooses.

use serde_json::json;

use super::world::{World, annotated, config_kind, config_map};
use reconcile_core::kinds;

#[test]
fn a_field_that_was_edited_by_hand_and_by_the_next_commit_is_taken_back_where_drift_is() {
    for (self_heal, how) in [(json!(true), "apply ConfigMap a by force"), (json!("detectOnly"), "apply ConfigMap a")] {
        let mut world = World::new(json!({"sync": {"selfHeal": self_heal}}));
        world.commit(&[config_map("a", "blue")]);
        world.settle();
        world.change(&kinds::config_map(), "a", json!({"data": {"color": "red", "by": "hand"}}));
        world.commit(&[config_map("a", "green")]);
        assert_eq!(world.settle(), how);
        // A field that Git never had is a conflict, whoever set it.
        let mut more = config_map("a", "black");
        more["data"]["by"] = json!("git");
        world.commit(&[more]);
        assert_eq!(world.settle(), "apply ConfigMap a");
    }
}

#[test]
fn without_auto_a_commit_waits_for_a_request() {
    let mut world = World::new(json!({"sync": {"auto": false}}));
    world.commit(&[config_map("a", "blue"), config_map("b", "blue")]);
    assert!(!world.settle().contains("apply"));
    assert!(world.says("Ready").starts_with("False AwaitingSync"), "{}", world.says("Ready"));
    let ask = |text: &str| json!({"metadata": {"annotations": {"sluice.dev/sync": text}}});
    world.change(&config_kind(), "shop", ask("1 only ConfigMap/b"));
    assert_eq!(world.settle(), "apply ConfigMap b");
    assert!(world.says("Ready").starts_with("False AwaitingSync"), "one of two is not all");
    assert!(world.config().pointer("/status/lastHealthy").is_none());
    world.change(&config_kind(), "shop", ask("2"));
    assert_eq!(world.settle(), "apply ConfigMap a");
    assert!(world.says("Ready").starts_with("True"), "{}", world.says("Ready"));
    world.commit(&[config_map("a", "red")]);
    assert!(!world.settle().contains("apply"), "the request was handled");
}

#[test]
fn a_dependency_that_is_missing_not_ready_or_a_cycle_is_waited_for() {
    let mut world = World::new(json!({"sync": {"dependsOn": [{"name": "base"}]}}));
    world.commit(&[config_map("a", "blue")]);
    world.settle();
    assert!(world.says("Ready").ends_with("GitOpsConfig qa/base does not exist"), "{}", world.says("Ready"));
    let base = |ready: &str, depends: &str| {
        json!({
            "apiVersion": "sluice.dev/v1", "kind": "GitOpsConfig",
            "metadata": {"name": "base", "namespace": "qa", "uid": "config-2", "generation": 1},
            "spec": {
                "url": "https://git.example.com/other", "branch": "main", "sync": {"dependsOn": [{"name": depends}]},
            },
            "status": {"observedGeneration": 1, "conditions": [{"type": "Ready", "status": ready, "reason": "Applying"}]},
        })
    };
    world.put(&config_kind(), base("Unknown", "none"));
    world.settle();
    assert!(world.says("Ready").ends_with("GitOpsConfig qa/base is not ready: Applying"), "{}", world.says("Ready"));
    world.put(&config_kind(), base("True", "shop"));
    world.settle();
    assert!(world.says("Ready").ends_with("depends on this one (base -> shop)"), "{}", world.says("Ready"));
    world.put(&config_kind(), base("True", "none"));
    assert!(world.settle().contains("apply ConfigMap a"));
}

#[test]
fn an_object_may_be_only_created_or_replaced_whole() {
    let mut world = World::new(json!({"apply": {"mode": "ifNotPresent"}}));
    let replaced = |color: &str| annotated(config_map("b", color), json!({"sluice.dev/apply-mode": "replace"}));
    world.commit(&[config_map("a", "blue"), replaced("blue")]);
    world.settle();
    world.commit(&[config_map("a", "red"), replaced("red")]);
    assert_eq!(world.settle(), "replace ConfigMap b");
    world.remove(&kinds::config_map(), "a");
    assert_eq!(world.settle(), "apply ConfigMap a");
    assert!(world.says("Ready").starts_with("True"), "{}", world.says("Ready"));
}

fn immutable(world: &mut World) {
    let is_old = world.get(&kinds::config_map(), "a").is_some_and(|live| live.str_at("/data/color") == Some("blue"));
    match is_old {
        true => {
            drop(world.refused.insert("a".to_owned(), "data: field is immutable when `immutable` is set".to_owned()))
        }
        false => drop(world.refused.remove("a")),
    }
}

#[test]
fn an_immutable_field_is_told_or_the_object_is_made_again() {
    for (policy, last) in [("fail", "refused ConfigMap a"), ("recreate", "apply ConfigMap a")] {
        let mut world = World::new(json!({"apply": {"onImmutable": policy}}));
        world.commit(&[config_map("a", "blue")]);
        world.settle();
        world.controllers = immutable;
        immutable(&mut world);
        world.commit(&[config_map("a", "red")]);
        let log = world.settle();
        let acts: Vec<&str> = log.lines().filter(|line| !line.starts_with("event")).collect();
        assert_eq!(acts.last(), Some(&last), "{log}");
        assert_eq!(log.contains("delete ConfigMap a"), policy == "recreate", "{log}");
    }
}

#[test]
fn a_crash_between_delete_and_creation_loses_nothing() {
    let mut world = World::new(json!({"apply": {"onImmutable": "recreate"}}));
    world.commit(&[config_map("a", "blue")]);
    world.settle();
    world.controllers = immutable;
    immutable(&mut world);
    world.commit(&[config_map("a", "red")]);
    assert!(world.crash_everywhere(3) >= 6);
}

#[test]
fn a_refusal_that_may_pass_is_tried_again_with_growing_delays_and_any_other_is_not() {
    for (words, tries) in [("configmaps is forbidden", 6), ("data: too large", 1)] {
        let mut world = World::new(json!({}));
        world.refused.insert("a".to_owned(), words.to_owned());
        world.commit(&[config_map("a", "blue"), config_map("b", "blue")]);
        let log = world.settle_for(240);
        assert_eq!(log.matches("refused ConfigMap a").count(), tries, "{log}");
        assert!(log.contains("apply ConfigMap b"), "{log}");
    }
    let mut world = World::new(json!({}));
    world.refused.insert("a".to_owned(), "configmaps is forbidden".to_owned());
    world.commit(&[config_map("a", "blue")]);
    world.settle();
    world.refused.clear();
    assert_eq!(world.settle(), "", "its delay is not over");
    world.pass(object_model::Duration::from_secs(5));
    assert_eq!(world.settle(), "apply ConfigMap a");
}

#[test]
fn a_new_object_that_would_be_refused_too_leaves_the_old_one() {
    let mut world = World::new(json!({"apply": {"onImmutable": "recreate"}}));
    world.commit(&[config_map("a", "blue")]);
    world.settle();
    world.refused.insert("a".to_owned(), "data: field is immutable".to_owned());
    world.refused.insert("a-sluice-trial".to_owned(), "data: too large".to_owned());
    world.commit(&[config_map("a", "red")]);
    assert!(!world.settle().contains("delete"));
    assert!(world.says("Ready").ends_with("the new one would be refused: data: too large"), "{}", world.says("Ready"));
}

#[test]
fn a_transaction_applies_all_or_nothing() {
    for (transaction, applied) in [("transaction", false), ("isolate", true)] {
        let mut world = World::new(json!({"apply": {"onError": transaction}}));
        world.refused.insert("b".to_owned(), "too large".to_owned());
        world.commit(&[config_map("a", "blue"), config_map("b", "blue")]);
        world.settle();
        assert_eq!(world.get(&kinds::config_map(), "a").is_some(), applied, "{transaction}");
        assert!(world.says("Ready").contains("too large"), "{}", world.says("Ready"));
        world.refused.clear();
        world.commit(&[config_map("a", "blue"), config_map("b", "red")]);
        world.settle();
        assert!(world.says("Ready").starts_with("True"), "{transaction}: {}", world.says("Ready"));
    }
}

#[test]
fn what_is_pruned_last_waits_until_everything_is_healthy_and_kinds_can_be_protected() {
    let deployment = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
        "spec": {"replicas": 1, "template": {}},
    });
    let last = annotated(config_map("b", "blue"), json!({"argocd.argoproj.io/sync-options": "PruneLast=true"}));
    let mut world = World::new(json!({}));
    world.commit(&[deployment.clone(), config_map("a", "blue"), last]);
    world.settle();
    world.commit(std::slice::from_ref(&deployment));
    assert_eq!(world.settle(), "delete ConfigMap a");
    let healthy = json!({"status": {
        "observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "availableReplicas": 1, "readyReplicas": 1,
    }});
    world.change(&kinds::deployment(), "web", healthy);
    assert_eq!(world.settle(), "delete ConfigMap b");

    let mut world = World::new(json!({"prune": {"guard": {"protectKinds": ["ConfigMap"]}}}));
    world.commit(&[config_map("a", "blue"), config_map("b", "blue")]);
    world.settle();
    world.commit(&[config_map("a", "blue")]);
    assert_eq!(world.settle(), "");
}

#[test]
fn ignored_fields_are_left_alone_also_when_something_else_changes() {
    let rules = json!([{"kind": "ConfigMap", "jsonPointers": ["/data/color"], "jqPathExpressions": [".data.size"]}]);
    let mut world = World::new(json!({"ignoreDifferences": rules}));
    let object = |shape: &str| {
        let mut object = config_map("a", "blue");
        object["data"]["size"] = json!("1");
        object["data"]["shape"] = json!(shape);
        object
    };
    world.commit(&[object("round")]);
    world.settle();
    world.change(&kinds::config_map(), "a", json!({"data": {"color": "red", "size": "7"}}));
    assert_eq!(world.settle(), "");
    assert!(world.says("Ready").starts_with("True"), "{}", world.says("Ready"));
    world.commit(&[object("square")]);
    world.settle();
    let live = world.get(&kinds::config_map(), "a").unwrap();
    assert_eq!(live.pointer("/data"), Some(&json!({"color": "red", "shape": "square", "size": "7"})));

    let mut world = World::new(json!({"apply": {"ignore": [{"jqPathExpressions": [".data | keys"]}]}}));
    world.commit(&[config_map("a", "blue")]);
    assert!(!world.settle().contains("apply ConfigMap"));
    assert!(world.says("Stalled").contains("spec.apply.ignore[0].jqPathExpressions: `.data | keys` is not understood"));
}
