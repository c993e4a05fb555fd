//! The cases of the security table that concern Git, rendering, webhooks, tenancy and apply: each has automated tests, whose
//! names begin with its number. This is the table, and what checks it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use crate::sources;

/// The number of a case, and what it is about.
const CASES: &[(u32, &str)] = &[
    (1, "symbolic links to files of this machine or of another application"),
    (2, "chains and circles of links; a link that is swapped between two looks"),
    (3, "paths that leave the tree, in every spelling"),
    (4, "names that clash by case or composition, look like options, or are very long"),
    (5, "addresses and submodules that would run something"),
    (6, "credentials in the address of a repository"),
    (7, "huge blobs, many files, deep trees, bombs of deltas, broken packs"),
    (8, "bombs of YAML, odd encodings, tags that others would run"),
    (9, "numbers and words that readers of YAML disagree about"),
    (10, "templates that never end or grow without end"),
    (11, "sources that would read the environment, files, the network, the clock or chance"),
    (12, "features of charts that run or fetch something"),
    (13, "hostile archives"),
    (14, "manifests of powerful kinds"),
    (15, "manifests for other namespaces, foreign owners, forged marks of ownership"),
    (16, "references to Secrets of other namespaces, repositories of other credentials"),
    (17, "ServiceAccounts of others"),
    (18, "kubeconfigs that run something"),
    (19, "webhooks without the right proof"),
    (20, "webhooks that come again, in floods, or too large"),
    (22, "webhooks about look-alike repositories"),
    (27, "Secrets in texts of every kind"),
    (28, "Secrets in differences"),
    (30, "malformed annotations and statuses of objects"),
    (31, "extreme values in specs"),
    (32, "forged statuses"),
    (36, "names and messages of commits that would be more than that"),
    (37, "targets of edits that are no plain files or not plainly one"),
    (39, "commits that are unsigned, wrongly signed, or older signed ones"),
    (41, "shared and cleared ownership of fields, in large numbers"),
    (44, "stolen Leases and late writes"),
];

/// The tests of each case: where they are, and their names.
type Found = BTreeMap<u32, Vec<(PathBuf, String)>>;

/// Prints the table, and fails when a case has no test.
pub(crate) fn command() -> Result<()> {
    let found = found()?;
    for (number, about) in CASES {
        println!("{number:>2}  {about}");
        for (path, name) in found.get(number).into_iter().flatten() {
            println!("    {}: {name}", path.display());
        }
    }
    let problems = problems(&found);
    if !problems.is_empty() {
        bail!("{}", problems.join("\n"));
    }
    Ok(())
}

fn found() -> Result<Found> {
    let mut found = Found::new();
    for path in sources::files()? {
        if path.extension().is_none_or(|extension| extension != "rs") {
            continue;
        }
        let Some(text) = sources::text(&path)? else { continue };
        for (number, name) in tests_in(&path, &text) {
            found.entry(number).or_default().push((path.clone(), name));
        }
    }
    Ok(found)
}

fn tests_in(path: &Path, text: &str) -> Vec<(u32, String)> {
    if path.starts_with("xtask") {
        return Vec::new();
    }
    let name = |line: &str| {
        let (_, rest) = line.split_once("fn case_")?;
        let (number, rest) = rest.split_once('_')?;
        let words = rest.split('(').next()?;
        Some((number.parse().ok()?, format!("case_{number}_{words}")))
    };
    text.lines().filter_map(name).collect()
}

fn problems(found: &Found) -> Vec<String> {
    let untested = CASES.iter().filter(|(number, _)| !found.contains_key(number));
    let unknown = found.iter().filter(|(number, _)| !CASES.iter().any(|(known, _)| known == *number));
    untested
        .map(|(number, about)| format!("case {number} has no test: {about}"))
        .chain(unknown.map(|(number, tests)| format!("case {number} is in no table: {tests:?}")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_case_of_the_table_has_a_test() {
        let problems = problems(&found().expect("the sources can be read"));
        assert!(problems.is_empty(), "\n{}", problems.join("\n"));
    }

    #[test]
    fn a_test_is_found_by_its_number() {
        let text = "#[test]\n    fn case_07_packs_are_refused() {\nfn other() {\nasync fn case_39_signed() {";
        let expected = vec![(7, "case_07_packs_are_refused".to_owned()), (39, "case_39_signed".to_owned())];
        assert_eq!(tests_in(Path::new("crates/a/src/lib.rs"), text), expected);
    }
}
