//! Applies what Git wants, wave by wave.

use std::collections::BTreeSet;

use api::{ApplyMode, OnImmutable};
use diff_engine::{HealthStatus, HookPhase, Inventory, Owner, StageName, Wave};
use object_model::{Object, ObjectId};

use super::desired::{self, Prepared, Wish};
use super::hooks::{self, is_of_attempt};
use super::operation::{HookRecord, Operation, delay};
use super::options::{apply_mode, is_not_reconciled, on_immutable};
use super::recreate;
use super::request::Request;
use super::snapshot::Snapshot;
use super::status;
use crate::bugs::{self, Bug};
use crate::time::after;
use crate::{Act, Action, FieldManager, Kind, Plan, Precondition, Refusal};

/// A kind that is not served may be installed by somebody at any time.
const UNKNOWN_KIND_RETRY: object_model::Duration = object_model::Duration::from_secs(15);

/// How the objects are gone through.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Pass<'a> {
    /// Whether anything is written; otherwise it is only looked at.
    pub(super) writes: bool,
    /// The running operation: its waves wait for the ones before them, and its hooks run between them.
    pub(super) operation: Option<&'a Operation>,
    /// Only these objects.
    pub(super) only: Option<&'a Request>,
}

/// How far a pass came.
#[derive(Debug, PartialEq)]
pub(super) enum Reached {
    /// Something is written, or waited for.
    Pending,
    /// Hooks have news that must be stored first.
    News(Vec<HookRecord>),
    /// An object or hook keeps the operation from going on.
    Failed(String),
    /// Everything was gone through.
    End,
}

