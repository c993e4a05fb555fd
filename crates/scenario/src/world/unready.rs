//! Pods that are kept from being ready: by an annotation which the stages of both clusters obey.

use object_model::Object;
use serde_json::{Value, json};

use super::World;
use crate::setting::{list, merge};

/// The annotation under which a pod does not become ready.
const NEVER_READY: &str = "sluice.dev/never-ready";

/// Which pods are kept from being ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Unready {
    /// Those of an image, also later ones.
    Image(String),
    /// Those with these labels in a namespace, also later ones.
    Labels { namespace: String, labels: Vec<(String, String)> },
}

impl Unready {
    fn takes(&self, pod: &Object) -> bool {
        match self {
            Self::Image(image) => pod
                .list_at("/spec/containers")
                .iter()
                .filter_map(|container| container.get("image")?.as_str())
                .any(|found| found == image || found.ends_with(&format!("/{image}"))),
            Self::Labels { namespace, labels } => {
                pod.namespace() == Some(namespace)
                    && labels.iter().all(|(key, value)| pod.label(key) == Some(value.as_str()))
            }
        }
    }
}

/// Marks the pods that came since the last look. A pod that goes away meanwhile needs no mark.
pub(super) async fn keep(world: &World) {
    let unready = world.notes().unready.clone();
    if unready.is_empty() {
        return;
    }
    let Ok(pods) = list(&world.setting.people, "v1", "Pod", "").await else { return };
    for pod in pods.iter().filter(|pod| unready.iter().any(|unready| unready.takes(pod))) {
        if pod.annotation(NEVER_READY).is_none() && !pod.is_deleting() {
            // The next look sees a pod that could not be marked.
            let _ = mark(world, pod).await;
        }
    }
}

/// Marks a pod, and takes its readiness when it has it.
async fn mark(world: &World, pod: &Object) -> Result<(), crate::setting::PeopleError> {
    let people = &world.setting.people;
    let namespace = pod.namespace().unwrap_or_default();
    let annotation = json!({"metadata": {"annotations": {NEVER_READY: "true"}}});
    merge(people, "v1", "Pod", namespace, pod.name(), "", &annotation).await?;
    let now = object_model::format_time(world.setting.now());
    let mut conditions = pod.list_at("/status/conditions").to_vec();
    let is_readiness = |condition: &Value| {
        let text = |key: &str| condition.get(key).and_then(Value::as_str).unwrap_or_default();
        matches!(text("type"), "Ready" | "ContainersReady") && text("status") == "True"
    };
    let mut is_taken = false;
    for condition in conditions.iter_mut().filter(|condition| is_readiness(condition)) {
        let Some(condition) = condition.as_object_mut() else { continue };
        condition.insert("status".to_owned(), json!("False"));
        condition.insert("lastTransitionTime".to_owned(), json!(now));
        is_taken = true;
    }
    if !is_taken {
        return Ok(());
    }
    let mut containers = pod.list_at("/status/containerStatuses").to_vec();
    for container in containers.iter_mut().filter_map(Value::as_object_mut) {
        container.insert("ready".to_owned(), json!(false));
    }
    let status = json!({"status": {"conditions": conditions, "containerStatuses": containers}});
    merge(people, "v1", "Pod", namespace, pod.name(), "/status", &status).await
}

/// Lets all pods be ready again.
pub(crate) async fn end(world: &World) -> Result<(), String> {
    world.notes().unready.clear();
    let people = &world.setting.people;
    let pods = list(people, "v1", "Pod", "").await.map_err(|error| error.to_string())?;
    for pod in pods.iter().filter(|pod| pod.annotation(NEVER_READY).is_some() && !pod.is_deleting()) {
        let patch = json!({"metadata": {"annotations": {NEVER_READY: null}}});
        let namespace = pod.namespace().unwrap_or_default();
        merge(people, "v1", "Pod", namespace, pod.name(), "", &patch).await.map_err(|error| error.to_string())?;
    }
    Ok(())
}
