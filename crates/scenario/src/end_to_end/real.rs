//! A cluster outside for a list of plays: people come with the kubeconfig's credentials, the operator with its own token.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use http::Request;
use kube::client::ClientBuilder;
use kube::config::{AuthInfo, KubeConfigOptions, Kubeconfig};
use object_model::Object;
use serde_json::{Value, json};

use super::clearing::{ClearError, clear, uninstall};
use super::{Outcome, Place, Scenario, fixtures, play};
use crate::setting::{Fleet, FleetError, Overheard, PeopleError, Setting, install, wait_for};
use crate::world::World;

/// How long the operator's token is valid: longer than any list.
const TOKEN_SECONDS: u64 = 7_200;
/// How long the installation may take.
const INSTALL_LIMIT: Duration = Duration::from_secs(120);

/// Why scenarios could not be played on a real cluster.
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
    /// The metrics have no port.
    #[error("failed to serve metrics: {message}")]
    Metrics {
        /// Why.
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

/// A cluster on which Sluice is installed and nothing else is.
pub struct RealCluster {
    people: kube::Client,
    operator: kube::Config,
    way: Arc<dyn script::Transport>,
}

impl RealCluster {
    /// Clears the cluster of a kubeconfig and installs Sluice on it.
    ///
    /// # Errors
    /// When it can't be reached, is in use by others, or refuses.
    pub async fn prepare(kubeconfig: &Path) -> Result<Self, RealError> {
        // Fails when a provider is installed already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let broken = |message: String| RealError::Kubeconfig { path: kubeconfig.to_path_buf(), message };
        let text = std::fs::read_to_string(kubeconfig).map_err(|error| broken(error.to_string()))?;
        let way = script::connection(&text).map_err(|error| broken(error.to_string()))?;
        let config = config(kubeconfig).await.map_err(broken)?;
        let people = kube::Client::try_from(config.clone()).map_err(|error| broken(error.to_string()))?;
        clear(&people, &[]).await?;
        install(&people, INSTALL_LIMIT).await?;
        let operator = operator(&people, config).await?;
        Ok(Self { people, operator, way: Arc::new(way) })
    }

    /// Plays one scenario and clears the cluster of it.
    ///
    /// # Errors
    /// When the play could not begin or the cluster could not be cleared; what goes wrong in the play is in the outcome.
    pub async fn play(&self, scenario: &Scenario, seed: u64) -> Result<Outcome, RealError> {
        let overheard = Overheard::default();
        let builder = ClientBuilder::try_from(self.operator.clone());
        let builder = builder.map_err(|error| RealError::Token { message: error.to_string() })?;
        let operator = builder.with_layer(&overheard).build();
        let record = Arc::new(reconcile_runtime::MemoryRecord::default());
        let people = self.people.clone();
        let mut setting = Setting::on_cluster(people, operator, overheard, Fleet::served().await?, seed, record);
        let metrics = |message: String| RealError::Metrics { message };
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await;
        let listener = listener.map_err(|error| metrics(error.to_string()))?;
        let clock = setting.clock;
        let prometheus = sim_traffic::serve(listener, setting.traffic.clone(), move || clock.now());
        let prometheus = prometheus.map_err(|error| metrics(error.to_string()))?;
        setting.prometheus = Some(format!("http://{}", prometheus.address()));
        let world = World::new(setting, &fixtures());
        let outcome = play(scenario, Place::Real, &world, Arc::clone(&self.way)).await;
        let made: Vec<Object> = world.notes().made.clone();
        clear(&self.people, &made).await?;
        Ok(outcome)
    }

    /// Takes the installation away again; definitions stay.
    ///
    /// # Errors
    /// When the cluster refuses or is too slow.
    pub async fn end(self) -> Result<(), RealError> {
        Ok(uninstall(&self.people).await?)
    }
}

async fn config(path: &Path) -> Result<kube::Config, String> {
    let file = Kubeconfig::read_from(path).map_err(|error| error.to_string())?;
    let options = KubeConfigOptions::default();
    kube::Config::from_custom_kubeconfig(file, &options).await.map_err(|error| error.to_string())
}

/// How the operator comes as its ServiceAccount and nobody else.
async fn operator(people: &kube::Client, mut config: kube::Config) -> Result<kube::Config, RealError> {
    let (namespace, name) = (api::install::NAMESPACE, api::install::SERVICE_ACCOUNT);
    let what = format!("{name} is there");
    wait_for(people, ("v1", "ServiceAccount", namespace, name), &what, INSTALL_LIMIT, |_| true).await?;
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
    Ok(config)
}
