//! Reads the project's own text files: all that Git knows or would add, so that ignored files stay out.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::run;

/// Returns the paths of all files of the work tree that are not ignored, relative to the root, in order.
pub(crate) fn files() -> Result<Vec<PathBuf>> {
    let listed = run::output(
        std::process::Command::new("git")
            .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
            .current_dir(run::root()),
    )?;
    let mut files: Vec<PathBuf> = listed.split('\0').filter(|path| !path.is_empty()).map(PathBuf::from).collect();
    files.retain(|path| run::root().join(path).is_file());
    files.sort();
    files.dedup();
    Ok(files)
}

/// Returns the text of a file, or none where it is not text.
pub(crate) fn text(path: &Path) -> Result<Option<String>> {
    let bytes = std::fs::read(run::root().join(path)).with_context(|| format!("failed to read {}", path.display()))?;
    Ok(String::from_utf8(bytes).ok())
}

/// Returns the part of a Rust file in front of its unit tests.
pub(crate) fn without_tests(text: &str) -> &str {
    text.split_once("\n#[cfg(test)]\nmod ").map_or(text, |(before, _)| before)
}
