//! APISIX: backends of an ApisixRoute, and a route of its own for each header route.

use object_model::{Object, ObjectId, OwnerReference};
use serde_json::{Map, Value, json};

use crate::backends::{Pair, Shape, mapping, set_weight};
use crate::section::{field, is_owned, owner_references, text, texts};
use crate::target::{Live, Observed, SplitPlan, refuse_additional, refuse_mirrors, refuse_total};
use crate::{Change, Claim, HeaderMatch, HeaderRoute, Split, SplitError, StringMatch};

const GROUP: &str = "apisix.apache.org";
const SHAPE: Shape = Shape { name: "/serviceName", absent_weight: 100 };

/// The `apisix` section of a Rollout's traffic routing.
#[derive(Debug, Clone, PartialEq)]
pub struct ApisixTarget {
    /// Namespace of the Rollout and the ApisixRoute.
    pub namespace: String,
    /// The Rollout, which owns the routes for headers.
    pub owner: OwnerReference,
    /// Name of the ApisixRoute.
    pub name: String,
    /// Names of the rules in it to set.
    pub rules: Vec<String>,
    /// Names kept for header routes, each an ApisixRoute of its own.
    pub managed_routes: Vec<String>,
}

impl ApisixTarget {
    /// Reads the `apisix` section of a Rollout.
    ///
    /// # Errors
    /// When it names no route.
    pub fn parse(
        json: &Value,
        namespace: &str,
        owner: OwnerReference,
        managed_routes: &[String],
    ) -> Result<Self, SplitError> {
        let path = "trafficRouting.apisix.route";
        let route = json.get("route").unwrap_or(&Value::Null);
        let name = text(route, path, "name")?;
        let mut rules = texts(route, path, "rules")?;
        if rules.is_empty() {
            rules.push(name.clone());
        }
        Ok(Self { namespace: namespace.to_owned(), owner, name, rules, managed_routes: managed_routes.to_vec() })
    }

    pub(crate) fn objects(&self) -> Vec<ObjectId> {
        std::iter::once(&self.name).chain(&self.managed_routes).map(|name| self.id(name)).collect()
    }

    fn id(&self, name: &str) -> ObjectId {
        ObjectId::new(GROUP, "ApisixRoute", Some(&self.namespace), name)
    }
}

/// Plans one target.
pub(crate) fn plan(split: &Split, target: &ApisixTarget, live: &Live, planned: &mut SplitPlan) {
    refuse_additional("APISIX", split, planned);
    refuse_mirrors("APISIX", split, planned);
    if refuse_total("APISIX", split, planned) {
        return;
    }
    let id = target.id(&target.name);
    let Some(object) = live.get(&id) else {
        planned.errors.push(SplitError::NotFound { object: id });
        return;
    };
    match weighed(split, target, object) {
        Ok((wanted, pointers)) => {
            planned.claims.extend(pointers.into_iter().map(|pointer| Claim { object: id.clone(), pointer }));
            let summary = format!("ApisixRoute `{}` set to desiredWeight '{}'", target.name, split.weight);
            planned.changes.extend(Change::update(object, wanted, summary));
        }
        Err(error) => planned.errors.push(error),
    }
    headers(split, target, object, live, planned);
}

fn weighed(split: &Split, target: &ApisixTarget, object: &Object) -> Result<(Object, Vec<String>), SplitError> {
    let mut wanted = object.clone();
    let mut pointers = Vec::new();
    for name in &target.rules {
        let shown = format!("ApisixRoute `{}` rule `{name}`", target.name);
        let (index, backends) = rule(&mut wanted, name)
            .and_then(|(index, rule)| Some((index, rule.get_mut("backends")?.as_array_mut()?)))
            .ok_or_else(|| field(&shown, "with backends was not found"))?;
        let pointer = format!("/spec/http/{index}/backends");
        pointers.extend(SHAPE.weigh(split, Pair::services(split), backends, (&shown, &pointer))?);
    }
    Ok((wanted, pointers))
}

fn rule<'a>(object: &'a mut Object, name: &str) -> Option<(usize, &'a mut Map<String, Value>)> {
    let rules = mapping(object.json_mut(), &["spec"])?.get_mut("http")?.as_array_mut()?;
    let named = |rule: &Value| rule.get("name").and_then(Value::as_str) == Some(name);
    let (index, rule) = rules.iter_mut().enumerate().find(|(_, rule)| named(rule))?;
    Some((index, rule.as_object_mut()?))
}

