//! Conditions against the answers recorded from the language's own library.

use analysis::{Answer, Reply, RunInput, RunSpec, RunStatus, Settings, step};
use object_model::Uid;
use serde_json::{Value, json};
use std::collections::BTreeMap;

use crate::drive::at;

const GOLDEN: &str = include_str!("../../fixtures/conditions.golden");

/// The answer of a condition in a run: `true`, `false` or `error: ...`.
fn answer(result: &str, condition: &str) -> String {
    let (kind, rest) = result.split_once(' ').unwrap_or((result, ""));
    let vector = |numbers: &str| -> Value {
        let numbers = numbers.split(',').map(str::trim).filter(|number| !number.is_empty());
        numbers.map(|number| json!({"value": [0, number]})).collect()
    };
    let (provider, body) = match kind {
        "scalar" => ("prometheus", json!({"data": {"resultType": "scalar", "result": [0, rest.trim()]}}).to_string()),
        "vector" => ("prometheus", json!({"data": {"resultType": "vector", "result": vector(rest)}}).to_string()),
        "text" => ("web", rest.to_owned()),
        "json" => ("web", rest.to_owned()),
        "nil" => ("web", "null".to_owned()),
        other => panic!("unknown result {other}"),
    };
    let address = json!({"address": "http://p", "url": "http://w"});
    let (spec, _) = RunSpec::parse(&json!({"metrics": [
        {"name": "m", "successCondition": condition, "consecutiveErrorLimit": 0, "provider": {provider: address}},
    ]}));
    let (run, none, settings) = (Uid::new("1"), BTreeMap::new(), Settings::default());
    let mut input = RunInput {
        run: &run,
        spec: &spec,
        status: &RunStatus::default(),
        replies: &BTreeMap::new(),
        secrets: &none,
        jobs: &BTreeMap::new(),
        comparisons: &[],
        settings: &settings,
        now: at(0),
    };
    let asked = step(&input).queries;
    let reply =
        Reply { started_at: at(0), finished_at: at(0), answer: Answer::Http { status: 200, body: body.into_bytes() } };
    let replies = BTreeMap::from([(asked[0].key.clone(), reply)]);
    input.replies = &replies;
    let status = step(&input).status;
    let measurement = &status.result("m").unwrap().measurements[0];
    match measurement.phase {
        analysis::Phase::Successful => "true".to_owned(),
        analysis::Phase::Failed => "false".to_owned(),
        _ => format!("error: {}", measurement.message),
    }
}

#[test]
fn conditions_answer_as_the_real_library_does() {
    let (mut total, mut wrong) = (0, Vec::new());
    for line in GOLDEN.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (case, expected) = line.rsplit_once(" => ").unwrap();
        let (result, condition) = case.split_once(" | ").unwrap();
        let found = answer(result, condition);
        let agrees = if expected.starts_with("error: ") { found.starts_with("error: ") } else { found == expected };
        total += 1;
        if !agrees {
            wrong.push(format!("{case}\n  recorded {expected}\n  found    {found}"));
        }
    }
    assert!(total >= 300, "only {total} cases");
    assert!(wrong.is_empty(), "{} of {total} differ:\n{}", wrong.len(), wrong.join("\n"));
}

/// Of the errors, the share that is told in the very words of the library.
#[test]
fn most_errors_are_told_in_the_same_words() {
    let (mut total, mut same) = (0, 0);
    for line in GOLDEN.lines().filter(|line| line.contains(" => error: ")) {
        let (case, expected) = line.rsplit_once(" => error: ").unwrap();
        let (result, condition) = case.split_once(" | ").unwrap();
        let first_line = expected.split("  | ").next().unwrap_or_default().trim();
        total += 1;
        same += u32::from(answer(result, condition).ends_with(first_line));
    }
    assert!(same * 2 >= total, "{same} of {total}");
}
