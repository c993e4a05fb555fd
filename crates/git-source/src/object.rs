//! Git objects as bytes whose id is always computed from them, and the parts of them that this crate reads.

use std::sync::Arc;

use gix_object::bstr::ByteSlice;

use crate::id::{CommitId, GitId, TreeId};

/// The four kinds of Git objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ObjectKind {
    /// A commit.
    Commit,
    /// A directory.
    Tree,
    /// The content of a file or the target of a symbolic link.
    Blob,
    /// An annotated tag.
    Tag,
}

impl ObjectKind {
    /// The name that Git uses.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Commit => "commit",
            Self::Tree => "tree",
            Self::Blob => "blob",
            Self::Tag => "tag",
        }
    }

    pub(crate) fn to_gix(self) -> gix_object::Kind {
        match self {
            Self::Commit => gix_object::Kind::Commit,
            Self::Tree => gix_object::Kind::Tree,
            Self::Blob => gix_object::Kind::Blob,
            Self::Tag => gix_object::Kind::Tag,
        }
    }

    pub(crate) fn from_gix(kind: gix_object::Kind) -> Self {
        match kind {
            gix_object::Kind::Commit => Self::Commit,
            gix_object::Kind::Tree => Self::Tree,
            gix_object::Kind::Blob => Self::Blob,
            gix_object::Kind::Tag => Self::Tag,
        }
    }
}

impl std::fmt::Display for ObjectKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why an object can't be read.
#[derive(Debug, thiserror::Error)]
pub enum ObjectError {
    /// No such object is stored.
    #[error("object {id} is missing")]
    Missing {
        /// The id asked for.
        id: GitId,
    },
    /// The object is of another kind than its place demands.
    #[error("object {id} is a {found}, not a {expected}")]
    Kind {
        /// The id asked for.
        id: GitId,
        /// The kind that was needed.
        expected: ObjectKind,
        /// The kind that is there.
        found: ObjectKind,
    },
    /// The bytes are not what their kind demands.
    #[error("{kind} {id} is malformed: {why}")]
    Malformed {
        /// The id of the object.
        id: GitId,
        /// Its kind.
        kind: ObjectKind,
        /// What is wrong with it.
        why: String,
    },
    /// The object is larger than the limit.
    #[error("object {id} has {size} bytes, more than the limit of {limit}")]
    TooLarge {
        /// The id of the object.
        id: GitId,
        /// Its size in bytes.
        size: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// A walk met more objects than the limit.
    #[error("the walk from {from} met more than {limit} objects")]
    TooMany {
        /// Where the walk began.
        from: GitId,
        /// The limit.
        limit: usize,
    },
    /// The files of the object database can't be read or written.
    #[error("object database failed: {why}")]
    Storage {
        /// What the database said.
        why: String,
    },
}

impl ObjectError {
    pub(crate) fn storage(error: impl std::fmt::Display) -> Self {
        Self::Storage { why: error.to_string() }
    }
}

/// An object: its kind, its bytes, and the id which follows from both. Cloning shares the bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GitObject {
    id: GitId,
    kind: ObjectKind,
    bytes: Arc<[u8]>,
}

impl GitObject {
    /// Takes bytes as an object and computes its id.
    ///
    /// # Errors
    /// When the bytes are part of a known SHA-1 collision attack.
    pub fn new(kind: ObjectKind, bytes: impl Into<Arc<[u8]>>) -> Result<Self, ObjectError> {
        let bytes = bytes.into();
        let id = gix_object::compute_hash(gix_hash::Kind::Sha1, kind.to_gix(), &bytes).map_err(ObjectError::storage)?;
        let id = GitId::from_gix(&id).ok_or_else(|| ObjectError::storage("the id is not of SHA-1"))?;
        Ok(Self { id, kind, bytes })
    }

    /// The id.
    pub fn id(&self) -> GitId {
        self.id
    }

    /// The kind.
    pub fn kind(&self) -> ObjectKind {
        self.kind
    }

    /// The content without Git's header.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(crate) fn shared_bytes(&self) -> Arc<[u8]> {
        Arc::clone(&self.bytes)
    }

    pub(crate) fn expect(self, expected: ObjectKind) -> Result<Self, ObjectError> {
        if self.kind == expected {
            return Ok(self);
        }
        Err(ObjectError::Kind { id: self.id, expected, found: self.kind })
    }

    pub(crate) fn malformed(&self, why: impl std::fmt::Display) -> ObjectError {
        ObjectError::Malformed { id: self.id, kind: self.kind, why: why.to_string() }
    }
}

/// A place that objects are read from.
pub trait ObjectSource {
    /// Returns the object, or `None` when it is not stored here.
    ///
    /// # Errors
    /// When it is stored but can't be read or is too large.
    fn find(&self, id: &GitId) -> Result<Option<GitObject>, ObjectError>;

