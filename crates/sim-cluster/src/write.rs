//! The write path: create, update, patch and delete, with the bookkeeping every object gets.

use std::sync::Arc;

use object_model::format_time;
use serde_json::{Map, Value, json};

use crate::apply::{self, ApplyError, FieldWriter, Managers, MergeType};
use crate::cluster::{Cluster, Write};
use crate::error::{ApiError, Cause};
use crate::log::{Actor, Effect, LogEntry};
use crate::preconditions::{
    accept_body, check_apply_kind, check_delete_preconditions, check_patched_kind, check_uid, check_version,
    metadata_mut, text_of,
};
use crate::resource::ResourceType;
use crate::store::Stored;
use crate::{decode, go_text, meta, patch, present, strategic, types, validate};

const PATCHES_OF_CUSTOM: &[&str] = &[
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/apply-patch+yaml",
    "application/apply-patch+cbor",
];

/// The kinds of patch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PatchKind {
    /// RFC 7386.
    Merge,
    /// RFC 6902.
    Json,
    /// The built-in kinds' own: lists merge by their keys.
    Strategic,
    /// Server-side apply.
    Apply,
}

/// What to do with fields the server does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FieldValidation {
    /// Drop them silently.
    Ignore,
    /// Drop them and say so in a `Warning` header.
    #[default]
    Warn,
    /// Refuse the request.
    Strict,
}

/// What happens to the dependants of a deleted object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Propagation {
    /// They are removed after it.
    Background,
    /// They are removed before it.
    Foreground,
    /// They stay.
    Orphan,
}

/// Options of a delete.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeleteOptions {
    /// Only when the object has this uid.
    pub uid: Option<String>,
    /// Only when the object has this resourceVersion.
    pub resource_version: Option<String>,
    /// How long a pod may take to stop.
    pub grace_period_seconds: Option<i64>,
    /// What happens to dependants.
    pub propagation: Option<Propagation>,
}

/// Options of a write.
#[derive(Debug, Clone, Default)]
pub struct WriteOptions {
    /// The field manager.
    pub manager: String,
    /// Whether to stop before storing.
    pub is_dry_run: bool,
    /// Whether server-side apply takes fields from their owners.
    pub is_forced: bool,
    /// What to do with unknown fields.
    pub field_validation: FieldValidation,
}

/// One write on one object.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) resource: Arc<ResourceType>,
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) subresource: Option<String>,
    pub(crate) actor: Actor,
    pub(crate) options: WriteOptions,
    /// Paths of fields that the body names twice.
    pub(crate) doubled: Vec<String>,
}

/// What to do to the object.
#[derive(Debug, Clone)]
pub enum Action {
    /// Create it.
    Create(Value),
    /// Replace it.
    Update(Value),
    /// Patch it.
    Patch(PatchKind, Value),
    /// Delete it.
    Delete(DeleteOptions),
}

impl Action {
    pub(crate) fn verb(&self) -> &'static str {
        match self {
            Self::Create(_) => "create",
            Self::Update(_) => "update",
            Self::Patch(..) => "patch",
            Self::Delete(_) => "delete",
        }
    }
}

/// The result of a write.
#[derive(Debug, Clone)]
pub(crate) struct Outcome {
    /// The object after the write, or its last state.
    pub(crate) object: Arc<Stored>,
    pub(crate) effect: Effect,
    pub(crate) warnings: Vec<String>,
}

impl Outcome {
    pub(crate) fn new(object: Arc<Stored>, effect: Effect) -> Self {
        Self { object, effect, warnings: Vec::new() }
    }

    fn warned(mut self, warnings: Vec<String>) -> Self {
        self.warnings.extend(warnings);
        self
    }
}

impl Cluster {
    /// Does one write and logs it.
    pub(crate) fn perform(&mut self, call: &Call, action: Action) -> Result<Outcome, ApiError> {
        let verb = action.verb();
        let random = self.random_state();
        let is_scale = call.subresource.as_deref() == Some("scale");
        let result = match action {
            Action::Update(body) if is_scale => self.update_scale(call, &body),
            Action::Patch(kind, body) if is_scale => self.patch_scale(call, kind, &body),
            Action::Create(body) => self.create(call, body),
            Action::Update(body) => self.update(call, body),
            Action::Patch(kind, body) => self.patch(call, kind, &body),
            Action::Delete(options) => self.delete(call, &options),
        };
        if call.options.is_dry_run {
            // A dry run leaves no trace, not even in the sequence that names come from.
            self.set_random_state(random);
        }
        let (code, effect, name) = match &result {
            Ok(outcome) => {
                let code = if outcome.effect == Effect::Created { 201 } else { 200 };
                let effect = if call.options.is_dry_run { Effect::None } else { outcome.effect };
                (code, effect, outcome.object.name().to_owned())
            }
            Err(error) => (error.code, Effect::None, call.name.clone()),
        };
        self.record(LogEntry {
            at: self.now(),
            actor: call.actor.clone(),
            verb,
            resource: call.resource.qualified(),
            namespace: call.namespace.clone(),
            name,
            subresource: call.subresource.clone().unwrap_or_default(),
            code,
            effect,
            revision: self.revision(),
        });
        result
    }

