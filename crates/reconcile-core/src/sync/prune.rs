//! Deletes what left Git.

use std::collections::BTreeSet;

use diff_engine::{Inventory, KeepReason, PrunePolicy, PruneScope, PruneVerdict, RenderOutcome};
use object_model::{Object, ObjectId};

use super::apply::unhealthy;
use super::handover;
use super::inventory::live_view;
use super::options::is_pruned_last;
use super::snapshot::Snapshot;
use super::status;
use crate::bugs::{self, Bug};
use crate::{Act, Action, ObjectRef, Plan, Precondition, Propagation};

/// Deletes what left Git and the inventory owns, under uid and version, after a complete render only.
pub(super) fn prune(snapshot: &Snapshot, inventory: &Inventory, plan: &mut Plan, report: &mut status::Report) {
    let desired = desired(snapshot);
    let policy = policy(snapshot);
    let is_healthy = is_healthy(snapshot);
    let scope = PruneScope { config: &snapshot.identity, render: RenderOutcome::Complete, policy: &policy };
    let decisions = diff_engine::prune_plan(inventory, &desired, &live_view(snapshot), &scope);
    let mut wave = None;
    let mut acts = Vec::new();
    let mut releases = Vec::new();
    for decision in &decisions {
        if let PruneVerdict::Keep(reason) = &decision.verdict {
            if matches!(reason, KeepReason::TooMany { .. }) {
                report.held = Some(format!(
                    "{reason}; nothing is pruned until a commit or spec.prune.guard.maxPercent says otherwise"
                ));
            }
            report.kept.push(format!("{}: {reason}", decision.id));
            continue;
        }
        if let Some(other) = snapshot.handover.wanted_by.get(&decision.id) {
            report.kept.push(format!("{}: GitOpsConfig {other} wants it and takes it over", decision.id));
            releases.extend(handover::release(snapshot, &decision.id));
            continue;
        }
        if let Some(other) = &snapshot.handover.unknown {
            report.kept.push(format!("{}: GitOpsConfig {other} may want it and is not rendered yet", decision.id));
            continue;
        }
        let Some(kind) = snapshot.kind_of(&decision.id) else { continue };
        let live = snapshot.live.get(&decision.id);
        let is_last = snapshot.spec.prune.last || live.is_some_and(|live| is_pruned_last(live));
        if is_last && !is_healthy {
            report.kept.push(format!("{}: it goes once everything is healthy", decision.id));
            continue;
        }
        if live.is_some_and(|live| diff_engine::is_hook_at_work(live)) {
            report.kept.push(format!("{}: it is a hook that runs", decision.id));
            continue;
        }
        if *wave.get_or_insert(decision.wave) != decision.wave {
            continue;
        }
        let action = Action::Delete {
            target: ObjectRef {
                kind: kind.clone(),
                namespace: decision.id.namespace.clone(),
                name: decision.id.name.clone(),
            },
            precondition: Precondition {
                uid: decision.uid.clone(),
                resource_version: decision.resource_version.clone(),
            },
            propagation: Propagation::Background,
        };
        report.pruned += 1;
        acts.push(Act::new(action).by(snapshot.actor()).destructive());
    }
    plan.stage(releases);
    plan.stage(acts);
}

/// How many objects that left Git are there to be deleted.
pub(super) fn pending(snapshot: &Snapshot, inventory: &Inventory) -> usize {
    let (desired, policy) = (desired(snapshot), policy(snapshot));
    let scope = PruneScope { config: &snapshot.identity, render: RenderOutcome::Complete, policy: &policy };
    let decisions = diff_engine::prune_plan(inventory, &desired, &live_view(snapshot), &scope);
    let goes = |decision: &&diff_engine::PruneDecision| {
        !matches!(decision.verdict, PruneVerdict::Keep(_)) && !snapshot.handover.wanted_by.contains_key(&decision.id)
    };
    decisions.iter().filter(goes).count()
}

/// What Git has, whatever its part in a sync.
pub(super) fn desired(snapshot: &Snapshot) -> BTreeSet<ObjectId> {
    let wishes = snapshot.wishes.iter().map(|wish| wish.object.id());
    let hooks = snapshot.running_hooks().into_iter().map(|hook| hook.id());
    wishes.chain(hooks).chain(snapshot.skipped.iter().cloned()).collect()
}

fn policy(snapshot: &Snapshot) -> PrunePolicy {
    let usual = PrunePolicy::default();
    let named = snapshot.spec.prune.protect_kinds.as_ref().map(|kinds| {
        let split = |kind: &String| {
            let (kind, group) = kind.split_once('.').unwrap_or((kind, ""));
            (group.to_owned(), kind.to_owned())
        };
        kinds.iter().map(split).collect()
    });
    PrunePolicy {
        is_enabled: snapshot.spec.prune.enabled,
        allows_empty: snapshot.spec.prune.allow_empty || bugs::on(Bug::PruneAfterFailedRender),
        share_max_percent: match bugs::on(Bug::PruneAfterFailedRender) {
            true => 100,
            false => snapshot.spec.prune.percent_max,
        },
        protected: named.unwrap_or_else(|| usual.protected.clone()),
        ..usual
    }
}

fn is_healthy(snapshot: &Snapshot) -> bool {
    let objects: Vec<&Object> = snapshot.wishes.iter().map(|wish| &wish.object).collect();
    unhealthy(snapshot, &objects).is_none()
}
