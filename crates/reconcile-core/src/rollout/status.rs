//! The status of a Rollout in Argo's words: phase, message, conditions, hashes, weights.

use object_model::{LabelSelector, Weight, format_time, parse_time};
use serde_json::{Map, Value, json};

use super::progress::Progress;
use super::route::Observed;
use super::snapshot::Snapshot;
use crate::patch::merge_patch;
use crate::time::after;
use crate::{ObjectRef, Plan, Precondition, StatusPatch, kinds};

/// Reports a spec that can't be carried out; nothing that runs is touched.
pub(super) fn invalid(snapshot: &Snapshot, plan: &mut Plan) {
    let first = snapshot.problems.first().map(ToString::to_string).unwrap_or_default();
    let message = format!("The Rollout \"{}\" is invalid: {first}", snapshot.rollout.name());
    plan.report.problems.extend(snapshot.problems.iter().map(ToString::to_string));
    let mut status = live_status(snapshot);
    let mut conditions = Conditions::of(&status);
    conditions.set("InvalidSpec", true, "InvalidSpec", &message, snapshot);
    status.insert("conditions".to_owned(), conditions.into_json());
    status.insert("phase".to_owned(), "Degraded".into());
    status.insert("message".to_owned(), format!("InvalidSpec: {message}").into());
    status.insert("observedGeneration".to_owned(), snapshot.rollout.generation().to_string().into());
    super::act::note(
        snapshot,
        plan,
        crate::EventType::Warning,
        "InvalidSpec",
        &message,
        &format!("invalid/{}", crate::patch::digest(&message)),
    );
    put(snapshot, status, plan);
}

fn live_status(snapshot: &Snapshot) -> Map<String, Value> {
    snapshot.rollout.pointer("/status").and_then(Value::as_object).cloned().unwrap_or_default()
}

/// Adds the status write to the plan when anything changed.
pub(super) fn write(snapshot: &Snapshot, progress: &Progress, observed: &Observed, plan: &mut Plan) {
    let mut status = live_status(snapshot);
    counts(snapshot, &mut status);
    memory(snapshot, progress, &mut status);
    canary(snapshot, progress, observed, &mut status);
    let mut conditions = Conditions::of(&status);
    conditions.list.retain(|item| text(item, "type") != "InvalidSpec");
    let (phase, message) = phase(snapshot, progress, &mut conditions, plan);
    status.insert("conditions".to_owned(), conditions.into_json());
    status.insert("phase".to_owned(), phase.into());
    put_text(&mut status, "message", Some(message).filter(|message| !message.is_empty()));
    put(snapshot, status, plan);
}

fn put(snapshot: &Snapshot, status: Map<String, Value>, plan: &mut Plan) {
    let live = Value::Object(live_status(snapshot));
    let Some(patch) = merge_patch(&live, &Value::Object(status)) else { return };
    plan.status = Some(StatusPatch {
        target: ObjectRef::of(&kinds::rollout(), &snapshot.rollout),
        patch: json!({"status": patch}),
        precondition: Precondition::exact(&snapshot.rollout),
        subresource: true,
    });
}

fn put_text(status: &mut Map<String, Value>, key: &str, value: Option<String>) {
    match value {
        Some(value) => status.insert(key.to_owned(), value.into()),
        None => status.remove(key),
    };
}

fn put_flag(status: &mut Map<String, Value>, key: &str, value: bool) {
    if value {
        status.insert(key.to_owned(), true.into());
    } else {
        status.remove(key);
    }
}

