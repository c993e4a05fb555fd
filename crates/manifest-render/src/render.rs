//! One render from source to objects.

use object_model::Object;

use crate::budget::{Budget, BudgetError};
use crate::collect::Collector;
use crate::diagnostic::Diagnostic;
use crate::files::{Files, FilesError};
use crate::glob::{Glob, GlobError};
use crate::handlebars;
use crate::helm;
use crate::jsonnet;
use crate::path::{PathError, join, normalize};
use crate::plain;
use crate::source::{Kind, Source};
use crate::tree::{Tree, Walk};

/// What a source renders to.
#[derive(Debug, Clone, PartialEq)]
pub struct Rendered {
    /// The objects in the order of files and documents.
    pub objects: Vec<RenderedObject>,
    /// Every file that was asked for, whether it exists or not, sorted. Together with `listed` it is what the result
    /// depends on.
    pub read: Vec<String>,
    /// Every directory that was listed, sorted.
    pub listed: Vec<String>,
    /// What is worth a person's attention but no fault.
    pub diagnostics: Vec<Diagnostic>,
}

/// An object and where it came from.
#[derive(Debug, Clone, PartialEq)]
pub struct RenderedObject {
    /// The object as its source says, nothing added.
    pub object: Object,
    /// The file, relative to the root of the tree.
    pub file: String,
    /// Line of the object: in the file for plain manifests, in the rendered text for templates, 0 for programs.
    pub line: u32,
    /// Place of its document among those of the file, counted from 0.
    pub document: usize,
}

/// Why a source does not render.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RenderError {
    /// The path of the source can't be a path of a tree.
    #[error(transparent)]
    Path(PathError),
    /// There is nothing at the path.
    #[error("path `{path}` does not exist in the tree")]
    PathMissing {
        /// The path.
        path: String,
    },
    /// A pattern of the source is malformed.
    #[error(transparent)]
    Pattern(GlobError),
    /// A file could not be read.
    #[error("failed to read `{path}`")]
    Read {
        /// The path.
        path: String,
        /// Why.
        source: FilesError,
    },
    /// The files hold faults; all that were found, sorted by file and line.
    #[error("{}", summary(diagnostics))]
    Invalid {
        /// The faults.
        diagnostics: Vec<Diagnostic>,
    },
    /// The source asks for more than the budget allows.
    #[error(transparent)]
    Budget(BudgetError),
}

impl RenderError {
    /// A short name for metrics and Events.
    pub fn category(&self) -> &'static str {
        match self {
            Self::Path(_) => "InvalidPath",
            Self::PathMissing { .. } => "PathMissing",
            Self::Pattern(_) => "InvalidPattern",
            Self::Read { .. } => "ReadFailed",
            Self::Invalid { .. } => "InvalidManifests",
            Self::Budget(_) => "BudgetExceeded",
        }
    }

    /// The faults of the files; empty for the other errors.
    pub fn diagnostics(&self) -> &[Diagnostic] {
        match self {
            Self::Invalid { diagnostics } => diagnostics,
            _ => &[],
        }
    }
}

fn summary(diagnostics: &[Diagnostic]) -> String {
    match diagnostics {
        [] => "the source is invalid".to_owned(),
        [only] => only.to_string(),
        [first, rest @ ..] => format!("{first} (and {} more)", rest.len()),
    }
}

/// Renders a source to objects.
///
/// # Errors
/// When the path is missing, a file is broken, an object is incomplete or defined twice, or the budget is spent. Faults
/// of files are collected, so that one call reports them all.
pub fn render(source: &Source, files: &dyn Files, budget: &Budget) -> Result<Rendered, RenderError> {
    let tree = Tree::new(files, budget);
    if holds_chart(source, &tree)? {
        let mut collector = Collector::new(budget);
        helm::load(source, &tree, &mut collector)?;
        return finish(source, tree, collector);
    }
    let selection = Selection::of(source)?;
    let walk = tree.walk(&source.path)?;
    let mut collector = Collector::new(budget);
    refuse_unreadable(&walk, &selection, &mut collector);
    let chosen: Vec<&str> =
        walk.files.iter().map(String::as_str).filter(|path| selection.takes(walk.relative(path))).collect();
    render_files(&chosen, source, &walk, &tree, &mut collector)?;
    finish(source, tree, collector)
}

