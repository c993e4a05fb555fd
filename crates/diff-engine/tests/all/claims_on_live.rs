//! Sync and rollout do not fight over a field.

use diff_engine::{
    Applied, CLAIMS_ANNOTATION, Claim, Claims, CompareOptions, FieldPointer, autoscaler_claims, compare, take_claimed,
};
use object_model::{Object, Uid};

use crate::object;

fn claims(pointers: &[&str]) -> Claims {
    Claims::default().with_owner(
        &Uid::new("r1"),
        "Rollout",
        pointers.iter().map(|text| FieldPointer::parse(text).unwrap()),
    )
}

fn taken(desired: &str, live: &str, pointers: &[&str]) -> Object {
    take_claimed(&object(desired), &object(live), &claims(pointers), "sluice")
}

const ROUTES: &str = r#"
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web}
spec:
  http:
  - name: primary
    route:
    - {destination: {host: web-stable}, weight: 100}
    - {destination: {host: web-canary}, weight: 0}
"#;

const LIVE_ROUTES: &str = r#"
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web}
spec:
  http:
  - name: primary
    route:
    - {destination: {host: web-stable}, weight: 80}
    - {destination: {host: web-canary}, weight: 20}
"#;

const WEIGHTS: [&str; 2] = ["/spec/http/0/route/0/weight", "/spec/http/0/route/1/weight"];

#[test]
fn weights_are_taken_from_live_and_then_nothing_differs() {
    let desired = taken(ROUTES, LIVE_ROUTES, &WEIGHTS);
    assert_eq!(desired, object(LIVE_ROUTES));
    let claims = claims(&WEIGHTS);
    let options = CompareOptions { field_manager: "sluice", applied: Applied::Unknown, claims: &claims, ignore: &[] };
    assert!(compare(&desired, &object(LIVE_ROUTES), &options).is_in_sync());
}

#[test]
fn weights_follow_their_destination_when_git_moves_the_route() {
    let desired = r#"
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web}
spec:
  http:
  - name: admin
    route: [{destination: {host: admin}}]
  - name: primary
    timeout: 3s
    route:
    - {destination: {host: web-canary}}
    - {destination: {host: web-stable}, weight: 100}
"#;
    let taken = taken(desired, LIVE_ROUTES, &WEIGHTS);
    assert_eq!(taken.pointer("/spec/http/0/route/0/weight"), None);
    assert_eq!(taken.int_at("/spec/http/1/route/0/weight"), Some(20));
    assert_eq!(taken.int_at("/spec/http/1/route/1/weight"), Some(80));
    assert_eq!(taken.str_at("/spec/http/1/timeout"), Some("3s"));
}

#[test]
fn unnamed_routes_are_known_by_their_destinations() {
    let unnamed = |text: &str| text.replace("- name: primary\n    route:", "- route:");
    let desired = unnamed(ROUTES)
        .replace("  http:\n", "  http:\n  - match: [{uri: {prefix: /new}}]\n    route: [{destination: {host: new}}]\n");
    let taken = taken(&desired, &unnamed(LIVE_ROUTES), &WEIGHTS);
    assert_eq!(taken.int_at("/spec/http/1/route/0/weight"), Some(80));
    assert_eq!(taken.pointer("/spec/http/0/route/0/weight"), None);
}

#[test]
fn a_route_that_git_took_out_is_not_brought_back() {
    let desired = ROUTES.replace("    - {destination: {host: web-canary}, weight: 0}\n", "");
    let taken = taken(&desired, LIVE_ROUTES, &WEIGHTS);
    assert_eq!(taken.list_at("/spec/http/0/route").len(), 1);
    assert_eq!(taken.int_at("/spec/http/0/route/0/weight"), Some(80));
}

#[test]
fn a_managed_header_route_keeps_its_place_until_its_claim_ends() {
    let live = LIVE_ROUTES.replace("  http:\n", "  http:\n  - {name: header-route, match: [{headers: {x: {exact: y}}}], route: [{destination: {host: web-canary}}]}\n");
    let claimed = [
        "/spec/http/[name=header-route]",
        "/spec/http/[name=primary]/route/0/weight",
        "/spec/http/[name=primary]/route/1/weight",
    ];
    assert_eq!(taken(ROUTES, &live, &claimed), object(&live));
    assert_eq!(taken(ROUTES, &live, &[]), object(ROUTES));
    assert_eq!(
        taken(&live, LIVE_ROUTES, &claimed),
        object(LIVE_ROUTES),
        "a claimed entry that live no longer has goes"
    );
}

