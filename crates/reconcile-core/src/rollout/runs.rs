//! The AnalysisRuns of a Rollout: which ones there must be, under which deterministic names, and when they end.

use api::argo::{AnalysisRef, RunStatus};
use api::names;
use object_model::{Object, PodHash};
use serde_json::{Value, json};

use super::act;
use super::progress::Progress;
use super::snapshot::{RunView, Snapshot};
use crate::analysis::recipe;
use crate::bugs::{self, Bug};
use crate::{Act, Action, EventType, ObjectRef, Plan, Precondition, kinds};

/// Names of one step that are tried before giving up: each finished run of the same revision takes one.
const NAMES_MAX: u32 = 1_000;

/// The runs whose word counts now.
pub(super) fn present<'a>(snapshot: &'a Snapshot, progress: &Progress) -> Vec<&'a RunView> {
    let named = [&progress.background_run, &progress.step_run, &progress.pre_run, &progress.post_run];
    named.into_iter().flatten().filter_map(|run| snapshot.runs.get(&run.name)).collect()
}

/// Whether the analysis of the present step has succeeded; creates its run when there is none.
pub(super) fn step_is_done(
    snapshot: &Snapshot,
    progress: &mut Progress,
    analysis: &AnalysisRef,
    plan: &mut Plan,
) -> bool {
    if let Some(run) = progress.step_run.as_ref().and_then(|run| snapshot.runs.get(&run.name)) {
        if run.phase == "Successful" {
            return true;
        }
        plan.wait(format!("AnalysisRun {}", run.object.name()), "it has not ended yet");
        return false;
    }
    let index = progress.step_index;
    let labels = [("rollout-type", "Step".to_owned()), ("step-index", index.to_string())];
    progress.step_run = match progress.begins_a_try() {
        true => None,
        false => ensure(snapshot, analysis, &format!("-{index}"), &labels, progress.step_run.as_ref(), plan),
    };
    false
}

/// The two moments around a blue-green promotion at which an analysis may speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Promotion {
    /// Before the active Service is switched.
    Before,
    /// After it.
    After,
}

/// Whether the analysis before or after a promotion has succeeded; creates its run when there is none.
pub(super) fn promotion_is_judged(
    snapshot: &Snapshot,
    progress: &mut Progress,
    analysis: Option<&AnalysisRef>,
    moment: Promotion,
    plan: &mut Plan,
) -> bool {
    let Some(analysis) = analysis else { return true };
    let (known, suffix, label) = match moment {
        Promotion::Before => (progress.pre_run.clone(), "-pre", "PrePromotion"),
        Promotion::After => (progress.post_run.clone(), "-post", "PostPromotion"),
    };
    if let Some(run) = known.as_ref().and_then(|run| snapshot.runs.get(&run.name)) {
        if run.phase != "Successful" {
            plan.wait(format!("AnalysisRun {}", run.object.name()), "it has not ended yet");
        }
        return run.phase == "Successful";
    }
    if progress.begins_a_try() {
        return false;
    }
    let run = ensure(snapshot, analysis, suffix, &[("rollout-type", label.to_owned())], known.as_ref(), plan);
    match moment {
        Promotion::Before => progress.pre_run = run,
        Promotion::After => progress.post_run = run,
    }
    false
}

/// Starts the background analysis when its step has come, and ends runs that no longer count.
pub(super) fn tidy(snapshot: &Snapshot, progress: &mut Progress, plan: &mut Plan) {
    let background = snapshot.canary().and_then(|canary| canary.analysis.as_ref());
    let is_rolling = !progress.abort
        && !progress.is_fully_promoted(snapshot)
        && progress.stable.is_some()
        && !progress.begins_a_try();
    match background {
        // Whoever promotes past everything asks for no further judgement.
        Some(_) if progress.promote_full => {}
        Some(analysis) if is_rolling && progress.step_index >= analysis.starting_step as usize => {
            let known = progress.background_run.as_ref();
            if known.is_none_or(|run| !snapshot.runs.contains_key(&run.name)) {
                let labels = [("rollout-type", "Background".to_owned())];
                progress.background_run = ensure(snapshot, analysis, "", &labels, known, plan);
            }
        }
        _ => {}
    }
    if !is_rolling {
        // What a finished or aborted update learned stays in the status; nothing goes on measuring for it.
        end_all(snapshot, |_| true, plan);
        return;
    }
    let counting: Vec<String> = [&progress.background_run, &progress.step_run, &progress.pre_run, &progress.post_run]
        .into_iter()
        .flatten()
        .map(|run| run.name.clone())
        .collect();
    let counts = |run: &RunView| counting.iter().any(|name| name == run.object.name());
    end_all(snapshot, |run| !counts(run) && !is_to_be_named(snapshot, progress, run), plan);
}

