//! Labels and annotations that pods carry while their version plays a part (`canaryMetadata`, `activeMetadata`, ...).
//!
//! They are put into the ReplicaSet's template first, so that pods made meanwhile have them, then on its pods; no pod is
//! restarted. An annotation of the ReplicaSet remembers what was put in, another what is still to be taken off pods, so
//! that a crash between the two leaves nothing behind.

use std::collections::BTreeMap;

use api::argo::PodMetadata;
use api::names;
use object_model::Object;
use serde_json::{Map, Value, json};

use super::progress::Progress;
use super::replica_set::ReplicaSetView;
use super::snapshot::Snapshot;
use crate::{Act, Action, ObjectRef, Plan, Precondition, kinds};

/// Brings templates and pods of all versions up to date with the parts that they play.
pub(super) fn apply(snapshot: &Snapshot, progress: &Progress, plan: &mut Plan) {
    let mut in_templates = Vec::new();
    let mut on_pods = Vec::new();
    for set in &snapshot.sets {
        let wanted = of_role(snapshot, progress, set);
        let (wanted, kept) = without_selectors(set, wanted);
        for key in kept {
            plan.report
                .problems
                .push(format!("metadata: the label {key} of ReplicaSet {} selects its pods", set.name()));
        }
        let had = remembered(&set.object, names::EPHEMERAL_METADATA);
        let mut retired = remembered(&set.object, names::RETIRED_METADATA);
        add_missing(&mut retired, &had, &wanted);
        let pods = snapshot.pods.get(set.name()).map(Vec::as_slice).unwrap_or_default();
        let staying = pods.iter().map(|pod| &*pod.object).filter(|pod| !pod.is_deleting());
        let patches: Vec<Act> = staying.filter_map(|pod| pod_act(pod, &wanted, &retired)).collect();
        if patches.is_empty() && had == wanted {
            // Nothing carries them any more.
            retired = PodMetadata::default();
        }
        in_templates.extend(template_act(set, &had, &wanted, &retired));
        on_pods.extend(patches);
    }
    plan.stage(in_templates);
    plan.stage(on_pods);
}

/// Puts the metadata of a new version into its template before any pod is made of it; returns what the ReplicaSet is to
/// remember.
pub(super) fn of_a_new_version(snapshot: &Snapshot, template: &mut Value) -> Option<String> {
    let is_first = snapshot.stable_set().is_none();
    let wanted = match is_first {
        true => roles(snapshot).1,
        false => roles(snapshot).0,
    };
    let wanted = wanted.filter(|metadata| !metadata.is_empty())?;
    let selector = snapshot.spec.selector.pointer("/matchLabels");
    let (wanted, _) = split_off(&wanted, |key| selector.is_some_and(|labels| labels.get(key).is_some()));
    for (part, map) in [("labels", &wanted.labels), ("annotations", &wanted.annotations)] {
        for (key, value) in map {
            super::act::set(template, &["metadata", part, key], value.clone().into());
        }
    }
    (!wanted.is_empty()).then(|| wanted.to_json().to_string())
}

/// The metadata of a version that is tried, and that of the one that serves.
fn roles(snapshot: &Snapshot) -> (Option<PodMetadata>, Option<PodMetadata>) {
    match (snapshot.canary(), snapshot.blue_green()) {
        (Some(canary), _) => (canary.canary_metadata.clone(), canary.stable_metadata.clone()),
        (_, Some(strategy)) => (strategy.preview_metadata.clone(), strategy.active_metadata.clone()),
        _ => (None, None),
    }
}

fn of_role(snapshot: &Snapshot, progress: &Progress, set: &ReplicaSetView) -> PodMetadata {
    let (tried, serving) = roles(snapshot);
    let is_new = set.hash == snapshot.hash;
    let is_stable = progress.stable.as_ref() == Some(&set.hash);
    let is_first = is_new && progress.stable_set(snapshot).is_none();
    let metadata = if is_stable || is_first {
        serving
    } else if is_new {
        tried
    } else {
        None
    };
    metadata.unwrap_or_default()
}

/// Leaves out labels by which the ReplicaSet knows its pods; returns their keys too.
fn without_selectors(set: &ReplicaSetView, metadata: PodMetadata) -> (PodMetadata, Vec<String>) {
    let selector = set.object.pointer("/spec/selector/matchLabels");
    split_off(&metadata, |key| selector.is_some_and(|labels| labels.get(key).is_some()))
}

