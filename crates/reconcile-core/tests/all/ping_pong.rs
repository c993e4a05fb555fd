//! Two Services that take turns at leading to stable.

use std::time::Duration;

use reconcile_core::rollout::RolloutDomain;
use reconcile_core::{View, kinds};
use serde_json::{Value, json};

use crate::play::Play;
use crate::rollout::{phase, rollout, service, set_image};

fn resting(routing: &Value) -> Play<RolloutDomain> {
    let mut play = Play::new(RolloutDomain::default(), "qa", "web");
    for name in ["ping", "pong", "root"] {
        play.put(&kinds::service(), service(name));
    }
    play.put(
        &kinds::virtual_service(),
        json!({
            "apiVersion": "networking.istio.io/v1alpha3", "kind": "VirtualService", "metadata": {"name": "web", "namespace": "qa"},
            "spec": {"hosts": ["web"], "http": [{"name": "primary", "route": [
                {"destination": {"host": "ping"}, "weight": 100}, {"destination": {"host": "pong"}, "weight": 0}]}]},
        }),
    );
    let ingress = kinds::traffic().into_iter().find(|kind| kind.kind == "Ingress").unwrap();
    play.put(
        &ingress,
        json!({
            "apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": "web", "namespace": "qa"},
            "spec": {"rules": [{"http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": {"service": {"name": "root", "port": {"name": "use-annotation"}}}}]}}]},
        }),
    );
    play.put(
        &kinds::rollout(),
        rollout(json!({
            "pingPong": {"pingService": "ping", "pongService": "pong"}, "trafficRouting": routing,
            "steps": [{"setWeight": 25}, {"pause": {}}],
        })),
    );
    play.settle();
    play.take_log();
    play
}

fn istio() -> Play<RolloutDomain> {
    resting(&json!({"istio": {"virtualService": {"name": "web", "routes": ["primary"]}}}))
}

/// Weights of ping and pong, and what each selects.
fn state(play: &Play<RolloutDomain>) -> String {
    let virtual_service = play.get(&kinds::virtual_service(), "web");
    let weight = |place: usize| virtual_service.int_at(&format!("/spec/http/0/route/{place}/weight")).unwrap();
    format!("{}/{} {} {}", weight(0), weight(1), selected(play, "ping"), selected(play, "pong"))
}

fn selected(play: &Play<RolloutDomain>, name: &str) -> String {
    let service = play.get(&kinds::service(), name);
    let hash = service.str_at("/spec/selector/rollouts-pod-template-hash").unwrap_or_default().to_owned();
    let set = play.get(&kinds::replica_set(), &format!("web-{hash}"));
    set.list_at("/spec/template/spec/containers")[0]["image"].as_str().unwrap().to_owned()
}

fn role(play: &Play<RolloutDomain>) -> String {
    let rollout = play.get(&kinds::rollout(), "web");
    rollout.str_at("/status/canary/stablePingPong").unwrap_or_default().to_owned()
}

fn update(play: &mut Play<RolloutDomain>, image: &str) {
    set_image(play, image);
    play.settle();
}

fn promote(play: &mut Play<RolloutDomain>) {
    play.change(&kinds::rollout(), "web", |rollout| rollout.set_at(&["status", "pauseConditions"], Value::Null));
    play.settle();
}

#[test]
fn the_services_take_turns_and_neither_changes_its_pods_under_traffic() {
    let mut play = istio();
    assert_eq!((state(&play).as_str(), role(&play).as_str()), ("100/0 web:v1 web:v1", "ping"));
    update(&mut play, "web:v2");
    assert_eq!(
        (state(&play).as_str(), phase(&play).as_str()),
        ("75/25 web:v1 web:v2", "Paused CanaryPauseStep step 1")
    );
    play.take_log();
    promote(&mut play);
    assert_eq!((state(&play).as_str(), role(&play).as_str()), ("0/100 web:v1 web:v2", "pong"));
    assert!(!play.take_log().contains("SwitchService"), "the roles change, not the selectors");
    let weights = play.get(&kinds::rollout(), "web");
    assert_eq!(weights.str_at("/status/canary/weights/stable/serviceName"), Some("pong"));
    assert_eq!(weights.int_at("/status/canary/weights/stable/weight"), Some(100));
    play.pass(Duration::from_secs(31));
    play.settle();
    update(&mut play, "web:v3");
    assert_eq!(state(&play), "25/75 web:v3 web:v2");
    promote(&mut play);
    assert_eq!(
        (state(&play).as_str(), role(&play).as_str(), phase(&play).as_str()),
        ("100/0 web:v3 web:v2", "ping", "Healthy  step 2")
    );
}

