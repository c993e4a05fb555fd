//! What a promotion does not edit, and what it says.

use env_promotion::{Artifact, EditPlace, Part, TreeFile, plan_edits};

use crate::{plan, tree, version, web};

const POD: &str = "kind: Pod\nmetadata: {name: p}\nspec:\n  containers:\n  - {name: web, image: ghcr.io/acme/web:1}\n";

fn values() -> EditPlace {
    EditPlace::Values { file: "values.yaml".to_owned(), path: "tag".to_owned(), part: Part::Tag }
}

#[test]
fn case_37_two_places_that_could_be_meant_are_named() {
    let files = tree(&[("envs/e2e/a.yaml", POD), ("envs/e2e/b.yaml", POD)]);
    insta::assert_snapshot!(plan(&files, web(Vec::new()), "web=2").unwrap_err().to_string(), @r"`web` could be any of envs/e2e/a.yaml:5 spec.containers[0].image, envs/e2e/b.yaml:5 spec.containers[0].image; name the place in the pipeline or mark it with `# sluice: web`");
}

#[test]
fn a_path_without_the_image_says_what_it_could_not_read() {
    let mut files = tree(&[("envs/e2e/t.yaml", "a: {{ .Values.x }}\n"), ("envs/e2e/bin.yaml", "a\0b")]);
    files.insert("envs/e2e/link.yaml".to_owned(), TreeFile::Symlink("../prod/web.yaml".to_owned()));
    files.insert("envs/e2e/latin.yaml".to_owned(), TreeFile::Regular(b"a: \xe9\n".to_vec()));
    insta::assert_snapshot!(plan(&files, web(Vec::new()), "web=2").unwrap_err().to_string(), @r"no image of `web` (ghcr.io/acme/web) in `envs/e2e` (not read: envs/e2e/bin.yaml is not text, envs/e2e/latin.yaml is not text, envs/e2e/link.yaml is a symbolic link, envs/e2e/t.yaml:1:5: a key is a mapping (keys are strings; quote a key that begins with `{`, `[` or `?` (a template such as `{{ x }}` is one)))");
}

#[test]
fn case_37_links_submodules_and_binaries_are_not_edited() {
    for (content, message) in [
        (
            TreeFile::Symlink("../../prod/values.yaml".to_owned()),
            "`envs/e2e/values.yaml` is a symbolic link, it is not edited",
        ),
        (TreeFile::Submodule, "`envs/e2e/values.yaml` is a submodule, it is not edited"),
        (TreeFile::Regular(b"tag: \x00".to_vec()), "`envs/e2e/values.yaml` is not a text file"),
        (TreeFile::Regular(vec![b' '; (4 << 20) + 1]), "`envs/e2e/values.yaml` is larger than 4 MiB"),
        (
            TreeFile::Regular(b"other: 1\n".to_vec()),
            "no image of `web` (ghcr.io/acme/web) in `envs/e2e/values.yaml tag`",
        ),
        (
            TreeFile::Regular(b"tag: [1]\n".to_vec()),
            "no image of `web` (ghcr.io/acme/web) in `envs/e2e/values.yaml tag`",
        ),
    ] {
        let files = [("envs/e2e/values.yaml".to_owned(), content)].into();
        assert_eq!(plan(&files, web(vec![values()]), "web=2").unwrap_err().to_string(), message);
    }
    assert_eq!(
        plan(&tree(&[]), web(vec![values()]), "web=2").unwrap_err().to_string(),
        "`envs/e2e/values.yaml` is not there"
    );
    let broken = tree(&[("envs/e2e/values.yaml", "tag: 'x\n")]);
    assert!(
        plan(&broken, web(vec![values()]), "web=2")
            .unwrap_err()
            .to_string()
            .starts_with("`envs/e2e/values.yaml` can't be read: ")
    );
}

#[test]
fn case_37_a_scalar_that_other_places_share_is_not_edited() {
    for text in ["x: &t ghcr.io/acme/web:1 # sluice: web\ny: *t\n", "x: |\n  ghcr.io/acme/web:1\n"] {
        let place = EditPlace::Values { file: "values.yaml".to_owned(), path: "x".to_owned(), part: Part::Image };
        let error = plan(&tree(&[("envs/e2e/values.yaml", text)]), web(vec![place]), "web=2").unwrap_err();
        assert!(
            error.to_string() == "`envs/e2e/values.yaml` is not edited"
                || error.to_string().ends_with("x is not an image reference"),
            "{error}"
        );
    }
}

#[test]
fn case_37_nothing_outside_the_environment_is_reached() {
    for path in ["../prod", "/envs/e2e", "envs/.git/x", "envs\\e2e"] {
        let error =
            plan_edits(&tree(&[("envs/e2e/a.yaml", POD)]), path, &[web(Vec::new())], &[version("web=2")]).unwrap_err();
        assert!(error.to_string().contains(" is refused: "), "{error}");
    }
    let escape = EditPlace::Values { file: "../prod/values.yaml".to_owned(), path: "tag".to_owned(), part: Part::Tag };
    let files = tree(&[("envs/prod/values.yaml", "tag: 1\n")]);
    assert_eq!(
        plan(&files, web(vec![escape]), "web=2").unwrap_err().to_string(),
        "path `envs/e2e/../prod/values.yaml` is refused: it leaves the tree"
    );
}

#[test]
fn two_versions_for_one_scalar_and_unknown_ones_are_refused() {
    let other = Artifact { name: "other".to_owned(), ..web(Vec::new()) };
    let error = plan_edits(
        &tree(&[("envs/e2e/a.yaml", POD)]),
        "envs/e2e",
        &[web(Vec::new()), other],
        &[version("web=2"), version("other=3")],
    );
    assert_eq!(
        error.unwrap_err().to_string(),
        "envs/e2e/a.yaml:5 spec.containers[0].image is claimed by `web` and `other`"
    );
    let error = plan(&tree(&[("envs/e2e/a.yaml", POD)]), web(Vec::new()), "api=2").unwrap_err();
    assert_eq!(error.to_string(), "`api` is not an artifact of the pipeline");
}
