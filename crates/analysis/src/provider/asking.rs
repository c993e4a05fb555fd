//! What a provider may look at when it says what to send next.

use std::collections::BTreeMap;

use object_model::{Duration, Secret, Timestamp};
use serde_json::Value as Json;

use super::{BODY_MAX_BYTES, HttpRequest, ProviderError, Settings, excerpt, http};
use crate::argument::{SecretAnswer, SecretPlace, SecretRef};

/// One answer that has come in for this measurement.
#[derive(Debug, Clone, Copy)]
pub struct Earlier<'a> {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: &'a [u8],
    /// When it was complete.
    pub at: Timestamp,
}

/// All that a provider looks at.
#[derive(Debug, Clone, Copy)]
pub struct Asking<'a> {
    /// The present.
    pub now: Timestamp,
    /// When the run began.
    pub started_at: Timestamp,
    /// Time between measurements.
    pub interval: Option<Duration>,
    /// Settings of the installation.
    pub settings: &'a Settings,
    /// Secrets that were read.
    pub secrets: &'a BTreeMap<SecretRef, SecretAnswer>,
    /// The answers of this measurement so far, first to last.
    pub earlier: &'a [Earlier<'a>],
}

/// What a measurement needs next.
#[derive(Debug, Clone)]
pub enum Next {
    /// This is to be sent.
    Ask(Box<HttpRequest>),
    /// Nothing before this moment.
    Wait(Timestamp),
    /// The last answer is the one to read.
    Read,
}

/// The Secret that a provider keeps its credentials in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Credentials {
    name: String,
    place: SecretPlace,
}

impl Credentials {
    /// A Secret beside the operator, where Argo Rollouts keeps those of its providers.
    pub(super) fn named(name: &str) -> Self {
        Self { name: name.to_owned(), place: SecretPlace::Operator }
    }

    /// The Secret of a `secretRef` section, or the one of this name beside the operator.
    pub(super) fn parse(section: Option<&Json>, otherwise: &str) -> Self {
        let name =
            section.and_then(|section| section.get("name")).and_then(Json::as_str).filter(|name| !name.is_empty());
        let namespaced = section.and_then(|section| section.get("namespaced")).and_then(Json::as_bool);
        let place = if namespaced == Some(true) { SecretPlace::Run } else { SecretPlace::Operator };
        Self { name: name.unwrap_or(otherwise).to_owned(), place }
    }

    pub(super) fn key(&self, key: &str) -> SecretRef {
        SecretRef { name: self.name.clone(), key: key.to_owned(), place: self.place }
    }
}

impl Asking<'_> {
    /// A value that must be there.
    pub(super) fn secret(&self, reference: &SecretRef) -> Result<Secret<String>, ProviderError> {
        match self.secrets.get(reference) {
            Some(SecretAnswer::Value(secret)) if !secret.expose().is_empty() => Ok(secret.clone()),
            Some(SecretAnswer::Missing(reason)) => Err(ProviderError::Spec { reason: reason.clone() }),
            _ => Err(ProviderError::Spec {
                reason: format!("key `{}` of Secret `{}` is not there", reference.key, reference.name),
            }),
        }
    }

    /// A value that may be absent.
    pub(super) fn optional(&self, reference: &SecretRef) -> Option<String> {
        self.secret(reference).ok().map(|secret| secret.expose().clone())
    }
}

/// A request without a body, with these headers.
pub(super) fn get(url: String, headers: Vec<(&str, Secret<String>)>, timeout_ms: u64) -> HttpRequest {
    HttpRequest {
        method: "GET",
        shown_url: http::shown(&url),
        url: Secret::new(url),
        headers: headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
        body: None,
        timeout_ms,
        max_body_bytes: BODY_MAX_BYTES,
        insecure_tls: false,
    }
}

/// A request with a body of this type.
pub(super) fn post(
    url: String,
    mut headers: Vec<(&str, Secret<String>)>,
    (content_type, body): (&str, String),
    timeout_ms: u64,
) -> HttpRequest {
    headers.push(("Content-Type", Secret::new(content_type.to_owned())));
    HttpRequest { method: "POST", body: Some(Secret::new(body)), ..get(url, headers, timeout_ms) }
}

/// The JSON of a successful answer.
pub(super) fn json(provider: &'static str, status: u16, body: &[u8]) -> Result<Json, ProviderError> {
    if !(200..300).contains(&status) {
        return Err(ProviderError::Status { provider, status, body: excerpt(body) });
    }
    serde_json::from_slice(body).map_err(|_| unexpected(provider, status, "it is not JSON", body))
}

pub(super) fn unexpected(provider: &'static str, status: u16, reason: &str, body: &[u8]) -> ProviderError {
    ProviderError::Answer { provider, status, reason: reason.to_owned(), body: excerpt(body) }
}

pub(super) fn spec(reason: impl Into<String>) -> ProviderError {
    ProviderError::Spec { reason: reason.into() }
}

/// A Go duration of a section, or another one where the section has none.
pub(super) fn duration(json: &Json, field: &str, otherwise: Duration) -> Result<Duration, ProviderError> {
    match json.get(field).and_then(Json::as_str).filter(|text| !text.is_empty()) {
        None => Ok(otherwise),
        Some(text) => object_model::parse_go_duration(text).map_err(|error| spec(format!("{field}: {error}"))),
    }
}

/// A number of JSON, or a text that holds one.
pub(super) fn number(value: &Json) -> Option<f64> {
    value.as_f64().or_else(|| value.as_str()?.parse().ok())
}
