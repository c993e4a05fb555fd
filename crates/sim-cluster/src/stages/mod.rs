//! How pods live: stages with a delay, chosen by what the pod's own spec says. The table is that of the stages with
//! which kwok plays pods beside a real control plane, so both clusters behave alike.
//!
//! | the pod's spec says | it does |
//! |---|---|
//! | nothing special | starts after 0.6 s, ready after another 0.6 s |
//! | an image that does not exist by its name | Pending, ErrImagePull after 3 s, for ever |
//! | a command that does not exist by its name | Running, never ready, CrashLoopBackOff; Failed when it never restarts |
//! | restartPolicy Never or OnFailure | runs `sleep N` of its script (0.2 s without one), then Succeeded or Failed |
//! | restartPolicy Always and `exit` in its script | ready, then CrashLoopBackOff |
//! | `sleep infinity`, `sleep 365d` | never ends |
//! | readinessProbe.initialDelaySeconds, postStart, preStop | ready, started, removed that much later |
//! | readinessGates | ready when something sets all of them True |
//! | `sluice.dev/never-ready: "true"` | never ready |
//! | deleted | gone after 0.1 s; what would have ended by itself becomes Failed first |

mod script;
mod status;

use std::time::Duration;

use serde_json::Value;

use crate::controllers::view::{condition, flag, int, int_or, is_true, items, text};

pub(crate) use status::status;

/// A step in a pod's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    ImagePullFails,
    CommandNotFound,
    CommandNotFoundOnce,
    Start,
    Ready,
    ContainersReady,
    GatesOpen,
    Succeeds,
    Fails,
    Crashes,
    StopOnce,
    Delete,
}

/// The annotation or label that keeps a pod from ever becoming ready.
const NEVER_READY: &str = "sluice.dev~1never-ready";

/// What comes next for a pod and how long after the pod came into the state that asks for it.
pub(crate) fn next_stage(pod: &Value) -> Option<(Stage, Duration)> {
    let phase = match text(pod, "/status/phase") {
        "" => "Pending",
        phase => phase,
    };
    if pod.pointer("/metadata/deletionTimestamp").is_some() {
        return deletion(pod, phase);
    }
    match phase {
        "Pending" if items(pod, "/status/containerStatuses").is_empty() => Some(start(pod)),
        "Running" => running(pod),
        _ => None,
    }
}

fn deletion(pod: &Value, phase: &str) -> Option<(Stage, Duration)> {
    let has_finalizers = !items(pod, "/metadata/finalizers").is_empty();
    let is_stopped = int_or(pod, "/metadata/deletionGracePeriodSeconds", -1) == 0;
    let delay = stop_delay(pod);
    if ends_by_itself(pod) && !matches!(phase, "Succeeded" | "Failed") {
        return Some((Stage::StopOnce, delay));
    }
    // What only waits for finalizers has been stopped already.
    (!(has_finalizers && is_stopped)).then_some((Stage::Delete, delay))
}

fn stop_delay(pod: &Value) -> Duration {
    let longest = containers(pod).filter_map(|container| hook_seconds(container, "preStop")).max().unwrap_or(0);
    let grace = u64::try_from(int_or(pod, "/metadata/deletionGracePeriodSeconds", 30)).unwrap_or(0);
    match longest.min(grace) {
        0 => Duration::from_millis(100),
        seconds => Duration::from_secs(seconds),
    }
}

fn start(pod: &Value) -> (Stage, Duration) {
    if containers(pod).any(|container| is_missing_image(text(container, "/image"))) {
        return (Stage::ImagePullFails, Duration::from_secs(3));
    }
    if has_missing_command(pod) {
        let stage = if ends_by_itself(pod) { Stage::CommandNotFoundOnce } else { Stage::CommandNotFound };
        return (stage, Duration::from_millis(300));
    }
    let hook = containers(pod).filter_map(|container| hook_seconds(container, "postStart")).max();
    (Stage::Start, hook.map_or(Duration::from_millis(600), Duration::from_secs))
}

fn running(pod: &Value) -> Option<(Stage, Duration)> {
    let statuses = items(pod, "/status/containerStatuses");
    let is_any_ready = statuses.iter().any(|status| flag(status, "/ready"));
    let are_gates_open =
        items(pod, "/spec/readinessGates").iter().all(|gate| is_true(pod, text(gate, "/conditionType")));
    if !is_any_ready {
        let runs = statuses.iter().any(|status| status.pointer("/state/running").is_some());
        if !runs || is_never_ready(pod) || has_missing_command(pod) {
            return None;
        }
        let stage = if are_gates_open { Stage::Ready } else { Stage::ContainersReady };
        return Some((stage, ready_delay(pod)));
    }
    if ends_by_itself(pod) {
        let script = script::of(pod);
        if script::is_endless(&script) {
            return gates(pod, are_gates_open);
        }
        let stage = if script::fails(&script) { Stage::Fails } else { Stage::Succeeds };
        return Some((stage, script::sleep(&script).unwrap_or(Duration::from_millis(200))));
    }
    if is_true(pod, "Ready") {
        let script = script::of(pod);
        let delay = || script::sleep(&script).unwrap_or(Duration::from_millis(500));
        return script::exits(&script).then(|| (Stage::Crashes, delay()));
    }
    gates(pod, are_gates_open)
}

fn gates(pod: &Value, are_open: bool) -> Option<(Stage, Duration)> {
    let are_all_ready = items(pod, "/status/containerStatuses").iter().all(|status| flag(status, "/ready"));
    let waits = condition(pod, "Ready").is_none_or(|ready| text(ready, "/status") == "False");
    (are_open && are_all_ready && waits).then_some((Stage::GatesOpen, Duration::from_millis(50)))
}

fn ready_delay(pod: &Value) -> Duration {
    let longest = containers(pod).map(|container| int(container, "/readinessProbe/initialDelaySeconds")).max();
    match longest.and_then(|seconds| u64::try_from(seconds).ok()).unwrap_or(0) {
        0 => Duration::from_millis(600),
        seconds => Duration::from_secs(seconds),
    }
}

fn containers(pod: &Value) -> impl Iterator<Item = &Value> {
    items(pod, "/spec/containers").iter()
}

/// Whether the pod's containers are not restarted for ever.
fn ends_by_itself(pod: &Value) -> bool {
    !matches!(text(pod, "/spec/restartPolicy"), "" | "Always")
}

fn is_never_ready(pod: &Value) -> bool {
    let says = |map: &str| text(pod, &format!("/metadata/{map}/{NEVER_READY}"));
    let word = if says("annotations").is_empty() { says("labels") } else { says("annotations") };
    !matches!(word, "" | "false")
}

fn is_missing_image(image: &str) -> bool {
    let words = ["does-not-exist", "doesnotexist", "nonexistent", "never-pull", "bad-image", "argo-error"];
    words.iter().any(|word| image.contains(word)) || image.ends_with(":error")
}

fn has_missing_command(pod: &Value) -> bool {
    containers(pod).any(|container| {
        let command = text(container, "/command/0");
        command.starts_with("/bad-command") || command.starts_with("/never-start")
    })
}

fn hook_seconds(container: &Value, hook: &str) -> Option<u64> {
    let words: Vec<&str> =
        items(container, &format!("/lifecycle/{hook}/exec/command")).iter().filter_map(Value::as_str).collect();
    script::number_after(&words.join(" "), "sleep ")
}
