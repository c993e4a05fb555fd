//! A second opinion on rollout plans, written from the rules of DESIGN §4.8 and not from `decide`.

use api::names;
use object_model::Object;
use serde_json::Value;
use traffic_split::Observed;

use super::snapshot::Snapshot;
use crate::{Action, ObjectRef, Plan, Violation};

/// Names what a plan would break.
pub(super) fn check(snapshot: &Snapshot, plan: &Plan) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (stage, acts) in plan.stages.iter().enumerate() {
        for act in acts {
            let broken = match &act.action {
                Action::Patch { target, patch, .. } if target.kind.kind == "ReplicaSet" => {
                    scale(snapshot, &target.name, patch)
                }
                Action::Patch { target, patch, .. } if target.kind.kind == "Service" => {
                    selector(snapshot, &target.name, patch)
                }
                Action::Delete { target, .. } if !is_own_traffic(snapshot, target) => {
                    Some(("rollouts-delete-nothing", format!("{target} would be deleted")))
                }
                action => weights(snapshot, action),
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
    let weight = snapshot.routing.shares(snapshot, None).map(|seen| seen.canary).max().unwrap_or(0);
    if canary && !stable && weight > 0 && to == 0 {
        return Some((
            "traffic-leaves-before-pods",
            format!("ReplicaSet {name} gets {weight} % of the traffic and would be scaled to 0"),
        ));
    }
    None
}

/// An object that divides traffic and was made for this Rollout.
fn is_own_traffic(snapshot: &Snapshot, target: &ObjectRef) -> bool {
    let object = snapshot.routing.live.get(&target.id());
    object.and_then(Object::controller).is_some_and(|owner| owner.uid == snapshot.uid())
}

/// Weights are shares of 100, and only a version with ready pods gets more of them.
fn weights(snapshot: &Snapshot, action: &Action) -> Option<(&'static str, String)> {
    let after: Vec<_> = snapshot.routing.shares(snapshot, Some(action)).collect();
    for seen in &after {
        let sum = u64::from(seen.canary) + u64::from(seen.stable) + u64::from(seen.other);
        let is_touched = snapshot.routing.writes(action, &seen.object);
        if is_touched && sum != 100 && seen.canary + seen.stable > 0 {
            let given = (seen.canary, seen.stable, seen.other);
            return Some(("weights-sum-to-100", format!("the weights of {} would be {given:?}", seen.object)));
        }
    }
    let highest = |shares: &[Observed]| shares.iter().map(|seen| seen.canary).max().unwrap_or(0);
    let touched: Vec<_> = after.into_iter().filter(|seen| snapshot.routing.writes(action, &seen.object)).collect();
    let to = highest(&touched);
    let now = snapshot.routing.shares(snapshot, None).map(|seen| seen.canary).min().unwrap_or(0);
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
