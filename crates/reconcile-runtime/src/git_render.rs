//! Renders a path of a commit, at most once for the same inputs.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use api::RenderSettings;
use git_source::{GitId, LastTouch, LogEntry, Repository, Tree};
use manifest_render::helm::{LookupAnswer, LookupQuery, Lookups, WantedChart};
use manifest_render::{Budget, ChartInput, RenderError, Source};
use object_model::Masks;
use reconcile_core::{CommitFacts, Identity, Rendered, RenderedObject, SourceFailure};
use sha2::{Digest, Sha256};

use crate::chart_fetch::PackedChart;
use crate::chart_inputs::{ClusterFacts, ObjectValues, digest_of, masks};
use crate::git::{Inner, Place, words};
use crate::git_files::{TreeFiles, WithCharts};
use crate::git_same::are_without_links;
use crate::shared::lock;
use crate::sops::SopsKeys;

/// Changes whenever the same files may render to something else.
const ENGINE: &str = "sluice-render-2";
/// How many renders of one path are kept: enough to go back and forth between two commits.
const RENDERS_PER_PATH: usize = 3;
/// Most paths that are remembered.
const PATHS_MAX: usize = 5_000;

/// Every path that was read or listed, with its content.
pub(crate) type Inputs = Vec<(String, Option<GitId>)>;

/// What is to be rendered, besides the commit.
#[derive(Clone, Copy)]
pub(crate) struct Wanted<'w> {
    pub(crate) path: &'w str,
    pub(crate) settings: &'w RenderSettings,
    pub(crate) namespace: &'w str,
    pub(crate) seed: &'w str,
    pub(crate) known: &'w Known,
}

/// What is known besides the repository; it grows round by round, as far as the render asks.
#[derive(Debug, Clone, Default)]
pub(crate) struct Known {
    pub(crate) values: Arc<ObjectValues>,
    pub(crate) facts: Option<Arc<ClusterFacts>>,
    pub(crate) lookups: BTreeMap<LookupQuery, LookupAnswer>,
    pub(crate) charts: BTreeMap<WantedChart, Arc<PackedChart>>,
    /// The keys of encrypted files, where the config has some.
    pub(crate) keys: Option<Arc<SopsKeys>>,
    /// Charts that could not be fetched; one that is switched off is not missed.
    pub(crate) unavailable: BTreeMap<WantedChart, SourceFailure>,
}

/// How far a render came with what was known.
#[derive(Debug)]
pub(crate) enum Step {
    /// It is complete; with what was decrypted for it.
    Done(Box<Rendered>, Arc<Masks>),
    /// It needs to know more.
    Wants(Wants),
}

/// What a render needs to know.
#[derive(Debug, Default)]
pub(crate) struct Wants {
    /// What the cluster serves.
    pub(crate) facts: bool,
    pub(crate) lookups: BTreeSet<LookupQuery>,
    pub(crate) charts: BTreeSet<WantedChart>,
    /// Whether that is the chart itself, and not one that it depends on.
    pub(crate) is_own_chart: bool,
}

impl Wanted<'_> {
    /// Changes with everything but the files and what charts look up.
    fn digest(&self) -> String {
        let mut digest = Sha256::new();
        digest.update(format!("{:?}", self.settings));
        for part in [self.namespace, self.seed, &self.known.values.digest()] {
            digest.update([0]);
            digest.update(part);
        }
        if let Some(facts) = &self.known.facts {
            digest.update([1]);
            digest.update(facts.digest());
        }
        if let Some(keys) = &self.known.keys {
            digest.update([3]);
            digest.update(keys.digest());
        }
        for chart in self.known.charts.values() {
            digest.update([2]);
            digest.update(&chart.digest);
        }
        digest.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
    }

    /// Whether later answers of the cluster may mend what fails now.
    fn may_pass(&self) -> bool {
        !self.settings.values_from.is_empty() || self.known.facts.is_some() || self.known.keys.is_some()
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
    /// Whether no link leads to them, and no more than files of the repository were read.
    is_plain: bool,
    key: String,
    objects: Arc<Vec<RenderedObject>>,
    read: Vec<String>,
    /// What was looked up, with digests of the answers.
    lookups: BTreeMap<LookupQuery, String>,
    /// What was decrypted.
    masks: Arc<Masks>,
}

impl RenderCache {
    /// The inputs of the renders of a repository, by the key of its place, that depend on nothing but their paths, by their keys.
    pub(crate) fn inputs_of(&self, place: &str) -> BTreeMap<&str, &Inputs> {
        let from = (place.to_owned(), String::new(), String::new());
        let of_place = self.paths.range(from..).take_while(|((of, ..), _)| of == place);
        let renders = of_place.flat_map(|(_, remembered)| &remembered.renders).filter(|kept| kept.is_plain);
        renders.map(|kept| (kept.key.as_str(), &kept.inputs)).collect()
    }
}

/// What is remembered of the same files and settings.
enum Memory {
    /// The same answers, too.
    Same(Box<Kept>),
    /// It depends on answers that are not known yet.
    DependsOn(BTreeSet<LookupQuery>),
    /// Nothing.
    None,
}

