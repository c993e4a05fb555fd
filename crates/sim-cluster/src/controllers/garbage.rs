//! The garbage collector: dependants go with their owners, before, after or not at all, as the deletion asked.

use std::collections::BTreeSet;
use std::sync::Arc;

use object_model::Timestamp;
use serde_json::{Value, json};

use super::view::{flag, is_deleting, items, text};
use super::{Key, Keyed};
use crate::cluster::Cluster;
use crate::error::ApiError;
use crate::store::{Change, Stored};
use crate::write::{DeleteOptions, Propagation};

const NAME: &str = "generic-garbage-collector";
const FOREGROUND: &str = "foregroundDeletion";
const ORPHAN: &str = "orphan";

#[derive(Clone)]
pub(super) struct GarbageCollector;

impl Keyed for GarbageCollector {
    const NAME: &'static str = NAME;

    fn touched(&self, cluster: &Cluster, change: &Change, keys: &mut BTreeSet<Key>) {
        if is_left_alone(&change.resource) || !concerns(change) {
            return;
        }
        if change.after.is_some() {
            keys.insert(Key::of(change));
        }
        // Owners that wait for their dependants look again when one changes or goes.
        for state in [&change.before, &change.after].into_iter().flatten() {
            for owner in items(state.json(), "/metadata/ownerReferences") {
                if let Find::Living(owner) = find_owner(cluster, state, owner) {
                    keys.extend(key_of(cluster, &owner));
                }
            }
        }
        let was_marked = change.before.as_ref().is_some_and(|before| before.is_deleting());
        let is_marked = change.after.as_ref().is_none_or(|after| after.is_deleting());
        let is_gone = change.after.is_none();
        if let Some(before) = change.before.as_ref().filter(|_| is_gone || is_marked && !was_marked) {
            keys.extend(dependants(cluster, before).into_iter().filter_map(|found| key_of(cluster, &found)));
        }
    }

    fn all(&self, cluster: &Cluster, keys: &mut BTreeSet<Key>) {
        for resource in cluster.resources() {
            if !is_left_alone(&resource.storage) {
                super::every(cluster, &resource.storage, keys);
            }
        }
    }

    fn sync(&mut self, cluster: &mut Cluster, key: &Key, _now: Timestamp) -> Result<Option<Timestamp>, ApiError> {
        let Some(object) = cluster.get(&key.resource, &key.namespace, &key.name).cloned() else { return Ok(None) };
        let result = collect(cluster, key, &object);
        match result {
            // Somebody else was faster; its change brings the object back here.
            Err(error) if error.is_not_found() || error.is_conflict() => Ok(None),
            other => other.map(|()| None),
        }
    }
}

/// Events have no dependants, and leases none that matter: not looking saves most of the work.
fn is_left_alone(resource: &str) -> bool {
    matches!(resource, "events" | "leases.coordination.k8s.io")
}

/// Whether a change touches ownership or deletion at all.
fn concerns(change: &Change) -> bool {
    let (Some(before), Some(after)) = (&change.before, &change.after) else {
        let only = change.before.as_ref().or(change.after.as_ref());
        return change.after.is_none() || only.is_some_and(|only| only.at("/metadata/ownerReferences").is_some());
    };
    ["/metadata/ownerReferences", "/metadata/deletionTimestamp", "/metadata/finalizers"]
        .iter()
        .any(|pointer| before.at(pointer) != after.at(pointer))
}

fn key_of(cluster: &Cluster, object: &Stored) -> Option<Key> {
    let resource = cluster.resource_of_kind(object.text("/apiVersion"), object.text("/kind"))?;
    Some(Key::new(&resource.storage, object.namespace(), object.name()))
}

enum Find {
    Living(Arc<Stored>),
    Absent,
    /// The kind is not served, so nothing can be said.
    Unknown,
}

/// The owner that a reference names: same uid, and for namespaced kinds the same namespace.
fn find_owner(cluster: &Cluster, object: &Stored, owner: &Value) -> Find {
    let Some(resource) = cluster.resource_of_kind(text(owner, "/apiVersion"), text(owner, "/kind")) else {
        return Find::Unknown;
    };
    let namespace = if resource.namespaced { object.namespace() } else { "" };
    match cluster.get(&resource.storage, namespace, text(owner, "/name")) {
        Some(found) if found.uid() == text(owner, "/uid") => Find::Living(found.clone()),
        _ => Find::Absent,
    }
}

fn has_finalizer(object: &Stored, name: &str) -> bool {
    items(object.json(), "/metadata/finalizers").iter().any(|have| have == name)
}

/// Waits for its dependants before it goes.
fn is_in_foreground(object: &Stored) -> bool {
    object.is_deleting() && has_finalizer(object, FOREGROUND)
}

