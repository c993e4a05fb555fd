//! Environments, pipelines, file edits and provenance.

mod bad_versions;
mod edits;
mod environment;
mod gates;
mod image;
mod message;
mod operation;
mod pipeline;
mod trailers;
mod version;

pub use bad_versions::{BadVersion, forget_outdated, record_bad};
pub use edits::{
    Artifact, Candidate, EditPlace, EditedField, FileEdit, FileEdits, Part, PlanEditsError, TreeFile, TreeFiles,
    TreePathError, check_tree_path, plan_edits, versions_at,
};
pub use environment::{
    Access, ENVIRONMENT_LABEL, EnvironmentError, EnvironmentSpec, SourcePlace, SubjectKind, namespace_objects,
};
pub use gates::{
    Approval, ApprovalRule, Gate, GateResult, GatesAnswer, Hold, SourceState, approval_gate, bad_version_gate,
    health_gate, hold_gate, judge_gates, soak_gate,
};
pub use image::{ImageError, ImageReference};
pub use message::{PromotionMessage, RestoringMessage, promotion_message, restoring_message};
pub use operation::OperationId;
pub use pipeline::{Pipeline, PipelineError, PipelineSpec, PipelineStage};
pub use trailers::{Action, At, ObjectReference, TrailerProblem, Trailers};
pub use version::{Version, VersionError};
