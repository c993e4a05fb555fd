//! The ReplicaSets of a Rollout as decisions see them.

use std::sync::Arc;

use api::names;
use object_model::{Object, PodHash, RolloutRevision, Timestamp, parse_time};

/// One ReplicaSet of a Rollout.
#[derive(Debug, Clone)]
pub struct ReplicaSetView {
    /// The object as seen.
    pub object: Arc<Object>,
    /// Its pod-template hash.
    pub hash: PodHash,
    /// Its revision.
    pub revision: RolloutRevision,
    /// The revision that it was made for: a template that comes back gets a new one, and its age does not change.
    pub first_revision: RolloutRevision,
    /// Pods asked for.
    pub desired: u32,
    /// Pods that exist.
    pub current: u32,
    /// Ready pods.
    pub ready: u32,
    /// Available pods; 0 while the status is of an older generation.
    pub available: u32,
    /// When it may be scaled down.
    pub deadline: Option<Timestamp>,
}

impl ReplicaSetView {
    /// The available pods that stay: what is beyond the wished size is on its way out, though a status of before counts it.
    pub(super) fn usable(&self) -> u32 {
        self.available.min(self.desired)
    }

    pub(crate) fn of(object: Arc<Object>) -> Option<Self> {
        let hash = PodHash::new(object.label(names::POD_TEMPLATE_HASH)?);
        let count = |pointer: &str| object.int_at(pointer).and_then(|count| u32::try_from(count).ok()).unwrap_or(0);
        let revision = object.annotation(names::ROLLOUT_REVISION).and_then(|text| text.parse().ok()).unwrap_or(0);
        let history = object.annotation(names::REVISION_HISTORY).unwrap_or_default();
        let first = history.split(',').filter_map(|text| text.trim().parse().ok()).fold(revision, u64::min);
        Some(Self {
            hash,
            revision: RolloutRevision(revision),
            first_revision: RolloutRevision(first),
            desired: object.int_at("/spec/replicas").and_then(|count| u32::try_from(count).ok()).unwrap_or(1),
            current: count("/status/replicas"),
            ready: count("/status/readyReplicas"),
            available: count("/status/availableReplicas"),
            deadline: object.annotation(names::SCALE_DOWN_DEADLINE).and_then(parse_time),
            object,
        })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        self.object.name()
    }

    /// Whether `count` pods are asked for, exist and are available, and no more.
    pub fn is_settled_at(&self, count: u32) -> bool {
        self.desired == count && self.available >= count
    }
}
