//! What the traffic needs to know of the cluster: small views of Services, endpoints, pods and Istio routes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use object_model::{LabelSelector, Object, ObjectId};
use serde_json::Value;

use crate::istio::{DestinationRule, VirtualService};
use crate::load::{ERROR_RATE_ANNOTATION, LATENCY_ANNOTATION, Override, image_version};

/// Namespace and name.
pub(crate) type Key = (String, String);

#[derive(Debug, Clone, Default)]
pub(crate) struct Mesh {
    pub(crate) services: BTreeMap<Key, Arc<Service>>,
    pub(crate) pods: BTreeMap<Key, Arc<Pod>>,
    pub(crate) slices: BTreeMap<Key, Arc<Slice>>,
    pub(crate) virtual_services: BTreeMap<Key, Arc<VirtualService>>,
    pub(crate) destination_rules: BTreeMap<Key, Arc<DestinationRule>>,
}

#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) selector: Option<LabelSelector>,
}

#[derive(Debug)]
pub(crate) struct Pod {
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) images: Vec<String>,
    pub(crate) behaviour: Override,
    pub(crate) workload: String,
    pub(crate) version: String,
    /// Ready and not being deleted: what a Service without endpoint slices would send to.
    pub(crate) is_ready: bool,
    /// Its containers run: a request that still reaches it is answered.
    pub(crate) is_running: bool,
}

#[derive(Debug)]
pub(crate) struct Slice {
    pub(crate) service: String,
    /// Names of the pods that are ready to be sent to.
    pub(crate) ready: Vec<String>,
}

impl Mesh {
    /// Takes an object in its new state; kinds without a part in traffic are ignored.
    pub(crate) fn observe(&mut self, object: &Object) {
        let key = (object.namespace().unwrap_or_default().to_owned(), object.name().to_owned());
        match (object.group(), object.kind()) {
            ("", "Service") => drop(self.services.insert(key, Arc::new(service(object)))),
            ("", "Pod") => drop(self.pods.insert(key, Arc::new(pod(object)))),
            ("discovery.k8s.io", "EndpointSlice") => match slice(object) {
                Some(slice) => drop(self.slices.insert(key, Arc::new(slice))),
                None => drop(self.slices.remove(&key)),
            },
            ("networking.istio.io", "VirtualService") => {
                self.virtual_services.insert(key, Arc::new(VirtualService::parse(object)));
            }
            ("networking.istio.io", "DestinationRule") => match DestinationRule::parse(object) {
                Some(rule) => drop(self.destination_rules.insert(key, Arc::new(rule))),
                None => drop(self.destination_rules.remove(&key)),
            },
            _ => {}
        }
    }

    /// Forgets a deleted object.
    pub(crate) fn forget(&mut self, id: &ObjectId) {
        let key = (id.namespace.clone().unwrap_or_default(), id.name.clone());
        match (id.group.as_str(), id.kind.as_str()) {
            ("", "Service") => drop(self.services.remove(&key)),
            ("", "Pod") => drop(self.pods.remove(&key)),
            ("discovery.k8s.io", "EndpointSlice") => drop(self.slices.remove(&key)),
            ("networking.istio.io", "VirtualService") => drop(self.virtual_services.remove(&key)),
            ("networking.istio.io", "DestinationRule") => drop(self.destination_rules.remove(&key)),
            _ => {}
        }
    }

    /// The namespaces in which Services live.
    pub(crate) fn has_namespace(&self, namespace: &str) -> bool {
        self.services
            .range((namespace.to_owned(), String::new())..)
            .next()
            .is_some_and(|((have, _), _)| have == namespace)
    }

