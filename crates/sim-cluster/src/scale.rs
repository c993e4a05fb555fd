//! The scale subresource: replicas of workloads and of custom objects seen as `autoscaling/v1` Scale.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::cluster::Cluster;
use crate::error::ApiError;
use crate::patch;
use crate::resource::ResourceType;
use crate::store::Stored;
use crate::write::{Call, Outcome, PatchKind};

/// Where the numbers are, as JSON pointers.
struct Places {
    wanted: String,
    actual: String,
    selector: Option<String>,
}

fn places(resource: &ResourceType) -> Places {
    match resource.custom.as_ref().and_then(|custom| custom.scale.as_ref()) {
        Some(paths) => {
            let pointer = |path: &str| path.replace('.', "/");
            Places {
                wanted: pointer(&paths.spec_replicas),
                actual: pointer(&paths.status_replicas),
                selector: paths.label_selector.as_deref().map(pointer),
            }
        }
        None => Places { wanted: "/spec/replicas".to_owned(), actual: "/status/replicas".to_owned(), selector: None },
    }
}

/// The Scale of an object.
pub(crate) fn of(resource: &ResourceType, object: &Value) -> Value {
    let places = places(resource);
    let number = |pointer: &str| object.pointer(pointer).and_then(Value::as_i64).unwrap_or(0);
    let mut status = json!({"replicas": number(&places.actual)});
    let selector = match &places.selector {
        Some(pointer) => object.pointer(pointer).and_then(Value::as_str).map(str::to_owned),
        None => object
            .pointer("/spec/selector")
            .and_then(|selector| object_model::LabelSelector::parse(selector).ok())
            .map(|selector| selector.to_string()),
    };
    if let (Some(selector), Some(fields)) = (selector.filter(|text| !text.is_empty()), status.as_object_mut()) {
        fields.insert("selector".to_owned(), selector.into());
    }
    let mut metadata = Map::new();
    for key in ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"] {
        if let Some(value) = object.get("metadata").and_then(|metadata| metadata.get(key)) {
            metadata.insert(key.to_owned(), value.clone());
        }
    }
    let wanted = number(&places.wanted);
    let spec = if wanted == 0 { json!({}) } else { json!({"replicas": wanted}) };
    json!({"kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": metadata, "spec": spec, "status": status})
}

impl Cluster {
    /// Replaces the Scale of an object.
    pub(crate) fn update_scale(&mut self, call: &Call, scale: &Value) -> Result<Outcome, ApiError> {
        let current = self.existing(call)?;
        self.set_scale(call, "update", &current, scale)
    }

    /// Patches the Scale of an object.
    pub(crate) fn patch_scale(&mut self, call: &Call, kind: PatchKind, body: &Value) -> Result<Outcome, ApiError> {
        let current = self.existing(call)?;
        let mut scale = of(&call.resource, current.json());
        match kind {
            PatchKind::Json => patch::json_patch(&mut scale, body)?,
            PatchKind::Apply => return self.apply_scale(call, body),
            // A Scale has no lists: the two kinds of patch come to the same.
            PatchKind::Merge | PatchKind::Strategic => patch::merge(&mut scale, body),
        }
        self.set_scale(call, "patch", &current, &scale)
    }

    /// An apply on a Scale is an apply of the one field of the object that it stands for.
    fn apply_scale(&mut self, call: &Call, body: &Value) -> Result<Outcome, ApiError> {
        let resource = &call.resource;
        let mut partial = json!({
            "apiVersion": resource.api_version(), "kind": resource.kind, "metadata": {"name": call.name},
        });
        for key in ["uid", "resourceVersion"] {
            let given = body.get("metadata").and_then(|metadata| metadata.get(key)).cloned();
            if let (Some(given), Some(metadata)) = (given, partial.get_mut("metadata").and_then(Value::as_object_mut)) {
                metadata.insert(key.to_owned(), given);
            }
        }
        if let Some(replicas) = body.pointer("/spec/replicas") {
            set_at(&mut partial, &places(resource).wanted, replicas.clone());
        }
        self.apply_patch(call, &partial)
    }

    fn set_scale(
        &mut self,
        call: &Call,
        verb: &'static str,
        current: &Arc<Stored>,
        scale: &Value,
    ) -> Result<Outcome, ApiError> {
        let replicas = scale.pointer("/spec/replicas").and_then(Value::as_i64).unwrap_or(0);
        if replicas < 0 {
            let cause =
                crate::error::Cause::invalid("spec.replicas", &json!(replicas), "must be greater than or equal to 0");
            return Err(ApiError::invalid("autoscaling", "Scale", &call.name, &[cause]));
        }
        let mut new = current.json().clone();
        let version = scale.pointer("/metadata/resourceVersion").cloned();
        if let (Some(version), Some(metadata)) = (version, new.get_mut("metadata").and_then(Value::as_object_mut)) {
            metadata.insert("resourceVersion".to_owned(), version);
        }
        set_at(&mut new, &places(&call.resource).wanted, json!(replicas));
        let new = self.track_update(call, current.json(), None, new);
        self.replace(call, verb, current, new)
    }
}

fn set_at(object: &mut Value, pointer: &str, value: Value) {
    let mut at = object;
    let mut parts = pointer.split('/').filter(|part| !part.is_empty()).peekable();
    while let Some(part) = parts.next() {
        let Some(fields) = at.as_object_mut() else { return };
        if parts.peek().is_none() {
            fields.insert(part.to_owned(), value);
            return;
        }
        at = fields.entry(part.to_owned()).or_insert_with(|| json!({}));
    }
}
