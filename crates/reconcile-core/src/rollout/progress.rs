//! Where a Rollout stands: the status that users' inputs and a changed template lead to, before anything is done.

use object_model::{Timestamp, format_time};

use super::model::StepKind;
use super::snapshot::{ReplicaSetView, Snapshot};
use api::argo::{PauseCondition, RunStatus};
use object_model::PodHash;

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
    /// Whether this decision began a new revision.
    pub(super) restarted: bool,
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
            restarted: false,
        };
        let other_template = status.current.as_ref() != Some(&snapshot.hash);
        let other_steps = status.step_hash.as_ref() != Some(&snapshot.step_hash);
        if other_template || other_steps {
            progress.restart(snapshot);
        }
        progress.step_index = progress.step_index.min(snapshot.user_steps());
        if progress.is_fully_promoted(snapshot) {
            // An abort or a promotion of nothing in progress is no wish that the next revision should inherit.
            progress.step_index = snapshot.user_steps();
            progress.clear_pause();
            progress.abort = false;
            progress.aborted_at = None;
            progress.abort_message = None;
            progress.promote_full = false;
        }
        if progress.abort && progress.aborted_at.is_none() {
            progress.abort_now(snapshot, "Rollout is aborted");
        }
        if !progress.abort {
            progress.aborted_at = None;
            progress.abort_message = None;
        }
        if progress.promote_full && !progress.abort {
            progress.step_index = snapshot.user_steps();
            progress.clear_pause();
        }
        progress
    }

    fn restart(&mut self, snapshot: &Snapshot) {
        self.restarted = true;
        self.step_index = 0;
        self.clear_pause();
        self.abort = false;
        self.aborted_at = None;
        self.abort_message = None;
        self.promote_full = false;
        self.background_run = None;
        self.step_run = None;
        if self.stable.as_ref() == Some(&snapshot.hash) {
            self.step_index = snapshot.user_steps();
        }
    }

    /// Whether the present template is the stable one.
    pub(super) fn is_fully_promoted(&self, snapshot: &Snapshot) -> bool {
        self.stable.as_ref() == Some(&snapshot.hash)
    }

    /// Whether the user's steps are behind it.
    pub(super) fn is_past_steps(&self, snapshot: &Snapshot) -> bool {
        self.step_index >= snapshot.user_steps()
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
    }

    pub(super) fn abort_now(&mut self, snapshot: &Snapshot, why: &str) {
        self.abort = true;
        self.aborted_at = Some(snapshot.now);
        self.step_index = 0;
        self.clear_pause();
        let revision = snapshot.new_set().map_or(snapshot.last_revision(), |set| set.revision.0);
        self.abort_message = Some(format!("Rollout aborted update to revision {revision}: {why}"));
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
