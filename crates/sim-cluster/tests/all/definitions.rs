//! The definitions that users of this field have installed, and the manifests they start from.

#![expect(clippy::print_stderr, reason = "a skipped test says so")]

use std::path::{Path, PathBuf};

use object_model::Timestamp;
use serde_json::Value;
use sim_cluster::{Cluster, Request};

fn folder(name: &str) -> Option<PathBuf> {
    let places = ["../../../shared/data", "../../../../shared/data"];
    let found = places
        .iter()
        .map(|place| Path::new(env!("CARGO_MANIFEST_DIR")).join(place).join(name))
        .find(|path| path.is_dir());
    if found.is_none() {
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "../shared/data/{name} is missing");
        eprintln!("skipped: ../shared/data/{name} is missing");
    }
    found
}

fn documents(folder: &Path, found: &mut Vec<Value>) {
    let mut entries: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            documents(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "yaml") {
            let text = std::fs::read_to_string(&path).unwrap();
            found.extend(yaml::parse(&text).unwrap().into_iter().map(|document| document.value));
        }
    }
}

fn post(cluster: &mut Cluster, object: &Value) -> (u16, Value) {
    let api_version = object["apiVersion"].as_str().unwrap();
    let resource = cluster.resource_of_kind(api_version, object["kind"].as_str().unwrap()).cloned();
    let Some(resource) = resource else { return (0, Value::Null) };
    let group = if resource.group.is_empty() { "api/v1".to_owned() } else { format!("apis/{api_version}") };
    let namespace = object["metadata"]["namespace"].as_str().unwrap_or("default");
    let scope = if resource.namespaced { format!("namespaces/{namespace}/") } else { String::new() };
    let now: Timestamp = "2026-11-22T07:00:00Z".parse().unwrap();
    let reply = cluster.handle(&Request::post(&format!("/{group}/{scope}{}", resource.plural), object), now);
    (reply.status(), reply.to_json())
}

#[test]
fn the_definitions_of_the_field_install_and_their_manifests_are_accepted() {
    let (Some(definitions), Some(manifests)) = (folder("crds"), folder("manifests")) else { return };
    let mut cluster = Cluster::default();
    let mut found = Vec::new();
    documents(&definitions, &mut found);
    let mut installed = 0;
    for definition in found.iter().filter(|object| object["kind"] == "CustomResourceDefinition") {
        let (status, answer) = post(&mut cluster, definition);
        assert_eq!(status, 201, "{}: {}", definition["metadata"]["name"], answer["message"]);
        installed += 1;
    }
    assert!(installed >= 20, "{installed} definitions");
    let mut objects = Vec::new();
    documents(&manifests, &mut objects);
    let mut accepted = 0;
    for object in objects.iter().filter(|object| object["kind"] != "Namespace" && object.is_object()) {
        if let Some(namespace) = object["metadata"]["namespace"].as_str() {
            let body = serde_json::json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}});
            post(&mut cluster, &body);
        }
        let (status, answer) = post(&mut cluster, object);
        let what = format!("{} {}", object["kind"], object["metadata"]["name"]);
        // Kinds whose definition is the project's own are not among these.
        if status != 0 && status != 409 {
            assert_eq!(status, 201, "{what}: {}", answer["message"]);
            accepted += usize::from(cluster_kind_is_custom(&cluster, object));
        }
    }
    assert!(accepted >= 5, "{accepted} custom objects");
}

fn cluster_kind_is_custom(cluster: &Cluster, object: &Value) -> bool {
    let kind = object["kind"].as_str().unwrap();
    cluster.resource_of_kind(object["apiVersion"].as_str().unwrap(), kind).is_some_and(|it| it.custom.is_some())
}
