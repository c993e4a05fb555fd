//! A world in memory for one play, in virtual time: the same seed gives the same play.

use std::sync::Arc;
use std::time::Duration;

use script::InProcess;
use sim_cluster::{Cluster, CommitHook, Settings, run_controllers};
use sim_traffic::Traffic;

use super::{Outcome, Place, Scenario, fixtures, play};
use crate::setting::{Fleet, Setting, install};
use crate::world::World;

/// When the virtual clock begins.
const START: &str = "2030-01-01T00:00:00Z";
/// How long the installation may take.
const INSTALL_LIMIT: Duration = Duration::from_secs(60);

/// Plays on an embedded cluster with RBAC, in virtual time.
///
/// # Errors
/// When the machine gives no runtime.
pub fn on_embedded(scenario: &Scenario, seed: u64) -> std::io::Result<Outcome> {
    on_embedded_heard(scenario, seed, None)
}

/// Plays as [`on_embedded`] does; `hook` hears of everything that is stored.
///
/// # Errors
/// When the machine gives no runtime.
pub fn on_embedded_heard(scenario: &Scenario, seed: u64, hook: Option<CommitHook>) -> std::io::Result<Outcome> {
    // Webhooks come over real connections, so the runtime has sockets; virtual time stands still while one is answered.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build()?;
    Ok(runtime.block_on(async {
        let start = START.parse().unwrap_or_default();
        let mut cluster = Cluster::new(Settings { seed, start, ..Settings::default() });
        cluster.set_now(start);
        run_controllers(&mut cluster);
        cluster.on_commit(hook);
        let record = reconcile_runtime::MemoryRecord::default();
        let setting = Setting::in_memory(cluster, Fleet::in_memory(), Traffic::new(seed), record);
        let way: Arc<dyn script::Transport> = match setting.handle() {
            Some(handle) => Arc::new(InProcess::new(handle.service())),
            None => return unprepared(scenario, "there is no embedded cluster".to_owned()),
        };
        // Definitions are established by the cluster's own controllers.
        let installed = tokio::select! {
            biased;
            installed = install(&setting.people, INSTALL_LIMIT) => installed.map_err(|error| error.to_string()),
            () = setting.turn() => Err("the world stopped turning".to_owned()),
        };
        if let Err(message) = installed {
            return unprepared(scenario, message);
        }
        play(scenario, Place::Embedded, &World::new(setting, &fixtures()), way).await
    }))
}

fn unprepared(scenario: &Scenario, message: String) -> Outcome {
    Outcome {
        name: scenario.name().to_owned(),
        place: Place::Embedded,
        failure: Some(format!("not installed: {message}")),
        forbidden: Vec::new(),
        diagnosis: String::new(),
        lasted: Duration::ZERO,
        cases: 0,
        cases_all: scenario.script.cases.len().max(1),
    }
}
