//! Reads the paths of jq that people write to have differences ignored.
//!
//! Only paths are understood: fields, `[]` with and without `?`, indexes, quoted names and
//! `select(.field == "text")`. A program is refused, so nothing here can run for long.

use crate::field_pointer::{FieldPointer, FieldPointerError};

/// Why an expression is not understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JqPathError {
    /// It is more than a path.
    #[error("`{text}` is not understood at `{rest}`; a path has fields, [] and select(.field == \"text\")")]
    NotAPath {
        /// The expression.
        text: String,
        /// What follows the part that is understood.
        rest: String,
    },
    /// Its fields make no pointer.
    #[error(transparent)]
    Pointer(#[from] FieldPointerError),
}

/// Longest expression that is read.
const LENGTH_MAX: usize = 1024;

/// Reads a path.
///
/// # Errors
/// When the expression is more than a path.
///
/// ```
/// let pointer = diff_engine::jq_path(".spec.containers[]? | select(.name == \"proxy\") | .image").unwrap();
/// assert_eq!(pointer, diff_engine::FieldPointer::parse("/spec/containers/[name=proxy]/image").unwrap());
/// ```
pub fn jq_path(text: &str) -> Result<FieldPointer, JqPathError> {
    let fail = |rest: &str| JqPathError::NotAPath {
        text: text.chars().take(80).collect(),
        rest: rest.chars().take(30).collect(),
    };
    if text.len() > LENGTH_MAX {
        return Err(fail(text));
    }
    let mut steps: Vec<String> = Vec::new();
    let mut rest = text.trim();
    let mut is_first = true;
    while !rest.is_empty() {
        rest = match next(rest, is_first, &mut steps) {
            Some(after) => after.trim_start(),
            None => return Err(fail(rest)),
        };
        is_first = false;
    }
    if steps.is_empty() {
        return Err(fail(text));
    }
    Ok(FieldPointer::parse(&format!("/{}", steps.join("/")))?)
}

/// Takes one part off the beginning; `None` when it is none that is understood.
fn next<'a>(rest: &'a str, is_first: bool, steps: &mut Vec<String>) -> Option<&'a str> {
    if let Some(after) = rest.strip_prefix('|').filter(|_| !is_first) {
        let after = after.trim_start();
        return if after.starts_with("select(") { select(after, steps) } else { Some(after) };
    }
    if let Some(after) = rest.strip_prefix("[]") {
        steps.push("*".to_owned());
        return Some(after.strip_prefix('?').unwrap_or(after));
    }
    if let Some(after) = rest.strip_prefix('[') {
        let (inside, after) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once("\"]")?,
            None => after.split_once(']').filter(|(inside, _)| inside.parse::<usize>().is_ok())?,
        };
        steps.push(escape(inside));
        return Some(after.strip_prefix('?').unwrap_or(after));
    }
    let after = rest.strip_prefix('.')?;
    if let Some(quoted) = after.strip_prefix('"') {
        let (name, after) = quoted.split_once('"')?;
        steps.push(escape(name));
        return Some(after.strip_prefix('?').unwrap_or(after));
    }
    let end = after.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(after.len());
    let (name, after) = after.split_at_checked(end)?;
    if name.is_empty() {
        // `.[]` and `.["name"]` are the same as without the dot.
        return after.starts_with('[').then_some(after);
    }
    steps.push(escape(name));
    Some(after.strip_prefix('?').unwrap_or(after))
}

/// `select(.field == "text")` chooses among the entries that `[]` has just named.
fn select<'a>(rest: &'a str, steps: &mut Vec<String>) -> Option<&'a str> {
    let (inside, after) = rest.strip_prefix("select(")?.split_once(')')?;
    let (field, value) = inside.split_once("==")?;
    let field = field.trim().strip_prefix('.')?;
    let value = value.trim().strip_prefix('"')?.strip_suffix('"')?;
    let is_plain = |text: &str| !text.is_empty() && !text.contains(['"', '\\', '=', '[', ']']);
    if !is_plain(field) || !is_plain(value) || steps.last().is_none_or(|last| last != "*") {
        return None;
    }
    steps.pop();
    steps.push(format!("[{field}={}]", escape(value)));
    Some(after)
}

fn escape(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_become_pointers_and_programs_are_refused() {
        for (text, pointer) in [
            (".spec.replicas", "/spec/replicas"),
            (".webhooks[]?.clientConfig.caBundle", "/webhooks/*/clientConfig/caBundle"),
            (".webhooks[0].clientConfig", "/webhooks/0/clientConfig"),
            (".metadata.annotations[\"a.b/c\"]", "/metadata/annotations/a.b~1c"),
            (".data.\"x.y\"", "/data/x.y"),
            (".spec.list[] | select(.name == \"a/b\") | .x", "/spec/list/[name=a~1b]/x"),
            (".spec.list[] | select(.name == \"a\")", "/spec/list/[name=a]"),
        ] {
            assert_eq!(jq_path(text), Ok(FieldPointer::parse(pointer).unwrap()), "{text}");
        }
        for text in ["", ".", "spec", ".a | map(.b)", ".a, .b", ".a[1:2]", ".a | select(.b == \"c\")", "..", ".a |= 1"]
        {
            assert!(jq_path(text).is_err(), "{text}");
        }
        let error = jq_path(".spec | length").unwrap_err().to_string();
        assert!(error.starts_with("`.spec | length` is not understood at `length`"), "{error}");
    }
}
