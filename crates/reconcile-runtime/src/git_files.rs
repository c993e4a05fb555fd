//! The files of a commit as renderers read them.

use bytes::Bytes;
use git_source::{EntryKind, ReadError, Tree};
use manifest_render::{Entry, Files, FilesError};

/// A tree of a commit.
pub(crate) struct TreeFiles(pub(crate) Tree);

impl Files for TreeFiles {
    fn read(&self, path: &str) -> Result<Bytes, FilesError> {
        match self.0.read(path) {
            Ok(bytes) => Ok(Bytes::from_owner(bytes)),
            Err(error) => Err(files_error(path, error)),
        }
    }

    fn list(&self, directory: &str) -> Result<Vec<Entry>, FilesError> {
        let entries = self.0.list(directory).map_err(|error| files_error(directory, error))?;
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
    fn behind_link(&self, directory: &str, name: &str) -> manifest_render::EntryKind {
        let path = if directory.is_empty() { name.to_owned() } else { format!("{directory}/{name}") };
        match (self.0.read(&path), self.0.list(&path)) {
            (Ok(_), _) => manifest_render::EntryKind::File,
            (_, Ok(_)) => manifest_render::EntryKind::Directory,
            _ => manifest_render::EntryKind::Other,
        }
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
