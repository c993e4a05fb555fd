//! Lists in pieces and at versions: tokens, versions in queries, and what may not be combined.

use base64::Engine;
use serde_json::{Value, json};

use crate::error::{ApiError, Cause};

pub(crate) fn parse_revision(text: &str) -> Result<u64, ApiError> {
    text.parse().map_err(|_| ApiError::new(500, "", bad_revision(text)))
}

fn bad_revision(text: &str) -> String {
    format!("resourceVersion: Invalid value: {text:?}: strconv.ParseUint: parsing {text:?}: invalid syntax")
}

/// A list says of a bad version what a read and a watch take for a fault of their own.
pub(crate) fn parse_list_revision(text: &str) -> Result<u64, ApiError> {
    text.parse().map_err(|_| ApiError::bad_request(format!("invalid resource version: {}", bad_revision(text))))
}

pub(crate) fn check_match(exact: Option<&str>, version: Option<u64>, continues: bool) -> Result<(), ApiError> {
    let Some(word) = exact else {
        if continues && version.is_some_and(|version| version != 0) {
            return Err(ApiError::bad_request("specifying resource version is not allowed when using continue"));
        }
        return Ok(());
    };
    let mut causes = Vec::new();
    let mut forbid = |why: &str| causes.push(Cause::forbidden("resourceVersionMatch", why));
    if version.is_none() {
        forbid("resourceVersionMatch is forbidden unless resourceVersion is provided");
    }
    if continues {
        forbid("resourceVersionMatch is forbidden when continue is provided");
    }
    if word == "Exact" && version == Some(0) {
        forbid("resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"");
    }
    if !matches!(word, "Exact" | "NotOlderThan") {
        let supported = ["Exact", "NotOlderThan", ""].map(|word| format!("{word:?}")).join(", ");
        let message = format!("Unsupported value: {word:?}: supported values: {supported}");
        causes.push(Cause { reason: "FieldValueNotSupported", message, field: "resourceVersionMatch".to_owned() });
    }
    if causes.is_empty() { Ok(()) } else { Err(ApiError::invalid("meta.k8s.io", "ListOptions", "", &causes)) }
}

/// Where a limited list goes on.
pub(crate) struct Continue {
    /// None goes on in the present, at the price of a consistent list.
    pub(crate) revision: Option<u64>,
    pub(crate) after: (String, String),
}

impl Continue {
    pub(crate) fn encode(&self) -> String {
        let revision = self.revision.map_or(-1, |revision| i64::try_from(revision).unwrap_or(i64::MAX));
        let start = format!("{}/{}\u{0}", self.after.0, self.after.1);
        let token = json!({"v": "meta.k8s.io/v1", "rv": revision, "start": start});
        base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(token.to_string())
    }

    pub(crate) fn decode(text: &str) -> Result<Self, ApiError> {
        let invalid = || ApiError::bad_request("continue key is not valid");
        let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(text).map_err(|_| invalid())?;
        let token: Value = serde_json::from_slice(&bytes).map_err(|_| invalid())?;
        let start = token.get("start").and_then(Value::as_str).ok_or_else(invalid)?;
        let (namespace, name) = start.trim_end_matches('\u{0}').rsplit_once('/').ok_or_else(invalid)?;
        let revision = token.get("rv").and_then(Value::as_i64).ok_or_else(invalid)?;
        Ok(Self { revision: u64::try_from(revision).ok(), after: (namespace.to_owned(), name.to_owned()) })
    }
}

pub(crate) fn expired_continue(after: &(String, String), revision: u64) -> ApiError {
    let mut error = ApiError::expired(
        "The provided continue parameter is too old to display a consistent list result. You can start a new list \
         without the continue parameter, or use the continue token in this response to retrieve the remainder of the \
         results. Continuing with the provided token results in an inconsistent list - objects that were created, \
         modified, or deleted between the time the first chunk was returned and now may show up in the list.",
    );
    let token = Continue { revision: None, after: after.clone() };
    error.metadata = Some(Box::new(json!({"continue": token.encode(), "resourceVersion": revision.to_string()})));
    error
}
