//! Istio: weights, header and mirror routes in VirtualServices, pods in the subsets of a DestinationRule.

pub(crate) mod destination_rule;
mod routes;
mod virtual_service;

use object_model::{ObjectId, PodHash};
use serde_json::Value;

use crate::section::{field, list, text, texts};
use crate::target::{Live, Observed, SplitPlan};
use crate::{Split, SplitError};

/// The API group of Istio's networking objects.
const GROUP: &str = "networking.istio.io";

/// The `istio` section of a Rollout's traffic routing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IstioTarget {
    /// The VirtualServices to set.
    pub virtual_services: Vec<VirtualServiceRef>,
    /// The DestinationRule whose subsets select the pods, if there is one.
    pub destination_rule: Option<DestinationRuleRef>,
    /// Name of the Rollout, which the DestinationRule is marked with.
    pub owner: String,
}

/// One VirtualService and the routes in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VirtualServiceRef {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Names of the HTTP routes to set; none means the only one.
    pub routes: Vec<String>,
    /// The TLS routes to set; none means the only one.
    pub tls_routes: Vec<TlsRoute>,
    /// The TCP routes to set; none means the only one.
    pub tcp_routes: Vec<TcpRoute>,
}

/// Tells a TLS route by what it matches.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsRoute {
    /// Its only port; 0 for none.
    pub port: i64,
    /// All its server names.
    pub sni_hosts: Vec<String>,
}

/// Tells a TCP route by what it matches.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TcpRoute {
    /// Its only port; 0 for none.
    pub port: i64,
}

/// A DestinationRule and the names of its subsets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DestinationRuleRef {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The subset of the canary's pods.
    pub canary_subset: String,
    /// The subset of the stable pods.
    pub stable_subset: String,
    /// Subsets of others, whose weights are left as they are.
    pub additional_subsets: Vec<String>,
}

impl IstioTarget {
    /// Reads the `istio` section of a Rollout named `owner` in `namespace`.
    ///
    /// # Errors
    /// When it names no VirtualService, or one and several, or a name is missing.
    pub fn parse(json: &Value, namespace: &str, owner: &str) -> Result<Self, SplitError> {
        let one = json.get("virtualService").filter(|value| !value.is_null());
        let many = json.get("virtualServices").filter(|value| !value.is_null());
        let virtual_services = match (one, many) {
            (Some(_), Some(_)) => {
                return Err(field("trafficRouting.istio", "must have one of virtualService and virtualServices"));
            }
            (None, None) => return Err(field("trafficRouting.istio", "must have a virtualService")),
            (Some(one), None) => vec![virtual_service(one, namespace, "trafficRouting.istio.virtualService")?],
            (None, Some(many)) => {
                let path = "trafficRouting.istio.virtualServices";
                let items = many.as_array().filter(|items| !items.is_empty());
                let items = items.ok_or_else(|| field(path, "must be a list with at least one entry"))?;
                let read = |(index, item)| virtual_service(item, namespace, &format!("{path}[{index}]"));
                items.iter().enumerate().map(read).collect::<Result<_, _>>()?
            }
        };
        let rule = json.get("destinationRule").filter(|value| !value.is_null());
        let destination_rule = rule.map(|rule| destination_rule_ref(rule, namespace)).transpose()?;
        Ok(Self { virtual_services, destination_rule, owner: owner.to_owned() })
    }

    pub(crate) fn objects(&self) -> Vec<ObjectId> {
        let rule = self.destination_rule.iter().map(DestinationRuleRef::id);
        rule.chain(self.virtual_services.iter().map(VirtualServiceRef::id)).collect()
    }
}

impl VirtualServiceRef {
    pub(crate) fn id(&self) -> ObjectId {
        ObjectId::new(GROUP, "VirtualService", Some(&self.namespace), &self.name)
    }
}

impl DestinationRuleRef {
    pub(crate) fn id(&self) -> ObjectId {
        ObjectId::new(GROUP, "DestinationRule", Some(&self.namespace), &self.name)
    }
}

fn port(json: &Value, path: &str) -> Result<i64, SplitError> {
    match json.get("port") {
        None | Some(Value::Null) => Ok(0),
        Some(value) => value.as_i64().ok_or_else(|| field(&format!("{path}.port"), "must be a number")),
    }
}

