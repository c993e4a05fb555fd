//! Moves versions from environment to environment by commits that change nothing but the image.
//!
//! - [`Pipeline`] puts environments in order; [`namespace_objects`] makes the objects of an [`EnvironmentSpec`].
//! - [`plan_edits`] finds and replaces the image of an environment in its files, byte for byte; [`versions_at`] reads
//!   which versions a path has.
//! - [`advance`] takes a promotion from phase to phase; the gates ([`approval_gate`], [`soak_gate`], [`health_gate`],
//!   [`hold_gate`], [`bad_version_gate`]) say when it may.
//! - [`promotion_message`] and [`restoring_message`] write commit messages, [`Trailers`] carry who asked for what.
//!
//! It does not talk to Git or a cluster, has no clock and makes nothing up: files and times come in, edits and states go
//! out, and an [`OperationId`] follows from what the operation is. It does not render manifests: an image that only
//! exists after rendering has to be named by its place. The wire forms of Environment, Pipeline and Promotion objects are not here.
//!
//! ```
//! use env_promotion::{Artifact, TreeFile, TreeFiles, Version, plan_edits};
//!
//! let manifest = "kind: Deployment\nspec: {template: {spec: {containers: [{name: web, image: 'acme/web:1'}]}}} # ours\n";
//! let files = TreeFiles::from([("envs/e2e/web.yaml".to_owned(), TreeFile::Regular(manifest.into()))]);
//! let web = Artifact { name: "web".to_owned(), image: "acme/web".to_owned(), places: Vec::new() };
//! let edits = plan_edits(&files, "envs/e2e", &[web], &[Version::parse("web=2").unwrap()]).unwrap();
//! assert_eq!(String::from_utf8_lossy(&edits.files[0].after), manifest.replace("web:1", "web:2"));
//! ```

mod bad_versions;
mod edits;
mod environment;
mod gates;
mod image;
mod message;
mod operation;
mod pipeline;
mod promotion;
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
pub use promotion::{
    ATTEMPTS_MAX, Advance, DeliveryObserved, PromotionObserved, PromotionPhase, PromotionState, VerificationObserved,
    WriteObserved, WriteState, advance,
};
pub use trailers::{Action, At, ObjectReference, TrailerProblem, Trailers};
pub use version::{Version, VersionError};
