//! The EndpointSlice controller: for each Service with a selector, the addresses of its pods and how they do.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use object_model::{LabelSelector, Timestamp};
use serde_json::{Map, Value, json};

use super::replica_set::unpin;
use super::view::{at, controller_uid, flag, int, is_deleting, is_ready, items, labels, owner_reference, text};
use super::{Key, Keyed, every};
use crate::cluster::Cluster;
use crate::error::ApiError;
use crate::store::{Change, Stored};
use crate::write::DeleteOptions;

const SLICES: &str = "endpointslices.discovery.k8s.io";
const NAME: &str = "endpointslice-controller";
const MANAGED_BY: &str = "endpointslice-controller.k8s.io";
/// When the endpoints last changed.
pub(super) const TRIGGER_TIME: &str = "endpoints.kubernetes.io/last-change-trigger-time";
/// Endpoints in one slice.
const ENDPOINTS_MAX: usize = 100;

#[derive(Clone)]
pub(super) struct EndpointSlices;

impl Keyed for EndpointSlices {
    const NAME: &'static str = NAME;

    fn touched(&self, cluster: &Cluster, change: &Change, keys: &mut BTreeSet<Key>) {
        match change.resource.as_ref() {
            "services" => drop(keys.insert(Key::of(change))),
            "pods" => services_of(cluster, change, keys),
            SLICES => {
                for slice in [&change.before, &change.after].into_iter().flatten() {
                    if let Some(service) = labels(slice.json()).get("kubernetes.io/service-name") {
                        keys.insert(Key::new("services", &change.namespace, service));
                    }
                }
            }
            _ => {}
        }
    }

    fn all(&self, cluster: &Cluster, keys: &mut BTreeSet<Key>) {
        every(cluster, "services", keys);
    }

    fn sync(&mut self, cluster: &mut Cluster, key: &Key, now: Timestamp) -> Result<Option<Timestamp>, ApiError> {
        let Some(service) = cluster.get("services", &key.namespace, &key.name).cloned() else { return Ok(None) };
        let Some(selector) = service_selector(service.json()).filter(|_| !service.is_deleting()) else {
            return Ok(None);
        };
        let wanted = wanted_slices(cluster, service.json(), &selector, now);
        let mut have: Vec<Arc<Stored>> = cluster
            .list(SLICES, Some(&key.namespace))
            .filter(|slice| is_ours(slice.json(), service.json()) && !slice.is_deleting())
            .cloned()
            .collect();
        for slice in wanted {
            // The slice with the same ports is changed in place; its endpoints may all be others.
            let same = have.iter().position(|known| known.at("/ports") == slice.get("ports"));
            let place = same.or_else(|| (!have.is_empty()).then_some(0));
            match place.map(|place| have.remove(place)) {
                Some(known) => update(cluster, &known, &slice)?,
                None => drop(cluster.acting_as_controller(NAME).create(SLICES, &key.namespace, slice)?),
            }
        }
        for surplus in have {
            let options = DeleteOptions { uid: Some(surplus.uid().to_owned()), ..DeleteOptions::default() };
            cluster.acting_as_controller(NAME).delete(SLICES, &key.namespace, surplus.name(), options)?;
        }
        Ok(None)
    }
}

/// The labels by which a Service finds its pods; none when it is kept by hand or points outside.
pub(super) fn service_selector(service: &Value) -> Option<LabelSelector> {
    if text(service, "/spec/type") == "ExternalName" {
        return None;
    }
    let map = service.pointer("/spec/selector").and_then(Value::as_object).filter(|map| !map.is_empty())?;
    Some(LabelSelector::from_labels(map.iter().filter_map(|(key, value)| Some((key.as_str(), value.as_str()?)))))
}

/// The Services that a changed pod concerns: whose selector takes it now or took it before.
pub(super) fn services_of(cluster: &Cluster, change: &Change, keys: &mut BTreeSet<Key>) {
    let states = [&change.before, &change.after].into_iter().flatten();
    let states: Vec<_> = states.map(|pod| labels(pod.json())).collect();
    for service in cluster.list("services", Some(&change.namespace)) {
        // Every pod looks at every Service: nothing is made for those that do not take it.
        let spec = service.json().get("spec");
        let Some(selector) = spec.and_then(|spec| spec.get("selector")?.as_object()) else { continue };
        let takes = |pod: &BTreeMap<&str, &str>| {
            let holds = |(key, value): (&String, &Value)| {
                value.as_str().is_none_or(|value| pod.get(key.as_str()).is_some_and(|own| *own == value))
            };
            selector.iter().all(holds)
        };
        if states.iter().any(takes) && service_selector(service.json()).is_some() {
            keys.insert(Key::new("services", &change.namespace, service.name()));
        }
    }
}

/// The pods of a Service that have an address and have not ended, by name.
pub(super) fn pods_of(cluster: &Cluster, service: &Value, selector: &LabelSelector) -> Vec<Arc<Stored>> {
    let pods = cluster.list("pods", Some(text(service, "/metadata/namespace")));
    pods.filter(|pod| {
        selector.matches(&labels(pod.json()))
            && !pod.text("/status/podIP").is_empty()
            && !matches!(pod.text("/status/phase"), "Succeeded" | "Failed")
    })
    .cloned()
    .collect()
}

