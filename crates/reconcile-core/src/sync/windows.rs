//! Windows of time in which syncs may run: what is open now, what that means for a sync, and when it changes.
//!
//! | windows | a sync |
//! |---|---|
//! | none | runs |
//! | a deny window is open | does not run |
//! | an allow window is open | runs |
//! | allow windows, none open | does not run |
//!
//! A sync that a person asks for runs all the same when every window in its way says `manualSync`; one that began while it
//! was allowed goes on when every window in its way says `syncOverrun`.

use api::{Environment, GitOpsConfig, SyncWindow, WindowKind};
use object_model::{Duration, Timestamp, format_time};
use serde_json::{Value, json};

use super::gates::Hold;
use super::operation::Operation;
use super::request::Request;
use super::snapshot::Snapshot;
use crate::time::after;
use crate::{View, kinds};

/// A window and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// The Environment whose window it is; the config itself when there is none.
    pub environment: Option<String>,
    /// The window.
    pub window: SyncWindow,
}

/// What the windows say at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Outlook<'a> {
    /// The windows that are in the way of a sync; empty when it may run.
    pub(super) in_the_way: Vec<&'a Window>,
    /// When that may change.
    pub(super) until: Option<Timestamp>,
}

impl Outlook<'_> {
    /// Whether a sync that a person asks for may run.
    fn allows_manual(&self) -> bool {
        self.in_the_way.iter().all(|window| window.window.manual_sync)
    }

    fn allows_overrun(&self) -> bool {
        self.in_the_way.iter().all(|window| window.window.sync_overrun)
    }
}

/// The windows of a config and of the Environments whose namespace it delivers to, and what is wrong with the latter.
pub(super) fn observe(view: &dyn View, spec: &GitOpsConfig) -> (Vec<Window>, Vec<String>) {
    let own = spec.sync.windows.iter().map(|window| Window { environment: None, window: window.clone() });
    let mut windows: Vec<Window> = own.collect();
    let mut problems = Vec::new();
    for object in view.list(&kinds::environment(), "") {
        let (environment, wrong) = Environment::parse(&object);
        if environment.namespace != spec.namespace {
            continue;
        }
        let name = environment.name;
        let wrong = wrong.iter().filter(|problem| problem.field.starts_with("spec.windows"));
        problems.extend(wrong.map(|problem| format!("Environment {name}: {problem}")));
        let inherited = environment.windows.into_iter();
        windows.extend(inherited.map(|window| Window { environment: Some(name.clone()), window }));
    }
    (windows, problems)
}

/// What the windows say at `now`.
pub(super) fn outlook(windows: &[Window], now: Timestamp) -> Outlook<'_> {
    let mut until: Option<Timestamp> = None;
    let (mut denies, mut allows, mut closed) = (Vec::new(), Vec::new(), Vec::new());
    for window in windows {
        let opened = opened(&window.window, now);
        let change = match opened {
            Some(opened) => after(opened, window.window.duration),
            None => window.window.schedule.next(now, &window.window.zone),
        };
        until = until.into_iter().chain(change).min();
        match (window.window.kind, opened) {
            (WindowKind::Deny, Some(_)) => denies.push(window),
            (WindowKind::Deny, None) => {}
            (WindowKind::Allow, Some(_)) => allows.push(window),
            (WindowKind::Allow, None) => closed.push(window),
        }
    }
    let in_the_way = match (denies.is_empty(), allows.is_empty()) {
        (false, _) => denies,
        (true, false) => Vec::new(),
        (true, true) => closed,
    };
    Outlook { in_the_way, until }
}

/// When a window opened that is open now: the first opening that is not over.
fn opened(window: &SyncWindow, now: Timestamp) -> Option<Timestamp> {
    let span = jiff::SignedDuration::try_from(window.duration).ok()?;
    let over = now.checked_sub(span).ok()?;
    window.schedule.next(over, &window.zone).filter(|opened| *opened <= now)
}

