//! The state that all tasks of one runtime share, and what a change of it sets in motion.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use object_model::{Object, Timestamp, Uid};
use reconcile_core::bugs::{self, Bug};
use reconcile_core::{Kind, ObjectRef, Question, Scope, Slot};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::api::{ApiClient, Detail};
use crate::argo_metrics::Tally;
use crate::discovery::{Discovery, Known};
use crate::erased::AnyDomain;
use crate::exchange::{Asked, Exchange};
use crate::lease::Leadership;
use crate::metrics::Metrics;
use crate::readers::Readers;
use crate::record_actual::ActualRows;
use crate::store::{Change, MANAGED_LABEL, Place, Store, Sync};
use crate::view::StoreView;
use crate::{Clock, Options, Queue, Record, TaskKey, WatchSelector};

/// Why and against what a write was refused.
#[derive(Debug, Clone)]
pub(crate) struct Refusal {
    pub(crate) owner: Option<Uid>,
    pub(crate) message: String,
    /// The target when it was refused, see [`fingerprint`].
    pub(crate) target_seen: Option<(Option<Uid>, String)>,
    pub(crate) at: Instant,
    /// The same, as decisions read it.
    pub(crate) moment: Timestamp,
    /// How often in a row.
    pub(crate) attempts: u32,
    /// Whether the same write may be taken later.
    pub(crate) may_pass: bool,
}

/// What other tasks than the one that found it have to do.
#[derive(Debug, Default)]
pub(crate) struct Wanted {
    /// Kinds to begin to watch.
    pub(crate) watches: BTreeMap<Kind, WatchSelector>,
    /// API versions to discover.
    pub(crate) versions: BTreeSet<String>,
}

pub(crate) struct Shared {
    pub(crate) clock: Clock,
    pub(crate) api: ApiClient,
    pub(crate) domains: Vec<Box<dyn AnyDomain>>,
    /// The declared kinds of each domain, in the domains' order.
    pub(crate) declared: Vec<BTreeSet<Kind>>,
    /// The same in the order of declaration: the main kind comes first.
    pub(crate) declared_order: Vec<Vec<Kind>>,
    /// The kinds that each domain watches from its first read on.
    pub(crate) reads: Vec<BTreeSet<Kind>>,
    pub(crate) options: Options,
    pub(crate) events: EventNames,
    pub(crate) queue: Queue,
    pub(crate) record: Arc<dyn Record>,
    pub(crate) metrics: Metrics,
    pub(crate) tally: Tally,
    pub(crate) leadership: Leadership,
    pub(crate) store: Mutex<Store>,
    pub(crate) exchange: Mutex<Exchange>,
    pub(crate) questions: Notify,
    pub(crate) discovery: Mutex<Discovery>,
    pub(crate) readers: Mutex<Readers>,
    pub(crate) refusals: Mutex<BTreeMap<TaskKey, BTreeMap<ObjectRef, Refusal>>>,
    pub(crate) refreshes: Mutex<BTreeMap<String, Timestamp>>,
    pub(crate) deliveries: Mutex<crate::webhook::Deliveries>,
    pub(crate) primed: Mutex<BTreeSet<usize>>,
    /// Tasks that wait for a kind to be listed.
    pub(crate) awaiting_kind: Mutex<BTreeMap<Kind, BTreeSet<TaskKey>>>,
    /// Tasks that wait for an API version to be discovered.
    pub(crate) awaiting_version: Mutex<BTreeMap<String, BTreeSet<TaskKey>>>,
    pub(crate) wanted: Mutex<Wanted>,
    pub(crate) wanted_changed: Notify,
    /// Counts the definitions of kinds that were written.
    pub(crate) definitions: AtomicU64,
    /// Wakes who waits for a definition.
    pub(crate) defined: Notify,
    /// Whether all definitions are watched now.
    pub(crate) definitions_watched: AtomicBool,
    /// Some kind is not served: from now on its definition is waited for.
    pub(crate) definitions_wanted: Notify,
    pub(crate) actual: ActualRows,
    /// Wakes who reads back aged overlays.
    pub(crate) overlaid: Notify,
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    /// A definition of a kind was written: who waits for one looks again.
    pub(crate) fn tell_of_a_definition(&self) {
        self.definitions.fetch_add(1, Ordering::AcqRel);
        self.defined.notify_waiters();
    }

