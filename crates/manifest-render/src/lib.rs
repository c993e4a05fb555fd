//! From the files of a source to Kubernetes objects.
//!
//! [`render`] reads a path through the [`Files`] trait, renders what it finds there (plain YAML and JSON, Handlebars
//! templates, Jsonnet programs, [Helm charts](helm)) and returns the objects with the file and line each came from, together with every path
//! that was read, so that the caller knows which commits can change the result. All work is counted against a [`Budget`].
//!
//! Templates and programs always end: their steps, depth and output are bounded. Only single built-in calls of Jsonnet on
//! values that share their parts thousands of times are not counted; who renders sources that nobody vouches for should
//! do so in a process with a memory limit.
//!
//! It is pure: no file system, clock, environment, network or randomness; the same files give the same objects. It does
//! not set namespaces, does not check objects against a cluster and does not know Git.
//!
//! ```
//! use manifest_render::{Budget, MemoryFiles, Source, render};
//!
//! let files = MemoryFiles::new()
//!     .with("qa/web.yaml", "apiVersion: v1\nkind: Service\nmetadata:\n  name: web\n");
//! let rendered = render(&Source::at("qa"), &files, &Budget::default()).unwrap();
//! assert_eq!(rendered.objects[0].object.id().to_string(), "Service web");
//! assert_eq!((rendered.objects[0].file.as_str(), rendered.objects[0].line), ("qa/web.yaml", 1));
//! assert_eq!(rendered.read, ["qa/web.yaml"]);
//! ```

mod budget;
mod collect;
mod diagnostic;
mod files;
mod glob;
mod handlebars;
pub mod helm;
mod jsonnet;
mod layers;
#[cfg(feature = "jsonnet-rs")]
mod libjsonnet;
mod memory;
mod path;
mod plain;
mod render;
mod source;
mod tree;
mod values;

pub use budget::{Budget, BudgetError, Limits};
pub use diagnostic::Diagnostic;
pub use files::{Entry, EntryKind, Files, FilesError};
pub use glob::{Glob, GlobError};
pub use layers::ValuesLayer;
#[cfg(feature = "jsonnet-rs")]
pub use libjsonnet::{LibjsonnetError, evaluate_with_libjsonnet};
pub use memory::MemoryFiles;
pub use path::{PathError, join, normalize};
pub use render::{RenderError, Rendered, RenderedObject, is_chart, render};
pub use source::{Argument, ChartInput, JsonnetInput, Kind, Source};
