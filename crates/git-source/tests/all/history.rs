//! Who changed what, and when.

use git_source::{CommitPlan, Edit, LastTouch, Message, Repository, Trailers};

use crate::support::{commit, plan};

#[test]
fn a_log_names_people_messages_trailers_and_paths() {
    let mut repository = Repository::in_memory();
    let first = commit(&mut repository, None, 1_000, &["apps/web=1", "apps/db=1"]);
    let trailers = Trailers::new().with("Sluice-Operation", "01J").unwrap();
    let message = Message::new("Promote web").unwrap().with_trailers(trailers);
    let plan = CommitPlan { message, ..plan(2_000, "x") };
    let edits = [Edit::put("apps/web", "2"), Edit::delete("apps/db"), Edit::put("new", "n")];
    let second = repository.commit(Some(first), &edits, &plan).unwrap();
    let log = repository.log(second, ".", 10).unwrap();
    let shown: Vec<_> = log
        .entries
        .iter()
        .map(|entry| {
            let paths = entry.changed_paths.as_ref().unwrap().join(",");
            let operation = entry.trailers.get("Sluice-Operation").unwrap_or("-");
            format!(
                "{} {} {} | {} | {operation} | {paths}",
                entry.time,
                entry.author,
                entry.committer.name,
                entry.subject()
            )
        })
        .collect();
    insta::assert_snapshot!(shown.join("\n"), @r"
    1970-01-01T00:33:20Z Ada <ada@example.com> Sluice | Promote web | 01J | apps/db,apps/web,new
    1970-01-01T00:16:40Z Ada <ada@example.com> Sluice | commit at 1000 | - | apps/db,apps/web
    ");
}

#[test]
fn the_last_touch_of_a_path_is_found_past_other_commits() {
    let mut repository = Repository::in_memory();
    let a = commit(&mut repository, None, 1, &["apps/web/x=1", "apps/db/y=1"]);
    let b = commit(&mut repository, Some(a), 2, &["apps/db/y=2"]);
    let c = commit(&mut repository, Some(b), 3, &["apps/web/x=3"]);
    let d = commit(&mut repository, Some(c), 4, &["apps/web/x"]);
    for (head, path, expected) in [
        (c, "apps/web", LastTouch::Commit(c)),
        (b, "apps/web", LastTouch::Commit(a)),
        (c, "apps/db/y", LastTouch::Commit(b)),
        (c, ".", LastTouch::Commit(c)),
        (c, "nothing", LastTouch::Never),
        (d, "apps/web", LastTouch::Commit(d)),
    ] {
        assert_eq!(repository.last_commit_touching(head, path).unwrap(), expected, "{path}");
    }
    assert_eq!(repository.log(d, "apps/web", 10).unwrap().entries.iter().map(|e| e.id).collect::<Vec<_>>(), [d, c, a]);
    assert_eq!(repository.log(d, "apps/web", 2).unwrap().entries.len(), 2);
    assert!(repository.log(d, "../x", 2).is_err());
}
