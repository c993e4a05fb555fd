//! The texts of our commits, for people first.

use std::fmt::Write as _;

use crate::trailers::{Trailers, one_line};
use crate::version::Version;

/// Git tools cut a subject that is longer.
const SUBJECT_MAX: usize = 72;

/// More paths than a person reads.
const PATHS_MAX: usize = 20;

/// What is longer is cut, in bytes.
const CONFIG_MAX: usize = 253;
const COMMIT_MAX: usize = 64;
const REASON_MAX: usize = 500;
const PATH_MAX: usize = 300;

/// What a promotion's commit tells.
#[derive(Debug, Clone, Copy)]
pub struct PromotionMessage<'a> {
    /// The environment that is written.
    pub env: &'a str,
    /// The environment that the versions come from.
    pub from: Option<&'a str>,
    /// Each version that changes, with what was there before where that is known.
    pub changes: &'a [(Option<Version>, Version)],
    /// The trailers.
    pub trailers: &'a Trailers,
}

/// Returns the message of a commit that promotes versions.
pub fn promotion_message(message: &PromotionMessage<'_>) -> String {
    let name = |version: &Version| format!("{} {}", version.name, shown(version));
    let from = message.from.map(|from| format!(" from {from}")).unwrap_or_default();
    let subject = match message.changes {
        [(_, only)] => format!("Promote {}{from} to {}", name(only), message.env),
        many => format!("Promote {} versions{from} to {}", many.len(), message.env),
    };
    let mut text = one_line(&subject, SUBJECT_MAX);
    text.push_str("\n\n");
    for (before, after) in message.changes {
        let before = before.as_ref().map(|before| format!("{} -> ", shown(before))).unwrap_or_default();
        let _ = writeln!(text, "{}: {before}{}", after.name, shown(after));
    }
    with_trailers(text, message.trailers)
}

/// What a restoring commit tells.
#[derive(Debug, Clone, Copy)]
pub struct RestoringMessage<'a> {
    /// The config whose paths are restored.
    pub config: &'a str,
    /// The commit that failed.
    pub bad_commit: &'a str,
    /// The commit that is restored.
    pub good_commit: &'a str,
    /// Why it counts as failed, such as the message of an analysis.
    pub reason: &'a str,
    /// The paths that are restored.
    pub paths: &'a [String],
    /// The trailers.
    pub trailers: &'a Trailers,
}

/// Returns the message of a commit that restores paths after a failed one.
pub fn restoring_message(message: &RestoringMessage<'_>) -> String {
    let config = one_line(message.config, CONFIG_MAX);
    let bad = one_line(message.bad_commit, COMMIT_MAX);
    let mut text = one_line(&format!("Roll back {config} to {}", short(message.good_commit)), SUBJECT_MAX);
    let _ = write!(text, "\n\nThis reverts commit {bad} in the paths that {config} renders from.");
    let _ = write!(text, "\nCommit {} failed: {}\n\nPaths:\n", short(&bad), one_line(message.reason, REASON_MAX));
    for path in message.paths.iter().take(PATHS_MAX) {
        let _ = writeln!(text, "  {}", one_line(path, PATH_MAX));
    }
    if message.paths.len() > PATHS_MAX {
        let _ = writeln!(text, "  and {} more", message.paths.len() - PATHS_MAX);
    }
    with_trailers(text, message.trailers)
}

/// As much of a commit id as people read.
fn short(commit: &str) -> &str {
    commit.get(..12).unwrap_or(commit)
}

fn with_trailers(mut text: String, trailers: &Trailers) -> String {
    let trailers = trailers.to_text();
    if !trailers.is_empty() {
        let _ = write!(text, "\n{trailers}\n");
    }
    text
}

/// The tag, or the head of the digest when there is no tag.
fn shown(version: &Version) -> String {
    match (&version.tag, &version.digest) {
        (Some(tag), _) => tag.clone(),
        (None, Some(digest)) => digest.chars().take(19).collect(),
        (None, None) => "(none)".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operation::OperationId;
    use crate::trailers::Action;

    #[test]
    fn a_promotion_tells_what_changes() {
        let version = |text: &str| Version::parse(text).unwrap();
        let trailers = Trailers {
            operation: Some(OperationId::of_parts(&["x"])),
            action: Some(Action::Promote),
            env: Some("e2e".to_owned()),
            versions: vec![version("web=1.2.4")],
            ..Trailers::default()
        };
        let changes = [(Some(version("web=1.2.3")), version("web=1.2.4"))];
        let message = PromotionMessage { env: "e2e", from: Some("qa"), changes: &changes, trailers: &trailers };
        insta::assert_snapshot!(promotion_message(&message), @r"
        Promote web 1.2.4 from qa to e2e

        web: 1.2.3 -> 1.2.4

        Sluice-Operation: 2fdnrsfwhcq0q4rfey4p9xt2zx
        Sluice-Action: promote
        Sluice-Env: e2e
        Sluice-Version: web=1.2.4
        ");
    }

    #[test]
    fn a_restoring_commit_names_the_bad_one_the_reason_and_the_paths() {
        let bad = "0123456789abcdef0123456789abcdef01234567";
        let trailers =
            Trailers { reverts: Some(bad.to_owned()), action: Some(Action::Rollback), ..Trailers::default() };
        let paths: Vec<String> = (0..22).map(|index| format!("environments/qa/file{index}.yaml")).collect();
        let message = RestoringMessage {
            config: "guestbook",
            bad_commit: bad,
            good_commit: "89abcdef0123456789abcdef0123456789abcdef",
            reason: "metric success-rate\nassessed Failed\n\nSluice-Env: prod",
            paths: paths.get(19..).unwrap(),
            trailers: &trailers,
        };
        insta::assert_snapshot!(restoring_message(&message), @r"
        Roll back guestbook to 89abcdef0123

        This reverts commit 0123456789abcdef0123456789abcdef01234567 in the paths that guestbook renders from.
        Commit 0123456789ab failed: metric success-rate assessed Failed Sluice-Env: prod

        Paths:
          environments/qa/file19.yaml
          environments/qa/file20.yaml
          environments/qa/file21.yaml

        Sluice-Action: rollback
        Sluice-Reverts: 0123456789abcdef0123456789abcdef01234567
        ");
        let many = restoring_message(&RestoringMessage { paths: &paths, ..message });
        assert!(many.contains("  and 2 more\n"), "{many}");
        assert_eq!(Trailers::parse(&many).0, trailers);
    }
}
