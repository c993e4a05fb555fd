//! Keeps one kind of the store true: list, then watch, reconnect, list again when the server forgot the position.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use kube::client::Body;
use object_model::Object;
use reconcile_core::Kind;
use reconcile_core::bugs::{self, Bug};
use serde_json::Value;

use crate::api::{ApiError, Detail, object_of};
use crate::shared::{Shared, lock};
use crate::store::version_of;
use crate::{Options, WatchSelector};

const RETRY_MIN: Duration = Duration::from_secs(1);
const RETRY_MAX: Duration = Duration::from_secs(30);
/// How often a kind that the cluster doesn't serve is asked for: its definition may come later. Soon after a definition
/// was written, and then ever more rarely.
const ABSENT_RETRY_MIN: Duration = Duration::from_millis(250);
/// Most clusters serve few of the kinds that divide traffic, so an idle operator must ask for them rarely.
const ABSENT_RETRY_MAX: Duration = Duration::from_secs(120);
/// A kind is served this long after its definition was written, at the latest. While definitions are watched, there is no
/// reason to ask after that until one is written.
const ABSENT_SETTLED: Duration = Duration::from_secs(4);
/// Kinds of API servers that are aggregated have no definition: they are found by asking once in a while.
const ABSENT_RETRY_WATCHED: Duration = Duration::from_secs(3_600);
/// Largest event: an object of the largest size that etcd takes, with room.
const LINE_BYTES_MAX: usize = 16 << 20;
/// The server ends a watch after its time; this much later the connection is taken for dead.
const WATCH_GRACE: Duration = Duration::from_secs(15);

/// Why a watch ended.
#[derive(Debug, PartialEq, Eq)]
enum End {
    /// The server closed it, as it does after a while.
    Closed,
    /// The position is too old: list again.
    Expired,
    /// The connection broke or spoke nonsense.
    Broken(String),
}

/// Watches `kind` for ever.
pub(crate) async fn run(shared: Arc<Shared>, kind: Kind, selector: WatchSelector) {
    let mut failures = 0_u32;
    let selector = selector.text();
    let mut definitions = shared.definitions.load(Ordering::Acquire);
    let mut absent_retry = ABSENT_RETRY_MIN;
    loop {
        match list(&shared, &kind, selector.as_deref()).await {
            Ok(version) => {
                failures = 0;
                absent_retry = ABSENT_RETRY_MIN;
                follow(&shared, &kind, selector.as_deref(), version).await;
            }
            Err(ApiError::NotFound { .. }) => {
                tracing::debug!(kind = %kind.gvk(), "the cluster does not serve this kind");
                let changes = lock(&shared.store).not_served(&kind);
                shared.changed(changes);
                shared.kind_is_ready(&kind);
                shared.definitions_wanted.notify_one();
                let is_watched = shared.definitions_watched.load(Ordering::Acquire);
                let wait =
                    if is_watched && absent_retry > ABSENT_SETTLED { ABSENT_RETRY_WATCHED } else { absent_retry };
                let defined = tokio::time::timeout(wait, shared.is_defined(definitions)).await.is_ok();
                definitions = shared.definitions.load(Ordering::Acquire);
                absent_retry =
                    if defined { ABSENT_RETRY_MIN } else { absent_retry.saturating_mul(2).min(ABSENT_RETRY_MAX) };
            }
            Err(error) => {
                let delay = retry_delay(failures);
                failures = failures.saturating_add(1);
                tracing::warn!(kind = %kind.gvk(), %error, retry_s = delay.as_secs(), "a list failed");
                shared.metrics.count("sluice_watch_failures_total", &[("kind", &kind.kind)]);
                tokio::time::sleep(delay).await;
            }
        }
    }
}

async fn list(shared: &Shared, kind: &Kind, selector: Option<&str>) -> Result<String, ApiError> {
    let sequence = lock(&shared.store).list_begins();
    let namespace = shared.options.scope(kind, String::new());
    let list = shared.api.list(kind, &namespace, selector, Detail::of(kind, selector)).await?;
    let version = list.resource_version.parse().unwrap_or(0);
    let changes = lock(&shared.store).replace(kind, "", list.items, version, sequence);
    shared.changed(changes);
    shared.kind_is_ready(kind);
    Ok(list.resource_version)
}

/// Follows the changes from `version` on until the server has forgotten them.
async fn follow(shared: &Shared, kind: &Kind, selector: Option<&str>, mut version: String) {
    let mut failures = 0_u32;
    let seconds = watch_seconds(&shared.options, kind);
    let namespace = shared.options.scope(kind, String::new());
    loop {
        let begun = tokio::time::Instant::now();
        let detail = Detail::of(kind, selector);
        let end = match shared.api.watch(kind, &namespace, selector, &version, seconds, detail).await {
            Ok(response) => {
                let events = read_events(shared, kind, response.into_body(), &mut version);
                let limit = Duration::from_secs(seconds) + WATCH_GRACE;
                tokio::time::timeout(limit, events).await.unwrap_or(End::Closed)
            }
            Err(ApiError::Expired { .. } | ApiError::NotFound { .. }) => End::Expired,
            Err(error) => End::Broken(error.to_string()),
        };
        match end {
            End::Expired => return,
            End::Closed if begun.elapsed() >= RETRY_MIN => failures = 0,
            End::Closed => {
                // A server that hangs up at once must not be asked in a tight loop.
                tokio::time::sleep(retry_delay(failures)).await;
                failures = failures.saturating_add(1);
            }
            End::Broken(_) if bugs::on(Bug::BrokenWatchLeft) => std::future::pending().await,
            End::Broken(error) => {
                let delay = retry_delay(failures);
                failures = failures.saturating_add(1);
                tracing::info!(kind = %kind.gvk(), %error, retry_s = delay.as_secs(), "a watch broke");
                shared.metrics.count("sluice_watch_failures_total", &[("kind", &kind.kind)]);
                tokio::time::sleep(delay).await;
            }
        }
    }
}

