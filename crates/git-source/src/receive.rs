//! What a repository does with a push: its rules, the proof that the pack is whole, and the move of the references.

use std::fmt;
use std::sync::Arc;

use crate::history::{Ancestry, LogEntry, ancestry, changed_files, id_at, read_commit};
use crate::id::{CommitId, GitId, TreeId};
use crate::object::{GitObject, ObjectError, ObjectKind, ObjectSource, commit_links, peel};
use crate::path::RepositoryPath;
use crate::reach::select;
use crate::remote::{FetchRequest, RefReply, RefUpdate, TransferLimits};
use crate::repository::Repository;
use crate::store::MemoryStore;

/// One reference that a push wants to move, as a rule sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProposedUpdate {
    /// The full name of the reference.
    pub name: String,
    /// Where it is.
    pub old: Option<GitId>,
    /// Where it shall be; `None` when it shall go.
    pub new: Option<GitId>,
    /// The new commits, newest first, at most 1,000.
    pub commits: Vec<LogEntry>,
    /// The paths of all files that differ between old and new, sorted; `None` when there are more than 10,000.
    pub changed_paths: Option<Vec<String>>,
    /// The trees of old and new.
    trees: (Option<TreeId>, Option<TreeId>),
}

/// A question that a hook answers; an error holds the words for the one who pushed.
pub type Hook = Arc<dyn Fn(&ProposedUpdate) -> Result<(), String> + Send + Sync>;

/// What a server asks of a push.
#[derive(Clone)]
pub enum Rule {
    /// A branch only moves forward and is never deleted.
    FastForwardOnly,
    /// No push may change anything under this path.
    ProtectPath {
        /// The file or directory.
        path: String,
    },
    /// A branch takes no pushes at all.
    ProtectBranch {
        /// The short name of the branch.
        branch: String,
    },
    /// A closure decides. It is asked while the repository is locked, so it must not call the remote that it guards.
    Hook(Hook),
}

impl Rule {
    /// Wraps a closure.
    pub fn hook(hook: impl Fn(&ProposedUpdate) -> Result<(), String> + Send + Sync + 'static) -> Self {
        Self::Hook(Arc::new(hook))
    }
}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FastForwardOnly => f.write_str("FastForwardOnly"),
            Self::ProtectPath { path } => write!(f, "ProtectPath({path})"),
            Self::ProtectBranch { branch } => write!(f, "ProtectBranch({branch})"),
            Self::Hook(_) => f.write_str("Hook"),
        }
    }
}

/// The repository together with the objects of a push that is not accepted yet.
struct Quarantine<'a> {
    repository: &'a Repository,
    incoming: MemoryStore,
}

impl ObjectSource for Quarantine<'_> {
    fn find(&self, id: &GitId) -> Result<Option<GitObject>, ObjectError> {
        match self.incoming.find(id) {
            Some(object) => Ok(Some(object.clone())),
            None => self.repository.find(id),
        }
    }

    fn is_shallow(&self, commit: &CommitId) -> bool {
        self.repository.is_shallow(commit)
    }
}

/// Takes a push: every reference moves, or none and nothing is stored.
pub(crate) fn receive(
    repository: &mut Repository,
    rules: &[Rule],
    updates: &[RefUpdate],
    objects: &[GitObject],
) -> Result<Vec<RefReply>, ObjectError> {
    let refs = repository.refs()?.refs;
    let mut incoming = MemoryStore::default();
    objects.iter().for_each(|object| incoming.insert(object.clone()));
    let verdicts = {
        let quarantine = Quarantine { repository, incoming };
        let have: Vec<GitId> = refs.values().copied().collect();
        let verdict = |update: &RefUpdate| {
            if refs.get(&update.name).copied() != update.old {
                return Ok(Some("failed to update ref".to_owned()));
            }
            verdict(&quarantine, rules, update, &have)
        };
        updates.iter().map(verdict).collect::<Result<Vec<_>, ObjectError>>()?
    };
    if verdicts.iter().all(Option::is_none) {
        repository.insert_all(objects.to_vec())?;
        if let Err(why) = repository.update_refs(updates) {
            return Ok(replies(updates, vec![Some(why); updates.len()]));
        }
        return Ok(replies(updates, verdicts));
    }
    let failed = |verdict: Option<String>| Some(verdict.unwrap_or_else(|| "atomic transaction failed".to_owned()));
    Ok(replies(updates, verdicts.into_iter().map(failed).collect()))
}

