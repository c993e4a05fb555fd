//! A folder on disk as renderers read it: links are followed as long as they stay in the checkout.

use std::path::{Path, PathBuf};

use manifest_render::{Entry, EntryKind, Files, FilesError};

/// Folders looked at on the way up to the root of a checkout.
const PARENTS_MAX: usize = 64;

/// A checkout, and the place in it that is looked at.
pub(crate) struct DiskFiles {
    root: PathBuf,
}

impl DiskFiles {
    /// Opens the checkout that holds `path`: the nearest folder above it with a `.git`, or its own folder. Returns the
    /// path inside the checkout too.
    pub(crate) fn around(path: &Path) -> std::io::Result<(Self, String)> {
        let path = path.canonicalize()?;
        let own = if path.is_dir() { path.as_path() } else { path.parent().unwrap_or(&path) };
        let root = own.ancestors().take(PARENTS_MAX).find(|folder| folder.join(".git").exists()).unwrap_or(own);
        let inside = path.strip_prefix(root).unwrap_or(Path::new("")).to_string_lossy().into_owned();
        Ok((Self { root: root.to_path_buf() }, inside))
    }

    /// The real place of a path, when it is in the checkout.
    fn place(&self, path: &str) -> Result<PathBuf, FilesError> {
        let failed = |error: std::io::Error| match error.kind() {
            std::io::ErrorKind::NotFound => FilesError::NotFound { path: path.to_owned() },
            _ => FilesError::Failed { path: path.to_owned(), message: error.to_string() },
        };
        let place = self.root.join(path).canonicalize().map_err(failed)?;
        if place.starts_with(&self.root) { Ok(place) } else { Err(FilesError::Outside { path: path.to_owned() }) }
    }
}

impl Files for DiskFiles {
    fn read(&self, path: &str) -> Result<bytes::Bytes, FilesError> {
        let place = self.place(path)?;
        if !place.is_file() {
            return Err(FilesError::WrongKind { path: path.to_owned(), wanted: "file" });
        }
        std::fs::read(place)
            .map(bytes::Bytes::from)
            .map_err(|error| FilesError::Failed { path: path.to_owned(), message: error.to_string() })
    }

    fn list(&self, directory: &str) -> Result<Vec<Entry>, FilesError> {
        let place = self.place(directory)?;
        if !place.is_dir() {
            return Err(FilesError::WrongKind { path: directory.to_owned(), wanted: "directory" });
        }
        let failed =
            |error: std::io::Error| FilesError::Failed { path: directory.to_owned(), message: error.to_string() };
        let mut entries = Vec::new();
        for entry in std::fs::read_dir(place).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name().to_string_lossy().into_owned();
            let path = if directory.is_empty() { name.clone() } else { format!("{directory}/{name}") };
            let kind = match self.place(&path) {
                Ok(place) if place.is_file() => EntryKind::File,
                Ok(place) if place.is_dir() => EntryKind::Directory,
                _ => EntryKind::Other,
            };
            entries.push(Entry { name, kind });
        }
        Ok(entries)
    }
}
