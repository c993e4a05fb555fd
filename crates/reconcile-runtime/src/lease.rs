//! Leader election: one Lease a domain, on the runtime's clock. Whoever can't renew in time stops acting before another
//! may begin.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use object_model::{Object, format_micro_time};
use reconcile_core::bugs::{self, Bug};
use reconcile_core::{Actor, Kind, ObjectRef};
use serde_json::json;
use tokio::time::Instant;

use crate::api::{ApiClient, ApiError, Detail};
use crate::shared::Shared;

/// How long a Lease holds without a renewal.
const LEASE: Duration = Duration::from_secs(15);
/// How long the holder trusts its last renewal.
const RENEW_DEADLINE: Duration = Duration::from_secs(10);
/// Pause between two tries to get the Lease, or to renew it after a failure.
const RETRY: Duration = Duration::from_secs(2);
/// How long the same failure is not told again.
const TELL_AGAIN: Duration = Duration::from_secs(60);
/// How long giving the Leases back may take: whoever ends the process does not wait for ever.
const RELEASE: Duration = Duration::from_secs(5);
/// Pause between two renewals: after a failed one there is time for another before the holder stops.
const RENEW: Duration = Duration::from_secs(4);

/// The domains that share the Lease of Argo's controller: it drives all three kinds.
const ARGO_DOMAINS: [&str; 3] = ["rollout", "analysis", "experiment"];

/// Where and as whom Leases are taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseOptions {
    /// Namespace of the Leases.
    pub namespace: String,
    /// This replica; unique among all.
    pub identity: String,
    /// Names that differ from `sluice-DOMAIN`, by domain; with `NAMESPACE/` before it when that differs too.
    pub names: BTreeMap<String, String>,
}

impl LeaseOptions {
    /// Leases in `namespace` under the usual names. What drives Argo's kinds uses Argo's own Lease, so that the two never
    /// drive the same objects.
    pub fn new(namespace: &str, identity: &str) -> Self {
        Self { namespace: namespace.to_owned(), identity: identity.to_owned(), names: BTreeMap::new() }
            .with_argo_lease("argo-rollouts-controller-lock")
    }

    /// Takes another Lease for Argo's kinds: `NAME`, or `NAMESPACE/NAME` where its controller runs.
    #[must_use]
    pub fn with_argo_lease(mut self, name: &str) -> Self {
        self.names.extend(ARGO_DOMAINS.map(|domain| (domain.to_owned(), name.to_owned())));
        self
    }

    fn target(&self, domain: &str) -> ObjectRef {
        let name = self.names.get(domain).cloned().unwrap_or_else(|| format!("sluice-{domain}"));
        let (namespace, name) = match name.split_once('/') {
            Some((namespace, name)) => (namespace.to_owned(), name.to_owned()),
            None => (self.namespace.clone(), name),
        };
        ObjectRef { kind: lease_kind(), namespace: Some(namespace), name }
    }

    /// The Leases with the places of the domains that each of them is for.
    pub(crate) fn targets(&self, domains: &[&'static str]) -> BTreeMap<ObjectRef, Vec<usize>> {
        let mut targets: BTreeMap<ObjectRef, Vec<usize>> = BTreeMap::new();
        for (place, domain) in domains.iter().enumerate() {
            targets.entry(self.target(domain)).or_default().push(place);
        }
        targets
    }
}

/// How long a domain is led without another renewal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Term {
    /// There is no election.
    ForEver,
    /// The last renewal is trusted until then.
    Until(Instant),
    /// Another replica may lead.
    Over,
}

/// Which domains this replica leads.
#[derive(Debug)]
pub(crate) struct Leadership {
    /// Until when each domain is led; `None` without election, when every domain is led for ever.
    until: Option<Mutex<BTreeMap<usize, Instant>>>,
}

impl Leadership {
    pub(crate) fn elected() -> Self {
        Self { until: Some(Mutex::default()) }
    }

    pub(crate) fn always() -> Self {
        Self { until: None }
    }

