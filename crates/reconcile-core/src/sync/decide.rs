//! Decides the next safe step of a GitOpsConfig. Pure: reads a [`Snapshot`], returns a [`Plan`].
//!
//! | state | does | deletes |
//! |---|---|---|
//! | being deleted | by `spec.deletionPolicy`, see [`super::deletion`] | what the inventory owns |
//! | invalid spec, suspended | tells | nothing |
//! | the finalizer does not fit the policy | puts it on or takes it off | nothing |
//! | head unknown or old, or a refresh is wanted | asks for a fetch | nothing |
//! | fetch or render failed | tells what and where; the last good state keeps serving | nothing |
//! | rendered from more than the commit, and that is old or has changed | asks for the render again, see [`super::rerender`] | nothing |
//! | rendered, inventory does not have every wish | writes the inventory | nothing |
//! | a wave differs from live | applies its first stage that differs | nothing |
//! | all applied, inventory not proven | writes the inventory | nothing |
//! | something left Git | prunes what the inventory owns, after a fresh read | that |
//! | a Rollout of it aborted, and write-back is on | makes a Promotion that takes the commit back | nothing |

use object_model::Object;
use serde_json::Value;

use super::apply::{Pass, Reached, go_through};
use super::inventory::{planned_inventory, write_inventory};
use super::prune::{pending, prune};
use super::recording::record;
use super::request::Request;
use super::snapshot::{Snapshot, Source, head_slot};
use super::staged::Ground;
use super::{deletion, gates, rerender, rollback, staged, status, transaction, windows};
use crate::bugs::{self, Bug};
use crate::patch::digest;
use crate::time::after;
use crate::{Act, Action, EventType, Note, ObjectRef, Plan, Question, Reason, SourceFailure};

/// Returns the plan that moves the cluster one safe step closer to what Git says.
pub(super) fn decide(snapshot: &Snapshot) -> Plan {
    let mut plan = Plan::empty();
    let mut report = status::Report::default();
    if snapshot.config.is_deleting() {
        deletion::decide(snapshot, &mut plan, &mut report);
        for failure in report.failures() {
            note(snapshot, &mut plan, failure.0, &failure.1);
        }
        deletion::tell(snapshot, &mut plan, &report);
        return plan;
    }
    if !snapshot.problems.is_empty() {
        let list: Vec<String> = snapshot.problems.iter().map(ToString::to_string).collect();
        report.stall("InvalidSpec", &list.join("; "));
    } else if snapshot.spec.suspend {
        report.suspend();
    } else {
        fetch(snapshot, &mut plan);
        match deletion::adjust_finalizer(snapshot) {
            // Nothing is applied before the finalizer holds the config.
            Some(act) => {
                plan.stage(vec![act]);
                return plan;
            }
            None => follow(snapshot, &mut plan, &mut report),
        }
    }
    for failure in report.failures() {
        note(snapshot, &mut plan, failure.0, &failure.1);
    }
    status::write(snapshot, &report, &mut plan);
    plan
}

/// Asks where the branch is when nobody knows, the answer is old, or somebody wants to know now.
pub(super) fn fetch(snapshot: &Snapshot, plan: &mut Plan) {
    let due = match &snapshot.source {
        Source::Unknown => Some(snapshot.now),
        Source::FetchFailed(failure) => after(failure.at, snapshot.spec.interval.min(RETRY_MAX)),
        Source::Fetched(head) | Source::RenderFailed(head, _) | Source::Rendered(head, _) => {
            after(head.at, snapshot.spec.interval)
        }
    };
    let is_due = snapshot.refresh_wanted || due.is_none_or(|due| due <= snapshot.now);
    if is_due && !snapshot.fetch_asked {
        let question = Question::Fetch(snapshot.git.clone());
        plan.stage(vec![Act::new(Action::Ask { slot: head_slot(&snapshot.git), question: Box::new(question) })]);
    } else if let Some(due) = due {
        plan.wake_at(due);
    }
}

/// A failed fetch is tried again at least this often.
pub(super) const RETRY_MAX: object_model::Duration = object_model::Duration::from_secs(30);

fn follow(snapshot: &Snapshot, plan: &mut Plan, report: &mut status::Report) {
    match &snapshot.source {
        Source::Unknown => plan.wait(snapshot.git.url.clone(), "the branch has not been fetched yet"),
        Source::FetchFailed(failure) => fail(report, "Fetched", failure),
        Source::Fetched(head) => {
            report.fetched = true;
            plan.wait(
                snapshot.git.url.clone(),
                format!("commit {} is being rendered", head.commit.get(..8).unwrap_or(&head.commit)),
            );
            plan.stage(vec![rerender::ask(snapshot, head)]);
        }
        Source::RenderFailed(_, failure) => {
            report.fetched = true;
            fail(report, "Rendered", failure);
            if let (true, Ok(stored)) = (bugs::on(Bug::PruneAfterFailedRender), &snapshot.inventory) {
                prune(snapshot, stored, plan, report);
            }
            rerender::consider(snapshot, plan);
        }
        Source::Rendered(..) => {
            report.fetched = true;
            report.rendered = true;
            rerender::consider(snapshot, plan);
            apply(snapshot, plan, report);
        }
    }
}

