//! The demonstration, in virtual time and in memory.

use scenario::demo::{Progress, play};
use scenario::setting::{Fleet, OperatorOptions, Setting};
use sim_cluster::{Cluster, Settings, run_controllers};
use sim_traffic::Traffic;

fn world(seed: u64) -> Setting {
    let start = "2030-01-01T00:00:00Z".parse().unwrap();
    let mut cluster = Cluster::new(Settings { seed, start, ..Settings::default() });
    cluster.set_now(start);
    run_controllers(&mut cluster);
    Setting::in_memory(cluster, Fleet::in_memory(), Traffic::new(seed), reconcile_runtime::MemoryRecord::default())
}

/// Runs something in virtual time with the operator beside it.
fn in_virtual_time<T>(run: impl AsyncFnOnce() -> T) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(run())
}

#[test]
fn the_five_facts_hold() {
    let (checks, log) = in_virtual_time(async || {
        let setting = world(7);
        let mut log = Vec::new();
        let operator = setting.operator_runtime(&OperatorOptions::default());
        let turning = setting.clone();
        let mut note = |progress: Progress| {
            let line = format!("{} {progress:?}", setting.now());
            println!("{line}");
            log.push(line);
        };
        let checks = tokio::select! {
            biased;
            checks = play(&setting, &mut note) => checks,
            () = turning.turn() => panic!("the world turns for ever"),
            () = operator.run(std::future::pending()) => panic!("the operator runs for ever"),
        };
        if let Err(error) = &checks {
            for (version, kind) in [
                ("sluice.dev/v1alpha1", "Environment"),
                ("sluice.dev/v1", "GitOpsConfig"),
                ("argoproj.io/v1alpha1", "Rollout"),
                ("argoproj.io/v1alpha1", "AnalysisRun"),
                ("sluice.dev/v1alpha1", "Promotion"),
                ("apps/v1", "ReplicaSet"),
                ("v1", "Event"),
            ] {
                for object in scenario::setting::list(&setting.people, version, kind, "").await.unwrap_or_default() {
                    let status = if kind == "Event" {
                        object.str_at("/message").unwrap_or_default().to_owned()
                            + " "
                            + object.str_at("/reason").unwrap_or_default()
                    } else {
                        object.to_json()["status"].to_string()
                    };
                    println!("{} {status}", object.id());
                }
            }
            if let Some(handle) = setting.handle() {
                handle.with(|cluster| {
                    for entry in cluster.requests().filter(|entry| entry.code >= 400).take(40) {
                        println!("{entry:?}");
                    }
                });
            }
            panic!("{error}");
        }
        (checks.unwrap(), log)
    });
    let broken: Vec<_> = checks.iter().filter(|check| !check.holds).collect();
    assert!(broken.is_empty(), "{broken:#?}\n{}", log.join("\n"));
    assert!(checks.len() >= 18, "only {} facts were checked", checks.len());
}
