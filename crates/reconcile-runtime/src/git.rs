//! Answers questions about repositories: heads, renders, commits and pushes.
//!
//! One repository is kept per URL. What blocks runs on threads of its own, or in place when time is virtual.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use api::VerifyMode;
use futures::future::BoxFuture;
use git_source::{AllowedSigners, FetchError, GitId, PushError, Remote, RemoteError, Repository};
use object_model::{Secret, Timestamp};
use reconcile_core::{
    Actor, Answer, FetchSource, Head, ObjectRef, Question, Rendered, Slot, SourceFailure, Surroundings, kinds, sync,
};
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;

use crate::api::{ApiClient, ApiError, Detail};
use crate::chart_fetch::ChartCache;
use crate::chart_inputs::{ClusterFacts, InputFailure, cluster_facts, look_up, masks, object_values};
use crate::git_access::{self, AppTokens};
use crate::git_render::{Known, RenderCache, Step, Wanted, Wants};
use crate::remotes::{GitCredential, RemoteFactory};
use crate::shared::lock;
use crate::sops::SopsKeys;
use crate::{Clock, GitBackend};

/// How many paths are rendered at once: it is work for the processor, and more threads only take more memory.
const RENDERS_AT_ONCE: usize = 2;

/// How often a render may ask for more: charts look up what they found the name of in an object that they looked up.
const ROUNDS_MAX: usize = 12;
/// How long what the cluster serves is believed.
const FACTS_AGE_MAX: jiff::SignedDuration = jiff::SignedDuration::from_secs(60);

const NOT_ABOUT_A_REPOSITORY: &str = "this question is not about a repository";

/// Where blocking work runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Blocking {
    /// On tokio's blocking threads.
    #[default]
    Threads,
    /// In place, so that everything stays on one thread: simulation.
    Inline,
}

/// Settings of a [`GitWorker`].
#[derive(Debug, Clone, Default)]
pub struct GitOptions {
    /// Where blocking work runs.
    pub blocking: Blocking,
    /// Where repositories are kept; in memory without.
    pub directory: Option<PathBuf>,
    /// The committer of our commits; the author is who asked.
    pub committer: Option<reconcile_core::Identity>,
}

/// Everything about repositories that outlives one question.
pub struct GitWorker {
    inner: Arc<Inner>,
    api: ApiClient,
    renders: Semaphore,
    facts: Mutex<BTreeMap<String, (Timestamp, Arc<ClusterFacts>)>>,
}

pub(crate) struct Inner {
    pub(crate) clock: Clock,
    pub(crate) options: GitOptions,
    pub(crate) remotes: Arc<dyn RemoteFactory>,
    repositories: Mutex<BTreeMap<RepositoryKey, Arc<Mutex<Repository>>>>,
    /// The last commits that could be used.
    pub(crate) good_heads: Mutex<BTreeMap<FetchSource, Head>>,
    pub(crate) app_tokens: Mutex<AppTokens>,
    pub(crate) renders: Mutex<RenderCache>,
    pub(crate) charts: Mutex<ChartCache>,
}

/// Who shares a repository: who reads it with the same credential and as deep. Nobody sees what another one's credential
/// brought here.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RepositoryKey {
    url: String,
    credential: Option<(String, String)>,
    depth: Option<u32>,
}

impl RepositoryKey {
    pub(crate) fn of(source: &FetchSource) -> Self {
        Self { url: source.url.clone(), credential: source.credential.clone(), depth: source.depth }
    }

    /// A name for its directory.
    pub(crate) fn digest(&self) -> String {
        let text = match (&self.credential, self.depth) {
            (None, None) => self.url.clone(),
            (credential, depth) => format!("{}\0{credential:?}\0{depth:?}", self.url),
        };
        Sha256::digest(text.as_bytes()).iter().take(10).map(|byte| format!("{byte:02x}")).collect()
    }
}

/// What Secrets say about a source, for one question.
#[derive(Debug, Default)]
pub(crate) struct Access {
    credential: Option<GitCredential>,
    /// Of what a signature is needed, and by whom.
    pub(crate) signers: Option<(VerifyMode, AllowedSigners)>,
}

