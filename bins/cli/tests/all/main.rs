//! The command as a process, on an embedded cluster behind a port.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests say what is wrong by failing")]

mod diff;
mod experiment;
mod revision;

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;

use reconcile_runtime::Clock;
use serde_json::Value;
use sim_cluster::{Cluster, Handle, Request, Settings};
use tokio::net::TcpListener;

/// A cluster with definitions of the product's kinds, behind a port.
struct World {
    folder: tempfile::TempDir,
    cluster: Handle,
    kubeconfig: PathBuf,
}

impl World {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let start = Clock::Wall.now();
        let cluster = Cluster::new(Settings { start, ..Settings::default() });
        let cluster = Handle::new(cluster, sim_cluster::Clock::Read(Arc::new(|| Clock::Wall.now())));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let kubeconfig = folder.path().join("kubeconfig");
        std::fs::write(&kubeconfig, Handle::kubeconfig(listener.local_addr().unwrap())).unwrap();
        let server = cluster.clone();
        tokio::spawn(async move { server.serve(listener).await });
        let world = Self { folder, cluster, kubeconfig };
        for definition in api::crd::own("sluice.dev").into_iter().chain(api::crd::argo()) {
            world.create("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", &definition.to_json());
        }
        world
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn create(&self, path: &str, object: &Value) {
        self.send(&Request::post(path, object));
    }

    fn get(&self, resource: &str, name: &str) -> Value {
        self.cluster.with(|cluster| cluster.get(resource, "default", name).unwrap().json().clone())
    }

    fn send(&self, request: &Request) {
        let now = Clock::Wall.now();
        let status = self.cluster.with(|cluster| cluster.handle(request, now).status());
        assert!((200..300).contains(&status), "{status}");
    }

    /// Exit code and output of the command.
    async fn sluice(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let output = tokio::process::Command::new(env!("CARGO_BIN_EXE_sluice"))
            .args(arguments)
            .arg("--kubeconfig")
            .arg(&self.kubeconfig)
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .output()
            .await
            .unwrap();
        let mut text = String::from_utf8(output.stdout).unwrap();
        text.push_str(std::str::from_utf8(&output.stderr).unwrap());
        (output.status.code(), text)
    }
}

fn write(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}
