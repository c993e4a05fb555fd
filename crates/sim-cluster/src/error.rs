//! Errors as the API server words them: a `Status` with code, reason, message and details.

use serde_json::{Map, Value, json};

use crate::resource::ResourceType;

/// One thing wrong with a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// For example `FieldValueRequired`.
    pub reason: &'static str,
    /// For example `Required value: name is required`.
    pub message: String,
    /// The path of the field, for example `spec.replicas`.
    pub field: String,
}

impl Cause {
    pub(crate) fn required(field: impl Into<String>, detail: &str) -> Self {
        let message = if detail.is_empty() { "Required value".to_owned() } else { format!("Required value: {detail}") };
        Self { reason: "FieldValueRequired", message, field: field.into() }
    }

    pub(crate) fn invalid(field: impl Into<String>, value: &Value, detail: &str) -> Self {
        let message = format!("Invalid value: {}: {detail}", go_value(value));
        Self { reason: "FieldValueInvalid", message, field: field.into() }
    }

    pub(crate) fn unsupported(field: impl Into<String>, value: &Value, supported: &[String]) -> Self {
        let mut names: Vec<String> = supported.iter().map(|name| format!("\"{name}\"")).collect();
        names.sort();
        let message = format!("Unsupported value: {}: supported values: {}", go_value(value), names.join(", "));
        Self { reason: "FieldValueNotSupported", message, field: field.into() }
    }

    pub(crate) fn forbidden(field: impl Into<String>, detail: &str) -> Self {
        Self { reason: "FieldValueForbidden", message: format!("Forbidden: {detail}"), field: field.into() }
    }

    fn text(&self) -> String {
        format!("{}: {}", self.field, self.message)
    }
}

/// Prints a value inside a message: strings quoted, the rest as JSON.
fn go_value(value: &Value) -> String {
    value.to_string()
}

/// An error answer of the API server.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct ApiError {
    /// The HTTP status.
    pub code: u16,
    /// The machine-readable reason, for example `NotFound`.
    pub reason: &'static str,
    /// The sentence for people.
    pub message: String,
    /// `details` of the Status.
    pub details: Option<Box<Value>>,
    /// `metadata` of the Status: only expired continue tokens use it.
    pub metadata: Option<Box<Value>>,
    /// Whether the message is sent as plain text instead of a Status (unknown paths).
    pub is_plain: bool,
}

impl ApiError {
    pub(crate) fn new(code: u16, reason: &'static str, message: impl Into<String>) -> Self {
        Self { code, reason, message: message.into(), details: None, metadata: None, is_plain: false }
    }

    fn about(mut self, resource: &ResourceType, name: &str) -> Self {
        self.details = Some(Box::new(details(name, &resource.group, &resource.plural)));
        self
    }

    /// The object does not exist.
    pub fn not_found(resource: &ResourceType, name: &str) -> Self {
        Self::new(404, "NotFound", format!("{} \"{name}\" not found", resource.qualified())).about(resource, name)
    }

    pub(crate) fn already_exists(resource: &ResourceType, name: &str) -> Self {
        let message = format!("{} \"{name}\" already exists", resource.qualified());
        Self::new(409, "AlreadyExists", message).about(resource, name)
    }

    pub(crate) fn conflict(resource: &ResourceType, name: &str, why: &str) -> Self {
        let message = format!("Operation cannot be fulfilled on {} \"{name}\": {why}", resource.qualified());
        Self::new(409, "Conflict", message).about(resource, name)
    }

    pub(crate) fn modified(resource: &ResourceType, name: &str) -> Self {
        let why = "the object has been modified; please apply your changes to the latest version and try again";
        Self::conflict(resource, name, why)
    }

