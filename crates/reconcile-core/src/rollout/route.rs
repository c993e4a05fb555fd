//! The split of traffic as the rollout engine needs it, over the providers of traffic-split.

use std::collections::BTreeMap;

use api::names;
use object_model::{Object, ObjectId, PodHash, Weight};
use serde_json::Value;
use traffic_split::{Change, SplitPlan};

use super::act;
use super::routing::{kind_of, split};
use super::snapshot::Snapshot;
use crate::bugs::{self, Bug};
use crate::patch::merge_patch;
use crate::{Act, Action, ObjectRef, Precondition, Propagation, kinds};

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

/// Reads the canary weight from all traffic objects.
pub(super) fn observe(snapshot: &Snapshot) -> Observed {
    let routing = &snapshot.routing;
    let seen = routing.shares(snapshot, None);
    let weights: Vec<Weight> = seen.map(|route| Weight::capped(route.canary, snapshot.weight_total())).collect();
    let highest = weights.iter().copied().max().unwrap_or(Weight::ZERO);
    if let Some(kind) = routing.absent.first() {
        return Observed::Unusable { why: format!("the cluster serves no {kind}"), highest };
    }
    let planned = traffic_split::plan(&split(snapshot, Weight::ZERO), &routing.targets, &routing.live);
    if let Some(error) = planned.errors.first() {
        return Observed::Unusable { why: error.to_string(), highest };
    }
    if weights.iter().all(|weight| *weight == highest) {
        Observed::Weight(highest)
    } else {
        Observed::Mixed { highest }
    }
}

/// The writes that bring every traffic object to `weight` and publish the claim on what they set (DESIGN §6).
///
/// Objects that select pods are written first and alone, so that no weight moves to a selection that is not there yet;
/// but an abort waits for nothing.
pub(super) fn shift(snapshot: &Snapshot, weight: Weight) -> Vec<Act> {
    let routing = &snapshot.routing;
    let others: Vec<u32> = routing.shares(snapshot, None).map(|seen| seen.other).collect();
    let wanted: u32 = routing.additional.iter().map(|(_, weight)| weight.get()).sum();
    let is_lower = routing.shares(snapshot, None).any(|seen| seen.canary < weight.get());
    let raises = is_lower || others.iter().any(|have| *have < wanted);
    let mut planned = traffic_split::plan(&split(snapshot, weight), &routing.targets, &routing.live);
    if !snapshot.status.abort && planned.changes.iter().any(Change::selects_pods) {
        // What an experiment's share went to is taken away after the share.
        let sheds = others.iter().any(|have| *have > wanted);
        let weights_first = sheds && !planned.changes.iter().all(Change::selects_pods);
        planned.changes.retain(|change| change.selects_pods() != weights_first);
        planned.claims.retain(|claim| planned.changes.iter().any(|change| change.id == claim.object));
    }
    writes(snapshot, planned, raises)
}

/// The writes that let the subsets without a Service of their own select these versions, at the weights that are there.
pub(super) fn select_subsets(snapshot: &Snapshot, canary: Option<&PodHash>, stable: Option<&PodHash>) -> Vec<Act> {
    let routing = &snapshot.routing;
    let (Some(_), Observed::Weight(weight)) = (&routing.selected, observe(snapshot)) else { return Vec::new() };
    let mut wanted = split(snapshot, weight);
    if let (None, Some(hash)) = (&snapshot.services.main.names.canary, canary) {
        wanted.canary.pod_hash = Some(hash.clone());
    }
    if let (None, Some(hash)) = (&snapshot.services.main.names.stable, stable) {
        wanted.stable.pod_hash = Some(hash.clone());
    }
    let mut planned = traffic_split::plan(&wanted, &routing.targets, &routing.live);
    planned.changes.retain(Change::selects_pods);
    planned.claims.retain(|claim| planned.changes.iter().any(|change| change.id == claim.object));
    writes(snapshot, planned, true)
}

/// The writes that take our hashes, mark and claims out of objects that the spec names no more.
pub(super) fn leave_behind(snapshot: &Snapshot) -> Vec<Act> {
    let left = snapshot.routing.left_behind.iter().filter_map(|live| {
        let mut object = traffic_split::left_behind(live)?;
        unclaim(&mut object, snapshot);
        let patch = merge_patch(&live.to_json(), &object.into_json())?;
        let kind = if live.kind() == "Service" { kinds::service() } else { kind_of(&live.id())? };
        let target = ObjectRef::of(&kind, live);
        Some(Act::new(Action::Patch { target, patch, precondition: Precondition::exact(live) }).destructive())
    });
    left.collect()
}

