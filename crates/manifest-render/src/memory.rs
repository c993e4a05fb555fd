//! A tree of files in memory, for tests, examples and generated sources.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use crate::files::{Entry, EntryKind, Files, FilesError};
use crate::path::{join, split};

/// Links followed before a path is called circular.
const LINKS_MAX: usize = 40;

/// Files held in a map from path to content.
#[derive(Debug, Clone, Default)]
pub struct MemoryFiles {
    files: BTreeMap<String, Node>,
}

#[derive(Debug, Clone)]
enum Node {
    File(Bytes),
    Link(String),
}

impl MemoryFiles {
    /// Returns an empty tree.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a file. The path is taken as it is, without normalising.
    #[must_use]
    pub fn with(mut self, path: &str, content: impl AsRef<[u8]>) -> Self {
        self.insert(path, Bytes::copy_from_slice(content.as_ref()));
        self
    }

    /// Adds a symbolic link; the target is relative to the directory of `path`.
    #[must_use]
    pub fn with_link(mut self, path: &str, target: &str) -> Self {
        self.files.insert(path.to_owned(), Node::Link(target.to_owned()));
        self
    }

    /// Adds or replaces a file.
    pub fn insert(&mut self, path: &str, content: Bytes) {
        self.files.insert(path.to_owned(), Node::File(content));
    }

    /// Follows links in every part of a path.
    fn resolve(&self, path: &str) -> Result<String, FilesError> {
        let mut current = path.to_owned();
        for _ in 0..LINKS_MAX {
            let Some(next) = self.follow_first_link(&current)? else { return Ok(current) };
            current = next;
        }
        Err(FilesError::Outside { path: path.to_owned() })
    }

    fn follow_first_link(&self, path: &str) -> Result<Option<String>, FilesError> {
        let ends = path.match_indices('/').map(|(at, _)| at).chain([path.len()]);
        for end in ends {
            let (head, tail) = path.split_at(end);
            if let Some(Node::Link(target)) = self.files.get(head) {
                let outside = |_| FilesError::Outside { path: path.to_owned() };
                let led_to = join(split(head).0, target).map_err(outside)?;
                return Ok(Some(format!("{led_to}{tail}").trim_start_matches('/').to_owned()));
            }
        }
        Ok(None)
    }

    fn kind(&self, path: &str) -> EntryKind {
        match self.resolve(path) {
            Ok(path) if self.files.contains_key(&path) => EntryKind::File,
            Ok(path) if self.is_directory(&path) => EntryKind::Directory,
            _ => EntryKind::Other,
        }
    }

    fn is_directory(&self, path: &str) -> bool {
        path.is_empty() || self.below(path).next().is_some()
    }

    /// The paths below a directory, relative to it.
    fn below<'a>(&'a self, directory: &str) -> impl Iterator<Item = &'a str> {
        let prefix = if directory.is_empty() { String::new() } else { format!("{directory}/") };
        self.files.range(prefix.clone()..).map_while(move |(path, _)| path.strip_prefix(prefix.as_str()))
    }
}

impl Files for MemoryFiles {
    fn read(&self, path: &str) -> Result<Bytes, FilesError> {
        let resolved = self.resolve(path)?;
        match self.files.get(&resolved) {
            Some(Node::File(content)) => Ok(content.clone()),
            _ if self.is_directory(&resolved) => Err(FilesError::WrongKind { path: path.to_owned(), wanted: "file" }),
            _ => Err(FilesError::NotFound { path: path.to_owned() }),
        }
    }

    fn list(&self, directory: &str) -> Result<Vec<Entry>, FilesError> {
        let resolved = self.resolve(directory)?;
        if self.files.contains_key(&resolved) {
            return Err(FilesError::WrongKind { path: directory.to_owned(), wanted: "directory" });
        }
        if !self.is_directory(&resolved) {
            return Err(FilesError::NotFound { path: directory.to_owned() });
        }
        let names: BTreeSet<&str> = self.below(&resolved).map(|path| path.split('/').next().unwrap_or(path)).collect();
        let full = |name: &str| if resolved.is_empty() { name.to_owned() } else { format!("{resolved}/{name}") };
        Ok(names.into_iter().map(|name| Entry { name: name.to_owned(), kind: self.kind(&full(name)) }).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_followed_inside_the_tree_only() {
        let files = MemoryFiles::new()
            .with("base/a.yaml", "a")
            .with_link("qa/base", "../base")
            .with_link("qa/out", "../../etc/passwd")
            .with_link("qa/loop", "loop");
        assert_eq!(files.read("qa/base/a.yaml").unwrap(), "a");
        assert_eq!(files.read("qa/out"), Err(FilesError::Outside { path: "qa/out".to_owned() }));
        assert_eq!(files.read("qa/loop"), Err(FilesError::Outside { path: "qa/loop".to_owned() }));
        let kinds: Vec<_> = files.list("qa").unwrap().into_iter().map(|entry| (entry.name, entry.kind)).collect();
        assert_eq!(
            kinds,
            [
                ("base".to_owned(), EntryKind::Directory),
                ("loop".to_owned(), EntryKind::Other),
                ("out".to_owned(), EntryKind::Other)
            ]
        );
    }
}
