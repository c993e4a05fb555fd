//! What definitions and their schemas are put together from.

use serde_json::{Map, Value, json};

pub(super) struct Names<'a> {
    pub(super) kind: &'a str,
    pub(super) plural: &'a str,
    pub(super) short: &'a [&'a str],
}

pub(super) fn definition(
    group: &str,
    version: &str,
    scope: &str,
    names: &Names<'_>,
    schema: Value,
    columns: Vec<Value>,
    subresources: Value,
) -> Value {
    let singular = names.kind.to_lowercase();
    let mut entry = json!({
        "name": version,
        "served": true,
        "storage": true,
        "schema": {"openAPIV3Schema": schema},
        "additionalPrinterColumns": columns,
    });
    if !subresources.is_null() {
        entry = with(entry, "subresources", subresources);
    }
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{}.{group}", names.plural)},
        "spec": {
            "group": group,
            "scope": scope,
            "names": {"kind": names.kind, "listKind": format!("{}List", names.kind), "plural": names.plural, "singular": singular, "shortNames": names.short},
            "versions": [entry],
        },
    })
}

pub(super) fn age() -> Value {
    json!({"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"})
}

pub(super) fn column(name: &str, path: &str) -> Value {
    json!({"name": name, "type": "string", "jsonPath": path})
}

pub(super) fn text(description: &str) -> Value {
    json!({"type": "string", "description": description})
}

pub(super) fn flag(description: &str) -> Value {
    json!({"type": "boolean", "description": description})
}

pub(super) fn one_of(description: &str, values: &[&str]) -> Value {
    json!({"type": "string", "description": description, "enum": values})
}

pub(super) fn object(description: &str, properties: Vec<(&str, Value)>) -> Value {
    let properties: Map<String, Value> =
        properties.into_iter().map(|(name, schema)| (name.to_owned(), schema)).collect();
    json!({"type": "object", "description": description, "properties": properties})
}

pub(super) fn list(description: &str, items: Value) -> Value {
    json!({"type": "array", "description": description, "items": items})
}

pub(super) fn required(schema: Value, names: &[&str]) -> Value {
    with(schema, "required", json!(names))
}

pub(super) fn with(mut schema: Value, key: &str, value: Value) -> Value {
    if let Value::Object(map) = &mut schema {
        map.insert(key.to_owned(), value);
    }
    schema
}

pub(super) fn open(description: &str) -> Value {
    json!({"type": "object", "description": description, "x-kubernetes-preserve-unknown-fields": true})
}

/// A schema that keeps every field of spec and status.
pub(super) fn open_with(spec: Vec<(&str, Value)>) -> Value {
    let spec = with(object("What is wanted.", spec), "x-kubernetes-preserve-unknown-fields", true.into());
    json!({"type": "object", "properties": {
        "apiVersion": {"type": "string"}, "kind": {"type": "string"}, "metadata": {"type": "object"},
        "spec": spec, "status": open("What is."),
    }})
}

pub(super) fn root(description: &str, spec: Value) -> Value {
    json!({"type": "object", "description": description, "required": ["spec"], "properties": {
        "apiVersion": {"type": "string"}, "kind": {"type": "string"}, "metadata": {"type": "object"},
        "spec": spec, "status": open("What is, as Sluice sees it."),
    }})
}

pub(super) fn secret_ref(description: &str) -> Value {
    object(
        description,
        vec![
            ("name", text("Name of the Secret.")),
            ("namespace", text("Namespace of the Secret, where the kind is cluster-scoped.")),
        ],
    )
}
