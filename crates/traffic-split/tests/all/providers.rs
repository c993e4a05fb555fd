//! What holds for every provider: a written split is at rest, is seen as it was asked for, and is taken out again.

use object_model::{Object, OwnerReference, Uid};
use serde_json::{Value, json};
use traffic_split::{Destination, Live, Target, Verification, observe, plan, restore, verify};

use crate::istio::{after, live, split};

pub(crate) fn owner() -> OwnerReference {
    OwnerReference {
        api_version: "argoproj.io/v1alpha1".to_owned(),
        kind: "Rollout".to_owned(),
        name: "web".to_owned(),
        uid: Uid::new("r1"),
        controller: true,
        block_owner_deletion: true,
    }
}

/// The targets of a `trafficRouting` section without mistakes.
pub(crate) fn targets(routing: &Value) -> Vec<Target> {
    let (targets, errors) = Target::parse_all(routing, "qa", &owner());
    assert_eq!(errors, [], "{routing}");
    targets
}

pub(crate) fn object(api_version: &str, kind: &str, name: &str, spec: Value) -> Object {
    Object::parse(json!({
        "apiVersion": api_version, "kind": kind, "metadata": {"name": name, "namespace": "qa"}, "spec": spec,
    }))
    .unwrap()
}

pub(crate) fn ingress(name: &str, service: &str) -> Object {
    let path = json!({"path": "/", "pathType": "Prefix",
        "backend": {"service": {"name": service, "port": {"name": "use-annotation"}}}});
    object("networking.k8s.io/v1", "Ingress", name, json!({"rules": [{"http": {"paths": [path]}}, {"host": "bare"}]}))
}

/// Every provider: its section, and the objects that its user wrote.
pub(crate) fn all() -> Vec<(&'static str, Value, Live)> {
    let pair = |key: &str| json!([{key: "stable", "weight": 100}, {key: "canary", "weight": 0}]);
    let gateway = "gateway.networking.k8s.io/v1";
    let backends = json!([{"name": "stable", "port": 80}, {"name": "canary", "port": 80, "weight": 0}]);
    let nodes = json!([
        {"virtualNodeRef": {"name": "stable-node"}, "weight": 100},
        {"virtualNodeRef": {"name": "canary-node"}, "weight": 0},
    ]);
    let mesh = "appmesh.k8s.aws/v1beta2";
    vec![
        (
            "istio",
            json!({"istio": {"virtualService": {"name": "web"}}}),
            live([object(
                "networking.istio.io/v1",
                "VirtualService",
                "web",
                json!({"http": [{"route": [
                    {"destination": {"host": "stable"}, "weight": 100}, {"destination": {"host": "canary"}, "weight": 0},
                ]}]}),
            )]),
        ),
        (
            "nginx",
            json!({"nginx": {"stableIngresses": ["a", "b"]}}),
            live([ingress("a", "stable"), ingress("b", "stable")]),
        ),
        (
            "alb",
            json!({"alb": {"ingresses": ["a", "b"], "servicePort": 80, "rootService": "root"}}),
            live([ingress("a", "root"), ingress("b", "root")]),
        ),
        ("smi", json!({"smi": {}}), live([])),
        (
            "ambassador",
            json!({"ambassador": {"mappings": ["a"]}}),
            live([object("getambassador.io/v2", "Mapping", "a", json!({"prefix": "/", "service": "stable.qa:80"}))]),
        ),
        (
            "appMesh",
            json!({"appMesh": {"virtualService": {"name": "web"}, "virtualNodeGroup": {
                "canaryVirtualNodeRef": {"name": "canary-node"}, "stableVirtualNodeRef": {"name": "stable-node"}}}}),
            live([
                object(
                    mesh,
                    "VirtualService",
                    "web",
                    json!({"provider": {"virtualRouter": {"virtualRouterRef": {"name": "router"}}}}),
                ),
                object(
                    mesh,
                    "VirtualRouter",
                    "router",
                    json!({"routes": [
                        {"name": "http", "httpRoute": {"action": {"weightedTargets": nodes}}},
                        {"name": "grpc", "grpcRoute": {"action": {"weightedTargets": nodes}}},
                    ]}),
                ),
                object(mesh, "VirtualNode", "stable-node", json!({"podSelector": {"matchLabels": {"app": "web"}}})),
                object(mesh, "VirtualNode", "canary-node", json!({"podSelector": {"matchLabels": {"app": "web"}}})),
            ]),
        ),
        (
            "traefik",
            json!({"traefik": {"weightedTraefikServiceName": "web"}}),
            live([object(
                "traefik.io/v1alpha1",
                "TraefikService",
                "web",
                json!({"weighted": {"services": pair("name")}}),
            )]),
        ),
        (
            "apisix",
            json!({"apisix": {"route": {"name": "web", "rules": ["main"]}}, "managedRoutes": [{"name": "by-header"}]}),
            live([object(
                "apisix.apache.org/v2",
                "ApisixRoute",
                "web",
                json!({"http": [
                    {"name": "other", "backends": pair("serviceName")}, {"name": "main", "backends": pair("serviceName")},
                ]}),
            )]),
        ),
        (
            "gateway",
            json!({"plugins": {"argoproj-labs/gatewayAPI": {"httpRoute": "h", "grpcRoutes": [{"name": "g"}], "tcpRoute": "t"}}}),
            live([
                object(gateway, "HTTPRoute", "h", json!({"rules": [{"backendRefs": backends}]})),
                object(gateway, "GRPCRoute", "g", json!({"rules": [{"backendRefs": backends}]})),
                object(
                    "gateway.networking.k8s.io/v1alpha2",
                    "TCPRoute",
                    "t",
                    json!({"rules": [{"backendRefs": backends}]}),
                ),
            ]),
        ),
    ]
}

