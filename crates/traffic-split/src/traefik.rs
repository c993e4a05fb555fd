//! Traefik: the weighted services of a TraefikService.

use object_model::ObjectId;
use serde_json::Value;

use crate::backends::{Pair, Shape, mapping};
use crate::section::{field, text};
use crate::target::{Live, Observed, SplitPlan, refuse_beyond_weights};
use crate::{Change, Claim, Split, SplitError};

const GROUP: &str = "traefik.io";
const POINTER: &str = "/spec/weighted/services";
const SHAPE: Shape = Shape { name: "/name", absent_weight: 1 };

/// The `traefik` section of a Rollout's traffic routing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraefikTarget {
    /// Namespace of the Rollout and the TraefikService.
    pub namespace: String,
    /// Name of the TraefikService.
    pub name: String,
}

impl TraefikTarget {
    /// Reads the `traefik` section of a Rollout.
    ///
    /// # Errors
    /// When it names no TraefikService.
    pub fn parse(json: &Value, namespace: &str) -> Result<Self, SplitError> {
        let name = text(json, "trafficRouting.traefik", "weightedTraefikServiceName")?;
        Ok(Self { namespace: namespace.to_owned(), name })
    }

    pub(crate) fn objects(&self) -> Vec<ObjectId> {
        vec![self.id()]
    }

    fn id(&self) -> ObjectId {
        ObjectId::new(GROUP, "TraefikService", Some(&self.namespace), &self.name)
    }
}

/// Plans one target.
pub(crate) fn plan(split: &Split, target: &TraefikTarget, live: &Live, planned: &mut SplitPlan) {
    refuse_beyond_weights("Traefik", split, planned);
    if let Err(error) = set(split, target, live, planned) {
        planned.errors.push(error);
    }
}

fn set(split: &Split, target: &TraefikTarget, live: &Live, planned: &mut SplitPlan) -> Result<(), SplitError> {
    let id = target.id();
    let object = live.get(&id).ok_or_else(|| SplitError::NotFound { object: id.clone() })?;
    let shown = format!("TraefikService `{}` spec.weighted.services", target.name);
    let mut wanted = object.clone();
    let services = mapping(wanted.json_mut(), &["spec", "weighted"]).and_then(|weighted| weighted.get_mut("services"));
    let services = services.and_then(Value::as_array_mut).ok_or_else(|| field(&shown, "was not found"))?;
    let pointers = SHAPE.weigh(split, Pair::services(split), services, (&shown, POINTER))?;
    planned.claims.extend(pointers.into_iter().map(|pointer| Claim { object: id.clone(), pointer }));
    let summary = format!("TraefikService `{}` set to desiredWeight '{}'", target.name, split.weight);
    planned.changes.extend(Change::update(object, wanted, summary));
    Ok(())
}

/// Tells the weights of one target.
pub(crate) fn observe(split: &Split, target: &TraefikTarget, live: &Live) -> Vec<Observed> {
    let Some(object) = live.get(&target.id()) else { return Vec::new() };
    let shares = SHAPE.shares(Pair::services(split), object.list_at(POINTER), split.total);
    vec![Observed::new(target.id(), POINTER, shares)]
}
