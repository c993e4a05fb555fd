//! A canary at 20 % behind a VirtualService: the new version fails one request in ten, and a query sees it.

use object_model::{Object, Timestamp};
use serde_json::{Value, json};
use sim_traffic::{Behaviour, Load, Traffic, answer};

fn pod(name: &str, track: &str, image: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "namespace": "qa", "labels": {"app": "frontend", "track": track}},
        "spec": {"containers": [{"name": "frontend", "image": image}]},
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]},
    })
}

fn service(track: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": format!("frontend-{track}"), "namespace": "qa"},
        "spec": {"selector": {"app": "frontend", "track": track}},
    })
}

/// Plays ten seconds and returns what happened.
pub fn run() -> Result<String, Box<dyn std::error::Error>> {
    let route = json!({
        "apiVersion": "networking.istio.io/v1", "kind": "VirtualService",
        "metadata": {"name": "frontend", "namespace": "qa"},
        "spec": {"hosts": ["frontend"], "http": [{"route": [
            {"destination": {"host": "frontend-stable"}, "weight": 80},
            {"destination": {"host": "frontend-canary"}, "weight": 20},
        ]}]},
    });
    let objects = [
        pod("frontend-1", "stable", "frontend:v2"),
        pod("frontend-2", "canary", "frontend:v3"),
        service("stable"),
        service("canary"),
        route,
    ];
    let mut traffic = Traffic::new(7);
    for object in objects {
        traffic.observe(&Object::parse(object)?);
    }
    traffic.set_behaviour("frontend:v3", Behaviour::failing(0.1));
    traffic.set_load("users", Load::new("frontend", "qa", 100.0));

    let start: Timestamp = "2026-01-01T00:00:00Z".parse()?;
    let end: Timestamp = "2026-01-01T00:00:10Z".parse()?;
    traffic.advance(start, end);

    let selector = r#"istio_requests_total{reporter="source",destination_service=~"frontend-canary.*""#;
    let query = format!("query=sum(irate({selector},response_code!~\"5.*\"}}[5s]))/sum(irate({selector}}}[5s]))");
    let (_, body) = answer(&traffic, end, "GET", "/api/v1/query", &query, b"");
    let rate = body.pointer("/data/result/0/value/1").and_then(Value::as_str).unwrap_or("none");
    Ok(format!("{}success rate of the canary {rate}\n", traffic.report()))
}

#[expect(clippy::print_stdout, reason = "an example shows its result")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    print!("{}", run()?);
    Ok(())
}
