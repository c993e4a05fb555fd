//! From what templates wrote to manifests and hooks, in the order in which they are installed.

use std::collections::BTreeMap;

use go_template::Str;
use memchr::memmem;
use serde_json::{Map, Value};

use super::decode::{Decoder, Place, find, parse_yaml};
use super::error::HelmError;
use super::go_text::base;
use crate::budget::Budget;
use crate::tree::spent;

/// Kinds in the order of installation.
const INSTALL_ORDER: [&str; 38] = [
    "PriorityClass",
    "Namespace",
    "NetworkPolicy",
    "ResourceQuota",
    "LimitRange",
    "PodSecurityPolicy",
    "PodDisruptionBudget",
    "ServiceAccount",
    "Secret",
    "SecretList",
    "ConfigMap",
    "StorageClass",
    "PersistentVolume",
    "PersistentVolumeClaim",
    "CustomResourceDefinition",
    "ClusterRole",
    "ClusterRoleList",
    "ClusterRoleBinding",
    "ClusterRoleBindingList",
    "Role",
    "RoleList",
    "RoleBinding",
    "RoleBindingList",
    "Service",
    "DaemonSet",
    "Pod",
    "ReplicationController",
    "ReplicaSet",
    "Deployment",
    "HorizontalPodAutoscaler",
    "StatefulSet",
    "Job",
    "CronJob",
    "IngressClass",
    "Ingress",
    "APIService",
    "MutatingWebhookConfiguration",
    "ValidatingWebhookConfiguration",
];

/// One document that a template wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// The template, with the chart's name before it.
    pub source: String,
    /// The text, trimmed.
    pub content: Vec<u8>,
    /// Its kind, empty when it names none.
    pub kind: String,
}

impl Manifest {
    /// How many bytes it takes when it is printed.
    pub(crate) fn printed_bytes(&self) -> usize {
        const MARKS: usize = "---\n# Source: \n\n".len();
        MARKS + self.source.len() + self.content.len()
    }
}

/// A document that runs at a point of a release's life instead of being part of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hook {
    /// The document.
    pub manifest: Manifest,
    /// Name of the object.
    pub name: String,
    /// When it runs.
    pub events: Vec<HookEvent>,
    /// Hooks of one event run in the order of their weights.
    pub weight: i64,
    /// When it is deleted: `before-hook-creation`, `hook-succeeded`, `hook-failed`, or whatever the chart says.
    pub delete_policies: Vec<String>,
    /// When its logs are shown.
    pub output_log_policies: Vec<String>,
}

/// A point in the life of a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum HookEvent {
    /// Before the first install.
    PreInstall,
    /// After the first install.
    PostInstall,
    /// Before the release is deleted.
    PreDelete,
    /// After the release is deleted.
    PostDelete,
    /// Before an upgrade.
    PreUpgrade,
    /// After an upgrade.
    PostUpgrade,
    /// Before a rollback.
    PreRollback,
    /// After a rollback.
    PostRollback,
    /// When somebody asks for a test.
    Test,
}

impl HookEvent {
    fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "pre-install" => Self::PreInstall,
            "post-install" => Self::PostInstall,
            "pre-delete" => Self::PreDelete,
            "post-delete" => Self::PostDelete,
            "pre-upgrade" => Self::PreUpgrade,
            "post-upgrade" => Self::PostUpgrade,
            "pre-rollback" => Self::PreRollback,
            "post-rollback" => Self::PostRollback,
            "test" | "test-success" => Self::Test,
            _ => return None,
        })
    }
}

/// Sorts what templates wrote, by template, into manifests and hooks.
pub(crate) fn sort(written: &BTreeMap<String, Str>, budget: &Budget) -> Result<(Vec<Manifest>, Vec<Hook>), HelmError> {
    let (mut manifests, mut hooks) = (Vec::new(), Vec::new());
    for (source, text) in written {
        let text = text.as_bytes();
        if base(source).starts_with('_') || trim(text).is_empty() {
            continue;
        }
        let documents = split(text);
        budget.documents(documents.len()).map_err(|what| spent(source, what))?;
        for content in documents {
            let head = Head::read(content)
                .map_err(|message| HelmError::Manifest(format!("YAML parse error on {source}: {message}")))?;
            let manifest = Manifest { source: source.clone(), content: content.to_vec(), kind: head.kind.clone() };
            match head.annotations.get("helm.sh/hook") {
                None => manifests.push(manifest),
                Some(events) => hooks.extend(hook(manifest, &head, events)),
            }
        }
    }
    manifests.sort_by(|a, b| rank(&a.kind).cmp(&rank(&b.kind)));
    hooks.sort_by(|a, b| rank(&a.manifest.kind).cmp(&rank(&b.manifest.kind)));
    Ok((manifests, hooks))
}

/// Known kinds in their order, then the others by name.
fn rank(kind: &str) -> (usize, &str) {
    match INSTALL_ORDER.iter().position(|known| *known == kind) {
        Some(place) => (place, ""),
        None => (INSTALL_ORDER.len(), kind),
    }
}

/// A hook, unless it names an event that nobody knows.
fn hook(manifest: Manifest, head: &Head, events: &str) -> Option<Hook> {
    let words = |text: &str| -> Vec<String> { text.split(',').map(|word| word.trim().to_lowercase()).collect() };
    let listed = |annotation: &str| head.annotations.get(annotation).map(|text| words(text)).unwrap_or_default();
    let events = words(events).iter().map(|event| HookEvent::parse(event)).collect::<Option<_>>()?;
    Some(Hook {
        manifest,
        name: head.name.clone(),
        events,
        weight: head.annotations.get("helm.sh/hook-weight").and_then(|text| text.parse().ok()).unwrap_or(0),
        delete_policies: listed("helm.sh/hook-delete-policy"),
        output_log_policies: listed("helm.sh/hook-output-log-policy"),
    })
}

