//! From a client's host to the pods that may answer it.

use std::collections::BTreeMap;

use crate::istio::{Destination, HttpRoute, Mirror, RouteAction, full_host, host_fit};
use crate::load::{Behaviour, Load, of_images};
use crate::mesh::{Endpoint, Mesh};
use crate::store::{Store, StreamKey};

/// Where the requests of one client go while no object changes.
#[derive(Debug)]
pub(crate) enum Route {
    /// To these destinations by weight, with copies to the mirrors.
    Split { targets: Vec<Target>, mirrors: Vec<(Target, f64)> },
    /// Answered by the proxy itself.
    Answer { host: String, status: u16 },
    /// A VirtualService owns the host, but none of its routes takes the request.
    Unmatched { host: String },
}

/// One destination with its pods.
#[derive(Debug)]
pub(crate) struct Target {
    /// Host and subset, the name under which its share is kept.
    pub(crate) key: String,
    pub(crate) weight: u64,
    pub(crate) service: ServiceName,
    /// The Service and, if one is named, the subset exist.
    pub(crate) is_known: bool,
    pub(crate) backends: Vec<Backend>,
}

/// A destination's Service as Istio's metrics name it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ServiceName {
    pub(crate) host: String,
    pub(crate) name: String,
    pub(crate) namespace: String,
}

/// One pod as it answers.
#[derive(Debug)]
pub(crate) struct Backend {
    pub(crate) behaviour: Behaviour,
    /// The version at this Service: errors are spread evenly over all its pods.
    pub(crate) group: String,
    /// The endpoint still names the pod, but the pod is gone or has stopped.
    pub(crate) is_gone: bool,
    /// Where its answers are counted.
    pub(crate) succeeded: Places,
    /// Where its errors are counted.
    pub(crate) failed: Places,
}

/// The two counters of one answer, as each end of the connection reports it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Places {
    pub(crate) source: usize,
    pub(crate) destination: usize,
}

impl ServiceName {
    /// A host that is no Service.
    pub(crate) fn outside(host: &str) -> Self {
        Self { host: host.to_owned(), name: host.to_owned(), namespace: "unknown".to_owned() }
    }

    /// The key of a request counter as the sending side reports it.
    pub(crate) fn stream(&self, load: &Load, pod: (&str, &str), code: u16, flags: &'static str) -> StreamKey {
        StreamKey {
            reporter: "source",
            source_namespace: load.namespace.clone(),
            service_host: self.host.clone(),
            service_name: self.name.clone(),
            service_namespace: self.namespace.clone(),
            workload: pod.0.to_owned(),
            version: pod.1.to_owned(),
            code,
            flags,
        }
    }
}

/// Resolves a client's requests against the objects, and makes room for the counters of those who may answer.
pub(crate) fn resolve(mesh: &Mesh, behaviours: &BTreeMap<String, Behaviour>, store: &mut Store, load: &Load) -> Route {
    let mut resolver = Resolver { mesh, behaviours, store, load };
    let host = full_host(&load.host, &load.namespace, |name| mesh.has_namespace(name));
    let Some((namespace, routes)) = virtual_service(mesh, load, &host) else {
        let direct = Destination { host, subset: None };
        return Route::Split { targets: vec![resolver.target(&load.namespace, &direct, 100)], mirrors: vec![] };
    };
    let Some(route) = routes.iter().find(|route| route.takes(load)) else { return Route::Unmatched { host } };
    match &route.action {
        RouteAction::Answer(status) => Route::Answer { host, status: *status },
        RouteAction::Split(split) if split.is_empty() => Route::Unmatched { host },
        RouteAction::Split(split) => {
            let mut targets = Vec::new();
            for (destination, weight) in split {
                targets.push(resolver.target(namespace, destination, *weight));
            }
            let mut mirrors = Vec::new();
            for Mirror { destination, share } in &route.mirrors {
                mirrors.push((resolver.target(namespace, destination, 100), *share));
            }
            Route::Split { targets, mirrors }
        }
    }
}

