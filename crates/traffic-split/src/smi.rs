//! SMI: a TrafficSplit that is made for the Rollout and belongs to it.

use object_model::{Object, ObjectId, OwnerReference};
use serde_json::{Value, json};

use crate::backends::{Pair, Shape};
use crate::section::{is_owned, optional_text, owner_references};
use crate::target::{Live, Observed, SplitPlan, refuse_routes, refuse_total};
use crate::{Change, Split, SplitError};

/// The API group of TrafficSplits.
const GROUP: &str = "split.smi-spec.io";
/// The version that is made where the installation names none; its weights are quantities, written as texts.
const VERSION_DEFAULT: &str = "split.smi-spec.io/v1alpha1";
const SHAPE: Shape = Shape { name: "/service", absent_weight: 0 };

/// The `smi` section of a Rollout's traffic routing.
#[derive(Debug, Clone, PartialEq)]
pub struct SmiTarget {
    /// Namespace of the Rollout and the TrafficSplit.
    pub namespace: String,
    /// The Rollout, which owns the TrafficSplit.
    pub owner: OwnerReference,
    /// The Service that clients speak to; the stable one when absent.
    pub root_service: Option<String>,
    /// Name of the TrafficSplit; the Rollout's when absent.
    pub name: Option<String>,
    /// `apiVersion` of the TrafficSplit.
    pub api_version: String,
}

impl SmiTarget {
    /// Reads the `smi` section of a Rollout.
    pub fn parse(json: &Value, namespace: &str, owner: OwnerReference) -> Self {
        Self {
            namespace: namespace.to_owned(),
            owner,
            root_service: optional_text(json, "rootService"),
            name: optional_text(json, "trafficSplitName"),
            api_version: VERSION_DEFAULT.to_owned(),
        }
    }

    pub(crate) fn objects(&self) -> Vec<ObjectId> {
        vec![self.id()]
    }

    fn name(&self) -> &str {
        self.name.as_deref().unwrap_or(&self.owner.name)
    }

    fn id(&self) -> ObjectId {
        ObjectId::new(GROUP, "TrafficSplit", Some(&self.namespace), self.name())
    }
}

/// Plans one target.
pub(crate) fn plan(split: &Split, target: &SmiTarget, live: &Live, planned: &mut SplitPlan) {
    refuse_routes("SMI", split, planned);
    if refuse_total("SMI", split, planned) {
        return;
    }
    match change(split, target, live) {
        Ok(change) => planned.changes.extend(change),
        Err(error) => planned.errors.push(error),
    }
}

fn change(split: &Split, target: &SmiTarget, live: &Live) -> Result<Option<Change>, SplitError> {
    let Some(existing) = live.get(&target.id()) else {
        let mut object = Object::new(&target.api_version, "TrafficSplit", Some(&target.namespace), target.name());
        object.set_at(&["metadata", "ownerReferences"], owner_references(&target.owner));
        object.set_at(&["spec"], spec(split, target, &target.api_version)?);
        return Ok(Some(Change::create(object, format!("TrafficSplit `{}` created", target.name()))));
    };
    if !is_owned(existing, &target.owner) {
        return Err(SplitError::NotOwned { kind: "TrafficSplit", name: target.name().to_owned() });
    }
    let wanted_spec = spec(split, target, existing.api_version())?;
    let same = existing.pointer("/spec").is_some_and(|have| normal(have) == normal(&wanted_spec));
    if same {
        return Ok(None);
    }
    let mut wanted = existing.clone();
    wanted.set_at(&["spec", "service"], wanted_spec.get("service").cloned().unwrap_or_default());
    wanted.set_at(&["spec", "backends"], wanted_spec.get("backends").cloned().unwrap_or_default());
    let summary = format!("TrafficSplit `{}` set to desiredWeight '{}'", target.name(), split.weight);
    Ok(Change::update(existing, wanted, summary))
}

fn spec(split: &Split, target: &SmiTarget, api_version: &str) -> Result<Value, SplitError> {
    let quantities = api_version.ends_with("/v1alpha1");
    let weight = |weight: u32| if quantities { Value::from(weight.to_string()) } else { Value::from(weight) };
    let backend = |name: &str, share: u32| json!({"service": name, "weight": weight(share)});
    let mut backends = vec![backend(&split.canary.service, split.weight.get())];
    backends.extend(split.additional.iter().map(|(place, share)| backend(&place.service, share.get())));
    backends.push(backend(&split.stable.service, split.stable_weight()?));
    let root = target.root_service.as_deref().unwrap_or(&split.stable.service);
    Ok(json!({"service": root, "backends": backends}))
}

/// The service and the backends with whole weights, so that one number written in two ways is one.
fn normal(spec: &Value) -> (Option<&str>, Vec<Value>) {
    let backends = spec.get("backends").and_then(Value::as_array).into_iter().flatten().map(whole).collect();
    (spec.get("service").and_then(Value::as_str), backends)
}

fn whole(backend: &Value) -> Value {
    let mut backend = backend.clone();
    let number = backend.get("weight").and_then(Value::as_str).and_then(quantity);
    if let (Some(number), Value::Object(map)) = (number, &mut backend) {
        map.insert("weight".to_owned(), number.into());
    }
    backend
}

/// Reads the quantities that stand for whole weights: `20`, and `500m`, which has no whole part, as nothing.
fn quantity(text: &str) -> Option<u32> {
    match text.strip_suffix('m') {
        Some(thousandths) => thousandths.parse::<u32>().ok().map(|number| number.div_ceil(1000)),
        None => text.parse().ok(),
    }
}

/// A TrafficSplit goes with its owner; it is deleted before, so that the root Service serves again at once.
pub(crate) fn restore(target: &SmiTarget, live: &Live, planned: &mut SplitPlan) {
    if let Some(existing) = live.get(&target.id()).filter(|object| is_owned(object, &target.owner)) {
        planned.changes.push(Change::delete(existing, format!("TrafficSplit `{}` deleted", target.name())));
    }
}

/// Tells the weights of one target; a TrafficSplit that is not there sends nothing to the canary.
pub(crate) fn observe(split: &Split, target: &SmiTarget, live: &Live) -> Vec<Observed> {
    let backends: Vec<Value> = match live.get(&target.id()) {
        Some(object) => object.list_at("/spec/backends").iter().map(whole).collect(),
        None => Vec::new(),
    };
    vec![Observed::new(target.id(), "/spec/backends", SHAPE.shares(Pair::services(split), &backends, split.total))]
}
