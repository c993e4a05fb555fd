//! What the cluster looks like: ordered, overlaid with own writes until the watch has caught up.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use object_model::{Object, Uid};
use reconcile_core::bugs::{self, Bug};
use reconcile_core::{Kind, Scope};
use tokio::time::Instant;

use crate::WatchSelector;

/// Objects with this label keep their `managedFields` in the store.
pub const MANAGED_LABEL: &str = "sluice.dev/managed";
/// An own write that the watch has not shown after this long is read back from the server.
pub const OVERLAY_AGE_MAX: Duration = Duration::from_secs(10);

/// Namespace (empty for cluster-scoped kinds) and name.
pub(crate) type Place = (String, String);

/// A change of one object in the store.
#[derive(Debug, Clone)]
pub struct Change {
    /// The kind.
    pub kind: Kind,
    /// What was there.
    pub old: Option<Arc<Object>>,
    /// What is there now.
    pub new: Option<Arc<Object>>,
}

impl Change {
    /// The newer of the two sides.
    pub fn object(&self) -> Option<&Arc<Object>> {
        self.new.as_ref().or(self.old.as_ref())
    }
}

/// An own write that the watch has not confirmed yet.
#[derive(Debug, Clone)]
struct Pending {
    /// The version that was written; `None` for a delete.
    version: Option<u64>,
    /// The life that was deleted.
    deleted: Option<Uid>,
    since: Instant,
    /// Order among lists: a list begun later has seen the delete.
    sequence: u64,
}

#[derive(Debug, Default)]
struct KindStore {
    selector: WatchSelector,
    objects: BTreeMap<Place, Arc<Object>>,
    by_controller: BTreeMap<Uid, BTreeSet<Place>>,
    /// What the rollout engine marked: namespace and name of the Rollout to the names of the objects.
    by_mark: BTreeMap<Place, BTreeSet<String>>,
    pending: BTreeMap<Place, Pending>,
    /// How far the watch has come.
    watched: u64,
    state: Sync,
}

/// Whether reads of a kind can be trusted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Sync {
    /// The first list has not come yet.
    #[default]
    Pending,
    /// The list came.
    Synced,
    /// The cluster does not serve the kind, so there are no objects of it.
    NotServed,
}

/// All watched kinds.
#[derive(Debug, Default)]
pub struct Store {
    kinds: BTreeMap<Kind, KindStore>,
    sequence: u64,
}

impl Store {
    /// Starts to keep a kind; `false` when it is kept already.
    pub fn track(&mut self, kind: &Kind, selector: WatchSelector) -> bool {
        if self.kinds.contains_key(kind) {
            return false;
        }
        self.kinds.insert(kind.clone(), KindStore { selector, ..KindStore::default() });
        true
    }

    /// Keeps all objects of a kind of which only a part was kept so far; reads wait for the next list.
    pub fn widen(&mut self, kind: &Kind) -> bool {
        let Some(store) = self.kinds.get_mut(kind).filter(|store| store.selector != WatchSelector::everything()) else {
            return false;
        };
        store.selector = WatchSelector::everything();
        store.state = Sync::Pending;
        store.watched = 0;
        true
    }

    /// Whether reads of `kind` can be trusted; `None` when nobody watches it.
    pub fn sync(&self, kind: &Kind) -> Option<Sync> {
        self.kinds.get(kind).map(|store| store.state)
    }

    /// How a kind is watched.
    pub fn selector(&self, kind: &Kind) -> Option<WatchSelector> {
        self.kinds.get(kind).map(|store| store.selector.clone())
    }

    /// Whether every kind that is watched has been listed.
    pub fn is_synced(&self) -> bool {
        self.kinds.values().all(|store| store.state != Sync::Pending)
    }

    /// One object.
    pub fn get(&self, kind: &Kind, namespace: &str, name: &str) -> Option<Arc<Object>> {
        self.kinds.get(kind)?.objects.get(&(namespace.to_owned(), name.to_owned())).cloned()
    }

