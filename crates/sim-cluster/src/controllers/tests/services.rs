//! Services and their endpoints.

use serde_json::{Value, json};

use super::world::{World, deployment};
use crate::Propagation;
use crate::controllers::view::{items, text};

fn with_service(target: Value) -> World {
    let mut world = World::new();
    world.create(
        "services",
        json!({"metadata": {"name": "web", "labels": {"team": "blue"}}, "spec": {
            "selector": {"app": "web"}, "ports": [{"name": "http", "port": 80, "targetPort": target}],
        }}),
    );
    world.pass_seconds(0.0);
    world
}

fn slice(world: &World) -> Value {
    let slices = world.list("endpointslices.discovery.k8s.io");
    assert_eq!(slices.len(), 1);
    slices[0].clone()
}

#[test]
fn a_service_without_pods_has_an_empty_slice() {
    let mut world = with_service(json!("http"));
    assert!(items(&slice(&world), "/endpoints").is_empty());
    assert_eq!(
        slice(&world)["metadata"]["labels"],
        json!({
            "team": "blue", "kubernetes.io/service-name": "web",
            "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
        })
    );
    world.assert_quiet();
}

#[test]
fn endpoints_follow_readiness_and_deletion() {
    let mut world = with_service(json!("http"));
    let name = text(&slice(&world), "/metadata/name").to_owned();
    world.create("deployments.apps", deployment("web", 2, "web:v1"));
    world.pass_seconds(0.7);
    let conditions = |world: &World| -> Vec<Value> {
        items(&slice(world), "/endpoints").iter().map(|endpoint| endpoint["conditions"].clone()).collect()
    };
    let state = |ready: bool, serving: bool, terminating: bool| json!({"ready": ready, "serving": serving, "terminating": terminating});
    assert_eq!(conditions(&world), [state(false, false, false), state(false, false, false)]);
    world.pass_seconds(1.0);
    assert_eq!(conditions(&world), [state(true, true, false), state(true, true, false)]);
    assert_eq!(slice(&world)["ports"], json!([{"name": "http", "port": 8080, "protocol": "TCP"}]));
    let endpoint = &slice(&world)["endpoints"][0];
    let pod = world.get("pods", text(endpoint, "/targetRef/name"));
    assert_eq!(endpoint["addresses"], json!([pod["status"]["podIP"]]));
    assert_eq!(endpoint["targetRef"]["uid"], pod["metadata"]["uid"]);
    world.delete("pods", text(&pod, "/metadata/name"), Propagation::Background);
    world.pass_seconds(0.05);
    assert!(conditions(&world).contains(&state(false, true, true)));
    world.pass_seconds(5.0);
    assert_eq!(conditions(&world), [state(true, true, false), state(true, true, false)]);
    assert_eq!(text(&slice(&world), "/metadata/name"), name, "the slice is changed in place");
    world.assert_quiet();
}

#[test]
fn the_older_endpoints_say_the_same() {
    let mut world = with_service(json!(8080));
    world.create("deployments.apps", deployment("web", 2, "web:v1"));
    world.pass_seconds(0.7);
    let subset = |world: &World| world.get("endpoints", "web")["subsets"][0].clone();
    assert_eq!(
        (items(&subset(&world), "/addresses").len(), items(&subset(&world), "/notReadyAddresses").len()),
        (0, 2)
    );
    world.pass_seconds(1.0);
    assert_eq!(
        (items(&subset(&world), "/addresses").len(), items(&subset(&world), "/notReadyAddresses").len()),
        (2, 0)
    );
    world.delete("services", "web", Propagation::Background);
    world.pass_seconds(1.0);
    assert_eq!(world.get("endpoints", "web"), Value::Null);
    assert!(world.list("endpointslices.discovery.k8s.io").is_empty());
}

#[test]
fn a_changed_selector_moves_the_endpoints_at_once() {
    let mut world = with_service(json!(8080));
    for name in ["web", "other"] {
        world.create("deployments.apps", deployment(name, 1, "web:v1"));
    }
    world.pass_seconds(5.0);
    let target =
        |world: &World| text(&slice(world), "/endpoints/0/targetRef/name").split('-').next().unwrap().to_owned();
    assert_eq!(target(&world), "web");
    world.merge("services", "web", json!({"spec": {"selector": {"app": "other"}}}));
    world.pass_seconds(0.0);
    assert_eq!(target(&world), "other");
}

#[test]
fn a_service_without_a_selector_is_left_alone() {
    let mut world = World::new();
    world.create("services", json!({"metadata": {"name": "outside"}, "spec": {"ports": [{"port": 80}]}}));
    world.pass_seconds(5.0);
    assert!(world.list("endpointslices.discovery.k8s.io").is_empty());
}
