//! What people ask of a config or a Rollout: the patches that `kubectl argo rollouts` sends, and our own.

use object_model::{Timestamp, format_micro_time, format_time};
use serde_json::{Value, json};

use super::people::{PeopleError, get, merge};

/// The API version of Rollouts.
const ROLLOUT: &str = "argoproj.io/v1alpha1";

/// A request of one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// A config looks at its repository now.
    Refresh(Timestamp),
    /// A config does nothing but tell.
    Suspend,
    /// A config goes on.
    Resume,
    /// All traffic of a Rollout to its stable version.
    Abort,
    /// An aborted update from its first step.
    Retry,
    /// A Rollout stays where it is.
    Pause,
    /// A Rollout goes on.
    Unpause,
    /// Past all steps of a Rollout.
    PromoteFully,
    /// New pods in place of those that are older than this.
    RestartAt(Timestamp),
}

impl Wish {
    /// The subresource that is patched, as the end of a path, and the patch.
    pub fn patch(self) -> (&'static str, Value) {
        match self {
            // An annotation, so that everybody who may edit the config may ask.
            Self::Refresh(now) => {
                ("", json!({"metadata": {"annotations": {api::names::REFRESH: format_micro_time(now)}}}))
            }
            Self::Suspend => ("", json!({"spec": {"suspend": true}})),
            Self::Resume => ("", json!({"spec": {"suspend": false}})),
            Self::Abort => ("/status", json!({"status": {"abort": true}})),
            Self::Retry => ("/status", json!({"status": {"abort": false}})),
            Self::Pause => ("", json!({"spec": {"paused": true}})),
            Self::Unpause => ("", json!({"spec": {"paused": false}})),
            Self::RestartAt(at) => ("", json!({"spec": {"restartAt": format_time(at)}})),
            Self::PromoteFully => ("/status", json!({"status": {"promoteFull": true}})),
        }
    }
}

/// Lets a Rollout go on past its pause, or past its step when it is not pausing.
///
/// # Errors
/// When there is no such Rollout or the cluster refuses.
pub async fn promote(client: &kube::Client, namespace: &str, name: &str) -> Result<(), PeopleError> {
    let rollout = get(client, ROLLOUT, "Rollout", namespace, name).await?;
    let rollout = rollout.ok_or_else(|| PeopleError::Request {
        what: "promote".to_owned(),
        message: format!("Rollout {namespace}/{name} does not exist"),
    })?;
    if rollout.bool_at("/spec/paused") == Some(true) {
        let (suffix, patch) = Wish::Unpause.patch();
        merge(client, ROLLOUT, "Rollout", namespace, name, suffix, &patch).await?;
    }
    let patch = if rollout.list_at("/status/pauseConditions").is_empty() {
        let index = rollout.int_at("/status/currentStepIndex").unwrap_or(0);
        json!({"status": {"currentStepIndex": index + 1}})
    } else {
        json!({"status": {"pauseConditions": null}})
    };
    merge(client, ROLLOUT, "Rollout", namespace, name, "/status", &patch).await
}
