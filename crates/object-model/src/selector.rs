//! Label selectors (`metav1.LabelSelector`).

use std::collections::BTreeMap;

use serde_json::Value;

use crate::Object;

/// Why a selector can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SelectorError {
    /// `matchExpressions[].operator` is none of In, NotIn, Exists, DoesNotExist.
    #[error("`{operator}` is not a selector operator")]
    Operator {
        /// The operator as given.
        operator: String,
    },
    /// A field has the wrong type.
    #[error("the selector's `{field}` has the wrong type")]
    Shape {
        /// The field.
        field: &'static str,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Requirement {
    In(String, Vec<String>),
    NotIn(String, Vec<String>),
    Exists(String),
    DoesNotExist(String),
}

/// A parsed label selector; an empty one matches everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LabelSelector {
    requirements: Vec<Requirement>,
}

impl LabelSelector {
    /// Parses `{matchLabels, matchExpressions}`.
    ///
    /// # Errors
    /// When an operator is unknown or a field has the wrong type.
    pub fn parse(selector: &Value) -> Result<Self, SelectorError> {
        let mut requirements = Vec::new();
        match selector.get("matchLabels") {
            None | Some(Value::Null) => {}
            Some(Value::Object(labels)) => {
                for (key, value) in labels {
                    let value = value.as_str().ok_or(SelectorError::Shape { field: "matchLabels" })?;
                    requirements.push(Requirement::In(key.clone(), vec![value.to_owned()]));
                }
            }
            Some(_) => return Err(SelectorError::Shape { field: "matchLabels" }),
        }
        match selector.get("matchExpressions") {
            None | Some(Value::Null) => {}
            Some(Value::Array(list)) => {
                for item in list {
                    requirements.push(expression(item)?);
                }
            }
            Some(_) => return Err(SelectorError::Shape { field: "matchExpressions" }),
        }
        Ok(Self { requirements })
    }

    /// Takes exact labels, as in a Service's selector.
    pub fn from_labels<'a>(labels: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let requirements =
            labels.into_iter().map(|(key, value)| Requirement::In(key.to_owned(), vec![value.to_owned()])).collect();
        Self { requirements }
    }

    /// Whether it has no requirement at all.
    pub fn is_empty(&self) -> bool {
        self.requirements.is_empty()
    }

    /// Whether these labels satisfy every requirement.
    pub fn matches(&self, labels: &BTreeMap<&str, &str>) -> bool {
        self.requirements.iter().all(|requirement| match requirement {
            Requirement::In(key, values) => {
                labels.get(key.as_str()).is_some_and(|have| values.iter().any(|want| want == have))
            }
            Requirement::NotIn(key, values) => {
                labels.get(key.as_str()).is_none_or(|have| values.iter().all(|want| want != have))
            }
            Requirement::Exists(key) => labels.contains_key(key.as_str()),
            Requirement::DoesNotExist(key) => !labels.contains_key(key.as_str()),
        })
    }

    /// Whether an object's labels satisfy every requirement.
    pub fn matches_object(&self, object: &Object) -> bool {
        self.matches(&object.labels())
    }
}

/// The query form of `labelSelector=` (`app=web,tier in (a,b),!x`).
impl std::fmt::Display for LabelSelector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, requirement) in self.requirements.iter().enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            match requirement {
                Requirement::In(key, values) => match values.as_slice() {
                    [one] => write!(f, "{key}={one}")?,
                    many => write!(f, "{key} in ({})", many.join(","))?,
                },
                Requirement::NotIn(key, values) => write!(f, "{key} notin ({})", values.join(","))?,
                Requirement::Exists(key) => f.write_str(key)?,
                Requirement::DoesNotExist(key) => write!(f, "!{key}")?,
            }
        }
        Ok(())
    }
}

fn expression(item: &Value) -> Result<Requirement, SelectorError> {
    let text = |field: &'static str| item.get(field).and_then(Value::as_str).ok_or(SelectorError::Shape { field });
    let key = text("key")?.to_owned();
    let values = || -> Vec<String> {
        let list = item.get("values").and_then(Value::as_array);
        list.map(|list| list.iter().filter_map(Value::as_str).map(str::to_owned).collect()).unwrap_or_default()
    };
    match text("operator")? {
        "In" => Ok(Requirement::In(key, values())),
        "NotIn" => Ok(Requirement::NotIn(key, values())),
        "Exists" => Ok(Requirement::Exists(key)),
        "DoesNotExist" => Ok(Requirement::DoesNotExist(key)),
        other => Err(SelectorError::Operator { operator: other.to_owned() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn labels_and_expressions_must_all_hold() {
        let selector = LabelSelector::parse(&json!({
            "matchLabels": {"app": "web"},
            "matchExpressions": [{"key": "tier", "operator": "NotIn", "values": ["db"]}, {"key": "old", "operator": "DoesNotExist"}],
        }))
        .unwrap();
        assert!(selector.matches(&BTreeMap::from([("app", "web")])));
        assert!(!selector.matches(&BTreeMap::from([("app", "web"), ("tier", "db")])));
        assert!(!selector.matches(&BTreeMap::from([("app", "web"), ("old", "")])));
        assert_eq!(selector.to_string(), "app=web,tier notin (db),!old");
    }

    #[test]
    fn an_unknown_operator_is_named() {
        let error = LabelSelector::parse(&json!({"matchExpressions": [{"key": "a", "operator": "Like"}]})).unwrap_err();
        assert_eq!(error.to_string(), "`Like` is not a selector operator");
    }
}
