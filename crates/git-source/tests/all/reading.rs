//! Reading a tree: links, limits and names that attack.

use git_source::{Edit, EntryKind, GitId, GitObject, ObjectKind, ReadError, ReadLimits, Repository, Tree};

use crate::support::{commit, plan};

/// Builds a tree of raw entries, which no well-behaved client would write.
fn raw_tree(repository: &mut Repository, entries: &[(&str, &[u8], GitId)]) -> GitId {
    let mut bytes = Vec::new();
    for (mode, name, id) in entries {
        bytes.extend_from_slice(mode.as_bytes());
        bytes.push(b' ');
        bytes.extend_from_slice(name);
        bytes.push(0);
        bytes.extend_from_slice(id.as_bytes());
    }
    insert(repository, ObjectKind::Tree, &bytes)
}

fn insert(repository: &mut Repository, kind: ObjectKind, bytes: &[u8]) -> GitId {
    let object = GitObject::new(kind, bytes).unwrap();
    let id = object.id();
    repository.insert(object).unwrap();
    id
}

/// A tree with one directory `d` that holds a file `f`, and the given symbolic links beside it.
fn with_links(links: &[(&str, &str)]) -> Tree {
    let mut repository = Repository::in_memory();
    let file = insert(&mut repository, ObjectKind::Blob, b"content");
    let inner = raw_tree(&mut repository, &[("100644", b"f", file)]);
    let links: Vec<_> =
        links.iter().map(|(name, to)| (*name, insert(&mut repository, ObjectKind::Blob, to.as_bytes()))).collect();
    let mut entries = vec![("40000", b"d".as_slice(), inner)];
    entries.extend(links.iter().map(|(name, id)| ("120000", name.as_bytes(), *id)));
    let id = raw_tree(&mut repository, &entries);
    repository.tree(id)
}

#[test]
fn case_01_links_inside_the_tree_are_followed_and_links_out_of_it_are_refused() {
    let tree = with_links(&[
        ("l1", "d/f"),
        ("l2", "d"),
        ("l3", "./l2/../l2/f"),
        ("out", "../x"),
        ("abs", "/proc/self/environ"),
        ("deep", "d/../../x"),
        ("git", "d/.git/config"),
        ("loop1", "loop2"),
        ("loop2", "loop1"),
        ("dangling", "nowhere"),
        ("root", "d/.."),
    ]);
    let read = |path: &str| tree.read(path).map(|bytes| String::from_utf8(bytes.to_vec()).unwrap());
    for path in ["d/f", "l1", "l2/f", "l3", "root/d/f", "root/l1"] {
        assert_eq!(read(path).unwrap(), "content", "{path}");
    }
    for (path, message) in [
        ("out", "symbolic link `out` points out of the tree"),
        ("abs", "symbolic link `abs` points out of the tree"),
        ("git", "symbolic link `git` points out of the tree"),
        ("deep", "symbolic link `deep` points out of the tree"),
        ("loop1", "`loop1` leads through more than 40 symbolic links"),
        ("l2", "`l2` is not a file"),
    ] {
        assert_eq!(read(path).unwrap_err().to_string(), message);
    }
    assert!(matches!(read("dangling"), Err(ReadError::NotFound { .. })));
    assert_eq!(read("out").unwrap_err().category(), "LinkRefused");
    assert!(!tree.path_exists("dangling").unwrap());
    assert_eq!(tree.entry("l1").unwrap().unwrap().kind, EntryKind::Link);
    assert_eq!(tree.list("root").unwrap().len(), 12);
}

#[test]
fn case_01_a_subtree_refuses_links_to_its_neighbours() {
    let mut repository = Repository::in_memory();
    let secret = insert(&mut repository, ObjectKind::Blob, b"secret");
    let target = insert(&mut repository, ObjectKind::Blob, b"../other/values.yaml");
    let other = raw_tree(&mut repository, &[("100644", b"values.yaml", secret)]);
    let app = raw_tree(&mut repository, &[("120000", b"values.yaml", target)]);
    let root = raw_tree(&mut repository, &[("40000", b"app", app), ("40000", b"other", other)]);
    let tree = repository.tree(root);
    assert_eq!(&*tree.read("app/values.yaml").unwrap(), b"secret");
    let error = tree.subtree("app").unwrap().read("values.yaml").unwrap_err();
    assert_eq!(error.to_string(), "symbolic link `values.yaml` points out of the tree");
}

