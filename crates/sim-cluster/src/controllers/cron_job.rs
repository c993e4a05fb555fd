//! The CronJob controller: Jobs at the times of a schedule, and the old ones cleared away.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use object_model::{CronSchedule, Timestamp, format_time};
use serde_json::{Map, Value, json};

use super::events::{Tone, record};
use super::replica_set::unpin;
use super::view::{controller_name, flag, int_or, is_true, owned, owner_reference, text, time};
use super::{Key, Keyed, every};
use crate::cluster::Cluster;
use crate::error::ApiError;
use crate::store::{Change, Stored};
use crate::write::{DeleteOptions, Propagation};

const CRON_JOBS: &str = "cronjobs.batch";
const JOBS: &str = "jobs.batch";
const NAME: &str = "cronjob-controller";
/// More missed times than this are not counted out one by one.
const MISSED_MAX: usize = 100;

#[derive(Clone)]
pub(super) struct CronJobs;

impl Keyed for CronJobs {
    const NAME: &'static str = NAME;

    fn touched(&self, _cluster: &Cluster, change: &Change, keys: &mut BTreeSet<Key>) {
        match change.resource.as_ref() {
            CRON_JOBS => drop(keys.insert(Key::of(change))),
            JOBS => {
                for job in [&change.before, &change.after].into_iter().flatten() {
                    if let Some(name) = controller_name(job.json(), "CronJob") {
                        keys.insert(Key::new(CRON_JOBS, &change.namespace, name));
                    }
                }
            }
            _ => {}
        }
    }

    fn all(&self, cluster: &Cluster, keys: &mut BTreeSet<Key>) {
        every(cluster, CRON_JOBS, keys);
    }

    fn sync(&mut self, cluster: &mut Cluster, key: &Key, now: Timestamp) -> Result<Option<Timestamp>, ApiError> {
        let Some(stored) = cluster.get(CRON_JOBS, &key.namespace, &key.name).cloned() else { return Ok(None) };
        if stored.is_deleting() {
            return Ok(None);
        }
        let cron = stored.json();
        let jobs = owned(cluster, JOBS, &key.namespace, stored.uid());
        let mut status = cron.get("status").and_then(Value::as_object).cloned().unwrap_or_default();
        note_finished(cluster, cron, &jobs, &mut status, now);
        let due = start_due(cluster, cron, &jobs, &mut status, now);
        if cron.get("status").and_then(Value::as_object) != Some(&status) {
            let mut changed = cron.clone();
            if let Some(fields) = changed.as_object_mut() {
                fields.insert("status".to_owned(), Value::Object(status));
                unpin(fields);
            }
            cluster.acting_as_controller(NAME).update_status(CRON_JOBS, &key.namespace, changed)?;
        }
        clear_away(cluster, cron, &jobs, now)?;
        due
    }
}

fn has_finished(job: &Value) -> bool {
    is_true(job, "Complete") || is_true(job, "Failed")
}

/// Takes finished Jobs off the list of those that run, and remembers the last success.
fn note_finished(
    cluster: &mut Cluster,
    cron: &Value,
    jobs: &[Arc<Stored>],
    status: &mut Map<String, Value>,
    now: Timestamp,
) {
    let mut active: Vec<Value> = status.get("active").and_then(Value::as_array).cloned().unwrap_or_default();
    for job in jobs.iter().filter(|job| has_finished(job.json())) {
        let before = active.len();
        active.retain(|reference| reference.get("uid").and_then(Value::as_str) != Some(job.uid()));
        if active.len() < before {
            let outcome = if is_true(job.json(), "Complete") { "Complete" } else { "Failed" };
            let message = format!("Saw completed job: {}, condition: {outcome}", job.name());
            record(cluster, NAME, cron, (Tone::Normal, "SawCompletedJob", &message), now);
        }
        let completed = text(job.json(), "/status/completionTime");
        let last = status.get("lastSuccessfulTime").and_then(Value::as_str).unwrap_or_default();
        if is_true(job.json(), "Complete") && completed > last {
            status.insert("lastSuccessfulTime".to_owned(), completed.into());
        }
    }
    active.retain(|reference| jobs.iter().any(|job| reference.get("uid").and_then(Value::as_str) == Some(job.uid())));
    set_active(status, active);
}

