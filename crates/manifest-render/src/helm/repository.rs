//! Charts that lie in repositories: which ones a chart needs, what its lock says, and which version of an index or of a
//! registry's tags fits. Nothing is fetched here.

use std::cmp::Ordering;

use go_template::functions::{compare_versions, is_version, is_version_in_range};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::chart::{Chart, is_packed};
use super::decode::parse_yaml;
use super::error::HelmError;
use super::local::is_local;
use super::metadata::{Dependency, ImportValues, Metadata};
use crate::budget::Budget;
use crate::files::Files;
use crate::path::join;
use crate::render::RenderError;
use crate::tree::Tree;

/// A chart of a chart repository or registry.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WantedChart {
    /// `https://` of a folder with an `index.yaml`, or `oci://` of the folder of the chart.
    pub repository: String,
    /// Name.
    pub name: String,
    /// A version or a range; empty for the newest that is no pre-release.
    pub version: String,
    /// `sha256:` of the packed chart, or of the manifest in a registry; empty when any will do.
    pub digest: String,
}

/// One version of a chart in an index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexEntry {
    /// The version.
    pub version: String,
    /// Where it lies: an address, or a path next to the index.
    pub url: String,
    /// `sha256` of the packed chart in hexadecimal; empty when the index does not say.
    pub digest: String,
}

/// Returns the charts that the chart at a path depends on, that are not in `charts/`, and that lie in repositories; in the
/// versions of its lock when there is one.
///
/// # Errors
/// When the chart can't be loaded, or its lock is not that of its dependencies: with Helm's message.
pub fn missing_charts(path: &str, files: &dyn Files, budget: &Budget) -> Result<Vec<WantedChart>, HelmError> {
    if is_packed(path) {
        return Ok(Vec::new());
    }
    let tree = Tree::new(files, budget);
    let chart = Chart::load_from(path, &tree)?;
    let missing = chart.missing_dependencies();
    let is_remote = |dependency: &&&Dependency| dependency.repository.contains("://") && !is_local(dependency);
    if missing.iter().filter(is_remote).count() == 0 {
        return Ok(Vec::new());
    }
    let lock = lock(path, &chart.metadata, &tree)?;
    let wanted = |dependency: &&Dependency| {
        let place = chart.metadata.dependencies.iter().position(|other| other == *dependency);
        let locked = lock.as_ref().zip(place).and_then(|(lock, place)| lock.get(place));
        let version = locked.map_or(&dependency.version, |locked| &locked.version).clone();
        let (repository, name) = (dependency.repository.clone(), dependency.name.clone());
        WantedChart { repository, name, version, digest: String::new() }
    };
    Ok(missing.iter().filter(is_remote).map(wanted).collect())
}

/// The dependencies of the lock, which has to be that of the chart.
fn lock(root: &str, metadata: &Metadata, tree: &Tree<'_>) -> Result<Option<Vec<Dependency>>, HelmError> {
    let is_old = metadata.api_version == "v1";
    let (name, about) = if is_old { ("requirements.lock", "requirements.yaml") } else { ("Chart.lock", "Chart.yaml") };
    let Some(text) = tree.read_if_present(&join(root, name).map_err(RenderError::Path)?)? else { return Ok(None) };
    let value = parse_yaml(&text).map_err(|message| HelmError::Load(format!("cannot load {name}: {message}")))?;
    let mut locked = Metadata::default();
    locked.read(&text).map_err(|message| HelmError::Load(format!("cannot load {name}: {message}")))?;
    let digest = value.get("digest").and_then(Value::as_str).unwrap_or_default();
    let wanted = &metadata.dependencies;
    let fits = digest == lock_digest(wanted, &locked.dependencies) || is_old && digest == old_lock_digest(wanted);
    if fits {
        return Ok(Some(locked.dependencies));
    }
    Err(HelmError::Requirements(format!(
        "the lock file ({name}) is out of sync with the dependencies file ({about}). Please update the dependencies"
    )))
}

/// What Helm writes as the digest of a lock: that of the JSON of both lists.
fn lock_digest(wanted: &[Dependency], locked: &[Dependency]) -> String {
    sha256(&format!("[{},{}]", list(wanted), list(locked)))
}

/// What Helm 2 wrote.
fn old_lock_digest(wanted: &[Dependency]) -> String {
    sha256(&format!("{{\"dependencies\":{}}}", list(wanted)))
}

