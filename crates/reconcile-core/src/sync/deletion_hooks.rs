//! Hooks of the end of a config: some run before its objects are deleted, others after they are gone.
//!
//! The status says how many there are, so that a config without them never waits for Git when it goes. One with them needs
//! its render for them; while that can't be had, nothing is deleted, and the reason is told. The end is an operation of
//! its own, whose phase is stored before anything follows from it, as those of a sync are.
//!
//! | phase | does | goes on when |
//! |---|---|---|
//! | (none) | stores the operation | it is stored |
//! | PreDelete | runs hooks | all have succeeded; a failed one is tried again with the delays of `spec.sync.retry` |
//! | Delete | (the deletion itself) | nothing is left |
//! | PostDelete | runs hooks | all have succeeded |
//! | Succeeded | deletes the hooks | they are gone |

use diff_engine::{HookPhase, Inventory};
use serde_json::Value;

use super::decide::fetch;
use super::hooks::{self, Progress};
use super::operation::{Operation, Phase, Wanted};
use super::rerender;
use super::snapshot::{Snapshot, Source};
use super::status::Report;
use crate::Plan;

/// What stands in place of the digest of what is wanted.
const DIGEST: &str = "deletion";

/// How to let a config go whose hooks do not succeed.
const WAY_OUT: &str = "spec.deletionPolicy Orphan lets the config go without them, and its objects stay";

/// What the deletion may do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// Delete what is left; hooks follow when that is gone.
    DeleteThenHooks,
    /// Delete what is left, and let the config go.
    DeleteAll,
    /// Run hooks.
    Hooks,
    /// Nothing: something else comes first.
    Wait,
}

/// How many hooks a render has for the end of its config.
pub(super) fn count(snapshot: &Snapshot) -> usize {
    let phases = [HookPhase::PreDelete, HookPhase::PostDelete];
    snapshot.hooks.iter().filter(|hook| hook.spec.points.iter().any(|(phase, _)| phases.contains(phase))).count()
}

/// Returns the operation that is the end of this config.
pub(super) fn operation(snapshot: &Snapshot) -> Option<&Operation> {
    snapshot.operation.as_ref().filter(|operation| operation.digest == DIGEST)
}

/// Says whose turn it is. Fetches what the hooks are read from, and stores the beginning of the operation.
pub(super) fn turn(snapshot: &Snapshot, plan: &mut Plan, report: &mut Report) -> Turn {
    let promised = snapshot.config.pointer("/status/deletionHooks").and_then(Value::as_u64).unwrap_or(0);
    if promised == 0 {
        return Turn::DeleteAll;
    }
    let phase = operation(snapshot).map(|operation| operation.phase);
    match phase {
        Some(Phase::Delete) => Turn::DeleteThenHooks,
        Some(Phase::Succeeded) => Turn::DeleteAll,
        _ if !is_readable(snapshot, plan, report) => Turn::Wait,
        Some(_) => Turn::Hooks,
        None if count(snapshot) == 0 => Turn::DeleteAll,
        None => {
            begin(snapshot, report);
            Turn::Wait
        }
    }
}

/// Whether the render is there that has the hooks.
fn is_readable(snapshot: &Snapshot, plan: &mut Plan, report: &mut Report) -> bool {
    let why = match &snapshot.source {
        Source::Rendered(..) => return true,
        Source::Unknown => "the branch has not been fetched yet".to_owned(),
        Source::Fetched(head) => {
            plan.stage(vec![rerender::ask(snapshot, head)]);
            "the commit is being rendered".to_owned()
        }
        Source::FetchFailed(failure) | Source::RenderFailed(_, failure) => {
            format!("{}; {WAY_OUT}", failure.message)
        }
    };
    fetch(snapshot, plan);
    report.deleting = Some(format!("hooks of the deletion must be read from Git first: {why}"));
    false
}

fn begin(snapshot: &Snapshot, report: &mut Report) {
    let commit = snapshot.rendered().map(|rendered| rendered.touched.commit.clone()).unwrap_or_default();
    let wanted = Wanted { digest: DIGEST, commit: &commit, is_install: false, is_manual: false };
    let mut operation = Operation::begin(snapshot.operation.as_ref(), wanted, snapshot.now);
    operation.phase = Phase::PreDelete;
    report.deleting = Some("hooks run before anything is deleted".to_owned());
    report.operation = Some(operation);
}

/// Takes the next step of the hooks whose turn it is.
pub(super) fn run(snapshot: &Snapshot, inventory: &Inventory, plan: &mut Plan, report: &mut Report) {
    let Some(operation) = operation(snapshot) else { return };
    let Some(phase) = operation.phase.hooks() else { return };
    if operation.finished_at.is_some() {
        return failed(snapshot, operation, plan, report);
    }
    let progress = hooks::run(snapshot, operation, phase, i32::MAX, inventory);
    let is_done = progress.is_done();
    let Progress { acts, news, waiting, failure } = progress;
    plan.stage(acts);
    let mut next = operation.clone();
    if let Some(message) = failure {
        next.message = message;
        next = Operation { phase: next.phase, ..next.failed(snapshot.now, &snapshot.spec.sync.retry) };
        return tell_failure(&next, report);
    }
    report.deleting = Some(waiting.unwrap_or_else(|| format!("{phase} hooks are created")));
    if is_done {
        let now = snapshot.now;
        match phase {
            HookPhase::PreDelete => next.phase = Phase::Delete,
            _ => next = next.succeeded(now),
        }
    }
    news.into_iter().for_each(|record| next.note(record));
    if next != *operation {
        report.operation = Some(next);
    }
}

/// A failed attempt: the next one follows after its delay, as long as there is one.
fn failed(snapshot: &Snapshot, operation: &Operation, plan: &mut Plan, report: &mut Report) {
    tell_failure(operation, report);
    match operation.retries() {
        Some(at) if at <= snapshot.now && hooks::at_work(snapshot).is_none() => {
            let phase = operation.phase;
            report.operation = Some(Operation { phase, ..operation.again(snapshot.now) });
        }
        Some(at) if at > snapshot.now => {
            report.operation = None;
            plan.wake_at(at);
        }
        _ => report.operation = None,
    }
}

fn tell_failure(operation: &Operation, report: &mut Report) {
    let outlook = match &operation.retry_at {
        Some(at) => format!("attempt {}, the next at {at}", operation.attempt),
        None => format!("attempt {}, the last; {WAY_OUT}", operation.attempt),
    };
    let message = format!("{} ({outlook})", operation.message);
    report.sync_failed = Some(message.clone());
    report.deleting = Some(message);
    report.operation = Some(operation.clone());
}

/// Stores that everything is gone, and that the last hooks follow.
pub(super) fn after_the_objects(snapshot: &Snapshot, report: &mut Report) {
    let Some(operation) = operation(snapshot) else { return };
    report.deleting = Some("everything is deleted, hooks follow".to_owned());
    report.operation = Some(Operation { phase: Phase::PostDelete, ..operation.clone() });
}
