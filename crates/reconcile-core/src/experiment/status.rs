//! The status of an Experiment in Argo's words: phase, message, templates, analyses, conditions.

use api::argo::{ExperimentRunStatus, ExperimentStatus, TemplatePhase, TemplateStatus, is_completed_phase};
use object_model::{Timestamp, format_time};
use serde_json::{Map, Value, json};

use super::decide::note;
use super::snapshot::Snapshot;
use crate::patch::merge_patch;
use crate::rollout::conditions::{Conditions, Holds, text};
use crate::{EventType, ObjectRef, Plan, Precondition, StatusPatch, kinds};

/// The status as it grows in one decision.
#[derive(Debug, Clone)]
pub(super) struct Draft {
    /// Whether nothing is started any more and what runs goes.
    pub(super) is_terminating: bool,
    /// The templates looked at so far.
    pub(super) templates: Vec<TemplateStatus>,
    /// The analyses looked at so far.
    pub(super) runs: Vec<ExperimentRunStatus>,
}

impl Draft {
    pub(super) fn of(snapshot: &Snapshot) -> Self {
        let status = &snapshot.status;
        let is_broken = status
            .templates
            .iter()
            .any(|template| matches!(template.phase, Some(TemplatePhase::Failed | TemplatePhase::Error)));
        let is_judged = status.runs.iter().any(|run| matches!(&*run.phase, "Failed" | "Error" | "Inconclusive"));
        let is_terminating = snapshot.spec.terminate
            || status.is_completed()
            || is_broken
            || is_judged
            || has_required_successes(snapshot, &status.runs);
        Self { is_terminating, templates: Vec::new(), runs: Vec::new() }
    }
}

/// Whether there are analyses that have to end well, and all of them have.
fn has_required_successes(snapshot: &Snapshot, runs: &[ExperimentRunStatus]) -> bool {
    let is_done = |name: &str| runs.iter().any(|run| run.name == name && run.phase == "Successful");
    let mut required = snapshot.spec.analyses.iter().filter(|analysis| analysis.required);
    snapshot.spec.has_required() && required.all(|analysis| is_done(&analysis.name))
}

/// Reports a spec that can't be carried out; nothing that runs is touched.
pub(super) fn invalid(snapshot: &Snapshot, problem: &str, plan: &mut Plan) {
    plan.report.problems.push(problem.to_owned());
    let mut status = live_status(snapshot);
    let mut conditions = Conditions::of(&status);
    if conditions.find("InvalidSpec").map(|item| text(item, "message")) != Some(problem) {
        conditions.renew("InvalidSpec", Holds::Yes, "InvalidSpec", problem, snapshot.now);
    }
    status.insert("conditions".to_owned(), conditions.into_json());
    let transition = format!("invalid/{}", crate::patch::digest(problem));
    note(snapshot, plan, EventType::Warning, "InvalidSpec", problem, &transition);
    put(snapshot, status, plan);
}

fn live_status(snapshot: &Snapshot) -> Map<String, Value> {
    snapshot.experiment.pointer("/status").and_then(Value::as_object).cloned().unwrap_or_default()
}

/// Adds the status write to the plan when anything changed.
pub(super) fn write(snapshot: &Snapshot, draft: Draft, plan: &mut Plan) {
    let before = &snapshot.status;
    let mut after = ExperimentStatus { templates: draft.templates, runs: draft.runs, ..before.clone() };
    match before.phase.as_str() {
        "" => after.phase = "Pending".to_owned(),
        "Pending" | "Running" => assess(snapshot, &mut after),
        _ => {}
    }
    if before.phase != after.phase {
        tell(snapshot, &after, plan);
    }
    if let Some(end) = snapshot.ends_at().filter(|end| !after.is_completed() && *end > snapshot.now) {
        plan.wake_at(end);
        if let Some(until) = snapshot.ends_at() {
            plan.wait(
                format!("Experiment {}", snapshot.experiment.name()),
                format!("it runs until {}", format_time(until)),
            );
        }
    }
    let mut status = live_status(snapshot);
    let mut conditions = Conditions::of(&status);
    condition(snapshot, &after, &mut conditions);
    status.insert("conditions".to_owned(), conditions.into_json());
    status.insert("phase".to_owned(), after.phase.clone().into());
    put_text(&mut status, "message", &after.message);
    put_text(&mut status, "availableAt", &time(after.available_at));
    put_list(&mut status, "templateStatuses", after.templates.iter().map(template_json).collect());
    put_list(&mut status, "analysisRuns", after.runs.iter().filter_map(run_json).collect());
    if status.get("conditions").and_then(Value::as_array).is_some_and(Vec::is_empty) {
        status.remove("conditions");
    }
    put(snapshot, status, plan);
}

