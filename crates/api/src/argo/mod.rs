//! argoproj.io/v1alpha1: Rollout, AnalysisTemplate, AnalysisRun, Experiment (semantics: Argo Rollouts 1.9).

mod analysis_ref;
mod blue_green;
mod canary;
mod canary_step;
mod experiment;
mod rollout;
mod sizes;
mod status;
mod template;

pub use analysis_ref::AnalysisRef;
pub use blue_green::BlueGreen;
pub use canary::{Canary, PingPong, ProgressThreshold};
pub use canary_step::CanaryStep;
pub use experiment::{
    Experiment, ExperimentAnalysis, ExperimentRunStatus, ExperimentStatus, ExperimentStep, ExperimentTemplate, SpecRef,
    StepTemplate, TemplatePhase, TemplateStatus, is_completed_phase,
};
pub use rollout::{Rollout, Strategy, WorkloadRef, WorkloadScaleDown};
pub use sizes::{AntiAffinity, IntOrPercent, PodMetadata};
pub use status::{
    BlueGreenStatus, Counts, DurationStatus, PauseCondition, RolloutStatus, RunStatus, WeightDestination,
};
