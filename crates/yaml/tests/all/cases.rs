//! Cases of the security table that concern YAML.

use std::time::{Duration, Instant};

use yaml::parse;

/// What a text is read as, or why not; soon in any case.
fn outcome(text: impl AsRef<[u8]>) -> Result<serde_json::Value, String> {
    let begun = Instant::now();
    let outcome = match parse(text) {
        Ok(documents) => Ok(documents.into_iter().next().map(|document| document.value).unwrap_or_default()),
        Err(faults) => Err(faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")),
    };
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    outcome
}

#[test]
fn case_08_bombs_and_texts_that_others_would_run_are_refused() {
    let laughs: String =
        (1..30).map(|level| format!("a{level}: &a{level} [*a{0}, *a{0}, *a{0}]\n", level - 1)).collect();
    let merges: String =
        (1..25).map(|level| format!("m{level}: &m{level} {{<<: [*m{0}, *m{0}], k{level}: 1}}\n", level - 1)).collect();
    for (name, text) in [
        ("aliases", format!("a0: &a0 [x, y]\n{laughs}").into_bytes()),
        ("an alias of itself", b"a: &a [*a]\n".to_vec()),
        ("a merge of itself", b"a: &a {<<: *a}\n".to_vec()),
        ("flow depth", format!("a: {}{}", "[".repeat(10_000), "]".repeat(10_000)).into_bytes()),
        (
            "block depth",
            (0..10_000).map(|depth| format!("{}a:\n", " ".repeat(depth % 500))).collect::<String>().into_bytes(),
        ),
        ("dashes", "- ".repeat(10_000).into_bytes()),
        ("size", vec![b'#'; 100 << 20]),
        ("documents", "---\na: 1\n".repeat(100_000).into_bytes()),
        ("duplicate keys", b"a: 1\nb: 2\na: 3\n".to_vec()),
        ("duplicate keys in flow", b"x: {a: 1, a: 1}\n".to_vec()),
        ("not UTF-8", b"a: \xff\xfe\n".to_vec()),
        ("UTF-16", b"\xff\xfea\0:\0 \0b\0".to_vec()),
        ("a tab", b"a:\n\tb: 1\n".to_vec()),
        ("a tag of Python", b"a: !!python/object/apply:os.system [reboot]\n".to_vec()),
        ("a tag of nobody", b"a: !run x\n".to_vec()),
    ] {
        let faults = outcome(&text).expect_err(name);
        assert!(!faults.is_empty() && faults.len() < 10_000, "{name}");
    }
    // Many merges of one mapping end within the limit on what aliases may add, whether they are taken or not.
    let _ = outcome(format!("m0: &m0 {{k: 1}}\n{merges}"));
    assert_eq!(outcome(b"\xef\xbb\xbfa: 1\n").unwrap()["a"], 1);
}

#[test]
fn case_09_numbers_are_what_kubernetes_reads_or_refused() {
    for (text, expected) in [
        ("9223372036854775807", Some("9223372036854775807")),
        ("18446744073709551615", Some("18446744073709551615")),
        ("0o7", Some("7")),
        ("010", Some("8")),
        ("0x1F", Some("31")),
        ("1_000", Some("1000")),
        ("yes", Some("true")),
        ("no", Some("false")),
        ("on", Some("true")),
        ("'no'", Some("\"no\"")),
        ("NO", Some("false")),
        ("1e3", Some("1000")),
        ("007a", Some("\"007a\"")),
        (".nan", None),
        ("-.inf", None),
        ("1e400", None),
    ] {
        let found = outcome(format!("v: {text}\n")).map(|value| value["v"].to_string());
        match expected {
            Some(expected) => assert_eq!(found.as_deref(), Ok(expected), "{text}"),
            None => {
                assert!(found.is_err() || found.as_ref().is_ok_and(|found| found.starts_with('"')), "{text}: {found:?}")
            }
        }
    }
    // One more than fits: a float as Go makes of it, or an error; never a wrapped integer.
    let found = outcome("v: 18446744073709551616\n").map(|value| value["v"].clone());
    assert!(found.as_ref().map_or(true, |value| value.as_f64() == Some(18_446_744_073_709_551_616.0)), "{found:?}");
}
