//! Edits in place: the bytes that change and the ones that don't.

use insta::assert_snapshot;
use proptest::prelude::*;
use serde_json::{Value, json};
use yaml::{Edit, Step, parse, set_scalar, set_scalars};

const MANIFEST: &str = "\u{FEFF}# größe\r\napiVersion: v1\r\nkind:   Pod  \r\nspec:\r\n    containers: # all\r\n    - {name: side, image: \"side:1\", args: [a, 'b']}\r\n    -   name: web\r\n        image: web:1.0   # {\"$policy\": \"x\"}\r\n        tag: &tag '1.0'\r\n        text: |\r\n          image: no\r\n        other: *tag\r\n        empty:\r\n        long: one\r\n          two\r\n---\r\nimage: last:1";

fn web(field: &str) -> Vec<Step> {
    vec!["spec".into(), "containers".into(), Step::entry("name", "web"), field.into()]
}

#[test]
fn only_the_bytes_of_the_scalar_change() {
    let table: [(usize, Vec<Step>, Value, &str, &str); 6] = [
        (0, web("image"), json!("web:1.1@sha256:abc"), "web:1.0 ", "web:1.1@sha256:abc "),
        (0, web("image"), json!("no"), "image: web:1.0 ", "image: \"no\" "),
        (
            0,
            vec!["spec".into(), "containers".into(), 0.into(), "image".into()],
            json!("side:\"2\""),
            "\"side:1\"",
            "\"side:\\\"2\\\"\"",
        ),
        (
            0,
            vec!["spec".into(), "containers".into(), 0.into(), "args".into(), 1.into()],
            json!("it's"),
            "'b'",
            "'it''s'",
        ),
        (0, vec!["kind".into()], json!(3), "Pod ", "3 "),
        (1, vec!["image".into()], json!("last:2"), "last:1", "last:2"),
    ];
    for (document, path, value, old, new) in table {
        let edited = set_scalar(MANIFEST, document, &path, &value).unwrap();
        assert_eq!(edited, MANIFEST.replacen(old, new, 1));
    }
}

#[test]
fn what_can_not_be_edited_safely_is_refused() {
    let refused = |path: &[Step], value: Value| set_scalar(MANIFEST, 0, path, &value).unwrap_err().to_string();
    assert_snapshot!(refused(&web("text"), json!("x")), @"`spec.containers[name=web].text` at line 11 can't be edited in place: it is a block scalar (`|` or `>`)");
    assert_snapshot!(refused(&web("tag"), json!("x")), @"`spec.containers[name=web].tag` at line 9 can't be edited in place: it carries an anchor");
    assert_snapshot!(refused(&web("other"), json!("x")), @"`spec.containers[name=web].other` at line 12 can't be edited in place: it comes from an alias or a merge key; edit the anchor");
    assert_snapshot!(refused(&web("empty"), json!("x")), @"`spec.containers[name=web].empty` at line 13 can't be edited in place: it has no value yet");
    assert_snapshot!(refused(&web("long"), json!("x")), @"`spec.containers[name=web].long` at line 14 can't be edited in place: it spans several lines");
    assert_snapshot!(refused(&web("none"), json!("x")), @"there is no value at `spec.containers[name=web].none`, the nearest is at line 7");
    assert_snapshot!(refused(&["spec".into()], json!("x")), @"`spec` at line 5: the value is a list or a mapping");
    assert_snapshot!(refused(&["kind".into()], json!([])), @"`kind` at line 3: the new value is a list or a mapping");
    assert_snapshot!(set_scalar("a: [", 0, &["a".into()], &json!(1)).unwrap_err(), @"the text is invalid: 2:1: while parsing a node, did not find expected node content");
    assert_snapshot!(set_scalar("a: 1", 1, &["a".into()], &json!(1)).unwrap_err(), @"there is no document 1, the text has 1");
    let shared = "a: &x {image: b}\nc: *x\n";
    assert_snapshot!(set_scalar(shared, 0, &["a".into(), "image".into()], &json!("d")).unwrap_err(), @"editing `a.image` would change more than this value");
    let merged = "a: &x {image: b}\nc:\n  <<: *x\n";
    assert_snapshot!(set_scalar(merged, 0, &["c".into(), "image".into()], &json!("d")).unwrap_err(), @"`c.image` at line 3 can't be edited in place: it comes from an alias or a merge key; edit the anchor");
}

