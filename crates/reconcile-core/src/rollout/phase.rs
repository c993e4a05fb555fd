//! Conditions, phase and message of a Rollout by Argo's rules (its `calculateRolloutConditions` and
//! `CalculateRolloutPhase`).

use api::argo::Counts;
use serde_json::json;

use super::conditions::{Conditions, Holds, text};
use super::model::StepKind;
use super::progress::Progress;
use super::services;
use super::snapshot::Snapshot;
use super::{act, blue_green};
use crate::time::after;
use crate::{EventType, Plan};

const OVERDUE: &str = "ProgressDeadlineExceeded";

/// What is about to be written, as far as conditions and phase depend on it.
pub(super) struct Seen<'a> {
    pub(super) snapshot: &'a Snapshot,
    pub(super) progress: &'a Progress,
    pub(super) counts: Counts,
}

impl Seen<'_> {
    fn is_paused(&self) -> bool {
        !self.progress.pauses.is_empty() || self.snapshot.spec.paused
    }

    fn is_completed(&self) -> bool {
        self.progress.is_fully_promoted(self.snapshot)
    }

    fn set_name(&self) -> &str {
        &self.snapshot.set_name
    }

    fn revision(&self) -> u64 {
        self.snapshot.revision()
    }

    /// Everything asked for is there and nothing else.
    fn is_healthy(&self) -> bool {
        let snapshot = self.snapshot;
        let all = snapshot.spec.replicas;
        let strategy = match snapshot.blue_green() {
            Some(strategy) => {
                let selects = |hash: Option<object_model::PodHash>| hash.as_ref() == Some(&snapshot.hash);
                let preview = services::selected(snapshot.preview_service.as_deref());
                selects(blue_green::active_hash(snapshot)) && (strategy.preview_service.is_none() || selects(preview))
            }
            None => {
                let past_steps = snapshot.user_steps() == 0 || self.progress.is_past_steps(snapshot);
                past_steps && self.is_completed() && self.counts.all == all
            }
        };
        strategy && self.counts.updated == all && self.counts.available == all
    }

    /// Whether this observation differs from the status in the direction of the goal.
    fn has_progressed(&self) -> bool {
        let (old, new) = (self.snapshot.status.counts, self.counts);
        let status = &self.snapshot.status;
        let strategy = match self.snapshot.blue_green() {
            Some(_) => {
                let preview = services::selected(self.snapshot.preview_service.as_deref());
                status.blue_green.active != blue_green::active_hash(self.snapshot)
                    || status.blue_green.preview != preview
            }
            None => {
                let index = status.step_index.is_some_and(|index| index as usize != self.progress.step_index);
                let steps = status.step_hash.as_deref().unwrap_or_default() != self.snapshot.step_hash;
                status.stable != self.progress.stable || index || steps
            }
        };
        new.updated != old.updated
            || new.all.saturating_sub(new.updated) < old.all.saturating_sub(old.updated)
            || new.ready > old.ready
            || new.available > old.available
            || strategy
    }

    /// Steps that may take as long as they like.
    fn is_on_an_open_end(&self, conditions: &Conditions) -> bool {
        let step = self.progress.step(self.snapshot);
        matches!(step, Some(StepKind::Wait(_) | StepKind::Analyze(_) | StepKind::Experiment(_)))
            || conditions.is_true("Paused")
    }

    fn waits_for_a_deadline(&self) -> bool {
        let stable = self.progress.stable.as_ref();
        let other = |hash: &object_model::PodHash| *hash != self.snapshot.hash && stable != Some(hash);
        self.snapshot.sets.iter().any(|set| other(&set.hash) && set.deadline.is_some())
    }

    fn timed_out(&self) -> String {
        format!("ReplicaSet \"{}\" has timed out progressing.", self.set_name())
    }
}

/// Whether the status says that the present ReplicaSet is past its deadline; the words to tell it with.
pub(super) fn overdue(snapshot: &Snapshot) -> Option<String> {
    let conditions = Conditions::live(snapshot);
    let progressing = conditions.find("Progressing")?;
    let message = format!("ReplicaSet \"{}\" has timed out progressing.", snapshot.set_name);
    (text(progressing, "reason") == OVERDUE && text(progressing, "message") == message).then_some(message)
}

