//! The status of a Rollout in Argo's words: phase, message, conditions, hashes, weights.

use api::argo::{Counts, RunStatus};
use api::names;
use object_model::{LabelSelector, Weight, format_time};
use serde_json::{Map, Value, json};

use super::conditions::{Conditions, Holds};
use super::phase::{self, Seen};
use super::progress::Progress;
use super::replica_set::ReplicaSetView;
use super::route::Observed;
use super::snapshot::Snapshot;
use super::{act, blue_green, duration, experiments, services, workload};
use crate::bugs::{self, Bug};
use crate::patch::merge_patch;
use crate::{EventType, ObjectRef, Plan, Precondition, StatusPatch, kinds};

/// Reports a spec that can't be carried out; nothing that runs is touched.
pub(super) fn invalid(snapshot: &Snapshot, plan: &mut Plan) {
    let first = snapshot.problems.first().map(ToString::to_string).unwrap_or_default();
    let message = format!("The Rollout \"{}\" is invalid: {first}", snapshot.rollout.name());
    plan.report.problems.extend(snapshot.problems.iter().map(ToString::to_string));
    let mut status = live_status(snapshot);
    let mut conditions = Conditions::of(&status);
    let told = conditions.find("InvalidSpec").map(|item| super::conditions::text(item, "message"));
    if told != Some(message.as_str()) {
        conditions.renew("InvalidSpec", Holds::Yes, "InvalidSpec", &message, snapshot.now);
    }
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
    let counts = counts(snapshot, &mut status);
    memory(snapshot, progress, &mut status);
    match snapshot.blue_green() {
        Some(_) => {
            status.remove("canary");
            blue_green_part(snapshot, progress, &mut status);
        }
        None => {
            status.remove("blueGreen");
            canary(snapshot, progress, observed, &mut status);
        }
    }
    let mut conditions = Conditions::of(&status);
    let seen = Seen { snapshot, progress, counts };
    match duration::next(snapshot, progress) {
        Some(duration) => status.insert("duration".to_owned(), duration::to_json(&duration)),
        None => status.remove("duration"),
    };
    phase::update(&seen, &mut conditions, plan);
    let (phase, message) = phase::phase(&seen, &conditions);
    status.insert("conditions".to_owned(), conditions.into_json());
    status.insert("phase".to_owned(), phase.into());
    put_text(&mut status, "message", Some(message).filter(|message| !message.is_empty()));
    tell_of_pauses(snapshot, progress, plan);
    put(snapshot, status, plan);
}

/// A pause that begins or ends by itself is told; one that a person ended is that person's doing.
fn tell_of_pauses(snapshot: &Snapshot, progress: &Progress, plan: &mut Plan) {
    let (before, now) = (&snapshot.status.pauses, &progress.pauses);
    match now.first() {
        Some(pause) if before.is_empty() || progress.left_pause => {
            let text = format!("Rollout is paused ({})", pause.reason);
            let transition = format!("paused/{}", snapshot.version());
            act::note(snapshot, plan, EventType::Normal, "RolloutPaused", &text, &transition);
        }
        None if !progress.abort && !progress.left_pause => tell_of_a_resumption(snapshot, plan),
        _ => {}
    }
}

/// Tells that a pause has ended, unless a person ended it.
pub(super) fn tell_of_a_resumption(snapshot: &Snapshot, plan: &mut Plan) {
    if snapshot.status.pauses.is_empty() {
        return;
    }
    let transition = format!("resumed/{}", snapshot.version());
    act::note(snapshot, plan, EventType::Normal, "RolloutResumed", "Rollout is resumed", &transition);
}

