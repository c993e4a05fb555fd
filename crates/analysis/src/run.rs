//! The measurement state machine: one step of an AnalysisRun.

use std::collections::{BTreeMap, BTreeSet};

use object_model::{Duration, Timestamp, Uid};

use crate::argument::{Redaction, SecretAnswer, SecretRef, SecretValues, resolve, secret_values, shown_values};
use crate::assess::{assess, is_terminating};
use crate::comparison::{Comparison, compare};
use crate::condition::judge;
use crate::provider::{Asking, Earlier, HttpRequest, Job, JobState, Next, Provider, Settings};
use crate::spec::{Retention, after};
use crate::status::{Measurement, MetricResult, RunStatus};
use crate::{Metric, Phase, RunSpec, Verdict, parse_metrics};

/// Time to the next try after an error, whatever the interval.
const ERROR_RETRY: Duration = Duration::from_secs(10);
/// The least time between measurements: status keeps whole seconds, and an interval of zero must not spin.
const INTERVAL_MIN: Duration = Duration::from_secs(1);

/// Where a measurement remembers its Job.
const JOB_NAME: &str = "job-name";

/// Names one measurement for ever: a repeat of its query is the same query, and its answer counts once.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct QueryKey {
    /// Uid of the AnalysisRun.
    pub run: Uid,
    /// Name of the metric.
    pub metric: String,
    /// Number of the measurement: 1, 2, 3, ...
    pub ordinal: u32,
    /// Which of its questions: 0, 1, 2, ... Most measurements have one.
    pub part: u32,
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

/// What is to be done about the Job of a measurement.
#[derive(Debug, Clone, PartialEq)]
pub enum JobRequest {
    /// It is to be there; its name is that of the measurement, so a repeat finds it.
    Create {
        /// Which measurement.
        key: QueryKey,
        /// The Job's section, arguments put in.
        job: Box<Job>,
    },
    /// It is to go with its pods: nobody waits for it any more.
    Delete {
        /// Its name.
        name: String,
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
    /// Jobs of unfinished measurements, by name.
    pub jobs: &'a BTreeMap<String, JobState>,
    /// Comparisons of the canary with the stable version that were asked for.
    pub comparisons: &'a [Comparison],
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
    /// Jobs to create or to delete.
    pub jobs: Vec<JobRequest>,
    /// Metrics that look again at a moment of their own, in the middle of a measurement.
    pub waits: BTreeMap<String, Timestamp>,
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
///     secrets: &BTreeMap::new(), jobs: &BTreeMap::new(), comparisons: &[], settings: &Settings::default(), now: "2026-01-01T00:00:00Z".parse().unwrap(),
/// });
/// assert_eq!(step.queries[0].key.metric, "success-rate");
/// assert_eq!(step.status.to_json()["phase"], "Running");
/// ```
pub fn step(input: &RunInput<'_>) -> RunStep {
    let mut step = RunStep {
        status: input.status.clone(),
        queries: Vec::new(),
        secrets: Vec::new(),
        jobs: Vec::new(),
        waits: BTreeMap::new(),
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
    compare(input.comparisons, &prepared.metrics, &mut step.status);
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
        // A Job is kept as long as its measurement is.
        let forgotten = result.measurements.drain(..surplus);
        let jobs = forgotten.filter_map(|measurement| measurement.metadata.get(JOB_NAME).cloned());
        step.jobs.extend(jobs.map(|name| JobRequest::Delete { name }));
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
    step.jobs.retain(|job| matches!(job, JobRequest::Delete { .. }));
    step.waits.clear();
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
            terminate_unfinished(input, metric, step);
        }
        return;
    }
    let ordinal = result.map_or(1, MetricResult::next_ordinal);
    let is_counted = metric.effective_count().is_some_and(|count| i64::from(result.map_or(0, |r| r.count)) >= count);
    if is_counted && !unfinished {
        return;
    }
    let key = QueryKey { run: input.run.clone(), metric: metric.name.clone(), ordinal, part: 0 };
    let replies = replies(input, &key);
    let is_due = due_at(metric, &step.status).is_some_and(|due| due <= input.now);
    if replies.is_empty() && !unfinished && !is_due {
        return;
    }
    if matches!(metric.provider, Provider::Job(_)) && unfinished {
        follow_job(input, prepared, metric, &mut step.status);
        return;
    }
    let unread = unread(input, prepared, metric);
    if !unread.is_empty() {
        step.secrets.extend(unread);
        return;
    }
    match next(input, prepared, index, key, &replies) {
        Ok(Act::Ask(query)) => step.queries.push(*query),
        Ok(Act::Wait(moment)) => {
            step.waits.insert(metric.name.clone(), moment);
        }
        Ok(Act::Begin(key, job)) => {
            let begun = job_begun(input, &key);
            begin(prepared, metric, begun, &mut step.status);
            step.jobs.push(JobRequest::Create { key, job });
        }
        Ok(Act::Record(measurement)) => record(prepared, metric, *measurement, &mut step.status),
        Err(message) => {
            let message = redaction(input, prepared, metric).redact(&message);
            let begun = replies.first().map_or(input.now, |reply| reply.started_at);
            let ended = replies.last().map_or(input.now, |reply| reply.finished_at);
            record(prepared, metric, errored(begun, ended, message), &mut step.status);
        }
    }
}

/// What a measurement does now.
enum Act {
    Ask(Box<Query>),
    Wait(Timestamp),
    Begin(QueryKey, Box<Job>),
    Record(Box<Measurement>),
}

/// The answers of one measurement, in the order of its questions.
fn replies<'a>(input: &RunInput<'a>, key: &QueryKey) -> Vec<&'a Reply> {
    let part = |part: u32| input.replies.get(&QueryKey { part, ..key.clone() });
    (0..).map_while(part).collect()
}