    /// Waits until more definitions were written than `seen`.
    ///
    /// tokio's watch channel would do, but it wakes those who wait in a random order.
    pub(crate) async fn is_defined(&self, seen: u64) {
        loop {
            let defined = self.defined.notified();
            tokio::pin!(defined);
            defined.as_mut().enable();
            if self.definitions.load(Ordering::Acquire) != seen {
                return;
            }
            defined.await;
        }
    }

    /// Spreads changes: to keys, to the record, and to what is kept for owners that are gone.
    pub(crate) fn changed(&self, changes: Vec<Change>) {
        for change in changes {
            self.metrics.count("sluice_watch_changes_total", &[("kind", &change.kind.kind)]);
            if let (Some(old), None) = (&change.old, &change.new)
                && let Some(uid) = old.uid()
            {
                lock(&self.exchange).forget_owner(uid.as_str());
            }
            self.actual.note(&change, self.clock.now());
            self.forgive(&change);
            for task in self.concerned(&change) {
                self.queue.add(task);
            }
        }
    }

    /// A changed main object may want something else: what was refused before counts no more.
    fn forgive(&self, change: &Change) {
        let same_wish = match (&change.old, &change.new) {
            (Some(old), Some(new)) => {
                old.uid() == new.uid()
                    && old.generation() == new.generation()
                    && old.annotations() == new.annotations()
                    && old.labels() == new.labels()
            }
            _ => false,
        };
        let Some(object) = change.object().filter(|_| !same_wish) else { return };
        for (domain, kinds) in self.declared_order.iter().enumerate() {
            if kinds.first() == Some(&change.kind) {
                lock(&self.refusals).remove(&TaskKey::new(domain, reconcile_core::Key::of(object)));
            }
        }
    }

    /// Takes an answer: wakes who asked, and who reads it when it says something new.
    ///
    /// `same` are renders that are known to be the same at the head which this answer tells.
    pub(crate) fn answered(&self, slot: &Slot, run: u64, answer: reconcile_core::Answer, same: &[Slot]) {
        let head = match &answer {
            reconcile_core::Answer::Head(head) => Some(head.commit.clone()),
            _ => None,
        };
        let (mut tasks, news) = lock(&self.exchange).finish(slot, run, answer);
        if news {
            let mut readers = lock(&self.readers).of_slot(slot);
            if let Some(commit) = head {
                let following = self.follow(slot, &commit, same);
                readers.retain(|reader| !following.contains(reader));
            }
            tasks.extend(readers);
            for task in &tasks {
                lock(&self.refusals).remove(task);
            }
        }
        for task in tasks {
            self.queue.add(task);
        }
        self.questions.notify_one();
    }

    /// Lets the renders of a branch follow it to a new commit. Returns who waits for one of them: a commit concerns few of
    /// many configs, and only those have to look.
    fn follow(&self, slot: &Slot, commit: &str, same: &[Slot]) -> BTreeSet<TaskKey> {
        let Some(branch) = lock(&self.exchange).branch_of(slot) else { return BTreeSet::new() };
        if branch.reference.branch().is_none() {
            // Tags and commits move rarely, and statuses say which one it is.
            return BTreeSet::new();
        }
        let mut following = BTreeSet::new();
        for render in same {
            let readers = lock(&self.readers).of_slot(render);
            following.extend(lock(&self.exchange).carry(render, commit, readers));
        }
        let renders = lock(&self.exchange).followers(&branch, commit);
        for render in renders {
            let readers = lock(&self.readers).of_slot(&render);
            following.extend(lock(&self.exchange).follow(&render, commit, readers));
        }
        following
    }

    fn concerned(&self, change: &Change) -> BTreeSet<TaskKey> {
        let declares =
            |task: &TaskKey, kind: &Kind| self.declared.get(task.domain).is_some_and(|kinds| kinds.contains(kind));
        let mut tasks = lock(&self.readers).of_change(change, |task, kind| !declares(task, kind));
        let primed = lock(&self.primed).clone();
        for domain in primed {
            if self.declared.get(domain).is_some_and(|kinds| kinds.contains(&change.kind)) {
                for object in change.old.iter().chain(&change.new) {
                    tasks.extend(self.keys_for(domain, object));
                }
            }
        }
        tasks
    }

