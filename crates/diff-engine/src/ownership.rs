//! Who delivers an object: the owner annotation on live, and what it lets a config do.

use object_model::{Object, ObjectId, Uid};
use serde::{Deserialize, Serialize};

/// The annotation by which a config marks what it delivers.
pub const OWNER_ANNOTATION: &str = "sluice.dev/owner";

/// The content of the owner annotation.
///
/// It names the object it stands on, so that a copy on another object (made by a controller that copies annotations)
/// gives no right over that one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// The config as `namespace/name`, for people.
    pub config: String,
    /// The uid of the config.
    pub uid: Uid,
    /// The operation that intended the object; it stays the same for the object's life.
    pub operation: String,
    /// The object, as [`ObjectId`] prints it.
    pub object: String,
}

impl Owner {
    /// Returns the owner of `object`.
    pub fn new(config: &str, uid: &Uid, operation: &str, object: &ObjectId) -> Self {
        Self {
            config: config.to_owned(),
            uid: uid.clone(),
            operation: operation.to_owned(),
            object: object.to_string(),
        }
    }

    /// Reads the annotation of a live object; `None` when there is none, it can't be read or it is about another object.
    pub fn of(live: &Object) -> Option<Self> {
        let owner: Self = serde_json::from_str(live.annotation(OWNER_ANNOTATION)?).ok()?;
        (owner.object == live.id().to_string()).then_some(owner)
    }

    /// Writes the annotation.
    pub fn put_on(&self, object: &mut Object) {
        if let Ok(text) = serde_json::to_string(self) {
            object.set_annotation(OWNER_ANNOTATION, &text);
        }
    }
}

/// Whose a live object is, seen from one config.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ownership {
    /// It carries this config's annotation.
    Ours {
        /// The operation that the annotation names.
        operation: String,
    },
    /// It carries no mark of a delivery tool: an apply adopts it.
    Unclaimed,
    /// Another config delivers it.
    OtherConfig {
        /// That config as `namespace/name`.
        config: String,
        /// Its uid.
        uid: Uid,
    },
    /// Another tool delivers it.
    OtherTool {
        /// The tool.
        tool: &'static str,
        /// The tool's name for its application or release.
        name: String,
    },
}

/// Says whose a live object is, seen from the config with `config_uid`.
pub fn judge_ownership(live: &Object, config_uid: &Uid) -> Ownership {
    if let Some(owner) = Owner::of(live) {
        return if owner.uid == *config_uid {
            Ownership::Ours { operation: owner.operation }
        } else {
            Ownership::OtherConfig { config: owner.config, uid: owner.uid }
        };
    }
    if let Some((tool, name)) = other_tool(live) {
        return Ownership::OtherTool { tool, name };
    }
    Ownership::Unclaimed
}

/// The mark of Argo CD, Flux or Helm. Argo CD's is believed only when it describes this very object.
fn other_tool(live: &Object) -> Option<(&'static str, String)> {
    if let Some((application, about)) =
        live.annotation("argocd.argoproj.io/tracking-id").and_then(|id| id.split_once(':'))
    {
        let namespace = live.namespace().unwrap_or_default();
        if about == format!("{}/{}:{namespace}/{}", live.group(), live.kind(), live.name()) {
            return Some(("Argo CD", application.to_owned()));
        }
    }
    for toolkit in ["kustomize.toolkit.fluxcd.io", "helm.toolkit.fluxcd.io"] {
        if let Some(name) = live.label(&format!("{toolkit}/name")) {
            let namespace = live.label(&format!("{toolkit}/namespace")).unwrap_or_default();
            return Some(("Flux", format!("{namespace}/{name}")));
        }
    }
    let release = live.annotation("meta.helm.sh/release-name")?;
    let namespace = live.annotation("meta.helm.sh/release-namespace").unwrap_or_default();
    Some(("Helm", format!("{namespace}/{release}")))
}

/// An object that a config wants and somebody else delivers; it is reported, not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnershipConflict {
    /// The object.
    pub id: ObjectId,
    /// Whose it is.
    pub ownership: Ownership,
}

impl std::fmt::Display for OwnershipConflict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.ownership {
            Ownership::OtherConfig { config, .. } => write!(f, "{} is delivered by config {config}", self.id),
            Ownership::OtherTool { tool, name } => write!(f, "{} is delivered by {tool} as {name}", self.id),
            Ownership::Ours { .. } | Ownership::Unclaimed => write!(f, "{} is free", self.id),
        }
    }
}

/// Returns the live objects among the desired ones that somebody else delivers, in their order.
pub fn ownership_conflicts<'a>(live: impl IntoIterator<Item = &'a Object>, config_uid: &Uid) -> Vec<OwnershipConflict> {
    let judged = live.into_iter().map(|object| (object.id(), judge_ownership(object, config_uid)));
    judged
        .filter(|(_, ownership)| matches!(ownership, Ownership::OtherConfig { .. } | Ownership::OtherTool { .. }))
        .map(|(id, ownership)| OwnershipConflict { id, ownership })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn web() -> Object {
        Object::new("apps/v1", "Deployment", Some("qa"), "web")
    }

    #[test]
    fn case_15_an_annotation_copied_to_another_object_gives_no_right() {
        let uid = Uid::new("c1");
        let mut copied = Object::new("apps/v1", "Deployment", Some("qa"), "other");
        Owner::new("default/shop", &uid, "op1", &web().id()).put_on(&mut copied);
        assert_eq!(judge_ownership(&copied, &uid), Ownership::Unclaimed);
    }

    #[test]
    fn an_object_of_another_config_is_reported_with_its_name() {
        let mut live = web();
        Owner::new("default/other", &Uid::new("c2"), "op9", &live.id()).put_on(&mut live);
        let conflicts = ownership_conflicts([&live], &Uid::new("c1"));
        assert_eq!(conflicts[0].to_string(), "Deployment.apps qa/web is delivered by config default/other");
        assert!(ownership_conflicts([&live], &Uid::new("c2")).is_empty());
    }

    #[test]
    fn marks_of_other_tools_are_known() {
        let uid = Uid::new("c1");
        let mut argo = web();
        argo.set_annotation("argocd.argoproj.io/tracking-id", "shop:apps/Deployment:qa/web");
        assert_eq!(judge_ownership(&argo, &uid), Ownership::OtherTool { tool: "Argo CD", name: "shop".to_owned() });
        argo.set_annotation("argocd.argoproj.io/tracking-id", "shop:apps/Deployment:qa/copied-from");
        assert_eq!(judge_ownership(&argo, &uid), Ownership::Unclaimed);
        let mut helm = web();
        helm.set_annotation("meta.helm.sh/release-name", "rel");
        helm.set_annotation("meta.helm.sh/release-namespace", "qa");
        assert_eq!(judge_ownership(&helm, &uid), Ownership::OtherTool { tool: "Helm", name: "qa/rel".to_owned() });
        let mut flux = web();
        flux.set_label("kustomize.toolkit.fluxcd.io/name", "apps");
        flux.set_label("kustomize.toolkit.fluxcd.io/namespace", "flux-system");
        assert_eq!(
            judge_ownership(&flux, &uid),
            Ownership::OtherTool { tool: "Flux", name: "flux-system/apps".to_owned() }
        );
    }
}
