//! A repository of one's own, in memory or in a directory: objects and references to read, fetch into and commit to.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use crate::commit::{CommitError, CommitPlan, commit_object};
use crate::disk::{DiskStore, OpenError};
use crate::edit::{Edit, EditError, changes_of, edit_tree};
use crate::history::{self, Ancestry, LastTouch, Log, LogEntry};
use crate::id::{CommitId, GitId, TreeId};
use crate::merge::{MergeError, merge_paths};
use crate::object::{GitObject, ObjectError, ObjectKind, ObjectSource, commit_links, peel, tag_target};
use crate::path::{PathError, RepositoryPath};
use crate::remote::{RefList, RefUpdate, TransferLimits};
use crate::store::MemoryStore;
use crate::tree::Tree;

/// A repository. In memory, a clone is an independent world that shares the bytes; on disk, a clone is a second handle
/// to the same directory.
#[derive(Debug, Clone)]
pub struct Repository {
    pub(crate) backing: Backing,
    pub(crate) shallow: Arc<BTreeSet<CommitId>>,
    pub(crate) limits: TransferLimits,
    pub(crate) memory_bytes_max: u64,
}

#[derive(Debug, Clone)]
pub(crate) enum Backing {
    Memory { store: MemoryStore, refs: Arc<BTreeMap<String, GitId>>, head: String },
    Disk(Arc<DiskStore>),
}

/// How much an in-memory repository may hold, in bytes.
const MEMORY_BYTES_MAX: u64 = 1 << 30;

impl Default for Repository {
    fn default() -> Self {
        Self::in_memory()
    }
}

impl ObjectSource for Repository {
    fn find(&self, id: &GitId) -> Result<Option<GitObject>, ObjectError> {
        match &self.backing {
            Backing::Memory { store, .. } => Ok(store.find(id).cloned()),
            Backing::Disk(disk) => disk.find(id),
        }
    }

    fn is_shallow(&self, commit: &CommitId) -> bool {
        self.shallow.contains(commit)
    }
}

impl Repository {
    /// Makes an empty repository in memory whose `HEAD` is branch `main`.
    pub fn in_memory() -> Self {
        let head = "refs/heads/main".to_owned();
        let backing = Backing::Memory { store: MemoryStore::default(), refs: Arc::default(), head };
        Self::over(backing, BTreeSet::new())
    }

