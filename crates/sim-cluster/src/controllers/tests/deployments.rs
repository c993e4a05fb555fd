//! Deployments and their ReplicaSets.

use serde_json::json;

use super::world::{World, deployment, set_image};
use crate::Propagation;
use crate::controllers::view::{condition, text};

fn ready(replicas: i64) -> World {
    let mut world = World::new();
    world.create("deployments.apps", deployment("web", replicas, "web:v1"));
    world.pass_seconds(10.0);
    world
}

fn reason(world: &World, kind: &str) -> (String, String) {
    let web = world.get("deployments.apps", "web");
    let found = condition(&web, kind).cloned().unwrap_or_default();
    (text(&found, "/status").to_owned(), text(&found, "/reason").to_owned())
}

#[test]
fn a_new_deployment_becomes_available_and_then_nothing_is_written() {
    let mut world = ready(3);
    let web = world.get("deployments.apps", "web");
    assert_eq!(world.sets(), [(3, 3, "1".to_owned())]);
    let hash =
        world.list("replicasets.apps")[0]["metadata"]["labels"]["pod-template-hash"].as_str().unwrap().to_owned();
    let status = serde_json::to_string_pretty(&web["status"]).unwrap().replace(&hash, "HASH");
    insta::assert_snapshot!(status, @r#"
    {
      "availableReplicas": 3,
      "conditions": [
        {
          "lastTransitionTime": "2026-01-01T00:00:01Z",
          "lastUpdateTime": "2026-01-01T00:00:01Z",
          "message": "Deployment has minimum availability.",
          "reason": "MinimumReplicasAvailable",
          "status": "True",
          "type": "Available"
        },
        {
          "lastTransitionTime": "2026-01-01T00:00:00Z",
          "lastUpdateTime": "2026-01-01T00:00:01Z",
          "message": "ReplicaSet \"web-HASH\" has successfully progressed.",
          "reason": "NewReplicaSetAvailable",
          "status": "True",
          "type": "Progressing"
        }
      ],
      "observedGeneration": 1,
      "readyReplicas": 3,
      "replicas": 3,
      "terminatingReplicas": 0,
      "updatedReplicas": 3
    }
    "#);
    assert_eq!(web["metadata"]["annotations"]["deployment.kubernetes.io/revision"], "1");
    let set = &world.list("replicasets.apps")[0];
    let hash = set["metadata"]["labels"]["pod-template-hash"].as_str().unwrap();
    assert_eq!(set["metadata"]["name"], format!("web-{hash}"));
    assert_eq!(set["spec"]["selector"]["matchLabels"]["pod-template-hash"], hash);
    assert_eq!(world.list("pods")[0]["metadata"]["labels"]["pod-template-hash"], hash);
    world.assert_quiet();
}

#[test]
fn pods_take_twelve_tenths_of_a_second_to_become_ready() {
    let mut world = World::new();
    world.create("deployments.apps", deployment("web", 2, "web:v1"));
    world.pass_seconds(0.7);
    assert!(world.list("pods").iter().all(|pod| pod["status"]["phase"] == "Running"));
    assert_eq!(world.ready_pods(), 0);
    world.pass_seconds(0.4);
    assert_eq!(world.ready_pods(), 0);
    world.pass_seconds(0.1);
    assert_eq!(world.ready_pods(), 2);
}

#[test]
fn a_rolling_update_keeps_to_surge_and_availability_at_every_moment() {
    for (replicas, surge, unavailable) in [
        (4, json!("25%"), json!("25%")),
        (10, json!(1), json!(0)),
        (5, json!(0), json!(2)),
        (3, json!("100%"), json!(0)),
        (1, json!(0), json!(0)),
    ] {
        let mut world = World::new();
        let mut web = deployment("web", replicas, "web:v1");
        web["spec"]["strategy"] =
            json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}});
        if surge == 0 && unavailable == 0 {
            web["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] = json!(1);
        }
        world.create("deployments.apps", web);
        world.pass_seconds(10.0);
        world.merge("deployments.apps", "web", set_image("web:v2"));
        let of = |value: &serde_json::Value, up: bool| match value.as_str() {
            Some(percent) => {
                let exact = percent.trim_end_matches('%').parse::<f64>().unwrap() * replicas as f64 / 100.0;
                (if up { exact.ceil() } else { exact.floor() }) as i64
            }
            None => value.as_i64().unwrap(),
        };
        let most = replicas + of(&surge, true);
        let least =
            replicas - of(&unavailable, false).max(i64::from(of(&surge, true) == 0 && of(&unavailable, false) == 0));
        for _ in 0..250 {
            world.pass_seconds(0.1);
            let alive = world.cluster.list("pods", Some("default")).filter(|pod| !pod.is_deleting()).count();
            assert!(alive as i64 <= most, "{replicas} {surge} {unavailable}: {alive} pods");
            assert!(
                world.ready_pods() as i64 >= least,
                "{replicas} {surge} {unavailable}: {} ready",
                world.ready_pods()
            );
        }
        assert_eq!(world.sets(), [(replicas, replicas, "2".to_owned()), (0, 0, "1".to_owned())]);
        assert_eq!(reason(&world, "Progressing"), ("True".to_owned(), "NewReplicaSetAvailable".to_owned()));
        world.assert_quiet();
    }
}

