//! Synthetic requests through the traffic objects of any cluster, and a Prometheus API over what they met.
//!
//! A [`Traffic`] is given the objects that decide where a request goes (Services, EndpointSlices, Pods, Istio
//! VirtualServices and DestinationRules) and clients ([`Load`]). [`Traffic::advance`] sends the requests that are due:
//! host, route, weights, Service, ready pod, and the pod's version answers as its [`Behaviour`] says. The counters are
//! Istio's (`istio_requests_total`, `istio_request_duration_milliseconds`), sampled every second of the time that is
//! given; [`answer`] evaluates PromQL over them as Prometheus 2 does, and [`serve`] puts that on a loopback port.
//! [`Traffic::report`] counts every request exactly, lost ones apart.
//!
//! It opens no connection to any pod, reads no clock and knows no cluster API: the objects come as JSON from whoever
//! watches. Weights and error rates are followed evenly (no random draws), so the same seed gives the same verdicts.
//!
//! ```
//! use object_model::Object;
//! use sim_traffic::{Behaviour, Load, Traffic, answer};
//!
//! let pod = serde_json::json!({
//!     "apiVersion": "v1", "kind": "Pod",
//!     "metadata": {"name": "web-1", "namespace": "qa", "labels": {"app": "web"}},
//!     "spec": {"containers": [{"name": "web", "image": "web:v2"}]},
//!     "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]},
//! });
//! let service = serde_json::json!({
//!     "apiVersion": "v1", "kind": "Service",
//!     "metadata": {"name": "web", "namespace": "qa"}, "spec": {"selector": {"app": "web"}},
//! });
//! let mut traffic = Traffic::new(1);
//! traffic.observe(&Object::parse(pod)?);
//! traffic.observe(&Object::parse(service)?);
//! traffic.set_behaviour("web:v2", Behaviour::failing(0.1));
//! traffic.set_load("users", Load::new("web", "qa", 100.0));
//!
//! let (start, end) = ("2026-01-01T00:00:00Z".parse().unwrap(), "2026-01-01T00:00:10Z".parse().unwrap());
//! traffic.advance(start, end);
//! assert_eq!(traffic.report().answered_by("v2"), 1000);
//!
//! let query = r#"query=sum(rate(istio_requests_total{reporter="source",response_code!~"5.*"}[5s]))
//!     / sum(rate(istio_requests_total{reporter="source"}[5s]))"#;
//! let (status, body) = answer(&traffic, end, "POST", "/api/v1/query", "", query.replace('+', "%2B").as_bytes());
//! assert_eq!(status, 200);
//! assert_eq!(body["data"]["result"][0]["value"][1], "0.9");
//! # Ok::<(), object_model::ObjectError>(())
//! ```

mod answer;
mod istio;
mod load;
mod mesh;
mod promql;
mod report;
mod route;
mod sequence;
mod serve;
mod store;
mod traffic;

pub use answer::answer;
pub use load::{Behaviour, ERROR_RATE_ANNOTATION, LATENCY_ANNOTATION, Load};
pub use report::{Loss, LossReason, Outcome, Report};
pub use serve::{ServeError, Server, serve};
pub use traffic::Traffic;
