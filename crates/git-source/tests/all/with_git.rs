//! The same repositories seen by the real git binary. Where it is absent, these tests say so and count as skipped.

use std::path::Path;
use std::process::{Command, Output};

use git_source::{Edit, LocalRemote, PushOutcome, Repository, Trailers, push};

use crate::support::{commit, plan, seed, text};

/// Whether git is there; says so when it is not.
pub(crate) fn has_git() -> bool {
    let found = Command::new("git").arg("--version").output().is_ok_and(|output| output.status.success());
    if !found {
        skipped("there is no git binary");
    }
    found
}

/// Says that a test saw nothing, so that it counts as skipped.
pub(crate) fn skipped(why: &str) {
    eprintln!("skipped: {why}");
}

/// Runs git in a folder without the settings of the user.
pub(crate) fn git_output(folder: &Path, arguments: &[&str]) -> Output {
    Command::new("git")
        .args(["-c", "user.name=Bob", "-c", "user.email=bob@example.com", "-c", "init.defaultBranch=main"])
        .args(arguments)
        .current_dir(folder)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_SYSTEM", "/dev/null")
        .env("GIT_TERMINAL_PROMPT", "0")
        .output()
        .unwrap()
}

/// Runs git and returns what it printed; it must succeed.
pub(crate) fn git(folder: &Path, arguments: &[&str]) -> String {
    let output = git_output(folder, arguments);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "git {arguments:?}: {errors}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn git_reads_and_verifies_a_repository_that_was_made_here() {
    if !has_git() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fleet.git");
    let mut repository = Repository::init_bare(&path, "main").unwrap();
    let first = commit(&mut repository, None, 1_000, &["apps/web/a=1", "apps/web.b=1", "z=1"]);
    let second = commit(&mut repository, Some(first), 2_000, &["apps/web/a=2"]);
    repository.set_branch("main", second).unwrap();
    repository.tag("v1", second, &plan(3_000, "Version 1")).unwrap();
    assert_eq!(git(&path, &["fsck", "--strict", "--full"]), "");
    assert_eq!(
        git(&path, &["log", "--format=%an %cn %at %s", "main"]),
        "Ada Sluice 2000 commit at 2000\nAda Sluice 1000 commit at 1000"
    );
    assert_eq!(git(&path, &["show", "main:apps/web/a"]), "2");
    assert_eq!(git(&path, &["rev-parse", "v1^{commit}", "HEAD"]), format!("{second}\n{second}"));
    assert_eq!(git(&path, &["diff", "--name-only", "main~1", "main"]), "apps/web/a");
}

#[test]
fn many_objects_become_a_pack_that_git_verifies() {
    if !has_git() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fleet.git");
    let mut repository = Repository::init_bare(&path, "main").unwrap();
    let edits: Vec<_> =
        (0..300).map(|n| Edit::put(&format!("d{}/f{n}", n % 7), format!("content {}", n / 2))).collect();
    let head = repository.commit_to_branch("main", &edits, &plan(1_000, "many")).unwrap();
    assert_eq!(text(&repository, head, "d3/f10"), "content 5");
    assert_eq!(git(&path, &["fsck", "--strict", "--full"]), "");
    assert!(git(&path, &["count-objects", "-v"]).contains("in-pack: 159\npacks: 1\n"));
    let pack = std::fs::read_dir(path.join("objects/pack")).unwrap();
    let index = pack.map(|entry| entry.unwrap().path()).find(|path| path.extension().is_some_and(|e| e == "idx"));
    git(&path, &["verify-pack", &index.unwrap().to_string_lossy()]);
    assert_eq!(git(&path, &["ls-tree", "-r", "--name-only", "main"]).lines().count(), 300);
}

#[test]
fn packed_repositories_and_checkouts_made_by_git_are_read() {
    if !has_git() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    git(folder.path(), &["init", "-q", "work"]);
    let work = folder.path().join("work");
    for n in 0..30 {
        std::fs::write(work.join("f.txt"), format!("{}\n{n}\n", "line\n".repeat(200))).unwrap();
        git(&work, &["add", "."]);
        git(&work, &["commit", "-q", "-m", &format!("c{n}")]);
    }
    git(&work, &["tag", "-a", "v1", "-m", "one"]);
    git(&work, &["gc", "-q", "--aggressive"]);
    git(&work, &["pack-refs", "--all"]);
    let remote = LocalRemote::parse(&format!("file://{}", work.display())).unwrap();
    let mut repository = Repository::in_memory();
    let head = repository.fetch(&remote, "main", None).unwrap().commit;
    assert_eq!(head.to_string(), git(&work, &["rev-parse", "HEAD"]));
    assert_eq!(repository.log(head, "f.txt", 100).unwrap().entries.len(), 30);
    assert_eq!(repository.fetch(&remote, "v1", None).unwrap().commit, head);

    // A checked-out branch is not moved under the feet of its owner; another one is.
    let next = commit(&mut repository, Some(head), 2_000_000_000, &["f.txt=new"]);
    let refused = push(&mut repository, &remote, "main", Some(head), next).unwrap();
    let message = "branch is currently checked out".to_owned();
    assert_eq!(refused, PushOutcome::RefusedByServer { message });
    assert_eq!(push(&mut repository, &remote, "bot", None, next).unwrap(), PushOutcome::Done { now_at: next });
    assert_eq!(git(&work, &["show", "bot:f.txt"]), "new");
    assert_eq!(git(&work, &["fsck", "--strict"]), "");
}

