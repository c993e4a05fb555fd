//! A whole world: a cluster, a Git repository, traffic with its metrics, and the operator on them.
//!
//! The same [`Setting`] is the demonstration (embedded cluster, wall clock, repository on disk, Prometheus over HTTP), the
//! crash test (embedded cluster, virtual time, everything in memory, so that a fork costs nothing) and the check on a real
//! cluster (its objects are read for the traffic).

mod adopt;
mod around;
mod fleet;
mod install;
mod metrics;
mod moment;
mod operator;
mod overheard;
mod people;
mod probe;
mod push_hook;
mod trap;
mod wishes;

pub use adopt::{Adoption, ChartPlace, adopt, adoption, objects_of, read_release};
pub use around::Around;
pub use fleet::{BRANCH, Change, Fleet, FleetError};
pub use install::{definitions, install, roles};
pub use metrics::MetricsState;
pub use moment::Moment;
pub use operator::OperatorOptions;
pub use overheard::{Asked, Overheard, OverheardService};
pub use people::{
    PeopleError, apply, apply_as, apply_documents, delete, delete_all, get, is_namespaced, list, merge,
    parse_documents, wait_for, wait_until_served,
};
pub use push_hook::{AnnounceError, PushHook};
pub use trap::{Effect, Trap};
pub use wishes::{Wish, promote};

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use object_model::{Object, ObjectId, Timestamp};
use reconcile_runtime::{Clock, MemoryRecord, Record};
use sim_cluster::{Cluster, Handle};
use sim_traffic::Traffic;
use tower::Layer as _;

/// Kinds through which requests travel.
const TRAFFIC_KINDS: [(&str, &str); 5] = [
    ("v1", "Service"),
    ("v1", "Pod"),
    ("discovery.k8s.io/v1", "EndpointSlice"),
    ("networking.istio.io/v1alpha3", "VirtualService"),
    ("networking.istio.io/v1alpha3", "DestinationRule"),
];

/// Those of them that direct requests; the pods only come and go below.
const ROUTING_KINDS: [(&str, &str); 4] = [
    ("v1", "Service"),
    ("discovery.k8s.io/v1", "EndpointSlice"),
    ("networking.istio.io/v1alpha3", "VirtualService"),
    ("networking.istio.io/v1alpha3", "DestinationRule"),
];
/// How often a state is read until it holds still.
const READS_MAX: usize = 3;

