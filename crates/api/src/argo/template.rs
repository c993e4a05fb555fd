//! What Argo Rollouts refuses of a selector and a pod template, in the words of the API server's own validation.

use std::collections::{BTreeMap, BTreeSet};

use object_model::LabelSelector;
use serde_json::{Value, json};

use crate::Fields;

/// Kubernetes' words on names of containers.
const DNS_LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";

/// Checks the selector and the template of the pods of a Rollout, wherever they come from.
pub(crate) fn check_template(fields: &mut Fields<'_>, selector: &Value, template: &Value) {
    if selector.is_null() {
        fields.problem("spec.selector", "Required value: Rollout has missing field '.spec.selector'");
        return;
    }
    match LabelSelector::parse(selector) {
        Ok(parsed) if parsed.is_empty() => {
            fields.problem("spec.selector", "Invalid value: {}: empty selector is invalid for deployment");
        }
        Ok(parsed) => check_labels(fields, &parsed, template),
        Err(error) => fields.problem("spec.selector", format!("Invalid value: {selector}: {error}")),
    }
    check_containers(fields, template);
    let policy = template.pointer("/spec/restartPolicy").and_then(Value::as_str).filter(|policy| !policy.is_empty());
    if let Some(policy) = policy.filter(|policy| *policy != "Always") {
        let message = format!("Unsupported value: {policy:?}: supported values: \"Always\"");
        fields.problem("spec.template.spec.restartPolicy", message);
    }
    if template.pointer("/spec/activeDeadlineSeconds").is_some_and(|seconds| !seconds.is_null()) {
        let message = "Forbidden: activeDeadlineSeconds in ReplicaSet is not Supported";
        fields.problem("spec.template.spec.activeDeadlineSeconds", message);
    }
}

fn check_labels(fields: &mut Fields<'_>, selector: &LabelSelector, template: &Value) {
    let labels = template.pointer("/metadata/labels").and_then(Value::as_object);
    let labels: BTreeMap<&str, &str> =
        labels.into_iter().flatten().filter_map(|(key, value)| Some((key.as_str(), value.as_str()?))).collect();
    if !selector.matches(&labels) {
        let seen = if labels.is_empty() { Value::Null } else { json!(labels) };
        let message = format!("Invalid value: {seen}: `selector` does not match template `labels`");
        fields.problem("spec.template.metadata.labels", message);
    }
}

fn check_containers(fields: &mut Fields<'_>, template: &Value) {
    let list = |key: &str| template.pointer(&format!("/spec/{key}")).and_then(Value::as_array);
    if list("containers").is_none_or(Vec::is_empty) {
        fields.problem("spec.template.spec.containers", "Required value");
    }
    let mut names = BTreeSet::new();
    for key in ["containers", "initContainers"] {
        for (index, container) in list(key).into_iter().flatten().enumerate() {
            let at = format!("spec.template.spec.{key}[{index}]");
            let text = |key: &str| container.get(key).and_then(Value::as_str).unwrap_or_default();
            let name = text("name");
            if name.is_empty() {
                fields.problem(&format!("{at}.name"), "Required value");
            } else if !is_dns_label(name) {
                fields.problem(&format!("{at}.name"), format!("Invalid value: {name:?}: {DNS_LABEL}"));
            } else if !names.insert(name.to_owned()) {
                fields.problem(&format!("{at}.name"), format!("Duplicate value: {name:?}"));
            }
            if text("image").is_empty() {
                fields.problem(&format!("{at}.image"), "Required value");
            }
        }
    }
}

fn is_dns_label(name: &str) -> bool {
    let is_inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    name.len() <= 63 && !name.starts_with('-') && !name.ends_with('-') && name.bytes().all(is_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use object_model::Object;

    fn problems(change: impl Fn(&mut Value)) -> Vec<String> {
        let mut template = json!({
            "metadata": {"labels": {"app": "web"}},
            "spec": {"containers": [{"name": "web", "image": "web:v1"}]},
        });
        change(&mut template);
        let object =
            Object::parse(json!({"apiVersion": "v1", "kind": "Rollout", "metadata": {"name": "web"}})).unwrap();
        let mut fields = Fields::of(&object);
        check_template(&mut fields, &json!({"matchLabels": {"app": "web"}}), &template);
        fields.into_problems().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_template_is_refused_in_the_servers_words() {
        assert!(problems(|_| {}).is_empty());
        for (pointer, value, wanted) in [
            (
                "/metadata/labels",
                json!({"app": "x"}),
                "spec.template.metadata.labels: Invalid value: {\"app\":\"x\"}: `selector` does not match template `labels`",
            ),
            ("/spec/containers", json!([]), "spec.template.spec.containers: Required value"),
            ("/spec/containers/0/name", json!(""), "spec.template.spec.containers[0].name: Required value"),
            ("/spec/containers/0/image", json!(""), "spec.template.spec.containers[0].image: Required value"),
            (
                "/spec",
                json!({"restartPolicy": "Never", "containers": [{"name": "web", "image": "i"}]}),
                "spec.template.spec.restartPolicy: Unsupported value: \"Never\": supported values: \"Always\"",
            ),
            (
                "/spec/containers",
                json!([{"name": "a", "image": "i"}, {"name": "a", "image": "i"}]),
                "spec.template.spec.containers[1].name: Duplicate value: \"a\"",
            ),
        ] {
            let found = problems(|template| *template.pointer_mut(pointer).unwrap() = value.clone());
            assert_eq!(found, [wanted]);
        }
        let found = problems(|template| template["spec"]["containers"][0]["name"] = json!("Web"));
        assert!(
            found[0].starts_with(
                "spec.template.spec.containers[0].name: Invalid value: \"Web\": a lowercase RFC 1123 label"
            )
        );
    }
}
