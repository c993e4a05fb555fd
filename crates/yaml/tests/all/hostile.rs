//! Texts that nobody would write: the reader answers, and answers soon.

use proptest::prelude::*;
use yaml::{parse, to_yaml};

/// Pieces that matter to the grammar.
fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("\n".to_owned()),
        Just("  ".to_owned()),
        "[-?:,\\[\\]{}#&*!|>'\"%@`~]",
        Just("- ".to_owned()),
        Just(": ".to_owned()),
        Just("? ".to_owned()),
        Just("&a ".to_owned()),
        Just("*a".to_owned()),
        Just("<<: *a".to_owned()),
        Just("!!str ".to_owned()),
        Just("---\n".to_owned()),
        Just("...\n".to_owned()),
        Just("|\n".to_owned()),
        Just("\t".to_owned()),
        Just("\r".to_owned()),
        Just("\u{FEFF}".to_owned()),
        Just("%TAG ! x\n".to_owned()),
        Just("\\".to_owned()),
        "[a-z0-9é]{1,3}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn any_soup_of_pieces_is_read_or_refused(pieces in prop::collection::vec(piece(), 0..40)) {
        let text = pieces.concat();
        match parse(&text) {
            // What was read is written so that it reads back the same.
            Ok(documents) => for document in documents {
                let written = to_yaml(&document.value);
                let back = parse(&written).map_err(|faults| TestCaseError::fail(format!("{written:?}: {faults:?}")))?;
                prop_assert_eq!(&back[0].value, &document.value);
            },
            Err(faults) => {
                prop_assert!(!faults.is_empty());
                let lines = u32::try_from(text.split(['\n', '\r']).count()).unwrap();
                prop_assert!(faults.iter().all(|fault| fault.line >= 1 && fault.line <= lines + 1), "{faults:?} in {text:?}");
            }
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
        let _ = parse(&bytes);
    }
}

#[test]
fn long_lines_and_many_keys_take_linear_time() {
    let mut text = String::new();
    for number in 0..40_000 {
        text.push_str(&format!("key-{number}: {{a: [1, 2, 'x'], b: \"y\"}}\n"));
    }
    assert_eq!(parse(&text).unwrap()[0].value.as_object().unwrap().len(), 40_000);
    let long = format!("a: '{}'\n", "x".repeat(4 << 20));
    assert_eq!(parse(long).unwrap()[0].value["a"].as_str().unwrap().len(), 4 << 20);
    assert!(parse("&a ".repeat(100_000)).is_err());
    assert!(parse("? ".repeat(100_000)).is_err());
    assert!(parse(format!("a: {}", "'".repeat(1_000_001))).is_err());
    assert!(parse("a\n: ".repeat(50_000)).is_err());
}
