//! What a request asks for beside its address: options of writes, and the bodies.

use serde_json::{Value, json};

use crate::bodies::{self, Body};
use crate::cluster::manager_of;
use crate::error::{ApiError, Cause};
use crate::go_text;
use crate::handle::Asked;
use crate::protobuf;
use crate::write::{Action, Call, DeleteOptions, FieldValidation, PatchKind, Propagation, WriteOptions};

/// The name by which messages call the options of a request.
fn options_kind(asked: &Asked<'_>) -> &'static str {
    match asked.verb {
        "create" => "CreateOptions",
        "update" => "UpdateOptions",
        "patch" => "PatchOptions",
        _ => "DeleteOptions",
    }
}

/// What is wrong with the options of a write.
fn check_options(asked: &Asked<'_>) -> Result<(), ApiError> {
    let query = asked.query;
    let mut causes = Vec::new();
    if asked.verb == "patch" {
        let is_apply = media_type(asked) == "application/apply-patch+yaml";
        if is_apply && query.get("fieldManager").is_none_or(str::is_empty) {
            causes.push(Cause::required("fieldManager", "is required for apply patch"));
        }
        if !is_apply && query.get("force").is_some() {
            causes.push(Cause::forbidden("force", "may not be specified for non-apply patch"));
        }
    }
    if let Some(other) = query.get("dryRun").filter(|word| !matches!(*word, "" | "All")) {
        causes.push(Cause::unsupported("dryRun", &json!([other]), &["All".to_owned()]));
    }
    if let Some(other) = query.get("fieldValidation").filter(|word| !matches!(*word, "" | "Strict" | "Warn" | "Ignore"))
        && asked.verb != "delete"
    {
        let supported = ["", "Ignore", "Strict", "Warn"].map(str::to_owned);
        causes.push(Cause::unsupported("fieldValidation", &json!(other), &supported));
    }
    if let Some(manager) = query.get("fieldManager").filter(|_| asked.verb != "delete") {
        causes.extend(check_manager(manager));
    }
    if causes.is_empty() {
        return Ok(());
    }
    Err(ApiError::invalid("meta.k8s.io", options_kind(asked), "", &causes))
}

fn check_manager(manager: &str) -> Option<Cause> {
    const LENGTH_MAX: usize = 128;
    if manager.len() > LENGTH_MAX {
        let message = format!("Too long: may not be more than {LENGTH_MAX} bytes");
        return Some(Cause { reason: "FieldValueTooLong", message, field: "fieldManager".to_owned() });
    }
    let (position, bad) = manager.chars().enumerate().find(|(_, character)| character.is_control())?;
    let shown: String =
        manager
            .chars()
            .map(|character| {
                if character.is_control() { format!("\\x{:02x}", u32::from(character)) } else { character.to_string() }
            })
            .collect();
    let message =
        format!("Invalid value: \"{shown}\": invalid character U+{:04X} (at position {position})", u32::from(bad));
    Some(Cause { reason: "FieldValueInvalid", message, field: "fieldManager".to_owned() })
}

pub(crate) fn call(asked: &Asked<'_>) -> Result<Call, ApiError> {
    let query = asked.query;
    check_options(asked)?;
    let is_dry_run = match asked.verb {
        // A body takes the place of the options in the address.
        "delete" if !asked.request.body.is_empty() => asks_for_dry_run(asked)?,
        _ => query.get("dryRun") == Some("All"),
    };
    let field_validation = match query.get("fieldValidation") {
        Some("Strict") => FieldValidation::Strict,
        Some("Ignore") => FieldValidation::Ignore,
        _ => FieldValidation::Warn,
    };
    let manager = match query.get("fieldManager") {
        Some(name) => name.to_owned(),
        None => manager_of(&asked.actor.agent),
    };
    Ok(Call {
        doubled: Vec::new(),
        resource: asked.resource.clone(),
        namespace: asked.target.namespace.clone().unwrap_or_default(),
        name: asked.target.name.clone().unwrap_or_default(),
        subresource: asked.target.subresource.clone(),
        actor: asked.actor.clone(),
        options: WriteOptions { manager, is_dry_run, is_forced: query.is_true("force"), field_validation },
    })
}

/// What is to be done, and which fields of the body were named twice.
pub(crate) fn action(asked: &Asked<'_>) -> Result<(Action, Vec<String>), ApiError> {
    match asked.verb {
        "create" => body(asked).map(|body| (Action::Create(body.value), body.doubled)),
        "update" => body(asked).map(|body| (Action::Update(body.value), body.doubled)),
        "delete" => Ok((Action::Delete(delete_options(asked)?), Vec::new())),
        _ => {
            let kind = patch_kind(asked)?;
            let bytes = &asked.request.body;
            if bytes.is_empty() && kind != PatchKind::Apply {
                return Err(ApiError::bad_request("error decoding patch: unexpected end of JSON input"));
            }
            let body = if kind == PatchKind::Apply { bodies::applied(bytes)? } else { bodies::patch(bytes)? };
            if matches!(kind, PatchKind::Merge | PatchKind::Strategic) && !body.value.is_object() {
                let word = go_text::json_word(&body.value);
                let message = format!(
                    "error decoding patch: json: cannot unmarshal {word} into Go value of type map[string]interface {{}}"
                );
                return Err(ApiError::bad_request(message));
            }
            Ok((Action::Patch(kind, body.value), body.doubled))
        }
    }
}

fn patch_kind(asked: &Asked<'_>) -> Result<PatchKind, ApiError> {
    match media_type(asked) {
        "application/merge-patch+json" => Ok(PatchKind::Merge),
        "application/json-patch+json" => Ok(PatchKind::Json),
        "application/strategic-merge-patch+json" if asked.resource.custom.is_none() => Ok(PatchKind::Strategic),
        "application/apply-patch+yaml" => Ok(PatchKind::Apply),
        _ if asked.resource.custom.is_some() => Err(ApiError::unsupported_media(&[
            "application/json-patch+json",
            "application/merge-patch+json",
            "application/apply-patch+yaml",
        ])),
        _ => Err(ApiError::new(415, "UnsupportedMediaType", "415: Unsupported Media Type").with_details(json!({}))),
    }
}

pub(crate) fn media_type<'a>(asked: &'a Asked<'_>) -> &'a str {
    let header = asked.request.header_text("content-type").unwrap_or("application/json");
    header.split(';').next().unwrap_or_default().trim()
}

/// Reads the body of a request that carries an object.
pub(crate) fn body(asked: &Asked<'_>) -> Result<Body, ApiError> {
    const ACCEPTED: [&str; 3] = ["application/json", "application/yaml", protobuf::MEDIA_TYPE];
    match media_type(asked) {
        "application/json" | "" => bodies::json(&asked.request.body),
        "application/yaml" => bodies::yaml(&asked.request.body),
        protobuf::MEDIA_TYPE if asked.resource.custom.is_none() => protobuf::decode(&asked.request.body)
            .map(|value| Body { value, doubled: Vec::new() })
            .ok_or_else(|| ApiError::unsupported_media(&ACCEPTED)),
        _ => Err(ApiError::unsupported_media(&ACCEPTED)),
    }
}

/// A delete may ask for a dry run in its body.
fn asks_for_dry_run(asked: &Asked<'_>) -> Result<bool, ApiError> {
    let body = body(asked)?.value;
    let words = body.get("dryRun").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    if words.iter().any(|word| word != "All") {
        let cause = Cause::unsupported("dryRun", &json!(words), &["All".to_owned()]);
        return Err(ApiError::invalid("meta.k8s.io", "DeleteOptions", "", &[cause]));
    }
    Ok(!words.is_empty())
}

pub(crate) fn delete_options(asked: &Asked<'_>) -> Result<DeleteOptions, ApiError> {
    let body = if asked.request.body.is_empty() { json!({}) } else { body(asked)?.value };
    let text = |pointer: &str| body.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    let query = |key: &str| asked.query.get(key).filter(|_| asked.request.body.is_empty());
    let propagation = text("/propagationPolicy").or_else(|| query("propagationPolicy").map(str::to_owned));
    let propagation = match propagation.as_deref() {
        None => match body.get("orphanDependents").and_then(Value::as_bool) {
            None => None,
            Some(true) => Some(Propagation::Orphan),
            Some(false) => Some(Propagation::Background),
        },
        Some("Background") => Some(Propagation::Background),
        Some("Foreground") => Some(Propagation::Foreground),
        Some("Orphan") => Some(Propagation::Orphan),
        Some(other) => {
            let message = format!(
                "Unsupported value: {other:?}: supported values: \"Foreground\", \"Background\", \"Orphan\", \"nil\""
            );
            let cause = Cause { reason: "FieldValueNotSupported", message, field: "propagationPolicy".to_owned() };
            return Err(ApiError::invalid("meta.k8s.io", "DeleteOptions", "", &[cause]));
        }
    };
    if let (Some(policy), true) =
        (text("/propagationPolicy"), body.get("orphanDependents").is_some_and(|it| !it.is_null()))
    {
        let detail = "orphanDependents and deletionPropagation cannot be both set";
        let cause = Cause::invalid("propagationPolicy", &json!(policy), detail);
        return Err(ApiError::invalid("meta.k8s.io", "DeleteOptions", "", &[cause]));
    }
    let grace = body
        .get("gracePeriodSeconds")
        .and_then(Value::as_i64)
        .or_else(|| query("gracePeriodSeconds").and_then(|text| text.parse().ok()));
    Ok(DeleteOptions {
        uid: text("/preconditions/uid"),
        resource_version: text("/preconditions/resourceVersion"),
        grace_period_seconds: grace,
        propagation,
    })
}
