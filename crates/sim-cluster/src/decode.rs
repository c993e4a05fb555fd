//! Turns a body into the object to store: drops what the type does not have, sets defaults, keeps to the types.

use serde_json::{Value, json};

use crate::error::ApiError;
use crate::resource::ResourceType;
use crate::types;
use crate::write::{Call, FieldValidation};
use crate::{defaults, event_forms, schema};

/// Decodes a body and sets its defaults.
pub(crate) fn decode(call: &Call, body: Value, warnings: &mut Vec<String>) -> Result<Value, ApiError> {
    let resource = &call.resource;
    let (mut value, unknown) = match &resource.custom {
        Some(custom) => {
            if let Some(warning) = &custom.deprecation_warning {
                warnings.push(warning.clone());
            }
            let mut body = decode_metadata(call, body)?;
            let mut unknown = Vec::new();
            if !custom.preserves_unknown_fields {
                schema::prune(&mut body, &custom.schema, "", &mut unknown);
            }
            schema::default(&mut body, &custom.schema);
            (body, unknown)
        }
        None => match types::of_kind(&resource.api_version(), &resource.kind) {
            Some(id) => {
                let decoded = types::decode(id, body).map_err(|problem| cannot_handle(call, &problem))?;
                (decoded.value, decoded.unknown)
            }
            None => (body, Vec::new()),
        },
    };
    report_unknown(call, &unknown, warnings)?;
    defaults::set(resource, &mut value);
    if resource.group == event_forms::GROUP {
        event_forms::to_core(&mut value);
    }
    Ok(value)
}

fn report_unknown(call: &Call, unknown: &[String], warnings: &mut Vec<String>) -> Result<(), ApiError> {
    if unknown.is_empty() {
        return Ok(());
    }
    let texts = unknown.iter().map(|path| format!("unknown field \"{path}\""));
    match call.options.field_validation {
        FieldValidation::Ignore => Ok(()),
        FieldValidation::Warn => {
            warnings.extend(texts);
            Ok(())
        }
        FieldValidation::Strict => {
            let problem = format!("strict decoding error: {}", texts.collect::<Vec<_>>().join(", "));
            Err(cannot_handle(call, &problem))
        }
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
fn decode_metadata(call: &Call, mut body: Value) -> Result<Value, ApiError> {
    let Some(fields) = body.as_object_mut() else { return Ok(body) };
    let Some(metadata) = fields.remove("metadata") else { return Ok(body) };
    // Any kind whose other fields may be absent does: a ConfigMap has nothing but metadata.
    let Some(id) = types::of_kind("v1", "ConfigMap") else { return Ok(body) };
    let wrapped = json!({"metadata": metadata});
    let mut decoded = types::decode(id, wrapped).map_err(|problem| cannot_handle(call, &problem))?;
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
    let resource = &call.resource;
    // The message is about the applied object, which seldom names its namespace.
    format!("{named_namespace}/{}; {}/{}, Kind={}", call.name, resource.group, resource.version, resource.kind)
}

/// An applied configuration may only have fields that its type declares.
pub(crate) fn check_declared(call: &Call, named_namespace: &str, body: &Value) -> Result<(), ApiError> {
    let resource = &call.resource;
    let unknown = match &resource.custom {
        Some(custom) if custom.preserves_unknown_fields => Vec::new(),
        Some(custom) => {
            let mut unknown = Vec::new();
            schema::prune(&mut body.clone(), &custom.schema, "", &mut unknown);
            unknown
        }
        None => match types::of_kind(&resource.api_version(), &resource.kind) {
            Some(id) => {
                let decoded = types::decode(id, body.clone());
                decoded.map_err(|problem| cannot_handle(call, &problem))?.unknown
            }
            None => Vec::new(),
        },
    };
    let texts: Vec<String> = unknown.iter().map(|path| format!(".{path}: field not declared in schema")).collect();
    let problem = match texts.as_slice() {
        [] => return Ok(()),
        [one] => one.clone(),
        many => format!("errors:\n{}", many.iter().map(|text| format!("  {text}")).collect::<Vec<_>>().join("\n")),
    };
    Err(ApiError::new(
        500,
        "",
        format!("failed to create typed patch object ({}): {problem}", place(call, named_namespace)),
    ))
}
