//! Health as kstatus judges it, the library by which Flux and kubectl's relatives wait: first what every object says of
//! itself, then rules for some kinds, then the Ready condition. What says nothing is as it should be.

use object_model::{Object, Timestamp, parse_time};
use serde_json::Value;

use super::{Health, HealthStatus, Seen, conditions};

/// How long a pod may be unschedulable before it counts as failed, in seconds.
const SCHEDULE_SECONDS: i64 = 15;
/// The deadline of a Deployment that has none.
const NO_DEADLINE: i64 = 2_147_483_647;

/// Returns the health of a live object as kstatus judges it at a moment: Current is Healthy, InProgress and Terminating
/// are Progressing, Failed is Degraded.
///
/// ```
/// use diff_engine::{HealthStatus, assess_as_kstatus};
/// let map = object_model::Object::new("v1", "ConfigMap", Some("qa"), "settings");
/// let now = "2026-11-22T07:15:00Z".parse().unwrap();
/// assert_eq!(assess_as_kstatus(&map, now).status, HealthStatus::Healthy);
/// ```
pub fn assess_as_kstatus(live: &Object, now: Timestamp) -> Health {
    if let Some(health) = generic(live) {
        return health;
    }
    match (live.group(), live.kind()) {
        ("", "Service") => service(live),
        ("", "Pod") => pod(live, now),
        ("", "Secret" | "ConfigMap") | ("batch", "CronJob") => current("Resource is always ready"),
        ("", "PersistentVolumeClaim") => volume_claim(live),
        ("apps", "StatefulSet") => stateful_set(live),
        ("apps" | "extensions", "DaemonSet") => daemon_set(live),
        ("apps" | "extensions", "Deployment") => deployment(live),
        ("apps" | "extensions", "ReplicaSet") => replica_set(live),
        ("policy", "PodDisruptionBudget") => current("AllowedDisruptions has been computed."),
        ("batch", "Job") => job(live),
        ("apiextensions.k8s.io", "CustomResourceDefinition") => definition(live),
        _ => by_ready(live),
    }
}

fn current(message: impl Into<String>) -> Health {
    Health::new(HealthStatus::Healthy, message)
}

fn count(live: &Object, pointer: &str, otherwise: i64) -> i64 {
    live.int_at(pointer).unwrap_or(otherwise)
}

fn holds<'a>(seen: &'a [Seen<'a>], kind: &str) -> Option<&'a Seen<'a>> {
    seen.iter().find(|condition| condition.kind == kind && condition.status == "True")
}

/// What holds for every kind: deletion, generations, and the two conditions that kstatus itself defines.
fn generic(live: &Object) -> Option<Health> {
    if live.is_deleting() {
        return Some(Health::progressing("Resource scheduled for deletion"));
    }
    let generations = live.int_at("/metadata/generation").zip(live.int_at("/status/observedGeneration"));
    if let Some((wanted, observed)) = generations.filter(|(wanted, observed)| wanted != observed) {
        let kind = live.kind();
        return Some(Health::progressing(format!(
            "{kind} generation is {wanted}, but latest observed generation is {observed}"
        )));
    }
    for condition in conditions(live).iter().filter(|condition| condition.status == "True") {
        match condition.kind {
            "Reconciling" => return Some(Health::progressing(condition.message)),
            "Stalled" => return Some(Health::degraded(condition.message)),
            _ => {}
        }
    }
    None
}

fn by_ready(live: &Object) -> Health {
    for condition in conditions(live).iter().filter(|condition| condition.kind == "Ready") {
        match condition.status {
            "True" => return current("Resource is Ready"),
            // Whether it will ever be true can't be told.
            "False" | "Unknown" => return Health::progressing(condition.message),
            _ => {}
        }
    }
    current("Resource is current")
}

/// The first pair of which less is there than is wanted.
fn short_of(pairs: &[(&str, i64, i64)]) -> Option<Health> {
    let (word, have, want) = pairs.iter().find(|(_, have, want)| have < want)?;
    Some(Health::progressing(format!("{word}: {have}/{want}")))
}

fn too_many(have: i64, want: i64) -> Option<Health> {
    (have > want).then(|| Health::progressing(format!("Pending termination: {}", have - want)))
}

