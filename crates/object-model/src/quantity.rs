//! Numbers and names that must not be mixed up.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A share that is not between 0 and its total.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("weight {weight} is outside 0..={total}")]
pub struct WeightError {
    /// The share as given.
    pub weight: i64,
    /// The total it is a share of.
    pub total: u32,
}

/// An integer share of traffic sent to the canary, of a total (100 unless stated).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Weight(u32);

impl Weight {
    /// No traffic.
    pub const ZERO: Self = Self(0);
    /// All traffic, of the usual total of 100.
    pub const FULL: Self = Self(100);

    /// Takes a share of 100.
    ///
    /// # Errors
    /// When it is outside 0..=100.
    pub fn new(weight: i64) -> Result<Self, WeightError> {
        Self::of(weight, 100)
    }

    /// Takes a share of `total`.
    ///
    /// # Errors
    /// When it is outside 0..=total.
    pub fn of(weight: i64, total: u32) -> Result<Self, WeightError> {
        match u32::try_from(weight) {
            Ok(value) if value <= total => Ok(Self(value)),
            _ => Err(WeightError { weight, total }),
        }
    }

    /// The share that something has of `total`, all of it when it claims more.
    #[must_use]
    pub fn capped(weight: u32, total: u32) -> Self {
        Self(weight.min(total))
    }

    /// The share as a number.
    pub fn get(self) -> u32 {
        self.0
    }

    /// What is left for the stable version.
    #[must_use]
    pub fn complement(self, total: u32) -> Self {
        Self(total.saturating_sub(self.0))
    }
}

impl fmt::Display for Weight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// A count of pods; never negative.
pub type Replicas = u32;

/// The hash that labels one pod template of a workload (`rollouts-pod-template-hash`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PodHash(String);

impl PodHash {
    /// Takes the hash as it stands in the label.
    pub fn new(hash: &str) -> Self {
        Self(hash.to_owned())
    }

    /// The hash as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PodHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The counter of a Rollout's templates: 1, 2, 3, ...
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RolloutRevision(pub u64);

impl fmt::Display for RolloutRevision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// A commit on a branch, written `branch@sha`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct GitRevision {
    /// The branch, tag or other name by which the commit was found.
    pub reference: String,
    /// The full hexadecimal id of the commit.
    pub commit: String,
}

impl GitRevision {
    /// Takes a reference name and a commit id.
    pub fn new(reference: &str, commit: &str) -> Self {
        Self { reference: reference.to_owned(), commit: commit.to_owned() }
    }

    /// Reads `branch@sha`.
    pub fn parse(text: &str) -> Option<Self> {
        let (reference, commit) = text.rsplit_once('@')?;
        (!commit.is_empty()).then(|| Self::new(reference, commit))
    }

    /// The first eight digits of the commit, for people.
    pub fn short(&self) -> &str {
        self.commit.get(..8).unwrap_or(&self.commit)
    }
}

impl fmt::Display for GitRevision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.reference, self.commit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_weight_outside_its_total_is_refused() {
        assert_eq!(Weight::new(101).unwrap_err().to_string(), "weight 101 is outside 0..=100");
        assert_eq!(Weight::new(20).unwrap().complement(100).get(), 80);
    }

    #[test]
    fn a_git_revision_reads_back() {
        let revision = GitRevision::new("feature@x", "0123456789abcdef");
        assert_eq!(GitRevision::parse(&revision.to_string()), Some(revision));
    }
}
