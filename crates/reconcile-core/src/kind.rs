//! The resources that decisions name. Kinds of users' objects are found by discovery in the runtime.

use object_model::Gvk;

/// Whether objects of a kind live in namespaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// In namespaces.
    Namespaced,
    /// Cluster-wide.
    Cluster,
}

/// A kind with what is needed to address it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Kind {
    /// API group; empty for core.
    pub group: String,
    /// API version.
    pub version: String,
    /// Kind.
    pub kind: String,
    /// Resource name in paths.
    pub plural: String,
    /// Scope.
    pub scope: Scope,
}

impl Kind {
    /// Returns a namespaced kind.
    pub fn namespaced(group: &str, version: &str, kind: &str, plural: &str) -> Self {
        Self::new(group, version, kind, plural, Scope::Namespaced)
    }

    /// Returns a cluster-scoped kind.
    pub fn cluster(group: &str, version: &str, kind: &str, plural: &str) -> Self {
        Self::new(group, version, kind, plural, Scope::Cluster)
    }

    /// Returns a kind.
    pub fn new(group: &str, version: &str, kind: &str, plural: &str, scope: Scope) -> Self {
        Self {
            group: group.to_owned(),
            version: version.to_owned(),
            kind: kind.to_owned(),
            plural: plural.to_owned(),
            scope,
        }
    }

    /// Group, version and kind.
    pub fn gvk(&self) -> Gvk {
        Gvk::new(&self.group, &self.version, &self.kind)
    }

    /// `apiVersion` of its objects.
    pub fn api_version(&self) -> String {
        self.gvk().api_version()
    }
}

/// The kinds that the domains of this crate read and write.
pub mod kinds {
    use super::Kind;

