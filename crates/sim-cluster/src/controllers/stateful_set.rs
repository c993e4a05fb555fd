//! The StatefulSet controller: pods with names that stay, made and replaced in order.

use std::collections::BTreeSet;
use std::sync::Arc;

use object_model::Timestamp;
use serde_json::{Value, json};

use super::events::{Tone, record};
use super::replica_set::unpin;
use super::revisions::{self, Keeper, template_of};
use super::stateful_pod::{claims_for, pod_for};
use super::view::{available_at, controller_name, int, int_or, is_deleting, is_ready, owned, text, without_zeros};
use super::{Key, Keyed, every};
use crate::cluster::Cluster;
use crate::error::ApiError;
use crate::store::{Change, Stored};
use crate::write::DeleteOptions;

pub(super) const STATEFUL_SETS: &str = "statefulsets.apps";
const NAME: &str = "statefulset-controller";
const CLAIMS: &str = "persistentvolumeclaims";
const KEEPER: Keeper = Keeper { controller: NAME, hash_label: "controller.kubernetes.io/hash" };
/// The most pods that one set is looked through for.
const REPLICAS_MAX: i64 = 10_000;

#[derive(Clone)]
pub(super) struct StatefulSets;

impl Keyed for StatefulSets {
    const NAME: &'static str = NAME;

    fn touched(&self, _cluster: &Cluster, change: &Change, keys: &mut BTreeSet<Key>) {
        match change.resource.as_ref() {
            STATEFUL_SETS => drop(keys.insert(Key::of(change))),
            "pods" | revisions::REVISIONS => {
                for object in [&change.before, &change.after].into_iter().flatten() {
                    if let Some(name) = controller_name(object.json(), "StatefulSet") {
                        keys.insert(Key::new(STATEFUL_SETS, &change.namespace, name));
                    }
                }
            }
            _ => {}
        }
    }

    fn all(&self, cluster: &Cluster, keys: &mut BTreeSet<Key>) {
        every(cluster, STATEFUL_SETS, keys);
    }

    fn sync(&mut self, cluster: &mut Cluster, key: &Key, now: Timestamp) -> Result<Option<Timestamp>, ApiError> {
        let Some(stored) = cluster.get(STATEFUL_SETS, &key.namespace, &key.name).cloned() else { return Ok(None) };
        if stored.is_deleting() {
            return Ok(None);
        }
        let set = stored.json();
        let (update, history) = revisions::sync(cluster, set, &KEEPER)?;
        let named = text(set, "/status/currentRevision");
        let current = history.iter().find(|revision| revision.name() == named).unwrap_or(&update).clone();
        let mut work =
            Work { set, current: &current, update: &update, now, min_ready: int(set, "/spec/minReadySeconds") };
        let moved = work.move_on(cluster);
        work.update_status(cluster)?;
        moved?;
        let pods = owned(cluster, "pods", &key.namespace, stored.uid());
        let lives = |name: &str| pods.iter().any(|pod| revision_of(pod.json()) == name);
        revisions::truncate(cluster, set, &KEEPER, &history, |revision| {
            [current.name(), update.name()].contains(&revision.name()) || lives(revision.name())
        })?;
        let due = pods.iter().filter_map(|pod| available_at(pod.json(), work.min_ready)).filter(|due| *due > now).min();
        Ok(due)
    }
}

fn revision_of(pod: &Value) -> &str {
    text(pod, "/metadata/labels/controller-revision-hash")
}

/// The number at the end of a pod's name.
fn ordinal(set: &Value, pod: &Stored) -> Option<i64> {
    pod.name().strip_prefix(text(set, "/metadata/name"))?.strip_prefix('-')?.parse().ok()
}

/// One look at one set.
struct Work<'a> {
    set: &'a Value,
    current: &'a Arc<Stored>,
    update: &'a Arc<Stored>,
    now: Timestamp,
    min_ready: i64,
}

