//! A chart and its subcharts, as loaded.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::{Map, Value};

use super::archive::{FILE_BYTES_MAX, unpack, without_mark};
use super::decode::parse_yaml;
use super::error::HelmError;
use super::go_text::extension;
use super::ignore::{IgnoreRules, Ignored};
use super::metadata::{Dependency, Metadata};
use super::parsed::ParsedSets;
use super::values::read_values;
use crate::budget::{Budget, Exhausted};
use crate::files::{Entry, EntryKind, Files};
use crate::path::join;
use crate::render::RenderError;
use crate::tree::{Tree, spent};

/// Charts inside charts.
const CHART_DEPTH_MAX: u32 = 32;
/// Folders inside folders.
const FOLDER_DEPTH_MAX: u32 = 64;

/// A chart with everything that rendering needs. It is read once and rendered as often as wanted: the first render parses
/// its templates, later ones without a cluster to look things up in find them parsed.
#[derive(Debug, Clone, Default)]
pub struct Chart {
    /// What it says about itself.
    pub metadata: Metadata,
    /// Its default values; numbers are floats, as Helm has them.
    pub values: Map<String, Value>,
    /// JSON schema of its values.
    pub schema: Option<Bytes>,
    /// Files below `templates/`.
    pub templates: Vec<ChartFile>,
    /// All files that are nothing else, `crds/` among them.
    pub files: Vec<ChartFile>,
    /// Charts below `charts/`.
    pub dependencies: Vec<Chart>,
    /// What Helm would warn of while it loads the chart.
    pub warnings: Vec<String>,
    /// Its parsed templates.
    pub(crate) parsed: ParsedSets,
    has_metadata: bool,
}

/// A file of a chart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChartFile {
    /// Path inside the chart.
    pub name: String,
    /// Content.
    pub data: Bytes,
}

impl Chart {
    /// Loads the chart in a folder, or the packed chart in a file, of a tree.
    ///
    /// # Errors
    /// When it is no chart, a file of it is broken or too large, or the budget is spent.
    pub fn load(path: &str, files: &dyn Files, budget: &Budget) -> Result<Self, HelmError> {
        Self::load_from(path, &Tree::new(files, budget))
    }

    pub(crate) fn load_from(path: &str, tree: &Tree<'_>) -> Result<Self, HelmError> {
        if is_packed(path) {
            let content = tree.read(path)?;
            return Self::unpack(path, &content, tree.budget());
        }
        let files = folder(path, tree)?;
        let Some(about) = files.iter().find(|file| file.name == "Chart.yaml") else {
            return Err(HelmError::Load(format!("unable to detect chart at {path}: there is no Chart.yaml")));
        };
        check_api_version(&about.data)?;
        Self::of_files(files, path, tree.budget(), 0)
    }

    /// Loads a packed chart; `name` is what messages call it.
    ///
    /// # Errors
    /// When it is no chart, a file of it is broken or too large, or the budget is spent.
    pub fn unpack(name: &str, archive: &[u8], budget: &Budget) -> Result<Self, HelmError> {
        if !archive.starts_with(&[0x1f, 0x8b, 0x08]) {
            if name.ends_with(".yml") || name.ends_with(".yaml") {
                return refuse(format!("file '{name}' seems to be a YAML file, but expected a gzipped archive"));
            }
            return refuse(format!("file '{name}' does not appear to be a gzipped archive"));
        }
        let files = unpack(archive, name, budget).map_err(|error| match error {
            HelmError::Load(_) => HelmError::Load("unable to load chart archive".to_owned()),
            other => other,
        })?;
        let Some(about) = files.iter().find(|file| file.name == "Chart.yaml") else {
            return refuse("unable to detect chart version, no Chart.yaml found");
        };
        check_api_version(&about.data)?;
        Self::of_files(files, name, budget, 0)
    }

