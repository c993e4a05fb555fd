//! Dependencies that lie beside their chart: `repository: file://../common`.

use go_template::functions::is_version_in_range;

use super::chart::{Chart, is_packed};
use super::error::HelmError;
use super::metadata::Dependency;
use crate::budget::Budget;
use crate::files::Files;
use crate::path::join;
use crate::render::RenderError;
use crate::tree::Tree;

const SCHEME: &str = "file://";

impl Chart {
    /// Adds the charts that this one depends on, that are not in its `charts/`, and whose repository is a `file://` path
    /// relative to it: what `helm dependency build` would pack into `charts/`. They lie in the same tree.
    ///
    /// # Errors
    /// When there is no such chart in the tree, it has another version, or can't be loaded.
    pub fn add_local_dependencies(&mut self, path: &str, files: &dyn Files, budget: &Budget) -> Result<(), HelmError> {
        self.add_local_from(path, &Tree::new(files, budget))
    }

    pub(crate) fn add_local_from(&mut self, path: &str, tree: &Tree<'_>) -> Result<(), HelmError> {
        // What is packed has nothing beside it.
        if is_packed(path) {
            return Ok(());
        }
        let mut missing: Vec<Dependency> = self.missing_dependencies().into_iter().cloned().collect();
        missing.retain(is_local);
        // One chart may be wanted under several aliases.
        missing.dedup_by(|a, b| a.name == b.name && a.repository == b.repository);
        for dependency in missing {
            let chart = local(&dependency, path, tree)?;
            self.dependencies.push(chart);
        }
        Ok(())
    }
}

/// Whether a dependency lies beside its chart.
pub(crate) fn is_local(dependency: &Dependency) -> bool {
    dependency.repository.starts_with(SCHEME)
}

fn local(dependency: &Dependency, path: &str, tree: &Tree<'_>) -> Result<Chart, HelmError> {
    let Dependency { name, version, repository, .. } = dependency;
    let beside = repository.strip_prefix(SCHEME).unwrap_or(repository);
    let folder = join(path, beside).map_err(RenderError::Path)?;
    let chart = Chart::load_from(&folder, tree).map_err(|error| match error {
        HelmError::Read(source) if matches!(*source, RenderError::PathMissing { .. }) => {
            HelmError::Requirements(format!("directory {folder} not found"))
        }
        other => other,
    })?;
    if version.is_empty() || is_version_in_range(&chart.metadata.version, version) {
        return Ok(chart);
    }
    Err(HelmError::Requirements(format!("can't get a valid version for dependency {name}")))
}