/// Hears of a Git push or a record write, as `push before`, `push after`, `record before`, `record after`.
pub type Probe = Arc<dyn Fn(&'static str) + Send + Sync>;

/// Where the cluster is.
#[derive(Clone)]
pub enum Ground {
    /// In this process.
    Embedded(Handle),
    /// Anywhere else.
    Real,
}

/// A world to play in.
#[derive(Clone)]
pub struct Setting {
    /// The cluster.
    pub ground: Ground,
    /// A client with all rights, for people.
    pub people: kube::Client,
    /// A client for the operator.
    pub operator: kube::Client,
    /// The repository.
    pub fleet: Fleet,
    /// Requests and their counters.
    pub traffic: Arc<Mutex<Traffic>>,
    /// The record.
    pub record: Arc<dyn Record>,
    /// The clock of everybody.
    pub clock: Clock,
    /// Address of the Prometheus API over the counters, when it is served.
    pub prometheus: Option<String>,
    /// Is told right before and right after each effect of the operator that is no request to the cluster.
    pub probe: Option<Probe>,
    /// What the operator asks of the cluster, as far as its client was made with this ear.
    pub overheard: Overheard,
    /// How the provider of metrics answers.
    pub metrics: Arc<Mutex<MetricsState>>,
    /// How pushes are announced over HTTP; in process without.
    pub push_hook: Option<PushHook>,
    /// What stands around the operator's ways to repositories and metric providers.
    pub around: Option<Arc<dyn Around>>,
    memory: Option<MemoryRecord>,
    operators: Arc<Mutex<Vec<reconcile_runtime::Handle>>>,
}

impl Setting {
    /// A world in memory and virtual time, beginning at `cluster`'s own present. The tokio clock should be paused.
    pub fn in_memory(mut cluster: Cluster, fleet: Fleet, traffic: Traffic, record: MemoryRecord) -> Self {
        let epoch = cluster.now();
        cluster.set_rbac(true);
        let handle = Handle::new(cluster, sim_cluster::Clock::tokio_from(epoch));
        let overheard = Overheard::default();
        let clients = (embedded_client(&handle), operator_client(&handle, &overheard));
        Self {
            ground: Ground::Embedded(handle),
            people: clients.0,
            operator: clients.1,
            fleet,
            traffic: Arc::new(Mutex::new(traffic)),
            record: Arc::new(record.clone()),
            clock: Clock::starting_at(epoch),
            prometheus: None,
            probe: None,
            overheard,
            metrics: Arc::default(),
            push_hook: None,
            around: None,
            memory: Some(record),
            operators: Arc::default(),
        }
    }

    /// A world on the wall clock with its repository in a folder; the record is given.
    ///
    /// # Errors
    /// When the repository can't be made.
    pub fn on_wall_clock(
        mut cluster: Cluster,
        folder: &Path,
        seed: u64,
        record: Arc<dyn Record>,
    ) -> Result<Self, FleetError> {
        cluster.set_rbac(true);
        let handle = Handle::new(cluster, sim_cluster::Clock::Read(Arc::new(|| Clock::Wall.now())));
        let overheard = Overheard::default();
        let clients = (embedded_client(&handle), operator_client(&handle, &overheard));
        Ok(Self {
            ground: Ground::Embedded(handle),
            people: clients.0,
            operator: clients.1,
            fleet: Fleet::on_disk(folder)?,
            traffic: Arc::new(Mutex::new(Traffic::new(seed))),
            record,
            clock: Clock::Wall,
            prometheus: None,
            probe: None,
            overheard,
            metrics: Arc::default(),
            push_hook: None,
            around: None,
            memory: None,
            operators: Arc::default(),
        })
    }

    /// A world on a cluster that is there already, with a client for people and one for the operator, to which
    /// `overheard` listens.
    pub fn on_cluster(
        people: kube::Client,
        operator: kube::Client,
        overheard: Overheard,
        fleet: Fleet,
        seed: u64,
        record: Arc<dyn Record>,
    ) -> Self {
        Self {
            ground: Ground::Real,
            people,
            operator,
            fleet,
            traffic: Arc::new(Mutex::new(Traffic::new(seed))),
            record,
            clock: Clock::Wall,
            prometheus: None,
            probe: None,
            overheard,
            metrics: Arc::default(),
            push_hook: None,
            around: None,
            memory: None,
            operators: Arc::default(),
        }
    }

    /// The embedded cluster, when that is the ground.
    pub fn handle(&self) -> Option<&Handle> {
        match &self.ground {
            Ground::Embedded(handle) => Some(handle),
            Ground::Real => None,
        }
    }

    /// The record in memory, when that is where it is.
    pub fn memory_record(&self) -> Option<&MemoryRecord> {
        self.memory.as_ref()
    }

    /// Does something with the traffic.
    pub fn with_traffic<T>(&self, act: impl FnOnce(&mut Traffic) -> T) -> T {
        act(&mut self.traffic.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Lets the world turn until dropped: the cluster's controllers, and a second of traffic each half second.
    pub async fn turn(&self) {
        let traffic = self.send_requests();
        match &self.ground {
            Ground::Embedded(handle) => {
                tokio::join!(handle.drive(), traffic);
            }
            Ground::Real => traffic.await,
        }
    }

    async fn send_requests(&self) {
        let mut from = self.clock.now();
        let mut seen = None;
        loop {
            tokio::time::sleep(Duration::from_millis(500)).await;
            let to = self.clock.now();
            // What has not changed since the last look need not be read again.
            let revision = self.handle().map(|handle| handle.with(|cluster| cluster.revision()));
            let objects = match revision.is_some() && revision == seen {
                true => None,
                false => self.traffic_objects().await,
            };
            seen = revision;
            self.with_traffic(|traffic| {
                if let Some(objects) = &objects {
                    traffic.replace(objects);
                }
                traffic.advance(from, to);
            });
            from = to;
        }
    }

    /// The objects through which requests travel; nothing when the cluster did not answer this time.
    async fn traffic_objects(&self) -> Option<Vec<Object>> {
        match &self.ground {
            Ground::Embedded(handle) => Some(handle.with(|cluster| embedded_objects(cluster))),
            Ground::Real => real_objects(&self.people).await,
        }
    }

    /// Tells the operator over HTTP that the repository has news, when a forge with a webhook plays along.
    ///
    /// # Errors
    /// When the operator can't be reached or turns the request away.
    pub async fn call_push_hook(&self) -> Result<(), AnnounceError> {
        match &self.push_hook {
            Some(hook) => hook.announce(&self.fleet.url()).await,
            None => Ok(()),
        }
    }

    /// Tells the operator in process that the repository has news, where no forge calls its webhook.
    pub fn announce_push(&self) {
        if self.push_hook.is_some() {
            return;
        }
        let url = self.fleet.url();
        for operator in self.operators.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            operator.refresh(|watched| git_source::same_repository(watched, &url));
        }
    }

    /// The present moment.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

fn embedded_objects(cluster: &Cluster) -> Vec<Object> {
    let mut objects = Vec::new();
    for (api_version, kind) in TRAFFIC_KINDS {
        let Some(resource) = cluster.resource_of_kind(api_version, kind) else { continue };
        let storage = resource.storage.clone();
        objects.extend(cluster.list(&storage, None).filter_map(|stored| Object::from_json(stored.json().clone()).ok()));
    }
    objects
}

/// Reads the objects one kind after the other, and again when what directs the requests changed meanwhile: a weight of
/// before beside pods of after is a state that no request ever meets.
async fn real_objects(people: &kube::Client) -> Option<Vec<Object>> {
    for _ in 0..READS_MAX {
        let before = routing_versions(people).await?;
        let mut objects = Vec::new();
        for (api_version, kind) in TRAFFIC_KINDS {
            objects.extend(kind_or_none(people, api_version, kind).await?);
        }
        if routing_versions(people).await? == before {
            return Some(objects);
        }
    }
    None
}

/// The version of every object that directs requests.
async fn routing_versions(people: &kube::Client) -> Option<BTreeSet<(ObjectId, Option<String>)>> {
    let mut versions = BTreeSet::new();
    for (api_version, kind) in ROUTING_KINDS {
        let objects = kind_or_none(people, api_version, kind).await?;
        versions.extend(objects.iter().map(|object| (object.id(), object.resource_version().map(str::to_owned))));
    }
    Some(versions)
}

/// The objects of a kind; none of a kind that is not installed, which carries no traffic.
async fn kind_or_none(people: &kube::Client, api_version: &str, kind: &str) -> Option<Vec<Object>> {
    match people::list(people, api_version, kind, "").await {
        Ok(objects) => Some(objects),
        Err(PeopleError::UnknownKind(_)) => Some(Vec::new()),
        Err(_) => None,
    }
}

fn embedded_client(handle: &Handle) -> kube::Client {
    kube::Client::new(handle.service(), "default")
}

fn operator_client(handle: &Handle, overheard: &Overheard) -> kube::Client {
    kube::Client::new(overheard.layer(handle.service_as(operator::user())), "default")
}
