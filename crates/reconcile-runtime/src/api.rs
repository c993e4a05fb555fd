//! Requests to the API server, on raw JSON, each as a named actor and with a time limit.

use std::time::Duration;

use http::header::{ACCEPT, CONTENT_TYPE, HeaderName, HeaderValue};
use http::{Method, Request};
use http_body_util::{BodyExt, Limited};
use kube::client::Body;
use object_model::Object;
use reconcile_core::{Actor, Kind, ObjectRef, Precondition, Propagation, Scope};
use serde_json::{Value, json};

pub use crate::api_error::ApiError;
use crate::api_error::{bounded, chain, classify};
use crate::request_counts::RequestCounts;
use crate::store::MANAGED_LABEL;

/// Largest response that is read; a LIST page of 500 objects stays far below.
const RESPONSE_BYTES_MAX: usize = 64 << 20;
/// Largest list in pages; more is an error, never an endless loop.
const LIST_PAGES_MAX: usize = 2_000;
const PAGE_LIMIT: usize = 500;

/// A list with the resource version that it stands for.
#[derive(Debug, Clone)]
pub struct ObjectList {
    /// The objects.
    pub items: Vec<Object>,
    /// The resource version of the list.
    pub resource_version: String,
}

/// Whether objects are asked for whole or only with their metadata.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// Whole objects.
    Full,
    /// Only `metadata`; used for Secrets of others.
    Metadata,
}

/// A thin client over [`kube::Client`] that speaks paths and JSON.
#[derive(Clone)]
pub struct ApiClient {
    client: kube::Client,
    timeout: Duration,
    counts: RequestCounts,
}

impl std::fmt::Debug for ApiClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ApiClient").field("timeout", &self.timeout).finish_non_exhaustive()
    }
}

impl ApiClient {
    /// The requests made so far, as Prometheus reads them.
    pub(crate) fn render_counts(&self, out: &mut String) {
        self.counts.render(out);
    }

    /// Wraps a client; every request but a watch ends within `timeout`.
    pub fn new(client: kube::Client, timeout: Duration) -> Self {
        Self { client, timeout, counts: RequestCounts::default() }
    }

