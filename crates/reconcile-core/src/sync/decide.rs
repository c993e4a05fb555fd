//! Decides the next safe step of a GitOpsConfig. Pure: reads a [`Snapshot`], returns a [`Plan`].
//!
//! | state | does | deletes |
//! |---|---|---|
//! | invalid spec, suspended | tells | nothing |
//! | head unknown or old, or a refresh is wanted | asks for a fetch | nothing |
//! | fetch or render failed | tells what and where; the last good state keeps serving | nothing |
//! | rendered, inventory does not have every wish | writes the inventory | nothing |
//! | a wave differs from live | applies its first stage that differs | nothing |
//! | all applied, inventory not proven | writes the inventory | nothing |
//! | something left Git | prunes what the inventory owns, after a fresh read | that |
//! | a Rollout of it aborted, and write-back is on | makes a Promotion that takes the commit back | nothing |

use std::collections::BTreeSet;

use diff_engine::{
    ENTRIES_PER_CHUNK, Inventory, InventoryScope, KeepReason, LiveView, Owner, PrunePolicy, PruneScope, PruneVerdict,
    RenderOutcome, StageName, Wanted,
};
use object_model::{Object, ObjectId, format_time};
use serde_json::Value;

use super::desired::{self, Prepared, Wish};
use super::snapshot::{Snapshot, Source, head_slot, render_slot};
use super::{rollback, status};
use crate::patch::{canonical, digest};
use crate::time::after;
use crate::{
    Act, Action, EventType, FieldManager, Kind, Note, ObjectRef, Plan, Precondition, Propagation, Question, Reason,
    RecordRow, Side, SourceFailure, kinds,
};

/// Returns the plan that moves the cluster one safe step closer to what Git says.
pub(super) fn decide(snapshot: &Snapshot) -> Plan {
    let mut plan = Plan::empty();
    let mut report = status::Report::default();
    if snapshot.config.is_deleting() {
        plan.wait(snapshot.identity.to_string(), "it is being deleted; what it applied stays");
        return plan;
    }
    if !snapshot.problems.is_empty() {
        let list: Vec<String> = snapshot.problems.iter().map(ToString::to_string).collect();
        report.stall("InvalidSpec", &list.join("; "));
    } else if snapshot.spec.suspend {
        report.suspend();
    } else {
        fetch(snapshot, &mut plan);
        follow(snapshot, &mut plan, &mut report);
    }
    for failure in report.failures() {
        note(snapshot, &mut plan, failure.0, &failure.1);
    }
    status::write(snapshot, &report, &mut plan);
    plan
}

/// Asks where the branch is when nobody knows, the answer is old, or somebody wants to know now.
fn fetch(snapshot: &Snapshot, plan: &mut Plan) {
    let due = match &snapshot.source {
        Source::Unknown => Some(snapshot.now),
        Source::FetchFailed(failure) => after(failure.at, snapshot.spec.interval.min(RETRY_MAX)),
        Source::Fetched(head) | Source::RenderFailed(head, _) | Source::Rendered(head, _) => {
            after(head.at, snapshot.spec.interval)
        }
    };
    let is_due = snapshot.refresh_wanted || due.is_none_or(|due| due <= snapshot.now);
    if is_due && !snapshot.fetch_asked {
        let question = Question::Fetch(snapshot.git.clone());
        plan.stage(vec![Act::new(Action::Ask { slot: head_slot(&snapshot.git), question: Box::new(question) })]);
    } else if let Some(due) = due {
        plan.wake_at(due);
    }
}

/// A failed fetch is tried again at least this often.
const RETRY_MAX: object_model::Duration = object_model::Duration::from_secs(30);

fn follow(snapshot: &Snapshot, plan: &mut Plan, report: &mut status::Report) {
    match &snapshot.source {
        Source::Unknown => plan.wait(snapshot.git.url.clone(), "the branch has not been fetched yet"),
        Source::FetchFailed(failure) => fail(report, "Fetched", failure),
        Source::Fetched(head) => {
            report.fetched = true;
            plan.wait(
                snapshot.git.url.clone(),
                format!("commit {} is being rendered", head.commit.get(..8).unwrap_or(&head.commit)),
            );
            let question = Question::Render {
                source: snapshot.git.clone(),
                commit: head.commit.clone(),
                path: snapshot.spec.path.clone(),
                render: Box::new(snapshot.spec.render.clone()),
                namespace: snapshot.spec.namespace.clone(),
                seed: snapshot.uid().as_str().to_owned(),
            };
            let slot = render_slot(&snapshot.uid(), &head.commit, &snapshot.spec);
            plan.stage(vec![Act::new(Action::Ask { slot, question: Box::new(question) })]);
        }
        Source::RenderFailed(_, failure) => {
            report.fetched = true;
            fail(report, "Rendered", failure);
        }
        Source::Rendered(..) => {
            report.fetched = true;
            report.rendered = true;
            apply(snapshot, plan, report);
        }
    }
}

