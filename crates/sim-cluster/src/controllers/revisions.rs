//! The history of a workload's templates as ControllerRevisions, which StatefulSets and DaemonSets keep.

use std::cmp::Reverse;
use std::sync::Arc;

use serde_json::{Value, json};

use super::view::{fingerprint, int, int_or, labels, owned, owner_reference, safe_letters, text};
use crate::cluster::Cluster;
use crate::error::ApiError;
use crate::store::Stored;
use crate::write::DeleteOptions;

pub(super) const REVISIONS: &str = "controllerrevisions.apps";

/// How a controller marks its revisions.
pub(super) struct Keeper {
    pub(super) controller: &'static str,
    /// The label that holds the hash.
    pub(super) hash_label: &'static str,
}

/// What a revision holds: a patch that puts the template back.
fn data_of(workload: &Value) -> Value {
    let mut template = workload.pointer("/spec/template").cloned().unwrap_or_else(|| json!({}));
    if let Some(fields) = template.as_object_mut() {
        fields.insert("$patch".to_owned(), "replace".into());
    }
    json!({"spec": {"template": template}})
}

/// The template that a revision holds.
pub(super) fn template_of(revision: &Value) -> Value {
    let mut template = revision.pointer("/data/spec/template").cloned().unwrap_or_else(|| json!({}));
    if let Some(fields) = template.as_object_mut() {
        fields.remove("$patch");
    }
    template
}

/// The revision of the workload's template now, and all revisions, oldest first. A template that was there before gets
/// its old revision back under the newest number.
pub(super) fn sync(
    cluster: &mut Cluster,
    workload: &Value,
    keeper: &Keeper,
) -> Result<(Arc<Stored>, Vec<Arc<Stored>>), ApiError> {
    let namespace = text(workload, "/metadata/namespace");
    let mut all = owned(cluster, REVISIONS, namespace, text(workload, "/metadata/uid"));
    all.sort_by_key(|revision| (int(revision.json(), "/revision"), revision.name().to_owned()));
    let data = data_of(workload);
    let next = all.last().map_or(0, |newest| int(newest.json(), "/revision")) + 1;
    let equal = all.iter().rposition(|revision| revision.at("/data") == Some(&data));
    let update = match equal {
        Some(index) if index + 1 == all.len() => all.get(index).cloned(),
        Some(index) => {
            let old = all.remove(index);
            let patch = json!({"revision": next});
            let mut acting = cluster.acting_as_controller(keeper.controller);
            let renewed = acting.merge(REVISIONS, namespace, old.name(), patch)?;
            all.push(renewed.clone());
            Some(renewed)
        }
        None => None,
    };
    if let Some(update) = update {
        return Ok((update, all));
    }
    let hash = safe_letters(fingerprint(&data));
    let mut marks: serde_json::Map<String, Value> = workload
        .pointer("/spec/template")
        .map(|template| labels(template).into_iter().map(|(key, value)| (key.to_owned(), json!(value))).collect())
        .unwrap_or_default();
    marks.insert(keeper.hash_label.to_owned(), hash.clone().into());
    let mut metadata = json!({
        "name": format!("{}-{hash}", text(workload, "/metadata/name")),
        "labels": marks,
        "ownerReferences": [owner_reference(workload)],
    });
    if let (Some(annotations), Some(fields)) = (workload.pointer("/metadata/annotations"), metadata.as_object_mut()) {
        fields.insert("annotations".to_owned(), annotations.clone());
    }
    let body = json!({"metadata": metadata, "data": data, "revision": next});
    let created = cluster.acting_as_controller(keeper.controller).create(REVISIONS, namespace, body)?;
    all.push(created.clone());
    Ok((created, all))
}

/// Deletes the oldest revisions that no pod lives by, beyond those that are to be kept.
pub(super) fn truncate(
    cluster: &mut Cluster,
    workload: &Value,
    keeper: &Keeper,
    all: &[Arc<Stored>],
    is_alive: impl Fn(&Stored) -> bool,
) -> Result<(), ApiError> {
    let limit = usize::try_from(int_or(workload, "/spec/revisionHistoryLimit", 10)).unwrap_or(10);
    let mut dead: Vec<&Arc<Stored>> = all.iter().filter(|revision| !is_alive(revision)).collect();
    dead.sort_by_key(|revision| Reverse(int(revision.json(), "/revision")));
    for revision in dead.into_iter().skip(limit) {
        let options = DeleteOptions { uid: Some(revision.uid().to_owned()), ..DeleteOptions::default() };
        let mut acting = cluster.acting_as_controller(keeper.controller);
        match acting.delete(REVISIONS, revision.namespace(), revision.name(), options) {
            Err(error) if !error.is_not_found() => return Err(error),
            _ => {}
        }
    }
    Ok(())
}