    /// Reads one object from the quorum; `None` when it isn't there.
    ///
    /// # Errors
    /// When the server refuses or can't be reached.
    pub async fn get(&self, actor: &Actor, target: &ObjectRef, detail: Detail) -> Result<Option<Object>, ApiError> {
        let request = request(Method::GET, &object_path(target), actor, detail.accept_object(), None)?;
        match self.json(request).await {
            Ok(value) => Ok(Some(object_of(&target.kind, value)?)),
            Err(ApiError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Lists a kind consistently, page by page; all namespaces when `namespace` is empty.
    ///
    /// # Errors
    /// When the server refuses or can't be reached, also between pages.
    pub async fn list(
        &self,
        kind: &Kind,
        namespace: &str,
        label_selector: Option<&str>,
        detail: Detail,
    ) -> Result<ObjectList, ApiError> {
        let mut items = Vec::new();
        let mut token = String::new();
        for _ in 0..LIST_PAGES_MAX {
            let mut query = format!("?limit={PAGE_LIMIT}");
            append_selector(&mut query, label_selector);
            if !token.is_empty() {
                query.push_str(&format!("&continue={}", percent(&token)));
            }
            let path = format!("{}{query}", collection_path(kind, namespace));
            let mut value =
                self.json(request(Method::GET, &path, &Actor::Operator, detail.accept_list(), None)?).await?;
            if let Some(Value::Array(page)) = value.get_mut("items").map(Value::take) {
                for item in page {
                    items.push(object_of(kind, item)?);
                }
            }
            let metadata = value.get("metadata");
            let text = |field: &str| metadata.and_then(|m| m.get(field)).and_then(Value::as_str).unwrap_or_default();
            token = text("continue").to_owned();
            if token.is_empty() {
                return Ok(ObjectList { items, resource_version: text("resourceVersion").to_owned() });
            }
        }
        Err(ApiError::Unavailable { message: format!("the list of {} has too many pages", kind.plural) })
    }

    /// Opens a watch after `resource_version`; the body streams one JSON event a line.
    ///
    /// # Errors
    /// When the server refuses or can't be reached.
    pub async fn watch(
        &self,
        kind: &Kind,
        namespace: &str,
        label_selector: Option<&str>,
        resource_version: &str,
        timeout_seconds: u64,
        detail: Detail,
    ) -> Result<http::Response<Body>, ApiError> {
        let mut query = format!(
            "?watch=1&allowWatchBookmarks=true&timeoutSeconds={timeout_seconds}&resourceVersion={}",
            percent(resource_version)
        );
        append_selector(&mut query, label_selector);
        let path = format!("{}{query}", collection_path(kind, namespace));
        let request = request(Method::GET, &path, &Actor::Operator, detail.accept_object(), None)?;
        let response = self.send(request).await?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        Err(classify(status, &self.body(response).await?))
    }

    /// Creates an object.
    ///
    /// # Errors
    /// [`ApiError::AlreadyExists`] when the name is taken, and the others.
    pub async fn create(&self, actor: &Actor, kind: &Kind, object: &Object) -> Result<Object, ApiError> {
        let path = collection_path(kind, object.namespace().unwrap_or_default());
        let body = Payload { content_type: "application/json", json: object.to_json() };
        object_of(kind, self.json(request(Method::POST, &path, actor, JSON, Some(body))?).await?)
    }

    /// Asks what a creation would lead to, without creating.
    ///
    /// # Errors
    /// As [`ApiClient::create`].
    pub(crate) async fn try_create(&self, actor: &Actor, kind: &Kind, object: &Object) -> Result<(), ApiError> {
        let path = format!("{}?dryRun=All", collection_path(kind, object.namespace().unwrap_or_default()));
        let body = Payload { content_type: "application/json", json: object.to_json() };
        self.json(request(Method::POST, &path, actor, JSON, Some(body))?).await.map(|_| ())
    }

    /// Sends a patch of any type to an object or its `status`.
    ///
    /// # Errors
    /// [`ApiError::Conflict`] when a precondition did not hold, and the others.
    pub async fn patch(&self, actor: &Actor, target: &ObjectRef, patch: Patch) -> Result<Object, ApiError> {
        let mut path = object_path(target);
        if patch.subresource {
            path.push_str("/status");
        }
        path.push_str(&patch.query);
        let body = Payload { content_type: patch.content_type, json: patch.body };
        object_of(&target.kind, self.json(request(Method::PATCH, &path, actor, JSON, Some(body))?).await?)
    }

    /// Deletes one life of an object. Returns the object when it stays for now because of finalizers.
    ///
    /// # Errors
    /// [`ApiError::Conflict`] when the precondition did not hold, [`ApiError::NotFound`] when it is gone already.
    pub async fn delete(
        &self,
        actor: &Actor,
        target: &ObjectRef,
        precondition: &Precondition,
        propagation: Propagation,
    ) -> Result<Option<Object>, ApiError> {
        let policy = match propagation {
            Propagation::Background => "Background",
            Propagation::Foreground => "Foreground",
            Propagation::Orphan => "Orphan",
        };
        let mut options = json!({"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": policy});
        let mut preconditions = serde_json::Map::new();
        if let Some(uid) = &precondition.uid {
            preconditions.insert("uid".to_owned(), uid.as_str().into());
        }
        if let Some(version) = &precondition.resource_version {
            preconditions.insert("resourceVersion".to_owned(), version.as_str().into());
        }
        if let (false, Some(options)) = (preconditions.is_empty(), options.as_object_mut()) {
            options.insert("preconditions".to_owned(), preconditions.into());
        }
        let body = Payload { content_type: "application/json", json: options };
        let value = self.json(request(Method::DELETE, &object_path(target), actor, JSON, Some(body))?).await?;
        if value.get("kind").and_then(Value::as_str) == Some("Status") {
            return Ok(None);
        }
        object_of(&target.kind, value).map(Some)
    }

    /// Asks for the eviction of one life of a pod.
    ///
    /// # Errors
    /// [`ApiError::Refused`] with code 429 when a disruption budget forbids it now, [`ApiError::Conflict`] when the
    /// precondition did not hold, and the others.
    pub async fn evict(&self, actor: &Actor, target: &ObjectRef, precondition: &Precondition) -> Result<(), ApiError> {
        let mut body = json!({
            "apiVersion": "policy/v1", "kind": "Eviction",
            "metadata": {"name": target.name, "namespace": target.namespace},
        });
        if let (Some(uid), Some(map)) = (&precondition.uid, body.as_object_mut()) {
            map.insert("deleteOptions".to_owned(), json!({"preconditions": {"uid": uid.as_str()}}));
        }
        let path = format!("{}/eviction", object_path(target));
        let body = Payload { content_type: "application/json", json: body };
        self.json(request(Method::POST, &path, actor, JSON, Some(body))?).await.map(|_| ())
    }

    /// Replaces an object with the resource version that it carries.
    ///
    /// # Errors
    /// [`ApiError::Conflict`] when it changed meanwhile, and the others.
    pub async fn replace(&self, target: &ObjectRef, object: &Object) -> Result<Object, ApiError> {
        self.replace_as(&Actor::Operator, target, object).await
    }

    /// The same as another actor.
    ///
    /// # Errors
    /// As [`ApiClient::replace`].
    pub async fn replace_as(&self, actor: &Actor, target: &ObjectRef, object: &Object) -> Result<Object, ApiError> {
        let body = Payload { content_type: "application/json", json: object.to_json() };
        let request = request(Method::PUT, &object_path(target), actor, JSON, Some(body))?;
        object_of(&target.kind, self.json(request).await?)
    }

    /// Posts a review (TokenReview, SubjectAccessReview) or reads any other path as JSON.
    ///
    /// # Errors
    /// When the server refuses or can't be reached.
    pub async fn raw(&self, method: Method, path: &str, body: Option<Value>) -> Result<Value, ApiError> {
        let body = body.map(|json| Payload { content_type: "application/json", json });
        self.json(request(method, path, &Actor::Operator, JSON, body)?).await
    }

    /// Reads any path as JSON.
    ///
    /// # Errors
    /// When the server refuses or can't be reached.
    pub(crate) async fn read(&self, actor: &Actor, path: &str, accept: &str) -> Result<Value, ApiError> {
        self.json(request(Method::GET, path, actor, accept, None)?).await
    }

    async fn json(&self, request: Request<Body>) -> Result<Value, ApiError> {
        let answer = async {
            let response = self.send(request).await?;
            let status = response.status();
            let body = self.body(response).await?;
            if !status.is_success() {
                return Err(classify(status, &body));
            }
            serde_json::from_slice(&body)
                .map_err(|error| ApiError::Unavailable { message: format!("the answer is not JSON: {error}") })
        };
        let late = || ApiError::Unavailable { message: "the API server did not answer in time".to_owned() };
        tokio::time::timeout(self.timeout, answer).await.map_err(|_| late())?
    }

    async fn send(&self, request: Request<Body>) -> Result<http::Response<Body>, ApiError> {
        let (method, uri) = (request.method().clone(), request.uri().clone());
        let sent = tokio::time::timeout(self.timeout, self.client.send(request)).await;
        let code = sent.as_ref().ok().and_then(|sent| sent.as_ref().ok()).map_or(0, |answer| answer.status().as_u16());
        self.counts.add(&method, uri.path(), uri.query().unwrap_or_default(), code);
        match sent {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => Err(ApiError::Unavailable { message: bounded(&chain(&error)) }),
            Err(_) => Err(ApiError::Unavailable { message: "the API server did not answer in time".to_owned() }),
        }
    }

    async fn body(&self, response: http::Response<Body>) -> Result<bytes::Bytes, ApiError> {
        let read = Limited::new(response.into_body(), RESPONSE_BYTES_MAX).collect();
        match tokio::time::timeout(self.timeout, read).await {
            Ok(Ok(body)) => Ok(body.to_bytes()),
            Ok(Err(error)) => Err(ApiError::Unavailable { message: bounded(&error.to_string()) }),
            Err(_) => Err(ApiError::Unavailable { message: "the answer did not end in time".to_owned() }),
        }
    }
}

/// A patch with its content type.
#[derive(Debug, Clone)]
pub struct Patch {
    content_type: &'static str,
    body: Value,
    query: String,
    subresource: bool,
}

impl Patch {
    /// Server-side apply.
    pub fn apply(body: Value, manager: &str, force: bool) -> Self {
        let query = format!("?fieldManager={}&force={force}", percent(manager));
        Self { content_type: "application/apply-patch+yaml", body, query, subresource: false }
    }

    /// JSON merge patch whose metadata demands the life and version of the precondition.
    pub fn merge(mut body: Value, precondition: &Precondition) -> Self {
        demand(&mut body, precondition);
        Self { content_type: "application/merge-patch+json", body, query: String::new(), subresource: false }
    }

    /// JSON patch with `test` operations for the precondition in front.
    pub fn json(body: Value, precondition: &Precondition) -> Self {
        let mut operations = Vec::new();
        if let Some(uid) = &precondition.uid {
            operations.push(json!({"op": "test", "path": "/metadata/uid", "value": uid.as_str()}));
        }
        if let Some(version) = &precondition.resource_version {
            operations.push(json!({"op": "test", "path": "/metadata/resourceVersion", "value": version}));
        }
        match body {
            Value::Array(own) => operations.extend(own),
            other => operations.push(other),
        }
        let body = Value::Array(operations);
        Self { content_type: "application/json-patch+json", body, query: String::new(), subresource: false }
    }

    /// Demands no version any more.
    #[must_use]
    pub(crate) fn without_version(mut self) -> Self {
        if let Some(metadata) = self.body.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.remove("resourceVersion");
        }
        self
    }

    /// Has the server only say what it would do.
    #[must_use]
    pub fn without_effect(mut self) -> Self {
        self.query.push_str(if self.query.is_empty() { "?dryRun=All" } else { "&dryRun=All" });
        self
    }

    /// Sends it to the `status` subresource.
    #[must_use]
    pub fn of_status(mut self) -> Self {
        self.subresource = true;
        self
    }
}

/// Writes uid and resource version into a body's metadata, where the server takes them as a condition.
pub(crate) fn demand(body: &mut Value, precondition: &Precondition) {
    let Some(map) = body.as_object_mut() else { return };
    if precondition.uid.is_none() && precondition.resource_version.is_none() {
        return;
    }
    let metadata = map.entry("metadata").or_insert_with(|| json!({}));
    let Some(metadata) = metadata.as_object_mut() else { return };
    if let Some(uid) = &precondition.uid {
        metadata.insert("uid".to_owned(), uid.as_str().into());
    }
    if let Some(version) = &precondition.resource_version {
        metadata.insert("resourceVersion".to_owned(), version.as_str().into());
    }
}

impl Detail {
    /// Of Secrets only those that this system delivers are watched whole: what was changed in them has to be seen. Of all
    /// others there is nothing but their metadata.
    pub fn of(kind: &Kind, selector: Option<&str>) -> Self {
        let is_secret = kind.group.is_empty() && kind.kind == "Secret";
        let is_delivered = selector.and_then(|selector| selector.strip_suffix("=true")) == Some(MANAGED_LABEL);
        if is_secret && !is_delivered { Self::Metadata } else { Self::Full }
    }

    fn accept_object(self) -> &'static str {
        match self {
            Self::Full => JSON,
            Self::Metadata => "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1",
        }
    }

    fn accept_list(self) -> &'static str {
        match self {
            Self::Full => JSON,
            Self::Metadata => "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1",
        }
    }
}

