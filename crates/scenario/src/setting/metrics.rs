//! The Prometheus API over the counters of the traffic, and what can be wrong with it.

use std::sync::{Arc, Mutex, PoisonError};

use futures::future::BoxFuture;
use reconcile_core::{HttpQuery, HttpReply};
use reconcile_runtime::{Clock, Sender};
use serde_json::json;
use sim_traffic::Traffic;

/// How the provider of metrics answers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum MetricsState {
    /// From the counters.
    #[default]
    Working,
    /// With an error.
    Broken,
    /// With no data.
    Empty,
}

/// Answers a query of the operator from the counters; a path that Prometheus has not is its 404.
pub(super) fn answer(traffic: &Arc<Mutex<Traffic>>, clock: Clock, query: &HttpQuery) -> HttpReply {
    let at = clock.now();
    let rest = query.url.split_once("://").map_or(query.url.as_str(), |(_, rest)| rest);
    let (_, path_and_query) = rest.split_once('/').unwrap_or((rest, ""));
    let (path, parameters) = path_and_query.split_once('?').unwrap_or((path_and_query, ""));
    let body = query.body.as_ref().map(|body| body.expose().as_bytes()).unwrap_or_default();
    let traffic = traffic.lock().unwrap_or_else(PoisonError::into_inner);
    let (status, json) = sim_traffic::answer(&traffic, at, &query.method, &format!("/{path}"), parameters, body);
    HttpReply::Response { status, body: json.to_string(), at }
}

/// A sender that answers itself while the provider is not working.
pub(super) struct Switched {
    pub(super) inner: Arc<dyn Sender>,
    pub(super) state: Arc<Mutex<MetricsState>>,
    pub(super) clock: Clock,
}

impl Sender for Switched {
    fn send<'a>(&'a self, query: &'a HttpQuery) -> BoxFuture<'a, HttpReply> {
        let state = *self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (status, body) = match state {
            MetricsState::Working => return self.inner.send(query),
            MetricsState::Broken => {
                (503, json!({"status": "error", "errorType": "unavailable", "error": "the metric store is down"}))
            }
            MetricsState::Empty => (200, json!({"status": "success", "data": {"resultType": "vector", "result": []}})),
        };
        let reply = HttpReply::Response { status, body: body.to_string(), at: self.clock.now() };
        Box::pin(async move {
            // A reply never comes before the question has been noted.
            tokio::task::yield_now().await;
            reply
        })
    }
}
