//! The operator of a setting: the runtime that sluice-operator runs, with this world around it.

use std::sync::{Arc, PoisonError};

use reconcile_runtime::{
    ApiClient, Blocking, DomainSettings, EgressPolicy, GitBackend, GitOptions, GitWorker, HttpSender, InProcess,
    MemoryRemotes, Options, Record, RemotePolicy, Runtime, Sender, StandardRemotes, with_domains,
};

use super::Setting;
use super::metrics::{self, Switched};
use super::probe::{ProbedGit, ProbedRecord};

/// What an operator is started with besides its world.
#[derive(Debug, Clone, Default)]
pub struct OperatorOptions {
    /// Group under which GitOpsConfig is served; `sluice.dev` when empty.
    pub group: String,
    /// Settings of the runtime.
    pub runtime: Options,
}

/// The operator's identity in an embedded cluster.
pub(super) fn user() -> sim_cluster::User {
    sim_cluster::User::new(&format!(
        "system:serviceaccount:{}:{}",
        api::install::NAMESPACE,
        api::install::SERVICE_ACCOUNT
    ))
}

/// Address under which metrics are asked in process; it names nothing on a network.
const IN_PROCESS: &str = "http://prometheus.in-process";

impl Setting {
    /// Builds the operator; nothing runs before [`Runtime::run`].
    pub fn operator_runtime(&self, options: &OperatorOptions) -> Runtime {
        let mut settings = DomainSettings::default();
        if !options.group.is_empty() {
            settings.group.clone_from(&options.group);
        }
        settings.prometheus_address = Some(self.prometheus.clone().unwrap_or_else(|| IN_PROCESS.to_owned()));
        let api = ApiClient::new(self.operator.clone(), options.runtime.request_timeout);
        let committer = Some(settings.bot.clone());
        let git = match self.fleet.in_process() {
            Some(remote) => {
                let remotes = MemoryRemotes::default();
                remotes.insert(&self.fleet.url(), remote.clone());
                let options = GitOptions { blocking: Blocking::Inline, committer, ..GitOptions::default() };
                GitWorker::new(api, self.clock, Arc::new(remotes), options)
            }
            None => {
                let remotes = StandardRemotes::new(RemotePolicy { allow_local: true, allow_loopback: true });
                GitWorker::new(api, self.clock, Arc::new(remotes), GitOptions { committer, ..GitOptions::default() })
            }
        };
        let (probe, trap) = (self.probe.clone(), self.overheard.trap.clone());
        let git: Arc<dyn GitBackend> = Arc::new(ProbedGit { inner: git, probe, trap });
        let builder = Runtime::builder(self.operator.clone())
            .clock(self.clock)
            .record(self.operator_record())
            .git(match &self.around {
                Some(around) => around.git(git),
                None => git,
            })
            .sender(match &self.around {
                Some(around) => around.sender(self.sender()),
                None => self.sender(),
            })
            .options(options.runtime.clone());
        let runtime = with_domains(builder, &settings).build();
        // An operator that is gone hears nothing; only the newest is kept.
        *self.operators.lock().unwrap_or_else(PoisonError::into_inner) = vec![runtime.handle()];
        runtime
    }

    fn operator_record(&self) -> Arc<dyn Record> {
        match &self.probe {
            Some(probe) => Arc::new(ProbedRecord { inner: self.record.clone(), probe: probe.clone() }),
            None => self.record.clone(),
        }
    }

    fn sender(&self) -> Arc<dyn Sender> {
        let inner: Arc<dyn Sender> = if self.prometheus.is_some()
            && let Ok(sender) = HttpSender::new(EgressPolicy { allow_loopback: true }, self.clock)
        {
            Arc::new(sender)
        } else {
            let (traffic, clock) = (self.traffic.clone(), self.clock);
            Arc::new(InProcess(move |query: &reconcile_core::HttpQuery| metrics::answer(&traffic, clock, query)))
        };
        Arc::new(Switched { inner, state: self.metrics.clone(), clock: self.clock })
    }
}