/// The VirtualService whose host fits best; between equals the client's own namespace, then the first by name.
fn virtual_service<'a>(mesh: &'a Mesh, load: &Load, host: &str) -> Option<(&'a str, &'a [HttpRoute])> {
    let mut best: Option<((usize, bool), &str, &[HttpRoute])> = None;
    for ((namespace, _), service) in &mesh.virtual_services {
        let fits = service.hosts.iter().filter_map(|pattern| {
            let full = full_host(pattern, namespace, |name| mesh.has_namespace(name));
            host_fit(&full, host).or_else(|| host_fit(pattern, &load.host))
        });
        let Some(fit) = fits.max() else { continue };
        let rank = (fit, *namespace == load.namespace);
        if best.is_none_or(|(most, _, _)| rank > most) {
            best = Some((rank, namespace, &service.routes));
        }
    }
    best.map(|(_, namespace, routes)| (namespace, routes))
}

struct Resolver<'a> {
    mesh: &'a Mesh,
    behaviours: &'a BTreeMap<String, Behaviour>,
    store: &'a mut Store,
    load: &'a Load,
}

impl Resolver<'_> {
    fn target(&mut self, from_namespace: &str, destination: &Destination, weight: u64) -> Target {
        let mesh = self.mesh;
        let host = full_host(&destination.host, from_namespace, |name| mesh.has_namespace(name));
        let service = service_name(&host, from_namespace);
        let key = match &destination.subset {
            Some(subset) => format!("{host}|{subset}"),
            None => host.clone(),
        };
        let exists = mesh.services.contains_key(&(service.namespace.clone(), service.name.clone()));
        let subset = destination.subset.as_ref().map(|subset| subset_labels(mesh, &host, subset));
        let is_known = exists && subset != Some(None);
        let wanted = subset.flatten();
        let endpoints = if is_known { mesh.endpoints(&service.namespace, &service.name) } else { Vec::new() };
        let pods_are_known = mesh.pods.keys().any(|(namespace, _)| *namespace == service.namespace);
        let mut backends = Vec::new();
        for endpoint in endpoints.iter().filter(|endpoint| wanted.is_none_or(|labels| has_labels(endpoint, labels))) {
            backends.push(self.backend(endpoint, &service, &key, pods_are_known));
        }
        Target { key, weight, service, is_known, backends }
    }

    fn backend(&mut self, endpoint: &Endpoint, service: &ServiceName, key: &str, pods_are_known: bool) -> Backend {
        let (workload, version, behaviour, group, is_gone) = match &endpoint.pod {
            None => (endpoint.name.as_str(), "unknown", Behaviour::default(), "unknown", pods_are_known),
            Some(pod) => {
                let of_image = of_images(self.behaviours, pod.images.iter().map(String::as_str));
                let group = pod.images.first().unwrap_or(&pod.version).as_str();
                (pod.workload.as_str(), pod.version.as_str(), pod.behaviour.over(of_image), group, !pod.is_running)
            }
        };
        let load = self.load;
        let mut places = |code| {
            let source = service.stream(load, (workload, version), code, "-");
            let destination = StreamKey { reporter: "destination", ..source.clone() };
            Places { source: self.store.stream(source), destination: self.store.stream(destination) }
        };
        let (succeeded, failed) = (places(200), places(500));
        Backend { behaviour, group: format!("{key}|{group}"), is_gone, succeeded, failed }
    }
}

fn service_name(host: &str, from_namespace: &str) -> ServiceName {
    let mut parts = host.trim_end_matches(".svc.cluster.local").split('.');
    let name = parts.next().unwrap_or(host).to_owned();
    let namespace = if host.ends_with(".svc.cluster.local") { parts.next() } else { None };
    ServiceName { host: host.to_owned(), name, namespace: namespace.unwrap_or(from_namespace).to_owned() }
}

fn subset_labels<'a>(mesh: &'a Mesh, host: &str, subset: &str) -> Option<&'a BTreeMap<String, String>> {
    mesh.destination_rules.iter().find_map(|((namespace, _), rule)| {
        let full = full_host(&rule.host, namespace, |name| mesh.has_namespace(name));
        if host_fit(&full, host).is_some() { rule.subsets.get(subset) } else { None }
    })
}

fn has_labels(endpoint: &Endpoint, labels: &BTreeMap<String, String>) -> bool {
    let Some(pod) = &endpoint.pod else { return false };
    labels.iter().all(|(key, value)| pod.labels.get(key) == Some(value))
}
