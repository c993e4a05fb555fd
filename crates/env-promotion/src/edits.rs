//! Edits the image of one environment in its files, and nothing else in them.
//!
//! A plan finds the scalars that say which version runs, replaces exactly their bytes and reads the result again. What
//! is not certain is refused: two places that could be meant, a symbolic link, a file that is not text, a tag without
//! the digest that the file pins.

mod error;
mod find;
mod marker;
mod tree_path;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use yaml::Edit;

use crate::image::ImageReference;
use crate::version::Version;

pub use error::{Candidate, PlanEditsError};
pub(crate) use find::Found;
pub use tree_path::{TreePathError, check_tree_path};

/// One file of a Git tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TreeFile {
    /// A file with its bytes.
    Regular(Vec<u8>),
    /// A symbolic link with its target.
    Symlink(String),
    /// A submodule.
    Submodule,
}

/// The files of a tree by their path from its root.
pub type TreeFiles = BTreeMap<String, TreeFile>;

/// Larger files hold no manifests that people edit.
const FILE_BYTES_MAX: usize = 4 << 20;

/// More files than an environment has.
const FILES_MAX: usize = 10_000;

/// Which part of an image reference a scalar holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Part {
    /// All of it: `registry/repository:tag@digest`.
    Image,
    /// The tag.
    Tag,
    /// The digest.
    Digest,
}

/// Where a version stands in an environment's files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum EditPlace {
    /// The image of one container of one workload.
    Container {
        /// Kind of the workload.
        kind: String,
        /// Name of the workload.
        name: String,
        /// Name of the container.
        container: String,
    },
    /// `newTag` and `digest` of the image's entry in kustomization files.
    Kustomization,
    /// A value of a file, such as `image.tag` of `values.yaml`.
    Values {
        /// The file, from the environment's path.
        file: String,
        /// The dotted path of the value.
        path: String,
        /// What the value holds.
        part: Part,
    },
    /// Scalars with a comment `# sluice: NAME`, `# sluice: NAME:tag` or Flux's `# {"$imagepolicy": "ns:NAME:tag"}`.
    Marker,
}

/// Something that is promoted: an image under a name, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Artifact {
    /// The name in the pipeline.
    pub name: String,
    /// The repository of the image.
    pub image: String,
    /// The places; when empty, markers are looked for, then kustomization entries, then containers.
    #[serde(default, rename = "edit")]
    pub places: Vec<EditPlace>,
}

/// One scalar that changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EditedField {
    /// The name of the version.
    pub version: String,
    /// The file.
    pub file: String,
    /// The document in the file, counted from 0.
    pub document: usize,
    /// The way to the scalar, as messages write it.
    pub path: String,
    /// The text before.
    pub before: String,
    /// The text after.
    pub after: String,
}

/// The new content of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileEdit {
    /// The file.
    pub file: String,
    /// The bytes before.
    pub before: Vec<u8>,
    /// The bytes after.
    pub after: Vec<u8>,
}

/// What a promotion writes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FileEdits {
    /// The changed files, in order; none when every version is there already.
    pub files: Vec<FileEdit>,
    /// The changed scalars, in order.
    pub fields: Vec<EditedField>,
    /// Each promoted version with the one that was there before.
    pub versions: Vec<(Option<Version>, Version)>,
}

impl FileEdits {
    /// Whether the files say it already.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// Returns the first field of an earlier plan whose value has changed since: somebody decided otherwise in the
    /// meantime, and this plan must not be written over that.
    pub fn overtaken<'a>(&self, earlier: &'a Self) -> Option<&'a EditedField> {
        let key = |field: &EditedField| (field.file.clone(), field.document, field.path.clone());
        let now: BTreeMap<_, &str> = self.fields.iter().map(|field| (key(field), field.before.as_str())).collect();
        earlier.fields.iter().find(|field| now.get(&key(field)) != Some(&field.before.as_str()))
    }
}