    pub(crate) fn existing(&self, call: &Call) -> Result<Arc<Stored>, ApiError> {
        self.get(&call.resource.storage, &call.namespace, &call.name)
            .cloned()
            .ok_or_else(|| ApiError::not_found(&call.resource, &call.name))
    }

    fn create(&mut self, call: &Call, body: Value) -> Result<Outcome, ApiError> {
        let body = accept_body(call, body)?;
        let mut warnings = Vec::new();
        let object = decode::decode(call, body, &mut warnings)?;
        let object = self.track_update(call, &decode::empty(&call.resource), None, object);
        let outcome = self.create_decoded(call, "create", object)?;
        Ok(outcome.warned(warnings))
    }

    /// Creates an object whose body is decoded and whose managed fields are set.
    fn create_decoded(&mut self, call: &Call, verb: &'static str, mut object: Value) -> Result<Outcome, ApiError> {
        let resource = call.resource.clone();
        let given = object.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
        self.check_namespace(call, given)?;
        self.check_definition(&resource)?;
        let fields = metadata_mut(&mut object)?;
        if fields.get("resourceVersion").and_then(Value::as_str).is_some_and(|version| !version.is_empty()) {
            // An apply that makes its object is no such create: there the version is just left out.
            if verb == "create" {
                return Err(ApiError::new(500, "", "resourceVersion should not be set on objects to be created"));
            }
            fields.remove("resourceVersion");
        }
        let mut name = text_of(fields, "name");
        let prefix = text_of(fields, "generateName");
        if name.is_empty() && !prefix.is_empty() {
            let short: String = prefix.chars().take(58).collect();
            name = format!("{short}{}", self.next_suffix());
            fields.insert("name".to_owned(), name.clone().into());
        }
        for key in ["deletionTimestamp", "deletionGracePeriodSeconds", "selfLink", "generation"] {
            fields.remove(key);
        }
        fields.insert("uid".to_owned(), self.next_uid().into());
        fields.insert("creationTimestamp".to_owned(), format_time(self.now()).into());
        if resource.namespaced {
            fields.insert("namespace".to_owned(), call.namespace.clone().into());
        } else {
            fields.remove("namespace");
        }
        if meta::counts_generations(&resource) {
            fields.insert("generation".to_owned(), 1.into());
        }
        meta::before_create(&resource, &mut object);
        let mut causes = meta::check_metadata(&resource, &object, &name);
        causes.extend(validate::create(&resource, &object));
        if !causes.is_empty() {
            // Both groups of Events are checked as the core one.
            let group = if resource.kind == "Event" && resource.custom.is_none() { "" } else { &resource.group };
            return Err(ApiError::invalid(group, &resource.kind, &name, &causes));
        }
        if self.get(&resource.storage, &call.namespace, &name).is_some() {
            let mut error = ApiError::already_exists(&resource, &name);
            if self.get(&resource.storage, &call.namespace, &name).is_some_and(|stored| stored.is_deleting()) {
                error.message = format!("object is being deleted: {}", error.message);
            }
            return Err(error);
        }
        self.admit_by_quota(call, &name, &object)?;
        self.allocate(&resource, &mut object, call.options.is_dry_run)?;
        let named = Call { name, ..call.clone() };
        let stored = self.store_state(&named, verb, object);
        Ok(Outcome::new(stored, Effect::Created))
    }

