//! Answers of Go's own `text/template` and `fmt`, recorded by `fixtures/record`.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a wrong recording is a bug of the recorder")]

use std::sync::Arc;

use go_template::{Budget, CountingEntropy, Environment, MissingKey, Str, Templates, sprint, sprintf, sprintln};
use serde_json::Value as Json;

use crate::data::{functions, text, value};

fn rows(lines: &str) -> Vec<Vec<Json>> {
    lines.lines().map(|line| serde_json::from_str(line).unwrap_or_default()).collect()
}

/// Collects what differs, so that one run shows all of it.
fn agree(what: &str, rows: usize, differences: &[String]) {
    let shown: Vec<&String> = differences.iter().take(400).collect();
    assert!(differences.is_empty(), "{} of {rows} {what} differ: {shown:#?}", differences.len());
}

#[test]
fn every_template_gives_what_go_gives() {
    let rows = rows(include_str!("../../fixtures/execute.jsonl"));
    assert!(rows.len() > 1_500);
    executions_agree(&rows);
}

#[test]
fn every_generated_template_gives_what_go_gives() {
    let rows = rows(include_str!("../../fixtures/generated.jsonl"));
    assert!(rows.len() > 1_000);
    executions_agree(&rows);
}

fn executions_agree(rows: &[Vec<Json>]) {
    let data: Json = serde_json::from_str(include_str!("../../fixtures/data.json")).unwrap();
    let functions = Arc::new(functions());
    let mut differences = Vec::new();
    for row in rows {
        let missing_key = match row[0].as_str().unwrap() {
            "zero" => MissingKey::Zero,
            "error" => MissingKey::Error,
            _ => MissingKey::Default,
        };
        let source = text(&row[1]);
        let expected = if row.len() > 3 { text(&row[3]) } else { text(&row[2]) };
        let mut templates = Templates::new("gotpl", functions.clone()).with_missing_key(missing_key);
        let mut entropy = CountingEntropy::default();
        let found: Str = match templates.parse("t", source.clone()) {
            Err(error) => error.to_string().into(),
            Ok(()) => match templates.execute("t", &value(&data), &mut Environment::new(&mut entropy)) {
                Ok(output) => output,
                Err(error) => error.to_string().into(),
            },
        };
        if found.to_string() != expected.to_string() {
            differences.push(format!("{}: {source:?}\n   go: {expected:?}\n here: {found:?}", row[0]));
        }
    }
    agree("templates", rows.len(), &differences);
}

#[test]
fn every_format_prints_what_go_prints() {
    let rows = rows(include_str!("../../fixtures/format.jsonl"));
    assert!(rows.len() > 1_500);
    let mut differences = Vec::new();
    for row in &rows {
        let format = text(&row[1]);
        let values: Vec<_> = row[2].as_array().unwrap().iter().map(value).collect();
        let expected = text(&row[3]);
        let mut budget = Budget::default();
        let found = match row[0].as_str().unwrap() {
            "print" => sprint(&values, &mut budget),
            "println" => sprintln(&values, &mut budget),
            _ => sprintf(format.as_bytes(), &values, &mut budget),
        };
        let found = found.unwrap();
        if found != expected {
            differences.push(format!("{format:?} {values:?}\n   go: {expected:?}\n here: {found:?}"));
        }
    }
    agree("formats", rows.len(), &differences);
}

#[test]
fn a_set_is_executed_by_several_threads_at_once() {
    let mut templates = Templates::new("gotpl", Arc::new(functions()));
    templates.parse("t", "{{ define `a` }}<{{ . }}>{{ end }}{{ tpl `{{ include \"a\" .n }}` . }}").unwrap();
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|number| {
                let templates = &templates;
                scope.spawn(move || {
                    let data = go_template::from_json(&serde_json::json!({"n": number}));
                    let mut entropy = CountingEntropy::default();
                    templates.execute("t", &data, &mut Environment::new(&mut entropy)).unwrap().to_string()
                })
            })
            .collect();
        let texts: Vec<String> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
        assert_eq!(texts, ["<0>", "<1>", "<2>", "<3>"]);
    });
}