    /// Core Namespace.
    pub fn namespace() -> Kind {
        Kind::cluster("", "v1", "Namespace", "namespaces")
    }
    /// Core Service.
    pub fn service() -> Kind {
        Kind::namespaced("", "v1", "Service", "services")
    }
    /// Core ServiceAccount.
    pub fn service_account() -> Kind {
        Kind::namespaced("", "v1", "ServiceAccount", "serviceaccounts")
    }
    /// Core ResourceQuota.
    pub fn resource_quota() -> Kind {
        Kind::namespaced("", "v1", "ResourceQuota", "resourcequotas")
    }
    /// Core ConfigMap.
    pub fn config_map() -> Kind {
        Kind::namespaced("", "v1", "ConfigMap", "configmaps")
    }
    /// Core Event.
    pub fn event() -> Kind {
        Kind::namespaced("", "v1", "Event", "events")
    }
    /// Core Secret.
    pub fn secret() -> Kind {
        Kind::namespaced("", "v1", "Secret", "secrets")
    }
    /// batch Job.
    pub fn job() -> Kind {
        Kind::namespaced("batch", "v1", "Job", "jobs")
    }
    /// apps Deployment.
    pub fn deployment() -> Kind {
        Kind::namespaced("apps", "v1", "Deployment", "deployments")
    }
    /// Core Pod.
    pub fn pod() -> Kind {
        Kind::namespaced("", "v1", "Pod", "pods")
    }
    /// Core PodTemplate.
    pub fn pod_template() -> Kind {
        Kind::namespaced("", "v1", "PodTemplate", "podtemplates")
    }
    /// apps ReplicaSet.
    pub fn replica_set() -> Kind {
        Kind::namespaced("apps", "v1", "ReplicaSet", "replicasets")
    }
    /// networking NetworkPolicy.
    pub fn network_policy() -> Kind {
        Kind::namespaced("networking.k8s.io", "v1", "NetworkPolicy", "networkpolicies")
    }
    /// RBAC RoleBinding.
    pub fn role_binding() -> Kind {
        Kind::namespaced("rbac.authorization.k8s.io", "v1", "RoleBinding", "rolebindings")
    }
    /// autoscaling HorizontalPodAutoscaler.
    pub fn horizontal_pod_autoscaler() -> Kind {
        Kind::namespaced("autoscaling", "v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers")
    }
    /// Argo Rollout.
    pub fn rollout() -> Kind {
        Kind::namespaced("argoproj.io", "v1alpha1", "Rollout", "rollouts")
    }
    /// Argo AnalysisTemplate.
    pub fn analysis_template() -> Kind {
        Kind::namespaced("argoproj.io", "v1alpha1", "AnalysisTemplate", "analysistemplates")
    }
    /// Argo ClusterAnalysisTemplate.
    pub fn cluster_analysis_template() -> Kind {
        Kind::cluster("argoproj.io", "v1alpha1", "ClusterAnalysisTemplate", "clusteranalysistemplates")
    }
    /// Argo AnalysisRun.
    pub fn analysis_run() -> Kind {
        Kind::namespaced("argoproj.io", "v1alpha1", "AnalysisRun", "analysisruns")
    }
    /// Argo Experiment.
    pub fn experiment() -> Kind {
        Kind::namespaced("argoproj.io", "v1alpha1", "Experiment", "experiments")
    }
    /// Istio VirtualService.
    pub fn virtual_service() -> Kind {
        Kind::namespaced("networking.istio.io", "v1alpha3", "VirtualService", "virtualservices")
    }
    /// Every kind that divides traffic, in the versions that Argo Rollouts uses by default. Most clusters serve few of them.
    pub fn traffic() -> Vec<Kind> {
        let gateway = "gateway.networking.k8s.io";
        let mesh = "appmesh.k8s.aws";
        vec![
            virtual_service(),
            Kind::namespaced("networking.istio.io", "v1alpha3", "DestinationRule", "destinationrules"),
            Kind::namespaced("networking.k8s.io", "v1", "Ingress", "ingresses"),
            Kind::namespaced(gateway, "v1", "HTTPRoute", "httproutes"),
            Kind::namespaced(gateway, "v1", "GRPCRoute", "grpcroutes"),
            Kind::namespaced(gateway, "v1alpha2", "TCPRoute", "tcproutes"),
            Kind::namespaced(gateway, "v1alpha2", "TLSRoute", "tlsroutes"),
            Kind::namespaced("split.smi-spec.io", "v1alpha1", "TrafficSplit", "trafficsplits"),
            Kind::namespaced("getambassador.io", "v2", "Mapping", "mappings"),
            Kind::namespaced(mesh, "v1beta2", "VirtualService", "virtualservices"),
            Kind::namespaced(mesh, "v1beta2", "VirtualRouter", "virtualrouters"),
            Kind::namespaced(mesh, "v1beta2", "VirtualNode", "virtualnodes"),
            Kind::namespaced("traefik.io", "v1alpha1", "TraefikService", "traefikservices"),
            Kind::namespaced("apisix.apache.org", "v2", "ApisixRoute", "apisixroutes"),
        ]
    }
    /// Our GitOpsConfig, under the group that the installation chose.
    pub fn gitops_config(group: &str) -> Kind {
        Kind::namespaced(group, "v1", "GitOpsConfig", "gitopsconfigs")
    }
    /// Our Inventory chunks.
    pub fn inventory() -> Kind {
        Kind::namespaced("sluice.dev", "v1alpha1", "Inventory", "inventories")
    }
    /// Our Environment.
    pub fn environment() -> Kind {
        Kind::cluster("sluice.dev", "v1alpha1", "Environment", "environments")
    }
    /// Our Pipeline.
    pub fn pipeline() -> Kind {
        Kind::namespaced("sluice.dev", "v1alpha1", "Pipeline", "pipelines")
    }
    /// Our Promotion.
    pub fn promotion() -> Kind {
        Kind::namespaced("sluice.dev", "v1alpha1", "Promotion", "promotions")
    }
}
