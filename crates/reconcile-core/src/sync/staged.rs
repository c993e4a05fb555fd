//! A sync in phases: hooks before, waves with hooks between them, hooks after, hooks for failure, and another attempt.
//!
//! | phase | does | goes on when |
//! |---|---|---|
//! | (none, or another digest) | stores a new operation | it is stored |
//! | PreSync | runs hooks | all have succeeded |
//! | Sync | applies wave by wave, each healthy before the next, with the hooks of the wave | everything is applied, and pruned |
//! | PostSync | runs hooks, once everything is healthy | all have succeeded |
//! | SyncFail | runs hooks | all have ended |
//! | Succeeded | repairs drift | another commit |
//! | Failed | repairs drift, when all was applied once | the delay is over, or another commit |

use diff_engine::{HealthStatus, HookPhase, Inventory, Wave};
use object_model::Object;

use super::apply::{Pass, Reached, go_through, unhealthy};
use super::hooks::{self, Progress};
use super::operation::{Operation, Phase, Wanted};
use super::prune::prune;
use super::recording::record;
use super::request::Request;
use super::snapshot::Snapshot;
use super::status::Report;
use crate::Plan;
use crate::time::after;

/// What every step looks at.
#[derive(Clone, Copy)]
pub(super) struct Ground<'a> {
    pub(super) snapshot: &'a Snapshot,
    pub(super) waves: &'a [Wave<'a>],
    pub(super) inventory: &'a Inventory,
}

