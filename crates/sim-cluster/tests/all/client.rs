//! kube-rs against the cluster in the same process.

use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, DeleteParams, ListParams, PostParams, WatchEvent, WatchParams};
use serde_json::json;
use sim_cluster::{Clock, Cluster, Handle};

fn handle() -> Handle {
    Handle::new(Cluster::default(), Clock::tokio_from("2026-11-22T07:00:00Z".parse().unwrap()))
}

#[tokio::test(start_paused = true)]
async fn a_typed_client_creates_lists_scales_and_deletes() {
    let handle = handle();
    let client = kube::Client::new(handle.service(), "default");
    assert_eq!(client.apiserver_version().await.unwrap().git_version, "v1.35.4");
    let deployments: Api<Deployment> = Api::namespaced(client, "default");
    let web: Deployment = serde_json::from_value(json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
        "spec": {
            "selector": {"matchLabels": {"app": "web"}},
            "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "a", "image": "a:1"}]}},
        },
    }))
    .unwrap();
    let created = deployments.create(&PostParams::default(), &web).await.unwrap();
    assert_eq!(created.spec.unwrap().replicas, Some(1));
    let again = deployments.create(&PostParams::default(), &web).await.unwrap_err();
    assert!(matches!(again, kube::Error::Api(status) if status.reason == "AlreadyExists"));
    let mut scale = deployments.get_scale("web").await.unwrap();
    scale.spec.as_mut().unwrap().replicas = Some(4);
    deployments.replace_scale("web", &PostParams::default(), &scale).await.unwrap();
    let list = deployments.list(&ListParams::default()).await.unwrap();
    assert_eq!(list.items[0].spec.as_ref().unwrap().replicas, Some(4));
    deployments.delete("web", &DeleteParams::default()).await.unwrap();
    assert!(deployments.get_opt("web").await.unwrap().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_watch_ends_when_its_time_is_over_and_brings_bookmarks() {
    let handle = handle();
    let maps: Api<ConfigMap> = Api::namespaced(kube::Client::new(handle.service(), "default"), "default");
    let revision = handle.with(|cluster| cluster.revision()).to_string();
    let mut stream = maps.watch(&WatchParams::default().timeout(90), &revision).await.unwrap().boxed();
    let writer = handle.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(5)).await;
        let body = json!({"metadata": {"name": "late"}});
        writer.with(|cluster| cluster.acting_as("someone").create("configmaps", "default", body).unwrap());
    });
    let mut seen = Vec::new();
    while let Some(event) = stream.next().await {
        seen.push(match event.unwrap() {
            WatchEvent::Added(map) => format!("added {}", map.metadata.name.unwrap()),
            WatchEvent::Bookmark(_) => "bookmark".to_owned(),
            other => format!("{other:?}"),
        });
    }
    assert_eq!(seen, ["added late", "bookmark", "bookmark"]);
}

#[tokio::test]
async fn an_apply_goes_through_and_others_conflict() {
    use kube::api::{Patch, PatchParams};
    let handle = handle();
    let maps: Api<ConfigMap> = Api::namespaced(kube::Client::new(handle.service(), "default"), "default");
    let body = |color: &str| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"color": color}});
    maps.patch("a", &PatchParams::apply("one"), &Patch::Apply(&body("blue"))).await.unwrap();
    let refused = maps.patch("a", &PatchParams::apply("two"), &Patch::Apply(&body("green"))).await.unwrap_err();
    assert!(matches!(refused, kube::Error::Api(status) if status.code == 409));
    let taken = maps.patch("a", &PatchParams::apply("two").force(), &Patch::Apply(&body("green"))).await.unwrap();
    assert_eq!(taken.metadata.managed_fields.unwrap().len(), 1);
}
