//! Compares what Git wants with what is live.
//!
//! Desired is a subset: a field that Git does not set is nobody's difference, unless our field manager still owns it on
//! the live object, in which case Git has stopped setting it and it goes. Lists are merged as the server merges them.
//! Inside an atomic list the server fills in defaults, so extra fields there count only when the list is not ours as
//! we left it: somebody else owns it now, or what we want differs from what we applied.

use object_model::Object;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::claims::Claims;
use crate::field_pointer::FieldPointer;
use crate::field_set::FieldSet;
use crate::ignore::IgnoreRule;
use crate::normalise::normalise;
use crate::walk::{Ground, Owners, walk};

/// One field that differs.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// The field as a JSON pointer; a list entry is named by its index in live, or in desired when live has none.
    pub pointer: String,
    /// The field as people write it: `spec.template.spec.containers[name=web].image`.
    pub path: String,
    /// What Git wants; `None` when the field goes.
    pub desired: Option<Value>,
    /// What is there; `None` when the field comes.
    pub live: Option<Value>,
}

/// The outcome of a comparison.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Comparison {
    /// What an apply would change, in the order of the fields.
    pub changes: Vec<Change>,
    /// Paths that differ but are left alone, because a claim or an ignore rule covers them.
    pub hidden: Vec<String>,
}

impl Comparison {
    /// Whether an apply would change nothing.
    pub fn is_in_sync(&self) -> bool {
        self.changes.is_empty()
    }
}

/// What is known of the last apply of this object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Applied {
    /// The desired object is what was applied last ([`applied_digest`] is equal).
    Same,
    /// It is another one.
    Other,
    /// It is not known.
    #[default]
    Unknown,
}

/// The settings of a comparison.
#[derive(Debug, Clone, Copy)]
pub struct CompareOptions<'a> {
    /// Our field manager, whose fields on live count as removed when Git no longer sets them.
    pub field_manager: &'a str,
    /// What is known of the last apply.
    pub applied: Applied,
    /// Fields that others drive.
    pub claims: &'a Claims,
    /// Fields that the user wants left alone.
    pub ignore: &'a [IgnoreRule],
}

/// Compares a desired object with the live one.
///
/// Values that are claimed should have been taken from live first ([`crate::take_claimed`]), so that what is compared
/// is what would be applied.
pub fn compare(desired: &Object, live: &Object, options: &CompareOptions<'_>) -> Comparison {
    let rules: Vec<&IgnoreRule> = options.ignore.iter().filter(|rule| rule.covers(live)).collect();
    let mut covered: Vec<&FieldPointer> = options.claims.pointers().collect();
    let ignored: Vec<FieldPointer> = rules.iter().flat_map(|rule| rule.places(desired, live)).collect();
    covered.extend(&ignored);
    let ignored_managers = FieldSet::of(live, |entry| {
        let manager = entry.get("manager").and_then(Value::as_str).unwrap_or_default();
        manager != options.field_manager && rules.iter().any(|rule| rule.managers.iter().any(|name| name == manager))
    });
    let all = FieldSet::of(live, |_| true);
    let ours = FieldSet::applied_by(live, options.field_manager);
    let (desired, live) = (normalise(desired), normalise(live));
    let ground = Ground { applied: options.applied, covered };
    let owners = Owners { all: all.as_ref(), ours: ours.as_ref(), theirs: ignored_managers.as_ref() };
    walk(&desired, &live, &ground, &owners)
}

/// Returns a digest of what is wanted, to be kept beside the object and told back as [`Applied`].
///
/// A Secret has none: a digest of a short secret can be guessed, and no field of a Secret needs it.
pub fn applied_digest(desired: &Object) -> Option<String> {
    if desired.kind() == "Secret" && desired.group().is_empty() {
        return None;
    }
    let mut hash = Sha256::new();
    hash_value(&normalise(desired).into_json(), &mut hash);
    let digest = hash.finalize();
    Some(digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect())
}

/// Feeds a value in an order that does not depend on how mappings are kept in memory.
fn hash_value(value: &Value, hash: &mut Sha256) {
    match value {
        Value::Object(map) => {
            let mut keys: Vec<&String> = map.keys().collect();
            keys.sort_unstable();
            hash.update(b"{");
            for key in keys {
                hash.update(Value::from(key.as_str()).to_string());
                if let Some(value) = map.get(key) {
                    hash_value(value, hash);
                    hash.update(b",");
                }
            }
            hash.update(b"}");
        }
        Value::Array(list) => {
            hash.update(b"[");
            for value in list {
                hash_value(value, hash);
                hash.update(b",");
            }
            hash.update(b"]");
        }
        scalar => hash.update(scalar.to_string()),
    }
}