fn counts(snapshot: &Snapshot, status: &mut Map<String, Value>) {
    let sum = |count: fn(&super::snapshot::ReplicaSetView) -> u32| -> u32 { snapshot.sets.iter().map(count).sum() };
    let updated = snapshot.new_set().map_or(0, |set| set.current);
    status.insert("replicas".to_owned(), sum(|set| set.current).into());
    status.insert("HPAReplicas".to_owned(), sum(|set| set.current).into());
    status.insert("readyReplicas".to_owned(), sum(|set| set.ready).into());
    status.insert("availableReplicas".to_owned(), sum(|set| set.available).into());
    status.insert("updatedReplicas".to_owned(), updated.into());
    let selector =
        LabelSelector::parse(&snapshot.spec.selector).map(|selector| selector.to_string()).unwrap_or_default();
    status.insert("selector".to_owned(), selector.into());
    status.insert("observedGeneration".to_owned(), snapshot.rollout.generation().to_string().into());
}

fn memory(snapshot: &Snapshot, progress: &Progress, status: &mut Map<String, Value>) {
    put_text(status, "stableRS", progress.stable.as_ref().map(ToString::to_string));
    status.insert("currentPodHash".to_owned(), snapshot.hash.as_str().into());
    status.insert("currentStepHash".to_owned(), snapshot.step_hash.clone().into());
    if snapshot.user_steps() > 0 {
        status.insert("currentStepIndex".to_owned(), progress.step_index.into());
    } else {
        status.remove("currentStepIndex");
    }
    put_flag(status, "abort", progress.abort);
    put_text(status, "abortedAt", progress.aborted_at_text());
    put_flag(status, "promoteFull", progress.promote_full);
    put_flag(status, "controllerPause", progress.controller_pause);
    let pauses: Vec<Value> = progress
        .pauses
        .iter()
        .map(|pause| match pause.start_time {
            Some(start) => json!({"reason": pause.reason, "startTime": format_time(start)}),
            None => json!({"reason": pause.reason}),
        })
        .collect();
    match pauses.is_empty() {
        true => status.remove("pauseConditions"),
        false => status.insert("pauseConditions".to_owned(), Value::Array(pauses)),
    };
    match progress.collision_count {
        Some(count) => status.insert("collisionCount".to_owned(), count.into()),
        None => status.remove("collisionCount"),
    };
}

fn canary(snapshot: &Snapshot, progress: &Progress, observed: &Observed, status: &mut Map<String, Value>) {
    let mut canary = status.get("canary").and_then(Value::as_object).cloned().unwrap_or_default();
    if snapshot.spec.is_routed() {
        let weight = observed.highest();
        let names = snapshot.canary();
        let service = |name: Option<&String>| name.cloned().unwrap_or_default();
        canary.insert(
            "weights".to_owned(),
            json!({
                "canary": {
                    "weight": weight.get(),
                    "podTemplateHash": snapshot.hash.as_str(),
                    "serviceName": service(names.and_then(|canary| canary.canary_service.as_ref())),
                },
                "stable": {
                    "weight": weight.complement(Weight::FULL.get()).get(),
                    "podTemplateHash": progress.stable.as_ref().map(ToString::to_string).unwrap_or_default(),
                    "serviceName": service(names.and_then(|canary| canary.stable_service.as_ref())),
                },
                "verified": matches!(observed, Observed::Weight(_)),
            }),
        );
    }
    for (key, run) in [
        ("currentBackgroundAnalysisRunStatus", &progress.background_run),
        ("currentStepAnalysisRunStatus", &progress.step_run),
    ] {
        match run {
            Some(run) => {
                let seen = snapshot.runs.get(&run.name);
                let phase = seen.map_or(run.status.clone(), |seen| seen.phase.clone());
                let message = seen.map(|seen| seen.message.clone()).filter(|message| !message.is_empty());
                let value = match message {
                    Some(message) => json!({"name": run.name, "status": phase, "message": message}),
                    None => json!({"name": run.name, "status": phase}),
                };
                canary.insert(key.to_owned(), value);
            }
            None => {
                canary.remove(key);
            }
        }
    }
    if canary.is_empty() {
        status.remove("canary");
    } else {
        status.insert("canary".to_owned(), Value::Object(canary));
    }
}

