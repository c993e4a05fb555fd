//! All targets of a split together.

use std::collections::BTreeMap;

use object_model::{Object, ObjectId};

use crate::istio::{self, IstioTarget};
use crate::nginx::{self, NginxTarget};
use crate::{Change, Claim, Split, SplitError};

/// The live objects of the targets, by identity.
pub type Live = BTreeMap<ObjectId, Object>;

/// Something that divides traffic.
#[derive(Debug, Clone, PartialEq)]
pub enum Target {
    /// Istio VirtualServices, with a DestinationRule or without.
    Istio(IstioTarget),
    /// Ingresses of the NGINX controller.
    Nginx(NginxTarget),
}

impl Target {
    /// The objects that must be read before anything can be planned.
    pub fn objects(&self) -> Vec<ObjectId> {
        match self {
            Self::Istio(target) => target.objects(),
            Self::Nginx(target) => target.objects(),
        }
    }
}

/// What brings the live objects to a split.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SplitPlan {
    /// Objects to write, those that select pods before those that send traffic to them.
    pub changes: Vec<Change>,
    /// Fields that the split owns, changed or not.
    pub claims: Vec<Claim>,
    /// What stands in the way, by target. The changes of other targets are there all the same, so that weight can be
    /// taken off a bad canary; weight may only be raised when there is nothing here.
    pub errors: Vec<SplitError>,
}

impl SplitPlan {
    /// The fields of one object that the split owns, as JSON pointers.
    pub fn claims_on<'a>(&'a self, object: &'a ObjectId) -> impl Iterator<Item = &'a str> {
        self.claims.iter().filter(move |claim| claim.object == *object).map(|claim| claim.pointer.as_str())
    }

    /// One object as it is to be: changed, or as it is live.
    pub fn wanted<'a>(&'a self, object: &ObjectId, live: &'a Live) -> Option<&'a Object> {
        let change = self.changes.iter().find(|change| change.id == *object);
        change.map(Change::object).or_else(|| live.get(object))
    }
}

/// Whether a split is in place.
#[derive(Debug, Clone, PartialEq)]
pub enum Verification {
    /// Every target has it.
    Applied,
    /// These objects differ from it.
    Differs(Vec<ObjectId>),
    /// It can't be told, or can't be so.
    Unknown(Vec<SplitError>),
}

/// The weights of one route as they are now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observed {
    /// The object.
    pub object: ObjectId,
    /// The route in it, as a JSON pointer.
    pub pointer: String,
    /// What the canary has.
    pub canary: u32,
    /// What stable has.
    pub stable: u32,
    /// What others have.
    pub other: u32,
}

/// Plans how `targets` get from `live` to `split`.
pub fn plan(split: &Split, targets: &[Target], live: &Live) -> SplitPlan {
    let mut planned = SplitPlan::default();
    for target in targets {
        match target {
            Target::Istio(target) => istio::plan(split, target, live, &mut planned),
            Target::Nginx(target) => nginx::plan(split, target, live, &mut planned),
        }
    }
    planned.claims.sort();
    planned.claims.dedup();
    planned
}

/// Plans how the split is taken out of its targets when whoever made it goes away: everything to stable, routes and
/// labels of ours removed, nothing claimed. Objects that are not there any more are no hindrance.
pub fn restore(split: &Split, targets: &[Target], live: &Live) -> SplitPlan {
    let mut planned = SplitPlan::default();
    for target in targets {
        match target {
            Target::Istio(target) => istio::restore(split, target, live, &mut planned),
            // The canary Ingress belongs to its owner and goes with it.
            Target::Nginx(_) => {}
        }
    }
    planned.errors.retain(|error| !matches!(error, SplitError::NotFound { .. }));
    planned.claims.clear();
    planned
}

/// Tells whether `split` is in place.
pub fn verify(split: &Split, targets: &[Target], live: &Live) -> Verification {
    let planned = plan(split, targets, live);
    if !planned.errors.is_empty() {
        return Verification::Unknown(planned.errors);
    }
    if planned.changes.is_empty() {
        return Verification::Applied;
    }
    Verification::Differs(planned.changes.into_iter().map(|change| change.id).collect())
}

/// Tells the weights that the targets have now; targets that can't be read have none.
pub fn observe(split: &Split, targets: &[Target], live: &Live) -> Vec<Observed> {
    targets
        .iter()
        .flat_map(|target| match target {
            Target::Istio(target) => istio::observe(split, target, live),
            Target::Nginx(target) => nginx::observe(split, target, live),
        })
        .collect()
}
