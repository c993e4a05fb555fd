//! Cases of the security table that concern repositories and have no better place.

use git_source::{
    Edit, GitId, GitObject, LocalAccess, MemoryRemote, ObjectKind, PushError, Remote, Repository, connect, push,
    same_repository,
};

use crate::support::{commit, plan, seed, text};

fn insert(repository: &mut Repository, kind: ObjectKind, bytes: &[u8]) -> GitId {
    let object = GitObject::new(kind, bytes).unwrap();
    let id = object.id();
    repository.insert(object).unwrap();
    id
}

fn tree_of(repository: &mut Repository, entries: &[(&str, &str, GitId)]) -> GitId {
    let mut bytes = Vec::new();
    for (mode, name, id) in entries {
        bytes.extend_from_slice(format!("{mode} {name}\0").as_bytes());
        bytes.extend_from_slice(id.as_bytes());
    }
    insert(repository, ObjectKind::Tree, &bytes)
}

#[test]
fn case_02_a_chain_of_links_is_followed_forty_times_and_no_further() {
    let mut repository = Repository::in_memory();
    let file = insert(&mut repository, ObjectKind::Blob, b"content");
    let mut entries = vec![("100644".to_owned(), "f".to_owned(), file)];
    for number in 0..45 {
        let target = if number == 0 { "f".to_owned() } else { format!("l{:02}", number - 1) };
        let link = insert(&mut repository, ObjectKind::Blob, target.as_bytes());
        entries.push(("120000".to_owned(), format!("l{number:02}"), link));
    }
    let entries: Vec<_> = entries.iter().map(|(mode, name, id)| (mode.as_str(), name.as_str(), *id)).collect();
    let root = tree_of(&mut repository, &entries);
    let tree = repository.tree(root);
    assert_eq!(&*tree.read("l39").unwrap(), b"content");
    assert_eq!(tree.read("l40").unwrap_err().to_string(), "`l40` leads through more than 40 symbolic links");
}

#[test]
fn case_02_what_was_opened_stays_what_it_was_while_the_branch_moves() {
    let remote = MemoryRemote::new("fleet");
    let (mut repository, first) = seed(&remote, &["apps/web=safe"]);
    let tree = repository.tree_at(first).unwrap();
    remote.commit("main", &[Edit::delete("apps/web")], &plan(2_000, "remove")).unwrap();
    remote.commit("main", &[Edit::put("apps/web/x", "swapped")], &plan(3_000, "swap")).unwrap();
    repository.fetch(&remote, "main", None).unwrap();
    assert_eq!(&*tree.read("apps/web").unwrap(), b"safe");
}

#[test]
fn case_03_codes_that_other_readers_take_for_a_way_out_are_refused_or_mean_themselves() {
    let mut repository = Repository::in_memory();
    let head = commit(&mut repository, None, 1, &["apps/web=1"]);
    let tree = repository.tree_at(head).unwrap();
    for path in ["%2e%2e/apps/web", "apps%2fweb", "apps/%2E%2E/x", "c:/x", "C:\\x", "apps\\web", "//apps", "apps//web"]
    {
        assert!(matches!(tree.read(path), Err(git_source::ReadError::Path(_))), "{path}");
    }
    // Two bytes that some decoders take for a slash or a dot are no UTF-8, so no path can hold them.
    for overlong in [b"apps\xc0\xafweb".as_slice(), b"\xc0\xae\xc0\xae/x"] {
        assert!(std::str::from_utf8(overlong).is_err());
    }
    for path in ["apps/\u{2215}web", "\u{2024}\u{2024}/apps"] {
        assert!(matches!(tree.read(path), Err(git_source::ReadError::NotFound { .. })), "{path}");
    }
}

#[test]
fn case_04_names_that_clash_elsewhere_are_taken_literally_here() {
    let mut repository = Repository::in_memory();
    let edits =
        ["README=upper", "readme=lower", "caf\u{e9}=composed", "cafe\u{301}=decomposed", "-rf=dash", "--help/x=y"];
    let head = commit(&mut repository, None, 1, &edits);
    for (path, content) in [
        ("README", "upper"),
        ("readme", "lower"),
        ("caf\u{e9}", "composed"),
        ("cafe\u{301}", "decomposed"),
        ("-rf", "dash"),
        ("--help/x", "y"),
    ] {
        assert_eq!(text(&repository, head, path), content);
    }
    let long = "n".repeat(4096);
    let blob = insert(&mut repository, ObjectKind::Blob, b"x");
    let root = tree_of(&mut repository, &[("100644", &long, blob)]);
    let error = repository.tree(root).list(".").unwrap_err().to_string();
    assert!(error.ends_with("is refused: it has a name longer than 255 bytes"), "{error}");
}

#[test]
fn case_05_addresses_that_would_run_something_are_not_spoken_to() {
    for address in [
        "ext::sh -c reboot",
        "file:///etc",
        "/etc",
        "../fleet",
        "--upload-pack=reboot",
        "-oProxyCommand=reboot",
        "fd::17",
        "git://host/x",
        "ftp://host/x",
        "http://host/x?service=y",
        "https://host/x\n--upload-pack=y",
    ] {
        let options = git_source::HttpOptions::default();
        assert!(connect(address, None, &options, LocalAccess::Refused).is_err(), "{address:?}");
    }
}

#[test]
fn case_22_a_look_alike_host_in_a_webhook_is_another_repository() {
    let watched = "https://github.com/acme/fleet";
    for said in [
        "https://githu\u{0431}.com/acme/fleet",
        "https://github.com.evil.example/acme/fleet",
        "https://github\u{2024}com/acme/fleet",
        "https://github.com/acme/fleet/../other",
        "https://.*/acme/fleet",
        "https://github.com/acme/*",
        "https://github.com/acme/fleet%00",
        "https://github.com/acme/fleet\\",
    ] {
        assert!(!same_repository(watched, said), "{said}");
    }
}

#[test]
fn case_36_a_branch_that_looks_like_an_option_or_a_command_is_never_sent() {
    let remote = MemoryRemote::new("fleet");
    let (mut repository, first) = seed(&remote, &["a=1"]);
    let next = commit(&mut repository, Some(first), 2_000, &["a=2"]);
    let before = remote.requests();
    for branch in [
        "--force",
        "-d",
        "a;reboot b",
        "$(reboot) x",
        "a..b",
        "a\nb",
        "",
        "a.lock",
        "refs/heads/",
        "@{1}",
        "+main:main",
    ] {
        let error = push(&mut repository, &remote, branch, Some(first), next).unwrap_err();
        assert!(matches!(error, PushError::BranchName { .. }), "{branch:?}: {error}");
    }
    assert_eq!(remote.requests(), before, "nothing was sent");
    assert_eq!(remote.list_refs().unwrap().refs.len(), 1);
}
