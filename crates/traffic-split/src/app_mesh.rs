//! App Mesh: weighted targets in the routes of a VirtualRouter, pods in two VirtualNodes.

use object_model::{Object, ObjectId};
use serde_json::{Map, Value};

use crate::backends::{Pair, Shape, mapping};
use crate::change::escaped;
use crate::section::{field, text, texts};
use crate::target::{Live, Observed, SplitPlan, refuse_beyond_weights};
use crate::{Change, Claim, MANAGED_BY_ANNOTATION, POD_HASH_LABEL, Split, SplitError};

const GROUP: &str = "appmesh.k8s.aws";
const ROUTE_TYPES: [&str; 4] = ["httpRoute", "tcpRoute", "http2Route", "grpcRoute"];
const SHAPE: Shape = Shape { name: "/virtualNodeRef/name", absent_weight: 0 };
/// The `appMesh` section of a Rollout's traffic routing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppMeshTarget {
    /// Namespace of the Rollout and its objects.
    pub namespace: String,
    /// Name of the Rollout, which the VirtualNodes are marked with.
    pub owner: String,
    /// The VirtualService, which names the VirtualRouter.
    pub virtual_service: String,
    /// Names of the routes to set; none means all.
    pub routes: Vec<String>,
    /// The VirtualNode of the canary's pods.
    pub canary_node: String,
    /// The VirtualNode of the stable pods.
    pub stable_node: String,
}

impl AppMeshTarget {
    /// Reads the `appMesh` section of a Rollout named `owner`.
    ///
    /// # Errors
    /// When it lacks the VirtualService or a VirtualNode.
    pub fn parse(json: &Value, namespace: &str, owner: &str) -> Result<Self, SplitError> {
        let path = "trafficRouting.appMesh";
        let section = |pointer: &str| json.pointer(pointer).unwrap_or(&Value::Null);
        let service = section("/virtualService");
        let node = |key: &str| {
            let at = format!("{path}.virtualNodeGroup.{key}");
            text(section(&format!("/virtualNodeGroup/{key}")), &at, "name")
        };
        Ok(Self {
            namespace: namespace.to_owned(),
            owner: owner.to_owned(),
            virtual_service: text(service, &format!("{path}.virtualService"), "name")?,
            routes: texts(service, &format!("{path}.virtualService"), "routes")?,
            canary_node: node("canaryVirtualNodeRef")?,
            stable_node: node("stableVirtualNodeRef")?,
        })
    }

    /// The VirtualRouter is named by the VirtualService, so it is known once that is there.
    pub(crate) fn objects(&self, live: &Live) -> Vec<ObjectId> {
        let fixed = [self.service(), self.node(&self.canary_node), self.node(&self.stable_node)];
        fixed.into_iter().chain(self.router(live)).collect()
    }

    fn service(&self) -> ObjectId {
        ObjectId::new(GROUP, "VirtualService", Some(&self.namespace), &self.virtual_service)
    }

    fn node(&self, name: &str) -> ObjectId {
        ObjectId::new(GROUP, "VirtualNode", Some(&self.namespace), name)
    }

    fn router(&self, live: &Live) -> Option<ObjectId> {
        let reference = live.get(&self.service())?.pointer("/spec/provider/virtualRouter/virtualRouterRef")?;
        let name = reference.get("name")?.as_str()?;
        let namespace = reference.get("namespace").and_then(Value::as_str).filter(|text| !text.is_empty());
        Some(ObjectId::new(GROUP, "VirtualRouter", Some(namespace.unwrap_or(&self.namespace)), name))
    }

    fn pair(&self) -> Pair<'_> {
        Pair { canary: &self.canary_node, stable: &self.stable_node }
    }

    fn sets(&self, route: &Value) -> bool {
        let name = route.get("name").and_then(Value::as_str).unwrap_or_default();
        self.routes.is_empty() || self.routes.iter().any(|wanted| wanted == name)
    }
}

/// Plans one target.
pub(crate) fn plan(split: &Split, target: &AppMeshTarget, live: &Live, planned: &mut SplitPlan) {
    refuse_beyond_weights("App Mesh", split, planned);
    // Both may select one version: after a promotion the canary's VirtualNode still has traffic for a moment. Without a
    // known version a VirtualNode goes on selecting what it selects.
    for (name, place) in [(&target.stable_node, &split.stable), (&target.canary_node, &split.canary)] {
        let id = target.node(name);
        match (live.get(&id), &place.pod_hash) {
            (Some(node), Some(hash)) => select(target, node, hash.as_str(), planned),
            (Some(_), None) => {}
            (None, _) => planned.errors.push(SplitError::NotFound { object: id }),
        }
    }
    if let Err(error) = route(split, target, live, planned) {
        planned.errors.push(error);
    }
}

