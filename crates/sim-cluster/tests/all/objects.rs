//! Create, update, patch, delete, list and watch through requests.

use object_model::Timestamp;
use serde_json::{Value, json};
use sim_cluster::{Cluster, Reply, Request, Watch};

pub(crate) fn now() -> Timestamp {
    "2026-11-22T07:00:00Z".parse().unwrap()
}

pub(crate) fn ask(cluster: &mut Cluster, request: Request) -> (u16, Value) {
    let reply = cluster.handle(&request, now());
    (reply.status(), reply.to_json())
}

pub(crate) fn watch(cluster: &mut Cluster, target: &str) -> Watch {
    match cluster.handle(&Request::get(target), now()) {
        Reply::Watch(watch) => *watch,
        Reply::Response(response) => panic!("{}", response.to_json()),
    }
}

pub(crate) fn events(cluster: &Cluster, watch: &mut Watch) -> Vec<String> {
    let polled = watch.poll(cluster, now());
    polled
        .lines
        .iter()
        .map(|line| {
            let event: Value = serde_json::from_slice(line).unwrap();
            let name = event["object"]["metadata"]["name"].as_str().unwrap_or("-").to_owned();
            format!("{} {name}", event["type"].as_str().unwrap())
        })
        .collect()
}

const MAPS: &str = "/api/v1/namespaces/default/configmaps";

fn map(name: &str) -> Value {
    json!({"metadata": {"name": name, "labels": {"app": name}}, "data": {"a": "1"}})
}

#[test]
fn a_write_that_changes_nothing_makes_no_revision() {
    let mut cluster = Cluster::default();
    let (code, created) = ask(&mut cluster, Request::post(MAPS, &map("one")));
    assert_eq!(code, 201);
    let revision = cluster.revision();
    assert_eq!(created["metadata"]["resourceVersion"], revision.to_string());
    let patch = Request::patch(&format!("{MAPS}/one"), "application/merge-patch+json", &json!({"data": {"a": "1"}}));
    assert_eq!(ask(&mut cluster, patch).0, 200);
    assert_eq!(ask(&mut cluster, Request::put(&format!("{MAPS}/one"), &created)).0, 200);
    assert_eq!(cluster.revision(), revision);
}

#[test]
fn a_write_from_a_stale_revision_is_refused() {
    let mut cluster = Cluster::default();
    let (_, created) = ask(&mut cluster, Request::post(MAPS, &map("one")));
    let patch = Request::patch(&format!("{MAPS}/one"), "application/merge-patch+json", &json!({"data": {"a": "2"}}));
    ask(&mut cluster, patch);
    let (code, status) = ask(&mut cluster, Request::put(&format!("{MAPS}/one"), &created));
    assert_eq!(code, 409);
    assert_eq!(
        status["message"],
        "Operation cannot be fulfilled on configmaps \"one\": the object has been modified; please apply your changes to the latest version and try again"
    );
    assert_eq!(status["reason"], "Conflict");
    assert_eq!(status["details"], json!({"name": "one", "kind": "configmaps"}));
}

#[test]
fn a_watch_sees_changes_relative_to_its_selector() {
    let mut cluster = Cluster::default();
    let from = cluster.revision();
    let mut open = watch(&mut cluster, &format!("{MAPS}?watch=1&resourceVersion={from}&labelSelector=app%3Done"));
    ask(&mut cluster, Request::post(MAPS, &map("one")));
    ask(&mut cluster, Request::post(MAPS, &map("two")));
    let relabel = json!({"metadata": {"labels": {"app": "other"}}});
    let target = format!("{MAPS}/one");
    ask(&mut cluster, Request::patch(&target, "application/merge-patch+json", &relabel));
    ask(&mut cluster, Request::delete(&target));
    assert_eq!(events(&cluster, &mut open), ["ADDED one", "DELETED one"]);
}

#[test]
fn a_limited_list_goes_on_where_it_stopped_in_the_same_revision() {
    let mut cluster = Cluster::default();
    for name in ["a", "b", "c"] {
        ask(&mut cluster, Request::post(MAPS, &map(name)));
    }
    let (_, first) = ask(&mut cluster, Request::get(&format!("{MAPS}?limit=2")));
    assert_eq!(first["metadata"]["remainingItemCount"], 1);
    ask(&mut cluster, Request::delete(&format!("{MAPS}/c")));
    let token = first["metadata"]["continue"].as_str().unwrap();
    let (_, rest) = ask(&mut cluster, Request::get(&format!("{MAPS}?limit=2&continue={token}")));
    assert_eq!(rest["items"][0]["metadata"]["name"], "c");
    assert_eq!(rest["metadata"]["resourceVersion"], first["metadata"]["resourceVersion"]);
    let newest = cluster.revision();
    cluster.compact(newest);
    let (code, gone) = ask(&mut cluster, Request::get(&format!("{MAPS}?limit=2&continue={token}")));
    assert_eq!((code, gone["reason"].as_str()), (410, Some("Expired")));
    assert!(gone["metadata"]["continue"].is_string());
}

#[test]
fn a_finalizer_keeps_the_object_until_it_is_removed() {
    let mut cluster = Cluster::default();
    let mut body = map("one");
    body["metadata"]["finalizers"] = json!(["example.com/hold"]);
    ask(&mut cluster, Request::post(MAPS, &body));
    let target = format!("{MAPS}/one");
    let (code, marked) = ask(&mut cluster, Request::delete(&target));
    assert_eq!(code, 200);
    assert_eq!(marked["metadata"]["deletionTimestamp"], "2026-11-22T07:00:00Z");
    let more = json!({"metadata": {"finalizers": ["example.com/hold", "example.com/more"]}});
    let (code, refused) = ask(&mut cluster, Request::patch(&target, "application/merge-patch+json", &more));
    assert_eq!(code, 422, "{refused}");
    let none = json!({"metadata": {"finalizers": null}});
    ask(&mut cluster, Request::patch(&target, "application/merge-patch+json", &none));
    assert_eq!(ask(&mut cluster, Request::get(&target)).0, 404);
}

#[test]
fn nothing_is_created_in_a_missing_or_terminating_namespace() {
    let mut cluster = Cluster::default();
    let (code, missing) = ask(&mut cluster, Request::post("/api/v1/namespaces/none/configmaps", &map("one")));
    assert_eq!((code, missing["message"].as_str()), (404, Some("namespaces \"none\" not found")));
    ask(&mut cluster, Request::post("/api/v1/namespaces", &json!({"metadata": {"name": "qa"}})));
    ask(&mut cluster, Request::delete("/api/v1/namespaces/qa"));
    let (code, refused) = ask(&mut cluster, Request::post("/api/v1/namespaces/qa/configmaps", &map("one")));
    assert_eq!(code, 403);
    assert_eq!(refused["details"]["causes"][0]["reason"], "NamespaceTerminating");
    let finalized = json!({"metadata": {"name": "qa"}, "spec": {"finalizers": []}});
    assert_eq!(ask(&mut cluster, Request::put("/api/v1/namespaces/qa/finalize", &finalized)).0, 200);
    assert_eq!(ask(&mut cluster, Request::get("/api/v1/namespaces/qa")).0, 404);
}
