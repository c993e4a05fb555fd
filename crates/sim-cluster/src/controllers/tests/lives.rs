//! Pods by what their spec says, and Jobs.

use serde_json::{Value, json};

use super::world::{World, pod};
use crate::Propagation;
use crate::controllers::view::{is_ready, is_true, items, text};

fn played(spec: Value, seconds: f64) -> (World, Value) {
    let mut world = World::new();
    world.create("pods", pod("a", spec));
    world.pass_seconds(seconds);
    let pod = world.get("pods", "a");
    (world, pod)
}

fn with_command(restart: &str, command: &[&str]) -> Value {
    json!({"restartPolicy": restart, "containers": [{"name": "a", "image": "a:v1", "command": command}]})
}

fn waiting(pod: &Value) -> &str {
    text(pod, "/status/containerStatuses/0/state/waiting/reason")
}

#[test]
fn a_pod_lives_as_its_spec_says() {
    let image = |image: &str| json!({"containers": [{"name": "a", "image": image}]});
    let cases: [(&str, Value, f64, &str, bool, &str); 12] = [
        ("nothing special", image("a:v1"), 1.2, "Running", true, ""),
        ("bad image, early", image("does-not-exist:v1"), 2.9, "Pending", false, ""),
        ("bad image", image("does-not-exist:v1"), 3.0, "Pending", false, "ErrImagePull"),
        ("tag error", image("a:error"), 60.0, "Pending", false, "ErrImagePull"),
        ("bad command", with_command("Always", &["/bad-command"]), 60.0, "Running", false, "CrashLoopBackOff"),
        ("bad command once", with_command("Never", &["/never-start"]), 60.0, "Failed", false, ""),
        ("short work", with_command("Never", &["true"]), 1.5, "Succeeded", false, ""),
        ("work", with_command("OnFailure", &["sleep", "5"]), 6.0, "Running", true, ""),
        ("work done", with_command("OnFailure", &["sleep", "5"]), 6.3, "Succeeded", false, ""),
        ("work failed", with_command("Never", &["sh", "-c", "sleep 1; exit 3"]), 5.0, "Failed", false, ""),
        ("endless", with_command("Never", &["sleep", "infinity"]), 5000.0, "Running", true, ""),
        ("crash", with_command("Always", &["sh", "-c", "sleep 2; exit 1"]), 5.0, "Running", false, "CrashLoopBackOff"),
    ];
    for (name, spec, seconds, phase, ready, reason) in cases {
        let (mut world, pod) = played(spec, seconds);
        assert_eq!((text(&pod, "/status/phase"), is_ready(&pod), waiting(&pod)), (phase, ready, reason), "{name}");
        if name != "bad image, early" && name != "work" {
            world.assert_quiet();
        }
    }
}

#[test]
fn probes_and_hooks_take_their_time() {
    let probe = json!({"containers": [{"name": "a", "image": "a:v1", "readinessProbe": {"initialDelaySeconds": 7, "tcpSocket": {"port": 80}}}]});
    assert!(!is_ready(&played(probe.clone(), 7.5).1));
    assert!(is_ready(&played(probe, 7.6).1));
    let hook = json!({"containers": [{"name": "a", "image": "a:v1", "lifecycle": {"postStart": {"exec": {"command": ["sh", "-c", "sleep 4"]}}}}]});
    assert_eq!(text(&played(hook.clone(), 3.9).1, "/status/phase"), "Pending");
    assert_eq!(text(&played(hook, 4.0).1, "/status/phase"), "Running");
}

#[test]
fn a_pre_stop_hook_delays_removal_up_to_the_grace_period() {
    let hook = |seconds: i64| {
        json!({"terminationGracePeriodSeconds": 5, "containers": [{"name": "a", "image": "a:v1",
            "lifecycle": {"preStop": {"exec": {"command": ["sleep", seconds.to_string()]}}}}]})
    };
    for (sleep, gone_after) in [(2, 2.0), (60, 5.0)] {
        let (mut world, _) = played(hook(sleep), 5.0);
        world.delete("pods", "a", Propagation::Background);
        world.pass_seconds(gone_after - 0.1);
        assert!(world.get("pods", "a")["metadata"]["deletionTimestamp"].is_string());
        world.pass_seconds(0.1);
        assert_eq!(world.get("pods", "a"), Value::Null);
    }
}

