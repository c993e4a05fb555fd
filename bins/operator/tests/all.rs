//! The operator as a process: it is started, asked over HTTP and ended from outside, on an embedded cluster behind a port.
#![expect(clippy::unwrap_used, reason = "tests say what is wrong by failing")]

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use git_source::{Webhook, WebhookKind};
use object_model::Secret;
use reconcile_runtime::Clock;
use serde_json::{Value, json};
use sim_cluster::{Cluster, Handle, Request, Settings};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, ChildStderr, Command};

const LIMIT: Duration = Duration::from_secs(60);
const SECRET: &str = "a secret that signs webhooks";

/// A cluster with the operator's namespace, and a kubeconfig for it.
async fn cluster(folder: &Path) -> (Handle, PathBuf) {
    let now = Clock::Wall.now();
    let mut cluster = Cluster::new(Settings { start: now, ..Settings::default() });
    let namespace = json!({"metadata": {"name": "sluice-system"}});
    assert_eq!(cluster.handle(&Request::post("/api/v1/namespaces", &namespace), now).status(), 201);
    let handle = Handle::new(cluster, sim_cluster::Clock::Read(Arc::new(|| Clock::Wall.now())));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let kubeconfig = folder.join("kubeconfig");
    std::fs::write(&kubeconfig, Handle::kubeconfig(listener.local_addr().unwrap())).unwrap();
    let server = handle.clone();
    tokio::spawn(async move { server.serve(listener).await });
    (handle, kubeconfig)
}

/// A port that nobody listens on just now.
async fn free_port() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap().port().to_string()
}

