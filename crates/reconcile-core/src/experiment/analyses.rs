//! The AnalysisRuns of an experiment: made once all templates are available, ended with it.

use api::argo::{ExperimentAnalysis, ExperimentRunStatus, is_completed_phase};
use api::names;
use object_model::{Duration, Object, format_time};
use serde_json::{Value, json};

use super::decide::{note, note_on_rollout};
use super::replica_sets::owner_reference;
use super::snapshot::Snapshot;
use super::status::Draft;
use crate::analysis::recipe;
use crate::time::after;
use crate::{Act, Action, EventType, ObjectRef, Plan, Precondition, kinds};

/// How long a template that is not there may still come: it was perhaps applied in the same breath as the experiment.
const TEMPLATE_PATIENCE: Duration = Duration::from_secs(10);
/// Names of one analysis that are tried: each earlier try of the experiment took one.
const NAMES_MAX: u32 = 1_000;

/// Brings one analysis a step further and writes down how it stands.
pub(super) fn advance(snapshot: &Snapshot, analysis: &ExperimentAnalysis, draft: &mut Draft, plan: &mut Plan) {
    let before = snapshot.status.run(&analysis.name).cloned().unwrap_or_default();
    let mut status = ExperimentRunStatus { name: analysis.name.clone(), ..before.clone() };
    if snapshot.status.available_at.is_none() {
        verify(snapshot, analysis, &mut status, plan);
    } else if before.run.is_empty() {
        if !draft.is_terminating && !is_completed_phase(&before.phase) {
            create(snapshot, analysis, &mut status, plan);
        }
    } else if !is_completed_phase(&before.phase) {
        follow(snapshot, draft.is_terminating, &mut status, plan);
    }
    if before.phase != status.phase && !status.phase.is_empty() {
        tell(snapshot, &before, &status, plan);
    }
    draft.runs.push(status);
}

fn tell(snapshot: &Snapshot, before: &ExperimentRunStatus, status: &ExperimentRunStatus, plan: &mut Plan) {
    let mut text = format!("AnalysisRun '{}' transitioned from {} -> {}", status.name, before.phase, status.phase);
    if !status.message.is_empty() {
        text = format!("{text}: {}", status.message);
    }
    let (kind, reason) = match status.phase.as_str() {
        "Failed" => (EventType::Warning, "AnalysisRunFailed"),
        "Error" => (EventType::Warning, "AnalysisRunError"),
        "Inconclusive" => (EventType::Warning, "AnalysisRunInconclusive"),
        "Successful" => (EventType::Normal, "AnalysisRunSuccessful"),
        "Pending" => (EventType::Normal, "AnalysisRunPending"),
        _ => (EventType::Normal, "AnalysisRunRunning"),
    };
    let version = snapshot.experiment.resource_version().unwrap_or_default();
    note(snapshot, plan, kind, reason, &text, &format!("analysis/{}/{version}", status.name));
    note_on_rollout(snapshot, plan, kind, reason, &text, &format!("{}/{version}", status.name));
}

/// Before anything is measured: whether there is something to measure by.
fn verify(snapshot: &Snapshot, analysis: &ExperimentAnalysis, status: &mut ExperimentRunStatus, plan: &mut Plan) {
    if snapshot.recipes.contains_key(&(analysis.template.clone(), analysis.cluster_scope)) {
        return;
    }
    let (kind, plural) = match analysis.cluster_scope {
        true => ("ClusterAnalysisTemplate", "clusteranalysistemplate"),
        false => ("AnalysisTemplate", "analysistemplate"),
    };
    let patience = snapshot.experiment.creation_time().and_then(|made| after(made, TEMPLATE_PATIENCE));
    if let Some(end) = patience.filter(|end| *end > snapshot.now) {
        plan.wait(format!("{kind} {}", analysis.template), "it is not there yet");
        plan.wake_at(end);
        return;
    }
    status.phase = "Error".to_owned();
    status.message = format!(
        "{kind} verification failed for analysis '{}': {plural}.argoproj.io \"{}\" not found",
        analysis.name, analysis.template
    );
}

fn create(snapshot: &Snapshot, analysis: &ExperimentAnalysis, status: &mut ExperimentRunStatus, plan: &mut Plan) {
    let made = free_name(snapshot, analysis).ok_or_else(|| "all its names are taken".to_owned()).and_then(|name| {
        if snapshot.runs.contains_key(&name) {
            return Ok((name, None));
        }
        run(snapshot, analysis, &name).map(|object| (name, Some(object)))
    });
    match made {
        Ok((name, object)) => {
            let create = |object| Act::new(Action::Create { kind: kinds::analysis_run(), object: Box::new(object) });
            plan.stage(object.into_iter().map(create).collect());
            status.phase = "Pending".to_owned();
            status.run = name;
        }
        Err(why) => {
            status.phase = "Error".to_owned();
            status.message = format!("Failed to create AnalysisRun for analysis '{}': {why}", analysis.name);
        }
    }
}

