//! The analysis domain: AnalysisRuns measured by the state machine of the `analysis` crate.

mod jobs;
pub(crate) mod recipe;

use std::collections::BTreeMap;
use std::sync::Arc;

use ::analysis::{
    Answer as Measured, Comparison, JobState, Query, QueryKey, Reply, RunInput, RunSpec, RunStatus, RunStep,
    SecretAnswer, SecretPlace, SecretRef, Settings,
};
use object_model::{Duration, Object, Timestamp, Uid};
use serde_json::{Value, json};

use crate::bugs::{self, Bug};
use crate::patch::{digest, merge_patch};
use crate::time::after;
use crate::{
    Act, Action, Answer, Domain, EventType, HttpQuery, HttpReply, Key, Kind, Note, ObjectRef, Plan, Precondition,
    Question, Reason, Slot, SourceFailure, StatusPatch, View, Violation, kinds,
};

/// The most questions that one measurement may have, and so how often answers may lead to further questions.
const ROUNDS_MAX: u32 = 256;

/// A Secret about which the API server gave no answer is asked for again after so long.
const SECRET_AGAIN: Duration = Duration::from_secs(2);

/// Measures AnalysisRuns.
#[derive(Debug, Clone, Default)]
pub struct AnalysisDomain {
    /// Settings of the installation, such as the address of Prometheus where a metric names none.
    pub settings: Settings,
    /// Runs with another `controller-instance-id` label belong to another controller; empty means: no label.
    pub instance_id: String,
    /// Where the Secrets of metric providers lie that are not beside the run.
    pub operator_namespace: String,
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
    /// Comparisons of the canary with the stable version that its annotation asks for.
    pub comparisons: Vec<Comparison>,
    /// Its status, or why it can't be read.
    pub status: Result<RunStatus, String>,
    /// Settings of the installation.
    pub settings: Settings,
    /// Answers to the queries that are open.
    pub replies: BTreeMap<QueryKey, Reply>,
    /// Open queries that are on their way.
    pub asked: Vec<QueryKey>,
    /// Jobs of unfinished measurements, as they stand.
    pub jobs: BTreeMap<String, JobState>,
    /// The same as objects, those that are there.
    pub job_objects: BTreeMap<String, Arc<Object>>,
    /// Looks at pods that are due, and not on their way: the slot, and the Job.
    pub looks: Vec<(Slot, String)>,
    /// When the next look is due.
    pub next_look: Option<Timestamp>,
    /// Secrets that are being read, or will be after a while.
    pub asked_secrets: Vec<Slot>,
    /// When a Secret of which there was no answer is asked for again.
    pub secrets_again: Option<Timestamp>,
    /// Secrets that were read.
    pub secrets: BTreeMap<SecretRef, SecretAnswer>,
    /// Where the Secrets of metric providers lie.
    pub operator_namespace: String,
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
        let (spec, mut diagnostics) = RunSpec::parse(run.pointer("/spec").unwrap_or(&Value::Null));
        let comparisons = Comparison::parse_all(&run, &mut diagnostics);
        let status = RunStatus::parse(run.pointer("/status")).map_err(|error| error.to_string());
        let mut snapshot = Snapshot {
            now: view.now(),
            problems: diagnostics
                .iter()
                .map(|diagnostic| format!("{}: {}", diagnostic.field, diagnostic.message))
                .collect(),
            settings: self.settings.clone(),
            replies: BTreeMap::new(),
            jobs: BTreeMap::new(),
            job_objects: BTreeMap::new(),
            looks: Vec::new(),
            next_look: None,
            asked_secrets: Vec::new(),
            secrets_again: None,
            secrets: BTreeMap::new(),
            operator_namespace: self.operator_namespace.clone(),
            asked: Vec::new(),
            used: Vec::new(),
            uid,
            spec,
            comparisons,
            status,
            run,
        };
        snapshot.observe_jobs(view);
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
        vec![kinds::analysis_run(), kinds::job()]
    }

    fn keys_for(&self, _view: &dyn View, object: &Object) -> Vec<Key> {
        if object.kind() != "Job" {
            return vec![Key::of(object)];
        }
        let owner = object.controller().filter(|owner| owner.kind == "AnalysisRun");
        owner.map(|owner| Key::new(object.namespace().unwrap_or_default(), &owner.name)).into_iter().collect()
    }
}

