//! Asks the server what it would say to writes, without writing.

use futures::StreamExt;
use futures::future::BoxFuture;
use object_model::{ObjectId, Timestamp};
use reconcile_core::{Actor, Answer, DryRunForm, DryRunObject, ObjectRef, SourceFailure};

use crate::api::{ApiClient, ApiError, Patch};

/// Dry runs of one question that are on their way at once.
const AT_ONCE: usize = 8;
/// Most writes of one question.
const OBJECTS_MAX: usize = 5_000;

/// Tries every write; what the server could not judge makes the whole answer a failure that may pass.
pub(crate) async fn answer(api: &ApiClient, actor: &Actor, objects: &[DryRunObject], asked: Timestamp) -> Answer {
    let failed = |reason: &str, message: String, lasting| {
        Answer::Failed(SourceFailure { reason: reason.to_owned(), message, at: asked, lasting })
    };
    if objects.len() > OBJECTS_MAX {
        let message = format!("{} objects are more than {OBJECTS_MAX}, the most of one dry run", objects.len());
        return failed("TooManyObjects", message, true);
    }
    let tries: Vec<BoxFuture<'_, (ObjectId, Result<(), ApiError>)>> =
        objects.iter().map(|object| -> BoxFuture<'_, _> { Box::pin(try_one(api, actor, object)) }).collect();
    let results: Vec<(ObjectId, Result<(), ApiError>)> = futures::stream::iter(tries).buffered(AT_ONCE).collect().await;
    let mut refused = Vec::new();
    for (id, result) in results {
        match result {
            Ok(()) => {}
            Err(ApiError::Unavailable { message } | ApiError::Expired { message }) => {
                return failed("DryRunFailed", format!("{id}: {message}"), false);
            }
            Err(error) => refused.push((id, words(error))),
        }
    }
    Answer::DryRun(refused)
}

async fn try_one(api: &ApiClient, actor: &Actor, wanted: &DryRunObject) -> (ObjectId, Result<(), ApiError>) {
    let id = wanted.object.id();
    let result = match wanted.form {
        DryRunForm::Apply { manager, force } => {
            let target = ObjectRef::of(&wanted.kind, &wanted.object);
            let patch = Patch::apply(wanted.object.to_json(), manager.name(), force).without_effect();
            api.patch(actor, &target, patch).await.map(|_| ())
        }
        DryRunForm::Create => api.try_create(actor, &wanted.kind, &wanted.object).await,
    };
    (id, result)
}

fn words(error: ApiError) -> String {
    match error {
        ApiError::NotFound { message }
        | ApiError::AlreadyExists { message }
        | ApiError::Conflict { message }
        | ApiError::Expired { message }
        | ApiError::Refused { message, .. }
        | ApiError::Unavailable { message } => message,
    }
}
