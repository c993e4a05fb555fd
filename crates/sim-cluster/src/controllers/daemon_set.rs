//! The DaemonSet controller: one pod on every node that fits.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use object_model::Timestamp;
use serde_json::{Value, json};

use super::events::{Tone, record};
use super::replica_set::{pod_from, unpin};
use super::revisions::{self, Keeper};
use super::view::{
    available_at, controller_name, int, is_active, is_deleting, is_ready, items, labels, owned, text, without_zeros,
};
use super::{Key, Keyed, every};
use crate::cluster::Cluster;
use crate::error::ApiError;
use crate::store::{Change, Stored};
use crate::write::DeleteOptions;

const DAEMON_SETS: &str = "daemonsets.apps";
const NAME: &str = "daemonset-controller";
const KEEPER: Keeper = Keeper { controller: NAME, hash_label: "controller-revision-hash" };

#[derive(Clone)]
pub(super) struct DaemonSets;

impl Keyed for DaemonSets {
    const NAME: &'static str = NAME;

    fn touched(&self, cluster: &Cluster, change: &Change, keys: &mut BTreeSet<Key>) {
        match change.resource.as_ref() {
            DAEMON_SETS => drop(keys.insert(Key::of(change))),
            "nodes" => every(cluster, DAEMON_SETS, keys),
            "pods" => {
                for pod in [&change.before, &change.after].into_iter().flatten() {
                    if let Some(name) = controller_name(pod.json(), "DaemonSet") {
                        keys.insert(Key::new(DAEMON_SETS, &change.namespace, name));
                    }
                }
            }
            _ => {}
        }
    }

    fn all(&self, cluster: &Cluster, keys: &mut BTreeSet<Key>) {
        every(cluster, DAEMON_SETS, keys);
    }

    fn sync(&mut self, cluster: &mut Cluster, key: &Key, now: Timestamp) -> Result<Option<Timestamp>, ApiError> {
        let Some(stored) = cluster.get(DAEMON_SETS, &key.namespace, &key.name).cloned() else { return Ok(None) };
        if stored.is_deleting() {
            return Ok(None);
        }
        let set = stored.json();
        let (update, history) = revisions::sync(cluster, set, &KEEPER)?;
        let hash = update.text("/metadata/labels/controller-revision-hash").to_owned();
        let nodes: Vec<Arc<Stored>> = cluster.list("nodes", None).cloned().collect();
        let pods = owned(cluster, "pods", &key.namespace, stored.uid());
        let placed = place(set, &nodes, &pods);
        let moved = move_on(cluster, set, &placed, &hash, now);
        let pods = owned(cluster, "pods", &key.namespace, stored.uid());
        update_status(cluster, set, &place(set, &nodes, &pods), &hash, now)?;
        moved?;
        let lives = |revision: &Stored| {
            let of = revision.text("/metadata/labels/controller-revision-hash");
            of == hash || pods.iter().any(|pod| hash_of(pod.json()) == of)
        };
        revisions::truncate(cluster, set, &KEEPER, &history, lives)?;
        let min_ready = int(set, "/spec/minReadySeconds");
        Ok(pods.iter().filter_map(|pod| available_at(pod.json(), min_ready)).filter(|due| *due > now).min())
    }
}

fn hash_of(pod: &Value) -> &str {
    text(pod, "/metadata/labels/controller-revision-hash")
}

/// The pods by their nodes, and whether the set is to run there.
type Placed = BTreeMap<String, (bool, Vec<Arc<Stored>>)>;

fn place(set: &Value, nodes: &[Arc<Stored>], pods: &[Arc<Stored>]) -> Placed {
    let mut placed: Placed =
        nodes.iter().map(|node| (node.name().to_owned(), (fits(set, node.json()), Vec::new()))).collect();
    for pod in pods {
        let node = node_of(pod.json()).to_owned();
        placed.entry(node).or_default().1.push(pod.clone());
    }
    placed
}

