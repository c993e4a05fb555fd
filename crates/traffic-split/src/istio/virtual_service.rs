//! One VirtualService: weights in its routes, header and mirror routes in front of them.

use object_model::Object;
use serde_json::{Map, Value, json};

use super::routes::{Role, Roles, http_places, route_name, tcp_places, tls_places, weight};
use super::{IstioTarget, VirtualServiceRef};
use crate::section::field;
use crate::target::{Live, Observed, SplitPlan};
use crate::{Change, Claim, HeaderRoute, MirrorRoute, Split, SplitError};

/// Plans one VirtualService.
pub(super) fn plan(
    split: &Split,
    target: &IstioTarget,
    service: &VirtualServiceRef,
    live: &Live,
    planned: &mut SplitPlan,
) {
    let id = service.id();
    let Some(object) = live.get(&id) else {
        planned.errors.push(SplitError::NotFound { object: id });
        return;
    };
    match applied(split, target, service, object, live) {
        Err(error) => planned.errors.push(error),
        Ok((wanted, pointers)) => {
            planned.claims.extend(pointers.into_iter().map(|pointer| Claim { object: id.clone(), pointer }));
            let summary = format!("VirtualService `{}` set to desiredWeight '{}'", service.name, split.weight);
            planned.changes.extend(Change::update(object, wanted, summary));
        }
    }
}

/// The object with the split in it, and the fields that the split owns.
fn applied(
    split: &Split,
    target: &IstioTarget,
    service: &VirtualServiceRef,
    object: &Object,
    live: &Live,
) -> Result<(Object, Vec<String>), SplitError> {
    let roles = Roles::new(split, target.destination_rule.as_ref());
    let mut wanted = object.clone();
    let mut pointers = Vec::new();
    let http = routes(object, service, "http")?;
    if http.is_empty() && has_routes_of_its_own(split) {
        return Err(field(&format!("VirtualService `{}` spec.http", service.name), "not found"));
    }
    // A VirtualService without HTTP routes has none to set, whatever the names of those that are wanted: its TLS and TCP
    // routes are the split then.
    let has_others = !routes(object, service, "tls")?.is_empty() || !routes(object, service, "tcp")?.is_empty();
    if !http.is_empty() || !(service.routes.is_empty() || has_others) {
        let host = canary_host(split, target, live);
        let set = http_routes(split, service, &roles, &host, http, &mut pointers)?;
        if set != http {
            wanted.set_at(&["spec", "http"], Value::Array(set));
        }
    }
    for (list, places) in [
        ("tls", tls_places(&service.tls_routes, routes(object, service, "tls")?)?),
        ("tcp", tcp_places(&service.tcp_routes, routes(object, service, "tcp")?)?),
    ] {
        let before = routes(object, service, list)?;
        let mut after = before.to_vec();
        for place in places {
            let Some(route) = after.get_mut(place) else { continue };
            set_weights(&roles, route, &format!("/spec/{list}/{place}"), &mut pointers)?;
        }
        if after != before {
            wanted.set_at(&["spec", list], Value::Array(after));
        }
    }
    if pointers.is_empty() {
        return Err(field(&format!("VirtualService `{}` spec", service.name), "has no http, tls or tcp route to set"));
    }
    Ok((wanted, pointers))
}

fn has_routes_of_its_own(split: &Split) -> bool {
    !split.header_routes.is_empty() || !split.mirror_routes.is_empty()
}

fn routes<'a>(object: &'a Object, service: &VirtualServiceRef, list: &str) -> Result<&'a [Value], SplitError> {
    let path = format!("VirtualService `{}` spec.{list}", service.name);
    match object.pointer(&format!("/spec/{list}")) {
        None | Some(Value::Null) => Ok(&[]),
        Some(Value::Array(items)) if items.iter().all(Value::is_object) => Ok(items),
        Some(Value::Array(_)) => Err(field(&format!("{path}[]"), "must be a mapping")),
        Some(_) => Err(field(&path, "must be a list")),
    }
}

/// The HTTP routes: managed ones in their order, then the others with their weights.
fn http_routes(
    split: &Split,
    service: &VirtualServiceRef,
    roles: &Roles<'_>,
    host: &CanaryHost,
    live: &[Value],
    pointers: &mut Vec<String>,
) -> Result<Vec<Value>, SplitError> {
    let is_managed = |route: &&Value| {
        let name = route_name(route);
        !name.is_empty() && split.managed_routes.iter().any(|managed| managed == name)
    };
    let others: Vec<&Value> = live.iter().filter(|route| !is_managed(route)).collect();
    let places = http_places(&service.routes, &others)?;
    let mut set: Vec<Value> = others.into_iter().cloned().collect();
    let mut own_pointers = Vec::new();
    for place in &places {
        if let Some(route) = set.get_mut(*place) {
            set_weights(roles, route, &format!("/spec/http/{place}"), &mut own_pointers)?;
        }
    }
    let base = places.first().and_then(|place| set.get(*place)).cloned().unwrap_or(Value::Null);
    let managed = managed_routes(split, host, &base)?;
    if managed.is_empty() {
        pointers.extend(own_pointers);
    } else {
        // The places of all routes shift while managed ones stand before them, so the list is claimed whole.
        pointers.push("/spec/http".to_owned());
    }
    Ok(managed.into_iter().chain(set).collect())
}

