//! Runs the hooks of one phase of an operation: wave by wave, each result stored before anything follows from it.
//!
//! A hook carries the run that it belongs to, so after a crash a hook that was created is known again, and an earlier
//! one is told from it. Hooks stand in the inventory like all objects: what is not owned by it is never deleted.

use std::collections::BTreeMap;

use diff_engine::{EntryState, HookOutcome, HookPhase, HookSpec, Inventory, kind_rank, outcome_of};
use object_model::{Object, ObjectId};

use super::operation::{HookRecord, HookResult, Operation};
use super::snapshot::Snapshot;
use crate::bugs::{self, Bug};
use crate::{Act, Action, ObjectRef, Precondition, Propagation};

/// Annotation on the object of a hook: the operation, attempt and phase that created it.
const RUN: &str = "sluice.dev/hook-run";
/// Longest name of an object whose end we choose: names of Jobs become labels.
const NAME_CHARS_MAX: usize = 63;

/// A hook as Git has it.
#[derive(Debug, Clone, PartialEq)]
pub struct HookTemplate {
    /// The object; it may lack the end of its name.
    pub object: Object,
    /// When it runs.
    pub spec: HookSpec,
    /// The file it came from.
    pub file: String,
    /// The line it begins on.
    pub line: u32,
}

/// A hook of one attempt and phase.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Hook {
    /// The object with its whole name.
    pub(super) object: Object,
    pub(super) phase: HookPhase,
    pub(super) wave: i32,
    pub(super) deletion: diff_engine::HookDeletion,
    place: String,
}

impl Hook {
    pub(super) fn id(&self) -> ObjectId {
        self.object.id()
    }
}

/// The hooks of an attempt, in every phase, in the order of their waves.
pub(super) fn hooks_of(operation: &Operation, templates: &[HookTemplate]) -> Vec<Hook> {
    let mut hooks = Vec::new();
    for (index, template) in templates.iter().enumerate() {
        for phase in template.spec.phases(operation.is_install) {
            let mut object = template.object.clone();
            if object.name().is_empty() {
                let stem = object.str_at("/metadata/generateName").unwrap_or("hook-");
                let name = generated_name(stem, operation, phase, index);
                object.set_at(&["metadata", "name"], name.into());
            }
            let line = if template.line > 0 { format!(":{}", template.line) } else { String::new() };
            hooks.push(Hook {
                object,
                phase,
                wave: template.spec.wave,
                deletion: template.spec.deletion,
                place: format!("{}{line}", template.file),
            });
        }
    }
    hooks.sort_by_cached_key(|hook| {
        let id = hook.id();
        (hook.wave, kind_rank(&id.group, &id.kind), id)
    });
    hooks
}

/// The same name for the same attempt, so that a repeat finds what was created.
fn generated_name(stem: &str, operation: &Operation, phase: HookPhase, index: usize) -> String {
    let commit = operation.commit.get(..7).unwrap_or(&operation.commit);
    let end =
        format!("{commit}-{}-{}-{}-{index}", phase.to_string().to_lowercase(), operation.operation, operation.attempt);
    let room = NAME_CHARS_MAX.saturating_sub(end.len());
    let stem: String = stem.chars().take(room).collect();
    format!("{stem}{end}")
}

/// How the hooks of a phase do.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// What to do next.
    pub(super) acts: Vec<Act>,
    /// Results that are not stored yet.
    pub(super) news: Vec<HookRecord>,
    /// What is waited for.
    pub(super) waiting: Option<String>,
    /// Why the phase has failed.
    pub(super) failure: Option<String>,
}

impl Progress {
    /// Whether every hook has succeeded and all of it is stored.
    pub(super) fn is_done(&self) -> bool {
        self.acts.is_empty() && self.news.is_empty() && self.waiting.is_none() && self.failure.is_none()
    }
}

