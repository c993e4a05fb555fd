//! What a forge sends: webhooks over a real connection, also in virtual time, which stands still meanwhile.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use git_source::{Webhook, WebhookKind};
use object_model::Secret;

use super::operator::webhook_secret;

/// How long an exchange may take.
const LIMIT: Duration = Duration::from_secs(20);

/// How a webhook is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signature {
    /// With the secret that the operator knows.
    Right,
    /// With another one.
    Wrong,
    /// Not at all.
    Missing,
}

/// Announces a push to a repository; returns status and words.
pub(crate) async fn announce(
    address: SocketAddr,
    repository: &str,
    signature: Signature,
) -> Result<(u16, String), String> {
    let body = serde_json::json!({"repository": repository}).to_string();
    let secret = match signature {
        Signature::Right => Some(webhook_secret()),
        Signature::Wrong => Some(Secret::new("a guess".to_owned())),
        Signature::Missing => None,
    };
    let header = match secret {
        Some(secret) => {
            let webhook = Webhook::new(WebhookKind::Generic, secret).map_err(|error| error.to_string())?;
            format!("X-Sluice-Signature-256: {}\r\n", webhook.sign(body.as_bytes()))
        }
        None => String::new(),
    };
    let request = format!(
        "POST /webhook/generic HTTP/1.1\r\nHost: operator\r\nConnection: close\r\n{header}Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let exchanged = tokio::task::spawn_blocking(move || exchange(address, &request)).await;
    let answer = exchanged.map_err(|error| error.to_string())?.map_err(|error| format!("the webhook: {error}"))?;
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.ok_or_else(|| format!("the webhook's answer is no HTTP: {answer}"))?;
    let words = answer.rsplit("\r\n\r\n").next().unwrap_or_default().trim().to_owned();
    Ok((status, words))
}

fn exchange(address: SocketAddr, request: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, LIMIT)?;
    stream.set_read_timeout(Some(LIMIT))?;
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}
