//! The Services of the two roles: which versions they select, and which they may select now.
//!
//! A canary names two fixed Services, two that take turns, or both pairs. ALB leads to the pair that takes turns, every
//! other provider to the fixed one; where both are there, their Services go from row to row like this:
//!
//! | moment | fixed stable | fixed canary | turn of stable | turn of canary | weights |
//! |---|---|---|---|---|---|
//! | rest | stable | stable | stable | the version before | 0 |
//! | the new version gets pods | stable | stable, then new | stable | the version before, then new | 0 |
//! | on a step | stable | new | stable | new | the step's, once both canaries are new |
//! | promoted | the version before, until new has all pods | new | new, by its role | the version before | fixed 100, turns 0 |
//! | stable is switched | new | new | new | the version before | fixed falls to 0 |
//! | aborted | stable | new, at weight 0 stable | stable | new | fall to 0 |
//!
//! A Service of a pair that takes turns never changes its pods while it has traffic; a fixed one changes them at weight 0,
//! or, for stable, between two versions that both have all their pods.

use std::sync::Arc;

use api::argo::{Canary, RolloutStatus};
use api::names;
use object_model::{Object, PodHash, Weight};

use super::act;
use super::ping_pong::ServiceNames;
use super::progress::Progress;
use super::replica_set::ReplicaSetView;
use super::route::{self, Observed};
use super::snapshot::Snapshot;
use crate::bugs::{self, Bug};
use crate::{Act, Action, Plan};

/// Two Services that lead to the two versions.
#[derive(Debug, Clone, Default)]
pub struct ServicePair {
    /// Their names.
    pub names: ServiceNames,
    /// The one for the canary, when it exists.
    pub canary: Option<Arc<Object>>,
    /// The one for stable, when it exists.
    pub stable: Option<Arc<Object>>,
    /// Whether they change their roles at a promotion.
    pub takes_turns: bool,
}

/// All Services that a canary names.
#[derive(Debug, Clone, Default)]
pub struct RoleServices {
    /// Those that traffic is divided between, but for what prefers the others.
    pub main: ServicePair,
    /// The other pair, when both are named: the one that takes turns, or what there is of a fixed one.
    pub beside: Option<ServicePair>,
}

impl RoleServices {
    /// Reads the names off the strategy and the status, and finds the Services.
    pub(super) fn observe(
        canary: Option<&Canary>,
        status: &RolloutStatus,
        find: impl Fn(Option<&String>) -> Option<Arc<Object>>,
    ) -> Self {
        let Some(canary) = canary else { return Self::default() };
        let pair = |names: ServiceNames, takes_turns: bool| ServicePair {
            canary: find(names.canary.as_ref()),
            stable: find(names.stable.as_ref()),
            names,
            takes_turns,
        };
        let fixed = ServiceNames::fixed(canary);
        let Some(turns) = ServiceNames::in_turns(canary, status) else {
            return Self { main: pair(fixed, false), beside: None };
        };
        match (&fixed.canary, &fixed.stable) {
            (None, None) => Self { main: pair(turns, true), beside: None },
            (Some(_), Some(_)) => Self { main: pair(fixed, false), beside: Some(pair(turns, true)) },
            // Half a pair can't carry a split; its Service follows its role all the same.
            _ => Self { main: pair(turns, true), beside: Some(pair(fixed, false)) },
        }
    }

    /// Every pair.
    pub fn pairs(&self) -> impl Iterator<Item = &ServicePair> {
        std::iter::once(&self.main).chain(&self.beside)
    }

    /// The pair that takes turns where most providers lead to a fixed one.
    pub fn turns(&self) -> Option<&ServicePair> {
        self.beside.as_ref().filter(|pair| pair.takes_turns)
    }
}

/// What a Service is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Canary,
    Stable,
}

impl ServicePair {
    fn name(&self, role: Role) -> Option<&String> {
        match role {
            Role::Canary => self.names.canary.as_ref(),
            Role::Stable => self.names.stable.as_ref(),
        }
    }

    fn service(&self, role: Role) -> Option<&Object> {
        match role {
            Role::Canary => self.canary.as_deref(),
            Role::Stable => self.stable.as_deref(),
        }
    }