    fn keys_for(&self, domain: usize, object: &Object) -> Vec<TaskKey> {
        let Some(decider) = self.domains.get(domain) else { return Vec::new() };
        let view = StoreView::new(self, None);
        let keys = catch_unwind(AssertUnwindSafe(|| decider.keys_for(&view, object)));
        let Ok(keys) = keys else {
            tracing::error!(domain = decider.name(), object = %object.id(), "the mapping of a change to keys panicked");
            self.metrics.count("sluice_panics_total", &[("domain", decider.name())]);
            return Vec::new();
        };
        keys.into_iter().map(|key| TaskKey::new(domain, key)).collect()
    }

    /// A kind has been listed, or is known not to be served: wakes who waited for it.
    pub(crate) fn kind_is_ready(&self, kind: &Kind) {
        for task in lock(&self.awaiting_kind).remove(kind).unwrap_or_default() {
            self.queue.add(task);
        }
        self.prime();
    }

    /// Queues all keys of domains whose kinds have all been listed for the first time.
    fn prime(&self) {
        for (domain, kinds) in self.declared.iter().enumerate() {
            if lock(&self.primed).contains(&domain) {
                continue;
            }
            let objects: Vec<Arc<Object>> = {
                let store = lock(&self.store);
                if !kinds.iter().all(|kind| store.sync(kind).is_some_and(|sync| sync != Sync::Pending)) {
                    continue;
                }
                // From here on changes are mapped to keys as they come; what came before is in the list.
                lock(&self.primed).insert(domain);
                kinds.iter().flat_map(|kind| store.list(kind, "")).collect()
            };
            let tasks: BTreeSet<TaskKey> = objects.iter().flat_map(|object| self.keys_for(domain, object)).collect();
            for task in tasks {
                self.queue.add(task);
            }
        }
    }

    /// Whether every domain has seen its kinds.
    pub(crate) fn is_primed(&self) -> bool {
        lock(&self.primed).len() == self.domains.len()
    }

    /// Whether a domain sees of a kind what it needs: all that it declared, or all that sync applies.
    pub(crate) fn sees_enough(&self, store: &Store, domain: usize, kind: &Kind) -> bool {
        let declares = self.declared.get(domain).is_some_and(|kinds| kinds.contains(kind));
        let wanted = self.read_selector(domain, kind);
        declares || store.selector(kind).is_none_or(|have| have == WatchSelector::everything() || have == wanted)
    }

    /// What a domain needs of a kind that it doesn't declare: what it says itself, or all that sync applies.
    fn read_selector(&self, domain: usize, kind: &Kind) -> WatchSelector {
        if self.reads.get(domain).is_some_and(|kinds| kinds.contains(kind)) {
            return self.options.selectors.get(kind).cloned().unwrap_or_default();
        }
        WatchSelector::equals(MANAGED_LABEL, "true")
    }

    /// Wants a kind to be watched with this selector.
    pub(crate) fn want_watch(&self, kind: &Kind, selector: WatchSelector) {
        if lock(&self.store).track(kind, selector.clone()) {
            lock(&self.wanted).watches.insert(kind.clone(), selector);
            self.wanted_changed.notify_one();
        }
    }

    /// Makes `task` wait until the kinds are listed; of those in `whole` it needs every object.
    pub(crate) fn await_kinds(&self, task: &TaskKey, kinds: &BTreeSet<Kind>, whole: &BTreeSet<Kind>) {
        for kind in kinds {
            let is_whole = whole.contains(kind);
            let selector = if is_whole { WatchSelector::everything() } else { self.read_selector(task.domain, kind) };
            let too_narrow = is_whole || !self.sees_enough(&lock(&self.store), task.domain, kind);
            if too_narrow && lock(&self.store).widen(kind) {
                lock(&self.wanted).watches.insert(kind.clone(), WatchSelector::everything());
                self.wanted_changed.notify_one();
            }
            self.want_watch(kind, selector);
            lock(&self.awaiting_kind).entry(kind.clone()).or_default().insert(task.clone());
            let ready = lock(&self.store).sync(kind).is_some_and(|sync| sync != Sync::Pending);
            if ready {
                self.kind_is_ready(kind);
            }
        }
    }

