//! Carries out actions against the API server, each as its actor, and overlays what they left behind.

use std::sync::Arc;

use object_model::Object;
use reconcile_core::bugs::{self, Bug};
use reconcile_core::{Act, ActError, Action, Actor, Kind, ObjectRef, Precondition, StatusPatch, Stored, World};
use serde_json::Value;
use tokio::time::Instant;

use crate::TaskKey;
use crate::api::{ApiError, Detail, Patch, demand};
use crate::exchange::Asked;
use crate::shared::{Shared, lock, place_of};
use crate::store::Change;

/// The cluster as one task sees it.
pub(crate) struct KubeWorld<'a> {
    pub(crate) shared: &'a Arc<Shared>,
    pub(crate) task: &'a TaskKey,
}

impl World for KubeWorld<'_> {
    async fn act(&self, act: &Act) -> Result<Stored, ActError> {
        let name = kind_of_act(&act.action);
        let result = self.carry_out(act).await;
        let outcome = match &result {
            Ok(_) => "ok",
            Err(ActError::Conflict { .. }) => "conflict",
            Err(ActError::Refused { .. }) => "refused",
            Err(ActError::Unavailable { .. }) => "unavailable",
        };
        let domain = self.shared.domains.get(self.task.domain).map_or("", |domain| domain.name());
        let labels = [("domain", domain), ("kind", name), ("result", outcome)];
        self.shared.metrics.count("sluice_actions_total", &labels);
        result
    }
}

