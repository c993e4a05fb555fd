//! The Jobs of an AnalysisRun: how they stand, when their pods are looked at, and how they come and go.

use ::analysis::{JobRequest, JobState};
use object_model::{Object, Timestamp};
use serde_json::json;

use super::Snapshot;
use crate::{Act, Action, Answer, ObjectRef, Precondition, Propagation, Question, Slot, View, kinds};

/// When the pods of a Job that has not begun are looked at: these many seconds after its measurement began, each twice
/// the one before.
const FIRST_LOOK_SECONDS: i64 = 2;
/// How often they are looked at.
const LOOKS_MAX: u32 = 16;

impl Snapshot {
    /// Looks at the Jobs that the status remembers.
    pub(super) fn observe_jobs(&mut self, view: &dyn View) {
        let Ok(status) = &self.status else { return };
        let namespace = self.run.namespace().unwrap_or_default().to_owned();
        let measurements = status.metric_results.iter().flat_map(|result| &result.measurements);
        let named: Vec<(String, Option<Timestamp>, bool)> = measurements
            .filter_map(|measurement| {
                let name = measurement.metadata.get("job-name")?.clone();
                Some((name, measurement.started_at, measurement.finished_at.is_none()))
            })
            .collect();
        for (name, started_at, is_open) in named {
            let job = view.get(&kinds::job(), &namespace, &name);
            let job = job.filter(|job| job.controller().is_some_and(|owner| owner.uid == self.uid));
            if is_open {
                let state = job.as_deref().map_or(JobState::Absent, JobState::of);
                let state = self.look_at_pods(view, job.as_deref(), &name, started_at, state);
                self.jobs.insert(name.clone(), state);
            } else {
                self.forget_looks(view, &name, None);
            }
            self.job_objects.extend(job.map(|job| (name, job)));
        }
    }

    /// A Job whose pods can't begin says nothing of it: its pods do. They are asked for now and then, as nobody watches
    /// them.
    fn look_at_pods(
        &mut self,
        view: &dyn View,
        job: Option<&Object>,
        name: &str,
        started_at: Option<Timestamp>,
        state: JobState,
    ) -> JobState {
        let has_begun = job.is_none_or(|job| job.int_at("/status/ready").unwrap_or(0) > 0);
        let (Some(started_at), JobState::Running, false) = (started_at, &state, has_begun) else {
            self.forget_looks(view, name, None);
            return state;
        };
        let due = |look: u32| {
            let seconds = FIRST_LOOK_SECONDS.checked_shl(look.saturating_sub(1)).unwrap_or(i64::MAX);
            Timestamp::from_second(started_at.as_second().saturating_add(seconds)).ok()
        };
        let passed = (1..=LOOKS_MAX).take_while(|look| due(*look).is_some_and(|due| due <= self.now)).last();
        let next = due(passed.unwrap_or(0) + 1).filter(|_| passed.unwrap_or(0) < LOOKS_MAX);
        self.next_look = [self.next_look, next].into_iter().flatten().min();
        self.forget_looks(view, name, passed);
        let Some(look) = passed else { return state };
        let slot = self.look_slot(name, look);
        match view.answer(&slot).as_deref() {
            Some(Answer::Pods(pods)) => return state.with_pods(pods.iter().map(|pod| &**pod)),
            Some(_) => {}
            None if view.is_asked(&slot) => {}
            None => self.looks.push((slot, name.to_owned())),
        }
        state
    }

    fn look_slot(&self, job: &str, look: u32) -> Slot {
        Slot::new(self.uid.as_str(), format!("pods/{job}/{look}"))
    }

    /// Looks whose answers nobody needs any more.
    fn forget_looks(&mut self, view: &dyn View, job: &str, but: Option<u32>) {
        let others = (1..=LOOKS_MAX).filter(|look| Some(*look) != but).map(|look| self.look_slot(job, look));
        let answered: Vec<Slot> = others.filter(|slot| view.answer(slot).is_some()).collect();
        self.used.extend(answered);
    }
}

/// Asks for the pods of a Job.
pub(super) fn look(snapshot: &Snapshot, slot: &Slot, job: &str) -> Act {
    let question = Question::Pods {
        namespace: snapshot.run.namespace().unwrap_or_default().to_owned(),
        selector: format!("job-name={job}"),
    };
    Act::new(Action::Ask { slot: slot.clone(), question: Box::new(question) })
}

/// A Job belongs to its run; it is deleted in the life that was looked at, with its pods.
pub(super) fn act(snapshot: &Snapshot, request: &JobRequest) -> Option<Act> {
    let namespace = snapshot.run.namespace().unwrap_or_default();
    match request {
        JobRequest::Create { key, job } => {
            let mut object = job.object(&snapshot.uid, snapshot.run.name(), namespace, &key.metric, key.ordinal);
            let owner = json!({
                "apiVersion": snapshot.run.api_version(), "kind": snapshot.run.kind(), "name": snapshot.run.name(),
                "uid": snapshot.uid.as_str(), "controller": true, "blockOwnerDeletion": true,
            });
            object.set_at(&["metadata", "ownerReferences"], json!([owner]));
            Some(Act::new(Action::Create { kind: kinds::job(), object: Box::new(object) }))
        }
        JobRequest::Delete { name } => {
            let job = snapshot.job_objects.get(name)?;
            Some(Act::new(Action::Delete {
                target: ObjectRef::of(&kinds::job(), job),
                precondition: Precondition::uid(job),
                propagation: Propagation::Foreground,
            }))
        }
    }
}
