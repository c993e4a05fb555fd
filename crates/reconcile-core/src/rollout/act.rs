//! The writes of a rollout plan: ReplicaSets, Services, weights, events.

use api::argo::AntiAffinity;
use api::names;
use diff_engine::{Claims, FieldPointer};
use object_model::{Object, Weight, format_time};
use serde_json::{Value, json};

use super::metadata;
use super::progress::Progress;
use super::replica_set::ReplicaSetView;
use super::route::{self, Observed};
use super::services::{self, selected};
use super::snapshot::Snapshot;
use crate::bugs::{self, Bug};
use crate::time::after;
use crate::{Act, Action, EventType, Note, ObjectRef, Plan, Precondition, Reason, kinds};

/// One ReplicaSet's size now and next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Scaling {
    pub(super) set: String,
    pub(super) from: u32,
    pub(super) to: u32,
}

/// The ReplicaSet of the present template, at 0 pods, under its deterministic name.
pub(super) fn new_set(snapshot: &Snapshot) -> Option<Object> {
    let hash = snapshot.hash.as_str();
    let mut template = snapshot.spec.template.clone();
    let mut selector = snapshot.spec.selector.clone();
    anti_affinity(snapshot, &mut template);
    let role = metadata::of_a_new_version(snapshot, &mut template);
    set(&mut template, &["metadata", "labels", names::POD_TEMPLATE_HASH], hash.into());
    set(&mut selector, &["matchLabels", names::POD_TEMPLATE_HASH], hash.into());
    let revision = snapshot.last_revision() + 1;
    let labels = template.pointer("/metadata/labels").cloned().unwrap_or_else(|| json!({}));
    let object = json!({
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": set_name(snapshot),
            "namespace": snapshot.namespace(),
            "labels": labels,
            "annotations": {
                names::ROLLOUT_REVISION: revision.to_string(),
                names::DESIRED_REPLICAS: snapshot.spec.replicas.to_string(),
            },
            "ownerReferences": [owner_reference(snapshot)],
        },
        "spec": {
            "replicas": 0,
            "minReadySeconds": snapshot.spec.min_ready_seconds,
            "selector": selector,
            "template": template,
        },
    });
    let mut object = Object::parse(object).ok()?;
    if let Some(role) = role {
        object.set_annotation(names::EPHEMERAL_METADATA, &role);
    }
    Some(object)
}

/// The size that a plan gives a ReplicaSet.
pub(super) fn size_of(set: &Object, plan: &Plan) -> Option<u64> {
    plan.acts().find_map(|act| match &act.action {
        Action::Patch { target, patch, .. } if target.id() == ObjectRef::of(&kinds::replica_set(), set).id() => {
            patch.pointer("/spec/replicas")?.as_u64()
        }
        _ => None,
    })
}

/// Tells that the present template is a new revision.
pub(super) fn tell_of_a_new_set(snapshot: &Snapshot, plan: &mut Plan) {
    let revision = snapshot.last_revision() + 1;
    if snapshot.status.current.is_none() && snapshot.sets.is_empty() {
        let name = format!("{}/{}", snapshot.namespace(), snapshot.rollout.name());
        let text = format!("Rollout resource added to informer: {name}");
        note(snapshot, plan, EventType::Normal, "RolloutAddedToInformer", &text, "added");
    }
    tell_of_a_revision(snapshot, revision, plan);
    let text = format!("Created ReplicaSet {} (revision {revision})", snapshot.set_name);
    note(snapshot, plan, EventType::Normal, "NewReplicaSetCreated", &text, &format!("created/{}", snapshot.set_name));
}

/// Writes the one default that others must see, as Argo does: an autoscaler reads the size from the spec. What of the
/// template can't be read is taken out with it, so that clients that read strictly can read the Rollout at all.
pub(super) fn write_defaults(snapshot: &Snapshot) -> Option<Act> {
    if snapshot.rollout.pointer("/spec/replicas").is_some_and(|replicas| !replicas.is_null()) {
        return None;
    }
    let mut spec = json!({"replicas": snapshot.spec.replicas});
    if !snapshot.unreadable.is_empty() && snapshot.workload.is_none() {
        let containers = |list: &str| snapshot.spec.template.pointer(&format!("/spec/{list}")).cloned();
        let lists = ["containers", "initContainers", "ephemeralContainers"];
        for list in
            lists.iter().filter(|list| snapshot.rollout.pointer(&format!("/spec/template/spec/{list}")).is_some())
        {
            set(&mut spec, &["template", "spec", list], containers(list).unwrap_or(Value::Null));
        }
    }
    Some(Act::new(Action::Patch {
        target: ObjectRef::of(&kinds::rollout(), &snapshot.rollout),
        patch: json!({"spec": spec}),
        precondition: Precondition::exact(&snapshot.rollout),
    }))
}