    /// The pods that a Service sends to, by name. Endpoint slices decide when the Service has any; otherwise its
    /// selector over ready pods does.
    pub(crate) fn endpoints(&self, namespace: &str, name: &str) -> Vec<Endpoint> {
        let Some(service) = self.services.get(&(namespace.to_owned(), name.to_owned())) else { return Vec::new() };
        let mut from_slices: Option<BTreeSet<&String>> = None;
        for ((_, _), slice) in self.in_namespace(&self.slices, namespace) {
            if slice.service == name {
                from_slices.get_or_insert_default().extend(&slice.ready);
            }
        }
        if let Some(names) = from_slices {
            let pod = |name: &String| self.pods.get(&(namespace.to_owned(), name.clone())).cloned();
            return names.into_iter().map(|name| Endpoint { name: name.clone(), pod: pod(name) }).collect();
        }
        let Some(selector) = &service.selector else { return Vec::new() };
        self.in_namespace(&self.pods, namespace)
            .filter(|(_, pod)| {
                let labels = pod.labels.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
                pod.is_ready && selector.matches(&labels)
            })
            .map(|((_, name), pod)| Endpoint { name: name.clone(), pod: Some(Arc::clone(pod)) })
            .collect()
    }

    fn in_namespace<'a, T>(
        &self,
        map: &'a BTreeMap<Key, T>,
        namespace: &str,
    ) -> impl Iterator<Item = (&'a Key, &'a T)> + use<'a, T> {
        let namespace = namespace.to_owned();
        let start = (namespace.clone(), String::new());
        map.range(start..).take_while(move |((have, _), _)| *have == namespace)
    }
}

/// A pod behind a Service; the pod itself is unknown when only its endpoint slice was seen.
#[derive(Debug, Clone)]
pub(crate) struct Endpoint {
    pub(crate) name: String,
    pub(crate) pod: Option<Arc<Pod>>,
}

fn service(object: &Object) -> Service {
    let labels = match object.pointer("/spec/selector") {
        Some(Value::Object(labels)) if !labels.is_empty() => labels,
        _ => return Service { selector: None },
    };
    let pairs = labels.iter().filter_map(|(key, value)| Some((key.as_str(), value.as_str()?)));
    Service { selector: Some(LabelSelector::from_labels(pairs)) }
}

fn pod(object: &Object) -> Pod {
    let images: Vec<String> = object
        .list_at("/spec/containers")
        .iter()
        .filter_map(|container| container.get("image").and_then(Value::as_str).map(str::to_owned))
        .collect();
    let is_true = |kind: &str| {
        object.list_at("/status/conditions").iter().any(|condition| {
            condition.get("type").and_then(Value::as_str) == Some(kind)
                && condition.get("status").and_then(Value::as_str) == Some("True")
        })
    };
    let label_version = object.label("version").or_else(|| object.label("app.kubernetes.io/version"));
    let image = images.first().map(String::as_str);
    Pod {
        labels: object.labels().into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect(),
        behaviour: Override::parse(object.annotation(ERROR_RATE_ANNOTATION), object.annotation(LATENCY_ANNOTATION)),
        workload: workload(object),
        version: label_version.or(image.map(image_version)).unwrap_or("unknown").to_owned(),
        is_ready: is_true("Ready") && !object.is_deleting(),
        is_running: object.str_at("/status/phase") == Some("Running"),
        images,
    }
}

/// The workload as Istio names it: the controller without the hash that a ReplicaSet adds.
fn workload(object: &Object) -> String {
    let Some(owner) = object.controller() else { return object.name().to_owned() };
    let hash = object.label("rollouts-pod-template-hash").or_else(|| object.label("pod-template-hash"));
    let stem = hash.and_then(|hash| owner.name.strip_suffix(hash)).and_then(|stem| stem.strip_suffix('-'));
    stem.unwrap_or(&owner.name).to_owned()
}

fn slice(object: &Object) -> Option<Slice> {
    let service = object.label("kubernetes.io/service-name")?.to_owned();
    let ready = object.list_at("/endpoints").iter().filter(|endpoint| {
        // An unset condition is to be taken as true.
        endpoint.pointer("/conditions/ready").and_then(Value::as_bool).unwrap_or(true)
    });
    let name = |endpoint: &Value| {
        let target = endpoint.pointer("/targetRef/name").or_else(|| endpoint.pointer("/addresses/0"));
        target.and_then(Value::as_str).map(str::to_owned)
    };
    Some(Slice { service, ready: ready.filter_map(name).collect() })
}
