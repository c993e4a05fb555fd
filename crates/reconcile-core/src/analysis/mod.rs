//! The analysis domain: AnalysisRuns measured by the state machine of the `analysis` crate.

use std::collections::BTreeMap;
use std::sync::Arc;

use ::analysis::{
    Answer as Measured, Query, QueryKey, Reply, RunInput, RunSpec, RunStatus, RunStep, SecretAnswer, SecretRef,
    Settings,
};
use object_model::{Object, Timestamp, Uid};
use serde_json::{Value, json};

use crate::patch::{digest, merge_patch};
use crate::{
    Act, Action, Answer, Domain, EventType, HttpQuery, HttpReply, Key, Kind, Note, ObjectRef, Plan, Precondition,
    Question, Reason, Slot, StatusPatch, View, Violation, kinds,
};

/// Measures AnalysisRuns.
#[derive(Debug, Clone, Default)]
pub struct AnalysisDomain {
    /// Settings of the installation, such as the address of Prometheus where a metric names none.
    pub settings: Settings,
    /// Runs with another `controller-instance-id` label belong to another controller; empty means: no label.
    pub instance_id: String,
}

/// Everything that an analysis decision reads.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// The present moment.
    pub now: Timestamp,
    /// The AnalysisRun as seen.
    pub run: Arc<Object>,
    /// Its uid.
    pub uid: Uid,
    /// Its spec, and what of it can't be read.
    pub spec: RunSpec,
    /// Fields of the spec that can't be read.
    pub problems: Vec<String>,
    /// Its status, or why it can't be read.
    pub status: Result<RunStatus, String>,
    /// Settings of the installation.
    pub settings: Settings,
    /// Answers to the queries that are open.
    pub replies: BTreeMap<QueryKey, Reply>,
    /// Open queries that are on their way.
    pub asked: Vec<QueryKey>,
    /// Answers that the status has taken in.
    pub used: Vec<Slot>,
}

impl Domain for AnalysisDomain {
    type Snapshot = Snapshot;

    const NAME: &'static str = "analysis";

    fn observe(&self, view: &dyn View, key: &Key) -> Option<Snapshot> {
        let run = view.get(&kinds::analysis_run(), &key.namespace, &key.name)?;
        if run.label(api::names::INSTANCE_ID).unwrap_or_default() != self.instance_id {
            return None;
        }
        let uid = run.uid()?;
        let (spec, diagnostics) = RunSpec::parse(run.pointer("/spec").unwrap_or(&Value::Null));
        let status = RunStatus::parse(run.pointer("/status")).map_err(|error| error.to_string());
        let mut snapshot = Snapshot {
            now: view.now(),
            problems: diagnostics
                .iter()
                .map(|diagnostic| format!("{}: {}", diagnostic.field, diagnostic.message))
                .collect(),
            settings: self.settings.clone(),
            replies: BTreeMap::new(),
            asked: Vec::new(),
            used: Vec::new(),
            uid,
            spec,
            status,
            run,
        };
        snapshot.observe_answers(view);
        Some(snapshot)
    }

    fn decide(&self, snapshot: &Snapshot) -> Plan {
        let mut plan = decide(snapshot);
        plan.hush();
        plan
    }

    fn check(&self, snapshot: &Snapshot, plan: &Plan) -> Vec<Violation> {
        check(snapshot, plan)
    }

    fn watches(&self) -> Vec<Kind> {
        vec![kinds::analysis_run()]
    }

    fn keys_for(&self, _view: &dyn View, object: &Object) -> Vec<Key> {
        vec![Key::of(object)]
    }
}

impl Snapshot {
    /// Looks for answers: first what would be asked, then whether it was answered.
    fn observe_answers(&mut self, view: &dyn View) {
        let Some(step) = self.step() else { return };
        for query in step.queries {
            let slot = slot_of(&query.key);
            match view.answer(&slot).as_deref() {
                Some(Answer::Http(reply)) => {
                    self.replies.insert(query.key, reply_of(reply));
                }
                _ if view.is_asked(&slot) => self.asked.push(query.key),
                _ => {}
            }
        }
        let Ok(status) = &self.status else { return };
        for result in &status.metric_results {
            let last = result.next_ordinal().saturating_sub(1);
            let slot = slot_of(&QueryKey { run: self.uid.clone(), metric: result.name.clone(), ordinal: last });
            if view.answer(&slot).is_some() {
                self.used.push(slot);
            }
        }
    }

