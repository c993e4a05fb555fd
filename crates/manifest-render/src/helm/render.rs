//! Renders a chart: values, templates in Helm's order, manifests.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use go_template::{Entropy, Environment, Map, MissingKey, Str, Templates, Timestamp, Value};
use memchr::memmem;

use super::chart::Chart;
use super::coalesce::{Nulls, Warnings, coalesce_values, map_of};
use super::dependencies::{self, table_at};
use super::error::HelmError;
use super::functions::{Lookup, chart_functions};
use super::go_text::base;
use super::manifest::sort;
use super::messages::{execute_message, parse_message};
use super::node::Node;
use super::objects::{CapabilitiesObject, FilesObject, VALUES, chart_object};
use super::parsed::Origin;
use super::release::{Manifests, Mode, Release};
use super::schema;
use crate::budget::{Budget, Exhausted};
use crate::tree::spent;
use go_template::functions::is_version_in_range;

/// The name of the template that texts of `tpl` belong to.
const SET_NAME: &str = "gotpl";

/// What rendering gets from outside.
pub struct Surroundings<'r> {
    /// What random functions draw from.
    pub entropy: &'r mut dyn Entropy,
    /// What `now` is.
    pub now: Timestamp,
    /// Answers `lookup`; without it nothing is ever found, as in `helm template`.
    pub lookup: Option<Arc<dyn Lookup>>,
}

impl std::fmt::Debug for Surroundings<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Surroundings").field("now", &self.now).finish_non_exhaustive()
    }
}

impl<'r> Surroundings<'r> {
    /// Returns surroundings without a cluster.
    pub fn new(entropy: &'r mut dyn Entropy, now: Timestamp) -> Self {
        Self { entropy, now, lookup: None }
    }
}

/// Renders a chart as `helm template` does.
///
/// # Errors
/// With Helm's message, or when the budget is spent.
pub fn render_chart(
    chart: &Chart,
    release: &Release,
    surroundings: Surroundings<'_>,
    budget: &Budget,
) -> Result<Manifests, HelmError> {
    chart.check_installable()?;
    release.check_name()?;
    let mut warnings: Warnings = chart.warnings.clone();
    if chart.metadata.is_deprecated {
        warnings.push("this chart is deprecated".to_owned());
    }
    let prepared = prepare(chart, release, budget, &mut warnings)?;
    let wanted = &chart.metadata.kube_version;
    let kube_version = &release.capabilities.kube_version;
    if !wanted.is_empty() && !is_version_in_range(&kube_version.normalized, wanted) {
        return Err(HelmError::KubeVersion(format!(
            "chart requires kubeVersion: {wanted} which is incompatible with Kubernetes {}",
            kube_version.version
        )));
    }
    let mut written = prepared.execute(release, surroundings, budget)?;
    let own_notes = format!("{}/templates/NOTES.txt", chart.name());
    let notes = written.get(&own_notes).map(|text| text.to_str_lossy().into_owned()).unwrap_or_default();
    written.retain(|name, _| !name.ends_with("NOTES.txt"));
    let (manifests, hooks) = sort(&written, budget)?;
    let definitions = prepared.node.definitions("");
    let definitions = definitions.into_iter().map(|(path, file)| (path, file.data.to_vec())).collect();
    Ok(Manifests { definitions, manifests, hooks, notes, warnings })
}

/// A chart with the values that its templates are to see.
pub(crate) struct Prepared<'c> {
    pub(crate) node: Node<'c>,
    templates: BTreeMap<String, Source<'c>>,
}

/// One template and what it sees.
struct Source<'c> {
    text: &'c Bytes,
    top: Map,
    base_path: String,
}

