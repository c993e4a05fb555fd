//! Walks a canary through an Istio VirtualService and prints the patch of each step.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use object_model::{Object, Weight};
use serde_json::json;
use traffic_split::{Destination, IstioTarget, Split, Target, observe, plan, restore};

/// Returns what the example prints.
pub fn run() -> String {
    let mut output = String::new();
    let service = json!({
        "apiVersion": "networking.istio.io/v1", "kind": "VirtualService",
        "metadata": {"name": "frontend", "namespace": "qa"},
        "spec": {"hosts": ["frontend"], "http": [{"name": "primary", "route": [
            {"destination": {"host": "frontend-stable"}, "weight": 100},
            {"destination": {"host": "frontend-canary"}, "weight": 0},
        ]}]},
    });
    let section = json!({"virtualService": {"name": "frontend", "routes": ["primary"]}});
    let (Ok(service), Ok(target)) = (Object::parse(service), IstioTarget::parse(&section, "qa", "frontend")) else {
        return output;
    };
    let targets = [Target::Istio(target)];
    let mut live = BTreeMap::from([(service.id(), service)]);
    let mut split =
        Split::new(Destination::service("frontend-canary"), Destination::service("frontend-stable"), Weight::ZERO);
    for weight in [20, 60, 60] {
        split.weight = Weight::new(weight).unwrap_or(Weight::ZERO);
        let planned = plan(&split, &targets, &live);
        if planned.changes.is_empty() {
            let _ = writeln!(output, "{weight}: nothing to do");
        }
        for change in planned.changes {
            let patch: Vec<_> = change.patch.iter().map(ToString::to_string).collect();
            let _ = writeln!(output, "{weight}: {}", patch.join("\n    "));
            live.insert(change.id.clone(), change.into_object());
        }
    }
    for route in observe(&split, &targets, &live) {
        let _ =
            writeln!(output, "{} {}: canary {}, stable {}", route.object, route.pointer, route.canary, route.stable);
    }
    for change in restore(&split, &targets, &live).changes {
        let _ = writeln!(output, "restore: {}", change.summary);
    }
    output
}

#[expect(clippy::print_stdout, reason = "an example prints")]
#[cfg_attr(test, expect(dead_code, reason = "tests call `run`"))]
fn main() {
    print!("{}", run());
}
