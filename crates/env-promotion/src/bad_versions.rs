//! Versions that were taken back, so that no automatism tries them again.

use object_model::{Timestamp, format_time};
use serde::{Deserialize, Serialize};

use crate::version::Version;

/// One version that was taken back in one environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BadVersion {
    /// The version.
    pub version: Version,
    /// The environment.
    pub env: String,
    /// The commit that brought it there.
    pub commit: String,
    /// Why it was taken back.
    pub reason: String,
    /// When, as `metav1.Time`.
    pub since: String,
}

/// More entries than a status should carry; the oldest go first.
const ENTRIES_MAX: usize = 100;

impl BadVersion {
    /// Whether it blocks a version in an environment.
    pub fn blocks(&self, env: &str, version: &Version) -> bool {
        self.env == env && self.version.is_same(version)
    }
}

/// Records that versions were taken back. What is recorded already keeps its first time and reason.
pub fn record_bad(
    mut list: Vec<BadVersion>,
    env: &str,
    versions: &[Version],
    commit: &str,
    reason: &str,
    now: Timestamp,
) -> Vec<BadVersion> {
    for version in versions {
        if list.iter().any(|bad| bad.blocks(env, version)) {
            continue;
        }
        list.push(BadVersion {
            version: version.clone(),
            env: env.to_owned(),
            commit: commit.to_owned(),
            reason: crate::trailers::one_line(reason, 500),
            since: format_time(now),
        });
    }
    let surplus = list.len().saturating_sub(ENTRIES_MAX);
    list.drain(..surplus);
    list
}

/// Forgets the entries that a success has outdated: a version that is newer than the bad one is now healthy in the same
/// environment. A version that can't be compared outdates nothing.
pub fn forget_outdated(list: Vec<BadVersion>, env: &str, healthy: &[Version]) -> Vec<BadVersion> {
    let is_outdated = |bad: &BadVersion| {
        let is_newer = |version: &&Version| version.compare_tags(&bad.version) == Some(std::cmp::Ordering::Greater);
        bad.env == env
            && healthy.iter().filter(|version| version.name == bad.version.name).any(|version| is_newer(&version))
    };
    list.into_iter().filter(|bad| !is_outdated(bad)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gates::{GateResult, bad_version_gate};

    fn version(text: &str) -> Version {
        Version::parse(text).unwrap()
    }

    fn bad() -> Vec<BadVersion> {
        record_bad(
            Vec::new(),
            "qa",
            &[version("web=1.3.0")],
            "abcd1234",
            "success-rate\nfailed",
            "2026-01-01T00:00:00Z".parse().unwrap(),
        )
    }

    #[test]
    fn a_version_that_was_taken_back_is_not_tried_again_there() {
        let gate = bad_version_gate(&bad(), "qa", &[version("web=1.3.0")], None);
        assert_eq!(
            (gate.result, gate.evidence.as_str()),
            (GateResult::Failed, "web=1.3.0 was taken back in qa (abcd1234): success-rate failed")
        );
        assert_eq!(bad_version_gate(&bad(), "e2e", &[version("web=1.3.0")], None).result, GateResult::Passed);
        assert_eq!(bad_version_gate(&bad(), "qa", &[version("web=1.3.1")], None).result, GateResult::Passed);
        let overridden = bad_version_gate(&bad(), "qa", &[version("web=1.3.0")], Some("ann"));
        assert_eq!((overridden.result, overridden.evidence.starts_with("ann overrides")), (GateResult::Passed, true));
    }

    #[test]
    fn a_newer_healthy_version_ends_the_entry_and_an_older_one_does_not() {
        assert!(forget_outdated(bad(), "qa", &[version("web=1.3.1")]).is_empty());
        assert_eq!(forget_outdated(bad(), "qa", &[version("web=1.2.9")]).len(), 1);
        assert_eq!(forget_outdated(bad(), "qa", &[version("api=2.0.0")]).len(), 1);
        assert_eq!(forget_outdated(bad(), "prod", &[version("web=1.3.1")]).len(), 1);
        assert_eq!(forget_outdated(bad(), "qa", &[version("web=latest")]).len(), 1);
    }

    #[test]
    fn the_list_is_bounded_and_keeps_the_first_reason() {
        let now: Timestamp = "2026-01-02T00:00:00Z".parse().unwrap();
        let again = record_bad(bad(), "qa", &[version("web=1.3.0")], "ffff0000", "other", now);
        assert_eq!(again, bad());
        let many: Vec<Version> = (0..150).map(|patch| version(&format!("web=2.0.{patch}"))).collect();
        let list = record_bad(bad(), "qa", &many, "c", "r", now);
        assert_eq!((list.len(), list.last().map(|bad| bad.version.clone())), (100, many.last().cloned()));
    }
}
