//! What holds for the shape of the workspace. Runs as a command and as an ordinary test of this crate.

use std::path::Path;

use anyhow::{Result, bail};

use crate::workspace::{Package, Workspace};
use crate::{layers, named_stories, run, sources};

/// Files that are drawers for everything: a noun names a file.
const DRAWERS: &[&str] = &["utils.rs", "util.rs", "common.rs", "helpers.rs", "helper.rs", "misc.rs"];

/// What a pure crate may not say outside its tests. A type of path (`std::path::Path`) is fine, touching it is not.
const IMPURE: &[&str] = &[
    "std::env::var",
    "std::fs::",
    "std::net::",
    "std::process::",
    "std::thread::",
    "std::time::Instant",
    "std::time::SystemTime",
    "use std::fs",
    "use std::net",
    "Timestamp::now(",
    "Zoned::now(",
];

/// Prints every problem, and fails when there is one.
pub(crate) fn command() -> Result<()> {
    let problems = problems()?;
    for problem in &problems {
        println!("{problem}");
    }
    if !problems.is_empty() {
        bail!("{} things are out of place", problems.len());
    }
    println!("everything is in its place");
    Ok(())
}

/// Returns everything that is out of place.
pub(crate) fn problems() -> Result<Vec<String>> {
    let workspace = Workspace::load()?;
    let mut problems = layers::problems(&workspace);
    for (_, package) in workspace.members() {
        problems.extend(package_problems(package)?);
    }
    for path in sources::files()? {
        problems.extend(file_problems(&path)?);
    }
    problems.extend(fixture_problems()?);
    problems.extend(named_stories::problems()?);
    Ok(problems)
}

fn package_problems(package: &Package) -> Result<Vec<String>> {
    let mut problems = Vec::new();
    let name = &package.name;
    if package.folder.file_name().is_none_or(|folder| folder != name.as_str()) {
        problems.push(format!("package `{name}` is in folder {}: they have one name", package.folder.display()));
    }
    let manifest = std::fs::read_to_string(package.folder.join("Cargo.toml"))?;
    if !manifest.contains("[lints]\nworkspace = true") {
        problems.push(format!("`{name}` does not take the workspace's lints ([lints] workspace = true)"));
    }
    let library = package.folder.join("src/lib.rs");
    let Ok(text) = std::fs::read_to_string(&library) else { return Ok(problems) };
    if !text.starts_with("//!") {
        problems.push(format!("`{name}`: lib.rs does not open with what the crate is for"));
    }
    let is_empty = text.lines().all(|line| line.trim().is_empty() || line.starts_with("//!"));
    let has_example = |name: &str| package.folder.join(format!("examples/{name}.rs")).is_file();
    if !is_empty && name != "benches" && !has_example(name) && !has_example(&name.replace('-', "_")) {
        problems.push(format!("`{name}` has no examples/{name}.rs that uses it alone"));
    }
    Ok(problems)
}

fn file_problems(path: &Path) -> Result<Vec<String>> {
    let mut problems = Vec::new();
    let shown = path.display();
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    // Handlebars calls its functions helpers: there it is the noun.
    let is_of_handlebars = path.components().any(|part| part.as_os_str() == "handlebars");
    if DRAWERS.contains(&name.as_str()) && !is_of_handlebars {
        problems.push(format!("{shown}: a file is named by what is in it"));
    }
    let Some(text) = sources::text(path)? else { return Ok(problems) };
    // Spelled in two parts, or this file would accuse itself.
    for machine in [concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/ho", "me/")] {
        if let Some(line) = text.lines().position(|line| line.contains(machine)) {
            problems.push(format!("{shown}:{}: a path of somebody's machine", line + 1));
        }
    }
    let in_source = name.ends_with(".rs") && path.components().any(|part| part.as_os_str() == "src");
    let crate_name = path.components().nth(1).map(|part| part.as_os_str().to_string_lossy().into_owned());
    if in_source && path.starts_with("crates") && crate_name.is_some_and(|name| layers::is_pure(&name)) {
        let text = sources::without_tests(&text);
        for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//")) {
            for impure in IMPURE.iter().filter(|impure| line.contains(**impure)) {
                problems.push(format!("{shown}:{}: `{impure}` in a pure crate", index + 1));
            }
        }
    }
    Ok(problems)
}

/// Every folder of fixtures says what is special in it.
fn fixture_problems() -> Result<Vec<String>> {
    let mut problems = Vec::new();
    let Ok(folders) = std::fs::read_dir(run::root().join("fixtures")) else { return Ok(problems) };
    for folder in folders {
        let folder = folder?.path();
        if folder.is_dir() && !folder.join("README.md").is_file() {
            problems.push(format!("{} has no README.md", folder.display()));
        }
    }
    problems.sort();
    Ok(problems)
}

#[cfg(test)]
mod tests {
    #[test]
    fn everything_is_in_its_place() {
        let problems = super::problems().expect("the workspace can be read");
        assert!(problems.is_empty(), "\n{}", problems.join("\n"));
    }

    #[test]
    fn licences_and_sources_of_all_packages_are_allowed() {
        let workspace = crate::workspace::Workspace::load().expect("the workspace can be read");
        let problems = crate::licences::problems(&workspace);
        assert!(problems.is_empty(), "\n{}", problems.join("\n"));
    }
}