#[test]
fn a_deleted_pod_is_gone_after_a_tenth_of_a_second_and_a_finalizer_holds_it() {
    let (mut world, _) = played(json!({"containers": [{"name": "a", "image": "a:v1"}]}), 5.0);
    world.delete("pods", "a", Propagation::Background);
    world.pass_seconds(0.1);
    assert_eq!(world.get("pods", "a"), Value::Null);
    let (mut world, _) = played(json!({"containers": [{"name": "a", "image": "a:v1"}]}), 5.0);
    world.merge("pods", "a", json!({"metadata": {"finalizers": ["example.com/hold"]}}));
    world.delete("pods", "a", Propagation::Background);
    world.pass_seconds(5.0);
    assert!(world.get("pods", "a")["metadata"]["deletionTimestamp"].is_string());
    world.assert_quiet();
    world.merge("pods", "a", json!({"metadata": {"finalizers": null}}));
    assert_eq!(world.get("pods", "a"), Value::Null);
}

#[test]
fn readiness_gates_wait_for_their_conditions() {
    let spec = json!({"readinessGates": [{"conditionType": "example.com/up"}], "containers": [{"name": "a", "image": "a:v1"}]});
    let (mut world, pod) = played(spec, 5.0);
    assert!(is_true(&pod, "ContainersReady") && !is_ready(&pod));
    let mut status = pod["status"].clone();
    status["conditions"].as_array_mut().unwrap().push(json!({"type": "example.com/up", "status": "True"}));
    let patch = json!({"status": {"conditions": status["conditions"]}});
    world.cluster.set_now(world.now);
    world.cluster.acting_as("gate").merge_subresource("pods", "default", "a", "status", patch).unwrap();
    world.pass_seconds(0.1);
    assert!(is_ready(&world.get("pods", "a")));
}

#[test]
fn a_pod_that_is_told_so_never_becomes_ready() {
    let mut world = World::new();
    let mut body = pod("a", json!({"containers": [{"name": "a", "image": "a:v1"}]}));
    body["metadata"]["annotations"] = json!({"sluice.dev/never-ready": "true"});
    world.create("pods", body);
    world.pass_seconds(600.0);
    assert_eq!(text(&world.get("pods", "a"), "/status/phase"), "Running");
    assert!(!is_ready(&world.get("pods", "a")));
}