impl Inner {
    /// Renders with what is known, or says what else has to be.
    pub(crate) fn render(&self, place: &Place, commit: &str, wanted: Wanted<'_>) -> Result<Step, SourceFailure> {
        let path = wanted.path;
        let head = self.parse_commit(commit)?;
        let repository = self.with_commit(place, head)?;
        let tree = repository.tree_at(head).map_err(|error| self.failure("FetchFailed", &words(&error), false))?;
        if let Some(wants) = self.wants_before(&tree, commit, wanted)? {
            return Ok(Step::Wants(wants));
        }
        let id = (place.key.clone(), path.to_owned(), wanted.digest());
        let kept = match self.remembered(&id, &tree, wanted.known) {
            Memory::Same(kept) => *kept,
            Memory::DependsOn(lookups) => return Ok(Step::Wants(Wants { lookups, ..Wants::default() })),
            Memory::None => {
                let now = self.last_touch(&repository, head, path)?.map_or(0, |entry| entry.time.as_second());
                match self.render_anew(&tree, commit, wanted, now)? {
                    Ok(kept) => {
                        self.remember(&id, kept.clone());
                        kept
                    }
                    Err(lookups) => return Ok(Step::Wants(Wants { lookups, ..Wants::default() })),
                }
            }
        };
        let touched = self.touched(&id, &repository, head, path, &kept)?;
        let Kept { key, objects, read, masks, .. } = kept;
        let rendered = Rendered { key, head: commit.to_owned(), touched, objects, read, surroundings: None };
        Ok(Step::Done(Box::new(rendered), masks))
    }

    /// What a chart needs before it is rendered: itself, the charts it depends on, what the cluster serves.
    fn wants_before(&self, tree: &Tree, commit: &str, wanted: Wanted<'_>) -> Result<Option<Wants>, SourceFailure> {
        let Wanted { settings, known, .. } = wanted;
        let mut wants = Wants::default();
        if let Some(chart) = chart_of(settings)
            && !known.charts.contains_key(&chart)
        {
            wants.charts.insert(chart);
            wants.is_own_chart = true;
            return Ok(Some(wants));
        }
        let source = self.source(wanted, 0, None)?;
        let files = WithCharts::new(TreeFiles::new(tree.clone(), known.keys.clone()), self.placed(wanted));
        let budget = Budget::default();
        let failed = |error: RenderError| self.render_failure(&error, commit, wanted, &files.masks());
        if !manifest_render::is_chart(&source, &files, &budget).map_err(failed)? {
            return Ok(None);
        }
        let missing = manifest_render::helm::missing_charts(&source.path, &files, &budget);
        let missing = missing.map_err(|error| self.failure("RenderFailed", &error.to_string(), true))?;
        let is_new = |chart: &WantedChart| !known.charts.contains_key(chart) && !known.unavailable.contains_key(chart);
        wants.charts.extend(missing.into_iter().filter(is_new));
        wants.facts = !settings.offline && known.facts.is_none();
        Ok((wants.facts || !wants.charts.is_empty()).then_some(wants))
    }

