//! A second opinion on rollout plans, written from the rules of DESIGN §4.8 and not from `decide`.

use api::names;
use object_model::Object;
use serde_json::Value;

use super::snapshot::Snapshot;
use crate::{Action, Plan, Violation};

/// Names what a plan would break.
pub(super) fn check(snapshot: &Snapshot, plan: &Plan) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (stage, acts) in plan.stages.iter().enumerate() {
        for act in acts {
            let broken = match &act.action {
                Action::Patch { target, patch, .. } if target.kind.kind == "ReplicaSet" => {
                    scale(snapshot, &target.name, patch)
                }
                Action::Patch { target, patch, .. } if target.kind.kind == "VirtualService" => weights(snapshot, patch),
                Action::Patch { target, patch, .. } if target.kind.kind == "Service" => {
                    selector(snapshot, &target.name, patch)
                }
                Action::Delete { target, .. } => {
                    Some(("rollouts-delete-nothing", format!("{target} would be deleted")))
                }
                _ => None,
            };
            if let Some((rule, message)) = broken {
                violations.push(Violation { rule, message, stage: Some(stage) });
            }
        }
    }
    violations
}

fn hash_of(service: Option<&Object>) -> Option<&str> {
    service?.str_at(&format!("/spec/selector/{}", names::POD_TEMPLATE_HASH))
}

/// A version that the stable Service selects, or that the canary Service selects while it has weight, is not scaled below
/// what it needs.
fn scale(snapshot: &Snapshot, name: &str, patch: &Value) -> Option<(&'static str, String)> {
    let to = patch.pointer("/spec/replicas").and_then(Value::as_u64)?;
    let set = snapshot.sets.iter().find(|set| set.name() == name)?;
    if to >= u64::from(set.desired) {
        return None;
    }
    let stable = hash_of(snapshot.stable_service.as_deref()) == Some(set.hash.as_str());
    if stable && snapshot.spec.is_routed() && to < u64::from(snapshot.spec.replicas) {
        return Some((
            "stable-keeps-its-pods",
            format!("ReplicaSet {name} serves the stable Service and would get {to} pods"),
        ));
    }
    let canary = hash_of(snapshot.canary_service.as_deref()) == Some(set.hash.as_str());
    let weight = snapshot
        .routing
        .live
        .values()
        .filter_map(|route| heaviest(snapshot, route.json().get("spec")?))
        .max()
        .unwrap_or(0);
    if canary && !stable && weight > 0 && to == 0 {
        return Some((
            "traffic-leaves-before-pods",
            format!("ReplicaSet {name} gets {weight} % of the traffic and would be scaled to 0"),
        ));
    }
    None
}

/// The largest weight of any destination that names the canary Service.
fn heaviest(snapshot: &Snapshot, spec: &Value) -> Option<u64> {
    let service = snapshot.canary()?.canary_service.as_deref()?;
    let mut most = None;
    let routes = spec.get("http").and_then(Value::as_array).into_iter().flatten();
    for destination in routes.filter_map(|route| route.get("route")?.as_array()).flatten() {
        let host = destination.pointer("/destination/host").and_then(Value::as_str).unwrap_or_default();
        if host.split('.').next() == Some(service) {
            most = most.max(Some(destination.get("weight").and_then(Value::as_u64).unwrap_or(100)));
        }
    }
    most
}

/// Weights are shares of 100, and only a version with ready pods gets more of them.
fn weights(snapshot: &Snapshot, patch: &Value) -> Option<(&'static str, String)> {
    let spec = patch.get("spec")?;
    for route in spec.get("http").and_then(Value::as_array).into_iter().flatten() {
        let destinations = route.get("route").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let given: Vec<u64> =
            destinations.iter().filter_map(|destination| destination.get("weight")?.as_u64()).collect();
        if given.len() > 1 && given.iter().sum::<u64>() != 100 {
            return Some(("weights-sum-to-100", format!("the weights would be {given:?}")));
        }
    }
    let to = heaviest(snapshot, spec)?;
    let now = snapshot
        .routing
        .live
        .values()
        .filter_map(|route| heaviest(snapshot, route.json().get("spec")?))
        .min()
        .unwrap_or(0);
    if to <= now {
        return None;
    }
    let selected = hash_of(snapshot.canary_service.as_deref());
    let available = snapshot.sets.iter().find(|set| Some(set.hash.as_str()) == selected).map_or(0, |set| set.available);
    if available == 0 {
        return Some((
            "weight-needs-ready-pods",
            format!("the canary would get {to} % of the traffic without an available pod"),
        ));
    }
    None
}

/// A Service that serves is not pointed at a version without available pods while its present one has some.
fn selector(snapshot: &Snapshot, name: &str, patch: &Value) -> Option<(&'static str, String)> {
    let to = patch.pointer("/spec/selector")?.get(names::POD_TEMPLATE_HASH)?.as_str()?;
    let stable = snapshot.stable_service.as_deref().filter(|service| service.name() == name)?;
    let available =
        |hash: &str| snapshot.sets.iter().find(|set| set.hash.as_str() == hash).map_or(0, |set| set.available);
    let now = hash_of(Some(stable))?;
    if now != to && available(now) > 0 && available(to) == 0 {
        return Some((
            "selector-needs-ready-pods",
            format!("Service {name} would select {to}, which has no available pod"),
        ));
    }
    None
}
