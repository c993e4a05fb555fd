//! Charts behave as under Helm 4.1.4. What is expected was recorded from it.

use go_template::CountingEntropy;
use manifest_render::helm::{
    Chart, GivenValues, HelmError, HookEvent, KubeVersion, Manifests, Mode, Printing, Release, Severity, Surroundings,
    Timestamp, lint_chart, merge_values, missing_charts, render_chart,
};
use manifest_render::{Budget, ChartInput, Limits, MemoryFiles, Source, render};

fn chart(name: &str) -> MemoryFiles {
    MemoryFiles::new().with("c/Chart.yaml", format!("apiVersion: v2\nname: {name}\nversion: 1.2.3\n"))
}

fn rendered_with(files: &MemoryFiles, release: &Release, budget: &Budget) -> Result<Manifests, String> {
    let chart = Chart::load("c", files, budget).map_err(|error| error.to_string())?;
    let mut entropy = CountingEntropy::default();
    let surroundings = Surroundings::new(&mut entropy, Timestamp::default());
    render_chart(&chart, release, surroundings, budget).map_err(|error| error.to_string())
}

fn release(given: &GivenValues) -> Result<Release, String> {
    let values = merge_values(given, &|path| Ok(format!("content of {path}"))).map_err(|error| error.to_string())?;
    Ok(Release { values, ..Release::new("rel", "ns1") })
}

/// What `helm template rel` prints with values, or what it says.
fn template(files: &MemoryFiles, given: &GivenValues) -> String {
    let outcome = release(given).and_then(|release| {
        let manifests = rendered_with(files, &release, &Budget::default())?;
        manifests.print(&Printing::default()).map_err(|error| error.to_string())
    });
    match outcome {
        Ok(text) => String::from_utf8_lossy(&text).into_owned(),
        Err(message) => format!("Error: {message}"),
    }
}

fn set(text: &str) -> GivenValues {
    GivenValues { set: vec![text.to_owned()], ..GivenValues::default() }
}

/// One template, with values of its own chart.
fn one(values: &str, text: &str) -> MemoryFiles {
    chart("c").with("c/values.yaml", values).with("c/templates/a.yaml", text)
}

/// The last line that a chart prints, or the whole error.
fn last_line(files: &MemoryFiles, given: &GivenValues) -> String {
    let text = template(files, given);
    if text.starts_with("Error") { text } else { text.trim_end().lines().last().unwrap_or_default().to_owned() }
}