/// The name of a new ReplicaSet: the same for the same template.
fn set_name(snapshot: &Snapshot) -> String {
    match bugs::on(Bug::NameOfTheMoment) {
        true => format!("{}-{}", snapshot.set_name, snapshot.now.as_millisecond() % 100_000),
        false => snapshot.set_name.clone(),
    }
}

/// Keeps the pods of a new version away from the nodes of the stable one.
fn anti_affinity(snapshot: &Snapshot, template: &mut Value) {
    let wanted = match (snapshot.canary(), snapshot.blue_green()) {
        (Some(canary), _) => canary.anti_affinity,
        (_, Some(strategy)) => strategy.anti_affinity,
        _ => None,
    };
    let stable = snapshot.status.stable.as_ref().filter(|stable| **stable != snapshot.hash);
    let (Some(wanted), Some(stable)) = (wanted, stable) else { return };
    let term = json!({
        "labelSelector": {"matchExpressions": [
            {"key": names::POD_TEMPLATE_HASH, "operator": "In", "values": [stable.as_str()]},
        ]},
        "namespaces": [snapshot.namespace()],
        "topologyKey": "kubernetes.io/hostname",
    });
    let (way, term) = match wanted {
        AntiAffinity::Required => ("requiredDuringSchedulingIgnoredDuringExecution", term),
        AntiAffinity::Preferred(weight) => {
            ("preferredDuringSchedulingIgnoredDuringExecution", json!({"podAffinityTerm": term, "weight": weight}))
        }
    };
    let at = format!("/spec/affinity/podAntiAffinity/{way}");
    let mut terms = template.pointer(&at).and_then(Value::as_array).cloned().unwrap_or_default();
    terms.push(term);
    set(template, &["spec", "affinity", "podAntiAffinity", way], Value::Array(terms));
}

fn tell_of_a_revision(snapshot: &Snapshot, revision: u64, plan: &mut Plan) {
    let text = format!("Rollout updated to revision {revision}");
    note(snapshot, plan, EventType::Normal, "RolloutUpdated", &text, &format!("updated/{revision}"));
}

/// The owner reference of everything that a Rollout creates.
pub(super) fn owner_reference(snapshot: &Snapshot) -> Value {
    json!({
        "apiVersion": snapshot.rollout.api_version(),
        "kind": snapshot.rollout.kind(),
        "name": snapshot.rollout.name(),
        "uid": snapshot.uid().as_str(),
        "controller": true,
        "blockOwnerDeletion": true,
    })
}

/// Sets what is at `path`, whatever was on the way there.
pub(super) fn set(value: &mut Value, path: &[&str], to: Value) {
    let Some((last, parents)) = path.split_last() else { return };
    let mut at = value;
    for key in parents {
        if !at.is_object() {
            *at = json!({});
        }
        let Value::Object(map) = at else { return };
        at = map.entry((*key).to_owned()).or_insert_with(|| json!({}));
    }
    if !at.is_object() {
        *at = json!({});
    }
    if let Value::Object(map) = at {
        map.insert((*last).to_owned(), to);
    }
}

/// A template that comes back gets the newest revision, as Argo and Deployments have it.
pub(super) fn restamp_revision(snapshot: &Snapshot, new: &ReplicaSetView, plan: &mut Plan) {
    let newest = snapshot.last_revision();
    if new.revision.0 == newest && newest > 0 {
        return;
    }
    let mut annotations = json!({names::ROLLOUT_REVISION: (newest + 1).to_string()});
    if new.revision.0 > 0 {
        // The age of a template is the first revision that it had.
        let earlier = new.object.annotation(names::REVISION_HISTORY).filter(|text| !text.is_empty());
        let history = earlier.map(|text| format!("{text},{}", new.revision)).unwrap_or(new.revision.to_string());
        set(&mut annotations, &[names::REVISION_HISTORY], history.into());
    }
    let patch = json!({"metadata": {"annotations": annotations}});
    plan.stage(vec![patch_set(new, patch)]);
    tell_of_a_revision(snapshot, newest + 1, plan);
}

fn patch_set(set: &ReplicaSetView, patch: Value) -> Act {
    Act::new(Action::Patch {
        target: ObjectRef::of(&kinds::replica_set(), &set.object),
        patch,
        precondition: Precondition::uid(&set.object),
    })
}

/// Asks for more pods where more are wanted. Only the life of the ReplicaSet is demanded, so that nothing can starve it.
pub(super) fn grow(snapshot: &Snapshot, scaling: &[Scaling], plan: &mut Plan) {
    let mut acts = Vec::new();
    for change in scaling {
        let Some(set) = snapshot.sets.iter().find(|set| set.name() == change.set) else { continue };
        let wanted = change.to > change.from || (change.to > 0 && set.deadline.is_some() && change.to >= change.from);
        if !wanted || is_unused(snapshot, set) {
            continue;
        }
        let annotations =
            json!({names::DESIRED_REPLICAS: snapshot.spec.replicas.to_string(), names::SCALE_DOWN_DEADLINE: null});
        acts.push(patch_set(set, json!({"metadata": {"annotations": annotations}, "spec": {"replicas": change.to}})));
        if change.to > change.from {
            scaled(snapshot, plan, change, "up");
        }
    }
    plan.stage(acts);
}

