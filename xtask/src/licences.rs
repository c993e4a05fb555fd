//! Every dependency is permissively licensed and comes from the one registry.

use anyhow::{Result, bail};

use crate::workspace::Workspace;

const ALLOWED: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "BSD-1-Clause",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "MPL-2.0",
    "Unicode-3.0",
    "Unicode-DFS-2016",
    "Unlicense",
    "Zlib",
];

const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// Checks all packages of the lock file.
pub(crate) fn command() -> Result<()> {
    let workspace = Workspace::load()?;
    let problems = problems(&workspace);
    for problem in &problems {
        println!("{problem}");
    }
    if !problems.is_empty() {
        bail!("{} of {} packages have a problem", problems.len(), workspace.packages.len());
    }
    println!("licences and sources of {} packages are fine", workspace.packages.len());
    Ok(())
}

/// Returns every package whose licence or source is not allowed.
pub(crate) fn problems(workspace: &Workspace) -> Vec<String> {
    let mut problems = Vec::new();
    for (id, package) in &workspace.packages {
        let shown = format!("{} {}", package.name, package.version);
        match &package.source {
            None if workspace.members.contains(id) => {}
            None => problems.push(format!("{shown} is a folder outside the workspace")),
            Some(source) if source == REGISTRY => {}
            Some(source) => problems.push(format!("{shown} comes from {source}, not from the registry")),
        }
        match &package.licence {
            Some(licence) if is_allowed(licence) => {}
            Some(licence) => problems.push(format!("{shown} is under `{licence}`, which is not allowed")),
            None => problems.push(format!("{shown} names no licence")),
        }
    }
    problems
}

/// Judges an SPDX expression: of an OR one side has to be allowed, of an AND both. `/` is an old way to write OR.
fn is_allowed(expression: &str) -> bool {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let tokens: Vec<&str> = spaced.split_whitespace().collect();
    let mut position = 0;
    let allowed = either(&tokens, &mut position);
    allowed && position == tokens.len()
}

fn either(tokens: &[&str], position: &mut usize) -> bool {
    let mut allowed = both(tokens, position);
    while tokens.get(*position) == Some(&"OR") {
        *position += 1;
        let next = both(tokens, position);
        allowed = allowed || next;
    }
    allowed
}

fn both(tokens: &[&str], position: &mut usize) -> bool {
    let mut allowed = one(tokens, position);
    while tokens.get(*position) == Some(&"AND") {
        *position += 1;
        let next = one(tokens, position);
        allowed = allowed && next;
    }
    allowed
}

fn one(tokens: &[&str], position: &mut usize) -> bool {
    let Some(token) = tokens.get(*position) else { return false };
    *position += 1;
    if *token == "(" {
        let allowed = either(tokens, position);
        if tokens.get(*position) != Some(&")") {
            return false;
        }
        *position += 1;
        return allowed;
    }
    if tokens.get(*position) == Some(&"WITH") {
        // An exception only ever adds permissions.
        *position += 2;
    }
    ALLOWED.contains(token)
}

#[cfg(test)]
mod tests {
    use super::is_allowed;

    #[test]
    fn expressions_are_judged_by_their_operators() {
        for (expression, allowed) in [
            ("MIT", true),
            ("GPL-3.0-only", false),
            ("MIT OR GPL-3.0-only", true),
            ("MIT AND GPL-3.0-only", false),
            ("MIT/Apache-2.0", true),
            ("(MIT OR Apache-2.0) AND Unicode-3.0", true),
            ("(MIT OR Apache-2.0) AND OpenSSL", false),
            ("Apache-2.0 WITH LLVM-exception OR GPL-2.0", true),
            ("", false),
            ("(MIT", false),
            ("MIT MIT", false),
        ] {
            assert_eq!(is_allowed(expression), allowed, "{expression}");
        }
    }
}
