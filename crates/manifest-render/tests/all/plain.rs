//! Plain manifests: what is read, what is left out, and what is wrong with them.

use insta::assert_snapshot;
use manifest_render::{Budget, Limits, MemoryFiles, Source, render};

use super::{outcome, rendered};

const SERVICE: &str = "apiVersion: v1\nkind: Service\nmetadata:\n  name: web\n  namespace: qa\n";

#[test]
fn folders_are_read_in_order_and_other_files_left_out() {
    let files = MemoryFiles::new()
        .with("qa/z.yml", "# only a comment\n")
        .with("qa/web/service.yaml", SERVICE)
        .with("qa/README.md", "# not a manifest")
        .with("qa/.hidden/x.yaml", "not: a manifest")
        .with(
            "qa/all.yaml",
            "---\napiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Namespace\n  metadata: {name: a}\n---\n---\napiVersion: v1\nkind: ConfigMapList\nitems:\n- metadata:\n    name: b\n",
        )
        .with("qa/one.json", "{\"apiVersion\": \"v1\", \"kind\": \"Secret\", \"metadata\": {\"name\": \"s\"}}")
        .with("prod/service.yaml", SERVICE);
    assert_snapshot!(outcome(&files, "qa"), @"
    qa/all.yaml:5 Namespace a
    qa/all.yaml:13 ConfigMap b
    qa/one.json:1 Secret s
    qa/web/service.yaml:1 Service qa/web
    ");
    let rendered = rendered(&files, "./qa/").unwrap();
    assert_eq!(rendered.read, ["qa/all.yaml", "qa/one.json", "qa/web/service.yaml", "qa/z.yml"]);
    assert_eq!(rendered.listed, ["qa", "qa/web"]);
    assert_eq!(rendered.objects[1].object.api_version(), "v1");
}

#[test]
fn a_single_file_is_a_source() {
    let files = MemoryFiles::new().with("qa/service.yaml", SERVICE).with("qa/bad.yaml", "[");
    assert_snapshot!(outcome(&files, "qa/service.yaml"), @"qa/service.yaml:1 Service qa/web");
}

#[test]
fn include_and_exclude_choose_files() {
    let files = MemoryFiles::new().with("qa/a/service.yaml", SERVICE).with("qa/b/bad.yaml", "[").with("qa/c.yaml", "[");
    let mut source = Source::at("qa");
    source.include = vec!["{a,b}/**".to_owned()];
    source.exclude = vec!["b/*".to_owned()];
    assert_eq!(render(&source, &files, &Budget::default()).unwrap().objects.len(), 1);
    source.include = vec!["{a".to_owned()];
    assert_eq!(render(&source, &files, &Budget::default()).unwrap_err().to_string(), "pattern `{a` has an open brace");
}

#[test]
fn a_hook_may_leave_the_end_of_its_name_to_each_run() {
    let job = "apiVersion: batch/v1\nkind: Job\nmetadata:\n  generateName: migrate-\n  annotations: {argocd.argoproj.io/hook: PreSync}\n";
    let files = MemoryFiles::new().with("qa/a.yaml", job).with("qa/b.yaml", job);
    assert_eq!(render(&Source::at("qa"), &files, &Budget::default()).unwrap().objects.len(), 2);
}

#[test]
fn all_faults_of_all_files_are_said_at_once() {
    let files = MemoryFiles::new()
        .with("qa/broken.yaml", "apiVersion: v1\nkind: Service\nmetadata:\n\tname: web\n")
        .with("qa/bytes.yaml", b"a: \xFF\n")
        .with("qa/first.yaml", SERVICE)
        .with(
            "qa/incomplete.yaml",
            "kind: Service\nmetadata:\n  labels: {}\n---\n- 1\n---\napiVersion: v1\nkind: ''\nmetadata:\n  name: 12\n",
        )
        .with("qa/second.yaml", format!("# a comment\n{SERVICE}"))
        .with("qa/labels.yaml", "apiVersion: v1\nkind: Service\nmetadata:\n  name: l\n  labels:\n    version: 1.0\n")
        .with("qa/generated.yaml", "apiVersion: v1\nkind: Job\nmetadata:\n  generateName: j-\n");
    assert_snapshot!(outcome(&files, "qa"), @"
    qa/broken.yaml:4:2: tabs disallowed within this context (block indentation) (indent with spaces, not tabs)
    qa/bytes.yaml:1:4: the text is not UTF-8: byte 0xff at offset 3 (save the file as UTF-8)
    qa/generated.yaml:4:3: Job: `metadata.name` is missing (`generateName` gives a new object at each sync; write `name`)
    qa/incomplete.yaml:1:1: Service: `apiVersion` is missing (every manifest needs apiVersion, kind and metadata.name; exclude the file when it is none)
    qa/incomplete.yaml:3:3: Service: `metadata.name` is missing (name the object)
    qa/incomplete.yaml:5:1: a manifest must be a mapping, this is a list (exclude the file when it is not a manifest)
    qa/incomplete.yaml:8:7: `kind` is empty (every manifest needs apiVersion, kind and metadata.name; exclude the file when it is none)
    qa/incomplete.yaml:10:9: `metadata.name` is a number, not a string (quote it)
    qa/labels.yaml:6:14: Service l: `metadata.labels.version` is a number, not a string (quote it)
    qa/second.yaml:2:1: Service qa/web: defined twice, first in qa/first.yaml:1 (remove one of the two, or give it another name)
    ");
}

#[test]
fn a_missing_path_and_an_empty_one_are_told_apart() {
    let files = MemoryFiles::new().with("qa/README.md", "nothing here");
    assert_snapshot!(outcome(&files, "prod"), @"path `prod` does not exist in the tree");
    assert_snapshot!(outcome(&files, "qa"), @"qa: no manifests were found (check the path and the include and exclude patterns)");
    assert_snapshot!(outcome(&files, "../x"), @"path `../x` leads out of the tree");
}

#[test]
fn case_01_a_link_out_of_the_tree_is_refused_without_its_content() {
    let files = MemoryFiles::new()
        .with("base/service.yaml", SERVICE)
        .with_link("qa/base", "../base")
        .with_link("qa/env.yaml", "../../proc/self/environ");
    assert_snapshot!(outcome(&files, "qa"), @"qa/env.yaml: this is a link that leads out of the tree, a dangling link or a submodule (replace it by a file, or exclude it)");
}

#[test]
fn a_budget_stops_the_render_and_names_the_file() {
    let mut files = MemoryFiles::new();
    for number in 0..20 {
        files = files.with(&format!("qa/{number:02}.yaml"), SERVICE.replace("web", &format!("web-{number}")));
    }
    let failed = |limits| render(&Source::at("qa"), &files, &Budget::new(limits)).unwrap_err().to_string();
    assert_snapshot!(failed(Limits { files_max: 10, ..Limits::default() }), @"qa/09.yaml: more than 10 files are read");
    assert_snapshot!(failed(Limits { documents_max: 3, ..Limits::default() }), @"qa/03.yaml: there are more than 3 documents");
    assert_snapshot!(failed(Limits { file_bytes_max: 30, ..Limits::default() }), @"qa/00.yaml: the file is larger than 30 bytes");
    assert_snapshot!(failed(Limits { read_bytes_max: 200, ..Limits::default() }), @"qa/02.yaml: all files together are larger than 200 bytes");
    let budget = Budget::default().with_deadline(|| true);
    assert_snapshot!(render(&Source::at("qa"), &files, &budget).unwrap_err().to_string(), @"qa: rendering took too long");
}
