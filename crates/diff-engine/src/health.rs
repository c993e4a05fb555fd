//! Judges the health of an object from its own fields, as Argo CD judges the kinds that it knows.

mod argo;
mod autoscaler;
mod batch;
mod generic;
mod kstatus;
mod pods;
mod workloads;

pub use kstatus::assess_as_kstatus;
use object_model::Object;
use serde_json::Value;

/// How an object fares, from best to worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum HealthStatus {
    /// It does what it is for.
    Healthy,
    /// It was told to wait.
    Suspended,
    /// It is on the way.
    Progressing,
    /// It is not there.
    Missing,
    /// It has failed.
    Degraded,
    /// It can't be told.
    Unknown,
}

impl HealthStatus {
    /// Reads one of the six words.
    pub fn parse(text: &str) -> Option<Self> {
        let all = [Self::Healthy, Self::Suspended, Self::Progressing, Self::Missing, Self::Degraded, Self::Unknown];
        all.into_iter().find(|status| status.to_string() == text)
    }
}

impl std::fmt::Display for HealthStatus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Healthy => "Healthy",
            Self::Suspended => "Suspended",
            Self::Progressing => "Progressing",
            Self::Missing => "Missing",
            Self::Degraded => "Degraded",
            Self::Unknown => "Unknown",
        })
    }
}

/// The health of one object, or the worst of several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// How it fares.
    pub status: HealthStatus,
    /// Why, for people; may be empty.
    pub message: String,
}

impl Health {
    /// Returns a health with its reason.
    pub fn new(status: HealthStatus, message: impl Into<String>) -> Self {
        Self { status, message: message.into() }
    }

    fn healthy() -> Self {
        Self::new(HealthStatus::Healthy, "")
    }

    fn progressing(message: impl Into<String>) -> Self {
        Self::new(HealthStatus::Progressing, message)
    }

    fn degraded(message: impl Into<String>) -> Self {
        Self::new(HealthStatus::Degraded, message)
    }

    fn suspended(message: impl Into<String>) -> Self {
        Self::new(HealthStatus::Suspended, message)
    }
}

/// The group under which our own kinds live, and the group that replaces it in an install for existing manifests.
const OWN_GROUPS: [&str; 2] = ["sluice.dev", "gitops.example.com"];

/// Returns the health of a live object, or `None` for a kind that has none (a ConfigMap is what it is).
///
/// ```
/// use diff_engine::{HealthStatus, assess};
/// let claim = object_model::Object::parse(serde_json::json!({
///     "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data"}, "status": {"phase": "Lost"},
/// })).unwrap();
/// assert_eq!(assess(&claim).unwrap().status, HealthStatus::Degraded);
/// ```
pub fn assess(live: &Object) -> Option<Health> {
    let is_definition = live.kind() == "CustomResourceDefinition";
    if live.is_deleting() && !is_definition {
        return Some(Health::progressing("Pending deletion"));
    }
    match (live.group(), live.kind()) {
        ("apps", "Deployment") => Some(workloads::deployment(live)),
        ("apps", "ReplicaSet") => Some(workloads::replica_set(live)),
        ("apps", "StatefulSet") => Some(workloads::stateful_set(live)),
        ("apps", "DaemonSet") => Some(workloads::daemon_set(live)),
        ("", "Pod") => Some(pods::pod(live)),
        ("", "PersistentVolumeClaim") => Some(generic::volume_claim(live)),
        ("", "Service") => generic::service(live),
        ("networking.k8s.io" | "extensions", "Ingress") => Some(generic::ingress(live)),
        ("batch", "Job") => Some(batch::job(live)),
        ("batch", "CronJob") => Some(batch::cron_job(live)),
        ("policy", "PodDisruptionBudget") => Some(generic::disruption_budget(live)),
        ("autoscaling", "HorizontalPodAutoscaler") => Some(autoscaler::autoscaler(live)),
        ("apiregistration.k8s.io", "APIService") => Some(generic::api_service(live)),
        ("apiextensions.k8s.io", "CustomResourceDefinition") => Some(generic::definition(live)),
        ("argoproj.io", "Rollout") => Some(argo::rollout(live)),
        ("argoproj.io", "AnalysisRun") => Some(argo::analysis_run(live)),
        ("argoproj.io", "Experiment") => Some(argo::experiment(live)),
        (group, _) if OWN_GROUPS.contains(&group) => generic::by_conditions(live),
        _ => None,
    }
}

/// Returns the worst health, with the object's name before its message; Healthy when there is none.
pub fn worst<'a>(healths: impl IntoIterator<Item = (&'a Object, Health)>) -> Health {
    let mut worst: Option<(&Object, Health)> = None;
    for (object, health) in healths {
        if worst.as_ref().is_none_or(|(_, have)| health.status > have.status) {
            worst = Some((object, health));
        }
    }
    match worst {
        None => Health::healthy(),
        Some((_, health)) if health.status == HealthStatus::Healthy => Health::healthy(),
        Some((object, health)) if health.message.is_empty() => Health::new(health.status, object.id().to_string()),
        Some((object, health)) => Health::new(health.status, format!("{}: {}", object.id(), health.message)),
    }
}

/// One condition of `status.conditions`.
struct Seen<'a> {
    kind: &'a str,
    status: &'a str,
    reason: &'a str,
    message: &'a str,
}

fn conditions(object: &Object) -> Vec<Seen<'_>> {
    object.list_at("/status/conditions").iter().map(seen).collect()
}

fn seen(condition: &Value) -> Seen<'_> {
    let text = |field: &str| condition.get(field).and_then(Value::as_str).unwrap_or_default();
    Seen { kind: text("type"), status: text("status"), reason: text("reason"), message: text("message") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_health_wins_and_names_its_object() {
        let web = Object::new("apps/v1", "Deployment", Some("qa"), "web");
        let db = Object::new("apps/v1", "StatefulSet", Some("qa"), "db");
        let all = worst([(&web, Health::progressing("rolling out")), (&db, Health::degraded("no volume"))]);
        assert_eq!((all.status, all.message.as_str()), (HealthStatus::Degraded, "StatefulSet.apps qa/db: no volume"));
        assert_eq!(worst([]).status, HealthStatus::Healthy);
    }

    #[test]
    fn kinds_without_a_rule_have_no_health() {
        assert_eq!(assess(&Object::new("v1", "ConfigMap", None, "a")), None);
        assert_eq!(assess(&Object::new("serving.knative.dev/v1", "Service", None, "a")), None);
    }

    #[test]
    fn what_is_being_deleted_is_progressing() {
        let mut object = Object::new("v1", "ConfigMap", None, "a");
        object.set_at(&["metadata", "deletionTimestamp"], "2026-01-01T00:00:00Z".into());
        assert_eq!(assess(&object).map(|health| health.message).as_deref(), Some("Pending deletion"));
    }
}
