//! Decides the next step of an Experiment. Pure: reads a [`Snapshot`], returns a [`Plan`].
//!
//! | state | ReplicaSets | Services | analyses | phase | ends when |
//! |---|---|---|---|---|---|
//! | invalid spec | stay | stay | stay | stays | the spec is mended |
//! | new | made, empty | none | none | Pending | the status says so |
//! | starting | all pods | made | none; a missing template ends it | Pending | every template's pods are available: `availableAt` |
//! | running | all pods | stay | made | Running | duration, required analyses, a failure, `spec.terminate` |
//! | a template misses its deadline | none, after the delay | none, after the pods | end | Failed | never |
//! | an analysis goes wrong | none, after the delay | none, after the pods | end | that of the analysis | never |
//! | over | none, after the delay | none, after the pods | end | Successful | never |
//!
//! Pods that still get traffic by the Rollout's word stay, whatever the delay says.

use super::snapshot::Snapshot;
use super::status::{self, Draft};
use super::{analyses, replica_sets};
use crate::{EventType, Note, ObjectRef, Plan, Reason, kinds};

/// Returns the plan that moves the experiment one step further.
pub(super) fn decide(snapshot: &Snapshot) -> Plan {
    let mut plan = Plan::empty();
    if snapshot.experiment.is_deleting() {
        plan.wait(format!("Experiment {}", snapshot.experiment.name()), "it is being deleted");
        return plan;
    }
    if let Some(problem) = &snapshot.problem {
        status::invalid(snapshot, problem, &mut plan);
        return plan;
    }
    let mut draft = Draft::of(snapshot);
    for template in &snapshot.spec.templates {
        replica_sets::advance(snapshot, template, &mut draft, &mut plan);
    }
    for analysis in &snapshot.spec.analyses {
        analyses::advance(snapshot, analysis, &mut draft, &mut plan);
    }
    status::write(snapshot, draft, &mut plan);
    plan
}

/// Adds an Event about the experiment.
pub(super) fn note(
    snapshot: &Snapshot,
    plan: &mut Plan,
    kind: EventType,
    reason: &'static str,
    message: &str,
    transition: &str,
) {
    plan.notes.push(Note {
        about: ObjectRef::of(&kinds::experiment(), &snapshot.experiment),
        uid: snapshot.uid.clone(),
        kind,
        reason: Reason(reason),
        message: message.to_owned(),
        transition: transition.to_owned(),
    });
}

/// Adds the same Event about the Rollout whose step the experiment is: that is what people watch.
pub(super) fn note_on_rollout(
    snapshot: &Snapshot,
    plan: &mut Plan,
    kind: EventType,
    reason: &'static str,
    message: &str,
    name: &str,
) {
    let Some(rollout) = &snapshot.rollout else { return };
    let Some(uid) = rollout.uid() else { return };
    plan.notes.push(Note {
        about: ObjectRef::of(&kinds::rollout(), rollout),
        uid,
        kind,
        reason: Reason(reason),
        message: message.to_owned(),
        transition: format!("experiment/{}/{name}", snapshot.uid),
    });
}
