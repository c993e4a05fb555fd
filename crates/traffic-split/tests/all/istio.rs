//! Istio, rule by rule.

use std::collections::BTreeMap;

use insta::assert_snapshot;
use object_model::{Object, Weight};
use serde_json::{Value, json};
use traffic_split::{
    Action, Destination, HeaderRoute, IstioTarget, Live, MANAGED_BY_ANNOTATION, MirrorRoute, Split, SplitPlan, Target,
    Verification, observe, plan, restore, verify,
};

pub(crate) fn split(weight: i64) -> Split {
    Split::new(Destination::service("canary"), Destination::service("stable"), Weight::new(weight).unwrap())
}

fn virtual_service(spec: Value) -> Object {
    Object::parse(json!({
        "apiVersion": "networking.istio.io/v1", "kind": "VirtualService",
        "metadata": {"name": "web", "namespace": "qa", "uid": "u1", "resourceVersion": "5"}, "spec": spec,
    }))
    .unwrap()
}

fn destination_rule(subsets: Value) -> Object {
    Object::parse(json!({
        "apiVersion": "networking.istio.io/v1", "kind": "DestinationRule",
        "metadata": {"name": "rule", "namespace": "qa"}, "spec": {"host": "web-host", "subsets": subsets},
    }))
    .unwrap()
}

fn hosts(pairs: &[(&str, u32)]) -> Value {
    pairs.iter().map(|(host, weight)| json!({"destination": {"host": host}, "weight": weight})).collect()
}

pub(crate) fn live(objects: impl IntoIterator<Item = Object>) -> Live {
    objects.into_iter().map(|object| (object.id(), object)).collect()
}

fn target(section: Value) -> [Target; 1] {
    [Target::Istio(IstioTarget::parse(&section, "qa", "web").unwrap())]
}

fn simple() -> [Target; 1] {
    target(json!({"virtualService": {"name": "web"}}))
}

pub(crate) fn after(planned: &SplitPlan, live: &Live) -> Live {
    let mut next: Live = live.clone();
    for change in &planned.changes {
        match &change.action {
            Action::Delete(_) => next.remove(&change.id),
            Action::Create(object) | Action::Update(object) => next.insert(change.id.clone(), object.clone()),
        };
    }
    next
}

/// The destinations of the first HTTP route after the split, or the error.
fn routed(split: &Split, targets: &[Target], spec: Value) -> String {
    let before = live([virtual_service(spec)]);
    let planned = plan(split, targets, &before);
    if let Some(error) = planned.errors.first() {
        return error.to_string();
    }
    let next = after(&planned, &before);
    assert_eq!(plan(split, targets, &next).changes, [], "the split must be at rest once it is written");
    let list = next.values().next().unwrap().list_at("/spec/http/0/route");
    let shown = list.iter().map(|item| {
        let place = &item["destination"];
        format!(
            "{}{}={}",
            place["host"].as_str().unwrap_or("?"),
            place["subset"].as_str().map_or(String::new(), |s| format!("/{s}")),
            item["weight"]
        )
    });
    shown.collect::<Vec<_>>().join(" ")
}

#[test]
fn weights_follow_the_split_and_the_patch_names_only_them() {
    let before = live([virtual_service(json!({"http": [{"route": hosts(&[("stable", 100), ("canary", 0)])}]}))]);
    let planned = plan(&split(20), &simple(), &before);
    assert_eq!(planned.errors, []);
    assert_eq!(
        Value::Array(planned.changes[0].patch.clone()),
        json!([
            {"op": "test", "path": "/metadata/uid", "value": "u1"},
            {"op": "test", "path": "/metadata/resourceVersion", "value": "5"},
            {"op": "replace", "path": "/spec/http/0/route/0/weight", "value": 80},
            {"op": "replace", "path": "/spec/http/0/route/1/weight", "value": 20},
        ])
    );
    let pointers: Vec<_> = planned.claims.iter().map(|claim| claim.pointer.as_str()).collect();
    assert_eq!(pointers, ["/spec/http/0/route/0/weight", "/spec/http/0/route/1/weight"]);
    let id = before.keys().next().unwrap();
    assert_eq!(planned.claims_on(id).count(), 2);
    assert_eq!(planned.wanted(id, &before), Some(planned.changes[0].object()));
    let next = after(&planned, &before);
    assert_eq!(plan(&split(20), &simple(), &next).wanted(id, &next), next.get(id));
    assert_eq!(verify(&split(20), &simple(), &next), Verification::Applied);
    assert!(matches!(verify(&split(30), &simple(), &next), Verification::Differs(ids) if ids.len() == 1));
    let seen = observe(&split(20), &simple(), &next);
    assert_eq!((seen[0].canary, seen[0].stable, seen[0].other), (20, 80, 0));
}

