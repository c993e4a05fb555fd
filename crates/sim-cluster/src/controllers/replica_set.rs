//! The ReplicaSet controller: as many pods as asked for, and a status that says how they do.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::sync::Arc;

use object_model::{LabelSelector, Timestamp};
use serde_json::{Map, Value, json};

use super::events::{Tone, record};
use super::view::{
    at, available_at, controller_name, controller_uid, int, int_or, is_active, is_deleting, is_ready, items, labels,
    owner_reference, selector, text, time, without_zeros,
};
use super::{Key, Keyed, every};
use crate::cluster::Cluster;
use crate::error::ApiError;
use crate::store::{Change, Stored};
use crate::write::DeleteOptions;

pub(super) const REPLICA_SETS: &str = "replicasets.apps";
const NAME: &str = "replicaset-controller";
/// The most pods that one look creates or deletes.
const BURST: usize = 500;

#[derive(Clone)]
pub(super) struct ReplicaSets;

impl Keyed for ReplicaSets {
    const NAME: &'static str = NAME;

    fn touched(&self, cluster: &Cluster, change: &Change, keys: &mut BTreeSet<Key>) {
        match change.resource.as_ref() {
            REPLICA_SETS => drop(keys.insert(Key::of(change))),
            "pods" => {
                for pod in [&change.before, &change.after].into_iter().flatten() {
                    match controller_name(pod.json(), "ReplicaSet") {
                        Some(name) => drop(keys.insert(Key::new(REPLICA_SETS, &change.namespace, name))),
                        None if controller_uid(pod.json()).is_empty() => adopters(cluster, pod, keys),
                        None => {}
                    }
                }
            }
            _ => {}
        }
    }

    fn all(&self, cluster: &Cluster, keys: &mut BTreeSet<Key>) {
        every(cluster, REPLICA_SETS, keys);
    }

    fn sync(&mut self, cluster: &mut Cluster, key: &Key, now: Timestamp) -> Result<Option<Timestamp>, ApiError> {
        let Some(stored) = cluster.get(REPLICA_SETS, &key.namespace, &key.name).cloned() else { return Ok(None) };
        let set = stored.json();
        let Some(selector) = selector(set) else { return Ok(None) };
        let pods = claim(cluster, set, &selector)?;
        let active: Vec<Arc<Stored>> = pods.iter().filter(|pod| is_active(pod.json())).cloned().collect();
        let outcome = if is_deleting(set) { Ok(()) } else { scale(cluster, set, &active, now) };
        let terminating = pods.iter().filter(|pod| is_deleting(pod.json())).count();
        update_status(cluster, set, &active, terminating, &outcome, now)?;
        outcome?;
        let min_ready = int(set, "/spec/minReadySeconds");
        let due = active.iter().filter_map(|pod| available_at(pod.json(), min_ready)).filter(|due| *due > now).min();
        Ok(due)
    }
}

/// The sets whose selector takes an orphaned pod.
fn adopters(cluster: &Cluster, pod: &Stored, keys: &mut BTreeSet<Key>) {
    let labels = labels(pod.json());
    if labels.is_empty() {
        return;
    }
    for set in cluster.list(REPLICA_SETS, Some(pod.namespace())) {
        if selector(set.json()).is_some_and(|selector| selector.matches(&labels)) {
            keys.insert(Key::new(REPLICA_SETS, set.namespace(), set.name()));
        }
    }
}

