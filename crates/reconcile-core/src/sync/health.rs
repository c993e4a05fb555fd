//! The health of what is live, by the rules that the config names.

use health_rules::HealthRules;

use super::hooks;
use super::snapshot::Snapshot;
use crate::{View, kinds};

/// Judges every live object of the snapshot, once.
pub(super) fn judge(snapshot: &mut Snapshot, view: &dyn View) {
    let (mut rules, problems) = HealthRules::of(&snapshot.spec.health);
    snapshot.problems.extend(problems);
    if let Some(name) = &snapshot.spec.health.script_config_map {
        let namespace = snapshot.config.namespace().unwrap_or_default();
        rules.missing = match view.get(&kinds::config_map(), namespace, name) {
            // Until every script is known, nothing can be said: the one that is missing may be about any kind.
            Some(config_map) => rules.scripts.add_config_map(&config_map).first().cloned(),
            None => Some(format!(
                "ConfigMap {namespace}/{name} with the health scripts is not there, or has no label {}: \"true\"",
                api::names::MANAGED_LABEL
            )),
        };
    }
    let (hooks, ordinary): (Vec<_>, Vec<_>) = snapshot.live.iter().partition(|(_, live)| hooks::is_hook(live));
    let mut healths = Vec::new();
    let judged = rules.judge_all(ordinary.iter().map(|(_, live)| &***live), snapshot.now);
    healths.extend(ordinary.iter().map(|(id, _)| (*id).clone()).zip(judged));
    // kstatus calls a Job that runs Current, so that every hook would be over as soon as it began.
    rules.profile = api::HealthProfile::Argo;
    let judged = rules.judge_all(hooks.iter().map(|(_, live)| &***live), snapshot.now);
    healths.extend(hooks.iter().map(|(id, _)| (*id).clone()).zip(judged));
    snapshot.healths = healths.into_iter().filter_map(|(id, health)| Some((id, health?))).collect();
}