/// Looks at the hooks of a phase up to and with `wave`, one wave after the other.
pub(super) fn run(
    snapshot: &Snapshot,
    operation: &Operation,
    phase: HookPhase,
    wave: i32,
    inventory: &Inventory,
) -> Progress {
    let mut waves: BTreeMap<i32, Vec<Hook>> = BTreeMap::new();
    for hook in hooks_of(operation, &snapshot.hooks) {
        if hook.phase == phase && hook.wave <= wave {
            waves.entry(hook.wave).or_default().push(hook);
        }
    }
    let mut progress = Progress::default();
    for hooks in waves.values() {
        for hook in hooks {
            look_at(snapshot, operation, hook, inventory, &mut progress);
        }
        // The others of the wave are left to finish before a failure counts.
        if !progress.acts.is_empty() || !progress.news.is_empty() || progress.waiting.is_some() {
            progress.failure = None;
            return progress;
        }
        if progress.failure.is_some() {
            return progress;
        }
    }
    progress
}

fn look_at(snapshot: &Snapshot, operation: &Operation, hook: &Hook, inventory: &Inventory, progress: &mut Progress) {
    let id = hook.id();
    let name = id.to_string();
    let record = operation.record_of(&name, hook.phase);
    match record.map(|record| record.result) {
        Some(HookResult::Succeeded) if bugs::on(Bug::HookAgain) && !snapshot.live.contains_key(&id) => {}
        Some(HookResult::Succeeded) => return,
        Some(HookResult::Failed) => {
            let message = record.map(|record| record.message.clone()).unwrap_or_default();
            progress.failure.get_or_insert(format!("{} hook {name} failed: {message}", hook.phase));
            return;
        }
        Some(HookResult::Running) | None => {}
    }
    let mut note = |result, message: String| {
        let phase = hook.phase;
        progress.news.push(HookRecord { object: name.clone(), phase, result, message });
    };
    let Some(live) = snapshot.live.get(&id) else {
        if record.is_some() && !bugs::on(Bug::HookAgain) {
            return note(HookResult::Failed, "it was deleted before its result was seen".to_owned());
        }
        return match create(snapshot, operation, hook, inventory) {
            Ok(act) => progress.acts.push(act),
            Err(why) => note(HookResult::Failed, why),
        };
    };
    let is_of_this_run = is_of_run(snapshot, operation, hook, live);
    if !is_of_this_run && hook.deletion.before_creation {
        return match delete(snapshot, &id, inventory) {
            Removal::Act(act) => progress.acts.push(*act),
            Removal::UnderWay => progress.waiting = Some(format!("{name} of an earlier run is being deleted")),
            Removal::NotOurs => note(
                HookResult::Failed,
                "an object of its name is there that this config did not create; delete or rename it".to_owned(),
            ),
        };
    }
    match outcome_of(snapshot.healths.get(&id)) {
        HookOutcome::Succeeded => note(HookResult::Succeeded, String::new()),
        HookOutcome::Failed(message) => note(HookResult::Failed, message),
        HookOutcome::Running if bugs::on(Bug::HookUnawaited) => note(HookResult::Succeeded, String::new()),
        HookOutcome::Running => {
            if record.is_none() {
                note(HookResult::Running, String::new());
            }
            progress.waiting = Some(format!("{} hook {name} is running", hook.phase));
        }
    }
}

/// Whether this config created the object for this run; one that had its name before counts its runs from one too.
fn is_of_run(snapshot: &Snapshot, operation: &Operation, hook: &Hook, live: &Object) -> bool {
    let is_ours = diff_engine::Owner::of(live).is_none_or(|owner| owner.uid == snapshot.identity.uid);
    is_ours && live.annotation(RUN) == Some(&operation.run(hook.phase))
}

