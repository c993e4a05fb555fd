//! The Experiments of a Rollout: the one of the present step, its shares of the traffic, and what becomes of earlier ones.

use std::collections::BTreeMap;
use std::sync::Arc;

use api::argo::{ExperimentStatus, ExperimentStep, SpecRef, StepTemplate};
use api::names;
use object_model::{Object, PodHash, Weight};
use serde_json::{Map, Value, json};
use traffic_split::Destination;

use super::act;
use super::model::StepKind;
use super::progress::Progress;
use super::replica_set::ReplicaSetView;
use super::route::Observed;
use super::runs;
use super::snapshot::Snapshot;
use crate::{Act, Action, EventType, ObjectRef, Plan, Precondition, Propagation, kinds};

/// Why a Rollout pauses when an experiment can't say yes or no.
pub(super) const INCONCLUSIVE: &str = "InconclusiveExperiment";
/// Names of one step that are tried: each finished experiment of the same revision takes one.
const NAMES_MAX: u32 = 1_000;

/// One Experiment of a Rollout.
#[derive(Debug, Clone)]
pub struct ExperimentView {
    /// The object as seen.
    pub object: Arc<Object>,
    /// Its status.
    pub status: ExperimentStatus,
}

impl ExperimentView {
    /// Reads an Experiment.
    pub(super) fn of(object: Arc<Object>) -> Self {
        Self { status: ExperimentStatus::parse(&object), object }
    }
}

/// Whether the experiment of the present step has succeeded; creates it when there is none.
pub(super) fn step_is_done(
    snapshot: &Snapshot,
    progress: &mut Progress,
    step: &ExperimentStep,
    plan: &mut Plan,
) -> bool {
    let known = progress.experiment.as_ref().and_then(|name| snapshot.experiments.get(name));
    let Some(experiment) = known else {
        progress.experiment = begin(snapshot, progress, step, plan);
        return false;
    };
    match experiment.status.phase.as_str() {
        "Successful" => return true,
        // A person who goes on after an experiment that could not tell has judged it.
        "Inconclusive" if progress.controller_pause && progress.pauses.is_empty() => return true,
        "Inconclusive" => progress.pause(INCONCLUSIVE, snapshot.now),
        "Failed" | "Error" => fail(snapshot, progress, experiment, plan),
        _ => plan.wait(format!("Experiment {}", experiment.object.name()), "it has not ended yet"),
    }
    false
}

fn fail(snapshot: &Snapshot, progress: &mut Progress, experiment: &ExperimentView, plan: &mut Plan) {
    let mut why = "Experiment analysis phase is error/failed".to_owned();
    if !experiment.status.message.is_empty() {
        why = format!("{why}: {}", experiment.status.message);
    }
    progress.abort_now(snapshot, &why);
    let text = progress.abort_message.clone().unwrap_or_default();
    act::note(snapshot, plan, EventType::Warning, "RolloutAborted", &text, &format!("aborted/{}", snapshot.version()));
}

/// Makes the experiment of the present step, or finds the one that a crash kept out of the status.
fn begin(snapshot: &Snapshot, progress: &Progress, step: &ExperimentStep, plan: &mut Plan) -> Option<String> {
    let new = snapshot.new_set()?;
    let stable = progress.stable_set(snapshot).filter(|_| !progress.begins_a_try())?;
    let stem = format!("{}-{}-{}-{}", snapshot.rollout.name(), snapshot.hash, new.revision, progress.step_index);
    let name = match &progress.experiment {
        Some(name) => name.clone(),
        None => free_name(snapshot, &stem)?,
    };
    if snapshot.experiments.contains_key(&name) {
        return Some(name);
    }
    match manifest(snapshot, step, &name, new, stable) {
        Ok(object) => {
            plan.stage(vec![Act::new(Action::Create { kind: kinds::experiment(), object: Box::new(object) })]);
            let text = format!("Created Experiment '{name}'");
            act::note(snapshot, plan, EventType::Normal, "ExperimentCreated", &text, &format!("experiment/{name}"));
            Some(name)
        }
        Err(why) => {
            plan.wait(format!("Experiment {name}"), why.clone());
            let transition = format!("experiment/{}", crate::patch::digest(&why));
            act::note(snapshot, plan, EventType::Warning, "ExperimentError", &why, &transition);
            plan.report.problems.push(why);
            None
        }
    }
}

