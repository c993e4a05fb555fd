//! `cargo xtask codegen [--check]`: files that are made from code and kept in the repository.
//!
//! A generator is a command of one of our binaries; it prints one file to standard output.

use anyhow::{Context, Result, bail};

use crate::run;

/// One generated file: the program that prints it, and with which arguments.
struct Generated {
    path: &'static str,
    program: &'static str,
    arguments: &'static [&'static str],
}

const GENERATED: &[Generated] = &[
    Generated { path: "docs/sluice.md", program: "sluice", arguments: &["reference"] },
    Generated { path: "docs/crds.yaml", program: "sluice", arguments: &["crds"] },
    Generated { path: "docs/install.yaml", program: "sluice", arguments: &["install"] },
    Generated { path: "docs/sluice-operator.txt", program: "sluice-operator", arguments: &["--help"] },
];

/// Writes all generated files, or with `--check` says which differ.
pub(crate) fn command(arguments: &[String]) -> Result<()> {
    let check = match arguments {
        [] => false,
        [flag] if flag == "--check" => true,
        _ => bail!("usage: cargo xtask codegen [--check]"),
    };
    let mut different = Vec::new();
    for file in GENERATED {
        let mut generator = run::command_of(file.program)?;
        // What the terminal and the environment say must not show in the file.
        generator.args(file.arguments).env_remove("KUBECONFIG").env_remove("HOSTNAME").env("COLUMNS", "120");
        let text = run::output(&mut generator)?;
        let path = run::root().join(file.path);
        if std::fs::read_to_string(&path).ok().as_ref() == Some(&text) {
            continue;
        }
        if check {
            different.push(file.path);
            continue;
        }
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).with_context(|| format!("failed to make {}", folder.display()))?;
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
