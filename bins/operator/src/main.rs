//! The operator process: flags, wiring, exit codes.
//!
//! Exit codes: 0 after a shutdown that was asked for, 1 when it could not start or go on, 2 for wrong use.

mod flags;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::Parser;
use object_model::Secret;
use reconcile_runtime::{
    ApiClient, AwsCredentials, Clock, DomainSettings, EgressPolicy, GitOptions, GitWorker, HttpSender, LeaseOptions,
    MemoryRecord, Options, Record, RecordAccess, RemotePolicy, Runtime, ServerOptions, SqliteRecord, StandardRemotes,
    serve, serve_metrics, with_domains,
};
use tokio::net::TcpListener;

use crate::flags::{Flags, Listen, LogForm};

fn main() -> ExitCode {
    let flags = Flags::parse();
    let form = flags.log;
    start_log(&flags);
    // The first one wins; there is only one in this build.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let outcome = match runtime {
        Ok(runtime) => {
            let outcome = runtime.block_on(run(flags));
            runtime.shutdown_timeout(Duration::from_secs(5));
            outcome
        }
        Err(error) => Err(error).context("the async runtime could not start"),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(form, &error),
    }
}

/// Says once why the process ends, in the form that whoever reads its log expects.
fn failed(form: LogForm, error: &anyhow::Error) -> ExitCode {
    let words = words(error);
    match form {
        LogForm::Json => tracing::error!("{words}"),
        LogForm::Text => {
            // There is nobody left to tell when this fails.
            let _ = std::io::Write::write_all(&mut std::io::stderr(), format!("error: {words}\n").as_bytes());
        }
    }
    ExitCode::FAILURE
}

/// The error with its causes; many libraries repeat the cause in their own text, which is said once here.
fn words(error: &anyhow::Error) -> String {
    let mut words = String::new();
    for cause in error.chain().map(ToString::to_string).filter(|cause| !cause.is_empty()) {
        if words.is_empty() {
            words = cause;
        } else if !words.contains(&cause) {
            words = format!("{words}: {cause}");
        }
    }
    words
}

fn start_log(flags: &Flags) {
    // Parsed once before, with the flags.
    let filter = tracing_subscriber::EnvFilter::new(&flags.log_level);
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(false);
    match flags.log {
        LogForm::Json => builder.json().flatten_event(true).init(),
        LogForm::Text => builder.init(),
    }
}

async fn run(flags: Flags) -> anyhow::Result<()> {
    let client = client(&flags).await?;
    let clock = Clock::Wall;
    let (record, file): (Arc<dyn Record>, Option<Arc<SqliteRecord>>) = match flags.record.as_str() {
        "memory" => (Arc::new(MemoryRecord::default()), None),
        path => {
            let record = Arc::new(SqliteRecord::open(Path::new(path)).await?);
            (record.clone(), Some(record))
        }
    };
    let options = options(&flags)?;
    let sender = HttpSender::new(EgressPolicy { allow_loopback: flags.allow_loopback }, clock)?;
    let policy = RemotePolicy { allow_local: flags.allow_local_repositories, allow_loopback: flags.allow_loopback };
    let settings = DomainSettings {
        group: flags.group.clone(),
        instance_id: flags.instance_id.clone(),
        prometheus_address: flags.prometheus_address.clone(),
        aws: aws_credentials(&flags)?,
        operator_namespace: flags.namespace.clone(),
        only: flags.domains.clone(),
        ..DomainSettings::default()
    };
    let git_options = GitOptions {
        directory: flags.git_cache.clone(),
        committer: Some(settings.bot.clone()),
        ..GitOptions::default()
    };
    let api = ApiClient::new(client.clone(), options.request_timeout);
    let git = GitWorker::new(api, clock, Arc::new(StandardRemotes::new(policy)), git_options);
    let builder = Runtime::builder(client)
        .clock(clock)
        .record(record)
        .sender(Arc::new(sender))
        .git(Arc::new(git))
        .options(options);
    let runtime = with_domains(builder, &settings).build();
    let server = server(&flags, &runtime).await?;
    let metrics = extra_server(&flags, flags.metrics_port, &runtime).await?;
    let health = extra_server(&flags, flags.healthz_port, &runtime).await?;
    tracing::info!(version = env!("CARGO_PKG_VERSION"), group = %flags.group, "the operator begins");
    let stopped = async {
        tokio::select! {
            () = asked_to_stop() => Ok(()),
            ended = server => ended,
            ended = metrics => ended,
            ended = health => ended,
        }
    };
    let (ended, wait) = tokio::sync::oneshot::channel();
    let shutdown = async move {
        // Nobody waits any more when the runtime has ended by itself.
        let _ = ended.send(stopped.await);
    };
    runtime.run(shutdown).await;
    if let Some(record) = file {
        record.close().await;
    }
    tracing::info!("the operator has stopped");
    wait.await.unwrap_or(Ok(()))
}

