//! The Job controller: pods until enough have succeeded or too many have failed.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use object_model::Timestamp;
use serde_json::{Value, json};

use super::events::{Tone, record};
use super::job_status::{Counts, finished, next_status};
use super::replica_set::{pod_from, unpin};
use super::view::{controller_name, flag, int, int_or, is_active, is_deleting, items, owned, text, time};
use super::{Key, Keyed, every};
use crate::cluster::Cluster;
use crate::error::ApiError;
use crate::store::{Change, Stored};
use crate::write::{DeleteOptions, Propagation};

const JOBS: &str = "jobs.batch";
const NAME: &str = "job-controller";
/// Keeps a finished pod until it is counted.
const TRACKING: &str = "batch.kubernetes.io/job-tracking";
/// The wait after a first failure; it doubles up to ten minutes.
const BACKOFF_SECONDS: u64 = 10;
const BACKOFF_MAX_SECONDS: u64 = 600;
/// The most pods that one look creates.
const BURST: i64 = 500;

#[derive(Clone)]
pub(super) struct Jobs;

impl Keyed for Jobs {
    const NAME: &'static str = NAME;

    fn touched(&self, _cluster: &Cluster, change: &Change, keys: &mut BTreeSet<Key>) {
        match change.resource.as_ref() {
            JOBS => drop(keys.insert(Key::of(change))),
            "pods" => {
                for pod in [&change.before, &change.after].into_iter().flatten() {
                    if let Some(name) = controller_name(pod.json(), "Job") {
                        keys.insert(Key::new(JOBS, &change.namespace, name));
                    }
                }
            }
            _ => {}
        }
    }

    fn all(&self, cluster: &Cluster, keys: &mut BTreeSet<Key>) {
        every(cluster, JOBS, keys);
    }

    fn sync(&mut self, cluster: &mut Cluster, key: &Key, now: Timestamp) -> Result<Option<Timestamp>, ApiError> {
        let Some(stored) = cluster.get(JOBS, &key.namespace, &key.name).cloned() else {
            return release_orphans(cluster, key).map(|()| None);
        };
        let job = stored.json();
        let pods = owned(cluster, "pods", &key.namespace, stored.uid());
        if stored.is_deleting() {
            return release(cluster, pods.iter()).map(|()| None);
        }
        if finished(job).is_some() {
            release(cluster, pods.iter())?;
            return expire(cluster, key, job, now);
        }
        let counts = Counts::of(job, &pods);
        let (status, verdict) = next_status(job, &counts, now);
        if job.get("status") != Some(&status) {
            let mut body = job.clone();
            if let Some(fields) = body.as_object_mut() {
                fields.insert("status".to_owned(), status);
                unpin(fields);
            }
            cluster.acting_as_controller(NAME).update_status(JOBS, &key.namespace, body)?;
        }
        // Only what the status has counted may go.
        release(cluster, pods.iter().filter(|pod| has_ended(pod.json())))?;
        if let Some(verdict) = verdict {
            let event = match verdict.is_success {
                true => (Tone::Normal, "Completed", "Job completed"),
                false => (Tone::Warning, verdict.reason, verdict.message),
            };
            record(cluster, NAME, job, event, now);
            return stop(cluster, job, &pods, now).map(|()| None);
        }
        let retry = self.scale(cluster, job, &pods, &counts, now)?;
        Ok([retry, deadline(job).filter(|due| *due > now)].into_iter().flatten().min())
    }
}

impl Jobs {
    /// Creates or deletes pods; returns when the next one may be created after a failure.
    fn scale(
        &self,
        cluster: &mut Cluster,
        job: &Value,
        pods: &[Arc<Stored>],
        counts: &Counts,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, ApiError> {
        if flag(job, "/spec/suspend") {
            return stop(cluster, job, pods, now).map(|()| None);
        }
        let parallelism = int_or(job, "/spec/parallelism", 1);
        let wanted = match job.pointer("/spec/completions").and_then(Value::as_i64) {
            Some(completions) => parallelism.min(completions - counts.succeeded),
            // Without a number of completions the first success ends the work: no new pods after it.
            None if counts.succeeded > 0 => counts.active,
            None => parallelism,
        };
        let active: Vec<&Arc<Stored>> = pods.iter().filter(|pod| is_active(pod.json())).collect();
        if counts.active > wanted {
            let surplus = usize::try_from(counts.active - wanted.max(0)).unwrap_or(0);
            for pod in active.into_iter().rev().take(surplus) {
                delete_pod(cluster, job, pod, now)?;
            }
            return Ok(None);
        }
        // Pods that are going away still hold their place.
        let missing = wanted - counts.active - counts.terminating;
        if missing <= 0 {
            return Ok(None);
        }
        if let Some(due) = backoff(pods, counts).filter(|due| *due > now) {
            return Ok(Some(due));
        }
        for _ in 0..missing.min(BURST) {
            create_pod(cluster, job, now)?;
        }
        Ok(None)
    }
}

fn has_ended(pod: &Value) -> bool {
    matches!(text(pod, "/status/phase"), "Succeeded" | "Failed")
}

/// When the next pod may be created after the last failure.
fn backoff(pods: &[Arc<Stored>], counts: &Counts) -> Option<Timestamp> {
    let failures = u32::try_from(counts.failed).ok().filter(|failures| *failures > 0)?;
    let finished = |pod: &Value| {
        let statuses = items(pod, "/status/containerStatuses").iter();
        statuses.filter_map(|status| time(status, "/state/terminated/finishedAt")).max()
    };
    let failed = pods.iter().filter(|pod| pod.text("/status/phase") == "Failed");
    let last = failed.filter_map(|pod| finished(pod.json())).max()?;
    let seconds = BACKOFF_SECONDS.saturating_mul(1_u64.checked_shl(failures - 1).unwrap_or(u64::MAX));
    last.checked_add(Duration::from_secs(seconds.min(BACKOFF_MAX_SECONDS))).ok()
}

fn deadline(job: &Value) -> Option<Timestamp> {
    let seconds = job.pointer("/spec/activeDeadlineSeconds").and_then(Value::as_u64)?;
    time(job, "/status/startTime")?.checked_add(Duration::from_secs(seconds.min(1 << 32))).ok()
}

fn create_pod(cluster: &mut Cluster, job: &Value, now: Timestamp) -> Result<(), ApiError> {
    let namespace = text(job, "/metadata/namespace");
    let mut pod = pod_from(job);
    if let Some(metadata) = pod.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.insert("finalizers".to_owned(), json!([TRACKING]));
        let labels = metadata.entry("labels").or_insert_with(|| json!({}));
        if let Some(labels) = labels.as_object_mut() {
            let (name, uid) = (text(job, "/metadata/name"), text(job, "/metadata/uid"));
            for (key, value) in [("job-name", name), ("controller-uid", uid)] {
                labels.insert(key.to_owned(), value.into());
                labels.insert(format!("batch.kubernetes.io/{key}"), value.into());
            }
        }
    }
    match cluster.acting_as_controller(NAME).create("pods", namespace, pod) {
        Ok(pod) => {
            let message = format!("Created pod: {}", pod.name());
            record(cluster, NAME, job, (Tone::Normal, "SuccessfulCreate", &message), now);
            Ok(())
        }
        Err(error) => {
            let message = format!("Error creating: {}", error.message);
            record(cluster, NAME, job, (Tone::Warning, "FailedCreate", &message), now);
            Err(error)
        }
    }
}

