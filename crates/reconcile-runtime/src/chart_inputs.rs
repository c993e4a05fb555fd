//! What a render needs of the cluster, read as the config's ServiceAccount: objects with values, answers to `lookup`, and
//! what the cluster serves. Everything is bounded, and nothing of a Secret is in a message.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use api::{ValuesKind, ValuesReference};
use base64::Engine;
use manifest_render::ValuesLayer;
use manifest_render::helm::{LookupAnswer, LookupQuery};
use object_model::{Masks, Object};
use reconcile_core::{Actor, Kind, ObjectRef, Scope, kinds};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::api::{ApiClient, ApiError, Detail, collection_path};
use crate::discovery::kinds_of;

/// Most objects of a list that a chart looks up.
const LIST_OBJECTS_MAX: usize = 5_000;
/// Most API versions whose resources are asked for one by one.
const VERSIONS_MAX: usize = 200;

/// What the cluster could not give.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct InputFailure {
    pub(crate) reason: &'static str,
    pub(crate) message: String,
}

fn failed<T>(reason: &'static str, message: String) -> Result<T, InputFailure> {
    Err(InputFailure { reason, message })
}

/// The values of objects.
#[derive(Debug, Clone, Default)]
pub(crate) struct ObjectValues {
    pub(crate) layers: Vec<ValuesLayer>,
    pub(crate) versions: BTreeMap<(ValuesKind, String), Option<String>>,
    /// Documents and texts that Secrets gave.
    secrets: Vec<Value>,
}

impl ObjectValues {
    /// Changes with every value.
    pub(crate) fn digest(&self) -> String {
        let mut digest = Sha256::new();
        for layer in &self.layers {
            for part in [&layer.name, &layer.path, &layer.text] {
                digest.update(part.len().to_le_bytes());
                digest.update(part);
            }
        }
        hex(&digest.finalize())
    }
}

/// The first half of a digest, which is enough to tell inputs apart.
fn hex(digest: &[u8]) -> String {
    digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

/// Reads the objects that `spec.render.valuesFrom` names.
pub(crate) async fn object_values(
    api: &ApiClient,
    actor: &Actor,
    namespace: &str,
    references: &[ValuesReference],
) -> Result<ObjectValues, InputFailure> {
    let mut objects: BTreeMap<(ValuesKind, String), Option<Object>> = BTreeMap::new();
    let mut values = ObjectValues::default();
    for reference in references {
        let place = (reference.kind, reference.name.clone());
        if !objects.contains_key(&place) {
            objects.insert(place.clone(), read(api, actor, namespace, reference).await?);
        }
        let object = objects.get(&place).and_then(Option::as_ref);
        let version = object.and_then(Object::resource_version).map(str::to_owned);
        values.versions.insert(place, version);
        values.take(namespace, reference, object)?;
    }
    Ok(values)
}

async fn read(
    api: &ApiClient,
    actor: &Actor,
    namespace: &str,
    reference: &ValuesReference,
) -> Result<Option<Object>, InputFailure> {
    let kind = match reference.kind {
        ValuesKind::ConfigMap => kinds::config_map(),
        ValuesKind::Secret => kinds::secret(),
    };
    let target = ObjectRef { kind, namespace: Some(namespace.to_owned()), name: reference.name.clone() };
    match api.get(actor, &target, Detail::Full).await {
        Ok(object) => Ok(object),
        Err(error) => {
            failed("ValuesUnreadable", format!("{} could not be read: {error}", name_of(namespace, reference)))
        }
    }
}

fn name_of(namespace: &str, reference: &ValuesReference) -> String {
    format!("{} {namespace}/{}", reference.kind.name(), reference.name)
}

impl ObjectValues {
    fn take(
        &mut self,
        namespace: &str,
        reference: &ValuesReference,
        object: Option<&Object>,
    ) -> Result<(), InputFailure> {
        let name = name_of(namespace, reference);
        let Some(object) = object else {
            if reference.optional {
                return Ok(());
            }
            return failed("ValuesMissing", format!("{name} with values does not exist"));
        };
        let Some(text) = content(object, reference) else {
            if reference.optional {
                return Ok(());
            }
            return failed("ValuesMissing", format!("{name} has no text under the key `{}`", reference.key));
        };
        let layer = ValuesLayer {
            name: format!("{name}, key `{}`,", reference.key),
            text,
            path: reference.target_path.clone(),
        };
        if reference.kind == ValuesKind::Secret {
            let mut values = Map::new();
            // What does not read as a document is refused later; as a whole it is a secret all the same.
            let _ = layer.put_over(&mut values);
            self.secrets.push(Value::Object(values));
            self.secrets.push(Value::from(layer.text.clone()));
        }
        self.layers.push(layer);
        Ok(())
    }
}

fn content(object: &Object, reference: &ValuesReference) -> Option<String> {
    let data = |field: &str| object.pointer(field)?.as_object()?.get(&reference.key)?.as_str();
    match reference.kind {
        ValuesKind::ConfigMap => data("/data").map(str::to_owned),
        ValuesKind::Secret => decode(data("/data")?),
    }
}

fn decode(text: &str) -> Option<String> {
    String::from_utf8(base64::engine::general_purpose::STANDARD.decode(text).ok()?).ok()
}

/// What the cluster serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ClusterFacts {
    /// Version of Kubernetes.
    pub(crate) version: String,
    /// Groups with versions, and kinds below them, in the form of `.Capabilities.APIVersions`.
    pub(crate) served: Arc<Vec<String>>,
}

