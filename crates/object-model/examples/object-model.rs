//! Selects the objects of one app and keeps a condition's transition time while nothing changes.

use object_model::{Condition, ConditionStatus, LabelSelector, Object, set_condition};
use serde_json::json;

/// Returns what the program prints.
pub(crate) fn run() -> String {
    let mut printed = String::new();
    let mut web = Object::new("apps/v1", "Deployment", Some("qa"), "web");
    web.set_label("app", "web");
    let batch = Object::new("batch/v1", "Job", Some("qa"), "report");
    if let Ok(selector) = LabelSelector::parse(&json!({"matchLabels": {"app": "web"}})) {
        for object in [&web, &batch] {
            printed.push_str(&format!("{}: selected {}\n", object.id(), selector.matches_object(object)));
        }
    }
    let mut conditions = Vec::new();
    for time in ["2026-11-22T07:15:00Z", "2026-11-22T07:16:00Z"] {
        if let Some(now) = object_model::parse_time(time) {
            set_condition(&mut conditions, Condition::new("Ready", ConditionStatus::True, "Available", "2 of 2"), now);
        }
    }
    for condition in &conditions {
        printed.push_str(&serde_json::to_string(condition).unwrap_or_default());
        printed.push('\n');
    }
    printed
}

#[expect(clippy::print_stdout, reason = "an example talks to its reader")]
#[cfg_attr(test, expect(dead_code, reason = "the test calls run"))]
fn main() {
    print!("{}", run());
}
