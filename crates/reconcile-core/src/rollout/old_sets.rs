//! What becomes of ReplicaSets that are neither the new nor the stable version: a delay each, then no pods, at last
//! nothing.

use object_model::Duration;

use super::act::{self, Scaling};
use super::progress::Progress;
use super::replica_set::ReplicaSetView;
use super::services as roles;
use super::snapshot::Snapshot;
use crate::bugs::{self, Bug};
use crate::{Act, Action, ObjectRef, Precondition, Propagation, kinds};

/// Versions that nothing refers to, newest first.
pub(super) fn unreferenced<'a>(snapshot: &'a Snapshot, progress: &Progress) -> Vec<&'a ReplicaSetView> {
    let stable = progress.stable.as_ref();
    let services = [&snapshot.active_service, &snapshot.preview_service];
    let selected = |set: &ReplicaSetView| {
        roles::all_hashes(snapshot).any(|hash| hash == set.hash)
            || services.iter().any(|service| roles::selected(service.as_deref()).as_ref() == Some(&set.hash))
    };
    let free = |set: &&ReplicaSetView| set.hash != snapshot.hash && stable != Some(&set.hash) && !selected(set);
    snapshot.sets.iter().rev().filter(free).collect()
}

/// The sizes of versions that nothing refers to: kept until their deadline, as many at once as the limit allows.
pub(super) fn scaling(
    snapshot: &Snapshot,
    progress: &Progress,
    delay: Duration,
    limit: Option<u32>,
    holds: bool,
) -> Vec<Scaling> {
    let limit = limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
    let alive = unreferenced(snapshot, progress).into_iter().filter(|set| set.desired > 0);
    let size = |(place, set): (usize, &ReplicaSetView)| {
        let waits = match set.deadline {
            Some(deadline) => deadline > snapshot.now,
            None => !delay.is_zero(),
        };
        let stays = holds || (waits && place < limit);
        Scaling { set: set.name().to_owned(), from: set.desired, to: if stays { set.desired } else { 0 } }
    };
    alive.enumerate().map(size).collect()
}

/// Stamps the moment at which a version that nothing refers to may go, so that the delay survives a restart.
pub(super) fn deadlines(snapshot: &Snapshot, progress: &Progress, delay: Duration) -> Vec<Act> {
    if delay.is_zero() {
        return Vec::new();
    }
    let waiting = unreferenced(snapshot, progress).into_iter().filter(|set| set.desired > 0 && set.deadline.is_none());
    waiting.filter_map(|set| act::stamp_deadline(snapshot, set, delay)).collect()
}

/// Deletes spent versions beyond the history that is kept, oldest first: empty ones only, in the version that was seen.
pub(super) fn history(snapshot: &Snapshot, progress: &Progress) -> Vec<Act> {
    let stable = progress.stable.as_ref();
    let in_use = |set: &&ReplicaSetView| set.hash == snapshot.hash || stable == Some(&set.hash);
    let old = snapshot.sets.len() - snapshot.sets.iter().filter(in_use).count();
    let limit = usize::try_from(snapshot.spec.revision_history_limit).unwrap_or(usize::MAX);
    let spent = |set: &&ReplicaSetView| {
        let seen = set.object.int_at("/status/observedGeneration").is_none_or(|seen| seen >= set.object.generation());
        (set.desired == 0 && set.current == 0 && seen) || bugs::on(Bug::HistoryTakesPods)
    };
    let oldest_first = unreferenced(snapshot, progress).into_iter().rev();
    let surplus = oldest_first.take(old.saturating_sub(limit)).filter(spent);
    let delete = |set: &ReplicaSetView| {
        Act::new(Action::Delete {
            target: ObjectRef::of(&kinds::replica_set(), &set.object),
            precondition: Precondition::exact(&set.object),
            propagation: Propagation::Background,
        })
        .destructive()
    };
    surplus.map(delete).collect()
}
