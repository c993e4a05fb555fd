//! Decides the next safe step of a Promotion. Pure.
//!
//! | phase | has been persisted | does | next when |
//! |---|---|---|---|
//! | Waiting | nothing | looks at the gates | all are open: Writing, with what the commit will say and when |
//! | Writing | time, images, message | asks for the commit on the present head | it is known: base and id are persisted |
//! | Writing | and base, id | pushes with the base as the expected old id | pushed: Committed; raced: next attempt on the new head |
//! | Committed | the commit | waits until the configs that deliver the path have it and are healthy | Succeeded |
//! | Failed, Succeeded, Superseded | all | nothing | never |
//!
//! The commit is a function of what was persisted, so a crash anywhere repeats the same id; the worker finds an operation
//! that is already on the branch.

use api::PromotionAction;
use env_promotion::{Gate, GateResult, ImageReference, Version, judge_gates};

use super::message;
use super::snapshot::{Image, Snapshot, Target, Write, plan_slot, push_slot};
use super::status::{self, Standing};
use crate::bugs::{self, Bug};
use crate::sync::head_slot;
use crate::{Act, Action, Answer, CommitPlan, Edits, Plan, PlannedCommit, PushResult, Question};

/// New bases that are taken before a Promotion gives up.
const ATTEMPTS_MAX: i64 = 50;

/// Returns the plan that moves a Promotion one safe step closer to its end.
pub(super) fn decide(snapshot: &Snapshot) -> Plan {
    let mut plan = Plan::empty();
    if status::is_over(&snapshot.promotion) || snapshot.promotion.is_deleting() {
        return plan;
    }
    let standing = stand(snapshot, &mut plan);
    if !matches!(standing.phase, "Succeeded" | "Failed" | "Superseded") {
        plan.wait(format!("Promotion {}", snapshot.promotion.name()), standing.message.clone());
    }
    status::write(snapshot, &standing, &mut plan);
    plan
}

fn stand(snapshot: &Snapshot, plan: &mut Plan) -> Standing {
    let write = snapshot.write.clone();
    if !snapshot.problems.is_empty() {
        let list: Vec<String> = snapshot.problems.iter().map(ToString::to_string).collect();
        return standing("Waiting", "InvalidSpec", list.join("; "), write);
    }
    let Some(target) = &snapshot.target else { return standing("Waiting", "InvalidSpec", "it names no target", write) };
    if write.pushed.is_some() {
        return committed(target, write);
    }
    if write.time.is_none() {
        return wait(snapshot, target, write, plan);
    }
    match (&write.base, &write.planned) {
        (Some(_), Some(_)) => push(snapshot, target, write, plan),
        _ => compute(snapshot, target, write, plan),
    }
}

/// Waits for the gates; then everything that the commit is made of is persisted, so that it is one commit for ever,
/// whatever the source environment runs next.
fn wait(snapshot: &Snapshot, target: &Target, write: Write, plan: &mut Plan) -> Standing {
    let images = images(snapshot);
    let gates = gates(snapshot, target, &images);
    let answer = judge_gates(&gates);
    if answer.result != GateResult::Passed {
        if let Some(due) = answer.wake {
            plan.wake_at(due);
        }
        return Standing { gates, ..standing("Waiting", "GateClosed", answer.waiting_on.join("; "), write) };
    }
    let images = images.unwrap_or_default();
    let message = message::message(snapshot, &images);
    let write = Write { time: Some(whole_second(snapshot)), images, message, ..write };
    Standing { gates, ..standing("Writing", "Planning", "the commit is being planned", write) }
}

fn standing(phase: &'static str, reason: &'static str, message: impl Into<String>, write: Write) -> Standing {
    Standing { phase, reason, message: message.into(), write, gates: Vec::new() }
}

fn whole_second(snapshot: &Snapshot) -> object_model::Timestamp {
    object_model::Timestamp::from_second(snapshot.now.as_second()).unwrap_or(snapshot.now)
}

