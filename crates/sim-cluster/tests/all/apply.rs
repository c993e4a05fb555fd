//! Server-side apply, managed fields and the patches of built-in kinds.

use serde_json::{Value, json};
use sim_cluster::{Cluster, Request};

use crate::objects::{ask, now};

const WEB: &str = "/apis/apps/v1/namespaces/default/deployments/web";

fn apply(cluster: &mut Cluster, manager: &str, body: &Value) -> (u16, Value) {
    let target = format!("{WEB}?fieldManager={manager}");
    ask(cluster, Request::patch(&target, "application/apply-patch+yaml", body))
}

fn deployment(spec: Value) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": spec})
}

fn full(image: &str) -> Value {
    deployment(json!({
        "replicas": 2,
        "selector": {"matchLabels": {"app": "web"}},
        "template": {
            "metadata": {"labels": {"app": "web"}},
            "spec": {"containers": [{"name": "app", "image": image, "ports": [{"containerPort": 80}]}]},
        },
    }))
}

/// Who owns what, one line an entry.
fn owners(object: &Value) -> String {
    let entries = object["metadata"]["managedFields"].as_array().unwrap();
    let lines: Vec<String> = entries
        .iter()
        .map(|entry| {
            format!(
                "{} {} {}",
                entry["manager"].as_str().unwrap(),
                entry["operation"].as_str().unwrap(),
                entry["fieldsV1"]
            )
        })
        .collect();
    lines.join("\n")
}

#[test]
fn an_apply_creates_owns_and_is_idempotent() {
    let mut cluster = Cluster::default();
    let (code, created) = apply(&mut cluster, "sluice", &full("web:1"));
    assert_eq!(code, 201, "{created}");
    insta::assert_snapshot!(owners(&created), @r#"sluice Apply {"f:spec":{"f:replicas":{},"f:selector":{},"f:template":{"f:metadata":{"f:labels":{"f:app":{}}},"f:spec":{"f:containers":{"k:{\"name\":\"app\"}":{".":{},"f:image":{},"f:name":{},"f:ports":{"k:{\"containerPort\":80,\"protocol\":\"TCP\"}":{".":{},"f:containerPort":{}}}}}}}}}"#);
    let revision = cluster.revision();
    assert_eq!(apply(&mut cluster, "sluice", &full("web:1")).0, 200);
    assert_eq!(cluster.revision(), revision);
}

#[test]
fn fields_of_others_conflict_unless_forced() {
    let mut cluster = Cluster::default();
    apply(&mut cluster, "sluice", &full("web:1"));
    let (code, status) = apply(&mut cluster, "other", &deployment(json!({"replicas": 3})));
    assert_eq!(code, 409);
    assert_eq!(status["message"], "Apply failed with 1 conflict: conflict with \"sluice\": .spec.replicas");
    assert_eq!(status["details"]["causes"][0]["field"], ".spec.replicas");
    let (code, taken) = apply(&mut cluster, "other&force=true", &deployment(json!({"replicas": 3})));
    assert_eq!((code, &taken["spec"]["replicas"]), (200, &json!(3)));
    // The first applier no longer owns the field: leaving it out does not remove it.
    let mut without = full("web:1");
    without["spec"].as_object_mut().unwrap().remove("replicas");
    let (_, kept) = apply(&mut cluster, "sluice", &without);
    assert_eq!(kept["spec"]["replicas"], 3);
}

#[test]
fn what_is_no_longer_applied_goes_unless_someone_else_owns_it() {
    let mut cluster = Cluster::default();
    let mut body = full("web:1");
    body["metadata"]["labels"] = json!({"a": "1", "b": "2"});
    body["spec"]["template"]["spec"]["containers"][0]["env"] =
        json!([{"name": "X", "value": "1"}, {"name": "Y", "value": "2"}]);
    apply(&mut cluster, "sluice", &body);
    let shared =
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "labels": {"b": "2"}}});
    assert_eq!(apply(&mut cluster, "other", &shared).0, 200);
    let mut less = full("web:1");
    less["spec"]["template"]["spec"]["containers"][0]["env"] = json!([{"name": "Y", "value": "2"}]);
    let (_, object) = apply(&mut cluster, "sluice", &less);
    assert_eq!(object["metadata"]["labels"], json!({"b": "2"}));
    assert_eq!(object["spec"]["template"]["spec"]["containers"][0]["env"], json!([{"name": "Y", "value": "2"}]));
}

