//! Admission by quota: what a new object would use, and whether that fits.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::error::ApiError;
use crate::quantity;
use crate::resource::ResourceType;
use crate::store::Stored;
use crate::write::Call;

const QUOTAS: &str = "resourcequotas";

/// Resources that a quota may count by their bare names.
const COUNTED: [&str; 7] =
    ["configmaps", "persistentvolumeclaims", "pods", "replicationcontrollers", "resourcequotas", "secrets", "services"];

/// What an object uses, by the names that quotas know.
pub(crate) fn usage_of(resource: &ResourceType, object: &Value) -> BTreeMap<String, String> {
    let mut usage = BTreeMap::from([(format!("count/{}", resource.qualified()), "1".to_owned())]);
    if resource.group.is_empty() && COUNTED.contains(&resource.plural.as_str()) {
        usage.insert(resource.plural.clone(), "1".to_owned());
    }
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    match resource.storage.as_ref() {
        "pods" => usage.extend(pod_usage(object)),
        "services" => {
            let ports = object.pointer("/spec/ports").and_then(Value::as_array).map_or(0, Vec::len);
            let kind = text("/spec/type");
            let nodes = if matches!(kind, "NodePort" | "LoadBalancer") { ports } else { 0 };
            usage.insert("services.nodeports".to_owned(), nodes.to_string());
            usage.insert("services.loadbalancers".to_owned(), usize::from(kind == "LoadBalancer").to_string());
        }
        "persistentvolumeclaims" => {
            usage.insert("requests.storage".to_owned(), text("/spec/resources/requests/storage").to_owned());
        }
        _ => {}
    }
    usage
}

fn containers<'v>(pod: &'v Value, key: &str) -> impl Iterator<Item = &'v Value> {
    pod.pointer(&format!("/spec/{key}")).and_then(Value::as_array).into_iter().flatten()
}

/// Requests and limits of a pod: the sum over its containers, or what one that runs before them needs, if that is more.
fn pod_usage(pod: &Value) -> BTreeMap<String, String> {
    let amounts = |key: &str, kind: &str| {
        let mut list: Vec<(String, i128, String)> = Vec::new();
        for container in containers(pod, key) {
            for (name, amount) in
                container.pointer(&format!("/resources/{kind}")).and_then(Value::as_object).into_iter().flatten()
            {
                let amount = amount.as_str().unwrap_or_default();
                list.extend(quantity::nano(amount).map(|nano| (name.clone(), nano, amount.to_owned())));
            }
        }
        list
    };
    let mut usage = BTreeMap::new();
    for kind in ["requests", "limits"] {
        let mut total: BTreeMap<String, (i128, String)> = BTreeMap::new();
        for (name, nano, written) in amounts("containers", kind) {
            let sum = total.entry(name).or_insert((0, written));
            sum.0 += nano;
        }
        for (name, nano, written) in amounts("initContainers", kind) {
            let most = total.entry(name).or_insert((0, written));
            most.0 = most.0.max(nano);
        }
        for (name, (nano, written)) in total {
            let written = quantity::from_nano(nano, &written);
            if kind == "requests" && matches!(name.as_str(), "cpu" | "memory" | "ephemeral-storage") {
                usage.insert(name.clone(), written.clone());
            }
            usage.insert(format!("{kind}.{name}"), written);
        }
    }
    usage
}

/// Whether objects of the resource can use anything of that name.
fn concerns(resource: &ResourceType, name: &str) -> bool {
    let is_of_pods = matches!(name, "cpu" | "memory" | "ephemeral-storage")
        || name.split_once('.').is_some_and(|(kind, rest)| matches!(kind, "requests" | "limits") && rest != "storage");
    match resource.storage.as_ref() {
        "pods" if is_of_pods => true,
        "services" if matches!(name, "services.nodeports" | "services.loadbalancers") => true,
        "persistentvolumeclaims" if name == "requests.storage" => true,
        _ => usage_of(resource, &Value::Null).contains_key(name),
    }
}

