//! The DestinationRule: which pods are in the canary's and in the stable subset.

use object_model::{Object, PodHash};
use serde_json::{Map, Value, json};

use super::DestinationRuleRef;
use crate::change::escaped;
use crate::section::field;
use crate::target::{Live, SplitPlan};
use crate::{Change, Claim, MANAGED_BY_ANNOTATION, POD_HASH_LABEL, Split, SplitError};

/// Plans the subsets of a DestinationRule.
pub(super) fn plan(split: &Split, rule: &DestinationRuleRef, owner: &str, live: &Live, planned: &mut SplitPlan) {
    let Some(object) = live.get(&rule.id()) else {
        planned.errors.push(SplitError::NotFound { object: rule.id() });
        return;
    };
    match applied(split, rule, owner, object) {
        Err(error) => planned.errors.push(error),
        Ok((wanted, pointers)) => {
            let claim = |pointer| Claim { object: rule.id(), pointer };
            planned.claims.extend(pointers.into_iter().map(claim));
            let hash = |hash: &Option<PodHash>| hash.as_ref().map(ToString::to_string).unwrap_or_default();
            let summary = format!(
                "DestinationRule {} subset updated ({}: {}, {}: {})",
                rule.name,
                rule.canary_subset,
                hash(&split.canary.pod_hash),
                rule.stable_subset,
                hash(&split.stable.pod_hash)
            );
            planned.changes.extend(Change::update(object, wanted, summary));
        }
    }
}

fn subsets(rule: &DestinationRuleRef, object: &Object) -> Result<Vec<Map<String, Value>>, SplitError> {
    let path = format!("DestinationRule `{}` spec.subsets", rule.name);
    let items = match object.pointer("/spec/subsets") {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Array(items)) => items,
        Some(_) => return Err(field(&path, "must be a list")),
    };
    let mapping =
        |item: &Value| item.as_object().cloned().ok_or_else(|| field(&format!("{path}[]"), "must be a mapping"));
    items.iter().map(mapping).collect()
}

fn applied(
    split: &Split,
    rule: &DestinationRuleRef,
    owner: &str,
    object: &Object,
) -> Result<(Object, Vec<String>), SplitError> {
    let before = subsets(rule, object)?;
    for (role, name) in [("Canary", &rule.canary_subset), ("Stable", &rule.stable_subset)] {
        if !before.iter().any(|subset| name_of(subset) == name) {
            let (name, rule) = (name.clone(), rule.name.clone());
            return Err(SplitError::SubsetNotInRule { role, name, rule });
        }
    }
    let (mut after, mut pointers) = (Vec::with_capacity(before.len()), Vec::new());
    for mut subset in before.iter().cloned() {
        let name = name_of(&subset).to_owned();
        let additional = split.additional.iter().find(|(destination, _)| destination.service == name);
        let hash = if name == rule.canary_subset {
            split.canary.pod_hash.as_ref()
        } else if name == rule.stable_subset {
            split.stable.pod_hash.as_ref()
        } else if let Some((destination, _)) = additional {
            destination.pod_hash.as_ref()
        } else if rule.additional_subsets.contains(&name) || label(&subset).is_none() {
            // Somebody else's subset. Only what carries the hash of pods can be an experiment's that is over.
            after.push(subset);
            continue;
        } else {
            continue;
        };
        set_label(&mut subset, hash);
        pointers.push(format!("/spec/subsets/{}/labels/{}", after.len(), escaped(POD_HASH_LABEL)));
        after.push(subset);
    }
    for (destination, _) in &split.additional {
        if let (Some(hash), false) =
            (&destination.pod_hash, after.iter().any(|subset| name_of(subset) == destination.service))
        {
            let subset = json!({"name": destination.service, "labels": {POD_HASH_LABEL: hash}});
            after.extend(subset.as_object().cloned());
        }
    }
    if after.len() != before.len() || !split.additional.is_empty() {
        pointers = vec!["/spec/subsets".to_owned()];
    }
    pointers.push(format!("/metadata/annotations/{}", escaped(MANAGED_BY_ANNOTATION)));
    let mut wanted = object.clone();
    if after != before {
        wanted.set_at(&["spec", "subsets"], after.into_iter().map(Value::Object).collect());
    }
    if object.annotation(MANAGED_BY_ANNOTATION) != Some(owner) {
        wanted.set_annotation(MANAGED_BY_ANNOTATION, owner);
    }
    Ok((wanted, pointers))
}

