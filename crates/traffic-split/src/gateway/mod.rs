//! Gateway API: backends in the rules of HTTP, gRPC, TCP and TLS routes; header and mirror routes as rules before them.

mod rules;

use object_model::{LabelSelector, Object, ObjectId};
use serde_json::Value;

use crate::backends::{Pair, Shape};
use crate::change::escaped;
use crate::section::{field, list, optional_text, text};
use crate::target::{Live, Observed, SplitPlan};
use crate::{Change, Claim, Split, SplitError};

/// The API group of routes.
pub(crate) const GROUP: &str = "gateway.networking.k8s.io";
/// Where a rule of a route names a backend; an absent weight means 1.
const SHAPE: Shape = Shape { name: "/name", absent_weight: 1 };
/// Names of the backends that the split has put into a route, so that they can be told from the user's own.
const ADDED_ANNOTATION: &str = "sluice.dev/added-backends";
const LABEL_KEY_DEFAULT: &str = "rollouts.argoproj.io/gatewayapi-canary";
const LABEL_VALUE_DEFAULT: &str = "in-progress";

/// The kinds of routes whose rules have weighted backends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RouteKind {
    /// HTTPRoute.
    Http,
    /// GRPCRoute.
    Grpc,
    /// TCPRoute.
    Tcp,
    /// TLSRoute.
    Tls,
}

impl RouteKind {
    const ALL: [Self; 4] = [Self::Http, Self::Grpc, Self::Tcp, Self::Tls];

    /// The kind as objects name it.
    pub fn kind(self) -> &'static str {
        match self {
            Self::Http => "HTTPRoute",
            Self::Grpc => "GRPCRoute",
            Self::Tcp => "TCPRoute",
            Self::Tls => "TLSRoute",
        }
    }

    fn key(self) -> &'static str {
        match self {
            Self::Http => "httpRoute",
            Self::Grpc => "grpcRoute",
            Self::Tcp => "tcpRoute",
            Self::Tls => "tlsRoute",
        }
    }

    /// Whether its rules can match headers.
    fn has_headers(self) -> bool {
        matches!(self, Self::Http | Self::Grpc)
    }
}

/// One route by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteRef {
    /// Its kind.
    pub kind: RouteKind,
    /// Its name.
    pub name: String,
    /// Whether header and mirror routes are put into it.
    pub takes_header_routes: bool,
}

/// The section under the key of Argo's Gateway API plugin.
#[derive(Debug, Clone, PartialEq)]
pub struct GatewayTarget {
    /// Namespace of the routes.
    pub namespace: String,
    /// The routes by name.
    pub routes: Vec<RouteRef>,
    /// The routes by label; they take no header routes.
    pub selectors: Vec<(RouteKind, LabelSelector)>,
    /// The label that a route carries while the canary has weight.
    pub in_progress: Option<(String, String)>,
}

impl GatewayTarget {
    /// Reads the section.
    ///
    /// # Errors
    /// When it names no route, or a name or selector is malformed.
    pub fn parse(json: &Value, namespace: &str) -> Result<Self, SplitError> {
        let path = "trafficRouting.plugins[argoproj-labs/gatewayAPI]";
        let mut routes = Vec::new();
        let mut selectors = Vec::new();
        for kind in RouteKind::ALL {
            let key = kind.key();
            if let Some(name) = optional_text(json, key) {
                routes.push(RouteRef { kind, name, takes_header_routes: kind.has_headers() });
            }
            for (index, item) in list(json, path, &format!("{key}s"))?.iter().enumerate() {
                let name = text(item, &format!("{path}.{key}s[{index}]"), "name")?;
                let asked = item.get("useHeaderRoutes").and_then(Value::as_bool).unwrap_or(false);
                routes.push(RouteRef { kind, name, takes_header_routes: asked && kind.has_headers() });
            }
            if let Some(selector) = json.get(format!("{key}Selector")).filter(|value| !value.is_null()) {
                let at = format!("{path}.{key}Selector");
                let selector = LabelSelector::parse(selector).map_err(|error| field(&at, &error.to_string()))?;
                selectors.push((kind, selector));
            }
        }
        if routes.is_empty() && selectors.is_empty() {
            return Err(field(path, "must name a route or select some"));
        }
        let is_labelled = json.get("disableInProgressLabel").and_then(Value::as_bool) != Some(true);
        let or = |key: &str, otherwise: &str| optional_text(json, key).unwrap_or_else(|| otherwise.to_owned());
        let label = (or("inProgressLabelKey", LABEL_KEY_DEFAULT), or("inProgressLabelValue", LABEL_VALUE_DEFAULT));
        Ok(Self {
            namespace: optional_text(json, "namespace").unwrap_or_else(|| namespace.to_owned()),
            routes,
            selectors,
            in_progress: is_labelled.then_some(label),
        })
    }

    pub(crate) fn objects(&self) -> Vec<ObjectId> {
        self.routes.iter().map(|route| self.id(route)).collect()
    }

    fn id(&self, route: &RouteRef) -> ObjectId {
        ObjectId::new(GROUP, route.kind.kind(), Some(&self.namespace), &route.name)
    }

    /// The kinds of which all objects of the namespace must be read, because some are selected by label.
    pub(crate) fn lists(&self) -> Vec<(String, String, String)> {
        let one = |(kind, _): &(RouteKind, _)| (GROUP.to_owned(), kind.kind().to_owned(), self.namespace.clone());
        self.selectors.iter().map(one).collect()
    }

