//! Commits that set images under a path, every other byte kept.

use std::collections::{BTreeMap, BTreeSet};

use env_promotion::{Artifact, ImageReference, TreeFile, Version, plan_edits};
use git_source::{Edit, EntryKind, GitId, ReadError, Repository, Tree};
use reconcile_core::SourceFailure;

use crate::git::{Inner, words};
use crate::git_commit::{Made, bounded};

impl Inner {
    /// Makes a commit on `base` that sets these images under `path`.
    pub(crate) fn set_images(
        &self,
        repository: &mut Repository,
        base: GitId,
        path: &str,
        images: &BTreeMap<String, String>,
        plan: &git_source::CommitPlan,
    ) -> Result<Made, SourceFailure> {
        let (artifacts, versions) = match wanted(images) {
            Ok(wanted) => wanted,
            Err(message) => return Ok(Made::Conflict(message)),
        };
        let tree = repository.tree_at(base).map_err(|error| self.failure("CommitFailed", &words(&error), false))?;
        let files = match files_of(&tree, path) {
            Ok(files) => files,
            Err(ReadError::NotFound { .. }) => {
                return Ok(Made::Conflict(format!("path `{path}` does not exist on the branch")));
            }
            Err(error) => return Err(self.failure("CommitFailed", &words(&error), false)),
        };
        let edits = match plan_edits(&files, path, &artifacts, &versions) {
            Ok(edits) => edits,
            Err(error) => return Ok(Made::Conflict(bounded(&words(&error)))),
        };
        if edits.is_empty() {
            return Ok(Made::Nothing);
        }
        let puts: Vec<Edit> = edits.files.into_iter().map(|edit| Edit::put(&edit.file, edit.after)).collect();
        self.made(repository.commit(Some(base), &puts, plan))
    }
}

/// Names the images as a pipeline would: by the last part of the repository where that is unique.
fn wanted(images: &BTreeMap<String, String>) -> Result<(Vec<Artifact>, Vec<Version>), String> {
    let (mut artifacts, mut versions) = (Vec::new(), Vec::new());
    let mut names = BTreeSet::new();
    for (number, (repository, reference)) in images.iter().enumerate() {
        let image = ImageReference::parse(reference).map_err(|error| error.to_string())?;
        let last = repository.rsplit('/').next().unwrap_or_default();
        let named = Version::of_image(last, &image).filter(|_| !names.contains(last));
        let version = named.or_else(|| Version::of_image(&format!("image-{number}"), &image));
        let version = version.ok_or_else(|| format!("image `{reference}` has neither tag nor digest"))?;
        names.insert(version.name.clone());
        artifacts.push(Artifact { name: version.name.clone(), image: repository.clone(), places: Vec::new() });
        versions.push(version);
    }
    Ok((artifacts, versions))
}

fn files_of(tree: &Tree, path: &str) -> Result<env_promotion::TreeFiles, ReadError> {
    let mut files = env_promotion::TreeFiles::new();
    for (name, entry) in tree.files(path)? {
        let file = match entry.kind {
            EntryKind::Link => TreeFile::Symlink(String::new()),
            EntryKind::Submodule => TreeFile::Submodule,
            EntryKind::File | EntryKind::Executable | EntryKind::Directory => {
                TreeFile::Regular(tree.read(&name)?.to_vec())
            }
        };
        files.insert(name, file);
    }
    Ok(files)
}