/// Takes pods away. Demands the exact version that was decided on, and a fresh read before (DESIGN §4.3).
pub(super) fn shrink(snapshot: &Snapshot, scaling: &[Scaling], plan: &mut Plan) {
    let mut acts = Vec::new();
    for change in scaling.iter().filter(|change| change.to < change.from) {
        let Some(set) = snapshot.sets.iter().find(|set| set.name() == change.set) else { continue };
        let annotations =
            json!({names::DESIRED_REPLICAS: snapshot.spec.replicas.to_string(), names::SCALE_DOWN_DEADLINE: null});
        let action = Action::Patch {
            target: ObjectRef::of(&kinds::replica_set(), &set.object),
            patch: json!({"metadata": {"annotations": annotations}, "spec": {"replicas": change.to}}),
            precondition: seen(&set.object),
        };
        acts.push(Act::new(action).destructive());
        scaled(snapshot, plan, change, "down");
    }
    if acts.is_empty() {
        acts = deadlines(snapshot, scaling);
    }
    plan.stage(acts);
}

/// Demands the version that was decided on.
fn seen(object: &Object) -> Precondition {
    match bugs::on(Bug::TrustTheCache) {
        true => Precondition::uid(object),
        false => Precondition::exact(object),
    }
}

fn scaled(snapshot: &Snapshot, plan: &mut Plan, change: &Scaling, way: &str) {
    let set = snapshot.sets.iter().find(|set| set.name() == change.set);
    let (version, revision) = set.map_or((0, 0), |set| (set.object.generation(), set.revision.0));
    let text =
        format!("Scaled {way} ReplicaSet {} (revision {revision}) from {} to {}", change.set, change.from, change.to);
    note(
        snapshot,
        plan,
        EventType::Normal,
        "ScalingReplicaSet",
        &text,
        &format!("scaled/{}/{version}/{}", change.set, change.to),
    );
}

/// Whether a ReplicaSet is neither the new nor the stable version by what the status says.
fn is_unused(snapshot: &Snapshot, set: &ReplicaSetView) -> bool {
    set.hash != snapshot.hash && snapshot.status.stable.as_ref() != Some(&set.hash)
}

/// The size of a ReplicaSet that no traffic should reach: it stays while a Service selects it, then for the delay.
pub(super) fn unused_size(snapshot: &Snapshot, progress: &Progress, set: &ReplicaSetView, observed: &Observed) -> u32 {
    if set.desired == 0 {
        return 0;
    }
    let is_selected = services::some_stable_selects(snapshot, &set.hash)
        || (observed.highest() > Weight::ZERO && services::some_canary_selects(snapshot, &set.hash));
    let serves = is_selected && !bugs::on(Bug::PodsLeaveBeforeTraffic);
    if serves || !matches!(observed, Observed::Weight(_)) {
        return set.desired;
    }
    let canary = snapshot.canary();
    if canary.is_some_and(|canary| canary.dynamic_stable_scale) || is_beyond_the_limit(snapshot, set) {
        return 0;
    }
    // A version that never was stable has nobody to come back to it; the last stable one stays for the delay.
    let was_stable = progress.is_fully_promoted(snapshot) && set.available > 0;
    match set.deadline {
        Some(deadline) if deadline <= snapshot.now => 0,
        Some(_) => set.desired,
        None if was_stable && !bugs::on(Bug::DelayForgotten) => set.desired,
        None => 0,
    }
}

/// Whether as many newer versions wait for their deadline as the strategy allows at once.
fn is_beyond_the_limit(snapshot: &Snapshot, set: &ReplicaSetView) -> bool {
    let Some(limit) = snapshot.canary().and_then(|canary| canary.scale_down_delay_revisions) else { return false };
    let newer = |other: &&ReplicaSetView| {
        is_unused(snapshot, other) && other.deadline.is_some() && other.desired > 0 && other.revision > set.revision
    };
    snapshot.sets.iter().filter(newer).count() >= usize::try_from(limit).unwrap_or(usize::MAX)
}

