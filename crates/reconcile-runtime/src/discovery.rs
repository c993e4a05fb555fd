//! Which kinds the cluster serves, learned one API version at a time and only when somebody asks.

use std::collections::BTreeMap;
use std::time::Duration;

use reconcile_core::{Kind, Scope};
use serde_json::Value;
use tokio::time::Instant;

use crate::ApiError;
use crate::api::ApiClient;

/// How long "not served" is believed.
const ABSENT_TTL: Duration = Duration::from_secs(10);
/// Most API versions that are remembered; users' manifests can name any.
const ENTRIES_MAX: usize = 2_000;

/// What is known about a kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Known {
    /// The cluster serves it.
    Served(Kind),
    /// The cluster said lately that it doesn't.
    Absent,
    /// Nobody asked lately.
    Unknown,
}

#[derive(Debug, Clone)]
struct Entry {
    kinds: BTreeMap<String, Kind>,
    at: Instant,
}

/// The cache.
#[derive(Debug, Default)]
pub struct Discovery {
    versions: BTreeMap<String, Entry>,
}

impl Discovery {
    /// What is known about a kind at this moment.
    pub fn known(&self, api_version: &str, kind: &str, now: Instant) -> Known {
        let Some(entry) = self.versions.get(api_version) else { return Known::Unknown };
        match entry.kinds.get(kind) {
            Some(kind) => Known::Served(kind.clone()),
            None if now.duration_since(entry.at) < ABSENT_TTL => Known::Absent,
            None => Known::Unknown,
        }
    }

    /// Remembers what an API version serves.
    pub fn learn(&mut self, api_version: &str, kinds: Vec<Kind>, now: Instant) {
        if self.versions.len() >= ENTRIES_MAX && !self.versions.contains_key(api_version) {
            let oldest = self.versions.iter().min_by_key(|(_, entry)| entry.at).map(|(version, _)| version.clone());
            if let Some(oldest) = oldest {
                self.versions.remove(&oldest);
            }
        }
        let kinds = kinds.into_iter().map(|kind| (kind.kind.clone(), kind)).collect();
        self.versions.insert(api_version.to_owned(), Entry { kinds, at: now });
    }

    /// Forgets a group: a CustomResourceDefinition of it was written.
    pub fn forget_group(&mut self, group: &str) {
        let prefix = format!("{group}/");
        self.versions.retain(|version, _| !version.starts_with(&prefix));
    }
}

/// Asks the server what an API version serves; nothing when the version is unknown to it.
///
/// # Errors
/// When the server can't be reached.
pub(crate) async fn discover(api: &ApiClient, api_version: &str) -> Result<Vec<Kind>, ApiError> {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let segment = crate::api::percent;
    let path = if group.is_empty() {
        format!("/api/{}", segment(version))
    } else {
        format!("/apis/{}/{}", segment(group), segment(version))
    };
    match api.raw(http::Method::GET, &path, None).await {
        Ok(list) => Ok(kinds_of(&list, group, version)),
        Err(ApiError::NotFound { .. } | ApiError::Refused { code: 403, .. }) => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// The kinds of a list of resources.
pub(crate) fn kinds_of(list: &Value, group: &str, version: &str) -> Vec<Kind> {
    let resources = list.get("resources").and_then(Value::as_array);
    let mut kinds = Vec::new();
    for resource in resources.into_iter().flatten() {
        let text = |field: &str| resource.get(field).and_then(Value::as_str).unwrap_or_default();
        let (plural, kind) = (text("name"), text("kind"));
        if plural.is_empty() || kind.is_empty() || plural.contains('/') {
            continue;
        }
        let namespaced = resource.get("namespaced").and_then(Value::as_bool).unwrap_or(false);
        let scope = if namespaced { Scope::Namespaced } else { Scope::Cluster };
        kinds.push(Kind::new(group, version, kind, plural, scope));
    }
    kinds
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[tokio::test(start_paused = true)]
    async fn an_absent_kind_is_asked_for_again_after_a_while_and_at_once_after_its_definition_came() {
        let mut discovery = Discovery::default();
        assert_eq!(discovery.known("example.com/v1", "NginxConfig", Instant::now()), Known::Unknown);
        discovery.learn("example.com/v1", Vec::new(), Instant::now());
        assert_eq!(discovery.known("example.com/v1", "NginxConfig", Instant::now()), Known::Absent);
        tokio::time::advance(ABSENT_TTL).await;
        assert_eq!(discovery.known("example.com/v1", "NginxConfig", Instant::now()), Known::Unknown);
        discovery.learn("example.com/v1", Vec::new(), Instant::now());
        discovery.forget_group("example.com");
        assert_eq!(discovery.known("example.com/v1", "NginxConfig", Instant::now()), Known::Unknown);
    }

    #[test]
    fn subresources_are_no_kinds() {
        let list = json!({"resources": [
            {"name": "deployments", "kind": "Deployment", "namespaced": true},
            {"name": "deployments/scale", "kind": "Scale", "namespaced": true},
        ]});
        let kinds = kinds_of(&list, "apps", "v1");
        assert_eq!(kinds, [Kind::namespaced("apps", "v1", "Deployment", "deployments")]);
    }
}
