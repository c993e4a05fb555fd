//! The rules of one route: weights of those that hold both versions, and rules of our own before them.

use serde_json::{Map, Value, json};

use super::{RouteKind, RouteRef, SHAPE};
use crate::backends::{Pair, put, set_weight};
use crate::{HeaderMatch, HeaderRoute, MirrorRoute, RequestMatch, Split, SplitError, StringMatch};

/// The rules as they are to be, and which of their fields the split owns.
pub(super) struct Set {
    pub(super) rules: Vec<Value>,
    pub(super) pointers: Vec<String>,
}

/// Puts the split into the rules. A rule that leads to one version alone is its user's affair and stays as it is:
/// a lone backend would answer with errors at weight 0.
pub(super) fn apply(
    split: &Split,
    route: &RouteRef,
    live: &[Value],
    added: &[&str],
    shown: &str,
) -> Result<Set, SplitError> {
    let pair = Pair::services(split);
    let mut own: Vec<Value> = live.iter().filter(|rule| !is_managed(split, rule)).cloned().collect();
    let mut pointers = Vec::new();
    let mut sources = Vec::new();
    for (index, rule) in own.iter_mut().enumerate() {
        let list = backends(rule);
        if !SHAPE.has(list, pair.canary) || !SHAPE.has(list, pair.stable) {
            continue;
        }
        let mut list = list.to_vec();
        let pointer = format!("/spec/rules/{index}/backendRefs");
        let weights = SHAPE.weigh(split, pair, &mut list, (shown, &pointer))?;
        let changes_length = set_additional(split, added, &mut list);
        match changes_length || !split.additional.is_empty() {
            true => pointers.push(pointer),
            false => pointers.extend(weights),
        }
        if list.as_slice() != backends(rule) {
            put(rule, "backendRefs", Value::Array(list));
        }
        sources.push(rule.clone());
    }
    if sources.is_empty() {
        let missing = own.iter().any(|rule| SHAPE.has(backends(rule), pair.canary));
        let (role, name) = if missing { ("stable", pair.stable) } else { ("canary", pair.canary) };
        return Err(SplitError::BackendNotFound { object: shown.to_owned(), role, name: name.to_owned() });
    }
    let managed = if route.takes_header_routes { managed_rules(split, route.kind, &sources)? } else { Vec::new() };
    if !managed.is_empty() {
        // The places of all rules shift while ours stand before them, so the list is claimed whole.
        pointers = vec!["/spec/rules".to_owned()];
    }
    Ok(Set { rules: managed.into_iter().chain(own).collect(), pointers })
}