#[test]
fn case_03_unsafe_paths_are_refused_before_anything_is_read() {
    let tree = with_links(&[]);
    for path in ["../d/f", "/d/f", "d/../d/f", ".git/config", "d\\f", "d/\0"] {
        assert!(matches!(tree.read(path), Err(ReadError::Path(_))), "{path:?}");
    }
}

#[test]
fn case_03_names_that_attack_are_refused_when_their_directory_is_read() {
    for (name, shown, why) in [
        (b"..".as_slice(), "..", "it has a `..`"),
        (b".git", ".git", "it names Git's own files"),
        (b".GIT", ".GIT", "it names Git's own files"),
        (b"a/b", "a/b", "it has a slash or backslash inside a name"),
        (b"\xff", "\u{fffd}", "it is not UTF-8"),
        (b"a\nb", "a\\nb", "it has a control character"),
    ] {
        let mut repository = Repository::in_memory();
        let blob = insert(&mut repository, ObjectKind::Blob, b"x");
        let bad = raw_tree(&mut repository, &[("100644", name, blob)]);
        let root = raw_tree(&mut repository, &[("40000", b"bad", bad), ("100644", b"good", blob)]);
        let tree = repository.tree(root);
        assert_eq!(&*tree.read("good").unwrap(), b"x", "a neighbour is not harmed");
        for result in [tree.list("bad").map(drop), tree.files(".").map(drop)] {
            let expected = format!("directory `bad` has a file whose name `{shown}` is refused: {why}");
            assert_eq!(result.unwrap_err().to_string(), expected);
        }
    }
}

#[test]
fn case_07_limits_on_size_count_and_depth_hold() {
    let mut repository = Repository::in_memory();
    let head = commit(&mut repository, None, 1, &["a/b/c/d=12345", "x=1", "y=1", "z=1"]);
    let tree = repository.tree_at(head).unwrap();
    assert_eq!(tree.files(".").unwrap().into_keys().collect::<Vec<_>>(), ["a/b/c/d", "x", "y", "z"]);
    assert_eq!(tree.files("a/b").unwrap().into_keys().collect::<Vec<_>>(), ["a/b/c/d"]);
    let limited = |file_bytes_max, files_max, depth_max| {
        tree.clone().with_limits(ReadLimits { file_bytes_max, files_max, depth_max })
    };
    let error = limited(4, 100, 100).read("a/b/c/d").unwrap_err();
    assert_eq!(error.to_string(), "`a/b/c/d` has 5 bytes, more than the limit of 4");
    let error = limited(100, 6, 100).files(".").unwrap_err();
    assert_eq!(error.to_string(), "`.` has more than 6 files");
    assert_eq!(limited(5, 7, 3).files(".").unwrap().len(), 4);
    let error = limited(100, 100, 2).files(".").unwrap_err();
    assert_eq!(error.to_string(), "`a/b/c` is nested more than 2 directories deep");
}

#[test]
fn case_07_trees_that_hold_one_tree_many_times_over_stop_at_a_limit() {
    let mut repository = Repository::in_memory();
    for leaf in [raw_tree(&mut repository, &[]), insert(&mut repository, ObjectKind::Blob, b"x")] {
        let mut mode = if repository.tree(leaf).list(".").is_ok() { "40000" } else { "100644" };
        let mut tree = leaf;
        for _ in 0..12 {
            let names: Vec<_> = (b'a'..=b'j').map(|letter| [letter]).collect();
            let entries: Vec<_> = names.iter().map(|name| (mode, name.as_slice(), tree)).collect();
            tree = raw_tree(&mut repository, &entries);
            mode = "40000";
        }
        let error = repository.tree(tree).files(".").unwrap_err();
        assert_eq!(error.to_string(), "`.` has more than 50000 files");
        let text = format!("tree {tree}\nauthor A <a@x> 1 +0000\ncommitter A <a@x> 1 +0000\n\nbomb\n");
        let bomb = insert(&mut repository, ObjectKind::Commit, text.as_bytes());
        let log = repository.log(bomb, ".", 10).unwrap();
        assert_eq!(log.entries[0].changed_paths, None, "too many to list");
    }
}