#[test]
fn the_pods_of_the_last_version_go_after_their_delay_and_an_abort_keeps_the_roles() {
    let mut play = istio();
    update(&mut play, "web:v2");
    promote(&mut play);
    let sizes = |play: &Play<RolloutDomain>| {
        let sets = play.view.list(&kinds::replica_set(), "qa");
        let mut sizes: Vec<i64> = sets.iter().map(|set| set.int_at("/spec/replicas").unwrap()).collect();
        sizes.sort_unstable();
        sizes
    };
    assert_eq!(sizes(&play), [5, 5]);
    play.pass(Duration::from_secs(31));
    play.settle();
    assert_eq!(sizes(&play), [0, 5]);
    update(&mut play, "web:v3");
    play.change(&kinds::rollout(), "web", |rollout| rollout.set_at(&["status", "abort"], json!(true)));
    play.settle();
    assert_eq!((state(&play).as_str(), role(&play).as_str()), ("0/100 web:v3 web:v2", "pong"));
    update(&mut play, "web:v2");
    assert_eq!(
        (state(&play).as_str(), role(&play).as_str(), phase(&play).as_str()),
        ("0/100 web:v3 web:v2", "pong", "Healthy  step 2")
    );
}

#[test]
fn a_load_balancer_forwards_by_the_roles() {
    let routing = json!({"alb": {"ingress": "web", "rootService": "root", "servicePort": 80}});
    let mut play = resting(&routing);
    update(&mut play, "web:v2");
    let kind = kinds::traffic().into_iter().find(|kind| kind.kind == "Ingress").unwrap();
    let action = |play: &Play<RolloutDomain>| {
        let ingress = play.get(&kind, "web");
        let action: Value =
            serde_json::from_str(ingress.annotation("alb.ingress.kubernetes.io/actions.root").unwrap()).unwrap();
        let groups = action.pointer("/ForwardConfig/TargetGroups").unwrap().as_array().unwrap().clone();
        let mut groups: Vec<String> = groups
            .iter()
            .map(|group| format!("{} {}", group["ServiceName"].as_str().unwrap(), group["Weight"]))
            .collect();
        groups.sort();
        groups.join(", ")
    };
    assert_eq!(action(&play), "ping 75, pong 25");
    promote(&mut play);
    assert_eq!((action(&play).as_str(), role(&play).as_str()), ("ping 0, pong 100", "pong"));
}

#[test]
fn services_that_took_over_in_the_middle_of_a_life_begin_as_argo_has_it() {
    let mut play = istio();
    play.change(&kinds::rollout(), "web", |rollout| {
        rollout.set_at(&["status", "canary", "stablePingPong"], Value::Null)
    });
    play.settle();
    update(&mut play, "web:v2");
    assert_eq!(state(&play), "25/75 web:v2 web:v1");
    promote(&mut play);
    assert_eq!(role(&play), "ping");
}

#[test]
fn case_31_mistakes_are_told_in_argos_words() {
    for (pair, routing, wanted) in [
        (
            json!({"pingService": "ping", "pongService": ""}),
            Value::Null,
            "spec.strategy.pingPong.pongService: Invalid value: \"\": Ping service and Pong service must to be set to use Ping-Pong feature",
        ),
        (
            json!({"pingService": "ping", "pongService": "ping"}),
            Value::Null,
            "spec.strategy.pingPong.pingService: Invalid value: \"ping\": This rollout uses the same service for the ping and pong services, but two different services are required.",
        ),
        (
            json!({"pingService": "ping", "pongService": "pong"}),
            json!({"smi": {}}),
            "spec.strategy.trafficRouting.alb: Invalid value: null: Ping-pong feature works with the ALB, Istio, and plugin-based traffic routers only",
        ),
        (
            json!({"pingService": "ping", "pongService": "pong"}),
            json!({"alb": {"ingress": "web", "servicePort": 80}}),
            "spec.strategy.trafficRouting.alb.rootService: Invalid value: \"\": Root service field is required for the configuration with ALB and ping-pong feature enabled",
        ),
        (
            json!({"pingService": "ping", "pongService": "gone"}),
            json!({"istio": {"virtualService": {"name": "web"}}}),
            "spec.strategy.canary.pingPong.pongService: Invalid value: \"gone\": service \"gone\" not found",
        ),
    ] {
        let mut play = istio();
        play.change(&kinds::rollout(), "web", |rollout| {
            rollout.set_at(&["spec", "strategy", "canary", "pingPong"], pair.clone());
            rollout.set_at(&["spec", "strategy", "canary", "trafficRouting"], routing.clone());
        });
        play.settle();
        let rollout = play.get(&kinds::rollout(), "web");
        assert_eq!(
            rollout.str_at("/status/message"),
            Some(format!("InvalidSpec: The Rollout \"web\" is invalid: {wanted}").as_str())
        );
    }
}
