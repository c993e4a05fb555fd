//! Cases of the security table that concern decisions about a config, and the last good commit.

use object_model::Object;
use reconcile_core::sync::{SIGNATURE_INVALID, SyncDomain};
use reconcile_core::{Domain, Key, SourceFailure, kinds};
use serde_json::{Value, json};

use super::world::{NAMESPACE, World, config_kind, config_map};

/// What people and programs that mean no good write where a short word was expected.
fn junk() -> Vec<Value> {
    let texts = [
        "",
        " ",
        "0",
        "-1",
        "99999999999999999999",
        "null",
        "{",
        "[[[[",
        "a/b/c/d",
        "\u{202e}\u{0}",
        "🦀",
        ",,, only ,,,",
        "1 only /",
    ];
    texts.iter().map(|text| json!(text)).chain([json!("x".repeat(100_000))]).collect()
}

#[test]
fn case_30_odd_values_of_our_own_annotations_stop_nothing_but_what_they_are_on() {
    let own = [
        api::names::REFRESH,
        api::names::SYNC,
        api::names::OWNER,
        api::names::CONFIG,
        api::names::COMMIT,
        api::names::SOURCE,
        api::names::APPLIED,
        api::names::CLAIMS,
        api::names::SECRET_FIELDS,
        "argocd.argoproj.io/sync-wave",
        "argocd.argoproj.io/hook",
        "argocd.argoproj.io/sync-options",
        "helm.sh/hook-weight",
    ];
    for name in own {
        for value in junk() {
            let mut world = World::new(json!({}));
            world.commit(&[config_map("a", "blue"), config_map("b", "blue")]);
            world.settle();
            // On the live object and on the config itself.
            world.change(
                &kinds::config_map(),
                "a",
                json!({"metadata": {"annotations": {name: value}}, "data": {"color": "red"}}),
            );
            world.change(&config_kind(), "shop", json!({"metadata": {"annotations": {name: value}}}));
            world.settle();
            assert!(world.plan().is_some(), "{name}: {value:.50}");
            assert_eq!(world.get(&kinds::config_map(), "b").unwrap().str_at("/data/color"), Some("blue"));
        }
    }
}

#[test]
fn case_30_statuses_of_any_shape_are_read_or_passed_over() {
    let odd =
        [json!(null), json!(7), json!([]), json!("x"), json!({}), json!([[]]), json!({"a": {"b": null}}), json!(-1)];
    for key in [
        "conditions",
        "sync",
        "source",
        "inventory",
        "lastHealthy",
        "rollback",
        "badVersions",
        "windows",
        "drift",
        "failures",
        "lastHandledSync",
    ] {
        for value in &odd {
            let mut world = World::new(json!({}));
            world.commit(&[config_map("a", "blue")]);
            world.settle();
            world.change(&config_kind(), "shop", json!({"status": {key: value}}));
            world.change(&kinds::config_map(), "a", json!({"data": {"color": "red"}}));
            world.settle();
            let color = world.get(&kinds::config_map(), "a").unwrap().str_at("/data/color").map(str::to_owned);
            assert_eq!(color.as_deref(), Some("blue"), "status.{key}: {value}");
        }
    }
}

#[test]
fn case_32_a_forged_status_neither_stops_a_repair_nor_stays() {
    let mut world = World::new(json!({}));
    world.commit(&[config_map("a", "blue"), config_map("gone", "blue")]);
    world.settle();
    world.commit(&[config_map("a", "green")]);
    let forged = json!({
        "observedGeneration": 99, "objects": {"wanted": 0, "inSync": 0, "failed": 0}, "inventory": {"entries": 0},
        "source": {"commit": "f".repeat(40)}, "health": {"status": "Healthy"},
        "conditions": [{"type": "Ready", "status": "True", "reason": "Healthy", "message": "all is well"},
            {"type": "Applied", "status": "True", "reason": "Applied", "message": "applied"}],
    });
    world.change(&config_kind(), "shop", json!({"status": forged}));
    world.settle();
    assert_eq!(world.get(&kinds::config_map(), "a").unwrap().str_at("/data/color"), Some("green"));
    assert!(world.get(&kinds::config_map(), "gone").is_none(), "the inventory says what is ours, not the status");
    let config = world.config();
    assert_eq!(config.str_at("/status/source/commit"), Some("0000000000000000000000000000000000000002"));
    assert_eq!(config.int_at("/status/observedGeneration"), Some(1));
}

fn failure(world: &World, reason: &str) -> SourceFailure {
    SourceFailure {
        reason: reason.to_owned(),
        message: "nobody known signed it".to_owned(),
        at: world.now,
        lasting: false,
    }
}

#[test]
fn case_39_the_last_good_commit_is_kept_true_while_its_successor_is_not_signed() {
    let mut world = World::new(json!({}));
    world.commit(&[config_map("a", "blue")]);
    world.settle();
    world.head_failure = Some(failure(&world, SIGNATURE_INVALID));
    world.change(&config_kind(), "shop", json!({"metadata": {"annotations": {"sluice.dev/refresh": "1"}}}));
    world.change(&kinds::config_map(), "a", json!({"data": {"color": "red"}}));
    world.settle();
    assert_eq!(world.get(&kinds::config_map(), "a").unwrap().str_at("/data/color"), Some("blue"), "drift is repaired");
    assert_eq!(world.says("SourceVerified"), "False SignatureInvalid nobody known signed it");
    assert_eq!(world.says("Ready"), "False SignatureInvalid nobody known signed it");
    assert_eq!(world.says("Fetched"), "True Fetched");
    world.head_failure = None;
    world.change(&config_kind(), "shop", json!({"metadata": {"annotations": {"sluice.dev/refresh": "2"}}}));
    world.settle();
    assert!(world.says("Ready").starts_with("True"), "{}", world.says("Ready"));
}

#[test]
fn the_status_says_what_a_reference_was_resolved_to() {
    let mut world = World::new(json!({}));
    world.commit(&[config_map("a", "blue")]);
    world.settle();
    assert_eq!(world.config().str_at("/status/source/reference"), Some("refs/heads/main"));
}

#[test]
fn a_config_that_writes_back_follows_a_branch() {
    let object = Object::parse(json!({
        "apiVersion": "sluice.dev/v1", "kind": "GitOpsConfig",
        "metadata": {"name": "shop", "namespace": NAMESPACE, "uid": "u", "generation": 1},
        "spec": {"url": "https://x/y", "ref": {"tag": "v1"}, "path": "a", "rollback": {"onFailure": "revertCommit"}},
    }));
    let mut world = World::new(json!({}));
    world.put(&config_kind(), object.unwrap().into_json());
    let snapshot = SyncDomain::default().observe(&world.view(), &Key::new(NAMESPACE, "shop")).unwrap();
    assert_eq!(
        snapshot.problems.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["spec.rollback.onFailure: commits are written to branches only, and spec.ref names none"]
    );
}
