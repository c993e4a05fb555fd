//! Webhooks: proves who sent one and says what to look at again. The payload itself is never trusted further.

use hmac::{Hmac, Mac};
use object_model::Secret;
use serde::Deserialize;
use sha2::Sha256;

use crate::id::{CommitId, GitId};

/// The largest body that is read, in bytes.
pub const WEBHOOK_BYTES_MAX: usize = 1 << 20;

/// Who sends the webhooks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WebhookKind {
    /// GitHub: `X-Hub-Signature-256`, events `push` and `ping`.
    GitHub,
    /// Anyone: `X-Sluice-Signature-256: sha256=HEX`, the HMAC-SHA256 of the body, which is
    /// `{"repository": "URL", "branch": "main", "commit": "ID"}`; branch and commit may be left out.
    Generic,
}

/// A webhook can't be set up.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WebhookSetupError {
    /// Anyone could sign with an empty secret.
    #[error("the webhook secret is empty")]
    EmptySecret,
}

/// Why a request is turned away.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WebhookRejection {
    /// There is no signature of the strong kind.
    #[error("header {header} is missing")]
    MissingSignature {
        /// The header that was looked for.
        header: &'static str,
    },
    /// The signature is not of this body and secret.
    #[error("the signature does not match")]
    WrongSignature,
    /// The body is larger than a webhook ever is.
    #[error("the body has more than {WEBHOOK_BYTES_MAX} bytes")]
    TooLarge,
    /// The request is signed, but makes no sense.
    #[error("the webhook is malformed: {why}")]
    Malformed {
        /// What is wrong with it.
        why: String,
    },
}

impl WebhookRejection {
    /// The HTTP status to answer with.
    pub fn status(&self) -> u16 {
        match self {
            Self::MissingSignature { .. } | Self::WrongSignature => 401,
            Self::TooLarge => 413,
            Self::Malformed { .. } => 400,
        }
    }
}

/// What a webhook asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WebhookAnswer {
    /// Look at this repository again; compare its address by [`crate::same_repository`].
    Refresh {
        /// The address that the sender knows it by.
        url: String,
        /// The full name of the branch or tag that moved; `None` when it was not said.
        reference: Option<String>,
        /// Where it is said to be now; `None` when it is gone or was not said. A hint, not a fact.
        commit: Option<CommitId>,
        /// The id of the delivery, by which repeats are known.
        delivery: Option<String>,
    },
    /// The sender only tries the connection.
    Ping,
    /// An event that means nothing here.
    Ignored {
        /// Its name, made printable.
        event: String,
    },
}

/// Receives webhooks of one kind under one secret.
#[derive(Debug, Clone)]
pub struct Webhook {
    kind: WebhookKind,
    secret: Secret<String>,
}

impl Webhook {
    /// Takes the secret that the sender signs with.
    ///
    /// # Errors
    /// When it is empty.
    pub fn new(kind: WebhookKind, secret: Secret<String>) -> Result<Self, WebhookSetupError> {
        if secret.expose().trim().is_empty() {
            return Err(WebhookSetupError::EmptySecret);
        }
        Ok(Self { kind, secret })
    }

    /// Judges a request by its headers (in any order and case) and its body.
    ///
    /// # Errors
    /// When the signature is missing or wrong, or the body is too large or malformed.
    pub fn receive(&self, headers: &[(&str, &str)], body: &[u8]) -> Result<WebhookAnswer, WebhookRejection> {
        if body.len() > WEBHOOK_BYTES_MAX {
            return Err(WebhookRejection::TooLarge);
        }
        let signature_header = match self.kind {
            WebhookKind::GitHub => "X-Hub-Signature-256",
            WebhookKind::Generic => "X-Sluice-Signature-256",
        };
        let signature = header(headers, signature_header)?
            .ok_or(WebhookRejection::MissingSignature { header: signature_header })?;
        self.verify(signature, body)?;
        match self.kind {
            WebhookKind::GitHub => receive_github(headers, body),
            WebhookKind::Generic => receive_generic(headers, body),
        }
    }

    /// Compares in a time that tells nothing about the right signature.
    fn verify(&self, signature: &str, body: &[u8]) -> Result<(), WebhookRejection> {
        let hex = signature.trim().strip_prefix("sha256=").ok_or(WebhookRejection::WrongSignature)?;
        let bytes = decode_hex(hex).ok_or(WebhookRejection::WrongSignature)?;
        let mut mac = Hmac::<Sha256>::new_from_slice(self.secret.expose().as_bytes())
            .map_err(|_| WebhookRejection::WrongSignature)?;
        mac.update(body);
        mac.verify_slice(&bytes).map_err(|_| WebhookRejection::WrongSignature)
    }

    /// Returns the value of the signature header for a body: what a sender has to do.
    pub fn sign(&self, body: &[u8]) -> String {
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(self.secret.expose().as_bytes()) else {
            return String::new();
        };
        mac.update(body);
        let hex: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        format!("sha256={hex}")
    }
}

