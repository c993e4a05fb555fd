//! Tables for `kubectl get`: the columns and cells that the API server prints.

mod cells;
mod json_path;
mod pod;
mod quota_volume;

use std::sync::LazyLock;

use object_model::{Timestamp, parse_time};
use serde_json::{Value, json};

use crate::present::metadata_only;
use crate::resource::ResourceType;
use cells::Row;

/// What rows carry of their objects (`includeObject=`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Included {
    Nothing,
    Metadata,
    Object,
}

/// The columns of the built-in kinds as the API server describes them, by apiVersion and kind.
static COLUMNS: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(include_str!("../../data/columns.json")).unwrap_or_default());

/// A table of objects; `has_header` is off for the later events of a watch.
pub(crate) fn table(
    resource: &ResourceType,
    objects: &[&Value],
    included: Included,
    has_header: bool,
    metadata: &Value,
    now: Timestamp,
) -> Value {
    let rows: Vec<Value> = objects
        .iter()
        .map(|object| {
            let cells = match &resource.custom {
                Some(custom) => custom_cells(&custom.printer_columns, object, now),
                None => built_in_cells(&resource.kind, object, now),
            };
            let mut row = json!({"cells": cells});
            let shown = match included {
                Included::Nothing => Value::Null,
                Included::Metadata => metadata_only(object),
                Included::Object => (*object).clone(),
            };
            if let Some(fields) = row.as_object_mut() {
                fields.insert("object".to_owned(), shown);
            }
            row
        })
        .collect();
    let header = if has_header { definitions(resource) } else { Value::Null };
    json!({
        "kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": metadata, "columnDefinitions": header, "rows": rows,
    })
}

fn definition(name: &str, kind: &str, description: &str, priority: i64) -> Value {
    let format = if name == "Name" { "name" } else { "" };
    json!({"name": name, "type": kind, "format": format, "description": description, "priority": priority})
}

fn definitions(resource: &ResourceType) -> Value {
    if let Some(custom) = &resource.custom {
        let mut list = vec![definition("Name", "string", name_description(), 0)];
        for column in &custom.printer_columns {
            let text = |key: &str| column.get(key).and_then(Value::as_str).unwrap_or_default();
            let priority = column.get("priority").and_then(Value::as_i64).unwrap_or(0);
            let described = match text("description") {
                "" => format!("Custom resource definition column (in JSONPath format): {}", text("jsonPath")),
                description => description.to_owned(),
            };
            let mut entry = definition(text("name"), text("type"), &described, priority);
            if let Some(fields) = entry.as_object_mut() {
                fields.insert("format".to_owned(), text("format").into());
            }
            list.push(entry);
        }
        if custom.printer_columns.is_empty() {
            list.push(definition("Age", "date", age_description(), 0));
        }
        return Value::Array(list);
    }
    let key = format!("{} {}", resource.api_version(), resource.kind);
    COLUMNS.get(&key).cloned().unwrap_or_else(|| json!([]))
}

/// What the column of the name is said to be, for every kind.
fn name_description() -> &'static str {
    COLUMNS.pointer("/v1 ConfigMap/0/description").and_then(Value::as_str).unwrap_or_default()
}

/// What the column of the age is said to be.
fn age_description() -> &'static str {
    COLUMNS.pointer("/v1 ConfigMap/2/description").and_then(Value::as_str).unwrap_or_default()
}

fn built_in_cells(kind: &str, object: &Value, now: Timestamp) -> Vec<Value> {
    let row = Row { object, now };
    match kind {
        "Pod" => pod::cells(&row),
        _ => cells::cells(kind, &row),
    }
}

fn custom_cells(columns: &[Value], object: &Value, now: Timestamp) -> Vec<Value> {
    let row = Row { object, now };
    let mut cells = vec![row.name()];
    if columns.is_empty() {
        cells.push(row.age());
    }
    for column in columns {
        let text = |key: &str| column.get(key).and_then(Value::as_str).unwrap_or_default();
        let found = json_path::find(object, text("jsonPath"));
        cells.push(custom_cell(&found, text("type"), now));
    }
    cells
}

/// Of several values at a path only the first is shown, and only when it is of the column's type.
fn custom_cell(found: &[&Value], kind: &str, now: Timestamp) -> Value {
    let Some(first) = found.first() else { return Value::Null };
    match (kind, first) {
        ("date", Value::String(text)) => match parse_time(text) {
            Some(moment) => cells::since(moment, now).into(),
            None => "<invalid>".into(),
        },
        ("integer", Value::Number(number)) => match (number.as_i64(), number.as_f64()) {
            (Some(_), _) | (None, None) => (*first).clone(),
            // The bound makes the conversion exact.
            #[expect(clippy::cast_possible_truncation, reason = "Go cuts the fraction off too")]
            (None, Some(number)) => json!(number as i64),
        },
        ("number", Value::Number(_)) | ("boolean", Value::Bool(_)) => (*first).clone(),
        ("string", Value::String(text)) => text.as_str().into(),
        ("string", other) => other.to_string().into(),
        _ => Value::Null,
    }
}