/// Merges values, leaves out what is switched off, holds values against schemas, and lays out templates.
pub(crate) fn prepare<'c>(
    chart: &'c Chart,
    release: &Release,
    budget: &Budget,
    warnings: &mut Warnings,
) -> Result<Prepared<'c>, HelmError> {
    let mut node = Node::new(chart);
    let given = map_of(&release.values);
    dependencies::process(&mut node, &given, warnings)?;
    if release.mode != Mode::Lint {
        dependencies::check_complete(&node)?;
    }
    // Every merge would warn of the same again.
    let values = coalesce_values(&node, &given, Nulls::Delete, &mut Vec::new())?;
    if !release.skips_schema {
        schema::validate(&node, &values, budget)?;
    }
    let top: Map = [
        ("Release", Value::Map(release_object(release))),
        ("Capabilities", Value::object(CapabilitiesObject::new(&release.capabilities))),
        ("Values", Value::Map(values.converted(VALUES))),
    ]
    .into_iter()
    .collect();
    let mut templates = BTreeMap::new();
    lay_out(&node, &top, None, &mut templates);
    Ok(Prepared { node, templates })
}

fn release_object(release: &Release) -> Map {
    [
        ("Name", Value::from(release.name.as_str())),
        ("Namespace", release.namespace.as_str().into()),
        ("IsUpgrade", release.is_upgrade.into()),
        ("IsInstall", Value::Bool(!release.is_upgrade && release.mode != Mode::Lint)),
        ("Revision", Value::int(if release.mode == Mode::Lint { 0 } else { 1 })),
        ("Service", "Helm".into()),
    ]
    .into_iter()
    .collect()
}

/// Puts the templates of a chart and its subcharts under their full names, each with what it sees.
fn lay_out<'c>(
    node: &Node<'c>,
    above: &Map,
    path_above: Option<&str>,
    templates: &mut BTreeMap<String, Source<'c>>,
) -> Map {
    let name = node.name();
    let is_root = path_above.is_none();
    let values = if is_root {
        above.get("Values").unwrap_or_default()
    } else {
        let table = table_at(above, &format!("Values.{name}"));
        Value::Map(table.unwrap_or_default().converted(VALUES))
    };
    let subcharts = Map::new();
    let top: Map = [
        ("Chart", Value::Map(chart_object(&node.metadata.borrow(), is_root))),
        ("Files", Value::object(FilesObject::new(&node.chart.files))),
        ("Release", above.get("Release").unwrap_or_default()),
        ("Capabilities", above.get("Capabilities").unwrap_or_default()),
        ("Values", values),
        ("Subcharts", Value::Map(subcharts.clone())),
    ]
    .into_iter()
    .collect();
    let path = path_above.map_or_else(|| name.clone(), |above| format!("{above}/charts/{name}"));
    for child in &node.children {
        let below = lay_out(child, &top, Some(&path), templates);
        // A map that was made here takes entries.
        let _ = subcharts.insert(child.name(), below);
    }
    let is_library = node.metadata.borrow().is_library();
    for file in node.chart.templates.iter().filter(|file| !is_library || base(&file.name).starts_with('_')) {
        let source = Source { text: &file.data, top: top.clone(), base_path: format!("{path}/templates") };
        templates.insert(format!("{path}/{}", super::go_text::clean(&file.name)), source);
    }
    top
}