#[test]
fn destinations_are_told_by_the_first_label_of_their_host() {
    let spec = json!({"http": [{"route": hosts(&[("stable.qa.svc.cluster.local", 100), ("canary.qa", 0)])}]});
    assert_eq!(routed(&split(20), &simple(), spec), "stable.qa.svc.cluster.local=80 canary.qa=20");
}

#[test]
fn a_destination_that_nobody_knows_loses_its_traffic() {
    let spec =
        json!({"http": [{"route": hosts(&[("stable", 50), ("old-experiment", 30), ("canary", 20), ("idle", 0)])}]});
    assert_eq!(routed(&split(10), &simple(), spec.clone()), "stable=90 canary=10 idle=0");
    let planned = plan(&split(10), &simple(), &live([virtual_service(spec)]));
    assert_eq!(planned.claims[0].pointer, "/spec/http/0/route", "the places in the list have shifted");
}

#[test]
fn an_experiment_takes_its_share_from_stable() {
    let mut with = split(20);
    with.additional.push((Destination::service("exp-b"), Weight::new(5).unwrap()));
    with.additional.push((Destination::service("exp-a"), Weight::new(10).unwrap()));
    let spec = json!({"http": [{"route": hosts(&[("stable", 100), ("canary", 0), ("exp-b", 1)])}]});
    assert_eq!(routed(&with, &simple(), spec), "stable=65 canary=20 exp-b=5 exp-a=10");
}

#[test]
fn the_routes_to_set_are_found_or_their_absence_is_told() {
    let pair = hosts(&[("stable", 100), ("canary", 0)]);
    let named = |names: &[&str]| target(json!({"virtualService": {"name": "web", "routes": names}}));
    let two = json!({"http": [{"name": "a", "route": pair}, {"name": "b", "route": pair}]});
    assert_eq!(routed(&split(20), &named(&["a"]), two.clone()), "stable=80 canary=20");
    assert_eq!(routed(&split(20), &named(&["b"]), two.clone()), "stable=100 canary=0");
    for (targets, spec, message) in [
        (named(&["c"]), two.clone(), "HTTP Route 'c' is not found in the defined Virtual Service."),
        (
            simple(),
            two,
            "spec.http[] should be set in VirtualService and it must have exactly one route when omitting spec.strategy.canary.trafficRouting.istio.virtualService.routes",
        ),
        (
            simple(),
            json!({"http": [{"route": hosts(&[("stable", 100)])}]}),
            "Canary Service 'canary' not found in route",
        ),
        (
            simple(),
            json!({"http": [{"route": hosts(&[("canary", 100)])}]}),
            "Stable Service 'stable' not found in route",
        ),
        (simple(), json!({}), "VirtualService `web` spec has no http, tls or tcp route to set"),
        (simple(), json!({"http": {}}), "VirtualService `web` spec.http must be a list"),
        (simple(), json!({"http": [1]}), "VirtualService `web` spec.http[] must be a mapping"),
        (simple(), json!({"http": [{"route": 1}]}), "spec.http.0.route must be a list"),
    ] {
        assert_eq!(routed(&split(20), &targets, spec), message);
    }
    let missing = plan(&split(20), &simple(), &BTreeMap::new());
    assert_eq!(missing.errors[0].to_string(), "VirtualService `web` not found");
}

