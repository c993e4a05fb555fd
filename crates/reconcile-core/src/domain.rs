//! The contract between decisions and the world that carries them out.

use std::fmt;
use std::sync::Arc;

use object_model::{Object, Timestamp};

use crate::{Act, Action, Note, StatusPatch, View};

/// What a domain reconciles: one object of its main kind.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct Key {
    /// Namespace; empty for cluster-scoped objects.
    pub namespace: String,
    /// Name.
    pub name: String,
}

impl Key {
    /// Returns the key of `namespace/name`; an empty namespace means cluster-scoped.
    pub fn new(namespace: &str, name: &str) -> Self {
        Self { namespace: namespace.to_owned(), name: name.to_owned() }
    }

    /// The key of an object.
    pub fn of(object: &Object) -> Self {
        Self::new(object.namespace().unwrap_or_default(), object.name())
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace.is_empty() { f.write_str(&self.name) } else { write!(f, "{}/{}", self.namespace, self.name) }
    }
}

/// One kind of decision: rollout, analysis, sync, promotion, environment, or somebody else's.
pub trait Domain: Send + Sync + 'static {
    /// Everything that a decision needs, as data; it carries `now`.
    type Snapshot: Send;

    /// Lower-case name, for logs, metrics and Lease names.
    const NAME: &'static str;

    /// Reads the snapshot of `key` out of what the world shows; `None` when the object is gone and nothing is left to do.
    fn observe(&self, view: &dyn View, key: &Key) -> Option<Self::Snapshot>;

    /// Turns a snapshot into the next safe step. Total: a bad spec gives a plan without actions and a report that says why.
    fn decide(&self, snapshot: &Self::Snapshot) -> Plan;

    /// Names what a plan would break, found independently of [`Domain::decide`].
    fn check(&self, snapshot: &Self::Snapshot, plan: &Plan) -> Vec<Violation>;

    /// The kinds whose changes can matter to a key of this domain.
    fn watches(&self) -> Vec<crate::Kind>;

    /// The kinds that are watched from the first read on, so that a cluster where nobody needs them pays nothing. A change
    /// of them concerns the keys that read them.
    fn reads(&self) -> Vec<crate::Kind> {
        Vec::new()
    }

    /// The keys that a change of `object` concerns.
    fn keys_for(&self, view: &dyn View, object: &Object) -> Vec<Key>;
}

/// When to look again without any change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wake {
    /// Only when something that was read changes.
    OnChange,
    /// At this moment at the latest.
    At(Timestamp),
}

impl Wake {
    /// The earlier of two.
    #[must_use]
    pub fn earliest(self, other: Self) -> Self {
        match (self, other) {
            (Self::At(a), Self::At(b)) => Self::At(a.min(b)),
            (Self::At(a), Self::OnChange) | (Self::OnChange, Self::At(a)) => Self::At(a),
            (Self::OnChange, Self::OnChange) => Self::OnChange,
        }
    }
}

/// What a key waits for, and why: data for conditions, `sluice get` and "why is it stuck".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// The thing waited for, such as `ReplicaSet qa/frontend-5c9`.
    pub on: String,
    /// A sentence fragment that says why.
    pub why: String,
}

/// The explanation of a plan.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// What is waited for.
    pub waiting: Vec<Waiting>,
    /// What is wrong and for whom to mend.
    pub problems: Vec<String>,
}

/// The next step: actions in stages, one status write, when to look again, and why.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Concurrent within a stage, stages in order; the first failure ends the plan.
    pub stages: Vec<Vec<Act>>,
    /// Events about transitions; names are deterministic, so a repeat changes nothing.
    pub notes: Vec<Note>,
    /// The status write, last.
    pub status: Option<StatusPatch>,
    /// Whether the status only tells what the actions are about to change: it is written when they changed nothing. Else
    /// the next look, which follows at once, tells what came of them.
    pub status_may_wait: bool,
    /// When to look again without any change.
    pub wake: Wake,
    /// Why.
    pub report: Report,
}

