//! Pods.

use object_model::Object;
use serde_json::Value;

use super::{Health, HealthStatus, conditions};

const IGNORE_RESTART_POLICY: &str = "argocd.argoproj.io/ignore-restart-policy";

pub(super) fn pod(live: &Object) -> Health {
    let restarts = restarts_always(live);
    if restarts && let Some(health) = waiting_failure(live) {
        return health;
    }
    match live.str_at("/status/phase") {
        Some("Pending") => Health::progressing(live.str_at("/status/message").unwrap_or_default()),
        Some("Succeeded") => Health::new(HealthStatus::Healthy, live.str_at("/status/message").unwrap_or_default()),
        Some("Failed") => Health::degraded(failure(live)),
        Some("Running") if restarts => running(live),
        // A pod that ends by itself is done only when it has ended.
        Some("Running") => Health::progressing(live.str_at("/status/message").unwrap_or_default()),
        _ => Health::new(HealthStatus::Unknown, live.str_at("/status/message").unwrap_or_default()),
    }
}

/// Whether the pod is one that keeps running. A hook's pod is meant to end, whatever its annotation says.
fn restarts_always(live: &Object) -> bool {
    let is_hook = live.annotation("argocd.argoproj.io/hook").is_some() || live.annotation("helm.sh/hook").is_some();
    let is_ignored = live.annotation(IGNORE_RESTART_POLICY) == Some("true") && !is_hook;
    is_ignored || live.str_at("/spec/restartPolicy").unwrap_or("Always") == "Always"
}

/// A container that can't start and will not by waiting alone.
fn waiting_failure(live: &Object) -> Option<Health> {
    let mut messages = Vec::new();
    for container in live.list_at("/status/containerStatuses") {
        let Some(waiting) = container.pointer("/state/waiting") else { continue };
        let reason = waiting.get("reason").and_then(Value::as_str).unwrap_or_default();
        if reason.starts_with("Err") || reason.ends_with("Error") || reason.ends_with("BackOff") {
            messages.push(waiting.get("message").and_then(Value::as_str).unwrap_or(reason));
        }
    }
    (!messages.is_empty()).then(|| Health::degraded(messages.join(", ")))
}

fn running(live: &Object) -> Health {
    if conditions(live).iter().any(|condition| condition.kind == "Ready" && condition.status == "True") {
        return Health::new(HealthStatus::Healthy, live.str_at("/status/message").unwrap_or_default());
    }
    let has_died = |container: &&Value| container.pointer("/lastState/terminated").is_some();
    match live.list_at("/status/containerStatuses").iter().find(has_died) {
        Some(_) => Health::degraded(live.str_at("/status/message").unwrap_or_default()),
        None => Health::progressing(live.str_at("/status/message").unwrap_or_default()),
    }
}

fn failure(live: &Object) -> String {
    if let Some(message) = live.str_at("/status/message").filter(|message| !message.is_empty()) {
        return message.to_owned();
    }
    let statuses =
        live.list_at("/status/initContainerStatuses").iter().chain(live.list_at("/status/containerStatuses"));
    statuses.filter_map(container_failure).next().unwrap_or_default()
}

fn container_failure(container: &Value) -> Option<String> {
    let ended = container.pointer("/state/terminated")?;
    if let Some(message) = ended.get("message").and_then(Value::as_str).filter(|message| !message.is_empty()) {
        return Some(message.to_owned());
    }
    if ended.get("reason").and_then(Value::as_str) == Some("OOMKilled") {
        return Some("OOMKilled".to_owned());
    }
    let code = ended.get("exitCode").and_then(Value::as_i64).filter(|code| *code != 0)?;
    let name = container.get("name").and_then(Value::as_str).unwrap_or_default();
    Some(format!("container \"{name}\" failed with exit code {code}"))
}
