//! Discovery: which groups, versions and resources there are, in the old form and in the aggregated one.

use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::error::ApiError;
use crate::resource::ResourceType;

/// The version the server says it is.
pub(crate) fn version() -> Value {
    json!({
        "major": "1", "minor": "35", "emulationMajor": "1", "emulationMinor": "35", "minCompatibilityMajor": "1",
        "minCompatibilityMinor": "34", "gitVersion": "v1.35.4", "gitCommit": "", "gitTreeState": "clean",
        "buildDate": "2026-04-15T00:00:00Z", "goVersion": "go1.25.8", "compiler": "gc", "platform": "linux/amd64",
    })
}

/// Whether the client asks for aggregated discovery.
pub(crate) fn wants_aggregated(accept: Option<&str>) -> bool {
    accept.unwrap_or_default().split(',').any(|clause| {
        clause.trim().starts_with("application/json")
            && clause.contains("as=APIGroupDiscoveryList")
            && clause.contains("v=v2;") | clause.trim_end().ends_with("v=v2") | clause.contains("v=v2,")
    })
}

pub(crate) const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

fn verbs(resource: &ResourceType) -> Value {
    if resource.custom.is_some() {
        json!(["delete", "deletecollection", "get", "list", "patch", "create", "update", "watch"])
    } else if resource.is_stored {
        json!(["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"])
    } else {
        json!(["create"])
    }
}

/// The kind, group and version that a subresource speaks, and its verbs.
fn subresource_kind(resource: &ResourceType, name: &str) -> (Value, Value) {
    let kind = |group: &str, version: &str, kind: &str| json!({"group": group, "version": version, "kind": kind});
    match name {
        "scale" => (kind("autoscaling", "v1", "Scale"), json!(["get", "patch", "update"])),
        "eviction" => (kind("policy", "v1", "Eviction"), json!(["create"])),
        "token" => (kind("authentication.k8s.io", "v1", "TokenRequest"), json!(["create"])),
        "log" => (kind("", "v1", "Pod"), json!(["get"])),
        "finalize" => (kind("", "v1", "Namespace"), json!(["update"])),
        _ => (kind(&resource.group, &resource.version, &resource.kind), json!(["get", "patch", "update"])),
    }
}

impl Cluster {
    /// Groups in the order of their first resource, each with its versions, newest first.
    fn groups(&self) -> Vec<(String, Vec<String>)> {
        let mut groups: Vec<(String, Vec<String>)> = Vec::new();
        for resource in self.registry.in_order() {
            let position = groups.iter().position(|(group, _)| *group == resource.group);
            let versions = match position.and_then(|index| groups.get_mut(index)) {
                Some((_, versions)) => versions,
                None => {
                    groups.push((resource.group.clone(), Vec::new()));
                    match groups.last_mut() {
                        Some((_, versions)) => versions,
                        None => continue,
                    }
                }
            };
            if !versions.contains(&resource.version) {
                versions.push(resource.version.clone());
                versions.sort_by_key(|version| std::cmp::Reverse(priority(version)));
            }
        }
        groups
    }

