//! The state of the traffic: clients, what they know of the cluster, and the counters.

use std::collections::BTreeMap;
use std::time::Duration;

use object_model::{Object, ObjectId, Timestamp};

use crate::load::{Behaviour, Load};
use crate::mesh::Mesh;
use crate::report::{Loss, LossReason, Outcome, Report};
use crate::route::{Backend, Route, ServiceName, Target, resolve};
use crate::sequence::{Rate, Spread, Weighted, phase, unit_phase};
use crate::store::{Labels, Sample, Store};

/// How long samples are kept.
const WINDOW_MS: i64 = 15 * 60 * 1000;
/// Time between samples.
const SCRAPE_INTERVAL_MS: i64 = 1000;
/// The longest stretch that one advance plays; of a longer one only the end is played.
const ADVANCE_MAX_MS: i64 = 60 * 60 * 1000;
/// The most requests that one advance sends, over all clients.
const REQUESTS_MAX: u64 = 20_000_000;
/// Endpoints that are tried for one request: Istio retries a failed connection twice.
const TRIES_MAX: usize = 3;

/// Clients that send requests through a cluster's traffic objects, and the counters that result.
///
/// Give it the objects ([`observe`](Self::observe), [`forget`](Self::forget)), then let time pass
/// ([`advance`](Self::advance)): requests in the interval meet the objects as they are then. Same seed, objects and
/// times give the same counters. A clone goes its own way and shares what it did not change.
#[derive(Debug, Clone)]
pub struct Traffic {
    seed: u64,
    mesh: Mesh,
    behaviours: BTreeMap<String, Behaviour>,
    clients: BTreeMap<String, Client>,
    versions: BTreeMap<String, Version>,
    played_until: Option<Timestamp>,
    store: Store,
    /// Requests since the report was reset, by place in the store.
    answers: BTreeMap<usize, u64>,
    /// Copies to mirrors, likewise.
    copies: BTreeMap<usize, u64>,
    /// Losses; the totals by outcome are filled in when it is asked for.
    report: Report,
}

#[derive(Debug, Clone)]
struct Client {
    load: Load,
    /// When it began, and the number of its next request since then.
    began_ms: Option<i64>,
    due: u64,
    /// Where between two ticks of its rate its requests fall.
    phase: f64,
    seed: u64,
    shares: Weighted,
    mirrors: BTreeMap<String, Rate>,
    turns: BTreeMap<String, usize>,
}

#[derive(Debug, Clone, Copy)]
struct Version {
    errors: Rate,
    spread: Spread,
}