#[test]
fn tls_and_tcp_routes_are_told_by_port_and_names() {
    let pair = hosts(&[("stable", 100), ("canary", 0)]);
    let tls = |port: i64, names: &[&str]| json!({"match": [{"port": port, "sniHosts": names}], "route": pair});
    let spec = json!({
        "tls": [tls(443, &["a", "b"]), tls(8443, &["a"])],
        "tcp": [{"match": [{"port": 3000}], "route": pair}, {"match": [{"port": 1}, {"port": 2}], "route": pair}],
    });
    let section =
        |tls: Value, tcp: Value| target(json!({"virtualService": {"name": "web", "tlsRoutes": tls, "tcpRoutes": tcp}}));
    let before = live([virtual_service(spec)]);
    let targets = section(json!([{"port": 443, "sniHosts": ["b", "a"]}]), json!([{"port": 3000}]));
    let planned = plan(&split(20), &targets, &before);
    let pointers: Vec<_> = planned.claims.iter().map(|claim| claim.pointer.as_str()).collect();
    assert_eq!(planned.errors, []);
    assert_eq!(
        pointers,
        [
            "/spec/tcp/0/route/0/weight",
            "/spec/tcp/0/route/1/weight",
            "/spec/tls/0/route/0/weight",
            "/spec/tls/0/route/1/weight"
        ]
    );
    let object = planned.changes[0].object();
    assert_eq!(
        (object.int_at("/spec/tls/0/route/1/weight"), object.int_at("/spec/tls/1/route/1/weight")),
        (Some(20), Some(0))
    );
    for (targets, message) in [
        (
            section(json!([{"port": 443, "sniHosts": ["a"]}]), json!([])),
            "No matching TLS routes found in the defined Virtual Service.",
        ),
        (
            section(json!([{"port": 443, "sniHosts": ["a", "b"]}]), json!([{"port": 1}])),
            "No matching TCP routes found in the defined Virtual Service.",
        ),
        (
            section(json!([]), json!([{"port": 3000}])),
            "spec.tls[] should be set in VirtualService and it must have exactly one route when omitting spec.strategy.canary.trafficRouting.istio.virtualService.tlsRoutes",
        ),
    ] {
        assert_eq!(plan(&split(20), &targets, &before).errors[0].to_string(), message);
    }
}

fn with_rule() -> [Target; 1] {
    target(json!({
        "virtualService": {"name": "web"},
        "destinationRule": {
            "name": "rule", "canarySubsetName": "new", "stableSubsetName": "old", "additionalSubsetNames": ["other"],
        },
    }))
}

fn subset_objects() -> Live {
    let route = json!([
        {"destination": {"host": "web-host", "subset": "old"}, "weight": 95},
        {"destination": {"host": "web-host", "subset": "new"}, "weight": 0},
        {"destination": {"host": "web-host", "subset": "other"}, "weight": 5},
    ]);
    live([
        virtual_service(json!({"http": [{"route": route}]})),
        destination_rule(json!([
            {"name": "new", "labels": {"app": "web"}, "trafficPolicy": {"x": 1}},
            {"name": "old"},
            {"name": "other", "labels": {"version": "0"}},
            {"name": "exp-1", "labels": {"rollouts-pod-template-hash": "gone"}},
        ])),
    ])
}

