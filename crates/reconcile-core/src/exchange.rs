//! Slow questions and their answers. The runtime asks; decisions read the answers in a later snapshot.

use std::collections::BTreeMap;
use std::sync::Arc;

use api::{GitOpsConfig, Reference, RenderSettings, ValuesKind, VerifySettings};
use object_model::{Masks, Object, ObjectId, Secret, Timestamp};

use crate::{Actor, FieldManager, Kind};

/// Where an answer is kept: who asked (an object's uid, or a shared thing such as a repository) and what for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot {
    /// The uid of the asking object, or the name of what is shared (`git:URL#reference`).
    pub owner: String,
    /// What for, such as `render` or `success-rate/3`. The same question under the same name runs once.
    pub name: String,
}

impl Slot {
    /// Returns the slot `name` of `owner`.
    pub fn new(owner: impl Into<String>, name: impl Into<String>) -> Self {
        Self { owner: owner.into(), name: name.into() }
    }
}

/// The repository and reference that a source watches, and all that says who may see it: equal sources share one fetch.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FetchSource {
    /// Repository URL without credentials.
    pub url: String,
    /// What names the commit.
    pub reference: Reference,
    /// Secret (namespace, name) with the read credential, when the repository needs one.
    pub credential: Option<(String, String)>,
    /// Secret (namespace, name) with the proxy on the way there, when there is one.
    pub proxy: Option<(String, String)>,
    /// Whose signature is needed, and the namespace of the Secret with the keys.
    pub verify: Option<(String, VerifySettings)>,
    /// How many commits of the history are fetched; all of them without.
    pub depth: Option<u32>,
}

impl FetchSource {
    /// A branch that everybody may read.
    pub fn branch(url: impl Into<String>, branch: impl Into<String>) -> Self {
        Self { url: url.into(), reference: Reference::Branch(branch.into()), ..Self::default() }
    }

    /// What a config of this namespace reads. Secrets are of its own namespace.
    pub fn of(spec: &GitOpsConfig, namespace: &str) -> Self {
        let here = |name: &String| (namespace.to_owned(), name.clone());
        Self {
            url: spec.url.clone(),
            reference: spec.source.reference.clone(),
            credential: spec.source.read_secret.as_ref().map(here),
            proxy: spec.source.proxy_secret.as_ref().map(here),
            verify: spec.source.verify.clone().map(|verify| (namespace.to_owned(), verify)),
            depth: spec.source.depth,
        }
    }

    /// The branch for messages; empty when it is none.
    pub fn branch_name(&self) -> &str {
        self.reference.branch().unwrap_or_default()
    }
}

/// Who a commit is by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Name.
    pub name: String,
    /// E-mail address.
    pub email: String,
}

/// What is known of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitFacts {
    /// Full id.
    pub commit: String,
    /// Author.
    pub author: Identity,
    /// Committer.
    pub committer: Identity,
    /// Commit time.
    pub time: Timestamp,
    /// First line of the message.
    pub subject: String,
    /// Trailers in order, as (key, value).
    pub trailers: Vec<(String, String)>,
}

impl CommitFacts {
    /// The first trailer of this key (case-insensitive, as Git has it).
    pub fn trailer(&self, key: &str) -> Option<&str> {
        self.trailers.iter().find(|(have, _)| have.eq_ignore_ascii_case(key)).map(|(_, value)| value.as_str())
    }
}

/// Where a reference is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Full id.
    pub commit: String,
    /// The full name of what it was resolved to, such as `refs/tags/v1.2.3`; the id where a commit was asked for.
    pub reference: String,
    /// Who signed it, where that is asked for.
    pub signer: Option<String>,
    /// When the remote said so.
    pub at: Timestamp,
    /// Why the remote's present answer can't be used: this is the last one that could, and it goes on serving.
    pub failure: Option<SourceFailure>,
}

impl Head {
    /// A commit that a reference is at, without signature.
    pub fn new(commit: impl Into<String>, reference: impl Into<String>, at: Timestamp) -> Self {
        Self { commit: commit.into(), reference: reference.into(), signer: None, at, failure: None }
    }
}

