//! Charts while they are being rendered: with the subcharts that take part, under the names they have there.

use std::cell::RefCell;
use std::rc::Rc;

use go_template::{Map, Str, Value};

use super::chart::{Chart, ChartFile};
use super::coalesce::{copy_map, deep_copy, value_of};
use super::metadata::Metadata;

/// A chart in the tree of one render.
#[derive(Clone)]
pub(crate) struct Node<'c> {
    pub(crate) chart: &'c Chart,
    /// Copies of a chart for several aliases share what their subcharts say about themselves, as in Helm.
    pub(crate) metadata: Rc<RefCell<Metadata>>,
    /// Defaults with what was imported from subcharts; None for those of the chart alone.
    pub(crate) values: Option<Map>,
    pub(crate) children: Vec<Node<'c>>,
}

impl<'c> Node<'c> {
    pub(crate) fn new(chart: &'c Chart) -> Self {
        Self {
            chart,
            metadata: Rc::new(RefCell::new(chart.metadata.clone())),
            values: None,
            children: chart.dependencies.iter().map(Self::new).collect(),
        }
    }

    pub(crate) fn name(&self) -> String {
        self.metadata.borrow().name.clone()
    }

    /// A copy of the chart's default values, one entry after the other.
    pub(crate) fn default_entries(&self) -> Vec<(Str, Value)> {
        match &self.values {
            Some(values) => values.entries().into_iter().map(|(key, value)| (key, deep_copy(&value))).collect(),
            None => self.chart.values.iter().map(|(key, value)| (Str::from(key), value_of(value))).collect(),
        }
    }

    /// A copy of the chart with its own metadata, for one alias.
    pub(crate) fn aliased(&self) -> Self {
        let metadata = self.metadata.borrow().clone();
        Self {
            chart: self.chart,
            metadata: Rc::new(RefCell::new(metadata)),
            values: self.values.as_ref().map(copy_map),
            children: self.children.clone(),
        }
    }

    /// The files of `crds/` of this chart and its subcharts, with the path that `# Source:` shows.
    pub(crate) fn definitions(&self, above: &str) -> Vec<(String, &'c ChartFile)> {
        let path = format!("{above}{}", self.name());
        let own = self.chart.files.iter().filter(|file| is_definition(&file.name));
        let mut all: Vec<_> = own.map(|file| (format!("{path}/{}", file.name), file)).collect();
        let below = format!("{path}/charts/");
        all.extend(self.children.iter().flat_map(|child| child.definitions(&below)));
        all
    }
}

fn is_definition(name: &str) -> bool {
    let extension = super::go_text::extension(name);
    name.starts_with("crds/") && [".yaml", ".yml", ".json"].iter().any(|known| extension.eq_ignore_ascii_case(known))
}