    pub(crate) fn invalid(group: &str, kind: &str, name: &str, causes: &[Cause]) -> Self {
        let of = if group.is_empty() { kind.to_owned() } else { format!("{kind}.{group}") };
        // The sentence says each thing once, however often the list of causes does.
        let mut texts: Vec<String> = Vec::new();
        for text in causes.iter().map(Cause::text) {
            if !texts.contains(&text) {
                texts.push(text);
            }
        }
        let what = match texts.as_slice() {
            [] => String::new(),
            [one] => one.clone(),
            many => format!("[{}]", many.join(", ")),
        };
        let separator = if what.is_empty() { "" } else { ": " };
        let mut error = Self::new(422, "Invalid", format!("{of} \"{name}\" is invalid{separator}{what}"));
        let mut fields = details(name, group, kind);
        if let Some(fields) = fields.as_object_mut() {
            let list = causes
                .iter()
                .map(|cause| json!({"reason": cause.reason, "message": cause.message, "field": cause.field}))
                .collect::<Vec<_>>();
            fields.insert("causes".to_owned(), Value::Array(list));
        }
        error.details = Some(Box::new(fields));
        error
    }

    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message)
    }

    pub(crate) fn forbidden(resource: &ResourceType, name: &str, why: &str) -> Self {
        let message = if name.is_empty() {
            format!("{} is forbidden: {why}", resource.qualified())
        } else {
            format!("{} \"{name}\" is forbidden: {why}", resource.qualified())
        };
        Self::new(403, "Forbidden", message).about(resource, name)
    }

    pub(crate) fn unknown_resource() -> Self {
        let mut error = Self::new(404, "NotFound", "the server could not find the requested resource");
        error.details = Some(Box::new(json!({})));
        error
    }

    pub(crate) fn unknown_path() -> Self {
        let mut error = Self::new(404, "NotFound", "404 page not found");
        error.is_plain = true;
        error
    }

    pub(crate) fn method_not_allowed() -> Self {
        let message = "the server does not allow this method on the requested resource";
        let mut error = Self::new(405, "MethodNotAllowed", message);
        error.details = Some(Box::new(json!({})));
        error
    }

    pub(crate) fn expired(message: impl Into<String>) -> Self {
        Self::new(410, "Expired", message)
    }

    pub(crate) fn unauthorized() -> Self {
        Self::new(401, "Unauthorized", "Unauthorized")
    }

    pub(crate) fn too_large_revision(wanted: u64, current: u64) -> Self {
        let message = format!("Timeout: Too large resource version: {wanted}, current: {current}");
        let mut error = Self::new(504, "Timeout", message);
        error.details = Some(Box::new(json!({
            "causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}],
            "retryAfterSeconds": 1,
        })));
        error
    }

    pub(crate) fn unsupported_media(accepted: &[&str]) -> Self {
        let message = format!(
            "the body of the request was in an unknown format - accepted media types include: {}",
            accepted.join(", ")
        );
        Self::new(415, "UnsupportedMediaType", message)
    }

    pub(crate) fn not_acceptable() -> Self {
        let message = "only the following media types are accepted: application/json, application/json;stream=watch";
        Self::new(406, "NotAcceptable", message)
    }

    /// None of the media types that the client takes is one the server knows.
    pub(crate) fn no_representation() -> Self {
        let message = "406: Not Acceptable\n\nAvailable representations: application/json, application/yaml, \
                       application/vnd.kubernetes.protobuf";
        Self::new(406, "NotAcceptable", message).with_details(json!({}))
    }

    pub(crate) fn with_details(mut self, details: Value) -> Self {
        self.details = Some(Box::new(details));
        self
    }

    pub(crate) fn with_causes(mut self, causes: Value) -> Self {
        let mut fields = match self.details.take().map(|details| *details) {
            Some(Value::Object(fields)) => fields,
            _ => Map::new(),
        };
        fields.insert("causes".to_owned(), causes);
        self.details = Some(Box::new(Value::Object(fields)));
        self
    }

    pub(crate) fn retry_after_seconds(&self) -> Option<u64> {
        self.details.as_ref()?.get("retryAfterSeconds")?.as_u64()
    }

    /// Whether the object or path was not found.
    pub fn is_not_found(&self) -> bool {
        self.code == 404
    }

    /// Whether a precondition failed or another write came first.
    pub fn is_conflict(&self) -> bool {
        self.reason == "Conflict"
    }

    /// Whether an object of that name exists already.
    pub fn is_already_exists(&self) -> bool {
        self.reason == "AlreadyExists"
    }

    /// The Status object the client reads.
    pub fn to_status(&self) -> Value {
        let mut status = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": self.metadata.as_deref().cloned().unwrap_or_else(|| json!({})), "status": "Failure",
            "message": self.message, "reason": self.reason, "code": self.code,
        });
        if let Some(fields) = status.as_object_mut() {
            if self.reason.is_empty() {
                fields.remove("reason");
            }
            if let Some(details) = &self.details {
                fields.insert("details".to_owned(), Value::clone(details));
            }
        }
        status
    }
}

fn details(name: &str, group: &str, kind: &str) -> Value {
    let mut fields = Map::new();
    for (key, value) in [("name", name), ("group", group), ("kind", kind)] {
        if !value.is_empty() {
            fields.insert(key.to_owned(), value.into());
        }
    }
    Value::Object(fields)
}