/// The images to set: those that the spec names, else those that run healthy in the source environment.
fn images(snapshot: &Snapshot) -> Result<Vec<Image>, String> {
    let spec = &snapshot.spec;
    if spec.action == PromotionAction::Rollback {
        return Ok(Vec::new());
    }
    let read = |text: &str| ImageReference::parse(text).map_err(|error| error.to_string());
    let mut images = Vec::new();
    for (name, image) in &spec.versions {
        images.push(named(name, read(image)?)?);
    }
    if !images.is_empty() {
        return Ok(images);
    }
    for (name, repository) in snapshot.pipeline.iter().flat_map(|pipeline| &pipeline.versions) {
        let repository = read(repository)?;
        let Some(runs) = snapshot.source_images.iter().find(|image| image.is_same_repository(&repository)) else {
            continue;
        };
        images.push(named(name, repository.with_version(runs.tag.as_deref(), runs.digest.as_deref()))?);
    }
    match images.is_empty() {
        true => Err(format!("no version of pipeline {} runs healthy in {}", spec.pipeline, spec.from)),
        false => Ok(images),
    }
}

fn named(name: &str, reference: ImageReference) -> Result<Image, String> {
    match Version::new(name, reference.tag.as_deref(), reference.digest.as_deref()) {
        Ok(version) => Ok(Image { version, reference }),
        Err(error) => Err(error.to_string()),
    }
}

fn gates(snapshot: &Snapshot, target: &Target, images: &Result<Vec<Image>, String>) -> Vec<Gate> {
    let spec = &snapshot.spec;
    if spec.action == PromotionAction::Rollback {
        return Vec::new();
    }
    let passed = |name: &str, evidence: String| Gate::new(name, GateResult::Passed, evidence);
    let waiting = |name: &str, evidence: String| Gate::new(name, GateResult::Waiting, evidence);
    let version = match images {
        Err(why) => waiting("version", why.clone()),
        Ok(images) => {
            let names: Vec<String> = images.iter().map(|image| image.reference.to_string()).collect();
            passed("version", names.join(", "))
        }
    };
    let images = images.as_deref().unwrap_or_default();
    let configs = target.configs.values().chain(snapshot.source_configs.values());
    let good = match configs.filter_map(|config| bad_version(config, images)).next() {
        Some(why) => Gate::new("not-rolled-back", GateResult::Waiting, why),
        None => passed("not-rolled-back", "none of them was rolled back".to_owned()),
    };
    let hold = match &target.hold {
        Some(reason) => waiting("hold", format!("{} is on hold: {reason}", spec.to)),
        None => passed("hold", format!("{} is not on hold", spec.to)),
    };
    vec![order_gate(snapshot), source_gate(snapshot), version, good, hold]
}

/// Whether the pipeline has this way.
fn order_gate(snapshot: &Snapshot) -> Gate {
    let spec = &snapshot.spec;
    let mut stages = snapshot.pipeline.iter().flat_map(|pipeline| &pipeline.stages);
    let (result, evidence) = match stages.find(|stage| stage.environment == spec.to) {
        None => (GateResult::Waiting, format!("pipeline {} has no environment {}", spec.pipeline, spec.to)),
        Some(stage) if !stage.from.contains(&spec.from) => (
            GateResult::Waiting,
            format!("pipeline {} does not promote from {} to {}", spec.pipeline, spec.from, spec.to),
        ),
        Some(_) => (GateResult::Passed, format!("{} follows {}", spec.to, spec.from)),
    };
    Gate::new("order", result, evidence)
}

/// Whether everything that delivers the source environment is ready.
fn source_gate(snapshot: &Snapshot) -> Gate {
    let from = &snapshot.spec.from;
    let ready = |config: &object_model::Object| {
        let conditions = config.list_at("/status/conditions");
        conditions
            .iter()
            .any(|item| item.get("type") == Some(&"Ready".into()) && item.get("status") == Some(&"True".into()))
    };
    let unready = snapshot.source_configs.iter().find(|(_, config)| !ready(config));
    let (result, evidence) = match (snapshot.source_configs.is_empty(), unready) {
        (true, _) => (GateResult::Waiting, format!("no GitOpsConfig delivers environment {from}")),
        (false, Some((name, _))) => (GateResult::Waiting, format!("GitOpsConfig {name} of {from} is not ready")),
        (false, None) => (GateResult::Passed, format!("{from} is ready")),
    };
    Gate::new("source-healthy", result, evidence)
}