    /// Whether the parents of this commit were left out on purpose by a shallow fetch.
    fn is_shallow(&self, commit: &CommitId) -> bool;

    /// Returns the object.
    ///
    /// # Errors
    /// Also when it is not stored here.
    fn object(&self, id: &GitId) -> Result<GitObject, ObjectError> {
        self.find(id)?.ok_or(ObjectError::Missing { id: *id })
    }
}

/// The links of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CommitLinks {
    pub(crate) tree: TreeId,
    pub(crate) parents: Vec<CommitId>,
}

/// Reads the tree and the parents of a commit; a shallow commit has no parents.
pub(crate) fn commit_links(source: &dyn ObjectSource, id: &CommitId) -> Result<CommitLinks, ObjectError> {
    let object = source.object(id)?.expect(ObjectKind::Commit)?;
    let mut links = links_of(&object)?;
    if source.is_shallow(id) {
        links.parents.clear();
    }
    Ok(links)
}

/// Reads the links that stand in a commit, shallow or not.
pub(crate) fn links_of(object: &GitObject) -> Result<CommitLinks, ObjectError> {
    let commit = gix_object::CommitRef::from_bytes(object.bytes(), gix_hash::Kind::Sha1)
        .map_err(|error| object.malformed(error))?;
    let tree = GitId::from_hex(commit.tree).ok_or_else(|| object.malformed("its tree is not an id"))?;
    let parents: Option<Vec<_>> = commit.parents.iter().map(|hex| GitId::from_hex(hex)).collect();
    Ok(CommitLinks { tree, parents: parents.ok_or_else(|| object.malformed("a parent is not an id"))? })
}

/// What a tree entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EntryKind {
    /// A file.
    File,
    /// A file that may be executed.
    Executable,
    /// A symbolic link.
    Link,
    /// A directory.
    Directory,
    /// A commit of another repository.
    Submodule,
}

impl EntryKind {
    /// Whether the entry is a file, executable or not.
    pub fn is_file(self) -> bool {
        matches!(self, Self::File | Self::Executable)
    }

    fn from_gix(kind: gix_object::tree::EntryKind) -> Self {
        match kind {
            gix_object::tree::EntryKind::Tree => Self::Directory,
            gix_object::tree::EntryKind::Blob => Self::File,
            gix_object::tree::EntryKind::BlobExecutable => Self::Executable,
            gix_object::tree::EntryKind::Link => Self::Link,
            gix_object::tree::EntryKind::Commit => Self::Submodule,
        }
    }

    fn to_gix(self) -> gix_object::tree::EntryKind {
        match self {
            Self::Directory => gix_object::tree::EntryKind::Tree,
            Self::File => gix_object::tree::EntryKind::Blob,
            Self::Executable => gix_object::tree::EntryKind::BlobExecutable,
            Self::Link => gix_object::tree::EntryKind::Link,
            Self::Submodule => gix_object::tree::EntryKind::Commit,
        }
    }
}

/// One line of a tree: its name is bytes, since Git demands no encoding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TreeEntry {
    pub(crate) name: Vec<u8>,
    pub(crate) kind: EntryKind,
    pub(crate) id: GitId,
}

/// Reads the entries of a tree in Git's order.
pub(crate) fn tree_entries(source: &dyn ObjectSource, id: &TreeId) -> Result<Vec<TreeEntry>, ObjectError> {
    let object = source.object(id)?.expect(ObjectKind::Tree)?;
    entries_of(&object)
}

pub(crate) fn entries_of(object: &GitObject) -> Result<Vec<TreeEntry>, ObjectError> {
    let tree = gix_object::TreeRef::from_bytes(object.bytes(), gix_hash::Kind::Sha1)
        .map_err(|error| object.malformed(error))?;
    let entry = |entry: &gix_object::tree::EntryRef<'_>| {
        let id = GitId::from_gix(entry.oid).ok_or_else(|| object.malformed("an entry has an id of another hash"))?;
        Ok(TreeEntry { name: entry.filename.to_vec(), kind: EntryKind::from_gix(entry.mode.kind()), id })
    };
    tree.entries.iter().map(entry).collect()
}

/// Finds one entry of a tree without taking the others apart.
pub(crate) fn entry_named(
    source: &dyn ObjectSource,
    id: &TreeId,
    name: &[u8],
) -> Result<Option<TreeEntry>, ObjectError> {
    let object = source.object(id)?.expect(ObjectKind::Tree)?;
    for entry in gix_object::TreeRefIter::from_bytes(object.bytes(), gix_hash::Kind::Sha1) {
        let entry = entry.map_err(|error| object.malformed(error))?;
        if entry.filename == name {
            let id =
                GitId::from_gix(entry.oid).ok_or_else(|| object.malformed("an entry has an id of another hash"))?;
            return Ok(Some(TreeEntry { name: name.to_vec(), kind: EntryKind::from_gix(entry.mode.kind()), id }));
        }
    }
    Ok(None)
}

