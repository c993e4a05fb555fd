//! Pairs of configuration and live objects with which other tools test their diffs.

use diff_engine::{Applied, Claims, CompareOptions, compare, predict, print_fields};
use object_model::Object;

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
const APPLIED: [(&str, &str); 14] = [
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
];

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
    "#);
}
