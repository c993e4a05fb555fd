//! Istio VirtualServices and DestinationRules, as far as they decide where an HTTP request goes.

use std::collections::BTreeMap;

use object_model::Object;
use regex::Regex;
use serde_json::Value;

use crate::load::Load;

/// A VirtualService's HTTP routes.
#[derive(Debug, Clone)]
pub(crate) struct VirtualService {
    pub(crate) hosts: Vec<String>,
    pub(crate) routes: Vec<HttpRoute>,
}

#[derive(Debug, Clone)]
pub(crate) struct HttpRoute {
    matches: Vec<Match>,
    pub(crate) action: RouteAction,
    pub(crate) mirrors: Vec<Mirror>,
}

#[derive(Debug, Clone)]
pub(crate) enum RouteAction {
    Split(Vec<(Destination, u64)>),
    Answer(u16),
}

#[derive(Debug, Clone)]
pub(crate) struct Mirror {
    pub(crate) destination: Destination,
    pub(crate) share: f64,
}

/// A host as written, to be resolved from the namespace of the object that names it, and a subset.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Destination {
    pub(crate) host: String,
    pub(crate) subset: Option<String>,
}

#[derive(Debug, Clone, Default)]
struct Match {
    headers: Vec<(String, StringMatch)>,
    without_headers: Vec<(String, StringMatch)>,
    path: Option<StringMatch>,
    method: Option<StringMatch>,
    authority: Option<StringMatch>,
    source_namespace: Option<String>,
    /// A condition that requests of this crate can't meet, such as query parameters.
    never: bool,
}

#[derive(Debug, Clone)]
enum StringMatch {
    Exact(String),
    Prefix(String),
    Whole(Regex),
    Present,
    Never,
}

impl StringMatch {
    fn parse(value: &Value) -> Self {
        let text = |key: &str| value.get(key).and_then(Value::as_str);
        if let Some(exact) = text("exact") {
            return Self::Exact(exact.to_owned());
        }
        if let Some(prefix) = text("prefix") {
            return Self::Prefix(prefix.to_owned());
        }
        match text("regex") {
            Some(pattern) => Regex::new(&format!("^(?:{pattern})$")).map_or(Self::Never, Self::Whole),
            None if value.as_object().is_none_or(serde_json::Map::is_empty) => Self::Present,
            None => Self::Never,
        }
    }

    fn holds(&self, text: &str) -> bool {
        match self {
            Self::Exact(exact) => text == exact,
            Self::Prefix(prefix) => text.starts_with(prefix.as_str()),
            Self::Whole(regex) => regex.is_match(text),
            Self::Present => true,
            Self::Never => false,
        }
    }
}

impl Match {
    fn parse(value: &Value) -> Self {
        let one = |key: &str| value.get(key).map(StringMatch::parse);
        let many = |key: &str| -> Vec<(String, StringMatch)> {
            let map = value.get(key).and_then(Value::as_object);
            map.map(|map| map.iter().map(|(name, want)| (name.clone(), StringMatch::parse(want))).collect())
                .unwrap_or_default()
        };
        let known = [
            "name",
            "headers",
            "withoutHeaders",
            "uri",
            "method",
            "authority",
            "sourceNamespace",
            "gateways",
            "port",
            "ignoreUriCase",
        ];
        let keys = value.as_object().map(|map| map.keys().cloned().collect::<Vec<_>>()).unwrap_or_default();
        Self {
            headers: many("headers"),
            without_headers: many("withoutHeaders"),
            path: one("uri"),
            method: one("method"),
            authority: one("authority"),
            source_namespace: value.get("sourceNamespace").and_then(Value::as_str).map(str::to_owned),
            never: keys.iter().any(|key| !known.contains(&key.as_str())),
        }
    }

    fn holds(&self, load: &Load) -> bool {
        let is = |want: &Option<StringMatch>, have: &str| want.as_ref().is_none_or(|want| want.holds(have));
        let has = |(name, want): &(String, StringMatch)| load.header(name).is_some_and(|have| want.holds(have));
        !self.never
            && is(&self.path, &load.path)
            && is(&self.method, &load.method)
            && is(&self.authority, &load.host)
            && self.source_namespace.as_ref().is_none_or(|namespace| *namespace == load.namespace)
            && self.headers.iter().all(has)
            && !self.without_headers.iter().any(has)
    }
}

impl HttpRoute {
    /// Whether a request of this client takes the route: no `match` at all, or any entry of it holds.
    pub(crate) fn takes(&self, load: &Load) -> bool {
        self.matches.is_empty() || self.matches.iter().any(|entry| entry.holds(load))
    }

