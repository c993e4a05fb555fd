//! A second opinion on rollout plans, written from the rules of DESIGN §4.8 and not from `decide`.

use api::names;
use object_model::Object;
use serde_json::Value;
use traffic_split::Observed;

use super::replica_set::ReplicaSetView;
use super::snapshot::Snapshot;
use crate::{Action, ObjectRef, Plan, Precondition, Violation};

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
                Action::Delete { target, .. } if is_own_traffic(snapshot, target) => None,
                Action::Delete { target, precondition, .. }
                    if matches!(target.kind.kind.as_str(), "AnalysisRun" | "Experiment") =>
                {
                    forgetting(snapshot, target, precondition)
                }
                Action::Delete { target, precondition, .. } => removal(snapshot, target, precondition),
                action => weights(snapshot, action),
            };
            if let Some((rule, message)) = broken {
                violations.push(Violation { rule, message, stage: Some(stage) });
            }
        }
    }
    violations
}

/// Only an empty ReplicaSet of this Rollout goes, in the version that was seen, when nothing refers to it and there are
/// more old ones than its history keeps.
fn removal(
    snapshot: &Snapshot,
    target: &crate::ObjectRef,
    precondition: &Precondition,
) -> Option<(&'static str, String)> {
    const RULE: &str = "only-spent-history-is-deleted";
    let refuse = |why: &str| Some((RULE, format!("{target} {why}")));
    let Some(set) = snapshot.sets.iter().find(|set| set.name() == target.name && target.kind.kind == "ReplicaSet")
    else {
        return refuse("is no ReplicaSet of this Rollout");
    };
    let is_exact = precondition.uid.is_some()
        && precondition.uid == set.object.uid()
        && precondition.resource_version.as_deref() == set.object.resource_version();
    if !is_exact {
        return refuse("would be deleted whatever became of it");
    }
    if set.desired > 0 || set.current > 0 {
        return refuse("has pods");
    }
    let is_stable = snapshot.status.stable.as_ref() == Some(&set.hash);
    if set.hash == snapshot.hash || is_stable || services(snapshot).any(|hash| hash == set.hash.as_str()) {
        return refuse("is in use");
    }
    let in_use =
        |set: &&ReplicaSetView| set.hash == snapshot.hash || snapshot.status.stable.as_ref() == Some(&set.hash);
    let old = snapshot.sets.len() - snapshot.sets.iter().filter(in_use).count();
    if old <= usize::try_from(snapshot.spec.revision_history_limit).unwrap_or(usize::MAX) {
        return refuse("is within the history that is kept");
    }
    None
}

/// Only ended runs and experiments of this Rollout are forgotten, in the version that was seen, and none that the status
/// still names.
fn forgetting(snapshot: &Snapshot, target: &ObjectRef, precondition: &Precondition) -> Option<(&'static str, String)> {
    const RULE: &str = "only-ended-history-is-deleted";
    let run = snapshot.runs.get(&target.name).map(|run| &run.object);
    let experiment = snapshot.experiments.get(&target.name).map(|experiment| &experiment.object);
    let object = if target.kind.kind == "Experiment" { experiment } else { run };
    let Some(object) = object else { return Some((RULE, format!("{target} is not of this Rollout"))) };
    let phase = object.str_at("/status/phase").unwrap_or_default();
    let has_ended = matches!(phase, "Successful" | "Failed" | "Error" | "Inconclusive");
    let is_exact = precondition.uid.is_some()
        && precondition.uid == object.uid()
        && precondition.resource_version.as_deref() == object.resource_version();
    let services: Vec<&str> = object
        .list_at("/status/templateStatuses")
        .iter()
        .filter_map(|template| template.get("serviceName")?.as_str())
        .collect();
    let weighted = snapshot.rollout.list_at("/status/canary/weights/additional");
    let is_weighted = weighted
        .iter()
        .any(|item| item.get("serviceName").and_then(Value::as_str).is_some_and(|service| services.contains(&service)));
    match has_ended && is_exact && !is_weighted {
        true => None,
        false => Some((RULE, format!("{target} has not ended, has changed or gets traffic"))),
    }
}

