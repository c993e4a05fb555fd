//! The status of a Rollout as Argo writes it, for reading.

use object_model::{Object, PodHash, Timestamp, parse_time};
use serde_json::Value;

/// One reason why a Rollout is paused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PauseCondition {
    /// `CanaryPauseStep`, `InconclusiveAnalysisRun`, ...
    pub reason: String,
    /// Since when.
    pub start_time: Option<Timestamp>,
}

/// What the status remembers of one AnalysisRun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunStatus {
    /// Name of the AnalysisRun.
    pub name: String,
    /// Its phase.
    pub status: String,
}

/// One side of `status.canary.weights`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WeightDestination {
    /// Share of traffic.
    pub weight: u32,
    /// Hash of the pods that get it.
    pub hash: PodHash,
}

/// The fields of `status` that decisions read. `abort`, `promoteFull`, `pauseConditions`, `controllerPause` and
/// `currentStepIndex` are inputs too: `kubectl argo rollouts` and Argo CD write them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RolloutStatus {
    /// `stableRS`.
    pub stable: Option<PodHash>,
    /// `currentPodHash`.
    pub current: Option<PodHash>,
    /// `currentStepHash`.
    pub step_hash: Option<String>,
    /// `currentStepIndex`.
    pub step_index: Option<u32>,
    /// `pauseConditions`.
    pub pauses: Vec<PauseCondition>,
    /// `controllerPause`.
    pub controller_pause: bool,
    /// `abort`.
    pub abort: bool,
    /// `abortedAt`.
    pub aborted_at: Option<Timestamp>,
    /// `promoteFull`.
    pub promote_full: bool,
    /// `collisionCount`.
    pub collision_count: Option<u32>,
    /// `canary.weights.canary`.
    pub canary_weight: Option<WeightDestination>,
    /// `canary.currentBackgroundAnalysisRunStatus`.
    pub background_run: Option<RunStatus>,
    /// `canary.currentStepAnalysisRunStatus`.
    pub step_run: Option<RunStatus>,
}

impl RolloutStatus {
    /// Reads the status of a Rollout; what is absent or of a wrong type reads as unset.
    pub fn parse(rollout: &Object) -> Self {
        let text = |pointer: &str| rollout.str_at(pointer).filter(|text| !text.is_empty());
        let number = |pointer: &str| rollout.int_at(pointer).and_then(|number| u32::try_from(number).ok());
        let flag = |pointer: &str| rollout.bool_at(pointer).unwrap_or(false);
        let run = |pointer: &str| {
            let name = text(&format!("{pointer}/name"))?.to_owned();
            Some(RunStatus { name, status: text(&format!("{pointer}/status")).unwrap_or_default().to_owned() })
        };
        Self {
            stable: text("/status/stableRS").map(PodHash::new),
            current: text("/status/currentPodHash").map(PodHash::new),
            step_hash: text("/status/currentStepHash").map(str::to_owned),
            step_index: number("/status/currentStepIndex"),
            pauses: rollout.list_at("/status/pauseConditions").iter().filter_map(pause).collect(),
            controller_pause: flag("/status/controllerPause"),
            abort: flag("/status/abort"),
            aborted_at: text("/status/abortedAt").and_then(parse_time),
            promote_full: flag("/status/promoteFull"),
            collision_count: number("/status/collisionCount"),
            canary_weight: number("/status/canary/weights/canary/weight").map(|weight| WeightDestination {
                weight,
                hash: PodHash::new(text("/status/canary/weights/canary/podTemplateHash").unwrap_or_default()),
            }),
            background_run: run("/status/canary/currentBackgroundAnalysisRunStatus"),
            step_run: run("/status/canary/currentStepAnalysisRunStatus"),
        }
    }
}

fn pause(item: &Value) -> Option<PauseCondition> {
    let reason = item.get("reason")?.as_str()?.to_owned();
    Some(PauseCondition { reason, start_time: item.get("startTime").and_then(Value::as_str).and_then(parse_time) })
}