/// The backends of a rule.
pub(super) fn backends(rule: &Value) -> &[Value] {
    rule.get("backendRefs").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// Whether a rule carries a name that is kept for rules of ours: the route's own, or with a number behind it.
pub(super) fn is_managed(split: &Split, rule: &Value) -> bool {
    let name = rule.get("name").and_then(Value::as_str).unwrap_or_default();
    let fits = |managed: &String| {
        let rest = name.strip_prefix(managed.as_str());
        rest.is_some_and(|rest| {
            rest.is_empty() || rest.strip_prefix('-').is_some_and(|number| number.parse::<u32>().is_ok())
        })
    };
    !name.is_empty() && split.managed_routes.iter().any(fits)
}

/// Sets the backends of experiments and takes out those that were put in before; tells whether the list's length changed.
fn set_additional(split: &Split, added: &[&str], list: &mut Vec<Value>) -> bool {
    let before = list.len();
    let wanted = |name: &str| split.additional.iter().find(|(place, _)| place.service == name);
    list.retain(|backend| {
        let name = SHAPE.name_of(backend);
        !added.contains(&name) || wanted(name).is_some()
    });
    // A backend of an experiment listens where the canary does.
    let template = list.iter().find(|backend| SHAPE.name_of(backend) == split.canary.service).cloned();
    for (place, weight) in &split.additional {
        match list.iter_mut().find(|backend| SHAPE.name_of(backend) == place.service) {
            Some(backend) => set_weight(backend, weight.get()),
            None => {
                let mut backend = template.clone().unwrap_or_else(|| json!({}));
                put(&mut backend, "name", place.service.clone().into());
                set_weight(&mut backend, weight.get());
                list.push(backend);
            }
        }
    }
    list.len() != before
}

/// Our rules, in the order of the managed names; each rule of the user that holds both versions gets its own.
fn managed_rules(split: &Split, kind: RouteKind, sources: &[Value]) -> Result<Vec<Value>, SplitError> {
    let headers = split.header_routes.iter().map(|route| &route.name);
    let mirrors = split.mirror_routes.iter().map(|route| &route.name);
    if let Some(name) = headers.chain(mirrors).find(|name| !split.managed_routes.contains(name)) {
        return Err(SplitError::NotManaged { name: name.clone() });
    }
    let mut rules = Vec::new();
    for name in &split.managed_routes {
        let header = split.header_routes.iter().find(|route| route.name == *name);
        let mirror = split.mirror_routes.iter().find(|route| route.name == *name);
        for (index, source) in sources.iter().enumerate() {
            let name = if index == 0 { name.clone() } else { format!("{name}-{index}") };
            if let Some(route) = header {
                rules.extend(header_rule(split, kind, route, &name, source));
            } else if let Some(route) = mirror {
                rules.push(mirror_rule(split, kind, route, &name, source)?);
            }
        }
    }
    Ok(rules)
}

/// The source rule with the headers in every match and the canary alone behind it. All matches of a header route that
/// stand in one Gateway API match must hold, so each gets matches of its own: any of them is enough, as with Istio.
fn header_rule(split: &Split, kind: RouteKind, route: &HeaderRoute, name: &str, source: &Value) -> Option<Value> {
    if !kind.has_headers() {
        return None;
    }
    let canary = backends(source).iter().find(|backend| SHAPE.name_of(backend) == split.canary.service)?;
    let mut canary = canary.clone();
    if let Value::Object(map) = &mut canary {
        map.remove("weight");
    }
    let mut matches = Vec::new();
    for one in &route.matches {
        for base in source_matches(source) {
            matches.push(with_headers(&base, std::slice::from_ref(one)));
        }
    }
    let mut rule = source.clone();
    let map = rule.as_object_mut()?;
    map.insert("name".to_owned(), name.into());
    map.insert("matches".to_owned(), matches.into());
    map.insert("backendRefs".to_owned(), json!([canary]));
    Some(rule)
}

fn mirror_rule(
    split: &Split,
    kind: RouteKind,
    route: &MirrorRoute,
    name: &str,
    source: &Value,
) -> Result<Value, SplitError> {
    let unsupported = |feature| Err(SplitError::Unsupported { provider: "Gateway API", feature });
    if kind != RouteKind::Http {
        return unsupported("mirror routes but in HTTPRoutes");
    }
    if route
        .matches
        .iter()
        .any(|one| one.method.as_ref().is_some_and(|method| !matches!(method, StringMatch::Exact(_))))
    {
        return unsupported("mirror routes whose method is not exact");
    }
    let canary = backends(source).iter().find(|backend| SHAPE.name_of(backend) == split.canary.service);
    let mut place = canary.and_then(Value::as_object).cloned().unwrap_or_default();
    place.retain(|key, _| matches!(key.as_str(), "group" | "kind" | "name" | "namespace" | "port"));
    let mut mirror = Map::from_iter([("backendRef".to_owned(), Value::Object(place))]);
    if route.percentage != 100 {
        mirror.insert("percent".to_owned(), route.percentage.into());
    }
    let mut rule = source.clone();
    let mut filters = rule.get("filters").and_then(Value::as_array).cloned().unwrap_or_default();
    filters.push(json!({"type": "RequestMirror", "requestMirror": mirror}));
    let mut matches = Vec::new();
    for one in &route.matches {
        matches.extend(source_matches(source).iter().map(|base| narrowed(base, one)));
    }
    if matches.is_empty() {
        matches = source_matches(source);
    }
    put(&mut rule, "name", name.into());
    put(&mut rule, "matches", matches.into());
    put(&mut rule, "filters", filters.into());
    Ok(rule)
}

/// The matches of a rule; one that is empty, so that it fits every request, when it has none.
fn source_matches(source: &Value) -> Vec<Value> {
    let matches = source.get("matches").and_then(Value::as_array).cloned().unwrap_or_default();
    if matches.is_empty() { vec![json!({})] } else { matches }
}

fn with_headers(base: &Value, headers: &[HeaderMatch]) -> Value {
    let mut merged = base.clone();
    let mut list = merged.get("headers").and_then(Value::as_array).cloned().unwrap_or_default();
    list.extend(headers.iter().map(header));
    if !list.is_empty() {
        put(&mut merged, "headers", list.into());
    }
    merged
}

fn header(one: &HeaderMatch) -> Value {
    let (kind, value) = match &one.value {
        StringMatch::Exact(text) => ("Exact", text.clone()),
        StringMatch::Regex(text) => ("RegularExpression", text.clone()),
        StringMatch::Prefix(text) => ("RegularExpression", format!("{text}.*")),
    };
    json!({"type": kind, "name": one.header, "value": value})
}

/// The match of the user's rule with what the mirror route asks for besides.
fn narrowed(base: &Value, one: &RequestMatch) -> Value {
    let mut merged = with_headers(base, &one.headers);
    if let Some(path) = &one.path {
        let (kind, value) = match path {
            StringMatch::Exact(text) => ("Exact", text),
            StringMatch::Prefix(text) => ("PathPrefix", text),
            StringMatch::Regex(text) => ("RegularExpression", text),
        };
        put(&mut merged, "path", json!({"type": kind, "value": value}));
    }
    if let Some(StringMatch::Exact(method)) = &one.method {
        put(&mut merged, "method", method.clone().into());
    }
    merged
}
