//! The measurement state machine: one step of an AnalysisRun.

use std::collections::{BTreeMap, BTreeSet};

use object_model::{Duration, Timestamp, Uid};

use crate::argument::{Redaction, SecretAnswer, SecretRef, SecretValues, resolve, secret_values, shown_values};
use crate::assess::{assess, is_terminating};
use crate::condition::judge;
use crate::provider::{HttpRequest, Settings};
use crate::spec::{Retention, after};
use crate::status::{Measurement, MetricResult, RunStatus};
use crate::{Metric, Phase, RunSpec, Verdict, parse_metrics};

/// Time to the next try after an error, whatever the interval.
const ERROR_RETRY: Duration = Duration::from_secs(10);
/// The least time between measurements: status keeps whole seconds, and an interval of zero must not spin.
const INTERVAL_MIN: Duration = Duration::from_secs(1);

/// Names one measurement for ever: a repeat of its query is the same query, and its answer counts once.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct QueryKey {
    /// Uid of the AnalysisRun.
    pub run: Uid,
    /// Name of the metric.
    pub metric: String,
    /// Number of the measurement: 1, 2, 3, ...
    pub ordinal: u32,
}

/// A reading to ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// Under which name the answer is to come back.
    pub key: QueryKey,
    /// What to send.
    pub request: HttpRequest,
}

/// What came back for a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// When the query was sent.
    pub started_at: Timestamp,
    /// When the answer was complete.
    pub finished_at: Timestamp,
    /// The answer.
    pub answer: Answer,
}

/// The answer to a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The server answered.
    Http {
        /// HTTP status.
        status: u16,
        /// Body, no longer than the request allows.
        body: Vec<u8>,
    },
    /// There was no answer: refused, timed out, too long.
    Failed {
        /// Why.
        reason: String,
    },
}

/// All that a step looks at.
#[derive(Debug, Clone, Copy)]
pub struct RunInput<'a> {
    /// Uid of the AnalysisRun.
    pub run: &'a Uid,
    /// Its spec.
    pub spec: &'a RunSpec,
    /// Its status as stored.
    pub status: &'a RunStatus,
    /// Answers that are there, used ones among them.
    pub replies: &'a BTreeMap<QueryKey, Reply>,
    /// Secrets that were read for the run.
    pub secrets: &'a BTreeMap<SecretRef, SecretAnswer>,
    /// Settings of the installation.
    pub settings: &'a Settings,
    /// The present.
    pub now: Timestamp,
}

/// What is to be done for a run now.
#[derive(Debug, Clone)]
pub struct RunStep {
    /// The status to store; equal to the given one when nothing happened.
    pub status: RunStatus,
    /// Readings to ask for. A query stays in this list until its answer is among the replies.
    pub queries: Vec<Query>,
    /// Secrets to read before anything can be asked.
    pub secrets: Vec<SecretRef>,
    /// When to look again at the latest.
    pub wake: Option<Timestamp>,
    /// How the run ended, once it has.
    pub finished: Option<Verdict>,
    /// Metrics that ended in this step, for Events.
    pub ended_metrics: Vec<(String, Phase)>,
}

/// Takes one step: uses the replies that are due, judges, and says what to ask next.
///
/// It is a function of its input alone and total: a spec that can't be used ends the run in Error with the reason.
///
/// ```
/// use std::collections::BTreeMap;
/// use analysis::{RunInput, RunSpec, RunStatus, Settings, step};
/// use object_model::Uid;
///
/// let (spec, _) = RunSpec::parse(&serde_json::json!({"metrics": [{
///     "name": "success-rate", "successCondition": "result[0] >= 0.95",
///     "provider": {"prometheus": {"address": "http://prometheus:9090", "query": "up"}},
/// }]}));
/// let step = step(&RunInput {
///     run: &Uid::new("1"), spec: &spec, status: &RunStatus::default(), replies: &BTreeMap::new(),
///     secrets: &BTreeMap::new(), settings: &Settings::default(), now: "2026-01-01T00:00:00Z".parse().unwrap(),
/// });
/// assert_eq!(step.queries[0].key.metric, "success-rate");
/// assert_eq!(step.status.to_json()["phase"], "Running");
/// ```
pub fn step(input: &RunInput<'_>) -> RunStep {
    let mut step = RunStep {
        status: input.status.clone(),
        queries: Vec::new(),
        secrets: Vec::new(),
        wake: None,
        finished: None,
        ended_metrics: Vec::new(),
    };
    if let Some(phase) = input.status.phase.filter(|phase| phase.is_completed()) {
        step.finished = Some(Verdict { phase, message: input.status.message.clone() });
        return step;
    }
    step.status.started_at = step.status.started_at.or_else(|| Some(whole_second(input.now)));
    match Prepared::new(input) {
        Ok(prepared) => advance(input, &prepared, &mut step),
        Err(message) => finish(input, &mut step, Verdict { phase: Phase::Error, message }),
    }
    step
}