fn set_active(status: &mut Map<String, Value>, active: Vec<Value>) {
    if active.is_empty() {
        status.remove("active");
    } else {
        status.insert("active".to_owned(), Value::Array(active));
    }
}

/// Creates the Job of the last time that has passed; returns when to look again.
fn start_due(
    cluster: &mut Cluster,
    cron: &Value,
    jobs: &[Arc<Stored>],
    status: &mut Map<String, Value>,
    now: Timestamp,
) -> Result<Option<Timestamp>, ApiError> {
    let (schedule, zone) = match (CronSchedule::parse(text(cron, "/spec/schedule")), zone(cron)) {
        (Ok(schedule), Some(zone)) => (schedule, zone),
        (Err(problem), _) => {
            let message = format!("unparseable schedule: {:?} : {problem}", text(cron, "/spec/schedule"));
            record(cluster, NAME, cron, (Tone::Warning, "UnparseableSchedule", &message), now);
            return Ok(None);
        }
        (_, None) => {
            let message = format!("invalid timeZone: {:?}", text(cron, "/spec/timeZone"));
            record(cluster, NAME, cron, (Tone::Warning, "UnknownTimeZone", &message), now);
            return Ok(None);
        }
    };
    if flag(cron, "/spec/suspend") {
        return Ok(None);
    }
    let next = schedule.next(now, &zone);
    let Some(scheduled) = missed(cron, &schedule, &zone, now) else { return Ok(next) };
    let name = format!("{}-{}", text(cron, "/metadata/name"), scheduled.as_second() / 60);
    let already = status.get("lastScheduleTime").and_then(Value::as_str) == Some(format_time(scheduled).as_str());
    if already || jobs.iter().any(|job| job.name() == name) {
        return Ok(next);
    }
    let running = jobs.iter().filter(|job| !has_finished(job.json()));
    match text(cron, "/spec/concurrencyPolicy") {
        "Forbid" if running.clone().next().is_some() => {
            let message = "Not starting job because prior execution is running and concurrency policy is Forbid";
            record(cluster, NAME, cron, (Tone::Normal, "JobAlreadyActive", message), now);
            return Ok(next);
        }
        "Replace" => {
            for job in running {
                delete(cluster, cron, job, now)?;
            }
            set_active(status, Vec::new());
        }
        _ => {}
    }
    let job = cluster.acting_as_controller(NAME).create(
        JOBS,
        text(cron, "/metadata/namespace"),
        job_of(cron, &name, scheduled),
    );
    let job = match job {
        Ok(job) => job,
        Err(error) if error.is_already_exists() => return Ok(next),
        Err(error) => {
            let message = format!("Error creating job: {}", error.message);
            record(cluster, NAME, cron, (Tone::Warning, "FailedCreate", &message), now);
            return Err(error);
        }
    };
    record(cluster, NAME, cron, (Tone::Normal, "SuccessfulCreate", &format!("Created job {name}")), now);
    let mut active = status.get("active").and_then(Value::as_array).cloned().unwrap_or_default();
    active.push(json!({
        "apiVersion": "batch/v1", "kind": "Job", "name": name, "namespace": job.namespace(),
        "resourceVersion": job.revision().to_string(), "uid": job.uid(),
    }));
    set_active(status, active);
    status.insert("lastScheduleTime".to_owned(), format_time(scheduled).into());
    Ok(next)
}

/// The time zone of the schedule: its own, or that of the controller, which is UTC.
fn zone(cron: &Value) -> Option<TimeZone> {
    object_model::time_zone(text(cron, "/spec/timeZone"))
}