/// Whether the status will name this run once its turn comes: a crash came between the run and the status, or something
/// else has to be done first.
fn is_to_be_named(snapshot: &Snapshot, progress: &Progress, run: &RunView) -> bool {
    let label = |key: &str| run.object.label(key);
    let has_place = match label("rollout-type") {
        Some("PrePromotion") => progress.pre_run.is_none(),
        Some("PostPromotion") => progress.post_run.is_none(),
        Some("Step") => {
            progress.step_run.is_none() && label("step-index") == Some(progress.step_index.to_string().as_str())
        }
        _ => false,
    };
    has_place
        && label(names::POD_TEMPLATE_HASH) == Some(snapshot.hash.as_str())
        && !is_of_another_try(snapshot, &run.object, run.is_completed())
}

fn end_all(snapshot: &Snapshot, ends: impl Fn(&RunView) -> bool, plan: &mut Plan) {
    let open = |run: &&RunView| !run.is_completed() && run.object.bool_at("/spec/terminate") != Some(true);
    let acts: Vec<Act> = snapshot
        .runs
        .values()
        .filter(open)
        .filter(|run| ends(run))
        .map(|run| {
            Act::new(Action::Patch {
                target: ObjectRef::of(&kinds::analysis_run(), &run.object),
                patch: json!({"spec": {"terminate": true}}),
                precondition: Precondition::uid(&run.object),
            })
        })
        .collect();
    plan.stage(acts);
}

/// Finds or creates the run of this revision and try. One of an earlier try is not used again.
fn ensure(
    snapshot: &Snapshot,
    analysis: &AnalysisRef,
    suffix: &str,
    labels: &[(&str, String)],
    known: Option<&RunStatus>,
    plan: &mut Plan,
) -> Option<RunStatus> {
    let revision = snapshot.new_set()?.revision;
    let stem = format!("{}-{}-{revision}{suffix}", snapshot.rollout.name(), snapshot.hash);
    let name = match known {
        // The status names it but the cluster does not show it yet, or a crash came between the two writes.
        Some(run) => run.name.clone(),
        None => free_name(snapshot, &stem)?,
    };
    if snapshot.runs.contains_key(&name) {
        return Some(RunStatus { name, status: String::new() });
    }
    match run_object(snapshot, analysis, &name, labels) {
        Ok(object) => {
            plan.stage(vec![Act::new(Action::Create { kind: kinds::analysis_run(), object: Box::new(object) })]);
            Some(RunStatus { name, status: "Pending".to_owned() })
        }
        Err(why) => {
            plan.wait("analysis", why.clone());
            act::note(
                snapshot,
                plan,
                EventType::Warning,
                "AnalysisRunError",
                &why,
                &format!("analysis/{}", crate::patch::digest(&why)),
            );
            plan.report.problems.push(why);
            None
        }
    }
}

fn free_name(snapshot: &Snapshot, stem: &str) -> Option<String> {
    let names = std::iter::once(stem.to_owned()).chain((1..NAMES_MAX).map(|turn| format!("{stem}.{turn}")));
    let mut names = names.skip_while(|name| {
        let known = snapshot.runs.get(name);
        known.is_some_and(|run| {
            // A person who went on after an inconclusive run wants another word than that one's.
            let is_heard = run.phase == "Inconclusive";
            bugs::on(Bug::SecondRun) || is_heard || is_of_another_try(snapshot, &run.object, run.is_completed())
        })
    });
    names.next()
}

/// The try that the status tells of: a retry begins another one, and so does another list of steps.
pub(super) fn present_try(snapshot: &Snapshot) -> Option<String> {
    let running = snapshot.status.duration.as_ref().filter(|duration| duration.finished_at.is_none())?;
    Some(format!("{} {}", object_model::format_time(running.started_at), snapshot.step_hash))
}

