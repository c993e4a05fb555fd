//! The rollout domain: one engine for every front end (DESIGN §5).

mod act;
mod blue_green;
mod check;
pub(crate) mod conditions;
mod decide;
mod duration;
mod experiments;
mod go_json;
mod managed_routes;
mod metadata;
mod model;
mod old_sets;
mod phase;
mod ping_pong;
mod pod_hash;
mod pods;
mod progress;
mod quantity;
mod references;
mod replica_set;
mod replicas;
mod restart;
mod route;
mod routing;
mod runs;
mod services;
mod snapshot;
mod status;
mod unreadable;
mod workload;

use std::sync::Arc;

use object_model::Object;

pub use experiments::ExperimentView;
pub use model::{Scale, Step, StepKind, lower_argo, lower_flagger, scale_at, step_hash, weight_at};
pub use ping_pong::ServiceNames;
pub use pod_hash::pod_hash;
pub use pods::PodView;
pub use replica_set::ReplicaSetView;
pub use replicas::{
    PreviewState, RatioSet, RatioStable, RatioState, ReplicaCounts, RoutedState, WayBack, WayBackState, preview_count,
    ratio_goal, ratio_next, routed_counts, surge_and_unavailable, way_back,
};
pub use routing::Routing;
pub use services::{RoleServices, ServicePair};
pub use snapshot::{RunView, Snapshot};

use crate::{Domain, Key, Kind, Plan, View, Violation, kinds};

/// Rolls changed workloads out step by step.
#[derive(Debug, Clone, Default)]
pub struct RolloutDomain {
    /// Objects with another `controller-instance-id` label belong to another controller; empty means: no label.
    pub instance_id: String,
}

impl Domain for RolloutDomain {
    type Snapshot = Snapshot;

    const NAME: &'static str = "rollout";

    fn observe(&self, view: &dyn View, key: &Key) -> Option<Snapshot> {
        let rollout = view.get(&kinds::rollout(), &key.namespace, &key.name)?;
        if rollout.label(api::names::INSTANCE_ID).unwrap_or_default() != self.instance_id {
            return None;
        }
        Snapshot::observe(view, key)
    }

    fn decide(&self, snapshot: &Snapshot) -> Plan {
        let mut plan = decide::decide(snapshot);
        plan.hush();
        plan
    }

    fn check(&self, snapshot: &Snapshot, plan: &Plan) -> Vec<Violation> {
        check::check(snapshot, plan)
    }

    fn watches(&self) -> Vec<Kind> {
        let mut watched = vec![
            kinds::rollout(),
            kinds::replica_set(),
            kinds::service(),
            kinds::analysis_template(),
            kinds::cluster_analysis_template(),
            kinds::analysis_run(),
            kinds::experiment(),
        ];
        watched.extend(kinds::traffic());
        watched
    }

    fn reads(&self) -> Vec<Kind> {
        vec![kinds::pod(), kinds::deployment(), kinds::pod_template()]
    }

    fn keys_for(&self, view: &dyn View, object: &Object) -> Vec<Key> {
        match object.kind() {
            "Rollout" => vec![Key::of(object)],
            "ReplicaSet" | "AnalysisRun" | "Experiment" => {
                let owner = object.controller().filter(|owner| owner.kind == "Rollout");
                owner.map(|owner| Key::new(object.namespace().unwrap_or_default(), &owner.name)).into_iter().collect()
            }
            kind => view
                // A Service serves the Rollouts of its namespace, a traffic object may be elsewhere.
                .list(&kinds::rollout(), object.namespace().filter(|_| kind == "Service").unwrap_or_default())
                .iter()
                .filter(|rollout| names(rollout, object) || routing::concerns(rollout, object))
                .map(|rollout| Key::of(rollout))
                .collect(),
        }
    }
}

/// Whether a Rollout's strategy names this Service, traffic object or template.
fn names(rollout: &Arc<Object>, object: &Object) -> bool {
    let strategy = rollout.pointer("/spec/strategy").unwrap_or(&serde_json::Value::Null);
    mentions(strategy, object.name(), 0)
}

fn mentions(value: &serde_json::Value, name: &str, depth: usize) -> bool {
    if depth > 16 {
        return true;
    }
    match value {
        serde_json::Value::String(text) => {
            text == name || text.strip_prefix(name).is_some_and(|rest| rest.starts_with('.'))
        }
        serde_json::Value::Array(items) => items.iter().any(|item| mentions(item, name, depth + 1)),
        serde_json::Value::Object(map) => map.values().any(|item| mentions(item, name, depth + 1)),
        _ => false,
    }
}