fn fail(report: &mut status::Report, condition: &'static str, failure: &SourceFailure) {
    report.broken = Some((condition, failure.reason.clone(), failure.message.clone()));
}

fn apply(snapshot: &Snapshot, plan: &mut Plan, report: &mut status::Report) {
    let stored = match &snapshot.inventory {
        Ok(inventory) => inventory,
        Err(why) => return report.stall("InventoryUnreadable", why),
    };
    let objects: Vec<Object> = snapshot.wishes.iter().map(|wish| wish.object.clone()).collect();
    let waves = match diff_engine::apply_order(&objects) {
        Ok(waves) => waves,
        Err(errors) => {
            return report.stall("InvalidWave", &errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "));
        }
    };
    if snapshot.wishes.is_empty() && !snapshot.spec.prune_allow_empty && !stored.is_empty() {
        return report.stall(
            "RenderEmpty",
            &format!(
                "path `{}` renders to no object; nothing is pruned (spec.prune.guard.allowEmpty)",
                snapshot.spec.path
            ),
        );
    }
    let inventory = planned_inventory(snapshot, stored, &waves);
    if write_inventory(snapshot, &inventory, plan, report) {
        return;
    }
    let pending = apply_waves(snapshot, &waves, &inventory, plan, report);
    if pending == 0 && report.errors.is_empty() {
        prune(snapshot, &inventory, plan, report);
        record(snapshot, plan);
    }
    status::health(snapshot, report);
    rollback::consider(snapshot, plan, report);
}

fn planned_inventory(snapshot: &Snapshot, stored: &Inventory, waves: &[diff_engine::Wave<'_>]) -> Inventory {
    let mut wanted = Vec::new();
    for wave in waves {
        for object in wave.stages.iter().flat_map(|stage| &stage.objects) {
            wanted.push(Wanted { id: object.id(), version: object.gvk().version, wave: wave.number });
        }
    }
    let operation = snapshot.rendered().map(|rendered| rendered.touched.commit.clone()).unwrap_or_default();
    let now = format_time(snapshot.now);
    let scope = InventoryScope { config: &snapshot.identity, operation: &operation, now: &now };
    diff_engine::plan_inventory(stored, &wanted, &live_view(snapshot), &scope)
}

fn live_view(snapshot: &Snapshot) -> LiveView<'_> {
    let mut view = LiveView::new(snapshot.live.values().map(|object| &**object));
    for id in &snapshot.unserved {
        view = view.without_kind(&id.group, &id.kind);
    }
    view
}

/// Writes what the stored inventory lacks; `true` when there was something to write, which must be seen before more.
fn write_inventory(snapshot: &Snapshot, inventory: &Inventory, plan: &mut Plan, report: &mut status::Report) -> bool {
    report.inventory = inventory.len();
    let stored = snapshot.chunks.iter().map(|chunk| &**chunk);
    let chunks = match diff_engine::plan_chunks(stored, inventory, &snapshot.identity, ENTRIES_PER_CHUNK) {
        Ok(chunks) => chunks,
        Err(error) => {
            report.stall("InventoryUnwritable", &error.to_string());
            return true;
        }
    };
    if chunks.is_empty() {
        return false;
    }
    let (objects, deletes) =
        if chunks.write.is_empty() { (chunks.shrink, chunks.delete) } else { (chunks.write, Vec::new()) };
    let mut acts: Vec<Act> = objects.into_iter().filter_map(|chunk| chunk_write(snapshot, chunk)).collect();
    acts.extend(deletes.iter().filter_map(|name| chunk_delete(snapshot, name)));
    plan.stage(acts);
    plan.wait("inventory", "it is written before anything is created");
    true
}

/// A chunk is replaced under the version that was read, or created under its deterministic name.
fn chunk_write(snapshot: &Snapshot, mut chunk: Object) -> Option<Act> {
    let kind = kinds::inventory();
    chunk.set_at(&["apiVersion"], kind.api_version().into());
    let stored = snapshot.chunks.iter().find(|stored| stored.name() == chunk.name());
    let Some(stored) = stored else {
        return Some(Act::new(Action::Create { kind, object: Box::new(chunk) }));
    };
    let spec = chunk.pointer("/spec")?.clone();
    Some(Act::new(Action::Patch {
        target: ObjectRef::of(&kind, stored),
        patch: serde_json::json!({"spec": spec}),
        precondition: Precondition::exact(stored),
    }))
}

fn chunk_delete(snapshot: &Snapshot, name: &str) -> Option<Act> {
    let stored = snapshot.chunks.iter().find(|stored| stored.name() == name)?;
    Some(Act::new(Action::Delete {
        target: ObjectRef::of(&kinds::inventory(), stored),
        precondition: Precondition::exact(stored),
        propagation: Propagation::Background,
    }))
}

/// Applies the first stage that differs from live; a later wave waits until the earlier ones are healthy.
fn apply_waves(
    snapshot: &Snapshot,
    waves: &[diff_engine::Wave<'_>],
    inventory: &Inventory,
    plan: &mut Plan,
    report: &mut status::Report,
) -> usize {
    let mut pending = 0;
    for wave in waves {
        for stage in &wave.stages {
            let acts = apply_stage(snapshot, &stage.objects, inventory, report);
            if !acts.is_empty() {
                pending += acts.len();
                plan.stage(acts);
                return pending;
            }
            if stage.name == StageName::Definitions && !are_healthy(snapshot, &stage.objects) {
                plan.wait("CustomResourceDefinitions", "they are not established yet");
                return pending + 1;
            }
        }
        let objects: Vec<&Object> = wave.stages.iter().flat_map(|stage| stage.objects.iter().copied()).collect();
        let is_last = waves.last().is_some_and(|last| last.number == wave.number);
        if !is_last && !are_healthy(snapshot, &objects) {
            plan.wait(format!("wave {}", wave.number), "its objects are not healthy yet");
            return pending + 1;
        }
    }
    pending
}

fn are_healthy(snapshot: &Snapshot, objects: &[&Object]) -> bool {
    objects.iter().all(|object| {
        let live = snapshot.live.get(&object.id());
        let health = live.and_then(|live| diff_engine::assess(live));
        live.is_some() && health.is_none_or(|health| health.status == diff_engine::HealthStatus::Healthy)
    })
}

fn apply_stage(
    snapshot: &Snapshot,
    objects: &[&Object],
    inventory: &Inventory,
    report: &mut status::Report,
) -> Vec<Act> {
    let mut acts = Vec::new();
    for object in objects {
        let id = object.id();
        let Some(wish) = snapshot.wishes.iter().find(|wish| wish.object.id() == id) else { continue };
        let Some(kind) = snapshot.kind_of(&id) else {
            report.error(&id, wish, "UnknownKind", format!("the cluster serves no kind {}", wish.object.gvk()));
            continue;
        };
        if let Some(owner) = foreign_owner(snapshot, &id) {
            report.error(
                &id,
                wish,
                "OwnedByOther",
                format!("it belongs to GitOpsConfig {owner}; remove it from one of the two paths"),
            );
            continue;
        }
        let owner = inventory.owner_of(&id, &snapshot.identity);
        let prepared = desired::prepare(snapshot, wish, owner.as_ref());
        if prepared.is_in_sync() {
            report.in_sync += 1;
            continue;
        }
        report.differs(&id, &prepared);
        if let Some(why) = snapshot.refusals.get(&id) {
            report.error(&id, wish, "ApplyFailed", why.clone());
            continue;
        }
        if !snapshot.spec.self_heal && is_drift(snapshot, wish, &prepared) {
            report.drifted(&id);
            continue;
        }
        acts.push(apply_act(snapshot, kind, prepared));
    }
    acts
}

/// Whether the difference came from the cluster's side: the commit that stands on the object is the present one.
fn is_drift(snapshot: &Snapshot, wish: &Wish, prepared: &Prepared) -> bool {
    let live = snapshot.live.get(&wish.object.id());
    let commit = live.and_then(|live| live.annotation(api::names::COMMIT));
    prepared.comparison.is_some() && commit == snapshot.rendered().map(|rendered| rendered.touched.commit.as_str())
}

fn foreign_owner(snapshot: &Snapshot, id: &ObjectId) -> Option<String> {
    let owner = Owner::of(snapshot.live.get(id)?)?;
    (owner.uid != snapshot.identity.uid).then_some(owner.config)
}

fn apply_act(snapshot: &Snapshot, kind: &Kind, prepared: Prepared) -> Act {
    let live = snapshot.live.get(&prepared.object.id());
    let precondition = live.map(|live| Precondition::uid(live)).unwrap_or_default();
    Act::new(Action::Apply {
        kind: kind.clone(),
        object: Box::new(prepared.object),
        manager: FieldManager::Sync,
        // Drift is repaired even though whoever edited a field owns it now; a field that was never ours is a conflict.
        force: snapshot.spec.force_conflicts || prepared.is_repair,
        precondition,
    })
    .by(snapshot.actor())
}

/// Deletes what left Git and the inventory owns, under uid and version, after a complete render only.
fn prune(snapshot: &Snapshot, inventory: &Inventory, plan: &mut Plan, report: &mut status::Report) {
    let desired: BTreeSet<ObjectId> = snapshot.wishes.iter().map(|wish| wish.object.id()).collect();
    let policy = PrunePolicy {
        is_enabled: snapshot.spec.prune,
        allows_empty: snapshot.spec.prune_allow_empty,
        share_max_percent: snapshot.spec.prune_percent_max,
        ..PrunePolicy::default()
    };
    let scope = PruneScope { config: &snapshot.identity, render: RenderOutcome::Complete, policy: &policy };
    let decisions = diff_engine::prune_plan(inventory, &desired, &live_view(snapshot), &scope);
    let mut wave = None;
    let mut acts = Vec::new();
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
        let Some(kind) = snapshot.kind_of(&decision.id) else { continue };
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
    plan.stage(acts);
}

/// Appends what Git wanted to the record, once per object, content and commit.
fn record(snapshot: &Snapshot, plan: &mut Plan) {
    let rows: Vec<RecordRow> =
        record_rows(snapshot).into_iter().filter(|row| !snapshot.recorded.contains(&row.key)).collect();
    if !rows.is_empty() {
        plan.stage(vec![Act::new(Action::Record { rows })]);
    }
}

/// The rows that say what the present render wants, each under the commit that last changed the object.
pub(super) fn record_rows(snapshot: &Snapshot) -> Vec<RecordRow> {
    let Some(rendered) = snapshot.rendered() else { return Vec::new() };
    let touched = &rendered.touched;
    let row = |wish: &Wish| {
        let id = wish.object.id();
        let live = snapshot.live.get(&id)?;
        // An object that this commit did not change has its row from the commit that did.
        if live.annotation(api::names::COMMIT) != Some(&touched.commit) {
            return None;
        }
        let content = recorded_content(&wish.object);
        let digest = digest(&canonical(&content));
        let asker = touched.trailer("Sluice-Requested-By").map(str::to_owned);
        let author = format!("{} <{}>", touched.author.name, touched.author.email);
        Some(RecordRow {
            key: format!("desired/{}/{id}/{digest}/{}", snapshot.identity.uid, touched.commit),
            side: Side::Desired,
            object: id,
            at: touched.time,
            digest,
            content,
            commit: Some(touched.commit.clone()),
            asker: Some(asker.unwrap_or_else(|| author.clone())),
            author: Some(author),
            build: touched.trailer("Sluice-Build").map(str::to_owned),
            source: touched.trailer("Sluice-Source").map(str::to_owned),
            operation: touched.trailer("Sluice-Operation").map(str::to_owned),
        })
    };
    snapshot.wishes.iter().filter_map(row).collect()
}

/// What the record keeps of an object: normalised, and of a Secret only the keys.
fn recorded_content(object: &Object) -> Value {
    let mut object = diff_engine::normalise(object);
    if object.kind() == "Secret" && object.group().is_empty() {
        for field in ["data", "stringData"] {
            let Some(Value::Object(map)) = object.json_mut().get_mut(field) else { continue };
            map.values_mut().for_each(|value| *value = "[redacted]".into());
        }
    }
    object.into_json()
}

/// Adds an Event about the config; the same failure at the same commit is one Event.
pub(super) fn note(snapshot: &Snapshot, plan: &mut Plan, reason: &'static str, message: &str) {
    plan.notes.push(Note {
        about: ObjectRef::of(&snapshot.kind, &snapshot.config),
        uid: snapshot.uid(),
        kind: EventType::Warning,
        reason: Reason(reason),
        message: message.to_owned(),
        transition: format!("{reason}/{}", digest(message)),
    });
}

/// A mapping with only what is set.
pub(super) fn compact(pairs: Vec<(&str, Value)>) -> Value {
    Value::Object(
        pairs.into_iter().filter(|(_, value)| !value.is_null()).map(|(key, value)| (key.to_owned(), value)).collect(),
    )
}
