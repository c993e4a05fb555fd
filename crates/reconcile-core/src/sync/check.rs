//! A second opinion on sync plans, written from DESIGN §4.8 and §6 and not from `decide`.

use std::collections::BTreeSet;

use api::{DeletionPolicy, OnImmutable, names};
use diff_engine::{EntryState, HookPhase, Owner};
use object_model::ObjectId;

use super::operation::Phase;
use super::options::on_immutable;
use super::request::Request;
use super::snapshot::{Snapshot, Source};
use super::{check_holds, hooks, recreate};
use crate::{Action, Actor, Answer, ObjectRef, Plan, Violation};

/// Names what a plan would break.
pub(super) fn check(snapshot: &Snapshot, plan: &Plan) -> Vec<Violation> {
    let mut violations = Vec::new();
    let holds = snapshot.config.list_at("/metadata/finalizers").iter().any(|name| name == names::FINALIZER);
    let wanted: BTreeSet<ObjectId> = snapshot.wishes.iter().map(|wish| wish.object.id()).collect();
    for (stage, act) in
        plan.stages.iter().enumerate().flat_map(|(stage, acts)| acts.iter().map(move |act| (stage, act)))
    {
        let broken = match &act.action {
            Action::Delete { target, precondition, .. } if target.kind.kind != "Inventory" => {
                delete(snapshot, &wanted, &target.id(), precondition.uid.as_ref())
            }
            Action::Apply { object, .. } | Action::Replace { object, .. }
                if snapshot.spec.deletion != DeletionPolicy::Orphan && !holds =>
            {
                let id = object.id();
                Some(("finalizer-before-apply", format!("{id} would be applied before the finalizer holds the config")))
            }
            Action::Apply { object, force, .. } => apply(snapshot, &object.id(), &act.actor)
                .or_else(|| after_pre_sync(snapshot, &object.id()))
                .or_else(|| forced(snapshot, &object.id(), *force)),
            Action::Replace { object, .. } => {
                apply(snapshot, &object.id(), &act.actor).or_else(|| after_pre_sync(snapshot, &object.id()))
            }
            Action::Create { kind, object } if !matches!(kind.kind.as_str(), "Inventory" | "Promotion") => {
                apply(snapshot, &object.id(), &act.actor).or_else(|| stored_first(snapshot, &object.id()))
            }
            Action::Patch { target, patch, .. } if *target == ObjectRef::of(&snapshot.kind, &snapshot.config) => {
                release(snapshot, patch)
            }
            Action::Patch { target, .. } if wanted.contains(&target.id()) => {
                Some(("handover-spares-what-git-has", format!("{} is in Git and would be given away", target.id())))
            }
            _ => None,
        };
        let broken = broken.or_else(|| check_holds::held(snapshot, &act.action));
        if let Some((rule, message)) = broken {
            violations.push(Violation { rule, message, stage: Some(stage) });
        }
    }
    violations
}

/// The finalizer stays while something that the stored inventory owns would be left behind against the policy.
fn release(snapshot: &Snapshot, patch: &serde_json::Value) -> Option<(&'static str, String)> {
    let stays = patch.pointer("/metadata/finalizers").and_then(serde_json::Value::as_array);
    let stays = stays.is_none_or(|list| list.iter().any(|name| name == names::FINALIZER));
    if stays || snapshot.spec.suspend || snapshot.spec.deletion == DeletionPolicy::Orphan {
        return None;
    }
    let Ok(inventory) = &snapshot.inventory else {
        return Some(("release-after-deletion", "the config would go while its inventory can't be read".to_owned()));
    };
    let is_left = |entry: &&diff_engine::Entry| {
        let EntryState::Owned { uid } = &entry.state else { return false };
        let Some(live) = snapshot.live.get(&entry.id).filter(|live| live.uid().as_ref() == Some(uid)) else {
            return false;
        };
        let is_on_its_way = live.is_deleting() && snapshot.spec.deletion == DeletionPolicy::Delete;
        let is_ours = Owner::of(live).is_none_or(|owner| owner.uid == snapshot.identity.uid);
        is_ours && !is_on_its_way && !diff_engine::is_kept_on_deletion(live, &snapshot.identity)
    };
    let left = inventory.iter().find(is_left)?;
    Some(("release-after-deletion", format!("the config would go while {} is there", left.id)))
}