fn stateful_set(live: &Object) -> Health {
    if live.str_at("/spec/updateStrategy/type") == Some("OnDelete") {
        return current("StatefulSet is using the ondelete update strategy");
    }
    let wanted = count(live, "/spec/replicas", 1);
    let there = count(live, "/status/replicas", 0);
    let updated = count(live, "/status/updatedReplicas", 0);
    let ready = count(live, "/status/readyReplicas", 0);
    let short = short_of(&[("Replicas", there, wanted), ("Ready", ready, wanted)]).or_else(|| too_many(there, wanted));
    if let Some(short) = short {
        return short;
    }
    if let Some(partition) = live.int_at("/spec/updateStrategy/rollingUpdate/partition").filter(|count| *count != -1) {
        let short = short_of(&[("updated", updated, wanted - partition)]);
        return short.unwrap_or_else(|| current(format!("Partition rollout complete. updated: {updated}")));
    }
    if let Some(short) = short_of(&[("current", count(live, "/status/currentReplicas", 0), wanted)]) {
        return short;
    }
    let revision = |pointer: &str| live.str_at(pointer).unwrap_or_default();
    if revision("/status/currentRevision") != revision("/status/updateRevision") {
        return Health::progressing("Waiting for updated revision to match current");
    }
    current(format!("All replicas scheduled as expected. Replicas: {there}"))
}

fn deployment(live: &Object) -> Health {
    let seen = conditions(live);
    if seen.iter().any(|condition| condition.kind == "Progressing" && condition.reason == "ProgressDeadlineExceeded") {
        return Health::degraded("Progress deadline exceeded");
    }
    // Without a deadline the controller never says that it progresses.
    let has_progressed = count(live, "/spec/progressDeadlineSeconds", NO_DEADLINE) == NO_DEADLINE
        || holds(&seen, "Progressing").is_some_and(|condition| condition.reason == "NewReplicaSetAvailable");
    let wanted = count(live, "/spec/replicas", 1);
    let there = count(live, "/status/replicas", 0);
    let updated = count(live, "/status/updatedReplicas", 0);
    let ready = count(live, "/status/readyReplicas", 0);
    let available = count(live, "/status/availableReplicas", 0);
    short_of(&[("Replicas", there, wanted), ("Updated", updated, wanted)])
        .or_else(|| too_many(there, wanted))
        .or_else(|| short_of(&[("Available", available, updated), ("Ready", ready, wanted)]))
        .or_else(|| (!has_progressed).then(|| Health::progressing("ReplicaSet not Available")))
        .or_else(|| holds(&seen, "Available").is_none().then(|| Health::progressing("Deployment not Available")))
        .unwrap_or_else(|| current(format!("Deployment is available. Replicas: {there}")))
}

fn replica_set(live: &Object) -> Health {
    if holds(&conditions(live), "ReplicaFailure").is_some() {
        return Health::progressing("Replica Failure condition. Check Pods");
    }
    let wanted = count(live, "/spec/replicas", 1);
    let there = count(live, "/status/replicas", 0);
    short_of(&[
        ("Labelled", count(live, "/status/fullyLabeledReplicas", 0), wanted),
        ("Available", count(live, "/status/availableReplicas", 0), wanted),
        ("Ready", count(live, "/status/readyReplicas", 0), wanted),
    ])
    .or_else(|| too_many(there, wanted))
    .unwrap_or_else(|| current(format!("ReplicaSet is available. Replicas: {there}")))
}

fn daemon_set(live: &Object) -> Health {
    // Its controller always sets these, so that without them it has not looked yet.
    for (pointer, name) in
        [("/metadata/generation", "metadata.generation"), ("/status/observedGeneration", "status.observedGeneration")]
    {
        if live.int_at(pointer).is_none() {
            return Health::progressing(format!("{} {name} not found", live.kind()));
        }
    }
    let Some(wanted) = live.int_at("/status/desiredNumberScheduled").filter(|wanted| *wanted != -1) else {
        return Health::progressing("Missing .status.desiredNumberScheduled");
    };
    short_of(&[
        ("Current", count(live, "/status/currentNumberScheduled", 0), wanted),
        ("Updated", count(live, "/status/updatedNumberScheduled", 0), wanted),
        ("Available", count(live, "/status/numberAvailable", 0), wanted),
        ("Ready", count(live, "/status/numberReady", 0), wanted),
    ])
    .unwrap_or_else(|| current(format!("All replicas scheduled as expected. Replicas: {wanted}")))
}

