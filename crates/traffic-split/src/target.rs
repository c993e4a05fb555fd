//! All targets of a split together.

use std::collections::BTreeMap;

use object_model::{Object, ObjectId, OwnerReference, PodHash};
use serde_json::Value;

use crate::alb::{self, AlbTarget};
use crate::ambassador::{self, AmbassadorTarget};
use crate::apisix::{self, ApisixTarget};
use crate::app_mesh::{self, AppMeshTarget};
use crate::backends::Shares;
use crate::gateway::{self, GatewayTarget};
use crate::istio::{self, IstioTarget};
use crate::nginx::{self, NginxTarget};
use crate::smi::{self, SmiTarget};
use crate::traefik::{self, TraefikTarget};
use crate::{Change, Claim, Split, SplitError};

/// The key under which Argo Rollouts' Gateway API plugin is configured.
const GATEWAY_PLUGIN: &str = "argoproj-labs/gatewayAPI";

/// The live objects of the targets, by identity.
pub type Live = BTreeMap<ObjectId, Object>;

/// Something that divides traffic.
#[derive(Debug, Clone, PartialEq)]
pub enum Target {
    /// Istio VirtualServices, with a DestinationRule or without.
    Istio(IstioTarget),
    /// Ingresses of the NGINX controller.
    Nginx(NginxTarget),
    /// Ingresses of the AWS load balancer controller.
    Alb(AlbTarget),
    /// An SMI TrafficSplit.
    Smi(SmiTarget),
    /// Ambassador Mappings.
    Ambassador(AmbassadorTarget),
    /// An App Mesh VirtualRouter with two VirtualNodes.
    AppMesh(AppMeshTarget),
    /// A weighted TraefikService.
    Traefik(TraefikTarget),
    /// An ApisixRoute.
    Apisix(ApisixTarget),
    /// Routes of the Gateway API.
    Gateway(GatewayTarget),
}

impl Target {
    /// Reads the `trafficRouting` section of the Rollout `owner`: its targets in a fixed order, and what of it can't
    /// be read or is not known here.
    pub fn parse_all(routing: &Value, namespace: &str, owner: &OwnerReference) -> (Vec<Self>, Vec<SplitError>) {
        let managed = managed_names(routing);
        let known = ["istio", "nginx", "alb", "smi", "ambassador", "appMesh", "traefik", "apisix"];
        let mut read = Vec::new();
        for name in known {
            if let Some(section) = routing.get(name).filter(|section| !section.is_null()) {
                read.push(Self::parse(name, section, namespace, owner, &managed));
            }
        }
        for (name, section) in routing.get("plugins").and_then(Value::as_object).into_iter().flatten() {
            read.push(match name.as_str() {
                GATEWAY_PLUGIN => GatewayTarget::parse(section, namespace).map(Self::Gateway),
                _ => Err(unknown(&format!("plugins[{name}]"))),
            });
        }
        let fields = routing.as_object().into_iter().flat_map(|fields| fields.iter());
        let others = ["managedRoutes", "maxTrafficWeight", "plugins"];
        let strange = fields.filter(|(name, section)| {
            !section.is_null() && !known.contains(&name.as_str()) && !others.contains(&name.as_str())
        });
        read.extend(strange.map(|(name, _)| Err(unknown(name))));
        let (mut targets, mut errors) = (Vec::new(), Vec::new());
        for one in read {
            match one {
                Ok(target) => targets.push(target),
                Err(error) => errors.push(error),
            }
        }
        (targets, errors)
    }

    fn parse(
        name: &str,
        section: &Value,
        namespace: &str,
        owner: &OwnerReference,
        managed: &[String],
    ) -> Result<Self, SplitError> {
        match name {
            "istio" => IstioTarget::parse(section, namespace, &owner.name).map(Self::Istio),
            "nginx" => NginxTarget::parse(section, namespace, owner.clone()).map(Self::Nginx),
            "alb" => AlbTarget::parse(section, namespace, &owner.name).map(Self::Alb),
            "smi" => Ok(Self::Smi(SmiTarget::parse(section, namespace, owner.clone()))),
            "ambassador" => AmbassadorTarget::parse(section, namespace, owner.clone()).map(Self::Ambassador),
            "appMesh" => AppMeshTarget::parse(section, namespace, &owner.name).map(Self::AppMesh),
            "traefik" => TraefikTarget::parse(section, namespace).map(Self::Traefik),
            "apisix" => ApisixTarget::parse(section, namespace, owner.clone(), managed).map(Self::Apisix),
            other => Err(unknown(other)),
        }
    }

