//! A small jq: programs that choose fields, for the differences that people want ignored.
//!
//! A program is run on an object and says which places of it are meant, as `path(PROGRAM)` of jq does: fields, `[]`,
//! indexes, `..`, `,`, `|`, `select(...)` with comparisons, `and`, `or`, `not` and tests of text, `has`, `any`, `all`,
//! `first`, `recurse`. What makes new values names no place and is refused. Nothing is defined, repeated or read from
//! outside, every step counts against a limit, and a program that needs more than that names nothing.

mod parse;
mod run;

use object_model::Object;
use serde_json::Value;

use crate::field_pointer::FieldPointer;
use parse::Expression;

/// Longest program that is read.
const LENGTH_MAX: usize = 1024;
/// Most places that a program names on one object.
const PLACES_MAX: usize = 256;

/// Why a program is not understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not understood at `{rest}`: {why}")]
pub struct JqError {
    /// The program, cut when long.
    pub text: String,
    /// What follows the part that is understood.
    pub rest: String,
    /// What is wrong there.
    pub why: String,
}

/// A program that chooses fields of an object.
///
/// ```
/// let program = diff_engine::JqProgram::parse(".webhooks[]? | select(.name | startswith(\"a\")) | .caBundle").unwrap();
/// let object = serde_json::json!({"apiVersion": "v1", "kind": "X", "metadata": {"name": "x"},
///     "webhooks": [{"name": "ab", "caBundle": "1"}, {"name": "b", "caBundle": "2"}]});
/// let places = program.places(&object_model::Object::parse(object).unwrap());
/// assert_eq!(places, [diff_engine::FieldPointer::parse("/webhooks/[name=ab]/caBundle").unwrap()]);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JqProgram {
    expression: Expression,
}

impl JqProgram {
    /// Reads a program.
    ///
    /// # Errors
    /// Names what is not understood.
    pub fn parse(text: &str) -> Result<Self, JqError> {
        let fail = |rest: &str, why: &str| JqError {
            text: text.chars().take(80).collect(),
            rest: rest.chars().take(30).collect(),
            why: why.to_owned(),
        };
        if text.len() > LENGTH_MAX {
            return Err(fail(text, "it is longer than 1024 bytes"));
        }
        let expression = parse::parse(text).map_err(|(at, why)| fail(text.get(at..).unwrap_or_default(), &why))?;
        Ok(Self { expression })
    }

    /// The places of an object that the program names. An entry of a list with a name of its own is called by that, so
    /// that it is found where another object has it at another index.
    pub fn places(&self, object: &Object) -> Vec<FieldPointer> {
        let root = object.to_json();
        let mut places: Vec<FieldPointer> = Vec::new();
        for path in run::paths(&self.expression, &root) {
            // The whole object is no field.
            let Some(pointer) = (!path.is_empty()).then(|| pointer(&root, &path)).flatten() else { continue };
            if !places.contains(&pointer) {
                places.push(pointer);
            }
            if places.len() >= PLACES_MAX {
                break;
            }
        }
        places
    }
}

/// One step from a value to one inside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    Key(String),
    Index(usize),
}

fn pointer(root: &Value, path: &[Step]) -> Option<FieldPointer> {
    let mut text = String::new();
    let mut at = root;
    for step in path {
        let (label, next) = match step {
            Step::Key(key) => (crate::field_pointer::escape(key), at.get(key)),
            Step::Index(index) => (entry_label(at, *index), at.get(index)),
        };
        text.push('/');
        text.push_str(&label);
        at = next.unwrap_or(&Value::Null);
    }
    FieldPointer::parse(&text).ok()
}

