//! Cases of the security table that concern comparison and ownership.

use std::time::{Duration, Instant};

use diff_engine::{Applied, Claims, CompareOptions, compare, field_owners};
use object_model::Object;
use serde_json::{Value, json};

use crate::object;

fn differs(desired: &Object, live: &Object) -> bool {
    let claims = Claims::default();
    let options = CompareOptions { field_manager: "sluice", applied: Applied::Unknown, claims: &claims, ignore: &[] };
    !compare(desired, live, &options).is_in_sync()
}

/// An object whose `data.a` many managers own, each with many fields of its own.
fn co_owned(managers: usize, fields: usize) -> Object {
    let own = |number: usize| {
        let mut owned: serde_json::Map<String, Value> =
            (0..fields).map(|field| (format!("f:key-{number}-{field}"), json!({}))).collect();
        owned.insert("f:a".to_owned(), json!({}));
        json!({
            "manager": format!("attacker-{number}"), "operation": "Apply", "apiVersion": "v1",
            "time": "2026-01-01T00:00:00Z", "fieldsType": "FieldsV1", "fieldsV1": {"f:data": owned},
        })
    };
    let mut live = object("{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: qa}, data: {a: theirs}}");
    live.set_at(&["metadata", "managedFields"], (0..managers).map(own).collect::<Vec<_>>().into());
    live
}

#[test]
fn case_41_many_managers_and_megabytes_of_their_fields_are_compared_soon() {
    let desired = object("{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: qa}, data: {a: ours}}");
    let live = co_owned(200, 3_000);
    assert!(live.to_json().to_string().len() > 8 << 20);
    let begun = Instant::now();
    assert!(differs(&desired, &live));
    let owners = field_owners(&live, "/data/a");
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    assert_eq!(owners.len(), 200);
}

#[test]
fn case_41_ownership_that_was_cleared_or_forged_hides_no_difference() {
    let desired = object("{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: qa}, data: {a: ours}}");
    for managed in [
        json!(null),
        json!([]),
        json!([{}]),
        json!("nonsense"),
        json!([{"manager": "sluice", "operation": "Apply", "fieldsType": "FieldsV2", "fieldsV1": []}]),
        json!([{"manager": "sluice", "operation": "Apply", "fieldsType": "FieldsV1", "fieldsV1": {"f:data": "x"}}]),
        json!([{"manager": 7, "fieldsV1": {"f:data": {"f:a": {"k:{": {"v:": {}}}}}}]),
    ] {
        let mut live =
            object("{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: qa}, data: {a: theirs}}");
        live.set_at(&["metadata", "managedFields"], managed.clone());
        assert!(differs(&desired, &live), "{managed}");
        let mut same = desired.clone();
        same.set_at(&["metadata", "managedFields"], managed.clone());
        assert!(!differs(&desired, &same), "{managed}");
    }
}
