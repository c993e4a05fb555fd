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
    /// `canary.currentExperiment`.
    pub experiment: Option<String>,
    /// `canary.weights.stable`.
    pub stable_weight: Option<WeightDestination>,
    /// `canary.stablePingPong`: `ping` or `pong`.
    pub stable_ping_pong: Option<String>,
    /// `blueGreen`.
    pub blue_green: BlueGreenStatus,
    /// `restartedAt`.
    pub restarted_at: Option<Timestamp>,
    /// `phase`.
    pub phase: String,
    /// `observedGeneration`, a text.
    pub observed_generation: String,
    /// The pods that were counted last.
    pub counts: Counts,
    /// `duration`.
    pub duration: Option<DurationStatus>,
}

/// `status.duration`: how long an update takes, and how long of that it waits for a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DurationStatus {
    /// `rolloutStartedAt`.
    pub started_at: Timestamp,
    /// `manualPauseStartedAt`.
    pub manual_pause_started_at: Option<Timestamp>,
    /// `totalManualPauseDurationSeconds`.
    pub total_manual_pause_s: Option<i64>,
    /// `finishedAt`.
    pub finished_at: Option<Timestamp>,
    /// `completionStatus`: known as soon as the outcome is, which may be before the end.
    pub completion_status: Option<String>,
}

impl DurationStatus {
    fn parse(rollout: &Object) -> Option<Self> {
        let at = |key: &str| format!("/status/duration/{key}");
        let time = |key: &str| rollout.str_at(&at(key)).and_then(parse_time);
        Some(Self {
            started_at: time("rolloutStartedAt")?,
            manual_pause_started_at: time("manualPauseStartedAt"),
            total_manual_pause_s: rollout.int_at(&at("totalManualPauseDurationSeconds")),
            finished_at: time("finishedAt"),
            completion_status: rollout.str_at(&at("completionStatus")).map(str::to_owned),
        })
    }
}

/// The pods that the status counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// `replicas`.
    pub all: u32,
    /// `updatedReplicas`.
    pub updated: u32,
    /// `readyReplicas`.
    pub ready: u32,
    /// `availableReplicas`.
    pub available: u32,
}

/// `status.blueGreen`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BlueGreenStatus {
    /// `previewSelector`.
    pub preview: Option<PodHash>,
    /// `activeSelector`.
    pub active: Option<PodHash>,
    /// `scaleUpPreviewCheckPoint`: the preview has been seen at its own size and may grow to the full one.
    pub check_point: bool,
    /// `prePromotionAnalysisRunStatus`.
    pub pre_run: Option<RunStatus>,
    /// `postPromotionAnalysisRunStatus`.
    pub post_run: Option<RunStatus>,
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
        let share = |pointer: &str| {
            let hash = PodHash::new(text(&format!("{pointer}/podTemplateHash")).unwrap_or_default());
            number(&format!("{pointer}/weight")).map(|weight| WeightDestination { weight, hash })
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
            canary_weight: share("/status/canary/weights/canary"),
            stable_weight: share("/status/canary/weights/stable"),
            stable_ping_pong: text("/status/canary/stablePingPong").map(str::to_owned),
            blue_green: BlueGreenStatus {
                preview: text("/status/blueGreen/previewSelector").map(PodHash::new),
                active: text("/status/blueGreen/activeSelector").map(PodHash::new),
                check_point: flag("/status/blueGreen/scaleUpPreviewCheckPoint"),
                pre_run: run("/status/blueGreen/prePromotionAnalysisRunStatus"),
                post_run: run("/status/blueGreen/postPromotionAnalysisRunStatus"),
            },
            restarted_at: text("/status/restartedAt").and_then(parse_time),
            phase: text("/status/phase").unwrap_or_default().to_owned(),
            observed_generation: text("/status/observedGeneration").unwrap_or_default().to_owned(),
            counts: Counts {
                all: number("/status/replicas").unwrap_or(0),
                updated: number("/status/updatedReplicas").unwrap_or(0),
                ready: number("/status/readyReplicas").unwrap_or(0),
                available: number("/status/availableReplicas").unwrap_or(0),
            },
            duration: DurationStatus::parse(rollout),
            background_run: run("/status/canary/currentBackgroundAnalysisRunStatus"),
            step_run: run("/status/canary/currentStepAnalysisRunStatus"),
            experiment: text("/status/canary/currentExperiment").map(str::to_owned),
        }
    }
}

fn pause(item: &Value) -> Option<PauseCondition> {
    let reason = item.get("reason")?.as_str()?.to_owned();
    Some(PauseCondition { reason, start_time: item.get("startTime").and_then(Value::as_str).and_then(parse_time) })
}
