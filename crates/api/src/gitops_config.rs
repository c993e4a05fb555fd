//! GitOpsConfig: one path of one commit of one repository, applied to the cluster.

use object_model::{Duration, Object};

use crate::health_settings::{self, HealthSettings};
use crate::render_settings::{RenderSettings, render_fields};
use crate::source_settings::{self, Reference, SourceSettings};
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
    /// `spec.branch` or `spec.ref`, `spec.auth`, `spec.verify`: what is read and how.
    pub source: SourceSettings,
    /// `spec.path`, without leading `./` and slashes; empty for the root.
    pub path: String,
    /// `spec.interval`: time between polls; a webhook makes a fetch immediate. 3 minutes.
    pub interval: Duration,
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
            url: source_settings::url(&mut fields),
            source: source_settings::source(&mut fields),
            path: path_field(&mut fields),
            interval: interval_field(&mut fields),
            render: render_fields(&mut fields, object.name()),
            namespace: fields.text("spec.destination.namespace").unwrap_or(own_namespace),
            service_account: source_settings::service_account(&mut fields),
            sync: sync_settings::sync(&mut fields),
            apply: sync_settings::apply(&mut fields),
            prune: sync_settings::prune(&mut fields),
            health: health_settings::health(&mut fields),
            on_failure: on_failure_field(&mut fields),
            write_secret: source_settings::own_secret(&mut fields, "spec.rollback.secretRef"),
            deletion: deletion_field(&mut fields),
            suspend: fields.boolean("spec.suspend").unwrap_or(false),
        };
        source_settings::no_other_cluster(&mut fields);
        let is_branch = matches!(config.source.reference, Reference::Branch(_));
        if config.on_failure == OnFailure::RevertCommit && !is_branch {
            fields.problem("spec.rollback.onFailure", "commits are written to branches only, and spec.ref names none");
        }
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

    fn problems_of(more: serde_json::Value) -> Vec<String> {
        let mut spec = json!({"url": "https://x/y.git", "branch": "main", "path": "a"});
        if let (Some(spec), serde_json::Value::Object(more)) = (spec.as_object_mut(), more) {
            spec.extend(more);
        }
        config(spec).1
    }

    #[test]
    fn case_06_a_credential_in_the_url_is_refused_and_not_repeated() {
        for url in ["https://ann:hunter2@x/y.git", "https://hunter2@x/y.git", "ssh://git:hunter2@x/y.git"] {
            let problems = problems_of(json!({"url": url}));
            assert!(problems[0].starts_with("spec.url: carries a credential"), "{problems:?}");
            assert!(!format!("{problems:?}").contains("hunter2"));
            assert_eq!(config(json!({"url": url, "branch": "main"})).0.url, "");
        }
        for url in ["ssh://git@x/y.git", "git@x:y.git", "https://x/@y.git"] {
            assert_eq!(problems_of(json!({"url": url})), Vec::<String>::new());
        }
    }

    #[test]
    fn case_16_secrets_of_another_namespace_are_refused_without_a_look_at_them() {
        let there = json!({"name": "token", "namespace": "kube-system"});
        for (spec, field) in [
            (json!({"auth": {"secretRef": there}}), "spec.auth.secretRef.namespace"),
            (json!({"auth": {"proxySecretRef": there}}), "spec.auth.proxySecretRef.namespace"),
            (json!({"verify": {"secretRef": there}}), "spec.verify.secretRef.namespace"),
            (json!({"rollback": {"secretRef": there}}), "spec.rollback.secretRef.namespace"),
        ] {
            let expected = format!("{field}: Secrets are read from the namespace of the config only");
            assert_eq!(problems_of(spec), [expected]);
        }
        assert!(problems_of(json!({"auth": {"secretRef": {"name": "token", "namespace": "qa"}}})).is_empty());
    }

    #[test]
    fn case_17_a_service_account_is_a_plain_name_of_the_own_namespace() {
        for name in ["kube-system:admin", "kube-system/admin", "admin\nX-Remote-Group: system:masters", "", "-a", "A"] {
            let problems = problems_of(json!({"destination": {"serviceAccountName": name}}));
            assert!(problems[0].ends_with("is not the name of a ServiceAccount of this namespace"), "{problems:?}");
        }
    }

    #[test]
    fn case_18_a_config_for_another_cluster_is_refused_whatever_its_kubeconfig_would_run() {
        let reference = json!({"secretRef": {"name": "kubeconfig-with-exec"}});
        for spec in [
            json!({"destination": {"cluster": {"kubeConfigRef": reference}}}),
            json!({"destination": {"kubeConfig": reference}}),
            json!({"kubeConfig": reference}),
        ] {
            let problems = problems_of(spec);
            assert!(problems[0].ends_with("other clusters are not supported; no kubeconfig is read"), "{problems:?}");
        }
    }

    #[test]
    fn case_31_extreme_values_are_named_problems_or_bounded() {
        for (spec, field) in [
            (json!({"interval": "-5m"}), "spec.interval"),
            (json!({"interval": "0s"}), "spec.interval"),
            (json!({"interval": "1000000000000000000000h"}), "spec.interval"),
            (json!({"depth": -1}), "spec.depth"),
            (json!({"depth": 4_294_967_296_u64}), "spec.depth"),
            (json!({"sync": {"retry": {"limit": -1}}}), "spec.sync.retry.limit"),
            (json!({"sync": {"retry": {"limit": 1e30}}}), "spec.sync.retry.limit"),
            (json!({"prune": {"guard": {"maxPercent": "all"}}}), "spec.prune.guard.maxPercent"),
            (json!({"sync": []}), ""),
            (json!({"path": "a/../../b"}), "spec.path"),
            (json!({"branch": "x".repeat(1_400_000)}), "spec.branch"),
        ] {
            let problems = problems_of(spec.clone());
            let is_named = field.is_empty() || problems.iter().any(|problem| problem.starts_with(field));
            assert!(is_named, "{} {problems:?}", spec.to_string().chars().take(100).collect::<String>());
        }
        let long = problems_of(json!({"interval": "1000000000s"}));
        assert_eq!(long, Vec::<String>::new(), "a long wait is a wish that can be honoured");
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