const JSON: &str = "application/json";

struct Payload {
    content_type: &'static str,
    json: Value,
}

fn request(
    method: Method,
    path: &str,
    actor: &Actor,
    accept: &str,
    payload: Option<Payload>,
) -> Result<Request<Body>, ApiError> {
    let mut builder = Request::builder().method(method).uri(path).header(ACCEPT, accept);
    if let Some(user) = actor.user() {
        // Without group headers the server adds the ServiceAccount's own groups; with them it would want the right to
        // impersonate groups as well.
        builder = builder.header(HeaderName::from_static("impersonate-user"), user);
    }
    let body = match payload {
        None => Body::empty(),
        Some(payload) => {
            builder = builder.header(CONTENT_TYPE, HeaderValue::from_static(payload.content_type));
            Body::from(payload.json.to_string().into_bytes())
        }
    };
    builder
        .body(body)
        .map_err(|error| ApiError::Refused { code: 400, message: format!("bad request `{path}`: {error}") })
}

/// Gives an object its `apiVersion` and `kind`, which lists and partial metadata leave out or rename.
pub(crate) fn object_of(kind: &Kind, mut value: Value) -> Result<Object, ApiError> {
    if let Some(map) = value.as_object_mut() {
        map.insert("apiVersion".to_owned(), kind.api_version().into());
        map.insert("kind".to_owned(), kind.kind.clone().into());
    }
    Object::from_json(value).map_err(|error| ApiError::Unavailable { message: format!("bad answer: {error}") })
}

