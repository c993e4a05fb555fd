//! Objects that leave one config and come to another: they change hands, and are never deleted and made again.
//!
//! A commit may move an object between two paths of one repository. So what left Git here is looked for in the renders of
//! the other configs of the branch first, and while one of them is not rendered yet, it is waited for. A config of
//! another repository shows what it wants by its inventory. What somebody else wants is not pruned: the mark of this
//! owner is taken off, and the other one takes it over.

use std::collections::{BTreeMap, BTreeSet};

use api::{GitOpsConfig, names};
use diff_engine::{OWNER_ANNOTATION, Owner};
use object_model::{Object, ObjectId};
use serde_json::json;

use super::prune::desired;
use super::snapshot::{Snapshot, Source, head_slot, read_source};
use crate::{Act, Action, FetchSource, Key, ObjectRef, Precondition, View, kinds};

/// Who else wants what left Git here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Handover {
    /// The config that wants an object, as `namespace/name`.
    pub wanted_by: BTreeMap<ObjectId, String>,
    /// A config of the same branch of which nobody knows yet what it wants.
    pub unknown: Option<String>,
}

/// Looks for others that want what is live, in the inventory, and no longer in Git here.
pub(super) fn observe(snapshot: &Snapshot, view: &dyn View) -> Handover {
    let mut handover = Handover::default();
    let (Source::Rendered(..), Ok(inventory)) = (&snapshot.source, &snapshot.inventory) else { return handover };
    let desired = desired(snapshot);
    let left: BTreeSet<ObjectId> = inventory
        .iter()
        .map(|entry| entry.id.clone())
        .filter(|id| !desired.contains(id) && snapshot.live.contains_key(id))
        .collect();
    if left.is_empty() {
        return handover;
    }
    for config in view.list(&snapshot.kind, "") {
        let uid = config.uid().filter(|uid| *uid != snapshot.identity.uid && !config.is_deleting());
        let Some(uid) = uid else { continue };
        let (spec, _) = GitOpsConfig::parse(&config);
        let credential = spec.read_secret.clone().map(|name| (config.namespace().unwrap_or_default().to_owned(), name));
        let git = FetchSource { url: spec.url.clone(), branch: spec.branch.clone(), credential };
        if spec.suspend || git.url != snapshot.git.url || git.branch != snapshot.git.branch {
            continue;
        }
        let name = Key::of(&config).to_string();
        match read_source(view, &head_slot(&git), &uid, &spec) {
            Source::Fetched(_) => handover.unknown = Some(name),
            Source::Rendered(_, rendered) => {
                let objects = rendered.objects.iter().map(|item| &*item.object);
                for id in objects.filter_map(|object| named(object, &spec.namespace, &left)) {
                    handover.wanted_by.entry(id).or_insert_with(|| name.clone());
                }
            }
            Source::Unknown | Source::FetchFailed(_) | Source::RenderFailed(..) => {}
        }
    }
    intended_by_others(snapshot, view, &left, &mut handover);
    handover
}

/// Which of the objects one of another render is; a namespace that it does not name is that of its config.
fn named(object: &Object, namespace: &str, left: &BTreeSet<ObjectId>) -> Option<ObjectId> {
    let mut id = object.id();
    if left.contains(&id) {
        return Some(id);
    }
    if id.namespace.is_none() {
        id.namespace = Some(namespace.to_owned());
    }
    left.contains(&id).then_some(id)
}

/// What stands in the inventories of other configs, whatever repository they follow.
fn intended_by_others(snapshot: &Snapshot, view: &dyn View, left: &BTreeSet<ObjectId>, handover: &mut Handover) {
    for chunk in view.list(&kinds::inventory(), "") {
        let Some(owner) = chunk.controller().filter(|owner| owner.uid != snapshot.identity.uid) else { continue };
        let is_there = view
            .get(&snapshot.kind, chunk.namespace().unwrap_or_default(), &owner.name)
            .is_some_and(|config| config.uid() == Some(owner.uid.clone()) && !config.is_deleting());
        let Ok(inventory) = diff_engine::read_inventory([&*chunk]) else { continue };
        for entry in inventory.iter().filter(|entry| is_there && left.contains(&entry.id)) {
            let name = format!("{}/{}", chunk.namespace().unwrap_or_default(), owner.name);
            handover.wanted_by.entry(entry.id.clone()).or_insert(name);
        }
    }
}

/// Takes the mark of this owner off an object that another config wants; nothing when it is off.
pub(super) fn release(snapshot: &Snapshot, id: &ObjectId) -> Option<Act> {
    let live = snapshot.live.get(id)?;
    Owner::of(live).filter(|owner| owner.uid == snapshot.identity.uid)?;
    let target = ObjectRef::of(snapshot.kind_of(id)?, live);
    let patch = json!({"metadata": {"annotations": {OWNER_ANNOTATION: null, names::CONFIG: null}}});
    let action = Action::Patch { target, patch, precondition: Precondition::exact(live) };
    Some(Act::new(action).by(snapshot.actor()))
}
