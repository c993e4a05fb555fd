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

/// Templates that would loop, recurse or allocate without end, each with a word of what stops it.
const BOMBS: [(&str, &str); 24] = [
    ("{{ range 1000000000 }}{{ end }}", "steps"),
    ("{{ range 1000000000 }}{{ range 1000000000 }}{{ end }}{{ end }}", "steps"),
    ("{{ range 1000000000 }}abcdefghijklmnop{{ end }}", "output"),
    ("{{ range until 2000000000 }}{{ end }}", "steps"),
    ("{{ range untilStep 0 2000000000 1 }}{{ end }}", "steps"),
    ("{{ seq 2000000000 }}", "steps"),
    ("{{ define `a` }}{{ template `a` . }}{{ end }}{{ template `a` . }}", "nested"),
    ("{{ define `a` }}{{ include `a` . }}{{ end }}{{ include `a` . }}", "nested reference name"),
    ("{{ tpl .Values.self . }}", "nested"),
    ("{{ tpl .Values.twice . }}", "nested"),
    ("{{ repeat 1000000000 `x` }}", "value"),
    ("{{ $l := list }}{{ range 9 }}{{ $l = append $l (repeat 60000000 `x`) }}{{ end }}", "keep"),
    ("{{ $s := `0123456789` }}{{ range 64 }}{{ $s = print $s $s }}{{ end }}", ""),
    ("{{ $s := `0123456789` }}{{ range 64 }}{{ $s = cat $s $s }}{{ end }}", ""),
    ("{{ $l := list 1 }}{{ range 64 }}{{ $l = concat $l $l }}{{ end }}", ""),
    ("{{ $l := list }}{{ range 1000 }}{{ $l = append $l (repeat 2000000 `x`) }}{{ end }}", "keep"),
    ("{{ indent 1000000000 `a` }}", "value"),
    ("{{ nindent 1000000000 `a` }}", "value"),
    ("{{ printf `%0999999d%0999999d` 1 2 | repeat 1000 }}", "value"),
    ("{{ randAlphaNum 1000000000 }}", "value"),
    ("{{ randBytes 1000000000 }}", "value"),
    ("{{ $m := dict }}{{ range 40 }}{{ $m = dict `a` $m `b` $m }}{{ end }}{{ toYaml $m }}", ""),
    ("{{ $m := dict }}{{ range 40 }}{{ $m = dict `a` $m `b` $m }}{{ end }}{{ $m }}", ""),
    ("{{ mustRegexMatch `((a{1,1000}){1,1000}){1,1000}` `a` }}", "regexp"),
];

/// Memory of a whole process that renders a bomb: what a render may hold, and what the program of the tests is.
const PEAK_KIB_MAX: u64 = (256 + 96) << 10;

#[test]
#[ignore = "renders a bomb in a process of its own, which another test starts"]
fn a_bomb_in_a_process_of_its_own() {
    let number = std::env::var("BOMB").ok().and_then(|number| number.parse::<usize>().ok());
    let Some((template, word)) = number.and_then(|number| BOMBS.get(number)) else { return };
    let error = match outcome(&chart(&format!("a: b\n  {template}"))) {
        Err(error) => error,
        // The text of a value that holds itself many times is refused as part of a manifest, or as such.
        Ok(bytes) => panic!("{bytes} bytes"),
    };
    // A slow machine is told the time before the steps.
    let is_told = error.contains(word) || *word == "steps" && error.contains("took too long");
    // Messages of templates within templates quote each other up to a bound.
    assert!(error.len() < 300_000 && is_told, "{}", error.chars().take(500).collect::<String>());
    let has_place = ["templates/a.yaml:2:", "templates/a.yaml: gotpl:1:"].iter().any(|place| error.contains(place));
    assert!(has_place, "{}", error.chars().take(500).collect::<String>());
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak =
        status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    assert!(peak.is_none_or(|peak| peak < PEAK_KIB_MAX), "{peak:?} KiB");
}

#[test]
fn bombs_end_with_their_place_within_their_time_and_memory() {
    let program = std::env::current_exe().unwrap();
    let mut failures = String::new();
    for (number, (template, _)) in BOMBS.iter().enumerate() {
        let output = std::process::Command::new(&program)
            .args(["--exact", "bombs::a_bomb_in_a_process_of_its_own", "--ignored", "--nocapture"])
            .env("BOMB", number.to_string())
            .output()
            .unwrap();
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        if !output.status.success() || !said.contains("1 passed") {
            let told = said.lines().filter(|line| !line.trim_start().starts_with("at ")).take(12);
            failures.push_str(&format!("{template}:\n{}\n", told.collect::<Vec<_>>().join("\n")));
        }
    }
    assert!(failures.is_empty(), "{failures}");
}

#[test]
fn what_only_looks_like_a_bomb_is_rendered() {
    let template = "{{ $l := list }}{{ range until 5000 }}{{ $l = append $l . }}{{ end }}n: {{ len $l }}\n\
                    {{ regexMatch \"(a+)+$\" (repeat 5000 \"a\" | printf \"%sb\") }}: 1\n";
    assert!(outcome(&chart(template)).is_ok());
    // As in Helm, what has no form in YAML is written as nothing.
    assert!(outcome(&chart("{{ $m := dict }}{{ $_ := set $m `a` $m }}a: {{ toYaml $m }}")).is_ok());
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