fn select(target: &AppMeshTarget, node: &Object, hash: &str, planned: &mut SplitPlan) {
    let mut wanted = node.clone();
    wanted.set_annotation(MANAGED_BY_ANNOTATION, &target.owner);
    wanted.set_at(&["spec", "podSelector", "matchLabels", POD_HASH_LABEL], hash.into());
    for pointer in [
        format!("/metadata/annotations/{}", escaped(MANAGED_BY_ANNOTATION)),
        format!("/spec/podSelector/matchLabels/{}", escaped(POD_HASH_LABEL)),
    ] {
        planned.claims.push(Claim { object: node.id(), pointer });
    }
    let summary = format!("VirtualNode `{}` selects pods of {hash}", node.name());
    planned.changes.extend(Change::update(node, wanted, summary));
}

fn route(split: &Split, target: &AppMeshTarget, live: &Live, planned: &mut SplitPlan) -> Result<(), SplitError> {
    if !live.contains_key(&target.service()) {
        return Err(SplitError::NotFound { object: target.service() });
    }
    let shown = format!("VirtualService `{}` spec.provider.virtualRouter", target.virtual_service);
    let id = target.router(live).ok_or_else(|| field(&shown, "names no VirtualRouter"))?;
    let router = live.get(&id).ok_or_else(|| SplitError::NotFound { object: id.clone() })?;
    let mut wanted = router.clone();
    let path = format!("VirtualRouter `{}` spec.routes", id.name);
    let routes = mapping(wanted.json_mut(), &["spec"]).and_then(|spec| spec.get_mut("routes"));
    let routes = routes.and_then(Value::as_array_mut).ok_or_else(|| field(&path, "were not found"))?;
    let mut pointers = Vec::new();
    for (index, route) in routes.iter_mut().enumerate().filter(|(_, route)| target.sets(route)) {
        let shown = format!("{path}[{index}]");
        let (kind, targets) = weighted_targets(route).ok_or_else(|| field(&shown, "is not well-formed"))?;
        let pointer = format!("/spec/routes/{index}/{kind}/action/weightedTargets");
        pointers.extend(SHAPE.weigh(split, target.pair(), targets, (&shown, &pointer))?);
    }
    if pointers.is_empty() {
        return Err(field(&path, "holds none of the routes to set"));
    }
    planned.claims.extend(pointers.into_iter().map(|pointer| Claim { object: id.clone(), pointer }));
    let summary = format!("VirtualRouter `{}` set to desiredWeight '{}'", id.name, split.weight);
    planned.changes.extend(Change::update(router, wanted, summary));
    Ok(())
}

fn weighted_targets(route: &mut Value) -> Option<(&'static str, &mut Vec<Value>)> {
    let route: &mut Map<String, Value> = route.as_object_mut()?;
    let kind = ROUTE_TYPES.into_iter().find(|kind| route.contains_key(*kind))?;
    let action = mapping(route, &[kind, "action"])?;
    Some((kind, action.get_mut("weightedTargets")?.as_array_mut()?))
}

/// Plans how one target is left behind: everything to stable, and VirtualNodes that select as their users wrote them.
pub(crate) fn restore(split: &Split, target: &AppMeshTarget, live: &Live, planned: &mut SplitPlan) {
    for name in [&target.stable_node, &target.canary_node] {
        let Some(node) = live.get(&target.node(name)) else { continue };
        if node.annotation(MANAGED_BY_ANNOTATION) != Some(target.owner.as_str()) {
            continue;
        }
        let mut wanted = node.clone();
        if let Some(labels) = mapping(wanted.json_mut(), &["spec", "podSelector", "matchLabels"]) {
            labels.remove(POD_HASH_LABEL);
        }
        if let Some(annotations) = mapping(wanted.json_mut(), &["metadata", "annotations"]) {
            annotations.remove(MANAGED_BY_ANNOTATION);
        }
        planned.changes.extend(Change::update(node, wanted, format!("VirtualNode `{name}` released")));
    }
    if let Err(error) = route(&split.all_stable(), target, live, planned) {
        planned.errors.push(error);
    }
}

/// Tells the weights of one target.
pub(crate) fn observe(split: &Split, target: &AppMeshTarget, live: &Live) -> Vec<Observed> {
    let Some((id, router)) = target.router(live).and_then(|id| live.get(&id).map(|router| (id, router))) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for (index, route) in router.list_at("/spec/routes").iter().enumerate().filter(|(_, route)| target.sets(route)) {
        let mut route = route.clone();
        let Some((kind, targets)) = weighted_targets(&mut route) else { continue };
        let pointer = format!("/spec/routes/{index}/{kind}/action/weightedTargets");
        found.push(Observed::new(id.clone(), &pointer, SHAPE.shares(target.pair(), targets, split.total)));
    }
    found
}
