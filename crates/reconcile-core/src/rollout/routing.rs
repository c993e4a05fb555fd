//! The traffic objects of a Rollout: which providers its spec names, what of them is live, and what they give the canary.

use std::collections::{BTreeMap, BTreeSet};

use api::Problem;
use api::argo::Canary;
use object_model::{Object, ObjectId, OwnerReference, PodHash, Uid, Weight};
use traffic_split::{Destination, Live, Observed, Selected, Split, Target, Turns};

use super::managed_routes;
use super::services::ServicePair;
use super::snapshot::Snapshot;
use crate::patch::apply_merge;
use crate::{Action, Kind, View, kinds};

/// How often objects may name further objects: a VirtualService names a VirtualRouter, and that is all.
const ROUNDS_MAX: usize = 3;

/// The traffic objects that carry the split.
#[derive(Debug, Clone, Default)]
pub struct Routing {
    /// The providers and what they set.
    pub targets: Vec<Target>,
    /// The objects of the targets that exist.
    pub live: BTreeMap<ObjectId, Object>,
    /// Kinds that a target would make objects of and that the cluster does not serve.
    pub absent: Vec<String>,
    /// Names kept for header and mirror routes, first match first.
    pub managed_routes: Vec<String>,
    /// Experiments with shares of their own.
    pub additional: Vec<(Destination, Weight)>,
    /// The versions that a DestinationRule selects, when there is one.
    pub selected: Option<Selected>,
    /// Objects that this Rollout drove once and that its spec names no more.
    pub left_behind: Vec<Object>,
}

impl Routing {
    /// Reads the targets of a Rollout and what of their objects is there. Mistakes make the spec invalid.
    pub(super) fn observe(view: &dyn View, rollout: &Object, canary: &Canary, problems: &mut Vec<Problem>) -> Self {
        let Some(section) = &canary.routing else { return Self::default() };
        let namespace = rollout.namespace().unwrap_or_default();
        let owner = OwnerReference {
            api_version: rollout.api_version().to_owned(),
            kind: rollout.kind().to_owned(),
            name: rollout.name().to_owned(),
            uid: rollout.uid().unwrap_or_else(|| Uid::new("")),
            controller: true,
            block_owner_deletion: true,
        };
        let (targets, errors) = Target::parse_all(section, namespace, &owner);
        problems.extend(errors.iter().map(|error| Problem::new("spec.strategy.canary", error.to_string())));
        let live = live_objects(view, &targets);
        let made = kinds::traffic().into_iter().filter(|kind| kind.kind == "TrafficSplit");
        let is_missing = |kind: &Kind| {
            let wanted = targets.iter().flat_map(|target| target.objects(&live)).filter(|id| id.kind == kind.kind);
            wanted.into_iter().any(|id| !live.contains_key(&id))
                && view.resolve(&kind.api_version(), &kind.kind).is_none()
        };
        let absent = made.filter(is_missing).map(|kind| format!("{} {}", kind.api_version(), kind.kind)).collect();
        let selected = traffic_split::selected(&targets, &live);
        Self { targets, live, absent, selected, managed_routes: canary.managed_routes.clone(), ..Self::default() }
    }

    /// Adds what the Rollout drove once and names no more; `named` are the Services that it names.
    pub(super) fn with_left_behind(mut self, view: &dyn View, rollout: &Object, named: &[Option<&String>]) -> Self {
        let namespace = rollout.namespace().unwrap_or_default();
        let rules = kinds::traffic().into_iter().filter(|kind| kind.kind == "DestinationRule");
        // Marked objects wake their Rollout by themselves (see `concerns`); nobody else's should.
        let all = rules.chain([kinds::service()]).flat_map(|kind| view.glance_marked(&kind, namespace, rollout.name()));
        let is_named = |object: &Object| match object.kind() {
            "Service" => named.iter().flatten().any(|name| *name == object.name()),
            _ => self.targets.iter().any(|target| target.objects(&self.live).contains(&object.id())),
        };
        let is_left = |object: &std::sync::Arc<Object>| is_marked_by(rollout, object) && !is_named(object);
        self.left_behind = all.filter(is_left).map(|object| (*object).clone()).collect();
        self
    }

    /// The versions that the subsets would select after an action.
    pub(super) fn selected_after(&self, action: &Action) -> Option<Selected> {
        traffic_split::selected(&self.targets, &self.after(action)?)
    }

    /// What every route gives the canary, as it is or as it would be after an action.
    pub(super) fn shares(&self, snapshot: &Snapshot, action: Option<&Action>) -> impl Iterator<Item = Observed> {
        let split = split(snapshot, Weight::ZERO);
        let seen = match action.and_then(|action| self.after(action)) {
            Some(live) => traffic_split::observe(&split, &self.targets, &live),
            None => traffic_split::observe(&split, &self.targets, &self.live),
        };
        seen.into_iter()
    }

    /// The Services between which a traffic object divides.
    pub(super) fn pair_of<'a>(&self, snapshot: &'a Snapshot, object: &ObjectId) -> &'a ServicePair {
        let prefers_turns =
            |target: &Target| matches!(target, Target::Alb(_)) && target.objects(&self.live).contains(object);
        let turns = snapshot.services.turns().filter(|_| self.targets.iter().any(prefers_turns));
        turns.unwrap_or(&snapshot.services.main)
    }

    /// Whether an action writes this traffic object.
    pub(super) fn writes(&self, action: &Action, object: &ObjectId) -> bool {
        match action {
            Action::Create { object: made, .. } => made.id() == *object,
            Action::Patch { target, .. } => target.id() == *object,
            _ => false,
        }
    }

    fn after(&self, action: &Action) -> Option<Live> {
        let mut live = self.live.clone();
        match action {
            Action::Create { object, .. } => {
                live.insert(object.id(), (**object).clone());
            }
            Action::Patch { target, patch, .. } => {
                let mut json = live.get(&target.id())?.to_json();
                apply_merge(&mut json, patch);
                live.insert(target.id(), Object::parse(json).ok()?);
            }
            _ => return None,
        }
        Some(live)
    }
}

