//! The status of a Job: how many pods run, succeeded and failed, and what that makes of the Job.

use std::sync::Arc;

use object_model::Timestamp;
use serde_json::{Map, Value, json};

use super::job::{backoff_limit, is_overdue};
use super::view::{at, flag, int, is_active, is_deleting, is_ready, items, text, without_zeros};
use crate::store::Stored;

/// The pods of a Job by how they do. Finished ones that were released already are in the status only.
pub(super) struct Counts {
    pub(super) active: i64,
    pub(super) ready: i64,
    pub(super) terminating: i64,
    pub(super) succeeded: i64,
    pub(super) failed: i64,
}

impl Counts {
    pub(super) fn of(job: &Value, pods: &[Arc<Stored>]) -> Self {
        let count = |holds: &dyn Fn(&Value) -> bool| {
            i64::try_from(pods.iter().filter(|pod| holds(pod.json())).count()).unwrap_or(i64::MAX)
        };
        // A pod that still has the finalizer was not counted before.
        let is_fresh = |pod: &Value| !items(pod, "/metadata/finalizers").is_empty();
        let ended = |pod: &Value, phase: &str| is_fresh(pod) && text(pod, "/status/phase") == phase;
        let is_ended = |pod: &Value| matches!(text(pod, "/status/phase"), "Succeeded" | "Failed");
        Self {
            active: count(&is_active),
            ready: count(&|pod| is_active(pod) && is_ready(pod)),
            terminating: count(&|pod| is_deleting(pod) && !is_ended(pod)),
            succeeded: int(job, "/status/succeeded") + count(&|pod| ended(pod, "Succeeded")),
            failed: int(job, "/status/failed") + count(&|pod| ended(pod, "Failed")),
        }
    }
}

/// How a Job ended.
pub(super) struct Verdict {
    pub(super) is_success: bool,
    pub(super) reason: &'static str,
    pub(super) message: &'static str,
}

/// The condition that says that the Job is over.
pub(super) fn finished(job: &Value) -> Option<&Value> {
    items(job, "/status/conditions").iter().find(|condition| {
        matches!(text(condition, "/type"), "Complete" | "Failed") && text(condition, "/status") == "True"
    })
}

fn verdict(job: &Value, counts: &Counts, now: Timestamp) -> Option<Verdict> {
    if counts.failed > backoff_limit(job) {
        let message = "Job has reached the specified backoff limit";
        return Some(Verdict { is_success: false, reason: "BackoffLimitExceeded", message });
    }
    if is_overdue(job, now) {
        let message = "Job was active longer than specified deadline";
        return Some(Verdict { is_success: false, reason: "DeadlineExceeded", message });
    }
    let is_enough = match job.pointer("/spec/completions").and_then(Value::as_i64) {
        Some(completions) => counts.succeeded >= completions,
        None => counts.succeeded > 0 && counts.active == 0,
    };
    let message = "Reached expected number of succeeded pods";
    is_enough.then_some(Verdict { is_success: true, reason: "CompletionsReached", message })
}

/// The status that the counts ask for, and how the Job ended when it did.
pub(super) fn next_status(job: &Value, counts: &Counts, now: Timestamp) -> (Value, Option<Verdict>) {
    let is_suspended = flag(job, "/spec/suspend");
    let mut status: Map<String, Value> =
        without_zeros(&[("active", counts.active), ("succeeded", counts.succeeded), ("failed", counts.failed)]);
    status.insert("ready".to_owned(), counts.ready.into());
    status.insert("terminating".to_owned(), counts.terminating.into());
    status.insert("uncountedTerminatedPods".to_owned(), json!({}));
    let started = job.pointer("/status/startTime").cloned();
    if !is_suspended {
        status.insert("startTime".to_owned(), started.unwrap_or_else(|| at(now)));
    }
    let mut conditions = items(job, "/status/conditions").to_vec();
    suspension(&mut conditions, is_suspended, now);
    let verdict = verdict(job, counts, now).filter(|_| !is_suspended);
    if let Some(verdict) = &verdict {
        let kinds = if verdict.is_success { ["SuccessCriteriaMet", "Complete"] } else { ["FailureTarget", "Failed"] };
        for kind in kinds {
            conditions.push(condition(kind, "True", verdict.reason, verdict.message, now));
        }
        if verdict.is_success {
            status.insert("completionTime".to_owned(), at(now));
        }
        // What still runs is stopped with the verdict.
        status.remove("active");
        status.insert("ready".to_owned(), 0.into());
        status.insert("terminating".to_owned(), 0.into());
    }
    if !conditions.is_empty() {
        status.insert("conditions".to_owned(), Value::Array(conditions));
    }
    (Value::Object(status), verdict)
}

fn suspension(conditions: &mut Vec<Value>, is_suspended: bool, now: Timestamp) {
    let known = conditions.iter().position(|condition| text(condition, "/type") == "Suspended");
    let wanted = if is_suspended { "True" } else { "False" };
    let (reason, message) =
        if is_suspended { ("JobSuspended", "Job suspended") } else { ("JobResumed", "Job resumed") };
    match known.and_then(|index| conditions.get_mut(index)) {
        Some(known) if text(known, "/status") != wanted => {
            *known = condition("Suspended", wanted, reason, message, now)
        }
        None if is_suspended => conditions.push(condition("Suspended", wanted, reason, message, now)),
        _ => {}
    }
}

fn condition(kind: &str, status: &str, reason: &str, message: &str, now: Timestamp) -> Value {
    json!({
        "type": kind, "status": status, "reason": reason, "message": message,
        "lastProbeTime": at(now), "lastTransitionTime": at(now),
    })
}
