//! The actual side of the record: what the cluster showed of managed objects, written behind the watches.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use object_model::{Object, ObjectId, Timestamp};
use reconcile_core::{RecordRow, Side};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use tokio::sync::Notify;

use crate::shared::{Shared, lock};
use crate::store::{Change, MANAGED_LABEL};
use crate::{Record, RecordFilter};

/// Most rows that wait to be written; beyond it the oldest are dropped with a warning, reconciling goes on.
const PENDING_MAX: usize = 10_000;
const FLUSH_RETRY: Duration = Duration::from_secs(5);
/// Annotations whose values change without anybody wanting it, or repeat the object.
const NOISE: [&str; 2] = [diff_engine::LAST_APPLIED_ANNOTATION, "deployment.kubernetes.io/revision"];

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

/// What is recorded of an object: what people wrote, normalised and redacted; of the status only the phase of a Rollout.
///
/// Digests are compared across restarts, so the key of the masks is no secret. It hides nothing that could be guessed: of
/// Secrets only the keys are kept, what is left to mask are private keys.
fn content_of(object: &Object) -> Value {
    let mut content = diff_engine::Redactor::new(b"record").redact(&diff_engine::normalise(object));
    if object.kind() == "Secret" && object.group().is_empty() {
        let data = content.json_mut().get_mut("data").and_then(Value::as_object_mut);
        data.into_iter().flat_map(Map::values_mut).for_each(|value| *value = "[redacted]".into());
    }
    if let (Some(phase), "Rollout") = (object.pointer("/status/phase"), object.kind()) {
        content.set_at(&["status", "phase"], phase.clone());
    }
    for field in object.annotation(api::names::SECRET_FIELDS).unwrap_or_default().lines() {
        if let Some(value) = pointed_at(&mut content, field) {
            *value = "[redacted]".into();
        }
    }
    let metadata = content.json_mut().get_mut("metadata").and_then(Value::as_object_mut);
    if let Some(notes) = metadata.and_then(|metadata| metadata.get_mut("annotations")).and_then(Value::as_object_mut) {
        for noise in NOISE {
            notes.remove(noise);
        }
    }
    content.into_json()
}

/// The value behind a JSON pointer that is not the whole object.
fn pointed_at<'o>(object: &'o mut Object, pointer: &str) -> Option<&'o mut Value> {
    let rest = pointer.strip_prefix('/')?;
    let (first, below) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
    let first = first.replace("~1", "/").replace("~0", "~");
    object.json_mut().get_mut(&first)?.pointer_mut(below)
}

pub(crate) fn digest_of(content: &Value) -> String {
    let digest = Sha256::digest(content.to_string().as_bytes());
    digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn rollout(version: &str, phase: &str, image: &str) -> Object {
        Object::parse(json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout",
            "metadata": {
                "name": "web", "namespace": "qa", "uid": "u", "resourceVersion": version,
                "labels": {MANAGED_LABEL: "true"}, "annotations": {"sluice.dev/commit": "c1"},
            },
            "spec": {"image": image}, "status": {"phase": phase, "replicas": 3},
        }))
        .unwrap()
    }

    #[test]
    fn what_came_from_a_secret_is_left_out() {
        let mut object = rollout("1", "Healthy", "web:1");
        object.set_at(&["spec", "env"], json!([{"name": "a", "value": "hunter2"}]));
        object.set_annotation(api::names::SECRET_FIELDS, "/spec/env/0/value\n/spec/none/1");
        let content = content_of(&object);
        assert_eq!(content["spec"], json!({"image": "web:1", "env": [{"name": "a", "value": "[redacted]"}]}));
    }

    #[test]
    fn only_what_people_wrote_and_the_phase_of_a_rollout_make_rows() {
        let rows = ActualRows::new(true);
        let kind = reconcile_core::kinds::rollout();
        let objects = [
            rollout("1", "Progressing", "web:1"),
            rollout("2", "Progressing", "web:1"),
            rollout("3", "Healthy", "web:1"),
            rollout("4", "Healthy", "web:2"),
        ];
        for object in objects {
            rows.note(&Change { kind: kind.clone(), old: None, new: Some(Arc::new(object)) }, Timestamp::UNIX_EPOCH);
        }
        let old = Some(Arc::new(rollout("4", "Healthy", "web:2")));
        rows.note(&Change { kind, old, new: None }, Timestamp::UNIX_EPOCH);
        let inner = lock(&rows.inner);
        let keys: Vec<&str> = inner.rows.iter().map(|row| row.key.as_str()).collect();
        assert_eq!(keys, ["actual/u/1", "actual/u/3", "actual/u/4", "actual/u/gone"]);
        assert_eq!(inner.rows[0].commit.as_deref(), Some("c1"));
        assert_eq!(inner.rows[1].content["status"], json!({"phase": "Healthy"}));
        assert!(inner.rows[3].content.is_null() && inner.rows[3].digest.is_empty());
    }
}
