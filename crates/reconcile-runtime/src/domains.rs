//! Sluice's own domains on a runtime: the one list that operator, demonstration and tests share.

use reconcile_core::Identity;
use reconcile_core::analysis::AnalysisDomain;
use reconcile_core::environment::{ENVIRONMENT_LABEL, EnvironmentDomain};
use reconcile_core::experiment::ExperimentDomain;
use reconcile_core::kinds;
use reconcile_core::notification::{self, NotificationDomain};
use reconcile_core::promotion::PromotionDomain;
use reconcile_core::rollout::RolloutDomain;
use reconcile_core::sync::SyncDomain;

use crate::{RuntimeBuilder, WatchSelector};

/// Settings of an installation that its domains need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DomainSettings {
    /// Group under which GitOpsConfig is served.
    pub group: String,
    /// Which Rollouts, Experiments and AnalysisRuns belong to this operator (Argo's `--instance-id`); empty: those without a label.
    pub instance_id: String,
    /// Address of Prometheus where a metric names none.
    pub prometheus_address: Option<String>,
    /// The identity with which AWS is asked.
    pub aws: Option<analysis::AwsCredentials>,
    /// Where the Secrets of metric providers lie.
    pub operator_namespace: String,
    /// Who commits.
    pub bot: Identity,
    /// Names of the domains to run; empty for all.
    pub only: Vec<String>,
}

impl Default for DomainSettings {
    fn default() -> Self {
        Self {
            group: "sluice.dev".to_owned(),
            instance_id: String::new(),
            prometheus_address: None,
            aws: None,
            operator_namespace: "sluice-system".to_owned(),
            bot: Identity { name: "Sluice".to_owned(), email: "sluice@localhost".to_owned() },
            only: Vec::new(),
        }
    }
}

/// Adds Sluice's domains with the watches that they need and no more.
pub fn with_domains(mut builder: RuntimeBuilder, settings: &DomainSettings) -> RuntimeBuilder {
    let runs = |name: &str| settings.only.is_empty() || settings.only.iter().any(|only| only == name);
    let instance_id = settings.instance_id.clone();
    if runs("environment") {
        builder = builder.domain(EnvironmentDomain);
        for kind in [
            kinds::namespace(),
            kinds::network_policy(),
            kinds::resource_quota(),
            kinds::role_binding(),
            kinds::service_account(),
        ] {
            builder = builder.watch_only(kind, WatchSelector::has(ENVIRONMENT_LABEL));
        }
    }
    if runs("sync") {
        builder = builder.domain(SyncDomain { group: settings.group.clone() });
    }
    if runs("rollout") {
        builder = builder.domain(RolloutDomain { instance_id: instance_id.clone() });
    }
    if runs("experiment") {
        builder = builder.domain(ExperimentDomain { instance_id: instance_id.clone() });
    }
    if runs("rollout") || runs("experiment") {
        for kind in [kinds::replica_set(), kinds::pod()] {
            builder = builder.watch_only(kind, WatchSelector::has(api::names::POD_TEMPLATE_HASH));
        }
    }
    if runs("analysis") {
        let prometheus_address = settings.prometheus_address.clone();
        let metrics = analysis::Settings { prometheus_address, aws: settings.aws.clone() };
        let operator_namespace = settings.operator_namespace.clone();
        builder = builder.domain(AnalysisDomain { settings: metrics, instance_id, operator_namespace });
        builder = builder.watch_only(kinds::job(), WatchSelector::has(api::names::ANALYSIS_RUN_UID));
    }
    if runs("notification") {
        let operator_namespace = settings.operator_namespace.clone();
        builder = builder.domain(NotificationDomain { operator_namespace });
        builder = builder.watch_only(kinds::event(), WatchSelector::equals(notification::LABEL, notification::PENDING));
    }
    if runs("promotion") {
        builder = builder.domain(PromotionDomain { group: settings.group.clone(), bot: settings.bot.clone() });
    }
    builder
}
