//! Decides the next safe step of a blue-green Rollout.
//!
//! | state | preview Service | active Service | new pods | ends when |
//! |---|---|---|---|---|
//! | no stable version yet | new | none, then new | all | all are available: it becomes stable |
//! | before the promotion | new | stable | the preview's count, then all | analysis, pause and capacity say yes |
//! | promoted, not yet judged | new | new | all | the analysis after it says yes: it becomes stable |
//! | aborted | new | stable, at once | as they are, none after a delay | template changes or a person retries |
//! | template is the stable one | new | new, once all its pods are available | all | never: this is rest |
//!
//! An active Service that lost its selector is pointed at the stable version, never at one that nobody approved.

use api::argo::BlueGreen;
use object_model::PodHash;

use super::act::{self, Scaling};
use super::old_sets;
use super::progress::{INCONCLUSIVE, Progress};
use super::replica_set::ReplicaSetView;
use super::replicas::{self, PreviewState};
use super::runs::{self, Promotion};
use super::services;
use super::snapshot::Snapshot;
use crate::bugs::{self, Bug};
use crate::time::after;
use crate::{EventType, Plan};

/// Why a blue-green Rollout pauses before its promotion.
const PAUSE: &str = "BlueGreenPause";

/// Brings pods and Services towards the goal; what needs all of that in place comes last.
pub(super) fn advance(
    snapshot: &Snapshot,
    strategy: &BlueGreen,
    progress: &mut Progress,
    new: &ReplicaSetView,
    plan: &mut Plan,
) {
    let active = active_hash(snapshot);
    if let Some(preview) = snapshot.preview_service.as_deref() {
        act::switch(snapshot, Some(preview), new, plan);
    }
    let goal = new_size(snapshot, strategy, progress, new);
    let mut scaling = vec![Scaling { set: new.name().to_owned(), from: new.desired, to: goal }];
    if let Some(stable) = progress.stable_set(snapshot).filter(|stable| stable.hash != new.hash) {
        scaling.push(Scaling { set: stable.name().to_owned(), from: stable.desired, to: snapshot.spec.replicas });
    }
    let kept: Vec<&ReplicaSetView> =
        snapshot.sets.iter().filter(|set| keeps_deadline(snapshot, progress, set)).collect();
    let growing: Vec<Scaling> = scaling.iter().filter(|change| !is_kept(&kept, change)).cloned().collect();
    act::grow(snapshot, &growing, plan);
    if plan.acts().next().is_none() {
        promotion(snapshot, strategy, progress, new, goal, plan);
    }
    if plan.acts().next().is_none() {
        let holds = holds_old_pods(snapshot, strategy, progress, active.as_ref());
        scaling.extend(old_sets::scaling(
            snapshot,
            progress,
            strategy.delay(),
            strategy.scale_down_delay_revisions,
            holds,
        ));
        act::shrink(snapshot, &scaling, plan);
        if plan.acts().next().is_none() {
            plan.stage(deadlines(snapshot, strategy, progress, new, holds));
        }
    }
    if plan.acts().next().is_none() {
        plan.stage(old_sets::history(snapshot, progress));
    }
    act::wake_for_deadlines(snapshot, plan);
}

fn is_kept(kept: &[&ReplicaSetView], change: &Scaling) -> bool {
    // A deadline alone is no reason to write; a size that differs is.
    change.to == change.from && kept.iter().any(|set| set.name() == change.set)
}

/// The hash that the active Service selects.
pub(super) fn active_hash(snapshot: &Snapshot) -> Option<PodHash> {
    services::selected(snapshot.active_service.as_deref())
}

/// The deadline of a version that comes back in time proves that it served a moment ago: it stays until it is stable again.
/// The deadline of an aborted version is what takes it down.
fn keeps_deadline(snapshot: &Snapshot, progress: &Progress, set: &ReplicaSetView) -> bool {
    let Some(deadline) = set.deadline.filter(|_| set.hash == snapshot.hash) else { return false };
    let serves = active_hash(snapshot).as_ref() == Some(&set.hash);
    let comes_back = progress.is_rollback(snapshot) && (serves || deadline > snapshot.now);
    comes_back || progress.abort
}

