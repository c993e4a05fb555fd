//! The namespace controller: a namespace that is being deleted loses its content, then itself.

use std::collections::{BTreeMap, BTreeSet};

use object_model::Timestamp;
use serde_json::{Value, json};

use super::replica_set::unpin;
use super::view::{at, condition, items, text};
use super::{Key, Keyed, every};
use crate::cluster::Cluster;
use crate::error::ApiError;
use crate::store::{Change, Stored};
use crate::write::{DeleteOptions, Propagation};

const NAME: &str = "namespace-controller";

#[derive(Clone)]
pub(super) struct Namespaces;

impl Keyed for Namespaces {
    const NAME: &'static str = NAME;

    fn touched(&self, cluster: &Cluster, change: &Change, keys: &mut BTreeSet<Key>) {
        if change.resource.as_ref() == "namespaces" {
            keys.insert(Key::of(change));
        } else if !change.namespace.is_empty()
            && cluster.get("namespaces", "", &change.namespace).is_some_and(|namespace| namespace.is_deleting())
        {
            keys.insert(Key::new("namespaces", "", &change.namespace));
        }
    }

    fn all(&self, cluster: &Cluster, keys: &mut BTreeSet<Key>) {
        every(cluster, "namespaces", keys);
    }

    fn sync(&mut self, cluster: &mut Cluster, key: &Key, now: Timestamp) -> Result<Option<Timestamp>, ApiError> {
        let Some(namespace) = cluster.get("namespaces", "", &key.name).cloned() else { return Ok(None) };
        let finalizers = items(namespace.json(), "/spec/finalizers");
        if !namespace.is_deleting() || !finalizers.iter().any(|finalizer| finalizer == "kubernetes") {
            return Ok(None);
        }
        delete_content(cluster, &key.name)?;
        let left = content(cluster, &key.name);
        report(cluster, &namespace, &left, now)?;
        if left.objects.is_empty() {
            let rest: Vec<&Value> = finalizers.iter().filter(|finalizer| *finalizer != "kubernetes").collect();
            let patch = json!({"spec": {"finalizers": rest}});
            cluster.acting_as_controller(NAME).merge_subresource("namespaces", "", &key.name, "finalize", patch)?;
        }
        Ok(None)
    }
}

fn delete_content(cluster: &mut Cluster, namespace: &str) -> Result<(), ApiError> {
    for resource in cluster.resources().into_iter().filter(|resource| resource.namespaced) {
        let names: Vec<String> = cluster
            .list(&resource.storage, Some(namespace))
            .filter(|object| !object.is_deleting())
            .map(|object| object.name().to_owned())
            .collect();
        for name in names {
            let options = DeleteOptions { propagation: Some(Propagation::Background), ..DeleteOptions::default() };
            match cluster.acting_as_controller(NAME).delete(&resource.storage, namespace, &name, options) {
                Err(error) if !error.is_not_found() => return Err(error),
                _ => {}
            }
        }
    }
    Ok(())
}

#[derive(Default)]
struct Content {
    /// Objects by resource.
    objects: BTreeMap<String, usize>,
    /// Objects by finalizer.
    finalizers: BTreeMap<String, usize>,
}

fn content(cluster: &Cluster, namespace: &str) -> Content {
    let mut content = Content::default();
    for resource in cluster.resources().into_iter().filter(|resource| resource.namespaced) {
        for object in cluster.list(&resource.storage, Some(namespace)) {
            // The core group's name is empty, and the dot before it stays.
            *content.objects.entry(format!("{}.{}", resource.plural, resource.group)).or_insert(0) += 1;
            for finalizer in items(object.json(), "/metadata/finalizers").iter().filter_map(Value::as_str) {
                *content.finalizers.entry(finalizer.to_owned()).or_insert(0) += 1;
            }
        }
    }
    content
}

fn report(cluster: &mut Cluster, namespace: &Stored, left: &Content, now: Timestamp) -> Result<(), ApiError> {
    let list = |counts: &BTreeMap<String, usize>, verb: &str| {
        let parts: Vec<String> =
            counts.iter().map(|(what, count)| format!("{what} {verb} {count} resource instances")).collect();
        parts.join(", ")
    };
    let (remaining, finalizers) = (list(&left.objects, "has"), list(&left.finalizers, "in"));
    let yes_or_no = |kind, is_so, yes: (&'static str, String), no: (&'static str, &str)| {
        if is_so { (kind, "True", yes.0, yes.1) } else { (kind, "False", no.0, no.1.to_owned()) }
    };
    let fine = |kind, reason, message: &str| (kind, "False", reason, message.to_owned());
    let wanted = [
        fine("NamespaceDeletionDiscoveryFailure", "ResourcesDiscovered", "All resources successfully discovered"),
        fine(
            "NamespaceDeletionGroupVersionParsingFailure",
            "ParsedGroupVersions",
            "All legacy kube types successfully parsed",
        ),
        fine(
            "NamespaceDeletionContentFailure",
            "ContentDeleted",
            "All content successfully deleted, may be waiting on finalization",
        ),
        yes_or_no(
            "NamespaceContentRemaining",
            !left.objects.is_empty(),
            ("SomeResourcesRemain", format!("Some resources are remaining: {remaining}")),
            ("ContentRemoved", "All content successfully removed"),
        ),
        yes_or_no(
            "NamespaceFinalizersRemaining",
            !left.finalizers.is_empty(),
            ("SomeFinalizersRemain", format!("Some content in the namespace has finalizers remaining: {finalizers}")),
            ("ContentHasNoFinalizers", "All content-preserving finalizers finished"),
        ),
    ];
    let conditions: Vec<Value> = wanted
        .into_iter()
        .map(|(kind, status, reason, message)| {
            let known = condition(namespace.json(), kind).filter(|known| text(known, "/status") == status);
            let since = known.and_then(|known| known.get("lastTransitionTime")).cloned().unwrap_or_else(|| at(now));
            json!({"type": kind, "status": status, "lastTransitionTime": since, "reason": reason, "message": message})
        })
        .collect();
    if items(namespace.json(), "/status/conditions") == conditions {
        return Ok(());
    }
    let mut body = namespace.json().clone();
    if let Some(fields) = body.as_object_mut() {
        fields.insert("status".to_owned(), json!({"phase": "Terminating", "conditions": conditions}));
        unpin(fields);
    }
    cluster.acting_as_controller(NAME).update_status("namespaces", "", body).map(|_| ())
}
