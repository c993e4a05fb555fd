//! What a promotion changes in the files that people write.

use env_promotion::{Artifact, EditPlace, Part, plan_edits, versions_at};

use crate::{changed, plan, tree, version, web};

const DIGEST: &str = "sha256:0123456789abcdef0123456789abcdef";

const MANIFEST: &str = r#"# the shop's front   (do not touch the blanks)
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: {name: web,   namespace: shop}
spec:
  replicas:   5
  template:
    spec:
      initContainers: [{name: wait, image: busybox:1}]
      containers:
      - name: web
        image:  "ghcr.io/acme/web:1.2.3"   # current

      - {name: side, image: ghcr.io/acme/side:7}
---
kind: ConfigMap
data: {note: "ghcr.io/acme/web:1.2.3"}"#;

#[test]
fn only_the_image_of_the_container_changes() {
    let files = tree(&[("envs/e2e/web.yaml", MANIFEST), ("envs/qa/web.yaml", MANIFEST)]);
    let edits = plan(&files, web(Vec::new()), "web=1.2.4").unwrap();
    insta::assert_snapshot!(changed(&edits), @r#"
    envs/e2e/web.yaml:12
    -        image:  "ghcr.io/acme/web:1.2.3"   # current
    +        image:  "ghcr.io/acme/web:1.2.4"   # current
    "#);
    assert_eq!(edits.versions, [(Some(version("web=1.2.3")), version("web=1.2.4"))]);
    let fields: Vec<String> =
        edits.fields.iter().map(|field| format!("{} {} -> {}", field.path, field.before, field.after)).collect();
    assert_eq!(fields, ["spec.template.spec.containers[0].image ghcr.io/acme/web:1.2.3 -> ghcr.io/acme/web:1.2.4"]);
}

#[test]
fn case_37_line_ends_and_a_missing_last_one_are_kept() {
    let text = MANIFEST.replace('\n', "\r\n");
    let edits = plan(&tree(&[("envs/e2e/web.yaml", &text)]), web(Vec::new()), "web=1.2.4").unwrap();
    assert_eq!(edits.files[0].after, text.replacen("web:1.2.3", "web:1.2.4", 1).into_bytes());
}

#[test]
fn a_digest_is_written_and_one_that_no_longer_fits_goes() {
    let files = tree(&[("envs/e2e/web.yaml", MANIFEST)]);
    let with_digest = plan(&files, web(Vec::new()), &format!("web=1.2.4@{DIGEST}")).unwrap();
    assert_eq!(with_digest.fields[0].after, format!("ghcr.io/acme/web:1.2.4@{DIGEST}"));
    let files = tree(&[("envs/e2e/web.yaml", &String::from_utf8(with_digest.files[0].after.clone()).unwrap())]);
    assert_eq!(plan(&files, web(Vec::new()), "web=1.2.5").unwrap().fields[0].after, "ghcr.io/acme/web:1.2.5");
}

#[test]
fn a_version_that_is_there_already_changes_nothing() {
    let edits = plan(&tree(&[("envs/e2e/web.yaml", MANIFEST)]), web(Vec::new()), "web=1.2.3").unwrap();
    assert!(edits.is_empty() && edits.fields.is_empty());
}

#[test]
fn a_container_can_be_named_where_one_image_runs_twice() {
    let two = format!(
        "{}\n---\n{}",
        MANIFEST,
        MANIFEST.replace("kind: Rollout", "kind: CronJob").replace("name: web,", "name: nightly,")
    );
    let place =
        EditPlace::Container { kind: "CronJob".to_owned(), name: "nightly".to_owned(), container: "web".to_owned() };
    let edits = plan(&tree(&[("envs/e2e/web.yaml", &two)]), web(vec![place]), "web=2").unwrap();
    insta::assert_snapshot!(changed(&edits), @r#"
    envs/e2e/web.yaml:30
    -        image:  "ghcr.io/acme/web:1.2.3"   # current
    +        image:  "ghcr.io/acme/web:2"   # current
    "#);
}

#[test]
fn objects_in_a_list_are_looked_into() {
    let list = "kind: List\nitems:\n- kind: Pod\n  metadata: {name: p}\n  spec: {containers: [{name: web, image: ghcr.io/acme/web:1}]}\n";
    let edits = plan(&tree(&[("envs/e2e/list.yml", list)]), web(Vec::new()), "web=2").unwrap();
    insta::assert_snapshot!(changed(&edits), @r"
    envs/e2e/list.yml:5
    -  spec: {containers: [{name: web, image: ghcr.io/acme/web:1}]}
    +  spec: {containers: [{name: web, image: ghcr.io/acme/web:2}]}
    ");
}

#[test]
fn a_kustomization_overlays_what_manifests_say() {
    let overlay = "resources: [../../base]\nimages:\n- name: web   # short name\n  newName: ghcr.io/acme/web\n  newTag: '1.10'\n- {name: other, newTag: \"1\"}\n";
    let files = tree(&[("envs/e2e/kustomization.yaml", overlay), ("envs/e2e/web.yaml", MANIFEST)]);
    let edits = plan(&files, web(Vec::new()), "web=1.11").unwrap();
    insta::assert_snapshot!(changed(&edits), @r"
    envs/e2e/kustomization.yaml:5
    -  newTag: '1.10'
    +  newTag: '1.11'
    ");
}

#[test]
fn a_tag_that_yaml_would_take_for_a_number_is_quoted() {
    let overlay = "images:\n- name: ghcr.io/acme/web\n  newTag: v1.9\n";
    let edits = plan(&tree(&[("envs/e2e/kustomization.yaml", overlay)]), web(Vec::new()), "web=1.10").unwrap();
    insta::assert_snapshot!(changed(&edits), @r#"
    envs/e2e/kustomization.yaml:3
    -  newTag: v1.9
    +  newTag: "1.10"
    "#);
}

#[test]
fn values_of_a_chart_are_named_by_file_and_path() {
    let values = "image:\n  repository: ghcr.io/acme/web\n  tag: 1.2.3 # keep\n  digest: sha256:ffffffffffffffffffffffffffffffff\n";
    let place = |path: &str, part| EditPlace::Values { file: "values.yaml".to_owned(), path: path.to_owned(), part };
    let artifact = || web(vec![place("image.tag", Part::Tag), place("image.digest", Part::Digest)]);
    let files =
        tree(&[("envs/e2e/values.yaml", values), ("envs/e2e/templates/web.yaml", "image: {{ .Values.image.tag }}")]);
    let edits = plan(&files, artifact(), &format!("web=1.2.4@{DIGEST}")).unwrap();
    insta::assert_snapshot!(changed(&edits), @r"
    envs/e2e/values.yaml:3
    -  tag: 1.2.3 # keep
    +  tag: 1.2.4 # keep
    envs/e2e/values.yaml:4
    -  digest: sha256:ffffffffffffffffffffffffffffffff
    +  digest: sha256:0123456789abcdef0123456789abcdef
    ");
    let error = plan(&files, artifact(), "web=1.2.4").unwrap_err();
    assert_eq!(error.to_string(), "envs/e2e/values.yaml:4 image.digest holds a digest, version `web=1.2.4` has none");
}

#[test]
fn marked_scalars_are_all_edited_in_any_file() {
    let release = "spec:\n  values:\n    web: {repository: ghcr.io/acme/web, tag: \"1\"} # sluice: web:tag\n    full: ghcr.io/acme/web:1 # {\"$imagepolicy\": \"flux-system:web\"}\n";
    let files = tree(&[("envs/e2e/release.yaml", release), ("envs/e2e/web.yaml", MANIFEST)]);
    let edits = plan(&files, web(Vec::new()), "web=2").unwrap();
    insta::assert_snapshot!(changed(&edits), @r#"
    envs/e2e/release.yaml:3
    -    web: {repository: ghcr.io/acme/web, tag: "1"} # sluice: web:tag
    +    web: {repository: ghcr.io/acme/web, tag: "2"} # sluice: web:tag
    envs/e2e/release.yaml:4
    -    full: ghcr.io/acme/web:1 # {"$imagepolicy": "flux-system:web"}
    +    full: ghcr.io/acme/web:2 # {"$imagepolicy": "flux-system:web"}
    "#);
}

#[test]
fn several_versions_are_one_plan() {
    let side = Artifact { name: "side".to_owned(), image: "ghcr.io/acme/side".to_owned(), places: Vec::new() };
    let files = tree(&[("envs/e2e/web.yaml", MANIFEST)]);
    let edits =
        plan_edits(&files, "envs/e2e/", &[web(Vec::new()), side.clone()], &[version("side=8"), version("web=2")])
            .unwrap();
    assert_eq!((edits.files.len(), edits.fields.len()), (1, 2));
    let at = versions_at(&files, "envs/e2e", &[web(Vec::new()), side]).unwrap();
    assert_eq!(at, [("web".to_owned(), Some(version("web=1.2.3"))), ("side".to_owned(), Some(version("side=7")))]);
}

#[test]
fn a_plan_notices_that_somebody_else_decided_meanwhile() {
    let files =
        |image: &str| tree(&[("envs/e2e/web.yaml", &MANIFEST.replace("web:1.2.3\"   #", &format!("{image}\"   #")))]);
    let earlier = plan(&files("web:1.2.3"), web(Vec::new()), "web=1.2.4").unwrap();
    assert_eq!(plan(&files("web:1.2.3"), web(Vec::new()), "web=1.2.4").unwrap().overtaken(&earlier), None);
    let now = plan(&files("web:1.2.9"), web(Vec::new()), "web=1.2.4").unwrap();
    assert_eq!(now.overtaken(&earlier).map(|field| field.before.as_str()), Some("ghcr.io/acme/web:1.2.3"));
}