    /// The version that the canary's Service of this pair selects.
    pub(super) fn canary_hash(&self) -> Option<PodHash> {
        selected(self.canary.as_deref())
    }

    /// The version that the stable Service of this pair selects.
    pub(super) fn stable_hash(&self) -> Option<PodHash> {
        selected(self.stable.as_deref())
    }
}

/// The version that a Service selects.
pub(super) fn selected(service: Option<&Object>) -> Option<PodHash> {
    let pointer = format!("/spec/selector/{}", names::POD_TEMPLATE_HASH);
    service?.str_at(&pointer).filter(|hash| !hash.is_empty()).map(PodHash::new)
}

/// The version that the Service of a role selects, or the subset of a DestinationRule where no Service is named.
fn hash_of(snapshot: &Snapshot, pair: &ServicePair, role: Role) -> Option<PodHash> {
    if pair.name(role).is_some() {
        return selected(pair.service(role));
    }
    let subsets = snapshot.routing.selected.as_ref()?;
    match role {
        Role::Canary => subsets.canary.clone(),
        Role::Stable => subsets.stable.clone(),
    }
}

/// The versions that the Services of a role select: the main pair's first, and then what the other one names.
fn hashes(snapshot: &Snapshot, role: Role) -> impl Iterator<Item = Option<PodHash>> {
    let services = &snapshot.services;
    let beside = services.beside.as_ref().filter(|pair| pair.name(role).is_some());
    std::iter::once(&services.main).chain(beside).map(move |pair| hash_of(snapshot, pair, role))
}

/// Whether every stable Service selects this version.
pub(super) fn stable_selects(snapshot: &Snapshot, hash: &PodHash) -> bool {
    hashes(snapshot, Role::Stable).all(|selected| selected.as_ref() == Some(hash))
}

/// Whether every Service of the canary selects this version.
pub(super) fn canary_selects(snapshot: &Snapshot, hash: &PodHash) -> bool {
    hashes(snapshot, Role::Canary).all(|selected| selected.as_ref() == Some(hash))
}

/// Whether any stable Service selects this version.
pub(super) fn some_stable_selects(snapshot: &Snapshot, hash: &PodHash) -> bool {
    hashes(snapshot, Role::Stable).any(|selected| selected.as_ref() == Some(hash))
}

/// Whether any Service of the canary selects this version.
pub(super) fn some_canary_selects(snapshot: &Snapshot, hash: &PodHash) -> bool {
    hashes(snapshot, Role::Canary).any(|selected| selected.as_ref() == Some(hash))
}

/// Whether a Service leads to this version for good. Of two that take turns the idle one goes on selecting the last version
/// until the next one comes.
pub(super) fn keeps(snapshot: &Snapshot, hash: &PodHash) -> bool {
    let fixed = |pair: &&ServicePair| !pair.takes_turns;
    let mut fixed = snapshot.services.pairs().filter(fixed);
    some_stable_selects(snapshot, hash)
        || fixed.any(|pair| hash_of(snapshot, pair, Role::Canary).as_ref() == Some(hash))
}

/// The version that the canary's Service of the main pair selects, or its subset.
pub(super) fn canary_hash(snapshot: &Snapshot) -> Option<PodHash> {
    hash_of(snapshot, &snapshot.services.main, Role::Canary)
}

/// The versions that any Service or subset of the two roles selects.
pub(super) fn all_hashes(snapshot: &Snapshot) -> impl Iterator<Item = PodHash> {
    hashes(snapshot, Role::Stable).chain(hashes(snapshot, Role::Canary)).flatten()
}

/// Whether every Service that the Rollout names selects this version.
pub(super) fn services_select(snapshot: &Snapshot, hash: &PodHash) -> bool {
    let main = &snapshot.services.main;
    let is_asked = |role: Role| main.name(role).is_some() || snapshot.routing.selected.is_some();
    (!is_asked(Role::Canary) || canary_selects(snapshot, hash))
        && (!is_asked(Role::Stable) || stable_selects(snapshot, hash))
}

