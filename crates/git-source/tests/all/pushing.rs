//! What becomes of a push when rules, other people or the network stand in the way.

use git_source::{Edit, Fault, FetchError, MemoryRemote, PushError, PushOutcome, Remote, Repository, Rule, push};

use crate::support::{commit, plan, seed, text};

fn world() -> (MemoryRemote, Repository, git_source::CommitId) {
    let remote = MemoryRemote::new("fleet");
    let (repository, head) = seed(&remote, &["apps/web=1", "policy/rules=1"]);
    (remote, repository, head)
}

#[test]
fn a_rule_of_the_server_is_told_apart_from_a_race() {
    let (remote, mut repository, head) = world();
    remote.add_rule(Rule::ProtectPath { path: "policy".to_owned() });
    let touching = commit(&mut repository, Some(head), 2_000, &["policy/rules=2"]);
    let outcome = push(&mut repository, &remote, "main", Some(head), touching).unwrap();
    assert_eq!(outcome, PushOutcome::RefusedByServer { message: "path policy is protected".to_owned() });
    assert_eq!(remote.head("main"), Some(head));
    let harmless = commit(&mut repository, Some(head), 2_000, &["apps/web=2"]);
    let outcome = push(&mut repository, &remote, "main", Some(head), harmless).unwrap();
    assert_eq!(outcome, PushOutcome::Done { now_at: harmless });
}

#[test]
fn a_hook_sees_commits_and_paths_and_its_words_are_made_printable() {
    let (remote, mut repository, head) = world();
    remote.add_rule(Rule::hook(|proposed| {
        let subjects: Vec<_> = proposed.commits.iter().map(|commit| commit.subject().to_owned()).collect();
        Err(format!("{} {subjects:?} {:?}\n\u{1b}[31mGH006", proposed.name, proposed.changed_paths))
    }));
    let next = commit(&mut repository, Some(head), 2_000, &["apps/web=2"]);
    let outcome = push(&mut repository, &remote, "main", Some(head), next).unwrap();
    let message = "refs/heads/main [\"commit at 2000\"] Some([\"apps/web\"]) \u{fffd}[31mGH006".to_owned();
    assert_eq!(outcome, PushOutcome::RefusedByServer { message });
}

#[test]
fn a_lost_reply_is_found_done_and_a_broken_push_is_an_error_to_retry() {
    let (remote, mut repository, head) = world();
    let next = commit(&mut repository, Some(head), 2_000, &["apps/web=2"]);
    remote.inject(Fault::BreakPush);
    let error = push(&mut repository, &remote, "main", Some(head), next).unwrap_err();
    assert_eq!((error.category(), error.retry()), ("LostReply", git_source::Retry::Now));
    assert_eq!(remote.head("main"), Some(head));

    remote.inject(Fault::LoseReply);
    let outcome = push(&mut repository, &remote, "main", Some(head), next).unwrap();
    assert_eq!(outcome, PushOutcome::Done { now_at: next });
    // A repeat after a crash finds the commit as well.
    let outcome = push(&mut repository, &remote, "main", Some(head), next).unwrap();
    assert_eq!(outcome, PushOutcome::Done { now_at: next });
}

#[test]
fn a_commit_that_others_built_upon_is_found_done() {
    let (remote, mut repository, head) = world();
    let next = commit(&mut repository, Some(head), 2_000, &["apps/web=2"]);
    push(&mut repository, &remote, "main", Some(head), next).unwrap();
    let on_top = remote.commit("main", &[Edit::put("other", "1")], &plan(3_000, "on top")).unwrap();
    let outcome = push(&mut repository, &remote, "main", Some(head), next).unwrap();
    assert_eq!(outcome, PushOutcome::Done { now_at: on_top });
}

#[test]
fn a_deleted_branch_is_a_race() {
    let (remote, mut repository, head) = world();
    remote.with_repository(|world| {
        let update = git_source::RefUpdate { name: "refs/heads/main".to_owned(), old: Some(head), new: None };
        world.update_refs(&[update]).unwrap();
    });
    let next = commit(&mut repository, Some(head), 2_000, &["apps/web=2"]);
    let outcome = push(&mut repository, &remote, "main", Some(head), next).unwrap();
    assert_eq!(outcome, PushOutcome::Race { now_at: None });
}

#[test]
fn a_push_that_would_lose_commits_is_never_sent() {
    let (remote, mut repository, head) = world();
    let unrelated = commit(&mut repository, None, 2_000, &["x=1"]);
    let before = remote.requests();
    let error = push(&mut repository, &remote, "main", Some(head), unrelated).unwrap_err();
    assert!(matches!(error, PushError::NotADescendant { .. }), "{error}");
    for branch in ["--force", "a..b", "a b", "", "x.lock", "a\nb"] {
        let error = push(&mut repository, &remote, branch, Some(head), head).unwrap_err();
        assert!(matches!(error, PushError::BranchName { .. }), "{branch:?}: {error}");
    }
    assert_eq!(remote.requests(), before);
}