#[test]
fn a_selector_key_that_only_live_has_is_kept_because_an_apply_replaces_the_selector() {
    let service = |selector: &str| {
        format!("{{apiVersion: v1, kind: Service, metadata: {{name: a}}, spec: {{selector: {selector}}}}}")
    };
    let live = service("{app: a, rollouts-pod-template-hash: abc}");
    let taken = taken(&service("{app: a}"), &live, &["/spec/selector/rollouts-pod-template-hash"]);
    assert_eq!(taken, object(&live));
}

#[test]
fn subset_labels_are_made_on_the_way() {
    let rule = |labels: &str| {
        format!(
            "{{apiVersion: networking.istio.io/v1, kind: DestinationRule, metadata: {{name: a}}, spec: {{subsets: [{{name: stable}}, {{name: canary{labels}}}]}}}}"
        )
    };
    let live = rule(", labels: {rollouts-pod-template-hash: abc}");
    let claimed = [
        "/spec/subsets/[name=canary]/labels/rollouts-pod-template-hash",
        "/spec/subsets/[name=stable]/labels/rollouts-pod-template-hash",
    ];
    assert_eq!(taken(&rule(""), &live, &claimed), object(&live));
}

#[test]
fn replicas_that_git_does_not_set_are_left_out_unless_we_own_them() {
    let desired = "{apiVersion: apps/v1, kind: Deployment, metadata: {name: a}, spec: {minReadySeconds: 1}}";
    let live = |fields: &str| {
        format!("{{apiVersion: apps/v1, kind: Deployment, metadata: {{name: a{fields}}}, spec: {{replicas: 7}}}}")
    };
    assert_eq!(taken(desired, &live(""), &["/spec/replicas"]), object(desired));
    let owned = ", managedFields: [{manager: sluice, operation: Apply, fieldsV1: {'f:spec': {'f:replicas': {}}}}]";
    assert_eq!(taken(desired, &live(owned), &["/spec/replicas"]).int_at("/spec/replicas"), Some(7));
    let set = desired.replace("minReadySeconds: 1", "replicas: 2");
    assert_eq!(taken(&set, &live(""), &["/spec/replicas"]).int_at("/spec/replicas"), Some(7));
}

#[test]
fn an_autoscaler_claims_the_replicas_of_its_target_only() {
    let autoscaler = object(
        "{apiVersion: autoscaling/v2, kind: HorizontalPodAutoscaler, metadata: {name: h, namespace: qa, uid: h1}, spec: {scaleTargetRef: {apiVersion: argoproj.io/v1alpha1, kind: Rollout, name: web}}}",
    );
    let target = |kind: &str, namespace: &str| Object::new("argoproj.io/v1alpha1", kind, Some(namespace), "web");
    let claims = autoscaler_claims(&target("Rollout", "qa"), [&autoscaler]);
    assert_eq!(claims.pointers().map(ToString::to_string).collect::<Vec<_>>(), ["/spec/replicas"]);
    assert!(autoscaler_claims(&target("Rollout", "prod"), [&autoscaler]).is_empty());
    assert!(autoscaler_claims(&target("Experiment", "qa"), [&autoscaler]).is_empty());
}

#[test]
fn claims_are_published_and_read_back_and_end_with_their_owner() {
    let other =
        Claim { pointer: FieldPointer::parse("/spec/x").unwrap(), uid: Uid::new("r2"), kind: "Rollout".to_owned() };
    let both = claims(&WEIGHTS).and(Claims::new([other]));
    let mut live = object(ROUTES);
    live.set_annotation(CLAIMS_ANNOTATION, &both.to_annotation().unwrap());
    let read = Claims::on(&live).unwrap();
    assert_eq!(read, both);
    assert_eq!(read.clone().of_live_owners(|claim| claim.uid.as_str() == "r2").iter().count(), 1);
    assert_eq!(read.with_owner(&Uid::new("r1"), "Rollout", []).iter().count(), 1);
    assert_eq!(Claims::default().to_annotation(), None);
}

#[test]
fn an_annotation_that_is_no_claim_is_refused() {
    assert_eq!(Claims::parse("{}").unwrap_err().to_string(), "annotation `sluice.dev/claims` is not a list of claims");
    assert!(Claims::parse(r#"[{"pointer":"no-slash","uid":"u","kind":"Rollout"}]"#).is_err());
}
