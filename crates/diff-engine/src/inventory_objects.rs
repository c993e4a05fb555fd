//! Keeps an inventory in objects of our own kind, in chunks that no API server limit cuts.
//!
//! An entry's chunk follows from a hash of its id, so one more object changes one chunk. When the number of chunks
//! changes, entries move: then the union is written first and what moved away is dropped after, so that a crash between
//! two writes loses no entry.

use std::collections::BTreeMap;

use object_model::{Object, ObjectError};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::inventory::{ConfigIdentity, Entry, Inventory};

/// Kind of the objects that hold an inventory.
pub const INVENTORY_KIND: &str = "Inventory";

/// The label that names the config of an inventory object.
pub const INVENTORY_CONFIG_LABEL: &str = "sluice.dev/config";

/// Entries in one object, unless told otherwise: about 250 kB.
pub const ENTRIES_PER_CHUNK: usize = 1000;

/// An inventory of a million entries; more is refused by splitting no further.
const CHUNKS_MAX: usize = 1024;

/// Why an inventory can't be read back.
#[derive(Debug, thiserror::Error)]
pub enum ReadInventoryError {
    /// An entry of a chunk is malformed.
    #[error("entry {index} of inventory `{name}` can't be read")]
    Entry {
        /// The inventory object.
        name: String,
        /// The place of the entry.
        index: usize,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// An object has no list of entries.
    #[error("inventory `{name}` has no `spec.entries` list")]
    NoEntries {
        /// The inventory object.
        name: String,
    },
    /// An object could not be built.
    #[error("inventory `{name}` is not an object")]
    Object {
        /// The inventory object.
        name: String,
        /// What is wrong with it.
        source: ObjectError,
    },
}

/// The writes that bring stored chunks to an inventory.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ChunkPlan {
    /// Write these first; afterwards every entry is stored.
    pub write: Vec<Object>,
    /// Write these once all of `write` are stored: entries that moved to another chunk are dropped.
    pub shrink: Vec<Object>,
    /// Delete these chunks at the end.
    pub delete: Vec<String>,
}

impl ChunkPlan {
    /// Whether the stored chunks already say it.
    pub fn is_empty(&self) -> bool {
        self.write.is_empty() && self.shrink.is_empty() && self.delete.is_empty()
    }
}

/// Reads the inventory of a config from its chunks. An entry that is found twice (a move was cut short) counts once.
///
/// # Errors
/// When a chunk is malformed: a half-read inventory must not look like a small one.
pub fn read_inventory<'a>(chunks: impl IntoIterator<Item = &'a Object>) -> Result<Inventory, ReadInventoryError> {
    let mut entries = Vec::new();
    for chunk in chunks {
        let name = chunk.name().to_owned();
        let Some(Value::Array(list)) = chunk.pointer("/spec/entries") else {
            return Err(ReadInventoryError::NoEntries { name });
        };
        for (index, entry) in list.iter().enumerate() {
            let entry: Entry = serde_json::from_value(entry.clone()).map_err(|source| ReadInventoryError::Entry {
                name: name.clone(),
                index,
                source,
            })?;
            entries.push(entry);
        }
    }
    Ok(Inventory::new(entries))
}

/// Plans the writes from the stored chunks to `inventory`, at most `entries_max` entries in each.
///
/// # Errors
/// When an entry can't be written as JSON.
pub fn plan_chunks<'a>(
    stored: impl IntoIterator<Item = &'a Object>,
    inventory: &Inventory,
    config: &ConfigIdentity,
    entries_max: usize,
) -> Result<ChunkPlan, ReadInventoryError> {
    let wanted = split(inventory, config, entries_max)?;
    let stored: BTreeMap<&str, &Object> = stored.into_iter().map(|object| (object.name(), object)).collect();
    let mut plan = ChunkPlan::default();
    let moves = !stored.is_empty() && stored.len() != wanted.len();
    for (name, entries) in &wanted {
        let before = stored.get(name.as_str()).map(|object| object.list_at("/spec/entries"));
        if before == Some(entries.as_slice()) {
            continue;
        }
        let target = chunk(config, name, entries)?;
        let kept: Vec<Value> = match before {
            Some(before) if moves => {
                before.iter().filter(|entry| still_known(entry, inventory, entries)).cloned().collect()
            }
            _ => Vec::new(),
        };
        if kept.is_empty() {
            plan.write.push(target);
        } else {
            let union: Vec<Value> = entries.iter().chain(&kept).cloned().collect();
            plan.write.push(chunk(config, name, &union)?);
            plan.shrink.push(target);
        }
    }
    plan.delete = stored.keys().filter(|name| !wanted.contains_key(**name)).map(|name| (*name).to_owned()).collect();
    Ok(plan)
}

/// An entry of the stored chunk that moves to another chunk of the same inventory.
fn still_known(stored: &Value, inventory: &Inventory, here: &[Value]) -> bool {
    let Ok(entry) = serde_json::from_value::<Entry>(stored.clone()) else { return false };
    let stays = here
        .iter()
        .any(|value| ["group", "kind", "namespace", "name"].iter().all(|field| value.get(field) == stored.get(field)));
    !stays && inventory.get(&entry.id).is_some()
}

/// The entries of each chunk by its name. There is always one chunk, so that an empty inventory is a stored fact.
fn split(
    inventory: &Inventory,
    config: &ConfigIdentity,
    entries_max: usize,
) -> Result<BTreeMap<String, Vec<Value>>, ReadInventoryError> {
    let entries: Vec<&Entry> = inventory.iter().collect();
    let mut count = 1;
    while count < CHUNKS_MAX && largest(&entries, count) > entries_max.max(1) {
        count *= 2;
    }
    let names: Vec<String> = (0..count).map(|index| chunk_name(config, index)).collect();
    let mut chunks: BTreeMap<String, Vec<Value>> = names.iter().map(|name| (name.clone(), Vec::new())).collect();
    for entry in entries {
        let Some(name) = names.get(bucket(entry, count)) else { continue };
        let value = serde_json::to_value(entry).map_err(|source| ReadInventoryError::Entry {
            name: name.clone(),
            index: 0,
            source,
        })?;
        chunks.entry(name.clone()).or_default().push(value);
    }
    Ok(chunks)
}

