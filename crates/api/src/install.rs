//! The manifests of an installation besides its definitions, as text.

/// Namespace of the operator.
pub const NAMESPACE: &str = "sluice-system";
/// Name of the operator's ServiceAccount.
pub const SERVICE_ACCOUNT: &str = "sluice-operator";

/// Namespace, ServiceAccount and one ClusterRole a domain, for GitOpsConfig under `group`.
pub fn rbac(group: &str) -> String {
    include_str!("../install/rbac.yaml").replace("GROUP", group)
}

/// Deployment and Service of the operator.
pub fn operator(group: &str, image: &str) -> String {
    include_str!("../install/operator.yaml").replace("GROUP", group).replace("IMAGE", image)
}
