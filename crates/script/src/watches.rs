//! Watches that a script has opened: a task collects their events while the script goes on.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt as _;
use serde_json::Value;
use tokio::sync::Notify;

use crate::transport::Body;

/// Most bytes of events that one watch keeps.
const BYTES_MAX: usize = 64 * 1024 * 1024;

/// The open watches by their names.
#[derive(Default)]
pub(crate) struct Watches {
    open: BTreeMap<String, Watch>,
}

struct Watch {
    state: Arc<State>,
    task: tokio::task::JoinHandle<()>,
    /// Events that an earlier line has taken.
    taken: usize,
}

#[derive(Default)]
struct State {
    seen: Mutex<Seen>,
    changed: Notify,
}

#[derive(Default)]
struct Seen {
    events: Vec<Value>,
    ended: bool,
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Watches {
    /// Collects the events of `body` under `name`.
    pub(crate) fn open(&mut self, name: &str, body: Body) {
        let state = Arc::new(State::default());
        let task = tokio::spawn(collect(body, Arc::clone(&state)));
        self.open.insert(name.to_owned(), Watch { state, task, taken: 0 });
    }

    /// Ends a watch from this side.
    pub(crate) fn close(&mut self, name: &str) -> Result<(), String> {
        self.open.remove(name).map(|_| ()).ok_or_else(|| format!("there is no watch `{name}`"))
    }

    /// Returns the next `count` events, as soon as they are there.
    pub(crate) async fn take(&mut self, name: &str, count: usize, patience: Duration) -> Result<Vec<Value>, String> {
        let watch = self.open.get_mut(name).ok_or_else(|| format!("there is no watch `{name}`"))?;
        let wanted = watch.taken + count;
        let until = |seen: &Seen| seen.events.len() >= wanted || seen.ended;
        if !wait(&watch.state, until, patience).await || watch.count() < wanted {
            return Err(format!("watch `{name}` has brought {} of {count} events", watch.count() - watch.taken));
        }
        Ok(watch.next(wanted))
    }

    /// Returns all events until the server ends the watch.
    pub(crate) async fn take_until_end(&mut self, name: &str, patience: Duration) -> Result<Vec<Value>, String> {
        let watch = self.open.get_mut(name).ok_or_else(|| format!("there is no watch `{name}`"))?;
        if !wait(&watch.state, |seen| seen.ended, patience).await {
            return Err(format!("watch `{name}` was not ended by the server"));
        }
        Ok(watch.next(watch.count()))
    }

    /// Returns the events that come within `time`.
    pub(crate) async fn take_for(&mut self, name: &str, time: Duration) -> Result<Vec<Value>, String> {
        let watch = self.open.get_mut(name).ok_or_else(|| format!("there is no watch `{name}`"))?;
        wait(&watch.state, |seen| seen.ended, time).await;
        Ok(watch.next(watch.count()))
    }
}

impl Watch {
    fn count(&self) -> usize {
        self.state.seen.lock().unwrap_or_else(PoisonError::into_inner).events.len()
    }

    fn next(&mut self, wanted: usize) -> Vec<Value> {
        let seen = self.state.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let events = seen.events.get(self.taken..wanted).unwrap_or_default().to_vec();
        self.taken = wanted;
        events
    }
}

/// Waits until `is_so`; false when it did not come within `patience`.
async fn wait(state: &State, is_so: impl Fn(&Seen) -> bool, patience: Duration) -> bool {
    let come = async {
        loop {
            // Registered before the look, so a change between the two is not missed.
            let changed = state.changed.notified();
            if is_so(&state.seen.lock().unwrap_or_else(PoisonError::into_inner)) {
                return;
            }
            changed.await;
        }
    };
    tokio::time::timeout(patience, come).await.is_ok()
}

async fn collect(mut body: Body, state: Arc<State>) {
    let mut rest: Vec<u8> = Vec::new();
    let mut bytes = 0;
    while let Some(Ok(frame)) = body.frame().await {
        let data: Bytes = frame.into_data().unwrap_or_default();
        bytes += data.len();
        rest.extend_from_slice(&data);
        let mut events = Vec::new();
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = rest.drain(..=end).collect();
            events.extend(Some(event(&line)).filter(|event| !is_progress(event)));
        }
        if !events.is_empty() {
            state.seen.lock().unwrap_or_else(PoisonError::into_inner).events.extend(events);
            state.changed.notify_waiters();
        }
        if bytes > BYTES_MAX {
            break;
        }
    }
    let mut seen = state.seen.lock().unwrap_or_else(PoisonError::into_inner);
    if !rest.is_empty() {
        // An answer that is no stream may end without an end of line.
        seen.events.push(event(&rest));
    }
    seen.ended = true;
    drop(seen);
    state.changed.notify_waiters();
}

/// A bookmark between events: a server sends them when it likes. The one that ends the initial events says so.
fn is_progress(event: &Value) -> bool {
    let ends = event.pointer("/object/metadata/annotations/k8s.io~1initial-events-end");
    event.get("type").and_then(Value::as_str) == Some("BOOKMARK") && ends.is_none()
}

/// A line of a watch; one that is not JSON stays a text so that the transcript shows it.
fn event(line: &[u8]) -> Value {
    serde_json::from_slice(line).unwrap_or_else(|_| Value::from(String::from_utf8_lossy(line).into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_the_bookmark_that_ends_the_initial_events_counts() {
        let bookmark =
            |annotations: Value| json!({"type": "BOOKMARK", "object": {"metadata": {"annotations": annotations}}});
        assert!(is_progress(&bookmark(Value::Null)));
        assert!(!is_progress(&bookmark(json!({"k8s.io/initial-events-end": "true"}))));
        assert!(!is_progress(&json!({"type": "ADDED", "object": {}})));
    }
}
