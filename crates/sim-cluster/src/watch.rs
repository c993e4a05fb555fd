//! Watches: a cursor into the history that turns changes into event lines for one selection of objects.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use object_model::Timestamp;
use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::error::ApiError;
use crate::present::Presentation;
use crate::resource::ResourceType;
use crate::selector::Selection;
use crate::store::{Change, Stored};

/// How often a watch that allows bookmarks gets one.
const BOOKMARK_EVERY: Duration = Duration::from_secs(60);

/// How many lines one poll returns at most.
const LINES_MAX: usize = 1_000;

/// An open watch. It holds no reference to the cluster: poll it against the cluster that made it, or against a copy.
#[derive(Debug)]
pub struct Watch {
    pub(crate) resource: Arc<ResourceType>,
    pub(crate) namespace: Option<String>,
    pub(crate) selection: Selection,
    pub(crate) presentation: Presentation,
    pub(crate) cursor: u64,
    pub(crate) initial: std::vec::IntoIter<Arc<Stored>>,
    pub(crate) ends_initial: bool,
    pub(crate) has_bookmarks: bool,
    pub(crate) next_bookmark: Timestamp,
    pub(crate) ends_at: Timestamp,
    pub(crate) failure: Option<ApiError>,
    pub(crate) is_over: bool,
}

/// What a poll of a watch gave.
#[derive(Debug, Clone, Default)]
pub struct Polled {
    /// Event lines, each a JSON object and a newline.
    pub lines: Vec<Bytes>,
    /// Whether the stream is over.
    pub is_over: bool,
}

/// How a watch begins.
pub(crate) struct WatchStart {
    pub(crate) cursor: u64,
    pub(crate) initial: Vec<Arc<Stored>>,
    pub(crate) ends_initial: bool,
    pub(crate) has_bookmarks: bool,
    pub(crate) timeout: Duration,
    pub(crate) failure: Option<ApiError>,
}

impl Watch {
    pub(crate) fn new(
        resource: Arc<ResourceType>,
        namespace: Option<String>,
        selection: Selection,
        presentation: Presentation,
        start: WatchStart,
        now: Timestamp,
    ) -> Self {
        Self {
            resource,
            namespace,
            selection,
            presentation,
            cursor: start.cursor,
            initial: start.initial.into_iter(),
            ends_initial: start.ends_initial,
            has_bookmarks: start.has_bookmarks,
            next_bookmark: now + BOOKMARK_EVERY,
            ends_at: now + start.timeout,
            failure: start.failure,
            is_over: false,
        }
    }

    /// When to poll again if nothing changes: at the next bookmark or at the end.
    pub fn next_due(&self) -> Timestamp {
        if self.has_bookmarks { self.next_bookmark.min(self.ends_at) } else { self.ends_at }
    }

