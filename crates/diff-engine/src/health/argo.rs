//! Rollouts, AnalysisRuns and Experiments of argoproj.io.

use object_model::Object;

use super::{Health, HealthStatus, conditions};

/// Controllers before 0.9 wrote a hash instead of the generation: what is not a number, or a larger one than the
/// generation, was written by one and says nothing.
fn is_observed(observed: &str, generation: i64) -> bool {
    match observed.parse::<i64>() {
        Ok(observed) if observed <= generation => observed == generation,
        _ => true,
    }
}

fn is_spec_observed(live: &Object) -> bool {
    let observed = live
        .pointer("/status/observedGeneration")
        .map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned));
    observed.is_some_and(|observed| is_observed(&observed, live.generation()))
}

/// A Rollout that takes its template from a Deployment has also to have seen that one's generation.
fn is_workload_observed(live: &Object) -> bool {
    let referenced = live.pointer("/spec/workloadRef").is_some();
    let wanted = live.annotation("rollout.argoproj.io/workload-generation").and_then(|text| text.parse::<i64>().ok());
    match (referenced, wanted) {
        (true, Some(wanted)) => {
            let observed = live.str_at("/status/workloadObservedGeneration");
            observed.is_none_or(|observed| is_observed(observed, wanted))
        }
        _ => true,
    }
}

pub(super) fn rollout(live: &Object) -> Health {
    if !is_spec_observed(live) || !is_workload_observed(live) {
        return Health::progressing("Waiting for rollout spec update to be observed");
    }
    if let Some(health) = by_phase(live) {
        return health;
    }
    for condition in conditions(live) {
        let has_failed = condition.kind == "InvalidSpec"
            || (condition.kind == "Progressing"
                && matches!(condition.reason, "RolloutAborted" | "ProgressDeadlineExceeded"));
        if has_failed {
            return Health::degraded(condition.message);
        }
        if condition.kind == "Progressing" && condition.reason == "RolloutPaused" {
            return Health::suspended("Rollout is paused");
        }
    }
    let is_waiting = !live.list_at("/status/pauseConditions").is_empty();
    if live.bool_at("/spec/paused") == Some(true) || is_waiting {
        return Health::suspended("Rollout is paused");
    }
    if live.pointer("/spec/strategy/blueGreen").is_some() { blue_green(live) } else { canary(live) }
}

/// Since 1.0 the controller says itself how the Rollout is.
fn by_phase(live: &Object) -> Option<Health> {
    let message = live.str_at("/status/message").unwrap_or_default();
    let status = match live.str_at("/status/phase")? {
        "Healthy" => HealthStatus::Healthy,
        "Paused" => HealthStatus::Suspended,
        "Degraded" => HealthStatus::Degraded,
        "Progressing" => HealthStatus::Progressing,
        _ => return None,
    };
    Some(Health::new(status, message))
}

fn replicas(live: &Object) -> Option<Health> {
    let count = |pointer: &str| live.int_at(pointer).unwrap_or(0);
    let wanted = live.int_at("/spec/replicas").unwrap_or(1);
    let updated = count("/status/updatedReplicas");
    if updated < wanted {
        return Some(Health::progressing("Waiting for roll out to finish: More replicas need to be updated"));
    }
    // A missing count says that there is none, as the controller leaves zeros out.
    if count("/status/availableReplicas") < updated {
        return Some(Health::progressing(
            "Waiting for roll out to finish: updated replicas are still becoming available",
        ));
    }
    None
}

fn blue_green(live: &Object) -> Health {
    let current = live.str_at("/status/currentPodHash");
    if let Some(health) = replicas(live) {
        return health;
    }
    let active = live.str_at("/status/blueGreen/activeSelector");
    if active.is_none() || active != current {
        return Health::progressing("active service cutover pending");
    }
    Health::healthy()
}

fn canary(live: &Object) -> Health {
    if let Some(health) = replicas(live) {
        return health;
    }
    let count = |pointer: &str| live.int_at(pointer).unwrap_or(0);
    if count("/status/replicas") > count("/status/updatedReplicas") {
        return Health::progressing("Waiting for roll out to finish: old replicas are pending termination");
    }
    let stable = live
        .str_at("/status/stableRS")
        .filter(|hash| !hash.is_empty())
        .or_else(|| live.str_at("/status/canary/stableRS"));
    let has_steps = !live.list_at("/spec/strategy/canary/steps").is_empty();
    if has_steps && stable != live.str_at("/status/currentPodHash") {
        return Health::progressing("Waiting for rollout to finish steps");
    }
    Health::healthy()
}

pub(super) fn analysis_run(live: &Object) -> Health {
    let message = live.str_at("/status/message").filter(|message| !message.is_empty());
    let or = |text: &'static str| message.unwrap_or(text);
    match live.str_at("/status/phase") {
        Some("Pending" | "Running") => Health::progressing("Analysis run is running"),
        Some("Successful") => Health::new(HealthStatus::Healthy, or("Analysis run completed successfully")),
        Some("Failed") => Health::degraded(or("Analysis run failed")),
        Some("Error") => Health::degraded(or("Analysis run had an error")),
        Some("Inconclusive") => Health::new(HealthStatus::Unknown, or("Analysis run was inconclusive")),
        _ => Health::progressing("Waiting for analysis run to finish: status has not been reconciled."),
    }
}

pub(super) fn experiment(live: &Object) -> Health {
    match live.str_at("/status/phase") {
        Some("Pending") => Health::progressing("Experiment is pending"),
        Some("Running") => Health::progressing("Experiment is running"),
        Some("Successful") => Health::new(HealthStatus::Healthy, "Experiment is successful"),
        Some("Failed") => Health::degraded("Experiment has failed"),
        Some("Error") => Health::degraded("Experiment had an error"),
        _ => Health::progressing("Waiting for experiment to finish: status has not been reconciled."),
    }
}
