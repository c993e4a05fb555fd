//! Where a Rollout stands: the status that users' inputs and a changed template lead to, before anything is done.

use object_model::{Timestamp, format_time};

use super::model::StepKind;
use super::ping_pong;
use super::replica_set::ReplicaSetView;
use super::snapshot::Snapshot;
use crate::bugs::{self, Bug};
use api::argo::{PauseCondition, RunStatus};
use object_model::PodHash;

/// Why a Rollout pauses when a run can't say yes or no.
pub(super) const INCONCLUSIVE: &str = "InconclusiveAnalysisRun";

/// The part of the status that is remembered, as it will be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Progress {
    pub(super) stable: Option<PodHash>,
    pub(super) step_index: usize,
    pub(super) pauses: Vec<PauseCondition>,
    pub(super) controller_pause: bool,
    pub(super) abort: bool,
    pub(super) aborted_at: Option<Timestamp>,
    pub(super) abort_message: Option<String>,
    pub(super) promote_full: bool,
    pub(super) collision_count: Option<u32>,
    pub(super) background_run: Option<RunStatus>,
    pub(super) step_run: Option<RunStatus>,
    /// The experiment of the present step.
    pub(super) experiment: Option<String>,
    pub(super) pre_run: Option<RunStatus>,
    pub(super) post_run: Option<RunStatus>,
    /// Whether the preview was seen at its own size and may grow to the full one.
    pub(super) check_point: bool,
    pub(super) restarted_at: Option<Timestamp>,
    /// Which of two Services that take turns leads to stable.
    pub(super) stable_ping_pong: Option<String>,
    /// Whether this decision began a new revision.
    pub(super) restarted: bool,
    /// Whether this decision begins another try of an update that was aborted.
    pub(super) retried: bool,
    /// Whether this decision ended a pause and told of it.
    pub(super) left_pause: bool,
}

impl Progress {
    /// Reads the status, takes users' inputs in and starts again when template or steps changed.
    pub(super) fn of(snapshot: &Snapshot) -> Self {
        let status = &snapshot.status;
        let mut progress = Self {
            stable: status.stable.clone(),
            step_index: status.step_index.map_or(0, |index| index as usize),
            pauses: status.pauses.clone(),
            controller_pause: status.controller_pause,
            abort: status.abort,
            aborted_at: status.aborted_at,
            abort_message: abort_message(snapshot),
            promote_full: status.promote_full,
            collision_count: status.collision_count,
            background_run: status.background_run.clone(),
            step_run: status.step_run.clone(),
            experiment: status.experiment.clone(),
            pre_run: status.blue_green.pre_run.clone(),
            post_run: status.blue_green.post_run.clone(),
            check_point: status.blue_green.check_point,
            restarted_at: status.restarted_at,
            stable_ping_pong: status.stable_ping_pong.clone(),
            restarted: false,
            retried: false,
            left_pause: false,
        };
        progress.forget_what_a_person_overruled();
        progress.take_wishes_in();
        let other_template = status.current.as_ref() != Some(&snapshot.hash);
        let other_steps = status.step_hash.as_deref().unwrap_or_default() != snapshot.step_hash;
        if other_template || other_steps {
            progress.restart(snapshot);
        }
        progress.step_index = progress.step_index.min(snapshot.user_steps());
        if progress.is_fully_promoted(snapshot) && !(bugs::on(Bug::AbortAtRest) && progress.abort) {
            // An abort or a promotion of nothing in progress is no wish that the next revision should inherit.
            progress.step_index = snapshot.user_steps();
            progress.clear_pause();
            progress.abort = false;
            progress.aborted_at = None;
            progress.abort_message = None;
            progress.promote_full = false;
        }
        if progress.abort && progress.aborted_at.is_none() {
            progress.abort_now(snapshot, "");
        }
        if !progress.abort {
            if progress.aborted_at.is_some() {
                progress.retry();
            }
            progress.aborted_at = None;
            progress.abort_message = None;
        }
        if progress.promote_full && !progress.abort {
            progress.step_index = snapshot.user_steps();
            progress.clear_pause();
        }
        progress
    }

    /// A promotion past everything that a person asked for after an abort.
    fn take_wishes_in(&mut self) {
        if self.promote_full && self.abort {
            // Whoever spoke last is heard: an abort that is already told is older than the promotion.
            self.abort = self.aborted_at.is_none();
            self.promote_full = !self.abort;
        }
    }

    /// A person who goes on after an inconclusive run has judged it: it does not pause again.
    fn forget_what_a_person_overruled(&mut self) {
        if self.pauses.iter().any(|pause| pause.reason == INCONCLUSIVE) {
            return;
        }
        for run in [&mut self.background_run, &mut self.step_run, &mut self.pre_run, &mut self.post_run] {
            if run.as_ref().is_some_and(|run| run.status == "Inconclusive") {
                *run = None;
            }
        }
    }

