//! The status of a Deployment: counts, whether it is available, whether it gets on.

use object_model::Timestamp;
use serde_json::{Map, Value, json};

use super::deployment::{Rollout, Sets, has_deadline};
use super::deployment_scale::max_unavailable;
use super::view::{at, condition, int, int_or, text, time, without_zeros};
use crate::error::ApiError;

/// Sets a condition on an object's status. One with the same status and reason stays as it is; the transition time
/// moves only with the status.
pub(super) fn set_condition(
    object: &mut Value,
    (kind, status): (&str, &str),
    (reason, message): (&str, &str),
    now: Timestamp,
) {
    let known = condition(object, kind);
    let is_same_status = known.is_some_and(|known| text(known, "/status") == status);
    if is_same_status && known.is_some_and(|known| text(known, "/reason") == reason) {
        return;
    }
    let since = known.filter(|_| is_same_status).and_then(|known| known.get("lastTransitionTime")).cloned();
    let fresh = json!({
        "type": kind, "status": status, "reason": reason, "message": message,
        "lastUpdateTime": at(now), "lastTransitionTime": since.unwrap_or_else(|| at(now)),
    });
    remove_condition(object, kind);
    if !object.get("status").is_some_and(Value::is_object)
        && let Some(fields) = object.as_object_mut()
    {
        fields.insert("status".to_owned(), json!({}));
    }
    let Some(status) = object.get_mut("status").and_then(Value::as_object_mut) else { return };
    let list = status.entry("conditions").or_insert_with(|| json!([]));
    if let Some(list) = list.as_array_mut() {
        list.push(fresh);
    }
}

fn remove_condition(object: &mut Value, kind: &str) {
    if let Some(list) = object.pointer_mut("/status/conditions").and_then(Value::as_array_mut) {
        list.retain(|condition| text(condition, "/type") != kind);
    }
}

/// Whether all pods are of the newest template and available, and no others are left.
pub(super) fn is_complete(deployment: &Value, status: Option<&Value>) -> bool {
    let Some(status) = status else { return false };
    let want = int_or(deployment, "/spec/replicas", 1);
    int(status, "/updatedReplicas") == want
        && int(status, "/replicas") == want
        && int(status, "/availableReplicas") == want
        && int(status, "/observedGeneration") >= int(deployment, "/metadata/generation")
}

/// Counts, and the Available condition: the Deployment as it would be with its new status.
fn counted(rollout: &Rollout<'_>, sets: &Sets) -> Value {
    let sum = |pointer: &str| sets.all().map(|set| int(set, pointer)).sum::<i64>();
    let available = sum("/status/availableReplicas");
    let mut status: Map<String, Value> = without_zeros(&[
        ("observedGeneration", int(&rollout.deployment, "/metadata/generation")),
        ("replicas", sum("/status/replicas")),
        ("updatedReplicas", sets.new.as_ref().map_or(0, |new| int(new, "/status/replicas"))),
        ("readyReplicas", sum("/status/readyReplicas")),
        ("availableReplicas", available),
        ("unavailableReplicas", (sum("/spec/replicas") - available).max(0)),
    ]);
    status.insert("terminatingReplicas".to_owned(), sum("/status/terminatingReplicas").into());
    for key in ["collisionCount", "conditions"] {
        if let Some(value) = rollout.deployment.pointer(&format!("/status/{key}")) {
            status.insert(key.to_owned(), value.clone());
        }
    }
    let mut next = rollout.deployment.clone();
    if let Some(fields) = next.as_object_mut() {
        fields.insert("status".to_owned(), Value::Object(status));
    }
    let least = rollout.replicas() - max_unavailable(&rollout.deployment);
    if available >= least {
        let why = ("MinimumReplicasAvailable", "Deployment has minimum availability.");
        set_condition(&mut next, ("Available", "True"), why, rollout.now);
    } else {
        let why = ("MinimumReplicasUnavailable", "Deployment does not have minimum availability.");
        set_condition(&mut next, ("Available", "False"), why, rollout.now);
    }
    next
}

/// Writes the counts, when they changed.
pub(super) fn sync_status(rollout: &mut Rollout<'_>, sets: &Sets) -> Result<(), ApiError> {
    let next = counted(rollout, sets);
    store(rollout, next)
}

fn store(rollout: &mut Rollout<'_>, next: Value) -> Result<(), ApiError> {
    if next.get("status") == rollout.deployment.get("status") {
        return Ok(());
    }
    rollout.deployment = next;
    rollout.write_status()
}

