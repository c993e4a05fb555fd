//! The tables of GitOps stories name the cases that show what they promise: a case that is renamed or gone is found here.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::Result;

use crate::run;

const SCENARIOS: &str = "fixtures/scenarios";
/// Its tables stand below this line; their last column names stories.
const TABLES: &str = "## Loss stories";
/// The faults of GitOps that have a number.
const NUMBERED: u32 = 13;

/// Returns each story that a table names and that is not there, and each number that no row has.
pub(crate) fn problems() -> Result<Vec<String>> {
    let mut cases = BTreeMap::new();
    read_cases(&run::root().join(SCENARIOS), &mut cases)?;
    let page = std::fs::read_to_string(run::root().join(SCENARIOS).join("gitops/README.md"))?;
    Ok(missing(&page, &cases))
}

/// The names of all cases by the name of the file.
fn read_cases(folder: &Path, cases: &mut BTreeMap<String, BTreeSet<String>>) -> Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            read_cases(&path, cases)?;
        } else if path.extension().is_some_and(|extension| extension == "txt") {
            let name = path.file_stem().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            let text = std::fs::read_to_string(&path)?;
            let found = text.lines().filter_map(|line| line.strip_prefix("## ")).map(str::to_owned);
            cases.entry(name).or_default().extend(found);
        }
    }
    Ok(())
}

fn missing(page: &str, cases: &BTreeMap<String, BTreeSet<String>>) -> Vec<String> {
    let tables = page.split_once(TABLES).map_or("", |(_, tables)| tables);
    let rows = tables.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
    let rows: Vec<Vec<&str>> = rows.map(|row| row.split(" | ").collect()).collect();
    let mut problems = Vec::new();
    for row in &rows {
        let stories = row.last().copied().unwrap_or_default();
        if stories != "story" {
            problems.extend(stories.split("; ").flat_map(|part| missing_of(part, cases)));
        }
    }
    for number in (1..=NUMBERED).map(|number| format!("G{number}")) {
        if !rows.iter().any(|row| row.first() == Some(&number.as_str())) {
            problems.push(format!("{SCENARIOS}/gitops/README.md: no row for {number}"));
        }
    }
    problems
}

/// What is missing of `FILE, FILE: "a case", G1`.
fn missing_of(part: &str, cases: &BTreeMap<String, BTreeSet<String>>) -> Vec<String> {
    let (files, names) = part.split_once(": ").unwrap_or((part, ""));
    let is_of_crates = |file: &str| file.starts_with("crates/") || file == "crash";
    let mut problems = Vec::new();
    let mut known: Vec<&String> = Vec::new();
    if files.split(", ").all(is_of_crates) {
        // What such a file plays is told in words: its cases are functions, and have no such names.
        return problems;
    }
    for file in files.split(", ").filter(|file| !is_of_crates(file)) {
        match cases.get(file) {
            Some(names) => known.extend(names),
            None => problems.push(format!("{SCENARIOS}/gitops/README.md names `{file}`, and there is no such file")),
        }
    }
    let quoted = names.split('"').skip(1).step_by(2);
    let is_number = |word: &&str| word.strip_prefix('G').is_some_and(|rest| rest.parse::<u32>().is_ok());
    let unquoted = names.split('"').step_by(2).flat_map(|text| text.split([',', ' '])).filter(is_number);
    for name in quoted.chain(unquoted) {
        let starts = |case: &&&String| case.strip_prefix(name).is_some_and(|rest| !rest.starts_with(char::is_numeric));
        if !known.iter().any(|case| starts(&case) || (!is_number(&name) && case.contains(name))) {
            problems.push(format!("{SCENARIOS}/gitops/README.md names \"{name}\", and {files} has no such case"));
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cases() -> BTreeMap<String, BTreeSet<String>> {
        let of = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        BTreeMap::from([("loss".to_owned(), of(&["G11: a hook", "an object stays"])), ("prune".to_owned(), of(&[]))])
    }

    #[test]
    fn a_case_is_found_by_its_number_or_by_how_it_begins() {
        for part in ["loss: G11", "loss: \"an object\"", "prune", "crash: G3 and more", "prune, loss: \"a hook\", G11"]
        {
            assert!(missing_of(part, &cases()).is_empty(), "{part}");
        }
    }

    #[test]
    fn a_case_or_file_that_is_not_there_is_told() {
        for part in ["loss: G1", "loss: \"an object goes\"", "pruning", "prune: \"an object\""] {
            assert_eq!(missing_of(part, &cases()).len(), 1, "{part}");
        }
    }

    #[test]
    fn every_number_needs_a_row() {
        let page = format!("{TABLES}\n| number | fault | story |\n|---|---|---|\n| G11 | hooks | loss: G11 |\n");
        assert_eq!(missing(&page, &cases()).len(), 12);
    }
}
