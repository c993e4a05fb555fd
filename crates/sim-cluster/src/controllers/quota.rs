//! The status of ResourceQuotas: what is used of what is allowed.

use std::collections::BTreeSet;

use object_model::Timestamp;
use serde_json::{Map, Value, json};

use super::view::{items, text};
use super::{Key, Keyed, every};
use crate::cluster::Cluster;
use crate::error::ApiError;
use crate::store::Change;

const NAME: &str = "resourcequota-controller";
const QUOTAS: &str = "resourcequotas";

#[derive(Clone)]
pub(super) struct Quotas;

impl Keyed for Quotas {
    const NAME: &'static str = NAME;

    fn touched(&self, cluster: &Cluster, change: &Change, keys: &mut BTreeSet<Key>) {
        if change.resource.as_ref() == QUOTAS {
            keys.insert(Key::of(change));
        }
        let is_counted = change.before.is_none() || change.after.is_none() || change.resource.as_ref() == "pods";
        if is_counted && !change.namespace.is_empty() {
            let quotas = cluster.list(QUOTAS, Some(&change.namespace));
            keys.extend(quotas.map(|quota| Key::new(QUOTAS, quota.namespace(), quota.name())));
        }
    }

    fn all(&self, cluster: &Cluster, keys: &mut BTreeSet<Key>) {
        every(cluster, QUOTAS, keys);
    }

    fn sync(&mut self, cluster: &mut Cluster, key: &Key, _now: Timestamp) -> Result<Option<Timestamp>, ApiError> {
        let Some(quota) = cluster.get(QUOTAS, &key.namespace, &key.name).cloned() else { return Ok(None) };
        let hard = quota.at("/spec/hard").and_then(Value::as_object).cloned().unwrap_or_default();
        let mut used = Map::new();
        for name in hard.keys() {
            if let Some(amount) = usage(cluster, &key.namespace, name) {
                used.insert(name.clone(), amount.into());
            }
        }
        let status = json!({"hard": hard, "used": used});
        if quota.is_deleting() || quota.at("/status") == Some(&status) {
            return Ok(None);
        }
        let mut body = quota.json().clone();
        if let Some(fields) = body.as_object_mut() {
            fields.insert("status".to_owned(), status);
            super::replica_set::unpin(fields);
        }
        cluster.acting_as_controller(NAME).update_status(QUOTAS, &key.namespace, body)?;
        Ok(None)
    }
}

/// How much of a quota's resource a namespace uses; none when the name is not known.
fn usage(cluster: &Cluster, namespace: &str, name: &str) -> Option<String> {
    let count = |resource: &str| cluster.list(resource, Some(namespace)).count().to_string();
    let services = |types: &[&str]| {
        let services = cluster.list("services", Some(namespace));
        services.filter(|service| types.contains(&service.text("/spec/type"))).count().to_string()
    };
    if let Some(counted) = name.strip_prefix("count/") {
        return cluster.resource(counted).map(|_| count(counted));
    }
    match name {
        "pods" => Some(live_pods(cluster, namespace).count().to_string()),
        "services.loadbalancers" => Some(services(&["LoadBalancer"])),
        "services.nodeports" => Some(services(&["NodePort", "LoadBalancer"])),
        "services" | "configmaps" | "secrets" | "persistentvolumeclaims" | "replicationcontrollers" | QUOTAS => {
            Some(count(name))
        }
        _ => compute(cluster, namespace, name),
    }
}

fn live_pods<'a>(cluster: &'a Cluster, namespace: &'a str) -> impl Iterator<Item = &'a Value> {
    let pods = cluster.list("pods", Some(namespace)).map(|pod| pod.json());
    pods.filter(|pod| !matches!(text(pod, "/status/phase"), "Succeeded" | "Failed"))
}

/// The sum of requests or limits over the containers of all live pods.
fn compute(cluster: &Cluster, namespace: &str, name: &str) -> Option<String> {
    let (kind, resource) = match name.split_once('.') {
        Some((kind @ ("requests" | "limits"), resource)) => (kind, resource),
        _ => ("requests", name),
    };
    if !matches!(resource, "cpu" | "memory" | "ephemeral-storage") {
        return None;
    }
    let pointer = format!("/resources/{kind}/{resource}");
    let mut total: i128 = 0;
    for pod in live_pods(cluster, namespace) {
        for container in items(pod, "/spec/containers") {
            total = total.saturating_add(milli(container.pointer(&pointer)).unwrap_or(0));
        }
    }
    Some(written(total, resource))
}

/// A quantity in thousandths.
fn milli(quantity: Option<&Value>) -> Option<i128> {
    let text = match quantity? {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, suffix) = text.split_at_checked(end)?;
    let scale: i128 = match suffix {
        "m" => 1,
        "" => 1000,
        "k" => 1_000_000,
        "M" => 1_000_000_000,
        "G" => 1_000_000_000_000,
        "T" => 1_000_000_000_000_000,
        "Ki" => 1000 << 10,
        "Mi" => 1000 << 20,
        "Gi" => 1000 << 30,
        "Ti" => 1000 << 40,
        _ => return None,
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let places = u32::try_from(fraction.len()).ok().filter(|places| *places <= 9)?;
    let digits: i128 = format!("{whole}{fraction}").parse().ok()?;
    Some(digits.checked_mul(scale)? / 10_i128.pow(places))
}

/// The shortest exact form: thousandths of a cpu, the largest binary unit of memory.
fn written(milli: i128, resource: &str) -> String {
    if milli % 1000 != 0 {
        return format!("{milli}m");
    }
    let whole = milli / 1000;
    if resource != "cpu" {
        for (suffix, shift) in [("Ti", 40), ("Gi", 30), ("Mi", 20), ("Ki", 10)] {
            if whole != 0 && whole % (1_i128 << shift) == 0 {
                return format!("{}{suffix}", whole >> shift);
            }
        }
    }
    whole.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_add_up_in_their_shortest_form() {
        let sum = |parts: &[&str], resource: &str| {
            written(parts.iter().map(|part| milli(Some(&json!(part))).unwrap()).sum(), resource)
        };
        assert_eq!(sum(&["250m", "750m"], "cpu"), "1");
        assert_eq!(sum(&["0.1", "50m"], "cpu"), "150m");
        assert_eq!(sum(&["512Mi", "0.5Gi"], "memory"), "1Gi");
        assert_eq!(sum(&["100M", "1Ki"], "memory"), "100001024");
    }
}
