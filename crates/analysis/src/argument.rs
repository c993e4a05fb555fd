//! Arguments of a run: `{{args.name}}` in the metrics, values from Secrets, and how lists of them are merged.

use std::collections::BTreeMap;

use object_model::Secret;
use serde_json::{Map, Value};

use crate::diagnostic::Diagnostic;

/// The longest text that arguments may grow into.
const TEXT_MAX_BYTES: usize = 256 * 1024;
/// What stands for a secret where only the shape of a metric matters.
const SECRET_PLACEHOLDER: &str = "temp-for-secret";

/// An argument, given or declared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Argument {
    /// Its name.
    pub name: String,
    /// Its value, once it has one.
    pub value: Option<String>,
    /// Where its value comes from, as raw JSON (`secretKeyRef`, `fieldRef`, `podTemplateHashValue`).
    pub value_from: Option<Value>,
}

/// Where a Secret lies.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum SecretPlace {
    /// In the namespace of the run.
    #[default]
    Run,
    /// In the namespace of the operator, as the credentials of providers.
    Operator,
}

/// A key of a Secret.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct SecretRef {
    /// Name of the Secret.
    pub name: String,
    /// Key in its data.
    pub key: String,
    /// Where it lies.
    pub place: SecretPlace,
}

/// What reading a Secret gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretAnswer {
    /// Its value.
    Value(Secret<String>),
    /// It can't be had, for this reason.
    Missing(String),
}

/// Why arguments can't be resolved or merged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ArgumentError {
    /// An argument of the run has no value.
    #[error("argument \"{name}\" was not supplied")]
    NotSupplied {
        /// Its name.
        name: String,
    },
    /// A declared argument was given by nobody.
    #[error("args.{name} was not resolved")]
    NotResolved {
        /// Its name.
        name: String,
    },
    /// A metric uses something that is no argument.
    #[error("failed to resolve {{{{{tag}}}}}")]
    UnknownTag {
        /// What stands between the braces.
        tag: String,
    },
    /// Two templates give one argument two values.
    #[error("Argument `{name}` specified multiple times with different values: '{first}', '{second}'")]
    TwoValues {
        /// The argument.
        name: String,
        /// Its value in the first template.
        first: String,
        /// Its value in the second one.
        second: String,
    },
    /// The text with the arguments put in is too long.
    #[error("a field of the metric is longer than {TEXT_MAX_BYTES} bytes after its arguments are put in")]
    TooLong,
    /// A Secret can't be had.
    #[error("{reason}")]
    Secret {
        /// Why.
        reason: String,
    },
}

impl Argument {
    /// Reads a list of arguments; entries that are none are told and left out.
    pub fn parse_list(list: Option<&Value>, path: &str, diagnostics: &mut Vec<Diagnostic>) -> Vec<Self> {
        let items = match list {
            None | Some(Value::Null) => return Vec::new(),
            Some(Value::Array(items)) => items,
            Some(_) => {
                diagnostics.push(Diagnostic { field: path.to_owned(), message: "must be a list".to_owned() });
                return Vec::new();
            }
        };
        let mut arguments = Vec::new();
        for (index, item) in items.iter().enumerate() {
            let mut tell = |field: &str, message: &str| {
                diagnostics.push(Diagnostic { field: format!("{path}[{index}].{field}"), message: message.to_owned() });
            };
            let Some(name) = item.get("name").and_then(Value::as_str) else {
                tell("name", "is missing or not a string");
                continue;
            };
            let value = match item.get("value") {
                None | Some(Value::Null) => None,
                Some(Value::String(text)) => Some(text.clone()),
                Some(_) => {
                    tell("value", "must be a string; quote it");
                    None
                }
            };
            let value_from = item.get("valueFrom").filter(|from| !from.is_null()).cloned();
            arguments.push(Self { name: name.to_owned(), value, value_from });
        }
        arguments
    }

    /// The key of a Secret that this argument takes its value from.
    pub fn secret(&self) -> Option<SecretRef> {
        let reference = self.value_from.as_ref()?.get("secretKeyRef")?;
        let text = |field: &str| reference.get(field).and_then(Value::as_str).map(str::to_owned);
        Some(SecretRef { name: text("name")?, key: text("key")?, place: SecretPlace::Run })
    }

    /// The argument as the API has it.
    pub fn to_json(&self) -> Value {
        let mut json = Map::new();
        json.insert("name".to_owned(), self.name.clone().into());
        if let Some(value) = &self.value {
            json.insert("value".to_owned(), value.clone().into());
        }
        if let Some(from) = &self.value_from {
            json.insert("valueFrom".to_owned(), from.clone());
        }
        Value::Object(json)
    }
}

