//! A folder on disk as renderers read it: links are followed as long as they stay in the checkout.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use manifest_render::{Entry, EntryKind, Files, FilesError};

/// Folders looked at on the way up to the root of a checkout.
const PARENTS_MAX: usize = 64;
/// Folders that are remembered as real ones.
const REAL_FOLDERS_MAX: usize = 4_096;

/// A checkout, and the place in it that is looked at.
pub(crate) struct DiskFiles {
    root: PathBuf,
    /// Folders in the checkout that were reached without a link: what lies in them needs no look at its whole path.
    real_folders: RefCell<BTreeSet<PathBuf>>,
}

impl DiskFiles {
    /// Opens the checkout that holds `path`: the nearest folder above it with a `.git`, or its own folder. Returns the
    /// path inside the checkout too.
    pub(crate) fn around(path: &Path) -> std::io::Result<(Self, String)> {
        let path = path.canonicalize()?;
        let own = if path.is_dir() { path.as_path() } else { path.parent().unwrap_or(&path) };
        let root = own.ancestors().take(PARENTS_MAX).find(|folder| folder.join(".git").exists()).unwrap_or(own);
        let inside = path.strip_prefix(root).unwrap_or(Path::new("")).to_string_lossy().into_owned();
        Ok((Self { root: root.to_path_buf(), real_folders: RefCell::default() }, inside))
    }

    /// The real place of a path, when it is in the checkout.
    fn place(&self, path: &str) -> Result<PathBuf, FilesError> {
        let failed = |error: std::io::Error| match error.kind() {
            std::io::ErrorKind::NotFound => FilesError::NotFound { path: path.to_owned() },
            _ => FilesError::Failed { path: path.to_owned(), message: error.to_string() },
        };
        let wanted = self.root.join(path);
        let is_plain_name = wanted.file_name().is_some() && !path.ends_with('/');
        let is_below_real = wanted.parent().is_some_and(|parent| self.real_folders.borrow().contains(parent));
        if is_plain_name && is_below_real && !std::fs::symlink_metadata(&wanted).map_err(failed)?.is_symlink() {
            return Ok(wanted);
        }
        let place = wanted.canonicalize().map_err(failed)?;
        if !place.starts_with(&self.root) {
            return Err(FilesError::Outside { path: path.to_owned() });
        }
        Ok(place)
    }

    fn remember_real_folder(&self, wanted: PathBuf, place: &Path) {
        let mut folders = self.real_folders.borrow_mut();
        if wanted == place && folders.len() < REAL_FOLDERS_MAX {
            folders.insert(wanted);
        }
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
        self.remember_real_folder(self.root.join(directory), &place);
        let mut entries = Vec::new();
        for entry in std::fs::read_dir(place).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let kind = match entry.file_type() {
                Ok(kind) if kind.is_file() => EntryKind::File,
                Ok(kind) if kind.is_dir() => EntryKind::Directory,
                // A link counts as what it leads to, as long as that is in the checkout.
                _ => {
                    let path = if directory.is_empty() { name.clone() } else { format!("{directory}/{name}") };
                    match self.place(&path) {
                        Ok(place) if place.is_file() => EntryKind::File,
                        Ok(place) if place.is_dir() => EntryKind::Directory,
                        _ => EntryKind::Other,
                    }
                }
            };
            entries.push(Entry { name, kind });
        }
        Ok(entries)
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn links_are_followed_in_the_checkout_and_never_out_of_it() {
        let (inside, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (root, away) = (inside.path().canonicalize().unwrap(), outside.path().canonicalize().unwrap());
        std::fs::create_dir_all(root.join("real/below")).unwrap();
        std::fs::write(root.join("real/below/a"), "a").unwrap();
        std::fs::write(away.join("secret"), "s").unwrap();
        let link = |to: &Path, at: &str| std::os::unix::fs::symlink(to, root.join(at)).unwrap();
        link(&root.join("real/below"), "real/folder");
        link(&root.join("real/below/a"), "real/file");
        link(&away, "real/away");
        link(&away.join("secret"), "real/secret");
        let (files, path) = DiskFiles::around(&root).unwrap();
        assert_eq!(path, "");
        for listed_before in [false, true] {
            let kinds: Vec<(String, EntryKind)> =
                files.list("real").unwrap().into_iter().map(|entry| (entry.name, entry.kind)).collect();
            let kind = |name: &str| kinds.iter().find(|(known, _)| known == name).map(|(_, kind)| *kind);
            assert_eq!(kind("below"), Some(EntryKind::Directory));
            assert_eq!(kind("folder"), Some(EntryKind::Directory));
            assert_eq!(kind("file"), Some(EntryKind::File));
            assert_eq!(kind("away"), Some(EntryKind::Other));
            assert_eq!(kind("secret"), Some(EntryKind::Other));
            assert_eq!(files.list("real/folder").unwrap().len(), 1, "{listed_before}");
            for path in ["real/file", "real/folder/a", "real/below/a"] {
                assert_eq!(files.read(path).unwrap().as_ref(), b"a", "{path}");
            }
            for path in ["real/secret", "real/away/secret", "real/../../secret"] {
                assert!(files.read(path).is_err(), "{path}");
            }
            assert!(matches!(files.read("real/absent"), Err(FilesError::NotFound { .. })));
        }
    }
}