fn create(snapshot: &Snapshot, operation: &Operation, hook: &Hook, inventory: &Inventory) -> Result<Act, String> {
    let id = hook.id();
    let Some(kind) = snapshot.kind_of(&id) else {
        return Err(format!("the cluster serves no kind {}", hook.object.gvk()));
    };
    if let Some(refusal) = snapshot.refusals.get(&id).filter(|refusal| is_of_attempt(operation, refusal.at)) {
        return Err(refusal.message.clone());
    }
    let mut object = hook.object.clone();
    object.set_label(api::names::MANAGED_LABEL, "true");
    object.set_annotation(api::names::CONFIG, &snapshot.identity.to_string());
    object.set_annotation(api::names::COMMIT, &operation.commit);
    object.set_annotation(api::names::SOURCE, &hook.place);
    object.set_annotation(RUN, &operation.run(hook.phase));
    if let Some(owner) = inventory.owner_of(&id, &snapshot.identity) {
        owner.put_on(&mut object);
    }
    Ok(Act::new(Action::Create { kind: kind.clone(), object: Box::new(object) }).by(snapshot.actor()))
}

/// A refusal counts for the attempt in which it came; the next one tries again.
pub(super) fn is_of_attempt(operation: &Operation, at: object_model::Timestamp) -> bool {
    operation.started().is_none_or(|started| at >= started)
}

enum Removal {
    Act(Box<Act>),
    UnderWay,
    NotOurs,
}

/// Deletes the life that the inventory owns.
fn delete(snapshot: &Snapshot, id: &ObjectId, inventory: &Inventory) -> Removal {
    let Some(live) = snapshot.live.get(id) else { return Removal::UnderWay };
    let owned = inventory.get(id).map(|entry| &entry.state);
    let is_ours = matches!(owned, Some(EntryState::Owned { uid }) if live.uid().as_ref() == Some(uid));
    let Some(kind) = snapshot.kind_of(id).filter(|_| is_ours) else { return Removal::NotOurs };
    if live.is_deleting() {
        return Removal::UnderWay;
    }
    let action = Action::Delete {
        target: ObjectRef::of(kind, live),
        precondition: Precondition::exact(live),
        propagation: Propagation::Background,
    };
    Removal::Act(Box::new(Act::new(action).by(snapshot.actor()).destructive()))
}

/// Deletes the hook that was given up.
pub(super) fn end(snapshot: &Snapshot, id: &ObjectId, inventory: &Inventory) -> Option<Act> {
    match delete(snapshot, id, inventory) {
        Removal::Act(act) => Some(*act),
        Removal::UnderWay | Removal::NotOurs => None,
    }
}

/// Deletes hooks whose phase is over and whose policy says so.
pub(super) fn clean_up(snapshot: &Snapshot, operation: &Operation, inventory: &Inventory) -> Vec<Act> {
    let mut acts = Vec::new();
    for hook in hooks_of(operation, &snapshot.hooks) {
        let id = hook.id();
        let Some(record) = operation.record_of(&id.to_string(), hook.phase) else { continue };
        let is_due = match record.result {
            HookResult::Succeeded => hook.deletion.on_success,
            HookResult::Failed => hook.deletion.on_failure,
            HookResult::Running => false,
        };
        if !is_due || operation.phase.hooks() == Some(hook.phase) || snapshot.refusals.contains_key(&id) {
            continue;
        }
        if !snapshot.live.get(&id).is_some_and(|live| is_of_run(snapshot, operation, &hook, live)) {
            continue;
        }
        if let Removal::Act(act) = delete(snapshot, &id, inventory) {
            acts.push(*act);
        }
    }
    acts
}

/// A hook of this config whose program runs now, whichever operation created it.
pub(super) fn at_work(snapshot: &Snapshot) -> Option<ObjectId> {
    let ours = snapshot.live.iter().filter(|(_, live)| live.annotation(RUN).is_some());
    let mut owned =
        ours.filter(|(_, live)| diff_engine::Owner::of(live).is_some_and(|owner| owner.uid == snapshot.identity.uid));
    owned.find(|(_, live)| diff_engine::is_hook_at_work(live)).map(|(id, _)| id.clone())
}

/// Whether a live object was created as a hook.
pub(super) fn is_hook(live: &Object) -> bool {
    live.annotation(RUN).is_some()
}
