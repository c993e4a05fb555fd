//! Walks history: who changed what, which commit touched a path last, whether one commit contains another.

use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use gix_object::bstr::ByteSlice;
use object_model::Timestamp;
use serde::{Deserialize, Serialize};

use crate::id::{CommitId, GitId, TreeId};
use crate::message::{Person, Trailers};
use crate::object::{
    EntryKind, GitObject, ObjectError, ObjectKind, ObjectSource, commit_links, entry_named, tree_entries,
};
use crate::path::RepositoryPath;
use crate::tree::join;

/// How many commits a walk may meet before it gives up.
pub(crate) const COMMITS_MAX: usize = 200_000;
/// How many changed paths one commit may list.
const CHANGED_PATHS_MAX: usize = 10_000;

/// One commit of a log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogEntry {
    /// The commit.
    pub id: CommitId,
    /// Its tree.
    pub tree: TreeId,
    /// Its parents, also where a shallow fetch left them out.
    pub parents: Vec<CommitId>,
    /// Who wrote it.
    pub author: Person,
    /// When it was written.
    pub author_time: Timestamp,
    /// Who committed it.
    pub committer: Person,
    /// When it was committed.
    pub time: Timestamp,
    /// The whole message; bytes that are not UTF-8 are replaced.
    pub message: String,
    /// The trailers of the message.
    pub trailers: Trailers,
    /// The paths of files that differ from the first parent, sorted. `None` when the parent was left out by a shallow
    /// fetch or more than 10,000 files differ.
    pub changed_paths: Option<Vec<String>>,
}

impl LogEntry {
    /// The first line of the message.
    pub fn subject(&self) -> &str {
        self.message.lines().next().unwrap_or_default()
    }
}

/// A part of the history, newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// The commits.
    pub entries: Vec<LogEntry>,
    /// Whether a shallow boundary was met, so that older commits may be missing.
    pub is_shallow: bool,
}

/// Which commit touched a path last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LastTouch {
    /// This one.
    Commit(CommitId),
    /// This one or an older one that a shallow fetch left out.
    AtOrBefore(CommitId),
    /// None: the path was never there.
    Never,
}

/// Whether one commit contains another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ancestry {
    /// It does.
    Contains,
    /// It does not.
    Apart,
    /// It was not found, and a shallow boundary hides the rest.
    Unknown,
}

/// Reads one commit without its changed paths.
pub(crate) fn read_commit(object: &GitObject) -> Result<LogEntry, ObjectError> {
    let commit = gix_object::CommitRef::from_bytes(object.bytes(), gix_hash::Kind::Sha1)
        .map_err(|error| object.malformed(error))?;
    let links = crate::object::links_of(object)?;
    let person = |signature: &gix_object::bstr::BStr| {
        // Old tools wrote odd lines; a log shows what can be read of them.
        let signature = gix_object::bstr::BStr::new(signature).to_str_lossy().into_owned();
        let (name, rest) = signature.split_once('<').unwrap_or((&signature, ""));
        let (email, time) = rest.rsplit_once('>').unwrap_or((rest, ""));
        let seconds = time.split_whitespace().next().and_then(|seconds| seconds.parse().ok()).unwrap_or(0);
        let time = Timestamp::from_second(seconds).unwrap_or(Timestamp::UNIX_EPOCH);
        (Person { name: name.trim().to_owned(), email: email.trim().to_owned() }, time)
    };
    let (author, author_time) = person(commit.author);
    let (committer, time) = person(commit.committer);
    let message = commit.message.to_str_lossy().into_owned();
    Ok(LogEntry {
        id: object.id(),
        tree: links.tree,
        parents: links.parents,
        author,
        author_time,
        committer,
        time,
        trailers: Trailers::parse(&message),
        message,
        changed_paths: None,
    })
}

/// Commits in the order of their time, newest first, each once.
struct Newest<'a> {
    source: &'a dyn ObjectSource,
    pending: BinaryHeap<(Timestamp, CommitId)>,
    met: BTreeSet<CommitId>,
    start: CommitId,
}

impl<'a> Newest<'a> {
    fn new(source: &'a dyn ObjectSource, head: CommitId) -> Result<Self, ObjectError> {
        let mut walk = Self { source, pending: BinaryHeap::new(), met: BTreeSet::new(), start: head };
        walk.push(head)?;
        Ok(walk)
    }

    fn push(&mut self, id: CommitId) -> Result<(), ObjectError> {
        if self.met.insert(id) {
            if self.met.len() > COMMITS_MAX {
                return Err(ObjectError::TooMany { from: self.start, limit: COMMITS_MAX });
            }
            let object = self.source.object(&id)?.expect(ObjectKind::Commit)?;
            self.pending.push((read_commit(&object)?.time, id));
        }
        Ok(())
    }

    fn pop(&mut self) -> Option<CommitId> {
        self.pending.pop().map(|(_, id)| id)
    }
}

/// Returns the newest commits that touched `path`, at most `limit` of them.
pub(crate) fn log(
    source: &dyn ObjectSource,
    head: CommitId,
    path: &RepositoryPath,
    limit: usize,
) -> Result<Log, ObjectError> {
    let mut log = Log { entries: Vec::new(), is_shallow: false };
    let mut walk = Newest::new(source, head)?;
    while log.entries.len() < limit {
        let Some(id) = walk.pop() else { break };
        log.is_shallow |= source.is_shallow(&id);
        let visit = visit(source, &id, path)?;
        visit.follow.into_iter().try_for_each(|parent| walk.push(parent))?;
        if visit.touches {
            let mut entry = read_commit(&source.object(&id)?)?;
            entry.changed_paths = if source.is_shallow(&id) { None } else { changed_paths(source, &entry)? };
            log.entries.push(entry);
        }
    }
    Ok(log)
}