fn virtual_service(json: &Value, namespace: &str, path: &str) -> Result<VirtualServiceRef, SplitError> {
    let (name, namespace) = split_name(&text(json, path, "name")?, namespace);
    let tls_routes = list(json, path, "tlsRoutes")?
        .iter()
        .map(|route| Ok(TlsRoute { port: port(route, path)?, sni_hosts: texts(route, path, "sniHosts")? }))
        .collect::<Result<_, SplitError>>()?;
    let tcp_routes = list(json, path, "tcpRoutes")?
        .iter()
        .map(|route| Ok(TcpRoute { port: port(route, path)? }))
        .collect::<Result<_, SplitError>>()?;
    Ok(VirtualServiceRef { namespace, name, routes: texts(json, path, "routes")?, tls_routes, tcp_routes })
}

/// Splits `name.namespace`; a namespace holds no dot, so the last part is it.
fn split_name(reference: &str, namespace: &str) -> (String, String) {
    let reference = reference.strip_suffix(".cluster.local").unwrap_or(reference);
    let (name, namespace) = reference.rsplit_once('.').unwrap_or((reference, namespace));
    (name.to_owned(), namespace.to_owned())
}

fn destination_rule_ref(json: &Value, namespace: &str) -> Result<DestinationRuleRef, SplitError> {
    let path = "trafficRouting.istio.destinationRule";
    Ok(DestinationRuleRef {
        namespace: namespace.to_owned(),
        name: text(json, path, "name")?,
        canary_subset: text(json, path, "canarySubsetName")?,
        stable_subset: text(json, path, "stableSubsetName")?,
        additional_subsets: texts(json, path, "additionalSubsetNames")?,
    })
}

/// Plans one target.
pub(crate) fn plan(split: &Split, target: &IstioTarget, live: &Live, planned: &mut SplitPlan) {
    if split.total != 100 {
        planned.errors.push(SplitError::Total { provider: "Istio", total: split.total });
        return;
    }
    if let Some(rule) = &target.destination_rule {
        destination_rule::plan(split, rule, &target.owner, live, planned);
    }
    for service in &target.virtual_services {
        virtual_service::plan(split, target, service, live, planned);
    }
}

/// Plans how one target is left behind.
pub(crate) fn restore(split: &Split, target: &IstioTarget, live: &Live, planned: &mut SplitPlan) {
    let mut back = split.all_stable();
    back.total = 100;
    for service in &target.virtual_services {
        virtual_service::plan(&back, target, service, live, planned);
    }
    if let Some(rule) = &target.destination_rule {
        destination_rule::release(rule, &target.owner, live, planned);
    }
}

/// The versions that the subsets of one target select.
pub(crate) fn selected(target: &IstioTarget, live: &Live) -> Option<(Option<PodHash>, Option<PodHash>)> {
    target.destination_rule.as_ref().map(|rule| destination_rule::selected(rule, live))
}

/// Tells the weights of one target.
pub(crate) fn observe(split: &Split, target: &IstioTarget, live: &Live) -> Vec<Observed> {
    target.virtual_services.iter().flat_map(|service| virtual_service::observe(split, target, service, live)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_name_may_carry_its_namespace() {
        for (reference, name, namespace) in [
            ("web", "web", "qa"),
            ("web.prod", "web", "prod"),
            ("web.v1.prod", "web.v1", "prod"),
            ("web.prod.cluster.local", "web", "prod"),
        ] {
            assert_eq!(split_name(reference, "qa"), (name.to_owned(), namespace.to_owned()), "{reference}");
        }
    }

    #[test]
    fn a_wrong_section_is_told_with_its_path() {
        for (section, message) in [
            (json!({}), "trafficRouting.istio must have a virtualService"),
            (
                json!({"virtualService": {}, "virtualServices": []}),
                "trafficRouting.istio must have one of virtualService and virtualServices",
            ),
            (json!({"virtualService": {}}), "trafficRouting.istio.virtualService.name is missing"),
            (
                json!({"virtualServices": []}),
                "trafficRouting.istio.virtualServices must be a list with at least one entry",
            ),
            (
                json!({"virtualServices": [{"name": "a", "routes": [1]}]}),
                "trafficRouting.istio.virtualServices[0].routes must be a list of strings",
            ),
            (
                json!({"virtualService": {"name": "a"}, "destinationRule": {"name": "b"}}),
                "trafficRouting.istio.destinationRule.canarySubsetName is missing",
            ),
        ] {
            assert_eq!(IstioTarget::parse(&section, "qa", "web").unwrap_err().to_string(), message);
        }
    }
}