/// Whether a config of the way rolled one of these images back.
fn bad_version(config: &object_model::Object, images: &[Image]) -> Option<String> {
    let bad = config.list_at("/status/badVersions");
    let mut names = bad.iter().filter_map(|item| item.get("image")?.as_str());
    let found = names.find(|name| {
        ImageReference::parse(name).is_ok_and(|bad| images.iter().any(|image| image.reference.is_same_image(&bad)))
    })?;
    Some(format!("{found} was rolled back by {}", config.name()))
}

fn commit_plan(snapshot: &Snapshot, target: &Target, write: &Write) -> CommitPlan {
    let edits = match snapshot.spec.action {
        PromotionAction::Rollback => Edits::Restore {
            bad: snapshot.spec.reverts.clone(),
            healthy: snapshot.spec.restores.clone(),
            paths: snapshot.spec.paths.clone(),
        },
        PromotionAction::Promote => {
            let images = write.images.iter().map(|image| &image.reference);
            let images = images.map(|image| (image.repository.clone(), image.to_string())).collect();
            Edits::SetImages { path: target.path.clone(), images }
        }
    };
    CommitPlan {
        source: target.git.clone(),
        write_credential: target.write_credential.clone(),
        edits,
        operation: snapshot.operation(),
        author: message::author(snapshot),
        time: write.time.filter(|_| !bugs::on(Bug::CommitOfTheMoment)).unwrap_or(snapshot.now),
        message: write.message.clone(),
    }
}

fn compute(snapshot: &Snapshot, target: &Target, mut write: Write, plan: &mut Plan) -> Standing {
    match snapshot.planned.as_deref() {
        Some(Answer::Planned(PlannedCommit::Ready { base, commit, paths })) => {
            write.base = Some(base.clone());
            write.planned = Some(commit.clone());
            standing("Writing", "Planned", format!("commit {commit} changes {}", paths.join(", ")), write)
        }
        Some(Answer::Planned(PlannedCommit::AlreadyThere { commit })) => {
            write.pushed = Some(commit.clone());
            standing("Committed", "Committed", format!("commit {commit} already says it"), write)
        }
        Some(Answer::Planned(PlannedCommit::Conflict { message })) => {
            standing("Failed", "EditConflict", message.clone(), write)
        }
        Some(Answer::Failed(failure)) if failure.lasting => {
            standing("Failed", "PlanFailed", failure.message.clone(), write)
        }
        Some(Answer::Failed(failure)) => {
            retry(snapshot, failure.at, failure.message.clone(), write, plan, |snapshot, write| {
                ask_plan(snapshot, target, write)
            })
        }
        _ => {
            plan.stage(vec![ask_plan(snapshot, target, &write)]);
            standing("Writing", "Planning", "the commit is being planned", write)
        }
    }
}

fn ask_plan(snapshot: &Snapshot, target: &Target, write: &Write) -> Act {
    let question = Question::PlanCommit(commit_plan(snapshot, target, write));
    Act::new(Action::Ask { slot: plan_slot(&snapshot.uid(), write.attempt), question: Box::new(question) })
}

