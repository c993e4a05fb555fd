//! Paths inside a source tree: slash-separated, relative to its root, never out of it.

/// Why a path is refused before anything is read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// The path begins at a root of its own.
    #[error("path `{path}` is absolute, paths are relative to the root of the tree")]
    Absolute {
        /// The path as given.
        path: String,
    },
    /// The path climbs above the root.
    #[error("path `{path}` leads out of the tree")]
    Outside {
        /// The path as given.
        path: String,
    },
    /// The path holds something no tree path has.
    #[error("path `{path}` holds {what}")]
    Malformed {
        /// The path as given, escaped.
        path: String,
        /// What is in it.
        what: &'static str,
    },
}

/// Longest path in bytes.
const PATH_BYTES_MAX: usize = 4096;

/// Brings a path into its one form: no empty, `.` or `..` parts, empty for the root.
///
/// ```
/// assert_eq!(manifest_render::normalize("./apps//qa/../e2e/").unwrap(), "apps/e2e");
/// assert!(manifest_render::normalize("apps/../../etc/passwd").is_err());
/// ```
///
/// # Errors
/// When the path is absolute, leads out of the tree, into `.git`, or holds NUL, a backslash or a drive letter.
pub fn normalize(path: &str) -> Result<String, PathError> {
    join("", path)
}

/// Resolves `path` against a directory that is already in its one form.
///
/// # Errors
/// As [`normalize`].
pub fn join(directory: &str, path: &str) -> Result<String, PathError> {
    check(path)?;
    let mut parts: Vec<&str> = directory.split('/').filter(|part| !part.is_empty()).collect();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                if parts.pop().is_none() {
                    return Err(PathError::Outside { path: path.to_owned() });
                }
            }
            part if part.eq_ignore_ascii_case(".git") => {
                return Err(PathError::Malformed { path: path.to_owned(), what: "a `.git` folder" });
            }
            part => parts.push(part),
        }
    }
    Ok(parts.join("/"))
}

fn check(path: &str) -> Result<(), PathError> {
    let malformed = |what| Err(PathError::Malformed { path: path.escape_debug().take(200).collect(), what });
    if path.len() > PATH_BYTES_MAX {
        return malformed("more than 4096 bytes");
    }
    if path.contains('\0') {
        return malformed("a NUL character");
    }
    if path.contains('\\') {
        return malformed("a backslash");
    }
    if path.starts_with('/') || path.starts_with('~') {
        return Err(PathError::Absolute { path: path.to_owned() });
    }
    if matches!(path.as_bytes(), [letter, b':', ..] if letter.is_ascii_alphabetic()) {
        return malformed("a drive letter");
    }
    Ok(())
}

/// The directory of a path and its last part.
pub(crate) fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_leave_the_tree_are_refused() {
        for path in ["../a", "a/../../b", "/etc/passwd", "~/x", "a\\b", "C:x", "a\0b", ".git/config", "a/.GIT/x"] {
            assert!(normalize(path).is_err(), "{path:?}");
        }
        assert!(normalize(&"a/".repeat(3000)).is_err());
    }

    #[test]
    fn odd_names_are_taken_literally() {
        for path in ["-rf", "%2e%2e/x", "a b", "..."] {
            assert_eq!(normalize(path).unwrap(), path);
        }
    }
}