/// A repository and where it comes from, for one question.
pub(crate) struct Place {
    pub(crate) url: String,
    pub(crate) repository: Arc<Mutex<Repository>>,
    pub(crate) remote: Arc<dyn Remote>,
    /// How much of the history is fetched; all of it without.
    pub(crate) depth: Option<u32>,
    /// Tells renders of one URL apart that are read with different credentials.
    pub(crate) key: String,
}

impl GitWorker {
    /// Makes the worker; `api` reads the Secrets that sources name.
    pub fn new(api: ApiClient, clock: Clock, remotes: Arc<dyn RemoteFactory>, options: GitOptions) -> Self {
        let inner = Inner {
            clock,
            options,
            remotes,
            repositories: Mutex::default(),
            good_heads: Mutex::default(),
            app_tokens: Mutex::default(),
            renders: Mutex::default(),
            charts: Mutex::default(),
        };
        Self { inner: Arc::new(inner), api, renders: Semaphore::new(RENDERS_AT_ONCE), facts: Mutex::default() }
    }

    async fn work(&self, question: &Question) -> Result<Answer, SourceFailure> {
        let (source, wanted) = match question {
            Question::Fetch(source) => (source, &source.credential),
            Question::Render { .. } => return self.render(question).await,
            Question::PlanCommit(plan) | Question::Push { plan, .. } => (
                &plan.source,
                if plan.write_credential.is_some() { &plan.write_credential } else { &plan.source.credential },
            ),
            Question::Secret { namespace, name } => return self.values(namespace, name).await.map(Answer::Secret),
            Question::Http(_) | Question::DryRun { .. } | Question::ConfigMap { .. } | Question::Pods { .. } => {
                return Err(self.inner.failure("InternalError", NOT_ABOUT_A_REPOSITORY, true));
            }
        };
        let access = Access {
            credential: self.credential(wanted.as_ref(), source.proxy.as_ref()).await?,
            signers: match (question, &source.verify) {
                (Question::Fetch(_), Some((namespace, verify))) => {
                    Some((verify.mode, self.signers(namespace, &verify.keys_secret).await?))
                }
                _ => None,
            },
        };
        let (inner, source, question) = (self.inner.clone(), source.clone(), question.clone());
        self.run(move || inner.answer(&source, &access, &question)).await
    }

