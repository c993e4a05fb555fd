//! A second opinion on sync plans, written from DESIGN §4.8 and §6 and not from `decide`.

use std::collections::BTreeSet;

use diff_engine::{EntryState, Owner};
use object_model::ObjectId;

use super::snapshot::{Snapshot, Source};
use crate::{Action, Actor, Plan, Violation};

/// Names what a plan would break.
pub(super) fn check(snapshot: &Snapshot, plan: &Plan) -> Vec<Violation> {
    let mut violations = Vec::new();
    let wanted: BTreeSet<ObjectId> = snapshot.wishes.iter().map(|wish| wish.object.id()).collect();
    for (stage, act) in
        plan.stages.iter().enumerate().flat_map(|(stage, acts)| acts.iter().map(move |act| (stage, act)))
    {
        let broken = match &act.action {
            Action::Delete { target, precondition, .. } if target.kind.kind != "Inventory" => {
                delete(snapshot, &wanted, &target.id(), precondition.uid.as_ref())
            }
            Action::Apply { object, .. } => apply(snapshot, &object.id(), &act.actor),
            _ => None,
        };
        if let Some((rule, message)) = broken {
            violations.push(Violation { rule, message, stage: Some(stage) });
        }
    }
    violations
}

/// Only what the stored inventory owns by this uid, and a complete render no longer has, is deleted.
fn delete(
    snapshot: &Snapshot,
    wanted: &BTreeSet<ObjectId>,
    id: &ObjectId,
    uid: Option<&object_model::Uid>,
) -> Option<(&'static str, String)> {
    if !matches!(snapshot.source, Source::Rendered(..)) {
        return Some(("prune-needs-a-complete-render", format!("{id} would be deleted without a render")));
    }
    if wanted.contains(id) {
        return Some(("prune-spares-what-git-has", format!("{id} is in Git and would be deleted")));
    }
    let owned = snapshot.inventory.as_ref().ok().and_then(|inventory| inventory.get(id));
    let owned = owned.and_then(|entry| match &entry.state {
        EntryState::Owned { uid } => Some(uid),
        EntryState::Intended => None,
    });
    if owned.is_none() || owned != uid {
        return Some((
            "prune-needs-ownership",
            format!("{id} is not owned by the inventory under the uid to be deleted"),
        ));
    }
    None
}

/// Nothing is applied before the inventory says so, over another owner, or as the operator itself.
fn apply(snapshot: &Snapshot, id: &ObjectId, actor: &Actor) -> Option<(&'static str, String)> {
    if *actor == Actor::Operator {
        return Some(("apply-needs-an-actor", format!("{id} would be applied as the operator itself")));
    }
    if snapshot.inventory.as_ref().ok().and_then(|inventory| inventory.get(id)).is_none() {
        return Some(("inventory-before-create", format!("{id} would be applied before the inventory has it")));
    }
    let owner = snapshot.live.get(id).and_then(|live| Owner::of(live));
    if owner.is_some_and(|owner| owner.uid != snapshot.identity.uid) {
        return Some(("one-owner", format!("{id} belongs to another config")));
    }
    None
}