    fn restart(&mut self, snapshot: &Snapshot) {
        self.restarted = true;
        self.step_index = 0;
        self.clear_pause();
        self.abort = false;
        self.aborted_at = None;
        self.abort_message = None;
        self.promote_full = false;
        if bugs::on(Bug::RunOfAnotherVersion) {
            return;
        }
        self.background_run = None;
        self.step_run = None;
        self.experiment = None;
        self.pre_run = None;
        self.post_run = None;
        self.check_point = false;
        if self.stable.as_ref() == Some(&snapshot.hash) {
            self.step_index = snapshot.user_steps();
        }
    }

    /// A person lets an aborted update try again: what the try before learned counts no more.
    fn retry(&mut self) {
        self.retried = true;
        self.background_run = None;
        self.step_run = None;
        self.experiment = None;
        self.pre_run = None;
        self.post_run = None;
    }

    /// Whether this decision begins a try: what belongs to it is made once the status tells of it.
    pub(super) fn begins_a_try(&self) -> bool {
        self.restarted || self.retried
    }

    /// Whether the present template is the stable one.
    pub(super) fn is_fully_promoted(&self, snapshot: &Snapshot) -> bool {
        self.stable.as_ref() == Some(&snapshot.hash)
    }

    /// Whether the present template is older than the stable one: it has served before.
    pub(super) fn is_rollback(&self, snapshot: &Snapshot) -> bool {
        let new = snapshot.new_set().map(|set| set.first_revision);
        let stable = self.stable_set(snapshot).map(|set| set.first_revision);
        new.zip(stable).is_some_and(|(new, stable)| new < stable)
    }

    /// Whether it is older by no more revisions than the rollback window spans.
    pub(super) fn is_in_rollback_window(&self, snapshot: &Snapshot) -> bool {
        if !self.is_rollback(snapshot) {
            return false;
        }
        let (Some(new), Some(stable)) = (snapshot.new_set(), self.stable_set(snapshot)) else { return false };
        let between = |set: &&ReplicaSetView| {
            new.first_revision < set.first_revision && set.first_revision < stable.first_revision
        };
        let count = u32::try_from(snapshot.sets.iter().filter(between).count()).unwrap_or(u32::MAX);
        count < snapshot.spec.rollback_window
    }

    /// Whether the user's steps are behind it.
    pub(super) fn is_past_steps(&self, snapshot: &Snapshot) -> bool {
        self.step_index >= snapshot.user_steps()
    }

    /// The present template becomes the stable one.
    pub(super) fn promote(&mut self, snapshot: &Snapshot) {
        if snapshot.canary().is_some_and(|canary| canary.ping_pong.is_some()) && !self.is_fully_promoted(snapshot) {
            self.stable_ping_pong = Some(ping_pong::after_promotion(&snapshot.status).to_owned());
        }
        self.stable = Some(snapshot.hash.clone());
        self.clear_pause();
        self.promote_full = false;
        self.check_point = false;
    }

    pub(super) fn clear_pause(&mut self) {
        self.pauses.clear();
        self.controller_pause = false;
    }

    pub(super) fn pause(&mut self, reason: &str, now: Timestamp) {
        if !self.pauses.iter().any(|pause| pause.reason == reason) {
            self.pauses.push(PauseCondition { reason: reason.to_owned(), start_time: Some(now) });
        }
        self.controller_pause = true;
    }

    pub(super) fn next_step(&mut self) {
        self.step_index += 1;
        self.clear_pause();
        self.step_run = None;
        self.experiment = None;
    }

    pub(super) fn abort_now(&mut self, snapshot: &Snapshot, why: &str) {
        self.abort = true;
        self.aborted_at = Some(snapshot.now);
        self.step_index = 0;
        self.clear_pause();
        let revision = snapshot.revision();
        let told = format!("Rollout aborted update to revision {revision}");
        self.abort_message = Some(if why.is_empty() { told } else { format!("{told}: {why}") });
    }

    /// The words that the status tells an abort with.
    pub(super) fn abort_text(&self, revision: u64) -> String {
        self.abort_message.clone().unwrap_or_else(|| format!("Rollout aborted update to revision {revision}"))
    }

    /// The stable ReplicaSet, by what this progress says.
    pub(super) fn stable_set<'a>(&self, snapshot: &'a Snapshot) -> Option<&'a ReplicaSetView> {
        let stable = self.stable.as_ref()?;
        snapshot.sets.iter().find(|set| set.hash == *stable)
    }

    /// `abortedAt` as the status writes it.
    pub(super) fn aborted_at_text(&self) -> Option<String> {
        self.aborted_at.map(format_time)
    }

    /// The kind of the present step.
    pub(super) fn step<'a>(&self, snapshot: &'a Snapshot) -> Option<&'a StepKind> {
        snapshot.steps.get(self.step_index).map(|step| &step.kind)
    }
}

/// The message of the Progressing condition while it tells of an abort.
fn abort_message(snapshot: &Snapshot) -> Option<String> {
    let conditions = snapshot.rollout.list_at("/status/conditions");
    let text =
        |item: &serde_json::Value, key: &str| item.get(key).and_then(serde_json::Value::as_str).map(str::to_owned);
    let aborted = conditions.iter().find(|item| text(item, "reason").as_deref() == Some("RolloutAborted"))?;
    text(aborted, "message")
}