/// Takes hashes and mark out of a DestinationRule that `owner` drives.
pub(super) fn release(rule: &DestinationRuleRef, owner: &str, live: &Live, planned: &mut SplitPlan) {
    let Some(object) = live.get(&rule.id()) else { return };
    if object.annotation(MANAGED_BY_ANNOTATION) != Some(owner) {
        return;
    }
    let before = match subsets(rule, object) {
        Ok(before) => before,
        Err(error) => {
            planned.errors.push(error);
            return;
        }
    };
    let is_ours = |name: &str| name == rule.canary_subset || name == rule.stable_subset;
    let after: Vec<Value> = before
        .into_iter()
        .filter(|subset| {
            let name = name_of(subset);
            is_ours(name) || label(subset).is_none() || rule.additional_subsets.iter().any(|kept| kept == name)
        })
        .map(|mut subset| {
            if is_ours(name_of(&subset)) {
                set_label(&mut subset, None);
            }
            Value::Object(subset)
        })
        .collect();
    let mut wanted = object.clone();
    wanted.set_at(&["spec", "subsets"], Value::Array(after));
    remove_mark(&mut wanted);
    let summary = format!("DestinationRule {} released", rule.name);
    planned.changes.extend(Change::update(object, wanted, summary));
}

/// A DestinationRule that a Rollout drove once, without its hashes and its mark. Which subsets those were it does not
/// know any more, so the hash is taken out of each.
pub(crate) fn left_behind(object: &Object) -> Object {
    let mut wanted = object.clone();
    if let Some(Value::Array(subsets)) = wanted.json_mut().get_mut("spec").and_then(|spec| spec.get_mut("subsets")) {
        subsets.iter_mut().filter_map(Value::as_object_mut).for_each(|subset| set_label(subset, None));
    }
    remove_mark(&mut wanted);
    wanted
}

fn remove_mark(object: &mut Object) {
    let Some(Value::Object(metadata)) = object.json_mut().get_mut("metadata") else { return };
    let Some(Value::Object(annotations)) = metadata.get_mut("annotations") else { return };
    annotations.remove(MANAGED_BY_ANNOTATION);
    if annotations.is_empty() {
        metadata.remove("annotations");
    }
}

/// The versions that the canary's and the stable subset select.
pub(super) fn selected(rule: &DestinationRuleRef, live: &Live) -> (Option<PodHash>, Option<PodHash>) {
    let subsets = live.get(&rule.id()).and_then(|object| subsets(rule, object).ok()).unwrap_or_default();
    let hash = |name: &str| {
        let subset = subsets.iter().find(|subset| name_of(subset) == name)?;
        label(subset).filter(|hash| !hash.is_empty()).map(PodHash::new)
    };
    (hash(&rule.canary_subset), hash(&rule.stable_subset))
}

fn name_of(subset: &Map<String, Value>) -> &str {
    subset.get("name").and_then(Value::as_str).unwrap_or_default()
}

fn label(subset: &Map<String, Value>) -> Option<&str> {
    subset.get("labels")?.get(POD_HASH_LABEL)?.as_str()
}

/// Sets or removes the hash in the labels of a subset; labels that become empty are removed with it.
fn set_label(subset: &mut Map<String, Value>, hash: Option<&PodHash>) {
    match hash {
        Some(hash) => {
            let labels = subset.entry("labels").or_insert_with(|| Value::Object(Map::new()));
            if !labels.is_object() {
                *labels = Value::Object(Map::new());
            }
            if let Value::Object(labels) = labels {
                labels.insert(POD_HASH_LABEL.to_owned(), hash.as_str().into());
            }
        }
        None => {
            let Some(Value::Object(labels)) = subset.get_mut("labels") else { return };
            labels.remove(POD_HASH_LABEL);
            if labels.is_empty() {
                subset.remove("labels");
            }
        }
    }
}
