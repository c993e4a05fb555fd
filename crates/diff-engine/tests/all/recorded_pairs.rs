//! Pairs of configuration and live objects with which other tools test their diffs.

use diff_engine::{Applied, Claims, CompareOptions, compare, normalise, predict, print_fields};
use object_model::Object;
use serde_json::Value;

use crate::recorded_health::{data, read};

/// Pairs that mean the same: what differs is what the server and its controllers fill in.
const SAME: [&str; 9] = [
    "aggr-clusterrole",
    "deployment",
    "elasticsearch",
    "endpoints",
    "grafana-clusterrole",
    "mutatingwebhookconfig",
    "sealedsecret",
    "spinnaker-sa",
    "wordpress",
];

/// Pairs of objects that were applied by a server-side apply: configuration, live.
const APPLIED: [(&str, &str); 19] = [
    ("smd-deploy-config.yaml", "smd-deploy-live.yaml"),
    ("smd-deploy2-config.yaml", "smd-deploy2-live.yaml"),
    ("smd-service-config.yaml", "smd-service-live.yaml"),
    ("smd-service-config-2-ports.yaml", "smd-service-live.yaml"),
    ("smd-service-config-ports.yaml", "smd-service-live.yaml"),
    ("smd-service-config.yaml", "smd-service-live-with-type.yaml"),
    ("ssd-configmap-config.yaml", "ssd-configmap-live.yaml"),
    ("ssd-configmap-config.yaml", "ssd-configmap-predicted-live.json"),
    ("ssd-deploy-composite-key-config.yaml", "ssd-deploy-composite-key-live.yaml"),
    ("ssd-deploy-composite-key-config.yaml", "ssd-deploy-composite-key-predicted-live.json"),
    ("ssd-deploy-nested-config.yaml", "ssd-deploy-nested-live.yaml"),
    ("ssd-deploy-nested-config.yaml", "ssd-deploy-nested-predicted-live.json"),
    ("ssd-deploy-with-manual-apply-config.yaml", "ssd-deploy-with-manual-apply-live.yaml"),
    ("ssd-service-config.yaml", "ssd-service-live.yaml"),
    ("ssd-svc-no-label-config.yaml", "ssd-svc-label-live.yaml"),
    ("ssd-svc-no-label-config.yaml", "ssd-svc-no-label-predicted-live.json"),
    ("ssd-deploy-with-manual-apply-config.yaml", "ssd-deploy-with-manual-apply-predicted-live.json"),
    ("ssd-service-config.yaml", "ssd-service-predicted-live.json"),
    ("smd-deploy2-config.yaml", "smd-deploy2-predicted-live.json"),
];

/// Configuration, live and what a real server's dry run answered. The recorded answer for smd-deploy2 lacks the server's own
/// defaults, so that it says only what a webhook put back.
const PREDICTED: [(&str, &str, &str); 6] = [
    ("ssd-configmap-config.yaml", "ssd-configmap-live.yaml", "ssd-configmap-predicted-live.json"),
    (
        "ssd-deploy-composite-key-config.yaml",
        "ssd-deploy-composite-key-live.yaml",
        "ssd-deploy-composite-key-predicted-live.json",
    ),
    ("ssd-deploy-nested-config.yaml", "ssd-deploy-nested-live.yaml", "ssd-deploy-nested-predicted-live.json"),
    (
        "ssd-deploy-with-manual-apply-config.yaml",
        "ssd-deploy-with-manual-apply-live.yaml",
        "ssd-deploy-with-manual-apply-predicted-live.json",
    ),
    ("ssd-service-config.yaml", "ssd-service-live.yaml", "ssd-service-predicted-live.json"),
    ("ssd-svc-no-label-config.yaml", "ssd-svc-label-live.yaml", "ssd-svc-no-label-predicted-live.json"),
];

