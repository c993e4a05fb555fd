//! What rendering reads from.

use bytes::Bytes;

/// A read-only tree of files, for example a Git tree at one revision.
///
/// Paths are as [`normalize`](crate::normalize) returns them. An implementation follows symbolic links inside the tree
/// itself and answers [`FilesError::Outside`] for one that leads out.
pub trait Files {
    /// Returns the content of a file.
    ///
    /// # Errors
    /// When there is no such file or it can't be read.
    fn read(&self, path: &str) -> Result<Bytes, FilesError>;

    /// Returns what a directory holds, in any order; the root is the empty path.
    ///
    /// # Errors
    /// When there is no such directory or it can't be read.
    fn list(&self, directory: &str) -> Result<Vec<Entry>, FilesError>;
}

/// One name in a directory. A link inside the tree is listed as what it leads to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// The name without its directory.
    pub name: String,
    /// What it is.
    pub kind: EntryKind,
}

/// What a name in a directory stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum EntryKind {
    /// A file.
    File,
    /// A directory.
    Directory,
    /// Something that can't be read: a link out of the tree, a dangling link, a submodule.
    Other,
}

/// Why a path could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FilesError {
    /// There is nothing at the path.
    #[error("`{path}` does not exist")]
    NotFound {
        /// The path.
        path: String,
    },
    /// A directory was asked for as a file, or the other way round.
    #[error("`{path}` is not a {wanted}")]
    WrongKind {
        /// The path.
        path: String,
        /// What was asked for.
        wanted: &'static str,
    },
    /// A link leads out of the tree, or in circles.
    #[error("`{path}` is a link that leads out of the tree or in circles")]
    Outside {
        /// The path.
        path: String,
    },
    /// The file is larger than the tree hands out.
    #[error("`{path}` is too large")]
    TooLarge {
        /// The path.
        path: String,
    },
    /// The tree itself failed.
    #[error("`{path}` could not be read: {message}")]
    Failed {
        /// The path.
        path: String,
        /// What the tree said.
        message: String,
    },
}
