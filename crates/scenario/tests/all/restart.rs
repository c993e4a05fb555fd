//! A settled system is quiet, whoever looks at it.

use std::time::Duration;

use reconcile_runtime::{LeaseOptions, Options};
use scenario::demo::{Progress, play};
use scenario::setting::OperatorOptions;
use sim_cluster::{Cluster, LogEntry};

use crate::world::{beside, in_virtual_time, world};

const LEASES: &str = "leases.coordination.k8s.io";

fn replica(identity: &str) -> OperatorOptions {
    let leases = Some(LeaseOptions::new(api::install::NAMESPACE, identity));
    OperatorOptions { runtime: Options { leases, ..Options::default() }, ..OperatorOptions::default() }
}

fn writes(entry: &&LogEntry) -> bool {
    !matches!(entry.verb, "get" | "list" | "watch") && entry.resource != LEASES
}

#[test]
fn thirty_minutes_after_a_cold_restart_nothing_was_written_and_git_was_only_polled() {
    in_virtual_time(async || {
        let setting = world(7);
        let first = setting.operator_runtime(&replica("first"));
        beside(&setting, first, async {
            let mut note = |_: Progress| {};
            play(&setting, &mut note).await.unwrap();
            // What was scaled down late and what is measured no more has ended by now.
            tokio::time::sleep(Duration::from_secs(120)).await;
        })
        .await;
        let handle = setting.handle().unwrap().clone();
        let git_before = setting.fleet.memory().unwrap().requests();
        handle.with(Cluster::clear_requests);
        let second = setting.operator_runtime(&replica("second"));
        let ready = second.handle();
        tokio::select! {
            biased;
            () = tokio::time::sleep(Duration::from_secs(30 * 60)) => {}
            _ = handle.drive() => panic!("the cluster turns for ever"),
            () = second.run(std::future::pending()) => panic!("the operator runs for ever"),
        }
        assert!(ready.is_ready());
        let written = handle
            .with(|cluster| cluster.requests().filter(writes).map(|entry| format!("{entry:?}")).collect::<Vec<_>>());
        assert!(written.is_empty(), "{written:#?}");
        let renewed = handle.with(|cluster| cluster.requests().filter(|entry| entry.resource == LEASES).count());
        assert!(renewed > 100, "the second operator leads: {renewed} requests about Leases");
        let git = setting.fleet.memory().unwrap().requests();
        assert_eq!(git.pushes, git_before.pushes);
        // The first poll of a cold operator brings the objects; after that nothing is new.
        assert_eq!(git.fetches, git_before.fetches + 1);
        let polls = git.lists - git_before.lists;
        assert!((10..=12).contains(&polls), "{polls} polls in half an hour");
    });
}
