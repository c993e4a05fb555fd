//! Traffic: one [`Split`] (weights, header routes, mirror routes) put into the objects of each provider, several at once.
//!
//! [`plan`] compares a split with the live objects of its targets and gives the changes that bring them there, the
//! fields that are then claimed, and what stands in the way. [`restore`] takes the split out again, [`verify`] tells
//! whether it is in place and [`observe`] what weights there are now. The level is set, not the edge: the same split on
//! the same objects gives no change, whatever came before. One file a provider.
//!
//! It sends nothing, decides no weight and knows no Rollout; a change is a value that the caller may write or not.
//!
//! ```
//! use std::collections::BTreeMap;
//! use object_model::{Object, Weight};
//! use traffic_split::{Destination, IstioTarget, Split, Target, plan};
//!
//! let service = Object::parse(serde_json::json!({
//!     "apiVersion": "networking.istio.io/v1", "kind": "VirtualService",
//!     "metadata": {"name": "web", "namespace": "qa"},
//!     "spec": {"http": [{"route": [
//!         {"destination": {"host": "web-stable"}, "weight": 100},
//!         {"destination": {"host": "web-canary"}, "weight": 0},
//!     ]}]},
//! })).unwrap();
//! let target = IstioTarget::parse(&serde_json::json!({"virtualService": {"name": "web"}}), "qa", "web").unwrap();
//! let split = Split::new(Destination::service("web-canary"), Destination::service("web-stable"), Weight::new(20).unwrap());
//! let live = BTreeMap::from([(service.id(), service)]);
//! let planned = plan(&split, &[Target::Istio(target)], &live);
//! assert_eq!(planned.changes[0].object().int_at("/spec/http/0/route/1/weight"), Some(20));
//! assert_eq!(planned.claims[0].pointer, "/spec/http/0/route/0/weight");
//! ```

mod alb;
mod ambassador;
mod apisix;
mod app_mesh;
mod backends;
mod change;
mod error;
mod gateway;
mod istio;
mod nginx;
mod section;
mod service;
mod smi;
mod split;
mod target;
mod traefik;

pub use alb::AlbTarget;
pub use ambassador::AmbassadorTarget;
pub use apisix::ApisixTarget;
pub use app_mesh::AppMeshTarget;
pub use change::{Action, Change, Claim};
pub use error::SplitError;
pub use gateway::{GatewayTarget, RouteKind, RouteRef};
pub use istio::{DestinationRuleRef, IstioTarget, TcpRoute, TlsRoute, VirtualServiceRef};
pub use nginx::NginxTarget;
pub use service::select_pods;
pub use smi::SmiTarget;
pub use split::{Destination, HeaderMatch, HeaderRoute, MirrorRoute, RequestMatch, Split, StringMatch, Turns};
pub use target::{
    Live, Observed, Selected, SplitPlan, Target, Verification, left_behind, managed_names, observe, plan, restore,
    selected, verify,
};
pub use traefik::TraefikTarget;

/// The label that carries a pod template's hash.
pub const POD_HASH_LABEL: &str = "rollouts-pod-template-hash";
/// The annotation that names the Rollout which drives an object.
pub const MANAGED_BY_ANNOTATION: &str = "argo-rollouts.argoproj.io/managed-by-rollouts";
