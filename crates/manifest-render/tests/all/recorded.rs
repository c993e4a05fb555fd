//! Answers of Google's go-jsonnet, recorded by `fixtures/record`.

use manifest_render::{Argument, Budget, Kind, MemoryFiles, Source, render};
use serde_json::Value;

/// A program whose field `value` holds the answer, whatever its type.
fn wrapped(program: &str) -> MemoryFiles {
    let text = format!("{{ apiVersion: 'v1', kind: 'X', metadata: {{ name: 'x' }} }} + {{ value: (\n{program}\n) }}");
    MemoryFiles::new().with("main.jsonnet", text)
}

fn source() -> Source {
    let mut source = Source::at("").of_kind(Kind::Jsonnet);
    source.jsonnet.external_variables.insert("text".to_owned(), Argument::Text("external".to_owned()));
    source.jsonnet.external_variables.insert("code".to_owned(), Argument::Code("{ a: 1 + 1 }".to_owned()));
    source
}

fn rows() -> Vec<Vec<String>> {
    let lines = include_str!("../../fixtures/jsonnet.jsonl").lines();
    lines.map(|line| serde_json::from_str(line).unwrap_or_default()).collect()
}

/// What a program gives as the field `value` of an object; none when it is refused.
fn evaluated(program: &str) -> Result<Value, String> {
    let rendered = render(&source(), &wrapped(program), &Budget::default()).map_err(|error| error.to_string())?;
    let object = rendered.objects.first().map(|rendered| rendered.object.to_json()).unwrap_or_default();
    Ok(object.get("value").cloned().unwrap_or_default())
}

#[test]
fn every_program_gives_what_go_jsonnet_gives() {
    let rows = rows();
    assert!(rows.len() > 120);
    let mut different = Vec::new();
    for row in &rows {
        let program = &row[0];
        // Numbers are compared as JSON readers in this workspace read them: 1.0 is 1.
        let wanted = row.get(1).map(|text| yaml::parse(text).unwrap()[0].value["value"].clone());
        match (wanted, evaluated(program)) {
            (Some(wanted), Ok(found)) if wanted == found => {}
            (None, Err(_)) => {}
            (wanted, found) => different.push(format!("{program}\n  go:   {wanted:?}\n  here: {found:?}")),
        }
    }
    insta::assert_snapshot!(different.join("\n"), @r#"
    [std.parseInt('42'), std.parseOctal('17'), std.parseHex('ff'), std.parseJson('{"a": [1, null]}'), std.parseYaml('a: [1, 2]\nb: yes')]
      go:   Some(Array [Number(42), Number(15), Number(255), Object {"a": Array [Number(1), Null]}, Object {"a": Array [Number(1), Number(2)], "b": Bool(true)}])
      here: Ok(Array [Number(42), Number(15), Number(255), Object {"a": Array [Number(1), Null]}, Object {"a": Array [Number(1), Number(2)], "b": String("yes")}])
    [std.toString({ a: 1 }), std.toString('x'), std.toString([1, 'a']), std.toString(1.5), std.toString(1e100), std.toString(1e-7)]
      go:   Some(Array [String("{\"a\": 1}"), String("x"), String("[1, \"a\"]"), String("1.5"), String("10000000000000000159028911097599180468360808563945281389781327557747838772170381060813469985856815104"), String("9.9999999999999995e-08")])
      here: Ok(Array [String("{\"a\": 1}"), String("x"), String("[1, \"a\"]"), String("1.5"), String("10000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000"), String("0.0000001")])
    std.char(55296)
      go:   Some(String("�"))
      here: Err("main.jsonnet:2:1: 55296 is not a valid unicode codepoint")
    "#);
}

#[cfg(feature = "jsonnet-rs")]
#[test]
fn every_program_that_the_c_plus_plus_library_takes_gives_the_same() {
    let mut compared = 0;
    for row in rows() {
        let program = &row[0];
        let theirs = manifest_render::evaluate_with_libjsonnet("main.jsonnet", &wrapped(program), &source().jsonnet);
        // The library is of 2020 and lacks many functions of today.
        let Ok(theirs) = theirs else { continue };
        // It orders and prints numbers as its own standard library does.
        if program.contains("std.toString(1e100)") {
            continue;
        }
        assert_eq!(Some(&theirs["value"]), evaluated(program).ok().as_ref(), "{program}");
        compared += 1;
    }
    assert!(compared > 50, "{compared}");
}
