//! What a plan may ask the world to do.

use object_model::{Object, ObjectId, Timestamp, Uid};
use serde_json::Value;

use crate::{Kind, Question, Slot};

/// As whom a request is made. Requests are never made as the operator itself instead of a missing actor (DESIGN §4.11).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Actor {
    /// The operator's own identity: its own kinds, and what its domain's ClusterRole names.
    Operator,
    /// Impersonates this ServiceAccount.
    ServiceAccount {
        /// Namespace of the ServiceAccount.
        namespace: String,
        /// Name of the ServiceAccount.
        name: String,
    },
}

impl Actor {
    /// The user name that the API server sees.
    pub fn user(&self) -> Option<String> {
        match self {
            Self::Operator => None,
            Self::ServiceAccount { namespace, name } => Some(format!("system:serviceaccount:{namespace}:{name}")),
        }
    }
}

/// The field manager of a server-side apply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FieldManager {
    /// Desired state from Git.
    Sync,
    /// What the rollout engine drives: replicas, selectors, weights, its annotations.
    Rollout,
    /// Environment objects.
    Environment,
    /// A domain of another operator built on this core, by name.
    Other(&'static str),
}

impl FieldManager {
    /// The name that stands in `managedFields`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sync => "sluice-sync",
            Self::Rollout => "sluice-rollout",
            Self::Environment => "sluice-environment",
            Self::Other(name) => name,
        }
    }
}

/// An object by kind and name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ObjectRef {
    /// Its kind, with version.
    pub kind: Kind,
    /// Namespace; `None` for cluster-scoped kinds.
    pub namespace: Option<String>,
    /// Name.
    pub name: String,
}

impl ObjectRef {
    /// Refers to an existing object.
    pub fn of(kind: &Kind, object: &Object) -> Self {
        Self { kind: kind.clone(), namespace: object.namespace().map(str::to_owned), name: object.name().to_owned() }
    }

    /// The identity without version.
    pub fn id(&self) -> ObjectId {
        ObjectId::new(&self.kind.group, &self.kind.kind, self.namespace.as_deref(), &self.name)
    }
}

impl std::fmt::Display for ObjectRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.id().fmt(f)
    }
}

/// What must still be so for a write to count.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Precondition {
    /// The life of the object.
    pub uid: Option<Uid>,
    /// The exact version that was decided on.
    pub resource_version: Option<String>,
}

impl Precondition {
    /// Demands the life and version of the object that was seen.
    pub fn exact(object: &Object) -> Self {
        Self { uid: object.uid(), resource_version: object.resource_version().map(str::to_owned) }
    }

    /// Demands only the life of the object, so that a busy neighbour can't starve the write.
    pub fn uid(object: &Object) -> Self {
        Self { uid: object.uid(), resource_version: None }
    }
}

/// How dependants of a deleted object go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Propagation {
    /// After the object.
    Background,
    /// Before the object.
    Foreground,
    /// Not at all.
    Orphan,
}

/// Which side of the record a row tells of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// What Git wanted.
    Desired,
    /// What was in the cluster.
    Actual,
}

/// One row of the record (DESIGN §7). Content is normalised and redacted before it gets here.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordRow {
    /// Deterministic identity: the same fact twice is one row.
    pub key: String,
    /// Desired or actual.
    pub side: Side,
    /// The object.
    pub object: ObjectId,
    /// When it was so.
    pub at: Timestamp,
    /// Digest of the content; empty for "absent".
    pub digest: String,
    /// Content, normalised and redacted; null for "absent".
    pub content: Value,
    /// The commit that wanted it, when known.
    pub commit: Option<String>,
    /// Who wrote that commit.
    pub author: Option<String>,
    /// Who asked for it (`Sluice-Requested-By`, else the author).
    pub asker: Option<String>,
    /// The build it came from (`Sluice-Build`).
    pub build: Option<String>,
    /// The source commit that was built (`Sluice-Source`).
    pub source: Option<String>,
    /// The operation that carried it (`Sluice-Operation`, or a Promotion).
    pub operation: Option<String>,
}

