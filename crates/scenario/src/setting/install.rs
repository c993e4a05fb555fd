//! What a cluster needs before the operator runs on it.

use std::time::Duration;

use object_model::Object;

use super::people::{PeopleError, apply, parse_documents, wait_for, wait_until_served};

/// The definitions of our kinds, and Argo's small ones for a cluster without them.
pub fn definitions(group: &str) -> Vec<Object> {
    api::crd::own(group).into_iter().chain(api::crd::argo()).collect()
}

/// Accounts and roles.
///
/// # Errors
/// When the manifests can't be read, which a test rules out.
pub fn roles(group: &str) -> Result<Vec<Object>, PeopleError> {
    parse_documents(&api::install::rbac(group))
}

/// Installs all definitions, a small one for VirtualServices, accounts and roles, and waits until the kinds are served.
///
/// # Errors
/// When the cluster refuses or takes longer than `limit`.
pub async fn install(people: &kube::Client, limit: Duration) -> Result<(), PeopleError> {
    let mut all = definitions("sluice.dev");
    all.extend(parse_documents(include_str!("../../../../fixtures/demo/cluster/virtual-service-crd.yaml"))?);
    for definition in &all {
        apply(people, definition).await?;
    }
    for definition in &all {
        let reference = ("apiextensions.k8s.io/v1", "CustomResourceDefinition", "", definition.name());
        let what = format!("{} is established", definition.name());
        wait_for(people, reference, &what, limit, is_established).await?;
    }
    for definition in &all {
        wait_until_served(people, definition, limit).await?;
    }
    for role in roles("sluice.dev")? {
        apply(people, &role).await?;
    }
    Ok(())
}

fn is_established(definition: &Object) -> bool {
    let conditions = definition.list_at("/status/conditions");
    let text = |item: &serde_json::Value, key: &str| item.get(key).and_then(|value| value.as_str()).map(str::to_owned);
    conditions.iter().any(|item| {
        text(item, "type").as_deref() == Some("Established") && text(item, "status").as_deref() == Some("True")
    })
}
