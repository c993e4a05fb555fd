//! Managed fields: who owns what, how an update takes ownership and how an apply merges.

use std::collections::BTreeMap;

use object_model::{Timestamp, format_time, parse_time};
use serde_json::{Map, Value, json};

use super::compare::{Comparison, compare, field_set};
use super::field_set::{FieldSet, PathElement, path_text};
use super::merge::{merge, remove};
use super::shape::MergeType;

/// How many managers may have updates on one object.
const UPDATE_MANAGERS_MAX: usize = 10;

/// Who an entry belongs to. Appliers keep one entry across versions.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Identity {
    manager: String,
    is_apply: bool,
    api_version: String,
    subresource: String,
}

#[derive(Debug, Clone)]
struct Entry {
    set: FieldSet,
    api_version: String,
    time: Option<String>,
}

/// The decoded managed fields of an object.
#[derive(Debug, Clone, Default)]
pub(crate) struct Managers(BTreeMap<Identity, Entry>);

/// Who writes, through what.
#[derive(Debug, Clone)]
pub(crate) struct FieldWriter<'a> {
    pub(crate) manager: &'a str,
    pub(crate) api_version: &'a str,
    pub(crate) subresource: &'a str,
    /// Fields the subresource can't touch.
    pub(crate) ignored: &'a FieldSet,
    pub(crate) now: Timestamp,
}

/// Why an apply failed.
#[derive(Debug)]
pub(crate) enum ApplyError {
    /// Others own the fields: the message and the causes.
    Conflict(String, Value),
    /// The configuration does not fit its type.
    Shape(String),
}

impl Managers {
    /// Reads `metadata.managedFields`; none when it can't be read.
    pub(crate) fn decode(list: Option<&Value>) -> Option<Self> {
        let mut out = BTreeMap::new();
        for entry in list.and_then(Value::as_array).into_iter().flatten() {
            let text = |key: &str| entry.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
            let is_apply = match text("operation").as_str() {
                "Apply" => true,
                "Update" => false,
                _ => return None,
            };
            let api_version = text("apiVersion");
            if api_version.is_empty() || text("fieldsType") != "FieldsV1" {
                return None;
            }
            let identity = Identity {
                manager: text("manager"),
                is_apply,
                api_version: if is_apply { String::new() } else { api_version.clone() },
                subresource: text("subresource"),
            };
            let set = entry.get("fieldsV1").map(FieldSet::from_json).unwrap_or_default();
            let time = entry.get("time").and_then(Value::as_str).map(str::to_owned);
            out.insert(identity, Entry { set, api_version, time });
        }
        Some(Self(out))
    }

    /// The entries in the order the API server writes them; none when there are none.
    pub(crate) fn encode(&self) -> Option<Value> {
        if self.0.is_empty() {
            return None;
        }
        let mut entries: Vec<(&Identity, &Entry)> = self.0.iter().collect();
        let seconds = |entry: &Entry| entry.time.as_deref().and_then(parse_time).map_or(0, |time| time.as_second());
        entries.sort_by(|(a, one), (b, two)| {
            (!a.is_apply, seconds(one), &a.manager, &one.api_version, &a.subresource).cmp(&(
                !b.is_apply,
                seconds(two),
                &b.manager,
                &two.api_version,
                &b.subresource,
            ))
        });
        Some(Value::Array(entries.into_iter().map(|(identity, entry)| encode_entry(identity, entry)).collect()))
    }

    fn drop_empty(&mut self) {
        self.0.retain(|_, entry| !entry.set.is_empty());
    }

    /// Merges the oldest updaters into one entry per version when there are too many.
    fn cap(&mut self) {
        let mut updaters: Vec<Identity> = self.0.keys().filter(|identity| !identity.is_apply).cloned().collect();
        if updaters.len() <= UPDATE_MANAGERS_MAX {
            return;
        }
        let time = |managers: &Self, identity: &Identity| managers.0.get(identity).and_then(|entry| entry.time.clone());
        updaters.sort_by_key(|identity| (time(self, identity), identity.clone()));
        let mut left = updaters.len();
        let mut firsts: BTreeMap<String, Identity> = BTreeMap::new();
        for identity in updaters {
            if left <= UPDATE_MANAGERS_MAX {
                break;
            }
            let Some(version) = self.0.get(&identity).map(|entry| entry.api_version.clone()) else { continue };
            let Some(first) = firsts.get(&version).cloned() else {
                firsts.insert(version, identity);
                continue;
            };
            let bucket = Identity {
                manager: "ancient-changes".to_owned(),
                is_apply: false,
                api_version: version.clone(),
                subresource: String::new(),
            };
            for source in [first, identity] {
                if source == bucket {
                    continue;
                }
                let Some(entry) = self.0.remove(&source) else { continue };
                match self.0.get_mut(&bucket) {
                    Some(kept) => {
                        kept.set = kept.set.union(&entry.set);
                        kept.time = entry.time;
                        left -= 1;
                    }
                    None => {
                        self.0.insert(bucket.clone(), entry);
                    }
                }
            }
            firsts.insert(version, bucket);
        }
    }
}