fn changed_paths(source: &dyn ObjectSource, entry: &LogEntry) -> Result<Option<Vec<String>>, ObjectError> {
    let parent = entry.parents.first().map(|parent| commit_links(source, parent)).transpose()?;
    match changed_files(source, parent.map(|links| links.tree), Some(entry.tree)) {
        Ok(changes) => Ok(Some(changes.into_keys().collect())),
        Err(ObjectError::TooMany { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

struct Visit {
    touches: bool,
    follow: Vec<CommitId>,
}

/// Git's own simplification: a merge that took the path unchanged from one parent is passed through that parent.
fn visit(source: &dyn ObjectSource, id: &CommitId, path: &RepositoryPath) -> Result<Visit, ObjectError> {
    let links = commit_links(source, id)?;
    if path.is_root() {
        return Ok(Visit { touches: true, follow: links.parents });
    }
    let here = id_at(source, &links.tree, path)?;
    for parent in &links.parents {
        if id_at(source, &commit_links(source, parent)?.tree, path)? == here {
            return Ok(Visit { touches: false, follow: vec![*parent] });
        }
    }
    let touches = !links.parents.is_empty() || here.is_some();
    Ok(Visit { touches, follow: links.parents })
}

/// Returns the id and kind at a path without following links.
pub(crate) fn id_at(
    source: &dyn ObjectSource,
    tree: &TreeId,
    path: &RepositoryPath,
) -> Result<Option<(EntryKind, GitId)>, ObjectError> {
    let mut here = (EntryKind::Directory, *tree);
    for name in path.names() {
        if here.0 != EntryKind::Directory {
            return Ok(None);
        }
        let Some(entry) = entry_named(source, &here.1, name.as_bytes())? else { return Ok(None) };
        here = (entry.kind, entry.id);
    }
    Ok(Some(here))
}

/// Returns the newest commit that touched `path`.
pub(crate) fn last_touch(
    source: &dyn ObjectSource,
    head: CommitId,
    path: &RepositoryPath,
) -> Result<LastTouch, ObjectError> {
    let mut walk = Newest::new(source, head)?;
    while let Some(id) = walk.pop() {
        let visit = visit(source, &id, path)?;
        if visit.touches {
            return Ok(if source.is_shallow(&id) { LastTouch::AtOrBefore(id) } else { LastTouch::Commit(id) });
        }
        visit.follow.into_iter().try_for_each(|parent| walk.push(parent))?;
    }
    Ok(LastTouch::Never)
}

/// Says whether `head` contains `commit`.
pub(crate) fn ancestry(source: &dyn ObjectSource, head: CommitId, commit: CommitId) -> Result<Ancestry, ObjectError> {
    let mut walk = Newest::new(source, head)?;
    let mut is_cut = false;
    while let Some(id) = walk.pop() {
        if id == commit {
            return Ok(Ancestry::Contains);
        }
        is_cut |= source.is_shallow(&id);
        commit_links(source, &id)?.parents.into_iter().try_for_each(|parent| walk.push(parent))?;
    }
    Ok(if is_cut { Ancestry::Unknown } else { Ancestry::Apart })
}

/// One file on both sides of a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileChange {
    pub(crate) before: Option<(EntryKind, GitId)>,
    pub(crate) after: Option<(EntryKind, GitId)>,
}

/// Compares two trees file by file; equal directories are not entered.
pub(crate) fn changed_files(
    source: &dyn ObjectSource,
    before: Option<TreeId>,
    after: Option<TreeId>,
) -> Result<BTreeMap<String, FileChange>, ObjectError> {
    let mut changes = BTreeMap::new();
    let mut pending = vec![(String::new(), before, after)];
    let mut directories = 0;
    while let Some((directory, before, after)) = pending.pop() {
        if before == after {
            continue;
        }
        // Trees that hold the same tree many times over grow without a single file.
        directories += 1;
        if directories > CHANGED_PATHS_MAX {
            let from = after.or(before).unwrap_or(GitId::ZERO);
            return Err(ObjectError::TooMany { from, limit: CHANGED_PATHS_MAX });
        }
        let mut sides: BTreeMap<Vec<u8>, FileChange> = BTreeMap::new();
        let blank = FileChange { before: None, after: None };
        for entry in before.map(|id| tree_entries(source, &id)).transpose()?.unwrap_or_default() {
            sides.entry(entry.name).or_insert(blank).before = Some((entry.kind, entry.id));
        }
        for entry in after.map(|id| tree_entries(source, &id)).transpose()?.unwrap_or_default() {
            sides.entry(entry.name).or_insert(blank).after = Some((entry.kind, entry.id));
        }
        for (name, side) in sides.into_iter().filter(|(_, side)| side.before != side.after) {
            let path = join(&directory, &String::from_utf8_lossy(&name));
            let tree = |side: Option<(EntryKind, GitId)>| side.filter(|(kind, _)| *kind == EntryKind::Directory);
            let file = |side: Option<(EntryKind, GitId)>| side.filter(|(kind, _)| *kind != EntryKind::Directory);
            if tree(side.before).is_some() || tree(side.after).is_some() {
                let id = |side| tree(side).map(|(_, id)| id);
                pending.push((path.clone(), id(side.before), id(side.after)));
            }
            let change = FileChange { before: file(side.before), after: file(side.after) };
            if change.before.is_some() || change.after.is_some() {
                changes.insert(path, change);
            }
            if changes.len() > CHANGED_PATHS_MAX {
                let from = after.or(before).unwrap_or(GitId::ZERO);
                return Err(ObjectError::TooMany { from, limit: CHANGED_PATHS_MAX });
            }
        }
    }
    Ok(changes)
}
