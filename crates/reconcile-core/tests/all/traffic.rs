//! Rollouts behind every traffic provider, one at a time and several at once.

use std::time::Duration;

use object_model::{Object, ObjectId};
use reconcile_core::rollout::RolloutDomain;
use reconcile_core::{Domain, Kind, kinds};
use serde_json::{Value, json};
use traffic_split::{Destination, Live, Split, Target, observe};

use crate::play::Play;
use crate::rollout::{phase, rollout, service, set_image};

fn kind(group: &str, name: &str) -> Kind {
    kinds::traffic().into_iter().find(|kind| kind.group == group && kind.kind == name).unwrap()
}

fn object(kind: &Kind, name: &str, spec: Value) -> Value {
    json!({"apiVersion": kind.api_version(), "kind": kind.kind, "metadata": {"name": name, "namespace": "qa"}, "spec": spec})
}

fn pair(key: &str) -> Value {
    json!([{key: "web-stable", "weight": 100}, {key: "web-canary", "weight": 0}])
}

fn ingress(name: &str, backend: &str) -> (Kind, Value) {
    let kind = kind("networking.k8s.io", "Ingress");
    let path = json!({"path": "/", "pathType": "Prefix", "backend": {"service": {"name": backend, "port": {"name": "use-annotation"}}}});
    let object = object(&kind, name, json!({"rules": [{"http": {"paths": [path]}}]}));
    (kind, object)
}

#[test]
fn a_weight_may_be_a_share_of_another_total() {
    let route = kind("gateway.networking.k8s.io", "HTTPRoute");
    let (ingress_kind, ingress_object) = ingress("a", "web-stable");
    let mut play = Play::new(RolloutDomain::default(), "qa", "web");
    for name in ["web-stable", "web-canary"] {
        play.put(&kinds::service(), service(name));
    }
    play.put(&ingress_kind, ingress_object);
    let backends = json!([{"name": "web-stable", "port": 80}, {"name": "web-canary", "port": 80, "weight": 0}]);
    play.put(&route, object(&route, "web", json!({"rules": [{"backendRefs": backends}]})));
    play.put(
        &kinds::rollout(),
        rollout(json!({
            "canaryService": "web-canary", "stableService": "web-stable",
            "trafficRouting": {
                "maxTrafficWeight": 1000, "nginx": {"stableIngress": "a"},
                "plugins": {"argoproj-labs/gatewayAPI": {"httpRoute": "web"}},
            },
            "steps": [{"setWeight": 5}, {"pause": {}}, {"setWeight": 900}, {"pause": {}}],
        })),
    );
    play.settle();
    let status = |play: &Play<RolloutDomain>| {
        let rollout = play.get(&kinds::rollout(), "web");
        let weight = |role: &str| rollout.int_at(&format!("/status/canary/weights/{role}/weight")).unwrap();
        let canary = play.get(&ingress_kind, "web-a-canary");
        let note = |key: &str| canary.annotation(&format!("nginx.ingress.kubernetes.io/{key}")).unwrap().to_owned();
        let refs = play.get(&route, "web").list_at("/spec/rules")[0]["backendRefs"].clone();
        assert_eq!((&refs[0]["weight"], &refs[1]["weight"]), (&weight("stable").into(), &weight("canary").into()));
        let new = rollout.int_at("/status/updatedReplicas").unwrap();
        let phase = phase(play);
        format!(
            "{} of {}, stable {}, {new} pods, {phase}",
            note("canary-weight"),
            note("canary-weight-total"),
            weight("stable")
        )
    };
    let promote = |play: &mut Play<RolloutDomain>| {
        play.change(&kinds::rollout(), "web", |rollout| rollout.set_at(&["status", "pauseConditions"], Value::Null));
        play.settle();
        play.take_log()
    };
    assert_eq!(status(&play), "0 of 1000, stable 1000, 5 pods, Healthy  step 4");
    set_image(&mut play, "web:v2");
    play.settle();
    assert_eq!(status(&play), "5 of 1000, stable 995, 1 pods, Paused CanaryPauseStep step 1");
    promote(&mut play);
    assert_eq!(status(&play), "900 of 1000, stable 100, 5 pods, Paused CanaryPauseStep step 3");
    let log = promote(&mut play);
    assert!(log.contains("Traffic weight updated to 1000"), "{log}");
    assert_eq!(status(&play), "0 of 1000, stable 1000, 5 pods, Healthy  step 4");
}

