//! `sluice restart`, `undo` and `set image`.

use serde_json::{Value, json};

use crate::World;

const ROLLOUTS: &str = "/apis/argoproj.io/v1alpha1/namespaces/default/rollouts";
const SETS: &str = "/apis/apps/v1/namespaces/default/replicasets";

fn template(image: &str, hash: Option<&str>) -> Value {
    let mut labels = json!({"app": "web"});
    if let Some(hash) = hash {
        labels["rollouts-pod-template-hash"] = hash.into();
    }
    json!({
        "metadata": {"labels": labels},
        "spec": {"containers": [{"name": "web", "image": image}, {"name": "log", "image": "log:1"}]},
    })
}

fn rollout(world: &World, annotations: &Value) {
    let spec = json!({
        "replicas": 1, "selector": {"matchLabels": {"app": "web"}}, "strategy": {"canary": {}},
        "template": template("web:3", None),
    });
    let metadata = json!({"name": "web", "namespace": "default", "annotations": annotations});
    let object = json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "metadata": metadata, "spec": spec});
    world.create(ROLLOUTS, &object);
}

fn revisions(world: &World) {
    let uid = world.get("rollouts.argoproj.io", "web")["metadata"]["uid"].clone();
    for revision in 1..=3 {
        let (name, hash) = (format!("web-{revision}"), format!("h{revision}"));
        let owner = json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "name": "web", "uid": uid, "controller": true});
        world.create(
            SETS,
            &json!({
                "apiVersion": "apps/v1", "kind": "ReplicaSet",
                "metadata": {
                    "name": name, "ownerReferences": [owner],
                    "annotations": {"rollout.argoproj.io/revision": revision.to_string()},
                },
                "spec": {
                    "replicas": 0, "selector": {"matchLabels": {"app": "web"}},
                    "template": template(&format!("web:{revision}"), Some(&hash)),
                },
            }),
        );
    }
}

fn images(world: &World) -> String {
    let rollout = world.get("rollouts.argoproj.io", "web");
    let containers = rollout["spec"]["template"]["spec"]["containers"].as_array().unwrap();
    containers.iter().map(|container| container["image"].as_str().unwrap()).collect::<Vec<_>>().join(" ")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rollout_of_nobody_is_restarted_taken_back_and_given_images() {
    let world = World::new().await;
    rollout(&world, &json!({}));
    revisions(&world);
    assert_eq!(world.sluice(&["undo", "web"]).await, (Some(0), "rollout/web taken back to revision 2\n".to_owned()));
    assert_eq!(images(&world), "web:2 log:1");
    let labels = &world.get("rollouts.argoproj.io", "web")["spec"]["template"]["metadata"]["labels"];
    assert_eq!(*labels, json!({"app": "web"}));
    assert_eq!(world.sluice(&["undo", "rollout/web", "--to-revision", "1"]).await.0, Some(0));
    assert_eq!(images(&world), "web:1 log:1");
    let (code, text) = world.sluice(&["undo", "web", "--to-revision", "9"]).await;
    assert_eq!(code, Some(1));
    assert!(text.contains("hint: there are: 3, 2, 1"), "{text}");

    assert_eq!(world.sluice(&["set", "image", "web", "web=web:7", "log=log:2"]).await.0, Some(0));
    assert_eq!(images(&world), "web:7 log:2");
    assert_eq!(world.sluice(&["set", "image", "web", "*=all:1"]).await.0, Some(0));
    assert_eq!(images(&world), "all:1 all:1");
    let (code, text) = world.sluice(&["set", "image", "web", "none=x"]).await;
    assert_eq!((code, text.contains("Rollout web has no container `none`")), (Some(1), true), "{text}");
    assert_eq!(world.sluice(&["set", "image", "web", "web"]).await.0, Some(2));

    assert_eq!(world.sluice(&["restart", "web"]).await.0, Some(0));
    let at = world.get("rollouts.argoproj.io", "web")["spec"]["restartAt"].as_str().unwrap().to_owned();
    let at: object_model::Timestamp = at.parse().unwrap();
    assert!(at.duration_until(reconcile_runtime::Clock::Wall.now()).as_secs() < 30);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_git_delivers_is_changed_in_git() {
    let world = World::new().await;
    world.create(
        "/apis/sluice.dev/v1/namespaces/default/gitopsconfigs",
        &json!({
            "apiVersion": "sluice.dev/v1", "kind": "GitOpsConfig", "metadata": {"name": "site", "namespace": "default"},
            "spec": {"url": "https://git.example.com/fleet.git", "branch": "main", "path": "qa"},
        }),
    );
    rollout(
        &world,
        &json!({"sluice.dev/config": "default/site", "sluice.dev/source": "qa/web.yaml:1", "sluice.dev/commit": "abc"}),
    );
    for command in [&["undo", "web"][..], &["set", "image", "web", "web=x"]] {
        let (code, text) = world.sluice(command).await;
        assert_eq!(code, Some(1));
        assert!(
            text.contains("hint: change qa/web.yaml:1 and push; or take the commit back: git revert abc"),
            "{text}"
        );
    }
    assert_eq!(world.sluice(&["suspend", "config/site"]).await.0, Some(0));
    assert_eq!(world.sluice(&["set", "image", "web", "web=web:8"]).await.0, Some(0));
    assert_eq!(images(&world), "web:8 log:1");
}
