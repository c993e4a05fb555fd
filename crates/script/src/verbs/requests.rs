//! One verb for each kind of request.

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::{BodyExt as _, Full, Limited};
use serde_json::{Map, Value, json};

use crate::script::Call;
use crate::stage::{Answer, Stage, Verb};
use crate::target::Target;
use crate::transport::{self, Body};

/// Largest answer that is read.
const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;

pub(crate) const REQUESTS: &[Verb] = &[
    Verb { name: "get", usage: "get TARGET", play: |stage, call| Box::pin(plain(stage, call, Method::GET)) },
    Verb { name: "create", usage: "create TARGET BODY", play: |stage, call| Box::pin(create(stage, call)) },
    Verb { name: "put", usage: "put TARGET [edited] BODY", play: |stage, call| Box::pin(put(stage, call)) },
    Verb { name: "delete", usage: "delete TARGET [BODY]", play: |stage, call| Box::pin(delete(stage, call)) },
    Verb {
        name: "merge",
        usage: "merge TARGET BODY",
        play: |stage, call| Box::pin(patch(stage, call, "application/merge-patch+json")),
    },
    Verb {
        name: "json",
        usage: "json TARGET BODY",
        play: |stage, call| Box::pin(patch(stage, call, "application/json-patch+json")),
    },
    Verb {
        name: "strategic",
        usage: "strategic TARGET BODY",
        play: |stage, call| Box::pin(patch(stage, call, "application/strategic-merge-patch+json")),
    },
    Verb {
        name: "apply",
        usage: "apply TARGET manager=NAME [force] BODY",
        play: |stage, call| Box::pin(patch(stage, call, "application/apply-patch+yaml")),
    },
    Verb { name: "raw", usage: "raw METHOD TARGET BODY", play: |stage, call| Box::pin(raw(stage, call)) },
];

async fn plain(stage: &mut Stage, call: &Call, method: Method) -> Result<(), String> {
    let target = target(stage, call, 0)?;
    let address = target.object_address(&options(call));
    exchange(stage, call, method, &address, None, None).await
}

async fn create(stage: &mut Stage, call: &Call) -> Result<(), String> {
    let target = target(stage, call, 0)?;
    let mut body = body(call)?;
    complete(&mut body, &target, target.creation_name());
    let address = target.creation_address(&options(call));
    exchange(stage, call, Method::POST, &address, Some("application/json"), Some(body.to_string())).await?;
    remember_made(stage, &target);
    Ok(())
}

/// Objects of the whole cluster outlive the script's namespace, so they are remembered and deleted after it.
fn remember_made(stage: &mut Stage, target: &Target) {
    let created = stage.answer.status == 201 && !target.collection.contains("/namespaces/");
    let name = stage.answer.body.pointer("/metadata/name").and_then(Value::as_str);
    let version = stage.answer.body.pointer("/metadata/resourceVersion");
    if let (true, Some(name), Some(_)) = (created, name, version) {
        stage.made.push(format!("{}/{name}", target.collection));
    }
}

async fn put(stage: &mut Stage, call: &Call) -> Result<(), String> {
    let target = target(stage, call, 0)?;
    let mut body = body(call)?;
    if call.has("edited") {
        let mut edited = stage.answer.body.clone();
        merge(&mut edited, &body);
        body = edited;
    }
    complete(&mut body, &target, target.name.as_deref());
    let address = target.object_address(&options(call));
    exchange(stage, call, Method::PUT, &address, Some("application/json"), Some(body.to_string())).await
}

async fn delete(stage: &mut Stage, call: &Call) -> Result<(), String> {
    let target = target(stage, call, 0)?;
    let address = target.object_address(&options(call));
    if call.body.is_empty() {
        return exchange(stage, call, Method::DELETE, &address, None, None).await;
    }
    let mut body = body(call)?;
    if let Value::Object(fields) = &mut body {
        fields.entry("apiVersion").or_insert_with(|| json!("v1"));
        fields.entry("kind").or_insert_with(|| json!("DeleteOptions"));
    }
    exchange(stage, call, Method::DELETE, &address, Some("application/json"), Some(body.to_string())).await
}

async fn patch(stage: &mut Stage, call: &Call, kind: &'static str) -> Result<(), String> {
    let target = target(stage, call, 0)?;
    let mut body = body(call)?;
    if kind == "application/apply-patch+yaml" {
        complete(&mut body, &target, target.name.as_deref());
    }
    let address = target.object_address(&options(call));
    exchange(stage, call, Method::PATCH, &address, Some(kind), Some(body.to_string())).await
}

/// Sends the body as it is written, so that what no client would send can be sent.
async fn raw(stage: &mut Stage, call: &Call) -> Result<(), String> {
    let method = call.words.first().ok_or("raw METHOD TARGET")?;
    let method: Method = method.parse().map_err(|_| format!("`{method}` is no method"))?;
    let target = target(stage, call, 1)?;
    let address = target.object_address(&options(call));
    let body = (!call.body.is_empty()).then(|| call.body.clone());
    exchange(stage, call, method, &address, None, body).await
}

pub(super) fn target(stage: &Stage, call: &Call, index: usize) -> Result<Target, String> {
    let word = call.words.get(index).ok_or_else(|| format!("`{}` needs a target", call.verb))?;
    Target::parse(word, &stage.namespace)
}

