//! Two Services that take turns, behind ALB, beside two fixed ones, behind Istio: every state of every way.

use std::time::Duration;

use insta::assert_snapshot;
use reconcile_core::kinds;
use reconcile_core::rollout::RolloutDomain;
use serde_json::{Value, json};

use crate::play::Play;
use crate::rollout::{phase, rollout, service, set_image};

const ACTION: &str = "alb.ingress.kubernetes.io/actions.root";

/// At rest with v1; `settings` are more of the canary's.
fn resting(settings: Value) -> Play<RolloutDomain> {
    let mut play = Play::new(RolloutDomain::default(), "qa", "web");
    for name in ["ping", "pong", "web-stable", "web-canary"] {
        play.put(&kinds::service(), service(name));
    }
    play.put(
        &kinds::virtual_service(),
        json!({
            "apiVersion": "networking.istio.io/v1alpha3", "kind": "VirtualService", "metadata": {"name": "web", "namespace": "qa"},
            "spec": {"hosts": ["web"], "http": [{"name": "primary", "route": [
                {"destination": {"host": "web-stable"}, "weight": 100}, {"destination": {"host": "web-canary"}, "weight": 0}]}]},
        }),
    );
    play.put(
        &ingress(),
        json!({
            "apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": "web", "namespace": "qa"},
            "spec": {"rules": [{"http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": {"service": {"name": "root", "port": {"name": "use-annotation"}}}}]}}]},
        }),
    );
    let mut canary = json!({
        "canaryService": "web-canary", "stableService": "web-stable",
        "pingPong": {"pingService": "ping", "pongService": "pong"},
        "trafficRouting": {
            "alb": {"ingress": "web", "rootService": "root", "servicePort": 80},
            "istio": {"virtualService": {"name": "web", "routes": ["primary"]}},
        },
        "steps": [{"setWeight": 25}, {"pause": {}}],
    });
    for (key, value) in settings.as_object().unwrap() {
        canary[key] = value.clone();
    }
    play.put(&kinds::rollout(), rollout(canary));
    play.settle();
    play
}

fn ingress() -> reconcile_core::Kind {
    kinds::traffic().into_iter().find(|kind| kind.kind == "Ingress").unwrap()
}

/// The version that a Service selects, and how many pods of it are available.
fn behind(play: &Play<RolloutDomain>, name: &str) -> (String, i64) {
    let service = play.get(&kinds::service(), name);
    let Some(hash) = service.str_at("/spec/selector/rollouts-pod-template-hash") else {
        return ("none".to_owned(), 0);
    };
    let set = play.get(&kinds::replica_set(), &format!("web-{hash}"));
    let image = set.list_at("/spec/template/spec/containers")[0]["image"].as_str().unwrap().to_owned();
    (image.trim_start_matches("web:").to_owned(), set.int_at("/status/availableReplicas").unwrap_or(0))
}

/// What Istio and ALB give each Service.
fn weights(play: &Play<RolloutDomain>) -> Vec<(String, i64)> {
    let virtual_service = play.get(&kinds::virtual_service(), "web");
    let istio = virtual_service.list_at("/spec/http")[0]["route"].as_array().unwrap().clone();
    let istio = istio.iter().map(|route| {
        let host = route["destination"]["host"].as_str().unwrap().to_owned();
        (host, route["weight"].as_i64().unwrap())
    });
    let ingress = play.get(&ingress(), "web");
    let action: Value = serde_json::from_str(ingress.annotation(ACTION).unwrap()).unwrap();
    let mut groups = action["ForwardConfig"]["TargetGroups"].as_array().unwrap().clone();
    groups.sort_by_key(|group| group["ServiceName"].as_str().unwrap().to_owned());
    let alb = groups
        .iter()
        .map(|group| (group["ServiceName"].as_str().unwrap().to_owned(), group["Weight"].as_i64().unwrap()));
    istio.chain(alb).collect()
}

/// Every Service with its weight and its version; nothing may lead to a version without pods.
fn state(play: &Play<RolloutDomain>) -> String {
    let told = |(name, weight): (String, i64)| {
        let (version, pods) = behind(play, &name);
        assert!(weight == 0 || pods > 0, "{name} has {weight} % of the traffic and no pod");
        format!("{} {weight} {version}", name.trim_start_matches("web-"))
    };
    weights(play).into_iter().map(told).collect::<Vec<_>>().join(", ")
}

/// Plans and acts until there is nothing to do now; tells each state on the way that differs from the one before.
fn trace(play: &mut Play<RolloutDomain>) -> Vec<String> {
    let mut states = vec![state(play)];
    for _ in 0..100 {
        let plan = play.step();
        if plan.is_empty() {
            return states;
        }
        play.controllers();
        let now = state(play);
        if states.last() != Some(&now) {
            states.push(now);
        }
    }
    panic!("does not settle: {states:?}");
}

/// Goes on until the stable Service would be switched: the roles have changed, Istio has not.
fn until_promoted(play: &mut Play<RolloutDomain>, role: &str) {
    promote(play);
    for _ in 0..100 {
        play.step();
        play.controllers();
        state(play);
        let rollout = play.get(&kinds::rollout(), "web");
        if rollout.str_at("/status/canary/stablePingPong") == Some(role) {
            return;
        }
    }
    panic!("is not promoted: {}", phase(play));
}

fn promote(play: &mut Play<RolloutDomain>) {
    play.change(&kinds::rollout(), "web", |rollout| rollout.set_at(&["status", "pauseConditions"], Value::Null));
}

fn abort(play: &mut Play<RolloutDomain>) {
    play.change(&kinds::rollout(), "web", |rollout| rollout.set_at(&["status", "abort"], json!(true)));
}

