//! Values and schemas that would grow or nest without end: each ends within its budget, with an error.

use std::time::{Duration, Instant};

use go_template::CountingEntropy;
use manifest_render::helm::{Chart, Printing, Release, Surroundings, Timestamp, render_chart};
use manifest_render::{Budget, Limits, MemoryFiles};

/// What one render may take.
const TIME_MAX: Duration = Duration::from_secs(5);
/// The deadline is looked at between steps, and one step may be a long one.
const GRACE: Duration = Duration::from_secs(5);

fn outcome(files: &MemoryFiles) -> Result<usize, String> {
    let begun = Instant::now();
    let budget = Budget::new(Limits::default()).with_deadline(move || begun.elapsed() > TIME_MAX);
    let render = || {
        let chart = Chart::load("c", files, &budget)?;
        let mut entropy = CountingEntropy::default();
        let surroundings = Surroundings::new(&mut entropy, Timestamp::default());
        render_chart(&chart, &Release::new("rel", "ns"), surroundings, &budget)?.print(&Printing::default())
    };
    let outcome = render().map(|text| text.len()).map_err(|error: manifest_render::helm::HelmError| error.to_string());
    assert!(begun.elapsed() < TIME_MAX + GRACE, "{:?}: {outcome:?}", begun.elapsed());
    outcome
}

fn chart(template: &str) -> MemoryFiles {
    MemoryFiles::new()
        .with("c/Chart.yaml", "apiVersion: v2\nname: c\nversion: 1.0.0\n")
        .with(
            "c/values.yaml",
            "self: \"{{ tpl .Values.self . }}\"\ntwice: \"{{ tpl .Values.twice . }}{{ tpl .Values.twice . }}\"\n",
        )
        .with("c/templates/a.yaml", template)
}

#[test]
fn what_only_looks_like_a_bomb_is_rendered() {
    let template = "{{ $l := list }}{{ range until 5000 }}{{ $l = append $l . }}{{ end }}n: {{ len $l }}\n\
                    {{ regexMatch \"(a+)+$\" (repeat 5000 \"a\" | printf \"%sb\") }}: 1\n";
    assert!(outcome(&chart(template)).is_ok());
}

#[test]
fn case_08_documents_of_values_that_grow_or_nest_without_end_are_refused() {
    let aliases = (0..40).map(|level| format!("a{}: &a{} [*a{level}, *a{level}]\n", level + 1, level + 1));
    let bombs = [
        ("aliases", format!("a0: &a0 [x, x]\n{}", aliases.collect::<String>())),
        ("depth", format!("a: {}{}", "[".repeat(100_000), "]".repeat(100_000))),
        ("depth of mappings", format!("a: {}1{}", "{a: ".repeat(50_000), "}".repeat(50_000))),
        ("an alias to itself", "a: &a [*a]\n".to_owned()),
    ];
    for (name, values) in bombs {
        let files = chart("a: {{ .Values | toJson | len }}").with("c/values.yaml", values);
        let error = outcome(&files).expect_err(name);
        assert!(error.contains("values.yaml"), "{name}: {}", error.chars().take(200).collect::<String>());
    }
}

#[test]
fn a_schema_of_values_that_refers_to_itself_or_away_ends() {
    for schema in [
        r##"{"$ref": "#"}"##,
        r##"{"$defs": {"a": {"allOf": [{"$ref": "#/$defs/a"}, {"$ref": "#/$defs/a"}]}}, "$ref": "#/$defs/a"}"##,
        r#"{"$ref": "https://example.com/schema.json"}"#,
        r#"{"$ref": "file:///etc/passwd"}"#,
    ] {
        let files = chart("a: b").with("c/values.schema.json", schema);
        assert!(outcome(&files).is_err(), "{schema}");
    }
}
