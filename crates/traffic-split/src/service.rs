//! Services: which pods are behind the canary's and the stable Service.

use object_model::{Object, PodHash};

use crate::change::escaped;
use crate::{Change, Claim, MANAGED_BY_ANNOTATION, POD_HASH_LABEL};
use serde_json::Value;

/// Points a Service at the pods with `hash`, or, without one, at the pods of every hash, and marks it as driven by the
/// Rollout `owner`. Gives the change, if there is one, and the fields that are claimed.
pub fn select_pods(service: &Object, hash: Option<&PodHash>, owner: &str) -> (Option<Change>, Vec<Claim>) {
    let Some(hash) = hash else {
        let summary = format!("Removed the pod hash from the selector of service '{}'", service.name());
        return (Change::update(service, left_behind(service), summary), Vec::new());
    };
    let mut wanted = service.clone();
    wanted.set_at(&["spec", "selector", POD_HASH_LABEL], hash.as_str().into());
    if service.annotation(MANAGED_BY_ANNOTATION) != Some(owner) {
        wanted.set_annotation(MANAGED_BY_ANNOTATION, owner);
    }
    let claim = |pointer: String| Claim { object: service.id(), pointer };
    let claims = vec![
        claim(format!("/metadata/annotations/{}", escaped(MANAGED_BY_ANNOTATION))),
        claim(format!("/spec/selector/{}", escaped(POD_HASH_LABEL))),
    ];
    let summary = format!("Switched selector for service '{}' to value '{hash}'", service.name());
    (Change::update(service, wanted, summary), claims)
}

/// A Service that a Rollout drove once, without the hash in its selector and without the mark.
pub(crate) fn left_behind(service: &Object) -> Object {
    let mut wanted = service.clone();
    remove(&mut wanted, &["spec", "selector"], POD_HASH_LABEL);
    remove(&mut wanted, &["metadata", "annotations"], MANAGED_BY_ANNOTATION);
    wanted
}

fn remove(object: &mut Object, path: &[&str], key: &str) {
    let mut map = object.json_mut();
    for part in path {
        let Some(Value::Object(next)) = map.get_mut(*part) else { return };
        map = next;
    }
    map.remove(key);
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_service_is_switched_marked_and_let_go() {
        let service = Object::parse(json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "namespace": "qa"},
            "spec": {"selector": {"app": "web"}},
        }))
        .unwrap();
        let hash = PodHash::new("abc");
        let (change, claims) = select_pods(&service, Some(&hash), "web");
        let change = change.unwrap();
        assert_eq!(change.summary, "Switched selector for service 'web' to value 'abc'");
        assert_eq!(claims[1].pointer, "/spec/selector/rollouts-pod-template-hash");
        let switched = change.object().clone();
        assert_eq!(switched.str_at("/spec/selector/rollouts-pod-template-hash"), Some("abc"));
        assert_eq!(select_pods(&switched, Some(&hash), "web").0, None);
        let released = select_pods(&switched, None, "web").0.unwrap();
        assert_eq!(released.object().pointer("/spec"), service.pointer("/spec"));
        assert_eq!(released.object().annotation(MANAGED_BY_ANNOTATION), None);
    }
}
