//! StatefulSets, DaemonSets, CronJobs, autoscalers and quotas through virtual time.

use serde_json::{Value, json};

use super::world::{World, deployment};
use crate::controllers::view::{int, text};

fn names(world: &World, resource: &str) -> Vec<String> {
    world.list(resource).iter().map(|object| text(object, "/metadata/name").to_owned()).collect()
}

fn stateful_set(replicas: i64) -> Value {
    json!({
        "metadata": {"name": "db"},
        "spec": {
            "serviceName": "db", "replicas": replicas, "selector": {"matchLabels": {"app": "db"}},
            "template": {"metadata": {"labels": {"app": "db"}}, "spec": {"containers": [{"name": "db", "image": "db:1"}]}},
        },
    })
}

#[test]
fn a_stateful_set_starts_and_stops_its_pods_one_by_one() {
    let mut world = World::new();
    world.create("statefulsets.apps", stateful_set(3));
    world.pass_seconds(1.0);
    assert_eq!(names(&world, "pods"), ["db-0"]);
    world.pass_seconds(10.0);
    assert_eq!(names(&world, "pods"), ["db-0", "db-1", "db-2"]);
    world.merge("statefulsets.apps", "db", json!({"spec": {"replicas": 0}}));
    world.pass_seconds(0.05);
    let leaving: Vec<bool> =
        world.list("pods").iter().map(|pod| pod.pointer("/metadata/deletionTimestamp").is_some()).collect();
    assert_eq!(leaving, [false, false, true]);
    world.pass_seconds(10.0);
    assert!(names(&world, "pods").is_empty());
    world.assert_quiet();
}

#[test]
fn a_stateful_set_replaces_its_last_pod_first_and_keeps_its_revisions() {
    let mut world = World::new();
    world.create("statefulsets.apps", stateful_set(2));
    world.pass_seconds(10.0);
    let image = json!({"spec": {"template": {"spec": {"containers": [{"name": "db", "image": "db:2"}]}}}});
    world.merge("statefulsets.apps", "db", image);
    world.pass_seconds(1.0);
    let images = |world: &World| -> Vec<String> {
        world.list("pods").iter().map(|pod| text(pod, "/spec/containers/0/image").to_owned()).collect()
    };
    assert_eq!(images(&world), ["db:1", "db:2"]);
    world.pass_seconds(10.0);
    assert_eq!(images(&world), ["db:2", "db:2"]);
    let set = world.get("statefulsets.apps", "db");
    assert_eq!(text(&set, "/status/currentRevision"), text(&set, "/status/updateRevision"));
    assert_eq!(world.list("controllerrevisions.apps").len(), 2);
    world.assert_quiet();
}

#[test]
fn a_cron_job_starts_its_jobs_on_time_and_clears_the_old_ones_away() {
    let mut world = World::new();
    let template = json!({"spec": {"template": {"spec": {
        "restartPolicy": "Never", "containers": [{"name": "c", "image": "c:1"}],
    }}}});
    let spec = json!({"schedule": "*/5 * * * *", "successfulJobsHistoryLimit": 2, "jobTemplate": template});
    world.create("cronjobs.batch", json!({"metadata": {"name": "tick"}, "spec": spec}));
    world.pass_seconds(299.0);
    assert!(world.list("jobs.batch").is_empty());
    world.pass_seconds(2.0);
    assert_eq!(world.list("jobs.batch").len(), 1);
    // The Job of 01:05 needs a moment to end before it counts among those that are kept.
    world.pass_seconds(3_610.0);
    assert_eq!(world.list("jobs.batch").len(), 2);
    let status = world.get("cronjobs.batch", "tick")["status"].clone();
    assert_eq!(text(&status, "/lastScheduleTime"), "2026-01-01T01:05:00Z");
    world.merge("cronjobs.batch", "tick", json!({"spec": {"suspend": true}}));
    world.pass_seconds(10.0);
    world.assert_quiet();
}

#[test]
fn an_autoscaler_follows_the_readings_of_its_pods() {
    let mut world = World::new();
    let mut web = deployment("web", 1, "web:v1");
    web["spec"]["template"]["metadata"]["annotations"] = json!({"sluice.dev/usage-cpu": "160m"});
    web["spec"]["template"]["spec"]["containers"][0]["resources"] = json!({"requests": {"cpu": "100m"}});
    world.create("deployments.apps", web);
    world.pass_seconds(5.0);
    let spec =
        json!({"maxReplicas": 3, "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}});
    world.create("horizontalpodautoscalers.autoscaling", json!({"metadata": {"name": "web"}, "spec": spec}));
    world.pass_seconds(60.0);
    let scaled = world.get("horizontalpodautoscalers.autoscaling", "web");
    assert_eq!(int(&scaled, "/status/desiredReplicas"), 3);
    assert_eq!(int(&scaled, "/status/currentMetrics/0/resource/current/averageUtilization"), 160);
    assert_eq!(int(&world.get("deployments.apps", "web"), "/spec/replicas"), 3);
    assert!(world.events("web").iter().any(|event| event.starts_with("SuccessfulRescale: New size: 2;")));
}

#[test]
fn an_autoscaler_without_readings_leaves_the_replicas_alone() {
    let mut world = World::new();
    world.create("deployments.apps", deployment("web", 2, "web:v1"));
    let spec =
        json!({"maxReplicas": 3, "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}});
    world.create("horizontalpodautoscalers.autoscaling", json!({"metadata": {"name": "web"}, "spec": spec}));
    world.pass_seconds(60.0);
    assert_eq!(int(&world.get("deployments.apps", "web"), "/spec/replicas"), 2);
    let status = world.get("horizontalpodautoscalers.autoscaling", "web");
    assert_eq!(text(&status, "/status/conditions/1/reason"), "FailedGetResourceMetric");
}
