//! Names of operations that are the same on every try.

use std::fmt;

use object_model::Uid;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// The idempotency key of one operation, made from what the operation is, never from chance, so that a repeat after a
/// crash names the same commit, branch and pull request.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OperationId(String);

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const LENGTH: usize = 26;
const LENGTH_MAX: usize = 64;

impl OperationId {
    /// The operation of a Promotion: its spec never changes, so one life of it is one operation, named by its uid.
    pub fn of_promotion(uid: &Uid) -> Self {
        Self(uid.as_str().to_owned())
    }

    /// An operation that no object stands for, named by any parts in 26 characters; their number and order count.
    pub fn of_parts(parts: &[&str]) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            // The length keeps ["ab", "c"] and ["a", "bc"] apart.
            hash.update(part.len().to_be_bytes());
            hash.update(part.as_bytes());
        }
        let digest = hash.finalize();
        let letter = |byte: &u8| ALPHABET.get(usize::from(byte & 31)).copied().map(char::from);
        Self(digest.iter().take(LENGTH).filter_map(letter).collect())
    }

    /// Reads an id back: letters, digits and `-`, at most 64.
    pub fn parse(text: &str) -> Option<Self> {
        let is_id = (1..=LENGTH_MAX).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        is_id.then(|| Self(text.to_owned()))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for OperationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operation_has_one_id_and_two_have_two() {
        let uid = Uid::new("p1");
        let first = OperationId::of_promotion(&uid);
        assert_eq!(first, OperationId::of_promotion(&uid));
        assert_eq!(OperationId::parse(first.as_str()), Some(first.clone()));
        assert_ne!(first, OperationId::of_promotion(&Uid::new("p2")));
        assert_ne!(OperationId::of_parts(&["ab", "c"]), OperationId::of_parts(&["a", "bc"]));
        for text in ["", "two words", "a\nb", &"x".repeat(65)] {
            assert_eq!(OperationId::parse(text), None, "{text:?}");
        }
    }
}
