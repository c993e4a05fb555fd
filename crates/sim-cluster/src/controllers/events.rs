//! Events, as controllers write them: one object a repeated message, with a count.

use object_model::Timestamp;
use serde_json::{Value, json};

use super::view::{at, fingerprint, int, text};
use crate::cluster::Cluster;

/// Whether an event is good news.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    Normal,
    Warning,
}

/// Records an event about an object. A refused event is no reason to stop: the namespace may be going away.
pub(crate) fn record(
    cluster: &mut Cluster,
    component: &str,
    about: &Value,
    (tone, reason, message): (Tone, &str, &str),
    now: Timestamp,
) {
    let namespace = match text(about, "/metadata/namespace") {
        "" => "default",
        namespace => namespace,
    };
    let involved = json!({
        "apiVersion": text(about, "/apiVersion"),
        "kind": text(about, "/kind"),
        "name": text(about, "/metadata/name"),
        "namespace": text(about, "/metadata/namespace"),
        "uid": text(about, "/metadata/uid"),
    });
    let mark = fingerprint(&json!([involved, reason, message, component]));
    let name = format!("{}.{mark:08x}", text(about, "/metadata/name"));
    if let Some(known) = cluster.get("events", namespace, &name) {
        let count = int(known.json(), "/count") + 1;
        let patch = json!({"count": count, "lastTimestamp": at(now)});
        let _ = cluster.acting_as_controller(component).merge("events", namespace, &name, patch);
        return;
    }
    let mut involved = involved;
    if let Some(fields) = involved.as_object_mut() {
        fields.insert("resourceVersion".to_owned(), text(about, "/metadata/resourceVersion").into());
    }
    let event = json!({
        "metadata": {"name": name, "namespace": namespace},
        "involvedObject": involved,
        "reason": reason,
        "message": message,
        "type": if tone == Tone::Normal { "Normal" } else { "Warning" },
        "source": {"component": component},
        "firstTimestamp": at(now),
        "lastTimestamp": at(now),
        "eventTime": null,
        "count": 1,
        "reportingComponent": component,
        "reportingInstance": "",
    });
    let _ = cluster.acting_as_controller(component).create("events", namespace, event);
}
