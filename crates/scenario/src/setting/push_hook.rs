//! What a forge does after a push: a signed request to the operator's webhook.

use git_source::{Webhook, WebhookKind};
use object_model::Secret;
use reconcile_core::{HttpQuery, HttpReply};
use reconcile_runtime::{Clock, EgressPolicy, HttpSender, Sender};
use serde_json::json;

/// Longest wait for the operator's answer, in milliseconds.
const TIMEOUT_MS: u64 = 10_000;
/// Longest answer that is read.
const ANSWER_BYTES_MAX: usize = 4 << 10;

/// Where a push is announced, and the secret that signs the request.
#[derive(Debug, Clone)]
pub struct PushHook {
    /// Address of the operator's server, such as `http://127.0.0.1:8080`.
    pub operator: String,
    /// The secret that both sides know.
    pub secret: Secret<String>,
}

/// Why a push could not be announced.
#[derive(Debug, thiserror::Error)]
#[error("the push was not announced: {what}")]
pub struct AnnounceError {
    what: String,
}

impl PushHook {
    /// Announces a push to the repository at `url`.
    ///
    /// # Errors
    /// When the operator can't be reached or turns the request away.
    pub async fn announce(&self, url: &str, branch: &str) -> Result<(), AnnounceError> {
        let fail = |what: String| AnnounceError { what };
        let body = json!({"repository": url, "branch": branch}).to_string();
        let webhook =
            Webhook::new(WebhookKind::Generic, self.secret.clone()).map_err(|error| fail(error.to_string()))?;
        let signature = Secret::new(webhook.sign(body.as_bytes()));
        let query = HttpQuery {
            method: "POST".to_owned(),
            url: format!("{}/webhook/generic", self.operator),
            headers: vec![
                ("Content-Type".to_owned(), Secret::new("application/json".to_owned())),
                ("X-Sluice-Signature-256".to_owned(), signature),
            ],
            body: Some(body),
            timeout_ms: TIMEOUT_MS,
            body_bytes_max: ANSWER_BYTES_MAX,
            insecure_tls: false,
        };
        let sender = HttpSender::new(EgressPolicy { allow_loopback: true }, Clock::Wall)
            .map_err(|error| fail(error.to_string()))?;
        match sender.send(&query).await {
            HttpReply::Response { status: 200..=299, .. } => Ok(()),
            HttpReply::Response { status, body, .. } => Err(fail(format!("{status} {}", body.trim()))),
            HttpReply::Failed { message, .. } => Err(fail(message)),
        }
    }
}
