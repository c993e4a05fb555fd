//! The HorizontalPodAutoscaler: keeps the replicas of its target within bounds, and follows its metrics.
//!
//! There are no containers whose load could be measured, so the readings are annotations of the target's pods:
//! `sluice.dev/usage-cpu: 250m`, `sluice.dev/usage-memory: 64Mi`. Without any, a metric is as missing as on a cluster
//! without a metrics server.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use object_model::Timestamp;
use serde_json::{Value, json};

use super::autoscaler_status::{Judgement, update_status};
use super::events::{Tone, record};
use super::view::{int, int_or, is_active, is_ready, items, text};
use super::{Key, Keyed, every};
use crate::cluster::Cluster;
use crate::error::ApiError;
use crate::quantity;
use crate::selector::Selection;
use crate::store::{Change, Stored};

pub(super) const AUTOSCALERS: &str = "horizontalpodautoscalers.autoscaling";
pub(super) const NAME: &str = "horizontal-pod-autoscaler";
/// How often an autoscaler looks.
const PERIOD: Duration = Duration::from_secs(15);
/// A ratio this near to one changes nothing, in thousandths.
const TOLERANCE_MILLI: i128 = 100;

#[derive(Clone)]
pub(super) struct Autoscalers;

impl Keyed for Autoscalers {
    const NAME: &'static str = NAME;

    fn touched(&self, _cluster: &Cluster, change: &Change, keys: &mut BTreeSet<Key>) {
        let is_own = change.resource.as_ref() == AUTOSCALERS;
        let spec = |stored: &Option<Arc<Stored>>| stored.as_ref().and_then(|stored| stored.at("/spec").cloned());
        if is_own && spec(&change.before) != spec(&change.after) {
            keys.insert(Key::of(change));
        }
    }

    fn all(&self, cluster: &Cluster, keys: &mut BTreeSet<Key>) {
        every(cluster, AUTOSCALERS, keys);
    }

    fn sync(&mut self, cluster: &mut Cluster, key: &Key, now: Timestamp) -> Result<Option<Timestamp>, ApiError> {
        let Some(stored) = cluster.get(AUTOSCALERS, &key.namespace, &key.name).cloned() else { return Ok(None) };
        if stored.is_deleting() {
            return Ok(None);
        }
        let autoscaler = stored.json();
        let next = Some(now + PERIOD);
        let target = match target(cluster, autoscaler, &key.namespace) {
            Ok(target) => target,
            Err(message) => {
                record(cluster, NAME, autoscaler, (Tone::Warning, "FailedGetScale", &message), now);
                let words = format!("the HPA controller was unable to get the target's current scale: {message}");
                let judgement = Judgement::unable("FailedGetScale", words);
                update_status(cluster, autoscaler, None, &judgement, now)?;
                return Ok(next);
            }
        };
        let judgement = judge(autoscaler, &target);
        if judgement.desired != target.replicas && judgement.scales {
            rescale(cluster, autoscaler, &target, &judgement, now)?;
        }
        if let Some((reason, message)) = &judgement.metric_failure {
            record(cluster, NAME, autoscaler, (Tone::Warning, reason, message), now);
        }
        update_status(cluster, autoscaler, Some(target.replicas), &judgement, now)?;
        Ok(next)
    }
}

/// What is scaled.
struct Target {
    storage: String,
    name: String,
    replicas: i64,
    pods: Vec<Arc<Stored>>,
}

fn target(cluster: &Cluster, autoscaler: &Value, namespace: &str) -> Result<Target, String> {
    let kind = text(autoscaler, "/spec/scaleTargetRef/kind");
    let name = text(autoscaler, "/spec/scaleTargetRef/name");
    let api_version = text(autoscaler, "/spec/scaleTargetRef/apiVersion");
    let Some(resource) = cluster.resource_of_kind(api_version, kind).filter(|it| it.has_subresource("scale")) else {
        return Err(format!(
            "no matches for kind \"{kind}\" in group \"{}\"",
            api_version.split('/').next().unwrap_or("")
        ));
    };
    let Some(object) = cluster.get(&resource.storage, namespace, name) else {
        return Err(format!("{} \"{name}\" not found", resource.qualified()));
    };
    let scale = crate::scale::of(resource, object.json());
    let selector = text(&scale, "/status/selector");
    let selection = cluster
        .resource("pods")
        .filter(|_| !selector.is_empty())
        .and_then(|pods| Selection::parse(pods, Some(selector), None).ok());
    let pods = cluster.list("pods", Some(namespace)).filter(|pod| {
        selection.as_ref().is_some_and(|selection| selection.matches(pod.json())) && is_active(pod.json())
    });
    Ok(Target {
        storage: resource.storage.to_string(),
        name: name.to_owned(),
        replicas: int(&scale, "/spec/replicas"),
        pods: pods.cloned().collect(),
    })
}

