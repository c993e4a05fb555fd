//! The set of objects that a config owns, written ahead of every create.
//!
//! An entry begins as intended, before its object is created, and becomes owned when live shows an object that names
//! this config and the entry's operation. Only an owned entry lets its object be deleted, so a crash between any two
//! writes neither forgets an object nor takes one that was never ours.

use std::collections::BTreeMap;

use object_model::{Object, ObjectId, Uid};
use serde::{Deserialize, Serialize};

use crate::ownership::{OWNER_ANNOTATION, Owner};

/// How far an entry has come.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "camelCase")]
pub enum EntryState {
    /// It will be created or adopted; it gives no right to delete.
    Intended,
    /// This life of the object is ours.
    Owned {
        /// The uid that was seen with our annotation.
        uid: Uid,
    },
}

/// One object of the inventory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The object.
    #[serde(flatten)]
    pub id: ObjectId,
    /// The API version it was last applied with.
    pub version: String,
    /// The operation that intended it; the owner annotation repeats it.
    pub operation: String,
    /// How far it has come.
    #[serde(flatten)]
    pub state: EntryState,
    /// The wave it belongs to, which orders its deletion.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub wave: i32,
    /// When it was intended, as `metav1.Time`.
    pub since: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants a reference")]
fn is_zero(number: &i32) -> bool {
    *number == 0
}

/// All entries of one config.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inventory {
    entries: BTreeMap<ObjectId, Entry>,
}

impl Inventory {
    /// Takes entries; of two about one object, the owned one stays.
    pub fn new(entries: impl IntoIterator<Item = Entry>) -> Self {
        let mut inventory = Self::default();
        for entry in entries {
            match inventory.entries.get(&entry.id) {
                Some(have) if have.state >= entry.state => {}
                _ => {
                    inventory.entries.insert(entry.id.clone(), entry);
                }
            }
        }
        inventory
    }

    /// One entry.
    pub fn get(&self, id: &ObjectId) -> Option<&Entry> {
        self.entries.get(id)
    }

    /// The entries in the order of their ids.
    pub fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values()
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The owner annotation that the object of an entry carries; `None` when the inventory does not have it, and then it
    /// must not be created yet.
    pub fn owner_of(&self, id: &ObjectId, config: &ConfigIdentity) -> Option<Owner> {
        let entry = self.get(id)?;
        Some(Owner::new(&config.to_string(), &config.uid, &entry.operation, id))
    }
}

/// The config whose inventory it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigIdentity {
    /// `apiVersion` of the config.
    pub api_version: String,
    /// Kind of the config.
    pub kind: String,
    /// Namespace of the config.
    pub namespace: String,
    /// Name of the config.
    pub name: String,
    /// Uid of the config.
    pub uid: Uid,
}

/// `namespace/name`.
impl std::fmt::Display for ConfigIdentity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// What a read of one object found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Live<'a> {
    /// It is there.
    Present(&'a Object),
    /// A complete read did not have it.
    Absent,
    /// It could not be read: its kind is unknown or its API does not answer.
    Unknown,
}

/// The live objects of a snapshot, and the kinds that could not be read.
#[derive(Debug, Clone, Default)]
pub struct LiveView<'a> {
    objects: BTreeMap<ObjectId, &'a Object>,
    unread: std::collections::BTreeSet<(String, String)>,
}

impl<'a> LiveView<'a> {
    /// Takes live objects; every kind counts as completely read.
    pub fn new(objects: impl IntoIterator<Item = &'a Object>) -> Self {
        let objects = objects.into_iter().map(|object| (object.id(), object)).collect();
        Self { objects, unread: std::collections::BTreeSet::new() }
    }

    /// Says that a kind could not be read, so that its absence proves nothing.
    #[must_use]
    pub fn without_kind(mut self, group: &str, kind: &str) -> Self {
        self.unread.insert((group.to_owned(), kind.to_owned()));
        self
    }

    /// What is known of one object.
    pub fn get(&self, id: &ObjectId) -> Live<'a> {
        match self.objects.get(id) {
            Some(object) => Live::Present(object),
            None if self.unread.contains(&(id.group.clone(), id.kind.clone())) => Live::Unknown,
            None => Live::Absent,
        }
    }
}