fn free_name(snapshot: &Snapshot, stem: &str) -> Option<String> {
    let mut names = std::iter::once(stem.to_owned()).chain((1..NAMES_MAX).map(|turn| format!("{stem}-{turn}")));
    let is_earlier =
        |experiment: &ExperimentView| runs::is_of_another_try(snapshot, &experiment.object, is_spent(experiment));
    names.find(|name| snapshot.experiments.get(name).is_none_or(|experiment| !is_earlier(experiment)))
}

/// Whether it has ended or is about to.
fn is_spent(experiment: &ExperimentView) -> bool {
    experiment.status.is_completed() || is_terminating(experiment) || experiment.object.is_deleting()
}

fn is_terminating(experiment: &ExperimentView) -> bool {
    experiment.object.bool_at("/spec/terminate") == Some(true)
}

fn manifest(
    snapshot: &Snapshot,
    step: &ExperimentStep,
    name: &str,
    new: &ReplicaSetView,
    stable: &ReplicaSetView,
) -> Result<Object, String> {
    let mut object = Object::new("argoproj.io/v1alpha1", "Experiment", Some(snapshot.namespace()), name);
    for (key, value) in snapshot.rollout.labels() {
        object.set_label(key, value);
    }
    object.set_label(names::POD_TEMPLATE_HASH, snapshot.hash.as_str());
    object.set_annotation(names::ROLLOUT_REVISION, &new.revision.to_string());
    if let Some(present) = runs::present_try(snapshot) {
        object.set_annotation(names::TRY, &present);
    }
    object.set_at(&["metadata", "ownerReferences"], json!([act::owner_reference(snapshot)]));
    let mut spec = Map::new();
    let mut put = |key: &str, value: Value| {
        if !value.is_null() {
            spec.insert(key.to_owned(), value);
        }
    };
    let analyses: Result<Vec<Value>, String> =
        step.analyses.iter().map(|analysis| with_arguments(snapshot, analysis)).collect();
    let deadline = snapshot.rollout.pointer("/spec/progressDeadlineSeconds").cloned().unwrap_or(Value::Null);
    put("templates", step.templates.iter().map(|wanted| template(wanted, new, stable)).collect());
    put("duration", step.duration.clone());
    put("progressDeadlineSeconds", deadline);
    put("analyses", Some(analyses?).filter(|analyses| !analyses.is_empty()).map_or(Value::Null, Value::Array));
    put("dryRun", step.dry_run.clone());
    put("analysisRunMetadata", step.run_metadata.clone());
    put("scaleDownDelaySeconds", step.scale_down_delay.clone());
    object.set_at(&["spec"], Value::Object(spec));
    Ok(object)
}

fn with_arguments(snapshot: &Snapshot, analysis: &Value) -> Result<Value, String> {
    let mut analysis = analysis.clone();
    let args = analysis.get("args").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let args: Result<Vec<Value>, String> = args.iter().map(|argument| runs::resolved(snapshot, argument)).collect();
    let args = args?;
    if let (Value::Object(map), false) = (&mut analysis, args.is_empty()) {
        map.insert("args".to_owned(), Value::Array(args));
    }
    Ok(analysis)
}

