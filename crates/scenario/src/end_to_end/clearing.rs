//! Takes away what a play leaves on a cluster: namespaces, roles and environments. Definitions stay.
//!
//! `qa` and `prod` are names that real clusters have. So nothing is deleted before the cluster has shown that no real
//! machine is part of it.

use std::time::Duration;

use object_model::Object;

use crate::setting::{PeopleError, delete, get, list, parse_documents, roles};

/// What the demonstration applies besides the installation.
const MANIFESTS: [&str; 2] = [
    include_str!("../../../../fixtures/demo/cluster/accounts.yaml"),
    include_str!("../../../../fixtures/demo/cluster/environments.yaml"),
];
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

/// Deletes what plays make, and waits until it is gone.
///
/// # Errors
/// When the cluster has a node of its own, refuses, or is too slow.
pub async fn clear(people: &kube::Client) -> Result<(), ClearError> {
    for node in list(people, "v1", "Node", "").await? {
        if node.annotation(PLAYED).is_none() {
            return Err(ClearError::InUse { node: node.name().to_owned() });
        }
    }
    let objects = leftovers()?;
    for object in &objects {
        if found(people, object).await?.is_some_and(|found| !found.is_deleting()) {
            let namespace = object.namespace().unwrap_or_default();
            delete(people, object.api_version(), object.kind(), namespace, object.name()).await?;
        }
    }
    for object in &objects {
        wait_until_gone(people, object).await?;
    }
    Ok(())
}

/// Everything outside a namespace, environments first and their namespaces last.
fn leftovers() -> Result<Vec<Object>, PeopleError> {
    let mut made = roles("sluice.dev")?;
    for text in MANIFESTS {
        made.extend(parse_documents(text)?);
    }
    let environments: Vec<Object> = made.iter().filter(|object| object.kind() == "Environment").cloned().collect();
    let mut namespaces: Vec<Object> =
        environments.iter().map(|environment| Object::new("v1", "Namespace", None, environment.name())).collect();
    namespaces.extend(made.iter().filter(|object| object.kind() == "Namespace").cloned());
    let of_cluster = made
        .into_iter()
        .filter(|object| object.namespace().is_none() && !matches!(object.kind(), "Environment" | "Namespace"));
    let mut all = environments;
    all.extend(of_cluster);
    all.extend(namespaces);
    Ok(all)
}

async fn found(people: &kube::Client, object: &Object) -> Result<Option<Object>, PeopleError> {
    get(people, object.api_version(), object.kind(), object.namespace().unwrap_or_default(), object.name()).await
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
    fn environments_go_before_their_namespaces_and_nothing_of_the_cluster_stays() {
        let names: Vec<String> =
            leftovers().unwrap().iter().map(|object| format!("{} {}", object.kind(), object.name())).collect();
        assert_eq!(names[..3], ["Environment qa", "Environment e2e", "Environment prod"]);
        assert_eq!(
            names[names.len() - 5..],
            ["Namespace qa", "Namespace e2e", "Namespace prod", "Namespace sluice-system", "Namespace platform"]
        );
        assert!(names.contains(&"ClusterRoleBinding platform-environments".to_owned()));
        assert!(names.contains(&"ClusterRole sluice-rollout".to_owned()));
    }
}
