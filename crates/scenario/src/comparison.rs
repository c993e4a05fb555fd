//! Two ends of the same story, compared: every object, every file in Git, what the record says was wanted, and how often
//! each object was created and deleted. What may differ without harm (versions, uids, moments, generated names) is left
//! out.

use std::collections::{BTreeMap, BTreeSet};

use object_model::Object;
use serde_json::{Map, Value};
use sim_cluster::{Actor, Effect};

use crate::setting::{BRANCH, Moment};

/// Under this annotation others write on objects beside a story; it is no part of its end.
pub const RIVAL_ANNOTATION: &str = "simulation.sluice.dev/rival";
/// In this folder others commit beside a story; it is no part of its end.
pub const RIVAL_FOLDER: &str = "rivals/";

/// Resources whose objects have generated names or tell of moments; their owners tell of them.
const SKIPPED: [&str; 6] = ["events", "leases", "pods", "endpoint", "customresource", "nodes"];

/// The user that the operator of a setting is.
pub fn operator_user() -> String {
    format!("system:serviceaccount:{}:{}", api::install::NAMESPACE, api::install::SERVICE_ACCOUNT)
}

/// Whether a write is the operator's and neither an Event nor a Lease.
pub fn is_effect(actor: &Actor, resource: &str) -> bool {
    is_operator(actor) && !resource.starts_with("events") && !resource.starts_with("leases")
}

/// Whether a request is the operator's, also in somebody else's name.
pub fn is_operator(actor: &Actor) -> bool {
    let operator = operator_user();
    actor.user.name == operator || actor.impersonator.as_deref() == Some(operator.as_str())
}

/// The line under which creations or deletions of an object are counted.
pub fn count_line(effect: Effect, resource: &str, namespace: &str, name: &str) -> String {
    // The names of pods are generated: they are counted together.
    let name = if resource.starts_with("pods") { "*" } else { name };
    format!("{effect:?} {resource} {namespace}/{}", plain_text(name))
}

/// What must be equal at the end, in lines; `unlogged` is the count line of a write that the log has not got yet. Nothing
/// when the repository is not in memory or has no `main`.
pub fn told(moment: &Moment, unlogged: Option<&str>) -> Option<BTreeMap<String, String>> {
    let mut lines = objects(moment);
    git(moment, &mut lines)?;
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for entry in moment.cluster.requests().filter(|entry| is_effect(&entry.actor, &entry.resource)) {
        if matches!(entry.effect, Effect::Created | Effect::Deleted) {
            let line = count_line(entry.effect, &entry.resource, &entry.namespace, &entry.name);
            *counts.entry(line).or_default() += 1;
        }
    }
    if let Some(line) = unlogged {
        *counts.entry(line.to_owned()).or_default() += 1;
    }
    lines.extend(counts.into_iter().map(|(what, count)| (what, count.to_string())));
    let rows = moment.record.rows();
    let wanted: BTreeSet<String> = rows
        .iter()
        .filter(|row| row.key.starts_with("desired/"))
        .map(|row| plain_text(&format!("{} {}", row.object, row.digest)))
        .collect();
    lines.insert("record: wanted".to_owned(), wanted.into_iter().collect::<Vec<_>>().join(", "));
    Some(lines)
}

/// The keys under which two ends differ, with both sides.
pub fn differences(wanted: &BTreeMap<String, String>, found: &BTreeMap<String, String>) -> Vec<String> {
    let keys: BTreeSet<&String> = wanted.keys().chain(found.keys()).collect();
    let differing = keys.into_iter().filter(|key| wanted.get(*key) != found.get(*key));
    differing
        .map(|key| {
            let (want, have) = (wanted.get(key), found.get(key));
            let both = want.zip(have).and_then(|(want, have)| {
                Some((serde_json::from_str::<Value>(want).ok()?, serde_json::from_str::<Value>(have).ok()?))
            });
            match both {
                Some((want @ Value::Object(_), have @ Value::Object(_))) => {
                    let mut parts = String::new();
                    differing_parts("", &want, &have, &mut parts);
                    format!("{key}{parts}")
                }
                _ => format!("{key}\n  want {want:?}\n  have {have:?}"),
            }
        })
        .collect()
}