impl Work<'_> {
    fn namespace(&self) -> &str {
        text(self.set, "/metadata/namespace")
    }

    fn pods(&self, cluster: &Cluster) -> Vec<Arc<Stored>> {
        owned(cluster, "pods", self.namespace(), text(self.set, "/metadata/uid"))
    }

    fn is_available(&self, pod: &Value) -> bool {
        available_at(pod, self.min_ready).is_some_and(|due| due <= self.now) && !is_deleting(pod)
    }

    /// Creates, removes or replaces pods, as far as the order allows now.
    fn move_on(&mut self, cluster: &mut Cluster) -> Result<(), ApiError> {
        let waits = text(self.set, "/spec/podManagementPolicy") != "Parallel";
        let start = int(self.set, "/spec/ordinals/start");
        let end = start + int_or(self.set, "/spec/replicas", 1).clamp(0, REPLICAS_MAX);
        for number in start..end {
            let pod = self.pods(cluster).into_iter().find(|pod| ordinal(self.set, pod) == Some(number));
            match pod {
                None => {
                    self.create(cluster, number)?;
                    if waits {
                        return Ok(());
                    }
                }
                Some(pod) if matches!(pod.text("/status/phase"), "Failed" | "Succeeded") => {
                    if !pod.is_deleting() {
                        self.delete(cluster, &pod)?;
                    }
                    if waits {
                        return Ok(());
                    }
                }
                Some(pod) if waits && !self.is_available(pod.json()) => return Ok(()),
                Some(_) => {}
            }
        }
        self.condemn(cluster, start..end, waits)
    }

    /// Removes pods beyond the wanted number, the last one first; when there are none, replaces old ones.
    fn condemn(&self, cluster: &mut Cluster, wanted: std::ops::Range<i64>, waits: bool) -> Result<(), ApiError> {
        let pods = self.pods(cluster);
        let numbered = |pod: &Arc<Stored>| ordinal(self.set, pod).map(|number| (number, pod.clone()));
        let mut all: Vec<(i64, Arc<Stored>)> = pods.iter().filter_map(numbered).collect();
        all.sort_by_key(|(number, _)| std::cmp::Reverse(*number));
        for (_, pod) in all.iter().filter(|(number, _)| !wanted.contains(number)) {
            if !pod.is_deleting() {
                self.delete(cluster, pod)?;
            }
            if waits {
                return Ok(());
            }
        }
        if text(self.set, "/spec/updateStrategy/type") == "OnDelete" {
            return Ok(());
        }
        let first = wanted.start + int(self.set, "/spec/updateStrategy/rollingUpdate/partition");
        for (number, pod) in all.iter().filter(|(number, _)| wanted.contains(number)) {
            if *number < first {
                break;
            }
            if revision_of(pod.json()) != self.update.name() && !pod.is_deleting() {
                return self.delete(cluster, pod);
            }
            if !self.is_available(pod.json()) {
                return Ok(());
            }
        }
        Ok(())
    }

    /// A pod below the partition, or one of those that still are of the current revision, is made as it was.
    fn revision_for(&self, number: i64) -> &Arc<Stored> {
        let start = int(self.set, "/spec/ordinals/start");
        let partition = int(self.set, "/spec/updateStrategy/rollingUpdate/partition");
        let still_current = int(self.set, "/status/currentReplicas");
        let is_rolling = text(self.set, "/spec/updateStrategy/type") == "RollingUpdate";
        let is_current = is_rolling && (partition == 0 && number < start + still_current || number < start + partition);
        if is_current { self.current } else { self.update }
    }

    fn create(&self, cluster: &mut Cluster, number: i64) -> Result<(), ApiError> {
        let revision = self.revision_for(number);
        let set_name = text(self.set, "/metadata/name");
        let name = format!("{set_name}-{number}");
        for claim in claims_for(self.set, &name) {
            let claim_name = text(&claim, "/metadata/name").to_owned();
            if cluster.get(CLAIMS, self.namespace(), &claim_name).is_none() {
                cluster.acting_as_controller(NAME).create(CLAIMS, self.namespace(), claim)?;
                let message = format!("create Claim {claim_name} Pod {name} in StatefulSet {set_name} success");
                record(cluster, NAME, self.set, (Tone::Normal, "SuccessfulCreate", &message), self.now);
            }
        }
        let pod = pod_for(self.set, &template_of(revision.json()), &name, number, revision.name());
        let result = cluster.acting_as_controller(NAME).create("pods", self.namespace(), pod);
        self.report(cluster, "create", &name, result.map(drop))
    }

    fn delete(&self, cluster: &mut Cluster, pod: &Stored) -> Result<(), ApiError> {
        let options = DeleteOptions { uid: Some(pod.uid().to_owned()), ..DeleteOptions::default() };
        let result = cluster.acting_as_controller(NAME).delete("pods", pod.namespace(), pod.name(), options);
        match result {
            Err(error) if error.is_not_found() => Ok(()),
            other => self.report(cluster, "delete", pod.name(), other.map(drop)),
        }
    }

    fn report(
        &self,
        cluster: &mut Cluster,
        verb: &str,
        pod: &str,
        result: Result<(), ApiError>,
    ) -> Result<(), ApiError> {
        let set_name = text(self.set, "/metadata/name");
        let title = if verb == "create" { "Create" } else { "Delete" };
        let (tone, outcome, end) = match &result {
            Ok(()) => (Tone::Normal, "Successful", "successful".to_owned()),
            Err(error) => (Tone::Warning, "Failed", format!("failed error: {}", error.message)),
        };
        let message = format!("{verb} Pod {pod} in StatefulSet {set_name} {end}");
        record(cluster, NAME, self.set, (tone, &format!("{outcome}{title}"), &message), self.now);
        result
    }

    fn update_status(&self, cluster: &mut Cluster) -> Result<(), ApiError> {
        let pods = self.pods(cluster);
        let count = |holds: &dyn Fn(&Value) -> bool| {
            i64::try_from(pods.iter().filter(|pod| holds(pod.json())).count()).unwrap_or(i64::MAX)
        };
        let lives = |pod: &Value| !is_deleting(pod);
        let of = |name: &str| count(&|pod| lives(pod) && revision_of(pod) == name);
        let wanted = int_or(self.set, "/spec/replicas", 1);
        let (replicas, ready) = (count(&|_| true), count(&is_ready));
        let updated = of(self.update.name());
        let (mut current_name, mut current) = (self.current.name(), of(self.current.name()));
        if text(self.set, "/spec/updateStrategy/type") == "RollingUpdate"
            && updated == wanted
            && ready == wanted
            && replicas == wanted
        {
            (current_name, current) = (self.update.name(), updated);
        }
        let mut status = without_zeros(&[
            ("currentReplicas", current),
            ("updatedReplicas", updated),
            ("readyReplicas", ready),
            ("observedGeneration", int(self.set, "/metadata/generation")),
        ]);
        status.insert("replicas".to_owned(), json!(replicas));
        status.insert("availableReplicas".to_owned(), json!(count(&|pod| self.is_available(pod))));
        status.insert("collisionCount".to_owned(), json!(int(self.set, "/status/collisionCount")));
        status.insert("currentRevision".to_owned(), json!(current_name));
        status.insert("updateRevision".to_owned(), json!(self.update.name()));
        if self.set.get("status").and_then(Value::as_object) == Some(&status) {
            return Ok(());
        }
        let mut changed = self.set.clone();
        if let Some(fields) = changed.as_object_mut() {
            fields.insert("status".to_owned(), Value::Object(status));
            unpin(fields);
        }
        cluster.acting_as_controller(NAME).update_status(STATEFUL_SETS, self.namespace(), changed).map(drop)
    }
}