impl Snapshot {
    /// Looks for answers: first what would be asked, then whether it was answered, which may lead to the next question.
    fn observe_answers(&mut self, view: &dyn View) {
        for _ in 0..ROUNDS_MAX {
            let Some(step) = self.step() else { return };
            let mut found = self.observe_secrets(view, &step.secrets);
            for query in step.queries {
                let slot = slot_of(&query.key);
                match view.answer(&slot).as_deref() {
                    Some(Answer::Http(reply)) => {
                        found |= self.replies.insert(query.key, reply_of(reply)).is_none();
                    }
                    _ if view.is_asked(&slot) => self.asked.push(query.key),
                    _ => {}
                }
            }
            if !found {
                break;
            }
            self.asked.clear();
        }
        self.observe_used(view);
    }

    fn observe_secrets(&mut self, view: &dyn View, wanted: &[SecretRef]) -> bool {
        let mut found = false;
        for reference in wanted {
            let slot = self.secret_slot(reference);
            let answer = match view.answer(&slot).as_deref() {
                Some(Answer::Secret(values)) => match values.get(&reference.key) {
                    Some(value) => SecretAnswer::Value(value.clone()),
                    None => SecretAnswer::Missing(format!(
                        "key '{}' does not exist in secret '{}'",
                        reference.key, reference.name
                    )),
                },
                Some(Answer::Failed(failure)) if failure.reason == SourceFailure::NO_ANSWER => {
                    let again = after(failure.at, SECRET_AGAIN).filter(|again| *again > self.now);
                    if again.is_some() || view.is_asked(&slot) {
                        self.asked_secrets.push(slot);
                    }
                    self.secrets_again = self.secrets_again.into_iter().chain(again).min();
                    continue;
                }
                Some(Answer::Failed(failure)) => {
                    // It is read again for the next measurement.
                    self.used.push(slot);
                    SecretAnswer::Missing(failure.message.clone())
                }
                _ => {
                    if view.is_asked(&slot) {
                        self.asked_secrets.push(slot);
                    }
                    continue;
                }
            };
            found |= self.secrets.insert(reference.clone(), answer).is_none();
        }
        found
    }

    /// Answers that belong to measurements which the status has. A Secret is read anew for the next one.
    fn observe_used(&mut self, view: &dyn View) {
        let Ok(status) = &self.status else { return };
        for result in &status.metric_results {
            let ordinal = result.next_ordinal().saturating_sub(1);
            for part in 0..ROUNDS_MAX {
                let key = QueryKey { run: self.uid.clone(), metric: result.name.clone(), ordinal, part };
                let slot = slot_of(&key);
                if view.answer(&slot).is_none() {
                    break;
                }
                self.used.push(slot);
            }
        }
        if !self.used.is_empty() || status.phase.is_some_and(::analysis::Phase::is_completed) {
            let slots = self.all_secrets().iter().map(|reference| self.secret_slot(reference)).collect::<Vec<_>>();
            self.used.extend(slots.into_iter().filter(|slot| view.answer(slot).is_some()));
        }
        self.used.sort();
        self.used.dedup();
    }

    /// Every Secret that the run may ever ask for.
    fn all_secrets(&self) -> Vec<SecretRef> {
        let arguments = self.spec.arguments.iter().filter_map(::analysis::Argument::secret);
        let providers = self.spec.metrics.iter().filter_map(|metric| metric.get("provider"));
        arguments.chain(providers.flat_map(|section| ::analysis::Provider::parse(section).secrets())).collect()
    }

    fn secret_namespace(&self, reference: &SecretRef) -> String {
        match reference.place {
            SecretPlace::Run => self.run.namespace().unwrap_or_default().to_owned(),
            SecretPlace::Operator => self.operator_namespace.clone(),
        }
    }

    /// All keys of one Secret come with one answer.
    fn secret_slot(&self, reference: &SecretRef) -> Slot {
        Slot::new(self.uid.as_str(), format!("secret/{}/{}", self.secret_namespace(reference), reference.name))
    }

    fn step(&self) -> Option<RunStep> {
        let status = self.status.as_ref().ok()?;
        Some(::analysis::step(&RunInput {
            run: &self.uid,
            spec: &self.spec,
            status,
            replies: &self.replies,
            secrets: &self.secrets,
            jobs: &self.jobs,
            comparisons: &self.comparisons,
            settings: &self.settings,
            now: self.now,
        }))
    }
}

/// Where the answer to a query is kept: one name for ever, so that a repeat is the same query.
fn slot_of(key: &QueryKey) -> Slot {
    let name = match key.part {
        0 if bugs::on(Bug::MeasurementTwice) => format!("metric/{}", key.metric),
        0 => format!("metric/{}/{}", key.metric, key.ordinal),
        part => format!("metric/{}/{}/{part}", key.metric, key.ordinal),
    };
    Slot::new(key.run.as_str(), name)
}