fn operator(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sluice-operator"));
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

/// Exit code and standard error of a process that ends by itself.
async fn ended(arguments: &[&str]) -> (Option<i32>, String) {
    let output = tokio::time::timeout(LIMIT, operator(arguments).output()).await.unwrap().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

/// Waits for the line of the log with this message and returns it.
async fn line(log: &mut BufReader<ChildStderr>, message: &str) -> Value {
    let found = async {
        loop {
            let mut text = String::new();
            assert!(log.read_line(&mut text).await.unwrap() > 0, "the log ended before `{message}`");
            let line: Value = serde_json::from_str(&text).unwrap();
            if line.get("message").and_then(Value::as_str) == Some(message) {
                return line;
            }
        }
    };
    tokio::time::timeout(LIMIT, found).await.unwrap()
}

async fn ask(address: SocketAddr, method: &str, path: &str, headers: &str, body: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let length = body.len();
    let head = format!("{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n");
    stream.write_all(format!("{head}{headers}\r\n{body}").as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.trim_end().to_owned())
}

fn holder(cluster: &Handle, lease: &str) -> String {
    cluster.with(|cluster| {
        let lease = cluster.get("leases.coordination.k8s.io", "sluice-system", lease).unwrap();
        lease.json().pointer("/spec/holderIdentity").and_then(Value::as_str).unwrap_or_default().to_owned()
    })
}

async fn terminate(mut child: Child) -> Option<i32> {
    let id = child.id().unwrap().to_string();
    assert!(Command::new("kill").args(["-TERM", &id]).status().await.unwrap().success());
    tokio::time::timeout(LIMIT, child.wait()).await.unwrap().unwrap().code()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_leads_serves_and_gives_its_leases_back_when_asked_to_end() {
    let folder = tempfile::tempdir().unwrap();
    let (cluster, kubeconfig) = cluster(folder.path()).await;
    let secret = folder.path().join("secret");
    std::fs::write(&secret, format!("{SECRET}\n")).unwrap();
    let (kubeconfig, secret) = (kubeconfig.to_string_lossy(), secret.to_string_lossy());
    let record = folder.path().join("record.db");
    let metrics_port = free_port().await;
    let mut child = operator(&["--kubeconfig", &kubeconfig, "--listen", "127.0.0.1:0", "--identity", "first"])
        .args(["--metrics-port", &metrics_port])
        .args(["--webhook-secret-file", &secret, "--log", "json", "--record", &record.to_string_lossy()])
        .spawn()
        .unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap());
    let address: SocketAddr = line(&mut log, "listening").await["address"].as_str().unwrap().parse().unwrap();
    assert_eq!(line(&mut log, "leading").await["identity"], "first");
    tokio::spawn(async move { log.read_to_end(&mut Vec::new()).await });

    assert_eq!(ask(address, "GET", "/healthz", "", "").await, (200, "ok".to_owned()));
    let ready = async {
        while ask(address, "GET", "/readyz", "", "").await.0 != 200 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(LIMIT, ready).await.unwrap();
    let (status, metrics) = ask(address, "GET", "/metrics", "", "").await;
    assert!(status == 200 && metrics.contains("\nsluice_queue_running "), "{metrics}");

    let body = r#"{"repository": "https://git.example.com/fleet.git"}"#;
    let webhook = Webhook::new(WebhookKind::Generic, Secret::new(SECRET.to_owned())).unwrap();
    let signed = format!("x-sluice-signature-256: {}\r\n", webhook.sign(body.as_bytes()));
    assert_eq!(ask(address, "POST", "/webhook/generic", &signed, body).await, (202, "0 woken".to_owned()));
    let (status, words) = ask(address, "POST", "/webhook/generic", "", body).await;
    assert_eq!((status, words.as_str()), (401, "header X-Sluice-Signature-256 is missing"));

    // On Argo's port there are Argo's names, and nothing but metrics and health.
    let argo: SocketAddr = format!("127.0.0.1:{metrics_port}").parse().unwrap();
    let (status, metrics) = ask(argo, "GET", "/metrics", "", "").await;
    assert!(status == 200 && metrics.contains("\nargo_rollouts_controller_info{"), "{metrics}");
    assert!(metrics.contains("\ncontroller_clientset_k8s_request_total{kind=\"rollouts\""), "{metrics}");
    assert_eq!(ask(argo, "GET", "/healthz", "", "").await, (200, "ok".to_owned()));
    assert_eq!(ask(argo, "POST", "/webhook/generic", &signed, body).await.0, 404);

    let leases = [
        "sluice-environment",
        "sluice-sync",
        "argo-rollouts-controller-lock",
        "sluice-notification",
        "sluice-promotion",
    ];
    assert!(leases.iter().all(|lease| holder(&cluster, lease) == "first"));
    assert_eq!(terminate(child).await, Some(0));
    assert!(leases.iter().all(|lease| holder(&cluster, lease).is_empty()));
    assert!(record.is_file());
}

#[tokio::test]
async fn wrong_use_ends_with_two_and_says_what_would_be_right() {
    for arguments in [["--listen", "here"], ["--log-level", "=["], ["--domains", "sink"], ["--no-such-flag", "x"]] {
        let (code, words) = ended(&arguments).await;
        assert_eq!(code, Some(2), "{words}");
        assert!(words.starts_with("error: "), "{words}");
    }
}

#[tokio::test]
async fn what_keeps_it_from_starting_ends_it_with_one_and_is_said_once() {
    let (code, words) = ended(&["--kubeconfig", "/nowhere/kubeconfig"]).await;
    assert_eq!(code, Some(1));
    assert_eq!(words.matches("No such file").count(), 1, "{words}");
    assert!(words.starts_with("error: the kubeconfig `/nowhere/kubeconfig` could not be read: "), "{words}");

    let (code, words) = ended(&["--kubeconfig", "/nowhere/kubeconfig", "--log", "json"]).await;
    let line: Value = serde_json::from_str(&words).unwrap();
    assert_eq!((code, line["level"].as_str()), (Some(1), Some("ERROR")));
}

#[tokio::test]
async fn a_port_that_is_taken_ends_it_before_it_leads() {
    let folder = tempfile::tempdir().unwrap();
    let (cluster, kubeconfig) = cluster(folder.path()).await;
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let begin = ["--kubeconfig", &kubeconfig.to_string_lossy(), "--metrics-port", "0", "--listen", &address];
    let (code, words) = ended(&begin).await;
    assert_eq!(code, Some(1));
    assert!(words.contains(&format!("error: {address} can't be listened on: Address already in use")), "{words}");
    assert!(cluster.with(|cluster| cluster.requests().all(|request| !request.resource.starts_with("leases"))));
}
