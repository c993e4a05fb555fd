//! Answers of sprig's and Helm's own functions, recorded by `fixtures/functions/record`.

use std::sync::Arc;

use go_template::functions::Helm;
use go_template::{CountingEntropy, Environment, Functions, MissingKey, Templates, from_json};

/// What the recorder's templates saw too.
const DATA: &str = r#"{"value": null, "one": 1, "float": 1.5, "text": "hello", "empty": "", "yes": true, "list": ["a", 2, null],
    "map": {"a": 1, "b": {"c": "d"}}, "top": {}, "simple": {"key": "value"}, "big": 12345678.9, "none": {"x": null},
    "V": {"x": 1}, "strings": ["b", "a"], "nested": [{"name": "n"}, {"name": "m"}]}"#;

/// What is known to differ, by a part of the template and the reason.
const DIFFERENT: [(&str, &str); 4] = [
    (r#"fromToml (b64dec "/w==")"#, "the TOML parser has words of its own"),
    (r#"fromToml "abc""#, "the TOML parser has words of its own"),
    (r#"fromYaml "a: *x""#, "the YAML parser does not tell the anchor's name"),
    (r#"urlParse "http://[::x]/""#, "Go tells what is wrong with an address"),
];

fn render(functions: &Arc<Functions>, source: &str) -> Result<String, String> {
    let mut templates = Templates::new("test", functions.clone()).with_missing_key(MissingKey::Zero);
    templates.parse("test", source).map_err(|error| error.to_string())?;
    let data = from_json(&serde_json::from_str(DATA).unwrap());
    let mut entropy = CountingEntropy::default();
    let output = templates.execute("test", &data, &mut Environment::new(&mut entropy));
    output.map(|output| output.to_string()).map_err(|error| error.to_string())
}

#[test]
fn every_function_answers_as_the_go_one_does() {
    let functions = Arc::new(Helm::default().functions());
    let rows: Vec<[String; 3]> = include_str!("../../fixtures/functions/answers.jsonl")
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert!(rows.len() > 2_000);
    let mut differences = Vec::new();
    for [source, output, error] in &rows {
        let expected = if error.is_empty() { Ok(output) } else { Err(error) };
        let found = render(&functions, source);
        let is_known = DIFFERENT.iter().any(|(part, _)| source.contains(part));
        if (found.as_ref() != expected) != is_known {
            differences.push(format!("{source}\n  go:   {expected:?}\n  here: {found:?}"));
        }
    }
    assert!(differences.is_empty(), "{} of {} differ:\n{}", differences.len(), rows.len(), differences.join("\n"));
}
