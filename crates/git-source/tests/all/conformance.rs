//! One suite that every kind of remote has to pass.

use git_source::{
    Ancestry, FetchError, GitId, LocalRemote, MemoryRemote, PushOutcome, RefUpdate, Remote, RemoteError, Repository,
    push,
};

use crate::support::{commit, plan, seed, text};

type Case = (&'static str, fn(&dyn Remote));

const CASES: [Case; 11] = [
    ("an empty repository has no references", an_empty_repository_has_no_references),
    ("a fetched commit reads back", a_fetched_commit_reads_back),
    ("a second fetch brings only what is new", a_second_fetch_brings_only_what_is_new),
    ("a shallow fetch stops at its depth and deepens later", a_shallow_fetch_stops_and_deepens),
    ("a push on top of a shallow clone works", a_push_on_top_of_a_shallow_clone),
    ("a push from a stale parent is a race", a_push_from_a_stale_parent_is_a_race),
    ("tags are found and peeled", tags_are_found_and_peeled),
    ("a push with missing objects moves nothing", a_push_with_missing_objects_moves_nothing),
    ("a branch can not be a folder of another", a_branch_can_not_be_a_folder_of_another),
    ("of many pushes at once exactly one wins", of_many_pushes_at_once_exactly_one_wins),
    ("two updates move together or not at all", two_updates_move_together_or_not_at_all),
];

pub(crate) fn run(make: &dyn Fn() -> Box<dyn Remote>) {
    for (name, case) in CASES {
        let remote = make();
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| case(remote.as_ref())));
        assert!(outcome.is_ok(), "{}: {name}", remote.describe());
    }
}

#[test]
fn a_memory_remote_conforms() {
    run(&|| Box::new(MemoryRemote::new("memory")));
}

#[test]
fn a_local_remote_conforms() {
    let folder = tempfile::tempdir().unwrap();
    let count = std::cell::Cell::new(0);
    run(&|| {
        count.set(count.get() + 1);
        let path = folder.path().join(format!("{}.git", count.get()));
        Repository::init_bare(&path, "main").unwrap();
        Box::new(LocalRemote::new(path))
    });
}

fn an_empty_repository_has_no_references(remote: &dyn Remote) {
    assert!(remote.list_refs().unwrap().refs.is_empty());
    let error = Repository::in_memory().fetch(remote, "main", None).unwrap_err();
    assert!(matches!(error, FetchError::ReferenceNotFound { .. }), "{error}");
    assert_eq!(error.category(), "ReferenceNotFound");
}

fn a_fetched_commit_reads_back(remote: &dyn Remote) {
    let (_, first) = seed(remote, &["apps/web/deploy.yaml=v1", "README=hello"]);
    for reference in ["main", "refs/heads/main", "HEAD", &first.to_string()] {
        let mut reader = Repository::in_memory();
        let fetched = reader.fetch(remote, reference, Some(1)).unwrap();
        assert_eq!((fetched.commit, fetched.objects), (first, 6), "{reference}");
        assert_eq!(text(&reader, first, "apps/web/deploy.yaml"), "v1");
    }
}

fn a_second_fetch_brings_only_what_is_new(remote: &dyn Remote) {
    let (mut writer, first) = seed(remote, &["a/x=1", "b/y=1", "c/z=1"]);
    let mut reader = Repository::in_memory();
    reader.fetch(remote, "main", None).unwrap();
    let settled = reader.fetch(remote, "main", None).unwrap();
    assert_eq!((settled.objects, settled.previous), (0, Some(first)));
    let second = commit(&mut writer, Some(first), 2_000, &["b/y=2"]);
    push(&mut writer, remote, "main", Some(first), second).unwrap();
    let fetched = reader.fetch(remote, "main", None).unwrap();
    assert_eq!((fetched.commit, fetched.objects), (second, 4), "commit, two trees and a blob");
    assert_eq!(reader.ancestry(second, first).unwrap(), Ancestry::Contains);
    assert_eq!(reader.log(second, ".", 10).unwrap().entries.len(), 2);
}

