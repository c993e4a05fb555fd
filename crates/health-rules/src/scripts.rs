//! Which script is about which kind.

use std::collections::BTreeMap;

use api::HealthScript;
use object_model::Object;
use serde_json::Value;

/// The beginning of the keys under which `argocd-cm` has a script each.
const KEY: &str = "resource.customizations.health.";
/// The key under which `argocd-cm` had all customizations in one document.
const OLD_KEY: &str = "resource.customizations";
/// Most scripts of one set.
const SCRIPTS_MAX: usize = 1_000;

/// Scripts by the kinds that they are about.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scripts {
    /// By `group/kind`, or `kind` alone in the core group.
    exact: BTreeMap<String, String>,
    /// The same with `*` in it. The first that fits counts.
    patterns: BTreeMap<String, String>,
}

impl Scripts {
    /// Adds the script of a kind; `*` stands for any text. A later one takes the place of an earlier one.
    pub fn add(&mut self, group: &str, kind: &str, script: &str) {
        let name = if group.is_empty() { kind.to_owned() } else { format!("{group}/{kind}") };
        let scripts = if name.contains('*') { &mut self.patterns } else { &mut self.exact };
        if scripts.len() < SCRIPTS_MAX {
            scripts.insert(name, script.to_owned());
        }
    }

    /// The scripts of a config's spec.
    pub fn of_spec(scripts: &[HealthScript]) -> Self {
        let mut found = Self::default();
        for script in scripts {
            found.add(&script.group, &script.kind, &script.lua);
        }
        found
    }

    /// Adds the scripts of a ConfigMap that has the keys of `argocd-cm`; what is already there stays. Returns what
    /// can't be read.
    pub fn add_config_map(&mut self, config_map: &Object) -> Vec<String> {
        let mut problems = Vec::new();
        let mut found = Self::default();
        let data = config_map.pointer("/data").and_then(Value::as_object);
        for (key, value) in data.into_iter().flatten() {
            let Some(text) = value.as_str() else { continue };
            if key == OLD_KEY {
                problems.extend(found.add_document(text).err());
            } else if let Some(name) = key.strip_prefix(KEY) {
                // A group has no underscore, a kind neither.
                let (group, kind) = name.split_once('_').unwrap_or(("", name));
                found.add(group, kind, text);
            }
        }
        for (name, script) in found.exact {
            self.exact.entry(name).or_insert(script);
        }
        for (name, script) in found.patterns {
            self.patterns.entry(name).or_insert(script);
        }
        problems
    }

    /// Reads `group/kind: {health.lua: ...}` in YAML.
    fn add_document(&mut self, text: &str) -> Result<(), String> {
        let documents = yaml::parse(text).map_err(|problems| {
            let first = problems.first().map(ToString::to_string).unwrap_or_default();
            format!("`{OLD_KEY}` can't be read: {first}")
        })?;
        let Some(document) = documents.first() else { return Ok(()) };
        for (name, customization) in document.value.as_object().into_iter().flatten() {
            let Some(script) = customization.get("health.lua").and_then(Value::as_str) else { continue };
            let (group, kind) = name.rsplit_once('/').unwrap_or(("", name));
            self.add(group, kind, script);
        }
        Ok(())
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.exact.is_empty() && self.patterns.is_empty()
    }

    /// The script that judges an object.
    pub fn of(&self, object: &Object) -> Option<&str> {
        let name = match object.group() {
            "" => object.kind().to_owned(),
            group => format!("{group}/{}", object.kind()),
        };
        let by_pattern = || self.patterns.iter().find(|(pattern, _)| fits(pattern, &name)).map(|(_, script)| script);
        self.exact.get(&name).or_else(by_pattern).map(String::as_str)
    }
}

/// Whether a name fits a pattern in which `*` stands for any text.
fn fits(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = name.strip_prefix(first) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else { return rest.is_empty() };
    for part in middle {
        let Some(at) = rest.find(part) else { return false };
        rest = rest.get(at + part.len()..).unwrap_or_default();
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_star_stands_for_any_text() {
        for (pattern, name, want) in [
            ("*.crossplane.io/*", "s3.aws.crossplane.io/Bucket", true),
            ("*.crossplane.io/*", "crossplane.io/Bucket", false),
            ("*", "Pod", true),
            ("apps/*Set", "apps/ReplicaSet", true),
            ("apps/*Set", "apps/Deployment", false),
            ("a*b*c", "abbc", true),
            ("a*a", "a", false),
        ] {
            assert_eq!(fits(pattern, name), want, "{pattern} {name}");
        }
    }

    #[test]
    fn a_config_map_of_argo_is_read_as_it_is() {
        let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "argocd-cm"}, "data": {
            "resource.customizations.health.cert-manager.io_Certificate": "one",
            "resource.customizations.health.PersistentVolumeClaim": "two",
            "resource.customizations.ignoreDifferences.all": "other",
            "resource.customizations": "'*.crossplane.io/*':\n  health.lua: |\n    three\napps/Deployment:\n  actions: none\n",
        }});
        let mut scripts = Scripts::default();
        scripts.add("cert-manager.io", "Certificate", "mine");
        assert_eq!(scripts.add_config_map(&Object::parse(object).unwrap()), Vec::<String>::new());
        let of = |api_version: &str, kind: &str| {
            let object = Object::new(api_version, kind, Some("qa"), "a");
            scripts.of(&object).unwrap_or("-").trim().to_owned()
        };
        assert_eq!(of("cert-manager.io/v1", "Certificate"), "mine");
        assert_eq!(of("v1", "PersistentVolumeClaim"), "two");
        assert_eq!(of("s3.crossplane.io/v1", "Bucket"), "three");
        assert_eq!(of("apps/v1", "Deployment"), "-");
    }
}