/// `/apis/apps/v1/namespaces/qa/deployments`; without the namespace part when it is empty.
pub(crate) fn collection_path(kind: &Kind, namespace: &str) -> String {
    let root = if kind.group.is_empty() {
        format!("/api/{}", kind.version)
    } else {
        format!("/apis/{}/{}", kind.group, kind.version)
    };
    match kind.scope {
        Scope::Namespaced if !namespace.is_empty() => {
            format!("{root}/namespaces/{}/{}", percent(namespace), kind.plural)
        }
        _ => format!("{root}/{}", kind.plural),
    }
}

fn object_path(target: &ObjectRef) -> String {
    let namespace = target.namespace.as_deref().unwrap_or_default();
    format!("{}/{}", collection_path(&target.kind, namespace), percent(&target.name))
}

fn append_selector(query: &mut String, label_selector: Option<&str>) {
    if let Some(selector) = label_selector {
        query.push_str(&format!("&labelSelector={}", percent(selector)));
    }
}

/// Percent-encodes everything that is not unreserved.
pub(crate) fn percent(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_follow_group_and_scope() {
        let service = Kind::namespaced("", "v1", "Service", "services");
        let rollout = Kind::namespaced("argoproj.io", "v1alpha1", "Rollout", "rollouts");
        let namespace = Kind::cluster("", "v1", "Namespace", "namespaces");
        for (kind, within, path) in [
            (&service, "qa", "/api/v1/namespaces/qa/services"),
            (&service, "", "/api/v1/services"),
            (&rollout, "qa", "/apis/argoproj.io/v1alpha1/namespaces/qa/rollouts"),
            (&namespace, "qa", "/api/v1/namespaces"),
        ] {
            assert_eq!(collection_path(kind, within), path);
        }
    }

    #[test]
    fn case_44_a_merge_patch_carries_the_life_and_version_that_were_seen() {
        let precondition =
            Precondition { uid: Some(object_model::Uid::new("u1")), resource_version: Some("7".to_owned()) };
        let patch = Patch::merge(json!({"status": {"phase": "Healthy"}}), &precondition);
        assert_eq!(
            patch.body,
            json!({"status": {"phase": "Healthy"}, "metadata": {"uid": "u1", "resourceVersion": "7"}})
        );
        let patch = Patch::json(json!([{"op": "remove", "path": "/spec/a"}]), &precondition);
        assert_eq!(patch.body.as_array().map(Vec::len), Some(3));
        assert_eq!(patch.body[0]["op"], "test");
    }
}