/// Only what the stored inventory owns by this uid, and a complete render no longer has, is deleted.
fn delete(
    snapshot: &Snapshot,
    wanted: &BTreeSet<ObjectId>,
    id: &ObjectId,
    uid: Option<&object_model::Uid>,
) -> Option<(&'static str, String)> {
    if snapshot.config.is_deleting() {
        if snapshot.spec.suspend || snapshot.spec.deletion == DeletionPolicy::Orphan {
            return Some(("deletion-needs-the-policy", format!("{id} would be deleted although the objects stay")));
        }
        return owned(snapshot, id, uid);
    }
    if !matches!(snapshot.source, Source::Rendered(..)) {
        return Some(("prune-needs-a-complete-render", format!("{id} would be deleted without a render")));
    }
    let is_at_work =
        snapshot.live.get(id).is_some_and(|live| diff_engine::is_hook_at_work(live) && hooks::is_hook(live));
    if is_at_work && !gave_up(snapshot) {
        return Some(("hooks-finish", format!("{id} would be deleted while its program runs")));
    }
    if wanted.contains(id) && !may_be_recreated(snapshot, id) {
        return Some(("prune-spares-what-git-has", format!("{id} is in Git and would be deleted")));
    }
    owned(snapshot, id, uid)
}

/// The operation that a hook belongs to is over, or its time is.
fn gave_up(snapshot: &Snapshot) -> bool {
    let Some(operation) = &snapshot.operation else { return false };
    let seconds = snapshot.spec.sync.timeout.and_then(|timeout| i64::try_from(timeout.as_secs()).ok());
    let lasted = operation.started().map(|started| snapshot.now.as_second() - started.as_second());
    matches!(operation.phase, Phase::Failed | Phase::Succeeded)
        || seconds.zip(lasted).is_some_and(|(limit, lasted)| lasted >= limit)
}

/// What Git has goes only to come again: the user allows it, the server refused a change of what never changes, and it
/// would take the new object.
fn may_be_recreated(snapshot: &Snapshot, id: &ObjectId) -> bool {
    let Some(wish) = snapshot.wishes.iter().find(|wish| wish.object.id() == *id) else { return false };
    let is_refused = snapshot.refusals.get(id).is_some_and(recreate::is_immutable);
    let answer = snapshot.dry_runs.get(&recreate::slot(snapshot, wish));
    let is_taken = matches!(answer, Some(Answer::DryRun(refused)) if refused.is_empty());
    on_immutable(&snapshot.spec, &wish.object) == OnImmutable::Recreate && is_refused && is_taken
}

/// A hook runs only in an operation that is stored and under way.
fn stored_first(snapshot: &Snapshot, id: &ObjectId) -> Option<(&'static str, String)> {
    let is_under_way = snapshot.operation.as_ref().is_some_and(|operation| !operation.phase.is_over());
    (!is_under_way).then(|| ("store-before-hooks", format!("hook {id} would run in no operation that is stored")))
}

/// With hooks that run first, nothing is applied before they are known to have succeeded, unless a person picked it.
fn after_pre_sync(snapshot: &Snapshot, id: &ObjectId) -> Option<(&'static str, String)> {
    if Request::pending(&snapshot.config).is_some_and(|request| request.is_selective()) {
        return None;
    }
    let is_install = snapshot.operation.as_ref().is_some_and(|operation| operation.is_install);
    let mut before = snapshot.hooks.iter().filter(|hook| hook.spec.phases(is_install).contains(&HookPhase::PreSync));
    before.next()?;
    let operation = snapshot.operation.as_ref();
    let is_ready = operation.is_some_and(|operation| {
        let is_past = !matches!(operation.phase, Phase::PreSync | Phase::SyncFail | Phase::Failed);
        operation.digest == snapshot.desired_digest() && (operation.is_applied || is_past)
    });
    (!is_ready).then(|| ("hooks-before-apply", format!("{id} would be applied before the hooks that come first")))
}

/// Fields are taken by force only where the user says so, or from an object that this config applied before.
fn forced(snapshot: &Snapshot, id: &ObjectId, force: bool) -> Option<(&'static str, String)> {
    if !force || snapshot.spec.apply.force_conflicts {
        return None;
    }
    let live = snapshot.live.get(id)?;
    let is_ours = Owner::of(live).is_none_or(|owner| owner.uid == snapshot.identity.uid);
    let was_applied = live.annotations().keys().any(|key| key.starts_with("sluice.dev/applied"));
    (!is_ours || !was_applied)
        .then(|| ("force-needs-a-claim", format!("fields of {id} would be taken by force that never were ours")))
}

/// A delete names the life that the stored inventory owns.
fn owned(snapshot: &Snapshot, id: &ObjectId, uid: Option<&object_model::Uid>) -> Option<(&'static str, String)> {
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
    if owner.is_some_and(|owner| owner.uid != snapshot.identity.uid && snapshot.other_owners.contains(&owner.uid)) {
        return Some(("one-owner", format!("{id} belongs to another config")));
    }
    None
}