/// A template with the pods of one of the two versions, as the cluster has them.
fn template(wanted: &StepTemplate, new: &ReplicaSetView, stable: &ReplicaSetView) -> Value {
    let set = match wanted.spec_ref {
        SpecRef::Canary => &new.object,
        SpecRef::Stable => &stable.object,
    };
    let mut pods = set.pointer("/spec/template").cloned().unwrap_or_else(|| json!({}));
    let mut selector = match wanted.selector.is_null() {
        true => set.pointer("/spec/selector").cloned().unwrap_or_else(|| json!({})),
        false => wanted.selector.clone(),
    };
    for key in ["labels", "annotations"] {
        for (name, value) in wanted.metadata.get(key).and_then(Value::as_object).into_iter().flatten() {
            put_in(&mut pods, &["metadata", key, name], value);
            if key == "labels" {
                put_in(&mut selector, &["matchLabels", name], value);
            }
        }
    }
    let mut made = json!({"name": wanted.name, "selector": selector, "template": pods});
    if let Some(replicas) = wanted.replicas {
        put_in(&mut made, &["replicas"], &replicas.into());
    }
    if let Some(seconds) = set.int_at("/spec/minReadySeconds").filter(|seconds| *seconds > 0) {
        put_in(&mut made, &["minReadySeconds"], &seconds.into());
    }
    match &wanted.service {
        Some(Some(name)) => put_in(&mut made, &["service", "name"], &name.as_str().into()),
        Some(None) => put_in(&mut made, &["service"], &json!({})),
        None => {}
    }
    made
}

fn put_in(value: &mut Value, path: &[&str], to: &Value) {
    let mut at = value;
    for key in path {
        if !at.is_object() {
            *at = json!({});
        }
        let Value::Object(map) = at else { return };
        at = map.entry((*key).to_owned()).or_insert(Value::Null);
    }
    at.clone_from(to);
}

/// What the experiment of the present step gets of the traffic.
///
/// An experiment has its shares while it runs, on its own step of the version that the status knows.
pub(super) fn shares(snapshot: &Snapshot) -> Vec<(Destination, Weight)> {
    let status = &snapshot.status;
    let is_current = status.current.as_ref() == Some(&snapshot.hash)
        && status.step_hash.as_deref().unwrap_or_default() == snapshot.step_hash;
    if !is_current || status.abort || status.promote_full || status.stable.as_ref() == Some(&snapshot.hash) {
        return Vec::new();
    }
    let step = status.step_index.and_then(|index| snapshot.steps.get(index as usize));
    let Some(StepKind::Experiment(step)) = step.map(|step| &step.kind) else { return Vec::new() };
    let current = status.experiment.as_ref().and_then(|name| snapshot.experiments.get(name));
    let Some(current) = current.filter(|current| current.status.phase == "Running" && !is_terminating(current)) else {
        return Vec::new();
    };
    let weight_of = |name: &str| {
        let wanted = step.templates.iter().find(|template| template.name == name)?;
        Weight::of(i64::from(wanted.weight?), snapshot.weight_total()).ok()
    };
    let weighted = current.status.templates.iter().filter(|template| !template.service.is_empty());
    weighted
        .filter_map(|template| {
            let hash = Some(&template.hash).filter(|hash| !hash.is_empty());
            let place =
                Destination { service: template.service.clone(), pod_hash: hash.map(|hash| PodHash::new(hash)) };
            Some((place, weight_of(&template.name)?))
        })
        .collect()
}

/// `status.canary.weights.additional` as Argo writes it: an experiment keeps its pods while it is listed there, so it
/// stays until all traffic objects agree.
pub(super) fn shares_json(snapshot: &Snapshot, observed: &Observed) -> Vec<Value> {
    if !matches!(observed, Observed::Weight(_)) {
        return snapshot.rollout.list_at("/status/canary/weights/additional").to_vec();
    }
    let shares = snapshot.routing.additional.iter();
    shares
        .map(|(place, weight)| {
            let hash = place.pod_hash.as_ref().map(ToString::to_string).unwrap_or_default();
            json!({"weight": weight.get(), "serviceName": place.service, "podTemplateHash": hash})
        })
        .collect()
}

