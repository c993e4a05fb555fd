//! How controllers read objects: owners, selectors, readiness, times.

use std::collections::BTreeMap;
use std::sync::Arc;

use object_model::{LabelSelector, Timestamp, format_time, parse_time};
use serde_json::{Map, Value, json};

use crate::cluster::Cluster;
use crate::store::Stored;

pub(crate) fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

pub(crate) fn int(object: &Value, pointer: &str) -> i64 {
    object.pointer(pointer).and_then(Value::as_i64).unwrap_or(0)
}

pub(crate) fn int_or(object: &Value, pointer: &str, default: i64) -> i64 {
    object.pointer(pointer).and_then(Value::as_i64).unwrap_or(default)
}

pub(crate) fn flag(object: &Value, pointer: &str) -> bool {
    object.pointer(pointer).and_then(Value::as_bool).unwrap_or(false)
}

pub(crate) fn items<'a>(object: &'a Value, pointer: &str) -> &'a [Value] {
    object.pointer(pointer).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

pub(crate) fn time(object: &Value, pointer: &str) -> Option<Timestamp> {
    parse_time(text(object, pointer))
}

/// The labels of an object, or of any mapping that has `metadata.labels`.
pub(crate) fn labels(object: &Value) -> BTreeMap<&str, &str> {
    let map = object.pointer("/metadata/labels").and_then(Value::as_object);
    map.map(|map| map.iter().filter_map(|(key, value)| Some((key.as_str(), value.as_str()?))).collect())
        .unwrap_or_default()
}

/// A workload's `spec.selector`; none when it is absent, broken or would match everything.
pub(crate) fn selector(object: &Value) -> Option<LabelSelector> {
    LabelSelector::parse(object.pointer("/spec/selector")?).ok().filter(|selector| !selector.is_empty())
}

/// The uid of the managing controller, empty without one.
pub(crate) fn controller_uid(object: &Value) -> &str {
    let owner = items(object, "/metadata/ownerReferences").iter().find(|owner| flag(owner, "/controller"));
    owner.map(|owner| text(owner, "/uid")).unwrap_or_default()
}

/// The name of the managing controller of a kind.
pub(crate) fn controller_name<'a>(object: &'a Value, kind: &str) -> Option<&'a str> {
    let owner = items(object, "/metadata/ownerReferences").iter().find(|owner| flag(owner, "/controller"))?;
    (text(owner, "/kind") == kind).then(|| text(owner, "/name"))
}

/// The reference by which an object names its managing controller.
pub(crate) fn owner_reference(owner: &Value) -> Value {
    json!({
        "apiVersion": text(owner, "/apiVersion"),
        "kind": text(owner, "/kind"),
        "name": text(owner, "/metadata/name"),
        "uid": text(owner, "/metadata/uid"),
        "controller": true,
        "blockOwnerDeletion": true,
    })
}

/// The objects of a resource in a namespace that this owner controls.
pub(crate) fn owned(cluster: &Cluster, resource: &str, namespace: &str, owner_uid: &str) -> Vec<Arc<Stored>> {
    let all = cluster.list(resource, Some(namespace));
    all.filter(|object| controller_uid(object.json()) == owner_uid).cloned().collect()
}

pub(crate) fn is_deleting(object: &Value) -> bool {
    object.pointer("/metadata/deletionTimestamp").is_some()
}

/// A pod that counts: it neither ended nor is on its way out.
pub(crate) fn is_active(pod: &Value) -> bool {
    !matches!(text(pod, "/status/phase"), "Succeeded" | "Failed") && !is_deleting(pod)
}

pub(crate) fn condition<'a>(object: &'a Value, kind: &str) -> Option<&'a Value> {
    items(object, "/status/conditions").iter().find(|condition| text(condition, "/type") == kind)
}

pub(crate) fn is_true(object: &Value, kind: &str) -> bool {
    condition(object, kind).is_some_and(|condition| text(condition, "/status") == "True")
}

pub(crate) fn is_ready(pod: &Value) -> bool {
    is_true(pod, "Ready")
}

/// When a ready pod counts as available.
pub(crate) fn available_at(pod: &Value, min_ready_seconds: i64) -> Option<Timestamp> {
    let ready = condition(pod, "Ready").filter(|condition| text(condition, "/status") == "True")?;
    let since = time(ready, "/lastTransitionTime").unwrap_or(Timestamp::UNIX_EPOCH);
    if min_ready_seconds <= 0 {
        return Some(Timestamp::UNIX_EPOCH);
    }
    let wait = std::time::Duration::from_secs(min_ready_seconds.unsigned_abs().min(1 << 32));
    since.checked_add(wait).ok()
}

/// A moment as the API writes it.
pub(crate) fn at(now: Timestamp) -> Value {
    Value::String(format_time(now))
}

/// Leaves out what Go leaves out: zeros.
pub(crate) fn without_zeros(fields: &[(&str, i64)]) -> Map<String, Value> {
    fields.iter().filter(|(_, value)| *value != 0).map(|(key, value)| ((*key).to_owned(), json!(value))).collect()
}

/// FNV-1a over the canonical text of a value.
pub(crate) fn fingerprint(value: &Value) -> u32 {
    let mut hash = 0x811c_9dc5_u32;
    for byte in value.to_string().bytes() {
        hash = (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    }
    hash
}

/// Letters for names, from the alphabet Kubernetes uses: no vowels, so no words.
pub(crate) fn safe_letters(number: u32) -> String {
    const ALPHABET: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";
    let letter = |digit: char| ALPHABET.get(digit as usize % ALPHABET.len()).copied().map(char::from);
    number.to_string().chars().filter_map(letter).collect()
}
