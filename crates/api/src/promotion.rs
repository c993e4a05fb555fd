//! Pipeline: the order of environments. Promotion: one operation that moves versions, or takes a commit back.

use object_model::Object;
use serde_json::Value;

use crate::{Fields, Problem};

/// One environment of a pipeline and where its versions come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PipelineStage {
    /// Name of the Environment.
    pub environment: String,
    /// Names of the environments it may be promoted from; empty for the first.
    pub from: Vec<String>,
}

/// The typed fields of a Pipeline (sluice.dev/v1alpha1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pipeline {
    /// `spec.environments`, in order.
    pub stages: Vec<PipelineStage>,
    /// `spec.versions[]`: (name, image repository) of what travels.
    pub versions: Vec<(String, String)>,
}

impl Pipeline {
    /// Reads a pipeline; problems name their fields.
    pub fn parse(object: &Object) -> (Self, Vec<Problem>) {
        let mut fields = Fields::of(object);
        let mut stages = Vec::new();
        for (index, item) in list(&fields, "spec.environments").iter().enumerate() {
            let Some(environment) = item.get("name").and_then(Value::as_str) else {
                fields.problem(&format!("spec.environments[{index}].name"), "is required");
                continue;
            };
            let from = item.get("from").and_then(Value::as_array).cloned().unwrap_or_default();
            let from = from.iter().filter_map(Value::as_str).map(str::to_owned).collect();
            stages.push(PipelineStage { environment: environment.to_owned(), from });
        }
        if stages.is_empty() {
            fields.problem("spec.environments", "needs at least one environment");
        }
        let mut versions = Vec::new();
        for (index, item) in list(&fields, "spec.versions").iter().enumerate() {
            let text = |key: &str| item.get(key).and_then(Value::as_str).map(str::to_owned);
            match (text("name"), text("image")) {
                (Some(name), Some(image)) => versions.push((name, image)),
                _ => fields.problem(&format!("spec.versions[{index}]"), "needs name and image"),
            }
        }
        (Self { stages, versions }, fields.into_problems())
    }
}

/// What a Promotion does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PromotionAction {
    /// Moves versions from one environment to the next.
    Promote,
    /// Takes a failed commit back.
    Rollback,
}

/// The typed fields of a Promotion (sluice.dev/v1alpha1). The spec is immutable: one object, one operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Promotion {
    /// `spec.action`: `promote` or `rollback`.
    pub action: PromotionAction,
    /// `spec.pipeline`: Pipeline in the same namespace (promote).
    pub pipeline: String,
    /// `spec.from`: source environment (promote).
    pub from: String,
    /// `spec.to`: target environment (promote).
    pub to: String,
    /// `spec.versions`: (name, full image reference); empty to take what is healthy in `from`.
    pub versions: Vec<(String, String)>,
    /// `spec.config`: GitOpsConfig in the same namespace (rollback).
    pub config: String,
    /// `spec.reverts`: the commit that failed (rollback).
    pub reverts: String,
    /// `spec.restores`: the last healthy commit (rollback).
    pub restores: String,
    /// `spec.paths`: exactly the paths that the failing config rendered from (rollback).
    pub paths: Vec<String>,
    /// `spec.requestedBy`: who asked.
    pub requested_by: String,
    /// `spec.reason`: why.
    pub reason: String,
}

impl Promotion {
    /// Reads a promotion; problems name their fields.
    pub fn parse(object: &Object) -> (Self, Vec<Problem>) {
        let mut fields = Fields::of(object);
        let action = match fields.text("spec.action").as_deref() {
            None | Some("promote") => PromotionAction::Promote,
            Some("rollback") => PromotionAction::Rollback,
            Some(other) => {
                fields.problem("spec.action", format!("`{other}` is not one of promote, rollback"));
                PromotionAction::Promote
            }
        };
        let promote = action == PromotionAction::Promote;
        let mut needed = |path: &str, needed: bool| match needed {
            true => fields.required_text(path),
            false => fields.text(path).unwrap_or_default(),
        };
        let pipeline = needed("spec.pipeline", promote);
        let from = needed("spec.from", promote);
        let to = needed("spec.to", promote);
        let config = needed("spec.config", !promote);
        let reverts = needed("spec.reverts", !promote);
        let restores = needed("spec.restores", !promote);
        let mut versions = Vec::new();
        for (index, item) in list(&fields, "spec.versions").iter().enumerate() {
            let text = |key: &str| item.get(key).and_then(Value::as_str).map(str::to_owned);
            match (text("name"), text("image")) {
                (Some(name), Some(image)) => versions.push((name, image)),
                _ => fields.problem(&format!("spec.versions[{index}]"), "needs name and image"),
            }
        }
        let promotion = Self {
            action,
            pipeline,
            from,
            to,
            versions,
            config,
            reverts,
            restores,
            paths: fields.texts("spec.paths"),
            requested_by: fields.text("spec.requestedBy").unwrap_or_default(),
            reason: fields.text("spec.reason").unwrap_or_default(),
        };
        (promotion, fields.into_problems())
    }
}

fn list<'a>(fields: &Fields<'a>, path: &str) -> &'a [Value] {
    match fields.value(path) {
        Some(Value::Array(items)) => items,
        _ => &[],
    }
}