/// Brings the conditions up to date and tells the transitions that have an Event.
pub(super) fn update(seen: &Seen<'_>, conditions: &mut Conditions, plan: &mut Plan) {
    let now = seen.snapshot.now;
    conditions.drop("InvalidSpec");
    let aborted = seen.progress.abort && !seen.is_completed();
    let had_abort = conditions.reason("Progressing") == "RolloutAborted";
    // Argo leaves what was there before an abort; a condition that depends on what was seen before a crash would differ.
    let is_paused = seen.is_paused() && !aborted;
    if is_paused != conditions.is_true("Paused") {
        conditions.set("Paused", Holds::of(is_paused), "RolloutPaused", "Rollout is paused", now);
    }
    let mut fell_ill = false;
    if !seen.is_paused() && seen.is_healthy() {
        conditions.set("Healthy", Holds::Yes, "RolloutHealthy", "Rollout is healthy", now);
    } else if conditions.has("Healthy") {
        fell_ill = conditions.set("Healthy", Holds::No, "RolloutHealthy", "Rollout is not healthy", now);
    }
    if aborted {
        let message = seen.progress.abort_text(seen.revision());
        conditions.set("Progressing", Holds::No, "RolloutAborted", &message, now);
    } else {
        progressing(seen, conditions, fell_ill, had_abort, plan);
    }
    availability(seen, conditions);
    replica_failure(seen.snapshot, conditions);
    completed(seen, conditions, plan);
}

fn progressing(seen: &Seen<'_>, conditions: &mut Conditions, fell_ill: bool, had_abort: bool, plan: &mut Plan) {
    let now = seen.snapshot.now;
    if !seen.is_completed() && seen.is_paused() {
        conditions.set("Progressing", Holds::Unknown, "RolloutPaused", "Rollout is paused", now);
        return;
    }
    let was_paused = conditions.reason("Progressing") == "RolloutPaused";
    if seen.is_healthy() && !seen.is_paused() {
        let message = format!("ReplicaSet \"{}\" has successfully progressed.", seen.set_name());
        let other = conditions.find("Progressing").is_none_or(|item| text(item, "message") != message);
        if other || conditions.reason("Progressing") != "NewReplicaSetAvailable" {
            conditions.renew("Progressing", Holds::Yes, "NewReplicaSetAvailable", &message, now);
        }
    } else if seen.has_progressed() || fell_ill {
        let updated = format!("ReplicaSet \"{}\" is progressing.", seen.set_name());
        let (reason, message) = if seen.is_completed() && fell_ill {
            ("ReplicaSetNotAvailable", "Rollout does not have minimum availability")
        } else {
            ("ReplicaSetUpdated", updated.as_str())
        };
        conditions.renew("Progressing", Holds::Yes, reason, message, now);
    } else if had_abort {
        conditions.renew("Progressing", Holds::Unknown, "RolloutRetry", "Retrying Rollout after abort", now);
    } else if was_paused && !seen.is_paused() {
        conditions.renew("Progressing", Holds::Unknown, "RolloutResumed", "Rollout is resumed", now);
    } else if !conditions.has("Progressing") {
        let message = format!("Created new replica set \"{}\"", seen.set_name());
        conditions.renew("Progressing", Holds::Yes, "NewReplicaSetCreated", &message, now);
    }
    deadline(seen, conditions, plan);
}

/// Past the deadline without progress the phase is Degraded until there is some.
fn deadline(seen: &Seen<'_>, conditions: &mut Conditions, plan: &mut Plan) {
    let reason = conditions.reason("Progressing");
    let is_open = seen.is_on_an_open_end(conditions) || seen.waits_for_a_deadline() || seen.is_paused();
    if seen.is_healthy() || is_open || matches!(reason, "RolloutAborted" | "RolloutPaused" | OVERDUE) {
        return;
    }
    let since = conditions.renewed_at("Progressing");
    let Some(end) = since.and_then(|since| after(since, seen.snapshot.spec.progress_deadline)) else { return };
    if end > seen.snapshot.now {
        plan.wake_at(end);
        return;
    }
    let message = seen.timed_out();
    conditions.set("Progressing", Holds::No, OVERDUE, &message, seen.snapshot.now);
    let transition = format!("overdue/{}", seen.snapshot.version());
    act::note(seen.snapshot, plan, EventType::Warning, OVERDUE, &message, &transition);
}

