//! Taking a change back without losing what others did.

use git_source::{MergeError, Repository};

use crate::support::{commit, text};

#[test]
fn a_bad_commit_is_taken_back_at_its_rendered_paths_only() {
    let mut repository = Repository::in_memory();
    let healthy = commit(&mut repository, None, 1, &["apps/web/image=v2", "apps/web/replicas=1", "docs/a=old"]);
    let bad = commit(&mut repository, Some(healthy), 2, &["apps/web/image=v3", "apps/web/extra=x", "docs/a=new"]);
    let head = commit(&mut repository, Some(bad), 3, &["apps/web/replicas=5", "apps/db=1"]);
    let ids = [bad, head, healthy].map(|commit| repository.tree_id(commit).unwrap());
    let merged = repository.merge(ids[0], ids[1], ids[2], &["apps/web"]).unwrap();
    let restored = repository.commit_tree(head, merged, &crate::support::plan(4, "restore")).unwrap();
    let files: Vec<_> = repository.tree(merged).files(".").unwrap().into_keys().collect();
    assert_eq!(files, ["apps/db", "apps/web/image", "apps/web/replicas", "docs/a"]);
    assert_eq!(text(&repository, restored, "apps/web/image"), "v2");
    assert_eq!(text(&repository, restored, "apps/web/replicas"), "5", "a later change of another file survives");
    assert_eq!(text(&repository, restored, "docs/a"), "new", "a path that was not rendered survives");
    let changed = repository.log(restored, ".", 1).unwrap().entries.remove(0).changed_paths.unwrap();
    assert_eq!(changed, ["apps/web/extra", "apps/web/image"]);
}

#[test]
fn one_file_changed_on_both_sides_is_joined_when_the_lines_are_apart() {
    let mut repository = Repository::in_memory();
    let healthy = commit(&mut repository, None, 1, &["f=image: v2\na\nb\nc\nreplicas: 1\n"]);
    let bad = commit(&mut repository, Some(healthy), 2, &["f=image: v3\na\nb\nc\nreplicas: 1\n"]);
    let head = commit(&mut repository, Some(bad), 3, &["f=image: v3\na\nb\nc\nreplicas: 7\n"]);
    let ids = [bad, head, healthy].map(|commit| repository.tree_id(commit).unwrap());
    let merged = repository.merge(ids[0], ids[1], ids[2], &["f"]).unwrap();
    assert_eq!(&*repository.tree(merged).read("f").unwrap(), b"image: v2\na\nb\nc\nreplicas: 7\n");
}

#[test]
fn clashes_are_named_by_path_and_nothing_is_merged() {
    let mut repository = Repository::in_memory();
    let healthy = commit(&mut repository, None, 1, &["a/f=v2", "a/gone=1", "a/kept=1", "a/dir=1", "b=1"]);
    let bad = commit(&mut repository, Some(healthy), 2, &["a/f=v3", "a/gone=2", "a/kept=2", "a/dir=2", "a/new=bad"]);
    let head = commit(&mut repository, Some(bad), 3, &["a/f=hotfix", "a/gone", "a/dir", "a/new=mine"]);
    let head = commit(&mut repository, Some(head), 4, &["a/dir/x=1"]);
    let ids = [bad, head, healthy].map(|commit| repository.tree_id(commit).unwrap());
    let Err(MergeError::Conflicts(conflicts)) = repository.merge(ids[0], ids[1], ids[2], &["a"]) else {
        panic!("the merge must clash")
    };
    insta::assert_snapshot!(conflicts.to_string().replace("; ", "\n"), @r"
    a/dir: it is not a plain file on every side
    a/f: the same lines changed on both sides
    a/gone: it was deleted on one side and changed on the other
    a/new: it was changed on one side and deleted on the other
    ");
    assert!(repository.merge(ids[0], ids[1], ids[2], &["../a"]).is_err());
    let untouched = repository.merge(ids[0], ids[1], ids[2], &["b", "missing"]).unwrap();
    assert_eq!(untouched, ids[1]);
}
