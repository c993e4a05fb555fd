//! Jobs and CronJobs.

use object_model::{Object, parse_time};

use super::{Health, HealthStatus, conditions};

pub(super) fn job(live: &Object) -> Health {
    let seen = conditions(live);
    let holds = |kind: &str| seen.iter().find(|condition| condition.kind == kind && condition.status == "True");
    if let Some(failed) = holds("Failed") {
        return Health::degraded(failed.message);
    }
    if let Some(complete) = holds("Complete") {
        return Health::new(HealthStatus::Healthy, complete.message);
    }
    if let Some(suspended) = holds("Suspended") {
        return Health::suspended(suspended.message);
    }
    Health::progressing("Waiting for the Job to complete")
}

pub(super) fn cron_job(live: &Object) -> Health {
    let healthy = |message: &str| Health::new(HealthStatus::Healthy, message);
    if live.bool_at("/spec/suspend") == Some(true) {
        return healthy("CronJob is Suspended");
    }
    let time = |pointer: &str| live.str_at(pointer).and_then(parse_time);
    let Some(scheduled) = time("/status/lastScheduleTime") else {
        return healthy("CronJob has not been scheduled yet");
    };
    if !live.list_at("/status/active").is_empty() {
        return healthy("The job is running. Its last execution may not have been successful");
    }
    match time("/status/lastSuccessfulTime") {
        None => healthy("The CronJob never completed successfully. It may not be healthy"),
        Some(succeeded) if succeeded >= scheduled => healthy("CronJob has completed its last execution successfully"),
        Some(_) => Health::degraded("CronJob has not completed its last execution successfully"),
    }
}
