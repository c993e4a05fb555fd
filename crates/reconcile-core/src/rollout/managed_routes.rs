//! The header and mirror routes that the steps so far have put in place.

use traffic_split::{HeaderRoute, MirrorRoute};

use super::model::{Step, StepKind};
use super::progress::Progress;
use super::snapshot::Snapshot;

/// The routes that should be there now: none for a first version, after an abort or a promotion, or without a pod to send
/// requests to.
pub(super) fn wanted(snapshot: &Snapshot) -> (Vec<HeaderRoute>, Vec<MirrorRoute>) {
    let progress = Progress::of(snapshot);
    let serves = snapshot.new_set().is_some_and(|set| set.available > 0);
    let ended = progress.abort || progress.promote_full || progress.is_fully_promoted(snapshot);
    if ended || !serves || progress.stable.is_none() || progress.is_past_steps(snapshot) {
        return (Vec::new(), Vec::new());
    }
    at(&snapshot.steps, progress.step_index)
}

/// What the steps up to `index` leave in place.
fn at(steps: &[Step], index: usize) -> (Vec<HeaderRoute>, Vec<MirrorRoute>) {
    let (mut headers, mut mirrors): (Vec<HeaderRoute>, Vec<MirrorRoute>) = (Vec::new(), Vec::new());
    for kind in steps.iter().take(index.saturating_add(1)).flat_map(Step::kinds) {
        match kind {
            StepKind::SetHeaderRoute(name, route) => {
                headers.retain(|have| have.name != *name);
                headers.extend(route.clone());
            }
            StepKind::SetMirrorRoute(name, route) => {
                mirrors.retain(|have| have.name != *name);
                mirrors.extend(route.clone());
            }
            _ => {}
        }
    }
    (headers, mirrors)
}
