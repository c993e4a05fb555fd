//! NGINX, rule by rule.

use insta::assert_snapshot;
use object_model::{Object, OwnerReference, Uid, Weight};
use serde_json::{Value, json};
use traffic_split::{Live, NginxTarget, Split, Target, observe, plan};

use crate::istio::{after, live, split};

fn target(section: Value) -> [Target; 1] {
    let owner = OwnerReference {
        api_version: "argoproj.io/v1alpha1".to_owned(),
        kind: "Rollout".to_owned(),
        name: "web".to_owned(),
        uid: Uid::new("r1"),
        controller: true,
        block_owner_deletion: true,
    };
    [Target::Nginx(NginxTarget::parse(&section, "qa", owner).unwrap())]
}

fn ingress(name: &str, rules: Value) -> Object {
    Object::parse(json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
        "metadata": {"name": name, "namespace": "qa", "annotations": {"kubernetes.io/ingress.class": "nginx", "x": "y"}},
        "spec": {"ingressClassName": "nginx", "tls": [{"hosts": ["web"]}], "rules": rules},
    }))
    .unwrap()
}

fn rules() -> Value {
    let backend = |name: &str| json!({"path": "/", "pathType": "Prefix", "backend": {"service": {"name": name, "port": {"number": 80}}}});
    json!([
        {"host": "web", "http": {"paths": [backend("stable"), backend("admin")]}},
        {"host": "other", "http": {"paths": [backend("admin")]}},
        {"host": "bare"},
    ])
}

#[test]
fn the_canary_ingress_is_made_beside_the_stable_one_then_only_its_weight_changes() {
    let targets = target(json!({"stableIngress": "web", "additionalIngressAnnotations": {"canary-by-header": "X"}}));
    let before = live([ingress("web", rules())]);
    let planned = plan(&split(20), &targets, &before);
    assert_eq!(planned.errors, []);
    assert_eq!(planned.changes[0].summary, "Creating canary ingress `web-web-canary` with weight `20`");
    let made = serde_json::to_string_pretty(&planned.changes[0].object().to_json()).unwrap();
    assert_snapshot!(made, @r#"
{
  "apiVersion": "networking.k8s.io/v1",
  "kind": "Ingress",
  "metadata": {
    "annotations": {
      "kubernetes.io/ingress.class": "nginx",
      "nginx.ingress.kubernetes.io/canary": "true",
      "nginx.ingress.kubernetes.io/canary-by-header": "X",
      "nginx.ingress.kubernetes.io/canary-weight": "20"
    },
    "name": "web-web-canary",
    "namespace": "qa",
    "ownerReferences": [
      {
        "apiVersion": "argoproj.io/v1alpha1",
        "blockOwnerDeletion": true,
        "controller": true,
        "kind": "Rollout",
        "name": "web",
        "uid": "r1"
      }
    ]
  },
  "spec": {
    "ingressClassName": "nginx",
    "rules": [
      {
        "host": "web",
        "http": {
          "paths": [
            {
              "backend": {
                "service": {
                  "name": "canary",
                  "port": {
                    "number": 80
                  }
                }
              },
              "path": "/",
              "pathType": "Prefix"
            },
            {
              "backend": {
                "service": {
                  "name": "admin",
                  "port": {
                    "number": 80
                  }
                }
              },
              "path": "/",
              "pathType": "Prefix"
            }
          ]
        }
      }
    ],
    "tls": [
      {
        "hosts": [
          "web"
        ]
      }
    ]
  }
}
"#);
    let next = after(&planned, &before);
    assert_eq!(plan(&split(20), &targets, &next).changes, []);
    assert_eq!(observe(&split(20), &targets, &next)[0].canary, 20);
    let raised = plan(&split(40), &targets, &next);
    assert_eq!(
        Value::Array(raised.changes[0].patch.clone()),
        json!([{"op": "replace", "path": "/metadata/annotations/nginx.ingress.kubernetes.io~1canary-weight", "value": "40"}])
    );
}

#[test]
fn a_weight_of_another_total_says_its_total_and_a_share_of_the_one_before_counts_as_what_it_is() {
    let targets = target(json!({"stableIngress": "web"}));
    let of = |weight: u32, total: u32| Split { weight: Weight::capped(weight, total), total, ..split(0) };
    let before = live([ingress("web", rules())]);
    let fine = after(&plan(&of(5, 1000), &targets, &before), &before);
    let annotation = |objects: &Live, key: &str| {
        let canary = objects.values().find(|object| object.name() == "web-web-canary").unwrap();
        canary.annotation(&format!("nginx.ingress.kubernetes.io/{key}")).map(str::to_owned)
    };
    let told = |objects: &Live| [annotation(objects, "canary-weight"), annotation(objects, "canary-weight-total")];
    assert_eq!(told(&fine), [Some("5".to_owned()), Some("1000".to_owned())]);
    let seen = &observe(&of(5, 1000), &targets, &fine)[0];
    assert_eq!((seen.canary, seen.stable), (5, 995));
    assert_eq!(observe(&split(20), &targets, &fine)[0].canary, 1, "half a percent is not nothing");
    let coarse = after(&plan(&split(20), &targets, &fine), &fine);
    assert_eq!(told(&coarse), [Some("20".to_owned()), Some("100".to_owned())]);
    assert_eq!(observe(&of(5, 1000), &targets, &coarse)[0].canary, 200);
}

#[test]
fn one_ingress_that_needs_nothing_does_not_hold_up_the_others() {
    let targets = target(json!({"stableIngresses": ["a", "b", "c"]}));
    let before = live([ingress("a", rules()), ingress("b", json!([])), ingress("c", rules())]);
    let first = plan(&split(20), &targets, &before);
    assert_eq!(first.changes.len(), 2);
    assert_eq!(first.errors[0].to_string(), "ingress `b` has no rules using service stable backend");
    let mut next = after(&first, &before);
    next.remove(&first.changes[1].id);
    assert_eq!(plan(&split(20), &targets, &next).changes.len(), 1);
}

#[test]
fn an_ingress_of_somebody_else_is_left_alone() {
    let targets = target(json!({"stableIngress": "web"}));
    let objects = live([ingress("web", rules()), ingress("web-web-canary", rules())]);
    let planned = plan(&split(20), &targets, &objects);
    assert_eq!(planned.errors[0].to_string(), "canary ingress `web-web-canary` controlled by different object");
    assert_eq!(planned.changes, []);
}