fn put(snapshot: &Snapshot, status: Map<String, Value>, plan: &mut Plan) {
    let live = Value::Object(live_status(snapshot));
    let mut patch = Map::new();
    if let Some(status) = merge_patch(&live, &Value::Object(status)) {
        patch.insert("status".to_owned(), status);
    }
    let seen = workload::generation(snapshot);
    // A workload that is gone for now leaves what was seen of it.
    let is_known = seen.is_some() || snapshot.spec.workload.is_none();
    if is_known && snapshot.rollout.annotation(names::WORKLOAD_GENERATION) != seen.as_deref() {
        patch.insert("metadata".to_owned(), json!({"annotations": {names::WORKLOAD_GENERATION: seen}}));
    }
    if patch.is_empty() {
        return;
    }
    plan.status = Some(StatusPatch {
        target: ObjectRef::of(&kinds::rollout(), &snapshot.rollout),
        patch: Value::Object(patch),
        precondition: match bugs::on(Bug::StatusWithoutVersion) {
            true => Precondition::uid(&snapshot.rollout),
            false => Precondition::exact(&snapshot.rollout),
        },
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

/// Counts pods; with an active version, those that an autoscaler should see are its own.
fn counts(snapshot: &Snapshot, status: &mut Map<String, Value>) -> Counts {
    let sum = |count: fn(&ReplicaSetView) -> u32| -> u32 { snapshot.sets.iter().map(count).sum() };
    let active = snapshot.blue_green().and_then(|_| blue_green::active_hash(snapshot));
    let active = active.and_then(|hash| snapshot.sets.iter().find(|set| set.hash == hash));
    let selector = match active {
        Some(set) => set.object.pointer("/spec/selector").unwrap_or(&Value::Null),
        None => &snapshot.spec.selector,
    };
    let counts = Counts {
        all: sum(|set| set.current),
        updated: snapshot.new_set().map_or(0, |set| set.current),
        ready: active.map_or_else(|| sum(|set| set.ready), |set| set.ready),
        available: active.map_or_else(|| sum(|set| set.available), |set| set.available),
    };
    let scaled = active.map_or(counts.all, |set| set.current);
    for (key, count) in [
        ("replicas", counts.all),
        ("HPAReplicas", scaled),
        ("readyReplicas", counts.ready),
        ("availableReplicas", counts.available),
        ("updatedReplicas", counts.updated),
    ] {
        status.insert(key.to_owned(), count.into());
    }
    let selector = LabelSelector::parse(selector).map(|selector| selector.to_string()).unwrap_or_default();
    status.insert("selector".to_owned(), selector.into());
    status.insert("observedGeneration".to_owned(), snapshot.rollout.generation().to_string().into());
    counts
}

fn memory(snapshot: &Snapshot, progress: &Progress, status: &mut Map<String, Value>) {
    put_text(status, "stableRS", progress.stable.as_ref().map(ToString::to_string));
    status.insert("currentPodHash".to_owned(), snapshot.hash.as_str().into());
    put_text(status, "currentStepHash", Some(snapshot.step_hash.clone()).filter(|hash| !hash.is_empty()));
    put_text(status, "restartedAt", progress.restarted_at.map(format_time));
    // A generation of 0 is none, as PodTemplates have it.
    put_text(status, "workloadObservedGeneration", workload::generation(snapshot).filter(|seen| seen != "0"));
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
        let names = snapshot.services.main.names.clone();
        let additional = experiments::shares_json(snapshot, observed);
        // While another version still has the canary's traffic, the weight is that version's.
        let holder = services::canary_hash(snapshot).filter(|_| weight > Weight::ZERO);
        let holder = holder.unwrap_or_else(|| snapshot.hash.clone());
        let others: u32 = snapshot.routing.additional.iter().map(|(_, weight)| weight.get()).sum();
        canary.insert(
            "weights".to_owned(),
            json!({
                "canary": {
                    "weight": weight.get(),
                    "podTemplateHash": holder.as_str(),
                    "serviceName": names.canary.unwrap_or_default(),
                },
                "stable": {
                    "weight": weight.complement(snapshot.weight_total()).get().saturating_sub(others),
                    "podTemplateHash": progress.stable.as_ref().map(ToString::to_string).unwrap_or_default(),
                    "serviceName": names.stable.unwrap_or_default(),
                },
                "verified": matches!(observed, Observed::Weight(_)),
            }),
        );
        if let (Some(Value::Object(weights)), false) = (canary.get_mut("weights"), additional.is_empty()) {
            weights.insert("additional".to_owned(), Value::Array(additional));
        }
    }
    put_text(&mut canary, "stablePingPong", progress.stable_ping_pong.clone());
    for (key, run) in [
        ("currentBackgroundAnalysisRunStatus", &progress.background_run),
        ("currentStepAnalysisRunStatus", &progress.step_run),
    ] {
        match run {
            Some(run) => {
                canary.insert(key.to_owned(), run_status(snapshot, run));
            }
            None => {
                canary.remove(key);
            }
        }
    }
    put_text(&mut canary, "currentExperiment", progress.experiment.clone());
    if canary.is_empty() {
        status.remove("canary");
    } else {
        status.insert("canary".to_owned(), Value::Object(canary));
    }
}

fn run_status(snapshot: &Snapshot, run: &RunStatus) -> Value {
    let seen = snapshot.runs.get(&run.name);
    let phase = seen.map_or(run.status.clone(), |seen| seen.phase.clone());
    match seen.map(|seen| seen.message.clone()).filter(|message| !message.is_empty()) {
        Some(message) => json!({"name": run.name, "status": phase, "message": message}),
        None => json!({"name": run.name, "status": phase}),
    }
}

fn blue_green_part(snapshot: &Snapshot, progress: &Progress, status: &mut Map<String, Value>) {
    let mut part = status.get("blueGreen").and_then(Value::as_object).cloned().unwrap_or_default();
    let preview = services::selected(snapshot.preview_service.as_deref());
    put_text(&mut part, "previewSelector", preview.map(|hash| hash.to_string()));
    put_text(&mut part, "activeSelector", blue_green::active_hash(snapshot).map(|hash| hash.to_string()));
    put_flag(&mut part, "scaleUpPreviewCheckPoint", progress.check_point);
    for (key, run) in
        [("prePromotionAnalysisRunStatus", &progress.pre_run), ("postPromotionAnalysisRunStatus", &progress.post_run)]
    {
        match run {
            Some(run) => part.insert(key.to_owned(), run_status(snapshot, run)),
            None => part.remove(key),
        };
    }
    if part.is_empty() {
        status.remove("blueGreen");
    } else {
        status.insert("blueGreen".to_owned(), Value::Object(part));
    }
}
