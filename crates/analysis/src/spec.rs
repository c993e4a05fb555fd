//! `AnalysisRun.spec`: metrics still as raw JSON, arguments, and the rules that pick metrics by name.

use std::collections::{BTreeMap, BTreeSet};

use object_model::{Duration, Timestamp};
use regex_lite::Regex;
use serde_json::Value;

use crate::argument::Argument;
use crate::diagnostic::Diagnostic;
use crate::{Metric, Phase, RunStatus};

/// How many measurements of a metric are kept when no rule says otherwise.
const RETENTION_DEFAULT: usize = 10;

/// What an AnalysisRun is to do.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RunSpec {
    /// The metrics as raw JSON, their arguments not yet put in.
    pub metrics: Vec<Value>,
    /// The arguments.
    pub arguments: Vec<Argument>,
    /// Whether somebody asked the run to end.
    pub terminate: bool,
    /// Patterns of metric names whose outcome does not count.
    pub dry_run: Vec<String>,
    /// Patterns of metric names with the number of measurements to keep.
    pub measurement_retention: Vec<(String, i64)>,
    /// Seconds that a completed run is kept.
    pub time_to_live: TimeToLive,
}

/// `ttlStrategy`: how long a run is kept after it ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TimeToLive {
    /// However it ended.
    pub after_completion_s: Option<u64>,
    /// When it failed.
    pub after_failure_s: Option<u64>,
    /// When it succeeded.
    pub after_success_s: Option<u64>,
}

/// A rule that fits no metric, or that is there twice.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// No metric has such a name.
    #[error("{list}[{index}]: Rule didn't match any metric name(s)")]
    NoMatch {
        /// `dryRun` or `measurementRetention`.
        list: &'static str,
        /// Place of the rule.
        index: usize,
    },
}

impl RunSpec {
    /// Lowers a spec. What can't be read is left out and told, with the path of its field.
    pub fn parse(spec: &Value) -> (Self, Vec<Diagnostic>) {
        let mut diagnostics = Vec::new();
        let metrics = list(spec, "metrics", &mut diagnostics).to_vec();
        for (index, metric) in metrics.iter().enumerate() {
            check_shape(metric, &format!("spec.metrics[{index}]"), &mut diagnostics);
        }
        let arguments = Argument::parse_list(spec.get("args"), "spec.args", &mut diagnostics);
        let seconds = |field: &str| spec.pointer(&format!("/ttlStrategy/{field}")).and_then(Value::as_u64);
        let parsed = Self {
            metrics,
            arguments,
            terminate: spec.get("terminate").and_then(Value::as_bool).unwrap_or(false),
            dry_run: names(spec, "dryRun", &mut diagnostics).into_iter().map(|(name, _)| name).collect(),
            measurement_retention: names(spec, "measurementRetention", &mut diagnostics),
            time_to_live: TimeToLive {
                after_completion_s: seconds("secondsAfterCompletion"),
                after_failure_s: seconds("secondsAfterFailure"),
                after_success_s: seconds("secondsAfterSuccess"),
            },
        };
        (parsed, diagnostics)
    }

    /// The metrics that are dry runs.
    pub(crate) fn dry_metrics(&self, metrics: &[Metric]) -> Result<BTreeSet<String>, RuleError> {
        let mut found = BTreeSet::new();
        for (index, pattern) in self.dry_run.iter().enumerate() {
            let matching = matching(pattern, metrics);
            if matching.is_empty() {
                return Err(RuleError::NoMatch { list: "dryRun", index });
            }
            found.extend(matching);
        }
        Ok(found)
    }

    /// How many measurements of which metric are kept.
    pub(crate) fn retention(&self, metrics: &[Metric]) -> Result<Retention, RuleError> {
        let mut limits = BTreeMap::new();
        for (index, (pattern, limit)) in self.measurement_retention.iter().enumerate() {
            let matching = matching(pattern, metrics);
            if matching.is_empty() {
                return Err(RuleError::NoMatch { list: "measurementRetention", index });
            }
            for name in matching {
                limits.insert(name, usize::try_from(*limit).ok().filter(|limit| *limit > 0));
            }
        }
        Ok(Retention { limits })
    }

    /// When a completed run is to be deleted; `None` while it goes on or when it is kept for ever.
    pub fn expires_at(&self, status: &RunStatus) -> Option<Timestamp> {
        let completed_at = status.completed_at?;
        let ttl = &self.time_to_live;
        let seconds = match status.phase? {
            Phase::Successful => ttl.after_success_s.or(ttl.after_completion_s),
            Phase::Failed => ttl.after_failure_s.or(ttl.after_completion_s),
            Phase::Error | Phase::Inconclusive => ttl.after_completion_s,
            Phase::Running | Phase::Pending => None,
        }?;
        Some(after(completed_at, Duration::from_secs(seconds)))
    }
}

/// How many measurements are kept, by metric.
pub(crate) struct Retention {
    limits: BTreeMap<String, Option<usize>>,
}

impl Retention {
    pub(crate) fn of(&self, metric: &str) -> usize {
        self.limits.get(metric).copied().flatten().unwrap_or(RETENTION_DEFAULT)
    }
}