fn time(moment: Option<Timestamp>) -> String {
    moment.map(format_time).unwrap_or_default()
}

fn put_text(status: &mut Map<String, Value>, key: &str, value: &str) {
    match value {
        "" => status.remove(key),
        value => status.insert(key.to_owned(), value.into()),
    };
}

fn put_list(status: &mut Map<String, Value>, key: &str, items: Vec<Value>) {
    match items.is_empty() {
        true => status.remove(key),
        false => status.insert(key.to_owned(), Value::Array(items)),
    };
}

fn template_json(template: &TemplateStatus) -> Value {
    let mut json = Map::from_iter([
        ("name".to_owned(), Value::from(template.name.clone())),
        ("replicas".to_owned(), template.replicas.into()),
        ("updatedReplicas".to_owned(), template.replicas.into()),
        ("readyReplicas".to_owned(), template.ready.into()),
        ("availableReplicas".to_owned(), template.available.into()),
    ]);
    put_text(&mut json, "status", template.phase.map(TemplatePhase::as_str).unwrap_or_default());
    put_text(&mut json, "message", &template.message);
    put_text(&mut json, "lastTransitionTime", &time(template.changed_at));
    put_text(&mut json, "serviceName", &template.service);
    put_text(&mut json, "podTemplateHash", &template.hash);
    if let Some(count) = template.collision_count {
        json.insert("collisionCount".to_owned(), count.into());
    }
    Value::Object(json)
}

/// An analysis of which nothing is to be said yet is left out, as Argo's schema wants a phase.
fn run_json(run: &ExperimentRunStatus) -> Option<Value> {
    if run.phase.is_empty() && run.run.is_empty() {
        return None;
    }
    let mut json = Map::from_iter([
        ("name".to_owned(), Value::from(run.name.clone())),
        ("analysisRun".to_owned(), run.run.clone().into()),
        ("phase".to_owned(), run.phase.clone().into()),
    ]);
    put_text(&mut json, "message", &run.message);
    Some(Value::Object(json))
}

/// The phase by how templates and analyses stand, in Argo's order.
fn assess(snapshot: &Snapshot, after: &mut ExperimentStatus) {
    let (templates, told_of_templates) = assess_templates(after);
    let (analyses, told_of_analyses) = assess_runs(snapshot, after);
    if templates == "Running" && after.available_at.is_none() {
        after.available_at = Some(snapshot.now);
    }
    let is_over = is_completed_phase(templates);
    let analyses_decide = match is_over {
        true => templates == "Successful" && (is_completed_phase(&analyses) || snapshot.spec.has_required()),
        false => {
            (is_completed_phase(&analyses) && analyses != "Successful") || has_required_successes(snapshot, &after.runs)
        }
    };
    (after.phase, after.message) = match analyses_decide {
        true => (analyses, told_of_analyses),
        false => (templates.to_owned(), told_of_templates),
    };
}

/// The worst of the templates, as a phase of the experiment.
fn assess_templates(after: &ExperimentStatus) -> (&'static str, String) {
    let worst = after.templates.iter().filter(|template| template.phase.is_some()).fold(
        None,
        |worst: Option<&TemplateStatus>, template| match worst {
            Some(worst) if worst.phase >= template.phase => Some(worst),
            _ => Some(template),
        },
    );
    let phase = match worst.and_then(|worst| worst.phase) {
        Some(TemplatePhase::Progressing) => "Pending",
        Some(TemplatePhase::Failed) => "Failed",
        Some(TemplatePhase::Error) => "Error",
        Some(TemplatePhase::Running) => "Running",
        Some(TemplatePhase::Successful) | None => "Successful",
    };
    (phase, worst.map(|worst| worst.message.clone()).unwrap_or_default())
}

