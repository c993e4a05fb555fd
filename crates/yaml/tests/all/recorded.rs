//! Answers of Go's `sigs.k8s.io/yaml`, recorded by `fixtures/record`.

use std::collections::BTreeMap;
use std::io::Read as _;

use insta::assert_snapshot;
use serde_json::Value;
use yaml::{parse, to_yaml};

/// The values that were written, and the texts.
fn written() -> std::io::Result<Vec<Vec<Value>>> {
    let mut text = String::new();
    let packed = include_bytes!("../../fixtures/emit.jsonl.gz").as_slice();
    flate2::read::GzDecoder::new(packed).read_to_string(&mut text)?;
    Ok(rows(&text))
}

fn rows(text: &str) -> Vec<Vec<Value>> {
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_default()).collect()
}

#[test]
fn every_value_is_written_as_go_writes_it() {
    let rows = written().unwrap();
    assert!(rows.len() > 20_000);
    for row in rows {
        assert_eq!(Some(to_yaml(&row[0]).as_str()), row[1].as_str(), "{}", row[0]);
    }
}

#[test]
fn every_value_written_is_read_back() {
    for row in written().unwrap() {
        let text = to_yaml(&row[0]);
        // Go writes U+2028 and U+2029 as they are, and the reader refuses them.
        if text.contains(['\u{2028}', '\u{2029}']) {
            continue;
        }
        let documents = parse(&text).unwrap();
        assert_eq!(documents.len(), 1, "{text}");
        assert_eq!(to_yaml(&documents[0].value), text);
    }
}

#[test]
fn every_text_is_read_as_go_reads_it_or_refused() {
    let rows = rows(include_str!("../../fixtures/parse.jsonl"));
    assert!(rows.len() > 3000);
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for row in &rows {
        let text = row[0].as_str().unwrap();
        let outcome = match (row.get(1).and_then(Value::as_str), parse(text)) {
            (None, Err(_)) => "refused by both".to_owned(),
            (None, Ok(_)) => "read here only".to_owned(),
            (Some(_), Err(faults)) => {
                format!("refused here only: {}", faults[0].message.replace(char::is_numeric, "N"))
            }
            (Some(go), Ok(documents)) => {
                let go: Value = serde_json::from_str(go).unwrap();
                let value = documents.first().map(|document| document.value.clone()).unwrap_or_default();
                // JSON writes -0 for a float that is the integer 0 to any reader of JSON.
                assert!(go == value || text == "a: -0.0\n", "{text:?}\n go:   {go}\n here: {value}");
                "same value".to_owned()
            }
        };
        let outcome = outcome.split('`').step_by(2).collect::<Vec<_>>().join("X");
        *counts.entry(outcome).or_default() += 1;
    }
    let table: Vec<String> = counts.iter().map(|(outcome, count)| format!("{count:5} {outcome}")).collect();
    assert_snapshot!(table.join("\n"), @"
       67 read here only
     1195 refused by both
        1 refused here only: ':' must be followed by a valid YAML whitespace
        7 refused here only: U+NNNN breaks the line for some readers and not for others
       12 refused here only: X in brackets is a key for some readers and a string for others
       11 refused here only: a byte order mark must not appear inside a document
        1 refused here only: binary values (X) are not supported
        1 refused here only: comments must be separated from other tokens by whitespace
       14 refused here only: did not find expected <document start>
        2 refused here only: duplicate key X
        2 refused here only: invalid indentation
        2 refused here only: misplaced bracket
        2 refused here only: plain scalar cannot start with '-' followed by ,[]{}
        1 refused here only: the number X is too large
       27 refused here only: unknown tag X
     2142 same value
    ");
}
