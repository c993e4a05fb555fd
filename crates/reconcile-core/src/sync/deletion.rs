//! The end of a config: with `spec.deletionPolicy` its objects go before it does.
//!
//! A finalizer holds the config while objects of its inventory are left; it is put on before the first object is
//! applied. Each look begins with the inventory and with what is live, so a crash between any two deletes changes
//! nothing. What an annotation, its kind or another owner protects from a prune stays.

use api::{DeletionPolicy, names};
use diff_engine::{KeepReason, PruneDecision, PruneVerdict};
use serde_json::{Value, json};

use super::deletion_hooks::{self, Turn};
use super::inventory::{live_view, planned_inventory, write_inventory};
use super::snapshot::Snapshot;
use super::status::{self, Report};
use crate::bugs::{self, Bug};
use crate::{Act, Action, ObjectRef, Plan, Precondition, Propagation};

/// Whether the finalizer is on the config.
pub(super) fn is_held(snapshot: &Snapshot) -> bool {
    finalizers(snapshot).any(|name| name == names::FINALIZER)
}

/// Whether the objects stay when the config goes: by its policy, or because a suspended config touches nothing.
pub(super) fn leaves_objects(snapshot: &Snapshot) -> bool {
    snapshot.spec.deletion == DeletionPolicy::Orphan || snapshot.spec.suspend
}

/// Returns the act that makes the finalizer fit the policy, when it does not.
pub(super) fn adjust_finalizer(snapshot: &Snapshot) -> Option<Act> {
    let wants = snapshot.spec.deletion != DeletionPolicy::Orphan;
    match (wants, is_held(snapshot)) {
        (true, false) => Some(set_finalizers(snapshot, true)),
        (false, true) => Some(set_finalizers(snapshot, false)),
        _ => None,
    }
}

/// Returns the next step of a config that is being deleted.
pub(super) fn decide(snapshot: &Snapshot, plan: &mut Plan, report: &mut Report) {
    if !is_held(snapshot) {
        plan.wait(snapshot.identity.to_string(), "it is being deleted; what it applied stays");
        return;
    }
    let unclear = ["spec.deletionPolicy", "spec.destination.serviceAccountName", "spec.suspend"];
    let doubts: Vec<String> = snapshot
        .problems
        .iter()
        .filter(|problem| unclear.contains(&problem.field.as_str()))
        .map(ToString::to_string)
        .collect();
    if !doubts.is_empty() {
        return report.stall("InvalidSpec", &doubts.join("; "));
    }
    if leaves_objects(snapshot) {
        return release(snapshot, plan);
    }
    let stored = match &snapshot.inventory {
        Ok(inventory) => inventory,
        Err(why) => return report.stall("InventoryUnreadable", why),
    };
    let turn = deletion_hooks::turn(snapshot, plan, report);
    if turn == Turn::Wait {
        return;
    }
    let inventory = planned_inventory(snapshot, stored, &[]);
    if write_inventory(snapshot, &inventory, plan, report) {
        report.deleting = Some("the inventory is written first".to_owned());
        return;
    }
    if turn == Turn::Hooks {
        return deletion_hooks::run(snapshot, &inventory, plan, report);
    }
    let decisions = diff_engine::deletion_plan(&inventory, &live_view(snapshot), &snapshot.identity);
    let left: Vec<&PruneDecision> = decisions.iter().filter(|decision| is_left(snapshot, decision)).collect();
    if left.is_empty() && turn == Turn::DeleteThenHooks {
        return deletion_hooks::after_the_objects(snapshot, report);
    }
    if left.is_empty() || bugs::on(Bug::FinalizerFirst) {
        return release(snapshot, plan);
    }
    delete(snapshot, &left, plan, report);
}

/// Whether the config still has to wait for an object.
fn is_left(snapshot: &Snapshot, decision: &PruneDecision) -> bool {
    match &decision.verdict {
        PruneVerdict::Delete => true,
        PruneVerdict::Keep(KeepReason::Deleting { .. }) => snapshot.spec.deletion == DeletionPolicy::WaitForTermination,
        PruneVerdict::Keep(_) => false,
    }
}

/// Deletes what is left of the last wave.
fn delete(snapshot: &Snapshot, left: &[&PruneDecision], plan: &mut Plan, report: &mut Report) {
    let mut acts = Vec::new();
    let last = left.first().map(|decision| decision.wave);
    for decision in left {
        if let PruneVerdict::Keep(reason) = &decision.verdict {
            plan.wait(decision.id.to_string(), reason.to_string());
            continue;
        }
        let Some(kind) = snapshot.kind_of(&decision.id).filter(|_| Some(decision.wave) == last) else { continue };
        if let Some(why) = snapshot.refusals.get(&decision.id) {
            report.errors.push((decision.id.clone(), "DeleteFailed", format!("{}: {}", decision.id, why.message)));
            continue;
        }
        let target =
            ObjectRef { kind: kind.clone(), namespace: decision.id.namespace.clone(), name: decision.id.name.clone() };
        let precondition =
            Precondition { uid: decision.uid.clone(), resource_version: decision.resource_version.clone() };
        let propagation = match snapshot.spec.deletion {
            DeletionPolicy::WaitForTermination => Propagation::Foreground,
            DeletionPolicy::Delete | DeletionPolicy::Orphan => Propagation::Background,
        };
        let action = Action::Delete { target, precondition, propagation };
        acts.push(Act::new(action).by(snapshot.actor()).destructive());
    }
    let names: Vec<String> = left.iter().take(3).map(|decision| decision.id.to_string()).collect();
    let more = if left.len() > names.len() { format!(" and {} more", left.len() - names.len()) } else { String::new() };
    report.deleting = Some(format!("{}{more} must go first", names.join(", ")));
    plan.stage(acts);
}

/// Lets the config go. The version that was decided on must still be there, and the reads are repeated first.
fn release(snapshot: &Snapshot, plan: &mut Plan) {
    plan.stage(vec![set_finalizers(snapshot, false).destructive()]);
}

fn finalizers(snapshot: &Snapshot) -> impl Iterator<Item = &str> {
    snapshot.config.list_at("/metadata/finalizers").iter().filter_map(Value::as_str)
}

fn set_finalizers(snapshot: &Snapshot, is_on: bool) -> Act {
    let others = finalizers(snapshot).filter(|name| *name != names::FINALIZER);
    let list: Vec<&str> = others.chain(is_on.then_some(names::FINALIZER)).collect();
    Act::new(Action::Patch {
        target: ObjectRef::of(&snapshot.kind, &snapshot.config),
        patch: json!({"metadata": {"finalizers": list}}),
        precondition: Precondition::exact(&snapshot.config),
    })
}

/// Writes what a deletion found into the status.
pub(super) fn tell(snapshot: &Snapshot, plan: &mut Plan, report: &Report) {
    if is_held(snapshot) {
        status::write(snapshot, report, plan);
    }
}