impl KubeWorld<'_> {
    async fn carry_out(&self, act: &Act) -> Result<Stored, ActError> {
        match &act.action {
            Action::Create { kind, object } => self.create(&act.actor, kind, object).await,
            Action::Apply { kind, object, manager, force, precondition } => {
                let target = ObjectRef::of(kind, object);
                let mut body = object.to_json();
                demand(&mut body, precondition);
                self.patch(&act.actor, &target, Patch::apply(body, manager.name(), *force), precondition).await
            }
            Action::Replace { kind, object, precondition } => {
                self.replace(&act.actor, kind, object, precondition).await
            }
            Action::Patch { target, patch, precondition } => {
                let patch = Patch::merge(patch.clone(), precondition);
                self.patch(&act.actor, target, patch, precondition).await
            }
            Action::JsonPatch { target, patch, precondition } => {
                let patch = Patch::json(patch.clone(), precondition);
                self.json_patch(&act.actor, target, patch, precondition).await
            }
            Action::Delete { target, precondition, propagation } => {
                let before = self.seen(target);
                let deleted = self.shared.api.delete(&act.actor, target, precondition, *propagation);
                match self.fenced(deleted).await {
                    Ok(Some(object)) => Ok(self.stored(&target.kind, object, before.as_deref())),
                    Ok(None) | Err(ApiError::NotFound { .. }) => {
                        self.gone(target, precondition);
                        Ok(Stored::Deleted)
                    }
                    Err(error) => Err(act_error(target, error)),
                }
            }
            Action::Evict { target, precondition } => self.evict(&act.actor, target, precondition).await,
            Action::Ask { slot, question } => {
                match self.shared.ask(slot.clone(), question.as_ref().clone(), self.task.clone()) {
                    Asked::New => Ok(Stored::Asked),
                    Asked::InFlight | Asked::Answered => Ok(Stored::Unchanged),
                }
            }
            Action::Forget { slot } => {
                lock(&self.shared.exchange).forget(slot);
                Ok(Stored::Deleted)
            }
            Action::Record { rows } => {
                let target = rows.first().map(|row| row.object.to_string()).unwrap_or_default();
                match self.shared.record.append(rows.clone()).await {
                    Ok(0) => Ok(Stored::Unchanged),
                    Ok(_) => Ok(Stored::Asked),
                    Err(error) => Err(ActError::Unavailable {
                        target: format!("the record of {target}"),
                        message: error.to_string(),
                    }),
                }
            }
        }
    }

    async fn create(&self, actor: &Actor, kind: &Kind, object: &Object) -> Result<Stored, ActError> {
        let target = ObjectRef::of(kind, object);
        match self.fenced(self.shared.api.create(actor, kind, object)).await {
            Ok(object) => Ok(self.stored(kind, object, None)),
            Err(ApiError::AlreadyExists { .. }) => {
                self.shared.refresh_object(&target).await.map_err(|error| act_error(&target, error))?;
                Ok(Stored::Unchanged)
            }
            Err(error) => Err(act_error(&target, error)),
        }
    }

    async fn replace(
        &self,
        actor: &Actor,
        kind: &Kind,
        object: &Object,
        precondition: &Precondition,
    ) -> Result<Stored, ActError> {
        let target = ObjectRef::of(kind, object);
        let mut body = object.to_json();
        demand(&mut body, precondition);
        let refused = |message: String| ActError::Refused { target: target.to_string(), message, code: 400 };
        let body = Object::from_json(body).map_err(|error| refused(error.to_string()))?;
        let before = self.seen(&target);
        match self.fenced(self.shared.api.replace_as(actor, &target, &body)).await {
            Ok(object) => Ok(self.stored(kind, object, before.as_deref())),
            Err(ApiError::NotFound { message }) => {
                Err(ActError::Conflict { target: target.to_string(), detail: message })
            }
            Err(error) => Err(act_error(&target, error)),
        }
    }

    async fn patch(
        &self,
        actor: &Actor,
        target: &ObjectRef,
        patch: Patch,
        precondition: &Precondition,
    ) -> Result<Stored, ActError> {
        let again = bugs::on(Bug::BlindRetry).then(|| patch.clone().without_version());
        let before = self.seen(target);
        let mut answer = self.fenced(self.shared.api.patch(actor, target, patch)).await;
        if let (Some(again), Err(ApiError::Conflict { .. })) = (again, &answer) {
            answer = self.shared.api.patch(actor, target, again).await;
        }
        match answer {
            Ok(object) => Ok(self.stored(&target.kind, object, before.as_deref())),
            Err(ApiError::NotFound { message }) if precondition.uid.is_some() => {
                Err(ActError::Conflict { target: target.to_string(), detail: message })
            }
            Err(error) => Err(act_error(target, error)),
        }
    }

    /// What became of the pod is read back: an evicted one must not be counted as available again.
    async fn evict(&self, actor: &Actor, target: &ObjectRef, precondition: &Precondition) -> Result<Stored, ActError> {
        match self.fenced(self.shared.api.evict(actor, target, precondition)).await {
            Ok(()) | Err(ApiError::NotFound { .. }) => {
                self.shared.refresh_object(target).await.map_err(|error| act_error(target, error))?;
                Ok(Stored::Deleted)
            }
            Err(error) => Err(act_error(target, error)),
        }
    }

    /// A failed `test` is a 422 like any invalid content: only the object itself tells the two apart.
    async fn json_patch(
        &self,
        actor: &Actor,
        target: &ObjectRef,
        patch: Patch,
        precondition: &Precondition,
    ) -> Result<Stored, ActError> {
        match self.patch(actor, target, patch, precondition).await {
            Err(ActError::Refused { code: 422, message, .. }) => {
                let found = self.shared.api.get(&Actor::Operator, target, Detail::Metadata).await;
                let found = found.map_err(|error| act_error(target, error))?;
                let target = target.to_string();
                if found.is_some_and(|object| holds(precondition, &object)) {
                    Err(ActError::Refused { target, message, code: 422 })
                } else {
                    Err(ActError::Conflict { target, detail: message })
                }
            }
            other => other,
        }
    }

    /// Writes a status.
    pub(crate) async fn write_status(&self, status: &StatusPatch) -> Result<Stored, ActError> {
        let mut patch = Patch::merge(status.patch.clone(), &status.precondition);
        let notes = status.patch.get("metadata").cloned();
        if status.subresource {
            // The status subresource drops annotations, so engine memory goes first, on the main resource.
            if let Some(metadata) = notes.filter(|metadata| metadata.get("annotations").is_some()) {
                let body = serde_json::json!({"metadata": metadata});
                let stored = self
                    .patch(
                        &Actor::Operator,
                        &status.target,
                        Patch::merge(body, &status.precondition),
                        &status.precondition,
                    )
                    .await?;
                let mut precondition = status.precondition.clone();
                if let (Stored::Object(object), Some(_)) = (&stored, &precondition.resource_version) {
                    precondition.resource_version = object.resource_version().map(str::to_owned);
                }
                let Some(body) = status.patch.get("status") else { return Ok(stored) };
                let body = serde_json::json!({"status": body});
                let patch = Patch::merge(body, &precondition).of_status();
                return self.patch(&Actor::Operator, &status.target, patch, &precondition).await;
            }
            patch = patch.of_status();
        }
        self.patch(&Actor::Operator, &status.target, patch, &status.precondition).await
    }

    /// No write leaves once another replica may lead (DESIGN §8).
    async fn fenced<T>(&self, write: impl Future<Output = Result<T, ApiError>>) -> Result<T, ApiError> {
        let answer = self.shared.leadership.within(self.task.domain, write).await;
        let over = || Err(ApiError::Unavailable { message: "this replica does not lead any more".to_owned() });
        answer.unwrap_or_else(over)
    }

    /// The object as it is known before a write.
    fn seen(&self, target: &ObjectRef) -> Option<Arc<Object>> {
        let (namespace, name) = place_of(target);
        lock(&self.shared.store).get(&target.kind, &namespace, &name)
    }

    /// Takes the answer of a write over. The watch may have told of it by now: whether it changed anything is seen from what
    /// was known before it was sent.
    fn stored(&self, kind: &Kind, object: Object, before: Option<&Object>) -> Stored {
        if kind.kind == "CustomResourceDefinition" {
            let group = object.str_at("/spec/group").unwrap_or_default();
            lock(&self.shared.discovery).forget_group(group);
            self.shared.tell_of_a_definition();
        }
        let version = object.resource_version();
        let same_version = before.is_some_and(|before| {
            before.uid() == object.uid() && before.resource_version() == version && version.is_some()
        });
        if bugs::on(Bug::OwnWritesUnseen) {
            return if same_version { Stored::Unchanged } else { Stored::Object(Arc::new(object)) };
        }
        let change = lock(&self.shared.store).wrote(kind, object.clone(), Instant::now());
        // What a watch of an older definition left out comes with the answer, though nothing was written.
        if same_version && change.is_none() {
            return Stored::Unchanged;
        }
        self.spread(change);
        Stored::Object(Arc::new(object))
    }

    fn gone(&self, target: &ObjectRef, precondition: &Precondition) {
        let place = place_of(target);
        let uid = precondition.uid.as_ref();
        let change = lock(&self.shared.store).deleted(&target.kind, &place, uid, Instant::now());
        self.spread(change);
    }

    fn spread(&self, change: Option<Change>) {
        if change.is_some() {
            self.shared.overlaid.notify_one();
        }
        self.shared.changed(change.into_iter().collect());
    }
}