#[test]
fn server_rules_on_branches_hold() {
    let (remote, mut repository, head) = world();
    remote.add_rule(Rule::FastForwardOnly);
    remote.add_rule(Rule::ProtectBranch { branch: "release".to_owned() });
    let unrelated = commit(&mut repository, None, 2_000, &["x=1"]);
    let objects: Vec<_> = [unrelated, repository.tree_id(unrelated).unwrap()]
        .into_iter()
        .chain(repository.tree_at(unrelated).unwrap().id_at("x").unwrap())
        .map(|id| git_source::ObjectSource::object(&repository, &id).unwrap())
        .collect();
    let update = |name: &str, old, new| git_source::RefUpdate { name: format!("refs/heads/{name}"), old, new };
    for (update, words) in [
        (update("main", Some(head), Some(unrelated)), "non-fast-forward"),
        (update("main", Some(head), None), "deletion prohibited"),
        (update("release", None, Some(unrelated)), "branch release is protected"),
    ] {
        let replies = remote.push(&[update], &objects).unwrap();
        assert_eq!(replies[0].refused.as_deref(), Some(words));
    }
}

#[test]
fn a_snapshot_puts_everything_back_and_a_fork_goes_its_own_way() {
    let (remote, mut repository, head) = world();
    let snapshot = remote.snapshot();
    let fork = remote.fork();
    let next = commit(&mut repository, Some(head), 2_000, &["apps/web=2"]);
    push(&mut repository, &remote, "main", Some(head), next).unwrap();
    assert_eq!((remote.head("main"), fork.head("main")), (Some(next), Some(head)));
    let handle = remote.clone();
    remote.restore(&snapshot);
    assert_eq!(handle.head("main"), Some(head));
    assert_eq!(handle.repository().resolve(&next.to_string()).unwrap(), None, "its objects are gone, too");
    assert_eq!(handle.requests(), fork.requests());
}

#[test]
fn an_unreachable_remote_says_so_once_per_fault() {
    let (remote, _, head) = world();
    remote.inject(Fault::Unreachable);
    let mut reader = Repository::in_memory();
    let error = reader.fetch(&remote, "main", None).unwrap_err();
    assert!(matches!(error, FetchError::Remote(_)));
    assert_eq!(error.to_string(), "failed to reach fleet: connection refused");
    assert_eq!(reader.fetch(&remote, "main", None).unwrap().commit, head);
    assert_eq!(text(&reader, head, "apps/web"), "1");
    let error = reader.fetch(&remote, "nope", None).unwrap_err();
    assert_eq!(error.to_string(), "fleet has no branch, tag or commit `nope`");
}

#[test]
fn a_repository_forgets_what_no_reference_needs_and_refuses_to_outgrow_its_memory() {
    let remote = MemoryRemote::new("big");
    let (mut writer, mut head) = seed(&remote, &["f=0"]);
    let mut reader = Repository::in_memory().with_limits(Default::default(), 60_000);
    for n in 1..=5 {
        let content = format!("f={}", n.to_string().repeat(20_000));
        let next = commit(&mut writer, Some(head), 1_000 + n, &[&content]);
        push(&mut writer, &remote, "main", Some(head), next).unwrap();
        head = next;
        reader.fetch(&remote, "main", Some(1)).unwrap();
        assert_eq!(text(&reader, head, "f").len(), 20_000);
        assert!(reader.memory().1 <= 60_000, "{:?}", reader.memory());
    }
    let error = Repository::in_memory().with_limits(Default::default(), 1_000).fetch(&remote, "main", Some(1));
    assert!(matches!(error, Err(FetchError::TooLarge { .. })), "{error:?}");
}

#[test]
fn somebody_who_is_quicker_wins_the_race_and_only_the_next_one() {
    let (remote, mut repository, head) = world();
    remote.commit_before_next_push("main", &[Edit::put("docs/note", "quick")], &plan(1_500, "be quick"));
    assert_eq!(remote.head("main"), Some(head), "nothing happens before the push");
    let next = commit(&mut repository, Some(head), 2_000, &["apps/web=2"]);
    let outcome = push(&mut repository, &remote, "main", Some(head), next).unwrap();
    let rival = remote.head("main");
    assert_eq!(outcome, PushOutcome::Race { now_at: rival });
    assert_eq!(text(&remote.repository(), rival.unwrap(), "docs/note"), "quick");

    let fetched = repository.fetch(&remote, "refs/heads/main", None).unwrap().commit;
    let again = commit(&mut repository, Some(fetched), 3_000, &["apps/web=2"]);
    let outcome = push(&mut repository, &remote, "main", Some(fetched), again).unwrap();
    assert_eq!(outcome, PushOutcome::Done { now_at: again });
}

#[test]
fn a_repository_that_is_taken_away_answers_nothing_until_it_is_back() {
    let (remote, mut repository, head) = world();
    remote.take_away();
    let next = commit(&mut repository, Some(head), 2_000, &["apps/web=2"]);
    assert!(matches!(remote.list_refs(), Err(git_source::RemoteError::NotFound { .. })));
    assert!(repository.fetch(&remote, "refs/heads/main", None).is_err());
    assert!(push(&mut repository, &remote, "main", Some(head), next).is_err());
    remote.bring_back();
    let outcome = push(&mut repository, &remote, "main", Some(head), next).unwrap();
    assert_eq!(outcome, PushOutcome::Done { now_at: next });
}
