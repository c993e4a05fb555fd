//! What all parts of one play share: the choices, the trace, the verdict, and the lives of the operators.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sim_cluster::Handle;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::choice::Choices;
use crate::fault::Fault;
use crate::swarm::{Kind, Swarm};
use crate::trace::Trace;

/// A rule that was broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// The rule, such as `I4`.
    pub rule: &'static str,
    /// What broke it.
    pub what: String,
}

/// What was counted in a play.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Faults.
    pub faults: u64,
    /// Faults that hit a write of an operator: to the cluster, or a push.
    pub on_writes: u64,
    /// Whether one may have changed the verdict about a version.
    pub changed_verdicts: bool,
    /// Whether one took readiness from pods.
    pub hit_pods: bool,
    /// Whether one hit a request about an AnalysisRun: what is measured late is measured of other visitors.
    pub hit_runs: bool,
    /// Requests of operators.
    pub requests: u64,
    /// Answers of the metric provider, each at most one measurement.
    pub replies: u64,
    /// Those of them that may be taken for a success.
    pub good_replies: u64,
    /// Deaths of operators.
    pub crashes: u64,
}

/// One play of one story.
pub(crate) struct Play {
    pub(crate) handle: Handle,
    pub(crate) swarm: Swarm,
    /// The version of the store at the beginning.
    pub(crate) began: u64,
    begun: Instant,
    choices: Mutex<Choices>,
    trace: Mutex<Trace>,
    broken: Mutex<Option<Broken>>,
    counts: Mutex<Counts>,
    failed: Notify,
    calm: Notify,
    rivals: AtomicU64,
}

impl Play {
    pub(crate) fn new(handle: Handle, swarm: Swarm, choices: Choices) -> Arc<Self> {
        let began = handle.with(|cluster| cluster.revision());
        Arc::new(Self {
            handle,
            swarm,
            began,
            begun: Instant::now(),
            choices: Mutex::new(choices),
            trace: Mutex::default(),
            broken: Mutex::default(),
            counts: Mutex::default(),
            failed: Notify::new(),
            calm: Notify::new(),
            rivals: AtomicU64::new(0),
        })
    }

    /// Milliseconds since the play began.
    pub(crate) fn ms(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    pub(crate) fn tell(&self, actor: &str, what: &str, effect: &str) {
        lock(&self.trace).add(self.ms(), actor, what, effect);
    }

    /// Decides whether a fault happens here.
    pub(crate) fn fault(&self, kind: Kind, label: &str) -> Option<(Fault, u64)> {
        let number = lock(&self.choices).take(label, |random| self.swarm.pick(kind, random));
        let (fault, degree) = Fault::of(number)?;
        let mut counts = lock(&self.counts);
        counts.faults += 1;
        counts.on_writes += u64::from(matches!(kind, Kind::Write | Kind::Push));
        counts.changed_verdicts |= fault.may_change_verdicts();
        counts.hit_pods |= fault.is_of_pods();
        counts.hit_runs |= label.contains("/analysisruns");
        counts.crashes += u64::from(fault.kills());
        Some((fault, degree))
    }

    /// Decides something that is no fault.
    pub(crate) fn choose(&self, label: &str, pick: impl FnOnce(u64) -> u64) -> u64 {
        lock(&self.choices).take(label, pick)
    }

    pub(crate) fn count(&self, count: impl FnOnce(&mut Counts)) {
        count(&mut lock(&self.counts));
    }

    pub(crate) fn counts(&self) -> Counts {
        *lock(&self.counts)
    }

    /// Breaks the play: the first rule that is broken is the one that counts.
    pub(crate) fn broke(&self, rule: &'static str, what: String) {
        let mut broken = lock(&self.broken);
        if broken.is_none() {
            lock(&self.trace).add(self.ms(), "rule", rule, &what);
            *broken = Some(Broken { rule, what });
            self.failed.notify_one();
        }
    }

    pub(crate) fn broken(&self) -> Option<Broken> {
        lock(&self.broken).clone()
    }

    /// Waits until a rule is broken.
    pub(crate) async fn failed(&self) {
        self.failed.notified().await;
    }

    /// Ends all faults.
    pub(crate) fn calm_down(&self) {
        lock(&self.choices).end();
        self.tell("world", "the faults are over", "");
        self.calm.notify_waiters();
    }

    pub(crate) fn is_calm(&self) -> bool {
        lock(&self.choices).is_over()
    }

    /// Waits until the faults are over.
    pub(crate) async fn calm(&self) {
        let calm = self.calm.notified();
        if !self.is_calm() {
            calm.await;
        }
    }

    pub(crate) fn choices(&self) -> Choices {
        lock(&self.choices).clone()
    }

    pub(crate) fn trace(&self) -> Trace {
        lock(&self.trace).clone()
    }

    /// The number of the next thing that somebody else does.
    pub(crate) fn next_rival(&self) -> u64 {
        self.rivals.fetch_add(1, Ordering::Relaxed) + 1
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One life of one operator: from its start to its death.
pub(crate) struct Life {
    /// `a` or `b`.
    pub(crate) name: &'static str,
    /// Which life of it, from 1.
    pub(crate) number: u32,
    is_dead: AtomicBool,
    is_doomed: AtomicBool,
    died: Notify,
    cut_until: Mutex<Option<Instant>>,
}

impl Life {
    pub(crate) fn new(name: &'static str, number: u32) -> Arc<Self> {
        Arc::new(Self {
            name,
            number,
            is_dead: AtomicBool::new(false),
            is_doomed: AtomicBool::new(false),
            died: Notify::new(),
            cut_until: Mutex::default(),
        })
    }

    /// Dies here and now: whoever calls never goes on, and nothing else of this life has an effect any more.
    pub(crate) async fn die(&self) -> std::convert::Infallible {
        self.is_dead.store(true, Ordering::Relaxed);
        self.died.notify_one();
        std::future::pending().await
    }

    /// Dies at its next request.
    pub(crate) fn doom(&self) {
        self.is_doomed.store(true, Ordering::Relaxed);
    }

    /// Goes on only while it lives.
    pub(crate) async fn lives(&self) {
        if self.is_doomed.load(Ordering::Relaxed) {
            match self.die().await {}
        }
        if self.is_dead.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
    }

    pub(crate) async fn died(&self) {
        self.died.notified().await;
    }

    /// Cuts its network for a while.
    pub(crate) fn cut(&self, time: Duration) {
        *lock(&self.cut_until) = Some(Instant::now() + time);
    }

    /// Waits until its network is there; only a request that is begun in a cut waits for the end of it.
    pub(crate) async fn network(&self) {
        let until = *lock(&self.cut_until);
        if let Some(until) = until {
            tokio::time::sleep_until(until).await;
        }
    }
}
