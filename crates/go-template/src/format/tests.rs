//! What Go's fmt prints.

use super::*;

fn printed(format: &str, values: &[Value]) -> String {
    sprintf(format.as_bytes(), values, &mut Budget::default()).unwrap().to_string()
}

#[test]
fn verbs_print_as_in_go() {
    for (format, value, expected) in [
        ("%v", Value::Float(1e6), "1e+06"),
        ("%v", Value::Float(123_456.0), "123456"),
        ("%5.1f|", Value::Float(2.25), "  2.2|"),
        ("%-5d|", Value::int(42), "42   |"),
        ("%#x", Value::text("hi"), "0x6869"),
        ("%q", Value::text("a\"b"), "\"a\\\"b\""),
        ("%d", Value::text("x"), "%!d(string=x)"),
        ("%v", Value::Nil, "<nil>"),
        ("%[2]d", Value::int(1), "%!d(BADINDEX)"),
        (
            "%#v",
            Value::List(List::new(vec![Value::int(1), Value::text("a"), Value::Nil])),
            "[]interface {}{1, \"a\", interface {}(nil)}",
        ),
    ] {
        assert_eq!(printed(format, &[value]), expected, "{format}");
    }
    assert_eq!(printed("%d %s", &[Value::int(1)]), "1 %!s(MISSING)");
    assert_eq!(printed("%d", &[Value::int(1), Value::text("a")]), "1%!(EXTRA string=a)");
}

#[test]
fn a_map_within_itself_is_printed_within_the_budget() {
    let map = Map::new();
    map.insert("self", map.clone()).unwrap();
    let text = sprint(&[Value::Map(map.clone())], &mut Budget::default()).unwrap().to_string();
    assert!(text.starts_with("map[self:map[self:") && text.contains("..."));
    map.insert("again", map.clone()).unwrap();
    let limits = crate::Limits { produced_bytes: 100_000, ..crate::Limits::default() };
    assert!(sprint(&[Value::Map(map.clone())], &mut Budget::new(limits)).is_err());
    map.remove("self");
    map.remove("again");
}

#[test]
fn a_wide_field_is_paid_for() {
    let limits = crate::Limits { produced_bytes: 1_000, ..crate::Limits::default() };
    let result = sprintf(b"%100000d", &[Value::int(1)], &mut Budget::new(limits));
    assert_eq!(result, Err(Exhausted::Produced(1_000)));
}
