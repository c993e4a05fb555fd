//! The status that a pod has after a stage.

use object_model::Timestamp;
use serde_json::{Map, Value, json};

use super::Stage;
use crate::controllers::view::{at, items, text};

/// The fields of the status that a stage sets; others stay.
pub(crate) fn status(stage: Stage, pod: &Value, address: &str, now: Timestamp) -> Value {
    let mut status = Map::new();
    status.insert("conditions".to_owned(), Value::Array(conditions(stage, pod, now)));
    if let Some(state) = container_state(stage, now) {
        status.insert("containerStatuses".to_owned(), container_statuses(pod, stage, &state));
    }
    if let Some(phase) = phase(stage) {
        status.insert("phase".to_owned(), phase.into());
    }
    if stage == Stage::Start && !items(pod, "/spec/initContainers").is_empty() {
        status.insert("initContainerStatuses".to_owned(), init_statuses(pod, now));
    }
    if is_first(stage) {
        status.insert("hostIP".to_owned(), "127.0.0.1".into());
        status.insert("podIP".to_owned(), address.into());
        status.insert("podIPs".to_owned(), json!([{"ip": address}]));
        status.insert("startTime".to_owned(), at(now));
    }
    Value::Object(status)
}

fn is_first(stage: Stage) -> bool {
    matches!(stage, Stage::ImagePullFails | Stage::CommandNotFound | Stage::CommandNotFoundOnce | Stage::Start)
}

fn phase(stage: Stage) -> Option<&'static str> {
    match stage {
        Stage::ImagePullFails => Some("Pending"),
        Stage::CommandNotFound | Stage::Start => Some("Running"),
        Stage::CommandNotFoundOnce | Stage::Fails | Stage::StopOnce => Some("Failed"),
        Stage::Succeeds => Some("Succeeded"),
        Stage::Ready | Stage::ContainersReady | Stage::GatesOpen | Stage::Crashes | Stage::Delete => None,
    }
}

/// Pod ready, containers ready, and the reasons where they are not.
fn readiness(stage: Stage) -> [(&'static str, &'static str, Option<&'static str>); 2] {
    let both = |reason| [("Ready", "False", Some(reason)), ("ContainersReady", "False", Some(reason))];
    match stage {
        Stage::ImagePullFails | Stage::CommandNotFound | Stage::Start | Stage::Crashes | Stage::Delete => {
            both("ContainersNotReady")
        }
        Stage::CommandNotFoundOnce | Stage::Fails | Stage::StopOnce => both("PodFailed"),
        Stage::Succeeds => both("PodCompleted"),
        Stage::Ready | Stage::GatesOpen => [("Ready", "True", None), ("ContainersReady", "True", None)],
        Stage::ContainersReady => {
            [("Ready", "False", Some("ReadinessGatesNotReady")), ("ContainersReady", "True", None)]
        }
    }
}

/// The conditions after the stage: those that it names come first and are renewed, the rest (and the reason of one that
/// names none) stay, as a strategic merge by type does.
fn conditions(stage: Stage, pod: &Value, now: Timestamp) -> Vec<Value> {
    let mut rest = items(pod, "/status/conditions").to_vec();
    let mut conditions = Vec::new();
    let [ready, containers] = readiness(stage);
    let named = [("Initialized", "True", None), ("PodReadyToStartContainers", "True", None), ready, containers];
    for (kind, status, reason) in named {
        let known = rest.iter().position(|condition| text(condition, "/type") == kind);
        let known = known.map(|index| rest.remove(index));
        conditions.push(known.unwrap_or_else(|| json!({"type": kind, "lastProbeTime": null})));
        let fields = conditions.last_mut().and_then(Value::as_object_mut);
        let Some(fields) = fields else { continue };
        fields.insert("status".to_owned(), status.into());
        fields.insert("lastTransitionTime".to_owned(), at(now));
        if let Some(reason) = reason {
            fields.insert("reason".to_owned(), reason.into());
        }
    }
    conditions.append(&mut rest);
    conditions
}

fn container_state(stage: Stage, now: Timestamp) -> Option<Value> {
    let waiting = |reason: &str, message: &str| json!({"waiting": {"reason": reason, "message": message}});
    let ended = |code: i64, reason: &str| json!({"terminated": {"exitCode": code, "reason": reason, "startedAt": at(now), "finishedAt": at(now)}});
    Some(match stage {
        Stage::ImagePullFails => waiting("ErrImagePull", "the image does not exist"),
        Stage::CommandNotFound => waiting("CrashLoopBackOff", "command not found"),
        Stage::CommandNotFoundOnce => ended(128, "StartError"),
        Stage::Start | Stage::Ready | Stage::ContainersReady => json!({"running": {"startedAt": at(now)}}),
        Stage::Succeeds => ended(0, "Completed"),
        Stage::Fails => ended(1, "Error"),
        Stage::Crashes => waiting("CrashLoopBackOff", "back-off restarting failed container"),
        Stage::StopOnce => ended(137, "Error"),
        Stage::GatesOpen | Stage::Delete => return None,
    })
}

fn container_statuses(pod: &Value, stage: Stage, state: &Value) -> Value {
    let is_ready = matches!(stage, Stage::Ready | Stage::ContainersReady);
    let restarts = i64::from(matches!(stage, Stage::CommandNotFound | Stage::Crashes));
    let status = |container: &Value| {
        json!({
            "name": text(container, "/name"),
            "image": text(container, "/image"),
            "imageID": "",
            "ready": is_ready,
            "started": is_ready || stage == Stage::Start,
            "restartCount": restarts,
            "state": state,
            "lastState": {},
        })
    };
    items(pod, "/spec/containers").iter().map(status).collect()
}

fn init_statuses(pod: &Value, now: Timestamp) -> Value {
    let status = |container: &Value| {
        let mut status = json!({
            "name": text(container, "/name"), "image": text(container, "/image"), "imageID": "", "ready": true,
            "restartCount": 0, "lastState": {},
            "state": {"terminated": {"exitCode": 0, "reason": "Completed", "startedAt": at(now), "finishedAt": at(now)}},
        });
        // A sidecar stays.
        if text(container, "/restartPolicy") == "Always"
            && let Some(fields) = status.as_object_mut()
        {
            fields.insert("started".to_owned(), true.into());
            fields.insert("state".to_owned(), json!({"running": {"startedAt": at(now)}}));
        }
        status
    };
    items(pod, "/spec/initContainers").iter().map(status).collect()
}
