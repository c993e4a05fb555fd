//! The scheduler: every pod runs on the one node.

use std::collections::BTreeSet;

use object_model::{Timestamp, format_micro_time};
use serde_json::{Value, json};

use super::view::{at, fingerprint, is_active, text};
use super::{Key, Keyed, NODE, every};
use crate::cluster::Cluster;
use crate::error::ApiError;
use crate::store::Change;

#[derive(Clone)]
pub(super) struct Scheduler;

impl Keyed for Scheduler {
    const NAME: &'static str = "default-scheduler";

    fn touched(&self, _cluster: &Cluster, change: &Change, keys: &mut BTreeSet<Key>) {
        if change.resource.as_ref() == "pods" && change.before.is_none() {
            keys.insert(Key::of(change));
        }
    }

    fn all(&self, cluster: &Cluster, keys: &mut BTreeSet<Key>) {
        every(cluster, "pods", keys);
    }

    fn sync(&mut self, cluster: &mut Cluster, key: &Key, now: Timestamp) -> Result<Option<Timestamp>, ApiError> {
        let Some(pod) = cluster.get("pods", &key.namespace, &key.name) else { return Ok(None) };
        let pod = pod.json().clone();
        let scheduler = text(&pod, "/spec/schedulerName");
        if !text(&pod, "/spec/nodeName").is_empty()
            || !is_active(&pod)
            || !matches!(scheduler, "" | "default-scheduler")
        {
            return Ok(None);
        }
        cluster.bind_pod(&key.namespace, &key.name, NODE)?;
        let bound =
            json!({"type": "PodScheduled", "status": "True", "lastProbeTime": null, "lastTransitionTime": at(now)});
        let phase = if text(&pod, "/status/phase").is_empty() { "Pending" } else { text(&pod, "/status/phase") };
        let status = json!({"status": {"phase": phase, "conditions": [bound]}});
        cluster.acting_as("system:kube-scheduler").merge_subresource(
            "pods",
            &key.namespace,
            &key.name,
            "status",
            status,
        )?;
        let message = format!("Successfully assigned {}/{} to {NODE}", key.namespace, key.name);
        record_scheduled(cluster, &pod, &message, now);
        Ok(None)
    }
}

/// The scheduler writes events of the newer form: a time with microseconds, an action, no count.
fn record_scheduled(cluster: &mut Cluster, pod: &Value, message: &str, now: Timestamp) {
    let namespace = text(pod, "/metadata/namespace");
    let event = json!({
        "metadata": {
            "name": format!("{}.{:08x}", text(pod, "/metadata/name"), fingerprint(&json!(message))),
            "namespace": namespace,
        },
        "involvedObject": {
            "apiVersion": "v1", "kind": "Pod", "name": text(pod, "/metadata/name"), "namespace": namespace,
            "uid": text(pod, "/metadata/uid"), "resourceVersion": text(pod, "/metadata/resourceVersion"),
        },
        "reason": "Scheduled", "action": "Binding", "message": message, "type": "Normal",
        "eventTime": format_micro_time(now), "firstTimestamp": null, "lastTimestamp": null, "source": {},
        "reportingComponent": "default-scheduler", "reportingInstance": "default-scheduler-control-plane",
    });
    // Without the event the pod runs all the same.
    let _ = cluster.acting_as("system:kube-scheduler").create("events", namespace, event);
}

impl Cluster {
    /// Sets a pod's node, which only a binding may do.
    fn bind_pod(&mut self, namespace: &str, name: &str, node: &str) -> Result<(), ApiError> {
        let patch = json!({"spec": {"nodeName": node}});
        self.acting_as("system:kube-scheduler").merge("pods", namespace, name, patch).map(|_| ())
    }
}
