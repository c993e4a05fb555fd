//! Compares a Deployment with the cluster while an autoscaler drives its replicas.

use diff_engine::{
    Applied, CompareOptions, assess, autoscaler_claims, compare, print_fields, print_unified, take_claimed,
};
use object_model::{Object, ObjectError};
use serde_json::json;

/// Returns what the example prints.
///
/// # Errors
/// When one of its objects is not one.
pub fn run() -> Result<String, ObjectError> {
    let desired = Object::parse(json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "qa"},
        "spec": {"replicas": 2, "template": {"spec": {"containers": [{"name": "web", "image": "web:2"}]}}},
    }))?;
    let live = Object::parse(json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "qa", "uid": "d-1", "resourceVersion": "41", "generation": 3},
        "spec": {
            "replicas": 7, "progressDeadlineSeconds": 600,
            "template": {"spec": {"containers": [{"name": "web", "image": "web:1", "imagePullPolicy": "IfNotPresent"}]}},
        },
        "status": {"observedGeneration": 3, "replicas": 7, "updatedReplicas": 7, "availableReplicas": 5},
    }))?;
    let autoscaler = Object::parse(json!({
        "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "web", "namespace": "qa", "uid": "h-1"},
        "spec": {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}},
    }))?;

    let claims = autoscaler_claims(&live, [&autoscaler]);
    let desired = take_claimed(&desired, &live, &claims, "sluice");
    let options = CompareOptions { field_manager: "sluice", applied: Applied::Unknown, claims: &claims, ignore: &[] };
    let comparison = compare(&desired, &live, &options);
    let health = assess(&live).map(|health| format!("{}: {}\n", health.status, health.message)).unwrap_or_default();
    Ok(print_fields(&desired, &comparison) + &print_unified(&desired, Some(&live), &comparison, 1) + &health)
}

#[cfg_attr(not(test), expect(clippy::print_stdout, reason = "an example prints what it shows"))]
#[cfg_attr(test, expect(dead_code, reason = "the test calls run"))]
fn main() -> Result<(), ObjectError> {
    print!("{}", run()?);
    Ok(())
}
