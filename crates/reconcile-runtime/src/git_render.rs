//! Renders a path of a commit, at most once for the same inputs.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use api::RenderSettings;
use git_source::{GitId, LastTouch, LogEntry, Repository, Tree};
use manifest_render::{Budget, ChartInput, RenderError, Source};
use reconcile_core::{CommitFacts, Identity, Rendered, RenderedObject, SourceFailure};
use sha2::{Digest, Sha256};

use crate::git::{Inner, Place, words};
use crate::git_files::TreeFiles;
use crate::shared::lock;

/// Changes whenever the same files may render to something else.
const ENGINE: &str = "sluice-render-1";
/// How many renders of one path are kept: enough to go back and forth between two commits.
const RENDERS_PER_PATH: usize = 3;
/// Most paths that are remembered.
const PATHS_MAX: usize = 5_000;

/// Every path that was read or listed, with its content.
type Inputs = Vec<(String, Option<GitId>)>;

/// What is to be rendered, besides the commit.
#[derive(Clone, Copy)]
pub(crate) struct Wanted<'w> {
    pub(crate) path: &'w str,
    pub(crate) settings: &'w RenderSettings,
    pub(crate) namespace: &'w str,
    pub(crate) seed: &'w str,
}

impl Wanted<'_> {
    /// Changes with everything but the files.
    fn digest(&self) -> String {
        let mut digest = Sha256::new();
        digest.update(format!("{:?}", self.settings));
        for part in [self.namespace, self.seed] {
            digest.update([0]);
            digest.update(part);
        }
        digest.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
    }
}

/// What was rendered lately, by repository, path and settings.
#[derive(Default)]
pub(crate) struct RenderCache {
    paths: BTreeMap<(String, String, String), Remembered>,
}

#[derive(Default)]
struct Remembered {
    renders: VecDeque<Kept>,
    /// The last head with the content of the path, and who touched it.
    touched: Option<(Inputs, CommitFacts)>,
}

#[derive(Clone)]
struct Kept {
    inputs: Inputs,
    key: String,
    objects: Arc<Vec<RenderedObject>>,
    read: Vec<String>,
}

impl Inner {
    pub(crate) fn render(&self, place: &Place, commit: &str, wanted: Wanted<'_>) -> Result<Rendered, SourceFailure> {
        let path = wanted.path;
        let head = self.parse_commit(commit)?;
        let repository = self.with_commit(place, head)?;
        let tree = repository.tree_at(head).map_err(|error| self.failure("FetchFailed", &words(&error), false))?;
        let id = (place.url.clone(), path.to_owned(), wanted.digest());
        let kept = match self.remembered(&id, &tree) {
            Some(kept) => kept,
            None => {
                let now = self.last_touch(&repository, head, path)?.map_or(0, |entry| entry.time.as_second());
                let kept = self.render_anew(&tree, commit, wanted, now)?;
                self.remember(&id, kept.clone());
                kept
            }
        };
        let touched = self.touched(&id, &repository, head, path, &kept)?;
        Ok(Rendered { key: kept.key, head: commit.to_owned(), touched, objects: kept.objects, read: kept.read })
    }

    fn remembered(&self, id: &(String, String, String), tree: &Tree) -> Option<Kept> {
        let renders = lock(&self.renders);
        let same = |kept: &&Kept| kept.inputs.iter().all(|(path, content)| tree.id_at(path).ok().flatten() == *content);
        renders.paths.get(id)?.renders.iter().find(same).cloned()
    }

    fn remember(&self, id: &(String, String, String), kept: Kept) {
        let mut cache = lock(&self.renders);
        if cache.paths.len() >= PATHS_MAX && !cache.paths.contains_key(id) {
            cache.paths.pop_first();
        }
        let of_path = cache.paths.entry(id.clone()).or_default();
        of_path.renders.push_front(kept);
        of_path.renders.truncate(RENDERS_PER_PATH);
    }

    fn render_anew(&self, tree: &Tree, commit: &str, wanted: Wanted<'_>, now: i64) -> Result<Kept, SourceFailure> {
        let Wanted { path, settings, namespace, seed } = wanted;
        let source = Source {
            path: path.to_owned(),
            kind: self.kind_of(&settings.renderer)?,
            values: settings.values.clone(),
            values_files: settings.values_files.clone(),
            chart: ChartInput {
                release_name: settings.release_name.clone(),
                namespace: namespace.to_owned(),
                kube_version: settings.kube_version.clone(),
                api_versions: settings.api_versions.clone(),
                seed: seed.as_bytes().to_vec(),
                now_seconds: now,
            },
            ..Source::default()
        };
        let files = TreeFiles(tree.clone());
        let rendered = manifest_render::render(&source, &files, &Budget::default());
        let rendered = rendered.map_err(|error| self.render_failure(&error, commit))?;
        let mut read: Vec<String> = rendered.read.iter().chain(&rendered.listed).cloned().collect();
        read.sort();
        read.dedup();
        let content = |path: &String| (path.clone(), tree.id_at(path).ok().flatten());
        let inputs: Inputs = read.iter().map(content).collect();
        let objects = rendered.objects.into_iter().map(|rendered| RenderedObject {
            object: Arc::new(rendered.object),
            file: rendered.file,
            line: rendered.line,
        });
        let key = key_of(path, &wanted.digest(), &inputs);
        Ok(Kept { key, inputs, objects: Arc::new(objects.collect()), read })
    }

