//! Plays a script on an embedded cluster made for it: in virtual time, or with a listener where it starts programs.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use object_model::Timestamp;
use sim_cluster::{Clock, Cluster, Handle};
use tokio::net::TcpListener;

use crate::runner::{PlayError, Scene, play as play_scene};
use crate::script::Script;
use crate::stage::Verbs;
use crate::transcript::Transcript;
use crate::transport::InProcess;

/// When the virtual clock begins: 2030-01-01.
const EPOCH_SECONDS: i64 = 1_893_456_000;

/// Why a script has no transcript from the embedded cluster.
#[derive(Debug, thiserror::Error)]
pub enum EmbeddedError {
    /// The script starts kubectl and there is none of the recorded version.
    #[error("kubectl 1.35 is not installed")]
    NoKubectl,
    /// The cluster could not be set up.
    #[error("failed to set up the embedded cluster")]
    Setup {
        /// Why.
        #[from]
        source: std::io::Error,
    },
    /// The play ended early.
    #[error("failed to play")]
    Play {
        /// Where and why.
        #[from]
        source: PlayError,
    },
}

/// Returns an embedded cluster with its controllers, at the beginning of the virtual clock.
pub fn cluster() -> Cluster {
    let mut cluster = Cluster::default();
    cluster.set_rbac(true);
    sim_cluster::run_controllers(&mut cluster);
    cluster
}

/// Plays a script on a cluster of its own.
///
/// # Errors
///
/// Says which line failed, or that a program is missing.
pub fn play(script: &Script) -> Result<Transcript, EmbeddedError> {
    if script.calls.iter().any(|call| call.verb.starts_with("kubectl")) {
        return play_with_listener(script);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?;
    runtime.block_on(async {
        let epoch = Timestamp::from_second(EPOCH_SECONDS).unwrap_or(Timestamp::UNIX_EPOCH);
        let cluster = cluster();
        let has_controllers = !cluster.controller_names().is_empty();
        let handle = Handle::new(cluster, Clock::tokio_from(epoch));
        let controllers = tokio::spawn({
            let handle = handle.clone();
            async move { handle.drive().await }
        });
        let scene = Scene {
            cluster: Arc::new(InProcess::new(handle.service())),
            kubeconfig: None,
            verbs: Verbs::of_requests(),
            has_controllers,
        };
        let played = play_scene(&scene, script).await;
        controllers.abort();
        Ok(played?)
    })
}

/// Whether the program is a kubectl of the version whose words were recorded; another one says the same differently.
fn is_recorded_version(program: &std::path::Path) -> bool {
    let output = std::process::Command::new(program).args(["version", "--client", "--output=json"]).output();
    let Ok(output) = output else { return false };
    let version: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    version.pointer("/clientVersion/minor").and_then(serde_json::Value::as_str) == Some(KUBECTL_MINOR)
}

/// Minor version of the kubectl that the transcripts are of.
const KUBECTL_MINOR: &str = "35";

/// Programs live in real time and need an address.
fn play_with_listener(script: &Script) -> Result<Transcript, EmbeddedError> {
    let program = std::env::var_os("KUBECTL").map_or_else(|| PathBuf::from("kubectl"), PathBuf::from);
    if !is_recorded_version(&program) {
        return Err(EmbeddedError::NoKubectl);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let folder = std::env::temp_dir().join(format!("sluice-conformance-{}-{}", std::process::id(), script.name));
    std::fs::create_dir_all(&folder)?;
    let played = runtime.block_on(async {
        #[expect(clippy::disallowed_methods, reason = "programs live in real time, so this cluster does too")]
        let clock = Clock::Read(Arc::new(Timestamp::now));
        let cluster = cluster();
        let has_controllers = !cluster.controller_names().is_empty();
        let handle = Handle::new(cluster, clock);
        let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await?;
        let kubeconfig = folder.join("kubeconfig");
        std::fs::write(&kubeconfig, Handle::kubeconfig(listener.local_addr()?))?;
        let tasks = [
            tokio::spawn({
                let handle = handle.clone();
                async move { handle.drive().await }
            }),
            tokio::spawn({
                let handle = handle.clone();
                async move {
                    // The listener ends with the task.
                    let _ = handle.serve(listener).await;
                }
            }),
        ];
        let scene = Scene {
            cluster: Arc::new(InProcess::new(handle.service())),
            kubeconfig: Some(kubeconfig.to_string_lossy().into_owned()),
            verbs: Verbs::of_requests(),
            has_controllers,
        };
        let played = play_scene(&scene, script).await;
        tasks.iter().for_each(tokio::task::JoinHandle::abort);
        Ok(played?)
    });
    std::fs::remove_dir_all(&folder)?;
    played
}