#[test]
fn case_07_a_very_deep_tree_is_cut_at_the_depth_limit() {
    let mut repository = Repository::in_memory();
    let mut tree = insert(&mut repository, ObjectKind::Blob, b"x");
    let mut mode = "100644";
    for _ in 0..10_000 {
        tree = raw_tree(&mut repository, &[(mode, b"d", tree)]);
        mode = "40000";
    }
    let error = repository.tree(tree).files(".").unwrap_err();
    assert!(error.to_string().ends_with("is nested more than 100 directories deep"), "{error}");
}

#[test]
fn case_05_submodules_are_refused_wherever_they_stand() {
    let mut repository = Repository::in_memory();
    let root = raw_tree(&mut repository, &[("160000", b"sub", GitId::from_bytes([7; 20]))]);
    let tree = repository.tree(root);
    for result in [
        tree.read("sub").map(drop),
        tree.read("sub/x").map(drop),
        tree.list("sub").map(drop),
        tree.files(".").map(drop),
    ] {
        assert!(matches!(result, Err(ReadError::Submodule { .. })), "{result:?}");
    }
}

#[test]
fn case_37_edits_keep_modes_and_refuse_what_is_not_a_file() {
    let mut repository = Repository::in_memory();
    let blob = insert(&mut repository, ObjectKind::Blob, b"x");
    let inner = raw_tree(&mut repository, &[("100644", b"f", blob)]);
    let entries: [(&str, &[u8], GitId); 4] = [
        ("40000", b"d", inner),
        ("120000", b"link", blob),
        ("100755", b"run", blob),
        ("160000", b"sub", GitId::from_bytes([7; 20])),
    ];
    let root = raw_tree(&mut repository, &entries);
    let text = format!("tree {root}\nauthor A <a@x> 1 +0000\ncommitter A <a@x> 1 +0000\n\nfirst\n");
    let head = insert(&mut repository, ObjectKind::Commit, text.as_bytes());

    let put = repository.commit(Some(head), &[Edit::put("run", "new")], &plan(2, "x")).unwrap();
    assert_eq!(repository.tree_at(put).unwrap().entry("run").unwrap().unwrap().kind, EntryKind::Executable);
    let gone = repository.commit(Some(head), &[Edit::delete("d/f")], &plan(2, "x")).unwrap();
    assert!(!repository.tree_at(gone).unwrap().path_exists("d").unwrap(), "an empty directory goes too");

    for (edits, message) in [
        (vec![Edit::put("link", "y")], "`link` is a symbolic link, which is not edited"),
        (vec![Edit::put("link/y", "y")], "`link` is a symbolic link, which is not edited"),
        (vec![Edit::put("d", "y")], "`d` is a directory, which is not edited"),
        (vec![Edit::delete("d")], "`d` is a directory, which is not edited"),
        (vec![Edit::put("sub/x", "y")], "`sub` is a submodule, which is not edited"),
        (vec![Edit::put("run/x", "y")], "`run` is a file, which is not edited"),
        (vec![Edit::delete("nothing")], "`nothing` can't be deleted: it does not exist"),
        (vec![Edit::put("a", "1"), Edit::put("a", "2")], "two edits clash at `a`"),
        (vec![Edit::put("a", "1"), Edit::put("a/b", "2")], "two edits clash at `a/b`"),
        (vec![Edit::put("../a", "1")], "path `../a` is refused: it has a `..`"),
        (vec![Edit::put(".git/hooks/x", "1")], "path `.git/hooks/x` is refused: it names Git's own files"),
        (vec![Edit::put("/a", "1")], "path `/a` is refused: it is absolute"),
        (vec![Edit::put("run", "x")], "nothing would change"),
    ] {
        let error = repository.commit(Some(head), &edits, &plan(2, "x")).unwrap_err();
        assert_eq!(error.to_string(), message);
    }
}

#[test]
fn the_same_plan_gives_the_same_commit_in_any_repository() {
    let make = || {
        let mut repository = Repository::in_memory();
        let first = commit(&mut repository, None, 1_000, &["b=2", "a=1"]);
        commit(&mut repository, Some(first), 2_000, &["a=3"])
    };
    assert_eq!(make(), make());
    insta::assert_snapshot!(make(), @"53a6759d99b0225a5ff6e1d9c75c0972b58e462b");
}
