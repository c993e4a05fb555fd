//! The floor of the workspace: what every crate means by an object, an identifier, a weight or a condition.
//!
//! An [`Object`] is a Kubernetes object kept as raw JSON, so that nothing a user wrote is lost on the way; the few
//! fields that decisions read have accessors. Around it stand newtypes that make mixed-up values unspellable
//! ([`Weight`], [`PodHash`], [`GitRevision`], [`Uid`]), the [`Condition`] merge of the Kubernetes conventions, Go
//! durations and [`CronSchedule`]s, and [`Secret`], a value that never prints.
//!
//! It does no I/O, reads no clock and knows no cluster.
//!
//! ```
//! use object_model::{Object, ObjectId};
//!
//! let object = Object::parse(serde_json::json!({
//!     "apiVersion": "apps/v1", "kind": "Deployment",
//!     "metadata": {"name": "web", "namespace": "qa", "labels": {"app": "web"}},
//! })).unwrap();
//! assert_eq!(object.id(), ObjectId::new("apps", "Deployment", Some("qa"), "web"));
//! assert_eq!(object.label("app"), Some("web"));
//! ```

mod condition;
mod cron_schedule;
mod duration;
mod id;
mod mask;
mod object;
mod quantity;
mod secret;
mod selector;

pub use condition::{Condition, ConditionStatus, set_condition};
pub use cron_schedule::{CronFields, CronSchedule, ScheduleError, time_zone};
pub use duration::{DurationError, format_go_duration, parse_go_duration};
pub use id::{Gvk, ObjectId, OwnerReference, Uid};
pub use mask::Masks;
pub use object::{Object, ObjectError};
pub use quantity::{GitRevision, PodHash, Replicas, RolloutRevision, Weight, WeightError};
pub use secret::Secret;
pub use selector::{LabelSelector, SelectorError};

/// A moment in UTC. Decisions get it as data (`snapshot.now`); only the runtime reads a clock.
pub type Timestamp = jiff::Timestamp;

/// A time zone; [`time_zone`] finds it by its name.
pub type TimeZone = jiff::tz::TimeZone;

/// A span of time; never negative.
pub type Duration = std::time::Duration;

/// Formats a moment as Kubernetes writes `metav1.Time`: RFC 3339, UTC, whole seconds.
///
/// ```
/// let moment = "2026-11-22T07:15:00.75Z".parse().unwrap();
/// assert_eq!(object_model::format_time(moment), "2026-11-22T07:15:00Z");
/// ```
pub fn format_time(moment: Timestamp) -> String {
    let whole = Timestamp::from_second(moment.as_second()).unwrap_or(moment);
    whole.to_string()
}

/// Formats a moment as Kubernetes writes `metav1.MicroTime`: RFC 3339, UTC, always six fractional digits.
pub fn format_micro_time(moment: Timestamp) -> String {
    format!("{moment:.6}")
}

/// Parses a moment as Kubernetes writes it (`metav1.Time` or `metav1.MicroTime`).
pub fn parse_time(text: &str) -> Option<Timestamp> {
    text.parse().ok()
}
