//! The split of traffic as the rollout engine needs it, over the providers of traffic-split.

use object_model::{Object, Weight};
use serde_json::Value;

use super::act;
use super::snapshot::{RouteView, Snapshot};
use crate::patch::merge_patch;
use crate::{Act, Action, ObjectRef, Precondition, kinds};
use api::names;

/// What the traffic objects say now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Observed {
    /// All of them agree on this canary weight.
    Weight(Weight),
    /// They differ, for example after a crash between two writes; the highest counts for safety.
    Mixed {
        /// The highest canary weight of any.
        highest: Weight,
    },
    /// One is missing or can't carry the split.
    Unusable(String),
}

impl Observed {
    /// The most traffic that the canary may be getting.
    pub(super) fn highest(&self) -> Weight {
        match self {
            Self::Weight(weight) | Self::Mixed { highest: weight } => *weight,
            Self::Unusable(_) => Weight::ZERO,
        }
    }
}

/// Reads the canary weight from all traffic objects.
pub(super) fn observe(snapshot: &Snapshot) -> Observed {
    let mut weights = Vec::new();
    for route in &snapshot.routes {
        match weight_of(snapshot, route) {
            Ok(weight) => weights.push(weight),
            Err(why) => return Observed::Unusable(why),
        }
    }
    let highest = weights.iter().copied().max().unwrap_or(Weight::ZERO);
    if weights.iter().all(|weight| *weight == highest) {
        Observed::Weight(highest)
    } else {
        Observed::Mixed { highest }
    }
}

/// The writes that bring every traffic object to `weight` and publish the claim on what they set (DESIGN §6).
pub(super) fn shift(snapshot: &Snapshot, weight: Weight) -> Result<Vec<Act>, String> {
    let mut acts = Vec::new();
    for route in &snapshot.routes {
        let Some(live) = &route.object else { return Err(missing(route)) };
        let before = weight_of(snapshot, route)?;
        let wanted = with_weight(snapshot, route, live, weight)?;
        let Some(mut patch) = merge_patch(&live.to_json(), &wanted.into_json()) else { continue };
        if let Some(metadata) = patch.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.remove("managedFields");
        }
        let act = Act::new(Action::Patch {
            target: ObjectRef::of(&kinds::virtual_service(), live),
            patch,
            precondition: Precondition::exact(live),
        });
        acts.push(if weight > before { act.destructive() } else { act.shedding() });
    }
    Ok(acts)
}

fn missing(route: &RouteView) -> String {
    format!("VirtualService {}/{} does not exist", route.namespace, route.name)
}

fn services(snapshot: &Snapshot) -> Option<(&str, &str)> {
    let canary = snapshot.canary()?;
    Some((canary.canary_service.as_deref()?, canary.stable_service.as_deref()?))
}

/// The canary weight of one traffic object: the weight of the canary Service in the routes that the entry names.
fn weight_of(snapshot: &Snapshot, route: &RouteView) -> Result<Weight, String> {
    let Some(live) = &route.object else { return Err(missing(route)) };
    let (canary, _) = services(snapshot).ok_or("canaryService and stableService are needed")?;
    let mut weights = Vec::new();
    for http in chosen(live, route)? {
        let destinations = http.get("route").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let weight = destinations.iter().find(|destination| is_host(destination, canary)).map(weight_value);
        weights.push(weight.ok_or_else(|| {
            format!("VirtualService {}/{} has no destination for Service {canary}", route.namespace, route.name)
        })?);
    }
    let first = weights.iter().copied().max().unwrap_or(0);
    Weight::new(i64::try_from(first).unwrap_or(i64::MAX)).map_err(|error| error.to_string())
}

fn weight_value(destination: &Value) -> u64 {
    destination.get("weight").and_then(Value::as_u64).unwrap_or(0)
}

fn is_host(destination: &Value, service: &str) -> bool {
    let host = destination.pointer("/destination/host").and_then(Value::as_str).unwrap_or_default();
    host.split('.').next() == Some(service)
}

fn chosen<'a>(live: &'a Object, route: &RouteView) -> Result<Vec<&'a Value>, String> {
    let all = live.list_at("/spec/http");
    let indexes = chosen_indexes(all, route)?;
    Ok(indexes.into_iter().filter_map(|index| all.get(index)).collect())
}

fn chosen_indexes(all: &[Value], route: &RouteView) -> Result<Vec<usize>, String> {
    let name = |item: &Value| item.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
    if route.entry.routes.is_empty() {
        let unnamed = all.iter().position(|item| name(item).is_empty());
        let only = if all.len() == 1 { Some(0) } else { unnamed };
        return only.map(|index| vec![index]).ok_or_else(|| {
            format!("VirtualService {}/{} has several HTTP routes; name one", route.namespace, route.name)
        });
    }
    let find = |wanted: &String| {
        let index = all.iter().position(|item| name(item) == *wanted);
        index.ok_or_else(|| format!("VirtualService {}/{} has no HTTP route `{wanted}`", route.namespace, route.name))
    };
    route.entry.routes.iter().map(find).collect()
}

/// The object with the canary at `weight`, stable at the rest, and the claim on both.
fn with_weight(snapshot: &Snapshot, route: &RouteView, live: &Object, weight: Weight) -> Result<Object, String> {
    let (canary, stable) = services(snapshot).ok_or("canaryService and stableService are needed")?;
    let indexes = chosen_indexes(live.list_at("/spec/http"), route)?;
    let mut object = live.clone();
    let mut pointers = Vec::new();
    let Some(list) =
        object.json_mut().get_mut("spec").and_then(|spec| spec.get_mut("http")).and_then(Value::as_array_mut)
    else {
        return Err(format!("VirtualService {}/{} has no HTTP routes", route.namespace, route.name));
    };
    for index in indexes {
        let Some(destinations) =
            list.get_mut(index).and_then(|http| http.get_mut("route")).and_then(Value::as_array_mut)
        else {
            continue;
        };
        for (place, destination) in destinations.iter_mut().enumerate() {
            let share = if is_host(destination, canary) {
                weight.get()
            } else if is_host(destination, stable) {
                weight.complement(Weight::FULL.get()).get()
            } else {
                continue;
            };
            if let Some(map) = destination.as_object_mut() {
                map.insert("weight".to_owned(), share.into());
            }
            pointers.push(format!("/spec/http/{index}/route/{place}/weight"));
        }
    }
    if let Some(claims) = act::claims_at(live, snapshot, &pointers) {
        object.set_annotation(names::CLAIMS, &claims);
    }
    Ok(object)
}