#[test]
fn a_packed_reference_is_swapped_only_from_its_value() {
    if !has_git() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fleet.git");
    Repository::init_bare(&path, "main").unwrap();
    let remote = LocalRemote::new(&path);
    let (mut repository, first) = seed(&remote, &["a=1"]);
    git(&path, &["pack-refs", "--all"]);
    git(&path, &["gc", "-q"]);
    let second = commit(&mut repository, Some(first), 2_000, &["a=2"]);
    assert_eq!(
        push(&mut repository, &remote, "main", Some(first), second).unwrap(),
        PushOutcome::Done { now_at: second }
    );
    let other = commit(&mut repository, Some(first), 2_001, &["a=3"]);
    assert_eq!(
        push(&mut repository, &remote, "main", Some(first), other).unwrap(),
        PushOutcome::Race { now_at: Some(second) }
    );
    // A lock left by a dead writer refuses the push and leaves the reference alone.
    let third = commit(&mut repository, Some(second), 2_002, &["a=4"]);
    std::fs::write(path.join("refs/heads/main.lock"), "").unwrap();
    let outcome = push(&mut repository, &remote, "main", Some(second), third).unwrap();
    assert!(matches!(outcome, PushOutcome::RefusedByServer { .. }), "{outcome:?}");
    std::fs::remove_file(path.join("refs/heads/main.lock")).unwrap();
    assert_eq!(git(&path, &["rev-parse", "main"]), second.to_string());
    git(&path, &["fsck", "--strict"]);
}

#[test]
fn our_logs_trailers_and_commit_ids_agree_with_git() {
    if !has_git() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    git(folder.path(), &["init", "-q", "work"]);
    let work = folder.path().join("work");
    let message = "subject\n\nbody: text\nmore\n\nSluice-Env: prod\nSigned-off-by: A <a@x>\n";
    std::fs::create_dir(work.join("dir")).unwrap();
    std::fs::write(work.join("dir/a"), "1").unwrap();
    git(&work, &["add", "."]);
    git(&work, &["commit", "-q", "-m", message]);
    git(&work, &["checkout", "-q", "-b", "side"]);
    std::fs::write(work.join("dir/b"), "1").unwrap();
    git(&work, &["add", "."]);
    git(&work, &["commit", "-q", "-m", "side"]);
    git(&work, &["checkout", "-q", "main"]);
    std::fs::write(work.join("c"), "1").unwrap();
    git(&work, &["add", "."]);
    git(&work, &["commit", "-q", "-m", "main"]);
    git(&work, &["merge", "-q", "--no-edit", "side"]);

    let mut repository = Repository::open(&work).unwrap();
    let head = repository.resolve("main").unwrap().unwrap();
    for path in [".", "dir", "dir/a", "dir/b", "c"] {
        let ours: Vec<_> = repository.log(head, path, 100).unwrap().entries.iter().map(|e| e.id.to_string()).collect();
        let mut theirs: Vec<_> =
            git(&work, &["log", "--format=%H", "main", "--", path]).lines().map(str::to_owned).collect();
        let mut ours_sorted = ours.clone();
        ours_sorted.sort();
        theirs.sort();
        assert_eq!(ours_sorted, theirs, "{path}");
    }
    let first = git(&work, &["rev-list", "--max-parents=0", "main"]);
    let trailers = Trailers::parse(&repository.read_commit(first.parse().unwrap()).unwrap().message);
    let lines: Vec<_> = trailers.iter().map(|(key, value)| format!("{key}: {value}")).collect();
    assert_eq!(git(&work, &["log", "-1", "--format=%(trailers)", &first]).trim(), lines.join("\n"));

    let ours = repository.commit(Some(head), &[Edit::put("dir/a", "2")], &plan(5_000, "edit")).unwrap();
    let tree = repository.tree_id(ours).unwrap();
    let theirs = Command::new("git")
        .args(["commit-tree", &tree.to_string(), "-p", &head.to_string(), "-m", "edit"])
        .current_dir(&work)
        .envs([("GIT_AUTHOR_NAME", "Ada"), ("GIT_AUTHOR_EMAIL", "ada@example.com")])
        .envs([("GIT_COMMITTER_NAME", "Sluice"), ("GIT_COMMITTER_EMAIL", "sluice@example.com")])
        .envs([("GIT_AUTHOR_DATE", "@5000 +0000"), ("GIT_COMMITTER_DATE", "@5000 +0000")])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&theirs.stdout).trim(), ours.to_string());
    assert_eq!(text(&repository, ours, "dir/a"), "2");
}