#[test]
fn subsets_get_the_hashes_and_others_keep_their_share() {
    let mut with = split(20);
    with.canary = Destination::default().with_hash("new1");
    with.stable = Destination::default().with_hash("old1");
    let before = subset_objects();
    let planned = plan(&with, &with_rule(), &before);
    assert_eq!(planned.errors, []);
    assert_eq!(planned.changes[0].summary, "DestinationRule rule subset updated (new: new1, old: old1)");
    assert_eq!(
        planned.changes[0].object().pointer("/spec/subsets").unwrap(),
        &json!([
            {"name": "new", "labels": {"app": "web", "rollouts-pod-template-hash": "new1"}, "trafficPolicy": {"x": 1}},
            {"name": "old", "labels": {"rollouts-pod-template-hash": "old1"}},
            {"name": "other", "labels": {"version": "0"}},
        ])
    );
    assert_eq!(planned.changes[0].object().annotation(MANAGED_BY_ANNOTATION), Some("web"));
    let next = after(&planned, &before);
    assert_eq!(plan(&with, &with_rule(), &next).changes, []);
    let seen = &observe(&with, &with_rule(), &next)[0];
    assert_eq!((seen.canary, seen.stable, seen.other), (20, 75, 5));

    let released = restore(&with, &with_rule(), &next);
    let last = after(&released, &next);
    let rule = last.values().find(|object| object.kind() == "DestinationRule").unwrap();
    assert_eq!(
        rule.pointer("/spec/subsets").unwrap(),
        &json!([
            {"name": "new", "labels": {"app": "web"}, "trafficPolicy": {"x": 1}},
            {"name": "old"},
            {"name": "other", "labels": {"version": "0"}},
        ])
    );
    assert_eq!(rule.annotation(MANAGED_BY_ANNOTATION), None);
    assert_eq!(observe(&with, &with_rule(), &last)[0].canary, 0);
    assert_eq!(restore(&with, &with_rule(), &last).changes, []);
}

#[test]
fn an_experiment_gets_a_subset_of_its_own() {
    let mut with = split(20);
    with.additional.push((Destination::service("exp-1").with_hash("exp"), Weight::new(5).unwrap()));
    let planned = plan(&with, &with_rule(), &subset_objects());
    let subsets = planned.changes[0].object().list_at("/spec/subsets").to_vec();
    assert_eq!(subsets[3], json!({"name": "exp-1", "labels": {"rollouts-pod-template-hash": "exp"}}));
}

#[test]
fn a_subset_that_is_missing_is_told() {
    let mut objects = subset_objects();
    let rule = destination_rule(json!([{"name": "new"}]));
    objects.insert(rule.id(), rule);
    let planned = plan(&split(20), &with_rule(), &objects);
    assert_eq!(planned.errors[0].to_string(), "Stable subset 'old' not found in DestinationRule `rule`");
    let spec = json!({"http": [{"route": [{"destination": {"host": "web-host", "subset": "old"}}]}]});
    let service = virtual_service(spec);
    objects.insert(service.id(), service);
    let planned = plan(&split(20), &with_rule(), &objects);
    assert_eq!(planned.errors[1].to_string(), "Canary DestinationRule subset 'new' not found in route");
}

fn header(name: &str, value: &str) -> HeaderRoute {
    let step = json!({"name": name, "match": [{"headerName": "agent", "headerValue": {"exact": value}}]});
    HeaderRoute::parse(&step).unwrap().1.unwrap()
}

fn mirror(name: &str) -> MirrorRoute {
    let step = json!({"name": name, "percentage": 80, "match": [
        {"method": {"exact": "GET"}, "path": {"prefix": "/"}, "headers": {"agent": {"regex": "chrome.*"}}},
    ]});
    MirrorRoute::parse(&step).unwrap().1.unwrap()
}

