//! `sluice diff`: what a delivery would change, by the comparison that the operator itself makes.
//!
//! Nothing is written, not even as a dry run, so reading rights are enough. Values of Secrets, and what came from one or
//! from an encrypted file, are masked; equal values have equal masks.

mod desired;
mod print;
mod secrets;

use std::collections::BTreeSet;

use api::names;
use diff_engine::{Applied, Change, Claims, CompareOptions, applied_digest, autoscaler_claims, compare};
use object_model::{Gvk, Object, ObjectId};
use reconcile_core::FieldManager;
use scenario::setting::{get, list};
use serde_json::Value;

use crate::args::{Diff, Reach};
use crate::cluster::{Cluster, connect};
use crate::output::{Failure, print};
pub(crate) use desired::Desired;
use desired::{of_config, of_path};
use secrets::Secrets;

/// What becomes of one object.
pub(crate) struct Difference {
    pub(crate) id: ObjectId,
    pub(crate) before: Option<Object>,
    pub(crate) after: Option<Object>,
    pub(crate) changes: Vec<Change>,
}

/// Prints what would change. Fails with exit code 1 when something would, as kubectl does.
pub(crate) async fn run(reach: &Reach, args: &Diff) -> Result<(), Failure> {
    let differences = find(reach, args).await.map_err(Failure::untold)?;
    print(&print::text(&differences, args));
    if differences.is_empty() { Ok(()) } else { Err(Failure::differs()) }
}

/// Renders what a config would deliver that need not be in the cluster.
pub(crate) async fn of_object(cluster: &Cluster, config: &Object) -> Result<Desired, Failure> {
    desired::of_object(cluster, config, None).await
}

/// Compares with what is live.
pub(crate) async fn against(cluster: &Cluster, desired: &Desired) -> Result<Vec<Difference>, Failure> {
    let secrets = Secrets::new(desired.masks.clone())?;
    against_cluster(cluster, desired, &secrets).await
}

/// The comparison as it is printed.
pub(crate) fn shown(differences: &[Difference], args: &Diff) -> String {
    print::text(differences, args)
}

async fn find(reach: &Reach, args: &Diff) -> Result<Vec<Difference>, Failure> {
    let path = std::path::Path::new(&args.target);
    if path.exists() {
        if args.branch.is_some() || args.base.is_some() {
            return Err(Failure::usage("--branch and --base are about a config, and this is a path on disk"));
        }
        let cluster = connect(reach).await?;
        let desired = of_path(&cluster, path, args).await?;
        return against(&cluster, &desired).await;
    }
    let cluster = connect(reach).await?;
    let desired = of_config(reach, &cluster, &args.target, args.branch.as_deref()).await?;
    match &args.base {
        None => against(&cluster, &desired).await,
        Some(base) => {
            let base = of_config(reach, &cluster, &args.target, Some(base)).await?;
            let secrets = Secrets::new(base.masks.clone().and(desired.masks.clone()))?;
            Ok(between(&base.objects, &desired.objects, &secrets))
        }
    }
}

/// Compares with what is live: what would be created, changed and pruned.
async fn against_cluster(cluster: &Cluster, desired: &Desired, secrets: &Secrets) -> Result<Vec<Difference>, Failure> {
    let mut differences = Vec::new();
    let mut wanted = BTreeSet::new();
    for object in &desired.objects {
        wanted.insert(object.id());
        let namespace = object.namespace().unwrap_or_default();
        let live = get(&cluster.client, object.api_version(), object.kind(), namespace, object.name()).await?;
        match live {
            None => differences.push(Difference {
                id: object.id(),
                before: None,
                after: secrets.hide(None, Some(object)).1,
                changes: Vec::new(),
            }),
            Some(live) => differences.extend(change(cluster, object, &live, secrets).await?),
        }
    }
    for (api_version, id) in &desired.inventory {
        if wanted.contains(id) {
            continue;
        }
        let namespace = id.namespace.as_deref().unwrap_or_default();
        if let Some(live) = get(&cluster.client, api_version, &id.kind, namespace, &id.name).await? {
            let (before, _) = secrets.hide(Some(&live), None);
            differences.push(Difference { id: id.clone(), before, after: None, changes: Vec::new() });
        }
    }
    Ok(differences)
}

async fn change(
    cluster: &Cluster,
    wish: &Object,
    live: &Object,
    secrets: &Secrets,
) -> Result<Option<Difference>, Failure> {
    let manager = FieldManager::Sync.name();
    let namespace = live.namespace().unwrap_or_default();
    let autoscalers = match live.pointer("/spec/replicas") {
        Some(_) => list(&cluster.client, "autoscaling/v2", "HorizontalPodAutoscaler", namespace).await?,
        None => Vec::new(),
    };
    let claims = Claims::on(live).unwrap_or_default().and(autoscaler_claims(live, &autoscalers));
    let mut object = diff_engine::take_claimed(wish, live, &claims, manager);
    take_marks(&mut object, live);
    let applied = match (applied_digest(wish), live.annotation(names::APPLIED)) {
        (Some(digest), Some(have)) if have == digest => Applied::Same,
        (Some(_), Some(_)) => Applied::Other,
        _ => Applied::Unknown,
    };
    let options = CompareOptions { field_manager: manager, applied, claims: &claims, ignore: &[] };
    let (Some(live), Some(object)) = secrets.hide(Some(live), Some(&object)) else { return Ok(None) };
    let comparison = compare(&object, &live, &options);
    if comparison.is_in_sync() {
        return Ok(None);
    }
    let after = Some(diff_engine::predict(&live, &comparison));
    Ok(Some(Difference { id: object.id(), before: Some(live), after, changes: comparison.changes }))
}

/// What an operator writes on everything that it delivers is no difference.
fn take_marks(object: &mut Object, live: &Object) {
    for (key, value) in live.labels().into_iter().filter(|(key, _)| is_mark(key)) {
        object.set_label(key, value);
    }
    for (key, value) in live.annotations().into_iter().filter(|(key, _)| is_mark(key)) {
        object.set_annotation(key, value);
    }
}

fn is_mark(key: &str) -> bool {
    key.starts_with("sluice.dev/")
}

/// Compares what two branches say.
fn between(base: &[Object], head: &[Object], secrets: &Secrets) -> Vec<Difference> {
    let find = |objects: &[Object], id: &ObjectId| objects.iter().find(|object| object.id() == *id).cloned();
    let ids: BTreeSet<ObjectId> = base.iter().chain(head).map(Object::id).collect();
    let pairs = ids.into_iter().map(|id| {
        let (before, after) = secrets.hide(find(base, &id).as_ref(), find(head, &id).as_ref());
        (before, after, id)
    });
    let changed = pairs.filter(|(before, after, _)| match (before, after) {
        (Some(before), Some(after)) => diff_engine::normalise(before) != diff_engine::normalise(after),
        _ => true,
    });
    changed.map(|(before, after, id)| Difference { id, before, after, changes: Vec::new() }).collect()
}

/// The objects of an inventory, with their API versions.
pub(crate) fn entries(chunk: &Object) -> Vec<(String, ObjectId)> {
    let text = |entry: &Value, key: &str| entry.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let entry = |entry: &Value| {
        let api_version = Gvk::new(&text(entry, "group"), &text(entry, "version"), &text(entry, "kind")).api_version();
        let namespace = Some(text(entry, "namespace")).filter(|namespace| !namespace.is_empty());
        let id =
            ObjectId { group: text(entry, "group"), kind: text(entry, "kind"), namespace, name: text(entry, "name") };
        (api_version, id)
    };
    chunk.list_at("/spec/entries").iter().map(entry).collect()
}