    /// The objects that must be read before anything can be planned, as far as `live` tells: one may name another, so
    /// it is asked again when more is there, until nothing new comes.
    pub fn objects(&self, live: &Live) -> Vec<ObjectId> {
        match self {
            Self::Istio(target) => target.objects(),
            Self::Nginx(target) => target.objects(),
            Self::Alb(target) => target.objects(),
            Self::Smi(target) => target.objects(),
            Self::Ambassador(target) => target.objects(),
            Self::AppMesh(target) => target.objects(live),
            Self::Traefik(target) => target.objects(),
            Self::Apisix(target) => target.objects(),
            Self::Gateway(target) => target.objects(),
        }
    }

    /// The kinds, as (group, kind, namespace), of which all objects must be read because some are selected by label.
    pub fn lists(&self) -> Vec<(String, String, String)> {
        match self {
            Self::Gateway(target) => target.lists(),
            _ => Vec::new(),
        }
    }
}

/// The names under `managedRoutes`, first match first.
pub fn managed_names(routing: &Value) -> Vec<String> {
    let items = routing.get("managedRoutes").and_then(Value::as_array).into_iter().flatten();
    items.filter_map(|item| Some(item.get("name")?.as_str()?.to_owned())).collect()
}

fn unknown(name: &str) -> SplitError {
    crate::section::field(&format!("trafficRouting.{name}"), "is not a provider that is built in")
}

/// What brings the live objects to a split.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SplitPlan {
    /// Objects to write, those that select pods before those that send traffic to them.
    pub changes: Vec<Change>,
    /// Fields that the split owns, changed or not.
    pub claims: Vec<Claim>,
    /// What stands in the way, by target. The changes of other targets are there all the same, so that weight can be
    /// taken off a bad canary; weight may only be raised when there is nothing here.
    pub errors: Vec<SplitError>,
}

impl SplitPlan {
    /// The fields of one object that the split owns, as JSON pointers.
    pub fn claims_on<'a>(&'a self, object: &'a ObjectId) -> impl Iterator<Item = &'a str> {
        self.claims.iter().filter(move |claim| claim.object == *object).map(|claim| claim.pointer.as_str())
    }

    /// One object as it is to be: changed, or as it is live.
    pub fn wanted<'a>(&'a self, object: &ObjectId, live: &'a Live) -> Option<&'a Object> {
        let change = self.changes.iter().find(|change| change.id == *object);
        change.map(Change::object).or_else(|| live.get(object))
    }
}

/// Whether a split is in place.
#[derive(Debug, Clone, PartialEq)]
pub enum Verification {
    /// Every target has it.
    Applied,
    /// These objects differ from it.
    Differs(Vec<ObjectId>),
    /// It can't be told, or can't be so.
    Unknown(Vec<SplitError>),
}

/// The weights of one route as they are now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observed {
    /// The object.
    pub object: ObjectId,
    /// The route in it, as a JSON pointer.
    pub pointer: String,
    /// What the canary has.
    pub canary: u32,
    /// What stable has.
    pub stable: u32,
    /// What others have.
    pub other: u32,
}

impl Observed {
    pub(crate) fn new(object: ObjectId, pointer: &str, shares: Shares) -> Self {
        let Shares { canary, stable, other } = shares;
        Self { object, pointer: pointer.to_owned(), canary, stable, other }
    }
}

/// Plans how `targets` get from `live` to `split`.
pub fn plan(split: &Split, targets: &[Target], live: &Live) -> SplitPlan {
    let mut planned = SplitPlan::default();
    for target in targets {
        match target {
            Target::Istio(target) => istio::plan(split, target, live, &mut planned),
            Target::Nginx(target) => nginx::plan(split, target, live, &mut planned),
            Target::Alb(target) => alb::plan(&split.in_turns(), target, live, &mut planned),
            Target::Smi(target) => smi::plan(split, target, live, &mut planned),
            Target::Ambassador(target) => ambassador::plan(split, target, live, &mut planned),
            Target::AppMesh(target) => app_mesh::plan(split, target, live, &mut planned),
            Target::Traefik(target) => traefik::plan(split, target, live, &mut planned),
            Target::Apisix(target) => apisix::plan(split, target, live, &mut planned),
            Target::Gateway(target) => gateway::plan(split, target, live, &mut planned),
        }
    }
    planned.claims.sort();
    planned.claims.dedup();
    planned
}

