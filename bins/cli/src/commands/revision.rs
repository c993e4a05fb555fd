//! `sluice undo` and `sluice set image`: another pod template for a Rollout that nobody else decides about.
//!
//! What Git delivers would be taken back by the next sync, so that is refused with the way through Git.

use object_model::Object;
use scenario::setting::{get, list, merge};
use serde_json::{Value, json};

use crate::args::{Reach, SetImage, Undo};
use crate::cluster::{Cluster, connect, parse_target};
use crate::output::{Failure, line};

const ROLLOUT: (&str, &str) = ("argoproj.io/v1alpha1", "Rollout");

/// The object that has the pod template of a Rollout: itself, or the workload that it refers to.
struct Holder {
    rollout: Object,
    api_version: String,
    kind: String,
    name: String,
}

async fn holder(reach: &Reach, cluster: &Cluster, target: &str) -> Result<Holder, Failure> {
    let (named, name) = parse_target(reach, target, "rollout")?;
    if named.kind != ROLLOUT.1 {
        return Err(Failure::usage(format!("`{target}` is no Rollout")).hint("write rollout/NAME"));
    }
    let rollout = get(&cluster.client, ROLLOUT.0, ROLLOUT.1, &cluster.namespace, &name).await?;
    let rollout =
        rollout.ok_or_else(|| Failure::new(format!("Rollout {}/{name} does not exist", cluster.namespace)))?;
    let reference = |field: &str| rollout.str_at(&format!("/spec/workloadRef/{field}")).map(str::to_owned);
    let (api_version, kind, name) = match (reference("apiVersion"), reference("kind"), reference("name")) {
        (Some(api_version), Some(kind), Some(name)) => (api_version, kind, name),
        _ => (ROLLOUT.0.to_owned(), ROLLOUT.1.to_owned(), name),
    };
    let holder = Holder { rollout, api_version, kind, name };
    refuse_delivered(reach, cluster, &holder).await?;
    Ok(holder)
}

/// Refuses when a config delivers the template and is not suspended.
async fn refuse_delivered(reach: &Reach, cluster: &Cluster, holder: &Holder) -> Result<(), Failure> {
    let held = holder.get(cluster).await?;
    let Some(config) = held.annotation(api::names::CONFIG) else { return Ok(()) };
    if let Some((namespace, name)) = config.split_once('/') {
        let api_version = format!("{}/v1", reach.group);
        match get(&cluster.client, &api_version, "GitOpsConfig", namespace, name).await? {
            // The mark of a config that is gone binds nobody.
            None => return Ok(()),
            Some(config) if config.bool_at("/spec/suspend") == Some(true) => return Ok(()),
            Some(_) => {}
        }
    }
    let place = held.annotation(api::names::SOURCE).unwrap_or("its repository");
    Err(Failure::new(format!("{} {} is delivered from Git by {config}", holder.kind, holder.name)).hint(format!(
        "change {place} and push; or take the commit back: git revert {}",
        held.annotation(api::names::COMMIT).unwrap_or("COMMIT")
    )))
}

impl Holder {
    async fn get(&self, cluster: &Cluster) -> Result<Object, Failure> {
        let found = get(&cluster.client, &self.api_version, &self.kind, &cluster.namespace, &self.name).await?;
        found.ok_or_else(|| Failure::new(format!("{} {}/{} does not exist", self.kind, cluster.namespace, self.name)))
    }

    async fn patch(&self, cluster: &Cluster, patch: &Value) -> Result<(), Failure> {
        Ok(merge(&cluster.client, &self.api_version, &self.kind, &cluster.namespace, &self.name, "", patch).await?)
    }
}