/// Points the Services, or the subsets of a DestinationRule in their place, at the versions they are for: never at one
/// without ready pods while another has some.
pub(super) fn select(snapshot: &Snapshot, progress: &Progress, observed: &Observed, plan: &mut Plan) {
    let Some(new) = snapshot.new_set() else { return };
    for pair in snapshot.services.pairs() {
        let goals = [
            (pair.stable.as_deref(), stable_goal(snapshot, progress, pair, new)),
            (pair.canary.as_deref(), canary_goal(snapshot, progress, observed, pair, new)),
        ];
        for (service, to) in goals {
            let (Some(service), Some(to)) = (service, to) else { continue };
            if may_adopt(snapshot, service, to) {
                act::switch(snapshot, Some(service), to, plan);
            }
        }
    }
    let main = &snapshot.services.main;
    let to_stable = stable_goal(snapshot, progress, main, new).map(|to| &to.hash);
    let to_canary = canary_goal(snapshot, progress, observed, main, new).map(|to| &to.hash);
    let subsets = route::select_subsets(snapshot, to_canary, to_stable);
    let target = |act: &Act| match &act.action {
        Action::Patch { target, .. } => Some(target.id()),
        _ => None,
    };
    // An object that this plan writes already, to publish a claim, is written again when that was seen.
    let is_written = |act: &Act| plan.acts().any(|other| target(other).is_some() && target(other) == target(act));
    if !subsets.iter().any(is_written) {
        plan.stage(subsets);
    }
}

/// A Service that selects no version yet may serve the pods of somebody else: it is taken over once the version has all
/// of its own.
fn may_adopt(snapshot: &Snapshot, service: &Object, to: &ReplicaSetView) -> bool {
    let is_ours = service.annotation(names::MANAGED_BY_ROLLOUTS) == Some(snapshot.rollout.name());
    selected(Some(service)).is_some() || to.available >= snapshot.spec.replicas || (is_ours && to.available > 0)
}

/// The version that the stable Service of a pair may select now; nothing when it stays as it is.
fn stable_goal<'a>(
    snapshot: &'a Snapshot,
    progress: &Progress,
    pair: &ServicePair,
    new: &'a ReplicaSetView,
) -> Option<&'a ReplicaSetView> {
    let stable = progress.stable_set(snapshot).unwrap_or(new);
    let now = hash_of(snapshot, pair, Role::Stable);
    // The Service may still select a version whose pods serve: one that was stable, or one that never came so far.
    let serves_another = match progress.stable {
        Some(_) => stable.hash == new.hash && now.is_some(),
        None => has_pods(snapshot, now.filter(|hash| *hash != new.hash)),
    };
    Some(stable).filter(|stable| !serves_another || may_serve(snapshot, stable))
}

/// Whether a version has the pods to take the place of another: as many as a promotion asks for.
fn may_serve(snapshot: &Snapshot, set: &ReplicaSetView) -> bool {
    let all = snapshot.spec.replicas;
    let threshold = snapshot.canary().and_then(|canary| canary.progress_threshold);
    let is_enough = threshold.is_some_and(|threshold| set.available > 0 && threshold.is_met(set.available, all));
    set.available >= all || is_enough
}

/// The version that the canary Service of a pair may select now; nothing when it stays as it is.
fn canary_goal<'a>(
    snapshot: &'a Snapshot,
    progress: &Progress,
    observed: &Observed,
    pair: &ServicePair,
    new: &'a ReplicaSetView,
) -> Option<&'a ReplicaSetView> {
    let stable = progress.stable_set(snapshot).unwrap_or(new);
    let has_one = hash_of(snapshot, pair, Role::Canary).is_some();
    if pair.takes_turns && (progress.abort || progress.is_fully_promoted(snapshot)) && has_one {
        // Its turn comes with the next version.
        return None;
    }
    let canary = if progress.abort { stable } else { new };
    let too_early = bugs::on(Bug::CanaryServiceTooEarly);
    // While traffic flows to the canary its Service is not moved: the weight is taken away first.
    let idle = observed.highest() == Weight::ZERO || too_early;
    let may = canary.available > 0 || too_early || !has_one || canary.hash == stable.hash;
    (idle && may).then_some(canary)
}

/// Whether a version has available pods.
fn has_pods(snapshot: &Snapshot, hash: Option<PodHash>) -> bool {
    hash.is_some_and(|hash| snapshot.sets.iter().any(|set| set.hash == hash && set.available > 0))
}