fn replies(updates: &[RefUpdate], verdicts: Vec<Option<String>>) -> Vec<RefReply> {
    let reply = |(update, refused): (&RefUpdate, _)| RefReply { name: update.name.clone(), refused };
    updates.iter().zip(verdicts).map(reply).collect()
}

fn verdict(
    source: &Quarantine<'_>,
    rules: &[Rule],
    update: &RefUpdate,
    have: &[GitId],
) -> Result<Option<String>, ObjectError> {
    if let Err(error) = gix_ref::FullName::try_from(update.name.as_str()) {
        return Ok(Some(format!("funny refname: {error}")));
    }
    if source.repository.has_checkout() && source.repository.refs()?.head.as_ref() == Some(&update.name) {
        return Ok(Some("branch is currently checked out".to_owned()));
    }
    let proposed = match propose(source, update, have) {
        Ok(proposed) => proposed,
        Err(error @ (ObjectError::Missing { .. } | ObjectError::Malformed { .. } | ObjectError::Kind { .. })) => {
            return Ok(Some(format!("missing necessary objects: {error}")));
        }
        Err(error) => return Err(error),
    };
    for rule in rules {
        if let Err(words) = ask(source, rule, &proposed)? {
            return Ok(Some(words));
        }
    }
    Ok(None)
}

/// Walks all that is new, which proves that nothing is missing.
fn propose(source: &Quarantine<'_>, update: &RefUpdate, have: &[GitId]) -> Result<ProposedUpdate, ObjectError> {
    const COMMITS_SHOWN_MAX: usize = 1_000;
    let mut proposed = ProposedUpdate {
        name: update.name.clone(),
        old: update.old,
        new: update.new,
        commits: Vec::new(),
        changed_paths: None,
        trees: (None, None),
    };
    let Some(new) = update.new else { return Ok(proposed) };
    let tip = peel(source, &new)?;
    if update.name.starts_with("refs/heads/") && tip.id() != new {
        return Err(tip.malformed("a branch must point to a commit"));
    }
    let limits = TransferLimits::default();
    let request = FetchRequest { wants: vec![new], haves: have.to_vec(), limits, ..FetchRequest::default() };
    for object in select(source, &request)?.objects {
        if object.kind() == ObjectKind::Commit && proposed.commits.len() < COMMITS_SHOWN_MAX {
            proposed.commits.push(read_commit(&object)?);
        }
    }
    let tip = tip.expect(ObjectKind::Commit)?;
    let before = match update.old {
        Some(old) => Some(commit_links(source, &peel(source, &old)?.id())?.tree),
        None => None,
    };
    let after = commit_links(source, &tip.id())?.tree;
    proposed.trees = (before, Some(after));
    proposed.changed_paths = match changed_files(source, before, Some(after)) {
        Ok(changes) => Some(changes.into_keys().collect()),
        Err(ObjectError::TooMany { .. }) => None,
        Err(error) => return Err(error),
    };
    Ok(proposed)
}

fn ask(source: &Quarantine<'_>, rule: &Rule, proposed: &ProposedUpdate) -> Result<Result<(), String>, ObjectError> {
    match rule {
        Rule::FastForwardOnly if !proposed.name.starts_with("refs/heads/") => Ok(Ok(())),
        Rule::FastForwardOnly => match (proposed.old, proposed.new) {
            (Some(_), None) => Ok(Err("deletion prohibited".to_owned())),
            (Some(old), Some(new)) if ancestry(source, new, old)? != Ancestry::Contains => {
                Ok(Err("non-fast-forward".to_owned()))
            }
            _ => Ok(Ok(())),
        },
        Rule::ProtectBranch { branch } if proposed.name == format!("refs/heads/{branch}") => {
            Ok(Err(format!("branch {branch} is protected")))
        }
        Rule::ProtectBranch { .. } => Ok(Ok(())),
        Rule::ProtectPath { path } => {
            let parent = match RepositoryPath::parse(path) {
                Ok(parent) => parent,
                Err(error) => return Ok(Err(error.to_string())),
            };
            let at = |tree: Option<TreeId>| match tree {
                Some(tree) => id_at(source, &tree, &parent),
                None => Ok(None),
            };
            let (before, after) = proposed.trees;
            let is_touched = proposed.new.is_some() && at(before)? != at(after)?;
            Ok(if is_touched { Err(format!("path {parent} is protected")) } else { Ok(()) })
        }
        Rule::Hook(hook) => Ok(hook(proposed)),
    }
}