impl Plan {
    /// Returns a plan that does nothing and waits for a change.
    pub fn empty() -> Self {
        Self {
            stages: Vec::new(),
            notes: Vec::new(),
            status: None,
            status_may_wait: false,
            wake: Wake::OnChange,
            report: Report::default(),
        }
    }

    /// Whether the plan has no effect on the world.
    pub fn is_empty(&self) -> bool {
        self.stages.iter().all(Vec::is_empty) && self.notes.is_empty() && self.status.is_none()
    }

    /// Adds a stage; an empty one is dropped.
    pub fn stage(&mut self, acts: Vec<Act>) {
        if !acts.is_empty() {
            self.stages.push(acts);
        }
    }

    /// Adds what is waited for.
    pub fn wait(&mut self, on: impl Into<String>, why: impl Into<String>) {
        self.report.waiting.push(Waiting { on: on.into(), why: why.into() });
    }

    /// Wakes at `moment` at the latest.
    pub fn wake_at(&mut self, moment: Timestamp) {
        self.wake = self.wake.earliest(Wake::At(moment));
    }

    /// Drops the events of a plan that changes nothing: they were told with the change that they are about.
    pub fn hush(&mut self) {
        if self.acts().next().is_none() && self.status.is_none() {
            self.notes.clear();
        }
    }

    /// All actions in order.
    pub fn acts(&self) -> impl Iterator<Item = &Act> {
        self.stages.iter().flatten()
    }

    /// Whether any action destroys or exposes something, so that it needs a fresh read first (DESIGN §4.3).
    pub fn has_destructive(&self) -> bool {
        self.acts().any(|act| act.destructive)
    }
}

/// A rule that a plan would break.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The rule, such as `weight-needs-ready-pods`.
    pub rule: &'static str,
    /// What would break it.
    pub message: String,
    /// Index of the offending stage, when one action is to blame; the runtime refuses from there on.
    pub stage: Option<usize>,
}

/// What an action left behind.
#[derive(Debug, Clone)]
pub enum Stored {
    /// The object as the server stored it.
    Object(Arc<Object>),
    /// The object was already as asked, or already existed under its deterministic name.
    Unchanged,
    /// The object is gone.
    Deleted,
    /// The question is on its way; its answer wakes the owner.
    Asked,
}

/// Why an action failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ActError {
    /// The world moved: a precondition did not hold. Observe and decide again.
    #[error("{target} changed meanwhile")]
    Conflict {
        /// What was to be written.
        target: String,
        /// The server's words.
        detail: String,
    },
    /// The server refused the content for good: invalid, forbidden, unknown kind.
    #[error("the server refused {target}: {message}")]
    Refused {
        /// What was to be written.
        target: String,
        /// The server's words, redacted.
        message: String,
        /// HTTP status code.
        code: u16,
    },
    /// The server could not be reached or was busy. Try again later.
    #[error("{target} could not be written: {message}")]
    Unavailable {
        /// What was to be written.
        target: String,
        /// What happened.
        message: String,
    },
}

/// Carries out actions. The operator's is a Kubernetes client; a dry run wraps any other.
pub trait World: Send + Sync {
    /// Carries out one action as its actor.
    fn act(&self, act: &Act) -> impl Future<Output = Result<Stored, ActError>> + Send;
}

impl Plan {
    /// Drops what `violations` blame: from the first offending stage on only questions and acts that shed canary weight
    /// stay, and the status is not written (DESIGN §4.10).
    pub fn refuse(&mut self, violations: &[Violation]) {
        let Some(first) = violations.iter().filter_map(|violation| violation.stage).min() else { return };
        for stage in self.stages.iter_mut().skip(first) {
            stage.retain(|act| matches!(act.action, Action::Ask { .. }) || act.shedding);
        }
        self.status = None;
    }
}
