//! Objects by resource, namespace and name, under one resourceVersion, with a bounded history of changes.
//!
//! A copy shares every object and every map that neither side has changed since, so that copying a world is cheap.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use serde_json::Value;

/// A stored object.
#[derive(Debug)]
pub struct Stored {
    json: Value,
    revision: u64,
    bytes: OnceLock<Bytes>,
    item_bytes: OnceLock<Bytes>,
}

impl Stored {
    pub(crate) fn new(json: Value, revision: u64) -> Self {
        Self { json, revision, bytes: OnceLock::new(), item_bytes: OnceLock::new() }
    }

    /// The object.
    pub fn json(&self) -> &Value {
        &self.json
    }

    /// Its resourceVersion.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// The object serialised; done once.
    pub fn bytes(&self) -> Bytes {
        self.bytes.get_or_init(|| Bytes::from(self.json.to_string())).clone()
    }

    /// The object serialised without its kind, as items of built-in lists are; done once.
    pub(crate) fn item_bytes(&self) -> Bytes {
        let serialise = || {
            let fields = self.json.as_object().into_iter().flatten();
            let parts: Vec<String> = fields
                .filter(|(key, _)| !matches!(key.as_str(), "kind" | "apiVersion"))
                .map(|(key, value)| format!("{}:{value}", Value::from(key.as_str())))
                .collect();
            Bytes::from(format!("{{{}}}", parts.join(",")))
        };
        self.item_bytes.get_or_init(serialise).clone()
    }

    /// The value at a JSON pointer.
    pub fn at(&self, pointer: &str) -> Option<&Value> {
        self.json.pointer(pointer)
    }

    /// The text at a JSON pointer, or empty.
    pub fn text(&self, pointer: &str) -> &str {
        self.at(pointer).and_then(Value::as_str).unwrap_or_default()
    }

    /// `metadata.name`.
    pub fn name(&self) -> &str {
        self.text("/metadata/name")
    }

    /// `metadata.namespace`, or empty.
    pub fn namespace(&self) -> &str {
        self.text("/metadata/namespace")
    }

    /// `metadata.uid`.
    pub fn uid(&self) -> &str {
        self.text("/metadata/uid")
    }

    /// Whether a deletion has been asked for.
    pub fn is_deleting(&self) -> bool {
        self.at("/metadata/deletionTimestamp").is_some()
    }
}

/// One change of one object.
#[derive(Debug, Clone)]
pub struct Change {
    /// The resourceVersion the change made.
    pub revision: u64,
    /// The stored resource, for example `deployments.apps`.
    pub resource: Arc<str>,
    /// The namespace, empty for cluster-scoped objects.
    pub namespace: Arc<str>,
    /// The name.
    pub name: Arc<str>,
    /// The object before; none when it was created.
    pub before: Option<Arc<Stored>>,
    /// The object after; none when it was removed.
    pub after: Option<Arc<Stored>>,
    /// For a removal: the last state under the removal's resourceVersion.
    pub last: Option<Arc<Stored>>,
}

impl Change {
    /// The state to show for the change: the new one, or the last one of a removed object.
    pub fn state(&self) -> Option<&Arc<Stored>> {
        self.after.as_ref().or(self.last.as_ref())
    }
}

type Names = BTreeMap<Arc<str>, Arc<Stored>>;
type Namespaces = BTreeMap<Arc<str>, Arc<Names>>;

const CHUNK_LEN: usize = 128;

/// The objects and their recent history.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    revision: u64,
    tables: BTreeMap<Arc<str>, Arc<Namespaces>>,
    history: VecDeque<Arc<Vec<Change>>>,
    history_len: usize,
    history_max: usize,
    compacted: u64,
}

impl Store {
    pub(crate) fn new(history_max: usize) -> Self {
        Self {
            revision: 1,
            tables: BTreeMap::new(),
            history: VecDeque::new(),
            history_len: 0,
            history_max: history_max.max(CHUNK_LEN),
            compacted: 1,
        }
    }

    pub(crate) fn revision(&self) -> u64 {
        self.revision
    }

