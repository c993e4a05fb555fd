//! NGINX: a canary Ingress beside each stable one, with the weight in its annotations.

use std::collections::BTreeMap;

use object_model::{Object, ObjectId, OwnerReference};
use serde_json::{Map, Value};

use crate::backends::Shares;
use crate::section::{is_owned, one_or_many, owner_references};
use crate::target::{Live, Observed, SplitPlan, refuse_additional, refuse_routes};
use crate::{Change, Split, SplitError};

/// The longest name of an object.
const NAME_MAX: usize = 253;
/// What weights are shares of where no annotation says it.
const TOTAL_DEFAULT: u32 = 100;
const PREFIX_DEFAULT: &str = "nginx.ingress.kubernetes.io";

/// The `nginx` section of a Rollout's traffic routing.
#[derive(Debug, Clone, PartialEq)]
pub struct NginxTarget {
    /// Namespace of the Rollout and its Ingresses.
    pub namespace: String,
    /// The Rollout, which owns the canary Ingresses.
    pub owner: OwnerReference,
    /// The Ingresses that lead to stable.
    pub stable_ingresses: Vec<String>,
    /// Prefix of the controller's annotations.
    pub annotation_prefix: String,
    /// More annotations for the canary Ingress, prefixed where they are not.
    pub additional_annotations: BTreeMap<String, String>,
    /// Annotations for the canary Ingress as they are.
    pub canary_annotations: BTreeMap<String, String>,
}

impl NginxTarget {
    /// Reads the `nginx` section of a Rollout.
    ///
    /// # Errors
    /// When it names no stable Ingress, or one and several.
    pub fn parse(json: &Value, namespace: &str, owner: OwnerReference) -> Result<Self, SplitError> {
        let path = "trafficRouting.nginx";
        let stable_ingresses = one_or_many(json, path, "stableIngress", "stableIngresses")?;
        let texts = |key: &str| -> BTreeMap<String, String> {
            let map = json.get(key).and_then(Value::as_object).into_iter().flatten();
            map.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
        };
        let prefix = json.get("annotationPrefix").and_then(Value::as_str).filter(|prefix| !prefix.is_empty());
        Ok(Self {
            namespace: namespace.to_owned(),
            owner,
            stable_ingresses,
            annotation_prefix: prefix.unwrap_or(PREFIX_DEFAULT).to_owned(),
            additional_annotations: texts("additionalIngressAnnotations"),
            canary_annotations: texts("canaryIngressAnnotations"),
        })
    }

    fn ingress(&self, name: &str) -> ObjectId {
        ObjectId::new("networking.k8s.io", "Ingress", Some(&self.namespace), name)
    }

    fn canary_name(&self, stable: &str) -> String {
        let prefix = format!("{}-{stable}", self.owner.name);
        let end = prefix.len().min(NAME_MAX - "-canary".len());
        format!("{}-canary", prefix.get(..end).unwrap_or(&prefix))
    }

    pub(crate) fn objects(&self) -> Vec<ObjectId> {
        let pair = |stable: &String| [self.ingress(stable), self.ingress(&self.canary_name(stable))];
        self.stable_ingresses.iter().flat_map(pair).collect()
    }

    fn total_annotation(&self) -> String {
        format!("{}/canary-weight-total", self.annotation_prefix)
    }

    fn weight_annotation(&self) -> String {
        format!("{}/canary-weight", self.annotation_prefix)
    }
}

/// Plans every Ingress of one target; one that can't be planned does not hold up the others.
pub(crate) fn plan(split: &Split, target: &NginxTarget, live: &Live, planned: &mut SplitPlan) {
    refuse_routes("NGINX", split, planned);
    refuse_additional("NGINX", split, planned);
    for name in &target.stable_ingresses {
        match change(split, target, name, live) {
            Ok(change) => planned.changes.extend(change),
            Err(error) => planned.errors.push(error),
        }
    }
}

fn change(split: &Split, target: &NginxTarget, name: &str, live: &Live) -> Result<Option<Change>, SplitError> {
    let id = target.ingress(name);
    let stable = live.get(&id).ok_or(SplitError::NotFound { object: id })?;
    let canary_name = target.canary_name(name);
    let wanted = canary_ingress(split, target, stable, &canary_name)?;
    let Some(existing) = live.get(&target.ingress(&canary_name)) else {
        let summary = format!("Creating canary ingress `{canary_name}` with weight `{}`", split.weight);
        return Ok(Some(Change::create(wanted, summary)));
    };
    if !is_owned(existing, &target.owner) {
        return Err(SplitError::NotOurs { name: canary_name });
    }
    // Annotations that others have added stay.
    let mut merged = existing.clone();
    for (key, value) in wanted.annotations() {
        merged.set_annotation(key, value);
    }
    let total = target.total_annotation();
    if existing.annotation(&total).is_some() {
        merged.set_annotation(&total, &split.total.to_string());
    }
    for part in ["tls", "ingressClassName", "rules"] {
        if let Some(value) = wanted.pointer(&format!("/spec/{part}")) {
            merged.set_at(&["spec", part], value.clone());
        }
    }
    let summary = format!("Updating Ingress `{canary_name}` to desiredWeight '{}'", split.weight);
    Ok(Change::update(existing, merged, summary))
}

