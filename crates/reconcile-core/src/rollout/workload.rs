//! The workload that a Rollout takes its template from: read, and relieved of its pods while the Rollout takes its place.

use std::sync::Arc;

use api::Problem;
use api::argo::{Rollout, WorkloadScaleDown};
use api::names;
use object_model::Object;
use serde_json::{Map, Value, json};

use super::act;
use super::progress::Progress;
use super::snapshot::Snapshot;
use crate::{Act, Action, Key, Kind, ObjectRef, Plan, Precondition, View, kinds};

/// Reads the workload and takes selector and template from it; without it the spec is invalid.
pub(super) fn resolve(
    view: &dyn View,
    key: &Key,
    spec: &mut Rollout,
    problems: &mut Vec<Problem>,
) -> Option<Arc<Object>> {
    // A Rollout with a template of its own beside the reference says nothing that the workload could mend.
    if problems.iter().any(|problem| problem.field == "spec.template") {
        return None;
    }
    let kind = kind_of(spec)?;
    let name = spec.workload.as_ref().map(|workload| workload.name.clone())?;
    if kind == kinds::replica_set() {
        // Those of the Rollouts themselves are watched by their label; this one has none.
        view.needs_all(&kind);
    }
    match view.get(&kind, &key.namespace, &name) {
        Some(workload) => {
            problems.extend(spec.resolve(&workload));
            Some(workload)
        }
        None => {
            // Nothing else can be judged without it, so it is told first.
            problems.splice(0..0, spec.missing_workload(&key.namespace));
            None
        }
    }
}

fn kind_of(spec: &Rollout) -> Option<Kind> {
    match spec.workload.as_ref()?.kind.as_str() {
        "Deployment" => Some(kinds::deployment()),
        "ReplicaSet" => Some(kinds::replica_set()),
        "PodTemplate" => Some(kinds::pod_template()),
        _ => None,
    }
}

/// The generation of the workload that was read, as annotation and status have it.
pub(super) fn generation(snapshot: &Snapshot) -> Option<String> {
    snapshot.workload.as_ref().map(|workload| workload.generation().to_string())
}

/// The replicas of the Deployment that the Rollout refers to, and those that it had at first.
fn sizes(workload: &Object) -> (u32, Option<u32>) {
    let count = |value: i64| u32::try_from(value).unwrap_or(0);
    let now = workload.int_at("/spec/replicas").map_or(1, count);
    (now, workload.annotation(names::SCALED_FROM).and_then(|text| text.parse().ok()))
}

/// Takes pods from the Deployment as `scaleDown` asks, and gives them back while a first version loses its own.
pub(super) fn scale(snapshot: &Snapshot, progress: &Progress, plan: &mut Plan) {
    let Some(workload) = snapshot.workload.as_deref().filter(|workload| workload.kind() == "Deployment") else {
        return;
    };
    let (now, before) = sizes(workload);
    let Some(wanted) = wanted(snapshot, progress, now, before).filter(|wanted| *wanted != now) else { return };
    let mut annotations = Map::new();
    let claims = act::claims_on(workload, snapshot, &[&["spec", "replicas"]]);
    annotations.insert(names::CLAIMS.to_owned(), json!(claims));
    if before.is_none() {
        annotations.insert(names::SCALED_FROM.to_owned(), now.to_string().into());
    }
    let act = Act::new(Action::Patch {
        target: ObjectRef::of(&kinds::deployment(), workload),
        patch: json!({"metadata": {"annotations": Value::Object(annotations)}, "spec": {"replicas": wanted}}),
        precondition: Precondition::exact(workload),
    });
    plan.stage(vec![if wanted < now { act.destructive() } else { act }]);
}

/// The size that the Deployment should have; as with Argo it is changed for the first revision only.
fn wanted(snapshot: &Snapshot, progress: &Progress, now: u32, before: Option<u32>) -> Option<u32> {
    let mode = snapshot.spec.workload.as_ref()?.scale_down?;
    if snapshot.new_set()?.revision.0 != 1 {
        return None;
    }
    let is_done = progress.is_fully_promoted(snapshot) && snapshot.status.phase == "Healthy";
    match mode {
        WorkloadScaleDown::Never => None,
        WorkloadScaleDown::OnSuccess | WorkloadScaleDown::Progressively if is_done => Some(0),
        WorkloadScaleDown::OnSuccess => None,
        WorkloadScaleDown::Progressively => {
            let ready: u32 = snapshot.sets.iter().map(|set| set.ready).sum();
            let missing = snapshot.spec.replicas.saturating_sub(ready);
            let grows = missing > now && snapshot.status.stable.is_none();
            match before {
                // Never more than people gave it.
                Some(before) if grows => Some(missing.min(before)),
                _ if ready > 0 => Some(missing.min(now)),
                _ => None,
            }
        }
    }
}
