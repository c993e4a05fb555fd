//! Starts and ends the control plane.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

use super::{Folders, Tools, processes};
use crate::run;

/// In the order in which they are started; they are ended in the opposite one.
const PROGRAMS: &[&str] = &["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok"];

/// How long one program may take until it answers, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(180);

/// Whether the programs end together with the one that started them.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Foreground {
    Yes,
    No,
}

/// Starts what does not run yet, waits until pods can run, and returns the path of the kubeconfig.
pub(crate) fn up(folders: &Folders, tools: &Tools, foreground: Foreground) -> Result<PathBuf> {
    let kubeconfig = folders.state.join("kubeconfig");
    if is_up(folders) {
        furnish(&player()?, &kubeconfig)?;
        return Ok(kubeconfig);
    }
    down(folders)?;
    if folders.state.exists() {
        fs::remove_dir_all(&folders.state).with_context(|| format!("failed to empty {}", folders.state.display()))?;
    }
    fs::create_dir_all(&folders.state)?;
    let started = start_all(folders, tools, &kubeconfig, foreground == Foreground::No);
    if let Err(error) = started {
        // What did start would hold its ports for ever.
        down(folders)?;
        return Err(error);
    }
    Ok(kubeconfig)
}

/// The file in which the API server notes the operator's requests.
pub(crate) fn audit_log(state: &Path) -> PathBuf {
    state.join("logs/audit.log")
}

/// Says whether every program runs.
pub(crate) fn is_up(folders: &Folders) -> bool {
    PROGRAMS.iter().all(|name| processes::is_running(&folders.state, name))
}

/// Ends every program that runs, and waits for each.
pub(crate) fn down(folders: &Folders) -> Result<()> {
    for name in PROGRAMS.iter().rev() {
        processes::stop(&folders.state, name)?;
    }
    Ok(())
}

/// Prints what runs; fails unless everything does.
pub(super) fn status(folders: &Folders) -> Result<()> {
    let mut missing = Vec::new();
    for name in PROGRAMS {
        let runs = processes::is_running(&folders.state, name);
        println!("{name}: {}", if runs { "running" } else { "not running" });
        if !runs {
            missing.push(*name);
        }
    }
    if !missing.is_empty() {
        bail!("not running: {}", missing.join(", "));
    }
    println!("kubeconfig: {}", folders.state.join("kubeconfig").display());
    Ok(())
}

/// Blocks until one of the programs has ended, then ends the others.
pub(super) fn watch_until_one_ends(folders: &Folders) -> Result<()> {
    loop {
        if let Some(name) = PROGRAMS.iter().find(|name| !processes::is_running(&folders.state, name)) {
            down(folders)?;
            bail!("{name} has ended:\n{}", last_lines(&folders.state, name));
        }
        std::thread::sleep(Duration::from_millis(500));
    }
}

fn start_all(folders: &Folders, tools: &Tools, kubeconfig: &Path, own_group: bool) -> Result<()> {
    let state = folders.state.as_path();
    let player = player()?;
    let [etcd_client, etcd_peer, api, kwok] = free_ports()?;
    let start = |name: &str, program: &Path, arguments: Vec<String>| {
        processes::start(state, name, program, &arguments, own_group)
    };
    start("etcd", &tools.etcd(), etcd_arguments(state, etcd_client, etcd_peer))?;

    let token = token(state);
    fs::write(state.join("tokens.csv"), format!("{token},admin,admin,\"system:masters\"\n"))?;
    fs::write(
        state.join("service-account.key"),
        run::output(Command::new(tools.kubernetes()).arg("service-account-key"))?,
    )?;
    let kubernetes = |name: &str, arguments: Vec<String>| {
        let mut all = vec![name.to_owned()];
        all.extend(arguments);
        start(name, &tools.kubernetes(), all)
    };
    kubernetes("kube-apiserver", api_server_arguments(state, etcd_client, api))?;
    let certificate = state.join("certificates/apiserver.crt");
    wait("kube-apiserver's certificate", state, "kube-apiserver", || certificate.is_file())?;
    fs::write(kubeconfig, kubeconfig_text(api, &fs::read(&certificate)?, &token))?;
    wait("kube-apiserver", state, "kube-apiserver", || plays(&player, kubeconfig, "answers.txt"))?;

    kubernetes("kube-controller-manager", controller_manager_arguments(state, kubeconfig))?;
    let scheduler = ["--leader-elect=false", "--secure-port=0", "--kube-api-qps=1000", "--kube-api-burst=2000"];
    let mut scheduler = scheduler.map(str::to_owned).to_vec();
    scheduler.push(format!("--kubeconfig={}", kubeconfig.display()));
    kubernetes("kube-scheduler", scheduler)?;
    start("kwok", &tools.kwok(), kwok_arguments(kubeconfig, kwok))?;

    furnish(&player, kubeconfig)?;
    forget_first_revision(etcd_client)
}

