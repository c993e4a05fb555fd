//! Where requests go.

use serde_json::json;
use sim_traffic::{Behaviour, Load, LossReason, Traffic};

use crate::objects::{object, pod, second, service, slice, split, virtual_service};

fn canary(seed: u64, weight: u64) -> Traffic {
    let mut traffic = Traffic::new(seed);
    for pod in [pod("s1", "stable", "web:v1"), pod("s2", "stable", "web:v1"), pod("c1", "canary", "web:v2")] {
        traffic.observe(&pod);
    }
    for object in [service("web-stable", "stable"), service("web-canary", "canary"), split(weight)] {
        traffic.observe(&object);
    }
    traffic.set_load("users", Load::new("web", "qa", 50.0));
    traffic
}

#[test]
fn a_weight_is_followed_within_one_request_over_a_single_second() {
    for seed in 0..20 {
        let mut traffic = canary(seed, 20);
        traffic.advance(second(0.0), second(1.0));
        let (all, canary) = (traffic.report().sent, traffic.report().answered_by("v2"));
        assert_eq!(all, 50);
        assert!((9..=11).contains(&canary), "seed {seed}: {canary} of {all}");
    }
}

#[test]
fn a_changed_weight_holds_from_the_next_advance() {
    let mut traffic = canary(1, 0);
    traffic.advance(second(0.0), second(10.0));
    assert_eq!(traffic.report().answered_by("v2"), 0);
    traffic.observe(&split(100));
    traffic.advance(second(10.0), second(20.0));
    assert_eq!(traffic.report().answered_by("v2"), 500);
}

#[test]
fn many_short_advances_equal_one_long_one() {
    let (mut short, mut long) = (canary(3, 40), canary(3, 40));
    for traffic in [&mut short, &mut long] {
        traffic.set_behaviour("web:v2", Behaviour::failing(0.1));
    }
    long.advance(second(0.0), second(30.0));
    for step in 0..300 {
        short.advance(second(f64::from(step) / 10.0), second(f64::from(step + 1) / 10.0));
    }
    assert_eq!(short.report(), long.report());
}

#[test]
fn time_is_not_played_twice_and_a_gap_is_not_made_up_for() {
    let mut traffic = canary(1, 20);
    traffic.advance(second(0.0), second(2.0));
    traffic.advance(second(1.0), second(2.0));
    assert_eq!(traffic.report().sent, 100);
    traffic.advance(second(60.0), second(61.0));
    assert_eq!(traffic.report().sent, 150);
}

#[test]
fn of_a_very_long_advance_only_the_last_hour_is_played() {
    let mut traffic = canary(1, 20);
    traffic.set_load("users", Load::new("web", "qa", 0.1));
    traffic.advance(second(0.0), second(3.0 * 3600.0));
    assert_eq!(traffic.report().skipped.as_secs(), 2 * 3600);
    assert_eq!(traffic.report().sent, 360);
}