async fn client(flags: &Flags) -> anyhow::Result<kube::Client> {
    let options = kube::config::KubeConfigOptions { context: flags.context.clone(), ..Default::default() };
    let mut config = match (&flags.kubeconfig, &flags.context) {
        (Some(path), _) => {
            let kubeconfig = kube::config::Kubeconfig::read_from(path)
                .with_context(|| format!("the kubeconfig `{}` could not be read", path.display()))?;
            kube::Config::from_custom_kubeconfig(kubeconfig, &options).await.context("the kubeconfig is not usable")?
        }
        (None, Some(_)) => kube::Config::from_kubeconfig(&options).await.context("the kubeconfig is not usable")?,
        (None, None) => kube::Config::infer().await.context("there is neither a service account nor a kubeconfig")?,
    };
    // Retries belong to the drive loop, which looks again before it writes again.
    config.default_retry = false;
    kube::Client::try_from(config).context("the client to the API server could not be made")
}

fn options(flags: &Flags) -> anyhow::Result<Options> {
    let leases = match (flags.no_leader_election, flags.identity.as_str()) {
        (true, _) => None,
        (false, "") => {
            let identity = format!("sluice-operator-{}", std::process::id());
            Some(LeaseOptions::new(&flags.namespace, &identity))
        }
        (false, identity) => Some(LeaseOptions::new(&flags.namespace, identity)),
    };
    let day = Duration::from_secs(24 * 3_600);
    let leases = leases.map(|leases| leases.with_argo_lease(&argo_lease(flags)));
    let namespace = flags.namespaced.then(|| flags.namespace.clone());
    Ok(Options { leases, namespace, record_retention: flags.record_days.map(|days| day * days), ..Options::default() })
}

/// Opens the server's port at once, so that a taken one ends the process, and returns its work.
async fn server(flags: &Flags, runtime: &Runtime) -> anyhow::Result<impl Future<Output = anyhow::Result<()>> + use<>> {
    let listener = match flags.listen {
        Listen::Nowhere => None,
        Listen::At(address) => {
            Some(TcpListener::bind(address).await.with_context(|| format!("{address} can't be listened on"))?)
        }
    };
    if let Some(listener) = &listener {
        tracing::info!(address = %listener.local_addr()?, "listening");
    }
    let webhook_secret = flags.webhook_secret_file.as_deref().map(read_secret).transpose()?;
    let record_access = match flags.record_token_file.as_deref() {
        Some(path) => RecordAccess::Token(read_secret(path)?),
        None => RecordAccess::Reviewed,
    };
    let handle = runtime.handle();
    Ok(async move {
        match listener {
            None => std::future::pending().await,
            Some(listener) => {
                let options = ServerOptions { webhook_secret, record_access };
                serve(listener, handle, options).await.context("the server ended")
            }
        }
    })
}

/// The Lease of Argo's controller: since 1.10 it carries the instance id.
fn argo_lease(flags: &Flags) -> String {
    const NAME: &str = "argo-rollouts-controller-lock";
    match (&flags.rollout_lease, flags.instance_id.as_str()) {
        (Some(lease), _) => lease.clone(),
        (None, "") => NAME.to_owned(),
        (None, instance) => format!("{NAME}-{instance}"),
    }
}

/// A server for metrics and health alone, on a port that is taken at once.
async fn extra_server(
    flags: &Flags,
    port: u16,
    runtime: &Runtime,
) -> anyhow::Result<impl Future<Output = anyhow::Result<()>> + use<>> {
    let host = match flags.listen {
        Listen::At(address) => address.ip(),
        Listen::Nowhere => IpAddr::V4(Ipv4Addr::LOCALHOST),
    };
    let address = SocketAddr::new(host, port);
    let listener = match port {
        0 => None,
        _ => Some(TcpListener::bind(address).await.with_context(|| format!("{address} can't be listened on"))?),
    };
    let handle = runtime.handle();
    Ok(async move {
        match listener {
            None => std::future::pending().await,
            Some(listener) => serve_metrics(listener, handle).await.context("the server of metrics ended"),
        }
    })
}

/// The identity for AWS by flags and AWS's own variables; both halves of the key, or none.
fn aws_credentials(flags: &Flags) -> anyhow::Result<Option<AwsCredentials>> {
    let variable = |name: &str| std::env::var(name).ok().filter(|text| !text.is_empty());
    let Some(access_key_id) = flags.aws_access_key_id.clone().filter(|id| !id.is_empty()) else { return Ok(None) };
    let secret = match &flags.aws_secret_access_key_file {
        Some(path) => Some(read_secret(path)?),
        None => variable("AWS_SECRET_ACCESS_KEY").map(Secret::new),
    };
    let secret_access_key = secret.context(
        "there is an AWS access key id without its secret: set AWS_SECRET_ACCESS_KEY or --aws-secret-access-key-file",
    )?;
    Ok(Some(AwsCredentials {
        access_key_id,
        secret_access_key,
        session_token: variable("AWS_SESSION_TOKEN").map(Secret::new),
        region: flags.aws_region.clone().or_else(|| variable("AWS_DEFAULT_REGION")),
    }))
}

fn read_secret(path: &Path) -> anyhow::Result<Secret<String>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("`{}` could not be read", path.display()))?;
    let text = text.trim_end_matches(['\r', '\n']).to_owned();
    anyhow::ensure!(!text.is_empty(), "`{}` is empty", path.display());
    Ok(Secret::new(text))
}

async fn asked_to_stop() {
    let interrupted = tokio::signal::ctrl_c();
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminated) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = interrupted => {}
                _ = terminated.recv() => {}
            }
            return;
        }
    }
    // Without signals only the end of the process stops it.
    if interrupted.await.is_err() {
        std::future::pending::<()>().await;
    }
}