/// Puts the template of an earlier revision back.
pub(crate) async fn undo(reach: &Reach, args: &Undo) -> Result<(), Failure> {
    let cluster = connect(reach).await?;
    let holder = holder(reach, &cluster, &args.target).await?;
    let sets = list(&cluster.client, "apps/v1", "ReplicaSet", &cluster.namespace).await?;
    let uid = holder.rollout.uid();
    let mut revisions: Vec<(u64, &Object)> = sets
        .iter()
        .filter(|set| set.controller().map(|owner| owner.uid) == uid)
        .filter_map(|set| Some((set.annotation(api::names::ROLLOUT_REVISION)?.parse().ok()?, set)))
        .collect();
    revisions.sort_by_key(|(revision, _)| std::cmp::Reverse(*revision));
    let wanted = match args.to_revision {
        None | Some(0) => revisions.get(1),
        Some(wanted) => revisions.iter().find(|(revision, _)| *revision == wanted),
    };
    let known: Vec<String> = revisions.iter().map(|(revision, _)| revision.to_string()).collect();
    let Some((revision, set)) = wanted else {
        return Err(Failure::new("there is no such revision").hint(format!("there are: {}", known.join(", "))));
    };
    let mut template = set.pointer("/spec/template").cloned().unwrap_or_default();
    if let Some(labels) = template.pointer_mut("/metadata/labels").and_then(Value::as_object_mut) {
        labels.remove(api::names::POD_TEMPLATE_HASH);
    }
    let held = holder.get(&cluster).await?;
    let present = held.pointer("/spec/template").cloned().unwrap_or_default();
    let mut patch = replacement(&present, &template);
    // The same object as the one that was read, or nothing.
    if let Some(version) = held.resource_version() {
        patch = json!({"metadata": {"resourceVersion": version}, "spec": {"template": patch}});
    }
    holder.patch(&cluster, &patch).await?;
    line(&format!("rollout/{} taken back to revision {revision}", holder.rollout.name()));
    Ok(())
}

/// A merge patch that makes `after` of `before`.
fn replacement(before: &Value, after: &Value) -> Value {
    let (Value::Object(old), Value::Object(new)) = (before, after) else { return after.clone() };
    let mut patch = serde_json::Map::new();
    for key in old.keys().filter(|key| !new.contains_key(*key)) {
        patch.insert(key.clone(), Value::Null);
    }
    for (key, value) in new {
        match old.get(key) {
            Some(have) if have == value => {}
            Some(have) => drop(patch.insert(key.clone(), replacement(have, value))),
            None => drop(patch.insert(key.clone(), value.clone())),
        }
    }
    Value::Object(patch)
}

/// Sets images of containers by name.
pub(crate) async fn set_image(reach: &Reach, args: &SetImage) -> Result<(), Failure> {
    let mut images = Vec::new();
    for text in &args.images {
        let Some((container, image)) =
            text.split_once('=').filter(|(name, image)| !name.is_empty() && !image.is_empty())
        else {
            return Err(Failure::usage(format!("`{text}` is not CONTAINER=IMAGE")));
        };
        images.push((container, image));
    }
    let cluster = connect(reach).await?;
    let holder = holder(reach, &cluster, &args.target).await?;
    let held = holder.get(&cluster).await?;
    let mut spec = serde_json::Map::new();
    for (container, image) in images {
        let mut found = false;
        for field in ["containers", "initContainers"] {
            let path = format!("/spec/template/spec/{field}");
            let list = spec.get(field).cloned().unwrap_or_else(|| Value::from(held.list_at(&path).to_vec()));
            let Value::Array(mut list) = list else { continue };
            for entry in &mut list {
                if container == "*" || entry.get("name").and_then(Value::as_str) == Some(container) {
                    found = true;
                    if let Some(fields) = entry.as_object_mut() {
                        fields.insert("image".to_owned(), image.into());
                    }
                }
            }
            if !list.is_empty() {
                spec.insert(field.to_owned(), Value::Array(list));
            }
        }
        if !found {
            return Err(Failure::new(format!("{} {} has no container `{container}`", holder.kind, holder.name)));
        }
    }
    let version = held.resource_version().map(str::to_owned);
    let patch = json!({"metadata": {"resourceVersion": version}, "spec": {"template": {"spec": spec}}});
    holder.patch(&cluster, &patch).await?;
    line(&format!("rollout/{} images updated", holder.rollout.name()));
    Ok(())
}
