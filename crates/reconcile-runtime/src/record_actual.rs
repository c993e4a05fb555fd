//! The actual side of the record: what the cluster showed of managed objects, written behind the watches.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use object_model::{Object, ObjectId, Timestamp};
use reconcile_core::{RecordRow, Side};
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::sync::Notify;

use crate::shared::{Shared, lock};
use crate::store::{Change, MANAGED_LABEL};
use crate::{Record, RecordFilter};

/// Most rows that wait to be written; beyond it the oldest are dropped with a warning, reconciling goes on.
const PENDING_MAX: usize = 10_000;
const FLUSH_RETRY: Duration = Duration::from_secs(5);
/// Annotations whose values change without anybody wanting it, or repeat the object.
const NOISE: [&str; 2] = ["kubectl.kubernetes.io/last-applied-configuration", "deployment.kubernetes.io/revision"];

/// Rows on their way to the record.
#[derive(Debug, Default)]
pub(crate) struct ActualRows {
    enabled: bool,
    inner: Mutex<Pending>,
    filled: Notify,
}

#[derive(Debug, Default)]
struct Pending {
    rows: Vec<RecordRow>,
    /// The last digest of each object.
    last: BTreeMap<ObjectId, String>,
}

impl ActualRows {
    pub(crate) fn new(enabled: bool) -> Self {
        Self { enabled, ..Self::default() }
    }

    /// Takes up what the record says last of every object, so that a restart writes nothing twice.
    pub(crate) async fn load(&self, record: &Arc<dyn Record>, now: Timestamp) {
        let filter = RecordFilter { side: Some(Side::Actual), ..RecordFilter::default() };
        match record.at(filter, now).await {
            Ok(rows) => {
                let mut inner = lock(&self.inner);
                for row in rows {
                    inner.last.insert(row.object, row.digest);
                }
            }
            Err(error) => tracing::warn!(%error, "the record could not be read, facts may be written twice"),
        }
    }

    fn put_back(&self, rows: Vec<RecordRow>) {
        let mut inner = lock(&self.inner);
        let newer = std::mem::replace(&mut inner.rows, rows);
        inner.rows.extend(newer);
        let excess = inner.rows.len().saturating_sub(PENDING_MAX);
        inner.rows.drain(..excess);
    }

    /// Notes a change of a managed object.
    pub(crate) fn note(&self, change: &Change, now: Timestamp) {
        let managed = |object: &Arc<Object>| object.label(MANAGED_LABEL).is_some();
        if !self.enabled || !change.old.iter().chain(&change.new).any(managed) {
            return;
        }
        let Some(object) = change.object() else { return };
        let id = object.id();
        let life = object.uid().map(|uid| uid.to_string()).unwrap_or_default();
        let (digest, content, key) = match &change.new {
            Some(new) => {
                let content = content_of(new);
                let version = new.resource_version().unwrap_or_default();
                (digest_of(&content), content, format!("actual/{life}/{version}"))
            }
            None => (String::new(), Value::Null, format!("actual/{life}/gone")),
        };
        let mut inner = lock(&self.inner);
        if inner.last.get(&id) == Some(&digest) {
            return;
        }
        inner.last.insert(id.clone(), digest.clone());
        let note = |name: &str| object.annotation(name).map(str::to_owned);
        inner.rows.push(RecordRow {
            key,
            side: Side::Actual,
            object: id,
            at: now,
            digest,
            content,
            commit: note("sluice.dev/commit"),
            author: None,
            asker: None,
            build: None,
            source: None,
            operation: note("sluice.dev/operation"),
        });
        if inner.rows.len() > PENDING_MAX {
            inner.rows.remove(0);
            tracing::warn!("the record is too slow, the oldest fact was dropped");
        }
        drop(inner);
        self.filled.notify_one();
    }
}

/// Writes rows as they come, for ever.
pub(crate) async fn run(shared: Arc<Shared>) {
    loop {
        let rows = std::mem::take(&mut lock(&shared.actual.inner).rows);
        if rows.is_empty() {
            shared.actual.filled.notified().await;
            continue;
        }
        if let Err(error) = shared.record.append(rows.clone()).await {
            tracing::error!(%error, rows = rows.len(), "facts wait for the record");
            shared.actual.put_back(rows);
            tokio::time::sleep(FLUSH_RETRY).await;
        }
    }
}

/// What is recorded of an object: what people wrote, without what the server keeps for itself; of the status only the
/// phase of a Rollout.
fn content_of(object: &Object) -> Value {
    let mut json = object.to_json();
    let Some(map) = json.as_object_mut() else { return Value::Null };
    let phase =
        map.remove("status").filter(|_| object.kind() == "Rollout").and_then(|status| status.get("phase").cloned());
    if let Some(phase) = phase {
        map.insert("status".to_owned(), serde_json::json!({"phase": phase}));
    }
    if let Some(metadata) = map.get_mut("metadata").and_then(Value::as_object_mut) {
        for field in ["managedFields", "resourceVersion", "generation", "creationTimestamp", "selfLink", "uid"] {
            metadata.remove(field);
        }
        if let Some(notes) = metadata.get_mut("annotations").and_then(Value::as_object_mut) {
            for noise in NOISE {
                notes.remove(noise);
            }
        }
    }
    for secret in ["data", "stringData"] {
        if object.group().is_empty() && object.kind() == "Secret" {
            map.remove(secret);
        }
    }
    json
}

pub(crate) fn digest_of(content: &Value) -> String {
    let digest = Sha256::digest(content.to_string().as_bytes());
    digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}
