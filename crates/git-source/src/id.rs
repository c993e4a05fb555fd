//! The id of a Git object: twenty bytes, written as forty hexadecimal digits.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The SHA-1 id of a commit, tree, blob or tag.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct GitId([u8; 20]);

/// The id of a commit.
pub type CommitId = GitId;

/// The id of a tree.
pub type TreeId = GitId;

/// A text is not a full object id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not an object id of forty hexadecimal digits")]
pub struct GitIdError {
    /// The text as given, cut to 80 characters.
    pub text: String,
}

impl GitId {
    /// The id of all zeros, by which the protocol says "no object".
    pub const ZERO: Self = Self([0; 20]);

    /// Takes the twenty bytes of an id.
    pub fn from_bytes(bytes: [u8; 20]) -> Self {
        Self(bytes)
    }

    /// Takes an id from a slice of exactly twenty bytes.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// Reads forty hexadecimal digits.
    ///
    /// # Errors
    /// When the text is anything else; an abbreviated id is refused.
    pub fn parse(text: &str) -> Result<Self, GitIdError> {
        Self::from_hex(text.as_bytes()).ok_or_else(|| GitIdError { text: text.chars().take(80).collect() })
    }

    pub(crate) fn from_hex(hex: &[u8]) -> Option<Self> {
        if hex.len() != 40 {
            return None;
        }
        let mut bytes = [0; 20];
        for (byte, pair) in bytes.iter_mut().zip(hex.chunks_exact(2)) {
            let [high, low] = pair else { return None };
            *byte = nibble(*high)? << 4 | nibble(*low)?;
        }
        Some(Self(bytes))
    }

    /// The twenty bytes.
    pub fn as_bytes(&self) -> &[u8; 20] {
        &self.0
    }

    /// Whether this is the id of all zeros.
    pub fn is_zero(&self) -> bool {
        *self == Self::ZERO
    }

    /// The first eight digits, for people.
    pub fn short(&self) -> String {
        self.to_string().chars().take(8).collect()
    }

    pub(crate) fn shard(&self) -> usize {
        let [first, ..] = self.0;
        usize::from(first)
    }

    pub(crate) fn to_gix(self) -> gix_hash::ObjectId {
        gix_hash::ObjectId::Sha1(self.0)
    }

    pub(crate) fn from_gix(id: &gix_hash::oid) -> Option<Self> {
        Self::from_slice(id.as_bytes())
    }
}

fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

impl fmt::Display for GitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for GitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for GitId {
    type Err = GitIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl TryFrom<String> for GitId {
    type Error = GitIdError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

impl From<GitId> for String {
    fn from(id: GitId) -> Self {
        id.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_back_and_anything_else_is_refused() {
        let text = "0123456789abcdef0123456789abcdef01234567";
        assert_eq!(GitId::parse(text).unwrap().to_string(), text);
        assert_eq!(GitId::parse(&text.to_uppercase()).unwrap().to_string(), text);
        for bad in ["", "0123", &text[1..], &format!("{text}0"), "g123456789abcdef0123456789abcdef01234567"] {
            assert!(GitId::parse(bad).is_err(), "{bad}");
        }
    }
}