    fn remembered(&self, id: &(String, String, String), tree: &Tree, known: &Known) -> Memory {
        let renders = lock(&self.renders);
        let same = |kept: &&Kept| kept.inputs.iter().all(|(path, content)| tree.id_at(path).ok().flatten() == *content);
        let Some(of_path) = renders.paths.get(id) else { return Memory::None };
        let mut unknown = BTreeSet::new();
        for kept in of_path.renders.iter().filter(same) {
            let not_known = kept.lookups.keys().filter(|query| !known.lookups.contains_key(query));
            let before = unknown.len();
            unknown.extend(not_known.cloned());
            let has_same = |(query, digest): (&LookupQuery, &String)| {
                known.lookups.get(query).is_some_and(|answer| digest_of(answer) == *digest)
            };
            if unknown.len() == before && kept.lookups.iter().all(has_same) {
                return Memory::Same(Box::new(kept.clone()));
            }
        }
        if unknown.is_empty() { Memory::None } else { Memory::DependsOn(unknown) }
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

    /// Renders; what else has to be known when templates looked up what is not.
    fn render_anew(
        &self,
        tree: &Tree,
        commit: &str,
        wanted: Wanted<'_>,
        now: i64,
    ) -> Result<Result<Kept, BTreeSet<LookupQuery>>, SourceFailure> {
        let known = wanted.known;
        let lookups = known.facts.is_some().then(|| Arc::new(Lookups::new(known.lookups.clone())));
        let source = self.source(wanted, now, lookups.clone())?;
        let files = WithCharts::new(TreeFiles::new(tree.clone(), known.keys.clone()), self.placed(wanted));
        let rendered = manifest_render::render(&source, &files, &Budget::default());
        // What was written without all answers means nothing, and neither does its failure.
        let unknown = lookups.as_ref().map(|lookups| lookups.unknown()).unwrap_or_default();
        if !unknown.is_empty() {
            return Ok(Err(unknown));
        }
        let rendered = rendered.map_err(|error| self.render_failure(&error, commit, wanted, &files.masks()))?;
        let mut read: Vec<String> = rendered.read.iter().chain(&rendered.listed).cloned().collect();
        read.sort();
        read.dedup();
        let content = |path: &String| (path.clone(), tree.id_at(path).ok().flatten());
        let inputs: Inputs = read.iter().map(content).collect();
        // Charts that were fetched lie in no commit: what they are is in the digest.
        read.retain(|path| !files.is_fetched(path));
        let objects = rendered.objects.into_iter().map(|rendered| RenderedObject {
            object: Arc::new(rendered.object),
            file: rendered.file,
            line: rendered.line,
        });
        let answer = |query: LookupQuery| {
            let digest = known.lookups.get(&query).map(digest_of).unwrap_or_default();
            (query, digest)
        };
        let asked = lookups.map(|lookups| lookups.asked()).unwrap_or_default();
        let lookups: BTreeMap<LookupQuery, String> = asked.into_iter().map(answer).collect();
        let key = key_of(wanted.path, &wanted.digest(), &inputs, &lookups);
        let is_plain = known.charts.is_empty() && are_without_links(tree, &inputs);
        let masks = Arc::new(files.masks());
        Ok(Ok(Kept { key, inputs, is_plain, objects: Arc::new(objects.collect()), read, lookups, masks }))
    }

    fn source(&self, wanted: Wanted<'_>, now: i64, lookups: Option<Arc<Lookups>>) -> Result<Source, SourceFailure> {
        let Wanted { path, settings, namespace, seed, known } = wanted;
        let facts = known.facts.as_deref();
        let kube_version = match (settings.kube_version.as_str(), facts) {
            ("", Some(facts)) => facts.version.clone(),
            (own, _) => own.to_owned(),
        };
        let packed = chart_of(settings).map(|chart| place_of(path, &chart, ""));
        Ok(Source {
            path: packed.unwrap_or_else(|| path.to_owned()),
            kind: self.kind_of(&settings.renderer)?,
            layers: known.values.layers.clone(),
            values: settings.values.clone(),
            values_files: settings.values_files.clone(),
            chart: ChartInput {
                release_name: settings.release_name.clone(),
                namespace: namespace.to_owned(),
                kube_version,
                api_versions: settings.api_versions.clone(),
                served: facts.map(|facts| facts.served.clone()),
                lookups,
                seed: seed.as_bytes().to_vec(),
                now_seconds: now,
            },
            ..Source::default()
        })
    }

    /// The charts that were fetched, by the places where the render finds them.
    fn placed(&self, wanted: Wanted<'_>) -> BTreeMap<String, Arc<PackedChart>> {
        let own = chart_of(wanted.settings);
        let place = |(chart, packed): (&WantedChart, &Arc<PackedChart>)| {
            let folder = if own.as_ref() == Some(chart) { "" } else { "charts/" };
            (place_of(wanted.path, chart, folder), packed.clone())
        };
        wanted.known.charts.iter().map(place).collect()
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

    /// Tells why something does not render, without what Secrets gave to it.
    fn render_failure(
        &self,
        error: &RenderError,
        commit: &str,
        wanted: Wanted<'_>,
        decrypted: &Masks,
    ) -> SourceFailure {
        let is_incomplete = error.to_string().contains("but missing in charts/ directory");
        if let Some(failure) = wanted.known.unavailable.values().next().filter(|_| is_incomplete) {
            return failure.clone();
        }
        let failure = self.plain_failure(error, commit);
        let masks = masks(&wanted.known.values, &wanted.known.lookups).and(decrypted.clone());
        let lasting = failure.lasting && !wanted.may_pass();
        SourceFailure { message: masks.mask(&failure.message), lasting, ..failure }
    }

    fn plain_failure(&self, error: &RenderError, commit: &str) -> SourceFailure {
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

/// The chart of a repository that is to be rendered.
fn chart_of(settings: &RenderSettings) -> Option<WantedChart> {
    let chart = settings.chart.as_ref()?;
    Some(WantedChart {
        repository: chart.repository.clone(),
        name: chart.name.clone(),
        version: chart.version.clone(),
        digest: chart.digest.clone(),
    })
}

/// Where a fetched chart lies for the render, next to what the commit has.
fn place_of(path: &str, chart: &WantedChart, folder: &str) -> String {
    let clean = |text: &str| -> String {
        text.chars().filter(|it| it.is_ascii_alphanumeric() || matches!(it, '.' | '-' | '_')).collect()
    };
    let file = format!("{folder}{}-{}.tgz", clean(&chart.name), clean(&chart.version));
    if path.is_empty() { file } else { format!("{path}/{file}") }
}

fn key_of(
    path: &str,
    settings: &str,
    inputs: &[(String, Option<GitId>)],
    lookups: &BTreeMap<LookupQuery, String>,
) -> String {
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
    for (query, answer) in lookups {
        for part in [&query.api_version, &query.kind, &query.namespace, &query.name, answer] {
            digest.update([0]);
            digest.update(part);
        }
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
