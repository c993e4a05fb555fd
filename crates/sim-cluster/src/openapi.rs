//! OpenAPI documents: an index and one document for each group and version, and one of the older form for all.
//!
//! The schemas of the built-in kinds are the API server's own (`data/generate/schemas`), unpacked when somebody asks.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;

use bytes::Bytes;
use serde_json::{Map, Value, json};

use crate::cluster::Cluster;
use crate::error::ApiError;
use crate::resource::ResourceType;
use crate::types;

const SCHEMAS: &str = "#/components/schemas/";

impl Cluster {
    /// `/openapi/v3`.
    pub(crate) fn openapi_index(&self) -> Value {
        let mut paths = Map::new();
        for resource in self.registry.in_order() {
            let path = path_of(&resource.group, &resource.version);
            if paths.contains_key(&path) {
                continue;
            }
            let hash = self.openapi_hash(&resource.group, &resource.version);
            paths.insert(path.clone(), json!({"serverRelativeURL": format!("/openapi/v3/{path}?hash={hash}")}));
        }
        json!({"paths": paths})
    }

    /// A hash that changes when the document does (FNV-1a over the schemas of custom kinds and the names of all).
    fn openapi_hash(&self, group: &str, version: &str) -> String {
        let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
        let mut feed = |text: &str| {
            for byte in text.bytes() {
                hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
            }
        };
        for resource in self.registry.in_order() {
            if resource.group == group && resource.version == version {
                feed(&resource.plural);
                if let Some(custom) = &resource.custom {
                    feed(&custom.schema.to_string());
                }
            }
        }
        format!("{hash:016X}")
    }

    /// `/openapi/v3/api/v1` or `/openapi/v3/apis/GROUP/VERSION`.
    pub(crate) fn openapi_document(&self, group: &str, version: &str) -> Result<Bytes, ApiError> {
        if !self.registry.has_group_version(group, version) {
            return Err(ApiError::unknown_path());
        }
        let published = Published::unpack();
        let mut paths = Map::new();
        let mut own = BTreeMap::new();
        let mut roots = BTreeSet::from(COMMON.map(str::to_owned));
        for resource in self.registry.in_order() {
            if resource.group != group || resource.version != version {
                continue;
            }
            let name = schema_name(&resource);
            match &resource.custom {
                Some(custom) => {
                    own.insert(name.clone(), custom_schema(custom.schema.clone(), &resource, &published).to_string());
                }
                None => {
                    roots.extend([name.clone(), format!("{name}List")]);
                    roots.extend(subresource_schemas(&resource));
                }
            }
            add_paths(&mut paths, &resource, &name);
        }
        let mut out = format!(
            "{{\"openapi\":\"3.0.0\",\"info\":{{\"title\":\"Kubernetes\",\"version\":\"v1.35.4\"}},\"paths\":{},\"components\":{{\"schemas\":{{",
            Value::Object(paths)
        );
        let built_in = published.with_all_they_name(roots);
        let own = own.iter().map(|(name, schema)| (name.as_str(), schema.as_str()));
        for (index, (name, schema)) in built_in.into_iter().chain(own).enumerate() {
            let comma = if index > 0 { "," } else { "" };
            out.push_str(&format!("{comma}{}:{schema}", Value::from(name)));
        }
        out.push_str("}}}");
        Ok(Bytes::from(out))
    }

    /// `/openapi/v2`: all groups in one document of the older form.
    pub(crate) fn openapi_two(&self) -> Value {
        let published = Published::unpack();
        let mut paths = Map::new();
        let mut definitions = Map::new();
        for (name, schema) in published.all() {
            if let Ok(mut schema) = serde_json::from_str(schema) {
                to_older(&mut schema);
                definitions.insert(name.to_owned(), schema);
            }
        }
        for resource in self.registry.in_order() {
            let name = schema_name(&resource);
            if let Some(custom) = &resource.custom {
                let mut schema = custom_schema(custom.schema.clone(), &resource, &published);
                to_older(&mut schema);
                definitions.insert(name.clone(), schema);
            }
            let mut added = Map::new();
            add_paths(&mut added, &resource, &name);
            for path in added.values_mut() {
                path_to_older(path);
            }
            paths.append(&mut added);
        }
        json!({
            "swagger": "2.0", "info": {"title": "Kubernetes", "version": "v1.35.4"},
            "paths": paths, "definitions": definitions,
        })
    }
}

