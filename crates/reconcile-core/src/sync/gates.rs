//! What keeps a new commit from being applied: dependencies that are not ready, windows of time, and a person who wants to
//! be asked.

use std::collections::BTreeSet;

use api::GitOpsConfig;
use object_model::Object;
use serde_json::Value;

use super::request::Request;
use super::snapshot::{Snapshot, Source, head_slot, read_source};
use super::windows;
use crate::{FetchSource, Kind, View};

/// The longest chain of dependencies that is followed.
const CHAIN_MAX: usize = 50;

/// Why nothing is applied now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hold {
    pub(super) reason: &'static str,
    pub(super) message: String,
}

/// Returns why nothing new is applied now.
pub(super) fn hold(snapshot: &Snapshot) -> Option<Hold> {
    if let Some(message) = snapshot.dependencies.first() {
        return Some(Hold { reason: "DependencyNotReady", message: message.clone() });
    }
    if let Some(hold) = windows::hold(snapshot) {
        return Some(hold);
    }
    let is_asked = Request::pending(&snapshot.config).is_some();
    hold_without_request(snapshot).filter(|_| !is_asked)
}

/// Returns what keeps the rest from being applied when only some objects were asked for.
pub(super) fn hold_without_request(snapshot: &Snapshot) -> Option<Hold> {
    if !snapshot.spec.sync.auto {
        let message = format!("spec.sync.auto is false: a new value of annotation {} applies it", api::names::SYNC);
        return Some(Hold { reason: "AwaitingSync", message });
    }
    None
}

/// What is missing for the dependencies of a config, one sentence each.
pub(super) fn dependencies(view: &dyn View, kind: &Kind, config: &Object, spec: &GitOpsConfig) -> Vec<String> {
    let namespace = config.namespace().unwrap_or_default();
    let mut missing = Vec::new();
    for dependency in &spec.sync.depends_on {
        let name = &dependency.name;
        if let Some(chain) = cycle(view, kind, config, name) {
            missing.push(format!("GitOpsConfig {namespace}/{name} depends on this one ({chain})"));
            continue;
        }
        let Some(other) = view.get(kind, namespace, name) else {
            missing.push(format!("GitOpsConfig {namespace}/{name} does not exist"));
            continue;
        };
        if let Some(why) = not_ready(view, &other) {
            missing.push(format!("GitOpsConfig {namespace}/{name} {why}"));
        }
    }
    missing
}

/// A way from a dependency back to the config itself.
fn cycle(view: &dyn View, kind: &Kind, config: &Object, first: &str) -> Option<String> {
    let namespace = config.namespace().unwrap_or_default();
    let mut seen = BTreeSet::new();
    let mut open = vec![vec![first.to_owned()]];
    while let Some(chain) = open.pop() {
        let Some(name) = chain.last().cloned() else { continue };
        if name == config.name() {
            return Some(chain.join(" -> "));
        }
        if !seen.insert(name.clone()) || seen.len() > CHAIN_MAX {
            continue;
        }
        let Some(other) = view.get(kind, namespace, &name) else { continue };
        let (spec, _) = GitOpsConfig::parse(&other);
        for next in spec.sync.depends_on {
            open.push(chain.iter().cloned().chain([next.name]).collect());
        }
    }
    None
}

/// Why a config is not ready, also for the head that is known here.
fn not_ready(view: &dyn View, other: &Object) -> Option<String> {
    let is_observed = other.int_at("/status/observedGeneration") == Some(other.generation());
    let conditions = other.list_at("/status/conditions");
    let ready = conditions.iter().find(|item| item.get("type").and_then(Value::as_str) == Some("Ready"));
    let text = |field: &str| ready.and_then(|ready| ready.get(field)).and_then(Value::as_str).unwrap_or_default();
    if !is_observed {
        return Some("has not seen its own spec yet".to_owned());
    }
    if text("status") != "True" {
        let (reason, message) = (text("reason"), text("message"));
        return Some(format!("is not ready: {reason}: {message}").trim_end_matches([':', ' ']).to_owned());
    }
    // Ready may still be about the commit before: one push can concern both.
    let (spec, _) = GitOpsConfig::parse(other);
    let credential = spec.read_secret.clone().map(|name| (other.namespace().unwrap_or_default().to_owned(), name));
    let git = FetchSource { url: spec.url.clone(), branch: spec.branch.clone(), credential };
    let uid = other.uid()?;
    match read_source(view, &head_slot(&git), &uid, &spec) {
        Source::Fetched(_) => Some("has not rendered the newest commit yet".to_owned()),
        Source::Rendered(_, rendered) if other.str_at("/status/source/commit") != Some(&rendered.touched.commit) => {
            Some("has not applied the newest commit yet".to_owned())
        }
        // Its status may not say so yet.
        Source::RenderFailed(..) => Some("does not render at the newest commit".to_owned()),
        Source::Unknown | Source::FetchFailed(_) | Source::Rendered(..) => None,
    }
}
