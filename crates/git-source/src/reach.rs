//! Selects the objects that one side has to send so that the other has all that the wanted ones need.

use std::collections::{BTreeSet, VecDeque};

use crate::id::{CommitId, GitId, TreeId};
use crate::object::{
    CommitLinks, EntryKind, GitObject, ObjectError, ObjectKind, ObjectSource, commit_links, entries_of, tag_target,
    tree_entries,
};
use crate::remote::{FetchReply, FetchRequest, TransferLimits};

/// Selects what a fetch has to bring.
pub(crate) fn select(source: &dyn ObjectSource, request: &FetchRequest) -> Result<FetchReply, ObjectError> {
    let mut selection = Selection::new(source, request.limits);
    let common = selection.common(&request.haves, &request.shallow)?;
    let mut tips = Vec::new();
    for want in &request.wants {
        selection.tags_to(want, &mut tips)?;
    }
    let walk = selection.commits(&tips, &common, request)?;
    for commit in &walk.edges {
        let tree = commit_links(source, commit)?.tree;
        selection.mark_tree(&tree)?;
    }
    let mut sent_shallow = walk.shallow.clone();
    for (commit, links) in &walk.included {
        // A commit that the asker already holds is met again only while its history is deepened.
        if !common.contains(commit) {
            selection.take(source.object(commit)?)?;
            selection.take_tree(&links.tree)?;
        }
        if source.is_shallow(commit) {
            sent_shallow.insert(*commit);
        }
    }
    let asker_shallow: BTreeSet<_> = request.shallow.iter().copied().collect();
    let unshallow = walk
        .included
        .iter()
        .filter(|(commit, _)| asker_shallow.contains(commit) && !sent_shallow.contains(commit))
        .map(|(commit, _)| *commit)
        .collect();
    let shallow = sent_shallow.difference(&asker_shallow).copied().collect();
    let known = request.haves.iter().filter(|have| common.contains(have)).copied().collect();
    Ok(FetchReply { objects: selection.objects, shallow, unshallow, common: known })
}

struct Walk {
    included: Vec<(CommitId, CommitLinks)>,
    /// Commits that the asker has and that border on included ones.
    edges: BTreeSet<CommitId>,
    shallow: BTreeSet<CommitId>,
}

struct Selection<'a> {
    source: &'a dyn ObjectSource,
    limits: TransferLimits,
    seen: BTreeSet<GitId>,
    objects: Vec<GitObject>,
    bytes: u64,
}

impl<'a> Selection<'a> {
    fn new(source: &'a dyn ObjectSource, limits: TransferLimits) -> Self {
        Self { source, limits, seen: BTreeSet::new(), objects: Vec::new(), bytes: 0 }
    }

    /// All commits that the asker has. A have that is unknown here says nothing.
    fn common(&self, haves: &[CommitId], shallow: &[CommitId]) -> Result<BTreeSet<CommitId>, ObjectError> {
        let mut common = BTreeSet::new();
        let mut pending: Vec<CommitId> = haves.to_vec();
        while let Some(id) = pending.pop() {
            if common.contains(&id) || self.source.find(&id)?.is_none_or(|o| o.kind() != ObjectKind::Commit) {
                continue;
            }
            common.insert(id);
            self.bound(&id, common.len())?;
            if !shallow.contains(&id) {
                pending.extend(commit_links(self.source, &id)?.parents);
            }
        }
        Ok(common)
    }

    /// Takes annotated tags on the way and adds the commit behind them; other objects are taken whole.
    fn tags_to(&mut self, want: &GitId, tips: &mut Vec<CommitId>) -> Result<(), ObjectError> {
        let mut id = *want;
        for _ in 0..8 {
            let object = self.source.object(&id)?;
            match object.kind() {
                ObjectKind::Commit => {
                    tips.push(id);
                    return Ok(());
                }
                ObjectKind::Tree => return self.take_tree(&id),
                ObjectKind::Blob => return self.take(object),
                ObjectKind::Tag => {
                    id = tag_target(&object)?;
                    self.take(object)?;
                }
            }
        }
        Ok(())
    }

    /// Walks from the tips, one generation after the other, to the asker's commits or to the depth.
    fn commits(
        &self,
        tips: &[CommitId],
        common: &BTreeSet<CommitId>,
        request: &FetchRequest,
    ) -> Result<Walk, ObjectError> {
        let mut walk = Walk { included: Vec::new(), edges: BTreeSet::new(), shallow: BTreeSet::new() };
        let mut met = BTreeSet::new();
        let mut pending: VecDeque<(CommitId, u32)> = tips.iter().map(|tip| (*tip, 1)).collect();
        while let Some((id, generation)) = pending.pop_front() {
            if !met.insert(id) {
                continue;
            }
            self.bound(&id, met.len())?;
            if common.contains(&id) {
                walk.edges.insert(id);
                if request.depth.is_none() {
                    continue;
                }
            }
            let links = commit_links(self.source, &id)?;
            let is_last = request.depth.is_some_and(|depth| generation >= depth);
            if is_last && !links.parents.is_empty() {
                walk.shallow.insert(id);
            } else {
                pending.extend(links.parents.iter().map(|parent| (*parent, generation.saturating_add(1))));
            }
            walk.included.push((id, links));
        }
        Ok(walk)
    }

    fn mark_tree(&mut self, tree: &TreeId) -> Result<(), ObjectError> {
        let mut pending = vec![*tree];
        while let Some(id) = pending.pop() {
            if !self.seen.insert(id) {
                continue;
            }
            self.bound(&id, self.seen.len())?;
            for entry in tree_entries(self.source, &id)? {
                match entry.kind {
                    EntryKind::Directory => pending.push(entry.id),
                    EntryKind::Submodule => {}
                    _ => {
                        self.seen.insert(entry.id);
                    }
                }
            }
        }
        Ok(())
    }

    fn take_tree(&mut self, tree: &TreeId) -> Result<(), ObjectError> {
        let mut pending = vec![*tree];
        while let Some(id) = pending.pop() {
            if self.seen.contains(&id) {
                continue;
            }
            let object = self.source.object(&id)?.expect(ObjectKind::Tree)?;
            for entry in entries_of(&object)? {
                match entry.kind {
                    EntryKind::Directory => pending.push(entry.id),
                    EntryKind::Submodule => {}
                    _ if self.seen.contains(&entry.id) => {}
                    _ => self.take(self.source.object(&entry.id)?.expect(ObjectKind::Blob)?)?,
                }
            }
            self.take(object)?;
        }
        Ok(())
    }

    fn take(&mut self, object: GitObject) -> Result<(), ObjectError> {
        if !self.seen.insert(object.id()) {
            return Ok(());
        }
        self.bytes += object.bytes().len() as u64;
        if self.bytes > self.limits.total_bytes_max {
            let limit = self.limits.total_bytes_max;
            return Err(ObjectError::TooLarge { id: object.id(), size: self.bytes, limit });
        }
        self.bound(&object.id(), self.objects.len())?;
        self.objects.push(object);
        Ok(())
    }

    fn bound(&self, from: &GitId, met: usize) -> Result<(), ObjectError> {
        if met > self.limits.objects_max {
            return Err(ObjectError::TooMany { from: *from, limit: self.limits.objects_max });
        }
        Ok(())
    }
}