/// Pushes commits 2..=last, one on top of the other, and returns all of them.
fn grow(remote: &dyn Remote, last: i64) -> (Repository, Vec<GitId>) {
    let (mut writer, first) = seed(remote, &["n=1"]);
    let mut commits = vec![first];
    for n in 2..=last {
        let next = commit(&mut writer, commits.last().copied(), 1_000 + n, &[&format!("n={n}")]);
        commits.push(next);
    }
    let (old, new) = (first, *commits.last().unwrap());
    assert_eq!(push(&mut writer, remote, "main", Some(old), new).unwrap(), PushOutcome::Done { now_at: new });
    (writer, commits)
}

fn a_shallow_fetch_stops_and_deepens(remote: &dyn Remote) {
    let (_, commits) = grow(remote, 5);
    let head = commits[4];
    let mut reader = Repository::in_memory();
    reader.fetch(remote, "main", Some(2)).unwrap();
    let log = reader.log(head, ".", 10).unwrap();
    assert_eq!(log.entries.iter().map(|entry| entry.id).collect::<Vec<_>>(), [commits[4], commits[3]]);
    assert!(log.is_shallow);
    assert_eq!(log.entries[1].changed_paths, None, "what a cut commit changed is not known");
    assert_eq!(reader.ancestry(head, commits[0]).unwrap(), Ancestry::Unknown);
    assert_eq!(reader.fetch(remote, "main", Some(2)).unwrap().objects, 0);

    reader.fetch(remote, "main", Some(4)).unwrap();
    assert_eq!(reader.log(head, ".", 10).unwrap().entries.len(), 4);
    reader.fetch(remote, "main", None).unwrap();
    let log = reader.log(head, ".", 10).unwrap();
    assert_eq!((log.entries.len(), log.is_shallow), (5, false));
    assert_eq!(reader.ancestry(head, commits[0]).unwrap(), Ancestry::Contains);
}

fn a_push_on_top_of_a_shallow_clone(remote: &dyn Remote) {
    let (mut first_writer, commits) = grow(remote, 4);
    let mut clone = Repository::in_memory();
    let head = clone.fetch(remote, "main", Some(1)).unwrap().commit;
    assert_eq!(head, commits[3]);
    let next = commit(&mut clone, Some(head), 3_000, &["n=next"]);
    assert_eq!(push(&mut clone, remote, "main", Some(head), next).unwrap(), PushOutcome::Done { now_at: next });
    first_writer.fetch(remote, "main", None).unwrap();
    assert_eq!(first_writer.ancestry(next, commits[0]).unwrap(), Ancestry::Contains);
}

fn a_push_from_a_stale_parent_is_a_race(remote: &dyn Remote) {
    let (mut ours, first) = seed(remote, &["a=1", "b=1"]);
    let mut theirs = Repository::in_memory();
    theirs.fetch(remote, "main", None).unwrap();
    let their_commit = commit(&mut theirs, Some(first), 2_000, &["b=theirs"]);
    push(&mut theirs, remote, "main", Some(first), their_commit).unwrap();
    let our_commit = commit(&mut ours, Some(first), 2_001, &["a=ours"]);
    let outcome = push(&mut ours, remote, "main", Some(first), our_commit).unwrap();
    assert_eq!(outcome, PushOutcome::Race { now_at: Some(their_commit) });
    assert_eq!(remote.list_refs().unwrap().refs["refs/heads/main"], their_commit);

    // Creating a branch that someone else made meanwhile is a race as well.
    let outcome = push(&mut ours, remote, "main", None, our_commit).unwrap();
    assert_eq!(outcome, PushOutcome::Race { now_at: Some(their_commit) });
}

fn tags_are_found_and_peeled(remote: &dyn Remote) {
    let (mut writer, first) = seed(remote, &["a=1"]);
    let tag = writer.tag("v1.0.0", first, &plan(1_500, "Version 1")).unwrap();
    let update = |name: &str, new| RefUpdate { name: name.to_owned(), old: None, new: Some(new) };
    let object = git_source::ObjectSource::object(&writer, &tag).unwrap();
    let updates = [update("refs/tags/v1.0.0", tag), update("refs/tags/light", first)];
    let replies = remote.push(&updates, &[object]).unwrap();
    assert!(replies.iter().all(|reply| reply.refused.is_none()), "{replies:?}");

    let refs = remote.list_refs().unwrap();
    assert_eq!(refs.refs["refs/tags/v1.0.0"], tag);
    assert_eq!(refs.peeled.get("refs/tags/v1.0.0"), Some(&first));
    for name in ["v1.0.0", "light", "refs/tags/v1.0.0"] {
        let mut reader = Repository::in_memory();
        let fetched = reader.fetch(remote, name, Some(1)).unwrap();
        assert_eq!(fetched.commit, first, "{name}");
        assert_eq!(text(&reader, first, "a"), "1");
    }
}

