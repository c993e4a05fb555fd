//! Templates that mean harm end with an error, within their budget.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use go_template::{
    Budget, CountingEntropy, Environment, ExecuteError, Exhausted, Limits, MapScope, MissingKey, Str, Templates, Value,
};
use insta::assert_snapshot;
use proptest::prelude::*;

use crate::data::{functions, value};

fn execute(source: &[u8], data: &Value, limits: Limits) -> Result<Str, ExecuteError> {
    execute_within(source, data, Budget::new(limits))
}

fn execute_within(source: &[u8], data: &Value, budget: Budget) -> Result<Str, ExecuteError> {
    let mut templates = Templates::new("gotpl", Arc::new(functions())).with_missing_key(MissingKey::Zero);
    templates.parse("t", source).map_err(|error| ExecuteError {
        text: error.to_string(),
        template: "t".into(),
        exhausted: None,
    })?;
    let mut entropy = CountingEntropy::default();
    let mut environment = Environment::new(&mut entropy);
    environment.budget = budget;
    templates.execute("t", data, &mut environment)
}

fn failure(source: &str, limits: Limits) -> ExecuteError {
    let _scope = MapScope::new();
    let none = ExecuteError { text: String::new(), template: Str::default(), exhausted: None };
    execute(source.as_bytes(), &Value::Nil, limits).err().unwrap_or(none)
}

#[test]
fn what_runs_on_is_told_with_its_place() {
    let limits = Limits { steps: 100_000, output_bytes: 10_000, produced_bytes: 100_000, ..Limits::default() };
    for (source, exhausted) in [
        ("{{ range 1000000000 }}{{ end }}", Exhausted::Steps(100_000)),
        ("{{ range 1000000000 }}{{ range 1000000000 }}{{ end }}{{ end }}", Exhausted::Steps(100_000)),
        ("{{ range 1000000000 }}abcdefghijklmnop{{ end }}", Exhausted::Output(10_000)),
        ("{{ $s := `0123456789` }}{{ range 64 }}{{ $s = print $s $s }}{{ end }}", Exhausted::Produced(100_000)),
        ("{{ printf `%0999999d` 1 }}", Exhausted::Produced(100_000)),
        (
            "{{ $m := dict }}{{ range 30 }}{{ $m = dict `a` $m `b` $m }}{{ end }}{{ print $m }}",
            Exhausted::Produced(100_000),
        ),
        (
            "{{ $m := dict }}{{ $_ := set $m `a` $m }}{{ $_ := set $m `b` $m }}{{ print $m }}",
            Exhausted::Produced(100_000),
        ),
        ("{{ define `a` }}{{ template `a` }}{{ end }}{{ template `a` }}", Exhausted::Depth(4_000)),
    ] {
        assert_eq!(failure(source, limits).exhausted, Some(exhausted), "{source}");
    }
    assert_snapshot!(
        failure("a\n  {{ range 1000000000 }}{{ end }}", limits),
        @r#"template: t:2:11: executing "t" at <1000000000>: more than 100000 steps were needed"#
    );
}

#[test]
fn recursion_ends_at_helms_limit() {
    let source = "{{ define `a` }}{{ include `a` . }}{{ end }}{{ include `a` . }}";
    let error = failure(source, Limits::default()).text;
    let start = "template: t:1:47: executing \"t\" at <include `a` .>: error calling include: template: t:1:19: executing \"a\"";
    assert!(error.starts_with(start), "{error:.300}");
    let end = "error calling include: rendering template has a nested reference name: a: unable to execute template";
    assert!(error.ends_with(end));
    assert_eq!(error.matches("error calling include").count(), 1_002);
}

#[test]
fn text_that_expands_itself_ends() {
    let source = "{{ $x := `{{ tpl .x . }}` }}{{ tpl $x (dict `x` $x) }}";
    let error = failure(source, Limits { depth: 200, ..Limits::default() });
    assert_eq!(error.exhausted, Some(Exhausted::Depth(200)));
}

#[test]
fn the_text_of_an_error_stays_short_however_deep_it_is() {
    let long = "x".repeat(100_000);
    let source = format!(
        "{{{{ define `a` }}}}{{{{ tpl `{long}{{{{ include \"a\" . }}}}` . }}}}{{{{ end }}}}{{{{ include `a` . }}}}"
    );
    let limits = Limits { produced_bytes: 1 << 30, ..Limits::default() };
    let error = failure(&source, limits).text;
    assert!(error.len() > 100_000 && error.len() < 600_000, "{}", error.len());
}

#[test]
fn deep_values_are_refused_or_cut_but_never_overflow() {
    let build = "{{ $m := dict }}{{ range 100000 }}{{ $m = dict `a` $m }}{{ end }}";
    let limits = Limits::default();
    let cut = execute(format!("{build}{{{{ print $m | len }}}}").as_bytes(), &Value::Nil, limits).unwrap();
    assert_eq!(cut, "7003");
    assert!(execute(format!("{build}{{{{ eq $m $m }}}}").as_bytes(), &Value::Nil, limits).is_err());
    assert_eq!(execute(build.as_bytes(), &Value::Nil, limits).unwrap(), "");
}

