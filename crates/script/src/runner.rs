//! Plays a script from an empty namespace to its end, and leaves nothing behind.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use serde_json::json;

use crate::normalise::normalise;
use crate::script::{Script, ScriptError};
use crate::stage::{Stage, Verbs};
use crate::transcript::Transcript;
use crate::transport::{Transport, TransportError};

/// How long the cluster may take to empty or to furnish a namespace.
const PATIENCE: Duration = Duration::from_secs(90);

/// Where scripts are played.
#[derive(Clone)]
pub struct Scene {
    /// The way to the cluster.
    pub cluster: Arc<dyn Transport>,
    /// A kubeconfig that leads there, for scripts that start kubectl.
    pub kubeconfig: Option<String>,
    /// The words that scripts may use.
    pub verbs: Verbs,
    /// Whether controllers run that put something into a new namespace.
    pub has_controllers: bool,
}

impl std::fmt::Debug for Scene {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Scene")
    }
}

/// Why a script has no transcript.
#[derive(Debug, thiserror::Error)]
pub enum PlayError {
    /// A line failed. What was seen until then is kept.
    #[error("the script failed")]
    Script {
        /// Which line, and why.
        source: ScriptError,
        /// What was seen.
        seen: Box<Transcript>,
    },
    /// The namespace of the script could not be made or emptied.
    #[error("failed to prepare namespace `{namespace}`: {message}")]
    Prepare {
        /// Its name.
        namespace: String,
        /// What went wrong.
        message: String,
    },
    /// The cluster could not be reached.
    #[error("failed to reach the cluster")]
    Reach {
        /// Why.
        #[from]
        source: TransportError,
    },
}

/// Plays a script in a namespace of its own name and returns what it saw, normalised.
///
/// # Errors
///
/// Says which line failed, or why the namespace could not be prepared.
pub async fn play(scene: &Scene, script: &Script) -> Result<Transcript, PlayError> {
    let cluster = scene.cluster.as_ref();
    let namespace = format!("/api/v1/namespaces/{}", script.name);
    remove(cluster, &namespace, script).await?;
    make_namespace(scene, script).await?;
    let mut stage = Stage::new(Arc::clone(&scene.cluster), &script.name);
    stage.kubeconfig.clone_from(&scene.kubeconfig);
    let played = stage.play(script, &scene.verbs).await;
    for made in stage.made.iter().rev() {
        status(cluster, Method::DELETE, made, None).await?;
    }
    status(cluster, Method::DELETE, &namespace, None).await?;
    let mut transcript = std::mem::take(&mut stage.transcript);
    normalise(&mut transcript, stage.shown);
    match played {
        Ok(()) => Ok(transcript),
        Err(source) => Err(PlayError::Script { source, seen: Box::new(transcript) }),
    }
}

async fn remove(cluster: &dyn Transport, address: &str, script: &Script) -> Result<(), PlayError> {
    if status(cluster, Method::DELETE, address, None).await? == StatusCode::NOT_FOUND {
        return Ok(());
    }
    let is_gone = until(cluster, address, StatusCode::NOT_FOUND).await?;
    if !is_gone {
        let message = "it does not go away".to_owned();
        return Err(PlayError::Prepare { namespace: script.name.clone(), message });
    }
    Ok(())
}

/// Makes the namespace and waits for what the controllers put into it: lists in scripts would show it by chance.
async fn make_namespace(scene: &Scene, script: &Script) -> Result<(), PlayError> {
    let cluster = scene.cluster.as_ref();
    let body = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": script.name}});
    let made = status(cluster, Method::POST, "/api/v1/namespaces", Some(body.to_string())).await?;
    if made != StatusCode::CREATED {
        let message = format!("the answer has status {made}");
        return Err(PlayError::Prepare { namespace: script.name.clone(), message });
    }
    let furniture: &[&str] =
        if scene.has_controllers { &["serviceaccounts/default", "configmaps/kube-root-ca.crt"] } else { &[] };
    for object in furniture {
        let address = format!("/api/v1/namespaces/{}/{object}", script.name);
        if !until(cluster, &address, StatusCode::OK).await? {
            let message = format!("no controller has made {object}");
            return Err(PlayError::Prepare { namespace: script.name.clone(), message });
        }
    }
    Ok(())
}

async fn until(cluster: &dyn Transport, address: &str, wanted: StatusCode) -> Result<bool, PlayError> {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        if status(cluster, Method::GET, address, None).await? == wanted {
            return Ok(true);
        }
        if tokio::time::Instant::now() >= deadline {
            return Ok(false);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn status(
    cluster: &dyn Transport,
    method: Method,
    address: &str,
    body: Option<String>,
) -> Result<StatusCode, PlayError> {
    let mut request = Request::new(Full::new(Bytes::from(body.unwrap_or_default())));
    *request.method_mut() = method;
    *request.uri_mut() = crate::transport::uri(address)
        .map_err(|message| PlayError::Prepare { namespace: address.to_owned(), message })?;
    let headers = request.headers_mut();
    headers.insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
    headers.insert(http::header::ACCEPT, http::HeaderValue::from_static("application/json"));
    let response = cluster.send(request).await?;
    let status = response.status();
    // Read to its end, so that the connection is not cut while the server still writes.
    let _ = response.into_body().collect().await;
    Ok(status)
}
