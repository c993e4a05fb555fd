//! A world in memory for one play, in virtual time: the same seed gives the same play.

use sim_cluster::{Cluster, Settings, run_controllers};
use sim_traffic::Traffic;

use super::{Outcome, Place, Scenario, play_beside_the_operator};
use crate::demo::Progress;
use crate::setting::{Fleet, Setting};

/// When the virtual clock begins.
const START: &str = "2030-01-01T00:00:00Z";

/// Plays on an embedded cluster with RBAC, in virtual time. `tell` hears each step with its moment.
///
/// # Errors
/// When the machine gives no runtime.
pub fn on_embedded(scenario: Scenario, seed: u64, tell: &mut dyn FnMut(Progress)) -> std::io::Result<Outcome> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?;
    Ok(runtime.block_on(async {
        let start = START.parse().unwrap_or_default();
        let mut cluster = Cluster::new(Settings { seed, start, ..Settings::default() });
        cluster.set_now(start);
        run_controllers(&mut cluster);
        let record = reconcile_runtime::MemoryRecord::default();
        let setting = Setting::in_memory(cluster, Fleet::in_memory(), Traffic::new(seed), record);
        play_beside_the_operator(scenario, Place::Embedded, &setting, tell).await
    }))
}