/// One object that Git wants, as far as the inventory needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The object.
    pub id: ObjectId,
    /// Its API version.
    pub version: String,
    /// Its wave.
    pub wave: i32,
}

/// What an inventory is planned for.
#[derive(Debug, Clone, Copy)]
pub struct InventoryScope<'a> {
    /// The config.
    pub config: &'a ConfigIdentity,
    /// The operation under which new entries are intended.
    pub operation: &'a str,
    /// The present time as `metav1.Time`.
    pub now: &'a str,
}

/// Returns the inventory that must be stored before the next create or delete.
///
/// It holds every wanted object and every earlier one that may still be there. An earlier entry goes only when a
/// complete read shows that its object is gone, or that what is there was never ours.
pub fn plan_inventory(
    previous: &Inventory,
    wanted: &[Wanted],
    live: &LiveView<'_>,
    scope: &InventoryScope<'_>,
) -> Inventory {
    let mut entries = Vec::with_capacity(wanted.len().max(previous.len()));
    let mut wanted_ids = std::collections::BTreeSet::new();
    for want in wanted {
        wanted_ids.insert(&want.id);
        let entry = match previous.get(&want.id) {
            Some(entry) => Entry { version: want.version.clone(), wave: want.wave, ..entry.clone() },
            None => Entry {
                id: want.id.clone(),
                version: want.version.clone(),
                operation: scope.operation.to_owned(),
                state: EntryState::Intended,
                wave: want.wave,
                since: scope.now.to_owned(),
            },
        };
        entries.push(observed(entry, live, scope.config));
    }
    for entry in previous.iter().filter(|entry| !wanted_ids.contains(&entry.id)) {
        if let Some(entry) = left_behind(entry, live, scope.config) {
            entries.push(entry);
        }
    }
    Inventory::new(entries)
}

/// A wanted entry, with its state as live proves it.
fn observed(mut entry: Entry, live: &LiveView<'_>, config: &ConfigIdentity) -> Entry {
    match live.get(&entry.id) {
        Live::Present(object) => {
            entry.state = match proven_uid(&entry, object, config) {
                Some(uid) => EntryState::Owned { uid },
                None => still_owned(&entry, object),
            };
        }
        // It will be created again, and that life is not seen yet.
        Live::Absent => entry.state = EntryState::Intended,
        Live::Unknown => {}
    }
    entry
}

/// An owned life whose annotation was taken off stays owned; another life, or one that names another owner, does not.
fn still_owned(entry: &Entry, object: &Object) -> EntryState {
    match &entry.state {
        EntryState::Owned { uid }
            if object.uid().as_ref() == Some(uid) && object.annotation(OWNER_ANNOTATION).is_none() =>
        {
            entry.state.clone()
        }
        _ => EntryState::Intended,
    }
}

/// An entry that Git no longer wants, or `None` when there is nothing left that is ours.
fn left_behind(entry: &Entry, live: &LiveView<'_>, config: &ConfigIdentity) -> Option<Entry> {
    match live.get(&entry.id) {
        Live::Unknown => Some(entry.clone()),
        Live::Absent => None,
        Live::Present(object) => {
            let state = match proven_uid(entry, object, config) {
                Some(uid) => EntryState::Owned { uid },
                None => still_owned(entry, object),
            };
            (state != EntryState::Intended).then(|| Entry { state, ..entry.clone() })
        }
    }
}