/// Returns why no sync runs now; `None` when one may.
pub(super) fn hold(snapshot: &Snapshot) -> Option<Hold> {
    if let Some(problem) = snapshot.window_problems.first() {
        // A window that can't be read may be one that forbids.
        return Some(Hold { reason: "SyncWindow", message: problem.clone() });
    }
    let outlook = outlook(&snapshot.windows, snapshot.now);
    if outlook.in_the_way.is_empty() {
        return None;
    }
    let running = running(snapshot);
    let is_asked = Request::pending(&snapshot.config).is_some() || running.is_some_and(|operation| operation.is_manual);
    if is_asked && outlook.allows_manual() {
        return None;
    }
    let began = running.and_then(Operation::started);
    if outlook.allows_overrun() && began.is_some_and(|began| was_allowed(snapshot, began)) {
        return None;
    }
    Some(Hold { reason: "SyncWindow", message: describe(&outlook) })
}

/// The stored operation, when it is about what Git wants now and not over.
fn running(snapshot: &Snapshot) -> Option<&Operation> {
    let running = snapshot.operation.as_ref().filter(|operation| !operation.phase.is_over());
    running.filter(|operation| operation.digest == snapshot.desired_digest())
}

fn was_allowed(snapshot: &Snapshot, moment: Timestamp) -> bool {
    outlook(&snapshot.windows, moment).in_the_way.is_empty()
}

/// When to look again because a window opens or closes.
pub(super) fn change(snapshot: &Snapshot) -> Option<Timestamp> {
    outlook(&snapshot.windows, snapshot.now).until
}

fn describe(outlook: &Outlook<'_>) -> String {
    let names: Vec<String> = outlook.in_the_way.iter().take(3).map(|window| name(window)).collect();
    let more = outlook.in_the_way.len().saturating_sub(names.len());
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let what = match outlook.in_the_way.first().map(|window| window.window.kind) {
        Some(WindowKind::Deny) => "open window",
        _ => "no window is open, only",
    };
    let until = outlook.until.map(|until| format!(", until {} at least", format_time(until))).unwrap_or_default();
    let manual = if outlook.allows_manual() { "; a sync that is asked for runs" } else { "" };
    format!("{what} {}{more}{until}{manual}", names.join(", "))
}

/// `deny:0 22 * * *:1h`, as Argo CD's command line names windows.
fn name(window: &Window) -> String {
    let SyncWindow { kind, schedule_text, duration, description, .. } = &window.window;
    let kind = match kind {
        WindowKind::Allow => "allow",
        WindowKind::Deny => "deny",
    };
    let place = window.environment.as_ref().map(|name| format!(" of Environment {name}")).unwrap_or_default();
    let description = if description.is_empty() { String::new() } else { format!(" ({description})") };
    format!("{kind}:{schedule_text}:{}{place}{description}", length(*duration))
}

/// As people write it: `1h`, not `1h0m0s`.
fn length(duration: Duration) -> String {
    let text = object_model::format_go_duration(duration);
    let text = if text.ends_with("m0s") { text.trim_end_matches("0s") } else { &text };
    let text = if text.ends_with("h0m") { text.trim_end_matches("0m") } else { text };
    text.to_owned()
}

