//! Brings references of a remote into a repository, as deep as asked, and keeps its memory bounded.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::history;
use crate::id::{CommitId, GitId};
use crate::object::{GitObject, ObjectError, ObjectKind, ObjectSource, commit_links, peel};
use crate::reach::select;
use crate::remote::{FetchRequest, RefList, RefUpdate, Remote, RemoteError, Retry, TransferLimits};
use crate::repository::{Backing, Repository};

/// Why a reference can't be brought here.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The remote gave no answer that counts.
    #[error(transparent)]
    Remote(#[from] RemoteError),
    /// The remote has no such branch, tag or commit.
    #[error("{remote} has no branch, tag or commit `{reference}`")]
    ReferenceNotFound {
        /// The remote.
        remote: String,
        /// The reference asked for.
        reference: String,
    },
    /// The remote did not send what was asked for.
    #[error("{remote} sent a pack that does not hold commit {commit}")]
    Incomplete {
        /// The remote.
        remote: String,
        /// The commit that is missing.
        commit: CommitId,
    },
    /// The repository would outgrow its memory.
    #[error("the repository needs {bytes} bytes of memory, more than the limit of {limit}")]
    TooLarge {
        /// What it needs.
        bytes: u64,
        /// What it may have.
        limit: u64,
    },
    /// An object could not be read or stored.
    #[error("failed to store what was fetched")]
    Object(#[from] ObjectError),
}

impl FetchError {
    /// A short name for metrics and Events.
    pub fn category(&self) -> &'static str {
        match self {
            Self::Remote(error) => error.category(),
            Self::ReferenceNotFound { .. } => "ReferenceNotFound",
            Self::Incomplete { .. } => "Protocol",
            Self::TooLarge { .. } => "TooLarge",
            Self::Object(_) => "Object",
        }
    }

    /// Whether another try may help.
    pub fn retry(&self) -> Retry {
        match self {
            Self::Remote(error) => error.retry(),
            Self::TooLarge { .. } => Retry::Never,
            _ => Retry::After(Duration::from_secs(60)),
        }
    }
}

/// What a fetch brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// The full name of the reference, or the commit id when one was asked for.
    pub reference: String,
    /// The commit it stands for.
    pub commit: CommitId,
    /// Where the reference was after the last fetch. When the new commit does not contain it, history was rewritten.
    pub previous: Option<CommitId>,
    /// How many objects came; zero when the commit was here already.
    pub objects: usize,
}

impl Repository {
    /// Brings a reference of a remote here: a branch, a tag, a full name, `HEAD`, or a full commit id. A reference is
    /// kept under the same name. `depth` limits the history; nothing is asked for when it is here already.
    ///
    /// # Errors
    /// When the remote does not answer, has no such reference, or sends too much.
    pub fn fetch(&mut self, remote: &dyn Remote, reference: &str, depth: Option<u32>) -> Result<Fetched, FetchError> {
        if let Ok(commit) = GitId::parse(reference) {
            let objects = self.fetch_commit(remote, commit, depth)?;
            return Ok(Fetched { reference: reference.to_owned(), commit, previous: None, objects });
        }
        let refs = remote.list_refs()?;
        self.fetch_listed(remote, &refs, reference, depth)
    }

    /// As [`Repository::fetch`], with references that were listed a moment ago.
    ///
    /// # Errors
    /// As [`Repository::fetch`].
    pub fn fetch_listed(
        &mut self,
        remote: &dyn Remote,
        refs: &RefList,
        reference: &str,
        depth: Option<u32>,
    ) -> Result<Fetched, FetchError> {
        let not_found = || FetchError::ReferenceNotFound { remote: remote.describe(), reference: reference.to_owned() };
        let (name, id) = refs.resolve(reference).ok_or_else(not_found)?;
        let objects = self.fetch_commit(remote, id, depth)?;
        let commit = peel(self, &id)?.expect(ObjectKind::Commit)?.id();
        let known = self.refs()?;
        let previous = known.resolve(&name).map(|(_, id)| id);
        let old = known.refs.get(&name).copied();
        if old != Some(id) {
            let update = RefUpdate { name: name.clone(), old, new: Some(id) };
            self.update_refs(&[update]).map_err(ObjectError::storage)?;
        }
        self.forget_unreachable()?;
        Ok(Fetched { reference: name, commit, previous, objects })
    }