/// One ApisixRoute for each header route; those of managed names that have no header route any more are deleted.
fn headers(split: &Split, target: &ApisixTarget, base: &Object, live: &Live, planned: &mut SplitPlan) {
    for route in &split.header_routes {
        if !target.managed_routes.contains(&route.name) {
            planned.errors.push(SplitError::NotManaged { name: route.name.clone() });
            continue;
        }
        match header(split, target, route, base, live) {
            Ok(change) => planned.changes.extend(change),
            Err(error) => planned.errors.push(error),
        }
    }
    for name in &target.managed_routes {
        if split.header_routes.iter().any(|route| route.name == *name) {
            continue;
        }
        if let Some(existing) = live.get(&target.id(name)).filter(|object| is_owned(object, &target.owner)) {
            planned.changes.push(Change::delete(existing, format!("ApisixRoute `{name}` deleted")));
        }
    }
}

fn header(
    split: &Split,
    target: &ApisixTarget,
    route: &HeaderRoute,
    base: &Object,
    live: &Live,
) -> Result<Option<Change>, SplitError> {
    let spec = header_spec(split, target, route, base)?;
    let Some(existing) = live.get(&target.id(&route.name)) else {
        let mut object = Object::new(base.api_version(), "ApisixRoute", Some(&target.namespace), &route.name);
        for (key, value) in base.labels() {
            object.set_label(key, value);
        }
        object.set_at(&["metadata", "ownerReferences"], owner_references(&target.owner));
        object.set_at(&["spec"], spec);
        return Ok(Some(Change::create(object, format!("ApisixRoute `{}` created", route.name))));
    };
    if !is_owned(existing, &target.owner) {
        return Err(SplitError::NotOwned { kind: "ApisixRoute", name: route.name.clone() });
    }
    let mut wanted = existing.clone();
    wanted.set_at(&["spec"], spec);
    Ok(Change::update(existing, wanted, format!("ApisixRoute `{}` updated", route.name)))
}

/// The base route with the canary alone behind its rules, one place before them, for requests with the headers. APISIX
/// joins expressions by "and", so all matches of the route must hold.
fn header_spec(split: &Split, target: &ApisixTarget, route: &HeaderRoute, base: &Object) -> Result<Value, SplitError> {
    let mut object = base.clone();
    for name in &target.rules {
        let shown = format!("ApisixRoute `{}` rule `{name}`", target.name);
        let (_, rule) = rule(&mut object, name).ok_or_else(|| field(&shown, "was not found"))?;
        let backends = rule.get("backends").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let canary = backends.iter().find(|backend| SHAPE.name_of(backend) == split.canary.service);
        let mut canary = canary.cloned().ok_or_else(|| SplitError::BackendNotFound {
            object: shown.clone(),
            role: "canary",
            name: split.canary.service.clone(),
        })?;
        set_weight(&mut canary, 100);
        rule.insert("backends".to_owned(), json!([canary]));
        let priority = rule.get("priority").and_then(Value::as_i64).unwrap_or(0);
        rule.insert("priority".to_owned(), priority.saturating_add(1).into());
        let expressions: Vec<Value> = route.matches.iter().map(expression).collect();
        let matching = rule.entry("match").or_insert_with(|| json!({}));
        if let Value::Object(matching) = matching {
            matching.insert("exprs".to_owned(), expressions.into());
        }
    }
    Ok(object.pointer("/spec").cloned().unwrap_or_default())
}

fn expression(one: &HeaderMatch) -> Value {
    let (operator, value) = match &one.value {
        StringMatch::Exact(text) => ("Equal", text.clone()),
        StringMatch::Regex(text) => ("RegexMatch", text.clone()),
        StringMatch::Prefix(text) => ("RegexMatch", format!("^{text}.*")),
    };
    json!({"subject": {"scope": "Header", "name": one.header}, "op": operator, "value": value})
}

/// Tells the weights of one target.
pub(crate) fn observe(split: &Split, target: &ApisixTarget, live: &Live) -> Vec<Observed> {
    let Some(object) = live.get(&target.id(&target.name)) else { return Vec::new() };
    let mut found = Vec::new();
    for (index, rule) in object.list_at("/spec/http").iter().enumerate() {
        let name = rule.get("name").and_then(Value::as_str).unwrap_or_default();
        if target.rules.iter().any(|wanted| wanted == name) {
            let backends = rule.get("backends").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
            let shares = SHAPE.shares(Pair::services(split), backends, split.total);
            found.push(Observed::new(object.id(), &format!("/spec/http/{index}/backends"), shares));
        }
    }
    found
}