    /// The newest revision whose changes are gone: a watch can start here or later.
    pub(crate) fn compacted(&self) -> u64 {
        self.compacted
    }

    pub(crate) fn get(&self, resource: &str, namespace: &str, name: &str) -> Option<&Arc<Stored>> {
        self.tables.get(resource)?.get(namespace)?.get(name)
    }

    /// All objects of a resource, in one namespace or in all, ordered by namespace and name.
    pub(crate) fn list<'a>(
        &'a self,
        resource: &str,
        namespace: Option<&'a str>,
    ) -> impl Iterator<Item = &'a Arc<Stored>> + 'a {
        let table = self.tables.get(resource);
        let one = namespace.and_then(|namespace| table.and_then(|table| table.get(namespace)));
        let all = match namespace {
            Some(_) => None,
            None => table,
        };
        one.into_iter()
            .flat_map(|names| names.values())
            .chain(all.into_iter().flat_map(|table| table.values().flat_map(|names| names.values())))
    }

    /// The state of a resource as it was at a revision, or none when the history no longer reaches it.
    pub(crate) fn list_at(&self, resource: &str, namespace: Option<&str>, revision: u64) -> Option<Vec<Arc<Stored>>> {
        if revision < self.compacted {
            return None;
        }
        if revision >= self.revision {
            return Some(self.list(resource, namespace).cloned().collect());
        }
        let mut state: BTreeMap<(Arc<str>, Arc<str>), Arc<Stored>> = BTreeMap::new();
        if let Some(table) = self.tables.get(resource) {
            for (space, names) in table.iter().filter(|(space, _)| namespace.is_none_or(|want| want == space.as_ref()))
            {
                for (name, object) in names.iter() {
                    state.insert((space.clone(), name.clone()), object.clone());
                }
            }
        }
        for change in self.history.iter().rev().flat_map(|chunk| chunk.iter().rev()) {
            if change.revision <= revision {
                break;
            }
            let relevant =
                change.resource.as_ref() == resource && namespace.is_none_or(|want| want == change.namespace.as_ref());
            if !relevant {
                continue;
            }
            let key = (change.namespace.clone(), change.name.clone());
            match &change.before {
                Some(before) => state.insert(key, before.clone()),
                None => state.remove(&key),
            };
        }
        Some(state.into_values().collect())
    }

    /// Changes after a revision, oldest first. Call [`Store::compacted`] first to know whether the list is complete.
    pub(crate) fn changes_since(&self, revision: u64) -> impl Iterator<Item = &Change> {
        let skip = self.history.partition_point(|chunk| chunk.last().is_none_or(|last| last.revision <= revision));
        self.history.iter().skip(skip).flat_map(|chunk| chunk.iter()).filter(move |change| change.revision > revision)
    }

    /// Stores an object under the next revision, which is written into its metadata.
    pub(crate) fn put(&mut self, resource: &Arc<str>, namespace: &str, name: &str, mut json: Value) -> Change {
        self.revision += 1;
        set_revision(&mut json, self.revision);
        let after = Arc::new(Stored::new(json, self.revision));
        let table = Arc::make_mut(self.tables.entry(resource.clone()).or_default());
        let namespace: Arc<str> = match table.get_key_value(namespace) {
            Some((key, _)) => key.clone(),
            None => namespace.into(),
        };
        let names = Arc::make_mut(table.entry(namespace.clone()).or_default());
        let name: Arc<str> = match names.get_key_value(name) {
            Some((key, _)) => key.clone(),
            None => name.into(),
        };
        let before = names.insert(name.clone(), after.clone());
        let change = Change {
            revision: self.revision,
            resource: resource.clone(),
            namespace,
            name,
            before,
            after: Some(after),
            last: None,
        };
        self.remember(change.clone());
        change
    }

    /// Removes an object; `last` is its final state, shown to watchers under the removal's revision.
    pub(crate) fn remove(
        &mut self,
        resource: &Arc<str>,
        namespace: &str,
        name: &str,
        mut last: Value,
    ) -> Option<Change> {
        let table = self.tables.get_mut(resource)?;
        table.get(namespace)?.get(name)?;
        let table = Arc::make_mut(table);
        let names = Arc::make_mut(table.get_mut(namespace)?);
        let (name, before) = names.remove_entry(name)?;
        if names.is_empty() {
            table.remove(namespace);
        }
        self.revision += 1;
        set_revision(&mut last, self.revision);
        let change = Change {
            revision: self.revision,
            resource: resource.clone(),
            namespace: namespace.into(),
            name,
            before: Some(before),
            after: None,
            last: Some(Arc::new(Stored::new(last, self.revision))),
        };
        self.remember(change.clone());
        Some(change)
    }

    /// Forgets the changes up to a revision, as etcd's compaction does.
    pub(crate) fn compact(&mut self, revision: u64) {
        let revision = revision.min(self.revision);
        while let Some(front) = self.history.front_mut() {
            if front.last().is_some_and(|last| last.revision <= revision) {
                self.history_len = self.history_len.saturating_sub(front.len());
                self.history.pop_front();
                continue;
            }
            let chunk = Arc::make_mut(front);
            let before = chunk.len();
            chunk.retain(|change| change.revision > revision);
            self.history_len = self.history_len.saturating_sub(before - chunk.len());
            break;
        }
        self.compacted = self.compacted.max(revision);
    }

    fn remember(&mut self, change: Change) {
        match self.history.back_mut() {
            Some(chunk) if chunk.len() < CHUNK_LEN => Arc::make_mut(chunk).push(change),
            _ => {
                let mut chunk = Vec::with_capacity(CHUNK_LEN);
                chunk.push(change);
                self.history.push_back(Arc::new(chunk));
            }
        }
        self.history_len += 1;
        while self.history_len > self.history_max {
            let Some(chunk) = self.history.pop_front() else { break };
            self.history_len = self.history_len.saturating_sub(chunk.len());
            if let Some(last) = chunk.last() {
                self.compacted = self.compacted.max(last.revision);
            }
        }
    }
}

