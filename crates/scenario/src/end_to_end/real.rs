//! A cluster outside for one play: people come with the kubeconfig's credentials, the operator with its own token.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use http::Request;
use kube::config::{AuthInfo, KubeConfigOptions, Kubeconfig};
use serde_json::{Value, json};

use super::{ClearError, Outcome, Place, Scenario, clear, play_beside_the_operator};
use crate::demo::Progress;
use crate::setting::{FleetError, PeopleError, Setting, apply, roles, wait_for};

/// How long the operator's token is valid.
const TOKEN_SECONDS: u64 = 3_600;
/// How long the operator's ServiceAccount may take to come into being.
const ACCOUNT_LIMIT: Duration = Duration::from_secs(60);

/// Why a scenario could not be played on a real cluster.
#[derive(Debug, thiserror::Error)]
pub enum RealError {
    /// The kubeconfig leads nowhere.
    #[error("failed to use kubeconfig `{path}`: {message}")]
    Kubeconfig {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// The operator got no token.
    #[error("failed to get a token for the operator: {message}")]
    Token {
        /// The answer.
        message: String,
    },
    /// The cluster can't be cleared.
    #[error(transparent)]
    Clear(#[from] ClearError),
    /// A person's request was refused.
    #[error(transparent)]
    People(#[from] PeopleError),
    /// There is no repository.
    #[error(transparent)]
    Fleet(#[from] FleetError),
}

/// Plays on the cluster of a kubeconfig, with the repository in `folder`. The cluster is cleared before and after.
///
/// # Errors
/// When the play could not begin or the cluster could not be cleared; what goes wrong in the play is in the outcome.
pub async fn on_real(
    scenario: Scenario,
    kubeconfig: &Path,
    folder: &Path,
    seed: u64,
    tell: &mut dyn FnMut(Progress),
) -> Result<Outcome, RealError> {
    // Fails when a provider is installed already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let broken = |message: String| RealError::Kubeconfig { path: kubeconfig.to_path_buf(), message };
    let config = config(kubeconfig).await.map_err(broken)?;
    let people = kube::Client::try_from(config.clone()).map_err(|error| broken(error.to_string()))?;
    clear(&people).await?;
    let operator = operator(&people, config).await?;
    let record = Arc::new(reconcile_runtime::MemoryRecord::default());
    let setting = Setting::on_cluster(people.clone(), operator, folder, seed, record)?;
    let outcome = play_beside_the_operator(scenario, Place::Real, &setting, tell).await;
    clear(&people).await?;
    Ok(outcome)
}

async fn config(path: &Path) -> Result<kube::Config, String> {
    let file = Kubeconfig::read_from(path).map_err(|error| error.to_string())?;
    let options = KubeConfigOptions::default();
    kube::Config::from_custom_kubeconfig(file, &options).await.map_err(|error| error.to_string())
}

/// A client that is the operator's ServiceAccount and nobody else.
async fn operator(people: &kube::Client, mut config: kube::Config) -> Result<kube::Client, RealError> {
    for role in roles("sluice.dev")? {
        apply(people, &role).await?;
    }
    let (namespace, name) = (api::install::NAMESPACE, api::install::SERVICE_ACCOUNT);
    let what = format!("{name} is there");
    wait_for(people, ("v1", "ServiceAccount", namespace, name), &what, ACCOUNT_LIMIT, |_| true).await?;
    let fail = |message: String| RealError::Token { message };
    let body = json!({
        "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": TOKEN_SECONDS},
    });
    let request = Request::post(format!("/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token"))
        .header("content-type", "application/json")
        .body(body.to_string().into_bytes())
        .map_err(|error| fail(error.to_string()))?;
    let answer: Value = people.request(request).await.map_err(|error| fail(error.to_string()))?;
    let token = answer.pointer("/status/token").cloned().ok_or_else(|| fail("the answer has none".to_owned()))?;
    config.auth_info = serde_json::from_value::<AuthInfo>(json!({"token": token}))
        .map_err(|error| fail(format!("the answer is no token: {error}")))?;
    kube::Client::try_from(config).map_err(|error| fail(error.to_string()))
}