/// Sets the weights of one route and tells which fields of it the split owns.
fn set_weights(
    roles: &Roles<'_>,
    route: &mut Value,
    pointer: &str,
    pointers: &mut Vec<String>,
) -> Result<(), SplitError> {
    let path = pointer.trim_start_matches('/').replace('/', ".");
    let before = match route.get("route") {
        Some(Value::Array(items)) if items.iter().all(Value::is_object) => items.clone(),
        Some(Value::Array(_)) => return Err(field(&format!("{path}.route[]"), "must be a mapping")),
        _ => return Err(field(&format!("{path}.route"), "must be a list")),
    };
    let after = roles.weigh(&before)?;
    let is_ours_alone = after.iter().all(|item| matches!(roles.of(item), Role::Canary | Role::Stable));
    if after.len() == before.len() && is_ours_alone {
        pointers.extend((0..after.len()).map(|index| format!("{pointer}/route/{index}/weight")));
    } else {
        pointers.push(format!("{pointer}/route"));
    }
    if let (true, Value::Object(map)) = (after != before, route) {
        map.insert("route".to_owned(), Value::Array(after));
    }
    Ok(())
}

/// Where header and mirror routes send requests.
struct CanaryHost {
    host: String,
    subset: Option<String>,
}

fn canary_host(split: &Split, target: &IstioTarget, live: &Live) -> CanaryHost {
    let Some(rule) = &target.destination_rule else {
        return CanaryHost { host: split.canary.service.clone(), subset: None };
    };
    let host = live.get(&rule.id()).and_then(|object| object.str_at("/spec/host")).filter(|host| !host.is_empty());
    CanaryHost { host: host.unwrap_or(&split.canary.service).to_owned(), subset: Some(rule.canary_subset.clone()) }
}

impl CanaryHost {
    fn destination(&self, port: Option<&Value>) -> Value {
        let mut destination = Map::new();
        destination.insert("host".to_owned(), self.host.clone().into());
        if let Some(port) = port {
            destination.insert("port".to_owned(), port.clone());
        }
        if let Some(subset) = &self.subset {
            destination.insert("subset".to_owned(), subset.clone().into());
        }
        Value::Object(destination)
    }
}

fn managed_routes(split: &Split, host: &CanaryHost, base: &Value) -> Result<Vec<Value>, SplitError> {
    let headers = split.header_routes.iter().map(|route| &route.name);
    let mirrors = split.mirror_routes.iter().map(|route| &route.name);
    for name in headers.chain(mirrors) {
        if !split.managed_routes.contains(name) {
            return Err(SplitError::NotManaged { name: name.clone() });
        }
    }
    let port = base.pointer("/route/0/destination/port");
    let mut routes = Vec::new();
    for name in &split.managed_routes {
        if let Some(route) = split.header_routes.iter().find(|route| route.name == *name) {
            routes.push(header_route(route, host, port));
        } else if let Some(route) = split.mirror_routes.iter().find(|route| route.name == *name) {
            routes.push(mirror_route(route, host, port, base));
        }
    }
    Ok(routes)
}

fn header_route(route: &HeaderRoute, host: &CanaryHost, port: Option<&Value>) -> Value {
    let matches: Vec<Value> =
        route.matches.iter().map(|one| json!({"headers": {one.header.as_str(): one.value.to_json()}})).collect();
    json!({
        "name": route.name,
        "match": matches,
        "route": [{"destination": host.destination(port), "weight": 100}],
    })
}

fn mirror_route(route: &MirrorRoute, host: &CanaryHost, port: Option<&Value>, base: &Value) -> Value {
    let matches: Vec<Value> = route
        .matches
        .iter()
        .map(|one| {
            let mut json = Map::new();
            if let Some(method) = &one.method {
                json.insert("method".to_owned(), method.to_json());
            }
            if let Some(path) = &one.path {
                json.insert("uri".to_owned(), path.to_json());
            }
            if !one.headers.is_empty() {
                let headers = one.headers.iter().map(|one| (one.header.clone(), one.value.to_json())).collect();
                json.insert("headers".to_owned(), Value::Object(headers));
            }
            Value::Object(json)
        })
        .collect();
    json!({
        "name": route.name,
        "match": matches,
        // Requests are answered by the split as it stands.
        "route": base.get("route").cloned().unwrap_or_else(|| json!([])),
        "mirror": host.destination(port),
        "mirrorPercentage": {"value": route.percentage},
    })
}

/// Tells the weights of one VirtualService.
pub(super) fn observe(split: &Split, target: &IstioTarget, service: &VirtualServiceRef, live: &Live) -> Vec<Observed> {
    let Some(object) = live.get(&service.id()) else { return Vec::new() };
    let roles = Roles::new(split, target.destination_rule.as_ref());
    let mut found = Vec::new();
    for list in ["http", "tls", "tcp"] {
        for (place, route) in object.list_at(&format!("/spec/{list}")).iter().enumerate() {
            let is_wanted =
                service.routes.is_empty() || list != "http" || service.routes.iter().any(|n| n == route_name(route));
            let is_managed = split.managed_routes.iter().any(|name| name == route_name(route));
            if !is_wanted || is_managed {
                continue;
            }
            let (mut canary, mut stable, mut other) = (0u32, 0u32, 0u32);
            for destination in route.get("route").and_then(Value::as_array).into_iter().flatten() {
                let share = match roles.of(destination) {
                    Role::Canary => &mut canary,
                    Role::Stable => &mut stable,
                    _ => &mut other,
                };
                *share = share.saturating_add(weight(destination));
            }
            let pointer = format!("/spec/{list}/{place}");
            found.push(Observed { object: service.id(), pointer, canary, stable, other });
        }
    }
    found
}