/// The moment `span` after another one; the end of time when it would be later.
pub(crate) fn after(moment: Timestamp, span: Duration) -> Timestamp {
    let nanos = i128::try_from(span.as_nanos()).unwrap_or(i128::MAX);
    let sum = moment.as_nanosecond().saturating_add(nanos);
    Timestamp::from_nanosecond(sum).unwrap_or(Timestamp::MAX)
}

fn matching(pattern: &str, metrics: &[Metric]) -> Vec<String> {
    let Ok(regex) = Regex::new(pattern) else { return Vec::new() };
    metrics.iter().filter(|metric| regex.is_match(&metric.name)).map(|metric| metric.name.clone()).collect()
}

fn list<'a>(spec: &'a Value, field: &str, diagnostics: &mut Vec<Diagnostic>) -> &'a [Value] {
    match spec.get(field) {
        None | Some(Value::Null) => &[],
        Some(Value::Array(items)) => items,
        Some(_) => {
            diagnostics.push(Diagnostic { field: format!("spec.{field}"), message: "must be a list".to_owned() });
            &[]
        }
    }
}

/// Reads a list of `{metricName, limit}`.
pub(crate) fn names(spec: &Value, field: &str, diagnostics: &mut Vec<Diagnostic>) -> Vec<(String, i64)> {
    let mut found = Vec::new();
    for (index, item) in list(spec, field, diagnostics).iter().enumerate() {
        match item.get("metricName").and_then(Value::as_str) {
            Some(name) => found.push((name.to_owned(), item.get("limit").and_then(Value::as_i64).unwrap_or(0))),
            None => diagnostics.push(Diagnostic {
                field: format!("spec.{field}[{index}].metricName"),
                message: "is missing or not a string".to_owned(),
            }),
        }
    }
    found
}

/// Tells wrong types while arguments are still open: a field that holds one is not judged yet.
fn check_shape(metric: &Value, path: &str, diagnostics: &mut Vec<Diagnostic>) {
    let mut found = Vec::new();
    Metric::parse(metric, path, &mut found);
    let is_open = |diagnostic: &Diagnostic| {
        let field = diagnostic.field.rsplit('.').next().unwrap_or_default();
        metric.get(field).and_then(Value::as_str).is_some_and(|text| text.contains("{{"))
    };
    diagnostics.extend(found.into_iter().filter(|diagnostic| !is_open(diagnostic)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse_metrics;
    use serde_json::json;

    fn metrics(names: &[&str]) -> Vec<Metric> {
        let list: Vec<_> = names.iter().map(|name| json!({"name": name, "provider": {"web": {}}})).collect();
        parse_metrics(&list).unwrap()
    }

    #[test]
    fn rules_are_patterns_that_need_not_match_the_whole_name() {
        let (spec, diagnostics) = RunSpec::parse(&json!({
            "dryRun": [{"metricName": "^err"}],
            "measurementRetention": [{"metricName": ".*", "limit": 20}, {"metricName": "rate$", "limit": 2}],
        }));
        assert_eq!(diagnostics, []);
        let metrics = metrics(&["error-rate", "latency"]);
        assert_eq!(spec.dry_metrics(&metrics).unwrap(), BTreeSet::from(["error-rate".to_owned()]));
        let retention = spec.retention(&metrics).unwrap();
        assert_eq!((retention.of("latency"), retention.of("error-rate"), retention.of("other")), (20, 2, 10));
    }

    #[test]
    fn a_rule_that_fits_no_metric_is_an_error() {
        let (spec, _) = RunSpec::parse(&json!({
            "dryRun": [{"metricName": "a"}, {"metricName": "nope"}],
            "measurementRetention": [{"metricName": "("}],
        }));
        let metrics = metrics(&["a"]);
        assert_eq!(
            spec.dry_metrics(&metrics).unwrap_err().to_string(),
            "dryRun[1]: Rule didn't match any metric name(s)"
        );
        assert_eq!(
            spec.retention(&metrics).map(|_| ()).unwrap_err().to_string(),
            "measurementRetention[0]: Rule didn't match any metric name(s)"
        );
    }

    #[test]
    fn wrong_fields_are_told_with_their_path_but_open_arguments_are_not() {
        let (_, diagnostics) = RunSpec::parse(&json!({
            "metrics": [{"name": "a", "count": "{{args.count}}", "interval": 5}], "args": {}, "dryRun": [{}],
        }));
        let told: Vec<_> = diagnostics.iter().map(ToString::to_string).collect();
        assert_eq!(
            told,
            [
                "spec.metrics[0].interval: interval must be a string",
                "spec.args: must be a list",
                "spec.dryRun[0].metricName: is missing or not a string"
            ]
        );
    }

    #[test]
    fn a_completed_run_expires_by_how_it_ended() {
        let (spec, _) = RunSpec::parse(&json!({
            "ttlStrategy": {"secondsAfterCompletion": 60, "secondsAfterSuccess": 10},
        }));
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let status = |phase| RunStatus {
            phase: Some(phase),
            completed_at: Some(at("2026-01-01T00:00:00Z")),
            ..RunStatus::default()
        };
        assert_eq!(spec.expires_at(&status(Phase::Successful)), Some(at("2026-01-01T00:00:10Z")));
        assert_eq!(spec.expires_at(&status(Phase::Failed)), Some(at("2026-01-01T00:01:00Z")));
        assert_eq!(spec.expires_at(&status(Phase::Running)), None);
    }
}
