//! Writes a changed tree: only the directories on the way to an edit are written anew.

use std::collections::BTreeMap;

use crate::id::{GitId, TreeId};
use crate::object::{
    EntryKind, GitObject, ObjectError, ObjectKind, ObjectSource, TreeEntry, tree_entries, tree_object,
};
use crate::path::{PathError, RepositoryPath};
use crate::tree::join;

/// One change of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Edit {
    /// Writes a file, new or not; an executable file stays executable.
    Put {
        /// The path from the root of the repository.
        path: String,
        /// The whole content.
        bytes: Vec<u8>,
    },
    /// Removes a file; directories left empty go with it.
    Delete {
        /// The path from the root of the repository.
        path: String,
    },
}

impl Edit {
    /// Writes a file.
    pub fn put(path: &str, bytes: impl Into<Vec<u8>>) -> Self {
        Self::Put { path: path.to_owned(), bytes: bytes.into() }
    }

    /// Removes a file.
    pub fn delete(path: &str) -> Self {
        Self::Delete { path: path.to_owned() }
    }
}

/// Why an edit of a tree is refused.
#[derive(Debug, thiserror::Error)]
pub enum EditError {
    /// The path is unsafe.
    #[error(transparent)]
    Path(#[from] PathError),
    /// Two edits name the same path, or one names a directory of the other.
    #[error("two edits clash at `{path}`")]
    Clash {
        /// The path in both.
        path: String,
    },
    /// The path is there, but is not a file that may be replaced.
    #[error("`{path}` is {found}, which is not edited")]
    NotAFile {
        /// The path of the entry.
        path: String,
        /// What stands there.
        found: &'static str,
    },
    /// The file that should go does not exist.
    #[error("`{path}` can't be deleted: it does not exist")]
    NotFound {
        /// The path of the edit.
        path: String,
    },
    /// The new content is larger than the limit.
    #[error("`{path}` would have {size} bytes, more than the limit of {limit}")]
    TooLarge {
        /// The path of the edit.
        path: String,
        /// Its size in bytes.
        size: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// The object database can't give or take an object.
    #[error("failed to read an object of the tree")]
    Object(#[from] ObjectError),
}

/// The largest file that is written, in bytes.
const FILE_BYTES_MAX: usize = 16 << 20;

/// What becomes of one path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Change {
    /// The file gets this content and keeps its mode.
    Content(GitObject),
    /// The entry becomes exactly this.
    Entry(EntryKind, GitId),
    /// The entry goes.
    Remove,
}

#[derive(Debug, Default)]
struct Node {
    change: Option<Change>,
    children: BTreeMap<String, Node>,
}

/// A tree after edits, with the objects that have to be stored for it.
#[derive(Debug)]
pub(crate) struct EditedTree {
    pub(crate) tree: TreeId,
    pub(crate) objects: Vec<GitObject>,
}

/// Lowers edits to changes by path.
pub(crate) fn changes_of(edits: &[Edit]) -> Result<Vec<(RepositoryPath, Change)>, EditError> {
    let change = |edit: &Edit| {
        let (path, change) = match edit {
            Edit::Put { path, bytes } if bytes.len() > FILE_BYTES_MAX => {
                let path = path.escape_debug().to_string();
                return Err(EditError::TooLarge { path, size: bytes.len(), limit: FILE_BYTES_MAX });
            }
            Edit::Put { path, bytes } => (path, Change::Content(GitObject::new(ObjectKind::Blob, bytes.as_slice())?)),
            Edit::Delete { path } => (path, Change::Remove),
        };
        let path = RepositoryPath::parse(path)?;
        if path.is_root() {
            return Err(PathError { path: ".".to_owned(), why: "it is the root, not a file" }.into());
        }
        Ok((path, change))
    };
    edits.iter().map(change).collect()
}

/// Applies changes to a tree (`None` is the empty one).
pub(crate) fn edit_tree(
    source: &dyn ObjectSource,
    tree: Option<TreeId>,
    changes: Vec<(RepositoryPath, Change)>,
) -> Result<EditedTree, EditError> {
    let mut root = Node::default();
    for (path, change) in changes {
        insert(&mut root, &path, change)?;
    }
    let mut objects = Vec::new();
    let edited = apply(source, tree, &root, "", &mut objects)?;
    let tree = match edited {
        Some(tree) => tree,
        None => {
            let empty = tree_object(Vec::new())?;
            let id = empty.id();
            objects.push(empty);
            id
        }
    };
    Ok(EditedTree { tree, objects })
}

fn insert(root: &mut Node, path: &RepositoryPath, change: Change) -> Result<(), EditError> {
    let clash = || EditError::Clash { path: path.to_string() };
    let mut node = root;
    for name in path.names() {
        if node.change.is_some() {
            return Err(clash());
        }
        node = node.children.entry(name.to_owned()).or_default();
    }
    if node.change.is_some() || !node.children.is_empty() {
        return Err(clash());
    }
    node.change = Some(change);
    Ok(())
}

/// The depth is bounded by the length of a path.
fn apply(
    source: &dyn ObjectSource,
    tree: Option<TreeId>,
    node: &Node,
    directory: &str,
    objects: &mut Vec<GitObject>,
) -> Result<Option<TreeId>, EditError> {
    let entries = tree.map(|id| tree_entries(source, &id)).transpose()?.unwrap_or_default();
    let mut by_name: BTreeMap<Vec<u8>, TreeEntry> = entries.into_iter().map(|e| (e.name.clone(), e)).collect();
    for (name, child) in &node.children {
        let path = join(directory, name);
        let old = by_name.remove(name.as_bytes());
        let new = match &child.change {
            Some(change) => changed_entry(&path, old.as_ref(), change, objects)?,
            None => {
                let below = match &old {
                    None => None,
                    Some(entry) if entry.kind == EntryKind::Directory => Some(entry.id),
                    Some(entry) => return Err(EditError::NotAFile { path, found: article(entry.kind) }),
                };
                apply(source, below, child, &path, objects)?.map(|id| (EntryKind::Directory, id))
            }
        };
        if let Some((kind, id)) = new {
            let name = name.as_bytes().to_vec();
            by_name.insert(name.clone(), TreeEntry { name, kind, id });
        }
    }
    if by_name.is_empty() {
        return Ok(None);
    }
    let object = tree_object(by_name.into_values().collect())?;
    let id = object.id();
    objects.push(object);
    Ok(Some(id))
}

fn changed_entry(
    path: &str,
    old: Option<&TreeEntry>,
    change: &Change,
    objects: &mut Vec<GitObject>,
) -> Result<Option<(EntryKind, GitId)>, EditError> {
    let kind = old.map(|entry| entry.kind);
    match (change, kind) {
        (Change::Entry(kind, id), _) => Ok(Some((*kind, *id))),
        (Change::Remove, None) => Err(EditError::NotFound { path: path.to_owned() }),
        (Change::Remove, Some(EntryKind::File | EntryKind::Executable | EntryKind::Link)) => Ok(None),
        (Change::Content(blob), None | Some(EntryKind::File | EntryKind::Executable)) => {
            objects.push(blob.clone());
            Ok(Some((kind.unwrap_or(EntryKind::File), blob.id())))
        }
        (_, Some(kind)) => Err(EditError::NotAFile { path: path.to_owned(), found: article(kind) }),
    }
}

fn article(kind: EntryKind) -> &'static str {
    match kind {
        EntryKind::File | EntryKind::Executable => "a file",
        EntryKind::Link => "a symbolic link",
        EntryKind::Directory => "a directory",
        EntryKind::Submodule => "a submodule",
    }
}