fn encode_entry(identity: &Identity, entry: &Entry) -> Value {
    let mut fields = Map::new();
    if !identity.manager.is_empty() {
        fields.insert("manager".to_owned(), identity.manager.clone().into());
    }
    fields.insert("operation".to_owned(), if identity.is_apply { "Apply" } else { "Update" }.into());
    fields.insert("apiVersion".to_owned(), entry.api_version.clone().into());
    if let Some(time) = &entry.time {
        fields.insert("time".to_owned(), time.clone().into());
    }
    fields.insert("fieldsType".to_owned(), "FieldsV1".into());
    fields.insert("fieldsV1".to_owned(), entry.set.to_json());
    if !identity.subresource.is_empty() {
        fields.insert("subresource".to_owned(), identity.subresource.clone().into());
    }
    Value::Object(fields)
}

/// Fields nobody owns.
fn never_owned() -> FieldSet {
    let mut set = FieldSet::default();
    let field = |name: &str| PathElement::Field(name.to_owned());
    for name in ["apiVersion", "kind", "metadata"] {
        set.insert(&[field(name)]);
    }
    let names = [
        "name",
        "namespace",
        "creationTimestamp",
        "selfLink",
        "uid",
        "clusterName",
        "generation",
        "managedFields",
        "resourceVersion",
    ];
    for name in names {
        set.insert(&[field("metadata"), field(name)]);
    }
    set
}

fn without_managed_fields(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("managedFields");
    }
    object
}

fn writer_identity(writer: &FieldWriter<'_>, is_apply: bool) -> Identity {
    let manager = if writer.manager.is_empty() { "unknown" } else { writer.manager };
    Identity {
        manager: manager.to_owned(),
        is_apply,
        api_version: if is_apply { String::new() } else { writer.api_version.to_owned() },
        subresource: writer.subresource.to_owned(),
    }
}

/// Records an update from the live to the new state; `live` is the empty object of the kind on create.
pub(crate) fn update(
    live: &Value,
    new: &Value,
    mut managers: Managers,
    writer: &FieldWriter<'_>,
    at: MergeType<'_>,
) -> Managers {
    let is_create = live.pointer("/metadata/uid").is_none();
    if managers.0.is_empty() && !is_create {
        // Objects whose fields nobody tracks stay untracked until someone applies.
        return managers;
    }
    let comparison = compare(&without_managed_fields(live), &without_managed_fields(new), at).without(writer.ignored);
    let touched = comparison.modified.union(&comparison.added);
    for entry in managers.0.values_mut() {
        entry.set = entry.set.difference(&touched).difference(&comparison.removed);
    }
    managers.drop_empty();
    let owned = touched.without_below(writer.ignored).difference(&never_owned());
    if !owned.is_empty() {
        let entry = managers.0.entry(writer_identity(writer, false)).or_insert_with(|| Entry {
            set: FieldSet::default(),
            api_version: writer.api_version.to_owned(),
            time: None,
        });
        entry.set = entry.set.union(&owned);
        entry.time = Some(format_time(writer.now));
    }
    managers.cap();
    managers
}

/// Applies a configuration to the live state: the merged state and the managers after it.
pub(crate) fn apply(
    live: &Value,
    empty: &Value,
    applied: &Value,
    mut managers: Managers,
    writer: &FieldWriter<'_>,
    is_forced: bool,
    at: MergeType<'_>,
) -> Result<(Value, Managers), ApplyError> {
    let live = without_managed_fields(live);
    if managers.0.is_empty() && live.pointer("/metadata/uid").is_some() {
        let before = FieldWriter { manager: "before-first-apply", ..writer.clone() };
        managers = update(empty, &live, managers, &before, at);
    }
    let mut merged = merge(&live, applied, at).map_err(ApplyError::Shape)?;
    let identity = writer_identity(writer, true);
    let set = field_set(applied, at).without_below(writer.ignored);
    let last = managers.0.get(&identity).map(|entry| entry.set.clone());
    let time = managers.0.get(&identity).and_then(|entry| entry.time.clone());
    let entry = Entry { set, api_version: writer.api_version.to_owned(), time };
    managers.0.insert(identity.clone(), entry);
    if let Some(last) = last.filter(|last| !last.is_empty()) {
        merged = prune(&merged, &managers, &last, at);
    }
    let comparison = compare(&live, &merged, at).without(writer.ignored);
    settle(&mut managers, &identity, &comparison, is_forced)?;
    if let Some(entry) = managers.0.get_mut(&identity) {
        entry.set = entry.set.difference(&never_owned());
        if merged != live {
            entry.time = Some(format_time(writer.now));
        }
    }
    managers.drop_empty();
    Ok((merged, managers))
}

