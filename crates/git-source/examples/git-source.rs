//! Takes a bad commit back in a repository that lives in memory: fetch, merge, commit, push.

use std::error::Error;

use git_source::{CommitPlan, Edit, MemoryRemote, Message, Person, PushOutcome, Repository, Trailers, push};
use object_model::Timestamp;

fn main() -> Result<(), Box<dyn Error>> {
    use std::io::Write as _;
    std::io::stdout().write_all(run()?.as_bytes())?;
    Ok(())
}

/// Runs the example and returns what it prints.
pub fn run() -> Result<String, Box<dyn Error>> {
    let plan = |who: &str, second: i64, message: Message| -> Result<CommitPlan, Box<dyn Error>> {
        let author = Person::new(who, "people@example.com")?;
        let committer = Person::new("Sluice", "sluice@example.com")?;
        Ok(CommitPlan { author, committer, time: Timestamp::from_second(second)?, message })
    };
    let fleet = MemoryRemote::new("fleet.git");
    let healthy = fleet.commit(
        "main",
        &[Edit::put("web/image", "v2\n"), Edit::put("docs/notes", "old\n")],
        &plan("Ada", 1_700_000_000, Message::new("Ship v2")?)?,
    )?;
    let bad = fleet.commit(
        "main",
        &[Edit::put("web/image", "v3\n"), Edit::put("docs/notes", "new\n")],
        &plan("Bob", 1_700_000_060, Message::new("Ship v3 and fix the notes")?)?,
    )?;

    let mut repository = Repository::in_memory();
    let head = repository.fetch(&fleet, "main", None)?.commit;
    let [base, theirs, ours] = [repository.tree_id(bad)?, repository.tree_id(healthy)?, repository.tree_id(head)?];
    let restored = repository.merge(base, ours, theirs, &["web"])?;
    let trailers = Trailers::new().with("Sluice-Action", "rollback")?.with("Sluice-Reverts", &bad.to_string())?;
    let message = Message::new("Restore web: the analysis failed")?.with_trailers(trailers);
    let commit = repository.commit_tree(head, restored, &plan("Sluice", 1_700_000_120, message)?)?;
    let outcome = push(&mut repository, &fleet, "main", Some(head), commit)?;

    let mut text = String::new();
    text.push_str(match outcome {
        PushOutcome::Done { .. } => "pushed\n",
        PushOutcome::Race { .. } | PushOutcome::RefusedByServer { .. } => "not pushed\n",
    });
    for entry in fleet.repository().log(commit, ".", 10)?.entries {
        let paths = entry.changed_paths.clone().unwrap_or_default().join(", ");
        text.push_str(&format!("{} {}: {} ({paths})\n", entry.id.short(), entry.author.name, entry.subject()));
    }
    let tree = fleet.repository().tree_at(commit)?;
    for path in ["web/image", "docs/notes"] {
        text.push_str(&format!("{path} = {}", String::from_utf8_lossy(&tree.read(path)?)));
    }
    Ok(text)
}