#[test]
fn several_edits_are_made_together_or_not_at_all() {
    let text = "a: 1\nb: 'x' # y\n";
    let edit = |path: &str, value: Value| Edit { document: 0, path: vec![path.into()], value };
    assert_eq!(set_scalars(text, &[edit("b", json!("z")), edit("a", json!(22))]).unwrap(), "a: 22\nb: 'z' # y\n");
    assert!(set_scalars(text, &[edit("b", json!("z")), edit("c", json!(22))]).is_err());
    assert!(set_scalars(text, &[edit("a", json!(2)), edit("a", json!(3))]).is_err());
}

#[test]
fn json_stays_json() {
    let text = "{\n\t\"image\": \"web:1\", \"count\": 1\n}\n";
    let edited = set_scalar(text, 0, &["image".into()], &json!("ü\n:\"")).unwrap();
    assert_eq!(edited, text.replace("\"web:1\"", "\"ü\\n:\\\"\""));
}

/// A scalar as someone may have written it.
fn written() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z][a-z0-9:./-]{0,12}[a-z0-9]",
        "[ -&(-~é]{0,12}".prop_map(|text| format!("'{text}'")),
        "[ !#-\\[\\]-~é]{0,12}".prop_map(|text| format!("\"{text}\"")),
        "[0-9]{1,6}",
    ]
}

proptest! {
    #[test]
    fn an_edit_keeps_every_byte_around_the_scalar(
        old in written(),
        new in "[ -~éß\n]{0,16}",
        around in prop::collection::vec(written(), 2),
        comment in "( {0,3}| # [ -~ü]{0,10})",
        line_end in prop_oneof![Just("\n"), Just("\r\n")],
        layout in 0..4,
        has_final_line_end in any::<bool>(),
    ) {
        let (before, after) = (&around[0], &around[1]);
        let (prefix, suffix) = match layout {
            0 => (format!("x: {before}{line_end}k: "), format!("{comment}{line_end}y: {after}")),
            1 => (format!("# ü{line_end}x: {{y: {before}, k: "), format!(" }}{comment}{line_end}z: [{after}]")),
            2 => (format!("- x{line_end}-   {before}{line_end}-  k: "), format!("{comment}{line_end}   y: {after}")),
            _ => (format!("---{line_end}x: [ {before} , "), format!(", {after}]{comment}")),
        };
        let suffix = if has_final_line_end { format!("{suffix}{line_end}") } else { suffix };
        let text = format!("{prefix}{old}{suffix}");
        let path: Vec<Step> = match layout {
            0 => vec!["k".into()],
            1 => vec!["x".into(), "k".into()],
            2 => vec![2.into(), "k".into()],
            _ => vec!["x".into(), 1.into()],
        };
        prop_assume!(parse(&text).is_ok_and(|documents| documents.len() == 1 && documents[0].get(&path).is_some()));
        // A multi-line or otherwise odd scalar may be refused, but an edit that is made must be exact.
        if let Ok(edited) = set_scalar(&text, 0, &path, &Value::String(new.clone())) {
            prop_assert!(edited.starts_with(&prefix), "{edited:?}");
            prop_assert!(edited.ends_with(&suffix), "{edited:?}");
            let documents = parse(&edited).unwrap();
            prop_assert_eq!(documents[0].get(&path), Some(&Value::String(new)));
        } else {
            prop_assert!(false, "refused {:?} in {:?}", new, text);
        }
    }
}

#[test]
fn an_edit_behind_a_quoted_text_that_begins_at_its_key_hits_its_place() {
    let text = "a:\n  b: 'one\n  two'\n  image: web:1\n";
    assert_eq!(parse(text).unwrap()[0].value, json!({"a": {"b": "one two", "image": "web:1"}}));
    let edited = set_scalar(text, 0, &["a".into(), "image".into()], &json!("web:2")).unwrap();
    assert_eq!(edited, text.replace("web:1", "web:2"));
}