/// Pods that the new version should have now.
fn new_size(snapshot: &Snapshot, strategy: &BlueGreen, progress: &Progress, new: &ReplicaSetView) -> u32 {
    let all = snapshot.spec.replicas;
    if progress.abort && !progress.is_fully_promoted(snapshot) {
        let is_over = new.deadline.is_some_and(|deadline| deadline <= snapshot.now);
        let serves = active_hash(snapshot).as_ref() == Some(&new.hash);
        return if is_over && !serves { 0 } else { new.desired };
    }
    if snapshot.spec.paused && new.desired == 0 {
        // What a person paused does not begin.
        return 0;
    }
    // A Service that somebody took the selector from is given back to the stable version: that one is the active one.
    let other_is_active = active_hash(snapshot) != Some(new.hash.clone());
    let is_previewed = progress.stable_set(snapshot).is_some() && !is_fast(snapshot, progress, new);
    replicas::preview_count(&PreviewState {
        replicas: all,
        preview: strategy.preview_replicas,
        other_is_active: is_previewed && other_is_active,
        promote_full: progress.promote_full,
        is_known: true,
        // A pause holds back the promotion, not the pods of one that a person let go on.
        is_paused: false,
        check_point: progress.check_point,
    })
}

/// Whether nobody needs to be asked: it serves already, it is the stable one, it comes back in time, or a person said so.
fn is_fast(snapshot: &Snapshot, progress: &Progress, new: &ReplicaSetView) -> bool {
    let comes_back_in_time =
        progress.is_rollback(snapshot) && new.deadline.is_some_and(|deadline| deadline > snapshot.now);
    let is_lost = bugs::on(Bug::LostSelectorPromotes) && active_hash(snapshot).is_none();
    is_lost
        || progress.promote_full
        || progress.is_fully_promoted(snapshot)
        || progress.stable_set(snapshot).is_none()
        || active_hash(snapshot).as_ref() == Some(&new.hash)
        || comes_back_in_time
        || progress.is_in_rollback_window(snapshot)
}

/// Takes the new version from its preview to the active Service, and from there to being stable.
fn promotion(
    snapshot: &Snapshot,
    strategy: &BlueGreen,
    progress: &mut Progress,
    new: &ReplicaSetView,
    goal: u32,
    plan: &mut Plan,
) {
    let active = active_hash(snapshot);
    if let Some(stable) = progress.stable_set(snapshot).filter(|stable| stable.hash != new.hash)
        && (progress.abort || (active.is_none() && !bugs::on(Bug::LostSelectorPromotes)))
    {
        // Back to what served before, or to it when the selector was taken away by others.
        return act::switch(snapshot, snapshot.active_service.as_deref(), stable, plan);
    }
    if progress.abort && !progress.is_fully_promoted(snapshot) {
        return;
    }
    if !new.is_settled_at(goal) {
        plan.wait(format!("ReplicaSet {}", new.name()), format!("{} of {goal} pods available", new.available));
        return;
    }
    if snapshot.spec.paused || progress.pauses.iter().any(|pause| pause.reason == INCONCLUSIVE) {
        plan.wait(format!("Rollout {}", snapshot.rollout.name()), "paused until somebody promotes it");
        return;
    }
    if progress.stable_set(snapshot).is_none() {
        return promote(snapshot, progress, new, "Initial deploy", plan);
    }
    let fast = is_fast(snapshot, progress, new);
    let approved = fast || is_approved(snapshot, strategy, progress, plan);
    if !approved {
        return;
    }
    progress.pauses.retain(|pause| pause.reason != PAUSE);
    if new.desired < snapshot.spec.replicas {
        // The preview has done its part; now it grows to the size that the active Service needs.
        progress.check_point = true;
        return;
    }
    if active.as_ref() != Some(&new.hash) {
        return act::switch(snapshot, snapshot.active_service.as_deref(), new, plan);
    }
    act::switch(snapshot, snapshot.active_service.as_deref(), new, plan);
    if !progress.is_fully_promoted(snapshot) {
        finish(snapshot, strategy, progress, new, plan);
    }
}

