//! Watches the definitions of kinds, so that a kind which is not served needs no asking until somebody defines it.
//!
//! Only names are read: definitions with their schemas would be most of the memory of a small operator.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use http_body_util::BodyExt;
use kube::client::Body;
use reconcile_core::{Kind, Scope};
use serde_json::Value;

use crate::api::{ApiError, Detail};
use crate::shared::{Shared, lock};
use crate::watch::{Lines, retry_delay};

/// The server ends a watch after its time; this much later the connection is taken for dead.
const WATCH_GRACE: Duration = Duration::from_secs(15);
/// Without the right to read definitions nothing is watched, and kinds are asked for one by one.
const FORBIDDEN_RETRY: Duration = Duration::from_secs(600);

/// Watches for ever, from the moment on when some kind was found not to be served.
pub(crate) async fn run(shared: Arc<Shared>) {
    let kind = Kind::new(
        "apiextensions.k8s.io",
        "v1",
        "CustomResourceDefinition",
        "customresourcedefinitions",
        Scope::Cluster,
    );
    shared.definitions_wanted.notified().await;
    let mut failures = 0_u32;
    loop {
        let delay = match follow(&shared, &kind).await {
            Ok(()) => {
                failures = 0;
                retry_delay(0)
            }
            Err(ApiError::Refused { code: 403, .. } | ApiError::NotFound { .. }) => FORBIDDEN_RETRY,
            Err(error) => {
                tracing::debug!(%error, "the watch of the definitions broke");
                let delay = retry_delay(failures);
                failures = failures.saturating_add(1);
                delay
            }
        };
        shared.definitions_watched.store(false, Ordering::Release);
        tokio::time::sleep(delay).await;
    }
}

/// Lists and then watches until the server has forgotten the position.
async fn follow(shared: &Shared, kind: &Kind) -> Result<(), ApiError> {
    let list = shared.api.list(kind, "", None, Detail::Metadata).await?;
    let mut version = list.resource_version;
    shared.definitions_watched.store(true, Ordering::Release);
    // Who asked in vain before this position asks once more: from here on nothing is missed.
    shared.tell_of_a_definition();
    let seconds = shared.options.watch_seconds.max(1);
    loop {
        let begun = tokio::time::Instant::now();
        let response = match shared.api.watch(kind, "", None, &version, seconds, Detail::Metadata).await {
            Err(ApiError::Expired { .. }) => return Ok(()),
            other => other?,
        };
        let events = read(shared, response.into_body(), &mut version);
        let limit = Duration::from_secs(seconds) + WATCH_GRACE;
        if !tokio::time::timeout(limit, events).await.unwrap_or(true) {
            return Ok(());
        }
        if begun.elapsed() < retry_delay(0) {
            // A server that hangs up at once must not be asked in a tight loop.
            tokio::time::sleep(retry_delay(0)).await;
        }
    }
}

/// Reads events; `false` when the position is of no use any more.
async fn read(shared: &Shared, mut body: Body, version: &mut String) -> bool {
    let mut lines = Lines::default();
    while let Some(Ok(frame)) = body.frame().await {
        let Ok(data) = frame.into_data() else { continue };
        if !lines.push(&data) {
            return false;
        }
        while let Some(line) = lines.next() {
            let Ok(event) = serde_json::from_slice::<Value>(&line) else { return false };
            let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
            match text("/type") {
                "ERROR" => return false,
                "BOOKMARK" => {}
                _ => tell(shared, text("/object/metadata/name")),
            }
            if let Some(seen) = event.pointer("/object/metadata/resourceVersion").and_then(Value::as_str) {
                seen.clone_into(version);
            }
        }
    }
    true
}

/// What is served of the group is learned anew, and who waits for a kind asks for it.
fn tell(shared: &Shared, name: &str) {
    if let Some((_, group)) = name.split_once('.') {
        lock(&shared.discovery).forget_group(group);
    }
    shared.tell_of_a_definition();
}
