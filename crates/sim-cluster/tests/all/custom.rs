//! CustomResourceDefinitions and the objects of their kinds.

use serde_json::{Value, json};
use sim_cluster::{Cluster, Reply, Request};

use crate::objects::{ask, now};

pub(crate) fn definition() -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "sites.example.com"},
        "spec": {
            "group": "example.com", "scope": "Namespaced",
            "names": {"plural": "sites", "kind": "Site", "shortNames": ["st"]},
            "versions": [{
                "name": "v1", "served": true, "storage": true,
                "subresources": {"status": {}, "scale": {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"}},
                "additionalPrinterColumns": [{"name": "Color", "type": "string", "jsonPath": ".spec.color"}],
                "schema": {"openAPIV3Schema": {"type": "object", "properties": {
                    "spec": {"type": "object", "required": ["color"], "properties": {
                        "color": {"type": "string", "enum": ["blue", "green"]},
                        "replicas": {"type": "integer", "default": 1, "minimum": 0},
                        "routes": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"], "items": {
                            "type": "object", "required": ["name"], "properties": {"name": {"type": "string"}, "weight": {"type": "integer"}},
                        }},
                    }},
                    "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
                }}},
            }],
        },
    })
}

const SITES: &str = "/apis/example.com/v1/namespaces/default/sites";

fn installed() -> Cluster {
    let mut cluster = Cluster::default();
    assert_eq!(ask(&mut cluster, Request::get(SITES)).0, 404);
    let target = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    let (code, created) = ask(&mut cluster, Request::post(target, &definition()));
    assert_eq!(code, 201, "{created}");
    let (_, stored) = ask(&mut cluster, Request::get(&format!("{target}/sites.example.com")));
    assert_eq!(stored["status"]["conditions"][1]["type"], "Established");
    cluster
}

fn site(spec: Value) -> Value {
    json!({"apiVersion": "example.com/v1", "kind": "Site", "metadata": {"name": "one"}, "spec": spec})
}