/// Writes what is planned until nothing is left, as a caller would; the number of rounds is small.
pub(crate) fn settle(wanted: &traffic_split::Split, targets: &[Target], mut objects: Live) -> Live {
    for _ in 0..3 {
        let planned = plan(wanted, targets, &objects);
        assert_eq!(planned.errors, [], "{targets:?}");
        if planned.changes.is_empty() {
            return objects;
        }
        objects = after(&planned, &objects);
    }
    panic!("a split must come to rest: {:?}", plan(wanted, targets, &objects).changes);
}

#[test]
fn every_provider_takes_a_weight_shows_it_and_comes_to_rest() {
    for (name, routing, mut objects) in all() {
        let targets = targets(&routing);
        for weight in [0, 20, 60, 100, 0] {
            let wanted = split(weight);
            objects = settle(&wanted, &targets, objects);
            assert_eq!(verify(&wanted, &targets, &objects), Verification::Applied, "{name}");
            let seen = observe(&wanted, &targets, &objects);
            assert!(!seen.is_empty(), "{name}");
            let expected = u32::try_from(weight).unwrap();
            for one in &seen {
                assert_eq!(one.canary, expected, "{name} {}", one.pointer);
                assert_eq!(one.stable + one.other, 100 - expected, "{name} {}", one.pointer);
            }
            let other = split((weight + 7) % 100);
            assert!(matches!(verify(&other, &targets, &objects), Verification::Differs(_)), "{name}");
        }
    }
}

