//! Plans commits and pushes them as a compare-and-swap.

use git_source::{
    Ancestry, CommitError, CommitPlan as GitPlan, GitId, MergeError, Message, Person, PushOutcome, Repository,
    Trailers, push,
};
use reconcile_core::bugs::{self, Bug};
use reconcile_core::{CommitPlan, Edits, PlannedCommit, PushResult, SourceFailure};

use crate::git::{Inner, Place, words};
use crate::shared::lock;

/// How far back an operation is looked for on the branch.
const OPERATION_DEPTH: usize = 500;
const OPERATION_TRAILER: &str = "Sluice-Operation";

/// A commit that was made here but not pushed, or why there is none.
pub(crate) enum Made {
    Commit(GitId),
    Nothing,
    Conflict(String),
}

impl Inner {
    pub(crate) fn plan_commit(&self, place: &Place, plan: &CommitPlan) -> Result<PlannedCommit, SourceFailure> {
        let (_, head) = self.branch_head(place, plan)?;
        let mut repository = lock(&place.repository).clone();
        if let Some(commit) = self.find_operation(&repository, head, &plan.operation)? {
            return Ok(PlannedCommit::AlreadyThere { commit: commit.to_string() });
        }
        match self.make(place, &mut repository, head, plan)? {
            Made::Nothing => Ok(PlannedCommit::AlreadyThere { commit: head.to_string() }),
            Made::Conflict(message) => Ok(PlannedCommit::Conflict { message }),
            Made::Commit(commit) => {
                let failed = |error: git_source::ObjectError| self.failure("CommitFailed", &words(&error), false);
                let before = repository.tree_id(head).map_err(failed)?;
                let after = repository.tree_id(commit).map_err(failed)?;
                let paths = repository.changed_paths(before, after).map_err(failed)?;
                Ok(PlannedCommit::Ready { base: head.to_string(), commit: commit.to_string(), paths })
            }
        }
    }

    pub(crate) fn push(
        &self,
        place: &Place,
        plan: &CommitPlan,
        base: &str,
        commit: &str,
    ) -> Result<PushResult, SourceFailure> {
        let (base, commit) = (self.parse_commit(base)?, self.parse_commit(commit)?);
        let (branch, head) = self.branch_head(place, plan)?;
        let mut repository = lock(&place.repository).clone();
        if self.is_on_branch(&repository, head, commit)? {
            return Ok(PushResult::Pushed { commit: commit.to_string() });
        }
        if let Some(done) = self.find_operation(&repository, head, &plan.operation)? {
            return Ok(PushResult::Pushed { commit: done.to_string() });
        }
        if head != base {
            if bugs::on(Bug::LostRaceIsSuccess) {
                return Ok(PushResult::Pushed { commit: commit.to_string() });
            }
            return Ok(PushResult::Raced { head: head.to_string() });
        }
        // The commit is a function of plan and base, so that a restarted operator makes the same one again.
        match self.make(place, &mut repository, base, plan)? {
            Made::Commit(made) if made == commit => {}
            Made::Commit(made) => {
                let message = format!("the commit came out as {made} instead of the planned {commit}");
                return Err(self.failure("CommitFailed", &message, false));
            }
            Made::Nothing => return Ok(PushResult::Pushed { commit: head.to_string() }),
            Made::Conflict(message) => return Err(self.failure("CommitFailed", &message, false)),
        }
        let pushed = push(&mut repository, place.remote.as_ref(), branch, Some(base), commit);
        match pushed.map_err(|error| self.push_failure(&error))? {
            PushOutcome::Done { .. } => Ok(PushResult::Pushed { commit: commit.to_string() }),
            PushOutcome::Race { .. } if bugs::on(Bug::LostRaceIsSuccess) => {
                Ok(PushResult::Pushed { commit: commit.to_string() })
            }
            PushOutcome::Race { now_at } => {
                Ok(PushResult::Raced { head: now_at.map(|head| head.to_string()).unwrap_or_default() })
            }
            PushOutcome::RefusedByServer { message } => Ok(PushResult::Refused { message: bounded(&message) }),
        }
    }