fn a_push_with_missing_objects_moves_nothing(remote: &dyn Remote) {
    let (mut writer, first) = seed(remote, &["a=1"]);
    let second = commit(&mut writer, Some(first), 2_000, &["a=2"]);
    let only_the_commit = [git_source::ObjectSource::object(&writer, &second).unwrap()];
    let update = RefUpdate { name: "refs/heads/main".to_owned(), old: Some(first), new: Some(second) };
    match remote.push(&[update], &only_the_commit) {
        Ok(replies) => assert!(replies[0].refused.is_some(), "{replies:?}"),
        Err(RemoteError::Refused { .. }) => {}
        Err(error) => panic!("{error}"),
    }
    assert_eq!(remote.list_refs().unwrap().refs["refs/heads/main"], first);
    // The whole push goes through afterwards.
    assert_eq!(push(&mut writer, remote, "main", Some(first), second).unwrap(), PushOutcome::Done { now_at: second });
}

fn a_branch_can_not_be_a_folder_of_another(remote: &dyn Remote) {
    let (mut writer, first) = seed(remote, &["a=1"]);
    for branch in ["main/x", "main/x/y"] {
        let outcome = push(&mut writer, remote, branch, None, first).unwrap();
        assert!(matches!(outcome, PushOutcome::RefusedByServer { .. }), "{outcome:?}");
    }
    assert_eq!(remote.list_refs().unwrap().refs.len(), 1);
}

fn of_many_pushes_at_once_exactly_one_wins(remote: &dyn Remote) {
    let (writer, first) = seed(remote, &["a=1"]);
    let attempt = &|n: i64| {
        let mut writer = writer.clone();
        let next = commit(&mut writer, Some(first), 2_000 + n, &[&format!("a={n}")]);
        (next, push(&mut writer, remote, "main", Some(first), next).unwrap())
    };
    let attempts: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (2..6).map(|n| scope.spawn(move || attempt(n))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let winner = remote.list_refs().unwrap().refs["refs/heads/main"];
    for (commit, outcome) in attempts {
        let expected = match commit == winner {
            true => PushOutcome::Done { now_at: winner },
            false => PushOutcome::Race { now_at: Some(winner) },
        };
        assert_eq!(outcome, expected);
    }
}

fn two_updates_move_together_or_not_at_all(remote: &dyn Remote) {
    let (mut writer, first) = seed(remote, &["a=1"]);
    let second = commit(&mut writer, Some(first), 2_000, &["a=2"]);
    let objects: Vec<_> = {
        let tree = writer.tree_id(second).unwrap();
        let blob = writer.tree_at(second).unwrap().id_at("a").unwrap().unwrap();
        [second, tree, blob].iter().map(|id| git_source::ObjectSource::object(&writer, id).unwrap()).collect()
    };
    let update = |name: &str, old, new| RefUpdate { name: name.to_owned(), old, new: Some(new) };
    let stale = [update("refs/heads/other", None, second), update("refs/heads/main", Some(second), second)];
    let replies = remote.push(&stale, &objects).unwrap();
    assert!(replies.iter().all(|reply| reply.refused.is_some()), "{replies:?}");
    assert_eq!(remote.list_refs().unwrap().refs.len(), 1);

    let both = [update("refs/heads/other", None, second), update("refs/heads/main", Some(first), second)];
    let replies = remote.push(&both, &objects).unwrap();
    assert!(replies.iter().all(|reply| reply.refused.is_none()), "{replies:?}");
    assert_eq!(remote.list_refs().unwrap().refs.len(), 2);
    let delete = [RefUpdate { name: "refs/heads/other".to_owned(), old: Some(second), new: None }];
    assert_eq!(remote.push(&delete, &[]).unwrap()[0].refused, None);
    assert_eq!(remote.list_refs().unwrap().refs.len(), 1);
}
