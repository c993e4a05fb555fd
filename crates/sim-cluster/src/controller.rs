//! Controllers that run inside the cluster, as kube-controller-manager's do, and the loop that runs them until quiet.

use object_model::Timestamp;

use crate::cluster::Cluster;

/// A controller inside the cluster. Its state is copied with the cluster.
///
/// It should be level-based: look at what changed since its last look ([`Cluster::changes_since`]), compare, write.
pub trait Controller: Send + Sync {
    /// The name, for example `replicaset-controller`; also the service account it writes as.
    fn name(&self) -> &str;

    /// Looks at the cluster and moves it one step; returns when it wants to look again if nothing changes.
    fn reconcile(&mut self, cluster: &mut Cluster, now: Timestamp) -> Option<Timestamp>;

    /// Copies the controller with its state.
    fn boxed_clone(&self) -> Box<dyn Controller>;
}

/// What a run of the controllers did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Step {
    /// How often all controllers were asked.
    pub rounds: usize,
    /// When to run again if nothing changes.
    pub next_due: Option<Timestamp>,
    /// Whether the bound on rounds stopped controllers that were still writing.
    pub is_unsettled: bool,
}

pub(crate) struct Registered {
    controller: Box<dyn Controller>,
    due: Option<Timestamp>,
    seen: u64,
}

impl Clone for Registered {
    fn clone(&self) -> Self {
        Self { controller: self.controller.boxed_clone(), due: self.due, seen: self.seen }
    }
}

const ROUNDS_MAX: usize = 256;

impl Cluster {
    /// Adds a controller; it first runs at the next [`Cluster::step`].
    pub fn add_controller(&mut self, controller: impl Controller + 'static) {
        self.controllers.push(Registered { controller: Box::new(controller), due: None, seen: 0 });
    }

    /// The names of the controllers, in the order they run.
    pub fn controller_names(&self) -> Vec<&str> {
        self.controllers.iter().map(|registered| registered.controller.name()).collect()
    }

    /// The earliest moment at which a controller wants to run again.
    pub fn next_due(&self) -> Option<Timestamp> {
        self.controllers.iter().filter_map(|registered| registered.due).min()
    }

    /// Whether a controller has unseen changes or is due.
    pub fn has_work(&self, now: Timestamp) -> bool {
        let revision = self.revision();
        self.controllers.iter().any(|registered| registered.seen < revision || registered.is_due(now))
    }

    /// Runs every controller that has unseen changes or is due, again and again until none writes.
    pub fn step(&mut self, now: Timestamp) -> Step {
        self.set_now(now);
        let mut rounds = 0;
        while rounds < ROUNDS_MAX && self.has_work(now) {
            rounds += 1;
            for index in 0..self.controllers.len() {
                self.run_controller(index, now);
            }
        }
        Step { rounds, next_due: self.next_due(), is_unsettled: rounds == ROUNDS_MAX && self.has_work(now) }
    }

    fn run_controller(&mut self, index: usize, now: Timestamp) {
        let revision = self.revision();
        let Some(registered) = self.controllers.get(index) else { return };
        if registered.seen >= revision && !registered.is_due(now) {
            return;
        }
        // The registered one stays in place, so that a world copied in the middle of a run has all its controllers.
        let mut running = registered.clone();
        let due = running.controller.reconcile(self, now);
        running.due = due.map(|due| if due <= now { now + std::time::Duration::from_millis(1) } else { due });
        running.seen = revision;
        if let Some(slot) = self.controllers.get_mut(index) {
            *slot = running;
        }
    }
}

impl Registered {
    fn is_due(&self, now: Timestamp) -> bool {
        self.due.is_some_and(|due| due <= now)
    }
}