    /// `/api`.
    pub(crate) fn legacy_versions(&self) -> Value {
        json!({
            "kind": "APIVersions", "versions": ["v1"],
            "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": "127.0.0.1:6443"}],
        })
    }

    /// `/apis`.
    pub(crate) fn group_list(&self) -> Value {
        let groups = self.groups().into_iter().filter(|(group, _)| !group.is_empty());
        let groups: Vec<Value> = groups.map(|(group, versions)| group_value(&group, &versions)).collect();
        json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
    }

    /// `/apis/GROUP`.
    pub(crate) fn group(&self, name: &str) -> Result<Value, ApiError> {
        let (group, versions) =
            self.groups().into_iter().find(|(group, _)| group == name).ok_or_else(ApiError::unknown_path)?;
        let mut value = group_value(&group, &versions);
        if let Some(fields) = value.as_object_mut() {
            fields.insert("kind".to_owned(), "APIGroup".into());
            fields.insert("apiVersion".to_owned(), "v1".into());
        }
        Ok(value)
    }

    /// `/api/v1` and `/apis/GROUP/VERSION`.
    pub(crate) fn resource_list(&self, group: &str, version: &str) -> Result<Value, ApiError> {
        if !self.registry.has_group_version(group, version) {
            return Err(if group.is_empty() { ApiError::unknown_resource() } else { ApiError::unknown_path() });
        }
        let mut resources = Vec::new();
        for resource in self.registry.in_order() {
            if resource.group != group || resource.version != version {
                continue;
            }
            resources.push(legacy_resource(&resource));
            for name in &resource.subresources {
                let (kind, verbs) = subresource_kind(&resource, name);
                let part = |key: &str| kind.get(key).cloned().unwrap_or(Value::Null);
                let mut entry = json!({
                    "name": format!("{}/{name}", resource.plural), "singularName": "",
                    "namespaced": resource.namespaced, "kind": part("kind"), "verbs": verbs,
                });
                if let Some(fields) = entry.as_object_mut().filter(|_| part("group") != resource.group.as_str()) {
                    fields.insert("group".to_owned(), part("group"));
                    fields.insert("version".to_owned(), part("version"));
                }
                resources.push(entry);
            }
        }
        let group_version = crate::resource::api_version(group, version);
        Ok(
            json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": resources}),
        )
    }

    /// `/api` and `/apis` in the aggregated form.
    pub(crate) fn aggregated(&self, is_legacy: bool) -> Value {
        let all = self.registry.in_order();
        let mut items = Vec::new();
        for (group, versions) in self.groups() {
            if group.is_empty() != is_legacy {
                continue;
            }
            let versions: Vec<Value> = versions
                .iter()
                .map(|version| {
                    let resources: Vec<Value> = all
                        .iter()
                        .filter(|resource| resource.group == group && resource.version == *version)
                        .map(|resource| aggregated_resource(resource))
                        .collect();
                    json!({"version": version, "resources": resources, "freshness": "Current"})
                })
                .collect();
            let metadata = if group.is_empty() { json!({}) } else { json!({"name": group}) };
            items.push(json!({"metadata": metadata, "versions": versions}));
        }
        json!({"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items})
    }
}

/// Orders versions as Kubernetes does: stable before beta before alpha, newer before older.
fn priority(version: &str) -> (u8, u64, u64) {
    let rest = version.strip_prefix('v').unwrap_or_default();
    let end = rest.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(rest.len());
    let (major, tail) = rest.split_at(end);
    let major = major.parse().unwrap_or(0);
    match (tail.strip_prefix("beta"), tail.strip_prefix("alpha")) {
        (Some(minor), _) => (2, major, minor.parse().unwrap_or(0)),
        (_, Some(minor)) => (1, major, minor.parse().unwrap_or(0)),
        _ if tail.is_empty() => (3, major, 0),
        _ => (0, 0, 0),
    }
}

fn group_value(group: &str, versions: &[String]) -> Value {
    let entry = |version: &String| json!({"groupVersion": format!("{group}/{version}"), "version": version});
    let list: Vec<Value> = versions.iter().map(entry).collect();
    let preferred = list.first().cloned().unwrap_or(Value::Null);
    json!({"name": group, "versions": list, "preferredVersion": preferred})
}

fn legacy_resource(resource: &ResourceType) -> Value {
    let mut entry = json!({
        "name": resource.plural, "singularName": resource.singular, "namespaced": resource.namespaced,
        "kind": resource.kind, "verbs": verbs(resource),
    });
    if let Some(fields) = entry.as_object_mut() {
        if !resource.short_names.is_empty() {
            fields.insert("shortNames".to_owned(), json!(resource.short_names));
        }
        if !resource.categories.is_empty() {
            fields.insert("categories".to_owned(), json!(resource.categories));
        }
        if resource.is_stored {
            fields.insert("storageVersionHash".to_owned(), storage_hash(resource).into());
        }
    }
    entry
}

/// Says by a hash in which group, version and kind objects are stored.
fn storage_hash(resource: &ResourceType) -> String {
    use base64::Engine as _;
    use sha2::Digest as _;
    let group = if resource.kind == "Event" && resource.custom.is_none() { "" } else { &resource.group };
    let digest = sha2::Sha256::digest(format!("{group}/{}/{}", resource.version, resource.kind));
    base64::engine::general_purpose::STANDARD.encode(digest.get(..8).unwrap_or_default())
}

fn aggregated_resource(resource: &ResourceType) -> Value {
    let scope = if resource.namespaced { "Namespaced" } else { "Cluster" };
    let mut entry = json!({
        "resource": resource.plural,
        "responseKind": {"group": resource.group, "version": resource.version, "kind": resource.kind},
        "scope": scope, "singularResource": resource.singular, "verbs": verbs(resource),
    });
    let subresources: Vec<Value> = resource
        .subresources
        .iter()
        .map(|name| {
            let (kind, verbs) = subresource_kind(resource, name);
            json!({"subresource": name, "responseKind": kind, "verbs": verbs})
        })
        .collect();
    if let Some(fields) = entry.as_object_mut() {
        let lists = [
            ("shortNames", json!(resource.short_names)),
            ("categories", json!(resource.categories)),
            ("subresources", Value::Array(subresources)),
        ];
        for (key, list) in lists {
            if list.as_array().is_some_and(|list| !list.is_empty()) {
                fields.insert(key.to_owned(), list);
            }
        }
    }
    entry
}