/// Argo's phase rule, in its order; sets the conditions on the way.
fn phase(
    snapshot: &Snapshot,
    progress: &Progress,
    conditions: &mut Conditions,
    plan: &mut Plan,
) -> (&'static str, String) {
    let all = snapshot.spec.replicas;
    let new = snapshot.new_set();
    let revision = new.map_or(snapshot.last_revision(), |set| set.revision.0);
    let promoted = progress.is_fully_promoted(snapshot);
    let settled = new.is_some_and(|set| set.is_settled_at(all));
    let others: u32 = snapshot.sets.iter().filter(|set| set.hash != snapshot.hash).map(|set| set.current).sum();
    let available: u32 = snapshot.sets.iter().map(|set| set.available).sum();
    let unavailable = snapshot.canary().map_or(0, |canary| canary.max_unavailable.floor_of(all));
    if available + unavailable >= all {
        conditions.set("Available", true, "AvailableReason", "Rollout has minimum availability", snapshot);
    } else {
        conditions.set("Available", false, "AvailableReason", "Rollout does not have minimum availability", snapshot);
    }
    let paused = !progress.pauses.is_empty() || snapshot.spec.paused;
    match paused {
        true => conditions.set("Paused", true, "RolloutPaused", "Rollout is paused", snapshot),
        false if conditions.has("Paused") => {
            conditions.set("Paused", false, "RolloutPaused", "Rollout is not paused", snapshot)
        }
        false => {}
    }
    let healthy = promoted && settled && !paused;
    match healthy {
        true => conditions.set("Healthy", true, "RolloutHealthy", "Rollout is healthy", snapshot),
        false => conditions.set("Healthy", false, "RolloutHealthy", "Rollout is not healthy", snapshot),
    }
    if promoted {
        let message = format!("Rollout completed update to revision {revision} ({})", snapshot.hash);
        conditions.set("Completed", true, "RolloutCompleted", &message, snapshot);
    } else {
        let message = format!("Rollout started update to revision {revision} ({})", snapshot.hash);
        conditions.set("Completed", false, "RolloutCompleted", &message, snapshot);
    }
    let set_name = &snapshot.set_name;
    if progress.abort {
        let message =
            progress.abort_message.clone().unwrap_or_else(|| format!("Rollout aborted update to revision {revision}"));
        conditions.set("Progressing", false, "RolloutAborted", &message, snapshot);
        return ("Degraded", format!("RolloutAborted: {message}"));
    }
    if paused {
        conditions.set("Progressing", true, "RolloutPaused", "Rollout is paused", snapshot);
        let reason = progress.pauses.first().map(|pause| pause.reason.clone());
        return ("Paused", reason.unwrap_or_else(|| "manually paused".to_owned()));
    }
    if healthy {
        conditions.set(
            "Progressing",
            true,
            "NewReplicaSetAvailable",
            &format!("ReplicaSet \"{set_name}\" has successfully progressed."),
            snapshot,
        );
    } else {
        let (updated, ready) = new.map_or((0, 0), |set| (set.current, set.available));
        let message = format!("ReplicaSet \"{set_name}\" is progressing ({ready} of {updated} pods available).");
        if let Some(overdue) = deadline(snapshot, conditions, &message, plan) {
            return overdue;
        }
    }
    let Some(new) = new else { return ("Progressing", "waiting for the new ReplicaSet".to_owned()) };
    if new.current < new.desired || (promoted && new.current < all) {
        return ("Progressing", "more replicas need to be updated".to_owned());
    }
    if new.available < new.current {
        return ("Progressing", "updated replicas are still becoming available".to_owned());
    }
    if !snapshot.spec.is_routed() && promoted && others > 0 {
        return ("Progressing", "old replicas are pending termination".to_owned());
    }
    if !promoted {
        return ("Progressing", "waiting for all steps to complete".to_owned());
    }
    ("Healthy", String::new())
}

const OVERDUE: &str = "ProgressDeadlineExceeded";

