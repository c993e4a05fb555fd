//! Handlebars templates: what they render to, what they can't do, and what is wrong with them.

use insta::assert_snapshot;
use manifest_render::{Budget, Kind, Limits, MemoryFiles, Source, render};
use serde_json::json;

use super::{outcome, rendered};

const WEB: &str = "\
{{#each services}}
---
apiVersion: v1
kind: Service
metadata:
  name: {{@key}}-{{port}}
  labels:
    {{> labels app=@key}}
    {{yaml @root.labels indent=4}}
  annotations:
    note: {{quote (default note \"none\")}}
    digest: {{sha256 (json this)}}
{{#if public}}
spec:
  type: LoadBalancer
{{else}}
spec:
  type: ClusterIP
{{/if}}
{{/each}}
";

fn web() -> MemoryFiles {
    MemoryFiles::new()
        .with("qa/web.yaml.hbs", WEB)
        .with("qa/_labels.hbs", "app: {{app}}\n")
        .with("qa/values.yaml", "labels: {team: a, tier: \"1\"}\nservices:\n  web: {port: 80, public: yes}\n  api: {port: 81, note: \"x: <y>\", public: no}\n")
        .with("qa/plain.yaml", "apiVersion: v1\nkind: Namespace\nmetadata: {name: qa}\n")
}

#[test]
fn templates_see_values_partials_and_helpers() {
    let result = rendered(&web(), "qa").unwrap();
    let texts: Vec<String> = result.objects.iter().map(|it| yaml::to_yaml(&it.object.to_json())).collect();
    assert_snapshot!(texts.join("---\n"), @r#"
    apiVersion: v1
    kind: Namespace
    metadata:
      name: qa
    ---
    apiVersion: v1
    kind: Service
    metadata:
      annotations:
        digest: 5475d1717d648d6bf70ad44872e8ed770e4259c581a13cf3a67fc22f1cc8a60a
        note: 'x: <y>'
      labels:
        app: api
        team: a
        tier: "1"
      name: api-81
    spec:
      type: ClusterIP
    ---
    apiVersion: v1
    kind: Service
    metadata:
      annotations:
        digest: 71fe6f6ebf7e843745d24bf79a5611a1e0a3b628311bade9bc0bbcbae93638e7
        note: none
      labels:
        app: web
        team: a
        tier: "1"
      name: web-80
    spec:
      type: LoadBalancer
    "#);
    assert_eq!(result.read, ["qa/_labels.hbs", "qa/plain.yaml", "qa/values.yaml", "qa/web.yaml.hbs"]);
    assert_eq!(result.objects[1].file, "qa/web.yaml.hbs");
}

#[test]
fn values_come_from_files_and_from_the_source() {
    let files = MemoryFiles::new()
        .with("a.hbs", "apiVersion: v1\nkind: X\nmetadata:\n  name: {{a}}-{{b.c}}-{{b.d}}\n")
        .with("values.yaml", "a: 1\nb: {c: 2, d: 3}\n")
        .with("qa.yaml", "a: 4\n");
    let mut source = Source::at("").of_kind(Kind::Handlebars);
    source.values_files = vec!["qa.yaml".to_owned()];
    source.values = json!({"b": {"c": "five"}}).as_object().cloned().unwrap();
    let result = render(&source, &files, &Budget::default()).unwrap();
    assert_eq!(result.objects[0].object.name(), "4-five-3");
    source.values_files = vec!["none.yaml".to_owned()];
    assert_snapshot!(render(&source, &files, &Budget::default()).unwrap_err().to_string(), @"path `none.yaml` does not exist in the tree");
    source.values_files = vec!["../none.yaml".to_owned()];
    assert_snapshot!(render(&source, &files, &Budget::default()).unwrap_err().to_string(), @"path `../none.yaml` leads out of the tree");
}

#[test]
fn helpers_answer_as_documented() {
    let table = [
        ("{{base64 \"abc\"}} {{base64decode \"YWJj\"}}", "YWJj abc"),
        ("{{quote \"a\\\"b\"}} {{squote \"it's\"}}", "\"a\\\"b\" 'it''s'"),
        ("{{default none \"x\"}}{{default empty number 5}}", "x3"),
        ("{{ternary yes \"a\" \"b\"}}{{ternary empty \"a\" \"b\"}}", "ab"),
        ("{{upper \"a\"}}{{lower \"B\"}}{{trim \" c \"}}", "Abc"),
        ("{{replace \"a.b.c\" \".\" \"-\"}}", "a-b-c"),
        ("{{join list \"+\"}}{{join list}}", "a+1a,1"),
        ("{{concat \"a\" number true}}", "a3true"),
        ("{{json map}}", "{\"k\":[1]}"),
        ("x{{nindent 2 (yaml map)}}", "x\nk:\n- 1"),
        ("{{indent 2 two}}", "  a\nb"),
        ("{{#if (eq number 3)}}a{{else if (gt number 3)}}b{{else}}c{{/if}}", "a"),
        ("{{#unless empty}}a{{/unless}}{{#with map}}{{lookup k 0}}{{/with}}", "a1"),
        ("{{#each list}}{{@index}}{{this}}{{#unless @last}},{{/unless}}{{/each}}", "0a,11"),
        ("{{{list}}} & <", "[a, 1] & <"),
    ];
    for (template, wanted) in table {
        let template = format!("apiVersion: v1\nkind: X\nmetadata: {{name: x}}\ntext: |\n  [{template}]\n");
        let values = "number: 3\nempty: ''\n\"yes\": true\nlist: [a, 1]\nmap: {k: [1]}\ntwo: \"a\\nb\"\n";
        let files = MemoryFiles::new().with("a.hbs", &template).with("values.yaml", values);
        let result = rendered(&files, "").unwrap();
        assert_eq!(result.objects[0].object.str_at("/text"), Some(format!("[{wanted}]\n").as_str()), "{template}");
    }
}

#[test]
fn a_fault_names_the_template_its_line_and_a_hint() {
    let faults = |template: &str| {
        outcome(&MemoryFiles::new().with("a.hbs", template).with("values.yaml", "a: {b: 1}\nlist: [1]\n"), "")
    };
    assert_snapshot!(faults("x: 1\ny: {{a.c.d}}\n"), @r#"a.hbs:2:4: `a.c.d` has no value (set it in values.yaml, or write `{{default a.c.d "..."}}`)"#);
    assert_snapshot!(faults("x: 1\ny: {{nope 1}}\n"), @"a.hbs:2:4: there is no helper `nope` (a path with arguments is a helper call; check its name)");
    assert_snapshot!(faults("x: 1\n{{> nope}}\n"), @"a.hbs:2:1: there is no partial `nope` (write it as `_nope.hbs` or `partials/nope.hbs`)");
    assert_snapshot!(faults("x: 1\n{{#if a}}\n"), @"a.hbs:3:1: a tag is malformed, or a block is not closed (check that each block is closed and each tag ends with `}}`)");
    assert_snapshot!(faults("x: {{required a.x \"say which x\"}}"), @"a.hbs:1:4: say which x");
    assert_snapshot!(faults("x: {{quote a.x}}"), @"a.hbs:1:4: `quote` is given `a.x`, which has no value");
    assert_snapshot!(faults("x: {{indent 1000 \"a\"}}"), @"a.hbs:1:4: `indent` needs a number of spaces up to 200");
    assert_snapshot!(faults("x: {{base64decode \"%\"}}"), @"a.hbs:1:4: the argument of `base64decode` is not base64");
    assert_snapshot!(faults("kind: X\nname: a: b\n"), @"a.hbs: mapping values are not allowed in this context at line 2 of the rendered text, `name: a: b` (quote a value that contains `: `, or check the indentation)");
    assert_snapshot!(faults("{{#> p}}x{{/p}}"), @"a.hbs:1:1: partial blocks (`{{#> ...}}`) are not supported (use plain partials: `{{> name}}`)");
    assert_snapshot!(faults("{{#*inline \"p\"}}x{{/inline}}"), @"a.hbs:1:1: decorators and inline partials (`{{* ...}}`) are not supported (use plain partials: `{{> name}}`)");
    assert_snapshot!(faults("{{> (lookup a \"b\")}}"), @"a.hbs:1:1: a computed partial name is not supported (use plain partials: `{{> name}}`)");
    assert_snapshot!(faults("{{> b}}"), @"a.hbs:1:1: there is no partial `b` (write it as `_b.hbs` or `partials/b.hbs`)");
    let files = MemoryFiles::new().with("_a.hbs", "{{> b}}").with("_b.hbs", "{{> a}}").with("c.hbs", "{{> a}}");
    assert_snapshot!(outcome(&files, ""), @"
    _a.hbs: its partials include each other in a circle
    _b.hbs: its partials include each other in a circle
    c.hbs: its partials include each other in a circle
    ");
    let files = MemoryFiles::new().with("a.hbs", "x").with("values.yaml", "- 1\n");
    assert_snapshot!(outcome(&files, ""), @"
    a.hbs: a manifest must be a mapping, this is a string at line 1 of the rendered text, `x` (exclude the file when it is not a manifest)
    values.yaml: a file of values must be a mapping
    ");
    let files = MemoryFiles::new().with("a.hbs", b"x: \xFF");
    assert_snapshot!(outcome(&files, ""), @"a.hbs: the template is not UTF-8 at offset 3 (save the file as UTF-8)");
}

#[test]
fn case_10_templates_that_would_not_end_are_stopped() {
    let list = (0..1000).map(|n| n.to_string()).collect::<Vec<_>>().join(", ");
    let stopped = |files: MemoryFiles, limits: Limits| {
        let files = files.with("values.yaml", format!("list: [{list}]\n"));
        render(&Source::at(""), &files, &Budget::new(limits)).unwrap_err().to_string()
    };
    let nested = "{{#each @root.list}}".repeat(8) + &"{{/each}}".repeat(8);
    let small = Limits { steps_max: 50_000, output_bytes_max: 20_000, ..Limits::default() };
    assert_snapshot!(stopped(MemoryFiles::new().with("a.hbs", &nested), small), @"a.hbs:1: rendering takes more than 50000 steps");
    let mut doubling = MemoryFiles::new().with("a.hbs", "{{> p0}}").with("_p30.hbs", "");
    for level in 0..30 {
        doubling = doubling.with(&format!("_p{level}.hbs"), format!("{{{{> p{0}}}}}{{{{> p{0}}}}}", level + 1));
    }
    assert_snapshot!(stopped(doubling, small), @"_p29.hbs:1: rendering takes more than 50000 steps");
    let mut growing = String::from("{{#with (concat \"0123456789\" \"0123456789\") as |s0|}}");
    for level in 1..40 {
        growing.push_str(&format!("{{{{#with (concat s{0} s{0}) as |s{level}|}}}}", level - 1));
    }
    growing.push_str(&"{{/with}}".repeat(40));
    assert_snapshot!(stopped(MemoryFiles::new().with("a.hbs", &growing), small), @"a.hbs:1: the output is larger than 20000 bytes");
    assert_snapshot!(stopped(MemoryFiles::new().with("a.hbs", "{{#each list}}0123456789{{/each}}".repeat(3)), small), @"a.hbs:1: the output is larger than 20000 bytes");
    let mut deep = MemoryFiles::new().with("a.hbs", "{{> p0}}").with("_p60.hbs", "x");
    for level in 0..60 {
        deep = deep.with(&format!("_p{level}.hbs"), format!("{{{{> p{}}}}}", level + 1));
    }
    assert!(stopped(deep, small).contains("nested more than 48 deep"));
    assert!(
        stopped(MemoryFiles::new().with("a.hbs", "{{#if list}}".repeat(100_000)), small)
            .contains("nested more than 48")
    );
}

#[test]
fn the_deepest_template_allowed_fits_the_stack() {
    let mut files = MemoryFiles::new().with("a.hbs", "{{> p0}}").with("_p45.hbs", "# x");
    for level in 0..45 {
        files = files.with(&format!("_p{level}.hbs"), format!("{{{{> p{}}}}}", level + 1));
    }
    assert!(rendered(&files, "").is_ok());
    let blocks = "{{#if true}}{{#with \"x\"}}".repeat(22) + "# x" + &"{{/with}}{{/if}}".repeat(22);
    assert!(rendered(&MemoryFiles::new().with("a.hbs", blocks), "").is_ok());
}
