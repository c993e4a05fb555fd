//! Jsonnet programs: what they return, what they may import, and what is wrong with them.

use insta::assert_snapshot;
use manifest_render::{Argument, Budget, Kind, Limits, MemoryFiles, Source, render};

use super::{outcome, rendered};

const OBJECT: &str = "{ apiVersion: 'v1', kind: 'Service', metadata: { name: 'web' } }";

#[test]
fn a_program_returns_an_object_a_list_or_a_mapping() {
    let files = MemoryFiles::new()
        .with("a/one.jsonnet", OBJECT)
        .with("a/many.jsonnet", "local o(n) = { apiVersion: 'v1', kind: 'X', metadata: { name: n } };\n[o('a'), [o('b'), null], { x: o('c'), y: { z: o('d') } }]")
        .with("a/list.jsonnet", "{ apiVersion: 'v1', kind: 'List', items: [{ apiVersion: 'v1', kind: 'Y', metadata: { name: 'e' }, n: [1.0, 1e20, 0.5, 5000000000] }] }")
        .with("a/lib.libsonnet", "error 'not a program'")
        .with("a/vendor/x/main.jsonnet", "error 'not a program'")
        .with("a/jsonnetfile.json", "{}");
    assert_snapshot!(outcome(&files, "a"), @"
    a/list.jsonnet:0 Y e
    a/many.jsonnet:0 X a
    a/many.jsonnet:0 X b
    a/many.jsonnet:0 X c
    a/many.jsonnet:0 X d
    a/one.jsonnet:0 Service web
    ");
    let result = rendered(&files, "a").unwrap();
    assert_eq!(result.objects[0].object.pointer("/n").unwrap().to_string(), "[1,1e+20,0.5,5000000000]");
}

#[test]
fn imports_stay_inside_the_tree_and_are_recorded() {
    let files = MemoryFiles::new()
        .with("apps/qa/main.jsonnet", "local lib = import '../../lib/web.libsonnet';\nlib.web { metadata+: { annotations: { text: importstr 'note.txt', data: std.toString(import 'data.json'), k: (import 'k8s/main.libsonnet').name, bin: std.toString(importbin 'note.txt') } } }")
        .with("apps/qa/note.txt", "hi\n")
        .with("apps/qa/data.json", "{\"a\": 1}")
        .with("lib/web.libsonnet", "{ web: { apiVersion: 'v1', kind: 'Service', metadata: { name: 'web' } } }")
        .with("vendor/k8s/main.libsonnet", "{ name: 'k' }");
    let result = rendered(&files, "apps/qa").unwrap();
    assert_snapshot!(yaml::to_yaml(&result.objects[0].object.to_json()), @r#"
    apiVersion: v1
    kind: Service
    metadata:
      annotations:
        bin: '[104, 105, 10]'
        data: '{"a": 1}'
        k: k
        text: |
          hi
      name: web
    "#);
    assert_snapshot!(result.read.join("\n"), @"
    apps/qa/data.json
    apps/qa/k8s/main.libsonnet
    apps/qa/main.jsonnet
    apps/qa/note.txt
    apps/qa/vendor/k8s/main.libsonnet
    lib/web.libsonnet
    vendor/k8s/main.libsonnet
    ");
    let fault = |text: &str| outcome(&files.clone().with("apps/qa/main.jsonnet", text), "apps/qa/main.jsonnet");
    assert_snapshot!(fault("import '../../../etc/passwd'"), @"apps/qa/main.jsonnet:1:1: failed to import: path `../../../etc/passwd` leads out of the tree (imports stay inside the tree)");
    assert_snapshot!(fault("{} +\n  importstr '/etc/passwd'"), @"apps/qa/main.jsonnet:2:3: failed to import: path `/etc/passwd` is absolute, paths are relative to the root of the tree (imports stay inside the tree)");
    assert_snapshot!(fault("import 'none.libsonnet'"), @"apps/qa/main.jsonnet:1:1: `none.libsonnet` was not found, neither as apps/qa/none.libsonnet nor as apps/qa/vendor/none.libsonnet nor as vendor/none.libsonnet (libraries are found in `vendor` or in the library paths of the source)");
    assert_snapshot!(fault("import '.'"), @"apps/qa/main.jsonnet:1:1: failed to import `.`: `apps/qa` is not a file (import a file)");
    assert_snapshot!(fault("local a = import 'main.jsonnet'; a"), @"apps/qa/main.jsonnet:1:11: a value needs itself");
}

#[test]
fn variables_and_arguments_are_given() {
    let files = MemoryFiles::new().with(
        "main.jsonnet",
        "function(name, count=1) { apiVersion: 'v1', kind: 'X', metadata: { name: name + '-' + std.extVar('env') }, count: count + std.extVar('n') }",
    );
    let mut source = Source::at("").of_kind(Kind::Jsonnet);
    source.jsonnet.external_variables.insert("env".to_owned(), Argument::Text("qa".to_owned()));
    source.jsonnet.external_variables.insert("n".to_owned(), Argument::Code("1 + 1".to_owned()));
    source.jsonnet.arguments.insert("name".to_owned(), Argument::Text("web".to_owned()));
    let result = render(&source, &files, &Budget::default()).unwrap();
    assert_eq!((result.objects[0].object.name(), result.objects[0].object.int_at("/count")), ("web-qa", Some(3)));
    source.jsonnet.arguments.insert("other".to_owned(), Argument::Code("{".to_owned()));
    assert_snapshot!(render(&source, &files, &Budget::default()).unwrap_err().to_string(), @"<argument other>:1:2: expected `[` or `assert` or `local` or `}` or a name or a string, found the end of the file");
    source.jsonnet.arguments.insert("other".to_owned(), Argument::Code("1".to_owned()));
    assert_snapshot!(render(&source, &files, &Budget::default()).unwrap_err().to_string(), @"main.jsonnet: the function has no parameter `other`");
    source.jsonnet.external_variables.remove("env");
    source.jsonnet.arguments.remove("other");
    assert_snapshot!(render(&source, &files, &Budget::default()).unwrap_err().to_string(), @"main.jsonnet:1:87: the external variable `env` is not given");
}

#[test]
fn a_fault_names_its_line_in_the_program() {
    let fault = |text: &str| outcome(&MemoryFiles::new().with("a.jsonnet", text), "");
    assert_snapshot!(fault("{\n  a: 1,\n  b 2\n}"), @"a.jsonnet:3:5: expected `(` or `+:::` or `+::` or `+:` or `:::` or `::` or `:`, found a number");
    assert_snapshot!(fault("local f(x) = x + 1;\n{ a: f(1),\n  b: f(1) + g }"), @"a.jsonnet:3:13: there is no variable `g`");
    assert_snapshot!(fault("local f(x) = 1 - x;\n{ a: f(1),\n  b: f('x') }"), @"a.jsonnet:1:14: `-` does not take a number and a string");
    assert_snapshot!(fault("{\n  a: self.b }"), @"a.jsonnet:2:6: there is no field `b`");
    assert_snapshot!(fault("{\n  a: error 'no image for ' + 'web' }"), @"a.jsonnet:2:6: no image for web");
    assert_snapshot!(fault("{ a: 1,\n  assert self.a == 2 : 'a must be 2' }"), @"a.jsonnet:2:3: a must be 2");
    assert_snapshot!(fault("[\n  std.range('a', 2) ]"), @"a.jsonnet:2:3: `-` does not take a number and a string");
    assert_snapshot!(fault("{ a: 'x' }"), @"a.jsonnet: `$.a` of the result is a string, not an object (a program returns an object, or a list or mapping of objects)");
    assert_snapshot!(fault("[{ apiVersion: 'v1', kind: 'X' }]"), @"a.jsonnet: X: `metadata.name` is missing at `$[0]` of the result (name the object)");
    assert_snapshot!(fault("function(x) x"), @"a.jsonnet: the parameter `x` is not given");
    assert_snapshot!(fault("local a = b, b = a; a"), @"a.jsonnet:1:18: a value needs itself");
    assert_snapshot!(fault("std.native('x')(1)"), @"a.jsonnet:1:1: null can't be called");
    assert_snapshot!(fault("{ kind: 'X', apiVersion: 'v1', f: function(x) x }"), @"a.jsonnet: the result holds a function");
    assert_snapshot!(fault("{ a: '%999999999d' % 1 }"), @"a.jsonnet:1:6: a width or precision in a format has more than 4 digits");
}

#[test]
fn traces_are_notes() {
    let files = MemoryFiles::new().with("a.jsonnet", format!("local x = std.trace('at x', 1);\n{OBJECT} + {{ x: x }}"));
    assert_snapshot!(outcome(&files, ""), @"
    a.jsonnet:0 Service web
    a.jsonnet:1:11: trace: at x
    ");
}

#[test]
fn case_10_programs_that_would_not_end_are_stopped() {
    let stopped = |text: &str| {
        let files = MemoryFiles::new().with("a.jsonnet", text);
        let limits = Limits { steps_max: 50_000, output_bytes_max: 1_000_000, ..Limits::default() };
        render(&Source::at(""), &files, &Budget::new(limits)).unwrap_err().to_string()
    };
    assert_snapshot!(stopped("local f(x) = f(x + 1) tailstrict; f(0)"), @"a.jsonnet:1:14: calls are nested too deeply");
    assert_snapshot!(stopped("local f(x) = 1 + f(x + 1); f(0)"), @"a.jsonnet:1:18: calls are nested too deeply");
    assert_snapshot!(stopped("local f = function(n) if n == 0 then 0 else f(n - 1) + f(n - 1); f(60)"), @"a.jsonnet:1: rendering takes more than 50000 steps");
    assert_snapshot!(stopped("std.length([1 for a in std.range(1, 10000) for b in std.range(1, 10000)])"), @"a.jsonnet:1: rendering takes more than 50000 steps");
    assert_snapshot!(stopped("std.length(std.range(1, 1e12))"), @"a.jsonnet:1: rendering takes more than 50000 steps");
    assert_snapshot!(stopped("std.length(std.repeat('x', 1e12))"), @"a.jsonnet:1: rendering takes more than 50000 steps");
    assert_snapshot!(stopped("std.length(std.makeArray(1e12, function(i) i))"), @"a.jsonnet:1: rendering takes more than 50000 steps");
    assert_snapshot!(stopped("std.native('meter')(-1e18) && std.length(std.makeArray(1e12, function(i) i)) > 0"), @"a.jsonnet:1: rendering takes more than 50000 steps");
    let doubling: String = (1..60).map(|n| format!("local s{n} = s{0} + s{0};\n", n - 1)).collect();
    assert_snapshot!(stopped(&format!("local s0 = 'xxxxxxxx';\n{doubling} std.length(s59)")), @"a.jsonnet:14: rendering takes more than 50000 steps");
    let shared: String = (1..60).map(|n| format!("local s{n} = [s{0}, s{0}];\n", n - 1)).collect();
    assert_snapshot!(stopped(&format!("local s0 = {OBJECT};\n{shared} s59")), @"a.jsonnet: rendering takes more than 50000 steps");
    assert_snapshot!(stopped(&("[".repeat(100_000) + &"]".repeat(100_000))), @"a.jsonnet:1:401: the program is nested too deeply (move parts into locals or libraries)");
    assert_snapshot!(stopped(&("{a:".repeat(100_000) + "1" + &"}".repeat(100_000))), @"a.jsonnet:1:1201: the program is nested too deeply (move parts into locals or libraries)");
}
