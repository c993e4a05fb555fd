//! What a forge does after a push: a signed request to the operator's webhook.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use git_source::{Webhook, WebhookKind};
use object_model::Secret;

/// How long an exchange may take.
const LIMIT: Duration = Duration::from_secs(20);
/// Longest answer that is read.
const ANSWER_BYTES_MAX: u64 = 64 << 10;

/// Where a push is announced, and the secret that signs the request.
#[derive(Debug, Clone)]
pub struct PushHook {
    /// Address of the operator's server.
    pub operator: SocketAddr,
    /// What the forge signs with; not at all without one.
    pub secret: Option<Secret<String>>,
}

/// Why a push could not be announced.
#[derive(Debug, thiserror::Error)]
#[error("the push was not announced: {what}")]
pub struct AnnounceError {
    what: String,
}

impl PushHook {
    /// Announces a push to the repository at `url`; an answer that is no success is an error.
    ///
    /// # Errors
    /// When the operator can't be reached or turns the request away.
    pub async fn announce(&self, url: &str) -> Result<(), AnnounceError> {
        match self.call(url).await? {
            (200..=299, _) => Ok(()),
            (status, words) => Err(AnnounceError { what: format!("the operator answers {status} {words}") }),
        }
    }

    /// Announces a push and returns status and words of the answer.
    ///
    /// The request goes over a real connection on a thread of its own, so that virtual time stands still meanwhile.
    ///
    /// # Errors
    /// When the operator can't be reached.
    pub async fn call(&self, url: &str) -> Result<(u16, String), AnnounceError> {
        let fail = |what: String| AnnounceError { what };
        let body = serde_json::json!({"repository": url}).to_string();
        let header = match &self.secret {
            Some(secret) => {
                let webhook = Webhook::new(WebhookKind::Generic, secret.clone());
                let webhook = webhook.map_err(|error| fail(error.to_string()))?;
                format!("X-Sluice-Signature-256: {}\r\n", webhook.sign(body.as_bytes()))
            }
            None => String::new(),
        };
        let request = format!(
            "POST /webhook/generic HTTP/1.1\r\nHost: operator\r\nConnection: close\r\n{header}Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let address = self.operator;
        let exchanged = tokio::task::spawn_blocking(move || exchange(address, &request)).await;
        let answer = exchanged.map_err(|error| fail(error.to_string()))?.map_err(|error| fail(error.to_string()))?;
        let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.ok_or_else(|| fail(format!("the answer is no HTTP: {answer}")))?;
        let words = answer.rsplit("\r\n\r\n").next().unwrap_or_default().trim().to_owned();
        Ok((status, words))
    }
}

fn exchange(address: SocketAddr, request: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, LIMIT)?;
    stream.set_read_timeout(Some(LIMIT))?;
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.take(ANSWER_BYTES_MAX).read_to_string(&mut answer)?;
    Ok(answer)
}
