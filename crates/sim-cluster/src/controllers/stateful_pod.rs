//! The pods and claims of a StatefulSet: what makes each the one of its number.

use serde_json::{Map, Value, json};

use super::view::{items, owner_reference, text};

/// The pod of a number.
pub(super) fn pod_for(set: &Value, template: &Value, name: &str, number: i64, revision: &str) -> Value {
    let mut metadata = Map::new();
    for key in ["annotations", "finalizers"] {
        if let Some(value) = template.pointer(&format!("/metadata/{key}")) {
            metadata.insert(key.to_owned(), value.clone());
        }
    }
    let mut labels = template.pointer("/metadata/labels").and_then(Value::as_object).cloned().unwrap_or_default();
    labels.insert("apps.kubernetes.io/pod-index".to_owned(), number.to_string().into());
    labels.insert("controller-revision-hash".to_owned(), revision.into());
    labels.insert("statefulset.kubernetes.io/pod-name".to_owned(), name.into());
    metadata.insert("labels".to_owned(), Value::Object(labels));
    metadata.insert("name".to_owned(), name.into());
    // The real controller writes a prefix too, which no name is generated from.
    metadata.insert("generateName".to_owned(), format!("{}-", text(set, "/metadata/name")).into());
    metadata.insert("ownerReferences".to_owned(), json!([owner_reference(set)]));
    let mut spec = template.get("spec").and_then(Value::as_object).cloned().unwrap_or_default();
    spec.insert("hostname".to_owned(), name.into());
    let service = text(set, "/spec/serviceName");
    if !service.is_empty() {
        spec.insert("subdomain".to_owned(), service.into());
    }
    let volumes = volumes(set, &spec, name);
    if !volumes.is_empty() {
        spec.insert("volumes".to_owned(), Value::Array(volumes));
    }
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
}

/// The template's volumes, those of the claims first; a claim takes the place of a volume of its name.
fn volumes(set: &Value, spec: &Map<String, Value>, pod: &str) -> Vec<Value> {
    let claims = items(set, "/spec/volumeClaimTemplates");
    let of_claims = claims.iter().map(|claim| {
        let name = text(claim, "/metadata/name");
        json!({"name": name, "persistentVolumeClaim": {"claimName": format!("{name}-{pod}")}})
    });
    let own = spec.get("volumes").and_then(Value::as_array).into_iter().flatten();
    let is_claimed = |volume: &&Value| claims.iter().any(|claim| claim.pointer("/metadata/name") == volume.get("name"));
    of_claims.chain(own.filter(|volume| !is_claimed(volume)).cloned()).collect()
}

/// The claims of a pod.
pub(super) fn claims_for(set: &Value, pod: &str) -> Vec<Value> {
    let selected = set.pointer("/spec/selector/matchLabels").and_then(Value::as_object).cloned().unwrap_or_default();
    items(set, "/spec/volumeClaimTemplates")
        .iter()
        .map(|template| {
            let mut metadata = template.get("metadata").and_then(Value::as_object).cloned().unwrap_or_default();
            let mut labels = metadata.get("labels").and_then(Value::as_object).cloned().unwrap_or_default();
            labels.extend(selected.clone());
            metadata.insert("labels".to_owned(), Value::Object(labels));
            metadata.insert("name".to_owned(), format!("{}-{pod}", text(template, "/metadata/name")).into());
            json!({"metadata": metadata, "spec": template.get("spec")})
        })
        .collect()
}