fn canary_ingress(split: &Split, target: &NginxTarget, stable: &Object, name: &str) -> Result<Object, SplitError> {
    let mut object = Object::new("networking.k8s.io/v1", "Ingress", Some(&target.namespace), name);
    object.set_at(&["metadata", "ownerReferences"], owner_references(&target.owner));
    for (key, value) in annotations(split, target, stable) {
        object.set_annotation(&key, &value);
    }
    let mut spec = Map::new();
    for part in ["tls", "ingressClassName"] {
        if let Some(value) = stable.pointer(&format!("/spec/{part}")) {
            spec.insert(part.to_owned(), value.clone());
        }
    }
    let rules: Vec<Value> = stable.list_at("/spec/rules").iter().filter_map(|rule| swapped(split, rule)).collect();
    if rules.is_empty() {
        let (ingress, service) = (stable.name().to_owned(), split.stable.service.clone());
        return Err(SplitError::NoBackend { ingress, service });
    }
    spec.insert("rules".to_owned(), Value::Array(rules));
    object.set_at(&["spec"], Value::Object(spec));
    Ok(object)
}

fn annotations(split: &Split, target: &NginxTarget, stable: &Object) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    let class = "kubernetes.io/ingress.class";
    if let Some(value) = stable.annotation(class) {
        all.insert(class.to_owned(), value.to_owned());
    }
    let prefix = &target.annotation_prefix;
    for (key, value) in &target.additional_annotations {
        let key = if key.starts_with(prefix.as_str()) { key.clone() } else { format!("{prefix}/{key}") };
        all.insert(key, value.clone());
    }
    all.extend(target.canary_annotations.clone());
    all.insert(format!("{prefix}/canary"), "true".to_owned());
    all.insert(target.weight_annotation(), split.weight.to_string());
    if split.total != TOTAL_DEFAULT {
        all.insert(target.total_annotation(), split.total.to_string());
    }
    all
}

/// The rule with the canary in the place of stable; nothing when stable is not in it. A rule with a host alone has no
/// paths and leads nowhere.
fn swapped(split: &Split, rule: &Value) -> Option<Value> {
    let mut rule = rule.clone();
    let mut found = false;
    for path in rule.pointer_mut("/http/paths")?.as_array_mut()? {
        let Some(name) = path.pointer_mut("/backend/service/name") else { continue };
        if name.as_str() == Some(split.stable.service.as_str()) {
            *name = split.canary.service.clone().into();
            found = true;
        }
    }
    found.then_some(rule)
}

/// A canary Ingress goes with its owner; it is deleted before, so that stable serves all at once.
pub(crate) fn restore(target: &NginxTarget, live: &Live, planned: &mut SplitPlan) {
    for name in &target.stable_ingresses {
        let canary = target.canary_name(name);
        if let Some(existing) = live.get(&target.ingress(&canary)).filter(|object| is_owned(object, &target.owner)) {
            planned.changes.push(Change::delete(existing, format!("Deleting canary ingress `{canary}`")));
        }
    }
}

/// Tells the weights of one target; an Ingress that is not there sends nothing to the canary. A share of another total is
/// rounded up: it is never less than what the canary gets.
pub(crate) fn observe(split: &Split, target: &NginxTarget, live: &Live) -> Vec<Observed> {
    let (key, total_key) = (target.weight_annotation(), target.total_annotation());
    let pointer = format!("/metadata/annotations/{}", crate::change::escaped(&key));
    let read = |stable: &String| {
        let object = target.ingress(&target.canary_name(stable));
        let number = |key: &str| live.get(&object)?.annotation(key)?.parse::<u32>().ok();
        let (weight, total) = (number(&key).unwrap_or(0), number(&total_key).unwrap_or(TOTAL_DEFAULT).max(1));
        let exact = (u64::from(weight) * u64::from(split.total)).div_ceil(u64::from(total));
        let canary = u32::try_from(exact).unwrap_or(u32::MAX);
        Observed::new(object, &pointer, Shares { canary, stable: split.total.saturating_sub(canary), other: 0 })
    };
    target.stable_ingresses.iter().map(read).collect()
}
