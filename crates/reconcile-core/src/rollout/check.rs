//! A second opinion on rollout plans, written from the rules of DESIGN §4.8 and not from `decide`.

use api::names;
use object_model::{Object, PodHash};
use serde_json::Value;
use traffic_split::Observed;

use super::replica_set::ReplicaSetView;
use super::services;
use super::snapshot::Snapshot;
use crate::{Action, ObjectRef, Plan, Precondition, Violation};

/// Names what a plan would break.
pub(super) fn check(snapshot: &Snapshot, plan: &Plan) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (stage, acts) in plan.stages.iter().enumerate() {
        for act in acts {
            let broken = match &act.action {
                Action::Patch { target, patch, .. } if target.kind.kind == "ReplicaSet" => {
                    scale(snapshot, &target.name, patch).or_else(|| template(snapshot, &target.name, patch))
                }
                Action::Patch { target, patch, .. } if target.kind.kind == "Pod" => pod(snapshot, &target.name, patch),
                Action::Patch { target, patch, .. } if target.kind.kind == "Deployment" => {
                    workload(snapshot, &target.name, patch)
                }
                Action::Evict { target, precondition } => eviction(snapshot, target, precondition),
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
                action => weights(snapshot, action).or_else(|| subsets(snapshot, action)),
            };
            if let Some((rule, message)) = broken {
                violations.push(Violation { rule, message, stage: Some(stage) });
            }
        }
    }
    violations.extend(evictions(snapshot, plan));
    violations.extend(roles(snapshot, plan));
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
    if set.hash == snapshot.hash || is_stable || in_service(snapshot).any(|hash| hash == set.hash) {
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

/// The versions that any Service or subset of the Rollout selects.
fn in_service(snapshot: &Snapshot) -> impl Iterator<Item = PodHash> {
    let blue_green = [&snapshot.active_service, &snapshot.preview_service];
    let blue_green = blue_green.into_iter().filter_map(|service| services::selected(service.as_deref()));
    blue_green.chain(services::all_hashes(snapshot))
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
    let stable = services::some_stable_selects(snapshot, &set.hash);
    let gives_up = snapshot.canary().is_some_and(|canary| canary.dynamic_stable_scale);
    let total = u64::from(snapshot.weight_total());
    let share = total - canary_share(snapshot).min(total);
    let needed = match gives_up {
        true => (u64::from(snapshot.spec.replicas) * share).div_ceil(total.max(1)),
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
    let canary = services::some_canary_selects(snapshot, &set.hash);
    let weight = snapshot.routing.shares(snapshot, None).map(|seen| seen.canary).max().unwrap_or(0);
    if canary && !stable && weight > 0 && to == 0 {
        return Some((
            "traffic-leaves-before-pods",
            format!("ReplicaSet {name} gets {weight} of {total} of the traffic and would be scaled to 0"),
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

/// Weights add up to their total, and only a version with ready pods gets more of them.
fn weights(snapshot: &Snapshot, action: &Action) -> Option<(&'static str, String)> {
    let after: Vec<_> = snapshot.routing.shares(snapshot, Some(action)).collect();
    for seen in &after {
        let sum = u64::from(seen.canary) + u64::from(seen.stable) + u64::from(seen.other);
        let is_touched = snapshot.routing.writes(action, &seen.object);
        if is_touched && sum != u64::from(snapshot.weight_total()) && seen.canary + seen.stable > 0 {
            let given = (seen.canary, seen.stable, seen.other);
            return Some(("weights-sum-to-their-total", format!("the weights of {} would be {given:?}", seen.object)));
        }
    }
    if let Some(broken) = shares_of_experiments(snapshot, action, &after) {
        return Some(broken);
    }
    let before: Vec<Observed> = snapshot.routing.shares(snapshot, None).collect();
    let had = |seen: &Observed| {
        let same = before.iter().find(|it| it.object == seen.object && it.pointer == seen.pointer);
        same.map_or(0, |it| it.canary)
    };
    let touched = after.iter().filter(|seen| snapshot.routing.writes(action, &seen.object));
    let raised = touched
        .filter(|seen| seen.canary > had(seen) && !leads_to_pods(snapshot, seen))
        .max_by_key(|seen| seen.canary)?;
    let message = format!(
        "the canary would get {} of {} of the traffic without an available pod",
        raised.canary,
        snapshot.weight_total()
    );
    Some(("weight-needs-ready-pods", message))
}

/// Whether what a route gives the canary reaches a version with available pods.
fn leads_to_pods(snapshot: &Snapshot, seen: &Observed) -> bool {
    let pair = snapshot.routing.pair_of(snapshot, &seen.object);
    let selected = match pair.names.canary {
        Some(_) => pair.canary_hash(),
        None => services::canary_hash(snapshot),
    };
    snapshot.sets.iter().any(|set| Some(&set.hash) == selected.as_ref() && set.available > 0)
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

/// A subset that gets traffic does not select a version without available pods while its present one has some.
fn subsets(snapshot: &Snapshot, action: &Action) -> Option<(&'static str, String)> {
    let now = snapshot.routing.selected.as_ref()?;
    let after = snapshot.routing.selected_after(action)?;
    let available = |hash: &PodHash| snapshot.sets.iter().find(|set| set.hash == *hash).map_or(0, |set| set.available);
    let share = snapshot.routing.shares(snapshot, None).map(|seen| seen.canary).max().unwrap_or(0);
    let roles = [
        ("stable", &now.stable, &after.stable, share < snapshot.weight_total()),
        ("canary", &now.canary, &after.canary, share > 0),
    ];
    roles.into_iter().filter(|(.., serves)| *serves).find_map(|(role, now, after, _)| {
        let (now, after) = (now.as_ref()?, after.as_ref()?);
        let broken = now != after && available(now) > 0 && available(after) == 0;
        broken.then(|| {
            let message = format!("the {role} subset would select {after}, which has no available pod");
            ("subset-needs-ready-pods", message)
        })
    })
}

/// A Service that serves is not pointed at a version without available pods while its present one has some.
fn selector(snapshot: &Snapshot, name: &str, patch: &Value) -> Option<(&'static str, String)> {
    let to = patch.pointer("/spec/selector")?.get(names::POD_TEMPLATE_HASH)?.as_str()?;
    if snapshot.active_service.as_deref().is_some_and(|service| service.name() == name) {
        return promotion(snapshot, name, to);
    }
    let mut all = snapshot.services.pairs().filter_map(|pair| pair.stable.as_deref());
    let stable = all.find(|service| service.name() == name)?;
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

/// Whether a patch of metadata would take a pod out of the hands of its ReplicaSet or away from its Services.
fn moves_pods(snapshot: &Snapshot, set: &ReplicaSetView, metadata: &Value) -> bool {
    let labels = metadata.get("labels").and_then(Value::as_object);
    let own = set.object.pointer("/spec/selector/matchLabels").and_then(Value::as_object);
    let of_rollout = snapshot.spec.selector.pointer("/matchLabels").and_then(Value::as_object);
    let is_used = |key: &String| {
        key == names::POD_TEMPLATE_HASH
            || [own, of_rollout].into_iter().flatten().any(|labels| labels.contains_key(key))
    };
    labels.into_iter().flatten().any(|(key, _)| is_used(key))
}

/// A template that has pods changes nothing but labels and annotations, and none by which the pods are known.
fn template(snapshot: &Snapshot, name: &str, patch: &Value) -> Option<(&'static str, String)> {
    const RULE: &str = "templates-keep-their-pods";
    let changed = patch.pointer("/spec/template")?.as_object()?;
    let set = snapshot.sets.iter().find(|set| set.name() == name)?;
    if changed.keys().any(|key| key != "metadata") {
        return Some((RULE, format!("ReplicaSet {name} would get other pods under its hash")));
    }
    let moves = changed.get("metadata").is_some_and(|metadata| moves_pods(snapshot, set, metadata));
    moves.then(|| (RULE, format!("the template of ReplicaSet {name} would not match its selector")))
}

/// A running pod of this Rollout gets labels and annotations, and none by which it is known.
fn pod(snapshot: &Snapshot, name: &str, patch: &Value) -> Option<(&'static str, String)> {
    const RULE: &str = "pods-keep-their-place";
    let is_it = |set: &&ReplicaSetView| {
        snapshot.pods.get(set.name()).into_iter().flatten().any(|pod| pod.object.name() == name)
    };
    let Some(set) = snapshot.sets.iter().find(is_it) else {
        return Some((RULE, format!("pod {name} does not belong to this Rollout")));
    };
    let is_metadata = patch.as_object().is_some_and(|map| map.keys().all(|key| key == "metadata"));
    let moves = patch.get("metadata").is_some_and(|metadata| moves_pods(snapshot, set, metadata));
    (!is_metadata || moves).then(|| (RULE, format!("pod {name} would be changed in more than its metadata")))
}

/// The Deployment that the Rollout takes the place of keeps what the Rollout has not got ready yet.
fn workload(snapshot: &Snapshot, name: &str, patch: &Value) -> Option<(&'static str, String)> {
    const RULE: &str = "the-workload-keeps-what-is-missing";
    let reference = snapshot.spec.workload.as_ref().filter(|workload| workload.name == name);
    let live = snapshot.workload.as_deref().filter(|workload| workload.kind() == "Deployment");
    let (Some(reference), Some(live)) = (reference, live) else {
        return Some((RULE, format!("Deployment {name} is not the one that the Rollout refers to")));
    };
    if matches!(reference.scale_down, None | Some(api::argo::WorkloadScaleDown::Never)) {
        return Some((RULE, format!("Deployment {name} is to keep its pods")));
    }
    let to = patch.pointer("/spec/replicas").and_then(Value::as_u64)?;
    let now = live.int_at("/spec/replicas").and_then(|count| u64::try_from(count).ok()).unwrap_or(1);
    let ready: u64 = snapshot.sets.iter().map(|set| u64::from(set.ready)).sum();
    let is_short = to < now && to + ready < u64::from(snapshot.spec.replicas);
    is_short.then(|| (RULE, format!("Deployment {name} would have {to} pods beside {ready} ready ones of the Rollout")))
}

/// What is evicted is a pod of this Rollout that the restart is about, in the life that was seen.
fn eviction(snapshot: &Snapshot, target: &ObjectRef, precondition: &Precondition) -> Option<(&'static str, String)> {
    const RULE: &str = "only-old-pods-are-restarted";
    let at = snapshot.spec.restart_at.filter(|at| *at <= snapshot.now && snapshot.status.restarted_at != Some(*at));
    let pod = snapshot.pods.values().flatten().find(|pod| pod.object.name() == target.name);
    let (Some(at), Some(pod)) = (at, pod) else {
        return Some((RULE, format!("nobody asked for a restart of {target}")));
    };
    let is_same = precondition.uid.is_some() && precondition.uid == pod.object.uid();
    let is_old = pod.object.creation_time().is_some_and(|created| created < at) && !pod.object.is_deleting();
    (!is_same || !is_old).then(|| (RULE, format!("{target} is not one of the pods made before the restart")))
}

/// A restart leaves as many pods available as the strategy demands, but for one.
fn evictions(snapshot: &Snapshot, plan: &Plan) -> Option<Violation> {
    let gone: Vec<(usize, &str)> = plan
        .stages
        .iter()
        .enumerate()
        .flat_map(|(stage, acts)| {
            acts.iter().filter_map(move |act| match &act.action {
                Action::Evict { target, .. } => Some((stage, target.name.as_str())),
                _ => None,
            })
        })
        .collect();
    let (stage, _) = *gone.first()?;
    let replicas = snapshot.spec.replicas;
    let allowed = match (snapshot.canary(), snapshot.blue_green()) {
        (Some(canary), _) => canary.max_unavailable.floor_of(replicas),
        (_, Some(strategy)) => strategy.max_unavailable.floor_of(replicas),
        _ => 0,
    };
    let least =
        replicas.max(snapshot.sets.iter().map(|set| set.desired).sum()).saturating_sub(allowed.min(replicas).max(1));
    let left = snapshot.pods.values().flatten().filter(|pod| {
        !gone.iter().any(|(_, name)| *name == pod.object.name())
            && pod.is_available(snapshot.spec.min_ready_seconds, snapshot.now)
    });
    let left = left.count();
    if left >= usize::try_from(least).unwrap_or(usize::MAX) {
        return None;
    }
    let message = format!("{} evictions would leave {left} of {least} pods available", gone.len());
    Some(Violation { rule: "a-restart-spares-availability", message, stage: Some(stage) })
}

/// Two Services that take turns change their roles with a promotion and at no other time.
fn roles(snapshot: &Snapshot, plan: &Plan) -> Option<Violation> {
    let patch = &plan.status.as_ref()?.patch;
    let role = patch.pointer("/status/canary/stablePingPong")?.as_str()?;
    let is_promoted = patch.pointer("/status/stableRS").is_some_and(Value::is_string);
    let leaves = snapshot.canary().is_none_or(|canary| canary.ping_pong.is_none());
    if is_promoted || leaves {
        return None;
    }
    let message = format!("stable would move to the Service {role} without a new version");
    Some(Violation { rule: "roles-change-with-a-promotion", message, stage: None })
}
