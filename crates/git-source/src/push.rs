//! Moves a branch of a remote as a compare-and-swap, and finds out what became of it when the answer is a refusal or lost.

use crate::history::Ancestry;
use crate::id::CommitId;
use crate::object::ObjectError;
use crate::reach::select;
use crate::remote::{FetchRequest, RefUpdate, Remote, RemoteError, Retry};
use crate::repository::Repository;

/// What became of a push.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PushOutcome {
    /// The branch holds the commit.
    Done {
        /// Where the branch is: the pushed commit, or one that someone put on top of it meanwhile.
        now_at: CommitId,
    },
    /// Someone else moved the branch first: read it again and plan anew.
    Race {
        /// Where the branch is now; `None` when it is gone.
        now_at: Option<CommitId>,
    },
    /// The branch did not move, yet the server refused: a rule of the server, such as a protected branch.
    RefusedByServer {
        /// The server's words, made printable.
        message: String,
    },
}

/// Why nothing is known to have been pushed.
#[derive(Debug, thiserror::Error)]
pub enum PushError {
    /// The new commit does not contain the old one: the push would lose commits.
    #[error("commit {new} does not contain {old}, so a push would lose commits of `{branch}`")]
    NotADescendant {
        /// The branch.
        branch: String,
        /// Where the branch was.
        old: CommitId,
        /// The commit to push.
        new: CommitId,
    },
    /// The branch name is malformed.
    #[error("branch name `{branch}` is refused: {why}")]
    BranchName {
        /// The name as given, made printable.
        branch: String,
        /// What is wrong with it.
        why: String,
    },
    /// The remote gave no answer that counts.
    #[error(transparent)]
    Remote(#[from] RemoteError),
    /// The commit or what it needs can't be read.
    #[error("failed to read what is to be pushed")]
    Object(#[from] ObjectError),
}

impl PushError {
    /// A short name for metrics and Events.
    pub fn category(&self) -> &'static str {
        match self {
            Self::NotADescendant { .. } => "NotADescendant",
            Self::BranchName { .. } => "BranchName",
            Self::Remote(error) => error.category(),
            Self::Object(_) => "Object",
        }
    }

    /// Whether another try may help. A push is safe to repeat: the same commit is found again, never doubled.
    pub fn retry(&self) -> Retry {
        match self {
            Self::Remote(error) => error.retry(),
            Self::NotADescendant { .. } | Self::BranchName { .. } | Self::Object(_) => Retry::Never,
        }
    }
}

/// Moves `branch` of `remote` from `old` (`None`: it must not exist) to `new`, which must be in `repository`.
///
/// # Errors
/// When the push would lose commits, or the remote gave no answer and can't be asked.
pub fn push(
    repository: &mut Repository,
    remote: &dyn Remote,
    branch: &str,
    old: Option<CommitId>,
    new: CommitId,
) -> Result<PushOutcome, PushError> {
    let name = branch_reference(branch)?;
    if let Some(old) = old
        && repository.ancestry(new, old)? != Ancestry::Contains
    {
        return Err(PushError::NotADescendant { branch: branch.to_owned(), old, new });
    }
    let request = FetchRequest { wants: vec![new], haves: old.into_iter().collect(), ..FetchRequest::default() };
    let objects = select(repository, &request)?.objects;
    let update = RefUpdate { name: name.clone(), old, new: Some(new) };
    match remote.push(&[update], &objects) {
        Ok(replies) => match replies.into_iter().find(|reply| reply.name == name).map(|reply| reply.refused) {
            Some(None) => Ok(PushOutcome::Done { now_at: new }),
            Some(Some(message)) => settle(repository, remote, &name, old, new, message),
            None => settle(repository, remote, &name, old, new, "the server did not answer for the branch".to_owned()),
        },
        Err(RemoteError::Refused { message, .. }) => settle(repository, remote, &name, old, new, message),
        Err(error @ (RemoteError::LostReply { .. } | RemoteError::TimedOut { .. } | RemoteError::Protocol { .. })) => {
            match settle(repository, remote, &name, old, new, String::new()) {
                Ok(PushOutcome::RefusedByServer { .. }) | Err(_) => Err(error.into()),
                known => known,
            }
        }
        Err(error) => Err(error.into()),
    }
}

/// Turns a branch name into the full name of its reference.
pub(crate) fn branch_reference(branch: &str) -> Result<String, PushError> {
    let name = if branch.starts_with("refs/") { branch.to_owned() } else { format!("refs/heads/{branch}") };
    match gix_ref::FullName::try_from(name.as_str()) {
        Ok(_) if !branch.starts_with('-') => Ok(name),
        Ok(_) => Err(PushError::BranchName { branch: branch.to_owned(), why: "it begins with a dash".to_owned() }),
        Err(error) => Err(PushError::BranchName { branch: branch.escape_debug().to_string(), why: error.to_string() }),
    }
}

/// Tells a race from a rule by where the branch is now, never by the words of the server.
fn settle(
    repository: &mut Repository,
    remote: &dyn Remote,
    name: &str,
    old: Option<CommitId>,
    new: CommitId,
    message: String,
) -> Result<PushOutcome, PushError> {
    let refs = remote.list_refs()?;
    let now_at = refs.refs.get(name).copied();
    if now_at == old {
        return Ok(PushOutcome::RefusedByServer { message });
    }
    match now_at {
        Some(now_at) if now_at == new => Ok(PushOutcome::Done { now_at }),
        Some(now_at) if holds(repository, remote, name, now_at, new) => Ok(PushOutcome::Done { now_at }),
        now_at => Ok(PushOutcome::Race { now_at }),
    }
}

/// Whether someone built on the pushed commit before its answer was read. Not knowing counts as no: planning anew finds
/// the commit by its operation.
fn holds(repository: &mut Repository, remote: &dyn Remote, name: &str, now_at: CommitId, new: CommitId) -> bool {
    const DEPTH: u32 = 50;
    let mut copy = repository.clone();
    let fetched = copy.fetch_aside(remote, name, now_at, DEPTH);
    fetched.is_ok() && copy.ancestry(now_at, new).is_ok_and(|ancestry| ancestry == Ancestry::Contains)
}