fn set_revision(json: &mut Value, revision: u64) {
    if let Some(metadata) = json.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.insert("resourceVersion".to_owned(), revision.to_string().into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn object(name: &str, value: i64) -> Value {
        json!({"metadata": {"name": name, "namespace": "qa"}, "value": value})
    }

    #[test]
    fn an_old_revision_is_listed_as_it_was() {
        let mut store = Store::new(1000);
        let pods: Arc<str> = "pods".into();
        let first = store.put(&pods, "qa", "a", object("a", 1)).revision;
        store.put(&pods, "qa", "b", object("b", 1));
        store.put(&pods, "qa", "a", object("a", 2));
        store.remove(&pods, "qa", "b", object("b", 1));
        let then = store.list_at("pods", Some("qa"), first).unwrap();
        assert_eq!(then.iter().map(|object| object.name()).collect::<Vec<_>>(), ["a"]);
        assert_eq!(then[0].at("/value"), Some(&json!(1)));
        assert_eq!(store.list_at("pods", None, first + 1).unwrap().len(), 2);
    }

    #[test]
    fn a_copy_does_not_see_later_writes() {
        let mut store = Store::new(1000);
        let pods: Arc<str> = "pods".into();
        store.put(&pods, "qa", "a", object("a", 1));
        let copy = store.clone();
        store.put(&pods, "qa", "a", object("a", 2));
        assert_eq!(copy.get("pods", "qa", "a").unwrap().at("/value"), Some(&json!(1)));
        assert_eq!(copy.changes_since(0).count(), 1);
        assert_eq!(store.changes_since(2).count(), 1);
    }

    #[test]
    fn compaction_forgets_old_changes_and_lists() {
        let mut store = Store::new(1000);
        let pods: Arc<str> = "pods".into();
        for value in 0..300 {
            store.put(&pods, "qa", "a", object("a", value));
        }
        store.compact(200);
        assert_eq!(store.compacted(), 200);
        assert!(store.list_at("pods", None, 199).is_none());
        assert_eq!(store.list_at("pods", None, 200).unwrap()[0].at("/value"), Some(&json!(198)));
        assert_eq!(store.changes_since(200).next().unwrap().revision, 201);
    }
}
