//! Reads files and directories of one commit out of the object database, with limits, never from a checkout.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crate::id::{GitId, TreeId};
use crate::object::{EntryKind, ObjectError, ObjectKind, ObjectSource, TreeEntry, entry_named, tree_entries};
use crate::path::{PathError, RepositoryPath, check_name};
use crate::remote::Retry;
use crate::repository::Repository;

/// How much of a tree is read before it is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadLimits {
    /// The largest file, in bytes.
    pub file_bytes_max: u64,
    /// The most entries that a walk may meet.
    pub files_max: usize,
    /// The deepest directory.
    pub depth_max: usize,
}

impl Default for ReadLimits {
    fn default() -> Self {
        Self { file_bytes_max: 16 << 20, files_max: 50_000, depth_max: 100 }
    }
}

/// How many symbolic links are followed on the way to one file.
const LINK_HOPS_MAX: usize = 40;
/// The longest target of a symbolic link that is read, in bytes.
const LINK_BYTES_MAX: u64 = 4096;

/// Why a path of a tree can't be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The path is unsafe.
    #[error(transparent)]
    Path(#[from] PathError),
    /// Nothing has this path.
    #[error("`{path}` does not exist in tree {tree}")]
    NotFound {
        /// The path asked for.
        path: String,
        /// The tree that was read.
        tree: TreeId,
    },
    /// The path is not a file.
    #[error("`{path}` is not a file")]
    NotAFile {
        /// The path asked for.
        path: String,
    },
    /// The path is not a directory.
    #[error("`{path}` is not a directory")]
    NotADirectory {
        /// The path asked for.
        path: String,
    },
    /// A symbolic link points out of the tree.
    #[error("symbolic link `{path}` points out of the tree")]
    LinkLeavesTree {
        /// The path of the link.
        path: String,
    },
    /// Symbolic links lead in a circle or through too many hops.
    #[error("`{path}` leads through more than {LINK_HOPS_MAX} symbolic links")]
    LinkLoop {
        /// The path asked for.
        path: String,
    },
    /// The path belongs to another repository.
    #[error("`{path}` is a submodule, which is not read")]
    Submodule {
        /// The path of the submodule.
        path: String,
    },
    /// A name in the tree is unsafe.
    #[error("directory `{directory}` has a file whose name `{name}` is refused: {why}")]
    UnsafeName {
        /// The directory.
        directory: String,
        /// The name, made printable.
        name: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A file is larger than the limit.
    #[error("`{path}` has {size} bytes, more than the limit of {limit}")]
    FileTooLarge {
        /// The path of the file.
        path: String,
        /// Its size in bytes.
        size: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// A walk met too many entries.
    #[error("`{path}` has more than {limit} files")]
    TooManyFiles {
        /// The directory that was walked.
        path: String,
        /// The limit.
        limit: usize,
    },
    /// Directories are nested too deep.
    #[error("`{path}` is nested more than {limit} directories deep")]
    TooDeep {
        /// The directory at the limit.
        path: String,
        /// The limit.
        limit: usize,
    },
    /// The object database can't give an object.
    #[error("failed to read an object of the tree")]
    Object(#[from] ObjectError),
}

impl ReadError {
    /// A short name for metrics and Events.
    pub fn category(&self) -> &'static str {
        match self {
            Self::Path(_) => "PathRefused",
            Self::NotFound { .. } => "PathNotFound",
            Self::NotAFile { .. } | Self::NotADirectory { .. } => "WrongKind",
            Self::LinkLeavesTree { .. } | Self::LinkLoop { .. } => "LinkRefused",
            Self::Submodule { .. } => "SubmoduleRefused",
            Self::UnsafeName { .. } => "NameRefused",
            Self::FileTooLarge { .. } | Self::TooManyFiles { .. } | Self::TooDeep { .. } => "TooLarge",
            Self::Object(_) => "Object",
        }
    }

    /// Whether another try may help: a commit never changes, so only what failed below it is tried again.
    pub fn retry(&self) -> Retry {
        match self {
            Self::Object(_) => Retry::After(std::time::Duration::from_secs(60)),
            _ => Retry::Never,
        }
    }
}

/// One entry of a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its name within its directory.
    pub name: String,
    /// What it is.
    pub kind: EntryKind,
    /// The id of its content.
    pub id: GitId,
}

/// The files of one commit, or of one directory of it. Cloning is cheap.
#[derive(Debug, Clone)]
pub struct Tree {
    repository: Repository,
    id: TreeId,
    limits: ReadLimits,
}

/// Where a walk along a path ended.
enum Found {
    Root,
    Entry(TreeEntry),
    Nothing,
}

enum LastLink {
    Follow,
    Keep,
}

impl Tree {
    pub(crate) fn new(repository: Repository, id: TreeId) -> Self {
        Self { repository, id, limits: ReadLimits::default() }
    }

    /// Returns the same tree, read with other limits.
    #[must_use]
    pub fn with_limits(mut self, limits: ReadLimits) -> Self {
        self.limits = limits;
        self
    }

    /// The id of the tree: equal ids mean equal content, all the way down.
    pub fn id(&self) -> TreeId {
        self.id
    }

    /// Reads a file. Symbolic links are followed as long as they stay inside this tree.
    ///
    /// # Errors
    /// When the path is unsafe, missing, not a file, too large, or leads out of the tree.
    pub fn read(&self, path: &str) -> Result<Arc<[u8]>, ReadError> {
        let path = RepositoryPath::parse(path)?;
        match self.find(&path, LastLink::Follow)? {
            Found::Nothing => Err(self.not_found(&path)),
            Found::Entry(entry) if entry.kind.is_file() => {
                self.blob(&path.to_string(), &entry.id, self.limits.file_bytes_max)
            }
            Found::Entry(entry) if entry.kind == EntryKind::Submodule => {
                Err(ReadError::Submodule { path: path.to_string() })
            }
            Found::Root | Found::Entry(_) => Err(ReadError::NotAFile { path: path.to_string() }),
        }
    }

    /// Lists a directory, sorted by name.
    ///
    /// # Errors
    /// When the path is unsafe, missing, not a directory, or has a name that is unsafe.
    pub fn list(&self, path: &str) -> Result<Vec<Entry>, ReadError> {
        let path = RepositoryPath::parse(path)?;
        let id = self.directory(&path)?;
        let mut entries = self.checked_entries(&path.to_string(), &id)?;
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    /// Whether something has this path.
    ///
    /// # Errors
    /// When the path is unsafe or leads out of the tree.
    pub fn path_exists(&self, path: &str) -> Result<bool, ReadError> {
        let path = RepositoryPath::parse(path)?;
        Ok(!matches!(self.find(&path, LastLink::Follow)?, Found::Nothing))
    }

    /// Returns what stands at a path, a symbolic link as itself; `None` when there is nothing.
    ///
    /// # Errors
    /// When the path is unsafe or leads out of the tree.
    pub fn entry(&self, path: &str) -> Result<Option<Entry>, ReadError> {
        let path = RepositoryPath::parse(path)?;
        let name = path.names().last().unwrap_or_default().to_owned();
        Ok(match self.find(&path, LastLink::Keep)? {
            Found::Root => Some(Entry { name, kind: EntryKind::Directory, id: self.id }),
            Found::Entry(entry) => Some(Entry { name, kind: entry.kind, id: entry.id }),
            Found::Nothing => None,
        })
    }

    /// Returns the id of the file or directory at a path: the key of everything that is computed from it.
    ///
    /// # Errors
    /// When the path is unsafe or leads out of the tree.
    pub fn id_at(&self, path: &str) -> Result<Option<GitId>, ReadError> {
        let path = RepositoryPath::parse(path)?;
        Ok(match self.find(&path, LastLink::Follow)? {
            Found::Root => Some(self.id),
            Found::Entry(entry) => Some(entry.id),
            Found::Nothing => None,
        })
    }

    /// Returns the directory at a path as a tree of its own: links that leave the directory are refused there.
    ///
    /// # Errors
    /// When the path is unsafe, missing or not a directory.
    pub fn subtree(&self, path: &str) -> Result<Self, ReadError> {
        let path = RepositoryPath::parse(path)?;
        let id = self.directory(&path)?;
        Ok(Self { repository: self.repository.clone(), id, limits: self.limits })
    }

    /// Returns every file and symbolic link under a directory, by path from the root of this tree.
    ///
    /// # Errors
    /// When the directory is missing, a limit is passed, a name is unsafe, or a submodule is met.
    pub fn files(&self, path: &str) -> Result<BTreeMap<String, Entry>, ReadError> {
        let path = RepositoryPath::parse(path)?;
        let top = self.directory(&path)?;
        let mut files = BTreeMap::new();
        let mut met = 0;
        let mut pending = vec![(path.as_str().to_owned(), top, 0)];
        while let Some((directory, id, depth)) = pending.pop() {
            if depth > self.limits.depth_max {
                return Err(ReadError::TooDeep { path: directory, limit: self.limits.depth_max });
            }
            for entry in self.checked_entries(&directory, &id)? {
                met += 1;
                if met > self.limits.files_max {
                    return Err(ReadError::TooManyFiles { path: path.to_string(), limit: self.limits.files_max });
                }
                let full = join(&directory, &entry.name);
                match entry.kind {
                    EntryKind::Directory => pending.push((full, entry.id, depth + 1)),
                    EntryKind::Submodule => return Err(ReadError::Submodule { path: full }),
                    EntryKind::File | EntryKind::Executable | EntryKind::Link => {
                        files.insert(full, entry);
                    }
                }
            }
        }
        Ok(files)
    }

    fn not_found(&self, path: &RepositoryPath) -> ReadError {
        ReadError::NotFound { path: path.to_string(), tree: self.id }
    }

    fn directory(&self, path: &RepositoryPath) -> Result<TreeId, ReadError> {
        match self.find(path, LastLink::Follow)? {
            Found::Root => Ok(self.id),
            Found::Entry(entry) if entry.kind == EntryKind::Directory => Ok(entry.id),
            Found::Entry(entry) if entry.kind == EntryKind::Submodule => {
                Err(ReadError::Submodule { path: path.to_string() })
            }
            Found::Entry(_) => Err(ReadError::NotADirectory { path: path.to_string() }),
            Found::Nothing => Err(self.not_found(path)),
        }
    }

    fn checked_entries(&self, directory: &str, id: &TreeId) -> Result<Vec<Entry>, ReadError> {
        let checked = |entry: TreeEntry| {
            let printable = || String::from_utf8_lossy(&entry.name).escape_debug().to_string();
            let refuse = |why| ReadError::UnsafeName { directory: directory.to_owned(), name: printable(), why };
            let name = std::str::from_utf8(&entry.name).map_err(|_| refuse("it is not UTF-8"))?;
            check_name(name).map_err(refuse)?;
            Ok(Entry { name: name.to_owned(), kind: entry.kind, id: entry.id })
        };
        let entries = tree_entries(&self.repository, id)?;
        if entries.len() > self.limits.files_max {
            return Err(ReadError::TooManyFiles { path: directory.to_owned(), limit: self.limits.files_max });
        }
        entries.into_iter().map(checked).collect()
    }

    fn blob(&self, path: &str, id: &GitId, limit: u64) -> Result<Arc<[u8]>, ReadError> {
        let too_large = |size| ReadError::FileTooLarge { path: path.to_owned(), size, limit };
        let object = match self.repository.object(id) {
            Err(ObjectError::TooLarge { size, .. }) => return Err(too_large(size)),
            other => other?.expect(ObjectKind::Blob)?,
        };
        let size = object.bytes().len() as u64;
        if size > limit { Err(too_large(size)) } else { Ok(object.shared_bytes()) }
    }

    /// Walks from the root along `path`; a link is replaced by its target and the walk goes on from there.
    fn find(&self, path: &RepositoryPath, last_link: LastLink) -> Result<Found, ReadError> {
        let mut pending: VecDeque<String> = path.names().map(str::to_owned).collect();
        let mut parents: Vec<(String, TreeId)> = Vec::new();
        let mut here = self.id;
        let mut hops = 0;
        while let Some(name) = pending.pop_front() {
            if name == ".." {
                let Some((_, parent)) = parents.pop() else {
                    return Err(ReadError::LinkLeavesTree { path: path.to_string() });
                };
                here = parent;
                continue;
            }
            let Some(entry) = entry_named(&self.repository, &here, name.as_bytes())? else {
                return Ok(Found::Nothing);
            };
            let is_last = pending.is_empty();
            match entry.kind {
                EntryKind::Link if !(is_last && matches!(last_link, LastLink::Keep)) => {
                    hops += 1;
                    if hops > LINK_HOPS_MAX {
                        return Err(ReadError::LinkLoop { path: path.to_string() });
                    }
                    let link = parents.iter().map(|(name, _)| name.as_str()).chain([name.as_str()]).collect::<Vec<_>>();
                    let target = self.link_target(&link.join("/"), &entry.id)?;
                    target.into_iter().rev().for_each(|name| pending.push_front(name));
                }
                EntryKind::Directory => {
                    parents.push((name, here));
                    here = entry.id;
                    if is_last {
                        return Ok(Found::Entry(entry));
                    }
                }
                _ if is_last => return Ok(Found::Entry(entry)),
                EntryKind::Submodule => return Err(ReadError::Submodule { path: path.to_string() }),
                EntryKind::File | EntryKind::Executable | EntryKind::Link => return Ok(Found::Nothing),
            }
        }
        // A link whose last step is `..` ends at a directory that was already passed.
        if here == self.id && parents.is_empty() {
            return Ok(Found::Root);
        }
        Ok(Found::Entry(TreeEntry { name: Vec::new(), kind: EntryKind::Directory, id: here }))
    }

    fn link_target(&self, link: &str, id: &GitId) -> Result<Vec<String>, ReadError> {
        let leaves = || ReadError::LinkLeavesTree { path: link.to_owned() };
        let bytes = self.blob(link, id, LINK_BYTES_MAX)?;
        let text = std::str::from_utf8(&bytes).map_err(|_| leaves())?;
        if text.is_empty() || text.starts_with('/') {
            return Err(leaves());
        }
        let names = text.split('/').filter(|name| !name.is_empty() && *name != ".");
        names
            .map(|name| match name {
                ".." => Ok(name.to_owned()),
                _ => check_name(name).map(|()| name.to_owned()).map_err(|_| leaves()),
            })
            .collect()
    }
}

pub(crate) fn join(directory: &str, name: &str) -> String {
    if directory.is_empty() || directory == "." { name.to_owned() } else { format!("{directory}/{name}") }
}