fn decode_hex(hex: &str) -> Option<Vec<u8>> {
    if hex.len() != 64 || !hex.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    hex.as_bytes().chunks(2).map(pair).collect()
}

/// Finds a header; one that is there twice could mean two things and is refused.
fn header<'a>(headers: &[(&str, &'a str)], name: &str) -> Result<Option<&'a str>, WebhookRejection> {
    let mut found = headers.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| *value);
    let first = found.next();
    if found.next().is_some() {
        return Err(WebhookRejection::Malformed { why: format!("header {name} is there twice") });
    }
    Ok(first)
}

fn malformed(error: impl std::fmt::Display) -> WebhookRejection {
    WebhookRejection::Malformed { why: error.to_string() }
}

fn delivery(headers: &[(&str, &str)], name: &str) -> Result<Option<String>, WebhookRejection> {
    let value = header(headers, name)?;
    Ok(value.filter(|text| text.len() <= 100 && text.chars().all(|c| c.is_ascii_graphic())).map(str::to_owned))
}

fn check_reference(reference: &str) -> Result<(), WebhookRejection> {
    gix_ref::FullName::try_from(reference).map(drop).map_err(malformed)
}

#[derive(Deserialize)]
struct GitHubPush {
    r#ref: String,
    after: Option<String>,
    repository: GitHubRepository,
}

#[derive(Deserialize)]
struct GitHubRepository {
    clone_url: String,
}

