//! Short names for the addresses of an API server: `configmaps/a` instead of `/api/v1/namespaces/NS/configmaps/a`.

/// A resource with a short address: plural, kind, and the path of its group and version.
type Known = (&'static str, &'static str, &'static str);

/// Resources that live in namespaces.
const NAMESPACED: &[Known] = &[
    ("configmaps", "ConfigMap", "api/v1"),
    ("endpoints", "Endpoints", "api/v1"),
    ("events", "Event", "api/v1"),
    ("persistentvolumeclaims", "PersistentVolumeClaim", "api/v1"),
    ("pods", "Pod", "api/v1"),
    ("replicationcontrollers", "ReplicationController", "api/v1"),
    ("resourcequotas", "ResourceQuota", "api/v1"),
    ("secrets", "Secret", "api/v1"),
    ("serviceaccounts", "ServiceAccount", "api/v1"),
    ("services", "Service", "api/v1"),
    ("controllerrevisions", "ControllerRevision", "apis/apps/v1"),
    ("daemonsets", "DaemonSet", "apis/apps/v1"),
    ("deployments", "Deployment", "apis/apps/v1"),
    ("replicasets", "ReplicaSet", "apis/apps/v1"),
    ("statefulsets", "StatefulSet", "apis/apps/v1"),
    ("localsubjectaccessreviews", "LocalSubjectAccessReview", "apis/authorization.k8s.io/v1"),
    ("horizontalpodautoscalers", "HorizontalPodAutoscaler", "apis/autoscaling/v2"),
    ("cronjobs", "CronJob", "apis/batch/v1"),
    ("jobs", "Job", "apis/batch/v1"),
    ("leases", "Lease", "apis/coordination.k8s.io/v1"),
    ("endpointslices", "EndpointSlice", "apis/discovery.k8s.io/v1"),
    ("ingresses", "Ingress", "apis/networking.k8s.io/v1"),
    ("networkpolicies", "NetworkPolicy", "apis/networking.k8s.io/v1"),
    ("poddisruptionbudgets", "PodDisruptionBudget", "apis/policy/v1"),
    ("rolebindings", "RoleBinding", "apis/rbac.authorization.k8s.io/v1"),
    ("roles", "Role", "apis/rbac.authorization.k8s.io/v1"),
];

/// Resources of the whole cluster.
const CLUSTER: &[Known] = &[
    ("namespaces", "Namespace", "api/v1"),
    ("nodes", "Node", "api/v1"),
    ("persistentvolumes", "PersistentVolume", "api/v1"),
    ("customresourcedefinitions", "CustomResourceDefinition", "apis/apiextensions.k8s.io/v1"),
    ("tokenreviews", "TokenReview", "apis/authentication.k8s.io/v1"),
    ("selfsubjectaccessreviews", "SelfSubjectAccessReview", "apis/authorization.k8s.io/v1"),
    ("subjectaccessreviews", "SubjectAccessReview", "apis/authorization.k8s.io/v1"),
    ("clusterroles", "ClusterRole", "apis/rbac.authorization.k8s.io/v1"),
    ("clusterrolebindings", "ClusterRoleBinding", "apis/rbac.authorization.k8s.io/v1"),
    ("ingressclasses", "IngressClass", "apis/networking.k8s.io/v1"),
    ("priorityclasses", "PriorityClass", "apis/scheduling.k8s.io/v1"),
];

/// A short address with its parts apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    /// Path of the resource without the object's name.
    pub collection: String,
    /// The object's name, and its subresource behind a slash.
    pub name: Option<String>,
    /// What stands behind the question mark.
    pub query: Option<String>,
    /// apiVersion and kind, where the resource is known.
    pub kind: Option<(&'static str, &'static str)>,
}

