//! Every field of a status in Argo's five definitions is written in some story or by people, or stands in the page with
//! the reason; and what stands there is never written.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use scenario::end_to_end::{Scenario, fixtures, on_embedded_heard};
use serde_json::Value;
use sim_cluster::{Cluster, WriteInfo};

/// Stories in which a status says what it says nowhere else.
const STORIES: [&str; 22] = [
    "argo/alb",
    "argo/analysis-abort-and-update",
    "argo/analysis-background",
    "argo/analysis-background-inconclusive",
    "argo/analysis-blue-green-kitchen-sink",
    "argo/analysis-in-steps",
    "argo/analysis-pre-promotion-fails",
    "argo/analysis-several-one-fails",
    "argo/blue-green-preview-count",
    "argo/canary-promote-full",
    "argo/canary-with-spec-pause",
    "argo/duration-blue-green-manual-promotion",
    "argo/experiment",
    "argo/experiment-collision",
    "argo/experiment-dry-run",
    "argo/experiment-service-name",
    "argo/experiment-step",
    "argo/hash-collision",
    "argo/ping-pong",
    "argo/restart-at-rest",
    "argo/workload-ref",
    "metrics-down",
];

/// What is written in the same shape as something else, with a test that names it.
const ELSEWHERE: [(&str, &str, &str); 1] =
    [("AnalysisRun status.dryRunSummary", "crates/analysis/tests/all/machine.rs", "dryRunSummary")];

/// Kinds by the name of their resource.
const KINDS: [(&str, &str); 3] = [
    ("rollouts.argoproj.io", "Rollout"),
    ("analysisruns.argoproj.io", "AnalysisRun"),
    ("experiments.argoproj.io", "Experiment"),
];

type Seen = Arc<Mutex<BTreeSet<String>>>;

/// Notes every path of a value as `KIND PATH`; below lists by their items.
fn note(kind: &str, path: &str, value: &Value, seen: &mut BTreeSet<String>) {
    seen.insert(format!("{kind} {path}"));
    match value {
        Value::Object(map) => map.iter().for_each(|(key, value)| note(kind, &format!("{path}.{key}"), value, seen)),
        Value::Array(items) => items.iter().for_each(|item| note(kind, &format!("{path}[]"), item, seen)),
        _ => {}
    }
}

/// What is written in all stories.
fn written() -> BTreeSet<String> {
    let seen = Seen::default();
    let next = AtomicUsize::new(0);
    let play = || {
        while let Some(name) = STORIES.get(next.fetch_add(1, Ordering::Relaxed)) {
            let text = std::fs::read_to_string(fixtures().join(format!("scenarios/{name}.txt"))).unwrap();
            let scenario = Scenario::parse(name, &text).unwrap();
            let noted = seen.clone();
            let hook = move |write: &WriteInfo, _: &Cluster| {
                let kind = KINDS.iter().find(|(resource, _)| *resource == &*write.change.resource);
                let Some(((_, kind), after)) = kind.zip(write.change.after.as_ref()) else { return };
                if let Some(status) = after.at("/status") {
                    note(kind, "status", status, &mut noted.lock().unwrap());
                }
            };
            let outcome = on_embedded_heard(&scenario, 7, Some(Arc::new(hook))).unwrap();
            assert!(outcome.has_passed(), "{name}: {:?}", outcome.problems());
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, usize::from).min(8) {
            scope.spawn(play);
        }
    });
    let seen = seen.lock().unwrap();
    seen.clone()
}

#[test]
fn every_field_of_a_status_is_written_or_listed_in_the_page_and_never_both() {
    let page = std::fs::read_to_string(fixtures().join("../docs/argo-rollouts.md")).unwrap();
    let rows: Vec<(&str, &str)> = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once("` | `"))
        .filter_map(|(kinds, rest)| Some((kinds, rest.split_once('`')?.0)))
        .filter(|(_, path)| path.starts_with("status"))
        .collect();
    let mut seen = written();
    let fields = std::fs::read_to_string(fixtures().join("argo/fields.txt")).unwrap();
    let (mut problems, mut count) = (Vec::new(), 0);
    let mut unused: BTreeSet<&(&str, &str)> = rows.iter().collect();
    for line in fields.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let [kind, path, _] = words.as_slice() else { panic!("{line}") };
        if !path.starts_with("status") {
            continue;
        }
        count += 1;
        let is_below =
            |place: &str| path.strip_prefix(place).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']));
        let elsewhere = ELSEWHERE.iter().any(|(field, file, word)| {
            let text = std::fs::read_to_string(fixtures().join("..").join(file)).unwrap();
            format!("{kind} {path}").starts_with(field) && text.contains(word)
        });
        if elsewhere {
            seen.insert(format!("{kind} {path}"));
        }
        let row = rows.iter().find(|(kinds, place)| kinds.split(", ").any(|named| named == *kind) && is_below(place));
        if let Some(row) = row {
            unused.remove(row);
        }
        match (seen.contains(&format!("{kind} {path}")), row) {
            (true, Some(_)) => problems.push(format!("{kind} {path} is written, but the page says that it is not")),
            (false, None) => problems.push(format!("{kind} {path} is not written and not listed")),
            _ => {}
        }
    }
    problems.extend(unused.iter().map(|(_, path)| format!("{path} is in the page and in no definition")));
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    assert!(count > 100, "only {count} fields");
}
