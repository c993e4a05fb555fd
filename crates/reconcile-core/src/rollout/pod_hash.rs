//! The hash that names a pod template.

use object_model::PodHash;
use serde_json::Value;

use crate::patch::{canonical, fnv32, safe_encode};

/// Returns the hash of a pod template for a new ReplicaSet: Kubernetes' encoding of FNV-1a 32 over the canonical JSON of the
/// template as written, with the collision count behind it.
///
/// It depends on nothing but the manifest, so no upgrade of a library can rename a version. ReplicaSets that others
/// labelled keep their labels.
pub fn pod_hash(template: &Value, collision_count: Option<u32>) -> PodHash {
    let mut bytes = canonical(template).into_bytes();
    if let Some(count) = collision_count {
        bytes.extend_from_slice(&count.to_le_bytes());
        bytes.extend_from_slice(&[0; 4]);
    }
    PodHash::new(&safe_encode(&fnv32(&bytes).to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_order_of_keys_does_not_matter_and_a_collision_does() {
        let one = pod_hash(&json!({"a": 1, "b": 2}), None);
        let two: Value = serde_json::from_str(r#"{"b":2,"a":1}"#).unwrap();
        assert_eq!(one, pod_hash(&two, None));
        assert_ne!(one, pod_hash(&two, Some(1)));
    }
}
