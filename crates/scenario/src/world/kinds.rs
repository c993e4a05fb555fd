//! The names by which scenarios call objects: `config/shop` for a GitOpsConfig.

use object_model::Object;

use crate::setting::{PeopleError, Setting, get};

/// A kind: the words for it, its API version, its name, and whether its objects live in namespaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kind {
    pub(crate) words: &'static [&'static str],
    pub(crate) api_version: &'static str,
    pub(crate) name: &'static str,
    pub(crate) plural: &'static str,
    pub(crate) is_namespaced: bool,
    /// Whether a cluster is at rest only when these are: not what is rarely written, and not what only some clusters serve.
    pub(crate) is_watched: bool,
}

const fn kind(
    words: &'static [&'static str],
    api_version: &'static str,
    name: &'static str,
    plural: &'static str,
) -> Kind {
    Kind { words, api_version, name, plural, is_namespaced: true, is_watched: true }
}

const fn of_cluster(
    words: &'static [&'static str],
    api_version: &'static str,
    name: &'static str,
    plural: &'static str,
) -> Kind {
    Kind { words, api_version, name, plural, is_namespaced: false, is_watched: true }
}

/// A kind that does not count when a cluster is looked at for rest.
const fn aside(kind: Kind) -> Kind {
    Kind { is_watched: false, ..kind }
}

/// Every kind of which scenarios speak.
pub(crate) const KINDS: &[Kind] = &[
    kind(&["config", "gitopsconfig"], "sluice.dev/v1", "GitOpsConfig", "gitopsconfigs"),
    kind(&["promotion"], "sluice.dev/v1alpha1", "Promotion", "promotions"),
    kind(&["pipeline"], "sluice.dev/v1alpha1", "Pipeline", "pipelines"),
    of_cluster(&["environment"], "sluice.dev/v1alpha1", "Environment", "environments"),
    kind(&["rollout"], "argoproj.io/v1alpha1", "Rollout", "rollouts"),
    kind(&["analysisrun"], "argoproj.io/v1alpha1", "AnalysisRun", "analysisruns"),
    kind(&["experiment"], "argoproj.io/v1alpha1", "Experiment", "experiments"),
    kind(&["analysistemplate"], "argoproj.io/v1alpha1", "AnalysisTemplate", "analysistemplates"),
    kind(&["virtualservice"], "networking.istio.io/v1alpha3", "VirtualService", "virtualservices"),
    kind(&["deployment"], "apps/v1", "Deployment", "deployments"),
    kind(&["replicaset"], "apps/v1", "ReplicaSet", "replicasets"),
    kind(&["job"], "batch/v1", "Job", "jobs"),
    kind(&["configmap"], "v1", "ConfigMap", "configmaps"),
    kind(&["secret"], "v1", "Secret", "secrets"),
    kind(&["service"], "v1", "Service", "services"),
    kind(&["pod"], "v1", "Pod", "pods"),
    kind(&["podtemplate"], "v1", "PodTemplate", "podtemplates"),
    aside(kind(&["destinationrule"], "networking.istio.io/v1alpha3", "DestinationRule", "destinationrules")),
    aside(kind(&["trafficsplit"], "split.smi-spec.io/v1alpha1", "TrafficSplit", "trafficsplits")),
    aside(kind(&["apisixroute"], "apisix.apache.org/v2", "ApisixRoute", "apisixroutes")),
    aside(kind(&["traefikservice"], "traefik.io/v1alpha1", "TraefikService", "traefikservices")),
    aside(kind(&["mapping"], "getambassador.io/v2", "Mapping", "mappings")),
    aside(kind(&["virtualrouter"], "appmesh.k8s.aws/v1beta2", "VirtualRouter", "virtualrouters")),
    aside(kind(&["virtualnode"], "appmesh.k8s.aws/v1beta2", "VirtualNode", "virtualnodes")),
    aside(kind(&["httproute"], "gateway.networking.k8s.io/v1", "HTTPRoute", "httproutes")),
    kind(&["poddisruptionbudget"], "policy/v1", "PodDisruptionBudget", "poddisruptionbudgets"),
    aside(kind(&["event"], "v1", "Event", "events")),
    kind(&["serviceaccount"], "v1", "ServiceAccount", "serviceaccounts"),
    kind(&["resourcequota"], "v1", "ResourceQuota", "resourcequotas"),
    of_cluster(&["namespace"], "v1", "Namespace", "namespaces"),
    kind(&["networkpolicy"], "networking.k8s.io/v1", "NetworkPolicy", "networkpolicies"),
    kind(&["rolebinding"], "rbac.authorization.k8s.io/v1", "RoleBinding", "rolebindings"),
    aside(kind(&["statefulset"], "apps/v1", "StatefulSet", "statefulsets")),
    aside(kind(&["daemonset"], "apps/v1", "DaemonSet", "daemonsets")),
    aside(kind(&["cronjob"], "batch/v1", "CronJob", "cronjobs")),
    aside(kind(&["ingress"], "networking.k8s.io/v1", "Ingress", "ingresses")),
    aside(kind(&["autoscaler"], "autoscaling/v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers")),
    aside(kind(&["claim"], "v1", "PersistentVolumeClaim", "persistentvolumeclaims")),
    aside(kind(&["limitrange"], "v1", "LimitRange", "limitranges")),
    aside(kind(&["role"], "rbac.authorization.k8s.io/v1", "Role", "roles")),
    aside(kind(&["inventory"], "sluice.dev/v1alpha1", "Inventory", "inventories")),
    aside(of_cluster(&["clusterrole"], "rbac.authorization.k8s.io/v1", "ClusterRole", "clusterroles")),
    aside(of_cluster(
        &["clusterrolebinding"],
        "rbac.authorization.k8s.io/v1",
        "ClusterRoleBinding",
        "clusterrolebindings",
    )),
    aside(of_cluster(&["storageclass"], "storage.k8s.io/v1", "StorageClass", "storageclasses")),
    aside(of_cluster(&["priorityclass"], "scheduling.k8s.io/v1", "PriorityClass", "priorityclasses")),
    aside(of_cluster(
        &["definition"],
        "apiextensions.k8s.io/v1",
        "CustomResourceDefinition",
        "customresourcedefinitions",
    )),
    aside(kind(&["gadget"], "engine.example.com/v1", "Gadget", "gadgets")),
];

