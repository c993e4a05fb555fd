//! What to render and how.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::helm::Lookups;
use crate::layers::ValuesLayer;

/// A path of a tree and how to read it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Source {
    /// Directory or file, relative to the root of the tree.
    pub path: String,
    /// How to read it.
    pub kind: Kind,
    /// Patterns of files to read, relative to `path`; empty for all.
    pub include: Vec<String>,
    /// Patterns of files to leave out, relative to `path`; they win over `include`.
    pub exclude: Vec<String>,
    /// Files with values for templates, relative to `path`, later ones win. `values.yaml` is read before them when it
    /// exists.
    pub values_files: Vec<String>,
    /// Values for templates that lie elsewhere; they win over those of files, later ones win.
    pub layers: Vec<ValuesLayer>,
    /// Values for templates; they win over all others. A null takes a value away.
    pub values: Map<String, Value>,
    /// What Jsonnet programs are given.
    pub jsonnet: JsonnetInput,
    /// What charts are told.
    pub chart: ChartInput,
}

/// What charts are told of their release and of what is around them. The same input gives the same objects: random
/// functions draw from the seed, and dates are of the time that is given.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ChartInput {
    /// Name of the release; `release-name` when empty.
    pub release_name: String,
    /// Namespace of the release; `default` when empty.
    pub namespace: String,
    /// Version of Kubernetes; a recent one when empty.
    pub kube_version: String,
    /// API versions besides those that are served.
    pub api_versions: Vec<String>,
    /// API versions and kinds that are served; the usual ones without.
    pub served: Option<Arc<Vec<String>>>,
    /// What is known of the cluster for `lookup`; nothing is found without.
    pub lookups: Option<Arc<Lookups>>,
    /// What random functions draw from.
    pub seed: Vec<u8>,
    /// What `now` is, in seconds since 1970.
    pub now_seconds: i64,
}

/// How a source is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Kind {
    /// A folder with a `Chart.yaml`, or a packed chart, as a Helm chart; else each file as its name says: `.yaml`, `.yml` and `.json` are manifests, `.hbs` are templates and `.jsonnet` are
    /// programs. Files that a template or program reads are no manifests.
    #[default]
    Auto,
    /// Manifests only.
    Plain,
    /// Handlebars templates only.
    Handlebars,
    /// Jsonnet programs only.
    Jsonnet,
    /// A Helm chart: the folder with its `Chart.yaml`, or a packed chart.
    Helm,
}

/// What Jsonnet programs are given.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct JsonnetInput {
    /// What `std.extVar` answers.
    pub external_variables: BTreeMap<String, Argument>,
    /// Arguments for programs that are functions.
    pub arguments: BTreeMap<String, Argument>,
    /// Directories to search for imports, relative to the root of the tree, after the importing file's own and before
    /// `vendor` of the source and of the tree.
    pub library_paths: Vec<String>,
}

/// A value given to a Jsonnet program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Argument {
    /// A string.
    Text(String),
    /// A Jsonnet expression.
    Code(String),
}

impl Source {
    /// Returns the source at a path, read as its files say.
    pub fn at(path: &str) -> Self {
        Self { path: path.to_owned(), ..Self::default() }
    }

    /// The same source read in one way only.
    #[must_use]
    pub fn of_kind(mut self, kind: Kind) -> Self {
        self.kind = kind;
        self
    }
}