    /// Runs what blocks where it may.
    async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> Result<T, SourceFailure> + Send + 'static,
    ) -> Result<T, SourceFailure> {
        match self.inner.options.blocking {
            Blocking::Inline => {
                // The question is noted as asked before its answer comes, as it is with threads.
                tokio::task::yield_now().await;
                job()
            }
            Blocking::Threads => match tokio::task::spawn_blocking(job).await {
                Ok(answer) => answer,
                Err(_) => {
                    let message = "reading the repository failed inside the operator";
                    Err(self.inner.failure("InternalError", message, false))
                }
            },
        }
    }

    /// Renders, and learns what the render asks for, until it asks for nothing more.
    async fn render(&self, question: &Question) -> Result<Answer, SourceFailure> {
        let Question::Render { source, commit, path, render, namespace, seed, actor, values_namespace } = question
        else {
            return Err(self.inner.failure("InternalError", NOT_ABOUT_A_REPOSITORY, true));
        };
        let asked = self.inner.clock.now();
        let failed = |failure: InputFailure| self.inner.failure(failure.reason, &failure.message, false);
        let credential = self.credential(source.credential.as_ref(), source.proxy.as_ref()).await?;
        let values = object_values(&self.api, actor, values_namespace, &render.values_from).await.map_err(failed)?;
        let keys = match &render.decryption {
            Some(name) => Some(Arc::new(self.sops_keys(values_namespace, name).await?)),
            None => None,
        };
        let mut known = Known { values: Arc::new(values), keys, ..Known::default() };
        for _ in 0..ROUNDS_MAX {
            let (inner, source, credential) = (self.inner.clone(), source.clone(), credential.clone());
            let (commit, path, settings) = (commit.clone(), path.clone(), render.clone());
            let (namespace, seed, now_known) = (namespace.clone(), seed.clone(), known.clone());
            let turn = match self.inner.options.blocking {
                Blocking::Threads => self.renders.acquire().await.ok(),
                Blocking::Inline => None,
            };
            let step = self.run(move || {
                let place = inner.place(&source, credential.as_ref())?;
                let (namespace, seed) = (namespace.as_str(), seed.as_str());
                let wanted = Wanted { path: &path, settings: &settings, namespace, seed, known: &now_known };
                inner.render(&place, &commit, wanted)
            });
            let step = step.await?;
            drop(turn);
            match step {
                Step::Done(mut rendered, decrypted) => {
                    let depends = !known.values.versions.is_empty() || known.facts.is_some() || known.keys.is_some();
                    rendered.surroundings = depends.then(|| {
                        let masks = masks(&known.values, &known.lookups).and((*decrypted).clone());
                        let masks = Arc::new(masks);
                        Box::new(Surroundings { at: asked, versions: known.values.versions.clone(), masks })
                    });
                    return Ok(Answer::Rendered(*rendered));
                }
                Step::Wants(wants) => self.learn(actor, wants, &mut known).await?,
            }
        }
        let message = format!("after {ROUNDS_MAX} rounds the chart still asks for other objects of the cluster");
        Err(self.inner.failure("RenderFailed", &message, false))
    }

    /// Learns what a render wants to know.
    async fn learn(&self, actor: &Actor, wants: Wants, known: &mut Known) -> Result<(), SourceFailure> {
        let failed = |failure: InputFailure| self.inner.failure(failure.reason, &failure.message, false);
        if wants.facts {
            known.facts = Some(self.facts(actor).await.map_err(failed)?);
        }
        for query in wants.lookups {
            let answer = look_up(&self.api, actor, &query).await.map_err(failed)?;
            known.lookups.insert(query, answer);
        }
        for chart in wants.charts {
            let (inner, wanted) = (self.inner.clone(), chart.clone());
            match self.run(move || inner.fetch_chart(&wanted)).await {
                Ok(packed) => drop(known.charts.insert(chart, packed)),
                Err(failure) if wants.is_own_chart => return Err(failure),
                Err(failure) => drop(known.unavailable.insert(chart, failure)),
            }
        }
        Ok(())
    }

    /// What the cluster serves, asked for once a minute by each actor.
    async fn facts(&self, actor: &Actor) -> Result<Arc<ClusterFacts>, InputFailure> {
        let now = self.inner.clock.now();
        let id = actor.user().unwrap_or_default();
        let is_young = |at: &Timestamp| now.duration_since(*at) < FACTS_AGE_MAX;
        if let Some((_, facts)) = lock(&self.facts).get(&id).filter(|(at, _)| is_young(at)) {
            return Ok(facts.clone());
        }
        let facts = Arc::new(cluster_facts(&self.api, actor).await?);
        let mut all = lock(&self.facts);
        all.retain(|_, (at, _)| is_young(at));
        all.insert(id, (now, facts.clone()));
        Ok(facts)
    }

    async fn secret(&self, namespace: &str, name: &str) -> Result<object_model::Object, SourceFailure> {
        let target = ObjectRef { kind: kinds::secret(), namespace: Some(namespace.to_owned()), name: name.to_owned() };
        match self.api.get(&Actor::Operator, &target, Detail::Full).await {
            Ok(Some(secret)) => Ok(secret),
            Ok(None) => {
                let message = format!("Secret {namespace}/{name} with the credential does not exist");
                Err(self.inner.failure("CredentialMissing", &message, false))
            }
            Err(error) => {
                let reason = match error {
                    ApiError::Unavailable { .. } | ApiError::Expired { .. } => SourceFailure::NO_ANSWER,
                    _ => "CredentialUnreadable",
                };
                let message = format!("Secret {namespace}/{name} with the credential could not be read: {error}");
                Err(self.inner.failure(reason, &message, false))
            }
        }
    }

    /// Reads all values of a Secret that are text.
    async fn values(&self, namespace: &str, name: &str) -> Result<BTreeMap<String, Secret<String>>, SourceFailure> {
        let secret = self.secret(namespace, name).await?;
        let data = secret.pointer("/data").and_then(serde_json::Value::as_object).into_iter().flatten();
        let value =
            |(key, value): (&String, &serde_json::Value)| Some((key.clone(), Secret::new(decoded(value.as_str()?)?)));
        Ok(data.filter_map(value).collect())
    }

    /// Reads the way to a source out of its Secrets.
    async fn credential(
        &self,
        credential: Option<&(String, String)>,
        proxy: Option<&(String, String)>,
    ) -> Result<Option<GitCredential>, SourceFailure> {
        let mut read = match credential {
            None => None,
            Some((namespace, name)) => {
                let values = self.values(namespace, name).await?;
                let Some(credential) = git_access::credential_of(&values) else {
                    let message = format!("Secret {namespace}/{name} has neither `password` nor `token`");
                    return Err(self.inner.failure("CredentialIncomplete", &message, false));
                };
                Some(credential)
            }
        };
        if let Some((namespace, name)) = proxy {
            let proxy = git_access::proxy_of(&self.values(namespace, name).await?).map_err(|why| {
                let message = format!("Secret {namespace}/{name} is no proxy: {why}");
                self.inner.failure("CredentialIncomplete", &message, false)
            })?;
            read.get_or_insert_default().proxy = Some(proxy);
        }
        Ok(read)
    }

    /// Reads the keys of encrypted files.
    async fn sops_keys(&self, namespace: &str, name: &str) -> Result<SopsKeys, SourceFailure> {
        SopsKeys::parse(&self.values(namespace, name).await?).map_err(|why| {
            let message = format!("Secret {namespace}/{name} with the keys of encrypted files: {why}");
            self.inner.failure("DecryptionFailed", &message, false)
        })
    }

    /// Reads who may sign.
    async fn signers(&self, namespace: &str, name: &str) -> Result<AllowedSigners, SourceFailure> {
        git_access::signers_of(&self.values(namespace, name).await?).map_err(|why| {
            let message = format!("Secret {namespace}/{name} with the keys of signers: {why}");
            self.inner.failure(sync::SIGNATURE_INVALID, &message, false)
        })
    }
}