/// The writes that leave the traffic objects behind when their Rollout goes away.
pub(super) fn release(snapshot: &Snapshot) -> Vec<Act> {
    let routing = &snapshot.routing;
    let mut planned = traffic_split::restore(&split(snapshot, Weight::ZERO), &routing.targets, &routing.live);
    for change in &mut planned.changes {
        if let traffic_split::Action::Update(object) = &mut change.action {
            unclaim(object, snapshot);
        }
    }
    let gone: Vec<ObjectId> = planned.changes.iter().map(|change| change.id.clone()).collect();
    let mut acts = writes(snapshot, planned, false);
    for live in routing.live.iter().filter(|(id, _)| !gone.contains(id)).map(|(_, live)| live) {
        let mut object = live.clone();
        unclaim(&mut object, snapshot);
        acts.extend(update(live, object));
    }
    acts
}

fn writes(snapshot: &Snapshot, planned: SplitPlan, raises: bool) -> Vec<Act> {
    let mut claims: BTreeMap<ObjectId, Vec<String>> = BTreeMap::new();
    for claim in planned.claims {
        claims.entry(claim.object).or_default().push(claim.pointer);
    }
    let mut wanted: BTreeMap<ObjectId, Object> = BTreeMap::new();
    let mut acts = Vec::new();
    for change in planned.changes {
        match change.action {
            traffic_split::Action::Create(object) => acts.extend(create(object, raises)),
            traffic_split::Action::Delete(object) => acts.extend(delete(&object)),
            traffic_split::Action::Update(object) => {
                wanted.insert(change.id, object);
            }
        }
    }
    for (id, live) in &snapshot.routing.live {
        let mut object = wanted.get(id).unwrap_or(live).clone();
        if bugs::on(Bug::StableWeightStays) && object.kind() == "VirtualService" {
            let stays = object.json_mut().get_mut("spec").and_then(|spec| spec.pointer_mut("/http/0/route/0/weight"));
            stays.into_iter().for_each(|weight| *weight = 100.into());
        }
        if let Some(text) = claims.get(id).and_then(|pointers| act::claims_at(live, snapshot, pointers)) {
            object.set_annotation(names::CLAIMS, &text);
        }
        let shifts = wanted.contains_key(id);
        let Some(act) = update(live, object) else { continue };
        acts.push(match (shifts, raises) {
            (true, true) => act.destructive(),
            (true, false) => act.shedding(),
            (false, _) => act,
        });
    }
    acts
}

fn update(live: &Object, wanted: Object) -> Option<Act> {
    let patch = merge_patch(&live.to_json(), &wanted.into_json())?;
    let target = ObjectRef::of(&kind_of(&live.id())?, live);
    Some(Act::new(Action::Patch { target, patch, precondition: Precondition::exact(live) }))
}

/// Takes this Rollout's claims off an object; those of others stay.
fn unclaim(object: &mut Object, snapshot: &Snapshot) {
    if object.annotation(names::CLAIMS).is_none() {
        return;
    }
    match act::claims_at(object, snapshot, &[]) {
        Some(text) => object.set_annotation(names::CLAIMS, &text),
        None => {
            if let Some(Value::Object(annotations)) =
                object.json_mut().get_mut("metadata").and_then(|metadata| metadata.get_mut("annotations"))
            {
                annotations.remove(names::CLAIMS);
            }
        }
    }
}

fn create(object: Object, raises: bool) -> Option<Act> {
    let act = Act::new(Action::Create { kind: kind_of(&object.id())?, object: Box::new(object) });
    Some(if raises { act.destructive() } else { act })
}

/// Only objects without weight are deleted, or those of a Rollout that goes away: both only shed.
fn delete(object: &Object) -> Option<Act> {
    let target = ObjectRef::of(&kind_of(&object.id())?, object);
    let precondition = Precondition::exact(object);
    Some(Act::new(Action::Delete { target, precondition, propagation: Propagation::Background }).shedding())
}

/// The writes that publish the claims at the weights that are there, before anything is shifted: sync must know first.
pub(super) fn claim(snapshot: &Snapshot, observed: &Observed) -> Vec<Act> {
    match observed {
        Observed::Weight(weight) => shift(snapshot, *weight),
        _ => Vec::new(),
    }
}
