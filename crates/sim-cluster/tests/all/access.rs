//! Direct access, controllers, the request log and the write hook.

use std::sync::{Arc, Mutex};

use object_model::Timestamp;
use serde_json::json;
use sim_cluster::{Cluster, Controller, DeleteOptions, Effect};

use crate::objects::now;

/// Keeps one ConfigMap `echo` per ConfigMap `voice`.
#[derive(Clone, Default)]
struct Echo {
    seen: u64,
}

impl Controller for Echo {
    fn name(&self) -> &str {
        "echo"
    }

    fn reconcile(&mut self, cluster: &mut Cluster, _now: Timestamp) -> Option<Timestamp> {
        self.seen = cluster.revision();
        let wanted = cluster.get("configmaps", "default", "voice").is_some();
        let have = cluster.get("configmaps", "default", "echo").is_some();
        let mut acting = cluster.acting_as_controller("echo");
        if wanted && !have {
            acting.create("configmaps", "default", json!({"metadata": {"name": "echo"}})).unwrap();
        }
        if !wanted && have {
            acting.delete("configmaps", "default", "echo", DeleteOptions::default()).unwrap();
        }
        None
    }

    fn boxed_clone(&self) -> Box<dyn Controller> {
        Box::new(self.clone())
    }
}

#[test]
fn controllers_run_until_nothing_changes() {
    let mut cluster = Cluster::default();
    cluster.add_controller(Echo::default());
    assert!(!cluster.step(now()).is_unsettled);
    let mut acting = cluster.acting_as("someone");
    acting.create("configmaps", "default", json!({"metadata": {"name": "voice"}})).unwrap();
    cluster.step(now());
    let copy = cluster.clone();
    assert!(cluster.get("configmaps", "default", "echo").is_some());
    cluster.acting_as("someone").delete("configmaps", "default", "voice", DeleteOptions::default()).unwrap();
    cluster.step(now());
    assert!(cluster.get("configmaps", "default", "echo").is_none());
    assert!(copy.get("configmaps", "default", "echo").is_some());
}

#[test]
fn the_hook_sees_the_world_right_before_and_right_after_each_change() {
    let mut cluster = Cluster::default();
    let seen: Arc<Mutex<Vec<String>>> = Arc::default();
    let sink = seen.clone();
    cluster.on_write(Some(Arc::new(move |info, before, after| {
        let count = |cluster: &Cluster| cluster.list("configmaps", None).count();
        let line = format!("{} {} {}->{}", info.actor.user.name, info.verb, count(before), count(after));
        sink.lock().unwrap().push(line);
    })));
    let mut acting = cluster.acting_as("someone");
    acting.create("configmaps", "default", json!({"metadata": {"name": "a"}})).unwrap();
    acting.merge("configmaps", "default", "a", json!({"data": {"x": "1"}})).unwrap();
    acting.merge("configmaps", "default", "a", json!({"data": {"x": "1"}})).unwrap();
    acting.delete("configmaps", "default", "a", DeleteOptions::default()).unwrap();
    assert_eq!(*seen.lock().unwrap(), ["someone create 0->1", "someone patch 1->1", "someone delete 1->0"]);
    let effects: Vec<Effect> = cluster.requests().map(|entry| entry.effect).collect();
    assert_eq!(effects, [Effect::Created, Effect::Updated, Effect::None, Effect::Deleted]);
}

#[path = "../../examples/sim_cluster.rs"]
#[expect(dead_code, unreachable_pub, reason = "an example is a program of its own")]
mod example;

#[test]
fn the_example_prints_what_it_promises() {
    assert_eq!(example::run(), "created: 201\nchanged: 200\noriginal: green\ncopy: blue\n");
}