/// The fields in which two values differ, a line each.
fn differing_parts(path: &str, want: &Value, have: &Value, parts: &mut String) {
    match (want, have) {
        (Value::Object(one), Value::Object(other)) => {
            let keys: BTreeSet<&String> = one.keys().chain(other.keys()).collect();
            for key in keys {
                let (want, have) = (one.get(key).unwrap_or(&Value::Null), other.get(key).unwrap_or(&Value::Null));
                differing_parts(&format!("{path}/{key}"), want, have, parts);
            }
        }
        (Value::Array(one), Value::Array(other)) if one.len() == other.len() => {
            for (index, (want, have)) in one.iter().zip(other).enumerate() {
                differing_parts(&format!("{path}/{index}"), want, have, parts);
            }
        }
        _ if want == have => {}
        _ => parts.push_str(&format!("\n  {path}\n    want {want}\n    have {have}")),
    }
}

fn objects(moment: &Moment) -> BTreeMap<String, String> {
    // Names that are ids are the same name, so one may have several objects.
    let mut named: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for resource in moment.cluster.resources() {
        let storage = resource.storage.to_string();
        if SKIPPED.iter().any(|skipped| storage.starts_with(skipped)) {
            continue;
        }
        for stored in moment.cluster.list(&storage, None) {
            let Ok(object) = Object::from_json(stored.json().clone()) else { continue };
            let name = format!("{storage} {}", plain_text(&object.id().to_string()));
            named.entry(name).or_default().push(plain(stored.json()).to_string());
        }
    }
    let mut lines = BTreeMap::new();
    for (name, mut objects) in named {
        objects.sort();
        for (index, object) in objects.into_iter().enumerate() {
            let key = if index == 0 { name.clone() } else { format!("{name} {}", index + 1) };
            lines.insert(key, object);
        }
    }
    lines
}

fn git(moment: &Moment, lines: &mut BTreeMap<String, String>) -> Option<()> {
    let repository = moment.fleet.memory()?.repository();
    // A story without a repository has no branch.
    let Some(head) = repository.resolve(BRANCH).ok()? else { return Some(()) };
    let tree = repository.tree_at(head).ok()?;
    for path in tree.files("").ok()?.keys().filter(|path| !path.starts_with(RIVAL_FOLDER)) {
        lines.insert(format!("git {path}"), String::from_utf8_lossy(&tree.read(path).ok()?).into_owned());
    }
    let commits = moment.fleet.log(100);
    for kind in ["promote", "rollback"] {
        let count = commits.iter().filter(|commit| commit.trailers.get("Sluice-Action") == Some(kind)).count();
        lines.insert(format!("git commits: {kind}"), count.to_string());
    }
    Some(())
}