#[test]
fn managed_routes_stand_in_front_in_their_order_and_go_again() {
    let route = json!([
        {"destination": {"host": "stable", "port": {"number": 80}}, "weight": 100},
        {"destination": {"host": "canary", "port": {"number": 80}}, "weight": 0},
    ]);
    let before = live([virtual_service(json!({"http": [{"name": "primary", "route": route}]}))]);
    let targets = target(json!({"virtualService": {"name": "web", "routes": ["primary"]}}));
    let mut with = split(20);
    with.managed_routes = vec!["mirrored".to_owned(), "by-header".to_owned()];
    with.header_routes = vec![header("by-header", "firefox")];
    with.mirror_routes = vec![mirror("mirrored")];
    let planned = plan(&with, &targets, &before);
    assert_eq!(planned.errors, []);
    assert_eq!(planned.claims[0].pointer, "/spec/http");
    let next = after(&planned, &before);
    let http = next.values().next().unwrap().pointer("/spec/http").unwrap();
    assert_snapshot!(serde_json::to_string_pretty(http).unwrap(), @r#"
[
  {
    "match": [
      {
        "headers": {
          "agent": {
            "regex": "chrome.*"
          }
        },
        "method": {
          "exact": "GET"
        },
        "uri": {
          "prefix": "/"
        }
      }
    ],
    "mirror": {
      "host": "canary",
      "port": {
        "number": 80
      }
    },
    "mirrorPercentage": {
      "value": 80
    },
    "name": "mirrored",
    "route": [
      {
        "destination": {
          "host": "stable",
          "port": {
            "number": 80
          }
        },
        "weight": 80
      },
      {
        "destination": {
          "host": "canary",
          "port": {
            "number": 80
          }
        },
        "weight": 20
      }
    ]
  },
  {
    "match": [
      {
        "headers": {
          "agent": {
            "exact": "firefox"
          }
        }
      }
    ],
    "name": "by-header",
    "route": [
      {
        "destination": {
          "host": "canary",
          "port": {
            "number": 80
          }
        },
        "weight": 100
      }
    ]
  },
  {
    "name": "primary",
    "route": [
      {
        "destination": {
          "host": "stable",
          "port": {
            "number": 80
          }
        },
        "weight": 80
      },
      {
        "destination": {
          "host": "canary",
          "port": {
            "number": 80
          }
        },
        "weight": 20
      }
    ]
  }
]
"#);

    with.weight = Weight::new(40).unwrap();
    let raised = after(&plan(&with, &targets, &next), &next);
    let object = raised.values().next().unwrap();
    assert_eq!(object.int_at("/spec/http/0/route/1/weight"), Some(40), "a mirror route answers by the split");
    assert_eq!(object.int_at("/spec/http/2/route/1/weight"), Some(40));
    assert_eq!(plan(&with, &targets, &raised).changes, []);

    let cleared = restore(&with, &targets, &raised);
    assert_eq!(after(&cleared, &raised), after(&plan(&split(0), &targets, &before), &before));
}

#[test]
fn a_route_of_ours_needs_a_kept_name() {
    let before = live([virtual_service(json!({"http": [{"route": hosts(&[("stable", 100), ("canary", 0)])}]}))]);
    let mut with = split(20);
    with.header_routes = vec![header("free", "x")];
    let planned = plan(&with, &simple(), &before);
    assert_eq!(
        planned.errors[0].to_string(),
        "route 'free' is not in spec.strategy.canary.trafficRouting.managedRoutes"
    );
}

#[test]
fn one_missing_object_does_not_keep_weight_on_the_canary_elsewhere() {
    let targets = target(json!({"virtualServices": [{"name": "gone"}, {"name": "web"}, {"name": "web.prod"}]}));
    let spec = json!({"http": [{"route": hosts(&[("stable", 40), ("canary", 60)])}]});
    let planned = plan(&split(0), &targets, &live([virtual_service(spec)]));
    assert_eq!(planned.changes.len(), 1);
    let errors: Vec<_> = planned.errors.iter().map(ToString::to_string).collect();
    assert_eq!(errors, ["VirtualService `gone` not found", "VirtualService `web` not found"]);
    assert!(matches!(verify(&split(0), &targets, &BTreeMap::new()), Verification::Unknown(_)));
    assert_eq!(restore(&split(0), &targets, &BTreeMap::new()).errors, []);
}

#[test]
fn a_total_other_than_a_hundred_is_refused() {
    let mut odd = split(20);
    odd.total = 1000;
    let planned = plan(&odd, &simple(), &BTreeMap::new());
    assert_eq!(planned.errors[0].to_string(), "Istio weights are shares of 100, not of 1000");
}
