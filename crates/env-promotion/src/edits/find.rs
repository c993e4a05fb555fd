//! Finds the scalars that say which version of an image an environment runs.

use std::collections::BTreeMap;

use serde_json::Value;
use yaml::{Document, Step};

use super::{
    Artifact, Candidate, EditPlace, FILE_BYTES_MAX, FILES_MAX, Part, PlanEditsError, TreeFile, TreeFiles, marker,
    tree_path,
};
use crate::image::ImageReference;

/// One scalar that holds a version or a part of it.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    pub(crate) file: String,
    pub(crate) document: usize,
    pub(crate) path: Vec<Step>,
    pub(crate) line: u32,
    pub(crate) value: Value,
    pub(crate) part: Part,
}

impl Found {
    pub(crate) fn text(&self) -> String {
        match &self.value {
            Value::String(text) => text.clone(),
            Value::Null => String::new(),
            other => other.to_string(),
        }
    }

    /// Whether the scalar has this text already; a number such as `1.10` only looks as if it had.
    pub(crate) fn says(&self, text: &str) -> bool {
        self.value.as_str() == Some(text)
    }

    pub(crate) fn path_text(&self) -> String {
        let text: String = self.path.iter().map(ToString::to_string).collect();
        text.strip_prefix('.').map(str::to_owned).unwrap_or(text)
    }

    pub(crate) fn candidate(&self) -> Candidate {
        Candidate { file: self.file.clone(), line: self.line, path: self.path_text() }
    }
}

/// The readable YAML files below an environment's path.
pub(crate) struct Tree<'a> {
    path: String,
    files: &'a TreeFiles,
    parsed: BTreeMap<&'a str, Vec<Document>>,
    unread: Vec<String>,
}

impl<'a> Tree<'a> {
    pub(crate) fn read(files: &'a TreeFiles, path: &str) -> Result<Self, PlanEditsError> {
        let path = tree_path::check_tree_path(path)?;
        let below = if path.is_empty() { String::new() } else { format!("{path}/") };
        let inside: Vec<(&'a String, &'a TreeFile)> =
            files.iter().filter(|(file, _)| file.starts_with(&below)).collect();
        if inside.len() > FILES_MAX {
            return Err(PlanEditsError::TooManyFiles { path, count: inside.len() });
        }
        let mut tree = Self { path, files, parsed: BTreeMap::new(), unread: Vec::new() };
        for (file, content) in inside.into_iter().filter(|(file, _)| is_yaml(file)) {
            match content {
                TreeFile::Regular(bytes) => tree.read_file(file, bytes),
                TreeFile::Symlink(_) => tree.unread.push(format!("{file} is a symbolic link")),
                TreeFile::Submodule => {}
            }
        }
        Ok(tree)
    }

    /// A file that can't be read, such as a Helm template, holds no place that could be edited; it is only named.
    fn read_file(&mut self, file: &'a str, bytes: &'a [u8]) {
        let Some(text) = text_of(bytes) else {
            self.unread.push(format!("{file} is not text"));
            return;
        };
        match yaml::parse(text) {
            Ok(documents) => {
                self.parsed.insert(file, documents);
            }
            Err(faults) => {
                let first = faults.first().map(ToString::to_string).unwrap_or_default();
                self.unread.push(format!("{file}:{first}"));
            }
        }
    }

    /// The text of a file that will be edited.
    pub(crate) fn text(&self, file: &str) -> Result<&'a str, PlanEditsError> {
        let name = || file.to_owned();
        match self.files.get(file) {
            None => Err(PlanEditsError::NoFile { file: name() }),
            Some(TreeFile::Symlink(_)) => Err(PlanEditsError::NotAFile { file: name(), what: "a symbolic link" }),
            Some(TreeFile::Submodule) => Err(PlanEditsError::NotAFile { file: name(), what: "a submodule" }),
            Some(TreeFile::Regular(bytes)) if bytes.len() > FILE_BYTES_MAX => {
                Err(PlanEditsError::TooLarge { file: name() })
            }
            Some(TreeFile::Regular(bytes)) => text_of(bytes).ok_or_else(|| PlanEditsError::NotText { file: name() }),
        }
    }

    fn scalar(&self, file: &str, document: &Document, path: Vec<Step>, part: Part) -> Option<Found> {
        let value = document.get(&path)?.clone();
        let line = document.position(&path)?.line;
        let is_scalar = !value.is_array() && !value.is_object();
        is_scalar.then(|| Found { file: file.to_owned(), document: document.index, path, line, value, part })
    }
}