fn push(snapshot: &Snapshot, target: &Target, mut write: Write, plan: &mut Plan) -> Standing {
    match snapshot.pushed.as_deref() {
        Some(Answer::Push(PushResult::Pushed { commit })) => {
            write.pushed = Some(commit.clone());
            plan.stage(vec![fetch_now(target)]);
            let text = format!("pushed commit {commit} to {}", target.git.branch_name());
            standing("Committed", "Committed", text, write)
        }
        Some(Answer::Push(PushResult::Raced { head })) => {
            if write.attempt + 1 >= ATTEMPTS_MAX {
                return standing(
                    "Failed",
                    "Raced",
                    format!("{ATTEMPTS_MAX} pushes lost the race for {}", target.git.branch_name()),
                    write,
                );
            }
            write.attempt += 1;
            write.base = None;
            write.planned = None;
            standing(
                "Writing",
                "Raced",
                format!("somebody pushed {} first; planning on it", head.get(..12).unwrap_or(head)),
                write,
            )
        }
        Some(Answer::Push(PushResult::Refused { message })) => standing(
            "Failed",
            "WriteDenied",
            format!("the Git server refused the push to {}: {message}", target.git.branch_name()),
            write,
        ),
        Some(Answer::Failed(failure)) if failure.lasting => {
            standing("Failed", "PushFailed", failure.message.clone(), write)
        }
        Some(Answer::Failed(failure)) => {
            retry(snapshot, failure.at, failure.message.clone(), write, plan, |snapshot, write| {
                ask_push(snapshot, target, write)
            })
        }
        _ => {
            plan.stage(vec![ask_push(snapshot, target, &write)]);
            standing(
                "Writing",
                "Pushing",
                format!("commit {} is being pushed", write.planned.clone().unwrap_or_default()),
                write,
            )
        }
    }
}

fn ask_push(snapshot: &Snapshot, target: &Target, write: &Write) -> Act {
    let commit = write.planned.clone().unwrap_or_default();
    let question = Question::Push {
        plan: commit_plan(snapshot, target, write),
        base: write.base.clone().unwrap_or_default(),
        commit: commit.clone(),
    };
    Act::new(Action::Ask { slot: push_slot(&snapshot.uid(), &commit), question: Box::new(question) })
}

/// Asks again ten seconds after a passing failure.
fn retry(
    snapshot: &Snapshot,
    at: object_model::Timestamp,
    why: String,
    write: Write,
    plan: &mut Plan,
    ask: impl Fn(&Snapshot, &Write) -> Act,
) -> Standing {
    let due = crate::time::after(at, object_model::Duration::from_secs(10));
    match due {
        Some(due) if due > snapshot.now => plan.wake_at(due),
        _ => plan.stage(vec![ask(snapshot, &write)]),
    }
    standing("Writing", "Retrying", why, write)
}

/// Waits until what was pushed is what runs.
fn committed(target: &Target, mut write: Write) -> Standing {
    let pushed = write.pushed.clone().unwrap_or_default();
    let at = |config: &object_model::Object, pointer: &str| config.str_at(pointer) == Some(&pushed);
    let healthy = |config: &object_model::Object| at(config, "/status/lastHealthy/commit");
    if let Some((name, _)) = target.configs.iter().find(|(_, config)| at(config, "/status/rollback/commit")) {
        return standing(
            "Failed",
            "RolledBack",
            format!("commit {pushed} failed in {name} and is being taken back"),
            write,
        );
    }
    if target.configs.is_empty() {
        let text = format!("commit {pushed} is on {}; no config delivers {}", target.git.branch_name(), target.path);
        return standing("Succeeded", "Committed", text, write);
    }
    let Some((name, config)) = target.configs.iter().find(|(_, config)| !healthy(config)) else {
        return standing("Succeeded", "Healthy", format!("commit {pushed} is healthy"), write);
    };
    let is_there = at(config, "/status/source/commit");
    if write.delivered && !is_there {
        let text = format!("{name} went on to another commit before {pushed} was healthy");
        return standing("Superseded", "Superseded", text, write);
    }
    write.delivered |= is_there;
    standing("Committed", "RollingOut", format!("commit {pushed} is rolling out in {name}"), write)
}

/// The fetch that lets configs see a pushed commit at once.
fn fetch_now(target: &Target) -> Act {
    Act::new(Action::Ask { slot: head_slot(&target.git), question: Box::new(Question::Fetch(target.git.clone())) })
}
