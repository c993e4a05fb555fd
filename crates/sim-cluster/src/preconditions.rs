//! What must be so before a write: the body is the object that the address names, and the object is the one it knew.

use serde_json::{Map, Value, json};

use crate::error::{ApiError, Cause};
use crate::store::Stored;
use crate::write::{Call, DeleteOptions};
use crate::{go_text, types};

pub(crate) fn text_of(fields: &Map<String, Value>, key: &str) -> String {
    fields.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}

pub(crate) fn metadata_mut(object: &mut Value) -> Result<&mut Map<String, Value>, ApiError> {
    object
        .as_object_mut()
        .map(|fields| fields.entry("metadata").or_insert_with(|| json!({})))
        .and_then(Value::as_object_mut)
        .ok_or_else(|| ApiError::bad_request("metadata must be an object"))
}

/// Checks that a body is the object the path names, and fills in what the path knows.
pub(crate) fn accept_body(call: &Call, mut body: Value) -> Result<Value, ApiError> {
    let resource = &call.resource;
    let Some(fields) = body.as_object_mut() else {
        return Err(ApiError::bad_request("the body must be an object"));
    };
    let kind = text_of(fields, "kind");
    let api_version = text_of(fields, "apiVersion");
    let wanted = resource.api_version();
    if !kind.is_empty() && kind != resource.kind || !api_version.is_empty() && api_version != wanted {
        return Err(wrong_kind(call, &kind, &api_version, &text_of_metadata(&body, "name")));
    }
    fields.insert("kind".to_owned(), resource.kind.clone().into());
    fields.insert("apiVersion".to_owned(), wanted.into());
    let metadata = metadata_mut(&mut body)?;
    let namespace = text_of(metadata, "namespace");
    if resource.namespaced && !namespace.is_empty() && namespace != call.namespace {
        return Err(ApiError::bad_request(
            "the namespace of the provided object does not match the namespace sent on the request",
        ));
    }
    let name = text_of(metadata, "name");
    if !call.name.is_empty() && !name.is_empty() && name != call.name {
        return Err(ApiError::bad_request(format!(
            "the name of the object ({name}) does not match the name on the URL ({})",
            call.name
        )));
    }
    if !call.name.is_empty() {
        metadata.insert("name".to_owned(), call.name.clone().into());
    }
    if resource.namespaced {
        metadata.insert("namespace".to_owned(), call.namespace.clone().into());
    }
    Ok(body)
}

pub(crate) fn check_apply_kind(call: &Call, body: &Value) -> Result<(), ApiError> {
    let text = |key: &str| body.get(key).and_then(Value::as_str).unwrap_or_default();
    let resource = &call.resource;
    if text("kind").is_empty() || text("apiVersion").is_empty() {
        return Err(ApiError::bad_request("Object 'Kind' is missing in the apply patch"));
    }
    if text("kind") != resource.kind || text("apiVersion") != resource.api_version() {
        let kind = text("kind");
        return Err(ApiError::bad_request(format!(
            "invalid object type: {}{}, Kind={kind}",
            if text("apiVersion").contains('/') { "" } else { "/" },
            text("apiVersion")
        )));
    }
    Ok(())
}

fn text_of_metadata(body: &Value, key: &str) -> String {
    body.get("metadata").and_then(|metadata| metadata.get(key)?.as_str()).unwrap_or_default().to_owned()
}

/// The body is an object of another kind, or of another version.
fn wrong_kind(call: &Call, kind: &str, api_version: &str, name: &str) -> ApiError {
    let resource = &call.resource;
    if resource.custom.is_some() {
        if !api_version.is_empty() && api_version != resource.api_version() {
            return ApiError::bad_request(format!(
                "the API version in the data ({api_version}) does not match the expected API version ({})",
                resource.api_version()
            ));
        }
        let cause = Cause::invalid("kind", &json!(kind), &format!("must be {}", resource.kind));
        return ApiError::invalid(&resource.group, kind, name, &[cause]);
    }
    let (kind, api_version) = (
        if kind.is_empty() { resource.kind.as_str() } else { kind },
        if api_version.is_empty() { resource.api_version() } else { api_version.to_owned() },
    );
    let version = api_version.split_once('/').map_or(api_version.as_str(), |(_, version)| version);
    let problem = no_conversion(call, kind, &api_version);
    ApiError::bad_request(format!(
        "{kind} in version \"{version}\" cannot be handled as a {}: {problem}",
        resource.kind
    ))
}