    /// Opens a repository on disk: a bare one, or the one of a checkout, whose files are left alone.
    ///
    /// # Errors
    /// When none is there or its format is not supported.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let disk = DiskStore::open(path)?;
        let shallow = disk.shallow();
        Ok(Self::over(Backing::Disk(Arc::new(disk)), shallow))
    }

    /// Makes an empty bare repository in a directory that does not exist yet or is empty.
    ///
    /// # Errors
    /// When the directory has something in it or can't be written.
    pub fn init_bare(path: &Path, branch: &str) -> Result<Self, OpenError> {
        let disk = DiskStore::init_bare(path, branch)?;
        Ok(Self::over(Backing::Disk(Arc::new(disk)), BTreeSet::new()))
    }

    fn over(backing: Backing, shallow: BTreeSet<CommitId>) -> Self {
        let limits = TransferLimits::default();
        Self { backing, shallow: Arc::new(shallow), limits, memory_bytes_max: MEMORY_BYTES_MAX }
    }

    /// Returns the repository with other limits on what one fetch may bring and on the memory it may hold.
    #[must_use]
    pub fn with_limits(mut self, limits: TransferLimits, memory_bytes_max: u64) -> Self {
        self.limits = limits;
        self.memory_bytes_max = memory_bytes_max;
        self
    }

    /// Where the repository is on disk; `None` in memory.
    pub fn git_dir(&self) -> Option<&Path> {
        match &self.backing {
            Backing::Memory { .. } => None,
            Backing::Disk(disk) => Some(disk.git_dir()),
        }
    }

    /// Whether files are checked out beside the repository.
    pub(crate) fn has_checkout(&self) -> bool {
        matches!(&self.backing, Backing::Disk(disk) if !disk.is_bare())
    }

    /// How many objects and bytes are held in memory; zeros on disk.
    pub fn memory(&self) -> (usize, u64) {
        match &self.backing {
            Backing::Memory { store, .. } => (store.len(), store.bytes()),
            Backing::Disk(_) => (0, 0),
        }
    }

    /// Lists the references.
    ///
    /// # Errors
    /// When they can't be read from disk.
    pub fn refs(&self) -> Result<RefList, ObjectError> {
        let (refs, head) = match &self.backing {
            Backing::Memory { refs, head, .. } => (refs.as_ref().clone(), Some(head.clone())),
            Backing::Disk(disk) => (disk.list_refs()?, disk.head()),
        };
        let mut peeled = BTreeMap::new();
        for (name, id) in refs.iter().filter(|(name, _)| name.starts_with("refs/tags/")) {
            if self.find(id)?.is_some_and(|object| object.kind() == ObjectKind::Tag) {
                peeled.insert(name.clone(), peel(self, id)?.id());
            }
        }
        Ok(RefList { head, refs, peeled })
    }

    /// Moves references: all of them or none, each only from its old value.
    ///
    /// # Errors
    /// With words when a reference has another value, its name is malformed, or it is locked.
    pub fn update_refs(&mut self, updates: &[RefUpdate]) -> Result<(), String> {
        for update in updates {
            gix_ref::FullName::try_from(update.name.as_str()).map_err(|error| error.to_string())?;
        }
        match &mut self.backing {
            Backing::Disk(disk) => disk.update_refs(updates),
            Backing::Memory { refs, .. } => {
                let moved = updates.iter().find(|update| refs.get(&update.name) != update.old.as_ref());
                if let Some(update) = moved {
                    return Err(format!("reference {} is not at the expected commit", update.name));
                }
                if let Some(update) =
                    updates.iter().find(|update| update.new.is_some() && stands_in_the_way(refs, update))
                {
                    return Err(format!("reference {} can't be beside one that it is a folder of", update.name));
                }
                let refs = Arc::make_mut(refs);
                for update in updates {
                    match update.new {
                        Some(new) => refs.insert(update.name.clone(), new),
                        None => refs.remove(&update.name),
                    };
                }
                Ok(())
            }
        }
    }

    /// Points a branch at a commit, whatever it pointed to.
    ///
    /// # Errors
    /// When the name is malformed or the reference can't be written.
    pub fn set_branch(&mut self, branch: &str, commit: CommitId) -> Result<(), String> {
        let name = format!("refs/heads/{branch}");
        let old = self.refs().map_err(|error| error.to_string())?.refs.get(&name).copied();
        self.update_refs(&[RefUpdate { name, old, new: Some(commit) }])
    }

    /// Stores an object as it is, without looking at what it refers to.
    ///
    /// # Errors
    /// When it can't be written to disk.
    pub fn insert(&mut self, object: GitObject) -> Result<(), ObjectError> {
        match &mut self.backing {
            Backing::Memory { store, .. } => {
                store.insert(object);
                Ok(())
            }
            Backing::Disk(disk) => disk.insert(&object),
        }
    }

    pub(crate) fn insert_all(&mut self, objects: Vec<GitObject>) -> Result<(), ObjectError> {
        match &mut self.backing {
            Backing::Memory { store, .. } => {
                objects.into_iter().for_each(|object| store.insert(object));
                Ok(())
            }
            Backing::Disk(disk) => disk.insert_all(&objects),
        }
    }

    /// Finds the commit of a branch, a tag, a full reference name, `HEAD` or a full commit id that is here.
    ///
    /// # Errors
    /// When an object can't be read.
    pub fn resolve(&self, reference: &str) -> Result<Option<CommitId>, ObjectError> {
        let id = match GitId::parse(reference) {
            Ok(id) => Some(id),
            Err(_) => self.refs()?.resolve(reference).map(|(_, id)| id),
        };
        match id {
            Some(id) if self.find(&id)?.is_some() => Ok(Some(peel(self, &id)?.expect(ObjectKind::Commit)?.id())),
            _ => Ok(None),
        }
    }

    /// Opens the files of a commit.
    ///
    /// # Errors
    /// When the commit is not here.
    pub fn tree_at(&self, commit: CommitId) -> Result<Tree, ObjectError> {
        let id = self.tree_id(commit)?;
        Ok(Tree::new(self.clone(), id))
    }

    /// Opens a tree by its id.
    pub fn tree(&self, id: TreeId) -> Tree {
        Tree::new(self.clone(), id)
    }

    /// Returns the id of a commit's tree.
    ///
    /// # Errors
    /// When the commit is not here.
    pub fn tree_id(&self, commit: CommitId) -> Result<TreeId, ObjectError> {
        Ok(commit_links(self, &commit)?.tree)
    }

    /// Reads one commit.
    ///
    /// # Errors
    /// When it is not here.
    pub fn read_commit(&self, commit: CommitId) -> Result<LogEntry, ObjectError> {
        history::read_commit(&self.object(&commit)?.expect(ObjectKind::Commit)?)
    }

    /// Returns the newest commits reachable from `head` that touched `path` (`.` for all), at most `limit`.
    ///
    /// # Errors
    /// When the path is unsafe or a commit can't be read.
    pub fn log(&self, head: CommitId, path: &str, limit: usize) -> Result<Log, HistoryError> {
        Ok(history::log(self, head, &RepositoryPath::parse(path)?, limit)?)
    }

    /// Returns the newest commit reachable from `head` that touched `path`.
    ///
    /// # Errors
    /// When the path is unsafe or a commit can't be read.
    pub fn last_commit_touching(&self, head: CommitId, path: &str) -> Result<LastTouch, HistoryError> {
        Ok(history::last_touch(self, head, &RepositoryPath::parse(path)?)?)
    }

    /// Says whether `head` contains `commit`.
    ///
    /// # Errors
    /// When a commit can't be read.
    pub fn ancestry(&self, head: CommitId, commit: CommitId) -> Result<Ancestry, ObjectError> {
        history::ancestry(self, head, commit)
    }

    /// Returns the paths of files that differ between two trees, sorted.
    ///
    /// # Errors
    /// When a tree can't be read or more than 10,000 files differ.
    pub fn changed_paths(&self, before: TreeId, after: TreeId) -> Result<Vec<String>, ObjectError> {
        Ok(history::changed_files(self, Some(before), Some(after))?.into_keys().collect())
    }

    /// Writes a commit of `edits` on top of `parent` (`None` for a first one). Moves no reference. The same arguments
    /// give the same id, here and in any other repository.
    ///
    /// # Errors
    /// When an edit is refused, nothing would change, or the plan has a text that is refused.
    pub fn commit(
        &mut self,
        parent: Option<CommitId>,
        edits: &[Edit],
        plan: &CommitPlan,
    ) -> Result<CommitId, CommitError> {
        let before = parent.map(|parent| self.tree_id(parent)).transpose().map_err(EditError::from)?;
        let edited = edit_tree(self, before, changes_of(edits)?)?;
        if before == Some(edited.tree) {
            return Err(CommitError::NothingChanged);
        }
        let commit = commit_object(edited.tree, parent.as_slice(), plan)?;
        let id = commit.id();
        self.insert_all(edited.objects.into_iter().chain([commit]).collect())?;
        Ok(id)
    }

    /// Commits to a branch of this repository and moves it; makes the branch when it is missing.
    ///
    /// # Errors
    /// As [`Repository::commit`], and when the branch moved meanwhile or can't be written.
    pub fn commit_to_branch(
        &mut self,
        branch: &str,
        edits: &[Edit],
        plan: &CommitPlan,
    ) -> Result<CommitId, CommitError> {
        let name = format!("refs/heads/{branch}");
        let parent = self.resolve(&name)?;
        let commit = self.commit(parent, edits, plan)?;
        let update = RefUpdate { name, old: parent, new: Some(commit) };
        self.update_refs(&[update]).map_err(|why| CommitError::Reference { name: branch.to_owned(), why })?;
        Ok(commit)
    }

    /// Writes a commit of a whole tree, such as a merged one. Moves no reference.
    ///
    /// # Errors
    /// When the tree is the parent's own, or the plan has a text that is refused.
    pub fn commit_tree(&mut self, parent: CommitId, tree: TreeId, plan: &CommitPlan) -> Result<CommitId, CommitError> {
        if self.tree_id(parent).map_err(EditError::from)? == tree {
            return Err(CommitError::NothingChanged);
        }
        let commit = commit_object(tree, &[parent], plan)?;
        let id = commit.id();
        self.insert(commit).map_err(EditError::from)?;
        Ok(id)
    }

    /// Merges three trees at `paths` only (files or directories; everything else is taken from `ours` untouched) and
    /// returns the merged tree. To take a change back: base = the changed tree, theirs = the tree before it, ours = head.
    ///
    /// # Errors
    /// When a path is unsafe, or files changed on both sides in ways that can't be joined.
    pub fn merge(&mut self, base: TreeId, ours: TreeId, theirs: TreeId, paths: &[&str]) -> Result<TreeId, MergeError> {
        let paths = paths.iter().map(|path| RepositoryPath::parse(path)).collect::<Result<Vec<_>, _>>()?;
        let merged = merge_paths(self, base, ours, theirs, &paths)?;
        self.insert_all(merged.objects)?;
        Ok(merged.tree)
    }

    /// Makes an annotated tag object and points `refs/tags/NAME` at it.
    ///
    /// # Errors
    /// When the name or a text is refused, or the tag exists.
    pub fn tag(&mut self, name: &str, commit: CommitId, plan: &CommitPlan) -> Result<GitId, CommitError> {
        let object = crate::commit::tag_object(name, commit, plan)?;
        let id = object.id();
        debug_assert_eq!(tag_target(&object).ok(), Some(commit));
        self.insert(object).map_err(EditError::from)?;
        let update = RefUpdate { name: format!("refs/tags/{name}"), old: None, new: Some(id) };
        self.update_refs(&[update]).map_err(|why| CommitError::Reference { name: name.to_owned(), why })?;
        Ok(id)
    }
}

/// On disk a reference is a file, so none can be a folder of another.
fn stands_in_the_way(refs: &BTreeMap<String, GitId>, update: &RefUpdate) -> bool {
    let is_folder_of = |folder: &str, name: &str| name.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'));
    refs.keys().any(|name| is_folder_of(name, &update.name) || is_folder_of(&update.name, name))
}

/// Why history can't be walked.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// The path is unsafe.
    #[error(transparent)]
    Path(#[from] PathError),
    /// A commit or tree can't be read.
    #[error("failed to walk the history")]
    Object(#[from] ObjectError),
}