/// Puts the caller's arguments over the declared ones; arguments that nobody declared are dropped.
///
/// # Errors
/// When a declared argument is left without a value and without a source.
pub fn merge_arguments(given: &[Argument], declared: &[Argument]) -> Result<Vec<Argument>, ArgumentError> {
    let mut merged = declared.to_vec();
    for argument in given {
        let Some(slot) = merged.iter_mut().find(|slot| slot.name == argument.name) else { continue };
        if argument.value.is_some() {
            slot.value.clone_from(&argument.value);
        } else if argument.value_from.is_some() {
            slot.value_from.clone_from(&argument.value_from);
        }
    }
    match merged.iter().find(|argument| argument.value.is_none() && argument.value_from.is_none()) {
        Some(argument) => Err(ArgumentError::NotResolved { name: argument.name.clone() }),
        None => Ok(merged),
    }
}

/// Joins the declared arguments of several templates into one list.
///
/// # Errors
/// When two templates give an argument different values.
pub(crate) fn join_arguments<'a>(
    templates: impl IntoIterator<Item = &'a [Argument]>,
) -> Result<Vec<Argument>, ArgumentError> {
    let mut joined: Vec<Argument> = Vec::new();
    for argument in templates.into_iter().flatten() {
        let Some(slot) = joined.iter_mut().find(|slot| slot.name == argument.name) else {
            joined.push(argument.clone());
            continue;
        };
        match (&slot.value, &argument.value) {
            (Some(first), Some(second)) if first != second => {
                let (name, first, second) = (slot.name.clone(), first.clone(), second.clone());
                return Err(ArgumentError::TwoValues { name, first, second });
            }
            (None, _) => *slot = argument.clone(),
            _ => {}
        }
    }
    Ok(joined)
}

/// Values by argument name.
pub(crate) type Values = BTreeMap<String, String>;

/// The values of arguments with a stand-in for each secret: enough to check metrics and to pace them.
pub(crate) fn shown_values(arguments: &[Argument]) -> Result<Values, ArgumentError> {
    let value = |argument: &Argument| match argument.secret() {
        Some(_) => Ok(SECRET_PLACEHOLDER.to_owned()),
        None => argument.value.clone().ok_or_else(|| ArgumentError::NotSupplied { name: argument.name.clone() }),
    };
    arguments.iter().map(|argument| Ok((argument.name.clone(), value(argument)?))).collect()
}

/// The values of arguments with their secrets, and which texts must never be shown.
pub(crate) struct SecretValues {
    pub(crate) values: Values,
    pub(crate) redaction: Redaction,
    /// Secrets that have not been read yet; while there are some, nothing can be asked.
    pub(crate) unread: Vec<SecretRef>,
}

pub(crate) fn secret_values(
    arguments: &[Argument],
    secrets: &BTreeMap<SecretRef, SecretAnswer>,
) -> Result<SecretValues, ArgumentError> {
    let mut all =
        SecretValues { values: shown_values(arguments)?, redaction: Redaction::default(), unread: Vec::new() };
    for argument in arguments {
        let Some(reference) = argument.secret() else { continue };
        match secrets.get(&reference) {
            None if all.unread.contains(&reference) => {}
            None => all.unread.push(reference),
            Some(SecretAnswer::Missing(reason)) => return Err(ArgumentError::Secret { reason: reason.clone() }),
            Some(SecretAnswer::Value(secret)) => {
                all.values.insert(argument.name.clone(), secret.expose().clone());
                all.redaction.add(secret.clone());
            }
        }
    }
    Ok(all)
}

/// Texts that must not be shown.
#[derive(Debug, Clone, Default)]
pub(crate) struct Redaction {
    /// Longest first, so that a secret within another leaves nothing of it.
    secrets: Vec<Secret<String>>,
}

