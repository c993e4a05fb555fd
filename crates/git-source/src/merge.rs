//! Merges three trees, limited to some paths: the way a commit is taken back without losing other people's work.

use std::fmt;

use crate::edit::{Change, EditError, EditedTree, edit_tree};
use crate::history::{FileChange, changed_files, id_at};
use crate::id::{GitId, TreeId};
use crate::object::{EntryKind, GitObject, ObjectError, ObjectKind, ObjectSource};
use crate::path::{PathError, RepositoryPath};
use crate::text_merge::merge_text;
use crate::tree::join;

/// A file that changed on both sides in ways that can't be joined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// The path of the file.
    pub path: String,
    /// What stands in the way.
    pub why: &'static str,
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.why)
    }
}

/// The files that could not be merged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflicts(pub Vec<Conflict>);

impl fmt::Display for Conflicts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts: Vec<_> = self.0.iter().map(Conflict::to_string).collect();
        f.write_str(&texts.join("; "))
    }
}

/// Why trees are not merged.
#[derive(Debug, thiserror::Error)]
pub enum MergeError {
    /// A path is unsafe.
    #[error(transparent)]
    Path(#[from] PathError),
    /// Files changed on both sides.
    #[error("merge conflicts: {0}")]
    Conflicts(Conflicts),
    /// An object can't be read or stored.
    #[error("failed to read or store an object of the merge")]
    Object(#[from] ObjectError),
}

impl MergeError {
    /// A short name for metrics and Events.
    pub fn category(&self) -> &'static str {
        match self {
            Self::Path(_) => "PathRefused",
            Self::Conflicts(_) => "MergeConflict",
            Self::Object(_) => "Object",
        }
    }
}

type Leaf = Option<(EntryKind, GitId)>;

/// Applies what differs between `base` and `theirs` at `paths` to `ours`.
pub(crate) fn merge_paths(
    source: &dyn ObjectSource,
    base: TreeId,
    ours: TreeId,
    theirs: TreeId,
    paths: &[RepositoryPath],
) -> Result<EditedTree, MergeError> {
    let mut changes = Vec::new();
    let mut objects = Vec::new();
    let mut conflicts = Vec::new();
    for (path, change) in changes_within(source, base, theirs, paths)? {
        let parsed = match RepositoryPath::parse(&path) {
            Ok(parsed) => parsed,
            Err(error) => {
                conflicts.push(Conflict { path, why: error.why });
                continue;
            }
        };
        let here = id_at(source, &ours, &parsed)?;
        match merge_leaf(source, change, here)? {
            Merged::Keep => {}
            Merged::Take(change) => changes.push((parsed, change)),
            Merged::Joined(kind, blob) => {
                changes.push((parsed, Change::Entry(kind, blob.id())));
                objects.push(blob);
            }
            Merged::Conflict(why) => conflicts.push(Conflict { path, why }),
        }
    }
    if !conflicts.is_empty() {
        return Err(MergeError::Conflicts(Conflicts(conflicts)));
    }
    let mut edited = edit_tree(source, Some(ours), changes).map_err(edit_conflict)?;
    edited.objects.extend(objects);
    Ok(edited)
}

/// The files under `paths` that differ between two trees; a file named twice counts once.
fn changes_within(
    source: &dyn ObjectSource,
    base: TreeId,
    theirs: TreeId,
    paths: &[RepositoryPath],
) -> Result<Vec<(String, FileChange)>, ObjectError> {
    let mut changes = std::collections::BTreeMap::new();
    for path in paths {
        let before = id_at(source, &base, path)?;
        let after = id_at(source, &theirs, path)?;
        let tree = |leaf: Leaf| leaf.filter(|(kind, _)| *kind == EntryKind::Directory).map(|(_, id)| id);
        let file = |leaf: Leaf| leaf.filter(|(kind, _)| *kind != EntryKind::Directory);
        for (name, change) in changed_files(source, tree(before), tree(after))? {
            changes.insert(join(path.as_str(), &name), change);
        }
        let own = FileChange { before: file(before), after: file(after) };
        if own.before != own.after {
            changes.insert(path.as_str().to_owned(), own);
        }
    }
    Ok(changes.into_iter().collect())
}

enum Merged {
    Keep,
    Take(Change),
    Joined(EntryKind, GitObject),
    Conflict(&'static str),
}

fn merge_leaf(source: &dyn ObjectSource, change: FileChange, ours: Leaf) -> Result<Merged, ObjectError> {
    let FileChange { before: base, after: theirs } = change;
    if ours == theirs {
        return Ok(Merged::Keep);
    }
    if ours == base {
        return Ok(Merged::Take(theirs.map_or(Change::Remove, |(kind, id)| Change::Entry(kind, id))));
    }
    let (Some(base), Some(ours), Some(theirs)) = (base, ours, theirs) else {
        return Ok(Merged::Conflict(match (base, ours, theirs) {
            (None, _, _) => "it was added on both sides with different content",
            (_, None, _) => "it was deleted on one side and changed on the other",
            _ => "it was changed on one side and deleted on the other",
        }));
    };
    if [base, ours, theirs].iter().any(|(kind, _)| !kind.is_file()) {
        return Ok(Merged::Conflict("it is not a plain file on every side"));
    }
    let kind = if ours.0 == base.0 { theirs.0 } else { ours.0 };
    if base.1 == theirs.1 || ours.1 == theirs.1 {
        return Ok(Merged::Take(Change::Entry(kind, ours.1)));
    }
    if base.1 == ours.1 {
        return Ok(Merged::Take(Change::Entry(kind, theirs.1)));
    }
    let blob = |id: &GitId| source.object(id)?.expect(ObjectKind::Blob);
    let (base, ours, theirs) = (blob(&base.1)?, blob(&ours.1)?, blob(&theirs.1)?);
    Ok(match merge_text(base.bytes(), ours.bytes(), theirs.bytes()) {
        Ok(joined) => Merged::Joined(kind, GitObject::new(ObjectKind::Blob, joined)?),
        Err(why) => Merged::Conflict(why),
    })
}

/// What is left for the tree edit to refuse: a file where the other side has a directory, or the reverse.
fn edit_conflict(error: EditError) -> MergeError {
    let conflict = |path, why| MergeError::Conflicts(Conflicts(vec![Conflict { path, why }]));
    match error {
        EditError::Object(error) => error.into(),
        EditError::Path(error) => error.into(),
        EditError::Clash { path } | EditError::NotAFile { path, .. } => {
            conflict(path, "it is a file on one side and a directory on the other")
        }
        EditError::NotFound { path } => conflict(path, "it was deleted on one side and changed on the other"),
        EditError::TooLarge { path, .. } => conflict(path, "it is too large to merge"),
    }
}
