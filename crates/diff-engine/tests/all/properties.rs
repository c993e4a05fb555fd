//! What holds for every pair of objects, also for malformed ones.

use diff_engine::{
    Applied, Claims, CompareOptions, FieldPointer, Redactor, assess, compare, normalise, predict, print_fields,
    print_unified, take_claimed,
};
use object_model::{Object, Uid};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

/// Few names, so that both sides often set the same field, and names of lists that merge by key among them.
fn name() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        "a",
        "b",
        "name",
        "port",
        "protocol",
        "containers",
        "env",
        "ports",
        "image",
        "limits",
        "selector",
    ])
    .prop_map(str::to_owned)
}

fn scalar() -> impl Strategy<Value = Value> {
    prop::sample::select(vec![
        json!(null),
        json!(false),
        json!(0),
        json!(80),
        json!("x"),
        json!("1"),
        json!("1000m"),
        json!(""),
        json!(1.5),
    ])
}

fn value() -> impl Strategy<Value = Value> {
    scalar().prop_recursive(5, 40, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            prop::collection::btree_map(name(), inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

/// Field sets as the server writes them, for some of the same names, and malformed ones.
fn fields() -> impl Strategy<Value = Value> {
    let leaf = prop::sample::select(vec![json!({}), json!({".": {}}), json!(3)]);
    let key = prop_oneof![
        name().prop_map(|name| format!("f:{name}")),
        Just("f:spec".to_owned()),
        Just("k:{\"name\":\"x\"}".to_owned()),
        Just("k:{\"port\":80,\"protocol\":\"TCP\"}".to_owned()),
        Just("v:\"x\"".to_owned()),
        Just("k:broken".to_owned()),
    ];
    leaf.prop_recursive(5, 30, 3, move |inner| {
        prop::collection::btree_map(key.clone(), inner, 0..4)
            .prop_map(|map| Value::Object(map.into_iter().collect::<Map<_, _>>()))
    })
}

fn object(group: &str, kind: &str, spec: &Value, fields: Option<&Value>) -> Object {
    let mut object = Object::new(group, kind, Some("qa"), "web");
    object.set_at(&["spec"], spec.clone());
    if let Some(fields) = fields {
        let managed = json!([{"manager": "sluice", "operation": "Apply", "fieldsV1": {"f:spec": fields}}]);
        object.set_at(&["metadata", "managedFields"], managed);
    }
    object
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn after_what_an_apply_changes_nothing_is_left(desired in value(), live in value(), fields in fields(), custom in any::<bool>(), other in any::<bool>()) {
        let (group, kind) = if custom { ("example.com/v1", "Widget") } else { ("apps/v1", "Deployment") };
        let desired = object(group, kind, &desired, None);
        let live = object(group, kind, &live, Some(&fields));
        let claims = Claims::default();
        let applied = if other { Applied::Other } else { Applied::Unknown };
        let options = CompareOptions { field_manager: "sluice", applied, claims: &claims, ignore: &[] };
        let comparison = compare(&desired, &live, &options);
        let after = predict(&live, &comparison);
        let rest = compare(&desired, &after, &options);
        prop_assert!(rest.is_in_sync(), "{comparison:?}\nafter {after:?}\nstill {rest:?}");
        let text = print_fields(&desired, &comparison);
        prop_assert_eq!(text.is_empty(), comparison.is_in_sync());
        let _ = print_unified(&desired, Some(&live), &comparison, 3);
    }

    #[test]
    fn what_is_compared_with_itself_is_in_sync(spec in value(), fields in fields()) {
        let live = object("apps/v1", "Deployment", &spec, Some(&fields));
        let claims = Claims::default();
        let options = CompareOptions { field_manager: "sluice", applied: Applied::Other, claims: &claims, ignore: &[] };
        let comparison = compare(&live, &live, &options);
        prop_assert!(comparison.is_in_sync(), "{comparison:?}");
        prop_assert_eq!(normalise(&normalise(&live)), normalise(&live));
    }

    #[test]
    fn taking_claimed_values_twice_is_taking_them_once(desired in value(), live in value(), pointers in prop::collection::vec(prop::collection::vec(prop_oneof![name(), Just("0".to_owned()), Just("*".to_owned()), Just("[name=x]".to_owned())], 1..4), 0..4)) {
        let desired = object("example.com/v1", "Widget", &desired, None);
        let live = object("example.com/v1", "Widget", &live, None);
        let pointers = pointers.iter().map(|steps| FieldPointer::parse(&format!("/spec/{}", steps.join("/"))).unwrap());
        let claims = Claims::default().with_owner(&Uid::new("r"), "Rollout", pointers);
        let once = take_claimed(&desired, &live, &claims, "sluice");
        prop_assert_eq!(take_claimed(&once, &live, &claims, "sluice"), once);
    }

    #[test]
    fn health_and_redaction_take_any_object(spec in value(), status in value(), kind in prop::sample::select(vec![
        ("apps/v1", "Deployment"), ("apps/v1", "StatefulSet"), ("apps/v1", "DaemonSet"), ("apps/v1", "ReplicaSet"), ("v1", "Pod"),
        ("batch/v1", "Job"), ("batch/v1", "CronJob"), ("autoscaling/v2", "HorizontalPodAutoscaler"), ("v1", "Service"), ("v1", "Secret"),
        ("argoproj.io/v1alpha1", "Rollout"), ("argoproj.io/v1alpha1", "AnalysisRun"), ("sluice.dev/v1alpha1", "GitOpsConfig"),
        ("apiextensions.k8s.io/v1", "CustomResourceDefinition"),
    ])) {
        let mut live = object(kind.0, kind.1, &spec, None);
        live.set_at(&["status"], status.clone());
        live.set_at(&["data"], status);
        let _ = assess(&live);
        let redacted = Redactor::new(b"key").redact(&live);
        prop_assert_eq!(redacted.id(), live.id());
    }
}