/// What the status says about windows; `None` without windows.
pub(super) fn status(snapshot: &Snapshot) -> Option<Value> {
    if snapshot.windows.is_empty() {
        return None;
    }
    let outlook = outlook(&snapshot.windows, snapshot.now);
    let state = match (outlook.in_the_way.is_empty(), outlook.allows_manual()) {
        (true, _) => "SyncAllowed",
        (false, true) => "ManualAllowed",
        (false, false) => "SyncDenied",
    };
    let in_the_way: Vec<String> = outlook.in_the_way.iter().take(10).map(|window| name(window)).collect();
    let mut value = json!({"state": state, "assigned": snapshot.windows.len()});
    if let (Some(until), Value::Object(map)) = (outlook.until, &mut value) {
        map.insert("until".to_owned(), format_time(until).into());
        if !in_the_way.is_empty() {
            map.insert("inTheWay".to_owned(), in_the_way.into());
        }
    }
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use object_model::Object;

    fn windows(list: &Value) -> Vec<Window> {
        let config = json!({
            "apiVersion": "sluice.dev/v1", "kind": "GitOpsConfig", "metadata": {"name": "a"},
            "spec": {"url": "https://x/y", "branch": "main", "sync": {"windows": list}},
        });
        let (spec, problems) = GitOpsConfig::parse(&Object::parse(config).unwrap());
        assert_eq!(problems, []);
        spec.sync.windows.into_iter().map(|window| Window { environment: None, window }).collect()
    }

    fn told(list: &Value, now: &str) -> String {
        let windows = windows(list);
        let outlook = outlook(&windows, now.parse().unwrap());
        let until = outlook.until.map(format_time).unwrap_or_default();
        let names: Vec<String> = outlook.in_the_way.iter().map(|window| name(window)).collect();
        format!("{} | {until}", names.join(" "))
    }

    #[test]
    fn an_allow_window_keeps_syncs_out_of_all_other_times() {
        let office = json!([{"kind": "allow", "schedule": "0 9 * * mon-fri", "duration": "8h"}]);
        for (now, want) in [
            // 2026-11-23 is a Monday.
            ("2026-11-23T08:59:59Z", "allow:0 9 * * mon-fri:8h | 2026-11-23T09:00:00Z"),
            ("2026-11-23T09:00:00Z", " | 2026-11-23T17:00:00Z"),
            ("2026-11-23T16:59:59Z", " | 2026-11-23T17:00:00Z"),
            ("2026-11-23T17:00:00Z", "allow:0 9 * * mon-fri:8h | 2026-11-24T09:00:00Z"),
            ("2026-11-27T17:00:00Z", "allow:0 9 * * mon-fri:8h | 2026-11-30T09:00:00Z"),
        ] {
            assert_eq!(told(&office, now), want, "{now}");
        }
    }

    #[test]
    fn a_deny_window_wins_over_an_allow_window() {
        let both = json!([
            {"kind": "allow", "schedule": "0 0 * * *", "duration": "24h"},
            {"kind": "deny", "schedule": "0 22 * * *", "duration": "1h"},
        ]);
        assert_eq!(told(&both, "2026-11-23T21:00:00Z"), " | 2026-11-23T22:00:00Z");
        assert_eq!(told(&both, "2026-11-23T22:30:00Z"), "deny:0 22 * * *:1h | 2026-11-23T23:00:00Z");
        assert_eq!(told(&json!([both[1]]), "2026-11-23T12:00:00Z"), " | 2026-11-23T22:00:00Z");
    }

    #[test]
    fn a_window_keeps_to_its_time_zone_across_the_change_of_clocks() {
        let night =
            json!([{"kind": "deny", "schedule": "0 22 * * *", "duration": "1h", "timeZone": "Europe/Amsterdam"}]);
        // Winter: UTC+1. Summer: UTC+2.
        assert!(told(&night, "2026-01-10T21:30:00Z").starts_with("deny"));
        assert!(!told(&night, "2026-01-10T20:30:00Z").starts_with("deny"));
        assert!(told(&night, "2026-07-10T20:30:00Z").starts_with("deny"));
        assert!(!told(&night, "2026-07-10T21:30:00Z").starts_with("deny"));
    }

    #[test]
    fn a_window_that_never_opens_denies_nothing_and_allows_nothing() {
        let never = |kind: &str| json!([{"kind": kind, "schedule": "0 0 30 2 *", "duration": "1h"}]);
        assert_eq!(told(&never("deny"), "2026-11-23T12:00:00Z"), " | ");
        assert_eq!(told(&never("allow"), "2026-11-23T12:00:00Z"), "allow:0 0 30 2 *:1h | ");
    }
}
