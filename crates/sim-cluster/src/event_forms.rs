//! Events have two forms for one stored object: the core one, which is stored, and that of `events.k8s.io`.

use serde_json::Value;

/// Names of fields: in the core form and in that of `events.k8s.io`.
const PAIRS: [(&str, &str); 7] = [
    ("involvedObject", "regarding"),
    ("message", "note"),
    ("reportingComponent", "reportingController"),
    ("source", "deprecatedSource"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("count", "deprecatedCount"),
];

/// The group of the newer form.
pub(crate) const GROUP: &str = "events.k8s.io";

fn rename(
    event: &mut Value,
    api_version: &str,
    name: impl Fn(&(&'static str, &'static str)) -> (&'static str, &'static str),
) {
    let Some(fields) = event.as_object_mut() else { return };
    for pair in &PAIRS {
        let (from, to) = name(pair);
        if let Some(value) = fields.remove(from) {
            fields.insert(to.to_owned(), value);
        }
    }
    fields.insert("apiVersion".to_owned(), api_version.into());
}

/// Turns the form of `events.k8s.io` into the stored one.
pub(crate) fn to_core(event: &mut Value) {
    rename(event, "v1", |(core, newer)| (newer, core));
}

/// Turns the stored form into that of `events.k8s.io`.
pub(crate) fn to_newer(event: &mut Value) {
    rename(event, "events.k8s.io/v1", |(core, newer)| (core, newer));
    // What the old form writes empty the new one leaves out.
    if let Some(fields) = event.as_object_mut() {
        fields.retain(|key, value| !(key.starts_with("reporting") && value == ""));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_two_forms_turn_into_each_other() {
        let newer = json!({
            "apiVersion": "events.k8s.io/v1", "regarding": {"name": "web"}, "note": "hello", "reason": "Why",
            "reportingController": "sluice", "deprecatedCount": 2,
        });
        let mut event = newer.clone();
        to_core(&mut event);
        assert_eq!((&event["involvedObject"]["name"], &event["message"]), (&json!("web"), &json!("hello")));
        assert_eq!((&event["reportingComponent"], &event["count"]), (&json!("sluice"), &json!(2)));
        to_newer(&mut event);
        assert_eq!(event, newer);
    }
}