/// Takes what the apply changed from its other owners, or refuses.
fn settle(
    managers: &mut Managers,
    identity: &Identity,
    comparison: &Comparison,
    is_forced: bool,
) -> Result<(), ApplyError> {
    let touched = comparison.modified.union(&comparison.added);
    let mut conflicts: Vec<(Identity, Entry, FieldSet)> = Vec::new();
    for (other, entry) in managers.0.iter().filter(|(other, _)| *other != identity) {
        let common = entry.set.intersection(&touched);
        if !common.is_empty() {
            conflicts.push((other.clone(), entry.clone(), common));
        }
    }
    if !is_forced && !conflicts.is_empty() {
        return Err(conflict_error(&conflicts));
    }
    for (other, entry) in &mut managers.0 {
        if other == identity {
            continue;
        }
        entry.set = entry.set.difference(&touched).difference(&comparison.removed);
    }
    managers.drop_empty();
    Ok(())
}

fn conflict_error(conflicts: &[(Identity, Entry, FieldSet)]) -> ApplyError {
    let name = |identity: &Identity, entry: &Entry| {
        let mut text = format!("{:?}", identity.manager);
        if !identity.subresource.is_empty() {
            text = format!("{text} with subresource {:?}", identity.subresource);
        }
        if !identity.is_apply {
            text = format!("{text} using {}", entry.api_version);
        }
        text
    };
    let mut causes = Vec::new();
    let mut groups = Vec::new();
    for (identity, entry, set) in conflicts {
        let who = name(identity, entry);
        let paths: Vec<String> = set.paths().iter().map(|path| path_text(path)).collect();
        for path in &paths {
            causes.push(json!({
                "reason": "FieldManagerConflict", "message": format!("conflict with {who}"), "field": path,
            }));
        }
        groups.push((who, paths));
    }
    let message = match groups.as_slice() {
        [(who, paths)] if paths.len() == 1 => {
            format!("Apply failed with 1 conflict: conflict with {who}: {}", paths.join(""))
        }
        groups => {
            let mut lines = Vec::new();
            for (who, paths) in groups {
                lines.push(format!("conflicts with {who}:"));
                lines.extend(paths.iter().map(|path| format!("- {path}")));
            }
            format!("Apply failed with {} conflicts: {}", causes.len(), lines.join("\n"))
        }
    };
    ApplyError::Conflict(message, Value::Array(causes))
}

/// Removes what this applier owned before and no longer applies, unless someone else owns it.
fn prune(merged: &Value, managers: &Managers, last: &FieldSet, at: MergeType<'_>) -> Value {
    let pruned = remove(merged, &last.with_named_fields(at), at);
    let owned = managers.0.values().fold(FieldSet::default(), |all, entry| all.union(&entry.set));
    let merged_set = field_set(merged, at).with_named_fields(at);
    let kept = field_set(&pruned, at).with_named_fields(at).union(&owned.with_named_fields(at));
    let pruned = remove(merged, &merged_set.difference(&kept), at);
    let pruned_set = field_set(&pruned, at).with_named_fields(at);
    remove(merged, &merged_set.difference(&pruned_set).intersection(&last.with_named_fields(at)), at)
}

/// Gives entries of the new state their old times where nothing but times differs.
///
/// Returns whether the two states are then equal.
pub(crate) fn keep_times(old: &Value, new: &mut Value) -> bool {
    let entry_without_time = |entry: &Value| {
        let mut entry = entry.clone();
        if let Some(fields) = entry.as_object_mut() {
            fields.remove("time");
        }
        entry
    };
    let list = |object: &Value| {
        object.pointer("/metadata/managedFields").and_then(Value::as_array).cloned().unwrap_or_default()
    };
    let (old_list, new_list) = (list(old), list(new));
    let strip = |list: &[Value]| {
        let mut plain: Vec<String> = list.iter().map(|entry| entry_without_time(entry).to_string()).collect();
        plain.sort();
        plain
    };
    if strip(&old_list) != strip(&new_list) || without_managed_fields(old) != without_managed_fields(new) {
        return false;
    }
    if let Some(metadata) = new.get_mut("metadata").and_then(Value::as_object_mut) {
        match old.pointer("/metadata/managedFields") {
            Some(list) => metadata.insert("managedFields".to_owned(), list.clone()),
            None => metadata.remove("managedFields"),
        };
    }
    true
}
