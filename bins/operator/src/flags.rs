//! The flags of the operator.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Parser, ValueEnum};

/// Delivers what Git says to Kubernetes, step by step, and keeps Git true when a step fails.
#[derive(Debug, Parser)]
#[command(name = "sluice-operator", version)]
pub(crate) struct Flags {
    /// Kubeconfig file; without it the pod's own service account or the usual kubeconfig is used.
    #[arg(long, value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,
    /// Context of the kubeconfig.
    #[arg(long)]
    pub(crate) context: Option<String>,
    /// Namespace of the Leases and of the operator's own Secrets and ConfigMaps.
    #[arg(long, short = 'n', default_value = "sluice-system")]
    pub(crate) namespace: String,
    /// Look at this one namespace only; rights in the whole cluster are not needed then.
    #[arg(long)]
    pub(crate) namespaced: bool,
    /// Name of this replica in the Leases; unique among all replicas. In a pod it is the pod's name.
    #[arg(long, env = "HOSTNAME", default_value = "")]
    pub(crate) identity: String,
    /// Run without Leases: nobody else may run then.
    #[arg(long)]
    pub(crate) no_leader_election: bool,
    /// The Lease for Rollouts, Experiments and AnalysisRuns, as NAME or NAMESPACE/NAME. Without it the one of Argo's
    /// controller for the same instance id.
    #[arg(long, value_name = "LEASE")]
    pub(crate) rollout_lease: Option<String>,
    /// Port for metrics alone, beside the server's own; 0 for none. It is on the server's address, or on loopback.
    #[arg(long, alias = "metricsPort", alias = "metricsport", default_value_t = 8090, value_name = "PORT")]
    pub(crate) metrics_port: u16,
    /// Port for health alone, beside the server's own; 0 for none.
    #[arg(long, alias = "healthzPort", default_value_t = 0, value_name = "PORT")]
    pub(crate) healthz_port: u16,
    /// Address of the server for health, metrics, webhooks and the record; `none` for no server.
    #[arg(long, default_value = "127.0.0.1:8080", value_parser = parse_listen)]
    pub(crate) listen: Listen,
    /// Group under which GitOpsConfig is served.
    #[arg(long, default_value = "sluice.dev")]
    pub(crate) group: String,
    /// Domains to run, separated by commas; all without.
    #[arg(long, value_delimiter = ',', value_parser = ["environment", "sync", "rollout", "experiment", "analysis", "notification", "promotion"])]
    pub(crate) domains: Vec<String>,
    /// Reconcile only Rollouts, Experiments and AnalysisRuns with this `controller-instance-id` label.
    #[arg(long, default_value = "")]
    pub(crate) instance_id: String,
    /// Address of Prometheus where a metric names none.
    #[arg(long, value_name = "URL")]
    pub(crate) prometheus_address: Option<String>,
    /// Id of the access key with which CloudWatch and signed Prometheus servers are asked. Its secret comes in
    /// AWS_SECRET_ACCESS_KEY or in a file, a session token in AWS_SESSION_TOKEN.
    #[arg(long, env = "AWS_ACCESS_KEY_ID", hide_env_values = true, value_name = "ID")]
    pub(crate) aws_access_key_id: Option<String>,
    /// File with the access key's secret.
    #[arg(long, value_name = "FILE")]
    pub(crate) aws_secret_access_key_file: Option<PathBuf>,
    /// AWS region where a metric names none; without it AWS_DEFAULT_REGION.
    #[arg(long, env = "AWS_REGION", hide_env_values = true, value_name = "REGION")]
    pub(crate) aws_region: Option<String>,
    /// Where the record goes: a file, or `memory`.
    #[arg(long, default_value = "memory", value_name = "PATH")]
    pub(crate) record: String,
    /// How many days the record is kept; for ever without.
    #[arg(long, value_name = "DAYS")]
    pub(crate) record_days: Option<u32>,
    /// File with a token that may read the record; without it readers are reviewed by the API server.
    #[arg(long, value_name = "FILE")]
    pub(crate) record_token_file: Option<PathBuf>,
    /// File with the secret that signs webhooks; without it webhooks are off.
    #[arg(long, value_name = "FILE")]
    pub(crate) webhook_secret_file: Option<PathBuf>,
    /// Directory for fetched repositories; in memory without.
    #[arg(long, value_name = "DIRECTORY")]
    pub(crate) git_cache: Option<PathBuf>,
    /// Allow requests to loopback addresses; for demonstrations.
    #[arg(long)]
    pub(crate) allow_loopback: bool,
    /// Allow repositories in directories of this machine; for demonstrations.
    #[arg(long)]
    pub(crate) allow_local_repositories: bool,
    /// Form of the log.
    #[arg(long, value_enum, default_value_t = LogForm::Text)]
    pub(crate) log: LogForm,
    /// What is logged, as `LEVEL` or `TARGET=LEVEL,...`.
    #[arg(long, default_value = "info", value_parser = parse_log_level)]
    pub(crate) log_level: String,
}

/// Form of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogForm {
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}

/// Where the server listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Listen {
    /// Nowhere.
    Nowhere,
    /// Here.
    At(SocketAddr),
}

fn parse_listen(text: &str) -> Result<Listen, String> {
    match text {
        "none" => Ok(Listen::Nowhere),
        address => match address.parse() {
            Ok(address) => Ok(Listen::At(address)),
            Err(_) => Err("expected an address such as `127.0.0.1:8080`, or `none`".to_owned()),
        },
    }
}

fn parse_log_level(text: &str) -> Result<String, String> {
    match tracing_subscriber::EnvFilter::try_new(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(format!("expected `info` or `TARGET=LEVEL,...`: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_flags_hold_together() {
        Flags::command().debug_assert();
        let flags =
            Flags::try_parse_from(["sluice-operator", "--domains", "sync,rollout", "--listen", "none"]).unwrap();
        assert_eq!((flags.domains.len(), flags.listen), (2, Listen::Nowhere));
        assert_eq!((flags.metrics_port, flags.healthz_port), (8090, 0));
    }

    #[test]
    fn the_ports_are_called_as_argo_calls_them_too() {
        for flag in ["--metrics-port", "--metricsPort", "--metricsport"] {
            assert_eq!(Flags::try_parse_from(["sluice-operator", flag, "9000"]).unwrap().metrics_port, 9000, "{flag}");
        }
        assert_eq!(Flags::try_parse_from(["sluice-operator", "--healthzPort", "9001"]).unwrap().healthz_port, 9001);
    }

    #[test]
    fn a_wrong_value_says_what_would_be_right() {
        let error = Flags::try_parse_from(["sluice-operator", "--listen", "here"]).unwrap_err().to_string();
        assert!(error.contains("expected an address such as `127.0.0.1:8080`, or `none`"), "{error}");
        assert!(Flags::try_parse_from(["sluice-operator", "--domains", "sink"]).is_err());
    }
}