fn largest(entries: &[&Entry], count: usize) -> usize {
    let mut sizes: BTreeMap<usize, usize> = BTreeMap::new();
    for entry in entries {
        *sizes.entry(bucket(entry, count)).or_default() += 1;
    }
    sizes.values().copied().max().unwrap_or(0)
}

fn bucket(entry: &Entry, count: usize) -> usize {
    let digest = Sha256::digest(entry.id.to_string());
    let head = digest.iter().take(4).fold(0_usize, |sum, byte| (sum << 8) | usize::from(*byte));
    head % count.max(1)
}

/// The name of one chunk: it follows from the config's name and uid and the chunk's number.
fn chunk_name(config: &ConfigIdentity, index: usize) -> String {
    let digest = Sha256::digest(config.uid.as_str());
    let tag: String = digest.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    // 253 is the limit of a name; a name is ASCII, so any byte is a boundary.
    let stem = config.name.get(..200).unwrap_or(&config.name);
    format!("{stem}-{tag}-{index}")
}

fn chunk(config: &ConfigIdentity, name: &str, entries: &[Value]) -> Result<Object, ReadInventoryError> {
    let config_label = config.name.get(..63).unwrap_or(&config.name);
    Object::parse(json!({
        "apiVersion": config.api_version,
        "kind": INVENTORY_KIND,
        "metadata": {
            "name": name,
            "namespace": config.namespace,
            "labels": {INVENTORY_CONFIG_LABEL: config_label},
            "ownerReferences": [{
                "apiVersion": config.api_version, "kind": config.kind, "name": config.name, "uid": config.uid.as_str(),
                "controller": true,
            }],
        },
        "spec": {"config": config.name, "entries": entries},
    }))
    .map_err(|source| ReadInventoryError::Object { name: name.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inventory::EntryState;
    use object_model::{ObjectId, Uid};

    fn config() -> ConfigIdentity {
        ConfigIdentity {
            api_version: "sluice.dev/v1alpha1".to_owned(),
            kind: "GitOpsConfig".to_owned(),
            namespace: "default".to_owned(),
            name: "shop".to_owned(),
            uid: Uid::new("c1"),
        }
    }

    fn inventory(count: usize) -> Inventory {
        Inventory::new((0..count).map(|index| Entry {
            id: ObjectId::new("", "ConfigMap", Some("qa"), &format!("m{index}")),
            version: "v1".to_owned(),
            operation: "op1".to_owned(),
            state: if index % 2 == 0 { EntryState::Intended } else { EntryState::Owned { uid: Uid::new("u") } },
            wave: 0,
            since: "2026-01-01T00:00:00Z".to_owned(),
        }))
    }

    #[test]
    fn an_inventory_reads_back_from_its_chunks() {
        let inventory = inventory(25);
        let plan = plan_chunks([], &inventory, &config(), 10).unwrap();
        assert_eq!(plan.write.len(), 8);
        assert!(plan.write.iter().all(|chunk| chunk.list_at("/spec/entries").len() <= 10));
        assert_eq!(read_inventory(&plan.write).unwrap(), inventory);
        assert!(plan_chunks(&plan.write, &inventory, &config(), 10).unwrap().is_empty());
    }

    #[test]
    fn one_more_object_changes_one_chunk() {
        let before = plan_chunks([], &inventory(25), &config(), 10).unwrap().write;
        let plan = plan_chunks(&before, &inventory(26), &config(), 10).unwrap();
        assert_eq!((plan.write.len(), plan.shrink.len(), plan.delete.len()), (1, 0, 0));
    }

    #[test]
    fn every_prefix_of_a_move_still_holds_every_entry() {
        for (from, to) in [(9, 25), (25, 9), (25, 80)] {
            let mut stored: BTreeMap<String, Object> = plan_chunks([], &inventory(from), &config(), 10)
                .unwrap()
                .write
                .into_iter()
                .map(|chunk| (chunk.name().to_owned(), chunk))
                .collect();
            let plan = plan_chunks(stored.values(), &inventory(to), &config(), 10).unwrap();
            let kept = inventory(from.min(to));
            for (step, chunk) in plan.write.iter().chain(&plan.shrink).enumerate() {
                stored.insert(chunk.name().to_owned(), chunk.clone());
                let read = read_inventory(stored.values()).unwrap();
                assert!(kept.iter().all(|entry| read.get(&entry.id) == Some(entry)), "{from} to {to}, step {step}");
            }
            for name in &plan.delete {
                stored.remove(name);
                let read = read_inventory(stored.values()).unwrap();
                assert!(kept.iter().all(|entry| read.get(&entry.id) == Some(entry)), "{from} to {to}, delete {name}");
            }
            assert_eq!(read_inventory(stored.values()).unwrap(), inventory(to));
        }
    }

    #[test]
    fn a_malformed_entry_is_an_error_and_not_a_smaller_inventory() {
        let mut chunk = plan_chunks([], &inventory(1), &config(), 10).unwrap().write.remove(0);
        chunk.set_at(&["spec", "entries"], json!([{"kind": "ConfigMap"}]));
        let error = read_inventory([&chunk]).unwrap_err();
        assert!(error.to_string().starts_with("entry 0 of inventory `shop-"), "{error}");
    }
}