/// Compacts etcd's first revision away. The API server does it every five minutes; scripts that ask for a version which is
/// too old would get another answer in a young cluster than in an old one.
fn forget_first_revision(etcd: u16) -> Result<()> {
    const BODY: &str = r#"{"revision":"2"}"#;
    let mut stream = TcpStream::connect(("127.0.0.1", etcd)).context("failed to reach etcd")?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    write!(
        stream,
        "POST /v3/kv/compaction HTTP/1.0\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{BODY}",
        BODY.len()
    )?;
    let mut answer = String::new();
    stream.take(64 << 10).read_to_string(&mut answer).context("etcd did not answer")?;
    let status = answer.lines().next().unwrap_or_default();
    if !status.contains(" 200 ") {
        bail!("etcd did not compact its first revision: {status}");
    }
    Ok(())
}

fn etcd_arguments(state: &Path, client: u16, peer: u16) -> Vec<String> {
    vec![
        "--name=etcd".to_owned(),
        format!("--data-dir={}", state.join("etcd").display()),
        format!("--listen-client-urls=http://127.0.0.1:{client}"),
        format!("--advertise-client-urls=http://127.0.0.1:{client}"),
        format!("--listen-peer-urls=http://127.0.0.1:{peer}"),
        format!("--initial-advertise-peer-urls=http://127.0.0.1:{peer}"),
        format!("--initial-cluster=etcd=http://127.0.0.1:{peer}"),
        "--unsafe-no-fsync".to_owned(),
        "--log-level=warn".to_owned(),
    ]
}

fn api_server_arguments(state: &Path, etcd: u16, port: u16) -> Vec<String> {
    let key = state.join("service-account.key");
    let key = key.display();
    vec![
        format!("--etcd-servers=http://127.0.0.1:{etcd}"),
        "--bind-address=127.0.0.1".to_owned(),
        format!("--secure-port={port}"),
        format!("--cert-dir={}", state.join("certificates").display()),
        format!("--token-auth-file={}", state.join("tokens.csv").display()),
        "--authorization-mode=RBAC".to_owned(),
        "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
        format!("--service-account-key-file={key}"),
        format!("--service-account-signing-key-file={key}"),
        "--service-cluster-ip-range=10.96.0.0/12".to_owned(),
        "--allow-privileged".to_owned(),
        "--max-requests-inflight=2000".to_owned(),
        "--max-mutating-requests-inflight=1000".to_owned(),
        format!("--audit-policy-file={}", run::root().join("fixtures/control-plane/audit-policy.yaml").display()),
        format!("--audit-log-path={}", audit_log(state).display()),
        "--audit-log-maxsize=256".to_owned(),
        "--audit-log-maxbackup=1".to_owned(),
    ]
}