impl Redaction {
    pub(crate) fn add(&mut self, secret: Secret<String>) {
        if !secret.expose().is_empty() && !self.secrets.contains(&secret) {
            self.secrets.push(secret);
            self.secrets.sort_by_key(|secret| std::cmp::Reverse(secret.expose().len()));
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.secrets.is_empty()
    }

    /// The text with every secret in it starred out.
    pub(crate) fn redact(&self, text: &str) -> String {
        self.secrets.iter().fold(text.to_owned(), |text, secret| text.replace(secret.expose().as_str(), "*****"))
    }

    /// The same for a measured value, where a short secret may be there by chance.
    pub(crate) fn redact_value(&self, text: &str) -> String {
        let long = self.secrets.iter().filter(|secret| secret.expose().len() >= 8);
        long.fold(text.to_owned(), |text, secret| text.replace(secret.expose().as_str(), "*****"))
    }
}

/// Puts values into every `{{args.name}}` of a metric.
///
/// The strings of the JSON are replaced one by one, so a value with quotes or line breaks stays inside its string.
pub(crate) fn resolve(json: &Value, values: &Values) -> Result<Value, ArgumentError> {
    Ok(match json {
        Value::String(text) => Value::String(resolve_text(text, values)?),
        Value::Array(items) => Value::Array(items.iter().map(|item| resolve(item, values)).collect::<Result<_, _>>()?),
        Value::Object(map) => Value::Object(
            map.iter()
                .map(|(key, value)| Ok((resolve_text(key, values)?, resolve(value, values)?)))
                .collect::<Result<_, ArgumentError>>()?,
        ),
        other => other.clone(),
    })
}

fn resolve_text(text: &str, values: &Values) -> Result<String, ArgumentError> {
    let mut resolved = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        let Some((tag, tail)) = after.split_once("}}") else { break };
        let name = tag.trim().strip_prefix("args.");
        let value = name.and_then(|name| values.get(name));
        let value = value.ok_or_else(|| ArgumentError::UnknownTag { tag: tag.to_owned() })?;
        resolved.push_str(before);
        resolved.push_str(value);
        if resolved.len() > TEXT_MAX_BYTES {
            return Err(ArgumentError::TooLong);
        }
        rest = tail;
    }
    resolved.push_str(rest);
    Ok(resolved)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn arguments(list: Value) -> Vec<Argument> {
        Argument::parse_list(Some(&list), "args", &mut Vec::new())
    }

    #[test]
    fn a_value_with_quotes_stays_inside_its_string() {
        let values = shown_values(&arguments(json!([{"name": "q", "value": "a\"b\n}}"}]))).unwrap();
        let metric = json!({"name": "m", "provider": {"prometheus": {"query": "x{y=\"{{ args.q }}\"} {{args.q}}"}}});
        assert_eq!(resolve(&metric, &values).unwrap()["provider"]["prometheus"]["query"], "x{y=\"a\"b\n}}\"} a\"b\n}}");
    }

    #[test]
    fn what_is_no_argument_is_an_error() {
        let values = Values::new();
        assert_eq!(resolve(&json!("{{args.a}}"), &values).unwrap_err().to_string(), "failed to resolve {{args.a}}");
        assert_eq!(resolve(&json!("{{x}}"), &values).unwrap_err().to_string(), "failed to resolve {{x}}");
        let error = shown_values(&arguments(json!([{"name": "a"}]))).unwrap_err();
        assert_eq!(error.to_string(), "argument \"a\" was not supplied");
    }

    #[test]
    fn the_callers_arguments_override_and_unknown_ones_are_dropped() {
        let declared = arguments(json!([{"name": "a", "value": "1"}, {"name": "b"}]));
        let given = arguments(json!([{"name": "b", "value": "2"}, {"name": "c", "value": "3"}]));
        let merged = merge_arguments(&given, &declared).unwrap();
        assert_eq!(merged, arguments(json!([{"name": "a", "value": "1"}, {"name": "b", "value": "2"}])));
        assert_eq!(merge_arguments(&[], &declared).unwrap_err().to_string(), "args.b was not resolved");
    }

    #[test]
    fn two_templates_may_not_disagree_on_a_value() {
        let (one, two) =
            (arguments(json!([{"name": "a", "value": "1"}])), arguments(json!([{"name": "a", "value": "2"}])));
        let open = arguments(json!([{"name": "a"}]));
        assert_eq!(
            join_arguments([one.as_slice(), &two]).unwrap_err().to_string(),
            "Argument `a` specified multiple times with different values: '1', '2'"
        );
        assert_eq!(join_arguments([open.as_slice(), &one, &open]).unwrap(), one);
    }

    #[test]
    fn secrets_are_awaited_then_put_in_and_starred_out() {
        let list = arguments(json!([{"name": "t", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]));
        let reference = SecretRef { name: "s".to_owned(), key: "k".to_owned(), ..SecretRef::default() };
        assert_eq!(secret_values(&list, &BTreeMap::new()).unwrap().unread, std::slice::from_ref(&reference));
        let known = BTreeMap::from([(reference, SecretAnswer::Value(Secret::new("hunter2".to_owned())))]);
        let all = secret_values(&list, &known).unwrap();
        assert_eq!(all.values["t"], "hunter2");
        assert_eq!(all.redaction.redact("401 for hunter2"), "401 for *****");
        assert_eq!(shown_values(&list).unwrap()["t"], "temp-for-secret");
    }

    #[test]
    fn a_number_as_a_value_is_told() {
        let mut diagnostics = Vec::new();
        Argument::parse_list(Some(&json!([{"name": "a", "value": 1}])), "spec.args", &mut diagnostics);
        assert_eq!(diagnostics[0].to_string(), "spec.args[0].value: must be a string; quote it");
    }
}
