//! Webhooks of forges: a signed one makes the operator look at the repository at once.

use bytes::Bytes;
use git_source::{Webhook, WebhookAnswer, WebhookKind, same_repository};
use http::{HeaderMap, StatusCode};
use object_model::Secret;

use crate::Handle;
use crate::server::Reply;

/// Judges a webhook and wakes the keys that read its repository.
pub(crate) fn receive(
    handle: &Handle,
    secret: &Secret<String>,
    path: &str,
    headers: &HeaderMap,
    body: &Bytes,
) -> Reply {
    let kind = if path == "/webhook/github" { WebhookKind::GitHub } else { WebhookKind::Generic };
    let Ok(webhook) = Webhook::new(kind, secret.clone()) else {
        return Reply::text(StatusCode::NOT_FOUND, "webhooks are off: the webhook secret is empty");
    };
    let pairs: Vec<(&str, &str)> =
        headers.iter().filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?))).collect();
    match webhook.receive(&pairs, body) {
        Ok(WebhookAnswer::Refresh { url, .. }) => {
            let woken = handle.refresh(|watched| same_repository(watched, &url));
            tracing::info!(repository = url, woken, "a webhook asks to look at a repository");
            Reply::text(StatusCode::ACCEPTED, format!("{woken} woken"))
        }
        Ok(_) => Reply::text(StatusCode::OK, "nothing to do"),
        Err(rejection) => {
            tracing::info!(%rejection, "a webhook was turned away");
            let status = StatusCode::from_u16(rejection.status()).unwrap_or(StatusCode::BAD_REQUEST);
            Reply::text(status, rejection.to_string())
        }
    }
}
