//! The record: what was wanted and what was there, through time. Append-only; nothing decides from it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::BoxFuture;
use object_model::{ObjectId, Timestamp};
use reconcile_core::{RecordRow, Side};

/// Most rows that one query returns.
pub const ROWS_MAX: usize = 10_000;

/// Why the record could not be read or written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// The file or the schema could not be opened.
    #[error("the record at `{path}` could not be opened: {message}")]
    Open {
        /// Where.
        path: String,
        /// What the database said.
        message: String,
    },
    /// A row could not be written.
    #[error("the record could not be written: {message}")]
    Append {
        /// What the database said.
        message: String,
    },
    /// A query failed.
    #[error("the record could not be read: {message}")]
    Query {
        /// What the database said.
        message: String,
    },
}

/// Which objects a query is about; what is `None` does not matter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RecordFilter {
    /// Group, kind and the other parts of one object.
    pub object: Option<ObjectId>,
    /// A namespace; cluster-scoped objects are in the empty one.
    pub namespace: Option<String>,
    /// Desired or actual.
    pub side: Option<Side>,
    /// Rows at or after this moment.
    pub since: Option<Timestamp>,
    /// Rows at or before this moment.
    pub until: Option<Timestamp>,
    /// Most rows; bounded by [`ROWS_MAX`].
    pub limit: Option<usize>,
}

/// Where rows go. Implementations keep the order of time; a key that is there already is not written again.
pub trait Record: Send + Sync + 'static {
    /// Appends rows; returns how many were new.
    fn append(&self, rows: Vec<RecordRow>) -> BoxFuture<'_, Result<usize, RecordError>>;
    /// Whether a row with this key is known. Answers from memory.
    fn is_recorded(&self, key: &str) -> bool;
    /// The last row of each object and side at or before `at`.
    fn at(&self, filter: RecordFilter, at: Timestamp) -> BoxFuture<'_, Result<Vec<RecordRow>, RecordError>>;
    /// The rows that pass the filter, newest first.
    fn log(&self, filter: RecordFilter) -> BoxFuture<'_, Result<Vec<RecordRow>, RecordError>>;
    /// Deletes rows that are older than `keep` and not the last of their object; returns how many.
    fn retain(&self, now: Timestamp, keep: Duration) -> BoxFuture<'_, Result<usize, RecordError>>;
}

/// The record in memory, for simulation and for operators that don't want a file. Clones share it;
/// [`MemoryRecord::fork`] makes an independent copy.
#[derive(Debug, Clone, Default)]
pub struct MemoryRecord {
    inner: Arc<Mutex<Rows>>,
}

#[derive(Debug, Clone, Default)]
struct Rows {
    keys: BTreeSet<String>,
    rows: Vec<Arc<RecordRow>>,
}

impl MemoryRecord {
    /// An independent copy.
    #[must_use]
    pub fn fork(&self) -> Self {
        Self { inner: Arc::new(Mutex::new(self.lock().clone())) }
    }

    /// All rows in the order they were written.
    pub fn rows(&self) -> Vec<Arc<RecordRow>> {
        self.lock().rows.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Rows> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Record for MemoryRecord {
    fn append(&self, rows: Vec<RecordRow>) -> BoxFuture<'_, Result<usize, RecordError>> {
        let mut inner = self.lock();
        let mut new = 0;
        for row in rows {
            if inner.keys.insert(row.key.clone()) {
                inner.rows.push(Arc::new(row));
                new += 1;
            }
        }
        Box::pin(std::future::ready(Ok(new)))
    }

    fn is_recorded(&self, key: &str) -> bool {
        self.lock().keys.contains(key)
    }

    fn at(&self, mut filter: RecordFilter, at: Timestamp) -> BoxFuture<'_, Result<Vec<RecordRow>, RecordError>> {
        filter.until = Some(at);
        let mut last: BTreeMap<(ObjectId, Side), Arc<RecordRow>> = BTreeMap::new();
        for row in self.lock().rows.iter().filter(|row| filter.passes(row)) {
            let slot = last.entry((row.object.clone(), row.side)).or_insert_with(|| row.clone());
            if slot.at <= row.at {
                *slot = row.clone();
            }
        }
        let rows = last.into_values().take(filter.limit()).map(|row| row.as_ref().clone()).collect();
        Box::pin(std::future::ready(Ok(rows)))
    }

    fn log(&self, filter: RecordFilter) -> BoxFuture<'_, Result<Vec<RecordRow>, RecordError>> {
        let mut rows: Vec<Arc<RecordRow>> =
            self.lock().rows.iter().rev().filter(|row| filter.passes(row)).cloned().collect();
        rows.sort_by_key(|row| std::cmp::Reverse(row.at));
        rows.truncate(filter.limit());
        let rows = rows.into_iter().map(|row| row.as_ref().clone()).collect();
        Box::pin(std::future::ready(Ok(rows)))
    }

    fn retain(&self, now: Timestamp, keep: Duration) -> BoxFuture<'_, Result<usize, RecordError>> {
        let horizon = now.checked_sub(keep).unwrap_or(Timestamp::MIN);
        let mut inner = self.lock();
        let mut newest: BTreeMap<(ObjectId, Side), Timestamp> = BTreeMap::new();
        for row in &inner.rows {
            let slot = newest.entry((row.object.clone(), row.side)).or_insert(row.at);
            *slot = (*slot).max(row.at);
        }
        let before = inner.rows.len();
        inner.rows.retain(|row| row.at >= horizon || newest.get(&(row.object.clone(), row.side)) == Some(&row.at));
        inner.keys = inner.rows.iter().map(|row| row.key.clone()).collect();
        let gone = before - inner.rows.len();
        Box::pin(std::future::ready(Ok(gone)))
    }
}

impl RecordFilter {
    /// The bound on rows.
    pub fn limit(&self) -> usize {
        self.limit.unwrap_or(ROWS_MAX).min(ROWS_MAX)
    }

    fn passes(&self, row: &RecordRow) -> bool {
        let namespace = row.object.namespace.as_deref().unwrap_or_default();
        self.object.as_ref().is_none_or(|object| *object == row.object)
            && self.namespace.as_ref().is_none_or(|wanted| wanted == namespace)
            && self.side.is_none_or(|side| side == row.side)
            && self.since.is_none_or(|since| row.at >= since)
            && self.until.is_none_or(|until| row.at <= until)
    }
}
