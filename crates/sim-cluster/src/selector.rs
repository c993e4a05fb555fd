//! Label and field selectors of list and watch queries.

use serde_json::Value;

use crate::error::ApiError;
use crate::resource::ResourceType;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Requirement {
    In(String, Vec<String>),
    NotIn(String, Vec<String>),
    Exists(String),
    Absent(String),
    Greater(String, i64),
    Less(String, i64),
}

/// A parsed `labelSelector=` and `fieldSelector=`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Selection {
    labels: Vec<Requirement>,
    fields: Vec<(String, String, bool)>,
}

const REQUIREMENTS_MAX: usize = 256;

impl Selection {
    pub(crate) fn parse(resource: &ResourceType, labels: Option<&str>, fields: Option<&str>) -> Result<Self, ApiError> {
        let labels = parse_labels(labels.unwrap_or_default())?;
        let fields = parse_fields(resource, fields.unwrap_or_default())?;
        Ok(Self { labels, fields })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }

    /// Narrows to one name, as a watch of a single object does.
    pub(crate) fn named(mut self, name: &str) -> Self {
        self.fields.push(("metadata.name".to_owned(), name.to_owned(), true));
        self
    }

    pub(crate) fn matches(&self, object: &Value) -> bool {
        self.labels.iter().all(|requirement| requirement.matches(object))
            && self.fields.iter().all(|(path, want, equal)| (field(object, path) == *want) == *equal)
    }
}

impl Requirement {
    fn matches(&self, object: &Value) -> bool {
        let label = |key: &str| {
            object
                .get("metadata")
                .and_then(|meta| meta.get("labels"))
                .and_then(|labels| labels.get(key))
                .and_then(Value::as_str)
        };
        let number = |key: &str| label(key).and_then(|text| text.parse::<i64>().ok());
        match self {
            Self::In(key, values) => label(key).is_some_and(|have| values.iter().any(|want| want == have)),
            Self::NotIn(key, values) => label(key).is_none_or(|have| values.iter().all(|want| want != have)),
            Self::Exists(key) => label(key).is_some(),
            Self::Absent(key) => label(key).is_none(),
            Self::Greater(key, bound) => number(key).is_some_and(|have| have > *bound),
            Self::Less(key, bound) => number(key).is_some_and(|have| have < *bound),
        }
    }
}

