//! What the world shows to an observation.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use object_model::{Object, Timestamp, Uid};

use crate::{Answer, Kind, Slot};

/// A read that an observation made, so that a destructive act can be preceded by the same read from the quorum.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Read {
    /// One object.
    Get(Kind, String, String),
    /// All objects of a kind in a namespace (all namespaces when empty).
    List(Kind, String),
    /// All objects of a kind with this controller.
    Owned(Kind, Uid),
}

/// Why the server refused a write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The server's words.
    pub message: String,
    /// When it did.
    pub at: Timestamp,
    /// How often in a row, this time included.
    pub attempts: u32,
    /// Whether the same write may be taken later: a right, a namespace or a policy may come or go, while a field that
    /// never changes, or that somebody else owns, stays so until something else changes.
    pub may_pass: bool,
}

/// Everything an observation can see. Answers are consistent within one observation.
pub trait View {
    /// The present moment.
    fn now(&self) -> Timestamp;
    /// One object; `namespace` is empty for cluster-scoped kinds.
    fn get(&self, kind: &Kind, namespace: &str, name: &str) -> Option<Arc<Object>>;
    /// All objects of a kind in a namespace, all namespaces when empty, ordered by namespace and name.
    fn list(&self, kind: &Kind, namespace: &str) -> Vec<Arc<Object>>;
    /// All objects of a kind whose controller has this uid, ordered by name.
    fn owned(&self, kind: &Kind, owner: &Uid) -> Vec<Arc<Object>>;
    /// Like [`View::owned`] of objects that all carry these labels, a selector as the API server reads it: before a
    /// destructive act no others are read again but those that are known.
    fn owned_with(&self, kind: &Kind, owner: &Uid, _labels: &str) -> Vec<Arc<Object>> {
        self.owned(kind, owner)
    }
    /// Says that objects of a kind are read whatever their labels: a watch that shows only some of them is widened.
    fn needs_all(&self, _kind: &Kind) {}

    /// Like [`View::list`] of a watched kind, but what is read is no reason to decide again when it changes: the domain
    /// names the keys of those objects itself.
    fn glance(&self, kind: &Kind, namespace: &str) -> Vec<Arc<Object>> {
        self.list(kind, namespace)
    }
    /// Those of a [`View::glance`] that the engine marked for a Rollout of this name, found without looking at all of them.
    fn glance_marked(&self, kind: &Kind, namespace: &str, rollout: &str) -> Vec<Arc<Object>> {
        let mut marked = self.glance(kind, namespace);
        marked.retain(|object| object.annotation(api::names::MANAGED_BY_ROLLOUTS) == Some(rollout));
        marked
    }
    /// The answer in a slot, when it has come.
    fn answer(&self, slot: &Slot) -> Option<Arc<Answer>>;
    /// Whether the question of a slot is on its way.
    fn is_asked(&self, slot: &Slot) -> bool;
    /// Whether a row with this key is in the record.
    fn is_recorded(&self, key: &str) -> bool;
    /// The kind of an object that a user wrote, when the cluster serves it.
    fn resolve(&self, api_version: &str, kind: &str) -> Option<Kind>;
    /// Why the last write of this object for this owner was refused, if it was and nothing changed since.
    fn refusal(&self, owner: &Uid, target: &crate::ObjectRef) -> Option<Refusal>;
    /// Moment of the last webhook or `sluice refresh` for a repository, when one came after `since`.
    fn refreshed(&self, url: &str, since: Timestamp) -> bool;
}

/// A world in memory, for tests and replays.
#[derive(Debug, Default)]
pub struct MemoryView {
    /// The present moment; 1970 when not set.
    pub now: Timestamp,
    /// Objects by kind, namespace, name.
    pub objects: BTreeMap<(Kind, String, String), Arc<Object>>,
    /// Answers by slot.
    pub answers: BTreeMap<Slot, Arc<Answer>>,
    /// Questions on their way.
    pub asked: std::collections::BTreeSet<Slot>,
    /// Keys in the record.
    pub recorded: std::collections::BTreeSet<String>,
    /// Kinds that the cluster serves.
    pub served: Vec<Kind>,
    /// Refusals by owner and target.
    pub refusals: BTreeMap<(Uid, crate::ObjectRef), Refusal>,
    /// Reads made so far.
    pub reads: Mutex<Vec<Read>>,
}

impl MemoryView {
    /// Puts an object in.
    pub fn put(&mut self, kind: &Kind, object: Object) {
        let key = (kind.clone(), object.namespace().unwrap_or_default().to_owned(), object.name().to_owned());
        self.objects.insert(key, Arc::new(object));
    }

    fn note(&self, read: Read) {
        self.reads.lock().unwrap_or_else(PoisonError::into_inner).push(read);
    }
}

impl View for MemoryView {
    fn now(&self) -> Timestamp {
        self.now
    }

    fn get(&self, kind: &Kind, namespace: &str, name: &str) -> Option<Arc<Object>> {
        self.note(Read::Get(kind.clone(), namespace.to_owned(), name.to_owned()));
        self.objects.get(&(kind.clone(), namespace.to_owned(), name.to_owned())).cloned()
    }

    fn list(&self, kind: &Kind, namespace: &str) -> Vec<Arc<Object>> {
        self.note(Read::List(kind.clone(), namespace.to_owned()));
        let of_kind = self.objects.iter().filter(|((have, _, _), _)| have == kind);
        of_kind
            .filter(|((_, have, _), _)| namespace.is_empty() || have == namespace)
            .map(|(_, object)| object.clone())
            .collect()
    }

    fn owned(&self, kind: &Kind, owner: &Uid) -> Vec<Arc<Object>> {
        self.note(Read::Owned(kind.clone(), owner.clone()));
        let of_kind = self.objects.iter().filter(|((have, _, _), _)| have == kind);
        of_kind
            .filter(|(_, object)| object.controller().is_some_and(|controller| controller.uid == *owner))
            .map(|(_, object)| object.clone())
            .collect()
    }

    fn answer(&self, slot: &Slot) -> Option<Arc<Answer>> {
        self.answers.get(slot).cloned()
    }

    fn is_asked(&self, slot: &Slot) -> bool {
        self.asked.contains(slot)
    }

    fn is_recorded(&self, key: &str) -> bool {
        self.recorded.contains(key)
    }

    fn resolve(&self, api_version: &str, kind: &str) -> Option<Kind> {
        self.served.iter().find(|served| served.kind == kind && served.api_version() == api_version).cloned()
    }

    fn refusal(&self, owner: &Uid, target: &crate::ObjectRef) -> Option<Refusal> {
        self.refusals.get(&(owner.clone(), target.clone())).cloned()
    }

    fn refreshed(&self, _url: &str, _since: Timestamp) -> bool {
        false
    }
}