/// The parts of a text between separators, trimmed, without the empty ones.
///
/// A separator is `---` at the start of the text or of a line, with all blanks around it; what follows it on the line
/// belongs to the next part.
pub(crate) fn split(text: &[u8]) -> Vec<&[u8]> {
    let text = trim(text);
    let separator = memmem::Finder::new(b"---");
    let mut parts = Vec::new();
    let mut start = 0;
    let mut at = 0;
    while let Some(found) = next_separator(text, at, &separator) {
        let part = text.get(start..found.start.max(start)).unwrap_or_default();
        parts.push(part);
        start = found.end;
        at = found.end;
    }
    parts.push(text.get(start..).unwrap_or_default());
    parts.into_iter().filter(|part| !part.is_empty()).map(trim).collect()
}

fn next_separator(text: &[u8], from: usize, separator: &memmem::Finder<'_>) -> Option<std::ops::Range<usize>> {
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | b'\x0c');
    let mut at = from;
    loop {
        let rest = text.get(at..)?;
        let dashes = at + separator.find(rest)?;
        let is_at_line_start = dashes == 0 || (dashes > from && text.get(dashes - 1) == Some(&b'\n'));
        if is_at_line_start {
            let before = text.get(from..dashes).unwrap_or_default();
            let blanks = before.iter().rev().take_while(|byte| is_blank(byte)).count();
            let after = text.get(dashes + 3..).unwrap_or_default();
            let end = dashes + 3 + after.iter().take_while(|byte| is_blank(byte)).count();
            return Some(dashes - blanks..end);
        }
        at = dashes + 1;
    }
}

/// Trims blanks, those of Unicode too when the text is UTF-8.
pub(crate) fn trim(text: &[u8]) -> &[u8] {
    match std::str::from_utf8(text) {
        Ok(text) => text.trim().as_bytes(),
        Err(_) => text.trim_ascii(),
    }
}

/// What is looked at in a document.
#[derive(Debug, Default)]
struct Head {
    kind: String,
    name: String,
    annotations: BTreeMap<String, String>,
}

impl Head {
    fn read(document: &[u8]) -> Result<Self, String> {
        const PLACE: Place<'_> = Place { type_name: "SimpleHead", path: "" };
        const METADATA: Place<'_> = Place { type_name: "", path: "metadata" };
        let value = parse_yaml(document)?;
        let mut decoder = Decoder::new();
        let mut head = Self::default();
        if let Some(fields) = decoder.mapping(&value, "util.SimpleHead") {
            decoder.text(fields, PLACE, "apiVersion");
            head.kind = decoder.text(fields, PLACE, "kind");
            match find(fields, "metadata") {
                None | Some(Value::Null) => {}
                Some(Value::Object(metadata)) => head.take(metadata, METADATA, &mut decoder),
                Some(other) => decoder.mismatch(
                    other,
                    PLACE,
                    "metadata",
                    "struct { Name string \"json:\\\"name\\\"\"; Annotations map[string]string \
                     \"json:\\\"annotations\\\"\" }",
                ),
            }
        }
        decoder.finish()?;
        Ok(head)
    }

    fn take(&mut self, metadata: &Map<String, Value>, place: Place<'_>, decoder: &mut Decoder) {
        self.annotations = decoder.text_map(metadata, place, "annotations").unwrap_or_default();
        self.name = decoder.text(metadata, place, "name");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str) -> Vec<String> {
        split(text.as_bytes()).into_iter().map(|part| String::from_utf8_lossy(part).into_owned()).collect()
    }

    #[test]
    fn texts_are_split_as_helm_splits_them() {
        let rows: [(&str, &[&str]); 9] = [
            ("a: 1", &["a: 1"]),
            ("---\na: 1\n---\nb: 1\n", &["a: 1", "b: 1"]),
            ("a: 1\n\n  \n---  \n\nb: 1", &["a: 1", "b: 1"]),
            ("--- # c\na: 1", &["# c\na: 1"]),
            ("a: 1\n---b: 1", &["a: 1", "b: 1"]),
            ("a: ---\nb: 1\n ---\n", &["a: ---\nb: 1\n ---"]),
            ("a: 1\n-----\nb", &["a: 1", "--\nb"]),
            ("---\n---\n---\n", &["---"]),
            ("a: |\n  x\n--- \n--- \nb: 2", &["a: |\n  x", "--- \nb: 2"]),
        ];
        for (text, expected) in rows {
            assert_eq!(parts(text), expected, "{text:?}");
        }
    }

    #[test]
    fn known_kinds_come_first_and_unknown_ones_by_name() {
        let texts =
            [("a", "kind: Zeta"), ("b", "kind: Deployment"), ("c", "kind: Alpha"), ("d", "kind: Namespace\n---\na: 1")];
        let written = texts.iter().map(|(name, text)| ((*name).to_owned(), Str::from(*text))).collect();
        let (manifests, _) = sort(&written, &Budget::default()).unwrap();
        let kinds: Vec<&str> = manifests.iter().map(|it| it.kind.as_str()).collect();
        assert_eq!(kinds, ["Namespace", "Deployment", "", "Alpha", "Zeta"]);
    }
}