/// Kinds end their watches at different times, so that they don't all reconnect in one moment.
fn watch_seconds(options: &Options, kind: &Kind) -> u64 {
    let spread: u64 = kind.plural.bytes().map(u64::from).sum::<u64>() % 30;
    options.watch_seconds.saturating_sub(spread).max(1)
}

pub(crate) fn retry_delay(failures: u32) -> Duration {
    RETRY_MIN.saturating_mul(1 << failures.min(5)).min(RETRY_MAX)
}

async fn read_events(shared: &Shared, kind: &Kind, mut body: Body, version: &mut String) -> End {
    let mut lines = Lines::default();
    loop {
        let frame = match body.frame().await {
            None => return End::Closed,
            Some(Err(error)) => return End::Broken(error.to_string()),
            Some(Ok(frame)) => frame,
        };
        let Ok(data) = frame.into_data() else { continue };
        if !lines.push(&data) {
            return End::Broken("an event is too large".to_owned());
        }
        while let Some(line) = lines.next() {
            if let Some(end) = take_event(shared, kind, &line, version) {
                return end;
            }
        }
    }
}

fn take_event(shared: &Shared, kind: &Kind, line: &[u8], version: &mut String) -> Option<End> {
    let Ok(Value::Object(mut event)) = serde_json::from_slice::<Value>(line) else {
        return Some(End::Broken("an event is not JSON".to_owned()));
    };
    let what = event.remove("object").unwrap_or_default();
    let verb = event.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
    if verb == "ERROR" {
        let code = what.get("code").and_then(Value::as_u64);
        let message = what.get("message").and_then(Value::as_str).unwrap_or("unknown").to_owned();
        return Some(if code == Some(410) { End::Expired } else { End::Broken(message) });
    }
    let Ok(object) = object_of(kind, what) else {
        return Some(End::Broken("an event carries no object".to_owned()));
    };
    if let Some(seen) = object.resource_version() {
        *version = seen.to_owned();
    }
    let change = note_event(shared, kind, &verb, object);
    shared.changed(change.into_iter().collect());
    None
}

fn note_event(shared: &Shared, kind: &Kind, verb: &str, object: Object) -> Option<crate::Change> {
    let mut store = lock(&shared.store);
    match verb {
        "ADDED" | "MODIFIED" => store.apply(kind, object),
        "DELETED" if bugs::on(Bug::DeletionUnheard) => None,
        "DELETED" => store.delete(kind, &object),
        "BOOKMARK" => {
            store.bookmark(kind, version_of(&object));
            None
        }
        _ => None,
    }
}

/// Cuts a stream of chunks into lines.
#[derive(Default)]
pub(crate) struct Lines {
    buffer: BytesMut,
    /// How far there is no line end.
    searched: usize,
}

impl Lines {
    /// Takes a chunk; `false` when the line it belongs to is too long.
    pub(crate) fn push(&mut self, chunk: &Bytes) -> bool {
        self.buffer.extend_from_slice(chunk);
        self.buffer.len() <= LINE_BYTES_MAX
    }

    pub(crate) fn next(&mut self) -> Option<Bytes> {
        loop {
            let rest = self.buffer.get(self.searched..).unwrap_or_default();
            let Some(at) = rest.iter().position(|byte| *byte == b'\n') else {
                self.searched = self.buffer.len();
                return None;
            };
            let line = self.buffer.split_to(self.searched + at + 1).freeze();
            self.searched = 0;
            if line.len() > 1 {
                return Some(line);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_whole_however_they_are_cut() {
        let mut lines = Lines::default();
        let mut seen = Vec::new();
        for chunk in ["{\"a\"", ":1}\n{\"b\":", "2}\n\n", "{}", "\n"] {
            assert!(lines.push(&Bytes::from_static(chunk.as_bytes())));
            while let Some(line) = lines.next() {
                seen.push(String::from_utf8(line.to_vec()).unwrap());
            }
        }
        assert_eq!(seen, ["{\"a\":1}\n", "{\"b\":2}\n", "{}\n"]);
    }

    #[test]
    fn retries_wait_longer_up_to_half_a_minute() {
        let delays: Vec<u64> = (0..7).map(|failures| retry_delay(failures).as_secs()).collect();
        assert_eq!(delays, [1, 2, 4, 8, 16, 30, 30]);
    }
}