/// A Service's ports as numbers of this pod; named ones differ from pod to pod.
pub(super) fn ports_of(service: &Value, pod: &Value) -> Vec<Value> {
    let port = |port: &Value| {
        let protocol = text(port, "/protocol");
        let protocol = if protocol.is_empty() { "TCP" } else { protocol };
        let number = match port.get("targetPort") {
            Some(Value::String(name)) => container_port(pod, name, protocol)?,
            Some(Value::Number(number)) if number.as_i64() != Some(0) => number.as_i64()?,
            _ => int(port, "/port"),
        };
        let mut fields = Map::new();
        fields.insert("name".to_owned(), text(port, "/name").into());
        fields.insert("port".to_owned(), number.into());
        fields.insert("protocol".to_owned(), protocol.into());
        if let Some(app) = port.get("appProtocol") {
            fields.insert("appProtocol".to_owned(), app.clone());
        }
        Some(Value::Object(fields))
    };
    items(service, "/spec/ports").iter().filter_map(port).collect()
}

fn container_port(pod: &Value, name: &str, protocol: &str) -> Option<i64> {
    let ports = items(pod, "/spec/containers").iter().flat_map(|container| items(container, "/ports"));
    let mut named = ports.filter(|port| {
        let own = text(port, "/protocol");
        text(port, "/name") == name && (own == protocol || own.is_empty() && protocol == "TCP")
    });
    named.next().map(|port| int(port, "/containerPort"))
}

fn wanted_slices(cluster: &Cluster, service: &Value, selector: &LabelSelector, now: Timestamp) -> Vec<Value> {
    let mut by_ports: BTreeMap<String, (Vec<Value>, Vec<Value>)> = BTreeMap::new();
    for pod in pods_of(cluster, service, selector) {
        let ports = ports_of(service, pod.json());
        let (_, endpoints) = by_ports.entry(json!(ports).to_string()).or_insert_with(|| (ports, Vec::new()));
        endpoints.push(endpoint(service, pod.json()));
    }
    let mut slices = Vec::new();
    for (ports, endpoints) in by_ports.into_values() {
        for part in endpoints.chunks(ENDPOINTS_MAX) {
            slices.push(slice(service, json!(ports), json!(part), now));
        }
    }
    if slices.is_empty() {
        slices.push(slice(service, Value::Null, Value::Null, now));
    }
    slices
}

fn endpoint(service: &Value, pod: &Value) -> Value {
    let is_terminating = is_deleting(pod);
    let is_serving = is_ready(pod);
    let is_sent_to = flag(service, "/spec/publishNotReadyAddresses") || is_serving && !is_terminating;
    json!({
        "addresses": [text(pod, "/status/podIP")],
        "conditions": {"ready": is_sent_to, "serving": is_serving, "terminating": is_terminating},
        "nodeName": text(pod, "/spec/nodeName"),
        "targetRef": {
            "kind": "Pod",
            "name": text(pod, "/metadata/name"),
            "namespace": text(pod, "/metadata/namespace"),
            "uid": text(pod, "/metadata/uid"),
        },
    })
}

fn slice(service: &Value, ports: Value, endpoints: Value, now: Timestamp) -> Value {
    let mut own: Map<String, Value> =
        labels(service).into_iter().map(|(key, value)| (key.to_owned(), value.into())).collect();
    own.insert("kubernetes.io/service-name".to_owned(), text(service, "/metadata/name").into());
    own.insert("endpointslice.kubernetes.io/managed-by".to_owned(), MANAGED_BY.into());
    if text(service, "/spec/clusterIP") == "None" {
        own.insert("service.kubernetes.io/headless".to_owned(), "".into());
    }
    json!({
        "metadata": {
            "generateName": format!("{}-", text(service, "/metadata/name")),
            "namespace": text(service, "/metadata/namespace"),
            "labels": own,
            "annotations": {TRIGGER_TIME: at(now)},
            "ownerReferences": [owner_reference(service)],
        },
        "addressType": "IPv4",
        "ports": ports,
        "endpoints": endpoints,
    })
}

fn is_ours(slice: &Value, service: &Value) -> bool {
    let labels = labels(slice);
    labels.get("endpointslice.kubernetes.io/managed-by") == Some(&MANAGED_BY)
        && labels.get("kubernetes.io/service-name") == Some(&text(service, "/metadata/name"))
        && controller_uid(slice) == text(service, "/metadata/uid")
}

fn update(cluster: &mut Cluster, known: &Stored, wanted: &Value) -> Result<(), ApiError> {
    let same =
        |pointer: &str| known.at(pointer).unwrap_or(&Value::Null) == wanted.pointer(pointer).unwrap_or(&Value::Null);
    let same_list = |pointer: &str| items(known.json(), pointer) == items(wanted, pointer);
    if same("/metadata/labels") && same_list("/ports") && same_list("/endpoints") {
        return Ok(());
    }
    let mut body = known.json().clone();
    if let Some(fields) = body.as_object_mut() {
        for key in ["ports", "endpoints"] {
            fields.insert(key.to_owned(), wanted.get(key).cloned().unwrap_or(Value::Null));
        }
        if let Some(metadata) = fields.get_mut("metadata").and_then(Value::as_object_mut) {
            let labels = wanted.pointer("/metadata/labels").cloned().unwrap_or_else(|| json!({}));
            metadata.insert("labels".to_owned(), labels);
            let annotations = metadata.entry("annotations").or_insert_with(|| json!({}));
            if let (Some(own), Some(Value::Object(fresh))) =
                (annotations.as_object_mut(), wanted.pointer("/metadata/annotations").cloned())
            {
                own.extend(fresh);
            }
        }
        unpin(fields);
    }
    cluster.acting_as_controller(NAME).update(SLICES, known.namespace(), body).map(|_| ())
}
