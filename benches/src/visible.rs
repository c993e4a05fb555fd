//! When what Git says can be seen in the cluster: the watch of a person who does nothing else.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use futures::StreamExt;
use http::Request;
use kube::core::WatchEvent;
use serde_json::Value;
use tokio::sync::mpsc;

use crate::ground::Ground;

const APPLIED_LIMIT: Duration = Duration::from_secs(60);

/// An object with a value that Git gave it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) object: (String, String),
    pub(crate) value: String,
}

/// Tells of every ConfigMap with a greeting as the watch shows it, with the moment.
pub(crate) async fn watch(ground: &Ground) -> Result<mpsc::UnboundedReceiver<(Instant, Seen)>> {
    let list: Value = ground.people.request(Request::get("/api/v1/configmaps?limit=1").body(Vec::new())?).await?;
    let version = list.pointer("/metadata/resourceVersion").and_then(Value::as_str).context("a list has a version")?;
    let uri = format!("/api/v1/configmaps?watch=1&timeoutSeconds=3600&resourceVersion={version}");
    let events = ground.people.request_events::<Value>(Request::get(uri).body(Vec::new())?).await?;
    let (tell, told) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        let mut events = std::pin::pin!(events);
        while let Some(Ok(event)) = events.next().await {
            let at = Instant::now();
            let (WatchEvent::Added(object) | WatchEvent::Modified(object)) = event else { continue };
            let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
            let seen =
                Seen { object: (text("/metadata/namespace"), text("/metadata/name")), value: text("/data/greeting") };
            // Nobody listens any more when the measurement has ended.
            if tell.send((at, seen)).is_err() {
                return;
            }
        }
    });
    Ok(told)
}

/// Waits until the watch has shown it, and returns when that was.
pub(crate) async fn wait_until_applied(
    applied: &mut mpsc::UnboundedReceiver<(Instant, Seen)>,
    wanted: &Seen,
) -> Result<Instant> {
    let seen = async {
        while let Some((at, seen)) = applied.recv().await {
            if seen == *wanted {
                return Ok(at);
            }
        }
        bail!("the watch ended")
    };
    let limited = tokio::time::timeout(APPLIED_LIMIT, seen).await;
    limited.with_context(|| format!("{} did not reach {:?} within {APPLIED_LIMIT:?}", wanted.value, wanted.object))?
}
