//! ALB: a forward action in the annotations of each Ingress; header routes are actions with conditions and a path.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use object_model::{Object, ObjectId};
use serde_json::{Value, json};

use crate::backends::{Pair, Shape, mapping};
use crate::change::escaped;
use crate::section::{field, one_or_many, optional_text};
use crate::target::{Live, Observed, SplitPlan, refuse_mirrors, refuse_total};
use crate::{Change, Claim, HeaderRoute, Split, SplitError, StringMatch};

const PREFIX_DEFAULT: &str = "alb.ingress.kubernetes.io";
/// Records which annotations of an Ingress belong to which Rollout.
const MANAGED_ANNOTATION: &str = "rollouts.argoproj.io/managed-alb-annotations";
/// The port name by which a path says that an annotation tells where it leads.
const USE_ANNOTATION: &str = "use-annotation";
/// The longest stickiness that a target group takes: seven days.
const STICKINESS_MAX_S: u64 = 604_800;

/// The `alb` section of a Rollout's traffic routing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlbTarget {
    /// Namespace of the Rollout and its Ingresses.
    pub namespace: String,
    /// Name of the Rollout.
    pub owner: String,
    /// The Ingresses to set.
    pub ingresses: Vec<String>,
    /// Port of the services.
    pub service_port: u32,
    /// The service that the paths name; the stable one when absent.
    pub root_service: Option<String>,
    /// Prefix of the controller's annotations.
    pub annotation_prefix: String,
    /// How long a client stays with its target group.
    pub stickiness_s: Option<u64>,
}

impl AlbTarget {
    /// Reads the `alb` section of a Rollout named `owner`.
    ///
    /// # Errors
    /// When it names no Ingress, or one and several, or a stickiness that target groups don't take.
    pub fn parse(json: &Value, namespace: &str, owner: &str) -> Result<Self, SplitError> {
        let path = "trafficRouting.alb";
        let port = json.get("servicePort").and_then(Value::as_u64).and_then(|port| u32::try_from(port).ok());
        let stickiness = json.get("stickinessConfig").unwrap_or(&Value::Null);
        let stickiness_s = match stickiness.get("enabled").and_then(Value::as_bool) {
            Some(true) => {
                let seconds = stickiness.get("durationSeconds").and_then(Value::as_u64).unwrap_or(0);
                if !(1..=STICKINESS_MAX_S).contains(&seconds) {
                    let at = format!("{path}.stickinessConfig.durationSeconds");
                    return Err(field(&at, "must be between 1 and 604800 seconds (7 days)"));
                }
                Some(seconds)
            }
            _ => None,
        };
        Ok(Self {
            namespace: namespace.to_owned(),
            owner: owner.to_owned(),
            ingresses: one_or_many(json, path, "ingress", "ingresses")?,
            service_port: port.ok_or_else(|| field(&format!("{path}.servicePort"), "must be a port number"))?,
            root_service: optional_text(json, "rootService"),
            annotation_prefix: optional_text(json, "annotationPrefix").unwrap_or_else(|| PREFIX_DEFAULT.to_owned()),
            stickiness_s,
        })
    }

    pub(crate) fn objects(&self) -> Vec<ObjectId> {
        self.ingresses.iter().map(|name| self.id(name)).collect()
    }

    fn id(&self, name: &str) -> ObjectId {
        ObjectId::new("networking.k8s.io", "Ingress", Some(&self.namespace), name)
    }

    fn root<'a>(&'a self, split: &'a Split) -> &'a str {
        self.root_service.as_deref().unwrap_or(&split.stable.service)
    }

    fn action_key(&self, action: &str) -> String {
        format!("{}/actions.{action}", self.annotation_prefix)
    }

    fn condition_key(&self, action: &str) -> String {
        format!("{}/conditions.{action}", self.annotation_prefix)
    }

