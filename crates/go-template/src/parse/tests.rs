//! Trees as Go prints them, and texts that are refused.

use super::*;

/// Parses a text and prints its main template, or the error.
fn printed(text: &str) -> String {
    let name = Str::from_static("t");
    match parse(&name, &text.into(), (b"{{", b"}}"), &Functions::builtins()) {
        Ok(templates) => templates.iter().find(|template| template.name == name).unwrap().printed(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn trees_print_as_go_prints_them() {
    for (text, expected) in [
        ("a\n  {{- /* c */}}\n  b", "a\n  b"),
        ("{{ .a.b | printf `%s` (len .c).d }}", "{{.a.b | printf `%s` (len .c).d}}"),
        ("{{if $x := 1}}{{$x}}{{else if 2}}y{{end}}", "{{if $x := 1}}{{$x}}{{else}}{{if 2}}y{{end}}{{end}}"),
        ("{{define `x`}}1{{end}}{{template \"x\" .}}", "{{template \"x\" .}}"),
    ] {
        assert_eq!(printed(text), expected);
    }
}

#[test]
fn what_is_wrong_is_told_with_its_line() {
    for (text, expected) in [
        ("\n{{ x }}", "template: t:2: function \"x\" not defined"),
        ("{{ $x }}", "template: t:1: undefined variable \"$x\""),
        ("{{ if . }}", "template: t:1: unexpected EOF"),
        ("{{\n", "template: t:2: unclosed action started at t:1"),
        ("{{ 1 | 2 }}", "template: t:1: non executable command in pipeline stage 2"),
    ] {
        assert_eq!(printed(text), expected);
    }
}

#[test]
fn deep_nesting_is_refused() {
    let parentheses = format!("{{{{ {}1{} }}}}", "(".repeat(100_000), ")".repeat(100_000));
    assert_eq!(printed(&parentheses), "template: t:1: max expression depth exceeded");
    let blocks = "{{ if . }}".repeat(100_000);
    assert_eq!(printed(&blocks), "template: t:1: blocks nest too deep");
}

/// The functions of `fixtures/record`, of which the parser only wants to know the names.
const NAMES: &str = "add add64 half u8 not2 echo zeroArgs oneArg twoArgs dddArg keys1 listArg stringsArg versionArg upper \
    typeOf list dict set die fail include tpl";

#[test]
fn every_text_is_read_or_refused_as_go_does() {
    let mut functions = Functions::builtins();
    for name in NAMES.split(' ') {
        let signature = crate::function::Signature::fixed(&[]);
        functions.add(crate::function::Function::new(name, signature, |_, _| Ok(crate::Value::Nil)));
    }
    let rows: Vec<serde_json::Value> =
        include_str!("../../fixtures/parse.jsonl").lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(rows.len() > 1_000);
    let delimiter = |row: &serde_json::Value, usual: &str| match row.as_str().unwrap() {
        "" => usual.to_owned(),
        other => other.to_owned(),
    };
    let mut differences = Vec::new();
    for row in &rows {
        let (left, right) = (delimiter(&row[0], "{{"), delimiter(&row[1], "}}"));
        // Texts that are no UTF-8 are compared by the executions.
        let Some(text) = row[2].as_str() else { continue };
        let found = match parse(&"t".into(), &text.into(), (left.as_bytes(), right.as_bytes()), &functions) {
            Ok(templates) => {
                let printed = templates.iter().map(|template| (template.name.to_string(), template.printed().into()));
                serde_json::Value::Object(printed.collect())
            }
            Err(error) => error.to_string().into(),
        };
        let expected = if row[3].is_null() { &row[4] } else { &row[3] };
        if found != *expected {
            differences.push(format!("{text:?}\n   go: {expected}\n here: {found}"));
        }
    }
    assert!(differences.is_empty(), "{} of {} differ: {differences:#?}", differences.len(), rows.len());
}
