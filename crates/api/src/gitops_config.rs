//! GitOpsConfig: one path of one branch of one repository, applied to the cluster.

use object_model::{Duration, Object};

use crate::health_settings::{self, HealthSettings};
use crate::render_settings::{RenderSettings, render_fields};
use crate::sync_settings::{self, ApplySettings, PruneSettings, SyncSettings};
use crate::{Fields, Problem};

/// What happens in Git when what a commit deployed fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnFailure {
    /// Nothing; the cluster alone goes back.
    None,
    /// A commit restores the paths that the config rendered from.
    RevertCommit,
}

/// What becomes of the objects of a config that is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeletionPolicy {
    /// They stay as they are.
    Orphan,
    /// They are deleted too; the config goes once every delete was accepted.
    Delete,
    /// They are deleted too, with what depends on them; the config goes once they are gone.
    WaitForTermination,
}

/// The typed fields of a GitOpsConfig. `url`, `branch` and `path` are the whole minimal spec.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GitOpsConfig {
    /// `spec.url`.
    pub url: String,
    /// `spec.branch`.
    pub branch: String,
    /// `spec.path`, without leading `./` and slashes; empty for the root.
    pub path: String,
    /// `spec.interval`: time between polls; a webhook makes a fetch immediate. 3 minutes.
    pub interval: Duration,
    /// `spec.auth.secretRef.name`: read credential, in the config's namespace.
    pub read_secret: Option<String>,
    /// `spec.render`: how files become objects.
    pub render: RenderSettings,
    /// `spec.destination.namespace`: for objects that name none; the config's own namespace.
    pub namespace: String,
    /// `spec.destination.serviceAccountName`, in the config's namespace: as whom objects are applied. `sluice`.
    pub service_account: String,
    /// `spec.sync`: when objects are applied.
    pub sync: SyncSettings,
    /// `spec.apply`: how objects are applied.
    pub apply: ApplySettings,
    /// `spec.prune`: what happens to objects that leave Git.
    pub prune: PruneSettings,
    /// `spec.health`: by whose rules objects are judged.
    pub health: HealthSettings,
    /// `spec.rollback.onFailure`. None.
    pub on_failure: OnFailure,
    /// `spec.rollback.secretRef.name`: the write credential, in the config's namespace; apart from the read one.
    pub write_secret: Option<String>,
    /// `spec.deletionPolicy`. Orphan.
    pub deletion: DeletionPolicy,
    /// `spec.suspend`. False.
    pub suspend: bool,
}

impl GitOpsConfig {
    /// Reads a config; problems name their fields.
    pub fn parse(object: &Object) -> (Self, Vec<Problem>) {
        let mut fields = Fields::of(object);
        let own_namespace = object.namespace().unwrap_or_default().to_owned();
        let config = Self {
            url: fields.required_text("spec.url"),
            branch: fields.required_text("spec.branch"),
            path: path_field(&mut fields),
            interval: interval_field(&mut fields),
            read_secret: fields.text("spec.auth.secretRef.name"),
            render: render_fields(&mut fields, object.name()),
            namespace: fields.text("spec.destination.namespace").unwrap_or(own_namespace),
            service_account: fields.text("spec.destination.serviceAccountName").unwrap_or_else(|| "sluice".to_owned()),
            sync: sync_settings::sync(&mut fields),
            apply: sync_settings::apply(&mut fields),
            prune: sync_settings::prune(&mut fields),
            health: health_settings::health(&mut fields),
            on_failure: on_failure_field(&mut fields),
            write_secret: fields.text("spec.rollback.secretRef.name"),
            deletion: deletion_field(&mut fields),
            suspend: fields.boolean("spec.suspend").unwrap_or(false),
        };
        (config, fields.into_problems())
    }
}

fn path_field(fields: &mut Fields<'_>) -> String {
    let path = fields.text("spec.path").unwrap_or_default();
    let trimmed = path.trim_start_matches("./").trim_matches('/');
    let trimmed = if trimmed == "." { "" } else { trimmed };
    if trimmed.split('/').any(|part| part == ".." || part == ".git") {
        fields.problem("spec.path", format!("`{path}` leaves the repository"));
        return String::new();
    }
    trimmed.to_owned()
}

fn interval_field(fields: &mut Fields<'_>) -> Duration {
    let interval = fields.duration("spec.interval").unwrap_or(Duration::from_secs(180));
    if interval < Duration::from_secs(1) {
        fields.problem("spec.interval", "must be at least 1s");
        return Duration::from_secs(180);
    }
    interval
}

fn on_failure_field(fields: &mut Fields<'_>) -> OnFailure {
    match fields.text("spec.rollback.onFailure").as_deref() {
        None | Some("none") => OnFailure::None,
        Some("revertCommit") => OnFailure::RevertCommit,
        Some(other) => {
            fields.problem("spec.rollback.onFailure", format!("`{other}` is not one of none, revertCommit"));
            OnFailure::None
        }
    }
}

fn deletion_field(fields: &mut Fields<'_>) -> DeletionPolicy {
    match fields.text("spec.deletionPolicy").as_deref() {
        None | Some("Orphan") => DeletionPolicy::Orphan,
        Some("Delete") => DeletionPolicy::Delete,
        Some("WaitForTermination") => DeletionPolicy::WaitForTermination,
        Some(other) => {
            fields
                .problem("spec.deletionPolicy", format!("`{other}` is not one of Orphan, Delete, WaitForTermination"));
            DeletionPolicy::Orphan
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn config(spec: serde_json::Value) -> (GitOpsConfig, Vec<String>) {
        let object = Object::parse(
            json!({"apiVersion": "sluice.dev/v1", "kind": "GitOpsConfig", "metadata": {"name": "a", "namespace": "qa"}, "spec": spec}),
        );
        let (config, problems) = GitOpsConfig::parse(&object.unwrap());
        (config, problems.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn three_fields_are_a_complete_config() {
        let (config, problems) = config(json!({"url": "https://x/y.git", "branch": "main", "path": "./apps/"}));
        assert!(problems.is_empty());
        assert_eq!((config.path.as_str(), config.namespace.as_str(), config.prune.enabled), ("apps", "qa", true));
    }

    #[test]
    fn a_chart_takes_its_release_and_values_from_the_config() {
        let render = json!({"type": "helm", "values": {"a": 1}, "valuesFiles": ["qa.yaml"], "apiVersions": ["x/v1"]});
        let (config, problems) = config(json!({"url": "https://x/y.git", "branch": "main", "render": render}));
        assert_eq!(problems, Vec::<String>::new());
        assert_eq!((config.render.release_name.as_str(), config.render.values.len()), ("a", 1));
        assert_eq!(
            (config.render.values_files, config.render.api_versions),
            (vec!["qa.yaml".into()], vec!["x/v1".into()])
        );
    }

    #[test]
    fn every_wrong_field_is_named_at_once() {
        let (_, problems) =
            config(json!({"url": 3, "path": "../x", "interval": "soon", "prune": {"guard": {"maxPercent": -1}}}));
        assert_eq!(
            problems,
            [
                "spec.url: must be a string, not a number",
                "spec.branch: is required",
                "spec.path: `../x` leaves the repository",
                "spec.interval: `soon` is not a duration: a number needs a unit: ns, us, ms, s, m or h",
                "spec.prune.guard.maxPercent: must be a whole number from 0, not -1",
            ]
        );
    }
}
