//! The resources the server serves: the built-in ones, and those that CustomResourceDefinitions add at run time.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use crate::crd::CustomType;

/// One resource in one version.
#[derive(Debug, Clone)]
pub struct ResourceType {
    /// The group, empty for the core group.
    pub group: String,
    /// The version, for example `v1`.
    pub version: String,
    /// The plural, as in paths.
    pub plural: String,
    /// The singular.
    pub singular: String,
    /// The kind.
    pub kind: String,
    /// The kind of lists.
    pub list_kind: String,
    /// Short names for kubectl.
    pub short_names: Vec<String>,
    /// Categories for kubectl.
    pub categories: Vec<String>,
    /// Whether objects live in namespaces.
    pub namespaced: bool,
    /// Names of subresources.
    pub subresources: Vec<String>,
    /// The key objects are stored under, for example `deployments.apps`.
    pub storage: Arc<str>,
    /// Whether objects are stored at all; reviews are only answered.
    pub is_stored: bool,
    /// What a CustomResourceDefinition says about it.
    pub custom: Option<Arc<CustomType>>,
}

impl ResourceType {
    /// `plural.group`, or `plural` in the core group: the name used in messages.
    pub fn qualified(&self) -> String {
        qualified(&self.plural, &self.group)
    }

    /// `group/version`, or `version` in the core group.
    pub fn api_version(&self) -> String {
        api_version(&self.group, &self.version)
    }

    /// Whether a subresource exists.
    pub fn has_subresource(&self, name: &str) -> bool {
        self.subresources.iter().any(|have| have == name)
    }

    /// Whether an update without a resourceVersion overwrites whatever is there.
    pub(crate) fn allows_unconditional_update(&self) -> bool {
        self.custom.is_none()
            && !matches!(
                self.kind.as_str(),
                "Lease"
                    | "CustomResourceDefinition"
                    | "PodDisruptionBudget"
                    | "APIService"
                    | "ValidatingWebhookConfiguration"
                    | "MutatingWebhookConfiguration"
            )
    }

    /// Whether a PUT of an absent object creates it.
    pub(crate) fn allows_create_on_update(&self) -> bool {
        matches!(
            self.kind.as_str(),
            "Lease"
                | "Event"
                | "Endpoints"
                | "LimitRange"
                | "Service"
                | "Role"
                | "RoleBinding"
                | "ClusterRole"
                | "ClusterRoleBinding"
        ) && self.custom.is_none()
    }
}

pub(crate) fn qualified(plural: &str, group: &str) -> String {
    if group.is_empty() { plural.to_owned() } else { format!("{plural}.{group}") }
}

pub(crate) fn api_version(group: &str, version: &str) -> String {
    if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") }
}

/// `apiVersion plural Kind short-names scope subresources categories`; `-` is none. Order is the order of discovery.
const BUILT_IN: &str = "
v1 configmaps ConfigMap cm namespaced - -
v1 endpoints Endpoints ep namespaced - -
v1 events Event ev namespaced - -
v1 limitranges LimitRange limits namespaced - -
v1 namespaces Namespace ns cluster finalize,status -
v1 nodes Node no cluster status -
v1 persistentvolumeclaims PersistentVolumeClaim pvc namespaced status -
v1 persistentvolumes PersistentVolume pv cluster status -
v1 pods Pod po namespaced eviction,log,status all
v1 podtemplates PodTemplate - namespaced - -
v1 replicationcontrollers ReplicationController rc namespaced scale,status all
v1 resourcequotas ResourceQuota quota namespaced status -
v1 secrets Secret - namespaced - -
v1 serviceaccounts ServiceAccount sa namespaced token -
v1 services Service svc namespaced status all
apiregistration.k8s.io/v1 apiservices APIService - cluster status api-extensions
apps/v1 controllerrevisions ControllerRevision - namespaced - -
apps/v1 daemonsets DaemonSet ds namespaced status all
apps/v1 deployments Deployment deploy namespaced scale,status all
apps/v1 replicasets ReplicaSet rs namespaced scale,status all
apps/v1 statefulsets StatefulSet sts namespaced scale,status all
events.k8s.io/v1 events Event ev namespaced - -
authentication.k8s.io/v1 selfsubjectreviews SelfSubjectReview - cluster - review
authentication.k8s.io/v1 tokenreviews TokenReview - cluster - review
authorization.k8s.io/v1 localsubjectaccessreviews LocalSubjectAccessReview - namespaced - review
authorization.k8s.io/v1 selfsubjectaccessreviews SelfSubjectAccessReview - cluster - review
authorization.k8s.io/v1 selfsubjectrulesreviews SelfSubjectRulesReview - cluster - review
authorization.k8s.io/v1 subjectaccessreviews SubjectAccessReview - cluster - review
autoscaling/v2 horizontalpodautoscalers HorizontalPodAutoscaler hpa namespaced status all
batch/v1 cronjobs CronJob cj namespaced status all
batch/v1 jobs Job - namespaced status all
networking.k8s.io/v1 ingressclasses IngressClass - cluster - -
networking.k8s.io/v1 ingresses Ingress ing namespaced status -
networking.k8s.io/v1 networkpolicies NetworkPolicy netpol namespaced - -
policy/v1 poddisruptionbudgets PodDisruptionBudget pdb namespaced status -
rbac.authorization.k8s.io/v1 clusterrolebindings ClusterRoleBinding - cluster - -
rbac.authorization.k8s.io/v1 clusterroles ClusterRole - cluster - -
rbac.authorization.k8s.io/v1 rolebindings RoleBinding - namespaced - -
rbac.authorization.k8s.io/v1 roles Role - namespaced - -
storage.k8s.io/v1 storageclasses StorageClass sc cluster - -
admissionregistration.k8s.io/v1 mutatingwebhookconfigurations MutatingWebhookConfiguration - cluster - api-extensions
admissionregistration.k8s.io/v1 validatingwebhookconfigurations ValidatingWebhookConfiguration - cluster - api-extensions
apiextensions.k8s.io/v1 customresourcedefinitions CustomResourceDefinition crd,crds cluster status api-extensions
scheduling.k8s.io/v1 priorityclasses PriorityClass pc cluster - -
coordination.k8s.io/v1 leases Lease - namespaced - -
discovery.k8s.io/v1 endpointslices EndpointSlice - namespaced - -
";

