//! The Deployment controller: one ReplicaSet a template, and a rollout between them that keeps to its bounds.

use std::collections::BTreeSet;
use std::sync::Arc;

use object_model::Timestamp;
use serde_json::{Map, Value, json};

use super::deployment_scale::{
    DESIRED_REPLICAS, MAX_REPLICAS, new_replicas, reconcile_new, reconcile_old, scale_set, scale_to_size,
};
use super::deployment_status::{is_complete, set_condition, sync_rollout_status, sync_status};
use super::events::{Tone, record};
use super::replica_set::{REPLICA_SETS, unpin};
use super::view::{
    controller_name, controller_uid, fingerprint, flag, int, int_or, is_deleting, items, labels, owned,
    owner_reference, safe_letters, selector, text, time,
};
use super::{Key, Keyed, every};
use crate::cluster::Cluster;
use crate::error::ApiError;
use crate::store::{Change, Stored};
use crate::write::DeleteOptions;

pub(super) const DEPLOYMENTS: &str = "deployments.apps";
pub(super) const NAME: &str = "deployment-controller";
pub(super) const HASH_LABEL: &str = "pod-template-hash";
pub(super) const REVISION: &str = "deployment.kubernetes.io/revision";
const REVISION_HISTORY: &str = "deployment.kubernetes.io/revision-history";
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
const ROLLBACK: &str = "deprecated.deployment.rollback.to";

#[derive(Clone)]
pub(super) struct Deployments;

impl Keyed for Deployments {
    const NAME: &'static str = NAME;

    fn touched(&self, cluster: &Cluster, change: &Change, keys: &mut BTreeSet<Key>) {
        match change.resource.as_ref() {
            DEPLOYMENTS => drop(keys.insert(Key::of(change))),
            REPLICA_SETS => {
                for set in [&change.before, &change.after].into_iter().flatten() {
                    match controller_name(set.json(), "Deployment") {
                        Some(name) => drop(keys.insert(Key::new(DEPLOYMENTS, &change.namespace, name))),
                        None if controller_uid(set.json()).is_empty() => adopters(cluster, set, keys),
                        None => {}
                    }
                }
            }
            // A Recreate rollout waits for the last old pod.
            "pods" if change.after.is_none() => {
                let set = change.before.as_ref().and_then(|pod| controller_name(pod.json(), "ReplicaSet"));
                let set = set.and_then(|name| cluster.get(REPLICA_SETS, &change.namespace, name));
                if let Some(name) = set.and_then(|set| controller_name(set.json(), "Deployment")) {
                    keys.insert(Key::new(DEPLOYMENTS, &change.namespace, name));
                }
            }
            _ => {}
        }
    }

    fn all(&self, cluster: &Cluster, keys: &mut BTreeSet<Key>) {
        every(cluster, DEPLOYMENTS, keys);
    }

    fn sync(&mut self, cluster: &mut Cluster, key: &Key, now: Timestamp) -> Result<Option<Timestamp>, ApiError> {
        let Some(stored) = cluster.get(DEPLOYMENTS, &key.namespace, &key.name).cloned() else { return Ok(None) };
        if selector(stored.json()).is_none() {
            return Ok(None);
        }
        adopt(cluster, stored.json())?;
        let mut rollout = Rollout { deployment: stored.json().clone(), cluster, now };
        if is_deleting(&rollout.deployment) {
            let sets = rollout.sets();
            sync_status(&mut rollout, &sets)?;
            return Ok(None);
        }
        rollout.note_pause()?;
        if flag(&rollout.deployment, "/spec/paused") || rollout.is_scaled()? {
            return rollout.only_scale().map(|()| None);
        }
        match text(&rollout.deployment, "/spec/strategy/type") {
            "Recreate" => rollout.recreate(),
            _ => rollout.rolling(),
        }
    }
}

/// The Deployments whose selector takes an orphaned set.
fn adopters(cluster: &Cluster, set: &Stored, keys: &mut BTreeSet<Key>) {
    let labels = labels(set.json());
    for deployment in cluster.list(DEPLOYMENTS, Some(set.namespace())) {
        if selector(deployment.json()).is_some_and(|selector| selector.matches(&labels)) {
            keys.insert(Key::new(DEPLOYMENTS, deployment.namespace(), deployment.name()));
        }
    }
}

