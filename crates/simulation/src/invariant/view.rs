//! Objects as the rules read them: by their fields, without the engine's own readers.

use std::sync::Arc;

use serde_json::Value;
use sim_cluster::{Change, Cluster, Stored};

const HASH: &str = "rollouts-pod-template-hash";

pub(crate) fn int(object: &Stored, pointer: &str) -> i64 {
    object.at(pointer).and_then(Value::as_i64).unwrap_or(0)
}

pub(crate) fn flag(object: &Stored, pointer: &str) -> bool {
    object.at(pointer).and_then(Value::as_bool).unwrap_or(false)
}

pub(crate) fn items<'a>(object: &'a Stored, pointer: &str) -> &'a [Value] {
    object.at(pointer).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// The pod-template hash of a ReplicaSet.
pub(crate) fn hash_of(set: &Stored) -> &str {
    set.text("/metadata/labels/rollouts-pod-template-hash")
}

/// The version that a Service selects.
pub(crate) fn selected(service: &Stored) -> &str {
    service.at("/spec/selector").and_then(|selector| selector.get(HASH)?.as_str()).unwrap_or_default()
}

/// A Rollout with what belongs to it.
pub(crate) struct Rollout<'a> {
    pub(crate) cluster: &'a Cluster,
    pub(crate) object: Arc<Stored>,
    pub(crate) namespace: String,
}

impl<'a> Rollout<'a> {
    pub(crate) fn get(cluster: &'a Cluster, namespace: &str, name: &str) -> Option<Self> {
        let object = cluster.get("rollouts.argoproj.io", namespace, name)?.clone();
        Some(Self { cluster, object, namespace: namespace.to_owned() })
    }

    /// The Rollout that owns an object.
    pub(crate) fn of(cluster: &'a Cluster, owned: &Stored) -> Option<Self> {
        let owner = items(owned, "/metadata/ownerReferences")
            .iter()
            .find(|owner| owner.get("kind") == Some(&"Rollout".into()))?;
        Self::get(cluster, owned.namespace(), owner.get("name")?.as_str()?)
    }

    /// The Rollouts that name a Service, in its namespace.
    pub(crate) fn all(cluster: &'a Cluster, namespace: &str) -> Vec<Self> {
        let all = cluster.list("rollouts.argoproj.io", Some(namespace));
        all.map(|object| Self { cluster, object: object.clone(), namespace: namespace.to_owned() }).collect()
    }

    pub(crate) fn replicas(&self) -> i64 {
        self.object.at("/spec/replicas").and_then(Value::as_i64).unwrap_or(1)
    }

    pub(crate) fn text(&self, pointer: &str) -> &str {
        self.object.text(pointer)
    }

    pub(crate) fn is_blue_green(&self) -> bool {
        self.object.at("/spec/strategy/blueGreen").is_some()
    }

    pub(crate) fn is_routed(&self) -> bool {
        self.object.at("/spec/strategy/canary/trafficRouting").is_some()
    }

    fn service(&self, pointer: &str) -> Option<&Arc<Stored>> {
        let name = self.text(pointer);
        self.cluster.get("services", &self.namespace, name).filter(|_| !name.is_empty())
    }

    /// The version that serves: stable's, or the active one's.
    pub(crate) fn serving(&self) -> &str {
        let pointer = match self.is_blue_green() {
            true => "/spec/strategy/blueGreen/activeService",
            false => "/spec/strategy/canary/stableService",
        };
        self.service(pointer).map(|service| selected(service)).unwrap_or_default()
    }

    /// The version that the canary Service selects.
    pub(crate) fn trying(&self) -> &str {
        self.service("/spec/strategy/canary/canaryService").map(|service| selected(service)).unwrap_or_default()
    }

    /// Its ReplicaSets.
    pub(crate) fn sets(&self) -> Vec<Arc<Stored>> {
        let uid = self.object.uid();
        let owns = |set: &&Arc<Stored>| {
            items(set, "/metadata/ownerReferences").iter().any(|owner| owner.get("uid") == Some(&uid.into()))
        };
        self.cluster.list("replicasets.apps", Some(&self.namespace)).filter(owns).cloned().collect()
    }

