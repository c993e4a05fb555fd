//! Worlds in memory and virtual time, with the operator beside the story that is told in them.

use reconcile_runtime::Runtime;
use scenario::setting::{Fleet, Setting};
use sim_cluster::{Cluster, Settings, run_controllers};
use sim_traffic::Traffic;

/// A world in which nothing has happened yet.
pub(crate) fn world(seed: u64) -> Setting {
    let start = "2030-01-01T00:00:00Z".parse().unwrap();
    let mut cluster = Cluster::new(Settings { seed, start, ..Settings::default() });
    cluster.set_now(start);
    run_controllers(&mut cluster);
    Setting::in_memory(cluster, Fleet::in_memory(), Traffic::new(seed), reconcile_runtime::MemoryRecord::default())
}

/// Runs something in virtual time.
pub(crate) fn in_virtual_time<T>(run: impl AsyncFnOnce() -> T) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    runtime.block_on(run())
}

/// Tells a story while the world turns and the operator works.
pub(crate) async fn beside<T>(setting: &Setting, operator: Runtime, story: impl Future<Output = T>) -> T {
    tokio::select! {
        biased;
        told = story => told,
        () = setting.turn() => panic!("the world turns for ever"),
        () = operator.run(std::future::pending()) => panic!("the operator runs for ever"),
    }
}