/// The uid of a live object whose annotation names this config, this operation and this object.
fn proven_uid(entry: &Entry, object: &Object, config: &ConfigIdentity) -> Option<Uid> {
    let owner = Owner::of(object)?;
    (owner.uid == config.uid && owner.operation == entry.operation).then(|| object.uid()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn config() -> ConfigIdentity {
        ConfigIdentity {
            api_version: "sluice.dev/v1alpha1".to_owned(),
            kind: "GitOpsConfig".to_owned(),
            namespace: "default".to_owned(),
            name: "shop".to_owned(),
            uid: Uid::new("c1"),
        }
    }

    fn want(name: &str) -> Wanted {
        Wanted { id: ObjectId::new("", "ConfigMap", Some("qa"), name), version: "v1".to_owned(), wave: 0 }
    }

    fn live(name: &str, uid: &str, operation: Option<&str>) -> Object {
        let mut object = Object::new("v1", "ConfigMap", Some("qa"), name);
        object.set_at(&["metadata", "uid"], json!(uid));
        if let Some(operation) = operation {
            Owner::new("default/shop", &config().uid, operation, &object.id()).put_on(&mut object);
        }
        object
    }

    fn plan(previous: &Inventory, wanted: &[Wanted], live: &LiveView<'_>, operation: &str) -> Inventory {
        let config = config();
        plan_inventory(
            previous,
            wanted,
            live,
            &InventoryScope { config: &config, operation, now: "2026-01-01T00:00:00Z" },
        )
    }

    fn states(inventory: &Inventory) -> String {
        let text = inventory.iter().map(|entry| match &entry.state {
            EntryState::Intended => format!("{} intended by {}", entry.id.name, entry.operation),
            EntryState::Owned { uid } => format!("{} owned {uid} by {}", entry.id.name, entry.operation),
        });
        text.collect::<Vec<_>>().join("; ")
    }

    #[test]
    fn an_entry_is_intended_first_and_owned_once_live_names_us() {
        let first = plan(&Inventory::default(), &[want("a"), want("b")], &LiveView::default(), "op1");
        assert_eq!(states(&first), "a intended by op1; b intended by op1");
        let a = live("a", "u1", Some("op1"));
        let second = plan(&first, &[want("a"), want("b")], &LiveView::new([&a]), "op2");
        assert_eq!(states(&second), "a owned u1 by op1; b intended by op1");
    }

    #[test]
    fn case_15_an_object_with_another_operation_or_none_is_never_owned() {
        let first = plan(&Inventory::default(), &[want("a"), want("b")], &LiveView::default(), "op1");
        let (a, b) = (live("a", "u1", Some("op0")), live("b", "u2", None));
        let second = plan(&first, &[], &LiveView::new([&a, &b]), "op2");
        assert_eq!(states(&second), "");
    }

    #[test]
    fn what_left_git_stays_until_a_read_shows_it_gone() {
        let a = live("a", "u1", Some("op1"));
        let owned = plan(
            &plan(&Inventory::default(), &[want("a")], &LiveView::default(), "op1"),
            &[want("a")],
            &LiveView::new([&a]),
            "op1",
        );
        assert_eq!(states(&plan(&owned, &[], &LiveView::new([&a]), "op2")), "a owned u1 by op1");
        assert_eq!(
            states(&plan(&owned, &[], &LiveView::default().without_kind("", "ConfigMap"), "op2")),
            "a owned u1 by op1"
        );
        assert_eq!(states(&plan(&owned, &[], &LiveView::default(), "op2")), "");
    }

    #[test]
    fn a_crash_after_the_create_and_a_commit_without_the_object_still_finds_it() {
        let intended = plan(&Inventory::default(), &[want("a")], &LiveView::default(), "op1");
        let a = live("a", "u1", Some("op1"));
        assert_eq!(states(&plan(&intended, &[], &LiveView::new([&a]), "op2")), "a owned u1 by op1");
    }

    #[test]
    fn a_name_taken_again_by_somebody_else_is_not_ours() {
        let a = live("a", "u1", Some("op1"));
        let intended = plan(&Inventory::default(), &[want("a")], &LiveView::default(), "op1");
        let owned = plan(&intended, &[want("a")], &LiveView::new([&a]), "op1");
        let other = live("a", "u2", None);
        assert_eq!(states(&plan(&owned, &[], &LiveView::new([&other]), "op2")), "");
        assert_eq!(states(&plan(&owned, &[want("a")], &LiveView::new([&other]), "op2")), "a intended by op1");
    }

    #[test]
    fn an_owned_object_whose_annotation_was_taken_off_stays_owned() {
        let a = live("a", "u1", Some("op1"));
        let intended = plan(&Inventory::default(), &[want("a")], &LiveView::default(), "op1");
        let owned = plan(&intended, &[want("a")], &LiveView::new([&a]), "op1");
        let bare = live("a", "u1", None);
        assert_eq!(states(&plan(&owned, &[want("a")], &LiveView::new([&bare]), "op2")), "a owned u1 by op1");
    }
}
