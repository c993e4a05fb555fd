//! The example operator on the embedded cluster.

#[path = "../../examples/nginx-operator/main.rs"]
#[expect(dead_code, reason = "the example's main is not called from here")]
mod example;

use std::time::Duration;

use reconcile_runtime::Runtime;
use serde_json::json;

use crate::cluster::{World, eventually};

#[tokio::test(start_paused = true)]
async fn the_example_shows_what_came_of_a_config() {
    let told = example::show().await.unwrap();
    assert_eq!(
        told,
        "configmaps/my-nginx: there\ndeployments.apps/my-nginx: there\nservices/my-nginx: there\nready: False\n"
    );
}

async fn nginx() -> World {
    let world = World::new();
    for document in yaml::parse(include_str!("../../examples/nginx-operator/crd.yaml")).unwrap() {
        world.create("customresourcedefinitions.apiextensions.k8s.io", "", document.value);
    }
    world
}

fn operator(world: &World) -> Runtime {
    Runtime::builder(world.client()).clock(world.clock()).domain(example::Nginx).build()
}

fn config(content: &str) -> serde_json::Value {
    json!({"metadata": {"name": "web"}, "spec": {"staticContent": content}})
}

#[tokio::test(start_paused = true)]
async fn a_deleted_child_comes_back_and_a_settled_cluster_sees_no_writes() {
    let world = nginx().await;
    world.create("nginxconfigs.example.com", "default", config("hello"));
    let running = world.start(operator(&world));
    eventually(|| world.has("services", "default", "web")).await;
    world.delete("services", "default", "web");
    eventually(|| world.has("services", "default", "web")).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    world.forget_requests();
    tokio::time::sleep(Duration::from_secs(1_800)).await;
    assert_eq!(world.writes(), Vec::<String>::new());
    drop(running);
}

#[tokio::test(start_paused = true)]
async fn a_service_of_somebody_else_is_left_alone_and_reported() {
    let world = nginx().await;
    let foreign = json!({"metadata": {"name": "web"}, "spec": {"ports": [{"port": 9}]}});
    world.create("services", "default", foreign);
    world.create("nginxconfigs.example.com", "default", config("hello"));
    let running = world.start(operator(&world));
    let message = "/status/message";
    eventually(|| !world.text("nginxconfigs.example.com", "default", "web", message).is_empty()).await;
    assert_eq!(
        world.text("nginxconfigs.example.com", "default", "web", message),
        "Service default/web exists and belongs to somebody else"
    );
    assert_eq!(world.json("services", "default", "web")["spec"]["ports"][0]["port"], 9);
    drop(running);
}