    /// The objects of a namespace, or all when it is empty, in order of namespace and name.
    pub fn list(&self, kind: &Kind, namespace: &str) -> Vec<Arc<Object>> {
        let Some(store) = self.kinds.get(kind) else { return Vec::new() };
        if namespace.is_empty() {
            return store.objects.values().cloned().collect();
        }
        let from = (namespace.to_owned(), String::new());
        let within = store.objects.range(from..).take_while(|((have, _), _)| have == namespace);
        within.map(|(_, object)| object.clone()).collect()
    }

    /// The objects whose controller has this uid, in order.
    pub fn owned(&self, kind: &Kind, owner: &Uid) -> Vec<Arc<Object>> {
        let Some(store) = self.kinds.get(kind) else { return Vec::new() };
        let places = store.by_controller.get(owner).into_iter().flatten();
        places.filter_map(|place| store.objects.get(place).cloned()).collect()
    }

    /// The objects of a namespace that the rollout engine marked for a Rollout of this name, in order.
    pub fn marked(&self, kind: &Kind, namespace: &str, rollout: &str) -> Vec<Arc<Object>> {
        let Some(store) = self.kinds.get(kind) else { return Vec::new() };
        let names = store.by_mark.get(&(namespace.to_owned(), rollout.to_owned())).into_iter().flatten();
        names.filter_map(|name| store.objects.get(&(namespace.to_owned(), name.clone())).cloned()).collect()
    }

    /// Counts objects by kind, for metrics.
    pub fn counts(&self) -> BTreeMap<String, usize> {
        self.kinds
            .iter()
            .map(|(kind, store)| (format!("{}.{}", kind.plural, kind.group), store.objects.len()))
            .collect()
    }

    /// Every live object, kind by kind.
    pub fn everything(&self) -> impl Iterator<Item = (&Kind, &Arc<Object>)> {
        self.kinds.iter().flat_map(|(kind, store)| store.objects.values().map(move |object| (kind, object)))
    }

    /// Marks the moment at which a list of the server begins; give it to [`Store::replace`].
    pub fn list_begins(&mut self) -> u64 {
        self.sequence += 1;
        self.sequence
    }

    /// Marks a kind as not served: it has no objects.
    pub fn not_served(&mut self, kind: &Kind) -> Vec<Change> {
        let sequence = self.list_begins();
        let changes = self.replace(kind, "", Vec::new(), u64::MAX, sequence);
        if let Some(store) = self.kinds.get_mut(kind) {
            store.state = Sync::NotServed;
            store.watched = 0;
        }
        changes
    }

    /// Takes a whole list (of one namespace, or of all when empty) as of `version`.
    pub fn replace(
        &mut self,
        kind: &Kind,
        namespace: &str,
        objects: Vec<Object>,
        version: u64,
        sequence: u64,
    ) -> Vec<Change> {
        let Some(store) = self.kinds.get_mut(kind) else { return Vec::new() };
        let mut changes = Vec::new();
        let mut listed = BTreeSet::new();
        for object in objects {
            let place = place_of(kind, &object);
            listed.insert(place.clone());
            if store.pending.get(&place).is_some_and(|own| own.deleted.is_some() && own.sequence < sequence) {
                store.pending.remove(&place);
            }
            changes.extend(store.upsert(kind, place, object, Source::Read));
        }
        let within = |place: &Place| namespace.is_empty() || place.0 == namespace;
        let gone: Vec<Place> = store
            .objects
            .iter()
            .filter(|_| !bugs::on(Bug::GoneIsKept))
            .filter(|(place, object)| within(place) && !listed.contains(*place) && version_of(object) <= version)
            .map(|(place, _)| place.clone())
            .collect();
        for place in gone {
            changes.extend(store.remove(kind, &place));
        }
        store.pending.retain(|place, own| {
            !within(place) || listed.contains(place) || own.version.is_some_and(|own| own > version)
        });
        if namespace.is_empty() {
            store.watched = store.watched.max(if version == u64::MAX { 0 } else { version });
            store.state = Sync::Synced;
        }
        changes
    }