impl Cluster {
    /// Refuses an object that goes beyond a quota of its namespace, and counts one that fits.
    pub(crate) fn admit_by_quota(&mut self, call: &Call, name: &str, object: &Value) -> Result<(), ApiError> {
        if !call.resource.namespaced || call.resource.storage.as_ref() == "events" {
            return Ok(());
        }
        let quotas: Vec<Arc<Stored>> = self.list(QUOTAS, Some(&call.namespace)).cloned().collect();
        if quotas.is_empty() {
            return Ok(());
        }
        let usage = usage_of(&call.resource, object);
        let mut counted = Vec::new();
        for quota in quotas {
            let hard = map(quota.at("/status/hard"));
            let concerned: Vec<&String> = hard.keys().filter(|name| concerns(&call.resource, name)).collect();
            if concerned.is_empty() || !fits_scopes(&quota) {
                continue;
            }
            let refuse = |why: String| Err(ApiError::forbidden(&call.resource, name, &why));
            if let Some(missing) = unspecified(call, object, &concerned) {
                return refuse(format!("failed quota: {}: must specify {missing}", quota.name()));
            }
            let used = map(quota.at("/status/used"));
            if concerned.iter().any(|name| !used.contains_key(*name)) {
                let names = concerned.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(",");
                return refuse(format!("status unknown for quota: {}, resources: {names}", quota.name()));
            }
            let after = added(&used, &usage, &concerned);
            let exceeded: Vec<&String> = concerned
                .into_iter()
                .filter(|name| number(after.get(*name)) > number(hard.get(*name)) && number(usage.get(*name)) > 0)
                .collect();
            if !exceeded.is_empty() {
                let shown = |amounts: &BTreeMap<String, String>| {
                    let pairs = exceeded
                        .iter()
                        .map(|name| format!("{name}={}", amounts.get(*name).map_or("0", String::as_str)));
                    pairs.collect::<Vec<_>>().join(",")
                };
                return refuse(format!(
                    "exceeded quota: {}, requested: {}, used: {}, limited: {}",
                    quota.name(),
                    shown(&usage),
                    shown(&used),
                    shown(&hard)
                ));
            }
            counted.push((quota, after));
        }
        if !call.options.is_dry_run {
            self.count(counted);
        }
        Ok(())
    }

    fn count(&mut self, counted: Vec<(Arc<Stored>, BTreeMap<String, String>)>) {
        for (quota, used) in counted {
            let patch = json!({"status": {"used": used}});
            let (namespace, name) = (quota.namespace().to_owned(), quota.name().to_owned());
            // A quota that went away in the meantime counts nothing.
            let _ = self.acting_as("system:apiserver").merge_subresource(QUOTAS, &namespace, &name, "status", patch);
        }
    }
}

fn map(value: Option<&Value>) -> BTreeMap<String, String> {
    let fields = value.and_then(Value::as_object).into_iter().flatten();
    fields.filter_map(|(name, amount)| Some((name.clone(), amount.as_str()?.to_owned()))).collect()
}

fn number(amount: Option<&String>) -> i128 {
    amount.and_then(|amount| quantity::nano(amount)).unwrap_or(0)
}

/// Quotas with scopes choose among pods by what they are for; only those without choose all.
fn fits_scopes(quota: &Stored) -> bool {
    let scopes = quota.at("/spec/scopes").and_then(Value::as_array);
    scopes.is_none_or(Vec::is_empty) && quota.at("/spec/scopeSelector").is_none()
}

fn added(
    used: &BTreeMap<String, String>,
    usage: &BTreeMap<String, String>,
    names: &[&String],
) -> BTreeMap<String, String> {
    let mut after = used.clone();
    for name in names {
        if let (Some(have), Some(more)) = (used.get(*name), usage.get(*name)) {
            let form = if have == "0" { more } else { have };
            after.insert((*name).clone(), quantity::from_nano(number(Some(have)) + number(Some(more)), form));
        }
    }
    after
}

/// What a pod has to say of its containers, because a quota counts it.
fn unspecified(call: &Call, pod: &Value, names: &[&String]) -> Option<String> {
    if call.resource.storage.as_ref() != "pods" {
        return None;
    }
    let mut missing: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for name in names.iter().map(|name| name.as_str()) {
        let pointer = match name.split_once('.') {
            Some((kind @ ("requests" | "limits"), resource)) => format!("/resources/{kind}/{resource}"),
            _ if matches!(name, "cpu" | "memory") => format!("/resources/requests/{name}"),
            _ => continue,
        };
        for container in containers(pod, "containers").chain(containers(pod, "initContainers")) {
            if container.pointer(&pointer).is_none() {
                let of = container.get("name").and_then(Value::as_str).unwrap_or_default();
                missing.entry(name).or_default().push(of);
            }
        }
    }
    let parts: Vec<String> = missing.iter().map(|(name, of)| format!("{name} for: {}", of.join(","))).collect();
    (!parts.is_empty()).then(|| parts.join("; "))
}
