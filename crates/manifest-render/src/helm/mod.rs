//! Helm charts: what `helm template` does, without Helm.
//!
//! [`Chart`] loads a folder or a packed chart from a tree of files, [`render_chart`] renders it for a [`Release`], and
//! [`Manifests::print`] gives the bytes that `helm template` prints. [`lint_chart`] tells what is wrong with a chart.
//! Errors say what Helm says. Nothing is fetched: dependencies lie in `charts/`, references of schemas stay in the
//! schema, and clock and randomness are brought by the caller.
//!
//! ```
//! use go_template::CountingEntropy;
//! use manifest_render::helm::{Chart, Printing, Release, Surroundings, Timestamp, render_chart};
//! use manifest_render::{Budget, MemoryFiles};
//!
//! let files = MemoryFiles::new()
//!     .with("web/Chart.yaml", "apiVersion: v2\nname: web\nversion: 1.0.0\n")
//!     .with("web/values.yaml", "replicas: 2\n")
//!     .with("web/templates/web.yaml", "kind: Web\nname: {{ .Release.Name }}\nreplicas: {{ .Values.replicas }}\n");
//! let budget = Budget::default();
//! let chart = Chart::load("web", &files, &budget).unwrap();
//! let mut entropy = CountingEntropy::default();
//! let surroundings = Surroundings::new(&mut entropy, Timestamp::default());
//! let manifests = render_chart(&chart, &Release::new("shop", "default"), surroundings, &budget).unwrap();
//! assert_eq!(
//!     String::from_utf8(manifests.print(&Printing::default()).unwrap()).unwrap(),
//!     "---\n# Source: web/templates/web.yaml\nkind: Web\nname: shop\nreplicas: 2\n"
//! );
//! ```

mod archive;
mod capabilities;
mod chart;
mod coalesce;
mod decode;
mod dependencies;
mod entropy;
mod error;
mod functions;
mod glob;
mod go_text;
mod ignore;
mod lint;
mod local;
mod lookups;
mod manifest;
mod messages;
mod metadata;
mod node;
mod objects;
mod parsed;
mod pattern;
mod release;
mod render;
mod repository;
mod schema;
mod set;
mod source;
mod stored;
mod values;

pub use capabilities::{Capabilities, KubeVersion};
pub(crate) use chart::is_packed;
pub use chart::{Chart, ChartFile};
pub use entropy::SeededEntropy;
pub use error::HelmError;
pub use functions::{Lookup, LookupError};
pub use go_template::{Entropy, Timestamp};
pub use lint::{Finding, Severity, lint_chart};
pub use lookups::{LookupAnswer, LookupQuery, Lookups};
pub use manifest::{Hook, HookEvent, Manifest};
pub use metadata::{Dependency, ImportValues, Maintainer, Metadata};
pub use release::{Manifests, Mode, Printing, Release};
pub use render::{Surroundings, render_chart};
pub use repository::{IndexEntry, WantedChart, chart_layer, missing_charts, pick_from_index, pick_version};
pub use set::{Reading, SetError, set_values};
pub(crate) use source::load;
pub use stored::StoredRelease;
pub use values::{GivenValues, merge_values};
pub(crate) use values::{merge_maps, read_values};