#[test]
fn every_tenth_request_of_a_bad_version_fails() {
    let mut traffic = canary(5, 20);
    traffic.set_behaviour("web:v2", Behaviour::failing(0.1));
    traffic.advance(second(0.0), second(20.0));
    insta::assert_snapshot!(traffic.report(), @r#"
    sent 1000
    web-canary.qa.svc.cluster.local v2 200: 180
    web-canary.qa.svc.cluster.local v2 500: 20
    web-stable.qa.svc.cluster.local v1 200: 800
    lost 0
    "#);
}

#[test]
fn a_pod_annotation_wins_over_the_image() {
    let mut traffic = canary(5, 100);
    let mut bad = pod("c1", "canary", "web:v2");
    bad.set_annotation("sluice.dev/error-rate", "1");
    traffic.observe(&bad);
    traffic.advance(second(0.0), second(1.0));
    assert!(traffic.report().outcomes.iter().all(|(outcome, _)| outcome.code == 500));
}

#[test]
fn a_service_without_ready_endpoints_loses_requests_and_says_so() {
    let mut traffic = canary(1, 20);
    traffic.observe(&slice("web-canary", &[("c1", false)]));
    traffic.advance(second(0.0), second(2.0));
    let report = traffic.report();
    assert_eq!((report.failed_no_endpoint, report.lost()), (20, 20));
    assert_eq!(report.losses[0].reason, LossReason::NoEndpoint);
    assert_eq!(report.losses[0].service, "web-canary.qa.svc.cluster.local");
}

#[test]
fn a_missing_service_and_a_missing_route_are_told_apart() {
    let mut traffic = canary(1, 20);
    traffic.forget(&service("web-canary", "canary").id());
    traffic.advance(second(0.0), second(1.0));
    assert_eq!(traffic.report().failed_no_service, 10);
    traffic.reset_report();
    traffic.observe(&virtual_service(json!([{"match": [{"headers": {"a": {"exact": "b"}}}], "route": []}])));
    traffic.advance(second(1.0), second(2.0));
    assert_eq!(traffic.report().failed_no_route, 50);
}

#[test]
fn an_endpoint_whose_pod_is_gone_costs_a_retry_and_only_then_the_request() {
    let mut traffic = canary(1, 0);
    traffic.observe(&slice("web-stable", &[("s1", true), ("s2", true)]));
    traffic.forget(&pod("s1", "stable", "web:v1").id());
    traffic.advance(second(0.0), second(1.0));
    assert_eq!(traffic.report().lost(), 0);
    traffic.forget(&pod("s2", "stable", "web:v1").id());
    traffic.advance(second(1.0), second(2.0));
    assert_eq!(traffic.report().failed_pod_gone, 50);
}

#[test]
fn endpoint_slices_decide_over_the_selector() {
    let mut traffic = canary(1, 100);
    // The slice lags behind: it still names a stable pod.
    traffic.observe(&slice("web-canary", &[("s1", true)]));
    traffic.advance(second(0.0), second(1.0));
    assert_eq!(traffic.report().answered_by("v1"), 50);
}

#[test]
fn without_a_virtual_service_pods_take_turns() {
    let mut traffic = Traffic::new(1);
    for (name, image) in [("a", "web:v1"), ("b", "web:v1"), ("c", "web:v1"), ("d", "web:v2")] {
        traffic.observe(&pod(name, "web", image));
    }
    traffic.observe(&service("web", "web"));
    traffic.set_load("users", Load::new("web.qa", "elsewhere", 100.0));
    traffic.advance(second(0.0), second(1.0));
    assert_eq!(traffic.report().answered_by("v2"), 25);
}

#[test]
fn subsets_choose_pods_by_the_labels_of_a_destination_rule() {
    let mut traffic = Traffic::new(1);
    for (name, image, version) in [("a", "web:v1", "one"), ("b", "web:v2", "two")] {
        let mut pod = pod(name, "web", image);
        pod.set_label("track", version);
        traffic.observe(&pod);
    }
    traffic.observe(&service("web", "web"));
    traffic.observe(&virtual_service(json!([{"route": [
        {"destination": {"host": "web", "subset": "stable"}, "weight": 75},
        {"destination": {"host": "web", "subset": "canary"}, "weight": 25},
    ]}])));
    traffic.set_load("users", Load::new("web", "qa", 100.0));
    traffic.advance(second(0.0), second(1.0));
    assert_eq!(traffic.report().failed_no_service, 100, "no DestinationRule names the subsets yet");
    traffic.observe(&object(json!({
        "apiVersion": "networking.istio.io/v1", "kind": "DestinationRule", "metadata": {"name": "web", "namespace": "qa"},
        "spec": {"host": "web", "subsets": [
            {"name": "stable", "labels": {"track": "one"}}, {"name": "canary", "labels": {"track": "two"}},
        ]},
    })));
    traffic.reset_report();
    traffic.advance(second(1.0), second(2.0));
    assert_eq!((traffic.report().answered_by("v1"), traffic.report().answered_by("v2")), (75, 25));
}

#[test]
fn a_header_takes_its_own_route() {
    let mut traffic = canary(1, 0);
    traffic.observe(&virtual_service(json!([
        {"match": [{"headers": {"x-canary": {"exact": "yes"}}}], "route": [{"destination": {"host": "web-canary"}}]},
        {"route": [{"destination": {"host": "web-stable"}}]},
    ])));
    traffic.set_load("testers", Load::new("web", "qa", 10.0).with_header("X-Canary", "yes"));
    traffic.advance(second(0.0), second(1.0));
    assert_eq!((traffic.report().answered_by("v1"), traffic.report().answered_by("v2")), (50, 10));
}

#[test]
fn a_mirror_gets_copies_that_no_client_waits_for() {
    let mut traffic = canary(1, 0);
    traffic.observe(&virtual_service(json!([{
        "route": [{"destination": {"host": "web-stable"}}],
        "mirror": {"host": "web-canary"}, "mirrorPercentage": {"value": 50.0},
    }])));
    traffic.set_behaviour("web:v2", Behaviour::failing(1.0));
    traffic.advance(second(0.0), second(10.0));
    let report = traffic.report();
    assert_eq!((report.sent, report.answered_by("v1"), report.answered_by("v2")), (500, 500, 0));
    assert_eq!(report.mirrored.values().sum::<u64>(), 250);
}

#[test]
fn a_clone_goes_its_own_way() {
    let mut traffic = canary(1, 20);
    traffic.advance(second(0.0), second(5.0));
    let (before, mut other) = (traffic.report(), traffic.clone());
    other.advance(second(5.0), second(10.0));
    assert_eq!(traffic.report(), before);
    traffic.advance(second(5.0), second(10.0));
    assert_eq!(traffic.report(), other.report());
}