/// A sequence of numbers that is the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

#[test]
fn our_text_merge_agrees_with_git_on_many_small_files() {
    if !has_git() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut numbers = Numbers(7);
    let (mut clean, mut clashes) = (0, 0);
    for round in 0..150 {
        let base: Vec<String> = (0..numbers.below(14)).map(|_| format!("line {}", numbers.below(5))).collect();
        let mut changed = || {
            let mut lines = base.clone();
            for _ in 0..1 + numbers.below(2) {
                let at = numbers.below(lines.len() as u64 + 1) as usize;
                match numbers.below(3) {
                    0 if at < lines.len() => drop(lines.remove(at)),
                    1 if at < lines.len() => lines[at] = format!("new {}", numbers.below(3)),
                    _ => lines.insert(at, format!("more {}", numbers.below(3))),
                }
            }
            lines
        };
        let (ours, theirs) = (changed(), changed());
        let content = |lines: &[String]| lines.iter().map(|line| format!("{line}\n")).collect::<String>();
        let mut repository = Repository::in_memory();
        let trees = [&base, &ours, &theirs].map(|lines| {
            let text = content(lines);
            let commit = commit(&mut repository, None, 1, &[&format!("f={text}")]);
            repository.tree_id(commit).unwrap()
        });
        for (name, lines) in [("base", &base), ("ours", &ours), ("theirs", &theirs)] {
            std::fs::write(folder.path().join(name), content(lines)).unwrap();
        }
        let expected = git_output(folder.path(), &["merge-file", "-p", "ours", "base", "theirs"]);
        match repository.merge(trees[0], trees[1], trees[2], &["f"]) {
            Ok(merged) => {
                clean += 1;
                assert!(expected.status.success(), "round {round}: git sees a conflict: {base:?} {ours:?} {theirs:?}");
                assert_eq!(&*repository.tree(merged).read("f").unwrap(), expected.stdout, "round {round}");
            }
            Err(_) => {
                clashes += 1;
                assert!(
                    !expected.status.success(),
                    "round {round}: git sees no conflict: {base:?} {ours:?} {theirs:?}"
                );
            }
        }
    }
    assert!(clean > 20 && clashes > 20, "{clean} {clashes}");
}

#[test]
fn our_tree_merge_agrees_with_git_on_many_small_trees() {
    if !has_git() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fleet.git");
    let mut repository = Repository::init_bare(&path, "main").unwrap();
    let mut numbers = Numbers(11);
    let (mut clean, mut clashes) = (0, 0);
    for round in 0..60 {
        let base: Vec<(String, u64)> =
            ["a/x", "a/y", "b/x", "b/c/z", "k"].iter().map(|path| ((*path).to_owned(), numbers.below(2))).collect();
        let mut changed = || {
            let mut files = base.clone();
            for _ in 0..1 + numbers.below(3) {
                let at = numbers.below(files.len() as u64) as usize;
                match numbers.below(4) {
                    0 if files.len() > 1 => drop(files.remove(at)),
                    1 => files.push((format!("a/new{}", numbers.below(3)), numbers.below(2))),
                    _ => files[at].1 = 2 + numbers.below(2),
                }
            }
            files
        };
        let (ours, theirs) = (changed(), changed());
        let mut write = |parent, files: &[(String, u64)], name: &str| {
            let mut content: std::collections::BTreeMap<String, String> = std::collections::BTreeMap::new();
            for (path, n) in files {
                content.insert(path.clone(), format!("head {path}\nvalue {n}\ntail {path}\n"));
            }
            content.insert("name".to_owned(), format!("round {round}"));
            let edits: Vec<_> = content.iter().map(|(path, text)| Edit::put(path, text.as_str())).collect();
            let made = repository.commit(None, &edits, &plan(1_000, name)).unwrap();
            let Some(parent) = parent else { return made };
            let tree = repository.tree_id(made).unwrap();
            repository.commit_tree(parent, tree, &plan(2_000, name)).unwrap_or(parent)
        };
        let base = write(None, &base, "base");
        let (ours, theirs) = (write(Some(base), &ours, "ours"), write(Some(base), &theirs, "theirs"));
        let arguments =
            ["-c", "merge.renames=false", "merge-tree", "--write-tree", &ours.to_string(), &theirs.to_string()];
        let expected = git_output(&path, &arguments);
        let [base, ours, theirs] = [base, ours, theirs].map(|commit| repository.tree_id(commit).unwrap());
        match repository.merge(base, ours, theirs, &["."]) {
            Ok(merged) => {
                clean += 1;
                assert_eq!(merged.to_string(), String::from_utf8_lossy(&expected.stdout).trim(), "round {round}");
            }
            Err(error) => {
                clashes += 1;
                assert!(!expected.status.success(), "round {round}: git sees no conflict: {error}");
            }
        }
    }
    assert!(clean > 10 && clashes > 10, "{clean} {clashes}");
}