/// Builds a tree object of entries in any order; a name may stand only once.
pub(crate) fn tree_object(mut entries: Vec<TreeEntry>) -> Result<GitObject, ObjectError> {
    entries.sort_by(|a, b| sort_key(a).cmp(sort_key(b)));
    let mut bytes = Vec::new();
    for entry in &entries {
        bytes.extend_from_slice(mode_text(entry.kind));
        bytes.push(b' ');
        bytes.extend_from_slice(&entry.name);
        bytes.push(0);
        bytes.extend_from_slice(entry.id.as_bytes());
    }
    GitObject::new(ObjectKind::Tree, bytes)
}

/// Git sorts directories as if their name ended in a slash.
fn sort_key(entry: &TreeEntry) -> impl Iterator<Item = u8> + '_ {
    let tail = (entry.kind == EntryKind::Directory).then_some(b'/');
    entry.name.iter().copied().chain(tail)
}

fn mode_text(kind: EntryKind) -> &'static [u8] {
    kind.to_gix().as_octal_str().as_bytes()
}

/// Reads what an annotated tag points to.
pub(crate) fn tag_target(object: &GitObject) -> Result<GitId, ObjectError> {
    let tag = gix_object::TagRef::from_bytes(object.bytes(), gix_hash::Kind::Sha1)
        .map_err(|error| object.malformed(error))?;
    GitId::from_hex(tag.target).ok_or_else(|| object.malformed("its target is not an id"))
}

/// How many tags of tags are followed.
const TAG_HOPS_MAX: usize = 8;

/// Follows annotated tags to the object behind them.
pub(crate) fn peel(source: &dyn ObjectSource, id: &GitId) -> Result<GitObject, ObjectError> {
    let mut object = source.object(id)?;
    for _ in 0..TAG_HOPS_MAX {
        if object.kind() != ObjectKind::Tag {
            return Ok(object);
        }
        object = source.object(&tag_target(&object)?)?;
    }
    Err(object.malformed("tags point to tags without end"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_those_that_git_computes() {
        let blob = GitObject::new(ObjectKind::Blob, b"hello\n".to_vec()).unwrap();
        assert_eq!(blob.id().to_string(), "ce013625030ba8dba906f756967f9e9ca394464a");
        let tree = tree_object(Vec::new()).unwrap();
        assert_eq!(tree.id().to_string(), "4b825dc642cb6eb9a060e54bf8d69288fbee4904");
    }

    #[test]
    fn a_directory_sorts_as_if_it_ended_in_a_slash() {
        let id = GitId::ZERO;
        let entry = |name: &str, kind| TreeEntry { name: name.as_bytes().to_vec(), kind, id };
        let entries =
            vec![entry("a", EntryKind::Directory), entry("a.b", EntryKind::File), entry("a0", EntryKind::Executable)];
        let names: Vec<_> = entries_of(&tree_object(entries).unwrap()).unwrap().into_iter().map(|e| e.name).collect();
        assert_eq!(names, [b"a.b".to_vec(), b"a".to_vec(), b"a0".to_vec()]);
    }

    proptest::proptest! {
        #[test]
        fn arbitrary_objects_never_panic(bytes: Vec<u8>, text: String) {
            for bytes in [bytes, text.clone().into_bytes(), format!("tree {}\nauthor {text}\ncommitter {text}\n\n{text}", GitId::ZERO).into_bytes()] {
                for kind in [ObjectKind::Commit, ObjectKind::Tree, ObjectKind::Tag] {
                    let object = GitObject::new(kind, bytes.as_slice()).unwrap();
                    let _ = (links_of(&object), entries_of(&object), tag_target(&object));
                    let _ = crate::history::read_commit(&object);
                }
            }
        }
    }

    #[test]
    fn broken_objects_are_errors_that_name_them() {
        for kind in [ObjectKind::Commit, ObjectKind::Tree, ObjectKind::Tag] {
            let object = GitObject::new(kind, b"nonsense".to_vec()).unwrap();
            let error = match kind {
                ObjectKind::Commit => links_of(&object).unwrap_err(),
                ObjectKind::Tree => entries_of(&object).unwrap_err(),
                _ => tag_target(&object).unwrap_err(),
            };
            assert!(error.to_string().starts_with(&format!("{kind} {} is malformed", object.id())), "{error}");
        }
    }
}
