//! Why a split can't be put into a target; worded as Argo Rollouts words it where it has words for it.

use object_model::ObjectId;

/// What stands in the way of a split.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SplitError {
    /// An object of the target is not there.
    #[error("{} `{}` not found", object.kind, object.name)]
    NotFound {
        /// The object.
        object: ObjectId,
    },
    /// A named HTTP route is not there.
    #[error("HTTP Route '{name}' is not found in the defined Virtual Service.")]
    HttpRouteNotFound {
        /// Its name.
        name: String,
    },
    /// No route fits the ports and hosts that were asked for.
    #[error("No matching {protocol} routes found in the defined Virtual Service.")]
    RouteNotFound {
        /// TLS or TCP.
        protocol: &'static str,
    },
    /// No route is named and there is not exactly one.
    #[error(
        "spec.{list}[] should be set in VirtualService and it must have exactly one route when omitting spec.strategy.canary.trafficRouting.istio.virtualService.{field}"
    )]
    SeveralRoutes {
        /// `http`, `tls` or `tcp`.
        list: &'static str,
        /// The field that would name the routes.
        field: &'static str,
    },
    /// A service is not among the destinations of a route.
    #[error("{role} Service '{name}' not found in route")]
    ServiceNotInRoute {
        /// Canary or Stable.
        role: &'static str,
        /// The service.
        name: String,
    },
    /// A subset is not among the destinations of a route.
    #[error("{role} DestinationRule subset '{name}' not found in route")]
    SubsetNotInRoute {
        /// Canary or Stable.
        role: &'static str,
        /// The subset.
        name: String,
    },
    /// A subset is not in the DestinationRule.
    #[error("{role} subset '{name}' not found in DestinationRule `{rule}`")]
    SubsetNotInRule {
        /// Canary or Stable.
        role: &'static str,
        /// The subset.
        name: String,
        /// The DestinationRule.
        rule: String,
    },
    /// A header or mirror route may only take a name that is kept for it.
    #[error("route '{name}' is not in spec.strategy.canary.trafficRouting.managedRoutes")]
    NotManaged {
        /// Its name.
        name: String,
    },
    /// A field of a live object or of the target is not of the right type.
    #[error("{field} {problem}")]
    Field {
        /// Its path, with the object where it is a live one.
        field: String,
        /// What is wrong.
        problem: String,
    },
    /// The provider counts in hundredths.
    #[error("{provider} weights are shares of 100, not of {total}")]
    Total {
        /// The provider.
        provider: &'static str,
        /// The total that was asked for.
        total: u32,
    },
    /// The provider has nothing of the kind.
    #[error("{provider} does not support {feature}")]
    Unsupported {
        /// The provider.
        provider: &'static str,
        /// What it can't do.
        feature: &'static str,
    },
    /// The shares of the canary and of others are more than there is.
    #[error("the canary's weight and additional weights are {sum} of {total}")]
    Overfull {
        /// Their sum.
        sum: u64,
        /// The total.
        total: u32,
    },
    /// No rule of an Ingress leads to the stable service.
    #[error("ingress `{ingress}` has no rules using service {service} backend")]
    NoBackend {
        /// The Ingress.
        ingress: String,
        /// The service.
        service: String,
    },
    /// An object under the expected name belongs to somebody else.
    #[error("canary ingress `{name}` controlled by different object")]
    NotOurs {
        /// Its name.
        name: String,
    },
    /// An object that the Rollout would make is there and belongs to somebody else.
    #[error("Rollout does not own {kind} `{name}`")]
    NotOwned {
        /// Its kind.
        kind: &'static str,
        /// Its name.
        name: String,
    },
    /// A version is not among the backends of an object.
    #[error("{role} backend '{name}' not found in {object}")]
    BackendNotFound {
        /// The object and the list in it.
        object: String,
        /// Canary or stable.
        role: &'static str,
        /// The backend.
        name: String,
    },
}
