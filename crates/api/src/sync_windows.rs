//! Windows of time in which syncs may run or may not, as Argo CD's AppProject has them.

use object_model::{CronSchedule, Duration, TimeZone, parse_go_duration, time_zone};
use serde_json::Value;

use crate::Fields;
use crate::fields::kind_of;
use crate::health_settings::{item_text, items};

/// The longest window: a year.
const DURATION_MAX: Duration = Duration::from_secs(366 * 24 * 3600);

/// What a window does while it is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WindowKind {
    /// Syncs run in it; outside of all such windows they don't.
    Allow,
    /// Syncs don't run in it, whatever else is open.
    Deny,
}

/// One window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncWindow {
    /// Where it stands, such as `spec.sync.windows[0]`.
    pub field: String,
    /// `kind`.
    pub kind: WindowKind,
    /// `schedule` as written.
    pub schedule_text: String,
    /// `schedule`: when it opens.
    pub schedule: CronSchedule,
    /// `duration`: how long it stays open.
    pub duration: Duration,
    /// `timeZone` of the schedule. UTC.
    pub zone: TimeZone,
    /// `manualSync`: whether a sync that a person asks for runs all the same. False.
    pub manual_sync: bool,
    /// `syncOverrun`: whether a sync goes on that began while it was allowed. False.
    pub sync_overrun: bool,
    /// `description`.
    pub description: String,
}

/// Reads a list of windows.
pub(crate) fn windows(fields: &mut Fields<'_>, path: &str) -> Vec<SyncWindow> {
    items(fields, path).iter().enumerate().filter_map(|(index, item)| window(fields, path, index, item)).collect()
}

fn window(fields: &mut Fields<'_>, path: &str, index: usize, item: &Value) -> Option<SyncWindow> {
    let field = format!("{path}[{index}]");
    let kind = match item_text(fields, item, &field, "kind").as_str() {
        "allow" => Some(WindowKind::Allow),
        "deny" => Some(WindowKind::Deny),
        other => {
            fields.problem(&format!("{field}.kind"), format!("`{other}` is not one of allow, deny"));
            None
        }
    };
    let schedule_text = item_text(fields, item, &field, "schedule");
    let schedule = schedule(fields, &field, &schedule_text);
    let duration = duration(fields, item, &field);
    let zone_name = item_text(fields, item, &field, "timeZone");
    let zone = time_zone(&zone_name);
    if zone.is_none() {
        let message = format!("`{zone_name}` is no time zone such as Europe/Amsterdam");
        fields.problem(&format!("{field}.timeZone"), message);
    }
    for name in ["applications", "namespaces", "clusters", "andOperator"] {
        if item.get(name).is_some_and(|value| !value.is_null()) {
            fields.problem(&format!("{field}.{name}"), "is not known here: a window belongs to what it stands in");
        }
    }
    Some(SyncWindow {
        manual_sync: flag(fields, item, &field, "manualSync"),
        sync_overrun: flag(fields, item, &field, "syncOverrun"),
        description: item_text(fields, item, &field, "description"),
        field,
        kind: kind?,
        schedule_text,
        schedule: schedule?,
        duration: duration?,
        zone: zone?,
    })
}

fn schedule(fields: &mut Fields<'_>, field: &str, text: &str) -> Option<CronSchedule> {
    match CronSchedule::parse(text) {
        // A period has no beginning that could be told from the clock alone.
        Ok(CronSchedule::Every(_)) => {
            fields.problem(&format!("{field}.schedule"), format!("`{text}` names no time of day"));
            None
        }
        Ok(schedule) => Some(schedule),
        Err(error) => {
            fields.problem(&format!("{field}.schedule"), error.to_string());
            None
        }
    }
}

fn duration(fields: &mut Fields<'_>, item: &Value, field: &str) -> Option<Duration> {
    let text = item_text(fields, item, field, "duration");
    let problem = match parse_go_duration(&text) {
        Ok(duration) if duration.is_zero() => "must be longer than nothing".to_owned(),
        Ok(duration) if duration > DURATION_MAX => "is longer than a year".to_owned(),
        Ok(duration) => return Some(duration),
        Err(_) if text.is_empty() => "is required".to_owned(),
        Err(error) => error.to_string(),
    };
    fields.problem(&format!("{field}.duration"), problem);
    None
}

fn flag(fields: &mut Fields<'_>, item: &Value, field: &str, name: &str) -> bool {
    match item.get(name) {
        None | Some(Value::Null) => false,
        Some(Value::Bool(flag)) => *flag,
        Some(other) => {
            fields.problem(&format!("{field}.{name}"), format!("must be true or false, not {}", kind_of(other)));
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use object_model::Object;
    use serde_json::json;

    fn read(windows: Value) -> (Vec<SyncWindow>, Vec<String>) {
        let object = Object::parse(json!({
            "apiVersion": "sluice.dev/v1", "kind": "GitOpsConfig", "metadata": {"name": "a"},
            "spec": {"sync": {"windows": windows}},
        }))
        .unwrap();
        let mut fields = Fields::of(&object);
        let windows = super::windows(&mut fields, "spec.sync.windows");
        (windows, fields.into_problems().iter().map(ToString::to_string).collect())
    }

    #[test]
    fn a_window_of_an_app_project_is_read_as_it_stands() {
        let (windows, problems) = read(json!([
            {"kind": "allow", "schedule": "10 1 * * *", "duration": "1h", "manualSync": true},
            {"kind": "deny", "schedule": "0 22 * * *", "timeZone": "Europe/Amsterdam", "duration": "90m", "syncOverrun": true},
        ]));
        assert_eq!(problems, Vec::<String>::new());
        assert_eq!(
            (windows[0].kind, windows[0].manual_sync, windows[0].sync_overrun),
            (WindowKind::Allow, true, false)
        );
        assert_eq!((windows[1].kind, windows[1].duration.as_secs()), (WindowKind::Deny, 5400));
        assert!(windows[1].sync_overrun);
    }

    #[test]
    fn everything_that_is_wrong_with_a_window_is_named() {
        let (windows, problems) = read(json!([
            {"kind": "open", "schedule": "61 * * * *", "duration": "soon", "timeZone": "Europe/Atlantis"},
            {"kind": "deny", "schedule": "@every 1h", "duration": "0s", "manualSync": "yes", "applications": ["*"]},
        ]));
        assert_eq!(windows, []);
        assert_eq!(
            problems,
            [
                "spec.sync.windows[0].kind: `open` is not one of allow, deny",
                "spec.sync.windows[0].schedule: end of range (61) above maximum (59): 61",
                "spec.sync.windows[0].duration: `soon` is not a duration: a number needs a unit: ns, us, ms, s, m or h",
                "spec.sync.windows[0].timeZone: `Europe/Atlantis` is no time zone such as Europe/Amsterdam",
                "spec.sync.windows[1].schedule: `@every 1h` names no time of day",
                "spec.sync.windows[1].duration: must be longer than nothing",
                "spec.sync.windows[1].applications: is not known here: a window belongs to what it stands in",
                "spec.sync.windows[1].manualSync: must be true or false, not a string",
            ]
        );
    }
}