/// Whether analysis and pause before the promotion are over.
fn is_approved(snapshot: &Snapshot, strategy: &BlueGreen, progress: &mut Progress, plan: &mut Plan) -> bool {
    let before = strategy.pre_promotion.as_ref();
    if !bugs::on(Bug::PromotionWithoutAnalysis)
        && !runs::promotion_is_judged(snapshot, progress, before, Promotion::Before, plan)
    {
        return false;
    }
    if progress.check_point || !strategy.pauses() {
        return true;
    }
    let pause = progress.pauses.iter().find(|pause| pause.reason == PAUSE).cloned();
    let Some(pause) = pause else {
        if progress.controller_pause {
            // The engine paused and somebody cleared the pause: that is how `promote` goes on.
            return true;
        }
        progress.pause(PAUSE, snapshot.now);
        if let Some(end) = strategy.auto_promotion_delay.and_then(|delay| after(snapshot.now, delay)) {
            plan.wake_at(end);
        }
        return false;
    };
    let delay = strategy.auto_promotion_delay.filter(|_| strategy.auto_promotion);
    let end = pause.start_time.zip(delay).and_then(|(start, delay)| after(start, delay));
    match end {
        Some(end) if end <= snapshot.now => true,
        Some(end) => {
            let until = object_model::format_time(end);
            plan.wait(format!("Rollout {}", snapshot.rollout.name()), format!("paused until {until}"));
            plan.wake_at(end);
            false
        }
        None => {
            plan.wait(format!("Rollout {}", snapshot.rollout.name()), "paused until somebody promotes it");
            false
        }
    }
}

/// The new version serves: once the analysis after the promotion agrees, it is the stable one.
fn finish(snapshot: &Snapshot, strategy: &BlueGreen, progress: &mut Progress, new: &ReplicaSetView, plan: &mut Plan) {
    let comes_back = progress.is_rollback(snapshot) && new.deadline.is_some();
    let why = if progress.promote_full {
        "Full promotion requested"
    } else if progress.is_in_rollback_window(snapshot) {
        "Rollback within window"
    } else if comes_back {
        "Fast rollback"
    } else {
        let after = strategy.post_promotion.as_ref();
        if !runs::promotion_is_judged(snapshot, progress, after, Promotion::After, plan) {
            return;
        }
        "Completed blue-green update"
    };
    promote(snapshot, progress, new, why, plan);
}

fn promote(snapshot: &Snapshot, progress: &mut Progress, new: &ReplicaSetView, why: &str, plan: &mut Plan) {
    progress.promote(snapshot);
    let text = format!("Rollout completed update to revision {} ({}): {why}", new.revision, new.hash);
    act::note(snapshot, plan, EventType::Normal, "RolloutCompleted", &text, &format!("completed/{}", new.revision));
}

/// Whether old pods must stay whatever their deadline: a verdict that could send traffic back to them is still out.
fn holds_old_pods(snapshot: &Snapshot, strategy: &BlueGreen, progress: &Progress, active: Option<&PodHash>) -> bool {
    let undecided = progress.pauses.iter().any(|pause| pause.reason == INCONCLUSIVE);
    let is_judged = strategy.post_promotion.is_some() && strategy.scale_down_delay.is_none();
    undecided || (is_judged && active == Some(&snapshot.hash) && !progress.is_fully_promoted(snapshot))
}

/// The moments at which an aborted version and versions that are not used any more may go.
fn deadlines(
    snapshot: &Snapshot,
    strategy: &BlueGreen,
    progress: &Progress,
    new: &ReplicaSetView,
    holds: bool,
) -> Vec<crate::Act> {
    let mut acts = if holds { Vec::new() } else { old_sets::deadlines(snapshot, progress, strategy.delay()) };
    let serves = active_hash(snapshot).as_ref() == Some(&new.hash);
    let stable_is_whole =
        progress.stable_set(snapshot).is_some_and(|stable| stable.available >= snapshot.spec.replicas);
    let is_left = progress.abort && !progress.is_fully_promoted(snapshot) && !serves && stable_is_whole;
    if is_left && new.desired > 0 && new.deadline.is_none() {
        acts.extend(strategy.abort_scale_down_delay.and_then(|delay| act::stamp_deadline(snapshot, new, delay)));
    }
    acts
}
