//! What to render and how.

/// A path of a tree and how to read it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Source {
    /// Directory or file, relative to the root of the tree.
    pub path: String,
    /// How to read it.
    pub kind: Kind,
    /// Patterns of files to read, relative to `path`; empty for all.
    pub include: Vec<String>,
    /// Patterns of files to leave out, relative to `path`; they win over `include`.
    pub exclude: Vec<String>,
}

/// How a source is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Kind {
    /// Each file as its name says: `.yaml`, `.yml` and `.json` are manifests.
    #[default]
    Auto,
    /// Manifests only.
    Plain,
}

impl Source {
    /// Returns the source at a path, read as its files say.
    pub fn at(path: &str) -> Self {
        Self { path: path.to_owned(), ..Self::default() }
    }
}