/// How an entry of a list is called: by its name, where no other entry has it, else by its index.
fn entry_label(list: &Value, index: usize) -> String {
    let name = |entry: &Value| entry.get("name").and_then(Value::as_str).map(str::to_owned);
    let entries = list.as_array().map(Vec::as_slice).unwrap_or_default();
    let own = entries.get(index).and_then(name).filter(|name| !name.contains([',', '=']));
    match own {
        Some(own) if entries.iter().filter(|entry| name(entry).as_ref() == Some(&own)).count() == 1 => {
            crate::field_pointer::escape(&format!("[name={own}]"))
        }
        _ => index.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn named(program: &str) -> Vec<String> {
        let object = json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "web", "annotations": {"a.b/c": "1", "other": "2"}},
            "spec": {
                "replicas": 3,
                "containers": [
                    {"name": "web", "image": "shop/web:v1", "env": [{"name": "A", "value": "1"}, {"name": "B"}]},
                    {"name": "proxy", "image": "mesh/proxy:v1", "ports": [{"port": 1}, {"port": 2}]},
                ],
            },
        });
        let program = JqProgram::parse(program).unwrap_or_else(|error| panic!("{error}"));
        program.places(&Object::parse(object).unwrap()).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn programs_name_places() {
        for (program, places) in [
            (".spec.replicas", &["/spec/replicas"][..]),
            (".spec.nowhere.at.all", &["/spec/nowhere/at/all"]),
            (".metadata.annotations[\"a.b/c\"]", &["/metadata/annotations/a.b~1c"]),
            (".metadata.annotations.\"a.b/c\"", &["/metadata/annotations/a.b~1c"]),
            (".spec.containers[].image", &["/spec/containers/[name=web]/image", "/spec/containers/[name=proxy]/image"]),
            (".spec.containers[1]", &["/spec/containers/[name=proxy]"]),
            (".spec.containers[-1].image", &["/spec/containers/[name=proxy]/image"]),
            (".spec.containers[1].ports[0].port", &["/spec/containers/[name=proxy]/ports/0/port"]),
            (".spec.containers[] | select(.name == \"web\") | .image", &["/spec/containers/[name=web]/image"]),
            (".spec.containers[] | select(.name != \"web\").image", &["/spec/containers/[name=proxy]/image"]),
            (
                ".spec.containers[] | select(.image | startswith(\"mesh/\")).image",
                &["/spec/containers/[name=proxy]/image"],
            ),
            (".spec.containers[] | select(.image | test(\"web:v[0-9]+$\"))", &["/spec/containers/[name=web]"]),
            (".spec.containers[] | select(has(\"env\") | not)", &["/spec/containers/[name=proxy]"]),
            (".spec.containers[] | select(any(.ports[]?; .port > 1))", &["/spec/containers/[name=proxy]"]),
            (
                ".spec.containers[] | select((.ports | length) == 2 and .name == \"proxy\")",
                &["/spec/containers/[name=proxy]"],
            ),
            (
                ".spec.containers[].env[]? | select(.name == \"A\").value",
                &["/spec/containers/[name=web]/env/[name=A]/value"],
            ),
            (".spec.replicas, .metadata.name", &["/spec/replicas", "/metadata/name"]),
            (
                ".. | .port?",
                &["/spec/containers/[name=proxy]/ports/0/port", "/spec/containers/[name=proxy]/ports/1/port"],
            ),
            ("first(.spec.containers[]).image", &["/spec/containers/[name=web]/image"]),
            (".spec | (.replicas, .paused)", &["/spec/replicas", "/spec/paused"]),
            (".spec | if .replicas > 2 then .replicas else .paused end", &["/spec/replicas"]),
            (".spec.containers[] | select(.name | IN(\"web\", \"api\"))", &["/spec/containers/[name=web]"]),
            ("empty", &[]),
            (".", &[]),
        ] {
            let found = named(program);
            if program.starts_with("..") {
                let all: Vec<&str> = places.to_vec();
                assert!(all.iter().all(|place| found.iter().any(|found| found == place)), "{program}: {found:?}");
            } else {
                assert_eq!(found, places, "{program}");
            }
        }
    }

    #[test]
    fn what_names_no_place_or_may_not_end_is_refused() {
        for (program, why) in [
            ("", "an expression is missing"),
            ("spec", "`spec` is no function that chooses fields"),
            (".a | map(.b)", "`map` is no function that chooses fields"),
            (".a |= 1", "nothing more is expected"),
            (".a[1:2]", "`]` is missing"),
            ("def f: f; f", "`def` is no function that chooses fields"),
            ("repeat(.)", "`repeat` is no function that chooses fields"),
            (".a + .b", "nothing more is expected"),
            (".a[", "an expression is missing"),
            ("select(.a", "`)` is missing"),
            ("select(test(\"(\"))", "it is no pattern"),
            ("\"text", "a quote is not closed"),
        ] {
            let error = JqProgram::parse(program).unwrap_err();
            assert!(error.why.contains(why), "{program}: {error}");
        }
        assert!(JqProgram::parse(&"(".repeat(1000)).unwrap_err().why.contains("deeper"));
    }

    #[test]
    fn a_program_that_would_take_for_ever_names_nothing() {
        let deep: Vec<Value> = (0..40).map(|index| json!({"index": index, "list": [1, 2, 3]})).collect();
        let object = json!({"apiVersion": "v1", "kind": "X", "metadata": {"name": "x"}, "deep": deep});
        let object = Object::parse(object).unwrap();
        let program = JqProgram::parse(".. | .. | .. | .. | .. | .. | .. | select(false)").unwrap();
        let begun = std::time::Instant::now();
        assert!(program.places(&object).is_empty());
        assert!(begun.elapsed().as_secs() < 5);
    }
}