/// A spec that can be worked with.
struct Prepared {
    /// Arguments put in, with a stand-in for each secret.
    metrics: Vec<Metric>,
    dry_metrics: BTreeSet<String>,
    retention: Retention,
    secrets: SecretValues,
}

impl Prepared {
    fn new(input: &RunInput<'_>) -> Result<Self, String> {
        let unresolved = |error: &dyn std::fmt::Display| format!("Unable to resolve metric arguments: {error}");
        let invalid = |error: &dyn std::fmt::Display| format!("Analysis spec invalid: {error}");
        let shown = shown_values(&input.spec.arguments).map_err(|error| unresolved(&error))?;
        let metrics: Vec<_> = input
            .spec
            .metrics
            .iter()
            .map(|metric| resolve(metric, &shown))
            .collect::<Result<_, _>>()
            .map_err(|error| unresolved(&error))?;
        let metrics = parse_metrics(&metrics).map_err(|error| invalid(&error))?;
        let dry_metrics = input.spec.dry_metrics(&metrics).map_err(|error| invalid(&error))?;
        let retention = input.spec.retention(&metrics).map_err(|error| invalid(&error))?;
        let secrets = secret_values(&input.spec.arguments, input.secrets).map_err(|error| unresolved(&error))?;
        Ok(Self { metrics, dry_metrics, retention, secrets })
    }

    /// The metric with its secrets put in, to ask with and to judge by.
    fn with_secrets(&self, input: &RunInput<'_>, index: usize) -> Result<Metric, String> {
        let shown = self.metrics.get(index).ok_or("metric is not there")?;
        if self.secrets.redaction.is_empty() {
            return Ok(shown.clone());
        }
        let raw = input.spec.metrics.get(index).ok_or("metric is not there")?;
        let resolved = resolve(raw, &self.secrets.values).map_err(|error| error.to_string())?;
        let mut metrics = parse_metrics(&[resolved]).map_err(|error| error.to_string())?;
        metrics.pop().ok_or_else(|| "metric is not there".to_owned())
    }
}

fn advance(input: &RunInput<'_>, prepared: &Prepared, step: &mut RunStep) {
    let terminating = is_terminating(input.spec, input.status);
    for (index, metric) in prepared.metrics.iter().enumerate() {
        measure(input, prepared, index, metric, terminating, step);
    }
    let before: BTreeMap<String, Phase> =
        input.status.metric_results.iter().map(|result| (result.name.clone(), result.phase)).collect();
    // A metric that goes wrong ends the others, so a second look is needed for them; a third finds nothing new.
    let mut verdict = assess(input.spec, &prepared.metrics, &prepared.dry_metrics, &mut step.status);
    if !verdict.phase.is_completed() && is_terminating(input.spec, &step.status) {
        verdict = assess(input.spec, &prepared.metrics, &prepared.dry_metrics, &mut step.status);
    }
    for result in &mut step.status.metric_results {
        let most = prepared.retention.of(&result.name);
        let surplus = result.measurements.len().saturating_sub(most);
        result.measurements.drain(..surplus);
        let was_completed = before.get(&result.name).is_some_and(|phase| phase.is_completed());
        if result.phase.is_completed() && !was_completed {
            step.ended_metrics.push((result.name.clone(), result.phase));
        }
    }
    if verdict.phase.is_completed() {
        finish(input, step, verdict);
        return;
    }
    if step.status.phase != Some(verdict.phase) {
        step.status.phase = Some(verdict.phase);
        step.status.message = verdict.message;
    }
    step.wake = prepared.metrics.iter().filter_map(|metric| wake_for(metric, step, input.now)).min();
}

