//! What a cluster looks like after a play that went wrong: states, Events, and requests that were refused.

use std::fmt::Write as _;

use object_model::Object;
use sim_cluster::LogEntry;

use crate::setting::{Setting, list};

/// Kinds whose status tells how far things came.
const KINDS: [(&str, &str); 7] = [
    ("sluice.dev/v1alpha1", "Environment"),
    ("sluice.dev/v1", "GitOpsConfig"),
    ("argoproj.io/v1alpha1", "Rollout"),
    ("argoproj.io/v1alpha1", "AnalysisRun"),
    ("sluice.dev/v1alpha1", "Promotion"),
    ("apps/v1", "ReplicaSet"),
    ("v1", "Event"),
];
/// Most refused requests that are shown.
const REFUSALS_MAX: usize = 40;

/// The state of everything that Sluice drives, a line an object.
pub async fn diagnosis(setting: &Setting) -> String {
    let mut text = String::new();
    for (api_version, kind) in KINDS {
        match list(&setting.people, api_version, kind, "").await {
            Ok(objects) => objects.iter().for_each(|object| text.push_str(&line(object))),
            Err(error) => text.push_str(&format!("{kind}: {error}\n")),
        }
    }
    if let Some(handle) = setting.handle() {
        handle.with(|cluster| {
            for entry in cluster.requests().filter(|entry| is_refused(entry)).take(REFUSALS_MAX) {
                // Writing to a text cannot fail.
                let _ = writeln!(
                    text,
                    "{} {} {} {} {}/{} by {}",
                    entry.at,
                    entry.code,
                    entry.verb,
                    entry.resource,
                    entry.namespace,
                    entry.name,
                    entry.actor.user.name
                );
            }
        });
    }
    text
}

/// Whether a request was refused; that something is not there yet is an answer like any other.
fn is_refused(entry: &LogEntry) -> bool {
    entry.code >= 400 && entry.code != 404
}

fn line(object: &Object) -> String {
    let part = |pointer: &str| object.str_at(pointer).unwrap_or_default().to_owned();
    match object.kind() {
        "Event" => format!("{} {}: {}\n", object.id(), part("/reason"), part("/message")),
        _ => format!("{} {}\n", object.id(), object.pointer("/status").cloned().unwrap_or_default()),
    }
}