    fn step(&self) -> Option<RunStep> {
        let status = self.status.as_ref().ok()?;
        let mut secrets = BTreeMap::new();
        let step = self.step_with(status, &secrets);
        if step.secrets.is_empty() {
            return Some(step);
        }
        for secret in step.secrets {
            let why = format!("Secret {} is not readable: this operator reads no Secrets for analysis", secret.name);
            secrets.insert(secret, SecretAnswer::Missing(why));
        }
        Some(self.step_with(status, &secrets))
    }

    fn step_with(&self, status: &RunStatus, secrets: &BTreeMap<SecretRef, SecretAnswer>) -> RunStep {
        ::analysis::step(&RunInput {
            run: &self.uid,
            spec: &self.spec,
            status,
            replies: &self.replies,
            secrets,
            settings: &self.settings,
            now: self.now,
        })
    }
}

/// Where the answer to a query is kept: one name for ever, so that a repeat is the same query.
fn slot_of(key: &QueryKey) -> Slot {
    Slot::new(key.run.as_str(), format!("metric/{}/{}", key.metric, key.ordinal))
}

fn reply_of(reply: &HttpReply) -> Reply {
    match reply {
        HttpReply::Response { status, body, at } => Reply {
            started_at: *at,
            finished_at: *at,
            answer: Measured::Http { status: *status, body: body.clone().into_bytes() },
        },
        HttpReply::Failed { message, at } => {
            Reply { started_at: *at, finished_at: *at, answer: Measured::Failed { reason: message.clone() } }
        }
    }
}

fn decide(snapshot: &Snapshot) -> Plan {
    let mut plan = Plan::empty();
    if snapshot.run.is_deleting() {
        return plan;
    }
    let Some(step) = snapshot.step() else {
        let why = snapshot.status.as_ref().err().cloned().unwrap_or_default();
        plan.report.problems.push(why.clone());
        plan.wait(format!("AnalysisRun {}", snapshot.run.name()), why);
        return plan;
    };
    plan.report.problems.clone_from(&snapshot.problems);
    let open: Vec<&Query> = step.queries.iter().filter(|query| !snapshot.asked.contains(&query.key)).collect();
    plan.stage(open.into_iter().map(ask).collect());
    plan.stage(snapshot.used.iter().map(|slot| Act::new(Action::Forget { slot: slot.clone() })).collect());
    if !step.queries.is_empty() {
        plan.wait(
            format!("AnalysisRun {}", snapshot.run.name()),
            format!("{} measurements are under way", step.queries.len()),
        );
    }
    if let Some(wake) = step.wake {
        plan.wake_at(wake);
    }
    expire(snapshot, &mut plan);
    notes(snapshot, &step, &mut plan);
    write(snapshot, &step, &mut plan);
    plan
}

fn ask(query: &Query) -> Act {
    let request = &query.request;
    let http = HttpQuery {
        method: request.method.to_owned(),
        url: request.url.expose().clone(),
        headers: request.headers.clone(),
        body: request.body.as_ref().map(|body| body.expose().clone()),
        timeout_ms: request.timeout_ms,
        body_bytes_max: request.max_body_bytes,
        insecure_tls: request.insecure_tls,
    };
    Act::new(Action::Ask { slot: slot_of(&query.key), question: Box::new(Question::Http(http)) })
}

/// Deletes a run whose time to live is over.
fn expire(snapshot: &Snapshot, plan: &mut Plan) {
    let Some(end) = snapshot.status.as_ref().ok().and_then(|status| snapshot.spec.expires_at(status)) else { return };
    if end > snapshot.now {
        plan.wake_at(end);
        return;
    }
    let action = Action::Delete {
        target: ObjectRef::of(&kinds::analysis_run(), &snapshot.run),
        precondition: Precondition::exact(&snapshot.run),
        propagation: crate::Propagation::Background,
    };
    plan.stage(vec![Act::new(action)]);
}