#[test]
fn an_update_takes_what_it_changes() {
    let mut cluster = Cluster::default();
    apply(&mut cluster, "sluice", &full("web:1"));
    let patch = json!({"spec": {"template": {"spec": {"containers": [{"name": "app", "image": "web:2"}]}}}});
    let request =
        Request::patch(WEB, "application/strategic-merge-patch+json", &patch).header("user-agent", "kubectl/v1.35");
    let (code, object) = ask(&mut cluster, request);
    assert_eq!((code, &object["metadata"]["generation"]), (200, &json!(2)));
    assert_eq!(object["spec"]["template"]["spec"]["containers"][0]["ports"][0]["containerPort"], 80);
    let (code, status) = apply(&mut cluster, "sluice", &full("web:3"));
    assert_eq!(code, 409);
    assert_eq!(
        status["message"],
        "Apply failed with 1 conflict: conflict with \"kubectl\" using apps/v1: .spec.template.spec.containers[name=\"app\"].image"
    );
}

#[test]
fn a_uid_in_the_body_is_a_precondition() {
    let mut cluster = Cluster::default();
    let mut body = full("web:1");
    body["metadata"]["uid"] = json!("11111111-0000-4000-8000-000000000000");
    let (code, status) = apply(&mut cluster, "sluice", &body);
    assert_eq!(code, 409);
    assert!(status["message"].as_str().unwrap().ends_with("and no existing object was found"), "{status}");
    let (_, created) = apply(&mut cluster, "sluice", &full("web:1"));
    assert_eq!(apply(&mut cluster, "sluice", &body).0, 422);
    body["metadata"]["uid"] = created["metadata"]["uid"].clone();
    assert_eq!(apply(&mut cluster, "sluice", &body).0, 200);
}

#[test]
fn defaults_and_generations_are_those_of_the_real_server() {
    let mut cluster = Cluster::default();
    let (_, created) = apply(&mut cluster, "sluice", &full("web"));
    let mut spec = created["spec"].clone();
    spec["template"]["metadata"] = Value::Null;
    insta::assert_snapshot!(serde_json::to_string_pretty(&spec).unwrap(), @r#"
    {
      "progressDeadlineSeconds": 600,
      "replicas": 2,
      "revisionHistoryLimit": 10,
      "selector": {
        "matchLabels": {
          "app": "web"
        }
      },
      "strategy": {
        "rollingUpdate": {
          "maxSurge": "25%",
          "maxUnavailable": "25%"
        },
        "type": "RollingUpdate"
      },
      "template": {
        "metadata": null,
        "spec": {
          "containers": [
            {
              "image": "web",
              "imagePullPolicy": "Always",
              "name": "app",
              "ports": [
                {
                  "containerPort": 80,
                  "protocol": "TCP"
                }
              ],
              "resources": {},
              "terminationMessagePath": "/dev/termination-log",
              "terminationMessagePolicy": "File"
            }
          ],
          "dnsPolicy": "ClusterFirst",
          "restartPolicy": "Always",
          "schedulerName": "default-scheduler",
          "securityContext": {},
          "terminationGracePeriodSeconds": 30
        }
      }
    }
    "#);
    let status = json!({"status": {"replicas": 2, "observedGeneration": 1}});
    let request = Request::patch(&format!("{WEB}/status"), "application/merge-patch+json", &status);
    let (_, object) = ask(&mut cluster, request);
    assert_eq!((&object["metadata"]["generation"], &object["status"]["replicas"]), (&json!(1), &json!(2)));
    let (code, status) = ask(&mut cluster, Request::put(WEB, &deployment(json!({"replicas": 1}))));
    assert_eq!(code, 422);
    insta::assert_snapshot!(status["message"].as_str().unwrap(), @r#"Deployment.apps "web" is invalid: [spec.selector: Required value, spec.template.metadata.labels: Invalid value: null: `selector` does not match template `labels`, spec.template.spec.containers: Required value, spec.selector: Invalid value: null: field is immutable]"#);
    assert_eq!(cluster.now(), now());
}