/// The name of the run: one that is there from this try, or the first that no earlier try took.
fn free_name(snapshot: &Snapshot, analysis: &ExperimentAnalysis) -> Option<String> {
    let stem = format!("{}-{}", snapshot.experiment.name(), analysis.name);
    let is_earlier = |run: &Object| {
        // The moment was written before the first run of this try was made.
        let is_older = run.creation_time() < snapshot.status.available_at;
        is_older && is_completed_phase(run.str_at("/status/phase").unwrap_or_default())
    };
    let mut names = std::iter::once(stem.clone()).chain((1..NAMES_MAX).map(|turn| format!("{stem}.{turn}")));
    names.find(|name| snapshot.runs.get(name).is_none_or(|run| !is_earlier(run)))
}

fn run(snapshot: &Snapshot, analysis: &ExperimentAnalysis, name: &str) -> Result<Object, String> {
    let templates = vec![(analysis.template.clone(), analysis.cluster_scope)];
    let args: Result<Vec<Value>, String> = analysis.args.iter().map(|argument| resolved(snapshot, argument)).collect();
    let order = recipe::Order {
        templates: templates.clone(),
        args: args?,
        dry_run: snapshot.spec.dry_run.clone(),
        measurement_retention: snapshot.spec.measurement_retention.clone(),
    };
    let spec = recipe::spec(&snapshot.recipes, &order)?;
    let mut object = Object::new("argoproj.io/v1alpha1", "AnalysisRun", Some(snapshot.namespace()), name);
    if let Some(instance) = snapshot.experiment.label(names::INSTANCE_ID) {
        object.set_label(names::INSTANCE_ID, instance);
    }
    recipe::set_metadata(&mut object, &snapshot.spec.run_metadata);
    if let Some(comparisons) = recipe::comparisons(&snapshot.recipes, templates) {
        object.set_annotation(::analysis::COMPARE_ANNOTATION, &comparisons);
    }
    object.set_at(&["metadata", "ownerReferences"], json!([owner_reference(snapshot)]));
    object.set_at(&["spec"], spec);
    Ok(object)
}

/// An argument with what only the experiment knows put in: `{{templates.NAME.podTemplateHash}}` and the like.
fn resolved(snapshot: &Snapshot, argument: &Value) -> Result<Value, String> {
    let Some(text) = argument.get("value").and_then(Value::as_str) else { return Ok(argument.clone()) };
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        let Some((tag, after)) = after.split_once("}}") else {
            return Err(format!("cannot find end tag=\"}}}}\" in the template={text:?}"));
        };
        out.push_str(before);
        out.push_str(&known(snapshot, tag.trim()).ok_or_else(|| format!("failed to resolve {{{{{tag}}}}}"))?);
        rest = after;
    }
    out.push_str(rest);
    let mut argument = argument.clone();
    if let Value::Object(map) = &mut argument {
        map.insert("value".to_owned(), out.into());
    }
    Ok(argument)
}

fn known(snapshot: &Snapshot, tag: &str) -> Option<String> {
    match tag {
        "experiment.availableAt" => snapshot.status.available_at.map(format_time),
        "experiment.finishedAt" => snapshot.ends_at().map(format_time),
        _ => {
            let rest = tag.strip_prefix("templates.")?;
            let of = |suffix: &str| snapshot.templates.get(rest.strip_suffix(suffix)?)?.set.as_ref();
            let hash = of(".podTemplateHash").map(|set| set.hash.to_string());
            hash.or_else(|| of(".replicaset.name").map(|set| set.name().to_owned()))
        }
    }
}

/// Takes over what the run says, or ends it.
fn follow(snapshot: &Snapshot, is_terminating: bool, status: &mut ExperimentRunStatus, plan: &mut Plan) {
    let Some(run) = snapshot.runs.get(&status.run) else {
        if !is_terminating {
            status.phase = "Error".to_owned();
            status.message = format!("analysisrun.argoproj.io \"{}\" not found", status.run);
        }
        return;
    };
    let phase = run.str_at("/status/phase").unwrap_or_default();
    if is_terminating {
        if !is_completed_phase(phase) && run.bool_at("/spec/terminate") != Some(true) {
            plan.stage(vec![Act::new(Action::Patch {
                target: ObjectRef::of(&kinds::analysis_run(), run),
                patch: json!({"spec": {"terminate": true}}),
                precondition: Precondition::uid(run),
            })]);
            let text = format!("Terminating {} ({})", status.name, status.run);
            let transition = format!("terminating/{}", status.run);
            note(snapshot, plan, EventType::Normal, "AnalysisRunTerminating", &text, &transition);
        }
        return;
    }
    if !phase.is_empty() {
        status.phase = phase.to_owned();
        status.message = run.str_at("/status/message").unwrap_or_default().to_owned();
    }
}