    pub(crate) fn is_held(&self, domain: usize) -> bool {
        self.term(domain) != Term::Over
    }

    pub(crate) fn term(&self, domain: usize) -> Term {
        let Some(until) = &self.until else { return Term::ForEver };
        let until = until.lock().unwrap_or_else(PoisonError::into_inner);
        match until.get(&domain) {
            Some(_) if bugs::on(Bug::LeaseForEver) => Term::ForEver,
            Some(until) if Instant::now() < *until => Term::Until(*until),
            _ => Term::Over,
        }
    }

    /// Waits for the answer of a write while this replica leads. A request that a broken network holds back is given up
    /// with the Lease: it must not arrive when another replica has begun. `None` when the term was or came over.
    pub(crate) async fn within<T>(&self, domain: usize, write: impl Future<Output = T>) -> Option<T> {
        let mut write = std::pin::pin!(write);
        loop {
            match self.term(domain) {
                Term::ForEver => return Some(write.await),
                Term::Over => return None,
                // Renewed meanwhile, the term goes on.
                Term::Until(end) => match tokio::time::timeout_at(end, &mut write).await {
                    Ok(answer) => return Some(answer),
                    Err(_) => continue,
                },
            }
        }
    }

    fn hold(&self, domains: &[usize], until: Option<Instant>) {
        let Some(all) = &self.until else { return };
        let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
        for domain in domains {
            match until {
                Some(until) => all.insert(*domain, until),
                None => all.remove(domain),
            };
        }
    }
}

fn lease_kind() -> Kind {
    Kind::namespaced("coordination.k8s.io", "v1", "Lease", "leases")
}

/// What was last seen of somebody else's Lease, and since when on this replica's own clock: the holder's clock may be
/// wrong.
#[derive(Debug, Default)]
struct Seen {
    state: Option<(String, String)>,
    since: Option<Instant>,
}

/// Takes and renews the Lease of some domains for ever.
pub(crate) async fn run(shared: Arc<Shared>, target: ObjectRef, domains: Vec<usize>, identity: String) {
    let mut seen = Seen::default();
    let mut held_until: Option<Instant> = None;
    let mut own: Option<Object> = None;
    let mut failures = Failures::default();
    loop {
        let begun = Instant::now();
        let mut pause = RETRY;
        let won = try_once(&shared, &target, &identity, &mut seen, &mut own).await;
        match won {
            Ok(true) => {
                failures = Failures::default();
                pause = RENEW;
                if held_until.is_none() {
                    tracing::info!(lease = %target, identity = %identity, "leading");
                }
                held_until = Some(begun + RENEW_DEADLINE);
                shared.leadership.hold(&domains, held_until);
                domains.iter().for_each(|domain| shared.queue.enable(*domain, true));
            }
            Ok(false) => lose(&shared, &domains, &target, &mut held_until),
            Err(error) => failures.tell(&target, &error),
        }
        if held_until.is_some_and(|until| Instant::now() + RETRY >= until) {
            lose(&shared, &domains, &target, &mut held_until);
        }
        tokio::time::sleep(pause).await;
    }
}

/// What was said of failures, so that the same one every two seconds is one line a minute.
#[derive(Debug, Default)]
struct Failures {
    told: Option<(ApiError, Instant)>,
}

impl Failures {
    fn tell(&mut self, lease: &ObjectRef, error: &ApiError) {
        let is_told = |(told, at): &(ApiError, Instant)| told == error && at.elapsed() < TELL_AGAIN;
        if self.told.as_ref().is_some_and(is_told) {
            return;
        }
        tracing::warn!(%lease, %error, "the Lease could not be taken or renewed");
        self.told = Some((error.clone(), Instant::now()));
    }
}

fn lose(shared: &Shared, domains: &[usize], target: &ObjectRef, held_until: &mut Option<Instant>) {
    if bugs::on(Bug::LeaseForEver) {
        return;
    }
    if held_until.take().is_some() {
        tracing::error!(lease = %target, "the Lease is lost, acting stops");
    }
    shared.leadership.hold(domains, None);
    domains.iter().for_each(|domain| shared.queue.enable(*domain, false));
}