fn volume_claim(live: &Object) -> Health {
    match live.str_at("/status/phase").unwrap_or("unknown") {
        "Bound" => current("PVC is Bound"),
        phase => Health::progressing(format!("PVC is not Bound. phase: {phase}")),
    }
}

fn pod(live: &Object, now: Timestamp) -> Health {
    let seen = conditions(live);
    match live.str_at("/status/phase").unwrap_or_default() {
        "Succeeded" => current("Pod has completed successfully"),
        "Failed" => current("Pod has completed, but not successfully"),
        "Running" => {
            if holds(&seen, "Ready").is_some() {
                return current("Pod is Ready");
            }
            let looping = crash_looping(live);
            if !looping.is_empty() {
                return Health::degraded(format!("Containers in CrashLoop state: {}", looping.join(",")));
            }
            Health::progressing("Pod is running but is not Ready")
        }
        "Pending" => {
            let is_unschedulable = seen.iter().any(|condition| {
                condition.kind == "PodScheduled" && condition.status == "False" && condition.reason == "Unschedulable"
            });
            if !is_unschedulable {
                return Health::progressing("Pod is in the Pending phase");
            }
            let created = live.str_at("/metadata/creationTimestamp").and_then(parse_time);
            let is_new = created.is_some_and(|created| now.as_second() - created.as_second() < SCHEDULE_SECONDS);
            match is_new {
                true => Health::progressing("Pod has not been scheduled"),
                false => Health::degraded("Pod could not be scheduled"),
            }
        }
        "" => Health::progressing("Pod phase not available"),
        phase => Health::new(HealthStatus::Unknown, format!("unknown phase {phase}")),
    }
}

fn crash_looping(live: &Object) -> Vec<&str> {
    let waits = |container: &&Value| {
        container.pointer("/state/waiting/reason").and_then(Value::as_str) == Some("CrashLoopBackOff")
    };
    let containers = live.list_at("/status/containerStatuses").iter().filter(waits);
    containers.filter_map(|container| container.get("name").and_then(Value::as_str)).collect()
}

fn job(live: &Object) -> Health {
    let completions = count(live, "/spec/completions", count(live, "/spec/parallelism", 1));
    let succeeded = count(live, "/status/succeeded", 0);
    let active = count(live, "/status/active", 0);
    let failed = count(live, "/status/failed", 0);
    for condition in conditions(live).iter().filter(|condition| condition.status == "True") {
        match condition.kind {
            "Complete" => return current(format!("Job Completed. succeeded: {succeeded}/{completions}")),
            "Failed" => return Health::degraded(format!("Job Failed. failed: {failed}/{completions}")),
            "Suspended" if live.bool_at("/spec/suspend") == Some(true) => return current("Job is suspended"),
            _ => {}
        }
    }
    if live.str_at("/status/startTime").is_none_or(str::is_empty) {
        return Health::progressing("Job not started");
    }
    current(format!("Job in progress. success:{succeeded}, active: {active}, failed: {failed}"))
}

fn service(live: &Object) -> Health {
    let has_address = live.str_at("/spec/clusterIP").is_some_and(|address| !address.is_empty());
    if live.str_at("/spec/type") == Some("LoadBalancer") && !has_address {
        return Health::progressing("ClusterIP not set. Service type: LoadBalancer");
    }
    current("Service is ready")
}

fn definition(live: &Object) -> Health {
    for condition in conditions(live) {
        match (condition.kind, condition.status) {
            ("NamesAccepted", "False") => return Health::degraded(condition.message),
            ("Established", "False") if condition.reason != "Installing" => {
                return Health::degraded(condition.message);
            }
            ("Established", "True") => return current("CRD is established"),
            _ => {}
        }
    }
    Health::progressing("Install in progress")
}