    /// Takes an added or modified object from the watch.
    pub fn apply(&mut self, kind: &Kind, object: Object) -> Option<Change> {
        let store = self.kinds.get_mut(kind)?;
        store.watched = store.watched.max(version_of(&object));
        let place = place_of(kind, &object);
        store.upsert(kind, place, object, Source::Watch)
    }

    /// Takes a deletion from the watch.
    pub fn delete(&mut self, kind: &Kind, object: &Object) -> Option<Change> {
        let store = self.kinds.get_mut(kind)?;
        let place = place_of(kind, object);
        let version = version_of(object);
        store.watched = store.watched.max(version);
        let own = store.pending.get(&place);
        if own.is_some_and(|own| own.deleted.is_some() && own.deleted == object.uid()) {
            store.pending.remove(&place);
        }
        let newer = store.objects.get(&place).is_some_and(|have| version_of(have) > version);
        if newer {
            return None;
        }
        store.pending.remove(&place);
        store.remove(kind, &place)
    }

    /// Takes the position of a bookmark.
    pub fn bookmark(&mut self, kind: &Kind, version: u64) {
        if let Some(store) = self.kinds.get_mut(kind) {
            store.watched = store.watched.max(version);
        }
    }

    /// Overlays what an own write left behind. Returns the change when the watch has not told of it yet.
    pub fn wrote(&mut self, kind: &Kind, object: Object, now: Instant) -> Option<Change> {
        self.sequence += 1;
        let sequence = self.sequence;
        let store = self.kinds.get_mut(kind)?;
        let version = version_of(&object);
        let place = place_of(kind, &object);
        let is_seen = |have: &Arc<Object>| version_of(have) == version;
        // An answer about the version that the watch told is compared with it, an older one is no news.
        if version <= store.watched && !store.objects.get(&place).is_some_and(is_seen) {
            return None;
        }
        if !store.selector.matches(&object) {
            return store.remove(kind, &place);
        }
        let change = store.upsert(kind, place.clone(), object, Source::Own);
        if change.is_some() && version > store.watched {
            let pending = Pending { version: Some(version), deleted: None, since: now, sequence };
            store.pending.insert(place, pending);
        }
        change
    }

    /// Overlays an own delete: the life `uid` is gone whatever older events still say.
    pub fn deleted(&mut self, kind: &Kind, place: &Place, uid: Option<&Uid>, now: Instant) -> Option<Change> {
        self.sequence += 1;
        let sequence = self.sequence;
        let store = self.kinds.get_mut(kind)?;
        let have = store.objects.get(place)?;
        if uid.is_some() && have.uid().as_ref() != uid {
            return None;
        }
        let pending = Pending { version: None, deleted: have.uid(), since: now, sequence };
        store.pending.insert(place.clone(), pending);
        store.remove(kind, place)
    }

    /// Takes the answer of a GET begun at `sequence`, which is the truth at that time.
    pub fn confirm(&mut self, kind: &Kind, place: &Place, found: Option<Object>, sequence: u64) -> Option<Change> {
        let store = self.kinds.get_mut(kind)?;
        if store.pending.get(place).is_some_and(|own| own.sequence > sequence) {
            return None;
        }
        store.pending.remove(place);
        match found {
            Some(object) if store.selector.matches(&object) => store.upsert(kind, place.clone(), object, Source::Read),
            _ => store.remove(kind, place),
        }
    }

    /// Own writes that the watch should have shown by now.
    pub fn overdue(&self, now: Instant) -> Vec<(Kind, Place)> {
        let mut overdue = Vec::new();
        for (kind, store) in &self.kinds {
            let late = store.pending.iter().filter(|(_, own)| now.duration_since(own.since) >= OVERLAY_AGE_MAX);
            overdue.extend(late.map(|(place, _)| (kind.clone(), place.clone())));
        }
        overdue
    }