/// All objects that name this one as an owner.
fn dependants(cluster: &Cluster, owner: &Stored) -> Vec<Arc<Stored>> {
    let namespace = owner.namespace();
    let mut found = Vec::new();
    for resource in cluster.resources() {
        if is_left_alone(&resource.storage) || (!namespace.is_empty() && !resource.namespaced) {
            continue;
        }
        let place = (!namespace.is_empty()).then_some(namespace);
        for object in cluster.list(&resource.storage, place) {
            let owners = items(object.json(), "/metadata/ownerReferences");
            if owners.iter().any(|reference| text(reference, "/uid") == owner.uid()) {
                found.push(object.clone());
            }
        }
    }
    found
}

fn collect(cluster: &mut Cluster, key: &Key, object: &Arc<Stored>) -> Result<(), ApiError> {
    if object.is_deleting() && has_finalizer(object, ORPHAN) {
        return orphan_dependants(cluster, key, object);
    }
    if is_in_foreground(object) {
        return finish_foreground(cluster, key, object);
    }
    if object.is_deleting() {
        return Ok(());
    }
    let owners = items(object.json(), "/metadata/ownerReferences");
    if owners.is_empty() {
        return Ok(());
    }
    let (mut solid, mut waiting, mut absent) = (0, 0, Vec::new());
    for owner in owners {
        match find_owner(cluster, object, owner) {
            Find::Living(found) if is_in_foreground(&found) => {
                waiting += 1;
                absent.push(text(owner, "/uid").to_owned());
            }
            Find::Living(_) | Find::Unknown => solid += 1,
            Find::Absent => absent.push(text(owner, "/uid").to_owned()),
        }
    }
    if solid > 0 {
        return if absent.is_empty() { Ok(()) } else { drop_owners(cluster, key, object, &absent) };
    }
    let propagation = if has_finalizer(object, ORPHAN) {
        Propagation::Orphan
    } else if has_finalizer(object, FOREGROUND) || waiting > 0 && !dependants(cluster, object).is_empty() {
        Propagation::Foreground
    } else {
        Propagation::Background
    };
    let options = DeleteOptions {
        uid: Some(object.uid().to_owned()),
        propagation: Some(propagation),
        ..DeleteOptions::default()
    };
    cluster.acting_as_controller(NAME).delete(&key.resource, &key.namespace, &key.name, options).map(|_| ())
}

fn drop_owners(cluster: &mut Cluster, key: &Key, object: &Stored, uids: &[String]) -> Result<(), ApiError> {
    let mut owners = items(object.json(), "/metadata/ownerReferences").to_vec();
    owners.retain(|owner| !uids.iter().any(|uid| uid == text(owner, "/uid")));
    let owners = if owners.is_empty() { Value::Null } else { Value::Array(owners) };
    let patch = json!({"metadata": {"uid": object.uid(), "ownerReferences": owners}});
    cluster.acting_as_controller(NAME).merge(&key.resource, &key.namespace, &key.name, patch).map(|_| ())
}

fn orphan_dependants(cluster: &mut Cluster, key: &Key, owner: &Stored) -> Result<(), ApiError> {
    for dependant in dependants(cluster, owner) {
        if let Some(place) = key_of(cluster, &dependant) {
            drop_owners(cluster, &place, &dependant, &[owner.uid().to_owned()])?;
        }
    }
    remove_finalizer(cluster, key, owner, ORPHAN)
}

/// An owner in the foreground goes when no dependant blocks it any more; those that are not going yet are sent.
fn finish_foreground(cluster: &mut Cluster, key: &Key, owner: &Stored) -> Result<(), ApiError> {
    let blocks = |dependant: &Stored| {
        items(dependant.json(), "/metadata/ownerReferences")
            .iter()
            .any(|reference| text(reference, "/uid") == owner.uid() && flag(reference, "/blockOwnerDeletion"))
    };
    let dependants = dependants(cluster, owner);
    if !dependants.iter().any(|dependant| blocks(dependant)) {
        return remove_finalizer(cluster, key, owner, FOREGROUND);
    }
    for dependant in dependants.iter().filter(|dependant| !is_deleting(dependant.json())) {
        if let Some(place) = key_of(cluster, dependant) {
            collect(cluster, &place, dependant)?;
        }
    }
    Ok(())
}

fn remove_finalizer(cluster: &mut Cluster, key: &Key, object: &Stored, name: &str) -> Result<(), ApiError> {
    let mut finalizers = items(object.json(), "/metadata/finalizers").to_vec();
    finalizers.retain(|have| have != name);
    let finalizers = if finalizers.is_empty() { Value::Null } else { Value::Array(finalizers) };
    let patch = json!({"metadata": {"uid": object.uid(), "finalizers": finalizers}});
    cluster.acting_as_controller(NAME).merge(&key.resource, &key.namespace, &key.name, patch).map(|_| ())
}
