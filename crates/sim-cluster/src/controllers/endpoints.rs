//! The older Endpoints objects beside the slices, which some clients still read.

use std::collections::{BTreeMap, BTreeSet};

use object_model::{LabelSelector, Timestamp};
use serde_json::{Map, Value, json};

use super::endpoint_slice::{TRIGGER_TIME, pods_of, ports_of, service_selector, services_of};
use super::view::{at, flag, is_deleting, is_ready, items, labels, text};
use super::{Key, Keyed, every};
use crate::cluster::Cluster;
use crate::error::ApiError;
use crate::store::Change;
use crate::write::DeleteOptions;

const NAME: &str = "endpoint-controller";
const MANAGED_BY: &str = "endpoints.kubernetes.io/managed-by";

#[derive(Clone)]
pub(super) struct Endpoints;

impl Keyed for Endpoints {
    const NAME: &'static str = NAME;

    fn touched(&self, cluster: &Cluster, change: &Change, keys: &mut BTreeSet<Key>) {
        match change.resource.as_ref() {
            "services" => drop(keys.insert(Key::of(change))),
            "endpoints" => drop(keys.insert(Key::new("services", &change.namespace, &change.name))),
            "pods" => services_of(cluster, change, keys),
            _ => {}
        }
    }

    fn all(&self, cluster: &Cluster, keys: &mut BTreeSet<Key>) {
        every(cluster, "services", keys);
    }

    fn sync(&mut self, cluster: &mut Cluster, key: &Key, now: Timestamp) -> Result<Option<Timestamp>, ApiError> {
        let known = cluster.get("endpoints", &key.namespace, &key.name).cloned();
        let Some(service) = cluster.get("services", &key.namespace, &key.name).cloned() else {
            // They go with their Service, unless somebody else keeps them.
            if known.is_some_and(|known| labels(known.json()).contains_key(MANAGED_BY)) {
                let mut acting = cluster.acting_as_controller(NAME);
                acting.delete("endpoints", &key.namespace, &key.name, DeleteOptions::default())?;
            }
            return Ok(None);
        };
        let Some(selector) = service_selector(service.json()).filter(|_| !service.is_deleting()) else {
            return Ok(None);
        };
        let subsets = subsets(cluster, service.json(), &selector);
        let own = own_labels(service.json());
        match known {
            None => {
                let body = json!({
                    "metadata": {"name": key.name.as_ref(), "namespace": key.namespace.as_ref(), "labels": own, "annotations": {TRIGGER_TIME: at(now)}},
                    "subsets": subsets,
                });
                cluster.acting_as_controller(NAME).create("endpoints", &key.namespace, body)?;
            }
            Some(known) if items(known.json(), "/subsets") == subsets && known.at("/metadata/labels") == Some(&own) => {
            }
            Some(known) => {
                let mut body = known.json().clone();
                if let Some(fields) = body.as_object_mut() {
                    fields.insert("subsets".to_owned(), json!(subsets));
                    if let Some(metadata) = fields.get_mut("metadata").and_then(Value::as_object_mut) {
                        metadata.insert("labels".to_owned(), own);
                        let annotations = metadata.entry("annotations").or_insert_with(|| json!({}));
                        if let Some(annotations) = annotations.as_object_mut() {
                            annotations.insert(TRIGGER_TIME.to_owned(), at(now));
                        }
                    }
                    super::replica_set::unpin(fields);
                }
                cluster.acting_as_controller(NAME).update("endpoints", &key.namespace, body)?;
            }
        }
        Ok(None)
    }
}

fn own_labels(service: &Value) -> Value {
    let mut own: Map<String, Value> =
        labels(service).into_iter().map(|(key, value)| (key.to_owned(), value.into())).collect();
    own.insert(MANAGED_BY.to_owned(), NAME.into());
    if text(service, "/spec/clusterIP") == "None" {
        own.insert("service.kubernetes.io/headless".to_owned(), "".into());
    }
    Value::Object(own)
}

fn subsets(cluster: &Cluster, service: &Value, selector: &LabelSelector) -> Vec<Value> {
    let mut by_ports: BTreeMap<String, (Value, Vec<Value>, Vec<Value>)> = BTreeMap::new();
    for pod in pods_of(cluster, service, selector) {
        let pod = pod.json();
        let is_published = flag(service, "/spec/publishNotReadyAddresses");
        if is_deleting(pod) && !is_published {
            continue;
        }
        let ports: Value = ports_of(service, pod).into_iter().map(plain_port).collect();
        let subset = by_ports.entry(ports.to_string()).or_insert_with(|| (ports, Vec::new(), Vec::new()));
        let list = if is_published || is_ready(pod) { &mut subset.1 } else { &mut subset.2 };
        list.push(address(pod));
    }
    by_ports.into_values().map(|(ports, ready, not_ready)| subset(ports, ready, not_ready)).collect()
}

fn subset(ports: Value, ready: Vec<Value>, not_ready: Vec<Value>) -> Value {
    let mut subset = Map::new();
    for (key, mut list) in [("addresses", ready), ("notReadyAddresses", not_ready)] {
        list.sort_by_key(|address| text(address, "/ip").parse::<std::net::Ipv4Addr>().ok());
        if !list.is_empty() {
            subset.insert(key.to_owned(), Value::Array(list));
        }
    }
    if ports.as_array().is_some_and(|ports| !ports.is_empty()) {
        subset.insert("ports".to_owned(), ports);
    }
    Value::Object(subset)
}

/// Endpoints leave out an empty port name.
fn plain_port(mut port: Value) -> Value {
    if text(&port, "/name").is_empty()
        && let Some(fields) = port.as_object_mut()
    {
        fields.remove("name");
    }
    port
}

fn address(pod: &Value) -> Value {
    json!({
        "ip": text(pod, "/status/podIP"),
        "nodeName": text(pod, "/spec/nodeName"),
        "targetRef": {
            "kind": "Pod",
            "name": text(pod, "/metadata/name"),
            "namespace": text(pod, "/metadata/namespace"),
            "uid": text(pod, "/metadata/uid"),
        },
    })
}
