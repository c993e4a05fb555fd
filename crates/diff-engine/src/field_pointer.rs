//! Names a field of an object: a JSON pointer whose steps may also select list entries by what they contain.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Why a text is not a field pointer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a field pointer: {why}")]
pub struct FieldPointerError {
    /// The text as given, cut when long.
    pub text: String,
    /// What is wrong with it.
    pub why: &'static str,
}

/// One step of a [`FieldPointer`].
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum PointerStep {
    /// A key of a mapping, or an index of a list.
    Key(String),
    /// The entries of a list that have these texts at these dotted fields: `[name=primary]`,
    /// `[destination.host=web,destination.subset=v2]`.
    Select(Vec<(String, String)>),
    /// Every key or entry: `*`.
    Any,
}

/// A field of an object, such as `/spec/replicas` or `/spec/http/[name=primary]/route/[destination.host=web]/weight`.
///
/// ```
/// let pointer = diff_engine::FieldPointer::parse("/spec/http/[name=primary]/timeout").unwrap();
/// assert_eq!(pointer.to_string(), "/spec/http/[name=primary]/timeout");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct FieldPointer {
    steps: Vec<PointerStep>,
}

const LENGTH_MAX: usize = 1024;
const STEPS_MAX: usize = 64;

impl FieldPointer {
    /// Reads the text form.
    ///
    /// # Errors
    /// When it does not start with `/`, is too long or has a malformed selection.
    pub fn parse(text: &str) -> Result<Self, FieldPointerError> {
        let fail = |why| FieldPointerError { text: text.chars().take(80).collect(), why };
        if text.len() > LENGTH_MAX {
            return Err(fail("it is longer than 1024 bytes"));
        }
        let tail = text.strip_prefix('/').ok_or_else(|| fail("it does not start with `/`"))?;
        let steps: Vec<_> = tail
            .split('/')
            .map(parse_step)
            .collect::<Option<_>>()
            .ok_or_else(|| fail("a selection is written `[field=value]`"))?;
        if steps.len() > STEPS_MAX {
            return Err(fail("it has more than 64 steps"));
        }
        Ok(Self { steps })
    }

    /// Makes a pointer of plain keys.
    pub fn of_keys<'a>(keys: impl IntoIterator<Item = &'a str>) -> Self {
        Self { steps: keys.into_iter().map(|key| PointerStep::Key(key.to_owned())).collect() }
    }

    /// The steps from the root down.
    pub fn steps(&self) -> &[PointerStep] {
        &self.steps
    }
}

fn parse_step(text: &str) -> Option<PointerStep> {
    let text = unescape(text);
    if text == "*" {
        return Some(PointerStep::Any);
    }
    let Some(inner) = text.strip_prefix('[') else { return Some(PointerStep::Key(text)) };
    let inner = inner.strip_suffix(']')?;
    let pairs: Vec<_> = inner
        .split(',')
        .map(|pair| pair.split_once('=').map(|(field, value)| (field.trim().to_owned(), value.to_owned())))
        .collect::<Option<_>>()?;
    pairs.iter().all(|(field, _)| !field.is_empty()).then_some(PointerStep::Select(pairs))
}

/// Writes a key as a step of a JSON pointer.
pub(crate) fn escape(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

fn unescape(step: &str) -> String {
    step.replace("~1", "/").replace("~0", "~")
}

impl fmt::Display for FieldPointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for step in &self.steps {
            match step {
                PointerStep::Key(key) => write!(f, "/{}", escape(key))?,
                PointerStep::Any => f.write_str("/*")?,
                PointerStep::Select(pairs) => {
                    let text: Vec<String> = pairs.iter().map(|(field, value)| format!("{field}={value}")).collect();
                    write!(f, "/{}", escape(&format!("[{}]", text.join(","))))?;
                }
            }
        }
        Ok(())
    }
}

impl Serialize for FieldPointer {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for FieldPointer {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

impl PointerStep {
    /// Whether this step selects the list entry `entry` at `index`.
    pub(crate) fn selects_entry(&self, index: usize, entry: &Value) -> bool {
        match self {
            Self::Any => true,
            Self::Key(key) => key.parse::<usize>().is_ok_and(|want| want == index),
            Self::Select(pairs) => {
                pairs.iter().all(|(field, want)| text_at(entry, field).is_some_and(|have| have == *want))
            }
        }
    }

    /// Whether this step selects the key `key` of a mapping.
    pub(crate) fn selects_key(&self, key: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Key(want) => want == key,
            Self::Select(_) => false,
        }
    }
}

/// The text of the scalar at a dotted path.
fn text_at(entry: &Value, dotted: &str) -> Option<String> {
    let value = dotted.split('.').try_fold(entry, |value, key| value.get(key))?;
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(yes) => Some(yes.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn keys_with_slashes_read_back() {
        let pointer = FieldPointer::parse("/metadata/annotations/a~1b~0c").unwrap();
        assert_eq!(pointer.steps().last(), Some(&PointerStep::Key("a/b~c".to_owned())));
        assert_eq!(pointer.to_string(), "/metadata/annotations/a~1b~0c");
    }

    #[test]
    fn a_selection_looks_into_the_entry() {
        let step = parse_step("[destination.host=web,destination.subset=v2]").unwrap();
        assert!(step.selects_entry(0, &json!({"destination": {"host": "web", "subset": "v2"}})));
        assert!(!step.selects_entry(0, &json!({"destination": {"host": "web"}})));
    }

    #[test]
    fn what_is_not_a_pointer_is_refused_with_the_reason() {
        for (text, why) in [
            ("spec", "it does not start with `/`"),
            ("/spec/[name", "a selection is written `[field=value]`"),
            ("/spec/[name]", "a selection is written `[field=value]`"),
        ] {
            assert_eq!(FieldPointer::parse(text).unwrap_err().why, why, "{text}");
        }
    }
}
