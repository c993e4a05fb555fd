//! Worlds in memory, copies of them, and virtual time.

use std::time::Duration;

use reconcile_runtime::{MemoryRecord, Runtime};
use scenario::setting::{Fleet, OperatorOptions, Setting};
use sim_cluster::{Cluster, Settings, run_controllers};
use sim_traffic::Traffic;

/// A fresh cluster with its controllers, an empty repository, no traffic.
pub(crate) fn world(seed: u64) -> Setting {
    let start = "2030-01-01T00:00:00Z".parse().unwrap();
    let mut cluster = Cluster::new(Settings { seed, start, ..Settings::default() });
    cluster.set_now(start);
    run_controllers(&mut cluster);
    Setting::in_memory(cluster, Fleet::in_memory(), Traffic::new(seed), MemoryRecord::default())
}

/// Runs something in virtual time, on a thread and a runtime of its own.
pub(crate) fn in_virtual_time<T>(run: impl AsyncFnOnce() -> T) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    runtime.block_on(run())
}

/// Runs `people` while the world turns and a fresh operator works; both end with it.
pub(crate) async fn with_operator<T>(setting: &Setting, people: impl Future<Output = T>) -> T {
    beside(setting, setting.operator_runtime(&OperatorOptions::default()), people).await
}

/// Runs `people` while the world turns and this operator works; both end with it.
pub(crate) async fn beside<T>(setting: &Setting, operator: Runtime, people: impl Future<Output = T>) -> T {
    tokio::select! {
        biased;
        done = people => done,
        () = setting.turn() => panic!("the world turns for ever"),
        () = operator.run(std::future::pending()) => panic!("the operator runs for ever"),
    }
}

/// Lets virtual time pass.
pub(crate) async fn pass(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}