impl Traffic {
    /// Returns traffic without clients. The seed chooses which requests are hit by a weight or an error rate.
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            mesh: Mesh::default(),
            behaviours: BTreeMap::new(),
            clients: BTreeMap::new(),
            versions: BTreeMap::new(),
            played_until: None,
            store: Store::default(),
            answers: BTreeMap::new(),
            copies: BTreeMap::new(),
            report: Report::default(),
        }
    }

    /// Takes a Service, EndpointSlice, Pod, VirtualService or DestinationRule in its new state; others are ignored.
    pub fn observe(&mut self, object: &Object) {
        self.mesh.observe(object);
    }

    /// Forgets a deleted object.
    pub fn forget(&mut self, id: &ObjectId) {
        self.mesh.forget(id);
    }

    /// Takes these objects in place of all that were known.
    pub fn replace<'a>(&mut self, objects: impl IntoIterator<Item = &'a Object>) {
        self.mesh = Mesh::default();
        for object in objects {
            self.mesh.observe(object);
        }
    }

    /// Adds a client, or changes it; a changed one begins anew at the next advance.
    pub fn set_load(&mut self, client: &str, load: Load) {
        if self.clients.get(client).is_some_and(|known| known.load == load) {
            return;
        }
        let fresh = Client {
            load,
            began_ms: None,
            due: 0,
            phase: unit_phase(self.seed, client),
            seed: phase(self.seed, client),
            shares: Weighted::default(),
            mirrors: BTreeMap::new(),
            turns: BTreeMap::new(),
        };
        self.clients.insert(client.to_owned(), fresh);
    }

    /// Removes a client.
    pub fn remove_load(&mut self, client: &str) {
        self.clients.remove(client);
    }

    /// The clients by name.
    pub fn loads(&self) -> impl Iterator<Item = (&str, &Load)> {
        self.clients.iter().map(|(name, client)| (name.as_str(), &client.load))
    }

    /// Says how pods of an image answer: the whole reference, or the last part with its tag (`frontend:v3`).
    pub fn set_behaviour(&mut self, image: &str, behaviour: Behaviour) {
        self.behaviours.insert(image.to_owned(), behaviour);
    }

    /// Records a sample of any other metric, so that queries see it. A sample that is not newer than the last one of
    /// its series is refused, and so is a series beyond the ten-thousandth; the answer says whether it was taken.
    pub fn record(&mut self, metric: &str, labels: &[(&str, &str)], at: Timestamp, value: f64) -> bool {
        let mut all: Labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        all.insert("__name__".to_owned(), metric.to_owned());
        self.store.record(all, Sample { at_ms: at.as_millisecond(), value }, WINDOW_MS)
    }

    /// What happened so far.
    pub fn report(&self) -> Report {
        let mut report = self.report.clone();
        for (tally, totals) in [(&self.answers, &mut report.outcomes), (&self.copies, &mut report.mirrored)] {
            for (place, count) in tally {
                let Some(key) = self.store.key(*place) else { continue };
                let (service, version) = (key.service_host.clone(), key.version.clone());
                *totals.entry(Outcome { service, version, code: key.code }).or_insert(0) += count;
            }
        }
        report
    }

    /// Sets the report's totals back to zero; counters and clients go on.
    pub fn reset_report(&mut self) {
        self.report = Report::default();
        self.answers.clear();
        self.copies.clear();
    }

    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    /// Sends the requests that are due from `from` up to, not including, `to`, and takes a sample at every whole
    /// second after `from` up to `to`. Time that was played before is not played again; of more than an hour only the
    /// last hour is played ([`Report::skipped`] tells).
    pub fn advance(&mut self, from: Timestamp, to: Timestamp) {
        let mut start_ms = from.as_millisecond().max(self.played_until.map_or(i64::MIN, Timestamp::as_millisecond));
        let end_ms = to.as_millisecond();
        if end_ms <= start_ms {
            return;
        }
        let skipped_ms = (end_ms - start_ms - ADVANCE_MAX_MS).max(0);
        start_ms += skipped_ms;
        self.report.skipped += Duration::from_millis(skipped_ms.unsigned_abs());
        self.played_until = Some(to);
        let Self { mesh, behaviours, clients, store, .. } = self;
        let routes: Vec<(String, Route)> = clients
            .iter()
            .map(|(name, client)| (name.clone(), resolve(mesh, behaviours, store, &client.load)))
            .collect();
        let mut budget = REQUESTS_MAX;
        let mut at_ms = start_ms;
        while at_ms < end_ms {
            let scrape_ms = (at_ms.div_euclid(SCRAPE_INTERVAL_MS) + 1) * SCRAPE_INTERVAL_MS;
            let until_ms = scrape_ms.min(end_ms);
            for (name, route) in &routes {
                self.send(name, route, (at_ms, until_ms), &mut budget);
            }
            if until_ms == scrape_ms {
                self.store.scrape(scrape_ms, WINDOW_MS);
            }
            at_ms = until_ms;
        }
    }

    /// Sends one client's requests in a stretch of at most a second.
    fn send(&mut self, name: &str, route: &Route, span: (i64, i64), budget: &mut u64) {
        let Some(mut client) = self.clients.remove(name) else { return };
        while *budget > 0 {
            let Some(at) = client.next_due(span) else { break };
            *budget -= 1;
            self.report.sent += 1;
            self.request(&mut client, route, at);
        }
        self.clients.insert(name.to_owned(), client);
    }

    fn request(&mut self, client: &mut Client, route: &Route, at: Timestamp) {
        let (targets, mirrors) = match route {
            Route::Answer { host, status } => {
                return self.count_unanswered(&client.load, &ServiceName::outside(host), *status, "-");
            }
            Route::Unmatched { host } => {
                return self.lose(&client.load, &ServiceName::outside(host), LossReason::NoRoute, at);
            }
            Route::Split { targets, mirrors } => (targets, mirrors),
        };
        let weights = targets.iter().map(|target| (target.key.as_str(), target.weight));
        let chosen = client.shares.choose(client.seed, weights);
        match chosen.and_then(|index| targets.get(index)) {
            Some(target) => self.deliver(client, target, at, Kind::Request),
            None => {
                let service =
                    targets.first().map_or_else(|| ServiceName::outside(&client.load.host), |t| t.service.clone());
                self.lose(&client.load, &service, LossReason::NoRoute, at);
            }
        }
        for (mirror, share) in mirrors {
            let seed = client.seed;
            let rate = client.mirrors.entry(mirror.key.clone()).or_insert_with(|| Rate::new(seed, &mirror.key));
            if rate.happens(*share) {
                self.deliver(client, mirror, at, Kind::Copy);
            }
        }
    }

    /// Sends one request to a destination: its pods take turns, and one that is gone costs a retry.
    fn deliver(&mut self, client: &mut Client, target: &Target, at: Timestamp, kind: Kind) {
        let mut reason = if target.is_known { LossReason::NoEndpoint } else { LossReason::NoService };
        let turn = match client.turns.get_mut(&target.key) {
            Some(turn) => turn,
            None => client.turns.entry(target.key.clone()).or_insert(0),
        };
        for _ in 0..TRIES_MAX.min(target.backends.len()) {
            let index = *turn % target.backends.len();
            *turn = index + 1;
            match target.backends.get(index) {
                Some(backend) if !backend.is_gone => return self.answer(backend, kind),
                _ => reason = LossReason::PodGone,
            }
        }
        // Nobody waits for the answer to a copy, so a lost one is no loss.
        if kind == Kind::Request {
            self.lose(&client.load, &target.service, reason, at);
        }
    }

    fn answer(&mut self, backend: &Backend, kind: Kind) {
        let seed = self.seed;
        let version = match self.versions.get_mut(&backend.group) {
            Some(version) => version,
            None => self.versions.entry(backend.group.clone()).or_insert_with(|| Version {
                errors: Rate::new(seed, &backend.group),
                spread: Spread::new(seed, &backend.group),
            }),
        };
        let fails = version.errors.happens(backend.behaviour.error_rate);
        let duration_ms = backend.behaviour.latency.as_secs_f64() * 1000.0 * (0.8 + 0.4 * version.spread.next());
        let places = if fails { backend.failed } else { backend.succeeded };
        self.store.count(places.destination, duration_ms);
        match kind {
            Kind::Copy => *self.copies.entry(places.destination).or_insert(0) += 1,
            Kind::Request => {
                self.store.count(places.source, duration_ms);
                *self.answers.entry(places.source).or_insert(0) += 1;
            }
        }
    }

    fn lose(&mut self, load: &Load, service: &ServiceName, reason: LossReason, at: Timestamp) {
        let (code, flags) = match reason {
            LossReason::NoService => (503, "NC"),
            LossReason::NoEndpoint => (503, "UH"),
            LossReason::PodGone => (503, "UF,URX"),
            LossReason::NoRoute => (404, "NR"),
        };
        self.count_unanswered(load, service, code, flags);
        self.report.lose(Loss { at, service: service.host.clone(), reason });
    }

    fn count_unanswered(&mut self, load: &Load, service: &ServiceName, code: u16, flags: &'static str) {
        let place = self.store.stream(service.stream(load, ("unknown", "unknown"), code, flags));
        self.store.count(place, 0.0);
        *self.answers.entry(place).or_insert(0) += 1;
    }
}

/// Whether somebody waits for the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Request,
    Copy,
}

impl Client {
    /// The next request due in the stretch; none when the client has sent all that are due before its end.
    fn next_due(&mut self, (start_ms, end_ms): (i64, i64)) -> Option<Timestamp> {
        let rate = self.load.requests_per_second;
        if !(rate.is_finite() && rate > 0.0) {
            return None;
        }
        let began_ms = *self.began_ms.get_or_insert(start_ms);
        let due_ms = |number: u64| began_ms as f64 + (number as f64 + self.phase) * 1000.0 / rate;
        // After a gap in the played time, what was due in the gap is not sent late.
        if due_ms(self.due) < start_ms as f64 {
            let first = ((start_ms - began_ms) as f64 * rate / 1000.0 - self.phase).ceil().max(0.0);
            self.due = self.due.max(first as u64);
        }
        let at_ms = due_ms(self.due);
        if at_ms >= end_ms as f64 {
            return None;
        }
        self.due += 1;
        Timestamp::from_nanosecond((at_ms * 1_000_000.0) as i128).ok()
    }
}