/// The node a pod is bound to, or wants to be.
fn node_of(pod: &Value) -> &str {
    let wanted = "/spec/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution/nodeSelectorTerms/0/matchFields/0/values/0";
    match text(pod, "/spec/nodeName") {
        "" => text(pod, wanted),
        node => node,
    }
}

/// Whether a node has the labels that the template asks for.
fn fits(set: &Value, node: &Value) -> bool {
    let have = labels(node);
    let wanted = set.pointer("/spec/template/spec/nodeSelector").and_then(Value::as_object);
    wanted.into_iter().flatten().all(|(key, value)| have.get(key.as_str()).copied() == value.as_str())
}

fn move_on(cluster: &mut Cluster, set: &Value, placed: &Placed, hash: &str, now: Timestamp) -> Result<(), ApiError> {
    for (node, (is_wanted, pods)) in placed {
        let mut kept = 0;
        for pod in pods {
            let has_ended = matches!(pod.text("/status/phase"), "Failed" | "Succeeded");
            if !is_wanted || has_ended || kept > 0 && is_active(pod.json()) {
                delete(cluster, set, pod, now)?;
            } else {
                kept += 1;
            }
        }
        if *is_wanted && pods.is_empty() {
            create(cluster, set, node, hash, now)?;
        }
    }
    if text(set, "/spec/updateStrategy/type") == "OnDelete" {
        return Ok(());
    }
    replace_old(cluster, set, placed, hash, now)
}

/// Deletes pods of old templates, as many as may be away at once.
fn replace_old(
    cluster: &mut Cluster,
    set: &Value,
    placed: &Placed,
    hash: &str,
    now: Timestamp,
) -> Result<(), ApiError> {
    let min_ready = int(set, "/spec/minReadySeconds");
    let wanted: Vec<&Vec<Arc<Stored>>> =
        placed.values().filter(|(is_wanted, _)| *is_wanted).map(|(_, pods)| pods).collect();
    let is_up =
        |pod: &Arc<Stored>| !pod.is_deleting() && available_at(pod.json(), min_ready).is_some_and(|due| due <= now);
    let mut away = wanted.iter().filter(|pods| !pods.iter().any(is_up)).count();
    let most = match set.pointer("/spec/updateStrategy/rollingUpdate/maxUnavailable") {
        Some(Value::String(percent)) => {
            let part: usize = percent.trim_end_matches('%').parse().unwrap_or(0);
            (wanted.len() * part).div_ceil(100).max(1)
        }
        Some(number) => number.as_u64().and_then(|number| usize::try_from(number).ok()).unwrap_or(1),
        None => 1,
    };
    for pod in wanted.into_iter().flatten() {
        if hash_of(pod.json()) == hash || pod.is_deleting() {
            continue;
        }
        if is_up(pod) {
            if away >= most {
                continue;
            }
            away += 1;
        }
        delete(cluster, set, pod, now)?;
    }
    Ok(())
}

fn create(cluster: &mut Cluster, set: &Value, node: &str, hash: &str, now: Timestamp) -> Result<(), ApiError> {
    let mut pod = pod_from(set);
    if let Some(labels) = pod.pointer_mut("/metadata/labels").and_then(Value::as_object_mut) {
        labels.insert("controller-revision-hash".to_owned(), hash.into());
        let generation = text(set, "/metadata/annotations/deprecated.daemonset.template.generation");
        if !generation.is_empty() {
            labels.insert("pod-template-generation".to_owned(), generation.into());
        }
    }
    if let Some(spec) = pod.get_mut("spec").and_then(Value::as_object_mut) {
        let term = json!({"matchFields": [{"key": "metadata.name", "operator": "In", "values": [node]}]});
        let required = json!({"nodeSelectorTerms": [term]});
        let affinity = spec.entry("affinity").or_insert_with(|| json!({}));
        if let Some(affinity) = affinity.as_object_mut() {
            let node = affinity.entry("nodeAffinity").or_insert_with(|| json!({}));
            if let Some(node) = node.as_object_mut() {
                node.insert("requiredDuringSchedulingIgnoredDuringExecution".to_owned(), required);
            }
        }
        let mut tolerations = spec.get("tolerations").and_then(Value::as_array).cloned().unwrap_or_default();
        tolerations.extend(TOLERATIONS.iter().map(
            |(key, effect)| json!({"key": format!("node.kubernetes.io/{key}"), "operator": "Exists", "effect": effect}),
        ));
        spec.insert("tolerations".to_owned(), Value::Array(tolerations));
    }
    let created = cluster.acting_as_controller(NAME).create("pods", text(set, "/metadata/namespace"), pod);
    let event = match &created {
        Ok(pod) => (Tone::Normal, "SuccessfulCreate", format!("Created pod: {}", pod.name())),
        Err(error) => (Tone::Warning, "FailedCreate", format!("Error creating: {}", error.message)),
    };
    record(cluster, NAME, set, (event.0, event.1, &event.2), now);
    created.map(drop)
}