fn controller_manager_arguments(state: &Path, kubeconfig: &Path) -> Vec<String> {
    vec![
        format!("--kubeconfig={}", kubeconfig.display()),
        format!("--service-account-private-key-file={}", state.join("service-account.key").display()),
        format!("--root-ca-file={}", state.join("certificates/apiserver.crt").display()),
        "--use-service-account-credentials=true".to_owned(),
        "--leader-elect=false".to_owned(),
        "--secure-port=0".to_owned(),
        "--controllers=*,-nodeipam,-route,-service-lb-controller".to_owned(),
        // kwok reports a node's life every ten minutes; with the usual grace all pods would turn NotReady between.
        "--node-monitor-grace-period=30m".to_owned(),
        "--concurrent-replicaset-syncs=20".to_owned(),
        "--kube-api-qps=1000".to_owned(),
        "--kube-api-burst=2000".to_owned(),
    ]
}

fn kwok_arguments(kubeconfig: &Path, port: u16) -> Vec<String> {
    vec![
        format!("--kubeconfig={}", kubeconfig.display()),
        "--manage-all-nodes=true".to_owned(),
        "--node-ip=127.0.0.1".to_owned(),
        // Room for a million pods; without it there are addresses for 254.
        "--cidr=10.128.0.0/12".to_owned(),
        format!("--server-address=127.0.0.1:{port}"),
        format!("--config={}", run::root().join("fixtures/control-plane/kwok-stages.yaml").display()),
    ]
}

/// Makes the node and waits until pods can be made.
fn furnish(player: &Path, kubeconfig: &Path) -> Result<()> {
    run::run(&mut script(player, kubeconfig, "furnish.txt"))
}

/// The player of scripts, through which the cluster is asked: no kubectl is needed for it.
fn player() -> Result<PathBuf> {
    run::program("conformance")
}

fn script(player: &Path, kubeconfig: &Path, name: &str) -> Command {
    let mut command = Command::new(player);
    command.args(["run", "--kubeconfig"]).arg(kubeconfig);
    command.arg(run::root().join("fixtures/control-plane").join(name));
    command
}

/// Says whether a script is played to its end now.
fn plays(player: &Path, kubeconfig: &Path, name: &str) -> bool {
    run::output(&mut script(player, kubeconfig, name)).is_ok()
}

fn wait(what: &str, state: &Path, program: &str, is_so: impl Fn() -> bool) -> Result<()> {
    let since = Instant::now();
    while !is_so() {
        if !processes::is_running(state, program) {
            bail!("{program} has ended while waiting for {what}:\n{}", last_lines(state, program));
        }
        if since.elapsed() > PATIENCE {
            bail!("waited {} s for {what}:\n{}", PATIENCE.as_secs(), last_lines(state, program));
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    Ok(())
}

fn last_lines(state: &Path, name: &str) -> String {
    const SHOWN_LINES: usize = 20;
    let text = fs::read_to_string(processes::log_path(state, name)).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    let start = lines.len().saturating_sub(SHOWN_LINES);
    lines.get(start..).unwrap_or_default().join("\n")
}

/// Asks the kernel for ports that are free now. All are held until all are known, so no two are the same.
fn free_ports<const N: usize>() -> Result<[u16; N]> {
    let mut ports = [0; N];
    let mut held = Vec::with_capacity(N);
    for port in &mut ports {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        *port = listener.local_addr()?.port();
        held.push(listener);
    }
    Ok(ports)
}

/// A token that nobody can guess who cannot list this machine's processes and folders anyway.
fn token(state: &Path) -> String {
    use std::hash::{BuildHasher as _, Hasher as _, RandomState};
    let mut digest = Sha256::new();
    digest.update(state.display().to_string());
    for _ in 0..4 {
        digest.update(RandomState::new().build_hasher().finish().to_le_bytes());
    }
    digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn kubeconfig_text(port: u16, certificate: &[u8], token: &str) -> String {
    let certificate = STANDARD.encode(certificate);
    format!(
        "apiVersion: v1
kind: Config
current-context: sluice
clusters:
- name: sluice
  cluster:
    server: https://127.0.0.1:{port}
    certificate-authority-data: {certificate}
users:
- name: admin
  user:
    token: {token}
contexts:
- name: sluice
  context:
    cluster: sluice
    user: admin
"
    )
}