fn text_of(bytes: &[u8]) -> Option<&str> {
    if bytes.len() > FILE_BYTES_MAX || bytes.contains(&0) { None } else { std::str::from_utf8(bytes).ok() }
}

fn is_yaml(file: &str) -> bool {
    [".yaml", ".yml", ".json"].iter().any(|end| file.ends_with(end)) || file.rsplit('/').next() == Some("Kustomization")
}

/// The scalars that hold the version of an artifact.
pub(crate) fn places_of(tree: &Tree<'_>, artifact: &Artifact) -> Result<Vec<Found>, PlanEditsError> {
    let image = ImageReference::parse(&artifact.image)
        .map_err(|source| PlanEditsError::ArtifactImage { name: artifact.name.clone(), source })?;
    let found = if artifact.places.is_empty() {
        find_any(tree, artifact, &image)?
    } else {
        find_named(tree, artifact, &image)?
    };
    if found.is_empty() {
        let (name, path) = (artifact.name.clone(), tree.path.clone());
        return Err(PlanEditsError::NotFound {
            name,
            image: artifact.image.clone(),
            path,
            unread: tree.unread.clone(),
        });
    }
    Ok(found)
}

/// Markers say what they mean and may be many; of anything else there must be one.
fn find_any(tree: &Tree<'_>, artifact: &Artifact, image: &ImageReference) -> Result<Vec<Found>, PlanEditsError> {
    let marked = find_markers(tree, &artifact.name)?;
    if !marked.is_empty() {
        return Ok(marked);
    }
    let overlaid = kustomization_entries(tree, image);
    if !overlaid.is_empty() {
        return one_group(artifact, overlaid);
    }
    let containers =
        containers(tree).filter(|(_, _, found)| has_repository(found, image)).map(|(_, _, found)| vec![found]);
    one_group(artifact, containers.collect())
}

fn find_named(tree: &Tree<'_>, artifact: &Artifact, image: &ImageReference) -> Result<Vec<Found>, PlanEditsError> {
    let mut all = Vec::new();
    for place in &artifact.places {
        match place {
            EditPlace::Marker => all.extend(find_markers(tree, &artifact.name)?),
            EditPlace::Kustomization => all.extend(one_group(artifact, kustomization_entries(tree, image))?),
            EditPlace::Values { file, path, part } => all.push(value_of(tree, artifact, file, path, *part)?),
            EditPlace::Container { kind, name, container } => {
                let is_meant = |(workload, found_container, _): &(Workload, String, Found)| {
                    workload.kind == *kind && workload.name == *name && found_container == container
                };
                let found = containers(tree).filter(is_meant).map(|(_, _, found)| vec![found]).collect();
                all.extend(one_group(artifact, found)?);
            }
        }
    }
    Ok(all)
}

fn one_group(artifact: &Artifact, mut groups: Vec<Vec<Found>>) -> Result<Vec<Found>, PlanEditsError> {
    if groups.len() > 1 {
        let candidates = groups.iter().filter_map(|group| group.first()).map(Found::candidate).collect();
        return Err(PlanEditsError::Ambiguous { name: artifact.name.clone(), candidates });
    }
    Ok(groups.pop().unwrap_or_default())
}

fn has_repository(found: &Found, image: &ImageReference) -> bool {
    ImageReference::parse(&found.text()).is_ok_and(|have| have.is_same_repository(image))
}

fn find_markers(tree: &Tree<'_>, name: &str) -> Result<Vec<Found>, PlanEditsError> {
    let mut all = Vec::new();
    for (file, documents) in &tree.parsed {
        for (line, part, document, path) in marker::marked(tree.text(file)?, documents, name) {
            let value = documents.iter().find(|have| have.index == document).and_then(|have| have.get(&path));
            let Some(value) = value.cloned() else { continue };
            all.push(Found { file: (*file).to_owned(), document, path, line, value, part });
        }
    }
    Ok(all)
}

