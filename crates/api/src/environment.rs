//! Environment: a namespace with its walls, and the Git path that says what runs in it.

use object_model::Object;

use crate::sync_windows::{self, SyncWindow};
use crate::{Fields, Problem};

/// Hard limits of the environment's ResourceQuota, as quantities by resource name.
pub type QuotaLimits = std::collections::BTreeMap<String, String>;

/// The typed fields of an Environment (sluice.dev/v1alpha1, cluster-scoped).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Environment {
    /// `metadata.name`.
    pub name: String,
    /// `spec.namespace`: the environment's name unless set.
    pub namespace: String,
    /// `spec.serviceAccount.{namespace,name}`: as whom the namespace and its walls are made.
    pub service_account: (String, String),
    /// `spec.deployer`: name of the ServiceAccount in the namespace that applies what Git says. `sluice`.
    pub deployer: String,
    /// `spec.clusterRole`: what the deployer may do in the namespace. `sluice-deployer`.
    pub cluster_role: String,
    /// `spec.quota`: limits; `pods: "100"` unless set.
    pub quota: QuotaLimits,
    /// `spec.source.url`: repository; empty when the environment is not written to.
    pub url: String,
    /// `spec.source.branch`.
    pub branch: String,
    /// `spec.source.path`.
    pub path: String,
    /// `spec.source.secretRef.{namespace,name}`: write credential for promotions.
    pub write_secret: Option<(String, String)>,
    /// `spec.hold.reason`: while set, nothing is promoted into the environment.
    pub hold: Option<String>,
    /// `spec.windows`: when the configs of the namespace may sync.
    pub windows: Vec<SyncWindow>,
}

impl Environment {
    /// Reads an environment; problems name their fields.
    pub fn parse(object: &Object) -> (Self, Vec<Problem>) {
        let mut fields = Fields::of(object);
        let name = object.name().to_owned();
        let secret = fields.text("spec.source.secretRef.name");
        let secret_namespace = fields.text("spec.source.secretRef.namespace");
        let environment = Self {
            namespace: fields.text("spec.namespace").unwrap_or_else(|| name.clone()),
            name,
            service_account: (
                fields.required_text("spec.serviceAccount.namespace"),
                fields.required_text("spec.serviceAccount.name"),
            ),
            deployer: fields.text("spec.deployer").unwrap_or_else(|| "sluice".to_owned()),
            cluster_role: fields.text("spec.clusterRole").unwrap_or_else(|| "sluice-deployer".to_owned()),
            quota: quota(&mut fields),
            url: fields.text("spec.source.url").unwrap_or_default(),
            branch: fields.text("spec.source.branch").unwrap_or_else(|| "main".to_owned()),
            path: fields.text("spec.source.path").unwrap_or_default().trim_matches('/').to_owned(),
            write_secret: secret_namespace.zip(secret),
            hold: fields.text("spec.hold.reason").filter(|reason| !reason.is_empty()),
            windows: sync_windows::windows(&mut fields, "spec.windows"),
        };
        (environment, fields.into_problems())
    }
}

fn quota(fields: &mut Fields<'_>) -> QuotaLimits {
    let Some(value) = fields.value("spec.quota") else {
        return QuotaLimits::from([("pods".to_owned(), "100".to_owned())]);
    };
    let Some(map) = value.as_object() else {
        fields.problem("spec.quota", "must be a mapping of resource to limit");
        return QuotaLimits::new();
    };
    let mut limits = QuotaLimits::new();
    for (resource, limit) in map {
        match (limit.as_str(), limit.as_u64()) {
            (Some(text), _) => limits.insert(resource.clone(), text.to_owned()),
            (_, Some(number)) => limits.insert(resource.clone(), number.to_string()),
            _ => {
                fields.problem(&format!("spec.quota.{resource}"), "must be a quantity such as 10 or 4Gi");
                None
            }
        };
    }
    limits
}