/// Takes orphaned sets that the selector matches and releases own ones that it no longer does.
fn adopt(cluster: &mut Cluster, deployment: &Value) -> Result<(), ApiError> {
    let Some(selector) = selector(deployment).filter(|_| !is_deleting(deployment)) else { return Ok(()) };
    let (namespace, uid) = (text(deployment, "/metadata/namespace"), text(deployment, "/metadata/uid"));
    let mut changes: Vec<(Arc<Stored>, Vec<Value>)> = Vec::new();
    for set in cluster.list(REPLICA_SETS, Some(namespace)).filter(|set| !set.is_deleting()) {
        let (controller, fits) = (controller_uid(set.json()), selector.matches(&labels(set.json())));
        let mut owners = items(set.json(), "/metadata/ownerReferences").to_vec();
        if controller.is_empty() && fits {
            owners.push(owner_reference(deployment));
        } else if controller == uid && !fits {
            owners.retain(|owner| text(owner, "/uid") != uid);
        } else {
            continue;
        }
        changes.push((set.clone(), owners));
    }
    for (set, owners) in changes {
        let owners = if owners.is_empty() { Value::Null } else { Value::Array(owners) };
        let patch = json!({"metadata": {"uid": set.uid(), "ownerReferences": owners}});
        cluster.acting_as_controller(NAME).merge(REPLICA_SETS, namespace, set.name(), patch)?;
    }
    Ok(())
}

/// One look at one Deployment.
pub(super) struct Rollout<'a> {
    pub(super) deployment: Value,
    pub(super) cluster: &'a mut Cluster,
    pub(super) now: Timestamp,
}

/// The ReplicaSets of a Deployment: that of its template and all others.
#[derive(Clone, Default)]
pub(super) struct Sets {
    pub(super) new: Option<Value>,
    pub(super) old: Vec<Value>,
}

impl Sets {
    pub(super) fn all(&self) -> impl Iterator<Item = &Value> {
        self.old.iter().chain(&self.new)
    }
}

