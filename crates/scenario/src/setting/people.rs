//! What people do with a cluster: apply manifests, look, wait.

use std::time::Duration;

use http::Request;
use object_model::Object;
use serde_json::Value;

/// What went wrong with a person's request.
#[derive(Debug, thiserror::Error)]
pub enum PeopleError {
    /// A manifest can't be read.
    #[error("manifest: {0}")]
    Manifest(String),
    /// The cluster serves no such kind.
    #[error("the cluster serves no kind {0}")]
    UnknownKind(String),
    /// The cluster refused or did not answer.
    #[error("{what}: {message}")]
    Request {
        /// What was asked.
        what: String,
        /// The answer.
        message: String,
    },
    /// Something did not come true in time.
    #[error("after {waited:?} still not so: {what}")]
    TimedOut {
        /// What was waited for.
        what: String,
        /// How long.
        waited: Duration,
    },
}

/// Parses YAML documents to objects.
///
/// # Errors
/// When the text is no YAML or a document is no object.
pub fn parse_documents(text: &str) -> Result<Vec<Object>, PeopleError> {
    let documents = yaml::parse(text).map_err(|problems| {
        let list: Vec<String> = problems.iter().map(ToString::to_string).collect();
        PeopleError::Manifest(list.join("; "))
    })?;
    let values = documents.into_iter().map(|document| document.value).filter(|value| !value.is_null());
    values.map(|value| Object::parse(value).map_err(|error| PeopleError::Manifest(error.to_string()))).collect()
}

/// Applies manifests server-side as `kubectl apply --server-side` does.
///
/// # Errors
/// At the first object that is refused.
pub async fn apply_documents(client: &kube::Client, text: &str) -> Result<(), PeopleError> {
    for object in parse_documents(text)? {
        apply(client, &object).await?;
    }
    Ok(())
}

/// Applies one object server-side.
///
/// # Errors
/// When it is refused.
pub async fn apply(client: &kube::Client, object: &Object) -> Result<(), PeopleError> {
    apply_as(client, object, "people").await
}

/// Applies one object server-side under the name of a field manager.
///
/// # Errors
/// When it is refused.
pub async fn apply_as(client: &kube::Client, object: &Object, manager: &str) -> Result<(), PeopleError> {
    let path =
        resource_path(client, object.api_version(), object.kind(), object.namespace().unwrap_or("default")).await?;
    let uri = format!("{path}/{}?fieldManager={manager}&force=true", object.name());
    let request = Request::patch(uri).header("content-type", "application/apply-patch+yaml");
    let body = object.to_json().to_string().into_bytes();
    send(client, request.body(body), &format!("apply {}", object.id())).await.map(|_| ())
}

/// Sends a merge patch.
///
/// # Errors
/// When it is refused.
pub async fn merge(
    client: &kube::Client,
    api_version: &str,
    kind: &str,
    namespace: &str,
    name: &str,
    suffix: &str,
    patch: &Value,
) -> Result<(), PeopleError> {
    let path = resource_path(client, api_version, kind, namespace).await?;
    let request =
        Request::patch(format!("{path}/{name}{suffix}")).header("content-type", "application/merge-patch+json");
    send(client, request.body(patch.to_string().into_bytes()), &format!("patch {kind} {name}")).await.map(|_| ())
}

/// Deletes an object.
///
/// # Errors
/// When it is refused.
pub async fn delete(
    client: &kube::Client,
    api_version: &str,
    kind: &str,
    namespace: &str,
    name: &str,
) -> Result<(), PeopleError> {
    let path = resource_path(client, api_version, kind, namespace).await?;
    send(client, Request::delete(format!("{path}/{name}")).body(Vec::new()), &format!("delete {kind} {name}"))
        .await
        .map(|_| ())
}

/// Deletes all objects of a kind in a namespace without a grace period.
///
/// # Errors
/// When it is refused.
pub async fn delete_all(
    client: &kube::Client,
    api_version: &str,
    kind: &str,
    namespace: &str,
) -> Result<(), PeopleError> {
    let path = resource_path(client, api_version, kind, namespace).await?;
    let request = Request::delete(format!("{path}?gracePeriodSeconds=0")).body(Vec::new());
    send(client, request, &format!("delete every {kind}")).await.map(|_| ())
}

