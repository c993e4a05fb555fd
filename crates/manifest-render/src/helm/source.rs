//! A chart as a source of objects.

use std::sync::Arc;

use super::capabilities::KubeVersion;
use super::chart::{Chart, is_packed};
use super::entropy::SeededEntropy;
use super::error::HelmError;
use super::functions::Lookup;
use super::manifest::HookEvent;
use super::release::Release;
use super::render::{Surroundings, render_chart};
use super::values::{GivenValues, merge_maps, merge_values};
use crate::collect::Collector;
use crate::diagnostic::Diagnostic;
use crate::path::{join, normalize, split};
use crate::render::RenderError;
use crate::source::Source;
use crate::tree::Tree;
use go_template::Timestamp;

/// Adds the objects of the chart at the path of a source: its definitions, manifests and hooks, without tests.
pub(crate) fn load(source: &Source, tree: &Tree<'_>, collector: &mut Collector<'_>) -> Result<(), RenderError> {
    let root = normalize(&source.path).map_err(RenderError::Path)?;
    match render(source, &root, tree, collector) {
        Ok(()) => Ok(()),
        Err(HelmError::Budget(error)) => Err(RenderError::Budget(error)),
        Err(HelmError::Read(error)) => Err(*error),
        Err(error) => {
            let file = if is_packed(&root) { root } else { join(&root, "Chart.yaml").map_err(RenderError::Path)? };
            collector.fault(Diagnostic::of_file(&file, error.to_string()));
            Ok(())
        }
    }
}

fn render(source: &Source, root: &str, tree: &Tree<'_>, collector: &mut Collector<'_>) -> Result<(), HelmError> {
    let folder = if is_packed(root) { split(root).0 } else { root };
    let mut chart = Chart::load_from(root, tree)?;
    chart.add_local_from(root, tree)?;
    let release = release(source, folder, tree)?;
    let mut entropy = SeededEntropy::new(&source.chart.seed);
    let now = Timestamp { seconds: source.chart.now_seconds, nanoseconds: 0 };
    let lookup = source.chart.lookups.clone().map(|lookups| lookups as Arc<dyn Lookup>);
    let surroundings = Surroundings { lookup, ..Surroundings::new(&mut entropy, now) };
    let manifests = render_chart(&chart, &release, surroundings, tree.budget())?;
    for warning in &manifests.warnings {
        collector.note(Diagnostic::of_file(root, warning.clone()));
    }
    // The first part of a source is the chart's name, which need not be that of its folder.
    let place = |name: &str| {
        let inside = name.split_once('/').map_or(name, |(_, inside)| inside);
        join(root, inside).map_err(RenderError::Path)
    };
    for (name, content) in &manifests.definitions {
        collector.rendered_text(&place(name)?, content)?;
    }
    for manifest in &manifests.manifests {
        collector.rendered_text(&place(&manifest.source)?, &manifest.content)?;
    }
    for hook in manifests.hooks.iter().filter(|hook| hook.events.iter().any(|event| *event != HookEvent::Test)) {
        collector.rendered_text(&place(&hook.manifest.source)?, &hook.manifest.content)?;
    }
    Ok(())
}

/// The release that a source asks for, with the values of its files and its own.
fn release(source: &Source, folder: &str, tree: &Tree<'_>) -> Result<Release, HelmError> {
    let or = |text: &str, otherwise: &str| if text.is_empty() { otherwise.to_owned() } else { text.to_owned() };
    let input = &source.chart;
    let mut release = Release::new(&or(&input.release_name, "release-name"), &or(&input.namespace, "default"));
    let mut given = GivenValues::default();
    for name in &source.values_files {
        let path = join(folder, name).map_err(RenderError::Path)?;
        given.files.push((path.clone(), tree.read(&path)?.to_vec()));
    }
    release.values = merge_values(&given, &|path| Err(format!("open {path}: no such file or directory")))?;
    for layer in &source.layers {
        layer.put_over(&mut release.values).map_err(HelmError::Values)?;
    }
    let mut own = serde_json::Value::Object(source.values.clone());
    super::values::to_floats(&mut own);
    if let serde_json::Value::Object(own) = own {
        merge_maps(&mut release.values, own);
    }
    if !input.kube_version.is_empty() {
        release.capabilities.kube_version = KubeVersion::parse(&input.kube_version).map_err(HelmError::Values)?;
    }
    if let Some(served) = &input.served {
        release.capabilities.api_versions = served.to_vec();
    }
    release.capabilities.api_versions.extend(input.api_versions.iter().cloned());
    Ok(release)
}