    /// The branch that a plan writes to, and where it is.
    fn branch_head<'p>(&self, place: &Place, plan: &'p CommitPlan) -> Result<(&'p str, GitId), SourceFailure> {
        let Some(branch) = plan.source.reference.branch() else {
            let message = format!("nothing can be committed to {}: it is no branch", plan.source.reference);
            return Err(self.failure("CommitFailed", &message, true));
        };
        Ok((branch, self.resolve(place, &plan.source.reference)?.commit))
    }

    /// Makes the planned commit on top of `base`, in a copy of the repository.
    fn make(
        &self,
        place: &Place,
        repository: &mut Repository,
        base: GitId,
        plan: &CommitPlan,
    ) -> Result<Made, SourceFailure> {
        let git_plan = self.git_plan(plan)?;
        match &plan.edits {
            Edits::Restore { bad, healthy, paths } => {
                let (bad, healthy) = (self.parse_commit(bad)?, self.parse_commit(healthy)?);
                for commit in [bad, healthy] {
                    let fetched = repository.fetch(place.remote.as_ref(), &commit.to_string(), place.depth);
                    fetched.map_err(|error| self.fetch_failure(&error))?;
                }
                self.restore(repository, base, bad, healthy, paths, &git_plan)
            }
            Edits::SetImages { path, images } => self.set_images(repository, base, path, images, &git_plan),
        }
    }

    /// Takes back what `bad` changed against `healthy` at the paths; everything else stays as `base` has it.
    fn restore(
        &self,
        repository: &mut Repository,
        base: GitId,
        bad: GitId,
        healthy: GitId,
        paths: &[String],
        plan: &GitPlan,
    ) -> Result<Made, SourceFailure> {
        let failed = |error: git_source::ObjectError| self.failure("CommitFailed", &words(&error), false);
        let wanted = repository.tree_id(bad).map_err(failed)?;
        let last_good = repository.tree_id(healthy).map_err(failed)?;
        let ours = repository.tree_id(base).map_err(failed)?;
        let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
        let tree = match repository.merge(wanted, ours, last_good, &paths) {
            Ok(tree) => tree,
            Err(MergeError::Conflicts(conflicts)) => return Ok(Made::Conflict(bounded(&conflicts.to_string()))),
            Err(error) => return Err(self.failure("CommitFailed", &words(&error), false)),
        };
        if tree == ours {
            return Ok(Made::Nothing);
        }
        self.made(repository.commit_tree(base, tree, plan))
    }

    pub(crate) fn made(&self, made: Result<GitId, CommitError>) -> Result<Made, SourceFailure> {
        match made {
            Ok(commit) => Ok(Made::Commit(commit)),
            Err(CommitError::NothingChanged) => Ok(Made::Nothing),
            Err(error) => Err(self.failure("CommitFailed", &words(&error), true)),
        }
    }

    fn git_plan(&self, plan: &CommitPlan) -> Result<GitPlan, SourceFailure> {
        let bad = |error: git_source::MessageError| self.failure("CommitFailed", &words(&error), true);
        let author = Person::new(&plan.author.name, &plan.author.email).map_err(bad)?;
        let committer = match &self.options.committer {
            Some(committer) => Person::new(&committer.name, &committer.email).map_err(bad)?,
            None => Person::new("Sluice", "sluice@sluice.dev").map_err(bad)?,
        };
        Ok(GitPlan { author, committer, time: plan.time, message: message_of(&plan.message).map_err(bad)? })
    }

    fn find_operation(
        &self,
        repository: &Repository,
        head: GitId,
        operation: &str,
    ) -> Result<Option<GitId>, SourceFailure> {
        if operation.is_empty() {
            return Ok(None);
        }
        let log = repository.log(head, "", OPERATION_DEPTH);
        let log = log.map_err(|error| self.failure("FetchFailed", &words(&error), false))?;
        let has = |entry: &&git_source::LogEntry| entry.trailers.get(OPERATION_TRAILER) == Some(operation);
        Ok(log.entries.iter().find(has).map(|entry| entry.id))
    }

    fn is_on_branch(&self, repository: &Repository, head: GitId, commit: GitId) -> Result<bool, SourceFailure> {
        let ancestry = repository.ancestry(head, commit);
        let ancestry = ancestry.map_err(|error| self.failure("FetchFailed", &words(&error), false))?;
        Ok(ancestry == Ancestry::Contains)
    }
}

/// Takes a whole message apart: first line, body, and the trailers of the last paragraph.
fn message_of(text: &str) -> Result<Message, git_source::MessageError> {
    let text = text.trim_end();
    let (subject, rest) = text.split_once('\n').unwrap_or((text, ""));
    let trailers = Trailers::parse(text);
    let rest = rest.trim_matches('\n');
    let body = match (trailers.is_empty(), rest.rsplit_once("\n\n")) {
        (true, _) => rest,
        (false, Some((body, _))) => body,
        (false, None) => "",
    };
    Ok(Message::new(subject)?.with_body(body)?.with_trailers(trailers))
}

pub(crate) fn bounded(text: &str) -> String {
    text.chars().take(1_000).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_keeps_subject_body_and_trailers() {
        for text in [
            "Restore qa\n",
            "Restore qa\n\nThe analysis failed.\n",
            "Restore qa\n\nSluice-Operation: abc\n",
            "Restore qa\n\nThe analysis failed.\n\nTwice.\n\nSluice-Operation: abc\nSluice-Env: qa\n",
        ] {
            assert_eq!(message_of(text).unwrap().to_text(), text);
        }
    }
}
