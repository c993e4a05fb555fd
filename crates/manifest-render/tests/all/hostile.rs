//! Sources that nobody would write: the render answers, and twice the same.

use manifest_render::{Budget, Limits, MemoryFiles, Source, render};
use proptest::prelude::*;

fn outcome_of(files: &MemoryFiles) -> String {
    let limits = Limits { steps_max: 20_000, output_bytes_max: 20_000, ..Limits::default() };
    match render(&Source::at(""), files, &Budget::new(limits)) {
        Ok(rendered) => format!("{rendered:?}"),
        Err(error) => format!("{error:?}"),
    }
}

fn template_piece() -> impl Strategy<Value = String> {
    let fixed = [
        "{{a}}",
        "{{",
        "}}",
        "{{{a}}}",
        "{{#each list}}",
        "{{/each}}",
        "{{#if a}}",
        "{{else}}",
        "{{else if b}}",
        "{{/if}}",
        "{{^}}",
        "{{#with map}}",
        "{{/with}}",
        "{{this}}",
        "{{@index}}",
        "{{@key}}",
        "{{../a}}",
        "{{> p}}",
        "{{> p x=1}}",
        "{{> (lookup a b)}}",
        "{{> @partial-block}}",
        "{{#> p}}",
        "{{/p}}",
        "{{#*inline \"q\"}}",
        "{{/inline}}",
        "{{* x}}",
        "{{!-- c --}}",
        "{{! c }}",
        "{{{{raw}}}}",
        "{{{{/raw}}}}",
        "{{~a~}}",
        "\\{{a}}",
        "{{yaml map indent=2}}",
        "{{indent 2 a}}",
        "{{indent -1 a}}",
        "{{default none a}}",
        "{{#each}}{{/each}}",
        "{{eq a}}",
        "{{lookup map \"k\"}}",
        "{{lookup list 9}}",
        "{{len list}}",
        "{{concat a (concat a a)}}",
        "{{join list}}",
        "{{a.b.c}}",
        "{{a[0]}}",
        "{{list.[0]}}",
        "{{\"a\"}}",
        "{{1}}",
        "{{(a)}}",
        "{{((a))}}",
        "{{not}}",
        "{{and a}}",
        "{{helper a=b}}",
        "{{#a}}",
        "{{/a}}",
        "{{as |x|}}",
        "{{#each list as |v i|}}",
        "{{v}}",
        "{{replace a \"\" \"x\"}}",
        "{{ternary}}",
        "{{log a}}",
        "{{count step}}",
        "{{[count step]}}",
        "k: v\n",
        "\n",
        "  ",
        "é",
        "{{#each map}}{{#each ../list}}{{@../key}}{{/each}}{{/each}}",
        "{{sha256 map}}",
        "{{json map}}",
        "{{quote}}",
        "{{else}}{{else}}",
        "{{#if}}{{/if}}",
    ];
    prop::sample::select(fixed.to_vec()).prop_map(str::to_owned)
}

fn program_piece() -> impl Strategy<Value = String> {
    let fixed = [
        "{",
        "}",
        "[",
        "]",
        "(",
        ")",
        "a",
        "b",
        ": ",
        ":: ",
        ", ",
        "; ",
        "local a = ",
        "local f(x) = ",
        "f(",
        "function(x) ",
        "if ",
        " then ",
        " else ",
        "for x in ",
        " in ",
        "self",
        "super",
        "$",
        ".a",
        "['a']",
        "[0]",
        "[1:2]",
        "1",
        "2.5",
        "'s'",
        "\"t\"",
        "|||\n  x\n|||",
        "@'v'",
        " + ",
        " - ",
        " * ",
        " / ",
        " % ",
        " == ",
        " < ",
        " && ",
        "!",
        "~",
        "null",
        "true",
        "error ",
        "assert ",
        "import 'x.libsonnet'",
        "importstr 'x.libsonnet'",
        "importbin 'x'",
        "import 'main.jsonnet'",
        "std",
        "std.length(",
        "std.range(1, 3)",
        "std.toString(",
        "std.extVar('a')",
        "std.native('meter')",
        "std.native('meter')('%9999999d')",
        "std.native('meter')({})",
        "std.trace('t', ",
        "tailstrict",
        "+: ",
        "apiVersion: 'v1', kind: 'X', metadata: { name: 'x' }",
        "\n",
        "// c\n",
        "m0_",
        "m0_step",
        "é",
        "std.sort([",
        "std.manifestJsonEx({}, ' ')",
        "'%s' % ",
        "1e400",
        "std.repeat('x', ",
        "std.makeArray(2, ",
        "std.foldl(",
        "std.join(',', ",
    ];
    prop::sample::select(fixed.to_vec()).prop_map(str::to_owned)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_template_renders_or_is_refused(pieces in prop::collection::vec(template_piece(), 0..12), partial in prop::collection::vec(template_piece(), 0..4)) {
        let files = MemoryFiles::new()
            .with("a.hbs", pieces.concat())
            .with("_p.hbs", partial.concat())
            .with("values.yaml", "a: text\nb: 3\nlist: [1, x, null]\nmap: {k: v, n: {m: 1}}\n");
        prop_assert_eq!(outcome_of(&files), outcome_of(&files));
    }

    #[test]
    fn any_program_renders_or_is_refused(pieces in prop::collection::vec(program_piece(), 0..16), library in prop::collection::vec(program_piece(), 0..6)) {
        let files = MemoryFiles::new().with("main.jsonnet", pieces.concat()).with("x.libsonnet", library.concat());
        prop_assert_eq!(outcome_of(&files), outcome_of(&files));
    }

    #[test]
    fn any_bytes_as_any_file_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
        for name in ["a.yaml", "a.json", "a.hbs", "a.jsonnet", "values.yaml"] {
            let files = MemoryFiles::new().with(name, &bytes).with("b.hbs", "");
            prop_assert_eq!(outcome_of(&files), outcome_of(&files));
        }
    }
}
