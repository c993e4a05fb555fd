//! What an autoscaler has decided, and the status that says so.

use object_model::Timestamp;
use serde_json::{Value, json};

use super::autoscaler::{AUTOSCALERS, NAME};
use super::replica_set::unpin;
use super::view::{at, condition, int, text};
use crate::cluster::Cluster;
use crate::error::ApiError;

/// A condition: type, status, reason, message.
type Condition = (&'static str, &'static str, String, String);

/// What an autoscaler has decided.
pub(super) struct Judgement {
    pub(super) desired: i64,
    pub(super) scales: bool,
    /// The reason of a change of size.
    pub(super) why: String,
    pub(super) metric_failure: Option<(String, String)>,
    current_metrics: Option<Vec<Value>>,
    conditions: Vec<Condition>,
}

fn able(reason: &str, message: String) -> Condition {
    ("AbleToScale", "True", reason.to_owned(), message)
}

impl Judgement {
    fn new(desired: i64, scales: bool, why: &str, conditions: Vec<Condition>) -> Self {
        Self { desired, scales, why: why.to_owned(), metric_failure: None, current_metrics: None, conditions }
    }

    /// The target can't be read.
    pub(super) fn unable(reason: &str, message: String) -> Self {
        Self::new(0, false, "", vec![("AbleToScale", "False", reason.to_owned(), message)])
    }

    /// The target has no replicas: it is not to be scaled.
    pub(super) fn disabled() -> Self {
        let message = "scaling is disabled since the replica count of the target is zero";
        let conditions = vec![
            able("SucceededGetScale", "the HPA controller was able to get the target's current scale".to_owned()),
            ("ScalingActive", "False", "ScalingDisabled".to_owned(), message.to_owned()),
        ];
        Self::new(0, false, "", conditions)
    }

    /// The target is beyond a bound.
    pub(super) fn bounded(desired: i64, why: &str) -> Self {
        let message = format!("the HPA controller was able to update the target scale to {desired}");
        Self::new(desired, true, why, vec![able("SucceededRescale", message)])
    }

    /// No metric gave a number.
    pub(super) fn without_metrics(replicas: i64, failure: Option<(String, String)>, currents: Vec<Value>) -> Self {
        let mut conditions =
            vec![able("SucceededGetScale", "the HPA controller was able to get the target's current scale".to_owned())];
        if let Some((reason, message)) = &failure {
            let words = format!("the HPA was unable to compute the replica count: {message}");
            conditions.push(("ScalingActive", "False", reason.clone(), words));
        }
        let mut judgement = Self::new(replicas, false, "", conditions);
        judgement.metric_failure = failure;
        judgement.current_metrics = Some(currents).filter(|list| !list.is_empty());
        judgement
    }

    /// A metric asks for a number of replicas.
    pub(super) fn by_metric(
        replicas: i64,
        proposed: i64,
        least: i64,
        most: i64,
        metric: &str,
        currents: Vec<Value>,
    ) -> Self {
        // At most twice as many, and at least four, at once.
        let ceiling = (replicas * 2).max(4).min(most);
        let desired = proposed.clamp(least, ceiling);
        let limited = match proposed {
            _ if proposed > desired && ceiling < most => {
                ("True", "ScaleUpLimit", "the desired replica count is increasing faster than the maximum scale rate")
            }
            _ if proposed > desired => {
                ("True", "TooManyReplicas", "the desired replica count is more than the maximum replica count")
            }
            _ if proposed < desired => {
                ("True", "TooFewReplicas", "the desired replica count is less than the minimum replica count")
            }
            _ => ("False", "DesiredWithinRange", "the desired count is within the acceptable range"),
        };
        let first = if desired == replicas {
            able("ReadyForNewScale", "recommended size matches current size".to_owned())
        } else {
            able("SucceededRescale", format!("the HPA controller was able to update the target scale to {desired}"))
        };
        let active = format!("the HPA was able to successfully calculate a replica count from {metric}");
        let conditions = vec![
            first,
            ("ScalingActive", "True", "ValidMetricFound".to_owned(), active),
            ("ScalingLimited", limited.0, limited.1.to_owned(), limited.2.to_owned()),
        ];
        let why =
            if proposed > replicas { format!("{metric} above target") } else { "All metrics below target".to_owned() };
        let mut judgement = Self::new(desired, true, &why, conditions);
        judgement.current_metrics = Some(currents);
        judgement
    }
}

/// Writes the status, unless it says so already.
pub(super) fn update_status(
    cluster: &mut Cluster,
    autoscaler: &Value,
    current: Option<i64>,
    judgement: &Judgement,
    now: Timestamp,
) -> Result<(), ApiError> {
    let conditions: Vec<Value> = judgement
        .conditions
        .iter()
        .map(|(kind, status, reason, message)| {
            let known = condition(autoscaler, kind).filter(|known| text(known, "/status") == *status);
            let since = known.and_then(|known| known.get("lastTransitionTime")).cloned().unwrap_or_else(|| at(now));
            json!({"type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": since})
        })
        .collect();
    let mut status = json!({
        "desiredReplicas": judgement.desired, "currentMetrics": judgement.current_metrics, "conditions": conditions,
    });
    let rescaled = judgement.scales && current.is_some_and(|current| current != judgement.desired);
    let last = autoscaler.pointer("/status/lastScaleTime").cloned();
    if let Some(fields) = status.as_object_mut() {
        if let Some(current) = current.filter(|current| *current != 0) {
            fields.insert("currentReplicas".to_owned(), current.into());
        }
        if let Some(last) = if rescaled { Some(at(now)) } else { last } {
            fields.insert("lastScaleTime".to_owned(), last);
        }
        let observed = int(autoscaler, "/status/observedGeneration");
        if observed != 0 {
            fields.insert("observedGeneration".to_owned(), observed.into());
        }
    }
    if autoscaler.get("status") == Some(&status) {
        return Ok(());
    }
    let mut changed = autoscaler.clone();
    if let Some(fields) = changed.as_object_mut() {
        fields.insert("status".to_owned(), status);
        unpin(fields);
    }
    let namespace = text(autoscaler, "/metadata/namespace");
    cluster.acting_as_controller(NAME).update_status(AUTOSCALERS, namespace, changed).map(drop)
}
