//! What a spectator sees at one moment.

use object_model::Object;

use crate::setting::{Setting, list};

/// The world in a few lines: a block an environment, and the newest commits.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Frame {
    /// Lines of a tree.
    pub lines: Vec<String>,
}

/// Looks at environments, Rollouts, weights, measurements and the Git log.
pub async fn frame(setting: &Setting) -> Frame {
    let mut lines = Vec::new();
    let people = &setting.people;
    let rollouts = list(people, "argoproj.io/v1alpha1", "Rollout", "").await.unwrap_or_default();
    let runs = list(people, "argoproj.io/v1alpha1", "AnalysisRun", "").await.unwrap_or_default();
    let configs = list(people, "sluice.dev/v1", "GitOpsConfig", "").await.unwrap_or_default();
    for environment in list(people, "sluice.dev/v1alpha1", "Environment", "").await.unwrap_or_default() {
        let namespace = environment.str_at("/status/namespace").unwrap_or(environment.name()).to_owned();
        lines.push(format!("{} environment/{}", mark(ready(&environment)), environment.name()));
        let here = |object: &&Object| object.namespace() == Some(&namespace);
        for config in configs.iter().filter(here) {
            let commit = config.str_at("/status/source/commit").and_then(|commit| commit.get(..8)).unwrap_or("-");
            lines.push(format!("  {} config/{} at {commit}", mark(ready(config)), config.name()));
        }
        for rollout in rollouts.iter().filter(here) {
            lines.extend(rollout_lines(rollout, &runs));
        }
    }
    for entry in setting.fleet.log(4) {
        let id = entry.id.to_string();
        lines.push(format!("git {} {} ({})", id.get(..8).unwrap_or(&id), entry.subject(), entry.author.name));
    }
    Frame { lines }
}

fn rollout_lines(rollout: &Object, runs: &[Object]) -> Vec<String> {
    let text = |pointer: &str| rollout.str_at(pointer).unwrap_or_default();
    let image = text("/spec/template/spec/containers/0/image").rsplit(':').next().unwrap_or_default().to_owned();
    let weight = rollout.int_at("/status/canary/weights/canary/weight").unwrap_or(0);
    let filled = usize::try_from(weight / 5).unwrap_or(0).min(20);
    let bar = format!("{}{}", "#".repeat(filled), ".".repeat(20 - filled));
    let mut lines = vec![format!(
        "  {} rollout/{} {image} [{bar}] {weight:>3} % {}",
        mark(text("/status/phase") == "Healthy"),
        rollout.name(),
        text("/status/phase")
    )];
    let newest = runs
        .iter()
        .filter(|run| run.namespace() == rollout.namespace())
        .max_by_key(|run| run.str_at("/metadata/creationTimestamp").unwrap_or_default().to_owned());
    if let Some(run) = newest {
        let count = |key: &str| run.int_at(&format!("/status/metricResults/0/{key}")).unwrap_or(0);
        let phase = run.str_at("/status/phase").unwrap_or("Pending");
        lines.push(format!(
            "      analysisrun/{} {phase}: {} ok, {} failed, {} error",
            run.name(),
            count("successful"),
            count("failed"),
            count("error")
        ));
    }
    lines
}

fn ready(object: &Object) -> bool {
    super::has_condition(object, "Ready", "True")
}

fn mark(good: bool) -> &'static str {
    if good { "✔" } else { "◌" }
}
