//! Reads that are counted and remembered.

use std::cell::RefCell;
use std::collections::BTreeSet;

use bytes::Bytes;

use crate::budget::{Budget, BudgetError, Exhausted};
use crate::files::{Entry, EntryKind, Files, FilesError};
use crate::path::{join, normalize, split};
use crate::render::RenderError;

/// Folders below the source path.
const FOLDER_DEPTH_MAX: usize = 64;

/// A tree under a budget; remembers every path that was asked for.
pub(crate) struct Tree<'a> {
    files: &'a dyn Files,
    budget: &'a Budget,
    read: RefCell<BTreeSet<String>>,
    listed: RefCell<BTreeSet<String>>,
}

impl<'a> Tree<'a> {
    pub(crate) fn new(files: &'a dyn Files, budget: &'a Budget) -> Self {
        Self { files, budget, read: RefCell::default(), listed: RefCell::default() }
    }

    pub(crate) fn budget(&self) -> &'a Budget {
        self.budget
    }

    /// Whether a file was read already.
    pub(crate) fn has_read(&self, path: &str) -> bool {
        self.read.borrow().contains(path)
    }

    /// Reads a file that need not exist.
    pub(crate) fn read_if_present(&self, path: &str) -> Result<Option<Bytes>, RenderError> {
        match self.read(path) {
            Ok(content) => Ok(Some(content)),
            Err(RenderError::PathMissing { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether there is a file, by the listing of its directory.
    pub(crate) fn holds(&self, path: &str) -> bool {
        let (directory, name) = split(path);
        self.listed.borrow_mut().insert(directory.to_owned());
        // Whoever reads the source lists the directory again, and says so when it is a file or not there.
        let entries = self.files.list(directory).unwrap_or_default();
        entries.iter().any(|entry| entry.name == name && entry.kind == EntryKind::File)
    }

    /// The files and the directories that were asked for, sorted.
    pub(crate) fn into_paths(self) -> (Vec<String>, Vec<String>) {
        (self.read.into_inner().into_iter().collect(), self.listed.into_inner().into_iter().collect())
    }

    /// Reads a file; the path is already in its one form.
    pub(crate) fn read(&self, path: &str) -> Result<Bytes, RenderError> {
        self.budget.file().map_err(|what| spent(path, what))?;
        self.read.borrow_mut().insert(path.to_owned());
        let content = self.files.read(path).map_err(|source| read_error(path, source))?;
        self.budget.read(content.len()).map_err(|what| spent(path, what))?;
        Ok(content)
    }

    /// Lists a directory, sorted by name.
    pub(crate) fn list(&self, directory: &str) -> Result<Vec<Entry>, RenderError> {
        self.budget.file().map_err(|what| spent(directory, what))?;
        self.listed.borrow_mut().insert(directory.to_owned());
        let mut entries = self.files.list(directory).map_err(|source| read_error(directory, source))?;
        entries.sort();
        Ok(entries)
    }

    /// All files at and below a path, sorted; names that begin with a dot are left out below it.
    ///
    /// A path that is a file gives that file.
    pub(crate) fn walk(&self, path: &str) -> Result<Walk, RenderError> {
        let root = normalize(path).map_err(RenderError::Path)?;
        let mut walk = Walk { root, ..Walk::default() };
        if self.is_file(&walk.root)? {
            walk.files.push(walk.root.clone());
            walk.root = split(&walk.root).0.to_owned();
            return Ok(walk);
        }
        let mut open = vec![(walk.root.clone(), 0)];
        while let Some((directory, depth)) = open.pop() {
            if depth > FOLDER_DEPTH_MAX {
                let what = Exhausted::Depth(u32::try_from(FOLDER_DEPTH_MAX).unwrap_or(u32::MAX));
                return Err(spent(&directory, what));
            }
            for Entry { name, kind } in self.list(&directory)? {
                if name.starts_with('.') {
                    continue;
                }
                let path = join(&directory, &name).map_err(RenderError::Path)?;
                match kind {
                    EntryKind::File => walk.files.push(path),
                    EntryKind::Directory => open.push((path, depth + 1)),
                    EntryKind::Other => walk.unreadable.push(path),
                }
            }
        }
        walk.files.sort();
        walk.unreadable.sort();
        Ok(walk)
    }

    /// Whether a path is a file, by the listing of its parent, so that no content is read to find out.
    fn is_file(&self, path: &str) -> Result<bool, RenderError> {
        if path.is_empty() {
            return Ok(false);
        }
        match self.files.list(path) {
            Ok(_) => Ok(false),
            Err(FilesError::WrongKind { .. }) => Ok(true),
            Err(source) => {
                self.listed.borrow_mut().insert(path.to_owned());
                Err(read_error(path, source))
            }
        }
    }
}

/// What a walk found.
#[derive(Debug, Default)]
pub(crate) struct Walk {
    /// The directory that patterns are relative to.
    pub(crate) root: String,
    pub(crate) files: Vec<String>,
    /// Links out of the tree and submodules.
    pub(crate) unreadable: Vec<String>,
}

impl Walk {
    /// A path relative to the root of the walk.
    pub(crate) fn relative<'p>(&self, path: &'p str) -> &'p str {
        path.strip_prefix(self.root.as_str()).map_or(path, |rest| rest.trim_start_matches('/'))
    }
}

/// The error of a spent budget at a place.
pub(crate) fn spent(place: &str, what: Exhausted) -> RenderError {
    let place = if place.is_empty() { "." } else { place };
    RenderError::Budget(BudgetError { place: place.to_owned(), what })
}

fn read_error(path: &str, source: FilesError) -> RenderError {
    match source {
        FilesError::NotFound { .. } => RenderError::PathMissing { path: path.to_owned() },
        source => RenderError::Read { path: path.to_owned(), source },
    }
}