impl Prepared<'_> {
    /// Parses and executes all templates; returns what each wrote.
    pub(crate) fn execute(
        &self,
        release: &Release,
        surroundings: Surroundings<'_>,
        budget: &Budget,
    ) -> Result<BTreeMap<String, Str>, HelmError> {
        let order = self.order();
        let set = self.parse(&order, release.mode, surroundings.lookup, budget)?;
        let mut written = BTreeMap::new();
        let mut environment = Environment::new(surroundings.entropy);
        environment.now = surroundings.now;
        environment.budget = budget.for_templates();
        for (name, source) in order.into_iter().filter(|(name, _)| !base(name).starts_with('_')) {
            let about: Map = [("Name", name), ("BasePath", source.base_path.as_str())].into_iter().collect();
            let _ = source.top.insert("Template", Value::Map(about.converted(VALUES)));
            let data = Value::Map(source.top.converted(VALUES));
            let text = set.execute(name, &data, &mut environment).map_err(|error| match error.exhausted {
                Some(what) => spent(&place_of(&error.text, name), from_templates(what)).into(),
                None => HelmError::Template(execute_message(name, &error.text)),
            })?;
            written.insert(name.to_owned(), without_no_value(text));
        }
        Ok(written)
    }

    /// Parses the templates, or finds them parsed. Functions are bound when a template is parsed, so a set that looks
    /// things up in a cluster is its release's alone.
    fn parse(
        &self,
        order: &[(&str, &Source<'_>)],
        mode: Mode,
        lookup: Option<Arc<dyn Lookup>>,
        budget: &Budget,
    ) -> Result<Arc<Templates>, HelmError> {
        let missing = if mode == Mode::Strict { MissingKey::Error } else { MissingKey::Zero };
        let texts = || order.iter().map(|(name, source)| ((*name).to_owned(), source.text.clone())).collect();
        let origin = lookup.is_none().then(|| Origin { is_lenient: mode == Mode::Lint, missing, texts: texts() });
        let kept = &self.node.chart.parsed;
        if let Some(set) = origin.as_ref().and_then(|origin| kept.get(origin)) {
            return Ok(set);
        }
        let mut set = Templates::new(SET_NAME, chart_functions(mode, lookup)).with_missing_key(missing);
        for (name, source) in order {
            budget.check_deadline().map_err(|what| spent(name, what))?;
            set.parse(*name, source.text.as_ref())
                .map_err(|error| HelmError::Template(parse_message(name, &error.to_string())))?;
        }
        let set = Arc::new(set);
        if let Some(origin) = origin {
            kept.keep(origin, &set);
        }
        Ok(set)
    }

    /// The templates in the order in which they are parsed and executed: deep ones first, then by name, backwards.
    fn order(&self) -> Vec<(&str, &Source<'_>)> {
        let mut order: Vec<(&str, &Source<'_>)> =
            self.templates.iter().map(|(name, source)| (name.as_str(), source)).collect();
        let depth = |name: &str| name.matches('/').count();
        order.sort_by(|(a, _), (b, _)| depth(b).cmp(&depth(a)).then_with(|| b.cmp(a)));
        order
    }
}

/// What stands between `template: ` and the next colon and blank of an error: template, line and column.
fn place_of(error: &str, template: &str) -> String {
    let place = error.strip_prefix("template: ").and_then(|rest| rest.split_once(": ")).map(|(place, _)| place);
    match place {
        None => template.to_owned(),
        Some(place) if place.starts_with(template) => place.to_owned(),
        Some(place) => format!("{template}: {place}"),
    }
}

fn from_templates(what: go_template::Exhausted) -> Exhausted {
    match what {
        go_template::Exhausted::Steps(max) => Exhausted::Steps(max),
        go_template::Exhausted::Depth(max) => Exhausted::Depth(max),
        go_template::Exhausted::Output(max) => Exhausted::OutputBytes(max),
        go_template::Exhausted::Produced(max) => Exhausted::ProducedBytes(max),
        go_template::Exhausted::Held(max) => Exhausted::HeldBytes(max),
        go_template::Exhausted::Value(max) => Exhausted::ValueBytes(max),
        go_template::Exhausted::Interrupted => Exhausted::Deadline,
    }
}

/// Takes out the words that stand for a value that is not there, wherever they come from.
fn without_no_value(text: Str) -> Str {
    const WORDS: &[u8] = b"<no value>";
    let bytes = text.as_bytes();
    if memmem::find(bytes, WORDS).is_none() {
        return text;
    }
    let mut kept = Vec::with_capacity(bytes.len());
    let mut start = 0;
    for found in memmem::find_iter(bytes, WORDS) {
        kept.extend_from_slice(bytes.get(start..found).unwrap_or_default());
        start = found + WORDS.len();
    }
    kept.extend_from_slice(bytes.get(start..).unwrap_or_default());
    kept.into()
}
