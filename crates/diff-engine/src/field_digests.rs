//! Remembers which fields were applied, in few bytes and without their values.
//!
//! When somebody changes a field by hand, the server gives the field to them and `managedFields` says no more that it
//! was ours. The digests of the fields that we applied last stay on the object and still say so.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use object_model::Object;
use serde_json::Value;

use crate::compare::Comparison;
use crate::list_shape::{self, ListShape};
use crate::normalise::normalise;

/// More fields than this are not remembered: the text would weigh more than it is worth.
const FIELDS_MAX: usize = 2_048;
/// Deeper than any API type nests.
const DEPTH_MAX: usize = 128;

/// Returns a text that tells for every field whether the object sets it; `None` when it sets too many.
pub fn field_digests(object: &Object) -> Option<String> {
    let normal = normalise(object);
    let mut fields = Fields { kind: object.kind(), digests: Vec::new() };
    for (name, value) in normal.json() {
        if !matches!(name.as_str(), "apiVersion" | "kind") {
            fields.value(&label(name), &mut vec![name.as_str()], value, 0);
        }
    }
    let mut digests = fields.digests;
    if digests.len() > FIELDS_MAX {
        return None;
    }
    digests.sort_unstable();
    digests.dedup();
    let bytes: Vec<u8> = digests.into_iter().flat_map(u32::to_be_bytes).collect();
    Some(STANDARD_NO_PAD.encode(bytes))
}

/// Whether every live value that a comparison would change is one of a field that was applied before.
///
/// A field that is new on the object belongs to nobody, and one that goes was ours.
pub fn had_changed_fields(digests: &str, comparison: &Comparison) -> bool {
    let Ok(bytes) = STANDARD_NO_PAD.decode(digests) else { return false };
    let known: Vec<u32> =
        bytes.chunks_exact(4).filter_map(|chunk| chunk.try_into().ok()).map(u32::from_be_bytes).collect();
    let had = |path: &str| {
        let path = format!(".{}", path.trim_start_matches('.'));
        let ends = path.char_indices().skip(1).filter(|(_, c)| matches!(c, '.' | '[')).map(|(at, _)| at);
        let mut prefixes = ends.chain([path.len()]).filter_map(|end| path.get(..end));
        prefixes.any(|prefix| known.binary_search(&digest(prefix)).is_ok())
    };
    let contested = comparison.changes.iter().filter(|change| change.live.is_some() && change.desired.is_some());
    contested.into_iter().all(|change| had(&change.path))
}

struct Fields<'a> {
    kind: &'a str,
    digests: Vec<u32>,
}

impl<'a> Fields<'a> {
    fn value(&mut self, path: &str, names: &mut Vec<&'a str>, value: &'a Value, depth: usize) {
        if depth > DEPTH_MAX || self.digests.len() > FIELDS_MAX {
            return;
        }
        match value {
            Value::Object(map) if !map.is_empty() && !self.is_atomic(names) => {
                for (name, below) in map {
                    names.push(name);
                    self.value(&format!("{path}{}", label(name)), names, below, depth + 1);
                    names.pop();
                }
            }
            Value::Array(list) => self.list(path, names, list, depth),
            _ => self.digests.push(digest(path)),
        }
    }

    fn list(&mut self, path: &str, names: &mut Vec<&'a str>, list: &'a [Value], depth: usize) {
        let shape = match names.split_last() {
            Some((field, parents)) => list_shape::known_shape(self.kind, parents, field),
            None => ListShape::Atomic,
        };
        let keys = match &shape {
            ListShape::Keyed(keys) => list_shape::unique_keys(list, keys),
            ListShape::Set | ListShape::Atomic => None,
        };
        let Some(keys) = keys else { return self.digests.push(digest(path)) };
        for (entry, key) in list.iter().zip(keys) {
            let pairs: Vec<String> = key.iter().map(|(name, value)| format!("{name}={}", plain(value))).collect();
            self.value(&format!("{path}[{}]", pairs.join(",")), names, entry, depth + 1);
        }
    }

    fn is_atomic(&self, names: &[&str]) -> bool {
        names.split_last().is_some_and(|(field, parents)| list_shape::is_atomic_map(self.kind, parents, field))
    }
}

/// A field as comparisons write it.
fn label(name: &str) -> String {
    if name.contains(['.', '/']) { format!("[{name}]") } else { format!(".{name}") }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// FNV-1a.
fn digest(path: &str) -> u32 {
    path.bytes().fold(0x811c_9dc5, |hash: u32, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::claims::Claims;
    use crate::compare::{Applied, CompareOptions, compare};
    use serde_json::json;

    fn deployment(image: &str, replicas: Option<u32>, annotation: Option<&str>) -> Object {
        let mut object = Object::parse(json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
            "spec": {"template": {"spec": {"containers": [{"name": "web", "image": image, "args": ["a"]}]}}},
        }))
        .unwrap();
        if let Some(replicas) = replicas {
            object.set_at(&["spec", "replicas"], replicas.into());
        }
        if let Some(annotation) = annotation {
            object.set_annotation("example.com/note", annotation);
        }
        object
    }

    fn was_ours(applied: &Object, desired: &Object, live: &Object) -> bool {
        let claims = Claims::default();
        let options = CompareOptions { field_manager: "sluice", applied: Applied::Other, claims: &claims, ignore: &[] };
        had_changed_fields(&field_digests(applied).unwrap(), &compare(desired, live, &options))
    }

    #[test]
    fn a_field_that_was_applied_is_known_and_another_one_is_not() {
        let applied = deployment("v1", None, Some("x"));
        let by_hand = deployment("hot-fix", None, Some("x"));
        assert!(was_ours(&applied, &deployment("v2", None, Some("x")), &by_hand), "the image was ours");
        assert!(was_ours(&applied, &deployment("v2", Some(3), Some("y")), &by_hand), "a new field is nobody's");
        let scaled = deployment("v1", Some(7), Some("x"));
        assert!(!was_ours(&applied, &deployment("v1", Some(3), Some("x")), &scaled), "replicas never were");
        let noted = deployment("v1", None, Some("by hand"));
        assert!(was_ours(&applied, &deployment("v1", None, Some("z")), &noted), "names with dots are names");
        assert!(!was_ours(&deployment("v1", None, None), &deployment("v1", None, Some("z")), &noted));
    }

    #[test]
    fn what_is_no_digest_knows_nothing() {
        let comparison = Comparison {
            changes: vec![crate::Change {
                pointer: "/data/a".to_owned(),
                path: "data.a".to_owned(),
                desired: Some(json!("1")),
                live: Some(json!("2")),
            }],
            hidden: Vec::new(),
        };
        assert!(!had_changed_fields("%%%", &comparison) && !had_changed_fields("", &comparison));
    }
}