fn finish(input: &RunInput<'_>, step: &mut RunStep, verdict: Verdict) {
    step.queries.clear();
    step.secrets.clear();
    step.wake = None;
    step.status.phase = Some(verdict.phase);
    step.status.message.clone_from(&verdict.message);
    step.status.completed_at = Some(whole_second(input.now));
    step.finished = Some(verdict);
}

/// Uses the reply to the metric's next measurement, or asks for it when it is due.
fn measure(
    input: &RunInput<'_>,
    prepared: &Prepared,
    index: usize,
    metric: &Metric,
    terminating: bool,
    step: &mut RunStep,
) {
    let result = step.status.result(&metric.name);
    if result.is_some_and(|result| result.phase.is_completed()) {
        return;
    }
    let unfinished = result.is_some_and(has_unfinished);
    if terminating {
        if unfinished {
            terminate_unfinished(input, metric, &mut step.status);
        }
        return;
    }
    let ordinal = result.map_or(1, MetricResult::next_ordinal);
    let key = QueryKey { run: input.run.clone(), metric: metric.name.clone(), ordinal };
    let is_counted = metric.effective_count().is_some_and(|count| i64::from(result.map_or(0, |r| r.count)) >= count);
    if is_counted && !unfinished {
        return;
    }
    if let Some(reply) = input.replies.get(&key) {
        let measurement = read(input, prepared, index, reply);
        record(prepared, metric, measurement, &mut step.status);
        return;
    }
    if !unfinished && due_at(metric, &step.status).is_none_or(|due| due > input.now) {
        return;
    }
    if !prepared.secrets.unread.is_empty() {
        step.secrets.clone_from(&prepared.secrets.unread);
        return;
    }
    let request = prepared
        .with_secrets(input, index)
        .and_then(|metric| metric.provider.request(input.now, input.settings).map_err(|error| error.to_string()));
    match request {
        Ok(mut request) => {
            request.shown_url = prepared.secrets.redaction.redact(&request.shown_url);
            step.queries.push(Query { key, request });
        }
        Err(message) => {
            let message = prepared.secrets.redaction.redact(&message);
            let measurement = errored(input.now, input.now, message);
            record(prepared, metric, measurement, &mut step.status);
        }
    }
}

fn has_unfinished(result: &MetricResult) -> bool {
    result.measurements.last().is_some_and(|last| last.finished_at.is_none() && !last.phase.is_completed())
}

/// When the next measurement of a metric is due; `None` when no further one is wanted.
fn due_at(metric: &Metric, status: &RunStatus) -> Option<Timestamp> {
    let last = status.result(&metric.name).and_then(|result| result.measurements.last());
    let Some(last) = last else {
        let started_at = status.started_at?;
        return Some(metric.initial_delay.map_or(started_at, |delay| after(started_at, delay)));
    };
    let finished_at = last.finished_at?;
    match (last.phase, metric.interval) {
        (Phase::Error, _) => Some(after(finished_at, ERROR_RETRY)),
        (_, Some(interval)) => Some(after(finished_at, interval.max(INTERVAL_MIN))),
        (_, None) => None,
    }
}

/// When the run must be looked at for this metric; a query that is out brings its own wake.
fn wake_for(metric: &Metric, step: &RunStep, now: Timestamp) -> Option<Timestamp> {
    let result = step.status.result(&metric.name);
    if result.is_some_and(|result| result.phase.is_completed() || has_unfinished(result)) {
        return None;
    }
    if step.queries.iter().any(|query| query.key.metric == metric.name) {
        return None;
    }
    if metric.effective_count().is_some_and(|count| i64::from(result.map_or(0, |r| r.count)) >= count) {
        return None;
    }
    let due = due_at(metric, &step.status)?;
    // What is due already waits for a Secret, whose arrival wakes the run.
    (due > now || step.secrets.is_empty()).then_some(due)
}