/// Secrets that must be read before anything can be asked.
fn unread(input: &RunInput<'_>, prepared: &Prepared, metric: &Metric) -> Vec<SecretRef> {
    let mut unread = prepared.secrets.unread.clone();
    unread.extend(metric.provider.secrets().into_iter().filter(|secret| !input.secrets.contains_key(secret)));
    unread
}

/// Everything that must not be shown of a metric: secret arguments, and the credentials of its provider.
fn redaction(input: &RunInput<'_>, prepared: &Prepared, metric: &Metric) -> Redaction {
    let mut redaction = prepared.secrets.redaction.clone();
    for secret in metric.provider.secrets() {
        // Addresses, regions and account numbers are told apart from keys and tokens by their names.
        let is_public = ["address", "region", "org", "account-id", "base-url-nerdgraph"].contains(&secret.key.as_str());
        if let (false, Some(SecretAnswer::Value(value))) = (is_public, input.secrets.get(&secret)) {
            redaction.add(value.clone());
        }
    }
    redaction
}

fn next(
    input: &RunInput<'_>,
    prepared: &Prepared,
    index: usize,
    key: QueryKey,
    replies: &[&Reply],
) -> Result<Act, String> {
    let metric = prepared.with_secrets(input, index)?;
    if let Provider::Job(job) = &metric.provider {
        return Ok(Act::Begin(key, Box::new(job.clone())));
    }
    let mut earlier = Vec::with_capacity(replies.len());
    for reply in replies {
        match &reply.answer {
            Answer::Http { status, body } => earlier.push(Earlier { status: *status, body, at: reply.finished_at }),
            Answer::Failed { reason } => return Err(reason.clone()),
        }
    }
    let asking = Asking {
        now: input.now,
        started_at: input.status.started_at.unwrap_or(input.now),
        interval: metric.interval,
        settings: input.settings,
        secrets: input.secrets,
        earlier: &earlier,
    };
    let redaction = redaction(input, prepared, &metric);
    match metric.provider.next(&asking).map_err(|error| error.to_string())? {
        Next::Ask(mut request) => {
            request.shown_url = redaction.redact(&request.shown_url);
            let part = u32::try_from(replies.len()).unwrap_or(u32::MAX);
            Ok(Act::Ask(Box::new(Query { key: QueryKey { part, ..key }, request: *request })))
        }
        Next::Wait(moment) => Ok(Act::Wait(moment)),
        Next::Read => {
            let (Some(first), Some(last)) = (replies.first(), replies.last()) else {
                return Err("there is no answer to read".to_owned());
            };
            Ok(Act::Record(Box::new(read(&metric, &redaction, first.started_at, last))))
        }
    }
}

