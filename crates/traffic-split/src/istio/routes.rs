//! Which routes of a VirtualService are set, and how a route's destinations get their weights.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::{DestinationRuleRef, TcpRoute, TlsRoute};
use crate::{Split, SplitError};

/// Which part a destination of a route has in a split.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Canary,
    Stable,
    /// An experiment, with its weight.
    Additional(u32),
    /// A subset of others, which keeps what it has.
    Kept,
    /// Not of this split; it gets nothing.
    Unknown,
    /// Its host can't be read.
    Nameless,
}

/// Tells the role of destinations.
pub(super) struct Roles<'a> {
    split: &'a Split,
    rule: Option<&'a DestinationRuleRef>,
    additional: BTreeMap<&'a str, u32>,
}

impl<'a> Roles<'a> {
    pub(super) fn new(split: &'a Split, rule: Option<&'a DestinationRuleRef>) -> Self {
        let additional =
            split.additional.iter().map(|(place, weight)| (place.service.as_str(), weight.get())).collect();
        Self { split, rule, additional }
    }

    pub(super) fn of(&self, destination: &Value) -> Role {
        let host = short_host(destination);
        let subset = destination.pointer("/destination/subset").and_then(Value::as_str).unwrap_or_default();
        let is_subset = |name: fn(&DestinationRuleRef) -> &str| {
            !subset.is_empty() && self.rule.is_some_and(|rule| name(rule) == subset)
        };
        if host.is_empty() {
            return Role::Nameless;
        }
        if host == self.split.canary.service || is_subset(|rule| &rule.canary_subset) {
            return Role::Canary;
        }
        if host == self.split.stable.service || is_subset(|rule| &rule.stable_subset) {
            return Role::Stable;
        }
        if let Some(weight) = self.additional.get(host) {
            return Role::Additional(*weight);
        }
        let kept = self.rule.map(|rule| rule.additional_subsets.as_slice()).unwrap_or_default();
        if kept.iter().any(|name| name == subset) { Role::Kept } else { Role::Unknown }
    }

    /// Both versions must be in a route, or its weights would mean nothing.
    fn check(&self, destinations: &[Value]) -> Result<(), SplitError> {
        if let Some(rule) = self.rule {
            let has = |name: &str| {
                destinations
                    .iter()
                    .any(|item| item.pointer("/destination/subset").and_then(Value::as_str) == Some(name))
            };
            for (role, name) in [("Canary", &rule.canary_subset), ("Stable", &rule.stable_subset)] {
                if !has(name) {
                    return Err(SplitError::SubsetNotInRoute { role, name: name.clone() });
                }
            }
            return Ok(());
        }
        for (role, name) in [("Canary", &self.split.canary.service), ("Stable", &self.split.stable.service)] {
            if name.is_empty() || !destinations.iter().any(|item| short_host(item) == name) {
                return Err(SplitError::ServiceNotInRoute { role, name: name.clone() });
            }
        }
        Ok(())
    }

    /// The destinations with the weights of the split: unknown ones that take traffic are removed, experiments that are
    /// not there are appended.
    pub(super) fn weigh(&self, destinations: &[Value]) -> Result<Vec<Value>, SplitError> {
        self.check(destinations)?;
        let kept = destinations.iter().filter(|item| self.of(item) == Role::Kept).map(weight);
        let kept = kept.fold(0, u32::saturating_add);
        let stable = self.split.stable_weight()?.saturating_sub(kept);
        let mut weighed = Vec::with_capacity(destinations.len());
        let mut seen = BTreeSet::new();
        for destination in destinations {
            let wanted = match self.of(destination) {
                Role::Canary => self.split.weight.get(),
                Role::Stable => stable,
                Role::Additional(weight) => {
                    seen.insert(short_host(destination));
                    weight
                }
                Role::Unknown if weight(destination) > 0 => continue,
                Role::Kept | Role::Unknown | Role::Nameless => weight(destination),
            };
            weighed.push(with_weight(destination, wanted));
        }
        for (host, weight) in self.additional.iter().filter(|(host, weight)| !seen.contains(**host) && **weight > 0) {
            weighed.push(json!({"destination": {"host": host}, "weight": weight}));
        }
        Ok(weighed)
    }
}

