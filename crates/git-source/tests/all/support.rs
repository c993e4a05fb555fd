//! Small repositories and plans that tests share.

use git_source::{CommitId, CommitPlan, Edit, Message, Person, Remote, Repository, push};

/// A plan of one person at a second since 1970.
pub(crate) fn plan(second: i64, subject: &str) -> CommitPlan {
    let author = Person::new("Ada", "ada@example.com").unwrap();
    let committer = Person::new("Sluice", "sluice@example.com").unwrap();
    let time = git_source_time(second);
    CommitPlan { author, committer, time, message: Message::new(subject).unwrap() }
}

fn git_source_time(second: i64) -> object_model::Timestamp {
    object_model::Timestamp::from_second(second).unwrap()
}

/// Commits edits given as `path=content` (or `path` alone to delete) on top of a branch of a repository in memory.
pub(crate) fn commit(repository: &mut Repository, parent: Option<CommitId>, second: i64, edits: &[&str]) -> CommitId {
    let edit = |text: &&str| match text.split_once('=') {
        Some((path, content)) => Edit::put(path, content),
        None => Edit::delete(text),
    };
    let edits: Vec<_> = edits.iter().map(edit).collect();
    repository.commit(parent, &edits, &plan(second, &format!("commit at {second}"))).unwrap()
}

/// Pushes a first commit to `main` and returns the repository it was made in.
pub(crate) fn seed(remote: &dyn Remote, edits: &[&str]) -> (Repository, CommitId) {
    let mut repository = Repository::in_memory();
    let first = commit(&mut repository, None, 1_000, edits);
    let outcome = push(&mut repository, remote, "main", None, first).unwrap();
    assert_eq!(outcome, git_source::PushOutcome::Done { now_at: first });
    (repository, first)
}

/// Reads a file as text.
pub(crate) fn text(repository: &Repository, commit: CommitId, path: &str) -> String {
    let tree = repository.tree_at(commit).unwrap();
    String::from_utf8(tree.read(path).unwrap().to_vec()).unwrap()
}
