//! Who sent a webhook: by a signature of its body, or by the secret itself where the forge knows nothing better.

use base64::Engine as _;
use hmac::{Hmac, Mac};
use object_model::Secret;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::{Headers, WebhookKind, WebhookRejection};

/// How a kind of webhook proves its sender.
enum Proof {
    /// The HMAC-SHA256 of the body as hexadecimal digits in one of these headers, behind a prefix.
    Hmac { headers: &'static [&'static str], prefix: &'static str },
    /// The secret in a header.
    Token { header: &'static str },
    /// The secret as the password of basic authentication.
    Password,
}

fn proof_of(kind: WebhookKind) -> Proof {
    match kind {
        WebhookKind::GitHub => Proof::Hmac { headers: &["X-Hub-Signature-256"], prefix: "sha256=" },
        WebhookKind::BitbucketCloud | WebhookKind::BitbucketServer => {
            Proof::Hmac { headers: &["X-Hub-Signature"], prefix: "sha256=" }
        }
        WebhookKind::Gitea => Proof::Hmac { headers: &["X-Gitea-Signature", "X-Forgejo-Signature"], prefix: "" },
        WebhookKind::Gogs => Proof::Hmac { headers: &["X-Gogs-Signature"], prefix: "" },
        WebhookKind::Generic => Proof::Hmac { headers: &["X-Sluice-Signature-256", "X-Signature"], prefix: "sha256=" },
        WebhookKind::GitLab => Proof::Token { header: "X-Gitlab-Token" },
        WebhookKind::AzureDevOps => Proof::Password,
    }
}

/// Checks the proof of a kind in a time that tells nothing about the right one.
pub(super) fn check(
    kind: WebhookKind,
    secret: &Secret<String>,
    headers: Headers<'_>,
    body: &[u8],
) -> Result<(), WebhookRejection> {
    match proof_of(kind) {
        Proof::Hmac { headers: names, prefix } => {
            let header = names.first().copied().unwrap_or_default();
            let signature = headers.find_any(names)?.ok_or(WebhookRejection::MissingSignature { header })?;
            let hex = signature.trim().strip_prefix(prefix).ok_or(WebhookRejection::WrongSignature)?;
            let bytes = decode_hex(hex).ok_or(WebhookRejection::WrongSignature)?;
            let mac = mac_of(secret, body).ok_or(WebhookRejection::WrongSignature)?;
            mac.verify_slice(&bytes).map_err(|_| WebhookRejection::WrongSignature)
        }
        Proof::Token { header } => {
            let token = headers.find(header)?.ok_or(WebhookRejection::MissingSignature { header })?;
            compare(secret, token)
        }
        Proof::Password => {
            let header = "Authorization";
            let value = headers.find(header)?.ok_or(WebhookRejection::MissingSignature { header })?;
            compare(secret, &password_of(value).ok_or(WebhookRejection::WrongSignature)?)
        }
    }
}

/// Digests have one length, so that not even the length of the secret shows.
fn compare(secret: &Secret<String>, given: &str) -> Result<(), WebhookRejection> {
    let (right, given) = (Sha256::digest(secret.expose().as_bytes()), Sha256::digest(given.as_bytes()));
    if bool::from(right.ct_eq(&given)) { Ok(()) } else { Err(WebhookRejection::WrongSignature) }
}

fn password_of(value: &str) -> Option<String> {
    let (scheme, pair) = value.trim().split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let pair = base64::engine::general_purpose::STANDARD.decode(pair.trim()).ok()?;
    let (_, password) = std::str::from_utf8(&pair).ok()?.split_once(':')?;
    Some(password.to_owned())
}

fn mac_of(secret: &Secret<String>, body: &[u8]) -> Option<Hmac<Sha256>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes()).ok()?;
    mac.update(body);
    Some(mac)
}

/// The signature of a body as GitHub and generic webhooks carry it.
pub(super) fn sign(secret: &Secret<String>, body: &[u8]) -> String {
    let Some(mac) = mac_of(secret, body) else { return String::new() };
    let hex: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256={hex}")
}

fn decode_hex(hex: &str) -> Option<Vec<u8>> {
    if hex.len() != 64 || !hex.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    hex.as_bytes().chunks(2).map(pair).collect()
}