/// Troubles of a node that a DaemonSet's pod lives through.
const TOLERATIONS: [(&str, &str); 6] = [
    ("not-ready", "NoExecute"),
    ("unreachable", "NoExecute"),
    ("disk-pressure", "NoSchedule"),
    ("memory-pressure", "NoSchedule"),
    ("pid-pressure", "NoSchedule"),
    ("unschedulable", "NoSchedule"),
];

fn delete(cluster: &mut Cluster, set: &Value, pod: &Stored, now: Timestamp) -> Result<(), ApiError> {
    if pod.is_deleting() {
        return Ok(());
    }
    let options = DeleteOptions { uid: Some(pod.uid().to_owned()), ..DeleteOptions::default() };
    match cluster.acting_as_controller(NAME).delete("pods", pod.namespace(), pod.name(), options) {
        Ok(_) => {
            let message = format!("Deleted pod: {}", pod.name());
            record(cluster, NAME, set, (Tone::Normal, "SuccessfulDelete", &message), now);
            Ok(())
        }
        Err(error) if error.is_not_found() => Ok(()),
        Err(error) => Err(error),
    }
}

fn update_status(
    cluster: &mut Cluster,
    set: &Value,
    placed: &Placed,
    hash: &str,
    now: Timestamp,
) -> Result<(), ApiError> {
    let min_ready = int(set, "/spec/minReadySeconds");
    let count = |is_counted: &dyn Fn(bool, Option<&Value>) -> bool| {
        let counted = placed.values().filter(|(is_wanted, pods)| {
            let pod = pods.iter().map(|pod| pod.json()).find(|pod| is_active(pod));
            is_counted(*is_wanted, pod)
        });
        i64::try_from(counted.count()).unwrap_or(i64::MAX)
    };
    let desired = count(&|is_wanted, _| is_wanted);
    let is_up = |pod: &Value| !is_deleting(pod) && available_at(pod, min_ready).is_some_and(|due| due <= now);
    let available = count(&|is_wanted, pod| is_wanted && pod.is_some_and(is_up));
    let mut status = without_zeros(&[
        ("observedGeneration", int(set, "/metadata/generation")),
        ("updatedNumberScheduled", count(&|is_wanted, pod| is_wanted && pod.is_some_and(|pod| hash_of(pod) == hash))),
        ("numberAvailable", available),
        ("numberUnavailable", desired - available),
    ]);
    let plain = [
        ("currentNumberScheduled", count(&|is_wanted, pod| is_wanted && pod.is_some())),
        ("desiredNumberScheduled", desired),
        ("numberMisscheduled", count(&|is_wanted, pod| !is_wanted && pod.is_some())),
        ("numberReady", count(&|is_wanted, pod| is_wanted && pod.is_some_and(is_ready))),
    ];
    status.extend(plain.map(|(key, number)| (key.to_owned(), json!(number))));
    let conditions = items(set, "/status/conditions");
    if !conditions.is_empty() {
        status.insert("conditions".to_owned(), json!(conditions));
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
    cluster.acting_as_controller(NAME).update_status(DAEMON_SETS, namespace, changed).map(drop)
}