/// Why a source could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFailure {
    /// CamelCase reason: `RepositoryNotFound`, `BranchNotFound`, `PathNotFound`, `RenderFailed`, ...
    pub reason: String,
    /// What and where, for people; several lines when there are several errors.
    pub message: String,
    /// When the question was asked: what happened since may make the next answer another one.
    pub at: Timestamp,
    /// Whether the same input can't succeed later (a broken file), so that only a new commit helps.
    pub lasting: bool,
}

impl SourceFailure {
    /// The reason when the API server gave no answer, so that nothing is known of what was asked for.
    pub const NO_ANSWER: &'static str = "NoAnswer";
}

/// One object of a render.
#[derive(Debug, Clone, PartialEq)]
pub struct RenderedObject {
    /// The object as the source has it.
    pub object: Arc<Object>,
    /// The file it came from, relative to the repository.
    pub file: String,
    /// The line it begins on, from 1; 0 when a generator made it.
    pub line: u32,
}

/// What a source rendered to.
#[derive(Debug, Clone, PartialEq)]
pub struct Rendered {
    /// Render key: engine version, object ids read, digests of inputs (DESIGN §6). Equal keys mean equal objects.
    pub key: String,
    /// The head that was asked for.
    pub head: String,
    /// The last commit that touched what was read.
    pub touched: CommitFacts,
    /// The objects in order.
    pub objects: Arc<Vec<RenderedObject>>,
    /// The paths that were read, files and directories, relative to the repository.
    pub read: Vec<String>,
    /// What it depends on besides the commit, when it does.
    pub surroundings: Option<Box<Surroundings>>,
}

/// What a render depends on besides the commit: objects with values, and what a chart asks of the cluster. It is asked
/// for again from time to time.
#[derive(Debug, Clone, PartialEq)]
pub struct Surroundings {
    /// When it was asked for.
    pub at: Timestamp,
    /// The versions of the objects with values that were read; none for one that was not there.
    pub versions: BTreeMap<(ValuesKind, String), Option<String>>,
    /// The texts of Secrets that the render was given.
    pub masks: Arc<Masks>,
}

/// A metric query or other HTTP request, or a mail (`smtp://HOST:PORT`: the envelope in the headers From and To, the
/// credential in Username and Password, the message as the body). The runtime sends it under the egress policy.
#[derive(Debug, Clone, PartialEq)]
pub struct HttpQuery {
    /// `GET` or `POST`.
    pub method: String,
    /// URL without credentials.
    pub url: String,
    /// Headers; values may be secret.
    pub headers: Vec<(String, Secret<String>)>,
    /// Body; it may hold what a header may, such as the secret of an OAuth2 client.
    pub body: Option<Secret<String>>,
    /// Time limit.
    pub timeout_ms: u64,
    /// Limit of the answer.
    pub body_bytes_max: usize,
    /// Whether to accept any certificate.
    pub insecure_tls: bool,
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HttpReply {
    /// A response of any status.
    Response {
        /// HTTP status code.
        status: u16,
        /// Body, bounded.
        body: String,
        /// When it came.
        at: Timestamp,
    },
    /// No response.
    Failed {
        /// What happened, without secrets.
        message: String,
        /// When.
        at: Timestamp,
    },
}

/// What a commit is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Edits {
    /// Restore `paths` of `bad` to what they were at `healthy`, three-way on top of the head.
    Restore {
        /// The commit that failed.
        bad: String,
        /// The last healthy commit.
        healthy: String,
        /// Exactly the paths that the failing config rendered from.
        paths: Vec<String>,
    },
    /// Set these images under `path`, every other byte kept.
    SetImages {
        /// Directory of the target environment.
        path: String,
        /// (image repository, new reference) pairs.
        images: BTreeMap<String, String>,
    },
}

/// Everything a commit is made from; equal plans on equal bases make equal commit ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitPlan {
    /// Where to.
    pub source: FetchSource,
    /// Secret (namespace, name) with the write credential.
    pub write_credential: Option<(String, String)>,
    /// What to change.
    pub edits: Edits,
    /// Idempotency key; also the `Sluice-Operation` trailer.
    pub operation: String,
    /// Who asked; becomes the author.
    pub author: Identity,
    /// The commit time, persisted before the first attempt.
    pub time: Timestamp,
    /// Whole message with trailers.
    pub message: String,
}

