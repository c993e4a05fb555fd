//! Amounts in a pod template that nobody can read. The definition of the Rollout lets them pass, the API server would
//! refuse the ReplicaSet; like Argo's tolerant reader they are left out, so that one typing error does not stop a
//! Rollout that could run.

use serde_json::Value;

use super::quantity::canonical_quantity;

/// The lists of containers whose amounts are read one by one.
const CONTAINERS: [&str; 2] = ["containers", "initContainers"];

/// Takes what can't be read out of a template, and names it by its path. Ephemeral containers go as a whole, as with
/// Argo: a template may not have them anyway.
pub(super) fn relieve(template: &mut Value) -> Vec<String> {
    let Some(Value::Object(spec)) = template.get_mut("spec") else { return Vec::new() };
    let mut dropped = Vec::new();
    for list in CONTAINERS {
        let items = spec.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten();
        for (index, container) in items.enumerate() {
            let path = format!("spec.template.spec.{list}[{index}].resources");
            for (what, amount) in amounts(container) {
                dropped.push(format!("{path}.{what}: {amount}"));
            }
        }
    }
    let ephemeral = spec.get("ephemeralContainers").cloned().unwrap_or_default();
    if ephemeral.as_array().into_iter().flatten().any(|container| !amounts(&mut container.clone()).is_empty()) {
        spec.remove("ephemeralContainers");
        dropped.push("spec.template.spec.ephemeralContainers".to_owned());
    }
    dropped
}

/// Removes the unreadable amounts of one container.
fn amounts(container: &mut Value) -> Vec<(String, String)> {
    let mut dropped = Vec::new();
    for kind in ["requests", "limits"] {
        let amounts = container.get_mut("resources").and_then(|resources| resources.get_mut(kind));
        let Some(Value::Object(amounts)) = amounts else { continue };
        amounts.retain(|name, amount| {
            let text = match amount {
                Value::String(text) => text.clone(),
                amount => amount.to_string(),
            };
            let is_readable = canonical_quantity(&text).is_some();
            if !is_readable {
                dropped.push((format!("{kind}.{name}"), text));
            }
            is_readable
        });
    }
    dropped
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_can_not_be_read_is_left_out_and_named() {
        let mut template = json!({"spec": {
            "containers": [{"name": "web", "resources": {"requests": {"memory": "invalid", "cpu": "1m"}}}],
            "ephemeralContainers": [{"name": "web", "resources": {"limits": {"memory": "much"}}}],
        }});
        let dropped = relieve(&mut template);
        let kept = json!({"spec": {"containers": [{"name": "web", "resources": {"requests": {"cpu": "1m"}}}]}});
        assert_eq!(template, kept);
        let named = [
            "spec.template.spec.containers[0].resources.requests.memory: invalid",
            "spec.template.spec.ephemeralContainers",
        ];
        assert_eq!(dropped, named);
        assert!(relieve(&mut template).is_empty());
    }
}