fn split_off(metadata: &PodMetadata, is_kept: impl Fn(&str) -> bool) -> (PodMetadata, Vec<String>) {
    let (kept, free): (BTreeMap<String, String>, _) =
        metadata.labels.clone().into_iter().partition(|(key, _)| is_kept(key));
    (PodMetadata { labels: free, annotations: metadata.annotations.clone() }, kept.into_keys().collect())
}

fn remembered(set: &Object, annotation: &str) -> PodMetadata {
    let text = set.annotation(annotation).unwrap_or_default();
    serde_json::from_str::<Value>(text).map(|value| PodMetadata::parse(&value)).unwrap_or_default()
}

/// Adds the keys that were there and are not wanted any more; those that are wanted again are no longer to go.
fn add_missing(retired: &mut PodMetadata, had: &PodMetadata, wanted: &PodMetadata) {
    let merge =
        |retired: &mut BTreeMap<String, String>, had: &BTreeMap<String, String>, wanted: &BTreeMap<String, String>| {
            retired.extend(had.keys().map(|key| (key.clone(), String::new())));
            retired.retain(|key, _| !wanted.contains_key(key));
        };
    merge(&mut retired.labels, &had.labels, &wanted.labels);
    merge(&mut retired.annotations, &had.annotations, &wanted.annotations);
}

/// What is to be changed of an object's labels and annotations, at `/metadata` below `at`.
fn changes(object: &Object, at: &str, wanted: &PodMetadata, retired: &PodMetadata) -> Option<Value> {
    let mut metadata = Map::new();
    let parts =
        [("labels", &wanted.labels, &retired.labels), ("annotations", &wanted.annotations, &retired.annotations)];
    for (part, wanted, retired) in parts {
        let live = object.pointer(&format!("{at}/metadata/{part}"));
        let have = |key: &str| live.and_then(|live| live.get(key)).and_then(Value::as_str);
        let mut changed = Map::new();
        for (key, value) in wanted.iter().filter(|(key, value)| have(key) != Some(value.as_str())) {
            changed.insert(key.clone(), value.clone().into());
        }
        for key in retired.keys().filter(|key| have(key).is_some()) {
            changed.insert(key.clone(), Value::Null);
        }
        if !changed.is_empty() {
            metadata.insert(part.to_owned(), Value::Object(changed));
        }
    }
    (!metadata.is_empty()).then_some(Value::Object(metadata))
}

fn pod_act(pod: &Object, wanted: &PodMetadata, retired: &PodMetadata) -> Option<Act> {
    let metadata = changes(pod, "", wanted, retired)?;
    Some(Act::new(Action::Patch {
        target: ObjectRef::of(&kinds::pod(), pod),
        patch: json!({"metadata": metadata}),
        precondition: Precondition::uid(pod),
    }))
}

fn template_act(set: &ReplicaSetView, had: &PodMetadata, wanted: &PodMetadata, retired: &PodMetadata) -> Option<Act> {
    let template = changes(&set.object, "/spec/template", wanted, retired);
    let mut annotations = Map::new();
    let mut remember = |key: &str, metadata: &PodMetadata| {
        let text = (!metadata.is_empty()).then(|| metadata.to_json().to_string());
        let is_same =
            remembered(&set.object, key) == *metadata && text.is_some() == set.object.annotation(key).is_some();
        if !is_same {
            annotations.insert(key.to_owned(), json!(text));
        }
    };
    // What the template had by itself was not put in, so it is not remembered either.
    if template.is_some() || !had.is_empty() {
        remember(names::EPHEMERAL_METADATA, wanted);
    }
    remember(names::RETIRED_METADATA, retired);
    let mut patch = Map::new();
    if !annotations.is_empty() {
        patch.insert("metadata".to_owned(), json!({"annotations": annotations}));
    }
    if let Some(metadata) = template {
        patch.insert("spec".to_owned(), json!({"template": {"metadata": metadata}}));
    }
    (!patch.is_empty()).then(|| {
        Act::new(Action::Patch {
            target: ObjectRef::of(&kinds::replica_set(), &set.object),
            patch: Value::Object(patch),
            precondition: Precondition::uid(&set.object),
        })
    })
}
