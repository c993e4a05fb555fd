//! What happened to the requests, for invariants: nothing here is sampled or rounded.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use object_model::Timestamp;

/// Losses that are kept with their time; the counts go on.
pub(crate) const LOSSES_MAX: usize = 100;

/// Where requests went and what came back.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Outcome {
    /// Full name of the destination Service, such as `frontend-canary.qa.svc.cluster.local`.
    pub service: String,
    /// Version that answered; `unknown` when no pod did.
    pub version: String,
    /// HTTP status.
    pub code: u16,
}

/// Why a request reached no pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LossReason {
    /// The Service (or the subset) does not exist.
    NoService,
    /// The Service has no ready endpoint.
    NoEndpoint,
    /// Every endpoint that was tried names a pod that is gone.
    PodGone,
    /// A VirtualService owns the host, but no route of it takes the request.
    NoRoute,
}

impl fmt::Display for LossReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoService => "no such service",
            Self::NoEndpoint => "no ready endpoint",
            Self::PodGone => "the pod is gone",
            Self::NoRoute => "no route takes it",
        })
    }
}

/// One lost request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loss {
    /// When it was sent.
    pub at: Timestamp,
    /// Full name of the destination.
    pub service: String,
    /// Why.
    pub reason: LossReason,
}

/// Totals since the start (or since [`crate::Traffic::reset_report`]).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Requests sent by clients; copies to mirrors are not among them.
    pub sent: u64,
    /// Requests by Service, version and status.
    pub outcomes: BTreeMap<Outcome, u64>,
    /// Copies to mirrors by Service, version and status.
    pub mirrored: BTreeMap<Outcome, u64>,
    /// Requests to a Service or subset that does not exist.
    pub failed_no_service: u64,
    /// Requests to a Service without ready endpoints.
    pub failed_no_endpoint: u64,
    /// Requests for which all tried endpoints named pods that are gone.
    pub failed_pod_gone: u64,
    /// Requests that no route of a VirtualService takes.
    pub failed_no_route: u64,
    /// The first lost requests, at most a hundred.
    pub losses: Vec<Loss>,
    /// Time for which nothing was sent because one advance was longer than the limit.
    pub skipped: Duration,
}

impl Report {
    /// Requests that no pod answered.
    pub fn lost(&self) -> u64 {
        self.failed_no_service + self.failed_no_endpoint + self.failed_pod_gone + self.failed_no_route
    }

    /// Requests that a version answered, over all Services and codes.
    pub fn answered_by(&self, version: &str) -> u64 {
        self.outcomes.iter().filter(|(outcome, _)| outcome.version == version).map(|(_, count)| count).sum()
    }

    pub(crate) fn lose(&mut self, loss: Loss) {
        match loss.reason {
            LossReason::NoService => self.failed_no_service += 1,
            LossReason::NoEndpoint => self.failed_no_endpoint += 1,
            LossReason::PodGone => self.failed_pod_gone += 1,
            LossReason::NoRoute => self.failed_no_route += 1,
        }
        if self.losses.len() < LOSSES_MAX {
            self.losses.push(loss);
        }
    }
}

/// One line an outcome, then what was lost.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "sent {}", self.sent)?;
        for (outcome, count) in &self.outcomes {
            writeln!(f, "{} {} {}: {count}", outcome.service, outcome.version, outcome.code)?;
        }
        for (outcome, count) in &self.mirrored {
            writeln!(f, "mirror {} {} {}: {count}", outcome.service, outcome.version, outcome.code)?;
        }
        writeln!(f, "lost {}", self.lost())
    }
}
