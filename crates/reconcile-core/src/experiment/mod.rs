//! The experiment domain: temporary ReplicaSets side by side, judged by analyses, then gone.

mod analyses;
mod check;
mod decide;
mod replica_sets;
mod services;
mod snapshot;
mod status;

use object_model::Object;

pub use snapshot::{Snapshot, TemplateView};

use crate::{Domain, Key, Kind, Plan, View, Violation, kinds};

/// Runs Experiments.
#[derive(Debug, Clone, Default)]
pub struct ExperimentDomain {
    /// Objects with another `controller-instance-id` label belong to another controller; empty means: no label.
    pub instance_id: String,
}

impl Domain for ExperimentDomain {
    type Snapshot = Snapshot;

    const NAME: &'static str = "experiment";

    fn observe(&self, view: &dyn View, key: &Key) -> Option<Snapshot> {
        let experiment = view.get(&kinds::experiment(), &key.namespace, &key.name)?;
        if experiment.label(api::names::INSTANCE_ID).unwrap_or_default() != self.instance_id {
            return None;
        }
        Snapshot::observe(view, experiment)
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
        vec![
            kinds::experiment(),
            kinds::replica_set(),
            kinds::service(),
            kinds::analysis_template(),
            kinds::cluster_analysis_template(),
            kinds::analysis_run(),
            kinds::rollout(),
        ]
    }

    fn keys_for(&self, _view: &dyn View, object: &Object) -> Vec<Key> {
        match object.kind() {
            "Experiment" => vec![Key::of(object)],
            // Templates, Rollouts and objects of others wake whoever read them.
            _ => {
                let owner = object.controller().filter(|owner| owner.kind == "Experiment");
                owner.map(|owner| Key::new(object.namespace().unwrap_or_default(), &owner.name)).into_iter().collect()
            }
        }
    }
}