/// A value of a Secret as text.
fn decoded(text: &str) -> Option<String> {
    use base64::Engine;
    let bytes = base64::engine::general_purpose::STANDARD.decode(text).ok()?;
    String::from_utf8(bytes).ok().map(|value| value.trim_end_matches('\n').to_owned())
}

impl GitBackend for GitWorker {
    fn answer<'a>(&'a self, question: &'a Question) -> BoxFuture<'a, Answer> {
        Box::pin(async move {
            // A webhook that comes while the remote fails must not be taken for older than the failure.
            let asked = self.inner.clock.now();
            self.work(question).await.unwrap_or_else(|failure| {
                let failure = SourceFailure { at: asked, ..failure };
                let good = match question {
                    Question::Fetch(source) => self.inner.last_good(source, &failure),
                    _ => None,
                };
                good.map_or(Answer::Failed(failure), Answer::Head)
            })
        })
    }

    fn same_at<'a>(
        &'a self,
        source: &'a FetchSource,
        commit: &'a str,
        renders: Vec<(Slot, Rendered)>,
    ) -> BoxFuture<'a, Vec<Slot>> {
        Box::pin(async move {
            let (inner, key, commit) = (self.inner.clone(), RepositoryKey::of(source), commit.to_owned());
            let same = self.run(move || Ok(inner.same_at(&key, &commit, renders))).await;
            // Not knowing costs a look at each, no more.
            same.unwrap_or_default()
        })
    }
}

impl Inner {
    fn answer(&self, source: &FetchSource, access: &Access, question: &Question) -> Result<Answer, SourceFailure> {
        let place = self.place(source, access.credential.as_ref())?;
        match question {
            Question::Fetch(source) => self.fetch(&place, source, access).map(Answer::Head),
            Question::PlanCommit(plan) => self.plan_commit(&place, plan).map(Answer::Planned),
            Question::Push { plan, base, commit } => self.push(&place, plan, base, commit).map(Answer::Push),
            Question::Render { .. }
            | Question::Http(_)
            | Question::DryRun { .. }
            | Question::ConfigMap { .. }
            | Question::Pods { .. }
            | Question::Secret { .. } => Err(self.failure("InternalError", NOT_ABOUT_A_REPOSITORY, true)),
        }
    }

