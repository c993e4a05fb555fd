//! The pods of a Rollout, as far as a decision needs them: to restart them, or to put the metadata of a role on them.

use std::collections::BTreeMap;
use std::sync::Arc;

use api::argo::{Rollout, RolloutStatus, Strategy};
use api::names;
use object_model::{Object, Timestamp, Uid, parse_time};
use serde_json::Value;

use super::replica_set::ReplicaSetView;
use crate::time::after;
use crate::{ObjectRef, View, kinds};

/// One pod of a ReplicaSet.
#[derive(Debug, Clone)]
pub struct PodView {
    /// The object as seen.
    pub object: Arc<Object>,
    /// When its last eviction was refused, if it was.
    pub refused_at: Option<Timestamp>,
}

impl PodView {
    /// Whether it was made before `moment`.
    pub fn is_older_than(&self, moment: Timestamp) -> bool {
        self.object.creation_time().is_some_and(|created| created < moment)
    }

    /// Whether it has been ready for `min_ready_s` seconds and stays.
    pub fn is_available(&self, min_ready_s: u32, now: Timestamp) -> bool {
        let conditions = self.object.list_at("/status/conditions");
        let text = |item: &Value, key: &str| item.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let ready = conditions.iter().find(|item| text(item, "type") == "Ready" && text(item, "status") == "True");
        let Some(ready) = ready.filter(|_| !self.object.is_deleting()) else { return false };
        if min_ready_s == 0 {
            return true;
        }
        let since = parse_time(&text(ready, "lastTransitionTime"));
        let span = object_model::Duration::from_secs(u64::from(min_ready_s));
        since.and_then(|since| after(since, span)).is_some_and(|moment| moment <= now)
    }
}

/// Reads the pods of each ReplicaSet when something is to be done with them.
pub(super) fn observe(
    view: &dyn View,
    rollout: &Uid,
    spec: &Rollout,
    status: &RolloutStatus,
    sets: &[ReplicaSetView],
) -> BTreeMap<String, Vec<PodView>> {
    let restarts = spec.restart_at.is_some_and(|at| status.restarted_at != Some(at) && at <= view.now());
    let has_metadata = has_metadata(&spec.strategy);
    let wanted = sets.iter().filter(|set| {
        let carries =
            [names::EPHEMERAL_METADATA, names::RETIRED_METADATA].iter().any(|key| set.object.annotation(key).is_some());
        restarts || has_metadata || carries
    });
    let mut pods = BTreeMap::new();
    for set in wanted.filter(|set| set.desired > 0 || set.current > 0) {
        let Some(uid) = set.object.uid() else { continue };
        let owned = view.owned(&kinds::pod(), &uid).into_iter().map(|object| {
            let target = ObjectRef::of(&kinds::pod(), &object);
            let refused_at = view.refusal(rollout, &target).map(|refusal| refusal.at);
            PodView { object, refused_at }
        });
        pods.insert(set.name().to_owned(), owned.collect());
    }
    pods
}

fn has_metadata(strategy: &Strategy) -> bool {
    match strategy {
        Strategy::Canary(canary) => canary.canary_metadata.is_some() || canary.stable_metadata.is_some(),
        Strategy::BlueGreen(strategy) => strategy.preview_metadata.is_some() || strategy.active_metadata.is_some(),
        Strategy::Unusable => false,
    }
}