/// The split that is wanted at a canary weight. The versions are those that the Services select now: whatever selects
/// pods by itself follows the Services, which are switched only when that is safe.
pub(super) fn split(snapshot: &Snapshot, weight: Weight) -> Split {
    let place = |name: Option<&String>, service: Option<PodHash>, subset: fn(&Selected) -> Option<PodHash>| {
        // Without a Service of its own a subset keeps what it has; `select` moves it.
        let hash = match name {
            Some(_) => service,
            None => snapshot.routing.selected.as_ref().and_then(subset),
        };
        Destination { service: name.cloned().unwrap_or_default(), pod_hash: hash }
    };
    let (routing, main) = (&snapshot.routing, &snapshot.services.main);
    let (header_routes, mirror_routes) = managed_routes::wanted(snapshot);
    Split {
        total: snapshot.weight_total(),
        turns: snapshot.services.turns().map(|pair| turns(snapshot, pair, weight)),
        additional: routing.additional.clone(),
        header_routes,
        mirror_routes,
        managed_routes: routing.managed_routes.clone(),
        ..Split::new(
            place(main.names.canary.as_ref(), main.canary_hash(), |selected| selected.canary.clone()),
            place(main.names.stable.as_ref(), main.stable_hash(), |selected| selected.stable.clone()),
            weight,
        )
    }
}

/// The same for the pair that takes turns. What became stable is reached by its role: whatever the fixed Services still
/// need, what has the other role then only loses traffic.
fn turns(snapshot: &Snapshot, pair: &ServicePair, weight: Weight) -> Turns {
    let is_promoted = snapshot.status.stable.as_ref() == Some(&snapshot.hash);
    let weight = match is_promoted && weight > Weight::ZERO {
        true => weight.min(in_turns(snapshot, pair)),
        false => weight,
    };
    let place = |name: Option<&String>, pod_hash: Option<PodHash>| Destination {
        service: name.cloned().unwrap_or_default(),
        pod_hash,
    };
    Turns {
        canary: place(pair.names.canary.as_ref(), pair.canary_hash()),
        stable: place(pair.names.stable.as_ref(), pair.stable_hash()),
        weight,
    }
}

/// The most that the canary gets by the pair that takes turns.
fn in_turns(snapshot: &Snapshot, pair: &ServicePair) -> Weight {
    let shares = snapshot.routing.shares(snapshot, None);
    let own = shares.filter(|seen| snapshot.routing.pair_of(snapshot, &seen.object).names == pair.names);
    Weight::capped(own.map(|seen| seen.canary).max().unwrap_or(0), snapshot.weight_total())
}

/// The kind of a traffic object, in the version that is watched.
pub(super) fn kind_of(id: &ObjectId) -> Option<Kind> {
    kinds::traffic().into_iter().find(|kind| kind.group == id.group && kind.kind == id.kind)
}

fn live_objects(view: &dyn View, targets: &[Target]) -> Live {
    let mut live = Live::new();
    for (group, kind, namespace) in targets.iter().flat_map(Target::lists) {
        let Some(kind) = kind_of(&ObjectId::new(&group, &kind, None, "")) else { continue };
        live.extend(view.list(&kind, &namespace).into_iter().map(|object| (object.id(), (*object).clone())));
    }
    let mut asked = BTreeSet::new();
    for _ in 0..ROUNDS_MAX {
        let named = targets.iter().flat_map(|target| target.objects(&live));
        let new: Vec<ObjectId> = named.filter(|id| asked.insert(id.clone())).collect();
        if new.is_empty() {
            break;
        }
        for id in new {
            let Some(kind) = kind_of(&id) else { continue };
            if let Some(object) = view.get(&kind, id.namespace.as_deref().unwrap_or_default(), &id.name) {
                live.insert(id, (*object).clone());
            }
        }
    }
    live
}

/// Whether an object carries the mark of what this Rollout drives.
fn is_marked_by(rollout: &Object, object: &Object) -> bool {
    object.annotation(traffic_split::MANAGED_BY_ANNOTATION) == Some(rollout.name())
        && object.namespace() == rollout.namespace()
}

/// Whether a traffic object matters to a Rollout that does not name it: it was made for it or driven by it once, is
/// named by another object, or may be selected by its labels.
pub(super) fn concerns(rollout: &Object, object: &Object) -> bool {
    if matches!(object.kind(), "DestinationRule" | "Service") && is_marked_by(rollout, object) {
        return true;
    }
    if object.controller().is_some_and(|owner| Some(owner.uid) == rollout.uid()) {
        return true;
    }
    let Some(routing) = rollout.pointer("/spec/strategy/canary/trafficRouting") else { return false };
    let same_namespace = rollout.namespace() == object.namespace();
    let is_set = |pointer: &str| routing.pointer(pointer).is_some_and(|value| !value.is_null());
    match object.kind() {
        "VirtualRouter" => same_namespace && is_set("/appMesh"),
        kind @ ("HTTPRoute" | "GRPCRoute" | "TCPRoute" | "TLSRoute") => {
            let key = format!("{}Route", kind.trim_end_matches("Route").to_lowercase());
            is_set(&format!("/plugins/argoproj-labs~1gatewayAPI/{key}Selector"))
        }
        _ => false,
    }
}
