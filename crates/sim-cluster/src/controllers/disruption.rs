//! The disruption controller: how many pods of a budget are healthy, and how many may go now.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use object_model::{LabelSelector, Timestamp};
use serde_json::{Value, json};

use super::view::{at, condition, controller_name, int, is_active, is_ready, items, labels, text};
use super::{Key, Keyed, every};
use crate::cluster::Cluster;
use crate::error::ApiError;
use crate::store::{Change, Stored};

const BUDGETS: &str = "poddisruptionbudgets.policy";
const NAME: &str = "disruption-controller";

#[derive(Clone)]
pub(super) struct Disruptions;

impl Keyed for Disruptions {
    const NAME: &'static str = NAME;

    fn touched(&self, cluster: &Cluster, change: &Change, keys: &mut BTreeSet<Key>) {
        match change.resource.as_ref() {
            BUDGETS => drop(keys.insert(Key::of(change))),
            // What is expected hangs on the replicas that the owners want.
            "pods" | "replicasets.apps" | "statefulsets.apps" | "deployments.apps" => {
                let budgets = cluster.list(BUDGETS, Some(&change.namespace));
                keys.extend(budgets.map(|budget| Key::new(BUDGETS, budget.namespace(), budget.name())));
            }
            _ => {}
        }
    }

    fn all(&self, cluster: &Cluster, keys: &mut BTreeSet<Key>) {
        every(cluster, BUDGETS, keys);
    }

    fn sync(&mut self, cluster: &mut Cluster, key: &Key, now: Timestamp) -> Result<Option<Timestamp>, ApiError> {
        let Some(stored) = cluster.get(BUDGETS, &key.namespace, &key.name).cloned() else { return Ok(None) };
        if stored.is_deleting() {
            return Ok(None);
        }
        let budget = stored.json();
        let selector = budget.pointer("/spec/selector").and_then(|selector| LabelSelector::parse(selector).ok());
        let pods: Vec<Arc<Stored>> = cluster
            .list("pods", Some(&key.namespace))
            .filter(|pod| selector.as_ref().is_some_and(|selector| selector.matches(&labels(pod.json()))))
            .filter(|pod| !matches!(pod.text("/status/phase"), "Succeeded" | "Failed"))
            .cloned()
            .collect();
        let (expected, desired) = expectation(cluster, budget, &pods);
        let healthy = pods.iter().filter(|pod| is_active(pod.json()) && is_ready(pod.json())).count();
        let healthy = i64::try_from(healthy).unwrap_or(i64::MAX);
        let allowed = if expected > 0 { (healthy - desired).max(0) } else { 0 };
        let mut status = json!({
            "currentHealthy": healthy, "desiredHealthy": desired, "expectedPods": expected,
            "disruptionsAllowed": allowed, "observedGeneration": int(budget, "/metadata/generation"),
        });
        let conditions = conditions(budget, allowed, now);
        if let Some(fields) = status.as_object_mut() {
            fields.insert("conditions".to_owned(), Value::Array(conditions));
        }
        if budget.get("status") == Some(&status) {
            return Ok(None);
        }
        let mut changed = budget.clone();
        if let Some(fields) = changed.as_object_mut() {
            fields.insert("status".to_owned(), status);
        }
        cluster.acting_as_controller(NAME).update_status(BUDGETS, &key.namespace, changed)?;
        Ok(None)
    }
}

fn conditions(budget: &Value, allowed: i64, now: Timestamp) -> Vec<Value> {
    let (status, reason) = if allowed > 0 { ("True", "SufficientPods") } else { ("False", "InsufficientPods") };
    let known = condition(budget, "DisruptionAllowed");
    let since =
        known.filter(|known| text(known, "/status") == status).and_then(|known| known.get("lastTransitionTime"));
    let mut conditions: Vec<Value> = items(budget, "/status/conditions")
        .iter()
        .filter(|condition| text(condition, "/type") != "DisruptionAllowed")
        .cloned()
        .collect();
    conditions.push(json!({
        "type": "DisruptionAllowed", "status": status, "reason": reason, "message": "",
        "observedGeneration": int(budget, "/metadata/generation"),
        "lastTransitionTime": since.cloned().unwrap_or_else(|| at(now)),
    }));
    conditions
}

/// How many pods there should be, and how many of them have to be healthy.
fn expectation(cluster: &Cluster, budget: &Value, pods: &[Arc<Stored>]) -> (i64, i64) {
    if let Some(most) = budget.pointer("/spec/maxUnavailable").filter(|most| !most.is_null()) {
        let expected = scale_of(cluster, pods);
        return (expected, (expected - scaled(most, expected)).max(0));
    }
    match budget.pointer("/spec/minAvailable") {
        Some(Value::Number(least)) => (i64::try_from(pods.len()).unwrap_or(i64::MAX), least.as_i64().unwrap_or(0)),
        Some(least @ Value::String(_)) => {
            let expected = scale_of(cluster, pods);
            (expected, scaled(least, expected))
        }
        _ => (0, 0),
    }
}

/// A number, or a part of a whole in percent, rounded up.
fn scaled(value: &Value, whole: i64) -> i64 {
    match value {
        Value::String(percent) => {
            let part: i64 = percent.trim_end_matches('%').parse().unwrap_or(0);
            (whole.saturating_mul(part) + 99) / 100
        }
        other => other.as_i64().unwrap_or(0),
    }
}

/// The replicas that the owners of the pods want; a pod that nobody scales does not count.
fn scale_of(cluster: &Cluster, pods: &[Arc<Stored>]) -> i64 {
    let mut wanted = BTreeMap::new();
    for pod in pods {
        let namespace = pod.namespace();
        let owner = |kind: &str, resource: &str| {
            controller_name(pod.json(), kind).and_then(|name| cluster.get(resource, namespace, name))
        };
        let direct = owner("ReplicaSet", "replicasets.apps").or_else(|| owner("StatefulSet", "statefulsets.apps"));
        let Some(direct) = direct else { continue };
        let deployment = controller_name(direct.json(), "Deployment")
            .and_then(|name| cluster.get("deployments.apps", namespace, name));
        let owner = deployment.unwrap_or(direct);
        wanted.insert(owner.uid().to_owned(), int(owner.json(), "/spec/replicas"));
    }
    wanted.values().sum()
}