#[test]
fn the_events_of_a_rollout_say_each_scaling() {
    let mut world = ready(2);
    world.merge("deployments.apps", "web", set_image("web:v2"));
    world.pass_seconds(20.0);
    let events = world.events("web").join("\n");
    let sets = world.list("replicasets.apps");
    let name = |revision: &str| {
        let set =
            sets.iter().find(|set| set["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == revision);
        set.unwrap()["metadata"]["name"].as_str().unwrap().to_owned()
    };
    let events = events.replace(&name("1"), "OLD").replace(&name("2"), "NEW");
    insta::assert_snapshot!(events, @"
    ScalingReplicaSet: Scaled up replica set OLD from 0 to 2
    ScalingReplicaSet: Scaled up replica set NEW from 0 to 1
    ScalingReplicaSet: Scaled down replica set OLD from 2 to 1
    ScalingReplicaSet: Scaled up replica set NEW from 1 to 2
    ScalingReplicaSet: Scaled down replica set OLD from 1 to 0
    ");
}

#[test]
fn going_back_reuses_the_old_set_under_a_new_revision() {
    let mut world = ready(2);
    world.merge("deployments.apps", "web", set_image("web:v2"));
    world.pass_seconds(20.0);
    world.merge("deployments.apps", "web", set_image("web:v1"));
    world.pass_seconds(20.0);
    assert_eq!(world.sets(), [(2, 2, "3".to_owned()), (0, 0, "2".to_owned())]);
    let set = world.list("replicasets.apps").into_iter().find(|set| set["spec"]["replicas"] == 2).unwrap();
    assert_eq!(set["metadata"]["annotations"]["deployment.kubernetes.io/revision-history"], "1");
}

#[test]
fn old_sets_beyond_the_history_limit_are_deleted() {
    let mut world = ready(1);
    world.merge("deployments.apps", "web", json!({"spec": {"revisionHistoryLimit": 2}}));
    for version in 2..7 {
        world.merge("deployments.apps", "web", set_image(&format!("web:v{version}")));
        world.pass_seconds(20.0);
    }
    let revisions: Vec<String> = world.sets().into_iter().map(|(_, _, revision)| revision).collect();
    assert_eq!(revisions, ["6", "5", "4"]);
}

#[test]
fn recreate_never_runs_two_versions() {
    let mut world = World::new();
    let mut web = deployment("web", 3, "web:v1");
    web["spec"]["strategy"] = json!({"type": "Recreate"});
    world.create("deployments.apps", web);
    world.pass_seconds(10.0);
    world.merge("deployments.apps", "web", set_image("web:v2"));
    for _ in 0..100 {
        world.pass_seconds(0.1);
        let images: std::collections::BTreeSet<String> =
            world.list("pods").iter().map(|pod| text(pod, "/spec/containers/0/image").to_owned()).collect();
        assert!(images.len() <= 1, "{images:?}");
    }
    assert_eq!(world.sets(), [(3, 3, "2".to_owned()), (0, 0, "1".to_owned())]);
}

#[test]
fn a_stuck_rollout_misses_its_deadline_and_keeps_what_serves() {
    let mut world = ready(4);
    world.merge("deployments.apps", "web", json!({"spec": {"progressDeadlineSeconds": 30}}));
    world.merge("deployments.apps", "web", set_image("does-not-exist:v2"));
    world.pass_seconds(25.0);
    assert_eq!(reason(&world, "Progressing").1, "ReplicaSetUpdated");
    world.pass_seconds(20.0);
    assert_eq!(reason(&world, "Progressing"), ("False".to_owned(), "ProgressDeadlineExceeded".to_owned()));
    assert_eq!(world.ready_pods(), 3);
    assert_eq!(reason(&world, "Available"), ("True".to_owned(), "MinimumReplicasAvailable".to_owned()));
    world.assert_quiet();
    world.merge("deployments.apps", "web", set_image("web:v3"));
    world.pass_seconds(20.0);
    assert_eq!(reason(&world, "Progressing"), ("True".to_owned(), "NewReplicaSetAvailable".to_owned()));
    assert_eq!(world.sets()[0], (4, 4, "3".to_owned()));
}

#[test]
fn a_paused_deployment_scales_but_does_not_roll() {
    let mut world = ready(2);
    world.merge("deployments.apps", "web", json!({"spec": {"paused": true}}));
    world.merge("deployments.apps", "web", set_image("web:v2"));
    world.merge("deployments.apps", "web", json!({"spec": {"replicas": 4}}));
    world.pass_seconds(20.0);
    assert_eq!(world.sets(), [(4, 4, "1".to_owned())]);
    assert_eq!(reason(&world, "Progressing"), ("Unknown".to_owned(), "DeploymentPaused".to_owned()));
    world.merge("deployments.apps", "web", json!({"spec": {"paused": false}}));
    world.pass_seconds(20.0);
    assert_eq!(world.sets()[0], (4, 4, "2".to_owned()));
}

#[test]
fn scaling_in_the_middle_of_a_rollout_is_shared_between_the_sets() {
    let mut world = ready(10);
    // The new version never becomes ready, so the rollout stands: 8 old, 5 new.
    world.merge("deployments.apps", "web", set_image("does-not-exist:v2"));
    world.pass_seconds(5.0);
    assert_eq!(world.sets(), [(5, 0, "2".to_owned()), (8, 8, "1".to_owned())]);
    world.merge("deployments.apps", "web", json!({"spec": {"replicas": 20}}));
    world.pass_seconds(0.1);
    let sizes: Vec<i64> = world.sets().into_iter().map(|(size, _, _)| size).collect();
    // 25 in all (20 and 5 surge), in proportion to 5 and 8 of 13.
    assert_eq!(sizes, [10, 15]);
}

#[test]
fn scaling_down_takes_pods_that_are_not_ready_first() {
    let mut world = ready(3);
    world.merge("deployments.apps", "web", json!({"spec": {"replicas": 5}}));
    world.pass_seconds(0.3);
    let old: Vec<String> = world
        .list("pods")
        .iter()
        .filter(|pod| pod["status"]["phase"] == "Running")
        .map(|pod| text(pod, "/metadata/name").to_owned())
        .collect();
    assert_eq!(old.len(), 3);
    world.merge("deployments.apps", "web", json!({"spec": {"replicas": 3}}));
    world.pass_seconds(5.0);
    let left: Vec<String> = world.list("pods").iter().map(|pod| text(pod, "/metadata/name").to_owned()).collect();
    assert_eq!(left, old);
}

#[test]
fn min_ready_seconds_holds_availability_back() {
    let mut world = World::new();
    let mut web = deployment("web", 2, "web:v1");
    web["spec"]["minReadySeconds"] = json!(10);
    world.create("deployments.apps", web);
    world.pass_seconds(8.0);
    let status = world.get("deployments.apps", "web")["status"].clone();
    assert_eq!((status["readyReplicas"].as_i64(), status["availableReplicas"].as_i64().unwrap_or(0)), (Some(2), 0));
    world.pass_seconds(6.0);
    assert_eq!(world.get("deployments.apps", "web")["status"]["availableReplicas"], 2);
    world.assert_quiet();
}

#[test]
fn a_deleted_pod_is_replaced() {
    let mut world = ready(2);
    let name = text(&world.list("pods")[0], "/metadata/name").to_owned();
    world.delete("pods", &name, Propagation::Background);
    world.pass_seconds(5.0);
    assert_eq!(world.ready_pods(), 2);
    assert!(world.list("pods").iter().all(|pod| text(pod, "/metadata/name") != name));
}

#[test]
fn a_set_takes_orphans_and_lets_strangers_go() {
    let mut world = ready(2);
    let set = world.list("replicasets.apps")[0].clone();
    let mut orphan = super::world::pod("stray", json!({"containers": [{"name": "web", "image": "web:v1"}]}));
    orphan["metadata"]["labels"] = set["spec"]["selector"]["matchLabels"].clone();
    world.create("pods", orphan);
    world.pass_seconds(5.0);
    // Three pods for two replicas: one had to go.
    assert_eq!(world.list("pods").len(), 2);
    let name = text(&world.list("pods")[0], "/metadata/name").to_owned();
    world.merge("pods", &name, json!({"metadata": {"labels": {"app": "debug"}}}));
    world.pass_seconds(5.0);
    assert_eq!(world.list("pods").len(), 3);
    assert!(world.get("pods", &name)["metadata"]["ownerReferences"].is_null());
    world.assert_quiet();
}

#[test]
fn two_worlds_with_the_same_history_are_equal() {
    let play = || {
        let mut world = ready(3);
        world.merge("deployments.apps", "web", set_image("web:v2"));
        world.pass_seconds(20.0);
        world.list("pods").iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    };
    assert_eq!(play(), play());
}
