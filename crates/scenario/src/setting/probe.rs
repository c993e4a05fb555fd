//! Watches the effects of an operator that are no requests to the cluster: pushes and record writes.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use object_model::Timestamp;
use reconcile_core::{Answer, Question, RecordRow};
use reconcile_runtime::{GitBackend, Record, RecordError, RecordFilter};

use super::Probe;
use super::trap::{Effect, Trap};

/// Tells before and after each push.
pub(super) struct ProbedGit<G> {
    pub(super) inner: G,
    pub(super) probe: Option<Probe>,
    pub(super) trap: Trap,
}

impl<G: GitBackend> GitBackend for ProbedGit<G> {
    fn answer<'a>(&'a self, question: &'a Question) -> BoxFuture<'a, Answer> {
        Box::pin(async move {
            let is_push = matches!(question, Question::Push { .. });
            if let Some(probe) = self.probe.as_ref().filter(|_| is_push) {
                probe("push before");
            }
            if is_push {
                self.trap.pass(Effect::BeforePush).await;
            }
            let answer = self.inner.answer(question).await;
            if let Some(probe) = self.probe.as_ref().filter(|_| is_push) {
                probe("push after");
            }
            if is_push {
                self.trap.pass(Effect::AfterPush).await;
            }
            answer
        })
    }
}

/// Tells before and after each write that adds rows.
pub(super) struct ProbedRecord {
    pub(super) inner: Arc<dyn Record>,
    pub(super) probe: Probe,
}

impl Record for ProbedRecord {
    fn append(&self, rows: Vec<RecordRow>) -> BoxFuture<'_, Result<usize, RecordError>> {
        Box::pin(async move {
            let is_new = rows.iter().any(|row| !self.inner.is_recorded(&row.key));
            if is_new {
                (self.probe)("record before");
            }
            let appended = self.inner.append(rows).await;
            if is_new {
                (self.probe)("record after");
            }
            appended
        })
    }

    fn is_recorded(&self, key: &str) -> bool {
        self.inner.is_recorded(key)
    }

    fn at(&self, filter: RecordFilter, at: Timestamp) -> BoxFuture<'_, Result<Vec<RecordRow>, RecordError>> {
        self.inner.at(filter, at)
    }

    fn log(&self, filter: RecordFilter) -> BoxFuture<'_, Result<Vec<RecordRow>, RecordError>> {
        self.inner.log(filter)
    }

    fn retain(&self, now: Timestamp, keep: Duration) -> BoxFuture<'_, Result<usize, RecordError>> {
        self.inner.retain(now, keep)
    }
}