impl ClusterFacts {
    pub(crate) fn digest(&self) -> String {
        let mut digest = Sha256::new();
        digest.update(&self.version);
        for version in self.served.iter() {
            digest.update([0]);
            digest.update(version);
        }
        hex(&digest.finalize())
    }
}

const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json";

/// Asks for the version and for everything that is served: in two requests where the server can answer so.
pub(crate) async fn cluster_facts(api: &ApiClient, actor: &Actor) -> Result<ClusterFacts, InputFailure> {
    let unreadable = |error: ApiError| InputFailure {
        reason: "ClusterUnreadable",
        message: format!("what the cluster serves could not be read: {error}"),
    };
    let version = api.read(actor, "/version", "application/json").await.map_err(unreadable)?;
    let version = version.get("gitVersion").and_then(Value::as_str).unwrap_or_default().to_owned();
    let mut served = BTreeSet::new();
    for root in ["/api", "/apis"] {
        let list = api.read(actor, root, AGGREGATED).await.map_err(unreadable)?;
        if list.get("kind").and_then(Value::as_str) == Some("APIGroupDiscoveryList") {
            aggregated(&list, &mut served);
            continue;
        }
        for version in versions(&list).into_iter().take(VERSIONS_MAX) {
            let path = format!("{root}/{}", version.split('/').map(crate::api::percent).collect::<Vec<_>>().join("/"));
            // A group whose own server is down has no kinds now, which is what Helm would see.
            let list = api.read(actor, &path, "application/json").await.unwrap_or_default();
            let (group, short) = version.split_once('/').unwrap_or(("", &version));
            served.extend(kinds_of(&list, group, short).into_iter().map(|kind| format!("{version}/{}", kind.kind)));
            served.insert(version);
        }
    }
    Ok(ClusterFacts { version, served: Arc::new(served.into_iter().collect()) })
}

/// Groups with versions out of the aggregated form, and the kinds of their resources.
fn aggregated(list: &Value, served: &mut BTreeSet<String>) {
    let items = |value: &Value, field: &str| value.get(field).and_then(Value::as_array).cloned().unwrap_or_default();
    for group in items(list, "items") {
        let name = group.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default().to_owned();
        for version in items(&group, "versions") {
            let short = version.get("version").and_then(Value::as_str).unwrap_or_default();
            let full = if name.is_empty() { short.to_owned() } else { format!("{name}/{short}") };
            for resource in items(&version, "resources") {
                if let Some(kind) = resource.pointer("/responseKind/kind").and_then(Value::as_str) {
                    served.insert(format!("{full}/{kind}"));
                }
            }
            served.insert(full);
        }
    }
}

/// The API versions out of the old form of `/api` and `/apis`.
fn versions(list: &Value) -> Vec<String> {
    let core = list.get("versions").and_then(Value::as_array).into_iter().flatten();
    let groups = list.get("groups").and_then(Value::as_array).into_iter().flatten();
    let of_groups = groups.filter_map(|group| group.get("versions")?.as_array()).flatten();
    let of_groups = of_groups.filter_map(|version| version.get("groupVersion")?.as_str());
    core.filter_map(Value::as_str).chain(of_groups).map(str::to_owned).collect()
}

/// Looks one thing up. What is not there is an empty mapping; a refusal is told to the template, as Helm tells it; a
/// server that does not answer ends the render.
pub(crate) async fn look_up(api: &ApiClient, actor: &Actor, query: &LookupQuery) -> Result<LookupAnswer, InputFailure> {
    let nothing = || Ok(Ok(Value::Object(Map::new())));
    let kind = match kind_of(api, actor, query).await? {
        Ok(kind) => kind,
        Err(message) => return Ok(Err(message)),
    };
    let namespace = match kind.scope {
        Scope::Namespaced => query.namespace.as_str(),
        Scope::Cluster => "",
    };
    let mut path = collection_path(&kind, namespace);
    if !query.name.is_empty() {
        path.push_str(&format!("/{}", crate::api::percent(&query.name)));
        return match api.read(actor, &path, "application/json").await {
            Ok(mut object) => {
                tidy(&mut object);
                Ok(Ok(object))
            }
            Err(ApiError::NotFound { .. }) => nothing(),
            Err(error) => refused(query, error),
        };
    }
    match api.read(actor, &format!("{path}?limit={LIST_OBJECTS_MAX}"), "application/json").await {
        Ok(mut list) => {
            let has_more = list.pointer("/metadata/continue").and_then(Value::as_str).is_some_and(|it| !it.is_empty());
            if has_more {
                return Ok(Err(format!("there are more than {LIST_OBJECTS_MAX} objects of kind {}", query.kind)));
            }
            if let Some(items) = list.get_mut("items").and_then(Value::as_array_mut) {
                items.iter_mut().for_each(tidy);
            }
            Ok(Ok(list))
        }
        Err(ApiError::NotFound { .. }) => nothing(),
        Err(error) => refused(query, error),
    }
}

