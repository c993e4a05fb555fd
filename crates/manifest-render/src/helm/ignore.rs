//! `.helmignore`: which files of a folder are no part of the chart.

use super::go_text::base;
use super::pattern::{PatternError, matches};

/// Longest line that is read.
const LINE_BYTES_MAX: usize = 64 * 1024;

/// The rules of one folder, the first match decides.
#[derive(Debug, Default)]
pub(crate) struct IgnoreRules {
    rules: Vec<Rule>,
}

#[derive(Debug)]
struct Rule {
    pattern: String,
    is_negated: bool,
    is_for_folders: bool,
    scope: Scope,
    form: Form,
}

/// How much of a pattern can be compared without matching: nearly every rule is held against every file in vain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// There is nothing special in it.
    Literal,
    /// A star, and nothing special behind it.
    StarFirst,
    /// This many bytes stand before the first special character.
    Prefix(usize),
}

impl Form {
    fn of(pattern: &str) -> Self {
        const SPECIAL: [char; 4] = ['*', '?', '[', '\\'];
        match pattern.find(SPECIAL) {
            None => Self::Literal,
            Some(0) if pattern.strip_prefix('*').is_some_and(|rest| !rest.contains(SPECIAL)) => Self::StarFirst,
            Some(length) => Self::Prefix(length),
        }
    }
}

/// What a pattern is held against.
#[derive(Debug, PartialEq, Eq)]
enum Scope {
    Path,
    Name,
}

/// What a path stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ignored {
    File,
    Folder,
}

impl IgnoreRules {
    /// Reads the rules of a file; the error is Helm's message.
    pub(crate) fn parse(text: &[u8]) -> Result<Self, String> {
        let mut rules = Self::default();
        let text = text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(text);
        for line in text.split(|byte| *byte == b'\n') {
            if line.len() > LINE_BYTES_MAX {
                return Err("bufio.Scanner: token too long".to_owned());
            }
            rules.add(&String::from_utf8_lossy(line))?;
        }
        Ok(rules)
    }

    /// The rule that always holds: dot files among the templates are left out.
    pub(crate) fn with_defaults(mut self) -> Self {
        let pattern = "templates/.?*".to_owned();
        let form = Form::of(&pattern);
        self.rules.push(Rule { pattern, is_negated: false, is_for_folders: false, scope: Scope::Path, form });
        self
    }

    fn add(&mut self, line: &str) -> Result<(), String> {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            return Ok(());
        }
        if line.contains("**") {
            return Err("double-star (**) syntax is not supported".to_owned());
        }
        matches(line, "abc").map_err(|error: PatternError| error.to_string())?;
        let (is_negated, pattern) = line.strip_prefix('!').map_or((false, line), |rest| (true, rest));
        let (is_for_folders, pattern) = pattern.strip_suffix('/').map_or((false, pattern), |rest| (true, rest));
        let (scope, pattern) = match pattern.strip_prefix('/') {
            Some(rest) => (Scope::Path, rest),
            None if pattern.contains('/') => (Scope::Path, pattern),
            None => (Scope::Name, pattern),
        };
        let form = Form::of(pattern);
        self.rules.push(Rule { pattern: pattern.to_owned(), is_negated, is_for_folders, scope, form });
        Ok(())
    }

    /// Whether a path, relative to the folder of the rules, is left out.
    pub(crate) fn ignores(&self, path: &str, kind: Ignored) -> bool {
        if matches!(path, "" | "." | "./") {
            return false;
        }
        for rule in &self.rules {
            let is_wrong_kind = rule.is_for_folders && kind == Ignored::File;
            if rule.is_negated {
                if is_wrong_kind || !rule.is_match(path) {
                    return true;
                }
            } else if !is_wrong_kind && rule.is_match(path) {
                return true;
            }
        }
        false
    }
}

impl Rule {
    fn is_match(&self, path: &str) -> bool {
        let name = if self.scope == Scope::Name { base(path) } else { path };
        match self.form {
            Form::Literal => self.pattern == name,
            Form::StarFirst => {
                let tail = self.pattern.get(1..).unwrap_or_default();
                name.strip_suffix(tail).is_some_and(|starred| !starred.contains('/'))
            }
            Form::Prefix(length) => {
                name.as_bytes().starts_with(self.pattern.as_bytes().get(..length).unwrap_or_default())
                    && matches(&self.pattern, name).unwrap_or(false)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_match_as_in_helm() {
        use Ignored::{File, Folder};
        let rows = [
            ("helm.txt", "helm.txt", File, true),
            ("helm.*", "helm.txt", File, true),
            ("helm.*", "rudder.txt", File, false),
            ("*.txt", "a/b.txt", File, true),
            ("cargo", "cargo", Folder, true),
            ("cargo/", "cargo", Folder, true),
            ("cargo/", "mast/", Folder, false),
            ("cargo/", "cargo", File, false),
            ("helm.txt/", "helm.txt", File, false),
            ("!helm.txt", "helm.txt", File, false),
            ("!helm.txt", "tiller.txt", File, true),
            ("!cargo", "cargo", Folder, false),
            ("!*.txt", "cargo", Folder, true),
            ("/a.txt", "a.txt", File, true),
            ("/a.txt", "cargo/a.txt", File, false),
            ("a/b", "a/b", File, true),
            ("a/*", "a/b/c", File, false),
            ("# a", "a", File, false),
            ("*", "a", File, true),
            ("/*", "a/b", File, false),
            ("/*b", "a/b", File, false),
            ("/*/b", "a/b", File, true),
            ("*é", "aé", File, true),
            ("a?c", "abc", File, true),
            ("a?c", "bbc", File, false),
            ("[ab].txt", "b.txt", File, true),
            ("a\\*", "a*", File, true),
        ];
        for (rules, path, kind, expected) in rows {
            assert_eq!(IgnoreRules::parse(rules.as_bytes()).unwrap().ignores(path, kind), expected, "{rules} {path}");
        }
        assert!(IgnoreRules::default().with_defaults().ignores("templates/.dotfile", File));
        assert!(IgnoreRules::parse(b"a/**/b").is_err());
    }
}