/// The worst of the analyses, as a phase of the experiment.
fn assess_runs(snapshot: &Snapshot, after: &ExperimentStatus) -> (String, String) {
    const ORDER: [&str; 6] = ["Successful", "Running", "Pending", "Inconclusive", "Error", "Failed"];
    let rank = |phase: &str| ORDER.iter().position(|word| *word == phase).unwrap_or(0);
    let mut worst = ("Successful", "");
    for analysis in &snapshot.spec.analyses {
        let run = after.runs.iter().find(|run| run.name == analysis.name);
        // One that has not begun is no worse than one that runs, and no better.
        let (phase, message) = run.map_or(("Pending", ""), |run| match run.phase.as_str() {
            "" => ("Pending", ""),
            phase => (phase, run.message.as_str()),
        });
        if rank(phase) > rank(worst.0) {
            worst = (phase, message);
        }
    }
    if has_required_successes(snapshot, &after.runs) && rank(worst.0) <= rank("Pending") {
        return ("Successful".to_owned(), "Required AnalysisRuns completed".to_owned());
    }
    match worst {
        ("Pending", message) => ("Running".to_owned(), message.to_owned()),
        (phase, message) => (phase.to_owned(), message.to_owned()),
    }
}

fn tell(snapshot: &Snapshot, after: &ExperimentStatus, plan: &mut Plan) {
    let (kind, reason) = match after.phase.as_str() {
        "Failed" => (EventType::Warning, "ExperimentFailed"),
        "Error" => (EventType::Warning, "ExperimentError"),
        "Inconclusive" => (EventType::Warning, "ExperimentInconclusive"),
        "Successful" => (EventType::Normal, "ExperimentSuccessful"),
        "Running" => (EventType::Normal, "ExperimentRunning"),
        _ => (EventType::Normal, "ExperimentPending"),
    };
    let text = format!("Experiment transitioned from {} -> {}", snapshot.status.phase, after.phase);
    let transition = format!("phase/{}", snapshot.experiment.resource_version().unwrap_or_default());
    note(snapshot, plan, kind, reason, &text, &transition);
}

fn condition(snapshot: &Snapshot, after: &ExperimentStatus, conditions: &mut Conditions) {
    const PROGRESSING: &str = "Progressing";
    let name = snapshot.experiment.name();
    conditions.drop("InvalidSpec");
    let counted = |status: &ExperimentStatus| -> Vec<(String, u32, u32, u32)> {
        let templates = status.templates.iter();
        templates.map(|it| (it.name.clone(), it.replicas, it.ready, it.available)).collect()
    };
    let has_progressed = counted(&snapshot.status) != counted(after);
    if after.phase == "Successful" {
        let message = format!("Experiment \"{name}\" has successfully ran and completed.");
        conditions.set(PROGRESSING, Holds::No, "ExperimentCompleted", &message, snapshot.now);
    } else if has_progressed {
        let message = format!("Experiment \"{name}\" is progressing.");
        conditions.renew(PROGRESSING, Holds::Yes, "ReplicaSetUpdated", &message, snapshot.now);
    } else if snapshot.status.available_at.is_some() && !snapshot.has_run_long_enough() {
        let message = format!("Experiment \"{name}\" is running.");
        conditions.set(PROGRESSING, Holds::Yes, "NewReplicaSetAvailable", &message, snapshot.now);
    }
}

fn put(snapshot: &Snapshot, status: Map<String, Value>, plan: &mut Plan) {
    let live = Value::Object(live_status(snapshot));
    let Some(patch) = merge_patch(&live, &Value::Object(status)) else { return };
    plan.status = Some(StatusPatch {
        target: ObjectRef::of(&kinds::experiment(), &snapshot.experiment),
        patch: json!({"status": patch}),
        precondition: Precondition::exact(&snapshot.experiment),
        // Argo's Experiment has no status subresource.
        subresource: false,
    });
}
