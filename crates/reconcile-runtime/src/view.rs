//! What an observation sees: the store, the answers and the record at one moment, with every read noted.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, MutexGuard};
use std::time::Duration;

use object_model::{Object, Timestamp, Uid};
use reconcile_core::{Answer, Kind, ObjectRef, Read, Slot, View};
use tokio::time::Instant;

use crate::discovery::Known;
use crate::exchange::Exchange;
use crate::shared::{Shared, fingerprint, lock, place_of};
use crate::store::{Store, Sync};
use crate::{TaskKey, WatchSelector};

/// How long a refusal keeps a write from being tried again when nothing is seen to change: quotas and admission
/// webhooks change without a trace in what was refused.
pub(crate) const REFUSAL_TTL: Duration = Duration::from_secs(300);

/// What an observation touched.
#[derive(Debug, Default)]
pub(crate) struct Noted {
    pub(crate) reads: BTreeSet<Read>,
    /// Labels that all of those carry which somebody owns, where they are known.
    pub(crate) labels: BTreeMap<(Kind, Uid), String>,
    pub(crate) slots: BTreeSet<Slot>,
    /// Kinds that are not listed yet: what was read of them means nothing.
    pub(crate) unready: BTreeSet<Kind>,
    /// Kinds of which every object is needed, whatever its labels.
    pub(crate) whole: BTreeSet<Kind>,
    /// API versions that are not discovered yet.
    pub(crate) undiscovered: BTreeSet<String>,
}

/// Holds the store for the time of one observation, so that all answers belong together. Never held across an await.
pub(crate) struct StoreView<'a> {
    shared: &'a Shared,
    task: Option<&'a TaskKey>,
    store: MutexGuard<'a, Store>,
    exchange: MutexGuard<'a, Exchange>,
    now: Timestamp,
    noted: RefCell<Noted>,
}

impl<'a> StoreView<'a> {
    pub(crate) fn new(shared: &'a Shared, task: Option<&'a TaskKey>) -> Self {
        // Always in this order, or two observations could wait for each other.
        let store = lock(&shared.store);
        let exchange = lock(&shared.exchange);
        Self { shared, task, store, exchange, now: shared.clock.now(), noted: RefCell::default() }
    }

    pub(crate) fn into_noted(self) -> Noted {
        self.noted.into_inner()
    }

    fn note(&self, kind: &Kind, read: Read) {
        let mut noted = self.noted.borrow_mut();
        noted.reads.insert(read);
        let narrow = self.task.is_some_and(|task| !self.shared.sees_enough(&self.store, task.domain, kind));
        if narrow || matches!(self.store.sync(kind), None | Some(Sync::Pending)) {
            noted.unready.insert(kind.clone());
        }
    }
}

impl View for StoreView<'_> {
    fn now(&self) -> Timestamp {
        self.now
    }

    fn get(&self, kind: &Kind, namespace: &str, name: &str) -> Option<Arc<Object>> {
        self.note(kind, Read::Get(kind.clone(), namespace.to_owned(), name.to_owned()));
        self.store.get(kind, namespace, name)
    }

    fn list(&self, kind: &Kind, namespace: &str) -> Vec<Arc<Object>> {
        self.note(kind, Read::List(kind.clone(), namespace.to_owned()));
        self.store.list(kind, namespace)
    }

    fn glance(&self, kind: &Kind, namespace: &str) -> Vec<Arc<Object>> {
        self.store.list(kind, namespace)
    }

    fn glance_marked(&self, kind: &Kind, namespace: &str, rollout: &str) -> Vec<Arc<Object>> {
        self.store.marked(kind, namespace, rollout)
    }

    fn owned(&self, kind: &Kind, owner: &Uid) -> Vec<Arc<Object>> {
        self.note(kind, Read::Owned(kind.clone(), owner.clone()));
        self.store.owned(kind, owner)
    }

    fn owned_with(&self, kind: &Kind, owner: &Uid, labels: &str) -> Vec<Arc<Object>> {
        if !labels.is_empty() {
            self.noted.borrow_mut().labels.insert((kind.clone(), owner.clone()), labels.to_owned());
        }
        self.owned(kind, owner)
    }

    fn needs_all(&self, kind: &Kind) {
        if self.store.selector(kind) != Some(WatchSelector::everything()) {
            let mut noted = self.noted.borrow_mut();
            noted.whole.insert(kind.clone());
            noted.unready.insert(kind.clone());
        }
    }

    fn answer(&self, slot: &Slot) -> Option<Arc<Answer>> {
        self.noted.borrow_mut().slots.insert(slot.clone());
        self.exchange.answer(slot)
    }

    fn is_asked(&self, slot: &Slot) -> bool {
        self.noted.borrow_mut().slots.insert(slot.clone());
        self.exchange.is_asked(slot)
    }

    fn is_recorded(&self, key: &str) -> bool {
        self.shared.record.is_recorded(key)
    }

    fn resolve(&self, api_version: &str, kind: &str) -> Option<Kind> {
        match self.shared.known_kind(api_version, kind) {
            Known::Served(kind) => Some(kind),
            Known::Absent => None,
            Known::Unknown => {
                self.noted.borrow_mut().undiscovered.insert(api_version.to_owned());
                None
            }
        }
    }

    fn refusal(&self, owner: &Uid, target: &ObjectRef) -> Option<reconcile_core::Refusal> {
        let refusals = lock(&self.shared.refusals);
        let refusal = refusals.get(self.task?)?.get(target)?;
        let (namespace, name) = place_of(target);
        let seen = self.store.get(&target.kind, &namespace, &name);
        let seen = seen.map(|object| fingerprint(&object));
        let still_so = refusal.owner.as_ref().is_none_or(|had| had == owner)
            && refusal.target_seen == seen
            && Instant::now().duration_since(refusal.at) < REFUSAL_TTL;
        still_so.then(|| reconcile_core::Refusal {
            message: refusal.message.clone(),
            at: refusal.moment,
            attempts: refusal.attempts,
            may_pass: refusal.may_pass,
        })
    }

    fn refreshed(&self, url: &str, since: Timestamp) -> bool {
        lock(&self.shared.refreshes).get(url).is_some_and(|at| *at > since)
    }
}
