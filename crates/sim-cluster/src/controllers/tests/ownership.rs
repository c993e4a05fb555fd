//! Garbage collection and namespaces.

use serde_json::{Value, json};

use super::world::{World, deployment};
use crate::Propagation;
use crate::controllers::view::text;

fn with_deployment() -> World {
    let mut world = World::new();
    world.create("deployments.apps", deployment("web", 2, "web:v1"));
    world.pass_seconds(5.0);
    world
}

fn counts(world: &World) -> [usize; 3] {
    ["deployments.apps", "replicasets.apps", "pods"].map(|resource| world.list(resource).len())
}

#[test]
fn in_the_background_the_owner_goes_first_and_dependants_follow() {
    let mut world = with_deployment();
    world.delete("deployments.apps", "web", Propagation::Background);
    assert_eq!(counts(&world), [0, 1, 2]);
    world.pass_seconds(1.0);
    assert_eq!(counts(&world), [0, 0, 0]);
    world.assert_quiet();
}

#[test]
fn in_the_foreground_the_owner_waits_for_the_last_dependant() {
    let mut world = with_deployment();
    world.delete("deployments.apps", "web", Propagation::Foreground);
    world.pass_seconds(0.05);
    assert_eq!(counts(&world), [1, 1, 2]);
    assert!(world.list("pods").iter().all(|pod| pod["metadata"]["deletionTimestamp"].is_string()));
    world.pass_seconds(0.1);
    assert_eq!(counts(&world), [0, 0, 0]);
}

#[test]
fn orphans_lose_their_owner_and_stay() {
    let mut world = with_deployment();
    world.delete("deployments.apps", "web", Propagation::Orphan);
    world.pass_seconds(1.0);
    assert_eq!(counts(&world), [0, 1, 2]);
    assert!(world.list("replicasets.apps")[0]["metadata"]["ownerReferences"].is_null());
    world.assert_quiet();
    // A Deployment with the same selector and template takes the set over without a new pod.
    let pods: Vec<String> = world.list("pods").iter().map(|pod| text(pod, "/metadata/uid").to_owned()).collect();
    world.create("deployments.apps", deployment("web", 2, "web:v1"));
    world.pass_seconds(5.0);
    let after: Vec<String> = world.list("pods").iter().map(|pod| text(pod, "/metadata/uid").to_owned()).collect();
    assert_eq!((counts(&world), after), ([1, 1, 2], pods));
}

fn owned_by(name: &str, owner_name: &str, owner_uid: &str) -> Value {
    json!({"metadata": {"name": name, "ownerReferences": [
        {"apiVersion": "v1", "kind": "ConfigMap", "name": owner_name, "uid": owner_uid},
    ]}})
}

#[test]
fn an_owner_that_never_was_or_has_another_uid_is_absent() {
    let mut world = World::new();
    world.create("configmaps", json!({"metadata": {"name": "owner"}}));
    world.create("configmaps", owned_by("of-nobody", "ghost", "00000000-0000-4000-8000-000000000000"));
    world.create("configmaps", owned_by("of-a-namesake", "owner", "00000000-0000-4000-8000-000000000000"));
    let uid = text(&world.get("configmaps", "owner"), "/metadata/uid").to_owned();
    world.create("configmaps", owned_by("of-the-owner", "owner", &uid));
    world.pass_seconds(1.0);
    let left: Vec<bool> =
        ["of-nobody", "of-a-namesake", "of-the-owner"].map(|name| !world.get("configmaps", name).is_null()).to_vec();
    assert_eq!(left, [false, false, true]);
}

