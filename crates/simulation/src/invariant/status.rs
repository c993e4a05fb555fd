//! I6, I7 and I12: what is told, and what is remembered by being told.

use serde_json::Value;
use sim_cluster::Stored;

use super::view::{flag, hash_of, int, items};
use super::{Ground, Memory};

pub(super) fn judge_rollout(ground: &Ground<'_>, memory: &mut Memory) {
    let change = &ground.write.change;
    let (Some(before), Some(after)) = (&change.before, &change.after) else { return };
    let generation = int(after, "/metadata/generation");
    let observed: i64 = after.text("/status/observedGeneration").parse().unwrap_or(0);
    if observed > generation {
        ground.broke("I12", format!("Rollout {} has seen generation {observed} of {generation}", change.name));
    }
    let is_promoted = after.text("/status/stableRS") == after.text("/status/currentPodHash");
    let newly = before.text("/status/phase") != "Healthy" || before.at("/status") != after.at("/status");
    if after.text("/status/phase") == "Healthy" && newly && observed == generation && !is_promoted {
        ground.broke("I12", format!("Rollout {} is told healthy before its version is stable", change.name));
    }
    steps(ground, memory, before, after);
    let (was, is) = (before.text("/status/stableRS"), after.text("/status/stableRS"));
    if was != is && !was.is_empty() {
        promoted(ground, before, after);
    }
    if !before.text("/status/stableRS").is_empty() && after.text("/status/stableRS").is_empty() {
        ground.broke("I6", format!("Rollout {} forgot its stable version", change.name));
    }
}

/// Steps go up one by one; a pause lasts as long as the spec says.
fn steps(ground: &Ground<'_>, memory: &mut Memory, before: &Stored, after: &Stored) {
    let place = (ground.write.change.namespace.to_string(), ground.write.change.name.to_string());
    let (from, to) = (int(before, "/status/currentStepIndex"), int(after, "/status/currentStepIndex"));
    let since = memory.step_since.get(&place).copied();
    if from != to || since.is_none() {
        memory.step_since.insert(place, (to, ground.ms));
    }
    let same = |pointer: &str| before.at(pointer) == after.at(pointer);
    let is_other = !same("/status/currentPodHash") || !same("/status/currentStepHash") || !same("/status/abort");
    let is_wished = [before, after].iter().any(|one| flag(one, "/status/promoteFull") || flag(one, "/status/abort"));
    if is_other || is_wished || from == to {
        return;
    }
    let name = &ground.write.change.name;
    if to < from {
        ground.broke("I6", format!("Rollout {name} goes back from step {from} to {to}"));
    }
    let is_promoted = after.text("/status/stableRS") == after.text("/status/currentPodHash");
    if to > from + 1 && !is_promoted {
        ground.broke("I6", format!("Rollout {name} goes from step {from} to {to}"));
    }
    let step = usize::try_from(from).ok().and_then(|from| items(after, "/spec/strategy/canary/steps").get(from));
    let wanted = step.and_then(|step| step.pointer("/pause/duration")).and_then(seconds);
    if let (Some(wanted), Some((at, since))) = (wanted, since)
        && at == from
    {
        let lasted = ground.ms.saturating_sub(since);
        // The beginning is kept in whole seconds.
        if lasted + 1_000 < wanted * 1_000 {
            ground.broke("I6", format!("the pause of step {from} of Rollout {name} lasted {lasted} ms of {wanted} s"));
        }
    }
}

fn seconds(value: &Value) -> Option<u64> {
    match value {
        Value::String(text) => text.trim_end_matches('s').parse().ok(),
        other => other.as_u64(),
    }
}

/// A version becomes stable after all its steps and successful analyses, unless a person or the window says otherwise.
fn promoted(ground: &Ground<'_>, before: &Stored, after: &Stored) {
    let hash = after.text("/status/stableRS");
    let name = &ground.write.change.name;
    if flag(before, "/status/promoteFull") || flag(after, "/status/promoteFull") || !comes_first(ground, hash) {
        return;
    }
    let all = items(after, "/spec/strategy/canary/steps");
    let count = i64::try_from(all.len()).unwrap_or(0);
    let at = int(before, "/status/currentStepIndex");
    // The end of a pause needs nothing: one status may tell of it and of the promotion. How long it lasted is I6's.
    let ends_its_pause = at + 1 == count && all.last().is_some_and(|step| step.get("pause").is_some());
    if at < count && !ends_its_pause {
        ground.broke("I7", format!("version {hash} of Rollout {name} is stable at step {at} of {count}"));
    }
    let steps = items(after, "/spec/strategy/canary/steps").iter();
    let needs_step = steps.filter(|step| step.get("analysis").is_some()).count();
    need(ground, hash, "Step", needs_step);
    let blue_green = |field: &str| usize::from(after.at(&format!("/spec/strategy/blueGreen/{field}")).is_some());
    need(ground, hash, "PrePromotion", blue_green("prePromotionAnalysis"));
    need(ground, hash, "PostPromotion", blue_green("postPromotionAnalysis"));
}

/// Whether a version is the newest one: one that comes back may be stable again without its steps.
fn comes_first(ground: &Ground<'_>, hash: &str) -> bool {
    let sets = ground.cluster.list("replicasets.apps", Some(&ground.write.change.namespace));
    sets.filter(|set| hash_of(set) == hash)
        .all(|set| set.at("/metadata/annotations/rollout.argoproj.io~1revision-history").is_none())
}

fn need(ground: &Ground<'_>, hash: &str, kind: &str, count: usize) {
    let runs = ground.cluster.list("analysisruns.argoproj.io", Some(&ground.write.change.namespace));
    let good = runs
        .filter(|run| run.text("/metadata/labels/rollouts-pod-template-hash") == hash)
        .filter(|run| run.text("/metadata/labels/rollout-type") == kind && run.text("/status/phase") == "Successful")
        .count();
    if good < count {
        ground.broke("I7", format!("version {hash} is stable with {good} of {count} successful {kind} analyses"));
    }
}

pub(super) fn judge_config(ground: &Ground<'_>) {
    let change = &ground.write.change;
    let Some(after) = &change.after else { return };
    let (observed, generation) = (int(after, "/status/observedGeneration"), int(after, "/metadata/generation"));
    if observed > generation {
        ground.broke("I12", format!("config {} has seen generation {observed} of {generation}", change.name));
    }
    let ready = items(after, "/status/conditions").iter().find(|item| item.get("type") == Some(&"Ready".into()));
    let is_ready = ready.and_then(|item| item.get("status")?.as_str()) == Some("True");
    let commit = after.text("/status/source/commit");
    if is_ready && after.text("/status/lastHealthy/commit") != commit {
        ground.broke("I12", format!("config {} is told ready at {commit}, which was not healthy", change.name));
    }
}
