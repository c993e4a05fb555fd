//! `cargo xtask codegen [--check]`: files that are made from code and kept in the repository.
//!
//! A generator is an example of the crate that knows the content; it prints one file to standard output.

use anyhow::{Context, Result, bail};

use crate::run;

/// One generated file: the package and example that print it.
struct Generated {
    path: &'static str,
    package: &'static str,
    example: &'static str,
}

const GENERATED: &[Generated] = &[];

/// Writes all generated files, or with `--check` says which differ.
pub(crate) fn command(arguments: &[String]) -> Result<()> {
    let check = match arguments {
        [] => false,
        [flag] if flag == "--check" => true,
        _ => bail!("usage: cargo xtask codegen [--check]"),
    };
    let mut different = Vec::new();
    for file in GENERATED {
        let text = run::output(&mut run::cargo(&["run", "--quiet", "-p", file.package, "--example", file.example]))?;
        let path = run::root().join(file.path);
        if std::fs::read_to_string(&path).ok().as_ref() == Some(&text) {
            continue;
        }
        if check {
            different.push(file.path);
            continue;
        }
        std::fs::write(&path, &text).with_context(|| format!("failed to write {}", file.path))?;
        println!("wrote {}", file.path);
    }
    if !different.is_empty() {
        bail!("not as generated: {} (run `cargo xtask codegen`)", different.join(", "));
    }
    println!("{} generated files are up to date", GENERATED.len());
    Ok(())
}