/// The measurement of a Job that was just created.
fn job_begun(input: &RunInput<'_>, key: &QueryKey) -> Measurement {
    let name = Job::name(&key.run, &key.metric, key.ordinal);
    Measurement {
        phase: Phase::Running,
        started_at: Some(whole_second(input.now)),
        // From now on, as Argo's first one says; the later ones are its timetable of looks at a Job that is watched here.
        resume_at: Some(whole_second(input.now)),
        metadata: BTreeMap::from([(JOB_NAME.to_owned(), name)]),
        ..Measurement::default()
    }
}

/// Ends the measurement of a Job that has ended. A Job that is gone is an error and is not started again under its name.
fn follow_job(input: &RunInput<'_>, prepared: &Prepared, metric: &Metric, status: &mut RunStatus) {
    let Some(begun) = status.result(&metric.name).and_then(|result| result.measurements.last()).cloned() else {
        return;
    };
    let Some(name) = begun.metadata.get(JOB_NAME) else { return };
    let (phase, message) = match input.jobs.get(name) {
        None | Some(JobState::Running) => return,
        Some(JobState::Complete) => (Phase::Successful, String::new()),
        Some(JobState::Failed(reason)) => (Phase::Failed, reason.clone()),
        Some(JobState::Stuck(reason)) => (Phase::Inconclusive, reason.clone()),
        Some(JobState::Absent) => (Phase::Error, format!("job {name} is not there any more")),
    };
    let message = redaction(input, prepared, metric).redact(&message);
    let finished_at = Some(whole_second(input.now));
    record(prepared, metric, Measurement { phase, message, finished_at, ..begun }, status);
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
    if let Some(moment) = step.waits.get(&metric.name) {
        return Some(*moment);
    }
    if metric.effective_count().is_some_and(|count| i64::from(result.map_or(0, |r| r.count)) >= count) {
        return None;
    }
    let due = due_at(metric, &step.status)?;
    // What is due already waits for a Secret, whose arrival wakes the run.
    (due > now || step.secrets.is_empty()).then_some(due)
}

/// Turns the last reply into a measurement.
fn read(metric: &Metric, redaction: &Redaction, started_at: Timestamp, reply: &Reply) -> Measurement {
    let fail = |message: String| errored(started_at, reply.finished_at, redaction.redact(&message));
    let (status, body) = match &reply.answer {
        Answer::Http { status, body } => (*status, body),
        Answer::Failed { reason } => return fail(reason.clone()),
    };
    let reading = match metric.provider.parse_answer(status, body, reply.finished_at) {
        Ok(reading) => reading,
        Err(error) => return fail(error.to_string()),
    };
    let judged = match reading.verdict {
        Some(phase) => Ok(phase),
        None => judge(metric, &reading.result, reply.finished_at),
    };
    match judged {
        Err(error) => fail(error.to_string()),
        Ok(phase) => Measurement {
            phase,
            started_at: Some(whole_second(started_at)),
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

/// The result of a metric, new when it is the first measurement.
fn result_of<'a>(prepared: &Prepared, metric: &Metric, status: &'a mut RunStatus) -> Option<&'a mut MetricResult> {
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
    status.result_mut(&metric.name)
}

/// Puts a measurement in its place that is not finished; it counts when it is.
fn begin(prepared: &Prepared, metric: &Metric, measurement: Measurement, status: &mut RunStatus) {
    if let Some(result) = result_of(prepared, metric, status) {
        result.measurements.push(measurement);
    }
}

/// Counts a measurement and puts it in its place.
fn record(prepared: &Prepared, metric: &Metric, measurement: Measurement, status: &mut RunStatus) {
    let Some(result) = result_of(prepared, metric, status) else { return };
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

/// Ends a measurement that nobody will finish now, and its Job.
fn terminate_unfinished(input: &RunInput<'_>, metric: &Metric, step: &mut RunStep) {
    let Some(result) = step.status.result_mut(&metric.name) else { return };
    let Some(last) = result.measurements.last_mut() else { return };
    if let Some(name) = last.metadata.get(JOB_NAME) {
        step.jobs.push(JobRequest::Delete { name: name.clone() });
    }
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
