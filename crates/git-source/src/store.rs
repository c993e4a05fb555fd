//! An object database in memory whose clone costs nothing and is an independent world.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::id::GitId;
use crate::object::GitObject;

type Shard = BTreeMap<GitId, GitObject>;

/// Objects in 256 shared shards: a clone copies pointers, a later write copies only the shard it falls into.
#[derive(Debug, Clone)]
pub(crate) struct MemoryStore {
    shards: Vec<Arc<Shard>>,
    bytes: u64,
}

impl Default for MemoryStore {
    fn default() -> Self {
        let empty = Arc::new(Shard::new());
        Self { shards: vec![empty; 256], bytes: 0 }
    }
}

impl MemoryStore {
    pub(crate) fn find(&self, id: &GitId) -> Option<&GitObject> {
        self.shards.get(id.shard())?.get(id)
    }

    pub(crate) fn insert(&mut self, object: GitObject) {
        if self.find(&object.id()).is_some() {
            return;
        }
        if let Some(shard) = self.shards.get_mut(object.id().shard()) {
            self.bytes += object.bytes().len() as u64;
            Arc::make_mut(shard).insert(object.id(), object);
        }
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(crate) fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.len()).sum()
    }

    /// Keeps only the objects that `keep` accepts.
    pub(crate) fn retain(&mut self, keep: impl Fn(&GitId) -> bool) {
        for shard in &mut self.shards {
            if shard.keys().any(|id| !keep(id)) {
                Arc::make_mut(shard).retain(|id, _| keep(id));
            }
        }
        self.bytes = self.shards.iter().flat_map(|shard| shard.values()).map(|o| o.bytes().len() as u64).sum();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::ObjectKind;

    #[test]
    fn a_clone_does_not_see_later_writes() {
        let object = |text: &str| GitObject::new(ObjectKind::Blob, text.as_bytes().to_vec()).unwrap();
        let mut first = MemoryStore::default();
        first.insert(object("one"));
        let second = first.clone();
        first.insert(object("two"));
        first.insert(object("two"));
        assert_eq!((first.len(), first.bytes()), (2, 6));
        assert_eq!((second.len(), second.bytes()), (1, 3));
        first.retain(|id| *id == object("two").id());
        assert_eq!((first.len(), first.bytes()), (1, 3));
    }
}