/// Schemas that every group names.
const COMMON: [&str; 2] =
    ["io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions", "io.k8s.apimachinery.pkg.apis.meta.v1.Status"];

fn subresource_schemas(resource: &ResourceType) -> Vec<String> {
    let name = |subresource: &String| match subresource.as_str() {
        "scale" => Some("io.k8s.api.autoscaling.v1.Scale"),
        "eviction" => Some("io.k8s.api.policy.v1.Eviction"),
        "token" => Some("io.k8s.api.authentication.v1.TokenRequest"),
        _ => None,
    };
    resource.subresources.iter().filter_map(name).map(str::to_owned).collect()
}

/// The schemas that the API server publishes for the built-in kinds, as it words them.
struct Published {
    text: String,
}

impl Published {
    fn unpack() -> Self {
        let mut text = String::new();
        // The data is part of the program; were it broken, the built-in kinds would be missing.
        let _ = flate2::read::GzDecoder::new(include_bytes!("../data/schemas.gz").as_slice()).read_to_string(&mut text);
        Self { text }
    }

    fn all(&self) -> BTreeMap<&str, &str> {
        self.text.lines().filter_map(|line| line.split_once('\t')).collect()
    }

    /// The named schemas and all that they refer to.
    fn with_all_they_name(&self, roots: BTreeSet<String>) -> BTreeMap<&str, &str> {
        let all = self.all();
        let mut wanted: Vec<&str> =
            roots.iter().filter_map(|root| all.get_key_value(root.as_str())).map(|(name, _)| *name).collect();
        let mut found = BTreeMap::new();
        while let Some(name) = wanted.pop() {
            let Some(schema) = all.get(name).filter(|_| !found.contains_key(name)) else { continue };
            found.insert(name, *schema);
            wanted.extend(schema.split(SCHEMAS).skip(1).filter_map(|rest| rest.split('"').next()));
        }
        found
    }
}

/// Turns a schema into the form of version 2: one reference is no list, and references lead elsewhere.
fn to_older(schema: &mut Value) {
    match schema {
        Value::Array(list) => list.iter_mut().for_each(to_older),
        Value::Object(fields) => {
            let only = fields.get("allOf").and_then(|list| list.get(0)?.get("$ref")?.as_str()).map(str::to_owned);
            if let Some(reference) = only {
                fields.remove("allOf");
                fields.insert("$ref".to_owned(), reference.into());
            }
            if fields.get("format").and_then(Value::as_str) == Some("int-or-string") {
                fields.remove("oneOf");
                fields.insert("type".to_owned(), "string".into());
            }
            if let Some(Value::String(reference)) = fields.get_mut("$ref") {
                *reference = reference.replace(SCHEMAS, "#/definitions/");
            }
            fields.values_mut().for_each(to_older);
        }
        _ => {}
    }
}

/// In version 2 the body is a parameter, and a parameter has its type beside its name.
fn path_to_older(path: &mut Value) {
    for operation in path.as_object_mut().into_iter().flat_map(Map::values_mut) {
        let Some(fields) = operation.as_object_mut() else { continue };
        let body = fields.remove("requestBody").and_then(|body| body.pointer("/content/*~1*/schema").cloned());
        let parameters = fields.entry("parameters").or_insert_with(|| json!([]));
        for parameter in parameters.as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut) {
            if let Some(Value::Object(schema)) = parameter.remove("schema") {
                parameter.extend(schema);
            }
        }
        if let (Some(schema), Some(list)) = (body, parameters.as_array_mut()) {
            list.push(json!({"name": "body", "in": "body", "required": true, "schema": schema}));
        }
        for answer in fields.get_mut("responses").and_then(Value::as_object_mut).into_iter().flat_map(Map::values_mut) {
            if let Some(fields) = answer.as_object_mut() {
                let schema = fields.remove("content").and_then(|it| it.pointer("/application~1json/schema").cloned());
                fields.extend(schema.map(|schema| ("schema".to_owned(), schema)));
            }
        }
        to_older(operation);
    }
}

