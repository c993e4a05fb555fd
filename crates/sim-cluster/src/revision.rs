//! The revision that those who wait for changes wait on.
//!
//! tokio's own watch channel lets a waiter stand in one of eight lines, drawn at random; here they are woken in the order
//! in which they came, so that one seed gives one trace.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Notify;

/// A number that only ever changes, and those who wait for that.
#[derive(Debug)]
pub(crate) struct Revision {
    present: AtomicU64,
    changed: Notify,
}

impl Revision {
    pub(crate) fn new(present: u64) -> Self {
        Self { present: AtomicU64::new(present), changed: Notify::new() }
    }

    pub(crate) fn present(&self) -> u64 {
        self.present.load(Ordering::Acquire)
    }

    /// Sets it and wakes everybody when it is another one.
    pub(crate) fn set(&self, to: u64) {
        if self.present.swap(to, Ordering::AcqRel) != to {
            self.changed.notify_waiters();
        }
    }

    /// Waits until it is another one than `seen`.
    pub(crate) async fn leaves(&self, seen: u64) {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // Whoever changes it from here on wakes this waiter, so that nothing is missed between the look and the wait.
            changed.as_mut().enable();
            if self.present() != seen {
                return;
            }
            changed.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn waiters_are_woken_in_the_order_in_which_they_came() {
        let revision = std::sync::Arc::new(Revision::new(1));
        let (told, mut heard) = tokio::sync::mpsc::unbounded_channel();
        for waiter in 0..40 {
            let (revision, told) = (revision.clone(), told.clone());
            tokio::spawn(async move {
                revision.leaves(1).await;
                told.send(waiter).unwrap();
            });
        }
        tokio::task::yield_now().await;
        revision.set(1);
        assert!(heard.try_recv().is_err(), "nothing has changed");
        revision.set(2);
        let mut order = Vec::new();
        for _ in 0..40 {
            order.push(heard.recv().await.unwrap());
        }
        assert_eq!(order, (0..40).collect::<Vec<_>>());
        revision.leaves(1).await;
    }
}
