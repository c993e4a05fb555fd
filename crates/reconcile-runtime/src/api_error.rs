//! Why a request to the API server gave no result, read from its answer.

use http::StatusCode;
use serde_json::Value;

/// How much of a server's message is kept.
const MESSAGE_CHARS_MAX: usize = 1_024;

/// Why a request to the API server gave no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApiError {
    /// 404 for the object, its namespace or its kind.
    #[error("not found: {message}")]
    NotFound {
        /// The server's words.
        message: String,
    },
    /// 409 `AlreadyExists`.
    #[error("already exists: {message}")]
    AlreadyExists {
        /// The server's words.
        message: String,
    },
    /// 409 `Conflict` because the object moved on.
    #[error("conflict: {message}")]
    Conflict {
        /// The server's words.
        message: String,
    },
    /// 410: the resource version or continue token is too old.
    #[error("expired: {message}")]
    Expired {
        /// The server's words.
        message: String,
    },
    /// Any other refusal that a repeat can't mend.
    #[error("{message} (HTTP {code})")]
    Refused {
        /// HTTP status code.
        code: u16,
        /// The server's words.
        message: String,
    },
    /// No answer, or one that asks to try again later.
    #[error("{message}")]
    Unavailable {
        /// What happened.
        message: String,
    },
}

/// What a refusal of the server means.
pub(crate) fn classify(status: StatusCode, body: &[u8]) -> ApiError {
    let answer: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
    let reason = answer.get("reason").and_then(Value::as_str).unwrap_or_default();
    let message = match answer.get("message").and_then(Value::as_str) {
        Some(message) => bounded(message),
        None => bounded(&String::from_utf8_lossy(body)),
    };
    match (status.as_u16(), reason) {
        (404, _) => ApiError::NotFound { message },
        (409, "AlreadyExists") => ApiError::AlreadyExists { message },
        (409, _) if has_cause(&answer, "FieldManagerConflict") => ApiError::Refused { code: 409, message },
        (409, _) => ApiError::Conflict { message },
        (410, _) => ApiError::Expired { message },
        // The server is not busy: it says that the pod is needed where it is.
        (429, _) if has_cause(&answer, "DisruptionBudget") => ApiError::Refused { code: 429, message },
        // So the server says that an apply does not fit the schema, which no repeat mends.
        (500, _) if message.contains("failed to create typed patch object") => ApiError::Refused { code: 422, message },
        (408 | 429, _) | (500..=599, _) => {
            ApiError::Unavailable { message: format!("{message} (HTTP {})", status.as_u16()) }
        }
        // The server is shutting down or its namespace is going: later may be better.
        (403, _) if message.contains("because it is being terminated") => ApiError::Unavailable { message },
        (401, _) => ApiError::Unavailable { message: format!("{message} (HTTP 401)") },
        (code, _) => ApiError::Refused { code, message },
    }
}

/// Whether the answer names this reason: a field manager's conflict and a disruption budget are refusals, looking again
/// does not help.
fn has_cause(answer: &Value, reason: &str) -> bool {
    let causes = answer.pointer("/details/causes").and_then(Value::as_array);
    causes.is_some_and(|causes| causes.iter().any(|cause| cause.get("reason").and_then(Value::as_str) == Some(reason)))
}

/// A message cut to what is kept of it.
pub(crate) fn bounded(message: &str) -> String {
    let mut chars = message.trim().chars();
    let head: String = chars.by_ref().take(MESSAGE_CHARS_MAX).collect();
    if chars.next().is_some() { format!("{head}...") } else { head }
}

/// An error with its sources.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    for _ in 0..8 {
        let Some(source) = next else { break };
        let part = source.to_string();
        if !text.contains(&part) {
            text.push_str(": ");
            text.push_str(&part);
        }
        next = source.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_manager_conflict_is_a_refusal_and_a_version_conflict_is_not() {
        let manager =
            br#"{"reason":"Conflict","message":"m","details":{"causes":[{"reason":"FieldManagerConflict"}]}}"#;
        let version = br#"{"reason":"Conflict","message":"m"}"#;
        let conflict = StatusCode::CONFLICT;
        assert_eq!(classify(conflict, manager), ApiError::Refused { code: 409, message: "m".into() });
        assert_eq!(classify(conflict, version), ApiError::Conflict { message: "m".into() });
    }

    #[test]
    fn a_disruption_budget_refuses_and_a_busy_server_asks_for_patience() {
        let budget =
            br#"{"reason":"TooManyRequests","message":"m","details":{"causes":[{"reason":"DisruptionBudget"}]}}"#;
        let busy = br#"{"reason":"TooManyRequests","message":"m"}"#;
        let code = StatusCode::TOO_MANY_REQUESTS;
        assert_eq!(classify(code, budget), ApiError::Refused { code: 429, message: "m".into() });
        assert!(matches!(classify(code, busy), ApiError::Unavailable { .. }));
    }
}