fn sha256(text: &str) -> String {
    let digest = Sha256::digest(text.as_bytes());
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

/// A list as Go writes it: null when there is none.
fn list(dependencies: &[Dependency]) -> String {
    if dependencies.is_empty() {
        return "null".to_owned();
    }
    let items: Vec<String> = dependencies.iter().map(json).collect();
    format!("[{}]", items.join(","))
}

fn json(dependency: &Dependency) -> String {
    let text = |text: &str| go_json(&Value::from(text));
    let mut fields = vec![format!("\"name\":{}", text(&dependency.name))];
    if !dependency.version.is_empty() {
        fields.push(format!("\"version\":{}", text(&dependency.version)));
    }
    fields.push(format!("\"repository\":{}", text(&dependency.repository)));
    if !dependency.condition.is_empty() {
        fields.push(format!("\"condition\":{}", text(&dependency.condition)));
    }
    if !dependency.tags.is_empty() {
        fields.push(format!("\"tags\":{}", go_json(&Value::from(dependency.tags.clone()))));
    }
    if dependency.is_enabled {
        fields.push("\"enabled\":true".to_owned());
    }
    if !dependency.import_values.is_empty() {
        let imports = dependency.import_values.iter().map(|import| match import {
            ImportValues::Export(name) => Value::from(name.as_str()),
            ImportValues::Table { child, parent } => {
                let entries = [("child", child), ("parent", parent)];
                Value::Object(
                    entries
                        .map(|(key, value)| (key.to_owned(), Value::from(value.as_str())))
                        .into_iter()
                        .collect::<Map<_, _>>(),
                )
            }
        });
        fields.push(format!("\"import-values\":{}", go_json(&Value::Array(imports.collect()))));
    }
    if !dependency.alias.is_empty() {
        fields.push(format!("\"alias\":{}", text(&dependency.alias)));
    }
    format!("{{{}}}", fields.join(","))
}

/// JSON as Go writes it: what means something to HTML is escaped.
fn go_json(value: &Value) -> String {
    let mut out = String::new();
    for character in value.to_string().chars() {
        match character {
            '<' => out.push_str("\\u003c"),
            '>' => out.push_str("\\u003e"),
            '&' => out.push_str("\\u0026"),
            '\u{2028}' => out.push_str("\\u2028"),
            '\u{2029}' => out.push_str("\\u2029"),
            other => out.push(other),
        }
    }
    out
}

/// Picks the version of a chart out of an `index.yaml`: the one that is named, else the latest in the range.
///
/// # Errors
/// When the index can't be read, or has no such chart.
pub fn pick_from_index(index: &[u8], wanted: &WantedChart) -> Result<IndexEntry, String> {
    let index = match serde_json::from_slice(index) {
        Ok(value) => value,
        Err(_) => parse_yaml(index).map_err(|message| format!("its index.yaml can't be read: {message}"))?,
    };
    let versions = index.pointer("/entries").and_then(|entries| entries.get(&wanted.name)).and_then(Value::as_array);
    let versions = versions.ok_or_else(|| format!("it has no chart `{}`", wanted.name))?;
    let entries: Vec<IndexEntry> = versions.iter().filter_map(entry).collect();
    let names: Vec<&str> = entries.iter().map(|entry| entry.version.as_str()).collect();
    let chosen = pick_version(&names, &wanted.version)
        .ok_or_else(|| format!("it has no version `{}` of chart `{}`", wanted.version, wanted.name))?;
    let found = entries.iter().find(|entry| entry.version == chosen);
    found.cloned().ok_or_else(|| format!("it has no chart `{}`", wanted.name))
}

fn entry(value: &Value) -> Option<IndexEntry> {
    let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
    let url = text(value.get("urls")?.get(0));
    let version = match value.get("version")? {
        Value::String(version) => version.clone(),
        other => other.to_string(),
    };
    let digest = text(value.get("digest")).trim_start_matches("sha256:").to_ascii_lowercase();
    (!url.is_empty()).then_some(IndexEntry { version, url, digest })
}

/// Picks a version: the very one, else the latest in the range, else none.
pub fn pick_version(versions: &[&str], wanted: &str) -> Option<String> {
    if !wanted.is_empty() && versions.contains(&wanted) {
        return Some(wanted.to_owned());
    }
    let range = if wanted.is_empty() { "*" } else { wanted };
    let fitting = versions.iter().filter(|version| is_version(version) && is_version_in_range(version, range));
    let later = |a: &&&str, b: &&&str| compare_versions(a, b).unwrap_or(Ordering::Equal);
    fitting.max_by(later).map(|version| (*version).to_owned())
}

/// The layer with the packed chart in the manifest of a registry, as digest and size.
///
/// # Errors
/// When it is the manifest of something else.
pub fn chart_layer(manifest: &[u8]) -> Result<(String, u64), String> {
    const CHART: [&str; 2] = ["application/vnd.cncf.helm.chart.content.v1.tar+gzip", "application/tar+gzip"];
    let manifest: Value = serde_json::from_slice(manifest).map_err(|_| "its manifest is not JSON".to_owned())?;
    let layers = manifest.get("layers").and_then(Value::as_array).into_iter().flatten();
    let is_chart =
        |layer: &&Value| layer.get("mediaType").and_then(Value::as_str).is_some_and(|it| CHART.contains(&it));
    let layer = layers.into_iter().find(is_chart).ok_or("it is not a Helm chart")?;
    let digest = layer.get("digest").and_then(Value::as_str).unwrap_or_default();
    let size = layer.get("size").and_then(Value::as_u64).unwrap_or_default();
    Ok((digest.to_owned(), size))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::MemoryFiles;

    const CHART: &str = "apiVersion: v2\nname: web\nversion: 1.0.0\ndependencies:\n- name: db\n  version: \">=1.0.0 <2\"\n  repository: https://charts.example.com\n";

    #[test]
    fn a_dependency_that_is_not_there_is_wanted_in_the_version_of_the_lock() {
        let files = MemoryFiles::new().with("web/Chart.yaml", CHART);
        let wanted = |files: &MemoryFiles| missing_charts("web", files, &Budget::default());
        let found = wanted(&files).unwrap();
        assert_eq!((found[0].name.as_str(), found[0].version.as_str()), ("db", ">=1.0.0 <2"));
        // The digest is the one that `helm dependency update` of 4.1.4 writes for these two lists.
        let lock =
            "dependencies:\n- name: db\n  repository: https://charts.example.com\n  version: 1.4.2\ndigest: DIGEST\n";
        let dependency = |version: &str| Dependency {
            name: "db".to_owned(),
            version: version.to_owned(),
            repository: "https://charts.example.com".to_owned(),
            ..Dependency::default()
        };
        let digest = lock_digest(&[dependency(">=1.0.0 <2")], &[dependency("1.4.2")]);
        let locked = files.clone().with("web/Chart.lock", lock.replace("DIGEST", &digest));
        assert_eq!(wanted(&locked).unwrap()[0].version, "1.4.2");
        let stale = files.with("web/Chart.lock", lock.replace("DIGEST", "sha256:0"));
        assert_eq!(
            wanted(&stale).unwrap_err().to_string(),
            "the lock file (Chart.lock) is out of sync with the dependencies file (Chart.yaml). Please update the dependencies"
        );
    }

    #[test]
    fn what_lies_in_charts_is_not_wanted() {
        let files = MemoryFiles::new()
            .with("web/Chart.yaml", CHART)
            .with("web/charts/db/Chart.yaml", "apiVersion: v2\nname: db\nversion: 1.0.0\n");
        assert_eq!(missing_charts("web", &files, &Budget::default()).unwrap(), []);
    }

    #[test]
    fn the_latest_version_of_a_range_is_picked_and_a_named_one_as_it_is() {
        let versions = ["1.9.0", "1.10.0", "2.0.0-rc.1", "odd", "1.2.0"];
        for (wanted, picked) in [
            ("", Some("1.10.0")),
            ("^1.2", Some("1.10.0")),
            ("~1.2", Some("1.2.0")),
            ("2.0.0-rc.1", Some("2.0.0-rc.1")),
            (">=2.0.0-0", Some("2.0.0-rc.1")),
            ("3", None),
        ] {
            assert_eq!(pick_version(&versions, wanted).as_deref(), picked, "{wanted}");
        }
    }

    #[test]
    fn an_index_says_where_a_version_lies() {
        let index = b"apiVersion: v1\nentries:\n  db:\n  - version: 1.0.0\n    urls: [db-1.0.0.tgz]\n    digest: AB\n  - version: 1.1.0\n    urls: []\n";
        let wanted = |name: &str, version: &str| WantedChart {
            repository: String::new(),
            name: name.to_owned(),
            version: version.to_owned(),
            digest: String::new(),
        };
        let entry = pick_from_index(index, &wanted("db", "^1")).unwrap();
        assert_eq!(
            (entry.version.as_str(), entry.url.as_str(), entry.digest.as_str()),
            ("1.0.0", "db-1.0.0.tgz", "ab")
        );
        assert_eq!(pick_from_index(index, &wanted("web", "1")).unwrap_err(), "it has no chart `web`");
        assert_eq!(pick_from_index(index, &wanted("db", "2")).unwrap_err(), "it has no version `2` of chart `db`");
    }

    #[test]
    fn the_chart_of_a_registry_is_found_by_its_media_type() {
        let manifest = br#"{"layers":[{"mediaType":"application/vnd.cncf.helm.chart.provenance.v1.prov","digest":"sha256:0"},{"mediaType":"application/vnd.cncf.helm.chart.content.v1.tar+gzip","digest":"sha256:1","size":7}]}"#;
        assert_eq!(chart_layer(manifest), Ok(("sha256:1".to_owned(), 7)));
        assert_eq!(chart_layer(b"{}"), Err("it is not a Helm chart".to_owned()));
    }
}
