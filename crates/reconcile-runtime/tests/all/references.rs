//! What a source may name besides a branch, and what goes on serving when it names nothing any more.

use api::Reference;
use git_source::{Edit, RefUpdate};
use reconcile_core::{Answer, FetchSource, Head, Question, SourceFailure};

use crate::git::{Fleet, URL, plan, service};

fn at(reference: Reference) -> FetchSource {
    FetchSource { url: URL.into(), reference, ..FetchSource::default() }
}

async fn fetch(fleet: &Fleet, source: &FetchSource) -> Result<Head, SourceFailure> {
    match fleet.ask(Question::Fetch(source.clone())).await {
        Answer::Head(head) => Ok(head),
        Answer::Failed(failure) => Err(failure),
        other => panic!("not a head: {other:?}"),
    }
}

fn tag(fleet: &Fleet, name: &str, commit: &str) {
    let commit = git_source::GitId::parse(commit).unwrap();
    fleet.remote.with_repository(|repository| repository.tag(name, commit, &plan("Release"))).unwrap();
}

#[tokio::test(start_paused = true)]
async fn tags_ranges_names_and_commits_become_one_commit_each() {
    let fleet = Fleet::new();
    let first = fleet.commit("One", &[Edit::put("qa/web.yaml", service("web", 81))]);
    tag(&fleet, "v1.0.0", &first);
    let second = fleet.commit("Two", &[Edit::put("qa/web.yaml", service("web", 82))]);
    tag(&fleet, "v1.1.0", &second);
    let third = fleet.commit("Three", &[Edit::put("qa/web.yaml", service("web", 83))]);
    tag(&fleet, "v2.0.0-rc.1", &third);
    let pull =
        RefUpdate { name: "refs/pull/7/head".into(), old: None, new: Some(git_source::GitId::parse(&third).unwrap()) };
    fleet.remote.with_repository(|repository| repository.update_refs(&[pull])).unwrap();
    for (reference, commit, resolved) in [
        (Reference::Tag("v1.0.0".into()), &first, "refs/tags/v1.0.0"),
        (Reference::Versions(">=1.0.0 <2.0.0".into()), &second, "refs/tags/v1.1.0"),
        (Reference::Versions(">=2.0.0-0".into()), &third, "refs/tags/v2.0.0-rc.1"),
        (Reference::Name("refs/pull/7/head".into()), &third, "refs/pull/7/head"),
        (Reference::Name("refs/tags/v1.1.0".into()), &second, "refs/tags/v1.1.0"),
        (Reference::Commit(first.clone()), &first, first.as_str()),
        (Reference::Branch("main".into()), &third, "refs/heads/main"),
    ] {
        let head = fetch(&fleet, &at(reference.clone())).await.unwrap();
        assert_eq!((&head.commit, head.reference.as_str()), (commit, resolved), "{reference}");
        assert!(fleet.render(&head.commit, "qa").await.is_ok());
    }
    let absent = "f".repeat(40);
    for (reference, reason, message) in [
        (Reference::Tag("v9".into()), "TagNotFound", "has no tag `v9`".to_owned()),
        (Reference::Versions("^9".into()), "TagNotFound", "has no tag with a version in `^9`".to_owned()),
        (
            Reference::Name("refs/pull/8/head".into()),
            "ReferenceNotFound",
            "has no reference `refs/pull/8/head`".to_owned(),
        ),
        (Reference::Commit(absent.clone()), "CommitNotFound", format!("has no commit `{absent}`")),
    ] {
        let failure = fetch(&fleet, &at(reference)).await.unwrap_err();
        assert_eq!((failure.reason.as_str(), failure.message), (reason, format!("{URL} {message}")));
    }
}

#[tokio::test(start_paused = true)]
async fn a_range_follows_the_next_release() {
    let fleet = Fleet::new();
    let range = at(Reference::Versions("1.x".into()));
    let first = fleet.commit("One", &[Edit::put("qa/web.yaml", service("web", 81))]);
    tag(&fleet, "1.0.0", &first);
    assert_eq!(fetch(&fleet, &range).await.unwrap().commit, first);
    let second = fleet.commit("Two", &[Edit::put("qa/web.yaml", service("web", 82))]);
    assert_eq!(fetch(&fleet, &range).await.unwrap().commit, first, "a commit is no release");
    tag(&fleet, "1.0.1", &second);
    assert_eq!(fetch(&fleet, &range).await.unwrap().commit, second);
}

#[tokio::test(start_paused = true)]
async fn the_last_good_commit_serves_while_the_repository_is_away() {
    let fleet = Fleet::new();
    let main = at(Reference::Branch("main".into()));
    let good = fetch(&fleet, &main).await.unwrap();
    fleet.remote.take_away();
    let stale = fetch(&fleet, &main).await.unwrap();
    let failure = stale.failure.clone().unwrap();
    assert_eq!((stale.commit, failure.reason.as_str()), (good.commit.clone(), "RepositoryNotFound"));
    assert!(fleet.render(&good.commit, "qa").await.is_ok());
    fleet.remote.bring_back();
    assert_eq!(fetch(&fleet, &main).await.unwrap().failure, None);
}

#[tokio::test(start_paused = true)]
async fn a_shallow_source_has_as_much_history_as_it_asks_for() {
    let fleet = Fleet::new();
    for port in 81..90 {
        fleet.commit("Port", &[Edit::put("qa/web.yaml", service("web", port))]);
    }
    let shallow = FetchSource { depth: Some(1), ..at(Reference::Branch("main".into())) };
    let before = fleet.remote.requests().fetches;
    let head = fetch(&fleet, &shallow).await.unwrap();
    let question = Question::Render {
        source: shallow,
        commit: head.commit.clone(),
        path: "qa".into(),
        render: Box::default(),
        namespace: "qa".into(),
        seed: "uid-1".into(),
        actor: reconcile_core::Actor::Operator,
        values_namespace: "qa".into(),
    };
    let Answer::Rendered(rendered) = fleet.ask(question).await else { panic!("no render") };
    assert_eq!((rendered.touched.commit, fleet.remote.requests().fetches - before), (head.commit, 1));
}
