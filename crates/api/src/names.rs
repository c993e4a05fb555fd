//! Labels, annotations and groups that carry a promise.

/// Label on every object that a GitOpsConfig applies; the sync watches are filtered by it.
pub const MANAGED_LABEL: &str = "sluice.dev/managed";
/// Annotation: `namespace/name` of the GitOpsConfig that owns the object.
pub const CONFIG: &str = "sluice.dev/config";
/// Annotation: uid of the GitOpsConfig that owns the object; prune believes nothing else.
pub const OWNER: &str = "sluice.dev/owner";
/// Annotation: the commit that last changed what this object should be.
pub const COMMIT: &str = "sluice.dev/commit";
/// Annotation: file and line of the object in the repository.
pub const SOURCE: &str = "sluice.dev/source";
/// Annotation: fields of the object that another engine drives; sync takes them from live.
pub const CLAIMS: &str = "sluice.dev/claims";
/// Annotation on a GitOpsConfig: any new value asks for an immediate fetch.
pub const REFRESH: &str = "sluice.dev/refresh";
/// Annotation on a GitOpsConfig: any new value asks for a sync now; `ID only Kind/name,...` for one of some objects.
pub const SYNC: &str = "sluice.dev/sync";
/// Finalizer of a GitOpsConfig that takes what it delivered with it when it is deleted.
pub const FINALIZER: &str = "sluice.dev/inventory";
/// The product's own group.
pub const GROUP: &str = "sluice.dev";
/// Label of the pod-template hash (Argo Rollouts).
pub const POD_TEMPLATE_HASH: &str = "rollouts-pod-template-hash";
/// Annotation of a Rollout's or ReplicaSet's revision (Argo Rollouts).
pub const ROLLOUT_REVISION: &str = "rollout.argoproj.io/revision";
/// Annotation of the replicas a ReplicaSet was last asked to have (Argo Rollouts).
pub const DESIRED_REPLICAS: &str = "rollout.argoproj.io/desired-replicas";
/// Annotation: when an unused ReplicaSet may be scaled down (Argo Rollouts).
pub const SCALE_DOWN_DEADLINE: &str = "scale-down-deadline";
/// Annotation on Services and DestinationRules that a Rollout drives (Argo Rollouts).
pub const MANAGED_BY_ROLLOUTS: &str = "argo-rollouts.argoproj.io/managed-by-rollouts";
/// Label that says which controller instance owns a Rollout (Argo Rollouts).
pub const INSTANCE_ID: &str = "argo-rollouts.argoproj.io/controller-instance-id";