    fn place(&self, source: &FetchSource, credential: Option<&GitCredential>) -> Result<Place, SourceFailure> {
        let credential = credential.map(|credential| self.with_token(credential)).transpose()?;
        let remote = self.remotes.remote(&source.url, credential.as_ref());
        let remote = remote.map_err(|error| self.failure("RepositoryNotAllowed", &error.to_string(), true))?;
        let key = RepositoryKey::of(source);
        let digest = key.digest();
        let repository = self.repository(key)?;
        Ok(Place { url: source.url.clone(), repository, remote, depth: source.depth, key: digest })
    }

    /// The repository of a source, when something of it was read before.
    pub(crate) fn known_repository(&self, key: &RepositoryKey) -> Option<Repository> {
        let repository = lock(&self.repositories).get(key).cloned()?;
        let view = lock(&repository).clone();
        Some(view)
    }

    fn repository(&self, key: RepositoryKey) -> Result<Arc<Mutex<Repository>>, SourceFailure> {
        let mut repositories = lock(&self.repositories);
        if let Some(repository) = repositories.get(&key) {
            return Ok(repository.clone());
        }
        let repository = match &self.options.directory {
            None => Repository::in_memory(),
            Some(directory) => {
                let path = directory.join(key.digest());
                let opened = Repository::open(&path).or_else(|_| Repository::init_bare(&path, "main"));
                opened.map_err(|error| self.failure("CacheFailed", &words(&error), false))?
            }
        };
        let repository = Arc::new(Mutex::new(repository));
        repositories.insert(key, repository.clone());
        Ok(repository)
    }

    /// Makes sure that a commit is here, and returns a view of the repository that later fetches don't disturb.
    pub(crate) fn with_commit(&self, place: &Place, commit: GitId) -> Result<Repository, SourceFailure> {
        let mut repository = lock(&place.repository);
        repository
            .fetch(place.remote.as_ref(), &commit.to_string(), place.depth)
            .map_err(|error| self.fetch_failure(&error))?;
        Ok(repository.clone())
    }

    pub(crate) fn parse_commit(&self, commit: &str) -> Result<GitId, SourceFailure> {
        GitId::parse(commit).map_err(|error| self.failure("BadCommit", &error.to_string(), true))
    }

    pub(crate) fn failure(&self, reason: &str, message: &str, lasting: bool) -> SourceFailure {
        SourceFailure { reason: reason.to_owned(), message: message.to_owned(), at: self.clock.now(), lasting }
    }

    pub(crate) fn fetch_failure(&self, error: &FetchError) -> SourceFailure {
        let reason = match error {
            FetchError::Remote(error) => remote_reason(error),
            FetchError::ReferenceNotFound { .. } => "CommitNotFound",
            FetchError::TooLarge { .. } => "RepositoryTooLarge",
            FetchError::Incomplete { .. } | FetchError::Object(_) => "FetchFailed",
        };
        self.failure(reason, &words(error), false)
    }

    pub(crate) fn push_failure(&self, error: &PushError) -> SourceFailure {
        let reason = match error {
            PushError::Remote(error) => remote_reason(error),
            PushError::NotADescendant { .. } | PushError::BranchName { .. } | PushError::Object(_) => "PushFailed",
        };
        self.failure(reason, &words(error), false)
    }
}

fn remote_reason(error: &RemoteError) -> &'static str {
    match error {
        RemoteError::NotFound { .. } => "RepositoryNotFound",
        RemoteError::Unauthorized { .. } => "AuthenticationFailed",
        RemoteError::Blocked { .. } => "RepositoryNotAllowed",
        RemoteError::Unreachable { .. } | RemoteError::TimedOut { .. } => "RepositoryUnreachable",
        RemoteError::TooLarge { .. } => "RepositoryTooLarge",
        _ => "FetchFailed",
    }
}

/// An error with its causes.
pub(crate) fn words(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    for _ in 0..8 {
        let Some(source) = next else { break };
        let part = source.to_string();
        if !text.ends_with(&part) {
            text.push_str(": ");
            text.push_str(&part);
        }
        next = source.source();
    }
    text
}
