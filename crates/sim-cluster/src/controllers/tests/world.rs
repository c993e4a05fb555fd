//! A cluster with controllers and a clock that only the test moves.

use std::time::Duration;

use object_model::Timestamp;
use serde_json::{Value, json};

use crate::controllers::view::{is_ready, text};
use crate::{Cluster, DeleteOptions, Propagation, run_controllers, settle};

pub(super) struct World {
    pub(super) cluster: Cluster,
    pub(super) now: Timestamp,
}

impl World {
    pub(super) fn new() -> Self {
        let mut cluster = Cluster::default();
        run_controllers(&mut cluster);
        let now = "2026-01-01T00:00:00Z".parse().unwrap();
        let mut world = Self { cluster, now };
        world.pass(Duration::ZERO);
        world
    }

    /// Lets time pass, with every controller looking whenever it wants to.
    pub(super) fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        settle(&mut self.cluster, self.now, until);
        self.now = until;
        self.cluster.step(until);
    }

    pub(super) fn pass_seconds(&mut self, seconds: f64) {
        self.pass(Duration::from_secs_f64(seconds));
    }

    pub(super) fn create(&mut self, resource: &str, body: Value) {
        self.cluster.set_now(self.now);
        let namespace = if body["metadata"]["namespace"].is_string() { "" } else { "default" };
        let namespace = if resource == "namespaces" || resource == "nodes" { "" } else { namespace };
        let namespace = body["metadata"]["namespace"].as_str().unwrap_or(namespace).to_owned();
        self.cluster.acting_as("kubectl").create(resource, &namespace, body).unwrap();
    }

    pub(super) fn merge(&mut self, resource: &str, name: &str, patch: Value) {
        self.cluster.set_now(self.now);
        let namespace = if resource == "namespaces" { "" } else { "default" };
        self.cluster.acting_as("kubectl").merge(resource, namespace, name, patch).unwrap();
    }

    pub(super) fn delete(&mut self, resource: &str, name: &str, propagation: Propagation) {
        self.cluster.set_now(self.now);
        let namespace = if resource == "namespaces" { "" } else { "default" };
        let options = DeleteOptions { propagation: Some(propagation), ..DeleteOptions::default() };
        self.cluster.acting_as("kubectl").delete(resource, namespace, name, options).unwrap();
    }

    pub(super) fn get(&self, resource: &str, name: &str) -> Value {
        let namespace = if resource == "namespaces" { "" } else { "default" };
        self.cluster.get(resource, namespace, name).map_or(Value::Null, |object| object.json().clone())
    }

    pub(super) fn list(&self, resource: &str) -> Vec<Value> {
        self.cluster.list(resource, Some("default")).map(|object| object.json().clone()).collect()
    }

    /// The newest ReplicaSets first: size, ready pods, revision.
    pub(super) fn sets(&self) -> Vec<(i64, i64, String)> {
        let mut sets = self.list("replicasets.apps");
        sets.sort_by_key(|set| {
            text(set, "/metadata/annotations/deployment.kubernetes.io~1revision").parse::<i64>().ok()
        });
        sets.reverse();
        sets.iter()
            .map(|set| {
                let revision = text(set, "/metadata/annotations/deployment.kubernetes.io~1revision").to_owned();
                (
                    set["spec"]["replicas"].as_i64().unwrap(),
                    set["status"]["readyReplicas"].as_i64().unwrap_or(0),
                    revision,
                )
            })
            .collect()
    }

    pub(super) fn ready_pods(&self) -> usize {
        self.cluster.list("pods", Some("default")).filter(|pod| is_ready(pod.json())).count()
    }

    /// Reasons and messages of events about an object, in order of their names' first appearance.
    pub(super) fn events(&self, name: &str) -> Vec<String> {
        let mut events: Vec<(u64, String)> = self
            .cluster
            .changes_since(0)
            .unwrap()
            .filter(|change| change.resource.as_ref() == "events" && change.before.is_none())
            .filter_map(|change| Some((change.revision, change.after.clone()?)))
            .filter(|(_, event)| event.text("/involvedObject/name") == name)
            .map(|(revision, event)| (revision, format!("{}: {}", event.text("/reason"), event.text("/message"))))
            .collect();
        events.sort();
        events.into_iter().map(|(_, text)| text).collect()
    }

    /// Asserts that nothing is written while time passes.
    pub(super) fn assert_quiet(&mut self) {
        let before = self.cluster.revision();
        self.cluster.clear_requests();
        self.pass(Duration::from_secs(1800));
        let asked: Vec<String> = self
            .cluster
            .requests()
            .map(|entry| format!("{} {} {} {}", entry.actor.user.name, entry.verb, entry.resource, entry.name))
            .collect();
        assert_eq!(self.cluster.revision(), before, "{asked:#?}");
        assert!(asked.is_empty(), "{asked:#?}");
    }
}

pub(super) fn deployment(name: &str, replicas: i64, image: &str) -> Value {
    json!({
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [{"name": name, "image": image, "ports": [{"name": "http", "containerPort": 8080}]}]},
            },
        },
    })
}

pub(super) fn set_image(image: &str) -> Value {
    json!({"spec": {"template": {"spec": {"containers": [
        {"name": "web", "image": image, "ports": [{"name": "http", "containerPort": 8080}]},
    ]}}}})
}

pub(super) fn pod(name: &str, spec: Value) -> Value {
    json!({"metadata": {"name": name, "labels": {"app": name}}, "spec": spec})
}