fn receive_github(headers: &[(&str, &str)], body: &[u8]) -> Result<WebhookAnswer, WebhookRejection> {
    match header(headers, "X-GitHub-Event")? {
        None => Err(malformed("header X-GitHub-Event is missing")),
        Some("ping") => Ok(WebhookAnswer::Ping),
        Some("push") if body.starts_with(b"payload=") => {
            Err(malformed("it is a form; set the content type of the webhook to application/json"))
        }
        Some("push") => {
            let push: GitHubPush = serde_json::from_slice(body).map_err(malformed)?;
            check_reference(&push.r#ref)?;
            let commit = push.after.map(|id| GitId::parse(&id)).transpose().map_err(malformed)?;
            Ok(WebhookAnswer::Refresh {
                url: push.repository.clone_url,
                reference: Some(push.r#ref),
                commit: commit.filter(|id| !id.is_zero()),
                delivery: delivery(headers, "X-GitHub-Delivery")?,
            })
        }
        Some(event) => Ok(WebhookAnswer::Ignored { event: crate::remote::printable(event) }),
    }
}

#[derive(Deserialize)]
struct GenericPush {
    repository: String,
    branch: Option<String>,
    commit: Option<String>,
}

fn receive_generic(headers: &[(&str, &str)], body: &[u8]) -> Result<WebhookAnswer, WebhookRejection> {
    let push: GenericPush = serde_json::from_slice(body).map_err(malformed)?;
    if push.repository.is_empty() {
        return Err(malformed("repository is empty"));
    }
    let full = |branch: String| if branch.starts_with("refs/") { branch } else { format!("refs/heads/{branch}") };
    let reference = push.branch.map(full);
    reference.as_deref().map_or(Ok(()), check_reference)?;
    let commit = push.commit.map(|id| GitId::parse(&id)).transpose().map_err(malformed)?;
    let delivery = delivery(headers, "X-Sluice-Delivery")?;
    Ok(WebhookAnswer::Refresh { url: push.repository, reference, commit, delivery })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hook(kind: WebhookKind) -> Webhook {
        Webhook::new(kind, Secret::new("It's a Secret to Everybody".to_owned())).unwrap()
    }

    #[test]
    fn the_signature_is_the_one_that_github_documents() {
        let expected = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
        assert_eq!(hook(WebhookKind::GitHub).sign(b"Hello, World!"), expected);
    }

    #[test]
    fn a_push_becomes_a_refresh() {
        let github = hook(WebhookKind::GitHub);
        let body = br#"{"ref":"refs/heads/main","after":"0123456789abcdef0123456789abcdef01234567","deleted":false,
            "repository":{"clone_url":"https://github.com/o/r.git","id":1},"commits":[]}"#;
        let signature = github.sign(body);
        let headers =
            [("x-github-event", "push"), ("X-GitHub-Delivery", "d-1"), ("x-hub-signature-256", signature.as_str())];
        let expected = WebhookAnswer::Refresh {
            url: "https://github.com/o/r.git".to_owned(),
            reference: Some("refs/heads/main".to_owned()),
            commit: GitId::parse("0123456789abcdef0123456789abcdef01234567").ok(),
            delivery: Some("d-1".to_owned()),
        };
        assert_eq!(github.receive(&headers, body), Ok(expected));

        let generic = hook(WebhookKind::Generic);
        let body = br#"{"repository":"http://127.0.0.1:1/fleet.git","branch":"main"}"#;
        let signature = generic.sign(body);
        let answer = generic.receive(&[("X-Sluice-Signature-256", &signature)], body).unwrap();
        let WebhookAnswer::Refresh { url, reference, commit, .. } = answer else { panic!("{answer:?}") };
        assert_eq!(
            (url.as_str(), reference.as_deref(), commit),
            ("http://127.0.0.1:1/fleet.git", Some("refs/heads/main"), None)
        );
    }

    #[test]
    fn a_deleted_branch_a_ping_and_other_events_are_told_apart() {
        let github = hook(WebhookKind::GitHub);
        let ask = |event: &str, body: &[u8]| {
            let signature = github.sign(body);
            github.receive(&[("X-GitHub-Event", event), ("X-Hub-Signature-256", &signature)], body)
        };
        let zero = "0".repeat(40);
        let body = format!(r#"{{"ref":"refs/heads/x","after":"{zero}","repository":{{"clone_url":"u"}}}}"#);
        assert!(matches!(ask("push", body.as_bytes()), Ok(WebhookAnswer::Refresh { commit: None, .. })));
        assert_eq!(ask("ping", b"{}"), Ok(WebhookAnswer::Ping));
        assert_eq!(ask("star\u{7}", b""), Ok(WebhookAnswer::Ignored { event: "star\u{fffd}".to_owned() }));
    }

    #[test]
    fn unsigned_and_wrongly_signed_requests_are_turned_away_with_401() {
        let github = hook(WebhookKind::GitHub);
        let body = b"{}".as_slice();
        let right = github.sign(body);
        let upper = right.to_uppercase().replace("SHA256", "sha256");
        let other_body = github.sign(b"{ }");
        let other_secret = Webhook::new(WebhookKind::GitHub, Secret::new("x".to_owned())).unwrap().sign(body);
        let ask =
            |signature: &str| github.receive(&[("X-GitHub-Event", "ping"), ("X-Hub-Signature-256", signature)], body);
        assert_eq!(ask(&right), Ok(WebhookAnswer::Ping));
        assert_eq!(ask(&upper), Ok(WebhookAnswer::Ping));
        for wrong in
            ["", "sha256=", "sha1=abc", &right[7..], &right[..right.len() - 2], &other_body, &other_secret, "sha256=é"]
        {
            let rejection = ask(wrong).unwrap_err();
            assert_eq!((rejection.status(), rejection), (401, WebhookRejection::WrongSignature), "{wrong}");
        }
        let rejection =
            github.receive(&[("X-Hub-Signature", "sha1=abc"), ("X-GitHub-Event", "ping")], body).unwrap_err();
        assert_eq!(
            (rejection.status(), rejection.to_string().as_str()),
            (401, "header X-Hub-Signature-256 is missing")
        );
        let twice = [("X-Hub-Signature-256", right.as_str()), ("x-hub-signature-256", right.as_str())];
        assert_eq!(github.receive(&twice, body).unwrap_err().status(), 400);
    }

    #[test]
    fn malformed_and_oversized_bodies_are_turned_away() {
        let github = hook(WebhookKind::GitHub);
        let ask = |body: &[u8]| {
            let signature = github.sign(body);
            github
                .receive(&[("X-GitHub-Event", "push"), ("X-Hub-Signature-256", &signature)], body)
                .unwrap_err()
                .status()
        };
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        for body in [
            "",
            "payload=%7B%7D",
            "null",
            "[]",
            "{}",
            r#"{"ref":1}"#,
            r#"{"ref":"refs/heads/x"}"#,
            &deep,
            r#"{"ref":"refs/heads/x","repository":null}"#,
            r#"{"ref":"refs/heads/../x","repository":{"clone_url":"u"}}"#,
            r#"{"ref":"refs/heads/x","after":"zz","repository":{"clone_url":"u"}}"#,
            r#"{"ref":"refs/heads/x","repository":{"clone_url":["u"]}}"#,
        ] {
            assert_eq!(ask(body.as_bytes()), 400, "{body:.60}");
        }
        assert_eq!(ask(&vec![b' '; WEBHOOK_BYTES_MAX + 1]), 413);
    }

    #[test]
    fn an_empty_secret_is_refused_at_construction() {
        for secret in ["", "  \n"] {
            let error = Webhook::new(WebhookKind::Generic, Secret::new(secret.to_owned())).unwrap_err();
            assert_eq!(error.to_string(), "the webhook secret is empty");
        }
    }

    proptest::proptest! {
        #[test]
        fn signed_nonsense_never_panics(body: Vec<u8>, event: String) {
            for kind in [WebhookKind::GitHub, WebhookKind::Generic] {
                let hook = hook(kind);
                let signature = hook.sign(&body);
                let headers = [("X-GitHub-Event", event.as_str()), ("X-Hub-Signature-256", &signature), ("X-Sluice-Signature-256", &signature)];
                let _ = hook.receive(&headers, &body);
            }
        }
    }
}