fn reply_of(reply: &HttpReply) -> Reply {
    match reply {
        HttpReply::Response { status, body, at } => {
            let body = match bugs::on(Bug::BadAnswerIsGood) {
                true => body.replace("NaN", "1").replace("a lot", "1"),
                false => body.clone(),
            };
            let answer = Measured::Http { status: *status, body: body.into_bytes() };
            Reply { started_at: *at, finished_at: *at, answer }
        }
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
    plan.stage(ask_secrets(snapshot, &step.secrets));
    plan.stage(snapshot.looks.iter().map(|(slot, job)| jobs::look(snapshot, slot, job)).collect());
    plan.stage(step.jobs.iter().filter_map(|job| jobs::act(snapshot, job)).collect());
    let used: &[Slot] = if bugs::on(Bug::MeasurementTwice) { &[] } else { &snapshot.used };
    plan.stage(used.iter().map(|slot| Act::new(Action::Forget { slot: slot.clone() })).collect());
    if let Some(secret) = step.secrets.first() {
        plan.wait(format!("AnalysisRun {}", snapshot.run.name()), format!("Secret {} is being read", secret.name));
    }
    if !step.queries.is_empty() {
        plan.wait(
            format!("AnalysisRun {}", snapshot.run.name()),
            format!("{} measurements are under way", step.queries.len()),
        );
    }
    for wake in step.wake.into_iter().chain(snapshot.next_look).chain(snapshot.secrets_again) {
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
        body: request.body.clone(),
        timeout_ms: request.timeout_ms,
        body_bytes_max: request.max_body_bytes,
        insecure_tls: request.insecure_tls,
    };
    Act::new(Action::Ask { slot: slot_of(&query.key), question: Box::new(Question::Http(http)) })
}

fn ask_secrets(snapshot: &Snapshot, wanted: &[SecretRef]) -> Vec<Act> {
    let one = |reference: &SecretRef| {
        let question =
            Question::Secret { namespace: snapshot.secret_namespace(reference), name: reference.name.clone() };
        (snapshot.secret_slot(reference), question)
    };
    let questions: BTreeMap<Slot, _> = wanted.iter().map(one).collect();
    let unasked = questions.into_iter().filter(|(slot, _)| !snapshot.asked_secrets.contains(slot));
    unasked.map(|(slot, question)| Act::new(Action::Ask { slot, question: Box::new(question) })).collect()
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

/// A second opinion: a measurement that is in the status is not taken again, whether asked or run as a Job, and a
/// finished run takes none.
fn check(snapshot: &Snapshot, plan: &Plan) -> Vec<Violation> {
    let completed = snapshot.run.pointer("/status/completedAt").is_some();
    let is_taken = |metric: &str, ordinal: u64| {
        let results = snapshot.run.list_at("/status/metricResults");
        results.iter().any(|result| {
            let number = |key: &str| result.get(key).and_then(Value::as_u64).unwrap_or(0);
            let is_metric = result.get("name").and_then(Value::as_str) == Some(metric);
            is_metric && ordinal <= number("count") + number("error")
        })
    };
    let mut violations = Vec::new();
    for (stage, acts) in plan.stages.iter().enumerate() {
        for act in acts {
            let Some((metric, ordinal)) = measurement_of(&act.action) else { continue };
            if completed || is_taken(&metric, ordinal) {
                let message = format!("metric/{metric}/{ordinal} would be measured again");
                violations.push(Violation { rule: "measure-once", message, stage: Some(stage) });
            }
        }
    }
    violations
}

/// The metric and the number of the measurement that an action takes.
fn measurement_of(action: &Action) -> Option<(String, u64)> {
    match action {
        Action::Ask { slot, .. } => {
            let rest = slot.name.strip_prefix("metric/")?;
            let mut parts: Vec<&str> = rest.rsplitn(3, '/').collect();
            parts.reverse();
            match parts.as_slice() {
                [metric, ordinal] => Some(((*metric).to_owned(), ordinal.parse().ok()?)),
                // A name may hold a slash itself, so the part is told by standing between two numbers.
                [metric, ordinal, _] => match ordinal.parse() {
                    Ok(ordinal) => Some(((*metric).to_owned(), ordinal)),
                    Err(_) => {
                        let (metric, ordinal) = rest.rsplit_once('/')?;
                        Some((metric.to_owned(), ordinal.parse().ok()?))
                    }
                },
                _ => None,
            }
        }
        Action::Create { object, .. } if object.kind() == "Job" => {
            let metric = object.annotation("analysisrun.argoproj.io/metric-name")?;
            let (_, ordinal) = object.name().rsplit_once('.')?;
            Some((metric.to_owned(), ordinal.parse().ok()?))
        }
        _ => None,
    }
}
