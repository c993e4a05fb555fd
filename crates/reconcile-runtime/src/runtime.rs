//! Puts the parts together: watches, the drive loop, questions, Leases, the record and the server.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use reconcile_core::{Domain, Kind, Scope, kinds};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::api::ApiClient;
use crate::argo_metrics::{self, Seen, Tally};
use crate::ask::Answerers;
use crate::discovery::discover;
use crate::erased::AnyDomain;
use crate::lease::{Leadership, LeaseOptions};
use crate::metrics::Metrics;
use crate::record_actual::ActualRows;
use crate::sender::{InProcess, Sender};
use crate::shared::{EventNames, Shared, Wanted, lock};
use crate::{Clock, GitBackend, MemoryRecord, NoGit, Queue, Record, WatchSelector};

/// Settings of a runtime.
#[derive(Debug, Clone)]
pub struct Options {
    /// How many keys are reconciled at once.
    pub concurrency: usize,
    /// How long the server keeps a watch open.
    pub watch_seconds: u64,
    /// Time limit of each request to the API server but watches.
    pub request_timeout: Duration,
    /// Kinds of which only a part is watched.
    pub selectors: BTreeMap<Kind, WatchSelector>,
    /// Leader election; `None` runs without.
    pub leases: Option<LeaseOptions>,
    /// The only namespace that is looked at, apart from kinds of the cluster; `None` for all.
    pub namespace: Option<String>,
    /// Whether what the cluster shows of managed objects is recorded.
    pub record_actual: bool,
    /// How long rows of the record are kept; `None` for ever.
    pub record_retention: Option<Duration>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            concurrency: 16,
            watch_seconds: 290,
            request_timeout: Duration::from_secs(30),
            selectors: BTreeMap::new(),
            leases: None,
            namespace: None,
            record_actual: true,
            record_retention: None,
        }
    }
}

impl Options {
    /// Where objects of a kind are looked for: the one namespace, when there is only one.
    pub(crate) fn scope(&self, kind: &Kind, namespace: String) -> String {
        match (&self.namespace, kind.scope) {
            (Some(only), Scope::Namespaced) => only.clone(),
            _ => namespace,
        }
    }
}

/// Collects what a [`Runtime`] needs.
pub struct RuntimeBuilder {
    client: kube::Client,
    clock: Clock,
    domains: Vec<Box<dyn AnyDomain>>,
    sender: Arc<dyn Sender>,
    git: Arc<dyn GitBackend>,
    record: Arc<dyn Record>,
    options: Options,
}

impl RuntimeBuilder {
    /// Adds a domain.
    #[must_use]
    pub fn domain<D: Domain>(mut self, domain: D) -> Self {
        self.domains.push(Box::new(domain));
        self
    }

    /// Takes the time from this clock instead of the machine's.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Sends HTTP requests with this sender; without one they fail.
    #[must_use]
    pub fn sender(mut self, sender: Arc<dyn Sender>) -> Self {
        self.sender = sender;
        self
    }

    /// Answers questions about repositories with this backend; without one they fail.
    #[must_use]
    pub fn git(mut self, git: Arc<dyn GitBackend>) -> Self {
        self.git = git;
        self
    }

    /// Writes the record here instead of to memory.
    #[must_use]
    pub fn record(mut self, record: Arc<dyn Record>) -> Self {
        self.record = record;
        self
    }

    /// Replaces all settings.
    #[must_use]
    pub fn options(mut self, options: Options) -> Self {
        self.options = options;
        self
    }

    /// Watches only a part of a kind.
    #[must_use]
    pub fn watch_only(mut self, kind: Kind, selector: WatchSelector) -> Self {
        self.options.selectors.insert(kind, selector);
        self
    }

    /// Finishes; nothing runs before [`Runtime::run`].
    pub fn build(self) -> Runtime {
        let declared_order: Vec<Vec<Kind>> = self.domains.iter().map(|domain| domain.watches()).collect();
        let leadership = match self.options.leases {
            Some(_) => Leadership::elected(),
            None => Leadership::always(),
        };
        let shared = Shared {
            clock: self.clock,
            api: ApiClient::new(self.client, self.options.request_timeout),
            declared: declared_order.iter().map(|kinds| kinds.iter().cloned().collect()).collect(),
            declared_order,
            reads: self.domains.iter().map(|domain| domain.reads().into_iter().collect()).collect(),
            domains: self.domains,
            events: EventNames::default(),
            queue: Queue::default(),
            record: self.record,
            metrics: Metrics::default(),
            tally: Tally::default(),
            leadership,
            store: Mutex::default(),
            exchange: Mutex::default(),
            questions: Notify::new(),
            discovery: Mutex::default(),
            readers: Mutex::default(),
            refusals: Mutex::default(),
            refreshes: Mutex::default(),
            deliveries: Mutex::default(),
            primed: Mutex::default(),
            awaiting_kind: Mutex::default(),
            awaiting_version: Mutex::default(),
            wanted: Mutex::new(Wanted::default()),
            wanted_changed: Notify::new(),
            definitions: std::sync::atomic::AtomicU64::new(0),
            defined: tokio::sync::Notify::new(),
            definitions_watched: std::sync::atomic::AtomicBool::new(false),
            definitions_wanted: Notify::new(),
            actual: ActualRows::new(self.options.record_actual),
            overlaid: Notify::new(),
            options: self.options,
        };
        Runtime { shared: Arc::new(shared), answerers: Answerers { sender: self.sender, git: self.git } }
    }
}