impl Rollout<'_> {
    pub(super) fn namespace(&self) -> String {
        text(&self.deployment, "/metadata/namespace").to_owned()
    }

    pub(super) fn replicas(&self) -> i64 {
        int_or(&self.deployment, "/spec/replicas", 1)
    }

    /// The ReplicaSets, oldest first.
    pub(super) fn sets(&self) -> Sets {
        let uid = text(&self.deployment, "/metadata/uid");
        let mut all: Vec<Value> =
            owned(self.cluster, REPLICA_SETS, &self.namespace(), uid).iter().map(|set| set.json().clone()).collect();
        all.sort_by_cached_key(|set| {
            (time(set, "/metadata/creationTimestamp"), text(set, "/metadata/name").to_owned())
        });
        let template = bare_template(&self.deployment);
        let new = all.iter().position(|set| bare_template(set) == template);
        let new = new.map(|index| all.remove(index));
        Sets { new, old: all }
    }

    /// Writes the Deployment's status and annotations as they are in `deployment` now.
    pub(super) fn write_status(&mut self) -> Result<(), ApiError> {
        let mut body = self.deployment.clone();
        if let Some(fields) = body.as_object_mut() {
            unpin(fields);
        }
        let namespace = self.namespace();
        let stored = self.cluster.acting_as_controller(NAME).update_status(DEPLOYMENTS, &namespace, body)?;
        self.deployment = stored.json().clone();
        Ok(())
    }

    pub(super) fn event(&mut self, reason: &str, message: &str) {
        record(self.cluster, NAME, &self.deployment, (Tone::Normal, reason, message), self.now);
    }

    /// A paused rollout makes no progress, so its deadline must not run; the condition says so.
    fn note_pause(&mut self) -> Result<(), ApiError> {
        let condition = super::view::condition(&self.deployment, "Progressing");
        let reason = condition.map(|condition| text(condition, "/reason")).unwrap_or_default();
        if !has_deadline(&self.deployment) || reason == "ProgressDeadlineExceeded" {
            return Ok(());
        }
        let is_noted = reason == "DeploymentPaused";
        match (flag(&self.deployment, "/spec/paused"), is_noted) {
            (true, false) => {
                set_condition(
                    &mut self.deployment,
                    ("Progressing", "Unknown"),
                    ("DeploymentPaused", "Deployment is paused"),
                    self.now,
                );
                self.write_status()
            }
            (false, true) => {
                set_condition(
                    &mut self.deployment,
                    ("Progressing", "Unknown"),
                    ("DeploymentResumed", "Deployment is resumed"),
                    self.now,
                );
                self.write_status()
            }
            _ => Ok(()),
        }
    }

    /// Whether the wanted size changed since the sets were last scaled: that is done before any rollout goes on.
    fn is_scaled(&mut self) -> Result<bool, ApiError> {
        let sets = self.sets_and_revision(NewSet::IfThere)?;
        let want = self.replicas();
        let differs = sets.all().filter(|set| int(set, "/spec/replicas") > 0).any(|set| {
            let desired = annotation(set, DESIRED_REPLICAS).and_then(|desired| desired.parse::<i64>().ok());
            desired.is_some_and(|desired| desired != want)
        });
        Ok(differs)
    }

    fn only_scale(&mut self) -> Result<(), ApiError> {
        let mut sets = self.sets_and_revision(NewSet::IfThere)?;
        scale_to_size(self, &mut sets)?;
        if flag(&self.deployment, "/spec/paused") {
            self.clean_up(&sets)?;
        }
        sync_status(self, &sets)
    }

    fn rolling(&mut self) -> Result<Option<Timestamp>, ApiError> {
        let mut sets = self.sets_and_revision(NewSet::Make)?;
        if reconcile_new(self, &mut sets)? || reconcile_old(self, &mut sets)? {
            return sync_rollout_status(self, &sets);
        }
        if is_complete(&self.deployment, self.deployment.get("status")) {
            self.clean_up(&sets)?;
        }
        sync_rollout_status(self, &sets)
    }

    fn recreate(&mut self) -> Result<Option<Timestamp>, ApiError> {
        let mut sets = self.sets_and_revision(NewSet::IfThere)?;
        let mut is_scaled_down = false;
        for index in 0..sets.old.len() {
            let Some(set) = sets.old.get(index).filter(|set| int(set, "/spec/replicas") > 0) else { continue };
            let scaled = scale_set(self, &set.clone(), 0)?;
            if let Some(slot) = sets.old.get_mut(index) {
                *slot = scaled;
            }
            is_scaled_down = true;
        }
        if is_scaled_down || self.is_old_pod_running(&sets) {
            return sync_rollout_status(self, &sets);
        }
        if sets.new.is_none() {
            sets = self.sets_and_revision(NewSet::Make)?;
        }
        let want = self.replicas();
        if let Some(new) = sets.new.clone().filter(|new| int(new, "/spec/replicas") != want) {
            sets.new = Some(scale_set(self, &new, want)?);
        }
        if is_complete(&self.deployment, self.deployment.get("status")) {
            self.clean_up(&sets)?;
        }
        sync_rollout_status(self, &sets)
    }

    fn is_old_pod_running(&self, sets: &Sets) -> bool {
        let namespace = self.namespace();
        let uids: BTreeSet<&str> = sets.old.iter().map(|set| text(set, "/metadata/uid")).collect();
        let mut pods = self.cluster.list("pods", Some(&namespace));
        pods.any(|pod| {
            uids.contains(controller_uid(pod.json())) && !matches!(pod.text("/status/phase"), "Succeeded" | "Failed")
        })
    }

    /// The sets, with the revision number of the newest one kept up to date on it and on the Deployment.
    fn sets_and_revision(&mut self, new_set: NewSet) -> Result<Sets, ApiError> {
        let mut sets = self.sets();
        let newest_old = sets.old.iter().map(revision_of).max().unwrap_or(0);
        let revision = newest_old + 1;
        match (sets.new.take(), new_set) {
            (Some(new), _) => sets.new = Some(self.keep_annotations(new, revision)?),
            (None, NewSet::IfThere) => {}
            (None, NewSet::Make) => sets.new = Some(self.make_set(&sets, revision)?),
        }
        Ok(sets)
    }

    fn keep_annotations(&mut self, new: Value, revision: i64) -> Result<Value, ApiError> {
        let mut wanted = new.clone();
        set_annotations(&self.deployment, &mut wanted, revision);
        let min_ready = self.deployment.pointer("/spec/minReadySeconds").cloned();
        if int(&new, "/spec/minReadySeconds") != int(&self.deployment, "/spec/minReadySeconds")
            && let Some(spec) = wanted.get_mut("spec").and_then(Value::as_object_mut)
        {
            match min_ready {
                Some(seconds) => drop(spec.insert("minReadySeconds".to_owned(), seconds)),
                None => drop(spec.remove("minReadySeconds")),
            }
        }
        let kept = if wanted == new { new } else { self.update_set(wanted)? };
        let number = annotation(&kept, REVISION).unwrap_or_default().to_owned();
        let mut is_changed = set_annotation(&mut self.deployment, REVISION, &number);
        if has_deadline(&self.deployment) && super::view::condition(&self.deployment, "Progressing").is_none() {
            let message = format!("Found new replica set \"{}\"", text(&kept, "/metadata/name"));
            set_condition(&mut self.deployment, ("Progressing", "True"), ("FoundNewReplicaSet", &message), self.now);
            is_changed = true;
        }
        if is_changed {
            self.write_status()?;
        }
        Ok(kept)
    }

    pub(super) fn update_set(&mut self, mut set: Value) -> Result<Value, ApiError> {
        if let Some(fields) = set.as_object_mut() {
            unpin(fields);
        }
        let namespace = self.namespace();
        let stored = self.cluster.acting_as_controller(NAME).update(REPLICA_SETS, &namespace, set)?;
        Ok(stored.json().clone())
    }

    fn make_set(&mut self, sets: &Sets, revision: i64) -> Result<Value, ApiError> {
        let namespace = self.namespace();
        let size = new_replicas(&self.deployment, sets.all(), 0);
        let mut body = self.new_set(size);
        set_annotations(&self.deployment, &mut body, revision);
        super::deployment_scale::set_size_annotations(&self.deployment, &mut body);
        let made = match self.cluster.acting_as_controller(NAME).create(REPLICA_SETS, &namespace, body) {
            Ok(made) => made.json().clone(),
            Err(error) if error.is_already_exists() => {
                // Another template with the same hash: count the collision, hash anew at the next look.
                let count = int(&self.deployment, "/status/collisionCount") + 1;
                if let Some(status) = self.deployment.get_mut("status").and_then(Value::as_object_mut) {
                    status.insert("collisionCount".to_owned(), count.into());
                }
                self.write_status()?;
                return Err(error);
            }
            Err(error) => {
                if has_deadline(&self.deployment) {
                    let message = error.message.clone();
                    set_condition(
                        &mut self.deployment,
                        ("Progressing", "False"),
                        ("ReplicaSetCreateError", &message),
                        self.now,
                    );
                    self.write_status()?;
                }
                return Err(error);
            }
        };
        let name = text(&made, "/metadata/name").to_owned();
        if size > 0 {
            self.event("ScalingReplicaSet", &format!("Scaled up replica set {name} from 0 to {size}"));
        }
        set_annotation(&mut self.deployment, REVISION, &revision.to_string());
        if has_deadline(&self.deployment) {
            let message = format!("Created new replica set \"{name}\"");
            set_condition(&mut self.deployment, ("Progressing", "True"), ("NewReplicaSetCreated", &message), self.now);
        }
        self.write_status()?;
        Ok(made)
    }

    /// A ReplicaSet for the Deployment's template, named by the template's hash.
    fn new_set(&self, size: i64) -> Value {
        let deployment = &self.deployment;
        let mut template = bare_template(deployment);
        let mut hash = fingerprint(&template);
        if let Some(collisions) = deployment.pointer("/status/collisionCount").and_then(Value::as_i64) {
            hash = fingerprint(&json!([hash, collisions]));
        }
        let hash = safe_letters(hash);
        set_at(&mut template, &["metadata", "labels", HASH_LABEL], &hash);
        let mut selector = deployment.pointer("/spec/selector").cloned().unwrap_or_else(|| json!({}));
        set_at(&mut selector, &["matchLabels", HASH_LABEL], &hash);
        let mut spec = Map::new();
        spec.insert("replicas".to_owned(), size.into());
        spec.insert("selector".to_owned(), selector);
        if let Some(seconds) = deployment.pointer("/spec/minReadySeconds") {
            spec.insert("minReadySeconds".to_owned(), seconds.clone());
        }
        let labels = template.pointer("/metadata/labels").cloned().unwrap_or_else(|| json!({}));
        spec.insert("template".to_owned(), template);
        json!({
            "apiVersion": "apps/v1", "kind": "ReplicaSet",
            "metadata": {
                "name": format!("{}-{hash}", text(deployment, "/metadata/name")),
                "namespace": self.namespace(),
                "labels": labels,
                "ownerReferences": [owner_reference(deployment)],
            },
            "spec": spec,
        })
    }

    /// Deletes the oldest finished sets beyond the history that is kept.
    fn clean_up(&mut self, sets: &Sets) -> Result<(), ApiError> {
        let limit = usize::try_from(int_or(&self.deployment, "/spec/revisionHistoryLimit", 10)).unwrap_or(0);
        let mut old: Vec<&Value> = sets.old.iter().filter(|set| !is_deleting(set)).collect();
        let surplus = old.len().saturating_sub(limit);
        old.sort_by_cached_key(|set| revision_of(set));
        for set in old.into_iter().take(surplus) {
            let is_used = int(set, "/status/replicas") != 0 || int(set, "/spec/replicas") != 0;
            if is_used || int(set, "/metadata/generation") > int(set, "/status/observedGeneration") {
                continue;
            }
            let (namespace, name) = (self.namespace(), text(set, "/metadata/name"));
            let result = self.cluster.acting_as_controller(NAME).delete(
                REPLICA_SETS,
                &namespace,
                name,
                DeleteOptions::default(),
            );
            if let Err(error) = result
                && !error.is_not_found()
            {
                return Err(error);
            }
        }
        Ok(())
    }
}