fn fail(report: &mut status::Report, condition: &'static str, failure: &SourceFailure) {
    report.broken = Some((condition, failure.reason.clone(), failure.message.clone()));
}

fn apply(snapshot: &Snapshot, plan: &mut Plan, report: &mut status::Report) {
    let stored = match &snapshot.inventory {
        Ok(inventory) => inventory,
        Err(why) => return report.stall("InventoryUnreadable", why),
    };
    let objects: Vec<Object> = snapshot.wishes.iter().map(|wish| wish.object.clone()).collect();
    let waves = match diff_engine::apply_order(&objects) {
        Ok(waves) => waves,
        Err(errors) => {
            return report.stall("InvalidWave", &errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "));
        }
    };
    let is_empty = snapshot.wishes.is_empty() && snapshot.hooks.is_empty() && snapshot.skipped.is_empty();
    if is_empty && !snapshot.spec.prune.allow_empty && !stored.is_empty() {
        return report.stall(
            "RenderEmpty",
            &format!(
                "path `{}` renders to no object; nothing is pruned (spec.prune.guard.allowEmpty)",
                snapshot.spec.path
            ),
        );
    }
    if !snapshot.role_errors.is_empty() {
        return report.stall("InvalidHook", &snapshot.role_errors.join("; "));
    }
    let inventory = planned_inventory(snapshot, stored, &waves);
    if !bugs::on(Bug::InventoryAfterCreate) && write_inventory(snapshot, &inventory, plan, report) {
        return;
    }
    let ground = Ground { snapshot, waves: &waves, inventory: &inventory };
    if let Some(at) = windows::change(snapshot) {
        plan.wake_at(at);
    }
    sync(ground, plan, report);
    if bugs::on(Bug::InventoryAfterCreate) {
        write_inventory(snapshot, &inventory, plan, report);
    }
    status::health(snapshot, report);
    rollback::consider(snapshot, plan, report);
}

/// Applies what is asked for, nothing while something holds it, in phases where there are any, else at once.
fn sync(ground: Ground<'_>, plan: &mut Plan, report: &mut status::Report) {
    let Ground { snapshot, waves, inventory } = ground;
    let request = Request::pending(&snapshot.config);
    let is_staged = staged::is_staged(snapshot, waves);
    let look = |writes, only| Pass { writes, operation: None, only };
    if let Some(request) = request.as_ref().filter(|request| request.is_selective()) {
        let mut tried = status::Report::default();
        let closed = windows::hold(snapshot);
        if closed.is_none()
            && go_through(snapshot, waves, inventory, look(true, Some(request)), plan, &mut tried) == Reached::End
        {
            report.handled_sync = Some(request.id.clone());
        }
        // The status tells of all objects, not only of those that were asked for.
        go_through(snapshot, waves, inventory, look(false, None), plan, report);
        let hold = closed.or_else(|| gates::hold_without_request(snapshot));
        report.hold = hold.filter(|_| report.different > 0);
        return;
    }
    let is_under_way = is_staged
        && staged::is_begun(snapshot)
        && snapshot.operation.as_ref().is_some_and(|operation| !operation.phase.is_over());
    // What has begun is finished, unless a window says that it must not go on either.
    let hold = if is_under_way { windows::hold(snapshot) } else { gates::hold(snapshot) };
    if let Some(hold) = hold {
        go_through(snapshot, waves, inventory, look(false, None), plan, report);
        report.different += pending(snapshot, inventory);
        if report.different > 0 || is_under_way || (is_staged && !staged::is_begun(snapshot)) {
            plan.wait(hold.reason, hold.message.clone());
            report.hold = Some(hold);
        }
        return;
    }
    if !transaction::allows(snapshot, inventory, plan, report) {
        return;
    }
    if is_staged {
        return staged::advance(ground, plan, report);
    }
    if go_through(snapshot, waves, inventory, look(true, None), plan, report) == Reached::End {
        report.handled_sync = request.map(|request| request.id);
        if report.errors.is_empty() {
            prune(snapshot, inventory, plan, report);
            record(snapshot, plan);
        }
    }
}

/// Adds an Event about the config; the same failure at the same commit is one Event.
pub(super) fn note(snapshot: &Snapshot, plan: &mut Plan, reason: &'static str, message: &str) {
    plan.notes.push(Note {
        about: ObjectRef::of(&snapshot.kind, &snapshot.config),
        uid: snapshot.uid(),
        kind: EventType::Warning,
        reason: Reason(reason),
        message: message.to_owned(),
        transition: format!("{reason}/{}", digest(message)),
    });
}

/// A mapping with only what is set.
pub(super) fn compact(pairs: Vec<(&str, Value)>) -> Value {
    Value::Object(
        pairs.into_iter().filter(|(_, value)| !value.is_null()).map(|(key, value)| (key.to_owned(), value)).collect(),
    )
}