fn holds(precondition: &Precondition, object: &Object) -> bool {
    let life = precondition.uid.is_none() || precondition.uid == object.uid();
    let version = precondition.resource_version.as_deref();
    life && (version.is_none() || version == object.resource_version())
}

fn act_error(target: &ObjectRef, error: ApiError) -> ActError {
    let target = target.to_string();
    match error {
        ApiError::Conflict { message } | ApiError::Expired { message } => {
            ActError::Conflict { target, detail: message }
        }
        ApiError::NotFound { message } => ActError::Refused { target, message, code: 404 },
        ApiError::AlreadyExists { message } => ActError::Refused { target, message, code: 409 },
        ApiError::Refused { code, message } => ActError::Refused { target, message, code },
        ApiError::Unavailable { message } => ActError::Unavailable { target, message },
    }
}

/// The metric label of an action.
pub(crate) fn kind_of_act(action: &Action) -> &'static str {
    match action {
        Action::Create { .. } => "create",
        Action::Apply { .. } => "apply",
        Action::Replace { .. } => "replace",
        Action::Patch { .. } => "patch",
        Action::JsonPatch { .. } => "json-patch",
        Action::Delete { .. } => "delete",
        Action::Evict { .. } => "evict",
        Action::Ask { .. } => "ask",
        Action::Forget { .. } => "forget",
        Action::Record { .. } => "record",
    }
}

/// The object that an action writes.
pub(crate) fn target_of(action: &Action) -> Option<ObjectRef> {
    match action {
        Action::Create { kind, object } | Action::Apply { kind, object, .. } | Action::Replace { kind, object, .. } => {
            Some(ObjectRef::of(kind, object))
        }
        Action::Patch { target, .. }
        | Action::JsonPatch { target, .. }
        | Action::Delete { target, .. }
        | Action::Evict { target, .. } => Some(target.clone()),
        Action::Ask { .. } | Action::Forget { .. } | Action::Record { .. } => None,
    }
}

/// An Event as the core API has it, named after the life of the object and the transition.
pub(crate) fn event_of(note: &reconcile_core::Note, component: &str, now: object_model::Timestamp) -> Object {
    use sha2::{Digest, Sha256};
    let namespace = note.about.namespace.clone().unwrap_or_else(|| "default".to_owned());
    let digest = Sha256::digest(format!("{}/{}", note.uid, note.transition).as_bytes());
    let suffix: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let stem: String = note.about.name.chars().take(200).collect();
    let kind = match note.kind {
        reconcile_core::EventType::Normal => "Normal",
        reconcile_core::EventType::Warning => "Warning",
    };
    let time = object_model::format_time(now);
    let message: String = note.message.chars().take(1_000).collect();
    let mut event = Object::new("v1", "Event", Some(&namespace), &format!("{stem}.{suffix}"));
    let about = serde_json::json!({
        "apiVersion": note.about.kind.api_version(), "kind": note.about.kind.kind, "name": note.about.name,
        "namespace": note.about.namespace, "uid": note.uid.as_str(),
    });
    for (field, value) in [
        ("involvedObject", without_null(about)),
        ("reason", note.reason.0.into()),
        ("message", message.into()),
        ("type", kind.into()),
        ("source", serde_json::json!({"component": component})),
        ("reportingComponent", component.into()),
        ("firstTimestamp", time.clone().into()),
        ("lastTimestamp", time.into()),
        ("count", 1.into()),
    ] {
        event.set_at(&[field], value);
    }
    event
}

fn without_null(mut value: Value) -> Value {
    if let Some(map) = value.as_object_mut() {
        map.retain(|_, value| !value.is_null());
    }
    value
}
