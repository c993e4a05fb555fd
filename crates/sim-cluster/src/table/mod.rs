//! Tables for `kubectl get`: the columns and cells that the API server prints.

mod cells;
mod json_path;
mod pod;

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

/// The columns of a resource: `Name:type`, with `*` for those of the wide form.
fn columns(kind: &str) -> &'static str {
    match kind {
        "Pod" => "Name|Ready|Status|Restarts|Age|IP*|Node*|Nominated Node*|Readiness Gates*",
        "Deployment" => "Name|Ready|Up-to-date|Available|Age|Containers*|Images*|Selector*",
        "ReplicaSet" | "ReplicationController" => {
            "Name|Desired:integer|Current:integer|Ready:integer|Age|Containers*|Images*|Selector*"
        }
        "StatefulSet" => "Name|Ready|Age|Containers*|Images*",
        "DaemonSet" => {
            "Name|Desired:integer|Current:integer|Ready:integer|Up-to-date:integer|Available:integer|Node Selector|Age|Containers*|Images*|Selector*"
        }
        "Job" => "Name|Status|Completions|Duration|Age|Containers*|Images*|Selector*",
        "CronJob" => {
            "Name|Schedule|Timezone|Suspend:boolean|Active:integer|Last Schedule|Age|Containers*|Images*|Selector*"
        }
        "Service" => "Name|Type|Cluster-IP|External-IP|Port(s)|Age|Selector*",
        "Ingress" => "Name|Class|Hosts|Address|Ports|Age",
        "Endpoints" => "Name|Endpoints|Age",
        "EndpointSlice" => "Name|AddressType|Ports|Endpoints|Age",
        "Node" => {
            "Name|Status|Roles|Age|Version|Internal-IP*|External-IP*|OS-Image*|Kernel-Version*|Container-Runtime*"
        }
        "Event" => "Last Seen|Type|Reason|Object|Subobject*|Source*|Message|First Seen*|Count*|Name*",
        "Namespace" => "Name|Status|Age",
        "Secret" => "Name|Type|Data|Age",
        "ConfigMap" => "Name|Data|Age",
        "ServiceAccount" => "Name|Age",
        "HorizontalPodAutoscaler" => "Name|Reference|Targets|MinPods|MaxPods|Replicas|Age",
        "PodDisruptionBudget" => "Name|Min Available|Max Unavailable|Allowed Disruptions:integer|Age",
        "NetworkPolicy" => "Name|Pod-Selector|Age",
        "RoleBinding" | "ClusterRoleBinding" => "Name|Role|Age|Users*|Groups*|ServiceAccounts*",
        "Lease" => "Name|Holder|Age",
        _ => "Name|Created At",
    }
}

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
                Included::Nothing => None,
                Included::Metadata => Some(metadata_only(object)),
                Included::Object => Some((*object).clone()),
            };
            if let (Some(shown), Some(fields)) = (shown, row.as_object_mut()) {
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
        let mut list = vec![definition("Name", "string", "", 0)];
        for column in &custom.printer_columns {
            let text = |key: &str| column.get(key).and_then(Value::as_str).unwrap_or_default();
            let priority = column.get("priority").and_then(Value::as_i64).unwrap_or(0);
            let mut entry = definition(text("name"), text("type"), text("description"), priority);
            if let Some(fields) = entry.as_object_mut() {
                fields.insert("format".to_owned(), text("format").into());
            }
            list.push(entry);
        }
        if custom.printer_columns.is_empty() {
            list.push(definition("Age", "date", "", 0));
        }
        return Value::Array(list);
    }
    let list = columns(&resource.kind).split('|').map(|column| {
        let (column, priority) = match column.strip_suffix('*') {
            Some(column) => (column, 1),
            None => (column, 0),
        };
        let (name, kind) = column.split_once(':').unwrap_or((column, "string"));
        let kind = if name == "Created At" { "date" } else { kind };
        definition(name, kind, "", priority)
    });
    Value::Array(list.collect())
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

fn custom_cell(found: &[&Value], kind: &str, now: Timestamp) -> Value {
    let Some(first) = found.first() else { return Value::Null };
    match kind {
        "date" => match first.as_str().and_then(parse_time) {
            Some(moment) => cells::since(moment, now).into(),
            None => "<invalid>".into(),
        },
        "integer" | "number" | "boolean" => (*first).clone(),
        _ => {
            let texts: Vec<String> =
                found.iter().map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned)).collect();
            texts.join(",").into()
        }
    }
}
