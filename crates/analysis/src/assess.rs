//! How a metric and a whole run stand, from their counts.

use std::collections::BTreeSet;

use crate::comparison::VERDICT;
use crate::status::{MetricResult, RunStatus, Summary};
use crate::{Metric, Phase, RunSpec, Verdict};

/// Whether the run is ending: somebody asked, or a metric that counts has gone wrong.
pub(crate) fn is_terminating(spec: &RunSpec, status: &RunStatus) -> bool {
    let has_gone_wrong = |result: &MetricResult| {
        !result.dry_run && matches!(result.phase, Phase::Failed | Phase::Error | Phase::Inconclusive)
    };
    spec.terminate || status.metric_results.iter().any(has_gone_wrong)
}

/// Which limit a metric has passed, and the words for it. A later check overrides an earlier one.
fn passed_limit(metric: &Metric, result: &MetricResult) -> Option<(Phase, String)> {
    let mut passed = result.metadata.get(VERDICT).map(|why| (result.phase, why.clone()));
    let failure_limit = metric.failure_limit.unwrap_or(0);
    if failure_limit >= 0 && i64::from(result.failed) > failure_limit {
        passed = Some((Phase::Failed, format!("failed ({}) > failureLimit ({failure_limit})", result.failed)));
    }
    let inconclusive_limit = metric.inconclusive_limit;
    if i64::from(result.inconclusive) > inconclusive_limit {
        let message = format!("inconclusive ({}) > inconclusiveLimit ({inconclusive_limit})", result.inconclusive);
        passed = Some((Phase::Inconclusive, message));
    }
    let error_limit = metric.consecutive_error_limit;
    if i64::from(result.consecutive_error) > error_limit {
        let count = result.consecutive_error;
        let message = format!("consecutiveErrors ({count}) > consecutiveErrorLimit ({error_limit})");
        passed = Some((Phase::Error, message));
    }
    passed
}

/// How one metric stands.
fn metric_phase(metric: &Metric, result: &MetricResult, terminating: bool) -> Phase {
    if result.phase.is_completed() {
        return result.phase;
    }
    let Some(last) = result.measurements.last() else {
        return if terminating { Phase::Successful } else { Phase::Pending };
    };
    if !last.phase.is_completed() {
        return Phase::Running;
    }
    if let Some((phase, _)) = passed_limit(metric, result) {
        return phase;
    }
    let success_limit = metric.consecutive_success_limit;
    if success_limit > 0 && i64::from(result.consecutive_success) >= success_limit {
        return Phase::Successful;
    }
    if metric.effective_count().is_some_and(|count| i64::from(result.count) >= count) {
        let bounds_failures = metric.failure_limit.unwrap_or(0) >= 0;
        return match (success_limit > 0, bounds_failures) {
            // Enough successes in a row were asked for and not met, but no failure limit was passed either.
            (true, true) => Phase::Inconclusive,
            (true, false) => Phase::Failed,
            (false, _) => Phase::Successful,
        };
    }
    if terminating { Phase::Successful } else { Phase::Running }
}

/// Brings the metrics' phases and the summaries up to date and says how the run stands.
pub(crate) fn assess(
    spec: &RunSpec,
    metrics: &[Metric],
    dry_metrics: &BTreeSet<String>,
    status: &mut RunStatus,
) -> Verdict {
    let terminating = is_terminating(spec, status);
    let mut worst: Option<Phase> = None;
    let mut message = if spec.terminate { "Run Terminated".to_owned() } else { String::new() };
    let mut all_completed = true;
    let (mut run_summary, mut dry_summary) = (Summary::default(), Summary::default());
    for metric in metrics {
        let is_dry = dry_metrics.contains(&metric.name);
        let summary = if is_dry { &mut dry_summary } else { &mut run_summary };
        summary.count += 1;
        let Some(result) = status.result_mut(&metric.name) else {
            // It may wait for its initial delay.
            all_completed = false;
            continue;
        };
        let phase = metric_phase(metric, result, terminating);
        if result.phase != phase {
            if let Some(last) = result.measurements.last() {
                result.message.clone_from(&last.message);
            }
            result.phase = phase;
        }
        if !phase.is_completed() {
            all_completed = false;
            continue;
        }
        let passed = passed_limit(metric, result);
        count(summary, passed.as_ref().map(|(phase, _)| *phase));
        if is_dry {
            worst = worst.or(Some(Phase::Successful));
            if let Some((_, why)) = passed {
                result.message = format!("Metric assessed {phase} due to {why}");
            }
        } else if worst.is_none_or(|worst| phase > worst) {
            worst = Some(phase);
            if let Some((_, why)) = passed {
                message = explain(&metric.name, phase, &why, &result.message);
            }
        }
    }
    status.run_summary = run_summary;
    status.dry_run_summary = Some(dry_summary);
    match worst {
        Some(phase) if terminating || all_completed => Verdict { phase, message },
        None if terminating => Verdict { phase: Phase::Successful, message },
        _ => Verdict { phase: Phase::Running, message: String::new() },
    }
}

fn explain(name: &str, phase: Phase, why: &str, detail: &str) -> String {
    let mut message = format!("Metric \"{name}\" assessed {phase} due to {why}");
    if !detail.is_empty() {
        message.push_str(&format!(": \"Error Message: {detail}\""));
    }
    message
}

/// A completed metric that passed no limit counts as a success.
fn count(summary: &mut Summary, passed: Option<Phase>) {
    match passed {
        Some(Phase::Error) => summary.error += 1,
        Some(Phase::Failed) => summary.failed += 1,
        Some(Phase::Inconclusive) => summary.inconclusive += 1,
        _ => summary.successful += 1,
    }
}
