//! Controllers on a control plane of their own: the definitions of Argo's kinds, accounts with the kubeconfigs by which a
//! controller is one of them, and the processes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::control_plane::{self, Folders, Tools};
use crate::run;

/// How long a controller may take to end.
const END_WAIT: Duration = Duration::from_secs(30);
/// How long a token is good.
const TOKEN_TIME: &str = "3h";

/// An account of a controller.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Account {
    pub(crate) namespace: &'static str,
    pub(crate) name: &'static str,
}

/// Argo's controller; it gets all rights.
pub(crate) const ARGO: Account = Account { namespace: "argo-rollouts", name: "argo-rollouts" };
/// Our operator; it gets what the installation gives it.
pub(crate) const OPERATOR: Account = Account { namespace: "sluice-system", name: "sluice-operator" };

/// A control plane that is up.
pub(crate) struct Place {
    /// For logs and kubeconfigs.
    pub(crate) folder: PathBuf,
    pub(crate) kubectl: PathBuf,
    pub(crate) kubeconfig: PathBuf,
}

impl Place {
    pub(crate) fn new(folder: &Path, tools: &Tools, kubeconfig: PathBuf) -> Self {
        Self { folder: folder.to_owned(), kubectl: tools.folder.join("kubectl"), kubeconfig }
    }

    /// Starts a control plane with nothing on it.
    pub(crate) fn fresh(folders: &Folders, tools: &Tools) -> Result<Self> {
        control_plane::down(folders)?;
        let kubeconfig = control_plane::up(folders, tools, control_plane::Foreground::Yes)?;
        Ok(Self::new(&folders.state, tools, kubeconfig))
    }

    pub(crate) fn kubectl(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.kubectl);
        command.arg("--kubeconfig").arg(&self.kubeconfig).args(arguments);
        command
    }

    /// Runs kubectl without a word, but for what is wrong.
    pub(crate) fn quiet(&self, arguments: &[&str]) -> Result<()> {
        run::run(self.kubectl(arguments).stdout(Stdio::null()))
    }

    /// Applies the definitions of Argo's kinds as a checkout has them.
    pub(crate) fn define(&self, source: &Path) -> Result<()> {
        self.quiet(&["apply", "--server-side", "-k", &source.join("manifests/crds").to_string_lossy()])
    }

    /// Applies those of other projects that Argo's tests come with.
    pub(crate) fn define_others(&self, source: &Path) -> Result<()> {
        self.quiet(&["apply", "-f", &source.join("test/e2e/crds").to_string_lossy()])
    }

    /// Waits until every definition is served.
    pub(crate) fn wait_for_definitions(&self) -> Result<()> {
        self.quiet(&["wait", "--for", "condition=Established", "crd", "--all", "--timeout", "60s"])
    }

    pub(crate) fn make_namespaces(&self, names: &[&str]) -> Result<()> {
        names.iter().try_for_each(|name| self.quiet(&["create", "namespace", name]))
    }

    /// Gives Argo's controller an account; its namespace is there.
    pub(crate) fn admit_argo(&self) -> Result<()> {
        self.quiet(&["create", "serviceaccount", ARGO.name, "-n", ARGO.namespace])?;
        let bound = format!("--serviceaccount={}:{}", ARGO.namespace, ARGO.name);
        self.quiet(&["create", "clusterrolebinding", "argo", "--clusterrole=cluster-admin", &bound])
    }

    /// Installs our operator's account, roles and definitions as users do; those of Argo's that are there stay.
    pub(crate) fn admit_operator(&self) -> Result<()> {
        let install = run::root().join("docs/install.yaml");
        self.quiet(&["apply", "--server-side", "-f", &install.to_string_lossy()])
    }

    /// A kubeconfig by which whoever has it is an account.
    pub(crate) fn kubeconfig_of(&self, account: Account) -> Result<PathBuf> {
        let ask = ["create", "token", account.name, "-n", account.namespace, "--duration", TOKEN_TIME];
        let token = run::output(&mut self.kubectl(&ask))?;
        let path = self.folder.join(format!("{}.kubeconfig", account.name));
        fs::copy(&self.kubeconfig, &path)?;
        self.configure(&path, &["set-credentials", account.name, "--token", token.trim()])?;
        self.configure(&path, &["set-context", "--current", "--user", account.name])?;
        Ok(path)
    }

    /// A copy of the kubeconfig for one namespace.
    pub(crate) fn kubeconfig_in(&self, namespace: &str, file: &str) -> Result<PathBuf> {
        let path = self.folder.join(file);
        fs::copy(&self.kubeconfig, &path)?;
        self.configure(&path, &["set-context", "--current", "--namespace", namespace])?;
        Ok(path)
    }

    fn configure(&self, path: &Path, arguments: &[&str]) -> Result<()> {
        let mut configure = Command::new(&self.kubectl);
        configure.arg("--kubeconfig").arg(path).arg("config").args(arguments);
        run::run(configure.stdout(Stdio::null()))
    }

    /// Starts a controller with a kubeconfig; what it says goes into `NAME.log`.
    pub(crate) fn start(&self, program: &Path, kubeconfig: &Path, arguments: &[&str], name: &str) -> Result<Child> {
        let log = fs::File::create(self.folder.join(format!("{name}.log")))?;
        let mut command = Command::new(program);
        command.arg("--kubeconfig").arg(kubeconfig).args(arguments);
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        command.spawn().with_context(|| format!("failed to start {}", program.display()))
    }
}

/// Ends a controller as a signal does, so that it gives its Lease up; one that does not end is killed.
pub(crate) fn end(running: &mut Child) -> Result<()> {
    if running.try_wait()?.is_some() {
        return Ok(());
    }
    run::run(Command::new("kill").args(["-TERM", &running.id().to_string()]))?;
    let begun = Instant::now();
    while running.try_wait()?.is_none() {
        if begun.elapsed() > END_WAIT {
            running.kill()?;
            running.wait()?;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}