    /// When the next own write becomes overdue.
    pub fn next_overdue(&self) -> Option<Instant> {
        let pending = self.kinds.values().flat_map(|store| store.pending.values());
        pending.map(|own| own.since + OVERLAY_AGE_MAX).min()
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Source {
    /// An event of a watch.
    Watch,
    /// A list or a GET.
    Read,
    /// The answer of an own write.
    Own,
}

impl KindStore {
    fn upsert(&mut self, kind: &Kind, place: Place, object: Object, source: Source) -> Option<Change> {
        let version = version_of(&object);
        if source != Source::Own && self.is_older_than_own(&place, &object, version) {
            return None;
        }
        let have = self.objects.get(&place);
        let have_version = have.map_or(0, |have| version_of(have));
        if have_version > version {
            return None;
        }
        let object = Arc::new(slim(object));
        // The same version may read otherwise: while a definition changes, a watch of before leaves out the new fields, and
        // what is asked for now has them.
        let is_same = source == Source::Watch || have == Some(&object);
        if version != 0 && have_version == version && is_same {
            return None;
        }
        let old = self.objects.insert(place.clone(), object.clone());
        if let Some(old) = &old {
            self.unindex(&place, old);
        }
        if let Some(mark) = mark_of(&place, &object) {
            self.by_mark.entry(mark).or_default().insert(place.1.clone());
        }
        if let Some(owner) = object.controller() {
            self.by_controller.entry(owner.uid).or_default().insert(place);
        }
        Some(Change { kind: kind.clone(), old, new: Some(object) })
    }

    /// Whether the watch still tells of a time before our own write; confirms the write when it does not.
    fn is_older_than_own(&mut self, place: &Place, object: &Object, version: u64) -> bool {
        let Some(own) = self.pending.get(place) else { return false };
        let older = match (own.version, &own.deleted) {
            (Some(written), _) => version < written,
            (None, deleted) => deleted.is_some() && *deleted == object.uid(),
        };
        if !older {
            self.pending.remove(place);
        }
        older
    }

    fn remove(&mut self, kind: &Kind, place: &Place) -> Option<Change> {
        let old = self.objects.remove(place)?;
        self.unindex(place, &old);
        Some(Change { kind: kind.clone(), old: Some(old), new: None })
    }

    fn unindex(&mut self, place: &Place, object: &Object) {
        if let Some(mark) = mark_of(place, object)
            && let Some(names) = self.by_mark.get_mut(&mark)
        {
            names.remove(&place.1);
            if names.is_empty() {
                self.by_mark.remove(&mark);
            }
        }
        let Some(owner) = object.controller() else { return };
        if let Some(places) = self.by_controller.get_mut(&owner.uid) {
            places.remove(place);
            if places.is_empty() {
                self.by_controller.remove(&owner.uid);
            }
        }
    }
}

/// Namespace and name of the Rollout that an object is marked for.
fn mark_of(place: &Place, object: &Object) -> Option<Place> {
    Some((place.0.clone(), object.annotation(api::names::MANAGED_BY_ROLLOUTS)?.to_owned()))
}

/// Drops what no decision reads: of objects that sync does not apply the field ownership and the contents of Secrets.
fn slim(mut object: Object) -> Object {
    let is_applied = object.label(MANAGED_LABEL).is_some();
    if !is_applied
        && let Some(metadata) = object.json_mut().get_mut("metadata").and_then(|metadata| metadata.as_object_mut())
    {
        metadata.remove("managedFields");
    }
    if object.group().is_empty() && object.kind() == "Secret" {
        if !is_applied {
            object.json_mut().remove("data");
            object.json_mut().remove("stringData");
        }
        if let Some(notes) = object.json_mut().get_mut("metadata").and_then(|metadata| metadata.get_mut("annotations"))
            && let Some(notes) = notes.as_object_mut()
        {
            notes.remove("kubectl.kubernetes.io/last-applied-configuration");
        }
    }
    object
}

fn place_of(kind: &Kind, object: &Object) -> Place {
    let namespace = match kind.scope {
        Scope::Namespaced => object.namespace().unwrap_or_default(),
        Scope::Cluster => "",
    };
    (namespace.to_owned(), object.name().to_owned())
}

/// The resource version as a number; 0 when it isn't one.
pub(crate) fn version_of(object: &Object) -> u64 {
    object.resource_version().and_then(|version| version.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn kind() -> Kind {
        Kind::namespaced("", "v1", "ConfigMap", "configmaps")
    }

    fn object(name: &str, uid: &str, version: u64) -> Object {
        Object::parse(json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": name, "namespace": "qa", "uid": uid, "resourceVersion": version.to_string()},
        }))
        .unwrap()
    }

    fn synced(objects: Vec<Object>, version: u64) -> Store {
        let mut store = Store::default();
        store.track(&kind(), WatchSelector::everything());
        let sequence = store.list_begins();
        store.replace(&kind(), "", objects, version, sequence);
        store
    }

    fn version(store: &Store) -> Option<u64> {
        store.get(&kind(), "qa", "a").map(|object| version_of(&object))
    }

    fn place() -> Place {
        ("qa".to_owned(), "a".to_owned())
    }

    #[tokio::test(start_paused = true)]
    async fn an_own_write_hides_older_events_until_the_watch_has_caught_up() {
        let mut store = synced(vec![object("a", "u", 5)], 5);
        assert!(store.wrote(&kind(), object("a", "u", 9), Instant::now()).is_some());
        assert!(store.apply(&kind(), object("a", "u", 7)).is_none());
        assert_eq!(version(&store), Some(9));
        assert!(store.next_overdue().is_some());
        assert!(store.apply(&kind(), object("a", "u", 9)).is_none(), "the echo of an own write is no change");
        assert!(store.next_overdue().is_none());
        assert!(store.apply(&kind(), object("a", "u", 11)).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_write_returns_is_believed_over_what_a_watch_of_an_older_definition_left_out() {
        let mut store = synced(vec![object("a", "u", 5)], 5);
        let whole = |version: u64| {
            let mut object = object("a", "u", version);
            object.set_at(&["spec", "weight"], 9.into());
            object
        };
        store.apply(&kind(), object("a", "u", 11));
        assert!(store.wrote(&kind(), whole(11), Instant::now()).is_some());
        assert!(store.wrote(&kind(), whole(11), Instant::now()).is_none(), "the same again is no news");
        assert!(store.next_overdue().is_none(), "the watch has told of this version");
        let seen = store.get(&kind(), "qa", "a").unwrap();
        assert_eq!(seen.pointer("/spec/weight"), Some(&9.into()));
        assert!(store.wrote(&kind(), object("a", "u", 10), Instant::now()).is_none(), "an older answer is none either");
    }

    #[tokio::test(start_paused = true)]
    async fn an_event_of_an_older_definition_takes_nothing_from_what_an_own_write_returned() {
        let mut store = synced(vec![object("a", "u", 5)], 5);
        let mut whole = object("a", "u", 11);
        whole.set_at(&["spec", "weight"], 9.into());
        assert!(store.wrote(&kind(), whole.clone(), Instant::now()).is_some());
        assert!(store.apply(&kind(), object("a", "u", 11)).is_none(), "the event lacks the new field");
        assert_eq!(store.get(&kind(), "qa", "a").unwrap().pointer("/spec/weight"), Some(&9.into()));
        let sequence = store.list_begins();
        whole.set_at(&["spec", "height"], 2.into());
        let changes = store.replace(&kind(), "", vec![whole], 11, sequence);
        assert_eq!(changes.len(), 1, "a list says how the version reads now");
    }

    #[tokio::test(start_paused = true)]
    async fn an_own_delete_stays_deleted_through_late_events_of_the_same_life() {
        let mut store = synced(vec![object("a", "u", 5)], 5);
        assert!(store.deleted(&kind(), &place(), Some(&Uid::new("u")), Instant::now()).is_some());
        assert!(store.apply(&kind(), object("a", "u", 6)).is_none());
        assert_eq!(version(&store), None);
        assert!(store.apply(&kind(), object("a", "next life", 8)).is_some());
        assert_eq!(version(&store), Some(8));
    }

    #[tokio::test(start_paused = true)]
    async fn the_answer_of_a_write_never_brings_back_what_the_watch_saw_deleted() {
        let mut store = synced(vec![object("a", "u", 5)], 5);
        store.delete(&kind(), &object("a", "u", 12));
        assert!(store.wrote(&kind(), object("a", "u", 10), Instant::now()).is_none());
        assert_eq!(version(&store), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_relist_removes_what_is_gone_and_keeps_newer_own_writes() {
        let mut store = synced(vec![object("a", "u", 5), object("b", "v", 6)], 6);
        store.wrote(&kind(), object("c", "w", 20), Instant::now());
        let sequence = store.list_begins();
        let changes = store.replace(&kind(), "", vec![object("a", "u", 5)], 15, sequence);
        assert_eq!(changes.len(), 1);
        let names: Vec<String> = store.list(&kind(), "").iter().map(|object| object.name().to_owned()).collect();
        assert_eq!(names, ["a", "c"]);
    }

    #[tokio::test(start_paused = true)]
    async fn an_overlay_that_ages_asks_to_be_read_back() {
        let mut store = synced(vec![object("a", "u", 5)], 5);
        store.wrote(&kind(), object("a", "u", 9), Instant::now());
        assert!(store.overdue(Instant::now()).is_empty());
        tokio::time::advance(OVERLAY_AGE_MAX).await;
        assert_eq!(store.overdue(Instant::now()), [(kind(), place())]);
        let sequence = store.list_begins();
        assert!(store.confirm(&kind(), &place(), None, sequence).is_some());
        assert!(store.overdue(Instant::now()).is_empty());
        assert_eq!(version(&store), None);
    }

    #[test]
    fn managed_fields_and_contents_of_secrets_stay_only_on_managed_objects() {
        let mut object = object("a", "u", 5);
        object.set_at(&["metadata", "managedFields"], json!([{"manager": "x"}]));
        assert!(slim(object.clone()).pointer("/metadata/managedFields").is_none());
        object.set_label(MANAGED_LABEL, "true");
        assert!(slim(object).pointer("/metadata/managedFields").is_some());
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "data": {"password": "aHVudGVyMg=="},
        });
        let mut secret = Object::parse(secret).unwrap();
        assert!(slim(secret.clone()).pointer("/data").is_none());
        secret.set_label(MANAGED_LABEL, "true");
        assert!(slim(secret).pointer("/data").is_some(), "what sync applied is compared with what is there");
    }

    #[test]
    fn objects_are_found_by_the_uid_of_their_controller() {
        let mut owned = object("b", "v", 6);
        let owner = json!([{"apiVersion": "v1", "kind": "X", "name": "a", "uid": "u", "controller": true}]);
        owned.set_at(&["metadata", "ownerReferences"], owner);
        let mut store = synced(vec![object("a", "u", 5), owned], 6);
        assert_eq!(store.owned(&kind(), &Uid::new("u")).len(), 1);
        store.apply(&kind(), object("b", "v", 9));
        assert!(store.owned(&kind(), &Uid::new("u")).is_empty());
    }

    #[test]
    fn objects_are_found_by_the_rollout_that_they_are_marked_for_as_long_as_they_are() {
        let mut marked = object("b", "v", 6);
        marked.set_annotation(api::names::MANAGED_BY_ROLLOUTS, "web");
        let mut store = synced(vec![object("a", "u", 5), marked.clone()], 6);
        let namespace = marked.namespace().unwrap_or_default().to_owned();
        assert_eq!(store.marked(&kind(), &namespace, "web").len(), 1);
        assert!(store.marked(&kind(), "elsewhere", "web").is_empty());
        store.apply(&kind(), object("b", "v", 9));
        assert!(store.marked(&kind(), &namespace, "web").is_empty());
    }
}
