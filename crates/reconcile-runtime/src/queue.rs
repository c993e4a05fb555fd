//! Keys that want to be reconciled: ordered, deduplicated, delayed, with one task per key at a time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use reconcile_core::Key;
use tokio::sync::Notify;
use tokio::time::Instant;

const BACKOFF_MIN: Duration = Duration::from_secs(1);
const BACKOFF_MAX: Duration = Duration::from_secs(60);

/// A key of one of the domains, which are numbered in the order they were given.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct TaskKey {
    /// Number of the domain.
    pub domain: usize,
    /// Its key.
    pub key: Key,
}

impl TaskKey {
    /// Returns the key of a numbered domain.
    pub fn new(domain: usize, key: Key) -> Self {
        Self { domain, key }
    }
}

#[derive(Debug, Default)]
struct Inner {
    sequence: u64,
    /// What is due, in order of time and then of arrival.
    order: BTreeSet<(Instant, u64, TaskKey)>,
    due: BTreeMap<TaskKey, (Instant, u64)>,
    running: BTreeSet<TaskKey>,
    failures: BTreeMap<TaskKey, u32>,
    enabled: BTreeSet<usize>,
}

/// The queue. Order depends only on times and on the order of calls, never on addresses or randomness.
#[derive(Debug, Default)]
pub struct Queue {
    inner: Mutex<Inner>,
    changed: Notify,
}

impl Queue {
    /// Wants `task` to run now.
    pub fn add(&self, task: TaskKey) {
        self.add_at(task, Instant::now());
    }

    /// Wants `task` to run at `when` at the latest.
    pub fn add_at(&self, task: TaskKey, when: Instant) {
        let mut inner = self.lock();
        if inner.due.get(&task).is_some_and(|(have, _)| *have <= when) {
            return;
        }
        inner.forget_due(&task);
        inner.sequence += 1;
        let sequence = inner.sequence;
        inner.due.insert(task.clone(), (when, sequence));
        if !inner.running.contains(&task) {
            inner.order.insert((when, sequence, task));
        }
        drop(inner);
        self.changed.notify_one();
    }

    /// Wants `task` to run again after a failure: 1 s later, then 2 s, up to 60 s.
    pub fn add_after_failure(&self, task: TaskKey) -> Duration {
        let mut inner = self.lock();
        let failures = inner.failures.entry(task.clone()).or_insert(0);
        let delay = backoff(*failures);
        *failures = failures.saturating_add(1);
        drop(inner);
        self.add_at(task, Instant::now() + delay);
        delay
    }

    /// Forgets the failures of a task that went well.
    pub fn succeeded(&self, task: &TaskKey) {
        self.lock().failures.remove(task);
    }

    /// Lets the keys of a domain run, or holds them back while another replica leads it.
    pub fn enable(&self, domain: usize, enabled: bool) {
        let mut inner = self.lock();
        if enabled {
            inner.enabled.insert(domain);
        } else {
            inner.enabled.remove(&domain);
        }
        drop(inner);
        self.changed.notify_one();
    }

    /// Waits for the next due key and marks it as running; end it with [`Queue::done`].
    pub async fn take(&self) -> TaskKey {
        loop {
            let wait_until = {
                let mut inner = self.lock();
                match inner.next() {
                    Some((when, _, task)) if when <= Instant::now() => {
                        inner.forget_due(&task);
                        inner.running.insert(task.clone());
                        return task;
                    }
                    next => next.map(|(when, _, _)| when),
                }
            };
            match wait_until {
                None => self.changed.notified().await,
                Some(when) => {
                    tokio::select! {
                        biased;
                        () = self.changed.notified() => {}
                        () = tokio::time::sleep_until(when) => {}
                    }
                }
            }
        }
    }

    /// Ends a run; what was wanted meanwhile becomes due.
    pub fn done(&self, task: &TaskKey) {
        let mut inner = self.lock();
        inner.running.remove(task);
        if let Some((when, sequence)) = inner.due.get(task).copied() {
            inner.order.insert((when, sequence, task.clone()));
        }
        drop(inner);
        self.changed.notify_one();
    }

    /// How many keys are due now, and how many run.
    pub fn depth(&self) -> (usize, usize) {
        let inner = self.lock();
        let now = Instant::now();
        (inner.order.iter().take_while(|(when, _, _)| *when <= now).count(), inner.running.len())
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn next(&self) -> Option<(Instant, u64, TaskKey)> {
        self.order.iter().find(|(_, _, task)| self.enabled.contains(&task.domain)).cloned()
    }

    fn forget_due(&mut self, task: &TaskKey) {
        if let Some((when, sequence)) = self.due.remove(task) {
            self.order.remove(&(when, sequence, task.clone()));
        }
    }
}

fn backoff(failures: u32) -> Duration {
    BACKOFF_MIN.saturating_mul(1 << failures.min(6)).min(BACKOFF_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(name: &str) -> TaskKey {
        TaskKey::new(0, Key::new("qa", name))
    }

    fn queue() -> Queue {
        let queue = Queue::default();
        queue.enable(0, true);
        queue
    }

    #[tokio::test(start_paused = true)]
    async fn keys_run_in_the_order_they_came_and_once_for_many_calls() {
        let queue = queue();
        for name in ["b", "a", "b"] {
            queue.add(task(name));
        }
        assert_eq!(queue.take().await, task("b"));
        assert_eq!(queue.take().await, task("a"));
        assert_eq!(queue.depth(), (0, 2));
    }

    #[tokio::test(start_paused = true)]
    async fn a_running_key_is_not_given_out_again_before_it_is_done() {
        let queue = queue();
        queue.add(task("a"));
        let first = queue.take().await;
        queue.add(task("a"));
        assert!(tokio::time::timeout(Duration::from_secs(5), queue.take()).await.is_err());
        queue.done(&first);
        assert_eq!(queue.take().await, task("a"));
    }

    #[tokio::test(start_paused = true)]
    async fn failures_wait_twice_as_long_each_time_up_to_a_minute() {
        let queue = queue();
        let delays: Vec<u64> = (0..8).map(|_| queue.add_after_failure(task("a")).as_secs()).collect();
        assert_eq!(delays, [1, 2, 4, 8, 16, 32, 60, 60]);
        queue.succeeded(&task("a"));
        assert_eq!(queue.add_after_failure(task("a")).as_secs(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn an_earlier_wish_wins_over_a_later_one() {
        let queue = queue();
        let begun = Instant::now();
        queue.add_at(task("a"), begun + Duration::from_secs(30));
        queue.add_at(task("a"), begun + Duration::from_secs(10));
        queue.add_at(task("a"), begun + Duration::from_secs(20));
        queue.take().await;
        assert_eq!(begun.elapsed().as_secs(), 10);
    }

    #[tokio::test(start_paused = true)]
    async fn keys_of_a_domain_that_another_replica_leads_wait() {
        let queue = Queue::default();
        queue.add(task("a"));
        assert!(tokio::time::timeout(Duration::from_secs(5), queue.take()).await.is_err());
        queue.enable(0, true);
        assert_eq!(queue.take().await, task("a"));
    }
}