/// Whether a config is synced in phases: it has hooks or waves, or a limit of time, or began so.
pub(super) fn is_staged(snapshot: &Snapshot, waves: &[Wave<'_>]) -> bool {
    snapshot.operation.is_some()
        || snapshot.hooks.iter().any(|hook| hook.spec.is_for_sync())
        || waves.len() > 1
        || snapshot.spec.sync.timeout.is_some()
}

/// Whether the stored operation is about what Git wants now.
pub(super) fn is_begun(snapshot: &Snapshot) -> bool {
    let request = Request::pending(&snapshot.config).filter(|request| !request.is_selective());
    let digest = snapshot.desired_digest();
    request.is_none() && snapshot.operation.as_ref().is_some_and(|operation| operation.digest == digest)
}

/// Takes the next step of the operation.
pub(super) fn advance(ground: Ground<'_>, plan: &mut Plan, report: &mut Report) {
    let snapshot = ground.snapshot;
    let Some(operation) = snapshot.operation.as_ref().filter(|_| is_begun(snapshot)) else {
        return begin(ground, plan, report);
    };
    plan.stage(hooks::clean_up(snapshot, operation, ground.inventory));
    match operation.phase {
        Phase::PreSync => {
            look(ground, plan, report);
            let progress = hooks::run(snapshot, operation, HookPhase::PreSync, i32::MAX, ground.inventory);
            take(snapshot, operation, progress, plan, report, |next| next.phase = Phase::Sync);
        }
        Phase::Sync => sync(ground, operation, plan, report),
        Phase::PostSync => {
            repair(ground, plan, report);
            let progress = hooks::run(snapshot, operation, HookPhase::PostSync, i32::MAX, ground.inventory);
            let now = snapshot.now;
            take(snapshot, operation, progress, plan, report, |next| *next = next.succeeded(now));
        }
        Phase::SyncFail => {
            look(ground, plan, report);
            let mut progress = hooks::run(snapshot, operation, HookPhase::SyncFail, i32::MAX, ground.inventory);
            // What runs because of a failure may fail too: the first failure is the one that is told.
            progress.failure = None;
            report.sync_failed = Some(operation.message.clone());
            let (now, retry) = (snapshot.now, &snapshot.spec.sync.retry);
            take(snapshot, operation, progress, plan, report, |next| *next = next.failed(now, retry));
        }
        Phase::Succeeded => {
            if repair(ground, plan, report) {
                finish(ground, plan, report);
            }
        }
        Phase::Failed => failed(ground, operation, plan, report),
        // The end of a config is no sync; an operation of it has another digest and does not come here.
        Phase::PreDelete | Phase::Delete | Phase::PostDelete => {}
    }
}

/// Stores the beginning of an operation. A hook whose program runs is not pulled from under it.
fn begin(ground: Ground<'_>, plan: &mut Plan, report: &mut Report) {
    let snapshot = ground.snapshot;
    if let Some(id) = hooks::at_work(snapshot) {
        if is_given_up(snapshot) {
            return end_hook(ground, &id, plan, report);
        }
        let why = format!("hook {id} of the operation before is still running");
        plan.wait(id.to_string(), why.clone());
        report.progress = Some(why);
        return;
    }
    let previous = snapshot.operation.as_ref();
    let is_install = match previous {
        Some(previous) => previous.is_install && previous.phase != Phase::Succeeded,
        None => snapshot.config.pointer("/status/lastHealthy").is_none(),
    };
    let digest = snapshot.desired_digest();
    let commit = snapshot.rendered().map(|rendered| rendered.touched.commit.clone()).unwrap_or_default();
    let request = Request::pending(&snapshot.config);
    let wanted = Wanted { digest: &digest, commit: &commit, is_install, is_manual: request.is_some() };
    let mut operation = Operation::begin(previous, wanted, snapshot.now);
    operation.phase = first_phase(snapshot, &operation);
    report.progress = Some(format!("operation {} begins", operation.operation));
    report.handled_sync = request.map(|request| request.id);
    report.operation = Some(operation);
}

/// Whether nobody waits any more for the hooks of the operation before: it is over, or has taken longer than it may.
fn is_given_up(snapshot: &Snapshot) -> bool {
    let Some(previous) = &snapshot.operation else { return false };
    let end = snapshot.spec.sync.timeout.and_then(|timeout| after(previous.started()?, timeout));
    previous.phase.is_over() || end.is_some_and(|end| end <= snapshot.now)
}

/// Ends a hook that was given up, so that the next one does not run beside it.
fn end_hook(ground: Ground<'_>, id: &object_model::ObjectId, plan: &mut Plan, report: &mut Report) {
    let why = format!("hook {id} of an operation that was given up is ended");
    plan.wait(id.to_string(), why.clone());
    plan.stage(hooks::end(ground.snapshot, id, ground.inventory).into_iter().collect());
    report.progress = Some(why);
}

fn first_phase(snapshot: &Snapshot, operation: &Operation) -> Phase {
    if has_hooks(snapshot, operation, HookPhase::PreSync) { Phase::PreSync } else { Phase::Sync }
}

fn has_hooks(snapshot: &Snapshot, operation: &Operation, phase: HookPhase) -> bool {
    hooks::hooks_of(operation, &snapshot.hooks).iter().any(|hook| hook.phase == phase)
}

/// Counts what differs, and writes nothing.
fn look(ground: Ground<'_>, plan: &mut Plan, report: &mut Report) {
    let pass = Pass::default();
    go_through(ground.snapshot, ground.waves, ground.inventory, pass, plan, report);
}

/// Applies what differs in the order of waves, without waiting between them; `true` when nothing does.
fn repair(ground: Ground<'_>, plan: &mut Plan, report: &mut Report) -> bool {
    let pass = Pass { writes: true, ..Pass::default() };
    let reached = go_through(ground.snapshot, ground.waves, ground.inventory, pass, plan, report);
    reached == Reached::End && report.errors.is_empty()
}

/// Prunes and records, once everything is applied.
fn finish(ground: Ground<'_>, plan: &mut Plan, report: &mut Report) {
    prune(ground.snapshot, ground.inventory, plan, report);
    record(ground.snapshot, plan);
}

fn sync(ground: Ground<'_>, operation: &Operation, plan: &mut Plan, report: &mut Report) {
    let snapshot = ground.snapshot;
    let pass = Pass { writes: true, operation: Some(operation), only: None };
    match go_through(snapshot, ground.waves, ground.inventory, pass, plan, report) {
        Reached::Failed(message) => fail(snapshot, operation, message, report),
        Reached::News(news) => {
            let mut next = operation.clone();
            news.into_iter().for_each(|record| next.note(record));
            report.operation = Some(next);
        }
        Reached::Pending => wait(snapshot, operation, plan, report),
        Reached::End => {
            let before = plan.stages.len();
            finish(ground, plan, report);
            if plan.acts().skip(before).any(|act| act.destructive) {
                report.progress = Some("what left Git is deleted".to_owned());
                return;
            }
            complete(ground, operation, plan, report);
        }
    }
}

/// Everything is applied: hooks follow once all is healthy, or it is done.
fn complete(ground: Ground<'_>, operation: &Operation, plan: &mut Plan, report: &mut Report) {
    let snapshot = ground.snapshot;
    if !has_hooks(snapshot, operation, HookPhase::PostSync) {
        report.operation = Some(operation.succeeded(snapshot.now));
        return;
    }
    let objects: Vec<&Object> = snapshot.wishes.iter().map(|wish| &wish.object).collect();
    match unhealthy(snapshot, &objects) {
        None => {
            let next = Operation { phase: Phase::PostSync, is_applied: true, ..operation.clone() };
            report.progress = Some("hooks follow".to_owned());
            report.operation = Some(next);
        }
        Some((id, Some(health))) if health.status == HealthStatus::Degraded => {
            fail(snapshot, operation, format!("{id} is degraded: {}", health.message), report);
        }
        Some((id, _)) => {
            report.progress = Some(format!("{id} is not healthy yet, PostSync hooks follow then"));
            wait(snapshot, operation, plan, report);
        }
    }
}

fn failed(ground: Ground<'_>, operation: &Operation, plan: &mut Plan, report: &mut Report) {
    let snapshot = ground.snapshot;
    report.sync_failed = Some(operation.message.clone());
    report.outlook = match &operation.retry_at {
        Some(at) => format!(" (attempt {}, the next at {at})", operation.attempt),
        None => format!(" (attempt {}, the last)", operation.attempt),
    };
    match operation.retries() {
        Some(at) if at <= snapshot.now => {
            if let Some(id) = hooks::at_work(snapshot) {
                return end_hook(ground, &id, plan, report);
            }
            let mut next = operation.again(snapshot.now);
            next.phase = first_phase(snapshot, &next);
            report.operation = Some(next);
            return look(ground, plan, report);
        }
        Some(at) if at > snapshot.now => plan.wake_at(at),
        _ => {}
    }
    match operation.is_applied {
        true => drop(repair(ground, plan, report)),
        false => look(ground, plan, report),
    }
}

/// Takes in how hooks do; `on` is what follows when all of them have succeeded.
fn take(
    snapshot: &Snapshot,
    operation: &Operation,
    progress: Progress,
    plan: &mut Plan,
    report: &mut Report,
    on: impl FnOnce(&mut Operation),
) {
    let is_done = progress.is_done();
    plan.stage(progress.acts);
    if let Some(message) = progress.failure {
        return fail(snapshot, operation, message, report);
    }
    if !progress.news.is_empty() {
        let mut next = operation.clone();
        progress.news.into_iter().for_each(|record| next.note(record));
        report.operation = Some(next);
    }
    if is_done {
        let mut next = operation.clone();
        on(&mut next);
        report.operation = Some(next);
        return;
    }
    report.progress = Some(progress.waiting.unwrap_or_else(|| format!("{} hooks are created", operation.phase)));
    wait(snapshot, operation, plan, report);
}

/// Waits, as long as the attempt may take.
fn wait(snapshot: &Snapshot, operation: &Operation, plan: &mut Plan, report: &mut Report) {
    if let Some(why) = &report.progress {
        plan.wait(format!("{} of operation {}", operation.phase, operation.operation), why.clone());
    }
    let Some(timeout) = snapshot.spec.sync.timeout.filter(|_| operation.phase != Phase::SyncFail) else { return };
    let Some(end) = operation.started().and_then(|started| after(started, timeout)) else { return };
    if end > snapshot.now {
        plan.wake_at(end);
    } else if plan.acts().next().is_none() {
        let why = report.progress.clone().unwrap_or_else(|| "objects are applied".to_owned());
        let seconds = timeout.as_secs();
        fail(snapshot, operation, format!("it took more than {seconds} s in phase {}: {why}", operation.phase), report);
    }
}

fn fail(snapshot: &Snapshot, operation: &Operation, message: String, report: &mut Report) {
    report.progress = None;
    report.sync_failed = Some(message.clone());
    let mut next = Operation { message, ..operation.clone() };
    next = match has_hooks(snapshot, operation, HookPhase::SyncFail) {
        true => Operation { phase: Phase::SyncFail, ..next },
        false => next.failed(snapshot.now, &snapshot.spec.sync.retry),
    };
    report.operation = Some(next);
}