fn availability(seen: &Seen<'_>, conditions: &mut Conditions) {
    let snapshot = seen.snapshot;
    let all = snapshot.spec.replicas;
    let is_available = match snapshot.blue_green() {
        Some(_) => {
            let active = blue_green::active_hash(snapshot);
            let set = snapshot.sets.iter().find(|set| Some(&set.hash) == active.as_ref());
            set.is_some_and(|set| set.is_settled_at(all))
        }
        None => snapshot.sets.iter().map(|set| set.available).sum::<u32>() >= all,
    };
    let message =
        if is_available { "Rollout has minimum availability" } else { "Rollout does not have minimum availability" };
    conditions.set("Available", Holds::of(is_available), "AvailableReason", message, snapshot.now);
}

/// What keeps a ReplicaSet from making pods, the new one's reason first.
fn replica_failure(snapshot: &Snapshot, conditions: &mut Conditions) {
    let newest_first = snapshot.new_set().into_iter().chain(&snapshot.sets);
    let failures = newest_first.flat_map(|set| set.object.list_at("/status/conditions"));
    match failures.into_iter().find(|item| text(item, "type") == "ReplicaFailure") {
        Some(failure) => conditions.put(json!({
            "type": "ReplicaFailure", "status": text(failure, "status"), "reason": text(failure, "reason"),
            "message": text(failure, "message"), "lastUpdateTime": text(failure, "lastTransitionTime"),
            "lastTransitionTime": text(failure, "lastTransitionTime"),
        })),
        None => conditions.drop("ReplicaFailure"),
    }
}

fn completed(seen: &Seen<'_>, conditions: &mut Conditions, plan: &mut Plan) {
    let now = seen.snapshot.now;
    let changed =
        conditions.set("Completed", Holds::of(seen.is_completed()), "RolloutCompleted", "RolloutCompleted", now);
    let is_first_blue_green = seen.snapshot.blue_green().is_some() && seen.progress.stable.is_none();
    if changed && !seen.is_completed() && !is_first_blue_green {
        let revision = seen.revision();
        let text = format!("Rollout not completed, started update to revision {revision} ({})", seen.snapshot.hash);
        let transition = format!("not-completed/{}", seen.snapshot.version());
        act::note(seen.snapshot, plan, EventType::Normal, "RolloutNotCompleted", &text, &transition);
        // It is told before what the update does first.
        plan.notes.rotate_right(1);
    }
}

/// Argo's phase rule, in its order.
pub(super) fn phase(seen: &Seen<'_>, conditions: &Conditions) -> (&'static str, String) {
    for condition in conditions.iter() {
        let reason = text(condition, "reason");
        if matches!(reason, "RolloutAborted" | OVERDUE) {
            return ("Degraded", format!("{reason}: {}", text(condition, "message")));
        }
    }
    let snapshot = seen.snapshot;
    if snapshot.spec.paused {
        return ("Paused", "manually paused".to_owned());
    }
    if let Some(pause) = seen.progress.pauses.first() {
        return ("Paused", pause.reason.clone());
    }
    match unfinished(seen) {
        Some(message) => ("Progressing", message.to_owned()),
        None => ("Healthy", String::new()),
    }
}

fn unfinished(seen: &Seen<'_>) -> Option<&'static str> {
    let (snapshot, counts) = (seen.snapshot, seen.counts);
    if snapshot.spec.restart_at.is_some() && snapshot.spec.restart_at != seen.progress.restarted_at {
        return Some("rollout is restarting");
    }
    if counts.updated < snapshot.spec.replicas {
        return Some("more replicas need to be updated");
    }
    if counts.available < counts.updated {
        return Some("updated replicas are still becoming available");
    }
    if let Some(strategy) = snapshot.blue_green() {
        if blue_green::active_hash(snapshot).as_ref() != Some(&snapshot.hash) {
            return Some("active service cutover pending");
        }
        if seen.is_completed() {
            return None;
        }
        let run = seen.progress.post_run.as_ref().and_then(|run| snapshot.runs.get(&run.name));
        let is_judged = run.is_some_and(super::RunView::is_completed);
        return Some(match strategy.post_promotion.is_some() && !is_judged {
            true => "waiting for analysis to complete",
            false => "waiting for post-promotion verification to complete",
        });
    }
    if !snapshot.spec.is_routed() && counts.all > counts.updated {
        return Some("old replicas are pending termination");
    }
    (!seen.is_completed()).then_some("waiting for all steps to complete")
}