/// Reads one object; `None` when there is none.
///
/// # Errors
/// When the cluster does not answer.
pub async fn get(
    client: &kube::Client,
    api_version: &str,
    kind: &str,
    namespace: &str,
    name: &str,
) -> Result<Option<Object>, PeopleError> {
    let path = match resource_path(client, api_version, kind, namespace).await {
        Ok(path) => path,
        Err(PeopleError::UnknownKind(_)) => return Ok(None),
        Err(error) => return Err(error),
    };
    match send(client, Request::get(format!("{path}/{name}")).body(Vec::new()), &format!("get {kind} {name}")).await {
        Ok(value) => Ok(Object::from_json(value).ok()),
        Err(PeopleError::Request { message, .. }) if is_absent(&message) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Lists the objects of a kind, of all namespaces when `namespace` is empty.
///
/// # Errors
/// When the kind is not served or the cluster does not answer.
pub async fn list(
    client: &kube::Client,
    api_version: &str,
    kind: &str,
    namespace: &str,
) -> Result<Vec<Object>, PeopleError> {
    let path = resource_path(client, api_version, kind, namespace).await?;
    let value = send(client, Request::get(path).body(Vec::new()), &format!("list {kind}")).await?;
    let items = value.get("items").and_then(Value::as_array).cloned().unwrap_or_default();
    let with_type = |item: Value| {
        let mut object = Object::from_json(item).ok()?;
        object.set_at(&["apiVersion"], api_version.into());
        object.set_at(&["kind"], kind.into());
        Some(object)
    };
    Ok(items.into_iter().filter_map(with_type).collect())
}

/// Waits until `holds` of the object, looking twice a second.
///
/// # Errors
/// When it does not come true within `limit`.
pub async fn wait_for(
    client: &kube::Client,
    reference: (&str, &str, &str, &str),
    what: &str,
    limit: Duration,
    holds: impl Fn(&Object) -> bool,
) -> Result<Object, PeopleError> {
    let (api_version, kind, namespace, name) = reference;
    let begun = tokio::time::Instant::now();
    loop {
        if let Some(object) = get(client, api_version, kind, namespace, name).await?
            && holds(&object)
        {
            return Ok(object);
        }
        if begun.elapsed() >= limit {
            return Err(PeopleError::TimedOut { what: what.to_owned(), waited: limit });
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}

/// Waits until the cluster serves the kinds of a definition, which it does a moment after it has established it.
///
/// # Errors
/// When it does not within `limit`.
pub async fn wait_until_served(client: &kube::Client, definition: &Object, limit: Duration) -> Result<(), PeopleError> {
    let text = |pointer: &str| definition.str_at(pointer).unwrap_or_default().to_owned();
    let (group, kind) = (text("/spec/group"), text("/spec/names/kind"));
    let begun = tokio::time::Instant::now();
    for version in definition.list_at("/spec/versions") {
        if version.get("served") != Some(&Value::Bool(true)) {
            continue;
        }
        let api_version = format!("{group}/{}", version.get("name").and_then(Value::as_str).unwrap_or_default());
        while list(client, &api_version, &kind, "").await.is_err() {
            if begun.elapsed() >= limit {
                let what = format!("the cluster serves {api_version} {kind}");
                return Err(PeopleError::TimedOut { what, waited: limit });
            }
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
    }
    Ok(())
}

/// Whether objects of a kind live in namespaces; `None` when the cluster serves no such kind.
///
/// # Errors
/// When the cluster does not answer.
pub async fn is_namespaced(client: &kube::Client, api_version: &str, kind: &str) -> Result<Option<bool>, PeopleError> {
    match resource_path(client, api_version, kind, "any").await {
        Ok(path) => Ok(Some(path.contains("/namespaces/any/"))),
        Err(PeopleError::UnknownKind(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Finds the path of a kind by asking the cluster.
async fn resource_path(
    client: &kube::Client,
    api_version: &str,
    kind: &str,
    namespace: &str,
) -> Result<String, PeopleError> {
    let base = if api_version.contains('/') { format!("/apis/{api_version}") } else { format!("/api/{api_version}") };
    let unknown = || PeopleError::UnknownKind(format!("{api_version}/{kind}"));
    let found = match send(client, Request::get(&base).body(Vec::new()), &base).await {
        Ok(found) => found,
        Err(PeopleError::Request { message, .. }) if is_absent(&message) => return Err(unknown()),
        Err(error) => return Err(error),
    };
    let resources = found.get("resources").and_then(Value::as_array).cloned().unwrap_or_default();
    let text = |item: &Value, key: &str| item.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let resource = resources
        .iter()
        .find(|item| text(item, "kind") == kind && !text(item, "name").contains('/'))
        .ok_or_else(unknown)?;
    let plural = text(resource, "name");
    let namespaced = resource.get("namespaced").and_then(Value::as_bool).unwrap_or(false);
    Ok(if namespaced && !namespace.is_empty() {
        format!("{base}/namespaces/{namespace}/{plural}")
    } else {
        format!("{base}/{plural}")
    })
}

/// Whether the cluster answered that there is no such thing, in the words for objects, for paths and for kinds.
fn is_absent(message: &str) -> bool {
    message.contains("not found") || message.contains("could not find the requested resource")
}

async fn send(
    client: &kube::Client,
    request: Result<Request<Vec<u8>>, http::Error>,
    what: &str,
) -> Result<Value, PeopleError> {
    let fail = |message: String| PeopleError::Request { what: what.to_owned(), message };
    let request = request.map_err(|error| fail(error.to_string()))?;
    client.request::<Value>(request).await.map_err(|error| fail(error.to_string()))
}