/// Goes through the waves up to the first stage that differs from live.
pub(super) fn go_through(
    snapshot: &Snapshot,
    waves: &[Wave<'_>],
    inventory: &Inventory,
    pass: Pass<'_>,
    plan: &mut Plan,
    report: &mut status::Report,
) -> Reached {
    report.has_passed |= pass.writes;
    let hook_waves = pass.operation.map(|operation| {
        let hooks = hooks::hooks_of(operation, &snapshot.hooks).into_iter();
        hooks.filter(|hook| hook.phase == HookPhase::Sync).map(|hook| hook.wave).collect::<BTreeSet<i32>>()
    });
    let mut numbers: BTreeSet<i32> = hook_waves.unwrap_or_default();
    numbers.extend(waves.iter().map(|wave| wave.number));
    let last = numbers.last().copied();
    for number in numbers {
        let wave = waves.iter().find(|wave| wave.number == number);
        for stage in wave.into_iter().flat_map(|wave| &wave.stages) {
            let acts = apply_stage(snapshot, &stage.objects, inventory, pass, plan, report);
            if !pass.writes {
                continue;
            }
            if !acts.is_empty() {
                plan.stage(acts);
                return Reached::Pending;
            }
            if stage.name == StageName::Definitions && unhealthy(snapshot, &stage.objects).is_some() {
                plan.wait("CustomResourceDefinitions", "they are not established yet");
                return Reached::Pending;
            }
        }
        let Some(operation) = pass.operation.filter(|_| pass.writes) else { continue };
        if let Some((_, _, message)) = report.errors.first() {
            return Reached::Failed(message.clone());
        }
        if let Some(reached) = run_hooks(snapshot, operation, number, inventory, plan, report) {
            return reached;
        }
        let objects: Vec<&Object> =
            wave.into_iter().flat_map(|wave| &wave.stages).flat_map(|stage| stage.objects.iter().copied()).collect();
        if Some(number) != last
            && !operation.is_applied
            && let Some(reached) = gate(snapshot, number, &objects, plan, report)
        {
            return reached;
        }
    }
    Reached::End
}

/// The hooks of the Sync phase up to a wave; `None` when they are done.
fn run_hooks(
    snapshot: &Snapshot,
    operation: &Operation,
    wave: i32,
    inventory: &Inventory,
    plan: &mut Plan,
    report: &mut status::Report,
) -> Option<Reached> {
    let progress = hooks::run(snapshot, operation, HookPhase::Sync, wave, inventory);
    if progress.is_done() {
        return None;
    }
    plan.stage(progress.acts);
    if let Some(message) = progress.failure {
        return Some(Reached::Failed(message));
    }
    report.progress = progress.waiting;
    Some(if progress.news.is_empty() { Reached::Pending } else { Reached::News(progress.news) })
}

/// The next wave waits until this one is healthy, and does not come when an object of it has failed.
fn gate(
    snapshot: &Snapshot,
    number: i32,
    objects: &[&Object],
    plan: &mut Plan,
    report: &mut status::Report,
) -> Option<Reached> {
    let (id, health) = unhealthy(snapshot, objects)?;
    let message = health.map(|health| (health.status, health.message));
    if let Some((HealthStatus::Degraded, why)) = message {
        return Some(Reached::Failed(format!("{id} of wave {number} is degraded: {why}")));
    }
    plan.wait(format!("wave {number}"), format!("{id} is not healthy yet"));
    report.progress = Some(format!("wave {number}: {id} is not healthy yet"));
    Some(Reached::Pending)
}

/// The object that fares worst among those that are not healthy.
pub(super) fn unhealthy(snapshot: &Snapshot, objects: &[&Object]) -> Option<(ObjectId, Option<diff_engine::Health>)> {
    let mut worst: Option<(ObjectId, Option<diff_engine::Health>)> = None;
    for object in objects {
        let id = object.id();
        let health = match snapshot.live.get(&id) {
            None => None,
            Some(_) => match snapshot.healths.get(&id) {
                None => continue,
                Some(health) if health.status == HealthStatus::Healthy => continue,
                Some(health) => Some(health.clone()),
            },
        };
        let rank = |health: &Option<diff_engine::Health>| health.as_ref().map(|health| health.status);
        if worst.as_ref().is_none_or(|(_, have)| rank(&health) > rank(have)) {
            worst = Some((id, health));
        }
    }
    worst
}

fn apply_stage(
    snapshot: &Snapshot,
    objects: &[&Object],
    inventory: &Inventory,
    pass: Pass<'_>,
    plan: &mut Plan,
    report: &mut status::Report,
) -> Vec<Act> {
    let mut acts = Vec::new();
    for object in objects {
        let id = object.id();
        if pass.only.is_some_and(|request| !request.covers(&id)) {
            continue;
        }
        let Some(wish) = snapshot.wishes.iter().find(|wish| wish.object.id() == id) else { continue };
        acts.extend(apply_one(snapshot, wish, inventory, pass, plan, report));
    }
    acts
}

fn apply_one(
    snapshot: &Snapshot,
    wish: &Wish,
    inventory: &Inventory,
    pass: Pass<'_>,
    plan: &mut Plan,
    report: &mut status::Report,
) -> Option<Act> {
    let id = wish.object.id();
    let Some(kind) = snapshot.kind_of(&id) else {
        if let Some(again) = after(snapshot.now, UNKNOWN_KIND_RETRY) {
            plan.wake_at(again);
        }
        report.error(&id, wish, "UnknownKind", format!("the cluster serves no kind {}", wish.object.gvk()));
        return None;
    };
    let mode = apply_mode(&snapshot.spec, &wish.object);
    let is_held = snapshot.live.get(&id).is_some_and(|live| is_not_reconciled(live));
    if is_held || (mode == ApplyMode::IfNotPresent && snapshot.live.contains_key(&id)) {
        report.in_sync += 1;
        return None;
    }
    if let Some(owner) = foreign_owner(snapshot, &id) {
        let why = format!("it belongs to GitOpsConfig {owner}; remove it from one of the two paths");
        report.error(&id, wish, "OwnedByOther", why);
        return None;
    }
    let owner = inventory.owner_of(&id, &snapshot.identity);
    let prepared = desired::prepare(snapshot, wish, owner.as_ref());
    if prepared.is_in_sync() {
        report.in_sync += 1;
        return None;
    }
    report.differs(&id, &prepared);
    let counts = |at| pass.operation.is_none_or(|operation| is_of_attempt(operation, at));
    if let Some(refusal) = snapshot.refusals.get(&id).filter(|refusal| counts(refusal.at)) {
        if on_immutable(&snapshot.spec, &wish.object) == OnImmutable::Recreate && recreate::is_immutable(refusal) {
            return recreate::step(snapshot, wish, kind, &prepared.object, inventory, pass.writes, plan, report);
        }
        if !is_tried_again(snapshot, refusal, pass, plan) {
            report.error(&id, wish, "ApplyFailed", refusal.message.clone());
            return None;
        }
    }
    if !snapshot.spec.sync.self_heal && pass.only.is_none() && is_drift(snapshot, wish, &prepared) {
        report.drifted(&id);
        return None;
    }
    if snapshot.live.get(&id).is_some_and(|live| live.is_deleting()) {
        plan.wait(id.to_string(), "it is being deleted");
        report.progress = Some(format!("{id} is being deleted, it is applied once it is gone"));
        return None;
    }
    pass.writes.then(|| apply_act(snapshot, kind, mode, prepared))
}

/// Whether the delay after a refusal that may pass is over. The attempts of an operation have delays of their own.
fn is_tried_again(snapshot: &Snapshot, refusal: &Refusal, pass: Pass<'_>, plan: &mut Plan) -> bool {
    let retry = &snapshot.spec.sync.retry;
    if !refusal.may_pass || !pass.writes || pass.operation.is_some() || refusal.attempts > retry.limit {
        return false;
    }
    match after(refusal.at, delay(refusal.attempts, retry)) {
        Some(due) if due <= snapshot.now => true,
        Some(due) => {
            plan.wake_at(due);
            false
        }
        None => false,
    }
}

/// Whether the difference came from the cluster's side: the commit that stands on the object is the present one.
fn is_drift(snapshot: &Snapshot, wish: &Wish, prepared: &Prepared) -> bool {
    let live = snapshot.live.get(&wish.object.id());
    let commit = live.and_then(|live| live.annotation(api::names::COMMIT));
    prepared.comparison.is_some() && commit == snapshot.rendered().map(|rendered| rendered.touched.commit.as_str())
}

fn foreign_owner(snapshot: &Snapshot, id: &ObjectId) -> Option<String> {
    let owner = Owner::of(snapshot.live.get(id)?)?;
    snapshot.other_owners.contains(&owner.uid).then_some(owner.config)
}

fn apply_act(snapshot: &Snapshot, kind: &Kind, mode: ApplyMode, prepared: Prepared) -> Act {
    let live = snapshot.live.get(&prepared.object.id());
    let mode = if bugs::on(Bug::ReplacedInsteadOfApplied) { ApplyMode::Replace } else { mode };
    let action = match (mode, live) {
        (ApplyMode::Replace, Some(live)) => Action::Replace {
            kind: kind.clone(),
            object: Box::new(prepared.object),
            precondition: Precondition::exact(live),
        },
        _ => Action::Apply {
            kind: kind.clone(),
            object: Box::new(prepared.object),
            manager: FieldManager::Sync,
            // Drift is repaired even though whoever edited a field owns it now; a field that was never ours is a
            // conflict.
            force: snapshot.spec.apply.force_conflicts || prepared.is_repair,
            precondition: live.map(|live| Precondition::uid(live)).unwrap_or_default(),
        },
    };
    Act::new(action).by(snapshot.actor())
}