/// An effect on the world. Nothing slow is awaited: what takes time goes through [`Action::Ask`].
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// POST under a deterministic name; "already exists" counts as done.
    Create {
        /// The kind of the object.
        kind: Kind,
        /// The object.
        object: Box<Object>,
    },
    /// Server-side apply of own fields. With a uid in the precondition it never re-creates a deleted object.
    Apply {
        /// The kind of the object.
        kind: Kind,
        /// Only the fields that the manager wants to own.
        object: Box<Object>,
        /// As which manager.
        manager: FieldManager,
        /// Whether to take fields from other managers.
        force: bool,
        /// Uid only; server-side apply needs no version.
        precondition: Precondition,
    },
    /// PUT of a whole object over the very version that was seen, for users who ask for it.
    Replace {
        /// The kind of the object.
        kind: Kind,
        /// The whole object.
        object: Box<Object>,
        /// Life and version that were decided on.
        precondition: Precondition,
    },
    /// JSON merge patch with preconditions: Service selectors, weights, annotations of others' objects.
    Patch {
        /// The object.
        target: ObjectRef,
        /// RFC 7386.
        patch: Value,
        /// What must still be so.
        precondition: Precondition,
    },
    /// JSON patch (RFC 6902), for lists in others' objects; `test` operations guard what was seen.
    JsonPatch {
        /// The object.
        target: ObjectRef,
        /// The operations.
        patch: Value,
        /// What must still be so.
        precondition: Precondition,
    },
    /// Deletes one life of one object.
    Delete {
        /// The object.
        target: ObjectRef,
        /// What must still be so; a uid is always there.
        precondition: Precondition,
        /// What happens to dependants.
        propagation: Propagation,
    },
    /// Asks for the eviction of one life of a pod; a disruption budget may refuse it for now.
    Evict {
        /// The pod.
        target: ObjectRef,
        /// What must still be so; a uid is always there.
        precondition: Precondition,
    },
    /// Starts something slow under a deterministic key. Asked twice, it runs once; the answer stays in the view.
    Ask {
        /// Where the answer will be found.
        slot: Slot,
        /// What is asked.
        question: Box<Question>,
    },
    /// Forgets an answer that the status has taken in.
    Forget {
        /// Where the answer was.
        slot: Slot,
    },
    /// Appends to the record.
    Record {
        /// The rows.
        rows: Vec<RecordRow>,
    },
}

/// An action with its actor and its nature.
#[derive(Debug, Clone, PartialEq)]
pub struct Act {
    /// As whom.
    pub actor: Actor,
    /// What.
    pub action: Action,
    /// Whether it scales stable down, switches a selector, raises a weight or prunes: it then needs a fresh quorum read.
    pub destructive: bool,
    /// Whether it only sheds canary weight; never refused (DESIGN §4.10).
    pub shedding: bool,
}

impl Act {
    /// An ordinary action of the operator.
    pub fn new(action: Action) -> Self {
        Self { actor: Actor::Operator, action, destructive: false, shedding: false }
    }

    /// The same as another actor.
    #[must_use]
    pub fn by(mut self, actor: Actor) -> Self {
        self.actor = actor;
        self
    }

    /// Marks it as destructive.
    #[must_use]
    pub fn destructive(mut self) -> Self {
        self.destructive = true;
        self
    }

    /// Marks it as only shedding canary weight.
    #[must_use]
    pub fn shedding(mut self) -> Self {
        self.shedding = true;
        self
    }
}

/// The one status write of a plan: a merge patch of changed fields with the version that was decided on.
#[derive(Debug, Clone, PartialEq)]
pub struct StatusPatch {
    /// The object.
    pub target: ObjectRef,
    /// RFC 7386 patch of the whole object; it holds `status` and, for engine memory, `metadata.annotations`.
    pub patch: Value,
    /// Life and version that were decided on.
    pub precondition: Precondition,
    /// Whether the kind has a status subresource (Argo's AnalysisRun and Experiment have none).
    pub subresource: bool,
}
