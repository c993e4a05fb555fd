//! Small objects for the tests.

use object_model::{Object, Timestamp};
use serde_json::{Value, json};

pub(crate) fn object(value: Value) -> Object {
    Object::parse(value).unwrap()
}

pub(crate) fn pod(name: &str, app: &str, image: &str) -> Object {
    object(json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "namespace": "qa", "labels": {"app": app}},
        "spec": {"containers": [{"name": "main", "image": image}]},
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]},
    }))
}

pub(crate) fn service(name: &str, app: &str) -> Object {
    object(json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": "qa"},
        "spec": {"selector": {"app": app}},
    }))
}

pub(crate) fn slice(service: &str, pods: &[(&str, bool)]) -> Object {
    let endpoint = |(name, ready): &(&str, bool)| json!({"addresses": ["10.0.0.1"], "conditions": {"ready": ready}, "targetRef": {"kind": "Pod", "name": name}});
    object(json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": {"name": format!("{service}-x"), "namespace": "qa", "labels": {"kubernetes.io/service-name": service}},
        "endpoints": pods.iter().map(endpoint).collect::<Vec<_>>(),
    }))
}

pub(crate) fn virtual_service(http: Value) -> Object {
    object(json!({
        "apiVersion": "networking.istio.io/v1", "kind": "VirtualService",
        "metadata": {"name": "web", "namespace": "qa"}, "spec": {"hosts": ["web"], "http": http},
    }))
}

pub(crate) fn split(canary: u64) -> Object {
    virtual_service(json!([{"route": [
        {"destination": {"host": "web-stable"}, "weight": 100 - canary},
        {"destination": {"host": "web-canary"}, "weight": canary},
    ]}]))
}

/// Seconds after a fixed start.
pub(crate) fn second(seconds: f64) -> Timestamp {
    Timestamp::from_millisecond(1_767_225_600_000 + (seconds * 1000.0) as i64).unwrap()
}