fn timed_out(snapshot: &Snapshot) -> String {
    format!("ReplicaSet \"{}\" has timed out progressing.", snapshot.set_name)
}

/// Whether the status says that the present ReplicaSet is past its deadline; the words to tell it with.
pub(super) fn overdue(snapshot: &Snapshot) -> Option<String> {
    let conditions = Conditions::of(&live_status(snapshot));
    let progressing = conditions.find("Progressing")?;
    let message = timed_out(snapshot);
    (text(progressing, "reason") == OVERDUE && text(progressing, "message") == message).then_some(message)
}

/// Sets Progressing; past the deadline without progress the phase is Degraded until a pod becomes available.
fn deadline(
    snapshot: &Snapshot,
    conditions: &mut Conditions,
    message: &str,
    plan: &mut Plan,
) -> Option<(&'static str, String)> {
    let waits_for_pods = snapshot.sets.iter().any(|set| set.available < set.desired);
    let before = conditions.find("Progressing");
    let timed_out = timed_out(snapshot);
    // Of this ReplicaSet: a new revision begins with a deadline of its own.
    let is_exceeded = before.is_some_and(|item| text(item, "message") == timed_out);
    let same =
        before.is_some_and(|item| text(item, "reason") == "ReplicaSetUpdated" && text(item, "message") == message);
    let since = before.filter(|_| same).and_then(|item| parse_time(text(item, "lastUpdateTime")));
    let end = since.and_then(|since| after(since, snapshot.spec.progress_deadline));
    if waits_for_pods && (is_exceeded || end.is_some_and(|end| end <= snapshot.now)) {
        conditions.set("Progressing", false, OVERDUE, &timed_out, snapshot);
        let transition = format!("overdue/{}", snapshot.hash);
        super::act::note(snapshot, plan, crate::EventType::Warning, OVERDUE, &timed_out, &transition);
        return Some(("Degraded", format!("{OVERDUE}: {timed_out}")));
    }
    if let Some(end) = end.filter(|_| waits_for_pods) {
        plan.wake_at(end);
    } else if let Some(end) = after(snapshot.now, snapshot.spec.progress_deadline).filter(|_| waits_for_pods) {
        plan.wake_at(end);
    }
    conditions.set("Progressing", true, "ReplicaSetUpdated", message, snapshot);
    None
}

fn text<'a>(item: &'a Value, key: &str) -> &'a str {
    item.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// Argo's conditions: a `lastUpdateTime` beside the transition time.
struct Conditions {
    list: Vec<Value>,
}

impl Conditions {
    fn of(status: &Map<String, Value>) -> Self {
        Self { list: status.get("conditions").and_then(Value::as_array).cloned().unwrap_or_default() }
    }

    fn find(&self, kind: &str) -> Option<&Value> {
        self.list.iter().find(|item| text(item, "type") == kind)
    }

    fn has(&self, kind: &str) -> bool {
        self.find(kind).is_some()
    }

    fn set(&mut self, kind: &str, holds: bool, reason: &str, message: &str, snapshot: &Snapshot) {
        let now = format_time(snapshot.now);
        let status = if holds { "True" } else { "False" };
        let old = self.list.iter_mut().find(|item| text(item, "type") == kind);
        let Some(old) = old else {
            self.list.push(json!({
                "type": kind, "status": status, "reason": reason, "message": message,
                "lastUpdateTime": now, "lastTransitionTime": now,
            }));
            return;
        };
        if text(old, "status") == status && text(old, "reason") == reason && text(old, "message") == message {
            return;
        }
        let transition =
            if text(old, "status") == status { text(old, "lastTransitionTime").to_owned() } else { now.clone() };
        *old = json!({
            "type": kind, "status": status, "reason": reason, "message": message,
            "lastUpdateTime": now, "lastTransitionTime": transition,
        });
    }

    fn into_json(self) -> Value {
        Value::Array(self.list)
    }
}