fn notes(snapshot: &Snapshot, step: &RunStep, plan: &mut Plan) {
    let mut note = |kind, reason: &'static str, message: String, transition: String| {
        let about = ObjectRef::of(&kinds::analysis_run(), &snapshot.run);
        plan.notes.push(Note { about, uid: snapshot.uid.clone(), kind, reason: Reason(reason), message, transition });
    };
    for (metric, phase) in &step.ended_metrics {
        let (kind, reason) = told("Metric", *phase);
        note(kind, reason, format!("Metric '{metric}' Completed. Result: {phase}"), format!("metric/{metric}/{phase}"));
    }
    let was_completed =
        snapshot.status.as_ref().is_ok_and(|status| status.phase.is_some_and(::analysis::Phase::is_completed));
    if let Some(verdict) = step.finished.as_ref().filter(|_| !was_completed) {
        let (kind, reason) = told("AnalysisRun", verdict.phase);
        note(
            kind,
            reason,
            format!("Analysis Completed. Result: {}", verdict.phase),
            format!("completed/{}", digest(&verdict.message)),
        );
    }
}

fn told(what: &str, phase: ::analysis::Phase) -> (EventType, &'static str) {
    let reason = match (what, phase) {
        ("Metric", ::analysis::Phase::Successful) => "MetricSuccessful",
        ("Metric", ::analysis::Phase::Failed) => "MetricFailed",
        ("Metric", ::analysis::Phase::Error) => "MetricError",
        ("Metric", _) => "MetricInconclusive",
        (_, ::analysis::Phase::Successful) => "AnalysisRunSuccessful",
        (_, ::analysis::Phase::Failed) => "AnalysisRunFailed",
        (_, ::analysis::Phase::Error) => "AnalysisRunError",
        (_, _) => "AnalysisRunInconclusive",
    };
    (if phase == ::analysis::Phase::Successful { EventType::Normal } else { EventType::Warning }, reason)
}

fn write(snapshot: &Snapshot, step: &RunStep, plan: &mut Plan) {
    let live = snapshot.run.pointer("/status").cloned().unwrap_or_else(|| json!({}));
    let Some(patch) = merge_patch(&live, &step.status.to_json()) else { return };
    plan.status = Some(StatusPatch {
        target: ObjectRef::of(&kinds::analysis_run(), &snapshot.run),
        patch: json!({"status": patch}),
        precondition: Precondition::exact(&snapshot.run),
        // Argo's AnalysisRun has no status subresource.
        subresource: false,
    });
}

/// A second opinion: a measurement that is in the status is not asked again, and a finished run asks nothing.
fn check(snapshot: &Snapshot, plan: &Plan) -> Vec<Violation> {
    let completed = snapshot.run.pointer("/status/completedAt").is_some();
    let counted = |slot: &str| {
        let results = snapshot.run.list_at("/status/metricResults");
        results.iter().any(|result| {
            let name = result.get("name").and_then(Value::as_str).unwrap_or_default();
            let number = |key: &str| result.get(key).and_then(Value::as_u64).unwrap_or(0);
            let done = number("count") + number("error");
            let asked = slot.strip_prefix(&format!("metric/{name}/")).and_then(|ordinal| ordinal.parse::<u64>().ok());
            asked.is_some_and(|ordinal| ordinal <= done)
        })
    };
    let mut violations = Vec::new();
    for (stage, act) in
        plan.stages.iter().enumerate().flat_map(|(stage, acts)| acts.iter().map(move |act| (stage, act)))
    {
        if let Action::Ask { slot, .. } = &act.action
            && (completed || counted(&slot.name))
        {
            let message = format!("{} would be measured again", slot.name);
            violations.push(Violation { rule: "measure-once", message, stage: Some(stage) });
        }
    }
    violations
}
