//! Ambassador: a canary Mapping beside each Mapping that leads to stable, there only while it has weight.

use object_model::{Object, ObjectId, OwnerReference};
use serde_json::Value;

use crate::backends::Shares;
use crate::section::{field, is_owned, owner_references, texts};
use crate::target::{Live, Observed, SplitPlan, refuse_beyond_weights};
use crate::{Change, Split, SplitError};

const GROUP: &str = "getambassador.io";
/// The longest beginning of a Mapping's name that leaves room for `-canary`.
const STEM_MAX: usize = 246;

/// The `ambassador` section of a Rollout's traffic routing.
#[derive(Debug, Clone, PartialEq)]
pub struct AmbassadorTarget {
    /// Namespace of the Rollout and its Mappings.
    pub namespace: String,
    /// The Rollout, which owns the canary Mappings.
    pub owner: OwnerReference,
    /// The Mappings that lead to stable.
    pub mappings: Vec<String>,
}

impl AmbassadorTarget {
    /// Reads the `ambassador` section of a Rollout.
    ///
    /// # Errors
    /// When it names no Mapping.
    pub fn parse(json: &Value, namespace: &str, owner: OwnerReference) -> Result<Self, SplitError> {
        let path = "trafficRouting.ambassador";
        let mappings = texts(json, path, "mappings")?;
        if mappings.is_empty() {
            return Err(field(&format!("{path}.mappings"), "must be a list with at least one entry"));
        }
        Ok(Self { namespace: namespace.to_owned(), owner, mappings })
    }

    pub(crate) fn objects(&self) -> Vec<ObjectId> {
        self.mappings.iter().flat_map(|name| [self.id(name), self.id(&canary_name(name))]).collect()
    }

    fn id(&self, name: &str) -> ObjectId {
        ObjectId::new(GROUP, "Mapping", Some(&self.namespace), name)
    }
}

fn canary_name(mapping: &str) -> String {
    let end = (0..=mapping.len().min(STEM_MAX)).rev().find(|at| mapping.is_char_boundary(*at)).unwrap_or(0);
    format!("{}-canary", mapping.get(..end).unwrap_or(mapping))
}

/// Plans every Mapping of one target; one that can't be planned does not hold up the others.
pub(crate) fn plan(split: &Split, target: &AmbassadorTarget, live: &Live, planned: &mut SplitPlan) {
    refuse_beyond_weights("Ambassador", split, planned);
    for name in &target.mappings {
        match change(split, target, name, live) {
            Ok(change) => planned.changes.extend(change),
            Err(error) => planned.errors.push(error),
        }
    }
}

fn change(split: &Split, target: &AmbassadorTarget, name: &str, live: &Live) -> Result<Option<Change>, SplitError> {
    let id = target.id(name);
    let base = live.get(&id).ok_or(SplitError::NotFound { object: id })?;
    if base.int_at("/spec/weight").is_some_and(|weight| weight != 0) {
        return Err(field(&format!("Ambassador mapping `{name}` spec.weight"), "can not be defined"));
    }
    let canary = canary_name(name);
    let weight = i64::from(split.weight.get());
    let Some(existing) = live.get(&target.id(&canary)) else {
        if weight == 0 {
            return Ok(None);
        }
        let summary = format!("Creating canary mapping `{canary}` with weight {weight}");
        return Ok(Some(Change::create(canary_mapping(split, target, base, &canary)?, summary)));
    };
    if existing.controller().is_some() && !is_owned(existing, &target.owner) {
        return Err(SplitError::NotOwned { kind: "Mapping", name: canary });
    }
    // Traffic leaves by the weight first; only a Mapping that takes none is taken away.
    if weight == 0 && existing.int_at("/spec/weight") == Some(0) {
        return Ok(Some(Change::delete(existing, format!("Deleting canary mapping `{canary}`"))));
    }
    let made = canary_mapping(split, target, base, &canary)?;
    let mut wanted = existing.clone();
    wanted.set_at(&["metadata", "ownerReferences"], owner_references(&target.owner));
    wanted.set_at(&["spec"], made.pointer("/spec").cloned().unwrap_or_default());
    Ok(Change::update(existing, wanted, format!("Set canary mapping weight to {weight}")))
}

fn canary_mapping(split: &Split, target: &AmbassadorTarget, base: &Object, name: &str) -> Result<Object, SplitError> {
    let mut object = Object::new(base.api_version(), "Mapping", Some(&target.namespace), name);
    object.set_at(&["metadata", "ownerReferences"], owner_references(&target.owner));
    let service = base.str_at("/spec/service").unwrap_or_default();
    if split.stable.service.is_empty() || !service.contains(&split.stable.service) {
        let shown = format!("Mapping `{}` spec.service", base.name());
        return Err(SplitError::BackendNotFound { object: shown, role: "stable", name: split.stable.service.clone() });
    }
    let service = service.replacen(&split.stable.service, &split.canary.service, 1);
    object.set_at(&["spec"], base.pointer("/spec").cloned().unwrap_or_default());
    object.set_at(&["spec", "service"], service.into());
    object.set_at(&["spec", "weight"], split.weight.get().into());
    Ok(object)
}

/// Canary Mappings go with their owner; they are deleted before, so that stable serves all at once.
pub(crate) fn restore(target: &AmbassadorTarget, live: &Live, planned: &mut SplitPlan) {
    for name in &target.mappings {
        let canary = canary_name(name);
        if let Some(existing) = live.get(&target.id(&canary)).filter(|object| is_owned(object, &target.owner)) {
            planned.changes.push(Change::delete(existing, format!("Deleting canary mapping `{canary}`")));
        }
    }
}

/// Tells the weights of one target; a Mapping that is not there sends nothing to the canary.
pub(crate) fn observe(split: &Split, target: &AmbassadorTarget, live: &Live) -> Vec<Observed> {
    let read = |name: &String| {
        let id = target.id(&canary_name(name));
        let weight = live.get(&id).and_then(|object| object.int_at("/spec/weight")).unwrap_or(0);
        let canary = u32::try_from(weight).unwrap_or(0);
        let shares = Shares { canary, stable: split.total.saturating_sub(canary), other: 0 };
        Observed::new(id, "/spec/weight", shares)
    };
    target.mappings.iter().map(read).collect()
}