/// Plans the edits that bring `versions` into the files below `path`.
///
/// # Errors
/// When a place is missing, ambiguous or can't be edited safely; nothing is planned then.
pub fn plan_edits(
    files: &TreeFiles,
    path: &str,
    artifacts: &[Artifact],
    versions: &[Version],
) -> Result<FileEdits, PlanEditsError> {
    let tree = find::Tree::read(files, path)?;
    let mut planned: BTreeMap<_, (Found, String, String)> = BTreeMap::new();
    let mut result = FileEdits::default();
    for version in versions {
        let artifact = artifacts.iter().find(|artifact| artifact.name == version.name);
        let artifact = artifact.ok_or_else(|| PlanEditsError::UnknownArtifact { name: version.name.clone() })?;
        let found = find::places_of(&tree, artifact)?;
        result.versions.push((version_in(&found, &artifact.name), version.clone()));
        for place in found {
            let after = new_text(&place, version)?;
            let key = (place.file.clone(), place.document, place.path.clone());
            match planned.get(&key) {
                Some((_, _, first)) if *first != version.name => {
                    let (first, second) = (first.clone(), version.name.clone());
                    return Err(PlanEditsError::Overlap { candidate: Box::new(place.candidate()), first, second });
                }
                _ => planned.insert(key, (place, after, version.name.clone())),
            };
        }
    }
    let mut by_file: BTreeMap<&str, Vec<(&Found, &str)>> = BTreeMap::new();
    for (place, after, version) in planned.values().filter(|(place, after, _)| !place.says(after)) {
        by_file.entry(&place.file).or_default().push((place, after));
        result.fields.push(EditedField {
            version: version.clone(),
            file: place.file.clone(),
            document: place.document,
            path: place.path_text(),
            before: place.text(),
            after: after.clone(),
        });
    }
    for (file, edits) in by_file {
        result.files.push(edit_file(&tree, file, &edits)?);
    }
    Ok(result)
}

/// Returns the version that the files below `path` have of each artifact; `None` where it can't be told.
///
/// # Errors
/// When the path is not one, or a place is missing or ambiguous.
pub fn versions_at(
    files: &TreeFiles,
    path: &str,
    artifacts: &[Artifact],
) -> Result<Vec<(String, Option<Version>)>, PlanEditsError> {
    let tree = find::Tree::read(files, path)?;
    let version = |artifact: &Artifact| {
        let found = find::places_of(&tree, artifact)?;
        Ok((artifact.name.clone(), version_in(&found, &artifact.name)))
    };
    artifacts.iter().map(version).collect()
}

/// The version that the found scalars say together.
fn version_in(found: &[Found], name: &str) -> Option<Version> {
    let (mut tag, mut digest) = (None, None);
    for place in found {
        let text = place.text();
        match place.part {
            Part::Tag => tag = Some(text),
            Part::Digest => digest = Some(text),
            Part::Image => {
                let image = ImageReference::parse(&text).ok()?;
                tag = image.tag.or(tag);
                digest = image.digest.or(digest);
            }
        }
    }
    Version::new(name, tag.as_deref(), digest.as_deref()).ok()
}

/// The text that a scalar gets.
fn new_text(place: &Found, version: &Version) -> Result<String, PlanEditsError> {
    let missing = |what| PlanEditsError::MissingPart {
        candidate: Box::new(place.candidate()),
        what,
        version: version.to_string(),
    };
    match place.part {
        Part::Tag => version.tag.clone().ok_or_else(|| missing("tag")),
        Part::Digest => version.digest.clone().ok_or_else(|| missing("digest")),
        Part::Image => {
            let image = ImageReference::parse(&place.text())
                .map_err(|source| PlanEditsError::NotAnImage { candidate: Box::new(place.candidate()), source })?;
            // A digest without its new value would go on to pin the old image, so it goes with the old tag.
            Ok(image.with_version(version.tag.as_deref(), version.digest.as_deref()).to_string())
        }
    }
}

fn edit_file(tree: &find::Tree<'_>, file: &str, edits: &[(&Found, &str)]) -> Result<FileEdit, PlanEditsError> {
    let before = tree.text(file)?;
    let scalars: Vec<Edit> = edits
        .iter()
        .map(|(place, after)| Edit { document: place.document, path: place.path.clone(), value: Value::from(*after) })
        .collect();
    let after =
        yaml::set_scalars(before, &scalars).map_err(|source| PlanEditsError::Edit { file: file.to_owned(), source })?;
    let lines: BTreeSet<usize> = edits.iter().filter_map(|(place, _)| usize::try_from(place.line).ok()).collect();
    if let Some(line) = spilled(before, &after, &lines) {
        return Err(PlanEditsError::Spill { file: file.to_owned(), line });
    }
    Ok(FileEdit { file: file.to_owned(), before: before.as_bytes().to_vec(), after: after.into_bytes() })
}

/// The first line that differs and was not to be edited. The editor has compared the values; this compares the bytes.
fn spilled(before: &str, after: &str, edited: &BTreeSet<usize>) -> Option<usize> {
    let (before, after): (Vec<&str>, Vec<&str>) = (before.split('\n').collect(), after.split('\n').collect());
    if before.len() != after.len() {
        return Some(before.len().min(after.len()));
    }
    let differs = |(index, (before, after)): (usize, (&&str, &&str))| (before != after).then_some(index + 1);
    before.iter().zip(&after).enumerate().filter_map(differs).find(|line| !edited.contains(line))
}
