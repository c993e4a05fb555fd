//! The controllers of kube-controller-manager, the scheduler and the kubelet, as far as deliveries meet them.
//!
//! Each is a [`Keyed`] controller: which objects a change concerns, and what to do with one object. All are driven by
//! changes and times only, so a quiet cluster sees no write.

mod autoscaler;
mod autoscaler_status;
mod cron_job;
mod daemon_set;
mod deployment;
mod deployment_scale;
mod deployment_status;
mod disruption;
mod endpoint_slice;
mod endpoints;
mod events;
mod garbage;
mod job;
mod job_status;
mod namespace;
mod namespace_content;
mod pods;
mod quota;
mod replica_set;
mod revisions;
mod scheduler;
mod stateful_pod;
mod stateful_set;
pub(crate) mod view;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use object_model::Timestamp;
use serde_json::json;

use crate::cluster::Cluster;
use crate::controller::Controller;
use crate::error::ApiError;
use crate::store::Change;

/// The one node on which all pods run.
pub(crate) const NODE: &str = "node-0";

/// How long a controller waits after a refused write before it tries again.
const RETRY: Duration = Duration::from_secs(5);

/// Adds all controllers and the node, so that the cluster behaves like one with kube-controller-manager, a scheduler
/// and a kubelet.
///
/// ```
/// use serde_json::json;
/// use sim_cluster::{Cluster, Request, run_controllers};
///
/// let mut cluster = Cluster::default();
/// run_controllers(&mut cluster);
/// let now = "2026-11-22T07:00:00Z".parse().unwrap();
/// let body = json!({
///     "metadata": {"name": "web"},
///     "spec": {"replicas": 2, "selector": {"matchLabels": {"app": "web"}}, "template": {
///         "metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "web", "image": "web:v1"}]},
///     }},
/// });
/// cluster.handle(&Request::post("/apis/apps/v1/namespaces/default/deployments", &body), now);
/// sim_cluster::settle(&mut cluster, now, now + std::time::Duration::from_secs(10));
/// let web = cluster.get("deployments.apps", "default", "web").unwrap();
/// assert_eq!(web.at("/status/availableReplicas"), Some(&json!(2)));
/// ```
pub fn run_controllers(cluster: &mut Cluster) {
    let node = json!({
        "metadata": {"name": NODE, "labels": {"kubernetes.io/hostname": NODE, "kubernetes.io/os": "linux"}},
        "spec": {},
    });
    // In a fresh cluster this can't fail; in a copied one the node is there already.
    let _ = cluster.acting_as("system:node:node-0").create("nodes", "", node);
    let _ = cluster.acting_as("system:node:node-0").merge_subresource("nodes", "", NODE, "status", node_status());
    cluster.add_controller(Keeper::new(namespace_content::NamespaceContent));
    cluster.add_controller(Keeper::new(deployment::Deployments));
    cluster.add_controller(Keeper::new(replica_set::ReplicaSets));
    cluster.add_controller(Keeper::new(stateful_set::StatefulSets));
    cluster.add_controller(Keeper::new(daemon_set::DaemonSets));
    cluster.add_controller(Keeper::new(job::Jobs));
    cluster.add_controller(Keeper::new(cron_job::CronJobs));
    cluster.add_controller(Keeper::new(scheduler::Scheduler));
    cluster.add_controller(Keeper::new(pods::Kubelet::default()));
    cluster.add_controller(Keeper::new(endpoint_slice::EndpointSlices));
    cluster.add_controller(Keeper::new(endpoints::Endpoints));
    cluster.add_controller(Keeper::new(garbage::GarbageCollector));
    cluster.add_controller(Keeper::new(namespace::Namespaces));
    cluster.add_controller(Keeper::new(quota::Quotas));
    cluster.add_controller(Keeper::new(disruption::Disruptions));
    cluster.add_controller(Keeper::new(autoscaler::Autoscalers));
}

