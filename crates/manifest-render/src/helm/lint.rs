//! What is wrong with a chart: Helm's rules in Helm's words, and what this crate finds besides.

mod chart_file;
mod kubernetes;
mod templates;

use std::fmt;

use super::chart::Chart;
use super::decode::parse_yaml;
use super::error::HelmError;
use super::metadata::Metadata;
use super::release::Release;
use super::render::Surroundings;
use super::schema;
use super::values::{floats, merge_under};
use crate::budget::Budget;
use crate::files::Files;
use crate::path::join;
use crate::tree::Tree;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// Works, but should not be so.
    Warning,
    /// Will not work.
    Error,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// The file or folder in the chart.
    pub path: String,
    /// Line counted from 1; 0 when there is none.
    pub line: u32,
    /// Column counted from 1; 0 when there is none.
    pub column: u32,
    /// What is wrong. Helm's own words where Helm has a rule for it.
    pub message: String,
}

impl Finding {
    pub(crate) fn new(severity: Severity, path: &str, message: impl Into<String>) -> Self {
        Self { severity, path: path.to_owned(), line: 0, column: 0, message: message.into() }
    }

    pub(crate) fn at(mut self, line: u32, column: u32) -> Self {
        (self.line, self.column) = (line, column);
        self
    }
}

/// `[ERROR] templates/web.yaml:3:5: message`.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Info => "INFO",
            Severity::Warning => "WARNING",
            Severity::Error => "ERROR",
        };
        write!(f, "[{severity}] {}", self.path)?;
        match (self.line, self.column) {
            (0, _) => {}
            (line, 0) => write!(f, ":{line}")?,
            (line, column) => write!(f, ":{line}:{column}")?,
        }
        write!(f, ": {}", self.message)
    }
}

/// Looks a chart over. `path` is a folder, or a packed chart, of the tree.
///
/// # Errors
/// When there is no chart at the path or the budget is spent; what is wrong with the chart is the answer, not an error.
pub fn lint_chart(
    path: &str,
    files: &dyn Files,
    release: &Release,
    surroundings: Surroundings<'_>,
    budget: &Budget,
) -> Result<Vec<Finding>, HelmError> {
    let tree = Tree::new(files, budget);
    let sources = Sources::read(path, &tree)?;
    let mut findings = Vec::new();
    let metadata = chart_file::lint(&sources.chart_file, &mut findings);
    values(&sources, release, budget, &mut findings)?;
    let chart = match Chart::load_from(path, &tree) {
        Ok(chart) => chart,
        Err(HelmError::Load(message)) => {
            findings.push(Finding::new(Severity::Error, "templates/", message.clone()));
            findings.push(Finding::new(Severity::Error, "", format!("unable to load chart\n\t{message}")));
            return Ok(findings);
        }
        Err(other) => return Err(other),
    };
    templates::lint(&chart, release, surroundings, budget, &mut findings)?;
    if let Some(metadata) = metadata {
        dependencies(&chart, &metadata, path, &mut findings);
    }
    templates::lint_definitions(&chart, &mut findings);
    Ok(findings)
}

/// The files that are looked at as they are.
struct Sources {
    chart_file: Vec<u8>,
    values: Option<Vec<u8>>,
    schema: Option<Vec<u8>>,
}

impl Sources {
    fn read(path: &str, tree: &Tree<'_>) -> Result<Self, HelmError> {
        let missing = || HelmError::Load(format!("unable to check Chart.yaml file in chart: {path}"));
        if super::chart::is_packed(path) {
            let content = tree.read(path)?;
            let files = super::archive::unpack(&content, path, tree.budget())?;
            let find = |name: &str| files.iter().find(|file| file.name == name).map(|file| file.data.to_vec());
            return Ok(Self {
                chart_file: find("Chart.yaml").ok_or_else(missing)?,
                values: find("values.yaml"),
                schema: find("values.schema.json"),
            });
        }
        let find = |name: &str| -> Result<Option<Vec<u8>>, HelmError> {
            let place = join(path, name).map_err(crate::render::RenderError::Path)?;
            Ok(tree.read_if_present(&place)?.map(|content| content.to_vec()))
        };
        Ok(Self {
            chart_file: find("Chart.yaml")?.ok_or_else(missing)?,
            values: find("values.yaml")?,
            schema: find("values.schema.json")?,
        })
    }
}

fn values(sources: &Sources, release: &Release, budget: &Budget, findings: &mut Vec<Finding>) -> Result<(), HelmError> {
    const FILE: &str = "values.yaml";
    let Some(text) = &sources.values else {
        findings.push(Finding::new(Severity::Info, FILE, "file does not exist"));
        return Ok(());
    };
    let values = match parse_yaml(text) {
        Ok(values) => floats(values),
        Err(message) => {
            findings.push(Finding::new(Severity::Error, FILE, format!("unable to parse YAML: {message}")));
            return Ok(());
        }
    };
    // What Helm passes over and people trip over: a key that is there twice, a value that other readers take otherwise.
    if let Err(faults) = yaml::parse(text) {
        findings.extend(
            faults
                .into_iter()
                .map(|fault| Finding::new(Severity::Warning, FILE, fault.message.clone()).at(fault.line, fault.column)),
        );
    }
    let schema = sources.schema.as_ref().filter(|schema| !schema.is_empty() && !release.skips_schema);
    let (Some(schema), serde_json::Value::Object(mut values)) = (schema, values) else { return Ok(()) };
    merge_under(&mut values, &release.values);
    let said = schema::single(schema, &values.into(), budget)
        .map_err(|what| HelmError::from(crate::tree::spent("values.schema.json", what)))?;
    if let Some(said) = said {
        findings.push(Finding::new(Severity::Error, FILE, format!("{said}\n")));
    }
    Ok(())
}

/// Whether `Chart.yaml` and `charts/` name the same charts.
fn dependencies(chart: &Chart, metadata: &Metadata, path: &str, findings: &mut Vec<Finding>) {
    let names: Vec<&str> = metadata.dependencies.iter().map(|it| it.name.as_str()).collect();
    let unnamed: Vec<&str> = chart.dependencies.iter().map(Chart::name).filter(|name| !names.contains(name)).collect();
    if !unnamed.is_empty() {
        let message = format!("chart metadata is missing these dependencies: {}", unnamed.join(","));
        findings.push(Finding::new(Severity::Error, path, message));
    }
    let missing: Vec<&str> =
        names.into_iter().filter(|name| !chart.dependencies.iter().any(|it| it.name() == *name)).collect();
    if !missing.is_empty() {
        let message = format!("chart directory is missing these dependencies: {}", missing.join(","));
        findings.push(Finding::new(Severity::Warning, path, message));
    }
}
