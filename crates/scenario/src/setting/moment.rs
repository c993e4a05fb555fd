//! Worlds in memory at one moment: copied for nothing, begun anew as often as one likes.

use reconcile_runtime::MemoryRecord;
use sim_cluster::Cluster;
use sim_traffic::Traffic;

use super::{Fleet, Setting};

/// Everything that outlives an operator, at one moment. A copy shares what has not changed.
#[derive(Clone)]
pub struct Moment {
    /// The cluster.
    pub cluster: Cluster,
    /// The repository.
    pub fleet: Fleet,
    /// Visitors and their counters.
    pub traffic: Traffic,
    /// The record.
    pub record: MemoryRecord,
}

impl Moment {
    /// The present of a world; only one in memory has copies.
    pub fn of(setting: &Setting) -> Option<Self> {
        Self::with_cluster(setting, setting.handle()?.snapshot())
    }

    /// The present of a world, but with this cluster: for a hook, which holds it.
    pub fn with_cluster(setting: &Setting, cluster: Cluster) -> Option<Self> {
        Some(Self {
            cluster,
            fleet: setting.fleet.fork()?,
            traffic: setting.with_traffic(|traffic| traffic.clone()),
            record: setting.memory_record()?.fork(),
        })
    }

    /// A world that begins here; must be called inside the runtime whose clock it gets.
    pub fn begin(&self) -> Option<Setting> {
        let fleet = self.fleet.fork()?;
        Some(Setting::in_memory(self.cluster.clone(), fleet, self.traffic.clone(), self.record.fork()))
    }
}
