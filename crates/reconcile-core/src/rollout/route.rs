//! The split of traffic as the rollout engine needs it, over the providers of traffic-split.

use std::collections::BTreeMap;

use api::names;
use object_model::{Object, ObjectId, Weight};
use serde_json::Value;
use traffic_split::{Destination, Split};

use super::snapshot::Snapshot;
use super::{act, managed_routes};
use crate::patch::merge_patch;
use crate::{Act, Action, ObjectRef, Precondition, kinds};

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
    Unusable {
        /// Why.
        why: String,
        /// The most that any of the others gives the canary.
        highest: Weight,
    },
}

impl Observed {
    /// The most traffic that the canary may be getting.
    pub(super) fn highest(&self) -> Weight {
        match self {
            Self::Weight(weight) | Self::Mixed { highest: weight } | Self::Unusable { highest: weight, .. } => *weight,
        }
    }

    /// Whether something stands in the way of a split.
    pub(super) fn is_unusable(&self) -> bool {
        matches!(self, Self::Unusable { .. })
    }
}

fn split(snapshot: &Snapshot, weight: Weight) -> Split {
    let canary = snapshot.canary();
    let service = |name: Option<&String>| Destination::service(name.map(String::as_str).unwrap_or_default());
    let canary_service = service(canary.and_then(|canary| canary.canary_service.as_ref()));
    let stable_service = service(canary.and_then(|canary| canary.stable_service.as_ref()));
    let mut split = Split::new(canary_service, stable_service, weight);
    split.managed_routes = canary.map(|canary| canary.managed_routes.clone()).unwrap_or_default();
    (split.header_routes, split.mirror_routes) = managed_routes::wanted(snapshot);
    split
}

/// Reads the canary weight from all traffic objects.
pub(super) fn observe(snapshot: &Snapshot) -> Observed {
    let routing = &snapshot.routing;
    let wanted = split(snapshot, Weight::ZERO);
    let seen = traffic_split::observe(&wanted, &routing.targets, &routing.live);
    let weights: Vec<Weight> =
        seen.iter().map(|route| Weight::new(i64::from(route.canary)).unwrap_or(Weight::FULL)).collect();
    let highest = weights.iter().copied().max().unwrap_or(Weight::ZERO);
    if let Some(error) = traffic_split::plan(&wanted, &routing.targets, &routing.live).errors.first() {
        return Observed::Unusable { why: error.to_string(), highest };
    }
    if weights.iter().all(|weight| *weight == highest) {
        Observed::Weight(highest)
    } else {
        Observed::Mixed { highest }
    }
}

/// The writes that bring every traffic object to `weight` and publish the claim on what they set (DESIGN §6).
pub(super) fn shift(snapshot: &Snapshot, weight: Weight) -> Vec<Act> {
    let raises = weight > observe(snapshot).highest();
    let routing = &snapshot.routing;
    let planned = traffic_split::plan(&split(snapshot, weight), &routing.targets, &routing.live);
    let mut claims: BTreeMap<ObjectId, Vec<String>> = BTreeMap::new();
    for claim in planned.claims {
        claims.entry(claim.object).or_default().push(claim.pointer);
    }
    let changes = planned.changes.into_iter().map(|change| (change.id.clone(), change.into_object()));
    let wanted: BTreeMap<ObjectId, Object> = changes.collect();
    let mut acts = Vec::new();
    for (id, live) in &routing.live {
        let mut object = wanted.get(id).unwrap_or(live).clone();
        if let Some(text) = claims.get(id).and_then(|pointers| act::claims_at(live, snapshot, pointers)) {
            object.set_annotation(names::CLAIMS, &text);
        }
        let Some(patch) = merge_patch(&live.to_json(), &object.into_json()) else { continue };
        let shifts = patch.get("spec").is_some();
        let act = Act::new(write(live, patch));
        acts.push(match (shifts, raises) {
            (true, true) => act.destructive(),
            (true, false) => act.shedding(),
            (false, _) => act,
        });
    }
    acts
}

fn write(live: &Object, patch: Value) -> Action {
    Action::Patch {
        target: ObjectRef::of(&kinds::virtual_service(), live),
        patch,
        precondition: Precondition::exact(live),
    }
}

/// The writes that publish the claims at the weights that are there, before anything is shifted: sync must know first.
pub(super) fn claim(snapshot: &Snapshot, observed: &Observed) -> Vec<Act> {
    match observed {
        Observed::Weight(weight) => shift(snapshot, *weight),
        _ => Vec::new(),
    }
}