/// Why an object of a kind and version is none of the resource's, in the words of Go's scheme.
fn no_conversion(call: &Call, kind: &str, api_version: &str) -> String {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let package = |group: &str| match group.split('.').next() {
        None | Some("") => "core".to_owned(),
        Some(first) => first.to_owned(),
    };
    if types::of_kind(api_version, kind).is_none() {
        return format!(
            "no kind {kind:?} is registered for version {api_version:?} in scheme \"pkg/runtime/scheme.go:111\""
        );
    }
    let short = if group.is_empty() { version.to_owned() } else { format!("{}.{version}", package(group)) };
    let target = format!("{}.{}", package(&call.resource.group), call.resource.kind);
    format!("converting ({short}.{kind}) to ({target}): unknown conversion")
}

/// A patch may not make an object of one kind into one of another.
pub(crate) fn check_patched_kind(call: &Call, patched: &Value) -> Result<(), ApiError> {
    let text = |key: &str| patched.get(key).and_then(Value::as_str).unwrap_or_default();
    let resource = &call.resource;
    let (kind, api_version) = (text("kind"), text("apiVersion"));
    if resource.custom.is_some() || kind == resource.kind && api_version == resource.api_version() {
        return Ok(());
    }
    let problem = no_conversion(call, kind, api_version);
    let cause = Cause::invalid("patch", &Value::from(go_text::object_json(patched)), &problem);
    Err(ApiError::invalid("", "", "", &[cause]))
}

/// The key etcd would have, which some messages quote.
fn storage_key(call: &Call) -> String {
    let group = if call.resource.custom.is_some() { format!("{}/", call.resource.group) } else { String::new() };
    let namespace = if call.resource.namespaced { format!("{}/", call.namespace) } else { String::new() };
    format!("/registry/{group}{}/{namespace}{}", call.resource.plural, call.name)
}

/// A replacement that names another object's uid is refused.
pub(crate) fn check_uid(call: &Call, current: &Stored, new: &Value) -> Result<(), ApiError> {
    let uid = new.pointer("/metadata/uid").and_then(Value::as_str).unwrap_or_default();
    if uid.is_empty() || uid == current.uid() {
        return Ok(());
    }
    let why = format!(
        "StorageError: invalid object, Code: 4, Key: {}, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: \
         UID in precondition: {uid}, UID in object meta: {}",
        storage_key(call),
        current.uid()
    );
    Err(ApiError::conflict(&call.resource, &call.name, &why))
}

pub(crate) fn check_version(call: &Call, verb: &str, current: &Stored, new: &Value) -> Result<(), ApiError> {
    let version = new.pointer("/metadata/resourceVersion").and_then(Value::as_str).unwrap_or_default();
    if version.is_empty() || version == "0" {
        if verb != "update" || call.resource.allows_unconditional_update() {
            return Ok(());
        }
        let cause = Cause::invalid("metadata.resourceVersion", &json!(0), "must be specified for an update");
        // The API server puts the resource where the kind belongs.
        return Err(ApiError::invalid(&call.resource.group, &call.resource.plural, &call.name, &[cause]));
    }
    if version.parse::<u64>().is_err() {
        return Err(ApiError::new(500, "", format!("strconv.ParseUint: parsing {version:?}: invalid syntax")));
    }
    if version != current.revision().to_string() {
        return Err(ApiError::modified(&call.resource, &call.name));
    }
    Ok(())
}

pub(crate) fn check_delete_preconditions(
    call: &Call,
    current: &Stored,
    options: &DeleteOptions,
) -> Result<(), ApiError> {
    let refuse = |why: String| {
        // The API server says the kind here, where it says the resource elsewhere.
        let kind = &call.resource.kind;
        let message = format!("Operation cannot be fulfilled on {kind} \"{}\": {why}", call.name);
        let mut details = json!({"name": call.name, "kind": kind});
        if let (false, Some(fields)) = (call.resource.group.is_empty(), details.as_object_mut()) {
            fields.insert("group".to_owned(), json!(call.resource.group));
        }
        Err(ApiError::new(409, "Conflict", message).with_details(details))
    };
    let (uid, have) = (current.uid(), current.revision().to_string());
    if let Some(wanted) = options.uid.as_deref().filter(|wanted| *wanted != uid) {
        return refuse(format!(
            "the UID in the precondition ({wanted}) does not match the UID in record ({uid}). The object might have \
             been deleted and then recreated"
        ));
    }
    if let Some(wanted) = options.resource_version.as_deref().filter(|wanted| **wanted != have) {
        return refuse(format!(
            "the ResourceVersion in the precondition ({wanted}) does not match the ResourceVersion in record ({have}). \
             The object might have been modified"
        ));
    }
    Ok(())
}
