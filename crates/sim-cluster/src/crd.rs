//! CustomResourceDefinitions: the resources they add at run time.

use std::sync::Arc;

use object_model::format_time;
use serde_json::{Value, json};

use crate::cluster::{Cluster, Write};
use crate::error::ApiError;
use crate::resource::{ResourceType, qualified};
use crate::store::Change;
use crate::write::{Call, DeleteOptions};
use crate::{rules, schema};

/// Where the scale subresource of a custom resource finds its numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScalePaths {
    /// The path of the wanted replicas, for example `.spec.replicas`.
    pub spec_replicas: String,
    /// The path of the actual replicas, for example `.status.replicas`.
    pub status_replicas: String,
    /// The path of the selector in text form, when there is one.
    pub label_selector: Option<String>,
}

/// What a CustomResourceDefinition says about one version.
#[derive(Debug, Clone, PartialEq)]
pub struct CustomType {
    /// Whether objects are stored in this version.
    pub is_storage_version: bool,
    /// `schema.openAPIV3Schema`.
    pub schema: Value,
    /// Whether the schema holds defaults, which objects from before them show too.
    pub has_defaults: bool,
    /// Whether the schema holds rules in CEL.
    pub has_rules: bool,
    /// `spec.preserveUnknownFields`.
    pub preserves_unknown_fields: bool,
    /// The scale subresource.
    pub scale: Option<ScalePaths>,
    /// `additionalPrinterColumns`.
    pub printer_columns: Vec<Value>,
    /// Paths that field selectors can use.
    pub selectable_fields: Vec<String>,
    /// A warning for each use of a deprecated version.
    pub deprecation_warning: Option<String>,
}