/// The pods of a set. Orphans that its selector takes become its own; its own that the selector no longer takes are
/// released.
fn claim(cluster: &mut Cluster, set: &Value, selector: &LabelSelector) -> Result<Vec<Arc<Stored>>, ApiError> {
    let (namespace, uid) = (text(set, "/metadata/namespace"), text(set, "/metadata/uid"));
    let mut mine = Vec::new();
    let (mut orphans, mut strangers) = (Vec::new(), Vec::new());
    for pod in cluster.list("pods", Some(namespace)) {
        let controller = controller_uid(pod.json());
        if !controller.is_empty() && controller != uid {
            continue;
        }
        match (controller == uid, selector.matches(&labels(pod.json()))) {
            (true, true) => mine.push(pod.clone()),
            (true, false) => strangers.push(pod.clone()),
            (false, true) if is_active(pod.json()) => orphans.push(pod.clone()),
            _ => {}
        }
    }
    if is_deleting(set) {
        return Ok(mine);
    }
    for pod in orphans {
        let mut owners = items(pod.json(), "/metadata/ownerReferences").to_vec();
        owners.push(owner_reference(set));
        mine.push(set_owners(cluster, &pod, owners)?);
    }
    for pod in strangers.iter().filter(|pod| !pod.is_deleting()) {
        let mut owners = items(pod.json(), "/metadata/ownerReferences").to_vec();
        owners.retain(|owner| text(owner, "/uid") != uid);
        set_owners(cluster, pod, owners)?;
    }
    Ok(mine)
}

fn set_owners(cluster: &mut Cluster, pod: &Stored, owners: Vec<Value>) -> Result<Arc<Stored>, ApiError> {
    let owners = if owners.is_empty() { Value::Null } else { Value::Array(owners) };
    let patch = json!({"metadata": {"uid": pod.uid(), "ownerReferences": owners}});
    cluster.acting_as_controller(NAME).merge("pods", pod.namespace(), pod.name(), patch)
}

/// Creates or deletes pods until there are as many as asked for.
fn scale(cluster: &mut Cluster, set: &Value, active: &[Arc<Stored>], now: Timestamp) -> Result<(), ApiError> {
    let want = usize::try_from(int_or(set, "/spec/replicas", 1)).unwrap_or(0);
    for _ in active.len()..want.min(active.len() + BURST) {
        create_pod(cluster, set, now)?;
    }
    if active.len() <= want {
        return Ok(());
    }
    let mut victims: Vec<&Arc<Stored>> = active.iter().collect();
    victims.sort_by_cached_key(|pod| deletion_rank(pod.json()));
    for pod in victims.into_iter().take((active.len() - want).min(BURST)) {
        let options = DeleteOptions { uid: Some(pod.uid().to_owned()), ..DeleteOptions::default() };
        match cluster.acting_as_controller(NAME).delete("pods", pod.namespace(), pod.name(), options) {
            Ok(_) => {
                let message = format!("Deleted pod: {}", pod.name());
                record(cluster, NAME, set, (Tone::Normal, "SuccessfulDelete", &message), now);
            }
            Err(error) if error.is_not_found() => {}
            Err(error) => {
                let message = format!("Error deleting: {}", error.message);
                record(cluster, NAME, set, (Tone::Warning, "FailedDelete", &message), now);
                return Err(error);
            }
        }
    }
    Ok(())
}

fn create_pod(cluster: &mut Cluster, set: &Value, now: Timestamp) -> Result<(), ApiError> {
    let namespace = text(set, "/metadata/namespace");
    match cluster.acting_as_controller(NAME).create("pods", namespace, pod_from(set)) {
        Ok(pod) => {
            let message = format!("Created pod: {}", pod.name());
            record(cluster, NAME, set, (Tone::Normal, "SuccessfulCreate", &message), now);
            Ok(())
        }
        Err(error) => {
            let is_ending = cluster.get("namespaces", "", namespace).is_none_or(|namespace| namespace.is_deleting());
            if !is_ending {
                let message = format!("Error creating: {}", error.message);
                record(cluster, NAME, set, (Tone::Warning, "FailedCreate", &message), now);
            }
            Err(error)
        }
    }
}

/// A pod from a workload's template, under a generated name.
pub(super) fn pod_from(owner: &Value) -> Value {
    let mut metadata = Map::new();
    for key in ["labels", "annotations", "finalizers"] {
        if let Some(value) = owner.pointer(&format!("/spec/template/metadata/{key}")) {
            metadata.insert(key.to_owned(), value.clone());
        }
    }
    metadata.insert("generateName".to_owned(), format!("{}-", text(owner, "/metadata/name")).into());
    metadata.insert("ownerReferences".to_owned(), json!([owner_reference(owner)]));
    let spec = owner.pointer("/spec/template/spec").cloned().unwrap_or_else(|| json!({}));
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
}