    fn of_files(files: Vec<ChartFile>, place: &str, budget: &Budget, depth: u32) -> Result<Self, HelmError> {
        if depth > CHART_DEPTH_MAX {
            return Err(spent(place, Exhausted::Depth(CHART_DEPTH_MAX)).into());
        }
        let mut chart = Self::default();
        for file in files.iter().filter(|file| file.name == "Chart.yaml") {
            chart.read_metadata(&file.data, "Chart.yaml")?;
            if chart.metadata.api_version.is_empty() {
                chart.metadata.api_version = "v1".to_owned();
            }
        }
        let mut subcharts: BTreeMap<String, Vec<ChartFile>> = BTreeMap::new();
        for file in files {
            chart.take(file, &mut subcharts)?;
        }
        if !chart.has_metadata {
            return refuse("Chart.yaml file is missing");
        }
        chart.metadata.validate().map_err(HelmError::Load)?;
        for (name, files) in subcharts {
            if name.starts_with(['_', '.']) {
                continue;
            }
            let subchart = subchart(&name, files, &chart, place, budget, depth).map_err(|error| match error {
                HelmError::Load(message) => {
                    HelmError::Load(format!("error unpacking subchart {name} in {}: {message}", chart.metadata.name))
                }
                other => other,
            })?;
            chart.dependencies.push(subchart);
        }
        Ok(chart)
    }

    fn read_metadata(&mut self, data: &[u8], file: &str) -> Result<(), HelmError> {
        self.has_metadata = true;
        self.metadata.read(data).map_err(|message| HelmError::Load(format!("cannot load {file}: {message}")))
    }

    /// Puts one file where it belongs.
    fn take(&mut self, file: ChartFile, subcharts: &mut BTreeMap<String, Vec<ChartFile>>) -> Result<(), HelmError> {
        let broken = |message: String| HelmError::Load(format!("cannot load {}: {message}", file.name));
        match file.name.as_str() {
            "Chart.yaml" => {}
            "Chart.lock" => {
                parse_yaml(&file.data).map_err(broken)?;
            }
            "values.yaml" => self.values = read_values(&file.data).map_err(broken)?,
            "values.schema.json" => self.schema = Some(file.data),
            "requirements.yaml" => {
                self.read_metadata(&file.data, "requirements.yaml")?;
                self.keep_old(file, "Dependencies are handled", "dependencies to Chart.yaml");
            }
            "requirements.lock" => {
                parse_yaml(&file.data).map_err(broken)?;
                self.keep_old(file, "Dependency locking is handled", "to Chart.lock");
            }
            name if name.starts_with("templates/") => self.templates.push(file),
            name if name.starts_with("charts/") && extension(name) != ".prov" => {
                let below = name.strip_prefix("charts/").unwrap_or(name).to_owned();
                let top = below.split('/').next().unwrap_or_default().to_owned();
                subcharts.entry(top).or_default().push(ChartFile { name: below, data: file.data });
            }
            _ => self.files.push(file),
        }
        Ok(())
    }

    /// The files of the first chart format are files of the chart; in the second they are out of place.
    fn keep_old(&mut self, file: ChartFile, what: &str, advice: &str) {
        if self.metadata.api_version == "v1" {
            self.files.push(file);
            return;
        }
        let now = if file.name.ends_with(".lock") { "Chart.lock" } else { "Chart.yaml" };
        self.warnings
            .push(format!("Warning: {what} in {now} since apiVersion \"v2\". We recommend migrating {advice}."));
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.metadata.name
    }

    /// Checks that the chart can be installed.
    pub(crate) fn check_installable(&self) -> Result<(), HelmError> {
        if self.metadata.api_version == "v3" {
            return Err(HelmError::Requirements("invalid chart apiVersion".to_owned()));
        }
        if !matches!(self.metadata.chart_type.as_str(), "" | "application") {
            let message = format!("{} charts are not installable", self.metadata.chart_type);
            return Err(HelmError::Requirements(message));
        }
        Ok(())
    }

    /// The dependencies of `Chart.yaml` that are not in `charts/`.
    pub(crate) fn missing_dependencies(&self) -> Vec<&Dependency> {
        let is_there = |name: &str| self.dependencies.iter().any(|chart| chart.name() == name);
        self.metadata.dependencies.iter().filter(|dependency| !is_there(&dependency.name)).collect()
    }
}

