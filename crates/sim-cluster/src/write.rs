//! The write path: create, update, patch and delete, with the bookkeeping every object gets.

use std::sync::Arc;

use object_model::format_time;
use serde_json::{Map, Value, json};

use crate::cluster::{Cluster, Write};
use crate::error::{ApiError, Cause};
use crate::log::{Actor, Effect, LogEntry};
use crate::meta;
use crate::patch;
use crate::resource::ResourceType;
use crate::store::{Change, Stored};

/// The kinds of patch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PatchKind {
    /// RFC 7386.
    Merge,
    /// RFC 6902.
    Json,
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
    fn new(object: Arc<Stored>, effect: Effect) -> Self {
        Self { object, effect, warnings: Vec::new() }
    }
}

impl Cluster {
    /// Does one write and logs it.
    pub(crate) fn perform(&mut self, call: &Call, action: Action) -> Result<Outcome, ApiError> {
        let verb = action.verb();
        let random = self.random_state();
        let result = match action {
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
        let mut object = accept_body(call, body)?;
        let resource = call.resource.clone();
        self.check_namespace(call)?;
        let fields = metadata_mut(&mut object)?;
        if fields.get("resourceVersion").and_then(Value::as_str).is_some_and(|version| !version.is_empty()) {
            return Err(ApiError::bad_request("resourceVersion should not be set on objects to be created"));
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
        causes.extend(meta::check_create(&resource, &object));
        if !causes.is_empty() {
            return Err(ApiError::invalid(&resource.group, &resource.kind, &name, &causes));
        }
        if self.get(&resource.storage, &call.namespace, &name).is_some() {
            return Err(ApiError::already_exists(&resource, &name));
        }
        let named = Call { name, ..call.clone() };
        let stored = self.store_state(&named, "create", object);
        Ok(Outcome::new(stored, Effect::Created))
    }

    fn update(&mut self, call: &Call, body: Value) -> Result<Outcome, ApiError> {
        let body = accept_body(call, body)?;
        match self.existing(call) {
            Ok(current) => self.replace(call, "update", &current, body),
            Err(_) if call.resource.allows_create_on_update() && call.subresource.is_none() => {
                let mut body = body;
                if let Some(fields) = body.get_mut("metadata").and_then(Value::as_object_mut) {
                    fields.remove("resourceVersion");
                }
                self.create(call, body)
            }
            Err(error) => Err(error),
        }
    }

    fn patch(&mut self, call: &Call, kind: PatchKind, body: &Value) -> Result<Outcome, ApiError> {
        let current = self.existing(call)?;
        let mut patched = current.json().clone();
        match kind {
            PatchKind::Merge => patch::merge(&mut patched, body),
            PatchKind::Json => patch::json_patch(&mut patched, body)?,
        }
        let patched = accept_body(call, patched)?;
        self.replace(call, "patch", &current, patched)
    }

    /// Replaces the current state by a new one, under the rules for what a write may touch.
    fn replace(
        &mut self,
        call: &Call,
        verb: &'static str,
        current: &Arc<Stored>,
        mut new: Value,
    ) -> Result<Outcome, ApiError> {
        let resource = call.resource.clone();
        let old = current.json();
        check_preconditions(call, current, &new)?;
        meta::keep_system_fields(old, &mut new)?;
        meta::keep_other_part(&resource, call.subresource.as_deref(), old, &mut new);
        meta::set_generation(&resource, old, &mut new);
        let mut causes = meta::check_metadata(&resource, &new, &call.name);
        causes.extend(meta::check_update(&resource, old, &new));
        if !causes.is_empty() {
            return Err(ApiError::invalid(&resource.group, &resource.kind, &call.name, &causes));
        }
        if meta::is_done(&resource, &new) {
            return Ok(self.remove_state(call, verb, new));
        }
        if *old == new {
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
            return Ok(self.remove_state(call, "delete", new));
        }
        meta::mark_deleted(resource, &mut new, grace, self.now());
        if new == *current.json() {
            return Ok(Outcome::new(current, Effect::None));
        }
        let stored = self.store_state(call, "delete", new);
        Ok(Outcome::new(stored, Effect::Updated))
    }

    fn store_state(&mut self, call: &Call, verb: &'static str, new: Value) -> Arc<Stored> {
        if call.options.is_dry_run {
            return Arc::new(Stored::new(new, self.revision()));
        }
        let fallback = new.clone();
        match self.commit(call, verb, Write::Put(new)).and_then(|change| change.after) {
            Some(stored) => stored,
            None => Arc::new(Stored::new(fallback, self.revision())),
        }
    }

    fn remove_state(&mut self, call: &Call, verb: &'static str, last: Value) -> Outcome {
        if call.options.is_dry_run {
            return Outcome::new(Arc::new(Stored::new(last, self.revision())), Effect::Deleted);
        }
        let shown = Arc::new(Stored::new(last.clone(), self.revision()));
        self.commit(call, verb, Write::Remove(last));
        Outcome::new(shown, Effect::Deleted)
    }

    /// The namespace must exist, and must not be going away when something is to be created in it.
    fn check_namespace(&self, call: &Call) -> Result<(), ApiError> {
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
        Err(ApiError::forbidden(&call.resource, &call.name, &why).with_causes(json!([{
            "reason": "NamespaceTerminating",
            "message": format!("namespace {} is being terminated", call.namespace),
            "field": "metadata.namespace",
        }])))
    }

    /// What follows from a stored change before anything else happens: new resources are served.
    pub(crate) fn follow_up(&mut self, call: &Call, change: &Change) {
        if call.resource.storage.as_ref() != "customresourcedefinitions.apiextensions.k8s.io" {
            return;
        }
        match &change.after {
            Some(after) => {
                let crd = after.json().clone();
                self.serve_custom_resources(&crd);
                if crd.pointer("/status/conditions").is_none() {
                    let mut established = crd;
                    self.establish(&mut established);
                    self.commit(call, "update", Write::Put(established));
                }
            }
            None => self.stop_serving(&change.name),
        }
    }
}

fn text_of(fields: &Map<String, Value>, key: &str) -> String {
    fields.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn metadata_mut(object: &mut Value) -> Result<&mut Map<String, Value>, ApiError> {
    object
        .as_object_mut()
        .map(|fields| fields.entry("metadata").or_insert_with(|| json!({})))
        .and_then(Value::as_object_mut)
        .ok_or_else(|| ApiError::bad_request("metadata must be an object"))
}

/// Checks that a body is the object the path names, and fills in what the path knows.
fn accept_body(call: &Call, mut body: Value) -> Result<Value, ApiError> {
    let resource = &call.resource;
    let Some(fields) = body.as_object_mut() else {
        return Err(ApiError::bad_request("the body must be an object"));
    };
    let kind = text_of(fields, "kind");
    let api_version = text_of(fields, "apiVersion");
    let wanted = resource.api_version();
    if !kind.is_empty() && kind != resource.kind || !api_version.is_empty() && api_version != wanted {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version.as_str()));
        return Err(ApiError::bad_request(format!(
            "{kind} in version \"{version}\" cannot be handled as a {}: no kind \"{kind}\" is registered for version \"{}\"",
            resource.kind,
            crate::resource::api_version(group, version),
        )));
    }
    fields.insert("kind".to_owned(), resource.kind.clone().into());
    fields.insert("apiVersion".to_owned(), wanted.into());
    let metadata = metadata_mut(&mut body)?;
    let namespace = text_of(metadata, "namespace");
    if resource.namespaced && !namespace.is_empty() && namespace != call.namespace {
        return Err(ApiError::bad_request(
            "the namespace of the provided object does not match the namespace sent on the request",
        ));
    }
    let name = text_of(metadata, "name");
    if !call.name.is_empty() && !name.is_empty() && name != call.name {
        return Err(ApiError::bad_request(format!(
            "the name of the object ({name}) does not match the name on the URL ({})",
            call.name
        )));
    }
    if !call.name.is_empty() {
        metadata.insert("name".to_owned(), call.name.clone().into());
    }
    if resource.namespaced {
        metadata.insert("namespace".to_owned(), call.namespace.clone().into());
    }
    Ok(body)
}

fn check_preconditions(call: &Call, current: &Stored, new: &Value) -> Result<(), ApiError> {
    let given = |pointer: &str| new.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let uid = given("/metadata/uid");
    if !uid.is_empty() && uid != current.uid() {
        let why = format!("Precondition failed: UID in precondition: {uid}, UID in object meta: {}", current.uid());
        return Err(ApiError::conflict(&call.resource, &call.name, &why));
    }
    let version = given("/metadata/resourceVersion");
    if version.is_empty() || version == "0" {
        if call.resource.allows_unconditional_update() {
            return Ok(());
        }
        let cause = Cause::invalid("metadata.resourceVersion", &json!(0), "must be specified for an update");
        return Err(ApiError::invalid(&call.resource.group, &call.resource.kind, &call.name, &[cause]));
    }
    if version != current.revision().to_string() {
        return Err(ApiError::modified(&call.resource, &call.name));
    }
    Ok(())
}

fn check_delete_preconditions(call: &Call, current: &Stored, options: &DeleteOptions) -> Result<(), ApiError> {
    if let Some(uid) = options.uid.as_deref().filter(|uid| *uid != current.uid()) {
        let why = format!("Precondition failed: UID in precondition: {uid}, UID in object meta: {}", current.uid());
        return Err(ApiError::conflict(&call.resource, &call.name, &why));
    }
    let have = current.revision().to_string();
    if let Some(version) = options.resource_version.as_deref().filter(|version| **version != have) {
        let why = format!(
            "Precondition failed: ResourceVersion in precondition: {version}, ResourceVersion in object meta: {have}"
        );
        return Err(ApiError::conflict(&call.resource, &call.name, &why));
    }
    Ok(())
}