    fn parse(value: &Value) -> Self {
        let list = |key: &str| value.get(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let mut mirrors: Vec<Mirror> = list("mirrors")
            .iter()
            .filter_map(|entry| {
                Some(Mirror {
                    destination: destination(entry.get("destination")?)?,
                    share: percentage(entry, "percentage"),
                })
            })
            .collect();
        if let Some(destination) = value.get("mirror").and_then(destination) {
            mirrors.push(Mirror { destination, share: percentage(value, "mirrorPercentage") });
        }
        Self {
            matches: list("match").iter().map(Match::parse).collect(),
            action: action(value, list("route")),
            mirrors,
        }
    }
}

fn action(value: &Value, route: &[Value]) -> RouteAction {
    let status = value.pointer("/directResponse/status").and_then(Value::as_u64);
    if let Some(status) = status.and_then(|status| u16::try_from(status).ok()) {
        return RouteAction::Answer(status);
    }
    if value.get("redirect").is_some() {
        return RouteAction::Answer(301);
    }
    let mut split: Vec<(Destination, u64)> = route
        .iter()
        .filter_map(|entry| {
            let weight = entry.get("weight").and_then(Value::as_u64).unwrap_or(0);
            Some((destination(entry.get("destination")?)?, weight))
        })
        .collect();
    // A single destination takes everything, whatever its weight says.
    if let [(_, weight)] = split.as_mut_slice() {
        *weight = 100;
    }
    RouteAction::Split(split)
}

fn percentage(value: &Value, key: &str) -> f64 {
    value.get(key).and_then(|entry| entry.get("value")).and_then(Value::as_f64).unwrap_or(100.0) / 100.0
}

fn destination(value: &Value) -> Option<Destination> {
    Some(Destination {
        host: value.get("host")?.as_str()?.to_owned(),
        subset: value.get("subset").and_then(Value::as_str).map(str::to_owned),
    })
}

impl VirtualService {
    pub(crate) fn parse(object: &Object) -> Self {
        let hosts = object.list_at("/spec/hosts").iter().filter_map(Value::as_str).map(str::to_owned).collect();
        Self { hosts, routes: object.list_at("/spec/http").iter().map(HttpRoute::parse).collect() }
    }
}

/// A DestinationRule: the pod labels of each subset of a host.
#[derive(Debug, Clone)]
pub(crate) struct DestinationRule {
    pub(crate) host: String,
    pub(crate) subsets: BTreeMap<String, BTreeMap<String, String>>,
}

impl DestinationRule {
    pub(crate) fn parse(object: &Object) -> Option<Self> {
        let host = object.str_at("/spec/host")?.to_owned();
        let subsets = object.list_at("/spec/subsets").iter().filter_map(|subset| {
            let name = subset.get("name")?.as_str()?.to_owned();
            let labels = subset.get("labels").and_then(Value::as_object);
            let labels = labels.map(|labels| {
                labels.iter().filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
            });
            Some((name, labels.unwrap_or_default()))
        });
        Some(Self { host, subsets: subsets.collect() })
    }
}

/// How well a VirtualService host fits a request host: exact is best, then the longest wildcard.
pub(crate) fn host_fit(pattern: &str, host: &str) -> Option<usize> {
    if pattern == host {
        return Some(usize::MAX);
    }
    let suffix = pattern.strip_prefix('*')?;
    (host.len() > suffix.len() && host.ends_with(suffix)).then_some(suffix.len())
}

/// The full name of a host as seen from a namespace: `web` and `web.qa` become `web.qa.svc.cluster.local`; names that
/// are neither stay as they are.
pub(crate) fn full_host(host: &str, namespace: &str, is_namespace: impl Fn(&str) -> bool) -> String {
    let host = host.split(':').next().unwrap_or(host).trim_end_matches('.');
    if host.ends_with(".svc.cluster.local") || host.starts_with('*') {
        return host.to_owned();
    }
    if let Some(short) = host.strip_suffix(".svc") {
        return format!("{short}.svc.cluster.local");
    }
    match host.split_once('.') {
        None => format!("{host}.{namespace}.svc.cluster.local"),
        Some((_, rest)) if !rest.contains('.') && is_namespace(rest) => format!("{host}.svc.cluster.local"),
        Some(_) => host.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_header_match_takes_only_requests_that_carry_it() {
        let route = HttpRoute::parse(&json!({
            "match": [{"headers": {"end-user": {"exact": "Alexandra"}}}],
            "route": [{"destination": {"host": "a"}}],
        }));
        assert!(route.takes(&Load::new("a", "qa", 1.0).with_header("End-User", "Alexandra")));
        assert!(!route.takes(&Load::new("a", "qa", 1.0).with_header("end-user", "alexandra")));
        assert!(!route.takes(&Load::new("a", "qa", 1.0)));
    }

    #[test]
    fn regular_expressions_match_the_whole_value_and_broken_ones_nothing() {
        let takes = |pattern: &str| {
            let entry = json!({"match": [{"headers": {"cookie": {"regex": pattern}}}]});
            HttpRoute::parse(&entry).takes(&Load::new("a", "qa", 1.0).with_header("cookie", "canary=always"))
        };
        assert!(takes("^(.*?;)?(canary=always)(;.*)?$"));
        assert!(!takes("canary"));
        assert!(!takes("("));
    }

    #[test]
    fn a_condition_that_is_not_understood_never_holds() {
        let route = HttpRoute::parse(&json!({"match": [{"queryParams": {"a": {"exact": "b"}}}]}));
        assert!(!route.takes(&Load::new("a", "qa", 1.0)));
    }

    #[test]
    fn short_hosts_are_seen_from_the_namespace() {
        for (host, full) in [
            ("web", "web.qa.svc.cluster.local"),
            ("web.prod", "web.prod.svc.cluster.local"),
            ("web.prod.svc", "web.prod.svc.cluster.local"),
            ("web.prod.svc.cluster.local:8080", "web.prod.svc.cluster.local"),
            ("shop.example.com", "shop.example.com"),
            ("example.com", "example.com"),
        ] {
            assert_eq!(full_host(host, "qa", |name| name == "prod"), full, "{host}");
        }
    }

    #[test]
    fn the_longest_wildcard_fits_best() {
        assert!(host_fit("*.example.com", "a.example.com") > host_fit("*", "a.example.com"));
        assert_eq!(host_fit("*.example.com", "example.com"), None);
    }
}
