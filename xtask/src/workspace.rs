//! What cargo knows about the workspace: its members, all packages, and who depends on whom.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::run;

/// One package of the dependency graph.
pub(crate) struct Package {
    pub name: String,
    pub version: String,
    pub licence: Option<String>,
    /// Where it comes from; none for a package of the workspace.
    pub source: Option<String>,
    pub folder: PathBuf,
    /// Packages that its library or binary is built from, as package ids.
    pub normal: BTreeSet<String>,
    /// Packages that only its tests and examples use, as package ids.
    pub development: BTreeSet<String>,
}

/// The packages by their ids, and which of them are the workspace's own.
pub(crate) struct Workspace {
    pub packages: BTreeMap<String, Package>,
    pub members: BTreeSet<String>,
}

impl Workspace {
    /// Asks `cargo metadata`, with every feature, for every platform.
    pub(crate) fn load() -> Result<Self> {
        let text = run::output(&mut run::cargo(&["metadata", "--format-version", "1", "--all-features", "--locked"]))?;
        let metadata: Value = serde_json::from_str(&text).context("cargo metadata is not JSON")?;
        Self::parse(&metadata)
    }

    fn parse(metadata: &Value) -> Result<Self> {
        let mut packages = BTreeMap::new();
        for package in array(metadata, "packages") {
            let id = text(package, "id")?;
            let manifest = PathBuf::from(text(package, "manifest_path")?);
            let folder = manifest.parent().context("a manifest path without a folder")?.to_path_buf();
            packages.insert(
                id,
                Package {
                    name: text(package, "name")?,
                    version: text(package, "version")?,
                    licence: package.get("license").and_then(Value::as_str).map(str::to_owned),
                    source: package.get("source").and_then(Value::as_str).map(str::to_owned),
                    folder,
                    normal: BTreeSet::new(),
                    development: BTreeSet::new(),
                },
            );
        }
        let resolve = metadata.get("resolve").context("cargo metadata has no resolve graph")?;
        for node in array(resolve, "nodes") {
            let id = text(node, "id")?;
            let package = packages.get_mut(&id).with_context(|| format!("unknown package {id}"))?;
            for dependency in array(node, "deps") {
                let target = text(dependency, "pkg")?;
                for kind in array(dependency, "dep_kinds") {
                    match kind.get("kind").and_then(Value::as_str) {
                        None => package.normal.insert(target.clone()),
                        Some("dev") => package.development.insert(target.clone()),
                        Some(_) => false,
                    };
                }
            }
        }
        let members =
            array(metadata, "workspace_members").iter().filter_map(Value::as_str).map(str::to_owned).collect();
        Ok(Self { packages, members })
    }

    /// The workspace's own packages, by id.
    pub(crate) fn members(&self) -> impl Iterator<Item = (&String, &Package)> {
        self.members.iter().filter_map(|id| self.packages.get_key_value(id))
    }

    /// Names of the packages that `package` is built from, through any number of others, each with the way to it.
    pub(crate) fn closure(&self, package: &Package) -> BTreeMap<String, Vec<String>> {
        let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut open: Vec<(&String, Vec<String>)> = package.normal.iter().map(|id| (id, Vec::new())).collect();
        while let Some((id, way)) = open.pop() {
            let Some(dependency) = self.packages.get(id) else { continue };
            if found.contains_key(&dependency.name) {
                continue;
            }
            let mut next_way = way.clone();
            next_way.push(dependency.name.clone());
            found.insert(dependency.name.clone(), next_way.clone());
            open.extend(dependency.normal.iter().map(|next| (next, next_way.clone())));
        }
        found
    }
}

fn array<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn text(value: &Value, key: &str) -> Result<String> {
    value.get(key).and_then(Value::as_str).map(str::to_owned).with_context(|| format!("cargo metadata has no `{key}`"))
}
