//! An embedded cluster with a virtual clock, and short ways to look at it.

use std::time::Duration;

use object_model::Timestamp;
use reconcile_runtime::{Clock, Runtime};
use serde_json::Value;
use sim_cluster::{Cluster, DeleteOptions, Handle};

/// The cluster and where its time begins.
pub(crate) struct World {
    pub(crate) handle: Handle,
    clock: Clock,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::of(Cluster::default())
    }

    pub(crate) fn of(cluster: Cluster) -> Self {
        let start: Timestamp = "2030-01-01T00:00:00Z".parse().unwrap();
        let handle = Handle::new(cluster, sim_cluster::Clock::tokio_from(start));
        Self { handle, clock: Clock::starting_at(start) }
    }

    pub(crate) fn clock(&self) -> Clock {
        self.clock
    }

    pub(crate) fn client(&self) -> kube::Client {
        kube::Client::new(self.handle.service(), "default")
    }

    /// Runs a runtime until the returned task is dropped.
    pub(crate) fn start(&self, runtime: Runtime) -> Running {
        Running(tokio::spawn(runtime.run(std::future::pending())))
    }

    pub(crate) fn create(&self, kind: &str, namespace: &str, body: Value) {
        self.handle.with(|cluster| cluster.acting_as("you").create(kind, namespace, body).unwrap());
    }

    pub(crate) fn merge(&self, kind: &str, namespace: &str, name: &str, patch: Value) {
        self.handle.with(|cluster| cluster.acting_as("you").merge(kind, namespace, name, patch).unwrap());
    }

    pub(crate) fn delete(&self, kind: &str, namespace: &str, name: &str) {
        self.handle.with(|cluster| {
            cluster.acting_as("you").delete(kind, namespace, name, DeleteOptions::default()).unwrap();
        });
    }

    pub(crate) fn has(&self, kind: &str, namespace: &str, name: &str) -> bool {
        self.handle.with(|cluster| cluster.get(kind, namespace, name).is_some())
    }

    pub(crate) fn json(&self, kind: &str, namespace: &str, name: &str) -> Value {
        self.handle.with(|cluster| cluster.get(kind, namespace, name).unwrap().json().clone())
    }

    pub(crate) fn text(&self, kind: &str, namespace: &str, name: &str, pointer: &str) -> String {
        self.handle.with(|cluster| {
            cluster.get(kind, namespace, name).map(|object| object.text(pointer).to_owned()).unwrap_or_default()
        })
    }

    pub(crate) fn forget_requests(&self) {
        self.handle.with(Cluster::clear_requests);
    }

    /// The writes since the requests were last forgotten, as `verb resource/name`.
    pub(crate) fn writes(&self) -> Vec<String> {
        let wrote = |verb: &str| !matches!(verb, "get" | "list" | "watch");
        self.handle.with(|cluster| {
            let log = cluster.requests().filter(|entry| wrote(entry.verb));
            log.map(|entry| format!("{} {}/{}", entry.verb, entry.resource, entry.name)).collect()
        })
    }

    /// All requests since they were last forgotten but those of watches, as `verb resource/name`.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.handle.with(|cluster| {
            let log = cluster.requests().filter(|entry| entry.verb != "watch");
            log.map(|entry| format!("{} {}/{}", entry.verb, entry.resource, entry.name)).collect()
        })
    }
}

/// A running runtime; dropping it stops everything.
pub(crate) struct Running(tokio::task::JoinHandle<()>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Waits until something holds, at most five virtual minutes.
pub(crate) async fn eventually(mut holds: impl FnMut() -> bool) {
    for _ in 0..3_000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("it did not come to hold within five minutes");
}
