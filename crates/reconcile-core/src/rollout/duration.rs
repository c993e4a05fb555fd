//! `status.duration`: how long an update takes, and how long of that it waits for a person. Argo Rollouts 1.10 writes it so;
//! every change of it comes with another change of the status, so that a definition without the field costs no write.

use api::argo::{DurationStatus, Strategy};
use object_model::{Timestamp, format_time};
use serde_json::{Map, Value};

use super::conditions::Conditions;
use super::model::StepKind;
use super::progress::{INCONCLUSIVE, Progress};
use super::snapshot::Snapshot;

/// What a promotion that a person asked for past all steps is called.
const FAST_PROMOTED: &str = "FastPromoted";
const PROMOTED: &str = "Promoted";
const ABORTED: &str = "Aborted";
const ROLLED_BACK: &str = "RolledBack";
const FAST_ROLLED_BACK: &str = "FastRolledBack";
const SUPERSEDED: &str = "Superseded";

/// The duration that the status is to have.
pub(super) fn next(snapshot: &Snapshot, progress: &Progress) -> Option<DurationStatus> {
    let now = snapshot.now;
    let mut duration = snapshot.status.duration.clone();
    let is_promoted = progress.is_fully_promoted(snapshot);
    let has_all = snapshot.new_set().is_some_and(|set| set.available >= snapshot.spec.replicas);
    let is_completed = is_promoted && has_all;
    if let Some(running) = duration.as_mut().filter(|duration| duration.finished_at.is_none()) {
        tell_of_a_promotion(snapshot, progress, running);
        if progress.restarted {
            interrupt(snapshot, progress, running);
        }
        if is_completed && running.finished_at.is_none() {
            let status = running.completion_status.clone();
            finish(running, now, status.as_deref().unwrap_or(PROMOTED));
            return duration;
        }
        if progress.abort && running.finished_at.is_none() {
            let status = running.completion_status.clone();
            finish(running, now, status.as_deref().unwrap_or(ABORTED));
        }
    }
    let was_paused = snapshot.status.duration.as_ref().is_some_and(|before| before.manual_pause_started_at.is_some());
    let mut is_new = false;
    if duration.as_ref().is_none_or(|duration| duration.finished_at.is_some()) && !is_completed {
        let was_aborted = Conditions::live(snapshot).reason("Progressing") == "RolloutAborted";
        if progress.restarted || (was_aborted && !progress.abort) {
            is_new = true;
            duration = Some(DurationStatus {
                started_at: now,
                manual_pause_started_at: None,
                total_manual_pause_s: None,
                finished_at: None,
                completion_status: None,
            });
        }
    }
    let running = duration.as_mut().filter(|duration| duration.finished_at.is_none());
    if let Some(running) = running {
        match (was_paused && !is_new, waits_for_a_person(snapshot, progress)) {
            (true, false) => end_pause(running, now),
            (false, true) => running.manual_pause_started_at = Some(now),
            _ => {}
        }
    }
    duration
}

/// What became of an update is known as soon as its version is stable, before all its pods are there.
fn tell_of_a_promotion(snapshot: &Snapshot, progress: &Progress, running: &mut DurationStatus) {
    let is_promoted_now = progress.is_fully_promoted(snapshot) && snapshot.status.stable != progress.stable;
    if is_promoted_now && running.completion_status.is_none() {
        let status = if snapshot.status.promote_full { FAST_PROMOTED } else { PROMOTED };
        running.completion_status = Some(status.to_owned());
    }
}

/// Another template came before the update was done: on the way back its time goes on, on the way forth it begins again.
fn interrupt(snapshot: &Snapshot, progress: &Progress, running: &mut DurationStatus) {
    let is_stable = progress.is_fully_promoted(snapshot);
    if !is_stable && !progress.is_rollback(snapshot) {
        return finish(running, snapshot.now, SUPERSEDED);
    }
    let new = snapshot.new_set();
    let within_delay = matches!(snapshot.spec.strategy, Strategy::BlueGreen(_))
        && new.and_then(|set| set.deadline).is_some_and(|deadline| deadline > snapshot.now);
    let is_fast = is_stable || within_delay || progress.is_in_rollback_window(snapshot);
    running.completion_status = Some(if is_fast { FAST_ROLLED_BACK } else { ROLLED_BACK }.to_owned());
}

fn finish(running: &mut DurationStatus, now: Timestamp, status: &str) {
    if running.manual_pause_started_at.is_some() {
        end_pause(running, now);
    }
    running.finished_at = Some(now);
    running.completion_status = Some(status.to_owned());
}

fn end_pause(running: &mut DurationStatus, now: Timestamp) {
    let Some(since) = running.manual_pause_started_at.take() else { return };
    let seconds = now.duration_since(since).as_secs();
    running.total_manual_pause_s = Some(running.total_manual_pause_s.unwrap_or(0) + seconds);
}

/// Whether nothing but a person ends the pause.
fn waits_for_a_person(snapshot: &Snapshot, progress: &Progress) -> bool {
    let of_reason = |reason: &str| match reason {
        INCONCLUSIVE | "InconclusiveExperiment" => true,
        "CanaryPauseStep" => matches!(progress.step(snapshot), Some(StepKind::Wait(None))),
        "BlueGreenPause" => snapshot.blue_green().is_some_and(|strategy| !strategy.auto_promotion),
        _ => false,
    };
    snapshot.spec.paused || progress.pauses.iter().any(|pause| of_reason(&pause.reason))
}

/// The duration as the status has it.
pub(super) fn to_json(duration: &DurationStatus) -> Value {
    let mut json = Map::new();
    json.insert("rolloutStartedAt".to_owned(), format_time(duration.started_at).into());
    if let Some(since) = duration.manual_pause_started_at {
        json.insert("manualPauseStartedAt".to_owned(), format_time(since).into());
    }
    if let Some(seconds) = duration.total_manual_pause_s {
        json.insert("totalManualPauseDurationSeconds".to_owned(), seconds.into());
    }
    if let Some(end) = duration.finished_at {
        json.insert("finishedAt".to_owned(), format_time(end).into());
    }
    if let Some(status) = &duration.completion_status {
        json.insert("completionStatus".to_owned(), status.clone().into());
    }
    Value::Object(json)
}
