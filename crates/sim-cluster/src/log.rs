//! The request log: who asked for what, and whether it changed anything.

use std::collections::VecDeque;
use std::sync::Arc;

use object_model::Timestamp;

use crate::request::User;

/// What a request did to the object it named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Effect {
    /// Stored state is as before.
    #[default]
    None,
    /// The object came into being.
    Created,
    /// The object was changed.
    Updated,
    /// The object was removed.
    Deleted,
}

/// Who sent a request, after impersonation.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Actor {
    /// The user the request runs as.
    pub user: User,
    /// The user who impersonates, when `user` is an impersonated one.
    pub impersonator: Option<String>,
    /// The `User-Agent` header.
    pub agent: String,
}

/// One request on a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEntry {
    /// When it came.
    pub at: Timestamp,
    /// Who sent it.
    pub actor: Actor,
    /// The verb of RBAC: get, list, watch, create, update, patch, delete or deletecollection.
    pub verb: &'static str,
    /// The resource, for example `deployments.apps`.
    pub resource: String,
    /// The namespace, empty for cluster-scoped objects and for all namespaces.
    pub namespace: String,
    /// The name, empty when the request names none.
    pub name: String,
    /// The subresource, empty when there is none.
    pub subresource: String,
    /// The HTTP status of the answer.
    pub code: u16,
    /// What it did.
    pub effect: Effect,
    /// The store's resourceVersion after the request.
    pub revision: u64,
}

impl LogEntry {
    /// Whether the request changed stored state.
    pub fn has_changed(&self) -> bool {
        self.effect != Effect::None
    }
}

const CHUNK_LEN: usize = 256;

/// The newest requests, oldest first; a copy shares what is complete.
#[derive(Debug, Clone)]
pub(crate) struct RequestLog {
    chunks: VecDeque<Arc<Vec<LogEntry>>>,
    chunks_max: usize,
}

impl RequestLog {
    pub(crate) fn new(entries_max: usize) -> Self {
        Self { chunks: VecDeque::new(), chunks_max: entries_max.div_ceil(CHUNK_LEN).max(2) }
    }

    pub(crate) fn push(&mut self, entry: LogEntry) {
        match self.chunks.back_mut() {
            Some(chunk) if chunk.len() < CHUNK_LEN => Arc::make_mut(chunk).push(entry),
            _ => self.chunks.push_back(Arc::new(vec![entry])),
        }
        if self.chunks.len() > self.chunks_max {
            self.chunks.pop_front();
        }
    }

    pub(crate) fn entries(&self) -> impl Iterator<Item = &LogEntry> {
        self.chunks.iter().flat_map(|chunk| chunk.iter())
    }

    pub(crate) fn clear(&mut self) {
        self.chunks.clear();
    }
}
