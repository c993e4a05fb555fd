//! Why no edit is planned, in words that name the place and the way out.

use std::fmt;

use yaml::{Diagnostic, EditError};

use super::TreePathError;
use crate::image::ImageError;

/// A scalar that could be meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The file.
    pub file: String,
    /// The line of the scalar.
    pub line: u32,
    /// The way to it.
    pub path: String,
}

impl fmt::Display for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{} {}", self.file, self.line, self.path)
    }
}

fn list<T: fmt::Display>(items: &[T]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn unread_text(unread: &[String]) -> String {
    if unread.is_empty() { String::new() } else { format!(" (not read: {})", unread.join(", ")) }
}

/// Why no edit is planned.
#[derive(Debug, thiserror::Error)]
pub enum PlanEditsError {
    /// The environment's path or a file name is not one.
    #[error(transparent)]
    Path(#[from] TreePathError),
    /// There are more files than an environment has.
    #[error("`{path}` has {count} files, at most 10000 are read")]
    TooManyFiles {
        /// The environment's path.
        path: String,
        /// How many there are.
        count: usize,
    },
    /// A version is not one of the pipeline's artifacts.
    #[error("`{name}` is not an artifact of the pipeline")]
    UnknownArtifact {
        /// The name.
        name: String,
    },
    /// The image of an artifact is malformed.
    #[error("the image of artifact `{name}` can't be read")]
    ArtifactImage {
        /// The name.
        name: String,
        /// What is wrong.
        source: ImageError,
    },
    /// No scalar says which version runs.
    #[error("no image of `{name}` ({image}) in `{path}`{}", unread_text(.unread))]
    NotFound {
        /// The name.
        name: String,
        /// The image.
        image: String,
        /// The environment's path.
        path: String,
        /// Files that could not be read, with the reason.
        unread: Vec<String>,
    },
    /// Several scalars could be meant.
    #[error("`{name}` could be any of {}; name the place in the pipeline or mark it with `# sluice: {name}`", list(.candidates))]
    Ambiguous {
        /// The name.
        name: String,
        /// The scalars.
        candidates: Vec<Candidate>,
    },
    /// A file that must be edited is a symbolic link or a submodule.
    #[error("`{file}` is {what}, it is not edited")]
    NotAFile {
        /// The file.
        file: String,
        /// What it is.
        what: &'static str,
    },
    /// A file that must be edited is not text.
    #[error("`{file}` is not a text file")]
    NotText {
        /// The file.
        file: String,
    },
    /// A file that must be edited is too large.
    #[error("`{file}` is larger than 4 MiB")]
    TooLarge {
        /// The file.
        file: String,
    },
    /// A file that must be edited is not there.
    #[error("`{file}` is not there")]
    NoFile {
        /// The file.
        file: String,
    },
    /// A file that must be edited is not YAML.
    #[error("`{file}` can't be read: {first}")]
    Read {
        /// The file.
        file: String,
        /// The first fault.
        first: Diagnostic,
    },
    /// The scalar holds something that the version does not have.
    #[error("{candidate} holds a {what}, version `{version}` has none")]
    MissingPart {
        /// The scalar.
        candidate: Box<Candidate>,
        /// Tag or digest.
        what: &'static str,
        /// The version.
        version: String,
    },
    /// The value is not what its place says.
    #[error("{candidate} is not an image reference")]
    NotAnImage {
        /// The scalar.
        candidate: Box<Candidate>,
        /// What is wrong.
        source: ImageError,
    },
    /// Two versions are to be written into one scalar.
    #[error("{candidate} is claimed by `{first}` and `{second}`")]
    Overlap {
        /// The scalar.
        candidate: Box<Candidate>,
        /// One version.
        first: String,
        /// The other.
        second: String,
    },
    /// The editor refused.
    #[error("`{file}` is not edited")]
    Edit {
        /// The file.
        file: String,
        /// Why.
        source: EditError,
    },
    /// More than the planned lines would change.
    #[error("the edit of `{file}` would change line {line} too")]
    Spill {
        /// The file.
        file: String,
        /// The line.
        line: usize,
    },
}