/// Whether a path names a packed chart.
pub(crate) fn is_packed(path: &str) -> bool {
    path.ends_with(".tgz") || path.ends_with(".tar.gz")
}

fn subchart(
    name: &str,
    files: Vec<ChartFile>,
    chart: &Chart,
    place: &str,
    budget: &Budget,
    depth: u32,
) -> Result<Chart, HelmError> {
    let place = format!("{place}/charts/{name}");
    if extension(name) != ".tgz" {
        let inside = files.into_iter().filter_map(|file| {
            let (_, rest) = file.name.split_once('/')?;
            Some(ChartFile { name: rest.to_owned(), data: file.data })
        });
        return Chart::of_files(inside.collect(), &place, budget, depth + 1);
    }
    let Some(file) = files.first().filter(|file| file.name == name) else {
        let found = files.first().map_or("", |file| file.name.as_str());
        // Helm says so without the words that it puts before the other faults of subcharts.
        let message = format!("error unpacking subchart tar in {}: expected {name}, got {found}", chart.name());
        return refuse(message);
    };
    Chart::of_files(unpack(&file.data, &place, budget)?, &place, budget, depth + 1)
}

/// The version of the chart format decides who reads the chart.
fn check_api_version(about: &[u8]) -> Result<(), HelmError> {
    let value = parse_yaml(about).map_err(|message| HelmError::Load(format!("cannot load Chart.yaml: {message}")))?;
    match value.get("apiVersion").and_then(Value::as_str) {
        Some("v1" | "v2" | "v3" | "") | None => Ok(()),
        Some(_) => refuse("unsupported chart version"),
    }
}

/// Reads a folder in the order in which Helm walks it: by name, folder by folder, without what is ignored.
fn folder(root: &str, tree: &Tree<'_>) -> Result<Vec<ChartFile>, HelmError> {
    let rules = match tree.read_if_present(&join(root, ".helmignore").map_err(RenderError::Path)?)? {
        Some(text) => IgnoreRules::parse(&text).map_err(HelmError::Load)?,
        None => IgnoreRules::default(),
    };
    let rules = rules.with_defaults();
    let mut files = Vec::new();
    let mut open = vec![(String::new(), EntryKind::Directory, 0)];
    while let Some((path, kind, depth)) = open.pop() {
        let at = join(root, &path).map_err(RenderError::Path)?;
        match kind {
            EntryKind::Directory if path.is_empty() || !rules.ignores(&path, Ignored::Folder) => {
                if depth > FOLDER_DEPTH_MAX {
                    return Err(spent(&at, Exhausted::Depth(FOLDER_DEPTH_MAX)).into());
                }
                let entries = tree.list(&at)?.into_iter().filter(|entry| !entry.name.eq_ignore_ascii_case(".git"));
                let below = |Entry { name, kind }: Entry| {
                    (if path.is_empty() { name } else { format!("{path}/{name}") }, kind, depth + 1)
                };
                let first = open.len();
                open.extend(entries.map(below));
                // The last one is taken next, so that the first comes first.
                open.get_mut(first..).unwrap_or_default().reverse();
            }
            EntryKind::File if !rules.ignores(&path, Ignored::File) => {
                let data = tree.read(&at)?;
                if u64::try_from(data.len()).unwrap_or(u64::MAX) > FILE_BYTES_MAX {
                    let name = super::go_text::quote(super::go_text::base(&path));
                    return refuse(format!("chart file {name} is larger than the maximum file size {FILE_BYTES_MAX}"));
                }
                files.push(ChartFile { name: path, data: without_mark(data) });
            }
            EntryKind::Other if !rules.ignores(&path, Ignored::File) => {
                return refuse(format!("{at} is a link that leads out of the tree, a dangling link or a submodule"));
            }
            _ => {}
        }
    }
    Ok(files)
}

fn refuse<T>(message: impl Into<String>) -> Result<T, HelmError> {
    Err(HelmError::Load(message.into()))
}
