//! Judges one object by a script and one by an expression: `cargo run -p health-rules --example health-rules`.

use api::{HealthExpressions, HealthSettings};
use health_rules::HealthRules;
use object_model::Object;
use serde_json::json;

#[expect(clippy::print_stdout, reason = "an example prints")]
fn main() {
    let expression = HealthExpressions {
        field: "spec.health.exprs[0]".to_owned(),
        api_version: "example.com/v1".to_owned(),
        kind: "Topic".to_owned(),
        current: "status.partitions == spec.partitions".to_owned(),
        ..HealthExpressions::default()
    };
    let (mut rules, problems) =
        HealthRules::of(&HealthSettings { expressions: vec![expression], ..HealthSettings::default() });
    assert!(problems.is_empty());
    rules.scripts.add(
        "example.com",
        "Queue",
        "if obj.status.length > 100 then return {status = 'Degraded', message = 'too long'} end return {status = 'Healthy'}",
    );
    let objects = [
        json!({"apiVersion": "example.com/v1", "kind": "Topic", "metadata": {"name": "orders"},
            "spec": {"partitions": 3}, "status": {"partitions": 3}}),
        json!({"apiVersion": "example.com/v1", "kind": "Queue", "metadata": {"name": "mail"}, "status": {"length": 101}}),
    ];
    let objects: Vec<Object> = objects.into_iter().filter_map(|object| Object::parse(object).ok()).collect();
    let now = object_model::Timestamp::default();
    for (object, health) in objects.iter().zip(rules.judge_all(&objects, now)) {
        match health {
            Some(health) => println!("{}: {} {}", object.id(), health.status, health.message),
            None => println!("{}: no health", object.id()),
        }
    }
}
