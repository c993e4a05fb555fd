//! The second opinion refuses what goes past a window, a dependency or a transaction.

use std::collections::BTreeSet;

use object_model::Object;
use serde_json::json;

use super::world::{World, config_map};
use reconcile_core::sync::SyncDomain;
use reconcile_core::{Act, Action, Domain, FieldManager, Key, Plan, Precondition, kinds};

/// The rules that applying `a` would break in a world.
fn broken(world: &World) -> BTreeSet<&'static str> {
    let domain = SyncDomain::default();
    let snapshot = domain.observe(&world.view(), &Key::new("qa", "shop")).unwrap();
    let mut object = Object::parse(config_map("a", "blue")).unwrap();
    object.set_at(&["metadata", "namespace"], "qa".into());
    let action = Action::Apply {
        kind: kinds::config_map(),
        object: Box::new(object),
        manager: FieldManager::Sync,
        force: false,
        precondition: Precondition::default(),
    };
    let mut plan = Plan::empty();
    plan.stage(vec![Act::new(action).by(snapshot.actor())]);
    domain.check(&snapshot, &plan).iter().map(|violation| violation.rule).collect()
}

fn world(spec: serde_json::Value) -> World {
    let mut world = World::new(spec);
    world.commit(&[config_map("a", "blue")]);
    world.settle();
    world
}

#[test]
fn each_hold_has_a_rule_of_its_own() {
    let hold = BTreeSet::from(["sync-in-its-window", "dependencies-first", "transaction-asks-first"]);
    let held = |spec: serde_json::Value| broken(&world(spec)).intersection(&hold).copied().collect::<Vec<_>>();
    assert_eq!(held(json!({})), Vec::<&str>::new());
    let closed = json!([{"kind": "deny", "schedule": "0 0 * * *", "duration": "1h"}]);
    assert_eq!(held(json!({"sync": {"windows": closed}})), ["sync-in-its-window"]);
    assert_eq!(held(json!({"sync": {"dependsOn": [{"name": "base"}]}})), ["dependencies-first"]);
    // The server was asked about what Git had, not about what it has now.
    let mut changed = world(json!({"apply": {"onError": "transaction"}}));
    assert_eq!(broken(&changed).intersection(&hold).count(), 0);
    changed.commit(&[config_map("a", "red")]);
    assert!(broken(&changed).contains("transaction-asks-first"));
}