/// A commit that was computed but not pushed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PlannedCommit {
    /// It would be this commit on this base.
    Ready {
        /// The head it builds on.
        base: String,
        /// Its id.
        commit: String,
        /// The paths it changes.
        paths: Vec<String>,
    },
    /// The branch already says what is wanted, or already has the operation.
    AlreadyThere {
        /// The commit that has it (the head when nothing had to change).
        commit: String,
    },
    /// It can't be made without a person.
    Conflict {
        /// What and where.
        message: String,
    },
}

/// How a push ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PushResult {
    /// The branch is at the planned commit.
    Pushed {
        /// Its id.
        commit: String,
    },
    /// Somebody else pushed first: plan again on the new head.
    Raced {
        /// Where the branch is now.
        head: String,
    },
    /// The server refused by a rule; a repeat can't help.
    Refused {
        /// The server's words, redacted and bounded.
        message: String,
    },
}

/// How a dry run writes an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DryRunForm {
    /// Server-side apply by a manager.
    Apply {
        /// The manager.
        manager: FieldManager,
        /// Whether it takes fields from other managers.
        force: bool,
    },
    /// Creation, also where an object of the name exists.
    Create,
}

/// One object of a dry run.
#[derive(Debug, Clone, PartialEq)]
pub struct DryRunObject {
    /// Its kind.
    pub kind: Kind,
    /// What would be written.
    pub object: Object,
    /// How.
    pub form: DryRunForm,
}

/// Something slow.
#[derive(Debug, Clone, PartialEq)]
pub enum Question {
    /// Where is the branch?
    Fetch(FetchSource),
    /// What does this path say at this commit?
    Render {
        /// The repository.
        source: FetchSource,
        /// The commit; it was fetched before.
        commit: String,
        /// Directory in the repository.
        path: String,
        /// How.
        render: Box<RenderSettings>,
        /// Namespace that charts are told.
        namespace: String,
        /// What random functions of charts draw from: the same for one config for ever.
        seed: String,
        /// As whom objects with values, and what charts look up, are read.
        actor: Actor,
        /// Namespace of the objects with values.
        values_namespace: String,
    },
    /// What would the cluster say to these writes?
    DryRun {
        /// As whom.
        actor: Actor,
        /// The writes; each is tried alone.
        objects: Vec<DryRunObject>,
    },
    /// Ask a metric provider or another HTTP server.
    Http(HttpQuery),
    /// What does this Secret hold?
    Secret {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
    },
    /// What does this ConfigMap hold?
    ConfigMap {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
    },
    /// Which pods have these labels now? For pods that nobody watches.
    Pods {
        /// Their namespace.
        namespace: String,
        /// The label selector as the server reads it.
        selector: String,
    },
    /// Compute a commit on the branch's present head.
    PlanCommit(CommitPlan),
    /// Make the planned commit and push it with the base as the expected old id.
    Push {
        /// The plan.
        plan: CommitPlan,
        /// The base that was planned on.
        base: String,
        /// The id that was planned and persisted.
        commit: String,
    },
}

/// The answer to a question.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// To [`Question::Fetch`].
    Head(Head),
    /// To [`Question::Render`].
    Rendered(Rendered),
    /// To [`Question::DryRun`]: the objects that would be refused, with the server's words.
    DryRun(Vec<(ObjectId, String)>),
    /// To [`Question::Http`].
    Http(HttpReply),
    /// To [`Question::Secret`] and [`Question::ConfigMap`]: its values by key; those that are no text are left out.
    Secret(BTreeMap<String, Secret<String>>),
    /// To [`Question::Pods`].
    Pods(Vec<Arc<Object>>),
    /// To [`Question::PlanCommit`].
    Planned(PlannedCommit),
    /// To [`Question::Push`].
    Push(PushResult),
    /// To any question about a repository, a Secret or pods that could not be answered.
    Failed(SourceFailure),
}