#[test]
fn the_deepest_trees_are_read_and_released_on_a_small_stack() {
    let deep = |open: &str, inner: &str, close: &str| format!("{}{inner}{}", open.repeat(990), close.repeat(990));
    for (text, is_right) in [
        (deep("{{ if . }}", "x", "{{ end }}"), true),
        (deep("{{ if . }}", "{{ nope }}", "{{ end }}"), false),
        (deep("{{ if . }}", "x", "{{ end }}") + "{{ nope }}", false),
        (format!("{{{{ {} }}}}", deep("(", "1", ")")), true),
        (format!("{{{{ {} nope }}}}", deep("(", "1", ")")), false),
        (format!("{{{{ {} }}}}", deep("(print ", "1", ").x")), true),
    ] {
        let parse = move || Templates::new("gotpl", Arc::new(functions())).parse("t", text).is_ok();
        let small = std::thread::Builder::new().stack_size(128 << 10);
        assert_eq!(small.spawn(parse).unwrap().join().unwrap(), is_right);
    }
}

#[test]
fn the_deepest_templates_are_executed_on_a_small_stack() {
    let deep = |open: &str, inner: &str, close: &str| format!("{}{inner}{}", open.repeat(990), close.repeat(990));
    let (wrong, keys) = ("{{ .x.y }}", ".m".repeat(100_000));
    for (source, output) in [
        (deep("{{ with 1 }}", wrong, "{{ end }}"), None),
        (deep("{{ range list 1 }}", "x", "{{ end }}"), Some("x")),
        (format!("{{{{ {} }}}}", deep("(echo ", "`x`", ")")), Some("x")),
        (format!("{{{{ {} }}}}", deep("(echo ", wrong, ")")), None),
        (format!("{{{{ $m := dict `k` `x` }}}}{{{{ $_ := set $m `m` $m }}}}{{{{ $m{keys}.k }}}}"), Some("x")),
        (format!("{{{{ $m := dict }}}}{{{{ $_ := set $m `m` $m }}}}{{{{ $m{keys}.k.k }}}}"), None),
    ] {
        let run = move || {
            let _scope = MapScope::new();
            execute(source.as_bytes(), &Value::Nil, Limits::default()).ok().map(|output| output.to_string())
        };
        let small = std::thread::Builder::new().stack_size(256 << 10);
        assert_eq!(small.spawn(run).unwrap().join().unwrap().as_deref(), output);
    }
}

#[test]
fn the_caller_can_end_an_execution() {
    let asked = Rc::new(Cell::new(0));
    let counter = asked.clone();
    let interrupted = Rc::new(move || {
        counter.set(counter.get() + 1);
        counter.get() == 3
    });
    let budget = Budget::default().interrupted_by(interrupted);
    let error = execute_within(b"{{ range 100000000 }}{{ end }}", &Value::Nil, budget).unwrap_err();
    assert_eq!((error.exhausted, asked.get()), (Some(Exhausted::Interrupted), 3));
}

/// Pieces of templates: put together they reach further than random bytes.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    let words = prop::sample::select(vec![
        "{{",
        "}}",
        "{{-",
        "-}}",
        "{{ ",
        " }}",
        "if ",
        "else ",
        "end",
        "{{ end }}",
        "range ",
        "with ",
        "define \"a\"",
        "template \"a\" ",
        "block \"a\" .",
        "break",
        "continue",
        "{{ else }}",
        "{{ if .Values }}",
        "{{ range .List }}",
        "$",
        "$x",
        " := ",
        " = ",
        ", ",
        " | ",
        "(",
        ")",
        ".",
        ".Values",
        ".name",
        ".List",
        ".Box",
        ".Get",
        ".Version",
        "nil",
        "true",
        "1",
        "-2.5e3",
        "0x1F",
        "'a'",
        "\"s\"",
        "`r`",
        "/*",
        "*/",
        "{{/* c */}}",
        "index ",
        "len ",
        "print ",
        "printf \"%*[2]d%v\" ",
        "eq ",
        "lt ",
        "and ",
        "or ",
        "not ",
        "slice ",
        "call ",
        "html ",
        "include \"a\" ",
        "tpl ",
        "dict ",
        "list ",
        "set ",
        "add ",
        "oneArg ",
        " ",
        "\n",
        "%",
        "999999999",
        "\\",
        "\u{e9}",
    ]);
    prop_oneof![
        8 => words.prop_map(|word| word.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 1..4),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_panics_or_runs_on(pieces in prop::collection::vec(piece(), 0..40), wraps in any::<bool>()) {
        let mut source = pieces.concat();
        if wraps {
            source = [b"{{ ".as_slice(), &source, b" }}"].concat();
        }
        let limits = Limits { steps: 20_000, output_bytes: 100_000, produced_bytes: 1 << 20, ..Limits::default() };
        let data: serde_json::Value = serde_json::from_str(include_str!("../../fixtures/data.json")).unwrap();
        let _scope = MapScope::new();
        if let Ok(output) = execute(&source, &value(&data), limits) {
            prop_assert!(output.len() <= 100_000);
        }
    }

    #[test]
    fn no_format_panics_or_runs_on(format in "[%a-zA-Z0-9#+ .*\\[\\]-]{0,24}") {
        let data: serde_json::Value = serde_json::from_str(include_str!("../../fixtures/data.json")).unwrap();
        let Value::Map(data) = value(&data) else { unreachable!() };
        let values = ["List", "I", "Float", "Bad", "Box", "Bytes", "Values"].map(|key| data.get(key).unwrap());
        let limits = Limits { produced_bytes: 1 << 20, ..Limits::default() };
        let _ = go_template::sprintf(format.as_bytes(), &values, &mut Budget::new(limits));
    }
}
