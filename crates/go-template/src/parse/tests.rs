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
