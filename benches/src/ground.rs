//! The cluster to measure on: an embedded one behind a loopback port, or a real one; both are set up alike, with the
//! operator as its own ServiceAccount and RBAC on.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use http::Request;
use kube::config::{KubeConfigOptions, Kubeconfig};
use object_model::Object;
use reconcile_runtime::Clock;
use scenario::setting::{apply, definitions, list, parse_documents, roles, wait_until_served};
use serde_json::{Value, json};
use sim_cluster::{Cluster, Handle, Settings, run_controllers};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::fleet::{BRANCH, Size};
use crate::requests::RequestLog;

/// Group of the GitOpsConfigs.
pub(crate) const GROUP: &str = "sluice.dev";
const SERVED_LIMIT: Duration = Duration::from_secs(60);
const TOKEN_SECONDS: u32 = 24 * 3_600;

/// A cluster with everything on it but the operator.
pub(crate) struct Ground {
    /// A client with all rights.
    pub(crate) people: kube::Client,
    /// What the operator is started with.
    pub(crate) kubeconfig: PathBuf,
    /// The server's own account of requests.
    pub(crate) requests: RequestLog,
    /// Name of this kind of cluster in results.
    pub(crate) name: &'static str,
    /// What serves the embedded cluster; it ends with this.
    _serving: JoinSet<()>,
}

impl Ground {
    /// Serves an embedded cluster with all its controllers.
    pub(crate) async fn embedded(folder: &Path) -> Result<Self> {
        let start = Clock::Wall.now();
        let mut cluster = Cluster::new(Settings { start, is_rbac_on: true, ..Settings::default() });
        cluster.set_now(start);
        run_controllers(&mut cluster);
        let handle = Handle::new(cluster, sim_cluster::Clock::Read(Arc::new(|| Clock::Wall.now())));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let kubeconfig = folder.join("people.kubeconfig");
        std::fs::write(&kubeconfig, Handle::kubeconfig(listener.local_addr()?))?;
        let mut serving = JoinSet::new();
        let (server, controllers) = (handle.clone(), handle.clone());
        serving.spawn(async move {
            // A listener that fails shows as requests that do.
            let _ = server.serve(listener).await;
        });
        serving.spawn(async move { controllers.drive().await });
        Self::install("embedded", &kubeconfig, folder, RequestLog::Embedded(handle), serving).await
    }

    /// Uses the cluster of a kubeconfig.
    pub(crate) async fn real(kubeconfig: &Path, audit_log: &Path, folder: &Path) -> Result<Self> {
        let requests = RequestLog::Audit(audit_log.to_path_buf());
        Self::install("real", kubeconfig, folder, requests, JoinSet::new()).await
    }

    async fn install(
        name: &'static str,
        kubeconfig: &Path,
        folder: &Path,
        requests: RequestLog,
        serving: JoinSet<()>,
    ) -> Result<Self> {
        let file = Kubeconfig::read_from(kubeconfig)?;
        let config = kube::Config::from_custom_kubeconfig(file.clone(), &KubeConfigOptions::default()).await?;
        let people = kube::Client::try_from(config)?;
        let definitions = definitions(GROUP);
        for definition in &definitions {
            apply(&people, definition).await?;
        }
        for definition in &definitions {
            wait_until_served(&people, definition, SERVED_LIMIT).await?;
        }
        for role in roles(GROUP)? {
            apply(&people, &role).await?;
        }
        let operators = folder.join("operator.kubeconfig");
        std::fs::write(&operators, with_token(&file, &token(&people).await?)?)?;
        Ok(Self { people, kubeconfig: operators, requests, name, _serving: serving })
    }

    /// Makes the namespaces, the accounts as whom objects are applied, and the configs.
    pub(crate) async fn fill(&self, size: Size, url: &str) -> Result<()> {
        self.furnish(&size.namespaces()).await?;
        for number in 0..size.configs {
            for object in parse_documents(&config(&size.config(number), number, url))? {
                apply(&self.people, &object).await?;
            }
        }
        Ok(())
    }

    /// Makes namespaces with the account as which objects are applied there.
    pub(crate) async fn furnish(&self, namespaces: &[String]) -> Result<()> {
        for namespace in namespaces {
            for object in parse_documents(&accounts(namespace))? {
                apply(&self.people, &object).await?;
            }
        }
        Ok(())
    }

    /// How many configs are Ready and how many Rollouts Healthy.
    pub(crate) async fn progress(&self) -> Result<(usize, usize)> {
        let configs = list(&self.people, &format!("{GROUP}/v1"), "GitOpsConfig", "").await?;
        let rollouts = list(&self.people, "argoproj.io/v1alpha1", "Rollout", "").await?;
        let ready = configs.iter().filter(|config| is_ready(config)).count();
        let healthy = rollouts.iter().filter(|rollout| rollout.str_at("/status/phase") == Some("Healthy")).count();
        Ok((ready, healthy))
    }

    /// The holders of all Leases in the operator's namespace.
    pub(crate) async fn lease_holders(&self) -> Result<Vec<String>> {
        let leases = list(&self.people, "coordination.k8s.io/v1", "Lease", api::install::NAMESPACE).await?;
        let holders = leases.iter().filter_map(|lease| lease.str_at("/spec/holderIdentity"));
        Ok(holders.filter(|holder| !holder.is_empty()).map(str::to_owned).collect())
    }
}

fn is_ready(config: &Object) -> bool {
    config.list_at("/status/conditions").iter().any(|condition| {
        let text = |key: &str| condition.get(key).and_then(Value::as_str);
        text("type") == Some("Ready") && text("status") == Some("True")
    })
}

/// A token of the operator's ServiceAccount, as a pod would have it.
async fn token(people: &kube::Client) -> Result<String> {
    let (namespace, name) = (api::install::NAMESPACE, api::install::SERVICE_ACCOUNT);
    let body = json!({
        "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": TOKEN_SECONDS},
    });
    let request = Request::post(format!("/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token"))
        .header("content-type", "application/json")
        .body(body.to_string().into_bytes())?;
    let answer: Value = people.request(request).await.context("the operator got no token")?;
    let token = answer.pointer("/status/token").and_then(Value::as_str).context("the answer holds no token")?;
    Ok(token.to_owned())
}

/// The same cluster for somebody else. JSON is YAML.
fn with_token(file: &Kubeconfig, token: &str) -> Result<String> {
    let mut json = serde_json::to_value(file)?;
    let users = json.get_mut("users").and_then(Value::as_array_mut).context("the kubeconfig has no users")?;
    for user in users {
        if let Some(user) = user.as_object_mut() {
            user.insert("user".to_owned(), json!({"token": token}));
        }
    }
    Ok(json.to_string())
}

fn accounts(namespace: &str) -> String {
    format!(
        "apiVersion: v1
kind: Namespace
metadata: {{name: {namespace}}}
---
apiVersion: v1
kind: ServiceAccount
metadata: {{name: sluice, namespace: {namespace}}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {{name: sluice, namespace: {namespace}}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: sluice-deployer}}
subjects: [{{kind: ServiceAccount, name: sluice, namespace: {namespace}}}]
"
    )
}

/// A config of one path. The interval is a minute, so that every idle minute holds a poll of the repository.
pub(crate) fn config((namespace, name): &(String, String), number: u32, url: &str) -> String {
    format!(
        "apiVersion: {GROUP}/v1
kind: GitOpsConfig
metadata: {{name: {name}, namespace: {namespace}}}
spec:
  url: {url}
  branch: {BRANCH}
  path: apps/{number:04}
  interval: 1m
"
    )
}