/// The weight of a destination; an absent one is none.
pub(super) fn weight(destination: &Value) -> u32 {
    let weight = destination.get("weight");
    let whole = weight.and_then(Value::as_u64).and_then(|weight| u32::try_from(weight).ok());
    whole.unwrap_or(0)
}

fn with_weight(destination: &Value, wanted: u32) -> Value {
    let mut changed = destination.clone();
    if weight(destination) != wanted
        && let Value::Object(map) = &mut changed
    {
        map.insert("weight".to_owned(), wanted.into());
    }
    changed
}

/// The first label of a destination's host: the name of its Service.
pub(super) fn short_host(destination: &Value) -> &str {
    let host = destination.pointer("/destination/host").and_then(Value::as_str).unwrap_or_default();
    host.split('.').next().unwrap_or_default()
}

/// The places of the HTTP routes to set, among the routes that are not managed.
pub(super) fn http_places(names: &[String], routes: &[&Value]) -> Result<Vec<usize>, SplitError> {
    if names.is_empty() {
        return match routes.len() {
            0 => Ok(Vec::new()),
            1 => Ok(vec![0]),
            _ => Err(SplitError::SeveralRoutes { list: "http", field: "routes" }),
        };
    }
    let place = |name: &String| {
        let found = routes.iter().position(|route| route_name(route) == name);
        found.ok_or_else(|| SplitError::HttpRouteNotFound { name: name.clone() })
    };
    names.iter().map(place).collect()
}

/// The name of a route, empty when it has none.
pub(super) fn route_name(route: &Value) -> &str {
    route.get("name").and_then(Value::as_str).unwrap_or_default()
}

/// The places of the TLS routes to set.
pub(super) fn tls_places(wanted: &[TlsRoute], routes: &[Value]) -> Result<Vec<usize>, SplitError> {
    let fits = |route: &Value, wanted: &TlsRoute| {
        let names: BTreeSet<&str> = matches(route)
            .filter_map(|item| item.get("sniHosts").and_then(Value::as_array))
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        only_port(route) == Some(wanted.port) && names == wanted.sni_hosts.iter().map(String::as_str).collect()
    };
    places(wanted, routes, fits, ("tls", "tlsRoutes", "TLS"))
}

/// The places of the TCP routes to set.
pub(super) fn tcp_places(wanted: &[TcpRoute], routes: &[Value]) -> Result<Vec<usize>, SplitError> {
    let fits = |route: &Value, wanted: &TcpRoute| only_port(route) == Some(wanted.port);
    places(wanted, routes, fits, ("tcp", "tcpRoutes", "TCP"))
}

fn places<T>(
    wanted: &[T],
    routes: &[Value],
    fits: impl Fn(&Value, &T) -> bool,
    (list, field, protocol): (&'static str, &'static str, &'static str),
) -> Result<Vec<usize>, SplitError> {
    if wanted.is_empty() {
        return match routes.len() {
            0 => Ok(Vec::new()),
            1 => Ok(vec![0]),
            _ => Err(SplitError::SeveralRoutes { list, field }),
        };
    }
    let mut found = BTreeSet::new();
    for one in wanted {
        let before = found.len();
        found.extend(routes.iter().enumerate().filter(|(_, route)| fits(route, one)).map(|(place, _)| place));
        if found.len() == before && !routes.iter().any(|route| fits(route, one)) {
            return Err(SplitError::RouteNotFound { protocol });
        }
    }
    Ok(found.into_iter().collect())
}

fn matches(route: &Value) -> impl Iterator<Item = &Value> {
    route.get("match").and_then(Value::as_array).into_iter().flatten()
}

/// The one port of a route's matches, 0 when it has none; `None` when there are several, which no reference fits.
fn only_port(route: &Value) -> Option<i64> {
    let ports: BTreeSet<i64> =
        matches(route).map(|item| item.get("port").and_then(Value::as_i64).unwrap_or(0)).collect();
    match ports.len() {
        0 => Some(0),
        1 => ports.first().copied(),
        _ => None,
    }
}