    /// Makes `task` wait until the API versions are discovered.
    pub(crate) fn await_versions(&self, task: &TaskKey, versions: &BTreeSet<String>) {
        for version in versions {
            lock(&self.awaiting_version).entry(version.clone()).or_default().insert(task.clone());
            lock(&self.wanted).versions.insert(version.clone());
        }
        self.wanted_changed.notify_one();
    }

    pub(crate) fn known_kind(&self, api_version: &str, kind: &str) -> Known {
        lock(&self.discovery).known(api_version, kind, Instant::now())
    }

    /// Asks a question for a task.
    pub(crate) fn ask(&self, slot: Slot, question: Question, task: TaskKey) -> Asked {
        let asked = lock(&self.exchange).ask(slot, question, task.clone());
        match asked {
            Asked::New => self.questions.notify_one(),
            Asked::InFlight => {}
            Asked::Answered => self.queue.add(task),
        }
        asked
    }

    /// A repository may have moved: fetches its heads now. Returns how many keys read them.
    ///
    /// The fetch is asked for once, not by each reader: readers wake when it brings something new.
    pub(crate) fn refresh(&self, is_same: impl Fn(&str) -> bool) -> usize {
        let fetches = lock(&self.exchange).fetches(|source| is_same(&source.url));
        let now = self.clock.now();
        let mut all = BTreeSet::new();
        for (slot, source) in fetches {
            lock(&self.refreshes).insert(source.url.clone(), now);
            let readers = lock(&self.readers).of_slot(&slot);
            for task in readers.iter().filter(|task| self.leadership.is_held(task.domain)) {
                let asked = self.ask(slot.clone(), Question::Fetch(source.clone()), task.clone());
                // A fetch that is on its way may have looked too early: every reader looks at what it brings, and
                // who still wants news asks again.
                if asked == Asked::New {
                    break;
                }
            }
            all.extend(readers);
        }
        all.len()
    }

    /// Reads one object from the quorum into the store.
    pub(crate) async fn refresh_object(&self, target: &ObjectRef) -> Result<(), crate::ApiError> {
        let sequence = lock(&self.store).list_begins();
        let selector = lock(&self.store).selector(&target.kind).and_then(|selector| selector.text());
        let detail = Detail::of(&target.kind, selector.as_deref());
        let found = self.api.get(&reconcile_core::Actor::Operator, target, detail).await;
        let found = if bugs::on(Bug::ErrorIsAbsence) { found.unwrap_or(None) } else { found? };
        let change = lock(&self.store).confirm(&target.kind, &place_of(target), found, sequence);
        self.changed(change.into_iter().collect());
        Ok(())
    }
}

/// Where an object is in the store.
pub(crate) fn place_of(target: &ObjectRef) -> Place {
    let namespace = match target.kind.scope {
        Scope::Namespaced => target.namespace.clone().unwrap_or_default(),
        Scope::Cluster => String::new(),
    };
    (namespace, target.name.clone())
}

/// What tells one state of an object from another without its status: its life and generation, or its version where
/// there is no generation.
pub(crate) fn fingerprint(object: &Object) -> (Option<Uid>, String) {
    let state = match object.generation() {
        0 => object.resource_version().unwrap_or_default().to_owned(),
        generation => format!("generation {generation}"),
    };
    (object.uid(), state)
}

/// The names of Events that were written lately, so that a repeat costs no request.
#[derive(Debug, Default)]
pub(crate) struct EventNames {
    names: Mutex<(BTreeSet<String>, std::collections::VecDeque<String>)>,
}

const EVENT_NAMES_MAX: usize = 8_192;

impl EventNames {
    /// Whether the name is new.
    pub(crate) fn first(&self, name: &str) -> bool {
        let mut names = lock(&self.names);
        if !names.0.insert(name.to_owned()) {
            return false;
        }
        names.1.push_back(name.to_owned());
        if names.1.len() > EVENT_NAMES_MAX
            && let Some(oldest) = names.1.pop_front()
        {
            names.0.remove(&oldest);
        }
        true
    }

    /// Forgets a name whose Event was not written.
    pub(crate) fn forget(&self, name: &str) {
        lock(&self.names).0.remove(name);
    }
}