/// A value without what may differ: versions, uids, moments, ids of commits, counts of measurements.
pub fn plain(value: &Value) -> Value {
    const DROPPED: [&str; 13] = [
        // How long pauses were, in seconds.
        "duration",
        "resourceVersion",
        "uid",
        "managedFields",
        "generation",
        "observedGeneration",
        "metricResults",
        "runSummary",
        "since",
        "attempt",
        "lastHandledRefresh",
        "delivered",
        RIVAL_ANNOTATION,
    ];
    match value {
        Value::Object(map) => {
            let kept = map.iter().filter(|(key, _)| !DROPPED.contains(&key.as_str()));
            let kept = kept.map(|(key, value)| match conditions(key, value) {
                Some(conditions) => (plain_text(key), plain(&conditions)),
                None => (plain_text(key), plain(value)),
            });
            // Annotations of which only a rival's was there are none.
            let is_bare = |(key, value): &(String, Value)| key == "annotations" && *value == Value::Object(Map::new());
            Value::Object(kept.filter(|entry| !is_bare(entry)).collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(plain).collect()),
        Value::String(text) => Value::String(plain_text(text)),
        other => other.clone(),
    }
}

/// Conditions by their type: their order tells which was there first. Not to be paused is the same as never to have been.
fn conditions(key: &str, value: &Value) -> Option<Value> {
    let items = value.as_array().filter(|_| key == "conditions")?;
    let mut by_type = Map::new();
    for item in items {
        let name = item.get("type")?.as_str()?;
        if name != "Paused" || item.get("status").and_then(Value::as_str) != Some("False") {
            by_type.insert(name.to_owned(), item.clone());
        }
    }
    Some(Value::Object(by_type))
}

/// A text with `<id>` for ids of commits and uids, `<time>` for moments and numbers of measurements left out.
pub fn plain_text(text: &str) -> String {
    let mut plain = String::new();
    let mut run = String::new();
    let is_id = |word: &str| word.len() >= 12 && word.chars().all(|c| c.is_ascii_hexdigit() || c == '-');
    let end = |run: &mut String, plain: &mut String| {
        if run.len() >= 20 && run.parse::<object_model::Timestamp>().is_ok() {
            plain.push_str("<time>");
        } else {
            // A Job of a metric is named by the uid of its run, the metric and a number.
            let words: Vec<&str> = run.split('.').map(|word| if is_id(word) { "<id>" } else { word }).collect();
            plain.push_str(&words.join("."));
        }
        run.clear();
    };
    for c in text.chars() {
        if c.is_ascii_alphanumeric() || matches!(c, '-' | ':' | '.') {
            run.push(c);
        } else {
            end(&mut run, &mut plain);
            plain.push(c);
        }
    }
    end(&mut run, &mut plain);
    match plain.split_once("-rollback-") {
        Some((stem, rest)) => format!("{stem}-rollback-{}", rest.chars().skip(12).collect::<String>()),
        None => plain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn versions_moments_and_ids_are_no_difference() {
        let one = json!({"metadata": {"name": "a", "uid": "1", "annotations": {RIVAL_ANNOTATION: "3"}},
            "status": {"at": "2030-01-01T00:00:00Z", "commit": "0123456789abcdef0123456789abcdef01234567"}});
        let two = json!({"metadata": {"name": "a", "uid": "2", "generation": 3},
            "status": {"at": "2030-01-01T00:00:09Z", "commit": "fedcba9876543210fedcba9876543210fedcba98"}});
        assert_eq!(plain(&one), plain(&two));
    }

    #[test]
    fn an_id_is_none_also_where_it_is_a_part_of_a_name() {
        for (text, plainly) in [
            ("Job 0a1b2c3d-0000-4000-8000-000000000001.smoke.1", "Job <id>.smoke.1"),
            ("web-6c4b7d5f9.web", "web-6c4b7d5f9.web"),
            ("at 2030-01-01T00:00:00.5Z, 10.0.0.1", "at <time>, 10.0.0.1"),
        ] {
            assert_eq!(plain_text(text), plainly);
        }
    }

    #[test]
    fn the_order_of_conditions_is_no_difference_and_their_status_is_one() {
        let status = |kinds: &[(&str, &str)]| {
            let all: Vec<Value> = kinds.iter().map(|(kind, status)| json!({"type": kind, "status": status})).collect();
            plain(&json!({"status": {"conditions": all}}))
        };
        let one = status(&[("Available", "True"), ("Progressing", "True")]);
        assert_eq!(one, status(&[("Progressing", "True"), ("Paused", "False"), ("Available", "True")]));
        assert_ne!(one, status(&[("Available", "False"), ("Progressing", "True")]));
        assert_ne!(one, status(&[("Available", "True"), ("Progressing", "True"), ("Paused", "True")]));
    }

    #[test]
    fn what_differs_is_told_with_both_sides() {
        let map = |value: &str| BTreeMap::from([("a".to_owned(), value.to_owned())]);
        assert!(differences(&map("1"), &map("1")).is_empty());
        assert_eq!(differences(&map("1"), &map("2")), ["a\n  want Some(\"1\")\n  have Some(\"2\")"]);
        let (one, two) = (map("{\"a\": {\"b\": [1, 2]}}"), map("{\"a\": {\"b\": [1, 3]}}"));
        assert_eq!(differences(&one, &two), ["a\n  /a/b/1\n    want 2\n    have 3"]);
    }
}