/// Runs the controllers through virtual time: each time they want to look again, up to and including `until`. Returns
/// the moment of the last step.
pub fn settle(cluster: &mut Cluster, from: Timestamp, until: Timestamp) -> Timestamp {
    let mut now = from;
    loop {
        let step = cluster.step(now);
        match step.next_due {
            Some(due) if due <= until && !step.is_unsettled => now = due.max(now),
            _ => return now,
        }
    }
}

fn node_status() -> serde_json::Value {
    let room = json!({"cpu": "1k", "memory": "1Ti", "pods": "1M"});
    json!({"status": {
        "capacity": room, "allocatable": room,
        "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}, {"type": "Hostname", "address": NODE}],
        "conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady", "message": "kubelet is posting ready status"}],
        "phase": "Running",
    }})
}

/// An object that a controller looks after: stored resource, namespace and name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) resource: Arc<str>,
    pub(crate) namespace: Arc<str>,
    pub(crate) name: Arc<str>,
}

impl Key {
    pub(crate) fn of(change: &Change) -> Self {
        Self { resource: change.resource.clone(), namespace: change.namespace.clone(), name: change.name.clone() }
    }

    pub(crate) fn new(resource: &str, namespace: &str, name: &str) -> Self {
        Self { resource: resource.into(), namespace: namespace.into(), name: name.into() }
    }
}

/// A controller that looks after one object at a time.
pub(crate) trait Keyed: Clone + Send + Sync + 'static {
    /// The controller's name.
    const NAME: &'static str;

    /// Adds the objects to look at after a change.
    fn touched(&self, cluster: &Cluster, change: &Change, keys: &mut BTreeSet<Key>);

    /// All objects there are to look at, for the start and when history was forgotten.
    fn all(&self, cluster: &Cluster, keys: &mut BTreeSet<Key>);

    /// Moves one object on; returns when it wants to look again if nothing changes.
    ///
    /// # Errors
    /// When a write was refused; it is tried again later.
    fn sync(&mut self, cluster: &mut Cluster, key: &Key, now: Timestamp) -> Result<Option<Timestamp>, ApiError>;
}

/// Runs a [`Keyed`] controller: remembers how far it has looked and what is due when.
#[derive(Clone)]
struct Keeper<K> {
    controller: K,
    seen: Option<u64>,
    due: BTreeMap<Key, Timestamp>,
}

impl<K: Keyed> Keeper<K> {
    fn new(controller: K) -> Self {
        Self { controller, seen: None, due: BTreeMap::new() }
    }

    fn keys(&mut self, cluster: &Cluster, now: Timestamp) -> BTreeSet<Key> {
        let mut keys = BTreeSet::new();
        match self.seen.and_then(|seen| cluster.changes_since(seen)) {
            Some(changes) => {
                for change in changes {
                    self.controller.touched(cluster, change, &mut keys);
                }
            }
            None => self.controller.all(cluster, &mut keys),
        }
        self.seen = Some(cluster.revision());
        keys.extend(self.due.iter().filter(|(_, due)| **due <= now).map(|(key, _)| key.clone()));
        keys
    }
}

impl<K: Keyed> Controller for Keeper<K> {
    fn name(&self) -> &str {
        K::NAME
    }

    fn reconcile(&mut self, cluster: &mut Cluster, now: Timestamp) -> Option<Timestamp> {
        for key in self.keys(cluster, now) {
            let due = self.controller.sync(cluster, &key, now).unwrap_or(Some(now + RETRY));
            match due {
                Some(due) => self.due.insert(key, due),
                None => self.due.remove(&key),
            };
        }
        self.due.values().min().copied()
    }

    fn boxed_clone(&self) -> Box<dyn Controller> {
        Box::new(self.clone())
    }
}

/// Adds all objects of a resource.
pub(crate) fn every(cluster: &Cluster, resource: &str, keys: &mut BTreeSet<Key>) {
    keys.extend(cluster.list(resource, None).map(|object| Key::new(resource, object.namespace(), object.name())));
}

#[cfg(test)]
mod tests;