static BUILT_IN_TYPES: LazyLock<Vec<Arc<ResourceType>>> =
    LazyLock::new(|| BUILT_IN.lines().filter_map(built_in).map(Arc::new).collect());

fn built_in(line: &str) -> Option<ResourceType> {
    let mut words = line.split_whitespace();
    let api_version = words.next()?;
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let plural = words.next()?;
    let kind = words.next()?;
    let split =
        |word: &str| -> Vec<String> { word.split(',').filter(|part| *part != "-").map(str::to_owned).collect() };
    let short_names = split(words.next()?);
    let namespaced = words.next()? == "namespaced";
    let subresources = split(words.next()?);
    let categories = split(words.next()?);
    let is_review = categories.iter().any(|category| category == "review");
    // Both groups of events show the same objects.
    let storage = if kind == "Event" { "events".to_owned() } else { qualified(plural, group) };
    Some(ResourceType {
        group: group.to_owned(),
        version: version.to_owned(),
        plural: plural.to_owned(),
        singular: kind.to_lowercase(),
        kind: kind.to_owned(),
        list_kind: format!("{kind}List"),
        short_names,
        categories: if is_review { Vec::new() } else { categories },
        namespaced,
        subresources,
        storage: storage.into(),
        is_stored: !is_review,
        custom: None,
    })
}

/// All served resources.
#[derive(Debug, Clone)]
pub(crate) struct Registry {
    by_path: BTreeMap<(String, String, String), Arc<ResourceType>>,
    by_storage: BTreeMap<Arc<str>, Arc<ResourceType>>,
}

impl Registry {
    pub(crate) fn built_in() -> Self {
        let mut registry = Self { by_path: BTreeMap::new(), by_storage: BTreeMap::new() };
        for resource in BUILT_IN_TYPES.iter() {
            registry.add(resource.clone());
        }
        registry
    }

    /// Built-in resources in the order of discovery, then custom ones by group.
    pub(crate) fn in_order(&self) -> Vec<Arc<ResourceType>> {
        let custom = self.by_path.values().filter(|resource| resource.custom.is_some()).cloned();
        BUILT_IN_TYPES.iter().cloned().chain(custom).collect()
    }

    pub(crate) fn add(&mut self, resource: Arc<ResourceType>) {
        let is_storage_version = resource.custom.as_ref().is_none_or(|custom| custom.is_storage_version);
        if is_storage_version {
            self.by_storage.entry(resource.storage.clone()).or_insert_with(|| resource.clone());
        }
        let key = (resource.group.clone(), resource.version.clone(), resource.plural.clone());
        self.by_path.insert(key, resource);
    }

    pub(crate) fn remove_custom(&mut self, storage: &str) {
        self.by_path.retain(|_, resource| resource.custom.is_none() || resource.storage.as_ref() != storage);
        if self.by_storage.get(storage).is_some_and(|resource| resource.custom.is_some()) {
            self.by_storage.remove(storage);
        }
    }

    pub(crate) fn find(&self, group: &str, version: &str, plural: &str) -> Option<&Arc<ResourceType>> {
        self.by_path.get(&(group.to_owned(), version.to_owned(), plural.to_owned()))
    }

    /// The resource stored under a key such as `deployments.apps`, in its storage version.
    pub(crate) fn stored(&self, storage: &str) -> Option<&Arc<ResourceType>> {
        self.by_storage.get(storage)
    }

    pub(crate) fn has_group_version(&self, group: &str, version: &str) -> bool {
        self.by_path.keys().any(|(have, in_version, _)| have == group && in_version == version)
    }

    /// Whether a built-in resource lives there: only for those an unknown neighbour gets a Status.
    pub(crate) fn has_built_in(&self, group: &str, version: &str) -> bool {
        let mut all = self.by_path.values();
        all.any(|resource| resource.group == group && resource.version == version && resource.custom.is_none())
    }

    /// The resource of a kind in a version.
    pub(crate) fn of_kind(&self, group: &str, version: &str, kind: &str) -> Option<&Arc<ResourceType>> {
        self.by_path
            .values()
            .find(|resource| resource.group == group && resource.version == version && resource.kind == kind)
    }
}