/// Options of a call that are parameters of the request.
pub(super) fn options(call: &Call) -> Vec<(&'static str, &str)> {
    let mut options = Vec::new();
    options.extend(call.option("manager").map(|manager| ("fieldManager", manager)));
    options.extend(call.option("validate").map(|validate| ("fieldValidation", validate)));
    options.extend(call.has("force").then_some(("force", "true")));
    options.extend(call.has("dry").then_some(("dryRun", "All")));
    options
}

fn body(call: &Call) -> Result<Value, String> {
    let documents = yaml::parse(&call.body).map_err(|problems| {
        let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
        format!("the body is not YAML: {}", problems.join("; "))
    })?;
    documents.into_iter().next().map(|document| document.value).ok_or_else(|| format!("`{}` needs a body", call.verb))
}

/// Fills in what the target says already: apiVersion, kind and name.
fn complete(body: &mut Value, target: &Target, name: Option<&str>) {
    let is_subresource = target.name.as_deref().is_some_and(|name| name.contains('/'));
    let Value::Object(fields) = body else { return };
    if let Some((api_version, kind)) = target.kind
        && (!is_subresource || name.is_some_and(|name| name.ends_with("/status")))
    {
        fields.entry("apiVersion").or_insert_with(|| json!(api_version));
        fields.entry("kind").or_insert_with(|| json!(kind));
    }
    let name = name.map(|name| name.split_once('/').map_or(name, |(name, _)| name));
    if let (Some(name), Value::Object(metadata)) = (name, fields.entry("metadata").or_insert_with(|| json!({})))
        && !metadata.contains_key("generateName")
    {
        metadata.entry("name").or_insert_with(|| json!(name));
    }
}

/// Merges as RFC 7386 says: null removes.
fn merge(value: &mut Value, patch: &Value) {
    let Value::Object(changes) = patch else {
        *value = patch.clone();
        return;
    };
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    let Value::Object(fields) = value else { return };
    for (key, change) in changes {
        if change.is_null() {
            fields.remove(key);
        } else {
            merge(fields.entry(key.clone()).or_insert(Value::Null), change);
        }
    }
}

async fn exchange(
    stage: &mut Stage,
    call: &Call,
    method: Method,
    address: &str,
    content_type: Option<&str>,
    body: Option<String>,
) -> Result<(), String> {
    let request = request(call, method, address, content_type, body)?;
    let response = send(stage, request).await?;
    let (head, body) = response.into_parts();
    let headers = telling_headers(&head.headers);
    let body = read(body).await?;
    let status = head.status.as_u16();
    stage.answer = Answer { status, body: body.clone() };
    remember_variables(stage);
    stage.record(call, Some(status), headers, body);
    Ok(())
}

pub(super) fn request(
    call: &Call,
    method: Method,
    address: &str,
    content_type: Option<&str>,
    body: Option<String>,
) -> Result<Request<Full<Bytes>>, String> {
    let mut builder =
        Request::builder().method(method).uri(transport::uri(address)?).header(http::header::USER_AGENT, "script/1.0");
    let has = |name: &str| call.headers.iter().any(|(header, _)| header.eq_ignore_ascii_case(name));
    if !has("accept") {
        builder = builder.header(http::header::ACCEPT, "application/json");
    }
    if let Some(content_type) = content_type.filter(|_| !has("content-type")) {
        builder = builder.header(http::header::CONTENT_TYPE, content_type);
    }
    for (name, value) in &call.headers {
        builder = builder.header(name, value);
    }
    builder.body(Full::new(Bytes::from(body.unwrap_or_default()))).map_err(|error| error.to_string())
}

pub(super) async fn send(stage: &Stage, request: Request<Full<Bytes>>) -> Result<http::Response<Body>, String> {
    let shown = format!("{} {}", request.method(), request.uri());
    stage.cluster.send(request).await.map_err(|error| {
        let mut message = format!("{shown}: {error}");
        let mut source = std::error::Error::source(&error);
        while let Some(cause) = source {
            message.push_str(&format!(": {cause}"));
            source = cause.source();
        }
        message
    })
}

pub(super) async fn read(body: Body) -> Result<Value, String> {
    let collected = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
    let bytes = collected.map_err(|error| format!("the answer broke off: {error}"))?.to_bytes();
    let as_text = || Value::from(String::from_utf8_lossy(&bytes).into_owned());
    Ok(serde_json::from_slice(&bytes).unwrap_or_else(|_| as_text()))
}

/// Headers that change what a client does.
fn telling_headers(headers: &http::HeaderMap) -> Vec<(String, String)> {
    let mut telling = Vec::new();
    for (name, value) in headers {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        let shown = match name.as_str() {
            "warning" => "Warning",
            "retry-after" => "Retry-After",
            "content-type" if value != "application/json" => "Content-Type",
            _ => continue,
        };
        telling.push((shown.to_owned(), value));
    }
    telling.sort();
    telling
}

fn remember_variables(stage: &mut Stage) {
    for (name, pointer) in [
        ("rv", "/metadata/resourceVersion"),
        ("uid", "/metadata/uid"),
        ("name", "/metadata/name"),
        ("continue", "/metadata/continue"),
    ] {
        if let Some(value) = stage.answer.body.pointer(pointer).and_then(Value::as_str) {
            stage.variables.set(name, value);
        }
    }
}