/// Who wrote which field is no business of a chart, and the larger half of many objects.
fn tidy(object: &mut Value) {
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("managedFields");
    }
}

fn refused(query: &LookupQuery, error: ApiError) -> Result<LookupAnswer, InputFailure> {
    match error {
        ApiError::Unavailable { message } | ApiError::Expired { message } => {
            failed("LookupFailed", format!("looking up {} {} failed: {message}", query.kind, query.name))
        }
        ApiError::NotFound { message }
        | ApiError::AlreadyExists { message }
        | ApiError::Conflict { message }
        | ApiError::Refused { message, .. } => Ok(Err(message)),
    }
}

async fn kind_of(api: &ApiClient, actor: &Actor, query: &LookupQuery) -> Result<Result<Kind, String>, InputFailure> {
    let (group, version) = query.api_version.split_once('/').unwrap_or(("", &query.api_version));
    let percent = crate::api::percent;
    let path = match group {
        "" => format!("/api/{}", percent(version)),
        group => format!("/apis/{}/{}", percent(group), percent(version)),
    };
    let unable = |why: &str| {
        let kind = format!("{}, Kind={}", query.api_version, query.kind);
        Ok(Err(format!("unable to get apiresource from unstructured: {kind}: {why}")))
    };
    match api.read(actor, &path, "application/json").await {
        Ok(list) => match kinds_of(&list, group, version).into_iter().find(|kind| kind.kind == query.kind) {
            Some(kind) => Ok(Ok(kind)),
            // Helm asks for a resource without a name then, which is not there.
            None => unable("the server could not find the requested resource"),
        },
        Err(ApiError::NotFound { .. }) => unable("the server could not find the requested resource"),
        Err(error) => match refused(query, error)? {
            Err(message) => unable(&message),
            Ok(_) => unable("the server gave no list of resources"),
        },
    }
}

/// Changes with the answer.
pub(crate) fn digest_of(answer: &LookupAnswer) -> String {
    let mut digest = Sha256::new();
    match answer {
        Ok(value) => digest.update(value.to_string()),
        Err(message) => {
            digest.update([0]);
            digest.update(message);
        }
    }
    hex(&digest.finalize())
}

/// Masks what Secrets gave: values, and what was looked up.
pub(crate) fn masks(values: &ObjectValues, lookups: &BTreeMap<LookupQuery, LookupAnswer>) -> Masks {
    let mut secrets = values.secrets.clone();
    for (query, answer) in lookups {
        let Ok(answer) = answer else { continue };
        if query.kind != "Secret" || query.api_version != "v1" {
            continue;
        }
        let items = answer.get("items").and_then(Value::as_array);
        for object in items.map_or(std::slice::from_ref(answer), Vec::as_slice) {
            for value in object.get("data").and_then(Value::as_object).into_iter().flat_map(Map::values) {
                secrets.extend(value.as_str().and_then(decode).map(Value::from));
                secrets.push(value.clone());
            }
        }
    }
    Masks::of_values(&secrets)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn both_forms_of_discovery_say_the_same() {
        let mut served = BTreeSet::new();
        let list = json!({"kind": "APIGroupDiscoveryList", "items": [{"metadata": {"name": "apps"}, "versions": [
            {"version": "v1", "resources": [{"resource": "deployments", "responseKind": {"kind": "Deployment"}}]},
        ]}]});
        aggregated(&list, &mut served);
        assert_eq!(served.into_iter().collect::<Vec<_>>(), ["apps/v1", "apps/v1/Deployment"]);
        let groups = json!({"groups": [{"name": "apps", "versions": [{"groupVersion": "apps/v1"}]}]});
        assert_eq!(versions(&groups), ["apps/v1"]);
        assert_eq!(versions(&json!({"kind": "APIVersions", "versions": ["v1"]})), ["v1"]);
    }

    #[test]
    fn case_27_what_a_chart_looks_up_in_a_secret_is_masked_decoded_and_encoded() {
        let query = LookupQuery {
            api_version: "v1".to_owned(),
            kind: "Secret".to_owned(),
            namespace: "qa".to_owned(),
            name: "db".to_owned(),
        };
        let answer = Ok(json!({"kind": "Secret", "data": {"password": "aHVudGVyMg=="}}));
        let masks = masks(&ObjectValues::default(), &BTreeMap::from([(query, answer)]));
        assert_eq!(masks.mask("hunter2 is aHVudGVyMg=="), "[redacted] is [redacted]");
    }
}