    /// A forward action, its keys in the order in which Argo Rollouts writes them.
    fn action(&self, groups: &[(&str, u32)]) -> String {
        let mut text = r#"{"Type":"forward","ForwardConfig":{"TargetGroups":["#.to_owned();
        for (index, (service, weight)) in groups.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            let (service, port) = (Value::from(*service), self.service_port);
            let _ = write!(text, r#"{comma}{{"ServiceName":{service},"ServicePort":"{port}","Weight":{weight}}}"#);
        }
        text.push(']');
        if let Some(seconds) = self.stickiness_s {
            let _ = write!(text, r#","TargetGroupStickinessConfig":{{"Enabled":true,"DurationSeconds":{seconds}}}"#);
        }
        text.push_str("}}");
        text
    }
}

/// Plans every Ingress of one target; one that needs nothing or can't be planned does not hold up the others.
pub(crate) fn plan(split: &Split, target: &AlbTarget, live: &Live, planned: &mut SplitPlan) {
    refuse_mirrors("ALB", split, planned);
    if refuse_total("ALB", split, planned) {
        return;
    }
    for name in &target.ingresses {
        let id = target.id(name);
        let Some(ingress) = live.get(&id) else {
            planned.errors.push(SplitError::NotFound { object: id });
            continue;
        };
        match applied(split, target, ingress) {
            Ok((wanted, pointers)) => {
                planned.claims.extend(pointers.into_iter().map(|pointer| Claim { object: id.clone(), pointer }));
                let summary = format!("Updating Ingress `{name}` to desiredWeight '{}'", split.weight);
                planned.changes.extend(Change::update(ingress, wanted, summary));
            }
            Err(error) => planned.errors.push(error),
        }
    }
}

/// The Ingress with the split in it, and the fields that the split owns.
fn applied(split: &Split, target: &AlbTarget, ingress: &Object) -> Result<(Object, Vec<String>), SplitError> {
    let root = target.root(split);
    if !ingress.list_at("/spec/rules").iter().flat_map(services).any(|service| service == root) {
        let (ingress, service) = (ingress.name().to_owned(), root.to_owned());
        return Err(SplitError::NoBackend { ingress, service });
    }
    let mut groups = vec![(split.canary.service.as_str(), split.weight.get())];
    groups.extend(split.additional.iter().map(|(place, weight)| (place.service.as_str(), weight.get())));
    groups.push((split.stable.service.as_str(), split.stable_weight()?));
    let mut wanted = ingress.clone();
    let mut keys = vec![target.action_key(root)];
    annotate(&mut wanted, &target.action_key(root), &target.action(&groups));
    for route in &split.header_routes {
        if !split.managed_routes.contains(&route.name) {
            return Err(SplitError::NotManaged { name: route.name.clone() });
        }
        let action = target.action(&[(split.canary.service.as_str(), 100)]);
        annotate(&mut wanted, &target.action_key(&route.name), &action);
        annotate(&mut wanted, &target.condition_key(&route.name), &conditions(route)?);
        keys.extend([target.action_key(&route.name), target.condition_key(&route.name)]);
    }
    let gone = split.managed_routes.iter().filter(|name| !split.header_routes.iter().any(|route| route.name == **name));
    for name in gone {
        remove_annotation(&mut wanted, &target.action_key(name));
        remove_annotation(&mut wanted, &target.condition_key(name));
    }
    manage(&mut wanted, &target.owner, &keys)?;
    set_paths(&mut wanted, split);
    let mut pointers: Vec<String> =
        keys.iter().map(String::as_str).chain([MANAGED_ANNOTATION]).map(annotation_at).collect();
    if !split.header_routes.is_empty() {
        let rules = wanted.list_at("/spec/rules").iter().enumerate();
        let with_paths = rules.filter(|(_, rule)| rule.pointer("/http/paths").is_some());
        pointers.extend(with_paths.map(|(index, _)| format!("/spec/rules/{index}/http/paths")));
    }
    Ok((wanted, pointers))
}

fn annotation_at(key: &str) -> String {
    format!("/metadata/annotations/{}", escaped(key))
}

/// Writes an annotation that holds JSON unless what stands there means the same.
fn annotate(object: &mut Object, key: &str, text: &str) {
    let have = object.annotation(key).and_then(|have| serde_json::from_str::<Value>(have).ok());
    if have.is_none() || have != serde_json::from_str(text).ok() {
        object.set_annotation(key, text);
    }
}

fn remove_annotation(object: &mut Object, key: &str) {
    if let Some(annotations) = mapping(object.json_mut(), &["metadata", "annotations"]) {
        annotations.remove(key);
    }
}

/// Records the annotations that belong to the Rollout; those of other Rollouts stay.
fn manage(object: &mut Object, owner: &str, keys: &[String]) -> Result<(), SplitError> {
    let text = object.annotation(MANAGED_ANNOTATION).filter(|text| !text.is_empty()).unwrap_or("{}").to_owned();
    let path = format!("Ingress `{}` annotation {MANAGED_ANNOTATION}", object.name());
    let mut managed: BTreeMap<String, Value> =
        serde_json::from_str(&text).map_err(|_| field(&path, "is not a JSON mapping"))?;
    match keys.is_empty() {
        true => managed.remove(owner),
        false => managed.insert(owner.to_owned(), json!(keys)),
    };
    if managed.is_empty() {
        remove_annotation(object, MANAGED_ANNOTATION);
    } else {
        annotate(object, MANAGED_ANNOTATION, &json!(managed).to_string());
    }
    Ok(())
}

/// Values of one header are alternatives within one condition; ALB takes only exact ones.
fn conditions(route: &HeaderRoute) -> Result<String, SplitError> {
    let mut headers: Vec<(&str, Vec<&str>)> = Vec::new();
    for one in &route.matches {
        let StringMatch::Exact(value) = &one.value else {
            return Err(SplitError::Unsupported { provider: "ALB", feature: "header routes by prefix or regex" });
        };
        match headers.iter_mut().find(|(header, _)| *header == one.header) {
            Some((_, values)) => values.push(value),
            None => headers.push((&one.header, vec![value])),
        }
    }
    let one = |(header, values): (&str, Vec<&str>)| {
        let (header, values) = (Value::from(header), json!(values));
        format!(r#"{{"field":"http-header","httpHeaderConfig":{{"httpHeaderName":{header},"values":{values}}}}}"#)
    };
    Ok(format!("[{}]", headers.into_iter().map(one).collect::<Vec<_>>().join(",")))
}

fn services(rule: &Value) -> impl Iterator<Item = &str> {
    let paths = rule.pointer("/http/paths").and_then(Value::as_array).into_iter().flatten();
    paths.filter_map(service_of)
}

fn service_of(path: &Value) -> Option<&str> {
    path.pointer("/backend/service/name").and_then(Value::as_str)
}

/// Puts a path for each header route before the others, in the order of the managed routes, and takes out those of
/// managed names that have none any more. A rule with a host alone has no paths and gets none.
fn set_paths(object: &mut Object, split: &Split) {
    let Some(spec) = mapping(object.json_mut(), &["spec"]) else { return };
    for rule in spec.get_mut("rules").and_then(Value::as_array_mut).into_iter().flatten() {
        let Some(paths) = rule.pointer_mut("/http/paths").and_then(Value::as_array_mut) else { continue };
        let is_managed = |path: &Value| {
            let leads_by_annotation =
                path.pointer("/backend/service/port/name").and_then(Value::as_str) == Some(USE_ANNOTATION);
            leads_by_annotation
                && service_of(path).is_some_and(|name| split.managed_routes.iter().any(|managed| managed == name))
        };
        let others = paths.iter().filter(|path| !is_managed(path)).cloned();
        let wanted = split.managed_routes.iter().filter(|name| split.header_routes.iter().any(|r| r.name == **name));
        *paths = wanted.map(|name| header_path(name)).chain(others).collect();
    }
}

fn header_path(action: &str) -> Value {
    json!({
        "path": "/*", "pathType": "ImplementationSpecific",
        "backend": {"service": {"name": action, "port": {"name": USE_ANNOTATION}}},
    })
}

/// Plans how one target is left behind. The action stays, because the paths lead through it, with everything to stable;
/// header routes and the record of what is managed go.
pub(crate) fn restore(split: &Split, target: &AlbTarget, live: &Live, planned: &mut SplitPlan) {
    let mut back = split.all_stable();
    back.total = 100;
    for name in &target.ingresses {
        let Some(ingress) = live.get(&target.id(name)) else { continue };
        let is_ours = ingress.annotation(&target.action_key(target.root(split))).is_some();
        let restored = applied(&back, target, ingress).and_then(|(mut wanted, _)| {
            manage(&mut wanted, &target.owner, &[])?;
            Ok(wanted)
        });
        match restored {
            Ok(wanted) if is_ours => {
                planned.changes.extend(Change::update(ingress, wanted, format!("Ingress `{name}` released")));
            }
            Ok(_) => {}
            Err(error) => planned.errors.push(error),
        }
    }
}

/// Tells the weights of one target; an Ingress without the action sends nothing to the canary.
pub(crate) fn observe(split: &Split, target: &AlbTarget, live: &Live) -> Vec<Observed> {
    let key = target.action_key(target.root(split));
    let shape = Shape { name: "/ServiceName", absent_weight: 0 };
    let read = |name: &String| {
        let ingress = live.get(&target.id(name))?;
        let action: Value =
            ingress.annotation(&key).and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
        let groups = action.pointer("/ForwardConfig/TargetGroups").and_then(Value::as_array).into_iter().flatten();
        let lower = |group: &Value| json!({"ServiceName": group.get("ServiceName"), "weight": group.get("Weight")});
        let groups: Vec<Value> = groups.map(lower).collect();
        let shares = shape.shares(Pair::services(split), &groups, split.total);
        Some(Observed::new(ingress.id(), &annotation_at(&key), shares))
    };
    target.ingresses.iter().filter_map(read).collect()
}