    /// Brings a commit that stands at `name` without keeping the reference.
    pub(crate) fn fetch_aside(
        &mut self,
        remote: &dyn Remote,
        name: &str,
        id: GitId,
        depth: u32,
    ) -> Result<(), FetchError> {
        let depth = if self.shallow.is_empty() { None } else { Some(depth) };
        self.fetch_commit(remote, id, depth)?;
        if self.find(&id)?.is_none() {
            return Err(FetchError::ReferenceNotFound { remote: remote.describe(), reference: name.to_owned() });
        }
        Ok(())
    }

    fn fetch_commit(&mut self, remote: &dyn Remote, id: GitId, depth: Option<u32>) -> Result<usize, FetchError> {
        if self.is_deep_enough(id, depth)? {
            return Ok(0);
        }
        let tips: BTreeSet<GitId> = self.refs()?.refs.into_values().collect();
        let mut haves = Vec::new();
        for tip in tips {
            if self.find(&tip)?.is_some() {
                haves.push(peel(self, &tip)?.id());
            }
        }
        // Without a depth all of the history is wanted, so a shallow boundary must be lifted.
        let deepen = depth.or((!self.shallow.is_empty()).then_some(i32::MAX.unsigned_abs()));
        let shallow = self.shallow.iter().copied().collect();
        let request = FetchRequest { wants: vec![id], haves, shallow, depth: deepen, limits: self.limits };
        let reply = remote.fetch(&request)?;
        let brought = reply.objects.len();
        self.insert_all(reply.objects)?;
        self.change_shallow(&reply.shallow, &reply.unshallow)?;
        if self.find(&id)?.is_none() {
            return Err(FetchError::Incomplete { remote: remote.describe(), commit: id });
        }
        Ok(brought)
    }

    fn change_shallow(&mut self, add: &[CommitId], remove: &[CommitId]) -> Result<(), ObjectError> {
        let mut shallow = self.shallow.as_ref().clone();
        shallow.extend(add);
        remove.iter().for_each(|id| {
            shallow.remove(id);
        });
        if shallow == *self.shallow {
            return Ok(());
        }
        if let Backing::Disk(disk) = &self.backing {
            disk.set_shallow(&shallow)?;
        }
        self.shallow = Arc::new(shallow);
        Ok(())
    }

    /// Whether `depth` generations from `id` are here.
    fn is_deep_enough(&self, id: GitId, depth: Option<u32>) -> Result<bool, ObjectError> {
        if self.find(&id)?.is_none() {
            return Ok(false);
        }
        if self.shallow.is_empty() {
            return Ok(true);
        }
        let mut generation: BTreeSet<CommitId> = [peel(self, &id)?.id()].into();
        let mut met = BTreeSet::new();
        for _ in 1..depth.unwrap_or(u32::MAX) {
            let mut next = BTreeSet::new();
            for commit in generation {
                if self.is_shallow(&commit) {
                    return Ok(false);
                }
                if met.insert(commit) {
                    next.extend(commit_links(self, &commit)?.parents);
                }
            }
            if next.is_empty() || met.len() > history::COMMITS_MAX {
                return Ok(true);
            }
            generation = next;
        }
        Ok(true)
    }

    /// Drops objects that no reference leads to, once the memory limit is passed.
    fn forget_unreachable(&mut self) -> Result<(), FetchError> {
        let Backing::Memory { store, refs, .. } = &self.backing else { return Ok(()) };
        if store.bytes() <= self.memory_bytes_max {
            return Ok(());
        }
        let limits = TransferLimits { objects_max: usize::MAX, total_bytes_max: u64::MAX, ..self.limits };
        let request = FetchRequest { wants: refs.values().copied().collect(), limits, ..FetchRequest::default() };
        let keep: BTreeSet<GitId> = select(self, &request)?.objects.iter().map(GitObject::id).collect();
        let Backing::Memory { store, .. } = &mut self.backing else { return Ok(()) };
        store.retain(|id| keep.contains(id));
        let bytes = store.bytes();
        let shallow: BTreeSet<_> = self.shallow.iter().filter(|id| keep.contains(id)).copied().collect();
        self.shallow = Arc::new(shallow);
        if bytes > self.memory_bytes_max {
            return Err(FetchError::TooLarge { bytes, limit: self.memory_bytes_max });
        }
        Ok(())
    }
}