/// Whether something that a step made belongs to another try than the present one.
///
/// A status may come so late that what it would have named has ended before; that it has ended decides only where nothing
/// else is known: others made it, or the cluster keeps no duration in the status.
pub(super) fn is_of_another_try(snapshot: &Snapshot, object: &Object, has_ended: bool) -> bool {
    if object.bool_at("/spec/terminate") == Some(true) {
        // It was told to end: it says nothing any more, whatever its last phase will be.
        return true;
    }
    match (object.annotation(names::TRY), present_try(snapshot)) {
        (Some(made_for), Some(present)) => made_for != present,
        _ => has_ended,
    }
}

fn run_object(
    snapshot: &Snapshot,
    analysis: &AnalysisRef,
    name: &str,
    labels: &[(&str, String)],
) -> Result<Object, String> {
    let spec = run_spec(snapshot, analysis)?;
    let mut object = Object::new("argoproj.io/v1alpha1", "AnalysisRun", Some(snapshot.namespace()), name);
    object.set_label(names::POD_TEMPLATE_HASH, snapshot.hash.as_str());
    for (key, value) in labels {
        object.set_label(key, value);
    }
    if let Some(instance) = snapshot.rollout.label(names::INSTANCE_ID) {
        object.set_label(names::INSTANCE_ID, instance);
    }
    if let Some(set) = snapshot.new_set() {
        object.set_annotation(names::ROLLOUT_REVISION, &set.revision.to_string());
    }
    if let Some(present) = present_try(snapshot) {
        object.set_annotation(names::TRY, &present);
    }
    let selected = snapshot.spec.selector.get("matchLabels").and_then(Value::as_object);
    for (key, value) in selected.into_iter().flatten().filter_map(|(key, value)| Some((key, value.as_str()?))) {
        object.set_label(key, value);
    }
    recipe::set_metadata(&mut object, &analysis.run_metadata);
    if let Some(comparisons) = recipe::comparisons(&snapshot.templates, analysis.templates.clone()) {
        object.set_annotation(::analysis::COMPARE_ANNOTATION, &comparisons);
    }
    object.set_at(&["metadata", "ownerReferences"], Value::Array(vec![act::owner_reference(snapshot)]));
    object.set_at(&["spec"], spec);
    Ok(object)
}

fn run_spec(snapshot: &Snapshot, wanted: &AnalysisRef) -> Result<Value, String> {
    let args: Result<Vec<Value>, String> = wanted.args.iter().map(|argument| resolved(snapshot, argument)).collect();
    let order = recipe::Order {
        templates: wanted.templates.clone(),
        args: args?,
        dry_run: wanted.dry_run.clone(),
        measurement_retention: wanted.measurement_retention.clone(),
    };
    recipe::spec(&snapshot.templates, &order)
}

/// An argument with the values that only the Rollout knows put in: a pod-template hash or one of its own fields.
pub(super) fn resolved(snapshot: &Snapshot, argument: &Value) -> Result<Value, String> {
    let name = argument.get("name").and_then(Value::as_str).unwrap_or_default();
    let with = |value: &str| json!({"name": name, "value": value});
    if let Some(which) = argument.pointer("/valueFrom/podTemplateHashValue").and_then(Value::as_str) {
        return match which {
            "Latest" => Ok(with(snapshot.hash.as_str())),
            "Stable" => Ok(with(snapshot.status.stable.as_ref().map(PodHash::as_str).unwrap_or_default())),
            other => Err(format!("args.{name}: podTemplateHashValue `{other}` is neither Stable nor Latest")),
        };
    }
    let Some(path) = argument.pointer("/valueFrom/fieldRef/fieldPath").and_then(Value::as_str) else {
        return Ok(argument.clone());
    };
    match field(&snapshot.rollout, path) {
        Some(value) => Ok(with(&value)),
        None => Err(format!("args.{name}: the Rollout has no field `{path}`")),
    }
}

/// The value at `metadata.labels['app']` or `spec.replicas`, as text.
fn field(rollout: &Object, path: &str) -> Option<String> {
    let keyed = path.strip_suffix("']").and_then(|path| path.split_once("['"));
    let value = match keyed {
        Some((parent, key)) => rollout.pointer(&format!("/{}", parent.replace('.', "/")))?.get(key)?,
        None => rollout.pointer(&format!("/{}", path.replace('.', "/")))?,
    };
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        _ => None,
    }
}
