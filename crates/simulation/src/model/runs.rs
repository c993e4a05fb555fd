//! The AnalysisRuns of the generated world: they end when they are let, and each of them counts for one try of one version.

use std::fmt::Write as _;

use object_model::Object;
use reconcile_core::{View, kinds};
use serde_json::{Value, json};

use super::world::{HASH, NAMESPACE, World};

/// The recipe of all of them.
pub(super) const TEMPLATE: &str = "rate";
const TRY: &str = "sluice.dev/try";

/// The recipe as its user writes it.
pub(super) fn template() -> Value {
    let metric = json!({"name": "rate", "provider": {"prometheus": {"address": "http://prometheus", "query": "up"}}});
    json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "AnalysisTemplate",
        "metadata": {"name": TEMPLATE, "namespace": NAMESPACE}, "spec": {"metrics": [metric]}})
}

impl World {
    /// Some of the runs end, well or badly.
    pub(super) fn runs_end(&mut self, random: u64) {
        let mut open = self.view.list(&kinds::analysis_run(), NAMESPACE);
        open.retain(|run| run.str_at("/status/phase").is_none());
        for (index, run) in (0..19).zip(open) {
            let chance = random >> (index * 3);
            if chance & 1 == 0 {
                continue;
            }
            let is_bad = chance & 6 == 6 && run.bool_at("/spec/terminate") != Some(true);
            let phase = if is_bad { "Failed" } else { "Successful" };
            let _ = writeln!(self.log, "run {} {phase}", run.name());
            self.change(&kinds::analysis_run(), run.name(), &json!({"status": {"phase": phase}}));
        }
    }

    /// A try of a version is judged once at each of its steps.
    pub(super) fn judge_run(&self, name: &str) -> Result<(), String> {
        let all = self.view.list(&kinds::analysis_run(), NAMESPACE);
        let Some(made) = all.iter().find(|run| run.name() == name) else { return Ok(()) };
        let same = |run: &Object| {
            let label = |key: &str| run.label(key) == made.label(key);
            label(HASH) && label("step-index") && label("rollout-type") && run.annotation(TRY) == made.annotation(TRY)
        };
        match all.iter().filter(|run| same(run)).count() {
            0 | 1 => Ok(()),
            count => Err(format!("{name} is one of {count} runs for the same step of one try\n{}", self.tail())),
        }
    }

    /// A version is stable once all its analyses have succeeded and none of this try has failed.
    pub(super) fn judge_promotion(&self, before: &Object, after: &Object) -> Result<(), String> {
        let stable = |rollout: &Object| rollout.str_at("/status/stableRS").unwrap_or_default().to_owned();
        let hash = stable(after);
        let is_wished = before.bool_at("/status/promoteFull") == Some(true);
        if stable(before).is_empty() || stable(before) == hash || is_wished {
            return Ok(());
        }
        let step_hash = after.str_at("/status/currentStepHash").unwrap_or_default();
        let begun = before.str_at("/status/duration/rolloutStartedAt").unwrap_or_default();
        let present = format!("{begun} {step_hash}");
        let all = self.view.list(&kinds::analysis_run(), NAMESPACE);
        let count = |phase: &str| {
            let runs = all.iter().filter(|run| run.label(HASH) == Some(hash.as_str()));
            let runs = runs.filter(|run| run.annotation(TRY) == Some(present.as_str()));
            runs.filter(|run| run.str_at("/status/phase") == Some(phase)).count()
        };
        let steps = after.list_at("/spec/strategy/canary/steps");
        let needed = steps.iter().filter(|step| step.get("analysis").is_some()).count();
        let (good, bad) = (count("Successful"), count("Failed"));
        match good < needed || bad > 0 {
            true => Err(format!("{hash} is stable with {good} of {needed} analyses and {bad} failed\n{}", self.tail())),
            false => Ok(()),
        }
    }
}
