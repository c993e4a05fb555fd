//! The part of the second opinion that is about holding back: windows, dependencies and transactions.

use std::collections::BTreeSet;

use api::WindowKind;
use object_model::{Object, ObjectId, Timestamp};

use super::operation::{Operation, Phase};
use super::request::Request;
use super::snapshot::Snapshot;
use super::windows::Window;
use crate::{Action, Answer};

/// Openings of one window that are gone through; more than open within the longest one.
const OPENINGS_MAX: usize = 600_000;

/// Names the rule that a write would break although something holds it back.
pub(super) fn held(snapshot: &Snapshot, action: &Action) -> Option<(&'static str, String)> {
    if snapshot.config.is_deleting() {
        return None;
    }
    let (id, is_apply) = match action {
        Action::Apply { object, .. } | Action::Replace { object, .. } => (object.id(), true),
        Action::Create { kind, object } if !matches!(kind.kind.as_str(), "Inventory" | "Promotion") => {
            (object.id(), snapshot.wishes.iter().any(|wish| wish.object.id() == object.id()))
        }
        Action::Delete { target, .. } if target.kind.kind != "Inventory" => (target.id(), false),
        _ => return None,
    };
    window(snapshot, &id)
        .or_else(|| dependency(snapshot, &id))
        .or_else(|| if is_apply { transaction(snapshot, &id) } else { None })
}

/// The operation that the status remembers, while it runs.
fn running(snapshot: &Snapshot) -> Option<&Operation> {
    let operation = snapshot.operation.as_ref()?;
    let is_over = matches!(operation.phase, Phase::Succeeded | Phase::Failed);
    (!is_over && operation.digest == snapshot.desired_digest()).then_some(operation)
}

/// Nothing is written while the windows forbid it, but for what a person asked for and what had begun, where they say so.
fn window(snapshot: &Snapshot, id: &ObjectId) -> Option<(&'static str, String)> {
    let rule = "sync-in-its-window";
    if !snapshot.window_problems.is_empty() {
        return Some((rule, format!("{id} would be written although a window can't be read")));
    }
    let closing = closing(&snapshot.windows, snapshot.now);
    if closing.is_empty() {
        return None;
    }
    let running = running(snapshot);
    let is_manual =
        Request::pending(&snapshot.config).is_some() || running.is_some_and(|operation| operation.is_manual);
    let allows_manual = closing.iter().all(|window| window.window.manual_sync);
    let began_open =
        running.and_then(Operation::started).is_some_and(|at| self::closing(&snapshot.windows, at).is_empty());
    let allows_overrun = closing.iter().all(|window| window.window.sync_overrun);
    if (is_manual && allows_manual) || (began_open && allows_overrun) {
        return None;
    }
    Some((rule, format!("{id} would be written while {} windows forbid it", closing.len())))
}

/// The windows that forbid a sync at a moment: deny windows that are open, else allow windows when none of them is.
fn closing(windows: &[Window], at: Timestamp) -> Vec<&Window> {
    let of = |kind: WindowKind| windows.iter().filter(move |window| window.window.kind == kind);
    let denies: Vec<&Window> = of(WindowKind::Deny).filter(|window| is_open(window, at)).collect();
    if !denies.is_empty() {
        return denies;
    }
    if of(WindowKind::Allow).any(|window| is_open(window, at)) {
        return Vec::new();
    }
    of(WindowKind::Allow).collect()
}

/// Goes through the openings from before the window's length on, and looks whether the moment lies in one.
fn is_open(window: &Window, at: Timestamp) -> bool {
    let window = &window.window;
    let length = i64::try_from(window.duration.as_secs()).unwrap_or(i64::MAX);
    let Ok(mut opening) = Timestamp::from_second(at.as_second().saturating_sub(length).saturating_sub(1)) else {
        return false;
    };
    for _ in 0..OPENINGS_MAX {
        match window.schedule.next(opening, &window.zone) {
            Some(next) if next <= at => opening = next,
            _ => return false,
        }
        // In nanoseconds, because a length may be a part of a second.
        if at.as_nanosecond() - opening.as_nanosecond()
            < i128::try_from(window.duration.as_nanos()).unwrap_or(i128::MAX)
        {
            return true;
        }
    }
    false
}

/// What others have to be ready for waits for them, unless it had begun or a person picked it.
fn dependency(snapshot: &Snapshot, id: &ObjectId) -> Option<(&'static str, String)> {
    let missing = snapshot.dependencies.first()?;
    let is_picked = Request::pending(&snapshot.config).is_some_and(|request| request.is_selective());
    if is_picked || running(snapshot).is_some() {
        return None;
    }
    Some(("dependencies-first", format!("{id} would be written although {missing}")))
}

/// Nothing of a transaction is applied before the server has said that it takes everything. What lies in a namespace that
/// comes with it can't be asked about, and what a person picked is no transaction.
fn transaction(snapshot: &Snapshot, id: &ObjectId) -> Option<(&'static str, String)> {
    let is_picked = Request::pending(&snapshot.config).is_some_and(|request| request.is_selective());
    if !snapshot.spec.apply.is_transaction || is_picked {
        return None;
    }
    let is_new = |object: &&Object| object.kind() == "Namespace" && !snapshot.live.contains_key(&object.id());
    let new: BTreeSet<&str> =
        snapshot.wishes.iter().map(|wish| &wish.object).filter(is_new).map(|object| object.name()).collect();
    if id.namespace.as_deref().is_some_and(|namespace| new.contains(namespace)) {
        return None;
    }
    let about = format!("transaction/{}/", snapshot.desired_digest());
    let mut answers = snapshot.dry_runs.iter().filter(|(slot, _)| slot.name.starts_with(&about));
    let is_taken = answers.any(|(_, answer)| matches!(answer, Answer::DryRun(refused) if refused.is_empty()));
    (!is_taken)
        .then(|| ("transaction-asks-first", format!("{id} would be applied before the server was asked about all")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use api::GitOpsConfig;
    use serde_json::json;

    /// Both opinions about every quarter of an hour of two weeks, with a change of clocks in them.
    #[test]
    fn both_opinions_of_windows_agree_at_every_moment() {
        let config = json!({
            "apiVersion": "sluice.dev/v1", "kind": "GitOpsConfig", "metadata": {"name": "a"},
            "spec": {"url": "https://x/y", "branch": "main", "sync": {"windows": [
                {"kind": "allow", "schedule": "0 8 * * mon-fri", "duration": "10h", "timeZone": "Europe/Amsterdam"},
                {"kind": "allow", "schedule": "30 1 * * *", "duration": "90m", "timeZone": "Europe/Amsterdam"},
                {"kind": "deny", "schedule": "*/20 12 * * *", "duration": "5m"},
                {"kind": "deny", "schedule": "0 0 25 10 *", "duration": "36h", "timeZone": "America/New_York"},
            ]}},
        });
        let (spec, problems) = GitOpsConfig::parse(&Object::parse(config).unwrap());
        assert_eq!(problems, []);
        let windows: Vec<Window> =
            spec.sync.windows.into_iter().map(|window| Window { environment: None, window }).collect();
        let begin: Timestamp = "2026-10-18T00:00:00Z".parse().unwrap();
        let mut states = BTreeSet::new();
        for quarter in 0..14 * 96_i64 {
            let now = Timestamp::from_second(begin.as_second() + quarter * 900).unwrap();
            let first = super::super::windows::outlook(&windows, now).in_the_way;
            assert_eq!(first, closing(&windows, now), "{now}");
            states.insert(first.len());
        }
        assert!(states.len() >= 3, "{states:?}");
    }
}
