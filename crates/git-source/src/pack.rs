//! The pack format: objects on the wire, some as deltas of others. Every size is checked before memory is taken.

use std::collections::BTreeMap;
use std::io::Write as _;

use gix_zlib::{Compression, Inflate, Status};

use crate::id::GitId;
use crate::object::{GitObject, ObjectError, ObjectKind};
use crate::remote::TransferLimits;

/// Why a pack is refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PackError {
    #[error("the pack is malformed: {0}")]
    Malformed(&'static str),
    #[error("the pack has {found} {what}, more than the limit of {limit}")]
    TooLarge { what: &'static str, found: u64, limit: u64 },
    #[error("the pack needs object {0}, which is not there")]
    MissingBase(GitId),
    #[error(transparent)]
    Object(#[from] ObjectError),
}

const HASH_BYTES: usize = 20;

enum Raw {
    Whole(ObjectKind),
    OffsetDelta(usize),
    IdDelta(GitId),
}

struct RawEntry {
    offset: usize,
    raw: Raw,
    data: Vec<u8>,
}

/// Reads all objects of a pack. `base` finds an object that a delta leans on and that is not in the pack.
pub(crate) fn read_pack(
    pack: &[u8],
    limits: &TransferLimits,
    base: &dyn Fn(&GitId) -> Option<GitObject>,
) -> Result<Vec<GitObject>, PackError> {
    let entries = read_entries(pack, limits)?;
    Resolver::new(&entries, limits).resolve(base)
}

fn read_entries(pack: &[u8], limits: &TransferLimits) -> Result<Vec<RawEntry>, PackError> {
    use PackError::Malformed;
    let body_len = pack.len().checked_sub(HASH_BYTES).ok_or(Malformed("it is too short"))?;
    let (body, hash) = pack.split_at_checked(body_len).ok_or(Malformed("it is too short"))?;
    let mut hasher = gix_hash::hasher(gix_hash::Kind::Sha1);
    hasher.update(body);
    if hasher.try_finalize().ok().is_none_or(|id| id.as_slice() != hash) {
        return Err(Malformed("its checksum is wrong"));
    }
    let (head, _) = body.split_at_checked(12).ok_or(Malformed("it is too short"))?;
    let word = |at: usize| head.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map(u32::from_be_bytes);
    if !head.starts_with(b"PACK") || !matches!(word(4), Some(2 | 3)) {
        return Err(Malformed("its head is not that of a pack of version 2"));
    }
    let count = word(8).unwrap_or(0) as usize;
    if count > limits.objects_max {
        return Err(too_large("objects", count as u64, limits.objects_max as u64));
    }
    let mut inflate = Inflate::default();
    let mut entries = Vec::new();
    let (mut at, mut total) = (12, 0u64);
    for _ in 0..count {
        let offset = at;
        let (kind, size) = read_size(body, &mut at)?;
        if size > limits.object_bytes_max {
            return Err(too_large("bytes in one object", size, limits.object_bytes_max));
        }
        total += size;
        if total > limits.total_bytes_max {
            return Err(too_large("bytes", total, limits.total_bytes_max));
        }
        let raw = read_kind(body, &mut at, kind, offset)?;
        let data = inflate_at(&mut inflate, body, &mut at, size as usize)?;
        entries.push(RawEntry { offset, raw, data });
    }
    if at != body.len() {
        return Err(Malformed("it has bytes after its last object"));
    }
    Ok(entries)
}

fn too_large(what: &'static str, found: u64, limit: u64) -> PackError {
    PackError::TooLarge { what, found, limit }
}

fn next_byte(body: &[u8], at: &mut usize) -> Result<u8, PackError> {
    let byte = body.get(*at).copied().ok_or(PackError::Malformed("an object is cut off"))?;
    *at += 1;
    Ok(byte)
}

fn read_size(body: &[u8], at: &mut usize) -> Result<(u8, u64), PackError> {
    let mut byte = next_byte(body, at)?;
    let kind = byte >> 4 & 7;
    let mut size = u64::from(byte & 15);
    let mut shift = 4;
    while byte & 0x80 != 0 {
        byte = next_byte(body, at)?;
        if shift > 53 {
            return Err(PackError::Malformed("an object has an impossible size"));
        }
        size |= u64::from(byte & 0x7f) << shift;
        shift += 7;
    }
    Ok((kind, size))
}

fn read_kind(body: &[u8], at: &mut usize, kind: u8, offset: usize) -> Result<Raw, PackError> {
    Ok(match kind {
        1 => Raw::Whole(ObjectKind::Commit),
        2 => Raw::Whole(ObjectKind::Tree),
        3 => Raw::Whole(ObjectKind::Blob),
        4 => Raw::Whole(ObjectKind::Tag),
        6 => {
            let mut byte = next_byte(body, at)?;
            let mut back = usize::from(byte & 0x7f);
            while byte & 0x80 != 0 {
                byte = next_byte(body, at)?;
                let more = back.checked_add(1).and_then(|back| back.checked_mul(128));
                let more = more.filter(|more| *more <= body.len());
                back = more.ok_or(PackError::Malformed("a delta points before the pack"))? | usize::from(byte & 0x7f);
            }
            let base = offset.checked_sub(back).filter(|_| back > 0);
            Raw::OffsetDelta(base.ok_or(PackError::Malformed("a delta points before the pack"))?)
        }
        7 => {
            let id = body.get(*at..*at + HASH_BYTES).and_then(GitId::from_slice);
            *at += HASH_BYTES;
            Raw::IdDelta(id.ok_or(PackError::Malformed("an object is cut off"))?)
        }
        _ => return Err(PackError::Malformed("an object has an unknown kind")),
    })
}

fn inflate_at(inflate: &mut Inflate, body: &[u8], at: &mut usize, size: usize) -> Result<Vec<u8>, PackError> {
    let input = body.get(*at..).unwrap_or_default();
    // One byte more than promised shows a stream that is longer than it says.
    let mut data = vec![0; size + 1];
    inflate.reset();
    let (status, consumed, written) =
        inflate.once(input, &mut data).map_err(|_| PackError::Malformed("an object can't be inflated"))?;
    if status != Status::StreamEnd || written != size {
        return Err(PackError::Malformed("an object has not the size that it says"));
    }
    data.truncate(size);
    *at += consumed;
    Ok(data)
}

/// Turns deltas into objects, bases first, without recursion.
struct Resolver<'a> {
    entries: &'a [RawEntry],
    limits: &'a TransferLimits,
    by_offset: BTreeMap<usize, Vec<usize>>,
    by_id: BTreeMap<GitId, Vec<usize>>,
    objects: Vec<GitObject>,
    bytes: u64,
}

impl<'a> Resolver<'a> {
    fn new(entries: &'a [RawEntry], limits: &'a TransferLimits) -> Self {
        let mut by_offset: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        let mut by_id: BTreeMap<GitId, Vec<usize>> = BTreeMap::new();
        for (index, entry) in entries.iter().enumerate() {
            match entry.raw {
                Raw::Whole(_) => {}
                Raw::OffsetDelta(base) => by_offset.entry(base).or_default().push(index),
                Raw::IdDelta(base) => by_id.entry(base).or_default().push(index),
            }
        }
        Self { entries, limits, by_offset, by_id, objects: Vec::new(), bytes: 0 }
    }

    fn resolve(mut self, base: &dyn Fn(&GitId) -> Option<GitObject>) -> Result<Vec<GitObject>, PackError> {
        for entry in self.entries {
            if let Raw::Whole(kind) = entry.raw {
                let object = GitObject::new(kind, entry.data.as_slice())?;
                self.grow(Some(entry.offset), object)?;
            }
        }
        while let Some(id) = self.by_id.keys().next().copied() {
            let object = base(&id).ok_or(PackError::MissingBase(id))?;
            self.grow(None, object)?;
        }
        if !self.by_offset.is_empty() {
            return Err(PackError::Malformed("a delta points to no object"));
        }
        Ok(self.objects)
    }

    /// Takes an object and all deltas that lean on it, directly or not.
    fn grow(&mut self, offset: Option<usize>, object: GitObject) -> Result<(), PackError> {
        let mut pending = vec![(offset, object)];
        while let Some((offset, object)) = pending.pop() {
            let mut children = offset.and_then(|offset| self.by_offset.remove(&offset)).unwrap_or_default();
            children.extend(self.by_id.remove(&object.id()).unwrap_or_default());
            for child in children {
                let Some(entry) = self.entries.get(child) else { continue };
                let bytes = apply_delta(object.bytes(), &entry.data, self.limits.object_bytes_max)?;
                self.bytes += bytes.len() as u64;
                if self.bytes > self.limits.total_bytes_max {
                    return Err(too_large("bytes", self.bytes, self.limits.total_bytes_max));
                }
                pending.push((Some(entry.offset), GitObject::new(object.kind(), bytes)?));
            }
            if offset.is_some() {
                self.objects.push(object);
            }
        }
        Ok(())
    }
}

fn read_length(delta: &[u8], at: &mut usize) -> Result<u64, PackError> {
    let (mut length, mut shift) = (0, 0);
    loop {
        let byte = next_byte(delta, at)?;
        length |= u64::from(byte & 0x7f) << shift;
        shift += 7;
        if byte & 0x80 == 0 {
            return Ok(length);
        }
        if shift > 56 {
            return Err(PackError::Malformed("a delta has an impossible size"));
        }
    }
}

fn apply_delta(base: &[u8], delta: &[u8], bytes_max: u64) -> Result<Vec<u8>, PackError> {
    let mut at = 0;
    if read_length(delta, &mut at)? != base.len() as u64 {
        return Err(PackError::Malformed("a delta is of another base"));
    }
    let size = read_length(delta, &mut at)?;
    if size > bytes_max {
        return Err(too_large("bytes in one object", size, bytes_max));
    }
    let size = size as usize;
    let mut out = Vec::with_capacity(size);
    while at < delta.len() {
        let command = next_byte(delta, &mut at)?;
        let piece = if command & 0x80 != 0 {
            let (mut start, mut length) = (0usize, 0usize);
            for bit in 0..4 {
                if command & 1 << bit != 0 {
                    start |= usize::from(next_byte(delta, &mut at)?) << (8 * bit);
                }
            }
            for bit in 0..3 {
                if command & 0x10 << bit != 0 {
                    length |= usize::from(next_byte(delta, &mut at)?) << (8 * bit);
                }
            }
            let length = if length == 0 { 0x10000 } else { length };
            base.get(start..start.saturating_add(length)).ok_or(PackError::Malformed("a delta copies past its base"))?
        } else if command == 0 {
            return Err(PackError::Malformed("a delta has an unknown command"));
        } else {
            let end = at + usize::from(command);
            let piece = delta.get(at..end).ok_or(PackError::Malformed("a delta is cut off"))?;
            at = end;
            piece
        };
        if out.len() + piece.len() > size {
            return Err(PackError::Malformed("a delta is longer than it says"));
        }
        out.extend_from_slice(piece);
    }
    if out.len() != size {
        return Err(PackError::Malformed("a delta is shorter than it says"));
    }
    Ok(out)
}

/// Writes objects as a pack without deltas.
pub(crate) fn write_pack(objects: &[GitObject]) -> Result<Vec<u8>, PackError> {
    write_entries(objects, &mut |_, _, _| {})
}

/// As [`write_pack`]; tells `each` where every object begins and what its entry is.
pub(crate) fn write_entries(
    objects: &[GitObject],
    each: &mut dyn FnMut(&GitObject, usize, &[u8]),
) -> Result<Vec<u8>, PackError> {
    let count =
        u32::try_from(objects.len()).map_err(|_| too_large("objects", objects.len() as u64, u64::from(u32::MAX)))?;
    let mut pack = b"PACK\x00\x00\x00\x02".to_vec();
    pack.extend_from_slice(&count.to_be_bytes());
    for object in objects {
        let kind = match object.kind() {
            ObjectKind::Commit => 1,
            ObjectKind::Tree => 2,
            ObjectKind::Blob => 3,
            ObjectKind::Tag => 4,
        };
        let start = pack.len();
        write_size(&mut pack, kind, object.bytes().len() as u64);
        let mut deflate = gix_zlib::stream::deflate::Write::new(pack, Compression::BEST_SPEED);
        deflate.write_all(object.bytes()).and_then(|()| deflate.flush()).map_err(ObjectError::storage)?;
        pack = deflate.into_inner();
        each(object, start, pack.get(start..).unwrap_or_default());
    }
    seal(&mut pack)?;
    Ok(pack)
}

/// Appends the checksum of what is there.
pub(crate) fn seal(bytes: &mut Vec<u8>) -> Result<GitId, ObjectError> {
    let mut hasher = gix_hash::hasher(gix_hash::Kind::Sha1);
    hasher.update(bytes);
    let hash = hasher.try_finalize().map_err(ObjectError::storage)?;
    bytes.extend_from_slice(hash.as_slice());
    GitId::from_gix(&hash).ok_or_else(|| ObjectError::storage("the checksum is not of SHA-1"))
}

fn write_size(pack: &mut Vec<u8>, kind: u8, size: u64) {
    let mut byte = kind << 4 | (size & 15) as u8;
    let mut rest = size >> 4;
    while rest > 0 {
        pack.push(byte | 0x80);
        byte = (rest & 0x7f) as u8;
        rest >>= 7;
    }
    pack.push(byte);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blob(bytes: &[u8]) -> GitObject {
        GitObject::new(ObjectKind::Blob, bytes).unwrap()
    }

    fn read(pack: &[u8]) -> Result<Vec<GitObject>, String> {
        read_pack(pack, &TransferLimits::default(), &|_| None).map_err(|error| error.to_string())
    }

    /// Makes a pack of hand-made entries.
    fn sealed(count: u32, entries: &[u8]) -> Vec<u8> {
        let mut pack = b"PACK\x00\x00\x00\x02".to_vec();
        pack.extend_from_slice(&count.to_be_bytes());
        pack.extend_from_slice(entries);
        seal(&mut pack).unwrap();
        pack
    }

    fn entry(kind: u8, size: u64, middle: &[u8], content: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        write_size(&mut out, kind, size);
        out.extend_from_slice(middle);
        let mut deflate = gix_zlib::stream::deflate::Write::new(out, Compression::DEFAULT);
        deflate.write_all(content).unwrap();
        deflate.flush().unwrap();
        deflate.into_inner()
    }

    #[test]
    fn objects_read_back_from_a_pack() {
        let objects = vec![blob(b""), blob(b"x"), blob(&[b'y'; 100_000]), blob(&(0..=255).collect::<Vec<u8>>())];
        assert_eq!(read(&write_pack(&objects).unwrap()).unwrap(), objects);
        assert_eq!(read(&write_pack(&[]).unwrap()).unwrap(), []);
    }

    #[test]
    fn deltas_by_offset_and_by_id_are_resolved() {
        let base = blob(b"hello world");
        // Copy 6 bytes from 0, insert "there".
        let delta = b"\x0b\x0b\x90\x06\x05there";
        let whole = entry(3, 11, b"", b"hello world");
        let by_offset = entry(6, delta.len() as u64, &[u8::try_from(whole.len()).unwrap()], delta);
        let by_id = entry(7, delta.len() as u64, base.id().as_bytes(), delta);
        let pack = sealed(2, &[whole, by_offset].concat());
        assert_eq!(read(&pack).unwrap(), [base.clone(), blob(b"hello there")]);
        let thin = sealed(1, &by_id);
        assert_eq!(read(&thin).unwrap_err(), format!("the pack needs object {}, which is not there", base.id()));
        let objects = read_pack(&thin, &TransferLimits::default(), &|id| (*id == base.id()).then(|| base.clone()));
        assert_eq!(objects.unwrap(), [blob(b"hello there")]);
    }

    #[test]
    fn case_07_packs_that_attack_are_refused() {
        let good = write_pack(&[blob(b"x")]).unwrap();
        let mut wrong_checksum = good.clone();
        *wrong_checksum.last_mut().unwrap() ^= 1;
        let delta = |delta: &[u8]| {
            let whole = entry(3, 3, b"", b"abc");
            let by_offset = entry(6, delta.len() as u64, &[u8::try_from(whole.len()).unwrap()], delta);
            sealed(2, &[whole, by_offset].concat())
        };
        for (pack, why) in [
            (Vec::new(), "it is too short"),
            (good[..good.len() - 1].to_vec(), "its checksum is wrong"),
            (wrong_checksum, "its checksum is wrong"),
            (sealed(2, &entry(3, 1, b"", b"x")), "an object is cut off"),
            (sealed(1, &[entry(3, 1, b"", b"x"), vec![0]].concat()), "it has bytes after its last object"),
            (sealed(1, &entry(3, 1, b"", b"xyz")), "an object has not the size that it says"),
            (sealed(1, &entry(3, 5, b"", b"xyz")), "an object has not the size that it says"),
            (sealed(1, &entry(5, 1, b"", b"x")), "an object has an unknown kind"),
            (sealed(1, &entry(6, 1, &[5], b"x")), "a delta points to no object"),
            (sealed(1, &entry(6, 1, &[100], b"x")), "a delta points before the pack"),
            (sealed(1, &entry(6, 1, &[0], b"x")), "a delta points before the pack"),
            (
                sealed(1, &[0xb0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
                "an object has an impossible size",
            ),
            (delta(b"\x04\x01\x01x"), "a delta is of another base"),
            (delta(b"\x03\x02\x01x"), "a delta is shorter than it says"),
            (delta(b"\x03\x01\x02xy"), "a delta is longer than it says"),
            (delta(b"\x03\x09\x91\x01\x09"), "a delta copies past its base"),
            (delta(b"\x03\x01\x00"), "a delta has an unknown command"),
            (delta(b"\x03\x05\x05ab"), "a delta is cut off"),
        ] {
            assert_eq!(read(&pack).unwrap_err(), format!("the pack is malformed: {why}"));
        }
    }

    #[test]
    fn case_07_sizes_are_bounded_before_memory_is_taken() {
        let limits =
            TransferLimits { objects_max: 2, object_bytes_max: 1000, total_bytes_max: 1500, ..Default::default() };
        let read = |pack: &[u8]| read_pack(pack, &limits, &|_| None).unwrap_err().to_string();
        // A promise of a gigabyte in a few bytes.
        assert_eq!(
            read(&sealed(1, &entry(3, 1 << 30, b"", b"x"))),
            "the pack has 1073741824 bytes in one object, more than the limit of 1000"
        );
        assert_eq!(read(&sealed(3, b"")), "the pack has 3 objects, more than the limit of 2");
        let big = blob(&[0; 900]);
        let bigger = blob(&[1; 900]);
        assert_eq!(read(&write_pack(&[big, bigger]).unwrap()), "the pack has 1800 bytes, more than the limit of 1500");
        // A delta that promises a gigabyte.
        let bomb = [b"\x03".as_slice(), &[0x80, 0x80, 0x80, 0x80, 0x04], b"\x01x"].concat();
        let whole = entry(3, 3, b"", b"abc");
        let by_offset = entry(6, bomb.len() as u64, &[u8::try_from(whole.len()).unwrap()], &bomb);
        assert_eq!(
            read(&sealed(2, &[whole, by_offset].concat())),
            "the pack has 1073741824 bytes in one object, more than the limit of 1000"
        );
    }

    proptest::proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(entries: Vec<u8>, count in 0u32..4) {
            let _ = read(&sealed(count, &entries));
            let _ = apply_delta(b"abc", &entries, 1000);
        }
    }
}