fn retry(play: &mut Play<RolloutDomain>) {
    play.change(&kinds::rollout(), "web", |rollout| rollout.set_at(&["status", "abort"], json!(false)));
}

type Way = (&'static str, fn(&mut Play<RolloutDomain>));

/// Takes each way after the one before, and tells the states of each.
fn walk(play: &mut Play<RolloutDomain>, ways: &[Way]) -> String {
    let mut text = String::new();
    for (name, deed) in ways {
        deed(play);
        let states = trace(play).join("\n  ");
        let rollout = play.get(&kinds::rollout(), "web");
        let weights = rollout.pointer("/status/canary/weights").unwrap();
        let told =
            |role: &str| format!("{} {}", weights[role]["serviceName"].as_str().unwrap(), weights[role]["weight"]);
        text += &format!("{name}\n  {states}\n  = {}, {}, {}\n", phase(play), told("stable"), told("canary"));
    }
    text
}

fn one_pod_fails(play: &mut Play<RolloutDomain>) {
    play.scarce_images.insert("web:v2".to_owned(), 4);
    play.controllers();
}

fn the_pod_is_back(play: &mut Play<RolloutDomain>) {
    play.scarce_images.clear();
    play.controllers();
}

const UPDATE: Way = ("update to v2", |play| set_image(play, "web:v2"));
const NEXT: Way = ("update to v3", |play| set_image(play, "web:v3"));
const BACK: Way = ("back to v1", |play| set_image(play, "web:v1"));
const PROMOTE: Way = ("promote", promote);
const ABORT: Way = ("abort", abort);
const RETRY: Way = ("retry", retry);
const DELAY: Way = ("the old pods go", |play| play.pass(Duration::from_secs(31)));

#[test]
fn an_update_a_promotion_and_the_next_update_the_other_way_round() {
    let text = walk(&mut resting(json!({})), &[UPDATE, PROMOTE, DELAY, NEXT, PROMOTE, DELAY]);
    assert_snapshot!(text);
}

#[test]
fn an_abort_a_retry_and_the_way_back_keep_the_roles() {
    let text = walk(&mut resting(json!({})), &[UPDATE, ABORT, RETRY, ABORT, DELAY, BACK, UPDATE, BACK, DELAY]);
    assert_snapshot!(text);
}

#[test]
fn an_abort_before_any_pod_changes_no_service() {
    let mut play = resting(json!({}));
    play.broken_images.insert("web:v2".to_owned());
    assert_snapshot!(walk(&mut play, &[UPDATE, ABORT, NEXT]));
}

#[test]
fn another_version_on_a_step_takes_the_traffic_from_the_one_before_it() {
    assert_snapshot!(walk(&mut resting(json!({})), &[UPDATE, NEXT, PROMOTE, DELAY]));
}

#[test]
fn between_the_roles_and_the_fixed_stable_service_an_abort_is_too_late_and_another_version_goes_back_to_the_promoted_one()
 {
    for settings in [json!({}), json!({"dynamicStableScale": true})] {
        for way in [ABORT, NEXT, BACK] {
            let mut play = resting(settings.clone());
            let mut text = walk(&mut play, &[UPDATE]);
            until_promoted(&mut play, "pong");
            text += &walk(&mut play, &[way, PROMOTE, DELAY]);
            assert_snapshot!(text);
        }
    }
}

#[test]
fn traffic_waits_until_the_fixed_stable_service_is_switched() {
    for settings in [json!({}), json!({"dynamicStableScale": true})] {
        let mut play = resting(settings);
        let mut text = walk(&mut play, &[UPDATE]);
        until_promoted(&mut play, "pong");
        text += &walk(&mut play, &[("one pod fails", one_pod_fails), ("it is back", the_pod_is_back), DELAY]);
        assert_snapshot!(text);
    }
}

#[test]
fn a_stable_version_that_gave_pods_away_gets_traffic_as_they_return_by_both_pairs() {
    let settings = json!({"dynamicStableScale": true, "steps": [{"setWeight": 40}, {"setWeight": 80}, {"pause": {}}]});
    let mut play = resting(settings.clone());
    let mut text = walk(&mut play, &[UPDATE, ABORT, DELAY]);
    let mut play = resting(settings);
    text += &walk(&mut play, &[UPDATE, BACK, DELAY]);
    assert_snapshot!(text);
}

#[test]
fn a_fixed_service_without_the_other_one_follows_its_role() {
    let routing = json!({"alb": {"ingress": "web", "rootService": "root", "servicePort": 80}});
    let mut play = resting(json!({"stableService": null, "trafficRouting": routing}));
    let versions = |play: &Play<RolloutDomain>| ["web-canary", "ping", "pong"].map(|name| behind(play, name).0);
    for (deed, wanted) in [
        (UPDATE, ["v2", "v1", "v2"]),
        (ABORT, ["v1", "v1", "v2"]),
        (RETRY, ["v2", "v1", "v2"]),
        (PROMOTE, ["v2", "v1", "v2"]),
        (NEXT, ["v3", "v3", "v2"]),
    ] {
        deed.1(&mut play);
        play.settle();
        assert_eq!(versions(&play), wanted, "{}", deed.0);
    }
}

#[test]
fn a_service_of_a_fixed_role_takes_no_turns() {
    let mut play = resting(json!({}));
    play.change(&kinds::rollout(), "web", |rollout| {
        rollout.set_at(&["spec", "strategy", "canary", "pingPong", "pongService"], json!("web-stable"));
    });
    play.settle();
    assert_eq!(
        play.get(&kinds::rollout(), "web").str_at("/status/message"),
        Some(
            "InvalidSpec: The Rollout \"web\" is invalid: spec.strategy.pingPong.pongService: Invalid value: \"web-stable\": a Service that takes turns can't be the stableService too"
        )
    );
}
