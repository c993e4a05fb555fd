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
/// Annotation: digest of what was applied last, so that server defaults in lists are not taken for drift.
pub const APPLIED: &str = "sluice.dev/applied";
/// Annotation: fields of the object that another engine drives; sync takes them from live.
pub const CLAIMS: &str = "sluice.dev/claims";
/// Annotation on a GitOpsConfig: any new value asks for an immediate fetch.
pub const REFRESH: &str = "sluice.dev/refresh";
/// Annotation on a GitOpsConfig: any new value asks for a sync now; `ID only Kind/name,...` for one of some objects.
pub const SYNC: &str = "sluice.dev/sync";
/// Annotation on a delivered object: JSON pointers, one a line, to what came from a Secret into a render. The record leaves it
/// out.
pub const SECRET_FIELDS: &str = "sluice.dev/secret-fields";
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
/// Annotation of a ReplicaSet's earlier revisions, comma-separated (Argo Rollouts).
pub const REVISION_HISTORY: &str = "rollout.argoproj.io/revision-history";
/// Annotation of the labels and annotations that were put into a ReplicaSet's template for a while (Argo Rollouts).
pub const EPHEMERAL_METADATA: &str = "rollout.argoproj.io/ephemeral-metadata";
/// Annotation of the generation of the workload that a Rollout takes its template from (Argo Rollouts).
pub const WORKLOAD_GENERATION: &str = "rollout.argoproj.io/workload-generation";
/// Label of the Jobs and pods of an AnalysisRun (Argo Rollouts).
pub const ANALYSIS_RUN_UID: &str = "analysisrun.argoproj.io/uid";
/// Annotation of a ReplicaSet: keys that its pods carried for a role and that are to be taken off them.
pub const RETIRED_METADATA: &str = "sluice.dev/retired-metadata";
/// Annotation of a Deployment: the replicas that it had before a Rollout began to take its place.
pub const SCALED_FROM: &str = "sluice.dev/scaled-from";
/// Annotation of an AnalysisRun or Experiment: the try of an update that it was made for.
pub const TRY: &str = "sluice.dev/try";
/// Annotation on the ReplicaSets and Services of an Experiment: its name (Argo Rollouts).
pub const EXPERIMENT_NAME: &str = "experiment.argoproj.io/name";
/// Annotation on the ReplicaSets and Services of an Experiment: their template (Argo Rollouts).
pub const EXPERIMENT_TEMPLATE: &str = "experiment.argoproj.io/template-name";
