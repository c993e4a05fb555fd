//! Windows of time in which syncs may run.

use object_model::Duration;
use serde_json::{Value, json};

use super::world::{World, annotated, config_kind, config_map, job};
use reconcile_core::kinds;

const HOUR: Duration = Duration::from_secs(3600);

fn ask(world: &mut World, id: &str) {
    world.change(&config_kind(), "shop", json!({"metadata": {"annotations": {"sluice.dev/sync": id}}}));
}

fn window(kind: &str, schedule: &str, more: Value) -> Value {
    let mut window = json!({"kind": kind, "schedule": schedule, "duration": "1h"});
    super::world::merge(&mut window, &more);
    window
}

fn world(windows: &[Value]) -> World {
    World::new(json!({"sync": {"windows": windows}}))
}

#[test]
fn a_commit_waits_for_its_window_and_is_applied_when_it_opens() {
    // It is midnight; the window opens at two.
    let mut world = world(&[window("allow", "0 2 * * *", json!({}))]);
    world.commit(&[config_map("a", "blue")]);
    assert!(!world.settle().contains("apply"));
    assert_eq!(
        world.says("Ready"),
        "False SyncWindow no window is open, only allow:0 2 * * *:1h, until 2026-01-01T02:00:00Z at least"
    );
    assert_eq!(world.config().str_at("/status/windows/state"), Some("SyncDenied"));
    // The plan itself says when to look again.
    let reconcile_core::Wake::At(at) = world.plan().unwrap().wake else { panic!("it wakes by itself") };
    assert!(at <= "2026-01-01T02:00:00Z".parse().unwrap());
    world.pass(HOUR * 2);
    assert!(world.settle().contains("apply ConfigMap a"));
    assert!(world.says("Ready").starts_with("True"), "{}", world.says("Ready"));
    assert_eq!(world.config().str_at("/status/windows/state"), Some("SyncAllowed"));
    // The next commit comes too late.
    world.pass(HOUR);
    world.commit(&[config_map("a", "red")]);
    assert_eq!(world.settle(), "");
}

#[test]
fn neither_drift_is_repaired_nor_anything_pruned_while_a_window_forbids_it() {
    let mut world = world(&[window("deny", "0 2 * * *", json!({}))]);
    world.commit(&[config_map("a", "blue"), config_map("b", "blue")]);
    world.settle();
    world.pass(HOUR * 2);
    world.change(&kinds::config_map(), "a", json!({"data": {"color": "red"}}));
    assert_eq!(world.settle(), "");
    assert!(
        world.says("Ready").starts_with("False SyncWindow open window deny:0 2 * * *:1h"),
        "{}",
        world.says("Ready")
    );
    world.change(&kinds::config_map(), "a", json!({"data": {"color": "blue"}}));
    world.settle();
    assert!(world.says("Ready").starts_with("True"), "nothing waits: {}", world.says("Ready"));
    world.commit(&[config_map("a", "blue")]);
    assert_eq!(world.settle(), "", "what left Git stays");
    assert!(world.says("Ready").starts_with("False SyncWindow"), "{}", world.says("Ready"));
    world.pass(HOUR);
    assert!(world.settle().contains("delete ConfigMap b"));
    assert!(world.says("Ready").starts_with("True"), "{}", world.says("Ready"));
}

#[test]
fn a_sync_that_is_asked_for_runs_only_where_the_windows_allow_it() {
    for (manual, applied) in [(true, true), (false, false)] {
        for request in ["1", "1 only ConfigMap/a"] {
            let mut world = world(&[
                window("deny", "0 0 * * *", json!({"manualSync": manual})),
                window("allow", "0 12 * * *", json!({"manualSync": false})),
            ]);
            world.commit(&[config_map("a", "blue")]);
            assert!(!world.settle().contains("apply"), "nobody asked");
            ask(&mut world, request);
            assert_eq!(world.settle().contains("apply ConfigMap a"), applied, "{manual} {request}");
        }
    }
}

#[test]
fn an_operation_goes_on_into_a_window_only_with_overrun_or_when_it_was_asked_for() {
    let objects = || {
        let hook = json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "before"}, "spec": {}});
        [annotated(hook, json!({"argocd.argoproj.io/hook": "PreSync"})), config_map("a", "blue")]
    };
    for (more, asked, goes_on) in [
        (json!({"syncOverrun": true}), false, true),
        (json!({"syncOverrun": false}), false, false),
        (json!({"manualSync": true}), true, true),
        (json!({"manualSync": true}), false, false),
    ] {
        let mut world = world(&[window("deny", "0 1 * * *", more.clone())]);
        world.commit(&objects());
        if asked {
            ask(&mut world, "1");
        }
        assert!(world.settle().contains("create Job before"), "{more}");
        world.pass(HOUR);
        let done = json!({"status": {"conditions": [{"type": "Complete", "status": "True"}]}});
        world.change(&job(), "before", done);
        assert_eq!(world.settle().contains("apply ConfigMap a"), goes_on, "{more} {asked}");
        world.pass(HOUR);
        world.settle();
        assert!(world.says("Ready").starts_with("True"), "{more}: {}", world.says("Ready"));
    }
}

#[test]
fn the_windows_of_an_environment_hold_the_configs_of_its_namespace() {
    let environment = |namespace: &str, duration: &str| {
        json!({
            "apiVersion": "sluice.dev/v1alpha1", "kind": "Environment", "metadata": {"name": "production"},
            "spec": {"namespace": namespace, "windows": [
                {"kind": "deny", "schedule": "0 0 * * *", "duration": duration, "description": "change freeze"},
            ]},
        })
    };
    let mut world = world(&[]);
    world.put(&kinds::environment(), environment("qa", "1h"));
    world.commit(&[config_map("a", "blue")]);
    assert!(!world.settle().contains("apply"));
    let held = "open window deny:0 0 * * *:1h of Environment production (change freeze)";
    assert!(world.says("Ready").contains(held), "{}", world.says("Ready"));
    // A window that can't be read forbids too.
    world.put(&kinds::environment(), environment("qa", "soon"));
    assert!(!world.settle().contains("apply"));
    assert!(world.says("Ready").contains("spec.windows[0].duration"), "{}", world.says("Ready"));
    world.put(&kinds::environment(), environment("elsewhere", "1h"));
    assert!(world.settle().contains("apply ConfigMap a"));
}

#[test]
fn a_crash_anywhere_leaves_the_same_end_when_a_window_opens_meanwhile() {
    let mut world = world(&[window("allow", "1 0 * * *", json!({}))]);
    world.commit(&[
        config_map("a", "blue"),
        annotated(config_map("b", "blue"), json!({"argocd.argoproj.io/sync-wave": "1"})),
    ]);
    world.pass(Duration::from_secs(58));
    assert!(world.crash_everywhere(6) > 5);
}
