//! Which subcharts take part, under which name, and what a chart takes over from their values.

use std::collections::BTreeSet;

use go_template::{Map, Value};

use super::coalesce::{Nulls, Warnings, coalesce_values, copy_map, merge_tables};
use super::error::HelmError;
use super::metadata::{Dependency, ImportValues, Metadata};
use super::node::Node;
use go_template::functions::is_version_in_range;

/// Leaves out the subcharts that are switched off and takes over the values that charts import.
pub(crate) fn process(node: &mut Node<'_>, values: &Map, warnings: &mut Warnings) -> Result<(), HelmError> {
    let failed = |error| match error {
        HelmError::Values(message) => HelmError::Values(format!("chart dependencies processing failed: {message}")),
        other => other,
    };
    switch(node, values, "", warnings).map_err(failed)?;
    import(node, warnings).map_err(failed)
}

/// Refuses a chart that lacks a dependency which takes part, with Helm's message. Helm refuses one that is switched off
/// too; nothing of it would be rendered, so it is not missed here.
pub(crate) fn check_complete(node: &Node<'_>) -> Result<(), HelmError> {
    let missing = node.chart.missing_dependencies();
    let metadata = node.metadata.borrow();
    let takes_part = |missing: &Dependency| {
        let name = if missing.alias.is_empty() { &missing.name } else { &missing.alias };
        metadata.dependencies.iter().any(|dependency| dependency.name == *name)
    };
    if !missing.iter().any(|dependency| takes_part(dependency)) {
        return Ok(());
    }
    let names: Vec<&str> = missing.iter().map(|dependency| dependency.name.as_str()).collect();
    Err(HelmError::Requirements(format!(
        "an error occurred while checking for chart dependencies. You may need to run `helm dependency build` to fetch \
         missing dependencies: found in Chart.yaml, but missing in charts/ directory: {}",
        names.join(", ")
    )))
}

fn switch(node: &mut Node<'_>, values: &Map, path: &str, warnings: &mut Warnings) -> Result<(), HelmError> {
    if !node.metadata.borrow().has_dependencies {
        return Ok(());
    }
    take_aliases(node);
    node.metadata.borrow_mut().dependencies.iter_mut().for_each(|dependency| dependency.is_enabled = true);
    let merged = coalesce_values(node, values, Nulls::Delete, warnings)?;
    let metadata = node.metadata.clone();
    {
        let Metadata { dependencies, .. } = &mut *metadata.borrow_mut();
        dependencies.iter_mut().for_each(|dependency| by_tags(dependency, &merged, warnings));
        dependencies.iter_mut().for_each(|dependency| by_conditions(dependency, &merged, path, warnings));
    }
    let off: BTreeSet<String> = {
        let metadata = metadata.borrow();
        metadata.dependencies.iter().filter(|it| !it.is_enabled).map(|it| it.name.clone()).collect()
    };
    node.children.retain(|child| !off.contains(&child.name()));
    for child in &mut node.children {
        let below = format!("{path}{}.", child.name());
        switch(child, &merged, &below, warnings)?;
    }
    let mut metadata = metadata.borrow_mut();
    metadata.dependencies.retain(|dependency| !off.contains(&dependency.name));
    metadata.has_dependencies = !metadata.dependencies.is_empty();
    Ok(())
}

/// Puts the subcharts in the order of `Chart.yaml`, under their aliases, behind those that it does not name.
fn take_aliases(node: &mut Node<'_>) {
    let metadata = node.metadata.clone();
    let Metadata { dependencies, .. } = &mut *metadata.borrow_mut();
    let fits = |dependency: &Dependency, child: &Node<'_>| {
        // A chart may share its metadata with the one at hand only by mistake; then it is none of its subcharts.
        let Ok(about) = child.metadata.try_borrow() else { return false };
        about.name == dependency.name && is_version_in_range(&about.version, &dependency.version)
    };
    let mut children: Vec<Node<'_>> =
        node.children.iter().filter(|child| !dependencies.iter().any(|it| fits(it, child))).cloned().collect();
    for dependency in dependencies {
        if let Some(child) = node.children.iter().find(|child| fits(dependency, child)) {
            let copy = child.aliased();
            if !dependency.alias.is_empty() {
                copy.metadata.borrow_mut().name.clone_from(&dependency.alias);
            }
            children.push(copy);
        }
        if !dependency.alias.is_empty() {
            dependency.name.clone_from(&dependency.alias);
        }
    }
    node.children = children;
}

fn by_tags(dependency: &mut Dependency, values: &Map, warnings: &mut Warnings) {
    let Some(Value::Map(tags)) = values.get("tags") else { return };
    let (mut is_on, mut is_off) = (false, false);
    for tag in &dependency.tags {
        match tags.get(tag) {
            Some(Value::Bool(true)) => is_on = true,
            Some(Value::Bool(false)) => is_off = true,
            Some(_) => warnings.push(format!("tag {tag} of chart {} is not a boolean", dependency.name)),
            None => {}
        }
    }
    dependency.is_enabled = is_on || !is_off;
}

fn by_conditions(dependency: &mut Dependency, values: &Map, path: &str, warnings: &mut Warnings) {
    for condition in dependency.condition.trim().split(',').filter(|condition| !condition.is_empty()) {
        match value_at(values, &format!("{path}{condition}")) {
            Some(Value::Bool(flag)) => {
                dependency.is_enabled = flag;
                return;
            }
            Some(_) => warnings.push(format!("{condition} of chart {} is not a boolean", dependency.name)),
            None => {}
        }
    }
}

/// The table at a path of names; an empty name is a name too.
pub(crate) fn table_at(values: &Map, path: &str) -> Option<Map> {
    path.split('.').try_fold(values.clone(), |table, name| match table.get(name) {
        Some(Value::Map(next)) => Some(next),
        _ => None,
    })
}

/// What is at a path of names and is no table.
fn value_at(values: &Map, path: &str) -> Option<Value> {
    let (table, name) = match path.rsplit_once('.') {
        Some((above, name)) => (table_at(values, above)?, name),
        None => (values.clone(), path),
    };
    table.get(name).filter(|value| !matches!(value, Value::Map(_)))
}

/// Takes over values of subcharts, innermost first.
fn import(node: &mut Node<'_>, warnings: &mut Warnings) -> Result<(), HelmError> {
    for child in &mut node.children {
        import(child, warnings)?;
    }
    if !node.metadata.borrow().has_dependencies {
        return Ok(());
    }
    let merged = coalesce_values(node, &Map::new(), Nulls::Keep, warnings)?;
    let imported = Map::new();
    let metadata = node.metadata.clone();
    for dependency in &metadata.borrow().dependencies {
        for import in &dependency.import_values {
            let (child, parent) = match import {
                ImportValues::Export(name) => (format!("exports.{name}"), "."),
                ImportValues::Table { child, parent } => (child.clone(), parent.as_str()),
            };
            let Some(table) = table_at(&merged, &format!("{}.{child}", dependency.name)) else {
                warnings.push(format!("there is no table {child} in the values of chart {}", dependency.name));
                continue;
            };
            merge_tables(&imported, &nested(parent, table), "", Nulls::Keep, warnings);
        }
    }
    let own = copy_map(&merged);
    merge_tables(&own, &imported, "", Nulls::Keep, warnings);
    node.values = Some(own);
    Ok(())
}

/// The table put below a path of names.
fn nested(path: &str, table: Map) -> Map {
    if path == "." {
        return table;
    }
    path.split('.').rev().fold(table, |inner, name| [(name, inner)].into_iter().collect())
}