/// The `images` entries of kustomization files that set this image, each with its tag and digest.
fn kustomization_entries(tree: &Tree<'_>, image: &ImageReference) -> Vec<Vec<Found>> {
    let mut groups = Vec::new();
    for (file, documents) in &tree.parsed {
        let name = file.rsplit('/').next().unwrap_or_default();
        if !matches!(name, "kustomization.yaml" | "kustomization.yml" | "Kustomization") {
            continue;
        }
        for document in documents {
            let Some(Value::Array(entries)) = document.value.get("images") else { continue };
            for (index, entry) in entries.iter().enumerate() {
                let names = ["newName", "name"].map(|field| entry.get(field).and_then(Value::as_str));
                let is_meant = names
                    .into_iter()
                    .flatten()
                    .any(|name| ImageReference::parse(name).is_ok_and(|have| have.is_same_repository(image)));
                if !is_meant {
                    continue;
                }
                let field = |field: &str, part| {
                    tree.scalar(file, document, vec!["images".into(), index.into(), field.into()], part)
                };
                let group: Vec<Found> =
                    [field("newTag", Part::Tag), field("digest", Part::Digest)].into_iter().flatten().collect();
                if !group.is_empty() {
                    groups.push(group);
                }
            }
        }
    }
    groups
}

fn value_of(tree: &Tree<'_>, artifact: &Artifact, file: &str, path: &str, part: Part) -> Result<Found, PlanEditsError> {
    let file = tree_path::check_tree_path(format!("{}/{file}", tree.path).trim_start_matches('/'))?;
    let text = tree.text(&file)?;
    let documents = yaml::parse(text).map_err(|faults| {
        let first = faults.into_iter().next().unwrap_or_else(|| yaml::Diagnostic::new(1, 1, "it is not YAML"));
        PlanEditsError::Read { file: file.clone(), first }
    })?;
    let steps: Vec<Step> = path.split('.').map(step).collect();
    let groups = documents
        .iter()
        .filter_map(|document| tree.scalar(&file, document, steps.clone(), part))
        .map(|found| vec![found]);
    let found = one_group(artifact, groups.collect())?;
    found.into_iter().next().ok_or_else(|| PlanEditsError::NotFound {
        name: artifact.name.clone(),
        image: artifact.image.clone(),
        path: format!("{file} {path}"),
        unread: Vec::new(),
    })
}

/// A number is an index where it stands in a list; a key that is a number is not a value of a chart.
fn step(text: &str) -> Step {
    text.parse::<usize>().map_or_else(|_| text.into(), Step::from)
}

struct Workload {
    kind: String,
    name: String,
}

/// Every container image of the tree, with its workload and its name.
fn containers<'a>(tree: &'a Tree<'_>) -> impl Iterator<Item = (Workload, String, Found)> + 'a {
    tree.parsed.iter().flat_map(move |(file, documents)| {
        documents.iter().flat_map(move |document| {
            let mut found = Vec::new();
            workloads(&document.value, &mut Vec::new(), &mut |workload, path| {
                let container = document.get(path).and_then(|entry| entry.get("name")).and_then(Value::as_str);
                let mut image = path.to_vec();
                image.push("image".into());
                if let Some(place) = tree.scalar(file, document, image, Part::Image) {
                    found.push((workload, container.unwrap_or_default().to_owned(), place));
                }
            });
            found
        })
    })
}

/// Objects nest in lists at most twice, and their pod templates a few levels down.
const DEPTH_MAX: usize = 24;

/// Calls `each` with the workload and the path of every container below an object or a list of objects.
fn workloads(value: &Value, path: &mut Vec<Step>, each: &mut dyn FnMut(Workload, &[Step])) {
    let is_list = value.get("kind").and_then(Value::as_str).is_some_and(|kind| kind.ends_with("List"));
    // A list of lists of lists is nothing that a tool writes.
    if let (true, true, Some(Value::Array(items))) = (is_list, path.len() < 4, value.get("items")) {
        for (index, item) in items.iter().enumerate() {
            path.extend([Step::from("items"), Step::from(index)]);
            workloads(item, path, each);
            path.truncate(path.len() - 2);
        }
        return;
    }
    let text = |pointer: &str| value.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    let Some(kind) = text("/kind") else { return };
    let name = text("/metadata/name").unwrap_or_default();
    let Some(spec) = value.get("spec") else { return };
    path.push("spec".into());
    pod_specs(spec, path, &mut |found| each(Workload { kind: kind.clone(), name: name.clone() }, found));
    path.pop();
}

fn pod_specs(value: &Value, path: &mut Vec<Step>, each: &mut dyn FnMut(&[Step])) {
    let Value::Object(map) = value else { return };
    if path.len() > DEPTH_MAX {
        return;
    }
    for (key, below) in map {
        path.push(key.as_str().into());
        match below {
            Value::Array(entries) if key == "containers" || key == "initContainers" => {
                for index in 0..entries.len() {
                    path.push(index.into());
                    each(path);
                    path.pop();
                }
            }
            Value::Object(_) => pod_specs(below, path, each),
            _ => {}
        }
        path.pop();
    }
}