fn delete_pod(cluster: &mut Cluster, job: &Value, pod: &Stored, now: Timestamp) -> Result<(), ApiError> {
    let options = DeleteOptions { uid: Some(pod.uid().to_owned()), ..DeleteOptions::default() };
    match cluster.acting_as_controller(NAME).delete("pods", pod.namespace(), pod.name(), options) {
        Err(error) if !error.is_not_found() => Err(error),
        _ => {
            let message = format!("Deleted pod: {}", pod.name());
            record(cluster, NAME, job, (Tone::Normal, "SuccessfulDelete", &message), now);
            Ok(())
        }
    }
}

/// Deletes the pods that still run.
fn stop(cluster: &mut Cluster, job: &Value, pods: &[Arc<Stored>], now: Timestamp) -> Result<(), ApiError> {
    for pod in pods.iter().filter(|pod| is_active(pod.json())) {
        delete_pod(cluster, job, pod, now)?;
    }
    Ok(())
}

/// Lets pods go: they are counted, or nobody counts any more.
fn release<'a>(cluster: &mut Cluster, pods: impl Iterator<Item = &'a Arc<Stored>>) -> Result<(), ApiError> {
    for pod in pods {
        let mut finalizers = items(pod.json(), "/metadata/finalizers").to_vec();
        let before = finalizers.len();
        finalizers.retain(|finalizer| finalizer != TRACKING);
        if finalizers.len() == before {
            continue;
        }
        let finalizers = if finalizers.is_empty() { Value::Null } else { Value::Array(finalizers) };
        let patch = json!({"metadata": {"uid": pod.uid(), "finalizers": finalizers}});
        match cluster.acting_as_controller(NAME).merge("pods", pod.namespace(), pod.name(), patch) {
            Err(error) if !error.is_not_found() => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// Pods of a Job that is gone must not wait to be counted.
fn release_orphans(cluster: &mut Cluster, key: &Key) -> Result<(), ApiError> {
    let pods: Vec<Arc<Stored>> = cluster
        .list("pods", Some(&key.namespace))
        .filter(|pod| controller_name(pod.json(), "Job") == Some(&key.name))
        .cloned()
        .collect();
    release(cluster, pods.iter())
}

/// Deletes a finished Job when its time is up.
fn expire(cluster: &mut Cluster, key: &Key, job: &Value, now: Timestamp) -> Result<Option<Timestamp>, ApiError> {
    let Some(seconds) = job.pointer("/spec/ttlSecondsAfterFinished").and_then(Value::as_u64) else { return Ok(None) };
    let since = finished(job).and_then(|condition| time(condition, "/lastTransitionTime"));
    let due = since.and_then(|since| since.checked_add(Duration::from_secs(seconds.min(1 << 32))).ok());
    if due.is_some_and(|due| due > now) || is_deleting(job) {
        return Ok(due.filter(|due| *due > now));
    }
    let options = DeleteOptions {
        uid: Some(text(job, "/metadata/uid").to_owned()),
        propagation: Some(Propagation::Foreground),
        ..DeleteOptions::default()
    };
    let mut acting = cluster.acting_as_controller("ttl-after-finished-controller");
    acting.delete(JOBS, &key.namespace, &key.name, options)?;
    Ok(None)
}

/// The generation of failures that a Job forgives.
pub(super) fn backoff_limit(job: &Value) -> i64 {
    int_or(job, "/spec/backoffLimit", 6)
}

/// Whether the Job was active longer than it may be.
pub(super) fn is_overdue(job: &Value, now: Timestamp) -> bool {
    deadline(job).is_some_and(|due| due <= now) && int(job, "/spec/activeDeadlineSeconds") > 0
}
