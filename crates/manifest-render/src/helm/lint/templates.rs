//! The rules for templates and for what they write.

use super::kubernetes::{deprecation, name_fault};
use super::{Finding, Severity};
use crate::budget::Budget;
use crate::collect::Collector;
use crate::helm::chart::Chart;
use crate::helm::decode::{Decoder, Place, find, parse_yaml};
use crate::helm::error::HelmError;
use crate::helm::go_text::{extension, quote};
use crate::helm::manifest::{split, trim};
use crate::helm::release::Release;
use crate::helm::render::{Surroundings, prepare};
use crate::render::RenderError;

/// Renders the templates and looks at each and at what it wrote.
pub(super) fn lint(
    chart: &Chart,
    release: &Release,
    surroundings: Surroundings<'_>,
    budget: &Budget,
    findings: &mut Vec<Finding>,
) -> Result<(), HelmError> {
    const FOLDER: &str = "templates/";
    if chart.templates.is_empty() {
        findings.push(Finding::new(Severity::Warning, FOLDER, "directory does not exist"));
        return Ok(());
    }
    let prepared = match prepare(chart, release, budget, &mut Vec::new()) {
        Ok(prepared) => prepared,
        Err(HelmError::Schema(message)) => {
            findings.push(Finding::new(Severity::Error, FOLDER, message));
            return Ok(());
        }
        // Helm passes over values that do not merge.
        Err(HelmError::Values(_)) => return Ok(()),
        Err(other) => return Err(other),
    };
    let written = match prepared.execute(release, surroundings, budget) {
        Ok(written) => written,
        Err(HelmError::Template(message)) => {
            let (line, column) = place_in(&message);
            findings.push(Finding::new(Severity::Error, FOLDER, message).at(line, column));
            return Ok(());
        }
        Err(other) => return Err(other),
    };
    let mut collector = Collector::new(budget);
    for file in &chart.templates {
        let name = file.name.as_str();
        let kind = extension(name);
        if !matches!(kind, ".yaml" | ".yml" | ".tpl" | ".txt") {
            findings.push(Finding::new(
                Severity::Error,
                name,
                format!("file extension '{kind}' not valid. Valid extensions are .yaml, .yml, .tpl, or .txt"),
            ));
        }
        if !matches!(kind.to_lowercase().as_str(), ".yaml" | ".yml") {
            continue;
        }
        let text = written.get(&format!("{}/{name}", chart.name())).map_or(&[][..], go_template::Str::as_bytes);
        if trim(text).is_empty() {
            continue;
        }
        if !lint_text(name, text, release, findings) {
            return Ok(());
        }
        collector.rendered_text(name, text)?;
    }
    if let Err(RenderError::Invalid { diagnostics }) = collector.finish() {
        findings.extend(
            diagnostics
                .into_iter()
                .map(|it| Finding::new(Severity::Warning, &it.file, it.message).at(it.line, it.column)),
        );
    }
    Ok(())
}

/// Line and column of a message that begins with `... at (FILE:LINE:COLUMN):` or `FILE:LINE:COLUMN`.
fn place_in(message: &str) -> (u32, u32) {
    let place = message.split_once(" at (").map_or(message, |(_, rest)| rest);
    let place = place.split([')', '\n', ' ']).next().unwrap_or_default();
    let mut numbers = place.split(':').skip(1).map_while(|part| part.parse::<u32>().ok());
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

/// Looks at what one template wrote; false when it is no YAML, after which Helm looks no further.
fn lint_text(name: &str, text: &[u8], release: &Release, findings: &mut Vec<Finding>) -> bool {
    let lossy = String::from_utf8_lossy(text);
    if let Some(line) = lossy.lines().find(|line| !line.trim().is_empty()).filter(|it| it.starts_with([' ', '\t'])) {
        let line = quote(line);
        findings.push(Finding::new(
            Severity::Warning,
            name,
            format!("document starts with an illegal indent: {line}, which may cause parsing problems"),
        ));
    }
    for document in split(text) {
        let object = match Identity::read(document) {
            Ok(Some(object)) => object,
            Ok(None) => continue,
            Err(message) => {
                findings.push(Finding::new(Severity::Error, name, format!("unable to parse YAML: {message}")));
                return false;
            }
        };
        let Identity { api_version, kind, name: object_name } = &object;
        let mut warn = |message: Option<String>| {
            findings.extend(message.map(|message| Finding::new(Severity::Warning, name, message)));
        };
        warn(name_fault(kind, object_name));
        warn(deprecation(api_version, kind, &release.capabilities.kube_version));
        let has_selector = lossy.contains("matchLabels") || lossy.contains("matchExpressions");
        if matches!(kind.as_str(), "Deployment" | "ReplicaSet" | "DaemonSet" | "StatefulSet") && !has_selector {
            let object_name = quote(object_name);
            findings.push(Finding::new(
                Severity::Error,
                name,
                format!("a {kind} must contain matchLabels or matchExpressions, and {object_name} does not"),
            ));
        }
        if kind == "List" && lossy.contains("helm.sh/resource-policy") {
            findings.push(Finding::new(
                Severity::Error,
                name,
                "annotation 'helm.sh/resource-policy' within List objects are ignored",
            ));
        }
    }
    true
}

/// Looks at the files of `crds/`.
pub(super) fn lint_definitions(chart: &Chart, findings: &mut Vec<Finding>) {
    let is_definition = |name: &str| {
        name.starts_with("crds/") && matches!(extension(name).to_lowercase().as_str(), ".yaml" | ".yml" | ".json")
    };
    for file in chart.files.iter().filter(|file| is_definition(&file.name)) {
        for document in split(&file.data) {
            let object = match Identity::read(document) {
                Ok(Some(object)) => object,
                Ok(None) => continue,
                Err(message) => {
                    let message = format!("unable to parse YAML: {message}");
                    findings.push(Finding::new(Severity::Error, &file.name, message));
                    return;
                }
            };
            if !object.api_version.starts_with("apiextensions.k8s.io") {
                let message = "apiVersion is not in 'apiextensions.k8s.io'";
                findings.push(Finding::new(Severity::Error, &file.name, message));
            }
            if object.kind != "CustomResourceDefinition" {
                let message = "object kind is not 'CustomResourceDefinition'";
                findings.push(Finding::new(Severity::Error, &file.name, message));
            }
        }
    }
}

/// What a document is.
struct Identity {
    api_version: String,
    kind: String,
    name: String,
}

impl Identity {
    /// None for a document without content.
    fn read(document: &[u8]) -> Result<Option<Self>, String> {
        const PLACE: Place<'_> = Place { type_name: "k8sYamlStruct", path: "" };
        const METADATA: Place<'_> = Place { type_name: "k8sYamlMetadata", path: "Metadata" };
        let value = parse_yaml(document)?;
        let mut decoder = Decoder::new();
        let Some(fields) = decoder.mapping(&value, "rules.k8sYamlStruct") else {
            return decoder.finish().map(|()| None);
        };
        let empty = serde_json::Map::new();
        let metadata = find(fields, "metadata").and_then(serde_json::Value::as_object).unwrap_or(&empty);
        let object = Self {
            api_version: decoder.text(fields, PLACE, "apiVersion"),
            kind: decoder.text(fields, PLACE, "Kind"),
            name: decoder.text(metadata, METADATA, "Name"),
        };
        decoder.finish()?;
        Ok(Some(object))
    }
}