    fn kind_of(&self, renderer: &str) -> Result<manifest_render::Kind, SourceFailure> {
        match renderer {
            "" => Ok(manifest_render::Kind::Auto),
            "plain" => Ok(manifest_render::Kind::Plain),
            "handlebars" => Ok(manifest_render::Kind::Handlebars),
            "jsonnet" => Ok(manifest_render::Kind::Jsonnet),
            "helm" => Ok(manifest_render::Kind::Helm),
            other => {
                let message = format!("there is no renderer `{other}`");
                Err(self.failure("RendererUnknown", &message, true))
            }
        }
    }

    fn render_failure(&self, error: &RenderError, commit: &str) -> SourceFailure {
        let short: String = commit.chars().take(12).collect();
        match error {
            RenderError::PathMissing { path } => {
                self.failure("PathNotFound", &format!("path `{path}` does not exist at commit {short}"), true)
            }
            RenderError::Invalid { diagnostics } => {
                let lines: Vec<String> = diagnostics.iter().take(20).map(ToString::to_string).collect();
                self.failure("RenderFailed", &lines.join("\n"), true)
            }
            other => self.failure("RenderFailed", &words(other), true),
        }
    }

    /// The last commit that changed anything that was read. When the content is as it was at the head before, so is the
    /// answer: a long history is not walked again for each commit elsewhere.
    fn touched(
        &self,
        id: &(String, String, String),
        repository: &Repository,
        head: GitId,
        path: &str,
        kept: &Kept,
    ) -> Result<CommitFacts, SourceFailure> {
        if let Some(of_path) = lock(&self.renders).paths.get(id)
            && let Some((inputs, facts)) = &of_path.touched
            && *inputs == kept.inputs
        {
            return Ok(facts.clone());
        }
        let outside = kept.read.iter().filter(|read| !is_within(read, path)).map(String::as_str);
        let mut newest: Option<LogEntry> = None;
        for place in std::iter::once(path).chain(outside) {
            let entry = self.last_touch(repository, head, place)?;
            newest = match (newest, entry) {
                (Some(have), Some(entry)) if entry.time <= have.time => Some(have),
                (have, entry) => entry.or(have),
            };
        }
        let entry = match newest {
            Some(entry) => entry,
            None => repository.read_commit(head).map_err(|error| self.failure("FetchFailed", &words(&error), false))?,
        };
        let facts = facts_of(&entry);
        if let Some(of_path) = lock(&self.renders).paths.get_mut(id) {
            of_path.touched = Some((kept.inputs.clone(), facts.clone()));
        }
        Ok(facts)
    }

    fn last_touch(&self, repository: &Repository, head: GitId, path: &str) -> Result<Option<LogEntry>, SourceFailure> {
        let failed = |error: &dyn std::error::Error| self.failure("FetchFailed", &words(error), false);
        let touch = repository.last_commit_touching(head, path).map_err(|error| failed(&error))?;
        let commit = match touch {
            LastTouch::Commit(commit) | LastTouch::AtOrBefore(commit) => commit,
            LastTouch::Never => return Ok(None),
        };
        repository.read_commit(commit).map(Some).map_err(|error| failed(&error))
    }
}

fn key_of(path: &str, settings: &str, inputs: &[(String, Option<GitId>)]) -> String {
    let mut digest = Sha256::new();
    for part in [ENGINE, path, settings] {
        digest.update(part.as_bytes());
        digest.update([0]);
    }
    for (path, content) in inputs {
        digest.update(path.as_bytes());
        digest.update([0]);
        digest.update(content.map(|id| *id.as_bytes()).unwrap_or_default());
    }
    digest.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

fn is_within(path: &str, directory: &str) -> bool {
    directory.is_empty() || path == directory || path.strip_prefix(directory).is_some_and(|rest| rest.starts_with('/'))
}

/// What the core knows of a commit.
pub(crate) fn facts_of(entry: &LogEntry) -> CommitFacts {
    let person = |person: &git_source::Person| Identity { name: person.name.clone(), email: person.email.clone() };
    CommitFacts {
        commit: entry.id.to_string(),
        author: person(&entry.author),
        committer: person(&entry.committer),
        time: entry.time,
        subject: entry.subject().to_owned(),
        trailers: entry.trailers.iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect(),
    }
}
