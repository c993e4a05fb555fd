//! The Service of a template that asks for one: there while its pods are, gone after them.

use api::argo::{ExperimentTemplate, TemplateStatus};
use object_model::Object;
use serde_json::{Value, json};

use super::replica_sets::{marks, owner_reference};
use super::snapshot::{Snapshot, TemplateView};
use crate::rollout::ReplicaSetView;
use crate::{Act, Action, ObjectRef, Plan, Precondition, Propagation, kinds};

/// Makes or deletes the Service of a template; says why it can't be made.
pub(super) fn advance(
    snapshot: &Snapshot,
    template: &ExperimentTemplate,
    objects: &TemplateView,
    set: &ReplicaSetView,
    wanted: u32,
    status: &mut TemplateStatus,
    plan: &mut Plan,
) -> Option<String> {
    let is_wanted = template.service.is_some();
    match &objects.service {
        Some(service) if is_wanted && (wanted > 0 || set.available > 0 || snapshot.has_traffic(service.name())) => {
            remember(service.name(), set, status);
            None
        }
        Some(service) => {
            plan.stage(vec![Act::new(Action::Delete {
                target: ObjectRef::of(&kinds::service(), service),
                precondition: Precondition::uid(service),
                propagation: Propagation::Background,
            })]);
            forget(status);
            None
        }
        None if is_wanted && wanted > 0 => create(snapshot, template, objects, set, status, plan),
        None => {
            forget(status);
            None
        }
    }
}

fn remember(name: &str, set: &ReplicaSetView, status: &mut TemplateStatus) {
    status.service = name.to_owned();
    status.hash = set.hash.to_string();
}

fn forget(status: &mut TemplateStatus) {
    status.service.clear();
    status.hash.clear();
}

/// Whether what is in the way goes by itself: it is being deleted, or was made for an earlier life of this experiment.
pub(super) fn will_go(snapshot: &Snapshot, other: &Object) -> bool {
    let is_of_earlier_life = other.controller().is_some_and(|owner| {
        owner.kind == "Experiment" && owner.name == snapshot.experiment.name() && owner.uid != snapshot.uid
    });
    other.is_deleting() || is_of_earlier_life
}

fn create(
    snapshot: &Snapshot,
    template: &ExperimentTemplate,
    objects: &TemplateView,
    set: &ReplicaSetView,
    status: &mut TemplateStatus,
    plan: &mut Plan,
) -> Option<String> {
    let ports = ports(set);
    if ports.is_empty() {
        return None;
    }
    let name = snapshot.service_name(template);
    let failed = |why: &str| Some(format!("Failed to create Service {name} for template '{}': {why}", template.name));
    if let Some(other) = &objects.service_in_the_way {
        if will_go(snapshot, other) {
            plan.wait(format!("Service {name}"), "an earlier one of this name is being deleted");
            return None;
        }
        let template = &template.name;
        return failed(&format!("service {name} already exists and is not owned by experiment template {template}"));
    }
    if let Some(refusal) = &objects.service_refusal {
        return failed(&refusal.message);
    }
    let labels = set.object.pointer("/metadata/labels").cloned().unwrap_or_else(|| json!({}));
    let manifest = json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {
            "name": name, "namespace": snapshot.namespace(), "annotations": marks(snapshot, template),
            "ownerReferences": [owner_reference(snapshot)],
        },
        "spec": {"selector": labels, "ports": ports},
    });
    match Object::parse(manifest) {
        Ok(object) => {
            plan.stage(vec![Act::new(Action::Create { kind: kinds::service(), object: Box::new(object) })]);
            remember(&name, set, status);
            None
        }
        Err(error) => failed(&error.to_string()),
    }
}

/// A port for each port of a container, under its own number.
fn ports(set: &ReplicaSetView) -> Vec<Value> {
    let containers = set.object.list_at("/spec/template/spec/containers").iter();
    let open = containers.filter_map(|container| container.get("ports")?.as_array()).flatten();
    open.filter_map(|port| {
        let number = port.get("containerPort")?.as_i64()?;
        let mut made = json!({"port": number, "targetPort": number});
        for key in ["name", "protocol"] {
            if let (Some(text), Value::Object(map)) = (port.get(key).and_then(Value::as_str), &mut made) {
                map.insert(key.to_owned(), text.into());
            }
        }
        Some(made)
    })
    .collect()
}