#[test]
fn set_follows_its_grammar_to_the_letter() {
    let files = one("a: {b: 1}\nl: [1,2]\ns: x\n", "v: {{ .Values | toJson }}\n");
    let rows = [
        ("a.b=2", r#"v: {"a":{"b":2},"l":[1,2],"s":"x"}"#),
        ("a[0]=1", r#"v: {"a":[1],"l":[1,2],"s":"x"}"#),
        ("s.x=1", r#"v: {"a":{"b":1},"l":[1,2],"s":{"x":1}}"#),
        ("l[3]=x", r#"v: {"a":{"b":1},"l":[null,null,null,"x"],"s":"x"}"#),
        ("l[0].a=1", r#"v: {"a":{"b":1},"l":[{"a":1}],"s":"x"}"#),
        (r"n={a,b\,c},m=null", r#"v: {"a":{"b":1},"l":[1,2],"m":null,"n":["a","b,c"],"s":"x"}"#),
        ("a=null", r#"v: {"l":[1,2],"s":"x"}"#),
        ("x", r#"Error: failed parsing --set data: key "x" has no value"#),
        ("x=1,", r#"v: {"a":{"b":1},"l":[1,2],"s":"x","x":1}"#),
        ("x,y=1", r#"Error: failed parsing --set data: key "x" has no value (cannot end with ,)"#),
        ("l[-1]=1", "Error: failed parsing --set data: negative -1 index not allowed"),
        (
            "l[a]=1",
            r#"Error: failed parsing --set data: error parsing index: strconv.Atoi: parsing "a": invalid syntax"#,
        ),
        (
            "l[70000]=1",
            "Error: failed parsing --set data: index of 70000 is greater than maximum supported index of 65536",
        ),
        ("l[0]x=1", "Error: failed parsing --set data: unexpected data at end of array index: ['x']"),
        ("a.=1", r#"Error: failed parsing --set data: key map "a" has no value"#),
        ("q={a", "Error: failed parsing --set data: list must terminate with '}'"),
        ("z[0][1]=t", r#"v: {"a":{"b":1},"l":[1,2],"s":"x","z":[[null,"t"]]}"#),
        ("f=1.5,i=007,e=,t=TRUE", r#"v: {"a":{"b":1},"e":"","f":"1.5","i":"007","l":[1,2],"s":"x","t":true}"#),
        ("l[0].a=", r#"v: {"a":{"b":1},"l":[],"s":"x"}"#),
        ("=v", r#"v: {"a":{"b":1},"l":[1,2],"s":"x"}"#),
        (r"a\.b=1", r#"v: {"a":{"b":1},"a.b":1,"l":[1,2],"s":"x"}"#),
        ("k[0=1", r#"v: {"a":{"b":1},"l":[1,2],"s":"x"}"#),
    ];
    for (text, expected) in rows {
        assert_eq!(last_line(&files, &set(text)), expected, "{text}");
    }
}

#[test]
fn the_other_flags_read_json_literals_and_files() {
    let files = one("a: {b: 1}\n", "v: {{ .Values | toJson }}\n");
    let json = |text: &str| GivenValues { json: vec![text.to_owned()], ..GivenValues::default() };
    assert_eq!(last_line(&files, &json("a=[1,2]")), r#"v: {"a":[1,2]}"#);
    assert_eq!(last_line(&files, &json(r#"{"a":{"c":1}}"#)), r#"v: {"a":{"b":1,"c":1}}"#);
    assert_eq!(last_line(&files, &json(r#"a={"x":1},b=2"#)), r#"v: {"a":{"b":1,"x":1},"b":2}"#);
    assert_eq!(last_line(&files, &json("a=x")), "Error: failed parsing --set-json data a=x");
    let literal = GivenValues { literals: vec![r"a.b=x,y\z=1".to_owned()], ..GivenValues::default() };
    assert_eq!(last_line(&files, &literal), r#"v: {"a":{"b":"x,y\\z=1"}}"#);
    let file = GivenValues { file_contents: vec!["f=p.txt".to_owned()], ..GivenValues::default() };
    assert_eq!(last_line(&files, &file), r#"v: {"a":{"b":1},"f":"content of p.txt"}"#);
    let all = GivenValues {
        files: vec![
            ("x.yaml".to_owned(), b"a: {b: 2, c: 3}\n".to_vec()),
            ("y.yaml".to_owned(), b"a: {c: null}\n".to_vec()),
        ],
        strings: vec!["a.d=007,a.e=1".to_owned()],
        ..set("a.f=1")
    };
    assert_eq!(last_line(&files, &all), r#"v: {"a":{"b":2,"c":null,"d":"007","e":"1","f":1}}"#);
}

#[test]
fn numbers_of_files_are_floats_and_those_of_set_are_integers() {
    let files = one("size: 1000000\n", "v: {{ .Values.size }} {{ kindOf .Values.size }}\n");
    assert_eq!(last_line(&files, &GivenValues::default()), "v: 1e+06 float64");
    assert_eq!(last_line(&files, &set("size=1000000")), "v: 1000000 int64");
}

fn with_subcharts() -> MemoryFiles {
    MemoryFiles::new()
        .with(
            "c/Chart.yaml",
            "apiVersion: v2\nname: top\nversion: 1.0.0\ndependencies:\n- {name: sub, version: 1.x, condition: 'x.y,sub.enabled', \
             tags: [t], import-values: [data, {child: deep, parent: taken}]}\n- {name: sub, version: 1.x, alias: other, \
             tags: [t]}\n- {name: lib, version: '*'}\n",
        )
        .with("c/values.yaml", "sub: {enabled: true, a: top, gone: null}\nglobal: {g: {h: 1}}\ntags: {t: true}\n")
        .with("c/templates/a.yaml", "top: {{ .Values | toJson }}\n")
        .with("c/charts/sub/Chart.yaml", "apiVersion: v2\nname: sub\nversion: 1.5.0\n")
        .with(
            "c/charts/sub/values.yaml",
            "a: sub\nb: sub\ngone: 1\nexports: {data: {imported: yes}}\ndeep: {z: 1}\nglobal: {g: {i: 2}}\n",
        )
        .with("c/charts/sub/templates/b.yaml", "{{ .Chart.Name }}: {{ .Values | toJson }}\nroot: {{ .Chart.IsRoot }}\n")
        .with("c/charts/lib/Chart.yaml", "apiVersion: v2\nname: lib\nversion: 0.1.0\ntype: library\n")
        .with("c/charts/lib/templates/_l.tpl", "{{ define \"lib.x\" }}from lib{{ end }}")
        .with("c/charts/lib/templates/ignored.yaml", "never: rendered\n")
}

#[test]
fn values_flow_between_charts_as_in_helm() {
    insta::assert_snapshot!(template(&with_subcharts(), &GivenValues::default()), @r#"
    ---
    # Source: top/charts/other/templates/b.yaml
    other: {"a":"sub","b":"sub","deep":{"z":1},"exports":{"data":{"imported":true}},"global":{"g":{"h":1,"i":2}},"gone":1}
    root: false
    ---
    # Source: top/charts/sub/templates/b.yaml
    sub: {"a":"top","b":"sub","deep":{"z":1},"enabled":true,"exports":{"data":{"imported":true}},"global":{"g":{"h":1,"i":2}}}
    root: false
    ---
    # Source: top/templates/a.yaml
    top: {"global":{"g":{"h":1}},"imported":true,"lib":{"global":{"g":{"h":1}}},"other":{"a":"sub","b":"sub","deep":{"z":1},"exports":{"data":{"imported":true}},"global":{"g":{"h":1,"i":2}},"gone":1},"sub":{"a":"top","b":"sub","deep":{"z":1},"enabled":true,"exports":{"data":{"imported":true}},"global":{"g":{"h":1,"i":2}}},"tags":{"t":true},"taken":{"z":1}}
    "#);
}

#[test]
fn conditions_win_over_tags() {
    let sources = |text: &str| {
        let text = template(&with_subcharts(), &set(text));
        let lines = text.lines().filter_map(|line| line.strip_prefix("# Source: top/")).map(str::to_owned);
        lines.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(sources("tags.t=false"), "charts/sub/templates/b.yaml templates/a.yaml");
    assert_eq!(sources("sub.enabled=false"), "charts/other/templates/b.yaml templates/a.yaml");
    assert_eq!(sources("x.y=false"), "charts/other/templates/b.yaml templates/a.yaml");
}

#[test]
fn a_subchart_sees_what_another_chart_wrote_into_its_values() {
    let files = with_subcharts()
        .with("c/charts/sub/templates/b.yaml", "{{ $_ := set .Values \"w\" .Chart.Name }}x: {{ .Values.w }}\n")
        .with("c/templates/a.yaml", "w: {{ .Values.sub.w }} {{ .Values.other.w }} {{ include \"lib.x\" . }}\n");
    assert_eq!(last_line(&files, &GivenValues::default()), "w: sub other from lib");
}

#[test]
fn charts_beside_a_chart_are_its_dependencies_where_they_are_asked_for() {
    let about = |version: &str| {
        format!(
            "apiVersion: v2\nname: app\nversion: 1.0.0\ndependencies:\n- {{name: common, version: {version}, repository: \
             'file://../common'}}\n- {{name: common, alias: other, version: 1.x, repository: 'file://../common'}}\n"
        )
    };
    let files = |version: &str| {
        MemoryFiles::new()
            .with("charts/app/Chart.yaml", about(version))
            .with("charts/app/values.yaml", "other: {a: 2}\n")
            .with("charts/common/Chart.yaml", "apiVersion: v2\nname: common\nversion: 1.2.3\n")
            .with("charts/common/values.yaml", "a: 1\n")
            .with("charts/common/templates/a.yaml", "chart: {{ .Chart.Name }}\na: {{ .Values.a }}\n")
    };
    let budget = Budget::default();
    let printed = |files: &MemoryFiles| {
        let mut chart = Chart::load("charts/app", files, &budget)?;
        chart.add_local_dependencies("charts/app", files, &budget)?;
        let mut entropy = CountingEntropy::default();
        let surroundings = Surroundings::new(&mut entropy, Timestamp::default());
        let manifests = render_chart(&chart, &Release::new("rel", "ns"), surroundings, &budget)?;
        Ok::<_, HelmError>(String::from_utf8(manifests.print(&Printing::default())?).unwrap())
    };
    insta::assert_snapshot!(printed(&files("^1.0.0")).unwrap(), @r"
    ---
    # Source: app/charts/common/templates/a.yaml
    chart: common
    a: 1
    ---
    # Source: app/charts/other/templates/a.yaml
    chart: other
    a: 2
    ");
    let refused = [
        (files("^2.0.0"), "can't get a valid version for dependency common"),
        (MemoryFiles::new().with("charts/app/Chart.yaml", about("1.x")), "directory charts/common not found"),
    ];
    for (files, message) in refused {
        let error = printed(&files).unwrap_err().to_string();
        assert!(error.contains(message), "{error}");
    }
    assert_eq!(missing_charts("charts/app", &files("1.x"), &budget).unwrap(), []);
}

#[test]
fn errors_say_what_helm_says() {
    let rows = [
        ("{{ fail \"no way\" }}", "Error: execution error at (c/templates/a.yaml:1:3): no way"),
        ("a: {{ required \"need a\" .Values.none }}", "Error: execution error at (c/templates/a.yaml:1:6): need a"),
        (
            "{{ .Values.a.b.c }}",
            "Error: c/templates/a.yaml:1:10\n  executing \"c/templates/a.yaml\" at <.Values.a.b.c>:\n    nil pointer \
             evaluating interface {}.c",
        ),
        ("{{ if }}", "Error: parse error at (c/templates/a.yaml:1): missing value for if"),
        ("{{ nope 1 }}", "Error: parse error at (c/templates/a.yaml:1): function \"nope\" not defined"),
        (
            "{{ include \"none\" . }}",
            "Error: c/templates/a.yaml:1:3\n  executing \"c/templates/a.yaml\" at <include \"none\" .>:\n    error \
             calling include:\ntemplate: no template \"none\" associated with template \"gotpl\"",
        ),
        (
            "{{ index .Values.l 5 }}",
            "Error: template: c/templates/a.yaml:1:3: executing \"c/templates/a.yaml\" at <index .Values.l 5>: error \
             calling index: index out of range: 5",
        ),
        (
            "{{ tpl \"{{ .x.y.z }}\" . }}",
            "Error: template: c/templates/a.yaml:1:3: executing \"c/templates/a.yaml\" at <tpl \"{{ .x.y.z }}\" .>: \
             error calling tpl: error during tpl function execution for \"{{ .x.y.z }}\": template: gotpl:1:5: \
             executing \"gotpl\" at <.x.y.z>: nil pointer evaluating interface {}.y",
        ),
        (
            "a: b: c",
            "Error: YAML parse error on c/templates/a.yaml: error converting YAML to JSON: yaml: mapping values are \
             not allowed in this context",
        ),
        (
            "- a",
            "Error: YAML parse error on c/templates/a.yaml: error unmarshaling JSON: while decoding JSON: json: cannot \
             unmarshal array into Go value of type util.SimpleHead",
        ),
        (
            "metadata: {annotations: {a: [b]}}",
            "Error: YAML parse error on c/templates/a.yaml: error unmarshaling JSON: while decoding JSON: json: cannot \
             unmarshal array into Go struct field .metadata.annotations of type string",
        ),
    ];
    for (text, expected) in rows {
        assert_eq!(template(&one("a: {}\nl: [1]\n", text), &GivenValues::default()), expected, "{text}");
    }
}

#[test]
fn a_broken_chart_is_refused_with_helms_words() {
    let rows = [
        (
            "name: [a]",
            "Error: cannot load Chart.yaml: error unmarshaling JSON: while decoding JSON: json: cannot unmarshal array \
             into Go struct field Metadata.name of type string",
        ),
        ("name: c\nversion: x\napiVersion: v2", "Error: validation: chart.metadata.version \"x\" is invalid"),
        ("name: c\nversion: 1\napiVersion: v3", "Error: invalid chart apiVersion"),
        ("name: c\nversion: 1\napiVersion: v9", "Error: unsupported chart version"),
        ("name: c\nversion: 1\napiVersion: v2\ntype: library", "Error: library charts are not installable"),
        (
            "name: c\nversion: 1\napiVersion: v2\nmaintainers: [null]",
            "Error: validation: maintainers must not contain empty or null nodes",
        ),
        (
            "name: c\nversion: 1\napiVersion: v2\nmaintainers: a",
            "Error: cannot load Chart.yaml: error unmarshaling JSON: while decoding JSON: json: cannot unmarshal string \
             into Go struct field Metadata.maintainers of type []*v2.Maintainer",
        ),
        (
            "name: c\nversion: 1\napiVersion: v2\nkubeVersion: <1.0",
            "Error: chart requires kubeVersion: <1.0 which is incompatible with Kubernetes v1.35.0",
        ),
        (
            "name: c\nversion: 1\napiVersion: v2\ndependencies: [{name: d, version: 1.x}]",
            "Error: an error occurred while checking for chart dependencies. You may need to run `helm dependency \
             build` to fetch missing dependencies: found in Chart.yaml, but missing in charts/ directory: d",
        ),
    ];
    for (about, expected) in rows {
        let files = MemoryFiles::new().with("c/Chart.yaml", about);
        assert_eq!(template(&files, &GivenValues::default()), expected, "{about}");
    }
}

#[test]
fn values_are_held_against_the_schema_of_each_chart() {
    let files = with_subcharts()
        .with("c/values.schema.json", r#"{"required": ["r"], "properties": {"n": {"type": "integer"}}}"#)
        .with("c/charts/sub/values.schema.json", r#"{"properties": {"a": {"enum": ["x", "y"]}}}"#);
    insta::assert_snapshot!(template(&files, &set("n=x,sub.a=q")).replace("other:\n- at '/a': value must be one of 'x', 'y'\n", ""), @r"
    Error: values don't meet the specifications of the schema(s) in the following chart(s):
    top:
    - at '': missing property 'r'
    - at '/n': got string, want integer
    sub:
    - at '/a': value must be one of 'x', 'y'
    ");
}

#[test]
fn hooks_are_data_and_tests_can_be_left_out() {
    let files = chart("c")
        .with("c/crds/d.yaml", "kind: CustomResourceDefinition\n")
        .with("c/templates/z.yaml", "kind: Service\n---\nkind: Namespace\n")
        .with(
            "c/templates/h.yaml",
            "kind: Job\nmetadata:\n  name: migrate\n  annotations:\n    helm.sh/hook: pre-install, pre-upgrade\n    \
             helm.sh/hook-weight: \"-5\"\n    helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded\n",
        )
        .with("c/templates/t.yaml", "kind: Pod\nmetadata: {name: t, annotations: {helm.sh/hook: test}}\n")
        .with("c/templates/NOTES.txt", "Thanks for {{ .Release.Name }}<no value>.");
    let manifests = rendered_with(&files, &Release::new("rel", "ns1"), &Budget::default()).unwrap();
    assert_eq!(manifests.notes, "Thanks for rel.");
    let job = manifests.hooks.iter().find(|hook| hook.name == "migrate").unwrap();
    assert_eq!((job.events.as_slice(), job.weight), (&[HookEvent::PreInstall, HookEvent::PreUpgrade][..], -5));
    assert_eq!(job.delete_policies, ["before-hook-creation", "hook-succeeded"]);
    let print = |printing: Printing| String::from_utf8(manifests.print(&printing).unwrap()).unwrap();
    let sources =
        |text: String| text.lines().filter_map(|line| line.strip_prefix("# Source: c/")).collect::<Vec<_>>().join(" ");
    assert_eq!(
        sources(print(Printing { with_definitions: true, ..Printing::default() })),
        "crds/d.yaml templates/z.yaml templates/z.yaml templates/t.yaml templates/h.yaml"
    );
    assert_eq!(
        sources(print(Printing { skips_tests: true, ..Printing::default() })),
        "templates/z.yaml templates/z.yaml templates/h.yaml"
    );
    let only = Printing { only: vec!["templates/z*".to_owned()], ..Printing::default() };
    insta::assert_snapshot!(print(only), @r"
    ---
    # Source: c/templates/z.yaml
    kind: Namespace
    ---
    # Source: c/templates/z.yaml
    kind: Service
    ");
    let missing = Printing { only: vec!["templates/q.yaml".to_owned()], ..Printing::default() };
    assert_eq!(manifests.print(&missing).unwrap_err().to_string(), "could not find template templates/q.yaml in chart");
}

#[test]
fn files_and_capabilities_have_methods() {
    let files = one(
        "",
        "v: |\n  {{ .Files.Get \"a.txt\" | quote }} {{ .Files.Lines \"a.txt\" | toJson }} {{ (.Files.Glob \"conf/*\").AsConfig | \
         toJson }} {{ .Capabilities.APIVersions.Has \"x/v1\" }} {{ .Capabilities.KubeVersion.Minor }} {{ \
         .Capabilities.KubeVersion }} {{ range $p, $c := .Files.Glob \"conf/**\" }}{{ $p }}{{ end }} {{ typeOf .Files }}\n",
    )
    .with("c/a.txt", "x\ny\n")
    .with("c/conf/k", "1")
    .with("c/.helmignore", "skipped/\n")
    .with("c/conf/skipped/x", "1");
    let mut release = Release::new("rel", "ns1");
    release.capabilities.kube_version = KubeVersion::parse("v1.31.2-x").unwrap();
    release.capabilities.api_versions.push("x/v1".to_owned());
    let text = rendered_with(&files, &release, &Budget::default()).unwrap().print(&Printing::default()).unwrap();
    let text = String::from_utf8(text).unwrap();
    assert_eq!(text.lines().last().unwrap(), r#"  "x\ny\n" ["x","y"] "k: \"1\"" true 31 v1.31.2 conf/k engine.files"#);
}

#[test]
fn case_10_charts_that_ask_for_too_much_end_with_their_place() {
    let budget = || Budget::new(Limits { steps_max: 200_000, output_bytes_max: 1 << 20, ..Limits::default() });
    let rows = [
        "{{ range until 100000000 }}x{{ end }}",
        "{{ define \"a\" }}{{ include \"a\" . }}{{ end }}{{ include \"a\" . }}",
        "{{ range until 1000 }}{{ repeat 100000 \"x\" }}{{ end }}",
        "{{ $t := \"{{ tpl .t . }}\" }}{{ tpl $t (dict \"t\" $t) }}",
    ];
    for text in rows {
        let said = rendered_with(&one("", text), &Release::new("rel", "ns1"), &budget()).unwrap_err();
        assert!(said.contains("c/templates/a.yaml:"), "{text}: {said}");
    }
    let outside = chart("c").with_link("c/templates/x.yaml", "../../../etc/passwd");
    assert!(template(&outside, &GivenValues::default()).contains("a link that leads out of the tree"));
}

#[test]
fn a_chart_is_found_by_its_chart_yaml_and_renders_the_same_twice() {
    let files = chart("c")
        .with("c/values.yaml", "a: 1\n")
        .with("c/qa.yaml", "a: 2\n")
        .with("c/crds/d.yaml", "apiVersion: v1\nkind: D\nmetadata: {name: d}\n")
        .with(
            "c/templates/s.yaml",
            "apiVersion: v1\nkind: Secret\nmetadata: {name: s, namespace: {{ .Release.Namespace }}}\nstringData:\n  p: {{ \
             randAlphaNum 12 | quote }}\n  a: {{ .Values.a | quote }}\n  at: {{ now | date \"2006-01-02\" | quote }}\n",
        );
    let source = |seed: &str| Source {
        values_files: vec!["qa.yaml".to_owned()],
        values: serde_json::json!({"b": 1}).as_object().unwrap().clone(),
        chart: ChartInput {
            namespace: "qa".to_owned(),
            seed: seed.into(),
            now_seconds: 86_400,
            ..ChartInput::default()
        },
        ..Source::at("c")
    };
    let first = render(&source("one"), &files, &Budget::default()).unwrap();
    assert_eq!(first, render(&source("one"), &files, &Budget::default()).unwrap());
    let names: Vec<_> = first.objects.iter().map(|it| format!("{} {}", it.file, it.object.id())).collect();
    assert_eq!(names, ["c/crds/d.yaml D d", "c/templates/s.yaml Secret qa/s"]);
    assert!(first.read.contains(&"c/qa.yaml".to_owned()) && first.listed.contains(&"c".to_owned()));
    let secret = |seed: &str| render(&source(seed), &files, &Budget::default()).unwrap().objects[1].object.to_json();
    assert_eq!(secret("one")["stringData"]["a"], "2");
    assert_eq!(secret("one")["stringData"]["at"], "1970-01-02");
    assert_ne!(secret("one")["stringData"]["p"], secret("two")["stringData"]["p"]);
    let broken = chart("c").with("c/templates/a.yaml", "{{ fail \"x\" }}");
    let error = render(&Source::at("c"), &broken, &Budget::default()).unwrap_err();
    assert_eq!(error.to_string(), "c/Chart.yaml: execution error at (c/templates/a.yaml:1:3): x");
}

#[test]
fn a_chart_that_was_rendered_before_renders_as_if_it_were_the_first_time() {
    let files = with_subcharts().with(
        "c/templates/t.yaml",
        "{{ tpl \"{{ define \\\"lib.x\\\" }}of tpl{{ end }}\" . }}t: {{ include \"lib.x\" . }}\n",
    );
    let budget = Budget::default();
    let mut kept = Chart::load("c", &files, &budget).unwrap();
    let once = |chart: &Chart, given: &str, mode: Mode| {
        let release = Release { mode, ..release(&set(given)).unwrap() };
        let mut entropy = CountingEntropy::default();
        let surroundings = Surroundings::new(&mut entropy, Timestamp::default());
        let printed = render_chart(chart, &release, surroundings, &budget)?.print(&Printing::default())?;
        Ok::<_, manifest_render::helm::HelmError>(String::from_utf8_lossy(&printed).into_owned())
    };
    let fresh = || Chart::load("c", &files, &budget).unwrap();
    for given in
        ["a=1", "tags.t=false", "sub.enabled=false", "x.y=false", "a=1", "tags.t=true", "a=2", "sub.enabled=false"]
    {
        let (again, first) = (once(&kept, given, Mode::Render), once(&fresh(), given, Mode::Render));
        assert_eq!(again.unwrap(), first.unwrap(), "{given}");
    }
    let text = kept.templates.iter_mut().find(|file| file.name == "templates/t.yaml").unwrap();
    text.data = "t: {{ .Values.not.there }}\n".into();
    assert!(once(&kept, "a=1", Mode::Strict).unwrap_err().to_string().contains("not"));
    text_is(&once(&kept, "a=1,not.there=5", Mode::Strict).unwrap(), "t: 5");
}

fn text_is(printed: &str, line: &str) {
    assert!(printed.lines().any(|have| have == line), "{printed}");
}

#[test]
fn lint_finds_what_helm_finds_and_tells_where() {
    let files = MemoryFiles::new()
        .with("c/Chart.yaml", "apiVersion: v2\nname: c\nversion: 1.2\nmaintainers: [{name: a, email: x}]\nfoo: 1\n")
        .with("c/values.yaml", "a: 1\na: 2\n")
        .with("c/templates/a.yaml", "apiVersion: extensions/v1beta1\nkind: Deployment\nmetadata: {name: A_b}\n")
        .with("c/templates/b.json", "{}");
    let release = Release { mode: Mode::Lint, ..Release::new("test-release", "default") };
    let mut entropy = CountingEntropy::default();
    let surroundings = Surroundings::new(&mut entropy, Timestamp::default());
    let findings = lint_chart("c", &files, &release, surroundings, &Budget::default()).unwrap();
    let lines: Vec<String> = findings.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(lines.join("\n"), @r#"
    [WARNING] Chart.yaml:5:6: failed to strictly parse chart metadata file
    	error unmarshaling JSON: while decoding JSON: json: unknown field "foo"
    [ERROR] Chart.yaml:3:10: version should be of type string but it's of type float64
    [ERROR] Chart.yaml:4:14: invalid email 'x' for maintainer 'a'
    [INFO] Chart.yaml: icon is recommended
    [WARNING] Chart.yaml:3:10: version '1.2' is not a valid SemVerV2
    [WARNING] values.yaml:2:1: duplicate key `a`
    [WARNING] templates/a.yaml: object name does not conform to Kubernetes naming requirements: "A_b": metadata.name: Invalid value: "A_b": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')
    [WARNING] templates/a.yaml: extensions/v1beta1 Deployment is deprecated in v1.8+, unavailable in v1.16+; use apps/v1 Deployment
    [ERROR] templates/a.yaml: a Deployment must contain matchLabels or matchExpressions, and "A_b" does not
    [ERROR] templates/b.json: file extension '.json' not valid. Valid extensions are .yaml, .yml, .tpl, or .txt
    "#);
    assert_eq!(findings.iter().map(|finding| finding.severity).max(), Some(Severity::Error));
}