/// Finds a kind by a word for it.
pub(crate) fn find(word: &str) -> Result<Kind, String> {
    let found = KINDS.iter().find(|kind| kind.words.contains(&word));
    found.copied().ok_or_else(|| {
        let known: Vec<&str> = KINDS.iter().filter_map(|kind| kind.words.first().copied()).collect();
        format!("`{word}` is no kind; known are {}", known.join(", "))
    })
}

/// One object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reference {
    pub(crate) kind: Kind,
    pub(crate) namespace: String,
    pub(crate) name: String,
}

impl Reference {
    /// Reads `KIND/NAME [in NAMESPACE]` from the beginning of `words`, and returns what follows.
    pub(crate) fn parse<'a>(words: &'a [String], namespace: &'a str) -> Result<(Self, &'a [String]), String> {
        let (first, rest) = words.split_first().ok_or("KIND/NAME is missing")?;
        let (word, name) = first.split_once('/').ok_or_else(|| format!("`{first}` is not KIND/NAME"))?;
        let (namespace, rest) = within(rest, namespace);
        let kind = find(word)?;
        let namespace = if kind.is_namespaced { namespace } else { "" };
        Ok((Self { kind, namespace: namespace.to_owned(), name: name.to_owned() }, rest))
    }

    /// The object as it is now.
    pub(crate) async fn read(&self, setting: &Setting) -> Result<Option<Object>, PeopleError> {
        get(&setting.people, self.kind.api_version, self.kind.name, &self.namespace, &self.name).await
    }
}

impl std::fmt::Display for Reference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}/{}", self.kind.name, self.namespace, self.name)
    }
}

/// Reads `in NAMESPACE` from the beginning of `words`; without it, the namespace is the current one.
pub(crate) fn within<'a>(words: &'a [String], namespace: &'a str) -> (&'a str, &'a [String]) {
    match words {
        [word, other, rest @ ..] if word == "in" => (other, rest),
        _ => (namespace, words),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn an_object_is_named_by_kind_and_name_and_where_it_is() {
        let all = words("config/shop in e2e exists");
        let (reference, rest) = Reference::parse(&all, "qa").unwrap();
        assert_eq!((reference.to_string().as_str(), rest), ("GitOpsConfig e2e/shop", &words("exists")[..]));
        let all = words("environment/qa exists");
        assert_eq!(Reference::parse(&all, "qa").unwrap().0.namespace, "");
        assert!(Reference::parse(&words("widget/x"), "qa").unwrap_err().starts_with("`widget` is no kind; known are"));
    }
}
