//! HorizontalPodAutoscalers.

use object_model::Object;
use serde_json::Value;

use super::{Health, HealthStatus, Seen, conditions, seen};

/// The annotation in which `autoscaling/v1` keeps what later versions have as status conditions.
const CONDITIONS_ANNOTATION: &str = "autoscaling.alpha.kubernetes.io/conditions";

const FAILURES: [(&str, &str); 8] = [
    ("AbleToScale", "FailedGetScale"),
    ("AbleToScale", "FailedUpdateScale"),
    ("ScalingActive", "FailedGetResourceMetric"),
    ("ScalingActive", "FailedGetObjectMetric"),
    ("ScalingActive", "FailedGetPodsMetric"),
    ("ScalingActive", "FailedGetExternalMetric"),
    ("ScalingActive", "InvalidMetricSourceType"),
    ("ScalingActive", "InvalidSelector"),
];

pub(super) fn autoscaler(live: &Object) -> Health {
    if live.api_version() == "autoscaling/v1" {
        let text = live.annotation(CONDITIONS_ANNOTATION).unwrap_or("[]");
        let Ok(list) = serde_json::from_str::<Vec<Value>>(text) else {
            return Health::degraded(format!("annotation `{CONDITIONS_ANNOTATION}` is not a list of conditions"));
        };
        return judge(&list.iter().map(seen).collect::<Vec<_>>());
    }
    judge(&conditions(live))
}

fn judge(conditions: &[Seen<'_>]) -> Health {
    if let Some(failure) = conditions.iter().find(|condition| FAILURES.contains(&(condition.kind, condition.reason))) {
        return Health::degraded(failure.message);
    }
    let works = |condition: &&Seen<'_>| {
        matches!(condition.kind, "AbleToScale" | "ScalingLimited") && condition.status == "True"
    };
    match conditions.iter().find(works) {
        Some(condition) => Health::new(HealthStatus::Healthy, condition.message),
        None => Health::progressing("Waiting to Autoscale"),
    }
}
