//! Wire types: sluice.dev's own kinds and the parts of argoproj.io and flagger.app that decisions read.
//!
//! Only fields that decisions read are typed; the rest of an object stays raw JSON in [`object_model::Object`]. Reading is
//! tolerant: each field is read by itself, a wrong one becomes a [`Problem`] that names it, and the others still count. The
//! CustomResourceDefinitions of the kinds are made here too ([`crd`]).
//!
//! It does not talk to a cluster and decides nothing.
//!
//! ```
//! use api::GitOpsConfig;
//! use object_model::Object;
//!
//! let object = Object::parse(serde_json::json!({
//!     "apiVersion": "sluice.dev/v1", "kind": "GitOpsConfig", "metadata": {"name": "shop", "namespace": "qa"},
//!     "spec": {"url": "https://git.example.com/fleet.git", "branch": "main", "path": "environments/qa"},
//! })).unwrap();
//! let (config, problems) = GitOpsConfig::parse(&object);
//! assert!(problems.is_empty());
//! assert_eq!(config.service_account, "sluice");
//! ```

pub mod argo;
pub mod crd;
mod environment;
mod fields;
pub mod flagger;
mod gitops_config;
mod health_settings;
pub mod install;
pub mod names;
mod promotion;
mod render_settings;
mod source_settings;
mod sync_settings;
mod sync_windows;

pub use environment::{Environment, QuotaLimits};
pub use fields::{Fields, Problem};
pub use gitops_config::{DeletionPolicy, GitOpsConfig, OnFailure};
pub use health_settings::{HealthExpressions, HealthProfile, HealthScript, HealthSettings};
pub use promotion::{Pipeline, PipelineStage, Promotion, PromotionAction};
pub use render_settings::{ChartReference, RenderSettings, ValuesKind, ValuesReference};
pub use source_settings::{Reference, SourceSettings, VerifyMode, VerifySettings};
pub use sync_settings::{
    ApplyMode, ApplySettings, Dependency, IgnoreEntry, OnImmutable, PruneSettings, Retry, SyncSettings,
};
pub use sync_windows::{SyncWindow, WindowKind};
