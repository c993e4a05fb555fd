//! A failed commit goes back to Git: an aborted Rollout of a config with write-back becomes a Promotion that restores
//! exactly the paths that the config rendered from (DESIGN §1).

use api::OnFailure;
use object_model::Object;
use serde_json::{Value, json};

use super::snapshot::Snapshot;
use super::status::Report;
use crate::bugs::{self, Bug};
use crate::{Act, Action, Plan, kinds};

/// Makes the Promotion once: its name follows from config and commit, so a crash or a second look changes nothing.
pub(super) fn consider(snapshot: &Snapshot, plan: &mut Plan, report: &mut Report) {
    if snapshot.spec.on_failure != OnFailure::RevertCommit {
        return;
    }
    let Some(rendered) = snapshot.rendered() else { return };
    let bad = &rendered.touched;
    let Some(failed) = aborted(snapshot, &bad.commit) else { return };
    let reason = failed.str_at("/status/message").unwrap_or("the Rollout aborted").to_owned();
    if bad.trailer("Sluice-Action") == Some("rollback") {
        report.stalled_rollback = Some("the failed commit is itself a rollback; a person has to decide".to_owned());
        return;
    }
    let healthy = snapshot.config.str_at("/status/lastHealthy/commit").unwrap_or_default();
    if healthy.is_empty() || healthy == bad.commit {
        report.stalled_rollback = Some("no earlier commit of this config was ever healthy".to_owned());
        return;
    }
    let mut name = promotion_name(snapshot.config.name(), &bad.commit);
    if bugs::on(Bug::RollbackAgain) {
        name = format!("{name}-{}", snapshot.now.as_second());
    }
    report.rollback = Some(name.clone());
    if let Some(promotion) = snapshot.promotions.get(&name) {
        if promotion.str_at("/status/phase") == Some("Failed") {
            report.stalled_rollback = promotion.str_at("/status/message").map(str::to_owned);
        }
        return;
    }
    let mut spec = json!({
        "action": "rollback",
        "config": snapshot.config.name(),
        "reverts": bad.commit,
        "restores": healthy,
        "paths": restored_paths(snapshot),
        "reason": reason,
        "requestedBy": "sluice",
    });
    for key in ["build", "source"] {
        let value = snapshot.config.str_at(&format!("/status/lastHealthy/{key}"));
        if let (Some(value), Value::Object(map)) = (value, &mut spec) {
            map.insert(key.to_owned(), value.into());
        }
    }
    let object = Object::parse(json!({
        "apiVersion": kinds::promotion().api_version(),
        "kind": "Promotion",
        "metadata": {
            "name": name,
            "namespace": snapshot.config.namespace(),
            "ownerReferences": [{
                "apiVersion": snapshot.config.api_version(), "kind": snapshot.config.kind(),
                "name": snapshot.config.name(), "uid": snapshot.uid().as_str(), "controller": true,
            }],
        },
        "spec": spec,
    }));
    if let Ok(object) = object {
        plan.stage(vec![Act::new(Action::Create { kind: kinds::promotion(), object: Box::new(object) })]);
    }
}

/// The name of the rollback of one commit of one config.
fn promotion_name(config: &str, commit: &str) -> String {
    let stem = config.get(..200).unwrap_or(config);
    format!("{stem}-rollback-{}", commit.get(..12).unwrap_or(commit))
}

/// What the config rendered from, now and when it was last healthy: a file that the bad commit added or removed counts.
fn restored_paths(snapshot: &Snapshot) -> Vec<String> {
    if snapshot.spec.path.is_empty() {
        let read = snapshot.rendered().map(|rendered| rendered.read.clone()).unwrap_or_default();
        return read;
    }
    // Files outside the path can be read too (imports); the path itself covers everything below it.
    let mut paths = vec![snapshot.spec.path.clone()];
    let prefix = format!("{}/", snapshot.spec.path);
    let read = snapshot.rendered().map(|rendered| rendered.read.as_slice()).unwrap_or_default();
    paths.extend(read.iter().filter(|path| **path != snapshot.spec.path && !path.starts_with(&prefix)).cloned());
    paths
}

/// A Rollout of this config that aborted what the present commit wants: it carries the commit, and its status is of the
/// present generation.
fn aborted<'a>(snapshot: &'a Snapshot, commit: &str) -> Option<&'a Object> {
    let ours = snapshot.wishes.iter().filter_map(|wish| snapshot.live.get(&wish.object.id()));
    let mut rollouts = ours.filter(|object| object.kind() == "Rollout" && object.group() == "argoproj.io");
    let aborted = rollouts.find(|rollout| {
        let generation = rollout.generation().to_string();
        rollout.annotation(api::names::COMMIT) == Some(commit)
            && rollout.bool_at("/status/abort") == Some(true)
            && rollout.str_at("/status/phase") == Some("Degraded")
            && rollout.str_at("/status/observedGeneration") == Some(&generation)
    })?;
    Some(aborted)
}