/// Ends experiments that no longer count, and deletes those beyond the history that is kept.
pub(super) fn tidy(snapshot: &Snapshot, progress: &mut Progress, plan: &mut Plan) {
    let on_step = matches!(progress.step(snapshot), Some(StepKind::Experiment(_)));
    if !on_step || progress.abort || progress.promote_full {
        progress.experiment = None;
    }
    let others: Vec<&ExperimentView> = snapshot
        .experiments
        .iter()
        .filter(|(name, _)| progress.experiment.as_ref() != Some(*name))
        .map(|(_, experiment)| experiment)
        .filter(|experiment| !experiment.object.is_deleting())
        .collect();
    let open = others.iter().filter(|experiment| !experiment.status.is_completed() && !is_terminating(experiment));
    let end = |experiment: &&ExperimentView| {
        Act::new(Action::Patch {
            target: ObjectRef::of(&kinds::experiment(), &experiment.object),
            patch: json!({"spec": {"terminate": true}}),
            precondition: Precondition::uid(&experiment.object),
        })
    };
    plan.stage(open.map(end).collect());
    let spent = others.iter().filter(|experiment| !is_selected(snapshot, experiment));
    let ended = spent.map(|experiment| (experiment.object.clone(), experiment.status.phase.clone())).collect();
    plan.stage(surplus(snapshot, ended).iter().map(|object| delete(&kinds::experiment(), object)).collect());
}

/// Whether traffic may still go to pods of an experiment, by what the status says.
fn is_selected(snapshot: &Snapshot, experiment: &ExperimentView) -> bool {
    let weighted = snapshot.rollout.list_at("/status/canary/weights/additional");
    let services: Vec<&str> = weighted.iter().filter_map(|item| item.get("serviceName")?.as_str()).collect();
    experiment.status.templates.iter().any(|template| services.contains(&template.service.as_str()))
}

/// Deletes ended AnalysisRuns beyond the history that is kept.
pub(super) fn tidy_runs(snapshot: &Snapshot, progress: &Progress, plan: &mut Plan) {
    let counting = [&progress.background_run, &progress.step_run, &progress.pre_run, &progress.post_run];
    let counts = |name: &str| counting.iter().any(|run| run.as_ref().is_some_and(|run| run.name == name));
    let ended = snapshot.runs.values().filter(|run| !counts(run.object.name()) && !run.object.is_deleting());
    let ended = ended.map(|run| (run.object.clone(), run.phase.clone())).collect();
    plan.stage(surplus(snapshot, ended).iter().map(|object| delete(&kinds::analysis_run(), object)).collect());
}

fn delete(kind: &crate::Kind, object: &Object) -> Act {
    Act::new(Action::Delete {
        target: ObjectRef::of(kind, object),
        precondition: Precondition::exact(object),
        propagation: Propagation::Background,
    })
}

/// Of objects with their phases: those of versions that are gone, and the oldest beyond the limits of the spec. One that
/// goes on is never among them.
fn surplus(snapshot: &Snapshot, mut all: Vec<(Arc<Object>, String)>) -> Vec<Arc<Object>> {
    let limit = |key: &str| {
        let number = snapshot.rollout.int_at(&format!("/spec/analysis/{key}"));
        number.and_then(|number| usize::try_from(number).ok()).unwrap_or(5)
    };
    let mut kept: BTreeMap<bool, usize> = BTreeMap::new();
    let (most_bad, most_good) = (limit("unsuccessfulRunHistoryLimit"), limit("successfulRunHistoryLimit"));
    // Newest first.
    all.sort_by(|(a, _), (b, _)| b.creation_time().cmp(&a.creation_time()).then_with(|| b.name().cmp(a.name())));
    let mut gone = Vec::new();
    for (object, phase) in all {
        let is_good = match phase.as_str() {
            "Successful" => true,
            "Failed" | "Error" | "Inconclusive" => false,
            _ => continue,
        };
        let hash = object.label(names::POD_TEMPLATE_HASH);
        let is_orphan = !snapshot.sets.iter().any(|set| hash == Some(set.hash.as_str()));
        let count = kept.entry(is_good).or_default();
        if is_orphan || *count >= if is_good { most_good } else { most_bad } {
            gone.push(object);
        } else {
            *count += 1;
        }
    }
    gone
}