/// Who goes first: not assigned, pending, not ready, cheap to delete, ready for a shorter time, restarted more, newer.
fn deletion_rank(pod: &Value) -> impl Ord + use<> {
    let phase = match text(pod, "/status/phase") {
        "Running" => 2,
        "Unknown" => 1,
        _ => 0,
    };
    let cost = pod.pointer("/metadata/annotations/controller.kubernetes.io~1pod-deletion-cost");
    let cost: i64 = cost.and_then(Value::as_str).and_then(|cost| cost.parse().ok()).unwrap_or(0);
    let ready_since = super::view::condition(pod, "Ready").and_then(|ready| time(ready, "/lastTransitionTime"));
    let restarts = items(pod, "/status/containerStatuses").iter().map(|status| int(status, "/restartCount")).max();
    (
        !text(pod, "/spec/nodeName").is_empty(),
        phase,
        is_ready(pod),
        cost,
        Reverse(ready_since.filter(|_| is_ready(pod))),
        Reverse(restarts),
        Reverse(time(pod, "/metadata/creationTimestamp")),
        text(pod, "/metadata/name").to_owned(),
    )
}

fn update_status(
    cluster: &mut Cluster,
    set: &Value,
    active: &[Arc<Stored>],
    terminating: usize,
    outcome: &Result<(), ApiError>,
    now: Timestamp,
) -> Result<(), ApiError> {
    let min_ready = int(set, "/spec/minReadySeconds");
    let template: Vec<(String, String)> = set
        .pointer("/spec/template")
        .map(|template| labels(template).into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect())
        .unwrap_or_default();
    let count = |holds: &dyn Fn(&Value) -> bool| {
        i64::try_from(active.iter().filter(|pod| holds(pod.json())).count()).unwrap_or(i64::MAX)
    };
    let is_fully_labelled = |pod: &Value| {
        let have = labels(pod);
        template.iter().all(|(key, value)| have.get(key.as_str()) == Some(&value.as_str()))
    };
    let is_available = |pod: &Value| available_at(pod, min_ready).is_some_and(|due| due <= now);
    let mut status = without_zeros(&[
        ("fullyLabeledReplicas", count(&is_fully_labelled)),
        ("readyReplicas", count(&is_ready)),
        ("availableReplicas", count(&is_available)),
        ("observedGeneration", int(set, "/metadata/generation")),
    ]);
    status.insert("replicas".to_owned(), json!(active.len()));
    status.insert("terminatingReplicas".to_owned(), json!(terminating));
    let conditions = conditions(set, outcome, now);
    if !conditions.is_empty() {
        status.insert("conditions".to_owned(), Value::Array(conditions));
    }
    if set.get("status").and_then(Value::as_object) == Some(&status) {
        return Ok(());
    }
    let mut changed = set.clone();
    if let Some(fields) = changed.as_object_mut() {
        fields.insert("status".to_owned(), Value::Object(status));
        unpin(fields);
    }
    let namespace = text(set, "/metadata/namespace");
    cluster.acting_as_controller(NAME).update_status(REPLICA_SETS, namespace, changed).map(|_| ())
}

/// Forgets the resourceVersion, so that a write overwrites: nobody writes in between, but we ourselves.
pub(super) fn unpin(fields: &mut Map<String, Value>) {
    if let Some(metadata) = fields.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("resourceVersion");
    }
}

fn conditions(set: &Value, outcome: &Result<(), ApiError>, now: Timestamp) -> Vec<Value> {
    let mut conditions = items(set, "/status/conditions").to_vec();
    let known = conditions.iter().position(|condition| text(condition, "/type") == "ReplicaFailure");
    match (outcome, known) {
        (Err(error), None) => conditions.push(json!({
            "type": "ReplicaFailure", "status": "True", "reason": "FailedCreate",
            "lastTransitionTime": at(now), "message": error.message,
        })),
        (Ok(()), Some(index)) => drop(conditions.remove(index)),
        _ => {}
    }
    conditions
}
