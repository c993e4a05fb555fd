//! The cells of pods: their status is a summary of their containers'.

use serde_json::{Value, json};

use super::cells::Row;

struct Summary {
    reason: String,
    ready: usize,
    total: usize,
    restarts: i64,
    last_restart: Option<String>,
}

fn is_sidecar(row: &Row<'_>, name: &str) -> bool {
    row.list("/spec/initContainers")
        .iter()
        .any(|container| container["name"] == name && container["restartPolicy"] == "Always")
}

fn ended(state: &Value) -> Option<String> {
    let terminated = state.get("terminated")?;
    let reason = terminated.get("reason").and_then(Value::as_str).unwrap_or_default();
    if !reason.is_empty() {
        return Some(reason.to_owned());
    }
    let number = |key: &str| terminated.get(key).and_then(Value::as_i64).unwrap_or(0);
    Some(match number("signal") {
        0 => format!("ExitCode:{}", number("exitCode")),
        signal => format!("Signal:{signal}"),
    })
}

fn exit_code(status: &Value) -> Option<i64> {
    status.pointer("/state/terminated").map(|ended| ended.get("exitCode").and_then(Value::as_i64).unwrap_or(0))
}

fn waiting(status: &Value) -> &str {
    status.pointer("/state/waiting/reason").and_then(Value::as_str).unwrap_or_default()
}

fn restarts(status: &Value) -> i64 {
    status.get("restartCount").and_then(Value::as_i64).unwrap_or(0)
}

impl Summary {
    fn note_restart(&mut self, status: &Value) {
        self.restarts += restarts(status);
        let at = status.pointer("/lastState/terminated/finishedAt").and_then(Value::as_str);
        if let Some(at) = at.filter(|at| self.last_restart.as_deref().is_none_or(|last| last < *at)) {
            self.last_restart = Some(at.to_owned());
        }
    }

    /// Goes through the init containers; returns whether one of them still holds the pod up.
    fn initialize(&mut self, row: &Row<'_>) -> bool {
        let total = row.list("/spec/initContainers").len();
        for (index, status) in row.list("/status/initContainerStatuses").iter().enumerate() {
            self.note_restart(status);
            let name = status["name"].as_str().unwrap_or_default();
            if exit_code(status) == Some(0) {
                continue;
            }
            if is_sidecar(row, name) && status["started"] == true {
                self.ready += usize::from(status["ready"] == true);
                continue;
            }
            self.reason = match (ended(&status["state"]), waiting(status)) {
                (Some(reason), _) => format!("Init:{reason}"),
                (None, reason) if !reason.is_empty() && reason != "PodInitializing" => format!("Init:{reason}"),
                _ => format!("Init:{index}/{total}"),
            };
            return true;
        }
        false
    }

    fn run(&mut self, row: &Row<'_>) {
        let mut has_running = false;
        let mut error = String::new();
        for status in row.list("/status/containerStatuses").iter().rev() {
            self.note_restart(status);
            if !waiting(status).is_empty() {
                self.reason = waiting(status).to_owned();
            } else if let Some(reason) = ended(&status["state"]) {
                self.reason = reason;
                if exit_code(status) != Some(0) {
                    error.clone_from(&self.reason);
                }
            } else if status["ready"] == true && status.pointer("/state/running").is_some() {
                has_running = true;
                self.ready += 1;
            }
        }
        if self.reason == "Completed" {
            if has_running && row.condition("Ready") == Some("True") {
                self.reason = "Running".to_owned();
            } else if !error.is_empty() {
                self.reason = error;
            } else if has_running {
                self.reason = "NotReady".to_owned();
            }
        }
    }
}

pub(super) fn cells(row: &Row<'_>) -> Vec<Value> {
    let phase = row.text("/status/phase");
    let sidecars = row.list("/spec/initContainers").iter().filter(|container| container["restartPolicy"] == "Always");
    let mut summary = Summary {
        reason: if row.text("/status/reason").is_empty() { phase } else { row.text("/status/reason") }.to_owned(),
        ready: 0,
        total: row.list("/spec/containers").len() + sidecars.count(),
        restarts: 0,
        last_restart: None,
    };
    let is_initializing = summary.initialize(row);
    if !is_initializing || row.condition("Initialized") == Some("True") {
        // Once the pod runs, only sidecars among the init containers count.
        let of_sidecars = row.list("/status/initContainerStatuses").iter();
        let of_sidecars = of_sidecars.filter(|status| is_sidecar(row, status["name"].as_str().unwrap_or_default()));
        summary.restarts = of_sidecars.map(restarts).sum();
        summary.run(row);
    }
    if row.object.pointer("/metadata/deletionTimestamp").is_some() {
        if row.text("/status/reason") == "NodeLost" {
            summary.reason = "Unknown".to_owned();
        } else if !matches!(phase, "Succeeded" | "Failed") {
            summary.reason = "Terminating".to_owned();
        }
    }
    let restarts = match &summary.last_restart {
        Some(at) if summary.restarts != 0 => format!("{} ({} ago)", summary.restarts, row.since_text(at)),
        _ => summary.restarts.to_string(),
    };
    let or_none = |text: &str| if text.is_empty() { json!("<none>") } else { json!(text) };
    vec![
        row.name(),
        json!(format!("{}/{}", summary.ready, summary.total)),
        json!(summary.reason),
        json!(restarts),
        row.age(),
        or_none(row.text("/status/podIP")),
        or_none(row.text("/spec/nodeName")),
        or_none(row.text("/status/nominatedNodeName")),
        json!("<none>"),
    ]
}
