//! A second opinion on experiment plans, written from the rules and not from `decide`.

use api::names;
use object_model::Object;
use serde_json::Value;

use super::snapshot::Snapshot;
use crate::{Action, ObjectRef, Plan, Violation};

/// Names what a plan would break.
pub(super) fn check(snapshot: &Snapshot, plan: &Plan) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (stage, acts) in plan.stages.iter().enumerate() {
        for act in acts {
            let broken = match &act.action {
                Action::Create { object, .. } => creation(snapshot, object),
                Action::Patch { target, patch, .. } => change(snapshot, target, patch),
                Action::Delete { target, .. } => removal(snapshot, target),
                _ => None,
            };
            if let Some((rule, message)) = broken {
                violations.push(Violation { rule, message, stage: Some(stage) });
            }
        }
    }
    violations
}

type Broken = Option<(&'static str, String)>;

fn is_over(snapshot: &Snapshot) -> bool {
    let phase = snapshot.experiment.str_at("/status/phase").unwrap_or_default();
    !matches!(phase, "" | "Pending" | "Running") || snapshot.experiment.bool_at("/spec/terminate") == Some(true)
}

/// Whatever is made belongs to this life of the experiment, nothing is made once it is over, and a ReplicaSet is made empty.
fn creation(snapshot: &Snapshot, object: &Object) -> Broken {
    let name = object.name();
    if object.controller().map(|owner| owner.uid) != Some(snapshot.uid.clone()) {
        return Some(("made-for-this-experiment", format!("{} {name} would belong to somebody else", object.kind())));
    }
    if is_over(snapshot) {
        return Some(("nothing-new-when-over", format!("{} {name} would be made for what is over", object.kind())));
    }
    let pods = object.int_at("/spec/replicas").unwrap_or(0);
    if object.kind() == "ReplicaSet" && pods != 0 {
        return Some(("made-empty", format!("ReplicaSet {name} would be made with {pods} pods")));
    }
    let is_available = snapshot.experiment.pointer("/status/availableAt").is_some();
    if object.kind() == "AnalysisRun" && !is_available {
        return Some(("measure-what-runs", format!("AnalysisRun {name} would measure pods that are not there")));
    }
    None
}

/// Only own ReplicaSets are resized: not above what their template asks for, and not emptied while they get traffic.
fn change(snapshot: &Snapshot, target: &ObjectRef, patch: &Value) -> Broken {
    if target.kind.kind != "ReplicaSet" {
        return None;
    }
    let to = patch.pointer("/spec/replicas").and_then(Value::as_u64)?;
    let mut own = snapshot.templates.values().filter_map(|template| template.set.as_ref());
    let Some(set) = own.find(|set| set.name() == target.name) else {
        return Some(("only-own-sets", format!("{target} is not of this experiment")));
    };
    let template = set.object.annotation(names::EXPERIMENT_TEMPLATE).unwrap_or_default();
    let wanted = snapshot.experiment.list_at("/spec/templates").iter();
    let mut wanted = wanted.filter(|it| it.get("name").and_then(Value::as_str) == Some(template));
    let most = wanted.find_map(|it| it.get("replicas").map_or(Some(1), Value::as_u64)).unwrap_or(0);
    if to > most || (to > u64::from(set.desired) && is_over(snapshot)) {
        return Some(("no-more-than-asked", format!("{target} would get {to} of {most} pods")));
    }
    let service = snapshot.experiment.list_at("/status/templateStatuses").iter();
    let mut service = service.filter(|it| it.get("name").and_then(Value::as_str) == Some(template));
    let service = service.find_map(|it| it.get("serviceName")?.as_str()).unwrap_or_default();
    if to == 0 && weight_of(snapshot, service) > 0 {
        return Some(("traffic-leaves-before-pods", format!("{target} gets traffic by Service {service}")));
    }
    None
}

/// The share that the Rollout's status gives a Service of this experiment.
fn weight_of(snapshot: &Snapshot, service: &str) -> u64 {
    let rollout = snapshot.rollout.as_deref();
    let items = rollout.map(|rollout| rollout.list_at("/status/canary/weights/additional")).unwrap_or_default();
    let of_service = items.iter().filter(|item| item.get("serviceName").and_then(Value::as_str) == Some(service));
    of_service.filter_map(|item| item.get("weight")?.as_u64()).sum()
}

/// Only own Services are deleted, and none that gets traffic.
fn removal(snapshot: &Snapshot, target: &ObjectRef) -> Broken {
    let mut own = snapshot.templates.values().filter_map(|template| template.service.as_ref());
    let is_own = target.kind.kind == "Service" && own.any(|service| service.name() == target.name);
    if !is_own {
        return Some(("only-own-services", format!("{target} is not of this experiment")));
    }
    let weight = weight_of(snapshot, &target.name);
    (weight > 0).then(|| ("traffic-leaves-before-services", format!("{target} gets {weight} % of the traffic")))
}