/// Returns whether the Lease is ours now, and keeps it in `own` as we wrote it: the next renewal needs no look first, its
/// version says whether anybody else wrote meanwhile.
async fn try_once(
    shared: &Shared,
    target: &ObjectRef,
    identity: &str,
    seen: &mut Seen,
    own: &mut Option<Object>,
) -> Result<bool, ApiError> {
    let now = format_micro_time(shared.clock.now());
    if let Some(mut lease) = own.take() {
        lease.set_at(&["spec", "renewTime"], now.clone().into());
        match shared.api.replace(target, &lease).await {
            Ok(lease) => {
                *own = Some(lease);
                return Ok(true);
            }
            Err(ApiError::Conflict { .. } | ApiError::NotFound { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    let Some(mut lease) = shared.api.get(&Actor::Operator, target, Detail::Full).await? else {
        let namespace = target.namespace.as_deref();
        let mut lease = Object::new("coordination.k8s.io/v1", "Lease", namespace, &target.name);
        lease.set_at(
            &["spec"],
            json!({
                "holderIdentity": identity, "leaseDurationSeconds": LEASE.as_secs(), "acquireTime": now,
                "renewTime": now, "leaseTransitions": 0,
            }),
        );
        return match shared.api.create(&Actor::Operator, &target.kind, &lease).await {
            Ok(lease) => {
                *own = Some(lease);
                Ok(true)
            }
            Err(ApiError::AlreadyExists { .. }) => Ok(false),
            Err(error) => Err(error),
        };
    };
    let holder = lease.str_at("/spec/holderIdentity").unwrap_or_default().to_owned();
    if holder != identity && !holder.is_empty() {
        let renewed = lease.str_at("/spec/renewTime").unwrap_or_default().to_owned();
        let state = Some((holder, renewed));
        if seen.state != state {
            *seen = Seen { state, since: Some(Instant::now()) };
        }
        let seconds = lease.int_at("/spec/leaseDurationSeconds").and_then(|seconds| u64::try_from(seconds).ok());
        let holds = Duration::from_secs(seconds.unwrap_or(LEASE.as_secs()).clamp(1, 3_600));
        if seen.since.is_some_and(|since| since.elapsed() < holds) {
            return Ok(false);
        }
    }
    if lease.str_at("/spec/holderIdentity") != Some(identity) {
        let transitions = lease.int_at("/spec/leaseTransitions").unwrap_or(0);
        lease.set_at(&["spec", "leaseTransitions"], (transitions.saturating_add(1)).into());
        lease.set_at(&["spec", "acquireTime"], now.clone().into());
        lease.set_at(&["spec", "holderIdentity"], identity.into());
        lease.set_at(&["spec", "leaseDurationSeconds"], LEASE.as_secs().into());
    }
    lease.set_at(&["spec", "renewTime"], now.into());
    *own = Some(shared.api.replace(target, &lease).await?);
    Ok(true)
}

/// Gives the Leases back that `identity` holds, so that another replica can begin at once.
pub(crate) async fn release(api: &ApiClient, options: &LeaseOptions, domains: &[&'static str]) {
    let targets = options.targets(domains);
    let all = futures::future::join_all(targets.keys().map(|target| release_one(api, options, target)));
    if tokio::time::timeout(RELEASE, all).await.is_err() {
        tracing::warn!("the API server did not take the Leases back in time; they expire");
    }
}

async fn release_one(api: &ApiClient, options: &LeaseOptions, target: &ObjectRef) {
    let Ok(Some(mut lease)) = api.get(&Actor::Operator, target, Detail::Full).await else { return };
    if lease.str_at("/spec/holderIdentity") != Some(options.identity.as_str()) {
        return;
    }
    lease.set_at(&["spec", "holderIdentity"], "".into());
    lease.set_at(&["spec", "leaseDurationSeconds"], 1.into());
    if let Err(error) = api.replace(target, &lease).await {
        tracing::info!(lease = %target, %error, "the Lease was not given back");
    }
}
