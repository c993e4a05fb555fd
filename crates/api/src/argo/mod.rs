//! argoproj.io/v1alpha1: Rollout, AnalysisTemplate, AnalysisRun (semantics: Argo Rollouts 1.9).

mod rollout;
mod status;

pub use rollout::{AnalysisRef, Canary, CanaryStep, IntOrPercent, Rollout, Strategy};
pub use status::{PauseCondition, RolloutStatus, RunStatus, WeightDestination};
