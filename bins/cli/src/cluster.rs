//! Reaching a cluster and naming things in it.

use anyhow::Context;
use kube::config::{KubeConfigOptions, Kubeconfig};

use crate::args::Reach;
use crate::output::Failure;

/// A client with the namespace that commands are about.
pub(crate) struct Cluster {
    pub(crate) client: kube::Client,
    pub(crate) namespace: String,
    /// Bearer token of the kubeconfig, for the operator.
    pub(crate) token: Option<String>,
}

/// Connects by the kubeconfig, or from inside a pod.
pub(crate) async fn connect(reach: &Reach) -> Result<Cluster, Failure> {
    let options = KubeConfigOptions { context: reach.context.clone(), ..KubeConfigOptions::default() };
    let config = match &reach.kubeconfig {
        Some(path) => {
            let file = Kubeconfig::read_from(path)
                .with_context(|| format!("failed to read kubeconfig `{}`", path.display()))?;
            kube::Config::from_custom_kubeconfig(file, &options).await.context("the kubeconfig can't be used")
        }
        None if reach.context.is_some() => {
            kube::Config::from_kubeconfig(&options).await.context("the kubeconfig can't be used")
        }
        None => kube::Config::infer().await.context("there is no kubeconfig and this is no pod"),
    };
    let config = config.map_err(|error| Failure::from(error).hint("name one with --kubeconfig, or set KUBECONFIG"))?;
    let namespace = reach.namespace.clone().unwrap_or_else(|| config.default_namespace.clone());
    let token = bearer(&config);
    let client = kube::Client::try_from(config).context("failed to make a client")?;
    Ok(Cluster { client, namespace, token })
}

fn bearer(config: &kube::Config) -> Option<String> {
    let token = config.auth_info.token.as_ref()?;
    Some(secrecy::ExposeSecret::expose_secret(token).to_owned())
}

/// A kind that commands know by its short names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) api_version: String,
    pub(crate) kind: &'static str,
    pub(crate) is_namespaced: bool,
}

/// Splits `KIND/NAME`; a bare word is a kind.
pub(crate) fn parse(reach: &Reach, text: &str) -> Result<(Named, Option<String>), Failure> {
    let (kind, name) = match text.split_once('/') {
        Some((kind, name)) => (kind, Some(name.to_owned())),
        None => (text, None),
    };
    Ok((named(reach, kind)?, name))
}

/// Splits `KIND/NAME` or takes a bare name of `default` kind.
pub(crate) fn parse_target(reach: &Reach, text: &str, default: &str) -> Result<(Named, String), Failure> {
    match text.split_once('/') {
        Some((kind, name)) if !name.is_empty() => Ok((named(reach, kind)?, name.to_owned())),
        Some(_) => {
            Err(Failure::usage(format!("`{text}` names no object")).hint("write KIND/NAME, such as rollout/frontend"))
        }
        None => Ok((named(reach, default)?, text.to_owned())),
    }
}

fn named(reach: &Reach, word: &str) -> Result<Named, Failure> {
    let goc = format!("{}/v1", reach.group);
    let (api_version, kind, is_namespaced) = match word.to_lowercase().as_str() {
        "config" | "configs" | "gitopsconfig" | "gitopsconfigs" | "goc" => (goc.as_str(), "GitOpsConfig", true),
        "rollout" | "rollouts" | "ro" => ("argoproj.io/v1alpha1", "Rollout", true),
        "experiment" | "experiments" | "exp" => ("argoproj.io/v1alpha1", "Experiment", true),
        "analysisrun" | "analysisruns" | "ar" => ("argoproj.io/v1alpha1", "AnalysisRun", true),
        "analysistemplate" | "analysistemplates" | "at" => ("argoproj.io/v1alpha1", "AnalysisTemplate", true),
        "environment" | "environments" | "env" => ("sluice.dev/v1alpha1", "Environment", false),
        "pipeline" | "pipelines" => ("sluice.dev/v1alpha1", "Pipeline", true),
        "promotion" | "promotions" | "promo" => ("sluice.dev/v1alpha1", "Promotion", true),
        "inventory" | "inventories" => ("sluice.dev/v1alpha1", "Inventory", true),
        "deployment" | "deployments" | "deploy" => ("apps/v1", "Deployment", true),
        "replicaset" | "replicasets" | "rs" => ("apps/v1", "ReplicaSet", true),
        "service" | "services" | "svc" => ("v1", "Service", true),
        "configmap" | "configmaps" | "cm" => ("v1", "ConfigMap", true),
        "secret" | "secrets" => ("v1", "Secret", true),
        "namespace" | "namespaces" | "ns" => ("v1", "Namespace", false),
        "virtualservice" | "virtualservices" | "vs" => ("networking.istio.io/v1alpha3", "VirtualService", true),
        _ => {
            return Err(Failure::usage(format!("`{word}` is not a kind that sluice knows"))
                .hint("config, rollout, experiment, analysisrun, environment, pipeline, promotion, inventory, deployment, service, configmap, virtualservice"));
        }
    };
    Ok(Named { api_version: api_version.to_owned(), kind, is_namespaced })
}

impl Named {
    /// The namespace to ask in: none for cluster-scoped kinds.
    pub(crate) fn namespace<'a>(&self, namespace: &'a str) -> &'a str {
        if self.is_namespaced { namespace } else { "" }
    }

    /// Group of the kind.
    pub(crate) fn group(&self) -> &str {
        self.api_version.split_once('/').map_or("", |(group, _)| group)
    }
}