/// The versions that any Service of the Rollout selects.
fn services(snapshot: &Snapshot) -> impl Iterator<Item = &str> {
    let all = [&snapshot.stable_service, &snapshot.canary_service, &snapshot.active_service, &snapshot.preview_service];
    all.into_iter().filter_map(|service| hash_of(service.as_deref()))
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
    let gives_up = snapshot.canary().is_some_and(|canary| canary.dynamic_stable_scale);
    let share = 100 - canary_share(snapshot).min(100);
    let needed = match gives_up {
        true => (u64::from(snapshot.spec.replicas) * share).div_ceil(100),
        false => u64::from(snapshot.spec.replicas),
    };
    if stable && snapshot.spec.is_routed() && to < needed {
        return Some((
            "stable-keeps-its-pods",
            format!("ReplicaSet {name} serves the stable Service and would get {to} pods"),
        ));
    }
    let active = hash_of(snapshot.active_service.as_deref()) == Some(set.hash.as_str());
    if active && to < u64::from(snapshot.spec.replicas) {
        return Some((
            "active-keeps-its-pods",
            format!("ReplicaSet {name} serves the active Service and would get {to} pods"),
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

/// The share that the canary has for sure: the least that any traffic object gives it.
fn canary_share(snapshot: &Snapshot) -> u64 {
    snapshot.routing.shares(snapshot, None).map(|seen| u64::from(seen.canary)).min().unwrap_or(0)
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
    if let Some(broken) = shares_of_experiments(snapshot, action, &after) {
        return Some(broken);
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

/// Others than the two versions get more of the traffic only by an experiment whose pods are all available.
fn shares_of_experiments(snapshot: &Snapshot, action: &Action, after: &[Observed]) -> Option<(&'static str, String)> {
    let before: Vec<Observed> = snapshot.routing.shares(snapshot, None).collect();
    let had = |seen: &Observed| {
        let same = before.iter().find(|it| it.object == seen.object && it.pointer == seen.pointer);
        same.map_or(0, |it| it.other)
    };
    let touched = after.iter().filter(|seen| snapshot.routing.writes(action, &seen.object));
    let raised = touched.filter(|seen| seen.other > had(seen)).map(|seen| seen.other).max()?;
    let running = snapshot.experiments.values().any(|experiment| {
        let templates = experiment.object.list_at("/status/templateStatuses");
        let has_pods =
            |template: &Value| template.get("availableReplicas").and_then(Value::as_u64).is_some_and(|count| count > 0);
        experiment.object.str_at("/status/phase") == Some("Running") && templates.iter().any(has_pods)
    });
    if running {
        return None;
    }
    let message = format!("an experiment would get {raised} % of the traffic without running");
    Some(("experiment-weight-needs-ready-pods", message))
}

/// A Service that serves is not pointed at a version without available pods while its present one has some.
fn selector(snapshot: &Snapshot, name: &str, patch: &Value) -> Option<(&'static str, String)> {
    let to = patch.pointer("/spec/selector")?.get(names::POD_TEMPLATE_HASH)?.as_str()?;
    if snapshot.active_service.as_deref().is_some_and(|service| service.name() == name) {
        return promotion(snapshot, name, to);
    }
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

/// The active Service is given to the stable version, or to one that has all its pods and every yes that it needs.
fn promotion(snapshot: &Snapshot, name: &str, to: &str) -> Option<(&'static str, String)> {
    let now = hash_of(snapshot.active_service.as_deref());
    let set = snapshot.sets.iter().find(|set| set.hash.as_str() == to);
    let stable = snapshot.status.stable.as_ref();
    if now == Some(to) || stable.is_none_or(|stable| stable.as_str() == to) {
        return None;
    }
    let Some(set) = set.filter(|set| set.available >= snapshot.spec.replicas) else {
        return Some(("promotion-needs-capacity", format!("Service {name} would select {to}, which lacks pods")));
    };
    let strategy = snapshot.blue_green()?;
    let status = &snapshot.status;
    let stable_set = snapshot.sets.iter().find(|set| Some(&set.hash) == stable);
    let has_served = stable_set.is_some_and(|stable| set.first_revision < stable.first_revision)
        && (set.deadline.is_some() || snapshot.spec.rollback_window > 0);
    if status.promote_full || has_served {
        return None;
    }
    let asked = !strategy.pauses() || status.blue_green.check_point;
    let is_resumed = status.controller_pause && status.pauses.is_empty();
    let waited = strategy.auto_promotion && strategy.auto_promotion_delay.is_some();
    if !asked && !is_resumed && !waited {
        return Some(("promotion-needs-a-yes", format!("Service {name} would select {to}, which nobody approved")));
    }
    let run = status.blue_green.pre_run.as_ref().and_then(|run| snapshot.runs.get(&run.name));
    if strategy.pre_promotion.is_some() && run.is_none_or(|run| run.phase != "Successful") {
        let message = format!("Service {name} would select {to}, whose analysis has not succeeded");
        return Some(("promotion-needs-its-analysis", message));
    }
    None
}