/// Plans how the split is taken out of its targets when whoever made it goes away: everything to stable, routes and
/// labels of ours removed, nothing claimed. Objects that are not there any more are no hindrance.
pub fn restore(split: &Split, targets: &[Target], live: &Live) -> SplitPlan {
    let mut planned = SplitPlan::default();
    let mut back = split.all_stable();
    back.total = 100;
    for target in targets {
        match target {
            Target::Istio(target) => istio::restore(split, target, live, &mut planned),
            Target::Nginx(target) => nginx::restore(target, live, &mut planned),
            Target::Alb(target) => alb::restore(&split.in_turns(), target, live, &mut planned),
            Target::Smi(target) => smi::restore(target, live, &mut planned),
            Target::Ambassador(target) => ambassador::restore(target, live, &mut planned),
            Target::AppMesh(target) => app_mesh::restore(split, target, live, &mut planned),
            Target::Traefik(target) => traefik::plan(&back, target, live, &mut planned),
            Target::Apisix(target) => apisix::plan(&back, target, live, &mut planned),
            Target::Gateway(target) => gateway::restore(split, target, live, &mut planned),
        }
    }
    planned.errors.retain(|error| !matches!(error, SplitError::NotFound { .. }));
    planned.claims.clear();
    planned
}

/// Tells whether `split` is in place.
pub fn verify(split: &Split, targets: &[Target], live: &Live) -> Verification {
    let planned = plan(split, targets, live);
    if !planned.errors.is_empty() {
        return Verification::Unknown(planned.errors);
    }
    if planned.changes.is_empty() {
        return Verification::Applied;
    }
    Verification::Differs(planned.changes.into_iter().map(|change| change.id).collect())
}

/// The versions that the traffic objects themselves select, when one of them does: a DestinationRule has subsets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selected {
    /// What the canary's subset selects.
    pub canary: Option<PodHash>,
    /// What the stable subset selects.
    pub stable: Option<PodHash>,
}

/// Tells which versions the targets select by themselves; nothing when all of them send traffic to Services.
pub fn selected(targets: &[Target], live: &Live) -> Option<Selected> {
    targets.iter().find_map(|target| match target {
        Target::Istio(target) => istio::selected(target, live).map(|(canary, stable)| Selected { canary, stable }),
        _ => None,
    })
}

/// An object that a Rollout drove once and names no more, as it is to be left behind: a DestinationRule and a Service lose
/// hashes and mark; nothing is to be done with others.
pub fn left_behind(object: &Object) -> Option<Object> {
    match object.kind() {
        "DestinationRule" => Some(istio::destination_rule::left_behind(object)),
        "Service" => Some(crate::service::left_behind(object)),
        _ => None,
    }
}

/// Tells the weights that the targets have now; targets that can't be read have none.
pub fn observe(split: &Split, targets: &[Target], live: &Live) -> Vec<Observed> {
    targets
        .iter()
        .flat_map(|target| match target {
            Target::Istio(target) => istio::observe(split, target, live),
            Target::Nginx(target) => nginx::observe(split, target, live),
            Target::Alb(target) => alb::observe(&split.in_turns(), target, live),
            Target::Smi(target) => smi::observe(split, target, live),
            Target::Ambassador(target) => ambassador::observe(split, target, live),
            Target::AppMesh(target) => app_mesh::observe(split, target, live),
            Target::Traefik(target) => traefik::observe(split, target, live),
            Target::Apisix(target) => apisix::observe(split, target, live),
            Target::Gateway(target) => gateway::observe(split, target, live),
        })
        .collect()
}

/// Refuses a total other than 100; tells whether it did.
pub(crate) fn refuse_total(provider: &'static str, split: &Split, planned: &mut SplitPlan) -> bool {
    if split.total == 100 {
        return false;
    }
    planned.errors.push(SplitError::Total { provider, total: split.total });
    true
}

fn refuse(is_there: bool, provider: &'static str, feature: &'static str, planned: &mut SplitPlan) {
    if is_there {
        planned.errors.push(SplitError::Unsupported { provider, feature });
    }
}

/// Refuses destinations besides the two versions.
pub(crate) fn refuse_additional(provider: &'static str, split: &Split, planned: &mut SplitPlan) {
    refuse(!split.additional.is_empty(), provider, "additional destinations", planned);
}

/// Refuses mirror routes.
pub(crate) fn refuse_mirrors(provider: &'static str, split: &Split, planned: &mut SplitPlan) {
    refuse(!split.mirror_routes.is_empty(), provider, "mirror routes", planned);
}

/// Refuses header and mirror routes.
pub(crate) fn refuse_routes(provider: &'static str, split: &Split, planned: &mut SplitPlan) {
    refuse(!split.header_routes.is_empty(), provider, "header routes", planned);
    refuse_mirrors(provider, split, planned);
}

/// Refuses everything but weights of two versions out of 100.
pub(crate) fn refuse_beyond_weights(provider: &'static str, split: &Split, planned: &mut SplitPlan) {
    refuse_routes(provider, split, planned);
    refuse_additional(provider, split, planned);
    refuse_total(provider, split, planned);
}