#[test]
fn every_provider_is_left_as_it_was_found_but_for_an_action_that_paths_lead_through() {
    for (name, routing, before) in all() {
        let targets = targets(&routing);
        let mut wanted = split(40);
        wanted.canary = wanted.canary.with_hash("new");
        wanted.stable = wanted.stable.with_hash("old");
        let objects = settle(&wanted, &targets, before.clone());
        let released = restore(&wanted, &targets, &objects);
        assert_eq!(released.claims, [], "{name}");
        let mut back = after(&released, &objects);
        assert_eq!(restore(&wanted, &targets, &back).changes, [], "{name} must be at rest once it is left");
        if name == "alb" {
            for ingress in back.values_mut() {
                let action = ingress.annotation("alb.ingress.kubernetes.io/actions.root").unwrap();
                assert!(action.contains(r#""ServiceName":"canary","ServicePort":"80","Weight":0"#), "{action}");
                assert_eq!(ingress.annotations().len(), 1);
            }
            continue;
        }
        if name == "gateway" {
            // An absent weight has become a written one.
            assert_eq!(
                back.values().map(|o| o.int_at("/spec/rules/0/backendRefs/0/weight")).collect::<Vec<_>>(),
                [Some(100); 3]
            );
            continue;
        }
        for (id, object) in &before {
            assert_eq!(back[id].pointer("/spec"), object.pointer("/spec"), "{name}");
            assert_eq!(back[id].annotations(), object.annotations(), "{name}");
        }
        assert_eq!(back.len(), before.len(), "{name} must leave no object behind");
    }
}

#[test]
fn several_providers_at_once_all_get_the_weight_and_one_that_lacks_its_object_is_told() {
    let everything = all().into_iter().filter(|(name, ..)| !matches!(*name, "alb"));
    let (mut routing, mut objects) = (json!({}), Live::new());
    for (_, section, live) in everything {
        for (key, value) in section.as_object().unwrap() {
            routing[key] = value.clone();
        }
        objects.extend(live);
    }
    let targets = targets(&routing);
    assert_eq!(targets.len(), 8);
    let next = settle(&split(30), &targets, objects.clone());
    assert!(observe(&split(30), &targets, &next).iter().all(|seen| seen.canary == 30));
    objects.retain(|id, _| id.kind != "TraefikService");
    let planned = plan(&split(30), &targets, &objects);
    assert_eq!(planned.errors.iter().map(ToString::to_string).collect::<Vec<_>>(), ["TraefikService `web` not found"]);
    assert!(planned.changes.len() >= 8, "the others are planned all the same");
}

#[test]
fn a_version_that_is_missing_is_named_with_its_place() {
    let cases = [
        (
            "traefik",
            "/spec/weighted/services/1/name",
            "canary backend 'canary' not found in TraefikService `web` spec.weighted.services",
        ),
        (
            "apisix",
            "/spec/http/1/backends/0/serviceName",
            "stable backend 'stable' not found in ApisixRoute `web` rule `main`",
        ),
        (
            "gateway",
            "/spec/rules/0/backendRefs/1/name",
            "canary backend 'canary' not found in HTTPRoute `h` spec.rules",
        ),
        (
            "appMesh",
            "/spec/routes/1/grpcRoute/action/weightedTargets/1/virtualNodeRef/name",
            "canary backend 'canary-node' not found in VirtualRouter `router` spec.routes[1]",
        ),
        ("ambassador", "/spec/service", "stable backend 'stable' not found in Mapping `a` spec.service"),
        (
            "alb",
            "/spec/rules/0/http/paths/0/backend/service/name",
            "ingress `a` has no rules using service root backend",
        ),
    ];
    for (wanted, pointer, message) in cases {
        let (_, routing, objects) = all().into_iter().find(|(name, ..)| *name == wanted).unwrap();
        let broken = objects.into_iter().map(|(id, object)| {
            let mut json = object.into_json();
            if let Some(name) = json.pointer_mut(pointer) {
                *name = "stranger".into();
            }
            (id, Object::parse(json).unwrap())
        });
        let planned = plan(&split(20), &targets(&routing), &broken.collect());
        let told: Vec<_> = planned.errors.iter().map(ToString::to_string).collect();
        assert!(told.iter().any(|told| told == message), "{wanted}: {told:?}");
    }
}

#[test]
fn a_section_that_is_wrong_or_unknown_is_told_with_its_path() {
    for (routing, message) in [
        (json!({"traefik": {}}), "trafficRouting.traefik.weightedTraefikServiceName is missing"),
        (json!({"apisix": {}}), "trafficRouting.apisix.route.name is missing"),
        (
            json!({"ambassador": {"mappings": []}}),
            "trafficRouting.ambassador.mappings must be a list with at least one entry",
        ),
        (
            json!({"appMesh": {"virtualService": {"name": "a"}}}),
            "trafficRouting.appMesh.virtualNodeGroup.canaryVirtualNodeRef.name is missing",
        ),
        (json!({"alb": {"servicePort": 80}}), "trafficRouting.alb must have a ingress"),
        (json!({"alb": {"ingress": "a"}}), "trafficRouting.alb.servicePort must be a port number"),
        (
            json!({"alb": {"ingress": "a", "servicePort": 1, "stickinessConfig": {"enabled": true, "durationSeconds": 604_801}}}),
            "trafficRouting.alb.stickinessConfig.durationSeconds must be between 1 and 604800 seconds (7 days)",
        ),
        (
            json!({"plugins": {"argoproj-labs/gatewayAPI": {}}}),
            "trafficRouting.plugins[argoproj-labs/gatewayAPI] must name a route or select some",
        ),
        (
            json!({"plugins": {"argoproj-labs/gatewayAPI": {"httpRoutes": [{}]}}}),
            "trafficRouting.plugins[argoproj-labs/gatewayAPI].httpRoutes[0].name is missing",
        ),
        (json!({"plugins": {"a/b": {}}}), "trafficRouting.plugins[a/b] is not a provider that is built in"),
        (json!({"contour": {}}), "trafficRouting.contour is not a provider that is built in"),
        (json!({"nginx": {}}), "trafficRouting.nginx must have a stableIngress"),
    ] {
        let (found, errors) = Target::parse_all(&routing, "qa", &owner());
        assert_eq!(found, []);
        assert_eq!(errors.iter().map(ToString::to_string).collect::<Vec<_>>(), [message]);
    }
}

#[test]
fn what_a_provider_has_not_is_refused_by_name_and_weights_are_set_all_the_same() {
    let mut wanted = split(20);
    wanted.additional.push((Destination::service("exp"), object_model::Weight::new(5).unwrap()));
    for (name, routing, objects) in all() {
        let errors = plan(&wanted, &targets(&routing), &objects).errors;
        let refuses = matches!(name, "nginx" | "ambassador" | "appMesh" | "traefik" | "apisix");
        let told: Vec<_> =
            errors.iter().map(ToString::to_string).filter(|t| t.contains("additional destinations")).collect();
        assert_eq!(told.len(), usize::from(refuses), "{name}: {errors:?}");
    }
    let mut wanted = split(20);
    wanted.total = 1000;
    for (name, routing, objects) in all() {
        let errors = plan(&wanted, &targets(&routing), &objects).errors;
        assert_eq!(errors.is_empty(), matches!(name, "nginx" | "gateway"), "{name}: {errors:?}");
    }
}
