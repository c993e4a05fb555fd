//! OpenAPI v3 documents: an index, and one document per group and version, enough for kubectl and client tools.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::cluster::Cluster;
use crate::error::ApiError;
use crate::resource::ResourceType;
use crate::types::{self, FieldDef, ListKind, Shape, TypeId};

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
    pub(crate) fn openapi_document(&self, group: &str, version: &str) -> Result<Value, ApiError> {
        if !self.registry.has_group_version(group, version) {
            return Err(ApiError::unknown_path());
        }
        let mut schemas = Map::new();
        let mut paths = Map::new();
        let mut wanted: BTreeSet<TypeId> = BTreeSet::new();
        for resource in self.registry.in_order() {
            if resource.group != group || resource.version != version {
                continue;
            }
            let name = schema_name(&resource);
            match (&resource.custom, types::of_kind(&resource.api_version(), &resource.kind)) {
                (Some(custom), _) => {
                    let mut schema = custom.schema.clone();
                    add_identity(&mut schema, &resource);
                    schemas.insert(name.clone(), schema);
                    if let Some(id) = meta_type() {
                        wanted.insert(id);
                    }
                }
                (None, Some(id)) => {
                    wanted.insert(id);
                }
                (None, None) => {}
            }
            add_paths(&mut paths, &resource, &name);
        }
        add_types(&mut schemas, wanted);
        for resource in self.registry.in_order() {
            let is_here = resource.group == group && resource.version == version && resource.custom.is_none();
            if let Some(fields) =
                schemas.get_mut(&schema_name(&resource)).filter(|_| is_here).and_then(Value::as_object_mut)
            {
                let kind = json!([{"group": resource.group, "version": resource.version, "kind": resource.kind}]);
                fields.insert("x-kubernetes-group-version-kind".to_owned(), kind);
            }
        }
        Ok(json!({
            "openapi": "3.0.0", "info": {"title": "Kubernetes", "version": "v1.35.4"},
            "paths": paths, "components": {"schemas": schemas},
        }))
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

fn meta_type() -> Option<TypeId> {
    types::table().types.iter().position(|def| def.name == "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta")
}

fn add_identity(schema: &mut Value, resource: &ResourceType) {
    let Some(fields) = schema.as_object_mut() else { return };
    let kind = json!([{"group": resource.group, "version": resource.version, "kind": resource.kind}]);
    fields.insert("x-kubernetes-group-version-kind".to_owned(), kind);
    let properties = fields.entry("properties").or_insert_with(|| json!({}));
    if let Some(properties) = properties.as_object_mut() {
        for name in ["apiVersion", "kind"] {
            properties.insert(name.to_owned(), json!({"type": "string"}));
        }
        let meta = format!("{SCHEMAS}io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta");
        properties.insert("metadata".to_owned(), json!({"allOf": [{"$ref": meta}]}));
    }
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

/// Adds types and all they refer to.
fn add_types(schemas: &mut Map<String, Value>, mut wanted: BTreeSet<TypeId>) {
    let mut done: BTreeSet<TypeId> = BTreeSet::new();
    while let Some(id) = wanted.pop_first() {
        if !done.insert(id) {
            continue;
        }
        let Some(def) = types::table().get(id) else { continue };
        let mut properties = Map::new();
        for (name, field) in &def.fields {
            refer(&field.shape, &done, &mut wanted);
            let mut schema = field_schema(field);
            if let (Some(fields), Some(default)) = (schema.as_object_mut(), def.defaults.get(name)) {
                fields.insert("default".to_owned(), default.clone());
            }
            properties.insert(name.clone(), schema);
        }
        let mut schema = json!({"type": "object", "properties": properties});
        if let Some(fields) = schema.as_object_mut().filter(|_| def.is_atomic) {
            fields.insert("x-kubernetes-map-type".to_owned(), "atomic".into());
        }
        schemas.insert(def.name.clone(), schema);
    }
}

fn refer(shape: &Shape, done: &BTreeSet<TypeId>, wanted: &mut BTreeSet<TypeId>) {
    match shape {
        Shape::Struct(id) if !done.contains(id) => {
            wanted.insert(*id);
        }
        Shape::List(item) | Shape::Map(item) => refer(item, done, wanted),
        _ => {}
    }
}

fn field_schema(field: &FieldDef) -> Value {
    let mut schema = shape_schema(&field.shape);
    let Some(fields) = schema.as_object_mut() else { return schema };
    if let Some(key) = &field.merge_key {
        fields.insert("x-kubernetes-patch-merge-key".to_owned(), key.clone().into());
    }
    let mut strategies = Vec::new();
    if field.is_merged {
        strategies.push("merge");
    }
    if field.is_replaced {
        strategies.push("replace");
    }
    if field.retains_keys {
        strategies.push("retainKeys");
    }
    if !strategies.is_empty() {
        fields.insert("x-kubernetes-patch-strategy".to_owned(), strategies.join(",").into());
    }
    match (&field.shape, &field.list) {
        (Shape::List(_), ListKind::Keyed(keys)) => {
            fields.insert("x-kubernetes-list-type".to_owned(), "map".into());
            fields.insert("x-kubernetes-list-map-keys".to_owned(), json!(keys));
        }
        (Shape::List(_), ListKind::Set) => {
            fields.insert("x-kubernetes-list-type".to_owned(), "set".into());
        }
        (Shape::List(_), ListKind::Atomic) => {
            fields.insert("x-kubernetes-list-type".to_owned(), "atomic".into());
        }
        _ if field.is_atomic => {
            fields.insert("x-kubernetes-map-type".to_owned(), "atomic".into());
        }
        _ => {}
    }
    schema
}

fn shape_schema(shape: &Shape) -> Value {
    match shape {
        Shape::Text | Shape::Quantity => json!({"type": "string"}),
        Shape::Bytes => json!({"type": "string", "format": "byte"}),
        Shape::Time | Shape::MicroTime => json!({"type": "string", "format": "date-time"}),
        Shape::Bool => json!({"type": "boolean"}),
        Shape::Int => json!({"type": "integer"}),
        Shape::Float => json!({"type": "number"}),
        Shape::IntOrString => json!({"oneOf": [{"type": "integer"}, {"type": "string"}], "format": "int-or-string"}),
        Shape::Any => json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true}),
        Shape::List(item) => json!({"type": "array", "items": shape_schema(item)}),
        Shape::Map(item) => json!({"type": "object", "additionalProperties": shape_schema(item)}),
        Shape::Struct(id) => {
            let name = types::table().get(*id).map(|def| def.name.as_str()).unwrap_or_default();
            json!({"allOf": [{"$ref": format!("{SCHEMAS}{name}")}]})
        }
    }
}
