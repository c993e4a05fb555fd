//! Takes away what a play leaves on a cluster: environments, namespaces, and what people made for the whole cluster.
//!
//! `qa` and `prod` are names that real clusters have. So nothing is deleted before the cluster has shown that no real
//! machine is part of it.

use std::time::Duration;

use object_model::Object;

use crate::setting::{PeopleError, delete, delete_all, get, list, parse_documents, roles};

/// What the fixtures hold for a whole cluster.
const ACCOUNTS: &str = include_str!("../../../../fixtures/demo/cluster/accounts.yaml");
/// kwok plays a node that has this annotation.
const PLAYED: &str = "kwok.x-k8s.io/node";
/// How long a namespace may take to go.
const GONE_LIMIT: Duration = Duration::from_secs(180);
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Why a cluster was not cleared.
#[derive(Debug, thiserror::Error)]
pub enum ClearError {
    /// A machine might be behind this node, so the cluster may be in use.
    #[error("the cluster has a node `{node}` that kwok does not play, so nothing is deleted on it")]
    InUse {
        /// The node.
        node: String,
    },
    /// A request was refused.
    #[error(transparent)]
    People(#[from] PeopleError),
    /// Something was deleted and stayed.
    #[error("{what} did not go within {} s", GONE_LIMIT.as_secs())]
    Stays {
        /// The object.
        what: String,
    },
}

/// Deletes what plays make, and what else is named, and waits until it is gone. What was installed stays.
///
/// # Errors
/// When the cluster has a node of its own, refuses, or is too slow.
pub(super) async fn clear(people: &kube::Client, made: &[Object]) -> Result<(), ClearError> {
    for node in list(people, "v1", "Node", "").await? {
        if node.annotation(PLAYED).is_none() {
            return Err(ClearError::InUse { node: node.name().to_owned() });
        }
    }
    let mut objects = match list(people, "sluice.dev/v1alpha1", "Environment", "").await {
        Ok(environments) => environments,
        Err(PeopleError::UnknownKind(_)) => Vec::new(),
        Err(error) => return Err(error.into()),
    };
    objects.extend(parse_documents(ACCOUNTS)?.into_iter().filter(|object| object.namespace().is_none()));
    objects.extend(made.iter().cloned());
    objects.extend(delivered(people).await?);
    objects.retain(|object| object.kind() != "Namespace");
    let mut namespaces = list(people, "v1", "Namespace", "").await?;
    namespaces.retain(|namespace| !is_of_the_system(namespace.name()));
    for namespace in namespaces.iter().filter(|namespace| !namespace.is_deleting()) {
        empty(people, namespace.name()).await?;
    }
    objects.extend(namespaces);
    take_away(people, &objects).await
}

/// What configs of plays delivered for the whole cluster, by the names that plays give it: a play that fails does not take
/// it away itself.
async fn delivered(people: &kube::Client) -> Result<Vec<Object>, PeopleError> {
    let kinds = [
        ("apiextensions.k8s.io/v1", "CustomResourceDefinition"),
        ("rbac.authorization.k8s.io/v1", "ClusterRole"),
        ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding"),
        ("storage.k8s.io/v1", "StorageClass"),
        ("scheduling.k8s.io/v1", "PriorityClass"),
    ];
    let mut found = Vec::new();
    for (api_version, kind) in kinds {
        let all = list(people, api_version, kind, "").await?;
        found.extend(all.into_iter().filter(|object| is_of_a_play(object.name())));
    }
    Ok(found)
}

fn is_of_a_play(name: &str) -> bool {
    name.starts_with("engine-") || name.ends_with(".engine.example.com")
}

/// Deletes the accounts and roles of the installation; definitions stay.
///
/// # Errors
/// When the cluster refuses or is too slow.
pub(super) async fn uninstall(people: &kube::Client) -> Result<(), ClearError> {
    let mut objects = roles("sluice.dev")?;
    objects.retain(|object| object.namespace().is_none());
    take_away(people, &objects).await
}

/// Takes the workloads away, those that make others first. A namespace with pods waits for half of their grace period.
async fn empty(people: &kube::Client, namespace: &str) -> Result<(), PeopleError> {
    let workloads =
        [("argoproj.io/v1alpha1", "Rollout"), ("apps/v1", "Deployment"), ("apps/v1", "ReplicaSet"), ("v1", "Pod")];
    for (api_version, kind) in workloads {
        match delete_all(people, api_version, kind, namespace).await {
            Ok(()) | Err(PeopleError::UnknownKind(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Namespaces that a cluster begins with, and the operator's own.
fn is_of_the_system(namespace: &str) -> bool {
    namespace == "default" || namespace.starts_with("kube-") || namespace == api::install::NAMESPACE
}

async fn take_away(people: &kube::Client, objects: &[Object]) -> Result<(), ClearError> {
    for object in objects {
        if found(people, object).await?.is_some_and(|found| !found.is_deleting()) {
            delete(people, object.api_version(), object.kind(), "", object.name()).await?;
        }
    }
    for object in objects {
        wait_until_gone(people, object).await?;
    }
    Ok(())
}

async fn found(people: &kube::Client, object: &Object) -> Result<Option<Object>, PeopleError> {
    get(people, object.api_version(), object.kind(), "", object.name()).await
}

async fn wait_until_gone(people: &kube::Client, object: &Object) -> Result<(), ClearError> {
    let begun = tokio::time::Instant::now();
    while found(people, object).await?.is_some() {
        if begun.elapsed() >= GONE_LIMIT {
            return Err(ClearError::Stays { what: object.id().to_string() });
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_plays_deliver_for_the_whole_cluster_is_known_by_its_name() {
        assert!(is_of_a_play("engine-fast") && is_of_a_play("gadgets.engine.example.com"));
        assert!(!is_of_a_play("cluster-admin") && !is_of_a_play("rollouts.argoproj.io"));
    }

    #[test]
    fn the_namespaces_of_the_system_stay() {
        for (namespace, stays) in [
            ("default", true),
            ("kube-system", true),
            ("kube-public", true),
            ("sluice-system", true),
            ("qa", false),
            ("platform", false),
        ] {
            assert_eq!(is_of_the_system(namespace), stays, "{namespace}");
        }
    }
}