/// The last time of the schedule that has passed since the last Job, and is not too long ago.
fn missed(cron: &Value, schedule: &CronSchedule, zone: &TimeZone, now: Timestamp) -> Option<Timestamp> {
    let since = time(cron, "/status/lastScheduleTime").or_else(|| time(cron, "/metadata/creationTimestamp"))?;
    let deadline = cron.pointer("/spec/startingDeadlineSeconds").and_then(Value::as_u64);
    let earliest = deadline.and_then(|seconds| now.checked_sub(Duration::from_secs(seconds)).ok());
    let mut at = earliest.map_or(since, |earliest| since.max(earliest));
    let mut last = None;
    for _ in 0..MISSED_MAX {
        match schedule.next(at, zone).filter(|next| *next <= now) {
            Some(next) => (last, at) = (Some(next), next),
            None => return last,
        }
    }
    // So many were missed that only the newest counts: begin again a little before now.
    let gap = schedule.next(at, zone)?.duration_since(at);
    let near = now.checked_sub(gap).ok()?.checked_sub(gap).ok()?;
    let mut at = at.max(near);
    while let Some(next) = schedule.next(at, zone).filter(|next| *next <= now) {
        (last, at) = (Some(next), next);
    }
    last
}

fn job_of(cron: &Value, name: &str, scheduled: Timestamp) -> Value {
    let template = cron.pointer("/spec/jobTemplate").unwrap_or(&Value::Null);
    let mut metadata = Map::new();
    if let Some(labels) = template.pointer("/metadata/labels") {
        metadata.insert("labels".to_owned(), labels.clone());
    }
    let mut annotations =
        template.pointer("/metadata/annotations").and_then(Value::as_object).cloned().unwrap_or_default();
    annotations.insert("batch.kubernetes.io/cronjob-scheduled-timestamp".to_owned(), format_time(scheduled).into());
    metadata.insert("annotations".to_owned(), Value::Object(annotations));
    metadata.insert("name".to_owned(), name.into());
    metadata.insert("ownerReferences".to_owned(), json!([owner_reference(cron)]));
    json!({"metadata": metadata, "spec": template.get("spec")})
}

/// Deletes finished Jobs beyond those that are to be kept.
fn clear_away(cluster: &mut Cluster, cron: &Value, jobs: &[Arc<Stored>], now: Timestamp) -> Result<(), ApiError> {
    for (condition, limit, default) in
        [("Complete", "/spec/successfulJobsHistoryLimit", 3), ("Failed", "/spec/failedJobsHistoryLimit", 1)]
    {
        let keep = usize::try_from(int_or(cron, limit, default)).unwrap_or(0);
        let mut ended: Vec<&Arc<Stored>> = jobs.iter().filter(|job| is_true(job.json(), condition)).collect();
        ended.sort_by_key(|job| (text(job.json(), "/status/startTime").to_owned(), job.name().to_owned()));
        let surplus = ended.len().saturating_sub(keep);
        for job in ended.into_iter().take(surplus) {
            delete(cluster, cron, job, now)?;
        }
    }
    Ok(())
}

fn delete(cluster: &mut Cluster, cron: &Value, job: &Stored, now: Timestamp) -> Result<(), ApiError> {
    let options = DeleteOptions {
        uid: Some(job.uid().to_owned()),
        propagation: Some(Propagation::Background),
        ..DeleteOptions::default()
    };
    match cluster.acting_as_controller(NAME).delete(JOBS, job.namespace(), job.name(), options) {
        Ok(_) => {
            let message = format!("Deleted job {}", job.name());
            record(cluster, NAME, cron, (Tone::Normal, "SuccessfulDelete", &message), now);
            Ok(())
        }
        Err(error) if error.is_not_found() => Ok(()),
        Err(error) => Err(error),
    }
}