/// Decides how many replicas there should be, and why.
fn judge(autoscaler: &Value, target: &Target) -> Judgement {
    let (least, most) = (int_or(autoscaler, "/spec/minReplicas", 1), int(autoscaler, "/spec/maxReplicas"));
    if target.replicas == 0 && least != 0 {
        return Judgement::disabled();
    }
    if target.replicas > most {
        return Judgement::bounded(most, "Current number of replicas above Spec.MaxReplicas");
    }
    if target.replicas < least {
        return Judgement::bounded(least, "Current number of replicas below Spec.MinReplicas");
    }
    let mut wanted: Option<(i64, String)> = None;
    let mut currents = Vec::new();
    let mut failure = None;
    for metric in items(autoscaler, "/spec/metrics") {
        match proposal(metric, target) {
            Ok(proposed) => {
                currents.push(proposed.current);
                if wanted.as_ref().is_none_or(|(replicas, _)| proposed.replicas > *replicas) {
                    wanted = Some((proposed.replicas, proposed.name));
                }
            }
            Err(problem) => failure = failure.or(Some(problem)),
        }
    }
    match wanted {
        // A metric that is missing never lets replicas go.
        Some((replicas, _)) if failure.is_some() && replicas < target.replicas => {
            Judgement::without_metrics(target.replicas, failure, currents)
        }
        Some((replicas, name)) => Judgement::by_metric(target.replicas, replicas, least, most, &name, currents),
        None => Judgement::without_metrics(target.replicas, failure, currents),
    }
}

/// What one metric asks for.
struct Proposal {
    replicas: i64,
    name: String,
    current: Value,
}

fn proposal(metric: &Value, target: &Target) -> Result<Proposal, (String, String)> {
    let name = text(metric, "/resource/name");
    if text(metric, "/type") != "Resource" {
        let reason = format!("FailedGet{}Metric", text(metric, "/type"));
        return Err((reason, format!("the metrics of type {} are not measured here", text(metric, "/type"))));
    }
    let fail = |message: String| {
        let words = format!("failed to get {name} utilization: {message}");
        Err(("FailedGetResourceMetric".to_owned(), words))
    };
    let key = format!("/metadata/annotations/sluice.dev~1usage-{name}");
    let ready: Vec<&Arc<Stored>> = target.pods.iter().filter(|pod| is_ready(pod.json())).collect();
    let written = ready.first().map(|pod| text(pod.json(), &key).to_owned()).unwrap_or_default();
    let usages: Vec<i128> = ready.iter().filter_map(|pod| quantity::nano(text(pod.json(), &key))).collect();
    if usages.is_empty() {
        return fail(
            "unable to get metrics for resource cpu: unable to fetch metrics from resource metrics API: the server could not find the requested resource (get pods.metrics.k8s.io)"
                .replace("resource cpu", &format!("resource {name}")),
        );
    }
    let pods = i128::try_from(usages.len()).unwrap_or(1);
    let used: i128 = usages.iter().sum();
    let (ratio_milli, current) = match metric.pointer("/resource/target/averageUtilization").and_then(Value::as_i64) {
        Some(wanted) => {
            let mut asked: i128 = 0;
            for pod in &ready {
                for container in items(pod.json(), "/spec/containers") {
                    let request = text(container, &format!("/resources/requests/{name}"));
                    let Some(request) = quantity::nano(request) else {
                        return fail(format!(
                            "missing request for {name} in container {} of Pod {}",
                            text(container, "/name"),
                            pod.name()
                        ));
                    };
                    asked += request;
                }
            }
            let percent = used * 100 / asked.max(1);
            let current = json!({"averageUtilization": i64::try_from(percent).unwrap_or(i64::MAX), "averageValue": quantity::from_nano(used / pods, &written)});
            (percent * 1000 / i128::from(wanted.max(1)), current)
        }
        None => {
            let wanted = quantity::nano(text(metric, "/resource/target/averageValue")).unwrap_or(1).max(1);
            (used * 1000 / pods / wanted, json!({"averageValue": quantity::from_nano(used / pods, &written)}))
        }
    };
    let replicas = if (ratio_milli - 1000).abs() <= TOLERANCE_MILLI {
        target.replicas
    } else {
        i64::try_from((ratio_milli * pods + 999) / 1000).unwrap_or(i64::MAX)
    };
    let described = match metric.pointer("/resource/target/averageUtilization") {
        Some(_) => format!("{name} resource utilization (percentage of request)"),
        None => format!("{name} resource"),
    };
    let current = json!({"type": "Resource", "resource": {"name": name, "current": current}});
    Ok(Proposal { replicas, name: described, current })
}

fn rescale(
    cluster: &mut Cluster,
    autoscaler: &Value,
    target: &Target,
    judgement: &Judgement,
    now: Timestamp,
) -> Result<(), ApiError> {
    let patch = json!({"spec": {"replicas": judgement.desired}});
    let namespace = text(autoscaler, "/metadata/namespace");
    let mut acting = cluster.acting_as_controller(NAME);
    acting.merge_subresource(&target.storage, namespace, &target.name, "scale", patch)?;
    let message = format!("New size: {}; reason: {}", judgement.desired, judgement.why);
    record(cluster, NAME, autoscaler, (Tone::Normal, "SuccessfulRescale", &message), now);
    Ok(())
}