#[test]
fn a_pod_has_an_address_of_its_own_and_the_status_of_a_kubelet() {
    let (_, pod) = played(json!({"containers": [{"name": "a", "image": "a:v1"}]}), 5.0);
    let mut lines: Vec<String> = items(&pod, "/status/conditions").iter().map(Value::to_string).collect();
    let mut rest = pod["status"].clone();
    rest.as_object_mut().unwrap().remove("conditions");
    lines.push(serde_json::to_string_pretty(&rest).unwrap());
    insta::assert_snapshot!(lines.join("\n"), @r#"
    {"lastProbeTime":null,"lastTransitionTime":"2026-01-01T00:00:01Z","status":"True","type":"Initialized"}
    {"lastProbeTime":null,"lastTransitionTime":"2026-01-01T00:00:01Z","status":"True","type":"PodReadyToStartContainers"}
    {"lastProbeTime":null,"lastTransitionTime":"2026-01-01T00:00:01Z","reason":"ContainersNotReady","status":"True","type":"Ready"}
    {"lastProbeTime":null,"lastTransitionTime":"2026-01-01T00:00:01Z","reason":"ContainersNotReady","status":"True","type":"ContainersReady"}
    {"lastProbeTime":null,"lastTransitionTime":"2026-01-01T00:00:00Z","status":"True","type":"PodScheduled"}
    {
      "containerStatuses": [
        {
          "image": "a:v1",
          "imageID": "",
          "lastState": {},
          "name": "a",
          "ready": true,
          "restartCount": 0,
          "started": true,
          "state": {
            "running": {
              "startedAt": "2026-01-01T00:00:01Z"
            }
          }
        }
      ],
      "hostIP": "127.0.0.1",
      "phase": "Running",
      "podIP": "10.128.0.1",
      "podIPs": [
        {
          "ip": "10.128.0.1"
        }
      ],
      "qosClass": "BestEffort",
      "startTime": "2026-01-01T00:00:00Z"
    }
    "#);
}

fn job(spec: Value, command: &[&str]) -> Value {
    let mut job = json!({"metadata": {"name": "work"}, "spec": spec});
    job["spec"]["template"] = json!({"spec": {
        "restartPolicy": "Never", "containers": [{"name": "a", "image": "a:v1", "command": command}],
    }});
    job
}

fn conditions(job: &Value) -> Vec<String> {
    let list = job["status"]["conditions"].as_array().cloned().unwrap_or_default();
    list.iter().map(|condition| format!("{} {}", text(condition, "/type"), text(condition, "/reason"))).collect()
}

#[test]
fn a_job_completes_when_enough_pods_have_succeeded() {
    let mut world = World::new();
    world.create("jobs.batch", job(json!({"completions": 3, "parallelism": 2}), &["sleep", "2"]));
    world.pass_seconds(2.0);
    assert_eq!(world.get("jobs.batch", "work")["status"]["active"], 2);
    world.pass_seconds(20.0);
    let work = world.get("jobs.batch", "work");
    assert_eq!((work["status"]["succeeded"].as_i64(), world.list("pods").len()), (Some(3), 3));
    assert_eq!(conditions(&work), ["SuccessCriteriaMet CompletionsReached", "Complete CompletionsReached"]);
    assert!(world.list("pods").iter().all(|pod| pod["metadata"]["finalizers"].is_null()));
    world.assert_quiet();
}

#[test]
fn a_job_that_fails_too_often_is_failed_after_waiting_longer_each_time() {
    let mut world = World::new();
    world.create("jobs.batch", job(json!({"backoffLimit": 2}), &["sh", "-c", "exit 1"]));
    world.pass_seconds(5.0);
    assert_eq!(world.list("pods").len(), 1);
    world.pass_seconds(10.0);
    assert_eq!(world.list("pods").len(), 2);
    world.pass_seconds(60.0);
    let work = world.get("jobs.batch", "work");
    assert_eq!((work["status"]["failed"].as_i64(), world.list("pods").len()), (Some(3), 3));
    assert_eq!(conditions(&work), ["FailureTarget BackoffLimitExceeded", "Failed BackoffLimitExceeded"]);
    world.assert_quiet();
}

#[test]
fn a_job_over_its_deadline_is_stopped_and_a_finished_one_expires() {
    let mut world = World::new();
    world.create(
        "jobs.batch",
        job(json!({"activeDeadlineSeconds": 10, "ttlSecondsAfterFinished": 60}), &["sleep", "1h"]),
    );
    world.pass_seconds(15.0);
    assert_eq!(
        conditions(&world.get("jobs.batch", "work")),
        ["FailureTarget DeadlineExceeded", "Failed DeadlineExceeded"]
    );
    assert!(world.list("pods").iter().all(|pod| pod["status"]["phase"] != "Running"));
    world.pass_seconds(60.0);
    assert_eq!(world.get("jobs.batch", "work"), Value::Null);
    assert!(world.list("pods").is_empty());
}

#[test]
fn a_suspended_job_runs_nothing_until_it_is_resumed() {
    let mut world = World::new();
    world.create("jobs.batch", job(json!({"suspend": true}), &["true"]));
    world.pass_seconds(30.0);
    assert!(world.list("pods").is_empty());
    world.assert_quiet();
    world.merge("jobs.batch", "work", json!({"spec": {"suspend": false}}));
    world.pass_seconds(30.0);
    assert_eq!(world.get("jobs.batch", "work")["status"]["succeeded"], 1);
}
