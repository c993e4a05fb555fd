//! The ReplicaSet of each template: made empty, filled, emptied after a delay.

use api::argo::{ExperimentTemplate, TemplatePhase, TemplateStatus};
use api::names;
use object_model::{Object, format_time};
use serde_json::{Value, json};

use super::decide::note;
use super::services;
use super::snapshot::{Snapshot, TemplateView};
use super::status::Draft;
use crate::rollout::{ReplicaSetView, pod_hash};
use crate::time::after;
use crate::{Act, Action, EventType, ObjectRef, Plan, Precondition, kinds};

/// Brings one template a step further and writes down how it stands.
pub(super) fn advance(snapshot: &Snapshot, template: &ExperimentTemplate, draft: &mut Draft, plan: &mut Plan) {
    let Some(objects) = snapshot.templates.get(&template.name) else { return };
    let before = snapshot.status.template(&template.name).cloned().unwrap_or_default();
    let mut status = TemplateStatus { name: template.name.clone(), ..before.clone() };
    let is_over = draft.is_terminating || before.phase.is_some_and(TemplatePhase::is_completed);
    let wanted = if is_over { 0 } else { template.replicas };
    let mut trouble = None;
    match &objects.set {
        Some(set) => {
            trouble = services::advance(snapshot, template, objects, set, wanted, &mut status, plan);
            if scale(snapshot, template, set, wanted, &status, plan) {
                status.changed_at = Some(snapshot.now);
            }
        }
        None if !is_over => {
            trouble = create(snapshot, template, objects, &mut status, plan);
            status.changed_at = status.changed_at.or(Some(snapshot.now));
        }
        None => {}
    }
    count(objects, &mut status);
    let counted = |status: &TemplateStatus| (status.replicas, status.ready, status.available);
    if counted(&before) != counted(&status) {
        status.changed_at = Some(snapshot.now);
    }
    judge(snapshot, template, wanted, draft, trouble, &mut status, plan);
    if before.phase != status.phase {
        tell(snapshot, &before, &status, plan);
    }
    draft.templates.push(status);
}

fn count(objects: &TemplateView, status: &mut TemplateStatus) {
    let set = objects.set.as_ref();
    status.replicas = set.map_or(0, |set| set.current);
    status.ready = set.map_or(0, |set| set.ready);
    status.available = set.map_or(0, |set| set.available);
}

/// Says how a template stands; one that is over stays so.
fn judge(
    snapshot: &Snapshot,
    template: &ExperimentTemplate,
    wanted: u32,
    draft: &Draft,
    trouble: Option<String>,
    status: &mut TemplateStatus,
    plan: &mut Plan,
) {
    if status.phase.is_some_and(TemplatePhase::is_completed) {
        return;
    }
    if let Some(trouble) = trouble {
        status.phase = Some(TemplatePhase::Error);
        status.message = trouble;
        return;
    }
    let has_set = snapshot.templates.get(&template.name).is_some_and(|objects| objects.set.is_some());
    let deadline_seconds = snapshot.spec.progress_deadline_seconds;
    let span = object_model::Duration::from_secs(u64::from(deadline_seconds));
    let deadline = status.changed_at.and_then(|since| after(since, span));
    status.phase = Some(if draft.is_terminating {
        TemplatePhase::Successful
    } else if has_set && wanted == status.available {
        if snapshot.has_run_long_enough() { TemplatePhase::Successful } else { TemplatePhase::Running }
    } else if deadline.is_some_and(|deadline| deadline <= snapshot.now) {
        status.message =
            format!("Template '{}' exceeded its progressDeadlineSeconds ({deadline_seconds})", template.name);
        TemplatePhase::Failed
    } else {
        if let Some(deadline) = deadline {
            plan.wake_at(deadline);
        }
        let pods = format!("{} of {wanted} pods available", status.available);
        plan.wait(format!("ReplicaSet {}", snapshot.set_name(template)), pods);
        TemplatePhase::Progressing
    });
}

fn tell(snapshot: &Snapshot, before: &TemplateStatus, status: &TemplateStatus, plan: &mut Plan) {
    let word = |status: &TemplateStatus| status.phase.map(TemplatePhase::as_str).unwrap_or_default();
    let mut text = format!("Template '{}' transitioned from {} -> {}", status.name, word(before), word(status));
    if !status.message.is_empty() {
        text = format!("{text}: {}", status.message);
    }
    let (kind, reason) = match status.phase {
        Some(TemplatePhase::Failed) => (EventType::Warning, "TemplateFailed"),
        Some(TemplatePhase::Error) => (EventType::Warning, "TemplateError"),
        Some(TemplatePhase::Successful) => (EventType::Normal, "TemplateSuccessful"),
        Some(TemplatePhase::Running) => (EventType::Normal, "TemplateRunning"),
        _ => (EventType::Normal, "TemplateProgressing"),
    };
    let transition = format!("template/{}/{}", status.name, snapshot.experiment.resource_version().unwrap_or_default());
    note(snapshot, plan, kind, reason, &text, &transition);
}

/// Makes the ReplicaSet, empty, or counts that its name is somebody else's; says why it can't be made.
fn create(
    snapshot: &Snapshot,
    template: &ExperimentTemplate,
    objects: &TemplateView,
    status: &mut TemplateStatus,
    plan: &mut Plan,
) -> Option<String> {
    let name = snapshot.set_name(template);
    let failed = |why: &str| Some(format!("Failed to create ReplicaSet for template '{}': {why}", template.name));
    if let Some(other) = &objects.set_in_the_way {
        if services::will_go(snapshot, other) {
            plan.wait(format!("ReplicaSet {name}"), "an earlier one of this name is being deleted");
            return None;
        }
        status.collision_count = Some(status.collision_count.unwrap_or(0).saturating_add(1));
        plan.wait(format!("ReplicaSet {name}"), "its name belongs to somebody else; taking another");
        return None;
    }
    if let Some(refusal) = &objects.set_refusal {
        return failed(&refusal.message);
    }
    match Object::parse(manifest(snapshot, template)) {
        Ok(object) => {
            plan.stage(vec![Act::new(Action::Create { kind: kinds::replica_set(), object: Box::new(object) })]);
            None
        }
        Err(error) => failed(&error.to_string()),
    }
}