/// Stamps the moment at which an unused ReplicaSet may go, so that the delay survives a restart.
fn deadlines(snapshot: &Snapshot, scaling: &[Scaling]) -> Vec<Act> {
    let Some(canary) = snapshot.canary() else { return Vec::new() };
    let mut acts = Vec::new();
    for change in scaling.iter().filter(|change| change.from > 0 && change.to == change.from) {
        let Some(set) = snapshot.sets.iter().find(|set| set.name() == change.set) else { continue };
        let serves = services::keeps(snapshot, &set.hash);
        if !is_unused(snapshot, set) || set.deadline.is_some() || serves || !snapshot.spec.is_routed() {
            continue;
        }
        acts.extend(stamp_deadline(snapshot, set, canary.scale_down_delay));
    }
    acts
}

/// Stamps the moment at which a ReplicaSet may lose its pods.
pub(super) fn stamp_deadline(snapshot: &Snapshot, set: &ReplicaSetView, delay: object_model::Duration) -> Option<Act> {
    let end = format_time(after(snapshot.now, delay)?);
    Some(patch_set(set, json!({"metadata": {"annotations": {names::SCALE_DOWN_DEADLINE: end}}})))
}

/// Wakes when a delay ends.
pub(super) fn wake_for_deadlines(snapshot: &Snapshot, plan: &mut Plan) {
    for set in snapshot.sets.iter().filter(|set| set.desired > 0) {
        if let Some(deadline) = set.deadline.filter(|deadline| *deadline > snapshot.now) {
            plan.wait(format!("ReplicaSet {}", set.name()), format!("kept until {}", format_time(deadline)));
            plan.wake_at(deadline);
        }
    }
}

/// Points a Service at a version and publishes the claim on its selector.
pub(super) fn switch(snapshot: &Snapshot, service: Option<&Object>, to: &ReplicaSetView, plan: &mut Plan) {
    let Some(service) = service else { return };
    let claims = claims_on(service, snapshot, &[&["spec", "selector", names::POD_TEMPLATE_HASH]]);
    let claimed = service.annotation(names::CLAIMS) == claims.as_deref();
    if selected(Some(service)).as_ref() == Some(&to.hash)
        && claimed
        && service.annotation(names::MANAGED_BY_ROLLOUTS) == Some(snapshot.rollout.name())
    {
        return;
    }
    let action = Action::Patch {
        target: ObjectRef::of(&kinds::service(), service),
        patch: json!({
            "metadata": {"annotations": {names::CLAIMS: claims, names::MANAGED_BY_ROLLOUTS: snapshot.rollout.name()}},
            "spec": {"selector": {names::POD_TEMPLATE_HASH: to.hash.as_str()}},
        }),
        precondition: Precondition::exact(service),
    };
    plan.stage(vec![Act::new(action).destructive()]);
    let from = selected(Some(service)).map(|hash| hash.to_string()).unwrap_or_default();
    let text = format!("Switched selector for service '{}' from '{from}' to '{}'", service.name(), to.hash);
    note(
        snapshot,
        plan,
        EventType::Normal,
        "SwitchService",
        &text,
        &format!("switch/{}/{}/{}", service.name(), to.hash, to.revision),
    );
}

/// The claims annotation of an object that this Rollout drives, others' claims kept.
pub(super) fn claims_on(object: &Object, snapshot: &Snapshot, paths: &[&[&str]]) -> Option<String> {
    let pointers = paths.iter().map(|path| FieldPointer::of_keys(path.iter().copied()));
    Claims::on(object).unwrap_or_default().with_owner(&snapshot.uid(), "Rollout", pointers).to_annotation()
}

/// The same for fields by their JSON pointers.
pub(super) fn claims_at(object: &Object, snapshot: &Snapshot, pointers: &[String]) -> Option<String> {
    let pointers = pointers.iter().filter_map(|pointer| FieldPointer::parse(pointer).ok());
    Claims::on(object).unwrap_or_default().with_owner(&snapshot.uid(), "Rollout", pointers).to_annotation()
}

/// Brings the traffic objects to a weight.
pub(super) fn shift(snapshot: &Snapshot, weight: Weight, plan: &mut Plan) {
    let acts = route::shift(snapshot, weight);
    if !acts.is_empty() {
        let text = format!("Traffic weight updated to {weight}");
        let versions: Vec<_> =
            snapshot.routing.live.values().filter_map(object_model::Object::resource_version).collect();
        let transition = format!("weight/{}/{weight}/{}", snapshot.hash, versions.join("-"));
        note(snapshot, plan, EventType::Normal, "TrafficWeightUpdated", &text, &transition);
    }
    plan.stage(acts);
}

/// Adds an Event about the Rollout.
pub(super) fn note(
    snapshot: &Snapshot,
    plan: &mut Plan,
    kind: EventType,
    reason: &'static str,
    message: &str,
    transition: &str,
) {
    plan.notes.push(Note {
        about: ObjectRef::of(&kinds::rollout(), &snapshot.rollout),
        uid: snapshot.uid(),
        kind,
        reason: Reason(reason),
        message: message.to_owned(),
        transition: transition.to_owned(),
    });
}
