//! Webhooks: proves who sent one and says what to look at again. The payload itself is never trusted further.

mod forges;
mod proof;
#[cfg(test)]
mod tests;

use object_model::Secret;

use crate::id::CommitId;

/// The largest body that is read, in bytes.
pub const WEBHOOK_BYTES_MAX: usize = 1 << 20;

/// Who sends the webhooks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WebhookKind {
    /// GitHub: `X-Hub-Signature-256`, events `push` and `ping`.
    GitHub,
    /// GitLab: `X-Gitlab-Token` is the secret itself; pushes of branches and tags.
    GitLab,
    /// Bitbucket Cloud: `X-Hub-Signature` with SHA-256, event `repo:push`.
    BitbucketCloud,
    /// Bitbucket Server and Data Center: `X-Hub-Signature` with SHA-256, event `repo:refs_changed`.
    BitbucketServer,
    /// Gitea and Forgejo: `X-Gitea-Signature` or `X-Forgejo-Signature`, event `push`.
    Gitea,
    /// Gogs: `X-Gogs-Signature`, event `push`.
    Gogs,
    /// Azure DevOps: basic authentication whose password is the secret, event `git.push`.
    AzureDevOps,
    /// Anyone: `X-Sluice-Signature-256: sha256=HEX` (or `X-Signature`, as Flux has it), the HMAC-SHA256 of the body, which
    /// is `{"repository": "URL", "branch": "main", "commit": "ID"}`; branch and commit may be left out.
    Generic,
}

impl WebhookKind {
    /// All kinds, by the last part of the path that they are sent to.
    pub const NAMED: [(&'static str, Self); 9] = [
        ("azure-devops", Self::AzureDevOps),
        ("bitbucket", Self::BitbucketCloud),
        ("bitbucket-server", Self::BitbucketServer),
        ("forgejo", Self::Gitea),
        ("generic", Self::Generic),
        ("gitea", Self::Gitea),
        ("github", Self::GitHub),
        ("gitlab", Self::GitLab),
        ("gogs", Self::Gogs),
    ];

    /// The kind of a name, such as `bitbucket-server`.
    pub fn named(name: &str) -> Option<Self> {
        Self::NAMED.iter().find(|(known, _)| *known == name).map(|(_, kind)| *kind)
    }
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

/// A reference that is said to have moved. A hint, not a fact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MovedReference {
    /// The full name of the branch or tag.
    pub name: String,
    /// Where it is said to be now; `None` when it is gone or was not said.
    pub commit: Option<CommitId>,
}

/// What a webhook asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WebhookAnswer {
    /// Look at this repository again; compare its addresses by [`crate::same_repository`].
    Refresh {
        /// The addresses that the sender knows it by; at least one.
        urls: Vec<String>,
        /// What moved; empty when it was not said.
        moved: Vec<MovedReference>,
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
        let headers = Headers(headers);
        proof::check(self.kind, &self.secret, headers, body)?;
        forges::read(self.kind, headers, body)
    }

    /// Returns the value of the signature header of GitHub and of generic webhooks for a body: what a sender has to do.
    pub fn sign(&self, body: &[u8]) -> String {
        proof::sign(&self.secret, body)
    }
}

/// The headers of one request.
#[derive(Debug, Clone, Copy)]
struct Headers<'h>(&'h [(&'h str, &'h str)]);

impl<'h> Headers<'h> {
    /// Finds a header; one that is there twice could mean two things and is refused.
    fn find(self, name: &str) -> Result<Option<&'h str>, WebhookRejection> {
        let mut found = self.0.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| *value);
        let first = found.next();
        if found.next().is_some() {
            return Err(WebhookRejection::Malformed { why: format!("header {name} is there twice") });
        }
        Ok(first)
    }

    /// The first of several headers that is there.
    fn find_any(self, names: &[&'static str]) -> Result<Option<&'h str>, WebhookRejection> {
        for name in names {
            if let Some(value) = self.find(name)? {
                return Ok(Some(value));
            }
        }
        Ok(None)
    }
}

fn malformed(error: impl std::fmt::Display) -> WebhookRejection {
    WebhookRejection::Malformed { why: error.to_string() }
}