fn manifest(snapshot: &Snapshot, template: &ExperimentTemplate) -> Value {
    let mut pod = template.template.clone();
    if let Some(labels) = pod.pointer_mut("/metadata/labels").and_then(Value::as_object_mut) {
        // The label of a Rollout's version: these pods are another version, which only the experiment has.
        labels.remove(names::POD_TEMPLATE_HASH);
    }
    let hash = pod_hash(&pod, snapshot.collisions(template));
    let mut selector = template.selector.clone();
    put(&mut pod, &["metadata", "labels", names::POD_TEMPLATE_HASH], hash.as_str().into());
    put(&mut selector, &["matchLabels", names::POD_TEMPLATE_HASH], hash.as_str().into());
    json!({
        "apiVersion": "apps/v1", "kind": "ReplicaSet",
        "metadata": {
            "name": snapshot.set_name(template),
            "namespace": snapshot.namespace(),
            "labels": pod.pointer("/metadata/labels"),
            "annotations": marks(snapshot, template),
            "ownerReferences": [owner_reference(snapshot)],
        },
        "spec": {
            "replicas": 0, "minReadySeconds": template.min_ready_seconds, "selector": selector, "template": pod,
        },
    })
}

/// The annotations that tell which template an object was made for.
pub(super) fn marks(snapshot: &Snapshot, template: &ExperimentTemplate) -> Value {
    json!({names::EXPERIMENT_NAME: snapshot.experiment.name(), names::EXPERIMENT_TEMPLATE: template.name})
}

/// The owner reference of everything that an experiment makes.
pub(super) fn owner_reference(snapshot: &Snapshot) -> Value {
    json!({
        "apiVersion": snapshot.experiment.api_version(), "kind": snapshot.experiment.kind(),
        "name": snapshot.experiment.name(), "uid": snapshot.uid.as_str(),
        "controller": true, "blockOwnerDeletion": true,
    })
}

fn put(value: &mut Value, path: &[&str], to: Value) {
    let mut at = value;
    for key in path {
        if !at.is_object() {
            *at = json!({});
        }
        let Value::Object(map) = at else { return };
        at = map.entry((*key).to_owned()).or_insert(Value::Null);
    }
    *at = to;
}

/// Asks for more or fewer pods; says whether the size changes now.
fn scale(
    snapshot: &Snapshot,
    template: &ExperimentTemplate,
    set: &ReplicaSetView,
    wanted: u32,
    status: &TemplateStatus,
    plan: &mut Plan,
) -> bool {
    let stale_deadline = wanted > 0 && set.deadline.is_some();
    if set.desired == wanted && !stale_deadline {
        return false;
    }
    if wanted == 0 && !may_empty(snapshot, template, set, status, plan) {
        return false;
    }
    let way = if wanted > set.desired { "up" } else { "down" };
    let sheds = wanted < set.desired;
    let action = Action::Patch {
        target: ObjectRef::of(&kinds::replica_set(), &set.object),
        patch: json!({
            "metadata": {"annotations": {names::SCALE_DOWN_DEADLINE: if sheds { deadline_of(set) } else { Value::Null }}},
            "spec": {"replicas": wanted},
        }),
        precondition: if sheds { Precondition::exact(&set.object) } else { Precondition::uid(&set.object) },
    };
    let act = Act::new(action);
    plan.stage(vec![if sheds { act.destructive() } else { act }]);
    if wanted != set.desired {
        let text = format!("Scaled {way} ReplicaSet {} from {} to {wanted}", set.name(), set.desired);
        let transition = format!("scaled/{}/{}/{wanted}", set.name(), set.object.generation());
        note(snapshot, plan, EventType::Normal, "ScalingReplicaSet", &text, &transition);
    }
    wanted != set.desired
}

fn deadline_of(set: &ReplicaSetView) -> Value {
    set.object.annotation(names::SCALE_DOWN_DEADLINE).map_or(Value::Null, Value::from)
}

/// Whether the pods may go: after the delay, which is stamped so that it survives a restart, and without traffic.
fn may_empty(
    snapshot: &Snapshot,
    template: &ExperimentTemplate,
    set: &ReplicaSetView,
    status: &TemplateStatus,
    plan: &mut Plan,
) -> bool {
    if snapshot.has_traffic(&status.service) {
        plan.wait(format!("ReplicaSet {}", set.name()), "it still gets a share of the traffic");
        return false;
    }
    if snapshot.spec.scale_down_delay.is_zero() {
        return true;
    }
    match set.deadline {
        Some(deadline) if deadline <= snapshot.now => true,
        Some(deadline) => {
            plan.wait(format!("ReplicaSet {}", set.name()), format!("kept until {}", format_time(deadline)));
            plan.wake_at(deadline);
            false
        }
        None => {
            let Some(end) = after(snapshot.now, snapshot.spec.scale_down_delay) else { return true };
            let action = Action::Patch {
                target: ObjectRef::of(&kinds::replica_set(), &set.object),
                patch: json!({"metadata": {"annotations": {names::SCALE_DOWN_DEADLINE: format_time(end)}}}),
                precondition: Precondition::uid(&set.object),
            };
            plan.stage(vec![Act::new(action)]);
            plan.wait(format!("template {}", template.name), "its pods go after the delay");
            false
        }
    }
}