    /// The `Content-Type` of the stream.
    pub fn content_type(&self) -> &'static str {
        "application/json"
    }

    /// Takes the lines that are ready. Poll again at once while it returns lines.
    pub fn poll(&mut self, cluster: &Cluster, now: Timestamp) -> Polled {
        let mut lines = Vec::new();
        if self.is_over {
            return Polled { lines, is_over: true };
        }
        if let Some(error) = self.failure.take() {
            return self.fail(lines, &error);
        }
        self.take_initial(cluster, now, &mut lines);
        if lines.len() >= LINES_MAX {
            return Polled { lines, is_over: false };
        }
        if self.cursor < cluster.store.compacted() {
            let message = format!("too old resource version: {} ({})", self.cursor, cluster.store.compacted());
            return self.fail(lines, &ApiError::expired(message));
        }
        self.take_changes(cluster, now, &mut lines);
        if lines.len() < LINES_MAX {
            self.take_bookmark(now, &mut lines);
        }
        self.is_over = now >= self.ends_at && lines.len() < LINES_MAX;
        Polled { lines, is_over: self.is_over }
    }

    fn take_initial(&mut self, cluster: &Cluster, now: Timestamp, lines: &mut Vec<Bytes>) {
        while lines.len() < LINES_MAX {
            let Some(object) = self.initial.next() else { break };
            lines.push(self.line("ADDED", &object, now));
        }
        if self.ends_initial && self.initial.len() == 0 && lines.len() < LINES_MAX {
            self.ends_initial = false;
            self.next_bookmark = now + BOOKMARK_EVERY;
            let annotations = json!({"k8s.io/initial-events-end": "true"});
            // The list is as of the cursor; nothing later has been sent yet.
            let revision = self.cursor.min(cluster.revision());
            lines.push(self.bookmark(revision, Some(annotations)));
        }
    }

    fn take_changes(&mut self, cluster: &Cluster, now: Timestamp, lines: &mut Vec<Bytes>) {
        let mut cursor = self.cursor;
        for change in cluster.store.changes_since(self.cursor) {
            if lines.len() >= LINES_MAX {
                self.cursor = cursor;
                return;
            }
            cursor = change.revision;
            if let Some((kind, state)) = self.event(change) {
                lines.push(self.line(kind, &state, now));
            }
        }
        self.cursor = cluster.revision().max(self.cursor);
    }

    /// The event a change is for this selection: an object that stops matching is deleted, as seen from here.
    fn event(&self, change: &Change) -> Option<(&'static str, Arc<Stored>)> {
        if change.resource != self.resource.storage
            || self.namespace.as_deref().is_some_and(|namespace| namespace != change.namespace.as_ref())
        {
            return None;
        }
        let matches =
            |object: &Option<Arc<Stored>>| object.as_ref().is_some_and(|object| self.selection.matches(object.json()));
        match (matches(&change.before), matches(&change.after)) {
            (false, false) => None,
            (false, true) => change.after.clone().map(|after| ("ADDED", after)),
            (true, true) => change.after.clone().map(|after| ("MODIFIED", after)),
            (true, false) => {
                let state = match (&change.last, &change.before) {
                    (Some(last), _) => last.clone(),
                    // The last state that matched, under the revision in which it stopped matching.
                    (None, Some(before)) => Arc::new(under_revision(before, change.revision)),
                    (None, None) => return None,
                };
                Some(("DELETED", state))
            }
        }
    }

    fn take_bookmark(&mut self, now: Timestamp, lines: &mut Vec<Bytes>) {
        let is_last = now >= self.ends_at;
        if self.has_bookmarks && (now >= self.next_bookmark || is_last) {
            self.next_bookmark = now + BOOKMARK_EVERY;
            lines.push(self.bookmark(self.cursor, None));
        }
    }

    fn line(&mut self, kind: &str, object: &Stored, now: Timestamp) -> Bytes {
        let shown = self.presentation.event_object(&self.resource, object, now);
        let mut line = Vec::with_capacity(shown.len() + 32);
        line.extend_from_slice(b"{\"type\":\"");
        line.extend_from_slice(kind.as_bytes());
        line.extend_from_slice(b"\",\"object\":");
        line.extend_from_slice(&shown);
        line.extend_from_slice(b"}\n");
        Bytes::from(line)
    }

    fn bookmark(&self, revision: u64, annotations: Option<Value>) -> Bytes {
        let object = self.presentation.bookmark(&self.resource, revision, annotations);
        Bytes::from(format!("{}\n", json!({"type": "BOOKMARK", "object": object})))
    }

    fn fail(&mut self, mut lines: Vec<Bytes>, error: &ApiError) -> Polled {
        self.is_over = true;
        lines.push(Bytes::from(format!("{}\n", json!({"type": "ERROR", "object": error.to_status()}))));
        Polled { lines, is_over: true }
    }
}

fn under_revision(object: &Stored, revision: u64) -> Stored {
    let mut json = object.json().clone();
    if let Some(metadata) = json.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.insert("resourceVersion".to_owned(), revision.to_string().into());
    }
    Stored::new(json, revision)
}