/// The fields in which two values differ, with what the first and the second have.
fn differences(have: &Value, want: &Value, at: &str, found: &mut Vec<String>) {
    match (have, want) {
        (Value::Object(have), Value::Object(want)) => {
            let keys: std::collections::BTreeSet<&String> = have.keys().chain(want.keys()).collect();
            for key in keys {
                let of = |map: &serde_json::Map<String, Value>| map.get(key).cloned().unwrap_or(Value::Null);
                differences(&of(have), &of(want), &format!("{at}.{key}"), found);
            }
        }
        (Value::Array(have), Value::Array(want)) if have.len() == want.len() => {
            for (index, (have, want)) in have.iter().zip(want).enumerate() {
                differences(have, want, &format!("{at}[{index}]"), found);
            }
        }
        (have, want) if have == want => {}
        (have, want) => found.push(format!("{at}: {have}, the server: {want}")),
    }
}

#[test]
fn what_a_server_predicts_is_predicted_here_but_for_its_webhooks_and_controllers() {
    let mut text = String::new();
    for (config_file, live_file, predicted_file) in PREDICTED {
        let (Some(config), Some(live), Some(recorded)) = (load(config_file), load(live_file), load(predicted_file))
        else {
            return;
        };
        let claims = Claims::default();
        let options = CompareOptions {
            field_manager: "argocd-controller",
            applied: Applied::Unknown,
            claims: &claims,
            ignore: &[],
        };
        let predicted = predict(&live, &compare(&config, &live, &options));
        let mut found = Vec::new();
        differences(&normalise(&predicted).into_json(), &normalise(&recorded).into_json(), "", &mut found);
        text.push_str(&format!(
            "{config_file}\n{}",
            found.iter().map(|line| format!("  {line}\n")).collect::<String>()
        ));
    }
    insta::assert_snapshot!(text, @r#"
    ssd-configmap-config.yaml
    ssd-deploy-composite-key-config.yaml
      .metadata.annotations: null, the server: {"deployment.kubernetes.io/revision":"1"}
      .spec.template.spec.containers[0].resources: null, the server: {}
      .spec.template.spec.containers[1].resources: null, the server: {}
    ssd-deploy-nested-config.yaml
      .metadata.annotations.deployment.kubernetes.io/revision: "1", the server: "2"
    ssd-deploy-with-manual-apply-config.yaml
      .metadata.labels.mutation-test: null, the server: "FROM-MUTATION-WEBHOOK"
    ssd-service-config.yaml
      .metadata.labels.app.kubernetes.io/instance: "httpbin", the server: null
      .metadata.labels.event: null, the server: "FROM-MUTATION-WEBHOOK"
    ssd-svc-no-label-config.yaml
    "#);
}

fn load(file: &str) -> Option<Object> {
    let folder = data("diff")?;
    Some(Object::from_json(read(&folder.join(file))).unwrap())
}

#[test]
fn what_the_server_fills_in_is_no_difference() {
    for name in SAME {
        let (Some(config), Some(live)) = (load(&format!("{name}-config.json")), load(&format!("{name}-live.json")))
        else {
            return;
        };
        let claims = Claims::default();
        let options =
            CompareOptions { field_manager: "sluice", applied: Applied::Unknown, claims: &claims, ignore: &[] };
        assert_eq!(print_fields(&config, &compare(&config, &live, &options)), "", "{name}");
    }
}

#[test]
fn what_an_apply_would_change_is_found_and_then_nothing_is_left() {
    let mut text = String::new();
    for (config_file, live_file) in APPLIED {
        let (Some(config), Some(live)) = (load(config_file), load(live_file)) else { return };
        let claims = Claims::default();
        let options = CompareOptions {
            field_manager: "argocd-controller",
            applied: Applied::Unknown,
            claims: &claims,
            ignore: &[],
        };
        let comparison = compare(&config, &live, &options);
        text.push_str(&format!("{config_file} {live_file}\n{}", print_fields(&config, &comparison)));
        let after = compare(&config, &predict(&live, &comparison), &options);
        assert!(after.is_in_sync(), "{config_file} {live_file}: {after:?}");
    }
    insta::assert_snapshot!(text, @r#"
    smd-deploy-config.yaml smd-deploy-live.yaml
    smd-deploy2-config.yaml smd-deploy2-live.yaml
    Deployment.apps default/nginx-deployment
      - spec.template.spec.containers[name=nginx].resources.requests.cpu: "500m"
      - spec.template.spec.containers[name=nginx].resources.requests.memory: "512Mi"
    smd-service-config.yaml smd-service-live.yaml
    Service default/multiple-protocol-port-svc
      ~ spec.ports[port=1935,protocol=TCP].targetPort: 1935 -> 1936
    smd-service-config-2-ports.yaml smd-service-live.yaml
    Service default/multiple-protocol-port-svc
      - spec.ports[port=443,protocol=TCP]: {"name":"https","port":443,"protocol":"TCP","targetPort":443}
    smd-service-config-ports.yaml smd-service-live.yaml
    Service default/multiple-protocol-port-svc
      + spec.ports[port=1935,protocol=UDP]: {"name":"rtmpq","port":1935,"protocol":"UDP","targetPort":1935}
      + spec.ports[port=443,protocol=UDP]: {"name":"http3","port":443,"protocol":"UDP","targetPort":443}
    smd-service-config.yaml smd-service-live-with-type.yaml
    Service default/multiple-protocol-port-svc
      ~ spec.ports[port=1935,protocol=TCP].targetPort: 1935 -> 1936
      - spec.type: "NodePort"
    ssd-configmap-config.yaml ssd-configmap-live.yaml
    ConfigMap default/test-configmap
      - data.key3: "value3"
    ssd-configmap-config.yaml ssd-configmap-predicted-live.json
    ssd-deploy-composite-key-config.yaml ssd-deploy-composite-key-live.yaml
    Deployment.apps default/test-container-ports
      + spec.template.spec.containers[name=nginx].ports[containerPort=8080,protocol=TCP]: {"containerPort":8080,"name":"metrics"}
    ssd-deploy-composite-key-config.yaml ssd-deploy-composite-key-predicted-live.json
    ssd-deploy-nested-config.yaml ssd-deploy-nested-live.yaml
    Deployment.apps default/nested-test-deployment
      + spec.template.spec.containers[name=main-container].env[name=ENV_VAR2]: {"name":"ENV_VAR2","value":"value2"}
      + spec.template.spec.containers[name=main-container].ports[containerPort=443,protocol=TCP]: {"containerPort":443,"name":"https"}
    ssd-deploy-nested-config.yaml ssd-deploy-nested-predicted-live.json
    ssd-deploy-with-manual-apply-config.yaml ssd-deploy-with-manual-apply-live.yaml
    Deployment.apps default/manual-apply-test-deployment
      + spec.template.spec.containers[name=main-container].ports[containerPort=40,protocol=TCP]: {"containerPort":40,"name":"https"}
    ssd-service-config.yaml ssd-service-live.yaml
    ssd-svc-no-label-config.yaml ssd-svc-label-live.yaml
    Service httpbin/httpbin-svc
      - metadata.labels.delete-me: "delete-value"
    ssd-svc-no-label-config.yaml ssd-svc-no-label-predicted-live.json
    ssd-deploy-with-manual-apply-config.yaml ssd-deploy-with-manual-apply-predicted-live.json
    ssd-service-config.yaml ssd-service-predicted-live.json
    Service httpbin/httpbin-svc
      + metadata.labels[app.kubernetes.io/instance]: "httpbin"
    smd-deploy2-config.yaml smd-deploy2-predicted-live.json
    Deployment.apps default/nginx-deployment
      - spec.template.spec.containers[name=nginx].resources.requests.cpu: "500m"
      - spec.template.spec.containers[name=nginx].resources.requests.memory: "512Mi"
    "#);
}