impl Target {
    /// Reads `RESOURCE[/NAME[/SUBRESOURCE]][?QUERY]`.
    ///
    /// RESOURCE is a resource of Kubernetes by its plural, `GROUP/VERSION/PLURAL` for one in the current namespace
    /// (the group has a dot), or the address starts with a slash and is taken as it is.
    pub(crate) fn parse(text: &str, namespace: &str) -> Result<Self, String> {
        let (path, query) = match text.split_once('?') {
            Some((path, query)) => (path, Some(query.to_owned())),
            None => (text, None),
        };
        if path.starts_with('/') {
            return Ok(Self { collection: path.to_owned(), name: None, query, kind: None });
        }
        let mut segments = path.split('/');
        let first = segments.next().unwrap_or_default();
        let find = |table: &'static [Known]| table.iter().find(|(plural, _, _)| *plural == first);
        let (collection, kind) = if first.contains('.') {
            let (Some(version), Some(plural)) = (segments.next(), segments.next()) else {
                return Err(format!("`{text}` is not GROUP/VERSION/PLURAL[/NAME]"));
            };
            (format!("/apis/{first}/{version}/namespaces/{namespace}/{plural}"), None)
        } else if let Some((_, kind, group)) = find(NAMESPACED) {
            (format!("/{group}/namespaces/{namespace}/{first}"), Some((api_version(group), *kind)))
        } else if let Some((_, kind, group)) = find(CLUSTER) {
            (format!("/{group}/{first}"), Some((api_version(group), *kind)))
        } else {
            return Err(format!("`{first}` is no resource that has a short address"));
        };
        let rest: Vec<&str> = segments.collect();
        let name = (!rest.is_empty()).then(|| rest.join("/"));
        Ok(Self { collection, name, query, kind })
    }

    /// The address of the object, or of the collection where no object is named.
    pub(crate) fn object_address(&self, more: &[(&str, &str)]) -> String {
        let mut address = self.collection.clone();
        if let Some(name) = &self.name {
            address.push('/');
            address.push_str(name);
        }
        self.with_query(address, more)
    }

    /// The address to which a new object is posted: a subresource is posted to itself.
    pub(crate) fn creation_address(&self, more: &[(&str, &str)]) -> String {
        let subresource = self.name.as_deref().filter(|name| name.contains('/'));
        match subresource {
            Some(_) => self.object_address(more),
            None => self.with_query(self.collection.clone(), more),
        }
    }

    /// The name of a new object, where the target names one.
    pub(crate) fn creation_name(&self) -> Option<&str> {
        self.name.as_deref().filter(|name| !name.contains('/'))
    }

    fn with_query(&self, mut address: String, more: &[(&str, &str)]) -> String {
        let mut parts: Vec<String> = self.query.iter().cloned().collect();
        parts.extend(more.iter().map(|(name, value)| format!("{name}={value}")));
        if !parts.is_empty() {
            address.push('?');
            address.push_str(&parts.join("&"));
        }
        address
    }
}

fn api_version(group: &'static str) -> &'static str {
    group.split_once('/').map_or(group, |(_, version)| version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_addresses_become_paths() {
        for (text, object, creation) in [
            ("configmaps/a", "/api/v1/namespaces/qa/configmaps/a", "/api/v1/namespaces/qa/configmaps"),
            ("secrets?limit=2", "/api/v1/namespaces/qa/secrets?limit=2", "/api/v1/namespaces/qa/secrets?limit=2"),
            (
                "deployments/web/scale",
                "/apis/apps/v1/namespaces/qa/deployments/web/scale",
                "/apis/apps/v1/namespaces/qa/deployments/web/scale",
            ),
            ("namespaces/b", "/api/v1/namespaces/b", "/api/v1/namespaces"),
            (
                "example.com/v1/widgets/w",
                "/apis/example.com/v1/namespaces/qa/widgets/w",
                "/apis/example.com/v1/namespaces/qa/widgets",
            ),
            ("/version", "/version", "/version"),
        ] {
            let target = Target::parse(text, "qa").unwrap();
            assert_eq!(target.object_address(&[]), object);
            assert_eq!(target.creation_address(&[]), creation);
        }
    }

    #[test]
    fn an_unknown_resource_is_refused() {
        assert_eq!(
            Target::parse("confimaps/a", "qa").unwrap_err(),
            "`confimaps` is no resource that has a short address"
        );
    }
}
