//! Manifests as they are: YAML and JSON files.

use crate::collect::Collector;
use crate::render::RenderError;
use crate::tree::Tree;

/// Whether a file is a manifest by its name.
pub(crate) fn is_manifest(path: &str) -> bool {
    let extension = path.rsplit_once('.').map_or("", |(_, extension)| extension);
    ["yaml", "yml", "json"].iter().any(|known| extension.eq_ignore_ascii_case(known))
}

/// Reads one manifest file into the collector.
pub(crate) fn load(path: &str, tree: &Tree<'_>, collector: &mut Collector<'_>) -> Result<(), RenderError> {
    let content = tree.read(path)?;
    collector.text(path, &content)
}
