//! Paths inside a Git tree that may be written.

/// Why a path is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("path `{path}` is refused: {why}")]
pub struct TreePathError {
    /// The path, cut when long.
    pub path: String,
    /// What is wrong with it.
    pub why: &'static str,
}

/// Returns the path without `./` and a final slash, `""` for the root of the tree.
///
/// # Errors
/// When it leaves the tree, enters Git's own files or has characters that a shell or a terminal takes for others.
pub fn check_tree_path(path: &str) -> Result<String, TreePathError> {
    let fail = |why| TreePathError { path: path.chars().filter(|c| !c.is_control()).take(120).collect(), why };
    if path.len() > 1024 {
        return Err(fail("it is longer than 1024 bytes"));
    }
    if path.starts_with('/') {
        return Err(fail("it is absolute"));
    }
    if path.contains('\\') || path.chars().any(char::is_control) {
        return Err(fail("it has a backslash or a control character"));
    }
    let mut parts = Vec::new();
    for part in path.split('/').filter(|part| !part.is_empty() && *part != ".") {
        if part == ".." {
            return Err(fail("it leaves the tree"));
        }
        // File systems without case, and Git on Windows, take these for `.git`.
        let folded = part.to_ascii_lowercase();
        if folded.starts_with(".git") && folded != ".github" && folded != ".gitlab" || folded.starts_with("git~") {
            return Err(fail("it enters Git's own files"));
        }
        parts.push(part);
    }
    Ok(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_in_the_tree_are_taken_and_others_refused() {
        assert_eq!(check_tree_path("./environments//qa/").as_deref(), Ok("environments/qa"));
        assert_eq!(check_tree_path("").as_deref(), Ok(""));
        for (path, why) in [
            ("/etc", "it is absolute"),
            ("a/../..", "it leaves the tree"),
            ("a/.GIT/hooks", "it enters Git's own files"),
            ("a/git~1", "it enters Git's own files"),
            ("a\\b", "it has a backslash or a control character"),
            ("a\nb", "it has a backslash or a control character"),
        ] {
            assert_eq!(check_tree_path(path).map_err(|error| error.why), Err(why), "{path:?}");
        }
    }
}