fn field(object: &Value, path: &str) -> String {
    // An Event's source is a component name; everything else is a plain path.
    let path = if path == "source" { "source.component" } else { path };
    let mut at = object;
    for part in path.split('.') {
        match at.get(part) {
            Some(next) => at = next,
            None if path == "spec.unschedulable" || path == "spec.hostNetwork" => return "false".to_owned(),
            None if path == "status.successful" || path == "status.replicas" => return "0".to_owned(),
            None => return String::new(),
        }
    }
    match at {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

fn bad_label(text: &str, why: &str) -> ApiError {
    ApiError::bad_request(format!("unable to parse requirement: {why}: `{text}`"))
}

/// Splits at commas outside parentheses.
fn split_top(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut depth = 0usize;
    for letter in text.chars() {
        match letter {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                parts.push(String::new());
                continue;
            }
            _ => {}
        }
        if let Some(last) = parts.last_mut() {
            last.push(letter);
        }
    }
    parts.into_iter().map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect()
}

fn parse_labels(text: &str) -> Result<Vec<Requirement>, ApiError> {
    let parts = split_top(text);
    if parts.len() > REQUIREMENTS_MAX {
        return Err(bad_label("", "too many requirements"));
    }
    parts.iter().map(|part| parse_label(part)).collect()
}

const LABEL_VALUE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";

/// Takes a value that is a label's.
fn label_value(key: &str, value: &str) -> Result<String, ApiError> {
    let value = value.trim();
    let edge = |letter: char| letter.is_ascii_alphanumeric();
    let fits = value.is_empty()
        || (value.len() <= 63
            && value.starts_with(edge)
            && value.ends_with(edge)
            && value.chars().all(|letter| edge(letter) || matches!(letter, '-' | '_' | '.')));
    if !fits {
        let message =
            format!("unable to parse requirement: values[0][{}]: Invalid value: {value:?}: {LABEL_VALUE}", key.trim());
        return Err(ApiError::bad_request(message));
    }
    Ok(value.to_owned())
}

fn parse_label(part: &str) -> Result<Requirement, ApiError> {
    for operator in ["==", "!=", "="] {
        if part.starts_with(operator) {
            let message = format!("found '{operator}', expected: !, identifier, or 'end of string'");
            return Err(ApiError::bad_request(message));
        }
    }
    let words: Vec<&str> = part.split_whitespace().collect();
    if let [_, "in" | "notin", found, ..] = words.as_slice()
        && !found.starts_with('(')
    {
        return Err(ApiError::bad_request(format!("unable to parse requirement: found '{found}' expected: '('")));
    }
    if let [_, found, ..] = words.as_slice()
        && !matches!(*found, "in" | "notin")
        && !found.starts_with(['=', '!', '<', '>', '('])
        && !words.first().is_some_and(|first| first.contains(['=', '!', '<', '>', '(']))
    {
        let message = format!("unable to parse requirement: found '{found}', expected: in, notin, =, ==, !=, gt, lt");
        return Err(ApiError::bad_request(message));
    }
    if let Some((_, value)) = part.split_once('=')
        && let [_, found, ..] = value.split_whitespace().collect::<Vec<_>>().as_slice()
    {
        let found = found.trim_end_matches('!');
        return Err(ApiError::bad_request(format!("found '{found}', expected: ',' or 'end of string'")));
    }
    if let Some(key) = part.strip_prefix('!') {
        return Ok(Requirement::Absent(label_key(part, key)?));
    }
    if let Some((key, value)) = part.split_once("!=") {
        return Ok(Requirement::NotIn(label_key(part, key)?, vec![label_value(key, value)?]));
    }
    if let Some((key, value)) = part.split_once("==").or_else(|| part.split_once('=')) {
        return Ok(Requirement::In(label_key(part, key)?, vec![label_value(key, value)?]));
    }
    if let Some((head, values)) = part.split_once('(') {
        let Some(values) = values.strip_suffix(')') else { return Err(bad_label(part, "`)` is missing")) };
        let values: Vec<String> = values.split(',').map(|value| value.trim().to_owned()).collect();
        let mut words = head.split_whitespace();
        return match (words.next(), words.next(), words.next()) {
            (Some(key), Some("in"), None) => Ok(Requirement::In(label_key(part, key)?, values)),
            (Some(key), Some("notin"), None) => Ok(Requirement::NotIn(label_key(part, key)?, values)),
            _ => Err(bad_label(part, "`in` or `notin` expected")),
        };
    }
    for (mark, greater) in [('>', true), ('<', false)] {
        if let Some((key, value)) = part.split_once(mark) {
            let bound = value.trim().parse().map_err(|_| bad_label(part, "the bound must be an integer"))?;
            let key = label_key(part, key)?;
            return Ok(if greater { Requirement::Greater(key, bound) } else { Requirement::Less(key, bound) });
        }
    }
    Ok(Requirement::Exists(label_key(part, part)?))
}

fn label_key(part: &str, key: &str) -> Result<String, ApiError> {
    let key = key.trim();
    let fits = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.' | '/');
    if key.is_empty() || !key.chars().all(fits) {
        return Err(bad_label(part, "the key is not a label name"));
    }
    Ok(key.to_owned())
}

fn parse_fields(resource: &ResourceType, text: &str) -> Result<Vec<(String, String, bool)>, ApiError> {
    let mut fields = Vec::new();
    for part in text.split(',').filter(|part| !part.is_empty()).take(REQUIREMENTS_MAX) {
        let (key, value, equal) = if let Some((key, value)) = part.split_once("!=") {
            (key, value, false)
        } else if let Some((key, value)) = part.split_once("==").or_else(|| part.split_once('=')) {
            (key, value, true)
        } else {
            return Err(ApiError::bad_request(format!("invalid selector: '{text}'; can't understand '{part}'")));
        };
        if !is_selectable(resource, key) {
            return Err(unknown_field(resource, key));
        }
        fields.push((key.to_owned(), value.to_owned(), equal));
    }
    Ok(fields)
}

fn unknown_field(resource: &ResourceType, key: &str) -> ApiError {
    match &resource.custom {
        Some(_) => ApiError::bad_request(format!("field label not supported: {key}")),
        None if resource.kind == "Pod" || !resource.group.is_empty() || resource.kind == "Node" => {
            ApiError::bad_request(format!("field label not supported: {key}"))
        }
        None => ApiError::bad_request(format!(
            "\"{key}\" is not a known field selector: only \"metadata.name\", \"metadata.namespace\""
        )),
    }
}

fn is_selectable(resource: &ResourceType, key: &str) -> bool {
    if key == "metadata.name" || (key == "metadata.namespace" && resource.namespaced) {
        return true;
    }
    if let Some(custom) = &resource.custom {
        return custom.selectable_fields.iter().any(|field| field == key);
    }
    match resource.kind.as_str() {
        "Pod" => matches!(
            key,
            "spec.nodeName"
                | "spec.restartPolicy"
                | "spec.schedulerName"
                | "spec.serviceAccountName"
                | "spec.hostNetwork"
                | "status.phase"
                | "status.podIP"
                | "status.nominatedNodeName"
        ),
        "Event" => matches!(
            key,
            "involvedObject.kind"
                | "involvedObject.namespace"
                | "involvedObject.name"
                | "involvedObject.uid"
                | "involvedObject.apiVersion"
                | "involvedObject.resourceVersion"
                | "involvedObject.fieldPath"
                | "reason"
                | "reportingComponent"
                | "source"
                | "type"
        ),
        "Secret" => key == "type",
        "Namespace" => key == "status.phase",
        "Node" => key == "spec.unschedulable",
        "Job" => key == "status.successful",
        "ReplicaSet" | "ReplicationController" => key == "status.replicas",
        "Service" => matches!(key, "spec.clusterIP" | "spec.type"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn label_selectors_choose_as_kubernetes_does() {
        let object = json!({"metadata": {"labels": {"app": "web", "tier": "front", "n": "5"}}});
        let table = [
            ("app=web", true),
            ("app==web,tier!=back", true),
            ("app in (api, web),!old", true),
            ("app notin (web)", false),
            ("other notin (web)", true),
            ("tier", true),
            ("old", false),
            ("n>4,n<6", true),
            ("n>5", false),
        ];
        for (text, want) in table {
            let labels = parse_labels(text).unwrap();
            assert_eq!(labels.iter().all(|label| label.matches(&object)), want, "{text}");
        }
        assert!(parse_labels("a in (b").is_err());
        assert!(parse_labels("a b=c").is_err());
    }
}