    /// Records in the managed fields what an update changed.
    pub(crate) fn track_update(&self, call: &Call, live: &Value, given: Option<&Value>, mut new: Value) -> Value {
        let is_reset = given.and_then(Value::as_array).is_some_and(|list| match list.as_slice() {
            [] => true,
            [one] => one.as_object().is_some_and(Map::is_empty),
            _ => false,
        });
        let live_list = live.pointer("/metadata/managedFields");
        let managers = if is_reset && call.subresource.is_none() {
            Managers::default()
        } else {
            let from_body = given.filter(|list| call.subresource.is_none() && !list.is_null());
            let is_empty = from_body.is_none_or(|list| list.as_array().is_none_or(Vec::is_empty));
            let decoded = if is_empty { None } else { Managers::decode(from_body) };
            decoded.or_else(|| Managers::decode(live_list)).unwrap_or_default()
        };
        let ignored = meta::ignored_fields(&call.resource, call.subresource.as_deref());
        let api_version = call.resource.api_version();
        let writer = FieldWriter {
            manager: &call.options.manager,
            api_version: &api_version,
            subresource: call.subresource.as_deref().unwrap_or_default(),
            ignored: &ignored,
            now: self.now(),
        };
        let managers = apply::update(live, &new, managers, &writer, MergeType::of(&call.resource));
        set_managers(&mut new, &managers);
        new
    }

    fn update(&mut self, call: &Call, body: Value) -> Result<Outcome, ApiError> {
        let body = accept_body(call, body)?;
        let mut warnings = Vec::new();
        let outcome = match self.existing(call) {
            Ok(current) => {
                check_uid(call, &current, &body)?;
                let given = body.pointer("/metadata/managedFields").cloned();
                let body = decode::decode(call, body, &mut warnings)?;
                let body = self.track_update(call, current.json(), given.as_ref(), body);
                self.replace(call, "update", &current, body)
            }
            Err(_) if call.resource.allows_create_on_update() && call.subresource.is_none() => {
                let mut body = body;
                if let Some(fields) = body.get_mut("metadata").and_then(Value::as_object_mut) {
                    fields.remove("resourceVersion");
                }
                self.create(call, body)
            }
            Err(error) => Err(error),
        };
        outcome.map(|outcome| outcome.warned(warnings))
    }

    fn patch(&mut self, call: &Call, kind: PatchKind, body: &Value) -> Result<Outcome, ApiError> {
        if kind == PatchKind::Apply {
            return self.apply_patch(call, body);
        }
        let current = self.existing(call)?;
        let shown = present::in_version(&call.resource, current.json());
        let mut patched = shown.unwrap_or_else(|| current.json().clone());
        match kind {
            PatchKind::Merge => patch::merge(&mut patched, body),
            PatchKind::Json => patch::json_patch(&mut patched, body)?,
            PatchKind::Strategic | PatchKind::Apply => {
                let Some(id) = types::of_kind(&call.resource.api_version(), &call.resource.kind) else {
                    return Err(ApiError::unsupported_media(PATCHES_OF_CUSTOM));
                };
                strategic::merge(&mut patched, body, id).map_err(|problem| ApiError::new(500, "", problem))?;
            }
        }
        if patched.pointer("/metadata/name").and_then(Value::as_str).is_none_or(str::is_empty) {
            return Err(ApiError::bad_request(format!(
                "the name of the object ({} based on URL) was undeterminable: name must be provided",
                call.name
            )));
        }
        let mut warnings = Vec::new();
        check_patched_kind(call, &patched)?;
        let patched = accept_body(call, patched)?;
        let given = patched.pointer("/metadata/managedFields").cloned();
        // Only a strict refusal shows what was patched.
        let before = (call.options.field_validation == FieldValidation::Strict).then(|| patched.clone());
        let shown = || match (kind, &before) {
            (PatchKind::Strategic, _) | (_, None) => go_text::plain(body),
            // A custom object has no Go type: all its fields are in order.
            (_, Some(before)) if call.resource.custom.is_some() => go_text::sorted_json(before),
            (_, Some(before)) => go_text::object_json(before),
        };
        let patched = decode::decode_patched(call, patched, shown, &mut warnings)?;
        let patched = self.track_update(call, current.json(), given.as_ref(), patched);
        self.replace(call, "patch", &current, patched).map(|outcome| outcome.warned(warnings))
    }

