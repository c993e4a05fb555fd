//! The index beside a pack on disk: where each object begins, sorted by id.

use std::collections::BTreeMap;

use crate::id::GitId;
use crate::object::{GitObject, ObjectError};
use crate::pack::{PackError, seal, write_entries};

/// A pack and its index, as they lie on disk.
pub(crate) struct IndexedPack {
    pub(crate) pack: Vec<u8>,
    pub(crate) index: Vec<u8>,
    /// The checksum of the pack, which gives both files their name.
    pub(crate) name: String,
}

struct Place {
    offset: usize,
    checksum: u32,
}

/// Writes objects as a pack with its index; an object that is given twice is written once.
pub(crate) fn index_pack(objects: &[GitObject]) -> Result<IndexedPack, PackError> {
    let unique: BTreeMap<GitId, &GitObject> = objects.iter().map(|object| (object.id(), object)).collect();
    let unique: Vec<GitObject> = unique.into_values().cloned().collect();
    let mut places = BTreeMap::new();
    let pack = write_entries(&unique, &mut |object, offset, entry| {
        places.insert(object.id(), Place { offset, checksum: crc32fast::hash(entry) });
    })?;
    let trailer = pack.len().checked_sub(20).and_then(|at| pack.get(at..)).and_then(GitId::from_slice);
    let trailer = trailer.ok_or(PackError::Malformed("it is too short"))?;
    let index = write_index(&places, &trailer)?;
    Ok(IndexedPack { pack, index, name: trailer.to_string() })
}

fn write_index(places: &BTreeMap<GitId, Place>, pack: &GitId) -> Result<Vec<u8>, ObjectError> {
    /// Offsets from here on stand in a table of their own.
    const FAR: usize = 1 << 31;
    let mut index = b"\xfftOc\x00\x00\x00\x02".to_vec();
    for first in 0..=255u8 {
        let count = places.keys().filter(|id| id.as_bytes().first().is_some_and(|byte| *byte <= first)).count();
        index.extend_from_slice(&(count as u32).to_be_bytes());
    }
    places.keys().for_each(|id| index.extend_from_slice(id.as_bytes()));
    places.values().for_each(|place| index.extend_from_slice(&place.checksum.to_be_bytes()));
    let mut far = Vec::new();
    for place in places.values() {
        let near = if place.offset < FAR {
            place.offset as u32
        } else {
            far.push(place.offset as u64);
            FAR as u32 | (far.len() - 1) as u32
        };
        index.extend_from_slice(&near.to_be_bytes());
    }
    far.iter().for_each(|offset| index.extend_from_slice(&offset.to_be_bytes()));
    index.extend_from_slice(pack.as_bytes());
    seal(&mut index)?;
    Ok(index)
}
