//! Scenario files: where they are, and what their first lines say.

use std::path::{Path, PathBuf};

use script::Script;

/// The line among a scenario's first comments that puts it on the short list.
const SHORT: &str = "in the short list";

/// A scenario that has been read.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// The lines.
    pub script: Script,
    /// Whether it is on the short list, which is played for every change.
    pub is_short: bool,
}

impl Scenario {
    /// Reads a scenario from its text. Every verb is known before the first line is played.
    ///
    /// # Errors
    /// Names the file and the line.
    pub fn parse(name: &str, text: &str) -> Result<Self, String> {
        let script = Script::parse(name, text).map_err(|error| error.to_string())?;
        let known = crate::verbs::names();
        if let Some(call) = script.calls.iter().find(|call| !known.contains(&call.verb.as_str())) {
            return Err(format!("{name}:{}: unknown verb `{}`; known are {}", call.line, call.verb, known.join(", ")));
        }
        let is_short = script.about.lines().any(|line| line == SHORT);
        Ok(Self { script, is_short })
    }

    /// How many of its cases were over before a line.
    pub(super) fn passed_before(&self, line: usize) -> usize {
        self.script.cases.iter().filter(|case| case.line < line).count().saturating_sub(1)
    }

    /// Whether it is meant by a name: its own, or that of the folder that it lies in.
    pub fn is_called(&self, name: &str) -> bool {
        self.name() == name || self.name().split_once('/').is_some_and(|(folder, _)| folder == name)
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.script.name
    }
}

/// The folder of the project's fixtures.
pub fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures")
}

/// Every scenario of the project, in the order of names; those of a folder have its name before theirs.
///
/// # Errors
/// Names the file that cannot be read.
pub fn scenarios() -> Result<Vec<Scenario>, String> {
    let folder = fixtures().join("scenarios");
    let mut found = texts_in(&folder, "")?;
    for (path, name) in entries(&folder)? {
        // What several stories begin with is no story.
        if path.is_dir() && name != "parts" {
            found.extend(texts_in(&path, &format!("{name}/"))?);
        }
    }
    found.sort();
    let read = |(name, path): &(String, PathBuf)| {
        Scenario::parse(name, &std::fs::read_to_string(path).map_err(|error| unreadable(&error))?)
    };
    found.iter().map(read).collect()
}

/// The texts of one folder, by name.
fn texts_in(folder: &Path, prefix: &str) -> Result<Vec<(String, PathBuf)>, String> {
    let texts = entries(folder)?.into_iter().filter(|(path, _)| path.extension().is_some_and(|end| end == "txt"));
    Ok(texts.map(|(path, name)| (format!("{prefix}{}", name.trim_end_matches(".txt")), path)).collect())
}

fn entries(folder: &Path) -> Result<Vec<(PathBuf, String)>, String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(|error| unreadable(&error))? {
        let entry = entry.map_err(|error| unreadable(&error))?;
        found.push((entry.path(), entry.file_name().to_string_lossy().into_owned()));
    }
    Ok(found)
}

fn unreadable(error: &std::io::Error) -> String {
    format!("fixtures/scenarios: {error}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scenario_knows_its_list_and_refuses_unknown_verbs() {
        let scenario = Scenario::parse("a", "# Something.\n# in the short list\n\noperator start\n").unwrap();
        assert!(scenario.is_short);
        assert!(!Scenario::parse("a", "# Something.\noperator start\n").unwrap().is_short);
        let error = Scenario::parse("a", "operator start\n\nhope for the best\n").unwrap_err();
        assert!(error.starts_with("a:3: unknown verb `hope`; known are commit, git,"), "{error}");
    }
}
