//! The files of a commit as renderers read them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use git_source::{EntryKind, ReadError, Tree};
use manifest_render::{Entry, Files, FilesError};
use object_model::Masks;

use crate::chart_fetch::PackedChart;
use crate::shared::lock;
use crate::sops::{self, SopsKeys};

/// A tree of a commit. What SOPS encrypted is read in the clear, with the keys of the config.
pub(crate) struct TreeFiles {
    tree: Tree,
    keys: Option<Arc<SopsKeys>>,
    /// Texts that were decrypted.
    texts: Mutex<Vec<String>>,
}

impl Files for TreeFiles {
    fn read(&self, path: &str) -> Result<Bytes, FilesError> {
        let bytes = self.tree.read(path).map_err(|error| files_error(path, error))?;
        match sops::decrypt(path, &bytes, self.keys.as_deref()) {
            None => Ok(Bytes::from_owner(bytes)),
            Some(Ok(decrypted)) => {
                lock(&self.texts).extend(decrypted.texts);
                Ok(Bytes::from(decrypted.content))
            }
            Some(Err(error)) => Err(FilesError::Failed { path: path.to_owned(), message: error.to_string() }),
        }
    }

    fn list(&self, directory: &str) -> Result<Vec<Entry>, FilesError> {
        let entries = self.tree.list(directory).map_err(|error| files_error(directory, error))?;
        let kind = |entry: &git_source::Entry| match entry.kind {
            EntryKind::File | EntryKind::Executable => manifest_render::EntryKind::File,
            EntryKind::Directory => manifest_render::EntryKind::Directory,
            EntryKind::Link => self.behind_link(directory, &entry.name),
            EntryKind::Submodule => manifest_render::EntryKind::Other,
        };
        Ok(entries.iter().map(|entry| Entry { name: entry.name.clone(), kind: kind(entry) }).collect())
    }
}

impl TreeFiles {
    pub(crate) fn new(tree: Tree, keys: Option<Arc<SopsKeys>>) -> Self {
        Self { tree, keys, texts: Mutex::default() }
    }

    fn behind_link(&self, directory: &str, name: &str) -> manifest_render::EntryKind {
        let path = if directory.is_empty() { name.to_owned() } else { format!("{directory}/{name}") };
        match (self.tree.read(&path), self.tree.list(&path)) {
            (Ok(_), _) => manifest_render::EntryKind::File,
            (_, Ok(_)) => manifest_render::EntryKind::Directory,
            _ => manifest_render::EntryKind::Other,
        }
    }
}

/// A tree with packed charts that were fetched, at places of their own.
pub(crate) struct WithCharts {
    tree: TreeFiles,
    charts: BTreeMap<String, Arc<PackedChart>>,
}

impl WithCharts {
    pub(crate) fn new(tree: TreeFiles, charts: BTreeMap<String, Arc<PackedChart>>) -> Self {
        Self { tree, charts }
    }

    /// What is not to be shown of what was read.
    pub(crate) fn masks(&self) -> Masks {
        Masks::new(lock(&self.tree.texts).iter().map(String::as_str))
    }

    /// Whether a path is not of the tree but of a fetched chart.
    pub(crate) fn is_fetched(&self, path: &str) -> bool {
        self.charts.contains_key(path)
    }
}

impl Files for WithCharts {
    fn read(&self, path: &str) -> Result<Bytes, FilesError> {
        match self.charts.get(path) {
            Some(chart) => Ok(chart.data.clone()),
            None => self.tree.read(path),
        }
    }

    fn list(&self, directory: &str) -> Result<Vec<Entry>, FilesError> {
        let prefix = if directory.is_empty() { String::new() } else { format!("{directory}/") };
        let mut added = BTreeMap::new();
        for path in self.charts.keys() {
            match path.strip_prefix(&prefix).map(|rest| rest.split_once('/').ok_or(rest)) {
                Some(Err(name)) => added.insert(name.to_owned(), manifest_render::EntryKind::File),
                Some(Ok((folder, _))) => added.insert(folder.to_owned(), manifest_render::EntryKind::Directory),
                None => None,
            };
        }
        let mut entries = match self.tree.list(directory) {
            Ok(entries) => entries,
            Err(FilesError::NotFound { .. }) if !added.is_empty() => Vec::new(),
            Err(error) => return Err(error),
        };
        entries.retain(|entry| added.get(&entry.name) != Some(&manifest_render::EntryKind::File));
        added.retain(|name, _| !entries.iter().any(|entry| entry.name == *name));
        entries.extend(added.into_iter().map(|(name, kind)| Entry { name, kind }));
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }
}

fn files_error(path: &str, error: ReadError) -> FilesError {
    let path = path.to_owned();
    match error {
        ReadError::NotFound { .. } => FilesError::NotFound { path },
        ReadError::NotAFile { .. } => FilesError::WrongKind { path, wanted: "file" },
        ReadError::NotADirectory { .. } => FilesError::WrongKind { path, wanted: "directory" },
        ReadError::LinkLeavesTree { .. } | ReadError::LinkLoop { .. } => FilesError::Outside { path },
        ReadError::FileTooLarge { .. } => FilesError::TooLarge { path },
        other => FilesError::Failed { path, message: crate::git::words(&other) },
    }
}
