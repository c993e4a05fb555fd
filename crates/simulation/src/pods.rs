//! What happens to pods by themselves: they lose readiness for a moment, are evicted, or go with their node.

use std::time::Duration;

use serde_json::{Value, json};
use sim_cluster::{Cluster, DeleteOptions};

use crate::fault::Fault;
use crate::play::Play;
use crate::swarm::Kind;

/// Lets pods of a namespace suffer until dropped.
pub(crate) async fn suffer(play: &Play, namespace: &str) {
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let Some((fault, degree)) = play.fault(Kind::Pods, "pods") else { continue };
        play.handle.with(|cluster| {
            let names: Vec<String> = cluster
                .list("pods", Some(namespace))
                .filter(|pod| !pod.is_deleting())
                .map(|pod| pod.name().to_owned())
                .collect();
            let index = usize::try_from(degree).unwrap_or(0).checked_rem(names.len().max(1)).unwrap_or(0);
            let one = names.get(index).map(std::slice::from_ref).unwrap_or_default();
            play.tell("pods", &fault.to_string(), &one.join(" "));
            match fault {
                Fault::PodFlap => one.iter().for_each(|name| unready(cluster, namespace, name)),
                Fault::PodEvicted => evict(cluster, namespace, one),
                _ => evict(cluster, namespace, &names),
            }
        });
    }
}

fn evict(cluster: &mut Cluster, namespace: &str, names: &[String]) {
    for name in names {
        // A pod that has just gone by itself needs no eviction.
        let _ = cluster.acting_as("kubelet").delete("pods", namespace, name, DeleteOptions::default());
    }
}

/// Takes the readiness of a pod; its stages give it back.
fn unready(cluster: &mut Cluster, namespace: &str, name: &str) {
    let Some(pod) = cluster.get("pods", namespace, name).cloned() else { return };
    let mut conditions = pod.at("/status/conditions").and_then(Value::as_array).cloned().unwrap_or_default();
    for condition in conditions.iter_mut().filter_map(Value::as_object_mut) {
        let kind = condition.get("type").and_then(Value::as_str).unwrap_or_default();
        if matches!(kind, "Ready" | "ContainersReady") {
            condition.insert("status".to_owned(), "False".into());
        }
    }
    let mut containers = pod.at("/status/containerStatuses").and_then(Value::as_array).cloned().unwrap_or_default();
    for container in containers.iter_mut().filter_map(Value::as_object_mut) {
        container.insert("ready".to_owned(), false.into());
    }
    let status = json!({"status": {"conditions": conditions, "containerStatuses": containers}});
    // A pod that has just gone has no readiness to lose.
    let _ = cluster.acting_as("kubelet").merge_subresource("pods", namespace, name, "status", status);
}