#[test]
fn custom_objects_are_pruned_defaulted_and_validated() {
    let mut cluster = installed();
    let request = Request::post(SITES, &site(json!({"color": "blue", "typo": 1})));
    let Reply::Response(response) = cluster.handle(&request, now()) else { panic!("a watch") };
    assert_eq!(response.status, 201);
    assert_eq!(response.headers["warning"], "299 - \"unknown field \\\"spec.typo\\\"\"");
    assert_eq!(response.to_json()["spec"], json!({"color": "blue", "replicas": 1}));
    let strict = format!("{SITES}?fieldValidation=Strict");
    let (code, status) = ask(&mut cluster, Request::post(&strict, &site(json!({"color": "blue", "typo": 1}))));
    assert_eq!(code, 400);
    insta::assert_snapshot!(status["message"].as_str().unwrap(), @r#"Site in version "v1" cannot be handled as a Site: strict decoding error: unknown field "spec.typo""#);
    let (code, status) = ask(&mut cluster, Request::post(SITES, &site(json!({"color": "red", "replicas": "x"}))));
    assert_eq!(code, 422);
    insta::assert_snapshot!(status["message"].as_str().unwrap(), @r#"Site.example.com "one" is invalid: [spec.color: Unsupported value: "red": supported values: "blue", "green", spec.replicas: Invalid value: "string": spec.replicas in body must be of type integer: "string"]"#);
}

#[test]
fn custom_objects_need_a_revision_to_be_replaced_and_count_generations() {
    let mut cluster = installed();
    let (_, created) = ask(&mut cluster, Request::post(SITES, &site(json!({"color": "blue"}))));
    let target = format!("{SITES}/one");
    let (code, status) = ask(&mut cluster, Request::put(&target, &site(json!({"color": "green"}))));
    assert_eq!(code, 422);
    assert_eq!(
        status["message"],
        "sites.example.com \"one\" is invalid: metadata.resourceVersion: Invalid value: 0: must be specified for an update"
    );
    let mut changed = created.clone();
    changed["spec"]["color"] = json!("green");
    changed["status"] = json!({"ready": true});
    let (_, updated) = ask(&mut cluster, Request::put(&target, &changed));
    assert_eq!((&updated["metadata"]["generation"], updated.get("status")), (&json!(2), None));
    let patch = Request::patch(&format!("{target}/status"), "application/merge-patch+json", &changed_status());
    let (_, reported) = ask(&mut cluster, patch);
    assert_eq!((&reported["metadata"]["generation"], &reported["spec"]["color"]), (&json!(2), &json!("green")));
    assert_eq!(reported["status"], json!({"ready": true}));
}

fn changed_status() -> Value {
    json!({"status": {"ready": true}, "spec": {"color": "blue"}})
}

#[test]
fn lists_with_keys_merge_by_them() {
    let mut cluster = installed();
    let target = format!("{SITES}/one");
    let mut apply = |manager: &str, routes: Value, color: Option<&str>| {
        let mut spec = json!({"routes": routes});
        if let Some(color) = color {
            spec["color"] = json!(color);
        }
        let target = format!("{target}?fieldManager={manager}");
        ask(&mut cluster, Request::patch(&target, "application/apply-patch+yaml", &site(spec)))
    };
    apply("a", json!([{"name": "x", "weight": 1}]), Some("blue"));
    let (_, both) = apply("b", json!([{"name": "y", "weight": 2}]), None);
    assert_eq!(both["spec"]["routes"], json!([{"name": "x", "weight": 1}, {"name": "y", "weight": 2}]));
    let (_, rest) = apply("a", json!([]), Some("blue"));
    assert_eq!(rest["spec"]["routes"], json!([{"name": "y", "weight": 2}]));
}

#[test]
fn strategic_merge_is_not_for_custom_objects() {
    let mut cluster = installed();
    ask(&mut cluster, Request::post(SITES, &site(json!({"color": "blue"}))));
    let patch = Request::patch(&format!("{SITES}/one"), "application/strategic-merge-patch+json", &json!({"spec": {}}));
    assert_eq!(ask(&mut cluster, patch).0, 415);
}

#[test]
fn a_definition_goes_after_its_objects() {
    let mut cluster = installed();
    let mut held = site(json!({"color": "blue"}));
    held["metadata"]["finalizers"] = json!(["example.com/hold"]);
    ask(&mut cluster, Request::post(SITES, &held));
    let target = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/sites.example.com";
    assert_eq!(ask(&mut cluster, Request::delete(target)).0, 200);
    let (code, going) = ask(&mut cluster, Request::get(target));
    assert_eq!((code, going["metadata"]["deletionTimestamp"].is_string()), (200, true));
    let mut other = site(json!({"color": "blue"}));
    other["metadata"]["name"] = json!("two");
    assert_eq!(ask(&mut cluster, Request::post(SITES, &other)).0, 405);
    let release = json!({"metadata": {"finalizers": null}});
    ask(&mut cluster, Request::patch(&format!("{SITES}/one"), "application/merge-patch+json", &release));
    assert_eq!(ask(&mut cluster, Request::get(target)).0, 404);
    assert_eq!(ask(&mut cluster, Request::get(SITES)).0, 404);
}

#[test]
fn an_event_has_two_forms() {
    let mut cluster = Cluster::default();
    let event = json!({
        "metadata": {"name": "e"}, "regarding": {"kind": "Pod", "name": "a", "namespace": "default"}, "note": "hello",
        "reason": "Why", "action": "Look", "type": "Normal", "eventTime": "2026-11-22T07:00:00.000000Z",
        "reportingController": "sluice", "reportingInstance": "sluice-0",
    });
    let (code, created) = ask(&mut cluster, Request::post("/apis/events.k8s.io/v1/namespaces/default/events", &event));
    assert_eq!((code, &created["note"]), (201, &json!("hello")), "{created}");
    let (_, core) = ask(&mut cluster, Request::get("/api/v1/namespaces/default/events/e"));
    assert_eq!((&core["message"], &core["involvedObject"]["name"]), (&json!("hello"), &json!("a")));
    assert_eq!(core["apiVersion"], "v1");
}