#[test]
fn with_a_second_owner_an_object_stays_and_forgets_the_first() {
    let mut world = World::new();
    for name in ["one", "two"] {
        world.create("configmaps", json!({"metadata": {"name": name}}));
    }
    let reference = |world: &World, name: &str| json!({"apiVersion": "v1", "kind": "ConfigMap", "name": name, "uid": text(&world.get("configmaps", name), "/metadata/uid")});
    let owners = [reference(&world, "one"), reference(&world, "two")];
    world.create("configmaps", json!({"metadata": {"name": "shared", "ownerReferences": owners}}));
    world.pass_seconds(1.0);
    world.delete("configmaps", "one", Propagation::Background);
    world.pass_seconds(1.0);
    assert_eq!(world.get("configmaps", "shared")["metadata"]["ownerReferences"], json!([owners[1]]));
    world.delete("configmaps", "two", Propagation::Background);
    world.pass_seconds(1.0);
    assert_eq!(world.get("configmaps", "shared"), Value::Null);
}

#[test]
fn an_owner_of_an_unknown_kind_does_no_harm() {
    let mut world = World::new();
    let mut object = owned_by("kept", "x", "00000000-0000-4000-8000-000000000000");
    object["metadata"]["ownerReferences"][0]["apiVersion"] = json!("example.com/v1");
    object["metadata"]["ownerReferences"][0]["kind"] = json!("Unknown");
    world.create("configmaps", object);
    world.pass_seconds(10.0);
    assert!(!world.get("configmaps", "kept").is_null());
}

#[test]
fn every_namespace_gets_its_service_account_and_certificate() {
    let mut world = World::new();
    world.create("namespaces", json!({"metadata": {"name": "qa"}}));
    world.pass_seconds(0.0);
    assert!(world.cluster.get("serviceaccounts", "qa", "default").is_some());
    assert!(world.cluster.get("configmaps", "qa", "kube-root-ca.crt").is_some());
    world.assert_quiet();
}

#[test]
fn a_deleted_namespace_takes_its_content_along() {
    let mut world = World::new();
    world.create("namespaces", json!({"metadata": {"name": "qa"}}));
    world.pass_seconds(0.0);
    let mut web = deployment("web", 2, "web:v1");
    web["metadata"]["namespace"] = json!("qa");
    world.create("deployments.apps", web);
    world.create(
        "configmaps",
        json!({"metadata": {"name": "held", "namespace": "qa", "finalizers": ["example.com/hold"]}}),
    );
    world.pass_seconds(5.0);
    world.delete("namespaces", "qa", Propagation::Background);
    world.pass_seconds(5.0);
    let namespace = world.get("namespaces", "qa");
    assert_eq!(namespace["status"]["phase"], "Terminating");
    let messages: Vec<&str> = namespace["status"]["conditions"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|condition| condition["status"] == "True")
        .map(|condition| text(condition, "/message"))
        .collect();
    assert_eq!(
        messages,
        [
            "Some resources are remaining: configmaps. has 1 resource instances",
            "Some content in the namespace has finalizers remaining: example.com/hold in 1 resource instances",
        ]
    );
    world.assert_quiet();
    world.cluster.set_now(world.now);
    let patch = json!({"metadata": {"finalizers": null}});
    world.cluster.acting_as("kubectl").merge("configmaps", "qa", "held", patch).unwrap();
    world.pass_seconds(1.0);
    assert_eq!(world.get("namespaces", "qa"), Value::Null);
    assert_eq!(world.cluster.list("pods", Some("qa")).count(), 0);
    world.assert_quiet();
}

#[test]
fn a_quota_tells_what_is_used() {
    let mut world = World::new();
    world.create(
        "resourcequotas",
        json!({"metadata": {"name": "small"}, "spec": {"hard": {
            "pods": "10", "requests.cpu": "4", "count/deployments.apps": "5", "services": "3",
        }}}),
    );
    let mut web = deployment("web", 3, "web:v1");
    web["spec"]["template"]["spec"]["containers"][0]["resources"] = json!({"requests": {"cpu": "250m"}});
    world.create("deployments.apps", web);
    world.pass_seconds(5.0);
    let used = world.get("resourcequotas", "small")["status"]["used"].clone();
    assert_eq!(used, json!({"pods": "3", "requests.cpu": "750m", "count/deployments.apps": "1", "services": "0"}));
    world.assert_quiet();
}
