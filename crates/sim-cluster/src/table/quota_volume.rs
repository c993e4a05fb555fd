//! The cells of quotas, volumes, classes, revisions and webhooks.

use serde_json::{Value, json};

use super::cells::Row;

/// The cells behind the name, or none when the kind is another.
pub(super) fn cells(kind: &str, row: &Row<'_>) -> Option<Vec<Value>> {
    let unset = |text: &str, word: &str| json!(if text.is_empty() { word } else { text });
    Some(match kind {
        "ResourceQuota" => vec![json!(amounts(row, false)), json!(amounts(row, true)), row.age()],
        "PersistentVolumeClaim" => {
            let is_bound = !row.text("/spec/volumeName").is_empty();
            let bound = |text: String| json!(if is_bound { text } else { String::new() });
            vec![
                phase(row),
                json!(row.text("/spec/volumeName")),
                bound(row.text("/status/capacity/storage").to_owned()),
                bound(modes(row, "/status/accessModes")),
                json!(row.text("/spec/storageClassName")),
                unset(row.text("/spec/volumeAttributesClassName"), "<unset>"),
                row.age(),
                unset(row.text("/spec/volumeMode"), "<unset>"),
            ]
        }
        "PersistentVolume" => vec![
            json!(row.text("/spec/capacity/storage")),
            json!(modes(row, "/spec/accessModes")),
            json!(row.text("/spec/persistentVolumeReclaimPolicy")),
            phase(row),
            match row.text("/spec/claimRef/name") {
                "" => json!(""),
                name => json!(format!("{}/{name}", row.text("/spec/claimRef/namespace"))),
            },
            json!(row.text("/spec/storageClassName")),
            unset(row.text("/spec/volumeAttributesClassName"), "<unset>"),
            json!(row.text("/status/reason")),
            row.age(),
            unset(row.text("/spec/volumeMode"), "<unset>"),
        ],
        "ControllerRevision" => {
            let owners = row.list("/metadata/ownerReferences");
            let owner = owners.iter().find(|owner| owner["controller"] == true).map_or_else(
                || "<none>".to_owned(),
                |owner| {
                    let text = |key: &str| owner.get(key).and_then(Value::as_str).unwrap_or_default();
                    let kind = text("kind").to_lowercase();
                    let group = text("apiVersion").split_once('/').map(|(group, _)| format!(".{group}"));
                    format!("{kind}{}/{}", group.unwrap_or_default(), text("name"))
                },
            );
            vec![json!(owner), json!(row.int("/revision")), row.age()]
        }
        "StorageClass" => vec![
            json!(row.text("/provisioner")),
            json!(row.text("/reclaimPolicy")),
            json!(row.text("/volumeBindingMode")),
            json!(row.object.get("allowVolumeExpansion").and_then(Value::as_bool).unwrap_or(false)),
            row.age(),
        ],
        "IngressClass" => {
            let parameters = match row.text("/spec/parameters/name") {
                "" => "<none>".to_owned(),
                name => {
                    let group = row.text("/spec/parameters/apiGroup");
                    let dot = if group.is_empty() { "" } else { "." };
                    format!("{}{dot}{group}/{name}", row.text("/spec/parameters/kind"))
                }
            };
            vec![json!(row.text("/spec/controller")), json!(parameters), row.age()]
        }
        "PriorityClass" => vec![
            json!(row.int("/value")),
            json!(row.object.get("globalDefault").and_then(Value::as_bool).unwrap_or(false)),
            row.age(),
            json!(row.text("/preemptionPolicy")),
        ],
        "PodTemplate" => {
            let [names, images] = row.containers("/template/spec/containers");
            vec![names, images, row.labels("/template/metadata/labels")]
        }
        "MutatingWebhookConfiguration" | "ValidatingWebhookConfiguration" => {
            vec![json!(row.list("/webhooks").len()), row.age()]
        }
        "APIService" => {
            let service = match row.text("/spec/service/name") {
                "" => "Local".to_owned(),
                name => format!("{}/{name}", row.text("/spec/service/namespace")),
            };
            vec![json!(service), json!(row.condition("Available").unwrap_or("Unknown")), row.age()]
        }
        _ => return None,
    })
}

fn phase(row: &Row<'_>) -> Value {
    let is_deleting = row.object.pointer("/metadata/deletionTimestamp").is_some();
    json!(if is_deleting { "Terminating" } else { row.text("/status/phase") })
}

/// What is used of what is allowed: limits, or all else.
fn amounts(row: &Row<'_>, of_limits: bool) -> String {
    let hard = row.object.pointer("/status/hard").and_then(Value::as_object);
    let mut names: Vec<&String> = hard.into_iter().flatten().map(|(name, _)| name).collect();
    names.sort();
    let text = |part: &str, name: &str| {
        let amount = row.object.get("status").and_then(|status| status.get(part)?.get(name)?.as_str());
        amount.unwrap_or("0").to_owned()
    };
    let chosen = names.into_iter().filter(|name| name.starts_with("limits.") == of_limits);
    let parts: Vec<String> =
        chosen.map(|name| format!("{name}: {}/{}", text("used", name), text("hard", name))).collect();
    parts.join(", ")
}

/// Access modes by their short names, each once, in the order kubectl knows them.
fn modes(row: &Row<'_>, pointer: &str) -> String {
    let have: Vec<&str> = row.list(pointer).iter().filter_map(Value::as_str).collect();
    let known =
        [("ReadWriteOnce", "RWO"), ("ReadOnlyMany", "ROX"), ("ReadWriteMany", "RWX"), ("ReadWriteOncePod", "RWOP")];
    let short: Vec<&str> = known.iter().filter(|(mode, _)| have.contains(mode)).map(|(_, short)| *short).collect();
    short.join(",")
}
