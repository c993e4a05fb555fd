//! The table of layers: who may import whom. ARCHITECTURE.md explains it; this file is what is checked.

use crate::workspace::Workspace;

/// A layer: its crates never import each other, and import only crates of the layers they name.
struct Layer {
    name: &'static str,
    purity: Purity,
    crates: &'static [&'static str],
    imports: &'static [&'static str],
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Purity {
    /// No clock, environment, file system, network, randomness or executor.
    Pure,
    /// Talks to the world.
    Effects,
}
use Purity::{Effects, Pure};

const LAYERS: &[Layer] = &[
    Layer { name: "ground", purity: Pure, crates: &["object-model", "yaml"], imports: &[] },
    Layer { name: "floor", purity: Pure, crates: &["go-template"], imports: &["ground"] },
    Layer { name: "inputs", purity: Pure, crates: &["api", "manifest-render"], imports: &["ground", "floor"] },
    Layer { name: "git", purity: Effects, crates: &["git-source"], imports: &["ground", "floor"] },
    Layer {
        name: "leaves",
        purity: Pure,
        crates: &["diff-engine", "traffic-split", "analysis", "env-promotion"],
        imports: &["ground", "floor", "inputs"],
    },
    // Rules that users bring; they judge in the words of the diff engine.
    Layer { name: "rules", purity: Pure, crates: &["health-rules"], imports: &["ground", "floor", "inputs", "leaves"] },
    Layer {
        name: "core",
        purity: Pure,
        crates: &["reconcile-core"],
        imports: &["ground", "floor", "inputs", "leaves", "rules"],
    },
    Layer {
        name: "runtime",
        purity: Effects,
        crates: &["reconcile-runtime"],
        imports: &["ground", "floor", "inputs", "git", "leaves", "rules", "core"],
    },
    // A cluster to try on: it speaks HTTP and knows nothing of Sluice but the floor.
    Layer { name: "cluster", purity: Effects, crates: &["sim-cluster", "sim-traffic"], imports: &["ground", "floor"] },
    // The language of scripts; it plays on any cluster and brings the embedded one along.
    Layer { name: "script", purity: Effects, crates: &["script"], imports: &["ground", "floor", "cluster"] },
    Layer {
        name: "stage",
        purity: Effects,
        crates: &["scenario"],
        imports: &["ground", "floor", "inputs", "git", "leaves", "rules", "core", "runtime", "cluster", "script"],
    },
    // The stories under faults; test-only, nothing that ships imports it.
    Layer {
        name: "simulation",
        purity: Effects,
        crates: &["simulation"],
        imports: &["ground", "floor", "inputs", "git", "leaves", "core", "runtime", "cluster", "script", "stage"],
    },
    Layer {
        name: "top",
        purity: Effects,
        crates: &["operator", "cli", "benches"],
        imports: &[
            "ground", "floor", "inputs", "git", "leaves", "rules", "core", "runtime", "cluster", "script", "stage",
        ],
    },
    Layer { name: "tools", purity: Effects, crates: &["xtask"], imports: &[] },
];

/// Crates that bring an executor, sockets, a clock thread or randomness with them. A pure crate reaches none of them.
const FORBIDDEN_IN_PURE: &[(&str, &str)] = &[
    ("tokio", "an executor"),
    ("async-std", "an executor"),
    ("smol", "an executor"),
    ("hyper", "an HTTP client"),
    ("reqwest", "an HTTP client"),
    ("ureq", "an HTTP client"),
    ("kube", "a Kubernetes client"),
    ("kube-client", "a Kubernetes client"),
    ("kube-runtime", "a Kubernetes client"),
    ("rustls", "sockets"),
    ("socket2", "sockets"),
    ("rand", "randomness"),
    ("fastrand", "randomness"),
    ("tempfile", "the file system"),
    ("notify", "the file system"),
];

/// Crates that nobody may bring in: there is one TLS provider (ring, through rustls).
const FORBIDDEN_ANYWHERE: &[(&str, &str)] = &[
    ("aws-lc-rs", "the TLS provider is ring"),
    ("aws-lc-sys", "the TLS provider is ring"),
    ("openssl", "TLS is rustls"),
    ("openssl-sys", "TLS is rustls"),
    ("native-tls", "TLS is rustls"),
];

/// Returns every import that the table does not allow.
pub(crate) fn problems(workspace: &Workspace) -> Vec<String> {
    let mut problems = Vec::new();
    for (_, package) in workspace.members() {
        let Some(layer) = layer_of(&package.name) else {
            problems.push(format!("crate `{}` is in no layer (xtask/src/layers.rs)", package.name));
            continue;
        };
        for id in package.normal.iter().filter(|id| workspace.members.contains(*id)) {
            let Some(dependency) = workspace.packages.get(id) else { continue };
            let imported = layer_of(&dependency.name).map_or("unknown", |layer| layer.name);
            if !layer.imports.contains(&imported) {
                problems.push(format!(
                    "`{}` (layer {}) may not import `{}` (layer {imported})",
                    package.name, layer.name, dependency.name
                ));
            }
        }
        let closure = workspace.closure(package);
        let pure: &[(&str, &str)] = if layer.purity == Pure { FORBIDDEN_IN_PURE } else { &[] };
        for (name, what) in pure.iter().chain(FORBIDDEN_ANYWHERE) {
            if let Some(way) = closure.get(*name) {
                problems.push(format!("`{}` reaches `{name}` ({what}) by {}", package.name, way.join(" > ")));
            }
        }
    }
    problems
}

/// Says whether the crate is one of the pure ones.
pub(crate) fn is_pure(name: &str) -> bool {
    layer_of(name).is_some_and(|layer| layer.purity == Pure)
}

fn layer_of(name: &str) -> Option<&'static Layer> {
    LAYERS.iter().find(|layer| layer.crates.contains(&name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layer_imports_only_layers_that_stand_before_it() {
        for (index, layer) in LAYERS.iter().enumerate() {
            for import in layer.imports {
                assert!(LAYERS[..index].iter().any(|before| before.name == *import), "{} > {import}", layer.name);
            }
        }
    }

    #[test]
    fn a_pure_layer_imports_only_pure_layers() {
        for layer in LAYERS.iter().filter(|layer| layer.purity == Pure) {
            for import in layer.imports {
                assert!(LAYERS.iter().any(|other| other.name == *import && other.purity == Pure), "{import}");
            }
        }
    }
}
