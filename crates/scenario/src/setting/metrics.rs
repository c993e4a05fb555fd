//! The Prometheus API over the counters of the traffic, asked in process.

use std::sync::{Arc, Mutex, PoisonError};

use reconcile_core::{HttpQuery, HttpReply};
use reconcile_runtime::Clock;
use sim_traffic::Traffic;

/// Answers a query of the operator from the counters; a path that Prometheus has not is its 404.
pub(super) fn answer(traffic: &Arc<Mutex<Traffic>>, clock: Clock, query: &HttpQuery) -> HttpReply {
    let at = clock.now();
    let rest = query.url.split_once("://").map_or(query.url.as_str(), |(_, rest)| rest);
    let (_, path_and_query) = rest.split_once('/').unwrap_or((rest, ""));
    let (path, parameters) = path_and_query.split_once('?').unwrap_or((path_and_query, ""));
    let body = query.body.clone().unwrap_or_default();
    let traffic = traffic.lock().unwrap_or_else(PoisonError::into_inner);
    let (status, json) =
        sim_traffic::answer(&traffic, at, &query.method, &format!("/{path}"), parameters, body.as_bytes());
    HttpReply::Response { status, body: json.to_string(), at }
}