/// The resources of a CustomResourceDefinition, one for each served version.
pub(crate) fn resources(crd: &Value) -> Vec<ResourceType> {
    let spec = crd.get("spec").unwrap_or(&Value::Null);
    let text = |value: &Value, pointer: &str| -> String {
        value.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let group = text(spec, "/group");
    let plural = text(spec, "/names/plural");
    let kind = text(spec, "/names/kind");
    let versions = spec.get("versions").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    versions
        .iter()
        .filter(|version| version.get("served").and_then(Value::as_bool).unwrap_or(false))
        .map(|version| {
            let name = text(version, "/name");
            let mut subresources = Vec::new();
            let has = |sub: &str| version.get("subresources").and_then(|subs| subs.get(sub)).is_some();
            for sub in ["scale", "status"] {
                if has(sub) {
                    subresources.push(sub.to_owned());
                }
            }
            let list_kind = text(spec, "/names/listKind");
            let singular = text(spec, "/names/singular");
            ResourceType {
                singular: if singular.is_empty() { kind.to_lowercase() } else { singular },
                list_kind: if list_kind.is_empty() { format!("{kind}List") } else { list_kind },
                short_names: strings(spec.pointer("/names/shortNames")),
                categories: strings(spec.pointer("/names/categories")),
                namespaced: text(spec, "/scope") == "Namespaced",
                subresources,
                storage: qualified(&plural, &group).into(),
                is_stored: true,
                custom: Some(Arc::new(custom_type(spec, version, &name))),
                group: group.clone(),
                version: name,
                plural: plural.clone(),
                kind: kind.clone(),
            }
        })
        .collect()
}

fn custom_type(spec: &Value, version: &Value, name: &str) -> CustomType {
    let scale = version.pointer("/subresources/scale").map(|scale| {
        let path = |key: &str| scale.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let selector = path("labelSelectorPath");
        ScalePaths {
            spec_replicas: path("specReplicasPath"),
            status_replicas: path("statusReplicasPath"),
            label_selector: (!selector.is_empty()).then_some(selector),
        }
    });
    let deprecated = version.get("deprecated").and_then(Value::as_bool).unwrap_or(false);
    let warning = version.get("deprecationWarning").and_then(Value::as_str).map(str::to_owned).unwrap_or_else(|| {
        let group = spec.get("group").and_then(Value::as_str).unwrap_or_default();
        let kind = spec.pointer("/names/kind").and_then(Value::as_str).unwrap_or_default();
        format!("{group}/{name} {kind} is deprecated")
    });
    CustomType {
        is_storage_version: version.get("storage").and_then(Value::as_bool).unwrap_or(false),
        has_defaults: version.pointer("/schema/openAPIV3Schema").is_some_and(schema::has_defaults),
        has_rules: version.pointer("/schema/openAPIV3Schema").is_some_and(rules::has_any),
        schema: version.pointer("/schema/openAPIV3Schema").cloned().unwrap_or_else(|| json!({})),
        preserves_unknown_fields: spec.get("preserveUnknownFields").and_then(Value::as_bool).unwrap_or(false),
        scale,
        printer_columns: version.get("additionalPrinterColumns").and_then(Value::as_array).cloned().unwrap_or_default(),
        selectable_fields: version
            .get("selectableFields")
            .and_then(Value::as_array)
            .map(|fields| {
                fields
                    .iter()
                    .filter_map(|field| field.get("jsonPath")?.as_str())
                    .map(|path| path.trim_start_matches('.').to_owned())
                    .collect()
            })
            .unwrap_or_default(),
        deprecation_warning: deprecated.then_some(warning),
    }
}

fn strings(list: Option<&Value>) -> Vec<String> {
    let list = list.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    list.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// Says in the status that the definition is on its way out.
pub(crate) fn mark_terminating(definition: &mut Value, now: object_model::Timestamp) {
    let conditions = definition.pointer_mut("/status/conditions").and_then(Value::as_array_mut);
    if let Some(conditions) = conditions {
        conditions.push(json!({
            "type": "Terminating", "status": "True", "reason": "InstanceDeletionPending",
            "message": "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon",
            "lastTransitionTime": format_time(now),
        }));
    }
}

/// Where CustomResourceDefinitions are stored.
const STORAGE: &str = "customresourcedefinitions.apiextensions.k8s.io";

/// Holds a definition until its objects are gone.
const FINALIZER: &str = "customresourcecleanup.apiextensions.k8s.io";

impl Cluster {
    /// What follows from a stored change before anything else happens: definitions are served, and cleaned up after.
    pub(crate) fn follow_up(&mut self, call: &Call, change: &Change) {
        if call.resource.storage.as_ref() != STORAGE {
            if call.resource.custom.is_some() && change.after.is_none() {
                let definition = call.resource.storage.clone();
                self.finish_definition(&definition);
            }
            return;
        }
        let Some(after) = &change.after else { return self.stop_serving(&change.name) };
        let crd = after.json().clone();
        self.serve_custom_resources(&crd);
        if after.is_deleting() {
            self.empty_definition(&change.name);
            return;
        }
        let conditions = crd.pointer("/status/conditions").and_then(Value::as_array);
        if conditions.is_none_or(Vec::is_empty) {
            let mut established = crd;
            self.establish(&mut established);
            if let Some(metadata) = established.get_mut("metadata").and_then(Value::as_object_mut) {
                metadata.insert("finalizers".to_owned(), json!([FINALIZER]));
            }
            self.commit(call, "update", Write::Put(established));
        }
    }

    /// Nothing new is created while the definition goes away.
    pub(crate) fn check_definition(&self, resource: &ResourceType) -> Result<(), ApiError> {
        let is_going = resource.custom.is_some()
            && self.get(STORAGE, "", &resource.storage).is_some_and(|definition| definition.is_deleting());
        if !is_going {
            return Ok(());
        }
        let message = "create not allowed while custom resource definition is terminating";
        Err(ApiError::new(405, "MethodNotAllowed", message))
    }

    /// Deletes all objects of a definition that goes away.
    fn empty_definition(&mut self, name: &str) {
        let objects: Vec<_> = self.list(name, None).cloned().collect();
        for object in objects.iter().filter(|object| !object.is_deleting()) {
            let (namespace, object_name) = (object.namespace().to_owned(), object.name().to_owned());
            let mut acting = self.acting_as("system:apiserver");
            // One that is gone already needs nothing more.
            let _ = acting.delete(name, &namespace, &object_name, DeleteOptions::default());
        }
        self.finish_definition(name);
    }

    /// Lets a definition go once its last object is gone.
    fn finish_definition(&mut self, name: &str) {
        let Some(definition) = self.get(STORAGE, "", name).filter(|definition| definition.is_deleting()).cloned()
        else {
            return;
        };
        let mut kept = crate::meta::finalizers(definition.json());
        if self.list(name, None).next().is_some() || !kept.iter().any(|finalizer| finalizer == FINALIZER) {
            return;
        }
        kept.retain(|finalizer| finalizer != FINALIZER);
        let patch = json!({"metadata": {"finalizers": kept}});
        // The definition was there a moment ago, and only a client that holds it back can keep it.
        let _ = self.acting_as("system:apiserver").merge(STORAGE, "", name, patch);
    }

    /// Serves what a stored CustomResourceDefinition describes, and nothing it no longer does.
    pub(crate) fn serve_custom_resources(&mut self, crd: &Value) {
        let name = crd.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default().to_owned();
        let registry = Arc::make_mut(&mut self.registry);
        registry.remove_custom(&name);
        for resource in resources(crd) {
            registry.add(Arc::new(resource));
        }
    }

    pub(crate) fn stop_serving(&mut self, crd_name: &str) {
        Arc::make_mut(&mut self.registry).remove_custom(crd_name);
    }

    /// Fills the status a CustomResourceDefinition gets once its names are accepted.
    pub(crate) fn establish(&self, crd: &mut Value) {
        let now = format_time(self.now());
        let condition = |kind: &str, reason: &str, message: &str| json!({"type": kind, "status": "True", "reason": reason, "message": message, "lastTransitionTime": now});
        let spec = crd.get("spec").cloned().unwrap_or(Value::Null);
        let versions = spec.get("versions").and_then(Value::as_array).cloned().unwrap_or_default();
        let stored: Vec<Value> = versions
            .iter()
            .filter(|version| version.get("storage").and_then(Value::as_bool).unwrap_or(false))
            .filter_map(|version| version.get("name").cloned())
            .collect();
        let status = json!({
            "acceptedNames": spec.get("names").cloned().unwrap_or_else(|| json!({})),
            "conditions": [
                condition("NamesAccepted", "NoConflicts", "no conflicts found"),
                condition("Established", "InitialNamesAccepted", "the initial names have been accepted"),
            ],
            "storedVersions": stored,
        });
        if let Some(fields) = crd.as_object_mut() {
            fields.insert("status".to_owned(), status);
        }
    }
}
