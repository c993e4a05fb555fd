//! Manifests as they are: YAML and JSON files.

use crate::collect::Collector;
use crate::diagnostic::Diagnostic;
use crate::path::split;
use crate::render::RenderError;
use crate::tree::Tree;

/// Whether a file is a manifest by its name.
pub(crate) fn is_manifest(path: &str) -> bool {
    let extension = path.rsplit_once('.').map_or("", |(_, extension)| extension);
    ["yaml", "yml", "json"].iter().any(|known| extension.eq_ignore_ascii_case(known))
}

/// Reads one manifest file into the collector.
pub(crate) fn load(path: &str, tree: &Tree<'_>, collector: &mut Collector<'_>) -> Result<(), RenderError> {
    if let Some(what) = foreign_tool(path) {
        collector.fault(
            Diagnostic::of_file(path, what).hinted("exclude the file, or point the source at what it renders to"),
        );
        return Ok(());
    }
    let content = tree.read(path)?;
    collector.text(path, &content)
}

/// What a file says when it belongs to a tool that this source is not read by.
fn foreign_tool(path: &str) -> Option<&'static str> {
    match split(path).1 {
        "Chart.yaml" => Some("this folder is a Helm chart, its templates are not manifests"),
        "kustomization.yaml" | "kustomization.yml" => {
            Some("this folder is a Kustomize overlay, its patches are not manifests")
        }
        _ => None,
    }
}