/// Whether a source would be rendered as a Helm chart, which may be told about a cluster.
///
/// # Errors
/// When the path can't be a path of a tree.
pub fn is_chart(source: &Source, files: &dyn Files, budget: &Budget) -> Result<bool, RenderError> {
    holds_chart(source, &Tree::new(files, budget))
}

/// Whether the source is a Helm chart, by its settings or by what lies there.
fn holds_chart(source: &Source, tree: &Tree<'_>) -> Result<bool, RenderError> {
    match source.kind {
        Kind::Helm => Ok(true),
        Kind::Auto if helm::is_packed(&source.path) => Ok(true),
        Kind::Auto => {
            let root = normalize(&source.path).map_err(RenderError::Path)?;
            Ok(tree.holds(&join(&root, "Chart.yaml").map_err(RenderError::Path)?))
        }
        Kind::Plain | Kind::Handlebars | Kind::Jsonnet => Ok(false),
    }
}

fn finish(source: &Source, tree: Tree<'_>, collector: Collector<'_>) -> Result<Rendered, RenderError> {
    let (objects, mut diagnostics) = collector.finish()?;
    if objects.is_empty() {
        let path = if source.path.is_empty() { "." } else { source.path.as_str() };
        diagnostics.push(
            Diagnostic::of_file(path, "no manifests were found")
                .hinted("check the path and the include and exclude patterns"),
        );
    }
    let (read, listed) = tree.into_paths();
    Ok(Rendered { objects, read, listed, diagnostics })
}

/// Programs and templates first: what they read is not taken for manifests.
fn render_files(
    chosen: &[&str],
    source: &Source,
    walk: &Walk,
    tree: &Tree<'_>,
    collector: &mut Collector<'_>,
) -> Result<(), RenderError> {
    let is_kind = |kinds: &[Kind]| kinds.contains(&source.kind);
    let mut has_programs = false;
    if is_kind(&[Kind::Auto, Kind::Jsonnet]) {
        let programs: Vec<&str> =
            chosen.iter().copied().filter(|path| jsonnet::is_program(walk.relative(path))).collect();
        has_programs = !programs.is_empty();
        jsonnet::load(&programs, source, walk, tree, collector)?;
    }
    if is_kind(&[Kind::Auto, Kind::Handlebars]) {
        let templates: Vec<&str> = chosen.iter().copied().filter(|path| handlebars::is_template(path)).collect();
        if !templates.is_empty() {
            handlebars::load(&templates, source, walk, tree, collector)?;
        }
    }
    if is_kind(&[Kind::Auto, Kind::Plain]) {
        for path in chosen.iter().filter(|path| plain::is_manifest(path) && !tree.has_read(path)) {
            if !(has_programs && jsonnet::is_tooling(walk.relative(path))) {
                plain::load(path, tree, collector)?;
            }
        }
    }
    Ok(())
}

/// A link out of the tree among the files that would be read is a fault, never silently left out.
fn refuse_unreadable(walk: &Walk, selection: &Selection, collector: &mut Collector<'_>) {
    for path in walk.unreadable.iter().filter(|path| selection.takes(walk.relative(path))) {
        collector.fault(
            Diagnostic::of_file(path, "this is a link that leads out of the tree, a dangling link or a submodule")
                .hinted("replace it by a file, or exclude it"),
        );
    }
}

/// The include and exclude patterns of a source.
struct Selection {
    include: Vec<Glob>,
    exclude: Vec<Glob>,
}

impl Selection {
    fn of(source: &Source) -> Result<Self, RenderError> {
        let parse = |patterns: &[String]| {
            patterns.iter().map(|pattern| Glob::parse(pattern)).collect::<Result<_, _>>().map_err(RenderError::Pattern)
        };
        Ok(Self { include: parse(&source.include)?, exclude: parse(&source.exclude)? })
    }

    fn takes(&self, path: &str) -> bool {
        (self.include.is_empty() || self.include.iter().any(|glob| glob.is_match(path)))
            && !self.exclude.iter().any(|glob| glob.is_match(path))
    }
}