/// Turns a reply into a measurement.
fn read(input: &RunInput<'_>, prepared: &Prepared, index: usize, reply: &Reply) -> Measurement {
    let redaction = &prepared.secrets.redaction;
    let fail = |message: String| errored(reply.started_at, reply.finished_at, redaction.redact(&message));
    let (status, body) = match &reply.answer {
        Answer::Http { status, body } => (*status, body),
        Answer::Failed { reason } => return fail(reason.clone()),
    };
    let metric = match prepared.with_secrets(input, index) {
        Ok(metric) => metric,
        Err(message) => return fail(message),
    };
    let reading = match metric.provider.parse_answer(status, body) {
        Ok(reading) => reading,
        Err(error) => return fail(error.to_string()),
    };
    match judge(&metric, &reading.result, reply.finished_at) {
        Err(error) => fail(error.to_string()),
        Ok(phase) => Measurement {
            phase,
            started_at: Some(whole_second(reply.started_at)),
            finished_at: Some(whole_second(reply.finished_at)),
            value: redaction.redact_value(&reading.value),
            metadata: redacted(redaction, reading.metadata),
            ..Measurement::default()
        },
    }
}

fn errored(started_at: Timestamp, finished_at: Timestamp, message: String) -> Measurement {
    Measurement {
        phase: Phase::Error,
        message,
        started_at: Some(whole_second(started_at)),
        finished_at: Some(whole_second(finished_at)),
        ..Measurement::default()
    }
}

fn redacted(redaction: &Redaction, metadata: BTreeMap<String, String>) -> BTreeMap<String, String> {
    metadata.into_iter().map(|(key, value)| (key, redaction.redact(&value))).collect()
}

/// Counts a measurement and puts it in its place.
fn record(prepared: &Prepared, metric: &Metric, measurement: Measurement, status: &mut RunStatus) {
    if status.result(&metric.name).is_none() {
        status.metric_results.push(MetricResult {
            name: metric.name.clone(),
            phase: Phase::Running,
            dry_run: prepared.dry_metrics.contains(&metric.name),
            // The stand-ins are still in place of the secrets here.
            metadata: metric.provider.metadata(),
            ..MetricResult::default()
        });
    }
    let Some(result) = status.result_mut(&metric.name) else { return };
    match measurement.phase {
        Phase::Successful => {
            result.successful = result.successful.saturating_add(1);
            result.consecutive_success = result.consecutive_success.saturating_add(1);
        }
        Phase::Failed => result.failed = result.failed.saturating_add(1),
        Phase::Inconclusive => result.inconclusive = result.inconclusive.saturating_add(1),
        Phase::Error | Phase::Running | Phase::Pending => {}
    }
    if measurement.phase != Phase::Successful {
        result.consecutive_success = 0;
    }
    if measurement.phase == Phase::Error {
        result.error = result.error.saturating_add(1);
        result.consecutive_error = result.consecutive_error.saturating_add(1);
    } else {
        result.count = result.count.saturating_add(1);
        result.consecutive_error = 0;
    }
    if has_unfinished(result) {
        result.measurements.pop();
    }
    result.measurements.push(measurement);
}

/// Ends a measurement that another controller began and that nobody will finish now.
fn terminate_unfinished(input: &RunInput<'_>, metric: &Metric, status: &mut RunStatus) {
    let Some(result) = status.result_mut(&metric.name) else { return };
    let Some(last) = result.measurements.last_mut() else { return };
    last.phase = Phase::Inconclusive;
    last.message = "Metric Terminated".to_owned();
    last.finished_at = Some(whole_second(input.now));
    result.inconclusive = result.inconclusive.saturating_add(1);
    result.count = result.count.saturating_add(1);
    result.consecutive_error = 0;
    result.consecutive_success = 0;
}

/// The moment as status keeps it, so that a status in memory equals the one that is read back.
fn whole_second(moment: Timestamp) -> Timestamp {
    Timestamp::from_second(moment.as_second()).unwrap_or(moment)
}
