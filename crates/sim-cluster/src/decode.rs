//! Turns a body into the object to store: drops what the type does not have, sets defaults, keeps to the types.

use serde_json::{Value, json};

use crate::apply::{self, MergeType};
use crate::error::{ApiError, Cause};
use crate::resource::ResourceType;
use crate::types;
use crate::write::{Call, FieldValidation};
use crate::{defaults, event_forms, schema};

/// Decodes a body and sets its defaults.
pub(crate) fn decode(call: &Call, body: Value, warnings: &mut Vec<String>) -> Result<Value, ApiError> {
    let (value, surplus) =
        decode_loosely(call, body, warnings).map_err(|Undecodable::Value(problem)| cannot_handle(call, &problem))?;
    report(call, surplus, warnings)?;
    Ok(value)
}

/// Decodes what applying has made of an object. Values that only its type can read, such as base64, are found out here.
pub(crate) fn decode_applied(
    call: &Call,
    named_namespace: &str,
    applied: Value,
    warnings: &mut Vec<String>,
) -> Result<Value, ApiError> {
    let (value, surplus) = decode_loosely(call, applied, warnings).map_err(|Undecodable::Value(problem)| {
        let (place, resource) = (place(call, named_namespace), &call.resource);
        let kind = kind_of(resource);
        // Go's converter reads bytes by itself, other texts are read by their types.
        let by = if problem.starts_with("illegal base64") { "error decoding from json: " } else { "" };
        let why = format!("unable to convert unstructured object to {kind}: {by}{problem}");
        ApiError::new(500, "", format!("failed to convert new object ({place}) to proper version: {why}"))
    })?;
    report(call, surplus, warnings)?;
    Ok(value)
}

/// Decodes what a patch has made of an object: surplus fields are the patch's fault, which `shown` shows.
pub(crate) fn decode_patched(
    call: &Call,
    patched: Value,
    shown: impl FnOnce() -> String,
    warnings: &mut Vec<String>,
) -> Result<Value, ApiError> {
    let before = patched.clone();
    let (value, surplus) = match decode_loosely(call, patched, warnings) {
        Ok(decoded) => decoded,
        Err(Undecodable::Value(problem)) => {
            let cause = Cause::invalid("patch", &Value::from(crate::go_text::object_json(&before)), &problem);
            return Err(ApiError::invalid("", "", "", &[cause]));
        }
    };
    if call.options.field_validation == FieldValidation::Strict && !surplus.is_empty() {
        let detail = format!("strict decoding error: {}", surplus.join(", "));
        let cause = Cause::invalid("patch", &Value::from(shown()), &detail);
        return Err(ApiError::invalid("", "", "", &[cause]));
    }
    report(call, surplus, warnings)?;
    Ok(value)
}

/// Why a body is no object of its kind.
enum Undecodable {
    /// A value has the wrong type, in the words of Go's decoder.
    Value(String),
}

/// Decodes, and says which fields are unknown or named twice.
fn decode_loosely(call: &Call, body: Value, warnings: &mut Vec<String>) -> Result<(Value, Vec<String>), Undecodable> {
    let resource = &call.resource;
    let (mut value, unknown) = match &resource.custom {
        Some(custom) => {
            if let Some(warning) = &custom.deprecation_warning {
                warnings.push(warning.clone());
            }
            let mut unknown = Vec::new();
            let mut body = decode_metadata(body, &mut unknown)?;
            if !custom.preserves_unknown_fields {
                schema::prune(&mut body, &custom.schema, "", &mut unknown);
            }
            schema::default(&mut body, &custom.schema);
            (body, unknown)
        }
        None => match types::of_kind(&resource.api_version(), &resource.kind) {
            Some(id) => {
                let decoded = types::decode(id, body).map_err(Undecodable::Value)?;
                (decoded.value, decoded.unknown)
            }
            None => (body, Vec::new()),
        },
    };
    defaults::set(resource, &mut value);
    if resource.group == event_forms::GROUP {
        event_forms::to_core(&mut value);
    }
    let unknown = unknown.iter().map(|path| format!("unknown field \"{path}\""));
    let doubled = call.doubled.iter().map(|path| format!("duplicate field \"{path}\""));
    Ok((value, unknown.chain(doubled).collect()))
}

fn report(call: &Call, surplus: Vec<String>, warnings: &mut Vec<String>) -> Result<(), ApiError> {
    match call.options.field_validation {
        _ if surplus.is_empty() => Ok(()),
        FieldValidation::Ignore => Ok(()),
        FieldValidation::Warn => {
            warnings.extend(surplus);
            Ok(())
        }
        FieldValidation::Strict => Err(cannot_handle(call, &format!("strict decoding error: {}", surplus.join(", ")))),
    }
}

fn cannot_handle(call: &Call, problem: &str) -> ApiError {
    let resource = &call.resource;
    ApiError::bad_request(format!(
        "{kind} in version \"{}\" cannot be handled as a {kind}: {problem}",
        resource.version,
        kind = resource.kind
    ))
}

/// The metadata of custom objects is the built-in one.
fn decode_metadata(mut body: Value, unknown: &mut Vec<String>) -> Result<Value, Undecodable> {
    let Some(fields) = body.as_object_mut() else { return Ok(body) };
    let Some(metadata) = fields.remove("metadata") else { return Ok(body) };
    // Any kind whose other fields may be absent does: a ConfigMap has nothing but metadata.
    let Some(id) = types::of_kind("v1", "ConfigMap") else { return Ok(body) };
    let wrapped = json!({"metadata": metadata});
    let mut decoded = types::decode(id, wrapped).map_err(Undecodable::Value)?;
    unknown.append(&mut decoded.unknown);
    if let Some(metadata) = decoded.value.get_mut("metadata") {
        fields.insert("metadata".to_owned(), metadata.take());
    }
    Ok(body)
}

/// The object of a kind before anything is in it, as the start of its field history.
pub(crate) fn empty(resource: &ResourceType) -> Value {
    let bare = json!({"apiVersion": resource.api_version(), "kind": resource.kind});
    match types::of_kind(&resource.api_version(), &resource.kind) {
        Some(id) if resource.custom.is_none() => types::decode(id, bare.clone()).map_or(bare, |decoded| decoded.value),
        _ => bare,
    }
}

/// `/web; apps/v1, Kind=Deployment`, as messages about apply name an object.
pub(crate) fn place(call: &Call, named_namespace: &str) -> String {
    // The message is about the applied object, which seldom names its namespace.
    format!("{named_namespace}/{}; {}", call.name, kind_of(&call.resource))
}

/// `apps/v1, Kind=Deployment`.
fn kind_of(resource: &ResourceType) -> String {
    format!("{}/{}, Kind={}", resource.group, resource.version, resource.kind)
}

/// An applied configuration may only have fields that its type declares, with values of their types.
pub(crate) fn check_declared(call: &Call, named_namespace: &str, body: &Value) -> Result<(), ApiError> {
    let preserves = call.resource.custom.as_ref().is_some_and(|custom| custom.preserves_unknown_fields);
    let problems = if preserves { Vec::new() } else { apply::problems(body, MergeType::of(&call.resource)) };
    let problem = match problems.as_slice() {
        [] => return Ok(()),
        [one] => one.clone(),
        many => format!("errors:\n{}", many.iter().map(|text| format!("  {text}")).collect::<Vec<_>>().join("\n")),
    };
    let place = place(call, named_namespace);
    Err(ApiError::new(500, "", format!("failed to create typed patch object ({place}): {problem}")))
}
