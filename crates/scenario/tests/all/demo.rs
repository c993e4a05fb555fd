//! The demonstration, in virtual time and in memory.

use scenario::demo::{Progress, play};

use crate::world::{in_virtual_time, with_operator, world};

#[test]
fn the_five_facts_hold() {
    let (checks, log) = in_virtual_time(async || {
        let setting = world(7);
        let mut log = Vec::new();
        let mut note = |progress: Progress| {
            let line = format!("{} {progress:?}", setting.now());
            println!("{line}");
            log.push(line);
        };
        let checks = with_operator(&setting, play(&setting, &mut note)).await;
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
