//! Paths inside a repository: relative, plain, and safe to hand to any other tool.

use std::fmt;

/// Why a path is refused before anything is read or written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("path `{path}` is refused: {why}")]
pub struct PathError {
    /// The path as given, control characters escaped, cut to 200 characters.
    pub path: String,
    /// What is wrong with it.
    pub why: &'static str,
}

/// A path from the root of a tree; the empty one is the root itself.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct RepositoryPath(String);

const PATH_BYTES_MAX: usize = 4096;
const NAME_BYTES_MAX: usize = 255;

impl RepositoryPath {
    /// The root of the tree.
    pub fn root() -> Self {
        Self::default()
    }

    /// Reads a path; a leading `./`, a trailing `/` and a lone `.` are understood.
    ///
    /// # Errors
    /// When it is absolute, leaves the tree, names Git's own files or would mean something else on another system.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        let fail = |why| PathError { path: text.escape_debug().take(200).collect(), why };
        if text.len() > PATH_BYTES_MAX {
            return Err(fail("it is longer than 4096 bytes"));
        }
        if text.starts_with('/') {
            return Err(fail("it is absolute"));
        }
        let plain = text.strip_prefix("./").unwrap_or(text);
        let plain = plain.strip_suffix('/').unwrap_or(plain);
        if plain.is_empty() || plain == "." {
            return Ok(Self::root());
        }
        plain.split('/').try_for_each(|name| check_name(name).map_err(fail))?;
        Ok(Self(plain.to_owned()))
    }

    /// The path as text, without slashes at its ends.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is the root of the tree.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// The names on the way from the root.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.split('/').filter(|name| !name.is_empty())
    }

    /// Whether `self` is `parent` or lies under it.
    pub fn is_within(&self, parent: &Self) -> bool {
        parent.is_root() || self.0.strip_prefix(&parent.0).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

impl fmt::Display for RepositoryPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_root() { "." } else { &self.0 })
    }
}

/// Checks one name of a path.
pub(crate) fn check_name(name: &str) -> Result<(), &'static str> {
    match name {
        "" => return Err("it has an empty name between slashes"),
        "." => return Err("it has a `.` inside"),
        ".." => return Err("it has a `..`"),
        _ => {}
    }
    if name.len() > NAME_BYTES_MAX {
        return Err("it has a name longer than 255 bytes");
    }
    if name.chars().any(char::is_control) {
        return Err("it has a control character");
    }
    if name.contains(['\\', '/']) {
        return Err("it has a slash or backslash inside a name");
    }
    if name.as_bytes().get(1) == Some(&b':') && name.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return Err("it begins with a drive letter");
    }
    let lower = name.to_ascii_lowercase();
    if ["%2e%2e", "%2f", "%5c", "%00", ".%2e", "%2e."].iter().any(|coded| lower.contains(coded)) {
        return Err("it hides a separator or `..` in percent codes");
    }
    if is_git_name(&lower) {
        return Err("it names Git's own files");
    }
    Ok(())
}

/// Whether some file system would take the name for `.git`.
fn is_git_name(lower: &str) -> bool {
    let visible: String = lower.chars().filter(|c| !is_ignored_by_hfs(*c)).collect();
    let stem = visible.split(':').next().unwrap_or_default();
    let trimmed = stem.trim_end_matches(['.', ' ']);
    matches!(trimmed, ".git" | "git~1")
}

fn is_ignored_by_hfs(c: char) -> bool {
    matches!(c, '\u{200c}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{206a}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_paths_read_as_they_stand() {
        for (text, path) in [
            ("", ""),
            (".", ""),
            ("./", ""),
            ("apps/qa", "apps/qa"),
            ("./apps/qa/", "apps/qa"),
            ("-rf", "-rf"),
            (".gitignore", ".gitignore"),
            ("a/.github/x.yaml", "a/.github/x.yaml"),
            ("100%.txt", "100%.txt"),
        ] {
            assert_eq!(RepositoryPath::parse(text).unwrap().as_str(), path, "{text}");
        }
    }

    #[test]
    fn case_03_paths_that_leave_the_tree_or_name_git_are_refused_with_the_reason() {
        for (text, why) in [
            ("/etc/passwd", "it is absolute"),
            ("../x", "it has a `..`"),
            ("a/../../b", "it has a `..`"),
            ("a/./b", "it has a `.` inside"),
            ("a//b", "it has an empty name between slashes"),
            ("a\\b", "it has a slash or backslash inside a name"),
            ("a\0b", "it has a control character"),
            ("a\nb", "it has a control character"),
            ("C:/x", "it begins with a drive letter"),
            ("%2e%2e/x", "it hides a separator or `..` in percent codes"),
            ("a%2Fb", "it hides a separator or `..` in percent codes"),
            (".git/config", "it names Git's own files"),
            ("a/.GIT/config", "it names Git's own files"),
            ("a/.git. /x", "it names Git's own files"),
            ("GIT~1/x", "it names Git's own files"),
            (".g\u{200c}it/x", "it names Git's own files"),
        ] {
            assert_eq!(RepositoryPath::parse(text).unwrap_err().why, why, "{text:?}");
        }
        assert_eq!(RepositoryPath::parse(&"a/".repeat(2100)).unwrap_err().why, "it is longer than 4096 bytes");
    }

    #[test]
    fn a_path_lies_within_its_parents_only() {
        let path = |text| RepositoryPath::parse(text).unwrap();
        assert!(path("apps/qa").is_within(&path("apps")));
        assert!(path("apps").is_within(&path("apps")));
        assert!(path("apps").is_within(&RepositoryPath::root()));
        assert!(!path("apps2/qa").is_within(&path("apps")));
    }
}