    pub(crate) fn apply_patch(&mut self, call: &Call, body: &Value) -> Result<Outcome, ApiError> {
        let resource = call.resource.clone();
        if body.pointer("/metadata/managedFields").is_some_and(|list| !list.is_null()) {
            return Err(ApiError::bad_request("metadata.managedFields must be nil"));
        }
        check_apply_kind(call, body)?;
        let named = body.pointer("/metadata/namespace").and_then(Value::as_str).unwrap_or_default().to_owned();
        let sent = body;
        let body = accept_body(call, body.clone())?;
        decode::check_declared(call, &named, &body)?;
        let current = self.existing(call).ok();
        let empty = decode::empty(&resource);
        let live = match &current {
            Some(current) => present::in_version(&resource, current.json()).unwrap_or_else(|| current.json().clone()),
            None if call.subresource.is_some() => return Err(ApiError::not_found(&resource, &call.name)),
            None => empty.clone(),
        };
        let uid = body.pointer("/metadata/uid").and_then(Value::as_str).unwrap_or_default();
        if current.is_none() && !uid.is_empty() {
            let why =
                format!("uid mismatch: the provided object specified uid {uid}, and no existing object was found");
            return Err(ApiError::conflict(&resource, &call.name, &why));
        }
        let ignored = meta::ignored_fields(&resource, call.subresource.as_deref());
        let api_version = resource.api_version();
        let writer = FieldWriter {
            manager: &call.options.manager,
            api_version: &api_version,
            subresource: call.subresource.as_deref().unwrap_or_default(),
            ignored: &ignored,
            now: self.now(),
        };
        let managers = Managers::decode(live.pointer("/metadata/managedFields")).unwrap_or_default();
        let at = MergeType::of(&resource);
        let applied = apply::apply(&live, &empty, &body, managers, &writer, call.options.is_forced, at);
        let (merged, managers) = applied.map_err(|error| apply_error(call, &named, error))?;
        let mut warnings = Vec::new();
        let mut merged = decode::decode_applied(call, &named, merged, &mut warnings)?;
        if call.options.manager == "kubectl" {
            renew_last_applied(&mut merged, sent);
        }
        set_managers(&mut merged, &managers);
        let outcome = match &current {
            Some(current) => self.replace(call, "patch", current, merged),
            None => self.create_decoded(call, "patch", merged),
        };
        outcome.map(|outcome| outcome.warned(warnings))
    }

    /// Replaces the current state by a new one, under the rules for what a write may touch.
    pub(crate) fn replace(
        &mut self,
        call: &Call,
        verb: &'static str,
        current: &Arc<Stored>,
        mut new: Value,
    ) -> Result<Outcome, ApiError> {
        let resource = call.resource.clone();
        let old = current.json();
        check_version(call, verb, current, &new)?;
        let uid = new.pointer("/metadata/uid").and_then(Value::as_str).unwrap_or_default().to_owned();
        let deletion = new.pointer("/metadata/deletionTimestamp").cloned().filter(|moment| !moment.is_null());
        meta::keep_system_fields(old, &mut new)?;
        meta::keep_other_part(&resource, call.subresource.as_deref(), old, &mut new);
        // A status counts nothing up, though a Deployment's may carry an annotation along.
        if call.subresource.as_deref() != Some("status") {
            meta::set_generation(&resource, old, &mut new);
            meta::count_templates(&resource, old, &mut new);
        }
        self.keep_allocated(&resource, old, &mut new);
        let mut causes = meta::check_metadata(&resource, &new, &call.name);
        let mut changed = Vec::new();
        if !uid.is_empty() && uid != current.uid() {
            changed.push(Cause::invalid("metadata.uid", &json!(uid), "field is immutable"));
        }
        if deletion.as_ref().is_some_and(|moment| old.pointer("/metadata/deletionTimestamp") != Some(moment)) {
            let moment = deletion.unwrap_or_default();
            changed.push(Cause::invalid("metadata.deletionTimestamp", &moment, "field is immutable"));
        }
        changed.extend(meta::check_update(old, &new));
        if resource.custom.is_none() {
            // For the built-in kinds the metadata is looked at by two hands, and both say what they find.
            causes.extend(changed.clone());
        }
        causes.extend(changed);
        causes.extend(validate::update(&resource, call.subresource.as_deref(), old, &new));
        if !causes.is_empty() {
            return Err(ApiError::invalid(&resource.group, &resource.kind, &call.name, &causes));
        }
        if meta::is_done(&resource, &new) {
            return Ok(self.remove_state(call, verb, new));
        }
        if *old == new || apply::keep_times(old, &mut new) {
            return Ok(Outcome::new(current.clone(), Effect::None));
        }
        let stored = self.store_state(call, verb, new);
        Ok(Outcome::new(stored, Effect::Updated))
    }