    /// The routes by name, then those that are selected, in the order of their names.
    fn all(&self, live: &Live) -> Vec<RouteRef> {
        let mut found = self.routes.clone();
        for (kind, selector) in &self.selectors {
            for (id, object) in live {
                let is_candidate = id.group == GROUP
                    && id.kind == kind.kind()
                    && id.namespace.as_deref() == Some(&self.namespace)
                    && selector.matches_object(object);
                if is_candidate && !found.iter().any(|route| route.kind == *kind && route.name == id.name) {
                    found.push(RouteRef { kind: *kind, name: id.name.clone(), takes_header_routes: false });
                }
            }
        }
        found
    }
}

/// Plans every route of one target; one that can't be planned does not hold up the others.
pub(crate) fn plan(split: &Split, target: &GatewayTarget, live: &Live, planned: &mut SplitPlan) {
    let routes = target.all(live);
    if routes.is_empty() {
        planned.errors.push(field("trafficRouting.plugins[argoproj-labs/gatewayAPI]", "selects no route"));
    }
    let wants_routes = !split.header_routes.is_empty() || !split.mirror_routes.is_empty();
    if wants_routes && !routes.iter().any(|route| route.takes_header_routes) {
        let feature = "header and mirror routes without a route that takes them (useHeaderRoutes)";
        planned.errors.push(SplitError::Unsupported { provider: "Gateway API", feature });
    }
    for route in &routes {
        let id = target.id(route);
        let Some(object) = live.get(&id) else {
            planned.errors.push(SplitError::NotFound { object: id });
            continue;
        };
        match applied(split, target, route, object) {
            Ok((wanted, pointers)) => {
                planned.claims.extend(pointers.into_iter().map(|pointer| Claim { object: id.clone(), pointer }));
                let summary = format!("{} `{}` set to desiredWeight '{}'", route.kind.kind(), route.name, split.weight);
                planned.changes.extend(Change::update(object, wanted, summary));
            }
            Err(error) => planned.errors.push(error),
        }
    }
}

/// The route with the split in it, and the fields that the split owns.
fn applied(
    split: &Split,
    target: &GatewayTarget,
    route: &RouteRef,
    object: &Object,
) -> Result<(Object, Vec<String>), SplitError> {
    let shown = format!("{} `{}` spec.rules", route.kind.kind(), route.name);
    let added: Vec<&str> = object
        .annotation(ADDED_ANNOTATION)
        .into_iter()
        .flat_map(|text| text.split(','))
        .filter(|n| !n.is_empty())
        .collect();
    let rules = match object.pointer("/spec/rules") {
        Some(Value::Array(rules)) if rules.iter().all(Value::is_object) => rules,
        _ => return Err(field(&shown, "must be a list of mappings")),
    };
    let set = rules::apply(split, route, rules, &added, &shown)?;
    let mut wanted = object.clone();
    if set.rules != *rules {
        wanted.set_at(&["spec", "rules"], Value::Array(set.rules));
    }
    let mut pointers = set.pointers;
    let names: Vec<&str> = split.additional.iter().map(|(place, _)| place.service.as_str()).collect();
    if names.is_empty() {
        remove(&mut wanted, "annotations", ADDED_ANNOTATION);
    } else {
        wanted.set_annotation(ADDED_ANNOTATION, &names.join(","));
        pointers.push(format!("/metadata/annotations/{}", escaped(ADDED_ANNOTATION)));
    }
    if let Some((key, value)) = &target.in_progress {
        if split.weight.get() > 0 {
            wanted.set_label(key, value);
            pointers.push(format!("/metadata/labels/{}", escaped(key)));
        } else {
            remove(&mut wanted, "labels", key);
        }
    }
    Ok((wanted, pointers))
}

/// Removes a label or annotation, and the mapping with its last entry.
fn remove(object: &mut Object, field: &str, key: &str) {
    let Some(Value::Object(metadata)) = object.json_mut().get_mut("metadata") else { return };
    let Some(Value::Object(map)) = metadata.get_mut(field) else { return };
    if map.remove(key).is_some() && map.is_empty() {
        metadata.remove(field);
    }
}

/// Plans how one target is left behind: everything to stable, nothing of ours in the routes.
pub(crate) fn restore(split: &Split, target: &GatewayTarget, live: &Live, planned: &mut SplitPlan) {
    let mut back = split.all_stable();
    back.total = 100;
    plan(&back, target, live, planned);
}

/// Tells the weights of one target.
pub(crate) fn observe(split: &Split, target: &GatewayTarget, live: &Live) -> Vec<Observed> {
    let pair = Pair::services(split);
    let mut found = Vec::new();
    for route in target.all(live) {
        let id = target.id(&route);
        let Some(object) = live.get(&id) else { continue };
        for (index, rule) in object.list_at("/spec/rules").iter().enumerate() {
            if rules::is_managed(split, rule) {
                continue;
            }
            let backends = rules::backends(rule);
            if SHAPE.has(backends, pair.canary) && SHAPE.has(backends, pair.stable) {
                let pointer = format!("/spec/rules/{index}/backendRefs");
                found.push(Observed::new(id.clone(), &pointer, SHAPE.shares(pair, backends, split.total)));
            }
        }
    }
    found
}
