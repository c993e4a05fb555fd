//! Texts, the values they mean and the faults they have.

use serde_json::json;
use yaml::{Limits, Step, parse, parse_with};

/// The faults of a text, one a line.
fn faults(text: impl AsRef<[u8]>) -> String {
    let faults = parse(text).err().unwrap_or_default();
    faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

#[test]
fn several_documents_keep_their_places() {
    let documents = parse("# head\na: 1\n---\nb:\n- x\n- name: ya\n  z: w\n").unwrap();
    assert_eq!(documents.len(), 2);
    assert_eq!(documents[1].value, json!({"b": ["x", {"name": "ya", "z": "w"}]}));
    let path = ["b".into(), Step::entry("name", "ya"), "z".into()];
    assert_eq!(documents[1].position(&path).unwrap().to_string(), "7:6");
    assert_eq!(documents[1].nearest_position(&["b".into(), 0.into(), "no".into()]).to_string(), "5:3");
}

#[test]
fn merge_keys_and_aliases_are_applied_as_go_does() {
    let text = "base: &base {a: 1, b: 2}\nabove:\n  a: 9\n  <<: *base\nbelow:\n  <<: [*base, {b: 3, c: 4}]\n  a: 9\n";
    let value = &parse(text).unwrap()[0].value;
    assert_eq!(value["above"], json!({"a": 1, "b": 2}));
    assert_eq!(value["below"], json!({"a": 9, "b": 2, "c": 4}));
}

#[test]
fn keys_become_strings() {
    let value = &parse("y: 1\n1.50: 2\n0x10: 3\n2001-01-01: 4\n'no': 5\n").unwrap()[0].value;
    assert_eq!(*value, json!({"true": 1, "1.5": 2, "16": 3, "2001-01-01": 4, "no": 5}));
}

#[test]
fn a_fault_names_its_line_and_a_hint() {
    let table = [
        ("a: 1\nb: 2\na: 3\n", "3:1: duplicate key `a` (it is first set at line 1)"),
        ("a: !ref x\n", "1:4: unknown tag `!ref` (remove the tag, or quote the value when it is meant as a string)"),
        ("a: .nan\n", "1:4: `.nan` has no form in JSON (quote it when it is meant as a string)"),
        ("a: !!int x\n", "1:4: `x` is !!str, not !!int"),
        ("a: &x [*x]\n", "1:8: an anchor contains an alias to itself"),
        (
            "<<: 1\n",
            "1:1: a merge key needs a mapping or a list of mappings (quote the key (`\"<<\"`) when it is meant as a plain string)",
        ),
        ("~: 1\n", "1:1: a key is null (quote it when it is meant as a string)"),
        (
            "a: \u{7}\n",
            "1:4: control character U+0007 is not allowed (write it as an escape in a double-quoted string)",
        ),
    ];
    for (text, wanted) in table {
        let found = faults(text);
        assert!(found.starts_with(wanted) || found == wanted, "{text:?} gave {found:?}");
    }
}

#[test]
fn bytes_that_are_not_utf8_are_refused_with_their_offset() {
    assert_eq!(
        faults(b"a: 1\nb: \xFFx\n"),
        "2:4: the text is not UTF-8: byte 0xff at offset 8 (save the file as UTF-8)"
    );
    assert_eq!(faults(b"\xFF\xFEa\0"), "1:1: the text is UTF-16, not UTF-8 (save the file as UTF-8)");
}

#[test]
fn faults_of_several_documents_are_reported_at_once() {
    let found = faults("a: 1\na: 2\n---\nok: yes\n---\nb: [1\n---\nc: 1\nc: 2\n");
    let lines: Vec<&str> = found.lines().map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(lines.len(), 3, "{found}");
    assert_eq!((lines[0], lines[2]), ("2:1:", "9:1:"));
}

#[test]
fn a_byte_order_mark_is_dropped() {
    assert_eq!(parse("\u{FEFF}a: 1\n").unwrap()[0].value, json!({"a": 1}));
}

#[test]
fn bombs_are_refused() {
    let mut laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let last = level - 1;
        let row = vec![format!("*a{last}"); 10].join(", ");
        laughs.push_str(&format!("a{level}: &a{level} [{row}]\n"));
    }
    assert!(faults(&laughs).contains("aliases expand to too many values"));
    assert!(faults("[".repeat(100_000)).contains("nested more than 255 levels"));
    assert!(faults("- ".repeat(100_000)).contains("nested more than 127 levels"));
    assert!(faults("---\na\n".repeat(20_000)).contains("more than 10000 documents"));
    let limits = Limits { bytes_max: 10, ..Limits::default() };
    assert!(parse_with("a: 1234567890", &limits).unwrap_err()[0].message.contains("at most 10 are read"));
    let limits = Limits { values_max: 10, ..Limits::default() };
    assert!(parse_with("- 1\n".repeat(11), &limits).unwrap_err()[0].message.contains("more than 10 values"));
}

#[test]
fn json_is_read_by_its_own_rules() {
    let text = "{\n\t\"a\": \"\\ud83d\\ude00\\/\",\n\t\"b\": [1E3, -0.5, null, {\"yes\": true}, []]\n}\n";
    let documents = parse(text).unwrap();
    assert_eq!(documents[0].value, json!({"a": "\u{1F600}/", "b": [1000, -0.5, null, {"yes": true}, []]}));
    assert_eq!(documents[0].position(&["b".into(), 3.into(), "yes".into()]).unwrap().to_string(), "3:33");
    assert_eq!(faults("{\"a\": 1,\n \"a\": 2}"), "2:2: duplicate key `a` (it is first set at line 1)");
    assert_eq!(faults("[1e400]"), "1:2: the number `1e400` is too large");
}

#[test]
fn what_two_yaml_versions_read_differently_is_refused() {
    for text in ["a: [b:]\n", "a: {k: v, ?x: y}\n", "[?x]", "[[a:, b]]\n"] {
        assert!(faults(text).contains("is a key for some readers and a string for others"), "{text}");
    }
    assert_eq!(
        parse("a: b:]\nc: [\"d\": 1]\ne: {f: }\n").unwrap()[0].value,
        json!({"a": "b:]", "c": [{"d": 1}], "e": {"f": null}})
    );
}