    /// Available pods of a version.
    pub(crate) fn available(&self, hash: &str) -> i64 {
        self.sets().iter().find(|set| hash_of(set) == hash).map_or(0, |set| int(set, "/status/availableReplicas"))
    }

    /// The canary's share by the objects that carry it.
    pub(crate) fn weight(&self) -> i64 {
        let routing = "/spec/strategy/canary/trafficRouting";
        let service = self.text(&format!("{routing}/istio/virtualService/name"));
        if !service.is_empty() {
            let canary = self.text("/spec/strategy/canary/canaryService");
            let found = self.cluster.get("virtualservices.networking.istio.io", &self.namespace, service);
            return found.map_or(0, |service| istio_weight(service, canary));
        }
        let ingress = self.text(&format!("{routing}/nginx/stableIngress"));
        if ingress.is_empty() {
            return 0;
        }
        let name = format!("{}-{ingress}-canary", self.object.name());
        self.cluster
            .get("ingresses.networking.k8s.io", &self.namespace, &name)
            .map_or(0, |ingress| nginx_weight(ingress))
    }
}

/// What a VirtualService gives a host.
pub(crate) fn istio_weight(service: &Stored, host: &str) -> i64 {
    let routes = items(service, "/spec/http").iter().flat_map(routes);
    let of_host = routes.filter(|route| route.pointer("/destination/host").and_then(Value::as_str) == Some(host));
    of_host.filter_map(|route| route.get("weight")?.as_i64()).max().unwrap_or(0)
}

pub(crate) fn routes(http: &Value) -> &[Value] {
    http.get("route").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// What a canary Ingress gives its Service.
pub(crate) fn nginx_weight(ingress: &Stored) -> i64 {
    let notes = ingress.at("/metadata/annotations");
    let note = |key: &str| notes.and_then(|notes| notes.get(format!("nginx.ingress.kubernetes.io/{key}"))?.as_str());
    match note("canary") {
        Some("true") => {
            let number = |key: &str| note(key).and_then(|weight| weight.parse::<i64>().ok());
            let total = number("canary-weight-total").unwrap_or(100).max(1);
            number("canary-weight").unwrap_or(0) * 100 / total
        }
        _ => 0,
    }
}

/// The fields of a change that tell a reader of the trace what it did.
pub(crate) fn summary(change: &Change) -> String {
    let Some(after) = &change.after else { return "gone".to_owned() };
    let resource = &*change.resource;
    let parts: Vec<String> = match resource {
        "replicasets.apps" => ["/spec/replicas", "/status/availableReplicas"]
            .iter()
            .zip(["wants", "available"])
            .filter_map(|(pointer, word)| Some(format!("{word} {}", after.at(pointer)?)))
            .collect(),
        "rollouts.argoproj.io" => ["/status/phase", "/status/message", "/status/currentStepIndex", "/status/stableRS"]
            .iter()
            .filter_map(|pointer| Some(after.at(pointer)?.to_string()))
            .collect(),
        "services" => vec![selected(after).to_owned()],
        "virtualservices.networking.istio.io" => {
            let all = items(after, "/spec/http").iter().flat_map(routes);
            vec![all.filter_map(|route| Some(route.get("weight")?.to_string())).collect::<Vec<_>>().join("/")]
        }
        "gitopsconfigs.sluice.dev" => {
            let conditions = items(after, "/status/conditions").iter();
            let ready = conditions.filter(|item| item.get("type") == Some(&"Ready".into()));
            ready.filter_map(|item| Some(format!("Ready {} {}", item.get("status")?, item.get("reason")?))).collect()
        }
        "analysisruns.argoproj.io" | "promotions.sluice.dev" => vec![after.text("/status/phase").to_owned()],
        "leases.coordination.k8s.io" => vec![after.text("/spec/holderIdentity").to_owned()],
        _ => Vec::new(),
    };
    parts.join(" ")
}
