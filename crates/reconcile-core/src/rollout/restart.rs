//! `restartAt`: new pods in place of those that were made before a moment, by evictions, few at a time.
//!
//! Stable goes first, then the new version, then older ones, the oldest pod of each first. As many pods at once as may be
//! unavailable, at least one; a pod that a disruption budget keeps is asked for again later.

use object_model::{Duration, Timestamp};

use super::pods::PodView;
use super::progress::Progress;
use super::replica_set::ReplicaSetView;
use super::replicas;
use super::snapshot::Snapshot;
use crate::time::after;
use crate::{Act, Action, ObjectRef, Plan, Precondition, kinds};

/// How long a pod whose eviction was refused is left alone, and a restart is looked at again at the latest.
const RETRY: Duration = Duration::from_secs(30);

/// Evicts what is old and may go now; once nothing old is left the restart is done.
pub(super) fn advance(snapshot: &Snapshot, progress: &mut Progress, plan: &mut Plan) {
    let Some(at) = snapshot.spec.restart_at.filter(|at| progress.restarted_at != Some(*at)) else { return };
    if at > snapshot.now {
        plan.wake_at(at);
        return;
    }
    let old = old_pods(snapshot, progress, at);
    if old.is_empty() {
        progress.restarted_at = Some(at);
        return;
    }
    plan.wait(format!("Rollout {}", snapshot.rollout.name()), format!("{} pods are to be restarted", old.len()));
    let rested = |pod: &&&PodView| pod.refused_at.and_then(|at| after(at, RETRY)).is_none_or(|end| end <= snapshot.now);
    let staying = old.iter().filter(|pod| !pod.object.is_deleting());
    let acts = staying.filter(rested).take(room(snapshot)).map(|pod| {
        let target = ObjectRef::of(&kinds::pod(), &pod.object);
        Act::new(Action::Evict { target, precondition: Precondition::uid(&pod.object) }).destructive()
    });
    plan.stage(acts.collect());
    if let Some(end) = after(snapshot.now, RETRY) {
        plan.wake_at(end);
    }
}

/// The pods made before `at`, in the order in which they go.
fn old_pods<'a>(snapshot: &'a Snapshot, progress: &Progress, at: Timestamp) -> Vec<&'a PodView> {
    let is_stable = |set: &ReplicaSetView| progress.stable.as_ref() == Some(&set.hash);
    let rank = |set: &&ReplicaSetView| (!is_stable(set), set.hash != snapshot.hash);
    let mut sets: Vec<&ReplicaSetView> = snapshot.sets.iter().collect();
    sets.sort_by_key(rank);
    let mut all = Vec::new();
    for set in sets {
        let pods = snapshot.pods.get(set.name()).into_iter().flatten();
        let mut old: Vec<&PodView> = pods.filter(|pod| pod.is_older_than(at)).collect();
        old.sort_by(|a, b| {
            let made = |pod: &PodView| pod.object.creation_time();
            made(a).cmp(&made(b)).then_with(|| a.object.name().cmp(b.object.name()))
        });
        all.extend(old);
    }
    all
}

/// How many pods may go now. Between two weights there may be more pods than replicas: all of them count.
fn room(snapshot: &Snapshot) -> usize {
    let all = snapshot.spec.replicas;
    let unavailable = match (snapshot.canary(), snapshot.blue_green()) {
        (Some(canary), _) => replicas::surge_and_unavailable(canary.max_surge, canary.max_unavailable, all).1,
        (_, Some(strategy)) => strategy.max_unavailable.floor_of(all).min(all),
        _ => 0,
    };
    let asked: u32 = snapshot.sets.iter().map(|set| set.desired).sum();
    let least = all.max(asked).saturating_sub(unavailable.max(1));
    let ready = |pod: &&PodView| pod.is_available(snapshot.spec.min_ready_seconds, snapshot.now);
    let available = snapshot.pods.values().flatten().filter(ready).count();
    available.saturating_sub(usize::try_from(least).unwrap_or(usize::MAX))
}