/// The runtime: the same for the operator, the demonstration, simulation and tests.
pub struct Runtime {
    shared: Arc<Shared>,
    answerers: Answerers,
}

/// What others may ask of a running runtime.
#[derive(Clone)]
pub struct Handle {
    pub(crate) shared: Arc<Shared>,
}

impl Runtime {
    /// Begins a runtime on this client.
    pub fn builder(client: kube::Client) -> RuntimeBuilder {
        let clock = Clock::Wall;
        let nowhere = InProcess(move |_: &reconcile_core::HttpQuery| reconcile_core::HttpReply::Failed {
            message: "this operator sends no HTTP requests".to_owned(),
            at: object_model::Timestamp::UNIX_EPOCH,
        });
        RuntimeBuilder {
            client,
            clock,
            domains: Vec::new(),
            sender: Arc::new(nowhere),
            git: Arc::new(NoGit),
            record: Arc::new(MemoryRecord::default()),
            options: Options::default(),
        }
    }

    /// A handle for the server and for tests.
    pub fn handle(&self) -> Handle {
        Handle { shared: self.shared.clone() }
    }

    /// Runs until `shutdown` is ready, then gives the Leases back.
    ///
    /// Dropping the future stops everything at once: all tasks belong to it.
    pub async fn run(self, shutdown: impl Future<Output = ()> + Send) {
        let Self { shared, answerers } = self;
        let mut tasks: JoinSet<()> = JoinSet::new();
        if shared.options.record_actual {
            shared.actual.load(&shared.record, shared.clock.now()).await;
            tasks.spawn(crate::record_actual::run(shared.clone()));
        }
        if let Some(keep) = shared.options.record_retention {
            tasks.spawn(retain(shared.clone(), keep));
        }
        for kind in shared.declared.iter().flatten() {
            shared.want_watch(kind, shared.options.selectors.get(kind).cloned().unwrap_or_default());
        }
        tasks.spawn(supervise(shared.clone()));
        tasks.spawn(crate::ask::run(shared.clone(), answerers));
        tasks.spawn(confirm_overlays(shared.clone()));
        tasks.spawn(crate::definitions::run(shared.clone()));
        match &shared.options.leases {
            Some(leases) => {
                let names: Vec<&'static str> = shared.domains.iter().map(|domain| domain.name()).collect();
                for (target, domains) in leases.targets(&names) {
                    tasks.spawn(crate::lease::run(shared.clone(), target, domains, leases.identity.clone()));
                }
            }
            None => (0..shared.domains.len()).for_each(|domain| shared.queue.enable(domain, true)),
        }
        tokio::select! {
            biased;
            () = shutdown => {}
            () = drive(shared.clone()) => {}
        }
        tasks.shutdown().await;
        if let Some(leases) = &shared.options.leases {
            let domains: Vec<&'static str> = shared.domains.iter().map(|domain| domain.name()).collect();
            crate::lease::release(&shared.api, leases, &domains).await;
        }
    }
}

/// Takes keys from the queue and reconciles them, so many at once.
async fn drive(shared: Arc<Shared>) {
    let mut running: JoinSet<()> = JoinSet::new();
    loop {
        while running.len() >= shared.options.concurrency.max(1) {
            running.join_next().await;
        }
        let task = tokio::select! {
            biased;
            task = shared.queue.take() => task,
            Some(_) = running.join_next() => continue,
        };
        let shared = shared.clone();
        running.spawn(async move {
            let done = DoneOnDrop { shared: shared.clone(), task: task.clone() };
            crate::drive::reconcile(&shared, &task).await;
            drop(done);
        });
    }
}

/// Ends a run in the queue however it ends, also by a panic.
struct DoneOnDrop {
    shared: Arc<Shared>,
    task: crate::TaskKey,
}

impl Drop for DoneOnDrop {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.shared.queue.add_after_failure(self.task.clone());
        }
        self.shared.queue.done(&self.task);
    }
}