/// Writes counts and conditions of a rollout; returns when its deadline runs out.
pub(super) fn sync_rollout_status(rollout: &mut Rollout<'_>, sets: &Sets) -> Result<Option<Timestamp>, ApiError> {
    let mut next = counted(rollout, sets);
    if !has_deadline(&rollout.deployment) {
        remove_condition(&mut next, "Progressing");
    }
    let known = condition(&rollout.deployment, "Progressing").cloned();
    let reason = known.as_ref().map(|known| text(known, "/reason").to_owned()).unwrap_or_default();
    let is_settled =
        reason == "NewReplicaSetAvailable" && int(&next, "/status/replicas") == int(&next, "/status/updatedReplicas");
    if has_deadline(&rollout.deployment) && !is_settled {
        progress(rollout, sets, &mut next, known.as_ref());
    }
    report_failures(sets, &mut next, rollout.now);
    store(rollout, next)?;
    Ok(deadline(&rollout.deployment).filter(|due| *due > rollout.now))
}

/// What the Progressing condition calls the rollout by.
fn subject(rollout: &Rollout<'_>, sets: &Sets) -> String {
    match &sets.new {
        Some(new) => format!("ReplicaSet \"{}\"", text(new, "/metadata/name")),
        None => format!("Deployment \"{}\"", text(&rollout.deployment, "/metadata/name")),
    }
}

fn progress(rollout: &Rollout<'_>, sets: &Sets, next: &mut Value, known: Option<&Value>) {
    let (before, now) = (&rollout.deployment, rollout.now);
    let subject = subject(rollout, sets);
    if is_complete(before, next.get("status")) {
        let message = format!("{subject} has successfully progressed.");
        set_condition(next, ("Progressing", "True"), ("NewReplicaSetAvailable", &message), now);
    } else if has_progressed(before, next) {
        let message = format!("{subject} is progressing.");
        // Every step of progress renews the time from which the deadline counts.
        remove_condition(next, "Progressing");
        set_condition(next, ("Progressing", "True"), ("ReplicaSetUpdated", &message), now);
        let since =
            known.filter(|known| text(known, "/status") == "True").and_then(|known| known.get("lastTransitionTime"));
        if let (Some(since), Some(list)) = (since, next.pointer_mut("/status/conditions").and_then(Value::as_array_mut))
            && let Some(fields) = list.last_mut().and_then(Value::as_object_mut)
        {
            fields.insert("lastTransitionTime".to_owned(), since.clone());
        }
    } else if deadline(next).is_some_and(|due| due <= now) {
        let message = format!("{subject} has timed out progressing.");
        set_condition(next, ("Progressing", "False"), ("ProgressDeadlineExceeded", &message), now);
    }
}

fn has_progressed(before: &Value, after: &Value) -> bool {
    let old = |object: &Value| int(object, "/status/replicas") - int(object, "/status/updatedReplicas");
    let grew = |key: &str| int(after, key) > int(before, key);
    grew("/status/updatedReplicas")
        || old(after) < old(before)
        || grew("/status/readyReplicas")
        || grew("/status/availableReplicas")
}

/// When a rollout that is under way counts as stuck.
fn deadline(deployment: &Value) -> Option<Timestamp> {
    let progressing = condition(deployment, "Progressing").filter(|_| has_deadline(deployment))?;
    if matches!(
        text(progressing, "/reason"),
        "NewReplicaSetAvailable" | "ProgressDeadlineExceeded" | "DeploymentPaused"
    ) {
        return None;
    }
    let seconds = int(deployment, "/spec/progressDeadlineSeconds");
    let wait = std::time::Duration::from_secs(u64::try_from(seconds).ok()?.min(1 << 32) + 1);
    time(progressing, "/lastUpdateTime")?.checked_add(wait).ok()
}

fn report_failures(sets: &Sets, next: &mut Value, now: Timestamp) {
    let newest_first = sets.new.iter().chain(sets.old.iter().rev());
    let failure = newest_first.filter_map(|set| condition(set, "ReplicaFailure")).next();
    match failure {
        Some(failure) => {
            let (reason, message) = (text(failure, "/reason"), text(failure, "/message"));
            set_condition(next, ("ReplicaFailure", text(failure, "/status")), (reason, message), now);
        }
        None => remove_condition(next, "ReplicaFailure"),
    }
}