/// Whether a set for the current template is made when there is none.
#[derive(Clone, Copy, PartialEq, Eq)]
enum NewSet {
    IfThere,
    Make,
}

pub(super) fn has_deadline(deployment: &Value) -> bool {
    int_or(deployment, "/spec/progressDeadlineSeconds", i64::from(i32::MAX)) != i64::from(i32::MAX)
}

/// The pod template without the hash label, to compare and to hash.
fn bare_template(workload: &Value) -> Value {
    let mut template = workload.pointer("/spec/template").cloned().unwrap_or_else(|| json!({}));
    if let Some(labels) = template.pointer_mut("/metadata/labels").and_then(Value::as_object_mut) {
        labels.remove(HASH_LABEL);
    }
    template
}

pub(super) fn annotation<'a>(object: &'a Value, key: &str) -> Option<&'a str> {
    object.pointer("/metadata/annotations")?.get(key)?.as_str()
}

/// Sets an annotation; tells whether that changed anything.
pub(super) fn set_annotation(object: &mut Value, key: &str, value: &str) -> bool {
    if annotation(object, key) == Some(value) {
        return false;
    }
    set_at(object, &["metadata", "annotations", key], value);
    true
}

fn set_at(object: &mut Value, path: &[&str], value: &str) {
    let Some((last, parents)) = path.split_last() else { return };
    let mut place = object;
    for key in parents {
        let Some(fields) = place.as_object_mut() else { return };
        place = fields.entry((*key).to_owned()).or_insert_with(|| json!({}));
        if !place.is_object() {
            *place = json!({});
        }
    }
    if let Some(fields) = place.as_object_mut() {
        fields.insert((*last).to_owned(), value.into());
    }
}

fn revision_of(set: &Value) -> i64 {
    annotation(set, REVISION).and_then(|revision| revision.parse().ok()).unwrap_or(0)
}

/// Copies the Deployment's annotations to its newest set and gives it its revision; what it was before is remembered.
fn set_annotations(deployment: &Value, set: &mut Value, revision: i64) {
    let skipped = [LAST_APPLIED, REVISION, REVISION_HISTORY, DESIRED_REPLICAS, MAX_REPLICAS, ROLLBACK];
    let own = deployment.pointer("/metadata/annotations").and_then(Value::as_object);
    for (key, value) in own.into_iter().flatten().filter(|(key, _)| !skipped.contains(&key.as_str())) {
        if let Some(value) = value.as_str() {
            set_annotation(set, key, value);
        }
    }
    let before = annotation(set, REVISION).unwrap_or_default().to_owned();
    if before.parse::<i64>().unwrap_or(0) >= revision {
        return;
    }
    set_annotation(set, REVISION, &revision.to_string());
    if before.is_empty() {
        return;
    }
    let history = annotation(set, REVISION_HISTORY).unwrap_or_default();
    let history = if history.is_empty() { before } else { format!("{history},{before}") };
    set_annotation(set, REVISION_HISTORY, &history);
}