    fn delete(&mut self, call: &Call, options: &DeleteOptions) -> Result<Outcome, ApiError> {
        let current = self.existing(call)?;
        let resource = &call.resource;
        check_delete_preconditions(call, &current, options)?;
        if resource.storage.as_ref() == "namespaces"
            && matches!(call.name.as_str(), "default" | "kube-system" | "kube-public")
        {
            return Err(ApiError::forbidden(resource, &call.name, "this namespace may not be deleted"));
        }
        let mut new = current.json().clone();
        meta::mark_propagation(resource, &mut new, options.propagation);
        let grace = meta::grace_seconds(resource, &new, options.grace_period_seconds);
        if grace == 0 && !meta::has_finalizers(resource, &new) {
            if resource.storage.as_ref() == "pods" {
                meta::mark_deleted(resource, &mut new, grace, self.now());
            }
            return Ok(self.remove_state(call, "delete", new));
        }
        meta::mark_deleted(resource, &mut new, grace, self.now());
        if resource.kind == "CustomResourceDefinition" && !current.is_deleting() {
            crate::crd::mark_terminating(&mut new, self.now());
        }
        if new == *current.json() {
            return Ok(Outcome::new(current, Effect::None));
        }
        let stored = self.store_state(call, "delete", new);
        Ok(Outcome::new(stored, Effect::Updated))
    }

    fn store_state(&mut self, call: &Call, verb: &'static str, new: Value) -> Arc<Stored> {
        if call.options.is_dry_run {
            let revision = self.revision_of(&new);
            return Arc::new(Stored::new(new, revision));
        }
        let fallback = new.clone();
        match self.commit(call, verb, Write::Put(new)).and_then(|change| change.after) {
            Some(stored) => stored,
            None => Arc::new(Stored::new(fallback, self.revision())),
        }
    }

    fn revision_of(&self, object: &Value) -> u64 {
        let text = object.pointer("/metadata/resourceVersion").and_then(Value::as_str);
        text.and_then(|text| text.parse().ok()).unwrap_or(0)
    }

    fn remove_state(&mut self, call: &Call, verb: &'static str, last: Value) -> Outcome {
        if call.options.is_dry_run {
            return Outcome::new(Arc::new(Stored::new(last, self.revision())), Effect::Deleted);
        }
        let before = Arc::new(Stored::new(last.clone(), self.revision()));
        let removed = self.commit(call, verb, Write::Remove(last)).and_then(|change| change.last);
        // A write that takes away what held the object answers it as it was.
        let shown = removed.filter(|_| verb == "delete").unwrap_or(before);
        Outcome::new(shown, Effect::Deleted)
    }

    /// The namespace must exist, and must not be going away when something is to be created in it.
    fn check_namespace(&self, call: &Call, name: &str) -> Result<(), ApiError> {
        if !call.resource.namespaced {
            return Ok(());
        }
        let Some(namespace) = self.get("namespaces", "", &call.namespace) else {
            let Some(namespaces) = self.resource("namespaces") else { return Ok(()) };
            return Err(ApiError::not_found(namespaces, &call.namespace));
        };
        if !namespace.is_deleting() {
            return Ok(());
        }
        let why =
            format!("unable to create new content in namespace {} because it is being terminated", call.namespace);
        Err(ApiError::forbidden(&call.resource, name, &why).with_causes(json!([{
            "reason": "NamespaceTerminating",
            "message": format!("namespace {} is being terminated", call.namespace),
            "field": "metadata.namespace",
        }])))
    }
}

fn apply_error(call: &Call, named_namespace: &str, error: ApplyError) -> ApiError {
    match error {
        ApplyError::Conflict(message, causes) => ApiError::new(409, "Conflict", message).with_causes(causes),
        ApplyError::Shape(problem) => {
            let place = decode::place(call, named_namespace);
            ApiError::new(500, "", format!("failed to create typed patch object ({place}): {problem}"))
        }
    }
}

/// kubectl applied this object in its own way before: the annotation that it left follows what it applies now.
fn renew_last_applied(object: &mut Value, applied: &Value) {
    const ANNOTATION: &str = "kubectl.kubernetes.io/last-applied-configuration";
    let annotations = object.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut);
    if let Some(annotations) = annotations.filter(|annotations| annotations.contains_key(ANNOTATION)) {
        annotations.insert(ANNOTATION.to_owned(), format!("{}\n", go_text::sorted_json(applied)).into());
    }
}

fn set_managers(object: &mut Value, managers: &Managers) {
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        match managers.encode() {
            Some(list) => metadata.insert("managedFields".to_owned(), list),
            None => metadata.remove("managedFields"),
        };
    }
}