/// Starts the watches and discoveries that reads ask for.
async fn supervise(shared: Arc<Shared>) {
    let mut watches: JoinSet<()> = JoinSet::new();
    let mut watching: BTreeMap<Kind, tokio::task::AbortHandle> = BTreeMap::new();
    let mut discoveries: JoinSet<()> = JoinSet::new();
    let mut discovering: BTreeSet<String> = BTreeSet::new();
    let (finished, mut finishes) = tokio::sync::mpsc::unbounded_channel();
    loop {
        let wanted = std::mem::take(&mut *lock(&shared.wanted));
        for (kind, selector) in wanted.watches {
            let task = watches.spawn(crate::watch::run(shared.clone(), kind.clone(), selector));
            // A wider watch of a kind takes the place of the narrower one.
            if let Some(narrower) = watching.insert(kind, task) {
                narrower.abort();
            }
        }
        for version in wanted.versions {
            if discovering.insert(version.clone()) {
                let (shared, finished) = (shared.clone(), finished.clone());
                discoveries.spawn(async move {
                    learn(&shared, &version).await;
                    // The receiver lives as long as this loop.
                    let _ = finished.send(version);
                });
            }
        }
        tokio::select! {
            biased;
            Some(version) = finishes.recv() => {
                discovering.remove(&version);
                for task in lock(&shared.awaiting_version).remove(&version).unwrap_or_default() {
                    shared.queue.add(task);
                }
            }
            Some(_) = discoveries.join_next() => {}
            Some(_) = watches.join_next() => {}
            () = shared.wanted_changed.notified() => {}
        }
    }
}

/// Learns what an API version serves; tries until the server answers.
async fn learn(shared: &Shared, version: &str) {
    let mut delay = Duration::from_secs(1);
    loop {
        match discover(&shared.api, version).await {
            Ok(kinds) => {
                lock(&shared.discovery).learn(version, kinds, Instant::now());
                return;
            }
            Err(error) => {
                tracing::warn!(version, %error, "discovery failed");
                tokio::time::sleep(delay).await;
                delay = delay.saturating_mul(2).min(Duration::from_secs(30));
            }
        }
    }
}

/// Reads own writes back that the watch should have shown by now.
async fn confirm_overlays(shared: Arc<Shared>) {
    loop {
        let next = lock(&shared.store).next_overdue();
        match next {
            None => {
                shared.overlaid.notified().await;
                continue;
            }
            Some(when) => tokio::time::sleep_until(when).await,
        }
        let overdue = lock(&shared.store).overdue(Instant::now());
        for (kind, (namespace, name)) in overdue {
            let within = (!namespace.is_empty()).then_some(namespace);
            let target = reconcile_core::ObjectRef { kind, namespace: within, name };
            tracing::info!(object = %target, "the watch is late, reading an own write back");
            shared.metrics.count("sluice_overlays_read_back_total", &[("kind", &target.kind.kind)]);
            if let Err(error) = shared.refresh_object(&target).await {
                tracing::warn!(object = %target, %error, "an own write could not be read back");
                tokio::time::sleep(Duration::from_secs(5)).await;
            }
        }
    }
}

async fn retain(shared: Arc<Shared>, keep: Duration) {
    loop {
        match shared.record.retain(shared.clock.now(), keep).await {
            Ok(0) => {}
            Ok(rows) => tracing::info!(rows, "old rows of the record were deleted"),
            Err(error) => tracing::warn!(%error, "old rows of the record were not deleted"),
        }
        tokio::time::sleep(Duration::from_secs(3_600)).await;
    }
}

impl Handle {
    /// Whether every domain has seen the kinds that it declares.
    pub fn is_ready(&self) -> bool {
        self.shared.is_primed()
    }

    /// A repository may have moved: looks at once. Returns how many keys were woken.
    pub fn refresh(&self, is_same: impl Fn(&str) -> bool) -> usize {
        self.shared.refresh(is_same)
    }

    /// The metrics as Prometheus text.
    pub fn metrics(&self) -> String {
        let shared = &self.shared;
        let (due, running) = shared.queue.depth();
        shared.metrics.set("sluice_queue_due", &[], due);
        shared.metrics.set("sluice_queue_running", &[], running);
        let (waiting, asked, answered) = lock(&shared.exchange).depth();
        for (state, count) in [("waiting", waiting), ("running", asked), ("answered", answered)] {
            shared.metrics.set("sluice_exchange_slots", &[("state", state)], count);
        }
        let counts = lock(&shared.store).counts();
        for (kind, count) in counts {
            shared.metrics.set("sluice_store_objects", &[("kind", &kind)], count);
        }
        let mut text = shared.metrics.render();
        argo_metrics::render(&self.seen(), &shared.tally, &mut text);
        shared.api.render_counts(&mut text);
        text
    }

    fn seen(&self) -> Seen {
        let store = lock(&self.shared.store);
        let mut templates = store.list(&kinds::analysis_template(), "");
        templates.extend(store.list(&kinds::cluster_analysis_template(), ""));
        Seen {
            rollouts: store.list(&kinds::rollout(), ""),
            runs: store.list(&kinds::analysis_run(), ""),
            experiments: store.list(&kinds::experiment(), ""),
            templates,
        }
    }

    /// A counter by name and labels, for tests.
    pub fn counter(&self, name: &str, labels: &[(&str, &str)]) -> u64 {
        self.shared.metrics.counter(name, labels)
    }

    /// The record.
    pub fn record(&self) -> Arc<dyn Record> {
        self.shared.record.clone()
    }

    /// The client to the API server.
    pub fn api(&self) -> ApiClient {
        self.shared.api.clone()
    }
}