type Provider = (&'static str, Value, Vec<(Kind, Value)>);

/// A provider's section and the objects that its user wrote.
fn providers() -> Vec<Provider> {
    let one = |group: &str, name: &str, object_name: &str, spec: Value| {
        let kind = kind(group, name);
        let object = object(&kind, object_name, spec);
        (kind, object)
    };
    let mesh = "appmesh.k8s.aws";
    let nodes = json!([{"virtualNodeRef": {"name": "stable"}, "weight": 100}, {"virtualNodeRef": {"name": "canary"}, "weight": 0}]);
    let subset = |name: &str, weight: u32| json!({"destination": {"host": "web", "subset": name}, "weight": weight});
    vec![
        ("nginx", json!({"stableIngresses": ["a", "b"]}), vec![ingress("a", "web-stable"), ingress("b", "web-stable")]),
        (
            "alb",
            json!({"ingresses": ["c", "d"], "servicePort": 80, "rootService": "root"}),
            vec![ingress("c", "root"), ingress("d", "root")],
        ),
        ("smi", json!({}), vec![]),
        (
            "ambassador",
            json!({"mappings": ["m"]}),
            vec![one("getambassador.io", "Mapping", "m", json!({"service": "web-stable:80"}))],
        ),
        (
            "appMesh",
            json!({"virtualService": {"name": "v"}, "virtualNodeGroup": {
                "canaryVirtualNodeRef": {"name": "canary"}, "stableVirtualNodeRef": {"name": "stable"}}}),
            vec![
                one(
                    mesh,
                    "VirtualService",
                    "v",
                    json!({"provider": {"virtualRouter": {"virtualRouterRef": {"name": "r"}}}}),
                ),
                one(
                    mesh,
                    "VirtualRouter",
                    "r",
                    json!({"routes": [{"name": "x", "httpRoute": {"action": {"weightedTargets": nodes}}}]}),
                ),
                one(mesh, "VirtualNode", "stable", json!({"podSelector": {"matchLabels": {"app": "web"}}})),
                one(mesh, "VirtualNode", "canary", json!({"podSelector": {"matchLabels": {"app": "web"}}})),
            ],
        ),
        (
            "traefik",
            json!({"weightedTraefikServiceName": "t"}),
            vec![one("traefik.io", "TraefikService", "t", json!({"weighted": {"services": pair("name")}}))],
        ),
        (
            "apisix",
            json!({"route": {"name": "p"}}),
            vec![one(
                "apisix.apache.org",
                "ApisixRoute",
                "p",
                json!({"http": [{"name": "p", "backends": pair("serviceName")}]}),
            )],
        ),
        (
            "plugins",
            json!({"argoproj-labs/gatewayAPI": {"httpRoute": "h", "tcpRouteSelector": {"matchLabels": {}}}}),
            vec![
                one("gateway.networking.k8s.io", "HTTPRoute", "h", json!({"rules": [{"backendRefs": pair("name")}]})),
                one("gateway.networking.k8s.io", "TCPRoute", "tcp", json!({"rules": [{"backendRefs": pair("name")}]})),
            ],
        ),
        (
            "istio",
            json!({"virtualService": {"name": "i"}, "destinationRule": {"name": "rule", "canarySubsetName": "canary", "stableSubsetName": "stable"}}),
            vec![
                one(
                    "networking.istio.io",
                    "VirtualService",
                    "i",
                    json!({"http": [{"route": [subset("stable", 100), subset("canary", 0)]}]}),
                ),
                one(
                    "networking.istio.io",
                    "DestinationRule",
                    "rule",
                    json!({"host": "web", "subsets": [{"name": "stable"}, {"name": "canary"}]}),
                ),
            ],
        ),
    ]
}

struct Course {
    play: Play<RolloutDomain>,
    routing: Value,
}

impl Course {
    /// A Rollout behind these providers, at rest with v1.
    fn begin(chosen: impl Fn(&str) -> bool) -> Self {
        let mut play = Play::new(RolloutDomain::default(), "qa", "web");
        play.view.served = kinds::traffic();
        for name in ["web-canary", "web-stable"] {
            play.put(&kinds::service(), service(name));
        }
        let mut routing = json!({});
        for (name, section, objects) in providers().into_iter().filter(|(name, ..)| chosen(name)) {
            routing[name] = section;
            for (kind, object) in objects {
                play.put(&kind, object);
            }
        }
        let canary = json!({
            "canaryService": "web-canary", "stableService": "web-stable", "trafficRouting": routing,
            "steps": [{"setWeight": 20}, {"pause": {}}, {"setWeight": 60}, {"pause": {}}],
        });
        play.put(&kinds::rollout(), rollout(canary));
        play.settle();
        assert_eq!(phase(&play), "Healthy  step 4", "{routing}");
        play.take_log();
        Self { play, routing }
    }

    fn live(&self) -> Live {
        let objects =
            kinds::traffic().into_iter().flat_map(|kind| reconcile_core::View::list(&self.play.view, &kind, "qa"));
        objects.map(|object| (object.id(), (*object).clone())).collect()
    }

    /// What each route gives the canary.
    fn weights(&self) -> Vec<u32> {
        let owner = self.play.get(&kinds::rollout(), "web");
        let owner = object_model::OwnerReference {
            api_version: owner.api_version().to_owned(),
            kind: "Rollout".to_owned(),
            name: "web".to_owned(),
            uid: owner.uid().unwrap(),
            controller: true,
            block_owner_deletion: true,
        };
        let (targets, errors) = Target::parse_all(&self.routing, "qa", &owner);
        assert_eq!(errors, []);
        let split = Split::new(
            Destination::service("web-canary"),
            Destination::service("web-stable"),
            object_model::Weight::ZERO,
        );
        observe(&split, &targets, &self.live()).into_iter().map(|seen| seen.canary).collect()
    }

    fn all_at(&self, weight: u32) {
        let weights = self.weights();
        assert!(
            !weights.is_empty() && weights.iter().all(|have| *have == weight),
            "{weight}: {weights:?} {}",
            self.routing
        );
    }

    fn go_on(&mut self) {
        self.play
            .change(&kinds::rollout(), "web", |rollout| rollout.set_at(&["status", "pauseConditions"], Value::Null));
        self.play.settle();
    }

    fn find(&self, kind: &str, name: &str) -> Option<Object> {
        self.live().into_values().find(|object| object.kind() == kind && object.name() == name)
    }
}

#[test]
fn every_provider_climbs_promotes_and_sheds_on_an_abort() {
    for (provider, ..) in providers() {
        let mut course = Course::begin(|name| name == provider);
        course.all_at(0);
        set_image(&mut course.play, "web:v2");
        course.play.settle();
        course.all_at(20);
        course.go_on();
        course.all_at(60);
        course.go_on();
        course.play.pass(Duration::from_secs(31));
        course.play.settle();
        assert_eq!(phase(&course.play), "Healthy  step 4", "{provider}");
        course.all_at(0);
        set_image(&mut course.play, "web:v3");
        course.play.settle();
        course.all_at(20);
        course.play.change(&kinds::rollout(), "web", |rollout| rollout.set_at(&["status", "abort"], true.into()));
        let first = course.play.step();
        assert!(first.acts().next().is_some_and(|act| act.shedding), "{provider}: nothing comes before shedding");
        course.play.settle();
        course.all_at(0);
    }
}

#[test]
fn all_providers_at_once_get_the_weight_before_the_step_is_done() {
    let mut course = Course::begin(|_| true);
    set_image(&mut course.play, "web:v2");
    course.play.settle();
    course.all_at(20);
    assert!(course.weights().len() >= 10);
    assert_eq!(phase(&course.play), "Paused CanaryPauseStep step 1");
}

#[test]
fn one_provider_that_lost_its_object_keeps_the_step_but_not_an_abort() {
    let mut course = Course::begin(|name| matches!(name, "traefik" | "smi"));
    set_image(&mut course.play, "web:v2");
    course.play.settle();
    course.all_at(20);
    let id = (kind("traefik.io", "TraefikService"), "qa".to_owned(), "t".to_owned());
    course.play.view.objects.remove(&id);
    course.go_on();
    let plan = course.play.plan();
    assert_eq!(plan.report.problems, ["TraefikService `t` not found"]);
    assert_eq!(course.weights(), [20], "no weight is raised while a provider can't follow");
    course.play.change(&kinds::rollout(), "web", |rollout| rollout.set_at(&["status", "abort"], true.into()));
    course.play.settle();
    assert_eq!(course.weights(), [0]);
}

#[test]
fn a_kind_that_the_cluster_does_not_serve_is_told_and_nothing_is_made_of_it() {
    let mut course = Course::begin(|name| name == "smi");
    let made = (kind("split.smi-spec.io", "TrafficSplit"), "qa".to_owned(), "web".to_owned());
    course.play.view.objects.remove(&made);
    course.play.view.served.clear();
    let plan = course.play.plan();
    assert_eq!(plan.report.problems, ["the cluster serves no split.smi-spec.io/v1alpha1 TrafficSplit"]);
    assert!(plan.acts().next().is_none());
}

#[test]
fn what_selects_pods_follows_the_services_before_weight_moves() {
    for (provider, kind, name, pointer) in [
        ("appMesh", "VirtualNode", "canary", "/spec/podSelector/matchLabels/rollouts-pod-template-hash"),
        ("istio", "DestinationRule", "rule", "/spec/subsets/1/labels/rollouts-pod-template-hash"),
    ] {
        let mut course = Course::begin(|name| name == provider);
        set_image(&mut course.play, "web:v2");
        for _ in 0..40 {
            course.play.step();
            course.play.controllers();
            let service = course.play.get(&kinds::service(), "web-canary");
            let served = service.str_at("/spec/selector/rollouts-pod-template-hash").map(str::to_owned);
            let selected = course.find(kind, name).and_then(|object| object.str_at(pointer).map(str::to_owned));
            if course.weights().iter().any(|weight| *weight > 0) {
                assert_eq!(selected, served, "{provider}: weight must find the pods that the Service selects");
            }
        }
        course.all_at(20);
    }
}

#[test]
fn a_rollout_that_is_being_deleted_leaves_its_traffic_objects_as_they_were() {
    let mut course = Course::begin(|name| name != "alb");
    set_image(&mut course.play, "web:v2");
    course.play.settle();
    course.play.change(&kinds::rollout(), "web", |rollout| {
        rollout.set_at(&["metadata", "deletionTimestamp"], "2026-01-01T00:00:00Z".into());
    });
    course.play.settle();
    let live = course.live();
    for (kind, before) in providers().into_iter().filter(|(name, ..)| *name != "alb").flat_map(|(.., objects)| objects)
    {
        let before = Object::parse(before).unwrap();
        let after = &live[&before.id()];
        assert_eq!(after.pointer("/spec"), before.pointer("/spec"), "{}", kind.kind);
        assert_eq!(after.annotations(), before.annotations(), "{}", kind.kind);
    }
    let left: Vec<&ObjectId> =
        live.keys().filter(|id| id.name.ends_with("-canary") || id.kind == "TrafficSplit").collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn changes_of_objects_that_the_spec_does_not_name_reach_their_rollout() {
    let course = Course::begin(|_| true);
    let domain = RolloutDomain::default();
    for (kind, name) in [
        ("Ingress", "web-a-canary"),
        ("VirtualRouter", "r"),
        ("TCPRoute", "tcp"),
        ("TrafficSplit", "web"),
        ("HTTPRoute", "h"),
    ] {
        let object = course.find(kind, name).unwrap_or_else(|| panic!("{kind} {name}"));
        assert_eq!(domain.keys_for(&course.play.view, &object).len(), 1, "{kind} {name}");
    }
}