fn path_of(group: &str, version: &str) -> String {
    if group.is_empty() { format!("api/{version}") } else { format!("apis/{group}/{version}") }
}

fn schema_name(resource: &ResourceType) -> String {
    if resource.custom.is_none()
        && let Some(def) = types::of_kind(&resource.api_version(), &resource.kind).and_then(|id| types::table().get(id))
    {
        return def.name.clone();
    }
    let reversed: Vec<&str> = resource.group.split('.').rev().collect();
    format!("{}.{}.{}", reversed.join("."), resource.version, resource.kind)
}

/// A custom kind's schema with what every object has, described as it is for the built-in kinds.
fn custom_schema(mut schema: Value, resource: &ResourceType, published: &Published) -> Value {
    let model = published.all().get("io.k8s.api.core.v1.ConfigMap").and_then(|text| serde_json::from_str(text).ok());
    let model: Value = model.unwrap_or_default();
    let Some(fields) = schema.as_object_mut() else { return schema };
    let kind = json!([{"group": resource.group, "version": resource.version, "kind": resource.kind}]);
    fields.insert("x-kubernetes-group-version-kind".to_owned(), kind);
    let properties = fields.entry("properties").or_insert_with(|| json!({}));
    let Some(properties) = properties.as_object_mut() else { return schema };
    for name in ["apiVersion", "kind"] {
        let described = model.pointer(&format!("/properties/{name}")).cloned();
        properties.insert(name.to_owned(), described.unwrap_or_else(|| json!({"type": "string"})));
    }
    let meta = format!("{SCHEMAS}io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta");
    let description = model.pointer("/properties/metadata/description").cloned().unwrap_or_default();
    properties.insert("metadata".to_owned(), json!({"allOf": [{"$ref": meta}], "description": description}));
    schema
}

fn parameter(name: &str, kind: &str) -> Value {
    json!({"name": name, "in": "query", "schema": {"type": kind, "uniqueItems": true}})
}

fn add_paths(paths: &mut Map<String, Value>, resource: &ResourceType, name: &str) {
    let scope = if resource.namespaced { "namespaces/{namespace}/" } else { "" };
    let base = format!("/{}/{scope}{}", path_of(&resource.group, &resource.version), resource.plural);
    let kind = json!({"group": resource.group, "version": resource.version, "kind": resource.kind});
    let reference = json!({"$ref": format!("{SCHEMAS}{name}")});
    let answer = json!({"200": {"description": "OK", "content": {"application/json": {"schema": reference}}}});
    let body = json!({"content": {"*/*": {"schema": reference}}});
    let write = json!([
        parameter("dryRun", "string"),
        parameter("fieldManager", "string"),
        parameter("fieldValidation", "string"),
    ]);
    let operation = |action: &str, extra: Value| {
        let mut value =
            json!({"x-kubernetes-action": action, "x-kubernetes-group-version-kind": kind, "responses": answer});
        if let (Some(fields), Some(extra)) = (value.as_object_mut(), extra.as_object()) {
            fields.extend(extra.clone());
        }
        value
    };
    let post = operation("post", json!({"parameters": write, "requestBody": body}));
    if !resource.is_stored {
        paths.insert(base, json!({"post": post}));
        return;
    }
    paths.insert(base.clone(), json!({"get": operation("list", json!({})), "post": post}));
    let mut patched = write.clone();
    if let Some(list) = patched.as_array_mut() {
        list.push(parameter("force", "boolean"));
    }
    let single = json!({
        "get": operation("get", json!({})),
        "put": operation("put", json!({"parameters": write, "requestBody": body})),
        "patch": operation("patch", json!({"parameters": patched})),
        "delete": operation("delete", json!({"parameters": [parameter("dryRun", "string")]})),
    });
    for subresource in std::iter::once(None).chain(resource.subresources.iter().map(Some)) {
        match subresource {
            None => paths.insert(format!("{base}/{{name}}"), single.clone()),
            Some(sub) if sub == "status" => paths.insert(format!("{base}/{{name}}/status"), single.clone()),
            Some(_) => None,
        };
    }
}
