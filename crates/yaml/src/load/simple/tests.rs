use serde_json::{Value, json};

use super::*;
use crate::load::first::read_whole;

fn whole(text: &str) -> Option<Value> {
    read_whole(text, &Limits::default()).ok()
}

#[test]
fn what_is_read_quickly_is_what_the_whole_parser_reads() {
    let rows = [
        "a: 1\nb:\n  c: x y # z\n  d:\n  - 1\n  -   e: f\n      g: 'h'\n  - - i\n    - j: \"k\"\n",
        "# c\n\na:\n# d\n- b\n-\n  c: 1\n- \n- d: 2\ne: []\nf: {} # g\n",
        "---\na: |\n  x\n\n    y \n  # z\n\nb: |-\n  c\nd: http://e:80/f#g\n",
        "'a b': [x, \"y\", 'z', 1, 1.5, true] # c\n\"d\\\"e\": \"f\\ng\\t\\\\\"\nyes: no\n1.0: 0x1F\nnull: ~\n",
        "- a\n- b: c\n- -1\n- --d\n- 10:30\n- a:b\n- 2001-01-02\n- 1e3\n- 01\n",
        "a: b\na: c\n  \nd:\n\n\ne:   f   \n",
        "a: x # y: z\nb: x#y\nc:# d\n",
        "a: \"b\" c\nd: 1\n",
        "a: b\n c: d\n",
        "a:\n  b\nc: d\n",
        "a: b: c\n",
        "a: |\n  b\n c\n",
        "- a\nb: c\n",
        "a:\n- b\n - c\n",
        "a: 'b''c'\nd: [e, [f]]\n",
        "<<: {a: b}\n",
        "a: b\n---\nc: d\n",
        "a: b\n...\n",
        "  a: 1\n  b: 2\n",
        "a: - b\n",
        "a: | # b\n  c\n",
        "a: |\nb: c\n",
        "a: |\n\n   \n  b\n",
        "a: [b, c,]\nd: [-e]\n",
    ];
    let mut read_here = 0;
    for text in rows {
        if let Some(value) = read(text, &Limits::default()) {
            assert_eq!(Some(&value), whole(text).as_ref(), "{text:?}");
            read_here += 1;
        }
    }
    assert!(read_here >= 6, "{read_here}");
    assert_eq!(
        read("a:\n- b: 1\n  c:\n  - d\ne: |\n  f\n", &Limits::default()),
        Some(json!({"a": [{"b": 1, "c": ["d"]}], "e": "f\n"}))
    );
}

/// Numbers that look random and are the same each time.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % end
    }
}

#[test]
fn texts_of_random_pieces_are_read_alike_or_left_to_the_whole_parser() {
    const PIECES: [&str; 70] = [
        "a",
        "b",
        "key",
        "-",
        "- ",
        "- - ",
        ":",
        ": ",
        ":  ",
        "\n",
        "\n",
        "\n  ",
        "\n  ",
        "\n    ",
        "\n- ",
        "\n  - ",
        "\n ",
        " ",
        "  ",
        "#",
        " # c",
        "'",
        "''",
        "'x y'",
        "\"",
        "\"x\\n\"",
        "\"\\u0041\"",
        "\\",
        "|",
        "|\n",
        "|-\n",
        "|+\n",
        ">\n",
        "|2\n",
        "{}",
        "[]",
        "[a, 'b']",
        "[",
        "]",
        "{",
        "}",
        ",",
        "&x ",
        "*x",
        "!t ",
        "!!str ",
        "%",
        "@",
        "`",
        "?",
        "? ",
        "---",
        "---\n",
        "...",
        "1",
        "-1",
        "0x1f",
        "1.5",
        "1e3",
        "yes",
        "null",
        "~",
        "<<",
        "é",
        "\t",
        "2001-01-01",
        "x: 1",
        "\nx: 1",
        "a: b\n",
        "\n\n",
    ];
    let mut numbers = Numbers(0x9E37_79B9_7F4A_7C15);
    let mut read_here = 0;
    for round in 0..60_000 {
        let mut text = String::new();
        if round % 2 == 0 {
            text.push_str("k: v\n");
        }
        for _ in 0..=numbers.below(14) {
            text.push_str(PIECES[numbers.below(PIECES.len())]);
        }
        if round % 3 == 0 {
            text.push('\n');
        }
        if let Some(value) = read(&text, &Limits::default()) {
            assert_eq!(Some(value), whole(&text), "{text:?}");
            read_here += 1;
        }
    }
    assert!(read_here > 1_000, "{read_here}");
}

#[test]
fn trees_of_blocks_as_people_write_them_are_read_here() {
    let mut numbers = Numbers(0xD1B5_4A32_D192_ED03);
    let mut read_here = 0;
    for _ in 0..4_000 {
        let mut text = String::new();
        mapping(&mut text, &mut numbers, 0, 4);
        let value = read(&text, &Limits::default());
        assert!(value.is_none() || value == whole(&text), "{text}");
        read_here += usize::from(value.is_some());
    }
    assert!(read_here > 3_000, "{read_here}");
}

const SCALARS: [&str; 16] = [
    "x",
    "10",
    "1.50",
    "true",
    "'a: b'",
    "\"c # d\"",
    "a:b",
    "x y  # z",
    "{}",
    "[]",
    "[a, \"b\"]",
    "",
    "# only",
    "~",
    "-5m",
    "https://a.b/c?d=e",
];

fn mapping(text: &mut String, numbers: &mut Numbers, indent: usize, depth: usize) {
    for index in 0..=numbers.below(4) {
        let pad = " ".repeat(indent);
        text.push_str(&format!("{pad}k{index}:"));
        after(text, numbers, indent, depth);
        if numbers.below(6) == 0 {
            text.push_str("  # between\n\n");
        }
    }
}

fn after(text: &mut String, numbers: &mut Numbers, indent: usize, depth: usize) {
    match numbers.below(if depth == 0 { 2 } else { 6 }) {
        0 => text.push_str(&format!(" {}\n", SCALARS[numbers.below(SCALARS.len())])),
        1 => {
            let pad = " ".repeat(indent + 1 + numbers.below(3));
            text.push_str(&format!(" |{}\n{pad}l\n\n{pad}  m: n \n", ["", "-"][numbers.below(2)]));
        }
        2 | 3 => {
            text.push('\n');
            let inner = indent + 1 + numbers.below(3);
            mapping(text, numbers, inner, depth - 1);
        }
        _ => {
            text.push('\n');
            let inner = indent + numbers.below(3);
            for _ in 0..=numbers.below(3) {
                let pad = " ".repeat(inner);
                if numbers.below(2) == 0 {
                    text.push_str(&format!("{pad}- {}\n", SCALARS[numbers.below(SCALARS.len())]));
                } else {
                    text.push_str(&format!("{pad}- f: 1\n"));
                    mapping(text, numbers, inner + 2, depth - 1);
                }
            }
        }
    }
}
